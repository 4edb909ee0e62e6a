"""What `hermescape check --plot` draws: predictions against measurements, and exit times on their law."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from hermescape.verify.at_one_dimension import Report
from hermescape.verify.judge import LawCase, LawReport
from numerics.law import Ballistic
from numerics.plots import check_figure, collapse, figure_of_many

__all__ = ["save_check_plot", "save_law_plot"]


def save_check_plot(report: Report, path: Path) -> None:
    """Draw prediction against measurement and save it."""
    settings = report.settings
    title = f"{settings['student']} on {settings['teacher']}, d = {settings['d']}, {settings['replicas']} runs each"
    figure = check_figure([row for row in report.rows if row.flow_exit is not None], title)
    figure.savefig(path, dpi=160)


def save_law_plot(report: LawReport, path: Path) -> None:
    """Draw the collapse of exit times on their law, one plot a mu."""
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
    reduced = {
        f"d = {sample.d:.3g}, {len(sample.times)} runs": (sample.times - sample.law.median) / sample.law.unit
        for sample in case.samples
    }
    law = case.samples[-1].law
    unit = r"\sigma_T" if isinstance(law, Ballistic) else r"T_{1/2}" if law.tau is None else r"\tau"

    def shape(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([law.cdf(law.median + law.unit * float(at)) for at in x])

    return collapse(ax, reduced, shape, unit=unit)
