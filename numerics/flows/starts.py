"""Where a flow starts: the median of random directions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist

from numerics.integrals.evaluate import evaluator
from theory.errors import InputError, ParameterError
from theory.network.system import System
from theory.symbols import mu, rho

__all__ = ["MEDIAN", "median_start"]

MEDIAN = NormalDist().inv_cdf(0.75)  # of |Z|, Z ~ N(0, 1)


def median_start(system: System, dimension: float, **parameters: float) -> dict[str, float]:
    """Return the start of a LoRA system whose drive is the median of |G Z| / sqrt(d), u = d^-2.

    Aligned, this is m = 0.674 / sqrt(d); misaligned, m and s are their mean given that drive. States of a model of
    one's own start where its search begins, scalars that rest at 0 there at d^-2.

    >>> from theory.network.derivation import derive
    >>> round(median_start(derive("linear"), 10_000, mu=0.3)["m"], 6)
    0.006745
    """
    system.network.accepts(parameters)
    size = MEDIAN / math.sqrt(dimension)
    rest = _at_rest(system, dimension, parameters)
    if rho not in system.parameters:
        return rest | {next(iter(system.network.overlaps)).name: size}
    base = system.escape.base_gradient
    if base is None:
        raise InputError(f"{system.loss_function.student.name}: no gradient at w0; accepted are continuous students.")
    along, length = parameters["mu"], parameters["rho"]
    slope, bend = (estimate.value for estimate in evaluator((mu, rho), base)(along, length))
    drive = (slope + 2 * along * bend, along * slope + 2 * length**2 * bend)  # <grad L, w*>, <grad L, w0>
    length = math.sqrt(max(slope * drive[0] + 2 * bend * drive[1], 0.0))
    if length == 0:
        raise ParameterError(f"mu = {along}, rho = {length}: the loss has no slope there (G = 0), hence no drive.")
    return rest | {"m": size * drive[0] / length, "s": size * drive[1] / length}


def _at_rest(system: System, dimension: float, parameters: Mapping[str, float]) -> dict[str, float]:
    """Return every state where the search begins, a scalar that rests at 0 at d^-2."""
    at = {symbol: parameters[symbol.name] for symbol in system.parameters if symbol.name in parameters}
    values = {state.name: float(value.subs(at)) for state, value in (system.network.start or {}).items()}
    return values | {s.name: values.get(s.name, 0.0) or float(dimension) ** -2 for s in system.network.scalars}
