"""What `hermescape simulate` prints: how runs ended, for JSON and for people."""

from __future__ import annotations

from rich.table import Table

from numerics.simulation.statistics import ExitSample

__all__ = ["exit_summary", "exit_table"]

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def exit_summary(sample: ExitSample) -> dict[str, object]:
    """Return the JSON object of `hermescape simulate`; steps are null where too many runs are censored."""
    counts = sample.counts
    return {
        "exit_steps": {
            "median": sample.median,
            "mean": sample.mean,
            "interval": list(sample.median_interval(0.95)),
            "quantiles": {str(level): value for level, value in sample.quantiles(LEVELS).items()},
        },
        "replicas": len(sample.status),
        "censored": counts.censored,
        "diverged": counts.diverged,
        "caution": sample.experiment.network.caution or None,
        "settings": sample.experiment.parameters(),
    }


def exit_table(sample: ExitSample) -> Table:
    """Return the table of `hermescape simulate`."""
    counts, setting = sample.counts, sample.experiment
    table = Table(title="exit of one-pass SGD", show_edge=False, box=None, title_justify="left")
    for column in ("quantity", "steps", "t = lr * steps"):
        table.add_column(column, justify="left" if column == "quantity" else "right")
    low, high = sample.median_interval(0.95)
    rows = [("median", sample.median), ("  95 % interval, lower", low), ("  95 % interval, upper", high)]
    rows += [("mean", sample.mean)]
    rows += [(f"quantile {level:g}", value) for level, value in sample.quantiles(LEVELS).items()]
    for name, steps in rows:
        time = sample.to_time(steps)
        table.add_row(name, _number(steps), _number(time))
    table.add_row("replicas", str(len(sample.status)), "")
    table.add_row("exited, censored, diverged", f"{counts.exited}, {counts.censored}, {counts.diverged}", "")
    table.add_row("kappa = lr d / batch", f"{setting.sgd.kappa:.4g}", "")
    return table


def _number(value: float | None) -> str:
    return "not reached" if value is None else f"{value:.6g}"
