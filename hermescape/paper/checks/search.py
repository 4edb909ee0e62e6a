"""Search times against quadrature, critical strengths against the drive, exits of SGD against what is expected."""

from __future__ import annotations

import numpy as np
import xarray as xr

from hermescape.paper.checks.dynamics import compare_flow
from hermescape.paper.checks.findings import Finding, compare
from hermescape.paper.checks.oracle import drive_and_bend, search_time_of
from hermescape.paper.published import published_times
from hermescape.paper.settings import divisor
from numerics.plots.style import Array

__all__ = ["check_hermite", "check_search", "curve_findings"]

QUADRATURE = "Gauss-Legendre quadrature of A and B"
MOST = 40  # points of a curve that are compared


def curve_findings(dataset: xr.Dataset) -> list[Finding]:
    """Compare tau(mu) of every link."""
    label, checks = str(dataset.attrs["label"]), []
    for name in map(str, dataset.link.values):
        curve = dataset.sel(link=name)
        every = slice(None, None, max(1, curve.sizes["mu"] // MOST))
        rows = [search_time_of(*drive_and_bend(name, label, float(mu))) for mu in curve.mu.values[every]]
        tau, tolerance = divisor(name) * np.array(rows).T
        checks.append(compare(f"tau of {name}", QUADRATURE, curve.tau.values[every], tau, tolerance))
        closed = _closed(name, label, curve.mu.values)
        if closed is not None:
            checks.append(compare(f"tau of {name}", "closed form", curve.tau.values, closed, 1e-9 * closed))
    return checks


def _closed(name: str, label: str, mu: Array) -> Array | None:
    """Return tau where A and B are polynomials known by hand: THEORY of the search phase, aligned."""
    known = {
        "linear": (1 - mu, -np.ones_like(mu)),
        "relu": ((1 - mu) / 2, np.full_like(mu, -0.5)),
        "he2": (6 * mu * (1 - mu**2), 2 - 6 * mu**2),
    }
    if label != "y" or name not in known:
        return None
    A, B = known[name]
    root = np.hypot(B, 2 * A)
    return divisor(name) * np.where(B > 0, 2 / (B + root), (root - B) / (2 * A * A))


def check_search(dataset: xr.Dataset) -> list[Finding]:
    """Check curves, the exits of SGD, and the published numbers that are drawn."""
    checks = curve_findings(dataset)
    for name in map(str, dataset.link.values):
        points = dataset.sel(link=name)
        checks.append(compare(f"runs of {name}", "none diverged", points.diverged.values, 0.0, 0.5))
        at = np.isfinite(points.expected.values)
        if at.any():
            expected, ends = points.expected.values[at], (points.exit_low.values[at], points.exit_high.values[at])
            kind, tolerance = "interval of simulated exits", points.tolerance.values[at]
            checks.append(compare(f"exit of {name}", kind, expected, np.clip(expected, *ends), tolerance))
            runs = points.exited.values[at] + points.censored.values[at]
            checks.append(compare(f"runs of {name}", "none censored", points.censored.values[at] / runs, 0.0, 0.02))
    known = published_times() if dataset.attrs["label"] == "y" else {}
    for name in known.keys() & set(dataset.link.values.tolist()):
        points, times = dataset.sel(link=name), known[name]
        wanted = [times.get(round(float(mu), 6), (np.nan, np.nan))[0] for mu in points.simulated_mu.values]
        eta = float(dataset.attrs["eta"])
        checks.append(compare(f"published {name}", "its file", points.published.values / eta, wanted, 1e-9))
    return checks


def check_hermite(dataset: xr.Dataset) -> list[Finding]:
    """Check curves, and that the drive vanishes at every critical strength."""
    label, checks = str(dataset.attrs["label"]), curve_findings(dataset)
    for name in map(str, dataset.link.values):
        places = dataset.critical.sel(link=name).values
        for mu in places[np.isfinite(places)]:
            A, _, size, _ = drive_and_bend(name, label, float(mu))
            checks.append(compare(f"critical mu = {mu:.5f} of {name}", "A by quadrature", A, 0.0, 1e-9 * size))
    checks += _inset(dataset) if "inset_mu" in dataset else []
    return checks


def _inset(dataset: xr.Dataset) -> list[Finding]:
    rows = []
    for number, mu in enumerate(dataset.inset_mu.values):
        steps, path = dataset[f"step_{number}"].values, dataset[f"m_{number}"].values
        rows.append(compare_flow("he3", float(mu), False, steps, {"m": path}))
    return [finding for row in rows for finding in row]
