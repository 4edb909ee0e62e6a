"""Engines: orders of convergence, agreement, stiffness, events, surrogates and the cache of compiled fields."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import scipy
import sympy as sp
from numba import njit

from numerics.flows.engines import explicit, implicit, tableau
from numerics.flows.engines.native import Runs
from numerics.flows.engines.problem import Problem, Solution
from numerics.flows.field import field
from numerics.flows.flow import Engine, Exit, Heyoka, Native, Outcome, SciPy, compile_flow, exit_times, integrate
from numerics.flows.stages import Stage, integrate_stages
from numerics.flows.surrogate import lookup, tabulate
from numerics.integrals.evaluate import evaluator
from theory.errors import ParameterError, QuadratureError, UnsupportedExpressionError
from theory.network.derivation import derive
from theory.network.system import GAP, System
from theory.symbols import q, r

NO_TABLE = np.empty(0)
START = {"u": 1e-8, "m": 0.01}
NATIVE = [Native("explicit"), Native("implicit"), Native()]
oracle = pytest.mark.skipif(find_spec("heyoka") is None, reason="heyoka has wheels for Linux only: pip install heyoka")
ORACLE = pytest.param(Heyoka(), marks=oracle)


def test_the_coefficients_are_those_of_scipy() -> None:
    theirs = scipy.integrate.DOP853
    assert np.array_equal(tableau.WEIGHTS, np.vstack([theirs.A, theirs.B]))
    assert np.array_equal(tableau.E3, theirs.E3)
    assert np.array_equal(tableau.E5, theirs.E5)


@njit
def call(function, y, p, table, out):
    function(y, p, table, out)


def by_fixed_steps(method: str, system: System, state: list[float], mu: float, time: float, count: int) -> np.ndarray:
    found, n, h = field(system), len(state), time / count
    y, p, scale = np.array(state), np.array([mu]), np.ones(n)
    k, new, slopes = np.empty((explicit.STAGES, n)), np.empty(n), np.empty(n * n)
    matrix, pivots = np.empty((n, n)), np.empty(n, np.int64)
    for _ in range(count):
        call(found.velocity, y, p, NO_TABLE, k[0])
        if method == "explicit":
            explicit.step(found.velocity, y, h, p, NO_TABLE, scale, k, new)
        else:
            call(found.jacobian, y, p, NO_TABLE, slopes)
            steep = slopes.reshape(n, n)
            implicit.step(found.velocity, steep, y, h, p, NO_TABLE, scale, k, new, matrix, pivots)
        y = new.copy()
    return y


@oracle
@pytest.mark.parametrize(("method", "order", "counts"), [("explicit", 8, (6, 8, 11)), ("implicit", 4, (40, 80, 160))])
def test_order_of_convergence(method: str, order: int, counts: tuple[int, ...]) -> None:
    system, state = derive("he2"), [0.2, 0.3]
    path = integrate(system, {"u": 0.2, "m": 0.3}, t_max=1.0, times=[1.0], engine=Heyoka(), mu=0.4).states
    exact = np.array([path.u.values[0], path.m.values[0]])
    errors = [np.abs(by_fixed_steps(method, system, state, 0.4, 1.0, count) - exact).max() for count in counts]
    slope = -np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert order - 0.6 < slope < order + 1.0


def test_implicit_method_is_l_stable() -> None:
    """On y' = z y the implicit method's stability function is exp(z) up to z^4, and vanishes at -oo."""
    points = np.array([-0.05, -0.1, -0.2])
    errors = [abs(_stability(z) - np.exp(z)) for z in points]
    assert 4.5 < np.polyfit(np.log(-points), np.log(errors), 1)[0] < 5.5
    assert abs(_stability(-1e9)) < 1e-6


def _stability(z: float) -> float:
    """R(z): one step of the implicit method with h = 1 on y' = z y, y = 1."""
    one, new, k = np.ones(1), np.empty(1), np.zeros((explicit.STAGES, 1))
    k[0], slope = z, np.array([[z]])
    implicit.step(_linear, slope, one, 1.0, slope[0], NO_TABLE, one, k, new, np.empty((1, 1)), np.empty(1, np.int64))
    return float(new[0])


@njit
def _linear(y, p, table, out):
    out[0] = p[0] * y[0]


