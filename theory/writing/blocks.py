r"""A document as data: sections of paragraphs, equations and one table, which renderers turn into LaTeX or HTML.

Words are plain text; what is set otherwise is a record: a formula, an emphasised word, a citation, or text in
typewriter that somebody else wrote. So a renderer escapes words once and for all, and none has to find structure in
text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from theory.errors import HermescapeError
from theory.typeset.layout import Equation

__all__ = [
    "Block",
    "Cite",
    "Code",
    "Document",
    "Emphasis",
    "Equations",
    "Math",
    "Meanings",
    "Paragraph",
    "Reference",
    "Section",
    "cited",
    "prose",
]

CITATION = re.compile(r"\[@(\w+)\]")


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


@dataclass(frozen=True)
class Cite:
    """A citation, by the key of `references.bib`."""

    key: str


Piece = str | Math | Emphasis | Code | Cite
Text = tuple[Piece, ...]


@dataclass(frozen=True)
class Paragraph:
    """Running text; in a `general` statement, letters beyond K, E, q and r may mean something else than elsewhere."""

    text: Text
    general: bool = False

    @classmethod
    def of(cls, source: str, *, general: bool = False) -> Paragraph:
        """Return words with formulas between dollars and citations as [@key] as a paragraph."""
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
class Reference:
    """One line of the bibliography."""

    key: str
    text: Text


@dataclass(frozen=True)
class Document:
    """Title, subtitle, sections and the bibliography.

    Attributes:
        title: words.
        subtitle: what follows the title.
        sections: in order.
        symbols: the keys of `MACROS` whose letters mean here what they say there.
        name: short, of letters, digits and hyphens: what labels begin with.
        references: what is cited.
        validity: where the formulas hold, a sentence, or nothing; a fragment says it before them.
    """

    title: str
    subtitle: Text
    sections: tuple[Section, ...]
    symbols: frozenset[str]
    name: str = ""
    references: tuple[Reference, ...] = ()
    validity: str = ""


def cited(sections: tuple[Section, ...]) -> tuple[str, ...]:
    """Return the keys that are cited, each once, in the order of the text."""
    texts = (block.text for section in sections for block in section.blocks if isinstance(block, Paragraph))
    return tuple(dict.fromkeys(piece.key for text in texts for piece in text if isinstance(piece, Cite)))


def prose(source: str) -> Text:
    r"""Return words with formulas between dollars and citations as [@key] as pieces.

    >>> prose(r"At $q = 0$, by symmetry.")
    ('At ', Math(tex='q = 0'), ', by symmetry.')
    >>> prose("by parts [@stein1981]")
    ('by parts ', Cite(key='stein1981'))
    """
    parts = source.split("$")
    if len(parts) % 2 == 0:
        raise HermescapeError(f"{source} given; accepted: words with formulas between pairs of dollars.")
    pieces = ([Math(part)] if place % 2 else _words(part) for place, part in enumerate(parts) if part)
    return tuple(piece for group in pieces for piece in group)


def _words(text: str) -> Iterator[Piece]:
    for place, part in enumerate(CITATION.split(text)):
        if part:
            yield Cite(part) if place % 2 else part
