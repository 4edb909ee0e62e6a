r"""The law of the exit time through SGD's diffusion, which needs no regime: a sample of paths, with its error.

The closed formulas of `numerics.law.starts` put the start on the unstable manifold: |A| sqrt(d)/lambda >> 1. Where u
grows by itself faster than m follows, w reaches a second saddle at u = O(1), and m leaves that one from m_0 = Z/sqrt(d)
under noise of the same order: their spread is then wrong many times over. The exit time of the diffusion
(`numerics.law.ensemble`) has no such limit. Its drift at a finite step eta is the logarithm of the mean map of a step,
in two terms, or in three from eta lambda = 0.05 on. The largest difference of the distribution functions of the closed
formula and of this law is what the formula leaves out at the d that is asked for.

Near the place where SGD stops the expansion in eta behind the diffusion fails: a threshold that so large a share of the
drift has to work against is refused.
"""

from __future__ import annotations

import itertools
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from numerics.accuracy import DIFFUSION_STALL, NEVER
from numerics.compile.formulas import compiled
from numerics.law.ensemble import MOST_STEPS, PATHS, Ensemble, paths_of
from numerics.law.protocol import Law, Setting, check_level
from numerics.law.starts import check_step, is_lora
from numerics.rates.search_time import search_time
from theory.calculus.expectations import is_closed
from theory.errors import InputError
from theory.network.system import System
from theory.search.law import search_time as search_time_of
from theory.search.regimes import regime
from theory.symbols import N_4, N_l, N_s

__all__ = ["Diffusion", "Distance", "diffusion", "distance"]

Array = NDArray[np.float64]

RANDOMISATIONS = 4
PILOT = 2**6
WORK = 2e6
"""steps of a randomisation, some 1 s; slow ways out get fewer paths, and a larger error"""
FEWEST = 2**9
COARSE = 0.05
"""eta lambda from which the logarithm of a step takes a third term"""
SEED = 20_261
NEIGHBOURS = (2**-0.5, 2**0.5)
"""factors of d between which the slope in log d is taken"""
LEVELS = 4096
"""quantiles at which two distribution functions are compared"""


class Distance(NamedTuple):
    """The largest difference of two distribution functions, and its error."""

    value: float
    error: float


@dataclass(frozen=True, eq=False)
class Diffusion:
    """The distribution of a sample of exit times, in t = eta * step.

    Attributes:
        times: ascending exit times of all randomisations; infinite for paths that stay.
        error: of the distribution function, anywhere: half of the largest distance of two randomisations (that of their
            mean is about a third). What is left of the finite step, some 0.5 % of T at eta lambda = 0.1, is not in it.
        ensemble: the paths that it is a sample of.
        stretch: factor of the ensemble's times, 1 but for `slower`.
        seed: what fixes the sample.
        regime: how the start is left, by `theory.search.regimes`.
        tau: search time at this step size; None where growth is not exponential.
        power: T grows like d^power, times log d.
    """

    times: Array = field(repr=False)
    error: float
    ensemble: Ensemble = field(repr=False)
    stretch: float
    seed: int
    regime: str
    tau: float | None
    power: float = 0.0

    @cached_property
    def _levels(self) -> Array:
        return (np.arange(len(self.times)) + 0.5) / len(self.times)

    @property
    def dimension(self) -> float:
        """d."""
        return self.ensemble.dimension

    @property
    def threshold(self) -> float:
        """R."""
        return self.ensemble.threshold

    @property
    def unit(self) -> float:
        """tau, or the median."""
        return self.median if self.tau is None else self.tau

    @property
    def escaping(self) -> float:
        """The share of paths that leave."""
        return float(np.isfinite(self.times).mean())

    @property
    def mean(self) -> float:
        """E T; infinite where paths stay."""
        return float(self.times.mean())

    @property
    def median(self) -> float:
        """The median of T."""
        return self.quantile(0.5)

    @property
    def constant(self) -> float:
        """The median: there is no constant of a formula."""
        return self.median

    @property
    def constant_error(self) -> float:
        """What `error` is worth in the median."""
        return max(abs(self.quantile(0.5 + side * min(self.error, 0.49)) - self.median) for side in (-1, 1))

    @property
    def slope_log_d(self) -> float:
        """d(median)/d(log d), by samples at d/sqrt(2) and d sqrt(2) with the same random numbers."""
        return self._slope

    @cached_property
    def _slope(self) -> float:
        low, high = (
            float(np.median(_drawn(replace(self.ensemble, dimension=self.dimension * f), self.seed)[0]))
            for f in NEIGHBOURS
        )
        return self.stretch * (high - low) / math.log(NEIGHBOURS[1] / NEIGHBOURS[0])

    def cdf(self, t: float) -> float:
        """P(T <= t), between the times of the sample by straight lines."""
        finite = round(self.escaping * len(self.times))
        return float(np.interp(t, self.times[:finite], self._levels[:finite], left=0.0, right=self.escaping))

    def quantile(self, level: float) -> float:
        """The time t with P(T <= t) = level; infinite where fewer paths ever leave."""
        check_level(level)
        if level >= self.escaping and self.escaping < 1:
            return math.inf
        finite = round(self.escaping * len(self.times))
        return float(np.interp(level, self._levels[:finite], self.times[:finite]))

    def without_noise(self) -> Diffusion:
        """Return the law of the flow from the same random start."""
        return self._of(replace(self.ensemble, noise=0.0))

    def slower(self, factor: float) -> Diffusion:
        """Return the law with every time multiplied by `factor`."""
        tau = None if self.tau is None else self.tau * factor
        return replace(self, times=self.times * factor, stretch=self.stretch * factor, tau=tau)

    def _of(self, ensemble: Ensemble) -> Diffusion:
        times, error, _ = _drawn(ensemble, self.seed)
        return replace(self, times=times * self.stretch, error=error, ensemble=ensemble)


