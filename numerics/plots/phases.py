"""Phase diagrams: how a start is left, and when, over two parameters."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import Normal, Stroke
from numpy.typing import ArrayLike, NDArray

from numerics.plots.areas import contour_lines, edges, hatched, scale_of_colours
from numerics.plots.legends import add_legend
from numerics.plots.style import ALIGNMENT_LABEL, COLOURS, TIME_LABEL, Array, stroke, tint
from numerics.plots.ticks import logarithmic, power_of_ten

__all__ = ["phase_diagram"]

TIMED = {"linear": "", "noise-driven": "...", "u alone": "oo"}
UNTIMED = {"trapped": "xxx", "unreached": "///", "undecided": "++", "outside": ""}
NAMES = {
    "linear": "led by the slope of the loss",
    "noise-driven": "led by noise",
    "trapped": "trapped: no exit",
    "unreached": "flow ends before the threshold",
    "outside": r"$\rho < |\mu|$: no such start",
}
LONGEST = 1e9  # times the shortest, beyond which colours do not tell apart


def phase_diagram(
    ax: Axes,
    mu: ArrayLike,
    other: ArrayLike,
    median: ArrayLike,
    regime: Sequence[Sequence[str]] | NDArray[np.str_],
    name: str,
    *,
    label: str = "",
    critical: tuple[ArrayLike, ArrayLike] | None = None,
) -> Axes:
    """Draw the median exit time as colour and contours, and every cell of every regime but the linear one hatched.

    The ground shows where there is no exit time, and nowhere else; what is no start at all is grey.

    Args:
        ax: where to draw.
        mu: ascending alignments, shape (n,).
        other: ascending dimensions (on a log axis), lengths of w0, or values of a parameter, shape (k,).
        median: median exit times t = eta * step, shape (n, k); infinite or NaN where there is none.
        regime: names of the regimes, shape (n, k).
        name: what `other` is: "d", "rho" or a parameter.
        label: of its axis, where it is a parameter.
        critical: alignments and values along the curves of critical alignments, NaN between two.
    """
    x, y, times = np.asarray(mu, float), np.asarray(other, float), np.asarray(median, float).T
    kinds, is_log = np.asarray(regime).T, name == "d"
    if is_log:  # before any contour, whose names are placed on the lines as they are then
        ax.set_yscale("log")
        logarithmic(ax.yaxis)
    borders = edges(x, logarithmic=False), edges(y, logarithmic=is_log)
    for set_ends, ends in ((ax.set_xlim, borders[0]), (ax.set_ylim, borders[1])):
        if ends[0] < ends[-1]:
            set_ends(ends[0], ends[-1])
    seen = np.isfinite(times) & (times > 0)
    if seen.any():
        _coloured(ax, (x, y), borders, np.where(seen, times, np.nan))
    entries: list[Artist] = list(_areas(ax, borders, kinds, seen))
    if critical is not None:
        entries += _curves(ax, *critical)
    add_legend(ax, entries)
    ax.set_xlabel(ALIGNMENT_LABEL)
    ax.set_ylabel(label or ("dimension $d$" if is_log else r"length $\rho = |w_0|$"))
    ax.grid(visible=False)
    return ax


def _coloured(ax: Axes, places: tuple[Array, Array], borders: tuple[Array, Array], shown: Array) -> None:
    """Draw times as colours, and a contour at each power of ten."""
    low, longest = float(np.nanmin(shown)), float(np.nanmax(shown))
    high = min(longest, LONGEST * low) * 1.0001
    mesh = ax.pcolormesh(*borders, shown, norm=LogNorm(low, high), cmap=COLOURS, rasterized=True)
    extend = "max" if longest > high else "neither"
    bar = scale_of_colours(ax, mesh, f"median exit {TIME_LABEL}", extend=extend)
    logarithmic(bar.yaxis)
    powers = np.arange(np.ceil(np.log10(low)), np.floor(np.log10(high)) + 1)
    if min(shown.shape) > 1 and len(powers):
        contour_lines(ax, *places, np.log10(shown), powers, lambda power: power_of_ten(10.0**power))


def _areas(ax: Axes, borders: tuple[Array, Array], kinds: NDArray[np.str_], seen: NDArray[np.bool_]) -> list[Patch]:
    """Hatch the cells of each regime, and return the entries of the legend: with and without an exit time."""
    shown = []
    for kind, hatch in TIMED.items():
        where = (kinds == kind) & seen
        if where.any() and hatch:
            hatched(ax, *borders, where, hatch, NAMES.get(kind, kind))
        if where.any():
            shown.append(_entry(kind, hatch))
    for kind, hatch in UNTIMED.items():
        where = kinds == kind
        if where.any():
            ground = tint(0.2) if kind == "outside" else mpl.rcParams["axes.facecolor"]
            shown.append(hatched(ax, *borders, where, hatch, NAMES.get(kind, kind), facecolor=ground))
    return shown


def _curves(ax: Axes, mu: ArrayLike, values: ArrayLike) -> list[Line2D]:
    """Draw critical alignments in ink with an edge of the ground, and return their entry of the legend."""
    if not np.isfinite(np.asarray(mu, float)).any():
        return []
    edge = [Stroke(linewidth=stroke(2.6), foreground=tint(0.0)), Normal()]
    return ax.plot(mu, values, "--", color=tint(1.0), lw=stroke(1.2), path_effects=edge, label="critical alignment")


def _entry(kind: str, hatch: str) -> Patch:
    """Return the entry of a regime with exit times, on a colour from the middle of the scale."""
    colour = COLOURS(0.4)
    return Patch(facecolor=colour, edgecolor="black", hatch=hatch or None, lw=stroke(0.4), label=NAMES.get(kind, kind))
