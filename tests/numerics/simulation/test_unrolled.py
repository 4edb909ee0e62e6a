"""The step that costs the same at every batch size: its law, where it applies, and what it makes possible."""

from typing import Any

import numpy as np
import pytest
import sympy as sp
from scipy import stats

from numerics.compile.codegen import compile_function
from numerics.simulation import fulldim, montecarlo
from numerics.simulation.experiment import Experiment
from numerics.simulation.unrolled import NOISE, Z, draw_batch, draw_rotated, functions, is_unrolled
from tests.numerics.simulation.cases import noisy, p_value
from theory.symbols import x, y

COEFFICIENTS = np.array([0.7, -1.2, 0.5])
"""The residual is 0.7 z1 - 1.2 z2 + 0.5 n."""


def drawn(draw: Any, batch: int, width: int, count: int = 10_000) -> np.ndarray:
    """(G1, G2, R2) of `count` batches, shape (3, count)."""
    rng = np.random.Generator(np.random.SFC64(5))
    rows, found = np.empty((3, width)), np.empty((3, count))
    for i in range(count):
        draw(rng, rows, width, float(batch))
        residual = COEFFICIENTS @ rows
        found[:, i] = residual @ rows[0] / batch, residual @ rows[1] / batch, residual @ residual / batch**2
    return found


def rotated(batch: int) -> np.ndarray:
    return drawn(draw_rotated, batch, min(batch, 3))


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 2, 3, 8])
def test_moments_of_a_rotated_batch_have_the_law_of_a_batch(batch: int) -> None:
    one, other = rotated(batch), drawn(draw_batch, batch, batch)
    mixed = [(*pair, pair[0] + pair[1] - pair[2]) for pair in (one, other)]
    for values, expected in zip(*mixed, strict=True):
        assert stats.ks_2samp(values, expected, method="asymp").pvalue > 1e-3


@pytest.mark.parametrize("batch", [1, 2, 5, 10**9])
def test_moments_of_a_rotated_batch_are_those_of_a_wishart_matrix(batch: int) -> None:
    c = COEFFICIENTS
    g1, g2, r2 = rotated(batch)
    # sum r^2 / |c|^2 is chi^2_B; products of normals give Cov(r z1, r z2) = c1 c2, Var(r z1) = c1^2 + |c|^2.
    assert stats.kstest(r2 * batch**2 / (c @ c), stats.chi2(batch).cdf).pvalue > 1e-3
    for g, coefficient in ((g1, c[0]), (g2, c[1])):
        variance = (coefficient**2 + c @ c) / batch
        assert abs(g.mean() - coefficient) < 4.5 * np.sqrt(variance / g.size)
        assert g.var() == pytest.approx(variance, rel=0.15 if batch < 5 else 0.08)
    assert np.cov(g1, g2)[0, 1] == pytest.approx(c[0] * c[1] / batch, abs=0.1 / batch)


def test_a_wrong_number_of_samples_is_rejected() -> None:
    wrong = drawn(draw_rotated, 9, 3)
    wrong *= np.array([[9 / 8], [9 / 8], [81 / 64]])
    assert stats.ks_2samp(wrong[2], rotated(8)[2], method="asymp").pvalue < 1e-6


SETTINGS: dict[str, dict[str, Any]] = {
    "lora": {"rho": None, "dimension": 3, "noise": 0.0, "batch": 1, "step_size": 0.2},
    "misaligned": {"batch": 5},
    "plain": {"model": "plain", "mu": None, "rho": None, "initial_scale": None, "dimension": 3, "batch": 2},
    "pretrain": {"model": "pretrain", "mu": None, "rho": None, "c": 0.5, "batch": 3, "step_size": 0.15},
    "slopes": {
        "rho": None,
        "dimension": 3,
        "student": 2 * x,
        "teacher": -0.3 * x,
        "step_size": 0.05,
        "label": y / 2,
    },
    "correlation": {"batch": 5, "objective": "correlation"},
}


