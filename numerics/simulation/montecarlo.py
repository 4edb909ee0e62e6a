r"""Exact simulation of one-pass mini-batch SGD through its summary statistics, at any dimension.

`numerics.simulation.step` holds one step for any network, whose law is that of d-dimensional SGD;
`numerics.simulation.unrolled` compiles it for one unit with one trained vector, where it needs two normals a sample
whatever the dimension (three with label noise; nine random numbers at most where the residual is linear, whatever the
batch). Here replicas run it: until exit
(`simulate`), through several stages of training (`simulate_stages`), or past it with a record of the path
(`trajectories`). Replica i of stage k draws from its own generator, seeded by (seed, i, k), so results do not depend on
the number of threads.

The generator is NumPy's SFC64 with its ziggurat normals, passed into the compiled code: tested streams, kept by NumPy.
It costs about 3 ns a normal, nine tenths of a ReLU step; normals from a generator with many lanes in vector registers
would cost half of that, and a generator of our own to vouch for. `benchmarks/montecarlo.py` measures both parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from functools import partial
from itertools import count
from numbers import Integral
from threading import Event
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from numerics.compile.keeping import contents
from numerics.recall import Arrays, number, recalled
from numerics.simulation import state
from numerics.simulation.experiment import Experiment
from numerics.simulation.progress import NOBODY, Listeners, Progress
from numerics.simulation.state import CENSORED, DIVERGED, EXITED, entries, layout, overlaps, uniform
from numerics.simulation.statistics import ExitSample, Stages
from numerics.simulation.step import Step
from numerics.simulation.unrolled import digest, functions, is_unrolled, kernel, residual_is_linear, scalars_of
from numerics.workers import available_threads
from theory.errors import ParameterError

if TYPE_CHECKING:
    from numerics.labelled import Labelled

__all__ = [
    "Experiment",
    "Paths",
    "Stages",
    "log_spaced",
    "paths",
    "samples_per_step",
    "simulate",
    "simulate_stages",
    "trajectories",
    "trial",
]

Array = NDArray[np.float64]

SAMPLES_PER_SLICE = 2**20
"""Samples between two looks at the stop flag: some ten milliseconds."""
SLOW = 64
"""Samples of a compiled step in the time of one of the general step."""
BLOCK = 2048
"""Samples drawn at a time, so that memory does not grow with the batch and stays in the fastest cache."""

Advance = Callable[[np.random.Generator, Array, Array, tuple[int, int]], tuple[int, int]]
"""(rng, state, scratch rows, span): advance the state in place, return the last step and a status."""


class _Run(NamedTuple):
    """How the replicas of an experiment are run."""

    advance: Advance
    rows: int
    """normals a sample"""
    samples: int
    """drawn a step"""


class _Replica:
    """One run: its generator, its state and the step it has reached."""

    def __init__(self, experiment: Experiment, index: int, start: ExitSample | None) -> None:
        # (index, 1) and longer keys that begin so belong to the simulation in R^d.
        key = (index,) if start is None else (index, 0, start.stage + 1)
        seed = np.random.SeedSequence(experiment.runs.seed, spawn_key=key)
        self.rng = np.random.Generator(np.random.SFC64(seed))
        self.step, self.status = 0, CENSORED
        if start is None:
            self.state = uniform(experiment, self.rng)
        else:
            self.state = start.state[:, index].copy()
            self.status = DIVERGED if start.status[index] == DIVERGED else CENSORED

    def advance(self, run: _Run, rows: Array, last: int, stop: Event, note: Callable[[int], None]) -> None:
        """Run up to step `last` in slices, of which each is noted, and after which a raised `stop` flag ends it."""
        slice_steps = max(1, SAMPLES_PER_SLICE // run.samples)
        while self.status == CENSORED and self.step < last and not stop.is_set():
            until = min(last, self.step + slice_steps)
            self.step, self.status = run.advance(self.rng, self.state, rows, (self.step, until))
            note(self.step)


def _check_start(experiment: Experiment, start: ExitSample | None) -> None:
    """Refuse a start that lives in another weight space."""
    if start is None:
        return
    for name, (before, now) in _weight_spaces(start.experiment, experiment).items():
        if before != now:
            raise ParameterError(
                f"start with {name} = {before!r} and experiment with {now!r} given; accepted: the same "
                "replicas, dimension, model and parameters in both; derive the second by Experiment.but"
            )


def _weight_spaces(first: Experiment, second: Experiment) -> dict[str, tuple[object, object]]:
    """Return what has to agree for the second to continue the first, in pairs by name."""
    pairs: dict[str, tuple[object, object]] = {
        "dimension": (first.sgd.dimension, second.sgd.dimension),
        "replicas": (first.replicas, second.replicas),
        "model": (first.network.name, second.network.name),
        "scale": (first.network.scale, second.network.scale),
    }
    for symbol in dict.fromkeys((*first.network.values, *second.network.values)):
        pairs[symbol.name] = (first.network.values.get(symbol), second.network.values.get(symbol))
    pairs["state"] = (layout(first).names, layout(second).names)
    pairs["frozen vectors"] = (_frozen(first), _frozen(second))
    return pairs


def _frozen(experiment: Experiment) -> dict[str, list[float]]:
    """Return the coordinates of the frozen vectors by name."""
    frame = experiment.frame
    return {v.name: row.tolist() for v, row in zip(frame.vectors, frame.coordinates, strict=True)}


def _prepare(
    experiment: Experiment, threshold: float, *, by_sums: bool = False, degrees_of_freedom_shift: int = 0
) -> _Run:
    """Compile the loop over steps: unrolled where the network allows it, and then of O(1) in a linear residual's batch.

    `by_sums` keeps the sums over the batch; a shift other than 0 makes the law of the across part wrong on purpose.
    """
    batch = int(experiment.sgd.batch)
    if not is_unrolled(experiment):
        step = Step(experiment, degrees_of_freedom_shift)
        return _Run(lambda rng, state, _, span: step.run(rng, state, threshold, span), 1, SLOW * batch)
    noisy, rotated = experiment.noise > 0, not by_sums and residual_is_linear(functions(experiment))
    rows = 3 if noisy else 2
    run, numbers = kernel(experiment, rotated=rotated), scalars_of(experiment, threshold, degrees_of_freedom_shift)
    samples = min(batch, rows) if rotated else batch
    return _Run(lambda rng, state, scratch, span: run(rng, state, scratch, numbers, span), rows, samples)


def samples_per_step(experiment: Experiment) -> int:
    """Return how many samples a step draws: the batch, or at most three where the residual is linear."""
    if not is_unrolled(experiment) or not residual_is_linear(functions(experiment)):
        return int(experiment.sgd.batch)
    return min(int(experiment.sgd.batch), 3 if experiment.noise > 0 else 2)


def trial(experiment: Experiment) -> Callable[[int], int]:
    """Return what takes at most so many steps, to measure their cost, and returns how many; divergence ends it early.

    It draws from a generator of its own and begins at the same state at every call.
    """
    run, rng = _prepare(experiment, np.inf), np.random.Generator(np.random.SFC64(0))
    begin, rows = uniform(experiment, rng), np.empty((run.rows, min(run.samples, BLOCK)))
    return lambda steps: run.advance(rng, begin.copy(), rows, (0, steps))[0]


Visit = Callable[[_Run, Array, int, Event, Callable[[int], None]], None]
"""(kernel, scratch rows, replica, stop flag, what notes its step)"""


def _for_each_replica(
    replicas: int, run: _Run, visit: Visit, threads: int | None, listeners: Listeners, longest: int, *, certain: bool
) -> None:
    """Visit every replica index with a kernel and a scratch array of samples, on several threads.

    A visit takes `longest` steps at most, if `certain` exactly so many unless it diverges. On any exception,
    KeyboardInterrupt included, running replicas stop at their next slice.
    """
    workers, stop, indices = min(available_threads(threads), replicas), Event(), count()
    meter = listeners.meter(replicas, longest, workers, certain=certain)

    def visit_some() -> None:
        rows = np.empty((run.rows, min(run.samples, BLOCK)))
        while (index := next(indices)) < replicas and not stop.is_set():
            meter.begin(index)
            visit(run, rows, index, stop, partial(meter.reach, index))
            meter.end(index)

    with ThreadPoolExecutor(workers) as executor:
        try:
            pending = {executor.submit(visit_some) for _ in range(workers)}
            while pending:
                done, pending = wait(pending, listeners.period, FIRST_EXCEPTION)
                for future in done:
                    future.result()
                listeners.tell(meter)
        except BaseException:
            stop.set()
            executor.shutdown(wait=True, cancel_futures=True)
            raise


def _recalled(experiment: Experiment, name: str, threshold: float, make: Callable[[], Arrays]) -> Arrays:
    """Return arrays that `make` simulates, from disk where it has done so before and the step is unrolled."""
    if not is_unrolled(experiment):
        return make()
    step = digest(experiment, threshold, rotated=residual_is_linear(functions(experiment)))
    begun = [experiment.initial[one] for one in (*layout(experiment).scalars, *layout(experiment).vectors)]
    runs, longest = experiment.runs, experiment.stop.max_steps
    numbers = map(number, (experiment.sgd.dimension, runs.replicas, runs.seed, longest, *begun))
    return recalled(f"{name} {step} {contents((__file__, str(state.__file__)))}", tuple(numbers), make)


def _simulate(
    experiment: Experiment,
    start: ExitSample | None = None,
    threads: int | None = None,
    listeners: Listeners = NOBODY,
    degrees_of_freedom_shift: int = 0,
) -> ExitSample:
    """`simulate`; a shift other than 0 makes the law of the across part wrong on purpose (test control)."""
    _check_start(experiment, start)
    threshold = _threshold(experiment)
    run = _prepare(experiment, threshold, degrees_of_freedom_shift=degrees_of_freedom_shift)
    exit_steps = np.full(experiment.replicas, -1, np.int64)
    status = np.empty(experiment.replicas, np.int8)
    final = np.empty((len(layout(experiment).names), experiment.replicas))

    def visit(run: _Run, rows: Array, index: int, stop: Event, note: Callable[[int], None]) -> None:
        replica = _Replica(experiment, index, start)
        replica.advance(run, rows, experiment.stop.max_steps, stop, note)
        status[index], final[:, index] = replica.status, replica.state
        if replica.status == EXITED:
            exit_steps[index] = replica.step

    longest, certain = experiment.stop.max_steps, experiment.stop.threshold is None
    _for_each_replica(experiment.replicas, run, visit, threads, listeners, longest, certain=certain)
    stage = 0 if start is None else start.stage + 1
    return ExitSample(experiment, exit_steps, status, final, stage=stage)


def simulate(
    experiment: Experiment,
    *,
    start: ExitSample | None = None,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
    watch: Callable[[Progress], None] | None = None,
    foreseen: Sequence[float] = (),
    keeps: bool = False,
) -> ExitSample:
    """Run every replica until exit, divergence or `max_steps`.

    Replica i continues from the end of replica i of `start`, an earlier stage with the same weights and any other
    functions, labels, batch, step size and stopping rule; steps count from 0 again, random numbers are fresh,
    its `start` is not used, and a replica that diverged before stays diverged.

    The result depends on the experiments only, bit for bit on one machine, whatever `threads` (all available
    cores by default). `progress` is called from this thread with the number of replicas just finished, `watch` some
    five times a second with a `Progress`: steps done, also within replicas, speed and remaining time. `foreseen`,
    equally likely numbers of steps of a run (those of a `Workload`), says how long runs are before one has finished.
    `keeps` keeps the runs on disk, for whoever asks for the same again, if they are of one unit and begin anew.
    Memory O(replicas + threads). Raises `ParameterError` for threads < 1 or a `start` of other weights,
    `UnsupportedExpressionError` for a function that cannot be compiled; KeyboardInterrupt ends it within about a
    tenth of a second, or within a step where that is longer (batches above 10^7).

    >>> from theory.network.derivation import derive
    >>> linear = Experiment.of(derive("linear").network, mu=0.3, dimension=50, batch=20, step_size=0.1,
    ...                        replicas=10, seed=1, max_steps=2000)
    >>> simulate(linear).counts
    Counts(exited=10, censored=0, diverged=0)
    """
    listeners = Listeners(progress, watch, tuple(foreseen))
    if not keeps or start is not None:
        return _simulate(experiment, start, threads, listeners)
    made: list[ExitSample] = []

    def make() -> Arrays:
        made.append(_simulate(experiment, None, threads, listeners))
        return {"exit_steps": made[0].exit_steps, "status": made[0].status, "state": made[0].state}

    known = _recalled(experiment, "runs", _threshold(experiment), make)
    if not made and progress is not None:
        progress(experiment.replicas)
    return ExitSample(experiment, known["exit_steps"], known["status"], known["state"])


def _threshold(experiment: Experiment) -> float:
    return np.inf if experiment.stop.threshold is None else float(experiment.stop.threshold)


def simulate_stages(
    experiments: Sequence[Experiment],
    *,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
    watch: Callable[[Progress], None] | None = None,
) -> Stages:
    """Run experiments one after the other, each from the states that the one before it reached.

    A stage ends for a replica at its threshold or after `max_steps`, whichever comes first, and at `max_steps`
    where the threshold is None: either way the next stage takes it from there. Two-stage training on transformed
    labels first (arXiv:2602.02855) is the example. Raises as `simulate`; `ParameterError` for no experiments.

    >>> from theory.network.derivation import derive
    >>> true = Experiment.of(derive("linear").network, mu=0.3, dimension=50, batch=20, step_size=0.1,
    ...                      replicas=10, seed=1, max_steps=2000)
    >>> labels = derive("linear", label="y**2").network.at(mu=0.3)
    >>> squared = true.but(network=labels, threshold=None, max_steps=5)
    >>> stages = simulate_stages([squared, true])
    >>> [sample.counts.exited for sample in stages], stages.total.counts.exited
    ([0, 10], 10)
    """
    samples: list[ExitSample] = []
    for experiment in experiments:
        before = samples[-1] if samples else None
        samples.append(simulate(experiment, start=before, threads=threads, progress=progress, watch=watch))
    return Stages(tuple(samples))


def log_spaced(max_steps: int, count: int) -> list[int]:
    """Return 0 and integers to `max_steps` in geometric progression: at most `count`, fewer where rounding merges them.

    Raises `ParameterError` for max_steps < 1 or count < 3.

    >>> log_spaced(1000, 8), log_spaced(6, 100)
    ([0, 1, 3, 10, 32, 100, 316, 1000], [0, 1, 2, 3, 4, 5, 6])
    """
    for name, value, least in (("max_steps", max_steps, 1), ("count", count, 3)):
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise ParameterError(f"{name} = {value!r} given; accepted: an integer >= {least}; try {100 * least}")
    between = {round(int(max_steps) ** (i / (count - 2))) for i in range(count - 2)}
    return sorted({0, *between, int(max_steps)})


def trajectories(
    experiment: Experiment,
    steps: Sequence[int],
    *,
    start: ExitSample | None = None,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
    watch: Callable[[Progress], None] | None = None,
) -> Labelled:
    """Record the order parameters at the given steps, dimensions (replica, step), also after exit.

    They are the states of the network: m (signed) and u, with s if misaligned; q_s, q and r for pretrain.

    The paths are those that `simulate` follows for the same experiment and start. From divergence on a path is missing
    (NaN). `log_spaced` gives evenly many steps a decade. Raises `ParameterError` unless `steps` ascend strictly within
    [0, `max_steps`], and as `simulate`.

    >>> from theory.network.derivation import derive
    >>> linear = Experiment.of(derive("linear").network, mu=0.3, dimension=50, batch=20, step_size=0.1,
    ...                        replicas=4, seed=1, max_steps=2000)
    >>> trajectories(linear, [0, 10, 100]).m.shape
    (4, 3)
    """
    recorded = paths(experiment, steps, start=start, threads=threads, progress=progress, watch=watch)
    coordinates: dict[str, Any] = {
        "replica": ("replica", np.arange(experiment.replicas), {"long_name": "run"}),
        "step": ("step", recorded.steps, {"long_name": "steps taken", "units": "SGD steps"}),
        "time": ("step", recorded.times, {"long_name": "time", "units": "eta * step"}),
    }
    made = overlaps(experiment, recorded.state).assign_coords(coordinates)
    return made.assign_attrs({"title": "Paths of SGD", **experiment.parameters()})


class Paths(NamedTuple):
    """Runs at recorded steps, as plain arrays.

    Attributes:
        experiment: whose runs they are.
        steps: when they were recorded.
        state: shape (numbers, replicas, steps), NaN from divergence on.
    """

    experiment: Experiment
    steps: NDArray[np.int64]
    state: Array

    @property
    def times(self) -> Array:
        """eta * step."""
        return np.multiply(self.experiment.sgd.step_size, self.steps, dtype=np.float64)

    @property
    def columns(self) -> dict[str, Array]:
        """The order parameters by name, shape (replicas, steps)."""
        return entries(self.experiment, self.state)


def paths(
    experiment: Experiment,
    steps: Sequence[int],
    *,
    start: ExitSample | None = None,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
    watch: Callable[[Progress], None] | None = None,
    keeps: bool = False,
) -> Paths:
    """Record what `trajectories` labels; arguments and errors are the same, and `keeps` is as in `simulate`."""
    wanted = [int(step) for step in steps]
    ascending = wanted == list(steps) and all(np.diff([-1, *wanted]) > 0)
    if not wanted or not ascending or wanted[-1] > experiment.stop.max_steps:
        raise ParameterError(
            f"steps = {steps!r} given; accepted: strictly ascending integers in [0, {experiment.stop.max_steps}]; "
            "raise max_steps to record later steps"
        )
    _check_start(experiment, start)

    def make() -> Arrays:
        return {"state": _recorded(experiment, wanted, start, threads, Listeners(progress, watch))}

    is_new = not keeps or start is not None
    name = f"paths {wanted}"
    known = make() if is_new else _recalled(experiment, name, np.inf, make)
    return Paths(experiment, np.array(wanted, np.int64), known["state"])


def _recorded(
    experiment: Experiment, wanted: list[int], start: ExitSample | None, threads: int | None, listeners: Listeners
) -> Array:
    """Return the state of every replica at the steps, shape (numbers, replicas, steps)."""
    run = _prepare(experiment, np.inf)
    record = np.full((len(layout(experiment).names), experiment.replicas, len(wanted)), np.nan)

    def visit(run: _Run, rows: Array, index: int, stop: Event, note: Callable[[int], None]) -> None:
        replica = _Replica(experiment, index, start)
        for position, step in enumerate(wanted):
            replica.advance(run, rows, step, stop, note)
            if replica.status == DIVERGED:
                return
            record[:, index, position] = replica.state

    _for_each_replica(experiment.replicas, run, visit, threads, listeners, wanted[-1], certain=True)
    return record
