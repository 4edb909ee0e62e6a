"""The command `hermescape derive`."""

from __future__ import annotations

from typing import Annotated

import typer

from hermescape.cli.options import DERIVED, Given, Json, one_form, takes
from hermescape.output import print_json, print_parts
from theory.errors import ParameterError

__all__ = ["derive"]


@takes(*DERIVED)
def derive(
    given: Given,
    expand: Annotated[
        bool, typer.Option("--expand", help="ODEs and tau with L_q, L_r, A and B put in, however long")
    ] = False,
    latex: Annotated[bool, typer.Option("--latex", help="print align blocks that compile")] = False,
    as_json: Json = False,
) -> None:
    """Derive loss, ODEs, A, B and tau, each with its tier.

    Time is t = lr * steps.
    """
    from hermescape.task import Task
    from hermescape.views.derivation import derivation, derivation_table

    one_form(latex, as_json)
    if expand and (latex or as_json):
        raise ParameterError(
            "--expand given with --latex or --json; accepted: it alone (JSON holds the ODEs so already)."
        )
    system = Task(**given).system()
    if latex:
        typer.echo(system.latex())
    elif as_json:
        print_json(derivation(system))
    else:
        print_parts(*derivation_table(system, expand=expand))
