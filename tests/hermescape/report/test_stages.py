"""A part of a report is computed, does not apply, or is late; the others follow all the same."""

import signal
import threading
import time
from contextlib import suppress
from typing import Any

import pytest

from hermescape.report import stages as room
from hermescape.report.findings import Request, gather
from hermescape.report.stages import Missing, Stages
from theory.errors import InputError, ParameterError


def endless() -> int:
    """Work that keeps every ordinary exception to itself."""
    while True:
        with suppress(Exception):
            time.sleep(0.01)


def refusing() -> int:
    raise InputError("no such thing.")


def test_what_is_refused_is_a_reason_or_an_error() -> None:
    assert Stages().attempt("a", refusing) == Missing("no such thing.")
    with pytest.raises(InputError):
        Stages().attempt("a", refusing, refused=(InputError,))


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timer")
def test_a_part_that_is_late_is_left_out_and_the_next_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "GRACE", 0.05)
    stages, handler = Stages(patience=0.2), signal.getsignal(signal.SIGALRM)
    late = stages.attempt("an endless part", endless)
    assert late == Missing("an endless part was not ready when the page was due, after 0.2 s", late=True)
    assert stages.attempt("next", lambda: 7) == 7, "every part has its grace"
    assert signal.getsignal(signal.SIGALRM) is handler
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_parts_are_told_by_name_and_count() -> None:
    told: list[tuple[Any, ...]] = []
    stages = Stages(tell=lambda *said: told.append(said))
    stages.attempt("one", lambda: 1)
    stages.attempt("two", lambda: 2, place=(1, 3))
    assert told == [("one", None, None), ("two", 1, 3)]


def test_other_threads_have_no_clock() -> None:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(Stages(0.001).attempt("a", lambda: time.sleep(0.05))))
    thread.start()
    thread.join()
    assert found == [None]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timer")
def test_a_report_whose_check_is_late_has_everything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "GRACE", 1.0)
    monkeypatch.setattr("hermescape.report.findings.check", lambda *_, **__: endless())
    findings = gather(Request("linear", mu=(0.4,), quick=True, patience=0.5))
    assert isinstance(findings.verdict, Missing)
    assert findings.verdict.late
    assert not isinstance(findings.table, Missing)
    assert not isinstance(findings.meaning, Missing)
    assert not findings.passed


def test_patience_is_positive(tmp_path: Any) -> None:
    from typer.testing import CliRunner

    from hermescape.cli.app import app

    result = CliRunner().invoke(app, ["report", "linear", "-o", str(tmp_path / "a.html"), "--patience", "0"])
    assert isinstance(result.exception, ParameterError)
    assert "--patience 0 given" in str(result.exception)
