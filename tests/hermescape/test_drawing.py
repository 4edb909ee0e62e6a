"""Results draw themselves: on Axes that are given, or in a figure of their own."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import hermescape
from hermescape.drawing import draw_phases
from theory.errors import InputError
from theory.lazy import PROVIDERS

LINEAR = hermescape.derive("linear")


def results() -> dict[str, object]:
    place = {"mu": 0.4, "dimension": 1000}
    sample = hermescape.simulate("linear", **place, batch=100, step_size=0.1, replicas=20, seed=1)
    return {
        "search": LINEAR.plot.search_time,
        "law": hermescape.escape_law(LINEAR, **place).plot,
        "path": hermescape.integrate(LINEAR, {"u": 0.0, "m": 0.03}, t_max=20.0, mu=0.4).plot,
        "sample": sample.plot,
    }


PLOTS = results()


@pytest.mark.parametrize("name", PLOTS)
def test_each_takes_axes_and_returns_them(name: str) -> None:
    plot = PLOTS[name]
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


def test_without_the_package_there_is_no_plot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(PROVIDERS, "plot")
    with pytest.raises(AttributeError, match="provided by the package hermescape"):
        _ = LINEAR.plot
