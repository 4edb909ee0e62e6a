r"""Bifurcations of the critical alignments of a family: exact where A is polynomial, else searched for; and branches.

*Exact*: `theory.search.bifurcations`, where A is a polynomial in mu and the parameter p; nothing is missed.

The zeros of B are searched for alike (`of="B"`).

*Searched for* elsewhere: F = A/(mu^j (1 - mu)^k) is sampled at mu = 0 and 1 (by derivatives of A, where it has them
there), at 2^-10, ..., 2^-6 and at 64 equal steps of mu, for 65 values of p, by its compiled closed form, or for 33 by
quadrature; j is the order of A at mu = 0, and k = 1 where student and teacher are one function. Roots in mu are
changes of sign, refined, and minima of |F| that reach zero when followed down. Between two values of p at which the
signs of F at mu = 0 or 1 differ lies an *end* of a branch, F(0, p) = 0 or F(1, p) = 0. Where only the number of roots
differs by two, two neighbours have met in a *fold*: the extremum of F between them is zero there, inside of their
bracket, and a closed form is then polished by Newton's method for A = dA/dmu = 0, at 30 digits.

Signs of a closed form are proved, by balls of up to 1024 bits, however small it is. A sign of anything else is taken
where |F| is beyond its stated error and 1e-13 of the largest |F|; alignments without a sign are left out. What is known
then reaches from the lowest alignment with a sign to the highest (`Bifurcations.ranges`), and a branch that passes
these, or that they pass, leaves *below* or *above* them. A change of the number that is none of this is *unclear*.

Nothing of that is a proof: what two events between neighbouring values of p undo is missed, and so are roots closer to
each other than a step where |F| has no sampled minimum. Branches that cross keep their number, and are not looked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

import mpmath
import numpy as np
import scipy
import sympy as sp
from numpy.typing import NDArray
from sympy import Expr

from numerics.accuracy import BIFURCATION
from numerics.integrals.signed import Signed, signed
from theory.calculus.expectations import is_closed
from theory.errors import HermescapeError, ParameterError
from theory.language.activations import Activation
from theory.language.parameters import Declarations, Parameter
from theory.lazy import Provided
from theory.network.system import System
from theory.search.bifurcations import ZEROS, Bifurcation, Kind, Quantity, borders_of, counted, of_polynomial
from theory.search.roots import bend_of, drive_of
from theory.search.window import chambers_along, family_over, middle, window
from theory.shown import Row, Shown
from theory.symbols import mu

__all__ = ["Bifurcations", "Branch", "bifurcations"]

Array = NDArray[np.float64]

PANELS = 64  # of mu, and of p; half as many of p where A is integrated
SMALLEST = 10  # alignments between 0 and 2^-10 are not sampled
HIGHEST = 4  # order of A at mu = 0
NOISE = 1e-13  # of the largest |F|, where its signs are not proved
DEEPEST = 1e-30  # a root between 0 and the first alignment is known so far down
NEXT = 1e-6  # in mu: an extremum so near the end of its bracket is none
VANISHED = 1e-3  # of the extremum of F on either side of a fold
SPLITS = 36  # halvings of a step of p in which several things happen; half as many where A is integrated
POINTS = 101  # of a branch; half as many where A is integrated
DIGITS = 30
NEAR = 0.03  # in mu: a branch that ends so near a bifurcation ends in it


@dataclass(frozen=True, eq=False)
class Branch:
    """One critical alignment as a function of the parameter, between two bifurcations.

    Attributes:
        values: ascending values of the parameter, denser towards the bifurcations.
        mu: the critical alignment at each.
    """

    values: Array
    mu: Array


@dataclass(frozen=True, eq=False)
class Bifurcations(Shown):
    """Where zeros of A, which are critical alignments, or of B appear and vanish as a parameter of a family varies.

    Attributes:
        name: of the parameter.
        points: bifurcations, ascending in the parameter.
        borders: the ends of the interval, and the values of the bifurcations between them.
        counts: the number of critical alignments between every two borders.
        ranges: the alignments between which these were counted: (0, 1), unless A has no known sign beyond them.
        branches: the critical alignments between every two borders, as arrays.
        exact: whether the bifurcations are exact and none is missed: A is polynomial in mu and the parameter.
        family: the system, with this parameter left.
        quantity: "A"; or "B", whose zeros take the place of critical alignments.
    """

    plot = Provided()
    """draws the branches and the bifurcations"""

    name: str
    points: tuple[Bifurcation, ...]
    borders: tuple[Expr, ...]
    counts: tuple[int, ...]
    ranges: tuple[tuple[float, float], ...]
    branches: tuple[Branch, ...]
    exact: bool
    family: System
    quantity: Quantity = "A"

    @property
    def folds(self) -> tuple[Bifurcation, ...]:
        """Where two critical alignments meet and vanish."""
        return tuple(point for point in self.points if point.kind == "fold")

    @property
    def ends(self) -> tuple[Bifurcation, ...]:
        """Where a critical alignment enters or leaves at mu = 0 or 1."""
        return tuple(point for point in self.points if point.kind == "end")

    @property
    def intervals(self) -> list[tuple[float, float, int]]:
        """Every two neighbouring borders, and the number of critical alignments between them."""
        spans = pairwise(map(float, self.borders))
        return [(low, high, count) for (low, high), count in zip(spans, self.counts, strict=True)]

    def count(self, value: float) -> int:
        """Return the number of critical alignments, in (0, 1) or its range, at a value that is no border."""
        for low, high, count in self.intervals:
            if low < value < high:
                return count
        raise ParameterError(
            f"{self.name} = {value!r} given; accepted: a number between {float(self.borders[0]):g} and "
            f"{float(self.borders[-1]):g} that is no bifurcation."
        )

    @property
    def brief(self) -> str:
        """How many critical alignments there are where."""
        return ", ".join(f"{count} for {low:.6g} < {self.name} < {high:.6g}" for low, high, count in self.intervals)

    def quantities(self) -> list[Row]:
        """The number of critical alignments in every interval, and every bifurcation."""
        rows = [
            Row(f"{low:.6g} < {self.name} < {high:.6g}", count, f"{ZEROS[self.quantity][1]} {_said(reach)}")
            for (low, high, count), reach in zip(self.intervals, self.ranges, strict=True)
        ]
        rows += [Row(f"{self.name}, {point.kind}", point.value, point.words, point.error) for point in self.points]
        return [*rows, Row("exact", self.exact, "whether the bifurcations are exact and none is missed")]


def bifurcations(
    system: str | Expr | Activation | System,
    over: str,
    between: Sequence[float | Expr | str] | None = None,
    *,
    of: Quantity = "A",
    parameters: Declarations = None,
    **values: float | Expr | str,
) -> Bifurcations:
    """Return how the critical alignments of aligned LoRA change with a parameter of a family.

    Args:
        system: a derived family of model lora; or an activation, whose parameters are `over` and those with values.
        over: name of the parameter.
        between: ends of the interval of its values; by default its domain, if that is bounded.
        of: "A", or "B", whose zeros are then what appears and vanishes.
        parameters: declarations for an activation as text (`hermescape.derive`).
        values: of the other parameters.

    Raises:
        ParameterError: another model, an unbounded interval, or parameters without a value.
        InputError: a student whose A is infinite.
        HermescapeError: A = 0 for every mu.

    >>> report = bifurcations("c1*x + c3*He(3, x)", over="c1", between=(-2, 4), c3=1)
    >>> report.counts, report.exact
    ((0, 2, 1, 0), True)
    >>> [(point.kind, float(point.value), float(point.mu)) for point in report.points]
    [('fold', -0.43712097..., 0.22222964...), ('end', 0.0, 0.0), ('end', 3.0, 0.0)]
    >>> bifurcations("sin(b*x)", over="b", between=(1, 4)).counts
    (0, 2)
    >>> bifurcations("p*x + He(2, x)", over="p", between=(0, 4), of="B").points[0].words
    'a zero of B enters or leaves at mu = 0'
    """
    family = family_over(system, over, parameters, values)
    part = window(family, over, between)
    if not (part.low.is_finite and part.high.is_finite):
        raise ParameterError(
            f"no interval of {part} given; accepted: two numbers, as --between LOW:HIGH or in Python "
            "between=(LOW, HIGH)."
        )
    if of not in ZEROS:
        raise ParameterError(f"of = {of!r} given; accepted: A or B.")
    pieces = [_Piece(piece, member, of) for piece, member in chambers_along(family, part)]
    points, borders, counts, ranges = list[Bifurcation](), list[Expr](), list[int](), list[tuple[float, float]]()
    for piece in pieces:
        own, inner, numbers = piece.events
        reaches = piece.ranges
        if counts and (counts[-1], ranges[-1]) == (numbers[0], reaches[0]):  # nothing changes at the wall
            inner, numbers, reaches = inner[1:], numbers[1:], reaches[1:]
        elif counts:
            points.append(Bifurcation("wall", piece.part.low, quantity=of))
        points += own
        borders += inner[:-1]
        counts += numbers
        ranges += reaches
    branches = [branch for piece in pieces for branch in piece.branches]
    exact = all(piece.is_exact for piece in pieces)
    seen = (tuple(points), (*borders, part.high), tuple(counts), tuple(ranges), tuple(branches))
    return Bifurcations(over, *seen, exact, family, of)


@dataclass(frozen=True, eq=False)
class _Piece:
    """A family of one parameter where it has one formula, and whose zeros are asked for."""

    part: Parameter
    system: System
    quantity: Quantity = "A"
    _kept: dict[float, tuple[Array, Array]] = field(default_factory=dict)

    @cached_property
    def drive(self) -> Expr:
        return (drive_of if self.quantity == "A" else bend_of)(self.system.escape)

    @property
    def _cost(self) -> int:
        return 1 if is_closed(self.drive) else 2

    @cached_property
    def _polynomial(self) -> tuple[list[Bifurcation], Callable[[Parameter], int]] | None:
        return of_polynomial(self.drive, self.part, self.quantity)

    @property
    def is_exact(self) -> bool:
        return self._polynomial is not None

    @cached_property
    def events(self) -> tuple[list[Bifurcation], list[Expr], list[int]]:
        """Bifurcations, with the ends of the piece their values, and the number of roots between these."""
        points, count = self._polynomial or (
            [replace(point, quantity=self.quantity) for point in self._search()],
            lambda part: len(self.roots(float(middle(part)))),
        )
        borders = borders_of(points, self.part)
        return points, borders, counted(borders, self.part, count)

    @property
    def ranges(self) -> list[tuple[float, float]]:
        """Between every two borders, the alignments between which F had a sign wherever it was looked at."""
        ranges = list[tuple[float, float]]()
        for low, high in pairwise(map(float, self.events[1])):
            seen = [nodes for value, (nodes, _) in self._kept.items() if low < value < high]
            if self.is_exact or not seen:
                ranges.append((0.0, 1.0))
            elif any(not len(nodes) for nodes in seen):
                ranges.append((math.nan, math.nan))
            else:
                ranges.append((max(float(nodes[0]) for nodes in seen), min(float(nodes[-1]) for nodes in seen)))
        return ranges

    # --- F = A/(mu^j (1 - mu)^k)

    @cached_property
    def _own(self) -> bool:
        """Whether mu = 1 is a root for every value: there w0 = w*, a minimum."""
        return self.quantity == "A" and self.system.loss_function.ends_at_teacher

    @cached_property
    def _at_zero(self) -> tuple[int, Signed | None]:
        """j, and F at mu = 0; 0 and None where A has no such derivatives."""
        for j in range(HIGHEST):
            leading = self._derivative(0, j)
            if leading is None:
                break
            numbers = [leading(float(middle(self.part, sp.Rational(i, 7)))) for i in (1, 3, 6)]
            if not all(math.isfinite(number) for number, _ in numbers):
                break
            if any(abs(number) > error for number, error in numbers):
                return j, leading
        return 0, None

    @cached_property
    def _at_one(self) -> Signed | None:
        return self._derivative(1, 1 if self._own else 0)

    def _derivative(self, alignment: int, n: int) -> Signed | None:
        """Return (d/dmu)^n A/n! at an end of (0, 1), negative for n = 1 at mu = 1; None where it is not known."""
        try:
            there = self.drive.diff(mu, n).subs(mu, alignment) / (sp.factorial(n) * (1 - 2 * alignment) ** n)
            made = signed((self.part.symbol,), there)
            return made if math.isfinite(made(float(middle(self.part)))[0]) else None
        except (HermescapeError, ArithmeticError, TypeError, ValueError):  # SymPy compares no infinity
            return None

    @cached_property
    def _inside(self) -> Signed:
        return signed((mu, self.part.symbol), self.drive)

    def at(self, alignment: float, value: float) -> float:
        """Return F."""
        return self._at(alignment, value)[0]

    def _at(self, alignment: float, value: float) -> tuple[float, float]:
        """Return F and its error."""
        (j, start), end = self._at_zero, self._at_one
        if alignment == 0 and start is not None:
            return start(value)
        if alignment == 1 and end is not None:
            return end(value)
        number, error = self._inside(alignment, value)
        share = alignment**j * (1 - alignment if self._own else 1.0)
        return number / share, error / share

    @cached_property
    def _nodes(self) -> Array:
        low = [] if self._at_zero[1] is None else [0.0]
        high = [1 - 2.0**-SMALLEST] if self._at_one is None else [1.0]
        inner = [2.0**-j for j in range(SMALLEST, 6, -1)] + [i / PANELS for i in range(1, PANELS)]
        return np.array([*low, *inner, *high])

    def _samples(self, value: float) -> tuple[Array, Array]:
        """Return alignments and F there, where its sign is known."""
        if value not in self._kept:
            f, errors = np.array([self._at(node, value) for node in self._nodes.tolist()]).T
            noise = errors + (errors > 0) * NOISE * np.max(abs(f), initial=0.0, where=np.isfinite(f))
            kept = np.isfinite(f) & (abs(f) > noise)
            self._kept[value] = self._nodes[kept], f[kept]
        return self._kept[value]

    # --- roots in mu

    def roots(self, value: float) -> list[float]:
        """Return the roots in (0, 1) at a value of the parameter, ascending."""
        nodes, f = self._samples(value)
        signs, sizes = np.sign(f), abs(f)
        places = [
            self._root(float(nodes[i]), float(nodes[i + 1]), value) for i in np.flatnonzero(signs[1:] != signs[:-1])
        ]
        for i in range(1, len(nodes) - 1):
            if signs[i - 1] == signs[i] == signs[i + 1] and sizes[i - 1] >= sizes[i] < sizes[i + 1]:
                low, high = float(nodes[i - 1]), float(nodes[i + 1])
                dip, least = self._lowest(low, high, value, float(signs[i]))
                if least < 0:
                    places += [self._root(low, dip, value), self._root(dip, high, value)]
        return sorted(places)

    def _root(self, low: float, high: float, value: float) -> float:
        return _bracketed(lambda at: self.at(at, value), low, high)

    def _lowest(self, low: float, high: float, value: float, side: float) -> tuple[float, float]:
        """Return where side * F is smallest between two alignments, and its value there."""
        least = scipy.optimize.minimize_scalar(
            lambda at: side * self.at(at, value), bounds=(low, high), method="bounded", options={"xatol": 1e-9}
        )
        return float(least.x), float(least.fun)

    # --- the search

    def _search(self) -> list[Bifurcation]:
        low, high = (float(end) for end in (self.part.low, self.part.high))
        inset = BIFURCATION * (high - low)
        values = np.linspace(low + inset, high - inset, PANELS // self._cost + 1).tolist()
        return [point for pair in pairwise(values) for point in self._events(*pair, SPLITS // self._cost)]

    def _events(self, low: float, high: float, splits: int) -> list[Bifurcation]:
        """Return what happens between two values: one thing, or what does on either half."""
        before, after = (self.roots(value) for value in (low, high))
        reach = self._common(low, high)
        ends = [
            at for at in reach if self.at(at, low) < 0 < self.at(at, high) or self.at(at, high) < 0 < self.at(at, low)
        ]
        change = abs(len(before) - len(after))
        if not (ends or change):
            return []
        if len(ends) == change == 1:
            return [self._end(low, high, ends[0])]
        if not ends and change == 2:
            fold = self._fold((low, before), (high, after))
            if fold is not None:
                return [fold]
        half = (low + high) / 2
        if splits and low < half < high:
            return self._events(low, half, splits - 1) + self._events(half, high, splits - 1)
        if ends:
            return [self._end(low, high, at) for at in ends]
        return self._lost((half, high - low), before if len(before) > len(after) else after, change, reach)

    def _common(self, low: float, high: float) -> tuple[float, ...]:
        """Return the lowest and the highest alignment with a known sign of F at both values; none if there is none."""
        shared = np.intersect1d(self._samples(low)[0], self._samples(high)[0])
        return (float(shared[0]), float(shared[-1])) if len(shared) else ()

    def _lost(
        self, place: tuple[float, float], roots: Sequence[float], change: int, reach: tuple[float, ...]
    ) -> list[Bifurcation]:
        """Return where roots come from beyond what is known, or why their number changes is not."""
        value, error = sp.Float(place[0]), place[1]
        points = list[Bifurcation]()
        if reach:
            beyond: tuple[tuple[Kind, float, bool], ...] = (
                ("below", reach[0], any(root < reach[0] for root in roots)),
                ("above", reach[1], any(root > reach[1] for root in roots)),
            )
            points = [Bifurcation(kind, value, sp.Float(at, 6), error) for kind, at, is_left in beyond if is_left]
        return points if len(points) == change else [Bifurcation("unclear", value, error=error)]

    def _end(self, low: float, high: float, at: float) -> Bifurcation:
        """Return where a root passes mu = 0 or 1, or an end of what is known."""
        value = _bracketed(lambda value: self.at(at, value), low, high)
        error = BIFURCATION * max(1.0, abs(value))
        if at in (0, 1):
            return Bifurcation("end", sp.Float(value), sp.Integer(int(at)), error)
        return Bifurcation(
            "below" if at < self._nodes[len(self._nodes) // 2] else "above", sp.Float(value), sp.Float(at, 6), error
        )

    def _fold(self, one: tuple[float, list[float]], other: tuple[float, list[float]]) -> Bifurcation | None:
        """Return the fold in which two neighbouring roots meet; None where it is not clear which two."""
        (rich, roots), (poor, _) = (one, other) if len(one[1]) > len(other[1]) else (other, one)
        edges = [float(self._nodes[0]), *map(float, np.add(roots[1:], roots[:-1]) / 2), float(self._nodes[-1])]
        for i, between in enumerate(edges[1:-1]):
            low, high = edges[i], edges[i + 2]
            side = -float(np.sign(self.at(between, rich)))

            def least(value: float, low: float = low, high: float = high, side: float = side) -> float:
                return self._lowest(low, high, value, side)[1]

            heights = least(poor), least(rich)
            if heights[0] > 0 > heights[1]:
                value = _bracketed(least, *sorted((rich, poor)))
                alignment, left = self._lowest(low, high, value, side)
                if abs(left) < VANISHED * max(heights[0], -heights[1]) and low + NEXT < alignment < high - NEXT:
                    return self._polished(value, alignment)
        return None

    def _polished(self, value: float, alignment: float) -> Bifurcation:
        """Return a fold, by Newton's method where A has a closed form with derivatives there."""
        if is_closed(self.drive):
            p, equations = self.part.symbol, (self.drive, self.drive.diff(mu))

            def at(alignment: mpmath.mpf, value: mpmath.mpf) -> list[mpmath.mpf]:
                place = {mu: sp.Float(alignment, DIGITS), p: sp.Float(value, DIGITS)}
                return [mpmath.mpf(f.subs(place).evalf(DIGITS)) for f in equations]

            try:
                with mpmath.workdps(DIGITS):
                    solution = mpmath.findroot(at, (alignment, value), tol=mpmath.mpf(10) ** -DIGITS)
            except (ValueError, TypeError, ZeroDivisionError):
                solution = None
            near = math.sqrt(BIFURCATION)
            if (
                solution is not None
                and abs(solution[1] - value) < near * (1 + abs(value))
                and abs(solution[0] - alignment) < NEAR
            ):
                return Bifurcation(
                    "fold", sp.Float(solution[1], 15), sp.Float(solution[0], 15), 1e-15 * (1 + abs(value))
                )
        return Bifurcation("fold", sp.Float(value), sp.Float(alignment), BIFURCATION * max(1.0, abs(value)))

    # --- branches

    @property
    def branches(self) -> list[Branch]:
        """The roots between every two bifurcations, in order: there they do not meet."""
        points, borders, counts = self.events
        branches = list[Branch]()
        for low, high, count in zip(borders, borders[1:], counts, strict=False):
            shares = (1 - np.cos(np.linspace(0, math.pi, POINTS // self._cost)[1:-1])) / 2
            values = (float(low) + (float(high) - float(low)) * shares).tolist() if count else []
            rows = [(value, self.roots(value)) for value in values]
            rows = [(value, roots) for value, roots in rows if len(roots) == count]  # rounding hides some at a fold
            at = np.array([value for value, _ in rows])
            columns = np.array([roots for _, roots in rows]).T
            branches += [_joined(Branch(at, column), points, (low, high)) for column in columns]
        return branches


def _said(reach: tuple[float, float]) -> str:
    """Return where zeros were counted, in words."""
    if math.isnan(reach[0]):
        return "where signs are known, which are none"
    low, high = reach
    return f"in {'(0' if low == 0 else f'[{low:.6g}'}, {'1)' if high == 1 else f'{high:.6g}]'}"


def _bracketed(f: Callable[[float], float], low: float, high: float) -> float:
    xtol = DEEPEST if low == 0 else 1e-15
    return float(scipy.optimize.brentq(f, low, high, xtol=xtol, rtol=1e-14, maxiter=500))


def _joined(branch: Branch, points: Sequence[Bifurcation], borders: tuple[Expr, Expr]) -> Branch:
    """Let a branch begin and end in the bifurcations that it leads to."""
    values, alignments = branch.values.tolist(), branch.mu.tolist()
    for border, edge in zip(borders, (0, -1), strict=True):
        near = [float(point.mu) for point in points if point.value == border and point.mu is not None]
        closest = min(near, key=lambda place: abs(place - alignments[edge]), default=math.inf)
        if abs(closest - alignments[edge]) < NEAR:
            place = edge % (len(values) + 1)
            values.insert(place, float(border))
            alignments.insert(place, closest)
    return Branch(np.array(values), np.array(alignments))
