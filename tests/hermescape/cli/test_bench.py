"""`hermescape bench`, and simulation of pre-training from the command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hermescape.cli.running import run

COMMAND = Path(sys.executable).with_name("hermescape")


@pytest.mark.slow
def test_bench_reports_ratios() -> None:
    done = run("bench", "--only", "O(1)", "--runs", "2", "--json")
    (row,) = json.loads(done.stdout)["rows"]
    assert set(row) == {"what", "value", "unit", "ratio", "against", "target"}
    assert row["ratio"] > 1
    table = subprocess.check_output([COMMAND, "bench", "--only", "O(1)", "--runs", "1"], text=True)
    assert "loop / O(1)" in table


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("bench", "--only", "nothing"), "--only 'nothing'"),
        (("simulate", "relu", "--model", "pretrain"), "no c given"),
        (("simulate", "relu", "--model", "pretrain", "--c", "1.5"), "c = 1.5"),
        (("simulate", "relu", "--mu", "0.4", "--c", "0.5"), "c = 0.5"),
        (("simulate", "relu", "--model", "pretrain", "--c", "0.5", "--mu", "0.3"), "mu = 0.3"),
        (("simulate", "relu", "--model", "pretrain", "--c", "0.5", "--initial-scale", "0"), "initial_scale"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], words: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


def test_pretraining_from_the_command_line() -> None:
    done = run(
        "simulate", "linear", "--model", "pretrain", "--c", "0.5", "--d", "1000000", "--batch", "1000000", "--json"
    )
    found = json.loads(done.stdout)
    assert found["censored"] == found["diverged"] == 0
    assert found["settings"]["model"] == "pretrain"
