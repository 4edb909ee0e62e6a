"""Samples of exit times: counts, order statistics under censoring, distribution-free intervals.

A run that reached `max_steps` without exit is *right-censored*: its exit step is known only to be larger.
Order statistics count it as +inf, and one that falls among the censored runs is None, never a number. A
*diverged* run has no exit time at all: it is left out of order statistics (which are conditional on not
diverging) and always counted in `counts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy
from numpy.typing import NDArray

from numerics.accuracy import CONFIDENCE
from numerics.simulation.experiment import Experiment
from numerics.simulation.state import Status, layout, overlaps
from theory.errors import ParameterError
from theory.lazy import Provided
from theory.shown import Row, Shown, short

if TYPE_CHECKING:
    from numerics.labelled import Labelled

__all__ = ["Counts", "ExitSample", "Interval", "Stages", "Status"]

_MEANINGS = {
    "medi": "half of the runs that do not diverge have exited by then",
    "mean": "of all exit steps; not known if a run is censored",
    "quan": "that share of the runs has exited by then",
}
LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


class Counts(NamedTuple):
    """Number of runs by how they ended."""

    exited: int
    censored: int
    diverged: int


class Interval(NamedTuple):
    """A confidence interval; an end is None where the sample does not bound it."""

    lower: float | None
    upper: float | None


@dataclass(frozen=True, eq=False)
class ExitSample(Shown):
    """How each replica ended; every array has shape (replicas,).

    Statistics are in units of SGD steps; `to_time` turns them into t = eta * step. Raises `ParameterError`
    for arrays of another shape.

    >>> from theory.network.derivation import derive
    >>> setting = Experiment.of(derive("linear").network, mu=0.5, dimension=100, batch=50, step_size=0.2, replicas=4)
    >>> ends = np.array([30, 10, -1, 20]), np.array([0, 0, 1, 0])
    >>> sample = ExitSample(setting, *ends, state=np.full((3, 4), 0.5))
    >>> sample.counts, sample.median, sample.mean, sample.to_time(sample.median)
    (Counts(exited=3, censored=1, diverged=0), 25.0, None, 5.0)
    >>> sample.final.u.values
    array([0.5, 0.5, 0.5, 0.5])
    """

    shows = "counts, experiment"

    plot = Provided()
    """draws the share of runs that have left by t"""

    experiment: Experiment
    """what was simulated"""
    exit_steps: NDArray[np.int64]
    """first step with |m| >= threshold; -1 where there is none"""
    status: NDArray[np.int8]
    """a `Status`"""
    state: NDArray[np.float64]
    """the state at the end of the run (last finite one if diverged): a row for each name of its `layout`"""
    stage: int = 0
    """0 for a run from the start, k for one that continues stage k - 1"""

    def __post_init__(self) -> None:
        names, runs = layout(self.experiment).names, self.experiment.replicas
        shapes = [self.exit_steps.shape, self.status.shape, self.state.shape]
        if shapes != [(runs,), (runs,), (len(names), runs)]:
            raise ParameterError(
                f"arrays of shapes {shapes} given; accepted: ({runs},) twice and ({len(names)}, {runs}); "
                f"give one entry a replica, and rows for {', '.join(names)}"
            )

    @cached_property
    def final(self) -> Labelled:
        """Where each replica ended: trained scalars and overlaps, and the coordinates of the trained vectors.

        `v_1`, ... are those of v/|v| in the basis of the frozen vectors, `v_across` is the rest and `v_length` |v|.
        """
        entries, place = overlaps(self.experiment, self.state), layout(self.experiment)
        rows = zip(place.names, place.meanings, self.state, strict=True)
        parts = {name: ("replica", row, {"long_name": word, "units": "1"}) for name, word, row in rows}
        every = entries.assign({name: part for name, part in parts.items() if name not in entries})
        return every.assign_attrs(title="Ends of runs of SGD")

    @property
    def brief(self) -> str:
        """How the runs ended, and their median."""
        return f"{short(self.counts)}, median {self._in_both(self.median)}"

    @property
    def counts(self) -> Counts:
        """Exited, censored and diverged runs; they add up to the replicas."""
        return Counts(*(int(np.count_nonzero(self.status == status)) for status in Status))

    def ordered(self) -> NDArray[np.float64]:
        """Exit steps in ascending order, +inf for censored runs, without the diverged ones."""
        steps = np.where(self.status == Status.EXITED, self.exit_steps, np.inf)
        return np.sort(steps[self.status != Status.DIVERGED])

    def quantile(self, level: float) -> float | None:
        """Return a quantile of the exit step, interpolated at (n - 1) level; None if it needs a censored run.

        Raises `ParameterError` for a level outside [0, 1].
        """
        if not 0 <= level <= 1:
            raise ParameterError(f"level = {level!r} given; accepted: a number in [0, 1]; the median is 0.5")
        ordered = self.ordered()
        if not len(ordered):
            return None
        position = (len(ordered) - 1) * level
        below, above = ordered[int(np.floor(position))], ordered[int(np.ceil(position))]
        return None if np.isinf(above) else float(below + (position % 1) * (above - below))

    def quantiles(self, levels: Sequence[float] = LEVELS) -> dict[float, float | None]:
        """Return `quantile` at several levels."""
        return {level: self.quantile(level) for level in levels}

    @property
    def median(self) -> float | None:
        """Median exit step; None when half of the runs or more are censored."""
        return self.quantile(0.5)

    @property
    def mean(self) -> float | None:
        """Mean exit step; None as soon as one run is censored, since it is then unknown."""
        ordered = self.ordered()
        return float(np.mean(ordered)) if len(ordered) and np.isfinite(ordered[-1]) else None

    def median_interval(self, confidence: float = CONFIDENCE) -> Interval:
        """Distribution-free interval of the median: two order statistics of the exit step.

        With N ~ Binomial(n, 1/2) runs below the median, [T_(j), T_(n+1-j)] covers it with probability
        1 - 2 P(N < j) at least; j is the largest with P(N < j) <= (1 - confidence) / 2. Raises
        `ParameterError` for a confidence outside (0, 1).
        """
        if not 0 < confidence < 1:
            raise ParameterError(f"confidence = {confidence!r} given; accepted: a number in (0, 1); try 0.95")
        ordered = self.ordered()
        n = len(ordered)
        rank = int(np.searchsorted(scipy.special.bdtr(np.arange(n), n, 0.5), (1 - confidence) / 2, side="right"))
        if rank == 0:
            return Interval(None, None)
        return Interval(*(float(end) if np.isfinite(end) else None for end in ordered[[rank - 1, n - rank]]))

    def to_time(self, steps: float | None) -> float | None:
        """Convert a number of steps into time, t = eta * step; None stays None."""
        return None if steps is None else self.experiment.sgd.step_size * steps

    def exit_times(self) -> NDArray[np.float64]:
        """Return t = eta * step of the runs that exited, in the order of the replicas."""
        steps = self.exit_steps[self.status == Status.EXITED].astype(np.float64)
        return np.multiply(self.experiment.sgd.step_size, steps, dtype=np.float64)

    def quantities(self) -> list[Row]:
        """Counts, and the exit in steps and in t = eta * step."""
        known = {"median": self.median, "mean": self.mean, **{f"quantile({q})": self.quantile(q) for q in (0.05, 0.95)}}
        exits = [Row(name, self._in_both(steps), _MEANINGS[name[:4]]) for name, steps in known.items()]
        low, high = map(self._in_both, self.median_interval())
        interval = Row("median_interval()", f"{low} to {high}", f"it covers the median, confidence {CONFIDENCE:g}")
        return [*super().quantities(), exits[0], interval, *exits[1:]]

    def _in_both(self, steps: float | None) -> str:
        """A number of steps and its time; None where too many runs are censored."""
        return "not reached" if steps is None else f"{short(steps)} steps (t = {short(self.to_time(steps))})"

    def to_dataset(self) -> Labelled:
        """Return the sample as labelled arrays; the attributes hold every parameter and the counts."""
        from numerics.labelled import Labelled

        variables: dict[str, Any] = {
            "exit_step": (
                "replica",
                self.exit_steps,
                {"long_name": "first step with |m| >= threshold", "units": "SGD steps", "missing": -1},
            ),
            "status": ("replica", self.status, {"long_name": "0 exited, 1 censored, 2 diverged", "units": "1"}),
        }
        for name, values in self.final.data_vars.items():
            meaning = f"{values.attrs['long_name']} at the end"
            variables[f"final_{name}"] = ("replica", values.values, {"long_name": meaning, "units": "1"})
        counts = {f"count_{name}": count for name, count in self.counts._asdict().items()}
        conventions = {"time": "t = step_size * step", "noise_meaning": "variance of the label noise"}
        attributes = {
            "title": "Runs of SGD",
            **self.experiment.parameters(),
            **counts,
            **conventions,
            "stage": self.stage,
        }
        if self.experiment.caution is not None:
            attributes["caution"] = self.experiment.caution
        replica = ("replica", np.arange(len(self.status)), {"long_name": "run"})
        return Labelled(variables, {"replica": replica}, attributes)


@dataclass(frozen=True, eq=False)
class Stages(Shown):
    """Samples of consecutive stages of training; iterates over them.

    Raises `ParameterError` if there are none.
    """

    samples: tuple[ExitSample, ...]

    def __post_init__(self) -> None:
        if not self.samples:
            raise ParameterError("no stages given; accepted: one or more; give at least one experiment")

    def __iter__(self) -> Iterator[ExitSample]:
        return iter(self.samples)

    def quantities(self) -> list[Row]:
        """The sample of every stage."""
        return [Row(f"samples[{k}]", sample.counts, f"stage {k}: {sample.brief}") for k, sample in enumerate(self)]

    @property
    def steps(self) -> NDArray[np.int64]:
        """Steps over all stages, shape (replicas,), to the end of the last one; -1 where the replica diverged."""
        taken = (np.where(s.status == Status.EXITED, s.exit_steps, s.experiment.stop.max_steps) for s in self.samples)
        return np.where(self.samples[-1].status == Status.DIVERGED, -1, sum(taken))

    @property
    def total(self) -> ExitSample:
        """The exit of the last stage, with steps counted from the start of the first.

        Replicas censored in the last stage have different totals. So that order statistics stay exact, the whole
        sample is censored at the smallest of them, which becomes `max_steps` of the experiment (that of the last
        stage otherwise). Raises `ParameterError` if step sizes differ, since t = eta * step is then undefined.
        """
        last, steps = self.samples[-1], self.steps
        sizes = [sample.experiment.sgd.step_size for sample in self.samples]
        if len(set(sizes)) > 1:
            raise ParameterError(
                f"stages with step sizes {sizes} given; accepted: equal ones, or there is no common time; "
                "use `steps`, or one stage's own sample"
            )
        horizon = np.min(steps[last.status == Status.CENSORED], initial=sum(s.experiment.stop.max_steps for s in self))
        status = np.where((last.status == Status.EXITED) & (steps > horizon), Status.CENSORED, last.status)
        return replace(
            last,
            experiment=last.experiment.but(max_steps=int(horizon)),
            exit_steps=np.where(status == Status.EXITED, steps, -1).astype(np.int64),
            status=status.astype(np.int8),
        )
