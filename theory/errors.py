"""Every error a caller may want to name.

A message says what was given, what is accepted, and how to fix it. All derive from `HermescapeError`;
those caused by the caller's input also derive from `ValueError`.
"""

from typing import Any

__all__ = [
    "ActivationSyntaxError",
    "HermescapeError",
    "InputError",
    "NoClosedFormError",
    "NoFormulaError",
    "NotCertifiedError",
    "NotIntegrableError",
    "NotRealError",
    "ParameterError",
    "QuadratureError",
    "StalledError",
    "StoreError",
    "UnknownNameError",
    "UnsupportedExpressionError",
    "WorkerError",
]


class HermescapeError(Exception):
    """Base of every error raised on purpose by this package."""


class InputError(HermescapeError, ValueError):
    """The input cannot be used; nothing was computed and nothing was written."""


class ActivationSyntaxError(InputError):
    """The text is not an expression of the accepted language."""


class UnknownNameError(ActivationSyntaxError):
    """A name in the text is neither the variable, nor a known function, nor a registered activation."""


class NoFormulaError(InputError):
    """Numbers were asked for of a function of which only the name is known."""


class NotRealError(InputError):
    """The function is complex or undefined somewhere on the real line."""


class NotIntegrableError(InputError):
    """A Gaussian expectation of the function (or of its square) is infinite."""


class ParameterError(InputError):
    """A numerical parameter lies outside its domain."""


class StalledError(InputError):
    """A threshold lies where SGD's own noise holds back what it would take to reach it."""


class NoClosedFormError(HermescapeError):
    """No rule gives this expectation in closed form; the numerical tier still computes it."""


class UnsupportedExpressionError(HermescapeError):
    """Code generation met a node that it has no printer for."""


class QuadratureError(HermescapeError):
    """A numerical integral did not reach the requested tolerance.

    Where they are known, `reached` are its digits, and `best` the last value with the last change.
    """

    def __init__(self, message: str, reached: int | None = None, best: tuple[Any, Any] | None = None) -> None:
        super().__init__(message)
        self.reached, self.best = reached, best


class NotCertifiedError(HermescapeError):
    """No bound could be proved; `enclosure` is what was enclosed so far, if anything."""

    def __init__(self, message: str, enclosure: Any = None) -> None:
        super().__init__(message)
        self.enclosure = enclosure


class StoreError(HermescapeError):
    """The file of a sweep cannot be used: it is in use, made by something else, or cannot be written."""


class WorkerError(HermescapeError):
    """The executor of a sweep lost a cell; the cells that finished are kept."""
