"""The README and the overview say what is true: their examples run, their commands exist."""

import re
from pathlib import Path

from hermescape.cli.app import COMMANDS
from tests.test_pages import TOLERANCE, run_command, same
from theory.network.derivation import derive
from theory.search.law import escape_time

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


def test_its_picture_is_there_for_light_and_for_dark() -> None:
    dark, light = re.findall(r'(?:srcset|src)="([^"]+)"', README)
    assert (ROOT / light).is_file()
    assert "prefers-color-scheme:dark" in (ROOT / dark).read_text()


def test_the_verdict_is_what_the_tool_prints() -> None:
    ((command, shown),) = re.findall(r"```console\n\$ (.*?)\n\.\.\.\n(.*?)```", README, re.DOTALL)
    printed = run_command(command)
    assert same(shown, printed[printed.index("information exponent") :], TOLERANCE)


def test_displayed_equations_are_what_the_tool_prints() -> None:
    """Every line of them stands in the LaTeX of relu or of the law, in this order."""
    relu = derive("relu")
    printed = [*lines(relu.latex()), *lines(escape_time(relu).latex())]
    displayed = [line for block in re.findall(r"```math\n(.*?)```", README, re.DOTALL) for line in lines(block)]
    assert len(displayed) > 12
    places = [printed.index(line) if line in printed else line for line in displayed]
    assert not [place for place in places if isinstance(place, str)]


def lines(text: str) -> list[str]:
    """Return the lines of aligned equations."""
    return [line.removesuffix(r"\\").strip() for line in text.splitlines() if "&" in line]
