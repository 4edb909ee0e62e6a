r"""Averaging over a fast u: the drift that it leaves to m.

At fixed m, u is a diffusion of one variable, du = b(u, m) dt + sqrt(D(u, m)) dW, with the stationary density

    p(u | m) ~ (1/D) exp(int 2 b/D du),    F(m) = int dm/dt(u, m) p(u | m) du

on the well around its equilibrium: nothing is expanded in u, neither the curvatures that each sample has of its own
(they let D grow with u^2) nor the slope of the loss. A step of size eta makes the spread of u wider by
1/(1 + eta b'/2), b' < 0. Where the equilibrium ends in a fold, u sets out by itself. What is left out is that u
follows m with a delay.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import sympy as sp
from numpy.polynomial.chebyshev import chebpts1, chebvander
from numpy.typing import NDArray

from numerics.integrals.evaluate import on_covariance
from theory.network.system import System
from theory.symbols import d as dimension_symbol
from theory.symbols import kappa as kappa_symbol
from theory.symbols import mu as mu_symbol
from theory.symbols import q, r

__all__ = ["Fast", "fast_scale"]

WIDTH = 7.0  # standard deviations on each side
DEGREE = 14
GRID = 281
NEWTON = 30
DIFFERENCE, ACCURACY, ROUNDING = 1e-3, 1e-3, 1e-12
NODES = chebpts1(DEGREE + 1)
ONTO_GRID = chebvander(np.linspace(-1, 1, GRID), DEGREE) @ np.linalg.inv(chebvander(NODES, DEGREE))
"""Interpolation from the nodes to the grid."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Fast:
    """The fast variable at one pre-trained weight: `at(u, m)` is du/dt, dm/dt and D."""

    at: Callable[[float, float], tuple[float, float, float]]
    step_size: float

    def averages(self, m: float, centre: float, width: float, relax: float) -> tuple[float, float]:
        """Return F(m) and E[u^2 | m], given a first guess of the equilibrium of u, its spread, and -b'.

        Both are infinite where u has no equilibrium.
        """
        density = self._density(m, centre, width, relax)
        if density is None:
            return math.copysign(math.inf, m), math.inf
        u, weight, speed, _ = density
        return float(weight @ speed), float(weight @ u**2)

    def fluctuation(self, m: float, centre: float, width: float, relax: float) -> float:
        """Return int_0^inf Cov(v_0, v_t) dt of the speed v = dm/dt that a fluctuating u gives at m.

        For a diffusion of one variable that is int 2 H^2/(D p) du, H(u) = int^u (v - F) p. Infinite as above.
        """
        density = self._density(m, centre, width, relax)
        if density is None:
            return math.inf
        u, weight, speed, spread = density
        inside, step = weight > 0, u[1] - u[0]
        flow = np.cumsum((speed - weight @ speed) * weight)[inside]
        return float(np.sum(2 * flow**2 / (spread[inside] * weight[inside] / step)) * step)

    def _density(self, m: float, centre: float, width: float, relax: float) -> tuple[Array, Array, Array, Array] | None:
        """A grid of u, its weights, dm/dt and D there; None where u has no equilibrium."""
        density = self._equilibrium(m, centre, width)
        if density is None:
            return None
        centre = density
        low, high = centre - WIDTH * width, centre + WIDTH * width
        u = np.linspace(low, high, GRID)
        nodes = centre + WIDTH * width * NODES
        pull, speed, spread = (ONTO_GRID @ np.array([self.at(float(node), m) for node in nodes])).T
        spread = spread / (1 - self.step_size * relax / 2)
        slope = 2 * pull / spread
        potential = np.concatenate([[0.0], np.cumsum((slope[1:] + slope[:-1]) / 2)]) * (u[1] - u[0])
        middle = GRID // 2
        weight = np.exp(np.minimum(potential - potential[middle], 50.0)) / spread
        weight *= _well(weight, middle)
        return u, weight / np.sum(weight), speed, spread

    def at_rest(self, m: float, centre: float, width: float) -> float:
        """Return F(m) without noise in u; infinite where u has no equilibrium."""
        density = self._equilibrium(m, centre, width)
        return math.copysign(math.inf, m) if density is None else self.at(density, m)[1]

    def _equilibrium(self, m: float, guess: float, width: float) -> float | None:
        """The equilibrium of u by Newton's method; None beyond the fold where it ends and u sets out by itself."""
        step = DIFFERENCE * (width + abs(guess))
        for _ in range(NEWTON):
            here, beside = self.at(guess, m)[0], self.at(guess + step, m)[0]
            if beside >= here:
                return None
            change = here * step / (here - beside)
            guess += change
            if abs(change) <= ACCURACY * width + ROUNDING * abs(guess):
                return guess
        return None


def _well(weight: Array, middle: int) -> Array:
    """1 from the middle outwards while the density falls: beyond its minimum, u would have set out."""
    peak = middle - GRID // 8 + int(np.argmax(weight[middle - GRID // 8 : middle + GRID // 8 + 1]))
    inside = np.zeros(len(weight))
    right = np.flatnonzero(np.diff(weight[peak:]) > 0)
    left = np.flatnonzero(np.diff(weight[peak::-1]) > 0)
    inside[peak - (left[0] if len(left) else peak) : peak + (right[0] if len(right) else len(weight)) + 1] = 1.0
    return inside


def fast_scale(system: System, alignment: float, dimension: float, kappa: float, step_size: float) -> Fast:
    """Return the fast variable u of aligned LoRA at mu."""
    noisy, spread = system.sgd(), system.diffusion[0, 0]
    exprs = (*noisy.velocities.values(), spread)
    inner = {name: f for name, f in system.diffusion_functions.items() if any(e.has(name) for e in exprs)}
    place = {mu_symbol: alignment, kappa_symbol: kappa, dimension_symbol: dimension}
    bound = [sp.sympify(e).subs(place) for e in exprs]
    total = sp.lambdify((*system.states, *inner), bound, "math")
    where = [f.subs(place) for f in (system.entries[q], system.entries[r], system.gap)]
    position = sp.lambdify(system.states, where, "math")
    moments = on_covariance(tuple(inner.values()))

    def at(u: float, m: float) -> tuple[float, float, float]:
        overlap, norm, gap = position(u, m)
        first, second, third = total(u, m, *moments.values(overlap, norm, gap))
        return first, second, third

    return Fast(at, step_size)
