"""The stochastic differential equation against the exact simulation: increments, and the mean path at kappa = 4."""

import numpy as np
import pytest
import sympy as sp

from hermescape.api import experiment
from numerics.flows.flow import compile_flow, integrate
from numerics.flows.sde import paths, random_start
from numerics.integrals.evaluate import evaluator
from numerics.simulation.montecarlo import trajectories
from numerics.simulation.statistics import ExitSample, Status
from theory.errors import InputError, ParameterError
from theory.network.derivation import derive
from theory.network.system import System
from theory.symbols import d, kappa, q, r

DIMENSION, BATCH, STEP = 10_000, 50, 0.02  # kappa = 4
KAPPA = STEP * DIMENSION / BATCH


def diffusion_at(
    system: System, matrix: sp.Matrix, state: dict[str, float], parameters: dict[str, float]
) -> np.ndarray:
    """A derived matrix at one point; moments without a closed form by quadrature."""
    values: dict[sp.Symbol, float] = {symbol: state[symbol.name] for symbol in system.states}
    values |= {symbol: parameters[symbol.name] for symbol in system.parameters} | {kappa: KAPPA, d: DIMENSION}
    functions = system.diffusion_functions
    at = [float(system.entries[name].subs(values)) for name in (q, r)]
    estimates = evaluator((q, r), tuple(functions.values()))(*at)
    values |= {name: estimate.value for name, estimate in zip(functions, estimates, strict=True)}
    return np.array(matrix.subs(values), float)


CASES = {
    "relu aligned": ("relu", None, {"mu": 0.4}, {"u": 0.3, "m": 0.6}, {}),
    "erf aligned, far": ("erf", None, {"mu": 0.7}, {"u": -0.4, "m": -0.5}, {}),
    "he3 on relu": ("he3", "relu", {"mu": 0.3}, {"u": 0.2, "m": 0.3}, {}),
    "linear on sign": ("linear", "sign", {"mu": 0.5}, {"u": 0.2, "m": 0.1}, {}),
    "erf misaligned, noisy": ("erf", None, {"mu": 0.3, "rho": 0.6}, {"u": 0.5, "m": 0.4, "s": 0.25}, {"noise": 0.3}),
    "relu misaligned": ("relu", None, {"mu": -0.2, "rho": 0.5}, {"u": 0.4, "m": 0.5, "s": -0.1}, {}),
    "erf on abs(y)": ("erf", "linear", {"mu": 0.4}, {"u": 0.3, "m": 0.4}, {"label": "abs(y)"}),
}


def increments(name: str, replicas: int) -> tuple[System, np.ndarray]:
    """One SGD step from one state, many times: the increments of the states, (states, replicas)."""
    student, teacher, parameters, state, extra = CASES[name]
    misaligned = "rho" in parameters
    system = derive(student, teacher, model="misaligned" if misaligned else "lora", **extra)
    one = experiment(
        student, teacher, **parameters, **extra, dimension=DIMENSION, batch=BATCH, step_size=STEP,
        threshold=None, replicas=replicas, seed=11, max_steps=1,
    )  # fmt: skip
    m, parts = state["m"], [state["u"], state["m"]]
    if misaligned:
        height = np.sqrt(parameters["rho"] ** 2 - parameters["mu"] ** 2)
        parts.append((state["s"] - parameters["mu"] * m) / height)
    column = np.array([*parts, np.sqrt(1 - sum(part**2 for part in parts[1:]))])
    ends = np.full(replicas, -1), np.full(replicas, Status.CENSORED, np.int8)
    start = ExitSample(one, *ends, np.tile(column[:, None], replicas))
    after = trajectories(one, [1], start=start)
    return system, np.array([after[s.name].values[:, 0] - state[s.name] for s in system.states])


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_covariance_and_mean_of_increments_element_by_element(name: str) -> None:
    """Over one step Cov = eta D up to O(eta) corrections; each element within 5 standard errors plus that bias.

    A standard error of a variance is a part in a hundred of 16,000 runs: an element that is off by a tenth is seen.
    """
    _, _, parameters, state, _ = CASES[name]
    replicas = 16_000
    system, moved = increments(name, replicas)
    measured = np.cov(moved) / STEP
    derived = diffusion_at(system, system.diffusion, state, parameters)
    centred = moved - moved.mean(axis=1, keepdims=True)
    scale = np.sqrt(np.outer(np.diag(derived), np.diag(derived)))
    for i in range(len(derived)):
        for j in range(len(derived)):
            error = np.std(centred[i] * centred[j]) / STEP / np.sqrt(replicas)
            assert abs(measured[i, j] - derived[i, j]) < 5 * error + 0.02 * scale[i, j], (i, j)
    noisy = system.sgd()
    drift = compile_flow(noisy, {**parameters, "kappa": KAPPA})(np.array([state[s.name] for s in system.states]))
    error = moved.std(axis=1) / STEP / np.sqrt(replicas)
    assert np.all(np.abs(moved.mean(axis=1) / STEP - drift) < 5 * error + 0.03 * np.abs(drift).max())


