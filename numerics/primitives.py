r"""Guarded scalar primitives: stability in one place, compiled once, inlined by every generated function.

Rounding may push the argument of a square root or of an inverse sine a few units in the last place outside
its domain; here it is moved back to the boundary. A NaN stays a NaN, so that divergence is never hidden. All
take and return float64; none raises.

`exp`, `erf` and `tanh` have neither branches nor calls, only selections, so that loops over samples run in
vector registers:

    exp(x)  = 2^k exp(x - k log 2), k = round(x / log 2), Taylor polynomial of degree 13
    erf(x)  = Taylor polynomial for |x| < 1, else 1 - exp(-x^2) P(s) with s = (x - a)/(x + a), a = sqrt 6
    tanh(x) = x Q(x^2) for |x| < 0.55, else (1 - e)/(1 + e) with e = exp(-2 |x|)

P and Q are Chebyshev interpolants of exp(x^2) erfc(x) and tanh(x)/x, computed at import to 30 digits. Errors
are below two units in the last place.

>>> sqrt(-1e-17), asin(1.0 + 1e-15) == math.pi / 2, heaviside(0.0)
(0.0, True, 0.5)
>>> logistic(-1e4), logistic(1e4), softplus(1e4)
(0.0, 1.0, 10000.0)
>>> exp(-1e4), exp(1e4), erf(-7.0), tanh(1e4)
(0.0, inf, -1.0, 1.0)
"""

import math
from typing import Any

import mpmath
import numpy as np
from numba import njit

__all__ = [
    "acos",
    "asin",
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


def _erfcx_of_s(s: Any) -> Any:
    point = _ERF_MIDDLE * (1 + s) / (1 - s)
    return mpmath.exp(point**2) * mpmath.erfc(point)


def _tanh_ratio(square: Any) -> Any:
    root = mpmath.sqrt(square)
    return mpmath.tanh(root) / root


_ERF_MIDDLE = math.sqrt(6.0)
_ERF_END = 6.0
"""erf(6) rounds to 1."""
_ERF_SPAN = (_ERF_END - _ERF_MIDDLE) / (_ERF_END + _ERF_MIDDLE)
_TANH_SPLIT = 0.55

with mpmath.workdps(30):
    _exp_reduced = _polynomial([1 / math.factorial(n) for n in range(13, -1, -1)])
    _erf_ratio = _polynomial(
        [float(2 / mpmath.sqrt(mpmath.pi) * (-1) ** n / mpmath.factorial(n) / (2 * n + 1)) for n in range(18, -1, -1)]
    )
    _erfcx = _polynomial([float(c) for c in mpmath.chebyfit(_erfcx_of_s, [-_ERF_SPAN, _ERF_SPAN], 20)])
    _tanh_over_x = _polynomial([float(c) for c in mpmath.chebyfit(_tanh_ratio, [0, _TANH_SPLIT**2], 13)])
    _LOG2_HIGH = float(mpmath.floor(mpmath.ln2 * 2**32) / 2**32)
    _LOG2_LOW = float(mpmath.ln2 - _LOG2_HIGH)

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
    """log(1 + exp(value)) = max(value, 0) + log1p(exp(-|value|))."""
    return (value if value > 0.0 else 0.0) + math.log1p(exp(-abs(value)))
