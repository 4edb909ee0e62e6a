"""Solutions of the flow: over time, and in the plane of (u, m)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from numerics.plots.legends import add_legend
from numerics.plots.style import TIME_LABEL, Array, columns, look, mark, stroke, tint
from theory.errors import InputError

__all__ = ["phase_portrait", "runs_of", "trajectories"]


def trajectories(
    ax: Axes,
    t: ArrayLike,
    values: ArrayLike,
    *,
    label: str,
    index: int = 0,
    band: tuple[ArrayLike, ArrayLike] | None = None,
) -> Axes:
    r"""Draw an overlap, or the loss, over time.

    Args:
        ax: where to draw.
        t: times, eta * step.
        values: at these times; what is not finite (diverged) is a gap.
        label: entry of the legend.
        index: of the colour and dash.
        band: lower and upper bounds of the values, such as quantiles of runs.

    Raises:
        InputError: arrays that are not of one dimension and length.

    >>> from numerics.plots import figure_of
    >>> figure_of(lambda ax: trajectories(ax, [0, 1], [0, 0.5], label="m"), "").axes[0].get_xlabel()
    'time $t = \\eta\\;{\\times}$ steps'
    """
    low, high = (values, values) if band is None else band
    times, middle, below, above = columns(t=t, values=values, low=low, high=high)
    finite = np.where(np.isfinite(middle), middle, np.nan)
    colour, marker, dash = look(index)
    if band is not None:
        ax.fill_between(times, below, above, color=colour, alpha=0.2, lw=0)
    marks = {"marker": marker, "markevery": (0.02 + 0.04 * (index % 3), 0.15), "ms": mark(0.8), "mfc": "none"}
    ax.plot(times, finite, color=colour, linestyle=dash, label=label, **marks)
    ax.set_xlabel(TIME_LABEL)
    if not ax.get_ylabel():
        ax.set_ylabel("overlap")
    add_legend(ax)
    return ax


def runs_of(ax: Axes, t: ArrayLike, values: ArrayLike, *, label: str, index: int = 0) -> Axes:
    """Draw an overlap of single runs over time, as thin lines below whatever else is drawn.

    Args:
        ax: where to draw.
        t: times, eta * step.
        values: of shape (runs, len(t)); what is not finite (diverged) is a gap.
        label: entry of the legend.
        index: of the colour.

    Raises:
        InputError: arrays of other shapes.

    >>> from numerics.plots import figure_of
    >>> len(figure_of(lambda ax: runs_of(ax, [0, 1], [[0, 0.5], [0, 0.7]], label="m"), "").axes[0].lines)
    2
    """
    times, rows = np.asarray(t, float), np.asarray(values, float)
    if times.ndim != 1 or rows.ndim != 2 or rows.shape[1] != times.size or not rows.size:
        said = f"t of shape {times.shape} and values of shape {rows.shape}"
        raise InputError(f"{said} given; accepted: one dimension for t, and (runs, len(t)) for the values.")
    style = {"color": look(index).colour, "ls": "-", "lw": stroke(0.4), "alpha": 0.45, "zorder": 1.5}
    for row in rows:
        ax.plot(times, np.where(np.isfinite(row), row, np.nan), label="_", **style)
    ax.lines[-1].set_label(label)
    ax.set_xlabel(TIME_LABEL)
    if not ax.get_ylabel():
        ax.set_ylabel("overlap")
    add_legend(ax)
    return ax


def phase_portrait(
    ax: Axes,
    u: ArrayLike,
    m: ArrayLike,
    du: ArrayLike,
    dm: ArrayLike,
    *,
    manifold: tuple[ArrayLike, ArrayLike] | None = None,
    paths: Sequence[tuple[ArrayLike, ArrayLike]] = (),
) -> Axes:
    """Draw the flow in the plane of (u, m): streamlines, nullclines, unstable manifold, trajectories.

    Args:
        ax: where to draw.
        u: evenly spaced values of the LoRA scalar, the columns of `du` and `dm`.
        m: evenly spaced overlaps, their rows.
        du: du/dt on the grid, of shape (len(m), len(u)).
        dm: dm/dt there; NaN where the flow is not defined.
        manifold: (u, m) along the unstable manifold of the start.
        paths: (u, m) along trajectories, each from a dot.

    Raises:
        InputError: arrays of other shapes.

    >>> from numerics.plots import figure_of
    >>> u, m = np.linspace(-1, 1, 9), np.linspace(-1, 1, 7)
    >>> grid = np.meshgrid(u, m)
    >>> ax = figure_of(lambda ax: phase_portrait(ax, u, m, -grid[0], -grid[1]), "").axes[0]
    >>> ax.get_xlabel(), len(ax.get_legend().get_texts())
    ('$u$', 2)
    """
    across, up = np.asarray(u, float), np.asarray(m, float)
    speeds = [np.asarray(f, float) for f in (du, dm)]
    shape = (across.size, up.size)
    if across.ndim != 1 or up.ndim != 1 or any(f.shape != shape[::-1] for f in speeds):
        said = f"u, m of shapes {across.shape}, {up.shape} and du, dm of shapes {speeds[0].shape}, {speeds[1].shape}"
        raise InputError(f"{said} given; accepted: one dimension for u and m, and (len(m), len(u)) for du and dm.")
    masked = [np.ma.masked_invalid(f) for f in speeds]
    ax.streamplot(across, up, *masked, color=tint(0.5), density=0.9, linewidth=stroke(0.4), arrowsize=stroke(0.45))
    names = (r"$\mathrm{d}u/\mathrm{d}t = 0$", r"$\mathrm{d}m/\mathrm{d}t = 0$")
    shown = [
        _nullcline(ax, across, up, f, name, index) for index, (f, name) in enumerate(zip(masked, names, strict=True))
    ]
    if manifold is not None:
        shown += ax.plot(
            *columns(u=manifold[0], m=manifold[1]),
            color=tint(1),
            lw=stroke(1.3),
            ls="-",
            zorder=2.5,
            label="unstable manifold",
        )
    for number, path in enumerate(paths):
        line = columns(u=path[0], m=path[1])
        name = "trajectory, from its dot" if number == 0 else "_"
        drawn = ax.plot(
            *line,
            color=look(2).colour,
            ls=look(4).dash,
            lw=stroke(0.8),
            marker="o",
            markevery=[0],
            ms=mark(0.8),
            label=name,
        )
        shown += drawn if number == 0 else []
    ax.set_xlim(across[0], across[-1])
    ax.set_ylim(up[0], up[-1])
    ax.grid(visible=False)
    ax.set_xlabel("$u$")
    ax.set_ylabel(r"overlap $m$")
    add_legend(ax, shown)
    return ax


def _nullcline(ax: Axes, u: Array, m: Array, speed: Array, name: str, index: int) -> Line2D:
    """Draw where a velocity vanishes, and return its entry of the legend."""
    colour, _, dash = look(index)
    if speed.min() < 0 < speed.max():
        ax.contour(u, m, speed, levels=[0.0], colors=[colour], linestyles=[dash], linewidths=stroke(1))
    return Line2D([], [], color=colour, linestyle=dash, label=name)
