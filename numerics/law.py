r"""The law of the exit time as d grows: T, the first t = eta * step with |m| >= R, in numbers.

`theory.law_formula` states and derives the formulas; here their constants are computed. *Linear escape* (LoRA with
G != 0; plain training with information exponent 2): with Z ~ N(0, 1), on the side of sign(Z + z_0),

    T = tau [ (1/2) log d - log|Z + z_0| + prefactor - log(gain) + C ] + o(1),

gain >= 1 the widening of the start by SGD's noise, z_0 that of an initial u too large to forget. C comes from
integrations along the unstable manifold, from |m| = c to R, c -> 0, of the flow with its kappa drift,

    C = lim t(c -> R)/tau + log c.

The start on the eigenvector is off the manifold by O(c^2) where the loss is analytic there and by O(c) where it is not
(ReLU), which float64 makes harmless: every term keeps its digits down to c = 1e-12 (`theory.system.guard`). Errors of
rates enter with a factor log(1/c), so that the error estimate of C is |C(c) - C(100 c)| log(1/c) / log(100).

*Ballistic escape* (plain, information exponent 1): dm/dt = b(m) with b(0) != 0, hence a time of O(1) with

    T = int_0^R dm/b + N(0, (1/b(0)^2 + kappa int_0^R D/b^3 dm) / d) + O(1/d),

D the variance of SGD's noise in m; the mean of a step of size eta adds -eta int (b_2 - b b'/2)/b^2 dm, b_2 its term of
second order. Corrections to linear escape are O(1/sqrt(d)) for ReLU, O(1/d) for analytic losses, and O(eta) in both
(one step of the search is exact in eta, the way out is not). A simulation exits at the first step not before T.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import sympy as sp
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from numerics.evaluate import evaluator
from numerics.flow import Exit, integrate
from numerics.search import gradient_noise, search_time
from theory.errors import InputError, ParameterError
from theory.symbols import J, L_q, L_r, M_ss, m, q, r
from theory.symbols import d as dimension_symbol
from theory.symbols import kappa as kappa_symbol
from theory.symbols import mu as mu_symbol
from theory.symbols import rho as rho_symbol
from theory.system import System

__all__ = ["Ballistic", "Law", "LinearEscape", "escape_law"]

SMALLEST_START = 1e-12
RTOL = 1e-11
INTEGRATION = 30 * RTOL  # measured error of C, nearly critical starts included
LONGEST_WAY = 1e4  # in units of tau: a flow that takes longer counts as trapped
MEDIAN = float(ndtri(0.75))  # of |Z|
WIDEST = 40.0  # standard deviations beyond which a normal density is zero


class Law(Protocol):
    """The law of an exit time T, in t = eta * step; T may be infinite with a positive probability."""

    @property
    def regime(self) -> str:
        """How the start is left."""
        ...

    @property
    def tau(self) -> float | None:
        """The search time, at this step size; None where growth is not exponential."""
        ...

    @property
    def slope_log_d(self) -> float:
        """d(median)/d(log d)."""
        ...

    @property
    def constant(self) -> float:
        """What an integration along the flow gives: C, in units of tau, or the deterministic time."""
        ...

    @property
    def constant_error(self) -> float:
        """An estimate of its error."""
        ...

    @property
    def mean(self) -> float:
        """E T."""
        ...

    @property
    def median(self) -> float:
        """The median of T."""
        ...

    def cdf(self, t: float) -> float:
        """P(T <= t)."""
        ...

    def quantile(self, level: float) -> float:
        """The time by which a fraction `level` of runs has left; infinite where fewer ever do."""
        ...

    def without_noise(self) -> Law:
        """The same law without SGD's noise at the start, which is wrong at kappa > 0: a control."""
        ...

    def slower(self, factor: float) -> Law:
        """The same law with every time multiplied by `factor`: a control."""
        ...


