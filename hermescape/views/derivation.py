"""What `hermescape derive` prints: a plain dictionary for JSON, a table for people.

Quadrature is imported only where something has no closed form.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sympy as sp
from rich.table import Table
from sympy import Expr, Symbol

from hermescape.views.hermite import expansion, tiers
from theory.calculus.expectations import is_closed
from theory.calculus.undefined import has_undefined, undefined_in
from theory.errors import InputError, QuadratureError
from theory.language.families import conditions_in_words
from theory.language.labels import generative_exponent
from theory.network.sums import HermiteSums, hermite_sums
from theory.network.system import System
from theory.search.special import special_places, unsearched, without_influence
from theory.symbols import L_q, L_r, mu, q, r, rho, x
from theory.typeset.constants import valued
from theory.typeset.printing import as_text

if TYPE_CHECKING:
    from numerics.integrals.evaluate import Evaluator

__all__ = ["derivation", "derivation_table", "family_lines"]

SHOWN_COEFFICIENTS = 7
ROUGH = 1e-6  # tolerance of an integral that does not reach the default one
LONGEST = 60  # characters of an ODE in the states alone; longer ones are given in L_q and L_r
MOST_OPERATIONS = 12  # in L_q and L_r together, beyond which no ODE is as short


def _text(expr: Expr | None) -> str | None:
    """Return exact SymPy text, or None where there is nothing to print: what is not closed, but for no formula."""
    return as_text(expr, None) if expr is not None and (is_closed(expr) or has_undefined(expr)) else None


def derivation(system: System, order: int | None = None) -> dict[str, object]:
    """Return the JSON object of `hermescape derive`, with Hermite sums where an order is given."""
    loss, escape = system.loss_function, system.escape
    return {
        "student": loss.student.name,
        "teacher": loss.teacher.name,
        "model": system.network.name,
        "label": as_text(loss.labels.transform),
        "noise": as_text(noise) if (noise := loss.labels.noise).free_symbols else float(noise),
        "objective": system.network.objective,
        "information_exponent": _exponent(system),
        "generative_exponent": _generative(system),
        "exact": system.is_exact,
        "loss": _text(system.loss),
        "odes": {state.name: as_text(f, None) for state, f in system.odes.items()},
        "A": _text(escape.A),
        "B": _text(escape.B),
        "G2": _text(escape.G2),
        "tau": _text(escape.tau),
        **_family(system),
        **_any_function(system),
        **({} if order is None else {"sums": _sums(hermite_sums(system, order))}),
    }


def _exponent(system: System) -> int | str | None:
    """Return the information exponent, a symbol as text."""
    k = system.information_exponent
    return str(k) if isinstance(k, Symbol) else k


def _any_function(system: System) -> dict[str, object]:
    """Return the names of functions without a formula, and what numbers would be made of else: L_q, L_r and J."""
    loss = system.loss_function
    names = undefined_in(loss.student.expr, loss.teacher.expr)
    if not names:
        return {}
    slope, bend = loss.gradient()
    return {"functions": list(names), "L_q": _text(slope), "L_r": _text(bend), "J": _text(loss.noise())}


def _sums(sums: HermiteSums) -> dict[str, object]:
    return {"order": sums.order, "complete": sums.is_complete, **sums.texts()}


def _family(system: System) -> dict[str, object]:
    """Return the parameters of a family with their domains, the conditions of its formulas, and special places."""
    network = system.network
    if not network.domain:
        return {}
    return {
        "parameters": {parameter.name: str(parameter) for parameter in network.domain},
        "conditions": list(conditions_in_words(system.conditions)),
        "special": [
            {"place": special.place, "what": special.what, "latex": special.latex} for special in special_places(system)
        ],
        "unsearched": list(unsearched(system)),
    }


def family_lines(system: System) -> tuple[str, ...]:
    """Return where the parameters of a family lie, and where its formulas hold."""
    if not system.network.domain:
        return ()
    where = conditions_in_words(system.conditions)
    lines = ["parameters " + ", ".join(map(str, system.network.domain))]
    return (*lines, *([f"holds where {' and '.join(where)}"] if where else []))


def _generative(system: System) -> dict[str, Any] | None:
    """Return the generative exponent of the noisy teacher and what was searched; None without second moments."""
    seen = system.loss_function.labels
    try:
        exponent = generative_exponent(seen.link, noise=seen.noise, parameters=seen.domain)
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


@dataclass(frozen=True)
class _Row:
    """One line of the table; `at`: where a number without closed form gets its error."""

    name: str
    value: Expr
    functions: tuple[Expr, ...]
    at: tuple[Symbol, ...]


def derivation_table(system: System, *, expand: bool = False, order: int | None = None) -> tuple[str | Table, ...]:
    """Return the parts that `hermescape derive` prints.

    Args:
        system: what was derived.
        expand: ODEs and search time with L_q, L_r, A and B put in, however long.
        order: of Hermite sums, which are printed then.
    """
    constants = system.loss_function.constants
    exponent = [_generative_note(_generative(system))] if system.loss_function.has_formula else []
    sums = () if order is None else sum_lines(hermite_sums(system, order))
    system = system.written
    loss = system.loss_function
    student, teacher = (f"{f.name}: {as_text(f.unresolved, constants)}" for f in (loss.student, loss.teacher))
    table = Table(show_edge=False, pad_edge=False, box=None)
    for column in ("quantity", "tier", "expression"):
        table.add_column(column, overflow="fold")
    for constant in constants.named:
        table.add_row(constant.name, "as typed", constant.decimal)
    if not loss.student.undefined:
        shown = expansion(loss.student, SHOWN_COEFFICIENTS - 1, sp.S.One)
        for k, (text, tier) in enumerate(zip(shown["coefficients"], tiers(shown), strict=True)):
            table.add_row(f"sigma_{k}", tier, text)
    example = system.network.example
    for row in (*_flow_rows(system, expand), *_search_rows(system, expand)):
        table.add_row(row.name, _tier(row.functions, row.at, example), as_text(row.value))
    network = system.network
    head = f"student {student}    teacher {teacher}    model {network.name}{network.minimised.aside}"
    return (
        head,
        *family_lines(system),
        *exponent,
        table,
        *sums,
        *_footnotes(system, expand),
        *map(str, special_places(system)),
        *_elsewhere(system),
    )


def _elsewhere(system: System) -> Iterator[str]:
    """Yield where to ask for what `special_places` does not search for."""
    names, idle = unsearched(system), without_influence(system)
    if idle:
        yield f"A and B do not depend on {', '.join(idle)}"
    if names:
        over = next(p.name for p in system.network.domain if p.name not in idle)
        yield (
            f"where {' or '.join(names)} changes its sign at some mu: hermescape bifurcations ACT --over {over} "
            f"--between LOW:HIGH{' (--of B)' if 'B' in names else ''}"
        )


def _flow_rows(system: System, expand: bool) -> Iterator[_Row]:
    """Yield loss and ODEs, these in L_q and L_r where they are long, with L_q and L_r."""
    gradient = system.loss_function.gradient()
    yield _Row("L(q, r)", system.loss, (system.loss,), (q, r))
    odes = _odes(system, expand)
    for state, f in odes.items():
        yield _Row(f"d{state}/dt", f, gradient, (q, r))
    for name, f in _slopes_in(system, odes).items():
        yield _Row(name.name, f, (f,), (q, r))


def _odes(system: System, expand: bool) -> Mapping[Symbol, Expr]:
    """Return the ODEs in the states alone where they are short or asked for, else in L_q and L_r."""
    operations = sum(sp.count_ops(f) for f in _slopes_in(system, system.velocities).values())
    if not expand and (not system.is_exact or operations > MOST_OPERATIONS):
        return system.velocities  # finding out more takes time
    forms = {s: min((f, system.substituted[s]), key=lambda f: len(as_text(f))) for s, f in system.odes.items()}
    return forms if expand or all(len(as_text(f)) <= LONGEST for f in forms.values()) else system.velocities


def _slopes_in(system: System, odes: Mapping[Symbol, Expr]) -> dict[Symbol, Expr]:
    """Return those of L_q and L_r that stand in the ODEs."""
    names = set().union(*(f.free_symbols for f in odes.values()))
    return {name: f for name, f in zip((L_q, L_r), system.loss_function.gradient(), strict=True) if name in names}


def _search_rows(system: System, expand: bool) -> Iterator[_Row]:
    """Yield A or G^2, B and tau, which stands in A and B where it is longer in the alignment."""
    escape = system.escape
    start = tuple(p for p in (mu, rho) if p in system.parameters)
    for name, f in (("A", escape.A), ("B", escape.B), ("G^2", None if escape.A is not None else escape.G2)):
        if f is not None:
            yield _Row(f"{name}({', '.join(p.name for p in start)})", f, (f,), start)
    if escape.tau is not None:
        form, closed = escape.tau_in_drive, is_closed(escape.tau)
        is_longer = form is not None and not (closed and len(as_text(escape.tau)) <= len(as_text(form)))
        shown = form if form is not None and is_longer and not (expand and closed) else escape.tau
        yield _Row("tau", shown, (escape.tau,), start or (mu,))
    if not escape.loss.has_formula:
        noise = escape.loss.noise()
        yield _Row("J(q, r)", noise, (noise,), (q, r))


def sum_lines(sums: HermiteSums) -> tuple[str, ...]:
    """Return Hermite sums, a line each, and where they end."""
    end = "nothing is left out" if sums.is_complete else f"the terms of k > {sums.order} are left out of every sum"
    at = ", ".join(map(as_text, sums.place))
    said = f"Hermite sums, sigma_k(r) = E_r[He_k^[r] sigma], K, L and its slopes at {at}; {end}:"
    return (said, *(f"  {name} = {text}" for name, text in sums.texts().items()))


def _footnotes(system: System, expand: bool) -> Iterator[str]:
    if _slopes_in(system, _odes(system, expand)):
        at = ", ".join(f"{name} = {as_text(system.entries[name])}" for name in (q, r))
        yield f"L_q = dL/dq and L_r = dL/dr at {at}"
    student = system.loss_function.student
    if student.undefined:
        pass
    elif not student.is_polynomial or sp.degree(student.expr, x) >= SHOWN_COEFFICIENTS:
        yield "further sigma_k: hermescape hermite ACT --order K"
    yield "time t = lr * steps; He_k probabilists', sigma_k = E[He_k(Z) sigma(Z)], q = <w, w*>, r = <w, w>"
    if system.escape.B is None and system.escape.is_linear:
        yield "no rate: the student jumps or has an infinite slope, so that L_r is infinite at the start"
    if not system.is_exact:
        nodes = "GaussianKernel(f, g, q, r) = E f(l) g(l*), GaussianMean(f, M, v) = E f(M + sqrt(v) Z)"
        names = ", ".join(undefined_in(*(f.expr for f in system.network.functions)))
        yield f"{nodes}, of any {names} as smooth as they need" if names else f"{nodes}, by quadrature"
        for name in (name for name in ("sigma", "phi") if f"{name}tilde" in names):
            yield f"{name}tilde is the {name} that was typed: {name} stands for a whole function"


def _error(compiled: Evaluator, values: list[float]) -> float:
    """Return the largest error, at the accuracy that is reached; raises `QuadratureError` where none is."""
    try:
        return float(max(estimate.error for estimate in compiled(*values)))
    except QuadratureError:  # of a root at a kink, say
        return float(max(estimate.error for estimate in compiled(*values, tolerance=ROUGH)))


def _tier(expressions: tuple[Expr, ...], at: tuple[Symbol, ...], example: Mapping[Symbol, Expr]) -> str:
    """Return exact, or quadrature with the error at 1/2 (mu, or q and r), of a family at an example of it."""
    if all(map(is_closed, expressions)):
        return "exact"
    if has_undefined(*expressions):
        return "expectation"
    from numerics.integrals.evaluate import evaluator

    values = [*[0.5] * len(at), *map(float, example.values())]
    plain = tuple(map(valued, expressions))
    error = _error(evaluator((*at, *example), plain), values)
    where = " = ".join(symbol.name for symbol in at)
    own = "".join(f", {symbol.name} = {float(value):.3g}" for symbol, value in example.items())
    return f"quadrature (error {error:.0e} at {where} = 1/2{own})"
