"""The command `hermescape check`: the whole chain at one dimension, or (--law) the law of the exit time at several."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hermescape.cli import options, pictures
from hermescape.cli.options import ALIGNED, MU_HELP, Force, Given, Json, Threads, takes, use
from hermescape.cli.pictures import LookOf, Width, plot_option
from hermescape.output import print_json, print_parts, progress_bar
from theory.errors import ParameterError

__all__ = ["check"]

ALIGNMENTS = "0.2,0.4,0.6"
DIMENSION, DIMENSIONS = "1000", "1000,10000,100000"
LAW_MODELS = ("lora", "misaligned", "plain")


@takes(
    "student",
    use("mu", kind=str, metavar="MU", note=f"{MU_HELP}; default: {ALIGNMENTS}"),
    use("dimension", kind=str, default=None, metavar="D", note="default: 1000; --law: a LIST, 1e3,1e4,1e5"),
    use("batch", default=None, note="chosen so that kappa is small"),
    use("step_size", default=None, note="chosen from the curvature of the loss"),
    use("replicas", default=None, note="for each mu (--law: and d); fewer where long"),
    *("threshold", "seed", "teacher", "rho", "label", "noise", "scale", "objective", "model", "mix"),
    use("kappa", note="with --law; chosen so that its noise shows"),
    use("initial_scale", note="with --law"),
)
def check(
    given: Given,
    threads: Threads = None,
    plot: Annotated[Path | None, plot_option("draw prediction and measurement")] = None,
    width: Width = None,
    style: LookOf = None,
    force: Force = False,
    test_law: Annotated[bool, typer.Option("--law", help="test the whole law of the exit time, at several d")] = False,
    budget: Annotated[float | None, typer.Option(help="--law: samples that may be drawn; 2e9, some 20 s")] = None,
    as_json: Json = False,
) -> None:
    """Derive, integrate, simulate, and say whether they agree; --law tests the law of the exit time.

    The exit code is 1 if anything disagrees or stays undecided.
    """
    picture = pictures.picture(plot, width, style, force)
    report = (_law if test_law else _one_dimension)({**given, "threads": threads}, budget)
    from hermescape.views.check import check_lines

    if picture is not None and (not test_law or any(case.samples for case in report.cases)):
        from hermescape.views.check_plot import check_figure

        picture.save(check_figure(report, picture.style, picture.width))
    if as_json:
        print_json(report.as_dict())
    else:
        print_parts(*check_lines(report))
    if not report.passed:
        raise typer.Exit(1)


def _one_dimension(given: Given, budget: float | None) -> Any:
    """Run the check at one dimension."""
    others = {name: given.pop(name) for name in ("model", "kappa", "initial_scale")}
    options.refuse("without --law", **others | {"budget": budget})
    aligned = given["rho"] is None and not given["mix"]
    dimensions = options.parse_dimensions(given["dimension"] or DIMENSION)
    if len(dimensions) > 1:
        raise ParameterError(f"--d {given['dimension']} without --law given; accepted: one integer.")
    from hermescape.verify.check import check as run

    place: Given = {"mu": _alignments(given, aligned), "dimension": dimensions[0]}
    with progress_bar("simulating", None) as advance:
        return run(given.pop("student"), given.pop("teacher"), **given | place, progress=advance, ahead=True)


def _law(given: Given, budget: float | None) -> Any:
    """Run the check of the law at several dimensions."""
    options.refuse("with --law", batch=given.pop("batch"))
    given["model"] = options.parametrisation(given, LAW_MODELS, "--law with ")
    dimensions = options.parse_dimensions(given.pop("dimension") or DIMENSIONS)
    from hermescape.verify.check import check_law as run

    place: Given = {"mu": _alignments(given, given["model"] in ALIGNED), "dimensions": dimensions}
    more: Given = {} if budget is None else {"budget": budget}
    with progress_bar("simulating", None) as advance:
        return run(given.pop("student"), given.pop("teacher"), **given | place | more, progress=advance)


def _alignments(given: Given, aligned: bool) -> list[float]:
    return options.parse_mu(ALIGNMENTS if given["mu"] is None else given["mu"], aligned=aligned)
