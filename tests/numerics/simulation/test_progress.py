"""The time that is left, against a simulation of simulations with a clock of its own; and what real ones report."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

from numerics.simulation import montecarlo, progress
from numerics.simulation.progress import Meter, Progress, duration
from numerics.simulation.statistics import ExitSample
from numerics.simulation.workload import Workload, foresee, step_cost
from numerics.workers import available_threads
from tests.numerics.simulation.cases import made, same
from theory.errors import ParameterError

SPEED = 1000.0  # steps a second of a thread
MAX_STEPS = 20_000

Draw = Callable[[np.random.Generator, int], np.ndarray]


def growth(rng: np.random.Generator, count: int) -> np.ndarray:
    """Exit times of exponential growth from a Gaussian start."""
    return 3000 - 800 * np.log(np.abs(rng.standard_normal(count)))


def mostly(rng: np.random.Generator, count: int) -> np.ndarray:
    """A fifth stays inside for ever."""
    return np.where(rng.random(count) < 0.2, np.inf, 500 + rng.exponential(500, count))


LENGTHS: dict[str, Draw] = {
    "growth": growth,
    "equal": lambda rng, count: np.full(count, 2000.0),
    "exponential": lambda rng, count: rng.exponential(2000, count),
    "wide": lambda rng, count: rng.lognormal(6, 1.2, count),
    "some stay inside": mostly,
    "all stay inside": lambda rng, count: np.full(count, np.inf),
}


class Seen(NamedTuple):
    """A report and what is left in truth."""

    report: Progress
    left: float


def played(lengths: np.ndarray, threads: int, foreseen: Sequence[float] = (), reports: int = 12) -> Iterator[Seen]:
    """Yield reports of runs of these lengths, at times of a clock that is told."""
    whole = np.maximum(1, np.minimum(lengths, MAX_STEPS).astype(int))
    free, begins = np.zeros(threads), []
    for length in whole:
        begins.append(free.min())
        free[free.argmin()] += length / SPEED
    begin, now = np.array(begins), 0.0
    end = begin + whole / SPEED
    meter = Meter(len(whole), MAX_STEPS, threads, foreseen=foreseen, clock=lambda: now)
    for now in np.linspace(0, end.max(), reports + 1)[1:-1]:  # the clock reads it
        for index in np.flatnonzero(begin <= now):
            meter.begin(index)
            meter.reach(index, int(min((now - begin[index]) * SPEED, whole[index])))
        for index in np.flatnonzero(end <= now):
            meter.end(index)
        yield Seen(meter.report(), end.max() - now)


def many(draw: Draw, replicas: int, threads: int, foreseen: Sequence[float] = (), runs: int = 30) -> list[Seen]:
    rng = np.random.default_rng(1)
    return [seen for _ in range(runs) for seen in played(draw(rng, replicas), threads, foreseen)]


def covered(seen: Seen) -> bool:
    """Whether the truth lies in the interval, up to the slice in which a run is noted."""
    assert seen.report.left is not None
    low, middle, high = seen.report.left
    assert low <= middle <= high
    return low - 0.02 <= seen.left <= high + 0.02


def share(every: Sequence[Seen]) -> float:
    return float(np.mean([covered(seen) for seen in every]))


@pytest.mark.parametrize(("replicas", "least", "closeness"), [(10, 0.65, 2.0), (40, 0.75, 1.4), (500, 0.9, 1.1)])
@pytest.mark.parametrize("name", LENGTHS)
def test_the_interval_has_the_truth_inside_and_the_bound_above(
    name: str, replicas: int, least: float, closeness: float
) -> None:
    every = many(LENGTHS[name], replicas, threads=2, runs=10)
    assert all(seen.report.at_most is not None and seen.left <= seen.report.at_most for seen in every)
    known = [seen for seen in every if seen.report.left is not None]
    assert len(known) >= 0.8 * len(every)
    assert share(known) > least
    ratios = [(seen.report.remaining or 0.0) / seen.left for seen in known]
    assert 1 / closeness < np.median(ratios) < closeness


def test_before_a_run_has_ended_nothing_but_the_bound_is_known() -> None:
    first = next(played(np.full(3, 5000.0), threads=2, reports=20))
    assert first.report.finished == 0
    assert first.report.left is None
    assert "at most" in str(first.report)
    assert "some" not in str(first.report)


QUANTILES = np.quantile(growth(np.random.default_rng(0), 100_000), (np.arange(64) + 0.5) / 64)


def test_foreseen_lengths_make_the_first_report_right() -> None:
    every = [next(played(growth(np.random.default_rng(seed), 60), 2, QUANTILES.tolist())) for seed in range(40)]
    assert share(every) > 0.9
    assert 0.9 < np.median([(seen.report.remaining or 0.0) / seen.left for seen in every]) < 1.1


@pytest.mark.parametrize("factor", [0.2, 5.0])
def test_wrong_lengths_are_outweighed(factor: float) -> None:
    every = many(growth, 100, 2, (factor * QUANTILES).tolist(), runs=10)
    early = [seen for seen in every if seen.report.finished < 10]
    late = [seen for seen in every if seen.report.finished > 40]
    assert share(early) < 0.7  # or they would not matter
    assert share(late) > 0.75


def test_estimates_do_not_jump() -> None:
    rng = np.random.default_rng(3)
    every = [seen.report for seen in played(growth(rng, 100), 2, reports=200)]
    whole = np.array([report.elapsed + report.remaining for report in every if report.left and report.finished > 5])
    assert len(whole) > 150
    assert np.abs(np.diff(np.log(whole))).max() < 0.1
    assert all(0 <= report.fraction <= 1 for report in every)


@pytest.mark.parametrize("seconds", [0.0, 0.96, 9.96, 59.7, 60.0, 3570.0, 86000.0, 1e6, 3e7, 1e12])
def test_durations_have_two_digits(seconds: float) -> None:
    number, unit = duration(seconds).split()
    size = {"s": 1, "min": 60, "h": 3600, "days": 86400, "years": 3.156e7}[unit]
    assert float(number) * size == pytest.approx(seconds, rel=0.06)
    assert duration(float("inf")) == "for ever"


# --- what real ones report


def setting(**changes: Any) -> Any:
    given = {"dimension": 50, "batch": 10, "step_size": 0.1, "mu": 0.4, "replicas": 30, "seed": 1, "max_steps": 300}
    return made("linear", given | changes)


def steps_of(sample: ExitSample) -> int:
    """All that were taken."""
    return int(np.where(sample.exit_steps < 0, sample.experiment.stop.max_steps, sample.exit_steps).sum())


def test_results_do_not_depend_on_who_watches() -> None:
    alone = montecarlo.simulate(setting())
    assert alone.counts.exited > 5
    reports: list[Progress] = []
    watched = montecarlo.simulate(setting(), threads=3, watch=reports.append, foreseen=[5.0, 700.0])
    assert same(alone, watched)
    foresee(setting())
    assert same(alone, montecarlo.simulate(setting(), progress=lambda _: None))
    assert (reports[-1].finished, reports[-1].steps, reports[-1].remaining) == (30, steps_of(alone), 0.0)


def test_steps_are_reported_within_runs_and_from_the_calling_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PERIOD", 0.005)
    monkeypatch.setattr(montecarlo, "SAMPLES_PER_SLICE", 2**11)
    seen: list[tuple[Progress, int]] = []
    long = setting(threshold=None, replicas=2, max_steps=200_000)
    montecarlo.simulate(long, threads=2, watch=lambda report: seen.append((report, threading.get_ident())))
    assert {thread for _, thread in seen} == {threading.get_ident()}
    reports = [report for report, _ in seen]
    within = [report for report in reports if report.finished == 0]
    assert len({report.steps for report in within}) > 2
    steps = [report.steps for report in reports]
    assert steps == sorted(steps)
    assert steps[-1] == 400_000
    for report in within:  # every run takes max_steps: the time left is known
        assert report.left is None or report.left[2] == report.at_most


def test_paths_and_stages_are_watched_too() -> None:
    reports: list[Progress] = []
    montecarlo.trajectories(setting(), [0, 10, 20], watch=reports.append)
    assert (reports[-1].finished, reports[-1].steps) == (30, 30 * 20)
    reports.clear()
    stages = montecarlo.simulate_stages([setting(threshold=None, max_steps=7), setting()], watch=reports.append)
    ends = [report.steps for report in reports if report.finished == 30]
    assert ends == [30 * 7, steps_of(stages.samples[1])]


def test_an_interrupt_while_watching_ends_promptly() -> None:
    def interrupt(report: Progress) -> None:
        raise KeyboardInterrupt

    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        montecarlo.simulate(setting(threshold=None, max_steps=10**12), watch=interrupt)
    assert time.perf_counter() - start < 30


# --- what is foreseen


def test_the_cost_of_a_step_is_that_of_its_samples() -> None:
    """A linear residual's step does not depend on the batch; the others' do, above some hundred samples."""
    cost = {
        (name, batch): step_cost(made(name, {**CASE, "batch": batch}), time.thread_time)
        for name in ("linear", "relu")
        for batch in (300, 3000, 300_000)
    }
    assert 4 < cost["relu", 3000] / cost["relu", 300] < 20
    assert 40 < cost["relu", 300_000] / cost["relu", 3000] < 250
    assert 0.3 < cost["linear", 300_000] / cost["linear", 300] < 3


CASE: dict[str, Any] = {"dimension": 50, "step_size": 0.1, "mu": 0.4, "replicas": 3, "max_steps": 1000}


def test_work_is_replicas_times_steps_times_cost() -> None:
    work = Workload(10, 1000, (), 1e-3, 2)
    assert (work.source, work.steps, work.seconds, work.censored) == ("upper bound", 1000, 5.0, 1.0)
    assert "at most" in str(work)
    known = foresee(setting(threshold=None))
    assert (known.source, known.steps, known.seconds) == ("given", 300, pytest.approx(known.at_most))
    assert foresee(setting(), [100.0], threads=10**6).threads <= available_threads()
    with pytest.raises(ParameterError, match="lengths"):
        foresee(setting(), [-1.0])
