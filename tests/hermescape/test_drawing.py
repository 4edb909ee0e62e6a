"""Results draw themselves: on Axes that are given, or in a figure of their own."""

from functools import cache

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

import hermescape
from hermescape.drawing import draw_phases
from numerics.labelled import Labelled
from theory.errors import InputError
from theory.lazy import PROVIDERS

LINEAR = hermescape.derive("linear")


@cache
def results() -> dict[str, object]:
    place = {"mu": 0.4, "dimension": 1000}
    sample = hermescape.simulate("linear", **place, batch=100, step_size=0.1, replicas=20, seed=1)
    return {
        "search": LINEAR.plot.search_time,
        "law": hermescape.escape_law(LINEAR, **place).plot,
        "path": hermescape.integrate(LINEAR, {"u": 0.0, "m": 0.03}, t_max=20.0, mu=0.4).plot,
        "sample": sample.plot,
    }


@pytest.mark.parametrize("name", ["search", "law", "path", "sample"])
def test_each_takes_axes_and_returns_them(name: str) -> None:
    plot = results()[name]
    ax = Figure().subplots()
    assert plot(ax=ax) is ax
    assert ax.get_xlabel()
    own = plot(style="paper", width=3.0)
    assert own.figure.get_size_inches()[0] == pytest.approx(3.0)
    assert own._repr_png_().startswith(b"\x89PNG"), "a notebook shows it"


def test_a_second_curve_has_another_look() -> None:
    ax = LINEAR.plot.search_time()
    hermescape.derive("he3").plot.search_time(ax=ax, label="three")
    first, second = (line for line in ax.lines if not line.get_label().startswith(("_", "$")))
    assert first.get_color() != second.get_color()
    assert first.get_linestyle() != second.get_linestyle()
    assert second.get_label() == "three"


def test_runs_lie_below_the_path_that_they_follow() -> None:
    setting = hermescape.experiment(
        "linear", mu=0.4, dimension=1000, batch=100, step_size=0.1, replicas=3, max_steps=200
    )
    runs = hermescape.trajectories(setting, range(0, 201, 10))
    path = hermescape.integrate(LINEAR, {"u": 0.0, "m": 0.02}, t_max=20.0, mu=0.4)
    ax = path.plot(runs, threshold=0.5)
    labels = ax.get_legend_handles_labels()[1]
    assert labels == ["3 runs of SGD, $|m|$", "3 runs of SGD, $|u|$", "flow, $|m|$", "flow, $|u|$", "threshold $R$"]
    assert np.array_equal(ax.lines[0].get_ydata(), np.abs(runs.m.values[0]))
    assert ax.lines[0].get_zorder() < ax.lines[-2].get_zorder()
    with pytest.raises(InputError, match="runs with q given; accepted: some of"):
        path.plot(runs.rename(m="q")[["q"]])


def test_a_legend_of_ones_own_is_kept() -> None:
    ax = LINEAR.plot.search_time()
    ax.figure.canvas.draw()
    mine = ax.legend(["mine"])
    ax.figure.canvas.draw()
    assert ax.get_legend() is mine


def test_over_lengths() -> None:
    system = hermescape.derive("linear", model="misaligned")
    diagram = hermescape.phase_diagram(system, [0.2, 0.5], dimension=1e4, rho=[0.3, 0.8])
    assert draw_phases(diagram).get_ylabel().startswith("length")
    assert system.plot.search_time(rho=0.5).get_xlim()[1] <= 0.5


GRID = xr.Dataset(
    {
        "outcome": (("act", "mu", "d"), np.full((2, 3, 2), "EXITED")),
        "tau": (("act", "mu", "d"), 3.0 ** np.arange(12).reshape(2, 3, 2), {"units": "eta * step"}),
        "tau_lower": (("act", "mu", "d"), 3.0 ** np.arange(12).reshape(2, 3, 2) - 0.5),
        "tau_upper": (("act", "mu", "d"), np.full((2, 3, 2), np.nan)),
    },
    {"act": ["erf", "relu"], "mu": [0.2, 0.3, 0.4], "d": [1e3, 1e6]},
)
FOUND = Labelled(GRID.data_vars, GRID.coords)


def test_arrays_are_curves_over_their_longest_dimension() -> None:
    ax = FOUND.plot()
    handles, labels = ax.get_legend_handles_labels()
    assert labels == [f"{act}, $d$ = $10^{{{power}}}$" for act in ("act = erf", "act = relu") for power in (3, 6)]
    assert [handle.lines[0].get_ydata().tolist() for handle in handles] == [
        GRID.tau.values[i, :, j].tolist() for i in (0, 1) for j in (0, 1)
    ]
    low, high = handles[0].lines[2][0].get_segments()[1][:, 1]
    assert (low, high) == (8.5, 9.0), "an open end of an interval is not drawn"
    assert (ax.get_xlabel(), ax.get_xscale(), ax.get_yscale()) == (r"alignment $\mu$", "linear", "log")
    assert ax.get_ylabel().startswith(r"search time $\tau$, $t = \eta")
    over = FOUND.isel(mu=0).plot(x="d")
    assert (over.get_xlabel(), over.get_xscale()) == ("dimension $d$", "log")


def test_names_are_points_that_are_not_joined() -> None:
    ax = FOUND.isel(d=0).plot("tau", x="act")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["erf", "relu"]
    assert {line.get_linestyle() for line in ax.lines if line.get_label()[0] != "_"} <= {"None"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": "outcome"}, "y = 'outcome' given; accepted: tau, tau_lower, tau_upper"),
        ({"x": "rho"}, "x = 'rho' given; accepted: mu, d, act"),
    ],
)
def test_what_cannot_be_drawn_says_what_can(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FOUND.plot(**arguments)
    many = FOUND.isel(d=[0, 1, 0, 1], mu=[0, 1, 2, 0, 1])
    with pytest.raises(
        InputError, match=r"8 curves of tau over mu given; accepted: at most 6; .* arrays\.isel\(act=0\)"
    ):
        many.plot()
    with pytest.raises(InputError, match="without numbers"):
        FOUND[["outcome"]].plot()


def test_a_phase_diagram_is_a_plane_and_a_row_of_it_a_curve() -> None:
    diagram = hermescape.phase_diagram("linear", [0.2, 0.4], dimension=[1e3, 1e6])
    assert len(diagram.plot().child_axes) == 1, "the scale of colours"
    assert diagram.isel(mu=0).plot().get_ylabel().startswith("median exit time")
    assert diagram.plot("tau").get_ylabel().startswith("search time")


def test_the_plots_of_xarray_are_still_there() -> None:
    assert FOUND.plot.scatter.__doc__ == GRID.plot.scatter.__doc__
    with pytest.raises(AttributeError, match="nosuch"):
        _ = FOUND.plot.nosuch


def test_without_the_package_there_is_no_plot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(PROVIDERS, "plot")
    with pytest.raises(AttributeError, match="provided by the package hermescape"):
        _ = LINEAR.plot
