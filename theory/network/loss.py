r"""The population loss of a single-index teacher as a function of two Gram entries.

    L(q, r) = 1/2 E_r[sigma^2] - K(q, r) + 1/2 E[y^2],     K(q, r) = E[sigma(l) phi(l*)].

Its derivatives come from Price's theorem and not from differentiating the printed form: they stay finite at the
edge r = q^2, where L(q, r) is an inverse sine at the end of its domain:

    L_q = -E[sigma'(l) phi'(l*)],    L_r = 1/4 E_r[(sigma^2)''] - 1/2 E[sigma''(l) phi(l*)].

docs/theory.md numbers them eq-loss and eq-price.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import sympy as sp
from sympy import Expr, S, Symbol

from theory.calculus.cache import remembered
from theory.calculus.expectations import Distribution, gaussian_kernel, gaussian_mean, is_closed
from theory.calculus.explain import Step, kernel_steps
from theory.calculus.nodes import exact
from theory.calculus.tidy import tidy
from theory.errors import NotIntegrableError
from theory.language.activations import Activation
from theory.language.labels import Labels
from theory.symbols import N_4, Delta, J, L_r, M_ll, M_ls, M_ss, N_l, N_s, q, r, x
from theory.typeset.layout import Equation, on_screen

__all__ = ["Loss"]


@dataclass(frozen=True)
class Loss:
    """Population loss of student sigma on given labels.

    >>> from theory.language.activations import activation
    >>> from theory.language.labels import labels
    >>> Loss(activation("linear"), labels("linear")).expr
    -q + r/2 + 1/2
    """

    student: Activation
    labels: Labels

    @property
    def teacher(self) -> Activation:
        """The link that is learnt: the conditional mean of the label given l*."""
        return self.labels.mean

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

    def kernel_steps(self) -> tuple[Step, ...]:
        """Return the derivation of K(q, r), rule by rule."""
        return kernel_steps(self._sigma, self._phi)

    def _content(self, *at: Expr) -> tuple[Expr, ...]:
        given = self.labels
        return (self.student.expr, given.link.expr, given.transform, given.noise, *map(sp.sympify, at))

    @property
    def expr(self) -> Expr:
        """L(q, r)."""
        return self._expr()

    @remembered(_content)
    def _expr(self) -> Expr:
        own = gaussian_mean(self._sigma_squared, S.Zero, r)
        target = sp.Add(*[c * gaussian_mean(g, S.Zero, S.One) for c, g in _laws(self.labels.second_moment)])
        return tidy_sum(own / 2 - self.kernel() + target / 2)

    def gradient(self, overlap: Expr = q, variance: Expr = r) -> tuple[Expr, Expr]:
        """Return (L_q, L_r) at the given overlap and squared norm; `gradient(mu, mu**2)` is the aligned edge.

        Raises `NotIntegrableError` where a derivative is infinite (a student that jumps, at the edge).
        """
        slope, bend = self._gradient(exact(overlap, "overlap"), exact(variance, "variance"))
        return slope, bend

    @remembered(_content)
    def _gradient(self, overlap: Expr, variance: Expr) -> Expr:
        sigma, phi = self._sigma, self._phi
        slope = -gaussian_kernel(sigma.diff(), phi.diff(), overlap, variance)
        own = gaussian_mean(self._sigma_squared.diff(2), S.Zero, variance)
        return sp.Tuple(slope, tidy_sum(own / 4 - gaussian_kernel(sigma.diff(2), phi, overlap, variance) / 2))

    def second(self, name: Symbol, argument: Symbol, overlap: Expr, variance: Expr) -> Expr:
        """Return the derivative of L_q, L_r or J with respect to q or r at a point, again by Price's theorem.

        Raises `NotIntegrableError` where it is infinite.

        >>> from theory.language.activations import activation
        >>> from theory.language.labels import labels
        >>> from theory.symbols import L_q
        >>> Loss(activation("he2"), labels("he2")).second(L_q, q, S.Zero, S.One)
        -4
        """
        if name == J:
            found = sp.diff(self.noise(), argument).subs({q: overlap, r: variance})
            if found.has(sp.oo, -sp.oo, sp.zoo, sp.nan):
                raise NotIntegrableError(f"{self.student.name}: dJ/d{argument} is infinite at q = {overlap}.")
            return found
        return self._second((name == L_r) + (argument == r), sp.sympify(overlap), sp.sympify(variance))

    @remembered(_content)
    def _second(self, by_variance: int, overlap: Expr, variance: Expr) -> Expr:
        """Return L_qq, L_qr or L_rr; `by_variance` counts the r."""
        left, right = self._sigma.diff(2 + by_variance), self._phi.diff(2 - by_variance)
        cross = -(S.Half**by_variance) * gaussian_kernel(left, right, overlap, variance)
        own = gaussian_mean(self._sigma_squared.diff(4), S.Zero, variance) / 8 if by_variance == 2 else S.Zero
        return tidy_sum(cross + own)

    def noise(self, overlap: Expr = q, variance: Expr = r) -> Expr:
        r"""Return J(q, r) = E[F], F = (sigma(l) - y)^2 sigma'(l)^2: the gradient's variance in a bulk direction.

        >>> from theory.language.activations import activation
        >>> from theory.language.labels import labels
        >>> Loss(activation("linear"), labels("linear", noise=Delta)).noise()
        Delta - 2*q + r + 1
        """
        return self._moment(2, S.One, 0, exact(overlap, "overlap"), exact(variance, "variance"))

    def noise_moments(self, overlap: Expr = q, variance: Expr = r) -> dict[Symbol, Expr]:
        """Return the moments of a sample's gradient g = (sigma(l) - y) sigma'(l) x that a covariance needs.

        With f = (sigma - y) sigma' they are J = E f^2, M_ss = E[f^2 l*^2] - J, M_ls = E[l* d(f^2)/dl],
        M_ll = E[d^2(f^2)/dl^2], N_s = E[f^3 l*], N_l = E[d(f^3)/dl] and N_4 = E f^4. By Stein's lemma these give
        E[f^2 a.x b.x] and E[f^3 a.x] for any two vectors (`theory.network.vectors`).
        """
        at = exact(overlap, "overlap"), exact(variance, "variance")
        bulk = self.noise(*at)
        return {
            J: bulk,
            M_ss: tidy_sum(self._moment(2, x**2, 0, *at) - bulk),
            M_ls: self._moment(2, x, 1, *at),
            M_ll: self._moment(2, S.One, 2, *at),
            N_s: self._moment(3, x, 0, *at),
            N_l: self._moment(3, S.One, 1, *at),
            N_4: self._moment(4, S.One, 0, *at),
        }

    @remembered(_content)
    def _moment(self, n: int, weight: Expr, order: int, overlap: Expr, variance: Expr) -> Expr:
        """Return E[weight(l*) d^order f^n/dl^order], f = (sigma - y) sigma': kernels of products."""
        sigma, slope = self.student.expr, self.student.derivative
        total = []
        for k in range(n + 1):
            left = Distribution.of(sigma ** (n - k) * slope**n).diff(order)
            factor = weight * (self.labels.moment(k) if k else 1)
            total += [
                (-1) ** k * sp.binomial(n, k) * c * gaussian_kernel(left, right, overlap, variance)
                for c, right in _laws(sp.expand(factor))
            ]
        return tidy_sum(sp.Add(*total))

    @property
    def is_closed(self) -> bool:
        """Whether L(q, r) contains no unevaluated expectation."""
        return is_closed(self.expr)

    @property
    def links(self) -> tuple[Equation, ...]:
        """Student and learnt link."""
        return (*self.student.equations, Equation.of("teacher", r"\varphi(x)", self.teacher.expr))

    @property
    def equations(self) -> tuple[Equation, ...]:
        """L, L_q and L_r in q and r."""
        slope, bend = self.gradient()
        named = (("loss", "L(q, r)", self.expr), ("loss-q", "L_{q}", slope), ("loss-r", "L_{r}", bend))
        return tuple(Equation.of(*each) for each in named)

    def _repr_latex_(self) -> str:
        return on_screen([*self.links, *self.equations])


def _laws(f: Expr) -> list[tuple[Expr, Distribution]]:
    """Return f(x) as a polynomial in Delta: (power of Delta, function) pairs."""
    if not f.has(Delta):
        return [(S.One, Distribution.of(f))]
    return [(Delta**k, Distribution.of(g)) for (k,), g in sp.Poly(f, Delta).terms()]


def tidy_sum(expr: Expr) -> Expr:
    """Tidy a closed expression; leave one with unevaluated nodes as it stands."""
    return tidy(expr) if is_closed(expr) else expr
