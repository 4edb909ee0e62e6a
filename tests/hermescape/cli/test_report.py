"""`hermescape report` refuses bad paths and options before any work, keeps older pages, and repeats its options."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hermescape.cli.app import app
from hermescape.cli.report import command_line
from hermescape.report import findings
from hermescape.report.findings import Request
from theory.errors import ParameterError


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["relu", "-o", "FOLDER/no/page.html"], "existing folder"),
        (["relu", "-o", "FOLDER/page.txt"], "ends in .html"),
        (["relu", "-o", "FOLDER/folder.html"], "is a folder"),
        (["relu", "-o", "FOLDER/folder.html", "--force"], "is a folder"),
        (["relu", "-o", "FOLDER/old.html"], "--force"),
        (["relu", "-o", "/proc/page.html"], "cannot be written"),
        (["relu", "-o", "FOLDER/page.html", "--model", "plain", "--mu", "0.2"], "--mu with --model plain"),
        (["relu", "-o", "FOLDER/page.html", "--mu", "2"], "numbers in (0, 1]"),
        (["relu", "-o", "FOLDER/page.html", "--model", "misaligned"], "--rho"),
    ],
)
def test_bad_paths_and_options_are_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], message: str
) -> None:
    def work(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(findings, "gather", work)
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "old.html").write_text("old")
    result = CliRunner().invoke(app, ["report", *(arg.replace("FOLDER", str(tmp_path)) for arg in args)])
    assert isinstance(result.exception, ParameterError)
    assert message in str(result.exception)
    assert {p.name for p in tmp_path.iterdir()} == {"folder.html", "old.html"}


def test_an_older_page_survives_what_cannot_be_done(tmp_path: Path) -> None:
    old = tmp_path / "old.html"
    old.write_text("old")
    for bad in (["step"], ["linear", "--d", "2"], ["linear", "--model", "plain", "--d", "3"], ["no such"]):
        result = CliRunner().invoke(app, ["report", *bad, "--force", "-o", str(old)])
        assert isinstance(result.exception, ValueError)
        assert old.read_text() == "old"


def test_the_command_repeats_every_option() -> None:
    settings = Request("relu", "erf", "misaligned", (0.1, 0.2), rho=0.5, step_size=0.1, scale=2.0, threads=1)
    command = "hermescape report relu -o a.html --teacher erf --mu 0.1,0.2 --rho 0.5 --alpha 2.0 --lr 0.1 --threads 1"
    assert command_line(settings, "a.html") == command
