"""Derive the learning dynamics of any activation, and check them against exact Monte Carlo.

    >>> import hermescape
    >>> system = hermescape.derive("relu")
    >>> system.escape.B
    -1/2

Everything public is here; names are imported on first use, so that the command line starts quickly.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Activation": "theory.activations",
    "activation": "theory.activations",
    "derive": "theory.dynamics",
    "System": "theory.system",
    "Escape": "theory.escape",
    "Loss": "theory.loss",
    "smoothing": "theory.smoothing",
    "information_exponent": "theory.hermite",
    "compile": "numerics.flow:compile_flow",
    "integrate": "numerics.flow",
    "Exit": "numerics.flow",
    "Outcome": "numerics.flow",
    "Trajectory": "numerics.flow",
    "search_time": "numerics.search",
    "simulate": "hermescape.api",
    "ExitSample": "numerics.statistics",
    "check": "hermescape.checking",
    "Report": "hermescape.checking",
    "HermescapeError": "theory.errors",
    "InputError": "theory.errors",
    "ParameterError": "theory.errors",
}

__all__ = [
    "Activation",
    "Escape",
    "Exit",
    "ExitSample",
    "HermescapeError",
    "InputError",
    "Loss",
    "Outcome",
    "ParameterError",
    "Report",
    "System",
    "Trajectory",
    "__version__",
    "activation",
    "check",
    "compile",
    "derive",
    "information_exponent",
    "integrate",
    "search_time",
    "simulate",
    "smoothing",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hermescape' has no attribute {name!r}")
    home, _, alias = _HOMES[name].partition(":")
    return getattr(importlib.import_module(home), alias or name)


def __dir__() -> list[str]:
    return __all__


if TYPE_CHECKING:
    from hermescape.api import simulate
    from hermescape.checking import Report, check
    from numerics.flow import Exit, Outcome, Trajectory, integrate
    from numerics.flow import compile_flow as compile
    from numerics.search import search_time
    from numerics.statistics import ExitSample
    from theory.activations import Activation, activation
    from theory.dynamics import derive
    from theory.errors import HermescapeError, InputError, ParameterError
    from theory.escape import Escape
    from theory.hermite import information_exponent
    from theory.loss import Loss
    from theory.smoothing import smoothing
    from theory.system import System
