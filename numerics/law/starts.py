r"""The constants of exponential growth: from the start of LoRA, or of plain training with information exponent 2.

C comes from integrations along the unstable manifold, from |m| = c to R, c -> 0, of the flow with its kappa drift,

    C = lim t(c -> R)/tau + log c.

The start on the eigenvector is off the manifold by O(c^2) where the loss is analytic there and by O(c) where it is not
(ReLU), which float64 makes harmless: every term keeps its digits down to c = 1e-12 (`theory.network.system.guard`).
Errors of rates enter with a factor log(1/c), so that the error estimate of C is |C(c) - C(100 c)| log(1/c) / log(100).

*At a critical strength* A = 0 and u = 0 is a line of equilibria. For B > 0, *u alone* escapes, at the rate B and from
u0 + N(0, kappa J_0 / (d B (2 + eta B))), while m is still at rest: |u| = c takes the place of |m| = c. For B < 0
only noise leads out (`numerics.law.noise_driven`), with a rate g/d. *Near* one both channels are open, and noise leads
for d below the `crossover` g/lambda. That law, right up to O(A^2/B^2), is taken where the linear one neglects more:
where g/d > lambda A^2/B^2.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import sympy as sp

from numerics.accuracy import CONSTANT_ERROR, LONGEST_WAY, NEARLY_CRITICAL, PARALLEL, SAME_RATE, SMALLEST_START
from numerics.compile.formulas import compiled
from numerics.flows.flow import Exit, integrate
from numerics.flows.starts import MEDIAN
from numerics.integrals.evaluate import evaluator
from numerics.law.linear import NARROW, LinearEscape, widening
from numerics.law.noise_driven import noise_driven, noise_rate
from numerics.law.protocol import Setting
from numerics.law.way import constant_of, time_out
from numerics.rates.search_time import Search, gradient_noise, growth_rate, search_time
from theory.errors import InputError
from theory.network.system import System
from theory.search.law import (
    counts_as_critical,
    prefactor,
    saddle_rate,
    saddle_spread,
    saddle_time,
    shift,
    spread_alone,
    turning_rate,
)
from theory.search.law import search_time as search_time_of
from theory.search.regimes import regime
from theory.symbols import J, M_ss, m, q, r
from theory.symbols import mu as mu_symbol
from theory.symbols import rho as rho_symbol

__all__ = ["check_step", "from_saddle", "from_weight", "is_lora", "noise_beside"]

TINY = 1e-300


def is_lora(system: System) -> bool:
    """Whether the search is that of LoRA as derived, seen in m: its law knows critical strengths and noise too."""
    return system.escape.square is not None and system.network.alignment == m


def from_weight(
    system: System, setting: Setting, mu: float, rho: float | None, initial_scale: float | None
) -> LinearEscape:
    """Return the law of LoRA fine-tuning of a pre-trained weight.

    Raises `InputError` where the start traps, or the threshold is not reached.
    """
    search = search_time(system, mu, rho=rho, certify=False)
    _check_model(system, search)
    start = setting.dimension**-2.0 if initial_scale is None else initial_scale
    check_step(system, setting, search)
    critical = _critical(system, setting, search, mu, start) if rho is None else None
    if critical is None and not search.G > 0:
        raise _refusal(system, setting, mu, rho)
    if rho is not None:
        _check_noise(system, setting, search, mu, rho)
    law = critical or _linear(system, setting, search, mu, rho, start)
    if law.median <= 0:
        raise InputError(
            f"d = {setting.dimension:g}, threshold = {setting.threshold:g}, initial scale {start:g} given, where "
            "typical runs start beyond the linear regime; accepted: a larger d or threshold, a smaller initial scale."
        )
    return law


def _check_model(system: System, search: Search) -> None:
    """Refuse velocities that are not those of LoRA, and rates that float64 does not hold."""
    name, tau = system.network.name, "infinite" if search.tau is None else f"{search.tau:.6g}"
    if system.escape.square is None or m not in system.states:
        raise InputError(
            f"model {name} given, with a search time of {tau} at mu = {float(search.mu):g} (from its own Jacobian): "
            "the constants of the law are derived for the velocities of models lora, misaligned and plain; accepted "
            "are these, and for other models numerics.integrate from starts of size 1/sqrt(d), since T ~ (tau/2) log d."
        )
    if any(isinstance(number, sp.Float) for number in (search.tau, search.rate, search.G, search.B)):
        raise InputError(
            f"{system.loss_function.student.name} at mu = {float(search.mu):g}: tau = {tau} or its rate is beyond a "
            "double, which the law is not integrated with; accepted: another mu."
        )


def _scale(system: System) -> float:
    """alpha, with its sign."""
    return float(system.escape.scale or 1)


def _linearised(system: System, search: Search) -> tuple[float, float]:
    """alpha^2 B and |alpha| G."""
    scale = abs(_scale(system))
    return scale**2 * float(search.B), scale * float(search.G)


def _lag(system: System, search: Search) -> float:
    """G/|alpha B|: how slow the escape is beside the relaxation of u."""
    return float(search.G) / max(abs(_scale(system) * float(search.B)), TINY)


def check_step(system: System, setting: Setting, search: Search) -> None:
    """Refuse steps at which the stable direction of the start oscillates out."""
    trace, drive = _linearised(system, search)
    fastest = growth_rate(drive, -trace)
    if setting.step_size * fastest > 2:
        raise InputError(
            f"step_size = {setting.step_size:g} given, at which SGD is unstable around w0 (the fastest relaxation has "
            f"the rate {fastest:.4g}); accepted: at most {2 / fastest:.4g}, and much less for a law that holds."
        )


def _check_noise(system: System, setting: Setting, search: Search, mu: float, rho: float) -> None:
    """Refuse a misaligned start where SGD's noise leads out beside a small slope: that law is known for aligned w0."""
    trace, lag = float(search.B), _lag(system, search)
    if not (trace < 0 and lag <= NEARLY_CRITICAL and setting.kappa > 0):
        return
    parallel = rho - abs(mu) <= PARALLEL * rho
    turn = -trace if parallel else _turn(system, mu, rho)
    squared, bulk = _scale(system) ** 2, gradient_noise(system, mu, rho=rho)
    growth = compiled(turning_rate)(squared * trace, squared * turn, squared * bulk, setting.kappa)
    if turn > 0 and growth / setting.dimension > float(search.rate) * lag**2:
        raise InputError(
            f"mu = {mu}, rho = {rho}: the slope of the loss is so small (G = {float(search.G):.3g}) that SGD's noise "
            "may lead out first, which has a law for aligned w0 only; accepted: model lora, a larger d, or kappa = 0."
        )


