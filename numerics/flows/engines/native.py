"""The compiled default: explicit as long as that is cheap, linearly implicit from where the flow turns out stiff."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.accuracy import EDGE_OF_SURROGATE, SMALLEST_SURROGATE
from numerics.compile.codegen import compile_function
from numerics.compile.keeping import contents
from numerics.flows.engines import arrays, explicit, implicit, stepping, tableau
from numerics.flows.engines.problem import Array, Outcome, Problem, Solution
from numerics.flows.field import SOURCES, Field, field
from numerics.flows.surrogate import Surrogate, kept_table
from numerics.recall import number, recalled
from theory.errors import ParameterError
from theory.network.system import System
from theory.symbols import r

__all__ = ["Native", "Runs"]

EXPLICIT_STEPS = 1000
"""An explicit run beyond so many steps is limited by stability rather than by accuracy."""
IMPLICIT_STEPS = 2_000_000
CHUNKS = 8
"""parts a thread"""
REACH = 4.0
"""A surrogate reaches this factor beyond the norms r of the start, its square beyond an end that a run meets."""
WIDEST = 1e15
RECORDED = 256
"""steps between two looks at the end of a surrogate"""

_MODULES = (stepping, explicit, implicit, arrays, tableau)
_SOURCES = (__file__, *(str(module.__file__) for module in _MODULES), *SOURCES)
_NO_TABLE = np.empty(0)
_UNFINISHED = (stepping.STOPPED, stepping.BUDGET)
_OUTCOMES = {
    stepping.EXITED: Outcome.EXITED,
    stepping.STOPPED: Outcome.HORIZON,
    stepping.BUDGET: Outcome.HORIZON,
    stepping.NOT_FINITE: Outcome.NOT_FINITE,
    stepping.FAILED: Outcome.FAILED,
}
_PLANS = {
    "auto": ((stepping.EXPLICIT, EXPLICIT_STEPS), (stepping.IMPLICIT, IMPLICIT_STEPS)),
    "explicit": ((stepping.EXPLICIT, IMPLICIT_STEPS),),
    "implicit": ((stepping.IMPLICIT, IMPLICIT_STEPS),),
}


@dataclass(frozen=True)
class Native:
    """DOP853 ("explicit"), the Rosenbrock method RODAS ("implicit"), or the one and then the other ("auto").

    Where the loss has no closed form, a Chebyshev surrogate takes its place, with an error measured below rtol / 100
    (or 1e-12, whichever is larger).

    Attributes:
        method: one of these names.
        norms: the smallest and largest <w, w> of many integrations, which then share one surrogate; by default each
            has one for where it starts.
        finest: the smallest rtol among them.
        keeps: whether trajectories are kept on disk, for other processes that ask for the same.

    Raises `ParameterError` for another method.
    """

    method: str = "auto"
    norms: tuple[float, float] | None = None
    finest: float = math.inf
    keeps: bool = False

    def __post_init__(self) -> None:
        if self.method not in _PLANS:
            raise ParameterError(f"method = {self.method!r} given; accepted: {', '.join(_PLANS)}; try auto.")

    def solve(self, problem: Problem) -> Solution:
        """Integrate one trajectory."""
        return self._recalled(problem) if self.keeps else self._solved(problem)

    def _recalled(self, problem: Problem) -> Solution:
        followed = field(problem.system)
        given = (*problem.constants, *problem.initial, problem.index, problem.threshold, problem.t_max, problem.rtol)
        named = (*map(number, (*given, *(() if problem.times is None else problem.times))), *followed.content)
        outcomes = list(Outcome)

        def made() -> dict[str, Array]:
            solution = self._solved(problem)
            ended = [math.nan if solution.exit_time is None else solution.exit_time, outcomes.index(solution.outcome)]
            return {"times": solution.times, "states": solution.states, "ended": np.array(ended)}

        code = f"{followed.source} {contents(_SOURCES)}"
        known = recalled(f"trajectory {replace(self, keeps=False)} {code}", named, made)
        exit_time, outcome = map(float, known["ended"])
        ended = None if math.isnan(exit_time) else exit_time
        return Solution(known["times"], known["states"], ended, outcomes[int(outcome)])

    def _solved(self, problem: Problem) -> Solution:
        runs = Runs(
            problem.system,
            np.array([problem.constants]),
            problem.initial[None],
            index=problem.index,
            threshold=problem.threshold,
            rtol=problem.rtol,
            atol=problem.atol[None],
            engine=self,
        )
        times, states = [], []

        def record() -> None:
            times.append(float(runs.clocks[0, 0]))
            states.append(runs.states[0].copy())

        if problem.times is None:
            record()
            for passed, reached in runs.steps(problem.t_max):
                times.extend(passed)
                states.extend(reached)
        else:
            for time in problem.times:
                runs.advance(float(time))
                if runs.codes[0] != stepping.STOPPED:
                    break
                record()
            runs.advance(problem.t_max)
        outcome = runs.outcomes[0]
        exit_time = float(runs.clocks[0, 0]) if outcome is Outcome.EXITED else None
        return Solution(np.array(times), np.reshape(states, (-1, problem.initial.size)), exit_time, outcome)


class Runs:
    """Several trajectories of one system, advanced together in native code.

    Attributes:
        states: (trajectories, states), advanced in place.
        clocks: (trajectories, 3): time, last step size, steps taken.
        codes: result codes of `stepping`, one a trajectory.
    """

    def __init__(
        self,
        system: System,
        constants: Array,
        initial: Array,
        *,
        index: int,
        threshold: float,
        rtol: float,
        atol: Array,
        engine: Native | None = None,
    ) -> None:
        self._engine = engine or Native()
        self._field, self._plan = field(system), _PLANS[self._engine.method]
        self._constants = np.ascontiguousarray(constants, dtype=np.float64)
        self._event, self._rtol, self._atol = (index, threshold), rtol, np.ascontiguousarray(atol)
        self.states = np.array(initial, dtype=np.float64, order="C")
        self.clocks = np.zeros((len(initial), 3))
        self.codes = np.full(len(initial), stepping.STOPPED)
        self._surrogate = None if self._field.is_closed else self._first_surrogate()

    @property
    def unfinished(self) -> bool:
        """Whether some trajectory may still be advanced."""
        return bool(np.isin(self.codes, _UNFINISHED).any())

    @property
    def outcomes(self) -> list[Outcome]:
        """How every trajectory stands."""
        return [_OUTCOMES[int(code)] for code in self.codes]

    def steps(self, stop: float) -> Iterator[tuple[Array, Array]]:
        """Advance the first trajectory to `stop`; yield the times and states of its steps, many together."""
        times, states = np.empty(RECORDED), np.empty((RECORDED, self.states.shape[1]))
        while self.unfinished and self.clocks[0, 0] < stop:
            spent = self.clocks[0, 2]
            plan = next((plan for plan in self._plan if spent < plan[1]), None)
            if plan is None:
                self.codes[0] = stepping.FAILED
                return
            method, budget = plan
            self.codes[0], count = stepping.advance_recording(
                *self._field_of(method),
                *(method, self.states[0], self.clocks[0], self._constants[0], self._table, stop),
                *(*self._event, self._rtol, self._atol[0], float(budget), times, states),
            )
            yield times[:count].copy(), states[:count].copy()
            if self._leaving().size:
                self.codes[0] = stepping.BUDGET

    def advance(self, stop: float, *, threads: int = 1) -> None:
        """Advance every unfinished trajectory to `stop`."""
        rows = np.flatnonzero(np.isin(self.codes, _UNFINISHED))
        while rows.size:
            for method, budget in self._plan:
                spent = self.clocks[rows, 2]
                below = rows[spent < budget]
                if below.size:
                    self._native(method, below, stop, float(budget), threads)
                rows = rows[(spent >= budget) | (self.codes[rows] == stepping.BUDGET)]
            self.codes[rows] = stepping.FAILED
            rows = self._leaving()

    def _field_of(self, method: int) -> tuple[Any, Any]:
        """Velocity and Jacobian; an explicit step ignores the latter."""
        velocity = self._field.velocity
        return velocity, self._field.jacobian if method == stepping.IMPLICIT else velocity

    @property
    def _table(self) -> Array:
        return _NO_TABLE if self._surrogate is None else self._surrogate.table

    def _native(self, method: int, rows: NDArray[np.int64], stop: float, most: float, threads: int) -> None:
        flow, table = self._field_of(method), self._table

        def run(part: NDArray[np.int64]) -> None:
            stepping.advance_all(
                *(*flow, method, self.states, self.clocks, self._constants, table, stop),
                *(*self._event, self._rtol, self._atol, most, part, self.codes),
            )

        if threads == 1 or rows.size < 2 * threads:
            run(rows)
            return
        # Neighbours on a sorted grid take similar times: dealing them out balances the threads.
        parts = [rows[start :: CHUNKS * threads] for start in range(min(CHUNKS * threads, rows.size))]
        with ThreadPoolExecutor(threads) as executor:
            list(executor.map(run, parts))

    def _squared_norms(self, rows: NDArray[np.int64]) -> Array:
        """r of the given trajectories."""
        evaluate = compile_function(self._field.inputs, [self._field.system.entries[r]], jit=False)
        return np.array([evaluate(*self.states[row], *self._constants[row])[0] for row in rows])

    def _first_surrogate(self) -> Surrogate:
        norms = self._squared_norms(np.arange(len(self.states)))
        if not (np.isfinite(norms).all() and norms.min() > 0):
            raise ParameterError(
                f"a start with <w, w> = {norms.min():g} given; accepted without a closed form: a positive finite "
                "r; start elsewhere, or integrate with SciPy()."
            )
        if not self._field.system.entries[r].free_symbols:
            return self._tabulate(float(norms[0]), float(norms[0]))
        shared = self._engine.norms or (math.inf, 0.0)
        low, high = min(shared[0], norms.min()) / REACH, max(1.0, shared[1], norms.max()) * REACH
        return self._tabulate(2.0 ** math.floor(math.log2(low)), 2.0 ** math.ceil(math.log2(high)))

    def _tabulate(self, low: float, high: float) -> Surrogate:
        finest = min(self._rtol, self._engine.finest)
        return _surrogate(self._field, low, high, max(1e-2 * finest, SMALLEST_SURROGATE))

    def _leaving(self) -> NDArray[np.int64]:
        """Return the trajectories that stand at the end of the surrogate, which is widened for them."""
        stuck = np.flatnonzero(np.isin(self.codes, (stepping.NOT_FINITE, stepping.FAILED)))
        table = self._surrogate
        if table is None or table.low == table.high or not stuck.size:
            return stuck[:0]
        norms = self._squared_norms(stuck)
        below, above = norms < table.low * (1 + EDGE_OF_SURROGATE), norms > table.high * (1 - EDGE_OF_SURROGATE)
        low, high = table.low / REACH**2 if below.any() else table.low, table.high
        high = high * REACH**2 if above.any() else high
        if high / low > WIDEST or not (below | above).any():
            return stuck[:0]
        self._surrogate = self._tabulate(low, high)
        return stuck[below | above]


@lru_cache(maxsize=32)
def _surrogate(system_field: Field, low: float, high: float, tolerance: float) -> Surrogate:
    return kept_table(tuple(system_field.functions.values()), low, high, tolerance=tolerance)
