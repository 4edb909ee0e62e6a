"""What commands write: one JSON object or tables on stdout, files that are never lost, progress on stderr."""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import typer

from theory.errors import ParameterError

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["print_json", "print_parts", "progress_bar", "save", "telling", "watching"]


WIDEST = 1_000_000  # characters of a line that is read by no one on a screen


class Report(Protocol):
    """How far something is: as a share, and in words."""

    @property
    def fraction(self) -> float:
        """From 0 to 1."""
        ...


def save(path: Path, write: Callable[[Path], object], *, tell: bool = True) -> None:
    """Write beside the target and move into place, so that a failure leaves an older file whole; say so on stderr."""
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        write(partial)
        partial.replace(path)
    except OSError as error:
        raise ParameterError(f"output {path} cannot be written: {error.strerror or error}.") from error
    finally:
        partial.unlink(missing_ok=True)
    if tell:
        typer.echo(f"wrote {path}", err=True)


def print_json(content: dict[str, Any]) -> None:
    """Print one JSON object."""
    typer.echo(json.dumps(_finite(content), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    """Replace infinities and NaN, which JSON lacks, by null."""
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_parts(*parts: str | Table) -> None:
    """Print lines and tables for people: fitted to a terminal, elsewhere a line for every row, however long."""
    from rich.console import Console

    if sys.stdout.isatty():
        console = Console(highlight=False, markup=False)
        for part in parts:
            console.print(part, soft_wrap=isinstance(part, str))
        return
    text = io.StringIO()
    console = Console(highlight=False, markup=False, file=text, width=WIDEST)
    for part in parts:
        console.print(part, soft_wrap=isinstance(part, str))
    typer.echo("\n".join(line.rstrip() for line in text.getvalue().splitlines()))


@contextmanager
def progress_bar(label: str, total: int | None) -> Iterator[Callable[..., None]]:
    """Yield advance(count[, total]); a bar on a terminal's stderr, silence elsewhere."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)

        def advance(count: int, of: int | None = None) -> None:
            if of is None:
                bar.update(task, advance=count)
            else:
                bar.update(task, completed=count, total=of)

        yield advance


@contextmanager
def watching(label: str) -> Iterator[Callable[[Report], None] | None]:
    """Yield what shows reports of a simulation, as a bar and a line on a terminal's stderr; None elsewhere."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.table import Column

    rest = Column(no_wrap=True, overflow="ellipsis", ratio=1)
    columns = (BarColumn(10), TimeElapsedColumn(), TextColumn("{task.description}", markup=False, table_column=rest))
    with Progress(*columns, console=Console(stderr=True), transient=True, expand=True) as bar:
        task = bar.add_task(label, total=1.0)
        yield lambda report: bar.update(task, completed=report.fraction, description=str(report))


@contextmanager
def telling() -> Iterator[Callable[[str, int | None, int | None], None]]:
    """Yield tell(what, count, of): a line on a terminal's stderr that names what is done now; silence elsewhere."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(20), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1)

        def tell(what: str, count: int | None, of: int | None) -> None:
            counted = "" if count is None or of is None else f", {count} of {of}"
            bar.update(task, completed=count or 0, total=of or 1, description=f"{what}{counted}")

        yield tell
