r"""Exact simulation of one-pass mini-batch SGD through its summary statistics, at any dimension.

`numerics.simulation.step` holds one step, whose law is that of d-dimensional SGD and which needs two normals a sample
whatever the dimension (three with label noise; nine random numbers at most where the residual is linear, whatever the
batch). Here the step is compiled with the functions of an experiment into a loop, and replicas run it: until exit
(`simulate`), through several stages of training (`simulate_stages`), or past it with a record of the path
(`trajectories`). Replica i of stage k draws from its own generator, seeded by (seed, i, k), so results do not depend on
the number of threads.

The generator is NumPy's SFC64 with its ziggurat normals, passed into the compiled code: tested streams, kept by NumPy.
It costs about 3 ns a normal, nine tenths of a ReLU step; normals from a generator with many lanes in vector registers
would cost half of that, and a generator of our own to vouch for. `benchmarks/montecarlo.py` measures both parts.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import lru_cache
from numbers import Integral
from threading import Event
from typing import Any, NamedTuple, cast

import numpy as np
import xarray as xr
from numba import njit
from numpy.typing import NDArray
from sympy import Expr, Symbol, expand

from numerics.compile.codegen import compile_function
from numerics.simulation.experiment import LARGEST_SCALE, Experiment
from numerics.simulation.statistics import ExitSample, Stages, Status
from numerics.simulation.step import PARAMETRISATIONS, Law, M, Moments, T, U, draw_batch, draw_rotated
from theory.calculus.removable import filled
from theory.errors import ParameterError
from theory.symbols import x, y

__all__ = ["Experiment", "Stages", "log_spaced", "samples_per_step", "simulate", "simulate_stages", "trajectories"]

Array = NDArray[np.float64]

SAMPLES_PER_SLICE = 2**20
"""Samples between two looks at the stop flag: some ten milliseconds."""
BLOCK = 2048
"""Samples drawn at a time, so that memory does not grow with the batch and stays in the fastest cache."""

EXITED, CENSORED, DIVERGED = (int(status) for status in Status)
Z, NOISE = Symbol("z", real=True), Symbol("n", real=True)
"""The teacher's pre-activation <w*, x> and the label noise sqrt(Delta) xi, as compiled functions see them."""

_Triple = tuple[Expr, Expr, Expr]
"""sigma(x), sigma'(x) and the label in z = <w*, x> and n"""
_Kernel = Callable[[np.random.Generator, Array, Array, Law, tuple[int, int]], tuple[int, int]]


@lru_cache(maxsize=64)
def _kernel(functions: _Triple, parametrisation: str, noisy: bool, rotated: bool) -> _Kernel:
    """Compile the loop over steps; `rotated` draws batches in triangular form, for linear residuals only."""
    evaluate = compile_function((x, Z, NOISE), functions, name="evaluate")
    _, project, update = PARAMETRISATIONS[parametrisation]
    draw = draw_rotated if rotated else draw_batch

    # "reassoc" lets the three sums use vector registers; NaN and inf keep the meaning that divergence needs.
    @njit(error_model="numpy", nogil=True, fastmath={"reassoc", "contract"})
    def sums(rows: Array, width: int, a1: float, a2: float, label_noise: float) -> Moments:
        g1 = g2 = r2 = 0.0
        for i in range(width):
            z1, z2 = rows[0, i], rows[1, i]
            noise = label_noise * rows[2, i] if noisy else 0.0
            value, slope, target = evaluate(a1 * z1 + a2 * z2, z1, noise)
            residual = (value - target) * slope
            g1 += residual * z1
            g2 += residual * z2
            r2 += residual * residual
        return Moments(g1, g2, r2)

    @njit(error_model="numpy", nogil=True)
    def moments(rng: np.random.Generator, rows: Array, law: Law, a1: float, a2: float) -> Moments:
        """Draw a batch, block by block, and sum over it."""
        left = int(min(law.batch, rows.shape[0])) if rotated else int(law.batch)
        g1 = g2 = r2 = 0.0
        while left > 0:
            width = min(left, rows.shape[1])
            draw(rng, rows, width, law.batch)
            block = sums(rows, width, a1, a2, law.label_noise)
            g1, g2, r2 = g1 + block.g1, g2 + block.g2, r2 + block.r2
            left -= width
        return Moments(g1 / law.batch, g2 / law.batch, r2 / law.batch / law.batch)

    @njit(error_model="numpy", nogil=True)
    def run(rng: np.random.Generator, state: Array, rows: Array, law: Law, span: tuple[int, int]) -> tuple[int, int]:
        """Advance `state` in place over a span of steps, until it exits or diverges: last step and status."""
        first, last = span
        new = np.empty_like(state)
        if abs(state[M]) >= law.threshold:
            return first, EXITED
        for step in range(first + 1, last + 1):
            a1, a2 = project(state, law)
            update(rng, state, new, law, moments(rng, rows, law, a1, a2))
            for i in range(state.size):
                if not abs(new[i]) <= LARGEST_SCALE:
                    return step, DIVERGED
            state[:] = new
            if abs(state[M]) >= law.threshold:
                return step, EXITED
        return last, CENSORED

    return cast(_Kernel, run)


