"""The command `hermescape simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hermescape.cli.options import Force, Given, Json, Threads, check_output, parametrisation, takes
from hermescape.cli.pictures import LookOf, Width, picture, plot_option
from hermescape.output import print_json, print_parts, save, watching
from numerics.parameters import MODEL_PARAMETERS
from theory.errors import ParameterError

if TYPE_CHECKING:
    from hermescape.task import Task

__all__ = ["simulate"]

LONG = 60.0
"""Seconds from which a run is announced"""
SHOWN = 4
"""Shortcuts named"""


@takes(
    *("student", "mu", "dimension", "batch", "step_size", "replicas", "threshold", "seed"),
    *("teacher", "model", "rho", "mix", "label", "noise", "scale", "objective", "c", "initial_scale", "max_steps"),
    values="keep",
)
def simulate(
    given: Given,
    threads: Threads = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE.nc", help="save netCDF arrays")] = None,
    plot: Annotated[Path | None, plot_option("draw the share of runs that have left")] = None,
    width: Width = None,
    style: LookOf = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Simulate one-pass SGD exactly, and report exit steps.

    With --model pretrain, |m| is the overlap |<w, w_s>|/|w| with the source.
    """
    check_output(output, ".nc", force)
    wanted = picture(plot, width, style, force)
    if "mu" in MODEL_PARAMETERS[parametrisation(given)] and given["mu"] is None:
        raise ParameterError("no --mu given; accepted: a number, in (0, 1] with model lora; none with plain, pretrain.")
    from hermescape.api import simulate as run
    from hermescape.task import Task
    from hermescape.views.simulation import exit_summary, exit_table

    task = Task(**given)
    lengths = _foreseen(task, threads)
    with watching("simulating") as watch:
        sample = run(task, threads=threads, watch=watch, foreseen=lengths)
    if output is not None:  # made in memory: HDF5 crashes on a full disk
        save(output, lambda path: path.write_bytes(sample.to_dataset().to_netcdf(engine="h5netcdf")))
    if wanted is not None:
        from hermescape.drawing import draw_sample

        wanted.save(draw_sample(sample, style=wanted.style, width=wanted.width).figure)
    if as_json:
        print_json(exit_summary(sample))
    else:
        caution = sample.experiment.network.caution
        print_parts(exit_table(sample), *([caution] if caution else []))


def _foreseen(task: Task, threads: int | None) -> tuple[float, ...]:
    """Return likely lengths of a run; say on stderr if all will take long, and what would shorten it."""
    from hermescape.api import experiment
    from numerics.simulation.workload import foresee

    work = foresee(experiment(task), threads=threads)
    if work.at_most <= LONG:
        return work.lengths
    from hermescape.foresight import foreseen

    work, ways = foreseen(task, work, threads, long=LONG)
    if work.seconds > LONG:
        advice = ", ".join(map(str, ways[:SHOWN]))
        typer.echo(f"this will take {work}" + (f"; shorter: {advice}" if advice else ""), err=True)
    return work.lengths
