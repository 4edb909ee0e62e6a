"""The numbers of a report: facts, and tables whose cells the page escapes unless they are markup of our own."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup, escape

from hermescape.mathml import formula
from hermescape.report.findings import Case, Findings
from hermescape.report.stages import Missing
from hermescape.verdict import Duration, verdict_lines
from hermescape.verify.report import Case as Checked
from hermescape.verify.report import Report
from hermescape.views.critical import extent
from numerics.law import SampledLaw
from theory.shown import upwards

__all__ = [
    "Check",
    "Part",
    "Table",
    "check",
    "exponents",
    "facts",
    "interval",
    "laws",
    "meaning",
    "number",
    "roots",
    "search_times",
    "settings_table",
    "typeset",
    "without_law",
]

MINUS = "−"
INFINITE = "∞"
SHOWN_ROOT = 60  # characters of an exact root


@dataclass(frozen=True)
class Table:
    """Heads, rows and caption; the first cell of a row is its head."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str

    @classmethod
    def of(cls, heads: Iterable[str], rows: Iterable[Iterable[str]], caption: str) -> Table:
        """Return a table of text and markup."""
        return cls(tuple(heads), tuple(map(tuple, rows)), caption)


@dataclass(frozen=True)
class Part:
    """A table and remarks on it."""

    table: Table
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Check:
    """What `hermescape check` found; `kind` is "law" for check --law, else "exits"."""

    kind: str
    parts: tuple[Part, ...]


def number(value: object, digits: int = 6) -> Markup:
    """Return a number with a true minus sign; a dash for None, and ∞.

    >>> print(number(-0.00125), number(None), number(float("inf")), number(2e-9))
    −0.00125 – ∞ 2 × 10<sup>−9</sup>
    """
    size = math.nan if value is None else float(str(value))
    if math.isnan(size):
        return Markup("–")
    if math.isinf(size):
        return Markup(INFINITE if size > 0 else f"{MINUS}{INFINITE}")
    mantissa, _, exponent = f"{size:.{digits}g}".partition("e")
    power = f" × 10<sup>{_signed(str(int(exponent)))}</sup>" if exponent else ""
    return Markup(_signed(mantissa) + power)


def _signed(text: str) -> str:
    return text.replace("-", MINUS)


def _markup(template: str, *values: object) -> Markup:
    """Fill markup of our own with values, which are escaped unless they are markup."""
    return Markup(template).format(*values)


def interval(low: object, high: object, digits: int = 4) -> Markup:
    """Return both ends of an interval."""
    return _markup("{} … {}", number(low, digits), number(high, digits))


LETTERS = (  # a sentence for a terminal, as one for a page
    (r"\b(mu|tau|kappa|lambda)\b", lambda match: {"mu": "μ", "tau": "τ", "kappa": "κ", "lambda": "λ"}[match[1]]),
    (r"He_(\d+)", r"He<sub>\1</sub>"),
    (r"\^\(([^()]*)\)|\^(\d+)", lambda match: f"<sup>{match[1] or match[2]}</sup>"),
    (r"\bw\*", "w∗"),
    (r"\bw0\b", "w<sub>0</sub>"),
    (r"\bgrad ", "∇"),
    ("!=", "≠"),
    (r"-&gt;", "→"),
    (r"&gt;=", "≥"),
)


def typeset(sentence: str) -> Markup:
    """Return a sentence as it is printed in a terminal, its symbols as letters.

    >>> print(typeset("He_3 searches d^(1/2) as mu -> 0"))
    He<sub>3</sub> searches d<sup>1/2</sup> as μ → 0
    """
    text = str(escape(sentence))
    for pattern, letter in LETTERS:
        text = re.sub(pattern, letter, text)
    return Markup(text)


def meaning(findings: Findings) -> list[Markup] | Missing:
    """Return the sentences of the verdict: what the search is like, and how many steps it takes here."""
    known = findings.meaning
    if isinstance(known, Missing):
        return known
    return [typeset(line) for line in verdict_lines(replace(known, durations=_durations(findings)))]


def _durations(findings: Findings) -> tuple[Duration, ...]:
    """The exit times of the report's laws, in the steps of its runs."""
    threshold = findings.settings.threshold
    return tuple(
        Duration.of(case.law, case.mu, threshold, case.sample.experiment.sgd.step_size)
        for case in findings.cases
        if case.sample is not None and not isinstance(case.law, Missing)
    )


def facts(findings: Findings) -> list[tuple[str, str]]:
    """Return the few numbers that a reader looks for first."""
    return [
        ("information exponent", _exponent(findings)),
        ("generative exponent", _generative(findings)),
        ("divergences of τ", _divergences(findings)),
        ("best alignment", best(findings)),
        *_of_focus(findings),
    ]


