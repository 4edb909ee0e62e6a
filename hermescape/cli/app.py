"""The command line: every command prints a table, or with --json one JSON object and nothing else on stdout.

Exit codes: 0 done (and, for check, everything agrees), 1 a check that disagrees, 2 bad input, 130 interrupted. Heavy
imports wait inside the commands, so that --help stays fast.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from hermescape import __version__
from hermescape.cli.activations import activations
from hermescape.cli.bench import bench
from hermescape.cli.check import check
from hermescape.cli.cite import cite
from hermescape.cli.derive import derive
from hermescape.cli.escape import escape
from hermescape.cli.hermite import hermite
from hermescape.cli.kernel import kernel
from hermescape.cli.latex import latex
from hermescape.cli.law import law
from hermescape.cli.options import wrong_name
from hermescape.cli.phases import phases
from hermescape.cli.report import report
from hermescape.cli.reproduce import reproduce
from hermescape.cli.simulate import simulate
from hermescape.cli.sweep import sweep
from theory.errors import HermescapeError

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


COMMANDS = (
    *(derive, latex, activations, hermite, kernel, escape, simulate, check, law, phases, sweep, report, cite),
    *(reproduce, bench),
)
for command in COMMANDS:
    app.command()(command)


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
        meant = wrong_name(getattr(error, "option_name", ""))
        code = _complain(meant or f"{describe(error)} (see hermescape --help)")
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str, code: int = 2) -> int:
    typer.echo(f"error: {' '.join(message.split())}", err=True)
    return code
