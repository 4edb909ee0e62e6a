"""The verbs: `check` compares medians at one dimension, `check_law` the law of the exit time at several.

Both are plan -> simulate -> judge -> report: `plan` forecasts and chooses what is simulated, `judge` gives the verdict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Unpack

from hermescape.task import Function, Problem, Task
from hermescape.verify.judge import judge, undecided
from hermescape.verify.plan import Job, Place, experiment_at, law_jobs, median_jobs
from hermescape.verify.report import Case, Report
from numerics.accuracy import CHECK_CONFIDENCE, CONTROL_LEVEL, LEVEL
from numerics.parameters import PARAMETERS
from numerics.rates.curvature import require_slope
from numerics.simulation.ahead import compiled_ahead
from numerics.simulation.montecarlo import simulate
from theory.errors import ParameterError
from theory.network.system import System

__all__ = ["DEFAULT_MU", "SAMPLE_BUDGET", "check", "check_law"]

DEFAULT_MU = (0.2, 0.4, 0.6)
SAMPLE_BUDGET = 1.5e9  # samples drawn by default at one dimension
DEFAULT_DIMENSIONS = (1_000, 10_000, 100_000)
LAW_BUDGET = 2e9  # samples drawn: some 20 s on two cores
Progress = Callable[[int, int], None] | None


def check(
    task: Task | Function,
    teacher: Function | None = None,
    *,
    mu: Iterable[float] | None = None,
    batch: int | None = None,
    step_size: float | None = None,
    replicas: int | None = None,
    budget: float = SAMPLE_BUDGET,
    threads: int | None = None,
    progress: Progress = None,
    ahead: bool = False,
    **settings: Unpack[Problem],
) -> Report:
    """Compare derived, integrated and simulated exit times of aligned LoRA, and say whether they agree.

    Args:
        task: what is learnt: a `Task`, whose batch, step size, replicas and mu count where they are not its defaults,
            or a student.
        teacher: link phi, the student's own by default.
        mu: alignments of the pre-trained weight, in (0, 1] (any with |mu| <= rho where it is misaligned); 0.2, 0.4, 0.6
            by default.
        batch: B; by default the smallest for which the effects of finite kappa stay below a tenth of the exit time.
        step_size: eta; by default 0.1 over the largest curvature of the loss at the teacher, so that no ordinary
            activation diverges.
        replicas: runs for each mu; 400 by default, fewer (at least 60) where 400 would draw more than `budget`
            samples; a mu at which 60 would draw twice that (all cheaper mu included) is not simulated and left
            undecided.
        budget: samples that may be drawn, where `replicas` does not say how many runs; a step counts as its batch and
            50 more. Runs that do not leave are given up before all of them have drawn four times as many.
        threads: all cores by default; no effect on the result.
        progress: called with (replicas finished, replicas in all).
        ahead: compile the simulation, where that has to be done, in a process beside this one which plans it; a script
            that asks for it needs `if __name__ == "__main__":`.
        settings: fields of a `Task` that say what is learnt: `rho`, `label`, `noise`, `dimension`, `threshold`, ...

    Raises:
        InputError: bad activations or parameters, before any work is done.

    >>> report = check("linear", mu=[0.3], replicas=100)
    >>> report.passed, report.cases[0].verdict
    (True, 'agree')
    """
    asked = _asked(task, teacher, settings)
    if asked.initial_scale is not None:
        raise ParameterError(
            f"initial_scale = {asked.initial_scale:g} given; accepted: none where medians are compared; try check_law."
        )
    batch, step_size, replicas = _given(asked, batch=batch, step_size=step_size, replicas=replicas)
    system, places = asked.system(), _places(asked, mu)
    _check(places, budget, "1.5e9")
    eta, runs = 1.0 if step_size is None else step_size, 2 if replicas is None else replicas
    first, *_ = [  # all made once, so that bad values are refused before any work
        experiment_at(asked, place, asked.dimension, 1 if batch is None else batch, eta, runs=runs, seed=asked.seed)
        for place in places
    ]
    require_slope(system)
    given = {"batch": batch, "step_size": step_size, "replicas": replicas, "budget": budget, "seed": asked.seed}
    with compiled_ahead(first) if ahead else nullcontext():
        jobs = median_jobs(asked, system, places, asked.dimension, **given)
    cases = _judged(asked, jobs, threads, progress)
    confirmed = {
        **_names(system),
        "rho": asked.rho,
        "noise": asked.noise,
        "alpha": asked.scale,
        "objective": system.network.objective,
        "d": asked.dimension,
        "lr": jobs[0].plan.lr,
        "batch": [job.plan.forecasts[0].batch for job in jobs],
        "kappa": [kappa for job in jobs for kappa in job.plan.kappas],
        "replicas": jobs[0].runs,
        "threshold": asked.threshold,
        "seed": asked.seed,
        "u0": asked.dimension**-2.0,
        "confidence": float(CHECK_CONFIDENCE),
        "time_unit": "t = lr * steps",
    }
    return Report(cases, confirmed)


def check_law(
    task: Task | Function,
    teacher: Function | None = None,
    *,
    mu: Iterable[float] | None = None,
    dimensions: Sequence[int] = DEFAULT_DIMENSIONS,
    kappa: float | None = None,
    step_size: float | None = None,
    replicas: int | None = None,
    budget: float = LAW_BUDGET,
    threads: int | None = None,
    progress: Progress = None,
    **settings: Unpack[Problem],
) -> Report:
    """Test the escape-time law by exact simulation at several dimensions, with a verdict that can fail.

    Args:
        task: what is learnt: a `Task`, whose step size, replicas and mu count where they are not its defaults, or a
            student. Its batch and dimension are of no account.
        teacher: link phi, the student's own by default.
        mu: alignments of the pre-trained weight, 0.2, 0.4, 0.6 by default; of no account with model plain.
        dimensions: two or more.
        kappa: eta d / B; by default a large one at which SGD's noise widens the start by at most a half and the kappa
            drift moves C by at most 1.
        step_size: eta; by default 0.1 over the largest curvature of the loss, and at most tau / 50 (ballistic: a
            quarter of the smallest standard deviation of T).
        replicas: runs at each dimension; by default as many as `budget` pays for, at most 2,000; a mu for which these
            are fewer than 150 is not simulated and left undecided.
        budget: samples that may be drawn at all (a run costs T d / kappa, a linear residual three a step), as far as
            medians foretell; runs are given up after six of them.
        threads: all cores by default; no effect on the result.
        progress: called with (replicas finished, replicas in all).
        settings: fields of a `Task` that say what is learnt: `rho`, `label`, `noise`, `initial_scale`, ... Dimensions
            have seeds of their own.

    Raises:
        InputError: bad activations or parameters, a regime without this law, before any work is done.

    >>> report = check_law("linear", mu=[0.4], dimensions=(10**4, 10**8), replicas=600, seed=3)
    >>> report.passed, report.cases[0].verdict
    (True, 'agree')
    """
    sizes = tuple(dimensions)
    if len(sizes) < 2 or len(set(sizes)) < len(sizes) or not all(isinstance(d, int) and d >= 4 for d in sizes):
        raise ParameterError(f"dimensions = {sizes} given; accepted: two or more different integers >= 4.")
    asked = _asked(task, teacher, settings)
    step_size, replicas = _given(asked, step_size=step_size, replicas=replicas)
    system = asked.system()
    if not system.escape.on_sphere:
        require_slope(system)
    if replicas is not None and replicas < 2:
        raise ParameterError(
            f"replicas = {replicas} given; accepted: a whole number >= 2, and 150 or more for a verdict."
        )
    places = [Place()] if system.escape.on_sphere else _places(asked, mu)
    _check(places, budget, "2e9")
    given = {"step_size": step_size, "replicas": replicas, "budget": budget, "seed": asked.seed}
    jobs = law_jobs(asked, system, places, sizes, kappa=kappa, **given)
    cases = _judged(asked, jobs, threads, progress)
    confirmed = {
        **_names(system),
        "model": system.network.name,
        "label": None if asked.label is None else str(asked.label),
        "noise": asked.noise,
        "alpha": asked.scale,
        "objective": system.network.objective,
        "d": list(sizes),
        "lr": [job.plan.lr for job in jobs],
        "kappa": [job.plan.kappas for job in jobs],
        "replicas": [job.runs for job in jobs],
        "budget": budget,
        "threshold": asked.threshold,
        "initial_scale": asked.initial_scale,
        "seed": asked.seed,
        "level": 2 * LEVEL,
        "control_level": float(CONTROL_LEVEL),
        "time_unit": "t = lr * steps",
    }
    return Report(cases, confirmed)


def _asked(task: Task | Function, teacher: Function | None, settings: Problem) -> Task:
    """Return the task, which has to have an exit."""
    asked = Task.of(task, teacher, **settings).member
    if asked.threshold is None:
        raise ParameterError("no threshold given; accepted: a number in (0, 1), since exits are compared; try 0.5.")
    return asked


def _given(task: Task, **values: Any) -> tuple[Any, ...]:
    """Return the values, or the task's own where none is given and it is not the default of the table."""
    own = {name: getattr(task, name) for name in values}
    return tuple(
        value if value is not None or own[name] == PARAMETERS[name].default else own[name]
        for name, value in values.items()
    )


