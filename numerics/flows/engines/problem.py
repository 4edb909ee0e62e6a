"""What every engine is given and returns: the contract between a flow and its integrators."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from theory.network.system import System

__all__ = ["Engine", "Outcome", "Problem", "Solution"]

Array = NDArray[np.float64]


class Outcome(Enum):
    """How an integration ended; the value says what to do about it."""

    EXITED = "the event was reached"
    HORIZON = "the event was not reached by the time limit: raise t_max, or the flow is trapped"
    NOT_FINITE = "the right-hand side left the finite numbers: the flow diverges from this start"
    FAILED = "the integrator could not reach its tolerance: loosen rtol"


@dataclass(frozen=True)
class Problem:
    """One trajectory to integrate from t = 0.

    Attributes:
        system: the derived system.
        constants: values of its parameters, in their order.
        initial: the state at t = 0.
        index: component whose modulus ends the run at `threshold`; -1 for none.
        t_max: time limit, in eta * step.
        rtol: relative tolerance of a step; `atol`, per component, follows the size of the start.
        times: ascending times in [0, t_max] at which states are wanted; None for the engine's own steps.
    """

    system: System
    constants: tuple[float, ...]
    initial: Array
    index: int
    threshold: float
    t_max: float
    rtol: float
    times: Array | None = None

    @property
    def atol(self) -> Array:
        """Absolute tolerances: rtol times the start, and not below rtol * 1e-12."""
        return self.rtol * np.maximum(np.abs(self.initial), 1e-12)

    def height(self, state: Array) -> float:
        """|state_index| - threshold, which becomes positive at the event; -1 without one."""
        return -1.0 if self.index < 0 else abs(float(state[self.index])) - self.threshold


@dataclass(frozen=True)
class Solution:
    """States (time, component) up to the exit, or up to the last time reached; `exit_time` None without exit."""

    times: Array
    states: Array
    exit_time: float | None
    outcome: Outcome


class Engine(Protocol):
    """An integrator."""

    def solve(self, problem: Problem) -> Solution:
        """Integrate until the event, the time limit, or failure, which is an outcome and not an exception."""
        ...
