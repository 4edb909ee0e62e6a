"""The command `hermescape simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hermescape.cli.options import Force, Given, Json, Threads, check_output, parametrisation, takes
from hermescape.output import print_json, print_parts, progress_bar, save
from numerics.parameters import MODEL_PARAMETERS
from theory.errors import ParameterError

__all__ = ["simulate"]


@takes(
    *("student", "mu", "dimension", "batch", "step_size", "replicas", "threshold", "seed"),
    *("teacher", "model", "rho", "mix", "label", "noise", "scale", "c", "initial_scale", "max_steps"),
)
def simulate(
    given: Given,
    threads: Threads = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE.nc", help="save netCDF arrays")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Simulate one-pass SGD exactly, and report exit steps.

    With --model pretrain, |m| is the overlap |<w, w_s>|/|w| with the source.
    """
    check_output(output, ".nc", force)
    if "mu" in MODEL_PARAMETERS[parametrisation(given)] and given["mu"] is None:
        raise ParameterError("no --mu given; accepted: a number, in (0, 1] with model lora; none with plain, pretrain.")
    from hermescape.api import simulate as run
    from hermescape.task import Task
    from hermescape.views.simulation import exit_summary, exit_table

    task = Task(**given)
    with progress_bar("simulating", task.replicas) as advance:
        sample = run(task, threads=threads, progress=advance)
    if output is not None:  # made in memory: HDF5 crashes on a full disk
        save(output, lambda path: path.write_bytes(sample.to_dataset().to_netcdf(engine="h5netcdf")))
    if as_json:
        print_json(exit_summary(sample))
    else:
        print_parts(exit_table(sample))
