"""Search times at many mu: against one point at a time, against thirty digits, and what is too coarse is caught."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from hermescape.views.search import escape_parts
from numerics.compile import bounded, primitives
from numerics.integrals.evaluate import value
from numerics.rates import surrogate
from numerics.rates.curve import search_times, searches
from numerics.rates.search_time import search_time
from numerics.rates.surrogate import Line, tabulated
from tests.strategies import closed
from theory.errors import NotIntegrableError, ParameterError
from theory.network.derivation import derive
from theory.symbols import mu

ALIGNMENTS = st.decimals("0.05", "0.999", places=6)


@lru_cache
def interpreted(student: sp.Expr):
    """A, B and their bounds as the compiled code computes them, by the interpreter: nothing to compile."""
    escape = derive(student).escape
    text = bounded.HORNER.replace("@inline", "") + bounded.bounded_source((mu,), (escape.A, escape.B), name="packed")
    scope = {name: getattr(primitives, name) for name in primitives.__all__}
    scope |= {name: getattr(math, name) for name in ("log", "erfc", "sin", "cos", "tan", "atan", "atan2")}
    exec(text, scope)
    return escape, scope["packed"]


@settings(max_examples=40, deadline=None)
@given(student=closed, place=ALIGNMENTS)
def test_a_running_bound_covers_the_rounding(student: sp.Expr, place) -> None:
    escape, packed = interpreted(student)
    found = packed(float(place))
    for number, bound, part in zip(found[:2], found[2:], (escape.A, escape.B), strict=True):
        truth = value(part, {mu: str(place)}, digits=30).value
        assert abs(sp.Float(number, 40) - truth) <= bound
        assert bound <= 1e-12 * max(1, abs(truth))


def test_a_sum_that_cancels_has_a_bound_that_says_so() -> None:
    """(mu - 1)^9 multiplied out loses every digit near 1, and keeps them by the compensated scheme."""
    expanded = sp.expand((mu - 1) ** 9)
    packed = bounded.bounded_source((mu,), (expanded + sp.exp(mu) - sp.exp(mu) * 1,), name="f")
    assert "horner" in packed
    sweep = bounded.compile_bounded((mu,), (expanded, sp.sqrt(mu) - sp.sqrt(mu + sp.Rational(1, 10**15))))
    (power, root), bounds = np.split(sweep(np.array([[0.99]]))[:, 0], 2)
    assert abs(power + 1e-18) <= bounds[0] < 1e-25
    assert abs(root + 0.5e-15 / math.sqrt(0.99)) <= bounds[1]
    assert bounds[1] > 0.1 * abs(root)


def test_a_polynomial_with_other_numbers_than_rational_ones_is_a_sum() -> None:
    text = bounded.bounded_source((mu,), (sp.pi * mu**2 - sp.sqrt(2) * mu + 1,), name="f")
    assert "horner" not in text


CLOSED = {"he3": "lora", "gelu": "lora", "erf": "misaligned"}


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms_are_those_of_one_point_and_of_thirty_digits(name: str) -> None:
    """Near the critical strength of He_3, and at mu = 1 where tau is infinite, as well."""
    system = derive(name, model=CLOSED[name])
    grid = np.array([0.001, *np.linspace(0.02, 0.98, 40).round(6), 0.320721, 0.3207205555, 1])
    rho = grid + 0.25 if CLOSED[name] == "misaligned" else None
    curve = search_times(system, grid, rho=rho)
    assert len(curve.alone) <= 3
    for i, found in enumerate(curve):
        alone = search_time(system, float(grid[i]), rho=None if rho is None else float(rho[i]))
        assert (found.tau is None) == (alone.tau is None)
        if found.tau is not None and alone.tau is not None:
            assert abs(found.tau - alone.tau) <= found.error + alone.error + 1e-10 * found.tau
            assert (found.slowdown, found.certified, alone.certified) == (1, i in curve.alone, True)
            assert alone.error <= 2.0**-52 * alone.tau
            assert found.interval[0] <= found.tau <= found.interval[1]
    for i in (0, 7, 41, 42):
        fine = search_time(system, float(grid[i]), rho=None if rho is None else float(rho[i]), digits=40)
        assert abs(fine.tau - sp.Float(curve.tau[i], 40)) <= curve.error[i] + curve.rounding[i] <= 1e-9 * curve.tau[i]
        for quantity in ("A", "B", "G", "rate") if rho is None else ("B", "G", "rate"):
            some, exact = getattr(curve[i], quantity), getattr(fine, quantity)
            assert abs(exact - sp.Float(some, 40)) <= curve[i].errors[quantity] <= 1e-9 * (abs(exact) + curve.G[i])
        low, high = curve.low[i] - curve.rounding[i], curve.high[i] + curve.rounding[i]
        assert low <= fine.tau <= high


def test_points_beyond_a_double_are_decided_alone() -> None:
    system = derive("exp(100*x)")
    curve = search_times(system, [0.001, 0.5])
    alone = search_time(system, 0.5)
    assert curve[1] == alone == curve.alone[1]
    assert curve.tau[1] == 0
    assert curve[-1].log_tau == alone.log_tau
    assert curve[0].tau == pytest.approx(float(search_time(system, 0.001).tau), rel=1e-12)


def test_a_divided_learning_rate() -> None:
    system = derive("he3")
    raw, paper = (search_times(system, [0.2, 0.4, 1.0], rate_scale=scale) for scale in ("raw", "paper"))
    assert paper.tau[:2] / raw.tau[:2] == pytest.approx(18, rel=1e-14)
    assert (paper.slowdown, paper[2].tau, paper[0].slowdown) == (18, None, 18)


@pytest.mark.parametrize("teacher", ["step(x-1)", "step(x-1)*tanh(x)"])
def test_a_sign_that_rounding_may_change_is_decided_alone(teacher: str) -> None:
    """B contains sign(100 mu - 7), and 100 times 0.07 is more than 7 in doubles."""
    system, grid = derive("max(x-0.07,0)", teacher), np.linspace(0.001, 1, 1000).round(3)
    curve, alone = search_times(system, grid), search_time(system, 0.07)
    rough = search_time(system, 0.07, certify=False)
    assert alone.certified
    assert abs(curve[69].B - alone.B) <= curve.errors["B"][69] < 1e-12
    assert abs(rough.B - alone.B) <= rough.errors["B"] + alone.errors["B"] < 1e-12
    assert abs(rough.tau - alone.tau) <= rough.error + alone.error < 1e-9


def test_what_one_point_refuses_is_refused() -> None:
    relu, wide = derive("relu"), derive("exp(x**2/5)", model="misaligned")
    with pytest.raises(ParameterError, match=r"mu = 1\.5 given"):
        search_times(relu, [0.5, 1.5])
    with pytest.raises(ParameterError, match="nan"):
        search_times(relu, [0.5, math.nan])
    with pytest.raises(ParameterError, match="rho with model misaligned"):
        search_times(relu, [0.5], rho=[0.6])
    with pytest.raises(ParameterError, match="one dimension"):
        search_times(relu, [[0.5]])
    with pytest.raises(ParameterError, match="no numbers"):
        search_times(relu, ["half"])
    with pytest.raises(ParameterError, match="without an entry"):
        search_times(relu, [])
    with pytest.raises(ParameterError, match="tolerance"):
        search_times(relu, [0.5], tolerance=-1)
    with pytest.raises(NotIntegrableError, match="variance below"):
        search_times(wide, [0.5, 0.5], rho=[1.1, 1.2])


def test_the_table_of_many_points_is_that_of_each() -> None:
    """To its eight digits, tau to rounding; B of a round mu may lie on the edge between two of them."""
    system, grid = derive("he3"), np.linspace(0.001, 1, 1000).round(9).tolist()
    _, shown = escape_parts(system, searches(system, grid)[::7])
    _, alone = escape_parts(system, [search_time(system, place) for place in grid[::7]])
    for some, other in zip(shown.columns[:-1], alone.columns[:-1], strict=True):  # the last one is the error
        pairs = [pair for pair in zip(some.cells, other.cells, strict=True) if pair[0] != pair[1]]
        assert len(pairs) <= {"B": 3, "tau": len(grid)}.get(some.header, 0)
        near = 1e-12 if some.header == "tau" else 2e-7
        assert all(float(a) == pytest.approx(float(b), rel=near) for a, b in pairs)


# --- interpolation


@pytest.mark.parametrize("name", ["tanh", "mish"])
def test_interpolated_search_times_are_those_of_quadrature(name: str) -> None:
    system = derive(name)
    grid = np.concatenate([np.linspace(0.26, 0.49, 60), np.linspace(0.51, 0.74, 60)]).round(6)
    curve = search_times(system, grid)
    assert not curve.alone
    assert np.all(curve.error <= 1e-10 * curve.tau)
    for i in range(0, 120, 5):
        alone = search_time(system, float(grid[i]))
        assert abs(curve.tau[i] - alone.tau) <= curve.error[i] + alone.error
    for i in (17, 88) if name == "tanh" else (17,):
        fine = search_time(system, float(grid[i]), digits=18)
        assert curve.low[i] - curve.rounding[i] <= fine.tau <= curve.high[i] + curve.rounding[i]


def test_where_the_drive_vanishes_it_is_one_integral() -> None:
    """A of tanh at 0.999 is 1e-4: integrals that cancel leave 2e-9 of tau."""
    system = derive("tanh")
    line = Line((system.escape.A, system.escape.B), (mu,), (0.0,), None, (sp.tanh(surrogate.x),) * 3)
    coarse, fine = (tabulated(line, -2, 1e-10, fine=fine) for fine in (False, True))
    place = np.array([0.999])
    truth = float(value(system.escape.A, {mu: "0.999"}, digits=18).value)
    assert abs(fine(place)[0, 0] - truth) <= fine.errors[0] < 1e-14
    assert abs(coarse(place)[0, 0] - truth) <= coarse.errors[0]
    assert coarse.errors[0] > 10 * fine.errors[0]


def test_one_length_is_interpolated_in_the_angle() -> None:
    system = derive("sigmoid", model="misaligned")
    grid = np.linspace(0.05, 0.5, 60).round(6)
    curve = search_times(system, grid, rho=0.8)
    assert not curve.alone
    for i in range(0, 60, 12):
        alone = search_time(system, float(grid[i]), rho=0.8)
        assert abs(curve.tau[i] - alone.tau) <= curve.error[i] + alone.error


def line_of_tanh() -> Line:
    escape = derive("tanh").escape
    return Line((escape.A, escape.B), (mu,), (0.0,), None)


def test_a_coarse_interpolation_says_how_coarse_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surrogate, "MOST_NODES", 4)
    sample = lambda t: line_of_tanh().sample(t, 1e-12)  # noqa: E731
    coarse = surrogate._resolved(sample, (0.25, 0.5), 4)
    places = np.linspace(0.25, 0.5, 9)
    apart = abs(coarse(places) - np.array([sample(t)[0] for t in places]).T).max(axis=1)
    assert np.all((apart > 1e-6) & (apart <= coarse.errors))


def test_a_coarse_interpolation_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surrogate, "MOST_NODES", 4)
    monkeypatch.setattr(surrogate, "NODES", 4)
    tabulated.cache_clear()
    try:
        grid = np.linspace(0.26, 0.49, 30)
        curve = search_times(derive("tanh"), grid)
    finally:
        tabulated.cache_clear()
        monkeypatch.undo()
    assert len(curve.alone) == 30
    assert curve[3] == search_time(derive("tanh"), float(grid[3]))
    assert tabulated(line_of_tanh(), 1, 1e-10).errors.max() < 1e-11


def test_what_vanishes_at_every_node_is_caught_between_them() -> None:
    """T_24 is zero at the 24 nodes: their coefficients decay as if it were not there."""

    def wavy(t: float) -> np.ndarray:
        s = np.clip((2 * t - 0.75) / 0.25, -1, 1)
        return np.array([[1e-6 * np.cos(24 * np.arccos(s)), 1.0], [0.0, 0.0]])

    coarse = surrogate._interpolant(
        wavy, (0.25, 0.5), 24, np.array([wavy(0.375 + 0.125 * s) for s in surrogate.CHECKED])
    )
    assert coarse[0].errors[0] > 1e-6
    resolved = surrogate._resolved(wavy, (0.25, 0.5), 24)
    assert len(resolved.coefficients) == 48
    assert resolved.errors[0] < 1e-12
