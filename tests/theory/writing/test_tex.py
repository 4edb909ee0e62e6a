"""Words that others wrote are text in LaTeX, and blocks look in a fragment as in a document."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from theory.errors import HermescapeError, ParameterError
from theory.language.activations import Activation
from theory.network.derivation import derive
from theory.symbols import x
from theory.typeset.layout import Equation
from theory.typeset.macros import MACROS
from theory.writing.blocks import Code, Document, Emphasis, Equations, Math, Meanings, Paragraph, Section, prose
from theory.writing.document import derivation, document
from theory.writing.tex import Setting, escaped, to_latex

SPECIAL = r"a_1^2 & 50% of {b} ~ #3 \input{c} $"
BLOCKS = (
    Paragraph.of("With $q$ and $m$:"),
    Equations.of(Equation.of("one", "q", "m")),
    Paragraph((SPECIAL, Emphasis(SPECIAL), Code(SPECIAL))),
    Meanings(((Math("k_1"), (SPECIAL,)),)),
)
DOCUMENT = Document("Title", (Code(SPECIAL),), (Section("One & two", BLOCKS),), frozenset({"q"}), "short")
needs_latex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")


def compiled(text: str, folder: Path) -> None:
    (folder / "d.tex").write_text(text)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "d.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


@needs_latex
def test_special_characters_of_words_compile(tmp_path: Path) -> None:
    compiled(to_latex(DOCUMENT), tmp_path)
    compiled(document(derive(Activation(SPECIAL, x))), tmp_path)


def test_no_special_character_of_words_is_left() -> None:
    bare = re.sub(r"\\text\w+\{\}|\\[{}_&%$#]", "", escaped(SPECIAL))
    assert not set(r"\{}_^~&%$#") & set(bare)


def test_formulas_have_the_macros_of_the_document_alone() -> None:
    text = to_latex(DOCUMENT)
    assert r"\newcommand{\hescoverlapq}{{q}}" in text
    assert r"\hescoverlapm" not in text
    assert r"\hescoverlapq &= m \label{hesc:short:one}" in text
    assert r"With $\hescoverlapq$ and $m$:" in text
    with pytest.raises(ParameterError, match="m is no symbol here"):
        to_latex(DOCUMENT, Setting({"m": "a"}))


def test_a_general_statement_keeps_letters_that_may_mean_something_else() -> None:
    def written(paragraph: Paragraph) -> str:
        whole = Document("Title", (), (Section("One", (paragraph,)),), frozenset(macro.key for macro in MACROS))
        return to_latex(whole)

    assert "$m q$" not in written(Paragraph.of("$m q$"))
    assert r"$\hescoverlapm \hescoverlapq$" in written(Paragraph.of("$m q$"))
    assert r"$m \hescoverlapq$" in written(Paragraph.of("$m q$", general=True))


def test_a_fragment_has_neither_preamble_nor_table() -> None:
    text = to_latex(DOCUMENT, Setting(fragment=True))
    head, body = text.split(r"\begingroup")
    assert [line for line in head.splitlines() if not line.startswith("%")] == [r"\newcommand{\hescoverlapq}{{q}}"]
    assert r"\paragraph*{One \& two.}" in body
    for absent in ("tabular", "title", "section", "documentclass", "usepackage", "bibliography"):
        assert absent not in text
    assert body.rstrip().endswith(r"\endgroup\ignorespaces")


def test_a_derivation_is_the_same_data_for_every_renderer() -> None:
    system = derive("relu", model="misaligned")
    assert derivation(system) == derivation(system)
    made = to_latex(derivation(system, text=False), Setting({"mu": "a"}, fragment=True))
    assert made == document(system, names={"mu": "a"}, fragment=True)


def test_words_with_an_odd_dollar_are_refused() -> None:
    with pytest.raises(HermescapeError, match="pairs of dollars"):
        prose("costs $5")
    assert prose("") == ()
    assert prose("$q$$r$") == (Math("q"), Math("r"))
