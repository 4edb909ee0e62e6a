"""Sweeps: what a config says, what a cell computes, and a store that survives whatever stops a run."""

import json
import math
import os
import random
import sqlite3
import subprocess
import sys
import tomllib
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from hermescape import derive, search_time, simulate
from numerics.flows.engines.problem import Problem, Solution
from numerics.flows.flow import Exit, SciPy, integrate
from numerics.flows.starts import median_start
from numerics.sweep import SweepConfig, read_sweep, runner, sweep, sweep_status, write_csv
from numerics.sweep.cells import CellResult, cell_seed, run_cell
from numerics.sweep.store import TABLES, Store
from tests.numerics.fatal_cell import fatal
from tests.numerics.sweep_nursery import Inline
from theory.errors import InputError, ParameterError, StoreError, WorkerError
from theory.language.activations import register

MONTECARLO = {
    "kind": "montecarlo",
    "samples": True,
    "fixed": {"student": "linear", "dimension": 100, "replicas": 20, "max_steps": 2000},
    "grid": {"mu": [0.2, 0.4, 1.5], "kappa": [0.5, 1.0]},
}
FLOW = {"kind": "flow", "fixed": {"dimension": 1e4}, "grid": {"student": ["linear", "he2"], "mu": [0.2, 0.4]}}


@pytest.fixture(scope="module")
def whole() -> xr.Dataset:
    return sweep(MONTECARLO, executor=Inline())


# --- config -----------------------------------------------------------------------------------------------------

GRID = {"mu": [0.2]}
BAD = {
    "unknown key": ({"kind": "flow", "grid": GRID, "store": "a"}, "store given at the top"),
    "no kind": ({"grid": GRID}, "no kind given"),
    "unknown kind": ({"kind": "sde", "grid": GRID}, "kind = 'sde' given"),
    "no grid": ({"kind": "flow"}, r"\[grid\] is empty"),
    "empty axis": ({"kind": "flow", "grid": {"mu": []}}, r"mu = \[\] given in the grid"),
    "no axis": ({"kind": "flow", "grid": {"mu": 0.3}}, "single value belongs into"),
    "unknown parameter": ({"kind": "flow", "grid": {"nu": [1]}}, "parameter nu given; accepted for kind flow"),
    "parameter of the other kind": ({"kind": "flow", "grid": {"seed": [1]}}, "parameter seed given"),
    "text for a number": ({"kind": "flow", "grid": {"mu": ["a"]}}, "mu = 'a' given; accepted: a finite number"),
    "flag for a number": ({"kind": "flow", "grid": {"mu": [True]}}, "mu = True given"),
    "infinite": ({"kind": "flow", "grid": {"mu": [math.inf]}}, "mu = inf given"),
    "fraction for an integer": (
        {"kind": "flow", "grid": {"dimension": [100.5]}},
        "dimension = 100.5 given; accepted: an integer",
    ),
    "beyond 64 bits": ({"kind": "flow", "grid": {"dimension": [2**64]}}, "accepted: an integer of 64 bits"),
    "twice": ({"kind": "flow", "grid": {"mu": [0.2, 0.2]}}, "mu = 0.2 given twice"),
    "twice by rounding": (
        {"kind": "flow", "grid": {"dimension": {"start": 10, "stop": 11, "count": 5}}},
        "given twice in the grid",
    ),
    "fixed and varied": ({"kind": "flow", "fixed": {"mu": 0.1}, "grid": GRID}, r"mu given in \[fixed\] and in"),
    "kappa and batch": (
        {"kind": "montecarlo", "fixed": {"kappa": 1.0}, "grid": {"batch": [1, 2]}},
        "kappa and batch given",
    ),
    "step size alone in a flow": (
        {"kind": "flow", "fixed": {"step_size": 0.1}, "grid": GRID},
        "step_size or batch alone",
    ),
    "engine of a simulation": ({"kind": "montecarlo", "engine": "scipy", "grid": GRID}, "engine = 'scipy' given with"),
    "unknown engine": ({"kind": "flow", "engine": "euler", "grid": GRID}, "accepted: native, scipy, heyoka"),
    "samples of a flow": ({"kind": "flow", "samples": True, "grid": GRID}, "samples = True given with kind flow"),
    "confidence": ({"kind": "flow", "confidence": 1.0, "grid": GRID}, "confidence = 1.0 given"),
    "confidence of a flow": ({"kind": "flow", "confidence": 0.9, "grid": GRID}, "with kind flow"),
    "fixed is no table": ({"kind": "flow", "fixed": 3, "grid": GRID}, r"a table \[fixed\]"),
    "log through 0": (
        {"kind": "flow", "grid": {"mu": {"start": 0, "stop": 1, "count": 3, "spacing": "log"}}},
        "of one sign",
    ),
    "unknown spacing key": ({"kind": "flow", "grid": {"mu": {"start": 0, "stop": 1, "n": 3}}}, "start, stop"),
    "range of texts": ({"kind": "flow", "grid": {"label": {"start": 0, "stop": 1, "count": 3}}}, "for a number"),
    "too many cells": (
        {"kind": "flow", "grid": {name: {"start": 1, "stop": 2, "count": 1001} for name in ("mu", "rho")}},
        "a grid of 1002001 cells",
    ),
}


