"""How long a derivation takes: the whole aligned system, in a fresh process with SymPy imported.

    python -m benchmarks.derivation [--runs 3] [--only TEXT]

Per pair, medians over `--runs` processes of: loss, ODEs, A, B and tau derived cold (no cache), the same read from the
cache on disk, and the baseline of the same process, `import sympy`. The ratios cold/baseline and cached/cold are what
can be compared between machines. The target is a second for the cold derivation.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile

from theory.language.activations import REGISTRY

CLOSED = (
    "x**3",
    "erf(2*x + 1)",
    "Phi(x)",
    "(1 + erf(x/2))/2",
    "x*Phi(x)",
    "max(x, x/10)",
    "2*max(x, 0) - 3*max(-x, 0)",
    "max(x, 0)**2",
    "max(x, 0)**3",
    "max(x - 1, 0)",
    "max(-1, min(1, x))",
    "max(x, 0) + min(0, exp(x) - 1)",
    "sin(2*x + 1)",
    "cos(x)",
    "exp(x/2)",
    "exp(-x**2)",
    "exp(-x**2)*sin(x)",
    "x**2*exp(-x**2)",
    "x*erf(x)",
    "x*sin(x)",
)
MIXED = (
    ("relu", "erf"),
    ("erf", "relu"),
    ("he3", "relu"),
    ("erf", "he14"),
    ("x*Phi(x)", "relu"),
    ("sin(x)", "erf"),
    ("exp(-x**2)*sin(x)", "tanh"),
    ("max(x - 1, 0)", "max(-1, min(1, x))"),
    ("he2", "sign"),
    ("relu", "exp(-x**2)"),
)
CHILD = """
import sys, time
start = time.perf_counter()
import sympy
imported = time.perf_counter()
from theory.network.derivation import derive
ready = time.perf_counter()
system = derive(sys.argv[1], sys.argv[2])
system.loss, system.odes, system.escape.A, system.escape.B, system.escape.tau
print(imported - start, time.perf_counter() - ready, system.is_exact)
"""


def measure(student: str, teacher: str, cache: str) -> tuple[float, float, bool]:
    """Return seconds of `import sympy`, seconds of the derivation, and whether it is exact."""
    environment = {**os.environ, "HERMESCAPE_CACHE": cache}
    command = [sys.executable, "-c", CHILD, student, teacher]
    imported, derived, exact = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout.split()
    return float(imported), float(derived), exact == "True"


def main() -> None:
    """Print one line a pair, and the slowest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="", help="pairs that contain this text")
    options = parser.parse_args()
    pairs = [(name, name) for name in (*REGISTRY, *CLOSED)] + list(MIXED)
    pairs = [pair for pair in pairs if options.only in " ".join(pair)]
    print(f"{'student':32}{'teacher':22}{'exact':7}{'cold s':>8}{'/import':>9}{'cached s':>10}{'/cold':>7}")
    slowest = (0.0, "")
    for student, teacher in pairs:
        cold = [measure(student, teacher, "off") for _ in range(options.runs)]
        with tempfile.TemporaryDirectory() as cache:
            measure(student, teacher, cache)
            warm = [measure(student, teacher, cache) for _ in range(options.runs)]
        base, derived = (statistics.median(row[i] for row in cold) for i in (0, 1))
        cached = statistics.median(row[1] for row in warm)
        slowest = max(slowest, (derived, f"{student} on {teacher}"))
        print(
            f"{student:32}{teacher:22}{cold[0][2]!s:7}{derived:8.2f}{derived / base:9.2f}{cached:10.2f}"
            f"{cached / derived:7.2f}",
            flush=True,
        )
    print(f"slowest: {slowest[1]}, {slowest[0]:.2f} s (target 1 s), medians of {options.runs}")


if __name__ == "__main__":
    main()
