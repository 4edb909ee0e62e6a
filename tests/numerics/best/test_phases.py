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
from tests.hermescape.cli.running import read
from tests.hermescape.cli.running import run as command
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


def test_over_a_parameter() -> None:
    """Every point is the law of a member by itself, whose flows are compiled for it alone."""
    family, setting = derive("c1*x + c3*He(3, x)", parameters=["c1", "c3"]), {"dimension": 1e5, "kappa": 0.01}
    values = [-1.0, -0.3, 2.0]
    diagram = phase_diagram(family, [0.2, 0.5], c1=values, c3=1, **setting)
    assert diagram["median"].dims == ("mu", "c1")
    for mu, c1 in ((0.2, -1.0), (0.2, 2.0), (0.5, 2.0)):
        law = escape_law(derive(f"({c1})*x + He(3, x)"), mu=mu, **setting)
        point = diagram.sel(mu=mu, c1=c1)
        assert point.regime.item() == law.regime
        assert point["median"].item() == pytest.approx(law.median, rel=1e-6)
    assert diagram.bifurcation.values.tolist() == ["fold", "end"]
    assert diagram.bifurcation_c1.values.tolist() == pytest.approx([-0.437120971963953, 0], abs=1e-14)
    k, at = (diagram[name].values for name in ("critical_c1", "critical_mu"))
    left = k**2 + 3 * k * (4 * at**2 + at - 1) + 9 * at * (5 * at**3 + 5 * at**2 + at - 1)
    assert np.nanmax(abs(left)) < 1e-12
    assert np.isnan(at).sum() == 4  # three curves
    assert diagram.attrs["critical_alignments"].startswith("0 for -1 < c1 < -0.437121, 2 for")


def test_chambers_and_functions_without_a_closed_form_over_a_parameter() -> None:
    kink = derive("max(x, 0) + a*min(x, 0)", parameters="a")
    diagram = phase_diagram(kink, [0.4], dimension=1e4, a=[-1.0, 0.5, 1.0])
    alone = [
        escape_law(derive(text), mu=0.4, dimension=1e4).median for text in ("abs", "max(x, 0) + 0.5*min(x, 0)", "x")
    ]
    assert diagram["median"].values[0].tolist() == pytest.approx(alone, rel=1e-6)
    smooth = derive("tanh(b*x)", parameters="b > 0")
    diagram = phase_diagram(smooth, [0.4], dimension=1e4, b=[1.0])
    assert diagram["median"].item() == pytest.approx(escape_law(derive("tanh"), mu=0.4, dimension=1e4).median, rel=1e-6)
    assert "along" not in diagram.dims


def test_bad_parameters() -> None:
    family = derive("c1*x + c3*He(3, x)", parameters=["c1", "c3"])
    for given in ({}, {"c1": [1.0, 2.0]}, {"c1": [1.0, 2.0], "c3": [1.0, 2.0]}):
        with pytest.raises(ParameterError, match="accepted: numbers for all of them, or, without rho, for all but one"):
            phase_diagram(family, [0.5], dimension=1e3, **given)
    with pytest.raises(ParameterError, match="several dimensions with c1"):
        phase_diagram(family, [0.5], dimension=[1e3, 1e4], c1=[1.0, 2.0], c3=1)
    with pytest.raises(ParameterError, match="accepted: a finite number with b > 0"):
        phase_diagram(derive("erf(b*x)", parameters="b > 0"), [0.5], dimension=1e3, b=[-1.0, 2.0])
    with pytest.raises(ParameterError, match="its name none of regime"):
        phase_diagram(derive("erf(law*x)", parameters="law > 0"), [0.5], dimension=1e3, law=[1.0, 2.0])


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
        (("--d", "1e3,1e4", "--rho", "0.5,0.7"), "one dimension"),
        (("--d", "1e3", "--rho", "-1"), "--rho"),
    ):
        assert run("linear", *args) == 2
        assert message in capsys.readouterr().err


FAMILY = ("c1*x + c3*He(3,x)", "--param", "c1", "--param", "c3")


def test_command_over_a_parameter(tmp_path: Path) -> None:
    picture, grid = tmp_path / "phases.svg", tmp_path / "phases.nc"
    place = ("--mu", "0.3,0.5", "--axes", "mu,c1", "--set", "c1=-1:5:3", "--set", "c3=1")
    found = read("phases", *FAMILY, *place, "--plot", str(picture), "-o", str(grid))
    assert found["coords"]["c1"]["data"] == [-1, 2, 5]
    assert found["attrs"]["dimension"] == 1e5
    assert found["data_vars"]["bifurcation"]["data"] == ["fold", "end", "end"]
    with xr.open_dataset(grid, engine="h5netcdf") as saved:
        assert saved["bifurcation_c1"].values.tolist() == found["data_vars"]["bifurcation_c1"]["data"]
    assert "critical alignment" in picture.read_text()
    shown = command("phases", *FAMILY, *place).stdout
    assert "fold at c1 = -0.437120972, mu = 0.2222296492" in shown
    assert "critical alignments: 0 for -1 < c1 < -0.437121, 2 for" in shown


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--set", "c3=1", "--axes", "mu,c1"), "no value of c1 given"),
        (("--set", "c3=1", "--set", "c1=1:2:3"), "accepted: one value, or --axes mu,c1"),
        (("--set", "c3=1,2", "--set", "c1=1:2:3", "--axes", "mu,c1"), "--set c3 with 2 values"),
        (("--set", "c3=1", "--set", "c1=1:2:3", "--axes", "mu,b"), "--axes mu,b given; accepted: mu,d"),
        (("--set", "c3=1", "--set", "c1=1:2:3", "--axes", "c1,mu"), "--axes c1,mu given"),
        (("--set", "c3=1", "--set", "c1=1:2:3", "--axes", "mu,c1", "--rho", "0.5"), "with --rho given"),
        (("--set", "c3=1", "--set", "c1=1:2:3", "--axes", "mu,c1", "--d", "1e3,1e4"), "accepted: one dimension"),
        (("--set", "c3=1", "--set", "c1=2,1", "--axes", "mu,c1"), "ascending"),
    ],
)
def test_axes_that_are_none(options: tuple[str, ...], words: str) -> None:
    done = command("phases", *FAMILY, *options)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert words in done.stderr
    assert "accepted: mu,d" in command("phases", "linear", "--axes", "mu,rho").stderr
