r"""Critical strengths: where the search time of aligned LoRA diverges, how fast, and where it is stationary.

The rate solves lambda^2 = alpha^2 (B lambda + A^2), so that tau = 1/lambda is finite unless A = 0 >= B. At a root mu_c
of A, with A ~ a delta^k and B ~ b delta^n, delta = mu - mu_c, on the side where delta has the sign s:

    n > k, or B = 0     tau ~ 1 / (|alpha a| |delta|^k),
    n < k, b s^n < 0    tau ~ (|b| / a^2) / |delta|^(2k - n),          generic: n = 0, tau ~ |B| / A^2,
    n < k, b s^n > 0    tau ~ 1 / (alpha^2 |b| |delta|^n),             generic: n = 0, tau -> 1 / (alpha^2 B),
    n = k               tau ~ 2 / ((beta + sqrt(beta^2 + 4 alpha^2 a^2)) |delta|^k),     beta = alpha^2 b s^n.

A = -dL(mu, mu^2)/dmu, so that mu = 1 is a root of the squared loss where student and teacher are the same function.
There A'(1) is minus the curvature E[(Z sigma'(Z))^2], B(1) = -E[sigma'(Z)^2], and p = 2 with C = |B(1)| / A'(1)^2.

*Exactly at mu_c* every point of the line u = 0 is an equilibrium of the flow, and u grows at the rate
B (1 - m^2) + A' m^2: *u alone* escapes for B > 0, the start *traps* the flow for B < 0 (there is no slow manifold that
leads out: it is the line of equilibria itself), and for B = 0 the next order decides.

*Stationary points* of tau have d lambda/d mu = 0. Eliminating lambda from that and its equation leaves

    4 A A'^2 + 2 alpha^2 A' B B' - alpha^2 A B'^2 = 0,

a polynomial where A and B are; its roots contain every stationary point, and some of the other branch lambda_-.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy as sp
from sympy import QQ, Expr, Poly, S, Symbol

from theory.calculus.expectations import is_closed
from theory.calculus.tidy import tidy
from theory.errors import ParameterError
from theory.network.derivation import takes_text
from theory.network.linearisation import Escape
from theory.network.system import System
from theory.search.law import growth
from theory.search.roots import (
    TOUCHING,
    Root,
    Samples,
    definition,
    drive_of,
    is_linear,
    isolated,
    isolation,
    named,
    rational,
    rational_roots,
    scanned,
)
from theory.shown import Row, Several, Shown, short
from theory.symbols import mu
from theory.typeset.printing import latex

__all__ = ["Approach", "CriticalStrength", "critical_strengths", "isolates_exactly", "require_values", "stationary_mu"]

MAX_PRINTED = 4  # degree up to which a constant is reduced modulo the minimal polynomial of mu_c
DECIMALS = 6  # of a root that has no radicals
MAX_DIGITS = 2000  # carried, if need be, to decide the sign of an algebraic number that is not zero


@dataclass(frozen=True)
class Approach:
    """tau ~ constant / |mu - mu_c|^order on one side of mu_c; with order 0 the limit of tau is the constant."""

    order: int
    constant: Expr


@dataclass(frozen=True)
class CriticalStrength(Shown):
    """A root of A in (0, 1].

    Attributes:
        mu: the root, exact (`error` 0) or a Float.
        error: bound on its absolute error.
        multiplicity: of the root.
        sign: of B there, -1, 0 or 1.
        below: tau as mu grows towards the root.
        above: tau as mu falls towards it; None at mu = 1.
        exact: whether the roots were isolated with certainty (A is a polynomial), not by a scan to a tolerance.
        certified: whether it is proved that a root lies within `error`.
    """

    shows = "mu ± error, definition, multiplicity, sign, order, constant, diverges, regime, exact, certified"

    mu: Expr
    error: Expr
    multiplicity: int
    sign: int
    below: Approach
    above: Approach | None
    exact: bool
    certified: bool = False

    @property
    def _steepest(self) -> Approach:
        sides = [side for side in (self.below, self.above) if side is not None]
        return max(sides, key=lambda side: (side.order, float(side.constant.subs(_unit(side.constant)))))

    @property
    def order(self) -> int:
        """p in tau ~ C/|mu - mu_c|^p, on the side where tau grows fastest; 0 where tau stays finite."""
        return self._steepest.order

    @property
    def constant(self) -> Expr:
        """C in tau ~ C/|mu - mu_c|^p, on that side; the limit of tau where p = 0."""
        return self._steepest.constant

    @property
    def definition(self) -> str:
        """What defines the root: itself, or the polynomial that it is the only root of there; its error if scanned."""
        return definition(self.mu) if self.error == 0 else f"error {float(self.error):.0e}"

    @property
    def latex(self) -> str:
        """The same in LaTeX."""
        isolated = isolation(self.mu)
        if isolated is None:
            return latex(self.mu)
        poly, low, high = isolated
        root, ends = latex(poly.as_expr()), f"({float(low):g}, {float(high):g})"
        return rf"\text{{the root of }} {root} \text{{ in }} {ends}"

    @property
    def diverges(self) -> bool:
        """Whether tau is infinite at mu_c."""
        return self.order > 0

    @property
    def brief(self) -> str:
        """Where it is, and how tau behaves there."""
        power = f"/|mu - mu_c|^{self.order}" if self.order else ""
        return f"mu_c = {short(self.mu)}, tau ~ {short(self.constant)}{power}, flow at mu_c: {self.regime}"

    @property
    def regime(self) -> str:
        """What happens exactly at mu_c under the flow: u alone, trapped or undecided."""
        return {1: "u alone", -1: "trapped", 0: "undecided"}[self.sign]

    def quantities(self) -> list[Row]:
        """What it holds; what defines the root only where its own row does not say it."""
        return [row for row in super().quantities() if row.name != "definition" or isolation(self.mu) is not None]

    def _repr_latex_(self) -> str:
        distance = "" if self.order == 0 else rf" \,/\, |\mu - \mu_c|^{{{self.order}}}"
        place, number, isolated = self.latex, self.constant, isolation(self.mu)
        if isolated is not None:
            place = rf"{float(self.mu):.15f}"[: DECIMALS + 2] + rf"\ldots\ ({place})"
            is_short = isolated[0].degree() <= MAX_PRINTED
            number = sp.together(number.subs(self.mu, Symbol("mu_c"))) if is_short else number.evalf(DECIMALS)
        return rf"$\displaystyle \mu_c = {place},\quad \tau \sim {latex(number)}{distance}$"


def _unit(constant: Expr) -> dict[Expr, Expr]:
    """Give a symbolic LoRA scale the value 1, which compares the two sides."""
    return dict.fromkeys(constant.free_symbols, S.One)


@takes_text
def critical_strengths(system: System, roots: Sequence[Root] | None = None) -> tuple[CriticalStrength, ...]:
    r"""Return the roots of A in (0, 1] in ascending order: the alignments at which tau diverges, or u escapes alone.

    *Certain* (`exact` True) where A is a polynomial with rational coefficients, by factoring it and isolating the real
    roots of its factors, the sign of B by division with remainder; and where A is linear in mu.

    *To a tolerance* elsewhere: A is evaluated to 30 digits (where it has no closed form, to 20 by the mpmath oracle) at
    mu = 2^-10, ..., 2^-6 and at 64 equal steps, divided by (1 - mu)^k where mu = 1 is a k-fold root. A change of sign
    brackets a root; a local minimum of |A| is followed down and counts as a root below 1e-12 of the largest |A|. So
    two roots within one step are missed where |A| has no sampled minimum next to them, three within one step count as
    one, roots closer than about 1e-6 as one multiple root, and roots below 2^-10 are not looked for.

    `roots` are not searched for where they are given (`numerics.rates.isolation` proves them).

    Raises:
        ParameterError: a model other than lora.
        InputError: a student that jumps or has an infinite slope, so that A is infinite.
        HermescapeError: A = 0 for every mu, or a root of higher multiplicity than 6 (tolerance only).

    Source: section 2 of arXiv:2602.02855 for A and B; the orders by the expansion in the module's docstring.

    >>> from theory.network.derivation import derive
    >>> inner, end = critical_strengths(derive("he3"))
    >>> inner.mu, inner.constant.evalf(8), inner.regime
    (CRootOf(5*x**3 + 5*x**2 + x - 1, 0), 0.045414736, 'trapped')
    >>> end.mu, end.order, end.constant  # |B(1)| / A'(1)^2 = 18/90^2
    (1, 2, 1/450)
    >>> critical_strengths(derive("relu", "erf"))[0].mu
    2*sqrt(3)/(3*sqrt(pi))
    """
    require_values(system)
    escape = system.escape
    drive, exact = drive_of(escape), isolates_exactly(system)
    if roots is None:
        roots = isolated(drive) if exact else scanned(escape)
    return Several(sorted((_alignment(escape, root, exact) for root in roots), key=lambda root: float(root.mu)))


def require_values(system: System) -> None:
    """Raise `ParameterError` for a family without values for its parameters, or `NoFormulaError` for no formula.

    >>> from theory.network.derivation import derive
    >>> require_values(derive("erf(beta*x)", parameters={"beta": "> 0"}))
    Traceback (most recent call last):
    theory.errors.ParameterError: no value of beta given; accepted: beta > 0, as beta=VALUE or --set beta=VALUE.
    """
    system.network.require_formulas()
    if system.network.domain:
        parameter = system.network.domain[0]
        name = parameter.name
        raise ParameterError(f"no value of {name} given; accepted: {parameter}, as {name}=VALUE or --set {name}=VALUE.")


def isolates_exactly(system: System) -> bool:
    """Whether `critical_strengths` isolates the roots of A with certainty.

    >>> from theory.network.derivation import derive
    >>> [isolates_exactly(derive(name)) for name in ("he7", "erf", "tanh")]
    [True, False, False]
    """
    drive = drive_of(system.escape)
    return rational(drive) is not None or is_linear(drive)


def stationary_mu(system: System) -> tuple[Expr, ...] | None:
    """Return candidates for the stationary points of tau in (0, 1), exactly; None where A or B is no polynomial.

    Every stationary point is among them; so are those of the other eigenvalue.

    Raises as `critical_strengths` does, and `ParameterError` for a symbolic LoRA scale.

    >>> from theory.network.derivation import derive
    >>> stationary_mu(derive("linear")), [float(v.evalf(6)) for v in stationary_mu(derive("he2"))]
    ((), [0.40128...])
    """
    require_values(system)
    escape = system.escape
    drive, bend, scale = drive_of(escape), escape.B, _scale(escape)
    if not scale.is_number:
        raise ParameterError(f"the LoRA scale {scale} given; accepted: a number, on which the best alignment depends.")
    first, second, square = (f if f is None else rational(f) for f in (drive, bend, scale**2))
    if first is None or second is None or square is None:
        return None
    up, bent = first.diff(), second.diff()
    condition = 4 * first * up**2 + square * (2 * up * second * bent - first * bent**2)
    return tuple(sorted((root.mu for root in rational_roots(condition) if root.mu != 1), key=float))


# --- what is asked ----------------------------------------------------------------------------------------------


def _scale(escape: Escape) -> Expr:
    """Return |alpha|, the LoRA scale."""
    assert escape.square is not None  # `drive_of` has seen it
    return sp.sqrt(escape.square)


def _alignment(escape: Escape, root: Root, exact: bool) -> CriticalStrength:
    """Expand A and B around the root."""
    drive, bend = drive_of(escape), escape.B
    assert bend is not None  # as A
    k = root.multiplicity
    a = _slope(escape, drive, root) / sp.factorial(k)
    n, b = _leading(bend, root, a)
    sides = [_approach(root, a, n, b * side**n, _scale(escape)) for side in (-1, 1)]
    above = None if root.mu == 1 else sides[1]
    sign = _sign(b) if n == 0 else 0
    return CriticalStrength(root.mu, root.error, k, sign, sides[0], above, exact, root.certified)


def _slope(escape: Escape, drive: Expr, root: Root) -> Expr:
    """Return the first derivative of A that does not vanish."""
    if root.slope is not None:
        return root.slope
    k = root.multiplicity
    return root.at(drive, k) if is_closed(drive) else sp.Float(Samples.of(escape)(root.number, k), 15)


def _leading(f: Expr, root: Root, unit: Expr) -> tuple[int, Expr]:
    """Return n and f^(n)/n! at the root, n the order of the zero of f there up to the multiplicity; one more beyond."""
    for n in range(root.multiplicity + 1):
        there = root.at(f, n)
        if not _vanishes(there, unit):
            return n, there / sp.factorial(n)
    return root.multiplicity + 1, S.Zero


def _approach(root: Root, a: Expr, n: int, b: Expr, scale: Expr) -> Approach:
    """Return tau on the side where B ~ b |delta|^n, by the table of the module's docstring."""
    k, sign = root.multiplicity, _sign(b)
    if n > k:
        return Approach(k, 1 / (scale * _sign(a) * a))
    if n < k and sign < 0:
        return Approach(2 * k - n, _quotient(-b, a**2, root))
    if n < k:
        return Approach(n, 1 / (scale**2 * b))
    return Approach(k, 2 / (2 * growth(scale**2 * b, scale**2 * a**2)))  # a quotient of whole terms


def _quotient(top: Expr, bottom: Expr, root: Root) -> Expr:
    """Return top/bottom; a polynomial in the root where its degree is small."""
    quotient, minimal = top / bottom, root.minimal
    if minimal is None:
        return tidy(quotient) if root.error == 0 and is_closed(quotient) else quotient
    if not root.mu.has(sp.CRootOf):
        return sp.radsimp(sp.expand(top) / sp.expand(bottom))
    if minimal.degree() > MAX_PRINTED:
        return quotient
    above, below = (Poly(f.subs(root.mu, mu), mu, domain=QQ) for f in (top, bottom))
    return named((above * below.rem(minimal).invert(minimal)).rem(minimal), root.mu)


def _vanishes(value: Expr, unit: Expr) -> bool:
    """Whether a number is 0: exactly where it is algebraic, else against another of the same unit."""
    if value == 0 or value.is_algebraic:
        return value == 0
    return bool(abs(value.evalf(20)) < TOUCHING * abs(unit.evalf(20)))


def _sign(value: Expr) -> int:
    """Return the sign of a number that is not zero, with as many digits as that takes."""
    return int(sp.sign(value.evalf(5, maxn=MAX_DIGITS)))
