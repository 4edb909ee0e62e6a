"""The way out of a saddle: laws integrate by the engine that is asked for, and get the same from each."""

from typing import Any

import pytest

from numerics.flows.engines.problem import Problem, Solution
from numerics.flows.engines.reference import SciPy
from numerics.law.choose import escape_law
from numerics.law.staged import staged_law
from theory.errors import ParameterError
from theory.network.derivation import derive

LAWS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "linear": ({}, {"mu": 0.4}),
    "misaligned": ({"model": "misaligned"}, {"mu": 0.3, "rho": 0.6, "kappa": 0.1}),
    "plain-2": ({"teacher": "he2", "model": "plain"}, {}),
    "passage": ({"teacher": "he3", "model": "plain"}, {}),
}


class Counting:
    """The reference engine, which counts what it is given."""

    def __init__(self) -> None:
        self.runs = 0

    def solve(self, problem: Problem) -> Solution:
        self.runs += 1
        return SciPy("DOP853").solve(problem)


@pytest.mark.parametrize("name", LAWS)
def test_every_law_integrates_by_the_engine_that_is_given(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words, place = LAWS[name]
    student = str(words.get("teacher", "erf"))
    system = derive(student, **{key: value for key, value in words.items() if key != "teacher"})
    own, setting = Counting(), {"dimension": 1e5, "rtol": 1e-9, **place}
    known = escape_law(system, **setting)
    monkeypatch.setattr("numerics.law.passage.CELLS", 12) if name == "passage" else None
    law = escape_law(system, **setting, engine=own)
    assert own.runs >= 2
    if name != "passage":  # of which fewer cells were integrated
        assert law.median == pytest.approx(known.median, rel=1e-6)


def test_noise_and_stages_do_too() -> None:
    own = Counting()
    law = escape_law(derive("he3"), mu=0.3207243473230675, dimension=1e4, threshold=0.7, kappa=0.02, engine=own)
    assert law.regime == "noise-driven"
    assert own.runs >= 2
    stages, before = [derive("he2", label="y**2"), derive("he2")], own.runs
    two = staged_law(stages, (0.2, 0.9), mu=0.5, dimension=1e6, engine=own)
    assert own.runs >= before + 6
    assert two.median == pytest.approx(staged_law(stages, (0.2, 0.9), mu=0.5, dimension=1e6).median, rel=1e-6)


def test_an_unknown_engine_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numerics.law.starts.search_time", lambda *_, **__: pytest.fail("work"))
    with pytest.raises(ParameterError, match="accepted: native, scipy, heyoka"):
        escape_law(derive("relu"), mu=0.5, dimension=1e5, engine="euler")
