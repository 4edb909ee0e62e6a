"""Tests of exit times: against each other, against a law, and for many of them at once.

They are apart from `numerics.simulation.statistics`, since SciPy's distributions take longer to import than a sample
to describe.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import scipy

from numerics.recall import number, recalled
from numerics.simulation.statistics import ExitSample
from theory.errors import ParameterError

__all__ = ["TestResult", "holm", "ks_law", "ks_two_sample"]


class TestResult(NamedTuple):
    """A test statistic and its p-value."""

    __test__ = False

    statistic: float
    p_value: float


def ks_two_sample(sample_a: ExitSample, sample_b: ExitSample) -> TestResult:
    """Two-sample Kolmogorov-Smirnov test of equal laws of the exit time t = eta * step.

    Both samples are censored at the shorter of their horizons, where the test stays valid (ties make it
    conservative); diverged runs are left out. Raises `ParameterError` if a sample has no other run.
    """
    horizon = min(s.experiment.sgd.step_size * s.experiment.stop.max_steps for s in (sample_a, sample_b))
    values = []
    for sample in (sample_a, sample_b):
        times = sample.experiment.sgd.step_size * sample.ordered()
        if not len(times):
            raise ParameterError(
                "a sample of diverged runs only given; accepted: at least one other run; lower the step size"
            )
        values.append(np.where(times <= horizon, times, 2 * horizon))
    test = cast(Callable[..., Any], scipy.stats.ks_2samp)(*values, method="asymp")
    return TestResult(float(test.statistic), float(test.pvalue))


def ks_law(
    sample: ExitSample, cdf: Callable[[float], float], *, leeway: float = 0.0, margin: float = 0.0
) -> TestResult:
    """Kolmogorov-Smirnov test of the exit time t = eta * step against a continuous law.

    With `leeway`, against every law whose quantiles are within so much of this one's: the distance is that from the
    band between cdf(t - leeway) and cdf(t + leeway); `margin` widens the band by so much probability.

    A run exits at the first step not before the time T of the law, so that P(t <= k eta) = cdf(k eta) holds on the
    steps k, and there alone are the two compared: no continuity correction, and a p-value that is conservative. Runs
    without exit count as later than `max_steps`; diverged runs are left out. Raises `ParameterError` for a sample
    without any other run.
    """
    eta = sample.experiment.sgd.step_size
    steps = sample.ordered()
    if not len(steps):
        raise ParameterError("diverged runs only given; accepted: at least one other run; lower the step size")
    exits = np.unique(steps[np.isfinite(steps)])
    points = np.unique(np.concatenate([exits, exits - 1, [sample.experiment.stop.max_steps]]))
    measured = np.searchsorted(steps, points, side="right") / len(steps)
    distance = max(
        max(f - cdf(eta * k + leeway), cdf(eta * k - leeway) - f, 0.0) for f, k in zip(measured, points, strict=True)
    )
    distance = max(distance - margin, 0.0)
    return TestResult(float(distance), _tail(float(distance), len(steps)))


def _tail(distance: float, count: int) -> float:
    """The probability of a larger Kolmogorov-Smirnov distance of `count` runs, from disk where it was asked for."""
    content = (number(distance), number(count))
    return float(recalled("ks", content, lambda: {"p": np.array(scipy.stats.kstwo.sf(distance, count))})["p"])


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return Holm's adjusted p-values: rejecting where one is below a level keeps the family's false alarms below it.

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    order = np.argsort(p_values)
    scaled = [(len(p_values) - rank) * p_values[i] for rank, i in enumerate(order)]
    adjusted = np.minimum(np.maximum.accumulate(scaled), 1.0) if len(order) else np.empty(0)
    return tuple(float(adjusted[rank]) for rank in np.argsort(order))
