r"""Numbers of the search phase at given mu: A, B, growth rate, search time, each with its error.

With S = sqrt(B^2 + 4 G^2) the rate is lambda = (B + S)/2 and tau = 1/lambda. For B < 0 that is a difference of nearly
equal numbers when G is small, so lambda = 2 G^2 / (S - B) is used there. lambda grows with G and with B, so that
intervals G +- dG and B +- dB give an interval for tau at their corners; tau has no upper end where the corner does
not grow. G = |A| for aligned pre-training, else G^2 = (L_q + 2 mu L_r)^2 + 4 (rho^2 - mu^2) L_r^2, in which nothing
cancels, with dG <= dL_q + 2 rho dL_r. Three tiers give A (or L_q, L_r) and B: closed forms and quadrature (the
default), mpmath (`digits`), and Hermite series cut at an order (`order`), whose intervals hold the remainder.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import sympy as sp

from numerics.evaluate import evaluator, exact_number, value
from numerics.quadrature import Estimate, Real
from numerics.series import aligned_series
from theory.activations import he
from theory.errors import InputError, ParameterError, QuadratureError
from theory.symbols import mu as mu_symbol
from theory.symbols import rho as rho_symbol
from theory.system import System

__all__ = ["RateScale", "Search", "gradient_noise", "search_time", "slowdown"]

RateScale = Literal["raw", "paper"]

SETTLING_DIGITS = 25
ERROR_DIGITS = 5
MAX_HERMITE = 20
ZERO = Estimate(sp.Float(0), sp.Float(0))


@dataclass(frozen=True)
class Search:
    """The search phase at one pre-trained weight, in time t = eta * step.

    Attributes:
        mu: alignment of the pre-trained weight.
        rho: its strength; |mu| where it is aligned.
        A: drive, dm/dt = A u at the start; None unless aligned.
        B: minus the curvature of the loss across the bulk.
        G: length of the loss's gradient at the pre-trained weight, |A| where aligned.
        rate: growth rate lambda.
        tau: search time 1/lambda; None where infinite.
        error: bound on the absolute error of tau; infinite where only the lower end of `interval` is finite.
        interval: covers the exact tau; its upper end is None where infinite.
        slowdown: what the learning rate was divided by; `rate`, `tau`, `error` and `interval` contain it.
    """

    mu: Real
    rho: Real
    A: Real | None
    B: Real
    G: Real
    rate: Real
    tau: Real | None
    error: Real
    interval: tuple[Real, Real | None]
    slowdown: int = 1


Point = tuple[sp.Expr, sp.Expr]  # mu, rho


def search_time(
    system: System,
    mu: float | sp.Rational | str,
    *,
    rho: float | sp.Rational | str | None = None,
    order: int | None = None,
    tolerance: float = 1e-10,
    digits: int | None = None,
    rate_scale: RateScale = "raw",
) -> Search:
    """Return A, B, G, rate and tau of a LoRA system at a pre-trained weight.

    Args:
        system: a derived system of model lora (aligned) or misaligned.
        mu: alignment; text and fractions are exact, a float is the decimal that it prints. In (0, 1] where aligned.
        rho: strength >= |mu|, with model misaligned.
        order: cut every Hermite sum after this order, k = 0 included, and carry the remainder in `error` and
            `interval` (`numerics.series` has the convention; aligned only); the default sums everything.
        tolerance: accepted relative error of tau.
        digits: significant digits of A, B, G, rate and tau, then `sympy.Float`, in place of float64.
        rate_scale: "paper" divides the learning rate of a He_k student by k! k, as arXiv:2602.02855 does for its
            curves: tau is then k! k times as long in steps of the undivided rate (`slowdown`).

    Raises:
        ParameterError: mu or rho outside their domain, order or digits out of range, order and digits together,
            `rate_scale="paper"` for another student than He_k.
        InputError: a system without a linearised search phase.
        NotIntegrableError: `order` given and the series has no finite remainder.
        QuadratureError: the accuracy was not reached; the message says what was.

    >>> from theory.dynamics import derive
    >>> round(search_time(derive("relu"), 0.032).tau, 4)
    3.3927
    >>> cut = search_time(derive("relu"), 0.032, order=16)
    >>> round(cut.tau, 3), cut.interval[0] < 3.3927 < cut.interval[1]
    (1.286, True)
    >>> search_time(derive("tanh"), "0.5", digits=30).tau
    47.0221716919144017583605497001
    >>> round(search_time(derive("linear", model="misaligned"), 0.3, rho=0.5).G**2, 12)  # 1 - 2 mu + rho^2
    0.65
    >>> raw, paper = (search_time(derive("he3"), 0.2, rate_scale=scale).tau for scale in ("raw", "paper"))
    >>> round(paper / raw, 12)  # 3! 3
    18.0
    """
    factor = slowdown(system, rate_scale)
    return _slowed(_search_time(system, mu, rho, order, tolerance, digits), factor)


def slowdown(system: System, rate_scale: RateScale) -> int:
    """Return what the learning rate is divided by: 1, or k! k for a He_k student on the scale of the paper.

    Raises `ParameterError` for another student on that scale, or an unknown scale.

    >>> from theory.dynamics import derive
    >>> slowdown(derive("he5"), "paper"), slowdown(derive("relu"), "raw")
    (600, 1)
    """
    if rate_scale == "raw":
        return 1
    student = system.loss_function.student
    degree = next((k for k in range(1, MAX_HERMITE + 1) if student.expr == he(k)), None)
    if rate_scale != "paper" or degree is None:
        raise ParameterError(
            f"rate_scale = {rate_scale!r} with student {student.name} given; accepted: 'raw', and for students "
            f"he1...he{MAX_HERMITE} 'paper', which divides the learning rate of He_k by k! k."
        )
    return int(sp.factorial(degree) * degree)


def _slowed(found: Search, factor: int) -> Search:
    if factor == 1:
        return found
    low, high = found.interval
    return replace(
        found,
        rate=found.rate / factor,
        tau=None if found.tau is None else found.tau * factor,
        error=found.error * factor,
        interval=(low * factor, None if high is None else high * factor),
        slowdown=factor,
    )


def _search_time(
    system: System,
    mu: float | sp.Rational | str,
    rho: float | sp.Rational | str | None,
    order: int | None,
    tolerance: float,
    digits: int | None,
) -> Search:
    if order is not None and digits is not None:
        raise ParameterError("order and digits given; accepted: one of them (a truncated series has few digits).")
    loss, parts = system.loss_function, _parts(system)
    point, scale = _point(system, mu, rho), _scale(system, mu)
    if order is not None:
        if system.escape.A is None:
            raise ParameterError("order with model misaligned given; accepted: model lora, whose series is derived.")
        A, B = aligned_series(loss.student.expr, loss.teacher.expr, float(point[0]), order)
        return _search(system, (float(point[0]), float(point[1])), (A, B), float(scale))
    if digits is not None:
        return _to_digits(system, parts, point, scale, digits)
    return _to_tolerance(system, parts, point, scale, tolerance)


def _parts(system: System) -> tuple[sp.Expr, sp.Expr]:
    """Return (A, B) where the weight is aligned, else (L_q, L_r) at it."""
    escape, loss = system.escape, system.loss_function
    if escape.B is None or escape.base_gradient is None:
        raise InputError(
            f"student {loss.student.name} with model {system.model.name}: the search phase has no linearisation "
            "(plain or pretrain model, or a student that jumps or has an infinite slope); accepted are continuous "
            "students with finite slopes and model lora or misaligned."
        )
    return escape.base_gradient if escape.A is None else (escape.A, escape.B)


def _point(system: System, mu: float | sp.Rational | str, rho: float | sp.Rational | str | None) -> Point:
    if rho_symbol not in system.parameters:
        alignment = _number(mu, "mu", "a number in (0, 1]; mu is the alignment <w0, w*>")
        if not 0 < alignment <= 1:
            raise ParameterError(f"mu = {mu!r} given; accepted: a number in (0, 1]; mu is the alignment <w0, w*>.")
        if rho is not None:
            raise ParameterError(f"rho = {rho!r} with model lora given; accepted: rho with model misaligned.")
        return alignment, alignment
    if rho is None:
        raise ParameterError("no rho given; accepted with model misaligned: the strength rho >= |mu| of w0.")
    point = _number(mu, "mu", "a number"), _number(rho, "rho", "a number >= |mu|")
    system.model.check({"mu": float(point[0]), "rho": float(point[1])})
    return point


def _number(given: float | sp.Rational | str, name: str, accepted: str) -> sp.Expr:
    try:
        return exact_number(given, name)
    except ParameterError:
        raise ParameterError(f"{name} = {given!r} given; accepted: {accepted}.") from None


def _scale(system: System, mu: float | sp.Rational | str) -> sp.Expr:
    """Return |alpha|, the LoRA scale: u then grows with (alpha A, alpha^2 B) in place of (A, B)."""
    scale = sp.sympify(getattr(system.model, "scale", 1))
    if not scale.is_number:
        raise ParameterError(
            f"the LoRA scale {scale} has no value at mu = {mu}; accepted: a model with a number for its scale."
        )
    return abs(scale)


def _arguments(system: System, point: Point) -> dict[sp.Symbol, sp.Expr]:
    values = dict(zip((mu_symbol, rho_symbol), point, strict=True))
    return {symbol: values[symbol] for symbol in (mu_symbol, rho_symbol) if symbol in system.parameters}


def _to_tolerance(
    system: System, parts: tuple[sp.Expr, sp.Expr], point: Point, scale: sp.Expr, tolerance: float
) -> Search:
    """Try float64; where rounding has eaten G or the accuracy of tau, decide at 25 digits."""
    at = _arguments(system, point)
    rough = (float(point[0]), float(point[1]))
    first, second = evaluator(tuple(at), parts)(*map(float, at.values()), tolerance=min(1e-12, tolerance))
    found = _search(system, rough, (first, second), float(scale))
    lost = max(first.error + 2 * rough[1] * second.error, 1e-12 * abs(found.B)) >= found.G
    if lost or not _accurate(found, tolerance):
        settled = tuple(_settle(part, at) for part in parts)
        found = _rounded(_search(system, point, (settled[0], settled[1]), scale), None)
    if not _accurate(found, tolerance):
        raise QuadratureError(
            f"tau = {found.tau} at mu = {point[0]} has error {found.error:.2g}, tolerance {tolerance:g} asked "
            "(relative); ask for a larger tolerance, or for digits=."
        )
    return found


def _settle(f: sp.Expr, at: dict[sp.Symbol, sp.Expr]) -> Estimate:
    """Return f to 25 digits; zero where it vanishes to all of them."""
    found = value(f, at, digits=SETTLING_DIGITS)
    return ZERO if abs(found.value) < sp.Float(10) ** -SETTLING_DIGITS else found


def _to_digits(system: System, parts: tuple[sp.Expr, sp.Expr], point: Point, scale: sp.Expr, digits: int) -> Search:
    at = _arguments(system, point)
    first, second = (value(part, at, digits=digits + 6) for part in parts)
    found = _search(system, point, (ZERO if abs(first.value) <= first.error else first, second), scale)
    if not _accurate(found, sp.Float(10) ** -digits):
        reached = max(0, int(-sp.log(found.error * found.rate, 10))) if found.error < sp.oo else 0
        raise QuadratureError(
            f"tau at mu = {point[0]}: {digits} digits asked, {reached} reached; ask for at most {reached}."
        )
    return _rounded(found, digits)


def _accurate(found: Search, tolerance: Real) -> bool:
    return found.tau is None or bool(found.error <= tolerance * found.tau)


def _search(system: System, point: tuple[Real, Real], parts: tuple[Estimate, Estimate], scale: Real) -> Search:
    """Evaluate at the centre and at the corners of the intervals of G and B."""
    mu, rho = point
    if system.escape.A is not None:
        A, B = parts
        drive, bend = Estimate(abs(A.value), A.error), B
    else:
        slope, curvature = parts
        drive, bend = _length(mu, rho, slope, curvature), Estimate(-2 * curvature.value, 2 * curvature.error)
    centre, middle = drive.value * scale, bend.value * scale**2
    far, wide = drive.error * scale, bend.error * scale**2
    rate, fastest = _rate(centre, middle), _rate(centre + far, middle + wide)
    slowest = _rate(max(centre - far, 0 * far), middle - wide)
    low, high = (1 / fastest if fastest > 0 else np.inf), (1 / slowest if slowest > 0 else None)
    along = None if system.escape.A is None else parts[0].value
    shared = (mu, rho, along, bend.value, drive.value, rate)
    if not rate > 0:
        return Search(*shared, None, 0.0, (low, high))
    tau = 1 / rate
    return Search(*shared, tau, np.inf if high is None else max(tau - low, high - tau), (low, high))


def _length(mu: Real, rho: Real, slope: Estimate, bend: Estimate) -> Estimate:
    """Return |L_q w* + 2 L_r w0|."""
    squared = (slope.value + 2 * mu * bend.value) ** 2 + 4 * (rho - mu) * (rho + mu) * bend.value**2
    length = sp.sqrt(squared) if isinstance(squared, sp.Expr) else float(np.sqrt(squared))
    return Estimate(length, slope.error + 2 * rho * bend.error)


def _rate(a: Real, b: Real) -> Real:
    """Return (b + sqrt(b^2 + 4 a^2))/2 without cancellation, a >= 0."""
    root = sp.sqrt(b * b + 4 * a * a) if isinstance(b, sp.Expr) else float(np.hypot(b, 2 * a))
    if b > 0:
        return (b + root) / 2
    return 2 * a * a / (root - b) if root > 0 else 0 * root


def _rounded(found: Search, digits: int | None) -> Search:
    """Convert every number to float64, or to so many digits; the error of tau takes up what that moves it by."""

    def number(exact: Real, kept: int | None = digits) -> Real:
        return float(exact) if digits is None else sp.Float(exact, kept)

    def optional(exact: Real | None) -> Real | None:
        return None if exact is None else number(exact)

    rounding = 2.0**-53 if digits is None else sp.Float(10, digits + 10) ** -digits
    low, high = found.interval
    return Search(
        number(found.mu),
        number(found.rho),
        optional(found.A),
        number(found.B),
        number(found.G),
        number(found.rate),
        optional(found.tau),
        number(found.error + rounding * (found.tau or 0), ERROR_DIGITS),
        (number(low * (1 - rounding)), optional(high and high * (1 + rounding))),
    )


def gradient_noise(system: System, mu: float, *, rho: float | None = None) -> float:
    """Return J_0 = J(mu, rho^2), the gradient's variance in a bulk direction at the pre-trained weight."""
    at = _arguments(system, _point(system, mu, rho))
    noise = system.loss_function.noise(mu_symbol, mu_symbol**2 if rho is None else rho_symbol**2)
    return float(evaluator(tuple(at), (noise,))(*map(float, at.values()))[0].value)
