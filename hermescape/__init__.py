"""Derive the learning dynamics of any activation, and check them against exact Monte Carlo.

    >>> import hermescape
    >>> system = hermescape.derive("relu")
    >>> system.escape.B
    -1/2

The public names are listed once, with their homes, in the stub beside this file, which type checkers read too. Names
are imported on first use, so that the command line starts quickly. (`lazy_loader` does the same for names of one
package; these come from three.)
"""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import Any

from hermescape.shadows import refuse_shadows

refuse_shadows()

__version__ = "0.1.0"


def _homes() -> dict[str, tuple[str, str]]:
    """Return public name -> (module, name there), from the stub: imports `as` themselves, and names assigned."""
    imported: dict[str, str] = {}
    public: dict[str, str] = {}
    for node in ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            imported |= {alias.name: node.module or "" for alias in node.names}
            public |= {alias.name: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
            public |= {target.id: node.value.id for target in node.targets if isinstance(target, ast.Name)}
    return {name: (imported[inner], inner) for name, inner in public.items()}


_HOMES = _homes()
__all__ = ["__version__", *_HOMES]  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hermescape' has no attribute {name!r}")
    module, inner = _HOMES[name]
    member = getattr(importlib.import_module(module), inner)
    from theory.lazy import PROVIDERS

    PROVIDERS["plot"], PROVIDERS["html"] = _plots_of, _painted
    return member


def _plots_of(result: Any) -> Any:
    """Return what `result.plot` is."""
    from hermescape.drawing import plots_of

    return plots_of(result)


def _painted(shown: Any) -> str:
    """Return a result as the HTML that Jupyter shows."""
    from hermescape.views.display import html

    return html(shown)


def __dir__() -> list[str]:
    return __all__
