"""The command line: every command prints a table, or with --json one JSON object and nothing else on stdout.

Exit codes: 0 done (and, for check, everything agrees), 1 a check that disagrees, 2 bad input, 130 interrupted. Heavy
imports wait inside the commands, so that --help stays fast.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from hermescape import __version__
from hermescape.cli import options
from hermescape.cli.cite import cite
from hermescape.cli.law import law, run_law_check
from hermescape.cli.options import Act, Alpha, Digits, Force, Json, Label, Mix, Noise, Parametrisation, Rho, Teacher
from hermescape.cli.phases import phases
from hermescape.cli.report import report
from hermescape.cli.reproduce import reproduce
from hermescape.cli.sweep import sweep
from hermescape.output import print_json, print_parts, progress_bar, save
from theory.errors import HermescapeError, ParameterError

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="From any activation to its escape time: derive, integrate, simulate and check learning dynamics.",
)

INTERRUPTED = 130


@app.command()
def derive(
    activation: Act,
    teacher: Teacher = None,
    model: Parametrisation = "lora",
    label: Label = None,
    noise: Noise = 0.0,
    alpha: Alpha = 1.0,
    latex: Annotated[bool, typer.Option("--latex", help="print align blocks that compile")] = False,
    as_json: Json = False,
) -> None:
    """Derive loss, ODEs, A, B and tau, each with its tier.

    Time is t = lr * steps.
    """
    from hermescape.views.derivation import derivation, derivation_table
    from theory.network.derivation import derive as derive_system

    if latex and as_json:
        raise ParameterError("--latex and --json given; accepted: one of them.")
    system = derive_system(activation, teacher, model=model, label=label, noise=noise, alpha=alpha)
    if latex:
        typer.echo(system.latex())
    elif as_json:
        print_json(derivation(system))
    else:
        print_parts(*derivation_table(system))


@app.command()
def latex(
    activation: Act,
    teacher: Teacher = None,
    model: Parametrisation = "lora",
    label: Label = None,
    noise: Noise = 0.0,
    alpha: Alpha = 1.0,
    fragment: Annotated[bool, typer.Option("--fragment", help="only macros and equations, for a paper")] = False,
    rename: options.Rename = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE.tex", help="default: stdout")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write the derivation as a LaTeX document, every equation numbered, every step with its rule.

    It needs amsmath and amssymb. Symbols are macros; --rename changes what they print.
    """
    options.check_output(output, ".tex", force)
    names = options.parse_names(rename)
    from theory.network.derivation import derive as derive_system
    from theory.writing.document import document

    system = derive_system(activation, teacher, model=model, label=label, noise=noise, alpha=alpha)
    text = document(system, names=names, fragment=fragment)
    if output is not None:
        save(output, lambda path: path.write_text(text, encoding="utf-8"))
    if as_json:
        print_json({"output": None if output is None else str(output), "latex": text})
    elif output is None:
        typer.echo(text, nl=False)


@app.command()
def activations(as_json: Json = False) -> None:
    """List the registered activations."""
    from hermescape.views.derivation import registry, registry_table

    if as_json:
        print_json({"activations": registry()})
    else:
        print_parts(registry_table(registry()))


@app.command()
def hermite(
    activation: Act,
    order: Annotated[int, typer.Option(metavar="K", help=f"highest order, 0 to {options.MAX_ORDER}")],
    variance: Annotated[str, typer.Option(metavar="V", help="a number, a fraction, or the symbol r")] = "1",
    as_json: Json = False,
) -> None:
    """Give the Hermite coefficients sigma_k^[r] = E_r[He_k^[r] sigma], k = 0, ..., K.

    He_k is the probabilists' polynomial, unnormalised. Exact where a rule closes them, else with their errors.
    """
    from hermescape.views.derivation import hermite_expansion, hermite_table

    if not 0 <= order <= options.MAX_ORDER:
        raise ParameterError(f"--order {order} given; accepted: an integer from 0 to {options.MAX_ORDER}.")
    found = hermite_expansion(activation, order, options.parse_variance(variance))
    if as_json:
        print_json(found)
    else:
        print_parts(*hermite_table(found))


@app.command()
def kernel(
    activation: Act,
    teacher: Teacher = None,
    at: Annotated[str | None, typer.Option(metavar="Q,R", help="its number there, with an error; R >= Q^2")] = None,
    digits: Digits = None,
    tolerance: options.Tolerance = None,
    as_json: Json = False,
) -> None:
    """Give the kernel K(q, r) = E[sigma(l) phi(l*)], (l, l*) of covariance [[r, q], [q, 1]]."""
    from hermescape.views.derivation import kernel_lines, kernel_report

    if at is None and (digits is not None or tolerance is not None):
        raise ParameterError("--digits or --tolerance without --at given; accepted: them with --at Q,R.")
    point = None if at is None else options.parse_point(at)
    found = kernel_report(activation, teacher, point, digits, options.accuracy(tolerance, digits))
    if as_json:
        print_json(found)
    else:
        print_parts(*kernel_lines(found))


