"""Order statistics under censoring, against hand-made samples and closed forms."""

import numpy as np
import pytest
from scipy import stats

from numerics.simulation.statistics import ExitSample
from tests.numerics.simulation.cases import make
from theory.errors import ParameterError


def test_without_censoring_agrees_with_numpy() -> None:
    exits = [7, 3, 9, 1, 4, 8, 2]
    sample = make(exits)
    assert sample.median == np.median(exits)
    assert sample.mean == np.mean(exits)
    assert sample.quantiles() == {level: pytest.approx(np.quantile(exits, level)) for level in sample.quantiles()}
    assert list(sample.exit_times()) == [0.5 * step for step in exits]


def test_censored_runs_count_as_late_and_never_as_numbers() -> None:
    sample = make([10, 20, 30], censored=2)
    assert sample.counts == (3, 2, 0)
    assert sample.median == 30
    assert sample.mean is None
    assert sample.quantile(0.6) is None
    assert sample.quantiles((0.25, 0.75)) == {0.25: 20.0, 0.75: None}
    assert make([10, 20], censored=3).median is None
    assert make([10, 20, 30], censored=3).median is None, "halfway between an exit and a censored run"


def test_diverged_runs_are_counted_and_left_out() -> None:
    sample = make([10, 20, 30], diverged=4)
    assert sample.counts == (3, 0, 4)
    assert (sample.median, sample.mean) == (20, 20)
    only = make([], diverged=3)
    assert (only.median, only.mean, only.quantile(0.9), only.median_interval()) == (
        None,
        None,
        None,
        (None, None),
    )


def test_median_interval_has_the_binomial_ranks() -> None:
    # n = 10: P(N < 2) = 11/1024 <= 0.025 < P(N < 3) = 56/1024, hence the 2nd and the 9th value: covers 0.979.
    assert make(list(range(1, 11))).median_interval(0.95) == (2, 9)
    assert make(list(range(1, 9)), censored=2).median_interval(0.95) == (2, None)
    assert make([1, 2, 3]).median_interval(0.95) == (None, None)
    assert make([1, 2, 3]).median_interval(0.75) == (1, 3), "P(N < 1) = 1/8 exactly"


def test_median_interval_covers() -> None:
    rng = np.random.default_rng(5)
    draws = rng.geometric(1e-4, (1000, 41))  # median of the geometric law: ceil(-1 / log2(1 - p))
    truth = np.ceil(-1 / np.log2(1 - 1e-4))
    intervals = [make(list(map(int, row))).median_interval(0.9) for row in draws]
    covered = sum(lower <= truth <= upper for lower, upper in intervals if lower is not None and upper is not None)
    assert stats.binomtest(covered, 1000, 0.9, alternative="less").pvalue > 1e-3


def test_dataset_carries_every_parameter() -> None:
    sample = make([10, 20], censored=1, diverged=1)
    dataset = sample.to_dataset()
    assert dict(dataset.sizes) == {"replica": 4}
    assert dataset.attrs["student"] == "x"
    assert dataset.attrs["initial_u"] == 0.01
    assert [dataset.attrs[f"count_{name}"] for name in ("exited", "censored", "diverged")] == [2, 1, 1]
    assert set(sample.experiment.parameters()) <= set(dataset.attrs)
    assert all("units" in variable.attrs for variable in dataset.data_vars.values())


def test_time_is_step_size_times_step() -> None:
    sample = make([10, 20, 30])
    assert sample.to_time(sample.median) == 10.0
    assert sample.to_time(None) is None


def test_bad_requests() -> None:
    sample = make([1, 2, 3])
    for call in (lambda: sample.quantile(1.5), lambda: sample.median_interval(1.0)):
        with pytest.raises(ParameterError, match="accepted"):
            call()
    with pytest.raises(ParameterError, match="shapes"):
        ExitSample(sample.experiment, sample.exit_steps[:2], sample.status, sample.state)
    with pytest.raises(ParameterError, match=r"rows for u, v_1, v_across"):
        ExitSample(sample.experiment, sample.exit_steps, sample.status, sample.state[:2])
