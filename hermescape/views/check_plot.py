"""What `hermescape check` draws, at one dimension or several."""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from hermescape.verify.report import Case, Report
from numerics.law import Ballistic
from numerics.plots import Sheet, collapse, exit_times, figure_of, figure_of_many, paired, size_of

__all__ = ["check_figure"]


def check_figure(report: Report, style: str = "screen", width: float | None = None) -> Sheet:
    """Return prediction against measurement, or the collapse of exit times on their law, one plot a start.

    Args:
        report: of a check; at several dimensions some start has to have runs.
        style: one of `numerics.plots.STYLES`.
        width: of the figure in inches; that of the style by default.
    """
    return (_medians if report.at_one_dimension else _laws)(report, style, width)


def _medians(report: Report, style: str, width: float | None) -> Sheet:
    settings = report.settings
    title = f"{_pair(report)}, $d$ = {size_of(float(str(settings['d'])))}, {settings['replicas']} runs each"
    rows = [row for row in report.rows if row.flow_exit is not None]
    return figure_of(lambda ax: exit_times(ax, rows), title, like=style, width=width)


def _laws(report: Report, style: str, width: float | None) -> Sheet:
    cases = [case for case in report.cases if case.samples]
    draw = [partial(_collapse, case=case) for case in cases]
    return figure_of_many(draw, [_title(case, report) for case in cases], like=style, width=width)


def _pair(report: Report) -> str:
    return paired(*(str(report.settings[name]) for name in ("student", "teacher")))


def _title(case: Case, report: Report) -> str:
    place = "" if case.mu is None else rf", $\mu$ = {case.mu:.4g}"
    place += "" if case.rho is None else rf", $\rho$ = {case.rho:.4g}"
    return f"{_pair(report)}, {report.settings['model']}{place}: {case.regime}"


def _collapse(ax: Axes, *, case: Case) -> Axes:
    reduced = {
        f"$d$ = {size_of(sample.d)}, {len(sample.times)} runs": (sample.times - sample.law.median) / sample.law.unit
        for sample in case.samples
        if sample.law is not None
    }
    law = case.samples[-1].law
    assert law is not None  # at several dimensions
    unit = r"\sigma_T" if isinstance(law, Ballistic) else r"T_{1/2}" if law.tau is None else r"\tau"

    def shape(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([law.cdf(law.median + law.unit * float(at)) for at in x])

    return collapse(ax, reduced, shape, unit=unit)
