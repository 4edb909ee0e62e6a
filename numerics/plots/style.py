"""The look that all plots share: one table of colours, marks and dashes, so that greyscale tells series apart too.

Colours are those of Okabe & Ito (2008), distinct for colour-blind readers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from theory.errors import InputError

__all__ = [
    "ALIGNMENT_LABEL",
    "BELOW",
    "LOOKS",
    "STYLE",
    "TIME_LABEL",
    "Array",
    "Look",
    "add_legend",
    "columns",
    "figure_of",
    "figure_of_many",
    "look",
]

STYLE: Any = {
    "figure.figsize": (6.4, 4.4),
    "font.size": 10.5,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
ALIGNMENT_LABEL = r"alignment $\mu$"
BELOW: Any = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.14), "ncols": 2}  # a legend of a full plot
TIME_LABEL = r"time $t = \eta \times$ steps"
Array = NDArray[np.float64]


class Look(NamedTuple):
    """How one series is drawn."""

    colour: str
    marker: str
    dash: Any


LOOKS = (
    Look("#0072B2", "o", "-"),
    Look("#D55E00", "s", (0, (5, 1.5))),
    Look("#009E73", "^", (0, (1.2, 1.2))),
    Look("#CC79A7", "D", (0, (5, 1.5, 1.2, 1.5))),
    Look("#56B4E9", "v", (0, (9, 2))),
    Look("#E69F00", "x", (0, (5, 1.5, 1.2, 1.5, 1.2, 1.5))),
)


def look(index: int) -> Look:
    """Return the look of a series; the table repeats after its end.

    >>> look(0).marker, look(len(LOOKS)) == look(0)
    ('o', True)
    """
    return LOOKS[index % len(LOOKS)]


def columns(**given: ArrayLike) -> tuple[Array, ...]:
    """Return float arrays of one dimension and the same length.

    Raises:
        InputError: arrays of other shapes, or empty ones.

    >>> columns(mu=[1, 2], tau=[3, float("inf")])[1]
    array([ 3., inf])
    """
    arrays = {name: np.asarray(values, float) for name, values in given.items()}
    shapes = {name: array.shape for name, array in arrays.items()}
    if any(len(shape) != 1 or shape == (0,) for shape in shapes.values()) or len(set(shapes.values())) > 1:
        said = ", ".join(f"{name} of shape {shape}" for name, shape in shapes.items())
        raise InputError(f"{said} given; accepted: arrays of one dimension and of the same length, not empty.")
    return tuple(arrays.values())


def figure_of(draw: Callable[[Axes], Axes], title: str) -> Figure:
    """Return a figure with one plot, independent of any global plotting state."""
    with mpl.rc_context(STYLE):
        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure.subplots()).set_title(title)
        return figure


def figure_of_many(draw: Sequence[Callable[[Axes], Axes]], titles: Sequence[str], columns: int = 2) -> Figure:
    """Return a figure with one plot for each of `draw`, row by row, independent of any global plotting state."""
    rows, columns = -(-len(draw) // columns), min(columns, len(draw))
    width, height = STYLE["figure.figsize"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
        FigureCanvasAgg(figure)
        places = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax, one, title in zip(places, draw, titles, strict=False):
            one(ax).set_title(title)
        for ax in places[len(draw) :]:
            ax.set_axis_off()
        return figure


def add_legend(ax: Axes) -> None:
    """Add the legend of the labelled series; none where all labels are empty."""
    handles, names = ax.get_legend_handles_labels()
    if handles:
        ax.legend(handles, names)
