"""The reduced simulation against d-dimensional SGD, its reproducibility, and how it reports failure."""

import ast
import inspect
import threading
import time
import tracemalloc
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import sympy as sp
from scipy import stats

from numerics.simulation import fulldim, montecarlo
from numerics.simulation.comparison import ks_two_sample
from numerics.simulation.experiment import Experiment
from numerics.simulation.statistics import ExitSample, Status
from tests.numerics.simulation.cases import made, same
from theory.errors import ParameterError, UnsupportedExpressionError
from theory.symbols import x


def make(name: str, model: str = "lora", **changes: Any) -> Experiment:
    settings: dict[str, Any] = {
        **{"dimension": 5, "batch": 10, "step_size": 0.2, "threshold": 0.6, "replicas": 20, "seed": 1},
        **{"max_steps": 150, "model": model},
    }
    settings |= {} if model == "plain" else {"mu": 0.4, "initial_scale": 0.1}
    return made(name, settings | changes)


def p_values(reduced: ExitSample, full: ExitSample) -> list[float]:
    """Exit time, and size of m and u at the end of the run."""
    finals = [(reduced.final[name], full.final[name]) for name in ("m", "u") if name in full.final]
    tests = [stats.ks_2samp(np.abs(a), np.abs(b), method="asymp").pvalue for a, b in finals]
    return [ks_two_sample(reduced, full).p_value, *map(float, tests)]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["lora", "plain"])
@pytest.mark.parametrize(
    "size",
    [{"dimension": 5, "batch": 10, "threshold": 0.9}, {"dimension": 50, "batch": 30, "threshold": 0.6}],
)
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("linear", {"step_size": 0.15}),
        ("relu", {"step_size": 0.3}),
        ("erf", {"step_size": 0.3, "noise": 0.25}),
        ("he2", {"step_size": 0.03}),
    ],
)
def test_same_law_as_sgd_in_d_dimensions(name: str, changes: dict[str, Any], size: dict[str, Any], model: str) -> None:
    setting = make(name, model, **size, **changes)
    reduced = montecarlo.simulate(setting.but(replicas=4000))
    full = fulldim.simulate(setting.but(replicas=300, seed=2))
    assert full.counts.exited > 30
    assert min(p_values(reduced, full)) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(("name", "model"), [("linear", "lora"), ("relu", "plain"), ("he2", "plain")])
def test_a_wrong_number_of_degrees_of_freedom_is_rejected(name: str, model: str) -> None:
    step_size = 0.05 if name == "he2" else 0.3
    changes = {"dimension": 3, "batch": 2, "threshold": 0.95, "noise": 1.0, "step_size": step_size}
    scale = {"initial_scale": 1.0} if model == "lora" else {}
    setting = make(name, model, **changes, **scale)
    full = fulldim.simulate(setting.but(replicas=1000, seed=2))
    right = montecarlo.simulate(setting.but(replicas=4000))
    wrong = montecarlo._simulate(setting.but(replicas=4000), degrees_of_freedom_shift=1)
    assert ks_two_sample(right, full).p_value > 1e-3
    assert ks_two_sample(wrong, full).p_value < 1e-6


def test_linear_overlap_grows_as_in_closed_form() -> None:
    # sigma = phi = x, plain, vanishing step size: dm/dt = 1 - m^2, so atanh(m) grows by t exactly.
    setting = make("linear", "plain", dimension=50, batch=2000, step_size=1e-3, threshold=0.99, max_steps=1000)
    paths = montecarlo.trajectories(setting, [0, 500, 1000])
    growth = np.arctanh(paths.m) - np.arctanh(paths.m.isel(step=0))
    assert growth.mean("replica").values == pytest.approx([0.0, 0.5, 1.0], abs=0.03)


@pytest.mark.parametrize("model", ["lora", "plain"])
def test_threads_do_not_change_a_bit(model: str) -> None:
    setting = make("relu", model, replicas=50, noise=0.1)
    one, two = (montecarlo.simulate(setting, threads=threads) for threads in (1, 2))
    assert same(one, two)


def test_slices_and_replica_count_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = make("erf", replicas=10)
    whole = montecarlo.simulate(setting)
    monkeypatch.setattr(montecarlo, "SAMPLES_PER_SLICE", 30)
    assert same(montecarlo.simulate(setting), whole)
    assert np.array_equal(montecarlo.simulate(setting.but(replicas=4)).state, whole.state[:, :4])
    assert not np.array_equal(montecarlo.simulate(setting.but(seed=2)).final.u, whole.final.u)


def test_trajectories_follow_the_simulated_paths() -> None:
    setting = make("linear", replicas=12, max_steps=80)
    sample = montecarlo.simulate(setting)
    paths = montecarlo.trajectories(setting, range(81))
    assert dict(paths.sizes) == {"replica": 12, "step": 81}
    beyond = np.abs(paths.m.values) >= setting.stop.threshold
    first = np.where(beyond.any(axis=1), beyond.argmax(axis=1), -1)
    assert np.array_equal(first, sample.exit_steps)
    last = np.where(first < 0, 80, first)
    assert np.array_equal(paths.m.values[np.arange(12), last], sample.final.m)
    assert np.array_equal(paths.u.values[np.arange(12), last], sample.final.u)
    assert paths.u.values[0, 0] == 0.1
    assert float(paths.time[-1]) == pytest.approx(0.2 * 80)


