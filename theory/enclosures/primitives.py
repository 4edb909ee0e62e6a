r"""Functions that SymPy writes as quotients, as functions of their own whose derivatives stay products.

    L(c) = 1/(1 + exp(-c))       L' = L(c) L(-c)
    P(c) = log(1 + exp(c))       P' = L(c)
    Th(c) = tanh(c)              Th' = Sech(c)^2
    Sech(c) = 1/cosh(c)          Sech' = -Sech(c) Th(c)
    Csch(c) = 1/sinh(c)          Csch' = -Csch(c)/Th(c)
    Erfc(c) = 1 - erf(c)         Erfc' = -2/sqrt(pi) exp(-c^2)
    W(b, c) = 0F1(; b; -c^2/4)   W'(b, c) = -c/(2b) W(b + 1, c),   sin(c)/c = W(3/2, c)

No ball of them is wide because numerator and denominator are: exp(-c)/(1 + exp(-c)) of a ball with inf/inf, or
1 - tanh(c)^2 of one that has lost all digits, never forms, neither in the function nor in its derivatives. SymPy's own
erfc(-c) would be written 2 - erfc(c).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, reduce
from typing import cast

import sympy as sp
from sympy import Add, Expr, Mul, Pow

__all__ = ["Csch", "Erfc", "L", "P", "Sech", "Th", "W", "decimals", "plain", "prepared"]


class _Primitive(sp.Function):
    nargs = 1

    def _eval_is_extended_real(self) -> bool | None:
        return self.args[0].is_extended_real

    @property
    def argument(self) -> Expr:
        """What the function is taken of."""
        return cast(Expr, self.args[0])


class L(_Primitive):
    """The logistic function 1/(1 + exp(-c))."""

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return L(c) L(-c)."""
        return cast(Expr, self * L(-self.argument))


class P(_Primitive):
    """Softplus, log(1 + exp(c))."""

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return L(c)."""
        return cast(Expr, L(self.argument))


class Th(_Primitive):
    """The hyperbolic tangent."""

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return Sech(c)^2."""
        return cast(Expr, Sech(self.argument) ** 2)


class Sech(_Primitive):
    """1/cosh(c)."""

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return -Sech(c) Th(c)."""
        return cast(Expr, -self * Th(self.argument))


class Csch(_Primitive):
    """1/sinh(c)."""

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return -Csch(c)/Th(c)."""
        return cast(Expr, -self / Th(self.argument))


class Erfc(_Primitive):
    """1 - erf(c), also for negative c."""

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return -2/sqrt(pi) exp(-c^2)."""
        return -2 / sp.sqrt(sp.pi) * sp.exp(-(self.argument**2))


class W(sp.Function):
    """0F1(; b; -c^2/4), of which sin(c)/c = W(3/2, c) and its derivatives are cases without a hole at 0."""

    nargs = 2

    def _eval_is_extended_real(self) -> bool | None:
        return self.args[1].is_extended_real

    def fdiff(self, argindex: int = 2) -> Expr:
        """Return -c/(2b) W(b + 1, c); by b there is nothing to differentiate."""
        b, c = cast(tuple[Expr, Expr], self.args)
        if argindex != 2:
            raise sp.core.function.ArgumentIndexError(self, argindex)
        return -c / (2 * b) * cast(Expr, W(b + 1, c))


def decimals(expr: Expr) -> Expr:
    """Return an expression whose floats are the rationals that they print.

    >>> decimals(sp.Float("0.1") + sp.pi)
    1/10 + pi
    """
    return expr.xreplace({number: sp.Rational(str(number)) for number in expr.atoms(sp.Float)})


def _renamed(node: Expr) -> Expr:
    """SymPy's own functions."""
    match node:
        case sp.tanh():
            return cast(Expr, Th(*node.args))
        case sp.coth():
            return 1 / cast(Expr, Th(*node.args))
        case sp.sech():
            return cast(Expr, Sech(*node.args))
        case sp.csch():
            return cast(Expr, Csch(*node.args))
        case sp.erfc():
            return cast(Expr, Erfc(*node.args))
        case sp.sinc():
            return cast(Expr, W(sp.Rational(3, 2), *node.args))
    return node


def _one_plus_exp(node: Expr) -> tuple[Expr, Expr] | None:
    """Return (a, c) with node = a (1 + exp(c)), a a positive number."""
    if not isinstance(node, Add) or len(node.args) != 2:
        return None
    number, wave = node.as_independent(sp.exp, as_Add=True)
    factor, power = wave.as_independent(sp.exp, as_Add=False)
    if not (number.is_number and number.is_positive and factor.is_number and factor.is_positive):
        return None
    return (number, power.args[0] + sp.log(factor / number)) if isinstance(power, sp.exp) else None


