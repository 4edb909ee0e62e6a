"""What a check says of one curve."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["Finding", "compare"]


@dataclass(frozen=True)
class Finding:
    """The largest deviation of a curve from its reference, in units of what is allowed.

    Attributes:
        curve: what was looked at.
        reference: what it was compared with.
        deviation: the largest, in units of the tolerance; above 1 is off.
        points: compared.
    """

    curve: str
    reference: str
    deviation: float
    points: int

    @property
    def passed(self) -> bool:
        """Whether the curve agrees; nothing compared does not."""
        return self.points > 0 and bool(self.deviation <= 1)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "passed": self.passed}


def compare(curve: str, reference: str, measured: ArrayLike, expected: ArrayLike, tolerance: ArrayLike) -> Finding:
    """Compare arrays pointwise: |measured - expected| against tolerance; infinite on both sides agrees, NaN never.

    >>> compare("tau", "closed form", [1.0, 2.0], [1.0, 2.1], 0.05).deviation  # doctest: +ELLIPSIS
    2.0...
    >>> compare("tau", "closed form", [float("nan")], [1.0], 0.05).passed
    False
    """
    given, wanted, allowed = np.broadcast_arrays(*(np.asarray(f, float) for f in (measured, expected, tolerance)))
    same = given == wanted
    with np.errstate(invalid="ignore"):
        off = np.where(same, 0.0, np.abs(given - wanted) / allowed)
    off = np.where(np.isnan(off), np.inf, off)
    return Finding(curve, reference, float(off.max()) if off.size else np.inf, int(off.size))
