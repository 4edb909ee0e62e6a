r"""The test of the law: exact Monte Carlo at several dimensions against the derived law of the exit time.

At each d, with kappa = eta d / B fixed, the exit times of independent runs meet the law in a Kolmogorov-Smirnov test on
the lattice of steps (`numerics.simulation.statistics.ks_law`), and over all d the slope of their medians in log d meets
tau/2 (where the law grows like a power of d: the slope of their logarithm meets that of the law's).

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
               diverged runs); or u leaves first:
               for B > 0 linear escape needs |alpha| G sqrt(d)/lambda >> 1 at every d that counts, or m is not yet on
               the unstable manifold when u sets out, and nothing is simulated below 30.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sympy import Expr

from hermescape.verify.at_one_dimension import require_slope
from hermescape.verify.plan import FEWEST_RUNS, Pair, Plan, affordable, plan_of
from numerics.law import Law
from numerics.rates.search_time import search_time
from numerics.simulation.montecarlo import simulate
from numerics.simulation.statistics import ExitSample, Status, TestResult, holm, ks_law
from theory.errors import ParameterError
from theory.language.activations import Activation
from theory.network.system import System

__all__ = ["LawCase", "LawReport", "LawRow", "LawSample", "check_law"]

LEVEL = 0.005
CONTROL_LEVEL = 1e-3
REDRAWN = 4000
LOST = 0.005  # of the runs may diverge
DEFAULT_DIMENSIONS = (1_000, 10_000, 100_000)
BUDGET = 2e9  # samples drawn: some 20 s on two cores
LEAST_LEAD = 30.0  # |alpha| G sqrt(d)/lambda, where u does not leave before m follows


@dataclass(frozen=True)
class LawRow:
    """One dimension; times in t = eta * step, None where not reached; p-values of Kolmogorov-Smirnov tests."""

    d: int
    batch: int
    kappa: float
    runs: int
    exited: int
    censored: int
    diverged: int
    median: float | None
    law_median: float
    distance: float
    counts: bool
    p_value: float
    p_holm: float | None
    remainder: float | None
    p_within_remainder: float
    p_without_noise: float
    p_slower: float


@dataclass(frozen=True)
class LawSample:
    """What was measured at one dimension: exit times t = eta * step, infinite where censored, and their law."""

    d: int
    times: NDArray[np.float64]
    law: Law


@dataclass(frozen=True)
class LawCase:
    """One mu: what the law says, what was measured, and the verdict; the slope is that of `slope_of` in log d."""

    mu: float | None
    rho: float | None
    regime: str
    tau: float | None
    constant: float
    constant_error: float
    lr: float
    rows: tuple[LawRow, ...]
    slope: float | None
    slope_interval: tuple[float | None, float | None]
    slope_law: float
    slope_of: str
    control_factor: float
    verdict: str
    reason: str
    samples: tuple[LawSample, ...] = field(default=(), repr=False, compare=False)

    @property
    def passed(self) -> bool:
        """Whether the law agrees."""
        return self.verdict == "agree"


@dataclass(frozen=True)
class LawReport:
    """The cases of a test and the settings that fix them."""

    cases: tuple[LawCase, ...]
    settings: dict[str, object]

    @property
    def passed(self) -> bool:
        """Whether the law agrees in every case."""
        return all(case.passed for case in self.cases)

    def as_dict(self) -> dict[str, object]:
        """Return plain numbers for JSON."""
        cases = [asdict(replace(case, samples=())) for case in self.cases]
        for case in cases:
            del case["samples"]
        return {"passed": self.passed, "cases": cases, "settings": self.settings}


def check_law(
    student: str | Expr | Activation,
    teacher: str | Expr | Activation | None = None,
    *,
    mu: Iterable[float] = (0.2, 0.4, 0.6),
    rho: float | None = None,
    mix: bool = False,
    model: Literal["lora", "misaligned", "plain"] | None = None,
    label: str | Expr | None = None,
    noise: float = 0.0,
    scale: float = 1.0,
    initial_scale: float | None = None,
    dimensions: Sequence[int] = DEFAULT_DIMENSIONS,
    kappa: float | None = None,
    step_size: float | None = None,
    replicas: int | None = None,
    budget: float = BUDGET,
    threshold: float = 0.5,
    seed: int = 0,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LawReport:
    """Test the escape-time law by exact simulation at several dimensions, with a verdict that can fail.

    Args:
        student: activation sigma.
        teacher: link phi, the student's own by default.
        mu: alignments of the pre-trained weight; of no account with model plain.
        rho: strength of a misaligned w0; aligned by default.
        mix: misaligned w0 = mu w* + (1 - mu) xi, rho^2 = mu^2 + (1 - mu)^2.
        model: lora, misaligned or plain; by default what `rho` and `mix` say.
        label: label transform, text or expression in y.
        noise: variance Delta of the label noise.
        scale: LoRA scale alpha.
        initial_scale: u at the start, d^-2 by default.
        dimensions: two or more.
        kappa: eta d / B; by default a large one at which SGD's noise widens the start by at most a half and the kappa
            drift moves C by at most 1.
        step_size: eta; by default 0.1 over the largest curvature of the loss, and at most tau / 50 (ballistic: a
            quarter of the smallest standard deviation of T).
        replicas: runs at each dimension; by default as many as `budget` pays for, at most 2,000; a mu for which these
            are fewer than 150 is not simulated and left undecided.
        budget: samples that may be drawn at all (a run costs T d / kappa, a linear residual three a step), as far as
            medians foretell; runs are given up after six of them.
        threshold: R; the exit is the first step with |m| >= R.
        seed: non-negative; results depend on it and the other arguments only. Dimensions have seeds of their own.
        threads: all cores by default; no effect on the result.
        progress: called with (replicas finished, replicas in all).

    Raises:
        InputError: bad activations or parameters, a regime without this law, before any work is done.

    >>> report = check_law("linear", mu=[0.4], dimensions=(10**4, 10**8), replicas=600, seed=3)
    >>> report.passed, report.cases[0].verdict
    (True, 'agree')
    """
    sizes = tuple(dimensions)
    if len(sizes) < 2 or len(set(sizes)) < len(sizes) or not all(isinstance(d, int) and d >= 4 for d in sizes):
        raise ParameterError(f"dimensions = {sizes} given; accepted: two or more different integers >= 4.")
    if not (math.isfinite(budget) and budget > 0):
        raise ParameterError(f"budget = {budget!r} given; accepted: a positive number of samples, such as 2e9.")
    chosen = model or ("lora" if rho is None and not mix else "misaligned")
    pair = Pair(student, teacher, label, noise, scale, chosen, initial_scale, threshold)
    system = pair.system()
    if chosen != "plain":
        require_slope(system)
    if replicas is not None and replicas < 2:
        raise ParameterError(
            f"replicas = {replicas} given; accepted: a whole number >= 2, and 150 or more for a verdict."
        )
    places: list[float | None] = [None] if chosen == "plain" else list(mu)
    if not places:
        raise ParameterError("no mu given; accepted: one or more numbers in (0, 1]; try 0.2,0.4,0.6.")
    strengths = [math.hypot(value, 1 - value) if mix and value is not None else rho for value in places]
    plans = [
        plan_of(pair, system, value, strength, sizes, kappa, step_size)
        for value, strength in zip(places, strengths, strict=True)
    ]
    for plan in plans:  # made once, so that bad values are refused before any work
        pair.experiment(plan, 0, sizes[0], 2 if replicas is None else replicas, seed)
    share = budget / len(plans)
    leads = [_lead(system, plan, sizes) for plan in plans]
    runs = [
        affordable(plan, share, replicas) if lead >= LEAST_LEAD else 0 for plan, lead in zip(plans, leads, strict=True)
    ]
    total, done = sum(runs) * len(sizes), 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    cases = []
    for number, (plan, count, lead) in enumerate(zip(plans, runs, leads, strict=True)):
        if not count:
            slope = plan.slope(sizes, range(len(sizes)))
            if lead < LEAST_LEAD:
                enough = min(_counted(sizes)) * (LEAST_LEAD / lead) ** 2
                reason = (
                    f"u leaves first: linear escape needs |alpha| G sqrt(d)/lambda >> 1, which is {lead:.3g} at d = "
                    f"{min(_counted(sizes)):g}, not simulated: take d >= {enough:.1e}"
                )
                cases.append(_case(plan, (), (None, None, None), slope, "undecided", reason))
                continue
            cost = f"{FEWEST_RUNS} runs would draw {FEWEST_RUNS * plan.cost:.1e} samples, not simulated"
            advice = f"{cost}: --budget {FEWEST_RUNS * plan.cost * len(plans):.0e}, or a larger --kappa"
            cases.append(_case(plan, (), (None, None, None), slope, "undecided", advice))
            continue
        seeds = np.random.SeedSequence(seed, spawn_key=(number,)).generate_state(len(sizes) + 1)
        samples = [
            simulate(pair.experiment(plan, i, d, count, int(seeds[i])), threads=threads, progress=advance)
            for i, d in enumerate(sizes)
        ]
        cases.append(_judge(plan, samples, sizes, int(seeds[-1])))
    settings = {
        "student": system.loss_function.student.name,
        "teacher": system.loss_function.teacher.name,
        "model": chosen,
        "label": None if label is None else str(label),
        "noise": noise,
        "alpha": scale,
        "d": list(sizes),
        "lr": [plan.lr for plan in plans],
        "kappa": [plan.kappas(sizes) for plan in plans],
        "replicas": runs,
        "budget": budget,
        "threshold": threshold,
        "initial_scale": initial_scale,
        "seed": seed,
        "level": 2 * LEVEL,
        "control_level": CONTROL_LEVEL,
        "time_unit": "t = lr * steps",
    }
    return LawReport(tuple(cases), settings)


def _counted(sizes: Sequence[int]) -> list[int]:
    """The dimensions that count: not the smallest of three or more."""
    return [d for d in sizes if d > min(sizes) or len(sizes) < 3]


def _lead(system: System, plan: Plan, sizes: Sequence[int]) -> float:
    """|alpha| G sqrt(d)/lambda at the smallest d that counts; infinite unless u grows by itself, B > 0, beside m."""
    if plan.mu is None or plan.laws[-1].regime != "linear":
        return math.inf
    found = search_time(system, plan.mu, rho=plan.rho)
    scale = abs(float(getattr(system.network, "scale", 1)))
    lead = scale * float(found.G) * math.sqrt(min(_counted(sizes))) / float(found.rate)
    return lead if float(found.B) > 0 else math.inf


def _judge(plan: Plan, samples: Sequence[ExitSample], sizes: Sequence[int], seed: int) -> LawCase:
    tests = [
        [
            *(ks_law(sample, variant.cdf) for variant in (law, law.without_noise(), law.slower(plan.control))),
            ks_law(sample, law.cdf, leeway=_leeway(law)),
        ]
        for law, sample in zip(plan.laws, samples, strict=True)
    ]
    counted = [d in _counted(sizes) for d in sizes]
    known = iter(holm([own.p_value for (own, *_), counts in zip(tests, counted, strict=True) if counts]))
    adjusted = [next(known) if counts else None for counts in counted]
    rows = tuple(
        _row(plan, index, sample, sizes[index], found, adjusted[index])
        for index, (sample, found) in enumerate(zip(samples, tests, strict=True))
    )
    kept = [index for index, counts in enumerate(counted) if counts]
    expected = plan.slope(sizes, kept)
    slope = _slope([samples[i] for i in kept], [sizes[i] for i in kept], plan.lr, seed, logarithm=plan.scaled)
    leeway = _slope_leeway([plan.laws[i] for i in kept], [sizes[i] for i in kept], scaled=plan.scaled)
    verdict = _verdict(plan, [rows[i] for i in kept], slope, expected, leeway)
    found = _case(plan, rows, slope, expected, *verdict)
    return replace(found, samples=tuple(map(_measured, sizes, samples, plan.laws)))


def _measured(d: int, sample: ExitSample, law: Law) -> LawSample:
    times = np.where(sample.status == Status.EXITED, sample.experiment.step_size * sample.exit_steps, np.inf)
    return LawSample(d, times[sample.status != Status.DIVERGED], law)


def _row(plan: Plan, index: int, sample: ExitSample, d: int, tests: list[TestResult], adjusted: float | None) -> LawRow:
    own, quiet, slow, within = tests
    return LawRow(
        d=d,
        batch=plan.batches[index],
        kappa=plan.lr * d / plan.batches[index],
        runs=len(sample.status),
        **sample.counts._asdict(),
        median=sample.to_time(sample.median),
        law_median=plan.laws[index].median,
        distance=own.statistic,
        counts=adjusted is not None,
        p_value=own.p_value,
        p_holm=adjusted,
        remainder=_leeway(plan.laws[index]) or None,
        p_within_remainder=within.p_value,
        p_without_noise=quiet.p_value,
        p_slower=slow.p_value,
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
    found = abs(getattr(law, "remainder", math.nan))
    return 0.0 if math.isnan(found) else found


def _slope_leeway(laws: Sequence[Law], sizes: Sequence[int], *, scaled: bool) -> float:
    """What the remainders may change the slope by."""
    at = np.log(np.asarray(sizes, dtype=np.float64))
    weights = np.abs(at - at.mean()) / np.sum((at - at.mean()) ** 2)
    return float(sum(w * _leeway(law) / (law.median if scaled else 1) for w, law in zip(weights, laws, strict=True)))


def _verdict(plan: Plan, rows: Sequence[LawRow], slope: _Slope, expected: float, leeway: float) -> tuple[str, str]:
    """Return the verdict and its reason."""
    if any(row.diverged > LOST * row.runs for row in rows):
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
        found = f"the slope lies in [{low:.4g}, {high:.4g}], not at the law's {expected:.4g}"
        if low - leeway <= expected <= high + leeway:
            return "undecided", f"{found}, but by no more than what the law leaves out, {leeway:.2g}"
        return "disagree", found
    controls = {
        "without its noise term": [row.p_without_noise for row in rows],
        f"with times {plan.control:g} as long": [row.p_slower for row in rows],
    }
    weak = [name for name, values in controls.items() if min(holm(values)) >= CONTROL_LEVEL]
    if weak:
        return "undecided", f"the data also pass the law {' and '.join(weak)}: more --replicas or a larger --kappa"
    return "agree", ""


def _case(plan: Plan, rows: tuple[LawRow, ...], slope: _Slope, expected: float, verdict: str, reason: str) -> LawCase:
    law = plan.laws[-1]
    return LawCase(
        mu=plan.mu,
        rho=plan.rho,
        regime=law.regime,
        tau=law.tau,
        constant=law.constant,
        constant_error=law.constant_error,
        lr=plan.lr,
        rows=rows,
        slope=slope[0],
        slope_interval=slope[1:],
        slope_law=expected,
        slope_of="log median" if plan.scaled else "median",
        control_factor=plan.control,
        verdict=verdict,
        reason=reason,
    )
