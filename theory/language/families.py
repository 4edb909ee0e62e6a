r"""Where in its domain a family of functions has one formula: chambers.

Switches are resolved at a point of the domain. The signs that were decided there (`theory.calculus.signs`) bound the
*chamber* of the point, in which the same formula holds; together with what keeps E sigma(Z)^2 finite they are the
conditions that are printed beside whatever is derived. On the walls between chambers, and outside, a function is
derived anew, for the values themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import sympy as sp
from sympy import Expr, S, Symbol

from theory.calculus.pieces import pieces
from theory.calculus.positive import NotPositiveError, positive
from theory.calculus.signs import OpenSignError, at, is_family, sign_at
from theory.errors import NotIntegrableError, NotRealError
from theory.language.parameters import Parameter, points
from theory.symbols import x

__all__ = [
    "Chamber",
    "Point",
    "chamber",
    "conditions_in_words",
    "growth",
    "holds",
    "integrable",
    "needed",
    "shared_point",
    "zeros",
]

Point = Mapping[Symbol, Expr]
SHOWN = 10  # digits of an algebraic number that has no radicals
POINTS = 60  # generic points of the domain among which one is sought


@dataclass(frozen=True)
class Chamber:
    """A formula, and where it holds: `conditions` are positive there; `point` is one point of it."""

    expr: Expr
    conditions: tuple[Expr, ...]
    point: tuple[tuple[Symbol, Expr], ...]


def holds(conditions: Iterable[Expr], point: Point) -> bool:
    """Whether conditions hold at a point; on a wall they do not.

    >>> b, c = sp.symbols("b c", real=True)
    >>> holds([c - b], {b: 1, c: 2}), holds([c - b], {b: 1, c: 1})
    (True, False)
    """
    return all(sign_at(condition, point) == 1 for condition in conditions)


@dataclass(frozen=True)
class Needed:
    """What has to be positive around a point for f to be real and square-integrable, and whether that is all."""

    conditions: tuple[Expr, ...]
    is_all: bool


def needed(expr: Expr, point: Point) -> Needed | None:
    """Return what has to be positive for f to be real on the whole line and E f(Z)^2 finite, around a point.

    None where f is not at the point: that is proved. What is undecided is left out.

    >>> b = sp.Symbol("b", real=True)
    >>> needed(sp.sqrt(x**2 + b), {b: sp.S(2)}).conditions, needed(sp.sqrt(x**2 + b), {b: -sp.S(2)})
    ((b,), None)
    >>> needed(sp.log(b + sp.sin(x)), {b: sp.S(2)}).conditions, needed(b * sp.exp(-x), {b: sp.S(2)}).conditions
    ((b - 1,), ())
    """
    conditions = dict.fromkeys(integrable(expr))
    if not holds(conditions, point):
        return None
    is_all = True
    for demand in _demands(expr):
        result = _first(demand, point)
        if result is None:
            return None
        is_all &= result.is_all
        conditions |= dict.fromkeys(result.conditions)
    return Needed(tuple(conditions), is_all)


_Demand = tuple[tuple[tuple[Expr, bool], ...], ...]
"""Alternatives, each of functions that have to be positive on the whole line, or not negative (False) together."""


def _demands(expr: Expr) -> Iterator[_Demand]:
    """Yield what functions of x with parameters have to fulfil for an expression to be real and finite."""
    for node in expr.atoms(sp.Pow, sp.log, sp.asin, sp.acos, sp.acosh, sp.atanh):
        if not is_family(node):
            continue
        inner = node.args[0]
        match node:
            case sp.log():
                yield (((inner, True),),)
            case sp.asin() | sp.acos():
                yield (((1 - inner, False), (1 + inner, False)),)
            case sp.atanh():
                yield (((1 - inner, True), (1 + inner, True)),)
            case sp.acosh():
                yield (((inner - 1, False),),)
            case sp.Pow(exp=exponent) if exponent.is_Integer:
                if exponent < 0 and is_family(inner) and inner.has(x):
                    yield (((inner, True),), ((-inner, True),))
            case sp.Pow(exp=exponent) if exponent.is_Rational:
                yield (((inner, bool(exponent < 0)),),)
            case _:
                yield ((inner, True),), ((inner, False), (node.exp, True))


def _first(demand: _Demand, point: Point) -> Needed | None:
    """Return what the first alternative needs that is fulfilled at the point; None where none is."""
    is_open = False
    for alternative in demand:
        try:
            result = [positive(f, point, strictly=strictly) for f, strictly in alternative]
            return Needed(tuple(condition for conditions in result for condition in conditions), True)
        except NotPositiveError:
            continue
        except OpenSignError:
            is_open = True
    return Needed((), False) if is_open or len(demand) > 1 else None


def integrable(expr: Expr) -> tuple[Expr, ...]:
    """Return what has to be positive for E f(Z)^2 to be finite: 1 - 4 c for every exp(c x^2 + ...) with parameters.

    >>> c = sp.Symbol("c", real=True)
    >>> integrable(sp.exp(c * x**2) + x), integrable(sp.cosh(c * x**2)), integrable(1 / (1 + sp.exp(c * x**2)))
    ((1 - 4*c,), (1 - 4*c, 4*c + 1), ())
    """
    bounds = [(1 - 4 * rate if degree == 2 else -rate) for degree, rate in growth(expr) if degree >= 2]
    return tuple(dict.fromkeys(bound for bound in bounds if bound.free_symbols and not bound.is_positive))


def growth(expr: Expr) -> tuple[tuple[int, Expr], ...]:
    """Return (n, c) of every part of f that goes like exp(c x^n), (0, 0) of what grows no faster than a power.

    >>> c = sp.Symbol("c", real=True)
    >>> growth(sp.exp(x**2 / 8) * sp.cosh(c * x**2)), growth(sp.tanh(sp.exp(c * x**2)))
    (((2, c + 1/8), (2, 1/8 - c)), ((0, 0),))
    """
    match expr:
        case sp.Add() | sp.Max() | sp.Min() | sp.Abs():
            parts = (part for arg in expr.args for part in growth(arg))
        case sp.Mul():
            parts = map(_fastest, product(*map(growth, expr.args)))
        case sp.Piecewise():
            parts = (part for branch, _ in expr.args for part in growth(branch))
        case sp.Pow() if expr.exp.is_positive:
            parts = ((n, expr.exp * c) for n, c in growth(expr.base))
        case sp.exp() | sp.sinh() | sp.cosh():
            exponent = sp.expand(expr.args[0])
            n = sp.degree(exponent, x) if exponent.is_polynomial(x) and exponent.has(x) else 0
            c = exponent.coeff(x, n) if n else S.Zero
            parts = ((n, side * c) for side in ((1,) if isinstance(expr, sp.exp) else (1, -1)))
        case _:
            parts = ((0, S.Zero),)
    return tuple(dict.fromkeys(parts))


def _fastest(factors: tuple[tuple[int, Expr], ...]) -> tuple[int, Expr]:
    n = max(degree for degree, _ in factors)
    return n, sp.Add(*(c for degree, c in factors if degree == n))


def shared_point(exprs: Iterable[Expr], domain: tuple[Parameter, ...]) -> Point:
    """Return a generic point of the domain at which every one of these functions is real and square-integrable.

    One where that is proved, if there is one. Raises `NotIntegrableError` where the contrary is proved everywhere.
    """
    exprs, undecided = list(exprs), None
    for point in points(domain, POINTS):
        result = [needed(expr, point) for expr in exprs]
        if all(one is not None and one.is_all for one in result):
            return point
        if undecided is None and None not in result:
            undecided = point
    if undecided is None:
        raise _nowhere(exprs, domain)
    return undecided


def _nowhere(exprs: Iterable[Expr], domain: tuple[Parameter, ...]) -> NotRealError | NotIntegrableError:
    """Return what to say of functions of which one is undefined at every point that was looked at."""
    first, *_ = places = points(domain, POINTS)
    finite = [expr for expr in exprs if not any(holds(integrable(expr), point) for point in places)]
    where = ", ".join(f"{symbol} = {float(value):.4g}" for symbol, value in first.items())
    looked = f"(looked at for {where} and {POINTS - 1} other points of {', '.join(map(str, domain))})"
    if finite:
        return NotIntegrableError(
            f"{finite[0]}: E sigma(Z)^2 is infinite {looked}; accepted are domains in which "
            f"{' and '.join(conditions_in_words(integrable(finite[0])))} somewhere."
        )
    return NotRealError(
        f"{' or '.join(map(str, exprs))} is not real on the whole line {looked}; accepted are domains in which it is "
        "somewhere."
    )


def chamber(expr: Expr, domain: tuple[Parameter, ...], point: Point) -> Chamber:
    """Return the formula of a family around a point, and the conditions under which it holds.

    Raises `theory.calculus.signs.OpenSignError` on a wall between two chambers.

    >>> from theory.language.parameters import declared
    >>> domain = declared(["b", "c"])
    >>> b, c = (p.symbol for p in domain)
    >>> chamber(sp.Max(x - b, 0) + sp.Max(x - c, 0), domain, {b: 1, c: 2}).conditions
    (-b + c,)
    """
    with at(point) as notes:
        split = pieces(expr)
    resolved = split.as_expr() if notes.positive and split.formula is None else expr
    known = needed(expr, point)
    conditions = (*(() if known is None else known.conditions), *notes.positive)
    kept = tuple(dict.fromkeys(f for f in conditions if not _is_implied(f, domain)))
    kept = tuple(f for f in kept if not any((f - other).is_positive for other in kept))
    return Chamber(resolved, kept, tuple(sorted(point.items(), key=lambda item: item[0].name)))


def _is_implied(condition: Expr, domain: tuple[Parameter, ...]) -> bool:
    """Whether a domain implies a condition: proved for polynomials in one parameter."""
    if condition.is_positive:
        return True
    inside = [p for p in domain if p.symbol in condition.free_symbols]
    if len(inside) != 1 or not condition.is_polynomial(inside[0].symbol):
        return False
    parameter = inside[0]
    roots = zeros(condition, parameter.symbol)
    if roots is None or any(parameter.contains(root) for root in roots):
        return False
    return all(holds([condition], point) for point in points([parameter], 2))


def zeros(condition: Expr, symbol: Symbol) -> list[Expr] | None:
    """Return the real zeros of a polynomial with rational coefficients, or of one of degree 1; None of any other.

    >>> b = sp.Symbol("b", real=True)
    >>> zeros(b**2 - 2, b), zeros(b - sp.pi, b), zeros(sp.exp(b) - 1, b)
    ([-sqrt(2), sqrt(2)], [pi], None)
    """
    if not condition.is_polynomial(symbol):
        return None
    poly = sp.Poly(condition, symbol)
    if all(c.is_rational for c in poly.all_coeffs()):
        return list(dict.fromkeys(sp.real_roots(poly)))
    return [-poly.eval(0) / poly.LC()] if poly.degree() == 1 and not poly.free_symbols_in_domain else None


def conditions_in_words(conditions: Iterable[Expr], write: Callable[[Expr], str] = sp.sstr) -> tuple[str, ...]:
    """Return conditions as inequalities that a person would write.

    >>> b, c = sp.symbols("b c", real=True)
    >>> conditions_in_words([c - b, 1 - 4 * c, b])
    ('b < c', 'c < 1/4', 'b > 0')
    """
    return tuple(_inequality(condition, write) for condition in conditions)


def _inequality(condition: Expr, write: Callable[[Expr], str]) -> str:
    symbols = sorted(condition.free_symbols, key=lambda s: s.name)
    if condition.is_polynomial(*symbols) and sp.Poly(condition, *symbols).total_degree() == 1:
        constant, rest = condition.as_independent(*symbols, as_Add=True)
        above = sp.Add(*[term for term in sp.Add.make_args(rest) if not term.could_extract_minus_sign()])
        below = above - rest
        if len(symbols) == 1:
            size = rest.coeff(symbols[0])
            bound = -constant / size
            bound = bound.evalf(SHOWN) if bound.has(sp.CRootOf) else bound
            return f"{write(symbols[0])} {'>' if size > 0 else '<'} {write(bound)}"
        return f"{write(below - constant)} < {write(above)}" if below != 0 else f"{write(above)} > {write(-constant)}"
    return f"{write(condition)} > 0"
