"""Reproduced figures at tiny settings: they are computed, drawn, described; checks pass, and can fail; work is kept."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
import xarray as xr
from scipy.integrate import quad

from hermescape.paper import corrected, dynamics, search, stages
from hermescape.paper.checks import oracle
from hermescape.paper.checks.findings import compare
from hermescape.paper.names import chosen
from hermescape.paper.published import emulate, published_times
from hermescape.paper.registry import FIGURES, Figure
from hermescape.paper.runner import reproduce, state_of
from hermescape.paper.settings import Settings
from tests.hermescape.cli.running import run
from theory.calculus.reference import kernel
from theory.errors import ParameterError


class Tiny(Settings):
    """Quick, and one alignment of few runs."""

    @property
    def alignments(self) -> tuple[float, ...]:
        return (0.5,)

    @property
    def samples(self) -> float:
        return 4e6


TINY = Tiny(quick=True)


def silent(_: str) -> nullcontext[Callable[..., None]]:
    return nullcontext(lambda *_: None)


def make(name: str, out: Path, settings: Settings = TINY, **options: bool) -> tuple[xr.Dataset, dict]:
    (made,) = reproduce([FIGURES[name] for name in chosen([name])], out, settings, progress=silent, **options)
    return xr.load_dataset(out / f"{name}.nc", engine="h5netcdf"), made.as_dict(checked=True)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "LINKS", ("linear", "relu"))
    monkeypatch.setattr(search, "EVEN", ("he2",))
    monkeypatch.setattr(search, "ODD", ("he3",))
    monkeypatch.setattr(search, "INSET", (0.5,))
    monkeypatch.setattr(dynamics, "LINKS_TRAINED", ("relu", "he3"))
    monkeypatch.setattr(stages, "LINKS", ("relu",))
    monkeypatch.setattr(corrected, "JUDGED", {"relu": (0.6,), "erf": (0.6,)})
    from hermescape.paper.drawing import search as drawing

    monkeypatch.setattr(drawing, "EVEN", ("he2",))
    monkeypatch.setattr(drawing, "ODD", ("he3",))


PERTURBED = {
    "search-time": {"tau": "tau of relu", "exit_median": "exit of relu", "published": "published relu"},
    "search-time-hermite": {"tau": "tau of he3", "critical": "critical", "m_0": "m of he3"},
    "search-time-squared": {"tau": "tau of linear"},
    "dynamics": {"m_flow": "m of relu", "mse_flow": "mse of he3", "q_low": "flow of relu"},
    "dynamics-misaligned": {"q_flow": "q of he3"},
    "two-stage": {"direct_m_flow": "m of relu at mu = 0.5", "staged_mse_flow": "mse of relu at mu = 0.5, two stages"},
    "landscape": {"bias": "bias of relu", "potential": "potential of erf", "A": "A of he2", "B": "B of sigmoid"},
    "published-corrected": {
        "exact": "exact tau of erf",
        "published": "published sum of relu",
        "series": "corrected sum",
        "judge": "exact tau",
    },
}
TOGETHER = {
    "exit_median": ("exit_low", "exit_high"),
    "judge": ("judge_low", "judge_high"),
    "q_low": ("q_mid", "q_high"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PERTURBED)
def test_a_figure_is_made_and_its_check_can_fail(name: str, tmp_path: Path) -> None:
    dataset, made = make(name, tmp_path, check=True)
    assert made["passed"], [f for f in made["checks"] if not f["passed"]]
    assert made["status"] == "made"
    for suffix, head in ((".png", b"\x89PNG"), (".pdf", b"%PDF"), (".md", b"# ")):
        assert (tmp_path / f"{name}{suffix}").read_bytes().startswith(head)
    for words in ("quick settings", "seed 0", "hermescape 0", f"reproduce {name}"):
        assert words in made["caption"]
    moved = [v for variable in PERTURBED[name] for v in (variable, *TOGETHER.get(variable, ()))]
    findings = FIGURES[name].check(dataset.assign({v: 1.35 * dataset[v] for v in moved}))
    off = {finding.curve for finding in findings if not finding.passed}
    for variable, curve in PERTURBED[name].items():
        assert any(found.startswith(curve) for found in off), variable


@pytest.mark.slow
def test_the_same_seed_gives_the_same_figure(tmp_path: Path) -> None:
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
    one, two = (make("two-stage", tmp_path / folder)[0] for folder in "ab")
    xr.testing.assert_equal(one, two)
    other, _ = make("two-stage", tmp_path / "c", replace(TINY, seed=1))
    assert not np.array_equal(one.direct_m_high, other.direct_m_high, equal_nan=True)
    assert np.array_equal(one.direct_m_flow, other.direct_m_flow, equal_nan=True)


def test_interrupted_work_goes_on(tmp_path: Path) -> None:
    calls: list[str] = []
    landscape = FIGURES["landscape"]

    def figure(name: str, fails: bool = False) -> Figure:
        def compute(*given: object) -> xr.Dataset:
            calls.append(name)
            if fails:
                raise KeyboardInterrupt
            return landscape.compute(*given)  # type: ignore[arg-type]

        return replace(landscape, name=name, compute=compute)

    first, second = figure("first"), figure("second")
    with pytest.raises(KeyboardInterrupt):
        reproduce([first, figure("second", fails=True)], tmp_path, TINY, progress=silent)
    assert state_of(first, tmp_path, TINY) == "kept"
    (tmp_path / "first.png").unlink()
    again = reproduce([first, second], tmp_path, TINY, progress=silent)
    assert [made.status for made in again] == ["kept", "made"]
    assert calls == ["first", "second", "second"]
    assert (tmp_path / "first.png").exists()  # redrawn from its data
    assert not list(tmp_path.glob(".*"))


def test_nothing_is_lost(tmp_path: Path) -> None:
    make("landscape", tmp_path)
    before = (tmp_path / "landscape.nc").read_bytes()
    with pytest.raises(ParameterError, match="--force"):
        make("landscape", tmp_path, Settings(quick=True, seed=3))
    assert (tmp_path / "landscape.nc").read_bytes() == before
    (tmp_path / "dynamics.md").write_text("mine")
    with pytest.raises(ParameterError, match="without its data"):
        make("dynamics", tmp_path)
    dataset, made = make("landscape", tmp_path, Settings(quick=True, seed=3), force=True)
    assert made["status"] == "made"
    assert dataset.attrs["seed"] == 3


def test_command_makes_keeps_and_finds_what_is_off(tmp_path: Path) -> None:
    command = ("reproduce", "landscape", "--out", str(tmp_path), "--quick", "--check", "--json")
    for status in ("made", "kept"):
        done = run(*command)
        assert done.returncode == 0, done.stderr
        (found,) = json.loads(done.stdout)["figures"]
        assert found["status"] == status
        assert all(finding["passed"] for finding in found["checks"])
        assert found["caption"] == (tmp_path / "landscape.md").read_text()
    path = tmp_path / "landscape.nc"
    dataset = xr.load_dataset(path, engine="h5netcdf")
    dataset["A"] = dataset.A + 1e-6
    path.write_bytes(dataset.to_netcdf(engine="h5netcdf"))
    done = run(*command)
    assert done.returncode == 1
    assert not json.loads(done.stdout)["passed"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nonsense", "--out", "."), "figure 'nonsense'"),
        (("all",), "no --out"),
        (("all", "--out", "{tmp}/missing/deep"), "create its parent"),
        (("landscape", "--out", "{tmp}/file"), "not a file"),
        (("landscape", "--out", "{tmp}", "--threads", "0"), "threads = 0"),
        (("landscape", "--out", "{tmp}", "--seed", "-1"), "seed = -1"),
        (("--out", "{tmp}"), "no figure"),
        (("--list", "all"), "--list alone"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("reproduce", *(a.format(tmp=tmp_path) for a in arguments))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_names_are_listed() -> None:
    listed = json.loads(run("reproduce", "--list", "--json").stdout)["figures"]
    assert [figure["name"] for figure in listed] == list(FIGURES)
    assert all(name in run("reproduce").stdout for name in FIGURES)


@pytest.mark.parametrize("name", ["erf", "relu", "sigmoid", "he3"])
def test_oracle_of_the_checks_meets_that_of_the_theory(name: str) -> None:
    """L from the quadrature of the checks, against mpmath's kernels: L = E_r sigma^2/2 - K + E phi^2/2."""
    from theory.language.activations import activation

    f, q, r = activation(name).expr, 0.3, 0.5
    one = sp.Integer(1)
    K, own, target = (float(kernel(*pair, q, r, digits=10)) for pair in ((f, f), (f**2, one), (one, f**2)))
    assert oracle.moments(name, "y", q, r - q * q).loss == pytest.approx(own / 2 - K + target / 2, abs=1e-8)


