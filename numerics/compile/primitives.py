r"""Guarded scalar primitives: stability in one place, compiled once, inlined by every generated function.

Rounding may push the argument of a square root or of an inverse sine a few units in the last place outside
its domain; here it is moved back to the boundary. A NaN stays a NaN, so that divergence is never hidden. All
take and return float64; none raises.

`exp`, `erf`, `tanh` and `softplus` have neither branches nor calls, only selections, so that loops over samples run in
vector registers:

    exp(x)  = 2^k exp(x - k log 2), k = round(x / log 2), Taylor polynomial of degree 13
    erf(x)  = Taylor polynomial for |x| < 1, else 1 - exp(-x^2) P(s) with s = (x - a)/(x + a), a = sqrt 6
    tanh(x) = x Q(x^2) for |x| < 0.55, else (1 - e)/(1 + e) with e = exp(-2 |x|)
    log(1 + e) = 2 s R(s^2), s = e/(2 + e), e = exp(-|x|), for softplus

P, Q and R are Chebyshev interpolants of exp(x^2) erfc(x), tanh(x)/x and artanh(x)/x; a test computes their coefficients
to 30 digits, for which every process would wait a fifth of importing SymPy. Errors are below two units in the last
place, those of `softplus` below four.

>>> sqrt(-1e-17), asin(1.0 + 1e-15) == math.pi / 2, heaviside(0.0)
(0.0, True, 0.5)
>>> logistic(-1e4), logistic(1e4), softplus(1e4)
(0.0, 1.0, 10000.0)
>>> exp(-1e4), exp(1e4), erf(-7.0), tanh(1e4)
(0.0, inf, -1.0, 1.0)
"""

import math
from typing import Any

import numpy as np
from numba import njit

__all__ = [
    "acos",
    "asin",
    "bivariate_normal",
    "dawson",
    "erf",
    "exp",
    "heaviside",
    "logistic",
    "maximum",
    "minimum",
    "sign",
    "softplus",
    "sqrt",
    "tanh",
]

_primitive = njit(error_model="numpy", nogil=True, forceinline=True)
_contracted = njit(error_model="numpy", nogil=True, forceinline=True, fastmath={"contract"})


def _polynomial(coefficients: list[float]) -> Any:
    """Compile Horner's rule, unrolled, for coefficients in descending order of power."""
    text = repr(coefficients[0])
    for coefficient in coefficients[1:]:
        text = f"({text})*t + {coefficient!r}"
    scope: dict[str, Any] = {}
    exec(f"def polynomial(t):\n    return {text}", scope)
    return _contracted(scope["polynomial"])


_ERF_MIDDLE = math.sqrt(6.0)
_ERF_END = 6.0
"""erf(6) rounds to 1."""
_TANH_SPLIT = 0.55

COEFFICIENTS = {
    "erf": (
        "4.763348040515068e-18 -9.063970842808673e-17 1.6342614095367152e-15 -2.7835162072109215e-14 "
        "4.4632242632864775e-13 -6.7113668551641105e-12 9.422759064650411e-11 -1.2290555301717928e-09 "
        "1.4807192815879218e-08 -1.6365844691234924e-07 1.6462114365889248e-06 -1.492565035840625e-05 "
        "0.00012055332981789664 -0.0008548327023450853 0.005223977625442188 -0.026866170645131252 "
        "0.11283791670955126 -0.37612638903183754 1.1283791670955126"
    ),
    "erfcx": (
        "-3.999258897476429e-08 -3.564529842330104e-08 1.5654841560483582e-07 3.560292023709148e-07 "
        "-2.6332009553442605e-07 -2.0224104289721728e-06 -9.639391577347247e-07 9.586224905733107e-06 "
        "1.340460438725907e-05 -4.67059271296618e-05 -0.00010325151659907822 0.000294976986141529 "
        "0.000685538300570141 -0.002857462312434416 -0.0022689267526360335 0.03630813149992488 "
        "-0.12145140284029052 0.25166683742194224 -0.37687425386567325 0.21462633906982062"
    ),
    "tanh": (
        "7.425664457521805e-06 -3.292280539245796e-05 9.393182361286203e-05 -0.00023819725675641452 "
        "0.0005898278970977121 -0.0014558047961475027 0.0035921250169695033 -0.008863235322687681 "
        "0.021869488527004526 -0.05396825396801301 0.13333333333333003 -0.3333333333333333 1.0"
    ),
    "artanh": (
        "0.08522081781390699 0.0416225325593041 0.06055084364034609 0.06650187016337313 0.07693307021152004 "
        "0.09090870416252403 0.11111112040373837 0.14285714272727057 0.20000000000092874 0.33333333333333076 1.0"
    ),
}
"""Of the Taylor polynomial of erf(x)/x in x^2, and of P, Q and R, in descending order of power."""

