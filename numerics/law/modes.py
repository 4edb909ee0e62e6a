r"""The law of exponential escape for any network: from its Jacobian, its noise at the start, and one integration.

Around the start the flow (with its kappa drift) has one growing mode of rate lambda, with right eigenvector e and left
eigenvector f, scaled so that f.e = 1 and the alignment grows as p = f.(state - start) on the mode. At the start the
overlaps of directions drawn uniformly are Gaussian of covariance Sigma_0 / d, those with frozen vectors <b, b'> |v|^2;
scalars and lengths are known. SGD's noise adds f^T M f / (lambda (2 + eta lambda) d) to the variance of p, M / d the
covariance of the states' increments per unit of t, so that (`theory.search.law` has the same formula in symbols)

    T = tau [ (1/2) log d - log|Z + z_0| - log S + C ] + o(1),
    S^2 = f^T Sigma_0 f + f^T M f / (lambda (2 + eta lambda)).

For LoRA as derived this is `numerics.law.starts`, which knows more there (critical strengths, noise-driven escape).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from sympy import Expr, Symbol

from numerics.accuracy import ISOLATED_MODE, LONGEST_WAY, SMALLEST_MODE
from numerics.compile.formulas import compiled
from numerics.flows.flow import Exit, integrate
from numerics.flows.starts import MEDIAN
from numerics.integrals.evaluate import evaluator
from numerics.law.linear import LinearEscape
from numerics.law.protocol import Setting
from numerics.law.way import constant_of, time_out
from theory.errors import InputError
from theory.network.system import ALIGNMENT, System
from theory.network.vectors import Combination
from theory.search.law import search_time
from theory.search.law import spread as spread_of
from theory.symbols import d as dimension_symbol
from theory.symbols import kappa as kappa_symbol

__all__ = ["Mode", "from_mode", "leading_mode"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Mode:
    """The growing mode of a start, in numbers, and what sets out on it.

    Attributes:
        rate: lambda.
        right: e, by state; the alignment grows as |e.grad| = 1.
        left: f, by state.
        rest: the start, by state.
        pull: Sigma_0 f, by state: where a start of given p is expected.
        drawn: f^T Sigma_0 f.
        noise: f^T M f.
        others: the fastest relaxation, -min of the other real parts.
    """

    rate: float
    right: dict[str, float]
    left: dict[str, float]
    rest: dict[str, float]
    pull: dict[str, float]
    drawn: float
    noise: float
    others: float


def _numbers(matrix: sp.Matrix, at: Mapping[Symbol, Expr]) -> Array:
    """Return a matrix at given values; every entry to float64's digits."""
    symbols = tuple(at) or (ALIGNMENT,)
    values = evaluator(symbols, tuple(matrix))(*([float(at[s]) for s in at] or [0.0]))
    return np.array([float(f.value) for f in values]).reshape(matrix.shape)


def leading_mode(system: System, kappa: float, parameters: Mapping[str, float]) -> Mode:
    """Return the leading mode of the flow with kappa drift, by the Jacobian of its own velocities.

    Raises `InputError` where the start is no fixed point, has no Jacobian, or nothing grows from it alone.
    """
    network = system.network
    at: dict[Symbol, Expr] = {p: sp.Rational(parameters[p.name]) for p in system.parameters}
    drifting = system.sgd(sp.Rational(kappa))
    escape = drifting.escape
    if network.start is None or escape.jacobian is None or not escape.is_fixed:
        raise InputError(
            f"model {network.name}: the flow does not rest at its start, or has no Jacobian there; accepted are models "
            "that start at a fixed point."
        )
    jacobian = _numbers(escape.jacobian, at)
    rates, rights = np.linalg.eig(jacobian)
    real, turning = np.real(rates), np.imag(rates)
    lead = int(np.argmax(real))
    rate, rest = float(real[lead]), np.delete(real, lead)
    if rate <= 0 or abs(turning[lead]) > ISOLATED_MODE * rate or any(rest > (1 - ISOLATED_MODE) * rate):
        raise InputError(
            f"model {network.name} with {dict(parameters)}: rates {np.sort(real)[::-1]} at the start, of which "
            "no single one grows fastest; accepted are starts with one growing mode."
        )
    left, right = np.real(np.linalg.inv(rights)[lead]), np.real(rights[:, lead])
    start = {state: value.subs(at) for state, value in network.start.items()}
    gradient = [sp.diff(network.alignment, state).subs(start).subs(at) for state in system.states]
    along = float(sum(float(g) * r for g, r in zip(gradient, right, strict=True)))
    if abs(along) <= 1e-12 * float(np.linalg.norm(right)):
        raise InputError(
            f"model {network.name}: its growing mode does not move {network.alignment}; accepted are models whose "
            "watched overlap grows: give Network.progress."
        )
    right, left = right / along, left * along
    names = [state.name for state in system.states]
    pull = _drawn(system, start, at) @ left
    return Mode(
        rate,
        dict(zip(names, right.tolist(), strict=True)),
        dict(zip(names, left.tolist(), strict=True)),
        {state.name: float(value) for state, value in start.items()},
        dict(zip(names, pull.tolist(), strict=True)),
        float(left @ pull),
        float(left @ _noise(system, kappa, start, at) @ left),
        max(0.0, float(-rest.min())) if len(rest) else 0.0,
    )


