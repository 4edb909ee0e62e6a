"""Results in, Axes out, no computation: every function draws on the Axes that it is given first, and returns it.

Series take an `index` into one table of colours, marks and dashes, so that they differ in greyscale too; whatever is
infinite or missing is a gap or a mark of its own, never a joined line. `figure_of` makes a figure of one plot.

>>> figure_of(lambda ax: tau_curve(ax, [0.2, 0.4], [3.0, 5.0], label="ReLU"), "search time").axes[0].get_yscale()
'log'
"""

from numerics.plots.flows import phase_portrait, trajectories
from numerics.plots.functions import hermite_spectrum, kernel_surface
from numerics.plots.laws import collapse, law_cdf, law_histogram
from numerics.plots.style import STYLE, figure_of
from numerics.plots.times import check_figure, exit_points, exit_times, tau_curve

__all__ = [
    "STYLE",
    "check_figure",
    "collapse",
    "exit_points",
    "exit_times",
    "figure_of",
    "hermite_spectrum",
    "kernel_surface",
    "law_cdf",
    "law_histogram",
    "phase_portrait",
    "tau_curve",
    "trajectories",
]
