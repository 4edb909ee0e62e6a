r"""The verdict on one start: exact Monte Carlo against what was derived, agree, disagree or undecided.

*At one dimension* three numbers are compared, all in t = eta * step: the median exit time of the gradient flow, the
same with the two finite-size effects of SGD (`numerics.law.through_flow`: the prediction), and the median of the exact
simulation with a distribution-free 99 % interval. They agree if the prediction lies within the interval widened by

    |prediction - flow_exit| + eta + prediction / sqrt(d):

the whole of both corrections (their own next order is smaller), one step, and the relative fluctuation of overlaps in
dimension d. Where no escape is predicted (G = 0 and B <= 0), agreement means that fewer than half of the runs leave. A
mu that the flow or the budget cannot settle is undecided, which does not pass; so is one at which noise in u changes
the growth rate itself, by (g/d)/lambda, beyond 6 % (aligned, `numerics.law.noise_driven`), at the batch that was given.

*At several dimensions* the exit times at each d, with kappa = eta d / B fixed, meet the law in a Kolmogorov-Smirnov
test on the lattice of steps (`numerics.simulation.comparison.ks_law`), and over all d the slope of their medians in
log d meets tau/2 (where the law grows like a power of d: the slope of their logarithm meets that of the law's).

The law is a limit: at finite d the growth rate itself fluctuates with the samples, by O(kappa/d) beside lambda (felt
first near a critical strength and for steep students such as He_3), and a kink of the student's adds O(1/sqrt(d)). So
the smallest of three or more dimensions is shown but does not *count*, a rule fixed before the data. The verdict
on each mu is

    agree      no counted dimension is rejected (Holm-corrected p >= 0.005) and the 99.5 % interval of the slope covers
               tau/2: a law that holds is called wrong with a probability of at most 1 %;
    disagree   one of the two fails, by more than the law's `remainder` at these dimensions: every law whose quantiles
               are within it fails too;
    undecided  it fails within the remainder; or nothing fails, but the same data would also pass a law that is wrong
               on purpose (without the noise of SGD at the start, or with times 5 % longer, 25 % in a first passage:
               each has to be rejected with a Holm-corrected p < 0.001), or runs are missing (budget, censored or
               diverged runs).

Which law that is at each d, the closed formula, SGD's diffusion or its chain of whole steps, `numerics.law.choose`
says: the formula unless it is measurably off at this d, as where u leaves first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hermescape.verify.plan import Forecast, Job, Plan, counted
from hermescape.verify.report import Case, Measured, Row
from numerics.accuracy import CHECK_CONFIDENCE, CONTROL_LEVEL, LARGEST_LOSS, LARGEST_LOSS_OF_A_LAW, LEVEL
from numerics.law import Law, SampledLaw
from numerics.law.choose import name_of
from numerics.simulation.comparison import TestResult, holm, ks_law
from numerics.simulation.statistics import ExitSample, Status

__all__ = ["judge", "undecided"]

REDRAWN = 4000


def judge(job: Job, samples: Sequence[ExitSample]) -> Case:
    """Return the verdict on a start that was simulated."""
    return _by_law(job.plan, samples, job.seeds[-1]) if job.plan.laws else _by_median(job.plan, samples[0])


def undecided(job: Job) -> Case:
    """Return the case of a start that was not simulated."""
    plan = job.plan
    if plan.laws:
        expected = plan.slope(range(len(plan.sizes)))
        return _law_case(plan, (), (None, None, None), expected, ("undecided", job.reason))
    (forecast,) = plan.forecasts
    return Case(plan.place.mu, plan.place.rho, plan.tau, plan.lr, (_row(plan, forecast),), "undecided", job.reason)


def _row(plan: Plan, forecast: Forecast, sample: ExitSample | None = None, **others: object) -> Row:
    """Return what was expected and, where it was simulated, what was measured."""
    measured: dict[str, object] = {}
    if sample is not None:
        low, high = (sample.to_time(end) for end in sample.median_interval(CHECK_CONFIDENCE))
        measured = {"sgd_exit": sample.to_time(sample.median), "sgd_interval": (low, high)}
        measured |= {"runs": len(sample.status), **sample.counts._asdict()}
    return Row(
        mu=plan.place.mu,
        tau=plan.tau,
        d=forecast.d,
        batch=forecast.batch,
        kappa=plan.lr * forecast.d / forecast.batch,
        prediction=forecast.prediction,
        flow_exit=forecast.flow_exit,
        **{**measured, **others},  # type: ignore[arg-type]
    )


# --- one dimension ----------------------------------------------------------------------------------------------


def _by_median(plan: Plan, sample: ExitSample) -> Case:
    (forecast,) = plan.forecasts
    row = _row(plan, forecast, sample, tolerance=_tolerance(plan, forecast, sample))
    place, samples = plan.place, (Measured(sample),)
    return Case(place.mu, place.rho, plan.tau, plan.lr, (row,), *_compared(row), samples=samples)


def _tolerance(plan: Plan, forecast: Forecast, sample: ExitSample) -> float | None:
    """What the prediction may be off by; None where it, or the measured median, does not exist."""
    if forecast.flow_exit is None or forecast.prediction is None or None in sample.median_interval(CHECK_CONFIDENCE):
        return None
    return abs(forecast.prediction - forecast.flow_exit) + plan.lr + forecast.prediction / math.sqrt(forecast.d)


def _compared(row: Row) -> tuple[str, str]:
    """Return the verdict and its reason."""
    low, high = row.sgd_interval
    if row.flow_exit is None:
        leaves = row.sgd_exit is not None
        return ("disagree", "no escape predicted, but SGD leaves") if leaves else ("agree", "no escape")
    if row.prediction is None:
        return "disagree", "SGD noise stalls the predicted exit, raise the batch"
    if low is None or high is None or row.tolerance is None:
        return "disagree", "the median of SGD is not bounded (censored or diverged runs)"
    inside = low - row.tolerance <= row.prediction <= high + row.tolerance
    return "agree" if inside and row.diverged < LARGEST_LOSS * row.runs else "disagree", ""


# --- several dimensions -----------------------------------------------------------------------------------------


def _by_law(plan: Plan, samples: Sequence[ExitSample], seed: int) -> Case:
    tests = [
        [
            *(ks_law(sample, variant.cdf) for variant in (law, law.without_noise(), law.slower(plan.control))),
            ks_law(sample, law.cdf, leeway=_leeway(law), margin=_margin(law)),
        ]
        for law, sample in zip(plan.laws, samples, strict=True)
    ]
    counts = counted(plan.sizes)
    known = iter(holm([own.p_value for (own, *_), looked_at in zip(tests, counts, strict=True) if looked_at]))
    adjusted = [next(known) if looked_at else None for looked_at in counts]
    rows = tuple(
        _law_row(plan, forecast, sample, test, p_holm)
        for forecast, sample, test, p_holm in zip(plan.forecasts, samples, tests, adjusted, strict=True)
    )
    kept = [index for index, looked_at in enumerate(counts) if looked_at]
    sizes = [plan.sizes[i] for i in kept]
    expected = plan.slope(kept)
    slope = _slope([samples[i] for i in kept], sizes, plan.lr, seed, logarithm=plan.scaled)
    leeway = _slope_leeway([plan.laws[i] for i in kept], sizes, scaled=plan.scaled)
    verdict = _verdict(plan, [rows[i] for i in kept], slope, expected, leeway)
    return _law_case(plan, rows, slope, expected, verdict, tuple(map(Measured, samples, plan.laws)))


def _law_row(
    plan: Plan, forecast: Forecast, sample: ExitSample, tests: Sequence[TestResult], adjusted: float | None
) -> Row:
    assert forecast.law is not None  # else medians are compared
    own, quiet, slow, within = tests
    return _row(
        plan,
        forecast,
        sample,
        law=name_of(forecast.law),
        distance=own.statistic,
        counts=adjusted is not None,
        p_value=own.p_value,
        p_holm=adjusted,
        tolerance=_leeway(forecast.law) or None,
        p_within_remainder=within.p_value,
        p_without_noise=quiet.p_value,
        p_slower=slow.p_value,
    )


def _law_case(
    plan: Plan,
    rows: tuple[Row, ...],
    slope: _Slope,
    expected: float,
    verdict: tuple[str, str],
    samples: tuple[Measured, ...] = (),
) -> Case:
    law = plan.laws[-1]
    return Case(
        plan.place.mu,
        plan.place.rho,
        plan.tau,
        plan.lr,
        rows,
        *verdict,
        regime=law.regime,
        constant=law.constant,
        constant_error=law.constant_error,
        slope=slope[0],
        slope_interval=slope[1:],
        slope_law=expected,
        slope_of="log median" if plan.scaled else "median",
        control_factor=plan.control,
        samples=samples,
    )


_Slope = tuple[float | None, float | None, float | None]
"""Slope of the median in log d, and the ends of its interval."""


def _slope(samples: Sequence[ExitSample], sizes: Sequence[int], eta: float, seed: int, *, logarithm: bool) -> _Slope:
    """Least squares over log d, with medians redrawn as the sample's quantile at U ~ Beta((n + 1)/2, (n + 1)/2).

    That is the law of F at the median of n draws whatever F, so the interval has no distribution in it. With
    `logarithm` it is the slope of the logarithm of the median.
    """
    rng = np.random.Generator(np.random.SFC64(seed))
    at = np.log(np.asarray(sizes, dtype=np.float64))
    weights = (at - at.mean()) / np.sum((at - at.mean()) ** 2)
    centre, redrawn = 0.0, np.zeros(REDRAWN)
    for sample, weight in zip(samples, weights, strict=True):
        times = np.sort(np.where(sample.status == Status.EXITED, eta * sample.exit_steps, np.inf))
        n = len(times)
        ranks = (n * rng.beta((n + 1) / 2, (n + 1) / 2, REDRAWN)).astype(np.int64)
        if sample.median is None or not np.isfinite(times[ranks.max()]):
            return None, None, None
        scale = np.log if logarithm else np.asarray
        centre += weight * float(scale(eta * sample.median))
        redrawn += weight * scale(times[ranks])
    low, high = np.quantile(redrawn, [LEVEL / 2, 1 - LEVEL / 2])
    return float(centre), float(low), float(high)


def _leeway(law: Law) -> float:
    """The modulus of the law's remainder, by which it does not claim to be right; 0 for a law without one."""
    remainder = abs(getattr(law, "remainder", math.nan))
    return 0.0 if math.isnan(remainder) else remainder


