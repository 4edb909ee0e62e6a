"""Awkward expectations: what is printed lies within its stated error of the truth, which `tests/reference` has.

The truth is `tests/reference/awkward.csv`, 40 digits each, by an oracle that shares no line with what is judged here:
spikes, compact support, dead units, gates, cancelling polynomials, kinks, scales 1e6 and 1e-6, transformed labels,
tails, and misaligned weights with mu < 0 and rho near |mu|. The law: |printed - true| <= error, in every row.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from itertools import groupby

import mpmath
import pytest
import sympy as sp

import hermescape
from hermescape.views.hermite import hermite_expansion
from hermescape.views.kernel import kernel_report
from numerics.integrals.quadrature import Estimate, Real
from numerics.rates.place import parts_of, place_of
from tests.reference import awkward, byhand
from tests.reference.awkward import Row
from tests.reference.byhand import Hand, variable

ROWS = awkward.table()
FEWEST = 300
WORKING, KNOWN = 60, 40
SLOW = frozenset({"1+1/cosh(1000*(x-0.3))", "sin(x)+1/(1+exp(-2000*(x+0.4)))"})
"""students whose integrals take longest, half of all the time"""


def _about(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in ("family", "student", "teacher", "label", "model"))


GROUPS = {about: list(rows) for about, rows in groupby(sorted(ROWS, key=_about), _about)}


@cache
def _system(student: str, teacher: str, label: str, model: str) -> hermescape.System:
    return hermescape.derive(student, teacher or None, model=model, label=label or None)


@cache
def _coefficients(student: str, variance: str, order: int) -> list[Estimate]:
    """Return what `hermescape hermite` prints, or the numbers of its closed forms."""
    found = hermite_expansion(student, order, variance)
    if found["exact"]:
        closed = hermescape.coefficients(student, order, sp.Rational(variance))
        return [hermescape.value(c) for c in closed]
    return [
        Estimate(sp.Float(text, 40), error) for text, error in zip(found["coefficients"], found["errors"], strict=True)
    ]


def _coefficient(row: Row) -> Estimate:
    order = int(row["order"])
    largest = max(int(other["order"] or 0) for other in GROUPS[_about(row)])
    return _coefficients(row["student"], row["variance"], largest)[order]


def _mean_square(row: Row) -> Estimate:
    square = hermescape.activation(row["student"]).expr ** 2
    return hermescape.value(hermescape.smoothing(square, sp.S.Zero, sp.Rational(row["variance"])))


def _kernel(row: Row) -> Estimate:
    found = kernel_report(row["student"], row["teacher"] or None, (row["q"], row["r"]), None, 1e-10)
    return Estimate(found["value"], found["error"])


def _part(row: Row) -> Estimate:
    system = _system(*_about(row)[1:])
    place = place_of(system, row["mu"], row["rho"] or None, {})
    return hermescape.value(parts_of(system)[row["quantity"] in {"B", "L_r"}], place.at)


def _tau(row: Row) -> Estimate:
    found = hermescape.search_time(_system(*_about(row)[1:]), row["mu"], rho=row["rho"] or None)
    return Estimate(mpmath.inf if found.tau is None else found.tau, found.error)


PRINTED: dict[str, Callable[[Row], Estimate]] = {
    "coefficient": _coefficient,
    "mean square": _mean_square,
    "kernel": _kernel,
    "tau": _tau,
    **dict.fromkeys(("A", "B", "L_q", "L_r"), _part),
}


def _number(given: Real) -> mpmath.mpf:
    return mpmath.mpf(given if isinstance(given, float | int) else str(given.n(WORKING)))


def off(row: Row) -> tuple[mpmath.mpf, mpmath.mpf, mpmath.mpf]:
    """Return what is printed, its distance from the truth, and the error that it states."""
    found = PRINTED[row["quantity"]](row)
    with mpmath.workdps(WORKING):
        true, printed, error = mpmath.mpf(row["value"]), _number(found.value), _number(found.error)
        return printed, abs(printed - true), error + abs(true) * mpmath.mpf(10) ** (1 - KNOWN)


def shown(row: Row) -> str:
    return " ".join(f"{name} {text}" for name, text in row.items() if text and name not in {"family", "check"})


@pytest.mark.parametrize(
    "about",
    [pytest.param(about, marks=pytest.mark.slow) if about[1] in SLOW else about for about in GROUPS],
    ids=lambda about: " ".join(filter(None, about)),
)
def test_what_is_printed_lies_within_its_error(about: tuple[str, ...]) -> None:
    wrong = []
    for row in GROUPS[about]:
        printed, distance, error = off(row)
        if not distance <= error:
            wrong.append(f"{shown(row)}: printed {printed}, off by {distance}, error {error}")
    assert wrong == []


def test_the_table_is_whole() -> None:
    """Every row that the script makes, and no other; at least 300, with 40 digits each."""
    wanted = [row for job in awkward.jobs() for row in job.heads()]
    assert [{name: row[name] for name in awkward.KEY} for row in ROWS] == wanted
    assert len(ROWS) >= FEWEST
    assert all(
        sum(c.isdigit() for c in row["value"].partition("e")[0].lstrip("-0.")) >= KNOWN
        for row in ROWS
        if mpmath.mpf(row["value"])
    )


def _typed() -> dict[str, Hand]:
    return {f.text: f for job in awkward.jobs() for f in (job.student, job.teacher or job.student)}


@pytest.mark.parametrize("text", _typed())
def test_the_text_is_the_function_by_hand(text: str) -> None:
    """On both sides of every cut, at narrow features, and elsewhere."""
    by_hand = _typed()[text]
    typed = hermescape.activation(text).expr
    (symbol,) = typed.free_symbols
    with mpmath.workdps(30):
        places = [mpmath.mpf(k) / 7 for k in range(-39, 60, 7)]
        for place, scale in ((c, mpmath.mpf(1) / 1000) for c in by_hand.places()):
            places += [place - scale / 3, place + scale / 3]
        for place, scale in by_hand.narrow:
            places += [byhand.number(place) + byhand.number(scale) * k / 3 for k in (-1, 1, 2)]
        for place in places:
            expected = by_hand.branch(place)(variable(place)).v
            found = mpmath.mpf(str(typed.subs(symbol, sp.Float(str(place), 40)).n(35)))
            assert abs(found - expected) <= 1e-20 * max(1, abs(expected)), place


def test_the_oracle_meets_closed_forms() -> None:
    """Kernels of erf (Williams) and ReLU (Cho and Saul), n! q^n of He_n, and A and B of ReLU and He_2."""
    q, r, mu = Fraction(3, 10), Fraction(1, 2), Fraction(2, 5)
    with mpmath.workdps(70):
        c, root = byhand.number(q) / mpmath.sqrt(byhand.number(r)), mpmath.sqrt(byhand.number(r))
        relu = root * (mpmath.sqrt(1 - c**2) + c * (mpmath.pi - mpmath.acos(c))) / (2 * mpmath.pi)
        erf = 2 / mpmath.pi * mpmath.asin(2 * byhand.number(q) / mpmath.sqrt((1 + 2 * byhand.number(r)) * 3))
        for f, expected in ((awkward.RELU, relu), (awkward.ERF, erf), (awkward.HE3, 6 * byhand.number(q) ** 3)):
            for way in (byhand.nested, byhand.swapped):
                assert abs(way(f, f, q, r, 50)[0][0] - expected) < mpmath.mpf(10) ** -45
        assert abs(byhand.mehler(awkward.ERF, awkward.ERF, q, r, 20)[0][0] - erf) < mpmath.mpf(10) ** -20
        for f, expected in ((awkward.RELU, (0.3, -0.5)), (awkward.HE2, (2.016, 1.04))):
            found = byhand.aligned(f, f, mu, 50)
            assert all(abs(a - b) < mpmath.mpf(10) ** -45 for a, b, _ in found)
            assert [float(a) for a, _, _ in found] == pytest.approx(expected, rel=1e-14)
