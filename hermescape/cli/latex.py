"""The command `hermescape latex`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from hermescape.cli.families import Order, check_order
from hermescape.cli.options import DERIVED, Force, Given, Json, Rename, check_output, parse_names, takes
from hermescape.output import print_json, save
from theory.errors import ParameterError

__all__ = ["latex"]

ONLY = (
    "the parts to write: definitions, coefficients, kernel, steps (how K is derived), loss, slopes (L_q and L_r as "
    "expectations), odes, A, B, tau, law, regimes, sources; default: all"
)
OWN = re.compile(r"^(only|width|prefix|label_prefix) = ")


@takes(*DERIVED, values="symbols")
def latex(
    given: Given,
    fragment: Annotated[bool, typer.Option("--fragment", help="no preamble and no title, for a paper")] = False,
    only: Annotated[str | None, typer.Option(metavar="LIST", help=ONLY)] = None,
    order: Order = None,
    text: Annotated[
        bool | None,
        typer.Option("--text/--no-text", help="words between the equations; default: not with --fragment"),
    ] = None,
    width: Annotated[
        str | None,
        typer.Option(
            metavar="WIDTH", help="of a column of 10 pt type, in in, cm, mm or pt, such as 3.4in; default: 16cm, 345pt"
        ),
    ] = None,
    numbered: Annotated[
        Literal["all", "last", "none"], typer.Option(help="which equations of a display carry a number and a label")
    ] = "all",
    prefix: Annotated[str, typer.Option(metavar="NAME", help="letters that macros and labels begin with")] = "hesc",
    label_prefix: Annotated[
        str | None, typer.Option(metavar="NAME", help="what labels begin with; default: the prefix and ACT, hesc:relu")
    ] = None,
    rename: Rename = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE.tex", help="default: stdout")] = None,
    bib: Annotated[
        Path | None, typer.Option("--bib", metavar="FILE.bib", help="write what the text cites as BibTeX")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    r"""Write the derivation as a LaTeX document, every equation numbered, every step with its rule.

    It needs amsmath and amssymb. Symbols are macros \hesc...; --rename changes what they print.
    """
    check_order(order)
    check_output(output, ".tex", force)
    check_output(bib, ".bib", force)
    names = parse_names(rename)
    from hermescape.task import Task
    from theory.writing.document import document
    from theory.writing.sources import bibliography

    options = {
        "only": only,
        "order": order,
        "text": text,
        "width": width,
        "prefix": prefix,
        "label_prefix": label_prefix,
    }
    system = Task(**given).system()
    try:
        written = document(system, names, fragment, numbered=numbered, **options)
    except ParameterError as error:
        raise ParameterError(OWN.sub(lambda name: f"--{name[1].replace('_', '-')} ", str(error))) from error
    if output is not None:
        save(output, lambda path: path.write_text(written, encoding="utf-8"))
    if bib is not None:
        save(bib, lambda path: path.write_text(bibliography(system), encoding="utf-8"))
    if as_json:
        files = {"output": None if output is None else str(output), "bib": None if bib is None else str(bib)}
        print_json({**files, "latex": written})
    elif output is None:
        typer.echo(written, nl=False)
