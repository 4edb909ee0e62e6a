"""Search times over mu, with exits of SGD, and of Hermite links with their critical strengths."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hermescape.paper.drawing.panels import name_of, share_legend, sheet
from hermescape.paper.settings import EVEN, ODD
from numerics.plots import exit_points, tau_curve, trajectories
from numerics.plots.style import look

__all__ = ["draw_hermite", "draw_search"]


def draw_search(dataset: xr.Dataset) -> Figure:
    """Draw one panel a link: tau, the exit expected of SGD, the exits measured and published."""
    rows = (dataset.sizes["link"] + 1) // 2
    with sheet(rows, 2, (9.2, 3.3 * rows + 1), sharex=True) as (figure, panels):
        for ax, link in zip(panels.flat, dataset.link.values, strict=False):
            _links_panel(ax, dataset.sel(link=link))
            ax.set_title(name_of(str(link)))
            ax.set_ylabel(r"time $t = \eta \times$ steps")
        for ax in panels[:-1].flat:
            ax.set_xlabel("")
        share_legend(figure, list(panels.flat), 2)
        return figure


def _links_panel(ax: Axes, link: xr.Dataset) -> None:
    tau_curve(ax, link.mu, link.tau, label=r"search time $\tau(\mu)$, exact")
    ax.lines[-1].set_marker("")
    alignments, expected = link.simulated_mu.values, link.expected.values
    dash = look(1).dash
    ax.plot(alignments, expected, color="black", ls=dash, lw=1.2, label=r"expected median exit at $|m| = \mu$")
    measured = (link.exit_median, link.exit_low, link.exit_high)
    exit_points(ax, alignments, *measured, label="SGD, exact simulation: median, 95 % interval", index=1)
    if np.isfinite(link.published).any():
        low, high = (link.published + side * link.published_spread for side in (-1, 1))
        shift = alignments + 0.008
        exit_points(ax, shift, link.published, low, high, label="published (see caption), with spread", index=2)
        known = np.isfinite(link.emulated)
        ax.vlines(
            alignments[known] - 0.012,
            link.emulated_low[known],
            link.emulated_high[known],
            color=look(3).colour,
            lw=3.5,
            alpha=0.6,
            label="as published, from our runs: 95 % of triples",
        )


def draw_hermite(dataset: xr.Dataset) -> Figure:
    """Draw even and odd Hermite links with their critical strengths, and the overlap of He_3 over time beside them."""
    columns = 3 if "inset_mu" in dataset else 2
    with sheet(1, columns, (4.9 * columns, 4.7)) as (figure, panels):
        for ax, links, parity in zip(panels.flat, (EVEN, ODD), ("even", "odd"), strict=False):
            for index, link in enumerate(links):
                curve = dataset.sel(link=link)
                places = curve.critical.values[np.isfinite(curve.critical.values)]
                critical = list(places[~_escapes(curve, places)])
                tau_curve(ax, curve.mu, curve.tau, label=name_of(link), index=index, critical=critical)
                for place in critical:
                    _name_place(ax, place, index)
            ax.set_title(f"{parity} Hermite links")
            ax.set_ylabel(r"search time $\tau$, $t = \eta \times$ steps")
            ax.margins(x=0.02)
            low, high = ax.get_ylim()
            ax.set_ylim(low, high**1.12 * low**-0.12)
        if columns == 3:
            _overlaps(panels[0, 2], dataset)
        return figure


def _escapes(link: xr.Dataset, places: np.ndarray) -> np.ndarray:
    """Return where u escapes alone (B > 0), so that tau stays finite."""
    return np.interp(places, link.mu.values, link.B.values) > 0


def _name_place(ax: Axes, place: float, index: int) -> None:
    """Write a critical strength at the top of its line, in the colour of its link."""
    text = {"rotation": 90, "ha": "right", "va": "top", "fontsize": 8, "color": look(index).colour}
    ax.text(place - 0.004, 0.985, f"{place:.4f}", transform=ax.get_xaxis_transform(), **text)


def _overlaps(ax: Axes, dataset: xr.Dataset) -> None:
    """Draw |m| over time of He_3 on either side of its critical strength: flow, and bands of SGD."""
    eta = float(dataset.attrs["eta"])
    for number, mu in enumerate(dataset.inset_mu.values):
        path = {name: dataset[f"{name}_{number}"].values for name in ("step", "m", "m_low", "m_high")}
        shown = path["step"] > 0
        time, middle, low, high = (f[shown] for f in (eta * path["step"], path["m"], path["m_low"], path["m_high"]))
        trajectories(ax, time, middle, label=rf"flow, $\mu = {mu:g}$", index=number, band=(low, high))
        ax.collections[-1].set_label("_" if number else "SGD, 5 to 95 % of runs")
    ax.set_xscale("log")
    ax.set_xlim(left=1)
    ax.set_ylim(0, 1.03)
    ax.set_ylabel(r"overlap $|m|$ of $\mathrm{He}_3$")
    ax.set_title(r"$\mathrm{He}_3$ around its critical strength")
    ax.legend(loc="center left")
