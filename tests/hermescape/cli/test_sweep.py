"""The command `sweep` as a user meets it: run, interrupted, killed, looked at, exported."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import xarray as xr

from hermescape import read_sweep, sweep
from hermescape.cli.app import main
from tests.numerics.sweep_nursery import Inline

CONFIG = """
kind = "flow"

[fixed]
student = "linear"

[grid]
mu = [0.2, 1.5]
dimension = {start = 1e3, stop = 1e5, count = 3, spacing = "log"}
"""
LONG = CONFIG.replace("[0.2, 1.5]", "{start = 0.01, stop = 0.9, count = 2000}")
COMMAND = [sys.executable, "-c", "from hermescape.cli.app import main; main()", "sweep"]


def start(*args: str | Path) -> subprocess.Popen[str]:
    """Start the command in a process group of its own."""
    return subprocess.Popen(
        [*COMMAND, *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Run the command in this process: exit code, stdout, stderr."""

    def run(*args: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hermescape", "sweep", *map(str, args)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config whose sweep was run by the command."""
    config = tmp_path_factory.mktemp("sweep") / "c.toml"
    config.write_text(CONFIG)
    process = start(config, "--workers", "1", "--json")
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, "")
    found = json.loads(out)
    assert set(found) == {"store", "cells", "done", "failed", "missing", "errors"}
    assert (found["cells"], found["done"], found["failed"], found["missing"]) == (6, 3, 3, 0)
    assert found["store"] == str(config.with_suffix(".sqlite"))
    return config


def test_status(finished: Path, call) -> None:
    code, out, err = call(finished, "--status")
    assert (code, err) == (0, "")
    assert out.startswith("6 cells: 3 done, 3 failed, 0 missing")
    assert "failed: 3 x ParameterError: mu = 1.5 given" in out
    found = json.loads(call(finished, "--status", "--json")[1])
    assert list(found["errors"].values()) == [3]


def test_a_finished_sweep_runs_nothing(finished: Path, call) -> None:
    before = finished.with_suffix(".sqlite").read_bytes()
    assert json.loads(call(finished, "--json")[1])["done"] == 3
    assert finished.with_suffix(".sqlite").read_bytes() == before


def test_export(finished: Path, tmp_path: Path, call) -> None:
    arrays, table = tmp_path / "a.nc", tmp_path / "a.csv"
    assert call(finished, "--export", arrays)[0] == 0
    assert json.loads(call(finished, "--export", table, "--json")[1])["output"] == str(table)
    expected = read_sweep(finished, finished.with_suffix(".sqlite"))
    with xr.open_dataset(arrays, engine="h5netcdf") as data:
        assert data.exit_time.identical(expected.exit_time)
        assert data.attrs == expected.attrs
        assert data.dimension.values.tolist() == [1000, 10_000, 100_000]
    assert len(table.read_text().splitlines()) == 7
    code, _, err = call(finished, "--export", table)
    assert code == 2
    assert "exists; accepted: a new file name, or --force" in err
    assert call(finished, "--export", table, "--force")[0] == 0
    assert sorted(tmp_path.iterdir()) == [table, arrays]


def test_bad_use_ends_in_one_line(finished: Path, tmp_path: Path, call) -> None:
    (tmp_path / "bad.toml").write_text(CONFIG.replace("student", "students"))
    (tmp_path / "file").write_text("")
    for args, message in (
        ([tmp_path / "bad.toml"], "parameter students given; accepted for kind flow"),
        ([tmp_path / "none.toml"], "cannot be read: No such file"),
        ([finished, "-o", tmp_path / "file" / "s.sqlite"], "accepted: a file in an existing folder"),
        ([finished, "-o", tmp_path / "s.sqlite", "--status"], "does not exist"),
        ([finished, "--status", "--export", tmp_path / "a.nc"], "--status and --export given"),
        ([finished, "--status", "--workers", "2"], "accepted: them to run"),
        ([finished, "--force"], "--force without --export"),
        ([finished, "--export", tmp_path / "a.txt"], "ends in .nc or .csv"),
        ([finished, "--workers", "0", "-o", tmp_path / "s.sqlite"], "workers = 0 given"),
    ):
        code, out, err = call(*args)
        assert (code, out) == (2, "")
        assert message in err
        assert err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.toml", "file"]


def test_kappa_that_varies_with_d_is_said(tmp_path: Path, call, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c.toml").write_text(
        'kind = "montecarlo"\n[fixed]\nstudent = "nosuch"\nbatch = 10\n[grid]\ndimension = [100, 200]\n'
    )
    code, _, err = call(tmp_path / "c.toml")
    assert code == 2
    warning, error = err.splitlines()
    assert warning.startswith("warning: a grid in dimension at given batch: kappa = step_size dimension / batch varies")
    assert error.startswith("error: 'nosuch'")


# --- stopped from outside -----------------------------------------------------------------------------------------


def wait_for(condition, seconds: float = 300.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def done(config: Path) -> int:
    store = config.with_suffix(".sqlite")
    missing = not store.exists()
    return 0 if missing else int((read_sweep(config, store).status != "missing").sum())


def alive(group: int) -> bool:
    """Whether a process of this group, or a child that outlived its leader, is left."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    return any(pgid == str(group) and not state.startswith("Z") for pgid, state in map(str.split, listed.splitlines()))


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals and process groups")
def test_killed_and_interrupted_it_goes_on(tmp_path: Path, call) -> None:
    config = tmp_path / "c.toml"
    config.write_text(LONG)
    first = start(config, "--workers", "2")
    wait_for(lambda: done(config) > 0)
    code, _, err = call(config)
    assert code == 2
    assert "is being run by another process" in err
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=300)
    wait_for(lambda: not alive(first.pid))  # workers and all
    kept = done(config)
    assert 0 < kept < 6000

    third = start(config, "--workers", "1")
    wait_for(lambda: done(config) > kept)
    os.killpg(third.pid, signal.SIGINT)  # as the terminal does
    _, err = third.communicate(timeout=300)
    assert third.returncode == 130
    assert err == (
        f"finished cells are kept in {config.with_suffix('.sqlite')}; to go on: hermescape sweep {config}\n"
        "error: interrupted\n"
    )
    wait_for(lambda: not alive(third.pid))
    assert done(config) > kept

    part = read_sweep(config, config.with_suffix(".sqlite")).isel(mu=slice(2))
    grid = {"mu": part.mu.values, "dimension": part.dimension.values}
    alone = sweep({"kind": "flow", "fixed": {"student": "linear"}, "grid": grid}, executor=Inline())
    known = part.status.values == "ok"
    assert known.any()
    assert part.exit_time.values[known].tobytes() == alone.exit_time.values[known].tobytes()
