r"""The main job: derived search time, integrated flow and exact Monte Carlo side by side, with a verdict.

For each mu the report compares three numbers, all in t = eta * step:

- `flow_exit`, the median exit time of the gradient flow started from u = d^-2, m = Z/sqrt(d), Z ~ N(0, 1). The exit
  time falls with |m0|, so its median is the exit time from the median of |Z| (misaligned: of the drive).
- `prediction`, the same with the two finite-size effects of SGD. *Finite kappa* = eta d / B: the kappa drift in the
  flow, and gradient noise in u, which feeds the unstable direction and multiplies the spread of m0 by
  sqrt(1 + kappa lambda J_0 / ((2 + eta lambda) G^2)). *Finite learning rate*: one step multiplies the unstable
  direction by 1 + eta lambda, so the search is longer by eta lambda / log(1 + eta lambda).
- `sgd_exit`, the median of the exact simulation with a distribution-free 99 % interval.

They agree if the prediction lies within the interval widened by the tolerance

    |prediction - flow_exit| + eta + prediction / sqrt(d):

the whole of both corrections (their own next order is smaller), one step, and the relative fluctuation of overlaps in
dimension d.

Where no escape is predicted (G = 0 and B <= 0), agreement means that fewer than half of the runs
leave. A mu that the flow or the budget cannot settle is undecided, which does not pass; so is one at which noise in u
changes the growth rate itself, by (g/d)/lambda, beyond 6 % (aligned, `numerics.law.noise_driven`), at the
batch that was given.

*The work is bounded* before it begins: a step counts as its batch and `STEP_COST` samples. Expected work is at most
`budget`, or twice that where only `FEWEST_RUNS` are affordable, and runs that stay inside are given up when `WORST`
budgets are spent, after two predicted exit times at least: some 15 s, and less than a minute, on two cores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from sympy import Expr

from hermescape.api import experiment
from numerics.flows.flow import Exit, integrate
from numerics.integrals.evaluate import evaluator
from numerics.law.noise_driven import noise_growth
from numerics.law.through_flow import median_start
from numerics.rates.search_time import Search, gradient_noise, search_time
from numerics.simulation.experiment import Experiment
from numerics.simulation.montecarlo import simulate
from numerics.simulation.statistics import ExitSample
from theory.calculus.expectations import Distribution, gaussian_mean
from theory.errors import InputError, ParameterError
from theory.language.activations import Activation
from theory.network.derivation import derive
from theory.network.system import System
from theory.symbols import x

__all__ = ["Report", "Row", "check", "largest_curvature", "require_slope"]

CONFIDENCE = 0.99
SAMPLE_BUDGET = 1.5e9  # samples drawn by default
STEP_COST = 50  # samples that take as long as what a step does besides
FEWEST_RUNS = 60
LARGEST_EXCESS = 2
WORST = 4  # budgets, if no run leaves
LONGEST_RUN = 20  # predicted exit times
NOISY_RATE = 0.03  # of the rate, what noise in u may change it by at a batch chosen here; twice that at a given one
LARGEST_BATCH = 1e6
DEFAULT_MU = (0.2, 0.4, 0.6)
LONGEST_SEARCH = 1e6  # search times after which the flow counts as trapped
FLOW_TOLERANCE = 1e-8
QUIET_STEPS = 20_000  # length of a run where no escape is predicted


@dataclass(frozen=True)
class Row:
    """One mu; times in t = eta * step, None where infinite or not reached."""

    mu: float
    tau: float | None
    flow_exit: float | None
    prediction: float | None
    sgd_exit: float | None
    sgd_interval: tuple[float | None, float | None]
    tolerance: float | None
    exited: int
    censored: int
    diverged: int
    verdict: str

    @property
    def passed(self) -> bool:
        """Whether the three numbers agree."""
        return self.verdict.startswith("agree")


@dataclass(frozen=True)
class Report:
    """The rows of a check, the settings that fix them, and the runs behind each row (None where undecided)."""

    rows: tuple[Row, ...]
    settings: dict[str, object]
    batches: tuple[int, ...]
    samples: tuple[ExitSample | None, ...] = field(default=(), compare=False, repr=False)

    @property
    def passed(self) -> bool:
        """Whether every row agrees."""
        return all(row.passed for row in self.rows)

    def as_dict(self) -> dict[str, object]:
        """Return plain numbers for JSON."""
        return {"passed": self.passed, "rows": [asdict(row) for row in self.rows], "settings": self.settings}


@dataclass(frozen=True)
class _Forecast:
    mu: float
    search: Search
    flow_exit: float | None
    prediction: float | None
    step_size: float
    batch: int
    obstacle: str | None = None  # why nothing can be predicted, where a search time exists

    @property
    def samples(self) -> float:
        """Samples that one run is expected to draw, those included that stand for its steps."""
        steps = QUIET_STEPS if self.prediction is None else self.prediction / self.step_size
        return steps * (self.batch + STEP_COST)


def check(
    student: str | Expr | Activation,
    teacher: str | Expr | Activation | None = None,
    *,
    mu: Iterable[float] = DEFAULT_MU,
    rho: float | None = None,
    label: str | Expr | None = None,
    noise: float = 0.0,
    scale: float = 1.0,
    dimension: int = 1000,
    batch: int | None = None,
    step_size: float | None = None,
    replicas: int | None = None,
    budget: float = SAMPLE_BUDGET,
    threshold: float = 0.5,
    seed: int = 0,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Compare derived, integrated and simulated exit times of aligned LoRA, and say whether they agree.

    Args:
        student: activation sigma.
        teacher: link phi, the student's own by default.
        mu: alignments of the pre-trained weight, in (0, 1] (any with |mu| <= rho where rho is given).
        rho: strength of a misaligned pre-trained weight; aligned by default.
        label: label transform, text or expression in y.
        noise: variance Delta of the label noise.
        scale: LoRA scale alpha.
        dimension: d.
        batch: B; by default the smallest for which the effects of finite kappa stay below a tenth of the exit time.
        step_size: eta; by default 0.1 over the largest curvature of the loss at the teacher, so that no ordinary
            activation diverges.
        replicas: runs for each mu; 400 by default, fewer (at least 60) where 400 would draw more than `budget`
            samples; a mu at which 60 would draw twice that (all cheaper mu included) is not simulated and left
            undecided.
        budget: samples that may be drawn, where `replicas` does not say how many runs; a step counts as its batch and
            50 more. Runs that do not leave are given up before all of them have drawn four times as many.
        threshold: R; the exit is the first time with |m| >= R.
        seed: non-negative; results depend on it and the other arguments only.
        threads: all cores by default; no effect on the result.
        progress: called with (replicas finished, replicas in all).

    Raises:
        InputError: bad activations or parameters, before any work is done.

    >>> report = check("linear", mu=[0.3], replicas=100)
    >>> report.passed, report.rows[0].verdict
    (True, 'agree')
    """
    system = derive(
        student, teacher, model="lora" if rho is None else "misaligned", label=label, noise=noise, alpha=scale
    )
    strengths = tuple(float(value) for value in mu)
    if not strengths:
        raise ParameterError("no mu given; accepted: one or more numbers in (0, 1]; try 0.2,0.4,0.6.")
    if not (math.isfinite(budget) and budget > 0):
        raise ParameterError(f"budget = {budget!r} given; accepted: a positive number of samples, such as 1.5e9.")

    def setting(value: float, eta: float, size: int, runs: int, horizon: int = 1) -> Experiment:
        return experiment(
            student,
            teacher,
            mu=value,
            rho=rho,
            label=label,
            noise=noise,
            scale=scale,
            dimension=dimension,
            batch=size,
            step_size=eta,
            threshold=threshold,
            replicas=runs,
            seed=seed,
            max_steps=horizon,
        )

    for value in strengths:  # made once, so that bad values are refused before any work
        setting(value, 1.0 if step_size is None else step_size, batch or 1, 2 if replicas is None else replicas)
        if batch is not None:
            setting(value, 1.0, batch, 2)
    require_slope(system)
    eta = step_size or 0.1 / largest_curvature(system, scale)
    forecasts = [_forecast(system, value, rho, dimension, batch, eta, threshold) for value in strengths]
    chosen = _feasible(forecasts, budget if replicas is None else math.inf)
    runs = replicas or _affordable(chosen, budget)
    longest = LONGEST_RUN if replicas is not None else _longest_run(chosen, runs, budget)
    done, total = 0, runs * len(chosen)

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    rows, samples = [], []
    for forecast in forecasts:
        if forecast not in chosen:
            cost = f"one run would draw {forecast.samples:.1e} samples, not simulated (give --replicas to insist)"
            rows.append(_undecided(forecast, forecast.obstacle or cost))
            samples.append(None)
            continue
        horizon = QUIET_STEPS if forecast.prediction is None else math.ceil(longest * forecast.prediction / eta) + 100
        sample = simulate(setting(forecast.mu, eta, forecast.batch, runs, horizon), threads=threads, progress=advance)
        rows.append(_row(forecast, sample, dimension))
        samples.append(sample)
    settings = {
        "student": system.loss_function.student.name,
        "teacher": system.loss_function.teacher.name,
        "rho": rho,
        "noise": noise,
        "alpha": scale,
        "d": dimension,
        "lr": eta,
        "batch": [forecast.batch for forecast in forecasts],
        "kappa": [eta * dimension / forecast.batch for forecast in forecasts],
        "replicas": runs,
        "threshold": threshold,
        "seed": seed,
        "u0": dimension**-2.0,
        "confidence": CONFIDENCE,
        "time_unit": "t = lr * steps",
    }
    return Report(tuple(rows), settings, tuple(forecast.batch for forecast in forecasts), tuple(samples))


