"""The numbers of a report as HTML: what was found, in tables that scroll where they are wide."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence

from hermescape.report.article import unnumbered
from hermescape.report.findings import Case, Findings, Missing
from hermescape.verify.at_one_dimension import Report, Row
from hermescape.verify.judge import LawCase, LawReport
from theory.errors import HermescapeError
from theory.search.law import escape_time
from theory.typeset.layout import Equation, Page, align
from theory.typeset.lines import Names
from theory.typeset.printing import latex

__all__ = ["escape_law", "exponents", "glance", "missing", "search_times", "settings_table", "strengths", "verdict"]

MINUS = "−"
INFINITE = "∞"
SHOWN_ROOT = 60  # characters of an exact root
LINES = Page(line=41.0, where="where")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], caption: str) -> str:
    """Return a table of HTML cells; the first of each row is its head."""
    head = "".join(f'<th scope="col">{cell}</th>' for cell in heads)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>' for first, *rest in rows
    )
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        f'<p class="note">{caption}</p>'
    )


def missing(part: Missing, title: str = "") -> str:
    """Say why a part does not apply.

    >>> missing(Missing("one state"), "Portrait")
    '<p class="missing"><strong>Portrait.</strong> Does not apply: one state.</p>'
    """
    reason = html.escape(part.reason.strip().rstrip("."))
    head = f"<strong>{title}.</strong> " if title else ""
    return f'<p class="missing">{head}Does not apply: {reason}.</p>'


def number(value: object, digits: int = 6) -> str:
    """Return a number as text with a true minus sign; a dash for None, and ∞.

    >>> number(-0.00125), number(None), number(float("inf"))
    ('−0.00125', '–', '∞')
    """
    if value is None:
        return "–"
    size = float(str(value))
    if math.isnan(size):
        return "–"
    if math.isinf(size):
        return INFINITE if size > 0 else f"{MINUS}{INFINITE}"
    mantissa, _, exponent = f"{size:.{digits}g}".partition("e")
    power = f" × 10<sup>{_signed(str(int(exponent)))}</sup>" if exponent else ""
    return _signed(mantissa) + power


def _signed(text: str) -> str:
    return text.replace("-", MINUS)


def _interval(low: object, high: object, digits: int = 4) -> str:
    return f"{number(low, digits)} … {number(high, digits)}"


def glance(found: Findings) -> str:
    """Return the few numbers that a reader looks for first."""
    facts = [
        ("information exponent", _exponent(found)),
        ("generative exponent", _generative(found)),
        ("divergences of τ", _divergences(found)),
        ("best strength", _best(found)),
        *_of_focus(found),
    ]
    return f"<dl>{''.join(f'<div><dt>{name}</dt><dd>{value}</dd></div>' for name, value in facts)}</dl>"


def _exponent(found: Findings) -> str:
    known = found.summary["information_exponent"]
    return "none: no order in common" if known is None else str(known)


def _generative(found: Findings) -> str:
    known = found.summary["generative_exponent"]
    if known is None:
        return "not defined here"
    return "none found" if known["k"] is None else f"{known['k']}, by y ↦ {html.escape(known['transform'])}"


def _divergences(found: Findings) -> str:
    if isinstance(found.critical, Missing):
        return "do not apply"
    places = [number(c["mu"], 8) for c in found.critical["critical"] if c["diverges"]]
    return "none in (0, 1]" if not places else "μ = " + ", ".join(places)


def _best(found: Findings) -> str:
    if isinstance(found.critical, Missing):
        return "does not apply"
    best = found.critical["best"]
    if not best["attained"]:
        return f"μ → 0, where τ = {number(best['tau'])}"
    return f"μ = {number(best['mu'])}, where τ = {number(best['tau'])}"


def _of_focus(found: Findings) -> list[tuple[str, str]]:
    case = found.focus
    place = "" if case.mu is None else f" at μ = {case.mu:g}"
    facts = [] if isinstance(case.law, Missing) else [(f"median exit{place}, law", number(case.law.median, 4))]
    if case.sample is not None:
        low, high = (case.sample.to_time(end) for end in case.sample.median_interval(0.99))
        middle = number(case.sample.to_time(case.sample.median), 4)
        facts.append((f"median exit{place}, SGD", f"{middle} <small>({_interval(low, high)})</small>"))
    return facts


def exponents(found: Findings) -> str:
    """Return the exponents, and how the generative one was searched."""
    known = found.summary["generative_exponent"]
    searched = "" if known is None else f" Searched: {html.escape(', '.join(known['searched']))}."
    meaning = (
        "The information exponent k* is the smallest k ≥ 1 with σ<sub>k</sub> φ<sub>k</sub> ≠ 0; the generative "
        "exponent is the smallest that a transform of the label can make of it."
    )
    return (
        f"<p>{meaning}</p><ul><li>information exponent: <strong>{_exponent(found)}</strong></li>"
        f"<li>generative exponent: <strong>{_generative(found)}</strong>.{searched}</li></ul>"
    )


def strengths(found: Findings) -> str:
    """Return the critical strengths and the best one."""
    if isinstance(found.critical, Missing):
        return missing(found.critical)
    known = found.critical
    tier = "isolated with certainty" if known["exact"] else "found to a tolerance, by a scan of A in steps of 1/64"
    rows = [
        (
            number(c["mu"], 12),
            _root(c),
            {-1: "&lt; 0", 0: "= 0", 1: "&gt; 0"}[c["sign_B"]],
            _approach(c["below"]),
            "–" if c["above"] is None else _approach(c["above"]),
            html.escape(c["regime"]),
        )
        for c in known["critical"]
    ]
    heads = ("μ<sub>c</sub>", "exactly", "B", "τ below", "τ above", "at μ<sub>c</sub>")
    caption = f"Critical strengths, the roots of A in (0, 1], {tier}; x = |μ − μ<sub>c</sub>|."
    shown = table(heads, rows, caption) if rows else f"<p>A has no root in (0, 1] ({tier}).</p>"
    return f"{shown}<p>The search is shortest at {_best(found)}.</p>"


def _root(critical: dict[str, object]) -> str:
    text = critical["expression"]
    if text is None:
        return f"error {number(critical['error'], 1)}"
    return html.escape(str(text)) if len(str(text)) < SHOWN_ROOT else "algebraic"


def _approach(side: dict[str, float]) -> str:
    order = int(side["order"])
    power = {0: "", 1: "/x"}.get(order, f"/x<sup>{order}</sup>")
    return f"{number(side['constant'])}{power}"


def search_times(found: Findings) -> str:
    """Return tau at the strengths of the report and at tenths."""
    if isinstance(found.table, Missing):
        return missing(found.table)
    aligned = found.settings.model == "lora"
    rows = [
        (
            f"{float(s.mu):g}",
            *((number(s.A),) if aligned else (number(s.rho), number(s.G))),
            number(s.B),
            number(s.rate),
            INFINITE if s.tau is None else number(s.tau, 8),
            "exact" if s.error == 0 else number(s.error, 2),
        )
        for s in found.table
    ]
    heads = ("μ", *(("A",) if aligned else ("ρ", "G")), "B", "rate λ", "τ", "error of τ")
    return table(heads, rows, "Search time τ = 1/λ, in units of t = η × steps.")


def escape_law(found: Findings) -> str:
    """Return the law of the exit time in symbols, and in numbers at each strength."""
    try:
        lines = escape_time(found.system)
    except HermescapeError as error:
        return _regime(found) + missing(Missing(str(error))) + _laws(found)
    pairs = [("T", latex(lines.time)), *((latex(name), latex(value)) for name, value in lines.definitions.items())]
    shown = unnumbered(align([Equation.of("", left, right) for left, right in pairs], LINES, Names()))
    return (
        "<p>From a random start, Z ~ N(0, 1), with C the constant of the way out along the unstable manifold and κ = "
        f"η d / B, up to o(1) as d grows:</p>{shown}{_regime(found)}{_laws(found)}"
    )


def _regime(found: Findings) -> str:
    """Return how the flow leaves the start that is shown in detail."""
    regime = found.regime
    if isinstance(regime, Missing):
        return missing(regime)
    place = "" if found.focus.mu is None else f" at μ = {found.focus.mu:g}"
    return f"<p>Regime of the flow{place}: <strong>{regime.name}</strong>. {html.escape(regime.because)}.</p>"


def _laws(found: Findings) -> str:
    if all(isinstance(case.law, Missing) for case in found.cases):
        return _lawless(found)
    rows = [_law_row(case) for case in found.cases]
    heads = ("μ", "regime", "κ", "τ", "C", "median T", "5 … 95 %", "SGD median", "p")
    setting = found.settings
    caption = (
        f"The law at d = {setting.dimension:g}, exit at |m| = {setting.threshold:g}, times in t = η × steps; p of a "
        "Kolmogorov–Smirnov test of the runs against it. It is a law for large d: the last column can be small here "
        "where its o(1) is not."
    )
    return table(heads, rows, caption) + _lawless(found)


def _lawless(found: Findings) -> str:
    """Say why there is no law where there is none."""
    absent = [(case.mu, case.law) for case in found.cases if isinstance(case.law, Missing)]
    return "".join(missing(law, "Law" if mu is None else f"Law at μ = {mu:g}") for mu, law in absent)


def _law_row(case: Case) -> tuple[str, ...]:
    place = "–" if case.mu is None else f"{case.mu:g}"
    sample = case.sample
    kappa = None if sample is None else sample.experiment.sgd.kappa
    measured = number(None if sample is None else sample.to_time(sample.median), 5)
    if isinstance(case.law, Missing):
        return (place, "none", number(kappa, 4), "–", "–", "–", "–", measured, "–")
    law = case.law
    constant = f"{number(law.constant, 7)} <small>± {number(law.constant_error, 1)}</small>"
    ends = _interval(law.quantile(0.05), law.quantile(0.95))
    times = (number(law.tau), constant, number(law.median), ends)
    return (place, law.regime, number(kappa, 4), *times, measured, number(case.p_value, 2))


def verdict(found: Findings) -> str:
    """Return the table of the check and what its verdict means."""
    report = found.verdict
    if isinstance(report, Missing):
        return missing(report)
    return _check(report) if isinstance(report, Report) else _law_check(report)


def _check(report: Report) -> str:
    heads = ("μ", "verdict", "τ", "flow exit", "predicted", "SGD exit", "99 % interval", "tolerance", "runs")
    caption = "Medians of the exit time, in t = η × steps; runs: exited, censored, diverged."
    return (
        table(heads, map(_check_row, report.rows), caption)
        + "".join(f"<p>μ = {row.mu:g}: {html.escape(row.verdict)}.</p>" for row in report.rows if ":" in row.verdict)
        + "<p>Flow exit: the gradient flow from the median start, m = 0.674/√d. Predicted: with the κ drift, gradient "
        "noise in u and the finite step size. They agree if the prediction lies in the interval widened by the "
        "tolerance, |predicted − flow exit| + η + predicted/√d.</p>"
    )


def _check_row(row: Row) -> tuple[str, ...]:
    word = row.verdict.partition(":")[0]
    mark = f'<span class="{"good" if row.passed else "bad"}">{word}</span>'
    times = (row.flow_exit, row.prediction, row.sgd_exit)
    return (
        f"{row.mu:g}",
        mark,
        INFINITE if row.tau is None else number(row.tau, 5),
        *(number(time, 5) for time in times),
        _interval(*row.sgd_interval),
        number(row.tolerance, 3),
        f"{row.exited}, {row.censored}, {row.diverged}",
    )


def _law_check(report: LawReport) -> str:
    return "".join(map(_law_case, report.cases)) + (
        "<p>p: Kolmogorov–Smirnov tests of the exit times against the law, and against two laws that are wrong on "
        "purpose, which the same data have to reject.</p>"
    )


def _law_case(case: LawCase) -> str:
    heads = ("d", "κ", "runs", "SGD median", "law median", "p", "p without noise", "p 5 % slower")
    rows = (
        (
            f"{row.d:g}",
            number(row.kappa, 4),
            f"{row.exited}, {row.censored}, {row.diverged}",
            number(row.median, 5),
            number(row.law_median, 5),
            *(number(p, 2) for p in (row.p_value, row.p_without_noise, row.p_slower)),
        )
        for row in case.rows
    )
    word = f'<span class="{"good" if case.passed else "bad"}">{case.verdict}</span>'
    reason = f": {html.escape(case.reason)}" if case.reason else ""
    caption = f"Regime {case.regime}: {word}{reason}. Runs: exited, censored, diverged."
    slope = (
        f"<p>Slope of the median in log d: {number(case.slope, 4)}, 99.5 % interval "
        f"{_interval(*case.slope_interval)}; by the law {number(case.slope_law, 4)}.</p>"
    )
    return table(heads, rows, caption) + slope


def settings_table(facts: Sequence[tuple[str, object]]) -> str:
    """Return names and values; numbers as they are given."""
    rows = [(html.escape(name), html.escape("–" if value is None else str(value))) for name, value in facts]
    return table(("parameter", "value"), rows, "Everything that the numbers above depend on.")
