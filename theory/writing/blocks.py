r"""A document as data: sections of paragraphs, equations and one table, which renderers turn into LaTeX or HTML.

Words are plain text; what is set otherwise is a record: a formula, an emphasised word, or text in typewriter that
somebody else wrote. So a renderer escapes words once and for all, and none has to find structure in text.
"""

from __future__ import annotations

from dataclasses import dataclass

from theory.errors import HermescapeError
from theory.typeset.layout import Equation

__all__ = ["Block", "Code", "Document", "Emphasis", "Equations", "Math", "Meanings", "Paragraph", "Section", "prose"]


@dataclass(frozen=True)
class Math:
    """A formula within a line, in LaTeX with plain symbols."""

    tex: str


@dataclass(frozen=True)
class Emphasis:
    """Emphasised words."""

    text: str


@dataclass(frozen=True)
class Code:
    """Text that is shown as it is given, in typewriter."""

    text: str


Piece = str | Math | Emphasis | Code
Text = tuple[Piece, ...]


@dataclass(frozen=True)
class Paragraph:
    """Running text; in a `general` statement, letters beyond K, E, q and r may mean something else than elsewhere."""

    text: Text
    general: bool = False

    @classmethod
    def of(cls, source: str, *, general: bool = False) -> Paragraph:
        """Return words with formulas between dollars as a paragraph."""
        return cls(prose(source), general)


@dataclass(frozen=True)
class Equations:
    """Displayed equations, unbroken; each has a label."""

    equations: tuple[Equation, ...]

    @classmethod
    def of(cls, *equations: Equation) -> Equations:
        """Return equations that are displayed together."""
        return cls(equations)


@dataclass(frozen=True)
class Meanings:
    """A table of symbols and what they mean."""

    rows: tuple[tuple[Math, Text], ...]


Block = Paragraph | Equations | Meanings


@dataclass(frozen=True)
class Section:
    """A title and what follows it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """Title, subtitle and sections; `symbols` are the keys of `MACROS` whose letters mean here what they say there."""

    title: str
    subtitle: Text
    sections: tuple[Section, ...]
    symbols: frozenset[str]


def prose(source: str) -> Text:
    r"""Return words with formulas between dollars as pieces.

    >>> prose(r"At $q = 0$, by symmetry.")
    ('At ', Math(tex='q = 0'), ', by symmetry.')
    """
    parts = source.split("$")
    if len(parts) % 2 == 0:
        raise HermescapeError(f"{source} given; accepted: words with formulas between pairs of dollars.")
    return tuple(Math(part) if place % 2 else part for place, part in enumerate(parts) if part)
