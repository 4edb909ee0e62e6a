"""Results in, Axes out, no computation. Colours and marks both tell series apart, so that greyscale suffices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

__all__ = ["STYLE", "check_figure", "exit_times"]

STYLE: Any = {
    "figure.figsize": (6.4, 4.4),
    "font.size": 10.5,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
FLOW, PREDICTION, MEASURED, TAU = "#56B4E9", "#0072B2", "#D55E00", "#7F7F7F"  # Okabe & Ito, distinct in grey


class ComparedTimes(Protocol):
    """A row of a check: times in t = eta * step, None where there is none."""

    @property
    def mu(self) -> float:
        """Pre-training strength."""
        ...

    @property
    def tau(self) -> float | None:
        """Search time."""
        ...

    @property
    def flow_exit(self) -> float | None:
        """Median exit of the flow."""
        ...

    @property
    def prediction(self) -> float | None:
        """Median exit expected of SGD."""
        ...

    @property
    def sgd_exit(self) -> float | None:
        """Median exit measured."""
        ...

    @property
    def sgd_interval(self) -> tuple[float | None, float | None]:
        """Its confidence interval."""
        ...


def exit_times(ax: Axes, rows: Sequence[ComparedTimes]) -> Axes:
    """Draw search time, flow, prediction and SGD medians with their 99 % intervals against mu."""
    ordered = sorted(rows, key=lambda row: row.mu)
    strengths = [row.mu for row in ordered]

    def column(values: Sequence[float | None]) -> list[float]:
        return [float("nan") if value is None else value for value in values]

    ax.plot(strengths, column([row.tau for row in ordered]), ":", color=TAU, label=r"search time $\tau$")
    flow = column([row.flow_exit for row in ordered])
    ax.plot(strengths, flow, color=FLOW, lw=6, alpha=0.6, label="flow, median start")
    prediction = column([row.prediction for row in ordered])
    ax.plot(strengths, prediction, "-s", color=PREDICTION, mfc="none", label=r"prediction at finite $\kappa$, $\eta$")
    middle = column([row.sgd_exit for row in ordered])
    low, high = (column([row.sgd_interval[side] for row in ordered]) for side in (0, 1))
    below = [centre - end for centre, end in zip(middle, low, strict=True)]
    above = [end - centre for centre, end in zip(middle, high, strict=True)]
    label = "SGD, median and 99 % interval"
    ax.errorbar(strengths, middle, yerr=[below, above], fmt="o", color=MEASURED, capsize=4, ms=4, label=label)
    ax.set_yscale("log")
    ax.set_xlabel(r"pre-training strength $\mu$")
    ax.set_ylabel(r"exit time $t = \eta \times$ steps")
    ax.legend()
    return ax


def check_figure(rows: Sequence[ComparedTimes], title: str) -> Figure:
    """Return a figure with `exit_times` of the rows, independent of any global plotting state."""
    with mpl.rc_context(STYLE):
        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        exit_times(figure.subplots(), rows).set_title(title)
        return figure
