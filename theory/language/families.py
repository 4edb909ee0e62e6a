r"""Where in its domain a family of functions has one formula: chambers.

Switches are resolved at a point of the domain. The signs that were decided there (`theory.calculus.signs`) bound the
*chamber* of the point, in which the same formula holds; together with what keeps E sigma(Z)^2 finite they are the
conditions that are printed beside whatever is derived. On the walls between chambers, and outside, a function is
derived anew, for the values themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import sympy as sp
from sympy import Expr, Symbol

from theory.calculus.pieces import pieces
from theory.calculus.signs import at, sign_at
from theory.errors import NotIntegrableError
from theory.language.parameters import Parameter, points
from theory.symbols import x

__all__ = ["Chamber", "Point", "chamber", "conditions_in_words", "holds", "integrable", "needed", "shared_point"]

Point = Mapping[Symbol, Expr]
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


def integrable(expr: Expr) -> tuple[Expr, ...]:
    """Return what has to be positive for E f(Z)^2 to be finite: 1 - 4 c for every exp(c x^2 + ...) with parameters.

    >>> c = sp.Symbol("c", real=True)
    >>> integrable(sp.exp(c * x**2) + x)
    (1 - 4*c,)
    """
    conditions: dict[Expr, None] = {}
    for node in expr.atoms(sp.exp, sp.sinh, sp.cosh):
        exponent = sp.expand(node.args[0])
        if exponent.is_polynomial(x) and sp.degree(exponent, x) == 2:
            rate = exponent.coeff(x, 2)
            condition = sp.expand(1 - 4 * rate)
            if rate.free_symbols and not condition.is_positive:
                conditions[condition] = None
    return tuple(conditions)


def needed(expr: Expr) -> tuple[Expr, ...]:
    """Return what has to be positive for f to be real on the whole line and E f(Z)^2 finite.

    Of roots and logarithms of what has parameters: of constants in x, and of quadratic functions without real zeros.

    >>> b = sp.Symbol("b", real=True)
    >>> needed(sp.sqrt(x**2 + b)), needed(sp.log(1 + b + sp.exp(x))), needed(b * sp.exp(-x))
    ((b,), (), ())
    """
    bases = [p.base for p in expr.atoms(sp.Pow) if p.exp.is_Rational and not p.exp.is_Integer]
    bases += [node.args[0] for node in expr.atoms(sp.log)]
    conditions: dict[Expr, None] = {}
    for base in bases:
        if not (base.free_symbols - {x}) or not base.is_polynomial(x) or sp.degree(base, x) not in (0, 2):
            continue
        c2, c1, c0 = (sp.expand(base).coeff(x, n) for n in (2, 1, 0))
        gap: Expr = c0 if c2 == 0 else sp.factor(4 * c2 * c0 - c1**2)
        for condition in (sp.sympify(gap), sp.sympify(c2)):
            number, inner = condition.as_coeff_Mul()
            if condition.free_symbols and not condition.is_positive:
                conditions[inner if number > 0 else -inner] = None
    return (*conditions, *integrable(expr))


def shared_point(exprs: Iterable[Expr], domain: tuple[Parameter, ...]) -> Point:
    """Return a generic point of the domain at which every one of these functions is square-integrable.

    Raises `NotIntegrableError` where there is none.
    """
    conditions = [condition for expr in exprs for condition in needed(expr)]
    for point in points(domain, POINTS):
        if holds(conditions, point):
            return point
    raise NotIntegrableError(
        f"E sigma(Z)^2 is infinite, or sigma not real, wherever it was looked at in {', '.join(map(str, domain))}; "
        f"accepted are domains in which {' and '.join(f'{condition} > 0' for condition in conditions)} somewhere."
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
    conditions = (*needed(expr), *notes.positive)
    kept = tuple(dict.fromkeys(f for f in conditions if not _is_implied(f, domain)))
    return Chamber(resolved, kept, tuple(sorted(point.items(), key=lambda item: item[0].name)))


def _is_implied(condition: Expr, domain: tuple[Parameter, ...]) -> bool:
    """Whether a domain implies a condition: proved for polynomials in one parameter."""
    if condition.is_positive:
        return True
    inside = [p for p in domain if p.symbol in condition.free_symbols]
    if len(inside) != 1 or not condition.is_polynomial(inside[0].symbol):
        return False
    parameter = inside[0]
    poly = sp.Poly(condition, parameter.symbol)
    if not all(c.is_rational for c in poly.all_coeffs()):
        return False
    if any(parameter.contains(root) for root in sp.real_roots(poly)):
        return False
    return all(holds([condition], point) for point in points([parameter], 2))


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
            return f"{write(symbols[0])} {'>' if size > 0 else '<'} {write(bound)}"
        return f"{write(below - constant)} < {write(above)}" if below != 0 else f"{write(above)} > {write(-constant)}"
    return f"{write(condition)} > 0"
