"""The verbs of the package in the user's terms: activations in, samples and samples' statistics out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from sympy import Expr

from numerics.experiment import Experiment
from numerics.montecarlo import simulate as run
from numerics.statistics import ExitSample
from theory.activations import Activation, activation
from theory.errors import InputError

__all__ = ["experiment", "simulate"]


def experiment(
    student: str | Expr | Activation,
    teacher: str | Expr | Activation | None = None,
    *,
    mu: float | None = None,
    dimension: int,
    batch: int,
    step_size: float,
    threshold: float = 0.5,
    replicas: int = 200,
    seed: int = 0,
    max_steps: int = 100_000,
    model: Literal["lora", "plain"] = "lora",
    initial_scale: float | None = None,
) -> Experiment:
    """Return the validated Monte Carlo experiment of an activation; the student's own link is the default teacher.

    Raises `InputError` for a student whose derivative vanishes almost everywhere: SGD would never move it.

    >>> experiment("step", dimension=100, batch=10, step_size=0.1, mu=0.5)
    Traceback (most recent call last):
    theory.errors.InputError: step: its derivative is zero almost everywhere, so SGD never moves it; ...
    """
    sigma = activation(student)
    phi = sigma if teacher is None else activation(teacher)
    if sigma.derivative == 0:
        raise InputError(
            f"{sigma.name}: its derivative is zero almost everywhere, so SGD never moves it; accepted are students "
            "with a slope: use it as --teacher, or give a continuous student."
        )
    return Experiment(
        student=sigma.expr,
        derivative=sigma.derivative,
        teacher=phi.expr,
        mu=mu,
        dimension=dimension,
        batch=batch,
        step_size=step_size,
        threshold=threshold,
        replicas=replicas,
        seed=seed,
        max_steps=max_steps,
        model=model,
        initial_scale=initial_scale,
    )


def simulate(
    student: str | Expr | Activation,
    teacher: str | Expr | Activation | None = None,
    *,
    mu: float | None = None,
    dimension: int,
    batch: int,
    step_size: float,
    threshold: float = 0.5,
    replicas: int = 200,
    seed: int = 0,
    max_steps: int = 100_000,
    model: Literal["lora", "plain"] = "lora",
    initial_scale: float | None = None,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> ExitSample:
    """Simulate one-pass SGD exactly through its summary statistics and return the exit steps.

    A step costs the same at every dimension. Exit is the first step with |m| >= threshold; t = step_size * step.
    The result depends on the arguments other than `threads` and `progress` only.

    Raises:
        InputError: bad activations or parameters (`ParameterError` names the parameter and its domain).

    >>> sample = simulate("linear", mu=0.3, dimension=1000, batch=50, step_size=0.1, replicas=20, seed=1)
    >>> sample.counts
    Counts(exited=20, censored=0, diverged=0)
    """
    setting = experiment(
        student,
        teacher,
        mu=mu,
        dimension=dimension,
        batch=batch,
        step_size=step_size,
        threshold=threshold,
        replicas=replicas,
        seed=seed,
        max_steps=max_steps,
        model=model,
        initial_scale=initial_scale,
    )
    return run(setting, threads=threads, progress=progress)
