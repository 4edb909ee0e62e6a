"""How much work a simulation will be, before it starts: runs, steps of a run, and the measured cost of a step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from numerics.simulation.experiment import Experiment
from numerics.simulation.montecarlo import available_threads, samples_per_step, trial
from theory.errors import ParameterError

__all__ = ["Workload", "foresee", "step_cost"]

TIMING = 5e-3
"""Seconds in which the cost of a step is measured"""
LARGEST_TIMED = 20_000
"""Batch above which the cost is proportional to it"""


@dataclass(frozen=True)
class Workload:
    """What a simulation will take; times in seconds of wall clock, on this machine as it is now.

    >>> work = Workload(10, 1000, lengths=(200.0, 400.0, math.inf, 600.0), step_seconds=1e-3, threads=2)
    >>> work.steps, work.seconds, work.at_most, work.source
    (550.0, 2.75, 5.0, 'law')
    """

    replicas: int
    max_steps: int
    lengths: tuple[float, ...]
    """equally likely numbers of steps of a run, infinite where it never leaves; empty where nothing is known of them"""
    step_seconds: float
    """measured cost of a step, of one thread"""
    threads: int
    """at work at once: no more than runs or cores"""

    @property
    def source(self) -> str:
        """Where `steps` is from: "law", "given" (every run takes max_steps), or "upper bound"."""
        if not self.lengths:
            return "upper bound"
        return "law" if len(self.lengths) > 1 else "given"

    @property
    def steps(self) -> float:
        """Expected steps of a run, or the most that it may take."""
        return fmean(min(length, self.max_steps) for length in self.lengths or (self.max_steps,))

    @property
    def censored(self) -> float:
        """Expected share of the runs that reach max_steps; 1 where nothing is known."""
        return sum(length >= self.max_steps for length in self.lengths) / len(self.lengths) if self.lengths else 1.0

    @property
    def seconds(self) -> float:
        """Expected time, or the most where only the bound is known."""
        return self.step_seconds * max(self.steps * self.replicas / self.threads, self.steps)

    @property
    def at_most(self) -> float:
        """The time if no run leaves before max_steps."""
        return self.step_seconds * self.max_steps * math.ceil(self.replicas / self.threads)


def foresee(experiment: Experiment, lengths: Sequence[float] = (), *, threads: int | None = None) -> Workload:
    """Return the work of a simulation, whose runs take the given steps, equally likely; by default their bound.

    The cost of a step is measured on the compiled kernel, which the simulation needs anyway, with a generator of its
    own: the simulation's random numbers stay what they are. Raises as `simulate`.

    >>> from theory.network.derivation import derive
    >>> linear = Experiment.of(derive("linear").network, mu=0.3, dimension=50, batch=20, step_size=0.1,
    ...                        replicas=10, max_steps=2000)
    >>> work = foresee(linear, [100, 300], threads=1)
    >>> work.steps, work.threads, 0 < work.seconds < work.at_most
    (200.0, 1, True)
    """
    if any(math.isnan(length) or length < 0 for length in lengths):
        raise ParameterError(f"lengths = {lengths!r} given; accepted: numbers of steps >= 0, or math.inf.")
    last = experiment.stop.max_steps
    known = (float(last),) if experiment.stop.threshold is None else tuple(map(float, lengths))
    workers = min(available_threads(threads), available_threads(), experiment.replicas)
    return Workload(experiment.replicas, last, known, step_cost(experiment), workers)


def step_cost(experiment: Experiment, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return seconds of one step of one thread, measured in milliseconds; scaled above a batch of `LARGEST_TIMED`."""
    timed = experiment.but(batch=min(experiment.sgd.batch, LARGEST_TIMED))
    take = trial(timed)
    take(1)  # compiles
    asked, done, spent = 1, 0, 0.0
    while spent < TIMING:
        start = clock()
        done += take(asked)
        spent += clock() - start
        asked *= 2
    return spent / max(1, done) * samples_per_step(experiment) / samples_per_step(timed)
