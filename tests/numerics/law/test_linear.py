"""The law of exponential growth against T computed path by path from its formula, which is what the class states."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtri

from numerics.law.linear import LinearEscape
from theory.errors import ParameterError

BASE = LinearEscape(
    regime="linear",
    tau=3.0,
    dimension=1e4,
    threshold=0.5,
    prefactor=0.7,
    gain=1.3,
    shift=0.0,
    constant=0.4,
    constant_below=0.4,
    constant_error=1e-9,
    published=11.0,
    remainder=0.02,
)
SIDED = replace(BASE, constant_below=0.9)
SHIFTED = replace(SIDED, shift=0.8)
FAR = replace(BASE, shift=-6.0, constant_below=1.1)
TRAPPED = replace(SHIFTED, constant_below=math.inf)
LAWS = [
    *(BASE, replace(BASE, shift=0.8), replace(BASE, shift=1.0), SIDED, SHIFTED, FAR, TRAPPED),
    *(replace(TRAPPED, shift=-0.8), replace(SIDED, shift=30.0)),
]
COUNT = 100_000
Z = ndtri((np.arange(COUNT) + 0.5) / COUNT)  # quantiles of N(0, 1): a sample without noise


def time_of(law: LinearEscape, z: np.ndarray) -> np.ndarray:
    """T = tau [(1/2) log d - log|z + shift| + prefactor - log(gain) + C], C by the side of z + shift; 0 at least."""
    side = np.where(z + law.shift > 0, law.constant, law.constant_below)
    way = math.log(law.dimension) / 2 - np.log(np.abs(z + law.shift)) + law.prefactor - math.log(law.gain) + side
    return np.maximum(law.tau * way, 0.0)


@pytest.mark.parametrize("law", LAWS)
def test_distribution_is_that_of_the_formula(law: LinearEscape) -> None:
    times = np.sort(time_of(law, Z))
    for level in (0.01, 0.2, 0.5, 0.7, 0.95):
        share = level * law.escaping
        t = times[int(share * COUNT)]
        assert law.cdf(t) == pytest.approx(share, abs=2e-5)
        assert law.quantile(share) == pytest.approx(t, rel=3e-4)
        assert law.cdf(law.quantile(share)) == pytest.approx(share, abs=1e-10)
    assert law.median == law.quantile(0.5)
    assert law.escaping == pytest.approx(np.isfinite(times).mean(), abs=2e-5)


def test_every_level_has_its_time() -> None:
    for law in (*LAWS, replace(SIDED, constant=-1.05)):
        for level in (1e-12, 1e-3, 0.999):
            t = law.quantile(level)
            assert t == math.inf if level >= law.escaping else law.cdf(t) == pytest.approx(level, rel=1e-6)


def test_ends_of_the_distribution() -> None:
    early = replace(BASE, dimension=9.0, threshold=0.2, prefactor=-1.5)  # so that some runs start beyond
    begun = float(np.mean(time_of(early, Z) <= 0))
    assert 0.1 < begun < 0.9
    assert early.cdf(0.0) == pytest.approx(begun, abs=2e-5)
    assert early.cdf(-1e-9) == 0.0
    assert early.quantile(begun / 2) == 0.0
    assert early.quantile(early.cdf(0.0)) == 0.0
    assert early.quantile(1.01 * begun) > 0.0
    for level in (0.0, 1.0):
        with pytest.raises(ParameterError):
            BASE.quantile(level)
    assert TRAPPED.quantile(TRAPPED.escaping) == TRAPPED.mean == math.inf
    assert math.isfinite(TRAPPED.quantile(TRAPPED.escaping * 0.999))


@pytest.mark.parametrize(
    "law",
    [BASE, SIDED, SHIFTED, FAR, replace(SHIFTED, shift=-2.5), replace(SIDED, shift=12.0), replace(SIDED, shift=1.0)],
)
def test_mean_is_the_integral_of_the_formula(law: LinearEscape) -> None:
    def weighted(z: float) -> float:
        side = law.constant if z + law.shift > 0 else law.constant_below
        way = math.log(law.dimension) / 2 - math.log(abs(z + law.shift)) + law.prefactor - math.log(law.gain) + side
        return law.tau * way * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    ends = sorted({-40.0, -10.0, 0.0, 10.0, 40.0, -law.shift})
    parts = [quad(weighted, a, b, epsabs=1e-11, limit=400)[0] for a, b in pairwise(ends)]
    assert law.mean == pytest.approx(sum(parts), rel=1e-9)


@pytest.mark.parametrize("shift", [0.0, 1e-4, 0.3, 1.2])
def test_slope_in_log_d_is_that_of_the_median(shift: float) -> None:
    """u0 kept fixed, the shift grows like sqrt(d)."""
    law = replace(BASE, shift=shift)
    up, down = (
        replace(law, dimension=law.dimension * f, shift=shift * math.sqrt(f)).median for f in (1.001, 1 / 1.001)
    )
    assert law.slope_log_d == pytest.approx((up - down) / (2 * math.log(1.001)), rel=2e-4)


def test_slope_in_log_d_where_tau_grows_too() -> None:
    law = replace(BASE, power=0.6)
    up, down = (replace(law, tau=law.tau * f**0.6, dimension=law.dimension * f).median for f in (1.001, 1 / 1.001))
    assert law.slope_log_d == pytest.approx((up - down) / (2 * math.log(1.001)), rel=1e-5)


def test_names_of_its_parts() -> None:
    law = SHIFTED
    assert (law.power, law.start, law.flow_tau, law.crossover) == (0.0, 1.0, 0.0, 0.0)
    assert law.unit == law.tau == 3.0
    assert law.published_ratio == 11.0 / law.median
    slower = law.slower(1.5)
    assert (slower.tau, slower.remainder) == (4.5, 0.03)
    assert slower.quantile(0.3) == pytest.approx(1.5 * law.quantile(0.3))


def test_without_noise() -> None:
    """The start keeps u_0 (shift times gain) and loses the widening; where noise alone leads, nothing exits.

    A start without width gets one of 1e-9 of the shift.
    """
    still = SHIFTED.without_noise()
    assert (still.gain, still.shift, still.tau) == (1.0, pytest.approx(0.8 * 1.3), 3.0)
    wide = replace(SHIFTED, start=2.0).without_noise()
    assert (wide.gain, wide.shift) == (2.0, pytest.approx(0.8 * 1.3 / 2))
    alone = replace(SHIFTED, shift=-0.8, start=0.0).without_noise()
    assert (alone.gain, alone.shift) == (pytest.approx(1e-9 * 0.8 * 1.3), pytest.approx(1e9))
    assert replace(BASE, start=0.0).without_noise().tau == math.inf
    beside = replace(BASE, flow_tau=7.0, power=0.5, start=0.0).without_noise()
    assert (beside.tau, beside.gain, beside.power) == (7.0, 1.0, 0.0)
