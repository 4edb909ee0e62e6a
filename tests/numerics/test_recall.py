"""Arrays on disk: made once, made again where they are damaged, and no more of them than fit."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hermescape.api import experiment
from numerics import recall
from numerics.flows import flow
from numerics.flows.engines.native import Native
from numerics.flows.flow import Exit, integrate
from numerics.law import diffusion
from numerics.law.diffusion import sampled_law
from numerics.law.protocol import Setting
from numerics.recall import number, recalled
from numerics.simulation import montecarlo
from numerics.simulation.experiment import Experiment
from numerics.simulation.montecarlo import paths, simulate
from tests.numerics.simulation import networks
from theory.errors import InputError
from theory.network.derivation import derive

CONTENT = (number(0.5),)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("HERMESCAPE_CACHE", str(tmp_path))
    yield tmp_path
    recall._make_room.cache_clear()


class Maker:
    """Counts how often it makes what it makes."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Mapping[str, Any]:
        self.calls += 1
        return {"values": np.array([1.0, np.nan, np.inf]), "none": np.empty(0)}


def test_what_is_made_once_is_read_to_the_last_bit(place: Path) -> None:
    make = Maker()
    first, second = (recalled("name", CONTENT, make) for _ in range(2))
    assert make.calls == len(list(place.glob("*.npz"))) == 1
    assert all(first[key].tobytes() == second[key].tobytes() for key in ("values", "none"))


