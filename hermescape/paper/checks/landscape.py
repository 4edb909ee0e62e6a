"""Bias, potential, A and B against one-dimensional quadrature."""

from __future__ import annotations

import numpy as np
import xarray as xr

from hermescape.paper.checks import oracle
from hermescape.paper.checks.findings import Finding, compare
from hermescape.paper.landscape import norm
from hermescape.paper.settings import divisor

__all__ = ["check_landscape"]

SOURCE = "Gauss-Legendre quadrature"


def check_landscape(dataset: xr.Dataset) -> list[Finding]:
    """Compare all four curves of every link."""
    checks = []
    for name in map(str, dataset.link.values):
        curves, size = dataset.sel(link=name), norm(name)
        rows = np.array([oracle.drive_and_bend(name, "y", float(mu)) for mu in dataset.mu.values]).T / divisor(name)
        wanted = {
            "bias": [oracle.bias(name, float(r)) / size**0.5 for r in dataset.r.values],
            "potential": [oracle.potential(name, float(mu)) / size for mu in dataset.mu.values],
            "A": rows[0],
            "B": rows[1],
        }
        checks += [compare(f"{key} of {name}", SOURCE, curves[key].values, f, 1e-8) for key, f in wanted.items()]
    return checks
