"""What notebook 4 shows is right: each function is called after the cell of its name, with the notebook's names."""

import numpy as np
import sympy as sp

from hermescape import activation
from theory.symbols import mu


def after_04_04(n):
    assert sp.simplify(n.relu.escape.A - (1 - mu) / 2) == 0
    assert -sp.Rational(1, 2) == n.relu.escape.B
    for row in n.intervals:
        assert all(low <= truth <= high for (low, high), truth in zip(row, n.truths, strict=True))


def after_04_06(n):
    """One constant: the rest of the sum is proportional to N^(-1/2) / mu."""
    assert np.ptp(n.scales) < 0.01 * n.scales[0]
    assert all(n.covered)
    assert all(abs(slope + 0.5) < 0.03 for slope in n.slopes)


def after_04_08(n):
    assert abs(n.missing("relu", 0.032) - 1 / (2 * np.pi * 0.032)) < 1e-12
    assert abs(n.rebuilt[0.032] - 19.46) < 0.01
    assert abs(n.rebuilt[0.8985] - 251.3) < 0.1


def after_04_10(n):
    assert [name for name, value in n.terms.items() if value != 0] == ["relu"]
    assert activation("1/(1 + exp(-x)) - 1/2").parity == "odd"


def after_04_11(n):
    low, high = map(np.array, n.band)
    assert 0.15 < n.lowest < 0.25
    assert np.all(np.diff(n.exact) > 0)
    assert np.all((low <= n.exact) & ((n.exact <= high) | np.isnan(high)))


def after_04_13(n):
    assert all(abs(ratio - 1) < 1e-9 for ratio in n.finite.values())
    assert n.largest < 0.01


def after_04_15(n):
    assert n.sample.counts.exited == 60
    assert n.interval[0] <= n.law.median <= n.interval[1]
    assert n.wrong > 2 * n.interval[1]


def after_04_17(n):
    assert (n.raw.slowdown, n.paper.slowdown) == (1, 18)
    assert abs(n.paper.tau / n.raw.tau - 18) < 1e-9
    assert 1.27 < n.excess[0.8985] < 1.29
    assert 5.7 < n.excess[0.032] < 5.8
