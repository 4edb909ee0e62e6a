r"""Escape by exponential growth: the law of T = tau [ (1/2) log d - log|Z + shift| + prefactor - log(gain) + C ].

Linear escape, u alone, plain training with information exponent 2, and noise-driven escape all have it: what grows as
exp(t/tau) starts Gaussian, Z ~ N(0, 1). `numerics.law.starts` and `numerics.law.noise_driven` give the constants.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from numerics.accuracy import NEGLIGIBLE_SHIFT
from numerics.compile.formulas import compiled
from numerics.law.normal import inverse, mean_log, normal_cdf, normal_quantile
from numerics.law.protocol import check_level
from numerics.rates.search_time import Search
from theory.lazy import Provided
from theory.search.law import spread
from theory.shown import Shown

__all__ = ["LinearEscape", "widening"]

WIDEST = 40.0  # standard deviations beyond which a normal density is zero
STEP = 1.01
NARROW = 1e-9  # spread, in units of the shift, that stands for a start without one


@dataclass(frozen=True)
class LinearEscape(Shown):
    """T = tau [ (1/2) log d - log|Z + shift| + prefactor - log(gain) + C ], Z ~ N(0, 1); times in t = eta * step.

    Attributes:
        regime: "linear", "u alone" or "noise-driven" (LoRA), "plain-2".
        tau: search time at this step size.
        dimension: d, the input dimension.
        threshold: R, the |m| of the exit.
        prefactor: log((lambda^2 + alpha^2 G^2)/(alpha^2 |a_m| G)); 0 for plain.
        gain: sqrt(1 + kappa lambda J_0/((2 + eta lambda) G^2)), the widening by SGD's noise; as in
            `theory.search.law` for plain.
        shift: z_0, the initial u in units of the spread of the start; 0 for plain.
        constant: C for Z + shift > 0.
        constant_below: C for Z + shift < 0, which differs only where m -> -m is no symmetry; infinite where that side
            never exits.
        constant_error: estimate of the error of both.
        published: tau log(R sqrt(d)) at eta -> 0, what the source paper states with eps = 1/sqrt(d), its overlap at
            the start; infinite where its tau is.
        remainder: what the o(1) amounts to at this d, noise aside: the exit time of the flow from a start with
            |Z + shift| = 0.674, minus the law's; NaN where it does not exit. Where noise leads out, and near a critical
            strength, a bound on what the law's median leaves out, noise and all (`numerics.law.noise_driven`).
        power: tau ~ d^power: 0, and where the escape is noise-driven the share of the noise in the rate, up to 1.
        flow_tau: tau without SGD's noise, where it differs.
        start: spread of the start without SGD's noise, in the units of `gain`: 1, and 0 where u escapes alone.
        crossover: near a critical strength, the dimension below which SGD's noise leads out faster than the slope of
            the loss does; 0 elsewhere.

    >>> from numerics.law import escape_law
    >>> from theory.network.derivation import derive
    >>> law = escape_law(derive("linear"), mu=0.3, dimension=1e4, threshold=0.9)
    >>> round(law.constant, 8), law.constant_error < 1e-8
    (0.57759002, True)
    >>> round(law.cdf(law.quantile(0.25)), 12)
    0.25
    """

    shows = (
        "regime, dimension, threshold, tau, median, quantile(0.05), quantile(0.95), mean, escaping, "
        "slope_log_d, constant ± constant_error, prefactor, gain, shift, remainder, published_ratio"
    )

    plot = Provided()
    """draws P(T <= t)"""

    regime: str
    tau: float
    dimension: float
    threshold: float
    prefactor: float
    gain: float
    shift: float
    constant: float
    constant_below: float
    constant_error: float
    published: float
    remainder: float = math.nan
    power: float = 0.0
    start: float = 1.0
    flow_tau: float = 0.0
    crossover: float = 0.0

    @property
    def unit(self) -> float:
        """tau."""
        return self.tau

    @property
    def slope_log_d(self) -> float:
        """tau / 2, and power times the median where tau grows with d; less where u0, kept fixed, leads the start."""
        fixed = self.tau / 2 + (self.power * self.median if self.power else 0.0)
        if abs(self.shift) < NEGLIGIBLE_SHIFT:
            return fixed
        near = [
            replace(self, dimension=self.dimension * factor, shift=self.shift * math.sqrt(factor)).median
            for factor in (1 / STEP, STEP)
        ]
        return (near[1] - near[0]) / (2 * math.log(STEP))

    @property
    def offset(self) -> float:
        """(T/tau) + log|Z + shift| - C."""
        return math.log(self.dimension) / 2 + self.prefactor - math.log(self.gain)

    @property
    def escaping(self) -> float:
        """The probability that T is finite."""
        above = normal_cdf(self.shift)
        return sum(p for p, c in zip((above, 1 - above), self._constants, strict=True) if c < math.inf)

    @property
    def _constants(self) -> tuple[float, float]:
        return self.constant, self.constant_below

    def cdf(self, t: float) -> float:
        """P(T <= t) = P(Z + shift >= h_+) + P(Z + shift <= -h_-), h = exp(offset + C - t/tau) on each side.

        At t = 0 it holds the runs that start beyond the threshold.
        """
        if t < 0:
            return 0.0
        above, below = (_exp(self.offset + c - t / self.tau) for c in self._constants)
        return normal_cdf(self.shift - above) + normal_cdf(-below - self.shift)

    def quantile(self, level: float) -> float:
        """The time t with P(T <= t) = level, in closed form for shift = 0 and a symmetric flow."""
        check_level(level)
        if level >= self.escaping:
            return math.inf
        if level <= self.cdf(0.0):
            return 0.0
        if self.shift == 0 and self.constant == self.constant_below:
            return self.tau * (self.offset + self.constant - math.log(-normal_quantile(level / 2)))
        finite = [c for c in self._constants if c < math.inf]
        size = WIDEST + abs(self.shift)
        low, high = (self.offset + c for c in (min(finite) - math.log(size), max(finite) + 800.0))
        return inverse(self.cdf, level, self.tau * low, self.tau * high)

    @property
    def median(self) -> float:
        """The median of T."""
        return self.quantile(0.5)

    @property
    def mean(self) -> float:
        """E T, by E log|Z + shift| in closed form."""
        if self.escaping < 1:
            return math.inf
        above = normal_cdf(self.shift)
        way = above * self.constant + (1 - above) * self.constant_below
        return self.tau * (self.offset + way - mean_log(self.shift))

    @property
    def published_ratio(self) -> float:
        """tau log(R sqrt(d)) over the median: how much of T the published estimate holds."""
        return self.published / self.median

    def without_noise(self) -> LinearEscape:
        """Return this law without what SGD's noise adds to the start; it never exits where only noise leads out."""
        if self.flow_tau:
            return replace(self, tau=self.flow_tau, gain=1.0, power=0.0)
        begun = abs(self.shift) * self.gain
        gain = self.start or NARROW * begun
        return replace(self, gain=gain, shift=begun / gain) if gain else replace(self, tau=math.inf)

    def slower(self, factor: float) -> LinearEscape:
        """Return the law with tau multiplied by `factor`."""
        return replace(self, tau=self.tau * factor, remainder=self.remainder * factor)


def widening(search: Search, noise: float, kappa: float, step_size: float) -> float:
    """Return S/G: how much wider SGD's noise in u makes the drive of a start with J_0 = `noise`.

    >>> from numerics.rates.search_time import search_time
    >>> from theory.network.derivation import derive
    >>> search = search_time(derive("linear"), 0.5)  # G = J_0 = 1/2 and lambda = (sqrt(2) - 1)/2
    >>> round(widening(search, 0.25, kappa=1.0, step_size=0.0) ** 2, 12)  # 1 + lambda J_0/(2 G^2)
    1.103553390593
    """
    return compiled(spread)(1.0, noise / float(search.G) ** 2, kappa, float(search.rate), step_size)  # in units of G


def _exp(x: float) -> float:
    return math.exp(min(x, 700.0)) if x < math.inf else math.inf
