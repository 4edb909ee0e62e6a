"""The test of the law passes where the law holds, fails where it does not, and is undecided where it could not fail."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest

from hermescape.cli.app import main
from hermescape.verify import judge as lawcheck
from hermescape.verify import plan as lawplan
from hermescape.verify.check import check_law
from numerics.law import Law, LinearEscape
from numerics.simulation.comparison import holm
from theory.errors import InputError, ParameterError

WIDE: dict[str, Any] = {"mu": [0.4], "dimensions": (10**4, 10**8, 10**12), "seed": 1}


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """The command line in this process."""

    def call(*args: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["hermescape", *args])
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(int(ended.value.code or 0), *capsys.readouterr())

    return call


@pytest.mark.slow
def test_linear_agrees_up_to_dimension_1e12() -> None:
    case = check_law("linear", **WIDE).cases[0]
    assert case.verdict == "agree", case.reason
    assert [row.counts for row in case.rows] == [False, True, True]
    low, high = case.slope_interval
    assert low is not None
    assert high is not None
    assert low < case.slope_law < high < 1.2 * low
    assert max(row.p_without_noise for row in case.rows) < 1e-6
    assert max(row.p_slower for row in case.rows[1:]) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("relu", {"mu": [0.4]}),
        ("he2", {"mu": [0.5]}),
        ("linear", {"mu": [0.3], "rho": 0.5, "threshold": 0.4}),
        ("he2", {"model": "plain"}),
        ("linear", {"model": "plain"}),
    ],
)
def test_other_regimes_agree(name: str, options: dict[str, Any]) -> None:
    report = check_law(name, dimensions=(4000, 12_000), replicas=800, seed=2, **options)
    failed = [row.p_holm for case in report.cases for row in case.rows if row.p_holm is None or row.p_holm < 1e-3]
    assert not failed
    assert report.cases[0].verdict == "agree", report.cases[0].reason


LAW_AT = lawplan.law_at


def formula(*args: Any, **options: Any) -> Law:
    """The closed formula, which is not sampled."""
    return LAW_AT(*args, **{**options, "by": "formula"})


@pytest.mark.slow
def test_a_wrong_law_disagrees(monkeypatch: pytest.MonkeyPatch) -> None:
    """The derived law with tau 5 % too large, or without its noise term, is what the same data reject."""

    def slow(*args: Any, **options: Any) -> Law:
        return formula(*args, **options).slower(1.05)

    def quiet(*args: Any, **options: Any) -> Law:
        return formula(*args, **options).without_noise()

    for wrong in (slow, quiet):
        monkeypatch.setattr(lawplan, "law_at", wrong)
        case = check_law("linear", kappa=5.0, step_size=0.05, **WIDE).cases[0]
        assert case.verdict == "disagree"
        assert all(row.p_holm is not None and row.p_holm < 1e-6 for row in case.rows if row.counts)


@pytest.mark.slow
def test_a_wrong_slope_disagrees(monkeypatch: pytest.MonkeyPatch) -> None:
    def steep(*args: Any, **options: Any) -> Law:
        found = formula(*args, **options)
        assert isinstance(found, LinearEscape)
        slope = found.slope_log_d * 1.1
        return replace(found, tau=2 * slope)

    monkeypatch.setattr(lawplan, "law_at", steep)
    monkeypatch.setattr(lawcheck, "ks_law", lambda *_, **__: lawcheck.TestResult(0.0, 1.0))
    case = check_law("linear", kappa=5.0, step_size=0.05, **WIDE).cases[0]
    assert case.verdict == "disagree"
    assert "slope" in case.reason


@pytest.mark.slow
def test_what_the_law_leaves_out_is_no_disagreement(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times 5 % longer are rejected, but not by a law that says itself that it leaves out as much."""

    def rough(*args: Any, **options: Any) -> Law:
        found = formula(*args, **options).slower(1.05)
        assert isinstance(found, LinearEscape)
        return replace(found, remainder=0.06 * found.median)

    monkeypatch.setattr(lawplan, "law_at", rough)
    case = check_law("linear", kappa=5.0, step_size=0.05, **WIDE).cases[0]
    assert case.verdict == "undecided"
    assert "no more than what" in case.reason
    assert all(row.p_value < 1e-6 < row.p_within_remainder for row in case.rows if row.counts)


