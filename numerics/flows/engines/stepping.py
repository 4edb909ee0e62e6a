r"""The adaptive loop of the compiled integrators: step-size control, event location, result codes.

A step is its own continuous extension: the state a fraction of a step later is the method's result for the shorter
step, of full order. So the event |y_i| = R inside a step is the root of |y_i(h')| - R over step sizes h', found by the
Illinois rule to the last digits. Fields are native functions (state, constants, table, out); the loop is compiled
once for all of them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numerics.compile.keeping import kept
from numerics.flows.engines import explicit, implicit
from numerics.flows.engines.arrays import copy

__all__ = [
    "BUDGET",
    "EXITED",
    "EXPLICIT",
    "FAILED",
    "IMPLICIT",
    "NOT_FINITE",
    "SIGNATURE",
    "STOPPED",
    "advance",
    "advance_all",
    "advance_recording",
]

SIGNATURE = "void(f8[::1], f8[::1], f8[::1], f8[::1])"
"""field(state, constants, table, out)"""

EXPLICIT, IMPLICIT = 0, 1
EXITED, STOPPED, BUDGET, NOT_FINITE, FAILED = range(5)
"""Reached the event, the stop time, the number of steps; non-finite field; step size below rounding."""

_ROWS = max(explicit.STAGES, implicit.STAGES + 1)
_EXPLICIT_ORDER, _IMPLICIT_ORDER = explicit.ORDER, implicit.ORDER
_explicit, _implicit = explicit.step, implicit.step
_LARGEST_GROWTH, _LARGEST_CUT, _SAFETY = 8.0, 0.2, 0.9
_FIRST_STEP = 0.01
_ROOT_STEPS = 100
_LAST = explicit.STAGES - 1
_EPS = np.finfo(np.float64).eps
_SMALLEST_STEP = 4.0 * _EPS


class Flow(NamedTuple):
    """A right-hand side and how to integrate it."""

    field: Any
    jacobian: Any
    method: int
    p: Any
    """parameters"""
    table: Any


class Event(NamedTuple):
    """|y[component]| reaches `threshold`; component -1 for none."""

    component: int
    threshold: float


class Work(NamedTuple):
    """Scratch arrays of one trajectory."""

    k: Any
    new: Any
    scale: Any
    slopes: Any
    matrix: Any
    pivots: Any


_compiled = kept(error_model="numpy", nogil=True)


@_compiled
def _is_finite(vector: Any) -> bool:
    total = 0.0
    for i in range(vector.size):
        total += vector[i]
    return bool(np.isfinite(total))


@_compiled
def _step(flow: Flow, y: Any, h: float, work: Work) -> float:
    """Fill work.new with the state after h, given work.k[0] = f(y) and the Jacobian; return the error."""
    if flow.method == EXPLICIT:
        return _explicit(flow.field, y, h, flow.p, flow.table, work.scale, work.k, work.new)
    slopes = work.slopes.reshape(y.size, y.size)
    return _implicit(
        flow.field, slopes, y, h, flow.p, flow.table, work.scale, work.k, work.new, work.matrix, work.pivots
    )


@_compiled
def _prepare(flow: Flow, y: Any, rtol: float, atol: Any, work: Work) -> bool:
    """Set scales and the Jacobian for a step from y; False where f(y) is not finite."""
    if not _is_finite(work.k[0]):
        return False
    for i in range(y.size):
        work.scale[i] = atol[i] + rtol * abs(y[i])
    if flow.method == IMPLICIT:
        flow.jacobian(y, flow.p, flow.table, work.slopes)
        if not _is_finite(work.slopes):
            for i in range(work.slopes.size):
                work.slopes[i] = 0.0
    return True


@_compiled
def _first_step(y: Any, work: Work) -> float:
    """A hundredth of the time in which the state would change by its own size (Hairer & Wanner I, section II.4)."""
    size = speed = 0.0
    for i in range(y.size):
        size += (y[i] / work.scale[i]) ** 2
        speed += (work.k[0, i] / work.scale[i]) ** 2
    return _FIRST_STEP * np.sqrt(size / speed) if speed > 0.0 and size > 0.0 else 1e-6


@_compiled
def _factor(flow: Flow, error: float) -> float:
    """By how much the step size may change after this error."""
    if error == 0.0:
        return _LARGEST_GROWTH
    order = _EXPLICIT_ORDER if flow.method == EXPLICIT else _IMPLICIT_ORDER
    factor = _SAFETY * error ** (-1.0 / order)
    return min(max(factor, _LARGEST_CUT), _LARGEST_GROWTH) if np.isfinite(factor) else _LARGEST_CUT


@_compiled
def _try(flow: Flow, y: Any, clock: Any, stop: float, work: Work) -> float:
    """Take one step whose error is accepted, into work.new; set the next step size; return the step, 0 for none."""
    h = min(clock[1], stop - clock[0])
    clipped, rejected = h < clock[1], False
    while h >= _SMALLEST_STEP * max(clock[0], 1e-280):
        error = _step(flow, y, h, work)
        factor = _factor(flow, error)
        if error <= 1.0 and _is_finite(work.new):
            following = h * min(factor, 1.0) if rejected else h * factor
            clock[1] = max(clock[1], following) if clipped and not rejected else following
            return h
        h *= min(factor, _SAFETY)
        rejected = True
    return 0.0


@_compiled
def _locate(flow: Flow, event: Event, y: Any, h: float, work: Work) -> float:
    """Return the step size, and in work.new the state, at which |y_index| reaches the threshold."""
    low, high, side = 0.0, h, 0
    below, above = abs(y[event.component]) - event.threshold, abs(work.new[event.component]) - event.threshold
    for _ in range(_ROOT_STEPS):
        h = (low * above - high * below) / (above - below)
        _step(flow, y, h, work)
        height = abs(work.new[event.component]) - event.threshold
        if abs(height) <= 4.0 * _EPS * event.threshold or high - low <= 4.0 * _EPS * high:
            break
        if height > 0.0:
            high, above = h, height
            below *= 0.5 if side == 1 else 1.0
            side = 1
        else:
            low, below = h, height
            above *= 0.5 if side == -1 else 1.0
            side = -1
    return h


@_compiled
def advance(flow: Flow, event: Event, y: Any, clock: Any, stop: float, rtol: float, atol: Any, most: float) -> int:
    """Advance state `y` and `clock` = (t, next step size, steps taken) in place; return the code.

    A step size of 0 is chosen here; the run pauses when `most` steps have been taken in all.
    """
    n = y.size
    work = Work(
        np.empty((_ROWS, n)), np.empty(n), np.empty(n), np.zeros(n * n), np.empty((n, n)), np.empty(n, np.int64)
    )
    if event.component >= 0 and abs(y[event.component]) >= event.threshold:
        return EXITED
    flow.field(y, flow.p, flow.table, work.k[0])
    while clock[0] < stop:
        if clock[2] >= most:
            return BUDGET
        if not _prepare(flow, y, rtol, atol, work):
            return NOT_FINITE
        if clock[1] <= 0.0:
            clock[1] = _first_step(y, work)
        h = _try(flow, y, clock, stop, work)
        if h == 0.0:
            return FAILED
        clock[2] += 1.0
        if event.component >= 0 and abs(work.new[event.component]) >= event.threshold:
            clock[0] += _locate(flow, event, y, h, work)
            copy(work.new, y)
            return EXITED
        copy(work.new, y)
        clock[0] = stop if h >= stop - clock[0] else clock[0] + h
        if flow.method == EXPLICIT:
            copy(work.k[_LAST], work.k[0])
        else:
            flow.field(y, flow.p, flow.table, work.k[0])
    return STOPPED


@_compiled
def advance_all(
    field: Any,
    jacobian: Any,
    method: int,
    states: Any,
    clocks: Any,
    constants: Any,
    table: Any,
    stop: float,
    index: int,
    threshold: float,
    rtol: float,
    atol: Any,
    most: float,
    rows: Any,
    codes: Any,
) -> None:
    """Run `advance` for the given rows of arrays of shape (trajectories, ...)."""
    event = Event(index, threshold)
    for row in rows:
        flow = Flow(field, jacobian, method, constants[row], table)
        codes[row] = advance(flow, event, states[row], clocks[row], stop, rtol, atol[row], most)


@_compiled
def advance_recording(
    field: Any,
    jacobian: Any,
    method: int,
    y: Any,
    clock: Any,
    p: Any,
    table: Any,
    stop: float,
    index: int,
    threshold: float,
    rtol: float,
    atol: Any,
    most: float,
    times: Any,
    states: Any,
) -> tuple[int, int]:
    """Run `advance` step by step and record each, as long as there is room; return the code and how many there are."""
    event, flow = Event(index, threshold), Flow(field, jacobian, method, p, table)
    code, count = BUDGET, 0
    while code == BUDGET and clock[2] < most and count < times.size:
        before = clock[0]
        code = advance(flow, event, y, clock, stop, rtol, atol, clock[2] + 1.0)
        if clock[0] > before:
            times[count] = clock[0]
            copy(y, states[count])
            count += 1
    return code, count