def _exponent(findings: Findings) -> str:
    known = findings.summary["information_exponent"]
    return "none: no order in common" if known is None else str(known)


def _generative(findings: Findings) -> str:
    known = findings.summary["generative_exponent"]
    if known is None:
        return "not defined here"
    return "none found" if known["k"] is None else f"{known['k']}, by y ↦ {known['transform']}"


def _divergences(findings: Findings) -> str:
    if isinstance(findings.critical, Missing):
        return "do not apply"
    places = [number(c["mu"], 8) for c in findings.critical["critical"] if c["diverges"]]
    return Markup("μ = ") + Markup(", ").join(places) if places else "none in (0, 1]"


def best(findings: Findings) -> str:
    """Return where the search is shortest."""
    if isinstance(findings.critical, Missing):
        return "does not apply"
    known = findings.critical["best"]
    if not known["attained"]:
        return _markup("μ → 0, where τ = {}", number(known["tau"]))
    return _markup("μ = {}, where τ = {}", number(known["mu"]), number(known["tau"]))


def _of_focus(findings: Findings) -> list[tuple[str, str]]:
    case, named = findings.focus, []
    place = "" if case.mu is None else f" at μ = {case.mu:g}"
    if not isinstance(case.law, Missing):
        named.append((f"median exit{place}, law", number(case.law.median, 4)))
    if case.sample is not None:
        middle = number(case.sample.to_time(case.sample.median), 4)
        low, high = map(case.sample.to_time, case.sample.median_interval(0.99))
        ends = interval(low, high)
        named.append((f"median exit{place}, SGD", _markup("{} <small>({})</small>", middle, ends)))
    return named


def exponents(findings: Findings) -> dict[str, str | None]:
    """Return the exponents, and which transforms of the label were searched."""
    known = findings.summary["generative_exponent"]
    return {
        "information": _exponent(findings),
        "generative": _generative(findings),
        "searched": None if known is None else ", ".join(known["searched"]),
    }


def roots(findings: Findings) -> Part | Missing:
    """Return the critical strengths, and where the search is shortest."""
    if isinstance(findings.critical, Missing):
        return findings.critical
    known = findings.critical
    where, tier = extent(known)
    heads = (Markup("μ<sub>c</sub>"), "exactly", "B", "τ below", "τ above", Markup("at μ<sub>c</sub>"))
    caption = _markup("Critical strengths, the roots of A in {}, {}; x = |μ − μ<sub>c</sub>|.", where, tier)
    table = Table.of(heads, map(_root_row, known["critical"]), caption)
    none = () if table.rows else (f"A has no root in {where} ({tier}).",)
    return Part(table, (*none, _markup("The search is shortest at {}.", best(findings))))


def _root_row(critical: dict[str, Any]) -> tuple[str, ...]:
    below, above = critical["below"], critical["above"]
    return (
        number(critical["mu"], 12),
        _root(critical),
        {-1: "< 0", 0: "= 0", 1: "> 0"}[critical["sign_B"]],
        _approach(below),
        "–" if above is None else _approach(above),
        critical["regime"],
    )


def _root(critical: dict[str, Any]) -> str:
    if critical["expression"] is None:
        return _markup("error {}", number(critical["error"], 1))
    return formula(critical["latex"]) if len(critical["definition"]) < SHOWN_ROOT else "algebraic"


def _approach(side: dict[str, float]) -> Markup:
    order = int(side["order"])
    power = {0: "", 1: "/x"}.get(order, f"/x<sup>{order}</sup>")
    return number(side["constant"]) + Markup(power)


def search_times(findings: Findings) -> Table | Missing:
    """Return tau at the alignments of the report and at tenths."""
    if isinstance(findings.table, Missing):
        return findings.table
    aligned = all(s.A is not None for s in findings.table)
    rows = (
        (
            f"{float(s.mu):g}",
            *((number(s.A),) if aligned else (number(s.rho), number(s.G))),
            number(s.B),
            number(s.rate),
            INFINITE if s.tau is None else number(s.tau, 17),
            "–" if s.tau is None else _markup("≤ {}" if s.certified else "≈ {}", upwards(s.error)),
        )
        for s in findings.table
    )
    heads = ("μ", *(("A",) if aligned else ("ρ", "G")), "B", "rate λ", "τ", "error of τ")
    return Table.of(heads, rows, "Search time τ = 1/λ, in units of t = η × steps; errors after ≤ are proved.")


