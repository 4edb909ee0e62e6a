"""What plots of an area share: its colours with their scale, contours with their labels on them, and hatched cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path
from numpy.typing import ArrayLike, NDArray

from numerics.plots.style import ON_COLOURS, Array, points, stroke

__all__ = ["contour_lines", "edges", "hatched", "scale_of_colours"]

BAR = (1.03, 0.0, 0.045, 1.0)  # of the plot: left, bottom, width, height
ROOM = 1.7  # font sizes around the middle of a contour's name
CANDIDATES = 40  # places along a contour


def scale_of_colours(ax: Axes, shown: ScalarMappable, label: str, **options: Any) -> Axes:
    """Draw the scale of an area's colours at its right, inside its own Axes so that any layout keeps both together."""
    bar = ax.inset_axes(BAR)
    ax.figure.colorbar(shown, cax=bar, label=label, **options)
    bar.grid(visible=False)
    return bar


def contour_lines(
    ax: Axes, x: ArrayLike, y: ArrayLike, z: ArrayLike, levels: ArrayLike, name: Callable[[float], str]
) -> None:
    """Draw contours in dark ink, and the names of those that have room; scales and ends have to be set before."""
    lines = ax.contour(x, y, z, levels=np.asarray(levels), colors=ON_COLOURS, linewidths=stroke(0.45), linestyles="-")
    size = points("xtick.labelsize")
    places = _roomy(ax, lines.allsegs, ROOM * size * ax.figure.dpi / 72)
    if places:
        ax.clabel(lines, fmt=name, fontsize=size, inline_spacing=2, use_clabeltext=True, manual=places)


def _roomy(ax: Axes, segments: Sequence[Sequence[Array]], room: float) -> list[tuple[float, float]]:
    """Return the place of each contour that is furthest from others and from the frame, if that is more than `room`."""
    pieces = [ax.transData.transform(piece) for level in segments for piece in level if len(piece) > 1]
    frame, taken = ax.get_window_extent(), np.empty((0, 2))
    chosen = []
    for index, piece in enumerate(pieces):
        others = [other for number, other in enumerate(pieces) if number != index]
        along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(piece, axis=0).T))])
        if along[-1] < 3 * room:
            continue
        at = np.linspace(0, along[-1], CANDIDATES + 2)[1:-1]
        places = np.stack([np.interp(at, along, coordinate) for coordinate in piece.T], axis=1)
        walls = np.concatenate([places - (frame.x0, frame.y0), (frame.x1, frame.y1) - places], axis=1).min(axis=1)
        near = np.concatenate([*others, taken]) if others or len(taken) else np.full((1, 2), np.inf)
        far = np.minimum(walls, np.hypot(*(places[:, None] - near).T).min(axis=0))
        best = int(np.argmax(far))
        if far[best] > room:
            taken = np.concatenate([taken, places[best : best + 1]])
            chosen.append(tuple(ax.transData.inverted().transform(places[best]).tolist()))
    return chosen


def edges(places: Array, *, logarithmic: bool) -> Array:
    """Return the borders of the cells around ascending places: half way, the outermost at the places themselves.

    >>> edges(np.array([1.0, 2.0, 4.0]), logarithmic=False), edges(np.array([1.0, 100.0]), logarithmic=True)
    (array([1. , 1.5, 3. , 4. ]), array([  1.,  10., 100.]))
    """
    at = np.log(places) if logarithmic else places
    inner = (at[1:] + at[:-1]) / 2
    between = np.exp(inner) if logarithmic else inner
    return np.concatenate([places[:1], between, places[-1:]])


def hatched(ax: Axes, x: Array, y: Array, where: NDArray[np.bool_], hatch: str, label: str, **face: Any) -> Patch:
    """Hatch every cell that is chosen, and return an entry of a legend.

    Args:
        ax: where to draw.
        x: borders of the columns.
        y: borders of the rows.
        where: the chosen cells, of shape (rows, columns).
        hatch: a pattern of matplotlib, or an empty text.
        label: of the entry.
        face: `facecolor` of the cells, none by default.
    """
    chosen = [(int(row), int(column)) for row, column in np.argwhere(where)]
    cells = [_cell(float(x[j]), float(x[j + 1]), float(y[i]), float(y[i + 1])) for i, j in chosen]
    style = {"hatch": hatch or None, "edgecolor": ON_COLOURS if "facecolor" not in face else mpl.rcParams["text.color"]}
    ax.add_patch(PathPatch(Path.make_compound_path(*cells), lw=0, **{"facecolor": "none", **style, **face}))
    return Patch(label=label, lw=stroke(0.4), **{"facecolor": "none", **style, **face})


def _cell(left: float, right: float, low: float, high: float) -> Path:
    return Path([(left, low), (right, low), (right, high), (left, high), (left, low)], closed=True)
