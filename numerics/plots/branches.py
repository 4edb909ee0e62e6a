"""Branches of critical alignments over a parameter, with their bifurcations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from numerics.plots.legends import add_legend
from numerics.plots.style import ALIGNMENT_LABEL, look, mark, stroke, tint

__all__ = ["critical_branches"]

MARKS = {
    "fold": ("D", "full", "fold"),
    "end": ("o", "none", r"end at $\mu$ = 0 or 1"),
    "crossing": ("X", "full", "crossing"),
    "below": ("v", "none", r"enters or leaves below, where ${}$ has no known sign"),
    "above": ("^", "none", r"enters or leaves above, where ${}$ has no known sign"),
}
BELOW = -0.04  # so that the label of mu = 0 stands beside the first one of the parameter, not on it
LINES = {
    "flat": ("-", r"${}$ = 0 for every $\mu$"),
    "wall": (":", "another formula beyond"),
    "unclear": ("-.", "not clear"),
}


def critical_branches(
    ax: Axes,
    curves: Iterable[tuple[ArrayLike, ArrayLike]],
    points: Sequence[tuple[str, float, float | None]],
    *,
    between: tuple[float, float],
    name: str,
    label: str = "critical alignment",
    quantity: str = "A",
    index: int = 0,
) -> Axes:
    r"""Draw critical alignments, or zeros of B, over a parameter.

    Args:
        ax: where to draw.
        curves: values of the parameter and alignments of each branch.
        points: kind (`theory.search.bifurcations.Bifurcation`), value and alignment of each bifurcation.
        between: ends of the axis of the parameter.
        name: label of that axis.
        label: entry of the legend.
        quantity: whose zeros the curves are.
        index: of the colour and dash.

    >>> from numerics.plots import figure_of
    >>> shown = {"between": (0, 2), "name": "$p$"}
    >>> ax = figure_of(lambda ax: critical_branches(ax, [([0, 1], [0, 0.5])], [("fold", 1, 0.5)], **shown), "").axes[0]
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['critical alignment', 'fold']
    """
    colour, _, dash = look(index)
    for number, (values, alignments) in enumerate(curves):
        ax.plot(values, alignments, ls=dash, color=colour, lw=stroke(1.2), label="_" if number else label)
    said = set[str]()
    for kind, value, alignment in points:
        text = (MARKS.get(kind) or LINES[kind])[-1].format(quantity)
        shown = "_" if text in said else text
        said.add(text)
        if kind in LINES or alignment is None:
            ax.axvline(value, ls=LINES[kind][0], color=tint(0.7), lw=stroke(0.7), label=shown)
        else:
            marker, fill, _ = MARKS[kind]
            style = {"marker": marker, "fillstyle": fill, "ls": "none", "color": tint(1.0), "ms": mark(1.1)}
            ax.plot([value], [alignment], **style, clip_on=False, zorder=4, label=shown)
    ax.set_xlim(*between)
    ax.set_ylim(BELOW, 1)
    ax.set_xlabel(name)
    ax.set_ylabel(f"critical {ALIGNMENT_LABEL}" if quantity == "A" else ALIGNMENT_LABEL)
    add_legend(ax)
    return ax
