"""Rows of measurements, and how they are taken and printed."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

__all__ = ["Row", "Work", "interleaved", "main", "median_ratio", "seconds"]

Work = Callable[[], object]


class Row(NamedTuple):
    """One measurement."""

    what: str
    value: float
    unit: str
    ratio: float | None
    """dimensionless, of what `against` says"""
    against: str
    target: str

    def __str__(self) -> str:
        ratio = "" if self.ratio is None else f"{self.ratio:10.3g} {self.against}"
        return f"{self.what:34}{self.value:12.4g} {self.unit:18}{ratio:32} {self.target}"


def seconds(work: Work) -> float:
    """Return the seconds that `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def interleaved(works: list[Work], runs: int) -> list[list[float]]:
    """Return the seconds of each work in each run, after one run to warm up."""
    for work in works:
        work()
    return [list(column) for column in zip(*[[seconds(work) for work in works] for _ in range(runs)], strict=True)]


def median_ratio(over: list[float], under: list[float]) -> float:
    """Return the median of the ratios of paired runs."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def main(description: str | None, rows: Callable[[int, str], Iterable[Row]], runs: int) -> None:
    """Read --runs and --only, print one line a row."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=runs, help="runs of which the median is taken")
    parser.add_argument("--only", default="", help="rows whose names contain this text")
    options = parser.parse_args()
    found: Iterator[Row] = iter(rows(options.runs, options.only))
    for row in found:
        print(row, flush=True)