def samples(setting: Experiment) -> int:
    """Samples that a step draws."""
    found = montecarlo._prepare(setting, 0.95).samples
    assert found == montecarlo.samples_per_step(setting)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_the_same_law_as_sums_over_the_batch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = altered(SETTINGS[name])
    run = montecarlo._prepare(setting, 0.95)
    assert run.samples == min(run.rows, setting.sgd.batch)
    fast = montecarlo.simulate(setting)
    monkeypatch.setattr(montecarlo, "residual_is_linear", lambda functions: False)
    slow = montecarlo.simulate(altered(SETTINGS[name] | {"seed": 2}))
    assert samples(setting) == setting.sgd.batch
    assert slow.counts.exited > 500
    assert p_value(fast, slow) > 1e-3


@pytest.mark.slow
def test_an_offset_is_left_to_the_loop() -> None:
    # d-dimensional SGD with other links than the other tests have: student x, teacher x + 1/2.
    setting = altered({"teacher": x + sp.Rational(1, 2), "replicas": 2000})
    assert samples(setting) == setting.sgd.batch
    full = fulldim.simulate(altered({"teacher": x + sp.Rational(1, 2), "replicas": 300, "seed": 2}))
    assert p_value(montecarlo.simulate(setting), full) > 1e-3


@pytest.mark.parametrize(
    ("changes", "linear"),
    [
        ({}, True),
        ({"teacher": -3 * x}, True),
        ({"student": x + 1, "teacher": 2 * x + 1}, True),
        ({"teacher": x + 1}, False),
        ({"teacher": sp.Max(x, 0)}, False),
        ({"teacher": x + sp.Piecewise((0, x <= 0), (1, True))}, False),
        ({"student": x**2, "teacher": x**2}, False),
        ({"label": 2 * y}, True),
        ({"label": y**2}, False),
    ],
)
def test_linear_residuals_are_found(changes: dict[str, Any], linear: bool) -> None:
    setting = altered({"batch": 50} | changes)
    assert samples(setting) == (3 if linear else 50)


def altered(changes: dict[str, Any]) -> Experiment:
    return noisy("linear", **changes)


def test_a_million_million_dimensions() -> None:
    """At kappa = 4 exits come tau/2 log(10^6) later at d = 10^12 than at 10^6, tau at the finite step size."""
    shared: dict[str, Any] = {"noise": 0.0, "mu": 0.5, "rho": None, "initial_scale": None, "step_size": 0.1}
    shared |= {"threshold": 0.5, "replicas": 2000, "max_steps": 2000}
    medians = []
    for dimension in (10**6, 10**12):
        setting = noisy("linear", **(shared | {"dimension": dimension, "batch": dimension // 40}))
        assert setting.sgd.kappa == pytest.approx(4)
        sample = montecarlo.simulate(setting)
        assert sample.counts == (2000, 0, 0)
        medians.append(sample.to_time(sample.median))
    rate = (np.sqrt(2) - 1) / 2  # lambda of A = 1 - mu = 1/2, B = -1
    tau = 0.1 / np.log(1 + 0.1 * rate)
    assert medians[1] - medians[0] == pytest.approx(tau / 2 * np.log(1e6), abs=0.8)


def test_holes_are_filled_in_compiled_functions() -> None:
    """sigma = sin(x)/x and its slope, which cancels all digits near 0, in the triple that a kernel compiles."""
    sinc = sp.sin(x) / x
    setting = noisy("linear", student=sinc, rho=None, dimension=5, replicas=20)
    triple = compile_function((x, Z, NOISE), functions(setting))
    assert triple(0.0, 0.0, 0.0) == (1.0, 0.0, 1.0)
    assert triple(1e-7, 1e-7, 0.0) == pytest.approx((1.0, -1e-7 / 3, 1.0), rel=1e-12)
    assert np.isfinite(montecarlo.simulate(setting).final.m).all()


def test_one_unit_with_one_trained_vector_is_unrolled() -> None:
    for changes in SETTINGS.values():
        assert is_unrolled(altered(changes))
