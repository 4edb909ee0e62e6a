r"""Stable forms: the same function, written so that no float64 overflows where its value does not.

One list of rules for everything that evaluates: compiled code, quadrature, the mpmath oracle and the checks of an
activation. With \(\ell(c) = 1/(1 + e^{-c})\) and \(P(c) = \log(1 + e^c)\), so that \(P' = \ell\) and
\(\ell'(c) = \ell(c)\,\ell(-c)\),

    log(a e^c + b e^d + ...), a, b > 0   ->  log a + c + P(d - c + log(b/a)), further terms folded in likewise
    log(l(c))                            ->  -P(-c)
    1 / (1 + exp(c))^n                   ->  l(-c)^n
    exp(-k c) l(c)^n, k > 0              ->  l(c)^(n - k) l(-c)^k, a fractional rest of k joining the exponent of one l
    e^a / (sum of exponentials)^n        ->  divided through by the exponential that e^a contains
    exp(a) cosh(b)                       ->  (exp(a + b) + exp(a - b)) / 2, and the same for sinh
    erfi(c)                              ->  2/sqrt(pi) exp(c^2) dawson(c)

cosh and sinh count as sums of exponentials, and a sum in a numerator is distributed over such a quotient, so that
inf / inf never forms. With `tails`, differences that cancel far out are kept to full relative accuracy as well:

    1 + erf(c) -> rise(c),   1 + tanh(c) -> 2 l(2c),   1 - tanh(c)^2 -> 4 l(2c) l(-2c),   1 - l(c) -> l(-c).

Beside an exponential, in a quotient and inside a logarithm that is done always.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, reduce
from itertools import product
from typing import Any, cast

import mpmath
import sympy as sp
from sympy import Add, Expr, Mul, Pow, S

from theory.symbols import x

__all__ = ["dawson", "in_mpmath", "logistic", "rise", "softplus", "stable"]

LARGEST_POWER = 64
MAX_SPREAD = 64  # terms into which a numerator may be distributed


def _logistic(z: Any) -> Any:
    decay = mpmath.exp(-z if mpmath.re(z) >= 0 else z)
    return (1 if mpmath.re(z) >= 0 else decay) / (1 + decay)


def _softplus(z: Any) -> Any:
    return z + mpmath.log1p(mpmath.exp(-z)) if mpmath.re(z) > 0 else mpmath.log1p(mpmath.exp(z))


def _dawson(z: Any) -> Any:
    return mpmath.sqrt(mpmath.pi) / 2 * mpmath.exp(-z * z) * mpmath.erfi(z)


MPMATH: dict[str, Callable[[Any], Any]] = {
    "logistic": _logistic,
    "softplus": _softplus,
    "dawson": _dawson,
    "rise": lambda z: mpmath.erfc(-z),
}
"""The functions below for mpmath, by the names that `lambdify` prints."""


@lru_cache(maxsize=1024)
def in_mpmath(expr: Expr) -> Callable[[Any], Any]:
    """Return an expression in x, in its stable form, as a function of mpmath numbers.

    >>> from theory.symbols import x
    >>> mpmath.nstr(in_mpmath(1 - sp.tanh(x))(mpmath.mpf(100)), 5)
    '2.7678e-87'
    """
    return sp.lambdify(x, stable(expr, tails=True), [MPMATH, "mpmath"])


class _Stable(sp.Function):
    nargs = 1

    def _eval_is_extended_real(self) -> bool | None:
        return self.args[0].is_extended_real

    def _eval_mpmath(self) -> tuple[Callable[[Any], Any], Sequence[Expr]]:
        return MPMATH[type(self).__name__], cast(Sequence[Expr], self.args)


class dawson(_Stable):
    """Dawson's integral D(x) = sqrt(pi)/2 exp(-x^2) erfi(x), with D' = 1 - 2 x D.

    >>> dawson(S.One).evalf(10)
    0.5380795069
    """

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return 1 - 2 x D(x)."""
        return 1 - 2 * cast(Expr, self.args[0]) * self


