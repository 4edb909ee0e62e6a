"""The directive `commands`: every command of the typer application, from its own help, never typed by hand."""

from __future__ import annotations

import inspect
from typing import Any

import typer
from own_tables import Generated
from sphinx.application import Sphinx

import hermescape.cli.app


def command_tree() -> dict[str, Any]:
    """Return name -> command, in the order of the help."""
    return dict(typer.main.get_command(hermescape.cli.app.app).commands)  # pyright: ignore


def usage(name: str, command: Any) -> str:
    """Return the usage line."""
    context = command.context_class(command, info_name=f"hermescape {name}")
    return " ".join([context.command_path, *command.collect_usage_pieces(context)])


def records(command: Any) -> list[tuple[str, str]]:
    """Return (declaration, help) of every argument and option."""
    context = command.context_class(command)
    found = [parameter.get_help_record(context) for parameter in command.params]
    return [(str(left), str(right)) for left, right in (record for record in found if record)]


class Commands(Generated):
    """A section for each command: its text, usage, and options."""

    def markdown(self) -> str:
        """Return the sections."""
        return "\n".join(self._section(name, command) for name, command in command_tree().items())

    def _section(self, name: str, command: Any) -> str:
        rows = "\n".join(f"`{left}`\n: {plain(right) or '&nbsp;'}\n" for left, right in records(command))
        text = plain(inspect.cleandoc(command.help or ""))
        return f"(command-{name})=\n## {name}\n\n{text}\n\n```text\n{usage(name, command)}\n```\n\n{rows}\n"


def plain(text: str) -> str:
    """Return text with the characters that Markdown would interpret escaped."""
    for character in "\\*_`|<>[]$":
        text = text.replace(character, f"\\{character}")
    return text


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
