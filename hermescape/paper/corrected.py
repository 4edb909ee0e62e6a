r"""Figure of the published ReLU curve and what is right: exact tau, truncated sums with remainders, and simulation.

With sigma_k^[r] = E_r[He_k^[r] sigma] the published sum for B leaves out the k = 0 term of E[sigma''(l) phi(l*)],

    phi_0 sigma_2^[r] / r^2,    r = mu^2,

which vanishes for odd links and for the sigmoid's odd part, but is 1/(2 pi mu) for ReLU, and all sums stop at k = 16.
The corrected sums keep k = 0 and carry remainders (`numerics.integrals.series`).

*The judge* measures the rate without deriving it: in exact SGD the overlap m grows by 1 + eta lambda a step as long as
it is small. From the slope g of log rms m over steps, inside a window in which u is small (below mu/10, and 0.4 mu^2
for ReLU: further out the flow is not linear) and m above 3.5 times its start, tau = 1/lambda = eta/(exp(g) - 1), with a
bias of a few per cent: that of B with u, and the noise that still comes in.
"""

from __future__ import annotations

import math

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from hermescape.api import experiment
from hermescape.paper.settings import ETA, Advance, Settings
from numerics.compile.formulas import compiled
from numerics.integrals.evaluate import evaluator
from numerics.law.linear import widening
from numerics.rates.search_time import gradient_noise, growth_rate, search_time
from numerics.simulation.experiment import Experiment
from numerics.simulation.montecarlo import trajectories
from theory.calculus.pieces import pieces
from theory.language.activations import activation
from theory.language.hermite import coefficient
from theory.network.derivation import derive
from theory.search.law import prefactor
from theory.symbols import mu as mu_symbol

__all__ = ["CUT", "ORDERS", "QUOTED", "corrected", "published_tau"]

JUDGED = {"relu": (0.05, 0.1, 0.3, 0.6, 0.8985), "erf": (0.1, 0.3, 0.6, 0.8)}
ORDERS = (16, 64, 1024)
CUT = 16
LINEAR_OVERLAP, LINEAR_SCALE = 0.05, 0.1  # m, and u/mu, up to which the escape counts as linear
KINK_SCALE = 0.4  # u/mu^2 up to which it does: B of ReLU changes by u/(2 pi mu^2)
WINDOW, BELOW = 4.0, 3.5  # ratio of its ends; how far below it runs start
LONG_ENOUGH = 5.5  # search times to the upper end: log(4 * 3.5) = 2.6, the transient, and a margin
RECORDED, REDRAWN, LEVEL = 300, 400, 0.01
QUOTED = {0.032: 19.46, 0.8985: 251.3}
"""tau of ReLU in the published curve, by mu."""


def published_tau(link: str, mu: float) -> float:
    """Return tau of the sums as published: cut at k = 16, B without its k = 0 term.

    >>> [round(published_tau("relu", mu), digits) for mu, digits in ((0.032, 2), (0.8985, 1))]
    [19.46, 251.3]
    """
    sigma = activation(link)
    search = search_time(derive(link), mu, order=CUT)
    first = coefficient(sigma, 0) * coefficient(sigma, 2, mu_symbol**2) / mu_symbol**4
    (dropped,) = evaluator((mu_symbol,), (first,)).values(mu)
    return 1 / growth_rate(float(search.G), float(search.B) - dropped)


