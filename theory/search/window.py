"""One parameter of a family over an interval: which one, where, the chambers on the way, and exact roots there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import sympy as sp
from sympy import QQ, Expr, Poly, Rational, S, Symbol

from theory.errors import InputError, ParameterError
from theory.language.activations import Activation, exact_value
from theory.language.families import holds, needed, zeros
from theory.language.parameters import Declarations, Parameter, points
from theory.network.derivation import derive
from theory.network.system import System

__all__ = [
    "chambers_along",
    "defined_part",
    "family_over",
    "middle",
    "part_between",
    "rational_in",
    "roots_between",
    "window",
]

LOOKED_AT = 60  # places of an interval at which a chamber is looked for
DIGITS = 50  # that tell algebraic numbers apart


def family_over(
    system: str | Expr | Activation | System, over: str, declarations: Declarations, values: dict[str, Any]
) -> System:
    """Return a family of which one parameter is left, with these values of the others put in.

    A text that is not derived yet has the parameters that are declared; by default `over` and those that have values.

    Raises `ParameterError` unless exactly `over` is left.

    >>> family_over("c1*x + c3*He(3, x)", "c1", None, {"c3": 1}).parameters
    (mu, c1)
    """
    if not isinstance(system, System):
        is_text = isinstance(system, str) and declarations is None
        system = derive(system, parameters=[over, *values] if is_text else declarations)
    own = [p.name for p in system.network.domain]
    stray = sorted(values.keys() - own)
    if over not in own or stray or over in values:
        raise ParameterError(
            f"over = {over!r}{''.join(f', {name} = {values[name]!r}' for name in values)} given; accepted: one of "
            f"{', '.join(own) or 'no parameters (the function is no family)'}, and values of the others."
        )
    member = system.member(values)
    left = [p.name for p in member.network.domain if p.name != over]
    if left:
        raise ParameterError(f"no value of {', '.join(left)} given; accepted: one of each, such as {left[0]}=1.")
    return member


def window(system: System, over: str, between: Sequence[float | Expr | str] | None = None) -> Parameter:
    """Return a parameter on the part of its domain that lies in a closed interval, or on all of it.

    >>> family = derive("erf(beta*x)", parameters={"beta": "> 0"})
    >>> str(window(family, "beta")), str(window(family, "beta", (0, 5))), str(window(family, "beta", (0.1, 5)))
    ('beta > 0', '0 < beta <= 5', '1/10 <= beta <= 5')
    """
    own = next(p for p in system.network.domain if p.name == over)
    if between is None:
        return own
    if isinstance(between, str) or len(between) != 2:
        raise ParameterError(f"between = {between!r} given; accepted: two numbers such as (0, 2).")
    low, high = (exact_value(over, end) for end in between)
    part = own
    if low > own.low:
        part = replace(part, low=low, closed=(True, part.closed[1]))
    if high < own.high:
        part = replace(part, high=high, closed=(part.closed[0], True))
    if not (low < high and part.low < part.high):
        raise ParameterError(f"between = {low}, {high} given; accepted: ascending numbers with {own}.")
    return part


def part_between(part: Parameter, low: Expr, high: Expr) -> Parameter:
    """Return a parameter on an interval inside of another, open where that does not end."""
    closed = (low == part.low and part.closed[0], high == part.high and part.closed[1])
    return replace(part, low=low, high=high, closed=closed)


def defined_part(system: System, part: Parameter) -> Parameter:
    """Return the part of an interval, around one place, in which student and teacher are real and square-integrable.

    The interval itself where no polynomial in the parameter says where they cease to be.

    >>> family = derive("exp(c*x**2)", parameters="c")
    >>> str(defined_part(family, window(family, "c")))
    'c < 1/4'
    """
    functions = [f.unresolved for f in (system.loss_function.student, system.loss_function.teacher)]
    for place in (system.network.example, *points([part], LOOKED_AT)):
        demands = [needed(f, place) for f in functions] if part.contains(place[part.symbol]) else [None]
        conditions = [condition for demand in demands if demand is not None for condition in demand.conditions]
        if None not in demands:
            break
    else:
        return part
    walls = [wall for condition in conditions for wall in zeros(condition, part.symbol) or () if part.contains(wall)]
    low = [wall for wall in walls if wall < place[part.symbol]]
    high = [wall for wall in walls if wall > place[part.symbol]]
    return part_between(part, max(low, key=_place, default=part.low), min(high, key=_place, default=part.high))


def middle(part: Parameter, share: Rational = S.Half) -> Rational:
    """Return a rational number inside of an interval, by its share of the way.

    >>> from theory.language.parameters import declared
    >>> middle(declared("0 < b < 2")[0])
    1
    """
    place = part.inside(share)
    return place if place.is_Rational else Rational(str(sp.N(place, DIGITS)))


def chambers_along(system: System, part: Parameter) -> list[tuple[Parameter, System]]:
    """Return the parts of an interval in which a family of one parameter has one formula, ascending, with that.

    The walls between them are the roots of the conditions of the chambers that are seen at `LOOKED_AT` places.

    Raises `InputError` where a condition is no polynomial in the parameter.

    >>> family = derive("max(x - b, 0) + max(x + b - 2, 0)", parameters="b")
    >>> [str(part) for part, _ in chambers_along(family, window(family, "b", (0, 3)))]
    ['0 <= b < 1', '1 < b <= 3']
    """
    if not system.conditions:
        return [(part, system)]
    seen: list[System] = []
    for i in range(1, LOOKED_AT + 1):
        place = middle(part, Rational(2 * i, 2 * LOOKED_AT + 3))
        if not any(holds(one.conditions, {part.symbol: place}) for one in seen):
            seen.append(system.within({part.name: place}))
    walls: dict[Expr, None] = {}
    for condition in {condition for one in seen for condition in one.conditions}:
        result = zeros(condition, part.symbol)
        if result is None:
            raise InputError(
                f"the formula of the family changes where {condition} = 0; accepted: conditions that are polynomials "
                f"in {part.name}, or an interval inside of which none changes."
            )
        walls |= dict.fromkeys(wall for wall in result if part.low < wall < part.high)
    ends = [part.low, *sorted(walls, key=_place), part.high]
    pieces = [part_between(part, low, high) for low, high in pairwise(ends)]
    return [(piece, system.within({part.name: middle(piece)})) for piece in pieces]


def rational_in(f: Expr, *symbols: Symbol) -> Poly | None:
    """Return f as a polynomial with rational coefficients, None where it is none.

    >>> b = Symbol("b", real=True)
    >>> rational_in(b**2 - 2, b), rational_in(sp.pi * b, b) is None
    (Poly(b**2 - 2, b, domain='QQ'), True)
    """
    if not f.is_polynomial(*symbols):
        return None
    poly = Poly(f, *symbols)
    return poly.set_domain(QQ) if poly.domain in (QQ, sp.ZZ) else None


def roots_between(poly: Poly, part: Parameter, *, odd: bool = False) -> list[Expr]:
    """Return the real roots of a polynomial strictly inside of an interval, exactly and ascending, each once.

    Args:
        poly: in the interval's symbol, with rational coefficients.
        part: the interval.
        odd: only those of odd multiplicity, at which the sign changes.

    >>> from theory.language.parameters import declared
    >>> b = declared("0 < b < 2")[0]
    >>> roots_between(Poly((b.symbol**2 - 2) * (b.symbol - 1) ** 2, b.symbol), b)
    [1, sqrt(2)]
    """
    if poly.is_zero or poly.degree() < 1:
        return []
    wanted = [factor for factor, k in poly.factor_list()[1] if not odd or k % 2]
    inside = [root for factor in wanted for root in factor.real_roots() if part.low < root < part.high]
    return sorted(inside, key=_place)


def _place(root: Expr) -> sp.Float:
    return root.evalf(DIGITS)
