r"""Hermite coefficients and the information exponent.

He_k^[r](x) = r^(k/2) He_k(x / sqrt(r)) is orthogonal under N(0, r) with norm k! r^k, and by Stein's lemma

    sigma_k^[r] = E_r[He_k^[r] sigma] = r^k E_r[sigma^(k)],

derivatives in the sense of distributions, so that sigma = sum_k sigma_k^[r] He_k^[r] / (k! r^k) in L^2(N(0, r)).
Where a function has no formula its coefficients are the symbols `HermiteSymbol`, and the exponent is `EXPONENT`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import sympy as sp
from sympy import Expr, S, Symbol
from sympy.core.symbol import Str

from theory.calculus.expectations import Distribution, gaussian_mean, unevaluated
from theory.calculus.nodes import exact
from theory.calculus.signs import witnesses
from theory.calculus.undefined import has_undefined, letter
from theory.errors import ParameterError, QuadratureError
from theory.language.activations import Activation, activation

__all__ = [
    "EXPONENT",
    "HermiteSymbol",
    "coefficient",
    "coefficients",
    "information_exponent",
    "is_zero",
    "leading_order",
]

EXPONENT = Symbol("k_*", integer=True, positive=True)
"""The information exponent of functions without a formula."""

MAX_EXPONENT = 40
PRECISIONS = (25, 40, 120, 500, 1000)
FEW = 2  # generic points at which expectations with parameters are evaluated
UNSETTLED = 100  # last changes by which an integral that did not settle is away from zero
MORE = 20  # digits with which a zero of unevaluated expectations is confirmed


class HermiteSymbol(Expr):
    r"""The coefficient sigma_k^[r] by its symbol: `HermiteSymbol("sigma", k, r)`, r = 1 by default.

    As sigma_k^[r] / r^k = E_r[sigma^(k)], its derivative by r is k sigma_k^[r] / r + sigma_{k+2}^[r] / (2 r^2).

    >>> from theory.symbols import r
    >>> HermiteSymbol("phi", 3), HermiteSymbol("sigma", 1, r).diff(r)
    (phi_3, sigma_1(r)/r + sigma_3(r)/(2*r**2))
    """

    is_real = True
    is_commutative = True
    is_number = False
    is_comparable = False
    takes_power = True

    def __new__(cls, name: str | Str, k: int | Expr, r: Expr = S.One) -> Expr:
        """Return the node."""
        named = Str(name) if isinstance(name, str) else name
        return Expr.__new__(cls, named, sp.sympify(k), exact(r, "variance"))

    @property
    def letter(self) -> str:
        """Whose coefficient it is: sigma or phi."""
        return self.args[0].name

    @property
    def sort_text(self) -> str:
        """Where a product has it: the student's first, at other variances than one."""
        return f"{self.letter == 'phi'} {self.args[2] == 1} {self.args[1]}"

    def _eval_derivative(self, s: Symbol) -> Expr:
        name, k, r = self.args
        slope = k * self / r + self.func(name, k + 2, r) / (2 * r**2)
        return slope * r.diff(s)

    def _eval_evalf(self, _prec: int) -> Expr:
        return self

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        _, k, r = self.args
        text = rf"{letter(self.letter)}_{{{printer._print(k)}}}"
        if r == 1:
            return f"{text}^{{{exp}}}" if exp else text
        text = rf"{text}^{{[{printer._print(r)}]}}"
        return rf"({text})^{{{exp}}}" if exp else text

    def _sympystr(self, printer: Any) -> str:
        _, k, r = self.args
        return f"{self.letter}_{printer._print(k)}" + ("" if r == 1 else f"({printer._print(r)})")


def coefficient(sigma: Activation, k: int, r: Expr = S.One) -> Expr:
    r"""Return sigma_k^[r] = E_r[He_k^[r] sigma] = r^k E_r[sigma^(k)].

    >>> from theory.language.activations import activation
    >>> [coefficient(activation("relu"), k) for k in range(4)]
    [sqrt(2)/(2*sqrt(pi)), 1/2, sqrt(2)/(2*sqrt(pi)), 0]
    """
    return coefficients(sigma, k, r)[k]


def coefficients(sigma: str | Expr | Activation, order: int, r: Expr = S.One) -> tuple[Expr, ...]:
    """Return (sigma_0^[r], ..., sigma_order^[r]); unevaluated `GaussianMean` nodes where no rule closes them.

    sigma is an activation, or text as `activation` takes it. Raises `ParameterError` for a negative order or a variance
    that is not positive.

    >>> coefficients("he2", 3)
    (0, 0, 2, 0)
    """
    sigma, r = activation(sigma), exact(r, "variance")
    if order < 0 or r.is_nonpositive:
        raise ParameterError(f"order {order}, variance {r}: accepted are order >= 0 and variance > 0.")
    law, expansion = Distribution.of(sigma.expr), []
    for k in range(order + 1):
        expansion.append(r**k * gaussian_mean(law, S.Zero, r))
        law = law.diff() if k < order else law
    return tuple(expansion)


