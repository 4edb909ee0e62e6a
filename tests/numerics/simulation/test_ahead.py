"""Compiling beside other work: what another process compiled is there; none starts where there is nothing to do."""

from pathlib import Path

import pytest

from numerics.simulation import ahead, montecarlo
from numerics.simulation.experiment import Experiment
from numerics.simulation.unrolled import has_kernel
from theory.network.derivation import derive


def experiment(noise: float = 0.0) -> Experiment:
    network = derive("x + x**2/7", noise=noise).network.at(mu=0.3)
    return Experiment.of(network, dimension=50, batch=20, step_size=0.1, replicas=10, seed=1, max_steps=200)


@pytest.mark.slow
@pytest.mark.parametrize("elsewhere", [False, True])
def test_the_kernel_is_on_disk_when_the_block_ends(
    elsewhere: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERMESCAPE_CACHE", str(tmp_path))
    if elsewhere:
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    monkeypatch.setattr(ahead, "available_threads", lambda: 2)
    first = experiment()
    assert not has_kernel(first, rotated=False)
    with ahead.compiled_ahead(first):
        pass
    assert has_kernel(first, rotated=False)
    monkeypatch.setattr(ahead, "processes", lambda workers: pytest.fail("a process was started"))
    with ahead.compiled_ahead(first):
        pass
    assert elsewhere or montecarlo.simulate(first).counts.diverged == 0


@pytest.mark.parametrize("obstacle", ["cores", "place"])
def test_no_process_where_it_is_of_no_use(obstacle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERMESCAPE_CACHE", "off" if obstacle == "place" else str(tmp_path))
    monkeypatch.setattr(ahead, "available_threads", lambda: 1 if obstacle == "cores" else 2)
    monkeypatch.setattr(ahead, "processes", lambda workers: pytest.fail("a process was started"))
    with ahead.compiled_ahead(experiment(noise=0.1)):
        pass
