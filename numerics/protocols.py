r"""Training in stages, and pre-training followed by fine-tuning.

*Stages*: the same student is trained on one system after the other (first on transformed labels, then on the true
ones), each from the state in which the one before stopped.

*Pre-training*: the free weight of a `pretrain` system, stopped at time t, is the w0 of fine-tuning, mu = q(t) and
rho^2 = r(t). Fine-tuning then takes the time at which the flow from u = d^-2 and the median drive

    L_q m0 + 2 L_r s0 = 0.674 G / sqrt(d)        (m0, s0 at their conditional mean)

first reaches |m| = R. The total is t plus that; its minimum is the best moment to stop pre-training. All times are in
units of eta * step, the same eta in both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy.optimize import minimize_scalar
from scipy.special import ndtri

from numerics.evaluate import evaluator
from numerics.flow import Exit, Outcome, Trajectory, integrate
from theory.errors import InputError, ParameterError
from theory.symbols import mu, rho
from theory.system import System

__all__ = ["Composition", "Stage", "best_stopping", "integrate_stages", "median_start", "total_time"]

MEDIAN = float(ndtri(0.75))  # of |Z|, Z ~ N(0, 1)
LONGEST_SEARCH = 1e4  # search times after which fine-tuning counts as not reached


@dataclass(frozen=True)
class Stage:
    """One stage of training: a system, where it stops (an `Exit`, or None for the time limit), and its time limit."""

    system: System
    t_max: float
    event: Exit | None = None


def integrate_stages(
    stages: Sequence[Stage], start: Mapping[str, float], *, rtol: float = 1e-10, **parameters: float
) -> tuple[Trajectory, ...]:
    """Integrate the stages one after the other; each starts where the one before stopped.

    A stage with an event that is not reached by its `t_max`, or that fails, is the last one returned: its outcome says
    why. The total time is the sum of the stages' last times (eta * step).

    Raises `ParameterError` where stages differ in their states, or as `numerics.flow.integrate` does.

    >>> from theory.dynamics import derive
    >>> stages = [Stage(derive("he2", label="y**2", model="plain"), 1e3, Exit(0.2)),
    ...           Stage(derive("he2", model="plain"), 1e3, Exit(0.9))]
    >>> [path.outcome.name for path in integrate_stages(stages, {"m": 0.01})]
    ['EXITED', 'EXITED']
    """
    if not stages or len({stage.system.states for stage in stages}) != 1:
        raise ParameterError("the stages given have different states (or there are none); accepted: one model for all.")
    found: list[Trajectory] = []
    state = dict(start)
    for stage in stages:
        names = {p.name for p in stage.system.parameters}
        own: dict[str, Any] = {name: value for name, value in parameters.items() if name in names}
        path = integrate(stage.system, state, event=stage.event, t_max=stage.t_max, rtol=rtol, **own)
        found.append(path)
        finished = path.outcome is Outcome.EXITED or (stage.event is None and path.outcome is Outcome.HORIZON)
        if not finished:
            break
        state = {name: float(path.states[name][-1]) for name in state}
    return tuple(found)


def median_start(system: System, dimension: float, **parameters: float) -> dict[str, float]:
    """Return the start of a LoRA system whose drive is the median of |G Z| / sqrt(d), u = d^-2.

    Aligned, this is m = 0.674 / sqrt(d); misaligned, m and s are their mean given that drive.

    >>> from theory.dynamics import derive
    >>> round(median_start(derive("linear"), 10_000, mu=0.3)["m"], 6)
    0.006745
    """
    system.model.check(parameters)
    size = MEDIAN / math.sqrt(dimension)
    if rho not in system.parameters:
        return {"u": float(dimension) ** -2, "m": size}
    base = system.escape.base_gradient
    if base is None:
        raise InputError(f"{system.loss_function.student.name}: no gradient at w0; accepted are continuous students.")
    along, strength = parameters["mu"], parameters["rho"]
    slope, bend = (estimate.value for estimate in evaluator((mu, rho), base)(along, strength))
    drive = (slope + 2 * along * bend, along * slope + 2 * strength**2 * bend)  # <grad L, w*>, <grad L, w0>
    length = math.sqrt(max(slope * drive[0] + 2 * bend * drive[1], 0.0))
    if length == 0:
        raise ParameterError(f"mu = {along}, rho = {strength}: the loss has no slope there (G = 0), hence no drive.")
    return {"u": float(dimension) ** -2, "m": size * drive[0] / length, "s": size * drive[1] / length}


@dataclass(frozen=True)
class Composition:
    """Pre-training followed by fine-tuning.

    Attributes:
        pretraining: a system of model "pretrain" (with `.sgd()` for the drift of finite kappa).
        finetuning: a system of model "misaligned".
        start: q_s, q and r at the start of pre-training.
        dimension: d, which sets the start of fine-tuning.
        threshold: R, fine-tuning ends at |m| = R.
        parameters: c, and whatever else the systems depend on, by name.
    """

    pretraining: System
    finetuning: System
    start: Mapping[str, float]
    dimension: float
    threshold: float
    parameters: Mapping[str, float]

    def __post_init__(self) -> None:
        if self.pretraining.model.name != "pretrain" or self.finetuning.model.name != "misaligned":
            given = f"{self.pretraining.model.name} and {self.finetuning.model.name}"
            raise ParameterError(f"models {given} given; accepted: pretrain, then misaligned.")
        Exit(self.threshold)
        if not self.dimension >= 3:
            raise ParameterError(f"dimension = {self.dimension!r} given; accepted: a number >= 3.")
        self.pretraining.model.check(self.parameters)

    def _own(self, system: System) -> dict[str, Any]:
        names = {p.name for p in system.parameters}
        return {name: value for name, value in self.parameters.items() if name in names}

    def pretrained(self, time: float) -> tuple[float, float]:
        """Return (mu, rho) after pre-training for `time` (eta * step)."""
        state = dict(self.start)
        if time > 0:
            path = integrate(self.pretraining, state, t_max=time, **self._own(self.pretraining))
            if path.outcome is not Outcome.HORIZON:
                raise InputError(f"pre-training until t = {time:g}: {path.outcome.value}.")
            state = {name: float(path.states[name][-1]) for name in state}
        return state["q"], math.sqrt(max(state["r"], 0.0))

    def fine_tune(self, time: float) -> tuple[float, Outcome, float, float]:
        """Return the fine-tuning time (inf where R is not reached), its outcome, mu and rho."""
        alignment, strength = self.pretrained(time)
        strength = max(strength, abs(alignment))
        values: dict[str, Any] = {"mu": alignment, "rho": strength, **self._own(self.finetuning)}
        rate = _rate(self.finetuning, values)
        if not rate > 0:
            return math.inf, Outcome.HORIZON, alignment, strength
        start = median_start(self.finetuning, self.dimension, **values)
        path = integrate(
            self.finetuning, start, event=Exit(self.threshold), t_max=LONGEST_SEARCH / rate, rtol=1e-8, **values
        )
        return math.inf if path.exit_time is None else path.exit_time, path.outcome, alignment, strength


def _rate(system: System, values: Mapping[str, float]) -> float:
    """Return the growth rate of the search phase at these parameters."""
    rate = system.escape.rate
    if rate is None:
        raise InputError(
            f"{system.loss_function.student.name}: the search phase has no rate; give a continuous student."
        )
    names = tuple(system.parameters)
    return float(evaluator(names, (rate,))(*[values[p.name] for p in names])[0].value)


def total_time(composition: Composition, times: Sequence[float]) -> xr.Dataset:
    """Return mu, rho, fine-tuning time and total time for each pre-training time (all in eta * step).

    A fine-tuning that never reaches the threshold has time inf, and `outcome` says what happened.

    >>> from theory.dynamics import derive
    >>> plan = Composition(derive("linear", model="pretrain"), derive("linear", model="misaligned"),
    ...                    {"q_s": 0.0, "q": 0.0, "r": 0.01}, 1e4, 0.5, {"c": 0.8})
    >>> total_time(plan, [0.1, 0.5]).total.values.round(2)
    array([ 8.62, 12.91])
    """
    grid = [float(time) for time in times]
    if not grid or any(not (math.isfinite(time) and time >= 0) for time in grid):
        raise ParameterError(f"times = {list(times)!r} given; accepted: finite pre-training times >= 0.")
    rows = [composition.fine_tune(time) for time in grid]
    fine, outcome, alignment, strength = zip(*rows, strict=True)
    units = {"units": "eta * step"}
    return xr.Dataset(
        {
            "mu": ("time", np.array(alignment), {"long_name": "alignment <w0, w*>"}),
            "rho": ("time", np.array(strength), {"long_name": "strength |w0|"}),
            "fine_tuning": ("time", np.array(fine), {"long_name": "fine-tuning time", **units}),
            "total": ("time", np.array(grid) + np.array(fine), {"long_name": "total time", **units}),
            "outcome": ("time", np.array([result.name for result in outcome])),
        },
        {"time": ("time", np.array(grid), {"long_name": "pre-training time", **units})},
    )


def best_stopping(composition: Composition, times: Sequence[float]) -> tuple[float, float]:
    """Return the pre-training time that minimises the total time, and that total; refined around the best of `times`.

    Raises `InputError` where fine-tuning reaches its threshold for none of them.
    """
    grid = sorted(float(time) for time in times)
    totals = total_time(composition, grid).total.values
    if not np.isfinite(totals).any():
        raise InputError("fine-tuning reaches the threshold from none of the pre-training times given.")
    best = int(np.argmin(totals))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    if low == high:
        return grid[best], float(totals[best])
    found = minimize_scalar(
        lambda time: time + composition.fine_tune(time)[0],
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-4 * high},
    )
    refined = (float(found.x), float(found.fun))
    return refined if refined[1] < totals[best] else (grid[best], float(totals[best]))
