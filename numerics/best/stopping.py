r"""Pre-training followed by fine-tuning; training in stages is in `numerics.flows.stages`.

*Pre-training*: the free weight of a `pretrain` system, stopped at time t, is the w0 of fine-tuning, mu = q(t) and
rho^2 = r(t). Fine-tuning then takes the time at which the flow from u = d^-2 and the median drive

    L_q m0 + 2 L_r s0 = 0.674 G / sqrt(d)        (m0, s0 at their conditional mean)

first reaches |m| = R. The total is t plus that; its minimum is the best moment to stop pre-training. All times are in
units of eta * step, the same eta in both.

*Finite kappa* = eta d / B, the same in both: the drift kappa J of |w|^2 and -(kappa/2) u^2 J of the overlaps, and SGD's
noise. In fine-tuning it adds to u, which widens the drive by the factor sqrt(1 + kappa lambda J_0/(2 G^2)) of the law;
in pre-training it makes the checkpoint fluctuate, with a covariance S of (q_s, q, r) that solves

    dS/dt = F S + S F^T + D,    F the Jacobian of the flow, D = `System.diffusion`,    S = O(kappa/d),

which moves the median total by O(kappa/d), left out here, and is given as the deviations of mu and rho. kappa = 0 is
the limit of large batches; for ReLU at d = 2000 it is 2 % off at kappa = 0.1, 14 % at kappa = 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy
import sympy as sp
from numpy.typing import NDArray

from numerics.accuracy import LONGEST_FINE_TUNING
from numerics.best.alignment import End
from numerics.flows.flow import Exit, Outcome, Trajectory, compile_flow, integrate
from numerics.flows.starts import MEDIAN, median_start
from numerics.integrals.evaluate import evaluator
from numerics.law.choose import escape_law
from numerics.law.linear import widening
from numerics.rates.search_time import gradient_noise, search_time
from theory.errors import InputError, ParameterError
from theory.network.system import System
from theory.shown import Shown
from theory.symbols import d as dimension_symbol
from theory.symbols import kappa as kappa_symbol
from theory.symbols import q, r, rho

if TYPE_CHECKING:
    from numerics.labelled import Labelled

__all__ = ["BestPretraining", "BestStopping", "Composition", "best_pretraining", "best_stopping", "total_time"]

NOISE_STEPS = 64  # of Heun's method for the covariance of a checkpoint
DIFFERENCE = 1e-6

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Composition(Shown):
    """Pre-training followed by fine-tuning.

    Attributes:
        pretraining: a system of model "pretrain", as derived (kappa adds its drift).
        finetuning: a system of model "misaligned", likewise.
        start: q_s, q and r at the start of pre-training.
        dimension: d, which sets the start of fine-tuning.
        threshold: R, fine-tuning ends at |m| = R.
        parameters: c, and whatever else the systems depend on, by name.
        kappa: eta d / B of both phases; 0 is the gradient flow, the limit of large batches.

    Raises `ParameterError` for other models, systems that have a kappa drift of their own, or numbers outside their
    domain.
    """

    shows = "start, dimension, threshold, parameters, kappa"

    pretraining: System
    finetuning: System
    start: Mapping[str, float]
    dimension: float
    threshold: float
    parameters: Mapping[str, float]
    kappa: float = 0.0

    def __post_init__(self) -> None:
        free = {"q_s", "q", "r"} <= {state.name for state in self.pretraining.states}
        if not free or not self.finetuning.escape.is_linear or rho not in self.finetuning.parameters:
            given = f"{self.pretraining.network.name} and {self.finetuning.network.name}"
            raise ParameterError(f"models {given} given; accepted: pretrain, then misaligned.")
        Exit(self.threshold)
        if not self.dimension >= 3:
            raise ParameterError(f"dimension = {self.dimension!r} given; accepted: a number >= 3.")
        if not (math.isfinite(self.kappa) and self.kappa >= 0):
            raise ParameterError(f"kappa = {self.kappa!r} given; accepted: a finite number >= 0; 0 is the flow.")
        drifting = [s.network.name for s in (self.pretraining, self.finetuning) if kappa_symbol in s.parameters]
        if drifting or "kappa" in self.parameters:
            raise ParameterError(
                f"kappa given {'with the system ' + drifting[0] if drifting else 'among the parameters'}; accepted: "
                "systems without .sgd(), and the field kappa, which adds drift and noise to both phases."
            )
        if self.pretraining.network.caution:
            raise ParameterError(
                f"model {self.pretraining.network.name} with objective {self.pretraining.network.objective} given; "
                "accepted: squared; without the student's own term the norm of a free weight grows without bound."
            )
        self.pretraining.network.check(self.parameters)

    def _own(self, system: System) -> dict[str, Any]:
        names = {p.name for p in system.parameters}
        return {name: value for name, value in self.parameters.items() if name in names}

    def pretrained(self, time: float) -> tuple[float, float]:
        """Return (mu, rho) after pre-training for `time` (eta * step)."""
        state = dict(self.start)
        if time > 0:
            state = self._pretraining(time).end
        return state["q"], math.sqrt(max(state["r"], 0.0))

    def _pretraining(self, time: float, times: Sequence[float] | None = None) -> Trajectory:
        system, values = self._noisy(self.pretraining)
        path = integrate(system, self.start, t_max=time, times=times, **values)
        if path.outcome is not Outcome.HORIZON:
            raise InputError(f"pre-training until t = {time:g}: {path.outcome.value}.")
        return path

    def _noisy(self, system: System) -> tuple[System, dict[str, Any]]:
        """The system with its kappa drift, where there is one, and the values of its parameters that are known."""
        own = self._own(system)
        return (system.sgd(), {**own, "kappa": self.kappa}) if self.kappa else (system, own)

    def deviations(self, time: float) -> tuple[float, float]:
        """Return the standard deviations of mu and rho that SGD's noise makes until `time`, to leading order in 1/d.

        They are 0 at kappa = 0; the start is taken as given.
        """
        if not (self.kappa and time > 0):
            return 0.0, 0.0
        system, values = self._noisy(self.pretraining)
        times = np.linspace(0.0, time, NOISE_STEPS + 1)
        states = self._pretraining(time, [float(t) for t in times]).states
        points = np.stack([states[name].values for name in ("q_s", "q", "r")], axis=1)
        flow, spread = compile_flow(system, values, jit=False), _spread(system, values, self.dimension)
        slopes, noises = [_jacobian(flow, at) for at in points], [spread(at) for at in points]
        covariance, step = np.zeros((3, 3)), time / NOISE_STEPS
        for index in range(NOISE_STEPS):
            first = _growth(covariance, slopes[index], noises[index])
            second = _growth(covariance + step * first, slopes[index + 1], noises[index + 1])
            covariance = covariance + step / 2 * (first + second)
        along, length = np.sqrt(np.maximum(np.diag(covariance)[1:], 0.0))
        return float(along), float(length) / (2 * math.sqrt(points[-1, 2]))

    def fine_tune(self, time: float) -> tuple[float, Outcome, float, float]:
        """Return the fine-tuning time (inf where R is not reached), its outcome, mu and rho."""
        alignment, length = self.pretrained(time)
        length = max(length, abs(alignment))
        values: dict[str, Any] = {"mu": alignment, "rho": length, **self._own(self.finetuning)}
        rate = _rate(self.finetuning, values)
        if not rate > 0:
            return math.inf, Outcome.HORIZON, alignment, length
        start = median_start(self.finetuning, self.dimension, **values)
        if self.kappa:
            start["u"] -= self._seed(alignment, length)  # that start climbs the gradient, so that u < 0 grows
        system, own = self._noisy(self.finetuning)
        path = integrate(
            system, start, event=Exit(self.threshold), t_max=LONGEST_FINE_TUNING / rate, rtol=1e-8, **{**values, **own}
        )
        return math.inf if path.exit_time is None else path.exit_time, path.outcome, alignment, length

    def _seed(self, alignment: float, length: float) -> float:
        """What SGD's noise adds to u at the start: the median drive over lambda, times the widening less 1."""
        search = search_time(self.finetuning, alignment, rho=length, certify=False)
        noise = gradient_noise(self.finetuning, alignment, rho=length)
        added = widening(search, noise, self.kappa, 0.0) - 1
        drive = float(self.finetuning.escape.scale or 1) * float(search.G)
        return added * MEDIAN * drive / math.sqrt(self.dimension) / float(search.rate)

    def reason(self, time: float) -> str:
        """Say why fine-tuning from this checkpoint never reaches the threshold, as the law of its exit time knows it.

        Empty where it does.
        """
        fine, outcome, alignment, length = self.fine_tune(time)
        if math.isfinite(fine):
            return ""
        place: dict[str, Any] = {"dimension": self.dimension, "threshold": self.threshold, "kappa": self.kappa}
        try:
            escape_law(self.finetuning, mu=alignment, rho=length, **place)
        except InputError as refusal:
            return str(refusal)
        return outcome.value


