"""Flows of the members of a family by the code of the family, compiled once for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from numerics.flows.engines.native import Native
from numerics.flows.engines.problem import Engine, Problem, Solution
from theory.network.system import System
from theory.symbols import kappa

__all__ = ["OfFamily"]


@dataclass(frozen=True)
class OfFamily:
    """An engine for members: a problem is solved as that of the family at the member's values.

    What is not the flow of the family, with or without its kappa drift, or has no closed form, is solved as it is.

    Attributes:
        family: in the chamber of the values, without kappa drift.
        values: of its parameters, by name.
        engine: what integrates.

    >>> from numerics.law import escape_law
    >>> from theory.network.derivation import derive
    >>> family = derive("erf(beta*x)", parameters={"beta": "> 0"})
    >>> place = {"mu": 0.4, "dimension": 1e5}
    >>> own = escape_law(family.member(beta=0.7), **place, engine=OfFamily(family, {"beta": 0.7}))
    >>> abs(own.median / escape_law(family, beta=0.7, **place).median - 1) < 1e-9
    True
    """

    family: System
    values: Mapping[str, float]
    engine: Engine = Native()  # noqa: RUF009  # frozen

    def solve(self, problem: Problem) -> Solution:
        """Integrate one trajectory."""
        own = problem.system
        system = self.family.sgd() if kappa in own.parameters else self.family
        if not system.is_exact or (system.states, system.entries) != (own.states, own.entries):
            return self.engine.solve(problem)
        given = {p.name: number for p, number in zip(own.parameters, problem.constants, strict=True)}
        known = {**given, **self.values}
        constants = tuple(float(known[p.name]) for p in system.parameters)
        return self.engine.solve(replace(problem, system=system, constants=constants))
