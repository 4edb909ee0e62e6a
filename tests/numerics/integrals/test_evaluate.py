"""Values to a tolerance, or to any number of digits, with errors that cover the truth."""

import mpmath
import pytest
import sympy as sp
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st

from numerics.integrals import evaluate
from numerics.integrals.certified.enclosure import Enclosure
from numerics.integrals.evaluate import evaluator, exact_number, value, within
from numerics.integrals.quadrature import Estimate
from numerics.rates.search_time import search_time
from theory.calculus import reference
from theory.calculus.bivariate import Phi2
from theory.calculus.expectations import GaussianKernel, GaussianMean
from theory.enclosures.balls import precision
from theory.errors import ParameterError, QuadratureError
from theory.network.derivation import derive
from theory.symbols import mu, q, r, x

LOGISTIC = 1 / (1 + sp.exp(-x))
SMOOTH = (sp.tanh(x), LOGISTIC, sp.log(1 + sp.exp(x)), 1 / (1 + x**2))
KINKED = (sp.Abs(x) * sp.tanh(x), sp.Max(sp.tanh(x), 0))


def kernel(f: sp.Expr) -> sp.Expr:
    return GaussianKernel(f, f, q, r)


@pytest.mark.parametrize("f", [*SMOOTH, *KINKED], ids=str)
def test_fifty_digits_contain_float64_and_agree_with_seventy(f: sp.Expr) -> None:
    for expr, at in ((GaussianMean(f, mu, r), {mu: "0.3", r: "0.7"}), (kernel(f), {q: "1/2", r: 0.25})):
        plain, fifty, seventy = (value(expr, at, digits=digits) for digits in (None, 50, 70))
        assert abs(fifty.value - seventy.value) <= fifty.error + seventy.error
        assert fifty.error <= abs(fifty.value) * sp.Float("1e-49")
        assert abs(plain.value - fifty.value) <= plain.error


@pytest.mark.parametrize("f", SMOOTH[:3], ids=str)
def test_fifty_digits_of_a_kernel_inside(f: sp.Expr) -> None:
    at = {q: "0.3", r: "1/2"}
    fifty = value(kernel(f), at, digits=50)
    assert fifty.error <= abs(fifty.value) * sp.Float("1e-49")
    assert abs(value(kernel(f), at).value - fifty.value) <= value(kernel(f), at).error


def test_digits_of_a_closed_form_are_those_of_arcsine() -> None:
    """E erf(l) erf(l*) = (2/pi) asin(2 q/sqrt(3 (1 + 2 r))) (Williams 1997), by mpmath at 80 digits."""
    closed = derive("erf").loss_function.kernel()
    found = value(closed, {q: 0.1, r: "0.5"}, digits=60)
    with mpmath.workdps(80):
        exact = 2 / mpmath.pi * mpmath.asin(mpmath.mpf("0.2") / mpmath.sqrt(6))
        assert abs(mpmath.mpf(found.value) - exact) <= mpmath.mpf(found.error) <= mpmath.mpf("1e-60")


def test_cancellation_costs_no_digits() -> None:
    """1 - E tanh(20 + Z/10) ~ 2 e^-40 e^(1/50): seventeen digits are lost and computed again."""
    tiny = value(1 - GaussianMean(sp.tanh(x), 20, "1/100"), digits=30)
    oracle = reference.mean(1 - sp.tanh(x), 20, sp.Rational(1, 100), digits=60)
    with mpmath.workdps(60):
        assert abs(mpmath.mpf(tiny.value) - oracle) <= mpmath.mpf(tiny.error)
        assert mpmath.mpf(tiny.error) <= 1e-29 * oracle


@pytest.mark.parametrize("digits", [4, 6, 9, 15])
def test_estimated_digits_are_rounded_within_their_error(digits: int) -> None:
    f = GaussianMean(sp.Abs(sp.sin(x)), 0, 1)
    short, long = (value(f, digits=n) for n in (digits, 24))
    assert not short.certified
    assert abs(sp.Rational(str(short.value)) - sp.Rational(str(long.value))) <= sp.Rational(str(short.error))


def test_a_value_that_vanishes_has_an_absolute_error() -> None:
    nothing = value(GaussianMean(sp.tanh(x), mu, 1) + GaussianMean(sp.tanh(x), -mu, 1), {mu: 0.3}, digits=30)
    assert abs(nothing.value) <= nothing.error <= sp.Float("1e-30")


def test_unreached_accuracy_is_said_with_what_was_reached() -> None:
    cusp = sp.exp(-sp.sqrt(sp.Abs(x)))  # not analytic from the right at 0: panels converge slowly
    with pytest.raises(QuadratureError, match=r"40 digits.*ask for at most \d"):
        reference.mean(cusp, 0, 1, digits=40)
    root = sp.exp(-(sp.Abs(x - sp.Rational(1, 3)) ** sp.Rational(1, 3)))  # nor is it enclosed
    with pytest.raises(QuadratureError, match=r"ask for at most \d"):
        value(GaussianMean(root, 0, 1), digits=40)
    with pytest.raises(QuadratureError, match="tolerance 1e-20"):
        value(GaussianMean(sp.tanh(x) ** 2, 0, 1), tolerance=1e-20)


