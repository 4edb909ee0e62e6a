r"""Integration of the derived flow with event location, exit times, and a result code in place of bad numbers.

The right-hand side is evaluated in three stages: (q, r, r - q^2) from the states, (L_q, L_r, J) from these,
velocities from all of them. L is never expanded in the states, and r - q^2 comes from its own formula. Engines are
interchangeable (`numerics.flows.engines`): `Native`, compiled, is the default, `SciPy` the reference, `Heyoka` an
oracle. Time is t = eta * step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sympy import Symbol

from numerics.accuracy import FLOW_RTOL, SMALLEST_FLOW_RTOL, SURROGATE
from numerics.flows.engines.choose import chosen
from numerics.flows.engines.native import Native, Runs
from numerics.flows.engines.problem import Engine, Outcome, Problem, Solution
from numerics.flows.engines.reference import SciPy, right_hand_side
from numerics.flows.engines.taylor import Heyoka
from numerics.parameters import PARAMETERS
from numerics.workers import available_threads
from theory.calculus.expectations import is_closed
from theory.errors import ParameterError
from theory.lazy import Provided
from theory.network.derivation import takes_families
from theory.network.system import System
from theory.shown import Row, Shown, meanings
from theory.symbols import MEANINGS, m

if TYPE_CHECKING:
    from numerics.labelled import Labelled

__all__ = [
    "Engine",
    "Exit",
    "Heyoka",
    "Native",
    "Outcome",
    "SciPy",
    "Trajectory",
    "compile_flow",
    "exit_times",
    "integrate",
]

Array = NDArray[np.float64]
RightHandSide = Callable[[Array], Array]


@dataclass(frozen=True)
class Exit:
    """The event that |state| reaches a threshold from below."""

    threshold: float
    state: Symbol = m

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise ParameterError(f"threshold = {self.threshold!r} given; accepted: a number in (0, 1); try 0.5")


@dataclass(frozen=True)
class Trajectory(Shown):
    """A solution of the flow.

    Attributes:
        solution: times and states as plain arrays.
        names: of the states, in its order.
    """

    shows = "outcome, exit_time, times, end"

    plot = Provided()
    """draws the states over time"""

    solution: Solution
    names: tuple[Symbol, ...]

    @property
    def exit_time(self) -> float | None:
        """When the event came, in eta * step; None where it did not."""
        return self.solution.exit_time

    def exit_steps(self, step_size: float) -> float | None:
        """The same in SGD steps of this size, t / eta; None where it did not come."""
        return None if self.exit_time is None else self.exit_time / step_size

    @property
    def times(self) -> Array:
        """Times of the path, t = eta * step."""
        return self.solution.times

    def quantities(self) -> list[Row]:
        """How and when it ended, in t and in steps of the default size."""
        outcome, *rest = super().quantities()
        size = PARAMETERS["step_size"].default
        steps = Row(
            f"exit_steps({size})", self.exit_steps(size), f"{meanings(Trajectory)['exit_steps']}; here eta = {size}"
        )
        return [replace(outcome, meaning=self.outcome.value), rest[0], steps, *rest[1:]]

    @property
    def outcome(self) -> Outcome:
        """How it ended."""
        return self.solution.outcome

    @property
    def end(self) -> dict[str, float]:
        """The last state, by name."""
        return {s.name: float(value) for s, value in zip(self.names, self.solution.states[-1], strict=True)}

    @property
    def columns(self) -> dict[str, Array]:
        """The path as plain arrays by name, over `solution.times`."""
        return {s.name: self.solution.states[:, i] for i, s in enumerate(self.names)}

    @cached_property
    def states(self) -> Labelled:
        """The path as labelled arrays over t = eta * step."""
        from numerics.labelled import Labelled

        columns = {
            s.name: ("t", values, {"long_name": MEANINGS.get(s, str(s))})
            for s, values in zip(self.names, self.columns.values(), strict=True)
        }
        times = ("t", self.solution.times, {"long_name": "time", "units": "eta * step"})
        return Labelled(columns, {"t": times}, {"title": "Path of the flow"})


@takes_families
def compile_flow(
    system: System, parameters: Mapping[str, float], *, jit: bool = True, tolerance: float = SURROGATE
) -> RightHandSide:
    """Return f with f(state) = d(state)/dt, for given values of the system's parameters (by name).

    `tolerance` is that of expectations without a closed form, relative to the expectation of the modulus.
    Raises `ParameterError` for missing, unknown or out-of-domain parameters.

    >>> from theory.network.derivation import derive
    >>> compile_flow(derive("linear"), {"mu": 0.5}, jit=False)(np.array([0.0, 0.1]))
    array([0.05, 0.  ])
    """
    return right_hand_side(system, _constants(system, parameters), jit=jit, tolerance=tolerance)


def _check_names(system: System, parameters: Iterable[str]) -> None:
    names = [p.name for p in system.parameters]
    if set(names) != set(parameters):
        raise ParameterError(
            f"parameters {sorted(parameters)} given; accepted for this system: {names}; pass each of them by name."
        )


def _constants(system: System, parameters: Mapping[str, float]) -> tuple[float, ...]:
    _check_names(system, parameters)
    names = [p.name for p in system.parameters]
    system.network.accepts(parameters)
    return tuple(float(parameters[name]) for name in names)


@takes_families
def integrate(
    system: System,
    start: Mapping[str, float],
    *,
    event: Exit | None = None,
    t_max: float,
    rtol: float = FLOW_RTOL,
    times: Sequence[float] | None = None,
    engine: Engine | str | None = None,
    **parameters: float,
) -> Trajectory:
    """Integrate the flow from `start` until the event or `t_max` (t = eta * step).

    Args:
        system: a derived system.
        start: initial value of every state, by name.
        event: where to stop; None integrates to `t_max`.
        t_max: time limit; an event not reached by then gives `exit_time` None and `Outcome.HORIZON`.
        rtol: relative tolerance of a step; absolute tolerances follow the size of the start.
        times: times at which states are wanted, ascending in [0, t_max]; the integrator's steps by default.
        engine: `Native()` by default; another, one of your own, or "native", "scipy", "heyoka".
        parameters: mu and whatever else the system depends on.

    Raises:
        ParameterError: parameters, times or start do not fit the system.
        QuadratureError: an expectation that does not reach its tolerance.

    >>> from theory.network.derivation import derive
    >>> result = integrate(derive("linear"), {"u": 1e-6, "m": 0.01}, event=Exit(0.5), t_max=100.0, mu=0.3)
    >>> result.outcome.name, round(result.exit_time, 6)
    ('EXITED', 11.849856)
    """
    names = [s.name for s in system.states]
    if set(start) != set(names) or not all(np.isfinite(v) for v in start.values()):
        raise ParameterError(f"start {dict(start)!r} given; accepted: a finite number for each of {names}.")
    _check_horizon(t_max)
    constants = _constants(system, parameters)
    if system.network.domain:
        system = _members(system, [parameters])[0][0]
        constants = _constants(system, _left(system, parameters))
    problem = Problem(
        system=system,
        constants=constants,
        initial=np.array([float(start[name]) for name in names]),
        index=-1 if event is None else system.states.index(event.state),
        threshold=np.inf if event is None else event.threshold,
        t_max=float(t_max),
        rtol=max(rtol, SMALLEST_FLOW_RTOL),
        times=None if times is None else _ascending(times, t_max),
    )
    return Trajectory(chosen(engine).solve(problem), system.states)


def _members(system: System, rows: Sequence[Mapping[str, float]]) -> list[tuple[System, list[int]]]:
    """Return the systems of a family for rows of parameters; without a closed form, one for each set of values.

    There a table takes the place of the loss, which is made for numbers.
    """
    put = bool(system.network.domain) and not all(is_closed(f) for f in system.functions.values())
    return system.grouped(rows, put=put)


def _left(system: System, parameters: Mapping[str, float]) -> dict[str, float]:
    """Return the parameters without those that have been put in."""
    kept = {p.name for p in system.parameters}
    return {name: value for name, value in parameters.items() if name in kept}


def _check_horizon(t_max: float) -> None:
    if not (np.isfinite(t_max) and t_max > 0):
        raise ParameterError(f"t_max = {t_max!r} given; accepted: a finite time > 0, in units of eta * step.")


def _ascending(times: Sequence[float], t_max: float) -> Array:
    wanted = np.array(times, dtype=np.float64)
    if wanted.ndim != 1 or not wanted.size or wanted[0] < 0 or wanted[-1] > t_max or not np.all(np.diff(wanted) > 0):
        raise ParameterError(f"times = {times!r} given; accepted: strictly ascending times in [0, {t_max:g}].")
    return wanted


@takes_families
def exit_times(
    system: System,
    start: Mapping[str, ArrayLike],
    *,
    event: Exit,
    t_max: float,
    rtol: float = FLOW_RTOL,
    threads: int | None = None,
    engine: Engine | str | None = None,
    **parameters: ArrayLike,
) -> Labelled:
    """Return exit times (eta * step) and outcomes for arrays of starts and parameters.

    States and parameters are numbers or one-dimensional arrays of one length, the dimension `trajectory`. An exit
    that is not reached is NaN and its `outcome` (the name of an `Outcome`) says why. `engine` is as in `integrate`;
    `Native`, the default, takes all trajectories together on `threads` (all available cores by default, without
    effect on the results), any other one after the other. Raises as `integrate`.

    >>> from theory.network.derivation import derive
    >>> exits = exit_times(derive("linear"), {"u": 1e-6, "m": 0.01}, event=Exit(0.5), t_max=100.0, mu=[0.3, 1.0])
    >>> exits.exit_time.values.round(6), exits.outcome.values.tolist()
    (array([11.849856,       nan]), ['EXITED', 'HORIZON'])
    """
    from numerics.labelled import Labelled

    names = [s.name for s in system.states]
    if set(start) != set(names):
        raise ParameterError(f"start {dict(start)!r} given; accepted: a value for each of {names}.")
    _check_horizon(t_max)
    columns = _columns({**start, **parameters})
    starts = np.column_stack([columns[name] for name in names])
    rows = [{name: float(columns[name][i]) for name in parameters} for i in range(len(starts))]
    _check_names(system, parameters)
    tolerance, cores, solver = max(rtol, SMALLEST_FLOW_RTOL), available_threads(threads), chosen(engine)
    times, outcomes = np.empty(len(starts)), np.empty(len(starts), object)
    for member, places in _members(system, rows):
        problems = [
            Problem(
                *(member, _constants(member, _left(member, rows[i])), starts[i]),
                *(member.states.index(event.state), event.threshold, float(t_max), tolerance),
            )
            for i in places
        ]
        native = isinstance(solver, Native)
        times[places], outcomes[places] = _together(problems, solver, cores) if native else _in_turn(problems, solver)
    meanings = {each.name: {"long_name": word} for each, word in MEANINGS.items()}
    ended = {"long_name": "how the integration ended"}
    return Labelled(
        {
            "exit_time": ("trajectory", times, {"long_name": "exit time", "units": "eta * step"}),
            "outcome": ("trajectory", np.array([outcome.name for outcome in outcomes]), ended),
        },
        {name: ("trajectory", values, meanings.get(name, {})) for name, values in columns.items()},
        {
            "title": f"Exit times: first |{event.state}| = {event.threshold:g} of the flow",
            "threshold": event.threshold,
            "t_max": float(t_max),
            "rtol": tolerance,
        },
    )


def _together(problems: Sequence[Problem], engine: Native, threads: int) -> tuple[Array, list[Outcome]]:
    """Advance all trajectories in native code, and return exit times (NaN without exit) and outcomes."""
    first = problems[0]
    runs = Runs(
        first.system,
        np.reshape([problem.constants for problem in problems], (len(problems), -1)),
        np.array([problem.initial for problem in problems]),
        index=first.index,
        threshold=first.threshold,
        rtol=first.rtol,
        atol=np.array([problem.atol for problem in problems]),
        engine=engine,
    )
    runs.advance(first.t_max, threads=threads)
    outcomes = runs.outcomes
    return np.where([outcome is Outcome.EXITED for outcome in outcomes], runs.clocks[:, 0], np.nan), outcomes


def _in_turn(problems: Sequence[Problem], engine: Engine) -> tuple[Array, list[Outcome]]:
    """Integrate one trajectory after the other, to the end alone."""
    ends = np.array([problems[0].t_max])
    runs = [engine.solve(replace(problem, times=ends)) for problem in problems]
    times = [np.nan if solution.exit_time is None else solution.exit_time for solution in runs]
    return np.array(times), [solution.outcome for solution in runs]


def _columns(given: Mapping[str, ArrayLike]) -> dict[str, Array]:
    try:
        values = np.broadcast_arrays(*[np.asarray(value, dtype=np.float64) for value in given.values()])
    except ValueError:
        values = []
    if not values or values[0].ndim > 1 or not all(np.isfinite(value).all() for value in values):
        shapes = {name: np.shape(value) for name, value in given.items()}
        raise ParameterError(f"shapes {shapes} given; accepted: finite numbers, or arrays of one length.")
    return {name: np.atleast_1d(value) for name, value in zip(given, values, strict=True)}
