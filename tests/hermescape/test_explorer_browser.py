"""The explorer in a real browser, on a live kernel: sliders are dragged, numbers and curves follow."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

import hermescape
from tests.hermescape.browser import BROWSER, Tab, front_end, widget

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome on the path"),
    pytest.mark.skipif(front_end() is None, reason="ipywidgets without its front end"),
]
NUMBERS = "document.querySelector('.widget-html-content, .widget-html')?.innerText ?? ''"
READOUT = "Array.from(document.querySelectorAll('.widget-readout'), e => e.innerText)"
PICTURE = """(async () => {
  const image = document.querySelector("img"), canvas = document.createElement("canvas");
  await image.decode();
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const pen = canvas.getContext("2d");
  pen.drawImage(image, 0, 0);
  const {data} = pen.getImageData(0, 0, canvas.width, canvas.height);
  const dark = new Array(canvas.width).fill(0), third = [0, 0, 0];
  for (let i = 0; i < data.length; i += 4) {
    const x = (i / 4) % canvas.width, inked = 765 - data[i] - data[i + 1] - data[i + 2];
    if (inked > 600) dark[x] += 1;
    third[Math.floor(3 * x / canvas.width)] += inked;
  }
  const left = dark.slice(0, canvas.width / 3), axis = left.findIndex(n => n > canvas.height / 3);
  const line = left.findLastIndex(n => n > canvas.height / 3);
  return {axis, line, third, width: image.getBoundingClientRect().width, whole: canvas.width};
})()"""


async def drag(tab: Tab, slider: int, pixels: float) -> None:
    """Drag the handle of a slider with the mouse."""
    place = f"document.querySelectorAll('.noUi-handle')[{slider}].getBoundingClientRect()"
    box = await tab.run(f"(b => [b.x + b.width / 2, b.y + b.height / 2])({place})")
    await tab.mouse("mousePressed", *box)
    for part in (0.3, 0.7, 1.0):
        await tab.mouse("mouseMoved", box[0] + part * pixels, box[1])
    await tab.mouse("mouseReleased", box[0] + pixels, box[1])


async def write(tab: Tab, text: str) -> None:
    """Type a student into its field, and leave the field."""
    await tab.run("(e => { e.focus(); e.select(); })(document.querySelector('#cell input[list]'))")
    await tab.call("Input.insertText", text=text)
    await tab.run("document.activeElement.blur()")


async def moved(tab: Tab, before: str) -> str:
    """Wait until the numbers are others, and return them."""
    return await tab.until(f"(n => n !== {before!r} && n)({NUMBERS})")


def values(numbers: str) -> dict[str, float]:
    return {name: float(value) for name, value in re.findall(r"(\w+) = (-?[\d.e+-]+)", numbers.partition(" (")[0])}


async def tour(folder: Path) -> dict[str, Any]:
    seen: dict[str, Any] = {"numbers": [], "pictures": [], "readouts": []}

    async def look() -> None:
        seen["numbers"].append(await tab.run(NUMBERS))
        seen["pictures"].append(await tab.run(PICTURE))
        seen["readouts"].append(await tab.run(READOUT))

    async with widget("import hermescape; hermescape.explore('linear', mu=0.3)", folder) as tab:
        await tab.until(NUMBERS)
        await look()
        for pixels in (30, 25):
            await drag(tab, 0, pixels)
            await moved(tab, seen["numbers"][-1])
            await look()
        source = await tab.run("document.querySelector('img').src")
        await drag(tab, 1, 40)
        await tab.until(f"document.querySelector('img').src !== {source!r}")
        await look()
        await write(tab, "x <script>alert(1)</script>")
        seen["refused"] = await moved(tab, seen["numbers"][-1])
        seen["scripts"] = await tab.run("document.querySelectorAll('#cell script').length")
        await look()
        await write(tab, "he3")
        await moved(tab, seen["refused"])
        await look()
        seen["said"], seen["shot"] = tab.said, await tab.picture()
    return seen


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return asyncio.run(tour(tmp_path_factory.mktemp("explorer")))


def test_the_figure_is_drawn_and_the_console_is_silent(seen: dict[str, Any]) -> None:
    assert seen["said"] == []
    assert seen["pictures"][0]["width"] > 900
    assert all(ink > 1e5 for ink in seen["pictures"][0]["third"])
    assert seen["shot"].startswith(b"\x89PNG")


def test_numbers_follow_the_slider(seen: dict[str, Any]) -> None:
    places = [values(numbers)["mu"] for numbers in seen["numbers"][:3]]
    assert places[0] == 0.3
    assert places[0] + 0.1 < places[1] < places[2] - 0.1
    for numbers, (mu, *_) in zip(seen["numbers"][:3], seen["readouts"], strict=False):
        shown = values(numbers)
        assert shown["mu"] == float(mu)  # what stands beside the slider
        assert shown["tau"] == pytest.approx(hermescape.search_time("linear", float(mu)).tau, rel=1e-5)


def test_curves_follow_the_slider(seen: dict[str, Any]) -> None:
    """The vertical line stands at mu on its axis, which does not move; the flow is another one."""
    first, second, third = seen["pictures"][:3]
    places = [values(numbers)["mu"] for numbers in seen["numbers"][:3]]
    assert first["axis"] == second["axis"] == third["axis"] < first["line"]
    steps = zip(seen["pictures"][:2], seen["pictures"][1:3], places, places[1:], strict=False)
    scale = [(after["line"] - before["line"]) / (y - x) for before, after, x, y in steps]
    assert scale[0] == pytest.approx(scale[1], rel=0.05)
    assert first["third"][1] != second["third"][1] != third["third"][1]
    assert first["third"][2] != second["third"][2] != third["third"][2]


def test_noise_changes_the_flow_and_not_the_search_time(seen: dict[str, Any]) -> None:
    before, after = seen["pictures"][2:4]
    assert float(seen["readouts"][3][1]) > 0.5
    assert seen["numbers"][3] == seen["numbers"][2]
    assert after["line"] == before["line"]
    assert after["third"][1:] != before["third"][1:]


def test_a_refusal_is_shown_as_text_and_leaves_the_figure(seen: dict[str, Any]) -> None:
    assert "<script>" in seen["refused"]
    assert seen["scripts"] == 0
    assert seen["pictures"][4] == seen["pictures"][3]


def test_a_typed_student_is_derived(seen: dict[str, Any]) -> None:
    assert "tau diverges at mu = 0.320724" in seen["numbers"][5]
    mu = values(seen["numbers"][5])["mu"]
    assert values(seen["numbers"][5])["tau"] == pytest.approx(hermescape.search_time("he3", mu).tau, rel=1e-5)
