"""The report in a browser: it renders, fits a phone, prints, and loads nothing."""

import html
import re
import struct
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hermescape.cli.app import app
from tests.hermescape.browser import BROWSER

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome on the path")
PHONE = 390
PROBE = """
<script>
const frame = document.querySelector("iframe");
frame.onload = () => {
  const page = frame.contentDocument, root = page.documentElement;
  const wide = [...page.querySelectorAll("body *")].filter(e => {
    const scrolls = e.closest(".scroll") || e.closest("p") && e.closest("math");
    return !scrolls && e.getBoundingClientRect().right > root.clientWidth + 1;
  });
  const pictures = [...page.images];
  const maths = [...page.querySelectorAll("math")];
  document.title = JSON.stringify({
    width: root.clientWidth, content: root.scrollWidth, wide: wide.map(e => e.outerHTML.slice(0, 80)),
    pictures: pictures.filter(p => p.complete && p.naturalWidth > 100).length,
    maths: maths.filter(m => m.getBoundingClientRect().height > 5).length, all: maths.length,
  });
};
</script>
"""


def browse(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    assert BROWSER is not None
    profile = path.parent / "profile"
    shared = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        f"--user-data-dir={profile}",
    ]
    return subprocess.run(
        [BROWSER, *shared, *options, path.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("browser") / "page.html"
    result = CliRunner().invoke(app, ["report", "relu", "--mu", "0.5", "--quick", "-o", str(path)])
    assert result.exit_code == 0
    return path


@pytest.mark.slow
def test_the_page_renders_without_complaint(page: Path) -> None:
    shot = page.parent / "shot.png"
    done = browse(page, f"--screenshot={shot}", "--window-size=390,844")
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not console
    assert struct.unpack(">II", shot.read_bytes()[16:24]) == (390, 844)
    assert shot.stat().st_size > 10_000  # not an empty page


@pytest.mark.slow
def test_it_fits_a_phone_and_every_part_is_drawn(page: Path) -> None:
    import json

    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text("utf-8"))
    probe = page.parent / "probe.html"
    frame = f'<iframe width="{PHONE}" height="844" style="border:0" srcdoc="{html.escape(text)}"></iframe>'
    probe.write_text(f"<!DOCTYPE html><title>waiting</title>{frame}{PROBE}", encoding="utf-8")
    done = browse(probe, "--window-size=800,900", "--virtual-time-budget=5000", "--dump-dom")
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert title is not None
    found = json.loads(html.unescape(title[1]))
    assert found["content"] <= found["width"] <= PHONE, found["wide"]
    assert found["wide"] == []
    assert found["pictures"] == 8
    assert found["maths"] == found["all"] > 50


@pytest.mark.slow
def test_it_prints(page: Path) -> None:
    target = page.parent / "page.pdf"
    browse(page, f"--print-to-pdf={target}", "--no-pdf-header-footer")
    content = target.read_bytes()
    assert content.startswith(b"%PDF")
    assert 3 < len(re.findall(rb"/Type\s*/Page\b", content)) < 25
