"""Search times beyond the range of a double, tails of a Gaussian, tolerances and digits: against mpmath."""

import mpmath
import pytest
import sympy as sp

from numerics.integrals.evaluate import value
from numerics.rates.search_time import search_time
from theory.calculus import reference
from theory.errors import NotIntegrableError, ParameterError, QuadratureError
from theory.network.derivation import derive
from theory.symbols import q, r, x


def exponential(a: int, along: mpmath.mpf, rho: mpmath.mpf) -> tuple[mpmath.mpf, mpmath.mpf, mpmath.mpf]:
    """L_q, L_r and G of exp(a x) on itself: K = exp(a^2 (q + (r + 1)/2)), E sigma^2 = exp(2 a^2 r)."""
    kernel = mpmath.exp(a * a * (along + (rho**2 + 1) / 2))
    slope, bend = -a * a * kernel, a * a * mpmath.exp(2 * a * a * rho**2) - a * a * kernel / 2
    return slope, bend, mpmath.sqrt(slope**2 + 4 * along * slope * bend + 4 * rho**2 * bend**2)


def time(length: mpmath.mpf, bend: mpmath.mpf) -> mpmath.mpf:
    return (-bend + mpmath.sqrt(bend**2 + 4 * length**2)) / (2 * length**2)


@pytest.mark.parametrize(("a", "along", "rho"), [(100, "0.5", None), (1, "30", "30"), (1, "20", "30")])
def test_exponentials_beyond_a_double(a: int, along: str, rho: str | None) -> None:
    with mpmath.workdps(60):
        _, bend, length = exponential(a, mpmath.mpf(along), mpmath.mpf(rho or along))
        truth = time(length, -2 * bend)
        system = derive(f"exp({a}*x)", model="misaligned" if rho else "lora")
        found = search_time(system, along, rho=rho)
        assert isinstance(found.tau, sp.Float)
        assert abs(mpmath.mpf(found.tau) / truth - 1) < 1e-14
        assert abs(mpmath.mpf(found.G) / length - 1) < 1e-14
        assert found.log_tau == pytest.approx(float(mpmath.log(truth)), rel=1e-14)
        fine = search_time(system, along, rho=rho, digits=30)
        assert abs(mpmath.mpf(fine.tau) / truth - 1) < mpmath.mpf("1e-29")


def test_a_numerical_activation_beyond_a_double() -> None:
    """tanh is 1 where exp(40 x) has its weight."""
    numerical, closed = (search_time(derive(f), 0.5) for f in ("exp(40*x)*tanh(x)", "exp(40*x)"))
    assert isinstance(numerical.tau, sp.Float)
    assert numerical.log_tau == pytest.approx(closed.log_tau, rel=1e-14)


def test_polynomials_and_scales_beyond_a_double() -> None:
    """He_3: L_r ~ 45 r^2/2 and L_q ~ -9 q^2 at r = q^2, q = 10^120; ReLU with alpha: lambda ~ alpha A as alpha -> 0."""
    found = search_time(derive("he3", model="misaligned"), 1e120, rho=1e120)
    assert float(found.tau * sp.Float("4.5e601")) == pytest.approx(1, rel=1e-12)
    assert search_time(derive("relu", alpha=1e-200), 0.5).tau == pytest.approx(4e200, rel=1e-14)
    paper = search_time(derive("he3", model="misaligned"), 1e120, rho=1e120, rate_scale="paper")
    assert float(paper.tau / found.tau) == pytest.approx(18, rel=1e-14)


def test_an_order_beyond_a_double_is_refused() -> None:
    with pytest.raises(QuadratureError, match="double"):
        search_time(derive("exp(100*x)"), 0.5, order=8)


def hinge(threshold: mpmath.mpf, mu: mpmath.mpf) -> tuple[mpmath.mpf, mpmath.mpf]:
    """A = (1 - mu) E[Z^2; mu Z > c] and B = E[delta(mu Z - c) (Z - c)] - P(mu Z > c) of max(x - c, 0) on itself."""
    edge = threshold / mu
    tail, density = mpmath.erfc(edge / mpmath.sqrt(2)) / 2, mpmath.npdf(edge)
    drive = (1 - mu) * (tail + edge * density)
    kink = (edge - threshold) * density / mu
    return drive, kink - tail


@pytest.mark.parametrize(
    ("threshold", "mu"), [("0.5", "0.002"), ("1", "0.1"), ("1", "0.12"), ("2", "0.05"), ("1", "0.3")]
)
def test_thresholds_far_out_in_the_tail(threshold: str, mu: str) -> None:
    with mpmath.workdps(60):
        drive, bend = hinge(mpmath.mpf(threshold), mpmath.mpf(mu))
        found = search_time(derive(f"max(x-{threshold},0)"), mu)
        assert abs(mpmath.mpf(found.A) / drive - 1) < 1e-13
        assert abs(mpmath.mpf(found.B) / bend - 1) < 1e-13
        truth = time(drive, bend)
        assert abs(mpmath.mpf(found.tau) / truth - 1) <= max(1e-13, float(found.error / found.tau))
        assert found.log_tau == pytest.approx(float(mpmath.log(truth)), rel=1e-13)


