"""The code says what the glossary says: its words are those of the tables, and words that it bans are not there."""

import ast
import re
from pathlib import Path

import pytest

from numerics.parameters import PARAMETERS
from theory.symbols import MEANINGS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
FILES = [p for room in ("theory", "numerics", "hermescape") for p in sorted((ROOT / room).glob("**/*.py"))]
TERM = re.compile(r"critical[ _\n]+(\w+ )?strengths?|criticalstrength|such a strength", re.IGNORECASE)


def section(title: str) -> list[list[str]]:
    """Return the rows of the table below a title."""
    body = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    rows = [line for line in body.splitlines() if line.startswith("|")]
    return [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows[2:]]


QUANTITIES = {word: (letter, name.strip("`"), meaning) for word, letter, name, meaning in section("Quantities")}
BANNED = [row[0] for row in section("Words that are not used")]


def names(text: str) -> set[str]:
    """Return the names that a module binds: variables, arguments, functions, classes, attributes."""
    bound = set()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.Attribute(attr=name, ctx=ast.Store()):
                bound.add(name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                bound.add(name)
            case _:
                pass
    return bound


def is_said_in(name: str, word: str) -> bool:
    """Whether a name is the word, or has it between underscores."""
    return f"_{word}_" in f"_{name.lower().strip('_')}_"


def test_the_page_has_its_tables() -> None:
    assert len(QUANTITIES) >= 12
    assert len(section("Terms")) >= 12
    assert {"strength", "found"} <= set(BANNED)


@pytest.mark.parametrize("word", QUANTITIES)
def test_a_quantity_has_one_name(word: str) -> None:
    """Its letter is a symbol of the theory or its name a parameter, and where they are explained the word is said."""
    letter, name, _ = QUANTITIES[word]
    meanings = [meaning for symbol, meaning in MEANINGS.items() if str(symbol) == letter]
    meanings += [PARAMETERS[name].meaning] if name in PARAMETERS else []
    assert meanings
    stem = {"batch": "samples", "kappa": "eta d / B", "threshold": "|m|", "scale": "scale"}.get(word, word)
    assert any(stem in meaning for meaning in meanings), meanings


@pytest.mark.parametrize("word", [word for word in BANNED if word != "strength"])
def test_no_name_is_a_banned_word(word: str) -> None:
    assert len(FILES) > 100
    saying = {str(p.relative_to(ROOT)): names(p.read_text(encoding="utf-8")) for p in FILES}
    assert {p: {n for n in bound if is_said_in(n, word)} for p, bound in saying.items()} == {p: set() for p in saying}


def test_strength_is_only_critical() -> None:
    """In names, docstrings and messages alike."""
    left = {str(p.relative_to(ROOT)): TERM.sub("", p.read_text(encoding="utf-8")) for p in FILES}
    joined = {p: re.sub(r"\s+", " ", text) for p, text in left.items()}
    assert [p for p, text in joined.items() if "strength" in text.lower()] == []


@pytest.mark.parametrize(
    "text", ["found = 1", "def f(found): ...", "a.found = 2", "def _found(): ...", "x = y_found = 3"]
)
def test_a_banned_name_is_seen(text: str) -> None:
    assert any(is_said_in(name, "found") for name in names(text))