@dataclass(frozen=True)
class LinearEscape:
    """T = tau [ (1/2) log d - log|Z + shift| + prefactor - log(gain) + C ], Z ~ N(0, 1); times in t = eta * step.

    Attributes:
        regime: "linear" (LoRA) or "plain-2".
        tau: search time at this step size.
        dimension: d.
        threshold: R.
        prefactor: log((lambda^2 + alpha^2 G^2)/(alpha^2 |a_m| G)); 0 for plain.
        gain: sqrt(1 + kappa lambda J_0/((2 + eta lambda) G^2)), the widening by SGD's noise; as in
            `theory.law_formula` for plain.
        shift: z_0, the initial u in units of the spread of the start; 0 for plain.
        constant: C for Z + shift > 0.
        constant_below: C for Z + shift < 0, which differs only where m -> -m is no symmetry; infinite where that side
            never exits.
        constant_error: estimate of the error of both.
        published: tau log(R sqrt(d)) at eta -> 0, what the source paper states with eps = 1/sqrt(d), its overlap at
            the start.
        remainder: what the o(1) amounts to at this d, noise aside: the exit time of the flow from a start with
            |Z + shift| = 0.674, minus the law's; NaN where it does not exit.

    >>> from theory.dynamics import derive
    >>> law = escape_law(derive("linear"), mu=0.3, dimension=1e4, threshold=0.9)
    >>> round(law.constant, 8), law.constant_error < 1e-8
    (0.57759002, True)
    >>> round(law.cdf(law.quantile(0.25)), 12)
    0.25
    """

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

    @property
    def slope_log_d(self) -> float:
        """tau / 2."""
        return self.tau / 2

    @property
    def offset(self) -> float:
        """(T/tau) + log|Z + shift| - C."""
        return math.log(self.dimension) / 2 + self.prefactor - math.log(self.gain)

    @property
    def escaping(self) -> float:
        """The probability that T is finite."""
        above = float(ndtr(self.shift))
        return sum(p for p, c in zip((above, 1 - above), self._constants, strict=True) if c < math.inf)

    @property
    def _constants(self) -> tuple[float, float]:
        return self.constant, self.constant_below

    def cdf(self, t: float) -> float:
        """P(T <= t) = P(Z + shift >= h_+) + P(Z + shift <= -h_-), h = exp(offset + C - t/tau) on each side.

        Where t is small it also holds runs that start beyond the threshold.
        """
        above, below = (_exp(self.offset + c - t / self.tau) for c in self._constants)
        return float(ndtr(self.shift - above) + ndtr(-below - self.shift))

    def quantile(self, level: float) -> float:
        """The time t with P(T <= t) = level, in closed form for shift = 0 and a symmetric flow."""
        if not 0 < level < 1:
            raise ParameterError(f"level = {level!r} given; accepted: a number in (0, 1); the median is 0.5")
        if level >= self.escaping:
            return math.inf
        if self.shift == 0 and self.constant == self.constant_below:
            return self.tau * (self.offset + self.constant - math.log(-ndtri(level / 2)))
        finite = [c for c in self._constants if c < math.inf]
        size = WIDEST + abs(self.shift)
        low, high = (self.offset + c for c in (min(finite) - math.log(size), max(finite) + 800.0))
        return float(brentq(lambda t: self.cdf(t) - level, self.tau * low, self.tau * high, xtol=1e-12 * self.tau))

    @property
    def median(self) -> float:
        """The median of T."""
        return self.quantile(0.5)

    @property
    def mean(self) -> float:
        """E T, by -E log|Z| = (gamma + log 2)/2 for shift = 0 and one quadrature otherwise."""
        if self.escaping < 1:
            return math.inf
        above = float(ndtr(self.shift))
        way = above * self.constant + (1 - above) * self.constant_below
        return self.tau * (self.offset + way - _mean_log(self.shift))

    @property
    def published_ratio(self) -> float:
        """tau log(R sqrt(d)) over the median: how much of T the published estimate holds."""
        return self.published / self.median

    def without_noise(self) -> LinearEscape:
        """Return the law of the flow from the random start."""
        return replace(self, gain=1.0, shift=self.shift * self.gain)

    def slower(self, factor: float) -> LinearEscape:
        """Return the law with tau multiplied by `factor`."""
        return replace(self, tau=self.tau * factor)


