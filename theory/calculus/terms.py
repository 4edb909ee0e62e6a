r"""The class of functions whose Gaussian expectations close: sums of terms

    coef * prod_i l_i^{n_i} exp(alpha_i l_i + beta_i l_i^2) * prod_g G_g(l_{i_g}) * prod delta^{(k)}(l_i - c)

with gates G(l) = E_N sign(b l + c + sqrt(nu) N), N ~ N(0, 1). A gate of nu = 0 is a sign (hence steps, ReLU, |l|,
any piecewise polynomial); since E_N sign(y + sqrt(nu) N) = erf(y / sqrt(2 nu)), a gate of nu = 1/2 is erf(b l + c)
(hence Phi, GELU, error-function sigmoids). The class is closed under products and under differentiation: signs
differentiate to point masses, smooth gates to Gaussians; alpha may be complex, which covers sin and cos.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product as cartesian

import sympy as sp
from sympy import Dummy, Expr, Rational, S

from theory.calculus.pieces import pieces
from theory.calculus.signs import sign_of
from theory.errors import NotIntegrableError
from theory.symbols import x

__all__ = ["Gate", "PointMass", "Term", "as_terms", "differentiate", "is_polynomial", "multiply", "place"]

MAX_TERMS = 400
SMALL = sp.Float(10) ** -24
MAX_GATED = 32  # degree of a polynomial between kinks: the closed form of higher ones takes minutes
MAX_OPAQUE = 1  # kinks at places such as the roots of x^4 - 6 x^2 + 3: two make closed forms of 10,000 operations


@dataclass(frozen=True)
class Gate:
    """E_N sign(b l_i + c + sqrt(nu) N); for nu = 0 normalised to b = 1, that is sign(l_i + c)."""

    i: int
    b: Expr
    c: Expr
    nu: Expr

    def at(self, point: Expr) -> Expr:
        """Return the value of the gate at l_i = point."""
        y = self.b * point + self.c
        return sp.sign(y) if self.nu == 0 else sp.erf(y / sp.sqrt(2 * self.nu))


@dataclass(frozen=True)
class PointMass:
    """The k-th derivative of delta(l_i - c)."""

    i: int
    c: Expr
    k: int = 0


@dataclass(frozen=True)
class Term:
    """One term; `powers`, `alpha` and `beta` have one entry a variable."""

    coef: Expr
    powers: tuple[int, ...]
    alpha: tuple[Expr, ...]
    beta: tuple[Expr, ...]
    gates: tuple[Gate, ...] = ()
    masses: tuple[PointMass, ...] = ()

    @property
    def variables(self) -> int:
        """How many variables the term ranges over."""
        return len(self.powers)

    @property
    def is_polynomial(self) -> bool:
        """Whether the term is a monomial."""
        return not (self.gates or self.masses or any(self.alpha) or any(self.beta))


def _one(coef: Expr = S.One, power: int = 0, alpha: Expr = S.Zero, beta: Expr = S.Zero, gates: tuple = ()) -> Term:
    return Term(sp.sympify(coef), (power,), (alpha,), (beta,), gates)


def is_polynomial(terms: Iterable[Term]) -> bool:
    """Whether every term is a monomial."""
    return all(term.is_polynomial for term in terms)


# --- from an expression in x ------------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def as_terms(expr: Expr) -> tuple[Term, ...] | None:
    """Return `expr` as terms of one variable, or None where it lies outside the class.

    >>> [(term.coef, term.powers, term.gates) for term in as_terms(sp.Max(x, 0))]
    [(1/2, (1,), ()), (1/2, (1,), (Gate(i=0, b=1, c=0, nu=0),))]
    >>> as_terms(sp.tanh(x)) is None
    True
    """
    split = pieces(expr)
    opaque = {abs(c) for c in split.breakpoints if _is_opaque(c)}
    if split.window != sp.oo or len(opaque) > MAX_OPAQUE or any(c.has(sp.Float) for c in opaque):
        return None
    if split.breakpoints and any(f.is_polynomial(x) and sp.degree(f, x) > MAX_GATED for f in split.branches):
        return None
    parts: list[Expr] = [(split.branches[0] + split.branches[-1]) / 2]
    gates: list[tuple[Gate, ...]] = [()]
    for i, c in enumerate(split.breakpoints):
        parts.append((split.branches[i + 1] - split.branches[i]) / 2)
        gates.append((Gate(0, S.One, -c, S.Zero),))
    normal: list[Term] = []
    for part, gate in zip(parts, gates, strict=True):
        terms = _smooth(sp.expand(part))
        if terms is None:
            return None
        normal += multiply(terms, (_one(gates=gate),))
    return _collect(normal)


def _is_opaque(c: Expr) -> bool:
    """Whether a number is a root of a polynomial that is no square root, a nested radical, or known numerically."""
    nested = any(not base.is_Rational for base in (p.base for p in c.atoms(sp.Pow)) if base is not sp.pi)
    return nested or c.has(sp.Float, sp.CRootOf)


def _smooth(f: Expr) -> tuple[Term, ...] | None:
    if not f.has(x):
        return (_one(f),) if f != 0 else ()
    if f == x:
        return (_one(power=1),)
    if f.is_Add:
        parts = [_smooth(g) for g in f.args]
        return None if None in parts else _collect([t for part in parts if part is not None for t in part])
    if f.is_Mul:
        return _fold([_smooth(g) for g in f.args])
    if f.is_Pow and f.exp.is_Integer and f.exp > 0:
        return (_one(power=int(f.exp)),) if f.base == x else _fold([_smooth(sp.expand(f.base))] * int(f.exp))
    if f.is_Pow and f.base.is_number and f.base.is_positive:
        return _exponential(f.exp * sp.log(f.base))
    rule = _RULES.get(f.func)
    return rule(f.args[0]) if rule is not None else None


def _fold(parts: Sequence[tuple[Term, ...] | None]) -> tuple[Term, ...] | None:
    result: tuple[Term, ...] = (_one(),)
    for part in parts:
        if part is None or len(part) * len(result) > MAX_TERMS:
            return None
        result = multiply(result, part)
    return result


def _exponential(g: Expr) -> tuple[Term, ...] | None:
    if not g.is_polynomial(x) or sp.degree(g, x) > 2:
        return None
    poly = sp.Poly(g, x)
    if poly.nth(2).has(sp.I):  # sin(x^2): the tilted variance would be complex
        return None
    return (_one(sp.exp(poly.nth(0)), 0, poly.nth(1), poly.nth(2)),)


def _exponentials(*weights_and_factors: tuple[Expr, Expr]):
    def rule(g: Expr) -> tuple[Term, ...] | None:
        return _fold_sum([(weight, _exponential(factor * g)) for weight, factor in weights_and_factors])

    return rule


def _fold_sum(parts: Sequence[tuple[Expr, tuple[Term, ...] | None]]) -> tuple[Term, ...] | None:
    if any(terms is None for _, terms in parts):
        return None
    return _collect([replace(t, coef=w * t.coef) for w, terms in parts for t in terms or ()])


def _error_function(g: Expr) -> tuple[Term, ...] | None:
    if not g.is_polynomial(x) or sp.degree(g, x) != 1:
        return None
    poly = sp.Poly(g, x)
    return (_one(gates=(Gate(0, poly.nth(1), poly.nth(0), Rational(1, 2)),)),)


_RULES = {
    sp.exp: _exponential,
    sp.sinh: _exponentials((S.Half, S.One), (-S.Half, -S.One)),
    sp.cosh: _exponentials((S.Half, S.One), (S.Half, -S.One)),
    sp.sin: _exponentials((-sp.I / 2, sp.I), (sp.I / 2, -sp.I)),
    sp.cos: _exponentials((S.Half, sp.I), (S.Half, -sp.I)),
    sp.erf: _error_function,
    sp.erfc: lambda g: _fold_sum([(S.One, (_one(),)), (-S.One, _error_function(g))]),
}


# --- algebra ----------------------------------------------------------------------------------------------------


def _collect(terms: Iterable[Term]) -> tuple[Term, ...]:
    sums: dict[Term, Expr] = {}
    for term in (settled for given in terms for settled in _settle(given)):
        key = replace(term, coef=S.One)
        sums[key] = sums.get(key, S.Zero) + term.coef
    return tuple(replace(key, coef=coef) for key, coef in sums.items() if not _vanishes(coef))


def _settle(term: Term) -> list[Term]:
    """Absorb what multiplies a point mass: f delta^(k)(l - c) = sum_j (-1)^j C(k, j) f^(j)(c) delta^(k - j)(l - c).

    Only then do the masses of a continuous function cancel. A sign that jumps at the mass itself counts as zero there.
    """
    for position, mass in enumerate(term.masses):
        i = mass.i
        gates = tuple(gate for gate in term.gates if gate.i == i)
        if not (term.powers[i] or term.alpha[i] != 0 or term.beta[i] != 0 or gates):
            continue
        if mass.k and any(gate.nu == 0 and gate.c == -mass.c for gate in gates):
            raise NotIntegrableError("the derivative of a point mass meets a jump at the same place")
        here = Dummy("l", real=True)
        factor = here ** term.powers[i] * sp.exp(term.alpha[i] * here + term.beta[i] * here**2)
        factor *= sp.Mul(*[gate.at(here if gate.nu != 0 else mass.c) for gate in gates])
        bare = Term(
            term.coef,
            _replace_at(term.powers, i, 0),
            _replace_at(term.alpha, i, S.Zero),
            _replace_at(term.beta, i, S.Zero),
            tuple(gate for gate in term.gates if gate.i != i),
            term.masses[:position] + term.masses[position + 1 :],
        )
        terms: list[Term] = []
        for j in range(mass.k + 1):
            weight = S.NegativeOne**j * sp.binomial(mass.k, j) * sp.diff(factor, here, j).subs(here, mass.c)
            lower = replace(bare, coef=bare.coef * weight, masses=(*bare.masses, replace(mass, k=mass.k - j)))
            terms += [] if _vanishes(weight) else _settle(lower)
        return terms
    if len({mass.i for mass in term.masses}) < len(term.masses):
        raise NotIntegrableError("a product of two point masses in one variable has no mean")
    return [replace(term, masses=tuple(sorted(term.masses, key=lambda mass: (mass.i, str(mass)))))]


def _vanishes(coef: Expr) -> bool:
    """Whether a coefficient is zero, decided by its value at kinks that are roots or known numerically."""
    expanded = sp.expand(coef)
    if expanded == 0 or not (expanded.is_number and _is_opaque(expanded)):
        return expanded == 0
    size = sum(abs(part.evalf(10)) for part in sp.Add.make_args(expanded))
    return bool(abs(expanded.evalf(30, maxn=60)) < SMALL * size)


def _replace_at(values: tuple, i: int, value: object) -> tuple:
    return (*values[:i], value, *values[i + 1 :])


def place(terms: Iterable[Term], i: int, variables: int) -> tuple[Term, ...]:
    """Return terms of one variable as terms in variable `i` of `variables`."""

    def spread(values: tuple, zero: object) -> tuple:
        return tuple(values[0] if j == i else zero for j in range(variables))

    return tuple(
        Term(
            term.coef,
            spread(term.powers, 0),
            spread(term.alpha, S.Zero),
            spread(term.beta, S.Zero),
            tuple(replace(gate, i=i) for gate in term.gates),
            tuple(replace(mass, i=i) for mass in term.masses),
        )
        for term in terms
    )


def multiply(left: Iterable[Term], right: Iterable[Term]) -> tuple[Term, ...]:
    """Return the product of two sums of terms over the same variables; products of signs are reduced."""
    terms: list[Term] = []
    for f, g in cartesian(left, right):
        powers = tuple(n + k for n, k in zip(f.powers, g.powers, strict=True))
        alpha = tuple(n + k for n, k in zip(f.alpha, g.alpha, strict=True))
        beta = tuple(n + k for n, k in zip(f.beta, g.beta, strict=True))
        for coef, gates in _reduce_signs(f.gates + g.gates):
            terms.append(Term(coef * f.coef * g.coef, powers, alpha, beta, gates, f.masses + g.masses))
    return _collect(terms)


def _reduce_signs(gates: tuple[Gate, ...]) -> list[tuple[Expr, tuple[Gate, ...]]]:
    """Reduce products of signs of one variable: sign(l-a) sign(l-b) = 1 + sign(l-b) - sign(l-a) for a < b."""
    for j, g in enumerate(gates):
        for k in range(j):
            h = gates[k]
            if g.nu == 0 and h.nu == 0 and g.i == h.i:
                rest = tuple(gate for n, gate in enumerate(gates) if n not in (j, k))
                if g.c == h.c:
                    return _reduce_signs(rest)
                low, high = (g, h) if sign_of(g.c - h.c) > 0 else (h, g)
                return [
                    *_reduce_signs(rest),
                    *_reduce_signs((*rest, high)),
                    *((-coef, kept) for coef, kept in _reduce_signs((*rest, low))),
                ]
    return [(S.One, tuple(sorted(gates, key=lambda g: (g.i, str(g)))))]


def differentiate(terms: Iterable[Term], i: int = 0) -> tuple[Term, ...]:
    """Return the derivative in variable `i`, in the sense of distributions."""
    derivatives: list[Term] = []
    for term in terms:
        if term.powers[i]:
            derivatives.append(_lower(replace(term, coef=term.coef * term.powers[i]), i))
        if term.alpha[i] != 0:
            derivatives.append(replace(term, coef=term.coef * term.alpha[i]))
        if term.beta[i] != 0:
            derivatives.append(_raise(replace(term, coef=2 * term.coef * term.beta[i]), i))
        for j, gate in enumerate(term.gates):
            if gate.i == i:
                rest = replace(term, gates=term.gates[:j] + term.gates[j + 1 :])
                derivatives.append(_differentiate_gate(rest, gate))
        for j, mass in enumerate(term.masses):
            if mass.i == i:
                higher = (*term.masses[:j], replace(mass, k=mass.k + 1), *term.masses[j + 1 :])
                derivatives.append(replace(term, masses=higher))
    return _collect(derivatives)


def _differentiate_gate(term: Term, gate: Gate) -> Term:
    if gate.nu == 0:
        return replace(term, coef=2 * term.coef, masses=(*term.masses, PointMass(gate.i, -gate.c)))
    i, two_nu = gate.i, 2 * gate.nu
    alpha = tuple(v - (2 * gate.b * gate.c / two_nu if j == i else 0) for j, v in enumerate(term.alpha))
    beta = tuple(v - (gate.b**2 / two_nu if j == i else 0) for j, v in enumerate(term.beta))
    height = 2 * gate.b / sp.sqrt(sp.pi * two_nu) * sp.exp(-(gate.c**2) / two_nu)
    return replace(term, coef=term.coef * height, alpha=alpha, beta=beta)


def _lower(term: Term, i: int) -> Term:
    return replace(term, powers=tuple(n - (j == i) for j, n in enumerate(term.powers)))


def _raise(term: Term, i: int) -> Term:
    return replace(term, powers=tuple(n + (j == i) for j, n in enumerate(term.powers)))