@app.command()
def escape(
    activation: Act,
    mu: Annotated[str | None, typer.Option(metavar="MU", help=options.MU_HELP)] = None,
    critical: Annotated[
        bool, typer.Option("--critical", help="all mu in (0, 1] at which tau diverges, and the mu of shortest tau")
    ] = False,
    teacher: Teacher = None,
    model: options.Lora = None,
    rho: Rho = None,
    mix: Mix = False,
    label: Label = None,
    noise: Noise = 0.0,
    alpha: Alpha = 1.0,
    order: Annotated[int | None, typer.Option(metavar="K", help="cut every Hermite sum after this order")] = None,
    digits: Digits = None,
    tolerance: options.Tolerance = None,
    rate_scale: options.RateScale = "raw",
    as_json: Json = False,
) -> None:
    """Give A, B, growth rate and search time tau at each mu, or (--critical) the strengths at which tau diverges.

    tau is in t = lr * steps and comes with its error estimate, 0 where it is exact. With --digits, and for numbers
    beyond a double, JSON holds texts; log_tau is the natural logarithm of tau.
    """
    from hermescape.views.search import critical_parts, critical_report, escape_points, escape_table
    from numerics.rates.search_time import search_time, slowdown
    from theory.network.derivation import derive as derive_system

    chosen = options.parametrisation(model, rho, mix)
    accuracy = options.accuracy(tolerance, digits, order)
    if mu is None:
        options.check_without_mu(critical, order, digits, tolerance)
    strengths = [] if mu is None else options.parse_mu(mu, aligned=chosen == "lora")
    if mix and digits is not None:
        raise ParameterError("--mix with --digits given; accepted: --rho R, since the rho of --mix is rounded.")
    system = derive_system(activation, teacher, model=chosen, label=label, noise=noise, alpha=alpha)
    report = critical_report(system, rate_scale) if critical else {}
    found = [
        search_time(
            system,
            value,
            rho=options.strength(value, rho, mix),
            order=order,
            tolerance=accuracy,
            digits=digits,
            rate_scale=rate_scale,
        )
        for value in strengths
    ]
    if as_json:
        scale = {"rate_scale": rate_scale, "slowdown": slowdown(system, rate_scale)}
        print_json({"points": escape_points(found), **scale, **report})
    else:
        print_parts(*([escape_table(system, found)] if found else []), *(critical_parts(report) if critical else ()))


