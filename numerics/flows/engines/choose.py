"""Which engine is meant: an object of one's own, the name of one of ours, or nothing, which is the default."""

from __future__ import annotations

from dataclasses import is_dataclass

from numerics.flows.engines.native import Native
from numerics.flows.engines.problem import Engine
from numerics.flows.engines.reference import SciPy
from numerics.flows.engines.taylor import Heyoka
from theory.errors import ParameterError

__all__ = ["ENGINES", "chosen", "name_of"]

ENGINES: dict[str, type[Engine]] = {"native": Native, "scipy": SciPy, "heyoka": Heyoka}
"""The engines that a text can name; a new one is one line."""


def chosen(engine: Engine | str | None) -> Engine:
    """Return the engine that is meant; `Native()` by default.

    Raises:
        ParameterError: an unknown name, or an object without a method `solve`.

    >>> chosen("scipy")
    SciPy(method='LSODA', jit=True)
    >>> chosen("euler")
    Traceback (most recent call last):
    theory.errors.ParameterError: engine = 'euler' given; accepted: native, scipy, heyoka, or an object with solve(...
    """
    if engine is None:
        return Native()
    if isinstance(engine, str):
        if engine in ENGINES:
            return ENGINES[engine]()
    elif callable(getattr(engine, "solve", None)) and not isinstance(engine, type):
        return engine
    raise ParameterError(
        f"engine = {engine!r} given; accepted: {', '.join(ENGINES)}, or an object with solve(problem), such as SciPy()."
    )


def name_of(engine: Engine | str | None) -> str | None:
    """Return a text by which to tell engines apart: the name given, or that of the class with its settings.

    >>> name_of(SciPy("Radau")), name_of("scipy"), name_of(None)
    ("SciPy(method='Radau', jit=True)", 'scipy', None)
    """
    if engine is None or isinstance(engine, str):
        return engine
    return repr(engine) if is_dataclass(engine) else f"{type(engine).__module__}.{type(engine).__qualname__}"
