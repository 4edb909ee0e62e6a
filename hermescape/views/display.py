"""Results as Jupyter shows them: equations, and a table of name, value and meaning, as HTML that needs nothing else.

Formulas are MathML, which browsers set by themselves; colours are those of the page around, light or dark. Whatever is
text is escaped. `theory.shown` says what a result shows.
"""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from hermescape.mathml import aligned, formula
from theory.errors import UnsupportedExpressionError
from theory.shown import Row, Shown, is_formula, short
from theory.typeset.layout import lay_out
from theory.typeset.lines import Names
from theory.typeset.printing import latex

__all__ = ["html"]

LINE = 48.0  # em of an equation before it is broken
LONGEST = 160  # characters of LaTeX of a value that stands in a cell
MARKED = re.compile(r"`([^`]+)`|\$([^$]+)\$")
STYLE = Markup(
    """<style>
.hesc { font-size: .92rem; line-height: 1.45; color: inherit; max-width: 60rem; }
.hesc .hesc-math, .hesc .hesc-rows { overflow-x: auto; margin: .5em 0; }
.hesc .hesc-math math { width: max-content; margin: 0 0 .3em; }
.hesc .hesc-math mtd { padding: .35em 0; vertical-align: baseline; text-align: left; }
.hesc .hesc-math mtd.left { text-align: right; }
.hesc .hesc-math mtd.number { display: none; }
.hesc .hesc-math mtable mtable mtd { padding: .2em .5em; text-align: center; }
.hesc table { border-collapse: collapse; margin: 0; font-size: inherit; color: inherit;
  font-variant-numeric: tabular-nums; }
.hesc td math { math-style: normal; }
.hesc tr, .hesc tr:nth-child(even), .hesc tr:hover { background: transparent; }
.hesc th, .hesc td { padding: .2em 1em .2em 0; text-align: left; vertical-align: baseline; max-width: 32rem;
  border: 0; border-bottom: 1px solid rgba(128, 128, 128, .3); color: inherit; white-space: normal; }
.hesc td.hesc-value { white-space: nowrap; max-width: none; }
.hesc td.hesc-words { white-space: normal; }
.hesc th { font-weight: 400; }
.hesc td:last-child { opacity: .85; }
.hesc code { background: none; color: inherit; padding: 0; font-size: .94em; }
</style>"""
)


def html(shown: Shown) -> str:
    """Return a result as HTML.

    >>> from theory.language.labels import labels
    >>> page = html(labels("relu", transform="y**2"))
    >>> "<msup><mi>y</mi>" in page, page.count("<tr>"), "<script" in page
    (True, 3, False)
    """
    kind, said, rest = shown.heading.partition(": ")
    head = Markup("<div><strong>{}</strong>{}{}</div>").format(kind, said, _words(rest))
    parts = (STYLE, head, _equations(shown), _table(shown.quantities()))
    return str(Markup('<div class="hesc">{}{}{}{}</div>').format(*parts))


def _equations(shown: Shown) -> Markup:
    """Return what it has of equations; as text where a part of one has no MathML."""
    equations = getattr(shown, "equations", ()) if shown.formulas() else ()
    if not equations:
        return Markup()
    try:
        blocks = [aligned(lines) for lines in lay_out(equations, LINE, Names())]
    except UnsupportedExpressionError:
        said = "\n".join(f"{name} = {short(f)}" for name, f in shown.formulas().items())
        blocks = [Markup("<pre>{}</pre>").format(said)]
    return Markup('<div class="hesc-math">{}</div>').format(Markup().join(blocks))


def _table(rows: list[Row]) -> Markup:
    body = Markup().join(map(_row, rows))
    return Markup('<div class="hesc-rows"><table><tbody>{}</tbody></table></div>').format(body) if rows else body


def _row(row: Row) -> Markup:
    value, kind = _value(row)
    cells = '<tr><th scope="row"><code>{}</code></th><td class="hesc-{}">{}</td><td>{}</td></tr>'
    return Markup(cells).format(row.name, kind, value, _words(row.meaning))


def _value(row: Row) -> tuple[Markup, str]:
    """Return the value, and whether it is a value, that stays on its line, or words, which need not."""
    if is_formula(row.value) and row.error is None:
        tex = latex(row.value)
        if len(tex) <= LONGEST and "CRootOf" not in tex:
            return _formula(tex, row.text), "value"
    return escape(row.text), "words" if len(row.text) > len("-1.2345678e-10 ± 1e-10, exact") else "value"


def _words(text: str) -> Markup:
    """Return running text: `code` between backticks, formulas between dollars."""
    made, end = Markup(), 0
    for mark in MARKED.finditer(text):
        made += escape(text[end : mark.start()])
        made += Markup("<code>{}</code>").format(mark[1]) if mark[1] else _formula(mark[2])
        end = mark.end()
    return made + escape(text[end:])


def _formula(tex: str, otherwise: str = "") -> Markup:
    """Return a formula; as text where a part of it has no MathML."""
    try:
        return formula(tex)
    except UnsupportedExpressionError:
        return escape(otherwise or tex)