CASES = [
    ("he3", "lora", START, {"mu": 0.2}),
    ("erf", "lora", START, {"mu": 0.3}),
    ("relu", "lora", START, {"mu": 0.95}),
    ("he2", "plain", {"m": 0.01}, {}),
    ("linear", "misaligned", {"u": 1e-6, "m": 0.01, "s": -0.02}, {"mu": 0.3, "rho": 0.7}),
    ("erf", "pretrain", {"q_s": 0.05, "q": 0.01, "r": 0.1}, {"c": 0.4}),
]


@oracle
@pytest.mark.parametrize(("name", "model", "start", "parameters"), CASES)
def test_engines_agree(name: str, model: str, start: dict[str, float], parameters: dict[str, float]) -> None:
    system = derive(name, model=model)
    state = system.states[0] if model == "pretrain" else sp.Symbol("m", real=True)
    event = Exit(0.5, next(s for s in system.states if s.name == state.name))
    engines: list[Engine] = [Heyoka(), *NATIVE, SciPy()]
    times = [
        integrate(system, start, event=event, t_max=1e6, rtol=1e-11, engine=engine, **parameters).exit_time
        for engine in engines
    ]
    assert None not in times
    assert times == pytest.approx([times[0]] * len(times), rel=1e-8)
    assert times[:4] == pytest.approx([times[0]] * 4, rel=1e-9)


@pytest.mark.parametrize("name", ["relu", "erf", "linear"])
@pytest.mark.parametrize("mu", [0.99, 0.999])
def test_stiff_search_costs_what_others_cost(name: str, mu: float) -> None:
    system = derive(name)
    runs = Runs(
        system,
        np.array([[mu]]),
        np.array([[1e-8, 0.01]]),
        index=1,
        threshold=0.9,
        rtol=1e-10,
        atol=np.array([[1e-18, 1e-12]]),
    )
    runs.advance(1e12)
    assert runs.outcomes == [Outcome.EXITED]
    assert runs.clocks[0, 2] < 3000
    reference = integrate(system, START, event=Exit(0.9), t_max=1e12, engine=SciPy(), mu=mu)
    assert runs.clocks[0, 0] == pytest.approx(reference.exit_time, rel=1e-8)


