r"""Exit times of SGD's diffusion, from the true start: the sample that `numerics.law.diffusion` makes a law of.

    dX = b(X) dt + S(X) dW,    S S^T = D(X),    T = inf { t : |m(t)| >= R },    t = eta * step,

with the drift b of `system.sgd()`, or at a finite step eta the logarithm of its mean map Phi (`mean_step`),

    b = log(Phi)/eta = p_1 - (p_2 - p_1)/2 + (p_3 - 2 p_2 + p_1)/3 - ...,   p_k = (Phi^k - Phi^(k-1))/eta,

and D = `system.covariance()` at this kappa and d (`numerics.flows.sde`), each kick times 1 - eta b'/2, which makes
the spread of many steps that of the chain. A path is split: the flow by RK4, in steps h = 0.25/|b'| (|b'| the Frobenius
norm of its Jacobian here, and |b|/|x|), and between two such steps a kick of covariance (h + h')/2 D (Strang). Where a
step of the flow crosses the threshold, the cubic Hermite interpolant says when. v is uniform on the sphere in R^d: its
overlaps with the frozen vectors are those of a vector of normals divided by its length. Start and first kicks are a
scrambled Sobol sequence, the rest pseudo-random, so that each randomisation is a sample of its own, whose differences
say what the numbers are worth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy
import sympy as sp
from numpy.typing import NDArray
from sympy import Expr, Symbol

from numerics.compile.codegen import BUILDS_ON, HEADER, native_source
from numerics.compile.keeping import generated
from numerics.flows import sde
from theory.network.system import System
from theory.network.vectors import Combination, Vector
from theory.symbols import J, L_q, L_r, q, r
from theory.symbols import d as dimension_symbol
from theory.symbols import kappa as kappa_symbol

__all__ = ["MOST_STEPS", "PATHS", "Ensemble", "Sample", "paths_of", "starts"]

Array = NDArray[np.float64]

STEP, ORDER = Symbol("eta_step", nonnegative=True), Symbol("order", nonnegative=True)
PATHS = 2**14
PACE = 0.25
"""steps of the flow, in units of 1/|b'|; at 0.5 exact simulation rejects the law"""
SOBOL = 40
"""dimensions of the low-discrepancy sequence: the start and the first kicks"""
STATES = 200
"""at which a share of the drift is measured"""
MOST_STEPS = 50_000
"""of a path, which then counts as one that stays"""


@dataclass(frozen=True, eq=False)
class Sample:
    """Exit times in units of t, infinite for paths that stay, the state in which each path leaves, and its steps."""

    times: Array
    ends: Array
    steps: NDArray[np.int64]


