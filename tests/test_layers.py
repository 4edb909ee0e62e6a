"""The house stands: storeys and rooms import downwards only, nothing in a circle, nothing later than at the top.

Read from the sources by AST, so that imports inside functions and those for types alone count like any other. An import
of `a.b.c` runs `a` and `a.b` too, and counts as one of each package that the importer does not itself stand in.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
from sympy.utilities.iterables import strongly_connected_components

ROOT = Path(__file__).parents[1]

ORDER = {
    "theory": (
        {"__init__", "errors", "lazy", "symbols"},
        {"typeset", "enclosures"},
        {"shown"},
        {"calculus"},
        {"language"},
        {"network"},
        {"search"},
        {"writing"},
    ),
    "numerics": (
        {"__init__", "accuracy"},
        {"compile", "workers", "plots", "parameters", "labelled", "recall"},
        {"integrals", "simulation"},
        {"flows", "rates"},
        {"law", "sweep"},
        {"best"},
    ),
    "hermescape": (
        {"output", "task", "shadows", "mathml"},
        {"api", "drawing"},
        {"foresight", "verdict", "verify"},
        {"views", "explorer"},
        {"report", "paper"},
        {"__init__"},  # the public names
        {"cli"},
        {"__main__"},
    ),
}
"""The rooms of each storey, lowest first; rooms in one set do not know each other."""

APART = {"numerics.plots"}
"""Rooms that no other room of their storey imports: they are handed arrays."""

FORBIDDEN = {
    "theory": {"numerics", "hermescape", "numpy", "scipy", "numba", "matplotlib", "xarray"},
    "numerics": {"hermescape"},
    "hermescape": set[str](),
}

EVERYTHING = {""}
DEFERRED = {
    "hermescape.cli": EVERYTHING,  # a fast --help
    "hermescape.__init__": EVERYTHING,  # `import hermescape` imports nothing; the names for type checkers
    "hermescape.output": {"rich"},  # which the command line imports: 0.2 s of --help
    "hermescape.drawing": {"xarray", "numerics.labelled"},  # for type checkers, and what xarray draws
    "hermescape.explorer": {"ipywidgets"},  # optional
    "hermescape.verdict": {"numerics", "theory.search"},  # where its numbers are not kept from another time
    "hermescape.views": {"numerics.integrals"},  # NumPy, where something has no closed form
    "numerics.compile": {"numba", "numerics.compile.primitives"},  # half a second before anything is compiled
    **{f"numerics.{room}": {"numerics.labelled"} for room in ("simulation", "flows", "best")},  # xarray: half a second
}
"""Where an import may stand elsewhere than at the top of its module, and of what."""

BY_NAME = {
    "hermescape",  # the public names, on first use
    "hermescape.cli.app",  # the command that runs, of its many
    "hermescape.cli.bench",  # benchmarks, in the wheel or beside it
    "numerics.flows.engines.taylor",  # heyoka, optional
    "numerics.simulation.fulldim",  # the array library of the user's choice
}
"""Modules that import what a text names."""


class Import(NamedTuple):
    """What one statement of a module imports."""

    module: str
    target: str
    line: int
    is_deferred: bool

    def __str__(self) -> str:
        return f"{self.module}, line {self.line}: {self.target}"


@dataclass(frozen=True)
class House:
    """Modules by dotted name; a package is its `__init__` and the stub of that, under the name of the package."""

    trees: Mapping[str, ast.Module]
    packages: frozenset[str]

    @classmethod
    def of(cls, sources: Mapping[str, str]) -> "House":
        """Return the house of texts by path, such as `theory/errors.py`."""
        trees: dict[str, ast.Module] = {}
        packages = set()
        for path, text in sources.items():
            name = path.removesuffix("i").removesuffix(".py").replace("/", ".")
            if name.endswith(".__init__"):
                name = name.removesuffix(".__init__")
                packages.add(name)
            trees.setdefault(name, ast.Module([], [])).body.extend(ast.parse(text).body)
        return cls(trees, frozenset(packages))

    def room(self, module: str) -> str:
        """Return the room as storey.room; that of a storey's own `__init__` is `__init__`."""
        parts = module.split(".")
        return ".".join(parts[:2]) if len(parts) > 1 else f"{module}.__init__"

    def imports(self) -> Iterator[Import]:
        """Yield every import of every module."""
        for module, tree in self.trees.items():
            top = set(map(id, tree.body))
            for node in ast.walk(tree):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    for target in self._targets(module, node):
                        yield Import(module, target, node.lineno, id(node) not in top)

    def _targets(self, module: str, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
            return
        base = self.base(module, node)
        for alias in node.names:
            inner = f"{base}.{alias.name}"
            yield inner if inner in self.trees else base

    def base(self, module: str, node: ast.ImportFrom) -> str:
        """Return what is imported from, dots resolved."""
        if not node.level:
            return node.module or ""
        here = module.split(".") if module in self.packages else module.split(".")[:-1]
        return ".".join([*here[: len(here) - node.level + 1], *([node.module] if node.module else [])])

    def edges(self) -> set[tuple[str, str]]:
        """Return (module, what importing it runs besides), of the house's own modules."""
        found = set()
        for each in self.imports():
            parts = each.target.split(".")
            for end in range(1, len(parts) + 1):
                target = ".".join(parts[:end])
                around = f"{each.module}.".startswith(f"{target}.") and end < len(parts)
                if target in self.trees and not around:
                    found.add((each.module, target))
        return found


def read() -> House:
    every = (file for storey in ORDER for file in sorted((ROOT / storey).glob("**/*")))
    files = [file for file in every if file.suffix in (".py", ".pyi")]
    return House.of({file.relative_to(ROOT).as_posix(): file.read_text() for file in files})


# --- the rules, each the list of what breaks it


def undeclared(house: House) -> list[str]:
    known = {f"{storey}.{room}" for storey, levels in ORDER.items() for level in levels for room in level}
    return sorted({house.room(module) for module in house.trees} - known)


def upwards(house: House) -> list[str]:
    level = {
        f"{storey}.{room}": height
        for storey, rooms in ORDER.items()
        for height, row in enumerate(rooms)
        for room in row
    }
    found = []
    for each in house.imports():
        storey, target = each.module.split(".")[0], each.target.split(".")[0]
        if target != storey or each.target not in house.trees:
            continue
        above, below = house.room(each.module), house.room(each.target)
        if above != below and (below in APART or level.get(below, 0) >= level.get(above, 0)):
            found.append(str(each))
    return found


def forbidden(house: House) -> list[str]:
    return [str(i) for i in house.imports() if i.target.split(".")[0] in FORBIDDEN[i.module.split(".")[0]]]


def circles(house: House) -> list[list[str]]:
    edges = house.edges()
    alone = {module for module, target in edges if module == target}
    found = strongly_connected_components((sorted(house.trees), sorted(edges)))
    return [sorted(group) for group in found if len(group) > 1 or group[0] in alone]


def deferred(house: House) -> list[str]:
    def is_allowed(each: Import) -> bool:
        allowed = DEFERRED.get(house.room(each.module), set())
        return allowed is EVERYTHING or any(f"{each.target}.".startswith(f"{name}.") for name in allowed)

    return [str(each) for each in house.imports() if each.is_deferred and not is_allowed(each)]


def named_like_submodules(house: House) -> list[str]:
    """Return what a package defines, imports or exports under a submodule's name: which of both `a.b` then is depends
    on the order of imports."""
    found = []
    for package in house.packages:
        inside = {name.removeprefix(f"{package}.") for name in house.trees if name.startswith(f"{package}.")}
        found += [f"{package}.{name}" for name in sorted(inside & _bound(house, package))]
    return found


def _bound(house: House, package: str) -> set[str]:
    """The names of a package other than its submodules: functions, classes, imported ones, and those in `__all__`."""
    names: set[str] = set()
    statements = list(house.trees[package].body)
    while statements:
        node = statements.pop()
        if isinstance(node, ast.If | ast.Try):
            statements += [inner for inner in ast.iter_child_nodes(node) if isinstance(inner, ast.stmt)]
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            inner = {alias.asname or alias.name: f"{house.base(package, node)}.{alias.name}" for alias in node.names}
            names |= {name for name, origin in inner.items() if origin != f"{package}.{name}"}
        elif isinstance(node, ast.Assign):
            targets = {target.id for target in node.targets if isinstance(target, ast.Name)}
            listed = getattr(node.value, "elts", []) if "__all__" in targets else []
            names |= targets | {str(each.value) for each in listed if isinstance(each, ast.Constant)}
    return names


def by_name(house: House) -> list[str]:
    """Return the modules that import by a text, which no rule above can read."""
    texts = {"import_module", "__import__"}
    return sorted(
        module
        for module, tree in house.trees.items()
        if module not in BY_NAME and any(_name(node) in texts for node in ast.walk(tree))
    )


def _name(node: ast.AST) -> str | None:
    """What a node names or imports."""
    return next((getattr(node, field) for field in ("id", "attr", "name") if hasattr(node, field)), None)


RULES = (undeclared, upwards, forbidden, circles, deferred, named_like_submodules, by_name)


@pytest.mark.parametrize("rule", RULES)
def test_the_house_keeps_the_rule(rule) -> None:
    house = read()
    assert len(house.trees) > 100
    assert rule(house) == []


EMPTY = {f"{storey}/__init__.py": "" for storey in ORDER}


@pytest.mark.parametrize(
    ("rule", "planted"),
    [
        (undeclared, {"theory/attic.py": ""}),
        (upwards, {"theory/network/loss.py": "", "theory/calculus/tidy.py": "import theory.network.loss"}),
        (upwards, {"theory/writing/words.py": "", "theory/search/law.py": "from theory.writing import words"}),
        (
            upwards,
            {"theory/network/loss.py": "", "theory/calculus/tidy.py": "def f():\n import theory.network.loss"},
        ),
        (upwards, {"theory/network/loss.py": "", "theory/calculus/tidy.py": "from ..network.loss import Loss"}),
        (upwards, {"numerics/plots/times.py": "", "numerics/best/phases.py": "from numerics.plots.times import curve"}),
        (upwards, {"hermescape/paper/settings.py": "from hermescape import __version__"}),
        (
            upwards,
            {"theory/search/law.py": "", "theory/errors.py": "if TYPE_CHECKING:\n import theory.search.law"},
        ),
        (forbidden, {"theory/errors.py": "def f():\n from numpy.linalg import norm"}),
        (forbidden, {"theory/errors.py": "import numerics.workers"}),
        (forbidden, {"numerics/workers.py": "import hermescape"}),
        (circles, {"theory/a.py": "from theory.b import f", "theory/b.py": "def g():\n from theory import a"}),
        (circles, {"theory/a.py": "import theory.b", "theory/b.py": "if TYPE_CHECKING:\n import theory.a"}),
        (circles, {"theory/a/__init__.py": "from theory.a.b import f", "theory/a/b.py": "from theory.a import f"}),
        (circles, {"theory/a/__init__.py": "import theory.c", "theory/a/b.py": "", "theory/c.py": "import theory.a.b"}),
        (deferred, {"numerics/workers.py": "def f():\n import numpy"}),
        (deferred, {"theory/errors.py": "if TYPE_CHECKING:\n from theory.symbols import x"}),
        (deferred, {"hermescape/explorer.py": "def f():\n import sympy"}),
        (deferred, {"hermescape/views/a.py": "def f():\n import numerics.law"}),
        (named_like_submodules, {"theory/a/__init__.py": "from theory.a.b import b", "theory/a/b.py": ""}),
        (named_like_submodules, {"hermescape/__init__.py": "__all__ = ['api']", "hermescape/api.py": ""}),
        (named_like_submodules, {"theory/a/__init__.py": "def b(): ...", "theory/a/b.py": ""}),
        (by_name, {"theory/errors.py": "from importlib import import_module\n\nimport_module('theory.search')"}),
        (by_name, {"theory/errors.py": "from importlib import import_module as load\n\nload('theory.search')"}),
        (by_name, {"theory/errors.py": "import importlib\n\ndef f(): importlib.import_module('numpy')"}),
    ],
)
def test_every_rule_sees_what_breaks_it(rule, planted: dict[str, str]) -> None:
    assert rule(House.of(EMPTY)) == []
    assert rule(House.of({**EMPTY, **planted})) != []


def test_what_no_rule_forbids() -> None:
    house = House.of(
        {
            **EMPTY,
            "theory/typeset/__init__.py": "from theory.typeset import tree\nfrom theory.typeset.tree import f\n",
            "theory/typeset/tree.py": "import sympy, theory.errors",
            "theory/errors.py": "import sympy",
            "numerics/workers.py": "import numpy, theory.errors",
            "hermescape/__init__.pyi": "from hermescape.api import simulate as run",
            "hermescape/api.py": "from numerics import workers",
            "hermescape/cli/app.py": "def f():\n import numerics.workers, hermescape",
        }
    )
    assert [rule(house) for rule in RULES] == [[]] * len(RULES)


def test_importing_the_package_imports_no_room() -> None:
    code = (
        "import sys, hermescape; print([m for m in sys.modules if m.split('.')[0] in ('theory', 'numerics', 'sympy')])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_balls_are_made_in_few_rooms() -> None:
    """FLINT's precision is one number of the process, and one module sets it; its balls stay below the views."""
    house = read()
    makers = {each.module for each in house.imports() if each.target.split(".")[0] == "flint"}
    assert makers
    assert {".".join(m.split(".")[:2]) for m in makers} == {
        *("theory.enclosures", "theory.calculus", "numerics.integrals", "numerics.rates")
    }
    setters = {m for m in makers if "ctx.prec =" in ast.unparse(house.trees[m])}
    assert setters == {"theory.enclosures.balls"}


@pytest.mark.parametrize(
    ("witness", "judged"),
    [
        ("numerics.simulation.fulldim", "numerics.simulation.montecarlo"),
        ("theory.calculus.reference", "theory.calculus.gaussian"),
    ],
)
def test_ground_truth_does_not_import_what_it_judges(witness: str, judged: str) -> None:
    house = read()
    assert {witness, judged} <= house.trees.keys()
    assert judged not in {each.target for each in house.imports() if each.module == witness}