@pytest.mark.parametrize(("config", "message"), BAD.values(), ids=list(BAD))
def test_bad_configs_are_refused_before_a_file_is_made(config: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=message):
        sweep(config, tmp_path / "s.sqlite", executor=Inline())
    assert not list(tmp_path.iterdir())


def test_arrays_and_ranges_are_lists() -> None:
    config = SweepConfig("flow", {}, {"mu": np.linspace(0.0, 0.5, 3), "dimension": range(10, 12)})
    assert config.grid == {"mu": (0.0, 0.25, 0.5), "dimension": (10, 11)}
    with pytest.raises(ParameterError, match="mu = "):
        SweepConfig("flow", {}, {"mu": np.ones((2, 2))})


def test_spacings_and_round_trip() -> None:
    config = SweepConfig.of(
        {
            "kind": "flow",
            "grid": {
                "dimension": {"start": 1e3, "stop": 1e6, "count": 4, "spacing": "log"},
                "mu": {"start": 0.1, "stop": 0.7, "count": 4},
            },
        }
    )
    assert config.grid == {"dimension": (1000, 10_000, 100_000, 1_000_000), "mu": (0.1, 0.3, 0.5, 0.7)}
    assert all(type(value) is int for value in config.grid["dimension"])
    again = SweepConfig.of(json.loads(config.to_json()))
    assert again == config
    assert again.digest == config.digest
    assert [config.cell(i) for i in range(config.size)] == list(config.cells())


def test_the_example_of_the_readme_is_a_config() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    example = readme.split("```toml\n")[1].split("```")[0]
    config = SweepConfig.of(tomllib.loads(example))
    assert config.shape == (3, 4)
    assert config.fixed["kappa"] == 1.0


def test_file_that_is_no_toml(tmp_path: Path) -> None:
    for content, message in (("a = ", "is no TOML"), ("kind = 'flow'\nkind = 'flow'", "is no TOML")):
        (tmp_path / "c.toml").write_text(content)
        with pytest.raises(ParameterError, match=message):
            SweepConfig.of(tmp_path / "c.toml")
    with pytest.raises(ParameterError, match="cannot be read"):
        SweepConfig.of(tmp_path / "none.toml")


def test_parameters_that_no_cell_accepts_are_refused(tmp_path: Path) -> None:
    for kind in ("flow", "montecarlo"):
        for fixed, message in (
            ({"student": "nosuch"}, "unknown name"),
            ({}, "no student given"),
            ({"student": "relu", "model": "plain"}, "without mu|leave it out"),
            ({"student": "relu", "model": "wide"}, "accepted: lora, misaligned, plain"),
            ({"student": "relu", "model": "misaligned"}, "rho or mix not given"),
            ({"student": "relu", "rho": 2.0, "mix": True}, "one of them"),
            ({"student": "relu", "threshold": 2.0}, "threshold = 2.0"),
        ):
            with pytest.raises(InputError, match=message):
                sweep({"kind": kind, "fixed": fixed, "grid": GRID}, tmp_path / "s.sqlite", executor=Inline())
    assert not list(tmp_path.iterdir())


