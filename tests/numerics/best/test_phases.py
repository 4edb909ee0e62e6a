"""Phase diagrams: every point is the law at that point; regimes where theory puts them; the command and its file."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from hermescape.cli.app import main
from numerics.best.phases import phase_diagram
from numerics.law import escape_law
from numerics.plots import figure_of
from numerics.plots import phase_diagram as draw
from theory.errors import InputError, ParameterError
from theory.network.derivation import derive

SINE = 0.3329647205324833  # critical strength of sin(3 x)


@pytest.mark.slow
def test_points_are_laws_of_their_own() -> None:
    system, setting = derive("sin(3*x)"), {"kappa": 1.0, "threshold": 0.3}
    found = phase_diagram(system, [0.2, 0.31, SINE, 1.0], dimension=[1e3, 1e7], **setting)
    for mu in (0.2, 0.31, SINE):
        for d in (1e3, 1e7):
            law = escape_law(system, mu=mu, dimension=d, **setting)
            point = found.sel(mu=mu, d=d)
            assert point.regime.item() == law.regime
            assert point["median"].item() == pytest.approx(law.median, rel=1e-6)
    assert found.regime.sel(mu=SINE).values.tolist() == ["noise-driven"] * 2
    assert found.regime.sel(mu=1.0).values.tolist() == ["trapped"] * 2
    assert math.isinf(found["median"].sel(mu=1.0, d=1e3))


def test_without_noise_a_critical_strength_traps() -> None:
    found = phase_diagram(derive("sin(3*x)"), [SINE], dimension=[1e3])
    assert found.regime.item() == "trapped"


def test_misaligned_over_lengths() -> None:
    """m ends at (1 - mu)/sqrt(1 - 2 mu + rho^2), below the threshold for large mu and rho; rho < mu does not exist."""
    found = phase_diagram(derive("erf", model="misaligned"), [0.3, 0.8], dimension=1e5, rho=[0.4, 0.9, 1.2], kappa=0.0)
    assert found.regime.values.tolist() == [["linear"] * 3, ["outside", "unreached", "unreached"]]
    assert np.isnan(found["median"].values[1, 0])


def test_bad_grids() -> None:
    system = derive("linear")
    for mu, dimension, message in (([0.5, 0.4], [1e3], "mu"), ([0.5], [], "d ="), ([0.5], [1e4, 1e3], "ascending")):
        with pytest.raises(ParameterError, match=message):
            phase_diagram(system, mu, dimension=dimension)
    with pytest.raises(ParameterError, match="at most"):
        phase_diagram(system, list(np.linspace(0.1, 0.9, 300)), dimension=list(np.linspace(1e3, 1e4, 300)))
    with pytest.raises(InputError, match="model lora"):
        phase_diagram(system, [0.5], dimension=1e3, rho=[0.7])
    with pytest.raises(ParameterError, match="threshold"):
        phase_diagram(system, [0.5], dimension=[1e3], threshold=2.0)


def test_plot_marks_regimes() -> None:
    regime = [["linear", "noise-driven", "trapped"], ["linear", "linear", "trapped"]]
    median = [[3.0, 30.0, math.inf], [4.0, 40.0, math.inf]]
    figure = figure_of(lambda ax: draw(ax, [0.2, 0.3], [1e2, 1e3, 1e4], median, regime, "d"), "")
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert texts == ["led by the slope of the loss", "led by noise", "trapped: no exit"]
    assert figure.axes[0].get_yscale() == "log"


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*args: str) -> int:
        monkeypatch.setattr(sys, "argv", ["hermescape", "phases", *args])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    picture, grid = tmp_path / "phases.png", tmp_path / "phases.nc"
    shared = ("linear", "--mu", "0.2,0.4", "--d", "1e3:1e5:3", "--plot", str(picture), "-o", str(grid))
    assert run(*shared, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["coords"]["d"]["data"] == [1e3, 1e4, 1e5]
    assert picture.stat().st_size > 10_000
    with xr.open_dataset(grid, engine="h5netcdf") as saved:
        assert saved["median"].values.tolist() == found["data_vars"]["median"]["data"]
    assert run(*shared) == 2
    assert "exists" in capsys.readouterr().err
    assert run("linear", "--mu", "0.2,0.4", "--d", "1e3:1e5:3") == 0
    assert "points: linear 6" in capsys.readouterr().out
    for args, message in (
        (("--d", "10,x"), "--d"),
        (("--rho", "0.5,0.7"), "one dimension"),
        (("--d", "1e3", "--rho", "-1"), "--rho"),
    ):
        assert run("linear", *args) == 2
        assert message in capsys.readouterr().err
