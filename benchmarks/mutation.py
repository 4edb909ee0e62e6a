"""Mutation testing: change one thing in a module, run its tests, and say which changes they let through.

    python -m benchmarks.mutation               every target of the table
    python -m benchmarks.mutation linear law    these

A mutant is the module's source with one node of its syntax tree changed: a constant, an operator, a comparison, a sign,
the order of a pair, a condition. It runs in a forked process, in which an import hook hands the changed source to
Python: no file is touched, and what is imported beside it is imported once. A mutant is killed where a test fails or
takes ten times as long as on the true source, and survives otherwise. Survivors that change nothing are listed in the
table with the reason; the others are printed, and are the exit status. Not run by CI.
"""

from __future__ import annotations

import ast
import copy
import importlib.abc
import importlib.util
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
STEP = "tests/numerics/simulation/test_step.py"
PATIENCE = 10.0  # times the time on the true source
LEAST = 30.0  # seconds


@dataclass(frozen=True)
class Target:
    """A module, its tests from quick to slow, and the mutants that are no mistakes, with the reason."""

    module: str
    tests: tuple[str, ...]
    equivalent: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return ROOT / f"{self.module.replace('.', '/')}.py"


TARGETS = {
    "linear": Target(
        "numerics.law.linear",
        ("tests/numerics/law/test_linear.py",),
        {
            "40.0 -> 41.0   [WIDEST": "a normal density is zero in float64 from 38.6 standard deviations on",
            "< NEGLIGIBLE -> abs(self.shift) <= NEGLIGIBLE": "both branches agree where the shift is negligible",
            "level <= self.cdf(0.0) ->": "at equality the root that is then looked for is t = 0 too",
            "700.0 -> 701.0": "either exponential lies beyond all normal mass",
            "True -> False   [return sum(p for": "the two sides are always two",
            "[low, high = (self.offset": "the ends of a bracket, which are wide on purpose",
            "1e-12 * self.tau": "brentq's other tolerance is met first",
            "[breaks = (math.log(w)": "panels of a quadrature, which reaches its tolerance on any of them",
            "[return sum(quad(integrand": "the tolerance and budget of a quadrature that needs neither to its end",
            "1 -> -1   [if self.escaping": "an infinite constant makes the sum infinite by itself",
            "x < math.inf -> x <= math.inf": "exp(700) of a side that never exits has no normal mass beyond it",
        },
    ),
    "law": Target(
        "theory.search.law",
        ("tests/theory/search/test_law.py",),
        {
            "1e-09 -> -1e-09   [VANISHING": "it is squared",
            "= Symbol(": "an assumption steers what SymPy simplifies; the law it is part of is compared in numbers",
            "0 -> 1   [if escape.square is not None": "G^2 = 0 for every mu needs a loss without slope anywhere",
        },
    ),
    "vectors": Target(
        "theory.network.vectors",
        ("tests/theory/network/test_vectors.py", "tests/theory/network"),
        {
            "True -> False   [NORM": "an assumption steers what SymPy simplifies",
            "-> ((second, first), (first, second))": "a sum over both, in either order",
            "(self._parts(a), self._parts(b)) ->": "a form that is symmetric in a and b",
        },
    ),
    "loss": Target(
        "theory.network.loss",
        ("tests/theory/network/test_loss.py", "tests/theory/network/test_derivation.py", "tests/theory/network"),
        {
            "True -> False   [C, V, W": "assumptions steer what SymPy simplifies",
            "(Vector('w'), Vector('w*')) ->": "names that no one sees",
            "(weight, target) -> (target, weight)": "an overlap of two vectors, in either order",
            "(weight, weight) -> (weight, weight)": "the same",
            ".weight) -> (self._signed": "an inner product, in either order",
            "(i, len(units) + j) -> (len(units) + j, i)": "E f_p' f_k', in either order",
            "-> (Equation.of('teacher'": "the order of equations on a page",
            "expr if is_closed(expr) else tidy(expr)": "another form of the same value",
            "[if not f.has(Delta):]": "either way is right for both; one is quicker without Delta",
        },
    ),
    "step": Target(
        "numerics.simulation.step",
        (
            *(f"{STEP}::{name}" for name in ("test_root_of_singular_matrices", "test_root_of_few_samples")),
            *(
                f"{STEP}::test_{name}"
                for name in ("the_factor_is_that_of_a_wishart_matrix", "fields_have_the_gram_matrix_of_the_weights")
            ),
            *(f"{STEP}::test_{name}" for name in ("decay_without_labels_or_noise_is_geometric", "exits_by_any_pair")),
            STEP,
        ),
        {"0 -> 1   [def __init__(self, experiment": "a default that `montecarlo` always overrides"},
    ),
}

# --- mutants ----------------------------------------------------------------------------------------------------

