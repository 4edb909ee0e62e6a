"""Tests are named for the module they hold: whoever breaks theory/calculus/tidy.py finds test_tidy.py by its path."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STOREYS = ("theory", "numerics", "hermescape")
TESTS = sorted(path for storey in STOREYS for path in (ROOT / "tests" / storey).rglob("test_*.py"))


def modules(room: Path) -> set[str]:
    """Names of the modules and packages in a folder."""
    inside = [path for path in room.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()]
    return {path.stem for path in inside} - {"__init__"}


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_test_is_named_for_a_module_of_its_room(path: Path) -> None:
    """tests/ROOM/test_MODULE.py, or test_MODULE_SUBJECT.py; a room as a whole counts as a module of the one above."""
    room = ROOT / path.parent.relative_to(ROOT / "tests")
    name = path.stem.removeprefix("test_")
    assert room.is_dir()
    assert any(name == module or name.startswith(f"{module}_") for module in modules(room)), sorted(modules(room))


def test_every_quick_place_exists() -> None:
    from conftest import QUICK

    assert [place for place in QUICK if not (ROOT / place).exists()] == []
