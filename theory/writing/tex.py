r"""A document of `theory.writing.blocks` as LaTeX that pdflatex compiles (amsmath, amssymb), or as a fragment of one.

Equations have labels (hesc:relu:loss, hesc:relu:kernel-3, ...), and every symbol is a macro that can be renamed. A
fragment defines, labels and cites nothing without its prefix, loads nothing, and leaves the paper's own settings alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from theory.errors import ParameterError
from theory.typeset.layout import Numbered, Page, align
from theory.typeset.lengths import points
from theory.typeset.lines import Names
from theory.typeset.macros import BY_KEY, PREFIX, Notation, check_names, check_prefix
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
from theory.writing.sources import CITED

__all__ = ["Setting", "escaped", "length", "to_latex"]

EM = 10.0  # points, of type of this size
NARROWEST, WIDEST = 200.0, 2000.0  # points
DOCUMENT_WIDTH, FRAGMENT_WIDTH = 455.0, 345.0  # points: 16 cm, and the text of the class article
NUMBER = 3.2  # em of "(123)" and the space before it
TOGETHER = 6  # lines of an equation that stay on one page
SPARE = 0.5  # em by which the widths of `theory.typeset.metrics` may be wrong

FRAGMENT = r"""% @TITLE@
% Needs amsmath and amssymb. Macros begin with \@PREFIX@, labels with @LABEL@.
@CITES@@MACROS@
\begingroup\allowdisplaybreaks\jot=5pt@LOOSE@
@BODY@
\endgroup\ignorespaces
"""

LOOSE = r"\tolerance=9999\emergencystretch=3em"  # long formulas in narrow columns; \par makes it hold

DOCUMENT = r"""\documentclass[10pt,a4paper]{article}
\usepackage[textwidth=@WIDTH@,textheight=24cm]{geometry}
\usepackage{amsmath,amssymb}
\allowdisplaybreaks\tolerance=9999\emergencystretch=3em
\setlength{\parindent}{0pt}
\setlength{\parskip}{0.4em}
\setlength{\jot}{6pt}
\AtBeginDocument{\setlength{\abovedisplayskip}{5pt plus 2pt}\setlength{\belowdisplayskip}{5pt plus 2pt}}
@MACROS@
\begin{document}
@BODY@
\end{document}
"""

ESCAPES = {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}


@dataclass(frozen=True)
class Setting:
    r"""How a document becomes LaTeX.

    Attributes:
        names: LaTeX for symbols, such as {"mu": r"\alpha"}; the keys are those of `theory.typeset.macros.MACROS`.
        fragment: no preamble, title, table and bibliography, for a paper with amsmath and amssymb.
        prefix: what macros begin with, 2 to 20 letters.
        label_prefix: what labels begin with; by default prefix:name.
        width: of a line, in points; by default 16 cm, and 345 pt for a fragment.
        numbered: which equations carry a number and a label.

    Raises:
        ParameterError: a name for no symbol, or LaTeX that is more than symbols and accents; a prefix of another kind.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    fragment: bool = False
    prefix: str = PREFIX
    label_prefix: str | None = None
    width: float | None = None
    numbered: Numbered = "all"

    def __post_init__(self) -> None:
        check_names(self.names, BY_KEY)
        check_prefix(self.prefix)
        if self.label_prefix is not None and not re.fullmatch(r"[A-Za-z][A-Za-z0-9:.+-]{0,59}", self.label_prefix):
            raise ParameterError(
                f"label_prefix = {self.label_prefix!r} given; accepted: a letter, then letters, digits and any of "
                ":.+-, 60 in all, such as app:relu."
            )
        if self.numbered not in ("all", "last", "none"):
            raise ParameterError(f"numbered = {self.numbered!r} given; accepted: all, last, none.")

    @property
    def points(self) -> float:
        """The width of a line."""
        return self.width or (FRAGMENT_WIDTH if self.fragment else DOCUMENT_WIDTH)

    @property
    def line(self) -> float:
        """What an equation may take of it, in em."""
        return self.points / EM - SPARE - (0.0 if self.numbered == "none" else NUMBER)


def length(text: str) -> float:
    """Return a width in points (72.27 to the inch, as TeX has them).

    >>> length("3in"), length("345 pt")
    (216.81, 345.0)

    Raises `ParameterError` for anything else than a number with one of the units in, cm, mm and pt, 150 to 2000 pt.
    """
    width = points(text)
    if not NARROWEST <= width <= WIDEST:
        raise ParameterError(
            f"width = {text!r} given; accepted: a number with one of the units cm, in, mm, pt, from "
            f"{NARROWEST:g}pt to {WIDEST:g}pt, such as 3.4in."
        )
    return width


def to_latex(document: Document, setting: Setting | None = None) -> str:
    """Return a document as LaTeX.

    Raises `ParameterError` for a name of a symbol that does not occur.
    """
    writer = _Writer(document, setting or Setting())
    return writer.fragment() if writer.setting.fragment else writer.whole()


