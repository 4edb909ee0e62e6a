"""One SVG for light and dark pages: its own style turns ink, ground and series where the reader prefers dark."""

from __future__ import annotations

import re

import numpy as np

from numerics.plots.style import DARK

__all__ = ["GROUND", "INK", "for_light_and_dark", "turned"]

GROUND, INK = "#17181a", "#e8e6e3"
"""What white and black become."""
ATTRIBUTE = re.compile(rb'fill="(#[0-9a-f]{6})"')  # of the ground of a hatch
COLOUR = re.compile(rb"(?<=: )#[0-9a-f]{6}(?=[;\"])")


def turned(colour: str) -> str:
    """Return what a colour becomes on a dark page: greys change places, series grow lighter, areas stay.

    >>> turned("#ffffff"), turned("#0a4f8f"), turned("#21918c")
    ('#17181a', '#7fb7f0', '#21918c')
    """
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    if red == green == blue:
        ends = (np.array([int(end[start : start + 2], 16) for start in (1, 3, 5)]) for end in (INK, GROUND))
        ink, ground = ends
        return "#" + "".join(f"{round(part):02x}" for part in ink + red / 255 * (ground - ink))
    return {light.lower(): dark.lower() for light, dark in DARK.items()}.get(colour.lower(), colour)


def for_light_and_dark(svg: bytes) -> bytes:
    """Return an SVG of matplotlib whose colours follow the page's: each that turns is a variable of its own style.

    >>> svg = for_light_and_dark(b'<svg><defs/><g style="fill: #ffffff"/></svg>').decode()
    >>> svg.partition("<defs/>")[0], svg.partition("<defs/>")[2]
    ('<svg><style>@media (prefers-color-scheme:dark){svg{--ffffff:#17181a}}</style>',
     '<g style="fill: var(--ffffff,#ffffff)"/></svg>')
    """
    styled = ATTRIBUTE.sub(rb'style="fill: \1"', svg)
    colours = sorted({colour.decode() for colour in COLOUR.findall(styled)})
    other = {colour: turned(colour) for colour in colours if turned(colour) != colour}
    own = "".join(f"--{colour[1:]}:{dark};" for colour, dark in other.items()).rstrip(";")

    def variable(match: re.Match[bytes]) -> bytes:
        colour = match[0].decode()
        return f"var(--{colour[1:]},{colour})".encode() if colour in other else match[0]

    style = f"<style>@media (prefers-color-scheme:dark){{svg{{{own}}}}}</style>".encode()
    head, start, rest = COLOUR.sub(variable, styled).partition(b"<defs")
    return head + style + start + rest
