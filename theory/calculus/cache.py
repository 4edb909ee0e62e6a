r"""Derived expressions on disk, keyed by content.

An entry is one small JSON file whose name is the SHA-256 of everything that the result depends on: the function's name,
its arguments, SymPy's version and the source of this package. Files appear by an atomic rename, so that processes may
share the folder; a missing, damaged or unreadable entry only means deriving again. Expressions are stored as nested
lists of known node names (nothing is evaluated on loading); what is not in that vocabulary is not stored.

The folder is `$HERMESCAPE_CACHE`, by default `$XDG_CACHE_HOME/hermescape` or `~/.cache/hermescape`; the value `off`
turns the cache off. Where it cannot be written (no home in a container, a read-only mount), a folder of this user's own
among the temporary files takes its place, or none, and one line on stderr says so. It may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, wraps
from multiprocessing import parent_process
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile, gettempdir
from typing import Any

import sympy as sp
from sympy import Expr

from theory import symbols
from theory.calculus.nodes import CONDITIONS, ELEMENTARY
from theory.typeset.constants import Constant

__all__ = ["dump", "edition", "entry", "folder", "load", "put", "remembered"]

ATOMS = {"pi": sp.pi, "I": sp.I, "E": sp.E, "oo": sp.oo, "true": sp.true}
NODES: dict[str, Callable[..., Expr]] = {
    kind.__name__: kind for kind in (*ELEMENTARY, *CONDITIONS, sp.Tuple, sp.Lambda)
}
DOMAINS: dict[str, dict[str, bool]] = {
    name: {name: True} for name in ("real", "positive", "negative", "nonnegative", "nonpositive")
}
DOMAINS["nonzero"] = {"real": True, "nonzero": True}
"""Assumptions of the parameters of families."""
_ATOM_NAMES = {atom: name for name, atom in ATOMS.items()}
_SYMBOLS = {symbol.name: symbol for symbol in vars(symbols).values() if isinstance(symbol, sp.Symbol)}


class _NotStorable(Exception):
    """The expression has a node outside the vocabulary."""


def dump(expr: sp.Basic) -> Any:
    """Return nested lists, text and numbers that `load` turns back into the same expression.

    >>> from theory.symbols import q
    >>> dump(q**2 / 3), load(dump(q**2 / 3))
    (['Mul', ['Q', 1, 3], ['Pow', 'q', 2]], q**2/3)
    """
    if isinstance(expr, sp.Integer):
        return int(expr)
    if isinstance(expr, sp.Rational):
        return ["Q", expr.p, expr.q]
    if isinstance(expr, Constant):
        return ["C", expr.index, expr.decimal]
    if isinstance(expr, sp.Symbol):
        return expr.name if _SYMBOLS.get(expr.name) == expr else _dump_parameter(expr)
    if expr in _ATOM_NAMES:
        return [_ATOM_NAMES[expr]]
    name = type(expr).__name__
    if name == "ExprCondPair":
        name = "Tuple"
    if name not in NODES:
        raise _NotStorable
    return [name, *map(dump, expr.args)]


def _dump_parameter(symbol: sp.Symbol) -> list[str]:
    """Return the name of a parameter of a family, and which of `DOMAINS` its assumptions are."""
    plain = type(symbol) is sp.Symbol and symbol.name.isidentifier()
    for name, assumptions in DOMAINS.items() if plain else ():
        if sp.Symbol(symbol.name, **assumptions) == symbol:
            return ["S", symbol.name, name]
    raise _NotStorable


def load(stored: Any) -> Any:
    """Return the expression of `dump`; raises `KeyError`, `TypeError` or `ValueError` for anything else."""
    if isinstance(stored, int) and not isinstance(stored, bool):
        return sp.Integer(stored)
    if isinstance(stored, str):
        return _SYMBOLS[stored]
    if not isinstance(stored, list):
        raise TypeError(f"{stored!r} is no stored expression")
    head, *args = stored
    if head == "S":
        name, assumed = args
        if not str(name).isidentifier():
            raise ValueError(f"{name!r} is no name of a symbol")
        return sp.Symbol(name, **DOMAINS[assumed])
    if head == "Q":
        numerator, denominator = args
        return sp.Rational(int(numerator), int(denominator))
    if head == "C":
        index, decimal = args
        return Constant(int(index), str(decimal))
    if head in ATOMS:
        return ATOMS[head]
    return NODES[head](*map(load, args))


def folder() -> Path | None:
    """Return a folder for what is kept, which can be written; None where the cache is turned off or nothing can be."""
    given = os.environ.get("HERMESCAPE_CACHE")
    return None if given == "off" else _usable(_wanted(given))


def _wanted(given: str | None) -> Path | None:
    if given:
        return Path(given)
    with suppress(RuntimeError):  # no home
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hermescape"
    return None


@lru_cache(maxsize=16)
def _usable(wanted: Path | None) -> Path | None:
    """Return the folder wanted if it can be written, else a temporary one or None, and say so once."""
    obstacle = "no home folder" if wanted is None else _obstacle(wanted)
    if obstacle is None:
        return wanted
    shelter = _temporary()
    _say(
        f"hermescape: the cache {wanted or '~/.cache/hermescape'} cannot be written ({obstacle}); "
        f"{f'{shelter} serves instead' if shelter else 'nothing is kept between runs'}; to choose, set "
        "HERMESCAPE_CACHE to a folder that can be written, or to off."
    )
    return shelter


def _obstacle(path: Path) -> str | None:
    """Return why a file of some size cannot be written in a folder, which is made if need be; None where it can."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path) as file:
            file.write(bytes(1 << 16))
    except OSError as error:
        return error.strerror or type(error).__name__
    return None


