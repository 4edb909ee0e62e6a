"""The figures: for each, what it shows, how it is computed, drawn, described and checked.

Computing needs no drawing and drawing no computing: between them stands one labelled dataset, which is what the data
file holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import xarray as xr
from matplotlib.figure import Figure as Drawn

from hermescape.paper import captions
from hermescape.paper.checks.corrected import check_corrected
from hermescape.paper.checks.dynamics import check_stages, check_training
from hermescape.paper.checks.findings import Finding
from hermescape.paper.checks.landscape import check_landscape
from hermescape.paper.checks.search import check_hermite, check_search
from hermescape.paper.corrected import corrected
from hermescape.paper.drawing.corrected import draw_corrected
from hermescape.paper.drawing.dynamics import draw_stages, draw_training
from hermescape.paper.drawing.landscape import draw_landscape
from hermescape.paper.drawing.search import draw_hermite, draw_search
from hermescape.paper.dynamics import training
from hermescape.paper.landscape import landscape
from hermescape.paper.search import hermite_times, search_times
from hermescape.paper.settings import Advance, Settings
from hermescape.paper.stages import two_stages
from theory.errors import ParameterError

__all__ = ["FIGURES", "Figure", "chosen"]


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        name: of its files and on the command line.
        title: one line.
        compute: (settings, advance) -> dataset.
        draw: dataset -> drawn figure.
        describe: dataset -> the text of its caption, without settings.
        check: dataset -> findings, each curve against closed forms or independent quadrature.
    """

    name: str
    title: str
    compute: Callable[[Settings, Advance], xr.Dataset]
    draw: Callable[[xr.Dataset], Drawn]
    describe: Callable[[xr.Dataset], str]
    check: Callable[[xr.Dataset], list[Finding]]


def _search(name: str, title: str, label: str | None) -> Figure:
    compute = partial(search_times, label=label)
    return Figure(name, title, compute, draw_search, captions.search_times, check_search)


def _hermite(name: str, title: str, label: str | None) -> Figure:
    compute = partial(hermite_times, label=label)
    return Figure(name, title, compute, draw_hermite, captions.hermite_times, check_hermite)


def _training(name: str, title: str, mixed: bool) -> Figure:
    return Figure(name, title, partial(training, mixed=mixed), draw_training, captions.training, check_training)


_ALL = (
    _search("search-time", "Search time and exit times: linear, erf, ReLU, sigmoid", None),
    _hermite("search-time-hermite", "Search time of Hermite links, critical strengths", None),
    _search("search-time-squared", "Search time on squared labels: linear, erf, ReLU, sigmoid", "y**2"),
    _hermite("search-time-hermite-squared", "Search time of Hermite links on squared labels", "y**2"),
    _training("dynamics", "Training after aligned pre-training", False),
    _training("dynamics-misaligned", "Training after misaligned pre-training", True),
    Figure(
        "two-stage",
        "Training in two stages: squared labels first",
        two_stages,
        draw_stages,
        captions.two_stages,
        check_stages,
    ),
    Figure(
        "landscape",
        "Bias, potential, A and B",
        landscape,
        draw_landscape,
        captions.landscape,
        check_landscape,
    ),
    Figure(
        "published-corrected",
        "The published search time, corrected",
        corrected,
        draw_corrected,
        captions.corrected,
        check_corrected,
    ),
)
FIGURES: dict[str, Figure] = {figure.name: figure for figure in _ALL}


def chosen(names: list[str]) -> list[Figure]:
    """Return the figures of these names, each once, in the order of the registry; "all" is all of them.

    Raises `ParameterError` for an unknown name.

    >>> [figure.name for figure in chosen(["landscape", "dynamics", "landscape"])]
    ['dynamics', 'landscape']
    """
    unknown = [name for name in names if name not in FIGURES and name != "all"]
    if unknown:
        raise ParameterError(f"figure {unknown[0]!r} given; accepted: all, {', '.join(FIGURES)}.")
    return [figure for name, figure in FIGURES.items() if name in names or "all" in names]
