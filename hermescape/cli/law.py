"""The command `hermescape law`: the law of the exit time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from hermescape.cli.families import SCALARS, members, numbers, refuse_symbols, single_put
from hermescape.cli.options import Force, Given, Json, one_form, parametrisation, takes, use, written
from hermescape.cli.pictures import LookOf, Picture, Width, picture, plot_option
from hermescape.output import print_json, print_parts
from numerics.accuracy import LAW_RTOL
from numerics.parameters import MODEL_PARAMETERS, PARAMETERS
from theory.errors import ParameterError

if TYPE_CHECKING:
    from hermescape.task import Task
    from numerics.law.choose import By, Compared
    from theory.network.system import System

__all__ = ["law"]

NEAR = "% near a critical strength: SGD's noise leads out beside the slope, 1/tau = lambda + g/d at small d\n"
MODELS = ("lora", "misaligned", "plain")  # pre-training has no search
APART = ("dimension", "step_size", "kappa")  # of which a law takes values that no simulation has: 1e6.5, 0


@takes(
    *("student", "mu", use("dimension", kind=float, note="such as 1e6")),
    use("kappa", default=0.0, note="0 is the gradient flow from a random start"),
    use("step_size", default=0.0, note="0 is the limit of small steps at this kappa"),
    *("threshold", "teacher", "model", "rho", "mix", "label", "noise", "scale", "objective", "initial_scale"),
    use("rtol", default=float(LAW_RTOL), note="behind C"),
    values="either",
)
def law(
    given: Given,
    latex: Annotated[
        bool, typer.Option("--latex", help="print the formula and its symbols; with --mu that of its regime")
    ] = False,
    by: Annotated[
        str,
        typer.Option(
            "--by",
            help="auto: what holds at this d; formula: in closed form, at once; diffusion: a sample of SGD's "
            "diffusion; chain: of its whole steps, with normal batch sums",
        ),
    ] = "auto",
    plot: Annotated[Path | None, plot_option("draw P(T <= t), median and interval")] = None,
    width: Width = None,
    style: LookOf = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Give the law of the exit time T as d grows: rate, constant, median, interval.

    T is in t = lr * steps. Every regime has its law: linear escape, u alone, noise-driven at and near a critical
    strength, and plain training with any information exponent; a start that traps is refused.
    """
    one_form(latex, as_json)
    wanted = picture(plot, width, style, force)
    grid = single_put(given)
    if grid and (latex or wanted is not None):
        raise ParameterError("--latex or --plot with several values of --set given; accepted: one value each.")
    if not grid and not latex:
        refuse_symbols(given)
    given["model"] = parametrisation(given, MODELS)
    if "mu" in MODEL_PARAMETERS[given["model"]] and given["mu"] is None and not latex:
        raise ParameterError("no --mu given; accepted: a number, in (0, 1] with model lora; none with plain.")
    from hermescape.task import Task
    from hermescape.views.law import law_summary, law_table, laws_table

    rtol, apart = given.pop("rtol"), {name: given.pop(name) for name in APART}
    if latex:
        task = Task(**given)
        typer.echo(_formula(task.system(), task, apart["kappa"]))
        return
    source = _source(by)
    rows = [(values, _law(own, apart, source, rtol)) for values, own in members(given, grid)]
    system, both, settings = rows[0][1]
    if grid:
        if as_json:
            print_json({"laws": [{"parameters": numbers(values), **law_summary(*answer)} for values, answer in rows]})
        else:
            shared = _shown(settings | {name: given[name] for name in SCALARS})
            print_parts(*laws_table([(values, answer[1]) for values, answer in rows], shared))
        return
    if wanted is not None:
        _draw(both, settings, wanted)
    if as_json:
        print_json(law_summary(system, both, settings))
    else:
        print_parts(*law_table(system, both, _shown(settings)))


def _law(given: Given, apart: Given, by: By, rtol: float) -> tuple[System, Compared, dict[str, object]]:
    """Return the system, its law and the settings of both."""
    from hermescape.task import Task
    from numerics.law import compared_laws

    task = Task(**given)
    system = task.system()
    start: Given = {"threshold": task.threshold, "initial_scale": task.initial_scale}
    both = compared_laws(system, by=by, mu=task.mu, rho=task.length, **apart, **start, rtol=rtol)
    student, teacher = (getattr(f, "name", f) for f in (given["student"], given["teacher"] or given["student"]))
    settings: dict[str, object] = {
        **{"student": student, "teacher": teacher, "model": given["model"]},
        **{"label": None if given["label"] is None else str(given["label"]), "mu": task.mu, "rho": task.length},
        **{"dimension": apart["dimension"], "kappa": apart["kappa"], "step_size": apart["step_size"]},
        **{"threshold": task.threshold, "noise": task.noise, "scale": task.scale},
        "objective": system.network.objective,
        **{"initial_scale": task.initial_scale, "time_unit": "t = step_size * steps"},
    }
    return system, both, settings


def _shown(settings: Given) -> Given:
    """Return settings by their names on the command line."""
    return {written(name).lstrip("-") if name in PARAMETERS else name: settings[name] for name in settings}


def _draw(both: Compared, settings: Given, picture: Picture) -> None:
    from hermescape.drawing import draw_law
    from numerics.plots import paired, size_of, titled
    from theory.network.objectives import objective

    ax = draw_law(both.law, label=both.name, style=picture.style, width=picture.width)
    place = "" if settings["mu"] is None else rf", $\mu$ = {settings['mu']:g}"
    pair = paired(settings["student"], settings["teacher"]) + objective(settings["objective"]).aside
    titled(ax, rf"{pair}{place}, $d$ = {size_of(settings['dimension'])}, $\kappa$ = {settings['kappa']:g}")
    picture.save(ax.figure)


def _source(by: str) -> By:
    from numerics.law.choose import By

    if by not in get_args(By):
        raise ParameterError(f"--by {by} given; accepted: {', '.join(get_args(By))}.")
    return cast("By", by)


def _formula(system: System, task: Task, kappa: float) -> str:
    """The law in LaTeX: that of linear escape for any mu, or that of the regime which mu is in."""
    from numerics.law.starts import noise_beside
    from numerics.rates.search_time import search_time
    from theory.search.law import escape_time
    from theory.search.regimes import regime

    mu = task.mu
    if mu is None and not system.escape.on_sphere:
        return escape_time(system).latex()
    regime_there = regime(system, mu, task.length, kappa=kappa)
    if regime_there.name == "linear":
        near = (
            system.escape.A is not None and mu is not None and noise_beside(system, search_time(system, mu), mu, kappa)
        )
        return (NEAR if near else "") + escape_time(system).latex()
    return f"% {regime_there.name}: {regime_there.because}\n\\[\n{regime_there.latex()}\n\\]"
