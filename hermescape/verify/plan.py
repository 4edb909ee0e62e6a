"""What a check simulates: step size, batch, runs and steps of each start, chosen before anything is drawn.

*At one dimension* the batch is the smallest for which the effects of finite kappa = eta d / B stay below a tenth of the
exit time, and the work is bounded: a step counts as its batch and `STEP_COST` samples. Expected work is at most the
budget, or twice that where only `FEWEST_MEDIAN_RUNS` are affordable, and runs that stay inside are given up when
`WORST` budgets are spent, after two predicted exit times at least: some 15 s, and less than a minute, on two cores.

*At several dimensions* everything is chosen so that the law can be told from others. kappa is the same at every d, but
for plain training with information exponent k >= 3, which the drift of a fixed kappa traps: there it falls like
d^(-(k-2)/2) from its value at the smallest d.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from hermescape.api import experiment
from hermescape.task import Task
from numerics.accuracy import (
    FINE_DEVIATION,
    FINE_PASSAGE,
    FINE_STEP,
    LARGEST_CORRECTION,
    LARGEST_DELAY,
    LARGEST_GAIN,
    LARGEST_SHIFT,
    LARGEST_SLOWING,
    LONGEST_CHECKED_SEARCH,
    NOISY_RATE,
)
from numerics.law import Ballistic, Law, LinearEscape, Passage, compared_laws
from numerics.law.choose import By, is_lora
from numerics.law.noise_driven import noise_growth
from numerics.law.through_flow import ThroughFlow
from numerics.rates.curvature import largest_curvature
from numerics.simulation.experiment import Experiment
from numerics.simulation.montecarlo import samples_per_step
from theory.errors import InputError, ParameterError
from theory.network.system import System

__all__ = ["Forecast", "Job", "Place", "Plan", "counted", "experiment_at", "law_jobs", "median_jobs"]

STEP_COST = 50  # samples that take as long as what a step does besides
MOST_MEDIAN_RUNS, FEWEST_MEDIAN_RUNS = 400, 60
LARGEST_EXCESS = 2
WORST = 4  # budgets, if no run leaves
LONGEST_RUN = 20  # predicted exit times
LARGEST_BATCH = 1e6
QUIET_STEPS = 20_000  # length of a run where no escape is predicted

MOST_RUNS, FEWEST_RUNS = 2000, 150
SMALLEST_BATCH = 8
SAMPLED = 0.25  # seconds a randomisation of a law through the diffusion: its error is far below that of 2000 runs
HALVINGS = 24
LONGEST = 6  # medians, after which a run is given up
CONTROL, WIDE_CONTROL = 1.05, 1.25


@dataclass(frozen=True)
class Place:
    """A pre-trained weight: mu, and rho where it is misaligned; neither where there is none."""

    mu: float | None = None
    rho: float | None = None

    @property
    def parameters(self) -> dict[str, float]:
        """Those that there are, by name."""
        given = {"mu": self.mu, "rho": self.rho}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class Forecast:
    """What is expected at one dimension, in t = eta * step: the median exit of SGD, None if it does not leave.

    `law` is the whole law, at several dimensions; `flow_exit` the median exit of the flow, at one.
    """

    d: int
    batch: int
    prediction: float | None
    flow_exit: float | None = None
    law: Law | None = None


@dataclass(frozen=True)
class Plan:
    """What is simulated of one start: a forecast at each dimension.

    Attributes:
        place: the start.
        tau: search time; None where infinite.
        lr: eta.
        forecasts: one a dimension.
        cost: samples that one run at every dimension draws.
        obstacle: why nothing is simulated, if so.
    """

    place: Place
    tau: float | None
    lr: float
    forecasts: tuple[Forecast, ...]
    cost: float = 0.0
    obstacle: str = ""

    @property
    def sizes(self) -> tuple[int, ...]:
        """The dimensions."""
        return tuple(forecast.d for forecast in self.forecasts)

    @property
    def kappas(self) -> list[float]:
        """Return kappa = eta d / B, with B a whole number."""
        return [self.lr * forecast.d / forecast.batch for forecast in self.forecasts]

    @cached_property
    def laws(self) -> tuple[Law, ...]:
        """The law at each dimension; empty where medians alone are forecast."""
        return tuple(forecast.law for forecast in self.forecasts if forecast.law is not None)

    @property
    def control(self) -> float:
        """How much longer the times of the control are: more where T has a wide law, as |Z|^(2 - k)."""
        return WIDE_CONTROL if self.laws[-1].regime.startswith("plain-") else CONTROL

    @property
    def scaled(self) -> bool:
        """Whether times grow like a power of d, not like log d."""
        return self.laws[-1].power > 0

    def slope(self, indices: Sequence[int]) -> float:
        """Least squares of the law's median in log d, or of its logarithm where times grow like a power of d.

        `indices` are those of the dimensions over which the least squares go. At kappa fixed it is tau/2 where growth
        is exponential.
        """
        medians = np.array([self.laws[i].median for i in indices])
        at = np.log([self.sizes[i] for i in indices])
        return float(np.polyfit(at, np.log(medians) if self.scaled else medians, 1)[0])


@dataclass(frozen=True)
class Job:
    """A plan with what it is given: runs at each dimension, their seeds and steps; none if there is a reason not to."""

    plan: Plan
    runs: int
    seeds: tuple[int, ...]
    steps: tuple[int, ...] = ()
    reason: str = ""


def counted(sizes: Sequence[int]) -> list[bool]:
    """Return whether each dimension counts: all but the smallest of three or more."""
    return [d > min(sizes) or len(sizes) < 3 for d in sizes]


def law_at(task: Task, system: System, place: Place, d: int, kappa: float, lr: float, by: By = "formula") -> Law:
    """Return the law of a task at one start and dimension."""
    there = replace(task, mu=place.mu).place
    options: dict[str, Any] = {"threshold": task.threshold, "initial_scale": task.initial_scale}
    own = {name: value for name, value in there.items() if name not in ("mu", "rho")}
    options |= {"mu": place.mu, "rho": place.rho, "parameters": own}
    return compared_laws(system, by=by, dimension=d, kappa=kappa, step_size=lr, seconds=SAMPLED, **options).law


def _threshold(task: Task) -> float:
    assert task.threshold is not None
    return task.threshold


def experiment_at(
    task: Task, place: Place, d: int, batch: int, step_size: float, *, runs: int, seed: int, steps: int = 1
) -> Experiment:
    """Return the simulation of a task at one start and dimension."""
    sizes = {"dimension": d, "batch": batch, "replicas": runs, "seed": seed, "max_steps": steps}
    return experiment(replace(task, mu=place.mu, step_size=step_size, **sizes))


# --- one dimension ----------------------------------------------------------------------------------------------


def median_jobs(
    task: Task,
    system: System,
    places: Sequence[Place],
    d: int,
    *,
    batch: int | None,
    step_size: float | None,
    replicas: int | None,
    budget: float,
    seed: int,
) -> list[Job]:
    """Choose step size, batches, runs and steps at one dimension."""
    eta = step_size or 0.1 / largest_curvature(system)
    plans = [_median_plan(task, system, place, d, batch, eta) for place in places]
    chosen = _feasible(plans, budget if replicas is None else math.inf)
    runs = replicas or _median_runs(chosen, budget)
    longest = LONGEST_RUN if replicas is not None else _longest_run(chosen, runs, budget)
    jobs = []
    for plan in plans:
        cost = f"one run would draw {plan.cost:.1e} samples, not simulated (give --replicas to insist)"
        reason = "" if plan in chosen else plan.obstacle or cost
        (forecast,) = plan.forecasts
        last = None if forecast.prediction is None else math.ceil(longest * forecast.prediction / eta) + 100
        jobs.append(Job(plan, runs, (seed,), (last or QUIET_STEPS,), reason))
    return jobs


def _median_plan(task: Task, system: System, place: Place, d: int, batch: int | None, eta: float) -> Plan:
    """Forecast the medians of flow and SGD, and choose the batch where it is not given."""
    if not is_lora(system):
        return _own_plan(task, system, place, d, batch or math.ceil(eta * d), eta)
    flow = ThroughFlow(system, place.parameters, d)
    tau, default = None if flow.search.tau is None else float(flow.search.tau), batch or math.ceil(eta * d)

    def plan(size: int, flow_exit: float | None, prediction: float | None, obstacle: str = "") -> Plan:
        steps = QUIET_STEPS if prediction is None else prediction / eta
        forecast = Forecast(d, size, prediction, flow_exit)
        return Plan(place, tau, eta, (forecast,), steps * (size + STEP_COST), obstacle)

    if tau is None:
        return plan(default, None, None)
    if flow.search.G == 0:
        return plan(default, None, None, "G = 0 < B here: u escapes alone, without m")
    horizon = LONGEST_CHECKED_SEARCH / float(flow.search.rate)
    flow_exit = flow.quiet(_threshold(task), horizon)
    if flow_exit is None:
        return plan(default, None, None, f"the flow stays inside until t = {horizon:.2g}")
    if batch is None:
        return plan(*_batch(task, flow, flow_exit, eta))
    changed = _noisy_rate(flow, eta * d / batch)
    obstacle = f"SGD's noise changes the rate by {100 * changed:.2g} % at this batch: raise it, or use --law"
    prediction = _median(task, flow, flow_exit, batch, eta)
    return plan(batch, flow_exit, prediction, obstacle if changed > 2 * NOISY_RATE else "")


def _own_plan(task: Task, system: System, place: Place, d: int, batch: int, eta: float) -> Plan:
    """Forecast the medians of a model of one's own by its law, with SGD's noise and without."""
    law, quiet = law_at(task, system, place, d, eta * d / batch, eta), law_at(task, system, place, d, 0.0, 0.0)
    forecast = Forecast(d, batch, law.median, quiet.median)
    return Plan(place, law.tau, eta, (forecast,), law.median / eta * (batch + STEP_COST))


def _median(task: Task, flow: ThroughFlow, flow_exit: float, batch: int, eta: float) -> float | None:
    return flow.median(_threshold(task), kappa=eta * flow.dimension / batch, step_size=eta, t_max=5 * flow_exit)


def _batch(task: Task, flow: ThroughFlow, flow_exit: float, eta: float) -> tuple[int, float, float | None]:
    """Return a batch whose noise is modest, with the medians of flow and SGD."""
    rate, drive, noise = float(flow.search.rate), float(flow.search.G), flow.noise
    modest = 2 * drive**2 / (rate * noise) if noise else math.inf
    size = max(1, math.ceil(eta * flow.dimension / min(1.0, modest)))
    while _noisy_rate(flow, eta * flow.dimension / size) > NOISY_RATE and size < LARGEST_BATCH:
        size *= 2
    prediction = _median(task, flow, flow_exit, size, eta)
    while (prediction is None or abs(prediction - flow_exit) > LARGEST_CORRECTION * flow_exit) and size < LARGEST_BATCH:
        size *= 2
        prediction = _median(task, flow, flow_exit, size, eta)
    return size, flow_exit, prediction


def _noisy_rate(flow: ThroughFlow, kappa: float) -> float:
    """What noise in u adds to the rate, in units of it; known where w0 is aligned."""
    if not flow.system.escape.is_aligned:
        return 0.0
    return abs(noise_growth(flow.system, flow.place["mu"], kappa)) / (flow.dimension * float(flow.search.rate))


def _feasible(plans: list[Plan], budget: float) -> list[Plan]:
    """Those that can be simulated: the cheapest first, as long as their fewest runs fit into the budget together."""
    kept, cost = [], 0.0
    for plan in sorted(plans, key=lambda plan: plan.cost):
        cost += FEWEST_MEDIAN_RUNS * plan.cost
        if not plan.obstacle and cost <= LARGEST_EXCESS * budget:
            kept.append(plan)
    return kept


def _median_runs(chosen: list[Plan], budget: float) -> int:
    cost = sum(plan.cost for plan in chosen) or budget
    return int(min(MOST_MEDIAN_RUNS, max(FEWEST_MEDIAN_RUNS, budget / cost)))


def _longest_run(chosen: list[Plan], runs: int, budget: float) -> float:
    """Predicted exit times after which a run is given up."""
    cost = runs * sum(plan.cost for plan in chosen) or budget
    return min(LONGEST_RUN, WORST * budget / cost)


# --- several dimensions -----------------------------------------------------------------------------------------


def law_jobs(
    task: Task,
    system: System,
    places: Sequence[Place],
    sizes: Sequence[int],
    *,
    kappa: float | None,
    step_size: float | None,
    replicas: int | None,
    budget: float,
    seed: int,
) -> list[Job]:
    """Choose step sizes, batches, runs and steps at several dimensions.

    Raises `ParameterError` for a kappa or step size that is not positive, and `InputError` where there is no law.
    """
    plans = [_law_plan(task, system, place, sizes, kappa, step_size) for place in places]
    for plan in plans:  # made once, so that bad values are refused before any work
        first, runs = plan.forecasts[0], 2 if replicas is None else replicas
        experiment_at(task, plan.place, first.d, first.batch, plan.lr, runs=runs, seed=seed)
    return [_law_job(plan, number, len(plans), replicas, budget, seed) for number, plan in enumerate(plans)]


def _law_job(plan: Plan, number: int, plans: int, replicas: int | None, budget: float, seed: int) -> Job:
    runs = 0 if plan.obstacle else _law_runs(plan, budget / plans, replicas)
    seeds = np.random.SeedSequence(seed, spawn_key=(number,)).generate_state(len(plan.sizes) + 1)
    dear = FEWEST_RUNS * plan.cost
    advice = f"{FEWEST_RUNS} runs would draw {dear:.1e} samples, not simulated: --budget {dear * plans:.0e}"
    reason = "" if runs else plan.obstacle or f"{advice}, or a larger --kappa"
    steps = tuple(_last_step(law, runs, plan.lr) for law in plan.laws) if runs else ()
    return Job(plan, runs, tuple(map(int, seeds)), steps, reason)


def _last_step(law: Law, runs: int, eta: float) -> int:
    """Long enough for all runs that ever exit, or for six medians."""
    last = min(law.quantile((1 - 0.01 / runs) * law.escaping), LONGEST / 2 * law.quantile(law.escaping / 2))
    return math.ceil(2 * last / eta) + 100


def _law_plan(
    task: Task, system: System, place: Place, sizes: Sequence[int], kappa: float | None, step_size: float | None
) -> Plan:
    """Choose step size and batches, and derive the laws."""
    for name, given in (("kappa", kappa), ("step_size", step_size)):
        if given is not None and not (math.isfinite(given) and given > 0):
            raise ParameterError(
                f"{name} = {given!r} given; accepted: a finite number > 0; leave it out for a default."
            )
    smallest = min(sizes)
    eta = step_size or _step_size(task, system, place, max(sizes))
    if kappa is None:
        largest = _largest_kappa(task, system, place, smallest, eta)
        kappa = eta * smallest / math.ceil(eta * smallest / largest)
    if kappa > eta * smallest * (1 + 1e-9):
        raise ParameterError(
            f"kappa = {kappa:g} given, less than one sample a step of size {eta:.4g} at d = {smallest}; accepted: "
            f"at most {eta * smallest:.4g}, or a larger step size."
        )
    exponent = (system.information_exponent or 0) if system.escape.on_sphere else 0
    falls = max(0.0, exponent / 2 - 1)
    batches = [max(1, round(eta * d / kappa * (d / smallest) ** falls)) for d in sizes]
    places = zip(sizes, batches, strict=True)
    laws = [law_at(task, system, place, d, eta * d / batch, eta, by="auto") for d, batch in places]
    forecasts = tuple(
        Forecast(d, batch, law.median, law=law) for d, batch, law in zip(sizes, batches, laws, strict=True)
    )
    plan = Plan(place, laws[-1].tau, eta, forecasts)
    settings = (
        experiment_at(task, place, d, batch, eta, runs=2, seed=0) for d, batch in zip(sizes, batches, strict=True)
    )
    steps = (law.quantile(law.escaping / 2) / eta for law in laws)
    cost = sum(count * samples_per_step(setting) for count, setting in zip(steps, settings, strict=True))
    return replace(plan, cost=cost)


def _step_size(task: Task, system: System, place: Place, largest: int) -> float:
    steepest = largest_curvature(system)
    if not steepest > 0:
        raise InputError(
            f"{system.loss_function.student.name} has no slope, so that SGD cannot train it; accepted: a student that "
            "is not constant between jumps; use it as --teacher."
        )
    curved = 0.1 / steepest
    law = _quiet(task, system, place, largest, 0.0)
    if isinstance(law, Ballistic):
        return min(curved, FINE_DEVIATION * law.deviation)
    if isinstance(law, Passage):
        return min(curved, FINE_PASSAGE * law.quantile(law.escaping / 4))
    return curved if law is None or law.tau is None else min(curved, FINE_STEP * law.tau)


def _quiet(task: Task, system: System, place: Place, d: int, eta: float) -> Law | None:
    """The law of the flow; None where it does not escape, as at a critical strength."""
    try:
        return law_at(task, system, place, d, 0.0, eta)
    except InputError:
        return None


def _largest_kappa(task: Task, system: System, place: Place, d: int, eta: float) -> float:
    """Return the largest kappa = 2^-j eta d whose noise and drift stay modest."""
    quiet = _quiet(task, system, place, d, eta)
    kappa = eta * d / (1 if isinstance(quiet, Ballistic | Passage) else SMALLEST_BATCH)
    refusal = None
    for _ in range(HALVINGS):
        try:
            law = law_at(task, system, place, d, kappa, eta)
            half = law_at(task, system, place, d, kappa / 2, eta) if law.power else law
            if _modest(law, half, quiet):
                return kappa
        except InputError as error:  # the noise keeps the flow inside
            refusal = error
        kappa /= 2
    if refusal is not None and quiet is None:
        raise refusal
    raise InputError(
        f"no kappa between {kappa:.2g} and {eta * d:.2g} at d = {d} has a law whose noise is modest; accepted: "
        "kappa = K of your own, or larger dimensions."
    )


def _modest(law: Law, half: Law, quiet: Law | None) -> bool:
    """Whether noise and drift are small corrections; `half` is the law at half the kappa, `quiet` that of the flow."""
    if isinstance(law, Passage) and isinstance(quiet, Passage):
        level = quiet.escaping / 2
        if law.escaping < 1 - LARGEST_DELAY:
            return False
        return abs(math.log(law.quantile(level) / quiet.quantile(level))) <= LARGEST_DELAY
    if not isinstance(law, LinearEscape):
        return quiet is not None and abs(law.constant - quiet.constant) <= LARGEST_SHIFT
    if isinstance(half, LinearEscape) and law.power:
        proportional = law.power / law.tau / (2 * half.power / half.tau)
        return law.gain <= LARGEST_GAIN and proportional >= 1 - LARGEST_SLOWING
    gain = law.gain if law.start else 1.0
    return gain <= LARGEST_GAIN and (quiet is None or abs(law.constant - quiet.constant) <= LARGEST_SHIFT)


def _law_runs(plan: Plan, share: float, replicas: int | None) -> int:
    """Return the runs that this share of the samples' budget pays for; 0 where they are too few."""
    if replicas is not None:
        return replicas
    affordable = int(min(MOST_RUNS, share / plan.cost))
    return affordable if affordable >= FEWEST_RUNS else 0
