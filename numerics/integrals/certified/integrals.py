r"""Certified Gaussian expectations in one variable.

An expectation E g(Z, f_1(m_1 + s_1 Z), f_2(m_2 + s_2 Z), ...), g a polynomial, is cut where an f_i switches, at
(c - m_i)/s_i. Between two cuts every f_i is one smooth branch, and FLINT's numerical integration encloses it; beyond
-T and T the classes of `theory.enclosures.growth` bound it, T increased until they leave less than 2^-p. Cuts may be
balls: a cell is mapped to [0, 1], z = a + (b - a) t, and where the order of two cuts is open, what lies between them
is enclosed by the hull of all branches that may apply. So may s_i, which is how functions of mu are enclosed for all mu
of a ball.

The quantities of a search with student sigma and teacher phi, aligned (docs/theory.md, section 5):

    A = E[Z sigma'(mu Z) (phi(Z) - sigma(mu Z))]
    B = -E[sigma'(mu Z)^2] + E[sigma''(mu Z) (phi(Z) - sigma(mu Z))]
    tau = 2/(B + sqrt(B^2 + 4 A^2))  for B > 0,    (sqrt(B^2 + 4 A^2) - B)/(2 A^2)  else,

sigma'' with a point mass of the jump of sigma' at every kink; for the correlation loss without the student's own part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, reduce
from itertools import pairwise, product
from typing import cast

import sympy as sp
from flint import acb, arb, ctx
from sympy import Expr, Symbol

from numerics.integrals.certified.budget import spend
from numerics.integrals.certified.enclosure import Enclosure, Number, exact_number, resolved
from theory.enclosures.balls import BallFunction, constant, function, real_number
from theory.enclosures.branches import Branches, branches
from theory.enclosures.growth import Bound, growth, reflected
from theory.enclosures.zeros import Point, Zero, exact, place
from theory.errors import NotCertifiedError, ParameterError
from theory.symbols import x

__all__ = [
    "Factor",
    "Pair",
    "bound_beyond",
    "coefficient",
    "curvature",
    "drive",
    "expectation",
    "integral",
    "mean",
    "moment",
    "reach_of",
    "search_time",
    "search_time_of",
]

Z = Symbol("Z", real=True)
STEPS = 48  # values of T that are tried, each a fifth beyond the last
EVALUATIONS, FEW = 20_000, 2000  # of an integrand, for one integral, and for one to a given tolerance
COARSE = 8  # parts of a power of two to which the start of a growth class is rounded, so that it is found once


# --- integrals --------------------------------------------------------------------------------------------------


def integral(f: BallFunction, low: arb, high: arb, absolute: arb | None = None, evaluations: int = EVALUATIONS) -> arb:
    """Return an enclosure of the integral of a function of balls; the absolute error is a goal and not a bound.

    >>> from theory.enclosures.balls import precision
    >>> with precision(64):
    ...     integral(function(sp.exp(x), x), arb(0), arb(1))
    [1.71828182845904523... +/- ...]
    """
    failures: list[BaseException] = []

    def guarded(z: acb, analytic: bool) -> acb:
        try:
            if not failures:
                spend()
                return f(z, analytic=analytic)
        except BaseException as failure:  # KeyboardInterrupt too: nothing passes through FLINT but what it returns
            failures.append(failure)
        return acb(arb("nan"))

    result = acb.integral(guarded, acb(low), acb(high), abs_tol=absolute, eval_limit=evaluations)
    if failures:
        raise failures[0]
    return result.real


# --- expectations -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Factor:
    """f(shift + scale Z), scale > 0: in a formula it stands as `symbol`. Numbers are exact, or balls."""

    symbol: Symbol
    branches: Branches
    scale: Expr | arb = sp.S.One
    shift: Expr | arb = sp.S.Zero

    @property
    def mirrored(self) -> Factor:
        """The factor as a function of -Z."""
        cuts = tuple(_minus(cut) for cut in reversed(self.branches.cuts))
        parts = tuple(reflected(part) for part in reversed(self.branches.parts))
        return Factor(self.symbol, Branches(cuts, parts), self.scale, -self.shift)

    def argument(self, z: acb | arb) -> acb | arb:
        """Return shift + scale z."""
        return _ball(self.shift) + _ball(self.scale) * z


@dataclass(frozen=True)
class _Cut:
    """A place in z at which factors pass to their next branch; `is_open` where the order within is not known."""

    place: arb
    factors: tuple[int, ...]
    is_open: bool


def _ball(number: Expr | arb) -> arb:
    return number if isinstance(number, arb) else constant(number)


def _minus(cut: Point) -> Point:
    """Return a cut of f as one of f(-x); only its place matters there."""
    return cut.mirrored if isinstance(cut, Zero) else -cut


def expectation(
    formula: Expr, factors: Sequence[Factor], tolerance: arb | None = None, evaluations: int = EVALUATIONS
) -> arb:
    """Return E of a polynomial in Z and the symbols of the factors, at the working precision.

    `evaluations` of the integrand between two cuts are made at most.

    >>> from theory.enclosures.balls import precision
    >>> f = Symbol("f")
    >>> with precision(64):
    ...     expectation(Z * f, [Factor(f, branches(sp.Max(x, 0)), sp.Rational(1, 2))])
    [0.25000000000000000... +/- ...]

    Raises `NotCertifiedError` where no tail can be bounded; a ball that is not finite says that the integral was not
    resolved.
    """
    goal = arb(2) ** -ctx.prec if tolerance is None else tolerance
    cuts = _cuts(factors)
    reach, beyond = _reach(formula, factors, cuts, goal)
    inside = [cut for cut in cuts if -reach < cut.place < reach]
    which = [sum(cut.place < -reach for cut in cuts for i in cut.factors if i == k) for k in range(len(factors))]
    total, low = arb(0, beyond), -reach
    for cut in (*inside, None):
        high = reach if cut is None else cut.place.lower() if cut.is_open else cut.place
        total += _cell(formula, factors, which, low, high, goal, evaluations)
        if cut is None:
            break
        if cut.is_open:
            total += _open(formula, factors, which, cut)
        for i in cut.factors:
            which[i] += 1
        low = cut.place.upper() if cut.is_open else cut.place
    return total


def _cuts(factors: Sequence[Factor]) -> list[_Cut]:
    """Return the cuts of all factors from left to right; those that may coincide as one."""
    places = []
    for i, factor in enumerate(factors):
        for cut in factor.branches.cuts:
            where = (place(cut) - _ball(factor.shift)) / _ball(factor.scale)
            places.append((where, i, (cut, factor.scale, factor.shift)))
    places.sort(key=lambda each: float(each[0]))
    cuts: list[_Cut] = []
    names: list[tuple] = []
    for where, i, name in places:
        if not cuts or cuts[-1].place < where:
            cuts.append(_Cut(where, (i,), False))
            names = [name]
            continue
        last = cuts.pop()
        names.append(name)
        if not last.is_open and (last.place == where or all(_is_equal(each, names[0]) for each in names)):
            cuts.append(_Cut(last.place, (*last.factors, i), False))
            continue
        joined = _Cut(last.place.union(where), (*last.factors, i), True)
        while cuts and not cuts[-1].place < joined.place:
            wider = cuts.pop()
            joined = _Cut(wider.place.union(joined.place), (*wider.factors, *joined.factors), True)
        cuts.append(joined)
    return cuts


def _is_equal(a: tuple, b: tuple) -> bool:
    return all(one is other or (isinstance(one, Expr) and one == other) for one, other in zip(a, b, strict=True))


def _cell(
    formula: Expr, factors: Sequence[Factor], which: Sequence[int], low: arb, high: arb, goal: arb, evaluations: int
) -> arb:
    """Return the integral between two cuts; `which` branch of each factor holds there."""
    parts = [factor.branches.parts[i] for factor, i in zip(factors, which, strict=True)]
    integrand = _integrand(formula, factors, parts)
    if integrand is None:
        return arb(0)
    if low.is_exact() and high.is_exact():
        return integral(integrand, low, high, goal, evaluations)
    width = high - low

    def mapped(t: acb, analytic: bool = False) -> acb:
        return integrand(low + width * t, analytic=analytic)

    return width * integral(mapped, arb(0), arb(1), goal, evaluations)


def _open(formula: Expr, factors: Sequence[Factor], which: Sequence[int], cut: _Cut) -> arb:
    """Return what lies between cuts of unknown order: width times the hull of all branches that may apply, and 0."""
    hull = arb(0)
    later = [range(i, i + 1 + cut.factors.count(k)) for k, i in enumerate(which)]
    for chosen in product(*later):
        parts = [factor.branches.parts[i] for factor, i in zip(factors, chosen, strict=True)]
        integrand = _integrand(formula, factors, parts)
        if integrand is not None:
            hull = hull.union(integrand(acb(cut.place)).real)
    return hull * (cut.place.upper() - cut.place.lower()) if hull.is_finite() else hull


def _integrand(formula: Expr, factors: Sequence[Factor], parts: Sequence[Expr]) -> BallFunction | None:
    """Return formula times density for given branches; None where it vanishes."""
    whole = formula.xreplace(
        {factor.symbol: part for factor, part in zip(factors, parts, strict=True) if not part.has(x)}
    )
    if whole == 0:
        return None
    used = [(factor, part) for factor, part in zip(factors, parts, strict=True) if whole.has(factor.symbol)]
    combine = function(whole, Z, *(factor.symbol for factor, _ in used))
    inner = [(function(part, x), _ball(factor.scale), _ball(factor.shift)) for factor, part in used]
    height = 1 / (2 * arb.pi()).sqrt()

    def integrand(z: acb, analytic: bool = False) -> acb:
        values = [f(shift + scale * z, analytic=analytic) for f, scale, shift in inner]
        return combine(z, *values, analytic=analytic) * (-z * z / 2).exp() * height

    return integrand


# --- tails ------------------------------------------------------------------------------------------------------


def _reach(formula: Expr, factors: Sequence[Factor], cuts: Sequence[_Cut], goal: arb) -> tuple[arb, arb]:
    """Return T, and what lies beyond -T and T at most; cuts that no T can be told from are avoided."""
    mirrored = [factor.mirrored for factor in factors]
    start = Fraction(int(8 * (float(ctx.prec) * 1.4) ** 0.5), 8)
    failure = NotCertifiedError("not certified: a tail of the Gaussian integral has no bound.")
    for step in range(STEPS):
        T = real_number(Fraction(int(8 * start * Fraction(6, 5) ** step), 8))
        if any(not (cut.place < side or cut.place > side) for cut in cuts for side in (-T, T)):
            continue
        try:
            beyond = _beyond(formula, factors, T) + _beyond(formula, mirrored, T)
        except NotCertifiedError as error:
            failure = error
            continue
        if beyond < goal:
            return T, beyond.upper()
    raise failure


def _beyond(formula: Expr, factors: Sequence[Factor], T: arb) -> arb:
    """Return a bound on the integral over z > T: of every monomial, of all branches that may hold there."""
    bounds = {factor.symbol: bound_beyond(factor, T) for factor in factors}
    bounds[Z] = Bound(arb(1), arb(1))
    monomials = sp.Poly(formula, *bounds).terms()
    terms = []
    for powers, c in monomials:
        term = Bound(abs(constant(cast(Expr, c))))
        for bound, power in zip(bounds.values(), powers, strict=True):
            term = (term * bound ** arb(power)).above if power else term
        terms.append(term)
    return sum((term.tail(T) for term in terms if not term.C.is_zero()), arb(0))


def bound_beyond(factor: Factor, T: arb) -> Bound:
    """Return what bounds a factor from above, as a function of z >= T."""
    scale, shift = _ball(factor.scale), _ball(factor.shift)
    start = cast(arb, factor.argument(T)).lower()
    if not start > 0:
        raise NotCertifiedError("not certified: a tail of the Gaussian integral has no bound.")
    first = sum((place(cut) - shift) / scale < T for cut in factor.branches.cuts)
    known = [growth(part, _rounded(exact(start))).upper for part in factor.branches.parts[first:]]
    return Bound.total(known, start).composed(shift, scale)


def reach_of(factor: Factor, places: Iterable[arb], tail: Callable[[Bound, arb], arb], goal: arb) -> tuple[arb, arb]:
    """Return the first T, and what lies beyond -T and T at most, at which that is below the goal.

    `tail` bounds one side, z > T, by what bounds the factor there. Raises `NotCertifiedError` where none does.
    """
    cuts = [place(cut) / _ball(factor.scale) for cut in factor.branches.cuts]
    for T in places:
        if any(not abs(abs(cut) - T) > 0 for cut in cuts):
            continue
        try:
            sides = [bound_beyond(side, T) for side in (factor, factor.mirrored)]
        except NotCertifiedError:
            continue
        beyond = sum((tail(bound, T) for bound in sides), arb(0))
        if beyond < goal:
            return T, beyond.upper()
    raise NotCertifiedError("not certified: the tail of a kernel has no bound.")


def _rounded(number: Fraction) -> Fraction:
    """Return a number just below, of few digits."""
    unit = Fraction(2) ** ((number.numerator // number.denominator or 1).bit_length() - 1) / COARSE
    return number // unit * unit or number


# --- what they are for ------------------------------------------------------------------------------------------

_f, _s, _slope, _bend, _phi = sp.symbols("f s slope bend phi")


def mean(f: Expr, shift: Number = 0, variance: Number = 1) -> Enclosure:
    """Return E f(a + sqrt(r) Z), the Gaussian smoothing of f.

    >>> mean(sp.Max(x, 0)).value * (2 * 3.141592653589793) ** 0.5
    1.0
    """
    if exact_number(variance) != 0:
        return moment(f, _f, shift, variance)
    split, at = branches(f), exact_number(shift)
    return resolved(lambda: _at(split, constant(at)), f"the value of {f} at {shift}")


def coefficient(f: Expr, k: int, variance: Number = 1) -> Enclosure:
    """Return sigma_k^[r] = E[f(sqrt(r) Z) He_k(Z)] r^(k/2).

    >>> coefficient(x**3, 1), coefficient(sp.tanh(x), 3).certified
    (<Enclosure value = 3 ± ..., certified = True>, True)
    """
    split, r = branches(f), _variance(variance)
    factor = Factor(_f, split, sp.sqrt(r))
    return resolved(lambda: expectation(_f * _hermite(k), [factor]) * constant(sp.sqrt(r**k)), f"sigma_{k} of {f}")


def moment(f: Expr, formula: Expr, shift: Number = 0, variance: Number = 1) -> Enclosure:
    """Return E of a polynomial in the symbols `f`, which stands for f(a + sqrt(r) Z), and the real `Z`.

    >>> moment(sp.erf(x), Symbol("f") ** 2).value
    0.46455...
    """
    r = _variance(variance)
    factor = Factor(_f, branches(f), sp.sqrt(r), exact_number(shift))
    return resolved(lambda: expectation(formula, [factor]), f"E[{formula}] for f = {f}")


def _variance(given: Number) -> Expr:
    r = exact_number(given)
    if not (r.is_finite and r.is_positive):
        raise ParameterError(f"variance = {given} given; accepted: a positive number.")
    return r


@lru_cache(maxsize=1024)
def _hermite(k: int) -> Expr:
    """He_k(Z) = Z He_{k-1} - (k - 1) He_{k-2}."""
    return sp.expand(Z * _hermite(k - 1) - (k - 1) * _hermite(k - 2)) if k > 1 else Z**k


def _at(split: Branches, point: arb) -> arb:
    """Return f at a ball: the hull over the branches that it may lie on."""
    ends = [None, *(place(cut) for cut in split.cuts), None]
    values = [
        function(part, x)(acb(point)).real
        for part, (low, high) in zip(split.parts, pairwise(ends), strict=True)
        if not ((low is not None and point < low) or (high is not None and point > high))
    ]
    return reduce(arb.union, values)


@dataclass(frozen=True)
class Pair:
    """A continuous student and a teacher; `own`: whether the loss has the student's square, unlike correlation's.

    `evaluations` of an integrand between two cuts are made at most where a tolerance is given.
    """

    student: Branches
    teacher: Branches
    own: bool = True
    evaluations: int = FEW

    @classmethod
    def of(cls, student: Expr, teacher: Expr, own: bool = True, evaluations: int = FEW) -> Pair:
        """Return the pair of two expressions in x.

        Raises `NotCertifiedError` where the student is not proved to be continuous.
        """
        split = branches(student)
        if not split.is_continuous:
            raise NotCertifiedError(f"not certified: it is not proved that {student} is continuous.")
        return cls(split, branches(teacher), own, evaluations)

    @property
    def slope(self) -> Branches:
        """The student's derivative almost everywhere."""
        return _derivative(self.student)

    def _expectation(self, formula: Expr, mu: Expr | arb, tolerance: arb | None) -> arb:
        if not self.own:
            formula = sp.expand(formula).xreplace({_s: sp.S.Zero})
        factors = [
            Factor(_s, self.student, mu),
            Factor(_slope, self.slope, mu),
            Factor(_bend, _derivative(self.slope), mu),
            Factor(_phi, self.teacher),
        ]
        return expectation(
            formula,
            [each for each in factors if formula.has(each.symbol)],
            tolerance,
            EVALUATIONS if tolerance is None else self.evaluations,
        )

    def drive(self, mu: Expr | arb, tolerance: arb | None = None) -> arb:
        """Return A at a number or at all numbers of a ball."""
        return self._expectation(Z * _slope * (_phi - _s), mu, tolerance)

    def drive_slope(self, mu: Expr | arb, tolerance: arb | None = None) -> arb:
        """Return dA/dmu = E[Z^2 sigma'' (phi - sigma)] - E[Z^2 sigma'^2] + sum jump c^2/mu^2 (phi - sigma) pdf/mu."""
        formula = Z**2 * (_bend * (_phi - _s) - (_slope**2 if self.own else 0))
        return self._expectation(formula, mu, tolerance) + self._kinks(_ball(mu), lambda z: z * z)

    def curvature(self, mu: Expr | arb, tolerance: arb | None = None) -> arb:
        """Return B."""
        formula = _bend * (_phi - _s) - (_slope**2 if self.own else 0)
        return self._expectation(formula, mu, tolerance) + self._kinks(_ball(mu), lambda z: arb(1))

    def _kinks(self, mu: arb, weight: Callable[[arb], arb]) -> arb:
        """Return sum_c jump(sigma')(c) weight(c/mu) (phi(c/mu) - sigma(c)) pdf(c/mu)/mu."""
        total = arb(0)
        for cut, (left, right) in zip(self.student.cuts, pairwise(self.slope.parts), strict=True):
            c = place(cut)
            z, jump = c / mu, function(right - left, x)(acb(c)).real
            gap = _at(self.teacher, z) - (_at(self.student, c) if self.own else 0)
            total += jump * weight(z) * gap * (-z * z / 2).exp() / ((2 * arb.pi()).sqrt() * mu)
        return total

    def search_time(self, mu: Expr | arb) -> arb:
        """Return tau; a ball that is not finite where A may be 0 and B not positive."""
        return search_time_of(self.drive(mu), self.curvature(mu))