def test_workers_and_executor() -> None:
    for options in ({"workers": 0}, {"workers": True}, {"workers": 2, "executor": Inline()}):
        with pytest.raises(ParameterError, match="workers"):
            sweep(FLOW, **options)


# --- cells ------------------------------------------------------------------------------------------------------


def test_kappa_sets_the_batch_and_stays_where_d_varies() -> None:
    grid = {"dimension": [100, 1000, 2]}
    fixed = {"student": "linear", "mu": 0.4, "replicas": 2, "max_steps": 1, "step_size": 0.3}
    found = sweep({"kind": "montecarlo", "fixed": fixed, "grid": grid}, executor=Inline())
    assert found.batch_used.values.tolist() == [30, 300, -1]  # kappa = 1 unless given; d = 2 is refused
    assert found.kappa_used.values[:2].tolist() == [1.0, 1.0]
    rough = sweep(
        {"kind": "montecarlo", "fixed": fixed | {"kappa": 70.0}, "grid": {"dimension": [100]}}, executor=Inline()
    )
    assert (rough.batch_used.item(), rough.kappa_used.item()) == (1, 0.3 * 100)
    with pytest.warns(UserWarning, match="kappa = step_size dimension / batch varies"):
        sweep({"kind": "montecarlo", "fixed": fixed | {"batch": 10}, "grid": grid}, executor=Inline())


def test_montecarlo_cells_are_what_simulate_gives(whole: xr.Dataset) -> None:
    cell = whole.sel(mu=0.4, kappa=0.5)
    sample = simulate(
        "linear",
        mu=0.4,
        dimension=100,
        batch=int(cell.batch_used),
        step_size=0.2,
        replicas=20,
        max_steps=2000,
        seed=int(cell.seed_used),
    )
    assert int(cell.batch_used) == 40  # 0.2 * 100 / 0.5
    assert cell.sample_step.values.tolist() == sample.exit_steps.tolist()
    assert cell.exit_step.item() == sample.median
    assert (cell.exit_step_lower.item(), cell.exit_step_upper.item()) == tuple(sample.median_interval(0.95))
    assert cell.exit_time.item() == sample.to_time(sample.median)
    assert (cell.exited.item(), cell.censored.item(), cell.diverged.item()) == tuple(sample.counts)
    assert cell.exit_step_quantiles.values.tolist() == list(sample.quantiles().values())
    assert len(np.unique(whole.seed_used)) == 5  # one a cell; the failed cells have none


def test_labels_of_the_arrays(whole: xr.Dataset) -> None:
    assert whole.exit_time.dims == ("mu", "kappa")
    assert whole.exit_time.attrs == {"long_name": "median exit time", "units": "eta * step"}
    assert whole.sample_step.dims == ("mu", "kappa", "replica")
    for name, variable in whole.data_vars.items():
        assert variable.attrs["long_name"], name
    assert json.loads(whole.attrs["config"])["fixed"]["step_size"] == 0.2  # defaults are recorded
    assert whole.status.sel(mu=1.5).values.tolist() == ["failed", "failed"]
    assert "mu = 1.5 given" in whole.error.sel(mu=1.5, kappa=0.5).item()
    assert whole.status.sel(mu=[0.2, 0.4]).values.ravel().tolist() == ["ok"] * 4


def test_more_replicas_continue_the_same_runs(whole: xr.Dataset) -> None:
    fixed = MONTECARLO["fixed"] | {"replicas": 25, "max_steps": 3000, "mu": 0.2}
    longer = sweep(MONTECARLO | {"fixed": fixed, "grid": {"kappa": [0.5]}}, executor=Inline())
    expected = whole.sample_step.sel(mu=0.2, kappa=0.5).values.tolist()
    assert longer.sample_step.values[0, :20].tolist() == expected
    assert cell_seed({"mu": 0.2, "seed": 1}) != cell_seed({"mu": 0.2, "seed": 2})


