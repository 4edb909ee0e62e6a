"""What is proved of one search: A, B and tau at an alignment, the kinks of both functions, the critical alignments."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import sympy as sp
from sympy import Expr

from numerics.integrals.certified.claims import PREFIX, Claim, reason_of
from numerics.rates.enclosed import Balls
from numerics.rates.isolation import Isolation, isolate
from numerics.rates.place import Place, parts_at, place_of
from theory.enclosures.branches import branches
from theory.enclosures.zeros import Point, Zero, place
from theory.errors import HermescapeError, NotCertifiedError, ParameterError
from theory.network.derivation import takes_text
from theory.network.system import System
from theory.shown import Shown

__all__ = ["Certificate", "Kinks", "certify"]


@dataclass(frozen=True)
class Kinks(Shown):
    """The places at which a function passes from one formula to the next, all of them.

    Attributes:
        places: in ascending order; none of a smooth function.
        reason: why they are not proved.
    """

    shows = "places, reason"

    places: tuple[Claim, ...] = ()
    reason: str = ""

    @property
    def certified(self) -> bool:
        """Whether these are proved, and all."""
        return not self.reason

    @property
    def brief(self) -> str:
        """The places, or why they are not proved."""
        return ", ".join(place.brief for place in self.places) or (f"{PREFIX}{self.reason}" if self.reason else "none")


@dataclass(frozen=True)
class Certificate(Shown):
    """What is proved of the search of aligned LoRA at one pre-trained weight, in time t = eta * step.

    Attributes:
        mu: alignment of the pre-trained weight.
        A: drive, dm/dt = A u at the start.
        B: minus the curvature of the loss across the bulk.
        tau: search time.
        student_kinks: of the activation.
        teacher_kinks: of the link that it learns.
        critical: the roots of A.
    """

    shows = "mu, A, B, tau, student_kinks, teacher_kinks, critical"

    system: System
    mu: Expr
    A: Claim
    B: Claim
    tau: Claim
    student_kinks: Kinks
    teacher_kinks: Kinks
    critical: Isolation


@takes_text
def certify(system: System, mu: float | sp.Rational | str) -> Certificate:
    """Return what is proved of A, B and tau at an alignment, of the kinks, and of the critical alignments.

    Every item is an enclosure that contains the true value as a theorem, rounding included, or says why there is none.

    Args:
        system: a derived system of model lora.
        mu: alignment in (0, 1]; text and fractions are exact, a float is the decimal that it prints.

    Raises:
        ParameterError: mu outside its domain, another model, a family without values.
        InputError: a student that jumps or has an infinite slope.

    >>> proof = certify("max(x - 1, 0)", "1/2")
    >>> proof.tau.low, proof.tau.high
    ('8.288652226001628...', '8.288652226001628...')
    >>> proof.student_kinks.places[0].expression, proof.critical.certified
    (1, False)
    """
    if not system.escape.is_aligned:
        raise _not_lora(system)
    at = place_of(system, mu, None, {})
    if system.escape.square is None:
        raise _not_lora(system)
    loss = system.loss_function
    kinks = _kinks(loss.student.expr), _kinks(loss.teacher.expr)
    return Certificate(system, at.mu, *_numbers(system, at), *kinks, _critical(system))


def _not_lora(system: System) -> ParameterError:
    name = system.network.name
    return ParameterError(f"model {name} given; accepted: model lora, whose search time is that of A and B.")


def _numbers(system: System, at: Place) -> tuple[Claim, Claim, Claim]:
    """Return what is proved of A, B and tau."""
    try:
        balls = Balls(at, parts_at(system, at), aligned=True, slowdown=1)
        is_infinite = balls.is_at_rest
    except NotCertifiedError as failure:
        failed = Claim(reason=reason_of(failure))
        return failed, failed, failed
    tau = Claim(expression=sp.oo) if is_infinite else Claim.of(lambda: balls.tau, f"tau at mu = {at.mu}")
    return Claim.of(lambda: balls.A, f"A at mu = {at.mu}"), Claim.of(lambda: balls.B, f"B at mu = {at.mu}"), tau


def _kinks(f: Expr) -> Kinks:
    try:
        return Kinks(tuple(Claim.of(partial(place, cut), "a kink", _expression(cut)) for cut in branches(f).cuts))
    except NotCertifiedError as failure:
        return Kinks(reason=reason_of(failure))


def _expression(cut: Point) -> Expr | None:
    return None if isinstance(cut, Zero) else cut


def _critical(system: System) -> Isolation:
    try:
        return isolate(system)
    except HermescapeError as failure:  # A vanishes at every mu
        return Isolation((), reason=reason_of(failure))