def escaped(text: str) -> str:
    r"""Return plain text with TeX's special characters escaped.

    >>> escaped("x**2 - x_1")
    'x**2 - x\\_1'
    """
    return re.sub(r"[\\{}_^~&%$#]", lambda special: ESCAPES.get(special[0], "\\" + special[0]), text)


class _Writer:
    """Parts of a file; remembers the names of long parts, and the macros that have been used."""

    def __init__(self, document: Document, setting: Setting) -> None:
        self.document, self.setting = document, setting
        self.notation = Notation(document.symbols, setting.prefix)
        self.names = Names()
        self.label = setting.label_prefix or f"{setting.prefix}:{document.name}".rstrip(":")
        self.page = Page(setting.line, setting.numbered, self.notation, self.where(), f"{self.label}:", TOGETHER)

    def where(self) -> str:
        """Return what stands before the definitions of long parts, if there are words."""
        words = any(isinstance(block, Paragraph) for section in self.document.sections for block in section.blocks)
        return "where" if words else ""

    def whole(self) -> str:
        """Return a file that compiles alone."""
        title, subtitle = escaped(self.document.title), self.text(self.document.subtitle)
        head = rf"\title{{{title}:\\ {subtitle}}}\author{{}}\date{{}}\maketitle"
        body = "".join([head, *self.sections(r"\section{%s}"), *self.references()])
        return self.filled(DOCUMENT, BODY=body, WIDTH=f"{self.setting.points:.6g}pt")

    def fragment(self) -> str:
        """Return a file for a paper to input."""
        keys = ", ".join(f"{CITED}{reference.key}" for reference in self.document.references)
        cites = f"% It cites {keys}.\n" if keys else ""
        title = "".join(map(_plain, (self.document.title, ": ", *self.document.subtitle)))
        holds = f"% {self.document.validity}\n" if self.document.validity else ""
        parts = {"TITLE": title, "PREFIX": self.setting.prefix, "LABEL": f"{self.label}:", "CITES": holds + cites}
        body = "".join(self.sections(r"\paragraph*{%s.}")).strip("\n")
        if holds and not self.where():  # without words, which say it
            body = f"\\noindent {self.text(Paragraph.of(self.document.validity).text)}\n{body}"
        loose = LOOSE if self.where() else ""
        return self.filled(FRAGMENT, BODY=body + ("\n\\par" if loose else ""), LOOSE=loose, **parts)

    def filled(self, template: str, **parts: str) -> str:
        """Put parts into a template, and the macros that they use."""
        parts["MACROS"] = self.notation.definitions(self.setting.names)
        return re.sub("@([A-Z]+)@", lambda place: parts[place[1]], template)

    def sections(self, heading: str) -> Iterator[str]:
        """Yield headings and blocks; a section without words has no heading."""
        for section in self.document.sections:
            has_words = any(isinstance(block, Paragraph) for block in section.blocks)
            if has_words and section.title:
                yield f"\n{heading % escaped(section.title)}\n"
            yield from map(self.block, section.blocks)

    def references(self) -> Iterator[str]:
        """Yield the bibliography."""
        if self.document.references:
            yield "\n\\begin{thebibliography}{99}\n"
            for reference in self.document.references:
                yield f"\\bibitem{{{CITED}{reference.key}}} {self.text(reference.text)}\n"
            yield "\\end{thebibliography}\n"

    def block(self, block: Block) -> str:
        """Return one block; a fragment has no table."""
        match block:
            case Equations(equations):
                return f"{align(equations, self.page, self.names)}\n"
            case Paragraph(text, general):
                return f"\n{self.text(text, general)}\n"
            case Meanings():
                return "" if self.setting.fragment else f"\n{self.table(block)}\n"

    def table(self, meanings: Meanings) -> str:
        """Return symbols and meanings in two columns, as wide as the line."""
        rows = (f"{self.piece(symbol)} & {self.text(meaning)}" for symbol, meaning in meanings.rows)
        body = " \\\\\n".join(rows)
        wide = r"p{\dimexpr\linewidth-6em\relax}"
        return rf"\begin{{center}}\begin{{tabular}}{{l{wide}}}{body}\end{{tabular}}\end{{center}}"

    def text(self, text: Text, general: bool = False) -> str:
        """Return running text."""
        joined = "".join(self.piece(piece, general) for piece in text)
        return joined.replace(r" \cite{", r"~\cite{")

    def piece(self, piece: Piece, general: bool = False) -> str:
        """Return words, or a formula with its macros."""
        match piece:
            case Math(tex):
                return f"${self.notation(tex, universal=general)}$"
            case Emphasis(text):
                return rf"\emph{{{escaped(text)}}}"
            case Code(text):
                return rf"\texttt{{{escaped(text)}}}"
            case Cite(key):
                return rf"\cite{{{CITED}{key}}}"
            case _:
                return escaped(piece)


def _plain(piece: Piece) -> str:
    """Return a piece of a title as a comment."""
    match piece:
        case Math(tex):
            return tex
        case Emphasis(text) | Code(text):
            return " ".join(text.split())
        case Cite():
            return ""
        case _:
            return piece
