"""The first-passage law of plain training: limits, closed forms, and SGD itself."""

import math

import numpy as np
import pytest
from scipy import stats

from hermescape import simulate
from numerics.flows.flow import Exit, integrate
from numerics.law.passage import Passage, passage
from numerics.simulation.comparison import ks_law
from theory.errors import InputError, ParameterError
from theory.network.derivation import derive
from theory.search.regimes import regime
from theory.symbols import C, Z
from theory.symbols import d as dimension_symbol


def plain(name: str, **options: float) -> Passage:
    return passage(derive(name, model="plain"), **options)


@pytest.mark.parametrize(("name", "level"), [("he2", 0.3), ("he4", 0.7), ("linear", 0.5)])
def test_without_noise_a_quantile_is_a_run_of_the_flow(name: str, level: float) -> None:
    """P(T <= t) = P(|m0| >= m_t), or P(m0 >= m_t) for the linear student, whose flow crosses m = 0."""
    law = plain(name, dimension=10**4, threshold=0.6)
    start = stats.norm.ppf(1 - level if name == "linear" else 1 - level / 2) / 100
    found = integrate(derive(name, model="plain"), {"m": start}, event=Exit(0.6), t_max=1e6).exit_time
    assert law.quantile(level) == pytest.approx(found, rel=1e-4)


def test_an_odd_exponent_leaves_on_one_side_only() -> None:
    law = plain("he3", dimension=10**6, threshold=0.5)
    assert law.probabilities[-1] == pytest.approx(0.5, abs=1e-4)
    assert law.quantile(0.6) == math.inf
    assert law.quantile(0.25) == pytest.approx(1e3 / (18 * stats.norm.ppf(0.75)), rel=5e-3)  # d^(1/2)/(c |Z|)
    assert plain("he3", dimension=10**6, threshold=0.5, kappa=4e-6).quantile(0.9) < math.inf


def test_the_quadratic_exponent_has_the_logarithmic_law() -> None:
    """He_2: T = (1/lambda)[log(d)/2 - log|Z| - log(1 + kappa E[f^2 l*^2]/(2 lambda))/2 + C], all levels."""
    system, kappa, dimension = derive("he2", model="plain"), 0.03, 10**8
    formula, law = regime(system, kappa=kappa), plain("he2", dimension=dimension, threshold=0.5, kappa=kappa)
    levels = np.array([0.05, 0.3, 0.5, 0.8, 0.95])
    tails = stats.norm.ppf(1 - levels / 2)
    at = {dimension_symbol: dimension, C: 0}
    assert formula.time is not None
    times = [float(formula.time.subs(at).subs(Z, float(tail))) for tail in tails]
    shifts = np.array([law.quantile(float(level)) for level in levels]) - times
    assert shifts == pytest.approx(np.full(5, shifts.mean()), abs=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dimension", "kappa", "eta", "replicas"), [("he3", 400, 4e-4, 4e-4, 120), ("he2", 1000, 0.03, 1e-3, 400)]
)
def test_sgd_follows_the_law_and_not_the_one_without_noise(
    name: str, dimension: int, kappa: float, eta: float, replicas: int
) -> None:
    batch = round(eta * dimension / kappa)
    setting = {"dimension": dimension, "threshold": 0.5}
    law, flow = plain(name, **setting, kappa=eta * dimension / batch), plain(name, **setting)
    sample = simulate(
        name, model="plain", batch=batch, step_size=eta, replicas=replicas, max_steps=10**6, seed=5, **setting
    )
    assert sample.counts.exited == replicas
    assert ks_law(sample, law.cdf).p_value > 1e-3
    assert ks_law(sample, flow.cdf).p_value < 1e-6
    assert ks_law(sample, law.slower(0.5).cdf).p_value < 1e-6
    assert law.without_noise().cdf(1.0) == flow.cdf(1.0)


def test_noise_traps_where_the_regime_says_so() -> None:
    system = derive("he2", model="plain")
    assert regime(system, kappa=0.3).name == "trapped"
    law = plain("he2", dimension=10**4, threshold=0.5, kappa=0.3)
    assert law.probabilities[-1] < 1e-6
    assert law.quantile(0.5) == math.inf


def test_bad_requests() -> None:
    with pytest.raises(InputError, match="plain"):
        passage(derive("he2"), dimension=10**4, threshold=0.5)
    for options in ({"dimension": 100, "threshold": 0.5}, {"dimension": 10**4, "threshold": 1.0}):
        with pytest.raises(ParameterError, match="threshold"):
            plain("he2", **options)
    with pytest.raises(ParameterError, match="kappa"):
        plain("he2", dimension=10**4, threshold=0.5, kappa=math.inf)
    with pytest.raises(ParameterError, match="level"):
        plain("he2", dimension=10**4, threshold=0.5).quantile(1.0)
