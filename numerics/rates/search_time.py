r"""Numbers of the search phase at given mu: A, B, growth rate, search time, each with its error.

`numerics.rates.search` says how tau and its error follow from A and B. Three tiers give A (or L_q, L_r) and B: closed
forms and quadrature (the default), mpmath (`digits`), and Hermite series cut at an order (`order`), whose intervals
hold the remainder. `numerics.rates.curve` has the verb for many mu at once.

Where float64 overflows, underflows or loses its digits to cancellation, numbers of 25 digits and any exponent decide. A
model with other linearised velocities than LoRA's has the largest eigenvalue of its Jacobian for its rate
(`numerics.rates.spectrum`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Literal

import numpy as np
import sympy as sp
from sympy import Expr, Symbol

from numerics.accuracy import FINEST_INTEGRAL, SUM_ROUNDING, VALUE
from numerics.integrals.evaluate import MAX_DIGITS, check_digits, evaluator, looser, value
from numerics.integrals.quadrature import Estimate, Real
from numerics.integrals.series import aligned_series
from numerics.rates.enclosed import enclosed
from numerics.rates.place import Place, arguments, parts_at, place_of, point_of
from numerics.rates.search import MODEST, Search, growth_rate, length_of, rounded, search_of, slowed, timed
from numerics.rates.spectrum import largest
from theory.calculus.expectations import is_closed
from theory.errors import InputError, NotCertifiedError, NotIntegrableError, ParameterError, QuadratureError
from theory.language.activations import he
from theory.network.derivation import takes_families
from theory.network.system import System
from theory.symbols import q, r

__all__ = ["RateScale", "Search", "gradient_noise", "growth_rate", "search_time", "slowdown"]

RateScale = Literal["raw", "paper"]

SETTLING_DIGITS = 25
GUARD = 6  # digits of A and B beyond those of tau
MAX_HERMITE = 20
ZERO = Estimate(sp.Float(0), sp.Float(0))


@takes_families
def search_time(
    system: System,
    mu: float | sp.Rational | str,
    *,
    rho: float | sp.Rational | str | None = None,
    order: int | None = None,
    tolerance: float = VALUE,
    digits: int | None = None,
    rate_scale: RateScale = "raw",
    parameters: Mapping[str, float | sp.Rational | str] | None = None,
    certify: bool = True,
) -> Search:
    """Return A, B, G, rate and tau of a LoRA system at a pre-trained weight.

    Args:
        system: a derived system of model lora (aligned) or misaligned.
        mu: alignment; text and fractions are exact, a float is the decimal that it prints. In (0, 1] where aligned.
        rho: length >= |mu|, with model misaligned.
        order: cut every Hermite sum after this order, k = 0 included, and carry the remainder in `error` and
            `interval` (`numerics.integrals.series` has the convention; aligned only); the default sums everything.
        tolerance: accepted relative error of tau.
        digits: significant digits of A, B, G, rate and tau, then `sympy.Float`, in place of float64.
        rate_scale: "paper" divides the learning rate of a He_k student by k! k, as arXiv:2602.02855 does for its
            curves: tau is then k! k times as long in steps of the undivided rate (`slowdown`).
        parameters: values of a model's other parameters by name, such as alpha, or kappa of `system.sgd()`.
        certify: whether to prove the error, where that can be done (`Search.certified`); for inner loops doubles do,
            in a tenth of the time where there is no closed form.

    Raises:
        ParameterError: mu or rho outside their domain, order or digits out of range, order and digits together,
            `rate_scale="paper"` for another student than He_k, a parameter without a value.
        InputError: a system without a linearised search phase.
        NotIntegrableError: the loss is infinite at rho; `order` given and the series has no finite remainder.
        QuadratureError: the accuracy was not reached; the message says what was.

    >>> from theory.network.derivation import derive
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
    if digits is not None:
        check_digits(digits)
    if not 0 < tolerance < math.inf:
        raise ParameterError(f"tolerance = {tolerance!r} given; accepted: a positive number such as 1e-10.")
    place = place_of(system, mu, rho, parameters or {})
    if certify and order is None and system.escape.square is not None:
        with suppress(NotCertifiedError):
            is_aligned = system.escape.A is not None
            search = enclosed(place, parts_at(system, place), aligned=is_aligned, slowdown=factor, digits=digits)
            if digits is not None or _accurate(search, tolerance):
                return search
    return slowed(_search_time(system, place, order, tolerance, digits), factor)


