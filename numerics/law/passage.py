r"""The exit-time law of plain training, whatever its information exponent: a first passage in one dimension.

Plain training has one state, and at finite kappa its SGD is the diffusion

    dm = [-(1 - m^2) L_q(m, 1) - (kappa/2) J(m, 1) m] dt + sqrt(D(m)) dW,    D = (kappa/d) Cov,    m(0) ~ N(0, 1/d).

Noise matters at |m| ~ d^(-1/2) only. So P(T <= t | m) = w(m, t) solves the backward Kolmogorov equation

    dw/dt = drift dw/dm + (D/2) d^2w/dm^2    on |m| <= X d^(-1/2),

w = 1 at the ends from which the drift leads out, dw/dm = 0 at one from which it leads back, and from X d^(-1/2) on the
flow takes a time that it alone determines. With k the information exponent the scaling follows by itself: at
kappa = O(d^(-(k-2)/2)), for k >= 3, T = d^((k-2)/2) times a law of its own (`theory.search.regimes`); at kappa = 0,

    P(T <= t) = P(|Z| >= sqrt(d) m_t)    on the sides that escape,    m_t the point from which the flow takes t.

In docs/theory.md these are eq-backward and eq-power.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy
from numpy.polynomial import Chebyshev
from numpy.typing import NDArray
from sympy import Expr, S

from numerics.accuracy import LAW_RTOL, PASSAGE_REACH, QUIET_NOISE
from numerics.flows.engines.problem import Engine
from numerics.flows.flow import Exit, exit_times
from numerics.integrals.evaluate import evaluator
from numerics.law.protocol import check_level
from theory.errors import InputError, ParameterError
from theory.lazy import Provided
from theory.network.system import System
from theory.shown import Shown
from theory.symbols import J, L_q, L_r, M_ll, M_ls, M_ss, m
from theory.symbols import d as dimension_symbol
from theory.symbols import kappa as kappa_symbol

__all__ = ["Passage", "passage"]

Array = NDArray[np.float64]

EDGES = (8.0, 16.0, 32.0, 64.0)
"""X: beyond so many standard deviations of the start the flow alone decides; the first where noise is `QUIET_NOISE`."""
POINTS = 3201
DEGREE = 40
LAST = 1 - 1e-5
LONGEST = 40
"""doublings of the time before the law is left as it stands"""
PER_SPAN = 200
GAMMA = 1 - math.sqrt(0.5)
CELLS = 1500
ROUNDING = 1e-15
HORIZON = 1e15


@dataclass(frozen=True, eq=False)
class Passage(Shown):
    """A distribution function of exit times, in t = eta * step, for infinitesimal steps.

    Attributes:
        times: ascending times.
        probabilities: P(T <= time), up to 1 or to the share of runs that escape within the last of `times`.
        regime: "plain-k", k the information exponent.
        power: (k - 2)/2 for k >= 3: T grows like d^power where kappa shrinks like d^-power.
        constant: of T ~ constant d^power |Z|^(2 - k) as kappa -> 0, 1/(c (k - 2)) with dm/dt ~ c m^(k-1); NaN for
            k < 3, whose laws are known in closed form (`LinearEscape`, `Ballistic`).
        constant_error: its error.
        quiet: the law without SGD's noise; None where this is it.
    """

    shows = (
        "regime, power, median, quantile(0.05), quantile(0.95), mean, escaping, slope_log_d, times, "
        "constant ± constant_error"
    )

    plot = Provided()
    """draws P(T <= t)"""

    times: Array
    probabilities: Array
    regime: str = "plain"
    power: float = 0.0
    constant: float = math.nan
    constant_error: float = math.nan
    quiet: Passage | None = None
    tau: None = None

    @cached_property
    def _curve(self) -> scipy.interpolate.PchipInterpolator:
        return scipy.interpolate.PchipInterpolator(self.times, self.probabilities, extrapolate=False)

    def cdf(self, t: float) -> float:
        """P(T <= t); beyond the last time its value there."""
        return 0.0 if t < self.times[0] else float(self._curve(min(t, self.times[-1])))

    def quantile(self, level: float) -> float:
        """The time by which a share `level` of the runs has left; infinite where that many do not."""
        check_level(level)
        if level <= self.probabilities[0]:
            return float(self.times[0])
        if level > self.probabilities[-1]:
            return math.inf
        return float(scipy.optimize.brentq(lambda t: self.cdf(t) - level, self.times[0], self.times[-1], xtol=1e-12))

    def shares(self, t: Array) -> Array:
        """P(T <= t) at each of many times."""
        return np.where(t < self.times[0], 0.0, self._curve(np.clip(t, self.times[0], self.times[-1])))

    @property
    def unit(self) -> float:
        """The median."""
        return self.median

    @property
    def escaping(self) -> float:
        """The probability that T is finite, up to 1e-5."""
        return float(self.probabilities[-1])

    @property
    def median(self) -> float:
        """The median of T."""
        return self.quantile(0.5)

    @property
    def mean(self) -> float:
        """E T; infinite where runs stay, and under the flow for k >= 3, since E |Z|^(2 - k) is."""
        if self.escaping < LAST or (self.quiet is None and self.power > 0):
            return math.inf
        return float(np.trapezoid(1 - self.probabilities, self.times) + self.times[0])

    @property
    def slope_log_d(self) -> float:
        """d(median)/d(log d) = power * median, at kappa d^power fixed."""
        return self.power * self.median

    def without_noise(self) -> Passage:
        """Return the law of the flow from the random start."""
        return self.quiet or self

    def slower(self, factor: float) -> Passage:
        """Return the law with every time multiplied by `factor`."""
        quiet = None if self.quiet is None else self.quiet.slower(factor)
        return replace(self, times=self.times * factor, quiet=quiet)


def passage(
    system: System,
    *,
    dimension: float,
    threshold: float,
    kappa: float = 0.0,
    rtol: float = LAW_RTOL,
    engine: Engine | str | None = None,
) -> Passage:
    """Return the law of the first time at which |m| reaches the threshold, from a uniformly drawn start.

    Args:
        system: a derived system of model plain.
        dimension: d >= (10/R)^2, so that X d^(-1/2) lies below the threshold (400 for R = 0.5).
        threshold: R in (0, 1).
        kappa: eta d / B; 0 is the gradient flow.
        rtol: relative tolerance of the flow's times.
        engine: what integrates them, as for `exit_times`.

    Raises:
        InputError: another model.
        ParameterError: d, R or kappa outside their domain.

    >>> from theory.network.derivation import derive
    >>> law = passage(derive("he4", model="plain"), dimension=1e6, threshold=0.5)
    >>> approximate = law.constant * 1e6**law.power / 0.67449**2  # median |Z|; constant = 1/(c (k - 2)) = 1/192
    >>> abs(law.median / approximate - 1) < 1e-3
    True
    """
    if not system.escape.on_sphere:
        raise InputError(f"model {system.network.name} given; accepted: a system of model plain.")
    widest = PASSAGE_REACH * threshold * math.sqrt(dimension) if dimension > 0 else 0.0
    if not (0 < threshold < 1 and widest >= EDGES[0]):
        raise ParameterError(
            f"dimension = {dimension!r}, threshold = {threshold!r} given; accepted: a threshold in (0, 1), and "
            f"{PASSAGE_REACH} threshold sqrt(d) >= {EDGES[0]:g}; take a larger d."
        )
    if not (math.isfinite(kappa) and kappa >= 0):
        raise ParameterError(f"kappa = {kappa!r} given; accepted: a number >= 0; 0 is the gradient flow.")
    exponent, drift = system.information_exponent or 0, system.escape.drift
    known: dict[str, Any] = {"regime": f"plain-{exponent}"}
    if exponent > 2 and drift is not None:
        (pull,) = evaluator((m,), (drift,))(0.0)
        size = abs(float(pull.value))
        known |= {"power": exponent / 2 - 1, "constant": 1 / (size * (exponent - 2))}
        known["constant_error"] = known["constant"] * (float(pull.error) / size + ROUNDING)
    flow = {"rtol": rtol, "engine": engine}
    quiet = replace(_without_noise(system, dimension, threshold, flow), **known)
    if kappa == 0:
        return quiet
    return replace(_with_noise(system, dimension, threshold, kappa, flow), quiet=quiet, **known)


def _with_noise(system: System, dimension: float, threshold: float, kappa: float, flow: dict[str, Any]) -> Passage:
    """Solve the diffusion near m = 0 and follow the flow from there."""
    widest = PASSAGE_REACH * threshold * math.sqrt(dimension)
    widest, root = min(widest, EDGES[-1]), math.sqrt(dimension)
    drift, spread = _coefficients(system, kappa, widest / root)
    noises = [(X, spread(X / root) / abs(2 * X * root * drift(X / root))) for X in EDGES if widest >= X]
    edge = next((X for X, noise in noises if noise < QUIET_NOISE), noises[-1][0])
    ends = np.array([-edge, edge]) / root
    rest = np.where(drift(ends) * ends > 0, _exits(system, ends, threshold, kappa, flow), np.inf)
    return _diffusion(drift, spread, dimension, edge, rest)


def _coefficients(system: System, kappa: float, edge: float) -> tuple[Chebyshev, Chebyshev]:
    """Drift and d times the variance, as interpolants over |m| <= edge."""
    loss, noisy = system.loss_function, system.sgd()
    slope, bend = loss.gradient(m, S.One)
    moments = loss.noise_moments(m, S.One)
    inner: dict[Expr, Expr] = {L_q: slope, L_r: bend, kappa_symbol: S(kappa)}
    inner |= {name: moments[name] for name in (J, M_ss, M_ls, M_ll)}
    drift = noisy.velocities[m].xreplace(inner)
    variance = (system.covariance(norm=False)[0, 0] * dimension_symbol).xreplace(inner)
    estimates = evaluator((m,), (drift, variance))

    def curve(which: int) -> Chebyshev:
        def values(points: Array) -> Array:
            return np.array([estimates(float(point))[which].value for point in points])

        return Chebyshev.interpolate(values, DEGREE, [-edge, edge])

    return curve(0), curve(1)


def _exits(system: System, points: Array, threshold: float, kappa: float, flow: dict[str, Any]) -> Array:
    """Time of the flow from points to the threshold; inf where it is not reached."""
    longest = HORIZON * (1 + float(np.min(np.abs(points))) ** (2 - (system.information_exponent or 2)))
    path = exit_times(
        system.sgd(), {"m": points}, event=Exit(threshold), t_max=longest, threads=None, kappa=kappa, **flow
    )
    return np.where(path.outcome.values == "EXITED", path.exit_time.values, np.inf)


def _without_noise(system: System, dimension: float, threshold: float, flow: dict[str, Any]) -> Passage:
    """Carry the start's distribution along the flow, cell by cell."""
    half = np.append(np.geomspace(1e-6, EDGES[0], CELLS), threshold * math.sqrt(dimension))
    x = np.concatenate([-half[::-1], half])
    times = _exits(system, x / math.sqrt(dimension), threshold, 0.0, flow)
    early, late = np.minimum(times[:-1], times[1:]), np.maximum(times[:-1], times[1:])
    known = np.isfinite(late)
    early, mass = early[known], np.diff(scipy.special.ndtr(x))[known]
    width = np.maximum(late[known] - early, 1e-12 * late[known] + 1e-300)
    grid = _distinct(times[np.isfinite(times)])
    return Passage(grid, np.array([float(mass @ np.clip((t - early) / width, 0.0, 1.0)) for t in grid]))