def _drawn(system: System, start: Mapping[Symbol, Expr], at: Mapping[Symbol, Expr]) -> Array:
    """Return d times the covariance of the states at the start: overlaps of directions drawn uniformly."""
    network, size = system.network, len(system.states)
    gram = network.gram

    def inner(a: Any, b: Any) -> float:
        return float(gram.inner(Combination.of(a), Combination.of(b)).subs(start).subs(at))

    covariance = np.zeros((size, size))
    for i, state in enumerate(system.states):
        for k, other in enumerate(system.states):
            if state not in network.overlaps or other not in network.overlaps:
                continue
            (v, b), (w, c) = network.overlaps[state], network.overlaps[other]
            if v == b or w == c:
                continue
            if b.is_trained or c.is_trained:
                covariance[i, k] = inner(v, v) * inner(b, b) if state == other else 0.0
            elif v == w:
                covariance[i, k] = inner(v, v) * inner(b, c)
    return covariance


def _noise(system: System, kappa: float, start: Mapping[Symbol, Expr], at: Mapping[Symbol, Expr]) -> Array:
    """Return d times the covariance of the states' increments per unit of t at the start."""
    if kappa == 0:
        return np.zeros((len(system.states),) * 2)
    matrix = system.covariance(norm=False).subs({kappa_symbol: kappa, dimension_symbol: 1}).subs(start)
    wanted = matrix.free_symbols
    functions = {name: f for name, f in system.diffusion_functions.items() if name in wanted}
    entries = {name: f.subs(start) for name, f in system.entries.items()}
    return _numbers(matrix.subs({name: f.subs(entries, simultaneous=True) for name, f in functions.items()}), at)


