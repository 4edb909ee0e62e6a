r"""Native code of the chain of whole SGD steps with Gaussian batch sums, one path after the other until it leaves.

With f = (sigma(l) - y) sigma'(l) and directions b, the frozen vectors and v, a step draws

    S_b = (1/B) sum f b.x,    S_2 = (1/B) sum f^2,

jointly normal with their own means and covariance, and is then SGD's own: scalars move by -eta times the S of their
direction, v - eta c S is brought back to the length of v, its squared length with

    |S|^2 = S^T Gram^-1 S + (S_2/B) chi^2_(d - n),

n the dimension of the span. What it leaves out of SGD is that batch sums are not normal (S_2 may come out negative,
which leaves means as they are); nothing is expanded in eta.
"""

from __future__ import annotations

import sympy as sp
from sympy import Expr, Symbol

from numerics.compile.codegen import HEADER, native_source
from numerics.law.moments import Moments
from numerics.law.paths import LEAVE, STEP, arguments_of, called, inputs_of
from theory.network.system import System
from theory.network.vectors import Combination, Sampling, Vector
from theory.symbols import N_4, J
from theory.symbols import d as dimension_symbol
from theory.symbols import kappa as kappa_symbol

__all__ = ["chain_source", "whole_step"]

SQUARED = Symbol("S_squared", nonnegative=True)


def sums_of(noisy: System) -> dict[Vector, Symbol]:
    """The symbols S_b, for every frozen vector and then every trained one."""
    return {b: Symbol(f"S_{i}", real=True) for i, b in enumerate((*noisy.network.frozen, *noisy.network.vectors))}


def whole_step(noisy: System) -> list[Expr]:
    """Return the states after a step, in the states, the sums S_b, |S|^2 and eta.

    >>> from theory.network.derivation import derive
    >>> whole_step(derive("linear").sgd())
    [-S_1*eta_step + u, (-S_0*eta_step*u + m)/sqrt(-2*S_1*eta_step*u + S_squared*eta_step**2*u**2 + 1)]
    """
    network, sums = noisy.network, sums_of(noisy)

    def along(direction: Combination) -> Expr:
        return sp.Add(*[c * sums[vector] for vector, c in direction.parts])

    def decay(trained: Symbol | Vector) -> Expr:
        return 1 - STEP * sp.sympify(network.penalty.get(trained, 0))

    moved = [decay(p) * p - STEP * along(network.weight.diff(p)) for p in network.scalars]
    for overlap, (v, b) in network.overlaps.items():
        c, size = network.weight.coefficient(v), network.gram.inner(Combination.of(v), Combination.of(v))
        norm = decay(v) ** 2 * size - 2 * STEP * c * decay(v) * sums[v] + STEP**2 * c**2 * SQUARED
        moved.append((decay(v) * overlap - STEP * c * sums[b]) * sp.sqrt(size) / sp.sqrt(norm))
    return moved


def chain_source(noisy: System, moments: Moments, *, looked_up: bool) -> str:
    """Return the module with the loop `leave` over paths for one system."""
    network, inputs, names = noisy.network, inputs_of(noisy), list(moments.functions)
    sums = sums_of(noisy)
    directions, size = [Combination.of(b) for b in sums], len(sums)
    sampling = Sampling(network.gram, network.weight, network.target, {name.name: name for name in names})
    first = [sampling.first(b) for b in directions]
    mixed = [[sampling.second(directions[i], directions[j]) for j in range(i + 1)] for i in range(size)]
    rows = [[mixed[i][j] - first[i] * first[j] for j in range(i + 1)] for i in range(size)]
    rows += [[*(sampling.third(b) - f * J for b, f in zip(directions, first, strict=True)), N_4 - J**2]]
    batch = kappa_symbol / (dimension_symbol * STEP)
    gram = [network.gram.inner(directions[i], directions[j]) for i in range(size) for j in range(i + 1)]
    drawn = [*first, J, *(batch * entry for row in rows for entry in row)]
    parts = (
        HEADER + "\nfrom numerics.flows.sde import cholesky\nfrom numerics.law.moments import interpolated\n",
        arguments_of(noisy),
        moments.source(looked_up=looked_up),
        native_source([*inputs, *names], [*drawn, *gram], name="batch_values"),
        called("batch", noisy, len(names), "every"),
        native_source([*inputs, *sums.values(), SQUARED], whole_step(noisy), name="moved_values"),
        _moved(noisy, size),
    )
    text = (
        "\n\n".join([*parts, _LOOP.replace("LEAVE", LEAVE)])
        .replace("MOMENTS", str(len(names)))
        .replace("STATES", str(len(noisy.states)))
    )
    text = text.replace("DRAWN", str(len(drawn))).replace("GRAM", str(len(gram))).replace("KAPPA", _kappa(noisy))
    return text.replace("SIZE", str(size))


