"""Training over steps: one row a link, columns for error, overlap and alignment, one shade an alignment."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from hermescape.paper.drawing.panels import name_of, shade, sheet

__all__ = ["draw_stages", "draw_training"]

COLUMNS = {
    "mse": r"error $\mathrm{E}(\sigma - y)^2$",
    "m": r"overlap $|m|$",
    "q": r"alignment $\mu + um$",
}
LOWEST = 1e-4  # of the largest error, what is shown


def draw_training(dataset: xr.Dataset) -> Figure:
    """Draw flow and bands of SGD."""
    rows = dataset.sizes["link"]
    with sheet(rows, 3, (10.4, 2.15 * rows + 0.9)) as (figure, panels):
        for row, link in zip(panels, dataset.link.values, strict=True):
            for ax, (key, label) in zip(row, COLUMNS.items(), strict=True):
                for mu in dataset.mu.values:
                    _path(ax, dataset.sel(link=link, mu=mu), key, float(mu), "", "-")
                _finish(ax, key, label)
            row[0].set_title(name_of(str(link)), loc="left", fontweight="bold", fontsize=10)
            if dataset.attrs["mixed"]:
                row[1].axhline(0.5**0.5, color="0.4", ls=(0, (1, 2)), lw=1)
                row[1].text(1.2, 0.72, r"$1/\sqrt{2}$: teacher recovered", fontsize=7.5, color="0.3")
        _steps(panels[-1])
        _legend(figure, dataset, [_line("flow with its drift", "-", 0.4), _band()])
        return figure


def draw_stages(dataset: xr.Dataset) -> Figure:
    """Draw two-stage training beside direct training."""
    rows = dataset.sizes["link"]
    with sheet(rows, 3, (10.4, 2.15 * rows + 0.9)) as (figure, panels):
        for row, link in zip(panels, dataset.link.values, strict=True):
            for ax, (key, label) in zip(row, COLUMNS.items(), strict=True):
                for mu in _few(dataset.mu.values):
                    path = dataset.sel(link=link, mu=mu)
                    _path(ax, path, key, float(mu), "direct_", (0, (1.2, 1.2)), 0.12)
                    _path(ax, path, key, float(mu), "staged_", "-")
                _finish(ax, key, label)
            row[0].set_title(name_of(str(link)), loc="left", fontweight="bold", fontsize=10)
        _steps(panels[-1])
        entries = [_line("two stages, flow", "-", 0.4), _line("on $y$ alone, flow", (0, (1.2, 1.2)), 0.4), _band()]
        _legend(figure, dataset, entries, _few(dataset.mu.values))
        return figure


def _few(alignments: np.ndarray) -> np.ndarray:
    """Return every second alignment from the first where there are many: two ways of training share a panel."""
    return alignments[::2] if len(alignments) > 5 else alignments


def _path(ax: Axes, path: xr.Dataset, key: str, mu: float, prefix: str, dash: Any, depth: float = 0.28) -> None:
    steps, colour = path[f"{prefix}step"].values, shade(mu)
    shown = steps > 0
    low, high, flow = (path[f"{prefix}{key}_{tag}"].values[shown] for tag in ("low", "high", "flow"))
    ax.fill_between(steps[shown], low, high, color=colour, alpha=depth, lw=0)
    ax.plot(steps[shown], flow, color=colour, ls=dash, lw=1.2)


def _finish(ax: Axes, key: str, label: str) -> None:
    ax.set_xscale("log")
    ax.set_ylabel(label)
    if key == "mse":
        ax.set_yscale("log")
        high = max(np.nanmax(line.get_ydata()) for line in ax.lines)
        ax.set_ylim(LOWEST * high, 2 * high)
    elif key == "m":
        ax.set_ylim(0, 1.03)


def _steps(row: np.ndarray) -> None:
    for ax in row:
        ax.set_xlabel("SGD steps")


def _line(label: str, dash: Any, shade_of: float) -> Line2D:
    return Line2D([], [], color=shade(shade_of), ls=dash, lw=1.4, label=label)


def _band() -> Patch:
    return Patch(color="0.6", alpha=0.5, label="SGD, 5 to 95 % of runs")


def _legend(figure: Figure, dataset: xr.Dataset, entries: list[Any], alignments: np.ndarray | None = None) -> None:
    shown = dataset.mu.values if alignments is None else alignments
    lines = [Line2D([], [], color=shade(float(mu)), lw=3, label=rf"$\mu = {mu:g}$") for mu in shown]
    figure.legend(handles=[*entries, *lines], loc="outside lower center", ncols=6, frameon=False)
