"""The published curve beside what is right."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hermescape.paper.drawing.panels import name_of, share_legend, sheet
from numerics.plots import exit_points, tau_curve

__all__ = ["draw_corrected"]

SERIES_LOOKS = (1, 2, 3)
TICKS = {"relu": (0.25, 0.5, 1, 2, 4, 8), "erf": (0.9, 0.95, 1, 1.05, 1.1)}  # of the ratio


def draw_corrected(dataset: xr.Dataset) -> Figure:
    """Draw one panel a link: tau, and below its ratio to the exact one."""
    with sheet(2, 2, (10.2, 8.0), sharex="col", height_ratios=(3, 2)) as (figure, panels):
        for column, link in zip(panels.T, dataset.link.values, strict=True):
            curves = dataset.sel(link=link)
            judged = curves.isel(judgement=np.flatnonzero(curves.judged_link.values == link))
            for ax, base in zip(column, (None, curves.exact.values), strict=True):
                _panel(ax, curves, judged, base)
            column[0].set_title(name_of(str(link)))
            column[0].set_xlabel("")
            column[0].set_ylabel(r"search time $\tau$, $t = \eta \times$ steps")
            column[1].set_ylabel(r"$\tau$ over the exact $\tau$")
            ticks = TICKS[str(link)]
            column[1].set_ylim(0.9 * ticks[0], 1.1 * ticks[-1])
            column[1].set_yticks(ticks, [f"{tick:g}" for tick in ticks])
            column[1].minorticks_off()
        share_legend(figure, list(panels.flat), 3)
        return figure


def _panel(ax: Axes, curves: xr.Dataset, judged: xr.Dataset, base: np.ndarray | None) -> None:
    """Draw curves, divided by the exact one where it is given."""
    mu, size = curves.mu.values, np.ones(curves.sizes["mu"]) if base is None else base
    for index, order in zip(SERIES_LOOKS, curves.order.values, strict=True):
        cut = curves.sel(order=order)
        band = cut.series_low / size, np.minimum(cut.series_high, 1e9) / size
        tau_curve(ax, mu, cut.series / size, label=f"corrected sum to {order}, remainder", index=index, band=band)
        ax.lines[-1].set_markevery(8)
    tau_curve(ax, mu, curves.published / size, label="as published", index=5)
    ax.lines[-1].set_markevery(5)
    ax.plot(mu, curves.exact / size, color="black", lw=2, label=r"exact $\tau$")
    at = judged.judged_mu.values
    scale = 1.0 if base is None else np.interp(at, mu, base)
    points = (judged.judge / scale, judged.judge_low / scale, judged.judge_high / scale)
    exit_points(ax, at, *points, label="growth in exact SGD, 99 % interval", index=0)
    ax.set_ylabel("")
    if base is None:
        finite = curves.exact.values
        ax.set_ylim(0.4 * finite.min(), 4 * max(finite.max(), float(curves.published.max())))
