r"""Expressions as functions of balls: every result contains the true value.

A *ball* is a midpoint and a radius (FLINT's `arb`, complex `acb`). An expression is translated, in the functions of
`theory.enclosures.primitives`, into a function of balls and of the flag `analytic`, by which numerical integration asks
for a ball only where the function is analytic on all of its argument, and for a ball that is not finite elsewhere.

    L(a) = 1/(1 + e^-a)  for Re a > 0,    e^a/(1 + e^a)  for Re a < 0,    (1 + tanh(a/2))/2  elsewhere
    P(a) = a + log(1 + e^-a)  for Re a > 0,    log(1 + e^a)  elsewhere
    asinh(a) = log(a + sqrt(1 + a^2)),    odd for Re a < 0

and a monotone function of a wide real ball is the union of its values at the ends. Poles give balls that are not finite
by themselves; cuts do by the flag, those of atan and asinh in any case. Decimals are the rationals that they print, and
constants are made again at every precision.

FLINT's precision is one number of the whole process. It is set by `precision` alone, which holds a lock for as long:
threads take turns, and what is to run side by side runs in processes. Balls themselves do not pickle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import lru_cache, reduce
from operator import add, mul
from threading import RLock
from typing import Any, cast

import sympy as sp
from flint import acb, acb_poly, arb, ctx, fmpq, fmpz_poly
from sympy import Expr, Symbol

from theory.enclosures.primitives import Csch, Erfc, L, P, Sech, Th, W, prepared
from theory.errors import NotCertifiedError

__all__ = ["BallFunction", "constant", "function", "precision", "real_number", "real_part", "span"]

BallFunction = Callable[..., acb]
"""f(z, ..., analytic=False)."""

WIDE = 2.0**-10  # radius from which a monotone function is taken at both ends
THIN = 2.0**-30  # radius below which a ball is a number
NOWHERE = acb(arb("nan"), arb("nan"))
_LOCK = RLock()


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Work at a precision; one thread at a time, since FLINT's is one number of the process.

    >>> with precision(128):
    ...     constant(sp.pi)
    [3.1415926535897932384626433832795028842 +/- ...]
    """
    with _LOCK:
        before = ctx.prec
        ctx.prec = bits
        try:
            yield
        finally:
            ctx.prec = before


def real_part(z: acb) -> arb:
    """Return a number that is real, as formulas of radicals may be without their parts being so.

    Raises `NotCertifiedError` for one that is not.
    """
    if z.is_finite() and not z.imag.contains(0):
        raise NotCertifiedError("not certified: not a real number.")
    return z.real


def span(low: arb, high: arb) -> arb:
    """Return the smallest ball that contains two balls and what lies between them."""
    return low.union(high)


def real_number(value: Fraction | int) -> arb:
    """Return a rational number as a ball."""
    return arb(fmpq(value.numerator, value.denominator))


# --- functions of balls -----------------------------------------------------------------------------------------


def _is_real(z: acb) -> bool:
    return bool(z.imag.is_zero())


def _monotone(f: Callable[[acb, bool], acb]) -> Callable[[bool, acb], acb]:
    def of(analytic: bool, z: acb) -> acb:
        if _is_real(z) and z.real.rad() > WIDE:
            return acb(span(f(acb(z.real.lower()), analytic).real, f(acb(z.real.upper()), analytic).real))
        return f(z, analytic)

    return of


def _logistic(a: acb, analytic: bool) -> acb:
    if a.real > 0:
        return 1 / (1 + (-a).exp())
    if a.real < 0:
        decay = a.exp()
        return decay / (1 + decay)
    return (1 + (a / 2).tanh()) / 2


def _softplus(a: acb, analytic: bool) -> acb:
    if a.real > 0:
        return a + (1 + (-a).exp()).log(analytic=analytic)
    return (1 + a.exp()).log(analytic=analytic)


def _crosses(a: acb) -> bool:
    """Whether a ball may meet the cuts of atan and asinh, on the imaginary axis from i and -i outwards."""
    return a.real.contains(0) and not abs(a.imag) < 1


def _asinh(a: acb, analytic: bool) -> acb:
    if _crosses(a):
        return NOWHERE
    if a.real < 0:
        return -_asinh(-a, analytic)
    return (a + (1 + a * a).sqrt(analytic=True)).log(analytic=True)


def _atan(a: acb, analytic: bool) -> acb:
    return NOWHERE if _crosses(a) else a.atan()


def _between_cuts(real: Callable[[arb], arb], f: Callable[[acb], acb]) -> Callable[[bool, acb], acb]:
    """asin, acos and atanh: cuts on the real axis from 1 and -1 outwards, at whose ends they are real."""

    def of(analytic: bool, a: acb) -> acb:
        if _is_real(a) and not analytic:
            return acb(real(a.real))
        return NOWHERE if a.imag.contains(0) and not abs(a.real) < 1 else f(a)

    return of


