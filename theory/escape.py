r"""The search phase: linearisation of the derived dynamics at its start, and the search time.

For LoRA the start (u, m) = (0, 0) is a fixed point with Jacobian [[B, A], [A, 0]], where L_q, L_r are taken at the
pre-trained weight. The growth rate is its larger eigenvalue and tau = 1/lambda_+ (time unit eta * step):

    lambda_+ = (B + sqrt(B^2 + 4 A^2)) / 2,     tau = (-B + sqrt(B^2 + 4 A^2)) / (2 A^2).

For plain spherical training dm/dt ~ c m^(k*-1) with k* the information exponent: there is a rate only for k* = 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import sympy as sp
from sympy import Expr, S, Symbol

from theory.errors import HermescapeError, NotIntegrableError
from theory.expectations import is_closed
from theory.hermite import coefficient, information_exponent
from theory.loss import Loss
from theory.models import Model, loss_arguments
from theory.symbols import L_q, L_r, q, r
from theory.tidy import tidy

__all__ = ["Escape"]


@dataclass(frozen=True)
class Escape:
    """The linearised search phase of a derived system.

    >>> from theory.dynamics import derive
    >>> derive("he2").escape.A
    6*mu*(1 - mu)*(mu + 1)
    """

    loss: Loss
    model: Model
    states: tuple[Symbol, ...]
    velocities: Mapping[Symbol, Expr]

    @cached_property
    def base_gradient(self) -> tuple[Expr, Expr] | None:
        """(L_q, L_r) at the start, or None where one of them is infinite (a student that jumps)."""
        gram, start = self.model.gram, self.model.start
        at = {name: gram.inner(*pair).subs(start) for name, pair in loss_arguments(self.model).items()}
        try:
            found = self.loss.gradient(at[q], at[r])
        except NotIntegrableError:
            return None
        return None if any(g.has(sp.oo, -sp.oo, sp.zoo, sp.nan) for g in found) else found

    @cached_property
    def jacobian(self) -> sp.Matrix | None:
        """d(velocity)/d(state) at the start; exact, since L_q and L_r meet factors that vanish there."""
        if self.base_gradient is None:
            return None
        slope, bend = self.base_gradient
        rows = sp.Matrix([self.velocities[state] for state in self.states]).jacobian(self.states)
        return rows.subs(self.model.start).subs({L_q: slope, L_r: bend}).applyfunc(_tidy_if_closed)

    @property
    def is_linear(self) -> bool:
        """Whether the start is a fixed point with a linearisation in mu (LoRA), not a point m = 0 on the sphere."""
        return bool(self.model.scalars)

    @property
    def A(self) -> Expr | None:
        """A(mu) = -(L_q + 2 mu L_r), the slope -dL(mu, mu^2)/dmu of the pre-training loss; None for plain."""
        return self.jacobian[0, 1] if self.is_linear and self.jacobian is not None else None

    @property
    def B(self) -> Expr | None:
        """B(mu) = -2 L_r, minus the curvature across the bulk of directions; None for plain."""
        return self.jacobian[0, 0] if self.is_linear and self.jacobian is not None else None

    @cached_property
    def exponent(self) -> int | None:
        """The information exponent k* of the pair."""
        return information_exponent(self.loss.student, self.loss.teacher)

    @cached_property
    def drift(self) -> Expr | None:
        """c in dm/dt ~ c m^(k*-1) for plain training: sigma_{k*} phi_{k*} / (k* - 1)!; None where trapped for ever."""
        k = self.exponent
        if k is None:
            return None
        return coefficient(self.loss.student, k) * coefficient(self.loss.teacher, k) / sp.factorial(k - 1)

    @cached_property
    def rate(self) -> Expr | None:
        """The growth rate of the search phase, per unit of t; None where growth is not exponential."""
        if not self.is_linear:
            return self.drift if self.exponent == 2 else None
        if self.A is None or self.B is None:
            return None
        return (self.B + sp.sqrt(_tidy_if_closed(self.B**2 + 4 * self.A**2))) / 2

    @cached_property
    def tau(self) -> Expr | None:
        """The search time 1/lambda_+, in units of t = eta * step; None where growth is not exponential."""
        if not self.is_linear:
            return 1 / self.rate if self.rate is not None and self.rate.is_positive else None
        if self.A is None or self.B is None:
            return None
        if self.A == 0:
            raise HermescapeError("A vanishes for every mu: the loss does not depend on the alignment")
        return (-self.B + sp.sqrt(_tidy_if_closed(self.B**2 + 4 * self.A**2))) / (2 * self.A**2)

    @property
    def is_closed(self) -> bool:
        """Whether rate and search time are closed forms."""
        return all(is_closed(f) for f in (self.rate, self.tau) if f is not None)


def _tidy_if_closed(expr: Expr) -> Expr:
    if not is_closed(expr):
        return expr
    return tidy(expr) if expr.free_symbols else sp.nsimplify(S(expr)) if expr.is_Rational else expr
