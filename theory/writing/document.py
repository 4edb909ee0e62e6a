r"""The derivation of a system as a document: which words and which equations, in which order.

Every rule of `theory.calculus.explain` is stated where it is first used. How a document looks is for renderers:
`theory.writing.tex`, and `hermescape.report` for HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from inspect import signature

import sympy as sp

from theory.errors import ParameterError
from theory.language.activations import constants_of
from theory.network.derivation import derive, takes_text
from theory.network.system import System
from theory.symbols import Delta, alpha, c, m, mu, q_s, rho, s, u
from theory.typeset.layout import Equation, Numbered
from theory.typeset.macros import BY_KEY, PREFIX
from theory.writing import words
from theory.writing.blocks import Block, Document, Equations, Reference, Section, Text, cited
from theory.writing.families import where_it_holds
from theory.writing.sections import PARTS, Writer
from theory.writing.sources import entries, printed
from theory.writing.tex import Setting, length, to_latex

__all__ = ["derivation", "document"]

DEFAULT = signature(derive).parameters["model"].default  # the model that a label need not name
LONGEST_NAME = 24  # characters of what labels begin with

MODEL_SYMBOLS = {mu: "mu", rho: "rho", m: "m", s: "s", u: "u", alpha: "alpha", c: "c", q_s: "q_s", Delta: "Delta"}


@takes_text
def document(
    system: System,
    names: Mapping[str, str] | None = None,
    fragment: bool = False,
    *,
    only: Iterable[str] | str | None = None,
    order: int | None = None,
    text: bool | None = None,
    width: str | None = None,
    numbered: Numbered = "all",
    prefix: str = PREFIX,
    label_prefix: str | None = None,
) -> str:
    r"""Return the derivation of a system as LaTeX that pdflatex compiles.

    Args:
        system: a derived system.
        names: LaTeX for symbols, such as {"mu": r"\alpha"}; the keys are those of `theory.typeset.macros.MACROS`.
        fragment: no preamble and no title, for a paper with amsmath and amssymb.
        only: some of `PARTS`, as "loss,odes" or a list; by default all.
        order: of Hermite sums, which are a part of their own; none by default.
        text: whether equations come with words; by default in a document and not in a fragment.
        width: of a line, such as "3.4in", for type of 10 pt; by default 16 cm, and 345 pt for a fragment.
        numbered: "all", "last" (one number for each display) or "none".
        prefix: what macros and labels begin with, 2 to 20 letters.
        label_prefix: what labels begin with, by default the prefix and the name, hesc:relu.

    Raises:
        ParameterError: a value that is not among these, a name for a symbol that does not occur, LaTeX that is more
            than symbols and accents, or a part that this derivation does not have.

    >>> from theory.network.derivation import derive
    >>> shown = document(derive("linear"), names={"mu": r"\beta"}, fragment=True, only="A,B")
    >>> r"\newcommand{\hescalignment}{{\beta}}" in shown, r"\label{hesc:linear:drive}" in shown, "kernel" in shown
    (True, True, False)
    """
    points = None if width is None else length(width)
    setting = Setting(names or {}, fragment, prefix, label_prefix, points, numbered)  # checked before the work
    with_words = not fragment if text is None else text
    return to_latex(derivation(system, only=only, order=order, text=with_words), setting)


def derivation(
    system: System, *, only: Iterable[str] | str | None = None, order: int | None = None, text: bool = True
) -> Document:
    """Return the derivation of a system, from its loss to its exit time.

    Args:
        system: a derived system.
        only: some of `PARTS`; by default all.
        order: of Hermite sums; none by default.
        text: whether equations come with words.

    Raises:
        ParameterError: a part that there is not, or that this derivation does not have.

    >>> from theory.network.derivation import derive
    >>> [section.title for section in derivation(derive("linear")).sections][2:4]
    ['Kernel', 'Population loss']
    """
    chosen = _chosen(only)
    sections, there = _sections(Writer(system, order), chosen, text)
    for part in [] if only is None else sorted(chosen - there):
        raise ParameterError(
            f"only = {part!r} given, which this derivation of model {system.network.name} does not have; accepted: "
            f"{', '.join(part for part in PARTS if part in _sections(Writer(system, order), set(PARTS), text)[1])}."
        )
    present = {*system.states, *system.parameters, *sp.sympify(system.loss).free_symbols}
    local = set(MODEL_SYMBOLS.values()) - {MODEL_SYMBOLS[x] for x in present if x in MODEL_SYMBOLS}
    references = tuple(Reference(key, printed(entries()[key])) for key in cited(sections))
    symbols = frozenset(BY_KEY) - local - {parameter.name for parameter in system.network.domain}
    return Document(words.TITLE, _pair(system), sections, symbols, _name(system), references, where_it_holds(system))


def _chosen(only: Iterable[str] | str | None) -> set[str]:
    if only is None:
        return set(PARTS)
    given = [part.strip() for part in (only.split(",") if isinstance(only, str) else only)]
    for part in given or [""]:
        if part not in PARTS:
            raise ParameterError(f"only = {part!r} given; accepted: some of {', '.join(PARTS)}.")
    return set(given)


def _sections(writer: Writer, chosen: set[str], text: bool) -> tuple[tuple[Section, ...], set[str]]:
    """Return the sections of some parts, and which parts there are; without words all equations stand together."""
    sections: list[Section] = []
    there: set[str] = set()
    for title, tagged in writer.sections():
        kept = [(part, block) for part, block in tagged if part in chosen and block != Equations.of()]
        kept = [each for each in kept if text or isinstance(each[1], Equations)]
        there |= {part for part, _ in kept}
        if kept:
            sections.append(Section(title, _merged(block for _, block in kept)))
    if sections and "definitions" not in chosen:
        first = sections[0]
        sections[0] = Section(first.title, _merged((Equations(_constants(writer.system, sections)), *first.blocks)))
    if not text and chosen != set(PARTS):
        sections = [Section("", _merged(block for section in sections for block in section.blocks))]
    return tuple(section for section in sections if section.blocks), there


def _constants(system: System, sections: Iterable[Section]) -> tuple[Equation, ...]:
    """Return the long decimals of student and teacher that stand in these sections by name."""
    blocks = [block for section in sections for block in section.blocks if isinstance(block, Equations)]
    shown = "".join(side for block in blocks for each in block.equations for side in (each.left, *each.rights))
    return tuple(each for each in constants_of(system.loss_function.constants) if each.left in shown)


def _merged(blocks: Iterable[Block]) -> tuple[Block, ...]:
    """Put equations without words between them into one display."""
    merged: list[Block] = []
    for block in blocks:
        if block == Equations.of():
            continue
        if merged and isinstance(block, Equations) and isinstance(merged[-1], Equations):
            merged[-1] = Equations(_chained((*merged[-1].equations, *block.equations)))
        else:
            merged.append(block)
    return tuple(merged)


def _chained(equations: Iterable[Equation]) -> tuple[Equation, ...]:
    """Join neighbours that have the same left-hand side."""
    chained: list[Equation] = []
    for equation in equations:
        if chained and chained[-1].left == equation.left:
            last = chained[-1]
            chained[-1] = Equation(last.label, last.left, (*last.rights, *equation.rights))
        else:
            chained.append(equation)
    return tuple(chained)


def _pair(system: System) -> Text:
    """Return the names of student and teacher."""
    loss = system.loss_function
    student, teacher = map(words.named, (loss.student, loss.labels.link), (r"\sigma", r"\varphi"))
    return ("student ", student) if student == teacher else ("student ", student, " on teacher ", teacher)


def _name(system: System) -> str:
    """Return what labels begin with: student, teacher where it is another, model and objective likewise."""
    loss, model = system.loss_function, system.network.name
    pair = [loss.student.name, *([] if loss.labels.link == loss.student else ["on", loss.labels.link.name])]
    parts = [*pair, *([] if model == DEFAULT else [model]), *([] if loss.own else [loss.network.objective])]
    slugs = (re.sub("[^A-Za-z0-9]+", "-", part)[:LONGEST_NAME].strip("-") for part in parts)
    return "-".join(slug for slug in slugs if slug)
