"""A process that forks sweeps and kills them with SIGKILL; run by test_sweep.py, prints one JSON object.

Forking a warm, single-threaded process makes a start cheap, so that many can be killed at random moments.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path

from numerics.sweep import sweep, sweep_status
from theory.errors import StoreError

CONFIG = {
    "kind": "montecarlo",
    "samples": True,
    "fixed": {"student": "linear", "dimension": 100, "replicas": 20, "max_steps": 2000},
    "grid": {"mu": {"start": 0.1, "stop": 0.6, "count": 12}, "seed": [1, 2, 3, 4], "kappa": [0.5, 1.0]},
}


class Inline(Executor):
    """Runs a task when it is submitted."""

    def submit(self, fn, /, *args, **kwargs):
        future: Future = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def forked(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return child


def main(folder: Path) -> None:
    draw = random.Random(7)
    sweep(CONFIG | {"grid": {"mu": [0.3]}}, executor=Inline())
    start = time.perf_counter()
    sweep(CONFIG, folder / "whole.sqlite", executor=Inline())
    duration = time.perf_counter() - start
    store, kills, seen = folder / "killed.sqlite", 0, [0]
    while seen[-1] < 96 and kills < 200:
        child = forked(lambda: sweep(CONFIG, store, executor=Inline()) and None)
        time.sleep(draw.uniform(0, duration / 4 * (1 + kills / 10)))  # longer on a machine that has become slow
        os.kill(child, signal.SIGKILL)
        kills += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        if store.exists():
            seen.append(sweep_status(CONFIG, store)[0].done)
    full = full_disk(folder / "full.sqlite")
    print(json.dumps({"config": json.dumps(CONFIG), "kills": kills, "seen": seen, "full": full}))


def full_disk(store: Path) -> str:
    """Let the store grow no further than 20 KiB; return what the sweep said."""
    import resource  # Unix only

    said = store.with_suffix(".txt")

    def work() -> None:
        said.touch()
        resource.setrlimit(resource.RLIMIT_FSIZE, (20 * 1024, resource.RLIM_INFINITY))
        try:
            sweep(CONFIG, store, executor=Inline())
        except StoreError as error:
            said.write_text(str(error))

    os.waitpid(forked(work), 0)
    return said.read_text()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
