r"""Formulas as MathML, which browsers set by themselves: one formula of LaTeX in, presentation MathML out.

`latex2mathml` converts; what it leaves slanted, unspaced or unknown is mended here. A command that it does not know
would be printed as text, so that is an error and never reaches a page.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from xml.etree import ElementTree as ET

from latex2mathml import exceptions
from latex2mathml.converter import convert
from markupsafe import Markup

from theory.errors import UnsupportedExpressionError
from theory.typeset.layout import Line

__all__ = ["aligned", "formula"]

UPRIGHT = re.compile(
    r"<mi>(&#x000(?:4[1-9A-F]|5[0-9A]|6[1-9A-F]|7[0-9A]);)</mi>"
)  # how the library writes a letter of \mathrm
RELATIONS = {"~": "∼", ":": ":", ";": ";"}  # identifiers to the library
REFUSALS = tuple(e for e in vars(exceptions).values() if isinstance(e, type) and issubclass(e, Exception))
CLOSE = {"lspace": "0", "rspace": "0"}
TALLER = {"stretchy": "true", "symmetric": "true"}
TALL = {"mfrac", "mtable", "munder", "mover", "munderover", "msqrt", "mroot"}


def formula(tex: str, *, display: bool = False) -> Markup:
    r"""Return one formula as a `math` element.

    Raises `UnsupportedExpressionError` for a command that has no MathML.

    >>> print(formula(r"\mathrm{d} q^{2}"))
    <math><mrow><mi mathvariant="normal">d</mi><msup><mi>q</mi><mrow><mn>2</mn></mrow></msup></mrow></math>
    """
    block = ET.Element("math", {"display": "block"} if display else {})
    block.extend(_converted(tex, display))
    return _text(block)


def aligned(lines: Sequence[Line], number: Callable[[str], int] | None = None) -> Markup:
    r"""Return lines that share an alignment mark as one table of MathML.

    Rows have three cells: number, left, right. The first line of an equation gets the number of its label, if any, and
    its label as id.

    >>> text = aligned([Line("one", "a", "= b"), Line(None, "", r"\quad + c")], {"one": 3}.__getitem__)
    >>> "(3)" in text, text.count('id="eq-one"'), text.count("<mtr")
    (True, 1, 2)
    """
    table = ET.Element("mtable", {"displaystyle": "true", "columnalign": "left right left"})
    for line in lines:
        row = ET.SubElement(table, "mtr")
        mark = ET.SubElement(row, "mtd", {"class": "number"})
        if number is not None and line.label is not None:
            row.set("id", f"eq-{line.label}")
            ET.SubElement(mark, "mtext").text = f"({number(line.label)})"
        for name, side in (("left", line.left), ("right", line.right)):
            cell = ET.SubElement(row, "mtd", {"class": name})
            cell.extend(_converted(side, True) if side else ())
    block = ET.Element("math", {"display": "block"})
    block.append(table)
    return _text(block)


def _converted(tex: str, display: bool) -> list[ET.Element]:
    """Return the content of a formula."""
    try:
        text = convert(tex, xmlns="", display="block" if display else "inline")
    except REFUSALS as error:
        raise UnsupportedExpressionError(f"{tex} given, {error!r}; accepted: LaTeX whose braces match.") from error
    root = ET.fromstring(UPRIGHT.sub(r'<mi mathvariant="normal">\1</mi>', text))
    for node in list(root.iter()):
        if "\\" in (node.text or ""):
            raise UnsupportedExpressionError(f"{node.text} in {tex} given; accepted: LaTeX that has a MathML element.")
        _join_upright(node)
        _shrink_fences(node)
        for place, child in enumerate(node):
            _mend(child, node[place + 1] if place + 1 < len(node) else None)
    return list(root)


def _join_upright(parent: ET.Element) -> None:
    """Merge upright letters that follow each other into one name."""
    for before, child in itertools.pairwise(list(parent)):
        if _is_upright(before) and _is_upright(child):
            child.text = f"{before.text}{child.text}"
            parent.remove(before)


def _is_upright(node: ET.Element) -> bool:
    return node.tag == "mi" and node.get("mathvariant") == "normal"


def _shrink_fences(row: ET.Element) -> None:
    """Keep brackets around what is not tall at their own size, as TeX does."""
    fences = [child for child in row if child.get("fence") == "true"]
    inside = (node for child in row if child not in fences for node in child.iter())
    if fences and not any(node.tag in TALL for node in inside):
        for fence in fences:
            fence.set("stretchy", "false")


def _mend(node: ET.Element, following: ET.Element | None) -> None:
    """Make names upright and spaced, and relations operators."""
    text = (node.text or "").strip()
    if node.tag == "mi" and text in RELATIONS:
        node.tag, node.text = "mo", RELATIONS[text]
    elif node.tag == "mo" and text == "*":
        node.text = "∗"  # the asterisk of mathematics: the other one is raised already
    elif node.tag == "mo" and text in ("/", "|"):
        node.attrib.update(CLOSE | TALLER if "minsize" in node.attrib else CLOSE)
    elif node.tag == "mo" and "minsize" in node.attrib:
        node.attrib.update(TALLER)
    elif node.tag in ("mi", "mo") and _is_function(text) and not _is_upright(node):  # He is a symbol
        node.tag = "mo"
        node.attrib.update({"lspace": "0.167em", "rspace": "0" if _opens(following) else "0.167em"})


def _is_function(text: str) -> bool:
    return len(text) > 1 and text.isascii() and text.isalpha()


def _opens(node: ET.Element | None) -> bool:
    """Whether a node begins with a bracket, or there is none."""
    if node is None:
        return True
    if node.tag == "mrow" and len(node):
        return _opens(node[0])
    return node.tag == "mo" and (node.text or "").strip() in ("(", "[", "{")


def _text(element: ET.Element) -> Markup:
    return Markup(ET.tostring(element, encoding="unicode"))