@pytest.mark.parametrize("name", ["relu", "erf", "he3"])
def test_oracle_has_the_derivatives_of_its_loss(name: str) -> None:
    q, gap, h = 0.4, 0.2, 1e-4

    def loss(q: float, r: float) -> float:
        return oracle.moments(name, "y**2", q, r - q * q).loss

    at, r = oracle.moments(name, "y**2", q, gap), q * q + gap
    assert at.slope == pytest.approx((loss(q + h, r) - loss(q - h, r)) / (2 * h), rel=1e-5, abs=1e-7)
    assert at.bend == pytest.approx((loss(q, r + h) - loss(q, r - h)) / (2 * h), rel=1e-5, abs=1e-7)


def test_oracle_in_one_dimension_meets_adaptive_quadrature() -> None:
    A, B, *_ = oracle.drive_and_bend("sigmoid", "y", 0.4)
    s = oracle.link("sigmoid")

    def mean(f: Callable[[float], float]) -> float:
        return quad(lambda z: f(z) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi), -12, 12, epsabs=1e-13)[0]

    gap = lambda z: s.value(0.4 * z) - s.value(z)  # noqa: E731
    assert pytest.approx(mean(lambda z: -z * s.slope(0.4 * z) * gap(z)), abs=1e-12) == A
    assert pytest.approx(mean(lambda z: -(s.slope(0.4 * z) ** 2) - gap(z) * s.bend(0.4 * z)), abs=1e-12) == B
    assert oracle.drive_and_bend("relu", "y", 0.4)[:2] == pytest.approx((0.3, -0.5))  # (1 - mu)/2, -1/2


def test_published_times_and_their_statistic() -> None:
    assert published_times()["erf"][0.9] == (52705.5, 1206.085)
    assert sum(map(len, published_times().values())) == 27
    steps = np.arange(0.0, 1000.0)
    ramps = np.array([steps / 1000] * 5)  # |m| = step/1000: the window mu +- 0.05 is centred at 1000 mu
    assert emulate(ramps, steps, 0.5, seed=0) == pytest.approx((500, 500, 500), abs=1)
    assert all(np.isnan(emulate(0 * ramps, steps, 0.5, seed=0)))


def test_a_comparison_of_nothing_fails() -> None:
    assert not compare("tau", "none", [], [], 1.0).passed
    assert compare("tau", "both infinite", [np.inf], [np.inf], 1.0).passed
