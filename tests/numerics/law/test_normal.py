"""The standard normal: against SciPy and mpmath, far out too."""

import math

import mpmath
import numpy as np
import pytest
import scipy

from numerics.law.normal import FAR, inverse, mean_log, normal_cdf, normal_quantile


def test_distribution_and_quantile_in_both_tails() -> None:
    for x in (-37.0, -8.0, -1.0, 0.0, 0.3, 5.0, 40.0):
        with mpmath.workdps(30):
            assert normal_cdf(x) == pytest.approx(float(mpmath.ncdf(x)), rel=1e-13 * (1 + x * x), abs=0)
    for level in (1e-300, 1e-12, 0.025, 0.5, 0.9, 1 - 1e-12):
        assert normal_quantile(level) == pytest.approx(float(scipy.special.ndtri(level)), rel=1e-13, abs=1e-15)
    assert (normal_quantile(0.0), normal_quantile(1.0)) == (-math.inf, math.inf)


@pytest.mark.parametrize("shift", [0.0, 1e-3, 0.7, -3.0, 20.0, 0.999 * FAR, 1.001 * FAR, 1e200])
def test_mean_of_the_logarithm(shift: float) -> None:
    """By Gauss and Hermite's rule where Z + a has no zero nearby, else by integration around it."""
    if abs(shift) > 15:
        nodes, weights = np.polynomial.hermite_e.hermegauss(60)
        direct = math.log(abs(shift)) + float(weights @ np.log1p(nodes / abs(shift))) / math.sqrt(2 * math.pi)
    else:
        with mpmath.workdps(20):
            direct = float(mpmath.quad(lambda z: mpmath.log(abs(z + shift)) * mpmath.npdf(z), [-20, -shift, 20]))
    assert mean_log(shift) == pytest.approx(direct, rel=1e-13, abs=1e-13)


def test_the_inverse_is_found_to_the_last_digit() -> None:
    assert inverse(math.tanh, 0.5, 0.0, 1e300) == pytest.approx(math.atanh(0.5), rel=4e-16)
    jump = inverse(lambda t: float(t >= 1 / 3), 0.5, 0.0, 1.0)
    assert (jump >= 1 / 3, math.nextafter(jump, 0) >= 1 / 3) == (True, False)
