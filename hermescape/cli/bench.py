"""The command `hermescape bench`: the benchmarks of the folder benchmarks/, which the wheel carries along."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hermescape.cli.options import Json
from hermescape.output import print_json, print_parts, progress_bar
from theory.errors import ParameterError

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["bench", "bench_table", "measurements"]

_MODULES = ("waiting", "flow", "law", "certified", "montecarlo")


def bench(
    runs: Annotated[int, typer.Option(min=1, help="runs of which each median is taken")] = 3,
    only: Annotated[str, typer.Option(metavar="TEXT", help="rows whose names contain this text")] = "",
    as_json: Json = False,
) -> None:
    """Measure this machine against baselines in the same run: waiting, flows, rates, laws, proofs, simulation.

    All of it takes some ten minutes; --only time (of commands), --only relu or --only tau a part.
    """
    with progress_bar("measuring", None) as advance:
        rows = measurements(runs, only, advance)
    if as_json:
        print_json({"rows": [row._asdict() for row in rows]})
    else:
        print_parts(bench_table(rows))


def _benchmark(name: str) -> Any:
    """Return a benchmark's module: within the package where it is installed, else of the source tree."""
    for package in ("hermescape.benchmarks", "benchmarks"):
        if find_spec(package) is not None:
            return import_module(f"{package}.{name}")
    raise ParameterError("no benchmarks found; accepted: an installation from a wheel, or the source tree.")


def measurements(runs: int, only: str, advance: Callable[..., None]) -> list[Any]:
    """Return the rows of all benchmarks whose names contain `only`; raises `ParameterError` where there is none."""
    names = []
    for name in _MODULES:
        for row in _benchmark(name).rows(runs, only):
            names.append(row)
            advance(1)
    if not names:
        raise ParameterError(f"--only {only!r} given; accepted: a part of a row's name, such as relu, tau or d =.")
    return names


def bench_table(rows: Iterable[Any]) -> Table:
    """Return the table of `hermescape bench`."""
    from rich.table import Table

    table = Table(show_edge=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("what", "value", "unit", "ratio", "of what", "target"):
        table.add_column(column, justify="right" if column in ("value", "ratio") else "left")
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.3g}"
        table.add_row(row.what, f"{row.value:.4g}", row.unit, ratio, row.against, row.target)
    return table
