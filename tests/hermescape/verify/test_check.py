"""The verdict must be able to fail, and must not depend on the machine."""

import math
from dataclasses import replace
from typing import Any

import pytest

import hermescape
from hermescape.verify import check as checking
from hermescape.verify import plan as planning
from numerics.law.through_flow import ThroughFlow
from numerics.simulation.experiment import Experiment
from numerics.simulation.statistics import ExitSample
from theory.errors import InputError, ParameterError


@pytest.mark.parametrize("name", ["relu", "erf", "he2"])
def test_agreement(name: str) -> None:
    report = hermescape.check(name, mu=[0.3, 0.6], replicas=300, seed=5)
    assert report.passed, [(case.mu, case.sentence) for case in report.cases]


@pytest.mark.parametrize("name", ["relu", "he3"])
def test_the_correlation_loss_agrees_and_is_not_the_squared_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    report = hermescape.check(name, mu=[0.4], replicas=300, seed=5, objective="correlation")
    assert report.passed, [(case.mu, case.sentence) for case in report.cases]
    assert report.settings["objective"] == "correlation"
    simulated = checking.experiment_at

    def squared(task: hermescape.Task, *place: Any, **sizes: Any) -> Experiment:
        return simulated(replace(task, objective="squared"), *place, **sizes)

    monkeypatch.setattr(checking, "experiment_at", squared)
    assert not hermescape.check(name, mu=[0.4], replicas=300, seed=5, objective="correlation").passed


@pytest.mark.slow
def test_numerical_activation_agrees() -> None:
    assert hermescape.check("tanh", mu=[0.3], replicas=200, seed=2).passed


@pytest.mark.slow
def test_a_wrong_prediction_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The flow of a loss 20 % steeper predicts exits 20 % earlier; the same data must reject it."""
    quiet, median = ThroughFlow.quiet, ThroughFlow.median

    def steep_quiet(self: ThroughFlow, *args: Any) -> float | None:
        found = quiet(self, *args)
        return None if found is None else found / 1.2

    def steep_median(self: ThroughFlow, *args: Any, **options: Any) -> float | None:
        found = median(self, *args, **{**options, "t_max": 10 * options["t_max"]})
        return None if found is None else found / 1.2

    monkeypatch.setattr(ThroughFlow, "quiet", steep_quiet)
    monkeypatch.setattr(ThroughFlow, "median", steep_median)
    report = hermescape.check("relu", mu=[0.3], replicas=400, seed=5)
    assert not report.passed
    assert report.cases[0].sentence == "disagree"


def test_no_escape_is_predicted_and_seen() -> None:
    case = hermescape.check("linear", mu=[1.0], replicas=20).cases[0]
    assert case.tau is None
    assert case.rows[0].sgd_exit is None
    assert case.sentence == "agree: no escape"


def test_runs_that_cannot_be_afforded_are_undecided_not_passed() -> None:
    report = hermescape.check("he4", mu=[0.4], budget=1e4)
    assert not report.passed
    assert report.cases[0].verdict == "undecided"


def test_a_flow_that_stays_inside_is_undecided_not_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "LONGEST_CHECKED_SEARCH", 1e-3)
    case = hermescape.check("relu", mu=[0.4]).cases[0]
    assert case.sentence.startswith("undecided: the flow stays inside")
    assert not case.passed


@pytest.mark.slow
@pytest.mark.parametrize(("name", "mu"), [("he2", 0.02), ("he2", 0.005), ("he4", 0.1), ("he4", 0.02), ("he3", 0.31)])
def test_the_work_is_bounded_where_u_leaves_first_and_near_critical_strengths(
    name: str, mu: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no run left at all, four budgets would be drawn, a step counting as its batch and 50 samples."""
    drawn = 0.0
    simulate = checking.simulate

    def count(setting: Experiment, **options: Any) -> ExitSample:
        nonlocal drawn
        drawn += setting.replicas * (setting.stop.max_steps - 100) * (setting.sgd.batch + planning.STEP_COST)
        return simulate(setting.but(replicas=2, max_steps=2), **options)

    monkeypatch.setattr(checking, "simulate", count)
    for budget in (1e6, checking.SAMPLE_BUDGET):
        drawn = 0.0
        case = hermescape.check(name, mu=[mu], budget=budget).cases[0]
        assert drawn <= 1.001 * planning.WORST * budget
        assert drawn > 0 or case.sentence.startswith("undecided: one run would draw")


def test_noise_that_changes_the_rate_is_undecided_at_a_given_batch() -> None:
    case = hermescape.check("he3", mu=[0.31], batch=2).cases[0]
    assert case.sentence.startswith("undecided: SGD's noise changes the rate by")
    assert case.rows[0].exited == 0


def test_several_alignments_share_the_budget() -> None:
    """The cheapest come first; those that no longer fit into twice the budget are undecided."""
    found = hermescape.check("relu", mu=[0.3, 0.9], budget=2e6).cases
    assert [case.sentence.startswith("undecided: one run would draw") for case in found] == [False, True]


def test_result_does_not_depend_on_threads() -> None:
    one, two = (hermescape.check("linear", mu=[0.4], replicas=50, threads=n) for n in (1, 2))
    assert one == two


def test_one_dimension_and_several_give_reports_of_one_class() -> None:
    """Each case has its verdict, each row its prediction and measured median; JSON names them as its command does."""
    one = hermescape.check("linear", mu=[0.4], replicas=100)
    several = hermescape.check_law("linear", mu=[0.4], dimensions=(10**4, 10**8), replicas=100)
    assert type(one) is type(several) is hermescape.Report
    for report in (one, several):
        for row in report.rows:
            assert row.prediction is not None
            assert row.sgd_exit == pytest.approx(row.prediction, rel=0.2)
    assert set(one.as_dict()) == {"passed", "rows", "settings"}
    assert set(several.as_dict()) == {"passed", "cases", "settings"}


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


@pytest.mark.slow
def test_a_task_is_what_its_fields_are() -> None:
    """Its mu, batch, step size and replicas count where they are not the defaults of the table."""
    task = hermescape.Task("linear", mu=0.4, mix=True, noise=0.1, batch=400, step_size=0.1, replicas=80, seed=2)
    sizes = {"batch": 400, "step_size": 0.1, "replicas": 80, "seed": 2}
    by_task = hermescape.check(task)
    by_fields = hermescape.check("linear", mu=[0.4], mix=True, noise=0.1, **sizes)
    assert by_task.as_dict() == by_fields.as_dict()
    assert by_task.cases[0].sample.experiment.parameters()["rho"] == pytest.approx(math.hypot(0.4, 0.6))
    chosen = hermescape.check(hermescape.Task("linear", mu=0.4), replicas=60)
    assert chosen.settings["batch"] != [hermescape.Task("linear").batch]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"threshold": None}, "no threshold given"),
        ({"initial_scale": 0.1}, "try check_law"),
        ({"mu": []}, "no mu given"),
    ],
)
def test_a_task_that_has_no_such_check_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        hermescape.check("linear", **fields)
