"""What a test of the law simulates: step size, kappa, batches and runs, chosen so that the law can be told from others.

kappa = eta d / B is the same at every d, but for plain training with information exponent k >= 3, which the drift of a
fixed kappa traps: there it falls like d^(-(k-2)/2) from its value at the smallest d.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from sympy import Expr

from hermescape.api import experiment
from hermescape.verify.at_one_dimension import largest_curvature
from numerics.law import Ballistic, Law, LinearEscape, Passage, escape_law
from numerics.simulation.experiment import Experiment
from numerics.simulation.montecarlo import samples_per_step
from theory.errors import InputError, ParameterError
from theory.language.activations import Activation
from theory.network.derivation import derive
from theory.network.system import System

__all__ = ["FEWEST_RUNS", "Pair", "Plan", "affordable", "plan_of"]

MOST_RUNS, FEWEST_RUNS = 2000, 150
LARGEST_GAIN = 1.5
LARGEST_SHIFT = 1.0  # of C, by the kappa drift, at the default kappa
LARGEST_SLOWING = 0.05  # of noise-driven escape, beyond its proportionality to kappa
LARGEST_DELAY = 0.25  # of log T at its lower quartile, in a passage
SMALLEST_BATCH = 8
FINE_STEP = 0.02  # of tau
FINE_PASSAGE = 1e-3  # of the lower quartile of a passage, whose law is that of infinitesimal steps
FINE_DEVIATION = 0.25  # of the standard deviation of a ballistic exit
HALVINGS = 24
LONGEST = 6  # medians, after which a run is given up
CONTROL, WIDE_CONTROL = 1.05, 1.25


@dataclass(frozen=True)
class Plan:
    """What is simulated at one mu: a law and an experiment at each dimension."""

    mu: float | None
    rho: float | None
    laws: tuple[Law, ...]
    batches: tuple[int, ...]
    lr: float
    cost: float
    """samples that one run at every dimension draws"""

    def kappas(self, sizes: Sequence[int]) -> list[float]:
        """Return kappa = eta d / B, with B a whole number."""
        return [self.lr * d / batch for d, batch in zip(sizes, self.batches, strict=True)]

    @property
    def control(self) -> float:
        """How much longer the times of the control are: more where T has a wide law, as |Z|^(2 - k)."""
        return WIDE_CONTROL if isinstance(self.laws[-1], Passage) else CONTROL

    @property
    def scaled(self) -> bool:
        """Whether times grow like a power of d, not like log d."""
        return self.laws[-1].power > 0

    def slope(self, sizes: Sequence[int], counted: Sequence[int]) -> float:
        """Least squares of the law's median in log d, or of its logarithm where times grow like a power of d.

        `counted` are the indices of the dimensions over which the least squares go. At kappa fixed it is tau/2 where
        growth is exponential.
        """
        medians = np.array([self.laws[i].median for i in counted])
        at = np.log([sizes[i] for i in counted])
        return float(np.polyfit(at, np.log(medians) if self.scaled else medians, 1)[0])


@dataclass(frozen=True)
class Pair:
    """What is learnt, and how: the arguments that a derivation and an experiment share."""

    student: str | Expr | Activation
    teacher: str | Expr | Activation | None
    label: str | Expr | None
    noise: float
    scale: float
    model: Literal["lora", "misaligned", "plain"]
    initial_scale: float | None
    threshold: float

    def system(self) -> System:
        """Derive the dynamics."""
        return derive(
            self.student, self.teacher, model=self.model, label=self.label, noise=self.noise, alpha=self.scale
        )

    def law(self, system: System, mu: float | None, rho: float | None, d: int, kappa: float, lr: float) -> Law:
        """Return the law at one dimension."""
        options: dict[str, Any] = {"threshold": self.threshold, "initial_scale": self.initial_scale}
        return escape_law(system, mu=mu, rho=rho, dimension=d, kappa=kappa, step_size=lr, **options)

    def experiment(self, plan: Plan, index: int, d: int, runs: int, seed: int) -> Experiment:
        """Return the simulation at one dimension: long enough for all runs that ever exit, or for six medians."""
        law = plan.laws[index]
        last = min(law.quantile((1 - 0.01 / runs) * law.escaping), LONGEST / 2 * law.quantile(law.escaping / 2))
        return experiment(
            self.student,
            self.teacher,
            mu=plan.mu,
            rho=plan.rho,
            label=self.label,
            noise=self.noise,
            scale=self.scale,
            model=self.model,
            initial_scale=self.initial_scale,
            dimension=d,
            batch=plan.batches[index],
            step_size=plan.lr,
            threshold=self.threshold,
            replicas=runs,
            seed=seed,
            max_steps=math.ceil(2 * last / plan.lr) + 100,
        )


def plan_of(
    pair: Pair,
    system: System,
    mu: float | None,
    rho: float | None,
    sizes: Sequence[int],
    kappa: float | None,
    step_size: float | None,
) -> Plan:
    """Choose step size and batches, and derive the laws.

    Raises `ParameterError` for a kappa or step size that is not positive, and `InputError` where there is no law.
    """
    for name, given in (("kappa", kappa), ("step_size", step_size)):
        if given is not None and not (math.isfinite(given) and given > 0):
            raise ParameterError(
                f"{name} = {given!r} given; accepted: a finite number > 0; leave it out for a default."
            )
    smallest = min(sizes)
    eta = step_size or _step_size(pair, system, mu, rho, max(sizes))
    if kappa is None:
        largest = _largest_kappa(pair, system, mu, rho, smallest, eta)
        kappa = eta * smallest / math.ceil(eta * smallest / largest)
    if kappa > eta * smallest * (1 + 1e-9):
        raise ParameterError(
            f"kappa = {kappa:g} given, less than one sample a step of size {eta:.4g} at d = {smallest}; accepted: "
            f"at most {eta * smallest:.4g}, or a larger step size."
        )
    exponent = (system.information_exponent or 0) if pair.model == "plain" else 0
    falls = max(0.0, exponent / 2 - 1)
    batches = tuple(max(1, round(eta * d / kappa * (d / smallest) ** falls)) for d in sizes)
    laws = tuple(pair.law(system, mu, rho, d, eta * d / batch, eta) for d, batch in zip(sizes, batches, strict=True))
    plan = Plan(mu, rho, laws, batches, eta, 0.0)
    costs = (
        law.quantile(law.escaping / 2) / eta * samples_per_step(pair.experiment(plan, i, d, 2, 0))
        for i, (law, d) in enumerate(zip(laws, sizes, strict=True))
    )
    return replace(plan, cost=sum(costs))


def _step_size(pair: Pair, system: System, mu: float | None, rho: float | None, largest: int) -> float:
    steepest = largest_curvature(system, pair.scale)
    if not steepest > 0:
        raise InputError(
            f"{system.loss_function.student.name} has no slope, so that SGD cannot train it; accepted: a student that "
            "is not constant between jumps; use it as --teacher."
        )
    curved = 0.1 / steepest
    law = _quiet(pair, system, mu, rho, largest, 0.0)
    if isinstance(law, Ballistic):
        return min(curved, FINE_DEVIATION * law.deviation)
    if isinstance(law, Passage):
        return min(curved, FINE_PASSAGE * law.quantile(law.escaping / 4))
    return curved if law is None or law.tau is None else min(curved, FINE_STEP * law.tau)


def _quiet(pair: Pair, system: System, mu: float | None, rho: float | None, d: int, eta: float) -> Law | None:
    """The law of the flow; None where it does not escape, as at a critical strength."""
    try:
        return pair.law(system, mu, rho, d, 0.0, eta)
    except InputError:
        return None


def _largest_kappa(pair: Pair, system: System, mu: float | None, rho: float | None, d: int, eta: float) -> float:
    """Return the largest kappa = 2^-j eta d whose noise and drift stay modest."""
    quiet = _quiet(pair, system, mu, rho, d, eta)
    kappa = eta * d / (1 if isinstance(quiet, Ballistic | Passage) else SMALLEST_BATCH)
    refusal = None
    for _ in range(HALVINGS):
        try:
            law = pair.law(system, mu, rho, d, kappa, eta)
            half = pair.law(system, mu, rho, d, kappa / 2, eta) if law.power else law
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


def affordable(plan: Plan, share: float, replicas: int | None) -> int:
    """Return the runs that this share of the samples' budget pays for; 0 where they are too few."""
    if replicas is not None:
        return replicas
    found = int(min(MOST_RUNS, share / plan.cost))
    return found if found >= FEWEST_RUNS else 0
