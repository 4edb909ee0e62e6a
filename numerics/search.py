r"""Numbers of the search phase at given mu: A, B, growth rate, search time, each with its error.

With S = sqrt(B^2 + 4 A^2) the rate is lambda = (B + S)/2 and tau = 1/lambda. For B < 0 that is a difference of nearly
equal numbers when A is small, so lambda = 2 A^2 / (S - B) is used there. The error of tau follows to first order from
those of A and B, d lambda = (lambda dB + 2 A dA) / S; it is 0 where A and B are closed forms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy as sp
from sympy import Expr

from numerics.evaluate import evaluator
from numerics.quadrature import Estimate
from theory.errors import InputError, ParameterError
from theory.expectations import GaussianKernel, GaussianMean
from theory.symbols import mu as mu_symbol
from theory.system import System

__all__ = ["Search", "gradient_noise", "search_time"]


@dataclass(frozen=True)
class Search:
    """The search phase at one mu; `tau` (t = eta * step) is None where infinite, `error` its absolute error."""

    mu: float
    A: float
    B: float
    rate: float
    tau: float | None
    error: float


def search_time(system: System, mu: float) -> Search:
    """Return A, B, rate and tau of a LoRA system at mu in (0, 1].

    Raises `ParameterError` for mu outside (0, 1], `InputError` for a system without a linearised search phase.

    >>> from theory.dynamics import derive
    >>> round(search_time(derive("relu"), 0.032).tau, 4)
    3.3927
    """
    if not (np.isfinite(mu) and 0 < mu <= 1):
        raise ParameterError(f"mu = {mu!r} given; accepted: a number in (0, 1]; mu is the alignment <w0, w*>.")
    escape = system.escape
    if escape.A is None or escape.B is None:
        raise InputError(
            f"student {system.loss_function.student.name} with model {system.model.name}: the search phase has no "
            "linearisation (plain model, or a student that jumps or has an infinite slope); accepted are continuous "
            "students with finite slopes and model lora."
        )
    slope, curvature = evaluator((mu_symbol,), (escape.A, escape.B))(mu)
    if abs(slope.value) <= max(slope.error, 1e-12 * abs(curvature.value)):
        slope = _settle(escape.A, mu)
    return _search(mu, slope, curvature)


def _settle(f: Expr, mu: float) -> Estimate:
    """Decide at 30 digits whether a value lost in rounding is zero."""
    there = f.subs(mu_symbol, sp.Rational(repr(float(mu))))
    nodes = {node: node.evalf(40) for node in there.atoms(GaussianMean, GaussianKernel)}
    value = sp.N(there.xreplace(nodes), 30)
    return Estimate(0.0, 0.0) if abs(value) < sp.Float("1e-25") else Estimate(float(value), 0.0)


def _search(mu: float, slope: Estimate, curvature: Estimate) -> Search:
    a, b = slope.value, curvature.value
    root = float(np.hypot(b, 2 * a))
    rate = (b + root) / 2 if b > 0 else (2 * a * a / (root - b) if root > 0 else 0.0)
    if rate == 0:
        return Search(mu, a, b, 0.0, None, 0.0)
    rate_error = (rate * curvature.error + 2 * abs(a) * slope.error) / root
    return Search(mu, a, b, rate, 1 / rate, rate_error / rate**2)


def gradient_noise(system: System, mu: float) -> float:
    """Return J_0 = J(mu, mu^2), the gradient's variance in a bulk direction at the pre-trained weight."""
    noise = system.loss_function.noise(mu_symbol, mu_symbol**2)
    return evaluator((mu_symbol,), (noise,))(mu)[0].value