def _jacobian(flow: Callable[[Array], Array], at: Array) -> Array:
    """Central differences of the flow."""
    sizes = DIFFERENCE * np.maximum(np.abs(at), 1e-3)
    columns = [
        (flow(at + size * unit) - flow(at - size * unit)) / (2 * size)
        for size, unit in zip(sizes, np.eye(len(at)), strict=True)
    ]
    return np.stack(columns, axis=1)


def _spread(system: System, values: Mapping[str, float], dimension: float) -> Callable[[Array], Array]:
    """Return the covariance of the increments of (q_s, q, r) per unit of t, as a function of them."""
    functions, at = system.diffusion_functions, {p: values[p.name] for p in system.parameters}
    matrix = system.diffusion.subs({**at, dimension_symbol: dimension})
    entries = sp.lambdify((*system.states, *functions), list(matrix), "math")
    place = sp.lambdify(system.states, [system.entries[q], system.entries[r], system.gap], "math")
    inner = evaluator((q, r), tuple(functions.values()))

    def spread(state: Array) -> Array:
        overlap, norm, gap = place(*state)
        values = entries(*state, *inner.values(overlap, norm, gap=gap))
        return np.array(values, dtype=np.float64).reshape(matrix.shape)

    return spread


def _growth(covariance: Array, slope: Array, noise: Array) -> Array:
    return slope @ covariance + covariance @ slope.T + noise


