"""What a page looks like, measured in a browser: what is wider than it, covers other text, or can hardly be read.

A picture's ground, which is what its edge shows most, has to be as light or dark as the page around it.
"""

import asyncio
import base64
import io
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.hermescape.browser import Tab, chromium

__all__ = ["faults", "measured"]

WIDTHS = (390, 1280)
SCHEMES = ("light", "dark")
CASES = tuple(itertools.product(WIDTHS, SCHEMES))
LEAST_CONTRAST = 4.5  # WCAG 2.2, 1.4.3
SMALLEST = 9.0  # px
LIKE_THE_PAGE = 0.05  # of the luminance of white
PROBE = r"""
(() => {
  const root = document.documentElement;
  const colour = text => {
    const [r, g, b, a = 1] = (text.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
    return {rgb: [r, g, b], a};
  };
  const light = rgb => {
    const [r, g, b] = rgb.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const over = (top, below) => top.rgb.map((v, i) => top.a * v + (1 - top.a) * below[i]);
  const ground = node => {
    const layers = [];
    for (let e = node; e; e = e.parentElement) layers.push(colour(getComputedStyle(e).backgroundColor));
    const canvas = matchMedia("(prefers-color-scheme: dark)").matches && !getComputedStyle(document.body)
      .backgroundColor.match(/[1-9]/) ? [0, 0, 0] : [255, 255, 255];
    return layers.reverse().reduce((below, layer) => over(layer, below), canvas);
  };
  const shown = e => {
    const style = getComputedStyle(e), box = e.getBoundingClientRect();
    return style.visibility !== "hidden" && style.display !== "none" && box.width > 1 && box.height > 1
      && e.checkVisibility({checkOpacity: true, contentVisibilityAuto: true});
  };
  const scrolls = e => {
    for (; e && e !== document.body; e = e.parentElement) {
      if (["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(e).overflowX)) return true;
    }
    return false;
  };
  const said = e => e.outerHTML.slice(0, 120);
  const all = [...document.querySelectorAll("body *")].filter(shown);
  const within = x => 0 <= x && x < root.clientWidth;
  const wide = all.filter(e => within(e.getBoundingClientRect().left) && !scrolls(e.parentElement) && !scrolls(e)
    && e.getBoundingClientRect().right > root.clientWidth + 1);
  const faint = [], small = [], boxes = [];
  for (const e of all) {
    const words = [...e.childNodes].filter(n => n.nodeType === 3 && n.textContent.trim());
    if (!words.length || e.closest("math, mjx-container, svg, script, style")) continue;
    const style = getComputedStyle(e), below = ground(e), ink = over(colour(style.color), below);
    const [a, b] = [light(ink), light(below)].sort((x, y) => y - x), contrast = (a + 0.05) / (b + 0.05);
    if (contrast < LEAST) faint.push([contrast.toFixed(2), said(e)]);
    if (parseFloat(style.fontSize) < SMALLEST) small.push([style.fontSize, said(e)]);
    const range = document.createRange();
    for (const word of words) {
      range.selectNodeContents(word);
      for (const box of range.getClientRects()) if (box.width > 2 && box.height > 2) boxes.push([box, e]);
    }
  }
  const covered = [];
  boxes.sort((a, b) => a[0].top - b[0].top);
  for (let i = 0; i < boxes.length; i++) {
    const [a, e] = boxes[i];
    for (let j = i + 1; j < boxes.length && boxes[j][0].top < a.bottom; j++) {
      const [b, f] = boxes[j];
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      const fixed = [e, f].some(g => g.closest("header, aside, .sidebar-drawer, .toc-drawer, nav, .scroll"));
      const hidden = across > 2 && down > 0.5 * Math.min(a.height, b.height);
      if (e !== f && !fixed && hidden) covered.push([said(e), said(f)]);
    }
  }
  const pictures = all.filter(e => e.tagName === "IMG" && e.getBoundingClientRect().width > 60).map(e => {
    const box = e.getBoundingClientRect();
    const clip = {x: box.x + scrollX, y: box.y + scrollY, width: box.width, height: box.height, scale: 1};
    return {clip, page: light(ground(e.parentElement)), said: (e.alt || e.src).slice(0, 60)};
  });
  return JSON.stringify({
    pictures, words: boxes.length,
    page: root.scrollWidth - root.clientWidth, wide: wide.map(said), faint, small, covered,
  });
})()
"""


async def measured(
    path: Path, folder: Path, cases: Sequence[tuple[int, str]], theme: str | None = None
) -> list[dict[str, Any]]:
    """Return what is wrong with a page of HTML at each (width in px, colour scheme); its own theme may be another."""
    found = []
    async with chromium(folder, path.as_uri()) as tab:
        await tab.until("document.readyState === 'complete' && location.protocol === 'file:'")
        for width, scheme in cases:
            sizes = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
            await tab.call("Emulation.setDeviceMetricsOverride", **sizes)
            await tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            await tab.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
            if theme is not None:
                await tab.run(f"document.body.dataset.theme = {theme!r}")
                await tab.run("new Promise(done => setTimeout(done, 400))")  # colours fade
            probe = PROBE.replace("LEAST", str(LEAST_CONTRAST)).replace("SMALLEST", str(SMALLEST))
            seen = json.loads(await tab.run(probe))
            unlike = [await _unlike(tab, each) for each in seen.pop("pictures")]
            found.append({"case": (width, scheme), **seen, "unlike": list(filter(None, unlike))})
    return found


async def _unlike(tab: Tab, picture: dict[str, Any]) -> tuple[str, str] | None:
    """Return the luminances of a picture's ground and of the page, in words, and which picture, where they differ."""
    shot = await tab.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=picture["clip"])
    ground = ground_of(base64.b64decode(shot["data"]))
    if abs(ground - picture["page"]) < LIKE_THE_PAGE:
        return None
    return f"{ground:.2f} on {picture['page']:.2f}", picture["said"]


def ground_of(png: bytes) -> float:
    """Return the luminance of what the edge of a picture shows most, from 0 to 1."""
    with Image.open(io.BytesIO(png)) as opened:
        rgb = np.asarray(opened.convert("RGB"), float) / 255
    light = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722)
    depth = 4  # px: rounded corners are of the page
    inner = light[depth:-depth, depth:-depth]
    return float(np.median(np.concatenate([inner[0], inner[-1], inner[:, 0], inner[:, -1]])))


def faults(path: Path, folder: Path, cases: tuple[tuple[int, str], ...] = CASES, theme: str | None = None) -> list[str]:
    """Return each fault of a page in words; a page without words is one."""
    wrong = []
    for found in asyncio.run(measured(path, folder, cases, theme)):
        case = found.pop("case")
        wrong += [] if found.pop("words") > 10 else [f"{case}: no words"]
        wrong += [f"{case}, {name}: {json.dumps(value)[:400]}" for name, value in found.items() if value]
    return wrong