def _distinct(times: Array) -> Array:
    """Sort, and drop times that rounding alone tells apart."""
    ordered = np.sort(times)
    return ordered[np.append(True, np.diff(ordered) > 1e-9 * ordered[1:])]


def _diffusion(drift: Chebyshev, spread: Chebyshev, dimension: float, edge: float, rest: Array) -> Passage:
    """Solve the backward equation on x = sqrt(d) m, for each end that leads out."""
    y, root = np.linspace(-math.asinh(edge), math.asinh(edge), POINTS), math.sqrt(dimension)
    pull, noise = root * drift(np.sinh(y) / root), spread(np.sinh(y) / root)
    curves = [_leaving(y, pull, noise, end, np.isfinite(rest)) for end in (0, 1) if np.isfinite(rest[end])]
    delays = rest[np.isfinite(rest)]
    if not curves:
        return Passage(np.array([0.0, 1.0]), np.zeros(2))
    times = _distinct(np.concatenate([curve.times + delay for curve, delay in zip(curves, delays, strict=True)]))
    total = sum(curve.shares(times - delay) for curve, delay in zip(curves, delays, strict=True))
    return Passage(times, np.minimum(np.maximum.accumulate(np.asarray(total)), 1.0))


def _leaving(y: Array, pull: Array, noise: Array, exit_end: int, outward: Array) -> Passage:
    """P(the first end reached is this one, by time t), x = sinh y, x(0) ~ N(0, 1); ends not `outward` reflect."""
    h, ends, stretch = y[1] - y[0], (0, -1), np.cosh(y)
    noise = noise / stretch**2  # Ito's formula for y
    pull = pull / stretch - noise * np.tanh(y) / 2
    below, above = noise / (2 * h * h) - pull / (2 * h), noise / (2 * h * h) + pull / (2 * h)
    middle, state = -(below + above), np.zeros(len(y))
    for end, inner, missing in ((0, above, below), (1, below, above)):
        place = ends[end]
        if outward[end]:  # held: nothing changes there
            inner[place] = middle[place] = 0.0
            state[place] = float(end == exit_end)
        else:  # the missing neighbour mirrors the other one
            inner[place] += missing[place]
    matrix = scipy.sparse.diags_array([below[1:], middle, above[:-1]], offsets=[-1, 0, 1]).tocsc()
    identity = scipy.sparse.eye_array(len(y), format="csc")
    weight = np.exp(-(np.sinh(y) ** 2) / 2) / math.sqrt(2 * math.pi) * stretch * h
    span = 0.1 / float(np.max(np.abs(pull)))
    times, shares = [0.0], [float(weight @ state)]
    for _ in range(LONGEST):
        step = span / PER_SPAN
        # SDIRK2, L-stable, of order 2 (Alexander 1977): one factorisation serves a whole span.
        solve = scipy.sparse.linalg.splu(identity - GAMMA * step * matrix).solve
        for _ in range(PER_SPAN):
            first = solve(matrix @ state)
            second = solve(matrix @ (state + (1 - GAMMA) * step * first))
            state = state + step * ((1 - GAMMA) * first + GAMMA * second)
            times.append(times[-1] + step)
            shares.append(float(weight @ state))
        span, gain = 2 * span, shares[-1] - shares[-1 - PER_SPAN]
        if shares[-1] > LAST or (gain < 1 - LAST and shares[-1] > 0.1):
            break
    return Passage(np.array(times), np.maximum.accumulate(np.clip(shares, 0.0, 1.0)))
