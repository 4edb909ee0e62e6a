r"""How far a simulation is, and how long the rest will take, from what its runs have done so far.

Lengths of runs (steps until exit, divergence or `max_steps`) are independent draws from one distribution, of which
finished runs are observations and running ones, which are longer than their age, censored observations. `Meter` takes
the survival function of Kaplan and Meier (1958), draws remaining lengths from it, and plays the rest out on the
threads that there are, a number of times; reported are the median time and the interval of nine scenarios in ten.

*Few observations*: every scenario weighs the observations anew, by Gamma(1) weights (the Bayesian bootstrap, Rubin
1981), so that the interval knows how little three finished runs say. Lengths that are *foreseen*, by the law of the
exit time say, count like observations of a total weight `TRUST`, which finished runs soon outweigh; without any, an
exponential of the mean length so far counts like one.

*Beyond the longest length seen* a run ends at a constant rate, up to `max_steps`. No run has ended there in the
exposure E that there was, so that the rate is Gamma(1)/(E + mean length): exits have exponential tails where growth is
exponential, and a few runs that stay inside make the rest long, not short.

Without a finished run or foreseen lengths nothing but the upper bound is known: every run takes `max_steps`.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["NOBODY", "Listeners", "Meter", "Progress", "duration", "short"]

Array = NDArray[np.float64]

SCENARIOS = 64
TRUST = 4.0
"""Finished runs that foreseen lengths count as"""
KNOWN = 1e6
"""The same for lengths that are certain"""
WINDOW = 300
"""Finished runs that are looked at, so that a report costs some milliseconds whatever their number"""
PLAYED = 128
"""Waiting runs that are played out one by one; more of them are a sum"""
PERIOD = 0.2
"""Seconds between two reports"""
SPEED_ERROR = 0.1
"""Of the speed, by which interval and bound are widened: machines do other things too"""
GUESS = -np.log1p(-(np.arange(8) + 0.5) / 8)
"""Lengths, in units of their mean, that stand for an exponential"""
MARKS = 64
"""Reports over which speed is averaged"""
LEVELS = (0.05, 0.5, 0.95)


class _Phase(IntEnum):
    """Where a run is."""

    WAITING = 0
    RUNNING = 1
    FINISHED = 2


@dataclass(frozen=True)
class Progress:
    """How far a simulation is; times in seconds of wall clock.

    >>> print(Progress(12, 200, 3_100_000, 1.5, 4.2e6, (31.0, 40.0, 62.0), 190.0))
    12/200 runs, 3.1e6 steps, 4.2e6 steps/s, some 40 s left (31 s to 1 min; at most 3.2 min)
    """

    finished: int
    """runs that have ended"""
    replicas: int
    """runs in all"""
    steps: int
    """done so far, by all runs together"""
    elapsed: float
    """since the first run began"""
    speed: float | None
    """steps per second, of all threads together; None before the first are done"""
    left: tuple[float, float, float] | None
    """low, median and high estimate of the time left, with a probability of 90 % between the outer two; None where only
    the bound is known"""
    at_most: float | None
    """the time left if no further run ends before `max_steps`, at nine tenths of this speed; None before the first"""

    @property
    def remaining(self) -> float | None:
        """The estimate of the time left; None where only its bound is known."""
        return None if self.left is None else self.left[1]

    @property
    def fraction(self) -> float:
        """The share of the time that has passed, by the estimate, or at least by the bound.

        >>> Progress(0, 2, 100, 3.0, 50.0, None, 9.0).fraction
        0.25
        """
        rest = self.at_most if self.left is None else self.left[1]
        whole = math.inf if rest is None else self.elapsed + rest
        return self.elapsed / whole if whole > 0 else 1.0

    def __str__(self) -> str:
        words = [f"{self.finished}/{self.replicas} runs", f"{short(self.steps)} steps"]
        if self.speed is not None:
            words.append(f"{short(self.speed)} steps/s")
        return ", ".join([*words, *self._rest()])

    def _rest(self) -> list[str]:
        if self.at_most is None:
            return []
        if self.left is None:
            return [f"at most {duration(self.at_most)} left"]
        low, middle, high = map(duration, self.left)
        bound = f"at most {duration(self.at_most)}"
        return [f"some {middle} left ({low if low == high else f'{low} to {high}'}; {bound})"]


def short(count: float) -> str:
    """Return two digits.

    >>> short(3_100_000), short(850.0), short(0.123)
    ('3.1e6', '850', '0.12')
    """
    if not count >= 1e4:
        return f"{count:.2g}" if count < 100 else f"{count:.0f}"
    mantissa, exponent = f"{count:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def duration(seconds: float) -> str:
    """Return a time in its own unit, to two digits.

    >>> duration(0.23), duration(41.7), duration(720), duration(9000), duration(4e5), duration(1e9)
    ('0.2 s', '42 s', '12 min', '2.5 h', '4.6 days', '32 years')
    """
    units = ((1, "s", 60), (60, "min", 3600), (3600, "h", 86400), (86400, "days", 3.2e7), (3.156e7, "years", math.inf))
    for unit, name, until in units:
        value = seconds / unit
        if seconds < until and (round(value) < 60 or name not in ("s", "min")):
            return f"{value:.0f} {name}" if value >= 9.95 else f"{value:.1f}".removesuffix(".0") + f" {name}"
    return "for ever"


class Meter:
    """What worker threads note, one number a run and without a lock, and what one thread reads of it.

    >>> meter = Meter(replicas=3, max_steps=100, threads=1, clock=iter([0.0, 2.0]).__next__)
    >>> meter.reach(0, 50), meter.end(0), meter.begin(1), meter.reach(1, 10)
    (None, None, None, None)
    >>> report = meter.report()
    >>> report.steps, report.speed, report.at_most
    (60, 30.0, 7.037037037037037)
    """

    def __init__(
        self,
        replicas: int,
        max_steps: int,
        threads: int,
        *,
        foreseen: Sequence[float] = (),
        certain: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`foreseen`: equally likely lengths of a run in steps, `certain` where no run will differ."""
        self.reached = np.zeros(replicas, np.int64)
        self.phases = np.full(replicas, _Phase.WAITING, np.int8)
        self.max_steps, self.threads = max_steps, min(threads, replicas)
        self.foreseen = np.minimum(np.asarray(foreseen, float), max_steps)
        self.trust = KNOWN if certain else TRUST
        self.clock, self.began = clock, clock()
        self.marks: deque[tuple[float, int]] = deque([(0.0, 0)], MARKS)
        """seconds that busy threads have spent, and steps done in them"""
        self.last = 0.0
        self.told = 0

    def begin(self, index: int) -> None:
        """Say that a run begins; this and the next two are called by the thread that runs it."""
        self.phases[index] = _Phase.RUNNING

    def reach(self, index: int, step: int) -> None:
        """Say which step a run has reached."""
        self.reached[index] = step

    def end(self, index: int) -> None:
        """Say that a run has ended."""
        self.phases[index] = _Phase.FINISHED

    def newly_finished(self) -> int:
        """Return how many runs have ended since it was last asked."""
        finished = int(np.count_nonzero(self.phases == _Phase.FINISHED))
        new, self.told = finished - self.told, finished
        return new

    def report(self) -> Progress:
        """Return how far it is now."""
        phases, reached = self.phases.copy(), self.reached.copy()
        ages, ended = reached[phases == _Phase.RUNNING], reached[phases == _Phase.FINISHED]
        waiting = len(phases) - len(ages) - len(ended)
        elapsed, steps = self.clock() - self.began, int(reached.sum())
        busy = len(ages) if waiting == 0 and len(ages) else self.threads
        rate = self._rate(elapsed, steps, busy)
        left = at_most = None
        if rate:
            most = np.full((1, waiting), float(self.max_steps))
            slow, fast = rate * (1 - SPEED_ERROR), rate * (1 + SPEED_ERROR)
            at_most = float(_played(self.max_steps - ages[None, :].astype(float), most, self.threads)[0]) / slow
            times = self._scenarios(ended, ages, waiting)
            if times is not None:
                low, median, high = map(float, np.quantile(times, LEVELS))
                left = low / fast, median / rate, high / slow
        speed = rate * busy if rate else None
        return Progress(len(ended), len(phases), steps, elapsed, speed, left, at_most)

    def _rate(self, elapsed: float, steps: int, busy: int) -> float | None:
        """Steps per second of one thread, over the last reports."""
        spent = self.marks[-1][0] + busy * (elapsed - self.last)
        self.last = elapsed
        self.marks.append((spent, steps))
        before, done = self.marks[0]
        return (steps - done) / (spent - before) if steps > done and spent > before else None

    def _scenarios(self, ended: NDArray[np.int64], ages: NDArray[np.int64], waiting: int) -> Array | None:
        """Return steps that the busiest thread still has to do, in each scenario; None where nothing is known."""
        rng = np.random.default_rng(len(self.phases))  # the same at every report, so that estimates do not flicker
        if len(ended) > WINDOW:
            ended = rng.choice(ended, WINDOW, replace=False)
        if not len(ended) and not len(self.foreseen):
            return None
        known, trust = self.foreseen, self.trust
        if not len(known):
            known, trust = np.minimum(GUESS * (ended.sum() + ages.sum()) / len(ended), self.max_steps), 1.0
        lengths = _Lengths.drawn(rng, ended, known, trust, ages, self.max_steps)
        alone = min(waiting, PLAYED)
        running, fresh = lengths.rest(rng, ages), lengths.whole(rng, alone)
        if alone < waiting:
            many = waiting - alone
            noise = rng.standard_normal(SCENARIOS)
            total = many * fresh.mean(axis=1) + math.sqrt(many) * fresh.std(axis=1) * noise
            return _played(running, fresh, self.threads) + total / self.threads
        return _played(running, fresh, self.threads)


