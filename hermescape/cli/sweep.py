"""The command `hermescape sweep`: run, look at and export a sweep."""

from __future__ import annotations

import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hermescape.cli.options import Force, Json, check_output
from hermescape.output import print_json, print_parts, progress_bar, save
from theory.errors import ParameterError

if TYPE_CHECKING:
    from numerics.sweep import SweepConfig

__all__ = ["sweep"]

FORMATS = (".nc", ".csv")
MOST_ERRORS = 5  # listed for people; --json has all


def sweep(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="kind, [fixed], [grid]: docs/howto/sweeps.md")],
    store: Annotated[
        Path | None, typer.Option("-o", "--store", metavar="FILE", help="default: CONFIG with suffix .sqlite")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="processes, one a core by default; no effect on the result")
    ] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="run failed cells again")] = False,
    status: Annotated[bool, typer.Option("--status", help="count done, failed and missing cells; run nothing")] = False,
    export: Annotated[
        Path | None, typer.Option(metavar="FILE.nc|csv", help="write the results that are there; run nothing")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Run a grid of flow or Monte Carlo cells, every finished one kept; run it again to go on.

    A cell that fails is recorded with its error and does not stop the others.
    """
    _check_options(status, export, workers, retry_failed, force)
    if export is not None:
        check_output(export, export.suffix if export.suffix in FORMATS else " or ".join(FORMATS), force)
    from numerics.sweep import SweepConfig

    setting = SweepConfig.of(config)
    where = config.with_suffix(".sqlite") if store is None else store
    if export is not None:
        _export(setting, where, export)
    elif not status:
        _run(setting, config, where, workers, retry_failed)
    _report(setting, where, export, as_json)


def _check_options(status: bool, export: Path | None, workers: int | None, retry_failed: bool, force: bool) -> None:
    if status and export is not None:
        raise ParameterError("--status and --export given; accepted: one of them.")
    if (status or export is not None) and (workers is not None or retry_failed):
        raise ParameterError("--workers or --retry-failed with --status or --export given; accepted: them to run.")
    if force and export is None:
        raise ParameterError("--force without --export given; accepted: it to overwrite an exported file.")


def _run(setting: SweepConfig, config: Path, store: Path, workers: int | None, retry_failed: bool) -> None:
    from numerics.sweep import sweep as run

    if setting.caution is not None:
        typer.echo(f"warning: {setting.caution}", err=True)
    try:
        with warnings.catch_warnings(), progress_bar("sweeping", None) as advance:
            warnings.filterwarnings("ignore", "a grid in dimension at given batch")  # said already
            run(setting, store, workers=workers, retry_failed=retry_failed, progress=advance)
    except KeyboardInterrupt:
        again = f"hermescape sweep {config}" + ("" if store == config.with_suffix(".sqlite") else f" -o {store}")
        typer.echo(f"finished cells are kept in {store}; to go on: {again}", err=True)
        raise


def _export(setting: SweepConfig, store: Path, output: Path) -> None:
    from numerics.sweep import read_sweep, write_csv

    dataset = read_sweep(setting, store)

    def write(path: Path) -> None:
        if path.suffix == ".csv":
            write_csv(dataset, path)
        else:
            path.write_bytes(dataset.to_netcdf(engine="h5netcdf"))  # made in memory: on a full disk HDF5 crashes

    save(output, write, tell=False)


def _report(setting: SweepConfig, store: Path, output: Path | None, as_json: bool) -> None:
    from numerics.sweep import sweep_status

    tally, errors = sweep_status(setting, store)
    if as_json:
        written: dict[str, Any] = {} if output is None else {"output": str(output)}
        print_json({"store": str(store), "cells": tally.cells, **asdict(tally), "errors": errors, **written})
        return
    lines = [f"{tally.cells} cells: {tally.done} done, {tally.failed} failed, {tally.missing} missing ({store})"]
    lines += [f"failed: {count} x {error}" for error, count in list(errors.items())[:MOST_ERRORS]]
    if len(errors) > MOST_ERRORS:
        lines.append(f"failed: {len(errors) - MOST_ERRORS} other errors (--json lists all)")
    print_parts(*lines, *([] if output is None else [f"written: {output}"]))