def test_a_numerical_activation_far_out_in_the_tail() -> None:
    """tanh(max(x - 1/2, 0)) at mu = 0.002, from 250 on, with f = sigma(Z) - sigma(mu Z).

    A = E[Z sigma'(mu Z) f], B = E[sigma''(mu Z) f - sigma'(mu Z)^2]; sigma'' has a point mass at 1/2.
    """
    with mpmath.workdps(250):
        mu, edge, half = mpmath.mpf("0.002"), mpmath.mpf(250), mpmath.mpf("0.5")

        def parts(y: mpmath.mpf) -> tuple[mpmath.mpf, mpmath.mpf, mpmath.mpf]:
            inner, slope = mpmath.tanh(mu * y), mpmath.sech(mu * y) ** 2
            return slope, -2 * inner * slope, mpmath.tanh(edge + y - half) - inner

        def mean(f) -> mpmath.mpf:
            points = [0, 0.005, 0.02, 0.1, 0.4, 1]
            return mpmath.quad(lambda y: f(y) * mpmath.exp(-edge * y - y * y / 2), points) * mpmath.npdf(edge)

        drive = mean(lambda y: (edge + y) * parts(y)[0] * parts(y)[2])
        bend = mean(lambda y: parts(y)[1] * parts(y)[2] - parts(y)[0] ** 2)
        bend += mpmath.npdf(edge) / mu * mpmath.tanh(edge - half)
        found = search_time(derive("tanh(max(x-0.5,0))"), "0.002")
        assert abs(mpmath.mpf(found.A) / drive - 1) < 1e-13
        assert abs(mpmath.mpf(found.B) / bend - 1) < 1e-13
        assert found.log_tau == pytest.approx(float(mpmath.log(time(drive, bend))), rel=1e-13)


def test_the_oracle_has_relative_digits_in_the_tails() -> None:
    law = sp.Max(x - sp.Rational(1, 2), 0)
    with mpmath.workdps(50):
        edge = mpmath.mpf(250)
        truth = (mpmath.npdf(edge) - edge * mpmath.erfc(edge / mpmath.sqrt(2)) / 2) / 500
        found = reference.mean(law, 0, sp.Rational(1, 500) ** 2, digits=30)
        assert abs(found / truth - 1) < mpmath.mpf("1e-28")
        plane = reference.kernel(law, x**2, sp.Rational(1, 1000), sp.Rational(1, 500) ** 2, digits=20)
        wide = lambda y: (1 + ((edge + y) ** 2 - 1) / 4) * y / 500 * mpmath.exp(-edge * y - y * y / 2)  # noqa: E731
        assert abs(plane / (mpmath.quad(wide, [0, 0.02, 0.1, 0.5, 1]) * mpmath.npdf(edge)) - 1) < mpmath.mpf("1e-19")


def test_values_beyond_a_double() -> None:
    found = value(derive("exp(100*x)").loss_function.kernel(), {q: "1/2", r: 3})
    assert float(sp.log(found.value)) == pytest.approx(25000, rel=1e-14)  # 10^4 (q + (r + 1)/2)
    assert value(sp.erf(q) - 1, {q: 250}, digits=20).value == -sp.erfc(250).evalf(20)


@pytest.mark.parametrize("digits", [0, -3, 501])
def test_digits_out_of_range_are_refused_at_once(digits: int) -> None:
    with pytest.raises(ParameterError, match="from 1 to 500"):
        search_time(derive("relu"), 0.5, digits=digits)


def test_a_tolerance_is_passed_on_and_one_that_is_too_fine_is_named() -> None:
    """A = E[Z 1(Z > 0) (sqrt|Z| - mu Z)] = 2^(1/4) Gamma(5/4)/sqrt(2 pi) - mu/2, B = -1/2, at mu = 0.4."""
    drive = 2**0.25 * mpmath.gamma(1.25) / mpmath.sqrt(2 * mpmath.pi) - mpmath.mpf("0.2")
    system = derive("relu", "sqrt(abs(x))")
    found = search_time(system, 0.4, tolerance=1e-6)
    assert float(found.A) == pytest.approx(0.230019993662, rel=1e-7)
    truth = float(time(drive, -mpmath.mpf("0.5")))
    assert abs(found.tau - truth) <= found.error <= 1e-6 * truth
    assert truth == pytest.approx(11.1458748, rel=1e-8)
    with pytest.raises(QuadratureError, match="ask for a tolerance of 1e-0") as refused:
        search_time(system, 0.4)
    advised = float(str(refused.value).split("tolerance of ")[1].split(",")[0])
    assert search_time(system, 0.4, tolerance=advised).tau == pytest.approx(truth, rel=advised)
    with pytest.raises(QuadratureError, match="give a tolerance in place of digits"):
        search_time(system, 0.4, digits=16)


def test_infinite_losses_name_the_accepted_variance() -> None:
    with pytest.raises(NotIntegrableError, match=r"variance below 1.25, \|w0\| below 1.118"):
        search_time(derive("exp(x**2/5)", model="misaligned"), 0.5, rho=1.2)
    assert search_time(derive("exp(x**2/5)", model="misaligned"), 0.5, rho=1.1).tau > 0
