"""Tests of exit times: against each other, against a law, and for many of them at once.

They are apart from `numerics.simulation.statistics`, since SciPy's distributions take longer to import than a sample
to describe.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import scipy

from numerics.simulation.statistics import ExitSample
from theory.errors import ParameterError

__all__ = ["TestResult", "holm", "kolmogorov_tail", "ks_distance", "ks_law", "ks_two_sample"]

MATRIX_RUNS = 4000
"""More runs would take the power of a matrix beyond 250 x 250."""


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


def ks_law(sample: ExitSample, cdf: Callable[[float], float], *, leeway: float = 0.0) -> TestResult:
    """Kolmogorov-Smirnov test of the exit time t = eta * step against a continuous law: `ks_distance`, SciPy's tail."""
    distance, runs = ks_distance(sample, cdf, leeway=leeway)
    return TestResult(distance, float(scipy.stats.kstwo.sf(distance, runs)))


def ks_distance(sample: ExitSample, cdf: Callable[[float], float], *, leeway: float = 0.0) -> tuple[float, int]:
    """Return the distance of Kolmogorov and Smirnov between exit times t = eta * step and a law, and of how many runs.

    With `leeway`, to every law whose quantiles are within so much of this one's: the distance is that from the
    band between cdf(t - leeway) and cdf(t + leeway).

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
    return float(distance), len(steps)


def kolmogorov_tail(distance: float, runs: int) -> float:
    """Return P(D >= distance), D of Kolmogorov and Smirnov for so many independent runs of a continuous law.

    Exact, by Durbin's matrix as Marsaglia, Tsang and Wang (2003) take its power, for at most `MATRIX_RUNS` runs; where
    that is below 1e-3 twice the one-sided probability, to 4e-11 of itself; else as SciPy has it. SciPy's own is a
    series beyond 140 runs, off by 2e-6 at most, and its `stats` takes longer to import than SymPy.

    >>> round(1 - kolmogorov_tail(0.274, 10), 10)  # the example of that paper
    0.6284796155
    """
    scaled = runs * distance
    if scaled <= 0.5 or distance >= 1:
        return float(scaled <= 0.5)
    if scaled * distance >= 4:
        return float(min(1.0, 2 * scipy.special.smirnov(runs, distance)))
    if runs > MATRIX_RUNS:
        return float(scipy.stats.kstwo.sf(distance, runs))
    middle = math.ceil(scaled)
    size, gap = 2 * middle - 1, middle - scaled
    below = np.subtract.outer(np.arange(size), np.arange(size)) + 1
    matrix = (below >= 0).astype(float)
    powers = gap ** np.arange(1, size + 1)
    matrix[:, 0] -= powers
    matrix[-1] -= powers[::-1]
    matrix[-1, 0] += max(2 * gap - 1, 0.0) ** size
    matrix /= scipy.special.factorial(np.maximum(below, 0)) * math.e  # e keeps its powers near 1
    return float(1 - _stirling(runs) * np.linalg.matrix_power(matrix, runs)[middle - 1, middle - 1])


def _stirling(n: int) -> float:
    """Return n! (e/n)^n, to float64."""
    if n <= 500:
        return math.factorial(n) / n**n * math.exp(n)
    return math.sqrt(2 * math.pi * n) * math.exp(1 / (12 * n) - 1 / (360 * n**3))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return Holm's adjusted p-values: rejecting where one is below a level keeps the family's false alarms below it.

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    order = np.argsort(p_values)
    scaled = [(len(p_values) - rank) * p_values[i] for rank, i in enumerate(order)]
    adjusted = np.minimum(np.maximum.accumulate(scaled), 1.0) if len(order) else np.empty(0)
    return tuple(float(adjusted[rank]) for rank in np.argsort(order))
