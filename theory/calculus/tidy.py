r"""Printed forms as a person would write them, by one normal form and no search.

`sympy.simplify` explores and takes seconds. A derived expression is a sum over products of transcendental nodes
(exponentials, error functions, arcsines, Phi_2, ...) with algebraic coefficients:

    f = sum_j R_j(symbols) prod_i sqrt(g_i)^{e_ij} prod_n N_n^{k_nj} exp(E_j),        e_ij in {0, 1}.

Arguments and exponents are brought to this form first; then the sum is expanded with every radical and node named by a
dummy, terms of equal (E, N, e) are added, and each R is put in lowest terms and factored. What comes out is unique up
to the order of terms, so equal expressions print equally. The imaginary unit is a radical whose square is -1; in a
real expression the exponentials exp(a + i b) give exp(a) cos b and exp(a) sin b, and exp(a + b) +- exp(a - b) is
written 2 exp(a) cosh b or sinh b. Tails are named as such: f - f erf(z) is f erfc(z) and f + f erf(z) is f erfc(-z),
which stay right where 1 - erf(z) has no digit left.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache, reduce
from math import lcm
from operator import mul
from typing import Any

import sympy as sp
from sympy import QQ, Dummy, Expr, S
from sympy.polys.orderings import lex
from sympy.polys.rings import PolyElement, PolyRing

from theory.symbols import mu, q, r, rho
from theory.typeset.constants import Constant

__all__ = ["in_lowest_terms", "is_negative", "tidy"]


LONGEST_POWER = 200  # p * lcm of the q, over the numbers exp(p/q) of an expression
LARGEST_FACTORED = 400  # bits of a coefficient
LONGEST_FACTORED = 60  # terms


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
    return _NormalForm().of(expr)


def _polynomial(f: Expr, symbols: list[sp.Symbol]) -> Expr:
    """Factor polynomials of one variable with several factors; expand the others unless a factored form is shorter."""
    poly = sp.Poly(f, *symbols)
    short = len(poly.terms()) <= 8
    variables = len(f.free_symbols)  # symbols may be constants, too
    if _is_too_long(poly.coeffs()) or (variables > 1 and short):
        return poly.as_expr()
    number, factors = _factors(sp.factor(poly.as_expr()))
    factored = sp.Mul(number, *[g**power for g, power in factors])
    if variables <= 1 and len(factors) > 1:
        return factored
    return poly.as_expr() if short else min((factored, poly.as_expr()), key=_length)


def _length(f: Expr) -> int:
    """Operations, and two more for every sum in parentheses."""
    nested = sum(1 for node in sp.preorder_traversal(f) if node.is_Add) - bool(f.is_Add)
    return int(sp.count_ops(f)) + 2 * nested


def _small_factors(n: int) -> dict[int, int]:
    """Return the prime factors of n below 2^15, and what is left as one factor: large integers take for ever."""
    return sp.factorint(n, limit=2**15, use_rho=False, use_pm1=False, use_ecm=False)


def is_negative(f: Expr) -> bool:
    """Whether f is negative at a generic point (r > q^2, rho > mu, all below one), however it is written."""
    at = {symbol: GENERIC.get(symbol.name, sp.Rational(1, 7)) for symbol in f.free_symbols}
    there = f.xreplace(at)
    return bool(there.is_number and there.is_negative)


def _is_nonnegative(f: Expr) -> bool:
    """Whether f >= 0 wherever r >= q^2 and rho >= |mu|, that is for every covariance matrix."""
    if f.is_nonnegative:
        return True
    gap = Dummy("D", nonnegative=True)
    at = {r: q**2 + gap, rho: sp.sqrt(mu**2 + gap)}
    return bool(sp.expand(f.subs(at, simultaneous=True)).is_nonnegative)


def _is_positive_at_the_origin(f: Expr) -> bool:
    """Whether f > 0 at q = r = 0. A factor of a variance then stays positive up to where the expectation diverges."""
    return bool(f.xreplace(dict.fromkeys(f.free_symbols, S.Zero)).is_positive)


GENERIC = {
    name: sp.Rational(*ratio)
    for name, ratio in {"q": (1, 4), "r": (1, 2), "mu": (1, 3), "rho": (2, 3), "u": (1, 5), "m": (1, 6)}.items()
}
Exponents = tuple[int, ...]
Powers = tuple[tuple[Dummy, int], ...]
Key = tuple[Expr, Powers]  # exponent of the exponential, powers of the nodes
Roots = frozenset[Dummy]
Part = tuple[Any, dict[Expr, int]]  # a rational number and the powers of symbols and sums that it multiplies


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
    """The names given to radicals, nodes, exponentials and denominators while one expression is rewritten."""

    def __init__(self) -> None:
        self.squares, self.nodes, self.exponents, self.sums = _Table(), _Table(), _Table(), _Table()
        self.unit = self.squares.name(S.NegativeOne)
        self.masked: dict[Expr, Expr] = {}
        self.symbols: set[Expr] = set()
        self.inverse = False  # whether a negative power or the imaginary unit has been met

    def of(self, expr: Expr) -> Expr:
        """Return the normal form."""
        masked = self._mask(expr)
        if self.symbols and len(self.squares) == 1 and not (self.nodes or self.exponents or self.sums or self.inverse):
            return _polynomial(masked, sorted(self.symbols, key=str))
        return self._assemble(self._collect(masked))

    # --- naming (a dummy is positive only so that SymPy leaves its powers alone) ---

    def _mask(self, f: Expr) -> Expr:
        if f not in self.masked:
            self.masked[f] = self._named(f)
        return self.masked[f]

    def _named(self, f: Expr) -> Expr:
        if f is S.ImaginaryUnit:
            self.inverse = True
            return self.unit
        if f is S.Pi:
            return self.squares.name(S.Pi) ** 2
        if f.is_Symbol or isinstance(f, Constant):
            self.symbols.add(f)
            return f
        if f.is_Rational:
            return f
        if f.is_Add or f.is_Mul:
            return f.func(*[self._mask(arg) for arg in f.args])
        if isinstance(f, sp.exp):
            exponent = in_lowest_terms(f.args[0])
            return S.One if exponent == 0 else self.exponents.name(exponent)
        if f.is_Pow and f.exp.is_Integer:
            self.inverse = self.inverse or bool(f.exp < 0)
            return self._mask(f.base) ** f.exp if f.exp > 0 or not f.base.is_Add else self._quotient(f)
        if f.is_Pow and f.exp.is_Rational and f.exp.q == 2:
            return self._radical(f.base) ** f.exp.p
        if isinstance(f, sp.Abs) and _is_nonnegative(f.args[0]):
            return self._mask(f.args[0])
        if isinstance(f, sp.erfc):
            return S.One - self._mask(sp.erf(f.args[0]))
        if isinstance(f, sp.Function) and not isinstance(f, sp.Piecewise):
            node = f.func(*[tidy(arg) for arg in f.args])
            sign, node = node.as_coeff_Mul()
            return sign * (self.nodes.name(node) if isinstance(node, sp.Function) else self._mask(node))
        return self.nodes.name(f)

    def _quotient(self, f: Expr) -> Expr:
        """Return a negative power of a sum with each factor of the sum named, lest it be multiplied out."""
        base = in_lowest_terms(f.base)
        if not base.is_rational_function(*base.free_symbols) or base.has(S.Pi):
            return self.nodes.name(base**f.exp)
        number, factors = _factored(base)
        product = self._mask(number) ** f.exp
        for factor, power in factors:
            name = self.sums.name(factor) if factor.is_Add else self._mask(factor)
            product *= name ** (power * f.exp)
        return product

    def _radical(self, base: Expr) -> Expr:
        """Return sqrt(base) as a product of powers of named roots, one for each factor known to be positive."""
        number, factors = _factored(in_lowest_terms(base))
        product, rest = S.One, S.One
        if number.is_negative or not number.is_Rational:
            rest, number = number, S.One
        below = {factor: -power for factor, power in _small_factors(number.q).items()}
        for prime, power in {**_small_factors(number.p), **below}.items():
            product *= self.squares.name(sp.Integer(prime)) ** power
        for factor, power in factors:
            if _is_nonnegative(factor) or (power % 2 and _is_positive_at_the_origin(factor)):
                product *= self.squares.name(factor) ** power
            elif power % 2 == 0 and factor.is_real:
                product *= self._mask(sp.Abs(factor)) ** power
            else:
                rest *= factor**power
        return product if rest is S.One else product * self.nodes.name(sp.sqrt(rest))

    # --- collecting ---

    def _collect(self, masked: Expr) -> dict[Key, dict[Roots, list[Part]]]:
        """Return the terms' rational parts, by exponential and nodes, then by the radicals that multiply them."""
        tables = (self.squares, self.nodes, self.exponents, self.sums)
        letters = sorted((*self.symbols, *(name for table in tables for name in table)), key=str)
        sums: dict[Key, dict[Roots, list[Part]]] = defaultdict(lambda: defaultdict(list))
        for powers, coefficient in _multiply_out(masked, letters).items():
            number, exponent, nodes = coefficient, S.Zero, {}
            part: dict[Expr, int] = defaultdict(int)
            roots: set[Dummy] = set()
            for letter, power in zip(letters, powers, strict=True):
                if power == 0:
                    continue
                if letter in self.exponents:
                    exponent += power * self.exponents[letter]
                elif letter in self.nodes:
                    nodes[letter] = power
                elif letter in self.squares:
                    half, odd = divmod(power, 2)
                    roots |= {letter} if odd else set()
                    square = self.squares[letter]
                    if square.is_Rational:
                        number *= QQ.from_sympy(square) ** half
                    else:
                        part[square] += half
                else:
                    part[self.sums.get(letter, letter)] += power
            self._add_term(sums, (number, part), (exponent, nodes, roots))
        return sums

    def _add_term(self, sums: dict, part: Part, outside: tuple[Expr, dict, set[Dummy]]) -> None:
        exponent, nodes, roots = outside
        exponent = in_lowest_terms(exponent) if exponent != 0 else exponent
        imaginary = self.unit in roots
        for sign, extra in self._real_part(exponent, imaginary):
            powers = tuple(sorted({**nodes, **extra}.items(), key=lambda item: str(item[0])))
            sums[_real(exponent), powers][frozenset(roots - {self.unit})].append((sign * part[0], part[1]))

    def _real_part(self, exponent: Expr, imaginary: bool) -> list[tuple[int, dict[Dummy, int]]]:
        """Return Re[i^imaginary exp(i b)], b the imaginary part of the exponent, as (sign, nodes)."""
        angle = in_lowest_terms(sp.expand(exponent).coeff(sp.I)) if exponent.has(sp.I) else S.Zero
        if angle == 0:
            return [] if imaginary else [(1, {})]
        wave = (sp.sin if imaginary else sp.cos)(angle)
        sign, wave = wave.as_coeff_Mul()
        return [(int(-sign if imaginary else sign), {self.nodes.name(wave): 1})]

    # --- assembling ---

    def _assemble(self, sums: dict[Key, dict[Roots, list[Part]]]) -> Expr:
        coefficients = {key: self._coefficient(classes) for key, classes in sums.items()}
        tailed = _name_tails({k: f for k, f in coefficients.items() if f != 0}, self.nodes)
        total = sp.Add(*_pair_exponentials(tailed, self.nodes))
        return min((total, sp.factor_terms(total)), key=_length)

    def _coefficient(self, classes: dict[Roots, list[Part]]) -> Expr:
        """Sum each class in lowest terms; a radical goes where it cancels its own square."""
        total = []
        for roots, parts in classes.items():
            number, powers = _sum_in_lowest_terms(parts)
            if number == 0:
                continue
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


