r"""Long formulas between lines: broken before + and -, then inside the brackets of a term that is too long alone.

A long numerator is first put into brackets of its own. What is too long for that, or stands in a root or an argument,
gets names X_1, X_2, ... for its widest sums; equal sums share a name. What is left of a long product is broken between
its factors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from theory.typeset.metrics import FENCES, box, width
from theory.typeset.tree import Node, Row, parse, render

__all__ = ["Names", "fill"]

SHORTEST = 6.0  # em; a narrower sum is not worth a name
MOST_OPENED = 4.0  # lines of a bracket that is broken; a longer one gets a name
BINARY = 0.46  # em by which an operator within a line is wider than one that begins it
ROUND = ("(", r"\left(")
SIZES = (r"\big", r"\big", r"\Big", r"\bigg", r"\Bigg", r"\Bigg")  # of brackets, by the heights of `FENCES`


class Names:
    """The names given so far, and what they stand for."""

    def __init__(self) -> None:
        self.contents: dict[str, str] = {}

    def __call__(self, content: Row) -> Row:
        """Return the name of a sum."""
        name = self.contents.setdefault(render(content).strip(), f"X_{{{len(self.contents) + 1}}}")
        return parse(name)

    def copy(self) -> Names:
        """Return names that go on from these."""
        names = Names()
        names.contents = dict(self.contents)
        return names

    def take(self, other: Names) -> None:
        """Go on from other names."""
        self.contents = other.contents

    def since(self, count: int) -> list[tuple[str, str]]:
        """Return the (name, content) pairs after the first `count`."""
        return [(name, content) for content, name in list(self.contents.items())[count:]]


def fill(text: str, limit: float, names: Names) -> list[str]:
    r"""Return the lines of a right-hand side, none wider than `limit` em where names and breaks can help it.

    >>> fill("a + b - c", 3.5, Names())
    ['a + b', '- c']
    >>> names = Names()
    >>> fill(r"2 \left(a + b + c + d + g\right)", 6.5, names)
    ['2 \\bigl(a + b + c', '+ d + g\\bigr)']
    >>> fill(r"2 \sqrt{a + b + c + d + f}", 6, names)
    ['2 \\sqrt{X_{1}}']
    >>> names.contents
    {'a + b + c + d + f': 'X_{1}'}
    """
    pieces: list[_Piece] = []
    for chunk in _terms(parse(text)):
        fitted = _fitted(chunk, limit, names)
        is_product = any(piece[0].text == r"\times" for piece in fitted)
        pieces += [_Piece(piece, width(piece), is_product or _is_new_line(piece)) for piece in fitted]
    lines = _packed(pieces, limit)
    shortest = min((room for room in _steps(limit) if len(_packed(pieces, room)) == len(lines)), default=limit)
    return ["".join(render(piece.row) for piece in line).strip() for line in _packed(pieces, shortest)]


@dataclass(frozen=True)
class _Piece:
    """What stays together on a line; its width alone in em, and whether it begins a line."""

    row: Row
    width: float
    begins: bool


def _packed(pieces: Sequence[_Piece], limit: float) -> list[list[_Piece]]:
    """Put pieces on lines, each as full as it may be."""
    lines: list[list[_Piece]] = []
    filled = 0.0
    for piece in pieces:
        beside = filled + piece.width + (BINARY if piece.row[0].kind == "operator" else 0.0)
        if lines and not piece.begins and beside <= limit:
            lines[-1].append(piece)
            filled = beside
        else:
            lines.append([piece])
            filled = piece.width
    return lines


def _steps(limit: float) -> Iterator[float]:
    """Yield narrower lines, among which is one that makes lines of one length of as few."""
    return (limit * share / 20 for share in range(10, 21))


def _is_new_line(piece: Row) -> bool:
    return piece[0].text == r"\quad"


def _fitted(term: Row, limit: float, names: Names) -> list[Row]:
    if width(term) <= limit:
        return [term]
    opened = _opened(term, limit) if width(term) <= MOST_OPENED * limit else []
    if opened:
        return [piece for part in opened for piece in _fitted(part, limit, names)]
    while width(term) > limit:
        if _is_new_line(term):
            return _law(term)
        widest = max(_sums(term), key=width, default=())
        if width(widest) < SHORTEST:
            return _factors(_flat(term, limit), limit)
        term = _replaced(term, widest, names(widest))
    return [term]


def _law(term: Row) -> list[Row]:
    r"""Break a law `\quad E_1: x \sim N(...)` before its relation."""
    place = next((place for place, node in enumerate(term) if node.text == r"\sim"), 0)
    return [term[:place], (*parse(r"\quad "), *term[place:])] if place else [term]


def _opened(term: Row, limit: float) -> list[Row]:
    """Return the parts of a term whose widest factor in brackets, or numerator, is broken; nothing without one."""
    places = [place for place, node in enumerate(term) if _breakable(term, place)]
    place = max(places, key=lambda at: width(term[at].rows[0]), default=-1)
    if place < 0:
        return []
    head, content, tail = term[:place], term[place].rows[0], term[place + 1 :]
    if term[place].kind == "call":
        below = term[place].rows[1]
        head = (*head, *parse(rf"\frac{{1}}{{{render(below)}}} "))
    if width(content) < SHORTEST or width(head) > limit / 2 or width(tail) > limit / 2:
        return []
    opening, closing = _brackets(content, "[]" if term[place].text == r"\left[" else "()")
    first, *middle, last = _terms(content)
    return [(*head, *opening, *first), *middle, (*last, *closing, *tail)]


def _breakable(term: Row, place: int) -> bool:
    """Whether a node is a sum in brackets that is a factor, or a fraction with a sum above."""
    node, before = term[place], term[:place]
    if node.kind == "fence" and node.text in (*ROUND, r"\left["):
        return (not before or before[-1].kind in ("space", "fence")) and len(_terms(node.rows[0])) > 1
    return node.kind == "call" and node.text == r"\frac" and len(_terms(node.rows[0])) > 1


def _brackets(content: Row, pair: str) -> tuple[Row, Row]:
    """Return a pair of brackets of the size of what they hold, each of which may stand alone on a line."""
    inside = box(content)
    height = max(2 * inside.up, 2 * inside.down) - 0.4
    size = SIZES[next(i for i, (reach, _) in enumerate(FENCES) if height <= reach)]
    return parse(f"{size}l{pair[0]}"), parse(f"{size}r{pair[1]}")


def _flat(term: Row, limit: float) -> Row:
    """Return a product with the factors of its widest part beside each other: of a numerator, or between brackets."""
    place = max(range(len(term)), key=lambda at: width(term[at : at + 1]))
    node = term[place]
    factors = _split_at_spaces(node.rows[0]) if node.rows else []
    if len(factors) < 2 or width((node,)) < limit / 2:
        return term
    if node.kind == "fence" and node.text[-1] in "([":
        opening, closing = _brackets(node.rows[0], "()" if node.text[-1] == "(" else "[]")
        return (*term[:place], *opening, *node.rows[0], *closing, *term[place + 1 :])
    if node.text != r"\frac":
        return term
    room = limit - width(term[:place])
    for count in range(len(factors) - 1, -1, -1):
        kept = render(tuple(node for factor in factors[:count] for node in factor)).strip() or "1"
        head = parse(rf"\frac{{{kept}}}{{{render(node.rows[1])}}} \, ")
        if width(head) <= room or not count:
            return (*term[:place], *head, *(part for factor in factors[count:] for part in factor), *term[place + 1 :])
    return term


def _terms(row: Row) -> list[Row]:
    r"""Split before every binary + and -, and at the `, \quad` that introduces the law of an expectation."""
    terms: list[list[Node]] = [[]]
    for node in row:
        visible = [inner for inner in terms[-1] if inner.kind != "space"]
        breaks = (node.kind == "operator" and node.text in "+-") or node.text == r"\quad"
        if breaks and visible and visible[-1].kind != "operator":
            terms.append([])
        terms[-1].append(node)
    return [tuple(term) for term in terms]


def _sums(row: Row) -> Iterator[Row]:
    """Yield the outermost sums inside the nodes of a row."""
    for node in row:
        for inner in node.rows if node.kind != "environment" else ():
            if len(_terms(inner)) > 1:
                yield inner
            else:
                yield from _sums(inner)


def _replaced(row: Row, old: Row, new: Row) -> Row:
    """Put `new` for `old` wherever it stands, without the brackets where it is a factor."""
    if row == old:
        return new
    lines: list[Node] = []
    for node in row:
        is_factor = not lines or lines[-1].kind == "space"
        if node.kind == "fence" and node.rows[0] == old and is_factor and node.text in ROUND and len(row) > 1:
            lines += new
        else:
            parts = (part if isinstance(part, str) else _replaced(part, old, new) for part in node.parts)
            lines.append(Node(node.kind, tuple(parts)))
    return tuple(lines)


def _factors(term: Row, limit: float) -> list[Row]:
    """Break a product at the spaces between its factors."""
    lines: list[list[Node]] = [[]]
    for factor in _split_at_spaces(term):
        if width((*lines[-1], *factor)) > limit and any(node.kind not in ("space", "operator") for node in lines[-1]):
            lines.append(list(parse(r"\times ")))
        lines[-1] += factor
    return [tuple(line) for line in lines]


def _split_at_spaces(term: Row) -> list[Row]:
    """Split where a space separates two factors, and not where it surrounds an operator."""
    factors: list[list[Node]] = [[]]
    last, spaced = "operator", False
    for node in term:
        if node.kind == "space":
            spaced = True
        else:
            if spaced and "operator" not in (last, node.kind) and node.kind != "script":
                factors.append([])
            last, spaced = node.kind, False
        factors[-1].append(node)
    return [tuple(factor) for factor in factors]
