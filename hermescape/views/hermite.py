"""What `hermescape hermite` prints, and the coefficients that `hermescape derive` shows, for JSON and for people.

Quadrature is imported only where no rule closes a coefficient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sympy as sp
from rich.table import Table
from sympy import Expr

from theory.calculus.expectations import GaussianMean, is_closed
from theory.errors import InputError, ParameterError
from theory.language.activations import Activation, activation, he
from theory.language.hermite import coefficient, coefficients
from theory.symbols import r, x
from theory.typeset.constants import NONE, Constants, valued
from theory.typeset.printing import as_text

if TYPE_CHECKING:
    from numerics.integrals.quadrature import Estimate

__all__ = ["expansion", "hermite_expansion", "hermite_table", "tier_of"]


def hermite_expansion(text: str, order: int, variance: str, *, written: bool = False) -> dict[str, Any]:
    """Return the JSON object of `hermescape hermite`: coefficients as SymPy text, exact or as decimals with errors.

    `written`: as people read them, with named constants for long decimals; `constants` then holds these.
    """
    from numerics.integrals.evaluate import exact_number

    at = r if variance == "r" else exact_number(variance, "variance")
    if not at.is_positive:
        raise ParameterError(f"variance = {variance} given; accepted: a positive number, or the symbol r.")
    sigma = activation(text)
    if not written:
        return expansion(sigma, order, at, None)
    sigma = sigma.written()
    constants = {constant.name: constant.decimal for constant in Constants.within(sigma.expr).named}
    return {**expansion(sigma, order, at), "constants": constants}


def expansion(sigma: Activation, order: int, variance: Expr, constants: Constants | None = NONE) -> dict[str, Any]:
    """Return the coefficients of an activation to an order, as `hermite_expansion` does; texts as `as_text` does."""
    head = {"activation": sigma.name, "variance": as_text(variance)}
    if is_closed(coefficient(sigma, 0, variance)):
        closed = coefficients(sigma, order, variance)
        if all(map(is_closed, closed)):
            texts = [as_text(value, constants) for value in closed]
            return {**head, "exact": True, "coefficients": texts, "errors": [0.0] * len(closed)}
    if sigma.is_family or sigma.undefined:
        texts = [
            as_text(GaussianMean(_hermite_in(k, variance) * sigma.expr, sp.S.Zero, variance)) for k in range(order + 1)
        ]
        return {**head, "exact": False, "coefficients": texts, "errors": [None] * len(texts)}
    if variance == r:
        raise InputError(
            f"{sigma.name}: no rule closes its coefficients in r; accepted: --variance with a number, such as 1."
        )
    from numerics.integrals.hermite import hermite_coefficients

    estimates = hermite_coefficients(Activation(sigma.name, valued(sigma.expr)), order, variance)
    errors = [float(estimate.error) for estimate in estimates]
    return {**head, "exact": False, "coefficients": list(map(_to_error, estimates)), "errors": errors}


def _hermite_in(k: int, variance: Expr) -> Expr:
    """Return He_k^[r](x) = r^(k/2) He_k(x / sqrt(r))."""
    return sp.expand(variance ** sp.Rational(k, 2) * he(k).subs(x, x / sp.sqrt(variance))) if k else sp.S.One


def _to_error(estimate: Estimate) -> str:
    """Return a decimal to the last digit that its error leaves, 15 at most."""
    if abs(estimate.value) <= estimate.error:
        return "0"
    known = int(sp.floor(sp.log(abs(estimate.value) / estimate.error, 10))) if estimate.error else 15
    return str(sp.Float(estimate.value, min(15, known + 1)))


def tier_of(error: float | None) -> str:
    """Say how a number with this error was found; None stands for an expectation that is left as it is."""
    if error is None:
        return "expectation"
    return f"quadrature (error {error:.1g})" if error else "exact"


def hermite_table(entries: dict[str, Any]) -> tuple[str | Table, ...]:
    """Return the parts that `hermescape hermite` prints."""
    table = Table(show_edge=False, box=None, pad_edge=False)
    for column in ("k", "tier", "sigma_k"):
        table.add_column(column, overflow="fold")
    for name, decimal in entries["constants"].items():
        table.add_row(name, "as typed", decimal)
    for k, (text, error) in enumerate(zip(entries["coefficients"], entries["errors"], strict=True)):
        table.add_row(str(k), tier_of(error), text)
    convention = "sigma_k = E_r[He_k^[r] sigma], He_k probabilists', unnormalised"
    return f"{entries['activation']} under N(0, r), r = {entries['variance']}; {convention}", table