@lru_cache(maxsize=1024)
def _derivative(split: Branches) -> Branches:
    return split.diff()


def search_time_of(A: arb, B: arb) -> arb:
    """Return tau from A and B, one way or the other so that nothing cancels.

    >>> search_time_of(arb(0), arb(2)), search_time_of(arb(2), arb(-3)), search_time_of(arb(0), arb(-1))
    (0.500000000000000, 1.00000000000000, [+/- inf])
    """
    root = (B * B + 4 * A * A).sqrt()
    if B > 0:
        return 2 / (B + root)
    return arb(0, arb.pos_inf()) if A.contains(0) else (root - B) / (2 * A * A)


def _aligned(mu: Number) -> Expr:
    number = exact_number(mu)
    if not (number.is_finite and number.is_positive):
        raise ParameterError(f"mu = {mu} given; accepted: a positive number.")
    return number


def drive(student: Expr, teacher: Expr, mu: Number, own: bool = True) -> Enclosure:
    """Return A at an alignment.

    >>> relu = sp.Max(x, 0)
    >>> drive(relu, relu, 0.5)
    <Enclosure value = 0.25 ± ..., certified = True>
    """
    pair, at = Pair.of(student, teacher, own), _aligned(mu)
    return resolved(lambda: pair.drive(at), f"A at mu = {mu}")


def curvature(student: Expr, teacher: Expr, mu: Number, own: bool = True) -> Enclosure:
    """Return B at an alignment.

    >>> relu = sp.Max(x, 0)
    >>> curvature(relu, relu, 0.5)
    <Enclosure value = -0.5 ± ..., certified = True>
    """
    pair, at = Pair.of(student, teacher, own), _aligned(mu)
    return resolved(lambda: pair.curvature(at), f"B at mu = {mu}")


def search_time(student: Expr, teacher: Expr, mu: Number, own: bool = True) -> Enclosure:
    """Return tau at an alignment.

    >>> spike = sp.tanh(x) + 5 * sp.exp(-(10**6) * (x - sp.Float("0.3")) ** 2)
    >>> search_time(spike, spike, 0.5).value
    43.1293190448...

    Raises `NotCertifiedError` where it is not finite, or not proved to be.
    """
    pair, at = Pair.of(student, teacher, own), _aligned(mu)
    return resolved(lambda: pair.search_time(at), f"tau at mu = {mu}")
