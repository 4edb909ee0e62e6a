"""Links to what this project documents: short and public names are resolved to where they are defined.

A name of ours that is documented nowhere stays an unresolved reference, which the build reports (`-n`). Names of
others, which annotations are full of, stay plain text: the build needs no network.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from functools import cache, cached_property
from types import FunctionType

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.nodes import make_refnode

import hermescape

STOREYS = ("theory", "numerics", "hermescape")
NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*")


@cache
def modules() -> tuple[str, ...]:
    """Return every module of the three storeys, packages first."""
    found = []
    for storey in STOREYS:
        package = importlib.import_module(storey)
        inner = pkgutil.walk_packages(package.__path__, f"{storey}.")
        found += [storey, *sorted(info.name for info in inner if not info.name.startswith("hermescape.benchmarks"))]
    return tuple(found)


@cache
def own_names(module: str) -> tuple[str, ...]:
    """Return what a module defines itself and documents: classes, functions, and data followed by a docstring."""
    found = importlib.import_module(module)
    described = {name for owner, name in ModuleAnalyzer.for_module(module).find_attr_docs() if not owner}
    names = getattr(found, "__all__", ()) if module != "hermescape" else ()
    return tuple(n for n in names if n in described or getattr(getattr(found, n), "__module__", None) == module)


@cache
def index() -> dict[str, str]:
    """Return short name -> documented name; of several the public one, else the first."""
    found: dict[str, str] = {}
    for module in modules():
        for name in own_names(module):
            found.setdefault(name, f"{module}.{name}")
    public = {name: f"{home}.{alias or name}" for name, (home, alias) in public_names().items()}
    return found | public


@cache
def documented() -> frozenset[str]:
    """Return the full names of modules and of what they define."""
    return frozenset(f"{module}.{name}" for module in modules() for name in own_names(module)) | set(modules())


@cache
def public_names() -> dict[str, tuple[str, str]]:
    """Return every public name -> (module that defines it, name there where it differs)."""
    found = {}
    for name in sorted(set(hermescape.__all__) - {"__version__"}):
        obj = getattr(hermescape, name)
        found[name] = (obj.__module__, "" if obj.__name__ == name else obj.__name__)
    return found


def target_of(text: str) -> str | None:
    """Return the documented name that a piece of code stands for, or None.

    >>> target_of("derive"), target_of("hermescape.System.covariance"), target_of("numpy")
    ('theory.network.derivation.derive', 'theory.network.system.System.covariance', None)
    """
    if not NAME.fullmatch(text):
        return None
    if text.startswith("theory.symbols."):
        return "theory.symbols"
    head, _, rest = text.removeprefix("hermescape.").partition(".")
    if head in index():
        text = ".".join((index()[head], rest)) if rest else index()[head]
    owner = next((name for name in _prefixes(text) if name in documented()), None)
    return text if owner is not None and _has(owner, text.removeprefix(owner).strip(".")) else None


def _prefixes(text: str) -> list[str]:
    parts = text.split(".")
    return [".".join(parts[:size]) for size in range(len(parts), 0, -1)]


def _has(owner: str, rest: str) -> bool:
    """Whether a class has a method or property named `rest`, which has a description of its own."""
    if not rest:
        return True
    module, _, name = owner.rpartition(".")
    found = getattr(importlib.import_module(module), name, None) if module else None
    kinds = (FunctionType, property, cached_property, classmethod, staticmethod)
    return isinstance(found, type) and isinstance(inspect.getattr_static(found, rest, None), kinds)


def resolve(
    _app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.Element | None:
    """Resolve a reference of the Python domain to ours, pass over those to others."""
    if node.get("refdomain") != "py":
        return None
    name = node["reftarget"]
    target = target_of(name)
    if target is None and (node["reftype"] in ("class", "exc") or name.split(".")[0] not in STOREYS):
        return content  # an annotation, or someone else's
    known = env.domains.python_domain.objects
    if target not in known:
        return None
    docname, anchor = known[target].docname, known[target].node_id
    return make_refnode(env._app.builder, node["refdoc"], docname, anchor, content, target)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect."""
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
