r"""The chain rule that closes a system: vectors, their Gram entries, constraints.

Trainable and frozen vectors span a Gram matrix. A loss L depends on the weights only through inner products X_j of
linear combinations of these vectors (q = <w, w*>, r = <w, w>, ...). Then, with t = eta * step,

    grad_v L = sum_j L_{X_j} grad_v X_j          (a combination of the same vectors),
    dv/dt    = -P_v grad_v L,      P_v the projection of v's constraint: none for a free vector, across v on the sphere,

and the velocity <dv/dt, b> of every overlap <v, b> is an expression in Gram entries: the system closes
(eq-gram in docs/theory.md; eq-lora for LoRA).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import sympy as sp
from sympy import Expr, S, Symbol

__all__ = [
    "Combination",
    "Constraint",
    "Gram",
    "Sampling",
    "Vector",
    "gradient",
    "noise_direction",
    "noise_velocity",
    "velocity",
]


NORM = Symbol("norm", positive=True)


class Constraint(Protocol):
    """The set on which a trained vector lives: `theory.network.constraints`."""

    @property
    def contraction(self) -> Expr:
        """What the retraction after a step across v takes from v to second order, a factor of |step|^2."""
        ...

    def project(self, gram: Gram, direction: Combination, v: Vector) -> Combination:
        """Return the part of a direction that is tangent at v."""
        ...

    def length(self, norm: Expr) -> Expr:
        """Return the length of v after a step that took it to this norm: the retraction."""
        ...


@dataclass(frozen=True)
class Vector:
    """A vector of R^d: frozen without a constraint, else trained within it."""

    name: str
    constraint: Constraint | None = None

    @property
    def is_trained(self) -> bool:
        """Whether SGD moves it."""
        return self.constraint is not None

    @property
    def is_unit(self) -> bool:
        """Whether it is trained and stays of length 1."""
        return self.constraint is not None and self.constraint.length(NORM) == 1

    @property
    def has_free_length(self) -> bool:
        """Whether it is trained and its constraint lets its length move."""
        return self.constraint is not None and bool(self.constraint.length(NORM).free_symbols)


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

    def put(self, values: Mapping[Symbol, Expr]) -> Combination:
        """Return the combination with values for symbols in the coefficients."""
        return Combination.of({vector: c.xreplace(dict(values)) for vector, c in self.parts})

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
    """Return dv/dt for the gradient `descent`, projected by the constraint of v; zero where it is frozen."""
    return Combination(()) if v.constraint is None else v.constraint.project(gram, descent * S.NegativeOne, v)


def noise_velocity(
    gram: Gram, weights: Sequence[Combination], pair: tuple[Vector, Vector], kappa: Expr, covariance: sp.MatrixBase
) -> Expr:
    """Return the drift that SGD noise of finite kappa = eta d / B adds to the overlap <a, b>.

    A step moves a by eta sum_i c_ia times the gradients of the units' weights w_i, c_ia the coefficient of a in w_i;
    their parts across all d directions have inner products C_ik d / B. That adds kappa sum_ik C_ik c_ia c_kb to <a, b>
    (Ito), and the retraction of a takes away (its contraction) kappa sum_ik C_ik c_ia c_ka <a, b>; the same for b.
    """
    first, second = pair
    rates = {v: [w.coefficient(v) if v.is_trained else S.Zero for w in weights] for v in pair}

    def square(a: Vector, b: Vector) -> Expr:
        units = range(len(weights))
        return sp.Add(*[covariance[i, k] * rates[a][i] * rates[b][k] for i in units for k in units])

    total = square(first, second)
    overlap = gram.inner(Combination.of(first), Combination.of(second))
    for v in pair:
        if v.constraint is not None:
            total -= v.constraint.contraction * square(v, v) * overlap
    return sp.expand(kappa * total)


def noise_direction(gram: Gram, weight: Combination, pair: tuple[Vector, Vector]) -> Combination:
    """Return the combination g whose projection g.x carries the noise of the overlap <a, b> in one sample's gradient.

    The gradient of a is (sigma - y) sigma' c_a x, projected by its constraint, so that on the sphere <a, b> moves with
    c_a (b - <a, b> a), and likewise for b.
    """
    first, second = pair
    total = Combination(())
    for v, other in ((first, second), (second, first)):
        if v.constraint is not None:
            total = total + v.constraint.project(gram, Combination.of(other), v) * weight.coefficient(v)
    return total


@dataclass(frozen=True)
class Sampling:
    """Moments of projections of x weighted by powers of f, a function of l = w.x and l* = w*.x, by Stein's lemma.

    For a projection on a vector, a* = <a, w*> is its part along w* and a' = <a, w> - q a* its covariance with l across
    it. `moments` are L_q, L_r and those of `theory.network.loss.Loss.noise_moments`, as symbols.
    """

    gram: Gram
    weight: Combination
    target: Combination
    moments: Mapping[str, Expr]

    def _parts(self, a: Combination) -> tuple[Expr, Expr]:
        along = self.gram.inner(a, self.target)
        return along, self.gram.inner(a, self.weight) - self.gram.inner(self.weight, self.target) * along

    def first(self, a: Combination) -> Expr:
        """Return E[f a.x] = L_q <a, w*> + 2 L_r <a, w>."""
        slope, bend = self.moments["L_q"], self.moments["L_r"]
        return slope * self.gram.inner(a, self.target) + 2 * bend * self.gram.inner(a, self.weight)

    def second(self, a: Combination, b: Combination) -> Expr:
        """Return E[f^2 a.x b.x] = <a, b> J + a* b* M_ss + (a* b' + a' b*) M_ls + a' b' M_ll."""
        (s_a, l_a), (s_b, l_b) = self._parts(a), self._parts(b)
        value = self.moments
        mixed = (s_a * l_b + l_a * s_b) * value["M_ls"]
        return self.gram.inner(a, b) * value["J"] + s_a * s_b * value["M_ss"] + mixed + l_a * l_b * value["M_ll"]

    def third(self, a: Combination) -> Expr:
        """Return E[f^3 a.x] = a* N_s + a' N_l."""
        along, across = self._parts(a)
        return along * self.moments["N_s"] + across * self.moments["N_l"]