def test_flow_cells_are_what_integrate_and_search_time_give() -> None:
    found = sweep(FLOW, executor=Inline())
    assert found.student.values.tolist() == ["linear", "he2"]
    for name in ("linear", "he2"):
        system = derive(name)
        for mu in (0.2, 0.4):
            cell = found.sel(student=name, mu=mu)
            path = integrate(system, median_start(system, 1e4, mu=mu), event=Exit(0.5), t_max=1e6, mu=mu)
            assert cell.exit_time.item() == path.exit_time
            assert cell.tau.item() == float(search_time(system, mu, certify=False).tau)
            assert (cell.outcome.item(), cell.status.item(), cell.kappa_used.item()) == ("EXITED", "ok", 0.0)


def test_flow_starts_models_and_limits() -> None:
    fixed = {"student": "linear", "m0": 0.1, "threshold": 0.4}
    plain = sweep({"kind": "flow", "fixed": fixed, "grid": {"model": ["plain"]}}, executor=Inline())
    # dm/dt = 1 - m^2 for the linear student on the sphere, L = (1 + r)/2 - q
    assert plain.exit_time.item() == pytest.approx(math.atanh(0.4) - math.atanh(0.1), rel=1e-8)
    assert np.isnan(plain.tau.item())
    short = sweep({"kind": "flow", "fixed": fixed | {"t_max": 0.01}, "grid": {"mu": [0.3]}}, executor=Inline())
    assert (short.outcome.item(), short.status.item()) == ("HORIZON", "ok")
    assert np.isnan(short.exit_time.item())
    mixed = {"mix": True, "step_size": 0.1, "batch": 500, "student": "linear", "dimension": 1000}
    both = sweep({"kind": "flow", "fixed": mixed, "grid": {"mu": [0.3], "initial_scale": [1e-6]}}, executor=Inline())
    assert both.kappa_used.item() == 0.2
    assert both.G.item() ** 2 == pytest.approx(1 - 2 * 0.3 + 0.3**2 + 0.7**2)
    lost = sweep(
        {"kind": "flow", "fixed": {"student": "linear"}, "grid": {"s0": [0.1], "mu": [0.3]}}, executor=Inline()
    )
    assert "s0 given with states ['u', 'm']" in lost.error.item()


def test_divergence_is_recorded_with_its_counts() -> None:
    fixed = {"student": "he3", "mu": 0.5, "replicas": 3, "max_steps": 500}
    found = sweep({"kind": "montecarlo", "fixed": fixed, "grid": {"step_size": [50.0, 1e-3]}}, executor=Inline())
    assert found.status.values.tolist() == ["failed", "ok"]
    assert found.diverged.values.tolist() == [3, 0]
    assert "every run diverged" in found.error.values[0]


