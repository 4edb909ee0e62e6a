"""Each storey imports only downwards."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FORBIDDEN = {
    "theory": {"numerics", "hermescape", "numpy", "scipy", "numba", "matplotlib", "xarray"},
    "numerics": {"hermescape"},
}


@pytest.mark.parametrize("storey", FORBIDDEN)
def test_imports_point_downwards(storey: str) -> None:
    files = sorted((ROOT / storey).glob("**/*.py"))
    assert files
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & FORBIDDEN[storey], file


def test_ground_truth_does_not_import_what_it_judges() -> None:
    text = (ROOT / "numerics/simulation/fulldim.py").read_text()
    assert "montecarlo" not in {
        n.module.split(".")[-1] for n in ast.walk(ast.parse(text)) if isinstance(n, ast.ImportFrom) and n.module
    }
    oracle = (ROOT / "theory/calculus/reference.py").read_text()
    assert "gaussian" not in {
        n.module.split(".")[-1] for n in ast.walk(ast.parse(oracle)) if isinstance(n, ast.ImportFrom) and n.module
    }