class Motion(NamedTuple):
    """Compiled code of one system: its paths until they leave, and its drift."""

    leave: Callable[..., None]
    drift: Callable[[Array, Array, Array], None]


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Paths of a system's diffusion, and how they are drawn.

    Attributes:
        system: a derived system, without kappa drift, of vectors on the sphere and scalars.
        motion: what moves its paths, `paths_of` the system.
        parameters: mu and whatever else it depends on.
        dimension: d, larger than the number of frozen vectors.
        threshold: R.
        kappa: eta d / B.
        scale: every trained scalar at the start.
        step_size: eta.
        order: terms of the logarithm of a step, 1 to 3.
        paths: number of paths of a randomisation, a power of 2.
        noise: factor of the kicks; 0 leaves the flow from a random start.

    >>> from theory.network.derivation import derive
    >>> linear = derive("linear")
    >>> ensemble = Ensemble(linear, paths_of(linear), {"mu": 0.5}, 1e4, 0.5, 1.0, 1e-8, paths=64)
    >>> sample = ensemble.draw(seed=1)
    >>> sample.times.shape, bool((sample.times > 0).all())
    ((64,), True)
    """

    system: System
    motion: Motion
    parameters: Mapping[str, float]
    dimension: float
    threshold: float
    kappa: float
    scale: float
    step_size: float = 0.0
    order: int = 1
    paths: int = PATHS
    noise: float = 1.0

    def draw(self, seed: int, randomisation: int = 0) -> Sample:
        """Return a randomisation: a function of (seed, randomisation) and the fields alone."""
        places = np.random.SeedSequence(seed, spawn_key=(randomisation, 4))
        scramble, later = places.spawn(2)
        normals, start = starts(self, scramble)
        times, ends, steps = np.empty(self.paths), np.empty_like(start), np.empty(self.paths, np.int64)
        self.motion.leave(
            np.random.Generator(np.random.SFC64(later)),
            start,
            normals,
            self._given(self.kappa),
            sde.bounds_of(self.system, self.parameters),
            np.array([self.threshold, PACE, self.noise]),
            np.array([self.watched, MOST_STEPS]),
            times,
            ends,
            steps,
        )
        return Sample(times, ends, steps)

    @property
    def watched(self) -> int:
        """The position of m among the states."""
        return [*self.system.states].index(self.system.network.alignment)

    def _given(self, kappa: float) -> Array:
        values = {**self.parameters, "kappa": kappa}
        numbers = [values[p.name] for p in self.system.sgd().parameters]
        return np.array([*numbers, self.dimension, self.step_size, self.order], float)

    def stall(self, states: Array) -> float:
        """Return the median share of the drift of m that the kappa drift takes away in these states."""
        shares, speed, free = [], np.empty(len(self.system.states)), np.empty(len(self.system.states))
        for state in states[:: max(len(states) // STATES, 1)]:
            self.motion.drift(state, self._given(self.kappa), speed)
            self.motion.drift(state, self._given(0.0), free)
            shares.append(1 - speed[self.watched] / free[self.watched])
        return float(np.median(shares))


def starts(ensemble: Ensemble, seeds: np.random.SeedSequence) -> tuple[Array, Array]:
    """Return the normals of the first kicks, and the states at the start."""
    system, count = ensemble.system, ensemble.paths
    sobol = scipy.stats.qmc.Sobol(SOBOL, scramble=True, rng=np.random.default_rng(seeds))
    uniform = np.clip(sobol.random_base2(round(math.log2(count))), 1e-12, 1 - 1e-12)
    network = system.network
    frozen = [b for _, b in network.overlaps.values()]
    size = len(frozen)
    values = {p: ensemble.parameters[p.name] for p in system.parameters}
    spread = [[network.gram.inner(Combination.of(a), Combination.of(b)).subs(values) for b in frozen] for a in frozen]
    factor = np.linalg.cholesky(np.array(spread, float) + 1e-300 * np.eye(size))
    normals = scipy.special.ndtri(uniform)
    across = scipy.special.chdtri(ensemble.dimension - size, uniform[:, size])
    within = normals[:, :size]
    unit = within / np.sqrt((within**2).sum(axis=1) + across)[:, None]
    start = np.empty((count, len(system.states)))
    start[:, : len(network.scalars)] = ensemble.scale
    start[:, len(network.scalars) :] = unit @ factor.T
    return np.ascontiguousarray(normals[:, size + 1 :]), start


def paths_of(system: System, *, norm: bool = False) -> Motion:
    """Return the compiled paths of a system's diffusion, kept for the process; `norm` as in `System.covariance`.

    Raises `InputError` where the loss or a moment of its noise has no closed form.
    """
    noisy = system.sgd()
    key = (system.network, *noisy.velocities.items(), norm)
    if key not in _KEPT:
        _KEPT[key] = _made(noisy, norm)
    return _KEPT[key]


_KEPT: dict[tuple[object, ...], Motion] = {}


def _made(noisy: System, norm: bool) -> Motion:
    outputs = sde.coefficients(noisy, norm=norm, drift=mean_step(noisy))
    count = len(noisy.states)
    text = _text(noisy.states, (*noisy.parameters, dimension_symbol, STEP, ORDER), outputs[:count], outputs[count:])
    builds = (*BUILDS_ON, sde.__file__, __file__)
    return Motion(*(generated(text, name, builds_on=builds) for name in ("leave", "drift")))


def mean_step(noisy: System) -> dict[Symbol, Expr]:
    """Return (Phi(x) - x)/eta, Phi the mean map of a step of SGD; the velocities at eta = 0.

    With g = grad L(w) and c the coefficient of v in w, v - eta c g is divided by its length,

        |v - eta c g|^2 = 1 - 2 eta c <g, v> + eta^2 c^2 |g|^2 + eta kappa c^2 J.

    >>> from theory.network.derivation import derive
    >>> noisy = derive("relu").sgd()
    >>> step = mean_step(noisy)
    >>> [(step[s].subs(STEP, 0) - noisy.velocities[s]).expand() for s in noisy.states]
    [0, 0]
    """
    network, steps = noisy.network, dict(noisy.velocities)
    gram, weight, target = network.gram, network.weight, network.target

    def along(vector: Vector) -> Expr:
        """<g, vector>."""
        return L_q * gram.inner(Combination.of(vector), target) + 2 * L_r * gram.inner(weight, Combination.of(vector))

    squared = L_q**2 * gram.inner(target, target) + 4 * L_q * L_r * noisy.entries[q] + 4 * L_r**2 * noisy.entries[r]
    for overlap, (v, b) in network.overlaps.items():
        c = weight.coefficient(v)
        longer = -2 * c * along(v) + c**2 * (kappa_symbol * J + STEP * squared)
        length = sp.sqrt(1 + STEP * longer)
        steps[overlap] = -c * along(b) / length - overlap * longer / (length * (1 + length))
    return steps


def _text(
    states: tuple[Symbol, ...], constants: tuple[Symbol, ...], drift: tuple[Expr, ...], spread: tuple[Expr, ...]
) -> str:
    """Return the source of the loop over paths for one system."""
    fields = "\n\n".join(
        f"{native_source([*states, *constants], outputs, name=f'{name}_of')}\n\n"
        f"{_filled(name, len(states), len(constants), len(outputs))}"
        for name, outputs in (("drift", drift), ("spread", spread))
    )
    text = f"{HEADER}\nfrom numerics.flows.sde import cholesky\n\n{fields}\n{_LOOP}"
    text = text.replace("forceinline=True, cache=CACHE)\ndef drift_of", "cache=CACHE)\ndef drift_of")
    return text.replace("SIZE", str(len(states))).replace("TRIANGLE", str(len(spread)))


def _filled(name: str, states: int, constants: int, outputs: int) -> str:
    """f(x, p, out), which is called, not inlined: a stage of RK4 is compiled once."""
    given, targets = [f"p[{i}]" for i in range(constants)], "".join(f"out[{i}], " for i in range(outputs))
    head = (
        "@njit('void(float64[::1], float64[::1], float64[::1])', error_model='numpy', nogil=True, cache=CACHE)\n"
        f"def {name}(x, p, out):\n"
    )
    here = [f"x[{i}]" for i in range(states)]
    if name != "drift":
        return f"{head}    {targets}= {name}_of({', '.join([*here, *given])})\n"
    lines, eta = [], f"p[{constants - 2}]"
    for letter, before in (("a", ""), ("b", "a"), ("c", "ab")):
        moved = [" + ".join([here[i], *(f"{eta}*{k}{i}" for k in before)]) for i in range(states)]
        lines.append("".join(f"{letter}{i}, " for i in range(states)) + f"= drift_of({', '.join([*moved, *given])})")
    results = ("a{i}", "1.5*a{i} - 0.5*b{i}", "(11.0*a{i} - 7.0*b{i} + 2.0*c{i})/6.0")
    body = ""
    for order, (line, result) in enumerate(zip(lines, results, strict=True), 1):
        body += f"    {line}\n    if p[{constants - 1}] < {order + 0.5}:\n"
        body += "".join(f"        out[{i}] = {result.format(i=i)}\n" for i in range(states)) + "        return\n"
    return head + body


_LOOP = """
from numba import float64, int64
from numba.core.types import npy_rng


