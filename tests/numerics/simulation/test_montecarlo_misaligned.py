"""Misaligned LoRA and the LoRA scale: the reduced simulation against R^d and the derived flow; domains and cautions."""

from typing import Any

import numpy as np
import pytest
import sympy as sp
from scipy import stats

from numerics.flows.flow import integrate
from numerics.simulation import fulldim, montecarlo
from numerics.simulation.statistics import ExitSample
from tests.numerics.simulation.cases import noisy as make
from tests.numerics.simulation.cases import p_value, same
from theory.network.derivation import derive
from theory.symbols import y


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changes", "mistake"),
    [
        ("linear", {}, {"rho": 1.0}),
        ("linear", {"dimension": 10, "batch": 4, "mu": -0.6, "rho": 0.6}, {"mu": 0.6, "rho": 0.6}),
        ("erf", {"mu": 0.0, "rho": 0.7, "scale": -1.5, "step_size": 0.2}, {"scale": 1.0}),
        ("erf", {"mu": -0.4, "rho": 0.9, "step_size": 0.5}, {"mu": 0.4}),
        ("relu", {"mu": -0.4, "rho": 0.9, "step_size": 0.5}, {"noise": 0.2}),
        ("relu", {"rho": None, "scale": 2.0, "dimension": 3, "step_size": 0.15}, {"scale": 1.0}),
        ("relu", {"label": y**2, "step_size": 0.05}, {"label": None}),
        ("linear", {"rho": None, "label": sp.Max(y, 0), "dimension": 3}, {"label": None}),
    ],
)
def test_same_law_as_sgd_in_d_dimensions(name: str, changes: dict[str, Any], mistake: dict[str, Any]) -> None:
    setting = make(name, **changes)
    full = fulldim.simulate(setting.but(replicas=400, seed=2))
    assert full.counts.exited > 80
    assert p_value(montecarlo.simulate(setting), full) > 1e-3
    assert p_value(montecarlo.simulate(make(name, **(changes | mistake))), full) < 1e-5
    assert p_value(montecarlo._simulate(setting, degrees_of_freedom_shift=1), full) < 1e-6


@pytest.mark.slow
def test_the_limit_of_alignment_is_the_aligned_simulation() -> None:
    aligned, exactly = make("erf", rho=None), make("erf", rho=0.3)
    nearly = make("erf", rho=float(np.nextafter(0.3, 1)), seed=2)
    ranks = [setting.frame.coordinates.shape[1] for setting in (aligned, exactly, nearly)]
    assert ranks == [1, 1, 2]
    one, other = montecarlo.simulate(aligned), montecarlo.simulate(nearly)
    final = other.final
    across = np.hypot(final.v_across, final.v_2)  # of two directions across the teacher; the aligned frame has one
    merged = ExitSample(aligned, other.exit_steps, other.status, np.stack([final.u, final.m, across]))
    assert p_value(one, merged) > 1e-3
    wrong = montecarlo.simulate(make("erf", rho=0.8)).final
    different = stats.ks_2samp(one.final.u, wrong.u, method="asymp").pvalue
    assert different < 1e-6


def test_explicit_alignment_changes_no_bit() -> None:
    one, other = (montecarlo.simulate(make("relu", rho=rho, replicas=50)) for rho in (None, 0.3))
    assert same(one, other)


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_many_samples_and_small_steps_follow_the_derived_flow(scale: float) -> None:
    setting = make(
        *("erf",),
        **{"mu": -0.2, "rho": 0.6, "scale": scale, "dimension": 6, "batch": 4000, "step_size": 2e-3},
        **{"noise": 0.0, "initial_scale": 0.2, "replicas": 4, "threshold": None, "max_steps": 500},
    )
    paths = montecarlo.trajectories(setting, [0, 500])
    system = derive("erf", model="misaligned", alpha=scale)
    for replica in range(4):
        start, end = (paths.isel(replica=replica, step=i) for i in (0, 1))
        flow = integrate(system, {name: float(start[name]) for name in "ums"}, t_max=1.0, mu=-0.2, rho=0.6)
        for name in "ums":
            assert float(end[name]) == pytest.approx(float(flow.states[name][-1]), abs=5e-3)
        assert abs(float(end.u) - 0.2) > 0.05


@pytest.mark.parametrize("changes", [{}, {"label": y**2}])
def test_threads_and_slices_do_not_change_a_bit(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    setting = make("relu", replicas=40, **changes)
    one = montecarlo.simulate(setting, threads=1)
    monkeypatch.setattr(montecarlo, "SAMPLES_PER_SLICE", 30)
    two = montecarlo.simulate(setting, threads=2)
    assert same(one, two)


def test_trajectories_record_s() -> None:
    setting = make("linear", replicas=20, threshold=None)
    sample = montecarlo.simulate(setting)
    paths = montecarlo.trajectories(setting, [0, 80])
    for name in ("m", "u", "s"):
        assert np.array_equal(paths[name].values[:, 1], sample.final[name])
    assert "s" not in montecarlo.trajectories(make("linear", rho=None, replicas=2), [0])
    assert np.array_equal(sample.to_dataset().final_s, paths.s.values[:, 1])


def test_without_a_threshold_every_run_takes_all_steps() -> None:
    sample = montecarlo.simulate(make("linear", threshold=None, replicas=20))
    assert sample.counts == (0, 20, 0)


@pytest.mark.parametrize("engine", [montecarlo, fulldim])
def test_divergence_is_counted_and_leaves_no_nan(engine: Any) -> None:
    sample = engine.simulate(make("he3", step_size=1.0, replicas=20))
    assert sample.counts.diverged > 10
    assert np.all(np.isfinite(sample.state))
    assert np.all(np.isfinite(sample.final.s))
