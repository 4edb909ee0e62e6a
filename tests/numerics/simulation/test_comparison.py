"""Tests of samples against each other and against laws, on samples whose law is known."""

import numpy as np
import pytest
from scipy import stats

from numerics.simulation.comparison import MATRIX_RUNS, holm, kolmogorov_tail, ks_law, ks_two_sample
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


@pytest.mark.parametrize("runs", [1, 2, 3, 10, 57, 140, 141, 400, 501, MATRIX_RUNS, MATRIX_RUNS + 1])
def test_the_tail_of_kolmogorovs_distance_is_scipys(runs: int) -> None:
    """SciPy's is exact up to 140 runs, and beyond that Pelz and Good's series, to 2e-6 where it begins."""
    for z in (0.1, 0.3, 0.6, 0.9, 1.2, 1.6, 1.99, 2.0, 3.0):
        distance = z / np.sqrt(runs)
        known = float(stats.kstwo.sf(distance, runs))
        assert kolmogorov_tail(distance, runs) == pytest.approx(known, rel=1e-10 if runs <= 140 else 2e-5, abs=1e-15)


@pytest.mark.parametrize("runs", [5, 40])
def test_the_tail_of_kolmogorovs_distance_is_a_share_of_samples(runs: int) -> None:
    points = np.sort(np.random.default_rng(7).random((20_000, runs)), axis=1)
    distances = np.maximum(np.arange(1, runs + 1) / runs - points, points - np.arange(runs) / runs).max(axis=1)
    for distance in (0.8 / np.sqrt(runs), 1.2 / np.sqrt(runs)):
        tail = kolmogorov_tail(distance, runs)
        assert np.mean(distances >= distance) == pytest.approx(tail, abs=5 * np.sqrt(tail * (1 - tail) / 20_000))
