"""Search times and exit times against the alignment mu; times are t = eta * step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from numerics.plots.legends import add_legend
from numerics.plots.style import ALIGNMENT_LABEL, TIME_LABEL, Array, columns, look, mark, stroke, tint
from numerics.plots.ticks import logarithmic

__all__ = ["ComparedTimes", "exit_points", "exit_times", "law_medians", "tau_curve"]

PREDICTION, MEASURED, FLOW = look(0), look(1), "#5B93CC"
MARKS = 12  # along a curve
NEVER = "no exit"
FLOW_LABEL, PREDICTED_LABEL = "flow, median start", r"predicted at finite $\kappa$, $\eta$"
MEASURED_LABEL = "SGD: median, 99 % interval"
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

    def column(values: Sequence[float | None]) -> Array:
        return np.array([math.nan if value is None else value for value in values])

    shared = {"clip_on": False, "mfc": "none"}  # a mark at the end of the axis is whole
    grey, flow = tint(0.6), column([row.flow_exit for row in ordered])
    wide = {"lw": stroke(3), "solid_capstyle": "round", "marker": "o", "mec": "none"}
    wide["ms"] = wide["lw"] if len(rows) > 1 else mark(2.2)  # a line of one point is a mark
    ax.plot(alignments, flow, "-", color=FLOW, clip_on=False, label=FLOW_LABEL, **wide)
    prediction = column([row.prediction for row in ordered])
    ax.plot(alignments, prediction, "-s", color=PREDICTION.colour, ms=mark(1.3), label=PREDICTED_LABEL, **shared)
    middle = column([row.sgd_exit for row in ordered])
    low, high = (column([row.sgd_interval[side] for row in ordered]) for side in (0, 1))
    style = {"fmt": "o", "color": MEASURED.colour, "capsize": mark(0.7), "ms": mark(0.7), "zorder": 3, "clip_on": False}
    ax.errorbar(alignments, middle, yerr=[middle - low, high - middle], label=MEASURED_LABEL, **style)
    tau = column([row.tau for row in ordered])
    ax.plot(alignments, tau, ":^", color=grey, ms=mark(0.9), label=r"search time $\tau$", **shared)
    _scaled(ax)
    ax.set_ylabel(TIME_LABEL.replace("time", "exit time", 1))
    add_legend(ax)
    return ax


def _scaled(ax: Axes) -> None:
    """Make the axes those of times over the alignment."""
    ax.set_yscale("log")
    logarithmic(ax.yaxis)
    ax.set_xlabel(ALIGNMENT_LABEL)


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
        ax.axvline(place, ls=":", color=tint(0.7), lw=stroke(0.7), label=name)
    _scaled(ax)
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
    first, last = places[known[0]], places[known[-1]]
    inset = (last - first) / (2 * MARKS)  # so that no mark is cut by the frame
    wanted = np.linspace(first + inset, last - inset, MARKS)
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
    marks = {"fmt": marker, "color": colour, "capsize": mark(0.7), "ms": mark(0.9), "lw": stroke(0.8), "clip_on": False}
    ax.errorbar(at[left], middle[left], yerr=[below, above], label=label, **marks)
    known = np.where(left, middle, bottom)
    for place, height in zip(at, np.where(np.isfinite(top), np.nan, known), strict=True):
        if np.isfinite(height):
            arrow = {"arrowstyle": "<-", "color": colour, "lw": stroke(0.8)}
            ax.annotate("", (place, height), (0, 26), textcoords="offset points", arrowprops=arrow)
            ax.plot(place, height, "_", color=colour, ms=mark(1.5))
    never = at[~left & ~np.isfinite(bottom)]
    if never.size:
        _, labels = ax.get_legend_handles_labels()
        name = "_" if NEVER in labels else NEVER
        ax.plot(never, np.full(never.shape, 0.97), "X", color=colour, transform=ax.get_xaxis_transform(), label=name)
    _scaled(ax)
    _name_times(ax, "exit time")
    add_legend(ax)
    return ax


def law_medians(ax: Axes, mu: ArrayLike, median: ArrayLike, *, label: str, index: int = 2) -> Axes:
    """Draw medians of laws of the exit time, t = eta * step, over the alignment; what is not finite is a gap.

    Raises `InputError` for arrays that are not of one dimension and length.

    >>> from numerics.plots import figure_of
    >>> ax = figure_of(lambda ax: law_medians(ax, [0.1, 0.3], [9, float("inf")], label="law"), "").axes[0]
    >>> ax.lines[0].get_ydata()
    array([ 9., nan])
    """
    places, middle = columns(mu=mu, median=median)
    finite, one = np.where(np.isfinite(middle), middle, np.nan), look(index)
    ax.plot(places, finite, color=one.colour, ls=one.dash, lw=stroke(1.2), label=label)
    _scaled(ax)
    _name_times(ax, "exit time")
    add_legend(ax)
    return ax


def _name_times(ax: Axes, kind: str) -> None:
    """Label the axis of times by the one kind that is on it, or by time where there are two."""
    own = TIME_LABEL.replace("time", kind, 1)
    ax.set_ylabel(own if ax.get_ylabel() in ("", own) else TIME_LABEL)
