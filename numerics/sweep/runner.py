"""Cells on an executor, results into the store, by the parent alone.

The default executor is a pool of spawned processes (threads of numba and BLAS do not survive a fork). They hold the
reading end of a pipe whose writing end the parent has: when the parent closes it, or dies by kill -9, they leave at
once, whatever they are doing. They do not hear Ctrl-C, which is the parent's to answer.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from itertools import islice
from multiprocessing import get_context
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Protocol

from numerics.sweep.cells import CellResult, run_cell
from numerics.sweep.config import SweepConfig
from numerics.sweep.store import Store
from theory.errors import StoreError, WorkerError

__all__ = ["processes", "run"]

WINDOW = 256
"""Cells handed to the executor and not yet returned, at most; bounds memory, and what an interruption loses."""

Progress = Callable[[int, int], None]


class Reader(Protocol):
    """The reading end of a pipe."""

    def recv_bytes(self) -> bytes:
        """Return what was written; raises EOFError when the other end is closed."""
        ...


def run(
    config: SweepConfig, places: Sequence[int], executor: Executor, store: Store, progress: Progress | None = None
) -> None:
    """Run the cells at these places and record each as it comes; `progress` is called with (finished, all).

    Raises `StoreError` where a result cannot be written and `WorkerError` where the executor loses a cell. Whatever
    ends it, KeyboardInterrupt included, results that had come are recorded first.
    """
    waiting, in_flight = iter(places), dict[Future[CellResult], int]()
    done: SimpleQueue[Future[CellResult]] = SimpleQueue()
    fresh: list[tuple[int, CellResult]] = []
    finished = 0
    try:
        _submit(config, islice(waiting, WINDOW), executor, in_flight, done)
        while in_flight:
            _take(done.get(), in_flight, fresh)
            _drain(done, in_flight, fresh)
            store.record(fresh)
            finished += len(fresh)
            fresh.clear()
            if progress is not None:
                progress(finished, len(places))
            _submit(config, islice(waiting, WINDOW - len(in_flight)), executor, in_flight, done)
    except StoreError:
        raise
    except BaseException:
        with suppress(WorkerError):
            _drain(done, in_flight, fresh)
        store.record(fresh)
        raise
    finally:
        for future in tuple(in_flight):
            future.cancel()


def _submit(
    config: SweepConfig,
    places: Iterator[int],
    executor: Executor,
    in_flight: dict[Future[CellResult], int],
    done: SimpleQueue[Future[CellResult]],
) -> None:
    with _undisturbed():
        for place in places:
            try:
                future = executor.submit(run_cell, config.kind, config.cell(place), config.samples, config.confidence)
            except RuntimeError as error:
                raise _lost(place, error) from error
            in_flight[future] = place
            future.add_done_callback(done.put)


def _take(
    future: Future[CellResult], in_flight: dict[Future[CellResult], int], fresh: list[tuple[int, CellResult]]
) -> None:
    place = in_flight[future]
    try:
        result = future.result()
    except Exception as error:
        raise _lost(place, error) from error
    fresh.append((place, result))
    del in_flight[future]


def _drain(
    done: SimpleQueue[Future[CellResult]],
    in_flight: dict[Future[CellResult], int],
    fresh: list[tuple[int, CellResult]],
) -> None:
    with suppress(Empty):
        while True:
            _take(done.get_nowait(), in_flight, fresh)


def _lost(place: int, error: BaseException) -> WorkerError:
    return WorkerError(
        f"the executor lost cell {place} ({type(error).__name__}: {error}), perhaps for want of memory; finished cells "
        "are kept: run the sweep again to go on, with fewer workers if memory is short."
    )


@contextmanager
def processes(workers: int) -> Iterator[Executor]:
    """Yield a pool of spawned worker processes, which ends with the block, and at once if the block raises."""
    context = get_context("spawn")
    reader, lifeline = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, context, _serve, (reader,))
    try:
        yield pool
    except BaseException:
        lifeline.close()
        raise
    finally:
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
def _undisturbed() -> Iterator[None]:
    """Hold Ctrl-C back: a worker started inside inherits the mask, and would print a traceback while it imports."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
