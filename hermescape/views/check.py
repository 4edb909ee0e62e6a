"""What `hermescape check` prints, at one dimension or several."""

from __future__ import annotations

from rich.table import Table

from hermescape.verify.report import Case, Report
from theory.network.objectives import objective

__all__ = ["check_lines"]

Part = str | Table


def check_lines(report: Report) -> tuple[Part, ...]:
    """Return the parts that `hermescape check` prints."""
    return _median_lines(report) if report.at_one_dimension else _law_lines(report)


# --- one dimension ----------------------------------------------------------------------------------------------


def _median_lines(report: Report) -> tuple[Part, ...]:
    settings = report.settings
    batches = sorted({row.batch for row in report.rows})
    head = (
        f"{_pair(report)}: d = {settings['d']}, lr = {settings['lr']:.4g}, "
        f"batch = {', '.join(map(str, batches))}, {settings['replicas']} runs each, exit at |m| = "
        f"{settings['threshold']:g}, seed {settings['seed']}; times in t = lr * steps"
    )
    table = Table(show_edge=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("mu", "tau", "flow exit", "predicted", "SGD exit", "99 % interval", "tolerance", "verdict"):
        table.add_column(column, justify="left" if column == "verdict" else "right", no_wrap=True)
    notes = []
    for case, row in zip(report.cases, report.rows, strict=True):
        low, high = row.sgd_interval
        if case.reason:
            notes.append(f"mu = {row.mu:g}: {case.reason}")
        if row.censored or row.diverged:
            notes.append(f"mu = {row.mu:g}: {row.censored} runs censored, {row.diverged} diverged")
        table.add_row(
            f"{row.mu:g}",
            "infinite" if row.tau is None else f"{row.tau:.5g}",
            _short(row.flow_exit),
            _short(row.prediction),
            _short(row.sgd_exit),
            f"{_short(low)}..{_short(high)}",
            _short(row.tolerance),
            case.verdict,
        )
    tail = "predicted: flow exit with SGD's noise and finite lr; it agrees within the interval widened by the tolerance"
    return head, table, *notes, tail, "passed" if report.passed else "FAILED: at least one row does not agree"


def _pair(report: Report, *, model: bool = False) -> str:
    settings = report.settings
    of = f", model {settings['model']}" if model else ""
    return f"{settings['student']} on {settings['teacher']}{of}{objective(settings['objective']).aside}"


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


# --- several dimensions -----------------------------------------------------------------------------------------


def _law_lines(report: Report) -> tuple[Part, ...]:
    settings = report.settings
    head = (
        f"{_pair(report, model=True)}: exit at |m| = "
        f"{settings['threshold']:g}, seed {settings['seed']}; times in t = lr * steps"
    )
    tail = ["p: Kolmogorov-Smirnov test against the law; the last two: against wrong laws, which have to be rejected"]
    tail += ["*: does not count, the smallest d of three or more"] * any(not row.counts for row in report.rows)
    parts = [part for case in report.cases for part in _case_parts(case)]
    return head, *parts, *tail, "passed" if report.passed else "FAILED: the law does not agree in every case"


def _case_parts(case: Case) -> tuple[Part, ...]:
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
        "by",
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
            "-" if row.sgd_exit is None else f"{row.sgd_exit:.5g}",
            f"{row.prediction:.5g}",
            row.law,
            *("-" if p is None else f"{p:.2g}" for p in (row.p_value, row.p_holm, row.p_without_noise, row.p_slower)),
        )
    lost = [f"d = {row.d:g}: {row.censored} censored, {row.diverged} diverged" for row in case.rows]
    lost = [text for text, row in zip(lost, case.rows, strict=True) if row.censored or row.diverged]
    return title, *([table] if case.rows else []), *lost, *_slope_lines(case), f"  {case.sentence}"


def _slope_lines(case: Case) -> list[str]:
    low, high = case.slope_interval
    if case.slope is None or low is None or high is None:
        return []
    interval = f"99.5 % interval {low:.4g}..{high:.4g}"
    return [f"  slope of the {case.slope_of} in log d {case.slope:.4g}, {interval}; law {case.slope_law:.4g}"]
