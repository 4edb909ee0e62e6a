"""What `hermescape law` prints: plain dictionaries for JSON, tables for people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass

from rich.table import Table
from sympy import Expr

from hermescape.views.numbers import error_of
from numerics.law import Ballistic, Compared, Law, SampledLaw
from theory.network.system import System
from theory.search.critical import critical_strengths

__all__ = ["law_summary", "law_table", "laws_table"]

LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


def _critical(system: System) -> list[float]:
    """The alignments mu at which the search time diverges; none unless w0 is aligned."""
    if system.escape.A is None or system.escape.A == 0:
        return []
    return [float(alignment.mu) for alignment in critical_strengths(system) if alignment.diverges]


def law_summary(system: System, both: Compared, settings: dict[str, object]) -> dict[str, object]:
    """Return the JSON object of `hermescape law`; infinite times become null."""
    law, apart = both.law, both.distance
    return {
        "law": both.name,
        "regime": law.regime,
        "tau": law.tau,
        "constant": law.constant,
        "constant_error": law.constant_error,
        "certified": False,  # of flows, and of samples
        "slope_log_d": law.slope_log_d,
        "critical_mu": _critical(system),
        "quantiles": {str(level): law.quantile(level) for level in LEVELS},
        "median": law.median,
        "mean": law.mean,
        "published_ratio": getattr(law, "published_ratio", None),
        "remainder": _remainder(both),
        "distance": None if apart is None else apart.value,
        "distance_error": None if apart is None else apart.error,
        "refusal": both.refusal or None,
        "details": _details(law),
        "settings": settings,
    }


def _remainder(both: Compared) -> float | None:
    """What the formula leaves out of the median: measured by the sample, else its own estimate."""
    if both.formula is None:
        return None
    if both.sampled is not None:
        return both.sampled.median - both.formula.median
    return _estimated(both.formula)


def _details(law: Law) -> dict[str, object]:
    """The numbers that the law consists of; a passage's table of times is left to its quantiles."""
    assert is_dataclass(law)
    named = {field.name: getattr(law, field.name) for field in fields(law)}
    kept = {name: value for name, value in named.items() if value is None or isinstance(value, int | float | str)}
    return {**kept, "certified": False}


def law_table(system: System, both: Compared, settings: dict[str, object]) -> tuple[str | Table, ...]:
    """Return the parts that `hermescape law` prints: a column for each law, and which of them answers."""
    loss, network = system.loss_function, system.network
    setting = f"model {network.name}{network.minimised.aside}"
    shown = ", ".join(f"{name} = {value:g}" for name, value in settings.items() if isinstance(value, int | float))
    laws = {_column(each): each for each in (both.formula, both.sampled) if each is not None}
    table = Table(title="times in t = lr * steps", show_edge=False, box=None, title_justify="left")
    table.add_column("quantity")
    for name in laws:
        table.add_column(name if len(laws) > 1 else "value", justify="right")
    columns = [_rows(law, both) for law in laws.values()]
    for quantity in dict.fromkeys(name for rows in columns for name in rows):
        table.add_row(quantity, *(rows.get(quantity, "") for rows in columns))
    critical = ", ".join(f"{alignment:.6g}" for alignment in _critical(system))
    return (
        f"{loss.student.name} on {loss.teacher.name}, {setting}: regime {both.law.regime}; {shown}",
        table,
        *_verdict(both),
        *([f"the search time diverges at mu = {critical}"] if critical else []),
    )


