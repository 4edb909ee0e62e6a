"""Draw the figures of these pages, light and dark in one file: `python docs/make_figures.py [NAME ...]`, two minutes.

`check-relu`, `phases` and `collapse-relu` are what the commands in their captions draw. The README has `check-relu` as
PNG too.
"""

import sys
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from hermescape import check, check_law, derive, escape_law, experiment, integrate, phase_diagram, simulate
from hermescape import trajectories as recorded
from hermescape.views.check_plot import check_figure
from numerics.integrals.hermite import hermite_coefficients
from numerics.plots import (
    Sheet,
    collapse,
    figure_of,
    figure_of_many,
    for_light_and_dark,
    hermite_spectrum,
    law_cdf,
    size_of,
    titled,
)
from theory.language.activations import activation

FOLDER = Path(__file__).parent / "figures"
PRINTED = ("check-relu",)  # as PNG too
SHOWN = {"linear": "linear", "relu": "ReLU", "gelu": "GELU", "erf": "erf", "he2": "He₂", "he3": "He₃"}
DIMENSIONS = (10**4, 10**6, 10**8, 10**12)


def checked() -> Sheet:
    """Return the exit times of ReLU against the alignment: derived, and simulated."""
    return check_figure(check("relu", mu=np.linspace(0.1, 0.9, 9).round(12).tolist()))


def phases() -> Sheet:
    """Return the phase diagram of He3 over alignment and dimension."""
    places = {"mu": np.linspace(0.02, 0.98, 49).tolist(), "dimension": np.geomspace(1e2, 1e8, 25).tolist()}
    diagram = phase_diagram("he3", **places, kappa=0.02)
    return titled(diagram.plot(), r"he3, $\kappa$ = 0.02, $R$ = 0.5").figure


def collapse_relu() -> Sheet:
    """Return the exit times of ReLU at four dimensions on their law."""
    return check_figure(check_law("relu", mu=[0.3], dimensions=[10**3, 10**4, 10**5, 10**6], budget=3e9))


def tau() -> Sheet:
    """Return the search time of six activations against the alignment of pre-training."""

    def draw(ax: Axes) -> Axes:
        for name, label in SHOWN.items():
            derive(name).plot.search_time(ax=ax, label=label)
        ax.set_ylim(0.1, 3e4)
        return ax

    return figure_of(draw, "search time of LoRA fine-tuning")


def spectrum() -> Sheet:
    """Return the Hermite coefficients of three activations, by order."""

    def draw(ax: Axes) -> Axes:
        for index, name in enumerate(("relu", "erf", "he3")):
            sizes = [float(abs(c.value)) for c in hermite_coefficients(activation(name), 8)]
            hermite_spectrum(ax, [0.0 if size < 1e-12 else size for size in sizes], label=SHOWN[name], index=index)
        return ax

    return figure_of(draw, "which orders an activation has")


def exits() -> Sheet:
    """Return the exit times of one hundred runs of ReLU on the law that is derived for them."""
    runs = simulate("relu", mu=0.5, replicas=100, seed=1)
    sgd = runs.experiment.sgd
    law = escape_law(derive("relu"), mu=0.5, dimension=sgd.dimension, kappa=sgd.kappa, step_size=sgd.step_size)
    return titled(runs.plot(law), rf"ReLU, $\mu$ = 0.5, $d$ = {size_of(sgd.dimension)}").figure


def trajectories(mu: float = 0.4, dimension: int = 10**4) -> Sheet:
    """Return the flow of ReLU from the median start on runs of SGD from random ones."""
    setting = experiment(
        "relu", mu=mu, dimension=dimension, batch=2500, step_size=0.1, replicas=24, seed=1, max_steps=900
    )
    runs = recorded(setting, range(0, 901, 5))
    start = {"u": dimension**-2.0, "m": 0.674 / sqrt(dimension)}
    path = integrate(derive("relu"), start, t_max=90.0, mu=mu)
    ax = path.plot(runs, threshold=0.5)
    return titled(ax, rf"ReLU, $\mu$ = {mu:g}, $d$ = {size_of(dimension)}").figure


def law(mu: float = 0.4, kappa: float = 4.0, step_size: float = 0.05, replicas: int = 2000) -> Sheet:
    """Return the exit times of a linear student at several dimensions, reduced by derived numbers."""
    system, samples = derive("linear"), {}
    for seed, dimension in enumerate(DIMENSIONS):  # one seed for all would repeat the same runs
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
        samples[f"$d$ = {size_of(dimension)}"] = (step_size * (runs.exit_steps - 0.5) - known.median) / known.tau

    def curve(x: NDArray) -> NDArray:
        return np.array([known.cdf(known.median + known.tau * point) for point in x])

    return figure_of(lambda ax: collapse(ax, samples, curve), rf"linear student, $\mu = {mu}$, $\kappa = {kappa:g}$")


def through_diffusion(replicas: int = 3000) -> Sheet:
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
    made = {
        **{"tau": tau, "spectrum": spectrum, "exits": exits, "trajectories": trajectories},
        **{"collapse": law, "diffusion": through_diffusion},
        **{"check-relu": checked, "phases": phases, "collapse-relu": collapse_relu},
    }
    for name in sys.argv[1:] or made:
        sheet = made[name]()
        (FOLDER / f"{name}.svg").write_bytes(for_light_and_dark(sheet.svg(name)))
        if name in PRINTED:
            sheet.savefig(FOLDER / f"{name}.png")
