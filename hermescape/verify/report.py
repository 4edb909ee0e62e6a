"""What `hermescape law` and `hermescape check --law` print: plain dictionaries for JSON, tables for people."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from numerics.law import Ballistic, Law
from theory.network.system import System

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hermescape.verify.judge import LawCase, LawReport

__all__ = ["law_check_lines", "law_summary", "law_table", "save_law_plot"]

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def _critical(system: System) -> list[float]:
    """The strengths mu at which the search time diverges; none unless w0 is aligned."""
    if system.escape.A is None or system.escape.A == 0:
        return []
    return [float(strength.mu) for strength in system.escape.critical_mu() if strength.diverges]


def law_summary(system: System, law: Law, settings: dict[str, object]) -> dict[str, object]:
    """Return the JSON object of `hermescape law`; infinite times become null."""
    return {
        "regime": law.regime,
        "tau": law.tau,
        "constant": law.constant,
        "constant_error": law.constant_error,
        "slope_log_d": law.slope_log_d,
        "critical_mu": _critical(system),
        "quantiles": {str(level): law.quantile(level) for level in LEVELS},
        "median": law.median,
        "mean": law.mean,
        "published_ratio": getattr(law, "published_ratio", None),
        "remainder": _remainder(law),
        "details": _details(law),
        "settings": settings,
    }


def _details(law: Law) -> dict[str, object]:
    """The numbers that the law consists of; a passage's table of times is left to its quantiles."""
    assert is_dataclass(law)
    named = {field.name: getattr(law, field.name) for field in fields(law)}
    return {name: value for name, value in named.items() if value is None or isinstance(value, int | float | str)}


def law_table(system: System, law: Law, settings: dict[str, object]) -> tuple[str | Table, ...]:
    """Return the parts that `hermescape law` prints."""
    loss = system.loss_function
    shown = ", ".join(f"{name} = {value:g}" for name, value in settings.items() if isinstance(value, int | float))
    table = Table(title="times in t = lr * steps", show_edge=False, box=None, title_justify="left")
    table.add_column("quantity")
    table.add_column("value", justify="right")
    if law.tau is not None:
        table.add_row("rate 1/tau", f"{1 / law.tau:.8g}")
        table.add_row("search time tau", f"{law.tau:.8g}")
    table.add_row("slope in log d", f"{law.slope_log_d:.8g}")
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
    critical = ", ".join(f"{strength:.6g}" for strength in _critical(system))
    return (
        f"{loss.student.name} on {loss.teacher.name}, model {system.network.name}: regime {law.regime}; {shown}",
        table,
        *([f"the search time diverges at mu = {critical}"] if critical else []),
    )


def _remainder(law: Law) -> float | None:
    found = getattr(law, "remainder", math.nan)
    return None if math.isnan(found) else found


def _is_bound(law: Law) -> bool:
    """Whether the remainder is a bound on its modulus: a ballistic law, and where noise leads out or helps."""
    return isinstance(law, Ballistic) or bool(getattr(law, "flow_tau", 0.0))


def _time(value: float | None) -> str:
    return "never" if value is None or value == math.inf else f"{value:.8g}"


def law_check_lines(report: LawReport) -> tuple[str | Table, ...]:
    """Return the parts that `hermescape check --law` prints."""
    settings = report.settings
    head = (
        f"{settings['student']} on {settings['teacher']}, model {settings['model']}: exit at |m| = "
        f"{settings['threshold']:g}, seed {settings['seed']}; times in t = lr * steps"
    )
    tail = (
        "p: Kolmogorov-Smirnov test of the exit times against the law; without noise, longer T: the same against two "
        "laws that are wrong, which the data have to reject. * does not count: the smallest d of three or more."
    )
    parts = [part for case in report.cases for part in _case_parts(case)]
    return head, *parts, tail, "passed" if report.passed else "FAILED: the law does not agree in every case"


def save_law_plot(report: LawReport, path: Path) -> None:
    """Draw the collapse of exit times on their law, one plot a mu."""
    from numerics.plots import figure_of_many

    cases = [case for case in report.cases if case.samples]
    titles = [_title(case, report) for case in cases]
    figure_of_many([partial(_collapse, case=case) for case in cases], titles).savefig(path, dpi=150)


def _title(case: LawCase, report: LawReport) -> str:
    place = "" if case.mu is None else rf", $\mu$ = {case.mu:.4g}"
    place += "" if case.rho is None else rf", $\rho$ = {case.rho:.4g}"
    student, teacher = report.settings["student"], report.settings["teacher"]
    pair = student if student == teacher else f"{student} on {teacher}"
    return f"{pair}, {report.settings['model']}{place}: {case.regime}"


def _collapse(ax: Axes, *, case: LawCase) -> Axes:
    from numerics.plots import collapse

    reduced = {
        f"d = {sample.d:.3g}, {len(sample.times)} runs": (sample.times - sample.law.median) / sample.law.unit
        for sample in case.samples
    }
    law = case.samples[-1].law
    unit = r"\sigma_T" if isinstance(law, Ballistic) else r"T_{1/2}" if law.tau is None else r"\tau"

    def shape(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([law.cdf(law.median + law.unit * float(at)) for at in x])

    return collapse(ax, reduced, shape, unit=unit)


def _case_parts(case: LawCase) -> tuple[str | Table, ...]:
    place = "" if case.mu is None else f"mu = {case.mu:g}: "
    place += "" if case.rho is None else f"rho = {case.rho:g}, "
    tau = "" if case.tau is None else f"tau = {case.tau:.5g}, "
    title = f"{place}regime {case.regime}, {tau}constant {case.constant:.6g}, lr = {case.lr:.4g}"
    table = Table(show_edge=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in (
        "d",
        "kappa",
        "runs",
        "median",
        "law",
        "p",
        "p (Holm)",
        "p without noise",
        f"p {case.control_factor:g} T",
    ):
        table.add_column(column, justify="right", no_wrap=True)
    for row in case.rows:
        table.add_row(
            f"{row.d:g}" + ("" if row.counts else "*"),
            f"{row.kappa:.4g}",
            str(row.runs),
            "-" if row.median is None else f"{row.median:.5g}",
            f"{row.law_median:.5g}",
            *("-" if p is None else f"{p:.2g}" for p in (row.p_value, row.p_holm, row.p_without_noise, row.p_slower)),
        )
    lost = [f"d = {row.d:g}: {row.censored} censored, {row.diverged} diverged" for row in case.rows]
    lost = [text for text, row in zip(lost, case.rows, strict=True) if row.censored or row.diverged]
    return title, *([table] if case.rows else []), *lost, *_slope_lines(case), f"  {_sentence(case)}"


def _slope_lines(case: LawCase) -> list[str]:
    low, high = case.slope_interval
    if case.slope is None or low is None or high is None:
        return []
    interval = f"99.5 % interval {low:.4g}..{high:.4g}"
    return [f"  slope of the {case.slope_of} in log d {case.slope:.4g}, {interval}; law {case.slope_law:.4g}"]


def _sentence(case: LawCase) -> str:
    return f"{case.verdict}: {case.reason}" if case.reason else case.verdict
