r"""Equations set in align environments that stay within the line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from theory.typeset.lines import Names, fill
from theory.typeset.metrics import width
from theory.typeset.printing import latex
from theory.typeset.tree import parse

__all__ = ["Equation", "Line", "Numbered", "Page", "align", "lay_out", "on_screen"]

Numbered = Literal["all", "last", "none"]
"""Which equations of a display carry a number and a label."""

RELATION = 1.4  # em of " = "
INDENT = 1.0  # em of the \quad before a continued line
WIDEST_LEFT = 0.3  # of the line; wider left-hand sides stand on a line of their own


@dataclass(frozen=True)
class Equation:
    """left = rights[0] = rights[1] ..., in LaTeX; `label` without the prefix of the page.

    What a derived object lists of itself, for whoever sets it: Jupyter, a document, a page.
    """

    label: str
    left: str
    rights: tuple[str, ...]

    @classmethod
    def of(cls, label: str, left: Any, *rights: Any) -> Equation:
        """Return the equation left = right = right ..., each side LaTeX as text or an expression."""
        return cls(label, _side(left), tuple(map(_side, rights)))


def _side(given: Any) -> str:
    return given if isinstance(given, str) else latex(given)


@dataclass(frozen=True)
class Page:
    r"""How equations are set.

    Attributes:
        line: width in em (of the text's own size) that an equation may take, its number excluded.
        numbered: whether every equation carries a number and a label, the last of a display, or none.
        write: what happens to every finished line, such as putting macros in.
        where: text before the definitions of long parts.
        label: what labels begin with.
        together: lines of one equation up to which no page breaks it, where displays may break.
    """

    line: float
    numbered: Numbered = "none"
    write: Callable[[str], str] = str
    where: str = ""
    label: str = "eq:"
    together: int = 0


SCREEN = Page(line=60.0)


@dataclass(frozen=True)
class Line:
    """One line of an equation, left and right of the alignment mark; its first line has the label, others None."""

    label: str | None
    left: str
    right: str


def align(equations: Sequence[Equation], page: Page, names: Names) -> str:
    r"""Return one align environment holding the equations, and one for each round of names that they needed.

    >>> print(align([Equation.of("one", "f", "a + b"), Equation.of("two", "g", "b")], Page(30), Names()))
    \begin{align*}
    f &= a + b \\
    g &= b
    \end{align*}
    """
    rounds = (_environment(lines, page) for lines in lay_out(equations, page.line, names))
    return (f"\n{page.where}\n" if page.where else "\n").join(rounds)


def lay_out(equations: Sequence[Equation], line: float, names: Names) -> Iterator[list[Line]]:
    r"""Yield the equations in lines, then the definitions of the names that they needed, and of those that these did.

    Equations are aligned at their first relation where that leaves the page, `line` em wide, room enough for all of
    them, and flush left otherwise.

    >>> first, second = lay_out([Equation.of("one", "f", r"\sqrt{a + b + c + d + g + h}")], 9.5, Names())
    >>> first
    [Line(label='one', left='f', right='= \\sqrt{X_{1}}')]
    >>> [(part.label, part.left, part.right) for part in second]
    [('part-1', 'X_{1}', '= a + b + c'), (None, '', '\\quad + d + g + h')]
    >>> (wide,) = lay_out([Equation.of("one", "f(a + b + c + d)", "g + h")], 9.5, Names())
    >>> [part.right for part in wide]
    ['f(a + b + c + d)', '\\quad = g + h']
    """
    while equations:
        known = len(names.contents)
        yield _display(equations, line, names)
        equations = [Equation.of(_label(name), name, content) for name, content in names.since(known)]


def on_screen(equations: Sequence[Equation]) -> str:
    r"""Return the equations as `align*` blocks (amsmath, amssymb) of a width that Jupyter and a terminal show.

    >>> from theory.symbols import q, r
    >>> print(on_screen([Equation.of("loss", "L(q, r)", r / 2 - q)]))
    \begin{align*}
    L(q, r) &= \frac{r}{2} - q
    \end{align*}
    """
    return align(equations, SCREEN, Names())


def _label(name: str) -> str:
    return "part-" + "".join(filter(str.isdigit, name))


def _display(equations: Sequence[Equation], line: float, names: Names) -> list[Line]:
    """Return the lines of equations that are displayed together, in the way that breaks the fewest formulas."""
    common = max(_left(equation) for equation in equations)
    if common <= WIDEST_LEFT * line:
        trial, other = names.copy(), names.copy()
        aligned = [part for equation in equations for part in _aligned(equation, common, line, trial)]
        flush = [part for equation in equations for part in _flush(equation, line, other)]
        if _cost(aligned, trial) <= _cost(flush, other):
            names.take(trial)
            return aligned
        names.take(other)
        return flush
    return [part for equation in equations for part in _flush(equation, line, names)]


def _left(equation: Equation) -> float:
    return width(parse(equation.left)) + RELATION


def _cost(lines: Sequence[Line], names: Names) -> int:
    """Return how many names there are, and how many products are broken."""
    return 3 * len(names.contents) + sum(r"\times" in line.right for line in lines)


def _aligned(equation: Equation, left: float, line: float, names: Names) -> tuple[Line, ...]:
    """Return the lines of an equation whose relations stand `left` em from the margin."""
    first, *others = _chain(equation.rights, line - left, names)
    return _lines(equation.label, (equation.left, first), *(("", text) for text in others))


def _flush(equation: Equation, line: float, names: Names) -> tuple[Line, ...]:
    """Return the lines of an equation that begins at the margin; after a wide left-hand side with a new line."""
    whole = " = ".join((equation.left, *equation.rights))
    if width(parse(whole)) <= line:
        return _lines(equation.label, ("", whole))
    apart = _apart(equation, line, trial := names.copy())
    if _left(equation) <= WIDEST_LEFT * line:
        first, *others = _chain(equation.rights, line - _left(equation), other := names.copy())
        beside = _lines(equation.label, *(("", text) for text in (f"{equation.left} {first}", *map(_indented, others))))
        if _cost(beside, other) <= _cost(apart, trial):
            names.take(other)
            return beside
    names.take(trial)
    return apart


def _apart(equation: Equation, line: float, names: Names) -> tuple[Line, ...]:
    """Return the lines of an equation whose left-hand side has one of its own."""
    rights = _chain(equation.rights, line - RELATION - INDENT, names)
    return _lines(equation.label, ("", equation.left), *(("", _indented(text)) for text in rights))


def _indented(text: str) -> str:
    return rf"\quad {text}"


def _chain(rights: Sequence[str], room: float, names: Names) -> list[str]:
    """Return = right = right ... in lines of at most `room` em beyond the relation, as many on a line as fit."""
    lines: list[str] = []
    whole = ""  # the last line, if a side may follow on it
    for right in rights:
        first, *more = fill(right, room - INDENT, names)
        joined = f"{whole} = {first}"
        if whole and not more and width(parse(joined)) <= room:
            whole, lines[-1] = joined, f"= {joined}"
            continue
        lines += [f"= {first}", *map(_indented, more)]
        whole = "" if more else first
    return lines


def _lines(label: str, *columns: tuple[str, str]) -> tuple[Line, ...]:
    return tuple(Line(None if place else label, left, right) for place, (left, right) in enumerate(columns))


def _environment(lines: Sequence[Line], page: Page) -> str:
    labels = [line.label for line in lines]
    if page.numbered != "all":
        last = next(label for label in reversed(labels) if label is not None)
        labels = [*[None] * (len(labels) - 1), last if page.numbered == "last" else None]
    name = "align" if any(labels) else "align*"
    rows = (page.write(_marked(line)) + _tag(label, page, name) for line, label in zip(lines, labels, strict=True))
    body = "".join(row + end for row, end in zip(rows, _ends(lines, page.together), strict=True))
    return f"\\begin{{{name}}}\n{body}\n\\end{{{name}}}"


def _ends(lines: Sequence[Line], together: int) -> Iterator[str]:
    r"""Yield what follows each line: `\\*` where the page must not break."""
    starts = [place for place, line in enumerate(lines) if line.label is not None]
    for start, end in pairwise([*starts, len(lines)]):
        star = "*" if end - start <= together else ""
        yield from [f" \\\\{star}\n"] * (end - start - 1)
        yield "" if end == len(lines) else " \\\\\n"


def _marked(line: Line) -> str:
    return f"{line.left} &{line.right}" if line.left else f"&{line.right}"


def _tag(label: str | None, page: Page, environment: str) -> str:
    if label is None:
        return "" if environment == "align*" else r" \notag"
    return rf" \label{{{page.label}{label}}}"
