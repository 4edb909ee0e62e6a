"""What is said before a long simulation, whether it is true, and what a terminal shows meanwhile."""

import io
import math
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hermescape import foresight
from hermescape.api import experiment, simulate
from hermescape.cli import simulate as command
from hermescape.foresight import Shortcut, foreseen, predicted_work, shortcuts
from hermescape.output import watching
from hermescape.task import Task
from numerics.simulation.progress import Progress
from numerics.simulation.workload import Workload, foresee
from theory.errors import InputError

LINEAR = Task("linear", mu=0.3, dimension=1000, batch=100, step_size=0.01, max_steps=10**6, replicas=60, seed=1)


def steps(task: Task) -> float:
    """Simulated steps of a run."""
    sample = simulate(task)
    return float(np.mean(np.where(sample.exit_steps < 0, task.max_steps, sample.exit_steps)))


def offered(ways: list[Shortcut]) -> dict[str, float]:
    return {" ".join(way.changes): way.factor for way in ways}


@pytest.fixture(scope="module")
def work() -> Workload:
    return predicted_work(LINEAR)


def test_predicted_steps_are_those_that_are_simulated(work: Workload) -> None:
    assert work.source == "law"
    assert work.steps == pytest.approx(steps(LINEAR), rel=0.1)
    assert work.censored == 0
    cut = predicted_work(LINEAR, max_steps=int(work.steps))
    assert 0.2 < cut.censored < 0.8
    assert cut.steps == pytest.approx(steps(replace(LINEAR, max_steps=cut.max_steps)), rel=0.1)


def test_without_a_law_there_is_the_bound() -> None:
    resting = replace(LINEAR, mu=1.0)  # nothing is left to learn, and no noise either
    assert (predicted_work(resting).source, predicted_work(resting).steps) == ("upper bound", 10**6)
    endless = predicted_work(LINEAR, threshold=None, max_steps=77)
    assert (endless.source, endless.steps) == ("given", 77)


def test_what_is_said_to_shorten_does_so_by_the_factor_said(work: Workload) -> None:
    ways = shortcuts(LINEAR, work)
    assert {"replicas", "step_size", "batch step_size"} <= set(offered(ways))
    assert [way.factor for way in ways] == sorted((way.factor for way in ways), reverse=True)
    before = steps(LINEAR)
    for way in ways:  # a step of the linear student costs the same at any batch
        if "replicas" not in way.changes:
            changed: Any = dict(way.changes)
            assert before / steps(replace(LINEAR, **changed)) == pytest.approx(way.factor, rel=0.4)
    same = next(way for way in ways if "batch" in way.changes)
    assert same.kappa == pytest.approx(same.kappa_before)
    assert "the same kappa" in str(same)


def test_a_smaller_batch_is_offered_where_steps_become_cheaper_only(work: Workload) -> None:
    tries = (offered(shortcuts(LINEAR, work)) for _ in range(3))  # costs are measured, on a machine that may be busy
    assert any("batch" not in found for found in tries)
    relu = Task("relu", mu=0.5, batch=2000, max_steps=10**6)
    ways = shortcuts(relu, predicted_work(relu))
    assert 4 < offered(ways)["batch"] < 15
    assert "--batch 200 " in " ".join(map(str, ways))
    assert "kappa 1 instead of 0.1" in " ".join(map(str, ways))


def test_only_what_is_known_to_help_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foresight, "step_cost", lambda *_: 1e-6)  # at any batch
    bound = foresee(experiment(LINEAR))
    assert set(offered(shortcuts(LINEAR, bound))) == {"max_steps", "replicas"}
    two = replace(LINEAR, replicas=2, max_steps=5)
    assert shortcuts(two, foresee(experiment(two))) == []
    given = replace(LINEAR, threshold=None)
    assert set(offered(shortcuts(given, foresee(experiment(given))))) == {"max_steps", "replicas"}


def test_a_step_too_large_for_the_loss_is_not_offered() -> None:
    steep = replace(LINEAR, step_size=0.3)
    assert "step_size" not in offered(shortcuts(steep, predicted_work(steep)))


@pytest.mark.parametrize("fails", [False, True])
def test_a_prediction_that_fails_or_lasts_is_done_without(monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    def slow(_: Task) -> tuple[float, ...]:
        if fails:
            raise ZeroDivisionError
        time.sleep(0.5)
        return (1.0,)

    bound = foresee(experiment(LINEAR))
    monkeypatch.setattr(foresight, "_lengths", slow)
    monkeypatch.setattr(foresight, "LONGEST_WAIT", 0.01)
    work, ways = foreseen(LINEAR, bound)
    assert work == bound
    assert set(offered(ways)) == {"max_steps", "replicas"}


def test_long_runs_are_announced_on_stderr_and_short_ones_are_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command._foreseen(replace(LINEAR, max_steps=100), None) == ()
    assert capsys.readouterr() == ("", "")
    assert len(command._foreseen(replace(LINEAR, max_steps=10**9), None)) > 10  # the bound is long, the law is not
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(command, "LONG", 1e-6)
    command._foreseen(LINEAR, 1)
    output, message = capsys.readouterr()
    assert output == ""
    assert message.startswith("this will take some ")
    assert message.count("\n") == 1
    for part in ("on 1 thread: 60 runs of some", "us each", "shorter: ", "--replicas 6 (10 times)"):
        assert part in message


def test_an_announcement_without_a_law_says_at_most(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise InputError("no law")

    monkeypatch.setattr(foresight, "escape_law", refuse)
    assert command._foreseen(replace(LINEAR, max_steps=10**10), None) == ()
    message = capsys.readouterr().err
    assert message.startswith("this will take at most ")
    assert "--max-steps 1000000000 (10 times)" in message


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_line_and_a_file_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with watching("simulating") as nobody:
        assert nobody is None
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "150")
    monkeypatch.setenv("TERM", "xterm")
    with watching("simulating") as watch:
        assert watch is not None
        watch(Progress(0, 200, 3_100_000, 1.5, 4.2e6, None, 190.0))
        watch(Progress(12, 200, 3_200_000, 1.6, 4.2e6, (31.0, 40.0, 62.0), 190.0))
    shown = terminal.getvalue()
    assert "12/200 runs, 3.2e6 steps, 4.2e6 steps/s, some 40 s left (31 s to 1 min; at most 3.2 min)" in shown


def test_a_watched_simulation_is_the_same() -> None:
    few = replace(LINEAR, replicas=5)
    seen: list[Progress] = []
    watched = simulate(few, watch=seen.append, foreseen=[10.0, math.inf])
    assert np.array_equal(watched.exit_steps, simulate(few).exit_steps)
    assert seen[-1].steps == watched.exit_steps.sum()
