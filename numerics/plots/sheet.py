"""Figures that lay themselves out in one pass, and save themselves in their own style.

matplotlib's own layouts measure every text twice and more, which takes longer than drawing, and know no legend that
makes a figure higher. Here each plot is measured once: the plots keep their shape, each legend stands below its plot,
and the figure is as high as that takes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure
from matplotlib.layout_engine import LayoutEngine
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from numerics.plots.legends import Panel, placed
from numerics.plots.style import Style, style

__all__ = ["Sheet", "blank", "figure_of", "figure_of_many", "titled"]

PAD = 0.05  # inches around a plot, and above its legend
FLATTEST = 0.3  # height of the data of a plot over its width with labels, at least
NO_ALPHA = ("eps", "ps")
NO_DATE: Mapping[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


class _OnePass(LayoutEngine):
    """Lays a sheet out whenever it is drawn."""

    _adjust_compatible = False
    _colorbar_gridspec = False

    def execute(self, fig: Figure) -> None:
        """Place what the figure holds."""
        assert isinstance(fig, Sheet)
        fig.arrange()


class Sheet(Figure):
    """A figure of plots in rows and columns, in one style and independent of any global plotting state.

    Attributes:
        look: the style.
        panels: the plots, row by row.
        shape: rows and columns.
    """

    def __init__(self, look: Style, rows: int = 1, columns: int = 1, width: float | None = None) -> None:
        self.look, self.shape = look, (rows, columns)
        wide = columns * look.width if width is None else width
        with mpl.rc_context(look.rc):
            super().__init__(figsize=(wide, rows * look.ratio * wide / columns), layout=_OnePass())
            FigureCanvasAgg(self)
            kind: Any = {"axes_class": Panel}
            self.panels: list[Panel] = np.ravel(self.subplots(rows, columns, squeeze=False, subplot_kw=kind)).tolist()

    def arrange(self) -> None:
        """Place the plots by the size of their labels, the legends below them, and set the height of the figure."""
        if self.stale:
            with mpl.rc_context(self.look.rc):
                _arrange(self)
            self.stale = False

    def savefig(self, fname: Any, **options: Any) -> None:
        """Save as `matplotlib.figure.Figure.savefig` does, in the sheet's style: the same figure is the same file."""
        self._save(fname, {}, **options)

    def svg(self, salt: str) -> bytes:
        """Return SVG whose text is outlines, the same everywhere; its inner names are made from `salt`."""
        made = io.BytesIO()
        rc = {"svg.hashsalt": salt, "svg.fonttype": "path"}
        self._save(made, rc, format="svg", metadata={"Date": None, "Creator": None})
        return made.getvalue()

    def _save(self, target: Any, rc: dict[str, Any], **options: Any) -> None:
        kind = options.get("format") or Path(str(target)).suffix[1:].lower()
        self.arrange()
        self.set_layout_engine(None)  # or all would be drawn once more, unseen, to be laid out again
        try:
            with (
                mpl.rc_context(self.look.rc | {"svg.hashsalt": "hermescape"} | rc),
                _solid(self) if kind in NO_ALPHA else nullcontext(),
            ):
                super().savefig(target, **{"metadata": NO_DATE.get(kind), **options})
        finally:
            self.set_layout_engine(_OnePass())

    def _repr_png_(self) -> bytes:
        made = io.BytesIO()
        self.savefig(made, format="png", dpi=100)
        return made.getvalue()


def blank(like: str = "screen", width: float | None = None) -> Axes:
    """Return the Axes of a new figure of one plot."""
    return Sheet(style(like), width=width).panels[0]


def figure_of(draw: Callable[[Axes], Axes], title: str, *, like: str = "screen", width: float | None = None) -> Sheet:
    """Return a figure with one plot in a style, of that style's width or another in inches."""
    return figure_of_many([draw], [title], like=like, width=width)


