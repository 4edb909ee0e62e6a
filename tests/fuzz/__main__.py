"""`python -m tests.fuzz --count 20000 --seed 1`: a table of failures, grouped by what and where."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from tests.fuzz.grammar import FAMILIES, Case, case
from tests.fuzz.harness import MEMORY, SECONDS, Outcome, run

CHUNK = 125  # cases a worker


def main() -> None:
    """Run cases and print their failures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of processor time, for a command")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--family", choices=[*FAMILIES], help="cases of one family only")
    parser.add_argument("--slow", type=float, default=5.0, help="commands that take longer are listed too")
    parser.add_argument("--log", type=Path, help="write every outcome as a line of JSON")
    given = parser.parse_args()
    os.environ["HERMESCAPE_CACHE"] = "off"  # of the workers: every command derives
    cases = [case(given.seed, i) for i in range(given.first, given.first + given.count)]
    cases = [c for c in cases if given.family in (None, c.family)]
    chunks = [cases[i : i + CHUNK] for i in range(0, len(cases), CHUNK)]

    def work(chunk: Sequence[Case]) -> list[Outcome]:
        found = []
        for outcome in run((command for one in chunk for command in one.commands), given.seconds, MEMORY):
            found.append(outcome)
            if given.log is not None:
                with given.log.open("a") as log:
                    print(json.dumps(asdict(outcome)), file=log)
            if outcome.failure is not None:
                print(line(outcome), flush=True)
        return found

    start = time.perf_counter()
    with ThreadPoolExecutor(given.workers) as pool:
        outcomes = [outcome for found in pool.map(work, chunks) for outcome in found]
    report(outcomes, len(cases), time.perf_counter() - start, given.slow)


def line(outcome: Outcome) -> str:
    """Print one failure as a command to paste."""
    what = f"{outcome.failure} | {outcome.place} | {outcome.seconds:.1f} s"
    return f"{what} | hermescape {shlex.join(outcome.command)} | {outcome.detail}"


def report(outcomes: Sequence[Outcome], count: int, wall: float, slow: float) -> None:
    """Print failures by kind, most frequent first, each with its shortest command."""
    groups: dict[tuple[str, str, str], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.failure is not None:
            groups[outcome.failure, outcome.place, outcome.command[0]].append(outcome)
    used = sum(outcome.seconds for outcome in outcomes)
    answers = sum(outcome.code == 0 and outcome.failure is None for outcome in outcomes)
    refused = sum(outcome.code in (1, 2) and outcome.failure is None for outcome in outcomes)
    print(f"\n{count} texts, {len(outcomes)} commands: {answers} answers, {refused} refusals in one line,")
    print(
        f"{len(outcomes) - answers - refused} failures of {len(groups)} kinds; {used:.0f} s, {wall:.0f} s of wall time"
    )
    for (failure, place, _), members in sorted(groups.items(), key=lambda item: -len(item[1])):
        shortest = min(members, key=lambda o: len(shlex.join(o.command)))
        print(f"\n{len(members):5d} x {failure} | {place}\n        hermescape {shlex.join(shortest.command)}")
        print(f"        {shortest.detail}")
    late = sorted((o for o in outcomes if o.failure is None and o.seconds > slow), key=lambda o: -o.seconds)
    print(f"\n{len(late)} commands that answer took more than {slow:g} s")
    for o in late[:40]:
        print(f"{o.seconds:7.1f} s | hermescape {shlex.join(o.command)}")


if __name__ == "__main__":
    main()
