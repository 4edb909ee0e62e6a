"""Compile the loop of a simulation in a process beside this one, while this one plans it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from numerics.simulation.experiment import Experiment
from numerics.simulation.montecarlo import simulate
from numerics.simulation.unrolled import functions, has_kernel, is_unrolled, residual_is_linear
from numerics.workers import available_threads, processes, uninterrupted

__all__ = ["compiled_ahead"]


@contextmanager
def compiled_ahead(experiment: Experiment) -> Iterator[None]:
    """Compile what `simulate` will run for this experiment while the block runs; it is on disk when the block ends.

    Nothing happens where it is there already, where there is one core, or nowhere to keep it. The process is spawned:
    a script that reaches this needs `if __name__ == "__main__":`.
    """
    if not is_unrolled(experiment) or has_kernel(experiment, rotated=residual_is_linear(functions(experiment))):
        yield
        return
    if available_threads() < 2:
        yield
        return
    with processes(1) as pool:
        with uninterrupted():
            pool.submit(_compile, experiment)
        yield
        pool.shutdown()


def _compile(experiment: Experiment) -> None:
    simulate(experiment.but(max_steps=1, replicas=2, batch=1), threads=1)
