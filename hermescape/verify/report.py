"""What a check found: for each start a case with its verdict, for each dimension of it a row."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.law import Law
from numerics.simulation.statistics import ExitSample, Status
from theory.shown import Row as Quantity
from theory.shown import Shown, short

__all__ = ["Case", "Measured", "Report", "Row"]

Interval = tuple[float | None, float | None]


@dataclass(frozen=True)
class Row:
    """One start at one dimension; times in t = eta * step, None where infinite or not reached.

    Attributes:
        mu: alignment of w0; None without one.
        tau: search time of the flow at one dimension, that of the law at several.
        d: dimension.
        batch: B; and `kappa` = eta d / B.
        prediction: median exit of SGD, by the flow (one dimension) or by the law (several).
        flow_exit: median exit of the flow, at one dimension.
        sgd_exit: median exit of the runs.
        sgd_interval: its distribution-free 99 % interval.
        tolerance: what the prediction may be off by; the remainder of the law.
        runs: of which `exited`, `censored` and `diverged`.
        counts: whether the verdict looks at this dimension.
        law: what the law comes from: formula, diffusion, chain, noise-driven, ballistic or passage.
        distance: of Kolmogorov and Smirnov, with the p-values of their tests; NaN at one dimension.
    """

    mu: float | None
    tau: float | None
    d: int
    batch: int
    kappa: float
    prediction: float | None
    flow_exit: float | None = None
    sgd_exit: float | None = None
    sgd_interval: Interval = (None, None)
    tolerance: float | None = None
    runs: int = 0
    exited: int = 0
    censored: int = 0
    diverged: int = 0
    counts: bool = True
    law: str = ""
    distance: float = math.nan
    p_value: float = math.nan
    p_holm: float | None = None
    p_within_remainder: float = math.nan
    p_without_noise: float = math.nan
    p_slower: float = math.nan


@dataclass(frozen=True)
class Measured:
    """The runs of one row, and the law that they were tested against, if any."""

    sample: ExitSample
    law: Law | None = None

    @property
    def d(self) -> int:
        """The dimension."""
        return self.sample.experiment.sgd.dimension

    @property
    def times(self) -> NDArray[np.float64]:
        """Exit times t = eta * step of the runs that did not diverge, infinite where censored."""
        sample = self.sample
        times = np.where(sample.status == Status.EXITED, sample.experiment.sgd.step_size * sample.exit_steps, np.inf)
        return times[sample.status != Status.DIVERGED]


@dataclass(frozen=True)
class Case(Shown):
    """One start: what is expected, what was measured, and the verdict: agree, disagree or undecided, and a reason.

    At several dimensions `regime`, `constant` and the slope (of `slope_of` in log d) are those of the law.
    """

    shows = "mu, rho, verdict, reason, regime, tau, constant ± constant_error, lr, slope, slope_interval, slope_law"

    mu: float | None
    rho: float | None
    tau: float | None
    lr: float
    rows: tuple[Row, ...]
    verdict: str
    reason: str
    regime: str = ""
    constant: float = math.nan
    constant_error: float = math.nan
    slope: float | None = None
    slope_interval: Interval = (None, None)
    slope_law: float = math.nan
    slope_of: str = ""
    control_factor: float = math.nan
    samples: tuple[Measured, ...] = field(default=(), repr=False, compare=False)

    @property
    def passed(self) -> bool:
        """Whether theory and simulation agree."""
        return self.verdict == "agree"

    @property
    def sample(self) -> ExitSample | None:
        """The runs at the first dimension; None where nothing was simulated."""
        return self.samples[0].sample if self.samples else None

    @property
    def sentence(self) -> str:
        """The verdict and its reason."""
        return f"{self.verdict}: {self.reason}" if self.reason else self.verdict


@dataclass(frozen=True)
class Report(Shown):
    """The cases of a check and the settings that fix them."""

    shows = "passed"

    cases: tuple[Case, ...]
    settings: dict[str, object]

    @property
    def passed(self) -> bool:
        """Whether every case agrees."""
        return all(case.passed for case in self.cases)

    @property
    def brief(self) -> str:
        """The verdicts."""
        return f"{'passed' if self.passed else 'failed'}: {', '.join(case.verdict for case in self.cases)}"

    def quantities(self) -> list[Quantity]:
        """The verdict of all, and of each start what was expected, what was measured, and why it agrees or does not."""
        rows = [(f"cases[{i}]", case, row) for i, case in enumerate(self.cases) for row in case.rows]
        return [*super().quantities(), *(Quantity(name, _measured(row), _place(case, row)) for name, case, row in rows)]

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows of all cases: one each at one dimension."""
        return tuple(row for case in self.cases for row in case.rows)

    @property
    def at_one_dimension(self) -> bool:
        """Whether medians at one dimension were compared, not laws at several."""
        return isinstance(self.settings["d"], int)

    def as_dict(self) -> dict[str, object]:
        """Return plain numbers for JSON: `rows` at one dimension, `cases` with rows of their own at several."""
        if self.at_one_dimension:
            key, parts = "rows", [{**_named(case.rows[0], MEDIANS), "verdict": case.sentence} for case in self.cases]
        else:
            key = "cases"
            parts = [
                {**_named(case, CASE), "certified": False, "rows": [_named(row, LAW) for row in case.rows]}
                for case in self.cases
            ]
        return {"passed": self.passed, key: parts, "settings": self.settings}


def _measured(row: Row) -> str:
    low, high = map(short, row.sgd_interval)
    expected = "not reached" if row.prediction is None else short(row.prediction)
    return f"predicted t = {expected}, SGD {'none' if row.sgd_exit is None else short(row.sgd_exit)} ({low} to {high})"


def _place(case: Case, row: Row) -> str:
    at = {"mu": case.mu, "rho": case.rho, "d": row.d, "kappa": row.kappa}
    return f"{', '.join(f'{name} = {short(x)}' for name, x in at.items() if x is not None)}: {case.sentence}"


COUNTS = {name: name for name in ("exited", "censored", "diverged")}
MEDIANS = {
    name: name for name in ("mu", "tau", "flow_exit", "prediction", "sgd_exit", "sgd_interval", "tolerance")
} | COUNTS
LAW = {
    **{name: name for name in ("d", "batch", "kappa", "runs")},
    **COUNTS,
    **{"median": "sgd_exit", "law_median": "prediction", "law": "law", "distance": "distance", "counts": "counts"},
    **{"p_value": "p_value", "p_holm": "p_holm", "remainder": "tolerance"},
    **{name: name for name in ("p_within_remainder", "p_without_noise", "p_slower")},
}
"""Keys in JSON, and the fields that they show."""
CASE = {
    name: name
    for name in (
        *("mu", "rho", "regime", "tau", "constant", "constant_error", "lr", "rows", "slope", "slope_interval"),
        *("slope_law", "slope_of", "control_factor", "verdict", "reason"),
    )
}


def _named(part: Row | Case, keys: dict[str, str]) -> dict[str, Any]:
    return {key: getattr(part, name) for key, name in keys.items()}
