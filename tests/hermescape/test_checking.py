"""The verdict must be able to fail, and must not depend on the machine."""

from dataclasses import replace

import pytest

import hermescape
from hermescape import checking
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
