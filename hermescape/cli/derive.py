"""The command `hermescape derive`."""

from __future__ import annotations

from typing import Annotated

import typer

from hermescape.cli.families import Order, check_order, refuse_symbols
from hermescape.cli.options import DERIVED, Given, Json, one_form, takes, use, written
from hermescape.output import print_json, print_parts, progress_bar
from theory.errors import ParameterError

__all__ = ["derive"]


SIZES = ("dimension", "step_size", "batch")


@takes(*DERIVED, *(use(name, default=None, note="for the verdict in steps") for name in SIZES), values="symbols")
def derive(
    given: Given,
    expand: Annotated[
        bool, typer.Option("--expand", help="ODEs and tau with L_q, L_r, A and B put in, however long")
    ] = False,
    order: Order = None,
    latex: Annotated[bool, typer.Option("--latex", help="print align blocks that compile")] = False,
    as_json: Json = False,
) -> None:
    """Derive loss, ODEs, A, B and tau, each with its tier, and say what they mean.

    Time is t = lr * steps. With --d, --lr and --batch the exit time is also given in steps.
    """
    one_form(latex, as_json)
    check_order(order)
    if latex and order is not None:
        raise ParameterError("--latex and --order given; accepted: hermescape latex with --order.")
    if expand and (latex or as_json):
        raise ParameterError(
            "--expand given with --latex or --json; accepted: it alone (JSON holds the ODEs so already)."
        )
    sizes = {name: given.pop(name) for name in SIZES}
    missing = [written(name) for name, value in sizes.items() if value is None]
    given_sizes = [written(name) for name in SIZES if written(name) not in missing]
    if latex and given_sizes:
        raise ParameterError(
            f"--latex and {', '.join(given_sizes)} given; accepted: sizes without it, for the verdict."
        )
    if 0 < len(missing) < len(SIZES):
        raise ParameterError(f"no {' and no '.join(missing)} given; accepted: --d, --lr and --batch together, or none.")
    if not missing:
        refuse_symbols(given, "--d")
    from hermescape.task import Task
    from hermescape.verdict import durations, verdict, verdict_lines
    from hermescape.views.derivation import derivation, derivation_table
    from theory.writing.families import said_of

    task = Task(**given, **{name: value for name, value in sizes.items() if value is not None})
    system = task.system()
    if latex:
        for chamber in system.each_chamber():
            typer.echo("\n".join((chamber.latex(), *said_of(chamber))))
        return
    meaning = verdict(system, () if missing else durations(system, task.dimension, task.step_size, task.batch))
    if as_json:
        reports = []
        with progress_bar("chambers", None) as advance:
            for chamber in system.each_chamber():
                reports.append(derivation(chamber, order))
                advance(1)
        others = {"chambers": reports[1:]} if len(reports) > 1 else {}
        print_json({**reports[0], "verdict": meaning.as_dict(), **others})
    else:
        chambers = system.each_chamber()
        print_parts(*derivation_table(next(chambers), expand=expand, order=order), *verdict_lines(meaning))
        for chamber in chambers:
            print_parts("", *derivation_table(chamber, expand=expand, order=order))
