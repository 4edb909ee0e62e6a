"""Whose results a derivation uses: a table of rules, each a key of `references.bib` and when it applies.

The rules that close a kernel are those that `theory.calculus.explain` prints, so that the list follows from the
derivation and not from a table of activations; only the kernels that were first published for one activation are named
as such. `references.bib` holds every entry once; `entries` reads it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import sympy as sp

from theory.calculus.expectations import Distribution
from theory.calculus.explain import kernel_steps
from theory.language.activations import REGISTRY
from theory.network.derivation import takes_text
from theory.network.system import System
from theory.shown import Several, Shown
from theory.symbols import x, y
from theory.writing.blocks import Emphasis, Text

__all__ = ["CITED", "RULES", "Entry", "Source", "bibliography", "entries", "printed", "sources"]

CITED = "hesc:"
"""What the keys that a document cites begin with, so that they are nobody else's."""

ENTRY = re.compile(r"^@(\w+)\{([a-z]+\d{4}),\n((?:  .*\n)+)\}$", re.MULTILINE)
FIELD = re.compile(r"^  (\w+) = \{(.*)\},$", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """One entry of `references.bib`; `bibtex` is its text as it stands there."""

    key: str
    kind: str
    fields: dict[str, str]
    bibtex: str


@dataclass(frozen=True)
class Source(Shown):
    """A publication, and what of it is used.

    Attributes:
        key: in `references.bib`.
        why: what of it is used.
    """

    shows = "key, why"

    key: str
    why: str

    @property
    def entry(self) -> Entry:
        """The bibliographic entry."""
        return entries()[self.key]


@dataclass(frozen=True)
class Rule:
    """A source and the derivations that use it."""

    key: str
    why: str
    applies: Callable[[System], bool]


def _named(key: str) -> Callable[[System], bool]:
    """Whether the network says that it comes from this publication."""
    return lambda system: key in system.network.sources


def _step(*rules: str) -> Callable[[System], bool]:
    return lambda system: bool(
        _rules(system.loss_function.student.expr, system.loss_function.teacher.expr).intersection(rules)
    )


@lru_cache(maxsize=16)
def _rules(student: sp.Expr, teacher: sp.Expr) -> frozenset[str]:
    return frozenset(step.rule for step in kernel_steps(Distribution.of(student), Distribution.of(teacher)))


def _pair(*activations: sp.Expr) -> Callable[[System], bool]:
    """Whether student and learnt link are the same one of these functions."""

    def applies(system: System) -> bool:
        loss = system.loss_function
        return loss.student.expr == loss.teacher.expr and loss.student.expr in activations

    return applies


def _by_parts(system: System) -> bool:
    """Whether Stein's lemma closes the kernel, or is behind A as one expectation of functions without a formula."""
    return _step("stein")(system) or (not system.loss_function.has_formula and system.escape.A is not None)


RULES: tuple[Rule, ...] = (
    Rule(
        "nwemadji2026",
        "LoRA fine-tuning of a pre-trained single-index student: its ODEs and its search time",
        _named("nwemadji2026"),
    ),
    Rule("hu2022", "low-rank adaptation", _named("hu2022")),
    Rule("saad1995", "closed equations of one-pass SGD in the overlaps", lambda _: True),
    Rule(
        "benarous2021",
        "the information exponent",
        lambda system: "benarous2021" in system.network.sources or system.loss_function.own == 0,
    ),
    Rule(
        "arnaboldi2023", "escape from the start of plain training, the noise of SGD included", _named("arnaboldi2023")
    ),
    Rule(
        "damian2024",
        "transforms of the label, and the generative exponent",
        lambda system: system.loss_function.labels.transform != y,
    ),
    Rule("price1958", "derivatives of a Gaussian expectation by its covariance: L_q and L_r", lambda _: True),
    Rule("mehler1866", "the kernel as a sum over Hermite coefficients", _step("mehler", "series")),
    Rule("stein1981", "powers of a Gaussian variable by parts", _by_parts),
    Rule("sheppard1899", "the arcsine of two centred gates", _step("sheppard")),
    Rule("plackett1954", "the bivariate normal distribution function of two gates off centre", _step("two gates")),
    Rule("chosaul2009", "the arc-cosine kernels", _pair(REGISTRY["relu"], REGISTRY["step"])),
    Rule("williams1997", "the arcsine kernel of the error function", _pair(sp.erf(x))),
    Rule("tsuchida2021", "the kernels of GELU and ELU", _pair(REGISTRY["gelu"], REGISTRY["elu"])),
    Rule(
        "trefethen2014", "the trapezoidal rule, by which the unevaluated expectations are computed", _step("quadrature")
    ),
)
"""What is cited, in this order."""


@takes_text
def sources(system: System) -> tuple[Source, ...]:
    """Return the sources of a derivation, in the order of `RULES`.

    >>> from theory.network.derivation import derive
    >>> [source.key for source in sources(derive("erf"))]
    ['nwemadji2026', 'hu2022', 'saad1995', 'price1958', 'sheppard1899', 'williams1997']
    >>> sources(derive("he3", model="plain"))[-1].why
    'the kernel as a sum over Hermite coefficients'
    """
    return Several(Source(rule.key, rule.why) for rule in RULES if rule.applies(system))


@lru_cache(maxsize=1)
def entries() -> dict[str, Entry]:
    """Return the entries of `references.bib` by key.

    >>> entries()["saad1995"].fields["journal"]
    'Physical Review E'
    """
    text = files("theory.writing").joinpath("references.bib").read_text(encoding="utf-8")
    library = {}
    for match in ENTRY.finditer(text):
        kind, key, body = match.groups()
        library[key] = Entry(key, kind, dict(FIELD.findall(body)), match.group())
    return library


@takes_text
def bibliography(system: System) -> str:
    r"""Return the sources of a derivation as BibTeX, under the keys that `document` cites.

    >>> from theory.network.derivation import derive
    >>> print(bibliography(derive("erf")).partition(",")[0])
    @article{hesc:nwemadji2026
    """
    texts = (source.entry.bibtex.replace("{", f"{{{CITED}", 1) for source in sources(system))
    return "\n\n".join(texts) + "\n"


def printed(entry: Entry) -> Text:
    """Return an entry as a line of a bibliography.

    >>> printed(entries()["stein1981"])[:2]
    ('C. M. Stein, Estimation of the Mean of a Multivariate Normal Distribution, ', Emphasis(text='The Annals ...'))
    """
    fields = {name: text.replace("{", "").replace("}", "").replace("--", "–") for name, text in entry.fields.items()}
    journal = fields.get("journal", fields.get("booktitle", ""))
    eprint = fields.get("eprint", "")
    inside, place = ("in ", journal) if "booktitle" in fields else ("", journal.removesuffix(f" arXiv:{eprint}"))
    rest = [f" {fields['volume']}" if "volume" in fields else "", f", {fields['pages']}" if "pages" in fields else ""]
    arxiv = f", arXiv:{eprint}" if eprint else ""
    head = f"{_authors(fields['author'])}, {fields['title']}, {inside}"
    return (head, Emphasis(place), f"{''.join(rest)} ({fields['year']}){arxiv}.")


def _authors(text: str) -> str:
    """Return BibTeX's list of authors with initials before the surnames."""
    people = [_person(*author.split(", ")) for author in text.split(" and ")]
    return people[0] if len(people) == 1 else f"{', '.join(people[:-1])} and {people[-1]}"


def _person(surname: str, given: str) -> str:
    return " ".join([*(name if name.endswith(".") else f"{name[0]}." for name in given.split()), surname])
