"""Phase diagrams: how a start is left, and when, over two parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike, NDArray

from numerics.plots.style import ALIGNMENT_LABEL, TIME_LABEL

__all__ = ["phase_diagram"]

HATCHES = {"noise-driven": "...", "trapped": "xxx", "unreached": "///", "u alone": "ooo", "undecided": "++"}
NAMES = {"trapped": "trapped: never", "unreached": "flow ends below the threshold"}
LONGEST = 1e9  # times the shortest, beyond which colours do not tell apart


def phase_diagram(
    ax: Axes,
    mu: ArrayLike,
    other: ArrayLike,
    median: ArrayLike,
    regime: Sequence[Sequence[str]] | NDArray[np.str_],
    name: str,
) -> Axes:
    """Draw the median exit time as colour and contours, and every regime but the linear one as a hatched area.

    Args:
        ax: where to draw.
        mu: ascending alignments, shape (n,).
        other: ascending dimensions (on a log axis) or lengths of w0, shape (k,).
        median: median exit times t = eta * step, shape (n, k); infinite or NaN where there is none.
        regime: names of the regimes, shape (n, k); "outside" is left blank.
        name: "d" or "rho", what `other` is.
    """
    x, y, times = np.asarray(mu, float), np.asarray(other, float), np.asarray(median, float).T
    names = np.asarray(regime).T
    seen = np.isfinite(times) & (times > 0)
    shown = np.where(seen, times, np.nan)
    if seen.any():
        low = float(times[seen].min())
        high = min(float(times[seen].max()), LONGEST * low) * 1.0001
        norm = LogNorm(low, high)
        mesh = ax.pcolormesh(x, y, shown, norm=norm, cmap="viridis", shading="nearest", rasterized=True)
        ax.figure.colorbar(mesh, ax=ax, label=f"median exit {TIME_LABEL}", extend="max")
        decades = 10.0 ** np.arange(np.ceil(np.log10(low)), np.floor(np.log10(high)) + 1)
        if min(shown.shape) > 1 and len(decades):
            lines = ax.contour(x, y, shown, levels=decades, colors="white", linewidths=0.8)
            texts = ax.clabel(lines, fmt=lambda v: f"$10^{{{np.log10(v):.0f}}}$", fontsize=7.5, inline_spacing=1)
            for text in texts:
                text.set_path_effects([withStroke(linewidth=1.5, foreground="black")])
    handles = []
    for kind, hatch in HATCHES.items():
        where = names == kind
        if where.any() and min(where.shape) > 1:
            ax.contourf(x, y, where, levels=[0.5, 1.5], colors="none", hatches=[hatch])
            handles.append(Patch(facecolor="white", edgecolor="black", hatch=hatch, label=NAMES.get(kind, kind)))
    if name == "d":
        ax.set_yscale("log")
    ax.set_xlabel(ALIGNMENT_LABEL)
    ax.set_ylabel("dimension $d$" if name == "d" else r"length $\rho = |w_0|$")
    ax.grid(visible=False)
    if handles:
        ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
    return ax
