"""The mpmath oracle: bounded work, last values with their changes, and A by one integral."""

import mpmath
import pytest
import sympy as sp

from theory.calculus import reference
from theory.calculus.expectations import Distribution, GaussianMean
from theory.calculus.gaussian import at_mass, gaussian_pdf
from theory.errors import QuadratureError
from theory.language.activations import activation
from theory.language.hermite import is_zero
from theory.network.derivation import derive
from theory.symbols import mu, x


@pytest.mark.parametrize("name", ["relu", "erf", "he3", "gelu", "max(x - 1, 0)"])
@pytest.mark.parametrize("teacher", [None, "erf"])
def test_drive_is_the_closed_form(name: str, teacher: str | None) -> None:
    loss, drive = derive(name, teacher).loss_function, derive(name, teacher).escape.A
    found = reference.drive(loss.student.expr, loss.student.derivative, loss.teacher.expr, "0.3", digits=25)
    with mpmath.workdps(40):
        assert abs(found - mpmath.mpf(drive.subs(mu, sp.Rational(3, 10)).evalf(35))) < mpmath.mpf(10) ** -24


@pytest.mark.parametrize("f", [1 / (10**-8 + x**2), sp.sqrt(sp.Abs(sp.sin(x)))])
def test_an_integral_that_is_not_reached_keeps_its_last_value(f: sp.Expr) -> None:
    with pytest.raises(QuadratureError) as failure:
        reference.mean(f, 0, 1, digits=40)
    assert failure.value.best is not None
    value, change = failure.value.best
    assert mpmath.isfinite(value)
    assert change > 0


def test_a_last_value_lies_within_its_last_change() -> None:
    """E sqrt|Z| = 2^(1/4) Gamma(3/4)/sqrt(pi): Gauss-Legendre panels converge slowly at the root."""
    with pytest.raises(QuadratureError) as failure:
        reference.mean(sp.sqrt(sp.Abs(x)), 0, 1, digits=40)
    value, change = failure.value.best
    assert abs(value - 2 ** mpmath.mpf("0.25") * mpmath.gamma(0.75) / mpmath.sqrt(mpmath.pi)) < change


@pytest.mark.parametrize("k", range(5))
def test_a_point_mass_of_order_k_differentiates_density_and_rest(k: int) -> None:
    c = sp.Symbol("c", real=True)
    mean, variance, at = sp.Rational(1, 3), sp.Rational(3, 2), sp.Rational(2, 5)
    slope = sp.diff(gaussian_pdf(c, mean, variance) * sp.erf(c**2 + 1), c, k).subs(c, at)
    found = at_mass(k, at, mean, variance, lambda point: sp.erf(point**2 + 1))
    assert sp.N(found - (-1) ** k * slope, 20) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("text", ["abs(he6)", "abs(he4)", "abs(x**3 - 2)", "max(x, erfc(x))", "abs(cos(3*x) - x)"])
def test_a_continuous_function_has_no_jump_at_a_kink_that_is_no_square_root(text: str) -> None:
    split = activation(text).pieces
    assert split.breakpoints
    assert not split.diff()[1]


def test_zero_in_any_form_has_degree_zero() -> None:
    assert Distribution.of((x + 1) ** 2 - x**2 - 2 * x - 1).polynomial_degree == 0


def test_means_far_out_in_the_tails_do_not_vanish() -> None:
    assert not is_zero(GaussianMean(sp.Max(0, sp.Abs(sp.asinh(x)) - 3), 0, 1))
