r"""Figures of training: mean squared error, overlap and alignment over steps, flow against exact SGD.

The flow has the drift of finite kappa = eta d / B (`System.sgd`) and starts from the median of |m|, widened by the
noise that SGD adds to u; the bands are quantiles of exact simulations. The error is E(sigma(<w, x>) - y)^2 = 2 L at the
(q, r) that a state has: q = mu + u m and r = rho^2 + 2 u s + u^2, with s = mu m where w0 is aligned.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from sympy import Expr

from hermescape.paper.settings import BATCH, DIMENSION, ETA, LINKS, Advance, Settings
from hermescape.paper.simulation import RTOL, Case
from numerics.flows.flow import integrate
from numerics.flows.surrogate import lookup, tabulate
from numerics.integrals.evaluate import on_covariance
from numerics.simulation.montecarlo import log_spaced, trajectories
from theory.network.system import System

__all__ = [
    "LEVELS",
    "QUIET",
    "flow_path",
    "follow",
    "geometry",
    "horizon",
    "observables",
    "padded",
    "quantiles",
    "seeds",
    "training",
]

LINKS_TRAINED = (*LINKS, "he3")
LEVELS = (0.05, 0.5, 0.95)
LONGEST = 1_500_000
AFTER = 2.0  # expected exits after which a path ends
LATE = (0.9, 0.5)  # of the final overlap, the exits that are meant; SGD's noise may keep the flow below the first
SHORTEST, QUIET = 200, 5000  # steps; those followed where no exit is expected
SURROGATE_TOLERANCE = 1e-8
Array = NDArray[np.float64]


def training(settings: Settings, advance: Advance, *, mixed: bool = False) -> xr.Dataset:
    """Return error, overlap and alignment over steps: flow, and quantiles of SGD; dimensions link, mu, point."""
    cases = [Case(link, mu, mixed=mixed) for link in LINKS_TRAINED for mu in settings.alignments]
    points = settings.pick(90, 45)
    paths = []
    for number, (case, seed) in enumerate(zip(cases, seeds(settings, len(cases)), strict=True)):
        paths.append(follow(case, seed=seed, points=points, runs=(12, 100), settings=settings))
        advance(number + 1, len(cases))
    shape = (len(LINKS_TRAINED), len(settings.alignments))
    variables = {
        name: (("link", "mu", "point"), np.reshape([padded(path[name], points) for path in paths], (*shape, points)))
        for name in paths[0]
        if paths[0][name].ndim
    }
    variables |= {
        name: (("link", "mu"), np.reshape([path[name] for path in paths], shape))
        for name in ("runs", "diverged", "relapsed")
    }
    attributes = {"d": DIMENSION, "batch": BATCH, "eta": ETA, "mixed": int(mixed), "levels": list(LEVELS)}
    return xr.Dataset(variables, {"link": list(LINKS_TRAINED), "mu": list(settings.alignments)}, attributes)


def seeds(settings: Settings, count: int) -> list[int]:
    """Return a seed for each simulation of a figure."""
    return [int(np.random.SeedSequence(settings.seed, spawn_key=(n,)).generate_state(1)[0]) for n in range(count)]


def padded(values: Array, length: int) -> Array:
    """Fill up with NaN."""
    return np.concatenate([values, np.full(length - len(values), np.nan)])


def follow(
    case: Case, *, seed: int, points: int, runs: tuple[int, int], settings: Settings, after: float = AFTER
) -> dict[str, Array]:
    """Return steps, flow and quantiles of SGD of one case, for so many expected exits; `runs` bounds how many runs."""
    last = horizon(case, after)
    steps = log_spaced(last, points)
    flow = flow_path(case.system.sgd(), case.start, case.eta * np.array(steps), {**case.place, "kappa": case.kappa})
    least, most = runs
    replicas = settings.replicas(last, least=settings.pick(least, min(least, 8)), most=most)
    paths = trajectories(case.experiment(replicas, seed, last), steps, threads=settings.threads)
    measured = {name: paths[name].values for name in ("m", "u", "s") if name in paths}
    rows = {"step": np.array(steps, np.float64)}
    rows |= {f"{name}_flow": values for name, values in observables(case, flow).items()}
    rows |= quantiles(observables(case, measured))
    counts = {"runs": replicas, "diverged": np.isnan(measured["m"][:, -1]).sum(), "relapsed": relapsed(measured["m"])}
    return rows | {name: np.array(float(count)) for name, count in counts.items()}


def relapsed(overlap: Array) -> int:
    """Return in how many runs |m| fell below 1/4 after it had exceeded 1/2: they leave the teacher again.

    >>> relapsed(np.array([[0.1, -0.6, -0.2], [0.1, 0.6, 0.9]]))
    1
    """
    size = np.abs(overlap)
    return int(((np.maximum.accumulate(size, axis=1) > 0.5) & (size < 0.25)).any(axis=1).sum())


def horizon(case: Case, after: float = AFTER) -> int:
    """Return how many steps to follow: some expected exits at the latest overlap that the flow reaches, bounded."""
    late = (case.expected(share * case.largest_overlap).sgd for share in LATE)
    wanted = next((after * step for step in late if step is not None), QUIET)
    return int(min(LONGEST, max(SHORTEST, math.ceil(wanted))))


def flow_path(system: System, start: dict[str, float], times: Array, place: dict[str, float]) -> dict[str, Array]:
    """Return the states of the flow at the times, NaN after a failure."""
    path = integrate(
        system, start, t_max=float(times[-1]), times=list(times), rtol=RTOL, engine=None, event=None, **place
    ).states
    missing = len(times) - path.sizes["t"]
    return {str(name): np.concatenate([path[name].values, np.full(missing, np.nan)]) for name in path}


def quantiles(values: dict[str, Array]) -> dict[str, Array]:
    """Return low, middle and high quantiles over runs (axis 0); NaN where a run has diverged."""
    rows = {}
    for name, column in values.items():
        rows |= {
            f"{name}_{tag}": line
            for tag, line in zip(("low", "mid", "high"), np.quantile(column, LEVELS, axis=0), strict=True)
        }
    return rows


def geometry(case: Case, states: dict[str, Array]) -> tuple[Array, Array, Array]:
    """Return q, r and r - q^2 without cancellation, for states u, m (and s)."""
    u, m = states["u"], states["m"]
    along = case.mu + u * m
    if case.rho is None:
        across = u**2 * np.maximum(1 - m**2, 0.0)
    else:  # w - q w* = (nu e2 + u (t e2 + p e3)), t = (s - mu m)/nu
        nu = math.sqrt(case.rho**2 - case.mu**2)
        t = (states["s"] - case.mu * m) / nu
        across = (nu + u * t) ** 2 + u**2 * np.maximum(1 - m**2 - t**2, 0.0)
    return along, along**2 + across, across


def observables(case: Case, states: dict[str, Array]) -> dict[str, Array]:
    """Return |m|, q and the mean squared error of states."""
    along, variance, across = geometry(case, states)
    return {"m": np.abs(states["m"]), "q": along, "mse": error_of(case.system, along, variance, across)}


def error_of(system: System, along: Array, variance: Array, across: Array) -> Array:
    """Return 2 L at arrays of q, r and r - q^2: a closed form, or a surrogate whose error is measured."""
    finite = np.isfinite(along) & np.isfinite(variance)
    errors = np.full(along.shape, np.nan)
    if system.is_exact:
        loss = on_covariance((system.loss,))
        rows = zip(along[finite], variance[finite], across[finite], strict=True)
        errors[finite] = [2 * loss.values(float(a), float(v), float(d))[0] for a, v, d in rows]
        return np.maximum(errors, 0.0)
    low, high = float(variance[finite].min()), float(variance[finite].max())
    bounds = 2.0 ** math.floor(math.log2(low)), 2.0 ** math.ceil(math.log2(high) + 1e-9)
    table = _table(system.loss, *bounds)
    out, values = np.empty(1), []
    for a, v, d in zip(along[finite], variance[finite], across[finite], strict=True):
        lookup(table, 1, math.atan2(a, math.sqrt(d)), math.log(v), out)
        values.append(2 * out[0])
    errors[finite] = values
    return np.maximum(errors, 0.0)


@lru_cache(maxsize=64)
def _table(loss: Expr, low: float, high: float) -> Array:
    return tabulate((loss,), low, high, tolerance=SURROGATE_TOLERANCE).table
