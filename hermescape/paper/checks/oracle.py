r"""Gaussian expectations of the links, written down anew: no derived expression enters.

One dimension (aligned start), by Gauss-Legendre with 200 nodes on each side of 0:

    A = E[Z sigma'(mu Z) (phi(Z) - sigma(mu Z))],   B = -E[sigma'(mu Z)^2] - E[(sigma(mu Z) - phi(Z)) sigma''(mu Z)];

ReLU's sigma'' is a point mass at 0, where sigma and phi vanish. Two dimensions: with z = l*, l = q z + sqrt(D) y,

    L = E[(sigma - phi)^2]/2,   L_q = -E[sigma' phi'],   L_r = E[sigma'^2 + (sigma - phi) sigma'']/2,
    J = E[(sigma - phi)^2 sigma'^2],

by Gauss-Hermite in z and y for smooth links; for ReLU the mean over l given z is elementary, and the rest is
Gauss-Legendre over z > 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.polynomial import hermite_e
from numpy.typing import NDArray
from scipy.special import erf, expit, ndtr

__all__ = [
    "FAR",
    "Link",
    "Moments",
    "bias",
    "drive_and_bend",
    "link",
    "moments",
    "potential",
    "search_time_of",
    "teacher_of",
]

Array = NDArray[np.float64]
Function = Callable[[Array], Array]
FAR = 12.0  # standard deviations
_X, _V = np.polynomial.legendre.leggauss(200)
_HALF = (_X + 1) * FAR / 2  # nodes of the half line
_WEIGHT = _V * FAR / 2 * np.exp(-(_HALF**2) / 2) / np.sqrt(2 * np.pi)
_LINE, _DENSITY = np.concatenate([-_HALF, _HALF]), np.concatenate([_WEIGHT, _WEIGHT])


@dataclass(frozen=True)
class Link:
    """sigma, sigma' and the regular part of sigma''; ReLU's point mass at 0 is `kinked`."""

    value: Function
    slope: Function
    bend: Function
    kinked: bool = False


def link(name: str) -> Link:
    """Return a link by name."""
    if name.startswith("he"):
        k = int(name[2:])
        series = [[0.0] * (k - n) + [float(np.prod(range(k - n + 1, k + 1)))] for n in range(3)]
        value, slope, bend = (partial(_series, c) for c in series)
        return Link(value, slope, bend)
    return _LINKS[name]


def _series(coefficients: list[float], x: Array) -> Array:
    return np.asarray(hermite_e.hermeval(x, coefficients), np.float64)


def _logistic_bend(x: Array) -> Array:
    s = expit(x)
    return s * (1 - s) * (1 - 2 * s)


_LINKS = {
    "linear": Link(lambda x: x, np.ones_like, np.zeros_like),
    "erf": Link(
        erf,
        lambda x: 2 / np.sqrt(np.pi) * np.exp(-x * x),
        lambda x: -4 * x / np.sqrt(np.pi) * np.exp(-x * x),
    ),
    "relu": Link(lambda x: np.maximum(x, 0), lambda x: np.where(x > 0, 1.0, 0.0), np.zeros_like, kinked=True),
    "sigmoid": Link(expit, lambda x: expit(x) * (1 - expit(x)), _logistic_bend),
}


def teacher_of(student: Link, label: str) -> tuple[Function, Function]:
    """Return the learnt link and its slope, for labels "y" or "y**2"."""
    if label == "y":
        return student.value, student.slope
    return lambda x: student.value(x) ** 2, lambda x: 2 * student.value(x) * student.slope(x)


def _mean(f: Function) -> tuple[float, float]:
    """Return E f(Z) and E |f(Z)|, by Gauss-Legendre on both sides of 0."""
    values = f(_LINE) * _DENSITY
    return float(values.sum()), float(np.abs(values).sum())


def drive_and_bend(name: str, label: str, mu: float) -> tuple[float, float, float, float]:
    """Return A, B and the sizes of their integrands."""
    student = link(name)
    phi, _ = teacher_of(student, label)
    A, a = _mean(lambda z: z * student.slope(mu * z) * (phi(z) - student.value(mu * z)))
    own, b = _mean(lambda z: student.slope(mu * z) ** 2)
    cross, c = _mean(lambda z: (student.value(mu * z) - phi(z)) * student.bend(mu * z))
    return A, -own - cross, a, b + c


def search_time_of(A: float, B: float, a: float, b: float) -> tuple[float, float]:
    """Return tau = (-B + sqrt(B^2 + 4 A^2))/(2 A^2) and what rounding of A and B by 1e-9 of a and b may do to it."""

    def tau(A: float, B: float) -> float:
        root = np.hypot(B, 2 * A)
        return 2 / (B + root) if B > 0 else (root - B) / (2 * A * A) if A else np.inf

    centre = tau(A, B)
    moved = max(abs(tau(A + 1e-9 * i * a, B + 1e-9 * j * b) - centre) for i in (-1, 1) for j in (-1, 1))
    return centre, moved + 1e-8 * centre


def bias(name: str, variance: float) -> float:
    """Return E sigma(sqrt(r) Z)."""
    return _mean(lambda z: link(name).value(np.sqrt(variance) * z))[0]


def potential(name: str, mu: float) -> float:
    """Return L(mu, mu^2)."""
    student = link(name)
    return _mean(lambda z: (student.value(mu * z) - student.value(z)) ** 2)[0] / 2


# --- two dimensions ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moments:
    """The loss, its derivatives and the noise of its gradient at one (q, r)."""

    loss: float
    slope: float
    bend: float
    noise: float


_Z, _W = hermite_e.hermegauss(64)
_W = _W / _W.sum()


def moments(name: str, label: str, q: float, gap: float) -> Moments:
    """Return the moments at q and r - q^2."""
    student = link(name)
    phi, phi_slope = teacher_of(student, label)
    if student.kinked:
        return _kinked(phi, phi_slope, q, gap)
    l = q * _Z[:, None] + np.sqrt(gap) * _Z
    weight = _W[:, None] * _W
    value, slope, bend = student.value(l), student.slope(l), student.bend(l)
    gap_to = value - phi(_Z)[:, None]
    return Moments(
        float((weight * gap_to**2).sum() / 2),
        float(-(weight * slope * phi_slope(_Z)[:, None]).sum()),
        float((weight * (slope**2 + gap_to * bend)).sum() / 2),
        float((weight * (gap_to * slope) ** 2).sum()),
    )


def _kinked(phi: Function, phi_slope: Function, q: float, gap: float) -> Moments:
    """ReLU student, teacher that vanishes for z < 0: l given z is N(q z, D)."""
    r, spread = q * q + gap, np.sqrt(gap)
    z, weight = _HALF, _WEIGHT
    centre = q * z
    ratio = centre / spread if spread > 0 else np.sign(centre) * np.inf
    above = ndtr(ratio)
    mean = centre * above + spread * np.exp(-(ratio**2) / 2) / np.sqrt(2 * np.pi)
    own, target = r / 2, float(weight @ phi(z) ** 2)  # E relu(l)^2, E phi^2
    mixed = float(weight @ (phi(z) * mean))
    noise = own - 2 * mixed + float(weight @ (phi(z) ** 2 * above))
    at_kink = _on_kink(phi, np.sqrt(gap / r)) / np.sqrt(2 * np.pi * r)  # E[delta(l) phi(z)], sigma(0) = 0
    return Moments((own - 2 * mixed + target) / 2, -float(weight @ (phi_slope(z) * above)), (0.5 - at_kink) / 2, noise)


def _on_kink(phi: Function, scale: float) -> float:
    """Return E phi(scale Z) over Z > 0."""
    return float(_WEIGHT @ phi(scale * _HALF))
