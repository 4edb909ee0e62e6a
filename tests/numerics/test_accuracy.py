"""The table of tolerances is whole: every entry decides something, and no default of a tolerance stands elsewhere."""

import ast
import json
import pickle
from pathlib import Path

import pytest

from numerics.accuracy import LEVEL, Tolerance, table

ROOT = Path(__file__).parents[2]
FILES = [p for room in ("numerics", "hermescape") for p in sorted((ROOT / room).glob("**/*.py"))]
KNOBS = {"tolerance", "rtol", "atol", "confidence", "level"}


def used() -> set[str]:
    """Return every name that a module of the two upper storeys reads."""
    read: set[str] = set()
    for p in FILES:
        if p.name != "accuracy.py":
            nodes = list(ast.walk(ast.parse(p.read_text(encoding="utf-8"))))
            read |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return read


def defaults_of_their_own(text: str) -> list[int]:
    """Return the lines of arguments and fields that are a tolerance and have a number as default."""

    def is_number(node: ast.expr | None) -> bool:
        return isinstance(node, ast.Constant) and isinstance(node.value, float)

    lines = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.arguments):
            plain = [*node.posonlyargs, *node.args]
            pairs = [
                *zip(plain[::-1], node.defaults[::-1], strict=False),
                *zip(node.kwonlyargs, node.kw_defaults, strict=True),
            ]
            lines += [one.lineno for one, default in pairs if one.arg in KNOBS and is_number(default)]
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            lines += [node.lineno] if node.target.id in KNOBS and is_number(node.value) else []
    return lines


def test_every_tolerance_has_a_unit_a_reason_and_a_reader() -> None:
    known = table()
    assert len(known) >= 40
    assert [name for name, one in known.items() if not (one > 0 and one.unit and len(one.why.split()) >= 4)] == []
    assert set(known) - used() == set()


def test_no_tolerance_has_a_default_elsewhere() -> None:
    rows = {str(p.relative_to(ROOT)): defaults_of_their_own(p.read_text(encoding="utf-8")) for p in FILES}
    assert {p: lines for p, lines in rows.items() if lines} == {}


@pytest.mark.parametrize(
    "text", ["def f(*, rtol=1e-8): ...", "def f(a, level: float = 0.9): ...", "class A:\n tolerance: float = 1e-3"]
)
def test_a_default_is_seen(text: str) -> None:
    assert defaults_of_their_own(text)


def test_a_tolerance_is_a_number_everywhere() -> None:
    again = pickle.loads(pickle.dumps(LEVEL))
    assert (again, again.unit, again.why) == (LEVEL, LEVEL.unit, LEVEL.why)
    assert isinstance(again, Tolerance)
    assert json.dumps(LEVEL) == f"{LEVEL}" == repr(float(LEVEL))
