"""Legends stand below their plot, where no data are, in as many columns as its width has room for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.legend import Legend
from matplotlib.text import Text

from numerics.plots.style import points

__all__ = ["Panel", "add_legend", "placed"]

MOST_COLUMNS = 3
LINE = 1.35  # height of a line of text over its size


class Panel(Axes):
    """Axes of a sheet, which a notebook shows as the figure that they are in; the sheet makes their legend."""

    entries: tuple[Sequence[Artist], Sequence[str]] | None = None
    own: Legend | None = None
    said: tuple[Any, ...] = ()

    def _repr_png_(self) -> bytes:
        return self.figure._repr_png_()  # pyright: ignore[reportAttributeAccessIssue]


def add_legend(ax: Axes, handles: Sequence[Artist] | None = None) -> None:
    """Give a plot the legend of its labelled series, or of `handles`, below it; none where all labels are empty."""
    known, names = (
        ax.get_legend_handles_labels() if handles is None else (handles, [str(h.get_label()) for h in handles])
    )
    if not known:
        return
    if isinstance(ax, Panel):
        ax.entries = known, names
        return
    given: Any = mpl.rcParams
    depth = sum(given[name] for name in ("xtick.major.size", "xtick.major.pad", "axes.labelpad"))
    depth += LINE * (points("xtick.labelsize") + points("axes.labelsize"))
    count = _fitting(ax, names, 1.15 * ax.get_window_extent().width)
    pad = depth / points("legend.fontsize")
    ax.legend(known, names, loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=pad, ncols=count)


def placed(ax: Panel, room: float) -> Legend | None:
    """Return the legend of a panel, made to fit into a width in pixels; None where there is none, or it is not ours."""
    now = ax.get_legend()
    if ax.entries is None or now is not ax.own:  # somebody made another, or removed it
        return None
    handles, names = ax.entries
    said = (*names, _fitting(ax, names, room))
    if now is None or said != ax.said:
        ax.own = ax.legend(handles, names, loc="upper center", borderaxespad=0, ncols=said[-1])
        ax.said = said
    return ax.own


def _fitting(ax: Axes, names: Sequence[str], room: float) -> int:
    """Return in how many columns the entries fit into a width in pixels: few rows, then few columns."""
    given: Any = mpl.rcParams
    widths = np.array([_width(ax, name) for name in names])
    unit = points("legend.fontsize") * ax.figure.dpi / 72
    handle = unit * (given["legend.handlelength"] + given["legend.handletextpad"])
    between = unit * given["legend.columnspacing"]
    fitting = [1]
    for count in range(2, min(MOST_COLUMNS, len(names)) + 1):
        columns = [part.max() for part in np.array_split(widths, count)]  # as a legend fills its columns
        if sum(columns) + count * handle + (count - 1) * between <= room:
            fitting.append(count)
    return min(fitting, key=lambda count: (-(-len(names) // count), count))


def _width(ax: Axes, name: str) -> float:
    text = Text(text=name, fontsize=points("legend.fontsize"))
    text.set_figure(ax.figure)
    return text.get_window_extent().width
