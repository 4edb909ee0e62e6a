"""Tests of samples against each other and against laws, on samples whose law is known."""

import numpy as np
import pytest
from scipy import stats

from numerics.simulation.comparison import holm, ks_law, ks_two_sample
from tests.numerics.simulation.cases import make
from theory.errors import ParameterError


def test_two_samples() -> None:
    rng = np.random.default_rng(1)
    first, second = (list(map(int, rng.geometric(0.01, 500))) for _ in range(2))
    assert ks_two_sample(make(first), make(second)).p_value > 1e-2
    assert ks_two_sample(make(first), make([2 * step for step in second])).p_value < 1e-6
    assert ks_two_sample(make(first), make([2 * step for step in second], step_size=0.25)).p_value > 1e-2


def test_two_samples_with_different_horizons() -> None:
    rng = np.random.default_rng(2)
    long = list(map(int, rng.geometric(0.01, 500)))
    cut = [int(step) for step in rng.geometric(0.01, 500) if step <= 60]
    assert ks_two_sample(make(long), make(cut, censored=500 - len(cut), max_steps=60)).p_value > 1e-2
    with pytest.raises(ParameterError, match="diverged"):
        ks_two_sample(make(long), make([], diverged=4))


def test_a_law_is_met_on_the_steps() -> None:
    """Times of an exponential law, seen at the first step after each, pass; a law half as fast does not."""
    times = stats.expon(scale=20.0).rvs(400, random_state=np.random.default_rng(2))
    sample = make([int(np.ceil(2 * t)) for t in times])
    assert ks_law(sample, stats.expon(scale=20.0).cdf).p_value > 1e-2
    assert ks_law(sample, stats.expon(scale=40.0).cdf).p_value < 1e-6
    assert ks_law(sample, stats.expon(scale=40.0).cdf, leeway=60.0).p_value > 1e-2


def test_holm_is_the_step_down_rule() -> None:
    p = [0.001, 0.02, 0.015, 0.4]
    order = np.argsort(p)
    running = 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p) - rank) * p[i]))
        assert holm(p)[i] == pytest.approx(running)
    assert holm([]) == ()
