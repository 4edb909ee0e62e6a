"""Sheets of panels in the style of the package, independent of any global plotting state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from numerics.plots import STYLE

__all__ = ["name_of", "shade", "share_legend", "sheet"]

NAMES = {"linear": "linear", "erf": "erf", "relu": "ReLU", "sigmoid": "sigmoid"}


def name_of(link: str) -> str:
    """Return how a link is written in a figure.

    >>> name_of("relu"), name_of("he3")
    ('ReLU', '$\\\\mathrm{He}_{3}$')
    """
    return rf"$\mathrm{{He}}_{{{link[2:]}}}$" if link.startswith("he") else NAMES[link]


def shade(mu: float) -> Any:
    """Return the colour of an alignment: lightness falls with it, so that greyscale keeps the order."""
    return mpl.colormaps["viridis_r"](0.1 + 0.9 * mu)


@contextmanager
def sheet(rows: int, columns: int, size: tuple[float, float], **options: Any) -> Iterator[tuple[Figure, Any]]:
    """Yield a figure and its panels, an array of shape (rows, columns)."""
    with mpl.rc_context({**STYLE, "font.size": 9.5, "lines.markersize": 4, "legend.fontsize": 8.5}):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        panels: np.ndarray[Any, np.dtype[Any]] = figure.subplots(rows, columns, squeeze=False, **options)
        yield figure, panels


def share_legend(figure: Figure, panels: list[Axes], columns: int) -> None:
    """Replace the legends of panels by one below all, each entry once."""
    entries: dict[str, Any] = {}
    for ax in panels:
        handles, names = ax.get_legend_handles_labels()
        entries |= {name: handle for handle, name in zip(handles, names, strict=True) if name not in entries}
        own = ax.get_legend()
        if own is not None:
            own.remove()
    figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=columns, frameon=False)