def _power(analytic: bool, base: acb, exponent: acb) -> acb:
    return base.pow(exponent, analytic=analytic)


def _rational_power(power: sp.Rational) -> Callable[[bool, acb], acb]:
    if power.q == 1:
        n = int(power)
        return lambda _, a: a**n
    if power.q == 2:
        n = int(power.p) // 2
        return lambda analytic, a: a.sqrt(analytic=analytic) * a**n if n else a.sqrt(analytic=analytic)
    exponent = acb(fmpq(int(power.p), int(power.q)))
    return lambda analytic, a: a.pow(exponent, analytic=analytic)


def _sign(a: arb) -> arb:
    return arb(0) if a.is_zero() else arb(0, 1) if a.contains(0) else a.sgn()


def _on_reals(f: Callable[..., arb]) -> Callable[..., acb]:
    """Functions that are analytic nowhere for what is known here."""
    return lambda analytic, *a: NOWHERE if analytic or not all(map(_is_real, a)) else acb(f(*(z.real for z in a)))


_FUNCTIONS: dict[type, Callable[..., acb]] = {
    sp.exp: _monotone(lambda a, _: a.exp()),
    sp.log: lambda analytic, a: a.log(analytic=analytic),
    sp.sin: lambda _, a: a.sin(),
    sp.cos: lambda _, a: a.cos(),
    sp.tan: lambda _, a: a.tan(),
    sp.sinh: _monotone(lambda a, _: a.sinh()),
    sp.cosh: lambda _, a: a.cosh(),
    sp.asinh: _monotone(_asinh),
    sp.atan: _monotone(_atan),
    sp.asin: _between_cuts(arb.asin, acb.asin),
    sp.acos: _between_cuts(arb.acos, acb.acos),
    sp.atanh: _between_cuts(arb.atanh, acb.atanh),
    sp.acosh: _on_reals(arb.acosh),
    sp.erf: _monotone(lambda a, _: a.erf()),
    sp.erfi: _monotone(lambda a, _: a.erfi()),
    sp.gamma: lambda _, a: a.gamma(),
    sp.Abs: _on_reals(arb.__abs__),
    sp.sign: _on_reals(_sign),
    sp.Heaviside: _on_reals(lambda a, _: (1 + _sign(a)) / 2),
    sp.atan2: _on_reals(arb.atan2),
    sp.Max: _on_reals(lambda *a: reduce(arb.max, a)),
    sp.Min: _on_reals(lambda *a: reduce(arb.min, a)),
    L: _monotone(_logistic),
    P: _monotone(_softplus),
    Th: _monotone(lambda a, _: a.tanh()),
    Erfc: _monotone(lambda a, _: a.erfc()),
    Sech: lambda _, a: a.sech(),
    Csch: lambda _, a: a.csch(),
    W: lambda _, b, c: (-c * c / 4).hypgeom_0f1(b),
    sp.Add: lambda _, *terms: reduce(add, terms),
    sp.Mul: lambda _, *factors: reduce(mul, factors),
    sp.Pow: _power,
}

_NUMBERS: dict[Expr, Callable[[], arb]] = {
    sp.pi: arb.pi,
    sp.E: lambda: arb(1).exp(),
    sp.EulerGamma: arb.const_euler,
    sp.Catalan: arb.const_catalan,
    sp.GoldenRatio: lambda: (1 + arb(5).sqrt()) / 2,
}


def _operation(node: Expr) -> Callable[..., acb]:
    if node.func not in _FUNCTIONS:
        raise NotCertifiedError(f"not certified: {node.func.__name__} has no enclosure; it is estimated.")
    return _FUNCTIONS[node.func]


# --- constants --------------------------------------------------------------------------------------------------


def constant(expr: Expr) -> arb:
    """Return the value of a constant real expression at the working precision.

    >>> with precision(64):
    ...     constant(sp.sqrt(2) + sp.Float("0.1"))
    [1.514213562373095... +/- ...]

    Raises `NotCertifiedError` for a node that has no enclosure, or a value that is not real.
    """
    return real_part(_constant(prepared(expr), ctx.prec))


@lru_cache(maxsize=8192)
def _constant(node: Expr, bits: int) -> acb:
    if node in _NUMBERS:
        return acb(_NUMBERS[node]())
    if isinstance(node, sp.Rational):
        return acb(fmpq(int(node.p), int(node.q)))
    if isinstance(node, sp.ComplexRootOf):
        return _algebraic(node)
    if node is sp.I:
        return acb(0, 1)
    if isinstance(node, sp.Pow) and isinstance(node.exp, sp.Rational):
        return _rational_power(node.exp)(False, _constant(node.base, bits))
    if not node.args:
        raise NotCertifiedError(f"not certified: {node} is no number that can be enclosed.")
    return _operation(node)(False, *(_constant(cast(Expr, arg), bits) for arg in node.args))


