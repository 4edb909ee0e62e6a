"""What notebook 6 shows is right: each function is called after the cell of its name, with the notebook's names."""

import numpy as np
import sympy as sp

import hermescape


def after_06_05(n):
    assert sp.expand(n.ratio - (1 + n.a**2)) == 0
    assert sp.simplify(n.bend / n.relu.escape.B - (1 + n.a**2)) == 0


def after_06_07(n):
    relu = hermescape.search_time("relu", 0.4).tau
    assert np.allclose(n.curve.tau, relu / (1 + n.slopes**2), rtol=1e-9)


def after_06_09(n):
    assert [str(place) for place in n.special][-1].startswith("beta -> infinity: A ~ beta^(-1), B ~ beta")
    assert n.limit < 0


def after_06_10(n):
    assert n.best[0.2] > n.best[0.4] > n.best[0.6] > 0.3
    ends = [hermescape.search_time(n.erf, 0.4, beta=scale).tau for scale in (0.1, n.best[0.4], 10)]
    assert ends[1] < min(ends[0], ends[2]) / 5


def after_06_12(n):
    assert all(low * 0.9 <= median <= high * 1.1 for low, median, high in n.medians.values())


def after_06_14(n):
    c1, c3 = n.mixed.network.parameters_of_functions
    mu = n.mu
    wanted = c1**2 + 3 * c1 * c3 * (4 * mu**2 + mu - 1) + 9 * c3**2 * mu * (5 * mu**3 + 5 * mu**2 + mu - 1)
    assert sp.expand(n.inner - wanted) == 0


def after_06_15(n):
    assert abs(float(n.fold.value) + 0.437120971963953) < 1e-12
    assert abs(float(n.fold.mu) - 0.222229649225026) < 1e-12
    assert [n.report.count(k) for k in (-1, -0.2, 1, 3.5)] == [0, 2, 1, 0]
