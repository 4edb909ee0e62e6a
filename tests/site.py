"""The documentation, built once for all test processes of a run."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

__all__ = ["DOCS", "built"]

DOCS = Path(__file__).parents[1] / "docs"
LONGEST = 600  # seconds


def built(factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the pages; every warning of Sphinx, unresolved references included, is an error.

    Notebooks are not executed.
    """
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "site"
    verdict = folder / "verdict.txt"
    try:
        folder.mkdir()
    except FileExistsError:
        end = time.monotonic() + LONGEST
        while not verdict.is_file() and time.monotonic() < end:
            time.sleep(0.2)
    else:
        strict = ("-W", "--keep-going", "-n", "-q", "-b", "html", "-t", "quick")
        places = ("-d", str(folder / "trees"), str(DOCS), str(folder / "html"))
        command = [sys.executable, "-m", "sphinx", *strict, *places]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
        partial = folder / "verdict.part"
        partial.write_text("" if done.returncode == 0 else done.stderr or "sphinx failed")
        partial.rename(verdict)
    if said := verdict.read_text():
        pytest.fail(said, pytrace=False)
    return folder / "html"
