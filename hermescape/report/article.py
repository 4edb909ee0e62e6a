r"""A document of `theory.writing.blocks` for a page: the same words and equations as in LaTeX, set by the browser."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup, escape

from hermescape.mathml import aligned, formula
from theory.typeset.layout import Equation, lay_out
from theory.typeset.lines import Names
from theory.writing.blocks import (
    Block,
    Cite,
    Code,
    Document,
    Emphasis,
    Equations,
    Math,
    Meanings,
    Paragraph,
    Piece,
    Text,
)

__all__ = ["Chapter", "Shown", "chapters", "inline"]

LINE = 41.0  # em, as in the document of LaTeX
PUNCTUATION = re.compile(r"[,.;:)]+")


@dataclass(frozen=True)
class Shown:
    """A block for a template: a paragraph, equations that share an alignment mark, or rows of two cells.

    Rows are symbols and meanings, or numbers and references.
    """

    kind: Literal["paragraph", "equations", "meanings", "references"]
    content: Markup | tuple[tuple[Markup, Markup], ...]


@dataclass(frozen=True)
class Chapter:
    """A title, what follows it, and the numbers of its equations by their labels."""

    title: str
    blocks: tuple[Shown, ...]
    numbers: Mapping[str, int]


def chapters(document: Document) -> list[Chapter]:
    """Return the sections of a document and its references; numbers of equations run through all of them.

    Raises `UnsupportedExpressionError` for a formula that has no MathML.

    >>> from theory.network.derivation import derive
    >>> from theory.writing.document import derivation
    >>> [chapter.title for chapter in chapters(derivation(derive("linear")))][2:4]
    ['Kernel', 'Population loss']
    """
    names, made, first = Names(), [], 1
    cites = {reference.key: number for number, reference in enumerate(document.references, start=1)}
    for section in document.sections:
        number = _Numbers(first)
        blocks = tuple(shown for block in section.blocks for shown in _shown(block, names, number, cites))
        made.append(Chapter(section.title, blocks, number.given))
        first += len(number.given)
    rows = tuple((_place(reference.key, cites), inline(reference.text)) for reference in document.references)
    return [*made, Chapter("References", (Shown("references", rows),), {})] if rows else made


class _Numbers:
    """Numbers equations in the order in which they are asked for."""

    def __init__(self, first: int) -> None:
        self.first, self.given = first, dict[str, int]()

    def __call__(self, label: str) -> int:
        return self.given.setdefault(label, self.first + len(self.given))


def inline(text: Text, cites: Mapping[str, int] | None = None) -> Markup:
    r"""Return running text; a formula keeps the punctuation that follows it on its line, and citations get numbers.

    >>> print(inline(("At ", Math("t"), ", <now>")))
    At <span class="whole"><math><mrow><mi>t</mi></mrow></math>,</span> &lt;now&gt;
    """
    made, taken = Markup(), 0
    for piece, after in itertools.pairwise((*text, "")):
        shown = _piece(piece[taken:] if isinstance(piece, str) else piece, cites or {})
        mark = PUNCTUATION.match(after) if isinstance(piece, Math) and isinstance(after, str) else None
        made += shown if mark is None else Markup('<span class="whole">{}{}</span>').format(shown, mark[0])
        taken = 0 if mark is None else mark.end()
    return made


def _shown(block: Block, names: Names, number: _Numbers, cites: Mapping[str, int]) -> Iterator[Shown]:
    match block:
        case Paragraph(text):
            yield Shown("paragraph", inline(text, cites))
        case Equations(equations):
            yield from _laid_out(equations, names, number)
        case Meanings(rows):
            yield Shown("meanings", tuple((_piece(symbol, {}), inline(meaning)) for symbol, meaning in rows))


def _laid_out(equations: Sequence[Equation], names: Names, number: _Numbers) -> Iterator[Shown]:
    for place, lines in enumerate(lay_out(equations, LINE, names)):
        if place:
            yield Shown("paragraph", escape("where"))
        yield Shown("equations", aligned(lines, number))


def _place(key: str, cites: Mapping[str, int]) -> Markup:
    return Markup('<span id="ref-{}">[{}]</span>').format(key, cites[key])


def _piece(piece: Piece, cites: Mapping[str, int]) -> Markup:
    match piece:
        case Cite(key):
            return Markup('<a href="#ref-{0}">[{1}]</a>').format(key, cites[key])
        case Math(tex):
            return formula(tex)
        case Emphasis(text):
            return Markup("<em>{}</em>").format(text)
        case Code(text):
            return Markup("<code>{}</code>").format(text)
        case _:
            return escape(piece)
