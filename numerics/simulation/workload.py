"""How much work a simulation will be, before it starts: runs, steps of a run, and the measured cost of a step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from numerics.simulation.experiment import Experiment
from numerics.simulation.montecarlo import samples_per_step, trial
from numerics.simulation.progress import duration, short
from numerics.workers import available_threads
from theory.errors import ParameterError
from theory.shown import Shown

__all__ = ["Workload", "foresee", "step_cost"]

TIMING = 1e-2
"""Seconds in which the cost of a step is measured"""
TIMINGS = 5
"""Measurements at least that the median is of"""
LARGEST_TIMED = 20_000
"""Batch above which the cost is proportional to it"""


@dataclass(frozen=True)
class Workload(Shown):
    """What a simulation will take; times in seconds of wall clock, on this machine as it is now.

    >>> work = Workload(10, 1000, lengths=(200.0, 400.0, math.inf, 600.0), step_seconds=1e-3, threads=2)
    >>> work.steps, work.seconds, work.at_most, work.source
    (550.0, 2.75, 5.0, 'law')
    >>> print(work)
    some 2.8 s on 2 threads: 10 runs of some 550 steps, 1 ms each
    """

    shows = "replicas, steps, step_seconds, threads, seconds, at_most, source, censored, max_steps"

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

    def __str__(self) -> str:
        known = "some" if self.lengths else "at most"
        steps = f"{'' if self.source == 'given' else known + ' '}{short(self.steps)} steps"
        on = f"{self.threads} thread{'s' * (self.threads > 1)}"
        each = f"{self.replicas} runs of {steps}, {_brief(self.step_seconds)} each"
        return f"{known} {duration(self.seconds)} on {on}: {each}"

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


def _brief(seconds: float) -> str:
    """Return a short time in its own unit.

    >>> _brief(3.4e-6), _brief(0.25e-6), _brief(0.0123)
    ('3.4 us', '0.25 us', '12 ms')
    """
    unit, name = (1e-6, "us") if seconds < 1e-4 else (1e-3, "ms")
    return f"{seconds / unit:.2g} {name}"


def step_cost(experiment: Experiment, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return seconds of one step of one thread, measured in milliseconds; scaled above a batch of `LARGEST_TIMED`.

    The clock may be that of the thread, `time.thread_time`, for ratios on a machine that does other things too.
    """
    timed = experiment.but(batch=min(experiment.sgd.batch, LARGEST_TIMED))
    take = trial(timed)
    take(1)  # compiles
    costs: list[float] = []
    asked, spent = 1, 0.0
    while spent < TIMING:
        start = clock()
        done = take(asked)
        taken = clock() - start
        spent += taken
        costs.append(taken / max(1, done))
        asked = asked if taken > TIMING / TIMINGS or done < asked else 2 * asked
    return median(costs[-TIMINGS:]) * samples_per_step(experiment) / samples_per_step(timed)
