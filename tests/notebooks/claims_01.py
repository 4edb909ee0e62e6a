"""What notebook 1 shows is right: each function is called after the cell of its name, with the notebook's names."""

import re

import numpy as np
import sympy as sp

from hermescape import information_exponent, smoothing
from theory.symbols import a, mu, r

BY_HAND = sp.exp(-(a**2 + 9 * r) / (2 * (1 + r))) * sp.sin(3 * a / (1 + r)) / sp.sqrt(1 + r)  # complete the square


def after_01_04(n):
    assert (n.gabor.parity, n.gabor.kinks, n.gabor.has_closed_class) == ("odd", (), True)


def after_01_06(n):
    difference = smoothing(n.gabor) - BY_HAND
    for place, variance in (("0.3", "0.7"), (-2, "0.04")):
        assert abs(difference.subs({a: place, r: variance}).evalf(30)) < 1e-28


def after_01_07(n):
    for k in range(6):
        assert sp.simplify(n.sigma[k] - sp.diff(BY_HAND, a, k).subs({a: 0, r: 1})) == 0
    assert information_exponent(n.gabor) == 1
    assert 0.1 < n.missing[16] < 0.12
    assert 0 < n.missing[26] < 0.01


def after_01_12(n):
    assert len(n.apart) == 3
    assert all(abs(difference) < 1e-20 for difference in n.apart)


def after_01_17(n):
    A, B, drive, curvature, slope = np.transpose(n.compared)
    np.testing.assert_allclose(A, drive, rtol=1e-10)
    np.testing.assert_allclose(A, slope, rtol=1e-10)
    np.testing.assert_allclose(B, curvature, rtol=1e-10)


def after_01_19(n):
    assert len(n.inside) == 2
    assert all(abs(n.A.subs(mu, place)) < 1e-12 for place in n.inside)
    assert [c.order for c in n.critical] == [2, 2, 2]  # tau ~ C / (mu - mu_c)^2 at each
    assert 0.50 < n.best.mu < 0.51
    assert n.best.tau < 11


def after_01_24(n):
    assert n.full.counts.exited == 40
    assert n.reduced.counts.exited == 2000
    assert n.test.p_value > 0.01


def after_01_26(n):
    assert n.sample.counts.exited == 300
    assert n.tests["the law"] > 0.01
    assert max(n.tests["without the noise of SGD"], n.tests["with times 10 % longer"]) < 1e-4


def after_01_31(n):
    assert n.document.count(r"\begin{document}") == 1
    assert r"\documentclass" not in n.fragment
    labels = {label.split(":")[-1] for label in re.findall(r"\\label\{([^}]+)\}", n.fragment)}
    assert {"loss", "flow-u", "flow-m", "drive", "bend", "time"} <= labels
