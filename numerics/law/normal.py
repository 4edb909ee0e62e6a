r"""The standard normal Z where laws need it: its distribution function to full relative accuracy, and E log|Z + a|.

    E log|Z + a| = -(gamma + log 2)/2 + (a^2/2) 2F2(1, 1; 3/2, 2; -a^2/2)

half the derivative at s = 0 of the moments E |Z + a|^(2 s), which are 1F1 (DLMF, chapter 13).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import mpmath

__all__ = ["inverse", "mean_log", "normal_cdf", "normal_quantile"]

FAR = 1e4  # from here on log|a| - 1/(2 a^2), the next term being 3/(4 a^4)
_STANDARD = NormalDist()


def normal_cdf(x: float) -> float:
    """Return P(Z <= x), small values to full relative accuracy.

    >>> normal_cdf(-20.0), normal_cdf(math.inf)
    (2.75362411860...e-89, 1.0)
    """
    return math.erfc(-x * math.sqrt(0.5)) / 2


def normal_quantile(level: float) -> float:
    """Return x with P(Z <= x) = level in [0, 1].

    >>> round(normal_quantile(0.975), 12), normal_quantile(0.0)
    (1.95996398454, -inf)
    """
    return _STANDARD.inv_cdf(level) if 0 < level < 1 else math.copysign(math.inf, level - 0.5)


def mean_log(shift: float) -> float:
    """Return E log|Z + shift|.

    >>> round(mean_log(0.0), 12), round(mean_log(1e8) - math.log(1e8), 12)
    (-0.635181422731, 0.0)
    """
    if abs(shift) > FAR:
        return math.log(abs(shift)) - 1 / shift / shift / 2
    square = mpmath.mpf(shift) ** 2 / 2
    return float(square * mpmath.hyp2f2(1, 1, 1.5, 2, -square) - (mpmath.euler + mpmath.log(2)) / 2)


def inverse(cdf: Callable[[float], float], level: float, low: float, high: float) -> float:
    """Return t in [low, high] where an increasing function reaches a level, to the last digit, by halving.

    >>> inverse(lambda t: t**2, 0.25, 0.0, 10.0)
    0.5
    """
    while low < (middle := low + (high - low) / 2) < high:
        low, high = (low, middle) if cdf(middle) >= level else (middle, high)
    return high