def _rate(system: System, values: Mapping[str, float]) -> float:
    """Return the growth rate of the search phase at these parameters."""
    rate = system.escape.rate
    if rate is None:
        raise InputError(
            f"{system.loss_function.student.name}: the search phase has no rate; give a continuous student."
        )
    names = tuple(system.parameters)
    return float(evaluator(names, (rate,))(*[values[p.name] for p in names])[0].value)


def _checked(times: list[float]) -> list[float]:
    if not times or any(not (math.isfinite(time) and time >= 0) for time in times):
        raise ParameterError(f"times = {times!r} given; accepted: finite pre-training times >= 0.")
    return times


def total_time(composition: Composition, times: Sequence[float]) -> Labelled:
    """Return mu, rho, fine-tuning time and total time for each pre-training time (all in eta * step).

    A fine-tuning that never reaches the threshold has time inf; `reason` says why, and is empty elsewhere. At
    kappa > 0 the deviations of mu and rho are those that SGD's noise makes.

    >>> from theory.network.derivation import derive
    >>> plan = Composition(derive("linear", model="pretrain"), derive("linear", model="misaligned"),
    ...                    {"q_s": 0.0, "q": 0.0, "r": 0.01}, 1e4, 0.5, {"c": 0.8})
    >>> total_time(plan, [0.1, 0.5]).total.values.round(2)
    array([ 8.62, 12.91])
    """
    from numerics.labelled import Labelled

    grid = _checked([float(time) for time in times])
    rows = [composition.fine_tune(time) for time in grid]
    fine, outcome, alignment, length = zip(*rows, strict=True)
    reasons = ["" if math.isfinite(row[0]) else composition.reason(time) for row, time in zip(rows, grid, strict=True)]
    spread = [composition.deviations(time) for time in grid]
    units = {"units": "eta * step"}
    return Labelled(
        {
            "mu": ("time", np.array(alignment), {"long_name": "alignment <w0, w*>"}),
            "rho": ("time", np.array(length), {"long_name": "length |w0|"}),
            "fine_tuning": ("time", np.array(fine), {"long_name": "fine-tuning time", **units}),
            "total": ("time", np.array(grid) + np.array(fine), {"long_name": "total time", **units}),
            "outcome": ("time", np.array([result.name for result in outcome]), {"long_name": "how fine-tuning ended"}),
            "reason": ("time", np.array(reasons), {"long_name": "why the threshold is never reached"}),
            **{
                f"{name}_deviation": ("time", np.array(values), {"long_name": f"deviation of {name} by SGD's noise"})
                for name, values in zip(("mu", "rho"), zip(*spread, strict=True), strict=True)
            },
        },
        {"time": ("time", np.array(grid), {"long_name": "pre-training time", **units})},
        {"title": "Pre-training, then fine-tuning: times until the exit", "kappa": composition.kappa},
    )


