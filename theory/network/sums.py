r"""What a derivation says in Hermite coefficients: sums over k in the symbols sigma_k^[r] and phi_k, cut at an order.

With sigma_k^[r] = E_r[He_k^[r] sigma] and phi_k at variance one (`theory.language.hermite`),

    K(q, r) = sum_k sigma_k^[r] phi_k q^k / (k! r^k),
    L(q, r) = sum_k [(sigma_k^[r])^2 / r^k - 2 sigma_k^[r] phi_k q^k / r^k + phi_k^2] / (2 k!) + Delta/2,

and all else is differentiated term by term, where d(sigma_k^[r] / r^k)/dr = sigma_{k+2}^[r] / (2 r^{k+2}). At the
aligned edge, q = mu and r = mu^2, with sigma_k = sigma_k^[mu^2], that is

    A = sum_k (k sigma_k / mu + sigma_{k+2} / mu^3) (phi_k mu^k - sigma_k) / (k! mu^{2k}),
    B = sum_k [sigma_{k+2} (phi_k mu^k - sigma_k) / mu^4 - k sigma_k^2 / mu^2] / (k! mu^{2k}) = -2 L_r.

The correlation loss lacks what is quadratic in sigma: the first term of L, and those of A and B. *Order N* keeps
k = 0, ..., N in every sum, so that sigma_{N+2} occurs: the convention of `numerics.integrals.series`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import sympy as sp
from sympy import Expr, S

from theory.calculus.expectations import Distribution
from theory.errors import InputError, ParameterError
from theory.language.activations import Activation
from theory.language.hermite import HermiteSymbol, coefficient
from theory.network.derivation import takes_text
from theory.network.equations import rate_of
from theory.network.system import System
from theory.shown import Shown
from theory.symbols import mu, q, r, y
from theory.typeset.layout import Equation, on_screen
from theory.typeset.printing import as_text, latex

__all__ = ["MAX_ORDER", "HermiteSums", "hermite_sums"]

MAX_ORDER = 40


@dataclass(frozen=True)
class HermiteSums(Shown):
    """A derivation in Hermite coefficients, to an order.

    Attributes:
        system: what was derived.
        order: the largest k that every sum keeps.

    >>> from theory.network.derivation import derive
    >>> sums = hermite_sums(derive("sigma(x)", "phi(x)", functions=["sigma", "phi"]), order=1)
    >>> sums.kernel, sums.is_complete
    (q*phi_1*sigma_1(r)/r + phi_0*sigma_0(r), False)
    >>> sums.texts()["L_q"]
    '-sigma_1(r)*phi_1/r + ...'
    """

    shows = "order, is_complete"

    system: System
    order: int

    @property
    def kernel(self) -> Expr:
        """K at `place`."""
        return sp.Add(*self.terms["K"])

    @property
    def loss(self) -> Expr:
        """L at `place`, the label noise included."""
        return sp.Add(*self.terms["L"])

    @property
    def slopes(self) -> tuple[Expr, Expr]:
        """L_q and L_r at `place`."""
        return sp.Add(*self.terms["L_q"]), sp.Add(*self.terms["L_r"])

    @property
    def A(self) -> Expr | None:
        """A(mu); None where the system has none."""
        return sp.Add(*self.terms["A"]) if self.system.escape.A is not None else None

    @property
    def B(self) -> Expr | None:
        """B(mu); None where the system has no A."""
        return sp.Add(*self.terms["B"]) if self.system.escape.A is not None else None

    @property
    def speed(self) -> Expr | None:
        """dm/dt of training on the sphere; None for other models."""
        return self._outside["dm/dt"] * sp.Add(*self.terms["dm/dt"]) if self.system.escape.on_sphere else None

    @property
    def _outside(self) -> dict[str, Expr]:
        """What stands before a sum."""
        return {"dm/dt": 1 - self.system.states[0] ** 2}

    @cached_property
    def terms(self) -> dict[str, tuple[Expr, ...]]:
        """The terms of every sum in the order of k, by the names K, L, L_q, L_r and, where they exist, A, B, dm/dt.

        Delta/2 is the last term of L; the factor 1 - m^2 of dm/dt stands outside.
        """
        escape, kept, at = self.system.escape, range(self.order + 1), self.place
        known = {"K": [self._kernel(k, *at) for k in kept]}
        known["L"] = [*(self._norm(k, at[1]) - f for k, f in zip(kept, known["K"], strict=True)), self._constant]
        known |= {"L_q": [self._slope(k, *at) for k in kept], "L_r": [self._bend(k, *at) for k in kept]}
        if escape.A is not None:
            known |= {"A": [self._drive(k) for k in kept], "B": [-2 * self._bend(k, mu, mu**2) for k in kept]}
        if escape.on_sphere:
            known = {name: list(map(sp.factor_terms, fs)) for name, fs in known.items()}
            known["dm/dt"] = [-f for f in known["L_q"]]
        return {name: tuple(f for f in fs if f != 0) for name, fs in known.items()}

    @property
    def place(self) -> tuple[Expr, Expr]:
        """Where K, L and its slopes are taken: q and r, or m and 1 on the sphere."""
        return (self.system.states[0], S.One) if self.system.escape.on_sphere else (q, r)

    def _kernel(self, k: int, overlap: Expr, variance: Expr) -> Expr:
        return self._sigma(k, variance) * self._phi(k) * overlap**k / (sp.factorial(k) * variance**k)

    def _norm(self, k: int, variance: Expr) -> Expr:
        own, target = self._sigma(k, variance) ** 2 / variance**k, self._phi(k) ** 2 if self._is_plain else 0
        return (self._own * own + target) / (2 * sp.factorial(k))

    def _slope(self, k: int, overlap: Expr, variance: Expr) -> Expr:
        if k == 0:
            return S.Zero
        return -self._sigma(k, variance) * self._phi(k) * overlap ** (k - 1) / (sp.factorial(k - 1) * variance**k)

    def _bend(self, k: int, overlap: Expr, variance: Expr) -> Expr:
        here, beyond = self._sigma(k, variance), self._sigma(k + 2, variance)
        above = beyond * (self._own * here - self._phi(k) * overlap**k) + self._own * k * variance * here**2
        return above / (2 * sp.factorial(k) * variance ** (k + 2))

    def _drive(self, k: int) -> Expr:
        here, beyond = self._sigma(k, mu**2), self._sigma(k + 2, mu**2)
        return (
            (k * mu**2 * here + beyond)
            * (self._phi(k) * mu**k - self._own * here)
            / (sp.factorial(k) * mu ** (2 * k + 3))
        )

    @property
    def _own(self) -> Expr:
        """The factor of the student's own: 1, or 0 of the correlation loss."""
        return self.system.network.minimised.own

    @property
    def _is_plain(self) -> bool:
        return self.system.loss_function.labels.transform == y

    @property
    def _constant(self) -> Expr:
        """What no sum has: Delta/2, or E y^2 / 2 of a transformed label."""
        loss = self.system.loss_function
        return loss.labels.noise / 2 if self._is_plain else loss.target / 2

    def _sigma(self, k: int, variance: Expr) -> Expr:
        return self._symbol("sigma", k, variance)

    def _phi(self, k: int) -> Expr:
        return self._symbol(self.system.loss_function.letters[1], k, S.One)

    def _symbol(self, letter: str, k: int, variance: Expr) -> Expr:
        """Return a coefficient, 0 where that is known."""
        f = self._function(letter)
        is_known = not f.undefined and (f.is_polynomial or f.has_closed_class)
        vanishes = (f.parity, k % 2) in (("even", 1), ("odd", 0)) or (is_known and coefficient(f, k, variance) == 0)
        return S.Zero if vanishes else HermiteSymbol(letter, k, variance)

    def _function(self, letter: str) -> Activation:
        loss = self.system.loss_function
        return loss.student if letter == "sigma" else loss.teacher

    @cached_property
    def is_complete(self) -> bool:
        """Whether nothing is left out, since student and teacher are polynomials of no higher degree."""
        degrees = [_degree(self._function(letter)) for letter in ("sigma", "phi")]
        return all(degree is not None and degree <= self.order for degree in degrees)

    def at(self, value: Expr, functions: Mapping[str, Activation] | None = None) -> Expr:
        """Return an expression in these symbols with the coefficients of functions put in.

        Args:
            value: such as `kernel`.
            functions: by the letters sigma and phi; student and teacher themselves by default.

        >>> from theory.network.derivation import derive
        >>> sums = hermite_sums(derive("he2", "he2 + x"), order=2)
        >>> sums.at(sums.kernel)
        2*q**2
        """
        known = {letter: self._function(letter) for letter in ("sigma", "phi")} | dict(functions or {})

        def number(symbol: HermiteSymbol) -> Expr:
            letter, k, variance = symbol.args
            return coefficient(known[letter.name], int(k), variance)

        return value.replace(lambda f: isinstance(f, HermiteSymbol), number)

    @property
    def equations(self) -> tuple[Equation, ...]:
        """Every sum, its terms in the order of k, with dots for what is left out."""
        at = ", ".join(map(latex, self.place))
        names = {
            "K": ("sum-kernel", f"K({at})"),
            "L": ("sum-loss", f"L({at})"),
            "L_q": ("sum-loss-q", "L_{q}"),
            "L_r": ("sum-loss-r", "L_{r}"),
            "A": ("sum-drive", r"A(\mu)"),
            "B": ("sum-bend", r"B(\mu)"),
            "dm/dt": ("sum-flow", rate_of(self.system.states[0])),
        }
        return tuple(
            Equation.of(*names[name], self._written(name, latex, r"\cdots")) for name, fs in self.terms.items() if fs
        )

    def texts(self) -> dict[str, str]:
        """Return every sum as text, with dots for what is left out.

        >>> from theory.network.derivation import derive
        >>> hermite_sums(derive("erf", "he3", model="plain"), order=6).texts()["dm/dt"]
        '(1 - m**2)*(m**2*sigma_3*phi_3/2 + ...)'
        """
        return {name: self._written(name, as_text, "...") for name, fs in self.terms.items() if fs}

    def _written(self, name: str, write: Callable[[Expr], str], dots: str) -> str:
        """Write terms one after the other: a sum would be ordered by powers."""
        texts = [write(f) for f in self.terms[name]] + ([] if self.is_complete else [dots])
        joined = texts[0]
        for text in texts[1:]:
            joined += f" - {text[1:].lstrip()}" if text.startswith("-") else f" + {text}"
        if name not in self._outside:
            return joined
        outside = write(self._outside[name])
        return f"({outside})*({joined})" if write is as_text else rf"({outside}) \left({joined}\right)"

    @property
    def heading(self) -> str:
        """Whose sums they are, and where they end."""
        cut = "complete" if self.is_complete else f"terms of k > {self.order} left out of every sum"
        return f"HermiteSums: {self.system.brief}, {cut}"

    def formulas(self) -> dict[str, str]:
        """Every sum."""
        return self.texts()

    def _repr_latex_(self) -> str:
        return on_screen(self.equations)


def _degree(f: Activation) -> int | None:
    return Distribution.of(f.expr).polynomial_degree


@takes_text
def hermite_sums(system: System, order: int = 6) -> HermiteSums:
    r"""Return a derivation in Hermite coefficients, symbols sigma_k^[r] and phi_k, to an order.

    Args:
        system: a derived single-index system, or an activation.
        order: the largest k that every sum keeps, 0 to `MAX_ORDER`.

    Raises:
        ParameterError: an order that is not.
        InputError: a network of several units.

    >>> print(hermite_sums("sigmoid", order=1).texts()["K"])
    sigma_0(r)*sigma_0 + q*sigma_1(r)*sigma_1/r + ...
    """
    if isinstance(order, bool) or not isinstance(order, int) or not 0 <= order <= MAX_ORDER:
        raise ParameterError(f"order = {order!r} given; accepted: an integer from 0 to {MAX_ORDER}.")
    if not system.network.is_single_index:
        raise InputError(f"network {system.network.name} given; accepted: one unit on one teacher.")
    return HermiteSums(system, order)
