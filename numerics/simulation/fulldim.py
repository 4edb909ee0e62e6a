r"""One-pass mini-batch SGD with real vectors in R^d: the ground truth of the reduced simulation.

Nothing here is reduced: teacher \(w_*\), pre-trained \(w_0\) and trained v are vectors of R^d, a batch is a B by d
matrix of standard normals, and the functions are evaluated by the array module, not by the code generator. With labels
\(y_i = T(\phi(\langle w_*, x_i\rangle) + \sqrt{\Delta}\,\xi_i)\), \(l_i = \langle w, x_i\rangle\),
\(r_i = (\sigma(l_i) - y_i)\,\sigma'(l_i)\) and G = sum_i r_i x_i / B, all at the old state,

    lora:   w = w0 + alpha u v,   v <- (v - eta alpha u G) / norm,   u <- u - eta alpha <G, v>
    plain:  w = v,                v <- (v - eta G) / norm
    pretrain: w = u v,            w <- w - eta G              (w* is then the source w_s)

w* and the part of w0 across it are drawn uniformly. Batches are drawn and summed in blocks of `BLOCK` numbers, or of
one sample where d is larger, so that memory is O(B d) at most.

The array module is NumPy, or PyTorch or CuPy where they are installed, on their default device and in float64.
"""

import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from sympy import Abs, Basic, Expr, Heaviside, Max, Min, N, Symbol, erf, erfc, lambdify, sign

from numerics.simulation.experiment import LARGEST_SCALE, Experiment
from numerics.simulation.statistics import ExitSample, Stages, Status
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
    student: Function
    derivative: Function
    teacher: Function
    label: Function


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
    return _Functions(
        student=_function(module, experiment.student),
        derivative=_function(module, experiment.derivative),
        teacher=_function(module, experiment.teacher),
        label=_function(module, y if experiment.label is None else experiment.label, y),
    )


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


@dataclass
class _Weights:
    """The vectors of one replica."""

    teacher: Array
    across: Array
    """unit, orthogonal to the teacher: w0 = mu teacher + nu across"""
    v: Array
    u: float

    @classmethod
    def draw(cls, experiment: Experiment, normals: Callable[..., Array]) -> "_Weights":
        teacher, v, other = (vector / _norm(vector) for vector in normals(3, experiment.dimension))
        across = other - (other @ teacher) * teacher
        return cls(teacher, across / _norm(across), v, experiment.start_scale)

    @property
    def overlaps(self) -> tuple[float, float, float, float]:
        """m, u, t = <v, across>, and the norm of the rest of v."""
        m, t = float(self.v @ self.teacher), float(self.v @ self.across)
        return m, self.u, t, _norm(self.v - m * self.teacher - t * self.across)

    def gradient(self, experiment: Experiment, functions: _Functions, normals: Callable[..., Array]) -> Array:
        """G = sum_i r_i x_i / B over a fresh batch."""
        along, beside = experiment.pretrained
        weight = along * self.teacher + beside * self.across + experiment.scale * self.u * self.v
        total, left = 0.0, int(experiment.batch)
        while left > 0:
            samples = min(left, max(1, BLOCK // experiment.dimension))
            inputs = normals(samples, experiment.dimension)
            noise = math.sqrt(experiment.noise) * normals(samples)
            labels = functions.label(functions.teacher(inputs @ self.teacher) + noise)
            field = inputs @ weight
            total += ((functions.student(field) - labels) * functions.derivative(field)) @ inputs
            left -= samples
        return total / experiment.batch

    def step(self, experiment: Experiment, functions: _Functions, normals: Callable[..., Array]) -> bool:
        """Take one step of SGD; False, and no step, where it leaves the finite range."""
        eta, gradient, scale = experiment.step_size, self.gradient(experiment, functions, normals), self.u
        if experiment.model == "pretrain":
            moved = self.u * self.v - eta * gradient
            scale = norm = _norm(moved)
        else:
            moved = self.v - eta * experiment.scale * self.u * gradient
            norm = _norm(moved)
            if experiment.model == "lora":
                scale = self.u - eta * experiment.scale * float(gradient @ self.v)
        if not (math.isfinite(norm) and norm > 0 and abs(scale) <= LARGEST_SCALE):
            return False
        self.v, self.u = moved / norm, scale
        return True


def _run(
    experiment: Experiment, functions: _Functions, weights: _Weights, normals: Callable[..., Array]
) -> tuple[int, Status]:
    """Train `weights` in place; return the last step and how the run ended."""
    threshold = np.inf if experiment.threshold is None else experiment.threshold
    for step in range(experiment.max_steps + 1):
        if abs(weights.overlaps[0]) >= threshold:
            return step, Status.EXITED
        if step < experiment.max_steps and not weights.step(experiment, functions, normals):
            return step, Status.DIVERGED
    return experiment.max_steps, Status.CENSORED


_Row = tuple[int, Status, float, float, float, float]


def _sample(experiment: Experiment, rows: Sequence[_Row], stage: int) -> ExitSample:
    steps, status, m, u, t, rest = (np.array(column) for column in zip(*rows, strict=True))
    exit_steps = np.where(status == Status.EXITED, steps, -1).astype(np.int64)
    two = experiment.parametrisation in ("misaligned", "pretrain")
    p, along_second = (rest, t) if two else (np.hypot(rest, t), None)
    return ExitSample(experiment, exit_steps, status.astype(np.int8), m, u, p, along_second, stage)


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

    >>> from sympy import Integer
    >>> linear = Experiment(x, Integer(1), x, mu=0.3, dimension=20, batch=20, step_size=0.1,
    ...                     threshold=0.5, replicas=5, seed=1, max_steps=2000)
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
    functions = [_functions(module, experiment) for experiment in experiments]
    rows: list[list[_Row]] = [[] for _ in experiments]
    for index in range(experiments[0].replicas if experiments else 0):
        normals = _normals(module, np.random.SeedSequence(experiments[0].seed, spawn_key=(index, 1)))
        weights, status = _Weights.draw(experiments[0], normals), Status.CENSORED
        for stage, experiment in enumerate(experiments):
            steps = 0
            if status != Status.DIVERGED:
                with np.errstate(all="ignore"):
                    steps, status = _run(experiment, functions[stage], weights, normals)
            rows[stage].append((steps, status, *weights.overlaps))
        if progress is not None:
            progress(1)
    return Stages(tuple(_sample(*arguments) for arguments in zip(experiments, rows, range(len(rows)), strict=True)))
