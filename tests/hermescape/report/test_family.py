"""The page of a family: its members beside each other."""

import json
import re
import sys
from pathlib import Path

import pytest

from hermescape.cli.app import main
from hermescape.report.family import family_page, members_of
from hermescape.report.findings import Request
from theory.errors import ParameterError
from theory.language.activations import activation

FAMILY = activation("erf(beta*x)", {"beta": "> 0"})


def rows(*values: str) -> list:
    return [({"beta": value}, {"student": FAMILY.at({"beta": value})}) for value in values]


def test_the_page_has_every_member_and_the_derivation_that_they_share() -> None:
    settings = Request(FAMILY, mu=(0.3,), replicas=60, quick=True)
    told: list[str] = []
    checked = members_of(settings, rows("0.5", "1"), lambda name, *_: told.append(name))
    assert checked.passed
    assert told == ["derivation", "check of beta = 0.5", "check of beta = 1"]
    page = family_page(checked, "hermescape report ...")
    assert "2 of 2 members" in page
    assert re.findall(r'<th scope="row">(beta = [^<]*)</th>', page) == ["beta = 0.5", "beta = 1"]
    assert "data:image/svg+xml" in page
    assert "http-equiv" in page
    assert "<script" not in page


def test_what_makes_no_page_is_refused() -> None:
    with pytest.raises(ParameterError, match="7 members given"):
        members_of(Request(FAMILY), rows(*map(str, range(1, 8))))
    with pytest.raises(ParameterError, match="model plain"):
        members_of(Request(FAMILY, model="plain", mu=()), rows("0.5", "1"))


def test_the_command_writes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "a.html"
    given = ("erf(beta*x)", "--param", "beta > 0", "--set", "beta=0.5,1", "--mu", "0.3", "--quick", "--replicas", "60")
    monkeypatch.setattr(sys, "argv", ["hermescape", "report", *given, "-o", str(output), "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert json.loads(capsys.readouterr().out)["passed"]
    assert "--param &#39;beta &gt; 0&#39; --set beta=0.5,1" in output.read_text()
