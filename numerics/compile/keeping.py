"""Machine code that is kept on disk, wherever there is a place for it: of our own functions, and of generated ones.

numba keeps the code of a function beside its source, else in the user's own cache, and refuses to compile where it can
write to neither: an installation that is read-only and no home, as in a container. The folder of
`theory.calculus.cache` serves then, or none.

Generated source becomes a module of its own in that folder, named by its content and by that of the modules that it
builds on, so that every process that generates the same text shares one compilation. numba itself tells processors and
its own versions apart. What is damaged is made again; where nothing can be kept the module lives in memory.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Callable
from functools import cached_property, lru_cache, update_wrapper
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

from theory.calculus.cache import folder, put

__all__ = ["contents", "generated", "inlined", "is_kept", "kept"]

Example = Callable[[], tuple[Any, ...]]


def kept(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator: `njit` with these options, its machine code kept between processes where it can be.

    numba is loaded when such a function is first called, or first met by one that is compiled.

    >>> @kept(error_model="numpy")
    ... def twice(x):
    ...     return 2 * x
    >>> twice(3)
    6
    """
    return lambda function: _Native(function, options, kept=True)


def inlined(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return the same decorator for a function that only others call, each with machine code of its own for it."""
    return lambda function: _Native(function, options, kept=False)


class _Native:
    """A function that stands for its dispatcher, which numba makes."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any], *, kept: bool) -> None:
        update_wrapper(self, function)
        self._options, self._kept = options, kept

    @cached_property
    def dispatcher(self) -> Any:
        """numba's own object."""
        from numba import njit

        function = vars(self)["__wrapped__"]
        if not self._kept:
            return njit(**self._options)(function)
        try:
            return njit(cache=True, **self._options)(function)
        except RuntimeError:  # "no locator available"
            return _elsewhere(function, self._options)

    @property
    def _numba_type_(self) -> Any:
        return self.dispatcher._numba_type_

    def __call__(self, *args: Any) -> Any:
        return self.dispatcher(*args)


def _elsewhere(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    """Compile with our folder for numba's: the place is chosen here, once for each function."""
    from numba import njit
    from numba.core import config

    settings: Any = config  # its attributes are made when numba is imported
    place, before = folder(), settings.CACHE_DIR
    if place is not None:
        try:
            settings.CACHE_DIR = str(place / "numba")
            return njit(cache=True, **options)(function)
        except RuntimeError:  # numba's own rules refuse it
            pass
        finally:
            settings.CACHE_DIR = before
    return njit(**options)(function)


def generated(text: str, name: str, *, builds_on: tuple[str, ...], example: Example | None = None) -> Any:
    """Return a compiled function of generated source, its machine code kept between processes where it can be.

    Args:
        text: source of a module, in which `CACHE` stands for whether numba keeps what it compiles.
        name: the function in it that is wanted.
        builds_on: files of the modules that it imports, whose content decides with the text whether code still holds.
        example: returns arguments for whose types it is compiled now; None where its decorator says them.

    >>> text = "from numba import njit\\n@njit(cache=CACHE)\\ndef twice(x):\\n    return 2 * x"
    >>> generated(text, "twice", builds_on=(__file__,))(3)
    6
    """
    return _generated(text, name, builds_on, example)


def is_kept(text: str, builds_on: tuple[str, ...]) -> bool:
    """Whether machine code of this source is on disk, or has no place there.

    >>> is_kept("CACHE\\n", builds_on=(__file__,)) == (folder() is None)
    True
    """
    place, name = folder(), f"{_title(text, builds_on)}*.nbi"
    if place is None:
        return True
    chosen = os.environ.get("NUMBA_CACHE_DIR")  # numba then keeps its code there, in a folder for each of modules
    return any(Path(chosen).glob(f"*/{name}") if chosen else (place / "native" / "__pycache__").glob(name))


def _title(text: str, builds_on: tuple[str, ...]) -> str:
    return "hermescape_" + hashlib.sha256((contents(builds_on) + text).encode()).hexdigest()[:32]


@lru_cache(maxsize=512)
def _generated(text: str, name: str, builds_on: tuple[str, ...], example: Example | None) -> Any:
    title, place = _title(text, builds_on), folder()
    for native in () if place is None else (place / "native",) * 2:  # once more, where the first finds damage
        try:
            return _ready(_load(title, _write(native, title, "CACHE = True\n" + text)), name, example)
        except Exception:  # numba unpickles what it has kept, of which damage may make anything; or finds no place
            _remove(native, title)
    module = ModuleType(title)
    exec(compile("CACHE = False\n" + text, f"<{title}>", "exec"), module.__dict__)
    return _ready(module, name, example)


def _ready(module: ModuleType, name: str, example: Example | None) -> Any:
    function = getattr(module, name)
    if example is not None:
        from numba import typeof

        function.compile(tuple(map(typeof, example())))
    return function


@lru_cache(maxsize=32)
def contents(files: tuple[str, ...]) -> str:
    """Return a digest of numba's version and of files: of what kept code depends on beside its own source."""
    digest = hashlib.sha256(version("numba").encode())
    for file in (*files, __file__):
        digest.update(Path(file).read_bytes())
    return digest.hexdigest()


def _write(place: Path, title: str, text: str) -> Path:
    """Write the module unless it is there."""
    path = place / f"{title}.py"
    if not path.exists() or path.read_text() != text:
        put(path, text.encode())
    return path


def _remove(place: Path, title: str) -> None:
    """Take away a module and its machine code; what another process holds open stays its own."""
    for path in (place / f"{title}.py", *(place / "__pycache__").glob(f"{title}*")):
        try:
            path.unlink(missing_ok=True)
        except OSError:
            return


def _load(title: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(title, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[title] = module
    spec.loader.exec_module(module)
    return module
