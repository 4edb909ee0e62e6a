"""Options of commands that draw: any format by its ending, a width, a style, and one line where they make no sense."""

import re
from pathlib import Path

import pytest

from hermescape.cli.pictures import parse_width
from tests.hermescape.cli.running import run
from theory.errors import ParameterError

ESCAPE = ("escape", "linear", "--mu", "0.3")


@pytest.mark.parametrize(
    ("suffix", "start"),
    [(".pdf", b"%PDF"), (".svg", b"<?xml"), (".png", b"\x89PNG"), (".eps", b"%!PS"), (".PNG", b"\x89")],
)
def test_the_ending_is_the_format(suffix: str, start: bytes, tmp_path: Path) -> None:
    file = tmp_path / f"search{suffix}"
    assert run(*ESCAPE, "--plot", str(file)).returncode == 0
    assert file.read_bytes().startswith(start)
    assert "exists" in run(*ESCAPE, "--plot", str(file)).stderr
    assert run(*ESCAPE, "--plot", str(file), "--force").returncode == 0


@pytest.mark.parametrize(("options", "wide"), [(("--width", "246pt"), 3.404), (("--style", "slides"), 10), ((), 6.4)])
def test_a_pdf_has_the_width_that_was_asked_for(options: tuple[str, ...], wide: float, tmp_path: Path) -> None:
    file = tmp_path / "search.pdf"
    assert run(*ESCAPE, "--plot", str(file), *options).returncode == 0
    box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ", file.read_bytes())
    assert box is not None
    assert float(box[1]) / 72 == pytest.approx(wide, abs=0.01)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--plot", "a.xyz"), ".pdf, .svg"),
        (("--plot", "a.png", "--width", "3.4ft"), "3.4in"),
        (("--plot", "a.png", "--width", "1in"), "from 2in"),
        (("--width", "3.4in"), "without --plot"),
        (("--style", "paper"), "without --plot"),
        (("--plot", "nowhere/a.png"), "create nowhere"),
    ],
)
@pytest.mark.parametrize(
    "command", [ESCAPE, ("check", "linear"), ("phases", "he3"), ("simulate", "linear")], ids=lambda c: c[0]
)
def test_what_cannot_be_drawn_is_refused_at_once(command: tuple[str, ...], options: tuple[str, ...], said: str) -> None:
    done = run(*command, *options)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr


@pytest.mark.parametrize("text", ["", "3.4", "in", "-3in", "3 4in", "1e9in", "nanin", "inf in"])
def test_a_width_has_a_unit(text: str) -> None:
    with pytest.raises(ParameterError, match="given; accepted"):
        parse_width(text)
