"""How many workers there may be, and a pool of processes that ends with its parent, at once, however the parent ends.

Workers are spawned (threads of numba and BLAS do not survive a fork) and hold the reading end of a pipe whose writing
end only the parent has. When the parent closes it, or dies by kill -9, they leave, whatever they are doing: those of
the standard pool would wait for ever. They do not hear Ctrl-C, which is the parent's to answer. This module imports
nothing heavy, so that a worker listens before it imports what it will run.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from numbers import Integral
from threading import Thread
from typing import Protocol

from theory.errors import ParameterError

__all__ = ["available_threads", "processes", "uninterrupted"]


def available_threads(threads: int | None = None) -> int:
    """Return the number of threads asked for, by default as many as there are cores; raise `ParameterError` below 1.

    >>> available_threads(3), available_threads() >= 1
    (3, True)
    """
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not isinstance(threads, Integral) or threads < 1:
        raise ParameterError(f"threads = {threads!r} given; accepted: an integer >= 1; omit it for all cores.")
    return int(threads)


class Reader(Protocol):
    """The reading end of a pipe."""

    def recv_bytes(self) -> bytes:
        """Return what was written; raises EOFError when the other end is closed."""
        ...


@contextmanager
def processes(workers: int) -> Iterator[Executor]:
    """Yield a pool of worker processes, which ends with the block, and at once if the block raises."""
    context = get_context("spawn")
    reader, lifeline = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, context, _serve, (reader,))
    try:
        yield pool
    except BaseException:
        lifeline.close()
        raise
    finally:
        if getattr(pool, "_broken", False):  # it may wait for a worker that was starting when another one was lost
            lifeline.close()
        pool.shutdown(cancel_futures=True)
        lifeline.close()
        reader.close()


def _serve(reader: Reader) -> None:
    """Prepare a worker: deaf to Ctrl-C, and gone when its parent is."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_leave_with_parent, args=(reader,), daemon=True).start()


def _leave_with_parent(reader: Reader) -> None:
    with suppress(EOFError, OSError):
        reader.recv_bytes()
    os._exit(1)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back: a worker started inside inherits the mask, and would print a traceback while it starts."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