_exp_reduced = _polynomial([1 / math.factorial(n) for n in range(13, -1, -1)])
_erf_ratio, _erfcx, _tanh_over_x, _artanh_over_x = (
    _polynomial(list(map(float, text.split()))) for text in COEFFICIENTS.values()
)
_LOG2_HIGH, _LOG2_LOW = 0.6931471803691238, 1.9082149292705877e-10

_LOG2_INVERSE = 1 / math.log(2.0)
_ROUND = 1.5 * 2.0**52
"""Adding it rounds to an integer, which then sits in the low bits of the sum."""


@_primitive
def _power_of_two(shifted: float) -> float:
    """2^k for `shifted` = k + 1.5 * 2^52, |k| < 1023, by writing the exponent bits."""
    exponent = (np.float64(shifted).view(np.int64) << 52) + (1023 << 52)  # pyright: ignore[reportOperatorIssue]
    return np.int64(exponent).view(np.float64)  # pyright: ignore[reportReturnType]


@_contracted
def exp(value: float) -> float:
    """Exponential function; inf and 0 beyond the range of float64."""
    clipped = 710.0 if value > 710.0 else (-746.0 if value < -746.0 else value)
    k = (clipped * _LOG2_INVERSE + _ROUND) - _ROUND
    reduced = _exp_reduced((clipped - k * _LOG2_HIGH) - k * _LOG2_LOW)
    half = k * 0.5 + _ROUND
    return reduced * _power_of_two(half) * _power_of_two((k - (half - _ROUND)) + _ROUND)


@_contracted
def erf(value: float) -> float:
    """Error function 2/sqrt(pi) int_0^x exp(-t^2) dt."""
    size = _ERF_END if abs(value) > _ERF_END else abs(value)
    near = value * _erf_ratio(value * value)
    far = 1.0 - exp(-size * size) * _erfcx((size - _ERF_MIDDLE) / (size + _ERF_MIDDLE))
    return near if size < 1.0 else (-far if value < 0.0 else far)


@_contracted
def tanh(value: float) -> float:
    """Hyperbolic tangent."""
    decay = exp(-2.0 * abs(value))
    near = value * _tanh_over_x(value * value)
    far = (1.0 - decay) / (1.0 + decay)
    return near if abs(value) < _TANH_SPLIT else (-far if value < 0.0 else far)


@_primitive
def sqrt(value: float) -> float:
    """Square root of `max(value, 0)`."""
    return math.sqrt(0.0 if value < 0.0 else value)


@_primitive
def asin(value: float) -> float:
    """Inverse sine (radians) of `value` clipped to [-1, 1]."""
    return math.asin(1.0 if value > 1.0 else (-1.0 if value < -1.0 else value))


@_primitive
def acos(value: float) -> float:
    """Inverse cosine (radians) of `value` clipped to [-1, 1]."""
    return math.acos(1.0 if value > 1.0 else (-1.0 if value < -1.0 else value))


@_primitive
def sign(value: float) -> float:
    """-1, 0 or 1."""
    return 1.0 if value > 0.0 else (-1.0 if value < 0.0 else value)


@_primitive
def heaviside(value: float) -> float:
    """0 on the left of the origin, 1 on its right, 1/2 at it."""
    return 1.0 if value > 0.0 else (0.0 if value < 0.0 else value + 0.5)


@_primitive
def maximum(first: float, second: float) -> float:
    """The larger of two; NaN if either is."""
    return first if first > second or math.isnan(first) else second


@_primitive
def minimum(first: float, second: float) -> float:
    """The smaller of two; NaN if either is."""
    return first if first < second or math.isnan(first) else second


@_primitive
def logistic(value: float) -> float:
    """1 / (1 + exp(-value)), to full relative accuracy at both ends: exp never sees a positive argument."""
    decay = exp(-abs(value))
    return (decay if value < 0.0 else 1.0) / (1.0 + decay)


@_primitive
def softplus(value: float) -> float:
    """log(1 + exp(value)) = max(value, 0) + log(1 + exp(-|value|)), with log(1 + e) = 2 artanh(e / (2 + e))."""
    decay = exp(-abs(value))
    ratio = decay / (2.0 + decay)
    return (value if value > 0.0 else 0.0) + 2.0 * ratio * _artanh_over_x(ratio * ratio)


_DAWSON_STEP = 0.25
_DAWSON_TERMS = 27


