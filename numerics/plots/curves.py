"""Curves of one quantity over one parameter, with intervals where they are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from numerics.plots.legends import add_legend
from numerics.plots.style import LOOKS, TIME_LABEL, Array, look, mark, stroke
from numerics.plots.ticks import MANY, logarithmic

__all__ = ["SERIES", "curves_over", "label_of", "symbol_of"]

SERIES = len(LOOKS)
"""Curves that can be told apart."""

NAMES = {
    "mu": ("alignment", r"$\mu$"),
    "rho": ("length", r"$\rho$"),
    "c": ("similarity", "$c$"),
    "d": ("dimension", "$d$"),
    "dimension": ("dimension", "$d$"),
    "kappa": ("noise", r"$\kappa$"),
    "step_size": ("step size", r"$\eta$"),
    "scale": ("LoRA scale", r"$\alpha$"),
    "threshold": ("threshold", "$R$"),
    "m": ("overlap", "$m$"),
    "tau": ("search time", r"$\tau$"),
    "t": ("time", ""),
    "median": ("median exit time", ""),
    "total": ("total time", ""),
}
"""What a variable is called, and its symbol; others are called by their names."""

UNITS = {"eta * step": TIME_LABEL.removeprefix("time "), "1 / (eta * step)": "1/time"}


def label_of(name: str, units: str = "1") -> str:
    r"""Return the label of an axis: a variable's name with its symbol, and the unit.

    >>> label_of("mu"), label_of("exit_time", "eta * step"), label_of("exit_step", "SGD steps")
    ('alignment $\\mu$', 'exit time, $t = \\eta\\;{\\times}$ steps', 'exit step, SGD steps')
    """
    words = " ".join(NAMES.get(name, (name.replace("_", " "), ""))).strip()
    return words if units == "1" else f"{words}, {UNITS.get(units, units)}"


def symbol_of(name: str) -> str:
    """Return a variable's symbol, or its name where it has none."""
    return NAMES.get(name, ("", ""))[1] or name.replace("_", " ")


def curves_over(
    ax: Axes,
    x: ArrayLike,
    curves: Mapping[str, ArrayLike],
    intervals: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    *,
    xlabel: str,
    ylabel: str,
) -> Axes:
    """Draw curves over one parameter; an axis of positive numbers over two decades or more is logarithmic.

    Args:
        ax: where to draw.
        x: values of the parameter: numbers, or texts, whose points are not joined.
        curves: values by their entry in the legend; what is infinite or missing is a gap.
        intervals: lower and upper ends of them, by the same names; an end that is not finite is not drawn.
        xlabel: what the parameter is.
        ylabel: what the values are.

    >>> from numerics.plots import figure_of
    >>> one = {"erf": [1, float("inf"), 900]}
    >>> ax = figure_of(lambda ax: curves_over(ax, [1, 2, 3], one, xlabel="x", ylabel="y"), "").axes[0]
    >>> ax.get_xscale(), ax.get_yscale(), ax.lines[0].get_ydata()
    ('linear', 'log', array([  1.,  nan, 900.]))
    """
    at = np.asarray(x)
    is_named = at.dtype.kind not in "iuf"
    places = np.arange(len(at)) if is_named else at
    for index, (name, values) in enumerate(curves.items()):
        colour, marker, dash = look(index)
        middle = _finite(values)
        ends = [_finite(end) for end in (intervals or {}).get(name, ())]
        bars = [np.nan_to_num(np.abs(end - middle)) for end in ends] or None
        line = {"ls": "none" if is_named else dash, "marker": marker, "color": colour, "mfc": "none", "clip_on": False}
        ax.errorbar(places, middle, yerr=bars, label=name, capsize=mark(0.7), elinewidth=stroke(0.8), **line)
    if is_named:
        ax.set_xticks(places, [str(value) for value in at])
        ax.set_xlim(-0.5, len(at) - 0.5)
    elif _spans_decades(at):
        ax.set_xscale("log")
        logarithmic(ax.xaxis)
    if _spans_decades(np.concatenate([np.ravel(np.asarray(values, float)) for values in curves.values()])):
        ax.set_yscale("log")
        logarithmic(ax.yaxis)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    add_legend(ax)
    return ax


def _finite(values: ArrayLike) -> Array:
    given = np.asarray(values, float)
    return np.where(np.isfinite(given), given, np.nan)


def _spans_decades(values: Sequence[Any] | Array) -> bool:
    """Whether numbers are positive and span so many decades that their axis is logarithmic."""
    known = _finite(values)
    known = known[np.isfinite(known)]
    return bool(len(known) and known.min() > 0 and known.max() >= 10**MANY * known.min())
