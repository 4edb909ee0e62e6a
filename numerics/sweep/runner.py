"""Cells on an executor, results into the store: workers compute and return, the parent alone writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from queue import Empty, SimpleQueue

from numerics.sweep.cells import CellResult, run_cell
from numerics.sweep.config import SweepConfig
from numerics.sweep.store import Store
from numerics.workers import uninterrupted
from theory.errors import StoreError, WorkerError

__all__ = ["run"]

WINDOW = 256
"""Cells handed to the executor and not yet returned, at most; bounds memory, and what an interruption loses."""

Progress = Callable[[int, int], None]


def run(
    config: SweepConfig,
    places: Sequence[int],
    executor: Executor,
    store: Store,
    progress: Progress | None = None,
    *,
    cancel: bool,
) -> None:
    """Run the cells at these places and record each as it comes; `progress` is called with (finished, all).

    With `cancel`, cells still waiting are cancelled where the run ends early; without, whoever owns the executor ends
    it. Raises `StoreError` where a result cannot be written and `WorkerError` where the executor loses a cell. Whatever
    ends it, KeyboardInterrupt included, results that had come are recorded first.
    """
    waiting, in_flight = iter(places), dict[Future[CellResult], int]()
    done: SimpleQueue[Future[CellResult]] = SimpleQueue()
    fresh: list[tuple[int, CellResult]] = []
    finished = 0
    try:
        while True:
            while done.empty() and len(in_flight) < WINDOW and (place := next(waiting, None)) is not None:
                _submit(config, place, executor, in_flight, done)
            if not in_flight:
                break
            _take(done.get(), in_flight, fresh)
            _drain(done, in_flight, fresh)
            store.record(fresh)
            finished += len(fresh)
            fresh.clear()
            if progress is not None:
                progress(finished, len(places))
    except StoreError:
        raise
    except BaseException:
        with suppress(WorkerError):
            _drain(done, in_flight, fresh)
        store.record(fresh)
        raise
    finally:
        if cancel:
            for future in tuple(in_flight):
                future.cancel()


def _submit(
    config: SweepConfig,
    place: int,
    executor: Executor,
    in_flight: dict[Future[CellResult], int],
    done: SimpleQueue[Future[CellResult]],
) -> None:
    with uninterrupted():
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
