"""What `hermescape kernel` prints, for JSON and for people."""

from __future__ import annotations

from typing import Any

from sympy import Expr, Symbol

from hermescape.views.numbers import above, error_of, plain
from numerics.integrals.evaluate import exact_number, value
from theory.calculus.expectations import Distribution, gaussian_kernel, is_closed
from theory.calculus.undefined import has_undefined
from theory.errors import ParameterError, QuadratureError
from theory.language.activations import Activation, activation, require_finite_kernel
from theory.network.system import GAP, guard
from theory.symbols import q, r
from theory.typeset.constants import Constants
from theory.typeset.printing import as_text

__all__ = ["kernel_lines", "kernel_report"]


def kernel_report(
    student: str,
    teacher: str | None,
    point: tuple[str, str] | None,
    digits: int | None,
    tolerance: float,
    *,
    written: bool = False,
) -> dict[str, object]:
    """Return the JSON object of `hermescape kernel`; with a point also q, r, value and error.

    `written`: as people read it, with named constants for long decimals; `constants` then holds these.
    """
    sigma = activation(student)
    phi = sigma if teacher is None else activation(teacher)
    at = None if point is None else _covariance(*point)
    pair = Distribution.of(sigma.expr), Distribution.of(phi.expr)
    kernel = gaussian_kernel(*pair, q, r)
    exact = is_closed(kernel)
    report = {"student": sigma.name, "teacher": phi.name, "exact": exact}
    says = exact or has_undefined(kernel)
    report |= _written(sigma, phi) if written and says else {"kernel": as_text(kernel, None) if says else None}
    if at is None:
        return report
    at_edge = at[r] == at[q] ** 2
    there = gaussian_kernel(*pair, at[q], at[r]) if at_edge else guard(kernel)
    try:
        number = value(there, at | {GAP: at[r] - at[q] ** 2}, tolerance=tolerance, digits=digits)
    except QuadratureError as error:
        require_finite_kernel(sigma, phi, at[q], at[r])
        raise error from None
    return report | {
        "q": as_text(at[q]),
        "r": as_text(at[r]),
        "value": plain(number.value),
        "error": plain(number.error) if number.error and not float(number.error) else above(number.error),
        "certified": number.certified,
    }


def _written(sigma: Activation, phi: Activation) -> dict[str, object]:
    """Return the kernel with named constants for long decimals, and these."""
    constants = Constants.of(sigma.source, phi.source)
    pair = sigma.written(constants).expr, phi.written(constants).expr
    kernel = gaussian_kernel(*map(Distribution.of, pair), q, r)
    named = {constant.name: constant.decimal for constant in Constants.within(*pair).named}
    return {"kernel": as_text(kernel), "constants": named}


def _covariance(overlap: str, norm: str) -> dict[Symbol, Expr]:
    """Return q and r exactly; they must be entries of a covariance matrix."""
    at = {q: exact_number(overlap, "q"), r: exact_number(norm, "r")}
    if not (at[r] >= 0 and at[q] ** 2 <= at[r]):
        raise ParameterError(f"q = {overlap}, r = {norm} given; accepted: r >= 0 and q^2 <= r, a covariance matrix.")
    return at


def kernel_lines(table: dict[str, Any]) -> tuple[str, ...]:
    """Return the lines that `hermescape kernel` prints."""
    head = f"student {table['student']}    teacher {table['teacher']}    K(q, r) = E[sigma(l) phi(l*)]"
    says = table["kernel"] is not None
    formula = f"K(q, r) = {table['kernel']}" if says else "no closed form: computed by quadrature (--at Q,R)"
    lines = (head, formula, *(f"{name} = {decimal}" for name, decimal in table.get("constants", {}).items()))
    if "value" not in table:
        return lines
    said = error_of(table["error"], certified=table["certified"])
    return *lines, f"K({table['q']}, {table['r']}) = {table['value']}    error {said}"
