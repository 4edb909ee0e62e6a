"""Options of every command that draws: the figure's file, width and style."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from hermescape.cli import options
from hermescape.output import save
from theory.errors import ParameterError
from theory.typeset.lengths import INCH, points

__all__ = ["LookOf", "Picture", "Width", "parse_width", "picture", "plot_option"]


def plot_option(meaning: str) -> Any:
    """Return the option --plot of a command, for `Annotated`."""
    return typer.Option("--plot", metavar="FILE.png|pdf|svg", help=f"{meaning}; the ending says the format")


Width = Annotated[str | None, typer.Option("--width", metavar="W", help="of the figure: 3.4in, 86mm, 8.6cm or 246pt")]
LookOf = Annotated[
    Literal["paper", "screen", "slides"] | None,
    typer.Option("--style", help="of the figure: sizes, fonts, title or none; paper with --width, else screen"),
]
NARROWEST, WIDEST = 2.0, 40.0  # inches


def parse_width(text: str) -> float:
    r"""Return a width in inches; points are those of TeX, as in \columnwidth = 246.0pt.

    >>> parse_width("3.4in"), round(parse_width("246pt"), 3)
    (3.4, 3.404)
    """
    inches = points(text) / INCH
    if not NARROWEST <= inches <= WIDEST:
        raise ParameterError(
            f"--width {text!r} given; accepted: a number with in, cm, mm or pt, such as 3.4in, from 2in to 40in."
        )
    return inches


@dataclass(frozen=True)
class Picture:
    """A figure that was asked for: its file, style and width in inches, None for that of the style."""

    path: Path
    style: str
    width: float | None

    def save(self, figure: Any) -> None:
        """Write a figure of matplotlib, in the format that the file's ending says."""
        save(self.path, figure.savefig)


def picture(plot: Path | None, width: str | None, style: str | None, force: bool) -> Picture | None:
    """Return the figure that the options ask for; refuse one that could not be written, before any work is done."""
    if plot is None:
        for name, value in (("--width", width), ("--style", style)):
            if value is not None:
                raise ParameterError(f"{name} without --plot given; accepted: it with --plot FILE.pdf.")
        return None
    inches = None if width is None else parse_width(width)
    options.check_output(plot, ".png", force, *_other_formats())
    return Picture(plot, style or ("screen" if width is None else "paper"), inches)


def _other_formats() -> list[str]:
    """Return the endings that matplotlib writes here, the common ones first, without .png."""
    import matplotlib as mpl
    from matplotlib.backend_bases import FigureCanvasBase

    known = set(FigureCanvasBase.get_supported_filetypes()) - {"png", "pdf", "svg", "raw", "rgba"}
    if shutil.which(mpl.rcParams["pgf.texsystem"]) is None:
        known.discard("pgf")
    return [".pdf", ".svg", *(f".{name}" for name in sorted(known))]
