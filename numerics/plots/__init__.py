"""Results in, Axes out, no computation: every function draws on the Axes that it is given first, and returns it.

Series take an `index` into one table of colours, marks and dashes, so that they differ in greyscale too; whatever is
infinite or missing is a gap or a mark of its own, never a joined line. `figure_of` makes a figure of one plot,
in one of the style sheets that lie here: `paper`, `screen` and `slides`.

>>> figure_of(lambda ax: tau_curve(ax, [0.2, 0.4], [3.0, 5.0], label="ReLU"), "search time").axes[0].get_yscale()
'log'
"""

from numerics.plots.branches import critical_branches
from numerics.plots.curves import SERIES, curves_over, label_of, symbol_of
from numerics.plots.dark import for_light_and_dark
from numerics.plots.flows import phase_portrait, runs_of, trajectories
from numerics.plots.functions import hermite_spectrum, kernel_surface
from numerics.plots.laws import collapse, law_cdf, law_curve, law_histogram
from numerics.plots.legends import add_legend
from numerics.plots.phases import phase_diagram
from numerics.plots.sheet import Sheet, blank, figure_of, figure_of_many, titled
from numerics.plots.style import DARK, STYLE, STYLES, next_look, tint
from numerics.plots.ticks import paired, size_of
from numerics.plots.times import exit_points, exit_times, law_medians, tau_curve

__all__ = [
    "DARK",
    "SERIES",
    "STYLE",
    "STYLES",
    "Sheet",
    "add_legend",
    "blank",
    "collapse",
    "critical_branches",
    "curves_over",
    "exit_points",
    "exit_times",
    "figure_of",
    "figure_of_many",
    "for_light_and_dark",
    "hermite_spectrum",
    "kernel_surface",
    "label_of",
    "law_cdf",
    "law_curve",
    "law_histogram",
    "law_medians",
    "next_look",
    "paired",
    "phase_diagram",
    "phase_portrait",
    "runs_of",
    "size_of",
    "symbol_of",
    "tau_curve",
    "tint",
    "titled",
    "trajectories",
]
