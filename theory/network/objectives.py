r"""What is minimised, and what a step of SGD is proportional to.

With the residual c f - y of a sample, a step moves every weight against (c f - y) f', so that c alone tells them apart:

    squared         L = 1/2 E (f - y)^2                          c = 1,
    correlation     L = -E[f y] + 1/2 E y^2                      c = 0.

The correlation loss has no term of the student's own. For one unit it is -K(q, r) + 1/2 E y^2, whose slope L_q is that
of the squared loss and whose L_r lacks 1/4 E_r[(sigma^2)'']. On the sphere both have one flow, which is that of the
information exponent (Ben Arous, Gheissari & Jagannath 2021, arXiv:2003.10409), with other noise. It may be negative,
and where a length or a coefficient is trained nothing holds that: `theory.network.ridges.Network.caution`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sympy import Expr, S

from theory.errors import ParameterError

__all__ = ["OBJECTIVES", "Objective", "objective"]


@dataclass(frozen=True)
class Objective:
    """One objective.

    Attributes:
        name: on the command line.
        own: c of the residual c f - y, a factor of the student's own value.
        words: what the population loss is.
    """

    name: str
    own: Expr
    words: str

    @property
    def aside(self) -> str:
        """What titles say of it: nothing of the squared loss."""
        return "" if self.own else f", {self.name} loss"


OBJECTIVES: Mapping[str, Objective] = {
    kind.name: kind
    for kind in (
        Objective("squared", S.One, "half the mean squared error"),
        Objective("correlation", S.Zero, "half the mean squared label minus the mean of student times label"),
    )
}
"""Every objective by name."""


def objective(name: Any) -> Objective:
    """Return an objective by name; raises `ParameterError` for any other value.

    >>> objective("correlation").own
    0
    """
    if not isinstance(name, str) or name not in OBJECTIVES:
        accepted = ", or ".join(f"{kind.name!r}, {kind.words}" for kind in OBJECTIVES.values())
        raise ParameterError(f"objective = {name!r} given; accepted: {accepted}.")
    return OBJECTIVES[name]
