"""Commands in a worker process, each under a limit of time and memory, and what may come of them.

The worker imports the package once. A command that passes the limit of time is interrupted by a signal, and the worker
killed if that does not help; memory is limited by the kernel.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import resource
import select
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from types import FrameType

__all__ = ["GRACE", "MEMORY", "SECONDS", "Outcome", "run", "serve"]

ROOT = Path(__file__).parents[2]
PACKAGES = tuple(f"{ROOT / name}{os.sep}" for name in ("theory", "numerics", "hermescape"))
SECONDS, MEMORY = 60, 2 << 30  # of processor time, of bytes
GRACE = 12  # wall-clock seconds allowed for each second of processor time: other work may hold the machine
LONGEST_LINE = 2000
MAIN = "hermescape.cli.app.main"
UNDEFINED = re.compile(r"(?<![A-Za-z_])(nan|zoo|oo|inf|infinity)(?![A-Za-z_(])", re.IGNORECASE)
UNBOUNDED = ("tau", "error", "interval")  # keys under which an infinity is an answer: it is stated


@dataclass(frozen=True)
class Outcome:
    """What came of a command: `failure` is None for an answer or a refusal in one line, `place` groups failures."""

    command: tuple[str, ...]
    code: int | None
    seconds: float
    failure: str | None = None
    place: str = ""
    detail: str = ""


# --- the worker --------------------------------------------------------------------------------------------------


class _OutOfTimeError(BaseException):
    """Not an Exception, so that nothing on the way catches it."""


def _interrupt(_: int, frame: FrameType | None) -> None:
    raise _OutOfTimeError(_place(traceback.walk_stack(frame), innermost_first=True))


def _place(frames: Iterable[tuple[FrameType, int]], innermost_first: bool = False) -> str:
    """Name the innermost line of the package, and the one of a library that it called."""
    found = [(frame.f_code.co_filename, line, frame.f_code.co_name) for frame, line in frames]
    if innermost_first:
        found.reverse()
    own = [entry for entry in found if entry[0].startswith(PACKAGES)]
    name, line, function = (own or found)[-1]
    last = found[-1]
    via = "" if last[0] == name else f" -> {Path(last[0]).parent.name}/{Path(last[0]).name}:{last[2]}"
    short = Path(name).relative_to(ROOT) if own else Path(name).name
    return f"{short}:{line} {function}{via}"


def serve(main: str, seconds: float, memory: int) -> None:
    """Answer commands, one JSON list a line on stdin, with one outcome a line on stdout."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    entry = _prepare(main, memory)
    print("ready", file=replies, flush=True)
    for line in sys.stdin:
        print(json.dumps(asdict(_execute(entry, tuple(json.loads(line)), seconds))), file=replies, flush=True)


def _prepare(main: str, memory: int) -> Callable[[], object]:
    """Import what the commands need, set the limits, and return the entry point."""
    import typer

    import theory.network.derivation  # noqa: F401
    from hermescape.cli import app as cli

    cli.app = typer.main.get_command(cli.app)  # built once, and not for every command
    signal.signal(signal.SIGPROF, _interrupt)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, hard))
    module, _, name = main.rpartition(".")
    return getattr(import_module(module), name)


def _execute(main: Callable[[], object], command: tuple[str, ...], seconds: float) -> Outcome:
    from hermescape import output

    printed: list[object] = []
    finite, output._finite = output._finite, lambda content: printed.append(content) or finite(content)
    out, err, sys.argv = io.StringIO(), io.StringIO(), ["hermescape", *command]
    start, code, failure, place, detail = time.process_time(), None, None, "", ""
    try:
        signal.setitimer(signal.ITIMER_PROF, seconds, 1.0)  # again every second, should a library swallow it
        try:
            with redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings():
                warnings.simplefilter("always")
                main()
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0
    except _OutOfTimeError as late:
        failure, place = "out of time", str(late)
    except BaseException as error:
        failure, detail = type(error).__name__, " ".join(str(error).split())[:300]
        place = _place(traceback.walk_tb(error.__traceback__))
    finally:
        output._finite = finite
    taken = time.process_time() - start
    if failure is None:
        failure, place, detail = judge(code, out.getvalue(), err.getvalue(), printed[0] if printed else None)
    return Outcome(command, code, round(taken, 3), failure, place, detail)