def _places(task: Task, mu: Iterable[float] | None) -> list[Place]:
    """Return where it starts: at every mu, with the length that it has there."""
    alignments = mu if mu is not None else DEFAULT_MU if task.mu is None else (task.mu,)
    return [Place(value, replace(task, mu=value).length) for value in map(float, alignments)]


def _check(places: Sequence[Place], budget: float, example: str) -> None:
    if not places:
        raise ParameterError("no mu given; accepted: one or more numbers in (0, 1]; try 0.2,0.4,0.6.")
    if not (math.isfinite(budget) and budget > 0):
        raise ParameterError(f"budget = {budget!r} given; accepted: a positive number of samples, such as {example}.")


def _names(system: System) -> dict[str, object]:
    return {"student": system.loss_function.student.name, "teacher": system.loss_function.teacher.name}


def _judged(task: Task, jobs: Sequence[Job], threads: int | None, progress: Progress) -> tuple[Case, ...]:
    """Simulate what is planned, and judge each start."""
    done, total = 0, sum(job.runs * len(job.plan.forecasts) for job in jobs if not job.reason)

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    def judged(job: Job) -> Case:
        if job.reason:
            return undecided(job)
        place, eta = job.plan.place, job.plan.lr
        settings = [
            experiment_at(task, place, forecast.d, forecast.batch, eta, runs=job.runs, seed=seed, steps=steps)
            for forecast, seed, steps in zip(job.plan.forecasts, job.seeds, job.steps, strict=False)
        ]
        return judge(job, [simulate(setting, threads=threads, progress=advance, keeps=True) for setting in settings])

    return tuple(map(judged, jobs))
