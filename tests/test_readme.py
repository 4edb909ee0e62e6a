"""The README and the overview say what is true: their examples run, their commands exist."""

import re
from pathlib import Path

from hermescape.cli.app import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
OVERVIEW = (ROOT / "docs" / "overview.md").read_text()


def test_python_example_runs() -> None:
    scope: dict = {}
    for example in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(compile(example, "README.md", "exec"), scope)
    assert scope["path"].outcome.name == "EXITED"
    assert scope["sample"].counts.exited == 100
    assert scope["law"].regime == "linear"


def test_commands_exist() -> None:
    assert set(re.findall(r"^hermescape (\w+)", OVERVIEW, re.MULTILINE)) == set(COMMANDS)
    assert set(re.findall(r"^hermescape (\w+)", README, re.MULTILINE)) <= set(COMMANDS)
