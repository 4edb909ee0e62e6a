"""The reference: SciPy's integrators on a right-hand side that evaluates every expectation itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy

from numerics.accuracy import SURROGATE
from numerics.compile.codegen import compile_function
from numerics.flows.engines.problem import Array, Outcome, Problem, Solution
from numerics.flows.field import Field, field
from numerics.integrals.evaluate import OnCovariance, on_covariance
from theory.errors import ParameterError
from theory.network.system import System, guard_in_states
from theory.symbols import q, r

__all__ = ["SciPy", "right_hand_side"]

_METHODS = ("LSODA", "DOP853", "Radau")


@dataclass(frozen=True)
class SciPy:
    """Any of SciPy's "LSODA", "DOP853", "Radau"; `jit` compiles the right-hand side."""

    method: str = "LSODA"
    jit: bool = True

    def __post_init__(self) -> None:
        if self.method not in _METHODS:
            raise ParameterError(f"method = {self.method!r} given; accepted: {', '.join(_METHODS)}; try LSODA.")

    def solve(self, problem: Problem) -> Solution:
        """Integrate; quadrature, where there is any, runs at every evaluation."""
        velocity = right_hand_side(problem.system, problem.constants, jit=self.jit, tolerance=problem.rtol)
        with np.errstate(all="ignore"):
            times, states, hit, outcome = self._run(problem, velocity)
        return Solution(np.array(times), np.array(states), hit, outcome)

    def _run(
        self, problem: Problem, velocity: Callable[[Array], Array]
    ) -> tuple[list[float], list[Array], float | None, Outcome]:
        wanted = None if problem.times is None else list(problem.times)
        times: list[float] = []
        states: list[Array] = []

        def record(until: float, path: Callable[[float], Array]) -> None:
            while wanted and wanted[0] <= until:
                times.append(float(wanted.pop(0)))
                states.append(np.array(path(times[-1])))
            if wanted is None:
                times.append(until)
                states.append(np.array(path(until)))

        record(0.0, lambda _: problem.initial)
        if problem.height(problem.initial) >= 0:
            return times, states, 0.0, Outcome.EXITED
        if not np.all(np.isfinite(velocity(problem.initial))):
            return times, states, None, Outcome.NOT_FINITE
        solver = getattr(scipy.integrate, self.method)(
            lambda _, state: velocity(state),
            0.0,
            problem.initial,
            problem.t_max,
            rtol=problem.rtol,
            atol=problem.atol,
        )
        before, last = 0.0, problem.initial
        while solver.status == "running":
            solver.step()
            if not np.all(np.isfinite(solver.y)):
                return times, states, None, Outcome.NOT_FINITE
            if solver.status == "failed":
                finite = np.all(np.isfinite(velocity(last)))
                return times, states, None, Outcome.FAILED if finite else Outcome.NOT_FINITE
            path, now = solver.dense_output(), float(solver.t)
            if problem.height(solver.y) >= 0:
                hit = _locate(lambda t, path=path: problem.height(path(t)), before, now)
                record(hit, path)
                return times, states, hit, Outcome.EXITED
            record(now, path)
            before, last = now, solver.y.copy()
        return times, states, None, Outcome.HORIZON


def _locate(height: Callable[[float], float], before: float, after: float) -> float:
    return float(scipy.optimize.brentq(height, before, after, xtol=1e-14 * after, rtol=1e-15))


@lru_cache(maxsize=64)
def _stages(system_field: Field, jit: bool) -> tuple[Callable, OnCovariance | None, Callable | None]:
    system, inputs = system_field.system, system_field.inputs
    velocities = [system.velocities[s] for s in system.states]
    if system_field.is_closed:
        closed = guard_in_states(system, system.functions)
        return compile_function(inputs, [v.xreplace(closed) for v in velocities], jit=jit), None, None
    arguments = compile_function(inputs, [system.entries[q], system.entries[r], system.gap], jit=jit)
    last = compile_function((*inputs, *system_field.functions), velocities, jit=jit)
    return arguments, on_covariance(tuple(system.functions.values())), last


def right_hand_side(
    system: System, constants: tuple[float, ...], *, jit: bool = True, tolerance: float = SURROGATE
) -> Callable[[Array], Array]:
    """Return f(state) = d(state)/dt in three stages, expectations without a closed form by quadrature."""
    first, inner, last = _stages(field(system), jit)
    if inner is None or last is None:
        return lambda state: np.array(first(*state, *constants))

    def velocity(state: Array) -> Array:
        overlap, variance, gap = first(*state, *constants)
        if not np.isfinite(overlap + variance):
            return np.full(len(state), np.nan)
        values = inner.values(overlap, variance, gap, tolerance=tolerance)
        return np.array(last(*state, *constants, *values))

    return velocity
