r"""The exit time at a critical strength, where only SGD's noise leads out, and near one: A ~ 0 > B, A' > 0.

There the flow (nearly) leaves v where it is. SGD keeps u at a fast, small equilibrium, with, to leading order in 1/d,

    E[u | m] = A m / (-lambda(m)),    Var[u | m] = (kappa/d) V(m) / (-2 lambda(m) - eta lambda(m)^2),
    lambda(m) = B (1 - m^2) + A' m^2 < 0,    V = (1 - m^2) J_0 + m^2 J_*,

f = (sigma(l) - y) sigma'(l) at w0, J_0 = E f^2, J_* = E[f^2 l*^2], eta the step size; and u drives m, which is slow:

    dm/dt = F(m) + noise,    F = (1 - m^2) A E[u | m] + E[u^2 | m] m [(A' - B)(1 - m^2) - kappa J_0/2] + ...,
    noise variance (kappa/d) (A^2 J_0/B^2 + E[u^2 | 0] J_*) per t near m = 0.

F is computed with the whole distribution of u given m (`numerics.law.averaging`): at d = 500 and kappa = 1 the rest
makes E[u^2] of sin(3 x) larger by a fifth. Near m = 0 that is an unstable Ornstein-Uhlenbeck process, F = m/tau. With
g/d its rate at A = 0 and lambda the rate of the linear law, A^2/|B| up to O(A^4), and Z ~ N(0, 1),

    1/tau = lambda + g/d,    T = tau [ (1/2) log d - log|Z| - (1/2) log(1 + tau d x noise variance / 2) + C ],
    C = int_0^top (1/(tau F(m)) - 1/m) dm + log top,    top = min(R, m_c),

where at m_c, lambda(m_c) = 0, u sets out by itself, in a time O(log d) that does not count against d. At A = 0, T grows
like (d/(2 g)) log d: slower than any linear search, faster than the Kramers time of a barrier (eq-noise-driven in
docs/theory.md). Near the critical
strength noise leads for d below the crossover g/lambda, and the slope of the loss beyond. That u lags behind m,
O(A^2/B^2) and more where it sets out, is neglected in the average; given the C of the linear law, which has it all, the
average serves for the difference that noise makes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import sympy as sp
from sympy import Expr

from numerics.accuracy import FORGOTTEN_SCALE, NEARLY_CRITICAL
from numerics.compile.formulas import compiled
from numerics.flows.engines.problem import Engine
from numerics.flows.flow import Exit, integrate
from numerics.integrals.evaluate import evaluator
from numerics.law.averaging import fast_scale
from numerics.law.linear import LinearEscape
from numerics.rates.search_time import growth_rate
from theory.errors import InputError, ParameterError
from theory.network.system import System
from theory.search.law import counts_as_critical, spread_driven, turning_rate
from theory.search.law import level as level_of
from theory.symbols import J, M_ss, mu

__all__ = ["noise_driven", "noise_growth", "noise_rate"]

NEAR = 0.005  # F(m)/m at m = NEAR and 2 NEAR gives F'(0) up to O(NEAR^4)
SHALLOW = 0.1  # of |B|: the curvature that a guess of the spread of u takes at least
ORDER = 16


def noise_driven(
    system: System,
    alignment: Expr | float,
    *,
    dimension: float,
    threshold: float,
    kappa: float,
    step_size: float = 0.0,
    initial_scale: float = 0.0,
    engine: Engine | str | None = None,
    linear_constant: float | None = None,
) -> LinearEscape:
    """Return the law of the exit time at or near a critical strength of an aligned LoRA system.

    Its `power` is the share of the noise in the rate, 1 at A = 0; there nothing exits without noise.

    Args:
        system: a derived system of model lora.
        alignment: mu, A(mu) = 0 or |A| at most |B|/10; |A| <= 1e-9 |B| counts as 0.
        dimension: d.
        threshold: R, exit at |m| = R.
        kappa: eta d / B > 0.
        step_size: eta, 0 for infinitesimal steps.
        initial_scale: u at the start, which has to be so small that it is forgotten before it moves m.
        engine: what integrates the way out, as for `integrate`.
        linear_constant: C of the linear law at this mu, which knows how u lags behind m: the average then gives only
            the difference that noise makes.

    Raises:
        InputError: the regime at mu and kappa is another one; the message says which and why.
        ParameterError: a threshold outside (0, 1).

    >>> from theory.network.derivation import derive
    >>> law = noise_driven(derive("he3"), 0.3207243473230675, dimension=1000, threshold=0.5, kappa=0.02)
    >>> round(1000 / law.tau, 4), law.power
    (0.3663, 1.0)
    """
    if not 0 < threshold < 1:
        raise ParameterError(f"threshold = {threshold!r} given; accepted: a number in (0, 1); try 0.5.")
    drive, trace, turn, bulk, along = _numbers(system, float(alignment))
    pulled = turn - trace - kappa * bulk / 2
    if not (abs(drive) <= NEARLY_CRITICAL * abs(trace) and turn > 0 > trace and pulled > 0 and kappa > 0):
        raise InputError(
            f"mu = {alignment}, kappa = {kappa} given, where A = {drive:.4g}, B = {trace:.4g}, A' = {turn:.4g}, and "
            f"A' - B - kappa J_0/2 = {pulled:.4g}; accepted: a critical strength with A ~ 0 > B, the other two "
            "positive, and kappa > 0."
        )
    if counts_as_critical(trace, drive**2):
        drive = 0.0
    if step_size * abs(trace) >= 2:
        raise InputError(
            f"step_size = {step_size:g} given, at which u does not relax; accepted: well below {2 / abs(trace):.4g}."
        )
    kick = initial_scale**2 * (turn - trace) + 2 * abs(drive * initial_scale) * math.sqrt(dimension)
    if kick > FORGOTTEN_SCALE * 2 * abs(trace):
        raise InputError(
            f"initial scale u0 = {initial_scale:g} given at a (nearly) critical strength, where it turns v before it "
            "decays; accepted: a smaller one, such as d^-2."
        )
    top = min(threshold, math.sqrt(-trace / (turn - trace)))  # the latter is m_c
    if (turn - trace) * (1 - top**2) <= kappa * bulk / 2:
        stop = math.sqrt(1 - kappa * bulk / 2 / (turn - trace))
        raise InputError(
            f"kappa = {kappa}: its drift stops m at {stop:.3g}, below {top:.3g}; accepted: a smaller kappa."
        )
    fast = fast_scale(system, float(alignment), dimension, kappa, step_size)

    def guess(m: float) -> tuple[float, float, float]:
        """Equilibrium, spread and relaxation of u at m, where they are small."""
        relax = max(-(trace * (1 - m * m) + turn * m * m), SHALLOW * abs(trace))
        variance = compiled(level_of)(-relax, (1 - m * m) * bulk + m * m * along, kappa / dimension, step_size)
        return drive * m / relax, math.sqrt(variance), relax

    def at_rest(m: float) -> float:
        centre, _, _ = guess(m)
        return fast.at_rest(m, centre, abs(centre))

    (pull, level), (further, _) = (fast.averages(m, *guess(m)) for m in (NEAR, 2 * NEAR))
    growth = (4 * pull - further / 2) / (3 * NEAR)
    flow = growth_rate(abs(drive), trace)
    alone = growth - drive**2 / -trace
    if growth <= 0 or flow + alone <= 0:
        raise InputError(
            f"mu = {alignment}, d = {dimension:g}, kappa = {kappa:g}: {_no_law(0.0)}; accepted: a larger d, or a "
            "smaller kappa."
        )

    def excess(m: float) -> float:
        drift = fast.averages(m, *guess(m))[0]
        if drift <= 0:
            raise InputError(
                f"mu = {alignment}, d = {dimension:g}, kappa = {kappa:g}: {_no_law(m)}, below {top:.3g}; accepted: a "
                "larger d, a smaller kappa, or a lower threshold."
            )
        return (growth * m / drift - 1) / m

    integral, error = _integral(excess, top)
    constant = integral + math.log(top)
    if linear_constant is not None and drive:
        still, lag = _integral(lambda m: (drive**2 / -trace * m / at_rest(m) - 1) / m, top)
        lag += abs(linear_constant - still - math.log(top))
        constant += linear_constant - still - math.log(top)
        error += lag * alone * alone / (flow + alone) ** 2 if alone > 0 else 0.0
    tau = 1 / (flow + alone)
    noise = kappa * (drive**2 * bulk / trace**2 + level * along)  # times 1/d, the variance of the start
    law = LinearEscape(
        regime="noise-driven" if alone > flow else "linear",
        tau=tau,
        dimension=float(dimension),
        threshold=threshold,
        prefactor=0.0,
        gain=compiled(spread_driven)(noise, tau),
        shift=0.0,
        constant=constant,
        constant_below=constant,
        constant_error=error + (drive / trace) ** 2,
        published=math.log(threshold * math.sqrt(dimension)) / flow if flow else math.inf,
        power=max(0.0, alone * tau),
        flow_tau=1 / flow if flow else math.inf,
        crossover=max(0.0, alone) * dimension / flow if flow else math.inf,
    )
    fluctuation = fast.fluctuation(top / 2, *guess(top / 2)) / (top / 2) ** 2
    remainder = law.median * tau * fluctuation + tau * (law.constant_error + law.gain**2 / (dimension * top**2))
    if top < threshold and not (linear_constant is not None and drive):  # whose C holds the way out
        place = {"mu": float(alignment), "kappa": kappa, "engine": engine}
        remainder += _way_out(system, top, math.sqrt(level), Exit(threshold), law.median, place)
    return replace(law, remainder=remainder)


def _no_law(m: float) -> str:
    place = "at m = 0" if m == 0 else f"at m = {m:.3g}"
    return (
        f"the drift of m, averaged over u, points back {place}, because u fluctuates too widely at this d, so that no "
        "drift leads out and this law does not exist; runs may still leave by fluctuations, whose law is not known "
        "here, only their simulation"
    )


def _way_out(system: System, m: float, width: float, event: Exit, longest: float, place: dict[str, Any]) -> float:
    """A bound on the time from m_c to the threshold, where u sets out by itself from its fluctuation to one side.

    The flow's time from one, two or four widths, whichever is the first to lead out, as often; infinite if none does.
    """
    options: dict[str, Any] = {"event": event, "t_max": longest, "rtol": 1e-8, **place}
    slowest = 0.0
    for side in (1.0, -1.0):
        times = (
            size * time
            for size in (1.0, 2.0, 4.0)
            if (time := integrate(system.sgd(), {"u": side * size * width, "m": m}, **options).exit_time) is not None
        )
        slowest = max(slowest, next(times, math.inf))
    return slowest


def _integral(f: Callable[[float], float], top: float) -> tuple[float, float]:
    """Integrate over [0, top] by Gauss and Legendre's rule; the error is the difference from one of half the order."""
    fine, coarse = (
        top / 2 * sum(w * f(top / 2 * (1 + x)) for x, w in zip(*np.polynomial.legendre.leggauss(n), strict=True))
        for n in (ORDER, ORDER // 2)
    )
    return float(fine), float(abs(fine - coarse))


def noise_rate(system: System, alignment: float, kappa: float) -> float:
    """Return g, the rate (per unit of t/d) at which noise turns v towards w* at mu; 0 where it does not.

    >>> from theory.network.derivation import derive
    >>> round(noise_rate(derive("he3"), 0.32072436, 0.02), 4)
    0.3656
    """
    return max(0.0, noise_growth(system, alignment, kappa)) if _numbers(system, alignment)[2] > 0 else 0.0


def noise_growth(system: System, alignment: float, kappa: float) -> float:
    """Return what noise in a relaxing u adds to the growth rate of m, per unit of t/d; 0 where u does not relax.

    (kappa J_0/(2 |B|)) (A' - B - kappa J_0/2), which is negative where w0 is nearly a minimum.

    >>> from theory.network.derivation import derive
    >>> noise_growth(derive("he3"), 0.99, 0.02) < 0 < noise_growth(derive("he3"), 0.32, 0.02)
    True
    """
    _, trace, turn, bulk, _ = _numbers(system, alignment)
    return compiled(turning_rate)(trace, turn, bulk, kappa) if trace < 0 else 0.0


def _numbers(system: System, alignment: float) -> tuple[float, float, float, float, float]:
    """A, B, A', J_0 and J_* at mu, with the LoRA scale."""
    moments = system.loss_function.noise_moments(mu, mu**2)
    escape = system.escape
    assert escape.scale is not None  # asked of LoRA alone
    assert escape.square is not None
    wanted = (escape.B, sp.diff(escape.A, mu), moments[J], moments[J] + moments[M_ss])
    values = evaluator((mu,), (escape.scale * escape.A, *(escape.square * f for f in wanted)))(alignment)
    drive, trace, turn, bulk, along = (float(f.value) for f in values)
    return drive, trace, turn, bulk, along
