"""The command line as the console script runs it: in this process, or in one of its own where that matters."""

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import pytest

from hermescape.cli.app import main

__all__ = ["apart", "read", "run"]


def run(*args: str) -> subprocess.CompletedProcess[str]:
    """Run a command in this process, where everything is imported already."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["hermescape", *args])
        with pytest.raises(SystemExit) as stopped:
            main()
    return subprocess.CompletedProcess(args, int(stopped.value.code or 0), out.getvalue(), err.getvalue())


def apart(*args: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    command = [sys.executable, "-c", "from hermescape.cli.app import main; main()", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, **options)


def read(*args: str) -> dict:
    """Return the JSON of a command that succeeds and says nothing else, but which file it wrote."""
    done = run(*args, "--json")
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if not line.startswith("wrote ")] == []
    return json.loads(done.stdout)
