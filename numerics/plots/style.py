"""The look that all plots share: three style sheets, and one table of colours, marks and dashes.

`paper`, `screen` and `slides` are style sheets of matplotlib that lie beside this file; for other figures of the same
paper they are `matplotlib.style.use("numerics.plots.paper")`. Everything else that is drawn takes its sizes and its ink
from the style that holds, so that a plot on Axes of one's own follows one's own style.

Series differ in dash, mark and lightness, and keep a contrast of 3 : 1 to white; `DARK` has the same colours for a dark
page. Text keeps 4.5 : 1, and is at least 10 pt, so that its sub- and superscripts, 0.7 of that as in TeX, are 7 pt.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.text import Text
from numpy.typing import ArrayLike, NDArray

from theory.errors import InputError, ParameterError

__all__ = [
    "ALIGNMENT_LABEL",
    "COLOURS",
    "DARK",
    "LOOKS",
    "ON_COLOURS",
    "STYLE",
    "STYLES",
    "TIME_LABEL",
    "Array",
    "Look",
    "Style",
    "columns",
    "look",
    "mark",
    "next_look",
    "points",
    "stroke",
    "style",
    "tint",
]

STYLES = ("paper", "screen", "slides")
ALIGNMENT_LABEL = r"alignment $\mu$"
TIME_LABEL = r"time $t = \eta\;{\times}$ steps"
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Style:
    """A style sheet: parameters of matplotlib, and what it has no parameter for.

    Attributes:
        name: one of `STYLES`.
        rc: parameters of matplotlib, a dictionary.
        is_titled: whether figures have a title; in a paper the caption says it.
    """

    name: str
    rc: Any
    is_titled: bool

    @property
    def width(self) -> float:
        """Width of a figure of one plot, in inches."""
        return float(self.rc["figure.figsize"][0])

    @property
    def ratio(self) -> float:
        """Height of a plot with its labels, without its legend, over its width."""
        return float(self.rc["figure.figsize"][1]) / self.width


@lru_cache
def style(name: str) -> Style:
    """Return a style sheet by its name.

    Raises `ParameterError` for a name that is not in `STYLES`.

    >>> style("paper").width, style("paper").rc["pdf.fonttype"], style("paper").is_titled
    (3.4, 42, False)
    """
    if name not in STYLES:
        raise ParameterError(f"style {name!r} given; accepted: {', '.join(STYLES)}.")
    file = Path(__file__).with_name(f"{name}.mplstyle")
    return Style(name, dict(mpl.rc_params_from_file(file, use_default_template=False)), name != "paper")


STYLE: Any = style("screen").rc


class Look(NamedTuple):
    """How one series is drawn."""

    colour: str
    marker: str
    dash: Any


LOOKS = (
    Look("#0A4F8F", "o", "-"),
    Look("#D55E00", "s", (0, (5, 1.5))),
    Look("#00785A", "^", (0, (1.2, 1.2))),
    Look("#C4639A", "D", (0, (5, 1.5, 1.2, 1.5))),
    Look("#4B2A63", "v", (0, (9, 2))),
    Look("#A67500", "x", (0, (5, 1.5, 1.2, 1.5, 1.2, 1.5))),
)
DARK = {
    "#0A4F8F": "#7FB7F0",
    "#D55E00": "#FF9A4D",
    "#00785A": "#4FCBA3",
    "#C4639A": "#EFA3CB",
    "#4B2A63": "#C7A6E8",
    "#A67500": "#E8BE4F",
}
"""What a series' colour becomes on a dark page."""

COLOURS = ListedColormap(mpl.colormaps["viridis"](np.linspace(0.46, 1, 256)), "hermescape")
"""Colours of an area, all of them light enough for dark lines and text."""

ON_COLOURS = "#0b0b0c"
"""The ink on `COLOURS`, which stays dark on a dark page: it is no grey, which would be turned."""


def look(index: int) -> Look:
    """Return the look of a series; the table repeats after its end.

    >>> look(0).marker, look(len(LOOKS)) == look(0)
    ('o', True)
    """
    return LOOKS[index % len(LOOKS)]


def next_look(ax: Axes) -> int:
    """Return the index of the first look that no line of some Axes has: that of one series more."""
    used = {str(line.get_color()) for line in ax.lines}
    return next((index for index, one in enumerate(LOOKS) if one.colour not in used), len(ax.lines))


def tint(share: float) -> tuple[float, float, float]:
    """Return the grey that is this share of the ink's way from the ground: 0 is the ground, 1 the ink.

    >>> tint(0.0)
    (1.0, 1.0, 1.0)
    """
    ground, ink = (np.array(to_rgb(mpl.rcParams[name])) for name in ("axes.facecolor", "text.color"))
    red, green, blue = (ground + share * (ink - ground)).tolist()
    return red, green, blue


def points(name: str) -> float:
    """Return a size of text of the style that holds, such as `axes.labelsize`, in points."""
    given: Any = mpl.rcParams
    return float(Text(fontsize=given[name]).get_fontsize())


def stroke(times: float) -> float:
    """Return a multiple of the style's width of lines, in points."""
    return times * float(mpl.rcParams["lines.linewidth"])


def mark(times: float) -> float:
    """Return a multiple of the style's size of marks, in points."""
    return times * float(mpl.rcParams["lines.markersize"])


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