@njit('float64(float64[::1], float64[::1], float64[::1], float64[::1], float64[::1], float64[:, ::1])',
      error_model="numpy", nogil=True, cache=CACHE)
def local_rate(x, p, here, moved, out, matrix):
    total, speed, length = 0.0, 0.0, 0.0
    for i in range(SIZE):
        moved[i] = x[i]
        speed += here[i] * here[i]
        length += x[i] * x[i]
    for j in range(SIZE):
        moved[j] = x[j] + 1e-6
        drift(moved, p, out)
        moved[j] = x[j]
        for i in range(SIZE):
            matrix[i, j] = (out[i] - here[i]) * 1e6
            total += matrix[i, j] ** 2
    return np.sqrt(total + speed / max(length, 1e-300))


@njit(error_model="numpy", nogil=True, cache=CACHE)
def crossing(a, b, slope_a, slope_b, level):
    low, high = 0.0, 1.0
    for _ in range(50):
        s = 0.5 * (low + high)
        r = 1.0 - s
        ends = r * r * (1.0 + 2.0 * s) * a + s * s * (3.0 - 2.0 * s) * b
        if ends + s * r * (r * slope_a - s * slope_b) < level:
            low = s
        else:
            high = s
    return high


@njit(
    (npy_rng, float64[:, ::1], float64[:, ::1], float64[::1], float64[::1], float64[::1], int64[::1], float64[::1],
     float64[:, ::1], int64[::1]),
    error_model="numpy",
    nogil=True,
    cache=CACHE,
)
def leave(rng, start, normals, given, bounds, numbers, counts, times, ends, steps):
    threshold, pace, noise = numbers[0], numbers[1], numbers[2]
    watched, most = counts[0], counts[1]
    x, y, moved = np.empty(SIZE), np.empty(SIZE), np.empty(SIZE)
    first, slope, total, normal = np.empty(SIZE), np.empty(SIZE), np.empty(SIZE), np.empty(SIZE)
    values, lower = np.empty(SIZE + TRIANGLE), np.zeros((SIZE, SIZE))
    matrix, half = np.zeros((SIZE, SIZE)), 0.5 * given[given.size - 2]
    packed = values[SIZE:]
    for path in range(start.shape[0]):
        for i in range(SIZE):
            x[i] = start[path, i]
        now, before, used, left = 0.0, 0.0, 0, np.inf
        for step in range(most):
            drift(x, given, first)
            h = pace / max(local_rate(x, given, first, moved, slope, matrix), 1e-300)
            if not h < np.inf:
                break
            if noise > 0.0:
                spread(x, given, packed)
                cholesky(values, SIZE, lower)
                root = noise * np.sqrt(0.5 * (before + h))
                for i in range(SIZE):
                    if used < normals.shape[1]:
                        normal[i] = normals[path, used]
                        used += 1
                    else:
                        normal[i] = rng.standard_normal()
                for i in range(SIZE):
                    kick = 0.0
                    for j in range(i + 1):
                        kick += lower[i, j] * normal[j]
                    moved[i] = root * kick
                for i in range(SIZE):
                    kick = moved[i]
                    for j in range(SIZE):
                        kick -= half * matrix[i, j] * moved[j]
                    x[i] = min(max(x[i] + kick, -bounds[i]), bounds[i])
            if abs(x[watched]) >= threshold:
                left = now
                break
            drift(x, given, first)
            for i in range(SIZE):
                slope[i], total[i] = first[i], first[i]
            for stage in range(1, 4):
                part = h if stage == 3 else 0.5 * h
                for i in range(SIZE):
                    moved[i] = x[i] + part * slope[i]
                drift(moved, given, slope)
                weight = 1.0 if stage == 3 else 2.0
                for i in range(SIZE):
                    total[i] += weight * slope[i]
            for i in range(SIZE):
                y[i] = min(max(x[i] + h / 6.0 * total[i], -bounds[i]), bounds[i])
            if not abs(y[watched]) < np.inf:
                break
            if abs(y[watched]) >= threshold:
                drift(y, given, slope)
                sign = 1.0 if y[watched] > 0.0 else -1.0
                share = crossing(sign * x[watched], sign * y[watched], sign * h * first[watched],
                                 sign * h * slope[watched], threshold)
                left = now + share * h
                for i in range(SIZE):
                    x[i] += share * (y[i] - x[i])
                break
            now += h
            before = h
            for i in range(SIZE):
                x[i] = y[i]
        times[path] = left
        steps[path] = step + 1
        for i in range(SIZE):
            ends[path, i] = x[i]
"""