class _Stop(NamedTuple):
    time: float
    total: float


class BestStopping(_Stop):
    """The best pre-training time and the total with it, `time, total = ...`; both in eta * step.

    Attributes:
        time: when to stop pre-training.
        total: pre-training and fine-tuning together.
        end: "low" or "high" where `time` is the first or last of the times looked at; None inside, a minimum.
    """

    end: End | None

    def __new__(cls, time: float, total: float, end: End | None = None) -> BestStopping:
        """Make the pair, with where it lies beside it."""
        made = super().__new__(cls, time, total)
        made.end = end
        return made

    @property
    def words(self) -> str:
        """Where the best time lies, in words."""
        if self.end is None:
            return "a minimum inside the times given"
        which, beyond = ("shortest", "earlier") if self.end == "low" else ("longest", "later")
        rest = "there is none earlier" if self.end == "low" and self.time == 0 else f"{beyond} ones may be better"
        return f"the {which} of the times given, not a minimum: {rest}"


def best_stopping(composition: Composition, times: Sequence[float]) -> BestStopping:
    """Return the pre-training time that minimises the total time, and that total; refined around the best of `times`.

    `end` says whether the best is an end of `times`, beyond which there may be a better one.

    Raises `InputError` where fine-tuning reaches its threshold for none of them.

    >>> from theory.network.derivation import derive
    >>> plan = Composition(derive("linear", model="pretrain"), derive("linear", model="misaligned"),
    ...                    {"q_s": 0.0, "q": 0.0, "r": 0.01}, 1e4, 0.5, {"c": 0.8})
    >>> best = best_stopping(plan, [0.1, 0.5])
    >>> best.time, best.end, best.words
    (0.1, 'low', 'the shortest of the times given, not a minimum: earlier ones may be better')
    """
    grid = sorted({float(time) for time in times})
    rows = [time + composition.fine_tune(time)[0] for time in _checked(grid)]
    if not np.isfinite(rows).any():
        raise InputError(
            "fine-tuning reaches the threshold from none of the pre-training times given: "
            f"{composition.reason(grid[0])}"
        )
    best = int(np.argmin(rows))
    time, total = _refined(composition, grid, rows, best)
    end: End | None = "low" if time == grid[0] else "high" if time == grid[-1] else None
    return BestStopping(time, total, end)


def _refined(composition: Composition, grid: list[float], totals: list[float], best: int) -> tuple[float, float]:
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    if low == high:
        return grid[best], totals[best]
    minimum = scipy.optimize.minimize_scalar(
        lambda time: time + composition.fine_tune(time)[0],
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-4 * high},
    )
    refined = (float(minimum.x), float(minimum.fun))
    return refined if refined[1] < totals[best] else (grid[best], totals[best])


@dataclass(frozen=True)
class BestPretraining(Shown):
    """The pre-training that minimises the total time, all times in eta * step.

    Attributes:
        time: when to stop pre-training.
        mu: alignment <w0, w*> then.
        rho: length |w0| then.
        total: pre-training and fine-tuning together.
        end: "low" or "high" where `time` is an end of the times looked at, None inside.
    """

    shows = "time, mu, rho, fine_tuning, total, end"

    time: float
    mu: float
    rho: float
    total: float
    end: End | None

    @property
    def fine_tuning(self) -> float:
        """The part of the total that is fine-tuning."""
        return self.total - self.time


def best_pretraining(composition: Composition, times: Sequence[float]) -> BestPretraining:
    """Return the alignment at which to stop pre-training: `best_stopping`, with the mu and rho that it reaches.

    Raises `InputError` where fine-tuning reaches its threshold from none of `times`, `ParameterError` for times < 0.

    >>> from theory.network.derivation import derive
    >>> plan = Composition(derive("linear", model="pretrain"), derive("linear", model="misaligned"),
    ...                    {"q_s": 0.0, "q": 0.0, "r": 0.01}, 1e4, 0.5, {"c": 0.8})
    >>> best = best_pretraining(plan, [0.0, 0.1, 0.5])
    >>> best.time, best.mu, best.rho, best.end  # again no pre-training is best
    (0.0, 0.0, 0.1, 'low')
    """
    best = best_stopping(composition, times)
    alignment, length = composition.pretrained(best.time)
    return BestPretraining(best.time, float(alignment), length, best.total, best.end)
