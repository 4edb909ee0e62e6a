r"""Functions without a formula: their names.

`sigma` and `phi` are the letters of student and teacher, and print as such; other letters that the theory prints are
refused, as names of the language and of activations are.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Iterable

from theory.errors import ParameterError
from theory.language.parser import RESERVED
from theory.symbols import TAKEN

__all__ = ["Functions", "check_function", "declared_functions"]

Functions = Iterable[str] | str | None
"""What `declared_functions` reads."""

MOST = 12
OWN = frozenset({"sigma", "phi"})
FREE = "sigma, phi, psi, chi, or one with an index such as h1"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,19}")
COEFFICIENT = re.compile(r"(sigma|phi)_?[0-9k]\w*")  # as a Hermite coefficient prints


def declared_functions(given: Functions, taken: Collection[str] = ()) -> tuple[str, ...]:
    """Return the names that are declared as functions without a formula, each once.

    Raises `ParameterError` for a name that is none, or is one of `taken` or has a meaning already.

    >>> declared_functions(["sigma", "phi"])
    ('sigma', 'phi')
    >>> declared_functions("exp")
    Traceback (most recent call last):
    theory.errors.ParameterError: function 'exp' given, which has a meaning already; accepted: a name such as sigma, ...
    """
    names = (given,) if isinstance(given, str) else tuple(given or ())
    for name in names:
        check_function(name, taken)
    if len(names) > MOST:
        raise ParameterError(f"{len(names)} functions given; accepted: at most {MOST}.")
    return tuple(dict.fromkeys(names))


def check_function(name: str, taken: Collection[str] = ()) -> None:
    """Raise `ParameterError` for a name that no function without a formula may have."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or keyword.iskeyword(name) or name.endswith("_"):
        shown = repr(name[:40] if isinstance(name, str) else name)
        raise ParameterError(
            f"function {shown} given; accepted: up to 20 ASCII letters, digits and underscores, the first a letter: "
            f"{FREE}."
        )
    if name in taken or name in RESERVED or (name in TAKEN and name not in OWN) or COEFFICIENT.fullmatch(name):
        raise ParameterError(f"function {name!r} given, which has a meaning already; accepted: a name such as {FREE}.")
