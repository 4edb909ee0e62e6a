"""Results in, Axes out, no computation. Colours and marks both tell series apart, so that greyscale suffices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

__all__ = ["STYLE", "check_figure", "collapse", "exit_times", "figure_of"]

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
MARKED = (("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#56B4E9", "v"), ("#E69F00", "x"))
Array = NDArray[np.float64]


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


def collapse(ax: Axes, samples: Mapping[str, ArrayLike], law: Callable[[Array], Array]) -> Axes:
    """Draw empirical distribution functions of reduced exit times on the one curve that the law says they share.

    Args:
        ax: where to draw.
        samples: reduced times (T - median of the law)/tau by label, one entry a dimension.
        law: the distribution function of the reduced time.

    The band is the 95 % one of Dvoretzky, Kiefer and Wolfowitz (Massart 1990) for the smallest sample.
    """
    reduced = {label: np.sort(np.asarray(values, float)) for label, values in samples.items()}
    low, high = min(v[0] for v in reduced.values()), max(v[-1] for v in reduced.values())
    grid = np.linspace(low - 0.3, high + 0.3, 400)
    width = float(np.sqrt(np.log(2 / 0.05) / (2 * min(map(len, reduced.values())))))
    ax.fill_between(grid, np.clip(law(grid) - width, 0, 1), np.clip(law(grid) + width, 0, 1), color="0.88", lw=0)
    ax.plot(grid, law(grid), color="black", lw=2.5, label="law, 95 % band of the smallest sample")
    for index, (label, values) in enumerate(reduced.items()):
        shade = MARKED[index % len(MARKED)]
        share = (np.arange(len(values)) + 0.5) / len(values)
        places = np.unique(np.linspace(0, len(values) - 1, 25).round().astype(int) + index % 3).clip(0, len(values) - 1)
        ax.step(values, share, where="mid", color=shade[0], lw=0.9, alpha=0.8)
        ax.plot(values[places], share[places], shade[1], color=shade[0], mfc="none", ms=5, label=label)
    ax.set_xlabel(r"reduced exit time $(T - T_{1/2})/\tau$")
    ax.set_ylabel(r"$P(T \leq t)$")
    ax.set_ylim(0, 1)
    ax.legend()
    return ax


def figure_of(draw: Callable[[Axes], Axes], title: str) -> Figure:
    """Return a figure with one plot, independent of any global plotting state."""
    with mpl.rc_context(STYLE):
        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure.subplots()).set_title(title)
        return figure


def check_figure(rows: Sequence[ComparedTimes], title: str) -> Figure:
    """Return a figure with `exit_times` of the rows."""
    return figure_of(lambda ax: exit_times(ax, rows), title)
