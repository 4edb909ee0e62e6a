r"""The search phase: linearisation of the derived dynamics at its start, and the search time.

For LoRA the start (u, m, s) = 0 is a fixed point. With L_q, L_r taken at the pre-trained weight, (mu, rho^2), the
Jacobian couples u to the overlaps and the overlaps to u only, so that it has one growing direction, of rate

    lambda_+ = (B + sqrt(B^2 + 4 G^2)) / 2,     tau = 1/lambda_+ = (-B + sqrt(B^2 + 4 G^2)) / (2 G^2),
    B = -2 L_r,     G^2 = L_q^2 + 4 mu L_q L_r + 4 rho^2 L_r^2 = |grad L(w0)|^2,

and G = |A|, A = -(L_q + 2 mu L_r), where w0 is aligned; a LoRA scale alpha multiplies B and G^2 by alpha^2. Time is
t = eta * step. For plain spherical training dm/dt ~ c m^(k*-1), k* the information exponent: a rate only for k* = 2.
docs/theory.md derives this as eq-tau.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import sympy as sp
from sympy import Expr, Symbol

from theory.cache import remembered
from theory.errors import HermescapeError, NotIntegrableError
from theory.expectations import is_closed
from theory.hermite import coefficient, information_exponent
from theory.loss import Loss
from theory.models import Model, loss_arguments
from theory.symbols import L_q, L_r, mu, q, r
from theory.tidy import tidy

if TYPE_CHECKING:
    from theory.critical import CriticalStrength
    from theory.regimes import Regime

__all__ = ["Escape"]

MAX_TIDY = 60  # operations; the radicand of longer rates stays B^2 + 4 G^2


@dataclass(frozen=True)
class Escape:
    """The linearised search phase of a derived system; None wherever the model has none.

    >>> from theory.dynamics import derive
    >>> derive("he2").escape.A
    6*mu*(1 - mu)*(mu + 1)
    >>> derive("linear", model="misaligned").escape.G2
    -2*mu + rho**2 + 1
    """

    loss: Loss
    model: Model
    states: tuple[Symbol, ...]
    velocities: Mapping[Symbol, Expr]

    @property
    def is_linear(self) -> bool:
        """Whether the start is a fixed point with a linearisation in mu (LoRA), not a point m = 0 on the sphere."""
        return bool(self.model.scalars)

    @cached_property
    def base_gradient(self) -> tuple[Expr, Expr] | None:
        """(L_q, L_r) at the start, or None where one of them is infinite (a student that jumps)."""
        if self.model.start is None:
            return None
        at = {
            name: self.model.gram.inner(*pair).subs(self.model.start)
            for name, pair in loss_arguments(self.model).items()
        }
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

    @cached_property
    def A(self) -> Expr | None:
        """A(mu) = -(L_q + 2 mu L_r) = -dL(mu, mu^2)/dmu; None unless the pre-trained weight is aligned."""
        if self.base_gradient is None or self.model.name != "lora":
            return None
        slope, bend = self.base_gradient
        return _tidy_if_closed(-slope - 2 * mu * bend)

    @cached_property
    def B(self) -> Expr | None:
        """B = -2 L_r, minus the curvature across the bulk of directions; None for plain."""
        return _tidy_if_closed(-2 * self.base_gradient[1]) if self.is_linear and self.base_gradient else None

    @cached_property
    def G2(self) -> Expr | None:
        """G^2 = L_q^2 + 4 mu L_q L_r + 4 rho^2 L_r^2 = |grad L(w0)|^2; None for plain."""
        if not self.is_linear or self.base_gradient is None:
            return None
        if self.A is not None:
            return self.A**2
        slope, bend = self.base_gradient
        overlap, strength = (
            self.model.gram.inner(*pair).subs(self.model.start) for pair in loss_arguments(self.model).values()
        )
        return _tidy_if_closed(slope**2 + 4 * overlap * slope * bend + 4 * strength * bend**2)

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
    def _growth(self) -> tuple[Expr, Expr] | None:
        """(B, G^2) with the LoRA scale: trace and minus the determinant of the coupled part of the Jacobian."""
        if self.B is None or self.G2 is None:
            return None
        slope = sp.diff(self.velocities[self.states[0]], self.states[0]).subs(self.model.start or {})
        scale = sp.expand(slope).coeff(L_r) / -2
        return self.B * scale, self.G2 * scale

    @cached_property
    def rate(self) -> Expr | None:
        """The growth rate of the search phase, per unit of t; None where growth is not exponential."""
        if self.model.start is not None and not self.is_linear:
            return self.drift if self.exponent == 2 else None
        if self._growth is None:
            return None
        trace, drive = self._growth
        return (trace + _root(trace, drive)) / 2

    @cached_property
    def tau(self) -> Expr | None:
        """The search time 1/lambda_+, in units of t = eta * step; None where growth is not exponential."""
        if self.model.start is not None and not self.is_linear:
            return 1 / self.rate if self.rate is not None and self.rate.is_positive else None
        if self._growth is None:
            return None
        trace, drive = self._growth
        if drive == 0:
            raise HermescapeError("G vanishes for every mu: the loss does not depend on the alignment")
        return (-trace + _root(trace, drive)) / (2 * drive)

    def regime(
        self,
        mu: Expr | float | str | None = None,
        rho: Expr | float | str | None = None,
        *,
        kappa: Expr | float = 0,
        initial_power: Expr | float | None = None,
    ) -> Regime:
        """Return how the start at mu (and rho), u0 = d^-initial_power, escapes, with T(d): `theory.regimes`.

        >>> from theory.dynamics import derive
        >>> derive("linear").escape.regime(0.5).name, derive("he3", model="plain").escape.regime().power
        ('linear', 1/2)
        """
        from theory.regimes import regime  # noqa: PLC0415 (it classifies searches, so it comes later)

        return regime(self, mu, rho, kappa=kappa, initial_power=initial_power)

    def _repr_latex_(self) -> str:
        from theory.latex import escape_equations  # noqa: PLC0415 (it prints searches, so it comes later)

        return escape_equations(self)

    def critical_mu(self) -> tuple[CriticalStrength, ...]:
        """Return the roots of A in (0, 1], where tau diverges or u escapes alone, in ascending order.

        Isolated with certainty where A is a polynomial, else to a tolerance: `theory.critical.critical_mu`.

        >>> from theory.dynamics import derive
        >>> [(round(float(c.mu), 5), c.order, c.exact) for c in derive("he3").escape.critical_mu()]
        [(0.32072, 2, True), (1.0, 2, True)]
        """
        from theory.critical import critical_mu  # noqa: PLC0415 (it analyses searches, so it comes later)

        return critical_mu(self)

    @property
    def is_closed(self) -> bool:
        """Whether rate and search time are closed forms."""
        return all(is_closed(f) for f in (self.rate, self.tau) if f is not None)


def _root(trace: Expr, drive: Expr) -> Expr:
    radicand = trace**2 + 4 * drive
    is_short = radicand.is_rational_function(*radicand.free_symbols) and sp.count_ops(radicand) < MAX_TIDY
    return sp.sqrt(tidy(radicand)) if is_short else sp.Pow(radicand, sp.S.Half, evaluate=False)  # its sign is costly


@remembered(lambda expr: (expr,))
def _tidy_if_closed(expr: Expr) -> Expr:
    return tidy(_below_one(expr)) if is_closed(expr) else expr


def _below_one(expr: Expr) -> Expr:
    """Resolve signs, minima and moduli that the domain mu < 1 decides, by mu = 1/(1 + n) with n > 0."""
    n = sp.Dummy("n", positive=True)
    decided = {}
    for node in expr.atoms(sp.sign, sp.Min, sp.Max, sp.Abs):
        there = node.func(*[sp.factor(arg.subs(mu, 1 / (1 + n))) for arg in node.args])
        if not there.has(sp.sign, sp.Min, sp.Max, sp.Abs):
            decided[node] = sp.factor(there.subs(n, 1 / mu - 1))
    return expr.xreplace(decided)
