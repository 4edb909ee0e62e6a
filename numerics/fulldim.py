r"""One-pass mini-batch SGD with real vectors in R^d: the ground truth of the reduced simulation.

Nothing here is reduced: teacher \(w_*\), pre-trained \(w_0\) and trained v are vectors of R^d, a batch is a B by d
matrix of standard normals, and the functions are evaluated by NumPy, not by the code generator. With labels
\(y_i = T(\phi(\langle w_*, x_i\rangle) + \sqrt{\Delta}\,\xi_i)\), \(l_i = \langle w, x_i\rangle\),
\(r_i = (\sigma(l_i) - y_i)\,\sigma'(l_i)\) and G = sum_i r_i x_i / B, all at the old state,

    lora:   w = w0 + alpha u v,   v <- (v - eta alpha u G) / norm,   u <- u - eta alpha <G, v>
    plain:  w = v,                v <- (v - eta G) / norm

w* and the part of w0 across it are drawn uniformly.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, Symbol, lambdify

from numerics.experiment import LARGEST_SCALE, Experiment
from numerics.statistics import ExitSample, Stages, Status
from theory.symbols import x, y

__all__ = ["simulate", "simulate_stages"]

Array = NDArray[np.float64]
Function = Callable[[Array], Array]


class _Functions(NamedTuple):
    student: Function
    derivative: Function
    teacher: Function
    label: Function


def _function(expression: Expr, argument: Symbol = x) -> Function:
    return lambdify(argument, expression, modules=["scipy", "numpy"])


def _functions(experiment: Experiment) -> _Functions:
    return _Functions(
        student=_function(experiment.student),
        derivative=_function(experiment.derivative),
        teacher=_function(experiment.teacher),
        label=_function(y if experiment.label is None else experiment.label, y),
    )


def _direction(rng: np.random.Generator, dimension: int) -> Array:
    vector = rng.standard_normal(dimension)
    return vector / np.linalg.norm(vector)


@dataclass
class _Weights:
    """The vectors of one replica."""

    teacher: Array
    across: Array
    """unit, orthogonal to the teacher: w0 = mu teacher + nu across"""
    v: Array
    u: float

    @classmethod
    def draw(cls, experiment: Experiment, rng: np.random.Generator) -> "_Weights":
        teacher, v, other = (_direction(rng, experiment.dimension) for _ in range(3))
        across = other - (other @ teacher) * teacher
        return cls(teacher, across / np.linalg.norm(across), v, experiment.start_scale)

    @property
    def overlaps(self) -> tuple[float, float, float, float]:
        """m, u, t = <v, across>, and the norm of the rest of v."""
        m, t = float(self.v @ self.teacher), float(self.v @ self.across)
        return m, self.u, t, float(np.linalg.norm(self.v - m * self.teacher - t * self.across))

    def step(self, experiment: Experiment, functions: _Functions, rng: np.random.Generator) -> bool:
        """Take one step of SGD; False, and no step, where it leaves the finite range."""
        eta, lora = experiment.step_size, experiment.model == "lora"
        factor = experiment.scale * self.u if lora else 1.0
        inputs = rng.standard_normal((experiment.batch, experiment.dimension))
        noise = np.sqrt(experiment.noise) * rng.standard_normal(experiment.batch)
        labels = functions.label(functions.teacher(inputs @ self.teacher) + noise)
        along, beside = experiment.pretrained
        field = inputs @ (along * self.teacher + beside * self.across + factor * self.v)
        gradient = ((functions.student(field) - labels) * functions.derivative(field)) @ inputs / experiment.batch
        moved = self.v - eta * factor * gradient
        moved /= np.linalg.norm(moved)
        scale = self.u - eta * experiment.scale * float(gradient @ self.v) if lora else self.u
        if not (np.all(np.isfinite(moved)) and abs(scale) <= LARGEST_SCALE):
            return False
        self.v, self.u = moved, scale
        return True


def _run(
    experiment: Experiment, functions: _Functions, weights: _Weights, rng: np.random.Generator
) -> tuple[int, Status]:
    """Train `weights` in place; return the last step and how the run ended."""
    threshold = np.inf if experiment.threshold is None else experiment.threshold
    for step in range(experiment.max_steps + 1):
        if abs(weights.overlaps[0]) >= threshold:
            return step, Status.EXITED
        if step < experiment.max_steps and not weights.step(experiment, functions, rng):
            return step, Status.DIVERGED
    return experiment.max_steps, Status.CENSORED


_Row = tuple[int, Status, float, float, float, float]


def _sample(experiment: Experiment, rows: Sequence[_Row], stage: int) -> ExitSample:
    steps, status, m, u, t, rest = (np.array(column) for column in zip(*rows, strict=True))
    exit_steps = np.where(status == Status.EXITED, steps, -1).astype(np.int64)
    misaligned = experiment.parametrisation == "misaligned"
    p, along_second = (rest, t) if misaligned else (np.hypot(rest, t), None)
    return ExitSample(experiment, exit_steps, status.astype(np.int8), m, u, p, along_second, stage)


def simulate(experiment: Experiment, *, progress: Callable[[int], None] | None = None) -> ExitSample:
    """Run every replica in R^d, one after the other; memory O(B d), time O(B d) a step.

    `progress` is called with 1 after each replica. Replica i draws from its own generator, independent of
    those of the reduced simulation at the same seed. Functions outside NumPy's reach raise NameError.

    >>> from sympy import Integer
    >>> linear = Experiment(x, Integer(1), x, mu=0.3, dimension=20, batch=20, step_size=0.1,
    ...                     threshold=0.5, replicas=5, seed=1, max_steps=2000)
    >>> simulate(linear).counts
    Counts(exited=5, censored=0, diverged=0)
    """
    return simulate_stages([experiment], progress=progress).samples[0]


def simulate_stages(experiments: Sequence[Experiment], *, progress: Callable[[int], None] | None = None) -> Stages:
    """Run stages of training, each replica keeping its vectors from one to the next; otherwise as `simulate`.

    A replica that diverged stays so. `experiments` share their replicas, dimension and weights; all stages draw
    from the generator of the first one's seed.
    """
    functions = [_functions(experiment) for experiment in experiments]
    rows: list[list[_Row]] = [[] for _ in experiments]
    for index in range(experiments[0].replicas if experiments else 0):
        seed = np.random.SeedSequence(experiments[0].seed, spawn_key=(index, 1))
        rng = np.random.default_rng(seed)
        weights, status = _Weights.draw(experiments[0], rng), Status.CENSORED
        for stage, experiment in enumerate(experiments):
            steps = 0
            if status != Status.DIVERGED:
                with np.errstate(all="ignore"):
                    steps, status = _run(experiment, functions[stage], weights, rng)
            rows[stage].append((steps, status, *weights.overlaps))
        if progress is not None:
            progress(1)
    return Stages(tuple(_sample(*arguments) for arguments in zip(experiments, rows, range(len(rows)), strict=True)))
