"""The command `hermescape escape`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hermescape.cli import options
from hermescape.cli.families import combinations, numbers, single_put
from hermescape.cli.options import MU_HELP, Digits, Force, Given, Json, Tolerance, takes, use
from hermescape.cli.pictures import LookOf, Width, picture, plot_option
from hermescape.output import print_json, print_parts
from theory.errors import ParameterError

if TYPE_CHECKING:
    from rich.table import Table

    from numerics.rates.search_time import RateScale
    from theory.network.system import System

__all__ = ["escape"]

LORA = Literal["lora", "misaligned"]


@takes(
    "student",
    use("mu", kind=str, metavar="MU", note=MU_HELP),
    *("teacher", use("model", kind=LORA), "rho", "mix", "label", "noise", "scale", "objective"),
    values="grid",
)
def escape(
    given: Given,
    critical: Annotated[
        bool, typer.Option("--critical", help="all mu in (0, 1] at which tau diverges, and the mu of shortest tau")
    ] = False,
    order: Annotated[int | None, typer.Option(metavar="K", help="cut every Hermite sum after this order")] = None,
    digits: Digits = None,
    tolerance: Tolerance = None,
    rate_scale: options.RateScale = "raw",
    plot: Annotated[Path | None, plot_option("draw tau over mu in (0, 1)")] = None,
    width: Width = None,
    style: LookOf = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Give A, B, growth rate and search time tau at each mu, or (--critical) the alignments at which tau diverges.

    tau is in t = lr * steps and comes with its error estimate, 0 where it is exact. With --digits, and for numbers
    beyond a double, JSON holds texts; log_tau is the natural logarithm of tau.
    """
    wanted = picture(plot, width, style, force)
    model = options.parametrisation(given)
    accuracy = options.accuracy(tolerance, digits, order)
    mu = given.pop("mu")
    if mu is None:
        options.check_without_mu(critical, order, digits, tolerance)
    alignments = [] if mu is None else options.parse_mu(mu, aligned=model in options.ALIGNED)
    if given["mix"] and digits is not None:
        raise ParameterError("--mix with --digits given; accepted: --rho R, since the rho of --mix is rounded.")
    from hermescape.task import Task
    from hermescape.views.search import escape_parts, escape_points
    from numerics.rates.curve import searches
    from numerics.rates.search_time import slowdown

    grid = single_put(given)
    if grid and (critical or wanted is not None):
        raise ParameterError("--critical or --plot with several values of --set given; accepted: one value each.")
    task = Task(**given)
    system = task.system()
    lengths = [float(replace(task, mu=value).length or 0) for value in alignments] if task.mix else task.length
    report, parts = _critical(system, rate_scale) if critical else ({}, ())
    settings = {"order": order, "tolerance": accuracy, "digits": digits, "rate_scale": rate_scale}
    rows = combinations(grid) if alignments else []
    points = [s for row in rows for s in searches(system, alignments, rho=lengths, parameters=row, **settings)]
    shared = [row for row in rows for _ in alignments] if grid else []
    if wanted is not None:
        from hermescape.drawing import draw_search_time

        ax = draw_search_time(system, rho=task.length if task.rho else None, style=wanted.style, width=wanted.width)
        wanted.save(ax.figure)
    if as_json:
        scale = {"rate_scale": rate_scale, "slowdown": slowdown(system, rate_scale)}
        print_json({"points": escape_points(points, list(map(numbers, shared))), **scale, **report})
    else:
        print_parts(*(escape_parts(system, points, shared) if points else ()), *parts)


def _critical(system: System, rate_scale: RateScale) -> tuple[dict[str, Any], tuple[str | Table, ...]]:
    from hermescape.views.critical import critical_parts, critical_report

    report = critical_report(system, rate_scale)
    return report, critical_parts(report)