# --- what may come of a command ----------------------------------------------------------------------------------


def judge(code: int | None, out: str, err: str, content: object = None) -> tuple[str | None, str, str]:
    """Return the failure, its place and its detail: None and empty for an answer, None and its line for a refusal."""
    if code == 0:
        if err:
            return "noise on stderr", err.splitlines()[0][-160:], err[:300]
        return _unsound(content) if content is not None else _unsound_text(out, "table")
    lines = err.splitlines()
    if code not in (1, 2):
        return f"exit code {code}", "", err[:300]
    if len(lines) != 1 or not lines[0].startswith("error: ") or out:
        return "not one line", f"{len(lines)} lines", err[:300]
    if len(lines[0]) > LONGEST_LINE:
        return "a line too long", f"{len(lines[0]) // 1000} thousand characters", err[:300]
    return None, "", lines[0][:300]


def _unsound(content: object) -> tuple[str | None, str, str]:
    for path, value in _leaves(content):
        key = re.sub(r"\[\d+\]", "[]", path)
        if isinstance(value, str) and not key.endswith((".student", ".teacher", ".activation")):
            failure = _unsound_text(value, key)
            if failure[0] is not None:
                return failure
        if isinstance(value, float) and math.isnan(value):
            return "NaN", key, path
        if isinstance(value, float) and math.isinf(value) and not any(name in key for name in UNBOUNDED):
            return "infinity", key, path
    for point in content.get("points", ()) if isinstance(content, dict) else ():
        if point["tau"] is None and float(point["rate"]) != 0 and point.get("log_tau") is None:
            return "tau infinite at a rate that is not 0", "points", str(point)
    return None, "", ""


def _unsound_text(text: str, key: str) -> tuple[str | None, str, str]:
    match = UNDEFINED.search(text)
    if match is None:
        return None, "", ""
    return "undefined in a text", f"{match[0]} in {key}", text[max(0, match.start() - 60) : match.end() + 60]


def _leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{i}]")
    else:
        yield path, value


# --- the parent --------------------------------------------------------------------------------------------------


def run(
    commands: Iterable[tuple[str, ...]], seconds: float = SECONDS, memory: int = MEMORY, main: str = MAIN
) -> Iterator[Outcome]:
    """Yield the outcome of each command, from one worker that is replaced if it dies or hangs."""
    worker = None
    try:
        for command in commands:
            worker = worker or _Worker(main, seconds, memory)
            outcome = worker.ask(command)
            if outcome.failure in ("killed", "died"):
                worker.close()
                worker = None
            yield outcome
    finally:
        if worker is not None:
            worker.close()


class _Worker:
    def __init__(self, main: str, seconds: float, memory: int) -> None:
        self.seconds = seconds
        start = f"from tests.fuzz.harness import serve; serve({main!r}, {seconds}, {memory})"
        self.process = subprocess.Popen(
            [sys.executable, "-c", start],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        if self.read(600) != "ready\n":
            self.close()
            raise RuntimeError("the worker did not start")

    def read(self, wait: float) -> str | None:
        """Return a line; empty from a dead worker, None after `wait` seconds."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], wait)
        return self.process.stdout.readline() if ready else None

    def ask(self, command: tuple[str, ...]) -> Outcome:
        assert self.process.stdin is not None
        start = time.perf_counter()
        print(json.dumps(command), file=self.process.stdin, flush=True)
        line = self.read(GRACE * self.seconds + 10)
        taken = round(time.perf_counter() - start, 3)
        if line is None:
            return Outcome(command, None, taken, "killed", "does not heed the signal")
        if not line:
            return Outcome(command, None, taken, "died", f"exit code {self.process.wait()}")
        found = json.loads(line)
        return Outcome(**{**found, "command": tuple(found["command"])})

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
