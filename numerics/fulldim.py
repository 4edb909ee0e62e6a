r"""One-pass mini-batch SGD with real vectors in R^d: the ground truth of the reduced simulation.

Nothing here is reduced: teacher \(w_*\) and trained v are vectors of R^d, a batch is a B by d matrix of
standard normals, and the functions are evaluated by NumPy, not by the code generator. With
\(r_i = (\sigma(l_i) - y_i)\,\sigma'(l_i)\), \(l_i = \langle w, x_i\rangle\) and G = sum_i r_i x_i / B, all at
the old state,

    lora:   v <- (v - eta u G) / |v - eta u G|,   u <- u - eta <G, v>      w = mu w* + u v
    plain:  v <- (v - eta G) / |v - eta G|                                 w = v
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, lambdify

from numerics.experiment import LARGEST_SCALE, Experiment
from numerics.statistics import ExitSample, Status
from theory.symbols import x

__all__ = ["simulate"]

Array = NDArray[np.float64]
Function = Callable[[Array], Array]


def _function(expression: Expr) -> Function:
    return lambdify(x, expression, modules=["scipy", "numpy"])


def _direction(rng: np.random.Generator, dimension: int) -> Array:
    vector = rng.standard_normal(dimension)
    return vector / np.linalg.norm(vector)


def _run(
    experiment: Experiment, functions: tuple[Function, Function, Function], rng: np.random.Generator
) -> tuple[int, Status, float, float]:
    """Return step, status, m and u at the end of one run."""
    student, derivative, teacher = functions
    d, batch, eta = experiment.dimension, experiment.batch, experiment.step_size
    lora = experiment.model == "lora"
    target, v, u = _direction(rng, d), _direction(rng, d), experiment.start_scale
    frozen = float(experiment.mu or 0.0) * target
    for step in range(experiment.max_steps + 1):
        m = float(v @ target)
        if abs(m) >= experiment.threshold:
            return step, Status.EXITED, m, u
        if step == experiment.max_steps:
            break
        inputs = rng.standard_normal((batch, d))
        labels = teacher(inputs @ target) + np.sqrt(experiment.noise) * rng.standard_normal(batch)
        field = inputs @ (frozen + u * v)
        gradient = ((student(field) - labels) * derivative(field)) @ inputs / batch
        moved = v - eta * (u if lora else 1.0) * gradient
        moved /= np.linalg.norm(moved)
        scale = u - eta * float(gradient @ v) if lora else u
        if not (np.all(np.isfinite(moved)) and abs(scale) <= LARGEST_SCALE):
            return step, Status.DIVERGED, m, u
        v, u = moved, scale
    return experiment.max_steps, Status.CENSORED, float(v @ target), u


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
    student, derivative, teacher = experiment.student, experiment.derivative, experiment.teacher
    functions = (_function(student), _function(derivative), _function(teacher))
    rows: list[tuple[int, Status, float, float]] = []
    with np.errstate(all="ignore"):
        for index in range(experiment.replicas):
            seed = np.random.SeedSequence(experiment.seed, spawn_key=(index, 1))
            rows.append(_run(experiment, functions, np.random.default_rng(seed)))
            if progress is not None:
                progress(1)
    steps, status, m, u = (np.array(column) for column in zip(*rows, strict=True))
    exit_steps = np.where(status == Status.EXITED, steps, -1).astype(np.int64)
    return ExitSample(experiment, exit_steps, status.astype(np.int8), m, u)
