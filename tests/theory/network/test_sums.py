"""Hermite sums: exact where they are finite, and elsewhere those that numerics computes with numbers."""

import math

import pytest
import sympy as sp
from sympy import Expr, Rational

from hermescape.cli.families import MOST_ORDERS
from numerics.integrals.series import aligned_series, kernel_series
from tests.networks import two_units
from theory.errors import InputError, ParameterError
from theory.language.activations import activation
from theory.language.hermite import HermiteSymbol, coefficient
from theory.network.derivation import derive, system_of
from theory.network.sums import MAX_ORDER, hermite_sums
from theory.symbols import Delta, mu, q, r
from theory.typeset.printing import latex

BOTH = ["sigma", "phi"]
POLYNOMIALS = [("he3", "he3"), ("he2 + x", "he3 - he1/2"), ("x**4 - x + 1", "he5"), ("he5", "x**2")]


@pytest.mark.parametrize("objective", ["squared", "correlation"])
@pytest.mark.parametrize(("student", "teacher"), POLYNOMIALS)
def test_polynomials_are_summed_exactly(student: str, teacher: str, objective: str) -> None:
    system = derive(student, teacher, noise=Delta, objective=objective)
    sums, loss = hermite_sums(system, 5), system.loss_function
    assert sums.is_complete
    slope, bend = sums.slopes
    exact = {sums.loss: system.loss, sums.kernel: loss.kernel()}
    exact |= dict(zip((slope, bend, sums.A, sums.B), (*loss.gradient(), system.escape.A, system.escape.B), strict=True))
    for f, value in exact.items():
        assert sp.simplify(sums.at(f) - value) == 0


def test_the_sums_of_any_function_are_those_of_each() -> None:
    general = hermite_sums(derive("sigma(x)", "phi(x)", functions=BOTH), 5)
    functions = {"sigma": activation("he5"), "phi": activation("he2 + he3")}
    system = derive("he5", "he2 + he3")
    assert sp.simplify(general.at(general.loss, functions) - system.loss) == 0
    assert sp.simplify(general.at(general.A, functions) - system.escape.A) == 0
    assert sp.simplify(general.at(general.B, functions) - system.escape.B) == 0


@pytest.mark.parametrize("order", [0, 3, 6])
@pytest.mark.parametrize(("student", "teacher"), [("erf", "relu"), ("gelu", "gelu")])
def test_they_end_where_the_series_of_numerics_end(student: str, teacher: str, order: int) -> None:
    sums = hermite_sums(derive(student, teacher), order)
    at = {mu: Rational(2, 5), q: Rational(3, 10), r: Rational(1, 2)}

    def number(f: Expr) -> float:
        return float(sums.at(f).subs(at).evalf(20))

    links = (activation(student), activation(teacher))
    drive, bend = aligned_series(*(f.expr for f in links), 0.4, order)
    assert number(sums.A) == pytest.approx(drive.value, abs=1e-12)
    assert number(sums.B) == pytest.approx(bend.value, abs=1e-12)
    assert number(sums.kernel) == pytest.approx(kernel_series(*links, 0.3, 0.5, order).value, abs=1e-12)
    assert not sums.is_complete


@pytest.mark.parametrize("objective", ["squared", "correlation"])
def test_slopes_are_the_derivatives_of_the_loss(objective: str) -> None:
    sums = hermite_sums(derive("sigma(x)", "phi(x)", functions=BOTH, noise=0.3, objective=objective), 4)
    slope, bend = sums.slopes
    assert sp.expand(sums.loss.diff(q) - slope) == 0
    assert sp.expand(sums.loss.diff(r) - bend) == 0
    edge = sums.loss.subs({q: mu, r: mu**2})
    assert sp.expand(edge.diff(mu) + sums.A) == 0


@pytest.mark.parametrize("name", ["erf", "gelu", "he4", "relu"])
def test_symbols_are_differentiated_as_coefficients_are(name: str) -> None:
    f = activation(name)
    for k in (0, 2, 3):
        slope = (
            HermiteSymbol("sigma", k, r)
            .diff(r)
            .replace(
                lambda node: isinstance(node, HermiteSymbol),
                lambda node: coefficient(f, int(node.args[1]), node.args[2]),
            )
        )
        assert abs((slope - coefficient(f, k, r).diff(r)).subs(r, Rational(2, 3)).evalf(20)) < 1e-15


def test_symbols_in_print() -> None:
    symbol = HermiteSymbol("phi", 3)
    assert (str(symbol), latex(symbol), latex(symbol**2)) == ("phi_3", r"\varphi_{3}", r"\varphi_{3}^{2}")
    general = HermiteSymbol("sigma", 3, r)
    assert (str(general), latex(general), latex(general**2)) == (
        "sigma_3(r)",
        r"\sigma_{3}^{[r]}",
        r"(\sigma_{3}^{[r]})^{2}",
    )


def test_what_vanishes_is_left_out() -> None:
    assert hermite_sums(derive("erf", "relu"), 6).texts()["K"] == "q*sigma_1(r)*phi_1/r + ..."
    assert hermite_sums(derive("he3", "phi(x)", functions="phi"), 6).texts()["K"] == (
        "q*sigma_1(r)*phi_1/r + q**3*sigma_3(r)*phi_3/(6*r**3) + ..."
    )


def test_on_the_sphere_norms_are_one() -> None:
    sums = hermite_sums(derive("sigma(x)", "phi(x)", functions=BOTH, model="plain"), 3)
    assert sums.texts()["dm/dt"] == "(1 - m**2)*(sigma_1*phi_1 + m*sigma_2*phi_2 + m**2*sigma_3*phi_3/2 + ...)"
    (m,) = sums.system.states
    for name in ("erf", "gelu"):
        functions = {letter: activation(name) for letter in BOTH}
        exact = derive(name, model="plain").escape
        series = sp.series(sums.at(sums.speed / (1 - m**2), functions), m, 0, 3).removeO()
        assert math.isclose(float(series.coeff(m, exact.exponent - 1)), float(exact.drift))


def test_labels_are_in_the_constant() -> None:
    assert hermite_sums(derive("sigma(x)", functions="sigma", noise=Delta), 1).loss.coeff(Delta) == Rational(1, 2)
    squared = hermite_sums(derive("he1", "he1", label="y**2", noise=0.5), 2)
    assert sp.simplify(squared.at(squared.loss) - squared.system.loss) == 0


@pytest.mark.parametrize("order", [-1, MAX_ORDER + 1, 2.0, True])
def test_orders(order: float) -> None:
    with pytest.raises(ParameterError, match=f"an integer from 0 to {MAX_ORDER}"):
        hermite_sums("relu", order)
    assert MOST_ORDERS == MAX_ORDER


def test_several_units_are_refused() -> None:
    with pytest.raises(InputError, match="accepted: one unit on one teacher"):
        hermite_sums(system_of(two_units("erf")), 2)
