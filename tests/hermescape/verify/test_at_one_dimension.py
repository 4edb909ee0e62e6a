"""The verdict must be able to fail, and must not depend on the machine."""

from dataclasses import replace
from typing import Any

import pytest

import hermescape
from hermescape.verify import at_one_dimension as checking
from numerics.simulation.experiment import Experiment
from numerics.simulation.statistics import ExitSample
from theory.errors import InputError, ParameterError


@pytest.mark.parametrize("name", ["relu", "erf", "he2"])
def test_agreement(name: str) -> None:
    report = hermescape.check(name, mu=[0.3, 0.6], replicas=300, seed=5)
    assert report.passed, [(row.mu, row.verdict) for row in report.rows]


def test_numerical_activation_agrees() -> None:
    assert hermescape.check("tanh", mu=[0.3], replicas=200, seed=2).passed


def test_a_wrong_prediction_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The flow of a loss 20 % steeper predicts exits 20 % earlier; the same data must reject it."""
    honest = checking._forecast

    def steep(*args: object) -> checking._Forecast:
        found = honest(*args)  # type: ignore[arg-type]
        return replace(found, flow_exit=found.flow_exit / 1.2, prediction=found.prediction / 1.2)

    monkeypatch.setattr(checking, "_forecast", steep)
    report = hermescape.check("relu", mu=[0.3], replicas=400, seed=5)
    assert not report.passed
    assert report.rows[0].verdict == "disagree"


def test_no_escape_is_predicted_and_seen() -> None:
    row = hermescape.check("linear", mu=[1.0], replicas=20).rows[0]
    assert row.tau is None
    assert row.sgd_exit is None
    assert row.verdict == "agree: no escape"


def test_runs_that_cannot_be_afforded_are_undecided_not_passed() -> None:
    report = hermescape.check("he10", mu=[0.4])
    assert not report.passed
    assert report.rows[0].verdict.startswith("undecided")


def test_a_flow_that_stays_inside_is_undecided_not_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "LONGEST_SEARCH", 1e-3)
    row = hermescape.check("relu", mu=[0.4]).rows[0]
    assert row.verdict.startswith("undecided: the flow stays inside")
    assert not row.passed


@pytest.mark.parametrize(("name", "mu"), [("he2", 0.02), ("he2", 0.005), ("he4", 0.1), ("he4", 0.02), ("he3", 0.31)])
def test_the_work_is_bounded_where_u_leaves_first_and_near_critical_strengths(
    name: str, mu: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no run left at all, four budgets would be drawn, a step counting as its batch and 50 samples."""
    drawn = 0.0
    simulate = checking.simulate

    def count(setting: Experiment, **options: Any) -> ExitSample:
        nonlocal drawn
        drawn += setting.replicas * (setting.stop.max_steps - 100) * (setting.sgd.batch + checking.STEP_COST)
        return simulate(setting.but(replicas=2, max_steps=2), **options)

    monkeypatch.setattr(checking, "simulate", count)
    for budget in (1e6, checking.SAMPLE_BUDGET):
        drawn = 0.0
        row = hermescape.check(name, mu=[mu], budget=budget).rows[0]
        assert drawn <= 1.001 * checking.WORST * budget
        assert drawn > 0 or row.verdict.startswith("undecided: one run would draw")


def test_noise_that_changes_the_rate_is_undecided_at_a_given_batch() -> None:
    row = hermescape.check("he3", mu=[0.31], batch=2).rows[0]
    assert row.verdict.startswith("undecided: SGD's noise changes the rate by")
    assert row.exited == 0


def test_several_strengths_share_the_budget() -> None:
    """The cheapest come first; those that no longer fit into twice the budget are undecided."""
    found = hermescape.check("relu", mu=[0.3, 0.9], budget=2e6).rows
    assert [row.verdict.startswith("undecided: one run would draw") for row in found] == [False, True]


def test_result_does_not_depend_on_threads() -> None:
    one, two = (hermescape.check("linear", mu=[0.4], replicas=50, threads=n) for n in (1, 2))
    assert one == two


def test_bad_values() -> None:
    with pytest.raises(ParameterError, match="no mu"):
        hermescape.check("relu", mu=[])
    with pytest.raises(ParameterError, match="step_size"):
        hermescape.check("relu", step_size=-1.0)
    with pytest.raises(InputError, match="SGD never moves"):
        hermescape.check("sign")
    with pytest.raises(InputError, match="jumps"):
        hermescape.check("x + step(x)")


def test_public_names() -> None:
    for name in hermescape.__all__:
        assert getattr(hermescape, name) is not None
    assert {"derive", "compile", "integrate", "simulate", "check"} <= set(hermescape.__all__)
    with pytest.raises(AttributeError):
        hermescape.nonsense  # noqa: B018
