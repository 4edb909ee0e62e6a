"""The names and titles of the figures, for lists and for the command line: without what makes them."""

from __future__ import annotations

from theory.errors import ParameterError

__all__ = ["TITLES", "chosen"]

TITLES = {
    "search-time": "Search time and exit times: linear, erf, ReLU, sigmoid",
    "search-time-hermite": "Search time of Hermite links, critical strengths",
    "search-time-squared": "Search time on squared labels: linear, erf, ReLU, sigmoid",
    "search-time-hermite-squared": "Search time of Hermite links on squared labels",
    "dynamics": "Training after aligned pre-training",
    "dynamics-misaligned": "Training after misaligned pre-training",
    "two-stage": "Training in two stages: squared labels first",
    "landscape": "Bias, potential, A and B",
    "published-corrected": "The published search time, corrected",
}


def chosen(names: list[str]) -> list[str]:
    """Return these names, each once, in the order of `TITLES`; "all" is all of them.

    Raises `ParameterError` for an unknown name.

    >>> chosen(["landscape", "dynamics", "landscape"])
    ['dynamics', 'landscape']
    """
    unknown = [name for name in names if name not in TITLES and name != "all"]
    if unknown:
        raise ParameterError(f"figure {unknown[0]!r} given; accepted: all, {', '.join(TITLES)}.")
    return [name for name in TITLES if name in names or "all" in names]
