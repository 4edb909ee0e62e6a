r"""Equations set in align environments that stay within the line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from theory.typeset.lines import Names, fill
from theory.typeset.printing import latex
from theory.typeset.tree import parse, width

__all__ = ["Equation", "Line", "Page", "align", "lay_out", "on_screen"]

RELATION = 1.4  # em of " = "
INDENT = 1.0  # em of the \quad before a continued line
WIDEST_LEFT = 0.3  # of the line; wider left-hand sides stand on a line of their own


@dataclass(frozen=True)
class Equation:
    """left = rights[0] = rights[1] ..., in LaTeX; `label` without the prefix "eq:".

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
        numbered: whether equations carry a number and a label.
        write: what happens to every finished line, such as putting macros in.
        where: text before the definitions of long parts.
    """

    line: float
    numbered: bool = False
    write: Callable[[str], str] = str
    where: str = ""


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
    rounds = ("\n".join(_environment(lines, page) for lines in group) for group in lay_out(equations, page.line, names))
    return (f"\n{page.where}\n" if page.where else "\n").join(rounds)


def lay_out(equations: Sequence[Equation], line: float, names: Names) -> Iterator[list[list[Line]]]:
    r"""Yield the equations in lines, then the definitions of the names that they needed, and of those that these did.

    Lines that share an alignment mark without leaving the page, `line` em wide, stand in one list.

    >>> first, second = lay_out([Equation.of("one", "f", r"\sqrt{a + b + c + d + g + h}")], 9.0, Names())
    >>> first
    [[Line(label='one', left='f', right='= \\sqrt{X_{1}}')]]
    >>> [(part.label, part.left, part.right) for part in second[0]]
    [('part-1', 'X_{1}', '= a + b + c'), (None, '', '\\quad + d + g'), (None, '', '\\quad + h')]
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


def _environment(lines: Sequence[Line], page: Page) -> str:
    name = "align" if page.numbered else "align*"
    body = " \\\\\n".join(page.write(_marked(line)) + (_tag(line) if page.numbered else "") for line in lines)
    return f"\\begin{{{name}}}\n{body}\n\\end{{{name}}}"


def _marked(line: Line) -> str:
    return f"{line.left} &{line.right}" if line.left else f"&{line.right}"


def _tag(line: Line) -> str:
    return r" \notag" if line.label is None else rf" \label{{eq:{line.label}}}"
