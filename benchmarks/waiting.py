"""How long a command keeps its user waiting: the first time ever, and the second time.

    python -m benchmarks.waiting [--runs 3] [--only TEXT]

Every run of a command is a process of its own. *First* has empty folders for what is derived and compiled, *second* the
folders that the first has filled. The baseline, a process of the same run, imports the libraries that the command
needs. Targets are those of two quiet cores on which importing SymPy takes 0.4 s: the ratios are what can be compared
between machines, medians of paired runs.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.measure import Row, main, median_ratio, seconds

SYMPY, NUMBERS, COMPILED = "sympy", "sympy, numpy", "sympy, numpy, numba"
DRAWN = f"{NUMBERS}, scipy.special, matplotlib.figure, jinja2"
LIBRARIES = f"{COMPILED}, scipy.stats, xarray, matplotlib.figure, jinja2"
COMMAND = "from hermescape.cli.app import main; main()"


class Waiting(NamedTuple):
    """A command, what it imports, what its first and second time may take, and another command in place of the second.

    A law, or a run, that has been asked for is read from disk, another is made by the code that is compiled.
    """

    arguments: str
    libraries: str
    first: str = ""
    second: str = ""
    after: str = ""

    @property
    def names(self) -> tuple[str, str]:
        """What the two rows are called."""
        first, second = (f"{self.arguments}, {which} time" for which in ("first", "second"))
        return first, f"{self.arguments}, after {self.after}" if self.after else second


COMMANDS = (
    Waiting("--help", SYMPY, second="<= 0.3 s"),
    Waiting("derive relu", SYMPY, second="<= 0.8 s"),
    Waiting("escape relu --mu 0.3", NUMBERS, second="<= 0.8 s"),
    Waiting("law relu --mu 0.3 --by formula", NUMBERS, second="<= 1.5 s"),
    Waiting("law relu --mu 0.3", NUMBERS, second="<= 1.5 s"),
    Waiting("law relu --mu 0.3", COMPILED, after="law relu --mu 0.4"),
    Waiting("simulate relu --mu 0.8 --replicas 20", COMPILED),
    Waiting("check relu", NUMBERS, second="<= 2.5 s"),
    Waiting("check relu --seed 1", COMPILED, second="<= 2.5 s", after="check relu --seed 2"),
    Waiting("phases he3", f"{COMPILED}, xarray", second="<= 5 s"),
    Waiting("report relu --force -o report.html", DRAWN, second="<= 4 s"),
    Waiting("report relu --seed 1 --force -o report.html", LIBRARIES, after="report relu --seed 2 -o report.html"),
)


def run(code: str, *arguments: str, folder: Path) -> None:
    """Run Python code in a fresh process that keeps what it derives and compiles in `folder`."""
    surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    kept = {"HERMESCAPE_CACHE": str(folder / "derived"), "NUMBA_CACHE_DIR": str(folder / "compiled")}
    paths = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))
    subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**surroundings, **kept, "PYTHONPATH": paths},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=True,
    )


def once(waiting: Waiting) -> tuple[float, float, float]:
    """Return the seconds of the baseline, of the first time and of the second, or of the command after another."""
    with TemporaryDirectory() as place:
        baseline = partial(run, f"import {waiting.libraries}", folder=Path(place))
        first, second = (
            partial(run, COMMAND, *arguments.split(), folder=Path(place))
            for arguments in (waiting.after or waiting.arguments, waiting.arguments)
        )
        baseline()
        return seconds(baseline), seconds(first), seconds(second)


def package() -> tuple[float, float]:
    """Return the seconds of importing SymPy, and of importing hermescape beside it, as a notebook does."""
    with TemporaryDirectory() as place:
        both = [partial(run, f"import {names}", folder=Path(place)) for names in (SYMPY, f"{SYMPY}, hermescape")]
        for work in both:
            work()
        return seconds(both[0]), seconds(both[1])


def rows(runs: int, only: str) -> Iterator[Row]:
    """Yield a row for the first time of each command, and one for the second."""
    for waiting in COMMANDS:
        if not any(only in name for name in waiting.names):
            continue
        libraries, *times = zip(*(once(waiting) for _ in range(runs)), strict=True)
        for name, taken, target in zip(waiting.names, times, (waiting.first, waiting.second), strict=True):
            if only in name and not (waiting.after and name == waiting.names[0]):
                ratio = median_ratio(list(taken), list(libraries))
                yield Row(name, statistics.median(taken), "s", ratio, f"of importing {waiting.libraries}", target)
    if only in "import hermescape":
        alone, with_ours = zip(*(package() for _ in range(runs)), strict=True)
        ratio = median_ratio(list(with_ours), list(alone))
        yield Row("import sympy, hermescape", statistics.median(with_ours), "s", ratio, "of importing sympy", "<= 1.2")


if __name__ == "__main__":
    main(__doc__, rows, runs=3)
