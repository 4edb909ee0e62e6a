"""How far the exact simulation is from its floor, and from simulation in R^d.

    python -m benchmarks.montecarlo [--runs 9] [--only TEXT]

Rows, each a median over `--runs` of interleaved pairs, so that the ratios can be compared between machines:

- a step of every registry activation (mu = 0.5, d = 1000, B = 500, float64) against the *floor*: drawing its 2 B
  normals and evaluating sigma, sigma' and phi once, with the same generator and compiled functions (target 1.5);
- the same step at d = 10^6, 10^9 and 10^12 against d = 10^3 (target 1.05);
- one thread against two (target 1.8);
- the sums over the batch against the O(1) step of the linear student;
- d-dimensional NumPy against the reduced step (target 1000);
- bytes of memory a replica.
"""

import os
import statistics
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
from numba import njit

from numerics.compile.codegen import compile_function
from numerics.simulation import montecarlo
from numerics.simulation.experiment import Experiment
from numerics.simulation.unrolled import Z, draw_batch, functions
from theory.language.activations import REGISTRY, activation
from theory.network.derivation import network_of
from theory.symbols import x

from .measure import Row, Work, interleaved, main, median_ratio

STEPS = 3000
CHILD = """
import sys, time
from hermescape import experiment
from numerics.simulation import fulldim, montecarlo

def seconds_a_step(simulate, setting, **options):
    start = time.perf_counter()
    simulate(setting, **options)
    return (time.perf_counter() - start) / setting.stop.max_steps / setting.replicas

full = experiment("relu", mu=0.5, dimension=1000, batch=500, step_size=0.1, threshold=None, replicas=2, max_steps=10)
reduced = full.but(max_steps=10_000)
montecarlo.simulate(reduced.but(max_steps=1))
for _ in range(int(sys.argv[1])):
    print(seconds_a_step(fulldim.simulate, full), seconds_a_step(montecarlo.simulate, reduced, threads=1))
"""


def experiment(name: str, **changes: Any) -> Experiment:
    """LoRA at mu = 0.5 with steps so small that the state stays where it starts: every step is the same work."""
    settings: dict[str, Any] = {"mu": 0.5, "dimension": 1000, "batch": 500, "step_size": 1e-40, "threshold": None}
    settings |= {"replicas": 2, "seed": 1, "max_steps": 10**9}
    return Experiment.of(network_of(name), **(settings | changes))


def steps(setting: Experiment, *, by_sums: bool = False) -> Work:
    """Return `STEPS` steps of one replica, by sums over the batch also where the O(1) step would do."""
    run = montecarlo._prepare(setting, np.inf, by_sums=by_sums)
    replica = montecarlo._Replica(setting, 0, None)
    rows = np.empty((run.rows, min(run.samples, montecarlo.BLOCK)))
    return lambda: run.advance(replica.rng, replica.state, rows, (0, STEPS))


def floor(setting: Experiment) -> Work:
    """Return the draws and evaluations of `STEPS` steps, and nothing else."""
    evaluate = compile_function((x, Z), functions(setting))

    @njit(error_model="numpy", nogil=True, fastmath={"reassoc", "contract"})
    def evaluations(rows: np.ndarray) -> float:
        total = 0.0
        for i in range(rows.shape[1]):
            value, slope, target = evaluate(rows[0, i], rows[1, i])
            total += value + slope + target
        return total

    @njit(error_model="numpy", nogil=True)
    def loop(rng: np.random.Generator, rows: np.ndarray, count: int) -> float:
        total = 0.0
        for _ in range(count):
            draw_batch(rng, rows, rows.shape[1], float(rows.shape[1]))
            total += evaluations(rows)
        return total

    rng, rows = np.random.Generator(np.random.SFC64(1)), np.empty((2, setting.sgd.batch))
    return lambda: loop(rng, rows, STEPS)


def activation_rows(runs: int, only: str = "") -> Iterator[Row]:
    """Time a step of every activation that SGD can move, against its floor; batch loop for the linear ones."""
    for name in REGISTRY:
        if activation(name).derivative == 0 or only not in f"{name}, step":
            continue
        setting = experiment(name)
        step, least = interleaved([steps(setting, by_sums=True), floor(setting)], runs)
        yield Row(f"{name}, step", micro(step), "us a step", median_ratio(step, least), "step / floor", "<= 1.5")


def micro(times: list[float]) -> float:
    """Median microseconds a step."""
    return statistics.median(times) / STEPS * 1e6


def dimension_rows(runs: int) -> Iterator[Row]:
    """Time the same step at larger d."""
    dimensions = (10**3, 10**6, 10**9, 10**12)
    base, *others = interleaved([steps(experiment("relu", dimension=d)) for d in dimensions], runs)
    for dimension, times in zip(dimensions[1:], others, strict=True):
        ratio = median_ratio(times, base)
        yield Row(f"relu, d = {dimension:.0e}", micro(times), "us a step", ratio, "over d = 1e3", "<= 1.05")


def thread_row(runs: int) -> Row:
    """Time 64 replicas of 2,000 steps on two threads and on one."""
    setting = experiment("relu", replicas=64, max_steps=2000)

    def run(threads: int) -> Work:
        return lambda: montecarlo.simulate(setting, threads=threads)

    one, two = interleaved([run(1), run(2)], runs)
    value = statistics.median(two) * 1e3
    return Row("relu, 64 replicas on 2 threads", value, "ms", median_ratio(one, two), "1 thread / 2", ">= 1.8")


def linear_row(runs: int) -> Row:
    """Time the linear student's O(1) step and its loop over the batch."""
    fast, slow = interleaved([steps(experiment("linear")), steps(experiment("linear"), by_sums=True)], runs)
    return Row("linear, O(1) step", micro(fast), "us a step", median_ratio(slow, fast), "loop / O(1)", "")


def fulldim_row(runs: int) -> Row:
    """Time d-dimensional NumPy and the reduced simulation at d = 1000, B = 500, in a process with one BLAS thread."""
    single = {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "MKL", "OMP", "VECLIB_MAXIMUM")}
    command = [sys.executable, "-c", CHILD, str(runs)]
    found = subprocess.run(command, env=os.environ | single, capture_output=True, text=True, check=True).stdout
    slow, fast = (list(map(float, column)) for column in zip(*map(str.split, found.splitlines()), strict=True))
    value = statistics.median(slow) * 1e6
    return Row("relu in R^1000", value, "us a step", median_ratio(slow, fast), "R^d / reduced", ">= 1000")


def memory_row() -> Row:
    """Peak memory of one step of 100,000 replicas, above that of 1,000."""
    few, many = 1000, 100_000
    setting = experiment("relu", max_steps=1)
    montecarlo.simulate(setting)
    peaks = [peak(setting.but(replicas=count)) for count in (few, many)]
    return Row("memory", (peaks[1] - peaks[0]) / (many - few), "bytes a replica", None, "", "O(1)")


def peak(setting: Experiment) -> int:
    tracemalloc.start()
    montecarlo.simulate(setting)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return used


def rows(runs: int = 9, only: str = "") -> Iterator[Row]:
    """Measure; `only` keeps the rows whose names contain it."""
    yield from activation_rows(runs, only)
    if only in "relu, d = 1e+06":
        yield from dimension_rows(runs)
    singles = (
        ("relu, 64 replicas on 2 threads", thread_row),
        ("linear, O(1) step", linear_row),
        ("relu in R^1000", fulldim_row),
        ("memory", lambda _: memory_row()),
    )
    for name, measure in singles:
        if only in name:
            yield measure(runs)


if __name__ == "__main__":
    main(__doc__, rows, 9)
