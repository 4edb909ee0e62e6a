"""The figures: for each, how it is computed, drawn, described and checked.

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
from hermescape.paper.names import TITLES
from hermescape.paper.search import hermite_times, search_times
from hermescape.paper.settings import Advance, Settings
from hermescape.paper.stages import two_stages

__all__ = ["FIGURES", "Figure"]


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


def _search(name: str, label: str | None) -> Figure:
    compute = partial(search_times, label=label)
    return Figure(name, TITLES[name], compute, draw_search, captions.search_times, check_search)


def _hermite(name: str, label: str | None) -> Figure:
    compute = partial(hermite_times, label=label)
    return Figure(name, TITLES[name], compute, draw_hermite, captions.hermite_times, check_hermite)


def _training(name: str, mixed: bool) -> Figure:
    compute = partial(training, mixed=mixed)
    return Figure(name, TITLES[name], compute, draw_training, captions.training, check_training)


def _two_stage(name: str) -> Figure:
    return Figure(name, TITLES[name], two_stages, draw_stages, captions.two_stages, check_stages)


def _landscape(name: str) -> Figure:
    return Figure(name, TITLES[name], landscape, draw_landscape, captions.landscape, check_landscape)


def _corrected(name: str) -> Figure:
    return Figure(name, TITLES[name], corrected, draw_corrected, captions.corrected, check_corrected)


_ALL = (
    _search("search-time", None),
    _hermite("search-time-hermite", None),
    _search("search-time-squared", "y**2"),
    _hermite("search-time-hermite-squared", "y**2"),
    _training("dynamics", False),
    _training("dynamics-misaligned", True),
    _two_stage("two-stage"),
    _landscape("landscape"),
    _corrected("published-corrected"),
)
FIGURES: dict[str, Figure] = {figure.name: figure for figure in _ALL}