def test_tolerance_is_kept() -> None:
    for tolerance in (1e-4, 1e-10, 1e-13):
        assert value(kernel(sp.tanh(x)), {q: 0.3, r: 0.5}, tolerance=tolerance).error <= tolerance


@given(st.fractions(min_value=-5, max_value=5, max_denominator=1000))
def test_numbers_are_taken_exactly(fraction) -> None:
    exact = sp.Rational(fraction.numerator, fraction.denominator)
    assert exact_number(str(fraction), "q") == exact_number(exact, "q") == exact
    printed = exact_number(float(fraction), "q")
    assert float(printed) == float(fraction)
    assert str(float(printed)) == str(float(fraction))


@pytest.mark.parametrize("text", ["nan", "inf", "1/0", "x", "1e999999999", "__import__('os')", None, 1j, "9" * 500])
def test_numbers_that_are_none(text: object) -> None:
    with pytest.raises(ParameterError, match="mu = "):
        exact_number(text, "mu")  # pyright: ignore[reportArgumentType]


def test_missing_values_and_digits_out_of_range() -> None:
    with pytest.raises(ParameterError, match="q without a value"):
        value(kernel(sp.tanh(x)), {r: 1.0})
    for digits in (0, 501, 2.5):
        with pytest.raises(ParameterError, match="from 1 to 500"):
            value(mu, {mu: 1}, digits=digits)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", ["tanh", "max(tanh(x), 0)"])
def test_search_time_to_digits(name: str) -> None:
    system = derive(name)
    plain, fine, finer = search_time(system, "0.3"), *(search_time(system, 0.3, digits=n) for n in (30, 40))
    assert abs(fine.tau - finer.tau) <= fine.error <= sp.Float("1e-29") * fine.tau
    assert plain.interval[0] <= finer.tau <= plain.interval[1]
    assert fine.interval[0] <= finer.tau <= fine.interval[1]
    assert abs(plain.tau - finer.tau) <= plain.error <= 1e-10 * plain.tau


def test_search_time_where_A_nearly_vanishes() -> None:
    """Close to mu = 1 float64 loses the drive; tau is then settled by mpmath, to the tolerance asked."""
    system = derive("tanh")
    close = search_time(system, "0.9999999")
    finest = search_time(system, "0.9999999", digits=30)
    assert abs(close.tau - finest.tau) <= close.error <= 1e-10 * close.tau
    assert search_time(system, 1).tau is None
    assert search_time(system, 1, digits=30).tau is None


@given(st.floats(0.05, 0.95))
@settings(max_examples=10, deadline=None)
def test_interval_of_a_closed_form_ends_beside_its_value(alignment: float) -> None:
    found = search_time(derive("relu"), alignment)
    low, high = found.interval
    assert found.certified
    assert high is not None
    assert low <= found.tau <= high <= low * (1 + 2.0**-51)
    assert found.error <= 2.0**-52 * found.tau


def test_lora_scale_multiplies_drive_and_curvature() -> None:
    """With w = mu w* + alpha u v the Jacobian is [[alpha^2 B, alpha A], [alpha A, 0]]: chain rule."""
    from theory.network.models import model

    plain = search_time(derive("relu"), 0.5)
    scaled = search_time(derive("relu", model=model("lora", scale=sp.Integer(2))), 0.5)
    a, b = 2 * plain.A, 4 * plain.B
    assert scaled.tau == pytest.approx((-b + (b * b + 4 * a * a) ** 0.5) / (2 * a * a), rel=1e-14)


def test_evaluator_and_value_agree() -> None:
    expr = kernel(sp.tanh(x)) ** 2 + q
    inner = evaluator((q, r), (expr,))(0.3, 0.5)[0]
    assert value(expr, {q: 0.3, r: 0.5}).value == pytest.approx(inner.value, abs=inner.error)


def test_the_tails_of_an_orthant_have_no_digits_that_are_not_there() -> None:
    """Phi2(0, -h; rho) <= Phi(-h), and far smaller where the correlation is negative."""
    estimate = evaluate._to_digits(Phi2(0, -sp.Rational(400, 71), -sp.Rational(70, 71)), 15)
    assert abs(estimate.value) <= estimate.error < 1e-45


def test_an_estimate_that_a_proof_contradicts_gives_way_to_it() -> None:
    with precision(64):
        third, nought = Enclosure.of(arb(1) / 3), Enclosure.of(arb(0, 1e-20))
    for digits in (None, 20):
        wrong = within(Estimate(0.25, 1e-9), third, digits)
        assert wrong.certified
        assert abs(sp.Rational(wrong.value) - sp.Rational(1, 3)) <= wrong.error < 1e-15
        zero = within(Estimate(1e-9, 1e-20), nought, digits)
        assert (float(zero.value), zero.certified) == (0, True)
        assert 1e-20 <= zero.error < 2e-20
    inside = Estimate(1e-25, 1e-30)
    assert within(inside, nought) is within(inside, None) is inside
