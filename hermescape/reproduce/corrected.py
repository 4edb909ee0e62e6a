r"""Figure of the published ReLU curve and what is right: exact tau, truncated sums with remainders, and simulation.

With sigma_k^[r] = E_r[He_k^[r] sigma] the published sum for B leaves out the k = 0 term of E[sigma''(l) phi(l*)],

    phi_0 sigma_2^[r] / r^2,    r = mu^2,

which vanishes for odd links and for the sigmoid's odd part, but is 1/(2 pi mu) for ReLU, and all sums stop at k = 16.
The corrected sums keep k = 0 and carry remainders (`numerics.series`).

*The judge* measures tau without it: exit times of exact SGD at several d and one kappa have medians that grow by
S = 1/(2 lambda_eta) per unit of log d, lambda_eta = log(1 + eta lambda)/eta, whatever constants go with them
(`hermescape.lawcheck`). So tau = 1/lambda = eta/(exp(eta/(2 S)) - 1), with the interval of S.
"""

from __future__ import annotations

import math

import numpy as np
import xarray as xr

from hermescape.lawcheck import check_law
from hermescape.reproduce.settings import Advance, Settings
from numerics.evaluate import evaluator
from numerics.search import search_time
from theory.activations import activation
from theory.dynamics import derive
from theory.hermite import coefficient
from theory.symbols import mu as mu_symbol

__all__ = ["CUT", "ORDERS", "QUOTED", "corrected", "published_tau", "rate_to_tau"]

JUDGED = {"relu": (0.032, 0.1, 0.3, 0.6, 0.8985), "erf": (0.1, 0.3, 0.6, 0.8)}
ORDERS = (16, 64, 1024)
CUT = 16
QUOTED = {0.032: 19.46, 0.8985: 251.3}
"""tau of ReLU in the published curve, by mu."""


def rate_to_tau(A: float, B: float) -> float:
    """Return tau = 2/(B + sqrt(B^2 + 4 A^2)) in the form that keeps its digits for B < 0."""
    return (math.hypot(B, 2 * A) - B) / (2 * A * A)


def published_tau(link: str, mu: float) -> float:
    """Return tau of the sums as published: cut at k = 16, B without its k = 0 term.

    >>> [round(published_tau("relu", mu), digits) for mu, digits in ((0.032, 2), (0.8985, 1))]
    [19.46, 251.3]
    """
    sigma = activation(link)
    found = search_time(derive(link), mu, order=CUT)
    first = coefficient(sigma, 0) * coefficient(sigma, 2, mu_symbol**2) / mu_symbol**4
    (dropped,) = evaluator((mu_symbol,), (first,)).values(mu)
    return rate_to_tau(float(found.A or 0.0), float(found.B) - dropped)


def corrected(settings: Settings, advance: Advance) -> xr.Dataset:
    """Return exact, published and corrected tau(mu) of ReLU and erf, and the tau that simulations measure."""
    links = tuple(JUDGED)
    ends, count = (0.02, 0.95), settings.pick(60, 20)
    strengths = np.unique([*np.linspace(*ends, count).round(4), *QUOTED])
    exact, published = np.empty((2, len(links), len(strengths)))
    series = np.empty((3, len(links), len(ORDERS), len(strengths)))
    total = len(links) * (len(strengths) + max(map(len, JUDGED.values())))
    done, judged = 0, []
    for i, link in enumerate(links):
        system = derive(link)
        for j, mu in enumerate(map(float, strengths)):
            exact[i, j], published[i, j] = float(search_time(system, mu).tau or math.inf), published_tau(link, mu)
            for k, order in enumerate(ORDERS):
                cut = search_time(system, mu, order=order)
                low, high = cut.interval
                series[:, i, k, j] = cut.tau or math.inf, low, high if high is not None else math.inf
            done += 1
            advance(done, total)
    for link in links:
        for mu in JUDGED[link]:
            judged.append(_judge(link, mu, settings))
            done += 1
            advance(done, total)
    curves = {
        "exact": (("link", "mu"), exact),
        "published": (("link", "mu"), published),
        **{
            name: (("link", "order", "mu"), values)
            for name, values in zip(("series", "series_low", "series_high"), series, strict=True)
        },
    }
    names = ("judged_link", "judged_mu", "judge", "judge_low", "judge_high", "judge_runs", "judge_eta")
    points = {name: ("judgement", np.array(column)) for name, column in zip(names, zip(*judged, strict=True), strict=True)}
    return xr.Dataset({**curves, **points}, {"link": list(links), "mu": strengths, "order": list(ORDERS)})


def _judge(link: str, mu: float, settings: Settings) -> tuple[str, float, float, float, float, int, float]:
    """Measure tau by the growth of the median exit time with log d; its interval is at 99 %."""
    report = check_law(
        link,
        mu=[mu],
        dimensions=settings.pick((1_000, 10_000, 100_000), (1_000, 30_000)),
        budget=settings.pick(3e9, 1.5e8),
        seed=settings.seed,
        threads=settings.threads,
    )
    (case,) = report.cases
    eta, runs = case.lr, min((row.runs for row in case.rows), default=0)
    low, high = case.slope_interval
    values = [math.nan if slope is None else eta / math.expm1(eta / (2 * slope)) for slope in (case.slope, low, high)]
    return link, mu, values[0], values[1], values[2], runs, eta
