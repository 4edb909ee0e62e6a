"""The recipes of CONTRIBUTING.md are run, and show what they say; its paths and commands exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hermescape.cli.app import app
from tests.test_pages import BLOCK, OPTIONS, Checker, run_command, run_python

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
RECIPES = re.split(r"^### ", PAGE.partition("## Recipes")[2].partition("\n## ")[0], flags=re.MULTILINE)[1:]


@pytest.fixture(autouse=True)
def _commands_left_as_they_were() -> Iterator[None]:
    before = list(app.registered_commands)
    yield
    app.registered_commands[:] = before


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda text: text.splitlines()[0])
def test_recipe(recipe: str) -> None:
    title = recipe.splitlines()[0]
    scope: dict = {"__name__": "recipe"}
    exec("import hermescape", scope)
    for other in re.findall(r"<!-- after (\S+) -->", recipe):
        for number, block in enumerate(BLOCK.finditer((ROOT / other).read_text()), start=1):
            run_python(other, number, block["body"], scope)
    blocks = [*BLOCK.finditer(recipe)]
    assert blocks
    for number, block in enumerate(blocks, start=1):
        if block[1] == "python":
            run_python(title, number, block["body"], scope)
            continue
        for session in re.split(r"^\$ ", block["body"], flags=re.MULTILINE)[1:]:
            command, _, shown = session.partition("\n")
            assert Checker().check_output(shown, run_command(command), OPTIONS), command


def test_there_is_a_recipe_for_each_kind_of_thing() -> None:
    assert [recipe.splitlines()[0] for recipe in RECIPES] == ["An activation", "A model", "An engine", "A command"]


def test_every_room_is_in_the_table() -> None:
    rooms = {
        path.parent.relative_to(ROOT).as_posix() + "/"
        for storey in ("theory", "numerics", "hermescape")
        for path in (ROOT / storey).glob("*/__init__.py")
    }
    assert {room for room in rooms if f"`{room}`" not in PAGE} == set()


def test_every_path_exists() -> None:
    paths = re.findall(r"`((?:theory|numerics|hermescape|tests|benchmarks|docs)/[\w/.]+)`", PAGE)
    assert len(paths) > 25
    assert [path for path in paths if not (ROOT / path).exists()] == []
