"""The pages of docs/ tell the truth: every Python example and every command in them is run, and says what they show.

Words have to be the same. Numbers may differ by one in the last digit shown; what is below 1e-6, error estimates, by a
factor of ten; and those of a simulating or sampling command by a part in a hundred, since a compiler may round
differently. All code of a page shares one namespace, in the order of the page.
"""

import contextlib
import doctest
import io
import re
import shlex
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from hermescape.cli.app import main

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(
    page.relative_to(DOCS).as_posix()
    for page in DOCS.rglob("*.md")
    if re.search(r"^```(python|console)$", page.read_text(), re.MULTILINE)
)
BLOCK = re.compile(r"^```(python|console|toml title=(?P<file>\S+))\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE)
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
SIMULATING = re.compile(r"hermescape (simulate|check|law)\b")
TOLERANCE = 0.01
TINY = 1e-6


class Checker(doctest.OutputChecker):
    """Accept numbers that are nearly those shown."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return super().check_output(want, got, optionflags) or same(want, got)


def same(want: str, got: str, tolerance: float = 0.0) -> bool:
    """Whether two texts have the same words, and nearly the same numbers."""
    if re.sub(r"\s+", "", NUMBER.sub("#", want)) != re.sub(r"\s+", "", NUMBER.sub("#", got)):
        return False
    pairs = zip(NUMBER.finditer(want), NUMBER.finditer(got), strict=True)
    return all(near(shown[0], found[0], tolerance) for shown, found in pairs)


def near(shown: str, found: str, tolerance: float) -> bool:
    a, b = float(shown), float(found)
    if 0 < abs(a) < TINY:
        return 0.1 <= b / a <= 10
    digit = 10.0 ** int(Decimal(shown).as_tuple().exponent)
    return abs(a - b) <= max(1.01 * digit * (a != int(a)), tolerance * abs(a))


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


@pytest.mark.slow
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
                agree = Checker().check_output(shown, found, OPTIONS)
                if SIMULATING.match(command):
                    agree = agree or same(shown, found, TOLERANCE)
                assert agree, f"{command}\n--- shown\n{shown}--- found\n{found}"


def test_the_checker_can_fail() -> None:
    assert same("tau 9.657, 1e-10", "tau  9.6568, 3.0e-10")
    assert same("tau 9.66, 200 runs", "tau 9.73, 201 runs", TOLERANCE)
    assert not same("tau 9.657", "tau 9.6549")
    assert not same("tau 9.66", "tau 9.1", TOLERANCE)
    assert not same("200 runs", "201 runs")
    assert not same("tau 9.66", "rate 9.66")
    assert not same("tau 9.66", "tau 9.66 9.66")
