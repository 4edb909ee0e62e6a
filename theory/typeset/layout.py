r"""Equations set in align environments that stay within the line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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
    """

    line: float
    numbered: Numbered = "none"
    write: Callable[[str], str] = str
    where: str = ""
    label: str = "eq:"


SCREEN = Page(line=60.0)


@dataclass(frozen=True)
class Line:
    """One line of an equation, left and right of the alignment mark; its first line has the label, others None."""

    label: str | None
    left: str
    right: str


@dataclass(frozen=True)
class _Block:
    """One equation broken into lines; widths of both columns in em."""

    lines: tuple[Line, ...]
    left: float
    right: float
    stacked: bool


def align(equations: Sequence[Equation], page: Page, names: Names) -> str:
    r"""Return align environments holding the equations, followed by the definitions of the names that they needed.

    >>> print(align([Equation.of("one", "f", "a + b"), Equation.of("two", "g", "b")], Page(30), Names()))
    \begin{align*}
    f &= a + b \\
    g &= b
    \end{align*}
    """
    rounds = ("\n".join(_environments(groups, page)) for groups in lay_out(equations, page.line, names))
    return (f"\n{page.where}\n" if page.where else "\n").join(rounds)


def lay_out(equations: Sequence[Equation], line: float, names: Names) -> Iterator[list[list[Line]]]:
    r"""Yield the equations in lines, then the definitions of the names that they needed, and of those that these did.

    Lines that share an alignment mark without leaving the page, `line` em wide, stand in one list.

    >>> first, second = lay_out([Equation.of("one", "f", r"\sqrt{a + b + c + d + g + h}")], 9.5, Names())
    >>> first
    [[Line(label='one', left='f', right='= \\sqrt{X_{1}}')]]
    >>> [(part.label, part.left, part.right) for part in second[0]]
    [('part-1', 'X_{1}', '= a + b + c + d'), (None, '', '\\quad + g + h')]
    """
    while equations:
        known = len(names.contents)
        yield [[part for block in group for part in block.lines] for group in _groups(equations, line, names)]
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


def _groups(equations: Sequence[Equation], line: float, names: Names) -> list[list[_Block]]:
    """Group neighbours that share an alignment mark without leaving the line."""
    groups: list[list[_Block]] = []
    for equation in equations:
        block = _break(equation, line, names)
        if groups and groups[-1][0].stacked == block.stacked:
            together = [*groups[-1], block]
            if max(b.left for b in together) + max(b.right for b in together) <= line:
                groups[-1] = together
                continue
        groups.append([block])
    return groups


def _break(equation: Equation, line: float, names: Names) -> _Block:
    left = width(parse(equation.left)) + RELATION
    stacked = left > WIDEST_LEFT * line
    room = line - INDENT - (RELATION if stacked else left)
    sides = [fill(right, room, names) for right in equation.rights]
    if all(len(side) == 1 for side in sides):
        joined = " = ".join(side[0] for side in sides)
        sides = [[joined]] if width(parse(joined)) <= room + INDENT else sides
    widest = max(width(parse(text)) for side in sides for text in side)
    if stacked and len(sides) == len(sides[0]) == 1 and left + widest <= line:
        lines = _lines(equation.label, ("", f"{equation.left} = {sides[0][0]}"))
        return _Block(lines, 0, left + widest, stacked)
    continued = [text for side in sides for text in (f"= {side[0]}", *(rf"\quad {more}" for more in side[1:]))]
    if stacked:
        lines = _lines(equation.label, ("", equation.left), *(("", rf"\quad {text}") for text in continued))
        return _Block(lines, 0, max(left, RELATION + INDENT + widest), stacked)
    lines = _lines(equation.label, (equation.left, continued[0]), *(("", text) for text in continued[1:]))
    return _Block(lines, left, INDENT * (len(sides[0]) > 1) + widest, stacked)


def _lines(label: str, *columns: tuple[str, str]) -> tuple[Line, ...]:
    return tuple(Line(None if place else label, left, right) for place, (left, right) in enumerate(columns))


def _environments(groups: Sequence[Sequence[Line]], page: Page) -> Iterator[str]:
    """Yield one environment for each group; of one that has no number the starred form."""
    labels = [[line.label for line in lines] for lines in groups]
    if page.numbered == "none":
        labels = [[None] * len(lines) for lines in groups]
    elif page.numbered == "last":
        last = next(label for label in reversed(labels[-1]) if label is not None)
        labels = [[None] * len(lines) for lines in groups]
        labels[-1][-1] = last
    for lines, marks in zip(groups, labels, strict=True):
        name = "align" if any(marks) else "align*"
        rows = (page.write(_marked(line)) + _tag(mark, page, name) for line, mark in zip(lines, marks, strict=True))
        body = " \\\\\n".join(rows)
        yield f"\\begin{{{name}}}\n{body}\n\\end{{{name}}}"


def _marked(line: Line) -> str:
    return f"{line.left} &{line.right}" if line.left else f"&{line.right}"


def _tag(label: str | None, page: Page, environment: str) -> str:
    if label is None:
        return "" if environment == "align*" else r" \notag"
    return rf" \label{{{page.label}{label}}}"
