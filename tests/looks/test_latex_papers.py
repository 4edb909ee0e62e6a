"""A fragment in somebody else's paper: no error, nothing sticks out, the paper's own macros mean what they meant."""

import shutil
from functools import cache
from pathlib import Path

import pytest

from tests.looks.papers import HOSTILE, PAPERS, compiled, text_of
from theory.network.derivation import derive
from theory.network.system import System
from theory.writing.document import document

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