@pytest.mark.slow
def test_the_fluctuation_of_the_norm_is_needed_at_finite_kappa() -> None:
    """The control: the covariance of the gradient's projections alone is far from what is measured."""
    _, _, parameters, state, _ = CASES["relu aligned"]
    system, moved = increments("relu aligned", 40_000)
    whole = diffusion_at(system, system.diffusion, state, parameters)
    projections = diffusion_at(system, system.covariance(norm=False), state, parameters)
    measured = np.cov(moved) / STEP
    assert measured[1, 1] == pytest.approx(whole[1, 1], rel=0.05)
    assert abs(measured[1, 1] - projections[1, 1]) > 0.3 * whole[1, 1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["linear", "relu"])
def test_mean_path_at_kappa_4_where_the_plain_flow_is_far_outside(name: str) -> None:
    """|m| of 1,500 paths each, d = 1e4: the equation within 4 standard errors of SGD, the flow beyond 10."""
    mu, replicas = 0.5, 1500
    times = np.array([5.0, 15.0, 25.0, 35.0, 60.0])
    sgd = experiment(
        name, mu=mu, dimension=DIMENSION, batch=BATCH, step_size=STEP, threshold=None, replicas=replicas, seed=3,
        max_steps=int(times[-1] / STEP),
    )  # fmt: skip
    exact = np.abs(trajectories(sgd, [round(t / STEP) for t in times]).m.values)
    system = derive(name)
    start = random_start(system, DIMENSION, replicas, seed=4, mu=mu)
    found = paths(system, start, times, dimension=DIMENSION, kappa=KAPPA, dt=STEP, replicas=replicas, seed=5, mu=mu)
    equation = np.abs(found.m.values)
    error = np.sqrt(exact.var(axis=0) + equation.var(axis=0)) / np.sqrt(replicas)
    assert np.all(np.abs(exact.mean(axis=0) - equation.mean(axis=0)) < 4 * error + 2 * STEP * exact.mean(axis=0))
    median = {"u": DIMENSION**-2.0, "m": float(np.median(np.abs(start["m"])))}
    flow = integrate(system, median, t_max=float(times[-1]), mu=mu).states
    away = np.abs(np.interp(times, flow.t.values, flow.m.values) - exact.mean(axis=0)) / (
        exact.std(axis=0) / np.sqrt(replicas)
    )
    assert away.max() > 10


def test_kappa_zero_is_the_flow() -> None:
    system = derive("erf", model="misaligned")
    parameters = {"mu": 0.2, "rho": 0.4}
    start = {"u": 1e-3, "m": 0.05, "s": 0.01}
    found = paths(system, start, [5.0], dimension=1e6, kappa=0.0, dt=1e-4, replicas=1, seed=0, norm=False, **parameters)
    flow = integrate(system, start, t_max=5.0, **parameters).states
    for name in start:
        assert float(found[name][0, 0]) == pytest.approx(float(flow[name][-1]), rel=2e-3)


def test_paths_depend_on_seed_and_index_only() -> None:
    system, start = derive("linear"), {"u": 1e-3, "m": 0.1}
    shared = {"dimension": 1e4, "kappa": 1.0, "dt": 0.05, "seed": 1, "mu": 0.3}
    few = paths(system, start, [1.0, 2.0], replicas=2, **shared)
    many = paths(system, start, [2.0], replicas=5, **shared)
    assert np.array_equal(few.m.values[:, 1], many.m.values[:2, 0])


def test_bad_input() -> None:
    system, shared = derive("linear"), {"dimension": 1e4, "kappa": 1.0, "dt": 0.05, "replicas": 2, "seed": 1}
    good = {"u": 1e-3, "m": 0.1}
    with pytest.raises(InputError, match="no closed form"):
        paths(derive("tanh"), good, [1.0], mu=0.5, **shared)
    with pytest.raises(ParameterError, match="start"):
        paths(system, {"u": 0.1}, [1.0], mu=0.5, **shared)
    with pytest.raises(ParameterError, match="times"):
        paths(system, good, [2.0, 1.0], mu=0.5, **shared)
    with pytest.raises(ParameterError, match="parameters"):
        paths(system, good, [1.0], **shared)
    with pytest.raises(ParameterError, match="rho"):
        paths(derive("erf", model="misaligned"), {**good, "s": 0.0}, [1.0], mu=0.5, rho=0.3, **shared)
    with pytest.raises(ParameterError, match="dt"):
        paths(system, good, [1.0], mu=0.5, **{**shared, "dt": 0.0})
