"""The pages of docs/ tell the truth: every Python example and every command in them is run, and says what they show.

Numbers may differ by a part in a hundred, since a compiler may round a simulation differently; words may not. All code
of a page shares one namespace, in the order of the page.
"""

import contextlib
import doctest
import io
import re
import shlex
import sys
from pathlib import Path

import pytest

from hermescape.cli import main

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(
    page.relative_to(DOCS).as_posix()
    for page in DOCS.rglob("*.md")
    if re.search(r"^```(python|console)$", page.read_text(), re.MULTILINE)
)
BLOCK = re.compile(r"^```(python|console|toml title=(?P<file>\S+))\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE)
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
TOLERANCE = 0.01


class Checker(doctest.OutputChecker):
    """Accept numbers that are nearly those shown."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return super().check_output(want, got, optionflags) or same(want, got)


def same(want: str, got: str) -> bool:
    """Whether two texts have the same words, and numbers within the tolerance."""
    if re.sub(r"\s+", "", NUMBER.sub("#", want)) != re.sub(r"\s+", "", NUMBER.sub("#", got)):
        return False
    pairs = zip(NUMBER.finditer(want), NUMBER.finditer(got), strict=True)
    return all(abs(float(a[0]) - float(b[0])) <= TOLERANCE * max(abs(float(a[0])), abs(float(b[0]))) for a, b in pairs)


def run_python(page: str, number: int, body: str, scope: dict) -> None:
    if ">>>" not in body:
        exec(compile(body, f"{page}, block {number}", "exec"), scope)
        return
    test = doctest.DocTestParser().get_doctest(body, scope, f"{page}, block {number}", page, 0)
    runner, report = doctest.DocTestRunner(Checker(), optionflags=OPTIONS), io.StringIO()
    runner.run(test, out=report.write, clear_globs=False)
    scope |= test.globs
    assert not runner.failures, report.getvalue()


def run_command(line: str) -> str:
    """Return what a command prints, in this process."""
    written = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(written):
        patch.setattr(sys, "argv", shlex.split(line))
        with contextlib.redirect_stderr(written), contextlib.suppress(SystemExit):
            main()
    return written.getvalue()


@pytest.mark.parametrize("page", PAGES)
def test_page(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scope: dict = {"__name__": "page"}
    for number, block in enumerate(BLOCK.finditer((DOCS / page).read_text()), start=1):
        body = block["body"]
        if block["file"]:
            (tmp_path / block["file"]).write_text(body)
        elif block[1] == "python":
            run_python(page, number, body, scope)
        else:
            for session in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                command, _, shown = session.partition("\n")
                found = run_command(command)
                assert Checker().check_output(shown, found, OPTIONS), f"{command}\n--- shown\n{shown}--- found\n{found}"


def test_the_checker_can_fail() -> None:
    assert same("tau 9.66, 1e-10", "tau  9.6568, 1.0e-10")
    assert not same("tau 9.66", "tau 9.1")
    assert not same("tau 9.66", "rate 9.66")
    assert not same("tau 9.66", "tau 9.66 9.66")