def corrected(settings: Settings, advance: Advance) -> xr.Dataset:
    """Return exact, published and corrected tau(mu) of ReLU and erf, and the tau that simulations measure."""
    links = tuple(JUDGED)
    ends, count = (0.02, 0.95), settings.pick(60, 20)
    alignments = np.unique([*np.linspace(*ends, count).round(4), *QUOTED])
    exact, published = np.empty((2, len(links), len(alignments)))
    series = np.empty((3, len(links), len(ORDERS), len(alignments)))
    judged_at = [(link, mu) for link in links for mu in JUDGED[link] if mu >= settings.pick(0.0, 0.1)]
    total = len(links) * len(alignments) + len(judged_at)
    done, judged = 0, []
    for i, link in enumerate(links):
        system = derive(link)
        for j, mu in enumerate(map(float, alignments)):
            exact[i, j], published[i, j] = float(search_time(system, mu).tau or math.inf), published_tau(link, mu)
            for k, order in enumerate(ORDERS):
                cut = search_time(system, mu, order=order)
                low, high = cut.interval
                series[:, i, k, j] = cut.tau or math.inf, low, high if high is not None else math.inf
            done += 1
            advance(done, total)
    for link, mu in judged_at:
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
    names = ("judged_link", "judged_mu", "judge", "judge_low", "judge_high", "judge_runs", "judge_batch")
    points = {
        name: ("judgement", np.array(column)) for name, column in zip(names, zip(*judged, strict=True), strict=True)
    }
    return xr.Dataset({**curves, **points}, {"link": list(links), "mu": alignments, "order": list(ORDERS)})


def _judge(link: str, mu: float, settings: Settings) -> tuple[str, float, float, float, float, int, int]:
    """Measure tau by the growth of rms m over exact runs; its interval is at 99 %, by redrawing runs."""
    setting, window = _early(link, mu, settings)
    steps = np.unique(np.linspace(0, setting.stop.max_steps, RECORDED).round().astype(int))
    paths = trajectories(setting, [int(step) for step in steps], threads=settings.threads)
    squares = paths.m.values**2
    rng = np.random.Generator(np.random.SFC64(setting.runs.seed))
    own = _growth(steps, squares, window)
    redrawn = [_growth(steps, squares[rng.integers(0, len(squares), len(squares))], window) for _ in range(REDRAWN)]
    growth = np.array([own, *np.quantile(redrawn, [1 - LEVEL / 2, LEVEL / 2])])  # a step
    tau = ETA / np.expm1(growth)
    return link, mu, float(tau[0]), float(tau[1]), float(tau[2]), setting.replicas, setting.sgd.batch


def _early(link: str, mu: float, settings: Settings) -> tuple[Experiment, tuple[float, float]]:
    """Return runs that start well below a window of m which is well inside the linear part, at little cost.

    Start and noise together give log c_0 = log(S/G) - prefactor - (1/2) log d, as in the law; kappa is as large as
    keeps the noise below the start and the drift kappa u^2 J_0 / 2 below 2 % of lambda.
    """
    system = derive(link)
    search, noise = search_time(system, mu), gradient_noise(system, mu)
    rate, drive = float(search.rate), float(search.G)
    bound = (
        min(LINEAR_SCALE * mu, KINK_SCALE * mu**2) if pieces(activation(link).expr).breakpoints else LINEAR_SCALE * mu
    )
    top = min(LINEAR_OVERLAP, bound * drive / rate)
    low = top / WINDOW
    kappa = min(2 * drive**2 / (rate * noise), 0.04 * rate / ((top * rate / drive) ** 2 * noise))
    seeded = widening(search, noise, kappa, 0.0) / math.exp(compiled(prefactor)(rate, drive**2, drive, drive))
    dimension = math.ceil((seeded * BELOW / low) ** 2)
    batch = max(1, math.ceil(ETA * dimension / kappa))
    last = math.ceil(LONG_ENOUGH / (rate * ETA))
    runs = settings.replicas(last, batch=batch, least=12, most=settings.pick(600, 300))
    place = {"dimension": dimension, "batch": batch, "step_size": ETA, "replicas": runs, "seed": settings.seed}
    return experiment(link, mu=mu, threshold=None, max_steps=last, **place), (low, top)


def _growth(steps: NDArray[np.int64], squares: NDArray[np.float64], window: tuple[float, float]) -> float:
    """Return the slope of log rms m over steps, by least squares inside the window of rms."""
    rms = np.sqrt(squares.mean(axis=0))
    first = int(np.argmax(rms >= window[0]))
    last = int(np.argmax(rms >= window[1])) if (rms >= window[1]).any() else len(rms)
    inside = slice(first, last)
    return float(np.polyfit(steps[inside], np.log(rms[inside]), 1)[0])
