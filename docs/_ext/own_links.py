"""Links to what this project documents: short and public names are resolved to where they are defined.

A name of ours that is documented nowhere stays an unresolved reference, which the build reports (`-n`). Names of
others, which annotations are full of, stay plain text: the build needs no network.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from functools import cache

import hermescape
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

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
def index() -> dict[str, str]:
    """Return short name -> documented name; of several the public one, else the first."""
    found: dict[str, str] = {}
    for module in modules():
        for name in getattr(importlib.import_module(module), "__all__", ()) if module != "hermescape" else ():
            found.setdefault(name, f"{module}.{name}")
    public = {name: f"{home}.{alias or name}" for name, (home, alias) in public_names().items()}
    return found | public


def public_names() -> dict[str, tuple[str, str]]:
    """Return every public name -> (module, name there where it differs)."""
    homes = hermescape._HOMES
    split = {name: homes[name].partition(":") for name in hermescape.__all__ if name in homes}
    return {name: (home, alias) for name, (home, _, alias) in split.items()}


def target_of(text: str) -> str | None:
    """Return the documented name that a piece of code stands for, or None."""
    if not NAME.fullmatch(text):
        return None
    head, *rest = text.split(".")
    if text in modules():
        return text
    if head == "hermescape" and rest and rest[0] in index():
        return ".".join((index()[rest[0]], *rest[1:]))
    if head in STOREYS:
        return text
    return ".".join((index()[head], *rest)) if head in index() and _exists(index()[head], rest) else None


def _exists(documented: str, rest: list[str]) -> bool:
    module, _, name = documented.rpartition(".")
    found = getattr(importlib.import_module(module), name)
    for part in rest:
        if part not in getattr(found, "__dataclass_fields__", ()) and not hasattr(found, part):
            return False
        found = getattr(found, part, None)
    return True


def resolve(
    _app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.Element | None:
    """Resolve a reference of the Python domain to ours, pass over those to others."""
    if node.get("refdomain") != "py":
        return None
    name = node["reftarget"]
    target = target_of(name) or (None if name.split(".")[0] in STOREYS else "")
    if target == "":
        return content
    known = env.domains.python_domain.objects
    if target not in known:
        return None
    docname, anchor = known[target].docname, known[target].node_id
    return make_refnode(env._app.builder, node["refdoc"], docname, anchor, content, target)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect."""
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
