"""What `hermescape hermite` prints, and the coefficients that `hermescape derive` shows, for JSON and for people.

Quadrature is imported only where no rule closes a coefficient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import sympy as sp
from rich.table import Table
from sympy import Expr

from hermescape.views.numbers import above
from theory.calculus.expectations import GaussianMean, is_closed
from theory.errors import InputError, ParameterError
from theory.language.activations import Activation, activation, he
from theory.language.hermite import coefficient, coefficients
from theory.shown import upwards
from theory.symbols import r, x
from theory.typeset.constants import NONE, Constants, valued
from theory.typeset.printing import as_text

if TYPE_CHECKING:
    from numerics.integrals.quadrature import Estimate

__all__ = ["expansion", "hermite_expansion", "hermite_table", "tier_of", "tiers"]


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
            return {**head, "exact": True, "coefficients": texts, **_errors([0.0] * len(closed), [True] * len(closed))}
    if sigma.is_family or sigma.undefined:
        texts = [
            as_text(GaussianMean(_hermite_in(k, variance) * sigma.expr, sp.S.Zero, variance)) for k in range(order + 1)
        ]
        return {**head, "exact": False, "coefficients": texts, **_errors([None] * len(texts), [True] * len(texts))}
    if variance == r:
        raise InputError(
            f"{sigma.name}: no rule closes its coefficients in r; accepted: --variance with a number, such as 1."
        )
    from numerics.integrals.hermite import hermite_coefficients

    estimates = hermite_coefficients(Activation(sigma.name, valued(sigma.expr)), order, variance)
    texts, errors = zip(*map(_written, estimates), strict=True)
    own = _errors(list(errors), [estimate.certified for estimate in estimates])
    return {**head, "exact": False, "coefficients": list(texts), **own}


def _errors(errors: Sequence[float | None], certified: Sequence[bool]) -> dict[str, Any]:
    """Return the errors, and whether each is proved; that of a formula is 0, an expectation as it is has none."""
    return {"errors": list(errors), "certified": list(certified)}


def _hermite_in(k: int, variance: Expr) -> Expr:
    """Return He_k^[r](x) = r^(k/2) He_k(x / sqrt(r))."""
    return sp.expand(variance ** sp.Rational(k, 2) * he(k).subs(x, x / sp.sqrt(variance))) if k else sp.S.One


def _written(estimate: Estimate) -> tuple[str, float]:
    """Return a decimal, its last digit the last that an estimated error leaves, and the error of what is written."""
    value, error = estimate.value, above(estimate.error)
    if estimate.certified:
        return str(value) if value else "0", error
    if abs(value) <= error:
        return "0", error + float(abs(value))
    known = int(sp.floor(sp.log(abs(value) / error, 10))) if error else 15
    text = str(sp.Float(value, min(15, known + 1)))
    return text, error + float(abs(sp.Float(text, 30) - value))


def tier_of(error: float | None, *, certified: bool = False, is_formula: bool = False) -> str:
    """Say how a number with this error was made; None stands for an expectation that is left as it is."""
    if is_formula or (certified and error == 0):  # 0, by parity
        return "exact"
    if error is None:
        return "expectation"
    return f"proved (error <= {upwards(error)})" if certified else f"quadrature (error {error:.1g})"


def tiers(entries: dict[str, Any]) -> list[str]:
    """Say how each coefficient of an expansion was made."""
    pairs = zip(entries["errors"], entries["certified"], strict=True)
    return [tier_of(error, certified=certified, is_formula=entries["exact"]) for error, certified in pairs]


def hermite_table(entries: dict[str, Any]) -> tuple[str | Table, ...]:
    """Return the parts that `hermescape hermite` prints."""
    table = Table(show_edge=False, box=None, pad_edge=False)
    for column in ("k", "tier", "sigma_k"):
        table.add_column(column, overflow="fold")
    for name, decimal in entries["constants"].items():
        table.add_row(name, "as typed", decimal)
    for k, (text, tier) in enumerate(zip(entries["coefficients"], tiers(entries), strict=True)):
        table.add_row(str(k), tier, text)
    convention = "sigma_k = E_r[He_k^[r] sigma], He_k probabilists', unnormalised"
    return f"{entries['activation']} under N(0, r), r = {entries['variance']}; {convention}", table
