"""Every model with every activation: it closes, and its loss falls along its flow at the rate of the gradient."""

import numpy as np
import pytest
import sympy as sp

from numerics.flows.flow import Native, SciPy, compile_flow, integrate
from numerics.integrals.evaluate import evaluator
from theory.language.activations import REGISTRY, activation
from theory.network.derivation import derive
from theory.network.models import MODELS
from theory.network.system import System
from theory.symbols import L_q, L_r, q, r

MOVING = [name for name in REGISTRY if activation(name).derivative != 0]  # SGD never moves the others
VALUES = {"mu": 0.3, "rho": 0.7}  # where a half, which other parameters get, is outside the domain of the two together
SIZE = 0.1  # of every state: a start that is consistent, and far enough from rest


def values_of(system: System) -> dict[str, float]:
    return {p.name: VALUES.get(p.name, 0.5) for p in system.parameters}


def start_of(system: System) -> dict[str, float]:
    return {state.name: SIZE for state in system.states}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", MOVING)
def test_a_model_closes(model: str, name: str) -> None:
    """Velocities and arguments hold states, parameters, L_q and L_r only; one equation a state."""
    system = derive(name, model=model)
    known = {*system.states, *system.parameters, L_q, L_r}
    assert {
        symbol for f in (*system.velocities.values(), *system.entries.values()) for symbol in f.free_symbols
    } <= known
    assert set(system.velocities) == set(system.states)
    assert {q, r} == set(system.entries)


@pytest.mark.parametrize(
    ("name", "model"), [*((name, next(iter(MODELS))) for name in MOVING), *(("erf", model) for model in MODELS)]
)
def test_equations_print(name: str, model: str) -> None:
    blocks = derive(name, model=model).latex()
    assert blocks.startswith(r"\begin{align*}")
    assert blocks.count(r"\begin{align*}") == blocks.count(r"\end{align*}")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", MOVING)
def test_the_loss_falls_along_the_flow(model: str, name: str) -> None:
    """dL/dt = L_q dq/dt + L_r dr/dt < 0 at infinitesimal steps, from the velocities and from the loss's gradient."""
    system = derive(name, model=model)
    start, values = start_of(system), values_of(system)
    at = {symbol: (start | values)[symbol.name] for symbol in (*system.states, *system.parameters)}
    velocity = dict(
        zip(system.states, compile_flow(system, values, jit=False)(np.array([*start.values()])), strict=True)
    )
    overlap, variance = (float(system.entries[name].subs(at)) for name in (q, r))
    slopes = [float(found.value) for found in evaluator((q, r), system.loss_function.gradient())(overlap, variance)]
    falls = sum(
        slope * float(sp.diff(system.entries[name], state).subs(at)) * velocity[state]
        for name, slope in zip((q, r), slopes, strict=True)
        for state in system.states
    )
    assert falls < 0


@pytest.mark.parametrize("model", MODELS)
def test_engines_agree_on_a_model(model: str) -> None:
    system = derive("erf", model=model)
    paths = [
        integrate(system, start_of(system), t_max=3.0, times=[1.0, 3.0], rtol=1e-10, engine=engine, **values_of(system))
        for engine in (Native(), SciPy("DOP853"))
    ]
    for state in system.states:
        native, reference = (path.states[state.name].values for path in paths)
        assert native == pytest.approx(reference, rel=1e-8)
        assert abs(native - SIZE).max() > 1e-3
