"""Report and documentation on a phone and on a screen, on light and on dark: nothing sticks out, covers or fades."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from hermescape.cli.app import app
from tests.hermescape.browser import BROWSER
from tests.looks.pages import faults
from tests.site import built

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome on the path"),
]
DOCS = (
    "index",
    "tutorial",
    "overview",
    "theory",
    "validation",
    "cli",
    "howto/latex",
    "howto/figures",
    "howto/reading",
    "speed",
)


def test_the_report(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    assert CliRunner().invoke(app, ["report", "relu", "--mu", "0.5", "--quick", "-o", str(path)]).exit_code == 0
    path.write_text(path.read_text().replace("<details>", "<details open>"))
    assert faults(path, tmp_path / "profile") == []


@pytest.mark.parametrize("name", DOCS)
def test_a_page_of_the_documentation(name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert faults(built(tmp_path_factory) / f"{name}.html", tmp_path / "profile") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_follow_the_theme_that_the_reader_chooses(
    scheme: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = {"light": "dark", "dark": "light"}[scheme]
    assert faults(built(tmp_path_factory) / "index.html", tmp_path / "profile", ((1280, scheme),), theme=other) == []


BLANK = "<!DOCTYPE html><title>a</title><body style='background: #fff; color: #000'>" + "<p>plain words</p>" * 12
PLANTED = {
    "page": '<div style="width: 2000px">wide</div>',
    "faint": '<p style="color: #ccc; background: #fff">hardly</p>',
    "small": '<p style="font-size: 5px">tiny</p>',
    "unlike": "<img alt='' width='200' src=\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' width='200' "
    "height='100'><rect width='200' height='100' fill='%23222'/></svg>\">",
    "covered": '<p style="margin: 0">some words</p><p style="margin: -1.2em 0 0">other words</p>',
}


@pytest.mark.parametrize("fault", PLANTED)
def test_what_is_wrong_is_seen(fault: str, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(BLANK + PLANTED[fault])
    wrong = faults(path, tmp_path / "profile", ((390, "light"),))
    assert any(f", {fault}: " in said for said in wrong)
    path.write_text(BLANK)
    assert faults(path, tmp_path / "profile2", ((390, "light"),)) == []
