"""The cache on disk: shared by processes, blind to damage, loyal to content."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sympy as sp

from theory.activations import activation
from theory.bivariate import Phi2
from theory.cache import dump, load, remembered
from theory.expectations import GaussianKernel
from theory.labels import labels
from theory.loss import Loss
from theory.symbols import mu, q, r, x

SCRIPT = "from theory.dynamics import derive; s = derive('erf', 'relu'); print(s.loss, s.escape.A, sep='|')"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HERMESCAPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize(
    "expr",
    [
        sp.Rational(-3, 7) * q**2 / sp.sqrt(sp.pi * (2 * r + 1)) + sp.asin(q / sp.sqrt(r)) * sp.exp(-q),
        Phi2(-1, -1 / sp.sqrt(r), q / sp.sqrt(r)) + sp.Min(q, r),
        GaussianKernel(sp.tanh(x), sp.Piecewise((0, x < 1), (x - 1, True)), mu, mu**2),
        sp.Tuple(sp.E, sp.I * q, sp.oo),
    ],
)
def test_an_expression_survives_the_way_to_text_and_back(expr: sp.Basic) -> None:
    assert load(json.loads(json.dumps(dump(expr)))) == expr


@pytest.mark.parametrize("stored", ['["os.system", "ls"]', '"__import__"', "[[]]", '["Q", 1]', "true", "{}"])
def test_unknown_content_is_refused(stored: str) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        load(json.loads(stored))


def test_entries_are_read_back(cache: Path) -> None:
    def loss() -> Loss:
        return Loss(activation("erf"), labels("abs"))

    first = loss().gradient(q, r)
    written = {path: path.read_text() for path in cache.iterdir()}
    assert written
    calls = []

    @remembered(lambda expr: (expr,))
    def square(expr: sp.Expr) -> sp.Expr:
        calls.append(expr)
        return expr**2

    assert square(q) == q**2
    square.cache_clear()  # type: ignore[attr-defined]
    assert (square(q), calls) == (q**2, [q])
    assert loss().gradient(q, r) == first


def test_a_damaged_entry_is_derived_again(cache: Path) -> None:
    @remembered(lambda expr: (expr,))
    def cube(expr: sp.Expr) -> sp.Expr:
        return expr**3

    assert cube(q) == q**3
    (path,) = cache.iterdir()
    for damage in ("", "{", '["Pow"]', '["nothing", 1]', "\x00"):
        path.write_text(damage)
        cube.cache_clear()  # type: ignore[attr-defined]
        assert cube(q) == q**3
        assert load(json.loads(path.read_text())) == q**3


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("HERMESCAPE_CACHE", str(blocked / "cache"))

    @remembered(lambda expr: (expr,))
    def double(expr: sp.Expr) -> sp.Expr:
        return 2 * expr

    assert double(q) == 2 * q


def test_processes_share_the_folder(tmp_path: Path) -> None:
    """Four at once in an empty folder, then one that reads: the same text, no partial file left."""
    environment = {**os.environ, "HERMESCAPE_CACHE": str(tmp_path / "shared")}

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", SCRIPT], env=environment, stdout=subprocess.PIPE, text=True)

    together = [process.communicate()[0] for process in [start() for _ in range(4)]]
    later = start().communicate()[0]
    assert len({*together, later}) == 1
    assert "Phi" not in later
    assert "asin" in later
    assert {path.suffix for path in (tmp_path / "shared").iterdir()} == {".json"}
