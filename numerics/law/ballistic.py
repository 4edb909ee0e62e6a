r"""Ballistic escape: plain training with information exponent 1.

dm/dt = b(m) with b(0) != 0, hence a time of O(1) with

    T = int_0^R dm/b + N(0, (1/b(0)^2 + kappa int_0^R D/b^3 dm) / d) + O(1/d),

D the variance of SGD's noise in m; the mean of a step of size eta adds -eta int (b_2 - b b'/2)/b^2 dm, b_2 its term of
second order. A simulation exits at the first step not before T.

*What is left out*, the `remainder`, is the next order of the median (expand log E exp(d p T | m) in p; the diffusion's
backward equation makes each order a quadrature), with b_0 = b(0) and S^2 = d Var T,

    delta = (1/d) [ b_0'/(2 b_0^2) + int D b'/(2 b^3) dm - K/(6 S^2) ],
    K = 3 b_0'/b_0^4 + 3 D_0/b_0^4 + 3 int D^2/b^5 dm,

(D with its kappa) which grows without bound as R nears the place where the flow stops; and, each with a bound of its
size, the order after that (delta^2/sd), drifts of SGD of relative order 1/d, the second order in eta, and paths that
cross R and come back between two steps, 0.583 sqrt(eta D/d)/b at R (Chernoff; Siegmund). Their moduli are added.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy
import sympy as sp
from numpy.polynomial import Chebyshev
from numpy.typing import NDArray

from numerics.accuracy import LARGEST_BALLISTIC_STEP
from numerics.integrals.evaluate import on_covariance
from numerics.law.normal import normal_cdf, normal_quantile
from numerics.law.protocol import Setting, check_level
from theory.errors import InputError
from theory.lazy import Provided
from theory.network.system import System
from theory.shown import Shown
from theory.symbols import J, L_q, L_r, m
from theory.symbols import d as dimension_symbol
from theory.symbols import kappa as kappa_symbol

__all__ = ["Ballistic", "ballistic"]

DEGREE, ORDER = 24, 40
BARRIER = 0.5826  # -zeta(1/2)/sqrt(2 pi): a walk looked at once a step exits as if so many of its steps later


@dataclass(frozen=True)
class Ballistic(Shown):
    """T = constant + deviation Z, Z ~ N(0, 1): plain training with information exponent 1; times in t = eta * step.

    Attributes:
        dimension: d, the input dimension.
        threshold: R, the |m| of the exit.
        regime: ballistic, the start having a velocity.
        constant: the time of the flow from m = 0, corrected to first order in eta.
        deviation: standard deviation of T, O(1/sqrt(d)).
        start_deviation: the part of it that is due to the start.
        remainder: a bound on what the law's median leaves out at this d and step size.

    >>> from numerics.law import escape_law
    >>> from theory.network.derivation import derive
    >>> law = escape_law(derive("linear", model="plain"), dimension=1e4)  # dm/dt = 1 - m^2
    >>> round(law.median, 10), round(law.deviation, 10)
    (0.5493061443, 0.01)
    """

    shows = (
        "regime, dimension, threshold, median, quantile(0.05), quantile(0.95), mean, deviation, "
        "start_deviation, constant ± constant_error, remainder"
    )

    plot = Provided()
    """draws P(T <= t)"""

    dimension: float
    threshold: float
    constant: float
    constant_error: float
    deviation: float
    start_deviation: float
    remainder: float = math.nan
    regime: str = "ballistic"
    tau: None = None
    power: float = 0.0
    slope_log_d: float = 0.0
    escaping: float = 1.0

    @property
    def unit(self) -> float:
        """The standard deviation."""
        return self.deviation

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
        return normal_cdf((t - self.constant) / self.deviation)

    def quantile(self, level: float) -> float:
        """The time t with P(T <= t) = level."""
        check_level(level)
        return self.constant + self.deviation * normal_quantile(level)

    def without_noise(self) -> Ballistic:
        """Return the law of the flow from the random start."""
        return replace(self, deviation=self.start_deviation)

    def slower(self, factor: float) -> Ballistic:
        """Return the law with every time multiplied by `factor`."""
        scaled = {name: getattr(self, name) * factor for name in ("constant", "deviation", "remainder")}
        return replace(self, **scaled)


def ballistic(system: System, setting: Setting) -> Ballistic:
    """Integrate over m: the time, its correction of first order in eta, and its variance.

    Raises `InputError` for a threshold that the flow with its kappa drift does not reach.
    """
    kappa, eta, functions = setting.kappa, setting.step_size, system.diffusion_functions
    spread = system.diffusion[0, 0] * dimension_symbol
    inner = on_covariance(tuple(functions.values()))
    diffuse = sp.lambdify((m, kappa_symbol, *functions), spread, "math")
    names = list(functions)

    def moments(at: float) -> dict[sp.Symbol, float]:
        return dict(zip(names, inner.values(at, 1.0, (1 - at) * (1 + at)), strict=True))

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
        integral = scipy.integrate.quad(f, 0.0, end, epsabs=1e-13, epsrel=1e-11, limit=200)
        return integral[0], integral[1]

    time, error = total(lambda x: 1 / speed(x)[0])
    steps = 0.0
    if eta:
        second = eta * total(lambda x: speed(x)[1] / speed(x)[0] ** 2)[0]
        steps = eta * math.log(speed(end)[0] / first) / 2 - second
        time += steps
        if not abs(second) < LARGEST_BALLISTIC_STEP * time:
            raise InputError(
                f"step_size = {eta:g} given, whose correction is as large as the exit time {time:.4g}; accepted: a "
                "small part of that time."
            )
    begun = 1 / first**2
    noisy = total(lambda x: speed(x)[2] / speed(x)[0] ** 3)[0] if kappa else 0.0
    scale = setting.dimension**-0.5
    deviation = math.sqrt(begun + noisy) * scale
    curve = _interpolant(speed, end)
    remainder = _remainder(*curve, end, deviation, setting) + steps**2 / time
    return Ballistic(setting.dimension, setting.threshold, time, error, deviation, math.sqrt(begun) * scale, remainder)


def _interpolant(speed: Callable[[float], tuple[float, float, float]], end: float) -> tuple[Chebyshev, Chebyshev]:
    """b and D kappa between 0 and the threshold."""

    def curve(which: int) -> Chebyshev:
        def values(points: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.array([speed(float(point))[which] for point in points])

        return Chebyshev.interpolate(values, DEGREE, sorted((0.0, end)))

    return curve(0), curve(2)


def _remainder(speed: Chebyshev, noise: Chebyshev, end: float, deviation: float, setting: Setting) -> float:
    """The next order of the median, and bounds on the orders after it; its steps aside."""
    points, weights = np.polynomial.legendre.leggauss(ORDER)
    at, weights = end / 2 * (1 + points), end / 2 * weights
    b, slope, spread = speed(at), speed.deriv()(at), noise(at)
    b0, slope0, spread0 = (float(f(0.0)) for f in (speed, speed.deriv(), noise))
    mean = slope0 / (2 * b0**2) + weights @ (spread * slope / (2 * b**3))
    third = 3 * (slope0 + spread0) / b0**4 + 3 * weights @ (spread**2 / b**5)
    following = abs(mean / setting.dimension - third / (6 * setting.dimension**2 * deviation**2))
    drifts = abs(weights @ (spread * at / b**2)) / setting.dimension
    between = BARRIER * math.sqrt(setting.step_size * float(noise(end)) / setting.dimension) / abs(float(speed(end)))
    return float(following * (1 + following / deviation) + drifts + between)