def _temporary() -> Path | None:
    """Return this user's folder among the temporary files; None where another user could have put files there.

    It has to be a folder and no link, this user's, closed to all others, in one where others cannot rename it: what
    is kept there is read back as machine code.
    """
    user = os.getuid() if hasattr(os, "getuid") else None
    try:
        path = Path(gettempdir()) / ("hermescape" if user is None else f"hermescape-{user}")
        path.mkdir(mode=0o700, exist_ok=True)
        own, shared = path.lstat(), path.parent.stat()
    except OSError:
        return None
    closed = stat.S_ISDIR(own.st_mode) and own.st_uid == user and not own.st_mode & 0o077
    kept = shared.st_uid in (0, user) and (shared.st_mode & stat.S_ISVTX or not shared.st_mode & 0o022)
    return path if (user is None or (closed and kept)) and _obstacle(path) is None else None


def _say(line: str) -> None:
    """Write one line to stderr; worker processes leave it to their parent."""
    if parent_process() is None and sys.stderr is not None:
        print(line, file=sys.stderr, flush=True)


@lru_cache(maxsize=8)
def edition(package: Path) -> str:
    """Return a digest of SymPy's version and of a package's source: what was made by other rules is not used."""
    digest = hashlib.sha256(sp.__version__.encode())
    for path in sorted(package.glob("**/*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def remembered(describe: Callable[..., tuple[sp.Basic, ...]]) -> Callable[[Callable[..., Expr]], Callable[..., Expr]]:
    """Remember a function's results in memory by its arguments, and on disk by what `describe` makes of them.

    The result is an expression that depends on the expressions that `describe` returns and on nothing else.
    """

    def decorate(function: Callable[..., Expr]) -> Callable[..., Expr]:
        @lru_cache(maxsize=4096)
        @wraps(function)
        def call(*args: Any) -> Expr:
            path = entry(function.__qualname__, *describe(*args))
            if path is None:
                return function(*args)
            result = _read(path)
            if result is None:
                result = function(*args)
                _write(path, result)
            return result

        return call

    return decorate


def entry(name: str, *content: sp.Basic, suffix: str = ".json") -> Path | None:
    """Return the file for what `name` makes of this content; None where it has none."""
    where = folder()
    if where is None:
        return None
    try:
        text = json.dumps([edition(Path(__file__).parents[1]), name, *map(dump, content)])
    except (_NotStorable, OSError):
        return None
    return where / f"{hashlib.sha256(text.encode()).hexdigest()}{suffix}"


def _read(path: Path) -> Expr | None:
    try:
        return load(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _write(path: Path, expr: Expr) -> None:
    """Keep an entry; a full disk or a read-only folder is no reason to fail."""
    with suppress(_NotStorable, OSError, RecursionError):
        put(path, json.dumps(dump(expr)).encode())


def put(path: Path, content: bytes) -> None:
    """Write beside the target and rename, so that it is whole for every process; raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        file.write(content)
    try:
        os.replace(file.name, path)
    finally:
        Path(file.name).unlink(missing_ok=True)
