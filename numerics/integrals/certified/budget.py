"""How many evaluations of integrands a ball may take: nested integrals of steep functions would take hours.

They are counted, and not timed, so that what is proved does not depend on the machine.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from theory.errors import NotCertifiedError

__all__ = ["TooLongError", "limited", "spend"]

EVALUATIONS = 500_000


class TooLongError(NotCertifiedError):
    """An enclosure would take longer than is worth while."""


class _Left(threading.local):
    evaluations: float = math.inf


_left = _Left()


@contextmanager
def limited(evaluations: float = EVALUATIONS) -> Iterator[None]:
    """Let what is done inside take so many evaluations; one within another has what is left of that.

    >>> with limited(2):
    ...     for _ in range(3):
    ...         spend()
    Traceback (most recent call last):
        ...
    numerics.integrals.certified.budget.TooLongError: not certified: it takes more evaluations than ...
    """
    before = _left.evaluations
    _left.evaluations = min(before, evaluations)
    try:
        yield
    finally:
        _left.evaluations = before


def spend() -> None:
    """Count one evaluation; raises `TooLongError` where none is left."""
    _left.evaluations -= 1
    if _left.evaluations < 0:
        raise TooLongError(f"not certified: it takes more evaluations than {EVALUATIONS}.")
