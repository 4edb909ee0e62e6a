"""The store of a sweep: one SQLite file that survives kill -9, and a claim that dies with its holder.

Why SQLite: it is in the standard library, one file, transactional, and tested for power cuts and full disks. The
rollback journal is kept rather than WAL, which would add two files and fails on the network folders of clusters;
whatever moment a process is killed at, the next one to open the file rolls an unfinished transaction back. One row a
cell; results are JSON, in which a float's shortest digits read back as the same float.

Who runs a sweep holds an exclusive SQLite lock on the empty file FILE.lock. The operating system releases it when the
process dies, however it dies, and it leaves the store itself readable: status and export work beside a run.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from numerics.sweep.cells import CellResult
from numerics.sweep.config import SweepConfig
from theory.errors import StoreError
from theory.shown import Shown

__all__ = ["SCHEMA", "Store", "Tally"]

SCHEMA = 1
"""Raised whenever tables or the meaning of a result change."""

APPLICATION = 0x68657363  # "hesc", the file's mark in the header of SQLite
PATIENCE = 60.0  # seconds that a reader or writer waits for the other's transaction
TABLES = (
    "CREATE TABLE about (name TEXT PRIMARY KEY, content TEXT NOT NULL)",
    "CREATE TABLE cell (place INTEGER PRIMARY KEY, error TEXT, result TEXT NOT NULL)",
)


@dataclass(frozen=True)
class Tally(Shown):
    """Number of cells by what is known of them."""

    shows = "cells, done, failed, missing"

    done: int
    failed: int
    missing: int

    @property
    def cells(self) -> int:
        """All of them."""
        return self.done + self.failed + self.missing


class Store:
    """The results of one sweep by the place of the cell in the grid; made by `claim`, `inspect` or `in_memory`."""

    def __init__(self, connection: sqlite3.Connection, config: SweepConfig, name: str) -> None:
        self._connection = connection
        self._config = config
        self._name = name

    @classmethod
    @contextmanager
    def claim(cls, path: Path, config: SweepConfig) -> Iterator[Store]:
        """Open the store to run the sweep, making it where there is none.

        Raises `StoreError` where another process runs it, where another version or another config made it, where the
        file is something else, or where it cannot be written; nothing is overwritten then.
        """
        if not path.parent.is_dir():
            raise StoreError(f"store {path} given; accepted: a file in an existing folder: create {path.parent} first.")
        with ExitStack() as stack:
            with _explained(path):
                target = path.resolve()  # one lock for all the names of a file
                lock = stack.enter_context(closing(_connect(target.with_name(f"{target.name}.lock"), "rwc", 0)))
                _lock(lock, path)
                connection = stack.enter_context(closing(_connect(target, "rwc")))
                connection.execute("PRAGMA synchronous = FULL")
                _prepare(connection, config, path)
            yield cls(connection, config, str(path))

    @classmethod
    @contextmanager
    def inspect(cls, path: Path, config: SweepConfig) -> Iterator[Store]:
        """Open an existing store to read it, also while it is run; raises `StoreError` as `claim`, or if missing."""
        if not path.is_file():
            raise StoreError(f"store {path} does not exist; accepted: the store of a sweep that was started.")
        with _explained(path), closing(_connect(path, "rw")) as connection:
            if not _is_empty(connection):
                _verify(connection, config, path)
            yield cls(connection, config, str(path))

    @classmethod
    @contextmanager
    def in_memory(cls, config: SweepConfig) -> Iterator[Store]:
        """Return a store that ends with the process."""
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            _prepare(connection, config, Path(":memory:"))
            yield cls(connection, config, "in memory")

    def record(self, results: Iterable[tuple[int, CellResult]]) -> None:
        """Write results, all or none; a cell recorded again replaces its row. Raises `StoreError`."""
        rows = [(place, result.error, json.dumps(result.values)) for place, result in results]
        with _explained(self._name), _transaction(self._connection):
            self._connection.executemany("INSERT OR REPLACE INTO cell VALUES (?, ?, ?)", rows)

    def read(self) -> Iterator[tuple[int, CellResult]]:
        """Yield what is recorded, in the order of the grid."""
        with _explained(self._name):
            query = "SELECT place, error, result FROM cell ORDER BY place"
            for place, error, result in _rows(self._connection, query):
                yield place, CellResult(json.loads(result), error)

    def pending(self, retry_failed: bool = False) -> list[int]:
        """Return the places without a result, and those that failed if they are to be tried again."""
        kept = " WHERE error IS NULL" if retry_failed else ""
        with _explained(self._name):
            finished = {place for (place,) in _rows(self._connection, f"SELECT place FROM cell{kept}")}
        return [place for place in range(self._config.size) if place not in finished]

    def tally(self) -> Tally:
        """Count the cells."""
        with _explained(self._name):
            counts = dict(_rows(self._connection, "SELECT error IS NOT NULL, COUNT(*) FROM cell GROUP BY 1"))
        done, failed = counts.get(0, 0), counts.get(1, 0)
        return Tally(done, failed, self._config.size - done - failed)

    def errors(self) -> dict[str, int]:
        """Return the errors of failed cells with the number of cells that each stopped, the most frequent first."""
        return dict(Counter(result.error for _, result in self.read() if result.error is not None).most_common())


def _connect(path: Path, mode: str, patience: float = PATIENCE) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=patience, isolation_level=None)


def _rows(connection: sqlite3.Connection, query: str) -> list[Any]:
    """Return all rows; none where the tables were not made yet."""
    return [] if _is_empty(connection) else connection.execute(query).fetchall()


def _is_empty(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0] == 0


def _lock(connection: sqlite3.Connection, path: Path) -> None:
    try:
        connection.execute("PRAGMA journal_mode = MEMORY")  # no second file
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise
        raise StoreError(
            f"store {path} is being run by another process; accepted: one at a time. Wait for it, look at it with "
            "--status, or give another store."
        ) from error


def _prepare(connection: sqlite3.Connection, config: SweepConfig, path: Path) -> None:
    """Make the tables in a new file, in one transaction; verify any other file."""
    if not _is_empty(connection):
        _verify(connection, config, path)
        return
    about = {"version": version("hermescape"), "config": config.to_json(), "digest": config.digest}
    with _transaction(connection):
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {SCHEMA}")
        for table in TABLES:
            connection.execute(table)
        connection.executemany("INSERT INTO about VALUES (?, ?)", about.items())


def _verify(connection: sqlite3.Connection, config: SweepConfig, path: Path) -> None:
    """Refuse a file that is no store, or one of another schema, version or config."""
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION:
        raise StoreError(f"{path} is a database, but no store of a sweep; accepted: another file name.")
    schema = connection.execute("PRAGMA user_version").fetchone()[0]
    if schema != SCHEMA:
        raise StoreError(
            f"store {path} has schema {schema}, this version reads {SCHEMA}; accepted: another store, or the version "
            "of hermescape that made it."
        )
    about = dict(connection.execute("SELECT name, content FROM about").fetchall())
    if about["version"] != version("hermescape"):
        raise StoreError(
            f"store {path} was made by hermescape {about['version']}, this is {version('hermescape')}, whose numbers "
            "may differ; accepted: another store, or that version."
        )
    if about["digest"] != config.digest:
        raise StoreError(
            f"store {path} was made for another config ({_difference(about['config'], config)}); accepted: the config "
            "that made it, or another store."
        )


def _difference(stored: str, config: SweepConfig) -> str:
    """Name what differs between the config of a store and the one given."""
    before, now = json.loads(stored), json.loads(config.to_json())
    for part in ("fixed", "grid", "activations"):
        before |= {f"{part}.{name}": value for name, value in before.pop(part).items()}
        now |= {f"{part}.{name}": value for name, value in now.pop(part).items()}
    names = [name for name in sorted(before.keys() | now.keys()) if before.get(name) != now.get(name)]
    return f"{', '.join(names)} differ" if names else "the order of the grid differs"


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        connection.execute("BEGIN IMMEDIATE")  # inside: Ctrl-C may come as it returns
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # not where BEGIN failed, or a full disk has rolled back
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _explained(path: Path | str) -> Iterator[None]:
    """Say what SQLite's errors mean for a store."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        name = getattr(error, "sqlite_errorname", "")  # misuse of the module has none
        if name in ("SQLITE_NOTADB", "SQLITE_CORRUPT"):
            raise StoreError(f"{path} is no store of a sweep ({error}); accepted: another file name.") from error
        failed = name.startswith("SQLITE_IOERR")
        reason = f"{error}; the disk is full or fails" if failed else str(error)
        raise StoreError(
            f"store {path} cannot be used ({reason}): finished cells are kept; accepted: a folder that can be written, "
            "with free space; then start the sweep again."
        ) from error
