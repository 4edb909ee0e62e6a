r"""The published exit times of arXiv:2602.02855, and what their definition makes of simulated paths.

The file beside this one holds them: G. Nwemadji, B. Loureiro, J. Barbier, *When pre-training hurts LoRA fine-tuning: a
dynamical analysis via single-index models*, arXiv:2602.02855 (2026), code repository of the authors, MIT licence. A
published time is the mean index of the steps at which |m|, averaged over three seeds, lies within mu +- 0.05. The mean
over seeds is ruled by the fastest of them and the window ends before the slowest, so this statistic is shorter than a
median first passage of |m| = mu; `emulate` applies it to paths of our own.
"""

from __future__ import annotations

import csv
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

__all__ = ["CITATION", "HALF_WIDTH", "emulate", "published_times"]

CITATION = (
    "G. Nwemadji, B. Loureiro, J. Barbier, When pre-training hurts LoRA fine-tuning: a dynamical analysis via "
    "single-index models, arXiv:2602.02855 (2026); authors' code repository, MIT licence"
)
HALF_WIDTH, SEEDS = 0.05, 3
DRAWS = 1000
Array = NDArray[np.float64]


def published_times() -> dict[str, dict[float, tuple[float, float]]]:
    """Return steps and spread by link and mu.

    >>> published_times()["relu"][0.5]
    (125.0, 3.742)
    """
    text = files("hermescape.paper").joinpath("data/published_exit_times.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    table: dict[str, dict[float, tuple[float, float]]] = {}
    for row in rows:
        table.setdefault(row["link"], {})[float(row["mu"])] = float(row["steps"]), float(row["spread"])
    return table


def emulate(overlap: Array, steps: Array, mu: float, seed: int) -> tuple[float, float, float]:
    """Return the median and the 95 % range, over triples of runs, of the published statistic; NaN where it is empty.

    Args:
        overlap: |m| of shape (runs, steps).
        steps: at which it was recorded, evenly spaced.
        mu: alignment, and middle of the window.
        seed: of the choice of triples.
    """
    rng = np.random.Generator(np.random.SFC64(seed))
    points = []
    for _ in range(DRAWS):
        mean = overlap[rng.choice(len(overlap), SEEDS, replace=False)].mean(axis=0)
        inside = np.abs(mean - mu) <= HALF_WIDTH
        points.append(steps[inside].mean() if inside.any() else np.nan)
    values = np.array(points)
    if np.isnan(values).mean() > 0.02:
        return np.nan, np.nan, np.nan
    middle, low, high = np.nanquantile(values, [0.5, 0.025, 0.975])
    return float(middle), float(low), float(high)
