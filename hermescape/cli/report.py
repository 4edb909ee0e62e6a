"""The command `hermescape report`."""

from __future__ import annotations

import shlex
import time
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hermescape.cli import options
from hermescape.cli.options import Act, Alpha, Force, Json, Label, Noise, Rho, Teacher
from hermescape.output import print_json, progress_bar, save
from theory.errors import ParameterError

if TYPE_CHECKING:
    from hermescape.report.findings import Request

__all__ = ["report"]

OPTIONS = {"dimension": "d", "step_size": "lr", "scale": "alpha"}  # where they are not called as in `Request`
MODELS = "lora: w = mu w* + u v; misaligned: w = w0 + u v (with --rho); plain: w = v on the sphere; default: lora"
Model = Annotated[Literal["lora", "misaligned", "plain"] | None, typer.Option(help=MODELS)]


def report(
    activation: Act,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.html", help="the page to write")],
    mu: Annotated[str | None, typer.Option(metavar="MU", help=f"{options.MU_HELP}; 0.2,0.4,0.6")] = None,
    d: Annotated[int, typer.Option(help="input dimension")] = 1000,
    batch: Annotated[int | None, typer.Option(help="samples a step; chosen so that kappa is small")] = None,
    lr: Annotated[float | None, typer.Option(help="step size; chosen from the curvature of the loss")] = None,
    replicas: Annotated[int | None, typer.Option(help="runs for each mu, at least 2; fewer where long")] = None,
    threshold: Annotated[float, typer.Option(help="exit when |m| reaches it, in (0, 1)")] = 0.5,
    seed: Annotated[int, typer.Option(help="results depend on it and the other options only")] = 0,
    teacher: Teacher = None,
    model: Model = None,
    rho: Rho = None,
    label: Label = None,
    noise: Noise = 0.0,
    alpha: Alpha = 1.0,
    threads: Annotated[int | None, typer.Option(help="worker threads; no effect on the result")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="a tenth of the samples, and coarser figures")] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write a page with the derivation, the numbers, the figures and the verdict of check.

    The middle mu is shown in detail. The exit code is 1 unless the check ran and agrees; the page is written anyway.
    """
    options.check_output(output, ".html", force)
    chosen = options.parametrisation(model, rho, False)
    if chosen == "plain" and mu is not None:
        raise ParameterError("--mu with --model plain given; accepted: no --mu, it has no pre-trained weight.")
    strengths = options.parse_mu("0.2,0.4,0.6" if mu is None else mu, aligned=chosen == "lora")
    from hermescape.report.findings import Request, gather
    from hermescape.report.page import page

    settings = Request(
        student=activation,
        teacher=teacher,
        model="misaligned" if chosen == "misaligned" else "plain" if chosen == "plain" else "lora",
        mu=() if chosen == "plain" else tuple(sorted(set(strengths))),
        rho=rho,
        label=label,
        noise=noise,
        scale=alpha,
        dimension=d,
        batch=batch,
        step_size=lr,
        replicas=replicas,
        threshold=threshold,
        seed=seed,
        threads=threads,
        quick=quick,
    )
    begun = time.perf_counter()
    with progress_bar("simulating", None) as advance:
        found = gather(settings, advance)
    seconds = time.perf_counter() - begun
    with progress_bar("drawing", None) as advance:
        text = page(found, seconds, command_line(settings, output.name), advance)
    save(output, lambda path: path.write_text(text, encoding="utf-8"))
    if as_json:
        print_json({"output": str(output), "passed": found.passed, "seconds": seconds})
    else:
        typer.echo(f"{output}: {'the check agrees' if found.passed else 'NOT CONFIRMED, see its section Check'}")
    if not found.passed:
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
        words.append("--" + OPTIONS.get(part.name, part.name).replace("_", "-"))
        if value is not True:
            words.append(",".join(map(str, value)) if isinstance(value, tuple) else str(value))
    return shlex.join(words)
