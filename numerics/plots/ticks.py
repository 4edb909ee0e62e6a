"""Ticks that read as numbers do: 2, 5, 10, 20 on a logarithmic axis of few decades, powers of ten on one of many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axis import Axis
from matplotlib.ticker import Formatter, LogLocator, MaxNLocator, NullFormatter

__all__ = ["DecadeTicks", "PlainNumbers", "logarithmic", "paired", "power_of_ten", "size_of"]

MANY = 2.0  # decades from which only powers of ten are named
FEW = 0.8  # below, evenly spaced numbers are
PLAIN = (-3, 3)  # powers of ten that are written out


class DecadeTicks(LogLocator):
    """Major ticks of a logarithmic axis: powers of ten over two decades and more, else multiples 1, 2 and 5, or fewer.

    >>> DecadeTicks().tick_values(3.0, 60.0).tolist(), DecadeTicks().tick_values(2.1, 4.4).tolist()
    ([5.0, 10.0, 20.0, 50.0], [2.5, 3.0, 3.5, 4.0])
    """

    def __init__(self) -> None:
        super().__init__(numticks=7)

    def tick_values(self, vmin: float, vmax: float) -> Any:
        """Return the ticks from vmin to vmax."""
        low, high = sorted((vmin, vmax))
        span = math.log10(high / low) if low > 0 else math.inf
        if span >= MANY:
            places = np.asarray(super().tick_values(low, high), float)
        elif span >= FEW:
            powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
            places = np.array([digit * 10.0**power for power in powers for digit in (1, 2, 5)])
        else:
            places = np.asarray(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high), float)
        return places[(places >= low * (1 - 1e-9)) & (places <= high * (1 + 1e-9))]


class PlainNumbers(Formatter):
    r"""Labels of a logarithmic axis: all written out where they are of few digits, all as powers of ten otherwise.

    >>> PlainNumbers().format_ticks([0.5, 1.0, 20.0]), PlainNumbers().format_ticks([1.0, 1e5])
    (['0.5', '1', '20'], ['$10^{0}$', '$10^{5}$'])
    """

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """Return one label a tick."""
        powers = [math.log10(value) for value in values if value > 0]
        long = bool(powers) and not (PLAIN[0] <= min(powers) and max(powers) <= PLAIN[1])
        return [power_of_ten(value) if long else f"{value:.6g}" for value in values]

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the label of one value, as a cursor shows it."""
        return f"{x:.6g}"


def power_of_ten(value: float) -> str:
    r"""Return a positive number as a power of ten, times a number of three digits where it is none.

    >>> power_of_ten(1000.0), power_of_ten(3e9)
    ('$10^{3}$', '$3 \\times 10^{9}$')
    """
    power = math.floor(math.log10(value) + 1e-9)
    leading = f"{value / 10.0**power:.3g}"
    return f"$10^{{{power}}}$" if leading == "1" else rf"${leading} \times 10^{{{power}}}$"


def size_of(number: float) -> str:
    """Return a positive number such as a dimension as it is written by hand, for a figure.

    >>> size_of(500), size_of(2500), size_of(10**4), size_of(25_000)
    ('500', '2500', '$10^{4}$', '25000')
    """
    is_power = abs(math.log10(number) - round(math.log10(number))) < 1e-9
    return power_of_ten(number) if number >= 1e5 or (number >= 1e3 and is_power) else f"{number:.6g}"


def paired(student: str, teacher: str) -> str:
    """Return what a figure calls student and teacher.

    >>> paired("relu", "relu"), paired("relu", "erf")
    ('relu', 'relu on erf')
    """
    return student if student == teacher else f"{student} on {teacher}"


def logarithmic(axis: Axis) -> None:
    """Give an axis whose scale is logarithmic these ticks."""
    axis.set_major_locator(DecadeTicks())
    axis.set_major_formatter(PlainNumbers())
    axis.set_minor_formatter(NullFormatter())