def _multiply_out(masked: Expr, letters: list[Expr]) -> dict[Exponents, Any]:
    """Return a polynomial in the letters and their inverses as {exponents: coefficient}.

    The sparse polynomials of `sympy.polys.rings` only ever add exponents, so negative ones are at home there.
    """
    if not letters:
        return {(): QQ.from_sympy(masked)}
    algebra = PolyRing([str(i) for i in range(len(letters))], QQ, lex)
    position = {letter: i for i, letter in enumerate(letters)}
    known: dict[Expr, Any] = {}

    def walk(f: Expr) -> Any:
        if f not in known:
            known[f] = product(f)
        return known[f]

    def product(f: Expr) -> Any:
        if f.is_Rational:
            return QQ.from_sympy(f)
        if f in position:
            return algebra.gens[position[f]]
        if f.is_Add:
            return sum((walk(arg) for arg in f.args), algebra.zero)
        if f.is_Mul:
            return reduce(mul, (walk(arg) for arg in f.args))
        base, power = f.as_base_exp()
        if power < 0:
            exponents = tuple(int(power) * (i == position[base]) for i in range(len(letters)))
            return algebra.from_dict({exponents: QQ.one})
        return walk(base) ** int(power)

    value = walk(masked)
    return dict(value) if isinstance(value, PolyElement) else {(0,) * len(letters): value}