def _turn(system: System, mu: float, rho: float) -> float:
    """Minus the smallest curvature of the loss at w0 in the plane of w* and w0."""
    slope, bend = system.loss_function.gradient()
    second = evaluator((q, r), (sp.diff(slope, q), sp.diff(slope, r), sp.diff(bend, r), bend))
    values = [float(f.value) for f in second(mu, rho**2, gap=rho**2 - mu**2)]
    target, base = np.array([1.0, 0.0]), np.array([mu, math.sqrt(rho**2 - mu**2)])
    hessian = values[0] * np.outer(target, target) + 4 * values[2] * np.outer(base, base) + 2 * values[3] * np.eye(2)
    hessian += 2 * values[1] * (np.outer(target, base) + np.outer(base, target))
    return -float(np.linalg.eigvalsh(hessian)[0])


def _refusal(system: System, setting: Setting, mu: float, rho: float | None) -> InputError:
    start = regime(system, mu, rho, kappa=setting.kappa)
    return InputError(
        f"{system.loss_function.student.name} at mu = {mu}: G = |grad L(w0)| counts as 0 there, regime {start.name} "
        f"({start.because}); accepted are starts with a way out."
    )


def _critical(system: System, setting: Setting, search: Search, mu: float, start: float) -> LinearEscape | None:
    """Return the law where A = 0 in effect, or where noise matters beside A; None elsewhere."""
    lag, (trace, drive) = _lag(system, search), _linearised(system, search)
    vanishing = counts_as_critical(trace, drive**2)
    if float(search.B) > 0:
        return _alone(system, setting, mu, start) if vanishing else None
    growth = noise_beside(system, search, mu, setting.kappa)
    if growth > 0 and growth / setting.dimension > float(search.rate) * lag**2:
        known = None
        if not vanishing:
            rate = float(search.rate)
            unit = {"u": rate / (_scale(system) * float(search.A or 0.0)), "m": 1.0}
            known, _ = _constant(system, setting, rate, unit, {"mu": mu})
        options = {name: value for name, value in vars(setting).items() if name != "rtol"}
        return noise_driven(system, mu, **options, initial_scale=start, linear_constant=known)
    if vanishing:
        raise _refusal(system, setting, mu, None)
    return None