def test_another_name_or_another_number_is_another_entry() -> None:
    make = Maker()
    for name, value in (("one", 0.5), ("two", 0.5), ("one", np.nextafter(0.5, 1)), ("one", np.inf), ("one", -np.inf)):
        recalled(name, (number(value),), make)
    assert make.calls == 5


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[: len(b) // 2], lambda b: b.replace(b"\xf0", b"\xf1")])
def test_damage_is_made_again(place: Path, damage: Any) -> None:
    make = Maker()
    recalled("name", CONTENT, make)
    path = next(place.glob("*.npz"))
    path.write_bytes(damage(path.read_bytes()))
    assert recalled("name", CONTENT, make)["values"][0] == 1.0
    assert make.calls == 2


def test_nothing_is_kept_where_the_cache_is_off(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERMESCAPE_CACHE", "off")
    make = Maker()
    for _ in range(2):
        recalled("name", CONTENT, make)
    assert make.calls == 2
    assert not list(place.iterdir())


def test_the_oldest_go_when_there_is_no_room(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for age, name in enumerate(("young", "old", "oldest")):
        path = place / f"{name}.npz"
        path.write_bytes(bytes(1000))
        os.utime(path, (1e9 - age, 1e9 - age))
    (place / "derived.json").write_text("[]")
    monkeypatch.setattr(recall, "LARGEST", 2500)
    recalled("name", CONTENT, Maker())  # some 700 bytes
    assert {path.name for path in place.glob("*.*")} >= {"young.npz", "derived.json"}
    assert not (place / "oldest.npz").exists()
    assert not (place / "old.npz").exists()


# --- trajectories


def path_of(activation: str, **options: Any) -> flow.Trajectory:
    given: dict[str, Any] = {"t_max": 100.0, "mu": 0.3, "event": Exit(0.5), "engine": Native(keeps=True), **options}
    return integrate(derive(activation), {"u": 1e-4, "m": 0.01}, **given)


@pytest.mark.parametrize("activation", ["relu", "atan"])
def test_a_trajectory_is_recalled_as_it_was(activation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = path_of(activation)
    fresh = path_of(activation, engine=Native())
    monkeypatch.setattr(Native, "_solved", lambda self, problem: pytest.fail("integrated again"))
    again = path_of(activation)
    for path in (first, again):
        assert (path.exit_time, path.outcome) == (fresh.exit_time, fresh.outcome)
        assert path.times.tobytes() == fresh.times.tobytes()
        assert path.solution.states.tobytes() == fresh.solution.states.tobytes()


def test_trajectories_without_exit_are_recalled_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert path_of("relu", t_max=1.0).exit_time is None
    monkeypatch.setattr(Native, "_solved", lambda self, problem: pytest.fail("integrated again"))
    assert path_of("relu", t_max=1.0).exit_time is None


@pytest.mark.parametrize(
    "other", [{"mu": 0.31}, {"t_max": 50.0}, {"rtol": 1e-7}, {"event": Exit(0.4)}, {"event": None}, {"times": [1.0]}]
)
def test_what_differs_is_integrated(other: dict[str, Any], place: Path) -> None:
    path_of("relu")
    before = len(list(place.glob("*.npz")))
    path_of("relu", **other)
    assert len(list(place.glob("*.npz"))) == before + 1


def test_activations_without_a_closed_form_differ_by_what_their_tables_say(place: Path) -> None:
    assert path_of("atan").exit_time != path_of("atan(2*x)").exit_time
    assert path_of("atan").exit_time != path_of("atan", engine=Native("implicit", keeps=True)).exit_time


# --- laws


def law_of(activation: str, *, mu: float = 0.5, d: float = 1e4, kappa: float = 0.2, **options: Any) -> Any:
    return sampled_law(derive(activation), Setting(d, 0.5, kappa, 0.0), {"mu": mu}, seconds=0.01, **options)


def test_a_sampled_law_is_recalled_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    first = law_of("he2")
    slope, quiet = first.slope_log_d, first.without_noise().median
    with monkeypatch.context() as patched:
        patched.setattr(diffusion, "_drawn", lambda *_: pytest.fail("drawn again"))
        again = law_of("he2")
        assert again.times.tobytes() == first.times.tobytes()
        assert (again.error, again.slope_log_d) == (first.error, slope)
        assert (again.regime, again.tau) == (first.regime, first.tau)
    assert again.without_noise().median == quiet  # drawn from what was recalled: paths, and the table


@pytest.mark.parametrize("other", [{"mu": 0.51}, {"d": 2e4}, {"kappa": 0.21}, {"seed": 1}, {"kind": "diffusion"}])
def test_another_law_is_drawn(other: dict[str, Any], place: Path) -> None:
    law_of("he2")
    before = len(list(place.glob("*.npz")))
    law_of("he2", **other)
    assert len(list(place.glob("*.npz"))) == before + (other != {"kind": "diffusion"})


def test_a_refusal_is_not_kept(place: Path) -> None:
    for _ in range(2):
        with pytest.raises(InputError, match="leave within"):
            law_of("he3", mu=0.1, d=100, kappa=3.0)
    assert not list(place.glob("*.npz"))


# --- runs


def setting(activation: str = "linear", **options: Any) -> Experiment:
    given: dict[str, Any] = {"dimension": 50, "batch": 20, "step_size": 0.1, "replicas": 6, "seed": 1, "max_steps": 300}
    return Experiment.of(derive(activation).network, **{"mu": 0.3, **given, **options})


@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_runs_are_recalled_as_they_were(activation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given, steps = setting(activation), [0, 10, 100]
    fresh, path = simulate(given), paths(given, steps)
    first = simulate(given, keeps=True), paths(given, steps, keeps=True)
    monkeypatch.setattr(montecarlo, "_for_each_replica", lambda *_, **__: pytest.fail("simulated again"))
    counted: list[int] = []
    again = simulate(given, keeps=True, progress=counted.append), paths(given, steps, keeps=True)
    assert counted == [6]
    for sample, recorded in (first, again):
        for name in ("exit_steps", "status", "state"):
            assert (getattr(sample, name) == getattr(fresh, name)).all()
            assert getattr(sample, name).dtype == getattr(fresh, name).dtype
        assert recorded.state.tobytes() == path.state.tobytes()


@pytest.mark.parametrize(
    "other",
    [
        *({"seed": 2}, {"seed": 2**100}, {"replicas": 7}, {"mu": 0.31}, {"dimension": 51}, {"batch": 21}),
        *({"step_size": 0.11}, {"max_steps": 301}, {"threshold": 0.4}, {"threshold": None}, {"initial_scale": 0.1}),
    ],
)
def test_other_runs_are_simulated(other: dict[str, Any], place: Path) -> None:
    simulate(setting(), keeps=True)
    before = len(list(place.glob("*.npz")))
    simulate(setting(**other), keeps=True)
    assert len(list(place.glob("*.npz"))) == before + 1


def test_other_functions_labels_and_losses_are_simulated(place: Path) -> None:
    given: tuple[dict[str, Any], ...] = ({}, {"teacher": "erf"}, {"label": "y**2"}, {"noise": 0.1}, {"noise": 0.2})
    for options in (*given, {"scale": 0.5}, {"objective": "correlation"}):
        sizes = {"mu": 0.5, "dimension": 50, "batch": 5, "step_size": 0.05, "replicas": 2, "max_steps": 3}
        simulate(experiment("relu", **sizes, **options), keeps=True)
    assert len(list(place.glob("*.npz"))) == 7


def test_stages_and_networks_that_are_not_unrolled_are_not_kept(place: Path) -> None:
    first = simulate(setting(threshold=None, max_steps=3))
    simulate(setting(), start=first, keeps=True)
    simulate(networks.setting(networks.committee("erf", 2), 9, max_steps=3, replicas=2), keeps=True)
    assert not list(place.glob("*.npz"))
