"""The page: one file with everything in it. No script, no font, no picture is loaded from anywhere."""

from __future__ import annotations

import html
import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.resources import files

from hermescape import __version__
from hermescape.report import tables
from hermescape.report.article import sections
from hermescape.report.figures import FIGURES, drawn
from hermescape.report.findings import Findings, Missing
from hermescape.verify.report import Report
from theory.writing import document

__all__ = ["page"]

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"  # browsers then refuse to load anything
LIBRARIES = ("numpy", "scipy", "sympy", "numba", "matplotlib", "latex2mathml")
IN_DERIVATION = {"Hermite expansion": "spectrum", "Kernel": "kernel"}


@dataclass(frozen=True)
class _Chapter:
    key: str
    title: str
    parts: tuple[str, ...]


def page(found: Findings, seconds: float, command: str, progress: Callable[[int, int], None] | None = None) -> str:
    """Return the HTML of a report.

    Args:
        found: what was computed.
        seconds: how long that took.
        command: the command line that makes the same report.
        progress: called with (figures drawn, figures in all).
    """
    pictures = {}
    for count, key in enumerate(FIGURES, start=1):
        pictures[key] = _picture(key, found)
        if progress is not None:
            progress(count, len(FIGURES))
    chapters = [
        _derivation(found, pictures),
        _Chapter("numbers", "Numbers", tuple(_numbers(found, pictures))),
        _Chapter(
            "law",
            "The law of the exit time",
            (tables.escape_law(found), pictures["histogram"], pictures["distribution"]),
        ),
        _Chapter("dynamics", "Dynamics", (pictures["portrait"], pictures["trajectories"])),
        _Chapter("check", "Check", (tables.verdict(found), pictures["comparison"])),
        _Chapter("origin", "How this was made", tuple(_origin(found, seconds, command))),
    ]
    title = _title(found)
    links = "".join(f'<li><a href="#{c.key}">{c.title}</a></li>' for c in chapters)
    body = "\n".join(f'<section id="{c.key}"><h2>{c.title}</h2>\n{chr(10).join(c.parts)}\n</section>' for c in chapters)
    style = files("hermescape.report").joinpath("report.css").read_text("utf-8")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="hermescape {__version__}">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<header>
<p class="kicker">hermescape {__version__}</p>
<h1>{title}</h1>
{_banner(found)}
{tables.glance(found)}
<nav aria-label="Chapters"><ol>{links}</ol></nav>
</header>
<main>
{body}
</main>
</body>
</html>
"""


def _title(found: Findings) -> str:
    loss = found.system.loss_function
    student, teacher = (html.escape(_short(f.name)) for f in (loss.student, loss.labels.link))
    pair = student if student == teacher else f"{student} on {teacher}"
    kind = {"lora": "LoRA", "misaligned": "misaligned LoRA", "plain": "plain training"}[found.settings.model]
    return f"{pair}, {kind}: from the population loss to the escape time"


def _short(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:57]}..."


def _banner(found: Findings) -> str:
    report = found.verdict
    if isinstance(report, Missing):
        return '<p class="banner undecided"><strong>Not checked.</strong> See the reason under Check.</p>'
    parts = report.cases
    agreed = sum(part.passed for part in parts)
    name = "check" if report.at_one_dimension else "check --law"
    kind = "agree" if report.passed else "disagree"
    word = "Checked." if report.passed else "The check did not pass."
    where = "strengths" if found.settings.model != "plain" else "cases"
    said = f"Theory and exact simulation agree at {agreed} of {len(parts)} {where} (hermescape {name})."
    return f'<p class="banner {kind}"><strong>{word}</strong> {said}</p>'


def _picture(key: str, found: Findings) -> str:
    figure = drawn(key, found)
    if isinstance(figure, Missing):
        title = FIGURES[key][0]
        return tables.missing(figure, title)
    alt = html.escape(figure.alt, quote=True)
    caption = f"<strong>{figure.title}.</strong> {figure.caption}"
    return (
        f'<figure id="figure-{key}"><img src="{figure.uri}" alt="{alt}" width="540" height="410">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _derivation(found: Findings, pictures: dict[str, str]) -> _Chapter:
    parts = []
    for section in sections(document(found.system)):
        parts.append(f"<h3>{html.escape(section.title)}</h3>\n{section.content}")
        if section.title in IN_DERIVATION:
            parts.append(pictures[IN_DERIVATION[section.title]])
    return _Chapter("derivation", "Derivation", tuple(parts))


def _numbers(found: Findings, pictures: dict[str, str]) -> Iterator[str]:
    yield f"<h3>Exponents</h3>\n{tables.exponents(found)}"
    yield f"<h3>Critical and best strengths</h3>\n{tables.strengths(found)}"
    yield f"<h3>Search time</h3>\n{tables.search_times(found)}"
    if not isinstance(found.table, Missing):
        yield pictures["tau"]


def _origin(found: Findings, seconds: float, command: str) -> Iterator[str]:
    yield f'<p>The same report again:</p><pre class="scroll" tabindex="0"><code>{html.escape(command)}</code></pre>'
    given = {name: value for name, value in asdict(found.settings).items() if name not in ("student", "teacher")}
    loss = found.system.loss_function
    facts: list[tuple[str, object]] = [("student", loss.student.name), ("teacher", loss.labels.link.name)]
    facts += [(name.replace("_", " "), _listed(value)) for name, value in given.items()]
    if isinstance(found.verdict, Report):
        chosen = {name: value for name, value in found.verdict.settings.items() if name not in CONFIRMED}
        facts += [(f"check: {name.replace('_', ' ')}", _listed(value)) for name, value in chosen.items()]
    facts += [("time unit", "t = step size × steps"), ("computed in", f"{seconds:.1f} s")]
    facts += [("hermescape", __version__), ("Python", platform.python_version())]
    facts += [(name, version(name)) for name in LIBRARIES]
    yield tables.settings_table(facts)


CONFIRMED = ("student", "teacher", "model", "rho", "noise", "alpha", "threshold", "seed", "time_unit", "initial_scale")
"""What a check repeats of the settings."""


def _listed(value: object) -> object:
    if value == ():
        return None
    if isinstance(value, list | tuple):
        return ", ".join(str(_listed(part)) for part in value)
    return f"{value:.6g}" if isinstance(value, float) else value
