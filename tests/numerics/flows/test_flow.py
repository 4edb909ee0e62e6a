"""Integration of the derived flow: closed solutions, an independent integrator, events, result codes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from numerics.flows.flow import Exit, Outcome, SciPy, compile_flow, integrate
from tests.strategies import closed
from theory.errors import ParameterError
from theory.network.derivation import derive
from theory.symbols import q, r


def test_plain_linear_flow_has_a_closed_solution() -> None:
    """dm/dt = 1 - m^2, m = tanh(t + artanh m0)."""
    result = integrate(derive("linear", model="plain"), {"m": 0.1}, event=Exit(0.9), t_max=10.0)
    assert result.outcome is Outcome.EXITED
    assert result.exit_time == pytest.approx(np.arctanh(0.9) - np.arctanh(0.1), rel=1e-8)


@pytest.mark.parametrize(
    ("name", "mu"), [("linear", 0.3), ("relu", 0.4), ("erf", 0.5), ("he3", 0.6), ("he3", 0.2), ("tanh", 0.4)]
)
def test_exit_time_against_an_explicit_integrator(name: str, mu: float) -> None:
    system, start = derive(name), {"u": 1e-6, "m": 0.02}
    velocity = compile_flow(system, {"mu": mu})
    found = integrate(system, start, event=Exit(0.5), t_max=1e4, mu=mu)

    def left(_: float, state: np.ndarray) -> float:
        return abs(state[1]) - 0.5

    left.terminal = True
    rtol = 1e-8 if name == "tanh" else 1e-11
    reference = solve_ivp(
        lambda _, s: velocity(s), (0, 1e4), list(start.values()), events=left, method="DOP853", rtol=rtol, atol=1e-14
    )
    assert found.exit_time == pytest.approx(reference.t_events[0][0], rel=2e-7 if name == "tanh" else 1e-8)


@given(closed, st.floats(0.1, 0.9), st.floats(0.05, 0.6), st.floats(0.01, 0.9))
@settings(max_examples=15, deadline=None)
def test_loss_decreases_along_the_flow(f, mu: float, scale: float, overlap: float) -> None:
    system = derive(f)
    path = integrate(system, {"u": scale, "m": overlap}, t_max=0.5, engine=SciPy(jit=False), mu=mu).states
    losses = []
    for u, m in zip(path.u.values, path.m.values, strict=True):
        at = {q: mu + u * m, r: mu**2 + 2 * u * mu * m + u**2}
        losses.append(float(system.loss.subs(at).evalf()))
    assert np.all(np.diff(losses) <= 1e-9 * max(1.0, losses[0]))


def test_relu_keeps_its_digits_at_tiny_scales() -> None:
    """At u = 1e-12 the velocity of u is linear in m and in u: no digit is lost in r - q^2."""
    velocity = compile_flow(derive("relu"), {"mu": 0.3})
    for scale in (1e-6, 1e-9, 1e-12):
        found = velocity(np.array([scale, 1e-3]))
        assert found[0] == pytest.approx(0.35 * 1e-3 - scale / 2, rel=1e-5)


def test_horizon_start_beyond_and_divergence_have_their_own_codes() -> None:
    stuck = integrate(derive("linear"), {"u": 1e-6, "m": 0.01}, event=Exit(0.5), t_max=10.0, mu=1.0)
    assert stuck.outcome is Outcome.HORIZON
    assert stuck.exit_time is None
    beyond = integrate(derive("linear"), {"u": 0.0, "m": 0.7}, event=Exit(0.5), t_max=1.0, mu=0.5)
    assert beyond.outcome is Outcome.EXITED
    assert beyond.exit_time == 0.0
    wild = integrate(derive("he20"), {"u": 1e9, "m": 0.1}, event=Exit(0.5), t_max=1.0, mu=0.5)
    assert wild.outcome in (Outcome.NOT_FINITE, Outcome.FAILED)
    assert wild.exit_time is None


def test_bad_parameters() -> None:
    system, start = derive("linear"), {"u": 0.0, "m": 0.1}
    with pytest.raises(ParameterError, match="accepted for this system"):
        integrate(system, start, t_max=1.0)
    with pytest.raises(ParameterError, match=r"\(0, 1\]"):
        integrate(system, start, t_max=1.0, mu=2.0)
    with pytest.raises(ParameterError, match="finite number for each"):
        integrate(system, {"m": 0.1}, t_max=1.0, mu=0.5)
    with pytest.raises(ParameterError, match="t_max"):
        integrate(system, start, t_max=-1.0, mu=0.5)
    with pytest.raises(ParameterError, match="threshold"):
        Exit(1.5)


def test_kappa_delays_the_exit() -> None:
    start = {"u": 1e-6, "m": 0.02}
    times = [
        integrate(derive("relu").sgd(), start, event=Exit(0.5), t_max=1e3, mu=0.4, kappa=k).exit_time
        for k in (0.0, 1.0, 3.0)
    ]
    assert times == sorted(times)
    flow = integrate(derive("relu"), start, event=Exit(0.5), t_max=1e3, mu=0.4).exit_time
    assert times[0] == pytest.approx(flow, rel=1e-8)
