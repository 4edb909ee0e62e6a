"""The notebooks are committed bare, and run without an error or a warning; what they claim is asserted here.

The claims of `notebooks/01_....ipynb` are in `tests/notebooks/claims_01.py`: a function `after_01_04` is called after
the cell 01-04, with the names that the notebook knows then.
"""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell

from tests.hermescape.browser import BROWSER
from tests.looks.pages import faults

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MACHINE = re.compile(r"/(home|root|tmp|work|Users|opt|mnt)/|[A-Z]:\\\\")
CLAIM = re.compile(r"^def after_(\d\d)_(\d\d)\(n\):\n((?:    .*\n|\n)+)", re.MULTILINE)
RAW = re.compile(r"\b[A-Z]\w+\(\w+=|array\(\[|object at 0x")  # how dataclasses, arrays and objects print themselves
PAGE = """<!DOCTYPE html><title>results</title><style>
body { background: #fff; color: #111; font: 14px sans-serif; }
@media (prefers-color-scheme: dark) { body { background: #111; color: #eee; } }
</style>"""
LONGEST = 240  # seconds a cell may take on a busy machine

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])


def _read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def _claims(path: Path) -> tuple[Path, dict[str, str]]:
    """Return the file of claims, and their bodies by the cell that they follow."""
    file = ROOT / "tests" / "notebooks" / f"claims_{path.stem[:2]}.py"
    return file, {f"{book}-{number}": body for book, number, body in CLAIM.findall(file.read_text())}


def test_is_committed_bare(path: Path) -> None:
    notebook = _read(path)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert not any(cell.metadata for cell in notebook.cells)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert [cell.id for cell in notebook.cells] == [f"{path.stem[:2]}-{i + 1:02d}" for i in range(len(notebook.cells))]
    assert not MACHINE.search(path.read_text())


def test_tells_a_story_and_its_claims_are_tests(path: Path) -> None:
    notebook = _read(path)
    code = {cell.id: cell.source for cell in notebook.cells if cell.cell_type == "code"}
    assert notebook.cells[0].source.startswith(f"# {int(path.stem[:2])}. ")
    assert [name for name, source in code.items() if re.search(r"\bassert\b|np\.testing", source)] == []
    _, claims = _claims(path)
    assert len(claims) >= 6
    assert set(claims) <= set(code)
    assert all("assert" in body and "n." in body for body in claims.values())


def with_claims(path: Path) -> Any:
    """Return a notebook in which each claim is a cell of its own, after the one that it is about."""
    notebook, (file, claims) = _read(path), _claims(path)
    begin = "import runpy as _run\nfrom types import SimpleNamespace as _Names\n"
    cells = [new_code_cell(f"{begin}_claims = _run.run_path({str(file)!r})", id="claims")]
    for cell in notebook.cells:
        cells.append(cell)
        if cell.id in claims:
            name = f"after_{cell.id.replace('-', '_')}"
            cells.append(new_code_cell(f"_claims[{name!r}](_Names(**globals()))", id=f"claim-{cell.id}"))
    return nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata)


@pytest.mark.slow
def test_runs_and_its_claims_hold(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbclient import NotebookClient

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    folder = tmp_path / "run"
    folder.mkdir()
    notebook = with_claims(path)
    client = NotebookClient(notebook, timeout=LONGEST, resources={"metadata": {"path": str(folder)}})
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert any('class="hesc"' in output.get("data", {}).get("text/html", "") for output in outputs)
    live = "application/vnd.jupyter.widget-view+json"
    kept = [output for output in outputs if live not in output.get("data", {})]
    said = [output.get("data", {}).get("text/plain", output.get("text", "")) for output in kept]
    assert [text for text in said if RAW.search(text)] == []
    tables = [output.data["text/html"] for output in outputs if 'class="hesc"' in str(output.get("data", {}))]
    page = tmp_path / "shown.html"
    page.write_text(PAGE + "".join(tables), encoding="utf-8")
    assert BROWSER is None or faults(page, tmp_path / "profile") == []
    assert not list(folder.iterdir())  # what a notebook writes, it writes to folders of its own that it removes
