"""The law of the exit time by a sample of paths, against exact simulation of as many runs.

    python -m benchmarks.law [--runs 3] [--only TEXT]

Each row is a law once compiled: the seconds that it takes with all its paths, and how many times longer exact
simulation (threads: all cores, as the law) would take for as many runs, from a tenth of them or 400. What the law is
worth is `tests/reference/laws.csv`.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from typing import Any

from numerics.law import SampledLaw, escape_law
from numerics.law.choose import By
from numerics.simulation.experiment import Experiment
from numerics.simulation.montecarlo import simulate
from theory.network.derivation import derive

from .measure import Row, interleaved, main, median_ratio

CASES: dict[str, tuple[str, dict[str, Any], int]] = {
    "he2 mu = 0.005, d = 1e3": ("he2", {"mu": 0.005, "dimension": 1000, "step_size": 0.01}, 33),
    "he4 mu = 0.1, d = 1e3": ("he4", {"mu": 0.1, "dimension": 1000, "step_size": 2e-4}, 100),
    "relu mu = 0.3, d = 1e3": ("relu", {"mu": 0.3, "dimension": 1000, "step_size": 0.1}, 25),
    "relu mu = 0.3, d = 1e5": ("relu", {"mu": 0.3, "dimension": 100_000, "step_size": 0.1}, 2500),
    "erf mu = 0.3, d = 1e4": ("erf", {"mu": 0.3, "dimension": 10_000, "step_size": 0.15}, 110),
}
FEWEST = 400


def rows(runs: int, only: str) -> Iterator[Row]:
    """Measure every law whose row's name contains `only`."""
    for name, (student, place, batch) in CASES.items():
        for by in ("diffusion", "chain"):
            title = f"law by {by}, {name}"
            if only not in title:
                continue
            law, simulated, share = _works(student, place, batch, by)
            own, theirs = interleaved([law, simulated], runs)
            ratio = median_ratio(theirs, own) * share
            yield Row(title, statistics.median(own), "s", ratio, "of simulating as many runs", "<= 2 s on two cores")


def _works(
    student: str, place: dict[str, Any], batch: int, by: By
) -> tuple[Callable[[], object], Callable[[], object], float]:
    """Return the law, the simulation of some runs, and how many times as many runs the law has."""
    system, kappa = derive(student), place["step_size"] * place["dimension"] / batch

    def law() -> Any:
        return escape_law(system, by=by, kappa=kappa, **place)

    known = law()
    assert isinstance(known, SampledLaw)
    count = max(FEWEST, len(known.times) // 10)
    experiment = Experiment.of(system.network, batch=batch, replicas=count, seed=1, **place)
    return law, lambda: simulate(experiment), len(known.times) / count


if __name__ == "__main__":
    main(__doc__, rows, 3)