def test_a_bug_in_a_cell_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    def burst(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of\nsorts")

    monkeypatch.setattr("numerics.sweep.cells.simulate", burst)
    assert run_cell("montecarlo", SweepConfig.of(MONTECARLO).cell(0)).error == "ZeroDivisionError: of sorts"


def test_csv_reads_back_exactly(whole: xr.Dataset, tmp_path: Path) -> None:
    write_csv(whole, tmp_path / "a.csv")
    lines = (tmp_path / "a.csv").read_text().splitlines()
    header = lines[0].split(",")
    assert len(lines) == 1 + 6
    assert header[:4] == ["mu", "kappa", "status", "error"]
    row = dict(zip(header, lines[2].split(","), strict=True))
    assert float(row["exit_time"]) == whole.exit_time.values[0, 1]
    assert float(row["exit_step_quantiles[0.9]"]) == whole.exit_step_quantiles.sel(quantile=0.9).values[0, 1]


# --- executors --------------------------------------------------------------------------------------------------


class Shuffled(Inline):
    """Returns results in an order of its own."""

    def __init__(self) -> None:
        self.draw, self.held = random.Random(3), []

    def submit(self, fn, /, *args, **kwargs):
        self.held.append((future := Future(), super().submit(fn, *args, **kwargs).result()))
        if len(self.held) == 6:
            self.draw.shuffle(self.held)
            for held, result in self.held:
                held.set_result(result)
        return future


def identical(found: xr.Dataset, expected: xr.Dataset) -> bool:
    same = all(found[name].values.tobytes() == expected[name].values.tobytes() for name in expected.data_vars)
    return same and found.identical(expected)


def test_threads_and_any_order_give_the_same_bits(whole: xr.Dataset) -> None:
    assert identical(sweep(MONTECARLO, executor=Shuffled()), whole)
    with ThreadPoolExecutor(3) as threads:
        assert identical(sweep(MONTECARLO, executor=threads), whole)
        assert identical(sweep(FLOW, executor=threads), sweep(FLOW, executor=Inline()))


@pytest.mark.slow
def test_processes_give_the_same_bits(whole: xr.Dataset) -> None:
    calls: list[tuple[int, int]] = []
    found = sweep(MONTECARLO, workers=2, progress=lambda *call: calls.append(call))
    assert identical(found, whole)
    assert calls[-1] == (6, 6)


class Counted:
    """An engine of one's own: the reference, which counts."""

    problems = 0

    def solve(self, problem: Problem) -> Solution:
        self.problems += 1
        return SciPy().solve(problem)


def test_a_sweep_takes_an_engine_and_keeps_it_apart(tmp_path: Path) -> None:
    own, known = Counted(), sweep(FLOW, executor=Inline())
    for engine in ("native", "scipy", own):
        found = sweep({**FLOW, "engine": engine}, tmp_path / f"{engine!r}.sqlite".replace("/", ""), executor=Inline())
        assert found.exit_time.values == pytest.approx(known.exit_time.values, rel=1e-8)
        assert found.tau.values.tolist() == known.tau.values.tolist()
    assert own.problems == 4
    assert json.loads(found.attrs["config"])["engine"] == f"{Counted.__module__}.Counted"
    with pytest.raises(StoreError, match="engine differ"):
        read_sweep(FLOW, tmp_path / "'scipy'.sqlite")


NAMED = {
    "kind": "flow",
    "activations": {"squareplus": "(x + sqrt(x**2 + 4))/2", "twice": "squareplus(2*x)", "unused": "cos(x)"},
    "grid": {"student": ["twice", "linear"], "mu": [0.4]},
}


def test_workers_are_told_the_names_of_the_process(tmp_path: Path) -> None:
    """Spawned processes know a registered name, and a store refuses another function of the same name."""
    config = SweepConfig.of(NAMED)
    assert list(config.activations) == ["squareplus", "twice"]
    assert SweepConfig.of(json.loads(config.to_json())) == config
    found = sweep({key: NAMED[key] for key in ("kind", "grid")}, tmp_path / "s.sqlite", workers=1)
    assert found.status.values.tolist() == [["ok"], ["ok"]]
    written = sweep({**FLOW, "fixed": {}, "grid": {"student": ["(2*x + sqrt(4*x**2 + 4))/2"], "mu": [0.4]}})
    assert found.exit_time.values[0, 0] == written.exit_time.values[0, 0]
    forgotten = SweepConfig("flow", {}, NAMED["grid"])
    object.__setattr__(forgotten, "activations", {**config.activations, "twice": "squareplus(3*x)"})
    with pytest.raises(StoreError, match="twice differ"):
        read_sweep(forgotten, tmp_path / "s.sqlite")


def test_a_name_of_another_function_fails_the_cell() -> None:
    register("squareplus", "cos(x)")
    cell = {**SweepConfig("flow", {"mu": 0.4}, {"student": ["linear", "erf"]}).cell(0), "student": "squareplus"}
    assert "which stands for cos(x)" in str(run_cell("flow", cell, activations=NAMED["activations"]).error)
    with pytest.raises(InputError, match=r"which stands for cos\(x\)"):
        SweepConfig.of(NAMED)


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same_bits() -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        assert identical(sweep(FLOW, executor=client.get_executor()), sweep(FLOW, executor=Inline()))
        assert len(client.scheduler_info()["workers"]) == 2


class Breaking(Inline):
    """Loses its third task."""

    count = 0

    def submit(self, fn, /, *args, **kwargs):
        self.count += 1
        if self.count == 3:
            future: Future = Future()
            future.set_exception(BrokenExecutor("gone"))
            return future
        return super().submit(fn, *args, **kwargs)


def test_a_lost_worker_is_said_and_finished_cells_are_kept(whole: xr.Dataset, tmp_path: Path) -> None:
    store = tmp_path / "s.sqlite"
    with pytest.raises(WorkerError, match=r"lost cell 2 \(BrokenExecutor: gone\)"):
        sweep(MONTECARLO, store, executor=Breaking())
    assert sweep_status(MONTECARLO, store)[0].done == 2
    assert identical(sweep(MONTECARLO, store, executor=Inline()), whole)


@pytest.mark.slow
def test_a_cell_that_kills_its_worker_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "run_cell", fatal)
    calls: list[tuple[int, int]] = []
    config = {"kind": "flow", "fixed": {"student": "linear"}, "grid": {"mu": [0.1, 0.2, 0.3, 0.4]}}
    found = sweep(config, workers=2, progress=lambda *call: calls.append(call))
    assert found.status.values.tolist() == ["ok", "failed", "ok", "ok"]
    assert found.exit_time.values[[0, 2, 3]].tolist() == [0.1, 0.3, 0.4]
    assert "its worker process ended abruptly, twice" in found.error.values[1]
    assert calls[-1] == (4, 4)


