"""The README says what is true: its Python example runs, its commands exist."""

import re
from pathlib import Path

from hermescape.cli.app import COMMANDS

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_python_example_runs() -> None:
    scope: dict = {}
    for example in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
        exec(compile(example, "README.md", "exec"), scope)
    assert set(scope["grid"].outcome.values) == {"EXITED", "HORIZON"}
    assert scope["path"].outcome.name == "EXITED"
    assert scope["sample"].counts.censored == 4


def test_commands_exist() -> None:
    assert set(re.findall(r"^hermescape (\w+)", README, re.MULTILINE)) == set(COMMANDS)