_SWAPS: dict[type, type] = {
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult},
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq},
    **{ast.And: ast.Or, ast.Or: ast.And, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In},
}
_NAMES = {"min": "max", "max": "min"}


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what may stand in the place of a node."""
    match node:
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield ast.Constant(value + 1)
            if value:
                yield ast.UnaryOp(ast.USub(), ast.Constant(value))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _SWAPS:
            yield ast.BinOp(left, _SWAPS[type(op)](), right)
        case ast.Compare(left=left, ops=[op], comparators=comparators) if type(op) in _SWAPS:
            yield ast.Compare(left, [_SWAPS[type(op)]()], comparators)
        case ast.BoolOp(op=op, values=values):
            yield ast.BoolOp(_SWAPS[type(op)](), values)
        case ast.UnaryOp(op=ast.USub() | ast.Not(), operand=operand):
            yield operand
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield ast.IfExp(test, orelse, body)
        case ast.If(test=test, body=body, orelse=orelse):
            yield ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.Tuple(elts=[first, second], ctx=ast.Load()):
            yield ast.Tuple([second, first], ast.Load())
        case ast.Name(id=name, ctx=ast.Load()) if name in _NAMES:
            yield ast.Name(_NAMES[name], ast.Load())


def mutants(source: str) -> Iterator[tuple[str, str]]:
    """Yield the description of each mutant, `line: before -> after`, and its source; words and types are left alone."""
    tree = ast.parse(source)
    lines = source.splitlines()
    for place, (node, _, _) in enumerate(_sites(tree)):
        for after in changes(copy.deepcopy(node)):
            other = copy.deepcopy(tree)
            _, parent, key = list(_sites(other))[place]
            _put(parent, key, after)
            before, changed = (" ".join(ast.unparse(ast.fix_missing_locations(n)).split()) for n in (node, after))
            if isinstance(node, ast.If):
                before, changed = f"if {ast.unparse(node.test)}", f"if not ({ast.unparse(node.test)})"
            line = lines[node.lineno - 1].strip()[:60]
            yield f"{node.lineno}: {before} -> {changed}   [{line}]", ast.unparse(ast.fix_missing_locations(other))


def _sites(tree: ast.AST) -> Iterator[tuple[ast.AST, ast.AST, tuple[str, int | None]]]:
    """Yield the nodes that may change with their place, leaving out docstrings, messages, annotations and defaults."""
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            for index, node in enumerate(value) if isinstance(value, list) else ((None, value),):
                if isinstance(node, ast.AST):
                    node.skipped = (  # type: ignore[attr-defined]
                        getattr(parent, "skipped", False)
                        or name in ("annotation", "returns", "decorator_list", "slice")
                        or isinstance(parent, ast.Raise | ast.JoinedStr)
                        or (isinstance(parent, ast.Assign) and "__all__" in ast.unparse(parent.targets[0]))
                    )
                    if not node.skipped and any(True for _ in changes(node)):  # type: ignore[attr-defined]
                        yield node, parent, (name, index)


def _put(parent: ast.AST, key: tuple[str, int | None], node: ast.AST) -> None:
    name, index = key
    if index is None:
        setattr(parent, name, node)
    else:
        getattr(parent, name)[index] = node


# --- runs -------------------------------------------------------------------------------------------------------


class Planted(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds one module, with a source of ours."""

    def __init__(self, target: Target, source: str) -> None:
        self.target, self.source = target, source

    def find_spec(self, name: str, path: object, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != self.target.module:
            return None
        return importlib.util.spec_from_loader(name, self, origin=str(self.target.path))

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.source, str(self.target.path), "exec"), module.__dict__)


def run(target: Target, source: str, limit: float | None = None) -> tuple[bool, float]:
    """Whether the tests pass on this source, and the seconds they took; a run beyond the limit does not pass."""
    begun, child = time.monotonic(), os.fork()
    if child == 0:
        os.setsid()
        _silent()
        sys.meta_path.insert(0, Planted(target, source))
        os.environ |= {"PYTEST_XDIST_WORKER": "mutant", "HERMESCAPE_CACHE": "off"}  # no mutant reads another's results
        arguments = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider"]
        try:
            code = int(pytest.main([*arguments, *target.tests]))
        except BaseException:
            code = 1
        os._exit(0 if code == 0 else 1)
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == 0, time.monotonic() - begun
        if limit is not None and time.monotonic() - begun > limit:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return False, limit
        time.sleep(0.01)


def _silent() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)


def survivors(target: Target, say: Callable[[str], None]) -> list[str]:
    """Run every mutant of a target, and return those that its tests let through and the table does not explain."""
    source = target.path.read_text()
    passes, seconds = run(target, source)
    if not passes:
        raise SystemExit(f"{target.module}: the tests {', '.join(target.tests)} fail on the true source.")
    limit, found, count = max(LEAST, PATIENCE * seconds), [], 0
    for what, changed in mutants(source):
        count += 1
        if run(target, changed, limit)[0]:
            reason = next((why for start, why in target.equivalent.items() if start in what), None)
            say(f"  survives  {what}" + (f": {reason}" if reason else ""))
            found += [] if reason else [what]
    say(f"{target.module}: {count} mutants, {len(found)} survive unexplained")
    return found


def main(names: list[str]) -> int:
    """Run the targets of these names, or all of them."""
    os.chdir(ROOT)
    for slow in ("scipy.integrate", "scipy.optimize", "scipy.special", "sympy"):
        importlib.import_module(slow)  # once, for all forks

    unknown = set(names) - set(TARGETS)
    if unknown:
        raise SystemExit(f"{min(unknown)} given; accepted: {', '.join(TARGETS)}.")
    return sum(len(survivors(TARGETS[name], lambda text: print(text, flush=True))) for name in names or TARGETS)


if __name__ == "__main__":
    raise SystemExit(min(main(sys.argv[1:]), 100))
