"""The documentation builds without a warning, links to what exists, and leaves nothing public out.

Notebooks are not executed here: `test_notebooks.py` runs them. `test_pages.py` runs the examples.
"""

import doctest
import importlib
import re
from html import unescape
from pathlib import Path

import pytest

import hermescape
from hermescape.cli.app import COMMANDS
from tests.site import DOCS, built

ROOT = Path(__file__).parents[1]


slow = pytest.mark.slow  # whatever needs the pages


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory)


def text_of(page: Path) -> str:
    return unescape(re.sub(r"<[^>]+>", "", page.read_text()))


@slow
def test_every_page_is_there(site: Path) -> None:
    pages = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    pages |= {Path("notebooks", f"{path.stem}.html") for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert {page for page in pages if not (site / page).is_file()} == set()


@slow
def test_every_public_name_leads_to_its_description(site: Path) -> None:
    page = (site / "api/index.html").read_text()
    for name in set(hermescape.__all__) - {"__version__"}:
        link = re.search(rf'href="(modules/[^"#]+)#([^"]+)"[^>]*>(?:<[^>]+>)*hermescape\.{name}<', page)
        assert link, name
        assert f'id="{link[2]}"' in (site / "api" / link[1]).read_text(), name


@slow
def test_every_module_has_a_page(site: Path) -> None:
    for storey in ("theory", "numerics", "hermescape"):
        for path in (ROOT / storey).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            assert (site / "api/modules" / f"{name}.html").is_file(), name


@slow
def test_equations_are_numbered_without_a_gap(site: Path) -> None:
    labels = re.findall(r"\$\$ \((eq-[\w-]+)\)$", (ROOT / "docs" / "theory.md").read_text(), re.MULTILINE)
    numbers = re.findall(r'class="eqno">\((\d+)\)', (site / "theory.html").read_text())
    assert numbers == [str(n) for n in range(1, len(labels) + 1)]


@slow
def test_every_command_and_option_is_in_the_reference(site: Path) -> None:
    text = text_of(site / "cli.html")
    assert [name for name in COMMANDS if f"hermescape {name} " not in text] == []
    for option in ("--teacher", "--model", "--critical", "--law", "--digits", "--initial-scale", "--retry-failed"):
        assert option in text


@slow
def test_docstrings_are_not_read_as_markup(site: Path) -> None:
    """Mathematics in plain text survives: no role, no emphasis and no escape is left over or made up."""
    text = text_of(site / "api/modules/theory.search.regimes.html")
    assert "noise-driven. SGD keeps u^2 at kappa J_0/(2 |B| d)" in text
    assert "lambda(m) = -<v, H v> = B (1 - m^2) + A'(mu) m^2." in text
    for path in (site / "api/modules").glob("*.html"):
        shown = re.sub(r"<(pre|code|script)\b.*?</\1>", "", path.read_text(), flags=re.DOTALL)
        shown = re.sub(r'<span class="math.*?</span>', "", shown, flags=re.DOTALL)
        assert not re.search(r":py:\w+:|:math:`|\\[*|_]|class=\"problematic\"", shown), path.name


@slow
def test_tables_are_computed(site: Path) -> None:
    text = text_of(site / "validation.html")
    assert "0.19782896257" in text  # ReLU's arc-cosine kernel at (0.3, 0.5)
    assert "0.3207243473" in text  # the root of 5 mu^3 + 5 mu^2 + mu - 1
    assert "test_docs.py" not in text
    assert "tests/theory/network/test_vectors.py" in text


@pytest.mark.parametrize("name", ["plain_docstrings", "own_links"])
def test_examples_of_the_extensions(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted
    assert not found.failed
