r"""The best value of a parameter of a family: where fine-tuning searches for the shortest time, or leaves first.

What is minimised at one alignment mu is the search time tau, or, with a dimension, the median of the law of the exit
time (`numerics.law`), both in t = eta * step. Where A and B are polynomials in the parameter with rational
coefficients, the stationary points of tau and its limits at infinity are exact (`theory.search.stationary`), and so is
the smallest of them and of the ends. Elsewhere the time is sampled over the domain and its lowest sample refined;
towards an end that does not belong to the domain it is followed by halving the distance to it, or doubling the value,
and extrapolated (Aitken) where it keeps falling.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal

import mpmath
import scipy
import sympy as sp
from sympy import Expr, S, Symbol

from numerics.accuracy import BEST_MEDIAN, BEST_PARAMETER, LAW_RTOL, VALUE
from numerics.best.alignment import End
from numerics.flows.engines.native import Native
from numerics.flows.family import OfFamily
from numerics.integrals.evaluate import exact_number
from numerics.law import escape_law
from numerics.law.choose import setting_of
from numerics.rates.search_time import search_time
from theory.calculus.expectations import is_closed
from theory.errors import HermescapeError, InputError, NotIntegrableError, ParameterError, QuadratureError
from theory.language.activations import Activation
from theory.language.parameters import Declarations, Parameter
from theory.language.substitution import TooLargeError
from theory.network.linearisation import Escape
from theory.network.system import System
from theory.search.roots import drive_of
from theory.search.stationary import condition, limit_of_tau, stationary_values, tau_of
from theory.search.window import chambers_along, defined_part, family_over, window
from theory.shown import Shown, beside, short
from theory.symbols import mu as mu_symbol

__all__ = ["BestParameter", "best_parameter"]

SAMPLES = {"tau": 64, "median": 24}
STEPS = {"tau": 24, "median": 12}  # halvings of the way to an end
SETTLED = 1e-10  # relative change: a limit is reached
DIGITS = 30
LARGEST = 1e300
ROUGH = 1e-6  # relative, of the samples of tau
Time = Callable[[float, float], float]
"""the time at a value of the parameter, to a relative tolerance where that is an integral"""


@dataclass(frozen=True)
class BestParameter(Shown):
    """Where in a family the search time, or the median of the exit time, is shortest.

    Attributes:
        name: of the parameter.
        value: the best one, exact or a Float; the end to which the time keeps falling, which may be infinite, where
            none is best.
        time: there, or its limit; t = eta * step.
        quantity: "tau" or "median".
        error: estimate of the error of `value`, or of `time` where that is a limit.
        end: "low" or "high" where it is an end of the domain, None inside.
        exact: whether the minimum is certain: tau is algebraic with isolated stationary points.
        is_attained: whether the value belongs to the domain.
        domain: that was searched.
    """

    shows = "name, value, time, quantity, error, end, exact, is_attained, domain"

    name: str
    value: Expr
    time: Expr
    quantity: Literal["tau", "median"]
    error: float
    end: End | None
    exact: bool
    is_attained: bool
    domain: str

    @property
    def words(self) -> str:
        """The answer in a sentence."""
        subject = "tau" if self.quantity == "tau" else "the median exit time"
        if not self.is_attained:
            infinite = {S.Infinity: "infinity", S.NegativeInfinity: "-infinity"}
            limit = "it falls to 0" if self.time == 0 else f"its limit is {_shown(self.time)}"
            return f"{subject} keeps falling as {self.name} -> {infinite.get(self.value, _shown(self.value))}: {limit}"
        where = {"low": ", the lower end of {}", "high": ", the upper end of {}", None: ", inside {}"}[self.end]
        value = _shown(self.value) if self.exact else beside(float(self.value), self.error)
        place = f"{self.name} = {value}{where.format(self.domain)}"
        return f"{subject} is shortest, {_shown(self.time)}, at {place}"


def _shown(number: Expr) -> str:
    return short(float(number) if number.is_Float else number)


def best_parameter(
    system: str | Expr | Activation | System,
    over: str,
    *,
    mu: float | Expr | str,
    between: Sequence[float | Expr | str] | None = None,
    dimension: float | None = None,
    step_size: float | None = None,
    batch: float | None = None,
    kappa: float | None = None,
    threshold: float | None = None,
    tolerance: float = BEST_PARAMETER,
    parameters: Declarations = None,
    **values: float | Expr | str,
) -> BestParameter:
    """Return the value of a parameter with the shortest search time at mu, or the shortest median of the exit time.

    Args:
        system: a derived family of model lora; or an activation, whose parameters are `over` and those with values.
        over: name of the parameter.
        mu: alignment of w0.
        between: ends of the interval that is searched; by default the whole domain of the parameter. Of it what lies
            where the functions are real and square-integrable.
        dimension: d; with it the median of the law is minimised, otherwise tau.
        step_size: eta, with d; 0 by default, the limit of small steps.
        batch: samples a step, with d and eta: kappa = eta d / batch.
        kappa: in place of batch; 0 by default.
        threshold: R of the exit, with d; 0.5 by default.
        tolerance: of the value, relative to it, where the minimum is not exact nor a closed form's; at least 1e-4 for
            a median. A minimum between neighbouring samples, 64 of tau and 24 of the median, may be missed.
        parameters: declarations for an activation as text (`hermescape.derive`).
        values: of the other parameters.

    Raises:
        ParameterError: another model, numbers outside their domain, or some without the others that they need.
        InputError: a student whose A is infinite.
        HermescapeError: a time that is infinite wherever it was looked at.

    >>> best = best_parameter("erf(beta*x)", "beta", mu=0.4, parameters="beta > 0")
    >>> print(best.words)
    tau is shortest, 20.336965, at beta = 0.708832359..., inside beta > 0
    >>> best_parameter("max(x, 0) + a*min(x, 0)", "a", mu=0.4, between=(0, 2)).words  # tau(ReLU)/(1 + a^2)
    'tau is shortest, (5 + sqrt(61))/9 = 1.4233611, at a = 2, the upper end of 0 <= a <= 2'
    """
    family = family_over(system, over, parameters, values)
    part = defined_part(family, window(family, over, between))
    alignment = exact_number(mu, "mu")
    if not 0 < alignment <= 1:
        raise ParameterError(f"mu = {mu!r} given; accepted: a number in (0, 1]; mu is the alignment <w0, w*>.")
    drive_of(family.escape)
    setting = {"step_size": step_size, "batch": batch, "kappa": kappa, "threshold": threshold}
    if dimension is None:
        stray = [name for name, number in setting.items() if number is not None]
        if stray:
            raise ParameterError(f"{stray[0]} without a dimension given; accepted: it with one, or left out.")
        _require_influence(family, part)
        exact = _exact(family, part, alignment)
        if exact is not None:
            return exact
        return _sampled(part, "tau", _tau(family, over, alignment), tolerance, _polished(family, part, alignment))
    options = _setting(dimension, **setting)
    finest = max(tolerance, BEST_MEDIAN)
    return _sampled(part, "median", _median(family, over, float(alignment), options), finest, None)


def _setting(
    dimension: float,
    *,
    step_size: float | None,
    batch: float | None,
    kappa: float | None,
    threshold: float | None,
) -> dict[str, float]:
    """Return what a law takes."""
    if batch is not None:
        if kappa is not None or step_size is None or not 0 < batch < math.inf:
            raise ParameterError(
                f"batch = {batch!r} given; accepted: a number > 0 with step_size and without kappa, which is "
                "step_size d / batch."
            )
        kappa = step_size * dimension / batch
    shared = {"kappa": kappa or 0.0, "step_size": step_size or 0.0}
    radius = 0.5 if threshold is None else threshold
    setting_of(dimension, radius, **shared)
    return {"dimension": dimension, "threshold": radius, **shared}


def _require_influence(family: System, part: Parameter) -> None:
    """Refuse a parameter that tau does not depend on, such as that of the label noise alone."""
    escape, symbol = family.escape, part.symbol
    if not any(f is None or f.has(symbol) for f in (escape.A, escape.B, escape.square)):
        raise ParameterError(
            f"{part.name} given, which tau does not depend on; accepted: a parameter of student, teacher or alpha; or "
            "a dimension, with kappa or batch: the median depends on label noise too."
        )


# --- exactly


def _exact(family: System, part: Parameter, alignment: Expr) -> BestParameter | None:
    """Compare tau at the stationary points and at the ends of every chamber; None where it is not algebraic."""
    candidates = list[tuple[Expr, Expr]]()
    for piece, system in chambers_along(family, part):
        p = piece.symbol
        escape = system.escape
        parts = _parts(escape, alignment, p)
        if parts is None:
            return None
        drive, bend, square = parts
        inside = stationary_values(drive, bend, square, piece)
        if inside is None:
            return None
        for value in (piece.low, *inside, piece.high):
            if value.is_finite:
                tau = tau_of(drive.subs(p, value), bend.subs(p, value), square)
            else:
                tau = limit_of_tau(drive, bend, square, p, 1 if value > 0 else -1)
            candidates.append((value, tau))
    value, tau = min(candidates, key=lambda pair: (float(pair[1]), not part.contains(pair[0])))
    if tau is S.Infinity:
        raise _nowhere(part, "tau")
    return BestParameter(part.name, value, tau, "tau", 0.0, _end(value, part), True, part.contains(value), str(part))


def _parts(escape: Escape, alignment: Expr, parameter: Symbol) -> tuple[Expr, Expr, Expr] | None:
    """Return A, B and alpha^2 at mu, a scale with the parameter as a factor of A and B; None without them."""
    drive, bend = (f if f is None else f.subs(mu_symbol, alignment) for f in (escape.A, escape.B))
    if drive is None or bend is None or escape.square is None or escape.scale is None:
        return None
    if not escape.square.has(parameter):
        return drive, bend, escape.square
    return escape.scale * drive, escape.square * bend, S.One


def _end(value: Expr, part: Parameter) -> End | None:
    return "low" if value == part.low else "high" if value == part.high else None


def _nowhere(part: Parameter, quantity: str) -> HermescapeError:
    return HermescapeError(
        f"{quantity} is infinite wherever it was looked at in {part}; accepted: a mu, or an interval, at which the "
        "search escapes."
    )


# --- by samples


def _tau(family: System, over: str, alignment: Expr) -> Time:
    def tau(value: float, tolerance: float) -> float:
        try:
            time = search_time(family, alignment, parameters={over: value}, tolerance=tolerance, certify=False).tau
            return math.inf if time is None else float(time)
        except TooLargeError:
            return math.nan
        except (QuadratureError, NotIntegrableError):
            return math.inf

    return tau


def _median(family: System, over: str, alignment: float, options: dict[str, float]) -> Time:
    engine = Native(norms=(alignment**2, alignment**2), finest=LAW_RTOL)

    def median(value: float, tolerance: float) -> float:
        del tolerance  # a law has its own
        here: dict[str, Any] = {**options, "engine": OfFamily(family.within({over: value}), {over: value}, engine)}
        with suppress(InputError, QuadratureError):  # no law: the start traps, or the threshold is not reached
            return float(escape_law(family.member({over: value}), mu=alignment, **here).median)
        return math.inf

    return median


def _polished(family: System, part: Parameter, alignment: Expr) -> Callable[[float], sp.Float] | None:
    """Return what solves d tau/dp = 0 next to a guess by Newton's method, at 30 digits; None without a closed form."""
    escape = family.escape
    parts = None if family.conditions else _parts(escape, alignment, part.symbol)
    if parts is None or not all(map(is_closed, parts)):
        return None
    slope = condition(*parts, part.symbol)

    def polished(guess: float) -> sp.Float:
        def at(value: mpmath.mpf) -> mpmath.mpf:
            return mpmath.mpf(slope.subs(part.symbol, sp.Float(value, DIGITS)).evalf(DIGITS))

        with mpmath.workdps(DIGITS):
            start = mpmath.mpf(guess)
            return sp.Float(mpmath.findroot(at, (start, start * (1 + mpmath.mpf(10) ** -8)), tol=1e-40), 15)

    return polished


