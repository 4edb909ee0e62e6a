r"""What figures need of one link at one alignment: its system, the exit that is expected, and runs of exact SGD.

*Expected exit.* That of `numerics.law.through_flow`: the flow with its kappa drift from the median start, widened by
the gradient noise in u and stretched by finite steps. Times are t = eta * step with the undivided eta of the paper, so
that He_k, whose step is eta / (k! k), has times k! k as long: `divisor`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hermescape.api import experiment
from hermescape.paper.settings import BATCH, DIMENSION, divisor, step_size
from numerics.law.through_flow import ThroughFlow, stretching
from numerics.rates.search_time import Search
from numerics.simulation.experiment import Experiment
from theory.network.derivation import derive
from theory.network.system import System

__all__ = ["RTOL", "Case", "Expected"]

LONGEST_SEARCH = 200.0  # search times after which the flow counts as staying
RTOL = 1e-7


@dataclass(frozen=True)
class Expected:
    """When SGD is expected to exit, in steps; `flow` is the limit of small kappa and eta, None where it stays."""

    flow: float | None
    sgd: float | None

    @property
    def tolerance(self) -> float:
        """What the expectation may be off by: both of its corrections, a step, and 1/sqrt(d) of it; in steps."""
        if self.flow is None or self.sgd is None:
            return math.nan
        return abs(self.sgd - self.flow) + 1 + self.sgd / math.sqrt(DIMENSION)


@dataclass(frozen=True)
class Case:
    """A link (student = teacher), its labels and its pre-trained weight in the setting of the paper.

    Attributes:
        link: a name.
        mu: alignment of the pre-trained weight.
        label: label transform, or None.
        mixed: w0 = mu w* + (1 - mu) xi in place of mu w*.
    """

    link: str
    mu: float
    label: str | None = None
    mixed: bool = False

    @property
    def rho(self) -> float | None:
        """The length of a misaligned w0."""
        return math.hypot(self.mu, 1 - self.mu) if self.mixed else None

    @property
    def place(self) -> dict[str, Any]:
        """The parameters of the system."""
        return {"mu": self.mu} if self.rho is None else {"mu": self.mu, "rho": self.rho}

    @cached_property
    def system(self) -> System:
        """The derived system."""
        return derive(self.link, model="misaligned" if self.mixed else "lora", label=self.label)

    @cached_property
    def through_flow(self) -> ThroughFlow:
        """Exit times of the flow from the median start, in units of the divided step size."""
        return ThroughFlow(self.system, self.place, DIMENSION, RTOL)

    @property
    def search(self) -> Search:
        """The search phase, in units of the divided step size."""
        return self.through_flow.search

    @property
    def eta(self) -> float:
        """The step size, divided by k! k for He_k."""
        return step_size(self.link)

    @property
    def kappa(self) -> float:
        """Return eta d / B."""
        return self.eta * DIMENSION / BATCH

    @property
    def largest_overlap(self) -> float:
        """|m| of the student that has recovered the teacher."""
        return 1.0 if self.rho is None else (1 - self.mu) / math.hypot(1 - self.mu, math.sqrt(self.rho**2 - self.mu**2))

    @cached_property
    def start(self) -> dict[str, float]:
        """The median start of the flow, widened by the noise of SGD in u."""
        begun = self.through_flow.start
        return self.through_flow.widened(self.kappa, self.eta, 0.5 / max(abs(begun["m"]), abs(begun.get("s", 0.0))))

    def drifted_exit(self, threshold: float) -> float | None:
        """Return the step at which the flow with its kappa drift reaches |m| = threshold; None where it stays."""
        return self._exit(self.start, threshold, self.kappa)

    def _exit(self, start: dict[str, float], threshold: float, kappa: float) -> float | None:
        rate = float(self.search.rate)
        if not rate > 0:
            return None
        time = self.through_flow.drifted(start, threshold, kappa, LONGEST_SEARCH / rate)
        return None if time is None else time / self.eta

    def expected(self, threshold: float) -> Expected:
        """Return when |m| is expected to reach the threshold."""
        quiet, noisy = self._exit(self.through_flow.start, threshold, 0.0), self.drifted_exit(threshold)
        return Expected(quiet, None if noisy is None else noisy * stretching(float(self.search.rate), self.eta))

    def experiment(self, replicas: int, seed: int, max_steps: int, threshold: float | None = None) -> Experiment:
        """Return the Monte Carlo experiment of this case."""
        return experiment(
            self.link,
            mu=self.mu,
            rho=self.rho,
            label=self.label,
            dimension=DIMENSION,
            batch=BATCH,
            step_size=self.eta,
            threshold=threshold,
            replicas=replicas,
            seed=seed,
            max_steps=max_steps,
        )

    def to_time(self, steps: float) -> float:
        """Return t = eta * step with the undivided eta.

        >>> Case("he3", 0.2).to_time(100), Case("relu", 0.2).to_time(100)
        (20.0, 20.0)
        """
        return steps * self.eta * divisor(self.link)