def _kappa(noisy: System) -> str:
    return str([*noisy.parameters].index(kappa_symbol))


def _moved(noisy: System, size: int) -> str:
    """Native `step(x, p, S, squared, out)`."""
    states, constants = len(noisy.states), len(noisy.parameters) + 2
    given = [f"x[{i}]" for i in range(states)] + [f"p[{i}]" for i in range(constants)]
    given += [*(f"S[{i}]" for i in range(size)), "squared"]
    targets = "".join(f"out[{i}], " for i in range(states))
    return f"@inline\ndef step(x, p, S, squared, out):\n    {targets}= moved_values({', '.join(given)})\n"


_LOOP = """
from numba import float64, int64
from numba.core.types import npy_rng


LEAVE    dimension, eta = given[given.size - 2], given[given.size - 1]
    share = given[KAPPA] / (eta * dimension)
    x, y, F, S = np.empty(STATES), np.empty(STATES), np.empty(MOMENTS), np.empty(SIZE + 1)
    values, lower = np.empty(DRAWN + GRAM), np.zeros((SIZE + 1, SIZE + 1))
    spans, triangle = np.empty(SIZE + GRAM), np.zeros((SIZE, SIZE))
    normal = np.empty(SIZE + 1)
    for path in range(start.shape[0]):
        for i in range(STATES):
            x[i] = start[path, i]
        used, left = 0, np.inf
        if abs(x[watched]) >= threshold:
            left = 0.0
        taken = 0
        while left == np.inf and taken < most:
            taken += 1
            batch(x, given, table, F, values)
            cholesky(values, SIZE + 1, lower)
            for i in range(SIZE + 1):
                if used < normals.shape[1]:
                    normal[i] = normals[path, used]
                    used += 1
                else:
                    normal[i] = rng.standard_normal()
            for i in range(SIZE + 1):
                S[i] = values[i]
                for j in range(i + 1):
                    S[i] += noise * lower[i, j] * normal[j]
            for i in range(GRAM):
                spans[SIZE + i] = values[DRAWN + i]
            cholesky(spans, SIZE, triangle)
            squared, rank = 0.0, 0
            for i in range(SIZE):
                part = S[i]
                for j in range(i):
                    part -= triangle[i, j] * normal[j]
                normal[i] = part / triangle[i, i] if triangle[i, i] > 1e-9 else 0.0
                rank += triangle[i, i] > 1e-9
                squared += normal[i] * normal[i]
            free = dimension - rank
            if noise > 0.0:
                free = rng.chisquare(free)
            squared += share * S[SIZE] * free
            step(x, given, S, squared, y)
            if not abs(y[watched]) < np.inf:
                left = np.nan
                break
            for i in range(STATES):
                x[i] = min(max(y[i], -bounds[i]), bounds[i])
            if abs(x[watched]) >= threshold:
                left = taken * eta
        times[path] = left
        steps[path] = taken
        for i in range(STATES):
            ends[path, i] = x[i]
"""
