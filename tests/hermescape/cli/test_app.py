"""The command line as a user meets it: JSON keys, tables, errors in one line, files that are never lost."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sympy as sp
import typer
import xarray as xr

from hermescape import __version__
from hermescape.cli.app import app
from numerics.parameters import PARAMETERS
from tests.hermescape.cli.running import apart, read, run
from theory.symbols import mu

COMMANDS = ("derive", "latex", "activations", "hermite", "kernel", "escape", "simulate", "check")
FAST = ["--mu", "0.3", "--d", "200", "--batch", "50", "--lr", "0.1", "--replicas", "20"]


def test_help_names_every_command() -> None:
    text = run("--help").stdout
    assert all(command in text for command in COMMANDS)


def test_derive_json() -> None:
    found = read("derive", "relu")
    assert set(found) == {
        *("student", "teacher", "model", "label", "noise", "objective", "information_exponent"),
        *("generative_exponent", "exact", "loss", "odes", "A", "B", "G2", "tau", "verdict"),
    }
    assert found["exact"] is True
    assert found["information_exponent"] == 1
    assert found["generative_exponent"] == {"k": 1, "transform": "y", "searched": ["y"]}
    assert set(found["odes"]) == {"u", "m"}
    alignment = sp.Symbol("mu")
    assert sp.simplify(sp.sympify(found["A"]) - (1 - alignment) / 2) == 0
    assert sp.sympify(found["B"]) == -sp.Rational(1, 2)
    assert sp.sympify(found["tau"]).subs(alignment, sp.Rational(4, 125)).evalf() == pytest.approx(3.3927, abs=5e-5)
    for text in (found["loss"], *found["odes"].values()):
        assert sp.sympify(text).free_symbols


def test_derive_json_without_a_closed_form() -> None:
    found = read("derive", "tanh")
    assert found["exact"] is False
    assert [found[key] for key in ("loss", "A", "B", "tau")] == [None] * 4
    assert all(sp.sympify(text).free_symbols for text in found["odes"].values())


def test_derive_plain_and_another_teacher() -> None:
    found = read("derive", "he3", "--teacher", "relu", "--model", "plain")
    assert set(found["odes"]) == {"m"}
    assert (found["student"], found["teacher"], found["model"], found["A"]) == ("he3", "relu", "plain", None)
    assert found["information_exponent"] is None  # the third coefficient of ReLU vanishes


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize(
    "args", [("relu",), ("tanh",), ("erf", "--teacher", "he3"), ("he4", "--model", "plain"), ("sign",)]
)
def test_derive_latex_compiles(args: tuple[str, ...], tmp_path: Path) -> None:
    block = run("derive", *args, "--latex").stdout
    body = "\\documentclass{article}\\usepackage{amsmath,amssymb}\\begin{document}\n" + block + "\\end{document}\n"
    (tmp_path / "d.tex").write_text(body)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "d.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_escape_json() -> None:
    points = read("escape", "relu", "--mu", "0.032,0.8985,1")["points"]
    keys = {"mu", "rho", "A", "B", "G", "rate", "tau", "log_tau", "error", "errors", "certified", "interval"}
    assert [set(p) for p in points] == [keys] * 3
    assert points[0]["tau"] == pytest.approx(3.3927, abs=5e-5)
    assert points[1]["tau"] == pytest.approx(196.112, abs=5e-4)
    assert points[2]["tau"] is None
    assert all(set(p["errors"]) == {"A", "B", "G", "rate"} for p in points)
    assert all(p["error"] <= 2.0**-52 * (p["tau"] or 0) and p["certified"] for p in points)
    grid = read("escape", "tanh", "--mu", "0.1:0.9:5")["points"]
    assert [p["mu"] for p in grid] == [0.1, 0.3, 0.5, 0.7, 0.9]
    assert all(0 < p["error"] <= 2.0**-52 * p["tau"] and p["certified"] for p in grid)


def test_simulate_json_and_file(tmp_path: Path) -> None:
    file = tmp_path / "runs.nc"
    found = read("simulate", "relu", *FAST, "--seed", "3", "-o", str(file))
    assert set(found) >= {"exit_steps", "replicas", "censored", "diverged"}
    assert set(found["exit_steps"]) == {"median", "mean", "interval", "quantiles"}
    assert (found["replicas"], found["censored"], found["diverged"]) == (20, 0, 0)
    low, high = found["exit_steps"]["interval"]
    assert low <= found["exit_steps"]["median"] <= high
    with xr.open_dataset(file, engine="h5netcdf") as data:
        assert data.exit_step.dims == ("replica",)
        assert float(data.exit_step.median()) == found["exit_steps"]["median"]
        assert data.attrs["seed"] == 3
    again = read("simulate", "relu", *FAST, "--seed", "3", "--threads", "1")
    assert again["exit_steps"] == found["exit_steps"]


def test_simulate_plain_and_censoring() -> None:
    plain = read("simulate", "he2", *FAST[2:], "--model", "plain", "--lr", "0.01")
    assert plain["settings"]["model"] == "plain"
    short = read("simulate", "erf", *FAST, "--max-steps", "5")
    assert short["censored"] == 20
    assert short["exit_steps"]["median"] is None


def test_existing_output_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "runs.nc"
    file.write_text("precious")
    refused = run("simulate", "relu", *FAST, "-o", str(file))
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert file.read_text() == "precious"
    assert run("simulate", "relu", *FAST, "-o", str(file), "--force").returncode == 0
    assert [f.name for f in tmp_path.iterdir()] == ["runs.nc"]


def test_check_passes_and_draws(tmp_path: Path) -> None:
    figure = tmp_path / "check.png"
    found = read("check", "linear", "--mu", "0.3,0.6", "--replicas", "200", "--plot", str(figure))
    assert set(found) == {"passed", "rows", "settings"}
    assert found["passed"] is True
    for row in found["rows"]:
        assert set(row) >= {"mu", "tau", "flow_exit", "sgd_exit", "sgd_interval", "verdict"}
        assert row["sgd_interval"][0] <= row["sgd_exit"] <= row["sgd_interval"][1]
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_check_table_is_one_that_people_read() -> None:
    done = run("check", "linear", "--mu", "0.3", "--replicas", "100")
    assert done.returncode == 0
    assert "passed" in done.stdout
    assert "lr = 0.1" in done.stdout


SIMULATE = ["simulate", "relu", "--mu", "0.3"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["simulate", "relu", "--mu", "1.5"], "mu"),
        (["simulate", "relu", "--mu", "0"], "mu"),
        (["simulate", "relu"], "--mu"),
        ([*SIMULATE, "--d", "2"], "dimension"),
        ([*SIMULATE, "--batch", "0"], "batch"),
        ([*SIMULATE, "--lr", "0"], "step_size"),
        ([*SIMULATE, "--lr", "-1"], "step_size"),
        ([*SIMULATE, "--replicas", "1"], "replicas"),
        ([*SIMULATE, "--threshold", "1"], "threshold"),
        ([*SIMULATE, "--seed", "-1"], "seed"),
        ([*SIMULATE, "-o", "runs.csv"], ".nc"),
        ([*SIMULATE, "-o", "no/such/folder/runs.nc"], "existing folder"),
        (["simulate", "step", "--mu", "0.3"], "zero almost everywhere"),
        (["check", "relu", "--mu", "0.3,2"], "mu"),
        (["check", "relu", "--mu", ""], "--mu"),
        (["check", "relu", "--lr", "0"], "step_size"),
        (["check", "relu", "--replicas", "1"], "replicas"),
        (["check", "relu", "--d", "2"], "dimension"),
        (["escape", "relu", "--mu", "0.1:0.9"], "START:STOP:COUNT"),
        (["escape", "relu", "--mu", "0.1:0.9:0"], "COUNT"),
        (["escape", "step", "--mu", "0.5"], "jumps"),
        (["derive", "rleu"], "relu"),
        (["derive", "x + y"], "one variable"),
        (["derive", "exp(x**2)"], "grows too fast"),
        (["derive", "max(x, 1/step)"], "infinite or undefined"),
        (["derive", "tanh/(Heaviside(he3/step))"], "infinite or undefined"),
        (["derive", "__import__('os').system('echo hacked')"], "not accepted"),
        (["derive", "relu", "--latex", "--json"], "one of them"),
        (["derive", "relu", "--model", "deep"], "model"),
        (["derive"], "ACT"),
        (["dervie", "relu"], "dervie"),
        (["simulate", "relu", "--mu", "abc"], "--mu"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_and_exit_code_2(args: list[str], words: str) -> None:
    done = run(*args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


@pytest.mark.parametrize(
    ("given", "right"),
    [("--step-size", "--lr"), ("--dimension", "--d"), ("--scale", "--alpha"), ("--max_steps", "--max-steps")],
)
def test_names_of_python_are_answered_with_those_of_the_command_line(given: str, right: str) -> None:
    done = run("simulate", "relu", "--mu", "0.3", given, "1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {given} given; accepted: {right} (")


def test_every_option_of_the_table_is_spelled_as_there() -> None:
    """Name, help and domain of an option are those of the table wherever a command takes the parameter."""
    seen = set()
    for name, command in typer.main.get_command(app).commands.items():
        for parameter in command.params:
            if parameter.name not in PARAMETERS or parameter.param_type_name == "argument":
                continue
            own = PARAMETERS[parameter.name]
            assert parameter.opts == [own.option], (name, parameter.name)
            assert parameter.help.startswith(own.meaning), (name, parameter.name)
            seen.add(parameter.name)
    assert seen == set(PARAMETERS) - {"student", "m0", "s0", "t_max"}  # the last three are a sweep's


def test_the_package_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "hermescape"]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"hermescape {__version__}\n")
    refused = subprocess.run([*command, "dervie"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: ")


def test_user_text_is_never_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    run("derive", f"__import__('pathlib').Path('{mark}').touch()")
    assert not mark.exists()


TELLING = """
from concurrent.futures import ThreadPoolExecutor

