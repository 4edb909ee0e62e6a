"""The d-dimensional simulation: array modules, blocks of samples, functions that lack a printer."""

import importlib.util
import math
from typing import Any

import numpy as np
import pytest
import sympy as sp

from numerics.simulation import fulldim, montecarlo
from tests.numerics.simulation.cases import noisy as make
from tests.numerics.simulation.cases import p_value, same
from theory.errors import ParameterError
from theory.language.activations import REGISTRY, activation
from theory.symbols import x

INSTALLED = {name: importlib.util.find_spec(name) is not None for name in fulldim.ARRAY_MODULES}
needs_torch = pytest.mark.skipif(not INSTALLED["torch"], reason="PyTorch, an optional array module, is not installed")


@pytest.mark.slow
def test_blocks_have_the_law_of_the_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = make("relu", replicas=200, batch=5, max_steps=40)
    whole = fulldim.simulate(setting)
    monkeypatch.setattr(fulldim, "BLOCK", 8)  # two samples of R^4
    blocks = fulldim.simulate(setting.but(seed=2))
    assert p_value(whole, blocks) > 1e-3


def test_no_block_exceeds_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = make("linear", replicas=2, batch=7, dimension=5, max_steps=3, threshold=None)
    drawn: list[tuple[int, ...]] = []
    normals = fulldim._normals(np, np.random.SeedSequence(1))

    def watched(*shape: int) -> Any:
        drawn.append(shape)
        return normals(*shape)

    monkeypatch.setattr(fulldim, "BLOCK", 16)
    replica, problem = fulldim._Replica(setting, normals), fulldim._Problem.of(setting, np)
    assert replica.step(problem, watched)
    assert [shape for shape in drawn if len(shape) == 2] == [(3, 5), (3, 5), (1, 5)]


@pytest.mark.parametrize("name", [*REGISTRY, "max(x/3, -x, 1)", "min(x, x**2)", "1 - 2*Phi(x)", "exp(-abs(x))"])
def test_portable_forms_are_the_functions(name: str) -> None:
    points = np.array([-2.5, -1.0, -0.3, 0.0, 0.4, 1.0, 3.0])
    for expression in (activation(name).expr, activation(name).derivative):
        portable: Any = fulldim._portable(expression)
        assert not portable.has(sp.Max, sp.Min, sp.Heaviside, sp.erfc)
        value = fulldim._function(np, portable)(points)
        expected = np.broadcast_to(fulldim._function(np, expression)(points), points.shape)
        assert value == pytest.approx(expected, rel=1e-13, abs=1e-13 * math.factorial(10))


@pytest.mark.parametrize("given", ["jax", math, 3, *(name for name, there in INSTALLED.items() if not there)])
def test_other_array_modules_are_refused(given: Any) -> None:
    with pytest.raises(ParameterError, match=r"array_module = .*numpy, torch, cupy"):
        fulldim.simulate(make("linear", replicas=2), array_module=given)


def test_the_module_itself_may_be_given() -> None:
    setting = make("linear", replicas=5)
    one, other = (fulldim.simulate(setting, array_module=given) for given in ("numpy", np))
    assert same(one, other)


@needs_torch
@pytest.mark.parametrize("name", ["relu", "gelu", "tanh", "he3", "hardtanh"])
def test_torch_evaluates_the_same_functions(name: str) -> None:
    torch: Any = importlib.import_module("torch")
    points = np.linspace(-3, 3, 13)
    for expression in (activation(name).expr, activation(name).derivative):
        value = fulldim._function(torch, expression)(torch.asarray(points))
        assert np.asarray(value) == pytest.approx(fulldim._function(np, expression)(points), rel=1e-13, abs=1e-13)


@pytest.mark.slow
@needs_torch
@pytest.mark.parametrize("changes", [{}, {"mu": None, "rho": None, "model": "pretrain", "c": 0.5}])
def test_torch_has_the_law_of_numpy(changes: dict[str, Any]) -> None:
    setting = make("relu", replicas=200, max_steps=40, teacher=sp.erf(x), **changes)
    one, other = (fulldim.simulate(setting.but(seed=seed), array_module=m) for seed, m in ((1, "numpy"), (2, "torch")))
    assert p_value(one, other) > 1e-3


CORRELATED: dict[str, dict[str, Any]] = {
    "relu": {},
    "he2": {"step_size": 0.05, "teacher": sp.erf(x) + x**2},
    "linear": {"batch": 5},  # its batch is drawn rotated
    "erf": {"model": "plain", "mu": None, "rho": None, "initial_scale": None, "noise": 0.0, "threshold": None},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CORRELATED)
def test_the_correlation_loss_is_that_of_real_vectors(name: str) -> None:
    """The reduced step against SGD in R^d, whose residual is -y; the squared loss has another law."""
    settings = {"objective": "correlation", "max_steps": 40} | CORRELATED[name]
    full = fulldim.simulate(make(name, **settings, replicas=600, seed=2))
    assert p_value(montecarlo.simulate(make(name, **settings)), full) > 1e-3
    assert p_value(montecarlo.simulate(make(name, **settings | {"objective": "squared"})), full) < 1e-6
