r"""One-pass mini-batch SGD with real vectors in R^d: the ground truth of the reduced simulation.

Nothing here is reduced: frozen and trained vectors are vectors of R^d, a batch is a B by d matrix of standard normals,
and the functions are evaluated by the array module, not by the code generator. With the network's units
f(x) = sum_i a_i sigma_i(<w_i, x>), labels y, and G_i = sum_b a_i sigma_i'(<w_i, x_b>) (f(x_b) - y_b) x_b / B, all at
the old state and of the correlation loss with -y_b in place of f(x_b) - y_b, every trained vector v, of coefficient c_i
in w_i, and every trained scalar s move by

    v <- v - eta (sum_i c_i G_i + lambda_v v),       s <- s - eta (sum_i <dw_i/ds, G_i> + dL/da_i da_i/ds + lambda_s s)

and a constrained v is then divided by its norm. Frozen vectors are drawn in a frame that is uniform. Batches are drawn
and summed in blocks of `BLOCK` numbers, or of one sample where d is larger, so that memory is O(B d) at most.

The array module is NumPy, or PyTorch or CuPy where they are installed, on their default device and in float64.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sympy import Abs, Basic, Expr, Heaviside, Matrix, Max, Min, N, Symbol, erf, erfc, lambdify, sign, sympify

from numerics.simulation.experiment import LARGEST_SCALE, Experiment
from numerics.simulation.state import Status, layout
from numerics.simulation.statistics import ExitSample, Stages
from theory.errors import ParameterError
from theory.symbols import x, y

__all__ = ["ARRAY_MODULES", "simulate", "simulate_stages"]

ARRAY_MODULES = ("numpy", "torch", "cupy")
BLOCK = 2**22
"""Numbers in a block of samples: 32 MiB."""

Array = Any
"""A float64 array of the array module."""
Function = Callable[[Array], Array]


class _Functions(NamedTuple):
    units: tuple[tuple[Function, Function], ...]
    """sigma_i and its derivative"""
    terms: tuple[Function, ...]
    """phi_j"""
    label: Function
    """the transform of a single link's noisy label"""


def _module(array_module: str | ModuleType) -> ModuleType:
    """Return the array module of that name (or the module itself)."""
    name = getattr(array_module, "__name__", array_module)
    if name in ARRAY_MODULES:
        try:
            return importlib.import_module(name)
        except ImportError:
            name = f"{name} (not installed)"
    raise ParameterError(
        f"array_module = {name} given; accepted: {', '.join(ARRAY_MODULES)}, where installed; leave it out for numpy"
    )


def _portable(node: Basic) -> Basic:
    """Write constants as floats, and what PyTorch or CuPy lack or cannot mix with scalars by abs, sign and erf."""
    if node.is_number and not node.is_Rational:
        return N(node, 17)
    node = node.func(*map(_portable, node.args)) if node.args else node
    if isinstance(node, Max | Min):
        first, *others = node.args
        rest, way = _portable(node.func(*others)), 1 if isinstance(node, Max) else -1
        return (first + rest + way * Abs(first - rest)) / 2
    if isinstance(node, Heaviside):
        return (1 + sign(node.args[0])) / 2
    return 1 - erf(node.args[0]) if isinstance(node, erfc) else node


def _function(module: ModuleType, expression: Expr, argument: Symbol = x) -> Function:
    if module is np:
        return lambdify(argument, expression, modules=["scipy", "numpy"])
    special = importlib.import_module("cupyx.scipy.special" if module.__name__ == "cupy" else "torch.special")
    return lambdify(argument, _portable(expression), modules=[{"erf": special.erf}, module.__name__])


def _functions(module: ModuleType, experiment: Experiment) -> _Functions:
    network, values = experiment.network, experiment.network.values
    units = [tuple(f.xreplace(values) for f in (r.function.expr, r.function.derivative)) for r in network.ridges]
    single = network.is_single_index
    links = [network.labels.link.expr] if single else [term.function.expr for term in network.teacher.ridges]
    links = [link.xreplace(values) for link in links]
    return _Functions(
        tuple((_function(module, value), _function(module, slope)) for value, slope in units),
        tuple(_function(module, link) for link in links),
        _function(module, network.labels.transform.xreplace(values) if single else y, y),
    )


