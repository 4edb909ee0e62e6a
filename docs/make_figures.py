"""Draw two figures of the front page, and one of the theory: `python docs/make_figures.py`.

The third of the front page is drawn by `hermescape check`.
"""

from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hermescape import derive, escape_law, search_time, simulate
from numerics.plots import collapse, figure_of, figure_of_many, law_cdf, tau_curve
from theory.search.critical import critical_strengths

FOLDER = Path(__file__).parent / "figures"
SHOWN = {"linear": "linear", "relu": "ReLU", "gelu": "GELU", "erf": "erf", "he2": "He₂", "he3": "He₃"}
DIMENSIONS = {10**4: "$d = 10^4$", 10**6: "$d = 10^6$", 10**8: "$d = 10^8$", 10**12: "$d = 10^{12}$"}


def tau() -> Figure:
    """Return the search time of six activations against the alignment of pre-training."""
    grid = np.linspace(0.02, 0.98, 193)

    def draw(ax: Axes) -> Axes:
        for index, (name, label) in enumerate(SHOWN.items()):
            system = derive(name)
            critical = [float(c.mu) for c in critical_strengths(system) if c.mu < 1]
            values = [float(search_time(system, mu).tau or np.inf) for mu in grid]
            tau_curve(ax, grid, values, label=label, index=index, critical=critical)
        ax.set_ylim(0.1, 3e4)
        return ax

    return figure_of(draw, "search time of LoRA fine-tuning")


def law(mu: float = 0.4, kappa: float = 4.0, step_size: float = 0.05, replicas: int = 2000) -> Figure:
    """Return the exit times of a linear student at several dimensions, reduced by derived numbers."""
    system, samples = derive("linear"), {}
    for seed, (dimension, label) in enumerate(DIMENSIONS.items()):  # one seed for all would repeat the same runs
        known = escape_law(system, mu=mu, dimension=dimension, kappa=kappa, step_size=step_size)
        runs = simulate(
            "linear",
            mu=mu,
            dimension=dimension,
            batch=ceil(step_size * dimension / kappa),
            step_size=step_size,
            replicas=replicas,
            seed=seed,
            max_steps=ceil(3 * known.quantile(0.9999) / step_size),
        )
        assert runs.counts.exited == replicas
        assert known.tau is not None
        samples[label] = (step_size * (runs.exit_steps - 0.5) - known.median) / known.tau

    def curve(x: NDArray) -> NDArray:
        return np.array([known.cdf(known.median + known.tau * point) for point in x])

    return figure_of(lambda ax: collapse(ax, samples, curve), rf"linear student, $\mu = {mu}$, $\kappa = {kappa:g}$")


def through_diffusion(replicas: int = 3000) -> Figure:
    """Return exit times on the closed formula and on the law through the diffusion, where they differ and do not."""
    cases: dict[str, tuple[str, dict[str, Any]]] = {
        r"He$_2$, $\mu = 0.005$, $d = 1000$: $u$ leaves first": (
            "he2",
            {"mu": 0.005, "dimension": 1000, "batch": 33, "step_size": 0.01},
        ),
        r"ReLU, $\mu = 0.3$, $d = 10^5$": ("relu", {"mu": 0.3, "dimension": 10**5, "batch": 2500, "step_size": 0.1}),
    }

    def drawn(name: str, options: dict[str, Any]) -> Any:
        runs = simulate(name, **options, replicas=replicas, seed=1)
        kappa = options["step_size"] * options["dimension"] / options["batch"]
        place = {key: options[key] for key in ("mu", "dimension", "step_size")}
        laws = {by: escape_law(derive(name), kappa=kappa, by=by, **place) for by in ("formula", "diffusion")}
        assert runs.counts.exited == replicas
        return lambda ax: law_cdf(ax, options["step_size"] * (runs.exit_steps - 0.5), laws)

    return figure_of_many([drawn(*case) for case in cases.values()], list(cases))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    tau().savefig(FOLDER / "tau.png", dpi=150)
    law().savefig(FOLDER / "collapse.png", dpi=150)
    through_diffusion().savefig(FOLDER / "diffusion.png", dpi=150)
