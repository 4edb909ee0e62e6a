"""How long a simulation will take, and what would shorten it: both predicted by the law of its exit time, and measured.

The steps of a run are those of the law (`numerics.law`) at this kappa and step size, up to `max_steps`; the cost of a
step is measured. What would shorten it is predicted in the same way, so that it is offered only where it does: a
smaller batch makes steps cheaper, but not those of a linear residual, whose cost does not depend on it, and its larger
kappa changes the steps, or traps.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from threading import Thread
from typing import Any, TypeVar, Unpack

from hermescape.api import experiment
from hermescape.task import Fields, Function, Task
from numerics.accuracy import LARGEST_LAW_RTOL
from numerics.law import escape_law
from numerics.parameters import PARAMETERS
from numerics.rates.curvature import largest_curvature
from numerics.simulation.workload import Workload, foresee, step_cost
from numerics.workers import available_threads
from theory.errors import HermescapeError

__all__ = ["Shortcut", "foreseen", "predicted_work", "shortcuts"]

Result = TypeVar("Result")

LEVELS = 64
LEAST_GAIN = 1.5
"""Of a shortcut that is worth its words"""
FEWER = 10
"""Times fewer samples, replicas or steps that a shortcut tries"""
STEEPEST = 0.5
"""Step size times the largest curvature, up to which a larger step is offered"""
PATIENCE = 0.1
"""Of the bound: how long the law of a run may be worked on"""
LONGEST_WAIT = 20.0
"""The same in seconds"""


def predicted_work(
    task: Task | Function, teacher: Function | None = None, *, threads: int | None = None, **settings: Unpack[Fields]
) -> Workload:
    """Return how much work `simulate` will have with a task: runs, steps of a run, cost of a step, seconds.

    Steps are those of the law of the exit time where there is one, and at most `max_steps`; `Workload.source` says
    which. Nothing is simulated, but the cost of a step is measured. Arguments and errors are those of `simulate`.

    >>> work = predicted_work("linear", mu=0.3, dimension=10**6, batch=10**5, step_size=0.1, max_steps=10**6)
    >>> work.source, round(work.steps), work.seconds < work.at_most
    ('law', 202, True)

    Its lengths tell `simulate` what to expect, so that remaining times are right from the first second:

    >>> import hermescape
    >>> linear = hermescape.Task("linear", mu=0.3, batch=50, step_size=0.1, replicas=20, seed=1)
    >>> seen = []
    >>> sample = hermescape.simulate(linear, watch=seen.append, foreseen=predicted_work(linear).lengths)
    >>> seen[-1].finished, seen[-1].remaining
    (20, 0.0)
    """
    given = Task.of(task, teacher, **settings)
    return foresee(experiment(given), _lengths(given), threads=threads)


def _lengths(task: Task) -> tuple[float, ...]:
    """Return equally likely numbers of steps until exit, by the law; none where there is no law."""
    if task.threshold is None:
        return ()
    task = task.member
    own = {name: value for name, value in task.place.items() if name not in ("mu", "rho")}
    eta = task.step_size
    numbers: dict[str, Any] = {"dimension": task.dimension, "threshold": task.threshold, "step_size": eta}
    numbers |= {"kappa": eta * task.dimension / task.batch, "initial_scale": task.initial_scale, "parameters": own}
    try:
        law = escape_law(task.system(), mu=task.mu, rho=task.length, **numbers, rtol=LARGEST_LAW_RTOL)
        times = [law.quantile((i + 0.5) / LEVELS) for i in range(LEVELS)]
    except HermescapeError:
        return ()
    return tuple(max(0.0, float(math.ceil(t / eta)) if math.isfinite(t) else math.inf) for t in times)


@dataclass(frozen=True)
class Shortcut:
    """A change of a simulation that shortens it.

    >>> print(Shortcut({"batch": 50, "step_size": 0.2}, 8.24, 0.4, 4.0))
    --batch 50 --lr 0.2 (8.2 times; kappa 4 instead of 0.4)
    """

    changes: dict[str, float]
    """fields of a task, or threads, and their new values"""
    factor: float
    """predicted: how many times shorter"""
    kappa_before: float
    kappa: float

    def __str__(self) -> str:
        options = " ".join(f"{_option(name)} {value:.12g}" for name, value in self.changes.items())
        kept = math.isclose(self.kappa, self.kappa_before)
        told = "" if kept else f"; kappa {self.kappa:.3g} instead of {self.kappa_before:.3g}"
        same = "; the same kappa" if kept and "batch" in self.changes else ""
        return f"{options} ({self.factor:.2g} times{told}{same})"


def shortcuts(task: Task, work: Workload, threads: int | None = None) -> list[Shortcut]:
    """Return what would make a simulation at least `LEAST_GAIN` times shorter, the best first, each by prediction."""
    ways = []
    for changes in _candidates(task, work, threads):
        then = _changed(task, work, changes)
        factor = work.seconds / then.seconds if then is not None and then.seconds else 0.0
        if factor >= LEAST_GAIN:
            kappa = _kappa(replace(task, **_own(changes)))
            ways.append(Shortcut(changes, factor, _kappa(task), kappa))
    return sorted(ways, key=lambda shortcut: -shortcut.factor)


def _own(changes: Mapping[str, float]) -> dict[str, Any]:
    """Return those of a task."""
    return {name: value for name, value in changes.items() if name != "threads"}


def _changed(task: Task, work: Workload, changes: Mapping[str, float]) -> Workload | None:
    """Return the work after a change; None where the steps, which are known before, are not known after it."""
    changed = replace(task, **_own(changes))
    then = replace(work, replicas=changed.replicas, max_steps=changed.max_steps)
    workers = int(changes.get("threads", work.threads))
    then = replace(then, threads=min(workers, then.replicas))
    if work.source == "given":
        then = replace(then, lengths=(float(changed.max_steps),))
    if {"batch", "step_size"}.isdisjoint(changes):
        return then
    lengths = _lengths(changed) if work.source == "law" else work.lengths
    before, after = (step_cost(experiment(which), time.thread_time) for which in (task, changed))
    return replace(then, lengths=lengths, step_seconds=work.step_seconds * after / before) if lengths else None


def _candidates(task: Task, work: Workload, threads: int | None) -> Iterator[dict[str, float]]:
    """Yield changes that may help."""
    if work.lengths and task.batch > 1:
        yield {"batch": max(1, task.batch // FEWER)}
    if work.source == "law":
        steepness = task.step_size * largest_curvature(task.system())
        if 4 * steepness <= STEEPEST:
            yield {"batch": 4 * task.batch, "step_size": 4 * task.step_size}
        if 2 * steepness <= STEEPEST:
            yield {"step_size": 2 * task.step_size}
    if work.censored > 1 / FEWER and task.max_steps >= FEWER:
        yield {"max_steps": task.max_steps // FEWER}
    if task.replicas >= 2 * FEWER:
        yield {"replicas": task.replicas // FEWER}
    if threads is not None and available_threads() > threads:
        yield {"threads": available_threads()}


def _option(name: str) -> str:
    return PARAMETERS[name].option if name in PARAMETERS else f"--{name}"


def _kappa(task: Task) -> float:
    return task.step_size * task.dimension / task.batch


def foreseen(
    task: Task, bound: Workload, threads: int | None = None, *, long: float = 0.0
) -> tuple[Workload, list[Shortcut]]:
    """Return the predicted work, and its shortcuts if it takes more than `long` seconds.

    Where prediction takes too long itself, or fails, they are those of the bound.
    """

    def predict() -> tuple[Workload, list[Shortcut]]:
        work = replace(bound, lengths=bound.lengths or _lengths(task))
        return work, shortcuts(task, work, threads) if work.seconds > long else []

    predicted = _within(min(PATIENCE * bound.at_most, LONGEST_WAIT), predict)
    return predicted or (bound, shortcuts(task, bound, threads))


def _within(seconds: float, work: Callable[[], Result]) -> Result | None:
    """Return a result if it is there in time; what comes later, or fails, is not waited for, nor an error."""
    results: list[Result] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception:  # a prediction is an extra: whatever is wrong with it, the simulation can run
            return

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    return results[0] if results else None
