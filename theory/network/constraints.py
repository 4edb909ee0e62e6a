"""Constraints of trained vectors: each projects a direction onto its tangent space and brings v back after a step."""

from __future__ import annotations

from dataclasses import dataclass

from sympy import Expr, S

from theory.network.vectors import Combination, Gram, Vector

__all__ = ["Free", "Sphere"]


@dataclass(frozen=True)
class Free:
    """No constraint: v moves against its gradient."""

    @property
    def contraction(self) -> Expr:
        """Nothing is taken away."""
        return S.Zero

    def project(self, gram: Gram, direction: Combination, v: Vector) -> Combination:
        """Return the direction itself."""
        return direction

    def length(self, norm: Expr) -> Expr:
        """Return the norm: v stays where the step took it."""
        return norm


@dataclass(frozen=True)
class Sphere:
    """The unit sphere: v moves across itself and is divided by its norm after every step."""

    @property
    def contraction(self) -> Expr:
        """1/2: a step of length e across v leaves v / sqrt(1 + e^2)."""
        return S.Half

    def project(self, gram: Gram, direction: Combination, v: Vector) -> Combination:
        """Return the direction minus its component along v.

        >>> from theory.network.models import DIRECTION, TEACHER
        >>> from theory.symbols import m
        >>> gram = Gram({(DIRECTION, DIRECTION): S.One, (DIRECTION, TEACHER): m})
        >>> Sphere().project(gram, Combination.of(TEACHER), DIRECTION).coefficient(DIRECTION)
        -m
        """
        return direction + Combination.of({v: -gram.inner(direction, Combination.of(v))})

    def length(self, norm: Expr) -> Expr:
        """Return 1."""
        return S.One
