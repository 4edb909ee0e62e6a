"""The benchmark rows of two revisions in turn, and how many times as long the second takes.

    python -m benchmarks.revisions OLD [NEW] [--rounds 5] [--runs 3] [--only TEXT] [--limit 1.05]

OLD and NEW are revisions that git knows; without NEW it is the working tree. Each is checked out beside the other, into
a temporary folder. A round measures both, one process each, in an order that turns from round to round, so that a
machine that slows down slows both; the ratio of a row is the median over rounds of new/old, and its interval the lowest
and the highest. Rows of one revision alone are named. Every value is a time or a size: less is better. The exit status
is 1 where the ratio of a row exceeds the limit.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["compare", "main"]

ROOT = Path(__file__).parents[1]
CHILD = """
import json, sys
from importlib import import_module
for name in ("flow", "montecarlo"):
    for row in import_module("benchmarks." + name).rows(int(sys.argv[1]), sys.argv[2]):
        print(json.dumps([row.what, row.value, row.unit]), flush=True)
"""


@contextmanager
def checked_out(revision: str | None) -> Iterator[Path]:
    """Give the folder of a revision: a worktree of its own, or the working tree."""
    if revision is None:
        yield ROOT
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "tree"
        git("worktree", "add", "--detach", "--quiet", str(place), revision)
        try:
            yield place
        finally:
            git("worktree", "remove", "--force", str(place))


def git(*words: str) -> None:
    """Run git at the root; its own message says what it refuses."""
    subprocess.run(["git", "-C", str(ROOT), *words], check=True)


def measured(place: Path, runs: int, only: str) -> dict[str, float]:
    """Return the value of every row of the revision in `place`."""
    command = [sys.executable, "-c", CHILD, str(runs), only]
    environment = os.environ | {"PYTHONPATH": str(place)}
    lines = subprocess.run(command, cwd=place, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    rows = [json.loads(line) for line in lines.splitlines()]
    return {f"{what} [{unit}]": float(value) for what, value, unit in rows}


def compare(places: Sequence[Path], rounds: int, runs: int, only: str) -> tuple[dict[str, list[float]], set[str]]:
    """Return new/old of every common row in every round, and the rows that only one revision has."""
    ratios: dict[str, list[float]] = {}
    alone: set[str] = set()
    for round_ in range(rounds):
        order = (0, 1) if round_ % 2 == 0 else (1, 0)
        values = {i: measured(places[i], runs, only) for i in order}
        alone |= set(values[0]) ^ set(values[1])
        for row in values[0]:
            if row in values[1]:
                ratios.setdefault(row, []).append(values[1][row] / values[0][row])
    return ratios, alone


def main() -> int:
    """Read the words, measure, print a line a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", help="revision to compare with")
    parser.add_argument("new", nargs="?", help="revision to judge; the working tree by default")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of processes")
    parser.add_argument("--runs", type=int, default=3, help="runs of which a process takes the median")
    parser.add_argument("--only", default="", help="rows whose names contain this text")
    parser.add_argument("--limit", type=float, default=1.05, help="largest ratio that is no failure")
    options = parser.parse_args()
    with checked_out(options.old) as old, checked_out(options.new) as new:
        ratios, alone = compare((old, new), options.rounds, options.runs, options.only)
    slower = []
    for row, values in ratios.items():
        ratio = statistics.median(values)
        slower += [row] if ratio > options.limit else []
        print(f"{row:50}{ratio:8.3f}   [{min(values):.3f}, {max(values):.3f}]   n = {len(values)}")
    for row in sorted(alone):
        print(f"{row:50}  in one revision only")
    print(f"{len(slower)} of {len(ratios)} rows slower than {options.limit:g} times", *slower, sep="\n  ")
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
