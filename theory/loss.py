r"""The population loss of a single-index teacher as a function of two Gram entries.

    L(q, r) = 1/2 E_r[sigma^2] - K(q, r) + 1/2 E_1[phi^2],     K(q, r) = E[sigma(l) phi(l*)].

Its derivatives come from Price's theorem and not from differentiating the printed form: they stay finite at the
edge r = q^2, where L(q, r) is an inverse sine at the end of its domain:

    L_q = -E[sigma'(l) phi'(l*)],    L_r = 1/4 E_r[(sigma^2)''] - 1/2 E[sigma''(l) phi(l*)].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import sympy as sp
from sympy import Expr, S

from theory.activations import Activation
from theory.expectations import Distribution, gaussian_kernel, gaussian_mean, is_closed
from theory.symbols import q, r
from theory.tidy import tidy

__all__ = ["Loss"]


@dataclass(frozen=True)
class Loss:
    """Population loss of student sigma and teacher link phi, label noise excluded.

    >>> from theory.activations import activation
    >>> Loss(activation("linear"), activation("linear")).expr
    -q + r/2 + 1/2
    """

    student: Activation
    teacher: Activation

    @cached_property
    def _sigma(self) -> Distribution:
        return Distribution.of(self.student.expr)

    @cached_property
    def _phi(self) -> Distribution:
        return Distribution.of(self.teacher.expr)

    @cached_property
    def _sigma_squared(self) -> Distribution:
        return Distribution.of(self.student.expr**2)

    def kernel(self, overlap: Expr = q, variance: Expr = r) -> Expr:
        """Return K(q, r) = E[sigma(l) phi(l*)]."""
        return gaussian_kernel(self._sigma, self._phi, overlap, variance)

    @cached_property
    def expr(self) -> Expr:
        """L(q, r)."""
        own = gaussian_mean(self._sigma_squared, S.Zero, r)
        target = gaussian_mean(Distribution.of(self.teacher.expr**2), S.Zero, S.One)
        return tidy_sum(own / 2 - self.kernel() + target / 2)

    def gradient(self, overlap: Expr = q, variance: Expr = r) -> tuple[Expr, Expr]:
        """Return (L_q, L_r) at the given overlap and squared norm; `gradient(mu, mu**2)` is the aligned edge.

        Raises `NotIntegrableError` where a derivative is infinite (a student that jumps, at the edge).
        """
        overlap, variance = sp.sympify(overlap), sp.sympify(variance)
        sigma, phi = self._sigma, self._phi
        slope = -gaussian_kernel(sigma.diff(), phi.diff(), overlap, variance)
        own = gaussian_mean(self._sigma_squared.diff(2), S.Zero, variance)
        return slope, tidy_sum(own / 4 - gaussian_kernel(sigma.diff(2), phi, overlap, variance) / 2)

    def noise(self, overlap: Expr = q, variance: Expr = r) -> Expr:
        r"""Return J(q, r) = E[(sigma(l) - phi(l*))^2 sigma'(l)^2], the gradient's variance in a bulk direction.

        >>> from theory.activations import activation
        >>> Loss(activation("linear"), activation("linear")).noise()
        -2*q + r + 1
        """
        overlap, variance = sp.sympify(overlap), sp.sympify(variance)
        sigma, slope, phi = self.student.expr, self.student.derivative, self.teacher.expr
        own = gaussian_mean(Distribution.of(sigma**2 * slope**2), S.Zero, variance)
        cross = gaussian_kernel(Distribution.of(sigma * slope**2), self._phi, overlap, variance)
        target = gaussian_kernel(Distribution.of(slope**2), Distribution.of(phi**2), overlap, variance)
        return tidy_sum(own - 2 * cross + target)

    @property
    def is_closed(self) -> bool:
        """Whether L(q, r) contains no unevaluated expectation."""
        return is_closed(self.expr)

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle L(q, r) = {sp.latex(self.expr)}$"


def tidy_sum(expr: Expr) -> Expr:
    """Tidy a closed expression; leave one with unevaluated nodes as it stands."""
    return tidy(expr) if is_closed(expr) else expr
