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

__all__ = ["Panel", "add_legend", "placed"]

MOST_COLUMNS = 3
LINE = 1.35  # height of a line of text over its size


class Panel(Axes):
    """Axes of a sheet, which a notebook shows as the figure that they are in; the sheet makes their legend."""

    entries: tuple[Sequence[Artist], Sequence[str]] | None = None

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
    room = 1.15 * ax.get_window_extent().width
    sizes = {name: Text(fontsize=mpl.rcParams[name]).get_fontsize() for name in ("xtick.labelsize", "axes.labelsize")}
    depth = sum(mpl.rcParams[name] for name in ("xtick.major.size", "xtick.major.pad", "axes.labelpad"))
    depth += LINE * sum(sizes.values())
    pad = depth / Text(fontsize=mpl.rcParams["legend.fontsize"]).get_fontsize()
    ax.legend(
        known, names, loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=pad, ncols=_fitting(ax, names, room)
    )


def placed(ax: Panel, room: float) -> Legend | None:
    """Return the legend of a panel that fits into a width in pixels; the one that it has, if that is still right."""
    if ax.entries is None:
        return ax.get_legend()
    handles, names = ax.entries
    count, old = _fitting(ax, names, room), ax.get_legend()
    if old is not None and old._ncols == count and [text.get_text() for text in old.get_texts()] == list(names):
        return old
    return ax.legend(handles, names, loc="upper center", borderaxespad=0, ncols=count)


def _fitting(ax: Axes, names: Sequence[str], room: float) -> int:
    """Return in how many columns the entries fit into a width in pixels: few rows, then few columns."""
    size = Text(fontsize=mpl.rcParams["legend.fontsize"])
    widths = [_width(ax, name, size) for name in names]
    unit = size.get_fontsize() * ax.figure.dpi / 72
    own: dict[str, Any] = {name: mpl.rcParams[f"legend.{name}"] * unit for name in ("handlelength", "handletextpad")}
    between = mpl.rcParams["legend.columnspacing"] * unit
    fitting = [1]
    for count in range(2, min(MOST_COLUMNS, len(names)) + 1):
        columns = [part.max() for part in np.array_split(np.array(widths), count)]  # as a legend fills its columns
        if sum(columns) + count * sum(own.values()) + (count - 1) * between <= room:
            fitting.append(count)
    return min(fitting, key=lambda count: (-(-len(names) // count), count))


def _width(ax: Axes, name: str, like: Text) -> float:
    text = Text(text=name, fontproperties=like.get_fontproperties())
    text.set_figure(ax.figure)
    return text.get_window_extent().width
