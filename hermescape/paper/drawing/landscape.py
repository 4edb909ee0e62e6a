"""Bias over the squared norm; potential, A and B over mu."""

from __future__ import annotations

import xarray as xr
from matplotlib.figure import Figure

from hermescape.paper.drawing.panels import name_of, share_legend, sheet
from numerics.plots.style import ALIGNMENT_LABEL, look

__all__ = ["draw_landscape"]

PANELS = (
    ("bias", "r", r"bias $\sigma_0^{[r]}$", r"squared norm $r$"),
    ("potential", "mu", r"potential $V(\mu) = L(\mu, \mu^2)$", ALIGNMENT_LABEL),
    ("A", "mu", r"drive $A = -V'(\mu)$", ALIGNMENT_LABEL),
    ("B", "mu", r"$B = -2 L_r(\mu, \mu^2)$", ALIGNMENT_LABEL),
)


def draw_landscape(dataset: xr.Dataset) -> Figure:
    """Draw four panels, a curve a link."""
    with sheet(2, 2, (9.2, 7.2)) as (figure, panels):
        for ax, (key, across, label, below) in zip(panels.flat, PANELS, strict=True):
            for index, link in enumerate(dataset.link.values):
                colour, marker, dash = look(index)
                values = dataset[key].sel(link=link)
                marks = {"marker": marker, "markevery": (index, max(6, values.size // 8)), "mfc": "none"}
                ax.plot(dataset[across], values, color=colour, ls=dash, lw=1.5, label=name_of(str(link)), **marks)
            if key in "AB":
                ax.axhline(0, color="0.4", lw=0.8)
            ax.set_xlabel(below)
            ax.set_ylabel(label)
        share_legend(figure, list(panels.flat), 6)
        return figure