def diffusion(
    system: System,
    setting: Setting,
    mu: float,
    rho: float | None = None,
    initial_scale: float | None = None,
    *,
    seed: int = SEED,
) -> Diffusion:
    """Return the law of LoRA fine-tuning through the diffusion.

    Args:
        system: a derived system of model lora or misaligned, without kappa drift.
        setting: d, R, kappa and eta.
        mu: alignment of w0.
        rho: length |w0|, with model misaligned.
        initial_scale: u at the start, d^-2 by default.
        seed: of the sample.

    Raises:
        InputError: another model, moments without a closed form, a threshold that is not reached or lies so near the
            place where SGD stops that the diffusion does not hold.

    >>> from theory.network.derivation import derive
    >>> law = diffusion(derive("linear"), Setting(1e4, 0.5, 1.0, 0.1), mu=0.5)
    >>> law.regime, law.error < 0.005, abs(law.cdf(law.quantile(0.3)) - 0.3) < 1e-9
    ('linear', True, True)
    """
    _check_model(system)
    search = search_time(system, mu, rho=rho)
    check_step(system, setting, search)
    place = {"mu": float(mu)} | ({} if rho is None else {"rho": float(rho)})
    scale = setting.dimension**-2.0 if initial_scale is None else float(initial_scale)
    move = paths_of(system, norm=_check_closed(system))
    eta, rate = setting.step_size, float(search.rate)
    order = 1 if eta == 0 else 2 if eta * rate < COARSE else 3
    numbers = (setting.dimension, setting.threshold, setting.kappa, scale, eta, order)
    ensemble = Ensemble(system, move, place, *numbers)
    ensemble = replace(ensemble, paths=_affordable(replace(ensemble, paths=PILOT), seed))
    times, error, ends = _drawn(ensemble, seed)
    _check_sample(ensemble, times, ends)
    tau = compiled(search_time_of)(rate, eta) if rate > 0 else None
    name = regime(system, mu, rho, kappa=setting.kappa).name
    return Diffusion(times, error, ensemble, 1.0, seed, name, tau, power=float(name == "noise-driven"))