def _is_linear(functions: _Triple) -> bool:
    """Whether the residual is a linear combination of x, z and n, without a constant."""
    student, derivative, label = functions
    residual = None if derivative.free_symbols else expand(student - label).as_poly(x, Z, NOISE)
    return residual is not None and residual.is_linear and residual.is_homogeneous


class _Run(NamedTuple):
    """How the replicas of an experiment are run."""

    kernel: _Kernel
    rows: int
    """normals a sample"""
    samples: int
    """drawn a step"""


class _Replica:
    """One run: its generator, its state and the step it has reached."""

    def __init__(self, experiment: Experiment, index: int, start: ExitSample | None) -> None:
        # (index, 1) and longer keys that begin so belong to the simulation in R^d.
        key = (index,) if start is None else (index, 0, start.stage + 1)
        seed = np.random.SeedSequence(experiment.seed, spawn_key=key)
        self.rng = np.random.Generator(np.random.SFC64(seed))
        self.step, self.status = 0, CENSORED
        if start is None:
            self.state = _first_state(experiment, self.rng)
        else:
            self.state = np.array([part[index] for part in _parts(start) if part is not None])
            self.status = DIVERGED if start.status[index] == DIVERGED else CENSORED

    def advance(self, run: _Run, rows: Array, law: Law, last: int, stop: Event) -> None:
        """Run up to step `last` in slices, between which a raised `stop` flag ends it."""
        slice_steps = max(1, SAMPLES_PER_SLICE // run.samples)
        while self.status == CENSORED and self.step < last and not stop.is_set():
            until = min(last, self.step + slice_steps)
            self.step, self.status = run.kernel(self.rng, self.state, rows, law, (self.step, until))


def _first_state(experiment: Experiment, rng: np.random.Generator) -> Array:
    """Draw v uniformly on the sphere: a normal for each frozen direction and a chi across, over their norm."""
    frozen = PARAMETRISATIONS[experiment.parametrisation].frozen
    parts = np.append(rng.standard_normal(frozen), np.sqrt(rng.chisquare(experiment.dimension - frozen)))
    m, *t, p = parts / np.hypot.reduce(parts)
    return np.array([m, experiment.start_scale, p, *t])


def _parts(sample: ExitSample) -> tuple[Array | None, ...]:
    """Final states in the order of the state array."""
    return sample.final_m, sample.final_u, sample.final_p, sample.final_t


def _check_start(experiment: Experiment, start: ExitSample | None) -> None:
    """Refuse a start that lives in another weight space."""
    if start is None:
        return
    for name in ("dimension", "replicas", "parametrisation", "pretrained", "scale", "c"):
        before, now = getattr(start.experiment, name), getattr(experiment, name)
        if before != now:
            raise ParameterError(
                f"start with {name} = {before!r} and experiment with {now!r} given; accepted: the same "
                "replicas, dimension, model, mu, rho, scale and c in both; derive the second by dataclasses.replace"
            )
    frozen = PARAMETRISATIONS[experiment.parametrisation].frozen
    if start.final_p is None or (frozen == 2 and start.final_t is None):
        raise ParameterError(
            "start without final_p or final_t given; accepted: the whole final state of v; take what simulate returned"
        )


def _law(experiment: Experiment, threshold: float, degrees_of_freedom_shift: int = 0) -> Law:
    spanned = PARAMETRISATIONS[experiment.parametrisation].frozen + 1
    return Law(
        *experiment.pretrained,
        alpha=float(experiment.scale),
        eta=float(experiment.step_size),
        label_noise=float(experiment.noise) ** 0.5,
        across=float(experiment.dimension - spanned + degrees_of_freedom_shift),
        threshold=threshold,
        batch=float(experiment.batch),
    )


def _functions(experiment: Experiment) -> _Triple:
    label = cast(Expr, filled(experiment.teacher).xreplace({x: Z})) + NOISE
    if experiment.label is not None:
        label = cast(Expr, filled(experiment.label, y).xreplace({y: label}))
    return filled(experiment.student), filled(experiment.derivative), label


def _compile(experiment: Experiment, *, by_sums: bool = False) -> _Run:
    """Compile the loop over steps, that of O(1) in the batch where the residual allows it, unless `by_sums`."""
    functions = _functions(experiment)
    noisy, rotated = experiment.noise > 0, not by_sums and _is_linear(functions)
    rows, batch = 3 if noisy else 2, int(experiment.batch)
    kernel = _kernel(functions, experiment.parametrisation, noisy, rotated)
    return _Run(kernel, rows, min(batch, rows) if rotated else batch)


def samples_per_step(experiment: Experiment) -> int:
    """Return how many samples a step draws: the batch, or at most three where the residual is linear."""
    return _compile(experiment).samples


def _for_each_replica(
    experiment: Experiment,
    visit: Callable[[_Run, Array, int, Event], None],
    threads: int | None,
    progress: Callable[[int], None] | None,
) -> None:
    """Visit every replica index with a kernel and a scratch array of samples, on several threads.

    On any exception, KeyboardInterrupt included, running replicas stop at their next slice.
    """
    if threads is None:
        threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not isinstance(threads, Integral) or threads < 1:
        raise ParameterError(f"threads = {threads!r} given; accepted: an integer >= 1; omit it for all cores")
    run = _compile(experiment)
    stop = Event()

    def visit_all(indices: range) -> int:
        rows = np.empty((run.rows, min(run.samples, BLOCK)))
        for index in indices:
            if stop.is_set():
                break
            visit(run, rows, index, stop)
        return len(indices)

    width = max(1, experiment.replicas // (16 * threads))
    with ThreadPoolExecutor(threads) as executor:
        try:
            starts = range(0, experiment.replicas, width)
            chunks = [range(start, min(start + width, experiment.replicas)) for start in starts]
            for future in as_completed([executor.submit(visit_all, chunk) for chunk in chunks]):
                finished = future.result()
                if progress is not None:
                    progress(finished)
        except BaseException:
            stop.set()
            executor.shutdown(wait=True, cancel_futures=True)
            raise


def _simulate(
    experiment: Experiment,
    start: ExitSample | None = None,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
    degrees_of_freedom_shift: int = 0,
) -> ExitSample:
    """`simulate`; a shift other than 0 makes the law of the across part wrong on purpose (test control)."""
    _check_start(experiment, start)
    threshold = np.inf if experiment.threshold is None else float(experiment.threshold)
    law = _law(experiment, threshold, degrees_of_freedom_shift)
    exit_steps = np.full(experiment.replicas, -1, np.int64)
    status = np.empty(experiment.replicas, np.int8)
    final = np.empty((2 + PARAMETRISATIONS[experiment.parametrisation].frozen, experiment.replicas))

    def visit(run: _Run, rows: Array, index: int, stop: Event) -> None:
        replica = _Replica(experiment, index, start)
        replica.advance(run, rows, law, experiment.max_steps, stop)
        status[index], final[:, index] = replica.status, replica.state
        if replica.status == EXITED:
            exit_steps[index] = replica.step

    _for_each_replica(experiment, visit, threads, progress)
    stage = 0 if start is None else start.stage + 1
    return ExitSample(experiment, exit_steps, status, *final, stage=stage)


def simulate(
    experiment: Experiment,
    *,
    start: ExitSample | None = None,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> ExitSample:
    """Run every replica until exit, divergence or `max_steps`.

    Replica i continues from the end of replica i of `start`, an earlier stage with the same weights and any other
    functions, labels, batch, step size and stopping rule; steps count from 0 again, random numbers are fresh,
    `initial_scale` is not used, and a replica that diverged before stays diverged.

    The result depends on the experiments only, bit for bit on one machine, whatever `threads` (all available
    cores by default). `progress` is called from this thread with the number of replicas just finished. Memory
    O(replicas + threads). Raises `ParameterError` for threads < 1 or a `start` of other weights,
    `UnsupportedExpressionError` for a function that cannot be compiled; KeyboardInterrupt ends it within about a
    tenth of a second, or within a step where that is longer (batches above 10^7).

    >>> from sympy import Integer
    >>> linear = Experiment(x, Integer(1), x, mu=0.3, dimension=50, batch=20, step_size=0.1,
    ...                     threshold=0.5, replicas=10, seed=1, max_steps=2000)
    >>> simulate(linear).counts
    Counts(exited=10, censored=0, diverged=0)
    """
    return _simulate(experiment, start, threads, progress)


def simulate_stages(
    experiments: Sequence[Experiment],
    *,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Stages:
    """Run experiments one after the other, each from the states that the one before it reached.

    A stage ends for a replica at its threshold or after `max_steps`, whichever comes first, and at `max_steps`
    where the threshold is None: either way the next stage takes it from there. Two-stage training on transformed
    labels first (arXiv:2602.02855) is the example. Raises as `simulate`; `ParameterError` for no experiments.

    >>> from dataclasses import replace
    >>> from sympy import Integer
    >>> true = Experiment(x, Integer(1), x, mu=0.3, dimension=50, batch=20, step_size=0.1,
    ...                   threshold=0.5, replicas=10, seed=1, max_steps=2000)
    >>> squared = replace(true, label=y**2, threshold=None, max_steps=5)
    >>> stages = simulate_stages([squared, true])
    >>> [sample.counts.exited for sample in stages], stages.total.counts.exited
    ([0, 10], 10)
    """
    samples: list[ExitSample] = []
    for experiment in experiments:
        samples.append(simulate(experiment, start=samples[-1] if samples else None, threads=threads, progress=progress))
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
) -> xr.Dataset:
    """Record the order parameters at the given steps, dimensions (replica, step), also after exit.

    They are m (signed) and u, with s if misaligned; q_s, q and r for pretrain (`Experiment.overlaps`).

    The paths are those that `simulate` follows for the same experiment and start. From divergence on a path is missing
    (NaN). `log_spaced` gives evenly many steps a decade. Raises `ParameterError` unless `steps` ascend strictly within
    [0, `max_steps`], and as `simulate`.

    >>> from sympy import Integer
    >>> linear = Experiment(x, Integer(1), x, mu=0.3, dimension=50, batch=20, step_size=0.1,
    ...                     threshold=0.5, replicas=4, seed=1, max_steps=2000)
    >>> trajectories(linear, [0, 10, 100]).m.shape
    (4, 3)
    """
    wanted = [int(step) for step in steps]
    ascending = wanted == list(steps) and all(np.diff([-1, *wanted]) > 0)
    if not wanted or not ascending or wanted[-1] > experiment.max_steps:
        raise ParameterError(
            f"steps = {steps!r} given; accepted: strictly ascending integers in [0, {experiment.max_steps}]; "
            "raise max_steps to record later steps"
        )
    _check_start(experiment, start)
    law = _law(experiment, np.inf)
    frozen = PARAMETRISATIONS[experiment.parametrisation].frozen
    record = np.full((2 + frozen, experiment.replicas, len(wanted)), np.nan)

    def visit(run: _Run, rows: Array, index: int, stop: Event) -> None:
        replica = _Replica(experiment, index, start)
        for position, step in enumerate(wanted):
            replica.advance(run, rows, law, step, stop)
            if replica.status == DIVERGED:
                return
            record[:, index, position] = replica.state

    _for_each_replica(experiment, visit, threads, progress)
    variables: dict[str, Any] = {
        name: (("replica", "step"), path, {"long_name": meaning, "units": "1"})
        for name, (path, meaning) in experiment.overlaps(*record[[M, U]], *record[T:]).items()
    }
    coordinates: dict[str, Any] = {
        "replica": np.arange(experiment.replicas),
        "step": ("step", np.array(wanted, np.int64), {"units": "SGD steps"}),
        "time": ("step", experiment.step_size * np.array(wanted), {"long_name": "eta * step", "units": "1"}),
    }
    return xr.Dataset(variables, coordinates, dict(experiment.parameters()))
