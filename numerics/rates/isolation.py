"""The critical alignments of a system with what is proved of them: where they are, and that there are no others.

Where A is a polynomial (or linear) its roots are isolated exactly, in all of (0, 1]. Any other A is enclosed on balls
of mu (`numerics.integrals.certified.alignments`), from 2^-10 on. What stays open there is scanned
(`theory.search.roots.scanned`), and what the scan shows is marked as not certified.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import sympy as sp
from sympy import Expr

from numerics.integrals.certified.alignments import MOST, SMALLEST, critical_alignments
from numerics.integrals.certified.claims import PREFIX, Claim, reason_of
from numerics.integrals.certified.enclosure import DOUBLE_DIGITS, outwards, printed
from numerics.integrals.certified.integrals import FEW, Pair
from theory.calculus.expectations import is_closed
from theory.enclosures.balls import constant
from theory.enclosures.zeros import Interval
from theory.errors import NotCertifiedError
from theory.network.derivation import takes_text
from theory.network.system import System
from theory.search.critical import CriticalStrength, critical_strengths, isolates_exactly, require_values
from theory.search.roots import Root, drive_of, isolated, scanned
from theory.shown import Shown

__all__ = ["Isolation", "alignments_of", "isolate"]

QUICK, PATIENT = (150, 500), (MOST, FEW)  # balls, and evaluations of an integrand on each
END_DIGITS = 8  # of an undecided interval
PRECISE = 1e-14  # error of a root around which A and B may be expanded


@dataclass(frozen=True)
class Isolation(Shown):
    """What is proved of the critical alignments in [`low`, 1].

    Attributes:
        roots: the proved ones in ascending order.
        undecided: intervals in which there may be others.
        low: the least alignment that was looked at; 0 where all of (0, 1] was.
        reason: why nothing is proved.
    """

    shows = "roots, undecided, low, reason"

    roots: tuple[Claim, ...]
    undecided: tuple[Interval, ...] = ()
    low: Fraction = SMALLEST
    reason: str = ""

    @property
    def certified(self) -> bool:
        """Whether it is proved that there are no others."""
        return not (self.reason or self.undecided)

    @property
    def brief(self) -> str:
        """The roots, and what is known beside them."""
        return "; ".join([*(root.brief for root in self.roots), self.words])

    @property
    def words(self) -> str:
        """What is proved beside the roots, or open."""
        if self.reason:
            return f"{PREFIX}{self.reason}"
        if self.undecided:
            return f"undecided: {', '.join(f'[{low}, {high}]' for low, high in self.open_ends)}"
        return f"no {'other ' if self.roots else ''}root of A in {self.range}"

    @property
    def range(self) -> str:
        """Where they were looked for."""
        return f"[{float(self.low):.10g}, 1]" if self.low else "(0, 1]"

    @property
    def open_ends(self) -> list[tuple[str, str]]:
        """The undecided intervals as decimals, rounded outwards."""
        return [outwards(low, high, END_DIGITS) for low, high in self.undecided]


def isolate(system: System, *, patient: bool = True) -> Isolation:
    """Return the proved critical alignments; without patience the search for a proof is short.

    Raises as `theory.search.critical.critical_strengths`, but for what only the scan refuses.

    >>> from theory.network.derivation import derive
    >>> he3 = isolate(derive("he3"))
    >>> [root.value for root in he3.roots], he3.certified, he3.low
    ([0.32072434732..., 1.0], True, Fraction(0, 1))
    """
    require_values(system)
    drive, loss = drive_of(system.escape), system.loss_function
    if isolates_exactly(system):
        claims = (Claim.of(partial(constant, root.mu), "a root of A", root.mu) for root in isolated(drive))
        return Isolation(tuple(sorted(claims, key=_size)), low=Fraction(0))
    most, evaluations = PATIENT if patient else QUICK
    pair = loss.student.expr, loss.teacher.expr, loss.own != 0
    try:
        alignments = critical_alignments(*pair, most=most, evaluations=evaluations)
    except NotCertifiedError as failure:
        return Isolation((), reason=reason_of(failure))
    return Isolation(tuple(map(Claim.within, alignments.roots)), alignments.undecided, alignments.low)


@takes_text
def alignments_of(system: System) -> tuple[tuple[CriticalStrength, ...], Isolation]:
    """Return the critical alignments as `critical_strengths` does, proved where that can be done, and what is proved.

    Those that are not proved come from the scan, and are looked for only where the proof leaves room for them.

    >>> (end,), isolation = alignments_of("tanh")
    >>> end.certified, isolation.certified, isolation.low
    (True, True, Fraction(1, 1024))
    """
    isolation = isolate(system, patient=False)
    if isolation.low == 0:
        return critical_strengths(system), isolation
    roots = [
        _root(system, claim) for claim in isolation.roots if _is_precise(claim) and not _is_undecided(claim, isolation)
    ]
    if isolation.undecided or len(roots) < len(isolation.roots) or isolation.reason:
        roots += [root for root in scanned(system.escape) if _may_be(root, isolation)]
    return critical_strengths(system, roots), isolation


def _pair(system: System) -> Pair:
    loss = system.loss_function
    return Pair.of(loss.student.expr, loss.teacher.expr, loss.own != 0)


def _size(claim: Claim) -> float:
    assert claim.value is not None
    return float(claim.value)


def _is_precise(claim: Claim) -> bool:
    return claim.error is not None and bool(claim.error <= PRECISE)


def _is_undecided(claim: Claim, isolation: Isolation) -> bool:
    """Whether a root lies where there may be others, so that it may be a multiple one: mu = 1."""
    return _is_in(_size(claim), isolation.undecided)


def _is_in(alignment: float, intervals: Sequence[Interval]) -> bool:
    return any(low <= alignment <= high for low, high in intervals)


def _may_be(root: Root, isolation: Isolation) -> bool:
    """Whether there may be a root that the scan shows: none is proved to be away, or there already."""
    alignment = float(root.mu)
    rough = [claim for claim in isolation.roots if not _is_precise(claim)]
    near = any(abs(alignment - _size(claim)) <= float(claim.error or 0) for claim in rough)
    return bool(isolation.reason) or near or _is_in(alignment, isolation.undecided)


def _root(system: System, claim: Claim) -> Root:
    """Return a proved root, which is simple, as the double that it is printed as."""
    alignment: Expr = sp.Float(claim.value, 17) if claim.error else sp.Rational(claim.value)
    error = sp.Float(claim.error, 5) if claim.error else sp.S.Zero
    return Root(alignment, 1, None, error, slope=_slope(system, alignment))


def _slope(system: System, alignment: Expr) -> Expr | None:
    """Return A' of an integral; what has a closed form keeps it."""
    assert system.escape.A is not None  # it has roots
    if is_closed(system.escape.A):
        return None
    pair = _pair(system)
    with suppress(NotCertifiedError):
        return printed(lambda: pair.drive_slope(alignment), f"A' at mu = {alignment}", DOUBLE_DIGITS).value