def noise_beside(system: System, search: Search, mu: float, kappa: float) -> float:
    """Return g where mu is so near a critical strength that noise leads out beside the slope of the loss, else 0."""
    near = float(search.B) < 0 and _lag(system, search) <= NEARLY_CRITICAL
    return noise_rate(system, mu, kappa) if near and kappa > 0 else 0.0


def _alone(system: System, setting: Setting, mu: float, start: float) -> LinearEscape:
    """Return the law where u grows by itself: A = 0 < B."""
    squared = _scale(system) ** 2
    rate = squared * float(search_time(system, mu, certify=False).B)
    eta, root = setting.step_size, math.sqrt(setting.dimension)
    noise = squared * gradient_noise(system, mu)
    gain = compiled(spread_alone)(rate, noise, setting.kappa, eta) or NARROW * abs(start) * root
    if not gain:
        raise InputError(
            f"{system.loss_function.student.name} at mu = {mu}, where u escapes alone: initial_scale = 0 and kappa = 0 "
            "given; accepted: one of them different from 0, or nothing sets out."
        )
    place = {"mu": mu}
    constant, error = _constant(system, setting, rate, {"u": 1.0, "m": 0.0}, place)
    law = LinearEscape(
        regime="u alone",
        tau=compiled(search_time_of)(rate, eta),
        dimension=setting.dimension,
        threshold=setting.threshold,
        prefactor=0.0,
        gain=gain,
        shift=start * root / gain,
        constant=constant,
        constant_below=constant,
        constant_error=error,
        published=math.log(setting.threshold * root) / rate,
        start=0.0,
    )
    size = max(MEDIAN, abs(law.shift))
    begun = {"u": size * gain / root, "m": MEDIAN / root}
    return replace(law, remainder=_remainder(system, setting, law, rate, begun, place, size))


def _linear(
    system: System, setting: Setting, search: Search, mu: float, rho: float | None, start: float
) -> LinearEscape:
    """Return the law where grad L(w0) != 0."""
    name = system.loss_function.student.name
    at = {mu_symbol: mu} | ({} if rho is None else {rho_symbol: rho})
    slope, bend, scale = *_gradient(system, at), _scale(system)
    along, across = slope + 2 * mu * bend, mu * slope + 2 * (mu if rho is None else rho) ** 2 * bend
    if rho is None:
        along = -float(search.A or 0.0)
    rate, drive = float(search.rate), float(search.G)
    if abs(along) <= 1e-12 * drive:
        raise InputError(f"{name} at mu = {mu}: m is not driven (L_q + 2 mu L_r = 0); accepted are starts where it is.")
    noise = gradient_noise(system, mu, rho=rho)
    eta, kappa = setting.step_size, setting.kappa
    gain, width = widening(search, noise, kappa, eta), abs(scale) * drive
    unit = {"u": -rate / (scale * along), "m": 1.0} | ({} if rho is None else {"s": across / along})
    place = {s.name: v for s, v in at.items()}
    constant, error = _constant(system, setting, rate, unit, place)
    law = LinearEscape(
        regime="linear",
        tau=compiled(search_time_of)(rate, eta),
        dimension=setting.dimension,
        threshold=setting.threshold,
        prefactor=compiled(prefactor)(rate, width**2, scale * along, width),
        gain=gain,
        shift=compiled(shift)(rate, start * math.sqrt(setting.dimension), gain * width),
        constant=constant,
        constant_below=constant,
        constant_error=error,
        published=math.log(setting.threshold * math.sqrt(setting.dimension)) / rate,
    )
    pull = MEDIAN * drive / math.sqrt(setting.dimension)  # -(L_q m + 2 L_r s), and in u what noise adds to it
    overlaps = {"m": along, "s": across} if rho is not None else {"m": along}
    begun = {name: -pull * value / drive**2 for name, value in overlaps.items()}
    begun["u"] = scale * (gain - 1) * pull / rate
    return replace(law, remainder=_remainder(system, setting, law, rate, begun, place))


def _remainder(
    system: System,
    setting: Setting,
    law: LinearEscape,
    rate: float,
    start: dict[str, float],
    place: dict[str, float],
    size: float = MEDIAN,
) -> float:
    """The exit time of the flow from a start with |Z + shift| = size, minus that of the law."""
    if abs(start["m"]) > setting.threshold / 2:
        return math.nan
    lasts = min(law.constant, law.constant_below) + law.offset - math.log(size)
    options: dict[str, Any] = {**place, "kappa": setting.kappa, "t_max": (10 * abs(lasts) + 100) / rate}
    options |= {"rtol": max(1e-9, setting.rtol), "engine": setting.engine}
    path = integrate(system.sgd(), start, event=Exit(setting.threshold), **options)
    return math.nan if path.exit_time is None else law.tau * (path.exit_time * rate - lasts)


