"""The curvature of the loss: whether a student has one at w0, and the largest at the teacher, which bounds steps."""

from __future__ import annotations

from numerics.integrals.evaluate import evaluator
from theory.calculus.expectations import Distribution, gaussian_mean
from theory.errors import InputError
from theory.network.system import System
from theory.symbols import x

__all__ = ["largest_curvature", "require_slope"]


def require_slope(system: System) -> None:
    """Refuse a student whose search phase has no rate."""
    if system.escape.B is None:
        raise InputError(
            f"{system.loss_function.student.name} jumps or has an infinite slope, so its loss has no curvature at w0 "
            "and its search phase no rate; accepted are continuous students with finite slopes: use it as --teacher."
        )


def largest_curvature(system: System) -> float:
    """Return the largest curvature of the squared loss at the teacher: E sigma'^2 across it, E Z^2 sigma'^2 along it.

    A scale alpha > 1 multiplies it by alpha^2. The correlation loss, which has none of the student's own, takes its
    scale of step sizes from it too.

    >>> from theory.network.derivation import derive
    >>> largest_curvature(derive("relu")), round(largest_curvature(derive("linear", alpha=2)), 12)
    (0.5, 4.0)
    """
    squared = system.loss_function.student.derivative**2
    means = tuple(gaussian_mean(Distribution.of(f), 0, 1) for f in (squared, x**2 * squared))
    square = system.escape.square
    return max(float(values.value) for values in evaluator((x,), means)(0.0)) * max(1.0, float(square or 1))
