"""The verbs of the package in the user's terms: a task in, samples and samples' statistics out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Unpack

from hermescape.task import Fields, Function, Task
from numerics.simulation.experiment import Experiment
from numerics.simulation.montecarlo import simulate as run
from numerics.simulation.progress import Progress
from numerics.simulation.statistics import ExitSample
from theory.network.derivation import network_of

__all__ = ["experiment", "simulate"]


def experiment(task: Task | Function, teacher: Function | None = None, **settings: Unpack[Fields]) -> Experiment:
    """Return the validated Monte Carlo experiment of a task: of a `Task`, or of a student and a task's fields.

    Raises:
        InputError: a student whose derivative vanishes almost everywhere, since SGD would never move it; what
            `Task` refuses (`ParameterError` names the parameter and its domain).

    >>> experiment("erf", dimension=100, batch=10, step_size=0.1, mu=-0.3, rho=0.5).network.name
    'misaligned'
    >>> experiment(Task("step", dimension=100, batch=10, step_size=0.1, mu=0.5))
    Traceback (most recent call last):
    theory.errors.InputError: step: its derivative is zero almost everywhere, so SGD never moves it; ...
    """
    given = Task.of(task, teacher, **settings)
    sigma, phi = given.links
    return Experiment.of(
        network_of(sigma, phi, **given.posed, near=given.parameters),
        dimension=given.dimension,
        batch=given.batch,
        step_size=given.step_size,
        threshold=given.threshold,
        max_steps=given.max_steps,
        replicas=given.replicas,
        seed=given.seed,
        initial_scale=given.initial_scale,
        **given.place,
    )


def simulate(
    task: Task | Function,
    teacher: Function | None = None,
    *,
    start: ExitSample | None = None,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
    watch: Callable[[Progress], None] | None = None,
    foreseen: Sequence[float] = (),
    **settings: Unpack[Fields],
) -> ExitSample:
    """Simulate one-pass SGD exactly through its summary statistics and return the exit steps.

    A step costs the same at every dimension. Exit is the first step with |m| >= threshold; t = step_size * step. For
    model "pretrain", w* is the source w_s and m = <w, w_s>/|w|; `ExitSample.final` has q_s, q and r. The task is a
    `Task`, or a student with a task's fields as keywords; `start`, a sample of an earlier stage of training with the
    same weights, is continued. The result depends on the task and `start` only.

    `progress` is called from this thread with the number of runs just finished. `watch` is called some five times a
    second with a `Progress`: runs, steps (also of those that are still running), speed, and the time that is left, with
    an interval and a bound; printed it is one line. `foreseen`, the `lengths` of `predicted_work`, makes that time
    known before the first run has ended.

    Raises:
        InputError: bad activations or parameters (`ParameterError` names the parameter and its domain).

    >>> sample = simulate("linear", mu=0.3, batch=50, step_size=0.1, replicas=20, seed=1)
    >>> sample.counts
    Counts(exited=20, censored=0, diverged=0)

    >>> reports = []
    >>> again = simulate("linear", mu=0.3, batch=50, step_size=0.1, replicas=20, seed=1, watch=reports.append)
    >>> str(reports[-1]).split(", ")[0], reports[-1].fraction  # watch=print shows all of it, as it goes
    ('20/20 runs', 1.0)

    Two stages, on squared labels for 50 steps and then on the true ones:

    >>> task = Task("erf", mu=0.3, rho=0.6, batch=50, step_size=0.1, replicas=20, seed=1)
    >>> first = simulate(task, label="y**2", threshold=None, max_steps=50)
    >>> simulate(task, start=first).counts.diverged
    0
    """
    setting = experiment(task, teacher, **settings)
    return run(setting, start=start, threads=threads, progress=progress, watch=watch, foreseen=foreseen)