submit = ThreadPoolExecutor.submit

def told(*args):
    ThreadPoolExecutor.submit = submit
    print("started", flush=True)
    return submit(*args)

ThreadPoolExecutor.submit = told
from hermescape.cli.app import main; main()
"""
"""The command, which says when its first runs are handed to threads: kernels are compiled by then."""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGINT is a POSIX signal")
def test_interrupting_stops_at_once_and_leaves_no_file(tmp_path: Path) -> None:
    file = tmp_path / "runs.nc"
    args = ["simulate", "erf", "--mu", "0.9", "--replicas", "4000", "--max-steps", "10000000", "-o", str(file)]
    with subprocess.Popen(
        [sys.executable, "-c", TELLING, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        output, message = process.communicate(timeout=120)
    assert (process.returncode, output) == (130, "")
    *announced, last = message.splitlines()
    assert last == "error: interrupted"
    assert len(announced) <= 1  # that it takes long, if it came so far
    assert list(tmp_path.iterdir()) == []


def test_no_progress_where_there_is_no_terminal() -> None:
    done = apart("simulate", "relu", *FAST, env={**os.environ, "TERM": "xterm"})
    assert done.returncode == 0
    assert done.stderr == ""


def test_symbols_of_the_package_and_of_plain_sympy_agree() -> None:
    assert str(mu) == "mu"


def test_whole_numbers_may_be_powers_of_ten() -> None:
    plain = read("simulate", "linear", *FAST, "--max-steps", "1000", "--seed", "7")
    given = ["--mu", "0.3", "--d", "2e2", "--batch", "5e1", "--lr", "0.1", "--replicas", "2e1"]
    assert read("simulate", "linear", *given, "--max-steps", "1e3", "--seed", "7") == plain
    sized = ("--lr", "0.01", "--batch", "100", "--d")
    assert read("derive", "linear", *sized, "1e4") == read("derive", "linear", *sized, "10000")
