"""What a command does not use it does not load: that is half of the time that it takes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SYMPY = {"sympy", "mpmath"}
NUMBERS = SYMPY | {"numpy", "scipy"}  # SciPy's own packages wait until they are named
COMPILED = NUMBERS | {"numba", "scipy.linalg"}  # numba looks for a BLAS there
SAMPLED = {f"scipy.{name}" for name in ("special", "optimize", "integrate", "interpolate", "sparse", "stats")}  # Sobol
DRAWN = NUMBERS | {"scipy.special", "matplotlib", "jinja2", "numerics.best"}
LIBRARIES = COMPILED | {"xarray", "pandas", "matplotlib", "h5py", "h5netcdf", "dask", "jinja2", "distributed", "heyoka"}
WATCHED = sorted(LIBRARIES | SAMPLED | {"pydantic", "sympy.tensor.array.expressions", "rich.progress", "numerics.best"})
SMALL = "--mu 0.8 --d 100 --batch 20 --lr 0.1 --replicas 4"
MAY_LOAD = {
    "--help": set(),
    "derive relu": SYMPY,
    "latex relu": SYMPY,
    "activations": SYMPY,
    "escape relu --mu 0.3": NUMBERS,
    "escape tanh --mu 0.3": NUMBERS | {"scipy.special"},  # quadrature of a logistic function
    "certify relu --mu 0.3": NUMBERS,
    "law relu --mu 0.3": NUMBERS,  # the second time
    "law relu --mu 0.41 --by formula": COMPILED,
    "law relu --mu 0.41": COMPILED | SAMPLED,
    f"simulate relu {SMALL}": COMPILED | {"scipy.special"},  # the interval of the median
    "check linear --mu 0.4 --d 100 --replicas 20": NUMBERS | {"scipy.special"},  # the second time
    "report linear --quick --mu 0.4 --d 100 --replicas 20 -o page.html --force": DRAWN,  # the second time
}
TWICE = ("derive", "law relu --mu 0.3", "check", "report")
"""What keeps its numbers."""
LISTING = f"""
import sys
from hermescape.cli.app import main
try:
    main()
except SystemExit:
    pass
print(*[name for name in {WATCHED} if name in sys.modules], file=sys.stderr)
"""


def listed(code: str, *arguments: str, place: Path | None = None) -> set[str]:
    """Return the words of the last line on stderr of a process that runs this code."""
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    settings = {"cwd": place, "env": {**os.environ, "PYTHONPATH": paths}, "timeout": 300}
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, **settings
    )
    return set(run.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("command", MAY_LOAD)
def test_a_command_loads_what_it_may(command: str, tmp_path: Path) -> None:
    for _ in range(2 if command.startswith(TWICE) else 1):
        loaded = listed(LISTING, *command.split(), place=tmp_path)
    assert loaded <= MAY_LOAD[command]
    assert ("sympy" in loaded) == (command != "--help"), "the list is not empty because nothing ran"


def test_the_package_loads_nothing_until_a_name_is_used() -> None:
    code = f"import sys, hermescape; print([name for name in {WATCHED} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_a_command_loads_no_other_command() -> None:
    code = LISTING + "print(*[name for name in sys.modules if name.startswith('hermescape.cli.')], file=sys.stderr)"
    assert listed(code, "derive", "relu") == {
        f"hermescape.cli.{name}" for name in ("app", "derive", "families", "lists", "options", "reading")
    }
    assert listed(code, "--version") == {"hermescape.cli.app", "hermescape.cli.reading"}


def test_a_command_makes_only_the_activations_that_it_names() -> None:
    code = LISTING + "from theory.language import activations; print(*activations._NAMED.made, file=sys.stderr)"
    assert listed(code, "derive", "relu", "--teacher", "2*erf(x)") == {"relu", "erf", "linear"}  # of a blank model