# --- the store --------------------------------------------------------------------------------------------------


def test_ctrl_c_keeps_finished_cells_and_the_rest_follows(whole: xr.Dataset, tmp_path: Path) -> None:
    store = tmp_path / "s.sqlite"

    def interrupt(finished: int, of: int) -> None:
        assert of == 6
        assert sweep_status(MONTECARLO, store)[0].missing == of - finished  # read beside the run
        if finished == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(MONTECARLO, store, executor=Inline(), progress=interrupt)
    part = read_sweep(MONTECARLO, store)
    assert part.status.values.tolist() == [["ok", "ok"], ["ok", "ok"], ["missing", "missing"]]
    assert part.batch_used.values[2].tolist() == [-1, -1]
    assert identical(sweep(MONTECARLO, store, executor=Inline()), whole)


def test_ctrl_c_as_a_transaction_begins_leaves_none_open() -> None:
    class Interrupted(sqlite3.Connection):
        def execute(self, sql: str, *rest: object) -> sqlite3.Cursor:
            cursor = super().execute(sql, *rest)
            if sql.startswith("BEGIN"):
                Interrupted.execute = sqlite3.Connection.execute
                raise KeyboardInterrupt
            return cursor

    connection = sqlite3.connect(":memory:", isolation_level=None, factory=Interrupted)
    connection.execute(TABLES[1])
    store = Store(connection, SweepConfig.of(FLOW), "in memory")
    with pytest.raises(KeyboardInterrupt):
        store.record([(0, CellResult({}))])
    store.record([(1, CellResult({}))])
    assert [place for place, _ in store.read()] == [1]
    connection.close()


