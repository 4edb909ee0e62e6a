r"""Equations set in align environments that stay within the line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from theory.typeset.lines import Names, fill
from theory.typeset.printing import latex
from theory.typeset.tree import parse, width

__all__ = ["Equation", "Page", "align", "on_screen"]

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
class _Block:
    """One equation broken into lines, each with its alignment mark; widths of both columns in em."""

    label: str
    lines: tuple[str, ...]
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
    known = len(names.contents)
    environments = [_environment(group, page) for group in _groups(equations, page.line, names)]
    added = [Equation.of(_label(name), name, content) for name, content in names.since(known)]
    definitions = [page.where, align(added, page, names)] if added else []
    return "\n".join(text for text in (*environments, *definitions) if text)


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
    """Group neighbours that share an alignment point without leaving the line."""
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
        return _Block(equation.label, (f"&{equation.left} = {sides[0][0]}",), 0, left + widest, stacked)
    continued = [[f"= {side[0]}", *(rf"\quad {text}" for text in side[1:])] for side in sides]
    if stacked:
        lines = [f"&{equation.left}", *(rf"&\quad {text}" for side in continued for text in side)]
        return _Block(equation.label, tuple(lines), 0, max(left, RELATION + INDENT + widest), stacked)
    first, *rest = [text for side in continued for text in side]
    lines = [f"{equation.left} &{first}", *(f"&{text}" for text in rest)]
    return _Block(equation.label, tuple(lines), left, INDENT * (len(sides[0]) > 1) + widest, stacked)


def _environment(group: Sequence[_Block], page: Page) -> str:
    lines = [
        page.write(line) + (_tag(block.label, i) if page.numbered else "")
        for block in group
        for i, line in enumerate(block.lines)
    ]
    name = "align" if page.numbered else "align*"
    body = " \\\\\n".join(lines)
    return f"\\begin{{{name}}}\n{body}\n\\end{{{name}}}"


def _tag(label: str, line: int) -> str:
    return r" \notag" if line else rf" \label{{eq:{label}}}"