class _Coefficients(NamedTuple):
    """At given scalars: w_i = sum_k frozen_ik F_k + sum_l trained_il v_l, and a_i."""

    amplitudes: NDArray[np.float64]
    frozen: NDArray[np.float64]
    trained: NDArray[np.float64]


class _Weights:
    """What the network's weights are made of; written again here, not shared with the step that this judges."""

    def __init__(self, experiment: Experiment) -> None:
        network, values = experiment.network, experiment.network.values
        self.scalars, self.count = network.scalars, len(network.frozen)
        vectors = (*network.frozen, *network.vectors)
        table = Matrix([[unit.coefficient, *map(unit.weight.coefficient, vectors)] for unit in network.ridges])
        known = table.subs(values)
        self._at = lambdify(self.scalars, known)
        self._slopes = [lambdify(self.scalars, known.diff(s)) for s in self.scalars]
        terms = network.teacher.ridges
        self.teacher_amplitudes = [float(term.coefficient.subs(values)) for term in terms]
        self.teacher = [
            np.array([float(term.weight.coefficient(v).subs(values)) for v in network.frozen]) for term in terms
        ]
        decays = [float(sympify(network.penalty.get(p, 0)).subs(values)) for p in (*self.scalars, *network.vectors)]
        self.decays, self.vector_decays = decays[: len(self.scalars)], decays[len(self.scalars) :]
        norm = Symbol("norm", positive=True)
        lengths = [v.constraint.length(norm) for v in network.vectors if v.constraint is not None]
        self.lengths: list[Callable[[float], float]] = [lambdify(norm, length, "math") for length in lengths]

    def at(self, scalars: NDArray[np.float64]) -> _Coefficients:
        """Return the coefficients at these scalars."""
        return self._split(self._at(*scalars))

    def slopes(self, scalars: NDArray[np.float64]) -> list[_Coefficients]:
        """Return their derivatives by every scalar."""
        return [self._split(slope(*scalars)) for slope in self._slopes]

    def _split(self, table: Any) -> _Coefficients:
        rows = np.asarray(table, np.float64)
        return _Coefficients(rows[:, 0], rows[:, 1 : 1 + self.count], rows[:, 1 + self.count :])


def _normals(module: ModuleType, seed: np.random.SeedSequence) -> Callable[..., Array]:
    """Return shape -> standard normals, from a generator of the module."""
    number = int(seed.generate_state(1, np.uint64)[0] >> np.uint64(1))
    if module.__name__ == "torch":
        generator = module.Generator(device=module.get_default_device()).manual_seed(number)
        return lambda *shape: module.randn(*shape, generator=generator, dtype=module.float64)
    rng = module.random.default_rng(seed if module is np else number)
    return lambda *shape: rng.standard_normal(shape)


def _norm(vector: Array) -> float:
    return math.sqrt(float(vector @ vector))