@pytest.mark.parametrize("max_steps", [1, 2, 10, 999, 10**5, 10**12])
@pytest.mark.parametrize("count", [3, 4, 50])
def test_log_spaced_steps(max_steps: int, count: int) -> None:
    steps = montecarlo.log_spaced(max_steps, count)
    assert steps[:2] == [0, 1]
    assert steps[-1] == max_steps
    assert len(steps) <= count
    assert all(np.diff(steps) > 0)
    apart = max_steps ** (1 / (count - 2))
    assert all(later / step <= apart + 1 for step, later in pairwise(steps[1:]))
    if max_steps <= 999:
        setting = make("linear", replicas=2, max_steps=max_steps)
        assert list(montecarlo.trajectories(setting, steps).step) == steps


@pytest.mark.parametrize(("max_steps", "count"), [(0, 10), (10, 2), (1.5, 10), (True, 10), (10, 5.0)])
def test_bad_log_spaced_steps_are_refused(max_steps: Any, count: Any) -> None:
    with pytest.raises(ParameterError, match="accepted"):
        montecarlo.log_spaced(max_steps, count)


def test_blocks_have_the_law_of_the_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = make("relu", replicas=3000, noise=0.5, batch=8)
    whole = montecarlo.simulate(setting)
    monkeypatch.setattr(montecarlo, "BLOCK", 3)
    assert min(p_values(whole, montecarlo.simulate(setting.but(seed=2)))) > 1e-3


def test_memory_does_not_grow_with_the_batch() -> None:
    setting = make("relu", replicas=2, batch=10**6, max_steps=1, threshold=None)
    montecarlo.simulate(setting.but(batch=2))
    tracemalloc.start()
    montecarlo.simulate(setting, threads=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e5  # bytes; the batch has 1.6e7


def test_exit_at_step_zero() -> None:
    sample = montecarlo.simulate(make("linear", dimension=3, threshold=0.01))
    assert np.count_nonzero(sample.exit_steps == 0) > 10


@pytest.mark.parametrize("engine", [montecarlo, fulldim])
def test_divergence_is_counted_and_leaves_no_nan(engine: Any) -> None:
    setting = make("he3", step_size=1.0, initial_scale=1.0, threshold=0.9999)
    sample = engine.simulate(setting)
    assert sample.counts.diverged > 10
    assert sum(sample.counts) == 20
    assert np.all(np.isfinite(sample.final.m))
    assert np.all(np.abs(sample.final.u) <= 1e6)
    assert np.all(sample.exit_steps[sample.status == Status.DIVERGED] == -1)


def test_diverged_paths_are_missing() -> None:
    setting = make("he3", step_size=1.0, initial_scale=1.0)
    paths = montecarlo.trajectories(setting, [0, 100])
    assert not paths.m.isel(step=0).isnull().any()
    assert paths.m.isel(step=1).isnull().any()


@pytest.mark.parametrize("engine", [montecarlo, fulldim])
def test_censoring_is_counted(engine: Any) -> None:
    sample = engine.simulate(make("linear", max_steps=1, threshold=0.999))
    assert sample.counts == (0, 20, 0)
    assert np.all(sample.exit_steps == -1)
    assert (sample.median, sample.mean) == (None, None)


def test_progress_is_reported_from_the_calling_thread() -> None:
    seen: list[tuple[int, int]] = []
    montecarlo.simulate(make("linear"), progress=lambda n: seen.append((n, threading.get_ident())))
    assert sum(n for n, _ in seen) == 20
    assert {thread for _, thread in seen} == {threading.get_ident()}


def test_an_interrupt_ends_running_replicas_promptly() -> None:
    # With mu = 1 and u = 0 the linear student is exact and stays put: a run ends at step 0 or not for hours.
    setting = make("linear", mu=1.0, initial_scale=0.0, dimension=3, batch=1000, max_steps=10**9, replicas=10)

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    montecarlo.simulate(setting.but(max_steps=1))
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        montecarlo.simulate(setting, threads=10, progress=interrupt)
    assert time.perf_counter() - start < 60


def test_bad_calls() -> None:
    setting = make("linear")
    with pytest.raises(ParameterError, match="threads"):
        montecarlo.simulate(setting, threads=0)
    for steps in ([], [3, 3], [-1], [1.5], [151]):
        with pytest.raises(ParameterError, match="steps"):
            montecarlo.trajectories(setting, steps)
    with pytest.raises(UnsupportedExpressionError, match="besselj"):
        montecarlo.simulate(make("linear", teacher=sp.besselj(0, x)))


def test_ground_truth_does_not_import_what_it_checks() -> None:
    imports = [node for node in ast.walk(ast.parse(inspect.getsource(fulldim))) if isinstance(node, ast.ImportFrom)]
    assert not {node.module for node in imports} & {
        "numerics.simulation.montecarlo",
        "numerics.simulation.step",
        "numerics.simulation.unrolled",
        "numerics.simulation.coefficients",
        "numerics.compile.codegen",
    }
    assert all("montecarlo" not in {name.name for name in node.names} for node in imports)
