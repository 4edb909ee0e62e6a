r"""Numbers from derived expressions: closed forms directly, unevaluated expectations by quadrature.

An `Evaluator` is made once for an expression and its arguments and called many times. Every
`GaussianMean` or `GaussianKernel` node becomes an input of the remaining closed expression f, so that the error of a
value is sum_j |df/dn_j| e_j, e_j the error estimates of the nodes; it is zero where there is no node.

`value` is the verb for people: one expression at one point, to a double or to as many digits as asked, with a proved
bound (`numerics.integrals.certified`). What is not proved is computed in float64, and where that overflows, underflows
or divides by zero by numbers of unbounded exponents; a result beyond a double stays one.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

import mpmath
import numpy as np
import sympy as sp
from numpy.typing import NDArray
from sympy import Dummy, Expr, Lambda, Symbol
from sympy.core.evalf import dps_to_prec, prec_to_dps

from numerics.accuracy import INTEGRAL, VALUE
from numerics.compile.bounded import bounded_function
from numerics.compile.codegen import compile_function
from numerics.integrals import quadrature
from numerics.integrals.certified import closed
from numerics.integrals.certified.enclosure import Enclosure, printed
from numerics.integrals.quadrature import Estimate, Real
from theory.calculus.bivariate import Phi2
from theory.calculus.expectations import GaussianKernel, GaussianMean
from theory.calculus.precision import resolved
from theory.errors import NotCertifiedError, ParameterError, QuadratureError, UnsupportedExpressionError
from theory.network.system import EDGE, GAP, guard
from theory.symbols import q, r, x

__all__ = [
    "Evaluator",
    "OnCovariance",
    "as_double",
    "check_digits",
    "evaluator",
    "exact_number",
    "looser",
    "on_covariance",
    "rounding",
    "value",
    "within",
]

GUARD = 8  # digits carried beyond those asked for
DOUBLE_DIGITS = 15  # of a number beyond a double
HALF_DIGIT = 6  # units of the digit after the last, what a number of many digits moves by as text, and some room
MAX_DIGITS = 500
LOOSEST = 0.01
MAX_EXPONENT = 400
EXTRA = 2  # digits that nodes are evaluated to beyond the working ones
MOST = 500  # digits tried before a closed form counts as zero


@dataclass(frozen=True)
class _Node:
    kind: type
    laws: tuple[Expr, ...]
    numbers: Callable[..., tuple[float, ...]]
    parameters: tuple[tuple[int, Symbol], ...]
    """where among the arguments the parameters of the functions stand"""

    def __call__(self, values: Sequence[float], gap: float | None, tolerance: float) -> Estimate:
        numbers, own = self.numbers(*values), tuple((symbol, float(values[i])) for i, symbol in self.parameters)
        if self.kind is GaussianMean:
            return quadrature.mean(self.laws[0], *numbers, tolerance=tolerance, values=own)
        return quadrature.kernel(*self.laws, *numbers, gap=gap, tolerance=tolerance, values=own)


class Evaluator:
    """Numerical values of several expressions of the same arguments, with errors.

    >>> from theory.symbols import mu
    >>> evaluator((mu,), (mu**2,))(3.0)
    (<Estimate value = 9 ± 5e-15>,)
    """

    def __init__(self, args: tuple[Symbol, ...], outputs: tuple[Expr, ...], *, jit: bool = False) -> None:
        expectations = set().union(*(output.atoms(GaussianMean, GaussianKernel) for output in outputs))
        nodes = sorted(expectations, key=sp.default_sort_key)
        names = {node: Dummy(f"n{i}", real=True) for i, node in enumerate(nodes)}
        closed = tuple(output.xreplace(names) for output in outputs)
        inputs = (*args, *names.values())
        self.nodes = tuple(_node(node, args) for node in nodes)
        self._function = compile_function(inputs, closed, jit=jit)
        slopes = tuple(sp.diff(output, name) for output in closed for name in names.values())
        self._slopes = compile_function(inputs, slopes, jit=jit) if slopes else None
        self._count, self._inputs, self._closed = len(outputs), inputs, closed

    def __call__(self, *values: float, gap: float | None = None, tolerance: float = INTEGRAL) -> tuple[Estimate, ...]:
        """Return one `Estimate` an output. `gap` is r - q^2 without cancellation, for kernels in (q, r)."""
        estimates = [node(values, gap, tolerance) for node in self.nodes]
        inputs = (*values, *(estimate.value for estimate in estimates))
        errors = self._rounding(inputs)
        if self._slopes is not None:
            slopes = np.abs(np.reshape(self._slopes(*inputs), (self._count, len(estimates))))
            errors += slopes @ np.array([estimate.error for estimate in estimates])
        return tuple(
            Estimate(value, float(error)) for value, error in zip(self._function(*inputs), errors, strict=True)
        )

    def _rounding(self, inputs: Sequence[float]) -> NDArray[np.float64]:
        """Return what rounding may have done to the outputs, 0 where no bound is known."""
        with suppress(UnsupportedExpressionError):
            errors = np.array(bounded_function(self._inputs, self._closed)(*inputs)[self._count :])
            return np.where(np.isfinite(errors), errors, 0.0)
        return np.zeros(self._count)

    def values(self, *values: float, gap: float | None = None, tolerance: float = INTEGRAL) -> tuple[float, ...]:
        """Return the values alone, for inner loops."""
        if not self.nodes:
            return self._function(*values)
        return self._function(*values, *(node(values, gap, tolerance).value for node in self.nodes))


def _node(node: Expr, args: tuple[Symbol, ...]) -> _Node:
    if isinstance(node, GaussianKernel) and node.second_variance != 1:
        raise UnsupportedExpressionError(
            f"{node}: no quadrature in float64 with a second variance other than 1; accepted: .evalf(), by the oracle."
        )
    laws = tuple(arg.expr for arg in node.args if isinstance(arg, Lambda))
    numbers = tuple(arg for arg in node.args if not isinstance(arg, Lambda))
    held = set().union(*(law.free_symbols for law in laws)) - {x}
    parameters = tuple((i, symbol) for i, symbol in enumerate(args) if symbol in held)
    return _Node(type(node), laws, compile_function(args, numbers, jit=False), parameters)


@lru_cache(maxsize=256)
def evaluator(args: tuple[Symbol, ...], outputs: tuple[Expr, ...]) -> Evaluator:
    """Return the cached `Evaluator` of these arguments and expressions."""
    return Evaluator(args, outputs)


class OnCovariance:
    """Numbers of functions of (q, r) for every covariance matrix, the edge r = q^2 included.

    Each is written with D = r - q^2 (`theory.network.system.guard`), which the caller gives where subtraction would
    lose it.

    >>> from theory.symbols import q, r
    >>> on_covariance((sp.erf((1 - q) / sp.sqrt(r - q**2)), sp.asin(q / sp.sqrt(r)) / sp.pi)).values(1.0, 1.0)
    (0.0, 0.5)
    """

    def __init__(self, outputs: tuple[Expr, ...]) -> None:
        self._evaluator = Evaluator((q, r, GAP), tuple(guard(output) for output in outputs))

    def values(
        self, overlap: float, variance: float, gap: float | None = None, *, tolerance: float = INTEGRAL
    ) -> tuple[float, ...]:
        """Return one number an output."""
        gap = variance - overlap**2 if gap is None else gap
        return self._evaluator.values(overlap, variance, gap + float(EDGE), gap=gap, tolerance=tolerance)


@lru_cache(maxsize=256)
def on_covariance(outputs: tuple[Expr, ...]) -> OnCovariance:
    """Return the cached `OnCovariance` of these functions of (q, r)."""
    return OnCovariance(outputs)


def value(
    expr: Expr,
    at: Mapping[Symbol, float | sp.Rational | str] | None = None,
    *,
    tolerance: float = VALUE,
    digits: int | None = None,
) -> Estimate:
    """Return `expr` at a point with its absolute error, which is proved where the estimate says `certified`.

    Args:
        expr: closed, or with unevaluated expectations.
        at: a value for every free symbol. Decimal text and fractions are exact; a float is the decimal that it prints.
        tolerance: accepted error, absolute below 1 and relative above; of no account with `digits`.
        digits: None for a double; else significant digits (absolute ones where the value vanishes to all of them);
            value and error are then `sympy.Float`.

    Raises:
        ParameterError: a free symbol without a value, a value that is no number, digits outside 1..500.
        QuadratureError: an expectation did not reach the accuracy asked for; the message says what it reached.

    >>> from theory.symbols import mu
    >>> from theory.calculus.expectations import GaussianKernel
    >>> K = GaussianKernel(sp.tanh(x), sp.tanh(x), mu, mu**2)
    >>> value(K, {mu: 0.5}).value  # doctest: +ELLIPSIS
    0.25873572587...
    >>> value(K, {mu: "0.5"}, digits=30).value
    0.258735725874620408518333633480
    """
    exact = {symbol: exact_number(number, symbol.name) for symbol, number in (at or {}).items()}
    missing = expr.free_symbols - set(exact)
    if missing:
        names = ", ".join(sorted(symbol.name for symbol in missing))
        raise ParameterError(f"{names} without a value in {expr}; accepted: `at` with a number for every free symbol.")
    if digits is not None:
        check_digits(digits)
    try:
        estimate, reached = _proved(expr, exact, digits), None
    except NotCertifiedError as error:
        estimate, reached = None, error.enclosure
    if digits is not None:
        estimate = estimate or _to_digits(expr.subs(exact), digits)
        return within(estimate, reached, digits)
    if estimate is None and expr.has(GaussianMean, GaussianKernel):
        estimate = _in_float64(expr, exact, tolerance / 10)
    if estimate is None:
        estimate = _to_digits(expr.subs(exact), DOUBLE_DIGITS)
        estimate = Estimate(as_double(estimate.value), as_double(estimate.error))
    estimate = within(estimate, reached)
    if not estimate.error <= tolerance * max(1.0, abs(estimate.value)):
        raise QuadratureError(
            f"{expr} = {float(estimate.value):.15g} with error {float(estimate.error):.2g}, tolerance {tolerance:g} "
            "asked (absolute below 1, relative above); ask for a larger tolerance."
        )
    return estimate


def _proved(expr: Expr, exact: Mapping[Symbol, Expr], digits: int | None) -> Estimate:
    """Return the value with a proved error; raises `NotCertifiedError` where there is none."""
    shown = printed(closed.ball_at(expr, exact), expr, digits)
    return Estimate(shown.value, shown.error, certified=True)


def within(estimate: Estimate, reached: Enclosure | None, digits: int | None = None) -> Estimate:
    """Return an estimate; where an enclosure says that it is wrong, or both may be 0, what that proves.

    In the tails of a Gaussian an oracle has relative digits where an enclosure has none.
    """
    if reached is None:
        return estimate
    low, value, high = (sp.Rational(number) for number in (reached.low, estimate.value, reached.high))
    is_zero = low <= 0 <= high and abs(estimate.value) <= estimate.error
    if low <= value <= high and not is_zero:
        return estimate
    middle = sp.S.Zero if low <= 0 <= high else (low + high) / 2
    shown = sp.Float(middle, digits) if digits else as_double(middle)
    distance = max(high - sp.Rational(shown), sp.Rational(shown) - low).evalf(5) * (1 + sp.Float("1e-4"))
    distance += rounding(shown, digits) * abs(shown)
    return Estimate(shown, distance if digits else as_double(distance), certified=True)


def _in_float64(expr: Expr, exact: Mapping[Symbol, Expr], tolerance: float) -> Estimate | None:
    """Return the value in float64; None where it overflows, underflows or is no number there."""
    symbols = tuple(sorted(exact, key=sp.default_sort_key)) or (x,)
    numbers = [float(exact.get(symbol, 0)) for symbol in symbols]
    compiled = evaluator(symbols, (expr,))
    try:
        estimate = compiled(*numbers, tolerance=tolerance)[0]
    except ArithmeticError:
        return None
    except QuadratureError as error:
        reached = next((easier for easier in looser(10 * tolerance) if _succeeds(compiled, numbers, easier / 10)), None)
        if reached is None:
            return None
        raise QuadratureError(f"{error} Reached here: {reached:g}.") from error
    lost = not math.isfinite(estimate.value) or (not compiled.nodes and abs(estimate.value) < sys.float_info.min)
    return None if lost and expr.free_symbols | expr.atoms(sp.Function) else estimate


def _succeeds(compiled: Evaluator, numbers: Sequence[float], tolerance: float) -> bool:
    with suppress(ArithmeticError, QuadratureError):
        compiled(*numbers, tolerance=tolerance)
        return True
    return False


def looser(tolerance: float) -> Iterator[float]:
    """Yield larger tolerances, powers of ten up to 1e-2."""
    power = math.ceil(math.log10(tolerance) + 0.5)
    while 10.0**power <= LOOSEST:
        yield 10.0**power
        power += 1


def as_double(number: Real) -> Real:
    """Return a float, or the number itself to fifteen digits where it is beyond the range of a double.

    >>> as_double(sp.Float("1e400")), as_double(sp.Float("0.5", 30))
    (1.00000000000000e+400, 0.5)
    """
    rounded = float(number)
    if not number or sys.float_info.min <= abs(rounded) < math.inf or not sp.sympify(number).is_finite:
        return rounded
    return sp.Float(number, DOUBLE_DIGITS)


def rounding(shown: Real, digits: int | None = None) -> Real:
    """Return by what share of it at most a number moves that is written as a double, or to so many digits.

    >>> rounding(0.5) == 2.0**-52, rounding(sp.Float("0.1", 20), 20)
    (True, 6.00000000000000e-20)
    """
    return 2.0**-52 if isinstance(shown, float) else HALF_DIGIT * sp.Float(10) ** -(digits or DOUBLE_DIGITS)


def check_digits(digits: int) -> None:
    """Raise `ParameterError` unless digits is a whole number from 1 to 500."""
    if not (isinstance(digits, int) and 1 <= digits <= MAX_DIGITS):
        raise ParameterError(f"digits = {digits!r} given; accepted: an integer from 1 to {MAX_DIGITS}.")


def exact_number(number: float | sp.Rational | str, name: str) -> Expr:
    """Return a number exactly: a float as the decimal that it prints, text as a decimal or a fraction.

    >>> exact_number(0.1, "mu"), exact_number("1/3", "mu")
    (1/10, 1/3)
    """
    if isinstance(number, sp.Rational):
        return number
    try:
        top, *bottom = map(_decimal, _parts(number))
        exact = top / bottom[0] if bottom else top
        return sp.Rational(exact.numerator, exact.denominator)
    except (TypeError, ValueError, ArithmeticError):
        raise ParameterError(
            f"{name} = {number!r} given; accepted: a finite number, a fraction or decimal text such as '0.032'."
        ) from None


def _parts(number: float | sp.Rational | str) -> list[str]:
    """Split a fraction in numerator and denominator."""
    return number.split("/", 1) if isinstance(number, str) else [repr(float(number))]


def _decimal(text: str) -> Fraction:
    """Read decimal text, of a size that float64 could hold before it becomes an integer of as many digits."""
    decimal = Decimal(text.strip())
    if not decimal.is_finite() or abs(decimal.adjusted()) > MAX_EXPONENT or len(text) > MAX_EXPONENT:
        raise ValueError(text)
    return Fraction(decimal)


def _decimals(expr: Expr) -> set[sp.Float]:
    """Return the numbers that are known to so many digits only, such as the kinks of max(x, erfc(x))."""
    return set().union(*(part.atoms(sp.Float) for part in (expr, *(law.expr for law in expr.atoms(Lambda)))))


def _unreached(what: str, digits: int, reached: int) -> str:
    advice = f"ask for at most {reached}" if reached > 0 else "give a tolerance in place of digits"
    return f"{what}: {digits} digits asked, {max(reached, 0)} reached; {advice}."


def _to_digits(expr: Expr, digits: int) -> Estimate:
    """Return so many digits; raise `QuadratureError` with those that the oracle reaches where these are fewer."""
    known = min((prec_to_dps(f._prec) for f in _decimals(expr)), default=MAX_DIGITS + GUARD)
    if digits + EXTRA > known:
        raise QuadratureError(_unreached(str(expr), digits, known - EXTRA), known - EXTRA)
    working, wanted = min(digits + GUARD, known), sp.Float(10) ** -digits
    estimate, is_complete = _at_precision(expr, working)
    if is_complete and estimate.error > wanted * abs(estimate.value):  # cancellation: as many digits more as it lost
        estimate, _ = _at_precision(expr, working + digits)
    if estimate.error > wanted * max(abs(estimate.value), min(1, wanted * 10**GUARD)):
        lost = estimate.error / abs(estimate.value) if estimate.value else estimate.error
        reached = max(0, int(-sp.log(lost, 10)))
        raise QuadratureError(_unreached(str(expr), digits, reached), reached)
    shown = sp.Float(estimate.value, digits)
    return Estimate(shown, sp.Float(estimate.error + rounding(shown, digits) * abs(shown), 5))


def _closed_at(closed: Expr, digits: int) -> Expr:
    """Evaluate a closed form, with as much precision as cancellation takes up to a limit; zero has the precision 1."""
    digits_of = closed.evalf(digits)
    if closed.has(Phi2) and digits_of.is_Float:  # in whose tails digits are absolute ones
        lost = abs(closed.evalf(2 * digits) - digits_of)
        return sp.Float(lost, precision=1) if lost > sp.Float(10) ** (2 - digits) * abs(digits_of) else digits_of
    if digits_of.is_Float and digits_of._prec < dps_to_prec(digits - 1):
        digits_of = closed.evalf(digits, maxn=MOST)
        if digits_of.is_Float and digits_of._prec < dps_to_prec(digits - 1):
            return sp.Float(digits_of, precision=1)
    return digits_of


def _at_precision(expr: Expr, working: int) -> tuple[Estimate, bool]:
    """Evaluate with nodes to `working` digits, and propagate their errors; also say whether all nodes got that far."""
    nodes = sorted(expr.atoms(GaussianMean, GaussianKernel), key=sp.default_sort_key)
    names = {node: Dummy(f"n{i}", real=True) for i, node in enumerate(nodes)}
    integrals = {names[node]: _oracle(node, working) for node in nodes}
    values = {name: value for name, (value, _, _) in integrals.items()}
    is_complete = all(reached for _, _, reached in integrals.values())
    closed, epsilon = resolved(expr.xreplace(names)), sp.Float(10) ** -working
    total = closed.evalf(working + EXTRA, subs=values) if values else _closed_at(closed, working + EXTRA)
    if total.is_Float and total._prec == 1:  # zero, as far as all the digits tried can tell
        return Estimate(sp.Float(0, working), sp.Float(abs(total), 5)), is_complete
    if not (total.is_Float or total.is_Rational) or not total.is_finite:
        raise QuadratureError(f"{expr} is {total}, not a finite number; accepted are points inside its domain.")
    slopes = (abs(closed.diff(name).evalf(15, subs=values)) * error for name, (_, error, _) in integrals.items())
    return Estimate(total, sum(slopes, abs(total) * epsilon)), is_complete


def _oracle(node: GaussianMean | GaussianKernel, working: int) -> tuple[Expr, Expr, bool]:
    """Return a node and its error, 10^-working (1 + |node|), in a Gaussian's tails relative; and whether that is met.

    Else it is the last value of the oracle, with its last change.
    """
    try:
        value = node.evalf(working + EXTRA)
    except QuadratureError as failure:
        if failure.best is None or not mpmath.isfinite(failure.best[1]):
            raise
        last, change = failure.best
        return sp.Float(last, working), sp.Float(change, 5), False
    unit = sp.S.Zero if node.in_tails else sp.S.One
    return value, sp.Float(10) ** -working * (unit + abs(value)), True
