"""What `hermescape check` draws, at one dimension or several."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from hermescape.verify.report import Case, Report
from numerics.law import Ballistic
from numerics.plots import check_figure, collapse, figure_of_many

__all__ = ["save_check_plot"]


def save_check_plot(report: Report, path: Path) -> bool:
    """Draw prediction against measurement, or the collapse of exit times on their law; False where nothing was run."""
    return _save_medians(report, path) if report.at_one_dimension else _save_laws(report, path)


def _save_medians(report: Report, path: Path) -> bool:
    settings = report.settings
    title = f"{settings['student']} on {settings['teacher']}, d = {settings['d']}, {settings['replicas']} runs each"
    figure = check_figure([row for row in report.rows if row.flow_exit is not None], title)
    figure.savefig(path, dpi=160)
    return True


def _save_laws(report: Report, path: Path) -> bool:
    cases = [case for case in report.cases if case.samples]
    titles = [_title(case, report) for case in cases]
    if cases:
        figure_of_many([partial(_collapse, case=case) for case in cases], titles).savefig(path, dpi=150)
    return bool(cases)


def _title(case: Case, report: Report) -> str:
    place = "" if case.mu is None else rf", $\mu$ = {case.mu:.4g}"
    place += "" if case.rho is None else rf", $\rho$ = {case.rho:.4g}"
    student, teacher = report.settings["student"], report.settings["teacher"]
    pair = student if student == teacher else f"{student} on {teacher}"
    return f"{pair}, {report.settings['model']}{place}: {case.regime}"


def _collapse(ax: Axes, *, case: Case) -> Axes:
    reduced = {
        f"d = {sample.d:.3g}, {len(sample.times)} runs": (sample.times - sample.law.median) / sample.law.unit
        for sample in case.samples
        if sample.law is not None
    }
    law = case.samples[-1].law
    assert law is not None  # at several dimensions
    unit = r"\sigma_T" if isinstance(law, Ballistic) else r"T_{1/2}" if law.tau is None else r"\tau"

    def shape(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([law.cdf(law.median + law.unit * float(at)) for at in x])

    return collapse(ax, reduced, shape, unit=unit)
