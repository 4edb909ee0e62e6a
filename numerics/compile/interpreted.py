"""What generated source means where it is not compiled: a few numbers are there before a compiler has begun.

The same functions as `numerics.compile.primitives`, guarded alike, on single float64 numbers, with division by zero as
IEEE 754 says. Those with long formulas are taken from there, when a formula first names one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

__all__ = ["interpreted", "meanings"]

TRIGONOMETRIC = ("sin", "cos", "tan", "atan", "atan2")
HYPERBOLIC = ("sinh", "cosh", "tanh", "asinh", "acosh", "atanh")


def _clipped(value: float) -> float:
    return 1.0 if value > 1.0 else (-1.0 if value < -1.0 else value)


def _logistic(value: float) -> float:
    decay = np.exp(-abs(value))
    return (decay if value < 0.0 else 1.0) / (1.0 + decay)


def _softplus(value: float) -> float:
    return (value if value > 0.0 else 0.0) + np.log1p(np.exp(-abs(value)))


_GUARDED: dict[str, Callable[..., float]] = {
    "sqrt": lambda value: math.sqrt(0.0 if value < 0.0 else value),
    "asin": lambda value: math.asin(_clipped(value)),
    "acos": lambda value: math.acos(_clipped(value)),
    "sign": lambda value: 1.0 if value > 0.0 else (-1.0 if value < 0.0 else value),
    "heaviside": lambda value: 1.0 if value > 0.0 else (0.0 if value < 0.0 else value + 0.5),
    "maximum": lambda first, second: first if first > second or math.isnan(first) else second,
    "minimum": lambda first, second: first if first < second or math.isnan(first) else second,
    "logistic": _logistic,
    "softplus": _softplus,
    "erf": math.erf,
    "erfc": math.erfc,
}
_MEANT: dict[str, Any] = {
    **{name: getattr(np, re.sub("^a", "arc", name)) for name in ("exp", "log", *TRIGONOMETRIC, *HYPERBOLIC)},
    **{"inf": math.inf, "nan": math.nan, "abs": abs, "len": len, "max": max, "range": range},
}


def meanings(names: Iterable[str]) -> dict[str, Any]:
    """Return what each name of generated source stands for.

    >>> float(meanings(["sqrt"])["sqrt"](-1e-17))
    0.0
    """
    return {name: _meaning(name) for name in names}


def interpreted(text: str, name: str) -> Callable[..., tuple[float, ...]]:
    """Return a function of generated source, which may call others of it, on float64 scalars.

    >>> interpreted("def half(x):\\n    return (x/2,)", "half")(3)
    (1.5,)
    """
    scope: dict[str, Any] = {"__builtins__": {}}
    exec(compile(text, f"<generated {name}>", "exec"), scope)
    own = {key: each for key, each in scope.items() if key != "__builtins__"}
    named = {each for function in own.values() for each in function.__code__.co_names}
    scope |= meanings(named - own.keys())
    function = own[name]

    def run(*values: float) -> tuple[float, ...]:
        with np.errstate(all="ignore"):
            return tuple(map(float, function(*map(np.float64, values))))

    return run


def _primitive(name: str) -> Callable[..., float]:
    from numerics.compile import primitives

    return getattr(primitives, name)


def _meaning(name: str) -> Any:
    if name in _MEANT:
        return _MEANT[name]
    function = _GUARDED.get(name) or _primitive(name)
    return lambda *values: np.float64(function(*values))
