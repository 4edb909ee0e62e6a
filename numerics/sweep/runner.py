"""Cells on an executor, results into the store: workers compute and return, the parent alone writes.

On an executor that is given, a lost cell ends the run. On worker processes of our own, one that dies (for want of
memory, say) takes the pool with it: the cells in flight then run one at a time, so that the one that kills its worker
again is known, recorded as failed, and does not stop the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import suppress
from queue import Empty, SimpleQueue

from numerics.sweep.cells import CellResult, run_cell
from numerics.sweep.config import SweepConfig
from numerics.sweep.store import Store
from numerics.workers import processes, uninterrupted
from theory.errors import StoreError, WorkerError

__all__ = ["run_in_processes", "run_on"]

Note = Callable[[list[int]], None]

WINDOW = 256
"""Cells handed to an executor and not yet returned, at most; bounds memory, and what an interruption loses."""

CELLS_PER_WORKER = 16
"""The same for each process of our own, few enough to run one at a time where one of them dies."""

FATAL = (
    "WorkerError: its worker process ended abruptly, twice, perhaps for want of memory; accepted: a smaller batch, or "
    "fewer workers."
)


class Run:
    """Cells of a config on their way through an executor into a store; `note` hears which were recorded."""

    def __init__(self, config: SweepConfig, executor: Executor, store: Store, note: Note) -> None:
        self._config, self._executor, self._store, self._note = config, executor, store, note
        self._done: SimpleQueue[Future[CellResult]] = SimpleQueue()
        self._fresh: list[tuple[int, CellResult]] = []
        self._in_flight: dict[Future[CellResult], int] = {}

    @property
    def in_flight(self) -> list[int]:
        """Places of the cells that were handed over and have not returned."""
        return sorted(self._in_flight.values())

    def run(self, places: Iterable[int], window: int = WINDOW) -> None:
        """Run the cells at these places, `window` of them at a time, and record each as it comes.

        Raises `StoreError` where a result cannot be written and `WorkerError` where the executor loses a cell.
        Whatever ends it, KeyboardInterrupt included, results that had come are recorded first.
        """
        waiting = iter(places)
        try:
            while True:
                while self._has_room(window) and (place := next(waiting, None)) is not None:
                    self._submit(place)
                if not self._in_flight:
                    return
                self._take(self._done.get())
                self._drain()
                self._record()
        except StoreError:
            raise
        except BaseException:
            while not self._done.empty():
                with suppress(WorkerError):
                    self._drain()
            self._record()
            raise

    def _has_room(self, window: int) -> bool:
        """Whether to hand over another cell; not where all have come back, as from an executor that does not queue."""
        returned = self._done.qsize()
        return len(self._in_flight) < window and (returned == 0 or returned < len(self._in_flight))

    def cancel(self) -> None:
        """Cancel what has not started; for executors that outlive the run."""
        for future in tuple(self._in_flight):
            future.cancel()

    def _submit(self, place: int) -> None:
        config = self._config
        with uninterrupted():
            try:
                future = self._executor.submit(
                    *(run_cell, config.kind, config.cell(place), config.samples, config.confidence),
                    *(dict(config.activations), config.engine, dict(config.parameters)),
                )
            except RuntimeError as error:
                raise _lost(place, error) from error
            self._in_flight[future] = place
            future.add_done_callback(self._done.put)

    def _take(self, future: Future[CellResult]) -> None:
        place = self._in_flight[future]
        try:
            result = future.result()
        except Exception as error:
            raise _lost(place, error) from error
        self._fresh.append((place, result))
        del self._in_flight[future]

    def _drain(self) -> None:
        with suppress(Empty):
            while True:
                self._take(self._done.get_nowait())

    def _record(self) -> None:
        """Write what has come; if interrupted, the next call writes it again, with the same effect."""
        if self._fresh:
            self._store.record(self._fresh)
            recorded = [place for place, _ in self._fresh]
            self._fresh.clear()
            self._note(recorded)


def run_on(config: SweepConfig, places: Sequence[int], executor: Executor, store: Store, note: Note) -> None:
    """Run cells on an executor that outlives the run; what has not started is cancelled where the run ends early."""
    run = Run(config, executor, store, note)
    try:
        run.run(places)
    except BaseException:
        run.cancel()
        raise


def run_in_processes(config: SweepConfig, places: Sequence[int], workers: int, store: Store, note: Note) -> None:
    """Run cells on worker processes; one that kills its worker twice is recorded as failed.

    Raises `StoreError` where a result cannot be written and `WorkerError` where workers cannot start.
    """
    left = dict.fromkeys(places)

    def strike(recorded: list[int]) -> None:
        for place in recorded:
            del left[place]
        note(recorded)

    def attempt(places: Sequence[int], workers: int, window: int) -> list[int]:
        """Run cells until a worker dies, and return those in flight then; none where all are done."""
        with processes(min(workers, len(places))) as pool:
            _check_start(pool)
            run = Run(config, pool, store, strike)
            try:
                run.run(places, window)
            except WorkerError as error:
                if not isinstance(error.__cause__, BrokenExecutor):
                    raise
            return run.in_flight

    while left:
        suspects = attempt(list(left), workers, min(WINDOW, CELLS_PER_WORKER * workers))
        while suspects:
            killers = attempt(suspects, 1, 1)
            store.record([(place, CellResult({}, FATAL)) for place in killers])
            strike(killers)
            suspects = [place for place in suspects if place in left]


def _check_start(pool: Executor) -> None:
    """Tell a worker that cannot start from one that a cell kills."""
    try:
        with uninterrupted():
            first = pool.submit(int)
        first.result()
    except BrokenExecutor as error:
        raise WorkerError(
            'worker processes cannot start: a script that sweeps needs the guard `if __name__ == "__main__":` around '
            "what it runs; or give an executor of your own."
        ) from error


def _lost(place: int, error: BaseException) -> WorkerError:
    return WorkerError(
        f"the executor lost cell {place} ({type(error).__name__}: {error}), perhaps for want of memory; finished cells "
        "are kept: run the sweep again to go on, with fewer workers if memory is short."
    )