def _algebraic(root: sp.ComplexRootOf) -> acb:
    """Return a root that SymPy numbers: the real ones first and increasing."""
    _, whole = root.poly.clear_denoms(convert=True)
    integral = fmpz_poly([int(c) for c in reversed(whole.all_coeffs())])
    roots = [z for z, _ in cast(Any, integral.complex_roots())]
    real = sorted((z for z in roots if _is_real(z)), key=lambda z: float(z.real))
    if root.index >= len(real):
        raise NotCertifiedError(f"not certified: {root} is not real.")
    return real[root.index]


# --- functions --------------------------------------------------------------------------------------------------


def function(expr: Expr, *variables: Symbol) -> BallFunction:
    """Return an expression as a function of balls at the working precision.

    >>> from theory.symbols import x
    >>> with precision(64):
    ...     f = function(sp.tanh(x) - sp.Rational(1, 3), x)
    ...     f(acb(2)).real, f(acb(arb(0, 100))).real
    ([0.63069424674248355... +/- ...], [+/- 1.34])
    >>> with precision(64):
    ...     function(sp.sqrt(x), x)(acb(arb(1, 2)), analytic=True)
    nan + nanj

    Raises `NotCertifiedError` for a node that has no enclosure.
    """
    return _compiled(prepared(expr), variables, ctx.prec)


@lru_cache(maxsize=4096)
def _compiled(expr: Expr, variables: tuple[Symbol, ...], bits: int) -> BallFunction:
    """Translate node by node, equal nodes once, into a list of operations on numbered values."""
    places: dict[Expr, int] = {symbol: i for i, symbol in enumerate(variables)}
    constants: list[acb] = []
    program: list[tuple[Callable[..., acb], tuple[int, ...]]] = []
    varying: dict[Expr, None] = {}

    def visit(node: Expr) -> None:
        if node in places or node in varying:
            return
        if not node.free_symbols:
            places[node] = len(variables) + len(constants)
            constants.append(_constant(node, bits))
            return
        if not node.args:
            raise NotCertifiedError(f"not certified: {node} has no value.")
        for arg in _inputs(node):
            visit(arg)
        varying[node] = None

    visit(expr)
    for node in varying:
        places[node] = len(variables) + len(constants) + len(program)
        program.append((_translated(node), tuple(places[arg] for arg in _inputs(node))))
    last = places[expr]

    def run(*inputs: acb, analytic: bool = False) -> acb:
        values = [*inputs, *constants]
        for operation, sources in program:
            values.append(operation(analytic, *[values[i] for i in sources]))
        return values[last]

    return run


def _inputs(node: Expr) -> Sequence[Expr]:
    if _is_expanded(node):
        return [_symbol(node)]
    if isinstance(node, sp.Pow) and isinstance(node.exp, sp.Rational):
        return [node.base]
    return cast(Sequence[Expr], node.args)


def _translated(node: Expr) -> Callable[..., acb]:
    if _is_expanded(node):
        coefficients = [_constant(cast(Expr, c), ctx.prec) for c in reversed(sp.Poly(node, _symbol(node)).all_coeffs())]
        return _polynomial(cast(Any, acb_poly(coefficients)))
    if isinstance(node, sp.Pow) and isinstance(node.exp, sp.Rational):
        return _rational_power(node.exp)
    return _operation(node)


def _polynomial(p: Any) -> Callable[..., acb]:
    """Return p as a function; on a wide ball as one of the distance from its middle, where its powers do not cancel."""

    def run(_: bool, z: acb) -> acb:
        value = p(z)
        if z.rad() < THIN:
            return value
        middle = z.mid()
        centred = p(acb_poly([middle, 1]))(z - middle)
        return centred if centred.rad() < value.rad() else value

    return run


def _symbol(node: Expr) -> Symbol:
    return next(iter(cast(set[Symbol], node.free_symbols)))


def _is_expanded(node: Expr) -> bool:
    """Whether a node is a polynomial in one symbol that is written as a sum of its powers."""
    if not isinstance(node, sp.Add) or len(node.free_symbols) != 1:
        return False
    symbol = _symbol(node)
    powers = [term.as_independent(symbol, as_Add=False)[1] for term in node.args if term.has(symbol)]
    return len(powers) > 1 and all(
        (base == symbol and n.is_Integer and n.is_positive) for base, n in (power.as_base_exp() for power in powers)
    )
