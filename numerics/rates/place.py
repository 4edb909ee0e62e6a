"""Where a search is asked for: exact numbers in place of what a user gives, and what has to be given."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp
from sympy import Expr, Symbol

from numerics.integrals.evaluate import exact_number
from theory.errors import InputError, NotIntegrableError, ParameterError
from theory.network.system import System
from theory.symbols import mu as mu_symbol
from theory.symbols import q, r
from theory.symbols import rho as rho_symbol

__all__ = ["Place", "arguments", "parts_at", "parts_of", "place_of", "point_of"]


@dataclass(frozen=True)
class Place:
    """Where a search is asked for: exact values of the parameters, q and r - q^2 of the pre-trained weight, alpha."""

    at: dict[Symbol, Expr]
    mu: Expr
    rho: Expr
    overlap: Expr
    gap: Expr
    scale: Expr


def parts_of(system: System) -> tuple[Expr, Expr]:
    """Return (A, B) where the weight is aligned, else (L_q, L_r) at it."""
    escape = system.escape
    assert escape.base_gradient is not None  # place_of has seen it
    return escape.base_gradient if escape.A is None or escape.B is None else (escape.A, escape.B)


def parts_at(system: System, place: Place) -> tuple[Expr, Expr]:
    """Return these at a place; A is 0 where w0 = w* with the teacher's own link, at the minimum of the loss.

    Where a weight that may be misaligned is not, l* = l/mu: formulas of two Gaussians divide by zero there. B at mu = 1
    is no limit of mu < 1, for which its formula holds, where a jump of the teacher meets a kink of the student.
    """
    if rho_symbol in place.at and place.gap == 0:
        slope, bend = system.loss_function.gradient(place.overlap, place.overlap**2)
        return slope.xreplace(place.at), bend.xreplace(place.at)
    drive, bend = parts_of(system)
    if system.escape.A is None or place.mu != 1:
        return drive, bend
    loss = system.loss_function
    if not loss.teacher.is_continuous:
        bend = -2 * loss.gradient(sp.S.One, sp.S.One)[1].xreplace(place.at)
    return (sp.S.Zero if loss.ends_at_teacher else drive), bend


def place_of(system: System, mu: float | Expr | str, rho: float | Expr | str | None, others: Mapping) -> Place:
    """Return where the search is asked for."""
    escape, loss = system.escape, system.loss_function
    if escape.B is None or escape.base_gradient is None:
        raise InputError(
            f"student {loss.student.name} with model {system.network.name}: the search phase has no linearisation "
            "(plain or pretrain model, or a student that jumps or has an infinite slope); accepted are continuous "
            "students with finite slopes and model lora or misaligned."
        )
    alignment, length = point_of(system, mu, rho)
    at = arguments(system, (alignment, length), others)
    overlap, squared = escape.at_start[q].subs(at), escape.at_start[r].subs(at)
    largest = loss.student.max_variance.subs(at)
    if squared >= largest:
        raise NotIntegrableError(
            f"student {loss.student.name} at |w0|^2 = {float(squared):.6g}: E sigma(l)^2 is infinite at that variance "
            f"of l; accepted: a variance below {float(largest):.6g}, |w0| below {float(sp.sqrt(largest)):.6g}."
        )
    scale = sp.S.One if escape.square is None else sp.sqrt(escape.square.subs(at))
    return Place(at, alignment, length, overlap, squared - overlap**2, scale)


def point_of(system: System, mu: float | Expr | str, rho: float | Expr | str | None) -> tuple[Expr, Expr]:
    """Return mu and rho exactly; raises `ParameterError` for what is no number or a mu outside (0, 1] if aligned."""
    if rho_symbol not in system.parameters:
        alignment = _number(mu, "mu", "a number in (0, 1]; mu is the alignment <w0, w*>")
        if not 0 < alignment <= 1:
            raise ParameterError(f"mu = {mu!r} given; accepted: a number in (0, 1]; mu is the alignment <w0, w*>.")
        if rho is not None:
            raise ParameterError(f"rho = {rho!r} with model lora given; accepted: rho with model misaligned.")
        return alignment, alignment
    if rho is None:
        raise ParameterError("no rho given; accepted with model misaligned: the length rho >= |mu| of w0.")
    return _number(mu, "mu", "a number"), _number(rho, "rho", "a number >= |mu|")


def _number(given: float | Expr | str, name: str, accepted: str) -> Expr:
    try:
        exact = exact_number(given, name)
        if math.isfinite(float(exact)):
            return exact
    except (ParameterError, OverflowError):
        pass
    raise ParameterError(f"{name} = {given!r} given; accepted: {accepted}.") from None


def arguments(system: System, point: tuple[Expr, Expr], others: Mapping) -> dict[Symbol, Expr]:
    """Return the exact value of every symbol that the search depends on."""
    values = dict(zip((mu_symbol.name, rho_symbol.name), point, strict=True))
    values |= {name: _number(given, name, "a number") for name, given in others.items()}
    wanted = system.escape.parameters
    missing = [symbol.name for symbol in wanted if symbol.name not in values]
    unknown = set(others) - {symbol.name for symbol in (*wanted, *system.parameters)}
    if missing or unknown:
        given = ", ".join(f"{name} = {value}" for name, value in others.items()) or "none"
        raise ParameterError(
            f"parameters {given} with model {system.network.name} given; accepted: a value by name for each of "
            f"{', '.join(s.name for s in wanted if s not in (mu_symbol, rho_symbol)) or 'none'}; the LoRA scale alpha "
            "may also be a number from the start."
        )
    numbers = {symbol: values[symbol.name] for symbol in wanted}
    system.network.accepts({symbol.name: float(number) for symbol, number in numbers.items()})
    return numbers