@dataclass(frozen=True)
class Ballistic:
    """T = constant + deviation Z, Z ~ N(0, 1): plain training with information exponent 1; times in t = eta * step.

    Attributes:
        constant: the time of the flow from m = 0, corrected to first order in eta.
        deviation: standard deviation of T, O(1/sqrt(d)).
        start_deviation: the part of it that is due to the start.

    >>> from theory.dynamics import derive
    >>> law = escape_law(derive("linear", model="plain"), dimension=1e4)  # dm/dt = 1 - m^2
    >>> round(law.median, 10), round(law.deviation, 10)
    (0.5493061443, 0.01)
    """

    dimension: float
    threshold: float
    constant: float
    constant_error: float
    deviation: float
    start_deviation: float
    regime: str = "ballistic"
    tau: None = None
    slope_log_d: float = 0.0

    @property
    def mean(self) -> float:
        """E T up to O(1/d)."""
        return self.constant

    @property
    def median(self) -> float:
        """The median of T up to O(1/d)."""
        return self.constant

    def cdf(self, t: float) -> float:
        """P(T <= t)."""
        return float(ndtr((t - self.constant) / self.deviation))

    def quantile(self, level: float) -> float:
        """The time t with P(T <= t) = level."""
        if not 0 < level < 1:
            raise ParameterError(f"level = {level!r} given; accepted: a number in (0, 1); the median is 0.5")
        return self.constant + self.deviation * float(ndtri(level))

    def without_noise(self) -> Ballistic:
        """Return the law of the flow from the random start."""
        return replace(self, deviation=self.start_deviation)

    def slower(self, factor: float) -> Ballistic:
        """Return the law with every time multiplied by `factor`."""
        return replace(self, constant=self.constant * factor, deviation=self.deviation * factor)


def escape_law(
    system: System,
    *,
    mu: float | None = None,
    rho: float | None = None,
    dimension: float,
    threshold: float = 0.5,
    kappa: float = 0.0,
    step_size: float = 0.0,
    initial_scale: float | None = None,
) -> Law:
    """Return the law of the first time with |m| >= threshold, for d >> 1 and kappa = eta d / B fixed.

    Args:
        system: a derived system, without kappa drift (it is added here), of model lora, misaligned or plain.
        mu: alignment of w0; none with model plain.
        rho: strength |w0|, with model misaligned.
        dimension: d.
        threshold: R in (0, 1).
        kappa: eta d / B; 0 gives the flow from a random start.
        step_size: eta; 0 is the limit of small steps at this kappa.
        initial_scale: u at the start, d^-2 by default; LoRA only.

    Raises:
        ParameterError: a parameter outside its domain.
        InputError: a start that is not linearly unstable, or a threshold that the flow does not reach.

    >>> from theory.dynamics import derive
    >>> law = escape_law(derive("relu"), mu=0.5, dimension=1e5, kappa=4.0)
    >>> round(law.tau, 4), law.regime
    (9.6569, 'linear')
    """
    for name, given, accepted in (
        ("dimension", dimension, dimension >= 3),
        ("kappa", kappa, kappa >= 0),
        ("step_size", step_size, step_size >= 0),
        ("initial_scale", 0.0 if initial_scale is None else initial_scale, True),
    ):
        if not (math.isfinite(given) and accepted):
            domain = {"dimension": "number >= 3", "initial_scale": "number"}.get(name, "number >= 0")
            raise ParameterError(f"{name} = {given!r} given; accepted: a finite {domain}.")
    Exit(threshold)
    setting = _Setting(float(dimension), threshold, float(kappa), float(step_size))
    if system.model.scalars:
        if mu is None:
            raise ParameterError(f"no mu given; accepted with model {system.model.name}: the alignment of w0.")
        return _lora(system, setting, mu, rho, initial_scale)
    if system.model.start is None:
        raise InputError(f"model {system.model.name} given; accepted: lora, misaligned, plain, which have a search.")
    if mu is not None or rho is not None or initial_scale is not None:
        raise ParameterError("mu, rho or initial_scale with model plain given; accepted: none of them.")
    return _plain(system, setting)


