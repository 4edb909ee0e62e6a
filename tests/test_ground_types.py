"""SymPy computes with python-flint's numbers, which are installed here: others have to do as well, on some tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NUMBERS = (
    *("theory/calculus/gaussian.py", "theory/network/loss.py", "numerics/rates"),
    "tests/theory/enclosures/test_balls.py",
    *("tests/numerics/integrals/certified/test_closed.py", "tests/numerics/rates/test_enclosed.py"),
)
LANGUAGE = tuple(f"tests/theory/language/test_{name}.py" for name in ("activations", "labels", "parser"))
PARTS = {"gmpy": NUMBERS, "python": (*NUMBERS, *LANGUAGE)}


@pytest.mark.slow
@pytest.mark.parametrize("types", PARTS)
def test_other_ground_types_do_as_well(types: str) -> None:
    surroundings = {**os.environ, "SYMPY_GROUND_TYPES": types}
    own = {name for name in surroundings if name.startswith(("PYTEST_", "COV_"))}
    code = f"import sys, sympy.external.gmpy as g, pytest; assert g.GROUND_TYPES == {types!r}; sys.exit(pytest.main())"
    run = subprocess.run(
        [sys.executable, "-c", code, "-q", "-p", "no:cacheprovider", *PARTS[types]],
        env={name: value for name, value in surroundings.items() if name not in own},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-1000:]