@_primitive
def dawson(value: float) -> float:
    """Dawson's integral exp(-x^2) int_0^x exp(t^2) dt, by Rybicki's sampling (1989) of step 1/4, error 1e-16.

    D(x) = 1/sqrt(pi) sum over odd n of exp(-(x - n h)^2) / n, with an error of order exp(-(pi / 2h)^2); beyond |x| = 50
    the asymptotic series.
    """
    size = abs(value)
    if size > 50.0:
        square = 1.0 / (2.0 * value * value)
        return (1.0 + square * (1.0 + 3.0 * square * (1.0 + 5.0 * square * (1.0 + 7.0 * square)))) / (2.0 * value)
    if size < 0.2:
        square = value * value
        total = 0.0
        for n in range(12, 0, -1):
            total = -2.0 * square / (2.0 * n + 1.0) * (1.0 + total)
        return value * (1.0 + total)
    nearest = 2.0 * round(size / (2.0 * _DAWSON_STEP))
    total = 0.0
    for j in range(-_DAWSON_TERMS, _DAWSON_TERMS + 1):
        n = nearest + 2.0 * j + 1.0
        gap = size - n * _DAWSON_STEP
        total += math.exp(-gap * gap) / n
    return math.copysign(total / math.sqrt(math.pi), value)


@_primitive
def _normal_tail(value: float) -> float:
    """P(Z > value)."""
    return 0.5 * math.erfc(value * math.sqrt(0.5))


_LEGENDRE_NODES, _LEGENDRE_WEIGHTS = np.polynomial.legendre.leggauss(24)


@_primitive
def _plackett(h: float, k: float, low: float, high: float) -> float:
    """1/(2 pi) int exp(-(h - k)^2 / (2 sin^2 s) - h k / (1 + cos s)) ds from low to high, one Gauss-Legendre panel.

    This is Plackett's integrand at the angle t = pi/2 - s, where no digit is lost as t tends to pi/2.
    """
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    total = 0.0
    for i in range(_LEGENDRE_NODES.size):
        s = middle + half * _LEGENDRE_NODES[i]
        sine = math.sin(s)
        total += _LEGENDRE_WEIGHTS[i] * math.exp(-0.5 * (h - k) ** 2 / (sine * sine) - h * k / (1.0 + math.cos(s)))
    return total * half / (2.0 * math.pi)


@_primitive
def _from_independence(h: float, k: float, start: float) -> float:
    """The integral from `start` to pi/2, in panels that halve towards zero, finer the farther out h and k lie."""
    pieces = 1 + int(min(40.0, 0.02 * (h * h + k * k)))
    total, high = 0.0, 0.5 * math.pi
    while high > start:
        low = start if high < 1e-8 else max(start, 0.5 * high)  # what is left is flat, or has vanished
        for i in range(pieces):
            step = (high - low) / pieces
            total += _plackett(h, k, low + i * step, low + (i + 1) * step)
        high = low
    return total


@_primitive
def _from_dependence(h: float, k: float, start: float) -> float:
    """The integral from zero to `start`; below a fraction of |h - k| the integrand has vanished."""
    pieces = 1 + int(min(40.0, 0.02 * (h * h + k * k)))
    total, high, end = 0.0, start, 0.025 * abs(h - k)
    for _ in range(60):
        if high <= end or high < 1e-17:
            break
        step = 0.5 * high / pieces
        for i in range(pieces):
            total += _plackett(h, k, 0.5 * high + i * step, 0.5 * high + (i + 1) * step)
        high *= 0.5
    return total


@_primitive
def bivariate_normal(h: float, k: float, angle: float) -> float:
    """P(X <= h, Y <= k) for standard normals of correlation sin(angle), |angle| <= pi/2, to 1e-15 absolute.

    Plackett's integral from angle 0, where the value is Phi(h) Phi(k), or from +-pi/2, where it is a difference of
    Phi's: the nearer one, but where the probability is a tail the one to which the integral only adds, so that small
    values are right in relation to themselves. Towards pi/2 the integrand sets in like
    exp(-(h - k)^2 / (2 cos^2 t)), so that panels shrink geometrically.
    """
    if math.isnan(h + k) or not abs(angle) <= 2.0:
        return math.nan
    start = 0.5 * math.pi - min(abs(angle), 0.5 * math.pi)
    if angle >= 0.0:
        if angle < 1.0 or (h < 0.0 and k < 0.0):
            return min(1.0, _normal_tail(-h) * _normal_tail(-k) + _from_independence(h, k, start))
        return min(1.0, max(0.0, _normal_tail(-min(h, k)) - _from_dependence(h, k, start)))
    if h + k <= 0.0:
        return min(1.0, _from_dependence(h, -k, start))
    if angle > -1.0:
        return min(1.0, max(0.0, _normal_tail(-h) * _normal_tail(-k) - _from_independence(h, -k, start)))
    return min(1.0, max(0.0, _normal_tail(-h) - _normal_tail(k)) + _from_dependence(h, -k, start))
