"""numba's `njit` whose machine code is kept on disk, wherever there is a place for it.

numba keeps it beside the source, else in the user's own cache, and refuses to compile where it can write to neither:
an installation that is read-only and no home, as in a container. The folder of `theory.calculus.cache` serves then, or
none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit
from numba.core import config

from theory.calculus.cache import folder

__all__ = ["kept"]

_settings: Any = config  # its attributes are made when numba is imported


def kept(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator: `njit` with these options, its machine code kept between processes where it can be.

    >>> @kept(error_model="numpy")
    ... def twice(x):
    ...     return 2 * x
    >>> twice(3)
    6
    """

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # "no locator available"
            return _elsewhere(function, options)

    return decorate


def _elsewhere(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    """Compile with our folder for numba's: the place is chosen here, once for each function."""
    place, before = folder(), _settings.CACHE_DIR
    if place is not None:
        try:
            _settings.CACHE_DIR = str(place / "numba")
            return njit(cache=True, **options)(function)
        except RuntimeError:  # numba's own rules refuse it
            pass
        finally:
            _settings.CACHE_DIR = before
    return njit(**options)(function)