def require_slope(system: System) -> None:
    """Refuse a student whose search phase has no rate."""
    if system.escape.B is None:
        raise InputError(
            f"{system.loss_function.student.name} jumps or has an infinite slope, so its loss has no curvature at w0 "
            "and its search phase no rate; accepted are continuous students with finite slopes: use it as --teacher."
        )


def largest_curvature(system: System, scale: float) -> float:
    """Return the largest curvature of the loss at the teacher: E sigma'^2 across it, E Z^2 sigma'^2 along it."""
    squared = system.loss_function.student.derivative**2
    means = tuple(gaussian_mean(Distribution.of(f), 0, 1) for f in (squared, x**2 * squared))
    return max(float(estimate.value) for estimate in evaluator((x,), means)(0.0)) * max(1.0, scale**2)


def _forecast(
    system: System, mu: float, rho: float | None, dimension: int, batch: int | None, eta: float, threshold: float
) -> _Forecast:
    search = search_time(system, mu, rho=rho)
    default = batch or math.ceil(eta * dimension)
    if search.tau is None:
        return _Forecast(mu, search, None, None, eta, default)
    if search.G == 0:
        return _Forecast(mu, search, None, None, eta, default, "G = 0 < B here: u escapes alone, without m")
    rate, drive = float(search.rate), float(search.G)
    noise = gradient_noise(system, mu, rho=rho)
    horizon = LONGEST_SEARCH / rate
    place: dict[str, Any] = {"mu": mu} if rho is None else {"mu": mu, "rho": rho}
    start = median_start(system, dimension, **place)
    flow = integrate(system, start, event=Exit(threshold), t_max=horizon, rtol=FLOW_TOLERANCE, **place)
    flow_exit = flow.exit_time
    if flow_exit is None:
        return _Forecast(mu, search, None, None, eta, default, f"the flow stays inside until t = {horizon:.2g}")

    def predict(size: int) -> float | None:
        kappa = eta * dimension / size
        seeding = kappa * rate * noise / ((2 + eta * rate) * drive**2)
        widening = min(math.sqrt(1 + seeding), 0.99 * threshold / abs(start["m"]) if start["m"] else math.inf)
        noisy = {name: value if name == "u" else value * widening for name, value in start.items()}
        exit_time = integrate(
            system.sgd(),
            noisy,
            event=Exit(threshold),
            t_max=5 * flow_exit,
            rtol=FLOW_TOLERANCE,
            kappa=kappa,
            **place,
        ).exit_time
        return None if exit_time is None else exit_time * eta * rate / math.log1p(eta * rate)

    def noisy_rate(size: int) -> float:
        """What noise in u adds to the rate, in units of it."""
        if rho is not None:
            return 0.0
        return abs(noise_growth(system, mu, eta * dimension / size)) / (dimension * rate)

    if batch is not None:
        changed = noisy_rate(batch)
        obstacle = None
        if changed > 2 * NOISY_RATE:
            obstacle = f"SGD's noise changes the rate by {100 * changed:.2g} % at this batch: raise it, or use --law"
        return _Forecast(mu, search, flow_exit, predict(batch), eta, batch, obstacle)
    modest = 2 * drive**2 / (rate * noise) if noise else math.inf
    size = max(1, math.ceil(eta * dimension / min(1.0, modest)))
    while noisy_rate(size) > NOISY_RATE and size < LARGEST_BATCH:
        size *= 2
    prediction = predict(size)
    while (prediction is None or abs(prediction - flow_exit) > 0.1 * flow_exit) and size < LARGEST_BATCH:
        size *= 2
        prediction = predict(size)
    return _Forecast(mu, search, flow_exit, prediction, eta, size)


