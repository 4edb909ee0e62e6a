r"""The chain rule that closes a system: vectors, their Gram entries, constraints.

Trainable and frozen vectors span a Gram matrix. A loss L depends on the weights only through inner products X_j of
linear combinations of these vectors (q = <w, w*>, r = <w, w>, ...). Then, with t = eta * step,

    grad_v L = sum_j L_{X_j} grad_v X_j          (a combination of the same vectors),
    dv/dt    = -grad_v L,                        free,
    dv/dt    = -(grad_v L - <grad_v L, v> v),    on the unit sphere,

and the velocity <dv/dt, b> of every overlap <v, b> is an expression in Gram entries: the system closes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import sympy as sp
from sympy import Expr, S, Symbol

__all__ = ["Combination", "Gram", "Vector", "gradient", "noise_velocity", "velocity"]


@dataclass(frozen=True)
class Vector:
    """A vector of R^d: frozen, trainable on the unit sphere, or trainable and free."""

    name: str
    kind: Literal["frozen", "sphere", "free"]


@dataclass(frozen=True)
class Combination:
    """A linear combination of vectors, as (vector, coefficient) pairs."""

    parts: tuple[tuple[Vector, Expr], ...]

    @classmethod
    def of(cls, parts: Mapping[Vector, Expr] | Vector) -> Combination:
        """Return the combination of a mapping, or a vector as a combination of itself."""
        if isinstance(parts, Vector):
            parts = {parts: S.One}
        return cls(tuple((vector, sp.sympify(c)) for vector, c in parts.items() if c != 0))

    def coefficient(self, vector: Vector) -> Expr:
        """Return the coefficient of a vector, zero where it is absent."""
        return dict(self.parts).get(vector, S.Zero)

    def __add__(self, other: Combination) -> Combination:
        total = dict(self.parts)
        for vector, c in other.parts:
            total[vector] = total.get(vector, S.Zero) + c
        return Combination.of(total)

    def __mul__(self, factor: Expr) -> Combination:
        return Combination.of({vector: c * factor for vector, c in self.parts})

    def diff(self, symbol: Symbol) -> Combination:
        """Return the derivative with respect to a scalar in the coefficients."""
        return Combination.of({vector: sp.diff(c, symbol) for vector, c in self.parts})


@dataclass(frozen=True)
class Gram:
    """Inner products of the vectors; (v, w) and (w, v) are the same entry."""

    entries: Mapping[tuple[Vector, Vector], Expr]

    def inner(self, left: Combination, right: Combination) -> Expr:
        """Return <left, right> by bilinearity."""
        total = S.Zero
        for v, a in left.parts:
            for w, b in right.parts:
                entry = self.entries.get((v, w), self.entries.get((w, v)))
                if entry is None:
                    raise KeyError(f"the Gram entry <{v.name}, {w.name}> is not given")
                total += a * b * entry
        return sp.expand(total)


Argument = tuple[Combination, Combination]


def gradient(partials: Mapping[Symbol, Expr], arguments: Mapping[Symbol, Argument], v: Vector) -> Combination:
    """Return grad_v L = sum_j L_{X_j} (a_v B + b_v A) for X_j = <A, B>, a_v and b_v the coefficients of v."""
    total = Combination(())
    for name, (left, right) in arguments.items():
        slope = right * left.coefficient(v) + left * right.coefficient(v)
        total = total + slope * partials[name]
    return total


def velocity(gram: Gram, descent: Combination, v: Vector) -> Combination:
    """Return dv/dt for the gradient `descent`, projected where v lives on the sphere; zero where it is frozen."""
    if v.kind == "frozen":
        return Combination(())
    if v.kind == "free":
        return descent * S.NegativeOne
    radial = gram.inner(descent, Combination.of(v))
    return descent * S.NegativeOne + Combination.of({v: radial})


def noise_velocity(weight: Combination, v: Vector, kappa: Expr, variance: Expr) -> Combination:
    """Return the drift -(kappa/2) c^2 J v that normalising adds to a vector on the sphere, c its coefficient in w.

    A step moves v by eta c times a gradient whose part across all d directions has squared length J d / B, and
    dividing by the new norm shrinks every overlap by 1 - (eta c)^2 J d / (2 B), kappa = eta d / B.
    """
    if v.kind != "sphere":
        return Combination(())
    return Combination.of({v: -kappa / 2 * weight.coefficient(v) ** 2 * variance})