def _played(running: Array, fresh: Array, threads: int) -> Array:
    """Return when the last thread is done: each takes the next run as soon as it is free; rows are scenarios."""
    loads = np.zeros((len(running), max(threads, running.shape[1])))
    loads[:, : running.shape[1]] = running
    rows = np.arange(len(running))
    if fresh.shape[1] > PLAYED:  # so many that all threads end together
        return (loads.sum(axis=1) + fresh.sum(axis=1)) / threads
    for column in fresh.T:
        loads[rows, loads.argmin(axis=1)] += column
    return loads.max(axis=1)


@dataclass(frozen=True)
class _Lengths:
    """Distributions of the length of a run, one a scenario: survival after each of the lengths seen, and the tail."""

    seen: Array
    """ascending"""
    survival: Array
    """(scenario, number of lengths passed): 1 first"""
    scale: Array
    """of the exponential beyond the longest, in steps"""
    most: int

    @classmethod
    def drawn(
        cls,
        rng: np.random.Generator,
        ended: NDArray[np.int64],
        foreseen: Array,
        trust: float,
        ages: NDArray[np.int64],
        most: int,
    ) -> _Lengths:
        """Weigh the observations anew in each scenario."""
        values = np.concatenate([ended, foreseen]).astype(float)
        shapes = np.concatenate([np.ones(len(ended)), np.full(len(foreseen), trust / max(1, len(foreseen)))])
        order = np.argsort(values, kind="stable")
        seen, weights = values[order], rng.standard_gamma(shapes[order], (SCENARIOS, len(values))) + 1e-12
        censored = np.sort(ages).astype(float)
        others = rng.standard_gamma(1.0, (SCENARIOS, len(censored)))
        older = _from_right(others)[:, np.searchsorted(censored, seen)]
        risk = _from_right(weights)[:, :-1] + older
        survival = np.cumprod(np.hstack([np.ones((SCENARIOS, 1)), 1 - weights / risk]), axis=1, dtype=np.float64)
        exposure = (others * np.maximum(censored - seen[-1], 0)).sum(axis=1)
        lived = (weights * seen).sum(axis=1) + (others * censored).sum(axis=1)
        scale = (exposure + lived / weights.sum(axis=1)) / rng.standard_exponential(SCENARIOS)
        return cls(seen, survival, scale, most)

    def whole(self, rng: np.random.Generator, count: int) -> Array:
        """Draw lengths of runs that have not begun, (scenario, run)."""
        return self._lengths(np.zeros(count), rng.random((SCENARIOS, count)))

    def rest(self, rng: np.random.Generator, ages: NDArray[np.int64]) -> Array:
        """Draw what runs of these ages still have to do, (scenario, run)."""
        return np.maximum(self._lengths(ages.astype(float), rng.random((SCENARIOS, len(ages)))) - ages, 0)

    def _lengths(self, ages: Array, uniform: Array) -> Array:
        """Return the length at which survival, from that at its age, has fallen by the factor `uniform`."""
        passed = np.searchsorted(self.seen, ages, side="right") if len(ages) else np.zeros(0, int)
        level = uniform * self.survival[:, passed]
        last = self.survival[:, -1:]
        with np.errstate(divide="ignore", over="ignore"):
            ends = np.maximum(self.seen[-1], ages)
            left = np.where(last > 0, np.log(np.maximum(last, 1e-300) / np.maximum(level, 1e-300)), 0.0)
            beyond = ends + np.maximum(left, 0) * self.scale[:, None]
        index = np.array([np.searchsorted(-row[1:], -at) for row, at in zip(self.survival, level, strict=True)])
        inside = self.seen[np.minimum(index, len(self.seen) - 1)]
        return np.minimum(np.where(index < len(self.seen), inside, beyond), self.most)


