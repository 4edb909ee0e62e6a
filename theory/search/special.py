r"""Special places of a family: where an exponent, a kink or the scale of the search changes with the parameters.

- *Exponents*: the information exponent k* of the family is that of its generic member; where sigma_k* phi_k* vanishes
  it is another one. The zeros are those of the coefficient's factors in the parameters.
- *Kinks*: where the branches on both sides of a breakpoint agree, a kink or a jump is gone.
- *Signs*: where A or B vanishes whatever mu is.
- *Ends*: towards each end of a parameter's domain A and B go like a power of the parameter (or of its distance from a
  finite end), which is read off values at mu = 1/2 and other parameters at a generic point: an observation, stated for
  exponents that two decades agree on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import sympy as sp
from sympy import Expr, S, Symbol

from theory.calculus.expectations import is_closed
from theory.errors import HermescapeError
from theory.language.families import holds
from theory.language.hermite import coefficient
from theory.language.parameters import Parameter
from theory.network.derivation import takes_families
from theory.network.system import System
from theory.shown import Several, Shown
from theory.symbols import mu, x

__all__ = ["Special", "special_places"]

DECADES = (3, 4, 5, 6)
DIGITS = 30
SAME = 0.02  # of two exponents
HALVES = 4  # exponents are multiples of 1/4
MOST_OPERATIONS = 200  # of what is factored


@dataclass(frozen=True)
class Special(Shown):
    """A place in the domain of the parameters, and what changes there.

    Attributes:
        place: such as "c1 = 0" or "beta -> infinity".
        what: in words.
        kind: exponent, kink, sign or end.
    """

    shows = "place, what, kind"

    place: str
    what: str
    kind: str

    @property
    def brief(self) -> str:
        """The place, and what changes there."""
        return str(self)

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


@takes_families
def special_places(system: System) -> Several[Special]:
    """Return the special places of a family; none of a single function.

    >>> from theory.network.derivation import derive
    >>> for place in special_places(derive("max(x, 0) + a*min(x, 0)", parameters="a")): print(place)
    a = -1: information exponent 2 in place of 1
    a = 1: no kink at x = 0
    a -> -infinity: A ~ |a|^2, B ~ |a|^2
    a -> infinity: A ~ a^2, B ~ a^2
    """
    network = system.network
    if not network.domain or not network.is_single_index:
        return Several()
    places = [*_exponents(system), *_kinks(system), *_signs(system), *_ends(system)]
    return Several(dict.fromkeys(places))


def _zeros(f: Expr, domain: tuple[Parameter, ...]) -> Iterator[tuple[str, dict[Symbol, Expr]]]:
    """Yield where an expression in the parameters vanishes, factor by factor; values where a factor has one zero."""
    if sp.count_ops(f) > MOST_OPERATIONS:
        return
    own = {p.symbol: p for p in domain}
    for factor, _ in sp.factor_list(sp.fraction(sp.together(f))[0])[1] if f.free_symbols else ():
        symbols = [s for s in sorted(factor.free_symbols, key=lambda s: s.name) if s in own]
        if not symbols or not factor.is_polynomial(*symbols):
            continue
        if len(symbols) == 1:
            poly = sp.Poly(factor, symbols[0])
            roots = sp.real_roots(poly) if all(c.is_rational for c in poly.all_coeffs()) else []
            for root in dict.fromkeys(roots):
                if own[symbols[0]].contains(root):
                    yield f"{symbols[0]} = {root if root.is_Rational else root.evalf(8)}", {symbols[0]: root}
        elif factor.is_positive is None and factor.is_negative is None:
            yield f"{sp.sstr(factor)} = 0", {}


def _exponents(system: System) -> Iterator[Special]:
    network, k = system.network, system.information_exponent
    if k is None:
        return
    sigma, phi = system.loss_function.student, system.loss_function.teacher
    product = sp.factor(coefficient(sigma, k) * coefficient(phi, k))
    for place, values in _zeros(product, network.domain):
        there = "another"
        if values:
            try:
                member = system.member({s.name: v for s, v in values.items()})
                order = member.information_exponent
                there = "none" if order is None else str(order)
            except HermescapeError:
                continue
        yield Special(place, f"information exponent {there} in place of {k}", "exponent")


def _kinks(system: System) -> Iterator[Special]:
    for f in (system.loss_function.student, system.loss_function.teacher):
        split = f.pieces
        for i, c in enumerate(split.breakpoints):
            gap = sp.expand(split.branches[i + 1] - split.branches[i])
            if not gap.is_polynomial(x):
                continue
            shared = sp.gcd_list(sp.Poly(gap, x).all_coeffs())
            for place, _ in _zeros(shared, system.network.domain):
                yield Special(place, f"no kink at x = {sp.sstr(c)}", "kink")


def _signs(system: System) -> Iterator[Special]:
    """Yield where A or B vanishes for every mu; elsewhere their zeros are curves (`numerics.best.bifurcations`)."""
    for name, f in (("A", system.escape.A), ("B", system.escape.B)):
        if f is None or not is_closed(f) or sp.count_ops(f) > MOST_OPERATIONS:
            continue
        for factor, power in sp.factor_list(sp.fraction(sp.together(f))[0])[1]:
            if not factor.has(mu):
                what = f"{name} changes its sign" if power % 2 else f"{name} = 0 for every mu"
                for place, _ in _zeros(factor, system.network.domain):
                    yield Special(place, what, "sign")


def _ends(system: System) -> Iterator[Special]:
    escape, network = system.escape, system.network
    if escape.A is None or escape.B is None or not (is_closed(escape.A) and is_closed(escape.B)):
        return
    point = network.example
    for parameter in network.domain:
        others = {s: v for s, v in point.items() if s != parameter.symbol} | {mu: S.Half}
        for end in (parameter.low, parameter.high):
            if not all(holds(system.conditions, {**point, parameter.symbol: v}) for v in _towards(parameter, end)):
                continue
            powers = {n: _power(f.subs(others), parameter, end) for n, f in (("A", escape.A), ("B", escape.B))}
            told = [f"{name} ~ {_scale(parameter, end, p)}" for name, p in powers.items() if p not in (None, 0)]
            if told:
                yield Special(f"{parameter.name} -> {_named(end)}", ", ".join(told), "end")


def _power(f: Expr, parameter: Parameter, end: Expr) -> sp.Rational | None:
    """Return n with |f| ~ |p|^n, or |p - end|^n, towards an end of the domain; None where two decades differ."""
    symbol, logs = parameter.symbol, []
    for value in _towards(parameter, end):
        if not parameter.contains(value):
            return None
        size = abs(f.subs(symbol, value).evalf(DIGITS))
        if not (size.is_Float and size.is_finite and size > 0):
            return None
        logs.append(sp.log(size, 10))
    slopes = [float(b - a) for a, b in pairwise(logs[1:])]
    nearest = round(HALVES * slopes[-1]) / HALVES
    if any(abs(slope - nearest) > SAME for slope in slopes):
        return None
    return sp.Rational(nearest) * (1 if end.is_infinite else -1)


def _towards(parameter: Parameter, end: Expr) -> list[Expr]:
    """Return values of a parameter towards an end of its domain, a decade apart."""
    distances = [sp.Integer(10) ** decade for decade in DECADES]
    if end.is_infinite:
        return [far if end == sp.oo else -far for far in distances]
    return [end + 1 / far if end == parameter.low else end - 1 / far for far in distances]


def _scale(parameter: Parameter, end: Expr, power: sp.Rational) -> str:
    plain, distance = end == sp.oo or (end == 0 and parameter.low == 0), f" - {end}"
    base = parameter.name if plain else f"|{parameter.name}{'' if end in (0, -sp.oo) else distance}|"
    if power == 1:
        return base
    return f"{base}^{power}" if power.is_Integer and power > 0 else f"{base}^({power})"


def _named(end: Expr) -> str:
    return "infinity" if end == sp.oo else "-infinity" if end == -sp.oo else str(end)