def test_failed_cells_are_run_again_on_request_only(
    whole: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, ran = tmp_path / "s.sqlite", []

    def fails(kind: str, values: dict, *rest: object) -> CellResult:
        ran.append(values["mu"])
        return CellResult({}, "OSError: weather")

    with monkeypatch.context() as patch:
        patch.setattr(runner, "run_cell", fails)
        sweep(MONTECARLO, store, executor=Inline())
        sweep(MONTECARLO, store, executor=Inline())
    assert len(ran) == 6
    tally, errors = sweep_status(MONTECARLO, store)
    assert (tally.done, tally.failed, tally.missing) == (0, 6, 0)
    assert errors == {"OSError: weather": 6}
    assert identical(sweep(MONTECARLO, store, executor=Inline(), retry_failed=True), whole)


def test_floats_are_stored_exactly(tmp_path: Path) -> None:
    values = [0.1 + 0.2, 5e-324, -0.0, math.pi, 1.7976931348623157e308, math.inf]
    config = SweepConfig.of(FLOW)
    with Store.claim(tmp_path / "s.sqlite", config) as store:
        store.record([(1, CellResult({"x": values}))])
        ((place, found),) = store.read()
    assert place == 1
    assert np.array(found.values["x"]).tobytes() == np.array(values).tobytes()


def test_one_runs_at_a_time(tmp_path: Path) -> None:
    config, path = SweepConfig.of(FLOW), tmp_path / "s.sqlite"
    (tmp_path / "link").symlink_to(path)
    for name in (path, tmp_path / "link"):
        with Store.claim(path, config), pytest.raises(StoreError, match="is being run by another process"):
            sweep(config, name, executor=Inline())
    (tmp_path / "link").unlink()
    with Store.claim(path, config) as store:
        assert store.tally().missing == 4
    assert sorted(file.name for file in tmp_path.iterdir()) == ["s.sqlite", "s.sqlite.lock"]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A finished store, which must stay as it is."""
    store = tmp_path / "s.sqlite"
    with Store.claim(store, SweepConfig.of(FLOW)) as cells:
        cells.record([(0, CellResult({"exit_time": 1.5}))])
    return store


def change(store: Path, statement: str) -> None:
    connection = sqlite3.connect(store, isolation_level=None)
    connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("statement", "config", "message"),
    [
        ("PRAGMA user_version = 99", FLOW, "has schema 99, this version reads 1"),
        ("UPDATE about SET content = '0.0.1' WHERE name = 'version'", FLOW, "was made by hermescape 0.0.1, this is"),
        ("PRAGMA application_id = 0", FLOW, "is a database, but no store of a sweep"),
        ("SELECT 1", FLOW | {"fixed": {"dimension": 99}}, r"another config \(fixed.dimension differ\)"),
        ("SELECT 1", FLOW | {"grid": dict(reversed(FLOW["grid"].items()))}, "the order of the grid differs"),
    ],
)
def test_other_stores_are_refused_and_left_alone(made: Path, statement: str, config: dict, message: str) -> None:
    change(made, statement)
    before = made.read_bytes()
    with pytest.raises(StoreError, match=message):
        sweep(config, made, executor=Inline())
    with pytest.raises(StoreError, match=message):
        read_sweep(config, made)
    assert made.read_bytes() == before


def test_files_that_are_no_store_and_places_that_cannot_hold_one(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("precious " * 200)
    for path, message in (
        (tmp_path / "notes.txt", "is no store of a sweep"),
        (tmp_path / "notes.txt" / "s.sqlite", "existing folder"),  # a file is no folder, for root neither
        (tmp_path / "none" / "s.sqlite", "existing folder"),
        (tmp_path, "cannot be used"),
    ):
        with pytest.raises(StoreError, match=message):
            sweep(FLOW, path, executor=Inline())
    with pytest.raises(StoreError, match="does not exist"):
        read_sweep(FLOW, tmp_path / "s.sqlite")
    assert (tmp_path / "notes.txt").read_text() == "precious " * 200


def test_a_read_only_store_is_said(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = sqlite3.connect

    def read_only(path: str, **options: object) -> sqlite3.Connection:
        return plain(path.replace("?mode=rwc", "?mode=ro") if "lock" not in path else path, **options)

    monkeypatch.setattr("numerics.sweep.store.sqlite3.connect", read_only)
    with pytest.raises(StoreError, match="readonly database"):
        sweep(FLOW, made, executor=Inline())


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_again_and_again_and_a_full_disk(tmp_path: Path) -> None:
    nursery = Path(__file__).with_name("sweep_nursery.py")
    done = subprocess.run(
        [sys.executable, str(nursery), str(tmp_path)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kills"] >= 4
    assert found["seen"] == sorted(found["seen"])  # nothing that was recorded is ever lost
    assert found["seen"][-1] == 96
    config = json.loads(found["config"])
    expected = read_sweep(config, tmp_path / "whole.sqlite")
    killed = read_sweep(config, tmp_path / "killed.sqlite")
    assert set(expected.status.values.ravel()) == {"ok"}
    assert identical(killed, expected)
    for name, data in (("killed", killed), ("whole", expected)):
        data.to_netcdf(tmp_path / f"{name}.nc", engine="h5netcdf")
        write_csv(data, tmp_path / f"{name}.csv")
    for suffix in (".nc", ".csv"):
        assert (tmp_path / f"killed{suffix}").read_bytes() == (tmp_path / f"whole{suffix}").read_bytes()
    assert "the disk is full" in found["full"]
    assert 0 < sweep_status(config, tmp_path / "full.sqlite")[0].done < 96
    assert identical(sweep(config, tmp_path / "full.sqlite", executor=Inline()), expected)
