"""What `hermescape law` prints: plain dictionaries for JSON, tables for people."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass

from rich.table import Table

from numerics.law import Ballistic, Compared, Law, SampledLaw
from theory.network.system import System
from theory.search.critical import critical_strengths

__all__ = ["law_summary", "law_table"]

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
FINE_LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


def _critical(system: System) -> list[float]:
    """The alignments mu at which the search time diverges; none unless w0 is aligned."""
    if system.escape.A is None or system.escape.A == 0:
        return []
    return [float(alignment.mu) for alignment in critical_strengths(system) if alignment.diverges]


def law_summary(system: System, both: Compared, settings: dict[str, object]) -> dict[str, object]:
    """Return the JSON object of `hermescape law`; infinite times become null. What was compared comes with it."""
    law, apart = both.law, both.distance
    compared = (
        {}
        if both.sampled is None and not both.refusal
        else {
            "law": both.name,
            "distance": None if apart is None else apart.value,
            "distance_error": None if apart is None else apart.error,
            "refusal": both.refusal or None,
        }
    )
    levels = FINE_LEVELS if compared else LEVELS
    return {
        "regime": law.regime,
        "tau": law.tau,
        "constant": law.constant,
        "constant_error": law.constant_error,
        "slope_log_d": law.slope_log_d,
        "critical_mu": _critical(system),
        "quantiles": {str(level): law.quantile(level) for level in levels},
        "median": law.median,
        "mean": law.mean,
        "published_ratio": getattr(law, "published_ratio", None),
        "remainder": _remainder(law),
        "details": _details(law),
        **compared,
        "settings": settings,
    }


def _details(law: Law) -> dict[str, object]:
    """The numbers that the law consists of; a passage's table of times is left to its quantiles."""
    assert is_dataclass(law)
    named = {field.name: getattr(law, field.name) for field in fields(law)}
    return {name: value for name, value in named.items() if value is None or isinstance(value, int | float | str)}


def law_table(system: System, both: Compared, settings: dict[str, object]) -> tuple[str | Table, ...]:
    """Return the parts that `hermescape law` prints."""
    law = both.law
    loss = system.loss_function
    shown = ", ".join(f"{name} = {value:g}" for name, value in settings.items() if isinstance(value, int | float))
    table = Table(title="times in t = lr * steps", show_edge=False, box=None, title_justify="left")
    table.add_column("quantity")
    table.add_column("value", justify="right")
    if law.tau is not None:
        table.add_row("rate 1/tau", f"{1 / law.tau:.8g}")
        table.add_row("search time tau", f"{law.tau:.8g}")
    table.add_row("slope in log d", f"{law.slope_log_d:.8g}")
    if isinstance(law, SampledLaw):
        table.add_row("median of T", f"{law.median:.5g}")
        table.add_row("  its error", f"{law.constant_error:.1g}")
    else:
        table.add_row("constant", f"{law.constant:.10g}")
        table.add_row("  its error", f"{law.constant_error:.1g}")
        table.add_row("median of T", _time(law.median))
    table.add_row("5 to 95 % of runs", f"{_time(law.quantile(0.05))} .. {_time(law.quantile(0.95))}")
    table.add_row("mean of T", _time(law.mean))
    remainder = _remainder(law)
    if remainder is not None and _is_bound(law):
        bound = f"{remainder:.2g}" if math.isfinite(remainder) else "not bounded"
        table.add_row("left out of the median at this d, at most", bound)
    elif remainder is not None:
        table.add_row("o(1) at this d, noise aside", f"{remainder:+.2g}")
    crossover = getattr(law, "crossover", 0.0)
    if crossover:
        table.add_row("SGD's noise leads for d below", f"{crossover:.3g}")
    ratio = getattr(law, "published_ratio", None)
    if ratio is not None:
        table.add_row("tau log(R sqrt(d)) / median", f"{ratio:.4g}")
    if both.sampled is not None:
        table.add_row("law", both.name)
        table.add_row("its error in P(T <= t)", f"{both.sampled.error:.1g}")
    if both.distance is not None:
        table.add_row("distance of the two", f"{both.distance.value:.2g}")
    critical = ", ".join(f"{alignment:.6g}" for alignment in _critical(system))
    return (
        f"{loss.student.name} on {loss.teacher.name}, model {system.network.name}: regime {law.regime}; {shown}",
        table,
        *([f"the search time diverges at mu = {critical}"] if critical else []),
        *([f"not compared: {both.refusal}"] if both.refusal else []),
    )


def _remainder(law: Law) -> float | None:
    remainder = getattr(law, "remainder", math.nan)
    return None if math.isnan(remainder) else remainder


def _is_bound(law: Law) -> bool:
    """Whether the remainder is a bound on its modulus: a ballistic law, and where noise leads out or helps."""
    return isinstance(law, Ballistic) or bool(getattr(law, "flow_tau", 0.0))


def _time(value: float | None) -> str:
    return "never" if value is None or value == math.inf else f"{value:.8g}"
