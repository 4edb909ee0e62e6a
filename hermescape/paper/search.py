r"""Figures of the search time tau(mu): smooth links with exit times of SGD, Hermite links with critical strengths.

tau is exact (closed form, or quadrature with its error), not a sum over Hermite modes. Exit times are medians of the
first step with |m| >= mu of exact simulations at d = 1000, B = 500, eta = 0.2, the threshold of the paper. For He_k
the step is eta / (k! k) as in the paper's runs, and tau is k! k times as long.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hermescape.paper.dynamics import QUIET, follow, seeds
from hermescape.paper.published import emulate, published_times
from hermescape.paper.settings import BATCH, DIMENSION, ETA, EVEN, LINKS, ODD, Advance, Settings, divisor
from hermescape.paper.simulation import Case
from numerics.accuracy import CONFIDENCE
from numerics.rates.search_time import search_time
from numerics.simulation.montecarlo import simulate, trajectories
from theory.network.derivation import derive
from theory.search.critical import critical_strengths

__all__ = ["hermite_times", "search_times"]

PATIENCE = 20  # expected exits after which a run is censored
RECORDED = 400  # steps of a path on which the published statistic is read
MOST_PATHS = 100
CLOSE = (0.0004, 0.0015, 0.005, 0.012)  # distances from a critical strength
INSET = (0.2, 0.325)
INSET_POINTS = 120
INSET_AFTER = 1.3  # expected exits
Array = NDArray[np.float64]


def _alignments(settings: Settings, critical: Sequence[float] = ()) -> Array:
    """Return the mu of a curve: even steps, and closer ones towards both ends and around critical strengths."""
    middle = np.linspace(0.01, 0.99, settings.pick(99, 33))
    around = [place + side * gap for place in critical for side in (-1, 1) for gap in CLOSE]
    inside = [mu for mu in around if 0 < mu < 1]
    return np.unique(np.array([*middle, 0.005, 0.995, *inside], np.float64).round(6))


def _curves(links: Sequence[str], label: str | None, alignments: Array) -> xr.Dataset:
    """Return tau, A and B over (link, mu); tau in the time of the undivided eta, inf where there is no escape."""
    values = np.empty((3, len(links), len(alignments)))
    for i, link in enumerate(links):
        system = derive(link, label=label)
        for j, mu in enumerate(alignments):
            search = search_time(system, float(mu))
            tau = math.inf if search.tau is None else divisor(link) * float(search.tau)
            values[:, i, j] = tau, float(search.A or 0.0), float(search.B)
    names = {"tau": "search time, eta * step", "A": "drive", "B": "minus the curvature across the bulk"}
    return xr.Dataset(
        {
            name: (("link", "mu"), column, {"long_name": names[name]})
            for name, column in zip(names, values, strict=True)
        },
        {"link": list(links), "mu": alignments},
    )


def search_times(settings: Settings, advance: Advance, *, label: str | None = None) -> xr.Dataset:
    """Return tau(mu) of linear, erf, ReLU and sigmoid with expected, simulated and published exit times."""
    curves = _curves(LINKS, label, _alignments(settings))
    cases = [Case(link, mu, label) for link in LINKS for mu in settings.alignments]
    rows = []
    for number, (case, seed) in enumerate(zip(cases, seeds(settings, len(cases)), strict=True)):
        rows.append(_exits(case, seed, settings))
        advance(number + 1, len(cases))
    shape = (len(LINKS), len(settings.alignments))
    points = {
        name: (("link", "simulated_mu"), np.reshape([row[name] for row in rows], shape), {"long_name": text})
        for name, text in _POINTS.items()
    }
    attributes = {"label": label or "y", "d": DIMENSION, "batch": BATCH, "eta": ETA, "confidence": CONFIDENCE}
    return curves.assign(points).assign_coords(simulated_mu=list(settings.alignments)).assign_attrs(attributes)


_POINTS = {
    "expected": "expected median exit of SGD, t = eta * step",
    "tolerance": "of that expectation, t = eta * step",
    "exit_median": "median exit of SGD, t = eta * step",
    "exit_low": "lower end of its interval",
    "exit_high": "upper end of its interval",
    "exited": "runs that exited",
    "censored": "runs that did not",
    "diverged": "runs that diverged",
    "published": "published exit, t = eta * step",
    "published_spread": "its spread, t = eta * step",
    "emulated": "median over triples of our runs of the published statistic, t = eta * step",
    "emulated_low": "2.5 % quantile of that",
    "emulated_high": "97.5 % quantile of that",
}


def _exits(case: Case, seed: int, settings: Settings) -> dict[str, float]:
    """Simulate exits at |m| = mu."""
    expected = case.expected(case.mu)
    row = dict.fromkeys(_POINTS, math.nan)
    typical = expected.sgd or case.expected(case.mu / 2).sgd or QUIET  # the drift may keep |m| below mu
    replicas = settings.replicas(typical, least=settings.pick(40, 16), most=settings.pick(400, 100))
    setting = case.experiment(replicas, seed, math.ceil(PATIENCE * typical) + 100, case.mu)
    sample = simulate(setting, threads=settings.threads)
    low, high = sample.median_interval(CONFIDENCE)
    values = {"expected": expected.sgd, "tolerance": expected.tolerance, "exit_median": sample.median}
    values |= {"exit_low": low, "exit_high": high}
    known = published_times().get(case.link, {}) if case.label is None else {}
    if case.mu in known:
        values["published"], values["published_spread"] = known[case.mu]
        names = ("emulated", "emulated_low", "emulated_high")
        values |= dict(zip(names, _emulated(case, typical, min(replicas, MOST_PATHS), seed, settings), strict=True))
    row |= {name: case.to_time(value) for name, value in values.items() if value is not None}
    return row | {name: float(count) for name, count in sample.counts._asdict().items()}


def _emulated(case: Case, exit_step: float, runs: int, seed: int, settings: Settings) -> tuple[float, float, float]:
    """Read the published statistic off paths that are long enough for its window to close."""
    last = math.ceil(2 * exit_step) + 50
    steps = np.arange(0, last, max(1, last // RECORDED))
    paths = trajectories(case.experiment(runs, seed, last), steps.tolist(), threads=settings.threads)
    return emulate(np.abs(paths.m.values), steps.astype(np.float64), case.mu, seed)


def hermite_times(settings: Settings, advance: Advance, *, label: str | None = None) -> xr.Dataset:
    """Return tau(mu) of He_k with critical strengths and, on plain labels, overlaps of He_3 beside its own."""
    links = (*EVEN, *ODD)
    work = len(links) + (0 if label else len(INSET))
    places: list[list[float]] = []
    for number, link in enumerate(links):
        alignments = [c for c in critical_strengths(derive(link, label=label)) if c.mu != 1]
        places.append([float(c.mu) for c in alignments])
        advance(number + 1, work)
    width = max(map(len, places)) or 1
    padded = [[*row, *[math.nan] * (width - len(row))] for row in places]
    curves = _curves(links, label, _alignments(settings, [mu for row in places for mu in row]))
    curves["critical"] = (("link", "root"), np.array(padded), {"long_name": "alignment with A = 0"})
    curves = curves.assign_attrs(label=label or "y", d=DIMENSION, batch=BATCH, eta=ETA)
    if label is not None:
        return curves
    for number, (mu, seed) in enumerate(zip(INSET, seeds(settings, len(INSET)), strict=True)):
        curves = curves.assign(_overlaps(Case("he3", mu), number, seed, settings))
        advance(len(links) + number + 1, work)
    return curves.assign_coords(inset_mu=list(INSET))


def _overlaps(case: Case, number: int, seed: int, settings: Settings) -> dict[str, tuple[tuple[str, ...], Array]]:
    path = follow(
        case, seed=seed, points=INSET_POINTS, runs=(settings.pick(16, 4), 24), settings=settings, after=INSET_AFTER
    )
    names = {"step": "step", "m": "m_flow", "m_low": "m_low", "m_high": "m_high"}
    lines: dict[str, tuple[tuple[str, ...], Array]] = {
        f"{key}_{number}": ((f"time_{number}",), path[name]) for key, name in names.items()
    }
    return lines | {f"{name}_{number}": ((), path[name]) for name in ("runs", "relapsed")}