@pytest.mark.slow
def test_where_u_leaves_first_the_diffusion_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    """He_2 at mu = 0.02 has |A| sqrt(d)/lambda = 1.9 at d = 1000: the runs reject the formula, not the diffusion."""
    options: dict[str, Any] = {
        "mu": [0.02],
        "dimensions": (1000, 2000),
        "kappa": 0.3,
        "step_size": 0.01,
        "replicas": 2000,
    }
    case = check_law("he2", **options).cases[0]
    assert case.verdict == "agree", case.reason
    assert [row.law for row in case.rows] == ["diffusion"] * 2
    monkeypatch.setattr(lawplan, "law_at", formula)
    assert check_law("he2", **options).cases[0].verdict == "disagree"


def test_too_few_runs_are_undecided() -> None:
    case = check_law("linear", mu=[0.4], dimensions=(10**4, 10**5), replicas=30, seed=1).cases[0]
    assert case.verdict == "undecided"
    assert "also pass" in case.reason


def test_what_cannot_be_paid_is_not_simulated() -> None:
    report = check_law("relu", mu=[0.4], budget=1e6)
    assert not report.passed
    assert report.cases[0].verdict == "undecided"
    assert not report.cases[0].rows
    assert "--budget" in report.cases[0].reason


@pytest.mark.slow
def test_result_does_not_depend_on_threads_and_dimensions_differ_in_seed() -> None:
    one, two = (check_law("linear", **{**WIDE, "seed": 4}, replicas=200, threads=n) for n in (1, 2))
    assert one == two
    first, second = (check_law("linear", **{**WIDE, "seed": s}, replicas=200) for s in (4, 5))
    assert first.cases[0].rows != second.cases[0].rows
    gaps = [(row.sgd_exit or 0) - (row.prediction or 0) for row in one.cases[0].rows]
    assert len({round(gap, 6) for gap in gaps}) == len(gaps)


def test_holm_keeps_order_and_bounds() -> None:
    given = np.random.Generator(np.random.SFC64(1)).uniform(size=9)
    adjusted = holm(list(given))
    assert list(np.array(adjusted)[np.argsort(given)]) == sorted(adjusted)
    assert all(p <= a <= 1 for p, a in zip(given, adjusted, strict=True))
    assert holm([]) == ()


def test_bad_values() -> None:
    for options, message in (
        ({"dimensions": (1000,)}, "dimensions"),
        ({"dimensions": (1000, 1000)}, "dimensions"),
        ({"budget": 0.0}, "budget"),
        ({"kappa": -1.0}, "kappa"),
        ({"step_size": 0.0}, "step_size"),
        ({"mu": []}, "no mu"),
        ({"replicas": 1}, "replicas"),
        ({"seed": -1}, "seed"),
    ):
        with pytest.raises(ParameterError, match=message):
            check_law("linear", **options)
    with pytest.raises(InputError, match="G ="):
        check_law("linear", mu=[1.0])
    with pytest.raises(InputError, match="jumps"):
        check_law("sign", mu=[0.5])


