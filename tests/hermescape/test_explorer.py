"""The explorer: what its figure shows is what the flow does, and its sliders redraw it."""

import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

import hermescape
from hermescape.explorer import HOW_TO_INSTALL, panels
from theory.errors import InputError, ParameterError


def _line(figure: Figure, axis: int, label: str) -> tuple[np.ndarray, np.ndarray]:
    found = next(line for line in figure.axes[axis].lines if str(line.get_label()).startswith(label))
    return np.asarray(found.get_xdata()), np.asarray(found.get_ydata())


def test_the_manifold_ends_at_the_teacher() -> None:
    u, m = _line(panels("relu", mu=0.4), 1, "unstable")
    assert u[[0, -1]] == pytest.approx([-0.6, 0.6], abs=1e-3)  # w = mu w* + u v = w*
    assert m[[0, -1]] == pytest.approx([-1, 1], abs=1e-3)


def test_the_trajectory_begins_at_the_median_start_and_kappa_stops_it_short() -> None:
    times, m = _line(panels("linear", mu=0.3, kappa=0.5, dimension=1e4), 2, "$m$")
    assert (times[0], m[0]) == (0, pytest.approx(0.00674, abs=1e-5))
    quiet = _line(panels("linear", mu=0.3, dimension=1e4), 2, "$m$")[1]
    assert quiet[-1] == pytest.approx(1, abs=1e-3)
    assert m[-1] == pytest.approx(1, abs=1e-2)  # a student that learns everything has no noise left
    assert _line(panels("he3", mu=0.25, kappa=0.1), 2, "$m$")[1][-1] < 0.95


def test_curve_is_cut_at_a_critical_strength() -> None:
    places, tau = _line(panels("he3", mu=0.5), 0, r"$\tau(\mu)$")
    assert np.isnan(tau[np.abs(places - 0.320724) < 1e-6]).all()
    assert np.isfinite(tau).sum() > 90


def test_at_a_critical_strength_there_is_no_manifold() -> None:
    figure = panels("linear", "x/2", mu=0.5)  # A = 1/2 - mu, B = -1
    labels = [line.get_label() for line in figure.axes[1].lines]
    assert "unstable manifold" not in labels
    assert np.ptp(_line(figure, 2, "$m$")[1]) < 1e-6


@pytest.mark.parametrize("values", [{"mu": 0.0}, {"mu": 1.0}, {"kappa": -1.0}, {"dimension": 2.0}])
def test_bad_parameters_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match=next(iter(values))):
        panels("linear", **values)


def test_a_student_that_jumps_is_refused() -> None:
    with pytest.raises(InputError, match="sign"):
        panels("sign")


def test_sliders_redraw_and_refusals_are_shown() -> None:
    widget = hermescape.explore("linear", mu=0.3)
    controls, message, image = widget.children
    choice, mu = controls.children[:2]
    before = bytes(image.value)
    assert before.startswith(b"\x89PNG")
    mu.value = 0.6
    after = bytes(image.value)
    assert after != before
    choice.value = "x <script>"
    assert bytes(image.value) == after
    assert "&lt;script&gt;" in message.value
    choice.value = "he2"
    assert bytes(image.value) not in (before, after)
    assert message.value.startswith("mu = 0.6, A = ")
    assert f"tau = {hermescape.search_time('he2', 0.6).tau:.6g} (t = eta * step)" in message.value


def test_without_ipywidgets_it_says_how_to_install_and_draws(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert isinstance(hermescape.explore("linear"), Figure)
    assert capsys.readouterr().out.strip() == HOW_TO_INSTALL
