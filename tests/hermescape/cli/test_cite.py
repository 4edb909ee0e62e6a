"""`hermescape cite`: BibTeX that parses, from the data of CITATION.cff and of the derivation."""

import json
import sys
from pathlib import Path

import pytest
import yaml
from pybtex.database import parse_string

from hermescape import __version__, derive
from hermescape.cli.app import main
from hermescape.cli.cite import toolkit
from theory.writing.sources import sources

ROOT = Path(__file__).parents[3]


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["hermescape", "cite", *arguments])
        with pytest.raises(SystemExit) as done:
            main()
    assert done.value.code == code
    captured = capsys.readouterr()
    return captured.err if code else captured.out


def test_bibtex_of_a_derivation(capsys: pytest.CaptureFixture[str]) -> None:
    parsed = parse_string(run(capsys, "relu", "--model", "plain"), "bibtex").entries
    assert set(parsed) == {"hermescape", *(source.key for source in sources(derive("relu", model="plain")))}


def test_the_toolkit_is_what_citation_cff_says(capsys: pytest.CaptureFixture[str]) -> None:
    given = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    own = parse_string(run(capsys), "bibtex").entries["hermescape"]
    assert own.fields["title"] == given["title"] == toolkit()["title"]
    assert own.fields["year"] == str(given["date-released"].year)
    assert own.fields["note"] == f"Version {__version__}, {given['license']} licence"
    assert str(own.persons["author"][0]) == f"{{{given['authors'][0]['name']}}}"


def test_the_paper_has_the_same_data_in_both_files(capsys: pytest.CaptureFixture[str]) -> None:
    given = yaml.safe_load((ROOT / "CITATION.cff").read_text())["references"][0]
    paper = json.loads(run(capsys, "--json"))["sources"][0]
    assert paper["key"] == "nwemadji2026"
    assert paper["title"] == given["title"]
    assert paper["author"] == " and ".join(f"{a['family-names']}, {a['given-names']}" for a in given["authors"])
    assert given["notes"] == f"arXiv:{paper['eprint']}"
    assert paper["year"] == str(given["year"])


def test_json_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(run(capsys, "he3", "--label", "y**2", "--json"))
    why = {source["key"]: source["why"] for source in found["sources"]}
    assert "label" in why["damian2024"]
    assert found["toolkit"]["author"] == "The hermescape developers"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--teacher", "erf"], "--teacher without an activation"),
        (["--alpha", "2"], "--alpha without an activation"),
        (["exp(x**2)"], "grows too fast"),
        (["relu", "--model", "nothing"], "nothing"),
    ],
)
def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    error = run(capsys, *arguments, code=2)
    assert message in error
    assert error.count("\n") == 1
