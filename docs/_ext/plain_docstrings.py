r"""Docstrings as they are written here, made into reST for Sphinx.

They are Google style, and otherwise plain text: |m|, a_m and l* are mathematics and not markup, an indented paragraph
is a formula to be shown as it stands, *word* is emphasis, `name` is code (a link, where it names something of this
project), \(...\) is LaTeX, eq-law is the equation of that label in theory.md, and `>>>` begins an example. `rewrite`
runs before napoleon, which then finds its sections.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from own_links import STOREYS, target_of
from sphinx.application import Sphinx

SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Yields):$")
ITEM = re.compile(r"(\s*)(- |\d+\. )\S")
SPANS = re.compile(
    r"\\\((?P<math>.+?)\\\)"
    r"|\$(?P<tex>[^$\s][^$\n]*)\$"
    r"|`(?P<code>[^`]+)`"
    r"|(?<![\w*\\])\*(?P<emphasis>[A-Za-z](?:[^*]*[^\s*])?)\*(?![\w*])"
    r"|\b(?P<equation>eq-[a-z-]*[a-z])\b"
    r"|arXiv:(?P<paper>\d{4}\.\d{5})",
    re.DOTALL,
)
MARKUP = re.compile(r"[\\*|`]|(?<=[\w)\]}])_(?![A-Za-z0-9])")
BEFORE_NAPOLEON = 400


def rewrite(lines: list[str]) -> list[str]:
    """Return the reST of a plain docstring.

    >>> rewrite(["The overlap |m| of", "", "    m = <v, w*>", "", "with `numpy`, *once*."])
    ['The overlap \\\\|m\\\\| of', '', '.. code-block:: text', '', '      m = <v, w*>', '', 'with ``numpy``, *once*.']
    """
    found: list[str] = []
    for kind, indent, block in _blocks(lines):
        new = _block(kind, indent, block)
        found += new[1:] if new[0] == "" and (not found or found[-1] == "") else new
    return found


def _block(kind: str, indent: int, lines: list[str]) -> list[str]:
    if kind == "formula":
        return ["", " " * indent + ".. code-block:: text", "", *("  " + line for line in lines), ""]
    if kind == "item":
        return ["", *inline(lines)]
    return inline(lines) if kind == "text" else lines


def _blocks(lines: list[str]) -> Iterator[tuple[str, int, list[str]]]:
    """Yield (kind, indent of the running text, lines): text, item of a list, formula, section, example or blank."""
    base, section, position = 0, False, 0
    while position < len(lines):
        start, line = position, lines[position]
        indent = _indent(line)
        position += 1
        if not line.strip():
            yield "blank", base, [""]
            continue
        section = (section and indent > 0) or bool(SECTION.match(line))
        if line.lstrip().startswith(">>>"):
            while position < len(lines) and lines[position].strip():
                position += 1
            yield "blank", base, [""]
            yield "example", base, lines[start:position]
        elif SECTION.match(line):
            yield "section", 0, [line]
        elif section:
            position = _end_of_text(lines, position, 99)
            yield "text", base, lines[start:position]
        elif item := ITEM.match(line):
            base = len(item[1]) + len(item[2])
            position = _end_of_text(lines, position, base)
            yield "item", base, lines[start:position]
        elif indent > base:
            position = _end_of_formula(lines, position, base)
            yield "formula", base, lines[start:position]
        else:
            if indent < base:
                yield "blank", indent, [""]
            base = indent
            position = _end_of_text(lines, position, base)
            yield "text", base, lines[start:position]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _end_of_text(lines: list[str], position: int, base: int) -> int:
    """Return where a paragraph ends: at a blank or deeper line, an item or an example."""
    while position < len(lines):
        line = lines[position]
        if not line.strip() or _indent(line) > base or ITEM.match(line) or line.lstrip().startswith(">>>"):
            break
        position += 1
    return position


def _end_of_formula(lines: list[str], position: int, base: int) -> int:
    """Return where a formula ends: where the text comes back to its indent, blank lines before that left out."""
    end = position
    while position < len(lines) and (not lines[position].strip() or _is_formula(lines[position], base)):
        position += 1
        end = position if lines[position - 1].strip() else end
    return end


def _is_formula(line: str, base: int) -> bool:
    return _indent(line) > base and not ITEM.match(line)


def inline(lines: list[str]) -> list[str]:
    """Return a paragraph with its markup characters escaped, its code and mathematics as roles."""
    text, out, last = "\n".join(lines), [], 0
    for span in SPANS.finditer(text):
        out += [_escape(text[last : span.start()]), _span(span)]
        last = span.end()
    return "".join([*out, _escape(text[last:])]).split("\n")


def _span(span: re.Match[str]) -> str:
    if math := span["math"] or span["tex"]:
        return f":math:`{' '.join(math.split())}`"
    if code := span["code"]:
        name = " ".join(code.split())
        target = target_of(name)
        return f"``{name}``" if target is None else f":py:obj:`{name} <{target}>`"
    if equation := span["equation"]:
        return f":eq:`{equation}`"
    if emphasis := span["emphasis"]:
        return f"*{_escape(emphasis)}*"
    return f"`arXiv:{span['paper']} <https://arxiv.org/abs/{span['paper']}>`__"


def _escape(text: str) -> str:
    return MARKUP.sub(lambda found: f"\\{found.group()}", text)


def _process(_app: Sphinx, what: str, name: str, _obj: object, _options: object, lines: list[str]) -> None:
    if name.split(".", maxsplit=1)[0] not in STOREYS:
        return
    if lines and lines[0].startswith("Alias for field number"):  # what a named tuple says of its own accord
        lines.clear()
    # napoleon would read "word: text" on the first line of an attribute as a type
    lines[:] = ["..", ""] * (what in ("attribute", "property", "data")) + rewrite(lines)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect before napoleon."""
    app.connect("autodoc-process-docstring", _process, priority=BEFORE_NAPOLEON)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