@pytest.mark.parametrize("name", ["erf", "relu", "he3", "x*Phi(x)"])
def test_jacobian_is_the_derivative_of_the_velocity(name: str) -> None:
    system = derive(name).sgd() if name == "relu" else derive(name)
    found = field(system)
    p = np.array([0.4, 1.5][: len(system.parameters)])
    y, slopes = np.array([0.3, 0.4]), np.empty(4)
    call(found.jacobian, y, p, NO_TABLE, slopes)
    for j in range(2):
        up, down, step = np.empty(2), np.empty(2), 1e-6 * np.eye(2)[j]
        call(found.velocity, y + step, p, NO_TABLE, up)
        call(found.velocity, y - step, p, NO_TABLE, down)
        assert slopes.reshape(2, 2)[:, j] == pytest.approx((up - down) / 2e-6, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("engine", [*NATIVE, SciPy(), SciPy("DOP853"), ORACLE])
def test_states_at_the_times_asked_for(engine: Engine) -> None:
    """dm/dt = 1 - m^2, m = tanh(t + artanh m0); states end with the exit."""
    times = np.linspace(0.0, 3.0, 7)
    system = derive("linear", model="plain")
    path = integrate(system, {"m": 0.1}, t_max=3.0, times=times, engine=engine).states
    assert path.t.values.tolist() == times.tolist()
    assert path.m.values == pytest.approx(np.tanh(times + np.arctanh(0.1)), rel=1e-8)
    stopped = integrate(system, {"m": 0.1}, event=Exit(0.8), t_max=3.0, times=times, engine=engine)
    assert stopped.exit_time == pytest.approx(np.arctanh(0.8) - np.arctanh(0.1), rel=1e-8)
    assert stopped.states.t.values.tolist() == [0.0, 0.5]
    steps = integrate(system, {"m": 0.1}, event=Exit(0.8), t_max=3.0, engine=engine).states
    assert steps.m.values[-1] == pytest.approx(0.8, rel=1e-8)


@pytest.mark.parametrize("engine", [*NATIVE, SciPy(), ORACLE])
def test_result_codes(engine: Engine) -> None:
    stuck = integrate(derive("linear"), {"u": 1e-6, "m": 0.01}, event=Exit(0.5), t_max=10.0, engine=engine, mu=1.0)
    assert (stuck.exit_time, stuck.outcome) == (None, Outcome.HORIZON)
    beyond = integrate(derive("linear"), {"u": 0.0, "m": 0.7}, event=Exit(0.5), t_max=1.0, engine=engine, mu=0.5)
    assert (beyond.exit_time, beyond.outcome) == (0.0, Outcome.EXITED)
    if engine != Heyoka():
        wild = integrate(derive("he20"), {"u": 1e20, "m": 0.1}, event=Exit(0.5), t_max=1.0, engine=engine, mu=0.5)
        assert (wild.exit_time, wild.outcome) == (None, Outcome.NOT_FINITE)


def test_grids_equal_single_runs_whatever_the_threads() -> None:
    system, alignments = derive("erf"), np.linspace(0.05, 1.0, 20)
    found = [
        exit_times(system, START, event=Exit(0.6), t_max=1e7, mu=alignments, threads=threads) for threads in (1, 2, 3)
    ]
    assert all(other.identical(found[0]) for other in found[1:])
    single = integrate(system, START, event=Exit(0.6), t_max=1e7, mu=float(alignments[3]))
    assert found[0].exit_time.values[3] == single.exit_time
    assert found[0].outcome.values[-1] == "HORIZON"
    assert np.isnan(found[0].exit_time.values[-1])
    assert (found[0].outcome.values[:-1] == "EXITED").all()


class Counted:
    """An engine of one's own: the reference, which keeps the problems that it was given."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def solve(self, problem: Problem) -> Solution:
        self.problems.append(problem)
        return SciPy("DOP853").solve(problem)


@pytest.mark.parametrize("engine", ["native", *NATIVE, "scipy", SciPy("Radau"), Counted(), ORACLE])
def test_every_engine_gives_the_same_grid_of_exit_times(engine: Engine | str) -> None:
    system, options = derive("erf"), {"event": Exit(0.6), "t_max": 100.0, "mu": [0.2, 0.3, 1.0], "rtol": 1e-11}
    found, known = exit_times(system, START, engine=engine, **options), exit_times(system, START, **options)
    assert found.outcome.values.tolist() == known.outcome.values.tolist() == ["EXITED", "EXITED", "HORIZON"]
    assert found.exit_time.values == pytest.approx(known.exit_time.values, rel=1e-8, nan_ok=True)


def test_an_engine_of_ones_own_is_the_one_that_integrates() -> None:
    system, own = derive("erf"), Counted()
    exit_times(system, START, event=Exit(0.6), t_max=1e5, mu=[0.3, 0.6], rtol=1e-9, engine=own)
    assert [problem.constants for problem in own.problems] == [(0.3,), (0.6,)]
    assert {problem.rtol for problem in own.problems} == {1e-9}
    paths = integrate_stages([Stage(system, 1e5, Exit(0.2)), Stage(system, 1e5, Exit(0.6))], START, mu=0.3, engine=own)
    assert [problem.threshold for problem in own.problems[2:]] == [0.2, 0.6]
    assert paths[1].exit_time == pytest.approx(
        integrate_stages([Stage(system, 1e5, Exit(0.2)), Stage(system, 1e5, Exit(0.6))], START, mu=0.3)[1].exit_time,
        rel=1e-7,
    )


@pytest.mark.parametrize("engine", ["rk4", SciPy, 3])
def test_what_is_no_engine_is_refused(engine: object) -> None:
    with pytest.raises(ParameterError, match="accepted: native, scipy, heyoka"):
        exit_times(derive("linear"), START, event=Exit(0.5), t_max=1.0, mu=0.3, engine=engine)


@pytest.mark.parametrize(
    ("start", "parameters", "words"),
    [
        ({"u": [0.1, 0.2], "m": 0.1}, {"mu": [0.1, 0.2, 0.3]}, "one length"),
        ({"u": 0.1}, {"mu": 0.3}, "start"),
        ({"u": 0.1, "m": np.nan}, {"mu": 0.3}, "finite"),
        ({"u": 0.1, "m": 0.1}, {"mu": [0.3, 1.3]}, "mu = 1.3"),
        ({"u": 0.1, "m": 0.1}, {"mu": 0.3, "threads": 0}, "threads"),
    ],
)
def test_bad_grids(start: dict, parameters: dict, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        exit_times(derive("linear"), start, event=Exit(0.5), t_max=1.0, **parameters)


def test_bad_engines_and_times() -> None:
    for engine, known in ((Native, "auto"), (SciPy, "LSODA")):
        with pytest.raises(ParameterError, match=known):
            engine("rk4")
    for times in ([0.0, 2.0], [0.5, 0.5], [], [-1.0]):
        with pytest.raises(ParameterError, match="ascending"):
            integrate(derive("linear"), START, t_max=1.0, times=times, mu=0.3)


@oracle
def test_what_the_oracle_cannot_do_is_refused() -> None:
    with pytest.raises(UnsupportedExpressionError, match="closed form"):
        integrate(derive("tanh"), START, t_max=1.0, engine=Heyoka(), mu=0.3)
    with pytest.raises(UnsupportedExpressionError, match="Phi2"):
        integrate(derive("max(x - 1, 0)"), START, t_max=1.0, engine=Heyoka(), mu=0.3)


def test_a_surrogate_is_as_good_as_its_error() -> None:
    system = derive("sigmoid")
    functions = tuple(system.guarded_functions.values())
    found = tabulate(functions, 0.1, 2.0, tolerance=1e-9)
    direct, rng = evaluator((q, r, GAP), functions), np.random.default_rng(5)
    for _ in range(20):
        theta, norm = rng.uniform(-np.pi / 2, np.pi / 2), rng.uniform(0.1, 2.0)
        out, gap = np.empty(2), norm * np.cos(theta) ** 2
        lookup(found.table, 2, theta, np.log(norm), out)
        exact = direct.values(norm**0.5 * np.sin(theta), norm, gap, gap=gap, tolerance=1e-13)
        assert out == pytest.approx(exact, abs=1e-9)
    lookup(found.table, 2, 0.1, np.log(2.1), out)
    assert np.isnan(out).all()
    with pytest.raises(QuadratureError, match=r"larger (tolerance|rtol)"):
        tabulate((sp.Abs(q - r / 3),), 1.0, 1.0, tolerance=1e-12)


def test_flow_on_a_surrogate_is_the_flow_on_quadrature() -> None:
    system, start = derive("sigmoid"), {"u": 1e-6, "m": 0.02}
    event = Exit(0.5)
    fast = integrate(system, start, event=event, t_max=1e5, mu=0.4)
    slow = integrate(system, start, event=event, t_max=1e5, rtol=1e-9, engine=SciPy(), mu=0.4)
    assert fast.exit_time == pytest.approx(slow.exit_time, rel=1e-7)
    stiff = integrate(system, start, event=event, t_max=1e5, engine=Native("implicit"), mu=0.4)
    assert stiff.exit_time == pytest.approx(fast.exit_time, rel=1e-9)


def test_a_run_that_leaves_the_surrogate_widens_it() -> None:
    """From |w| = 1 a scale u = -60 relaxes through norms far below and above those of the first table."""
    system = derive("sigmoid")
    runs = Runs(
        system,
        np.array([[0.01]]),
        np.array([[0.011, -0.95]]),
        index=-1,
        threshold=np.inf,
        rtol=1e-8,
        atol=np.array([[1e-10, 1e-10]]),
    )
    before = runs._surrogate
    runs.advance(400.0)
    assert runs.outcomes == [Outcome.HORIZON]
    velocity = compile_flow(system, {"mu": 0.01})
    assert np.isfinite(velocity(runs.states[0])).all()
    assert before is not None
    assert runs._surrogate is not None
    assert runs._surrogate.low <= before.low


def test_a_start_without_length_is_refused() -> None:
    with pytest.raises(ParameterError, match="positive"):
        integrate(derive("sigmoid", model="pretrain"), {"q_s": 0.0, "q": 0.0, "r": 0.0}, t_max=1.0, c=0.5)


CHILD = """
from numerics.flows.flow import Exit, integrate
from theory.network.derivation import derive
print(integrate(derive("linear"), {"u": 1e-6, "m": 0.01}, event=Exit(0.5), t_max=100.0, mu=0.3).exit_time)
"""


@pytest.mark.slow
def test_compiled_fields_are_kept_between_processes(tmp_path: Path) -> None:
    environment = {**os.environ, "HERMESCAPE_CACHE": str(tmp_path)}
    runs = [subprocess.check_output([sys.executable, "-c", CHILD], env=environment, text=True) for _ in range(2)]
    assert runs[0] == runs[1]
    modules = list((tmp_path / "native").glob("hermescape_*.py"))
    assert len(modules) == 1
    assert list((tmp_path / "native" / "__pycache__").glob("*.nbi"))
    modules[0].write_text("raise SystemExit")
    assert subprocess.check_output([sys.executable, "-c", CHILD], env=environment, text=True) == runs[0]
