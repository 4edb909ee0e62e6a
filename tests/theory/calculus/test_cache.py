"""The cache on disk: shared by processes, blind to damage, loyal to content."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import sympy as sp

from theory.calculus.bivariate import Phi2
from theory.calculus.cache import dump, folder, load, remembered
from theory.calculus.expectations import GaussianKernel
from theory.language.activations import activation
from theory.language.labels import labels
from theory.network.loss import Loss
from theory.symbols import mu, q, r, x

ROOT = Path(__file__).parents[3]
SCRIPT = "from theory.network.derivation import derive; s = derive('erf', 'relu'); print(s.loss, s.escape.A, sep='|')"


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
        return Loss.of(activation("erf(3*x/7)"), labels("abs"))  # no other test may have derived it in this process

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


EVERYTHING = """
import hermescape as h
system = h.derive("relu")
h.integrate(system, {"u": 1e-6, "m": 0.02}, event=h.Exit(0.5), t_max=1e3, mu=0.4)
h.coefficients(h.activation("tanh"), 2)
h.kernel_series("gelu", "relu", 0.1, 1.0, 4)
h.search_time(system, 0.4)
h.simulate("relu", mu=0.4, dimension=1000, batch=10, step_size=0.1, replicas=4, max_steps=100)
h.escape_law(system, mu=0.4, dimension=1e6, kappa=4.0)
"""
SOME = """
import numpy
import hermescape as h
from numerics.simulation.unrolled import chi_square
print(h.derive("relu").loss, chi_square(numpy.random.Generator(numpy.random.SFC64(1)), 3.0))
"""
"""One derivation and one function of the package's own, which is compiled in a second; engines take fifteen."""
NOWHERE = "/dev/null/home"  # below a file, where not even root can write
WITHOUT_NUMBAS = {"NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator", "PYTHONPATH": str(ROOT)}
"""numba refuses the package's folder and the user's, as it does where it cannot write to them."""


def output(script: str, environment: dict[str, str], *before: str) -> tuple[str, list[str]]:
    """Run a script in a process of its own; return what it printed, and the lines on stderr."""
    kept = {name: value for name, value in os.environ.items() if name not in ("HERMESCAPE_CACHE", "XDG_CACHE_HOME")}
    command = [*before, sys.executable, "-c", script]
    done = subprocess.run(command, env=kept | environment, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr.splitlines()


@pytest.mark.slow
def test_without_a_place_to_write_everything_works_and_one_line_says_so(tmp_path: Path) -> None:
    nowhere = WITHOUT_NUMBAS | {"HOME": NOWHERE, "TMPDIR": str(tmp_path)}
    own = tmp_path / f"hermescape-{os.getuid()}"
    expected, (line,) = output(SOME, nowhere)
    place = f"{NOWHERE}/.cache/hermescape"
    assert line.startswith(f"hermescape: the cache {place} cannot be written (Not a directory); {own} serves instead;")
    assert own.stat().st_mode & 0o777 == 0o700
    assert list(own.glob("*.json"))
    assert list(own.glob("numba/*/*.nbi"))
    shutil.rmtree(own)
    own.mkdir()
    own.chmod(0o770)  # others could write there
    text, (line,) = output(SOME, nowhere | {"HERMESCAPE_CACHE": f"{NOWHERE}/cache"})
    assert text == expected
    assert "nothing is kept between runs; to choose, set HERMESCAPE_CACHE to a folder" in line
    assert not list(own.iterdir())


@pytest.mark.slow
def test_a_read_only_installation_without_a_home(tmp_path: Path) -> None:
    """Permissions, for real: root does without the capabilities that let it pass them by."""
    bound = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.getuid() == 0 else ()
    installed, temporary = tmp_path / "installed", tmp_path / "temporary"
    temporary.mkdir()
    for package in ("theory", "numerics", "hermescape"):
        shutil.copytree(ROOT / package, installed / package, ignore=shutil.ignore_patterns("__pycache__"))
    folders = [installed, *(path for path in installed.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o555)
    try:
        probe = subprocess.run([*bound, "touch", str(installed / "new")], capture_output=True, check=False)
        if b"Permission denied" not in probe.stderr:
            pytest.skip("permissions do not bind here")
        places = {"HOME": str(installed), "PYTHONPATH": str(installed), "TMPDIR": str(temporary)}
        _, lines = output(EVERYTHING, places | {"HERMESCAPE_CACHE": str(installed / "cache")}, *bound)
    except FileNotFoundError:
        pytest.skip("no setpriv here")
    finally:
        for path in folders:
            path.chmod(0o755)
    assert len(lines) == 1
    assert f"the cache {installed / 'cache'} cannot be written (Permission denied)" in lines[0]
    assert list(temporary.rglob("*.nbi"))
    assert not list(installed.rglob("*.nbi"))


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place to write to: this user's folder among the temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("HERMESCAPE_CACHE", f"{NOWHERE}{tmp_path}")
    return tmp_path / f"hermescape-{os.getuid()}"


def test_one_line_for_a_process(temporary: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert folder() == folder() == temporary
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("trap", ["link", "file", "open", "shared", "foreign"])
def test_a_folder_that_another_user_could_fill_is_not_used(
    trap: str, temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if trap == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        temporary.symlink_to(tmp_path / "elsewhere")
    elif trap == "file":
        temporary.write_text("")
    elif trap == "open":
        temporary.mkdir()
        temporary.chmod(0o777)
    elif trap == "shared":
        tmp_path.chmod(0o777)  # without the sticky bit others may rename what is in it
    else:
        user = os.getuid() + 1
        (tmp_path / f"hermescape-{user}").mkdir(mode=0o700)
        monkeypatch.setattr(os, "getuid", lambda: user)
    assert folder() is None
    assert "nothing is kept between runs" in capsys.readouterr().err


@pytest.mark.slow
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