def _sampled(
    part: Parameter,
    quantity: Literal["tau", "median"],
    time: Time,
    tolerance: float,
    polished: Callable[[float], sp.Float] | None,
) -> BestParameter:
    """Sample the time, follow it to the ends that are open, and refine the lowest sample."""
    count = SAMPLES[quantity]
    inner = [float(part.inside(sp.Rational(2 * i + 1, 2 * count))) for i in range(count)]
    low, high = ([float(end)] if closed else [] for end, closed in zip((part.low, part.high), part.closed, strict=True))
    inner = [value for value in inner if part.contains(sp.Float(value))]
    looked = [(value, time(value, ROUGH)) for value in [*low, *inner, *high]]
    samples = [(value, at) for value, at in looked if not math.isnan(at)]  # numbers that are not too large
    if not samples:
        raise _nowhere(part, quantity)
    best = min(range(len(samples)), key=lambda i: samples[i][1])
    made = {"name": part.name, "quantity": quantity, "exact": False, "domain": str(part)}
    for end, side, closed in ((part.low, 0, bool(low)), (part.high, -1, bool(high))):
        if best != side % len(samples) or closed:
            continue
        way = _way(samples[side][0], float(end), time, STEPS[quantity])
        limit = _limit([at for _, at in way])
        if limit is not None:
            value, error = limit
            where: dict[str, Any] = {"end": "low" if side == 0 else "high", "is_attained": False}
            return BestParameter(value=end, time=sp.Float(value) if value else S.Zero, error=error, **where, **made)
        if len(way) < STEPS[quantity]:
            raise HermescapeError(
                f"{quantity} still falls towards {part.name} = {_shown(end)} where numbers grow too large; accepted: "
                "an interval that ends before."
            )
        samples = [*reversed(way[1:]), *samples] if side == 0 else [*samples, *way[1:]]
        best = min(range(len(samples)), key=lambda i: samples[i][1])
    if not math.isfinite(samples[best][1]):
        raise _nowhere(part, quantity)
    return _refined(samples, best, part, time, tolerance, polished, made)


