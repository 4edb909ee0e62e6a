r"""How wide a formula is printed: the metrics of Computer Modern, and TeX's rules for what surrounds a letter.

Lengths are in em of the text's own size, heights are counted from the axis of the fractions. The widths of letters are
those of cmmi10 and cmr10; scripts are a little wider than their size says, as cmmi7 is. `tests/theory/typeset` holds
the estimates against the boxes that TeX makes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from theory.typeset.tree import FUNCTION, NARROW, SPACES, Node, Row

__all__ = ["Box", "box", "width"]

ITALIC = (
    "a.53 b.43 c.44 d.53 e.47 f.60 g.52 h.58 i.35 j.47 k.56 l.32 m.88 n.60 o.49 p.51 q.49 r.49 s.47 t.37 u.58 v.53 "
    "w.75 x.58 y.54 z.52 A.75 B.81 C.79 D.86 E.80 F.79 G.79 H.92 I.52 J.66 K.93 L.69 M1.08 N.92 O.80 P.79 Q.80 R.77 "
    "S.68 T.73 U.80 V.81 W1.09 X.91 Y.81 Z.76"
)
UPRIGHT = (
    "a.50 b.56 c.45 d.56 e.45 f.31 g.50 h.56 i.28 j.31 k.53 l.28 m.84 n.56 o.50 p.56 q.53 r.40 s.40 t.39 u.56 v.53 "
    "w.73 x.53 y.53 z.45"
)
GREEK = (
    "alpha.65 beta.62 gamma.58 delta.49 epsilon.41 varepsilon.47 zeta.52 eta.54 theta.50 iota.36 kappa.58 lambda.59 "
    "mu.61 nu.56 xi.49 pi.61 rho.52 sigma.61 tau.56 phi.60 varphi.66 chi.63 psi.69 omega.66 Gamma.63 Delta.84 Theta.78 "
    "Lambda.70 Xi.67 Pi.75 Sigma.73 Phi.73 Psi.78 Omega.73 ell.42 partial.59 infty1.0 sum1.45 int1.0 prime.28 "
    "langle.39 rangle.39 mid.28 dots1.17 cdots1.17"
)
LETTERS = {c: float(w) for c, w in re.findall(r"([A-Za-z])([\d.]+)", ITALIC)}
LETTERS |= {f"\\{c}": float(w) for c, w in re.findall(r"([A-Za-z]+)([\d.]+)", GREEK)}
ROMAN = {c: float(w) for c, w in re.findall(r"([A-Za-z])([\d.]+)", UPRIGHT)}
LIMITS = {r"\sum", r"\lim", r"\max", r"\min"}  # which have their scripts above and below in a display
OPENING = {"(", "[", r"\langle", "|"}
RELATIONS = {"=", "<", ">", r"\sim", r"\leq", r"\geq", r"\to", r"\neq"}
SIZE = (1.0, 1.0, 0.81, 0.7)  # of a letter, in display, text, script and script of a script
THIN = 0.17
FENCES = ((1.0, 0.39), (1.2, 0.46), (1.8, 0.60), (2.4, 0.74), (3.0, 0.80), (99.0, 0.88))  # (height, width) of brackets
BIG = {"big": 0.46, "Big": 0.60, "bigg": 0.74, "Bigg": 0.80}
BIGGER = re.compile(r"\\([bB]igg?)[lrm]?$")


@dataclass(frozen=True)
class Box:
    """Width, and the reach above and below the axis, in em."""

    width: float
    up: float = 0.45
    down: float = 0.45


def width(row: Row, style: int = 0) -> float:
    r"""Return the printed width in em; style 0 is display, 1 text, 2 script, 3 the script of a script.

    >>> from theory.typeset.tree import parse
    >>> width(parse("q")) < width(parse(r"\frac{q}{r + 1}")) < width(parse(r"q + r + 1 + m"))
    True
    """
    return box(row, style).width


def box(row: Row, style: int = 0) -> Box:
    """Return the box of a row."""
    total, up, down = 0.0, 0.0, 0.0
    visible = [node for node in row if node.kind != "space"]
    for place, node in enumerate(visible):
        before = visible[place - 1] if place else None
        if style < 2 and node.kind != "script":
            bare = [each for each in visible[:place] if each.kind != "script" and not _is_space(each)]
            total += _between(bare, node)
        if node.kind == "script":
            inner, shift = box(node.rows[0], min(max(style, 1) + 1, 3)), 0.36 if style < 2 else 0.25
            total += _beside(visible, place, style, inner.width)
            up = max(up, inner.up + shift) if node.text == "^" else up
            down = max(down, inner.down + shift / 2) if node.text == "_" else down
            continue
        made = _node(node, before, style)
        total, up, down = total + made.width, max(up, made.up), max(down, made.down)
    return Box(total, up, down)


def _between(before: list[Node], node: Node) -> float:
    """Return the thin space that TeX puts beside a function and beside brackets that grow; a sign is no operator."""
    if not before or node.kind == "operator" or _opens(before[-1]):
        return 0.0
    if before[-1].kind == "operator":
        return THIN if len(before) == 1 and _is_function(node) else 0.0
    return THIN if any(_grows(n) or _is_function(n) for n in (before[-1], node)) else 0.0


def _opens(node: Node) -> bool:
    return node.kind == "symbol" and node.text in OPENING


def _grows(node: Node) -> bool:
    return node.kind == "fence" and node.text.startswith(r"\left")


def _is_function(node: Node) -> bool:
    return node.text.startswith(r"\operatorname") or bool(FUNCTION.match(node.text)) or node.text in LIMITS


def _beside(row: list[Node], place: int, style: int, own: float) -> float:
    """Return what a script adds: nothing below an operator with limits, the excess beside another script."""
    base, first = row[place - 1] if place else None, own + 0.05
    if base is not None and base.kind == "script":
        other = box(base.rows[0], min(max(style, 1) + 1, 3)).width + 0.05
        return max(first - other, 0.0)
    if base is not None and base.text in LIMITS and style == 0:
        return max(own - _symbol(base.text), 0.0)
    return first


def _node(node: Node, before: Node | None, style: int) -> Box:
    size = SIZE[style]
    match node.kind:
        case "operator":
            return Box(_operator(node, before, style))
        case "symbol":
            return _letter(node, before, style)
        case "name":
            return Box(size * _name(node.text))
        case "call" if node.text.startswith(r"\frac"):
            return _fraction(node, style)
        case "call":
            inner = box(node.rows[0], style)
            return Box(inner.width + (0.84 if inner.up < 0.8 else 1.0) * size, inner.up + 0.2, inner.down)
        case "fence":
            return _fence(node, before, style)
        case "environment":
            return _array(node, style)
        case _:
            return box(node.rows[0], style) if node.rows else Box(0.0)


def _operator(node: Node, before: Node | None, style: int) -> float:
    if style >= 2 or before is None or before.kind == "operator" or _opens(before) or _is_space(before):
        return 0.78 * SIZE[style]
    return 1.34 if node.text in RELATIONS else 0.73 if node.text == r"\cdot" else 1.23


def _is_space(node: Node) -> bool:
    return node.text in SPACES


def _letter(node: Node, before: Node | None, style: int) -> Box:
    sized = BIGGER.match(before.text) if before is not None else None
    if sized:
        return Box(BIG[sized[1]], 1.2, 1.2)
    own = SIZE[style] * _symbol(node.text)
    return Box(own + (THIN if style < 2 and node.text == "," else 0.0))


def _symbol(token: str) -> float:
    if token in SPACES:
        return SPACES[token]
    if token in LETTERS:
        return LETTERS[token]
    if BIGGER.match(token):
        return 0.0
    if FUNCTION.match(token) or token in LIMITS:
        return _roman(token[1:])
    if token in ("(", ")", "*"):
        return 0.5 if token == "*" else 0.39
    if token in NARROW:
        return 0.29
    return 0.5 * len(token) if token.isdigit() else 0.75


def _roman(letters: str) -> float:
    return sum(ROMAN.get(letter, 0.5 if letter.islower() else 0.78) for letter in letters)


def _name(text: str) -> float:
    command, _, content = text.partition("{")
    if command in (r"\mathbb", r"\mathcal"):
        return 0.68 if command == r"\mathbb" else 0.97
    return _roman(content.removesuffix("}"))


def _fraction(node: Node, style: int) -> Box:
    top, bottom = (box(row, min(style + 1, 3)) for row in node.rows)
    shifts = (0.68, 0.69, 0.14) if style == 0 else (0.40, 0.35, 0.06)
    up = max(shifts[0] + top.up, shifts[2] + top.up + top.down)
    down = max(shifts[1] + bottom.down, shifts[2] + bottom.up + bottom.down)
    return Box(0.25 + max(top.width, bottom.width), up, down)


def _fence(node: Node, before: Node | None, style: int) -> Box:
    inside = [box(row, style) for row in node.rows]
    if not _grows(node):
        sized = BIGGER.match(before.text) if before is not None else None
        pair = 2 * (BIG[sized[1]] if sized else FENCES[0][1] * SIZE[style])
        return Box(pair + sum(each.width for each in inside), *_reach(inside))
    reach = max(max(each.up, each.down) for each in inside)
    height, bracket = next(pair for pair in FENCES if max(1.802 * reach, 2 * reach - 0.5) <= pair[0])
    pair = sum(bracket * (0.0 if edge[-1] == "." else 0.75 if edge[-1] in "[]|" else 1.0) for edge in _edges(node))
    half = height / 2 if height < 99 else reach
    return Box(pair * SIZE[style] + sum(each.width for each in inside), half, half)


def _reach(inside: list[Box]) -> tuple[float, float]:
    return max((each.up for each in inside), default=0.5), max((each.down for each in inside), default=0.5)


def _edges(node: Node) -> tuple[str, str]:
    return str(node.parts[0]), str(node.parts[-1])


def _array(node: Node, style: int) -> Box:
    """Return the box of a matrix, or of cases: columns as wide as their widest cell."""
    columns: dict[int, float] = {}
    for column, cell in _cells(node):
        columns[column] = max(columns.get(column, 0.0), width(cell, max(style, 1)))
    rows = 1 + sum(part == r"\\" for part in node.parts)
    return Box(sum(columns.values()) + 1.0 * len(columns), 0.6 * rows + 0.1, 0.6 * rows + 0.1)


def _cells(node: Node) -> Iterator[tuple[int, Row]]:
    column = 0
    for part in node.parts:
        if part == "&":
            column += 1
        elif part == r"\\":
            column = 0
        elif not isinstance(part, str):
            yield column, part
