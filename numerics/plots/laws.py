"""Samples of exit times against their law; times are t = eta * step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from numerics.plots.legends import add_legend
from numerics.plots.style import TIME_LABEL, Array, look, mark, stroke, tint
from theory.errors import InputError

__all__ = ["ExitLaw", "KnownLaw", "collapse", "law_cdf", "law_curve", "law_histogram"]

MEASURED = look(1)
LINES: Any = ((0, (5, 1.5)), (0, (1.2, 1.2)), "-")
SMOOTH = 400  # points of a curve
ENDS = (0.002, 0.995)  # quantiles between which a law is drawn
ROUGH = 12  # of which so many are left out where the density is that of a sample


class ExitLaw(Protocol):
    """What a plot needs of `numerics.law.Law`."""

    @property
    def median(self) -> float:
        """The median of T, infinite where fewer than half of the runs ever leave."""
        ...

    def cdf(self, t: float) -> float:
        """P(T <= t)."""
        ...


class KnownLaw(ExitLaw, Protocol):
    """What a plot without a sample needs of it."""

    @property
    def escaping(self) -> float:
        """The probability that T is finite."""
        ...

    def quantile(self, level: float) -> float:
        """The time by which a fraction `level` of runs has left."""
        ...


def law_histogram(ax: Axes, times: ArrayLike, law: ExitLaw) -> Axes:
    r"""Draw the histogram of exit times, with its standard errors, on the density of their law.

    Args:
        ax: where to draw.
        times: one a run, in t = eta * step; infinite or NaN for a run that has not exited, which counts in the share.
        law: what the times are expected to follow.

    Raises:
        InputError: no run that has exited.

    >>> from types import SimpleNamespace
    >>> from numerics.plots import figure_of
    >>> uniform = SimpleNamespace(median=0.5, cdf=lambda t: min(max(t, 0.0), 1.0))
    >>> ax = figure_of(lambda ax: law_histogram(ax, [0.1, 0.4, 0.7, 0.8], uniform), "").axes[0]
    >>> float(sum(patch.get_width() * patch.get_height() for patch in ax.patches))  # the share of runs that have exited
    1.0
    """
    finite, runs = _exited(times)
    edges = np.histogram_bin_edges(finite, bins=int(np.clip(2 * len(finite) ** 0.4, 4, 40)))
    counts, _ = np.histogram(finite, edges)
    widths, middles = np.diff(edges), (edges[1:] + edges[:-1]) / 2
    share = counts / runs
    ax.bar(middles, share / widths, widths, color=MEASURED.colour, alpha=0.35, ec=tint(0), label=_counted(finite, runs))
    error = np.sqrt(share * (1 - share) / runs) / widths
    ax.errorbar(
        middles, share / widths, yerr=error, fmt="none", color=MEASURED.colour, capsize=mark(0.4), lw=stroke(0.6)
    )
    grid = np.linspace(edges[0], edges[-1], SMOOTH)[:: 1 if getattr(law, "is_smooth", True) else ROUGH]
    ax.plot(
        grid[1:] / 2 + grid[:-1] / 2,
        np.diff(_values(law, grid)) / np.diff(grid),
        color=tint(1),
        ls="-",
        lw=stroke(1.1),
        label="law",
    )
    _medians(ax, law, _median(finite, runs))
    ax.set_xlabel(f"exit {TIME_LABEL}")
    ax.set_ylabel("density")
    add_legend(ax)
    return ax


def law_curve(ax: Axes, law: KnownLaw, *, label: str = "law", index: int = 0) -> Axes:
    r"""Draw the distribution function of an exit time, its median, and the times between 5 and 95 %.

    Args:
        ax: where to draw.
        law: the law; where T is infinite with some probability, the curve ends below 1.
        label: entry of the legend, before the median.
        index: of the colour and dash.

    >>> from types import SimpleNamespace
    >>> from numerics.plots import figure_of
    >>> uniform = SimpleNamespace(median=0.5, escaping=1.0, cdf=lambda t: min(max(t, 0.0), 1.0), quantile=lambda p: p)
    >>> ax = figure_of(lambda ax: law_curve(ax, uniform, label="uniform"), "").axes[0]
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['uniform: median 0.5', '5 to 95 %: 0.05 to 0.95']
    """
    one, first, last = look(index), *(law.quantile(level * law.escaping) for level in ENDS)
    grid = np.linspace(first, last, SMOOTH)
    ax.plot(grid, _values(law, grid), color=one.colour, ls=one.dash, label=f"{label}: median {law.median:.4g}")
    low, high = law.quantile(0.05), law.quantile(0.95)
    if np.isfinite([low, high]).all():
        ax.axvspan(low, high, color=one.colour, alpha=0.12, lw=0, label=f"5 to 95 %: {low:.4g} to {high:.4g}")
    if np.isfinite(law.median):
        ax.plot([law.median], [0.5], marker=one.marker, color=one.colour)
    ax.set_xlabel(f"exit {TIME_LABEL}")
    ax.set_ylabel(r"$P(T \leq t)$")
    ax.set_ylim(0, 1)
    add_legend(ax)
    return ax


def law_cdf(ax: Axes, times: ArrayLike, law: ExitLaw | Mapping[str, ExitLaw]) -> Axes:
    r"""Draw the empirical distribution function of exit times, with its 95 % band, on that of their law, or of several.

    The band is that of Dvoretzky, Kiefer and Wolfowitz (Massart 1990): it holds the whole true distribution function
    with probability 95 %.

    Args:
        ax: where to draw.
        times: one a run, in t = eta * step; infinite or NaN for a run that has not exited, which counts in the share.
        law: what the times are expected to follow; several by name.

    Raises:
        InputError: no run that has exited.

    >>> from types import SimpleNamespace
    >>> from numerics.plots import figure_of
    >>> uniform = SimpleNamespace(median=0.5, cdf=lambda t: min(max(t, 0.0), 1.0))
    >>> ax = figure_of(lambda ax: law_cdf(ax, [0.1, 0.4, 0.7, float("inf")], uniform), "").axes[0]
    >>> float(ax.lines[0].get_ydata()[-1])
    0.75
    """
    finite, runs = _exited(times)
    ordered = np.sort(finite)
    places, share = np.concatenate([[ordered[0]], ordered]), np.arange(len(ordered) + 1) / runs
    width = _band(runs)
    ax.step(places, share, where="post", color=MEASURED.colour, ls="-", label=_counted(finite, runs))
    low, high = (np.clip(share + side * width, 0, 1) for side in (-1, 1))
    ax.fill_between(places, low, high, step="post", color=MEASURED.colour, alpha=0.2, lw=0, label="its 95 % band")
    grid = np.linspace(places[0], places[-1], SMOOTH)
    laws = law if isinstance(law, Mapping) else {"law": law}
    dashes = LINES if len(laws) > 1 else LINES[-1:]
    for index, (name, one) in enumerate(laws.items()):
        ax.plot(grid, _values(one, grid), color=tint(1), lw=stroke(1.1), ls=dashes[index % len(dashes)], label=name)
    ax.set_xlabel(f"exit {TIME_LABEL}")
    ax.set_ylabel(r"$P(T \leq t)$")
    ax.set_ylim(0, 1)
    add_legend(ax)
    return ax


def _exited(times: ArrayLike) -> tuple[Array, int]:
    """Return the finite times and the number of all runs."""
    given = np.asarray(times, float).ravel()
    finite = given[np.isfinite(given)]
    if not finite.size:
        raise InputError(f"exit times of {given.size} runs given, none finite; accepted: at least one run that exited.")
    return finite, given.size


def _counted(finite: Array, runs: int) -> str:
    stayed = runs - len(finite)
    return f"{runs} runs of SGD" + (f", {stayed} not exited" if stayed else "")


def _median(finite: Array, runs: int) -> float:
    return float(np.median(np.concatenate([finite, np.full(runs - len(finite), np.inf)])))


def _medians(ax: Axes, law: ExitLaw, measured: float) -> None:
    for place, colour, dash, name in ((law.median, tint(1), "--", "law"), (measured, MEASURED.colour, ":", "runs")):
        if np.isfinite(place):
            ax.axvline(place, color=colour, ls=dash, lw=stroke(0.8), label=f"median of the {name}")


def _values(law: ExitLaw, grid: Array) -> Array:
    return np.array([law.cdf(float(t)) for t in grid])


def _band(runs: int) -> float:
    """Return the half-width of the 95 % band of Dvoretzky, Kiefer and Wolfowitz."""
    return float(np.sqrt(np.log(2 / 0.05) / (2 * runs)))


def collapse(ax: Axes, samples: Mapping[str, ArrayLike], law: Callable[[Array], Array], *, unit: str = r"\tau") -> Axes:
    """Draw empirical distribution functions of reduced exit times on the one curve that the law says they share.

    Args:
        ax: where to draw.
        samples: reduced times (T - median of the law)/unit by label, one entry a dimension; infinite for a run that
            has not exited, which counts in the share.
        law: the distribution function of the reduced time.
        unit: LaTeX of the unit, tau where growth is exponential.

    Raises:
        InputError: no run that has exited.

    The band is the 95 % one of Dvoretzky, Kiefer and Wolfowitz (Massart 1990) for the smallest sample.
    """
    reduced = {label: np.sort(np.asarray(values, float)) for label, values in samples.items()}
    finite = np.concatenate([_exited(values)[0] for values in reduced.values()])
    low, high = finite.min(), finite.max()
    grid = np.linspace(low, high, SMOOTH)
    width = _band(min(map(len, reduced.values())))
    ax.fill_between(grid, np.clip(law(grid) - width, 0, 1), np.clip(law(grid) + width, 0, 1), color=tint(0.14), lw=0)
    ax.plot(grid, law(grid), color=tint(1), ls="-", lw=stroke(1.4), label="law, 95 % band of the smallest sample")
    for index, (label, values) in enumerate(reduced.items()):
        colour, marker, _ = look(index)
        share = (np.arange(len(values)) + 0.5) / len(values)
        places = np.unique(np.linspace(0, len(values) - 1, 25).round().astype(int) + index % 3).clip(0, len(values) - 1)
        seen = np.isfinite(values)
        ax.step(values[seen], share[seen], where="mid", color=colour, ls="-", lw=stroke(0.5))
        places = places[seen[places]]
        ax.plot(
            values[places], share[places], marker, color=colour, mfc="none", ms=mark(0.9), clip_on=False, label=label
        )
    ax.set_xlabel(rf"reduced exit time $(T - T_{{1/2}})/{unit}$")
    ax.set_ylabel(r"$P(T \leq t)$")
    ax.set_ylim(0, 1)
    add_legend(ax)
    return ax
