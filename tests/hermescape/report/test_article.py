"""The derivation as HTML is the document of LaTeX: the same sections, equations and numbers; words are never markup."""

import re
from html import unescape
from typing import Any

import pytest

from hermescape.report.article import Chapter, Shown, chapters, inline
from hermescape.report.page import templates
from tests.hermescape.report.parsed import Page
from theory.network.derivation import derive
from theory.typeset.layout import Equation
from theory.writing.blocks import Code, Document, Emphasis, Equations, Math, Paragraph, Section
from theory.writing.document import derivation
from theory.writing.tex import to_latex


def written(chapter: Chapter) -> str:
    parts: Any = templates().get_template("parts.html").make_module({"figures": {}, "titles": {}, "numbers": {}})
    return "".join(parts.block(shown) for shown in chapter.blocks)


@pytest.mark.parametrize(
    ("student", "options"),
    [
        ("tanh", {}),
        ("gelu", {"teacher": "relu"}),
        ("he4", {"model": "plain"}),
        ("erf", {"model": "misaligned", "alpha": 2}),
        ("exp(x/2)*sin(x)", {}),
        ("relu", {"label": "y**2", "noise": 0.5}),
        ("sign", {}),
        ("softplus", {"model": "pretrain"}),
    ],
)
def test_html_and_latex_hold_the_same_sections_and_equations(student: str, options: dict[str, Any]) -> None:
    document = derivation(derive(student, **options))
    text, made = to_latex(document), chapters(document)
    assert [chapter.title for chapter in made] == [*re.findall(r"\\section\{([^}]*)\}", text), "References"]
    page = Page("".join(map(written, made)))
    labels = re.findall(r"\\label\{hesc:[^{}:]*:([^{}]*)\}", text)
    assert [row["id"] for row in page.all("mtr") if "id" in row] == [f"eq-{label}" for label in labels]
    numbers = [word for word in page.words if re.fullmatch(r"\(\d+\)", word)]
    assert numbers == [f"({i})" for i in range(1, len(labels) + 1)]
    paragraphs = [block for section in document.sections for block in section.blocks if isinstance(block, Paragraph)]
    cites = [link["href"] for link in page.all("a")]
    assert list(dict.fromkeys(cites)) == [f"#ref-{reference.key}" for reference in document.references]
    assert {f"#{span['id']}" for span in page.all("span") if "id" in span} == set(cites)
    assert len(page.all("p")) == len(paragraphs) + text.count("\nwhere\n")
    assert "\\" not in page.text
    assert "$" not in page.text


def test_words_are_never_markup() -> None:
    hostile = r"\input{secret} <b>&amp;</b>"
    for piece in (hostile, Emphasis(hostile), Code(hostile)):
        text = inline((piece,))
        assert not Page(text).all("b")
        assert unescape(re.sub("</?(em|code)>", "", text)) == hostile


def test_punctuation_stays_with_its_formula() -> None:
    text = inline(("If ", Math("a"), " and ", Math("b"), "), then ", Math("c"), Math("d"), "."))
    assert text.count('<span class="whole">') == 2
    assert "</math>),</span> then <math>" in text
    assert text.endswith(".</span>")
    assert Page(text).text == "If a and b ), then c d ."


def test_named_parts_follow_the_equation_after_where() -> None:
    terms = " + ".join(f"a_{{{k}}}" for k in range(40))
    long = Section("One", (Equations.of(Equation.of("f", "f", rf"\sqrt{{{terms}}}")),))
    (chapter,) = chapters(Document("A title", (), (long,), frozenset()))
    first, where, second = chapter.blocks
    assert chapter.numbers == {"f": 1, "part-1": 2}
    assert where == Shown("paragraph", where.content)
    assert where.content == "where"
    assert first.kind == second.kind == "equations"
    assert "X" in first.content
