r"""LaTeX mathematics as a tree: what it takes to measure a formula and to break it between lines.

A row is a tuple of nodes; a node is its text with rows inside, as in \frac{row}{row}. Rendering gives the text back
unchanged. The language is the one that SymPy and `theory.calculus.explain` print.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from theory.errors import HermescapeError

__all__ = ["FUNCTION", "NARROW", "SPACES", "Node", "Row", "parse", "render"]

TOKEN = re.compile(r"\\[A-Za-z]+\*?|\\.|\s+|[0-9]+|.", re.DOTALL)
ARGUMENTS = {r"\frac": 2, r"\sqrt": 1}
NAMED = {r"\operatorname", r"\mathrm", r"\mathbb", r"\mathcal", r"\text"}
SPACES = {r"\,": 0.17, r"\:": 0.22, r"\;": 0.28, r"\!": -0.17, r"\quad": 1.0, r"\qquad": 2.0}
OPERATORS = {"+", "-", "=", "<", ">", r"\sim", r"\leq", r"\geq", r"\to", r"\cdot", r"\times", r"\neq"}
NARROW = {",", ".", ";", ":", "(", ")", "[", "]", "|", "'", "!"}
FUNCTION = re.compile(r"\\(arc)?(sin|cos|tan|sinh|cosh|tanh|exp|log|max|min|coth)$")


@dataclass(frozen=True)
class Node:
    """One symbol or construction: `parts` alternate between text and rows, beginning and ending with text."""

    kind: str
    parts: tuple[str | tuple[Node, ...], ...]

    @property
    def text(self) -> str:
        """The leading text, all of it for a symbol."""
        return str(self.parts[0])

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows inside."""
        return tuple(part for part in self.parts if not isinstance(part, str))


Row = tuple[Node, ...]


def render(row: Row) -> str:
    """Return the text of a row."""
    return "".join(part if isinstance(part, str) else render(part) for node in row for part in node.parts)


def parse(text: str) -> Row:
    r"""Return the row of a formula.

    >>> [node.kind for node in parse(r"\frac{1}{2} - e^{x}")]
    ['call', 'space', 'operator', 'space', 'symbol', 'script']
    >>> render(parse(r"\sqrt[3]{x} \left(1 + q\right)^{2}"))
    '\\sqrt[3]{x} \\left(1 + q\\right)^{2}'
    >>> [node.kind for node in parse("(a + b) c")]
    ['fence', 'space', 'symbol']
    """
    return _Reader(text).row(None)


def _close(nodes: list[Node]) -> None:
    """Put what follows the last open bracket into a fence; a bracket that closes nothing stays a symbol."""
    opened = next((i for i in reversed(range(len(nodes))) if nodes[i].parts == ("(",)), None)
    if opened is not None:
        nodes[opened:] = [Node("fence", ("(", tuple(nodes[opened + 1 : -1]), ")"))]


class _Reader:
    def __init__(self, text: str) -> None:
        self.tokens: list[str] = TOKEN.findall(text)
        self.at = 0

    def take(self) -> str:
        if self.at == len(self.tokens):
            raise HermescapeError(f"unbalanced LaTeX: {''.join(self.tokens)}")
        self.at += 1
        return self.tokens[self.at - 1]

    def row(self, end: str | None) -> Row:
        """Read nodes up to the token `end`, which is left to be read."""
        nodes: list[Node] = []
        while self.at < len(self.tokens) and self.tokens[self.at] != end:
            nodes.append(self.node())
            if nodes[-1].text == ")":
                _close(nodes)
        if end is not None and self.at == len(self.tokens):
            raise HermescapeError(f"unbalanced LaTeX, {end} is missing: {''.join(self.tokens)}")
        return tuple(nodes)

    def node(self) -> Node:
        token = self.take()
        if token.isspace():
            return Node("space", (token,))
        if token in ("^", "_"):
            return Node("script", (token, *self.argument()))
        if token == "{":
            return Node("group", ("{", self.row("}"), self.take()))
        if token == r"\left":
            return self.fence()
        if token == r"\begin":
            return self.environment()
        if token in NAMED:
            return Node("name", (token + render(self.group()),))
        if token in ARGUMENTS:
            return self.call(token)
        return Node("operator" if token in OPERATORS else "symbol", (token,))

    def argument(self) -> tuple[str | Row, ...]:
        """Read the braces after a command or script, or the single token that stands for them."""
        if self.tokens[self.at : self.at + 1] != ["{"]:
            return ("", (self.node(),), "")
        (group,) = self.group()
        return group.parts

    def group(self) -> Row:
        return (self.node(),)

    def call(self, name: str) -> Node:
        parts: list[str | Row] = [name]
        if self.tokens[self.at : self.at + 1] == ["["]:
            self.at += 1
            parts[0] = f"{name}[{render(self.row(']'))}{self.take()}"
        for _ in range(ARGUMENTS[name]):
            parts += self.argument()
        return Node("call", tuple(parts))

    def fence(self) -> Node:
        head = r"\left" + self.take()
        depth, inner = self.row(r"\right"), self.take()
        return Node("fence", (head, depth, inner + self.take()))

    def environment(self) -> Node:
        name = render(self.group())
        parts: list[str | Row] = [r"\begin" + name]
        while True:
            cell: list[Node] = []
            while self.tokens[self.at] not in ("&", r"\\", r"\end"):
                cell.append(self.node())
            parts.append(tuple(cell))
            token = self.take()
            if token == r"\end":
                return Node("environment", (*parts, token + render(self.group())))
            parts.append(token)