@app.command()
def simulate(
    activation: Act,
    mu: Annotated[float | None, typer.Option(help="alignment <w0, w*>; in (0, 1] where w0 is aligned")] = None,
    d: Annotated[int, typer.Option(help="input dimension, at least 3 (misaligned 4)")] = 1000,
    batch: Annotated[int, typer.Option(help="samples a step")] = 500,
    lr: Annotated[float, typer.Option(help="step size eta")] = 0.2,
    replicas: Annotated[int, typer.Option(help="independent runs, at least 2")] = 100,
    threshold: Annotated[float, typer.Option(help="exit when |m| reaches it, in (0, 1)")] = 0.5,
    seed: Annotated[int, typer.Option(help="results depend on it and the other options only")] = 0,
    teacher: Teacher = None,
    model: options.Model = None,
    rho: Rho = None,
    mix: Mix = False,
    label: Label = None,
    noise: Noise = 0.0,
    alpha: Alpha = 1.0,
    c: Annotated[float | None, typer.Option("--c", help="pretrain: similarity <w_s, w*>, in [-1, 1]")] = None,
    initial_scale: Annotated[float | None, typer.Option(help="u at the start, d^-2; pretrain: |w|, 1")] = None,
    max_steps: Annotated[int, typer.Option(help="runs still inside after so many steps are censored")] = 100_000,
    threads: Annotated[int | None, typer.Option(help="worker threads; no effect on the result")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE.nc", help="save netCDF arrays")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Simulate one-pass SGD exactly, and report exit steps.

    With --model pretrain, |m| is the overlap |<w, w_s>|/|w| with the source.
    """
    options.check_output(output, ".nc", force)
    chosen = options.parametrisation(model, rho, mix)
    if chosen not in ("plain", "pretrain") and mu is None:
        raise ParameterError("no --mu given; accepted: a number, in (0, 1] with model lora; none with plain, pretrain.")
    from hermescape.api import simulate as run
    from hermescape.views.derivation import exit_summary, exit_table

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
            model=chosen,
            rho=None if mu is None else options.strength(mu, rho, mix),
            scale=alpha,
            noise=noise,
            label=label,
            c=c,
            initial_scale=initial_scale,
            threads=threads,
            progress=advance,
        )
    if output is not None:  # made in memory: HDF5 crashes on a full disk
        save(output, lambda path: path.write_bytes(sample.to_dataset().to_netcdf(engine="h5netcdf")))
    if as_json:
        print_json(exit_summary(sample))
    else:
        print_parts(exit_table(sample))


@app.command()
def check(
    activation: Act,
    mu: Annotated[str | None, typer.Option(metavar="MU", help=f"{options.MU_HELP}; 0.2,0.4,0.6")] = None,
    d: Annotated[str | None, typer.Option(metavar="D", help="dimension, 1000; --law: a LIST, 1e3,1e4,1e5")] = None,
    batch: Annotated[int | None, typer.Option(help="samples a step; chosen so that kappa is small")] = None,
    lr: Annotated[float | None, typer.Option(help="step size; chosen from the curvature of the loss")] = None,
    replicas: Annotated[int | None, typer.Option(help="runs for each mu (--law: and d); fewer where long")] = None,
    threshold: Annotated[float, typer.Option(help="exit when |m| reaches it, in (0, 1)")] = 0.5,
    seed: Annotated[int, typer.Option(help="results depend on it and the other options only")] = 0,
    teacher: Teacher = None,
    rho: Rho = None,
    label: Label = None,
    noise: Noise = 0.0,
    alpha: Alpha = 1.0,
    threads: Annotated[int | None, typer.Option(help="worker threads; no effect on the result")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.png", help="draw prediction and measurement")] = None,
    force: Force = False,
    test_law: Annotated[bool, typer.Option("--law", help="test the whole law of the exit time, at several d")] = False,
    model: options.Model = None,
    mix: Mix = False,
    kappa: Annotated[float | None, typer.Option(help="--law: lr d / batch; chosen so that its noise shows")] = None,
    budget: Annotated[float | None, typer.Option(help="--law: samples that may be drawn; 2e9, some 20 s")] = None,
    initial_scale: Annotated[float | None, typer.Option(help="--law: u at the start, d^-2")] = None,
    as_json: Json = False,
) -> None:
    """Derive, integrate, simulate, and say whether they agree; --law tests the law of the exit time.

    The exit code is 1 if anything disagrees or stays undecided.
    """
    shared: dict[str, Any] = {
        **{"label": label, "noise": noise, "scale": alpha, "step_size": lr, "replicas": replicas},
        **{"threshold": threshold, "seed": seed, "threads": threads},
    }
    if test_law:
        options.refuse("with --law", batch=batch)
        place: dict[str, Any] = {"mu": mu, "d": d, "model": model, "rho": rho, "mix": mix}
        given: dict[str, Any] = {"kappa": kappa, "initial_scale": initial_scale} | (
            {} if budget is None else {"budget": budget}
        )
        run_law_check(activation, teacher, plot=plot, force=force, as_json=as_json, **place, **given, **shared)
        return
    options.refuse(
        "without --law", model=model, mix=mix or None, kappa=kappa, budget=budget, initial_scale=initial_scale
    )
    from hermescape.verify.check import check as run
    from hermescape.views.check import check_lines, save_check_plot

    strengths = options.parse_mu("0.2,0.4,0.6" if mu is None else mu, aligned=rho is None)
    dimensions = options.parse_dimensions("1000" if d is None else d)
    if len(dimensions) > 1:
        raise ParameterError(f"--d {d} without --law given; accepted: one integer.")
    options.check_output(plot, ".png", force)
    with progress_bar("simulating", None) as advance:
        report = run(
            activation,
            teacher,
            mu=strengths,
            rho=rho,
            dimension=dimensions[0],
            batch=batch,
            progress=advance,
            **shared,
        )
    if plot is not None:
        save(plot, lambda path: save_check_plot(report, path))
    if as_json:
        print_json(report.as_dict())
    else:
        print_parts(*check_lines(report))
    if not report.passed:
        raise typer.Exit(1)


app.command()(law)
app.command()(phases)
app.command()(sweep)
app.command()(report)
app.command()(cite)
app.command()(reproduce)


@app.command()
def bench(
    runs: Annotated[int, typer.Option(min=1, help="runs of which each median is taken")] = 3,
    only: Annotated[str, typer.Option(metavar="TEXT", help="rows whose names contain this text")] = "",
    as_json: Json = False,
) -> None:
    """Measure this machine: flows, search times and simulation, each against a baseline in the same run.

    All of it takes a few minutes; --only relu or --only tau a part.
    """
    from hermescape.cli.bench import bench_table, measurements

    with progress_bar("measuring", None) as advance:
        found = measurements(runs, only, advance)
    if as_json:
        print_json({"rows": [row._asdict() for row in found]})
    else:
        print_parts(bench_table(found))


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