def _reciprocal(node: Expr) -> Expr:
    """Negative powers of 1 + exp(c), of cosh(c) and of sinh(c)."""
    if not (isinstance(node, Pow) and node.exp.is_number and node.exp.is_negative):
        return node
    if isinstance(node.base, sp.cosh | sp.sinh):
        kind = Sech if isinstance(node.base, sp.cosh) else Csch
        return cast(Expr, kind(*node.base.args) ** -node.exp)
    split = _one_plus_exp(node.base)
    return node if split is None else split[0] ** node.exp * cast(Expr, L(-split[1])) ** -node.exp


def _logarithm(node: Expr) -> Expr:
    split = _one_plus_exp(cast(Expr, node.args[0])) if isinstance(node, sp.log) else None
    return node if split is None else sp.log(split[0]) + cast(Expr, P(split[1]))


def _product(node: Expr) -> Expr:
    """exp(-c) L(c)^n = L(c)^(n - 1) L(-c), and (sin(c)/c)^n = W(3/2, c)^n."""
    if not isinstance(node, Mul):
        return node
    for factor in node.args:
        base, n = cast(Expr, factor).as_base_exp()
        if isinstance(base, L) and n.is_number and n >= 1:
            for other in node.args:
                if isinstance(other, sp.exp) and sp.expand(other.args[0] + base.argument) == 0:
                    rest = [arg for arg in node.args if arg not in (other, factor)]  # a quotient may bring it back
                    return _product(Mul(*rest, base ** (n - 1), L(-base.argument)))
        if isinstance(base, sp.sin) and n.is_Integer and n.is_positive:
            c, rest = cast(Expr, base.args[0]), node / cast(Expr, factor)
            if rest.as_powers_dict()[c.as_coeff_Mul()[1]] <= -n:
                return rest * c**n * cast(Expr, W(sp.Rational(3, 2), c)) ** n
    return node


_COMPLEMENTS: tuple[tuple[type, int, type, int, int], ...] = (
    (Th, 1, L, 2, 2),
    (Th, -1, L, -2, -2),
    (sp.erf, 1, Erfc, 1, -1),
    (sp.erf, -1, Erfc, -1, 1),
    (L, -1, L, -1, -1),
    (Erfc, -2, Erfc, -1, -1),
)
"""f, p, g, w, s: f(c) + p = w g(s c)."""


def _complement(node: Expr) -> Expr:
    """Sums in which far out nothing would be left of a function and a constant."""
    if not isinstance(node, Add):
        return node
    for term in node.args:
        for factor in Mul.make_args(term):
            for f, p, g, w, s in _COMPLEMENTS:
                partner = p * cast(Expr, term) / cast(Expr, factor)
                if isinstance(factor, f) and partner in node.args:
                    whole = w * partner / p * cast(Expr, g(s * cast(Expr, factor.args[0])))
                    return _complement(cast(Expr, node - term - partner + whole))
    return node


_RULES = (_renamed, _reciprocal, _logarithm, _product, _complement)


@lru_cache(maxsize=8192)
def prepared(expr: Expr) -> Expr:
    """Return an expression in the functions of this module, before it is differentiated or put into balls.

    >>> from theory.symbols import x
    >>> prepared(x / (1 + sp.exp(-x))), prepared(sp.log(2 + 2 * sp.exp(3 * x)))
    (x*L(x), P(3*x) + log(2))
    >>> prepared(sp.tanh(x)).diff(x), prepared(x * (1 + sp.erf(x)) / 2), prepared(sp.sin(x) / x)
    (Sech(x)**2, x*Erfc(-x)/2, W(3/2, x))
    >>> prepared(sp.Float("0.1") + sp.exp(x) / (1 + sp.exp(x)))
    L(x) + 1/10
    """
    if expr.has(sp.Float):
        return prepared(decimals(expr))
    if isinstance(expr, sp.ComplexRootOf) or not expr.args:
        return expr
    node = expr.func(*[prepared(cast(Expr, arg)) for arg in expr.args])
    return reduce(lambda current, rule: rule(current), _RULES, node)


_PLAIN: dict[type, Callable[[Expr], Expr]] = {
    L: lambda c: 1 / (1 + sp.exp(-c)),
    P: lambda c: sp.log(1 + sp.exp(c)),
    Th: lambda c: cast(Expr, sp.tanh(c)),
    Sech: lambda c: cast(Expr, sp.sech(c)),
    Csch: lambda c: cast(Expr, sp.csch(c)),
    Erfc: lambda c: cast(Expr, sp.erfc(c)),
}


def plain(expr: Expr) -> Expr:
    """Return an expression in SymPy's own functions again, which SymPy can simplify.

    >>> plain(Th(sp.S.Zero) + P(sp.S.Zero))
    log(2)
    """
    return reduce(lambda current, kind: current.replace(kind, _PLAIN[kind]), _PLAIN, expr)