class logistic(_Stable):
    """l(x) = 1 / (1 + exp(-x)), with l' = l(x) l(-x).

    >>> logistic(S(-1000)).evalf(5)
    5.0760e-435
    """

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return l(x) l(-x)."""
        return cast(Expr, self * logistic(-cast(Expr, self.args[0])))


class softplus(_Stable):
    """P(x) = log(1 + exp(x)), with P' = l.

    >>> from theory.symbols import x
    >>> softplus(2 * x).diff(x), softplus(S(1000)).evalf(10)
    (2*logistic(2*x), 1000.000000)
    """

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return l(x)."""
        return cast(Expr, logistic(self.args[0]))


class rise(_Stable):
    """1 + erf(x) = erfc(-x), which SymPy would write as a difference; its derivative is 2/sqrt(pi) exp(-x^2).

    >>> rise(S(-30)).evalf(5)
    2.5647e-393
    """

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return 2/sqrt(pi) exp(-x^2)."""
        return 2 / sp.sqrt(sp.pi) * sp.exp(-(cast(Expr, self.args[0]) ** 2))


def _l(c: Expr) -> Expr:
    return cast(Expr, logistic(c))


def _p(c: Expr) -> Expr:
    return cast(Expr, softplus(c))


# --- sums of exponentials ---------------------------------------------------------------------------------------

_Exponentials = tuple[tuple[Expr, Expr], ...]  # (coefficient, exponent) pairs


def _is_wave(f: sp.Basic) -> bool:
    return isinstance(f, sp.exp | sp.cosh | sp.sinh)


def _exponentials(f: Expr) -> _Exponentials | None:
    """Return f as sum of coefficient * exp(exponent), hyperbolic functions resolved; None where it has too many."""
    if isinstance(f, Add):
        parts = [_exponentials(cast(Expr, g)) for g in f.args]
        return None if None in parts else _gather([pair for part in parts if part is not None for pair in part])
    if isinstance(f, Mul | Pow):
        factors = f.args if isinstance(f, Mul) else [f.base] * int(f.exp) if _is_small_power(f) else [f]
        if factors == [f]:
            return ((f, S.Zero),)
        parts = [_exponentials(cast(Expr, g)) for g in factors]
        if None in parts or sp.prod(len(part or ()) for part in parts) > MAX_SPREAD:
            return None
        chosen = product(*(part for part in parts if part is not None))
        return _gather([(Mul(*[c for c, _ in pairs]), Add(*[a for _, a in pairs])) for pairs in chosen])
    if not _is_wave(f):
        return ((f, S.Zero),)
    a = cast(Expr, f.args[0])
    if isinstance(f, sp.exp):
        return ((S.One, a),)
    return ((S.Half, a), (S.Half if isinstance(f, sp.cosh) else -S.Half, -a))


def _is_small_power(f: Expr) -> bool:
    return isinstance(f, Pow) and bool(f.exp.is_Integer and 0 < f.exp <= 8) and f.base.has(sp.exp, sp.cosh, sp.sinh)


def _gather(pairs: Sequence[tuple[Expr, Expr]]) -> _Exponentials:
    sums: dict[Expr, Expr] = {}
    for coefficient, exponent in pairs:
        key = sp.expand(exponent)
        sums[key] = sums.get(key, S.Zero) + coefficient
    return tuple((c, a) for a, c in sums.items() if c != 0)


def _is_sum_of_exponentials(f: Expr) -> bool:
    return isinstance(f, sp.cosh | sp.sinh) or (
        isinstance(f, Add) and any(_is_wave(factor) for term in f.args for factor in Mul.make_args(term))
    )


def _positive_sum(f: Expr) -> _Exponentials | None:
    """Return f as exponentials with positive numbers for coefficients, a constant first."""
    pairs = _exponentials(f) if _is_sum_of_exponentials(f) else None
    if pairs is None or not all(c.is_number and c.is_positive for c, _ in pairs):
        return None
    return tuple(sorted(pairs, key=lambda pair: (pair[1].is_number is not True, sp.default_sort_key(pair[1]))))


def _log_sum(pairs: _Exponentials) -> Expr:
    """Return log(sum c e^a), c > 0, from the first pair on."""

    def fold(total: Expr, pair: tuple[Expr, Expr]) -> Expr:
        return total + _p(sp.log(pair[0]) + pair[1] - total)

    return reduce(fold, pairs[1:], sp.log(pairs[0][0]) + pairs[0][1])


# --- rules ------------------------------------------------------------------------------------------------------


def _logarithm(node: Expr) -> Expr:
    """log of a product of positive sums of exponentials, logistic functions and positive numbers."""
    if not isinstance(node, sp.log):
        return node
    halves: list[Expr] = []
    inside = _complement(cast(Expr, node.args[0]))
    for factor in Mul.make_args(inside):
        base, power = cast(Expr, factor).as_base_exp()
        pairs = _positive_sum(base)
        if pairs is not None:
            halves.append(power * _log_sum(pairs))
        elif isinstance(base, logistic):
            halves.append(-power * _p(-cast(Expr, base.args[0])))
        elif base.is_number and base.is_positive:
            halves.append(power * sp.log(base))
        else:
            return cast(Expr, sp.log(inside))
    return Add(*halves)


def _one_plus_exp(node: Expr) -> Expr | None:
    """Return c if the node is 1 + exp(c)."""
    if isinstance(node, Add) and len(node.args) == 2:
        one, other = sorted(node.args, key=lambda term: term is not S.One)
        if one is S.One and isinstance(other, sp.exp):
            return cast(Expr, other.args[0])
    return None


def _logistic_power(node: Expr) -> Expr:
    """(1 + exp(c))^(-n) -> logistic(-c)^n, n a positive integer."""
    if isinstance(node, Pow) and node.exp.is_Integer and node.exp.is_negative:
        c = _one_plus_exp(node.base)
        if c is not None:
            return _l(-c) ** (-node.exp)
    return node


def _quotient(node: Expr) -> Expr:
    """Products of exponentials with logistic functions and reciprocals of sums of exponentials."""
    if not isinstance(node, Mul):
        return node
    factors = [cast(Expr, f) for f in node.args]
    under = [f for f in factors if _is_denominator(f)]
    waves = [f for f in factors if f not in under and _has_waves(f)]
    if not under or not waves:
        return node
    if len(waves) == 1 and isinstance(waves[0], sp.exp):
        pairs: _Exponentials | None = ((S.One, cast(Expr, waves[0].args[0])),)
    else:
        pairs = _exponentials(Mul(*waves))
    if pairs is None:
        return node
    rest = [f for f in factors if f not in under and f not in waves]
    return _opposites(Add(*[Mul(*rest, c, _divide(a, under)) for c, a in pairs]))


def _magnified(node: Expr) -> Expr:
    """Complements that an exponential or a quotient magnifies: exp(x) (1 - tanh(x)^2), (1 - tanh(x)^2)/(1 + tanh x)."""
    if not isinstance(node, Mul):
        return node
    factors = [cast(Expr, f).as_base_exp() for f in node.args]
    complements = [_complement(base) for base, _ in factors]
    changed = [now != base and n.is_negative for now, (base, n) in zip(complements, factors, strict=True)]
    if not (any(changed) or any(map(_is_wave, node.args))):
        return node
    grown = Mul(*[now**n for now, (_, n) in zip(complements, factors, strict=True)])
    return node if grown == node else _quotient(grown)


def _is_denominator(f: Expr) -> bool:
    base, n = f.as_base_exp()
    if not (n.is_Rational and abs(n) <= LARGEST_POWER):
        return False
    if isinstance(base, logistic):
        return bool(n.is_Integer and n.is_positive)
    return bool(n.is_negative and (n.is_Integer or _positive_sum(base)) and _is_sum_of_exponentials(base))


def _has_waves(f: Expr) -> bool:
    return _is_wave(f) or _is_sum_of_exponentials(f) or (_is_small_power(f) and _has_waves(f.as_base_exp()[0]))


def _divide(a: Expr, under: Sequence[Expr]) -> Expr:
    """Return e^a times the given logistic functions and reciprocals."""
    factors: list[Expr] = []
    for factor in under:
        part, a = _by_logistic(a, factor) if isinstance(factor.as_base_exp()[0], logistic) else _by_sum(a, factor)
        factors.append(part)
    return Mul(*factors, sp.exp(a))


def _by_logistic(a: Expr, factor: Expr) -> tuple[Expr, Expr]:
    """Return (part, rest) with e^a l(c)^n = part e^rest: what a = -k c + const, k > 0, has in common with l(c)^n."""
    base, n = factor.as_base_exp()
    c = cast(Expr, base.args[0])
    k = _ratio(-a, c)
    if k is None or not k.is_positive:
        return factor, a
    whole = min(sp.floor(k), n)
    part, rest = base ** (n - whole) * _l(-c) ** whole, sp.expand(a + whole * c)
    if whole in (k, n):
        return part, rest
    return part / base * sp.exp(rest - _p(-c)), S.Zero


def _without_constant(f: Expr) -> Expr:
    symbols = f.free_symbols
    return cast(Expr, sp.expand(f).as_independent(*symbols, as_Add=True)[1]) if symbols else S.Zero


def _ratio(a: Expr, c: Expr) -> Expr | None:
    """Return the number k with a = k c up to a constant, or None."""
    top, bottom = _without_constant(a), _without_constant(c)
    if top == 0 or bottom == 0:
        return None
    quotient = cast(Expr, top / bottom)
    if not quotient.is_number and top.is_polynomial() and bottom.is_polynomial():
        quotient = sp.cancel(quotient)
    return quotient if quotient.is_number and quotient.is_extended_real else None


def _by_sum(a: Expr, factor: Expr) -> tuple[Expr, Expr]:
    """Return (part, rest) with e^a D^(-n) = part e^rest, D a sum of exponentials.

    Two positive terms make D a logistic function; otherwise D is divided through by the exponential that a contains,
    or, if D is positive and a contains a fraction of it, e^a D^(-n) is one exponential.
    """
    base, power = factor.as_base_exp()
    n, pairs, positive = -power, _exponentials(base), _positive_sum(base)
    if pairs is None or len(pairs) < 2:
        return factor, a
    if positive is not None and len(positive) == 2 and n.is_Integer:
        (c, low), (d, high) = positive
        part, rest = _by_logistic(sp.expand(a - n * low), _l(sp.expand(low - high + sp.log(c / d))) ** n)
        return c**power * part, rest
    ratios = [(k, b) for _, b in pairs if (k := _ratio(a, b)) is not None]
    k, pivot = min((pair for pair in ratios if pair[0] >= 1), key=lambda pair: pair[0], default=(S.Zero, S.Zero))
    if k >= 1 and n.is_Integer:
        whole = min(sp.floor(k), n)
        divided = Add(*[c * sp.exp(sp.expand(b - pivot)) for c, b in pairs])
        return base ** (whole - n) * divided ** (-whole), sp.expand(a - whole * pivot)
    if positive is not None and ratios:
        return sp.exp(a - n * _log_sum(positive)), S.Zero
    return factor, a


def _opposites(node: Expr) -> Expr:
    """c l(a) - c l(-a) -> c tanh(a/2), which loses nothing near a = 0."""
    if not isinstance(node, Add):
        return node
    terms = list(node.args)
    for first in node.args:
        gates = [f for f in Mul.make_args(first) if isinstance(f, logistic)]
        if len(gates) == 1 and first in terms:
            a = cast(Expr, gates[0].args[0])
            other = -cast(Expr, first).xreplace({gates[0]: _l(-a)})
            if other in terms:
                terms = [t for t in terms if t not in (first, other)]
                terms.append(cast(Expr, first).xreplace({gates[0]: sp.tanh(a / 2)}))
    return Add(*terms)


def _imaginary_error(node: Expr) -> Expr:
    """erfi(x) -> 2/sqrt(pi) exp(x^2) dawson(x), whose exponential then joins the one that tames it."""
    if not isinstance(node, sp.erfi):
        return node
    z = cast(Expr, node.args[0])
    return 2 / sp.sqrt(sp.pi) * sp.exp(z**2) * cast(Expr, dawson(z))


def _exp_times_hyperbolic(node: Expr) -> Expr:
    """exp(a) cosh(b) -> (exp(a + b) + exp(a - b)) / 2, since either factor alone may overflow; the same for sinh."""
    if not isinstance(node, Mul):
        return node
    decay = next((f for f in node.args if isinstance(f, sp.exp)), None)
    wave = next((f for f in node.args if isinstance(f, sp.cosh | sp.sinh)), None)
    if decay is None or wave is None:
        return node
    a, b = cast(Expr, decay.args[0]), cast(Expr, wave.args[0])
    sign = 1 if isinstance(wave, sp.cosh) else -1
    rest = [f for f in node.args if f is not decay and f is not wave]
    return Mul(*rest, (sp.exp(a + b) + sign * sp.exp(a - b)) / 2)


_COMPLEMENTS: tuple[tuple[type, int, Callable[[Expr], Expr] | None, Callable[[Expr], Expr]], ...] = (
    (sp.erf, 1, lambda c: cast(Expr, rise(c)), lambda c: cast(Expr, sp.erfc(c))),
    (sp.tanh, 1, lambda c: 2 * _l(2 * c), lambda c: 2 * _l(-2 * c)),
    (sp.tanh, 2, None, lambda c: 4 * _l(2 * c) * _l(-2 * c)),
    (logistic, 1, None, lambda c: _l(-c)),
)
"""(f, n, 1 + f(c)^n, 1 - f(c)^n)"""


def _complement(node: Expr) -> Expr:
    """Combine w f(c)^n with +-w in the same sum."""
    if not isinstance(node, Add):
        return node
    terms = [cast(Expr, t) for t in node.args]
    for term in node.args:
        for factor in Mul.make_args(term):
            base, power = cast(Expr, factor).as_base_exp()
            rule = next((row for row in _COMPLEMENTS if isinstance(base, row[0]) and power == row[1]), None)
            weight = cast(Expr, term) / cast(Expr, factor)
            if rule is None or term not in terms:
                continue
            for partner, share in ((weight, rule[2]), (-weight, rule[3])):
                if share is not None and partner in terms:
                    terms = [t for t in terms if t not in (term, partner)]
                    terms.append(partner * share(cast(Expr, base.args[0])))
                    break
    return Add(*terms)


_RULES = (_logarithm, _logistic_power, _quotient, _magnified, _imaginary_error, _exp_times_hyperbolic)
_TAIL_RULES = (_complement, *_RULES)
_TRIGGERS = (sp.exp, sp.log, sp.erfi, sp.cosh, sp.sinh, sp.tanh, sp.erf)


@lru_cache(maxsize=4096)
def stable(expr: Expr, tails: bool = False) -> Expr:
    """Return `expr` rewritten by the rules of this module, every rule once at every node, leaves first.

    `tails` keeps what cancels far from the origin, at the price of slower functions in compiled code.

    >>> from theory.symbols import x
    >>> stable(sp.log(1 + sp.exp(100 * x))), stable(sp.exp(x) / (1 + sp.exp(x)))
    (softplus(100*x), logistic(x))
    >>> stable(sp.log(sp.cosh(x))), stable(sp.sinh(x) / sp.cosh(x))
    (-x + softplus(2*x) - log(2), tanh(x))
    >>> stable(1 + sp.erf(x), tails=True)
    rise(x)
    """
    rules = _TAIL_RULES if tails else _RULES
    if not expr.has(*_TRIGGERS):
        return expr
    node = expr.func(*[stable(cast(Expr, arg), tails) if isinstance(arg, sp.Basic) else arg for arg in expr.args])
    return reduce(lambda current, rule: rule(current), rules, node)
