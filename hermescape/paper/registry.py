"""The figures: for each, what it shows, how it is computed, drawn, described and checked.

Computing needs no drawing and drawing no computing: between them stands one labelled dataset, which is what the data
file holds. Modules are imported when a figure needs them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from theory.errors import ParameterError

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure as Drawn

    from hermescape.paper.checks.findings import Finding
    from hermescape.paper.settings import Advance, Settings

__all__ = ["FIGURES", "Figure", "chosen"]

HERE = "hermescape.paper"


def _at(where: str, **options: Any) -> Callable[..., Any]:
    """Return a function that imports module:name when called first."""

    def call(*given: Any) -> Any:
        module, _, name = where.partition(":")
        return partial(getattr(import_module(f"{HERE}.{module}"), name), **options)(*given)

    return call


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


def _search(name: str, title: str, kind: str, label: str | None) -> Figure:
    return Figure(
        name,
        title,
        _at(f"search:{kind}_times", label=label),
        _at(f"drawing.search:draw_{kind}"),
        _at(f"captions:{kind}_times"),
        _at(f"checks.search:check_{kind}"),
    )


def _training(name: str, title: str, mixed: bool) -> Figure:
    return Figure(
        name,
        title,
        _at("dynamics:training", mixed=mixed),
        _at("drawing.dynamics:draw_training"),
        _at("captions:training"),
        _at("checks.dynamics:check_training"),
    )


_ALL = (
    _search("search-time", "Search time and exit times: linear, erf, ReLU, sigmoid", "search", None),
    _search("search-time-hermite", "Search time of Hermite links, critical strengths", "hermite", None),
    _search("search-time-squared", "Search time on squared labels: linear, erf, ReLU, sigmoid", "search", "y**2"),
    _search("search-time-hermite-squared", "Search time of Hermite links on squared labels", "hermite", "y**2"),
    _training("dynamics", "Training after aligned pre-training", False),
    _training("dynamics-misaligned", "Training after misaligned pre-training", True),
    Figure(
        "two-stage",
        "Training in two stages: squared labels first",
        _at("stages:two_stages"),
        _at("drawing.dynamics:draw_stages"),
        _at("captions:two_stages"),
        _at("checks.dynamics:check_stages"),
    ),
    Figure(
        "landscape",
        "Bias, potential, A and B",
        _at("landscape:landscape"),
        _at("drawing.landscape:draw_landscape"),
        _at("captions:landscape"),
        _at("checks.landscape:check_landscape"),
    ),
    Figure(
        "published-corrected",
        "The published search time, corrected",
        _at("corrected:corrected"),
        _at("drawing.corrected:draw_corrected"),
        _at("captions:corrected"),
        _at("checks.corrected:check_corrected"),
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