def slowdown(system: System, rate_scale: RateScale) -> int:
    """Return what the learning rate is divided by: 1, or k! k for a He_k student on the scale of the paper.

    Raises `ParameterError` for another student on that scale, or an unknown scale.

    >>> from theory.network.derivation import derive
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


def _search_time(system: System, place: Place, order: int | None, tolerance: float, digits: int | None) -> Search:
    if order is not None and digits is not None:
        raise ParameterError("order and digits given; accepted: one of them (a truncated series has few digits).")
    if order is not None:
        return _to_order(system, place, order)
    if system.escape.square is None:
        return _of_jacobian(system, place, tolerance, digits)
    parts = parts_at(system, place)
    return _to_digits(system, parts, place, digits) if digits else _to_tolerance(system, parts, place, tolerance)


def _to_order(system: System, place: Place, order: int) -> Search:
    if system.escape.A is None or system.escape.square is None:
        raise ParameterError("order with model misaligned given; accepted: model lora, whose series is derived.")
    loss = system.loss_function
    with np.errstate(all="ignore"):
        parts = aligned_series(loss.student.expr, loss.teacher.expr, float(place.mu), order, own=bool(loss.own))
    if not all(math.isfinite(part.value) for part in parts):
        raise QuadratureError(
            f"order = {order} given: the series at mu = {place.mu} exceeds a double; accepted: no order there."
        )
    return search_of(system, place, parts, float)


# --- closed forms and quadrature ----------------------------------------------------------------------------------


def _to_tolerance(system: System, parts: tuple[Expr, Expr], place: Place, tolerance: float) -> Search:
    """Try float64; where rounding has eaten G or the accuracy of tau, decide at 25 digits."""
    failure: QuadratureError | None = None
    for finer in _ladder(tolerance):
        try:
            search = _in_float64(system, parts, place, finer, tolerance)
        except QuadratureError as error:
            failure = error
            continue
        if search is None or not _accurate(search, tolerance):
            break
        return search
    try:
        settled = tuple(_settle(part, place.at) for part in parts)
    except QuadratureError as error:
        raise _unreached(system, parts, place, tolerance, failure or error) from error
    search = rounded(search_of(system, place, (settled[0], settled[1]), sp.sympify), None)
    if not _accurate(search, tolerance):
        raise QuadratureError(
            f"tau = {search.tau} at mu = {place.mu} has error {search.error:.2g}, tolerance {tolerance:g} asked "
            f"(relative); {_advice(system, parts, place, search)}."
        )
    return search


def _advice(system: System, parts: tuple[Expr, Expr], place: Place, search: Search) -> str:
    """Say what is reached: the tolerance that a value settled to 25 digits meets, or more digits, tried out."""
    lost = search.error / search.tau if search.tau is not None and search.error < sp.oo else sp.oo
    easier = next(looser(float(lost)), None) if 0 < lost < 1 else None
    if easier is not None:
        return f"ask for a tolerance of {easier:g}, which is reached"
    with suppress(QuadratureError):
        _to_digits(system, parts, place, 2 * SETTLING_DIGITS)
        return f"ask for digits={2 * SETTLING_DIGITS}, which are reached"
    return "more is not reached here; accepted are functions and mu at which the integrals converge"


def _ladder(tolerance: float) -> list[float]:
    """Return the tolerances of quadrature to try, the finest first."""
    coarser = itertools.takewhile(lambda t: t <= tolerance / 5, looser(FINEST_INTEGRAL))
    return [min(FINEST_INTEGRAL, tolerance), *coarser]


def _in_float64(
    system: System, parts: tuple[Expr, Expr], place: Place, finer: float, tolerance: float
) -> Search | None:
    """Return the search by float64; None where it overflows, underflows or cancels more than the tolerance allows."""
    terms = [part.args if part.is_Add and is_closed(part) else () for part in parts]
    try:
        floats = [float(v) for v in place.at.values()]
        first, second, *sums = evaluator(tuple(place.at), (*parts, *terms[0], *terms[1]))(*floats, tolerance=finer)
        if not (_modest(place.scale) and math.isfinite(first.value) and math.isfinite(second.value)):
            return None
        search = search_of(system, place, (first, second), float)
    except ArithmeticError:
        return None
    sizes = [sum(abs(t.value) for t in sums[: len(terms[0])]), sum(abs(t.value) for t in sums[len(terms[0]) :])]
    weight = 2 * float(place.rho)
    noise = SUM_ROUNDING * (sizes[0] + (weight * sizes[1] if system.escape.A is None else 0.0))
    lost = max(first.error + weight * second.error, FINEST_INTEGRAL * abs(search.B), noise / tolerance) >= search.G
    lost |= SUM_ROUNDING * sizes[1] >= tolerance * max(abs(second.value), search.G)
    if parts[0] == 0 and system.escape.A is not None and second.value + second.error + SUM_ROUNDING * sizes[1] < 0:
        return replace(search, A=0.0)  # u decays and nothing drives it
    return None if lost or not (_modest(search.G) and search.rate > 0) else search


def _modest(size: Real) -> bool:
    return bool(MODEST[0] < size < MODEST[1])


def _unreached(
    system: System, parts: tuple[Expr, Expr], place: Place, tolerance: float, failure: QuadratureError
) -> QuadratureError:
    """Say which tolerance can be reached, having tried."""
    for easier in looser(tolerance):
        with suppress(QuadratureError):
            search = _in_float64(system, parts, place, easier / 10, easier)
            if search is not None and _accurate(search, easier):
                return QuadratureError(
                    f"tau at mu = {place.mu}: tolerance {tolerance:g} (relative) asked, not reached by quadrature, nor "
                    f"by {SETTLING_DIGITS} digits; ask for a tolerance of {easier:g}, which is reached."
                )
    return failure


def _settle(f: Expr, at: dict[Symbol, Expr]) -> Estimate:
    """Return f to 25 digits; zero where it is below its error."""
    estimate = value(f, at, digits=SETTLING_DIGITS)
    return ZERO if abs(estimate.value) <= estimate.error else estimate


def _to_digits(system: System, parts: tuple[Expr, Expr], place: Place, digits: int) -> Search:
    try:
        first, second = (value(part, place.at, digits=min(digits + GUARD, MAX_DIGITS)) for part in parts)
    except QuadratureError as error:
        raise error if error.reached is None else _few(place, digits, error.reached - GUARD) from error
    vanishes = abs(first.value) <= first.error
    search = search_of(system, place, (ZERO if vanishes else first, second), sp.sympify)
    if not _accurate(search, sp.Float(10) ** -digits):
        raise _few(place, digits, int(-sp.log(search.error * search.rate, 10)) if search.error < sp.oo else 0)
    return rounded(search, digits)


def _few(place: Place, digits: int, reached: int) -> QuadratureError:
    advice = f"ask for at most {reached}" if reached > 0 else "give a tolerance in place of digits"
    return QuadratureError(f"tau at mu = {place.mu}: {digits} digits asked, {max(reached, 0)} reached; {advice}.")


def _accurate(search: Search, tolerance: Real) -> bool:
    return search.tau is None or bool(search.error <= tolerance * search.tau)


def _of_jacobian(system: System, place: Place, tolerance: float, digits: int | None) -> Search:
    """Return the search phase of other velocities than LoRA's, by the eigenvalues of their Jacobian."""
    working = SETTLING_DIGITS if digits is None else min(digits + GUARD, MAX_DIGITS)
    escape = system.escape
    if escape.jacobian is None or not escape.is_fixed or escape.base_gradient is None or escape.B is None:
        raise InputError(
            f"model {system.network.name}: the flow does not rest at its start, or has no Jacobian there; accepted are "
            "models that start at a fixed point."
        )
    rate = largest(escape.jacobian.subs(place.at), escape.blocks, working)
    slope, bend = (value(f, place.at, digits=working) for f in escape.base_gradient)
    length = length_of(place, slope, bend, sp.sympify)
    along = None if escape.A is None else value(escape.A, place.at, digits=working)
    shared = (place.mu, place.rho, None if along is None else along.value, -2 * bend.value, length.value)
    errors = {"B": 2 * bend.error, "G": length.error} | ({} if along is None else {"A": along.error})
    centre = 0 * rate.value if abs(rate.value) <= rate.error else rate.value
    search = timed(shared, centre, (centre - rate.error, centre + rate.error), errors)
    if not _accurate(search, tolerance if digits is None else sp.Float(10) ** -digits):
        raise QuadratureError(
            f"tau = {search.tau} at mu = {place.mu} has error {float(search.error):.2g}, more than was asked for; ask "
            "for a larger tolerance or fewer digits."
        )
    return rounded(search, digits)


def gradient_noise(system: System, mu: float, *, rho: float | None = None) -> float:
    """Return J_0 = J(q, r), the gradient's variance in a bulk direction at the pre-trained weight.

    Raises `NotIntegrableError` where it is infinite.
    """
    at, start = arguments(system, point_of(system, mu, rho), {}), system.escape.at_start
    noise = system.loss_function.noise(start[q], start[r])
    with suppress(ArithmeticError):
        noise_at = float(evaluator(tuple(at), (noise,))(*map(float, at.values()))[0].value)
        if math.isfinite(noise_at):
            return noise_at
    raise NotIntegrableError(
        f"student {system.loss_function.student.name} at mu = {mu}: the variance of SGD's gradient, "
        f"{'E[(sigma(l) - y)^2' if system.loss_function.own else 'E[y^2'} sigma'(l)^2], is infinite or exceeds a "
        "double; accepted: a smaller mu or rho."
    )
