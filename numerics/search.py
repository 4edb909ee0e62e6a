r"""Numbers of the search phase at given mu: A, B, growth rate, search time, each with its error.

With S = sqrt(B^2 + 4 A^2) the rate is lambda = (B + S)/2 and tau = 1/lambda. For B < 0 that is a difference of nearly
equal numbers when A is small, so lambda = 2 A^2 / (S - B) is used there. lambda grows with |A| and with B, so that
intervals |A| +- dA and B +- dB give an interval for tau at their corners; tau has no upper end where the corner does
not grow. Three tiers give A and B: closed forms and quadrature (the default), mpmath (`digits`), and Hermite series cut
at an order (`order`), whose intervals hold the remainder.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy as sp

from numerics.evaluate import evaluator, exact_number, value
from numerics.quadrature import Estimate, Real
from numerics.series import aligned_series
from theory.errors import InputError, ParameterError, QuadratureError
from theory.symbols import mu as mu_symbol
from theory.system import System

__all__ = ["Search", "gradient_noise", "search_time"]

SETTLING_DIGITS = 25
ERROR_DIGITS = 5
ZERO = Estimate(sp.Float(0), sp.Float(0))


@dataclass(frozen=True)
class Search:
    """The search phase at one mu, in time t = eta * step.

    Attributes:
        mu: the pre-training strength.
        A: drive, dm/dt = A u at the start.
        B: minus the curvature of the loss across the bulk.
        rate: growth rate lambda.
        tau: search time 1/lambda; None where infinite.
        error: bound on the absolute error of tau; infinite where only the lower end of `interval` is finite.
        interval: covers the exact tau; its upper end is None where infinite.
    """

    mu: Real
    A: Real
    B: Real
    rate: Real
    tau: Real | None
    error: Real
    interval: tuple[Real, Real | None]


def search_time(
    system: System,
    mu: float | sp.Rational | str,
    *,
    order: int | None = None,
    tolerance: float = 1e-10,
    digits: int | None = None,
) -> Search:
    """Return A, B, rate and tau of a LoRA system at mu in (0, 1], aligned pre-training.

    Args:
        system: a derived system of model lora.
        mu: pre-training strength; text and fractions are exact, a float is the decimal that it prints.
        order: cut every Hermite sum after this order, k = 0 included, and carry the remainder in `error` and
            `interval` (`numerics.series` has the convention); the default sums everything.
        tolerance: accepted relative error of tau.
        digits: significant digits of A, B, rate and tau, then `sympy.Float`, in place of float64.

    Raises:
        ParameterError: mu outside (0, 1], order or digits out of range, order and digits together.
        InputError: a system without a search phase linearised in mu alone.
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
    """
    exact = _strength(mu)
    if order is not None and digits is not None:
        raise ParameterError("order and digits given; accepted: one of them (a truncated series has few digits).")
    escape, loss, scale = system.escape, system.loss_function, _scale(system, mu)
    if escape.A is None or escape.B is None:
        raise InputError(
            f"student {loss.student.name} with model {system.model.name}: the search phase has no "
            "linearisation in mu alone (another model than lora, or a student that jumps or has an infinite slope); "
            "accepted are continuous students with finite slopes and model lora."
        )
    if order is not None:
        A, B = aligned_series(loss.student.expr, loss.teacher.expr, float(exact), order)
        return _search(float(exact), A, B, float(scale))
    if digits is not None:
        return _to_digits((escape.A, escape.B), exact, scale, digits)
    return _to_tolerance((escape.A, escape.B), exact, scale, tolerance)


def _strength(mu: float | sp.Rational | str) -> sp.Expr:
    try:
        exact = exact_number(mu, "mu")
    except ParameterError:
        exact = sp.S.Zero
    if not 0 < exact <= 1:
        raise ParameterError(f"mu = {mu!r} given; accepted: a number in (0, 1]; mu is the alignment <w0, w*>.")
    return exact


def _scale(system: System, mu: float | sp.Rational | str) -> sp.Expr:
    """Return |alpha|, the LoRA scale: u then grows with (alpha A, alpha^2 B) in place of (A, B)."""
    scale = sp.sympify(getattr(system.model, "scale", 1))
    if not scale.is_number:
        raise ParameterError(
            f"the LoRA scale {scale} has no value at mu = {mu}; accepted: a model with a number for its scale."
        )
    return abs(scale)


def _to_tolerance(parts: tuple[sp.Expr, sp.Expr], mu: sp.Expr, scale: sp.Expr, tolerance: float) -> Search:
    """Try float64; where rounding has eaten A or the accuracy of tau, decide at 25 digits."""
    A, B = evaluator((mu_symbol,), parts)(float(mu), tolerance=min(1e-12, tolerance))
    found = _search(float(mu), A, B, float(scale))
    lost = abs(A.value) <= max(A.error, 1e-12 * abs(B.value))
    if lost or not _accurate(found, tolerance):
        slope, bend = (_settle(part, mu) for part in parts)
        found = _rounded(_search(mu, slope, bend, scale), None)
    if not _accurate(found, tolerance):
        raise QuadratureError(
            f"tau = {found.tau} at mu = {mu} has error {found.error:.2g}, tolerance {tolerance:g} asked (relative); "
            "ask for a larger tolerance, or for digits=."
        )
    return found


def _settle(f: sp.Expr, mu: sp.Expr) -> Estimate:
    """Return f to 25 digits; zero where it vanishes to all of them."""
    found = value(f, {mu_symbol: mu}, digits=SETTLING_DIGITS)
    return ZERO if abs(found.value) < sp.Float(10) ** -SETTLING_DIGITS else found


def _to_digits(parts: tuple[sp.Expr, sp.Expr], mu: sp.Expr, scale: sp.Expr, digits: int) -> Search:
    A, B = (value(part, {mu_symbol: mu}, digits=digits + 6) for part in parts)
    found = _search(mu, ZERO if abs(A.value) <= A.error else A, B, scale)
    if not _accurate(found, sp.Float(10) ** -digits):
        reached = max(0, int(-sp.log(found.error * found.rate, 10))) if found.error < sp.oo else 0
        raise QuadratureError(f"tau at mu = {mu}: {digits} digits asked, {reached} reached; ask for at most {reached}.")
    return _rounded(found, digits)


def _accurate(found: Search, tolerance: Real) -> bool:
    return found.tau is None or bool(found.error <= tolerance * found.tau)


def _search(mu: Real, A: Estimate, B: Estimate, scale: Real) -> Search:
    """Evaluate at the centre and at the corners of the intervals of |A| and B."""
    drive, bend = abs(A.value) * scale, B.value * scale**2
    far, wide = A.error * scale, B.error * scale**2
    rate, fastest = _rate(drive, bend), _rate(drive + far, bend + wide)
    slowest = _rate(max(drive - far, 0 * far), bend - wide)
    interval = (1 / fastest if fastest > 0 else np.inf, 1 / slowest if slowest > 0 else None)
    if not rate > 0:
        return Search(mu, A.value, B.value, rate, None, 0.0, interval)
    tau, (low, high) = 1 / rate, interval
    return Search(mu, A.value, B.value, rate, tau, np.inf if high is None else max(tau - low, high - tau), interval)


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
        number(found.A),
        number(found.B),
        number(found.rate),
        optional(found.tau),
        number(found.error + rounding * (found.tau or 0), ERROR_DIGITS),
        (number(low * (1 - rounding)), optional(high and high * (1 + rounding))),
    )


def gradient_noise(system: System, mu: float) -> float:
    """Return J_0 = J(mu, mu^2), the gradient's variance in a bulk direction at the pre-trained weight."""
    noise = system.loss_function.noise(mu_symbol, mu_symbol**2)
    return evaluator((mu_symbol,), (noise,))(mu)[0].value
