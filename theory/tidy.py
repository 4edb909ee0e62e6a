r"""Printed forms as a person would write them, by one normal form and no search.

`sympy.simplify` explores and takes seconds. A derived expression is a sum over products of transcendental nodes
(exponentials, error functions, arcsines, Phi_2, ...) with algebraic coefficients:

    f = sum_j R_j(symbols) prod_i sqrt(g_i)^{e_ij} prod_n N_n^{k_nj} exp(E_j),        e_ij in {0, 1}.

Arguments and exponents are brought to this form first; then the sum is expanded with every radical and node named by a
dummy, terms of equal (E, N, e) are added, and each R is put in lowest terms and factored. What comes out is unique up
to the order of terms, so equal expressions print equally. The imaginary unit is a radical whose square is -1; in a
real expression the exponentials exp(a + i b) give exp(a) cos b and exp(a) sin b, and exp(a + b) +- exp(a - b) is
written 2 exp(a) cosh b or sinh b.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache, reduce

import sympy as sp
from sympy import Dummy, Expr, S

__all__ = ["in_lowest_terms", "tidy"]


@lru_cache(maxsize=16384)
def tidy(expr: Expr) -> Expr:
    """Return an equal expression in normal form; the expression must be real.

    >>> from theory.symbols import mu, q, r
    >>> tidy(9*mu - 9*mu**2)
    9*mu*(1 - mu)
    >>> tidy((1 - 2*r/(2*r + 1)) / sp.sqrt(4*r/(2*r + 1)**2 + 1/(2*r + 1)**2))
    1/sqrt(4*r + 1)
    >>> tidy(q**2/sp.sqrt(r - q**2) - r/sp.sqrt(r - q**2))
    -sqrt(-q**2 + r)
    >>> tidy(sp.exp(sp.I)*sp.exp(q - r)/2 + sp.exp(-sp.I)*sp.exp(q - r)/2)
    exp(q - r)*cos(1)
    """
    if expr.is_Symbol or expr.is_Rational:
        return expr
    symbols = sorted(expr.free_symbols, key=str)
    if symbols and expr.is_polynomial(*symbols) and not expr.has(sp.I):
        return _polynomial(expr, symbols)
    return _NormalForm().of(expr)


def _polynomial(f: Expr, symbols: list[sp.Symbol]) -> Expr:
    """Factor polynomials with several factors, expand short sums, and keep the shorter form of the rest."""
    poly = sp.Poly(f, *symbols)
    if len(poly.terms()) <= 8 and len(symbols) > 1:
        return poly.as_expr()
    factored = _orient(sp.factor(f))
    if len(symbols) == 1 and len(sp.Mul.make_args(factored)) > 2:
        return factored
    return poly.as_expr() if len(poly.terms()) <= 8 else min((factored, f), key=_length)


def _length(f: Expr) -> int:
    """Operations, and two more for every sum in parentheses."""
    nested = sum(1 for node in sp.preorder_traversal(f) if node.is_Add) - bool(f.is_Add)
    return int(sp.count_ops(f)) + 2 * nested


def _orient(expr: Expr) -> Expr:
    """Write every factor with the sign that makes it positive at a generic point of its domain."""
    if not expr.is_Mul and not expr.is_Pow:
        return expr
    number, factors = _factors(expr)
    return sp.Mul(number, *[f**power for f, power in factors])


def _is_negative(f: Expr) -> bool:
    """Whether a sum is negative at a generic point (r > q^2, rho > mu, all below one)."""
    at = {symbol: GENERIC.get(symbol.name, sp.Rational(1, 7)) for symbol in f.free_symbols}
    there = f.xreplace(at)
    return bool(there.is_number and there.is_negative)


GENERIC = {
    name: sp.Rational(*ratio)
    for name, ratio in {"q": (1, 4), "r": (1, 2), "mu": (1, 3), "rho": (2, 3), "u": (1, 5), "m": (1, 6)}.items()
}
Key = tuple[Expr, tuple[tuple[Dummy, int], ...]]  # exponent of the exponential, (node, power) pairs
Roots = frozenset[Dummy]


class _Table(dict[Dummy, Expr]):
    """What each dummy stands for; `name` finds or makes the dummy of an expression."""

    def __init__(self) -> None:
        super().__init__()
        self._names: dict[Expr, Dummy] = {}

    def name(self, content: Expr) -> Dummy:
        if content not in self._names:
            self._names[content] = Dummy(f"n{len(self)}", positive=True)
            self[self._names[content]] = content
        return self._names[content]


class _NormalForm:
    """The names given to radicals, nodes and exponentials while one expression is rewritten."""

    def __init__(self) -> None:
        self.squares, self.nodes, self.exponents, self.ratios = _Table(), _Table(), _Table(), _Table()
        self.unit = self.squares.name(S.NegativeOne)

    def of(self, expr: Expr) -> Expr:
        """Return the normal form."""
        return self._assemble(self._collect(self._mask(expr)))

    # --- naming (a dummy is positive only so that SymPy leaves its powers alone) ---

    def _mask(self, f: Expr) -> Expr:
        if f is S.ImaginaryUnit:
            return self.unit
        if f is S.Pi:
            return self.squares.name(S.Pi) ** 2
        if f.is_Symbol or f.is_Rational:
            return f
        if f.is_Add or f.is_Mul:
            return f.func(*[self._mask(arg) for arg in f.args])
        if isinstance(f, sp.exp):
            exponent = in_lowest_terms(f.args[0])
            return S.One if exponent == 0 else self.exponents.name(exponent)
        if f.is_Pow and f.exp.is_Integer:
            return self._mask(f.base) ** f.exp if f.exp > 0 or not f.base.is_Add else self._quotient(f)
        if f.is_Pow and f.exp.is_Rational and f.exp.q == 2:
            return self._radical(f.base) ** f.exp.p
        if isinstance(f, sp.Function):
            node = f.func(*[tidy(arg) for arg in f.args])
            sign, node = node.as_coeff_Mul()
            return sign * (self.nodes.name(node) if isinstance(node, sp.Function) else self._mask(node))
        return self.nodes.name(f)

    def _quotient(self, f: Expr) -> Expr:
        """Return a negative power of a sum with each factor of the sum named, lest it be multiplied out."""
        base = in_lowest_terms(f.base)
        if not base.is_rational_function(*base.free_symbols):
            return self.nodes.name(base**f.exp)
        number, factors = _factors(base)
        product = self._mask(number) ** f.exp
        for factor, power in factors:
            name = self.ratios.name(factor) if factor.is_Add else self._mask(factor)
            product *= name ** (power * f.exp)
        return product

    def _radical(self, base: Expr) -> Expr:
        """Return sqrt(base) as a product of powers of named roots, one for each factor known to be positive."""
        number, factors = _factors(sp.factor(in_lowest_terms(base)))
        product, rest = S.One, S.One
        if number.is_negative or not number.is_Rational:
            rest, number = number, S.One
        for prime, power in {**sp.factorint(number.p), **{k: -v for k, v in sp.factorint(number.q).items()}}.items():
            product *= self.squares.name(sp.Integer(prime)) ** power
        for factor, power in factors:
            if factor.is_positive or factor is S.Pi:
                product *= self.squares.name(factor) ** power
            elif power % 2 == 0 and factor.is_real:
                product *= self._mask(sp.Abs(factor)) ** power
            else:
                rest *= factor**power
        return product if rest is S.One else product * self.squares.name(rest)

    # --- collecting ---

    def _collect(self, masked: Expr) -> dict[Key, dict[Roots, list[Expr]]]:
        """Return the terms' rational parts, by exponential and nodes, then by the radicals that multiply them."""
        found: dict[Key, dict[Roots, list[Expr]]] = defaultdict(lambda: defaultdict(list))
        for term in sp.Add.make_args(sp.expand(masked, power_base=False, power_exp=False, log=False)):
            rest, exponent, nodes, roots = S.One, S.Zero, {}, {}
            for base, power in term.as_powers_dict().items():
                if base in self.exponents:
                    exponent += power * self.exponents[base]
                elif base in self.nodes:
                    nodes[base] = power
                elif base in self.squares:
                    roots[base] = power
                else:
                    rest *= self.ratios.get(base, base) ** power
            self._add_term(found, (rest, exponent, nodes, roots))
        return found

    def _add_term(self, found: dict, parts: tuple[Expr, Expr, dict, dict]) -> None:
        rest, exponent, nodes, roots = parts
        odd = {root for root, power in roots.items() if power % 2}
        for root, power in roots.items():
            rest *= self.squares[root] ** (power // 2)
        exponent = in_lowest_terms(exponent) if exponent != 0 else exponent
        imaginary = self.unit in odd
        odd.discard(self.unit)
        for sign, extra in self._real_part(exponent, imaginary):
            power = {**nodes, **extra}
            key = (_real(exponent), tuple(sorted(power.items(), key=lambda item: str(item[0]))))
            found[key][frozenset(odd)].append(sign * rest)

    def _real_part(self, exponent: Expr, imaginary: bool) -> list[tuple[Expr, dict[Dummy, int]]]:
        """Return Re[i^imaginary exp(i b)], b the imaginary part of the exponent, as (sign, nodes)."""
        angle = in_lowest_terms(sp.expand(exponent).coeff(sp.I)) if exponent.has(sp.I) else S.Zero
        if angle == 0:
            return [] if imaginary else [(S.One, {})]
        wave = (sp.sin if imaginary else sp.cos)(angle)
        sign, wave = wave.as_coeff_Mul()
        return [(-sign if imaginary else sign, {self.nodes.name(wave): 1})]

    # --- assembling ---

    def _assemble(self, found: dict[Key, dict[Roots, list[Expr]]]) -> Expr:
        coefficients = {key: self._coefficient(classes) for key, classes in found.items()}
        total = sp.Add(*_pair_exponentials({k: c for k, c in coefficients.items() if c != 0}, self.nodes))
        return min((total, sp.factor_terms(total)), key=_length)

    def _coefficient(self, classes: dict[Roots, list[Expr]]) -> Expr:
        """Sum each class in lowest terms; a radical goes where it cancels its own square."""
        total = []
        for roots, parts in classes.items():
            ratio = in_lowest_terms(sp.Add(*parts))
            if ratio == 0:
                continue
            number, factors = _factors(ratio)
            powers = dict(factors)
            radicals = []
            for square in sorted((self.squares[root] for root in roots), key=sp.default_sort_key):
                inner = _factors(square)[1]
                below = bool(inner) and all(powers.get(f, 0) <= -p for f, p in inner)
                for f, p in inner if below else ():
                    powers[f] = powers[f] + p
                radicals.append(1 / sp.sqrt(square) if below else sp.sqrt(square))
            total.append(sp.Mul(number, *[f**p for f, p in powers.items()], *radicals))
        summed = sp.Add(*total)
        return min((summed, sp.factor_terms(summed)), key=_length) if len(total) > 1 else summed


def _real(exponent: Expr) -> Expr:
    return in_lowest_terms(sp.expand(exponent).coeff(sp.I, 0)) if exponent.has(sp.I) else exponent


@lru_cache(maxsize=16384)
def in_lowest_terms(f: Expr) -> Expr:
    """Return a rational function factored in lowest terms, or as a short expanded numerator over a denominator."""
    if f.is_Symbol or f.is_Rational:
        return f
    if not f.is_rational_function(*f.free_symbols) or f.has(sp.I):
        return tidy(f) if not f.has(sp.I) else sp.expand(f)
    number, factors = _factors(sp.factor(f))
    ratio = sp.Mul(number, *[g**power for g, power in factors])
    return sp.expand(ratio) if len(factors) == 1 and factors[0][1] == 1 else ratio


def _factors(f: Expr) -> tuple[Expr, list[tuple[Expr, int]]]:
    """Return the rational factor and the (factor, integer power) pairs of a product, sums oriented."""
    number, rest = sp.factor_terms(f).as_coeff_Mul() if f.is_Add else f.as_coeff_Mul()
    found: list[tuple[Expr, int]] = []
    for base, power in rest.as_powers_dict().items():
        if not power.is_Integer:
            found.append((base**power, 1))
        elif base.is_Rational:
            number *= base**power
        elif base.is_Add and _is_negative(base):
            number *= S.NegativeOne**power
            found.append((sp.Add(*[-term for term in base.args]), int(power)))
        else:
            found.append((base, int(power)))
    return number, found


def _pair_exponentials(coefficients: dict[Key, Expr], nodes: dict[Dummy, Expr]) -> list[Expr]:
    """Return the terms; exp(a + b) +- exp(a - b) of equal coefficient becomes 2 exp(a) cosh b or sinh b."""
    terms, waiting = [], dict(coefficients)
    while waiting:
        (exponent, powers), coefficient = waiting.popitem()
        factor = reduce(lambda product, item: product * nodes[item[0]] ** item[1], powers, coefficient)
        partner = next(
            (
                other
                for other, rival in waiting.items()
                if other[1] == powers and rival in (coefficient, -coefficient) and _is_pair(exponent, other[0])
            ),
            None,
        )
        if partner is None:
            terms.append(factor * sp.exp(exponent))
            continue
        even = waiting.pop(partner) == coefficient
        middle = in_lowest_terms((exponent + partner[0]) / 2)
        half = in_lowest_terms((exponent - partner[0]) / 2)
        terms.append(2 * factor * sp.exp(middle) * (sp.cosh(half) if even else sp.sinh(half)))
    return terms


def _is_pair(first: Expr, second: Expr) -> bool:
    middle, half = in_lowest_terms((first + second) / 2), in_lowest_terms((first - second) / 2)
    both = sp.count_ops(first) + sp.count_ops(second)
    return bool(half != 0 and half.free_symbols and sp.count_ops(middle) + sp.count_ops(half) < both)
