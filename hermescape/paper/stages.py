r"""Figure of two-stage training: first on squared labels y^2, then on y, against training on y alone.

Squared labels break the tie at strong pre-training: the error that pre-training left is zero at mu = 1 for the labels
y, so that A ~ 1 - mu, but not for y^2. The first stage lasts until its flow reaches |m| = 1/2, the same number of steps
for every run; the second goes on with v and u as they are. Time counts from the start of the first stage.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hermescape.paper.dynamics import flow_path, follow, observables, padded, quantiles, seeds
from hermescape.paper.settings import BATCH, DIMENSION, ETA, LINKS, Advance, Settings
from hermescape.paper.simulation import RTOL, Case
from numerics.flows.flow import Outcome
from numerics.flows.stages import Stage, integrate_stages
from numerics.simulation.montecarlo import log_spaced, simulate, trajectories

__all__ = ["FIRST_THRESHOLD", "two_stages"]

FIRST_THRESHOLD = 0.5
SQUARED = "y**2"
LONGER = 3.0  # times the first stage that two stages last at least
Array = NDArray[np.float64]


def two_stages(settings: Settings, advance: Advance) -> xr.Dataset:
    """Return error, overlap and alignment over steps for direct and two-stage training; dimensions link, mu, point."""
    cases = [Case(link, mu) for link in LINKS for mu in settings.alignments]
    points = settings.pick(90, 45)
    rows = []
    for number, (case, seed) in enumerate(zip(cases, seeds(settings, len(cases)), strict=True)):
        direct = follow(case, seed=seed, points=points, runs=(12, 100), settings=settings)
        staged = _staged(case, int(direct["step"][-1]), points, seed, int(direct["runs"]), settings)
        rows.append({f"direct_{k}": v for k, v in direct.items()} | {f"staged_{k}": v for k, v in staged.items()})
        advance(number + 1, len(cases))
    shape = (len(LINKS), len(settings.alignments))
    variables = {}
    for name, first in rows[0].items():
        values = [padded(row[name], points) if first.ndim else row[name] for row in rows]
        dimensions = ("link", "mu", "point") if first.ndim else ("link", "mu")
        variables[name] = (dimensions, np.reshape(values, (*shape, *values[0].shape)))
    attributes = {"d": DIMENSION, "batch": BATCH, "eta": ETA, "first_threshold": FIRST_THRESHOLD}
    return xr.Dataset(variables, {"link": list(LINKS), "mu": list(settings.alignments)}, attributes)


def first_stage(case: Case) -> int:
    """Return the steps of the first stage: until the flow on squared labels reaches |m| = 1/2."""
    reached = replace(case, label=SQUARED).drifted_exit(FIRST_THRESHOLD)
    assert reached is not None  # for these links A on squared labels has no root in (0, 1)
    return max(2, round(reached))


def _staged(case: Case, direct: int, points: int, seed: int, runs: int, settings: Settings) -> dict[str, Array]:
    """Return what `follow` does, of two stages; `direct` is the length of direct training."""
    switch = first_stage(case)
    last = max(direct, math.ceil(LONGER * switch))
    steps = np.array(log_spaced(last, points), np.float64)
    wanted = np.unique([*steps.astype(int), switch])
    before, after = wanted[wanted <= switch], wanted[wanted > switch] - switch
    flow = _flow(case, switch, before, after)
    first = replace(case, label=SQUARED).experiment(runs, seed, switch)
    second = case.experiment(runs, seed, last - switch)
    threads = settings.threads
    middle = simulate(first, threads=threads)
    parts = (
        trajectories(first, list(before), threads=threads),
        trajectories(second, list(after), start=middle, threads=threads),
    )
    measured = {name: np.concatenate([part[name].values for part in parts], axis=1) for name in ("m", "u")}
    kept = np.searchsorted(wanted, steps)
    rows = {"step": steps, "switch": np.array(float(switch))}
    rows |= {f"{name}_flow": values[kept] for name, values in observables(case, flow).items()}
    rows |= {name: values[kept] for name, values in quantiles(observables(case, measured)).items()}
    return rows | {"diverged": np.array(float(np.isnan(measured["m"][:, -1]).sum()))}


def _flow(case: Case, switch: int, before: Array, after: Array) -> dict[str, Array]:
    """Return the states of the flow through both stages, at the steps before and after the switch."""
    squared = replace(case, label=SQUARED)
    place = {**case.place, "kappa": case.kappa}
    stages = [
        Stage(squared.system.sgd(), case.eta * switch),
        Stage(case.system.sgd(), case.eta * float(after[-1])),
    ]
    paths = integrate_stages(stages, squared.start, rtol=RTOL, **place)
    assert [path.outcome for path in paths] == [Outcome.HORIZON] * 2
    middle = {str(name): float(values[-1]) for name, values in paths[0].states.items()}
    one = flow_path(stages[0].system, squared.start, case.eta * before, place)
    two = flow_path(stages[1].system, middle, case.eta * after, place)
    return {name: np.concatenate([one[name], two[name]]) for name in one}
