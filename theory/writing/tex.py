r"""A document of `theory.writing.blocks` as LaTeX that pdflatex compiles (amsmath, amssymb), or as a fragment of one.

Every equation has a number and a label (eq:loss, eq:kernel-3, ...), and every symbol is a macro that can be renamed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from theory.typeset.layout import Page, align
from theory.typeset.lines import Names
from theory.typeset.macros import BY_KEY, Notation, check_names
from theory.writing.blocks import Block, Code, Document, Emphasis, Equations, Math, Meanings, Paragraph, Piece, Text

__all__ = ["escaped", "to_latex"]

DOCUMENT_LINE, FRAGMENT_LINE = 41.0, 31.0  # em, of a text 16 cm wide and of the article class's 345 pt

FRAGMENT = r"""% Needs amsmath and amssymb. Rename a symbol by defining its macro before this file is read.
@MACROS@

@BODY@
"""

DOCUMENT = r"""\documentclass[10pt,a4paper]{article}
\usepackage[textwidth=16cm,textheight=24cm]{geometry}
\usepackage{amsmath,amssymb}
\allowdisplaybreaks
\setlength{\parindent}{0pt}
\setlength{\parskip}{0.4em}
\AtBeginDocument{\setlength{\abovedisplayskip}{5pt plus 2pt}\setlength{\belowdisplayskip}{5pt plus 2pt}}
@MACROS@
\begin{document}
@BODY@
\end{document}
"""

ESCAPES = {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}


def to_latex(document: Document, names: Mapping[str, str] | None = None, fragment: bool = False) -> str:
    r"""Return a document as LaTeX.

    Args:
        document: title and sections.
        names: LaTeX for symbols, such as {"mu": r"\alpha"}; the keys are those of `theory.typeset.macros.MACROS`.
        fragment: macros and numbered equations only, the text as comments, for a paper with amsmath and amssymb.

    Raises:
        ParameterError: a name for a symbol that does not occur, or LaTeX that is more than symbols and accents.
    """
    names = dict(names or {})
    check_names(names, BY_KEY)
    writer = _Writer(document, fragment)
    body = "".join(writer.parts())
    definitions = writer.notation.definitions(names, "providecommand" if fragment else "newcommand")
    return (FRAGMENT if fragment else DOCUMENT).replace("@MACROS@", definitions).replace("@BODY@", body)


def escaped(text: str) -> str:
    r"""Return plain text with TeX's special characters escaped.

    >>> escaped("x**2 - x_1")
    'x**2 - x\\_1'
    """
    return re.sub(r"[\\{}_^~&%$#]", lambda special: ESCAPES.get(special[0], "\\" + special[0]), text)


class _Writer:
    """Parts of a file; remembers the names of long parts, and the macros that have been used."""

    def __init__(self, document: Document, fragment: bool) -> None:
        self.document, self.fragment = document, fragment
        self.notation = Notation(document.symbols)
        self.names = Names()
        line, where = (FRAGMENT_LINE, "% where") if fragment else (DOCUMENT_LINE, "where")
        self.page = Page(line, numbered=True, write=self.notation, where=where)

    def parts(self) -> Iterator[str]:
        """Yield what a file holds between its first and last lines, in order."""
        if not self.fragment:
            title, subtitle = escaped(self.document.title), self.text(self.document.subtitle)
            yield rf"\title{{{title}:\\ {subtitle}}}\author{{}}\date{{}}\maketitle"
        for section in self.document.sections:
            title = escaped(section.title)
            yield f"\n% --- {title}\n" if self.fragment else f"\n\\section{{{title}}}\n"
            yield from map(self.block, section.blocks)

    def block(self, block: Block) -> str:
        """Return one block; a fragment has its text as comments, and no table."""
        match block:
            case Equations(equations):
                return f"{align(equations, self.page, self.names)}\n"
            case Paragraph(text, general):
                return f"\n{'% ' if self.fragment else ''}{self.text(text, general)}\n"
            case Meanings():
                return "" if self.fragment else f"\n{self.table(block)}\n"

    def table(self, meanings: Meanings) -> str:
        """Return symbols and meanings in two columns."""
        rows = (f"{self.piece(symbol)} & {self.text(meaning)}" for symbol, meaning in meanings.rows)
        body = " \\\\\n".join(rows)
        return rf"\begin{{center}}\begin{{tabular}}{{ll}}{body}\end{{tabular}}\end{{center}}"

    def text(self, text: Text, general: bool = False) -> str:
        """Return running text."""
        return "".join(self.piece(piece, general) for piece in text)

    def piece(self, piece: Piece, general: bool = False) -> str:
        """Return words, or a formula with its macros."""
        match piece:
            case Math(tex):
                return f"${self.notation(tex, universal=general)}$"
            case Emphasis(text):
                return rf"\emph{{{escaped(text)}}}"
            case Code(text):
                return rf"\texttt{{{escaped(text)}}}"
            case _:
                return escaped(piece)
