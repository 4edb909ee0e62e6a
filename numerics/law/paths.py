r"""Native code of SGD's diffusion, one path after the other until it leaves.

A path is split: the flow by RK4, in steps h = 0.25/|b'| (|b'| the Frobenius norm of its Jacobian here, and |b|/|x|),
and between two such steps a kick of covariance (h + h')/2 D (Strang), times 1 - eta b'/2, which makes the spread of
many steps that of the chain. At a finite step eta the drift is the logarithm of the mean map Phi (`mean_step`),

    log(Phi)/eta = p_1 - (p_2 - p_1)/2 + (p_3 - 2 p_2 + p_1)/3 - ...,   p_k = (Phi^k - Phi^(k-1))/eta,

whose terms beyond p_1 are taken in the middle of a step. Where a step of the flow crosses the threshold, the cubic
Hermite interpolant says when.
"""

from __future__ import annotations

import sympy as sp
from sympy import Expr, Symbol

from numerics.compile.codegen import HEADER, native_source
from numerics.law.moments import Moments
from theory.network.system import System
from theory.network.vectors import Combination, Vector
from theory.symbols import J, L_q, L_r, q, r
from theory.symbols import d as dimension_symbol
from theory.symbols import kappa as kappa_symbol

__all__ = ["LEAVE", "STEP", "arguments_of", "called", "diffusion_source", "mean_step"]

STEP = Symbol("eta_step", nonnegative=True)
PACE = 0.25
"""steps of the flow, in units of 1/|b'|; at 0.5 exact simulation rejects the law"""
COARSE = 0.03
"""eta |b'| from which the logarithm of a step takes a third term, (eta b')^2/3 of it"""


def mean_step(noisy: System) -> dict[Symbol, Expr]:
    """Return (Phi(x) - x)/eta, Phi the mean map of a step of SGD; the velocities at eta = 0.

    With g = grad L(w), c the coefficient of v in w and N = |v|^2, v - eta c g is brought back to the length of v,

        |v - eta c g|^2 = N - 2 eta c <g, v> + eta^2 c^2 |g|^2 + eta kappa c^2 J.

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
        c, decay = weight.coefficient(v), sp.sympify(network.penalty.get(v, 0))
        size, kept = gram.inner(Combination.of(v), Combination.of(v)), 1 - STEP * decay
        longer = STEP * decay**2 - 2 * decay
        longer += (-2 * c * kept * along(v) + c**2 * (kappa_symbol * J + STEP * squared)) / size
        length = sp.sqrt(1 + STEP * longer)
        steps[overlap] = -(c * along(b) + decay * overlap) / length - overlap * longer / (length * (1 + length))
    return steps


def arguments_of(noisy: System) -> str:
    """Return native `arguments(states, parameters)`: q, r and D."""
    outputs = [noisy.entries[q], noisy.entries[r], noisy.floored_gap]
    return native_source([*noisy.states, *noisy.parameters], outputs, name="arguments")


def called(name: str, noisy: System, moments: int, which: str) -> str:
    """Return native `name(x, p, table, F, out)`, which asks for the moments and fills `out` with the stage's values.

    It is called, not inlined: a stage of RK4 is compiled once.
    """
    states, constants = len(noisy.states), len(noisy.parameters) + 2
    own = ", ".join([f"x[{i}]" for i in range(states)] + [f"p[{i}]" for i in range(constants - 2)])
    given = ", ".join([own, *(f"p[{i}]" for i in (constants - 2, constants - 1)), *(f"F[{k}]" for k in range(moments))])
    return (
        "@njit('void(float64[::1], float64[::1], float64[::1], float64[::1], float64[::1])', error_model='numpy', "
        f"nogil=True, cache=CACHE)\ndef {name}(x, p, table, F, out):\n"
        f"    q, r, D = arguments({own})\n    {which}(q, r, D, table, F)\n"
        f"    values = {name}_values({given})\n"
        "    for i in range(len(values)):\n        out[i] = values[i]\n"
    )


def inputs_of(noisy: System) -> list[Symbol]:
    """States, parameters, d and eta: what every stage knows beside the moments."""
    return [*noisy.states, *noisy.parameters, dimension_symbol, STEP]


def diffusion_source(noisy: System, moments: Moments, *, looked_up: bool) -> str:
    """Return the module with the loop `leave` over paths, and the drift, for one system."""
    names, inputs, steps = list(moments.functions), inputs_of(noisy), mean_step(noisy)
    spread, size = noisy.diffusion, len(noisy.states)
    drifts = [steps[state] for state in noisy.states]
    packed = [spread[i, j] for i in range(size) for j in range(i + 1)]
    parts = (
        HEADER + "\nfrom numerics.flows.sde import cholesky\nfrom numerics.law.moments import interpolated\n",
        arguments_of(noisy),
        moments.source(looked_up=looked_up),
        native_source([*inputs, *names[: moments.drift]], drifts, name="drift_values"),
        native_source([*inputs, *names], packed, name="spread_values"),
        called("drift", noisy, moments.drift, "few"),
        _here(noisy, moments),
    )
    text = (
        "\n\n".join([*parts, _LOOP.replace("LEAVE", LEAVE)])
        .replace("MOMENTS", str(len(names)))
        .replace("PACE", repr(PACE))
    )
    text = text.replace("COARSE", repr(COARSE))
    return text.replace("SIZE", str(size)).replace("TRIANGLE", str(len(packed)))


def _here(noisy: System, moments: Moments) -> str:
    """Return native `here(x, p, table, F, first, packed)`: the drift and the covariance in one look at the moments."""
    own = ", ".join([f"x[{i}]" for i in range(len(noisy.states))] + [f"p[{i}]" for i in range(len(noisy.parameters))])
    given = ", ".join([own, *(f"p[{len(noisy.parameters) + i}]" for i in (0, 1))])
    return (
        "@inline\ndef here(x, p, table, F, first, packed):\n"
        f"    q, r, D = arguments({own})\n    every(q, r, D, table, F)\n"
        f"    drifts = drift_values({given}, {', '.join(f'F[{k}]' for k in range(moments.drift))})\n"
        f"    spreads = spread_values({given}, {', '.join(f'F[{k}]' for k in range(len(moments.functions)))})\n"
        "    for i in range(SIZE):\n        first[i] = drifts[i]\n"
        "    for i in range(TRIANGLE):\n        packed[i] = spreads[i]\n"
    )


LEAVE = """\
@njit(
    (npy_rng, float64[:, ::1], float64[:, ::1], float64[::1], float64[::1], float64[::1], float64[::1], int64[::1],
     float64[::1], float64[:, ::1], int64[::1]),
    error_model="numpy",
    nogil=True,
    cache=CACHE,
)
def leave(rng, start, normals, given, table, bounds, numbers, counts, times, ends, steps):
    threshold, noise = numbers[0], numbers[1]
    watched, most = counts[0], counts[1]
