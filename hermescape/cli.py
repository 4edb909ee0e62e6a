"""The command line: every command prints a table, or with --json one JSON object and nothing else on stdout.

Exit codes: 0 done (and, for check, everything agrees), 1 a check that disagrees, 2 bad input, 130 interrupted. Heavy
imports wait inside the commands, so that --help stays fast.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hermescape import __version__
from theory.errors import HermescapeError, ParameterError

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="From any activation to its escape time: derive, integrate, simulate and check learning dynamics.",
)

ACTIVATION = "a name (linear, relu, erf, sigmoid, tanh, square, abs, sign, step, he1...he20) or an expression in x"
Act = Annotated[str, typer.Argument(metavar="ACT", help=f"student activation: {ACTIVATION}")]
Teacher = Annotated[str | None, typer.Option(metavar="ACT", help="teacher link, the student's own by default")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object")]
Model = Literal["lora", "plain"]
Force = Annotated[bool, typer.Option("--force", help="overwrite an existing output file")]
MU_HELP = "one number, a LIST a,b,c, or a grid START:STOP:COUNT; in (0, 1]"


@app.command()
def derive(
    activation: Act,
    teacher: Teacher = None,
    model: Annotated[Model, typer.Option(help="lora: w = mu w* + u v; plain: w = v on the sphere")] = "lora",
    latex: Annotated[bool, typer.Option("--latex", help="print an align block that compiles")] = False,
    as_json: Json = False,
) -> None:
    """Derive loss, ODEs, A, B and tau, each with its tier.

    Time is t = lr * steps.
    """
    from hermescape.reporting import derivation, derivation_table
    from theory.dynamics import derive as derive_system

    if latex and as_json:
        raise ParameterError("--latex and --json given; accepted: one of them.")
    system = derive_system(activation, teacher, model=model)
    if latex:
        typer.echo(system.latex())
    elif as_json:
        _print_json(derivation(system))
    else:
        _print(*derivation_table(system))


@app.command()
def escape(
    activation: Act,
    mu: Annotated[str, typer.Option(metavar="MU", help=MU_HELP)],
    teacher: Teacher = None,
    as_json: Json = False,
) -> None:
    """Give A, B, growth rate and search time tau at each mu.

    tau is in t = lr * steps and comes with its error estimate, 0 where it is exact.
    """
    from hermescape.reporting import escape_points, escape_table
    from numerics.search import search_time
    from theory.dynamics import derive as derive_system

    strengths = parse_mu(mu)
    system = derive_system(activation, teacher)
    found = [search_time(system, value) for value in strengths]
    if as_json:
        _print_json({"points": escape_points(found)})
    else:
        _print(escape_table(system, found))


@app.command()
def simulate(
    activation: Act,
    mu: Annotated[float | None, typer.Option(help="pre-training strength in (0, 1] (model lora)")] = None,
    d: Annotated[int, typer.Option(help="input dimension, at least 3")] = 1000,
    batch: Annotated[int, typer.Option(help="samples a step")] = 500,
    lr: Annotated[float, typer.Option(help="step size eta")] = 0.2,
    replicas: Annotated[int, typer.Option(help="independent runs, at least 2")] = 100,
    threshold: Annotated[float, typer.Option(help="exit when |m| reaches it, in (0, 1)")] = 0.5,
    seed: Annotated[int, typer.Option(help="results depend on it and the other options only")] = 0,
    teacher: Teacher = None,
    model: Annotated[Model, typer.Option(help="lora: w = mu w* + u v; plain: w = v on the sphere")] = "lora",
    max_steps: Annotated[int, typer.Option(help="runs still inside after so many steps are censored")] = 100_000,
    threads: Annotated[int | None, typer.Option(help="worker threads; no effect on the result")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE.nc", help="save netCDF arrays")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Simulate one-pass SGD exactly, and report exit steps."""
    from hermescape.api import simulate as run
    from hermescape.reporting import exit_summary, exit_table

    _check_output(output, ".nc", force)
    if model == "lora" and mu is None:
        raise ParameterError("no --mu given; accepted: a number in (0, 1] with model lora, none with model plain.")
    with progress_bar("simulating", replicas) as advance:
        sample = run(
            activation,
            teacher,
            mu=mu,
            dimension=d,
            batch=batch,
            step_size=lr,
            threshold=threshold,
            replicas=replicas,
            seed=seed,
            max_steps=max_steps,
            model=model,
            threads=threads,
            progress=advance,
        )
    if output is not None:
        _save(output, lambda path: sample.to_dataset().to_netcdf(path, engine="h5netcdf"))
    if as_json:
        _print_json(exit_summary(sample))
    else:
        _print(exit_table(sample))