def distance(law: Law, sampled: Diffusion) -> Distance:
    """Return the largest difference of a law's distribution function and that of the diffusion.

    >>> from theory.network.derivation import derive
    >>> law = diffusion(derive("linear"), Setting(1e4, 0.5, 1.0, 0.1), mu=0.5)
    >>> 0.01 < distance(law.slower(1.1), law).value < 0.2, distance(law, law).value < 1e-9
    (True, True)
    """
    levels = (np.arange(LEVELS) + 0.5) / LEVELS * sampled.escaping
    largest = max(abs(law.cdf(sampled.quantile(level)) - level) for level in levels.tolist())
    return Distance(max(largest, abs(law.escaping - sampled.escaping)), sampled.error)


def _check_model(system: System) -> None:
    if not is_lora(system):
        raise InputError(
            f"the law through the diffusion for model {system.network.name} given; accepted: models lora and "
            "misaligned, whose start is one trained direction on the sphere and a scalar; by formula for others."
        )


def _check_closed(system: System) -> bool:
    """Return whether the fluctuation of the kappa drift has closed moments too; refuse where none has."""
    moments = system.diffusion_functions
    for norm in (True, False):
        if all(is_closed(f) for name, f in moments.items() if norm or name not in (N_s, N_l, N_4)):
            return norm
    loss = system.loss_function
    raise InputError(
        f"the law through the diffusion for {loss.student.name} on {loss.teacher.name} given, whose noise has moments "
        "without a closed form; accepted: pairs of the closed class, by formula or exact simulation for others."
    )


def _drawn(ensemble: Ensemble, seed: int) -> tuple[Array, float, Array]:
    """Return ascending times of all randomisations, the error of their distribution, and where they left."""
    with ThreadPoolExecutor(RANDOMISATIONS) as pool:
        samples = list(pool.map(lambda index: ensemble.draw(seed, index), range(RANDOMISATIONS)))
    apart = [_apart(a.times, b.times) for a, b in itertools.combinations(samples, 2)]
    times = np.sort(np.concatenate([sample.times for sample in samples]))
    return times, max(apart) / 2, np.concatenate([sample.ends[np.isfinite(sample.times)] for sample in samples])


def _apart(first: Array, second: Array) -> float:
    """The distance of the distribution functions of two samples of one size."""
    both = np.concatenate([first, second])
    shares = [np.searchsorted(np.sort(sample), both, side="right") / len(sample) for sample in (first, second)]
    return float(np.max(np.abs(shares[0] - shares[1])))


def _affordable(ensemble: Ensemble, seed: int) -> int:
    """Return how many paths there is time for, by a few; refuse what these show to be out of reach."""
    sample = ensemble.draw(seed)
    left = np.isfinite(sample.times)
    if left.sum() < PILOT - 1:
        name, system = ensemble.system.loss_function.student.name, ensemble.system
        largest = float(np.max(np.abs(sample.ends[:, [*system.states].index(system.network.alignment)])))
        raise InputError(
            f"{name}, threshold = {ensemble.threshold:g}, kappa = {ensemble.kappa:g} given, where {left.mean():.0%} of "
            f"the paths of the diffusion leave within {MOST_STEPS} steps and the others are at |m| <= {largest:.3g}; "
            "accepted: a threshold below the place where SGD stops, and starts that are left within some hundred "
            "relaxation times; by formula or exact simulation for others."
        )
    return max(FEWEST, min(PATHS, 2 ** math.floor(math.log2(WORK / sample.steps.mean()))))


def _check_sample(ensemble: Ensemble, times: Array, ends: Array) -> None:
    stays = 1 - float(np.isfinite(times).mean())
    if stays > NEVER:
        raise InputError(
            f"threshold = {ensemble.threshold:g}, kappa = {ensemble.kappa:g} given, where {stays:.1%} of the paths of "
            f"the diffusion do not leave within {MOST_STEPS} steps; accepted: a smaller threshold, or by formula."
        )
    stall = ensemble.stall(ends)
    if stall > DIFFUSION_STALL:
        raise InputError(
            f"threshold = {ensemble.threshold:g}, kappa = {ensemble.kappa:g} given, where SGD's noise holds back "
            f"{stall:.0%} of the drift of m, so near the place where SGD stops that the diffusion does not hold; "
            f"accepted: at most {float(DIFFUSION_STALL):.0%}, that is a smaller threshold or kappa."
        )
