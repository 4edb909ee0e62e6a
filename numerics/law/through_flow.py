r"""The median of T at a finite dimension, by the flow: no o(1) is left out, but the rest of the distribution is.

The flow starts from u = d^-2 and the median drive, L_q m + 2 L_r s = 0.674 G/sqrt(d), since its exit time falls with
the modulus of the drive. The two effects of SGD at finite kappa and eta are those of the law (`theory.search.law`): the
kappa drift in the flow, and gradient noise in u, which widens the drive by S/G; and one step multiplies the unstable
direction by 1 + eta lambda, so that the time is longer by lambda tau = eta lambda/log(1 + eta lambda).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from numerics.accuracy import THROUGH_FLOW_RTOL
from numerics.compile.formulas import compiled
from numerics.flows.flow import Exit, Native, integrate
from numerics.flows.starts import median_start
from numerics.law.linear import widening
from numerics.rates.search_time import Search, gradient_noise, search_time
from theory.network.system import System
from theory.search.law import search_time as search_time_of

__all__ = ["ThroughFlow", "stretching"]


def stretching(rate: float, step_size: float) -> float:
    """Return lambda tau = eta lambda/log(1 + eta lambda), what finite steps multiply a search by.

    >>> round(stretching(2.0, 0.1), 6), stretching(2.0, 0.0)
    (1.096963, 1.0)
    """
    return rate * compiled(search_time_of)(rate, step_size)


@dataclass(frozen=True)
class ThroughFlow:
    """Exit times of the flow from the median start of LoRA, in t = eta * step.

    Attributes:
        system: a derived system of model lora or misaligned, without kappa drift.
        place: mu (and rho), by name.
        dimension: d.
        rtol: relative tolerance of the integrations.

    >>> from theory.network.derivation import derive
    >>> relu = ThroughFlow(derive("relu"), {"mu": 0.5}, 1000)
    >>> round(relu.quiet(0.5, 1e4), 2), round(relu.median(0.5, kappa=1.0, step_size=0.2, t_max=1e4), 2)
    (32.13, 32.12)
    """

    system: System
    place: Mapping[str, float]
    dimension: float
    rtol: float = THROUGH_FLOW_RTOL

    @cached_property
    def search(self) -> Search:
        """Rates of the search phase."""
        return search_time(self.system, self.place["mu"], rho=self.place.get("rho"), certify=False)

    @cached_property
    def noise(self) -> float:
        """J_0."""
        return gradient_noise(self.system, self.place["mu"], rho=self.place.get("rho"))

    @cached_property
    def start(self) -> dict[str, float]:
        """The median start."""
        return median_start(self.system, self.dimension, **self.place)

    def widened(self, kappa: float, step_size: float, largest: float = math.inf) -> dict[str, float]:
        """Return the median start, its overlaps wider by SGD's noise in u; by at most the factor `largest`."""
        search = self.search
        gain = widening(search, self.noise, kappa, step_size) if search.rate > 0 and search.G > 0 else 1.0
        return {name: value if name == "u" else value * min(gain, largest) for name, value in self.start.items()}

    def quiet(self, threshold: float, t_max: float) -> float | None:
        """Return when the flow reaches |m| = threshold; None where it stays inside until `t_max`."""
        return integrate(self.system, self.start, **self._options(threshold, t_max)).exit_time

    def drifted(self, start: Mapping[str, float], threshold: float, kappa: float, t_max: float) -> float | None:
        """Return when the flow with its kappa drift does, from a start of its own."""
        return integrate(self.system.sgd(), start, **self._options(threshold, t_max), kappa=kappa).exit_time

    def _options(self, threshold: float, t_max: float) -> dict[str, Any]:
        given = {"event": Exit(threshold), "t_max": t_max, "rtol": self.rtol, "engine": Native(keeps=True)}
        return {**given, **self.place}

    def median(self, threshold: float, *, kappa: float, step_size: float, t_max: float) -> float | None:
        """Return the median exit time of SGD at finite kappa and step size; None where noise keeps the flow inside."""
        size = abs(self.start["m"])
        begun = self.widened(kappa, step_size, 0.99 * threshold / size if size else math.inf)
        time = self.drifted(begun, threshold, kappa, t_max)
        return None if time is None else time * stretching(float(self.search.rate), step_size)