def _from_right(weights: Array) -> Array:
    """Return sums from each column on, and 0 last."""
    sums = np.cumsum(weights[:, ::-1], axis=1)[:, ::-1]
    return np.hstack([sums, np.zeros((len(weights), 1))])


class Listeners(NamedTuple):
    """Whom to tell how far a simulation is, from the thread that asked for it, and what was foreseen."""

    progress: Callable[[int], None] | None = None
    """takes the number of runs just finished"""
    watch: Callable[[Progress], None] | None = None
    foreseen: tuple[float, ...] = ()
    """equally likely lengths of a run"""

    @property
    def period(self) -> float | None:
        """Seconds between reports; None where nobody listens."""
        return None if self.progress is None and self.watch is None else PERIOD

    def meter(self, replicas: int, max_steps: int, threads: int, *, certain: bool) -> Meter:
        """Return what counts; `certain` where every run takes `max_steps` steps."""
        lengths = (max_steps,) if certain else self.foreseen
        return Meter(replicas, max_steps, threads, foreseen=lengths, certain=certain)

    def tell(self, meter: Meter) -> None:
        """Report."""
        new = meter.newly_finished()
        if self.progress is not None and new:
            self.progress(new)
        if self.watch is not None:
            self.watch(meter.report())


NOBODY = Listeners()
