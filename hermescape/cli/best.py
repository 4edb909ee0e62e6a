"""`hermescape best`: the value of a family's parameter with the shortest search, or the shortest exit time."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hermescape.cli.options import Given, Json, takes, written
from hermescape.output import print_json
from numerics.parameters import PARAMETERS
from theory.errors import ParameterError

if TYPE_CHECKING:
    from numerics.best.parameter import BestParameter
    from theory.network.system import System

__all__ = ["Between", "Over", "best", "ends_of", "the_one"]

PLACE = ("mu", "dimension", "step_size", "batch", "kappa", "threshold")
Over = Annotated[
    str | None, typer.Option("--over", metavar="NAME", help="the parameter; by default the one without a value")
]
Between = Annotated[
    str | None, typer.Option("--between", metavar="LOW:HIGH", help="search there, not in the whole domain")
]
NAMES = {written(name).lstrip("-"): name for name in PLACE}


@takes("student", "teacher", "label", "noise", "scale", "objective", values="some")
def best(
    given: Given,
    at: Annotated[
        str,
        typer.Option(
            "--at",
            metavar="mu=MU,...",
            help="the alignment mu, for the shortest tau; with d, and lr, batch (or kappa), threshold: for the "
            "shortest median of the exit time",
        ),
    ],
    over: Over = None,
    between: Between = None,
    as_json: Json = False,
) -> None:
    """Find the value of a parameter of a family with the shortest search time, or the shortest median exit time.

    Times are t = lr * steps. The answer is inside of the domain, at an end of it, or a limit to which the time keeps
    falling; it is exact where tau is algebraic.
    """
    place = _place(at)
    ends = ends_of(between)
    from hermescape.task import Task
    from numerics.best.parameter import best_parameter

    system = Task(**given).system()
    report = best_parameter(system, the_one(system, over), between=ends, **place)
    if as_json:
        print_json(_summary(system, report, place))
        return
    loss = system.loss_function
    pair = f"{loss.student.name} on {loss.teacher.name}{system.network.minimised.aside}"
    typer.echo(f"{pair}, {_written(place)} (t = lr * steps)")
    typer.echo(report.words)
    typer.echo(_certainty(report))
    if place.get("step_size") and report.is_attained:
        typer.echo(f"that is {float(report.time) / place['step_size']:,.4g} steps")


def the_one(system: System, over: str | None) -> str:
    """Return the one parameter without a value, by default the only one; refuses any other number of them."""
    names = [p.name for p in system.network.domain]
    if not names or (over is None and len(names) > 1) or (over is not None and names != [over]):
        shown = f"--over {over}" if over else "no --over"
        raise ParameterError(
            f"{shown} given; accepted: --over with a parameter that --param declares, and --set with a value of every "
            f"other one ({', '.join(names) or 'none'} without a value here)."
        )
    return names[0]


def _summary(system: System, report: BestParameter, place: Given) -> dict[str, Any]:
    """Return what --json prints."""
    from sympy import sstr

    from hermescape.views.numbers import above

    loss = system.loss_function
    return {
        "student": loss.student.name,
        "teacher": loss.teacher.name,
        "objective": system.network.objective,
        "at": place,
        "over": report.name,
        "domain": report.domain,
        "quantity": report.quantity,
        "value": float(report.value),
        "expression": sstr(report.value) if report.exact else None,
        "time": float(report.time),
        "error": above(report.error, float(report.value), report.value),
        "certified": report.exact,
        "end": report.end,
        "attained": report.is_attained,
        "exact": report.exact,
        "words": report.words,
        "time_unit": "t = step_size * steps",
    }


def _certainty(report: BestParameter) -> str:
    if report.exact:
        return "certain: tau is algebraic, and its stationary points are isolated"
    what = report.name if report.is_attained else "the limit"
    return f"by samples of {report.quantity}, the lowest refined; error of {what} about {report.error:.0e}"


def _written(place: Given) -> str:
    return ", ".join(f"{short} = {place[name]:g}" for short, name in NAMES.items() if name in place)


def _place(text: str) -> Given:
    """Return the numbers of --at by name.

    >>> _place("mu=0.4, d=1e4")
    {'mu': 0.4, 'dimension': 10000}
    """
    place: Given = {}
    for part in text.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        number = math.nan
        with suppress(ValueError):
            number = float(value)
        if math.isnan(number) or NAMES.get(name, "") in ("", *place):
            raise ParameterError(
                f"--at {part.strip()[:60]!r} given; accepted: NAME=NUMBER with each of {', '.join(NAMES)} once, mu "
                "among them, such as --at mu=0.4,d=1e4,lr=0.01,batch=100."
            )
        place[NAMES[name]] = PARAMETERS[NAMES[name]].check(number)
    if "mu" not in place:
        raise ParameterError(f"--at {text[:60]!r} given; accepted: mu among its numbers, such as --at mu=0.4.")
    return place


def ends_of(text: str | None) -> tuple[str, str] | None:
    """Return the two numbers of --between LOW:HIGH as text."""
    if text is None:
        return None
    low, colon, high = (part.strip() for part in text.partition(":"))
    if not (low and colon and high):
        raise ParameterError(f"--between {text[:60]!r} given; accepted: LOW:HIGH such as 0.1:5.")
    return low, high
