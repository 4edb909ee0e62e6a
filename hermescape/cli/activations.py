"""The command `hermescape activations`."""

from __future__ import annotations

from hermescape.cli.options import Json
from hermescape.output import print_json, print_parts

__all__ = ["activations"]


def activations(as_json: Json = False) -> None:
    """List the registered activations."""
    from hermescape.views.activations import registry, registry_table

    if as_json:
        print_json({"activations": registry()})
    else:
        print_parts(registry_table(registry()))
