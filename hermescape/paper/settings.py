"""What every figure shares: the paper's setting, the links, and how much work a run spends.

The runs of arXiv:2602.02855 have d = 1000, B = 500, eta = 0.2 (divided by k! k for the link He_k), u0 = d^-2.
`Settings` says how fine the curves are and how many runs are drawn; its fields, with the version, decide whether a
figure on disk is the one asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from math import factorial
from typing import TypeVar

from theory.errors import ParameterError

__all__ = ["BATCH", "DIMENSION", "ETA", "EVEN", "LINKS", "ODD", "Advance", "Settings", "divisor", "step_size"]

DIMENSION, BATCH, ETA = 1000, 500, 0.2
LINKS = ("linear", "erf", "relu", "sigmoid")
EVEN, ODD = ("he2", "he6", "he10"), ("he3", "he5", "he7")

Value = TypeVar("Value")
Advance = Callable[[int, int], None]
"""Called with the units of work done and those in all."""


@dataclass(frozen=True)
class Settings:
    """How a figure is made.

    Attributes:
        quick: the coarse version, all figures in about two minutes.
        seed: non-negative; fixes every simulation.
        threads: worker threads; no effect on the result.
    """

    quick: bool = False
    seed: int = 0
    threads: int | None = None

    def __post_init__(self) -> None:
        for name, value, least in (("seed", self.seed, 0), ("threads", self.threads, 1)):
            if value is not None and (not isinstance(value, int) or value < least):
                raise ParameterError(f"{name} = {value!r} given; accepted: an integer >= {least}.")

    def pick(self, full: Value, quick: Value) -> Value:
        """Return the value for this amount of work."""
        return quick if self.quick else full

    @property
    def key(self) -> dict[str, int | str]:
        """What decides the numbers of a figure, as attributes of its data."""
        return {"quick": int(self.quick), "seed": self.seed, "version": version("hermescape")}

    @property
    def alignments(self) -> tuple[float, ...]:
        """Return the mu that are simulated."""
        return self.pick(tuple(round(0.1 * k, 1) for k in range(1, 10)), (0.2, 0.5, 0.7))

    @property
    def samples(self) -> float:
        """Samples that one point of a curve may draw."""
        return self.pick(1e9, 1.5e7)

    def replicas(self, steps: float, *, least: int, most: int, batch: int = BATCH) -> int:
        """Return how many runs of so many steps the samples of a point pay for, between `least` and `most`.

        >>> Settings().replicas(1e4, least=40, most=400), Settings(quick=True).replicas(1e9, least=8, most=400)
        (200, 8)
        """
        return int(min(most, max(least, self.samples / (steps * batch))))


def divisor(link: str) -> int:
    """Return what the paper divides eta by: k! k for He_k, 1 for every other link.

    >>> divisor("he3"), divisor("relu")
    (18, 1)
    """
    degree = int(link[2:]) if link.startswith("he") else 0
    return factorial(degree) * degree if degree else 1


def step_size(link: str) -> float:
    """Return the step size of the runs of this link.

    >>> step_size("erf"), round(step_size("he3"), 6)
    (0.2, 0.011111)
    """
    return ETA / divisor(link)
