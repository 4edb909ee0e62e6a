"""Training in stages: what passes from one to the next, against R^d, and the total time."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from numerics.simulation import fulldim, montecarlo
from numerics.simulation.experiment import Experiment
from numerics.simulation.statistics import ExitSample, Stages, Status
from tests.numerics.simulation.cases import noisy as make
from tests.numerics.simulation.cases import p_value, same
from theory.errors import ParameterError
from theory.symbols import y


def pair(name: str = "relu", **changes: Any) -> list[Experiment]:
    """Twelve steps on squared labels, with a larger batch, then at most twenty on the true labels."""
    true = make(name, max_steps=20, **changes)
    squared: dict[str, Any] = {"label": y**2, "threshold": None, "max_steps": 12, "batch": 4, "step_size": 0.1}
    return [make(name, **(changes | squared)), true]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changes"),
    [("relu", {"mu": -0.4, "threshold": 0.8}), ("linear", {"rho": None, "dimension": 3, "scale": 1.5})],
)
def test_two_stages_have_the_law_of_two_stages_in_d_dimensions(name: str, changes: dict[str, Any]) -> None:
    experiments = pair(name, **changes)
    first, full = fulldim.simulate_stages([stage.but(replicas=400, seed=2) for stage in experiments])
    reduced_first, reduced = montecarlo.simulate_stages(experiments)
    assert full.counts.exited > 100
    assert p_value(reduced, full) > 1e-3
    assert p_value(reduced_first, first) > 1e-3
    assert p_value(montecarlo.simulate(experiments[1]), full) < 1e-5


def test_a_threshold_ends_the_first_stage_too() -> None:
    experiments = pair("linear", replicas=400)
    experiments[0] = experiments[0].but(threshold=0.7, max_steps=30)
    first, second = montecarlo.simulate_stages(experiments)
    assert min(first.counts.exited, first.counts.censored) > 50
    moved = first.exit_steps > 0
    assert np.all(np.abs(first.final.m.values[first.status == Status.EXITED]) >= 0.7)
    assert np.any(moved)
    assert second.counts.censored < 400


def test_the_second_stage_starts_where_the_first_ended() -> None:
    first, second = pair(replicas=30)
    sample = montecarlo.simulate(first)
    paths = montecarlo.trajectories(second, [0, 20], start=sample)
    for name in ("m", "u", "s"):
        assert np.array_equal(paths[name].values[:, 0], sample.final[name])
    end = montecarlo.simulate(second.but(threshold=None), start=sample)
    assert end.stage == 1
    assert np.array_equal(end.final.u.values, paths.u.values[:, 1])


def test_every_stage_draws_its_own_numbers() -> None:
    setting = make("linear", replicas=30, threshold=None, max_steps=1)
    start = montecarlo.simulate(setting)
    later = replace(start, stage=1)
    moves = [montecarlo.simulate(setting, start=sample).final.u.values for sample in (start, start, later)]
    assert np.array_equal(moves[0], moves[1])
    assert not np.any(moves[0] == moves[2])
    other = montecarlo.simulate(setting.but(seed=9), start=start)
    assert not np.any(other.final.u.values == moves[0])


def test_threads_do_not_change_a_bit() -> None:
    one, two = (montecarlo.simulate_stages(pair(replicas=40), threads=threads).samples[1] for threads in (1, 2))
    assert same(one, two)


@pytest.mark.slow
def test_a_sample_in_d_dimensions_can_be_continued() -> None:
    first, second = pair("linear", replicas=2000)
    full = fulldim.simulate(first.but(replicas=400, seed=2))
    mixed = montecarlo.simulate(second.but(replicas=400), start=full)
    assert p_value(montecarlo.simulate_stages([first, second]).samples[1], mixed) > 1e-3


@pytest.mark.parametrize("engine", [montecarlo, fulldim])
def test_a_diverged_replica_stays_diverged(engine: Any) -> None:
    wild = make("he3", step_size=1.0, replicas=20, max_steps=5, threshold=None)
    first, second = engine.simulate_stages([wild, wild.but(step_size=1e-60)])
    gone = first.status == Status.DIVERGED
    assert gone.sum() > 5
    assert np.array_equal(gone, second.status == Status.DIVERGED)
    assert np.array_equal(first.state[:, gone], second.state[:, gone])
    if engine is montecarlo:
        paths = montecarlo.trajectories(wild, [0], start=first)
        assert np.array_equal(np.isnan(paths.m.values[:, 0]), gone)


def sample(max_steps: int, exits: list[int], diverged: tuple[int, ...] = ()) -> ExitSample:
    setting = make("linear", replicas=len(exits), max_steps=max_steps)
    status = [Status.CENSORED if step < 0 else Status.EXITED for step in exits]
    for index in diverged:
        status[index] = Status.DIVERGED
    return ExitSample(setting, np.array(exits, np.int64), np.array(status, np.int8), np.ones((4, len(exits))))


def test_total_steps() -> None:
    stages = Stages((sample(10, [4, -1, 7, -1, -1], (4,)), sample(50, [20, 30, 5, 0, -1], (4,))))
    assert list(stages.steps) == [24, 40, 12, 10, -1]
    assert stages.total.counts == (4, 0, 1)
    assert (stages.total.median, stages.total.experiment.stop.max_steps) == (18, 60)


def test_total_is_censored_where_the_first_replica_is() -> None:
    # Replica 0 is only known to exit after 2 + 50 = 52 steps: whether replica 1, at 60, comes later is not known.
    stages = Stages((sample(10, [2, -1, 3, 4]), sample(50, [-1, 50, 49, 1])))
    assert list(stages.steps) == [52, 60, 52, 5]
    assert list(stages.total.exit_steps) == [-1, -1, 52, 5]
    assert stages.total.experiment.stop.max_steps == 52
    assert stages.total.quantile(1 / 3) == 52
    assert stages.total.median is None


def test_total_needs_one_step_size_and_a_stage() -> None:
    one, other = sample(10, [1, 2]), sample(10, [1, 2])
    other = replace(other, experiment=other.experiment.but(step_size=0.1))
    with pytest.raises(ParameterError, match="step sizes"):
        _ = Stages((one, other)).total
    with pytest.raises(ParameterError, match="no stages"):
        montecarlo.simulate_stages([])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dimension": 5}, "dimension = 5"),
        ({"replicas": 21}, "replicas = 21"),
        ({"rho": None}, "model = 'lora'"),
        ({"rho": 0.9}, r"rho = 0\.9"),
        ({"mu": -0.3}, r"mu = -0\.3"),
        ({"scale": 2.0}, "scale = 2"),
    ],
)
def test_a_start_of_other_weights_is_refused(changes: dict[str, Any], message: str) -> None:
    start = montecarlo.simulate(make("linear", **({"replicas": 20} | changes)))
    for run in (montecarlo.simulate, lambda e, start: montecarlo.trajectories(e, [0], start=start)):
        with pytest.raises(ParameterError, match=f"{message}.*accepted"):
            run(make("linear", replicas=20), start=start)
