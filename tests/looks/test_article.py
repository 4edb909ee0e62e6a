"""The article of docs/article is what the toolkit derives today, and compiles to two pages without an overfull box."""

import importlib.util
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from tests.looks.papers import Compiled
from tests.looks.test_figures import sizes

DOCS = Path(__file__).parents[2] / "docs"
AGAIN = "run docs/make_article.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_article", DOCS / "make_article.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_its_texts_are_what_the_toolkit_writes(script: ModuleType) -> None:
    texts = script.texts()
    for name, text in texts.items():
        assert (DOCS / "article" / name).read_text(encoding="utf-8") == text, AGAIN
    kept = {path.name for path in (DOCS / "article").iterdir()}
    assert kept == {*texts, "article.pdf", "search.pdf"}


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_it_compiles_to_two_pages(script: ModuleType, tmp_path: Path) -> None:
    shutil.copytree(DOCS / "article", tmp_path, dirs_exist_ok=True)
    made = script.compiled(tmp_path)
    done = Compiled(0, (tmp_path / "article.log").read_text(encoding="utf-8", errors="replace"))
    assert (done.errors, done.overfull) == ([], [])
    assert "undefined" not in done.log
    assert "multiply" not in done.log
    assert re.search(r"Output written on article.pdf \((\d+) pages", done.log.replace("\n", ""))[1] == "2"
    assert made.stat().st_size > 10_000


def test_its_figure_has_type_that_can_be_read_in_a_column(script: ModuleType) -> None:
    from matplotlib.text import Text

    figure = script.figure()
    figure.draw_without_rendering()
    assert figure.get_figwidth() == pytest.approx(3.4)
    shown = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
    assert min(size for text in shown for size in sizes(text)) >= 7
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)
