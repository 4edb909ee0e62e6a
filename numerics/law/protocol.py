"""What every law of an exit time offers, and the setting that it holds in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from numerics.accuracy import LAW_RTOL
from numerics.flows.engines.problem import Engine
from theory.errors import ParameterError

__all__ = ["Law", "Setting", "check_level"]


class Law(Protocol):
    """The law of an exit time T, in t = eta * step; T may be infinite with a positive probability."""

    @property
    def regime(self) -> str:
        """How the start is left."""
        ...

    @property
    def tau(self) -> float | None:
        """The search time, at this step size; None where growth is not exponential."""
        ...

    @property
    def power(self) -> float:
        """T grows like d^power, times log d where growth is exponential."""
        ...

    @property
    def unit(self) -> float:
        """The scale of T's fluctuations: tau, the standard deviation, or the median; (T - median)/unit collapses."""
        ...

    @property
    def slope_log_d(self) -> float:
        """d(median)/d(log d)."""
        ...

    @property
    def constant(self) -> float:
        """What an integration along the flow gives: C, in units of tau, or the deterministic time."""
        ...

    @property
    def constant_error(self) -> float:
        """An estimate of its error."""
        ...

    @property
    def escaping(self) -> float:
        """The probability that T is finite."""
        ...

    @property
    def mean(self) -> float:
        """E T."""
        ...

    @property
    def median(self) -> float:
        """The median of T."""
        ...

    def cdf(self, t: float) -> float:
        """P(T <= t)."""
        ...

    def quantile(self, level: float) -> float:
        """The time by which a fraction `level` of runs has left; infinite where fewer ever do."""
        ...

    @property
    def plot(self) -> Any:
        """Draws P(T <= t)."""
        ...

    def without_noise(self) -> Law:
        """The same law without SGD's noise, which is wrong at kappa > 0: a control."""
        ...

    def slower(self, factor: float) -> Law:
        """The same law with every time multiplied by `factor`: a control."""
        ...


@dataclass(frozen=True)
class Setting:
    """What a law is asked for: dimension d, threshold R, kappa = eta d / B and step size eta (0: infinitesimal).

    `rtol` is the relative tolerance of the integrations behind its constants, `engine` what integrates (`Native()` by
    default).
    """

    dimension: float
    threshold: float
    kappa: float
    step_size: float
    rtol: float = LAW_RTOL
    engine: Engine | str | None = None


def check_level(level: float) -> None:
    """Raise `ParameterError` unless `level` is a probability strictly between 0 and 1."""
    if not 0 < level < 1:
        raise ParameterError(f"level = {level!r} given; accepted: a number in (0, 1); the median is 0.5.")