def _sum_in_lowest_terms(parts: list[Part]) -> tuple[Expr, dict[Expr, int]]:
    """Return a sum over products of symbols and irreducible sums as a number and the powers of irreducible factors."""
    bases = sorted({base for _, powers in parts for base in powers}, key=sp.default_sort_key)
    least = {base: min(powers.get(base, 0) for _, powers in parts) for base in bases}
    symbols = sorted(set().union(*(base.free_symbols for base in bases)), key=str)
    constants = sorted(set().union(*map(_irrationals, bases)), key=sp.default_sort_key)
    letters = [*symbols, *constants]
    if not letters:
        return sp.Add(*[QQ.to_sympy(number) for number, _ in parts]), {}
    names = {constant: Dummy(f"k{i}") for i, constant in enumerate(constants)}
    originals = {name: constant for constant, name in names.items()}
    algebra = PolyRing([*symbols, *names.values()], QQ, lex)
    inner = {base: algebra.from_expr(base.xreplace(names)) for base in bases if base not in letters}
    numerator = algebra.zero
    for excess, monomials in _by_sums(parts, least, letters, list(inner)).items():
        product = algebra.from_dict(monomials)
        for base, power in zip(inner, excess, strict=True):
            product *= inner[base] ** power
        numerator += product
    if not numerator:
        return S.Zero, {}
    exponents = dict(least)
    for base, polynomial in inner.items():
        while exponents[base] < 0:
            quotient, rest = divmod(numerator, polynomial)
            if rest:
                break
            numerator, exponents[base] = quotient, exponents[base] + 1
    number, factors = _factor(numerator)
    for factor, power in ((factor.xreplace(originals), power) for factor, power in factors):
        oriented = -factor if factor.is_Add and is_negative(factor) else factor
        number *= S.NegativeOne**power if oriented is not factor else 1
        exponents[oriented] = exponents.get(oriented, 0) + power
    return number, {base: power for base, power in exponents.items() if power}


