"""What a parameter costs: a family derived cold, against one of its members derived cold, in the same run.

    python -m benchmarks.families [--runs 5] [--only TEXT]

Each derivation (loss, ODEs, A, B and tau) is of its own process with SymPy imported and no cache. The ratio is the
median of paired runs; the target is 3, and 2 seconds a family.
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.measure import Row, main, median_ratio

__all__ = ["rows"]

FAMILIES = {
    "erf(beta*x)": {"beta > 0": "0.7"},
    "max(x, 0) + a*min(x, 0)": {"a": "0.2"},
    "c1*x + c3*He(3, x)": {"c1": "2", "c3": "-0.5"},
    "sin(beta*x)": {"beta > 0": "1.5"},
    "exp(-beta*x**2)": {"beta > 0": "0.8"},
    "x*(1 + erf(beta*x))/2": {"beta": "0.6"},
}
"""Texts, with declarations and a value of each parameter."""
CHILD = """
import sys, time
import sympy
from theory.language.activations import activation
from theory.network.derivation import derive
given = activation(sys.argv[1], [text for text in sys.argv[2].split(";") if text])
values = dict(pair.split("=") for pair in sys.argv[3].split(";") if pair)
function = given.at(values) if values else given
start = time.perf_counter()
system = derive(function)
system.loss, system.odes, system.escape.A, system.escape.B, system.escape.tau
print(time.perf_counter() - start)
"""


def _seconds(text: str, declarations: dict[str, str], *, member: bool) -> float:
    """Return the seconds of a derivation in a fresh process."""
    values = {declaration.split()[0]: value for declaration, value in declarations.items()}
    put = ";".join(f"{name}={value}" for name, value in values.items()) if member else ""
    command = [sys.executable, "-c", CHILD, text, ";".join(declarations), put]
    environment = {**os.environ, "HERMESCAPE_CACHE": "off"}
    return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def rows(runs: int, only: str = "") -> Iterator[Row]:
    """Yield one row a family."""
    for text, declarations in FAMILIES.items():
        if only not in text:
            continue
        pairs = [[_seconds(text, declarations, member=member) for member in (False, True)] for _ in range(runs)]
        whole, single = (list(column) for column in zip(*pairs, strict=True))
        ratio = median_ratio(whole, single)
        yield Row(f"derive {text}", statistics.median(whole), "s", ratio, "of one member", "<= 3, <= 2 s")


if __name__ == "__main__":
    main(__doc__, rows, runs=5)
