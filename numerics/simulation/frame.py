"""Coordinates for a simulation: an orthonormal basis of the frozen vectors, the teacher's first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from sympy import Expr, Symbol

from numerics.compile.codegen import compile_function
from theory.errors import ParameterError
from theory.network.ridges import Network
from theory.network.vectors import Combination, Vector

__all__ = ["Frame"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    """Frozen vectors in a basis that Gram and Schmidt make of them, in the order of `Network.frozen`.

    Attributes:
        vectors: the frozen vectors.
        coordinates: one row a vector; as many columns as their span has dimensions.
    """

    vectors: tuple[Vector, ...]
    coordinates: Array

    @classmethod
    def of(cls, network: Network) -> Frame:
        """Return the frame at the network's own numbers.

        Raises `ParameterError` where the Gram matrix of the frozen vectors is not that of any vectors.

        >>> from theory.network.derivation import derive
        >>> Frame.of(derive("relu", model="misaligned").network.at(mu=0.3, rho=0.5)).coordinates
        array([[1. , 0. ],
               [0.3, 0.4]])
        """
        vectors, gram = network.frozen, network.gram
        inner = [[gram.inner(Combination.of(a), Combination.of(b)) for b in vectors] for a in vectors]
        rows, pivots = _factor(inner, network.values)
        symbols = tuple(network.values)
        numbers = [float(network.values[symbol]) for symbol in symbols]
        outputs = (*[entry for row in rows for entry in row], *pivots)
        flat = compile_function(symbols, outputs, jit=False)(*numbers) if symbols else tuple(map(float, outputs))
        count, rank = len(vectors), len(pivots)
        lower = np.array(flat[: count * rank]).reshape(count, rank)
        heights = np.array(flat[count * rank :])
        if not all(heights > 0):
            raise ParameterError(
                f"parameters {dict(zip(map(str, symbols), numbers, strict=True))} of model {network.name} given; "
                "accepted: inner products of vectors (a positive semidefinite Gram matrix of the frozen ones)."
            )
        return cls(vectors, lower * np.sqrt(heights))

    def of_vector(self, vector: Vector) -> Array:
        """Return the coordinates of a frozen vector."""
        return self.coordinates[self.vectors.index(vector)]

    def of_combination(self, combination: Combination, values: Mapping[Symbol, float]) -> Array:
        """Return the coordinates of a combination of frozen vectors at values of its coefficients' symbols."""
        total = np.zeros(self.coordinates.shape[1])
        for vector, coefficient in combination.parts:
            total = total + float(coefficient.subs(values)) * self.of_vector(vector)
        return total


def _factor(inner: list[list[Expr]], values: Mapping[Symbol, Expr]) -> tuple[list[list[Expr]], list[Expr]]:
    """Return L and D of the factorisation L D L^T, L with a column for every independent vector.

    Pivots are factored, rho^2 - mu^2 = (rho - mu)(rho + mu), so that float64 keeps their digits; a vector whose pivot
    vanishes exactly depends on those before it.
    """
    count = range(len(inner))
    rows: list[list[Expr]] = [[] for _ in count]
    pivots: list[Expr] = []
    for i in count:
        rest = [inner[k][i] - sp.Add(*[rows[k][j] * rows[i][j] * pivots[j] for j in range(len(pivots))]) for k in count]
        pivot = sp.factor(sp.expand(rest[i]))
        if pivot.subs(values) == 0:
            continue
        for k in count:
            rows[k].append(sp.S.Zero if k < i else sp.S.One if k == i else sp.cancel(rest[k] / pivot))
        pivots.append(pivot)
    return rows, pivots
