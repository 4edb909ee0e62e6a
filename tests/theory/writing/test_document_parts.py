"""Parts of a document, numbers and labels of its equations, prefixes, and what it cites."""

import re
from functools import cache

import pytest

from theory.errors import ParameterError
from theory.network.derivation import derive
from theory.network.system import System
from theory.writing.blocks import Equations, Meanings, Paragraph
from theory.writing.document import derivation, document
from theory.writing.sections import PARTS
from theory.writing.sources import bibliography
from theory.writing.tex import Setting, length

FIRST = {
    "definitions": "student",
    "coefficients": "expansion",
    "kernel": "kernel",
    "steps": "kernel-1",
    "loss": "loss",
    "slopes": "loss-definition",
    "sums": "sums-kernel",
    "odes": "flow-u",
    "A": "drive",
    "B": "bend",
    "tau": "rate",
    "law": "law",
    "regimes": "law-driven",
}


@cache
def system(name: str, model: str = "lora") -> System:
    return derive(name, model=model)


def labels(text: str) -> list[str]:
    return re.findall(r"\\label\{hesc:[^:}]*:([^}]*)\}", text)


@pytest.mark.parametrize("part", [part for part in PARTS if part != "sources"])
def test_a_part_is_one_display_with_its_own_equations(part: str) -> None:
    text = document(system("he3"), fragment=True, only=part, order=3)
    assert labels(text)[0] == FIRST[part]
    assert text.count(r"\begin{align}") == 1 + any(label.startswith("part-") for label in labels(text))
    others = {FIRST[other] for other in FIRST if other != part}
    assert not others & set(labels(text))


def test_all_parts_together_are_the_whole() -> None:
    whole = document(system("relu"), order=3)
    assert document(system("relu"), only=PARTS, order=3) == whole
    assert document(system("relu"), only=" , ".join(reversed(PARTS)), order=3) == whole
    assert document(system("relu"), only=[part for part in PARTS if part != "sums"]) == document(system("relu"))


def test_parts_are_in_the_order_of_the_document() -> None:
    text = document(system("relu"), fragment=True, only=["tau", "A", "loss"])
    assert labels(text) == ["loss", "loss-q", "loss-r", "drive", "rate", "time"]


@pytest.mark.parametrize("only", ["proof", "", "loss,", ["loss", "L"], "a, b"])
def test_other_parts_are_refused(only: str | list[str]) -> None:
    with pytest.raises(ParameterError, match="accepted: some of definitions, coefficients, kernel"):
        document(system("relu"), only=only)


@pytest.mark.parametrize(("name", "model", "part"), [("relu", "plain", "A"), ("sign", "lora", "law")])
def test_a_part_that_is_not_there_is_said(name: str, model: str, part: str) -> None:
    with pytest.raises(ParameterError, match=rf"only = '{part}' given, .*accepted: definitions, coefficients"):
        document(system(name, model), only=f"loss,{part}")


def test_without_words_there_are_equations_alone() -> None:
    blocks = [block for section in derivation(system("relu"), text=False).sections for block in section.blocks]
    assert all(isinstance(block, Equations) for block in blocks)
    kinds = {type(block) for section in derivation(system("relu")).sections for block in section.blocks}
    assert kinds == {Equations, Paragraph, Meanings}
    assert "where" not in document(system("gelu"), fragment=True, width="3.25in")


def test_the_kernel_alone_is_one_equation() -> None:
    text = document(system("relu"), fragment=True, only="kernel")
    assert labels(text) == ["kernel"]
    assert text.count(" = ") + text.count("&= ") == 2


def test_what_student_and_teacher_share_is_said_once() -> None:
    same, other = document(system("erf")), document(derive("erf", "relu"))
    assert r"\hescstudent(x) = \hesclink(x) &= " in same
    assert [label for label in labels(same) if label.startswith("teacher")] == ["teacher-coefficient"]
    assert {"teacher", "teacher-0", "teacher-1"} <= set(labels(other))


