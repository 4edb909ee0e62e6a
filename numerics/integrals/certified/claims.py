"""What is proved of one number, or why nothing is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp
from flint import arb
from sympy import Expr

from numerics.integrals.certified.enclosure import END_DIGITS, Enclosure, printed
from numerics.integrals.quadrature import Real
from theory.errors import HermescapeError, NotCertifiedError
from theory.shown import Shown
from theory.typeset.printing import as_text

__all__ = ["PREFIX", "Claim", "reason_of"]

PREFIX = "not certified: "


@dataclass(frozen=True)
class Claim(Shown):
    """A number that is proved to lie between two others.

    Attributes:
        value: a double next to it, digits where no double is; None where nothing is proved.
        error: no less than the distance of `value` from it.
        low: the lower end of its enclosure, a decimal that is rounded down.
        high: the upper end, rounded up.
        expression: the number itself, where it has a name.
        reason: why nothing is proved.

    >>> from theory.enclosures.balls import constant
    >>> claim = Claim.of(lambda: constant(sp.pi), "pi")
    >>> claim.value, claim.low, claim.high
    (3.141592653589793, '3.1415926535897932374', '3.1415926535897932395')
    """

    shows = "value ± error, low, high, expression, reason"

    value: Real | None = None
    error: Real | None = None
    low: str | None = None
    high: str | None = None
    expression: Expr | None = None
    reason: str = ""

    @classmethod
    def of(cls, ball_at: Callable[[], arb], name: str, expression: Expr | None = None) -> Claim:
        """Return what is proved of a number that `ball_at` encloses at the precision that FLINT stands at."""
        try:
            near, nearer = printed(ball_at, name), printed(ball_at, name, END_DIGITS - 1)
        except NotCertifiedError as failure:
            return cls(reason=reason_of(failure))
        return cls(near.value, near.error, *nearer.to_decimals(), expression)

    @classmethod
    def within(cls, enclosure: Enclosure) -> Claim:
        """Return what an enclosure proves."""
        return cls(enclosure.value, enclosure.error, *enclosure.to_decimals())

    @property
    def certified(self) -> bool:
        """Whether something is proved."""
        return not self.reason

    @property
    def is_infinite(self) -> bool:
        """Whether it is proved to be infinite."""
        return self.expression is sp.oo

    @property
    def brief(self) -> str:
        """The number, where it is exact, else the interval in which it lies."""
        if not self.certified:
            return f"{PREFIX}{self.reason}"
        if self.is_infinite:
            return "infinite"
        if self.low == self.high:
            return f"{self.low} (exact)"
        name = "" if self.expression is None or self.expression.has(sp.CRootOf) else f"{as_text(self.expression)} "
        return f"{name}in [{self.low}, {self.high}]"


def reason_of(failure: HermescapeError) -> str:
    """Return why something is not certified."""
    return str(failure).removeprefix(PREFIX)
