"""Results as pictures: each `draw_...` takes a result, draws it on `ax` (a new figure without), and returns the Axes.

`system.plot.search_time()`, `law.plot()`, `path.plot()`, `sample.plot()` and `report.plot()` of bifurcations are
`draw_search_time`, `draw_law`, `draw_trajectory`, `draw_sample` and `draw_bifurcations`; `plot()` of labelled arrays is
`draw_phases` or `draw_arrays`. A new figure is in the style `screen`, or in another of `numerics.plots.STYLES`; a
notebook shows it, and `ax.figure.savefig("a.pdf")` embeds its fonts. On Axes of your own, sizes and ink are those of
your style.

>>> from theory.network.derivation import derive
>>> ax = draw_search_time(derive("linear"), style="paper", width=3.4)
>>> draw_search_time(derive("relu"), ax=ax) is ax
True
>>> [text.get_text() for text in finished(ax).get_legend().get_texts()]
['linear', 'relu']
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import matplotlib as mpl
import numpy as np
import sympy as sp
from matplotlib.axes import Axes

from numerics import plots
from numerics.best.bifurcations import Bifurcations
from numerics.flows.flow import Trajectory
from numerics.law import Law
from numerics.rates.curve import search_times
from numerics.simulation.montecarlo import Paths
from numerics.simulation.statistics import ExitSample
from theory.errors import InputError
from theory.network.system import System
from theory.search.bifurcations import ZEROS
from theory.search.critical import critical_strengths
from theory.typeset.printing import latex

if TYPE_CHECKING:
    import xarray as xr

    from numerics.labelled import Labelled

__all__ = [
    "Place",
    "SystemPlots",
    "draw_arrays",
    "draw_bifurcations",
    "draw_law",
    "draw_phases",
    "draw_sample",
    "draw_search_time",
    "draw_trajectory",
    "finished",
    "plots_of",
]

ALIGNMENTS = np.linspace(0.01, 0.99, 99)
NEAR = np.logspace(-4, -1.7, 12)  # of a divergence
SHOWN = 24  # runs of a trajectory at most
NAMES = {"m": "$|m|$", "u": "$|u|$", "s": "$|s|$"}
SOUGHT = ("exit_time", "median", "total", "tau")  # what is drawn of labelled arrays where nothing is named


class Place(TypedDict, total=False):
    """Where to draw: on `ax`, or in a new figure of a `style` (paper, screen or slides) and a `width` in inches."""

    ax: Axes | None
    style: str
    width: float | None


@contextmanager
def _on(place: Place) -> Iterator[Axes]:
    """Yield the Axes that are meant, in the style of their figure."""
    ax = place.get("ax") or plots.blank(place.get("style", "screen"), place.get("width"))
    sheet = ax.figure
    with mpl.rc_context(sheet.look.rc if isinstance(sheet, plots.Sheet) else {}):
        yield ax


def finished(ax: Axes) -> Axes:
    """Lay out the figure of some Axes, which otherwise happens when it is shown or saved."""
    if isinstance(ax.figure, plots.Sheet):
        ax.figure.arrange()
    return ax


def _pair(system: System) -> str:
    student, teacher = system.loss_function.student.name, system.loss_function.labels.link.name
    return plots.paired(student, teacher)


def draw_search_time(
    system: System,
    mu: Sequence[float] | None = None,
    *,
    rho: float | None = None,
    label: str | None = None,
    **place: Unpack[Place],
) -> Axes:
    """Draw tau over mu on a logarithmic axis, with the alignments at which it diverges.

    Args:
        system: a derived system with an alignment mu.
        mu: alignments; 99 of them in (0, 1) by default.
        rho: length of w0, with model misaligned.
        label: entry of the legend, by default the student and, where it is another, the teacher.
        place: `ax`, or `style` and `width` of a new figure.

    Raises `InputError` for a model without mu or a student without slope, `ParameterError` for mu or rho out of domain.
    """
    critical = [float(c.mu) for c in critical_strengths(system) if c.diverges and c.mu < 1] if rho is None else []
    grid = _alignments(critical, rho) if mu is None else np.asarray(mu, float)
    curve = search_times(system, grid, rho=rho)
    band = None if not curve.error.any() else (curve.tau - curve.error, curve.tau + curve.error)
    with _on(place) as ax:
        name = _pair(system) if label is None else label
        return plots.tau_curve(
            ax, grid, curve.tau, label=name, index=plots.next_look(ax), band=band, critical=_within(critical, grid)
        )


def _alignments(critical: Sequence[float], rho: float | None) -> np.ndarray[Any, Any]:
    """Return alignments in (0, 1), closer to each other where tau diverges."""
    near = [place + side * NEAR for place in critical for side in (-1, 1)]
    every = np.unique(np.concatenate([ALIGNMENTS, *near]))
    return every[(every > 0) & (every < 1)] * (1 if rho is None else min(rho, 1.0))


def _within(places: Sequence[float], grid: np.ndarray[Any, Any]) -> list[float]:
    return [place for place in places if grid.min() <= place <= grid.max()]


def draw_law(law: Law, *, label: str = "law", **place: Unpack[Place]) -> Axes:
    """Draw P(T <= t) of a law of the exit time, its median, and the times between 5 and 95 %; t = eta * step."""
    with _on(place) as ax:
        return plots.law_curve(ax, law, label=label, index=plots.next_look(ax))


def draw_sample(sample: ExitSample, law: Law | Mapping[str, Law] | None = None, **place: Unpack[Place]) -> Axes:
    """Draw the share of runs that have left by t = eta * step with its 95 % band, on laws if some are given.

    Raises `InputError` where no run has left.
    """
    times = np.append(sample.exit_times(), np.full(sample.counts.censored, np.inf))
    with _on(place) as ax:
        return plots.law_cdf(ax, times, {} if law is None else law)


def draw_trajectory(
    path: Trajectory,
    runs: Paths | xr.Dataset | None = None,
    *,
    threshold: float | None = None,
    **place: Unpack[Place],
) -> Axes:
    r"""Draw the size of each state of a flow over time, on simulated runs if there are some.

    Sizes, since u, m -> -u, -m is a symmetry that every run breaks in its own way.

    Args:
        path: what `integrate` returns.
        runs: recorded runs at the same setting, as `hermescape.trajectories` returns; 24 of them are drawn.
        threshold: R, a dotted line.
        place: `ax`, or `style` and `width` of a new figure.

    Raises `InputError` for runs that have none of the states.

    >>> from numerics.flows.flow import integrate
    >>> from theory.network.derivation import derive
    >>> ax = draw_trajectory(integrate(derive("linear"), {"u": 0.0, "m": 0.03}, t_max=20.0, mu=0.4))
    >>> [text.get_text() for text in finished(ax).get_legend().get_texts()]
    ['flow, $|m|$', 'flow, $|u|$']
    """
    known = {} if runs is None else _recorded(runs)
    shown = sorted((name for name in path.columns if not known or name in known[1]), key=lambda name: name != "m")
    if not shown:
        raise InputError(f"runs with {', '.join(known[1])} given; accepted: some of {', '.join(path.columns)}.")
    with _on(place) as ax:
        for index, name in enumerate(shown):
            if known:
                label = f"{len(known[1][name][:SHOWN])} runs of SGD, {NAMES.get(name, name)}"
                plots.runs_of(ax, known[0], np.abs(known[1][name][:SHOWN]), label=label, index=index)
        for index, name in enumerate(shown):
            size, label = np.abs(path.columns[name]), f"flow, {NAMES.get(name, name)}"
            plots.trajectories(ax, path.solution.times, size, label=label, index=index)
        if threshold is not None:
            ax.axhline(threshold, color=plots.tint(0.7), ls=":", label="threshold $R$")
        plots.add_legend(ax)
        return ax


def _recorded(runs: Paths | xr.Dataset) -> tuple[np.ndarray[Any, Any], dict[str, np.ndarray[Any, Any]]]:
    """Return times and overlaps by name, of shape (runs, times)."""
    if isinstance(runs, Paths):
        return runs.times, runs.columns
    return runs["time"].values, {str(name): overlap.values for name, overlap in runs.data_vars.items()}


def draw_phases(diagram: xr.Dataset, **place: Unpack[Place]) -> Axes:
    """Draw what `hermescape.phase_diagram` returns: median exit times as colours, regimes as hatching.

    >>> from numerics.best.phases import phase_diagram
    >>> from theory.network.derivation import derive
    >>> draw_phases(phase_diagram(derive("linear"), [0.4, 0.5], dimension=[1e3, 1e6])).get_ylabel()
    'dimension $d$'
    """
    name = str(diagram["median"].dims[1])
    critical = (diagram["critical_mu"].values, diagram[f"critical_{name}"].values) if "along" in diagram.dims else None
    shown = {"label": "" if name in ("d", "rho") else name_of_parameter(name), "critical": critical}
    mu, other, median, regime = (diagram[column].values for column in ("mu", name, "median", "regime"))
    with _on(place) as ax:
        return plots.phase_diagram(ax, mu, other, median, regime, name, **shown)


def draw_bifurcations(report: Bifurcations, *, label: str | None = None, **place: Unpack[Place]) -> Axes:
    r"""Draw critical alignments over a parameter, with their folds and where they enter or leave at mu = 0 and 1.

    >>> from numerics.best.bifurcations import bifurcations
    >>> ax = draw_bifurcations(bifurcations("c1*x + c3*He(3, x)", over="c1", between=(-2, 4), c3=1))
    >>> [text.get_text() for text in finished(ax).get_legend().get_texts()]
    ['critical alignment', 'fold', 'end at $\\mu$ = 0 or 1']
    """
    points = [(p.kind, float(p.value), None if p.mu is None else float(p.mu)) for p in report.points]
    curves = [(branch.values, branch.mu) for branch in report.branches]
    between = (float(report.borders[0]), float(report.borders[-1]))
    with _on(place) as ax:
        shown = {"between": between, "name": name_of_parameter(report.name)}
        named = ZEROS[report.quantity][0] if label is None else label
        return plots.critical_branches(
            ax, curves, points, **shown, label=named, quantity=report.quantity, index=plots.next_look(ax)
        )


def name_of_parameter(name: str) -> str:
    r"""Return what an axis calls a parameter of a family.

    >>> name_of_parameter("beta"), name_of_parameter("c1")
    ('$\\beta$', '$c_{1}$')
    """
    return f"${latex(sp.Symbol(name))}$"


def draw_arrays(arrays: xr.Dataset, y: str | None = None, x: str | None = None, **place: Unpack[Place]) -> Axes:
    r"""Draw a variable of labelled arrays over one dimension, a curve for each place along the others.

    Where `y_lower` and `y_upper` stand beside `y`, they are its intervals.

    Args:
        arrays: labelled arrays.
        y: the variable; the exit time by default, or what comes closest to one.
        x: the dimension; by default the longest one of numbers.
        place: `ax`, or `style` and `width` of a new figure.

    Raises `InputError` for names that are no such variable or dimension, and for more than six curves.

    >>> import xarray as xr
    >>> arrays = xr.Dataset({"tau": (("act", "mu"), [[3, 5], [4, 7]])}, {"act": ["erf", "relu"], "mu": [0.2, 0.4]})
    >>> ax = draw_arrays(arrays)
    >>> ax.get_xlabel(), [text.get_text() for text in finished(ax).get_legend().get_texts()]
    ('alignment $\\mu$', ['act = erf', 'act = relu'])
    """
    drawn = [str(name) for name, each in arrays.data_vars.items() if each.dtype.kind in "iuf" and each.dims]
    name = _among("y", y, [*(n for n in SOUGHT if n in drawn), *drawn])
    along = sorted(
        map(str, arrays[name].dims), key=lambda dim: (arrays[dim].dtype.kind not in "iuf", -arrays.sizes[dim])
    )
    across = _among("x", x, along)
    others = [dim for dim in map(str, arrays[name].dims) if dim != across]
    places = list(itertools.product(*(range(arrays.sizes[dim]) for dim in others)))
    if len(places) > plots.SERIES:
        raise InputError(
            f"{len(places)} curves of {name} over {across} given; accepted: at most {plots.SERIES}; "
            f"select some, such as arrays.isel({others[0]}=0).plot()."
        )
    curves, intervals = {}, {}
    for at in places:
        one = arrays.isel(dict(zip(others, at, strict=True)))
        label = ", ".join(f"{plots.symbol_of(dim)} = {_written(one[dim].item())}" for dim in others)
        curves[label] = one[name].values
        if f"{name}_lower" in one and f"{name}_upper" in one:
            intervals[label] = (one[f"{name}_lower"].values, one[f"{name}_upper"].values)
    names = (plots.label_of(each, arrays[each].attrs.get("units", "1")) for each in (across, name))
    with _on(place) as ax:
        return plots.curves_over(
            ax, arrays[across].values, curves, intervals, **dict(zip(("xlabel", "ylabel"), names, strict=True))
        )


def _among(argument: str, given: str | None, names: Sequence[str]) -> str:
    """Return the name that is given, or the first; raises `InputError` for another, or where there is none."""
    if not names:
        raise InputError("arrays without numbers along a dimension given; accepted: some with them.")
    if given is not None and given not in names:
        raise InputError(f"{argument} = {given!r} given; accepted: {', '.join(dict.fromkeys(names))}.")
    return names[0] if given is None else given


def _written(value: object) -> str:
    return plots.size_of(value) if isinstance(value, int | float) and value > 0 else str(value)


# --- what a result's own `plot` is ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class SystemPlots:
    """The plots of a derived system."""

    system: System

    def search_time(
        self,
        mu: Sequence[float] | None = None,
        *,
        rho: float | None = None,
        label: str | None = None,
        **place: Unpack[Place],
    ) -> Axes:
        """Draw tau over mu; see `draw_search_time`."""
        return draw_search_time(self.system, mu, rho=rho, label=label, **place)


class ArrayPlots:
    """The plots of labelled arrays: called, its own; by name, xarray's."""

    def __init__(self, arrays: Labelled) -> None:
        self._arrays = arrays

    def __call__(self, y: str | None = None, x: str | None = None, **place: Unpack[Place]) -> Axes:
        """Draw a phase diagram as one (`draw_phases`), other arrays or a named variable as curves (`draw_arrays`)."""
        is_plane = {"regime", "median"} <= set(self._arrays) and len(self._arrays["median"].dims) > 1
        if is_plane and y is None and x is None:
            return draw_phases(self._arrays, **place)
        return draw_arrays(self._arrays, y, x, **place)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        import xarray as xr

        return getattr(xr.Dataset.plot(self._arrays), name)


def plots_of(result: Any) -> SystemPlots | ArrayPlots | Callable[..., Axes]:
    r"""Return what `result.plot` is: the plots of a system or of arrays, or the one drawing of a path, sample or law.

    >>> from numerics.law import escape_law
    >>> from theory.network.derivation import derive
    >>> law = escape_law(derive("linear"), mu=0.4, dimension=1e4)
    >>> plots_of(law)().get_ylabel()
    '$P(T \\leq t)$'
    """
    if isinstance(result, System):
        return SystemPlots(result)
    if hasattr(result, "data_vars"):  # xarray, which others need not load
        return ArrayPlots(result)
    drawings = {Trajectory: draw_trajectory, ExitSample: draw_sample, Bifurcations: draw_bifurcations}
    draw = drawings.get(type(result), draw_law)
    return partial(draw, result)
