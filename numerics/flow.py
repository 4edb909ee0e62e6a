r"""Integration of the derived flow with event location, exit times, and a result code in place of bad numbers.

The right-hand side is evaluated in three compiled stages: (q, r, r - q^2) from the states, (L_q, L_r, J) from these,
velocities from all of them. L is never expanded in the states, and r - q^2 comes from its own formula. Time is
t = eta * step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.integrate import LSODA
from scipy.optimize import brentq
from sympy import Symbol

from numerics.codegen import compile_function
from numerics.evaluate import Evaluator, evaluator
from theory.errors import ParameterError
from theory.expectations import is_closed
from theory.symbols import MEANINGS, m, q, r
from theory.system import GAP, System, guard_in_states

__all__ = ["Exit", "Outcome", "Trajectory", "compile_flow", "integrate"]

Array = NDArray[np.float64]
RightHandSide = Callable[[Array], Array]


class Outcome(Enum):
    """How an integration ended; the value says what to do about it."""

    EXITED = "the event was reached"
    HORIZON = "the event was not reached by the time limit: raise t_max, or the flow is trapped"
    NOT_FINITE = "the right-hand side left the finite numbers: the flow diverges from this start"
    FAILED = "the integrator could not reach its tolerance: loosen rtol"


@dataclass(frozen=True)
class Exit:
    """The event that |state| reaches a threshold from below."""

    threshold: float
    state: Symbol = m

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise ParameterError(f"threshold = {self.threshold!r} given; accepted: a number in (0, 1); try 0.5")


@dataclass(frozen=True)
class Trajectory:
    """A solution of the flow: `states` with dimension `t` (eta * step), the exit time or None, and the outcome."""

    states: xr.Dataset
    exit_time: float | None
    outcome: Outcome


class _Key:
    """A system hashed by what it says, so that compiled stages are found again."""

    def __init__(self, system: System) -> None:
        self.system = system
        loss = system.loss_function
        velocities = tuple(system.velocities[s] for s in system.states)
        seen = (loss.student.expr, loss.teacher.expr, loss.labels.second_moment)
        self._content = (*seen, system.states, system.parameters, system.gap, velocities)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)


@lru_cache(maxsize=64)
def _stages(key: _Key, jit: bool) -> tuple[Callable, Evaluator | None, Callable | None]:
    system = key.system
    inputs = (*system.states, *system.parameters)
    functions = system.guarded_functions
    if all(is_closed(f) for f in functions.values()):
        closed = guard_in_states(system, system.functions)
        return (
            compile_function(inputs, [system.velocities[s].xreplace(closed) for s in system.states], jit=jit),
            None,
            None,
        )
    arguments = compile_function(inputs, [system.arguments[q], system.arguments[r], system.gap], jit=jit)
    velocities = compile_function((*inputs, *functions), [system.velocities[s] for s in system.states], jit=jit)
    return arguments, evaluator((q, r, GAP), tuple(functions.values())), velocities


def compile_flow(
    system: System, parameters: Mapping[str, float], *, jit: bool = True, tolerance: float = 1e-10
) -> RightHandSide:
    """Return f with f(state) = d(state)/dt, for given values of the system's parameters (by name).

    `tolerance` is that of expectations without a closed form, relative to the expectation of the modulus.
    Raises `ParameterError` for missing, unknown or out-of-domain parameters.

    >>> from theory.dynamics import derive
    >>> compile_flow(derive("linear"), {"mu": 0.5}, jit=False)(np.array([0.0, 0.1]))
    array([0.05, 0.  ])
    """
    constants = _constants(system, parameters)
    first, inner, last = _stages(_Key(system), jit)
    if inner is None or last is None:
        return lambda state: np.array(first(*state, *constants))

    def velocity(state: Array) -> Array:
        overlap, variance, gap = first(*state, *constants)
        if not np.isfinite(overlap + variance):
            return np.full(len(state), np.nan)
        values = inner.values(overlap, variance, gap, gap=gap, tolerance=tolerance)
        return np.array(last(*state, *constants, *values))

    return velocity


def _constants(system: System, parameters: Mapping[str, float]) -> tuple[float, ...]:
    names = [p.name for p in system.parameters]
    if set(names) != set(parameters):
        raise ParameterError(
            f"parameters {sorted(parameters)} given; accepted for this system: {names}; pass each of them by name."
        )
    system.model.check(parameters)
    return tuple(float(parameters[name]) for name in names)


def integrate(
    system: System,
    start: Mapping[str, float],
    *,
    event: Exit | None = None,
    t_max: float,
    rtol: float = 1e-10,
    jit: bool = True,
    **parameters: float,
) -> Trajectory:
    """Integrate the flow from `start` until the event or `t_max` (t = eta * step) with SciPy's LSODA.

    Args:
        system: a derived system.
        start: initial value of every state, by name.
        event: where to stop; None integrates to `t_max`.
        t_max: time limit; an event not reached by then gives `exit_time` None and `Outcome.HORIZON`.
        rtol: relative tolerance of the integrator; absolute tolerances follow the size of the start.
        jit: compile the right-hand side to native code (a second, once for each system).
        parameters: mu and whatever else the system depends on.

    Raises:
        ParameterError: parameters or start do not fit the system.

    >>> from theory.dynamics import derive
    >>> result = integrate(derive("linear"), {"u": 1e-6, "m": 0.01}, event=Exit(0.5), t_max=100.0, jit=False, mu=0.3)
    >>> result.outcome.name, round(result.exit_time, 6)
    ('EXITED', 11.849856)
    """
    names = [s.name for s in system.states]
    if set(start) != set(names) or not all(np.isfinite(v) for v in start.values()):
        raise ParameterError(f"start {dict(start)!r} given; accepted: a finite number for each of {names}.")
    if not (np.isfinite(t_max) and t_max > 0):
        raise ParameterError(f"t_max = {t_max!r} given; accepted: a finite time > 0, in units of eta * step.")
    tolerance = max(rtol, 1e-13)
    velocity = compile_flow(system, parameters, jit=jit, tolerance=tolerance)
    initial = np.array([float(start[name]) for name in names])
    return _run(system, velocity, initial, event, t_max, tolerance)


def _run(
    system: System, velocity: RightHandSide, initial: Array, event: Exit | None, t_max: float, rtol: float
) -> Trajectory:
    height = _height(system, event)
    times, states = [0.0], [initial]

    def finish(outcome: Outcome, exit_time: float | None = None) -> Trajectory:
        return Trajectory(_dataset(system, np.array(times), np.array(states)), exit_time, outcome)

    if height(initial) >= 0:
        return finish(Outcome.EXITED, 0.0)
    with np.errstate(all="ignore"):
        if not np.all(np.isfinite(velocity(initial))):
            return finish(Outcome.NOT_FINITE)
        absolute = rtol * np.maximum(np.abs(initial), 1e-12)
        solver = LSODA(lambda _, state: velocity(state), 0.0, initial, t_max, rtol=rtol, atol=absolute)
        while solver.status == "running":
            solver.step()
            if not np.all(np.isfinite(solver.y)):
                return finish(Outcome.NOT_FINITE)
            if solver.status == "failed":
                finite = np.all(np.isfinite(velocity(states[-1])))
                return finish(Outcome.FAILED if finite else Outcome.NOT_FINITE)
            before, after = times[-1], float(solver.t)
            if height(solver.y) >= 0:
                path = solver.dense_output()
                hit = _locate(height, path, before, after)
                times.append(hit)
                states.append(np.asarray(path(hit)))
                return finish(Outcome.EXITED, hit)
            times.append(after)
            states.append(solver.y.copy())
    return finish(Outcome.HORIZON)


def _locate(height: Callable[[Array], float], path: Callable[[float], Array], before: float, after: float) -> float:
    return float(brentq(lambda t: height(path(t)), before, after, xtol=1e-14 * after, rtol=1e-15))


def _height(system: System, event: Exit | None) -> Callable[[Array], float]:
    if event is None:
        return lambda _: -1.0
    index = system.states.index(event.state)
    return lambda state: abs(float(state[index])) - event.threshold


def _dataset(system: System, times: Array, states: Array) -> xr.Dataset:
    """Return the path as labelled arrays over t = eta * step."""
    columns = {s.name: ("t", states[:, i], {"long_name": MEANINGS[s]}) for i, s in enumerate(system.states)}
    return xr.Dataset(columns, {"t": ("t", times, {"long_name": "time", "units": "eta * step"})})
