"""The parts of a report, one after the other: said by name and count, each within the time that is left.

A part that is not ready in time is a `Missing` which says so, and the page goes on with the others. The clock is a
signal of the operating system, so that it stops a part wherever it is; where there is none (Windows, another thread
than the main one) parts take as long as they take.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from theory.errors import HermescapeError

__all__ = ["PATIENCE", "Missing", "Stages", "Tell"]

PATIENCE = 180.0
"""seconds until what is not ready is left out"""
GRACE = 10.0
"""seconds that every part may take, however late it is"""
Result = TypeVar("Result")
Tell = Callable[[str, int | None, int | None], None]
"""called with (what is done now, how many of it are done, of how many); the counts are None where there are none"""


@dataclass(frozen=True)
class Missing:
    """A part that is not there, and why: it does not apply, or it was not ready in time."""

    reason: str
    late: bool = False


class _Late(BaseException):
    """The clock: no `except Exception` on its way keeps it."""


class Stages:
    """Attempts parts until they are all done.

    >>> stages = Stages(patience=60)
    >>> stages.attempt("a sum", lambda: 1 + 1)
    2
    """

    def __init__(self, patience: float = PATIENCE, tell: Tell | None = None, spent: float = 0.0) -> None:
        self.patience = patience
        self.tell: Tell = (lambda *_: None) if tell is None else tell
        self._end = time.monotonic() + patience - spent

    def attempt(
        self,
        name: str,
        compute: Callable[[], Result],
        *,
        refused: tuple[type[HermescapeError], ...] = (),
        place: tuple[int, int] | tuple[None, None] = (None, None),
    ) -> Result | Missing:
        """Return what is computed, or why it is not there.

        Args:
            name: of the part, for who waits.
            compute: what is attempted.
            refused: errors that are raised.
            place: how many parts of its kind are done, of how many.
        """
        self.tell(name, *place)
        left = math.inf if math.isinf(self.patience) else max(GRACE, self._end - time.monotonic())
        try:
            with _limited(left):
                return compute()
        except refused:
            raise
        except HermescapeError as error:
            return Missing(str(error))
        except _Late:
            return Missing(f"{name} was not ready when the page was due, after {self.patience:g} s", late=True)


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raise `_Late` in the block after so many seconds."""
    in_main = threading.current_thread() is threading.main_thread()
    if math.isinf(seconds) or not in_main or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_: Any) -> None:
        raise _Late

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