def _refined(
    samples: list[tuple[float, float]],
    best: int,
    part: Parameter,
    time: Time,
    tolerance: float,
    polished: Callable[[float], sp.Float] | None,
    made: dict[str, Any],
) -> BestParameter:
    """Return the minimum next to the lowest sample, or at the closed end that this is."""
    value, least = samples[best]
    around = samples[max(best - 1, 0)][0], samples[min(best + 1, len(samples) - 1)][0]
    size = tolerance * max(map(abs, around))
    refined = scipy.optimize.minimize_scalar(
        lambda at: min(time(float(at), VALUE), LARGEST), bounds=around, method="bounded", options={"xatol": size}
    )
    own: dict[float, End] = {float(part.low): "low", float(part.high): "high"}
    least = min(least, time(value, VALUE))
    if refined.fun >= least and value in own:
        end = sp.Rational(part.low if own[value] == "low" else part.high)
        return BestParameter(value=end, time=sp.Float(least), error=0.0, end=own[value], is_attained=True, **made)
    if refined.fun < least:
        value, least = float(refined.x), float(refined.fun)
    place, error = sp.Float(value), size
    if polished is not None:
        with suppress(ValueError, TypeError, ZeroDivisionError):
            solution = polished(value)
            if abs(float(solution) - value) <= 1e3 * size:
                place, error, least = solution, 1e-15 * abs(float(solution)), min(least, time(float(solution), VALUE))
    return BestParameter(value=place, time=sp.Float(least), error=error, end=None, is_attained=True, **made)


