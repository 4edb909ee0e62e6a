"""What is narrow is seen: estimates of spikes and steps within their errors, and nothing sought where nothing is."""

import csv
from math import erf, exp, sqrt
from pathlib import Path

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from numerics.integrals.certified.kernels import kernel as enclosed
from numerics.integrals.features import features
from numerics.integrals.hermite import hermite_coefficients
from numerics.integrals.quadrature import Estimate, kernel, law_of, mean
from theory.calculus.pieces import pieces
from theory.language.activations import REGISTRY, activation
from theory.symbols import x

TABLE = Path(__file__).parents[2] / "reference" / "awkward.csv"
SPIKES = ("tanh(x)+5*exp(-1e6*(x-0.3)**2)", "1+1/cosh(1000*(x-0.3))", "tanh(1000*(x-0.3))")
PLACES = (0.3, 0.09), (0.3, 0.5), (0.0, 1.0)


def _rows() -> list[dict[str, str]]:
    with TABLE.open(encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["family"] == "spike" and not row["model"]]


def _estimate(row: dict[str, str]) -> Estimate:
    student, teacher = (activation(row[key] or row["student"]) for key in ("student", "teacher"))
    match row["quantity"]:
        case "coefficient":
            order = int(row["order"])
            return hermite_coefficients(student, order, sp.Rational(row["variance"]))[order]
        case "mean square":
            return mean(student.expr**2, 0.0, float(row["variance"]))
        case _:
            return kernel(student.expr, teacher.expr, float(row["q"]), float(row["r"]))


@pytest.mark.parametrize("row", _rows(), ids=lambda row: " ".join(filter(None, list(row.values())[1:11])))
def test_spikes_lie_within_their_errors(row: dict[str, str]) -> None:
    estimate, true = _estimate(row), mpmath.mpf(row["value"])
    assert abs(mpmath.mpf(str(estimate.value)) - true) <= estimate.error
    assert estimate.error <= 1e-12 * max(1, abs(true), mpmath.sqrt(mpmath.factorial(row["order"] or 0)))


@pytest.mark.parametrize("text", SPIKES)
@pytest.mark.parametrize("place", PLACES)
def test_kernels_of_spikes_are_the_enclosed_ones(text: str, place: tuple[float, float]) -> None:
    f = activation(text).expr
    estimate, enclosure = kernel(f, f, *place), enclosed(f, f, *place)
    assert abs(estimate.value - enclosure.value) <= estimate.error + enclosure.error


@given(st.floats(0.0, 5.5), st.floats(-3, 3), st.floats(0.3, 1.5))
@settings(max_examples=40, deadline=None)
def test_no_width_hides(digits: float, place: float, scale: float) -> None:
    """E exp(-k^2 (l - c)^2) and E erf(k (l - c)) in closed form, beside what no rule finds difficult."""
    k, c = sp.Rational(10**digits).limit_denominator(1000), sp.Rational(place).limit_denominator(1000)
    a, b, r = float(k), float(c), scale**2
    wide = 1 + 2 * a * a * r
    for f, true in (
        (x**2 + sp.exp(-(k**2) * (x - c) ** 2), r + exp(-a * a * b * b / wide) / sqrt(wide)),
        (x + sp.erf(k * (x - c)), -erf(a * b / sqrt(wide))),
    ):
        estimate = mean(f, 0.0, r)
        assert abs(estimate.value - true) <= estimate.error + 1e-15


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_the_registry_has_no_features(name: str) -> None:
    """So that its integrals are the same bits, by the same rules, as without them."""
    split = pieces(REGISTRY[name])
    for expr in (split.as_expr(), split.as_expr() ** 2, split.diff()[0].as_expr()):
        assert law_of(expr).edges is law_of(expr).cuts


@pytest.mark.parametrize(
    "f",
    [
        sp.tanh(5 * x),
        sp.exp(-100 * (x - sp.Rational(3, 10)) ** 2),
        sp.sin(1000 * x),  # varies fast everywhere
        (sp.exp(x) - 1) / x,  # a hole that is filled
        sp.besselj(0, x),  # no enclosure
        sp.exp(x**2 / 5),
    ],
)
def test_without_a_feature_there_are_no_edges(f: sp.Expr) -> None:
    assert len(features(f, -np.inf, np.inf)) == 0


@pytest.mark.parametrize("singular", [(sp.exp(x) - 1) / x, sp.sqrt(x + 1)])
def test_a_feature_beside_a_singularity(singular: sp.Expr) -> None:
    edges = features(singular + sp.exp(-(10**6) * (x - sp.Rational(3, 10)) ** 2), -1.0, np.inf)
    assert edges.min() >= -1
    assert np.diff(edges)[np.searchsorted(edges, 0.3) - 1] < 0.01


def test_a_feature_beside_a_kink() -> None:
    expr = activation("max(0,x)+exp(-1e6*(x-0.3)**2)").expr
    law = law_of(expr)
    assert law.cuts.tolist() == [0.0]
    assert len(law.soft) > 20
    true = 1 / sqrt(2 * np.pi) + exp(-1e6 * 0.09 / (1 + 2e6)) / sqrt(1 + 2e6)
    assert abs((estimate := mean(expr, 0.0, 1.0)).value - true) <= estimate.error


def test_members_of_a_family_have_their_own() -> None:
    """The family is compiled once, and features are those at the values of its parameters."""
    b = sp.Symbol("b", positive=True)
    f = sp.tanh(b * (x - sp.Rational(3, 10))) * sp.Max(x, 0)
    for value, narrow in ((1.0, False), (1000.0, True)):
        assert bool(len(law_of(f, ((b, value),)).soft)) == narrow
        member = f.xreplace({b: sp.Rational(value)})
        for one, other in (
            (mean(f, 0.0, 0.5, values=((b, value),)), mean(member, 0.0, 0.5)),
            (kernel(f, f, 0.3, 0.5, values=((b, value),)), kernel(member, member, 0.3, 0.5)),
        ):
            assert abs(one.value - other.value) <= one.error + other.error


@pytest.mark.parametrize("value", [0.0, 1.0, 4.9, 11.0, 33.0, -1000.0])
def test_cells_of_parameters_hide_nothing(value: float) -> None:
    b = sp.Symbol("b", real=True)
    f = sp.tanh(b * (x - sp.Rational(3, 10))) + x
    alone = features(f.subs(b, sp.Rational(value)), -np.inf, np.inf)
    assert features(f, -np.inf, np.inf, ((b, value),)).tolist() == alone.tolist()
