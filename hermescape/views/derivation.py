"""What `hermescape derive` prints: a plain dictionary for JSON, a table for people.

Quadrature is imported only where something has no closed form.
"""

from __future__ import annotations

from typing import Any

import sympy as sp
from rich.table import Table
from sympy import Expr, Symbol

from hermescape.views.hermite import expansion, tier_of
from theory.calculus.expectations import is_closed
from theory.errors import InputError
from theory.language.labels import generative_exponent
from theory.network.system import System
from theory.symbols import mu, q, r, rho, x
from theory.typeset.printing import as_text

__all__ = ["derivation", "derivation_table"]

SHOWN_COEFFICIENTS = 7


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
    shown = expansion(loss.student, SHOWN_COEFFICIENTS - 1, sp.S.One)
    for k, (text, error) in enumerate(zip(shown["coefficients"], shown["errors"], strict=True)):
        table.add_row(f"sigma_{k}", tier_of(error), text)
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
    if not loss.student.is_polynomial or sp.degree(loss.student.expr, x) >= SHOWN_COEFFICIENTS:
        notes.append("further sigma_k: hermescape hermite ACT --order K")
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
    from numerics.integrals.evaluate import evaluator

    error = max(estimate.error for estimate in evaluator(at, expressions)(*[0.5] * len(at)))
    where = " = ".join(symbol.name for symbol in at)
    return f"quadrature (error {error:.0e} at {where} = 1/2)"