def _gradient(system: System, at: dict[sp.Symbol, float]) -> tuple[float, float]:
    base = system.escape.base_gradient
    assert base is not None
    slope, bend = evaluator(tuple(at) or (mu_symbol,), base)(*(at.values() or (0.0,)))
    return float(slope.value), float(bend.value)


def _constant(
    system: System, setting: Setting, rate: float, unit: dict[str, float], place: dict[str, float]
) -> tuple[float, float]:
    """Return C and its error, along the unstable direction `unit`, scaled to |m| = 1."""
    drifting = system.sgd()

    def way(size: float) -> float:
        start = {name: size * value for name, value in unit.items()}
        horizon = (LONGEST_WAY - math.log(size)) / rate
        time, state = time_out(drifting, start, setting, horizon, place)
        if time is None:
            options: dict[str, Any] = {**place, "kappa": setting.kappa, "rtol": setting.rtol, "t_max": horizon}
            path = integrate(drifting, state, **options, engine=setting.engine).states
            raise InputError(
                f"threshold = {setting.threshold:g} given; accepted: one below |m| = {float(abs(path.m).max()):.4g}, "
                "the largest that the flow with its kappa drift reaches from this start."
            )
        return time * rate + math.log(size)

    value, error = constant_of(way, SMALLEST_START)
    return value, error + CONSTANT_ERROR * setting.rtol


def from_saddle(system: System, setting: Setting) -> LinearEscape:
    """Return the law of plain training with information exponent 2.

    Raises `InputError` where m = 0 attracts, or the threshold is not reached.
    """
    name, drift = system.loss_function.student.name, system.escape.drift
    assert drift is not None
    c = float(evaluator((m,), (drift,))(0.0)[0].value)
    own = system.escape.rate
    if own is None or own.free_symbols or abs(float(own.evalf(15)) - c) > SAME_RATE * abs(c):
        raise InputError(
            f"velocities with the rate {own} at m = 0 given; accepted: those derived for model plain, without kappa "
            f"drift (which is added here), of rate {c:.6g}."
        )
    _, bend = _gradient(system, {})
    moments = system.loss_function.noise_moments(sp.S.Zero, sp.S.One)
    bulk, extra = (float(v.value) for v in evaluator((m,), (moments[J], moments[M_ss]))(0.0))
    kappa, eta = setting.kappa, setting.step_size
    left = 1 - 2 * eta * bend
    rate = compiled(saddle_rate)(c, bulk, kappa)
    if rate <= 0 or 2 * c * left + eta * c**2 <= kappa * bulk or left <= 0:
        reason = "m = 0 attracts the flow" if c <= 0 else "the kappa drift or the step traps m at 0"
        raise InputError(
            f"{name} with model plain, kappa = {kappa:g}, step size {eta:g}: {reason} (c = {c:.4g}, kappa J_0/2 = "
            f"{kappa * bulk / 2:.4g}); accepted: kappa below {max(0.0, 2 * c / bulk):.4g}, and small steps."
        )
    ways = []
    for side in (1.0, -1.0):
        try:
            ways.append(_constant(system, setting, rate, {"m": side}, {}))
        except InputError:
            ways.append((math.inf, 0.0))
    if all(constant == math.inf for constant, _ in ways):
        _constant(system, setting, rate, {"m": 1.0}, {})  # says how far the flow goes
    (above, error), (below, error_below) = ways
    if abs(above - below) <= error + error_below:  # m -> -m is a symmetry
        below = above
    law = LinearEscape(
        regime="plain-2",
        tau=compiled(saddle_time)(c, left, bulk, kappa, eta),
        dimension=setting.dimension,
        threshold=setting.threshold,
        prefactor=0.0,
        gain=compiled(saddle_spread)(c, left, bulk, bulk + extra, kappa, eta),
        shift=0.0,
        constant=above,
        constant_below=below,
        constant_error=max(error, error_below),
        published=math.log(setting.threshold * math.sqrt(setting.dimension)) / rate,
    )
    if law.escaping == 1 and law.median <= 0:
        raise InputError(
            f"d = {setting.dimension:g}, threshold = {setting.threshold:g} given, which typical runs start beyond; "
            "accepted: a larger d or threshold."
        )
    side = 1.0 if above <= below else -1.0
    start = {"m": side * MEDIAN * law.gain / math.sqrt(setting.dimension)}
    return replace(law, remainder=_remainder(system, setting, law, rate, start, {}))