def figure_of_many(
    draw: Sequence[Callable[[Axes], Axes]],
    titles: Sequence[str],
    columns: int = 2,
    *,
    like: str = "screen",
    width: float | None = None,
) -> Sheet:
    """Return a figure with one plot for each of `draw`, row by row; a paper's column has one a row."""
    look = style(like)
    columns = 1 if not look.is_titled else min(columns, len(draw))
    sheet = Sheet(look, -(-len(draw) // columns), columns, width)
    with mpl.rc_context(look.rc):
        for ax, one, title in zip(sheet.panels, draw, titles, strict=False):
            one(ax)
            titled(ax, title)
        for ax in sheet.panels[len(draw) :]:
            ax.set_axis_off()
    sheet.arrange()
    return sheet


@contextmanager
def _solid(sheet: Sheet) -> Iterator[None]:
    """Mix what shines through with white, for formats that cannot say so."""
    before: list[tuple[Any, dict[str, Any]]] = []
    for artist in sheet.findobj(lambda one: isinstance(one, Line2D | Patch | Collection)):
        names = ("color",) if isinstance(artist, Line2D) else ("facecolor", "edgecolor")
        own = {name: getattr(artist, f"get_{name}")() for name in names}
        pale = {name: to_rgba_array(colour, artist.get_alpha()) for name, colour in own.items()}
        if any(((rgba[:, 3] > 0) & (rgba[:, 3] < 1)).any() for rgba in pale.values()):
            before.append((artist, {**own, "alpha": artist.get_alpha()}))
            artist.set(alpha=None)
            artist.set(**{name: _mixed(rgba, np.ndim(own[name]) > 1) for name, rgba in pale.items()})
    try:
        yield
    finally:
        for artist, own in before:
            artist.set(**own)


def _mixed(rgba: Any, many: bool) -> Any:
    """Return solid colours; what is not there at all stays away."""
    alpha = rgba[:, 3:]
    solid = np.concatenate([alpha * rgba[:, :3] + 1 - alpha, alpha > 0], axis=1)
    return solid if many else tuple(solid[0].tolist())


def titled(ax: Axes, title: str) -> Axes:
    """Give a plot its title; in a style without titles only where it tells the plot from others of its figure."""
    sheet = ax.figure if isinstance(ax.figure, Sheet) else None
    if title and (sheet is None or sheet.look.is_titled or len(sheet.panels) > 1):
        with mpl.rc_context(sheet.look.rc if sheet else {}):
            ax.set_title(title, wrap=True)
    return ax


# --- the layout, in pixels ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Margins:
    """What a plot needs around its data, and below its labels for a legend."""

    left: float
    right: float
    bottom: float
    top: float
    legend: float

    @classmethod
    def largest(cls, some: Iterable[_Margins]) -> _Margins:
        """Return the margins that serve a row or a column of plots."""
        sides = zip(*((m.left, m.right, m.bottom, m.top, m.legend) for m in some), strict=True)
        left, right, bottom, top, legend = map(max, sides)
        return cls(left, right, bottom, top, legend)


def _arrange(sheet: Sheet) -> None:
    rows, columns = sheet.shape
    wide, pad = sheet.bbox.width / columns, PAD * sheet.dpi
    legends = [placed(ax, wide - 2 * pad) for ax in sheet.panels]
    margins = [_measured(*pair, pad) for pair in zip(sheet.panels, legends, strict=True)]
    across = [_Margins.largest(margins[column::columns]) for column in range(columns)]
    down = [_Margins.largest(margins[row * columns : (row + 1) * columns]) for row in range(rows)]
    full = sheet.look.ratio * wide
    data = [max(full - m.top - m.bottom, FLATTEST * wide) for m in down]
    heights = [high + m.top + m.bottom + m.legend for high, m in zip(data, down, strict=True)]
    total = sum(heights)
    sheet.set_size_inches(columns * wide / sheet.dpi, total / sheet.dpi)
    for index, (ax, legend) in enumerate(zip(sheet.panels, legends, strict=True)):
        row, column = divmod(index, columns)
        low = total - sum(heights[: row + 1]) + down[row].legend + down[row].bottom
        sides = across[column]
        left, width = column * wide + sides.left, wide - sides.left - sides.right
        ax.set_position((left / sheet.bbox.width, low / total, width / sheet.bbox.width, data[row] / total))
        if legend is not None:
            legend.set_bbox_to_anchor(((column + 0.5) / columns, (low - down[row].bottom) / total), sheet.transFigure)


def _measured(ax: Axes, legend: Legend | None, pad: float) -> _Margins:
    """Return the margins of one plot as it stands, in pixels."""
    room = 0.0
    if legend is not None:
        legend.set_in_layout(False)
        room = legend.get_window_extent().height + pad
    inner, outer = ax.get_window_extent(), ax.get_tightbbox(for_layout_only=True)
    if outer is None:  # nothing is drawn
        return _Margins(pad, pad, pad, pad, room)
    beyond = inner.x0 - outer.x0, outer.x1 - inner.x1, inner.y0 - outer.y0, outer.y1 - inner.y1
    left, right, bottom, top = (max(side, 0.0) + pad for side in beyond)
    return _Margins(left, right, bottom, top, room)