def from_mode(
    system: System, setting: Setting, parameters: Mapping[str, float], initial: Mapping[str, float] | None = None
) -> LinearEscape:
    """Return the law of a network's escape by its growing mode; `initial` are scalars and lengths at step 0, by state.

    Raises `InputError` as `leading_mode`, and where the threshold is not reached.
    """
    mode = leading_mode(system, setting.kappa, parameters)
    eta, root = setting.step_size, math.sqrt(setting.dimension)
    if eta * mode.others > 2:
        raise InputError(
            f"step_size = {eta:g} given, at which SGD is unstable around the start (the fastest relaxation has the "
            f"rate {mode.others:.4g}); accepted: at most {2 / mode.others:.4g}, and much less for a law that holds."
        )
    spread = compiled(spread_of)(mode.drawn, mode.noise / mode.rate**2, 1.0, mode.rate, eta)
    if not spread:
        raise InputError(
            f"model {system.network.name}, kappa = 0 given: nothing drawn sets out on its growing mode; accepted: "
            "kappa > 0."
        )
    own = math.sqrt(mode.drawn) or 1.0
    begun = {name: value - mode.rest[name] for name, value in (initial or {}).items()}
    for scalar in system.network.scalars:
        if scalar.name not in begun and mode.rest[scalar.name] == 0:
            begun[scalar.name] = setting.dimension**-2.0
    offset = sum(mode.left[name] * value for name, value in begun.items())
    ways = {side: _way_out(system, setting, mode, parameters, side) for side in (1.0, -1.0)}
    if all(math.isinf(constant) for constant, _ in ways.values()):
        raise InputError(
            f"threshold = {setting.threshold:g} given with model {system.network.name}; accepted: one that the flow "
            f"with its kappa drift reaches: |{system.network.alignment}| stays below it for {LONGEST_WAY:g} tau."
        )
    (above, error), (below, error_below) = ways[1.0], ways[-1.0]
    if abs(above - below) <= error + error_below:
        below = above
    law = LinearEscape(
        regime="linear",
        tau=compiled(search_time)(mode.rate, eta),
        dimension=setting.dimension,
        threshold=setting.threshold,
        prefactor=-math.log(own),
        gain=spread / own,
        shift=offset * root / spread,
        constant=above,
        constant_below=below,
        constant_error=max(error, error_below),
        published=math.log(setting.threshold * root) / mode.rate,
        start=1.0 if mode.drawn else 0.0,
    )
    if law.median <= 0:
        raise InputError(
            f"d = {setting.dimension:g}, threshold = {setting.threshold:g} given, where typical runs start beyond the "
            "linear regime; accepted: a larger d or threshold, a smaller initial scale."
        )
    return replace(law, remainder=_remainder(system, setting, law, mode, parameters))


def _started(
    system: System, mode: Mode, away: Mapping[str, float], parameters: Mapping[str, float]
) -> dict[str, float]:
    """Return the states at `away` from rest, the alignment among them where it is one more."""
    start = {name: value + away.get(name, 0.0) for name, value in mode.rest.items()}
    observed, symbol = system.observed()
    if observed is not system:
        at = {state: start[state.name] for state in system.states}
        at |= {p: parameters[p.name] for p in system.parameters}
        start[symbol.name] = float(system.network.alignment.subs(at))
    return start


def _way_out(
    system: System, setting: Setting, mode: Mode, parameters: Mapping[str, float], side: float
) -> tuple[float, float]:
    """Return C and its error on one side of the mode; infinite where that side does not exit."""
    observed, symbol = system.observed()
    drifting = observed.sgd()

    def way(size: float) -> float:
        start = _started(system, mode, {name: side * size * e for name, e in mode.right.items()}, parameters)
        horizon = (LONGEST_WAY - math.log(size)) / mode.rate
        time, _ = time_out(drifting, start, setting, horizon, parameters, symbol)
        return math.inf if time is None else time * mode.rate + math.log(size)

    value, error = constant_of(way, SMALLEST_MODE)
    return value, 0.0 if math.isinf(value) else error + setting.rtol


def _remainder(
    system: System, setting: Setting, law: LinearEscape, mode: Mode, parameters: Mapping[str, float]
) -> float:
    """The exit time of the flow from an expected start with |Z| = 0.674, minus that of the law without a shift."""
    root, own = math.sqrt(setting.dimension), math.sqrt(mode.drawn)
    side = 1.0 if law.constant <= law.constant_below else -1.0
    away = {name: side * MEDIAN * (law.gain * (own or 1.0) - own) / root * e for name, e in mode.right.items()}
    if own:
        away = {name: away[name] + side * MEDIAN * pull / own / root for name, pull in mode.pull.items()}
    lasts = min(law.constant, law.constant_below) + law.offset - math.log(MEDIAN)
    observed, symbol = system.observed()
    start = _started(system, mode, away, parameters)
    if abs(start[symbol.name]) > setting.threshold / 2:
        return math.nan
    horizon = (10 * abs(lasts) + 100) / mode.rate
    options: dict[str, Any] = {**parameters, "kappa": setting.kappa, "t_max": horizon}
    options |= {"rtol": max(1e-9, setting.rtol), "engine": setting.engine}
    path = integrate(observed.sgd(), start, event=Exit(setting.threshold, symbol), **options)
    return math.nan if path.exit_time is None else law.tau * (path.exit_time * mode.rate - lasts)
