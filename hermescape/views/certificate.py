"""What `hermescape certify` prints, for JSON and for people."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import sympy as sp
from rich.table import Table
from sympy import Expr

from hermescape.views.numbers import plain
from numerics.integrals.certified.claims import PREFIX, Claim
from numerics.integrals.certified.enclosure import outwards
from numerics.rates.certificate import Certificate, Kinks
from numerics.rates.isolation import Isolation
from theory.search.roots import definition
from theory.typeset.printing import as_text

__all__ = ["certificate_parts", "certificate_report", "isolation_report"]


LONGEST = 50  # characters of an exact number in a table


def certificate_report(proof: Certificate) -> dict[str, Any]:
    """Return the JSON object of `hermescape certify`."""
    loss = proof.system.loss_function
    critical = proof.critical
    return {
        "student": loss.student.name,
        "teacher": loss.teacher.name,
        "objective": proof.system.network.objective,
        "mu": float(proof.mu),
        **{name: _claim(claim) for name, claim in _numbers(proof).items()},
        "kinks": {"student": _kinks(proof.student_kinks), "teacher": _kinks(proof.teacher_kinks)},
        "critical": {**isolation_report(critical), "roots": list(map(_claim, critical.roots))},
    }


def _numbers(proof: Certificate) -> dict[str, Claim]:
    return {"A": proof.A, "B": proof.B, "tau": proof.tau}


def _claim(claim: Claim) -> dict[str, Any]:
    return {
        "value": plain(claim.value),
        "error": plain(claim.error),
        "certified": claim.certified,
        "low": claim.low,
        "high": claim.high,
        "expression": None if claim.expression is None else sp.sstr(claim.expression),
        "reason": claim.reason or None,
    }


def _kinks(kinks: Kinks) -> dict[str, Any]:
    return {
        "certified": kinks.certified,
        "reason": kinks.reason or None,
        "places": list(map(_claim, kinks.places)),
    }


def isolation_report(isolation: Isolation) -> dict[str, Any]:
    """Return what is proved of all roots of A together: that there are no others in [complete_from, 1]."""
    return {
        "certified": isolation.certified,
        "complete_from": float(isolation.low) if isolation.certified else None,
        "undecided": [[float(low), float(high)] for low, high in isolation.open_ends],
        "reason": isolation.reason or None,
    }


def certificate_parts(proof: Certificate) -> tuple[str | Table, ...]:
    """Return the parts that `hermescape certify` prints."""
    loss = proof.system.loss_function
    pair = f"{loss.student.name} on {loss.teacher.name}{proof.system.network.minimised.aside}"
    table = Table(show_edge=False, box=None, pad_edge=False)
    for column in ("", "value", "error", "not below", "not above", "exactly"):
        table.add_column(column, overflow="fold")
    kinks = {"the student": proof.student_kinks, "the teacher": proof.teacher_kinks}
    if loss.student.expr == loss.teacher.expr:
        kinks = {"both functions": proof.student_kinks}
    rows = [*_numbers(proof).items()]
    rows += [(f"kink of {whose}", claim) for whose, known in kinks.items() for claim in known.places]
    rows += [("critical mu", claim) for claim in proof.critical.roots]
    for name, claim in rows:
        if claim.certified:
            table.add_row(name, *_cells(claim))
    return (
        f"what is proved of {pair} at mu = {_decimal(proof.mu)} (tau in t = lr * steps)",
        table,
        *(f"{name}: {claim.brief}" for name, claim in rows if not claim.certified),
        *(f"kinks of {whose}: {_known(known)}" for whose, known in kinks.items()),
        f"critical alignments: {len(proof.critical.roots)}; {proof.critical.words}",
    )


def _decimal(mu: Expr) -> str:
    """Return an alignment as a decimal, or as the fraction that has none."""
    exact = Fraction(int(mu.p), int(mu.q)) if isinstance(mu, sp.Rational) else None
    low, high = ("", "-") if exact is None else outwards(exact, exact)
    return low if low == high else as_text(mu)


def _cells(claim: Claim) -> tuple[str, ...]:
    if claim.is_infinite:
        return "infinite", "", "", "", "exactly"
    assert claim.error is not None
    error = f"{float(claim.error):.1e}" if claim.error else "0"
    return str(claim.value).removesuffix(".0"), error, claim.low or "", claim.high or "", _exact(claim)


def _exact(claim: Claim) -> str:
    """Return what a number is exactly, where that is short."""
    text = claim.low if claim.low == claim.high else None if claim.expression is None else definition(claim.expression)
    return "" if text is None or len(text) > LONGEST else text


def _known(kinks: Kinks) -> str:
    """Say that these are all, or why they are not proved."""
    if not kinks.certified:
        return f"{PREFIX}{kinks.reason}"
    return f"{len(kinks.places)}, proved to be all" if kinks.places else "none"
