"""Lengths as one writes them for a column of a paper: 3.4in, 86mm, 246pt."""

import math
import re

__all__ = ["INCH", "points"]

INCH = 72.27
"""points of TeX"""
UNITS = {"in": INCH, "cm": INCH / 2.54, "mm": INCH / 25.4, "pt": 1.0}
LENGTH = re.compile(r"(\d{1,4}(?:\.\d{0,6})?|\.\d{1,6}) ?(in|cm|mm|pt)")


def points(text: str) -> float:
    r"""Return a length in points of TeX, as in \columnwidth = 246.0pt; NaN for anything else than a number and a unit.

    >>> points("3in"), points("345 pt"), points("3 feet")
    (216.81, 345.0, nan)
    """
    match = LENGTH.fullmatch(text.strip())
    return float(match[1]) * UNITS[match[2]] if match else math.nan
