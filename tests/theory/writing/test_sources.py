"""The literature: every key has an entry that BibTeX reads, and a derivation names what it uses and nothing else."""

import re
from pathlib import Path

import pytest
from pybtex.database import parse_string

from theory.errors import InputError
from theory.network.derivation import derive
from theory.writing.sources import RULES, entries, sources

ROOT = Path(__file__).parents[3]
REQUIRED = {"article": {"journal"}, "inproceedings": {"booktitle"}}


def test_our_reader_sees_what_a_bibtex_parser_sees() -> None:
    parsed = parse_string((ROOT / "theory/writing/references.bib").read_text(), "bibtex").entries
    assert set(parsed) == set(entries())
    for key, entry in entries().items():
        assert entry.kind == parsed[key].type
        assert {k: v for k, v in entry.fields.items() if k != "author"} == dict(parsed[key].fields)
        assert len(re.split(" and ", entry.fields["author"])) == len(parsed[key].persons["author"])


def test_entries_are_complete() -> None:
    for key, entry in entries().items():
        assert {"author", "title", "year"} | REQUIRED[entry.kind] <= set(entry.fields)
        assert key.endswith(entry.fields["year"])
        assert ("eprint" in entry.fields) == ("archiveprefix" in entry.fields)


def test_every_key_has_an_entry_and_every_entry_is_used() -> None:
    keys = [rule.key for rule in RULES]
    assert len(set(keys)) == len(keys)
    pages = " ".join(path.read_text() for path in (ROOT / "docs").rglob("*.md"))
    cited = set(re.findall(r"\{cite:[tp]\}`(\w+)`", pages))
    assert set(keys) | cited == set(entries())


@pytest.mark.parametrize(
    ("student", "options", "used", "unused"),
    [
        ("relu", {}, {"nwemadji2026", "hu2022", "chosaul2009", "stein1981", "sheppard1899"}, {"benarous2021"}),
        ("relu", {"model": "plain"}, {"benarous2021", "arnaboldi2023"}, {"nwemadji2026", "hu2022"}),
        ("erf", {"teacher": "sign"}, {"sheppard1899"}, {"chosaul2009", "williams1997"}),
        ("erf", {}, {"williams1997", "sheppard1899"}, {"chosaul2009", "trefethen2014"}),
        ("he3", {"label": "y**2"}, {"mehler1866", "damian2024"}, {"sheppard1899"}),
        ("he3", {}, {"mehler1866"}, {"damian2024"}),
        ("hardtanh", {}, {"plackett1954"}, {"trefethen2014"}),
        ("gelu", {}, {"tsuchida2021"}, {"plackett1954"}),
        ("tanh", {}, {"trefethen2014"}, {"sheppard1899", "mehler1866"}),
    ],
)
def test_sources_of_a_derivation(student: str, options: dict, used: set[str], unused: set[str]) -> None:
    found = {source.key for source in sources(derive(student, **options))}
    assert used | {"saad1995", "price1958"} <= found
    assert not unused & found


def test_entries_are_those_of_the_sources() -> None:
    for source in sources(derive("relu")):
        assert source.entry.key == source.key
        assert source.why


def test_no_derivation_no_sources() -> None:
    with pytest.raises(InputError):
        sources(derive("exp(x**2)"))