def laws(findings: Findings) -> Table | None:
    """Return the law in numbers at each alignment; None where it has none."""
    if all(isinstance(case.law, Missing) for case in findings.cases):
        return None
    heads = ("μ", "regime", "κ", "τ", "C", "median T", "5 … 95 %", "SGD median", "p")
    setting = findings.settings
    caption = (
        f"The law at d = {setting.dimension:g}, exit at |m| = {setting.threshold:g}, times in t = η × steps; p of a "
        "Kolmogorov–Smirnov test of the runs against it. Where the closed formula is measurably off at this d, the law "
        "is that of SGD’s diffusion, sampled: then the regime says so, and there is no constant C."
    )
    return Table.of(heads, map(_law_row, findings.cases), caption)


def without_law(findings: Findings) -> list[tuple[str, Missing]]:
    """Say why there is no law where there is none."""
    absent = [(case.mu, case.law) for case in findings.cases if isinstance(case.law, Missing)]
    return [("Law" if mu is None else f"Law at μ = {mu:g}", law) for mu, law in absent]


def _law_row(case: Case) -> tuple[str, ...]:
    place = "–" if case.mu is None else f"{case.mu:g}"
    sample = case.sample
    kappa = None if sample is None else sample.experiment.sgd.kappa
    measured = number(None if sample is None else sample.to_time(sample.median), 5)
    if isinstance(case.law, Missing):
        return (place, "none", number(kappa, 4), "–", "–", "–", "–", measured, "–")
    law = case.law
    constant = _markup("{} <small>± {}</small>", number(law.constant, 7), number(law.constant_error, 1))
    regime = law.regime
    if isinstance(law, SampledLaw):
        constant, regime = "–", f"{law.regime} ({law.kind})"
    ends = interval(law.quantile(0.05), law.quantile(0.95))
    times = (number(law.tau), constant, number(law.median), ends)
    return (place, regime, number(kappa, 4), *times, measured, number(case.p_value, 2))


def check(findings: Findings) -> Check | Missing:
    """Return the tables of the check."""
    report = findings.verdict
    if isinstance(report, Missing):
        return report
    return _check(report) if report.at_one_dimension else _law_check(report)


def _check(report: Report) -> Check:
    heads = ("μ", "verdict", "τ", "flow exit", "predicted", "SGD exit", "99 % interval", "tolerance", "runs")
    caption = "Medians of the exit time, in t = η × steps; runs: exited, censored, diverged."
    reasons = tuple(f"μ = {case.mu:g}: {case.sentence}." for case in report.cases if case.reason)
    return Check("exits", (Part(Table.of(heads, map(_check_row, report.cases), caption), reasons),))


def _verdict(word: str, passed: bool) -> Markup:
    return _markup('<span class="{}">{}</span>', "good" if passed else "bad", word)


def _check_row(case: Checked) -> tuple[str, ...]:
    (row,) = case.rows
    times = (row.flow_exit, row.prediction, row.sgd_exit)
    return (
        f"{row.mu:g}",
        _verdict(case.verdict, case.passed),
        INFINITE if row.tau is None else number(row.tau, 5),
        *(number(time, 5) for time in times),
        interval(*row.sgd_interval),
        number(row.tolerance, 3),
        f"{row.exited}, {row.censored}, {row.diverged}",
    )


def _law_check(report: Report) -> Check:
    return Check("law", tuple(map(_law_case, report.cases)))


def _law_case(case: Checked) -> Part:
    heads = ("d", "κ", "runs", "SGD median", "law median", "p", "p without noise", "p 5 % slower")
    rows = (
        (
            f"{row.d:g}",
            number(row.kappa, 4),
            f"{row.exited}, {row.censored}, {row.diverged}",
            number(row.sgd_exit, 5),
            number(row.prediction, 5),
            *(number(p, 2) for p in (row.p_value, row.p_without_noise, row.p_slower)),
        )
        for row in case.rows
    )
    caption = _markup(
        "Regime {}: {}{}. Runs: exited, censored, diverged.",
        case.regime,
        _verdict(case.verdict, case.passed),
        f": {case.reason}" if case.reason else "",
    )
    slope = _markup(
        "Slope of the median in log d: {}, 99.5 % interval {}; by the law {}.",
        number(case.slope, 4),
        interval(*case.slope_interval),
        number(case.slope_law, 4),
    )
    return Part(Table.of(heads, rows, caption), (slope,))


def settings_table(facts: Sequence[tuple[str, object]]) -> Table:
    """Return names and values; numbers as they are given."""
    rows = ((name, "–" if value is None else str(value)) for name, value in facts)
    return Table.of(("parameter", "value"), rows, "Everything that the numbers above depend on.")
