r"""Everything that a report shows, computed before a line of it is written.

Bad input is refused at once, as `hermescape check` does. A part that a student or a model does not have (no rate, no
law, no critical strengths), or that is not ready in time, is a `Missing`, which holds the reason; nothing is left out
without one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, cast

import numpy as np
from sympy import Expr

from hermescape.api import experiment
from hermescape.report.stages import PATIENCE, Missing, Stages, Tell
from hermescape.task import Task
from hermescape.verdict import SECONDS, Alignments, Verdict, verdict
from hermescape.verify.check import DEFAULT_MU, SAMPLE_BUDGET, check, check_law
from hermescape.verify.report import Report
from hermescape.views.critical import critical_report
from hermescape.views.derivation import derivation
from numerics.flows.flow import Exit, Native, Trajectory, integrate
from numerics.flows.starts import MEDIAN, median_start
from numerics.law import Law, compared_laws
from numerics.parameters import MODEL_PARAMETERS
from numerics.rates.curvature import largest_curvature
from numerics.rates.curve import searches
from numerics.rates.search_time import Search
from numerics.simulation.comparison import ks_law
from numerics.simulation.experiment import Experiment
from numerics.simulation.montecarlo import Paths, paths, simulate
from numerics.simulation.statistics import ExitSample
from theory.errors import ParameterError
from theory.language.activations import Activation
from theory.network.system import System
from theory.search.regimes import Regime, regime

__all__ = ["Case", "Findings", "Missing", "Request", "gather"]

TABLE_MU = tuple(round(0.1 * i, 1) for i in range(1, 10))
LAW_RUNS = {False: 400, True: 100}  # plain training: runs of the histogram, quick or not
BUDGET = {False: SAMPLE_BUDGET, True: SAMPLE_BUDGET / 10}
POINTS = {False: 99, True: 33}  # of tau(mu)
RECORDED = {False: 100, True: 40}  # runs whose whole path is kept
MOMENTS = 80  # times along a path
LONGEST_PATH = 2.5  # median exit times


@dataclass(frozen=True)
class Request:
    """What a report is about: the arguments of `hermescape report`."""

    student: str | Activation
    teacher: str | Activation | None = None
    model: Literal["lora", "misaligned", "plain"] = "lora"
    mu: tuple[float, ...] = DEFAULT_MU
    rho: float | None = None
    label: str | Expr | None = None
    noise: float | Expr = 0.0
    scale: float | Expr = 1.0
    objective: str | None = None
    dimension: int = 1000
    batch: int | None = None
    step_size: float | None = None
    replicas: int | None = None
    threshold: float = 0.5
    seed: int = 0
    threads: int | None = None
    quick: bool = False
    patience: float = PATIENCE

    @property
    def task(self) -> Task:
        """What is learnt; the rest says where from and how much is simulated."""
        names = ("model", "rho", "label", "noise", "scale", "objective", "dimension", "threshold", "seed")
        return Task(self.student, self.teacher, **{name: getattr(self, name) for name in names})

    @property
    def own(self) -> dict[str, Any]:
        """What a check chooses by itself where it is None, and its budget."""
        return {"step_size": self.step_size, "replicas": self.replicas, "budget": BUDGET[self.quick]}

    @property
    def is_pretrained(self) -> bool:
        """Whether the model has a pre-trained weight."""
        return "mu" in MODEL_PARAMETERS[self.model]


@dataclass(frozen=True)
class Case:
    """One start: its law at the d, kappa and step size that were simulated, and the runs.

    Attributes:
        mu: alignment of w0; None with model plain.
        sample: the runs; None where nothing was simulated.
        law: the law of the exit time.
        p_value: of a Kolmogorov-Smirnov test of the runs against the law.
    """

    mu: float | None
    sample: ExitSample | None
    law: Law | Missing
    p_value: float | None

    @property
    def times(self) -> np.ndarray:
        """Exit times of all runs that did not diverge, infinite for those that stayed inside."""
        if self.sample is None:
            return np.empty(0)
        times = self.sample.exit_times()
        return np.append(times, np.full(self.sample.counts.censored, np.inf))


@dataclass(frozen=True)
class Findings:
    """The content of a report."""

    settings: Request
    system: System
    summary: dict[str, Any]
    meaning: Verdict | Missing
    critical: dict[str, Any] | Missing
    table: tuple[Search, ...] | Missing
    curve: tuple[Search, ...] | Missing
    verdict: Report | Missing
    cases: tuple[Case, ...]
    focus: Case
    paths: Paths | Missing
    flow: Trajectory | Missing
    regime: Regime | Missing

    @property
    def passed(self) -> bool:
        """Whether a check ran and agreed."""
        return not isinstance(self.verdict, Missing) and self.verdict.passed


def gather(settings: Request, tell: Tell | None = None) -> Findings:
    """Derive, integrate, simulate and check; what is quick comes first.

    Args:
        settings: what the report is about.
        tell: called with what is done now, and how far it is.

    Raises `InputError` for bad activations and parameters, before any work.

    >>> findings = gather(Request("linear", mu=(0.4,), replicas=60, quick=True))
    >>> findings.passed, findings.focus.sample.counts.exited, findings.summary["information_exponent"]
    (True, 60, 1)
    """
    stages = Stages(settings.patience, tell)
    stages.tell("derivation", None, None)
    system = settings.task.system()
    _refuse(settings)
    summary = derivation(system)
    known = stages.attempt("critical strengths", lambda: Alignments.of(system))
    given = None if isinstance(known, Missing) else known
    meaning = stages.attempt("verdict", lambda: verdict(system, alignments=given))
    critical = known if isinstance(known, Missing) else critical_report(system, alignments=known)
    alignments = sorted({*TABLE_MU, *settings.mu})
    table = _searches(stages, settings, system, alignments)
    curve = _searches(stages, settings, system, _grid(settings, critical))
    report, cases = (_pretrained if settings.is_pretrained else _on_sphere)(settings, system, stages)
    focus = _focus(cases)
    return Findings(
        settings=settings,
        system=system,
        summary=summary,
        meaning=meaning,
        critical=critical,
        table=table,
        curve=curve,
        verdict=report,
        cases=cases,
        focus=focus,
        paths=stages.attempt("paths of SGD", lambda: _paths(settings, focus)),
        flow=stages.attempt("gradient flow", lambda: _flow(settings, system, focus)),
        regime=stages.attempt("regime", lambda: regime(system, focus.mu, settings.rho)),
    )


def _setting(settings: Request, mu: float | None, eta: float, batch: int, runs: int, horizon: int) -> Experiment:
    sizes = {"batch": batch, "replicas": runs, "max_steps": horizon}
    return experiment(replace(settings.task, mu=mu, step_size=eta, **sizes))


def _refuse(settings: Request) -> None:
    """Make every experiment once, so that bad values are refused before any work."""
    if not settings.is_pretrained and settings.batch is not None:
        raise ParameterError("--batch with --model plain given; accepted: --lr, its batch follows from kappa.")
    runs = 2 if settings.replicas is None else settings.replicas
    places = settings.mu if settings.is_pretrained else (None,)
    for mu in places:
        eta = 1.0 if settings.step_size is None else settings.step_size
        _setting(settings, mu, eta, 1 if settings.batch is None else settings.batch, runs, 1)
    if settings.threads is not None and settings.threads < 1:
        raise ParameterError(f"threads = {settings.threads} given; accepted: an integer >= 1; omit it for all cores.")


Outcome = tuple[Report | Missing, tuple[Case, ...]]


def _pretrained(settings: Request, system: System, stages: Stages) -> Outcome:
    """Return the verdict of `hermescape check`, and each row with its law."""
    given, name = settings, "check by exact simulation"
    told = partial(stages.tell, name)
    report = stages.attempt(
        name,
        lambda: check(given.task, mu=given.mu, batch=given.batch, **given.own, threads=given.threads, progress=told),
        refused=(ParameterError,),
    )
    if isinstance(report, Missing):
        return report, tuple(Case(mu, None, report, None) for mu in given.mu)
    eta = float(str(report.settings["lr"]))
    return report, tuple(
        Case(row.mu, case.sample, Missing(case.sentence), None)
        if row.prediction is None
        else _case(stages, settings, system, row.mu, case.sample, eta, row.batch)
        for case, row in zip(report.cases, report.rows, strict=True)
    )


def _case(
    stages: Stages,
    settings: Request,
    system: System,
    mu: float | None,
    sample: ExitSample | None,
    eta: float,
    batch: int,
) -> Case:
    name = "law of the exit time" + ("" if mu is None else f" at mu = {mu:g}")
    law = stages.attempt(name, lambda: _law(settings, system, mu, eta * settings.dimension / batch, eta))
    if sample is None or isinstance(law, Missing):
        return Case(mu, sample, law, None)
    tested = stages.attempt(name, lambda: ks_law(sample, law.cdf).p_value)
    return Case(mu, sample, law, tested if isinstance(tested, float) else None)


def _law(settings: Request, system: System, mu: float | None, kappa: float, eta: float) -> Law:
    place = {"mu": mu, "rho": settings.rho, "dimension": settings.dimension, "threshold": settings.threshold}
    return compared_laws(system, by="auto", seconds=SECONDS, kappa=kappa, step_size=eta, **place).law


def _on_sphere(settings: Request, system: System, stages: Stages) -> Outcome:
    """Return the verdict of `hermescape check --law` at d and 10 d, and runs at d."""
    given, name = settings, "check of the law by exact simulation"
    told, sizes = partial(stages.tell, name), (given.dimension, 10 * given.dimension)
    report = stages.attempt(
        name,
        lambda: check_law(given.task, dimensions=sizes, **given.own, threads=given.threads, progress=told),
        refused=(ParameterError,),
    )
    if isinstance(report, Missing):
        return report, (Case(None, None, report, None),)
    (case,) = report.cases
    ((kappa, *_),) = cast(list[list[float]], report.settings["kappa"])
    batch = max(1, round(case.lr * given.dimension / kappa))
    law = _case(stages, settings, system, None, None, case.lr, batch).law
    if isinstance(law, Missing) or not case.rows:  # no law, or more runs than the budget pays for
        return report, (Case(None, None, law, None),)
    runs = given.replicas or LAW_RUNS[given.quick]
    horizon = math.ceil(2 * law.quantile((1 - 0.01 / runs) * getattr(law, "escaping", 1.0)) / case.lr) + 100
    setting = _setting(settings, None, case.lr, batch, runs, horizon)
    sample = stages.attempt("runs of SGD", lambda: simulate(setting, threads=given.threads, keeps=True))
    if isinstance(sample, Missing):
        return report, (Case(None, None, law, None),)
    return report, (_case(stages, settings, system, None, sample, case.lr, batch),)


def _focus(cases: Sequence[Case]) -> Case:
    """Return the middle case among those with the most to show: runs that leave and a law, runs, neither."""
    exits = [case for case in cases if case.sample is not None and case.sample.counts.exited]
    best = [case for case in exits if not isinstance(case.law, Missing)] or exits or list(cases)
    return best[len(best) // 2]


def _searches(
    stages: Stages, settings: Request, system: System, alignments: Sequence[float]
) -> tuple[Search, ...] | Missing:
    """Return the search phase at each alignment that the model accepts."""
    if not settings.is_pretrained:
        return Missing("Plain training has no pre-trained weight, hence no alignment mu.")
    rho = settings.rho
    inside = [mu for mu in alignments if (0 < mu <= 1 if rho is None else abs(mu) <= rho)]
    return stages.attempt("search times", lambda: tuple(searches(system, inside, rho=rho)))


def _grid(settings: Request, critical: dict[str, Any] | Missing) -> list[float]:
    """Return alignments for a curve, closer to each other where tau diverges."""
    end = 0.99 if settings.rho is None else min(1.0, settings.rho)
    grid = set(np.linspace(0.01 * end, end, POINTS[settings.quick]).round(6).tolist())
    places = [] if isinstance(critical, Missing) else critical["critical_mu"]
    offsets = np.concatenate([-np.logspace(-4, -1.5, 12), np.logspace(-4, -1.5, 12)])
    grid |= {float(place + offset) for place in places if place < 1 for offset in offsets}
    return sorted(mu for mu in grid if 0 < mu <= end)


def _paths(settings: Request, focus: Case) -> Paths:
    """Record runs at the settings of the focus, as `simulate` follows them."""
    sample = focus.sample
    if sample is None or sample.median is None:
        raise ParameterError("nothing was simulated here, or fewer than half of the runs leave.")
    last = max(MOMENTS, math.ceil(LONGEST_PATH * sample.median))
    runs = min(RECORDED[settings.quick], sample.experiment.replicas)
    eta = sample.experiment.sgd.step_size
    recorded = _setting(settings, focus.mu, eta, sample.experiment.sgd.batch, runs, last)
    steps = np.unique(np.linspace(0, last, MOMENTS).round().astype(int))
    return paths(recorded, steps.tolist(), threads=settings.threads, keeps=True)


def _flow(settings: Request, system: System, focus: Case) -> Trajectory:
    """Return the flow with the kappa drift of the runs, from their median start."""
    named = {"mu": focus.mu, "rho": settings.rho}
    place: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    given: dict[str, Any] = {**place, "rtol": 1e-8, "engine": Native(keeps=True)}
    size = MEDIAN / math.sqrt(settings.dimension)
    start = median_start(system, settings.dimension, **place) if place else {"m": size}
    sample = focus.sample
    if sample is None or sample.median is None:
        horizon = 50.0 / largest_curvature(system)
        path = integrate(system, start, event=Exit(settings.threshold), t_max=1e4 * horizon, **given)
        last = LONGEST_PATH * path.exit_time if path.exit_time else horizon
        return integrate(system, start, t_max=last, **given)
    setting = sample.experiment
    kappa = setting.sgd.kappa
    last = max(MOMENTS, math.ceil(LONGEST_PATH * sample.median)) * setting.sgd.step_size
    return integrate(system.sgd(), start, t_max=last, kappa=kappa, **given)
