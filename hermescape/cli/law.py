"""The commands about the law of the exit time: `hermescape law`, and what `hermescape check --law` runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hermescape.cli import options
from hermescape.cli.options import Act, Alpha, Json, Label, Mix, Noise, Rho, Teacher
from hermescape.output import print_json, print_parts, progress_bar, save
from theory.errors import ParameterError

if TYPE_CHECKING:
    from theory.network.system import System

__all__ = ["law", "run_law_check"]

NEAR = "% near a critical strength: SGD's noise leads out beside the slope, 1/tau = lambda + g/d at small d\n"
DIMENSIONS = "1000,10000,100000"
STRENGTHS = "0.2,0.4,0.6"


def law(
    activation: Act,
    mu: Annotated[float | None, typer.Option(help="alignment <w0, w*>; in (0, 1] where w0 is aligned")] = None,
    d: Annotated[float, typer.Option(help="input dimension, such as 1e6")] = 1000,
    kappa: Annotated[float, typer.Option(help="lr d / batch; 0 is the gradient flow from a random start")] = 0.0,
    lr: Annotated[float, typer.Option(help="step size eta; 0 is the limit of small steps at this kappa")] = 0.0,
    threshold: Annotated[float, typer.Option(help="exit when |m| reaches it, in (0, 1)")] = 0.5,
    teacher: Teacher = None,
    model: options.Model = None,
    rho: Rho = None,
    mix: Mix = False,
    label: Label = None,
    noise: Noise = 0.0,
    alpha: Alpha = 1.0,
    initial_scale: Annotated[float | None, typer.Option(help="u at the start, d^-2")] = None,
    rtol: Annotated[float, typer.Option(help="relative tolerance of the integrations behind C")] = 1e-11,
    latex: Annotated[
        bool, typer.Option("--latex", help="print the formula and its symbols; with --mu that of its regime")
    ] = False,
    as_json: Json = False,
) -> None:
    """Give the law of the exit time T as d grows: rate, constant, median, interval.

    T is in t = lr * steps. Every regime has its law: linear escape, u alone, noise-driven at and near a critical
    strength, and plain training with any information exponent; a start that traps is refused.
    """
    from hermescape.views.law import law_summary, law_table
    from numerics.law import escape_law
    from theory.network.derivation import derive

    if latex and as_json:
        raise ParameterError("--latex and --json given; accepted: one of them.")
    chosen = options.parametrisation(model, rho, mix)
    if chosen == "pretrain":
        raise ParameterError("--model pretrain given; accepted: lora, misaligned, plain (pre-training has no search).")
    if chosen != "plain" and mu is None and not latex:
        raise ParameterError("no --mu given; accepted: a number, in (0, 1] with model lora; none with plain.")
    system = derive(activation, teacher, model=chosen, label=label, noise=noise, alpha=alpha)
    if latex:
        typer.echo(_formula(system, mu, rho if mu is None else options.strength(mu, rho, mix), kappa))
        return
    strength = rho if mu is None else options.strength(mu, rho, mix)
    found = escape_law(
        system,
        mu=mu,
        rho=strength,
        dimension=d,
        threshold=threshold,
        kappa=kappa,
        step_size=lr,
        initial_scale=initial_scale,
        rtol=rtol,
    )
    settings: dict[str, object] = {
        **{"student": activation, "teacher": teacher or activation, "model": chosen, "label": label},
        **{"mu": mu, "rho": strength, "d": d, "kappa": kappa, "lr": lr, "threshold": threshold},
        **{"noise": noise, "alpha": alpha, "initial_scale": initial_scale, "time_unit": "t = lr * steps"},
    }
    if as_json:
        print_json(law_summary(system, found, settings))
    else:
        print_parts(*law_table(system, found, settings))


def _formula(system: System, mu: float | None, rho: float | None, kappa: float) -> str:
    """The law in LaTeX: that of linear escape for any mu, or that of the regime which mu is in."""
    from numerics.law.starts import noise_beside
    from numerics.rates.search_time import search_time
    from theory.search.law import escape_time
    from theory.search.regimes import regime

    if mu is None and not system.escape.on_sphere:
        return escape_time(system).latex()
    found = regime(system, mu, rho, kappa=kappa)
    if found.name == "linear":
        near = (
            system.escape.A is not None and mu is not None and noise_beside(system, search_time(system, mu), mu, kappa)
        )
        return (NEAR if near else "") + escape_time(system).latex()
    return f"% {found.name}: {found.because}\n\\[\n{found.latex()}\n\\]"


def run_law_check(
    activation: str,
    teacher: str | None,
    *,
    mu: str | None,
    d: str | None,
    model: options.ModelName | None,
    rho: float | None,
    mix: bool,
    plot: Path | None,
    force: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Test the law, print the report, and exit with code 1 unless it agrees."""
    from hermescape.verify.check import check_law
    from hermescape.views.check import check_lines, save_check_plot

    options.check_output(plot, ".png", force)
    chosen = options.parametrisation(model, rho, mix)
    if chosen == "pretrain":
        raise ParameterError("--law with --model pretrain given; accepted: lora, misaligned, plain.")
    if chosen == "plain" and mu is not None:
        raise ParameterError("--mu with --model plain given; accepted: no --mu, it has no pre-trained weight.")
    with progress_bar("simulating", None) as advance:
        report = check_law(
            activation,
            teacher,
            mu=options.parse_mu(STRENGTHS if mu is None else mu, aligned=chosen == "lora"),
            rho=rho,
            mix=mix,
            model=chosen,
            dimensions=options.parse_dimensions(DIMENSIONS if d is None else d),
            progress=advance,
            **settings,
        )
    if plot is not None and any(case.samples for case in report.cases):
        save(plot, lambda path: save_check_plot(report, path))
    if as_json:
        print_json(report.as_dict())
    else:
        print_parts(*check_lines(report))
    if not report.passed:
        raise typer.Exit(1)
