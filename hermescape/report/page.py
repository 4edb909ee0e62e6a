"""The page: one file with everything in it. No script, no font, no picture is loaded from anywhere.

Templates hold all markup and escape whatever is not `Markup`; the rooms beside this one hand them facts.
"""

from __future__ import annotations

import platform
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import version

from jinja2 import Environment, PackageLoader, StrictUndefined

from hermescape.report import tables
from hermescape.report.article import Chapter, chapters
from hermescape.report.figures import FIGURES, Figure, drawn
from hermescape.report.findings import Findings
from hermescape.report.stages import Missing, Stages, Tell
from hermescape.verify.report import Report
from theory.writing.document import derivation

__all__ = ["POLICY", "page", "short_name", "templates"]

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"  # browsers then refuse to load anything
LIBRARIES = ("numpy", "scipy", "sympy", "numba", "matplotlib", "latex2mathml")
FIRST = ("Escape time", "Regimes")
"""Sections of the derivation that are read first; all others but the last are folded."""
LAST = ("Sources", "References")
IN_DERIVATION = {"Hermite expansion": "spectrum", "Kernel": "kernel"}


def page(findings: Findings, seconds: float, command: str, tell: Tell | None = None) -> str:
    """Return the HTML of a report.

    Args:
        findings: what was computed.
        seconds: how long that took.
        command: the command line that makes the same report.
        tell: called with what is drawn now, and how many figures are drawn of how many.
    """
    stages = Stages(findings.settings.patience, tell, spent=seconds)
    sections, figures = _sections(findings), _figures(findings, stages)
    wanted = "tau" if findings.settings.is_pretrained else "distribution"
    return (
        templates()
        .get_template("page.html")
        .render(
            version=version("hermescape"),
            policy=POLICY,
            title=_title(findings),
            banner=_banner(findings),
            meaning=tables.meaning(findings),
            first=wanted if isinstance(figures[wanted], Figure) else None,
            facts=tables.facts(findings),
            figures=figures,
            titles={key: title for key, (title, _) in FIGURES.items()},
            derivation=[chapter for chapter in sections if chapter.title not in (*FIRST, *LAST)],
            escape=[chapter for chapter in sections if chapter.title in FIRST],
            origin=[chapter for chapter in sections if chapter.title in LAST],
            numbers=dict(number for chapter in sections for number in chapter.numbers.items()),
            in_derivation=IN_DERIVATION,
            exponents=tables.exponents(findings),
            roots=tables.roots(findings),
            search_times=tables.search_times(findings),
            place="" if findings.focus.mu is None else f" at μ = {findings.focus.mu:g}",
            regime=findings.regime,
            laws=tables.laws(findings),
            without_law=tables.without_law(findings),
            check=tables.check(findings),
            command=command,
            settings=tables.settings_table(_settings(findings, seconds)),
        )
    )


def _sections(findings: Findings) -> list[Chapter]:
    """Return the derivation in the order of the page, so that equations are numbered as they are read."""
    document = derivation(findings.system)
    return chapters(replace(document, sections=tuple(sorted(document.sections, key=lambda s: s.title not in FIRST))))


def templates() -> Environment:
    """Return the templates of a page, which escape every value that is not `Markup`, and refuse names without one."""
    environment = Environment(
        loader=PackageLoader("hermescape.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["typeset"] = tables.typeset
    environment.tests["missing"] = lambda part: isinstance(part, Missing)
    return environment


def _title(findings: Findings) -> str:
    loss = findings.system.loss_function
    student, teacher = loss.student.name, loss.labels.link.name
    pair = short_name(student) if student == teacher else f"{short_name(student)} on {short_name(teacher)}"
    network = findings.system.network
    training = f"{network.words.title or network.name}{network.minimised.aside}"
    return f"{pair}, {training}: from the population loss to the escape time"


def short_name(name: str) -> str:
    """Return a name that a title can hold."""
    return name if len(name) <= 60 else f"{name[:57]}..."


def _banner(findings: Findings) -> dict[str, str]:
    """Return the outcome of the check: a class of CSS, a word and a sentence."""
    report = findings.verdict
    if isinstance(report, Missing):
        return {"kind": "undecided", "word": "Not checked.", "said": "See the reason under Check."}
    parts = report.cases
    agreed = sum(part.passed for part in parts)
    name = "check" if report.at_one_dimension else "check --law"
    where = "cases" if findings.focus.mu is None else "alignments"
    return {
        "kind": "agree" if report.passed else "disagree",
        "word": "Checked." if report.passed else "The check did not pass.",
        "said": f"Theory and exact simulation agree at {agreed} of {len(parts)} {where} (hermescape {name}).",
    }


def _figures(findings: Findings, stages: Stages) -> dict[str, Figure | Missing]:
    figures: dict[str, Figure | Missing] = {}
    for count, (key, (title, _)) in enumerate(FIGURES.items()):
        draw, name = partial(drawn, key, findings), f"figure “{title}”"
        figures[key] = stages.attempt(name, draw, place=(count, len(FIGURES)))
    return figures


def _settings(findings: Findings, seconds: float) -> list[tuple[str, object]]:
    """Return everything that the numbers depend on, by name."""
    given = {name: value for name, value in asdict(findings.settings).items() if name not in ("student", "teacher")}
    loss = findings.system.loss_function
    facts: list[tuple[str, object]] = [("student", loss.student.name), ("teacher", loss.labels.link.name)]
    facts += [(name.replace("_", " "), _listed(value)) for name, value in given.items() if value not in (None, ())]
    if isinstance(findings.verdict, Report):
        chosen = {name: value for name, value in findings.verdict.settings.items() if name not in CONFIRMED}
        facts += [(f"check: {name.replace('_', ' ')}", _listed(value)) for name, value in chosen.items()]
    facts += [("time unit", "t = step size × steps"), ("computed in", f"{seconds:.1f} s")]
    facts += [("hermescape", version("hermescape")), ("Python", platform.python_version())]
    facts += [(name, version(name)) for name in LIBRARIES]
    return facts


CONFIRMED = (
    *("student", "teacher", "model", "objective", "rho", "noise", "alpha", "threshold", "seed", "time_unit"),
    "initial_scale",
)
"""What a check repeats of the settings."""


def _listed(value: object) -> object:
    if value == ():
        return None
    if isinstance(value, list | tuple):
        return ", ".join(str(_listed(part)) for part in value)
    return f"{value:.6g}" if isinstance(value, float) else value
