"""Texts through derive, escape and hermite: each command answers, or refuses in one line.

Here the first twenty of a seed; `python -m tests.fuzz --count 2000 --workers 2` is for thousands.
"""

import shlex

import pytest

from tests.fuzz.grammar import FAMILIES, case
from tests.fuzz.harness import judge, run

SEED, COUNT, CHUNK = 0, 20, 10  # texts; a chunk has one worker process
POPULATION = 2000


@pytest.mark.parametrize("first", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(CHUNK, COUNT, CHUNK))])
def test_an_answer_or_one_line(first: int) -> None:
    commands = [command for i in range(first, first + CHUNK) for command in case(SEED, i).commands]
    failed = [
        f"{found.failure} | {found.place} | {found.seconds:.1f} s | hermescape {shlex.join(found.command)}"
        for found in run(commands)
        if found.failure is not None
    ]
    assert not failed, "\n".join(["", *failed])


def test_every_family_is_drawn_and_every_text_sees_the_three_commands() -> None:
    cases = [case(SEED, i) for i in range(POPULATION)]
    assert {c.family for c in cases} == set(FAMILIES)
    assert all([command[0] for command in c.commands] == ["derive", "escape", "hermite"] for c in cases)
    assert len({c.text for c in cases}) > 0.8 * POPULATION
    assert case(SEED, 7) == cases[7] != case(SEED + 1, 7)


@pytest.mark.parametrize(
    ("code", "out", "err", "failure"),
    [
        (0, "tau = 3.1", "", None),
        (2, "", "error: one line\n", None),
        (1, "", "error: one line\n", None),
        (0, "tau = nan", "", "undefined in a text"),
        (0, "A(mu) = zoo*mu", "", "undefined in a text"),
        (0, "fine", "RuntimeWarning: overflow\n", "noise on stderr"),
        (2, "", "error: one\ntwo\n", "not one line"),
        (2, "partial", "error: one line\n", "not one line"),
        (2, "", "error: " + "x" * 5000 + "\n", "a line too long"),
        (3, "", "error: one line\n", "exit code 3"),
        (None, "", "", "exit code None"),
    ],
)
def test_the_judge_sees(code: int | None, out: str, err: str, failure: str | None) -> None:
    assert judge(code, out, err)[0] == failure


@pytest.mark.parametrize(
    ("content", "failure"),
    [
        ({"points": [{"A": 0.1, "rate": 0.2, "tau": 5.0, "error": 0.0}]}, None),
        ({"points": [{"A": 0.0, "rate": 0.0, "tau": None, "error": 0.0}]}, None),
        ({"points": [{"A": 0.1, "rate": 0.2, "tau": 5.0, "error": float("inf")}]}, None),  # it has no upper end
        ({"points": [{"A": float("nan"), "rate": 0.2, "tau": 5.0}]}, "NaN"),
        ({"points": [{"A": float("inf"), "rate": 0.2, "tau": 5.0}]}, "infinity"),
        ({"points": [{"A": 0.1, "rate": 0.2, "tau": None}]}, "tau infinite at a rate that is not 0"),
        ({"coefficients": ["0", "nan"]}, "undefined in a text"),
        ({"loss": "oo*r"}, "undefined in a text"),
        ({"student": "nan"}, None),
    ],
)
def test_the_judge_reads(content: dict, failure: str | None) -> None:
    assert judge(0, "{}", "", content)[0] == failure


@pytest.mark.parametrize(
    ("fault", "failure"),
    [("hang", "out of time"), ("eat", "MemoryError"), ("break", "ZeroDivisionError"), ("die", "died")],
)
def test_a_command_that_does_not_answer_is_seen_and_the_next_one_runs(fault: str, failure: str) -> None:
    found = list(run([(fault,), ("answer",)], seconds=1, main="tests.fuzz.faults.main"))
    assert [outcome.failure for outcome in found] == [failure, None]
