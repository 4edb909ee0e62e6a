"""Arrays that take a while to make, kept on disk between processes, named by what they follow from.

They lie beside the derived expressions (`theory.calculus.cache`); what is damaged there is made again, and where they
cannot be kept they are made every time. The oldest go once all of them take more than `LARGEST`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import scipy
from numpy.typing import NDArray
from sympy import Basic, Rational, Tuple, oo

from theory.calculus.cache import entry, put

__all__ = ["LARGEST", "Arrays", "number", "recalled"]

Arrays = Mapping[str, NDArray[Any]]

LARGEST = 2**28
"""bytes of all arrays together"""
_VERSIONS = f"NumPy {np.__version__}, SciPy {scipy.__version__}"


def number(value: float) -> Basic:
    """Return a number to the last digit, as part of a name.

    >>> number(0.1) == number(0.1 + 1e-18), number(0.1) == number(0.1 + 1e-16)
    (True, False)
    """
    return Rational(value) if isinstance(value, int) or np.isfinite(value) else Tuple(Rational(int(value > 0)), oo)


def recalled(name: str, content: tuple[Basic, ...], make: Callable[[], Arrays]) -> Arrays:
    """Return what `make` returns, from disk where it has been made before.

    Args:
        name: of what is made, and the code that makes it or a digest of it.
        content: all that it depends on, as expressions and numbers.
        make: called where nothing is kept, or what is kept is damaged.

    >>> first, second = (recalled("a doctest", (number(0.1),), lambda: {"a": np.array([0.1])}) for _ in range(2))
    >>> first["a"] == second["a"]
    array([ True])
    """
    path = entry(f"{name}, {_VERSIONS}", *content, suffix=".npz")
    known = None if path is None else _read(path)
    if known is not None:
        return known
    made = make()
    if path is not None:
        _write(path, made)
    return made


def _read(path: Path) -> Arrays | None:
    """The arrays of a file, whose checksums are looked at; None where it is not there or damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            return dict(kept)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def _write(path: Path, made: Arrays) -> None:
    """Keep arrays; where that fails nothing is kept."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **made)
    with suppress(OSError):
        put(path, content.getvalue())
        _make_room(path.parent)


@lru_cache(maxsize=16)
def _make_room(place: Path) -> None:
    """Remove the oldest arrays beyond `LARGEST`, once a process."""
    files = [(path.stat().st_mtime, path.stat().st_size, path) for path in place.glob("*.npz")]
    total = 0
    for _, size, path in sorted(files, reverse=True):
        total += size
        if total > LARGEST:
            path.unlink(missing_ok=True)