def is_zero(value: Expr, digits: int = 25) -> bool:
    """Whether a constant vanishes: symbolically, or to `digits` - 5 digits beside what it is made of.

    A closed form is zero where a thousand digits leave nothing of it; unevaluated expectations count as zero where they
    cancel to within the errors of two quadratures, which are relative to the size of the functions. A value with
    parameters is zero where it is at generic points: at many, or at two where it has unevaluated expectations. One with
    functions without a formula is zero where nothing is left of it on multiplying out.

    >>> is_zero(sp.pi / 10**300), is_zero(sp.sqrt(2) * sp.sqrt(3) - sp.sqrt(6))
    (False, True)
    """
    if value == 0:
        return True
    if has_undefined(value):
        return sp.expand(value) == 0
    if value.free_symbols:
        return all(is_zero(value.subs(point), digits) for point in _generic_points(value))
    nodes = sorted(unevaluated(value), key=sp.default_sort_key)
    if not nodes:
        return _has_no_digit(value, digits)
    sizes = {node: abs(node.evalf(5)) if node.in_tails else node.size() for node in nodes}  # there digits are relative
    try:
        if not _cancels(value, sizes, digits):
            return False
    except QuadratureError as error:
        if _is_seen(value, nodes, error):
            return False
        raise
    try:
        return _cancels(value, sizes, digits + MORE)
    except QuadratureError:
        return True


def _generic_points(value: Expr) -> Sequence[Mapping[Symbol, Expr]]:
    symbols = tuple(sorted((s for s in value.free_symbols if isinstance(s, Symbol)), key=sp.default_sort_key))
    return witnesses(symbols)[: FEW if unevaluated(value) else None]


def _is_seen(value: Expr, nodes: Sequence[Expr], error: QuadratureError) -> bool:
    """Whether a multiple of one integral that did not settle to all digits is far from zero beside its last change."""
    if len(nodes) != 1 or error.best is None or value.subs(nodes[0], 0) != 0:
        return False
    reached, change = error.best
    return bool(abs(reached) > UNSETTLED * abs(change))


def _cancels(value: Expr, sizes: Mapping[Expr, Expr], digits: int) -> bool:
    """Whether expectations of given sizes cancel to within the errors of a quadrature of so many digits."""
    names = {node: sp.Dummy(real=True) for node in sizes}
    numbers = {names[node]: node.evalf(digits) for node in sizes}
    closed = value.xreplace(names)
    errors = [abs(closed.diff(name).evalf(15, subs=numbers)) * sizes[node] for node, name in names.items()]
    kept = closed.evalf(digits, subs=numbers)
    return bool(abs(kept) <= sp.Float(10) ** (5 - digits) * sum(errors))


def _has_no_digit(value: Expr, digits: int) -> bool:
    """Whether no two precisions agree on a closed form; one with decimals in it vanishes to `digits` - 5 digits."""
    if value.has(sp.Float):
        return bool(abs(value.evalf(digits)) < sp.Float(10) ** (5 - digits))
    before = S.NaN
    for precision in PRECISIONS:
        digits_kept = value.evalf(precision, maxn=2 * precision)
        if digits_kept != 0 and before is not S.NaN and abs(digits_kept - before) < abs(digits_kept) / 2:
            return False
        before = digits_kept
    return True


def information_exponent(
    student: str | Expr | Activation, teacher: str | Expr | Activation | None = None
) -> int | Symbol | None:
    r"""Return the smallest k >= 1 with sigma_k phi_k != 0, or None where there is none up to 40.

    Of functions without a formula it is the symbol `EXPONENT`.

    The population loss of a unit-norm student is L(m) = const - sum_k sigma_k phi_k m^k / k!, so this is the order of
    its first term in m (Ben Arous, Gheissari & Jagannath 2021); for student = teacher it is the exponent of the link.

    >>> [information_exponent(name) for name in ("relu", "abs", "he3")]
    [1, 2, 3]
    >>> information_exponent("he2", "erf") is None
    True
    """
    return leading_order((activation(student), activation(student if teacher is None else teacher)))


def leading_order(links: Sequence[Activation], limit: int = MAX_EXPONENT) -> int | Symbol | None:
    """Return the smallest 1 <= k <= limit with E[f He_k] != 0 for every link f, or None where there is none."""
    parities = {link.parity for link in links}
    if parities >= {"even", "odd"}:
        return None
    if any(link.undefined for link in links):
        return EXPONENT
    for k in range(1, limit + 1):
        laws = [_derivative(link, k) for link in links]
        if any(law.polynomial_degree is not None and law.regular.branches[0] == 0 for law in laws):
            return None
        if (k % 2 and "even" in parities) or (k % 2 == 0 and "odd" in parities):
            continue
        if not any(_vanishes(link, k) for link in links):
            return k
    return None


@lru_cache(maxsize=1024)
def _derivative(link: Activation, k: int) -> Distribution:
    return _derivative(link, k - 1).diff() if k else Distribution.of(link.expr)


@lru_cache(maxsize=1024)
def _vanishes(link: Activation, k: int) -> bool:
    """Whether E[f He_k] = E f^(k) is zero, of a family at generic points."""
    value = gaussian_mean(_derivative(link, k), S.Zero, S.One)
    return all(is_zero(value.subs(point)) for point in link.examples)