@app.command()
def check(
    activation: Act,
    mu: Annotated[str, typer.Option(metavar="MU", help=MU_HELP)] = "0.2,0.4,0.6",
    d: Annotated[int, typer.Option(help="input dimension, at least 3")] = 1000,
    batch: Annotated[int | None, typer.Option(help="samples a step; chosen so that kappa is small")] = None,
    lr: Annotated[float | None, typer.Option(help="step size; chosen from the curvature of the loss")] = None,
    replicas: Annotated[int | None, typer.Option(help="runs for each mu; 400, fewer where runs are long")] = None,
    threshold: Annotated[float, typer.Option(help="exit when |m| reaches it, in (0, 1)")] = 0.5,
    seed: Annotated[int, typer.Option(help="results depend on it and the other options only")] = 0,
    teacher: Teacher = None,
    threads: Annotated[int | None, typer.Option(help="worker threads; no effect on the result")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.png", help="draw prediction and measurement")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Derive, integrate, simulate, and say whether they agree.

    The exit code is 1 if any row disagrees or stays undecided.
    """
    from hermescape.checking import check as run
    from hermescape.reporting import check_lines

    strengths = parse_mu(mu)
    _check_output(plot, ".png", force)
    with progress_bar("simulating", None) as advance:
        report = run(
            activation,
            teacher,
            mu=strengths,
            dimension=d,
            batch=batch,
            step_size=lr,
            replicas=replicas,
            threshold=threshold,
            seed=seed,
            threads=threads,
            progress=advance,
        )
    if plot is not None:
        from hermescape.reporting import save_check_plot

        _save(plot, lambda path: save_check_plot(report, path))
    if as_json:
        _print_json(report.as_dict())
    else:
        _print(*check_lines(report))
    if not report.passed:
        raise typer.Exit(1)


# --- shared by the commands -------------------------------------------------------------------------------------

MAX_POINTS = 10_000
INTERRUPTED = 130


def parse_mu(text: str) -> list[float]:
    """Return the numbers of a LIST or START:STOP:COUNT.

    >>> parse_mu("0.1:0.5:3"), parse_mu("0.2,0.4")
    ([0.1, 0.3, 0.5], [0.2, 0.4])
    """
    try:
        if ":" in text:
            start, stop, count = text.split(":")
            first, last, n = float(start), float(stop), int(count)
            if not 1 <= n <= MAX_POINTS:
                raise ValueError
            values = [round(first + (last - first) * i / max(n - 1, 1), 15) for i in range(n)]
        else:
            values = [float(part) for part in text.split(",")]
    except ValueError:
        raise ParameterError(
            f"--mu {text!r} given; accepted: a LIST such as 0.2,0.4 or START:STOP:COUNT such as 0.05:0.95:10 "
            f"(COUNT from 1 to {MAX_POINTS})."
        ) from None
    bad = [value for value in values if not 0 < value <= 1]
    if bad:
        raise ParameterError(f"mu = {bad[0]:g} given; accepted: numbers in (0, 1]; mu is the alignment <w0, w*>.")
    return values


def _check_output(path: Path | None, suffix: str, force: bool) -> None:
    """Refuse an output that could not be written, before any work is done."""
    if path is None:
        return
    if path.suffix != suffix:
        raise ParameterError(f"output {path} given; accepted: a file name that ends in {suffix}.")
    if path.exists() and not force:
        raise ParameterError(f"output {path} exists; accepted: a new file name, or --force to overwrite it.")
    if not path.parent.is_dir():
        raise ParameterError(
            f"output {path} given; accepted: a file in an existing folder: create {path.parent} first."
        )


def _save(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside the target and move into place, so that a failure leaves an older file whole."""
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        write(partial)
        partial.replace(path)
    except OSError as error:
        raise ParameterError(f"output {path} cannot be written: {error.strerror or error}.") from error
    finally:
        partial.unlink(missing_ok=True)


def _print_json(content: dict[str, Any]) -> None:
    typer.echo(json.dumps(_finite(content), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    """Replace infinities and NaN, which JSON lacks, by null."""
    if isinstance(value, dict):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _print(*parts: str | Table) -> None:
    from rich.console import Console

    width = None if sys.stdout.isatty() else 110
    console = Console(highlight=False, markup=False, width=width)
    for part in parts:
        console.print(part, soft_wrap=isinstance(part, str))


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


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
) -> None:
    if version:
        typer.echo(f"hermescape {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; every error becomes one line on stderr."""
    try:
        code = app(standalone_mode=False)
        if code == INTERRUPTED:
            _complain("interrupted")
    except HermescapeError as error:
        code = _complain(str(error))
    except KeyboardInterrupt:
        code = _complain("interrupted", INTERRUPTED)
    except typer.Abort:
        code = _complain("interrupted", INTERRUPTED)
    except Exception as error:
        describe = getattr(type(error), "format_message", None)
        if describe is None:  # not a usage error of the command-line library
            raise
        code = _complain(f"{describe(error)} (see hermescape --help)")
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str, code: int = 2) -> int:
    typer.echo(f"error: {' '.join(message.split())}", err=True)
    return code
