"""The command `hermescape latex`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hermescape.cli.options import DERIVED, Force, Given, Json, Rename, check_output, parse_names, takes
from hermescape.output import print_json, save

__all__ = ["latex"]


@takes(*DERIVED)
def latex(
    given: Given,
    fragment: Annotated[bool, typer.Option("--fragment", help="only macros and equations, for a paper")] = False,
    rename: Rename = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE.tex", help="default: stdout")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write the derivation as a LaTeX document, every equation numbered, every step with its rule.

    It needs amsmath and amssymb. Symbols are macros; --rename changes what they print.
    """
    check_output(output, ".tex", force)
    names = parse_names(rename)
    from hermescape.task import Task
    from theory.writing.document import document

    text = document(Task(**given).system(), names=names, fragment=fragment)
    if output is not None:
        save(output, lambda path: path.write_text(text, encoding="utf-8"))
    if as_json:
        print_json({"output": None if output is None else str(output), "latex": text})
    elif output is None:
        typer.echo(text, nl=False)