@dataclass(frozen=True)
class _Setting:
    dimension: float
    threshold: float
    kappa: float
    step_size: float


def _exp(x: float) -> float:
    return math.exp(min(x, 700.0)) if x < math.inf else math.inf


def _mean_log(shift: float) -> float:
    """E log|Z + shift|."""
    if shift == 0:
        return -(np.euler_gamma + math.log(2)) / 2

    centre, norm = abs(shift), math.sqrt(2 * math.pi)

    def integrand(x: float) -> float:
        w = math.exp(x)
        return x * w * (math.exp(-((w - centre) ** 2) / 2) + math.exp(-((w + centre) ** 2) / 2)) / norm

    breaks = (math.log(w) for w in (max(centre - 8, 1e-3), centre + 1e-3, centre + 8, centre + WIDEST))
    ends = sorted({-WIDEST, *breaks})
    pairs = itertools.pairwise(ends)
    return sum(quad(integrand, a, b, epsabs=1e-12, limit=200)[0] for a, b in pairs)


def _lora(system: System, setting: _Setting, mu: float, rho: float | None, initial_scale: float | None) -> Law:
    found = search_time(system, mu, rho=rho)
    name = system.loss_function.student.name
    if not found.G > 0:
        start = system.escape.regime(mu, rho, kappa=setting.kappa)
        raise InputError(
            f"{name} at mu = {mu}: G = |grad L(w0)| = 0 there, regime {start.name} ({start.because}); accepted are "
            "starts with G != 0; at a critical strength see numerics.noise_driven."
        )
    at = {mu_symbol: mu} | ({} if rho is None else {rho_symbol: rho})
    slope, bend, scale = *_gradient(system, at), float(getattr(system.model, "scale", 1))
    along, across = slope + 2 * mu * bend, mu * slope + 2 * (mu if rho is None else rho) ** 2 * bend
    if rho is None:
        along = -float(found.A or 0.0)
    rate, drive = float(found.rate), float(found.G)
    if abs(along) <= 1e-12 * drive:
        raise InputError(f"{name} at mu = {mu}: m is not driven (L_q + 2 mu L_r = 0); accepted are starts where it is.")
    noise = gradient_noise(system, mu, rho=rho)
    eta, kappa = setting.step_size, setting.kappa
    gain = math.sqrt(1 + kappa * rate * noise / ((2 + eta * rate) * drive**2))
    start = setting.dimension**-2.0 if initial_scale is None else initial_scale
    unit = {"u": -rate / (scale * along), "m": 1.0} | ({} if rho is None else {"s": across / along})
    place = {s.name: v for s, v in at.items()}
    constant, error = _constant(system, setting, rate, unit, place)
    law = LinearEscape(
        regime="linear",
        tau=_search(rate, eta),
        dimension=setting.dimension,
        threshold=setting.threshold,
        prefactor=math.log((rate**2 + scale**2 * drive**2) / (scale**2 * abs(along) * drive)),
        gain=gain,
        shift=rate * start * math.sqrt(setting.dimension) / (abs(scale) * gain * drive),
        constant=constant,
        constant_below=constant,
        constant_error=error,
        published=math.log(setting.threshold * math.sqrt(setting.dimension)) / rate,
    )
    pull = MEDIAN * gain * drive / math.sqrt(setting.dimension) - rate * start / scale  # -(L_q m + 2 L_r s)
    overlaps = {"m": along, "s": across} if rho is not None else {"m": along}
    begun = {name: -pull * value / drive**2 for name, value in overlaps.items()}
    return replace(law, remainder=_remainder(system, setting, law, rate, {"u": start, **begun}, place))


