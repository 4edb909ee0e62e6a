"""The verbs of the package in the user's terms: activations in, samples and samples' statistics out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from sympy import Expr

from numerics.simulation.experiment import Experiment
from numerics.simulation.montecarlo import simulate as run
from numerics.simulation.statistics import ExitSample
from theory.language.activations import Activation
from theory.language.parser import parse_label
from theory.network.derivation import network_of
from theory.symbols import y

__all__ = ["experiment", "simulate"]

Model = Literal["lora", "misaligned", "plain", "pretrain"]


def experiment(
    student: str | Expr | Activation,
    teacher: str | Expr | Activation | None = None,
    *,
    mu: float | None = None,
    dimension: int,
    batch: int,
    step_size: float,
    threshold: float | None = 0.5,
    replicas: int = 200,
    seed: int = 0,
    max_steps: int = 100_000,
    model: Model = "lora",
    initial_scale: float | None = None,
    rho: float | None = None,
    scale: float = 1.0,
    noise: float = 0.0,
    label: str | Expr | None = None,
    c: float | None = None,
) -> Experiment:
    """Return the validated Monte Carlo experiment of an activation; the student's own link is the default teacher.

    The arguments are those of `numerics.simulation.experiment.Experiment.of`. Model "misaligned" is "lora" with the
    norm `rho` = |w0| required; "pretrain" takes `c` = <w_s, w*> and, as `initial_scale`, the norm of w at the start;
    the label transform `label` is a SymPy expression or text in y.

    Raises:
        InputError: a student whose derivative vanishes almost everywhere, since SGD would never move it; text
            that is no activation or label (`ActivationSyntaxError`); a parameter outside its domain (`ParameterError`).

    >>> experiment("erf", dimension=100, batch=10, step_size=0.1, mu=-0.3, rho=0.5, label="y**2").network.name
    'misaligned'
    >>> experiment("step", dimension=100, batch=10, step_size=0.1, mu=0.5)
    Traceback (most recent call last):
    theory.errors.InputError: step: its derivative is zero almost everywhere, so SGD never moves it; ...
    """
    chosen = "misaligned" if model == "lora" and rho is not None else model
    network = network_of(student, teacher, model=chosen, label=_label(label), noise=noise, alpha=scale)
    given = {"mu": mu, "rho": rho, "c": c}
    return Experiment.of(
        network,
        dimension=dimension,
        batch=batch,
        step_size=step_size,
        threshold=threshold,
        max_steps=max_steps,
        replicas=replicas,
        seed=seed,
        initial_scale=initial_scale,
        **{name: value for name, value in given.items() if value is not None},
    )


def _label(label: str | Expr | None) -> Expr | None:
    """Parse text; give a symbol named y the assumptions of `theory.symbols.y`."""
    if isinstance(label, str):
        return parse_label(label)
    if label is None or not isinstance(label, Expr):
        return label  # left to `Experiment` to refuse
    return label.xreplace({symbol: y for symbol in label.free_symbols if str(symbol) == "y"})


def simulate(
    student: str | Expr | Activation,
    teacher: str | Expr | Activation | None = None,
    *,
    mu: float | None = None,
    dimension: int,
    batch: int,
    step_size: float,
    threshold: float | None = 0.5,
    replicas: int = 200,
    seed: int = 0,
    max_steps: int = 100_000,
    model: Model = "lora",
    initial_scale: float | None = None,
    rho: float | None = None,
    scale: float = 1.0,
    noise: float = 0.0,
    label: str | Expr | None = None,
    c: float | None = None,
    start: ExitSample | None = None,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> ExitSample:
    """Simulate one-pass SGD exactly through its summary statistics and return the exit steps.

    A step costs the same at every dimension. Exit is the first step with |m| >= threshold; t = step_size * step.
    For model "pretrain", w* is the source w_s and m = <w, w_s>/|w|; `ExitSample.final` has q_s, q and r.
    Labels are y = T(phi(<w*, x>) + sqrt(noise) xi), T given by `label`. The parameters are those of `experiment`;
    `start`, a sample of an earlier stage of training with the same weights, is continued. The result depends on the
    arguments other than `threads` and `progress` only.

    Raises:
        InputError: bad activations or parameters (`ParameterError` names the parameter and its domain).

    >>> sample = simulate("linear", mu=0.3, dimension=1000, batch=50, step_size=0.1, replicas=20, seed=1)
    >>> sample.counts
    Counts(exited=20, censored=0, diverged=0)

    Two stages, on squared labels for 50 steps and then on the true ones:

    >>> shared = dict(mu=0.3, rho=0.6, dimension=1000, batch=50, step_size=0.1, replicas=20, seed=1)
    >>> first = simulate("erf", **shared, label="y**2", threshold=None, max_steps=50)
    >>> simulate("erf", **shared, start=first).counts.diverged
    0
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
        rho=rho,
        scale=scale,
        noise=noise,
        label=label,
        c=c,
    )
    return run(setting, start=start, threads=threads, progress=progress)
