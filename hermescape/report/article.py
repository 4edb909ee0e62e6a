r"""The derivation of `theory.writing.document` as sections of HTML: the same words and equations, set by the browser.

The document uses a small part of LaTeX: macros without arguments, sections, paragraphs, `align`, one table, \emph
and formulas between dollars. Anything else is an error and never reaches a page.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from hermescape.report.mathml import align_block, formula
from theory.errors import UnsupportedExpressionError

__all__ = ["Section", "sections", "text_to_html", "unnumbered"]

MACRO = re.compile(r"^\\newcommand\{\\(\w+)\}\{(.*)\}$", re.MULTILINE)
ENVIRONMENT = re.compile(r"\\begin\{(align\*?|center)\}\n?(.*?)\\end\{\1\}", re.DOTALL)
BARE = re.compile(r"^\{(\\?[A-Za-z]+)\}$")  # braces that no script needs; some converters take them for arguments
PUNCTUATION = re.compile(r"^[,.;:)]+")
TABULAR = re.compile(r"\\begin\{tabular\}\{l+\}(.*)\\end\{tabular\}", re.DOTALL)


class Section(NamedTuple):
    """A title and what follows it, as HTML."""

    title: str
    content: str


def sections(document: str, prefix: str = "") -> list[Section]:
    r"""Return the sections of a document; numbers of equations run through all of them.

    Raises `UnsupportedExpressionError` for LaTeX that has no HTML.

    >>> made = sections(r"\begin{document}\section{Loss} With $q$,\end{document}")
    >>> made[0].title, made[0].content
    ('Loss', '<p>With <span class="whole"><math><mrow><mi>q</mi></mrow></math>,</span></p>')
    """
    body = document.partition(r"\begin{document}")[2].partition(r"\end{document}")[0]
    macros = dict(MACRO.findall(document))
    expanded = _expanded(body, macros)
    number, found = 1, []
    for part in re.split(r"\\section\{", expanded)[1:]:
        title, _, content = part.partition("}")
        blocks = []
        for block in _blocks(content):
            text, number = _block(block, number)
            blocks.append(text)
        found.append(Section(title, "\n".join(blocks)))
    return found


def unnumbered(text: str) -> str:
    r"""Return paragraphs and `align*` environments as HTML.

    >>> unnumbered("where").startswith("<p>")
    True
    """
    return "\n".join(_block(block, 0)[0] for block in _blocks(text))


def _expanded(text: str, macros: Mapping[str, str]) -> str:
    """Replace macros without arguments; what they stand for holds no other."""
    if not macros:
        return text
    plain = {name: BARE.sub(r"\1", body) for name, body in macros.items()}
    names = re.compile(rf"\\({'|'.join(sorted(macros, key=len, reverse=True))})(?![A-Za-z])")
    return names.sub(lambda found: plain[found[1]], text)


def _blocks(content: str) -> Iterator[str]:
    """Yield environments and paragraphs."""
    at = 0
    for found in ENVIRONMENT.finditer(content):
        yield from _paragraphs(content[at : found.start()])
        yield found[0]
        at = found.end()
    yield from _paragraphs(content[at:])


def _paragraphs(text: str) -> Iterator[str]:
    yield from (part.strip() for part in re.split(r"\n\s*\n", text) if part.strip())


def _block(block: str, number: int) -> tuple[str, int]:
    """Return one block as HTML, and the number of the next equation."""
    environment = ENVIRONMENT.fullmatch(block)
    if environment is None:
        return f"<p>{text_to_html(block)}</p>", number
    if environment[1] == "center":
        table = TABULAR.fullmatch(environment[2].strip())
        if table is None:
            raise UnsupportedExpressionError(f"{block[:80]} given; accepted: a tabular in the center environment.")
        rows = (line.split(" & ", 1) for line in table[1].split(" \\\\\n"))
        body = "".join(f'<tr><th scope="row">{text_to_html(a)}</th><td>{text_to_html(b)}</td></tr>' for a, b in rows)
        return f'<div class="scroll"><table class="symbols">{body}</table></div>', number
    text, number = align_block(environment[2], number)
    return f'<div class="scroll equation" tabindex="0">{text}</div>', number


def text_to_html(text: str) -> str:
    r"""Return a paragraph as HTML.

    >>> text_to_html(r"\emph{Time} < $t$")
    '<em>Time</em> &lt; <math><mrow><mi>t</mi></mrow></math>'
    """
    pieces = re.split(r"\$([^$]*)\$", text)
    made = [_words(pieces[0])]
    for inner, after in zip(pieces[1::2], pieces[2::2], strict=True):
        mark = PUNCTUATION.match(after)
        shown = formula(inner)
        made.append(f'<span class="whole">{shown}{mark[0]}</span>' if mark else shown)
        made.append(_words(after[mark.end() :] if mark else after))
    return "".join(made)


def _words(text: str) -> str:
    marked = html.escape(text, quote=False)
    marked = re.sub(r"\\emph\{([^{}]*)\}", r"<em>\1</em>", marked)
    if "\\" in marked:
        raise UnsupportedExpressionError(rf"{text} given; accepted: text with \emph and formulas between dollars.")
    return re.sub(r"\s+", " ", marked)