class _Replica:
    """The vectors of one replica, and how they move."""

    def __init__(self, experiment: Experiment, normals: Callable[..., Array]) -> None:
        self.place = layout(experiment)
        count, d = len(self.place.vectors), experiment.sgd.dimension
        self.basis: list[Array] = []
        for drawn in normals(self.place.rank, d):
            rest = drawn
            for _ in range(2):  # twice, so that they are orthogonal to rounding
                for e in self.basis:
                    rest = rest - (rest @ e) * e
            self.basis.append(rest / _norm(rest))
        initial = experiment.initial
        self.trained = [
            initial[name] * drawn / _norm(drawn)
            for name, drawn in zip(self.place.vectors, normals(count, d), strict=True)
        ]
        self.scalars = np.array([initial[name] for name in self.place.scalars])
        self.frozen = [_combine(row, self.basis) for row in experiment.frame.coordinates]

    @property
    def state(self) -> NDArray[np.float64]:
        """The state in coordinates, as `numerics.simulation.state` names it."""
        rank, count = self.place.rank, len(self.trained)
        rows = np.zeros((count, rank + count))
        across: list[Array] = []
        for i, v in enumerate(self.trained):
            rest = v
            for j, e in enumerate((*self.basis, *across)):
                rows[i, j] = float(v @ e)
                rest = rest - rows[i, j] * e
            rows[i, rank + i] = _norm(rest)
            across.append(rest / rows[i, rank + i] if rows[i, rank + i] else rest)
        return self.place.pack(self.scalars, rows)

    def gradients(
        self, problem: _Problem, weights: list[Array], amplitudes: NDArray[np.float64], normals: Callable[..., Array]
    ) -> tuple[list[Array], NDArray[np.float64]]:
        """Return G_i and dL/da_i over a fresh batch."""
        experiment, functions, fixed = problem.experiment, problem.functions, problem.weights
        teacher = [_combine(row, self.frozen) for row in fixed.teacher]
        total: list[Array] = [0.0] * len(weights)
        slopes, left = np.zeros(len(weights)), int(experiment.sgd.batch)
        while left > 0:
            samples = min(left, max(1, BLOCK // experiment.sgd.dimension))
            inputs = normals(samples, experiment.sgd.dimension)
            noise = math.sqrt(experiment.noise) * normals(samples)
            links = zip(fixed.teacher_amplitudes, functions.terms, teacher, strict=True)
            labels = functions.label(sum(b * phi(inputs @ w) for b, phi, w in links) + noise)
            fields = [inputs @ w for w in weights]
            values = [unit(field) for (unit, _), field in zip(functions.units, fields, strict=True)]
            student = sum(a * value for a, value in zip(amplitudes.tolist(), values, strict=True))
            residual = -labels if experiment.network.objective == "correlation" else student - labels
            for i, (_, slope) in enumerate(functions.units):
                total[i] += float(amplitudes[i]) * ((residual * slope(fields[i])) @ inputs)
                slopes[i] += float((residual * values[i]).sum()) if fixed.scalars else 0.0
            left -= samples
        return [part / experiment.sgd.batch for part in total], slopes / experiment.sgd.batch

    def step(self, problem: _Problem, normals: Callable[..., Array]) -> bool:
        """Take one step of SGD; False, and no step, where it leaves the finite range."""
        fixed, eta = problem.weights, problem.experiment.sgd.step_size
        at, frozen = fixed.at(self.scalars), self.frozen
        pairs = zip(at.frozen, at.trained, strict=True)
        weights = [_combine(row, frozen) + _combine(own, self.trained) for row, own in pairs]
        gradients, by_amplitude = self.gradients(problem, weights, at.amplitudes, normals)
        moved = []
        for index, (s, slope) in enumerate(zip(self.scalars, fixed.slopes(self.scalars), strict=True)):
            turns = [
                _combine(row, frozen) + _combine(own, self.trained)
                for row, own in zip(slope.frozen, slope.trained, strict=True)
            ]
            pull = sum(float(turn @ g) for turn, g in zip(turns, gradients, strict=True))
            moved.append(s - eta * (pull + float(slope.amplitudes @ by_amplitude) + fixed.decays[index] * s))
        vectors, norms = [], []
        for index, v in enumerate(self.trained):
            pull = _combine(at.trained[:, index], gradients) + fixed.vector_decays[index] * v
            vectors.append(v - eta * pull)
            norms.append(_norm(vectors[-1]))
        lengths = [length(norm) for length, norm in zip(fixed.lengths, norms, strict=True)]
        bounded = all(abs(value) <= LARGEST_SCALE for value in (*moved, *lengths))
        if not (bounded and all(math.isfinite(norm) and norm > 0 for norm in norms)):
            return False
        self.trained = [length / norm * v for length, norm, v in zip(lengths, norms, vectors, strict=True)]
        self.scalars = np.array(moved)
        return True

    def alignment(self, experiment: Experiment) -> float:
        """|<v, b>|/(|v| |b|) of the watched pair."""
        vectors = dict(zip(experiment.network.vectors, self.trained, strict=True))
        vectors |= zip(experiment.frame.vectors, self.frozen, strict=True)
        v, b = (vectors[vector] for vector in experiment.network.watched)
        return abs(float(v @ b)) / (_norm(v) * _norm(b))


def _combine(coefficients: NDArray[np.float64], vectors: Sequence[Array]) -> Array:
    """Return sum_k c_k v_k, a vector also where all coefficients vanish."""
    parts = [c * v for c, v in zip(coefficients.tolist(), vectors, strict=True) if c]
    if len(parts) == 1:
        return parts[0]
    return sum(parts[1:], parts[0]) if parts else 0.0 * vectors[0]


@dataclass(frozen=True)
class _Problem:
    """What a stage of training needs."""

    experiment: Experiment
    functions: _Functions
    weights: _Weights

    @classmethod
    def of(cls, experiment: Experiment, module: ModuleType) -> _Problem:
        return cls(experiment, _functions(module, experiment), _Weights(experiment))


def _run(problem: _Problem, replica: _Replica, normals: Callable[..., Array]) -> tuple[int, Status]:
    """Train a replica in place; return the last step and how the run ended."""
    stop = problem.experiment.stop
    threshold = np.inf if stop.threshold is None else stop.threshold
    for step in range(stop.max_steps + 1):
        if replica.alignment(problem.experiment) >= threshold:
            return step, Status.EXITED
        if step < stop.max_steps and not replica.step(problem, normals):
            return step, Status.DIVERGED
    return stop.max_steps, Status.CENSORED


_Row = tuple[int, Status, NDArray[np.float64]]


def _sample(experiment: Experiment, rows: Sequence[_Row], stage: int) -> ExitSample:
    steps, status = (np.array(column) for column in ([row[0] for row in rows], [row[1] for row in rows]))
    exit_steps = np.where(status == Status.EXITED, steps, -1).astype(np.int64)
    state = np.stack([row[2] for row in rows], axis=1)
    return ExitSample(experiment, exit_steps, status.astype(np.int8), state, stage)


def simulate(
    experiment: Experiment,
    *,
    array_module: str | ModuleType = "numpy",
    progress: Callable[[int], None] | None = None,
) -> ExitSample:
    """Run every replica in R^d, one after the other; memory O(B d) at most, time O(B d) a step.

    `array_module` is one of `ARRAY_MODULES`; `progress` is called with 1 after each replica. Replica i draws from its
    own generator, independent of those of the reduced simulation at the same seed. Functions outside the module's
    reach raise NameError; raises `ParameterError` for another array module, or one that is not installed.

    >>> from theory.network.derivation import derive
    >>> linear = Experiment.of(derive("linear").network, mu=0.3, dimension=20, batch=20, step_size=0.1,
    ...                        replicas=5, seed=1, max_steps=2000)
    >>> simulate(linear).counts
    Counts(exited=5, censored=0, diverged=0)
    """
    return simulate_stages([experiment], array_module=array_module, progress=progress).samples[0]


def simulate_stages(
    experiments: Sequence[Experiment],
    *,
    array_module: str | ModuleType = "numpy",
    progress: Callable[[int], None] | None = None,
) -> Stages:
    """Run stages of training, each replica keeping its vectors from one to the next; otherwise as `simulate`.

    A replica that diverged stays so. `experiments` share their replicas, dimension and weights; all stages draw
    from the generator of the first one's seed.
    """
    module = _module(array_module)
    problems = [_Problem.of(experiment, module) for experiment in experiments]
    rows: list[list[_Row]] = [[] for _ in experiments]
    for index in range(experiments[0].replicas if experiments else 0):
        normals = _normals(module, np.random.SeedSequence(experiments[0].runs.seed, spawn_key=(index, 1)))
        replica, status = _Replica(experiments[0], normals), Status.CENSORED
        for stage, problem in enumerate(problems):
            steps = 0
            if status != Status.DIVERGED:
                with np.errstate(all="ignore"):
                    steps, status = _run(problem, replica, normals)
            rows[stage].append((steps, status, replica.state))
        if progress is not None:
            progress(1)
    return Stages(tuple(_sample(*arguments) for arguments in zip(experiments, rows, range(len(rows)), strict=True)))
