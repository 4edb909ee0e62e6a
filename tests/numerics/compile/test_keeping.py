"""Machine code of generated source is kept, shared, made again where it is damaged, and never wrong."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from numerics.compile import keeping
from numerics.compile.keeping import generated
from numerics.simulation.experiment import Experiment
from numerics.simulation.montecarlo import simulate
from theory.network.derivation import network_of

TEXT = "from numba import njit\n\n@njit('float64(float64)', cache=CACHE)\ndef twice(x):\n    return 2 * x\n"
HERE = (__file__,)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("HERMESCAPE_CACHE", str(tmp_path))
    yield tmp_path / "native"
    keeping.contents.cache_clear()


def again() -> float:
    """The function, as a new process would get it."""
    keeping._generated.cache_clear()
    return generated(TEXT, "twice", builds_on=HERE)(1.5)


def kept(place: Path) -> list[Path]:
    return sorted((place / "__pycache__").glob("*.nb*"))


def test_a_second_process_reads_what_the_first_has_compiled(place: Path) -> None:
    assert again() == 3.0
    before = {path: path.stat().st_mtime_ns for path in kept(place)}
    assert len(before) == 2
    assert again() == 3.0
    assert {path: path.stat().st_mtime_ns for path in kept(place)} == before


@pytest.mark.parametrize("suffix", [".nbi", ".nbc", ".py"])
@pytest.mark.parametrize("content", [b"", b"damaged", b"\x80\x04."])
def test_damage_is_made_good(place: Path, suffix: str, content: bytes) -> None:
    assert again() == 3.0
    for path in [*kept(place), *place.glob("*.py")]:
        if path.suffix == suffix:
            path.write_bytes(content)
    assert again() == 3.0
    assert again() == 3.0


def test_another_text_or_another_module_below_is_another_function(place: Path, tmp_path: Path) -> None:
    below = tmp_path / "below.py"
    below.write_text("A = 1\n")
    generated(TEXT, "twice", builds_on=(str(below),))
    below.write_text("A = 2\n")
    keeping.contents.cache_clear()
    keeping._generated.cache_clear()
    generated(TEXT, "twice", builds_on=(str(below),))
    assert len(list(place.glob("*.py"))) == 2


def test_without_a_cache_it_lives_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERMESCAPE_CACHE", "off")
    assert again() == 3.0


def test_an_error_in_the_source_is_the_user_s_to_see(place: Path) -> None:
    with pytest.raises(NameError):
        generated("@nothing\ndef f(x):\n    return x\n", "f", builds_on=HERE)


CHILD = """
from numerics.simulation.experiment import Experiment
from numerics.simulation.montecarlo import simulate
from theory.network.derivation import network_of
sizes = {"dimension": 50, "batch": 5, "step_size": 0.1, "replicas": 4, "seed": 3, "max_steps": 40}
print(simulate(Experiment.of(network_of("erf"), mu=0.3, **sizes)).state.sum().hex())
"""


@pytest.mark.slow
def test_processes_that_compile_at_once_and_one_whose_cache_is_wiped(tmp_path: Path) -> None:
    """All give the bits of a process that keeps nothing."""
    environment = {**os.environ, "HERMESCAPE_CACHE": str(tmp_path / "shared")}
    command = [sys.executable, "-c", CHILD]
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    texts = {process.communicate(timeout=300)[0] for process in running}
    sizes = {"dimension": 50, "batch": 5, "step_size": 0.1, "replicas": 4, "seed": 3, "max_steps": 40}
    here = simulate(Experiment.of(network_of("erf"), mu=0.3, **sizes))
    assert texts == {f"{here.state.sum().hex()}\n"}
    assert all(process.returncode == 0 for process in running)


def test_a_cache_that_is_wiped_is_filled_again(place: Path) -> None:
    assert again() == 3.0
    for path in [*kept(place), *place.glob("*.py")]:
        path.unlink()
    assert again() == 3.0
    assert kept(place)


def test_another_version_of_the_compiler_compiles_anew(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert again() == 3.0
    monkeypatch.setattr(keeping, "version", lambda package: "another")
    keeping.contents.cache_clear()
    assert again() == 3.0
    assert len(list(place.glob("*.py"))) == 2


@pytest.mark.slow
def test_code_for_another_processor_is_not_run(place: Path) -> None:
    """numba keeps what it compiles for each processor apart: a folder may be shared by unlike machines."""
    assert again() == 3.0
    before = kept(place)
    code = f"from numerics.compile.keeping import generated; print(generated({TEXT!r}, 'twice', builds_on={HERE})(1.5))"
    other = {**os.environ, "NUMBA_CPU_NAME": "generic"}
    assert subprocess.check_output([sys.executable, "-c", code], env=other, text=True) == "3.0\n"
    assert len(kept(place)) > len(before)
    assert again() == 3.0