def _remainder(
    system: System,
    setting: _Setting,
    law: LinearEscape,
    rate: float,
    start: dict[str, float],
    place: dict[str, float],
) -> float:
    """The exit time of the flow from a start with |Z + shift| = MEDIAN, minus that of the law."""
    lasts = min(law.constant, law.constant_below) + law.offset - math.log(MEDIAN)
    options: dict[str, Any] = {**place, "kappa": setting.kappa, "t_max": (10 * abs(lasts) + 100) / rate}
    path = integrate(system.sgd(), start, event=Exit(setting.threshold), rtol=1e-9, **options)
    return math.nan if path.exit_time is None else law.tau * (path.exit_time * rate - lasts)


def _search(rate: float, eta: float) -> float:
    """The time in which one step after the other, each a factor 1 + eta rate, multiplies by e."""
    return eta / math.log1p(eta * rate) if eta else 1 / rate


def _gradient(system: System, at: dict[sp.Symbol, float]) -> tuple[float, float]:
    base = system.escape.base_gradient
    assert base is not None
    slope, bend = evaluator(tuple(at) or (mu_symbol,), base)(*(at.values() or (0.0,)))
    return float(slope.value), float(bend.value)


def _constant(
    system: System, setting: _Setting, rate: float, unit: dict[str, float], place: dict[str, float]
) -> tuple[float, float]:
    """Return C and its error, along the unstable direction `unit`, scaled to |m| = 1."""
    drifting = system.sgd()

    def way(size: float) -> float:
        start = {name: size * value for name, value in unit.items()}
        horizon = (LONGEST_WAY - math.log(size)) / rate
        options: dict[str, Any] = {**place, "kappa": setting.kappa, "rtol": RTOL, "t_max": horizon}
        time = integrate(drifting, start, event=Exit(setting.threshold), **options).exit_time
        if time is None:
            path = integrate(drifting, start, **options).states
            raise InputError(
                f"threshold = {setting.threshold:g} given; accepted: one below |m| = {float(abs(path.m).max()):.4g}, "
                "the largest that the flow with its kappa drift reaches from this start."
            )
        return time * rate + math.log(size)

    near, far = way(SMALLEST_START), way(100 * SMALLEST_START)
    return near, abs(near - far) * math.log(1 / SMALLEST_START) / math.log(100) + INTEGRATION


