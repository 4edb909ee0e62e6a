"""What is derived of a pair of functions: the kernel over (q, r), and the Hermite spectrum."""

from __future__ import annotations

import numpy as np
import scipy
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from numerics.plots.areas import contour_lines, scale_of_colours
from numerics.plots.legends import add_legend
from numerics.plots.style import COLOURS, columns, look, mark, stroke, tint
from numerics.plots.ticks import logarithmic
from theory.errors import InputError

__all__ = ["hermite_spectrum", "kernel_surface"]

LEVELS = 14
ROUNDING = 1e-13
EDGE = 0.02  # of the range, within which a contour would run along the edge


def kernel_surface(ax: Axes, q: ArrayLike, r: ArrayLike, values: ArrayLike) -> Axes:
    """Draw filled contours of a function over (q, r), with the forbidden region q^2 > r hatched.

    Args:
        ax: where to draw; its figure gets a scale of colours.
        q: overlaps <w, w*>, the columns of `values`, or places of the shape of `values` (so that a grid can follow
            the edge q^2 = r).
        r: squared norms <w, w>, its rows, or places too.
        values: of the function, of shape (len(r), len(q)); NaN where it is not defined.

    Raises:
        InputError: arrays of other shapes, or nothing finite.

    >>> from numerics.plots import figure_of
    >>> q, r = np.linspace(-1, 1, 21), np.linspace(0, 1, 11)
    >>> ax = figure_of(lambda ax: kernel_surface(ax, q, r, r[:, None] + 0 * q), "").axes[0]
    >>> ax.get_ylabel()
    'squared norm $r$'
    """
    places = [np.asarray(f, float) for f in (q, r)]
    height = np.ma.masked_invalid(np.asarray(values, float))
    shape = tuple(f.size for f in reversed(places)) if places[0].ndim == places[1].ndim == 1 else places[0].shape
    if height.ndim != 2 or height.shape != shape or places[0].ndim != places[1].ndim or not height.count():
        said = f"q, r, values of shapes {places[0].shape}, {places[1].shape}, {height.shape}"
        raise InputError(f"{said} given; accepted: values of shape (len(r), len(q)), or all three of it, some finite.")
    ax.set_xlim(places[0].min(), places[0].max())
    ax.set_ylim(places[1].min(), places[1].max())
    filled = ax.contourf(*places, height, levels=LEVELS, cmap=COLOURS)
    filled.set_edgecolor("face")  # or the ground shines through between two colours
    levels = np.asarray(filled.levels)[::2]
    inside = levels[(levels > height.min() + EDGE * np.ptp(height)) & (levels < height.max() - EDGE * np.ptp(height))]
    contour_lines(ax, places[0], places[1], height, inside, lambda level: f"{level:.4g}")
    scale_of_colours(ax, filled, "$K(q, r)$")
    edge = np.linspace(places[0].min(), places[0].max(), 201)
    name = "$q^2 > r$: no Gaussian pair"
    ax.fill_between(edge, places[1].min(), edge**2, fc=tint(0), ec=tint(0.6), hatch="///", lw=stroke(0.4), label=name)
    ax.set_xlabel(r"overlap $q$")
    ax.set_ylabel(r"squared norm $r$")
    ax.grid(visible=False)
    add_legend(ax)
    return ax


def hermite_spectrum(
    ax: Axes, coefficients: ArrayLike, *, label: str, index: int = 0, decay: float | None = None
) -> Axes:
    r"""Draw |sigma_k|/sqrt(k!) over k, even orders filled, odd ones hollow; those that vanish at the lower edge.

    The squares add up to E sigma(Z)^2, so that the spectrum says how much of the function each order holds. What is
    below 1e-13 of the largest counts as 0, which float64 cannot tell it from.

    Args:
        ax: where to draw.
        coefficients: sigma_0, sigma_1, ... at variance one.
        label: entry of the legend.
        index: of the colour and mark.
        decay: p of a guide k^-p through the last coefficient that does not vanish.

    Raises:
        InputError: coefficients that are not finite or all vanish.

    >>> from numerics.plots import figure_of
    >>> ax = figure_of(lambda ax: hermite_spectrum(ax, [0.0, 3.0, 0.0, 6.0], label="x**3"), "").axes[0]
    >>> [round(float(height), 4) for height in ax.lines[0].get_ydata()]  # 3, 6/sqrt(3!)
    [3.0, 2.4495]
    """
    (given,) = columns(coefficients=coefficients)
    if not np.isfinite(given).all() or not given.any():
        raise InputError(f"coefficients {given} given; accepted: finite numbers, not all 0.")
    orders = np.arange(len(given))
    size = np.zeros_like(given)
    size[given != 0] = np.exp(np.log(np.abs(given[given != 0])) - scipy.special.gammaln(orders[given != 0] + 1) / 2)
    present = size > ROUNDING * size.max()
    colour, marker, dash = look(index)
    for parity, name in enumerate(("even $k$", "odd $k$")):
        chosen = present & (orders % 2 == parity)
        face = tint(0) if parity else colour
        if chosen.any():
            style = {
                "ls": dash,
                "lw": stroke(0.4),
                "marker": marker,
                "color": colour,
                "mfc": face,
                "ms": mark(1.1),
                "clip_on": False,
            }
            ax.plot(orders[chosen], size[chosen], label=f"{label}, {name}", **style)
    if not present.all():
        low = np.full(orders[~present].shape, 0.03 + 0.05 * index)
        across = ax.get_xaxis_transform()
        ax.margins(y=0.12)  # room for them
        ax.plot(orders[~present], low, "x", ms=mark(0.9), color=colour, transform=across, label=f"{label}, vanish")
    if decay is not None:
        last = orders[present][-1]
        tail = np.linspace(max(1.0, last / 4), last)
        ax.plot(
            tail, size[last] * (tail / last) ** -decay, color=tint(0.7), ls="--", label=rf"$\propto k^{{-{decay:g}}}$"
        )
    ax.set_yscale("log")
    logarithmic(ax.yaxis)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("order $k$")
    ax.set_ylabel(r"$|\sigma_k| / \sqrt{k!}$")
    add_legend(ax)
    return ax
