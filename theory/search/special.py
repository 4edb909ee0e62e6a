r"""Special places of a family: where an exponent, a kink or the scale of the search changes with the parameters.

- *Exponents*: the information exponent k* of the family is that of its generic member; where sigma_k* phi_k* vanishes
  it is another one. The zeros are those of the coefficient's factors in the parameters.
- *Kinks*: where the branches on both sides of a breakpoint agree, a kink or a jump is gone.
- *Signs*: where A or B vanishes whatever mu is, and whether it changes its sign there; and where the number of their
  zeros in 0 < mu < 1 changes, which are the critical alignments for A (`theory.search.bifurcations`): exactly where
  they are polynomials in mu and in the parameters, on a line through a generic point for each of several parameters.
  `unsearched` names the others, of which `numerics.best.bifurcations` says where they change.
- *Ends*: towards each end of a parameter's domain A and B go like a power of the parameter (or of its distance from a
  finite end), which is read off values at mu = 1/2 and other parameters at a generic point: an observation, stated for
  exponents that two decades agree on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import mpmath
import sympy as sp
from sympy import Expr, S, Symbol

from theory.calculus.expectations import is_closed
from theory.calculus.signs import sign_at
from theory.errors import HermescapeError
from theory.language.families import holds
from theory.language.hermite import coefficient
from theory.language.parameters import GENERIC, Parameter
from theory.network.derivation import takes_families
from theory.network.system import System
from theory.search.bifurcations import Bifurcation, Quantity, borders_of, counted, of_polynomial
from theory.search.window import rational_in
from theory.shown import Several, Shown
from theory.symbols import mu, x
from theory.typeset.printing import latex

__all__ = ["Special", "special_places", "unsearched", "without_influence"]

DECADES = (3, 4, 5, 6)
DIGITS = 30
SAME = 0.02  # of two exponents
HALVES = 4  # exponents are multiples of 1/4
SHOWN = 8  # digits of an irrational number
LARGEST = sp.Integer(10) ** 100  # argument of a function, where f may still go like a power of a parameter
LARGEST_LOG = 10_000  # |log10 f| where f may still do so
DENOMINATOR = 9  # of a generic value
MOST_ORDER = 8  # of a zero
MOST_OPERATIONS = 200  # of what is factored
MOST_DEGREE = 16  # in mu and the parameters together, of what is eliminated from


@dataclass(frozen=True)
class Special(Shown):
    """A place in the domain of the parameters, and what changes there.

    Attributes:
        place: such as "c1 = 0" or "beta -> infinity".
        what: in words.
        kind: exponent, kink, sign or end.
        latex: both with formulas between dollars.
    """

    shows = "place, what, kind"

    place: str
    what: str
    kind: str
    latex: str = field(default="", compare=False)

    @property
    def brief(self) -> str:
        """The place, and what changes there."""
        return str(self)

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


class _Text(NamedTuple):
    """Words with formulas, as plain text and as LaTeX with formulas between dollars."""

    plain: str
    tex: str

    @classmethod
    def of(cls, words: str) -> _Text:
        """Return words without formulas, but for A, B, A = 0, mu and a value of mu."""
        formulas = re.sub(r"\b(mu( = [\d.e-]*\d)?|[AB]( = 0)?)\b", r"$\1$", words)
        return cls(words, formulas.replace("$mu", rf"${latex(mu)}"))

    @classmethod
    def equation(cls, left: Expr, right: Expr) -> _Text:
        """Return left = right, the right one to eight digits where it is an irrational number."""
        shown = right.evalf(SHOWN) if right.is_number and not right.is_Rational else right
        return cls(f"{sp.sstr(left)} = {sp.sstr(shown)}", f"${latex(left)} = {latex(shown)}$")

    def __add__(self, other: _Text) -> _Text:  # type: ignore[override]
        return _Text(self.plain + other.plain, self.tex + other.tex)

    def changes(self, what: _Text, kind: str) -> Special:
        """Return the special place that this is."""
        return Special(self.plain, what.plain, kind, f"{self.tex}: {what.tex}")


@takes_families
def special_places(system: System) -> Several[Special]:
    """Return the special places of a family; none of a single function, nor of one without a formula.

    >>> from theory.network.derivation import derive
    >>> for place in special_places(derive("max(x, 0) + a*min(x, 0)", parameters="a")): print(place)
    a = -1: information exponent 2 in place of 1
    a = 1: no kink at x = 0
    a -> -infinity: A ~ |a|^2, B ~ |a|^2
    a -> infinity: A ~ a^2, B ~ a^2
    """
    if not _has_places(system):
        return Several()
    places = [*_exponents(system), *_kinks(system), *_signs(system), *_ends(system)]
    return Several(dict.fromkeys(places))


def _has_places(system: System) -> bool:
    """Whether student and teacher are families with formulas."""
    functions = (system.loss_function.student, system.loss_function.teacher)
    network = system.network
    return bool(network.domain) and network.is_single_index and not any(f.undefined for f in functions)


def _zeros(f: Expr, domain: tuple[Parameter, ...]) -> Iterator[tuple[_Text, dict[Symbol, Expr]]]:
    """Yield where an expression in the parameters vanishes, factor by factor; values where a factor has one zero."""
    if sp.count_ops(f) > MOST_OPERATIONS:
        return
    own = {p.symbol: p for p in domain}
    for factor, _ in _factors(f) if f.free_symbols else ():
        symbols = [s for s in sorted(factor.free_symbols, key=lambda s: s.name) if s in own]
        if not symbols or not factor.is_polynomial(*symbols):
            continue
        if len(symbols) == 1:
            poly = sp.Poly(factor, symbols[0])
            roots = sp.real_roots(poly) if all(c.is_rational for c in poly.all_coeffs()) else []
            for root in dict.fromkeys(roots):
                if own[symbols[0]].contains(root):
                    yield _Text.equation(symbols[0], root), {symbols[0]: root}
        elif factor.is_positive is None and factor.is_negative is None:
            yield _Text.equation(factor, S.Zero), {}


def _factors(f: Expr) -> list[tuple[Expr, int]]:
    """Return the factors of a numerator with their powers; none of what SymPy has no polynomial for, such as a**a."""
    try:
        return sp.factor_list(sp.fraction(sp.together(f))[0])[1]
    except sp.PolynomialError:
        return []


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
        yield place.changes(_Text.of(f"information exponent {there} in place of {k}"), "exponent")


def _kinks(system: System) -> Iterator[Special]:
    for f in (system.loss_function.student, system.loss_function.teacher):
        split = f.pieces
        for i, c in enumerate(split.breakpoints):
            gap = sp.expand(split.branches[i + 1] - split.branches[i])
            if not gap.is_polynomial(x):
                continue
            shared = sp.gcd_list(sp.Poly(gap, x).all_coeffs())
            for place, _ in _zeros(shared, system.network.domain):
                yield place.changes(_Text.of("no kink at ") + _Text.equation(x, c), "kink")


def _signs(system: System) -> Iterator[Special]:
    """Yield where A or B vanishes for every mu, and where their zeros in (0, 1) appear and vanish."""
    for name, f in _closed(system):
        for factor, _ in _factors(f):
            if not factor.has(mu):
                for place, values in _zeros(factor, system.network.domain):
                    turns = _turns(f, factor, values, system)
                    what = f"{name} changes its sign" if turns else f"{name} = 0 for every mu"
                    yield place.changes(_Text.of(what), "sign")
        if _is_searched(f, system):
            yield from _changes(name, f, system)


def _turns(f: Expr, factor: Expr, values: Mapping[Symbol, Expr], system: System) -> bool:
    """Whether f changes its sign where a factor vanishes, inside of the domain: the order of its zero is odd.

    The other factors may vanish there too. Looked at for one generic mu and others of the parameters.
    """
    domain = system.network.domain
    parameter = next(p for p in domain if factor.has(p.symbol))
    others = {s: v for s, v in _simple(system.network.example, system).items() if s != parameter.symbol}
    others |= {mu: GENERIC[0]}
    poly = rational_in(factor.xreplace(others), parameter.symbol)
    roots = values.values() or (sp.real_roots(poly) if poly is not None and poly.degree() > 0 else ())
    inside = [root for root in roots if parameter.low < root < parameter.high]
    if not inside:
        return False
    derivative, place = f.xreplace(others), {parameter.symbol: inside[0]}
    for order in range(MOST_ORDER):
        sign = sign_at(derivative, place)
        if sign != 0:
            return sign is not None and order % 2 == 1
        derivative = derivative.diff(parameter.symbol)
    return False


def _closed(system: System) -> Iterator[tuple[Quantity, Expr]]:
    quantities: tuple[tuple[Quantity, Expr | None], ...] = (("A", system.escape.A), ("B", system.escape.B))
    for name, f in quantities:
        if f is not None and is_closed(f) and sp.count_ops(f) <= MOST_OPERATIONS:
            yield name, f


def _is_searched(f: Expr, system: System) -> bool:
    """Whether f is a polynomial of moderate degree in mu and the parameters, over the rationals."""
    poly = rational_in(sp.fraction(sp.together(f))[0], mu, *system.network.parameters_of_functions)
    return poly is not None and sum(map(poly.degree, poly.gens)) <= MOST_DEGREE


def _changes(name: Quantity, f: Expr, system: System) -> Iterator[Special]:
    """Yield where zeros of A, or of B, appear and vanish, each parameter varied for itself."""
    network, numerator = system.network, sp.fraction(sp.together(f))[0]
    for parameter in network.domain:
        others = {s: v for s, v in _simple(network.example, system).items() if s != parameter.symbol}
        result = of_polynomial(sp.expand(numerator.xreplace(others)), parameter, name)
        if result is None or not result[0]:
            continue
        points, count = result
        borders = borders_of(points, parameter)
        sides = dict(zip(borders[1:-1], pairwise(counted(borders, parameter, count)), strict=True))
        for point in points:
            inside = holds(system.conditions, {**others, parameter.symbol: point.value})
            if point.kind in ("fold", "end") and inside:
                numbers = "{}: {} below, {} above".format(point.words, *sides[point.value])
                place = _place_of(point, parameter.symbol, others, numerator)
                yield place.changes(_Text.of(point.words if others else numbers), "sign")


def _simple(point: Mapping[Symbol, Expr], system: System) -> Mapping[Symbol, Expr]:
    """Return a point near this one with short fractions, if it lies in the chamber."""
    near = {symbol: sp.Rational(value).limit_denominator(DENOMINATOR) for symbol, value in point.items()}
    inside = all(p.contains(near[p.symbol]) and near[p.symbol] != 0 for p in system.network.domain)
    return near if inside and holds(system.conditions, near) else point


def _place_of(point: Bifurcation, p: Symbol, others: Mapping[Symbol, Expr], f: Expr) -> _Text:
    """Return where a bifurcation is that was found for these values of the other parameters.

    That is a ratio of two parameters of which f is a form, else the zeros of a polynomial in the parameters for the end
    of a branch, else this place.
    """
    if not others or point.value == 0:
        return _Text.equation(p, point.value)
    if len(others) == 1 and sp.Poly(f, p, *others).is_homogeneous:
        ((other, value),) = others.items()
        first, second = sorted((p, other), key=lambda symbol: symbol.name)
        ratio = point.value / value if p == first else value / point.value
        return _Text.equation(first, (ratio if ratio.is_Rational else ratio.evalf(SHOWN)) * second)
    if point.kind == "end":
        walls = sp.factor_list(f.subs(mu, point.mu))[1]
        wall = next(wall for wall, _ in walls if sign_at(wall, {**others, p: point.value}) == 0)
        return _Text.equation(wall, S.Zero)
    where = [_Text.equation(*pair) for pair in others.items()]
    there = _Text(*(f" (at {', '.join(texts)})" for texts in zip(*where, strict=True)))
    return _Text.equation(p, point.value) + there


def unsearched(system: System) -> tuple[str, ...]:
    """Return which of A and B may change their sign at some mu only where `special_places` does not look for it.

    >>> from theory.network.derivation import derive
    >>> unsearched(derive("erf(b*x)", parameters="b")), unsearched(derive("c1*x + He(3, x)", parameters="c1"))
    (('A', 'B'), ())
    """
    escape = system.escape
    if not (_has_places(system) and escape.is_aligned):
        return ()
    own, searched = system.network.domain, {name for name, f in _closed(system) if _is_searched(f, system)}
    varied = {name for name, f in (("A", escape.A), ("B", escape.B)) if f is not None and _depends(f, own)}
    return tuple(sorted(varied - searched))


def without_influence(system: System) -> tuple[str, ...]:
    """Return the parameters on which neither A nor B depends, where there are these.

    >>> from theory.network.derivation import derive
    >>> without_influence(derive("b*x + c", parameters=["b", "c"]))
    ('c',)
    """
    parts = [f for f in (system.escape.A, system.escape.B) if f is not None]
    return tuple(p.name for p in system.network.domain if parts and not any(_depends(f, (p,)) for f in parts))


def _depends(f: Expr, domain: Iterable[Parameter]) -> bool:
    return any(f.has(p.symbol) for p in domain)


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
            told = [(name, _scale(parameter, end, p)) for name, p in powers.items() if p not in (None, 0)]
            if told:
                plain = ", ".join(f"{name} ~ {scale.plain}" for name, scale in told)
                tex = ", ".join(rf"${name} \sim {scale.tex}$" for name, scale in told)
                yield _towards_end(parameter, end).changes(_Text(plain, tex), "end")


def _towards_end(parameter: Parameter, end: Expr) -> _Text:
    named = {sp.oo: "infinity", -sp.oo: "-infinity"}.get(end, str(end))
    return _Text(f"{parameter.name} -> {named}", rf"${latex(parameter.symbol)} \to {latex(end)}$")


def _power(f: Expr, parameter: Parameter, end: Expr) -> sp.Rational | None:
    """Return n with |f| ~ |p|^n, or |p - end|^n, towards an end of the domain; None where two decades differ."""
    logs: list[mpmath.mpf] = []
    for value in _towards(parameter, end):
        size = _log10(f, parameter.symbol, value) if parameter.contains(value) else None
        if size is None:
            return None
        logs.append(size)
    slopes = [float(b - a) for a, b in pairwise(logs[1:])]
    nearest = round(HALVES * slopes[-1]) / HALVES
    if any(abs(slope - nearest) > SAME for slope in slopes):
        return None
    return sp.Rational(nearest) * (1 if end.is_infinite else -1)


def _log10(f: Expr, symbol: Symbol, value: Expr) -> mpmath.mpf | None:
    """Return log10 |f| at a value, None of 0 and of what is so large that no power of the parameter is."""
    inner = {arg for node in f.atoms(sp.Function, sp.Pow) for arg in node.args if arg.has(symbol)}
    try:
        if any(abs(arg.evalf(DIGITS, subs={symbol: value})) > LARGEST for arg in sorted(inner, key=sp.count_ops)):
            return None
        size = abs(f.subs(symbol, value).evalf(DIGITS))
    except (ArithmeticError, TypeError, ValueError):  # of mpmath, and of nan
        return None
    if not (size.is_Float and size.is_finite and size > 0):
        return None
    with mpmath.workdps(DIGITS):
        result = mpmath.log10(mpmath.mpf(size))
    return result if abs(result) <= LARGEST_LOG else None


def _towards(parameter: Parameter, end: Expr) -> list[Expr]:
    """Return values of a parameter towards an end of its domain, a decade apart."""
    distances = [sp.Integer(10) ** decade for decade in DECADES]
    if end.is_infinite:
        return [far if end == sp.oo else -far for far in distances]
    return [end + 1 / far if end == parameter.low else end - 1 / far for far in distances]


def _scale(parameter: Parameter, end: Expr, power: sp.Rational) -> _Text:
    """Return |p - end|^power, without bars where p is positive; the formula without dollars."""
    plain, distance = end == sp.oo or (end == 0 and parameter.low == 0), "" if end in (0, -sp.oo) else f" - {end}"
    bar = "" if plain else "|"
    distance = "" if plain else distance
    text, tex = (f"{bar}{name}{distance}{bar}" for name in (parameter.name, latex(parameter.symbol)))
    if power == 1:
        return _Text(text, tex)
    shown = f"^{power}" if power.is_Integer and power > 0 else f"^({power})"
    return _Text(text + shown, f"{tex}^{{{latex(power)}}}")
