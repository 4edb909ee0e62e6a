"""Misaligned LoRA and the LoRA scale: the reduced simulation against R^d and the derived flow; domains and cautions."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp
from scipy import stats

from hermescape import api
from numerics.flows.flow import integrate
from numerics.simulation import fulldim, montecarlo
from numerics.simulation.experiment import Experiment
from numerics.simulation.statistics import ExitSample, ks_two_sample
from theory.errors import InputError, ParameterError
from theory.network.derivation import derive
from theory.symbols import x, y

FUNCTIONS: dict[str, tuple[sp.Expr, sp.Expr]] = {
    "linear": (x, sp.Integer(1)),
    "relu": (sp.Max(x, 0), sp.Heaviside(x)),
    "erf": (sp.erf(x), 2 / sp.sqrt(sp.pi) * sp.exp(-(x**2))),
    "he2": (x**2 - 1, 2 * x),
    "he3": (x**3 - 3 * x, 3 * x**2 - 3),
}


def make(name: str, **changes: Any) -> Experiment:
    """Noise, small batches, a late exit and u of order one at tiny d: the law across the span matters most."""
    student, derivative = FUNCTIONS[name]
    settings: dict[str, Any] = {
        **{"teacher": student, "mu": 0.3, "rho": 0.8, "dimension": 4, "batch": 2, "step_size": 0.3},
        **{"threshold": 0.95, "replicas": 3000, "seed": 1, "max_steps": 80, "initial_scale": 1.0, "noise": 1.0},
    }
    return Experiment(student, derivative, **(settings | changes))


def p_value(a: ExitSample, b: ExitSample) -> float:
    """Bonferroni's p-value of equal laws of the exit time and of each (signed) number of the state at the end."""
    pairs = [(getattr(a, name), getattr(b, name)) for name in ("final_m", "final_u", "final_p", "final_s")]
    tests = [float(stats.ks_2samp(*pair, method="asymp").pvalue) for pair in pairs if pair[0] is not None]
    return min(1.0, (1 + len(tests)) * min(ks_two_sample(a, b).p_value, *tests))


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
    full = fulldim.simulate(replace(setting, replicas=400, seed=2))
    assert full.counts.exited > 80
    assert p_value(montecarlo.simulate(setting), full) > 1e-3
    assert p_value(montecarlo.simulate(replace(setting, **mistake)), full) < 1e-5
    assert p_value(montecarlo._simulate(setting, degrees_of_freedom_shift=1), full) < 1e-6


def test_the_limit_of_alignment_is_the_aligned_simulation() -> None:
    aligned = make("erf", rho=None)
    assert make("erf", rho=0.3).parametrisation == aligned.parametrisation == "lora"
    nearly = replace(aligned, rho=float(np.nextafter(0.3, 1)))
    assert nearly.parametrisation == "misaligned"
    one, other = montecarlo.simulate(aligned), montecarlo.simulate(replace(nearly, seed=2))
    assert other.final_t is not None
    assert other.final_p is not None
    other = replace(other, final_p=np.hypot(other.final_p, other.final_t), final_t=None)
    assert p_value(one, other) > 1e-3
    assert p_value(one, montecarlo.simulate(replace(aligned, rho=0.8))) < 1e-6


def test_explicit_alignment_changes_no_bit() -> None:
    one, other = (montecarlo.simulate(make("relu", rho=rho, replicas=50)) for rho in (None, 0.3))
    assert np.array_equal(one.final_u, other.final_u)


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


def test_start_is_uniform_on_the_sphere() -> None:
    start = montecarlo.trajectories(make("linear", dimension=6, mu=0.3, rho=0.5), [0])
    direction = (start.s - 0.3 * start.m) / 0.4  # <v, e2>, since nu = 0.4
    law = stats.beta(2.5, 2.5)  # (component + 1) / 2 of a uniform unit vector of R^6
    for component in (start.m, direction, (start.m + direction) / np.sqrt(2)):
        assert stats.kstest((component.values[:, 0] + 1) / 2, law.cdf).pvalue > 1e-3


