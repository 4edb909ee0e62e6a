"""The verbs: `check` compares medians at one dimension, `check_law` the law of the exit time at several.

Both are plan -> simulate -> judge -> report: `plan` forecasts and chooses what is simulated, `judge` gives the verdict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from sympy import Expr

from hermescape.verify.judge import judge, undecided
from hermescape.verify.plan import Job, Pair, Place, law_jobs, median_jobs
from hermescape.verify.report import Case, Report
from numerics.accuracy import CHECK_CONFIDENCE, CONTROL_LEVEL, LEVEL
from numerics.rates.curvature import require_slope
from numerics.simulation.montecarlo import simulate
from theory.errors import ParameterError
from theory.language.activations import Activation
from theory.network.models import Model
from theory.network.system import System

__all__ = ["DEFAULT_MU", "SAMPLE_BUDGET", "check", "check_law"]

DEFAULT_MU = (0.2, 0.4, 0.6)
SAMPLE_BUDGET = 1.5e9  # samples drawn by default at one dimension
DEFAULT_DIMENSIONS = (1_000, 10_000, 100_000)
LAW_BUDGET = 2e9  # samples drawn: some 20 s on two cores
Progress = Callable[[int, int], None] | None


def check(
    student: str | Expr | Activation,
    teacher: str | Expr | Activation | None = None,
    *,
    mu: Iterable[float] = DEFAULT_MU,
    rho: float | None = None,
    model: str | Model | None = None,
    parameters: Mapping[str, float] | None = None,
    label: str | Expr | None = None,
    noise: float = 0.0,
    scale: float = 1.0,
    dimension: int = 1000,
    batch: int | None = None,
    step_size: float | None = None,
    replicas: int | None = None,
    budget: float = SAMPLE_BUDGET,
    threshold: float = 0.5,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress = None,
) -> Report:
    """Compare derived, integrated and simulated exit times of aligned LoRA, and say whether they agree.

    Args:
        student: activation sigma.
        teacher: link phi, the student's own by default.
        mu: alignments of the pre-trained weight, in (0, 1] (any with |mu| <= rho where rho is given).
        rho: length of a misaligned pre-trained weight; aligned by default.
        model: lora or misaligned, by default what `rho` says, or an object of a class of one's own.
        parameters: values of such a model's parameters beside mu and rho.
        label: label transform, text or expression in y.
        noise: variance Delta of the label noise.
        scale: LoRA scale alpha.
        dimension: d.
        batch: B; by default the smallest for which the effects of finite kappa stay below a tenth of the exit time.
        step_size: eta; by default 0.1 over the largest curvature of the loss at the teacher, so that no ordinary
            activation diverges.
        replicas: runs for each mu; 400 by default, fewer (at least 60) where 400 would draw more than `budget`
            samples; a mu at which 60 would draw twice that (all cheaper mu included) is not simulated and left
            undecided.
        budget: samples that may be drawn, where `replicas` does not say how many runs; a step counts as its batch and
            50 more. Runs that do not leave are given up before all of them have drawn four times as many.
        threshold: R; the exit is the first time with |m| >= R.
        seed: non-negative; results depend on it and the other arguments only.
        threads: all cores by default; no effect on the result.
        progress: called with (replicas finished, replicas in all).

    Raises:
        InputError: bad activations or parameters, before any work is done.

    >>> report = check("linear", mu=[0.3], replicas=100)
    >>> report.passed, report.cases[0].verdict
    (True, 'agree')
    """
    alignments = [float(value) for value in mu]
    chosen = model or ("lora" if rho is None else "misaligned")
    pair = Pair(student, teacher, label, noise, scale, chosen, None, threshold, parameters or {})
    system = pair.system()
    _check(alignments, budget, "1.5e9")
    places = [Place(value, rho) for value in alignments]
    for place in places:  # made once, so that bad values are refused before any work
        eta, runs = 1.0 if step_size is None else step_size, 2 if replicas is None else replicas
        pair.experiment(place, dimension, batch or 1, eta, runs=runs, seed=seed)
        if batch is not None:
            pair.experiment(place, dimension, batch, 1.0, runs=2, seed=seed)
    require_slope(system)
    given = {"batch": batch, "step_size": step_size, "replicas": replicas, "budget": budget, "seed": seed}
    jobs = median_jobs(pair, system, places, dimension, **given)
    cases = _judged(pair, jobs, threads, progress)
    batches = [job.plan.forecasts[0].batch for job in jobs]
    settings = {
        **_names(system),
        "rho": rho,
        "noise": noise,
        "alpha": scale,
        "d": dimension,
        "lr": jobs[0].plan.lr,
        "batch": batches,
        "kappa": [kappa for job in jobs for kappa in job.plan.kappas],
        "replicas": jobs[0].runs,
        "threshold": threshold,
        "seed": seed,
        "u0": dimension**-2.0,
        "confidence": CHECK_CONFIDENCE,
        "time_unit": "t = lr * steps",
    }
    return Report(cases, settings)


def check_law(
    student: str | Expr | Activation,
    teacher: str | Expr | Activation | None = None,
    *,
    mu: Iterable[float] = DEFAULT_MU,
    rho: float | None = None,
    mix: bool = False,
    model: str | Model | None = None,
    parameters: Mapping[str, float] | None = None,
    label: str | Expr | None = None,
    noise: float = 0.0,
    scale: float = 1.0,
    initial_scale: float | None = None,
    dimensions: Sequence[int] = DEFAULT_DIMENSIONS,
    kappa: float | None = None,
    step_size: float | None = None,
    replicas: int | None = None,
    budget: float = LAW_BUDGET,
    threshold: float = 0.5,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress = None,
) -> Report:
    """Test the escape-time law by exact simulation at several dimensions, with a verdict that can fail.

    Args:
        student: activation sigma.
        teacher: link phi, the student's own by default.
        mu: alignments of the pre-trained weight; of no account with model plain.
        rho: length of a misaligned w0; aligned by default.
        mix: misaligned w0 = mu w* + (1 - mu) xi, rho^2 = mu^2 + (1 - mu)^2.
        model: lora, misaligned or plain, by default what `rho` and `mix` say, or an object of a class of one's own.
        parameters: values of such a model's parameters beside mu and rho.
        label: label transform, text or expression in y.
        noise: variance Delta of the label noise.
        scale: LoRA scale alpha.
        initial_scale: u at the start, d^-2 by default.
        dimensions: two or more.
        kappa: eta d / B; by default a large one at which SGD's noise widens the start by at most a half and the kappa
            drift moves C by at most 1.
        step_size: eta; by default 0.1 over the largest curvature of the loss, and at most tau / 50 (ballistic: a
            quarter of the smallest standard deviation of T).
        replicas: runs at each dimension; by default as many as `budget` pays for, at most 2,000; a mu for which these
            are fewer than 150 is not simulated and left undecided.
        budget: samples that may be drawn at all (a run costs T d / kappa, a linear residual three a step), as far as
            medians foretell; runs are given up after six of them.
        threshold: R; the exit is the first step with |m| >= R.
        seed: non-negative; results depend on it and the other arguments only. Dimensions have seeds of their own.
        threads: all cores by default; no effect on the result.
        progress: called with (replicas finished, replicas in all).

    Raises:
        InputError: bad activations or parameters, a regime without this law, before any work is done.

    >>> report = check_law("linear", mu=[0.4], dimensions=(10**4, 10**8), replicas=600, seed=3)
    >>> report.passed, report.cases[0].verdict
    (True, 'agree')
    """
    sizes = tuple(dimensions)
    if len(sizes) < 2 or len(set(sizes)) < len(sizes) or not all(isinstance(d, int) and d >= 4 for d in sizes):
        raise ParameterError(f"dimensions = {sizes} given; accepted: two or more different integers >= 4.")
    chosen = model or ("lora" if rho is None and not mix else "misaligned")
    pair = Pair(student, teacher, label, noise, scale, chosen, initial_scale, threshold, parameters or {})
    system = pair.system()
    if not system.escape.on_sphere:
        require_slope(system)
    if replicas is not None and replicas < 2:
        raise ParameterError(
            f"replicas = {replicas} given; accepted: a whole number >= 2, and 150 or more for a verdict."
        )
    alignments: list[float | None] = [None] if system.escape.on_sphere else list(mu)
    _check(alignments, budget, "2e9")
    places = [Place(value, math.hypot(value, 1 - value) if mix and value is not None else rho) for value in alignments]
    given = {"step_size": step_size, "replicas": replicas, "budget": budget, "seed": seed}
    jobs = law_jobs(pair, system, places, sizes, kappa=kappa, **given)
    cases = _judged(pair, jobs, threads, progress)
    settings = {
        **_names(system),
        "model": system.network.name,
        "label": None if label is None else str(label),
        "noise": noise,
        "alpha": scale,
        "d": list(sizes),
        "lr": [job.plan.lr for job in jobs],
        "kappa": [job.plan.kappas for job in jobs],
        "replicas": [job.runs for job in jobs],
        "budget": budget,
        "threshold": threshold,
        "initial_scale": initial_scale,
        "seed": seed,
        "level": 2 * LEVEL,
        "control_level": CONTROL_LEVEL,
        "time_unit": "t = lr * steps",
    }
    return Report(cases, settings)


def _check(alignments: Sequence[float | None], budget: float, example: str) -> None:
    if not alignments:
        raise ParameterError("no mu given; accepted: one or more numbers in (0, 1]; try 0.2,0.4,0.6.")
    if not (math.isfinite(budget) and budget > 0):
        raise ParameterError(f"budget = {budget!r} given; accepted: a positive number of samples, such as {example}.")


def _names(system: System) -> dict[str, object]:
    return {"student": system.loss_function.student.name, "teacher": system.loss_function.teacher.name}


def _judged(pair: Pair, jobs: Sequence[Job], threads: int | None, progress: Progress) -> tuple[Case, ...]:
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
            pair.experiment(place, forecast.d, forecast.batch, eta, runs=job.runs, seed=seed, steps=steps)
            for forecast, seed, steps in zip(job.plan.forecasts, job.seeds, job.steps, strict=False)
        ]
        return judge(job, [simulate(setting, threads=threads, progress=advance) for setting in settings])

    return tuple(map(judged, jobs))