def _irrationals(base: Expr) -> set[Expr]:
    """Return what a rational function is made of besides symbols and ratios: pi, exp(2), exp(b) of a parameter b."""
    if not (base.is_Add or base.is_Mul or (base.is_Pow and base.exp.is_Integer)):
        return set() if base.is_Rational or base.is_Symbol else {base}
    return set().union(*map(_irrationals, base.args))


def _by_sums(
    parts: list[Part], least: dict[Expr, int], letters: list[Expr], sums: list[Expr]
) -> dict[Exponents, dict[Exponents, Any]]:
    """Return {powers of the sums: {powers of the letters: coefficient}}, all powers counted from the least ones."""
    weights: dict[Exponents, dict[Exponents, Any]] = defaultdict(lambda: defaultdict(lambda: QQ.zero))
    for number, powers in parts:
        excess = tuple(powers.get(base, 0) - least[base] for base in sums)
        weights[excess][tuple(powers.get(letter, 0) - least.get(letter, 0) for letter in letters)] += number
    return weights


def _factor(numerator: Any) -> tuple[Expr, list[tuple[Expr, int]]]:
    """Return the content and the factors of a polynomial; long ones are left whole but for their content."""
    if _is_too_long([QQ.to_sympy(c) for c in numerator.values()]):
        content, primitive = numerator.primitive()
        return QQ.to_sympy(content), [(primitive.as_expr(), 1)]
    number, factors = numerator.factor_list()
    return QQ.to_sympy(number), [(factor.as_expr(), power) for factor, power in factors]


