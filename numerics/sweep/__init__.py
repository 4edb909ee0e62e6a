"""Sweeps: a grid of flow or Monte Carlo cells, on any executor, into labelled arrays, with a store that survives.

config      what a sweep is: TOML or mapping, validated, hashed           (names: `numerics.parameters`)
cells       what one cell computes, from its parameters alone
store       the SQLite file: results, and the claim of who runs it
runner      cells on an executor, results into the store
results     from the store to labelled arrays and text
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from numerics.labelled import Labelled
from numerics.sweep.cells import check_cell
from numerics.sweep.config import SweepConfig
from numerics.sweep.results import to_dataset, write_csv
from numerics.sweep.runner import run_in_processes, run_on
from numerics.sweep.store import Store, Tally
from theory.errors import InputError, ParameterError

__all__ = ["SweepConfig", "Tally", "read_sweep", "sweep", "sweep_status", "write_csv"]

Config = SweepConfig | Mapping[str, Any] | str | Path


def sweep(
    config: Config,
    store: str | Path | None = None,
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    retry_failed: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Labelled:
    """Run the cells of a sweep that have no result yet, and return all results on the grid; `plot()` draws them.

    Args:
        config: a `SweepConfig`, its mapping, or the path of its TOML file; `SweepConfig` says how names of one's own
            and engines are given. An engine of one's own must be importable where cells run, as pickle needs it.
        store: SQLite file that keeps every finished cell and from which an interrupted sweep goes on; made if new.
            None keeps nothing.
        executor: where cells run, one task each: any `concurrent.futures.Executor`, such as that of a Dask client,
            `client.get_executor()`. By default spawned processes, for which a script needs the guard
            `if __name__ == "__main__":`.
        workers: number of these processes; by default one a core. It has no effect on the result.
        retry_failed: run failed cells again.
        progress: called with (cells finished, cells to run).

    The result depends on the config only, bit for bit on one machine. A cell that fails is kept with status "failed"
    and its error. Warns where kappa varies with d.

    Raises:
        ParameterError: a bad config; InputError: parameters that no cell accepts. Nothing was run or written.
        StoreError: the store is run by another process, was made by another version or config, or cannot be written.
        WorkerError: the executor given lost a cell, or workers cannot start. What finished before is kept. A cell
            that kills a worker process (for want of memory, say) twice is recorded as failed.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> grid = {"student": ["linear", "he2"], "mu": [0.2, 0.4]}
    >>> with ThreadPoolExecutor(2) as pool:
    ...     table = sweep({"kind": "flow", "grid": grid}, executor=pool)
    >>> round(table.tau.sel(student="linear", mu=0.4).item(), 6), table.status.values.tolist()  # A = 0.6, B = -1
    (3.558403, [['ok', 'ok'], ['ok', 'ok']])
    """
    setting = SweepConfig.of(config)
    if executor is not None and workers is not None:
        raise ParameterError("executor and workers given; accepted: one of them, workers are the default executor's.")
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
        raise ParameterError(f"workers = {workers!r} given; accepted: an integer >= 1; omit it for one a core.")
    _check_cells(setting)
    if setting.caution is not None:
        warnings.warn(setting.caution, stacklevel=2)
    with Store.in_memory(setting) if store is None else Store.claim(Path(store), setting) as cells:
        places = cells.pending(retry_failed)
        if places:
            note = _counter(progress, len(places))
            if executor is None:
                run_in_processes(setting, places, workers or _cores(), cells, note)
            else:
                run_on(setting, places, executor, cells, note)
        return to_dataset(setting, cells.read())


def read_sweep(config: Config, store: str | Path) -> Labelled:
    """Return what a store holds, also while the sweep runs; raises `StoreError` where it is not this config's."""
    setting = SweepConfig.of(config)
    with Store.inspect(Path(store), setting) as cells:
        return to_dataset(setting, cells.read())


def sweep_status(config: Config, store: str | Path) -> tuple[Tally, dict[str, int]]:
    """Return the number of cells done, failed and missing, and the errors with how many cells each stopped.

    Raises `StoreError` as `read_sweep`.
    """
    with Store.inspect(Path(store), SweepConfig.of(config)) as cells:
        return cells.tally(), cells.errors()


def _check_cells(config: SweepConfig) -> None:
    """Refuse a sweep of which every cell is bad; single ones are recorded as failed."""
    first: InputError | None = None
    for values in config.cells():
        try:
            check_cell(config.kind, values, config.parameters)
            return
        except InputError as error:
            first = first or error
    if first is not None:
        raise first


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _counter(progress: Callable[[int, int], None] | None, total: int) -> Callable[[list[int]], None]:
    """Return what turns recorded cells into calls of `progress`."""
    finished = 0

    def note(recorded: list[int]) -> None:
        nonlocal finished
        finished += len(recorded)
        if progress is not None:
            progress(finished, total)

    return note
