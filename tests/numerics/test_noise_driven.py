"""The law at a critical strength: its limits, its domain, and SGD itself."""

import math

import numpy as np
import pytest
import sympy as sp
from scipy import stats

from hermescape import simulate
from numerics.noise_driven import NoiseDriven, noise_driven
from theory.dynamics import derive
from theory.errors import InputError, ParameterError
from theory.symbols import C, Z, d, mu

CRITICAL = sp.Poly(5 * mu**3 + 5 * mu**2 + mu - 1, mu).real_roots()[0]  # of He_3


def cdf(law: NoiseDriven, dimension: int, times: np.ndarray) -> np.ndarray:
    """P(T <= t) = P(|Z| >= exp(log(d)/2 + C - t/scale))."""
    return 2 * stats.norm.sf(np.exp(math.log(dimension) / 2 + law.constant - times / law.scale))


def test_sgd_escapes_by_its_noise_alone() -> None:
    """He_3 where the linear law has tau = oo: exits follow the noise-driven law, and not one twice as fast."""
    dimension, kappa, eta, replicas = 300, 0.02, 0.01, 80
    law = noise_driven(derive("he3"), CRITICAL, dimension=dimension, threshold=0.5, kappa=kappa, step_size=eta)
    sample = simulate(
        "he3",
        mu=float(CRITICAL),
        dimension=dimension,
        batch=round(eta * dimension / kappa),
        step_size=eta,
        replicas=replicas,
        threshold=0.5,
        max_steps=10**7,
        seed=11,
    )
    times = sample.exit_times()
    assert sample.counts.exited == replicas
    assert stats.kstest(times, lambda t: cdf(law, dimension, t)).pvalue > 1e-3
    assert stats.kstest(times, lambda t: cdf(law, dimension, 2 * t)).pvalue < 1e-6
    assert stats.kstest(times, lambda t: cdf(law, dimension, t / 2)).pvalue < 1e-6


def test_the_formula_of_the_regime_is_the_same_law() -> None:
    """Both have the spread of m's noise; for R -> 0 the integral vanishes and C = log R."""
    system, small = derive("he3"), 1e-5
    law = noise_driven(system, CRITICAL, dimension=10**4, threshold=small, kappa=0.05)
    formula = system.escape.regime(CRITICAL, kappa=0.05)
    assert float(formula.rate) == pytest.approx(law.rate, rel=1e-12)
    time = float(formula.time.subs({d: 10**4, Z: 1, C: math.log(small)}))
    assert law.scale * (math.log(10**4) / 2 + law.constant) == pytest.approx(time, rel=1e-9)


def test_beyond_the_turning_point_the_threshold_does_not_matter() -> None:
    """m_c = sqrt(B/(B - A')) = 0.5819 for He_3."""
    low, high = (noise_driven(derive("he3"), CRITICAL, dimension=10**4, threshold=R, kappa=0.02) for R in (0.7, 0.9))
    assert low == high
    assert low.turning == pytest.approx(0.58193, abs=1e-5)


@pytest.mark.parametrize(
    ("strength", "kappa", "words"),
    [(0.3, 0.1, "linear"), (CRITICAL, 0.0, "trapped"), (1, 0.1, "minimum"), (CRITICAL, 2.5, "drift stops m")],
)
def test_other_regimes_are_refused(strength: object, kappa: float, words: str) -> None:
    with pytest.raises(InputError, match=words):
        noise_driven(derive("he3"), strength, dimension=1000, threshold=0.5, kappa=kappa)


def test_bad_threshold() -> None:
    with pytest.raises(ParameterError, match="threshold"):
        noise_driven(derive("he3"), CRITICAL, dimension=1000, threshold=1.5, kappa=0.1)
