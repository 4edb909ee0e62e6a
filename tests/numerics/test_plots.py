"""Plots draw what they are given, with labelled axes."""

import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from numerics import plots
from numerics.plots import collapse, figure_of
from theory.errors import InputError

NAN, INF = float("nan"), float("inf")
UNIFORM = SimpleNamespace(median=5.0, cdf=lambda t: float(np.clip(t / 10, 0, 1)))


def drawn(name: str, *args: Any, **options: Any) -> Any:
    """Return the Axes of a plot, which is rendered too: warnings are errors."""
    figure = figure_of(lambda ax: getattr(plots, name)(ax, *args, **options), "title")
    figure.savefig(io.BytesIO())
    ax = figure.axes[0]
    assert ax.get_title() == "title"
    assert ax.get_xlabel()
    assert ax.get_ylabel()
    return ax


def legend(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_collapse_draws_every_sample_on_the_law() -> None:
    rng = np.random.default_rng(0)
    samples = {f"d = {d}": rng.standard_normal(50 + d) for d in (10, 100)}
    figure = figure_of(lambda ax: collapse(ax, samples, stats.norm.cdf), "title")
    (ax,) = figure.axes
    assert ax.get_title() == "title"
    assert "exit time" in ax.get_xlabel()
    assert ax.get_ylabel()
    _, labels = ax.get_legend_handles_labels()
    assert labels[1:] == list(samples)
    law, *lines = ax.lines
    assert np.allclose(law.get_ydata(), stats.norm.cdf(law.get_xdata()))
    for steps, marks, values in zip(lines[::2], lines[1::2], samples.values(), strict=True):
        assert np.array_equal(steps.get_xdata(), np.sort(values))
        assert set(marks.get_xdata()) <= set(values)


def test_tau_is_never_joined_across_a_divergence() -> None:
    ax = drawn("tau_curve", [0.4, 0.1, 0.3, 0.2], [4, 1, INF, 2], label="he3", critical=[0.15, 0.4])
    curve, *dotted = ax.lines
    assert np.array_equal(curve.get_xdata(), [0.1, 0.15, 0.2, 0.3, 0.4])
    assert np.array_equal(curve.get_ydata(), [1, NAN, 2, NAN, NAN], equal_nan=True)
    assert curve.get_markevery() == [0, 2]  # points alone between gaps would not show otherwise
    assert [line.get_xdata()[0] for line in dotted] == [0.15, 0.4]
    assert ax.get_yscale() == "log"
    assert legend(ax) == ["he3", r"$\tau = \infty$"]


def test_a_band_of_tau_has_the_same_gaps() -> None:
    ax = drawn("tau_curve", [0.1, 0.2, 0.3], [1, INF, 3], label="", band=([0.5, INF, 2], [2, INF, 4]))
    vertices = np.concatenate([path.vertices for path in ax.collections[0].get_paths()])
    assert not np.any(np.isclose(vertices[:, 0], 0.2))


def test_series_differ_without_colour() -> None:
    def draw(ax: Any) -> Any:
        return plots.tau_curve(plots.tau_curve(ax, [1, 2], [1, 2], label="a"), [1, 2], [2, 3], label="b", index=1)

    first, second = figure_of(draw, "").axes[0].lines
    assert first.get_linestyle() != second.get_linestyle()
    assert first.get_marker() != second.get_marker()


def test_runs_without_exit_show() -> None:
    ax = drawn("exit_points", [0.1, 0.2, 0.3], [9, NAN, NAN], [8, 50, NAN], [11, NAN, NAN], label="SGD")
    (bars,) = ax.containers
    assert np.array_equal(bars.lines[0].get_xdata(), [0.1])
    assert np.allclose(bars.lines[2][0].get_segments()[0][:, 1], [8, 11])
    (arrow,) = ax.texts
    assert arrow.xy == (0.2, 50)
    assert legend(ax) == ["no exit", "SGD"]


def test_both_kinds_of_time_share_an_axis() -> None:
    def draw(ax: Any) -> Any:
        return plots.exit_points(plots.tau_curve(ax, [1], [1], label="a"), [1], [2], [1], [3], label="b")

    label = figure_of(draw, "").axes[0].get_ylabel()
    assert label.startswith("time")
    assert "exit" in drawn("exit_points", [1], [2], [1], [3], label="b").get_ylabel()


def test_trajectories_leave_divergence_out() -> None:
    ax = drawn("trajectories", [0, 1, 2], [0, 1, INF], label="m", band=([0, 0, 0], [1, 2, 3]))
    assert np.array_equal(ax.lines[0].get_ydata(), [0, 1, NAN], equal_nan=True)
    assert "steps" in ax.get_xlabel()


def test_the_portrait_has_nullclines_where_velocities_vanish() -> None:
    u, m = np.linspace(-1, 1, 21), np.linspace(-0.9, 0.9, 15)
    grid_u, grid_m = np.meshgrid(u, m)
    path = (u, u / 2)
    ax = drawn("phase_portrait", u, m, grid_m - grid_u**2, grid_u - 0.25, manifold=path, paths=[path, path])
    assert len(legend(ax)) == 4
    curves = [c.get_paths()[0].vertices for c in ax.collections if type(c).__name__ == "QuadContourSet"]
    assert np.allclose(curves[0][:, 1], curves[0][:, 0] ** 2, atol=0.005)
    assert np.allclose(curves[1][:, 0], 0.25)
    assert np.array_equal(ax.lines[0].get_ydata(), u / 2)


def test_laws_count_runs_that_have_not_exited() -> None:
    times = [1, 2, 2.5, 6, INF, NAN, 8, 9]
    histogram, step = drawn("law_histogram", times, UNIFORM), drawn("law_cdf", times, UNIFORM)
    area = sum(patch.get_width() * patch.get_height() for patch in histogram.patches)
    assert area == pytest.approx(6 / 8)
    curve = next(line for line in histogram.lines if line.get_label() == "law")
    inside = (curve.get_xdata() > 0.1) & (curve.get_xdata() < 9.9)
    assert np.allclose(curve.get_ydata()[inside], 0.1)
    medians = [line.get_xdata()[0] for line in histogram.lines if line.get_label().startswith("median")]
    assert medians == [5.0, 7.0]
    assert step.lines[0].get_ydata()[-1] == 6 / 8
    for ax in (histogram, step):
        assert any("8 runs of SGD, 2 not exited" in text for text in legend(ax))


def test_the_band_of_a_distribution_function_is_that_of_massart() -> None:
    ax = drawn("law_cdf", np.linspace(0, 10, 200), UNIFORM)
    heights = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert heights.max() == 1
    width = np.sqrt(np.log(40) / 400)  # P(sup |F_n - F| > w) <= 2 exp(-2 n w^2)
    assert heights[np.argmin(abs(heights - width))] == pytest.approx(width)


@pytest.mark.parametrize("curved", [False, True])
def test_the_kernel_hatches_what_is_forbidden(curved: bool) -> None:
    q, r = np.linspace(-1.2, 1.2, 25), np.linspace(0.01, 1.5, 16)
    places = np.meshgrid(q, r)
    values = np.where(places[0] ** 2 <= places[1], places[0], NAN)
    ax = drawn("kernel_surface", *(places if curved else (q, r)), values)
    forbidden = next(c for c in ax.collections if c.get_hatch())
    assert forbidden.get_paths()[0].contains_point((0.9, 0.5))
    assert not forbidden.get_paths()[0].contains_point((0.1, 0.5))
    assert [bar.get_ylabel() for bar in ax.child_axes] == ["$K(q, r)$"]


def test_the_spectrum_is_normalised_and_says_what_vanishes() -> None:
    ax = drawn("hermite_spectrum", [0.5, 2.0, 0.0, 1e-17, 24.0], label="f", decay=2)
    even, odd, gone, guide = ax.lines
    assert np.allclose(even.get_ydata(), [0.5, 24 / np.sqrt(24)])
    assert np.allclose(odd.get_ydata(), [2.0])
    assert list(gone.get_xdata()) == [2, 3]
    assert guide.get_ydata()[0] / guide.get_ydata()[-1] == pytest.approx(16)
    assert legend(ax)[:3] == ["f, even $k$", "f, odd $k$", "f, vanish"]


@pytest.mark.parametrize(
    ("name", "args", "options"),
    [
        ("tau_curve", ([1, 2], [1]), {"label": ""}),
        ("trajectories", ([], []), {"label": ""}),
        ("phase_portrait", ([0, 1], [0, 1], [[0, 1]], [[0, 1]]), {}),
        ("kernel_surface", ([0, 1], [0, 1], [[NAN, NAN], [NAN, NAN]]), {}),
        ("hermite_spectrum", ([0.0, 0.0],), {"label": ""}),
        ("law_cdf", ([INF], UNIFORM), {}),
        ("law_histogram", ([], UNIFORM), {}),
    ],
)
def test_what_cannot_be_drawn_is_refused(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"given.*; accepted"):
        figure_of(lambda ax: getattr(plots, name)(ax, *args, **options), "")
