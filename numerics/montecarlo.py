r"""Exact simulation of one-pass mini-batch SGD through its summary statistics, at any dimension.

The residuals depend on a sample x only through its projections on the span of w* and v. With
\(v = m e_1 + p e_2\), \(e_1 = w_*\), a step needs two standard normals a sample,
\(z_1 = \langle e_1, x\rangle\) and \(z_2 = \langle e_2, x\rangle\), and one chi-square for everything across
the span. With all right-hand sides at the old state and \(r_i = (\sigma(l_i) - y_i)\,\sigma'(l_i)\):

    l   = a1 z1 + a2 z2         (a1, a2) = (mu + u m, u p) for lora, (m, p) for plain
    Gj  = sum_i r_i zj_i / B,   X^2 = (sum_i r_i^2 / B^2) chi^2_{d-2}
    m~  = m - c G1,   p~ = hypot(p - c G2, c X)       c = eta u for lora, eta for plain
    (m, p) <- (m~, p~) / hypot(m~, p~)
    u   <- u - eta (m G1 + p G2)                      lora only

The law of (m, u) is that of d-dimensional SGD, not an approximation. The part p = |v across w*| is stored
itself: sqrt(1 - m^2) would lose every digit near m = 1.

A parametrisation is a pair of compiled functions, `project` (a1, a2 from the state) and `update` (the new
state from the batch); the loop around them is shared. Replica i draws from its own generator, seeded by
(seed, i), so results do not depend on the number of threads.
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
from sympy import Expr, Symbol

from numerics.codegen import compile_function
from numerics.experiment import LARGEST_SCALE, Experiment
from numerics.statistics import ExitSample, Status
from theory.errors import ParameterError
from theory.symbols import x

__all__ = ["Experiment", "simulate", "trajectories"]

Array = NDArray[np.float64]

SAMPLES_PER_SLICE = 2**20
"""Samples between two looks at the stop flag: some ten milliseconds."""

EXITED, CENSORED, DIVERGED = (int(status) for status in Status)
M, U, P = 0, 1, 2
"""Positions in the state array; a parametrisation may add parts of v after them."""


class _Law(NamedTuple):
    """The scalars that a kernel needs."""

    mu: float
    eta: float
    label_noise: float
    """standard deviation sqrt(Delta)"""
    across: float
    """degrees of freedom of the directions across the span, d - 2"""
    threshold: float


class _Moments(NamedTuple):
    """What a step needs to know of its batch."""

    g1: float
    """sum r z1 / B"""
    g2: float
    """sum r z2 / B"""
    r2: float
    """sum r^2 / B^2"""


_compiled = njit(error_model="numpy", nogil=True)


@_compiled
def _project_lora(state: Array, law: _Law) -> tuple[float, float]:
    return law.mu + state[U] * state[M], state[U] * state[P]


@_compiled
def _project_plain(state: Array, law: _Law) -> tuple[float, float]:
    return state[M], state[P]


@_compiled
def _turn(rng: np.random.Generator, state: Array, batch: _Moments, c: float, across: float) -> tuple[float, float]:
    """Gradient step of v with rate c, then back to the sphere: the new (m, p)."""
    m = state[M] - c * batch.g1
    p = np.hypot(state[P] - c * batch.g2, c * np.sqrt(batch.r2 * rng.chisquare(across)))
    norm = np.hypot(m, p)
    return m / norm, p / norm


@_compiled
def _update_lora(rng: np.random.Generator, state: Array, new: Array, law: _Law, batch: _Moments) -> None:
    new[M], new[P] = _turn(rng, state, batch, law.eta * state[U], law.across)
    new[U] = state[U] - law.eta * (state[M] * batch.g1 + state[P] * batch.g2)


@_compiled
def _update_plain(rng: np.random.Generator, state: Array, new: Array, law: _Law, batch: _Moments) -> None:
    new[M], new[P] = _turn(rng, state, batch, law.eta, law.across)
    new[U] = state[U]


PARAMETRISATIONS: dict[str, tuple[Any, Any]] = {
    "lora": (_project_lora, _update_lora),
    "plain": (_project_plain, _update_plain),
}

_Kernel = Callable[[np.random.Generator, Array, Array, _Law, tuple[int, int]], tuple[int, int]]


@lru_cache(maxsize=64)
def _kernel(student: Expr, derivative: Expr, teacher: Expr, model: str) -> _Kernel:
    """Compile the loop over steps for one triple of functions and one parametrisation."""
    z = Symbol("z", real=True)
    target = cast(Expr, teacher.xreplace({x: z}))
    evaluate = compile_function((x, z), (student, derivative, target), name="evaluate")
    project, update = PARAMETRISATIONS[model]

    # "reassoc" lets the three sums use vector registers; NaN and inf keep the meaning that divergence needs.
    @njit(error_model="numpy", nogil=True, fastmath={"reassoc", "contract"})
    def moments(normals: Array, a1: float, a2: float, label_noise: float) -> _Moments:
        batch = normals.shape[1]
        g1 = g2 = r2 = 0.0
        for i in range(batch):
            z1, z2 = normals[0, i], normals[1, i]
            value, slope, target = evaluate(a1 * z1 + a2 * z2, z1)
            if label_noise > 0.0:
                target += label_noise * normals[2, i]
            residual = (value - target) * slope
            g1 += residual * z1
            g2 += residual * z2
            r2 += residual * residual
        return _Moments(g1 / batch, g2 / batch, r2 / batch / batch)

    @njit(error_model="numpy", nogil=True)
    def run(
        rng: np.random.Generator, state: Array, normals: Array, law: _Law, span: tuple[int, int]
    ) -> tuple[int, int]:
        """Advance `state` in place over a span of steps, until it exits or diverges: last step and status."""
        first, last = span
        new = np.empty_like(state)
        flat = normals.reshape(-1)
        if abs(state[M]) >= law.threshold:
            return first, EXITED
        for step in range(first + 1, last + 1):
            for i in range(flat.size):
                flat[i] = rng.standard_normal()
            a1, a2 = project(state, law)
            update(rng, state, new, law, moments(normals, a1, a2, law.label_noise))
            for i in range(state.size):
                if not abs(new[i]) <= LARGEST_SCALE:
                    return step, DIVERGED
            state[:] = new
            if abs(state[M]) >= law.threshold:
                return step, EXITED
        return last, CENSORED

    return cast(_Kernel, run)


class _Replica:
    """One run: its generator, its state and the step it has reached."""

    def __init__(self, experiment: Experiment, index: int) -> None:
        seed = np.random.SeedSequence(experiment.seed, spawn_key=(index,))
        self.rng = np.random.Generator(np.random.SFC64(seed))
        along, across = self.rng.standard_normal(), np.sqrt(self.rng.chisquare(experiment.dimension - 1))
        norm = np.hypot(along, across)
        self.state = np.array([along / norm, experiment.start_scale, across / norm])
        self.step, self.status = 0, CENSORED

    def advance(self, kernel: _Kernel, normals: Array, law: _Law, last: int, stop: Event) -> None:
        """Run up to step `last` in slices, between which a raised `stop` flag ends it."""
        slice_steps = max(1, SAMPLES_PER_SLICE // normals.shape[1])
        while self.status == CENSORED and self.step < last and not stop.is_set():
            until = min(last, self.step + slice_steps)
            self.step, self.status = kernel(self.rng, self.state, normals, law, (self.step, until))


def _law(experiment: Experiment, threshold: float, degrees_of_freedom_shift: int = 0) -> _Law:
    across = float(experiment.dimension - 2 + degrees_of_freedom_shift)
    label_noise = float(experiment.noise) ** 0.5
    return _Law(float(experiment.mu or 0.0), float(experiment.step_size), label_noise, across, threshold)


def _for_each_replica(
    experiment: Experiment,
    visit: Callable[[_Kernel, Array, int, Event], None],
    threads: int | None,
    progress: Callable[[int], None] | None,
) -> None:
    """Visit every replica index with a kernel and a scratch array of normals, on several threads.

    On any exception, KeyboardInterrupt included, running replicas stop at their next slice.
    """
    if threads is None:
        threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not isinstance(threads, Integral) or threads < 1:
        raise ParameterError(f"threads = {threads!r} given; accepted: an integer >= 1; omit it for all cores")
    kernel = _kernel(experiment.student, experiment.derivative, experiment.teacher, experiment.model)
    rows = 3 if experiment.noise > 0 else 2
    stop = Event()

    def visit_all(indices: range) -> int:
        normals = np.empty((rows, experiment.batch))
        for index in indices:
            if stop.is_set():
                break
            visit(kernel, normals, index, stop)
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
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
    degrees_of_freedom_shift: int = 0,
) -> ExitSample:
    """`simulate`; a shift other than 0 makes the law of the across part wrong on purpose (test control)."""
    law = _law(experiment, float(experiment.threshold), degrees_of_freedom_shift)
    exit_steps = np.full(experiment.replicas, -1, np.int64)
    status = np.empty(experiment.replicas, np.int8)
    final = np.empty((2, experiment.replicas))

    def visit(kernel: _Kernel, normals: Array, index: int, stop: Event) -> None:
        replica = _Replica(experiment, index)
        replica.advance(kernel, normals, law, experiment.max_steps, stop)
        status[index], final[:, index] = replica.status, replica.state[:2]
        if replica.status == EXITED:
            exit_steps[index] = replica.step

    _for_each_replica(experiment, visit, threads, progress)
    return ExitSample(experiment, exit_steps, status, final[M], final[U])


def simulate(
    experiment: Experiment, *, threads: int | None = None, progress: Callable[[int], None] | None = None
) -> ExitSample:
    """Run every replica until exit, divergence or `max_steps`.

    The result depends on the experiment only, bit for bit on one machine, whatever `threads` (all available
    cores by default). `progress` is called from this thread with the number of replicas just finished. Memory
    O(replicas + threads * batch). Raises `ParameterError` for threads < 1, `UnsupportedExpressionError` for a
    function that cannot be compiled; KeyboardInterrupt ends it within about a tenth of a second.

    >>> from sympy import Integer
    >>> linear = Experiment(x, Integer(1), x, mu=0.3, dimension=50, batch=20, step_size=0.1,
    ...                     threshold=0.5, replicas=10, seed=1, max_steps=2000)
    >>> simulate(linear).counts
    Counts(exited=10, censored=0, diverged=0)
    """
    return _simulate(experiment, threads, progress)


def trajectories(
    experiment: Experiment,
    steps: Sequence[int],
    *,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> xr.Dataset:
    """Record m (signed) and u at the given steps, dimensions (replica, step), also after exit.

    The paths are those that `simulate` follows for the same experiment. From divergence on a path is missing
    (NaN). Raises `ParameterError` unless `steps` ascend strictly within [0, `max_steps`], and as `simulate`.

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
    law = _law(experiment, np.inf)
    record = np.full((2, experiment.replicas, len(wanted)), np.nan)

    def visit(kernel: _Kernel, normals: Array, index: int, stop: Event) -> None:
        replica = _Replica(experiment, index)
        for position, step in enumerate(wanted):
            replica.advance(kernel, normals, law, step, stop)
            if replica.status == DIVERGED:
                return
            record[:, index, position] = replica.state[:2]

    _for_each_replica(experiment, visit, threads, progress)
    units = {"units": "1"}
    variables: dict[str, Any] = {
        "m": (("replica", "step"), record[M], {"long_name": "overlap <v, w*>", **units}),
        "u": (("replica", "step"), record[U], {"long_name": "LoRA scale u", **units}),
    }
    coordinates: dict[str, Any] = {
        "replica": np.arange(experiment.replicas),
        "step": ("step", np.array(wanted, np.int64), {"units": "SGD steps"}),
        "time": ("step", experiment.step_size * np.array(wanted), {"long_name": "eta * step", **units}),
    }
    return xr.Dataset(variables, coordinates, dict(experiment.parameters()))
