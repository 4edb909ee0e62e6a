"""A network's combinations in numbers: coefficients of its weights, and how they move with its trained scalars."""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, diff, sympify

from numerics.compile.codegen import compile_function
from numerics.simulation.experiment import Experiment

__all__ = ["Coefficients", "Weights"]

Array = NDArray[np.float64]


class Coefficients(NamedTuple):
    """At given scalars: w_i = sum_k frozen_ik F_k + sum_l trained_il v_l, and a_i."""

    frozen: Array
    """(units, frozen vectors)"""
    trained: Array
    """(units, trained vectors)"""
    amplitudes: Array
    """(units,)"""


class Weights:
    """The coefficients of an experiment's network as functions of the trained scalars."""

    def __init__(self, experiment: Experiment) -> None:
        network = experiment.network
        self.frozen, self.trained = experiment.frame.vectors, network.vectors
        self.scalars = network.scalars
        units = [(ridge.coefficient, ridge.weight) for ridge in network.ridges]
        rows = [
            [a, *(w.coefficient(v) for v in self.frozen), *(w.coefficient(v) for v in self.trained)] for a, w in units
        ]
        flat = [cast(Expr, entry.subs(network.values)) for row in rows for entry in row]
        slopes = [diff(entry, scalar) for scalar in self.scalars for entry in flat]
        self.shape = (len(units), 1 + len(self.frozen) + len(self.trained))
        constant = tuple(map(float, flat)) if not self.scalars else ()
        self._at = compile_function(self.scalars, tuple(flat), jit=False) if self.scalars else lambda: constant
        self._slopes = compile_function(self.scalars, tuple(slopes), jit=False) if slopes else None
        teacher = network.teacher.ridges
        self.teacher = np.array(
            [[float(term.weight.coefficient(v).subs(network.values)) for v in self.frozen] for term in teacher]
        )
        """(teacher terms, frozen vectors)"""
        self.teacher_amplitudes = np.array([float(term.coefficient.subs(network.values)) for term in teacher])
        self.decays, self.vector_decays = (
            np.array([float(sympify(network.penalty.get(p, 0)).subs(network.values)) for p in trained])
            for trained in (self.scalars, self.trained)
        )
        """lambda of every trained scalar, and vector"""

    def at(self, scalars: Array) -> Coefficients:
        """Return the coefficients at these scalars."""
        return self._split(np.reshape(self._at(*scalars), self.shape))

    def slopes(self, scalars: Array) -> list[Coefficients]:
        """Return their derivatives by every scalar."""
        if self._slopes is None:
            return []
        stack = np.reshape(self._slopes(*scalars), (len(self.scalars), *self.shape))
        return [self._split(rows) for rows in stack]

    def _split(self, rows: Array) -> Coefficients:
        count = 1 + len(self.frozen)
        return Coefficients(rows[:, 1:count], rows[:, count:], rows[:, 0])