def _way(start: float, end: float, time: Time, steps: int) -> list[tuple[float, float]]:
    """Return values that go to an end by halves of the distance, or by doubling to infinity, and the times there.

    They end where numbers grow too large.
    """
    if math.isfinite(end):
        places = [end + (start - end) / 2**j for j in range(steps)]
    else:
        places = [start + math.copysign(max(abs(start), 1.0), end) * (2**j - 1) for j in range(steps)]
    times = ((place, time(place, VALUE)) for place in places)
    return list(takewhile(lambda sample: not math.isnan(sample[1]), times))


def _limit(times: list[float]) -> tuple[float, float] | None:
    """Return the limit of times that fall without end, and its error; None of times that rise again, or end."""
    if len(times) < 4 or not all(map(math.isfinite, times)) or times[-1] > min(times) * (1 + SETTLED):
        return None
    if abs(times[-1] - times[-2]) <= SETTLED * abs(times[-1]):
        return times[-1], abs(times[-1] - times[-2])
    last, before = (_aitken(*times[i : i + 3]) for i in (len(times) - 3, len(times) - 4))
    error = abs(last - before)
    return (0.0, times[-1]) if last <= error else (last, error)


def _aitken(first: float, second: float, third: float) -> float:
    """Return the limit of a sequence that approaches it geometrically."""
    bend = (third - second) - (second - first)
    return third if bend == 0 else third - (third - second) ** 2 / bend
