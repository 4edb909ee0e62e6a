r"""Paths of the flow against an integration of their own: THEORY's equations typed in, with expectations by quadrature.

    du/dt = -(L_q m + 2 L_r (s + u))
    dm/dt = -u (L_q (1 - m^2) + 2 L_r (mu - s m)) - (kappa/2) u^2 J m
    ds/dt = -u (L_q (mu - s m) + 2 L_r (rho^2 - s^2)) - (kappa/2) u^2 J s

by SciPy's LSODA; bands of SGD have to follow the flow in the bulk of a path.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from hermescape.paper.checks.findings import Finding, compare
from hermescape.paper.checks.oracle import moments
from hermescape.paper.simulation import Case
from hermescape.paper.stages import FIRST_THRESHOLD
from numerics.plots.style import Array

__all__ = ["check_stages", "check_training", "compare_flow"]

REFERENCE = "SciPy integration with quadrature"
OVERLAP_TOLERANCE = 2e-3
ERROR_TOLERANCE = 5e-3  # of the error at the start
POINTS = 12  # of a path
CHECKED = (0.2, 0.5, 0.7)  # alignments whose paths are integrated again
BAND_TOLERANCE = 0.3


def _velocity(case: Case, label: str, state: Array) -> Array:
    u, m, s = state
    rho2 = case.mu**2 if case.rho is None else case.rho**2
    q, r = case.mu + u * m, rho2 + 2 * u * s + u * u
    at = moments(case.link, label, q, max(r - q * q, 0.0))
    noise = case.kappa / 2 * u * u * at.noise
    return np.array(
        [
            -(at.slope * m + 2 * at.bend * (s + u)),
            -u * (at.slope * (1 - m * m) + 2 * at.bend * (case.mu - s * m)) - noise * m,
            -u * (at.slope * (case.mu - s * m) + 2 * at.bend * (rho2 - s * s)) - noise * s,
        ]
    )


def _integrate(case: Case, label: str, start: Array, times: Array) -> Array:
    """Return u, m and s at the times."""
    path = solve_ivp(
        lambda _, y: _velocity(case, label, y),
        (0.0, float(times[-1])),
        start,
        method="LSODA",
        t_eval=times,
        rtol=1e-7,
        atol=1e-10,
    )
    return path.y


def _first(case: Case) -> Array:
    start = case.start
    return np.array([start["u"], start["m"], start.get("s", case.mu * start["m"])])


def _observed(case: Case, states: Array) -> dict[str, Array]:
    """Return |m|, q and the error of states."""
    u, m, s = states
    rho2 = case.mu**2 if case.rho is None else case.rho**2
    q = case.mu + u * m
    gap = np.maximum(rho2 + 2 * u * s + u * u - q * q, 0.0)
    errors = [2 * moments(case.link, "y", float(a), float(d)).loss for a, d in zip(q, gap, strict=True)]
    return {"m": np.abs(m), "q": q, "mse": np.array(errors)}


def _sampled(steps: Array) -> NDArray[np.intp]:
    """Return indices of a few steps of a path, the last one among them."""
    known = np.flatnonzero(np.isfinite(steps) & (steps > 0))
    return np.unique(known[np.linspace(0, len(known) - 1, POINTS).round().astype(int)])


def compare_flow(link: str, mu: float, mixed: bool, steps: Array, paths: dict[str, Array]) -> list[Finding]:
    """Compare a path, from its own start."""
    case, at = Case(link, mu, mixed=mixed), _sampled(steps)
    wanted = _observed(case, _integrate(case, "y", _first(case), case.eta * steps[at]))
    return _against(f"{link} at mu = {mu:g}", {name: path[at] for name, path in paths.items()}, wanted)


def _against(where: str, measured: dict[str, Array], wanted: dict[str, Array]) -> list[Finding]:
    tolerances = {"m": OVERLAP_TOLERANCE, "q": OVERLAP_TOLERANCE, "mse": ERROR_TOLERANCE * wanted["mse"].max()}
    return [compare(f"{n} of {where}", REFERENCE, path, wanted[n], tolerances[n]) for n, path in measured.items()]


def check_training(dataset: xr.Dataset) -> list[Finding]:
    """Check the flows of some alignments and the bands of all."""
    mixed, checks = bool(dataset.attrs["mixed"]), []
    for name in map(str, dataset.link.values):
        for mu in map(float, dataset.mu.values):
            path = dataset.sel(link=name, mu=mu)
            if any(abs(mu - checked) < 1e-9 for checked in CHECKED):
                lines = {key: path[f"{key}_flow"].values for key in ("m", "q", "mse")}
                checks += compare_flow(name, mu, mixed, path.step.values, lines)
            checks.append(_band(f"{name} at mu = {mu:g}", path))
    return checks


def _band(where: str, path: xr.Dataset, prefix: str = "") -> Finding:
    """Compare the flow's alignment with the median of SGD, by the share of the range of values on the way."""
    flow, low, high = (path[f"{prefix}q_{tag}"].values for tag in ("flow", "low", "high"))
    known = np.isfinite(flow)
    nearest = np.clip(flow, low, high)[known]
    size = float(np.ptp(flow[known])) or 1.0
    return compare(f"flow of {where}", "band of SGD", flow[known], nearest, BAND_TOLERANCE * size)


def check_stages(dataset: xr.Dataset) -> list[Finding]:
    """Check both ways of training at some alignments."""
    checks = []
    for name in map(str, dataset.link.values):
        for mu in map(float, dataset.mu.values):
            path, where = dataset.sel(link=name, mu=mu), f"{name} at mu = {mu:g}"
            checks += [_band(f"{where}, {kind}", path, f"{kind}_") for kind in ("direct", "staged")]
            if not any(abs(mu - checked) < 1e-9 for checked in CHECKED):
                continue
            lines = {key: path[f"direct_{key}_flow"].values for key in ("m", "q", "mse")}
            checks += compare_flow(name, mu, False, path.direct_step.values, lines)
            checks += _compare_staged(name, mu, path)
    return checks


def _compare_staged(name: str, mu: float, path: xr.Dataset) -> list[Finding]:
    """Integrate both stages again."""
    case, squared = Case(name, mu), Case(name, mu, "y**2")
    steps, switch = path.staged_step.values, float(path.staged_switch)
    at = _sampled(np.where(steps == switch, np.nan, steps))
    before, after = steps[at][steps[at] <= switch], steps[at][steps[at] > switch]
    one = _integrate(squared, "y**2", _first(squared), case.eta * np.append(before, switch))
    two = _integrate(case, "y", one[:, -1], case.eta * np.append(0.0, after - switch))
    states = np.concatenate([one[:, :-1], two[:, 1:]], axis=1)
    lines = {key: path[f"staged_{key}_flow"].values[at] for key in ("m", "q", "mse")}
    reached = compare(
        f"|m| of {name} at mu = {mu:g} after the first stage", "its threshold", abs(one[1, -1]), FIRST_THRESHOLD, 0.05
    )
    return [*_against(f"{name} at mu = {mu:g}, two stages", lines, _observed(case, states)), reached]
