"""The command `hermescape report`."""

from __future__ import annotations

import shlex
import time
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hermescape.cli import options
from hermescape.cli.options import Force, Given, Json, Threads, takes, use, written
from hermescape.output import print_json, save, telling
from hermescape.report.stages import PATIENCE

if TYPE_CHECKING:
    from hermescape.report.findings import Request
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

    The middle mu is shown in detail. The exit code is 1 unless the check ran and agrees; the page is written anyway,
    also where a part of it takes too long (--patience).
    """
    options.check_output(output, ".html", force)
    given["model"] = model = options.parametrisation(given)
    alignments = options.parse_mu(given["mu"] or ALIGNMENTS, aligned=model in options.ALIGNED)
    from hermescape.report.findings import Request, gather
    from hermescape.report.page import page

    given["mu"] = () if "mu" not in MODEL_PARAMETERS[model] else tuple(sorted(set(alignments)))
    if not patience > 0:
        raise ParameterError(f"--patience {patience:g} given; accepted: a number of seconds > 0, or inf.")
    settings = Request(**given, threads=threads, quick=quick, patience=patience)
    begun = time.perf_counter()
    with telling() as tell:
        findings = gather(settings, tell)
        seconds = time.perf_counter() - begun
        text = page(findings, seconds, command_line(settings, output.name), tell)
    save(output, lambda path: path.write_text(text, encoding="utf-8"), tell=False)
    if as_json:
        print_json({"output": str(output), "passed": findings.passed, "seconds": seconds})
    else:
        typer.echo(f"{output}: {'the check agrees' if findings.passed else 'NOT CONFIRMED, see its section Check'}")
    if not findings.passed:
        raise typer.Exit(1)


def command_line(settings: Request, output: str) -> str:
    """Return the command that makes the report, with every option that is not at its default.

    >>> from hermescape.report.findings import Request
    >>> command_line(Request("x**2", mu=(0.3,), dimension=500), "a.html")
    "hermescape report 'x**2' -o a.html --mu 0.3 --d 500"
    """
    words = ["hermescape", "report", settings.student, "-o", output]
    for part in fields(settings)[1:]:
        value = getattr(settings, part.name)
        is_implied = part.name == "model" and settings.rho is not None
        if value in (part.default, ()) or is_implied:
            continue
        words.append(written(part.name))
        if value is not True:
            words.append(",".join(map(str, value)) if isinstance(value, tuple) else str(value))
    return shlex.join(words)