def _feasible(forecasts: list[_Forecast], budget: float) -> list[_Forecast]:
    """Those that can be simulated: the cheapest first, as long as their fewest runs fit into the budget together."""
    found, cost = [], 0.0
    for forecast in sorted(forecasts, key=lambda forecast: forecast.samples):
        cost += FEWEST_RUNS * forecast.samples
        if forecast.obstacle is None and cost <= LARGEST_EXCESS * budget:
            found.append(forecast)
    return found


def _affordable(chosen: list[_Forecast], budget: float) -> int:
    cost = sum(forecast.samples for forecast in chosen) or budget
    return int(min(400, max(FEWEST_RUNS, budget / cost)))


def _longest_run(chosen: list[_Forecast], runs: int, budget: float) -> float:
    """Predicted exit times after which a run is given up."""
    cost = runs * sum(forecast.samples for forecast in chosen) or budget
    return min(LONGEST_RUN, WORST * budget / cost)


def _tau(forecast: _Forecast) -> float | None:
    return None if forecast.search.tau is None else float(forecast.search.tau)


def _undecided(forecast: _Forecast, reason: str) -> Row:
    times = (_tau(forecast), forecast.flow_exit, forecast.prediction)
    return Row(forecast.mu, *times, None, (None, None), None, 0, 0, 0, f"undecided: {reason}")


def _row(forecast: _Forecast, sample: ExitSample, dimension: int) -> Row:
    low, high = (sample.to_time(end) for end in sample.median_interval(CONFIDENCE))
    flow_exit, prediction, counts = forecast.flow_exit, forecast.prediction, sample.counts
    tolerance = None
    if flow_exit is None:
        verdict = "agree: no escape" if sample.median is None else "disagree: no escape predicted, but SGD leaves"
    elif prediction is None:
        verdict = "disagree: SGD noise stalls the predicted exit, raise the batch"
    elif low is None or high is None:
        verdict = "disagree: the median of SGD is not bounded (censored or diverged runs)"
    else:
        tolerance = abs(prediction - flow_exit) + forecast.step_size + prediction / math.sqrt(dimension)
        agrees = low - tolerance <= prediction <= high + tolerance and counts.diverged < 0.1 * sum(counts)
        verdict = "agree" if agrees else "disagree"
    return Row(
        forecast.mu,
        _tau(forecast),
        flow_exit,
        prediction,
        sample.to_time(sample.median),
        (low, high),
        tolerance,
        counts.exited,
        counts.censored,
        counts.diverged,
        verdict,
    )
