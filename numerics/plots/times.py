"""Search times and exit times against the alignment mu; times are t = eta * step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from numerics.plots.style import ALIGNMENT_LABEL, TIME_LABEL, Array, add_legend, columns, figure_of, look

__all__ = ["ComparedTimes", "check_figure", "exit_points", "exit_times", "tau_curve"]

FLOW, PREDICTION, MEASURED, TAU = "#56B4E9", "#0072B2", "#D55E00", "#7F7F7F"  # Okabe & Ito, distinct in grey
MARKS = 12  # along a curve
NEVER = "no exit"
DIVERGENCE = r"$\tau = \infty$"


class ComparedTimes(Protocol):
    """A row of a check: times in t = eta * step, None where there is none."""

    @property
    def mu(self) -> float | None:
        """Pre-training alignment; 0 is drawn where there is none."""
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
    ordered = sorted(rows, key=lambda row: row.mu or 0.0)
    alignments = [row.mu or 0.0 for row in ordered]

    def column(values: Sequence[float | None]) -> list[float]:
        return [float("nan") if value is None else value for value in values]

    ax.plot(alignments, column([row.tau for row in ordered]), ":^", color=TAU, ms=4, label=r"search time $\tau$")
    flow = column([row.flow_exit for row in ordered])
    ax.plot(alignments, flow, "-o", color=FLOW, lw=6, ms=9, alpha=0.6, label="flow, median start")
    prediction = column([row.prediction for row in ordered])
    ax.plot(alignments, prediction, "-s", color=PREDICTION, mfc="none", label=r"prediction at finite $\kappa$, $\eta$")
    middle = column([row.sgd_exit for row in ordered])
    low, high = (column([row.sgd_interval[side] for row in ordered]) for side in (0, 1))
    below = [centre - end for centre, end in zip(middle, low, strict=True)]
    above = [end - centre for centre, end in zip(middle, high, strict=True)]
    label = "SGD, median and 99 % interval"
    ax.errorbar(alignments, middle, yerr=[below, above], fmt="o", color=MEASURED, capsize=4, ms=4, label=label)
    ax.set_yscale("log")
    ax.set_xlabel(r"alignment $\mu$")
    ax.set_ylabel(r"exit time $t = \eta \times$ steps")
    add_legend(ax)
    return ax


def tau_curve(
    ax: Axes,
    mu: ArrayLike,
    tau: ArrayLike,
    *,
    label: str,
    index: int = 0,
    band: tuple[ArrayLike, ArrayLike] | None = None,
    critical: Sequence[float] = (),
) -> Axes:
    r"""Draw tau(mu) on a logarithmic axis, split where it diverges.

    Args:
        ax: where to draw.
        mu: alignments, in any order.
        tau: search times in t = eta * step; infinite and NaN are gaps.
        label: entry of the legend.
        index: of the colour, mark and dash.
        band: lower and upper bounds of tau.
        critical: alignments at which tau diverges: the curve is never joined across one, and each is a dotted line.

    Raises:
        InputError: arrays that are not of one dimension and length.

    >>> from numerics.plots import figure_of
    >>> ax = figure_of(lambda ax: tau_curve(ax, [0.1, 0.3], [1, 2], label="", critical=[0.2]), "").axes[0]
    >>> ax.lines[0].get_ydata()
    array([ 1., nan,  2.])
    """
    low, high = (tau, tau) if band is None else band
    places, *values = columns(mu=mu, tau=tau, low=low, high=high)
    gaps = np.asarray(critical, float)
    at = np.concatenate([places[~np.isin(places, gaps)], gaps])
    middle, below, above = (_split(places, column, gaps)[np.argsort(at)] for column in values)
    at = np.sort(at)
    colour, marker, dash = look(index)
    if band is not None:
        ax.fill_between(at, below, above, color=colour, alpha=0.2, lw=0)
    ax.plot(
        at, middle, linestyle=dash, marker=marker, markevery=_marked(at, middle), color=colour, mfc="none", label=label
    )
    _, labels = ax.get_legend_handles_labels()
    for place in gaps:
        name = "_" if DIVERGENCE in labels or place != gaps[0] else DIVERGENCE
        ax.axvline(place, ls=":", color="0.35", lw=1.2, label=name)
    ax.set_yscale("log")
    ax.set_xlabel(ALIGNMENT_LABEL)
    _name_times(ax, "search time")
    add_legend(ax)
    return ax


def _split(places: Array, values: Array, gaps: Array) -> Array:
    """Return values with NaN for what is not finite, and at every gap."""
    kept = values[~np.isin(places, gaps)]
    return np.concatenate([np.where(np.isfinite(kept), kept, np.nan), np.full(gaps.shape, np.nan)])


def _marked(places: Array, values: Array) -> list[int]:
    """Return the indices that carry a mark: a few along the curve, and every point without finite neighbours."""
    finite = np.isfinite(values)
    if not finite.any():
        return []
    known = np.flatnonzero(finite)
    wanted = np.linspace(places[known[0]], places[known[-1]], MARKS)
    chosen = known[np.abs(places[known] - wanted[:, None]).argmin(axis=1)]
    joined = np.concatenate([[False], finite, [False]])
    alone = np.flatnonzero(finite & ~joined[:-2] & ~joined[2:])
    return sorted({*chosen.tolist(), *alone.tolist()})


def exit_points(
    ax: Axes,
    mu: ArrayLike,
    median: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    *,
    label: str,
    index: int = 0,
) -> Axes:
    """Draw measured exit times with their intervals.

    Args:
        ax: where to draw.
        mu: alignments.
        median: exit times in t = eta * step, NaN where half of the runs have not exited: a cross at the upper edge.
        low: lower ends of their intervals.
        high: upper ends; NaN where the interval is open above: an arrow.
        label: entry of the legend.
        index: of the colour and mark.

    Raises:
        InputError: arrays that are not of one dimension and length.

    >>> from numerics.plots import figure_of
    >>> nan = float("nan")
    >>> ax = figure_of(lambda ax: exit_points(ax, [0.1, 0.3], [9, nan], [8, nan], [11, nan], label="SGD"), "").axes[0]
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['no exit', 'SGD']
    """
    at, middle, bottom, top = columns(mu=mu, median=median, low=low, high=high)
    colour, marker, _ = look(index)
    left = np.isfinite(middle)
    below = np.where(np.isfinite(bottom), middle - bottom, 0.0)[left]
    above = np.where(np.isfinite(top), top - middle, 0.0)[left]
    marks = {"fmt": marker, "color": colour, "capsize": 4, "ms": 5, "lw": 1.4}
    ax.errorbar(at[left], middle[left], yerr=[below, above], label=label, **marks)
    known = np.where(left, middle, bottom)
    for place, height in zip(at, np.where(np.isfinite(top), np.nan, known), strict=True):
        if np.isfinite(height):
            arrow = {"arrowstyle": "<-", "color": colour, "lw": 1.4}
            ax.annotate("", (place, height), (0, 26), textcoords="offset points", arrowprops=arrow)
            ax.plot(place, height, "_", color=colour, ms=8)
    never = at[~left & ~np.isfinite(bottom)]
    if never.size:
        _, labels = ax.get_legend_handles_labels()
        name = "_" if NEVER in labels else NEVER
        ax.plot(never, np.full(never.shape, 0.97), "X", color=colour, transform=ax.get_xaxis_transform(), label=name)
    ax.set_yscale("log")
    ax.set_xlabel(ALIGNMENT_LABEL)
    _name_times(ax, "exit time")
    add_legend(ax)
    return ax


def _name_times(ax: Axes, kind: str) -> None:
    """Label the axis of times by the one kind that is on it, or by time where there are two."""
    own = TIME_LABEL.replace("time", kind, 1)
    ax.set_ylabel(own if ax.get_ylabel() in ("", own) else TIME_LABEL)


def check_figure(rows: Sequence[ComparedTimes], title: str) -> Figure:
    """Return a figure with `exit_times` of the rows."""
    return figure_of(lambda ax: exit_times(ax, rows), title)
