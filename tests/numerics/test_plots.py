"""Plots draw what they are given, with labelled axes."""

import numpy as np
from scipy import stats

from numerics.plots import collapse, figure_of


def test_collapse_draws_every_sample_on_the_law() -> None:
    rng = np.random.default_rng(0)
    samples = {f"d = {d}": rng.standard_normal(50 + d) for d in (10, 100)}
    figure = figure_of(lambda ax: collapse(ax, samples, stats.norm.cdf), "title")
    (ax,) = figure.axes
    assert ax.get_title() == "title"
    assert "exit time" in ax.get_xlabel()
    assert ax.get_ylabel()
    _, labels = ax.get_legend_handles_labels()
    assert labels[1:] == list(samples)
    law, *drawn = ax.lines
    assert np.allclose(law.get_ydata(), stats.norm.cdf(law.get_xdata()))
    for steps, marks, values in zip(drawn[::2], drawn[1::2], samples.values(), strict=True):
        assert np.array_equal(steps.get_xdata(), np.sort(values))
        assert set(marks.get_xdata()) <= set(values)
