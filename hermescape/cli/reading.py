"""Plain values of options are read here: Typer makes pydantic's validators for them, a quarter of importing SymPy.

What is not plain (a number with blanks, a word that is none of the choices, a file that cannot be read) is left to
Typer, whose words a refusal has. A Typer that reads in another way does not ask `get_runtime_param`, and reads
everything itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from typer.core import TyperCommand

__all__ = ["Command", "Reading"]

NUMBERS = {int: re.compile(r"-?[0-9]{1,15}"), float: re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?([eE]-?[0-9]{1,2})?")}


@dataclass(frozen=True)
class _Plain:
    """Reads what needs no validator, and asks Typer for the rest."""

    kind: Any
    own: Callable[[], Any]

    def itself(self) -> _Plain:
        """Return this, in place of Typer's own reader."""
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the value of the option for a text, a default, or nothing."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        if isinstance(value, str) and value.isascii():
            if self.kind is str or (get_origin(self.kind) is Literal and value in get_args(self.kind)):
                return value
            if self.kind in NUMBERS and NUMBERS[self.kind].fullmatch(value):
                return self.kind(value)
            if self.kind is Path and (os.access(value, os.R_OK) or not os.path.lexists(value)):
                return Path(value)
        if self.kind is float and type(value) is int:  # a default
            return float(value)
        return value if type(value) is self.kind is not str else self.own().coerce(value, param=param, ctx=ctx)


class Reading:
    """Beside a class of Typer's commands: plain values of their parameters, --help among them, are read here."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters."""
        parameters = super().get_params(ctx)  # pyright: ignore[reportAttributeAccessIssue]
        for parameter in parameters:
            own = getattr(parameter, "get_runtime_param", None)
            if not (own is None or parameter.type_descriptor.is_ranged or isinstance(own.__self__, _Plain)):
                parameter.get_runtime_param = _Plain(parameter.type_descriptor.annotation, own).itself
        return parameters


class Command(Reading, TyperCommand):
    """A command that reads plain values without Typer."""