"""
"""How the loop over paths begins, of the diffusion and of the chain."""

_LOOP = """
from numba import float64, int64
from numba.core.types import npy_rng


@njit('float64(float64[::1], float64[::1], float64[::1], float64[::1], float64[::1], float64[::1], float64[::1],'
      'float64[:, ::1])', error_model="numpy", nogil=True, cache=CACHE)
def local_rate(x, p, table, F, first, moved, out, matrix):
    total, speed, length = 0.0, 0.0, 0.0
    for i in range(SIZE):
        moved[i] = x[i]
        speed += first[i] * first[i]
        length += x[i] * x[i]
    for j in range(SIZE):
        moved[j] = x[j] + 1e-6
        drift(moved, p, table, F, out)
        moved[j] = x[j]
        for i in range(SIZE):
            matrix[i, j] = (out[i] - first[i]) * 1e6
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


@njit('void(float64[::1], float64[::1], float64[::1], float64[::1], float64[::1], float64[::1], float64[::1],'
      'float64[::1], float64)', error_model="numpy", nogil=True, cache=CACHE)
def beyond(x, p, table, F, a, b, c, out, rate):
    eta = p[p.size - 1]
    if eta == 0.0:
        for i in range(SIZE):
            out[i] = 0.0
        return
    for i in range(SIZE):
        out[i] = x[i] + eta * a[i]
    drift(out, p, table, F, b)
    if eta * rate < COARSE:
        for i in range(SIZE):
            out[i] = 0.5 * (a[i] - b[i])
        return
    for i in range(SIZE):
        out[i] += eta * b[i]
    drift(out, p, table, F, c)
    for i in range(SIZE):
        out[i] = (5.0 * a[i] - 7.0 * b[i] + 2.0 * c[i]) / 6.0


LEAVE    x, y, moved, more = np.empty(SIZE), np.empty(SIZE), np.empty(SIZE), np.empty(SIZE)
    first, slope, total, normal = np.empty(SIZE), np.empty(SIZE), np.empty(SIZE), np.empty(SIZE)
    b, c, F = np.empty(SIZE), np.empty(SIZE), np.empty(MOMENTS)
    values, lower = np.empty(SIZE + TRIANGLE), np.zeros((SIZE, SIZE))
    matrix, half = np.zeros((SIZE, SIZE)), 0.5 * given[given.size - 1]
    packed = values[SIZE:]
    for path in range(start.shape[0]):
        for i in range(SIZE):
            x[i] = start[path, i]
        now, before, used, left = 0.0, 0.0, 0, np.inf
        for step in range(most):
            here(x, given, table, F, first, packed)
            h = PACE / max(local_rate(x, given, table, F, first, moved, slope, matrix), 1e-300)
            if not h < np.inf:
                left = np.nan
                break
            if noise > 0.0:
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
                drift(x, given, table, F, first)
            if abs(x[watched]) >= threshold:
                left = now
                break
            for i in range(SIZE):
                slope[i], total[i] = first[i], first[i]
            for stage in range(1, 4):
                part = h if stage == 3 else 0.5 * h
                for i in range(SIZE):
                    moved[i] = x[i] + part * slope[i]
                drift(moved, given, table, F, slope)
                if stage == 1:
                    beyond(moved, given, table, F, slope, b, c, more, PACE / h)
                weight = 1.0 if stage == 3 else 2.0
                for i in range(SIZE):
                    total[i] += weight * slope[i]
            for i in range(SIZE):
                y[i] = min(max(x[i] + h * (total[i] / 6.0 + more[i]), -bounds[i]), bounds[i])
            if not abs(y[watched]) < np.inf:
                left = np.nan
                break
            if abs(y[watched]) >= threshold:
                drift(y, given, table, F, slope)
                sign = 1.0 if y[watched] > 0.0 else -1.0
                share = crossing(sign * x[watched], sign * y[watched], sign * h * (first[watched] + more[watched]),
                                 sign * h * (slope[watched] + more[watched]), threshold)
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
