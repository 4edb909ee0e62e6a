"""The command `hermescape report`."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hermescape.cli import options
from hermescape.cli.families import SCALARS, members, single_put
from hermescape.cli.options import Force, Given, Json, Threads, takes, use, written
from hermescape.output import print_json, save, telling
from hermescape.report.stages import PATIENCE

if TYPE_CHECKING:
    from hermescape.report.family import Members
    from hermescape.report.findings import Request
    from hermescape.report.stages import Tell
from numerics.parameters import MODEL_PARAMETERS
from theory.errors import ParameterError

__all__ = ["report"]

ALIGNMENTS = "0.2,0.4,0.6"
Model = Literal["lora", "misaligned", "plain"]


@takes(
    "student",
    use("mu", kind=str, metavar="MU", note=f"{options.MU_HELP}; default: {ALIGNMENTS}"),
    "dimension",
    use("batch", default=None, note="chosen so that kappa is small"),
    use("step_size", default=None, note="chosen from the curvature of the loss"),
    use("replicas", default=None, note="for each mu; fewer where long"),
    *("threshold", "seed", "teacher", use("model", kind=Model), "rho", "label", "noise", "scale", "objective"),
    values="grid",
)
def report(
    given: Given,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.html", help="the page to write")],
    threads: Threads = None,
    quick: Annotated[bool, typer.Option("--quick", help="a tenth of the samples, and coarser figures")] = False,
    patience: Annotated[
        float, typer.Option(metavar="SECONDS", help="until parts that are not ready are left out, each with a note")
    ] = PATIENCE,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write a page with the derivation, the numbers, the figures and the verdict of check.

    The middle mu is shown in detail; of a family with several values of --set, its members beside each other. The exit
    code is 1 unless the check ran and agrees; the page is written anyway, also where a part of it takes too long
    (--patience).
    """
    options.check_output(output, ".html", force)
    grid = single_put(given)
    given["model"] = model = options.parametrisation(given)
    alignments = options.parse_mu(given["mu"] or ALIGNMENTS, aligned=model in options.ALIGNED)
    from hermescape.report.findings import Request, gather
    from hermescape.report.page import page

    given["mu"] = () if "mu" not in MODEL_PARAMETERS[model] else tuple(sorted(set(alignments)))
    if not patience > 0:
        raise ParameterError(f"--patience {patience:g} given; accepted: a number of seconds > 0, or inf.")
    settings = Request(**given, threads=threads, quick=quick, patience=patience)
    begun, command = time.perf_counter(), command_line(settings, output.name, grid)
    with telling() as tell:
        if grid:
            findings, text = _of_family(settings, given, grid, command, tell)
            seconds = time.perf_counter() - begun
        else:
            findings = gather(settings, tell)
            seconds = time.perf_counter() - begun
            text = page(findings, seconds, command, tell)
    save(output, lambda path: path.write_text(text, encoding="utf-8"), tell=False)
    if as_json:
        print_json({"output": str(output), "passed": findings.passed, "seconds": seconds})
    else:
        typer.echo(f"{output}: {'the check agrees' if findings.passed else 'NOT CONFIRMED, see its section Check'}")
    if not findings.passed:
        raise typer.Exit(1)


def _of_family(
    settings: Request, given: Given, grid: dict[str, list[str]], command: str, tell: Tell
) -> tuple[Members, str]:
    """Return what was computed of a family's members, and its page."""
    from hermescape.report.family import family_page, members_of

    rows = [
        (values, {name: own[name] for name in ("student", "teacher", "label", *SCALARS)})
        for values, own in members(given, grid)
    ]
    checked = members_of(settings, rows, tell)
    return checked, family_page(checked, command)


def command_line(settings: Request, output: str, grid: Mapping[str, list[str]] | None = None) -> str:
    """Return the command that makes the report, with every option that is not at its default.

    >>> from hermescape.report.findings import Request
    >>> command_line(Request("x**2", mu=(0.3,), dimension=500), "a.html")
    "hermescape report 'x**2' -o a.html --mu 0.3 --d 500"
    """
    words = ["hermescape", "report", _named(settings.student), "-o", output]
    if grid and not isinstance(settings.student, str):
        for parameter in settings.task.system().network.domain:
            words += ["--param", str(parameter).removesuffix(" real")]
    for name, values in (grid or {}).items():
        words += ["--set", f"{name}={','.join(values)}"]
    for part in fields(settings)[1:]:
        value = getattr(settings, part.name)
        is_implied = part.name == "model" and settings.rho is not None
        if value in (part.default, ()) or is_implied:
            continue
        words.append(written(part.name))
        if value is not True:
            words.append(",".join(map(str, value)) if isinstance(value, tuple) else _named(value))
    return shlex.join(words)


def _named(value: object) -> str:
    """Return what was typed for a function or another value."""
    return str(getattr(value, "name", value))
