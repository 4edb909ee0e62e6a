"""A fragment in somebody else's paper: no error, nothing sticks out, the paper's own macros mean what they meant."""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.looks.papers import HOSTILE, PAPERS, compiled, text_of
from theory.network.derivation import derive
from theory.network.system import System
from theory.typeset.layout import Numbered
from theory.writing.document import document
from theory.writing.sources import bibliography

pytestmark = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")

SYSTEMS = {
    "relu": {"student": "relu"},
    "erf": {"student": "erf"},
    "he3": {"student": "he3"},
    "gelu": {"student": "gelu"},
    "long": {"student": "exp(-x**2)*sin(x) + x**3/7 - exp(-x**2/5)*erf(3*x)*x", "teacher": "relu"},
    "misaligned": {"student": "x*(1 + erf(x/sqrt(2)))/2", "model": "misaligned", "alpha": 2, "noise": 0.1},
    "plain": {"student": "he2", "model": "plain"},
    "tanh": {"student": "tanh"},
}


@cache
def system(name: str) -> System:
    return derive(**SYSTEMS[name])


def fragments(column: str, text: bool) -> str:
    """Return the fragments of all systems, each with its own prefix."""
    made = [
        document(system(name), fragment=True, text=text, width=column, prefix=f"hesc{letter}", label_prefix=name)
        for name, letter in zip(SYSTEMS, "abcdefgh", strict=True)
    ]
    return "\n\n".join(made)


@pytest.mark.slow
@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("name", PAPERS)
def test_fragments_in_a_paper(name: str, hostile: str, tmp_path: Path) -> None:
    paper = PAPERS[name]
    body = fragments(paper.column, text=hostile == "with arguments")
    done = compiled(text_of(paper, HOSTILE[hostile], body), tmp_path)
    assert done.errors == []
    assert done.code == 0
    assert done.overfull == []
    before, after = done.meanings
    assert before == after
    assert len(before) == 12


def test_a_fragment_that_is_too_wide_is_seen(tmp_path: Path) -> None:
    """The same test fails where a fragment for a wide page stands in a narrow column."""
    body = document(system("gelu"), fragment=True, width="5.5in")
    assert compiled(text_of(PAPERS["icml"], "", body), tmp_path).overfull


def test_a_macro_of_ours_that_the_paper_has_is_an_error_and_not_another_meaning(tmp_path: Path) -> None:
    body = document(system("relu"), fragment=True, only="A")
    done = compiled(text_of(PAPERS["article"], r"\newcommand{\hescdrive}{\delta}", body), tmp_path)
    assert any("already defined" in error for error in done.errors)


@pytest.mark.parametrize("name", ["article", "revtex, two columns"])
def test_parts_numbers_references_and_citations_in_a_paper(name: str, tmp_path: Path) -> None:
    paper = PAPERS[name]
    (tmp_path / "ours.bib").write_text(bibliography(system("relu")), encoding="utf-8")
    parts = document(system("relu"), fragment=True, only="A,B,tau", numbered="last", width=paper.column, prefix="short")
    words = document(system("relu"), fragment=True, text=True, width=paper.column)
    style = "" if "revtex" in name else r"\bibliographystyle{plain}"
    rest = r"By~\eqref{short:relu:time} and~\eqref{hesc:relu:loss}."
    text = text_of(paper, HOSTILE["with arguments"], f"{parts}\n{words}\n{rest}", rf"{style}\bibliography{{ours}}")
    compiled(text, tmp_path)
    made = subprocess.run(["bibtex", "paper"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout
    done = compiled(text, tmp_path, runs=2)
    assert (done.errors, done.overfull) == ([], [])
    assert "undefined" not in done.log
    assert "multiply" not in done.log
    bibliographed = (tmp_path / "paper.bbl").read_text(encoding="utf-8")
    assert set(re.findall(r"hesc:\w+", bibliographed)) == set(re.findall(r"\\cite\{([^}]*)\}", words))


@pytest.mark.parametrize("numbered", ["all", "last", "none"])
@pytest.mark.parametrize("column", ["3.25in", "75mm", "20cm"])
def test_whole_documents_of_a_width(column: str, numbered: Numbered, tmp_path: Path) -> None:
    done = compiled(document(system("erf"), width=column, numbered=numbered), tmp_path)
    assert (done.code, done.errors, done.overfull) == (0, [], [])