@pytest.mark.slow
def test_law_command(run: Callable[..., Done]) -> None:
    formula = ("--by", "formula")
    done = run("law", "relu", "--mu", "0.5", "--d", "1e5", "--kappa", "4", "--lr", "0.1", *formula, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"regime", "tau", "constant", "slope_log_d", "critical_mu", "quantiles"} <= set(found)
    assert list(found["quantiles"]) == ["0.05", "0.1", "0.25", "0.5", "0.75", "0.9", "0.95"]
    assert (found["law"], found["distance"], found["distance_error"]) == ("formula", None, None)
    assert found["slope_log_d"] == pytest.approx(found["tau"] / 2)
    assert found["quantiles"]["0.05"] < found["median"] == found["quantiles"]["0.5"] < found["mean"]
    assert "median" in run("law", "he2", "--model", "plain", "--kappa", "0.05", *formula).stdout
    for args in (("he3", "--model", "plain", "--d", "1e4"), ("linear", "--model", "plain", "--d", "1e4")):
        found = json.loads(run("law", *args, *formula, "--json").stdout)
        assert found["tau"] is None
        assert found["quantiles"]["0.05"] > 0
    ballistic = run("law", "relu", "--model", "plain", "--d", "300", "--kappa", "3", *formula, "--json")
    assert json.loads(ballistic.stdout)["remainder"] > 0.3
    assert "left out of the median" in run("law", "relu", "--model", "plain", "--kappa", "3", *formula).stdout
    near = run("law", "he3", "--mu", "0.33", "--d", "1000", "--kappa", "0.02", *formula).stdout
    assert "noise leads for d below" in near
    assert "nan" not in near
    assert run("law", "he3", "--mu", "0.32072434732", "--kappa", "0.02", "--latex").stdout.startswith("% noise-driven")
    assert r"\begin{align*}" in run("law", "relu", "--latex").stdout


@pytest.mark.slow
def test_law_command_compares_formula_and_diffusion(run: Callable[..., Done]) -> None:
    place = ("law", "he2", "--mu", "0.02", "--d", "1000", "--kappa", "0.3", "--lr", "0.01")
    found = json.loads(run(*place, "--json").stdout)
    assert found["law"] == "diffusion"
    assert found["distance"] > 0.1 > 10 * found["distance_error"] > 0
    assert found["remainder"] == pytest.approx(found["median"] - 4.92, abs=0.02)  # that of the formula
    assert found["quantiles"]["0.05"] < 3.8  # the formula: 4.47
    assert found["quantiles"]["0.95"] > 5.9  # the formula: 5.77
    shown = run(*place).stdout
    assert "formula  " in shown
    assert "diffusion" in shown
    assert "law: diffusion; the formula and the diffusion differ by" in shown
    alone = run(*place, "--by", "chain").stdout
    assert "law: chain" in alone
    refused = run(*place[:-2], "--by", "chain")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "accepted: a number > 0" in refused.stderr
    unknown = run(*place, "--by", "guess")
    assert unknown.returncode == 2
    assert "formula, diffusion, chain, auto" in unknown.stderr


def test_law_command_refuses(run: Callable[..., Done]) -> None:
    for args, message in (
        (("law", "relu"), "no --mu"),
        (("law", "relu", "--mu", "1"), "G = "),
        (("law", "relu", "--model", "pretrain"), "pretrain"),
        (("law", "relu", "--latex", "--json"), "one of them"),
        (("check", "relu", "--law", "--batch", "10"), "--batch with --law"),
        (("check", "relu", "--kappa", "1"), "--kappa without --law"),
        (("check", "relu", "--d", "1000,2000"), "without --law"),
        (("check", "relu", "--law", "--d", "1000.5"), "--d"),
        (("check", "relu", "--law", "--model", "plain", "--mu", "0.2"), "--mu with --model plain"),
    ):
        done = run(*args)
        assert done.returncode == 2, args
        assert message in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_check_law_command_and_its_exit_code(run: Callable[..., Done]) -> None:
    shared = ("check", "linear", "--law", "--mu", "0.4", "--d", "1e4,1e8")
    done = run(*shared, "--replicas", "800", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0, report
    assert report["passed"] is True
    assert report["cases"][0]["verdict"] == "agree"
    few = run(*shared, "--replicas", "20")
    assert few.returncode == 1
    assert "undecided" in few.stdout