@pytest.mark.parametrize(("numbered", "expected"), [("all", 6), ("last", 1), ("none", 0)])
def test_numbers(numbered: str, expected: int) -> None:
    text = document(system("relu"), fragment=True, only="loss,A,tau", numbered=numbered)
    assert len(labels(text)) == expected
    assert (r"\begin{align*}" in text) == (expected == 0)
    if expected == 1:
        assert text.count(r"\notag") == text.count("\\\\")


def test_prefixes_of_macros_and_labels() -> None:
    text = document(system("relu"), fragment=True, prefix="app", only="loss")
    assert r"\newcommand{\apploss}{{L}}" in text
    assert r"\label{app:relu:loss}" in text
    assert "hesc" not in text
    assert r"\label{x:y:loss}" in document(system("relu"), fragment=True, label_prefix="x:y", only="loss")
    names = {"relu": "relu", "relu-on-erf": derive("relu", "erf"), "relu-plain": system("relu", "plain")}
    for name, given in names.items():
        assert derivation(system(given) if isinstance(given, str) else given).name == name


@pytest.mark.parametrize("prefix", ["", "a", "a1", "he sc", "é" * 3, "a" * 21, "he\\"])
def test_prefixes_that_tex_could_not_read_are_refused(prefix: str) -> None:
    with pytest.raises(ParameterError, match="2 to 20 letters"):
        Setting(prefix=prefix)


@pytest.mark.parametrize("prefix", ["", "1", "a}", "a b", "a%", r"a\b", "a#", "a" * 61, "a_b"])
def test_prefixes_of_labels_that_tex_could_not_read_are_refused(prefix: str) -> None:
    with pytest.raises(ParameterError, match="accepted: a letter"):
        Setting(label_prefix=prefix)


@pytest.mark.parametrize(
    ("text", "points"), [("3.4in", 245.718), ("86mm", 244.6938), ("10 cm", 284.5276), ("250pt", 250)]
)
def test_widths_are_those_of_tex(text: str, points: float) -> None:
    assert length(text) == pytest.approx(points, abs=1e-3)


@pytest.mark.parametrize("text", ["", "3.4", "in", "-4in", "1e3pt", "4em", "199pt", "2001pt", "3,4in", "3.4in\\input"])
def test_other_widths_are_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="units cm, in, mm, pt"):
        length(text)


@pytest.mark.parametrize("name", ["relu", "gelu", "hardtanh", "he3", "tanh"])
def test_what_is_cited_is_in_the_bibliography_and_the_other_way_round(name: str) -> None:
    text = document(system(name))
    cited = set(re.findall(r"\\cite\{([^}]*)\}", text))
    assert cited == set(re.findall(r"\\bibitem\{([^}]*)\}", text))
    assert cited == set(re.findall(r"^@\w+\{([^,]*),", bibliography(system(name)), re.MULTILINE))
    assert ("hesc:sheppard1899" in cited) == (name in ("relu", "gelu"))
    assert r"\cite" not in document(system(name), fragment=True)


def test_references_are_in_the_order_of_the_text() -> None:
    text = document(system("relu"))
    first = list(dict.fromkeys(re.findall(r"\\cite\{([^}]*)\}", text)))
    assert first == re.findall(r"\\bibitem\{([^}]*)\}", text)


def test_long_decimals_have_names_in_a_document() -> None:
    selu = derive("1.0507009873554805*max(x, 0) + 1.7580993408473766*(exp(min(x, 0)) - 1)")
    text = document(selu, fragment=True)
    decimals = re.findall(r"\d*\.\d{12,}", text.partition(r"\begin{align}")[2])
    assert decimals == ["1.0507009873554805", "1.7580993408473766"], "their definitions, and no other"
    assert r"- \frac{c_{1} c_{2}}{4}\, \hescE\left[\hescfieldteacher\right]" in text, "the steps have names, too"
    assert r"c_{2} e^{\hescnormr/2}" in text
