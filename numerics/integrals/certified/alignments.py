r"""The critical alignments as a theorem: where A(mu) vanishes in [2^-10, 1], and that it vanishes nowhere else there.

A and A' are enclosed on balls of mu (`numerics.integrals.certified.integrals.Pair`), and an interval is halved until A,
or A(m) + A'(mu) (mu - m), excludes 0 on it, or A' does: then the signs at its ends decide
(`theory.enclosures.zeros.isolated`). A student that equals its teacher has A(1) = 0; an interval [1 - h, 1] on which A'
excludes 0 shows that mu = 1 is the only root in it, and the rest is searched. What stays open is returned as such:
double roots, and stretches on which |A| is smaller than balls tell from 0. A search whose first balls
decide less than a quarter of the range is given up: features that are narrow at every mu cost minutes and show nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from flint import arb
from sympy import Expr

from numerics.integrals.certified.enclosure import Enclosure
from numerics.integrals.certified.integrals import FEW, Pair
from theory.enclosures.balls import precision, real_number
from theory.enclosures.zeros import Enclosed, Interval, isolated, refined
from theory.errors import NotCertifiedError
from theory.shown import Shown

__all__ = ["SMALLEST", "Alignments", "critical_alignments"]

SMALLEST = Fraction(1, 2**10)
BITS, FINE = 64, 96
SPLITS = tuple(Fraction(k, 997) for k in (3, 11, 37, 121, 263, 397, 541, 683, 811, 907))
"""Where the search begins to halve: no half of a half is then a number such as 1/2, at which a root may lie."""
ENDS = tuple(Fraction(1, 997 * 2**k) * 311 for k in range(20))  # h of [1 - h, 1]
NARROWEST = Fraction(1, 2**24)
MOST, FIRST = 600, 60  # balls on which A is enclosed, and of these before it is asked whether that leads anywhere
SHARE = Fraction(1, 256)  # of a ball's width to which A on it is integrated, beside the size of A


@dataclass(frozen=True)
class Alignments(Shown):
    """The critical alignments in [`low`, 1].

    Attributes:
        roots: the proved ones in increasing order; every one is the only root in its neighbourhood, and simple.
        undecided: intervals in which there may be others.
        low: the least alignment that was looked at.
    """

    shows = "roots, undecided, low"

    roots: tuple[Enclosure, ...]
    undecided: tuple[Interval, ...]
    low: Fraction = SMALLEST

    @property
    def is_complete(self) -> bool:
        """Whether it is proved that there are no others."""
        return not self.undecided


def critical_alignments(
    student: Expr,
    teacher: Expr,
    own: bool = True,
    low: Fraction = SMALLEST,
    most: int = MOST,
    evaluations: int = FEW,
) -> Alignments:
    """Return where A vanishes in [low, 1].

    It is enclosed on `most` balls at most, by so many `evaluations` of an integrand each.

    >>> import sympy as sp
    >>> from theory.symbols import x
    >>> found = critical_alignments(x**3 - 3 * x, x**3 - 3 * x)
    >>> [root.value for root in found.roots], found.is_complete
    ([0.32072434..., 1.0], True)

    Raises `NotCertifiedError` where A cannot be enclosed, or is not told from 0 anywhere.
    """
    pair = Pair.of(student, teacher, own, evaluations)
    with precision(BITS):
        size = _size(pair)

        def tolerance(mu: arb) -> arb:
            return size * mu.rad() * real_number(2 * SHARE)

        def drive(mu: arb) -> arb:
            return pair.drive(mu, tolerance(mu))

        def slope(mu: arb) -> arb:
            return pair.drive_slope(mu, tolerance(mu))

        def at(mu: Fraction) -> arb:
            return pair.drive(real_number(mu))

        def quickly_at(mu: Fraction) -> arb:
            return pair.drive(real_number(mu), size * arb(2) ** -BITS)

        is_own = own and pair.student == pair.teacher
        end, rest = _end(slope) if is_own else (Fraction(1), [])
        inner = [split for split in SPLITS if low < split < end]
        brackets, undecided = isolated(
            drive, slope, quickly_at, pairwise((low, *inner, end)), NARROWEST, min(FIRST, most)
        )
        if undecided and most > FIRST and 4 * sum(b - a for a, b in undecided) < 3 * (end - low):
            others, undecided = isolated(drive, slope, quickly_at, undecided, NARROWEST, most - FIRST)
            brackets = sorted([*brackets, *others], key=lambda each: each.low)
    with precision(FINE):
        roots = [Enclosure.of(refined(each, slope, at)) for each in brackets]
        return Alignments(tuple(roots + [Enclosure.of(arb(1))] * is_own), tuple(undecided + rest), low)


def _size(pair: Pair) -> arb:
    """Return how large A is at most at a few alignments."""
    values = [abs(pair.drive(real_number(mu))).upper() for mu in SPLITS[2::2]]
    size = max(values, key=float)
    if not (size.is_finite() and size > arb(2) ** -BITS):
        raise NotCertifiedError("not certified: A is not told from 0 at any alignment.")
    return size


def _end(slope: Enclosed) -> tuple[Fraction, list[Interval]]:
    """Return 1 - h with no root in [1 - h, 1), and what is undecided beyond."""
    for h in ENDS:
        steepness = slope(real_number(1 - h).union(arb(1)))
        if steepness.is_finite() and not steepness.contains(0):
            return 1 - h, []
    return 1 - ENDS[-1], [(1 - ENDS[-1], Fraction(1))]