def laws_table(
    laws: Sequence[tuple[Mapping[str, str], Compared]], settings: Mapping[str, object]
) -> tuple[str | Table, ...]:
    """Return the parts that `hermescape law` prints of a family: a row for each combination of its parameters."""
    table = Table(title="times in t = lr * steps", show_edge=False, box=None, title_justify="left")
    for name in (*laws[0][0], "regime", "tau", "median of T", "5 %", "95 %", "law"):
        table.add_column(name, justify="right")
    for values, both in laws:
        law, digits = both.law, _format(both.law)
        times = (_time(t, digits) for t in (law.tau, law.median, law.quantile(0.05), law.quantile(0.95)))
        table.add_row(*values.values(), law.regime, *times, both.name)
    numbers = {name: f"{value:g}" for name, value in settings.items() if isinstance(value, int | float)}
    others = {name: str(value) for name, value in settings.items() if isinstance(value, Expr)}
    return ", ".join(f"{name} = {text}" for name, text in {**numbers, **others}.items()), table


def _column(law: Law) -> str:
    return law.kind if isinstance(law, SampledLaw) else "formula"


def _rows(law: Law, both: Compared) -> dict[str, str]:
    """What is known of one law, by quantity; the slope of a sample only where it answers, since it takes two more."""
    rows: dict[str, str] = {}
    if law.tau is not None:
        rows |= {"rate 1/tau": f"{1 / law.tau:.8g}", "search time tau": f"{law.tau:.8g}"}
    if law is both.law or not isinstance(law, SampledLaw):
        rows["slope in log d"] = f"{law.slope_log_d:{_format(law)}}"
    if not isinstance(law, SampledLaw):
        rows |= {"constant": f"{law.constant:.10g}", "  its error": error_of(law.constant_error, certified=False)}
    digits = _format(law)
    rows["median of T"] = _time(law.median, digits)
    rows["5 to 95 % of runs"] = f"{_time(law.quantile(0.05), digits)} .. {_time(law.quantile(0.95), digits)}"
    rows["mean of T"] = _time(law.mean, digits)
    if isinstance(law, SampledLaw):
        rows["error of P(T <= t)"] = f"{law.error:.1g}"
    elif both.distance is not None:
        rows["error of P(T <= t)"] = f"{both.distance.value:.1g}"
    remainder = _estimated(law) if both.distance is None else None
    if remainder is not None and _is_bound(law):
        bound = f"{remainder:.2g}" if math.isfinite(remainder) else "not bounded"
        rows["left out of the median at this d, at most"] = bound
    elif remainder is not None:
        rows["o(1) at this d, noise aside"] = f"{remainder:+.2g}"
    crossover = getattr(law, "crossover", 0.0)
    if crossover:
        rows["SGD's noise leads for d below"] = f"{crossover:.3g}"
    ratio = getattr(law, "published_ratio", None)
    if ratio is not None:
        rows["tau log(R sqrt(d)) / median"] = f"{ratio:.4g}"
    return rows


def _verdict(both: Compared) -> list[str]:
    """Which law answers, and why, where two were asked."""
    if both.refusal:
        missing = "formula" if both.formula is None else "diffusion"
        return [f"law: {both.name}; none by {missing}: {both.refusal}"]
    if both.distance is None or both.sampled is None:
        return []
    apart, sampled = both.distance, both.sampled.kind
    differ = f"the formula and the {sampled} differ by {apart.value:.2g} in P(T <= t) at this d"
    known = "no more than" if apart.value <= apart.error else "more than"
    if apart.value > apart.error and not isinstance(both.law, SampledLaw):
        known = "less than twice"  # near a critical strength
    return [f"law: {both.name}; {differ}, {known} the error of the sample, {apart.error:.1g}"]


def _estimated(law: Law) -> float | None:
    remainder = getattr(law, "remainder", math.nan)
    return None if math.isnan(remainder) else remainder


def _format(law: Law) -> str:
    """A sample of paths has some four digits."""
    return ".4g" if isinstance(law, SampledLaw) else ".8g"


def _is_bound(law: Law) -> bool:
    """Whether the remainder is a bound on its modulus: a ballistic law, and where noise leads out or helps."""
    return isinstance(law, Ballistic) or bool(getattr(law, "flow_tau", 0.0))


def _time(value: float | None, digits: str) -> str:
    return "never" if value is None or value == math.inf else f"{value:{digits}}"