def _plain(system: System, setting: _Setting) -> Law:
    exponent, name = system.information_exponent, system.loss_function.student.name
    if exponent == 1:
        return _ballistic(system, setting)
    drift = system.escape.drift
    if exponent != 2 or drift is None:
        raise InputError(
            f"{name} with model plain: information exponent {exponent}, so that the start is not linearly unstable; "
            "accepted are exponents 1 and 2; for the others see numerics.passage."
        )
    c = float(evaluator((m,), (drift,))(0.0)[0].value)
    _, bend = _gradient(system, {})
    moments = system.loss_function.noise_moments(sp.S.Zero, sp.S.One)
    bulk, extra = (float(v.value) for v in evaluator((m,), (moments[J], moments[M_ss]))(0.0))
    kappa, eta = setting.kappa, setting.step_size
    left = 1 - 2 * eta * bend
    rate, spread = c - kappa * bulk / 2, 2 * c * left + eta * c**2 - kappa * bulk
    if rate <= 0 or spread <= 0 or left <= 0:
        reason = "m = 0 attracts the flow" if c <= 0 else "the kappa drift or the step traps m at 0"
        raise InputError(
            f"{name} with model plain, kappa = {kappa:g}, step size {eta:g}: {reason} (c = {c:.4g}, kappa J_0/2 = "
            f"{kappa * bulk / 2:.4g}); accepted: kappa below {max(0.0, 2 * c / bulk):.4g}, and small steps."
        )
    ways = []
    for side in (1.0, -1.0):
        try:
            ways.append(_constant(system, setting, rate, {"m": side}, {}))
        except InputError:
            ways.append((math.inf, 0.0))
    if all(constant == math.inf for constant, _ in ways):
        _constant(system, setting, rate, {"m": 1.0}, {})  # says how far the flow goes
    (above, error), (below, error_below) = ways
    if abs(above - below) <= error + error_below:  # m -> -m is a symmetry
        below = above
    growth = math.log((left + eta * c) ** 2 / (left**2 + eta * kappa * bulk)) / 2
    law = LinearEscape(
        regime="plain-2",
        tau=eta / growth if eta else 1 / rate,
        dimension=setting.dimension,
        threshold=setting.threshold,
        prefactor=0.0,
        gain=math.sqrt(1 + kappa * (bulk + extra) / spread),
        shift=0.0,
        constant=above,
        constant_below=below,
        constant_error=max(error, error_below),
        published=math.log(setting.threshold * math.sqrt(setting.dimension)) / rate,
    )
    side = 1.0 if above <= below else -1.0
    start = {"m": side * MEDIAN * law.gain / math.sqrt(setting.dimension)}
    return replace(law, remainder=_remainder(system, setting, law, rate, start, {}))


def _ballistic(system: System, setting: _Setting) -> Ballistic:
    """Integrate over m: the time, its correction of first order in eta, and its variance."""
    kappa, eta, functions = setting.kappa, setting.step_size, system.diffusion_functions
    spread = system.diffusion[0, 0] * dimension_symbol
    inner = evaluator((q, r), tuple(functions.values()))
    diffuse = sp.lambdify((m, kappa_symbol, *functions), spread, "math")
    names = list(functions)

    def moments(at: float) -> dict[sp.Symbol, float]:
        return dict(zip(names, inner.values(at, 1.0, gap=(1 - at) * (1 + at)), strict=True))

    def speed(at: float) -> tuple[float, float, float]:
        """b, the second-order term b_2 of a step, and D kappa."""
        f = moments(at)
        slope, bend, bulk = f[L_q], f[L_r], f[J]
        b = -(1 - at**2) * slope - kappa * bulk * at / 2
        first, second = -4 * bend - 2 * slope * at + kappa * bulk, 4 * bend**2 + 4 * bend * slope * at + slope**2
        b2 = at * (3 * first**2 / 8 - second / 2) + (2 * bend * at + slope) * first / 2
        return b, b2, diffuse(at, kappa, *f.values())

    first = speed(0.0)[0]
    end = math.copysign(setting.threshold, first)
    for at in np.linspace(0, end, 65):
        if speed(float(at))[0] * first <= 0:
            raise InputError(
                f"threshold = {setting.threshold:g} given; accepted: one below |m| = {abs(at):.3g}, where the flow "
                f"with kappa = {kappa:g} stops."
            )

    def total(f: Callable[[float], float]) -> tuple[float, float]:
        found = quad(f, 0.0, end, epsabs=1e-13, epsrel=1e-11, limit=200)
        return found[0], found[1]

    time, error = total(lambda x: 1 / speed(x)[0])
    if eta:
        time += eta * math.log(speed(end)[0] / first) / 2
        time -= eta * total(lambda x: speed(x)[1] / speed(x)[0] ** 2)[0]
    begun = 1 / first**2
    noisy = total(lambda x: speed(x)[2] / speed(x)[0] ** 3)[0] if kappa else 0.0
    scale = setting.dimension**-0.5
    return Ballistic(
        setting.dimension, setting.threshold, time, error, math.sqrt(begun + noisy) * scale, math.sqrt(begun) * scale
    )
