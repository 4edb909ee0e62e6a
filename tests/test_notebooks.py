"""The notebooks are committed bare, and run from the first cell to the last without an error or a warning."""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
MACHINE = re.compile(r"/(home|root|tmp|work|Users|opt|mnt)/|[A-Z]:\\\\")
LONGEST = 240  # seconds a cell may take on a busy machine

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])


def _read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def test_is_committed_bare(path: Path) -> None:
    notebook = _read(path)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert not any(cell.metadata for cell in notebook.cells)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert [cell.id for cell in notebook.cells] == [f"{path.stem[:2]}-{i + 1:02d}" for i in range(len(notebook.cells))]
    assert not MACHINE.search(path.read_text())


def test_checks_its_claims(path: Path) -> None:
    """Most cells that compute something assert something."""
    notebook = _read(path)
    asserting = [
        c for c in notebook.cells if c.cell_type == "code" and re.search(r"^\s*assert|np\.testing", c.source, re.M)
    ]
    assert len(asserting) >= 5
    assert notebook.cells[0].source.startswith(f"# {int(path.stem[:2])}. ")


@pytest.mark.slow
def test_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbclient import NotebookClient

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    folder = tmp_path / "run"
    folder.mkdir()
    notebook = _read(path)
    client = NotebookClient(notebook, timeout=LONGEST, resources={"metadata": {"path": str(folder)}})
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not list(folder.iterdir())  # what a notebook writes, it writes to folders of its own that it removes