def _is_too_long(coefficients: list[Expr]) -> bool:
    """Whether a polynomial takes long to factor: many terms, or numbers of many digits."""
    sizes = (int(max(abs(c.p), c.q)).bit_length() for c in coefficients if c.is_Rational)
    return len(coefficients) > LONGEST_FACTORED or max(sizes, default=0) > LARGEST_FACTORED


def _real(exponent: Expr) -> Expr:
    return in_lowest_terms(sp.expand(exponent).coeff(sp.I, 0)) if exponent.has(sp.I) else exponent


@lru_cache(maxsize=16384)
def in_lowest_terms(f: Expr) -> Expr:
    """Return a rational function in lowest terms, factored unless it is one sum; else the normal form."""
    if f.is_Symbol or f.is_Rational:
        return f
    if f.has(sp.I):
        return sp.expand(f)
    if not f.is_polynomial(*f.free_symbols):
        return _NormalForm().of(f)
    number, factors = _factored(f)
    product = sp.Mul(number, *[g**power for g, power in factors])
    return sp.expand(product) if len(factors) == 1 and factors[0][1] == 1 else product


@lru_cache(maxsize=16384)
def _factored(f: Expr) -> tuple[Expr, list[tuple[Expr, int]]]:
    names = _steep_numbers(f)
    number, factors = _factors(sp.factor(f.xreplace(names)))
    originals = {name: constant for constant, name in names.items()}
    return number, [(factor.xreplace(originals), power) for factor, power in factors]


def _steep_numbers(f: Expr) -> dict[Expr, Dummy]:
    """Name the numbers exp(p/q) of f where SymPy, for which they are powers of one exp(1/n), would make long powers.

    >>> x = sp.Symbol("x")
    >>> len(_steep_numbers(x + sp.exp(2))), len(_steep_numbers(x + sp.exp(2) + sp.exp(sp.Rational("0.8657"))))
    (0, 2)
    """
    numbers = [node for node in f.atoms(sp.exp) if node.args[0].is_Rational]
    common = lcm(*(node.args[0].q for node in numbers))
    if all(abs(node.args[0]) * common <= LONGEST_POWER for node in numbers):
        return {}
    return {node: Dummy("e", positive=True) for node in numbers}


def _factors(f: Expr) -> tuple[Expr, list[tuple[Expr, int]]]:
    """Return the rational factor and the (factor, integer power) pairs of a product, sums oriented."""
    number, rest = sp.factor_terms(f).as_coeff_Mul() if f.is_Add else f.as_coeff_Mul()
    parts: list[tuple[Expr, int]] = []
    for base, power in rest.as_powers_dict().items():
        if not power.is_Integer:
            parts.append((base**power, 1))
        elif base.is_Rational:
            number *= base**power
        elif base.is_Add and is_negative(base):
            number *= S.NegativeOne**power
            parts.append((sp.Add(*[-term for term in base.args]), int(power)))
        else:
            parts.append((base, int(power)))
    return number, parts


