"""Tails, irrational constants and kinks at roots: closed forms whose numbers keep their digits."""

import mpmath
import pytest
import sympy as sp
from mpmath import mpf

from numerics.rates.search_time import search_time
from theory.calculus.expectations import is_closed
from theory.calculus.tidy import tidy
from theory.network.derivation import derive
from theory.symbols import mu, q, r


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (1 - sp.erf(1 / mu), sp.erfc(1 / mu)),
        (q + q * sp.erf(r), q * sp.erfc(-r)),
        ((1 - sp.erf(r)) * (1 - sp.erf(2 * r)), sp.erfc(r) * sp.erfc(2 * r)),
        (1 + (r - 1) * sp.erf(1 / r), r * sp.erf(1 / r) + sp.erfc(1 / r)),
        (2 - sp.erf(r) - sp.erf(2 * r), sp.erfc(r) + sp.erfc(2 * r)),
        (sp.erf(r) + sp.erfc(r), sp.S.One),
        (sp.erf(r) / 2, sp.erf(r) / 2),
    ],
)
def test_what_is_a_tail_is_written_as_one(expr: sp.Expr, expected: sp.Expr) -> None:
    assert tidy(expr) == expected


@pytest.mark.parametrize(
    "expr",
    [1 / (r * sp.exp(2) + 1) + r, sp.sqrt(4 * sp.E * r + 1) * q, q / (sp.pi * r + sp.E) - q / (sp.E + sp.pi * r)],
)
def test_irrational_constants_stay_in_place(expr: sp.Expr) -> None:
    at = {q: sp.Rational(1, 3), r: sp.Rational(2, 3)}
    assert abs((tidy(expr) - expr).subs(at).evalf(30)) < 1e-28


def linearisation(s, slope, bend, kinks: list[tuple[mpf, mpf]], alignment: mpf) -> tuple[mpf, mpf]:
    """A = E[Z s'(mu Z)(s(Z) - s(mu Z))], B = -E[s'(mu Z)^2 + (s(mu Z) - s(Z)) s''(mu Z)], a point mass at each kink."""
    cuts = sorted({*(c / alignment for c, _ in kinks), *(c for c, _ in kinks)})
    ends = [min(cuts[0], mpf(0)) - 14, *cuts, max(cuts[-1], mpf(0)) + 14]

    def gap(z: mpf) -> mpf:
        return s(z) - s(alignment * z)

    def expectation(f) -> mpf:
        """Return E f(Z); mpmath judges convergence absolutely, so that the integrand is scaled to its size."""
        size = max(abs(f(z + nudge) * mpmath.npdf(z)) for z in ends for nudge in (-1e-3, 1e-3))
        return size * mpmath.quad(lambda z: f(z) * mpmath.npdf(z) / size, ends)

    A = expectation(lambda z: z * slope(alignment * z) * gap(z))
    B = -expectation(lambda z: slope(alignment * z) ** 2 - gap(z) * bend(alignment * z))
    jumps = (jump * gap(c / alignment) * mpmath.npdf(c / alignment) / alignment for c, jump in kinks)
    return A, B + sum(jumps)


def dead_zone(z: mpf) -> mpf:
    return max(z - 1, mpf(0))


@pytest.mark.parametrize(("alignment", "accuracy"), [("0.1", 1e-12), ("0.12", 1e-12), ("0.03", 1e-12), ("0.5", 1e-13)])
def test_a_dead_zone_far_out(alignment: str, accuracy: float) -> None:
    """max(0, x - 1): at mu = 0.1 the kink lies ten standard deviations out."""
    with mpmath.workdps(40):
        m = mpf(alignment)
        A, B = linearisation(dead_zone, lambda z: mpf(z > 1), lambda _: mpf(0), [(mpf(1), mpf(1))], m)
        rate = (B + mpmath.sqrt(B * B + 4 * A * A)) / 2
        found = search_time(derive("max(0, x - 1)"), alignment)
        assert float(found.A) == pytest.approx(float(A), rel=accuracy, abs=0)
        assert float(found.B) == pytest.approx(float(B), rel=accuracy, abs=0)
        assert float(found.tau) == pytest.approx(float(1 / rate), rel=accuracy, abs=0)


def test_published_dead_zone_values() -> None:
    assert search_time(derive("max(0, x - 1)"), "0.1").tau == pytest.approx(1.43112329857e20, rel=1e-11, abs=0)
    drive = search_time(derive("max(0, x - 1)"), "0.12").A
    assert drive == pytest.approx(2.46982407917e-15, rel=1e-11, abs=0)


def test_a_kink_at_the_root_of_a_cubic_is_no_jump() -> None:
    with mpmath.workdps(30):
        c = mpmath.findroot(lambda z: z**3 - z - 1, 1.3)
        A, B = linearisation(
            lambda z: max(z**3 - z - 1, mpf(0)),
            lambda z: 3 * z**2 - 1 if z > c else mpf(0),
            lambda z: 6 * z if z > c else mpf(0),
            [(c, 3 * c**2 - 1)],
            mpf("0.5"),
        )
        found = search_time(derive("max(x**3 - x - 1, 0)"), "0.5")
        assert float(found.A) == pytest.approx(float(A), rel=1e-13, abs=0)
        assert float(found.B) == pytest.approx(float(B), rel=1e-13, abs=0)


def test_kinks_at_a_zero_known_numerically() -> None:
    with mpmath.workdps(30):
        c = 2 * mpmath.log(2)
        A, B = linearisation(
            lambda z: max(mpmath.exp(z / 2) - 2, mpf(0)),
            lambda z: mpmath.exp(z / 2) / 2 if z > c else mpf(0),
            lambda z: mpmath.exp(z / 2) / 4 if z > c else mpf(0),
            [(c, mpf(1))],
            mpf("0.5"),
        )
        found = search_time(derive("max(exp(x/2) - 2, 0)"), "0.5")
        assert float(found.A) == pytest.approx(float(A), rel=1e-13, abs=0)
        assert float(found.B) == pytest.approx(float(B), rel=1e-13, abs=0)


def test_many_kinks_at_opaque_places_go_to_quadrature() -> None:
    """|He_4|: four kinks at the roots of x^4 - 6 x^2 + 3 would make a closed form of 20,000 operations."""
    assert not is_closed(derive("abs(he4)").loss)
    with mpmath.workdps(25):
        roots = sorted(side * mpmath.sqrt(3 + other * mpmath.sqrt(6)) for side in (-1, 1) for other in (-1, 1))

        def he4(z: mpf) -> mpf:
            return z**4 - 6 * z**2 + 3

        def slope(z: mpf) -> mpf:
            return 4 * z**3 - 12 * z

        A, B = linearisation(
            lambda z: abs(he4(z)),
            lambda z: slope(z) * mpmath.sign(he4(z)),
            lambda z: (12 * z**2 - 12) * mpmath.sign(he4(z)),
            [(c, 2 * abs(slope(c))) for c in roots],
            mpf("0.3"),
        )
        found = search_time(derive("abs(he4)"), "0.3")
        assert float(found.A) == pytest.approx(float(A), rel=1e-10, abs=0)
        assert float(found.B) == pytest.approx(float(B), rel=1e-10, abs=0)
