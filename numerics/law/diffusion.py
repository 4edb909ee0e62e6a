r"""The law of the exit time through SGD's diffusion, which needs no regime: a sample of paths, with its error.

The closed formulas of `numerics.law.starts` put the start on the unstable manifold: |A| sqrt(d)/lambda >> 1. Where u
grows by itself faster than m follows, w reaches a second saddle at u = O(1), and m leaves that one from m_0 = Z/sqrt(d)
under noise of the same order: their spread is then wrong many times over. The exit time of the diffusion
(`numerics.law.ensemble`) has no such limit. The largest difference of the distribution functions of the closed formula
and of this law is what the formula leaves out at the d that is asked for.

Near the place where SGD stops the expansion in eta behind the diffusion fails: a threshold at which noise holds back so
large a share of the drift is refused at a finite eta. The chain of whole steps holds there too, at the cost of every
step.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from numerics import accuracy
from numerics.accuracy import DIFFUSION_STALL, NEVER, PROBABILITY_ROUNDING
from numerics.compile.formulas import compiled
from numerics.compile.keeping import contents
from numerics.law.ensemble import MOST_STEPS, PATHS, Ensemble, Kind, Sample, motion_of
from numerics.law.modes import leading_mode
from numerics.law.moments import Grid, tabulated
from numerics.law.protocol import Law, Setting, check_level
from numerics.law.starts import check_step, is_lora
from numerics.rates.search_time import search_time
from theory.calculus.bivariate import Phi2, Phi2Angle
from theory.errors import InputError, ParameterError, QuadratureError, StalledError
from theory.lazy import Provided
from theory.network.system import System
from theory.search.law import search_time as search_time_of
from theory.search.regimes import regime
from theory.shown import Shown, short
from theory.symbols import r

__all__ = ["SECONDS", "Distance", "SampledLaw", "distance", "sampled_law"]

Array = NDArray[np.float64]

RANDOMISATIONS = 4
PILOT = 2**6
SECONDS = 0.67
"""that a randomisation may take, so that a law takes some 2 s on two threads of one core; slow ways get fewer paths"""
COST: Mapping[tuple[Kind, bool], float] = {
    ("diffusion", False): 5.5e-7,
    ("diffusion", True): 1.3e-6,
    ("chain", False): 2e-7,
    ("chain", True): 3.5e-7,
}
"""seconds a step on one core, with moments compiled and looked up: constants, so that a law depends on no clock"""
FEWEST, FEW = 2**9, 2**11
ACCURATE = 0.002
"""error of a distribution that more paths would not make much of: that of a flow, whose start alone is drawn"""
WIDENINGS = 8
"""of the domain of r in which moments are tabulated, until no path leaves it"""
SEED = 20_261
NEIGHBOURS = (2**-0.5, 2**0.5)
"""factors of d between which the slope in log d is taken"""
LEVELS = 1024
"""quantiles at which two distribution functions are compared"""


class Distance(NamedTuple):
    """The largest difference of two distribution functions, and its error."""

    value: float
    error: float


@dataclass(frozen=True, eq=False)
class SampledLaw(Shown):
    """The distribution of a sample of exit times, in t = eta * step.

    Attributes:
        times: ascending exit times of all randomisations; infinite for paths that stay.
        error: of the distribution function, anywhere: half of the largest distance of two randomisations (that of their
            mean is about a third).
        ensemble: the paths that it is a sample of.
        stretch: factor of the ensemble's times, 1 but for `slower`.
        seed: what fixes the sample.
        regime: how the start is left, by `theory.search.regimes`; "fluctuation" where that traps as d grows, so that
            only SGD's fluctuations at this d lead out.
        tau: search time at this step size; None where growth is not exponential.
        power: T grows like d^power, times log d.
    """

    shows = "regime, kind, dimension, threshold, tau, median, quantile(0.05), quantile(0.95), mean, escaping, error"

    plot = Provided()
    """draws P(T <= t)"""

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
        """d, the input dimension."""
        return self.ensemble.dimension

    @property
    def threshold(self) -> float:
        """R, the |m| of the exit."""
        return self.ensemble.threshold

    @property
    def unit(self) -> float:
        """tau, or the median."""
        return self.median if self.tau is None else self.tau

    @property
    def escaping(self) -> float:
        """The share of paths that leave."""
        return self._leaving / len(self.times)

    @cached_property
    def _leaving(self) -> int:
        return int(np.isfinite(self.times).sum())

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
    def is_smooth(self) -> bool:
        """Whether differences of the distribution function are a density at any spacing: not for a sample."""
        return False

    @property
    def kind(self) -> Kind:
        """Diffusion or chain."""
        return self.ensemble.motion.kind

    @property
    def constant_error(self) -> float:
        """What `error` is worth in the median."""
        return max(abs(self.quantile(0.5 + side * min(self.error, 0.49)) - self.median) for side in (-1, 1))

    @property
    def slope_log_d(self) -> float:
        """d(median)/d(log d), by smaller samples at d/sqrt(2) and d sqrt(2) with the same random numbers."""
        return self._slope

    @cached_property
    def _slope(self) -> float:
        few = replace(self.ensemble, paths=max(FEWEST, self.ensemble.paths // 8))

        def medians() -> dict[str, Array]:
            drawn = [_drawn(replace(few, dimension=self.dimension * factor), self.seed) for factor in NEIGHBOURS]
            return {"medians": np.array([np.median(each.times) for each in drawn])}

        low, high = few.recalled(f"slope {_digest()}", (self.seed,), medians)["medians"]
        return self.stretch * float(high - low) / math.log(NEIGHBOURS[1] / NEIGHBOURS[0])

    def cdf(self, t: float) -> float:
        """P(T <= t), between the times of the sample by straight lines."""
        if not self._leaving:
            return 0.0
        known = self.times[: self._leaving], self._levels[: self._leaving]
        return float(np.interp(t, *known, left=0.0, right=self.escaping))

    def quantile(self, level: float) -> float:
        """The time t with P(T <= t) = level; infinite where fewer paths ever leave."""
        check_level(level)
        if level >= self.escaping and self.escaping < 1:
            return math.inf
        return float(np.interp(level, self._levels[: self._leaving], self.times[: self._leaving]))

    def without_noise(self) -> SampledLaw:
        """Return the law of the flow from the same random start."""
        return self.redrawn(replace(self.ensemble, noise=0.0))

    def slower(self, factor: float) -> SampledLaw:
        """Return the law with every time multiplied by `factor`."""
        tau = None if self.tau is None else self.tau * factor
        return replace(self, times=self.times * factor, stretch=self.stretch * factor, tau=tau)

    def redrawn(self, ensemble: Ensemble) -> SampledLaw:
        """Return the law of other paths, by the same seed: a control."""
        drawn = _drawn(ensemble, self.seed)
        return replace(self, times=drawn.times * self.stretch, error=drawn.error, ensemble=drawn.ensemble)


class _Drawn(NamedTuple):
    """Ascending times of all randomisations, the error of their distribution, where they left, how, and the samples."""

    times: Array
    error: float
    ends: Array
    ensemble: Ensemble
    samples: Sequence[Sample]


def sampled_law(
    system: System,
    setting: Setting,
    parameters: Mapping[str, float],
    initial_scale: float | None = None,
    *,
    kind: Kind = "diffusion",
    seed: int = SEED,
    seconds: float = SECONDS,
) -> SampledLaw:
    """Return the law of the exit time of SGD's diffusion, or of the chain of whole steps.

    Args:
        system: a derived system of one trained direction of fixed length, without kappa drift.
        setting: d, R, kappa and eta, which is positive for the chain.
        parameters: mu, rho or whatever else the model has, by name.
        initial_scale: scalars at the start, d^-2 by default.
        kind: diffusion or chain.
        seed: of the sample.
        seconds: that each of four randomisations may take, as forecast from a few paths.

    Raises:
        InputError: another model, a threshold that is not reached or lies so near the place where SGD stops that the
            diffusion does not hold.
        QuadratureError: moments without a closed form whose table does not reach its tolerance.

    >>> from theory.network.derivation import derive
    >>> law = sampled_law(derive("linear"), Setting(1e4, 0.5, 1.0, 0.1), {"mu": 0.5})
    >>> law.regime, law.error < 0.01, abs(law.cdf(law.quantile(0.3)) - 0.3) < 1e-9
    ('linear', True, True)
    """
    eta, place = setting.step_size, system.network.named(parameters)
    if kind == "chain" and eta == 0:
        raise ParameterError("step_size = 0 with the chain of whole steps given; accepted: a number > 0.")
    motion = motion_of(system, kind)
    probabilities = any(f.has(Phi2, Phi2Angle) for f in motion.moments.functions.values())
    tau, name = _growth(system, setting, place, PROBABILITY_ROUNDING if probabilities else sys.float_info.min)
    scale = setting.dimension**-2.0 if initial_scale is None else float(initial_scale)
    numbers = (setting.dimension, setting.threshold, setting.kappa, scale, eta)
    ensemble = Ensemble(system, motion, place, *numbers)
    known = ensemble.recalled(f"law {_digest()}", (seed, seconds), lambda: _sampled(ensemble, place, seed, seconds))
    drawn = replace(ensemble, paths=int(known["paths"]), table=_table_of(known["table"], known["reach"]))
    if motion.looked_up and drawn.table is None:
        drawn = replace(drawn, motion=motion_of(system, kind, looked_up=False))
    return SampledLaw(known["times"], float(known["error"]), drawn, 1.0, seed, name, tau, float(name == "noise-driven"))


def _sampled(ensemble: Ensemble, place: Mapping[str, float], seed: int, seconds: float) -> dict[str, Array]:
    """Return the times of a sample, its error, and the paths and the table that it took."""
    if ensemble.motion.looked_up:
        ensemble = _tabled(ensemble, *_norms(ensemble.system, place))
    affordable, ensemble = _pilot(ensemble, seed, seconds)
    drawn = _drawn(replace(ensemble, paths=min(FEW, affordable)), seed)
    if drawn.error > ACCURATE and affordable > FEW:
        drawn = _drawn(replace(drawn.ensemble, paths=affordable), seed, drawn.samples)
    _check_sample(drawn)
    table, paths = drawn.ensemble.table, drawn.ensemble.paths
    reach = [] if table is None else [table.low, table.high, table.error]
    numbers = np.empty(0) if table is None else table.numbers
    alone = {"error": drawn.error, "paths": paths, "reach": reach}
    return {"times": drawn.times, "table": numbers, **{name: np.array(value, float) for name, value in alone.items()}}


def _digest() -> str:
    return contents((__file__, str(accuracy.__file__)))


def _table_of(numbers: Array, reach: Array) -> Grid | None:
    return Grid(float(reach[0]), float(reach[1]), numbers, float(reach[2])) if len(reach) else None


def distance(law: Law, sampled: SampledLaw) -> Distance:
    """Return the largest difference of a law's distribution function and that of a sample.

    >>> from theory.network.derivation import derive
    >>> law = sampled_law(derive("linear"), Setting(1e4, 0.5, 1.0, 0.1), {"mu": 0.5})
    >>> 0.01 < distance(law.slower(1.1), law).value < 0.2, distance(law, law).value < 1e-9
    (True, True)
    """
    levels = (np.arange(LEVELS) + 0.5) / LEVELS * sampled.escaping
    places = [sampled.quantile(level) for level in levels.tolist()]
    largest = max(abs(law.cdf(place) - level) for place, level in zip(places, levels.tolist(), strict=True))
    return Distance(max(largest, abs(law.escaping - sampled.escaping)), sampled.error)


def _growth(system: System, setting: Setting, place: Mapping[str, float], least: float) -> tuple[float | None, str]:
    """Return the search time at this step size, None where growth is not exponential, and the regime.

    Raises `InputError` for a rate below the least that moments resolve.
    """
    others = {name: value for name, value in place.items() if name not in ("mu", "rho")}
    name = regime(system, place.get("mu"), place.get("rho"), kappa=setting.kappa, parameters=others).name
    if name in ("noise-driven", "trapped", "undecided"):
        return None, name if name == "noise-driven" else "fluctuation"
    if is_lora(system) and not others:
        search = search_time(system, place["mu"], rho=place.get("rho"), certify=False)
        check_step(system, setting, search)
        rate = float(search.rate)
        if search.rate > 0 and rate < least:
            student = system.loss_function.student.name
            raise InputError(
                f"{student}, mu = {place['mu']:g} given, whose search time {short(search.tau)} "
                "is beyond what moments in doubles resolve; accepted for the diffusion: functions and alignments that "
                "leave sooner; the formula holds as it is."
            )
    else:
        try:
            rate = leading_mode(system, setting.kappa, place).rate
        except InputError:
            rate = 0.0
    return (compiled(search_time_of)(rate, setting.step_size) if rate > 0 else None), name


def _norms(system: System, place: Mapping[str, float]) -> tuple[float, float]:
    """Return a first domain of r = |w|^2: that of the start and of the teacher, and twice as far."""
    start = dict(system.network.start or {})
    values = {p: place[p.name] for p in system.parameters}
    begun = float(system.entries[r].subs(start).subs(values))
    if not system.entries[r].free_symbols & set(system.states):
        return begun, begun
    return min(begun, 1.0) / 2, 2 * max(begun, 1.0)


def _tabled(ensemble: Ensemble, low: float, high: float) -> Ensemble:
    """Return it with a table of its moments; where none is good enough, with their closed forms."""
    moments = ensemble.motion.moments
    try:
        return replace(ensemble, table=tabulated(moments, low, high))
    except QuadratureError:
        if not moments.are_closed:
            raise
    motion = motion_of(ensemble.system, ensemble.motion.kind, looked_up=False)
    return replace(ensemble, motion=motion, table=None)


def _widened(ensemble: Ensemble, lost: Array) -> Ensemble:
    """Return it with a table that reaches further where paths were lost."""
    table = ensemble.table
    assert table is not None
    norms, middle = ensemble.norms(lost), math.sqrt(table.low * table.high)
    low = table.low / 2 if (norms < middle).any() else table.low
    return _tabled(ensemble, low, table.high * 2 if (norms >= middle).any() else table.high)


def _complete(ensemble: Ensemble, seed: int, begun: Sequence[Sample | None] = (None,)) -> tuple[list[Sample], Ensemble]:
    """Return randomisations, some begun, that no path leaves by leaving the table; those that diverge stay for ever."""
    samples: list[Sample] = []
    for _ in range(WIDENINGS):
        with ThreadPoolExecutor(len(begun)) as pool:
            samples = list(pool.map(ensemble.draw, [seed] * len(begun), range(len(begun)), begun))
        lost = np.concatenate([sample.ends[np.isnan(sample.times)] for sample in samples])
        if not len(lost) or ensemble.table is None:
            break
        ensemble, begun = _widened(ensemble, lost), (None,) * len(begun)
    for sample in samples:
        sample.times[np.isnan(sample.times)] = np.inf
    return samples, ensemble


def _drawn(ensemble: Ensemble, seed: int, begun: Sequence[Sample | None] = (None,) * RANDOMISATIONS) -> _Drawn:
    samples, ensemble = _complete(ensemble, seed, begun)
    apart = [_apart(a.times, b.times) for a, b in itertools.combinations(samples, 2)]
    times = np.concatenate([_within_steps(sample.times, ensemble) for sample in samples])
    ends = np.concatenate([sample.ends[np.isfinite(sample.times)] for sample in samples])
    return _Drawn(np.sort(times), max(apart) / 2, ends, ensemble, samples)


def _within_steps(times: Array, ensemble: Ensemble) -> Array:
    """Return the times of a chain spread over the step before them: a run exits at the first step not before T."""
    if ensemble.motion.kind == "diffusion":
        return times
    spread = times.copy()
    for exit_time in np.unique(times[np.isfinite(times)]):
        same = times == exit_time
        count = int(same.sum())
        spread[same] = exit_time - ensemble.step_size * (1 - (np.arange(count) + 0.5) / count)
    return spread


def _apart(first: Array, second: Array) -> float:
    """The distance of the distribution functions of two samples of one size."""
    both = np.concatenate([first, second])
    shares = [np.searchsorted(np.sort(sample), both, side="right") / len(sample) for sample in (first, second)]
    return float(np.max(np.abs(shares[0] - shares[1])))


def _pilot(ensemble: Ensemble, seed: int, seconds: float) -> tuple[int, Ensemble]:
    """Return how many paths there is time for, by a few; refuse what these show to be out of reach."""
    (sample,), ensemble = _complete(replace(ensemble, paths=PILOT), seed)
    left = np.isfinite(sample.times)
    if left.sum() < PILOT - 1:
        name = ensemble.system.loss_function.student.name
        at = ensemble.alignments(sample.ends[~left])
        largest = float(np.max(at, initial=0.0, where=np.isfinite(at)))
        others = (
            f"are at |m| <= {largest:.3g}" if np.isfinite(at).any() else "diverge, or come where moments are infinite"
        )
        kind = StalledError if largest > ensemble.threshold / 2 else InputError
        raise kind(
            f"{name}, threshold = {ensemble.threshold:g}, kappa = {ensemble.kappa:g} given, where {left.mean():.0%} of "
            f"the paths of the {ensemble.motion.kind} leave within {MOST_STEPS[ensemble.motion.kind]} steps and the "
            f"others {others}; accepted: a threshold below the place where SGD stops, and starts "
            "that are left within some hundred relaxation times; by formula or exact simulation for others."
        )
    work = COST[ensemble.motion.kind, ensemble.motion.looked_up] * sample.steps.mean()
    return max(FEWEST, min(PATHS, 2 ** math.floor(math.log2(seconds / work)))), ensemble


def _check_sample(drawn: _Drawn) -> None:
    ensemble, stays = drawn.ensemble, 1 - float(np.isfinite(drawn.times).mean())
    kind = ensemble.motion.kind
    if stays > NEVER:
        raise InputError(
            f"threshold = {ensemble.threshold:g}, kappa = {ensemble.kappa:g} given, where {stays:.1%} of the paths of "
            f"the {kind} do not leave within {MOST_STEPS[kind]} steps; accepted: a smaller threshold, or by formula."
        )
    expanded = kind == "diffusion" and ensemble.step_size > 0
    if expanded and (stall := ensemble.stall(drawn.ends)) > DIFFUSION_STALL:
        raise StalledError(
            f"threshold = {ensemble.threshold:g}, kappa = {ensemble.kappa:g} given, where SGD's noise holds back "
            f"{stall:.0%} of the drift of m, so near the place where SGD stops that the diffusion does not hold; "
            f"accepted: at most {float(DIFFUSION_STALL):.0%}, that is a smaller threshold or kappa, or the chain of "
            "whole steps."
        )
