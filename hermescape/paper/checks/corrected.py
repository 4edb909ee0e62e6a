"""The corrected figure: exact and truncated curves against sums by quadrature, quoted numbers, and the judge."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr
from numpy.polynomial import hermite_e
from scipy.integrate import quad

from hermescape.paper.checks import oracle
from hermescape.paper.checks.findings import Finding, compare
from hermescape.paper.corrected import CUT, QUOTED

__all__ = ["check_corrected"]

JUDGE_BIAS = 0.1  # of tau: what u/mu and the noise that still comes in may do
AT = (0.1, 0.4, 0.8)  # alignments near which the sums are made again


def _coefficients(name: str, scale: float) -> np.ndarray:
    """Return E h_k(Z) sigma(scale Z), h_k = He_k/sqrt(k!), k = 0, ..., 18, by quadrature on both sides of 0."""
    sigma = oracle.link(name).value

    def one(k: int) -> float:
        basis = [0.0] * k + [1 / math.sqrt(math.factorial(k))]

        def f(z: float) -> float:
            weight = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
            return float(sigma(np.array(scale * z)) * hermite_e.hermeval(z, basis)) * weight

        return quad(f, -oracle.FAR, 0, limit=200)[0] + quad(f, 0, oracle.FAR, limit=200)[0]

    return np.array([one(k) for k in range(CUT + 3)])


def _sums(name: str, mu: float) -> tuple[float, float]:
    """Return tau of the sums cut at 16: corrected, and without the k = 0 term of E[sigma'' phi]."""
    s, p = _coefficients(name, mu), _coefficients(name, 1.0)[: CUT + 1]
    k = np.arange(CUT + 1.0)
    own, ladder = s[: CUT + 1], np.sqrt((k + 1) * (k + 2)) * s[2:]
    A = float((k * own + ladder) @ (p - own)) / mu
    B = -float(k @ own**2 + ladder @ (own - p)) / mu**2
    published = B - ladder[0] * p[0] / mu**2
    return tuple((-b + math.hypot(b, 2 * A)) / (2 * A * A) for b in (B, published))  # type: ignore[return-value]


def check_corrected(dataset: xr.Dataset) -> list[Finding]:
    """Compare every curve."""
    checks, alignments = [], dataset.mu.values
    for name in map(str, dataset.link.values):
        curves = dataset.sel(link=name)
        rows = [oracle.search_time_of(*oracle.drive_and_bend(name, "y", float(mu))) for mu in alignments]
        tau, tolerance = np.array(rows).T
        checks.append(compare(f"exact tau of {name}", "Gauss-Legendre quadrature", curves.exact.values, tau, tolerance))
        at = sorted({int(np.abs(alignments - mu).argmin()) for mu in AT})
        sums = np.array([_sums(name, float(alignments[i])) for i in at]).T
        lines = {"corrected sum, order 16": curves.series.sel(order=CUT), "published sum": curves.published}
        for (line, curve), wanted in zip(lines.items(), sums, strict=True):
            source = "coefficients by quadrature"
            checks.append(compare(f"{line} of {name}", source, curve.values[at], wanted, 1e-6 * np.abs(wanted)))
        for order in dataset.order.values:
            inside = np.clip(tau, *(curves[f"series_{end}"].sel(order=order).values for end in ("low", "high")))
            source = f"remainder of order {order}"
            checks.append(compare(f"exact tau of {name}", source, tau, inside, tolerance))
    for mu, quoted in QUOTED.items():
        drawn = float(dataset.published.sel(link="relu", mu=mu))
        checks.append(
            compare(f"published tau of relu at {mu}", "as quoted, to four digits", drawn, quoted, 6e-4 * quoted)
        )
    judged = dataset.judged_link.values.astype(str)
    exact = [
        oracle.search_time_of(*oracle.drive_and_bend(str(n), "y", float(mu)))[0]
        for n, mu in zip(judged, dataset.judged_mu.values, strict=True)
    ]
    nearest = np.clip(exact, dataset.judge_low.values, dataset.judge_high.values)
    kind = "simulated growth, 99 % interval and bias"
    return [*checks, compare("exact tau", kind, exact, nearest, JUDGE_BIAS * np.array(exact))]
