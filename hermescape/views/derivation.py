"""What the commands print: plain dictionaries for JSON, tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy as sp
from rich.table import Table
from sympy import Expr, Symbol

from hermescape.views.numbers import plain
from numerics.integrals.evaluate import evaluator, exact_number, value
from numerics.integrals.hermite import hermite_coefficients
from numerics.integrals.quadrature import Estimate
from theory.calculus.expectations import Distribution, gaussian_kernel, is_closed
from theory.errors import InputError, ParameterError, QuadratureError
from theory.language.activations import REGISTRY, Activation, activation, require_finite_kernel
from theory.language.hermite import coefficient, coefficients, information_exponent
from theory.language.labels import generative_exponent
from theory.network.system import GAP, System, guard
from theory.symbols import mu, q, r, rho
from theory.typeset.printing import as_text

__all__ = [
    "derivation",
    "derivation_table",
    "hermite_expansion",
    "hermite_table",
    "kernel_lines",
    "kernel_report",
    "registry",
    "registry_table",
]

SHOWN_COEFFICIENTS = 7
LONGEST_ROOT = 50  # characters of an exact root in a table


def _text(expr: Expr | None) -> str | None:
    """Return SymPy text, or None where there is nothing closed to print."""
    return as_text(expr) if expr is not None and is_closed(expr) else None


def derivation(system: System) -> dict[str, object]:
    """Return the JSON object of `hermescape derive`."""
    loss, escape = system.loss_function, system.escape
    return {
        "student": loss.student.name,
        "teacher": loss.teacher.name,
        "model": system.network.name,
        "label": as_text(loss.labels.transform),
        "noise": float(loss.labels.noise),
        "information_exponent": system.information_exponent,
        "generative_exponent": _generative(system),
        "exact": system.is_exact,
        "loss": _text(system.loss),
        "odes": {state.name: as_text(f) for state, f in system.odes.items()},
        "A": _text(escape.A),
        "B": _text(escape.B),
        "G2": _text(escape.G2),
        "tau": _text(escape.tau),
    }


def _generative(system: System) -> dict[str, Any] | None:
    """Return the generative exponent of the noisy teacher and what was searched; None without second moments."""
    seen = system.loss_function.labels
    try:
        exponent = generative_exponent(seen.link, noise=seen.noise)
    except InputError:
        return None
    transform = None if exponent.transform is None else as_text(exponent.transform)
    return {"k": exponent.k, "transform": transform, "searched": list(map(as_text, exponent.searched))}


def _generative_note(table: dict[str, Any] | None) -> str:
    if table is None:
        return "generative exponent: no polynomial of the label has a second moment and a closed conditional mean"
    searched = ", ".join(table["searched"])
    if table["k"] is None:
        return f"generative exponent: none among transforms {searched} of the label"
    return f"generative exponent {table['k']}, by the label transform {table['transform']} (searched: {searched})"


def derivation_table(system: System) -> tuple[str | Table, ...]:
    """Return the parts that `hermescape derive` prints."""
    loss, escape = system.loss_function, system.escape
    head = f"student {loss.student}    teacher {loss.teacher}    model {system.network.name}"
    exponent = system.information_exponent
    table = Table(show_edge=False, pad_edge=False, box=None)
    for column in ("quantity", "tier", "expression"):
        table.add_column(column, overflow="fold")
    expansion = _coefficients(loss.student, SHOWN_COEFFICIENTS - 1, sp.S.One)
    for k, (text, error) in enumerate(zip(expansion["coefficients"], expansion["errors"], strict=True)):
        table.add_row(f"sigma_{k}", _source(error), text)
    gradient = loss.gradient()
    start = tuple(p for p in (mu, rho) if p in system.parameters)
    table.add_row("L(q, r)", _tier((system.loss,), (q, r)), as_text(system.loss))
    for state, f in system.odes.items():
        table.add_row(f"d{state}/dt", _tier(gradient, (q, r)), as_text(f))
    if not system.is_exact:
        for name, f in zip(("L_q", "L_r"), gradient, strict=True):
            table.add_row(name, _tier((f,), (q, r)), as_text(f))
    for name, f in (("A", escape.A), ("B", escape.B), ("G^2", None if escape.A is not None else escape.G2)):
        if f is not None:
            table.add_row(f"{name}({', '.join(p.name for p in start)})", _tier((f,), start), as_text(f))
    if escape.tau is not None:
        drive = "A**2" if escape.A is not None else "G^2"
        text = as_text(escape.tau) if is_closed(escape.tau) else f"(sqrt(B**2 + 4*{drive}) - B)/(2*{drive})"
        table.add_row("tau", _tier((escape.tau,), start or (mu,)), text)
    notes = [f"information exponent {'none: trapped at m = 0' if exponent is None else exponent}"]
    notes.append(_generative_note(_generative(system)))
    notes.append("time t = lr * steps; He_k probabilists', sigma_k = E[He_k(Z) sigma(Z)], q = <w, w*>, r = <w, w>")
    if escape.B is None and escape.is_linear:
        notes.append("no rate: the student jumps or has an infinite slope, so that L_r is infinite at the start")
    if not system.is_exact:
        notes.append(
            "GaussianKernel(f, g, q, r) = E f(l) g(l*), GaussianMean(f, M, v) = E f(M + sqrt(v) Z), by quadrature"
        )
    return head, *notes[:2], table, *notes[2:]


def _tier(expressions: tuple[Expr, ...], at: tuple[Symbol, ...]) -> str:
    """Return exact, or quadrature with the error at 1/2 (mu, or q and r)."""
    if all(map(is_closed, expressions)):
        return "exact"
    error = max(estimate.error for estimate in evaluator(at, expressions)(*[0.5] * len(at)))
    where = " = ".join(symbol.name for symbol in at)
    return f"quadrature (error {error:.0e} at {where} = 1/2)"


def registry() -> list[dict[str, object]]:
    """Return the JSON entries of `hermescape activations`."""
    return [_entry(activation(name)) for name in REGISTRY]


def _entry(sigma: Activation) -> dict[str, object]:
    return {
        "name": sigma.name,
        "expression": as_text(sigma.expr),
        "parity": sigma.parity,
        "information_exponent": information_exponent(sigma),
        "closed_form": sigma.has_closed_class,
    }


def registry_table(entries: Sequence[dict[str, object]]) -> Table:
    """Return the table of `hermescape activations`."""
    table = Table(show_edge=False, box=None, pad_edge=False)
    for column in ("name", "parity", "information exponent", "kernel", "expression"):
        table.add_column(column, overflow="fold")
    for entry in entries:
        tier = "closed form" if entry["closed_form"] else "numerical"
        shown = (entry["name"], entry["parity"] or "-", entry["information_exponent"], tier, entry["expression"])
        table.add_row(*map(str, shown))
    return table


def hermite_expansion(text: str, order: int, variance: str) -> dict[str, Any]:
    """Return the JSON object of `hermescape hermite`: coefficients as SymPy text, exact or as decimals with errors."""
    at = r if variance == "r" else exact_number(variance, "variance")
    if not at.is_positive:
        raise ParameterError(f"variance = {variance} given; accepted: a positive number, or the symbol r.")
    return _coefficients(activation(text), order, at)


def _coefficients(sigma: Activation, order: int, variance: Expr) -> dict[str, Any]:
    head = {"activation": sigma.name, "variance": as_text(variance)}
    if is_closed(coefficient(sigma, 0, variance)):
        closed = coefficients(sigma, order, variance)
        if all(map(is_closed, closed)):
            return {**head, "exact": True, "coefficients": list(map(as_text, closed)), "errors": [0.0] * len(closed)}
    if variance == r:
        raise InputError(
            f"{sigma.name}: no rule closes its coefficients in r; accepted: --variance with a number, such as 1."
        )
    expansion = hermite_coefficients(sigma, order, variance)
    errors = [float(estimate.error) for estimate in expansion]
    return {**head, "exact": False, "coefficients": list(map(_to_error, expansion)), "errors": errors}


def _to_error(estimate: Estimate) -> str:
    """Return a decimal to the last digit that its error leaves, 15 at most."""
    if abs(estimate.value) <= estimate.error:
        return "0"
    known = int(sp.floor(sp.log(abs(estimate.value) / estimate.error, 10))) if estimate.error else 15
    return str(sp.Float(estimate.value, min(15, known + 1)))


def _source(error: float) -> str:
    return f"quadrature (error {error:.1g})" if error else "exact"


def hermite_table(entries: dict[str, Any]) -> tuple[str | Table, ...]:
    """Return the parts that `hermescape hermite` prints."""
    table = Table(show_edge=False, box=None, pad_edge=False)
    for column in ("k", "tier", "sigma_k"):
        table.add_column(column, overflow="fold")
    for k, (text, error) in enumerate(zip(entries["coefficients"], entries["errors"], strict=True)):
        table.add_row(str(k), _source(error), text)
    convention = "sigma_k = E_r[He_k^[r] sigma], He_k probabilists', unnormalised"
    return f"{entries['activation']} under N(0, r), r = {entries['variance']}; {convention}", table


def kernel_report(
    student: str, teacher: str | None, point: tuple[str, str] | None, digits: int | None, tolerance: float
) -> dict[str, object]:
    """Return the JSON object of `hermescape kernel`; with a point also q, r, value and error."""
    sigma = activation(student)
    phi = sigma if teacher is None else activation(teacher)
    at = None if point is None else _covariance(*point)
    pair = Distribution.of(sigma.expr), Distribution.of(phi.expr)
    kernel = gaussian_kernel(*pair, q, r)
    report = {"student": sigma.name, "teacher": phi.name, "exact": is_closed(kernel), "kernel": _text(kernel)}
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
        "error": float(number.error),
    }


def _covariance(overlap: str, norm: str) -> dict[Symbol, Expr]:
    """Return q and r exactly; they must be entries of a covariance matrix."""
    at = {q: exact_number(overlap, "q"), r: exact_number(norm, "r")}
    if not (at[r] >= 0 and at[q] ** 2 <= at[r]):
        raise ParameterError(f"q = {overlap}, r = {norm} given; accepted: r >= 0 and q^2 <= r, a covariance matrix.")
    return at


def kernel_lines(table: dict[str, Any]) -> tuple[str, ...]:
    """Return the lines that `hermescape kernel` prints."""
    head = f"student {table['student']}    teacher {table['teacher']}    K(q, r) = E[sigma(l) phi(l*)]"
    formula = f"K(q, r) = {table['kernel']}" if table["exact"] else "no closed form: computed by quadrature (--at Q,R)"
    if "value" not in table:
        return head, formula
    return head, formula, f"K({table['q']}, {table['r']}) = {table['value']}    error {table['error']:.1e}"
