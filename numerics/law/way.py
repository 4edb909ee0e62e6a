"""The way out of a saddle: when the flow leaves from a small start, and the constant C that its limit is.

Along the unstable direction e at rate lambda, T(eps) from the start eps e obeys lambda T(eps) + log eps -> C for
eps -> 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from sympy import Symbol

from numerics.flows.flow import Exit, integrate
from numerics.law.protocol import Setting
from theory.network.system import System
from theory.symbols import m

__all__ = ["EARLY", "constant_of", "time_out"]

EARLY = 0.01  # of the threshold, where the first leg ends


def time_out(
    system: System,
    start: Mapping[str, float],
    setting: Setting,
    horizon: float,
    parameters: Mapping[str, float],
    watched: Symbol = m,
) -> tuple[float | None, dict[str, float]]:
    """Return when |watched| reaches the threshold, or None where it does not, and the state after the first leg.

    In two legs, since the absolute accuracy that a start of 1e-12 needs would be a burden at rest.
    """
    options: dict[str, Any] = {**parameters, "kappa": setting.kappa, "rtol": setting.rtol, "engine": setting.engine}
    first = integrate(system, start, event=Exit(EARLY * setting.threshold, watched), t_max=horizon, **options)
    state = first.end
    if first.exit_time is None:
        return None, state
    second = integrate(system, state, event=Exit(setting.threshold, watched), t_max=horizon, **options)
    return (None if second.exit_time is None else first.exit_time + second.exit_time), state


def constant_of(way: Callable[[float], float], smallest: float) -> tuple[float, float]:
    """Return way(smallest) and how far it is from the limit, if the distance falls like 1/log; infinite ways stay so.

    >>> constant_of(lambda size: 2.0 + size, 1e-6)[0]
    2.000001
    """
    near = way(smallest)
    if math.isinf(near):
        return near, 0.0
    return near, abs(near - way(100 * smallest)) * math.log(1 / smallest) / math.log(100)