def _margin(law: Law) -> float:
    """The error of a sampled law's distribution function; 0 for a formula."""
    return law.error if isinstance(law, SampledLaw) else 0.0


def _slope_leeway(laws: Sequence[Law], sizes: Sequence[int], *, scaled: bool) -> float:
    """What the remainders, or the errors of sampled medians, may change the slope by."""
    at = np.log(np.asarray(sizes, dtype=np.float64))
    weights = np.abs(at - at.mean()) / np.sum((at - at.mean()) ** 2)
    known = [law.constant_error if isinstance(law, SampledLaw) else _leeway(law) for law in laws]
    shares = (one / (law.median if scaled else 1) for one, law in zip(known, laws, strict=True))
    return float(sum(w * share for w, share in zip(weights, shares, strict=True)))


def _verdict(plan: Plan, rows: Sequence[Row], slope: _Slope, expected: float, leeway: float) -> tuple[str, str]:
    """Return the verdict and its reason."""
    if any(row.diverged > LARGEST_LOSS_OF_A_LAW * row.runs for row in rows):
        return "undecided", "runs diverged, and the law says nothing of those that did not: lower --lr"
    failed = [row for row in rows if row.p_holm is not None and row.p_holm < LEVEL]
    where = ", ".join(f"d = {row.d:g} (p = {row.p_holm:.1e})" for row in failed)
    if failed and min(holm([row.p_within_remainder for row in rows])) < LEVEL:
        return "disagree", f"the exit times reject the law at {where}"
    if failed:
        return "undecided", f"the exit times reject the law at {where}, but by no more than what it leaves out there"
    _, low, high = slope
    if low is None or high is None:
        return "undecided", "censored runs leave the median open: lower --lr or --kappa"
    if not low <= expected <= high:
        off = f"the slope lies in [{low:.4g}, {high:.4g}], not at the law's {expected:.4g}"
        if low - leeway <= expected <= high + leeway:
            return "undecided", f"{off}, but by no more than what the law leaves out, {leeway:.2g}"
        return "disagree", off
    controls = {
        "without its noise term": [row.p_without_noise for row in rows],
        f"with times {plan.control:g} as long": [row.p_slower for row in rows],
    }
    weak = [name for name, values in controls.items() if min(holm(values)) >= CONTROL_LEVEL]
    if weak:
        return "undecided", f"the data also pass the law {' and '.join(weak)}: more --replicas or a larger --kappa"
    return "agree", ""