def _pair_exponentials(coefficients: dict[Key, Expr], nodes: dict[Dummy, Expr]) -> list[Expr]:
    """Return the terms; exp(a + b) +- exp(a - b) of equal coefficient becomes 2 exp(a) cosh b or sinh b."""
    terms, waiting = [], dict(coefficients)
    while waiting:
        (exponent, powers), coefficient = waiting.popitem()
        number, rest = coefficient.as_content_primitive() if coefficient.is_Add else (S.One, coefficient)
        factor = [number, rest, *(nodes[node] ** power for node, power in powers)]
        partner = next(
            (
                other
                for other, rival in waiting.items()
                if other[1] == powers and rival in (coefficient, -coefficient) and _is_pair(exponent, other[0])
            ),
            None,
        )
        if partner is None:
            terms.append(sp.Mul(*factor, sp.exp(exponent)) if exponent != 0 or powers else coefficient)
            continue
        even = waiting.pop(partner) == coefficient
        middle = in_lowest_terms((exponent + partner[0]) / 2)
        half = in_lowest_terms((exponent - partner[0]) / 2)
        terms.append(sp.Mul(2, *factor, sp.exp(middle), sp.cosh(half) if even else sp.sinh(half)))
    return terms


def _name_tails(coefficients: dict[Key, Expr], nodes: _Table) -> dict[Key, Expr]:
    """Write f - f erf(z) as f erfc(z) and f + f erf(z) as f erfc(-z), gate by gate, term by term."""
    gates = [name for name, content in nodes.items() if isinstance(content, sp.erf)]
    gates = [name for name in gates if any(name in dict(powers) for _, powers in coefficients)]
    if not gates:
        return coefficients
    terms = {key: _terms(f) for key, f in coefficients.items()}
    changed: set[Key] = set()
    for gate in gates:
        for lower in sorted(terms, key=lambda key: -dict(key[1]).get(gate, 0)):
            changed |= _move_to_tails(lower, gate, terms, nodes)
    kept = [key for key, parts in terms.items() if any(parts.values())]
    return {key: _shortest(terms[key]) if key in changed else coefficients[key] for key in kept}


def _move_to_tails(lower: Key, gate: Dummy, terms: dict[Key, dict[Expr, Expr]], nodes: _Table) -> set[Key]:
    """Move what two neighbouring powers of a gate share to a tail; return the keys whose terms have changed."""
    upper, touched = _times(lower, gate), set[Key]()
    for term in [t for t in terms[lower] if t in terms.get(upper, {})]:
        below, above = terms[lower][term], terms[upper][term]
        side = -1 if below * above > 0 else 1
        moved = min(abs(below), abs(above)) * sp.sign(below)
        tail = _times(lower, nodes.name(sp.erfc(side * nodes[gate].args[0])))
        terms.setdefault(tail, {})[term] = terms.get(tail, {}).get(term, S.Zero) + moved
        terms[lower][term], terms[upper][term] = below - moved, above + side * moved
        touched |= {lower, upper, tail}
    return touched


def _times(key: Key, node: Dummy) -> Key:
    powers = dict(key[1])
    powers[node] = powers.get(node, 0) + 1
    return key[0], tuple(sorted(powers.items(), key=lambda item: str(item[0])))


def _terms(f: Expr) -> dict[Expr, Expr]:
    """Return a sum as {term of coefficient one: its rational coefficient}."""
    pairs = (term.as_coeff_Mul() for term in sp.Add.make_args(sp.expand(f)))
    return {term: number for number, term in pairs}


def _shortest(terms: dict[Expr, Expr]) -> Expr:
    summed = sp.Add(*[number * term for term, number in terms.items()])
    return (
        summed
        if len(terms) > LONGEST_FACTORED
        else min((summed, sp.factor_terms(summed), sp.factor(summed)), key=_length)
    )


def _is_pair(first: Expr, second: Expr) -> bool:
    """Whether the exponents are a + b and a - b with a even and b odd in the overlap (q, or mu at the edge)."""
    middle, half = in_lowest_terms((first + second) / 2), in_lowest_terms((first - second) / 2)
    return half != 0 and any(
        half.has(s)
        and in_lowest_terms(half.subs(s, -s) + half) == 0
        and in_lowest_terms(middle.subs(s, -s) - middle) == 0
        for s in (q, mu)
    )
