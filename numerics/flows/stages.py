"""Training in stages: the same student on one system after the other, each from where the one before stopped.

The first on transformed labels, say, and then on the true ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numerics.accuracy import FLOW_RTOL
from numerics.flows.flow import Engine, Exit, Outcome, Trajectory, integrate
from theory.errors import ParameterError
from theory.network.system import System
from theory.shown import Several

__all__ = ["Stage", "integrate_stages"]


@dataclass(frozen=True)
class Stage:
    """One stage of training: a system, where it stops (an `Exit`, or None for the time limit), and its time limit."""

    system: System
    t_max: float
    event: Exit | None = None


def integrate_stages(
    stages: Sequence[Stage],
    start: Mapping[str, float],
    *,
    rtol: float = FLOW_RTOL,
    engine: Engine | str | None = None,
    **parameters: float,
) -> tuple[Trajectory, ...]:
    """Integrate the stages one after the other; each starts where the one before stopped.

    A stage with an event that is not reached by its `t_max`, or that fails, is the last one returned: its outcome says
    why. The total time is the sum of the stages' last times (eta * step). `engine` is as in `integrate`.

    Raises `ParameterError` where stages differ in their states, or as `numerics.flows.flow.integrate` does.

    >>> from theory.network.derivation import derive
    >>> stages = [Stage(derive("he2", label="y**2", model="plain"), 1e3, Exit(0.2)),
    ...           Stage(derive("he2", model="plain"), 1e3, Exit(0.9))]
    >>> [path.outcome.name for path in integrate_stages(stages, {"m": 0.01})]
    ['EXITED', 'EXITED']
    """
    if not stages or len({stage.system.states for stage in stages}) != 1:
        raise ParameterError("the stages given have different states (or there are none); accepted: one model for all.")
    legs: list[Trajectory] = []
    state = dict(start)
    for stage in stages:
        names = {p.name for p in stage.system.parameters}
        own: dict[str, Any] = {name: value for name, value in parameters.items() if name in names}
        path = integrate(stage.system, state, event=stage.event, t_max=stage.t_max, rtol=rtol, engine=engine, **own)
        legs.append(path)
        finished = path.outcome is Outcome.EXITED or (stage.event is None and path.outcome is Outcome.HORIZON)
        if not finished:
            break
        state = path.end
    return Several(legs)