@pytest.mark.parametrize("changes", [{}, {"label": y**2}])
def test_threads_and_slices_do_not_change_a_bit(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    setting = make("relu", replicas=40, **changes)
    one = montecarlo.simulate(setting, threads=1)
    monkeypatch.setattr(montecarlo, "SAMPLES_PER_SLICE", 30)
    two = montecarlo.simulate(setting, threads=2)
    for name in ("exit_steps", "status", "final_m", "final_u", "final_p", "final_t"):
        assert np.array_equal(getattr(one, name), getattr(two, name))


def test_trajectories_record_s() -> None:
    setting = make("linear", replicas=20, threshold=None)
    sample = montecarlo.simulate(setting)
    paths = montecarlo.trajectories(setting, [0, 80])
    for name in ("m", "u", "s"):
        assert np.array_equal(paths[name].values[:, 1], getattr(sample, f"final_{name}"))
    assert "s" not in montecarlo.trajectories(make("linear", rho=None, replicas=2), [0])
    assert np.array_equal(sample.to_dataset().final_s, paths.s.values[:, 1])


def test_without_a_threshold_every_run_takes_all_steps() -> None:
    sample = montecarlo.simulate(make("linear", threshold=None, replicas=20))
    assert sample.counts == (0, 20, 0)


@pytest.mark.parametrize("engine", [montecarlo, fulldim])
def test_divergence_is_counted_and_leaves_no_nan(engine: Any) -> None:
    sample = engine.simulate(make("he3", step_size=1.0, replicas=20))
    assert sample.counts.diverged > 10
    for name in ("final_m", "final_u", "final_p", "final_s"):
        assert np.all(np.isfinite(getattr(sample, name)))


def test_overlap_of_the_recovered_teacher() -> None:
    # w* - w0 = (1 - mu, -nu) in the plane of w* and w0, with nu = 1.2 here; v lies along it.
    assert make("relu", mu=0.5, rho=1.3).recovered_overlap == pytest.approx(0.5 / 1.3)
    assert make("he2", mu=0.5, rho=1.3).recovered_overlap == pytest.approx(1.5 / np.hypot(1.5, 1.2))
    for aligned in (make("relu", rho=None), make("relu", mu=-0.5, rho=0.5), make("he2", mu=-1.0, rho=1.0)):
        assert aligned.recovered_overlap == 1.0


def test_a_threshold_above_the_end_of_learning_is_said() -> None:
    high = make("linear", threshold=0.75)  # the linear student ends at 0.7 / sqrt(0.49 + 0.55) = 0.686
    assert "0.6864" in str(high.caution)
    assert "0.6864" in montecarlo.simulate(replace(high, replicas=2)).to_dataset().attrs["caution"]
    for silent in ({"threshold": 0.65}, {"threshold": None}, {"teacher": 3 * x}, {"label": y**2}, {"rho": None}):
        assert replace(high, **silent).caution is None
    assert "caution" not in montecarlo.simulate(replace(high, threshold=0.65, replicas=2)).to_dataset().attrs


def test_overshoot_above_the_end_of_learning_is_real() -> None:
    """Why such a threshold is no error: erf turns v towards the gradient at w0 before it learns w* - w0."""
    setting = make(
        *("erf",),
        **{"mu": 0.0, "rho": 2.0, "dimension": 100, "batch": 1000, "noise": 0.0, "threshold": None},
        **{"initial_scale": 1e-4, "replicas": 4, "max_steps": 2000},
    )
    largest = np.abs(montecarlo.trajectories(setting, range(0, 2001, 20)).m).max("step")
    assert float(largest.min()) > setting.recovered_overlap + 0.1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rho": 0.2}, r"rho = 0\.2 .*>= \|mu\| = 0\.3"),
        ({"mu": -0.9}, r"rho = 0\.8 .*>= \|mu\| = 0\.9"),
        ({"mu": 0.0, "rho": 0.0}, "rho = 0"),
        ({"rho": float("nan")}, "rho"),
        ({"rho": float("inf")}, "rho"),
        ({"mu": None}, "mu"),
        ({"mu": float("nan")}, "mu"),
        ({"mu": -0.3, "rho": None}, "mu = -0.3"),
        ({"dimension": 3}, "dimension = 3 .*>= 4"),
        ({"scale": 0.0}, "scale"),
        ({"scale": float("inf")}, "scale"),
        ({"label": x}, "label"),
        ({"label": "y"}, "label"),
        ({"label": sp.Integer(1)}, "label"),
    ],
)
def test_bad_parameters_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make("linear", **changes)


@pytest.mark.parametrize("changes", [{"rho": 0.5}, {"scale": 2.0}])
def test_plain_has_no_pretrained_weight(changes: dict[str, Any]) -> None:
    plain = {"model": "plain", "mu": None, "rho": None, "initial_scale": None}
    with pytest.raises(ParameterError, match="plain"):
        make("linear", **(plain | changes))


def test_public_verbs_take_the_whole_model() -> None:
    sizes: dict[str, Any] = {"dimension": 4, "batch": 2, "step_size": 0.3, "replicas": 20, "max_steps": 80}
    rest: dict[str, Any] = {"mu": 0.3, "rho": 0.8, "scale": 2.0, "noise": 1.0, "threshold": 0.95, "initial_scale": 1.0}
    given = api.simulate("relu", **sizes, **rest, seed=1, label="y**2")
    expected = montecarlo.simulate(make("relu", scale=2.0, label=y**2, replicas=20))
    assert np.array_equal(given.final_u, expected.final_u)
    assert api.experiment("relu", **sizes, **rest, label=sp.Symbol("y") ** 2).label == y**2
    assert api.experiment("relu", **sizes, mu=0.3, rho=0.8, model="misaligned").parametrisation == "misaligned"
    with pytest.raises(ParameterError, match="rho"):
        api.experiment("relu", **sizes, mu=0.3, model="misaligned")
    with pytest.raises(InputError, match="y"):
        api.experiment("relu", **sizes, mu=0.3, label="x**2")
