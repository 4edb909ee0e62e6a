"""The command line: every command prints a table, or with --json one JSON object and nothing else on stdout.

Exit codes: 0 done (and, for check, everything agrees), 1 a check that disagrees, 2 bad input, 130 interrupted. Heavy
imports wait inside the commands, so that --help stays fast.
"""

from __future__ import annotations

import gc
import sys
from functools import partial
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from hermescape import __version__
from hermescape.cli.reading import Command, Reading
from theory.errors import HermescapeError
from theory.lazy import Lazy

__all__ = ["COMMANDS", "app", "main"]

COMMANDS = (
    *(
        "derive",
        "latex",
        "activations",
        "hermite",
        "kernel",
        "escape",
        "certify",
        "simulate",
        "check",
        "law",
        "phases",
        "best",
    ),
    "bifurcations",
    *("sweep", "report", "cite", "reproduce", "bench"),
)
"""The commands in the order of the help; each is the function of its name in the module of its name."""


class _Group(Reading, TyperGroup):
    """The commands, each imported when it is asked for, and those that were added to the application."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        added, self.commands = self.commands, Lazy({name: partial(_command, name) for name in COMMANDS})
        self.commands.update(added)


def _command(name: str) -> Any:
    """Import a command, and read its options."""
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name, cls=Command)(getattr(import_module(f"hermescape.cli.{name}"), name))
    return typer.main.get_command(alone)


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="From any activation to its escape time: derive, integrate, simulate and check learning dynamics.",
)

INTERRUPTED = 130


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="print the version")] = False,
) -> None:
    if version:
        typer.echo(f"hermescape {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; every error becomes one line on stderr."""
    gc.set_threshold(
        50_000, 20, 20
    )  # modules and expressions stay: to look for garbage among them is a tenth of a start
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
        from hermescape.cli.options import wrong_name

        command = getattr(getattr(error, "ctx", None), "command", None)
        taken = {option for parameter in getattr(command, "params", ()) for option in parameter.opts}
        meant = wrong_name(getattr(error, "option_name", ""), taken)
        code = _complain(meant or f"{describe(error)} (see hermescape --help)")
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str, code: int = 2) -> int:
    typer.echo(f"error: {' '.join(message.split())}", err=True)
    return code
