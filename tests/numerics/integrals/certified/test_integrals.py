"""Certified expectations against mpmath's own quadrature at 40 digits, of formulas written out here."""

import pickle
from fractions import Fraction

import mpmath
import pytest
import sympy as sp
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st

from numerics.integrals.certified.enclosure import Enclosure, resolved
from numerics.integrals.certified.integrals import (
    Factor,
    Pair,
    coefficient,
    curvature,
    drive,
    expectation,
    integral,
    mean,
    moment,
    search_time,
)
from theory.enclosures.balls import precision, real_number
from theory.enclosures.branches import branches
from theory.errors import NotCertifiedError, ParameterError
from theory.symbols import x

F = sp.Symbol("f")
TENTH3 = sp.Rational(3, 10)
SPIKE = sp.tanh(x) + 5 * sp.exp(-(10**6) * (x - TENTH3) ** 2)
STEEP = sp.tanh(1000 * (x - TENTH3))
RELU, HAT, LATE = sp.Max(x, 0), sp.Max(0, 1 - x**2), sp.Max(0, x - 1)
BENT = sp.Max(sp.exp(x) - 3, 0)
GELU = x * (1 + sp.erf(x / sp.sqrt(2))) / 2
HE12 = sp.hermite(12, x / sp.sqrt(2)) / 2**6


def near(*points: float, width: float = 0.02) -> list[float]:
    """Where a quadrature has to look, in terms of x."""
    steps = [k * width / 6 for k in range(-6, 7)]
    return [point + step for point in points for step in steps]


PLACES: dict[sp.Expr, list] = {
    SPIKE: near(0.3, width=0.012),
    STEEP: near(0.3, width=0.06),
    RELU: [0],
    HAT: [-1, 1],
    LATE: [1],
    BENT: [sp.log(3)],
    GELU: [],
    sp.tanh(x): [],
    HE12: [],
    sp.log(1 + sp.exp(x)): [],
    sp.atan(x) * sp.exp(-(x**2)): [],
}


def integrate(f, places: list) -> mpmath.mpf:
    """E f(Z) at 40 digits, cut at the places."""
    reach = 16
    inner = [mpmath.mpf(p) for p in places if abs(p) < reach]
    ends = sorted({mpmath.mpf(-reach), *map(mpmath.mpf, range(-reach, reach + 1, 2)), *inner})
    return mpmath.quad(lambda z: f(z) * mpmath.npdf(z), ends, maxdegree=9)


def places_of(f: sp.Expr) -> list[mpmath.mpf]:
    return [mpmath.mpmathify(sp.N(place, 60)) for place in PLACES[f]]


def in_mpmath(f: sp.Expr):
    return sp.lambdify(x, f, "mpmath")


def holds(found: Enclosure, true: mpmath.mpf, digits: int = 36) -> bool:
    """|printed - true| <= error, and the interval contains the value, but for the oracle's own digits."""
    low, high = (mpmath.mpf(end.numerator) / end.denominator for end in (found.low, found.high))
    slack = abs(true) * mpmath.mpf(10) ** -digits + mpmath.mpf(10) ** -(digits + 4)
    return bool(low - slack <= true <= high + slack and abs(found.value - true) <= found.error + slack)


@pytest.mark.parametrize("f", PLACES)
@pytest.mark.parametrize(("shift", "variance"), [(0, 1), (0.3, 0.25), (-1.1, 1.7)])
def test_smoothing(f: sp.Expr, shift: float, variance: float) -> None:
    with mpmath.workdps(50):
        a, s = mpmath.mpf(str(shift)), mpmath.sqrt(mpmath.mpf(str(variance)))
        g = in_mpmath(f)
        true = integrate(lambda z: g(a + s * z), [(p - a) / s for p in places_of(f)])
        assert holds(mean(f, shift, variance), true)


@pytest.mark.parametrize("f", [SPIKE, RELU, GELU, BENT, STEEP])
@pytest.mark.parametrize("k", [0, 1, 5, 12])
def test_coefficients(f: sp.Expr, k: int) -> None:
    with mpmath.workdps(50):
        g, he = in_mpmath(f), in_mpmath(sp.hermite(k, x / sp.sqrt(2)) / sp.sqrt(2) ** k)
        assert holds(coefficient(f, k), integrate(lambda z: g(z) * he(z), places_of(f)), 32)


def by_hand(student: sp.Expr, teacher: sp.Expr, mu: mpmath.mpf) -> tuple[mpmath.mpf, mpmath.mpf]:
    """A and B by their definitions; kinks at the `PLACES` of the student."""
    smooth = [sp.diff(student, x, k).replace(sp.DiracDelta, lambda *_: sp.S.Zero) for k in range(3)]
    s, slope, bend = (sp.lambdify(x, f, [{"Heaviside": lambda v, *_: mpmath.mpf(v > 0)}, "mpmath"]) for f in smooth)
    phi = in_mpmath(teacher)
    places = [p / mu for p in places_of(student)] + places_of(teacher)
    A = integrate(lambda z: z * slope(mu * z) * (phi(z) - s(mu * z)), places)
    B = integrate(lambda z: bend(mu * z) * (phi(z) - s(mu * z)) - slope(mu * z) ** 2, places)
    if student.has(sp.Max):
        step = mpmath.mpf(10) ** -45
        for c in places_of(student):
            jump = slope(c + step) - slope(c - step)
            B += jump * (phi(c / mu) - s(c)) * mpmath.npdf(c / mu) / mu
    return A, B


@pytest.mark.parametrize(
    ("student", "teacher"),
    [(f, f) for f in PLACES] + [(RELU, sp.tanh(x)), (sp.tanh(x), BENT), (HAT, LATE), (GELU, SPIKE)],
)
@pytest.mark.parametrize("mu", ["0.1", "0.5", "0.97"])
def test_search(student: sp.Expr, teacher: sp.Expr, mu: str) -> None:
    with mpmath.workdps(50):
        A, B = by_hand(student, teacher, mpmath.mpf(mu))
        assert holds(drive(student, teacher, float(mu)), A, 30)
        assert holds(curvature(student, teacher, float(mu)), B, 30)
        root = mpmath.sqrt(B * B + 4 * A * A)
        assert holds(search_time(student, teacher, float(mu)), 2 / (B + root), 20)


def test_published_values() -> None:
    """Issue: tau of the spike at mu = 0.5 to 12 digits, and a dead unit's tail."""
    assert abs(search_time(SPIKE, SPIKE, 0.5).value - 43.1293190448) < 1e-9
    assert mean(LATE, 0, sp.Rational(1, 100)).value == pytest.approx(7.4745602e-26, rel=1e-7)


def test_the_correlation_loss_has_no_own_part() -> None:
    assert drive(x**2 - 1, x**2 - 1, 0.3, own=False).value == pytest.approx(4 * 0.3, abs=1e-15)
    assert curvature(x**2 - 1, x**2 - 1, 0.3, own=False).value == pytest.approx(0.0, abs=1e-15)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from([RELU, HAT, BENT, sp.tanh(x), GELU]), st.fractions(Fraction(1, 20), 1, max_denominator=500))
def test_a_ball_of_alignments_contains_each_of_them(f: sp.Expr, mu: Fraction) -> None:
    pair = Pair.of(f, f)
    with precision(64):
        wide = arb(real_number(mu).mid(), 2.0**-7)
        inside = real_number(mu + Fraction(1, 200))
        for quantity in (pair.drive, pair.drive_slope, pair.curvature):
            assert quantity(wide, arb(2) ** -20).overlaps(quantity(inside))


@pytest.mark.parametrize(
    ("student", "teacher"),
    [(RELU, RELU), (HAT, LATE), (BENT, sp.tanh(x)), (GELU, BENT), (LATE, sp.Heaviside(x - 2)), (sp.tanh(x), HAT)],
)
@pytest.mark.parametrize("own", [True, False])
def test_the_slope_of_the_drive_is_its_difference(student: sp.Expr, teacher: sp.Expr, own: bool) -> None:
    """(A(mu + h) - A(mu - h))/(2h), h = 2^-40, is A' but for h^2/6 of its second derivative."""
    pair, mu, h = Pair.of(student, teacher, own), Fraction(7, 10), Fraction(1, 2**40)
    with precision(192):
        sides = [pair.drive(real_number(mu + side * h)) for side in (-1, 1)]
        gap = (sides[1] - sides[0]) / real_number(2 * h) - pair.drive_slope(real_number(mu))
        assert abs(gap) < 1e-18
        assert gap.rad() < 1e-20


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(list(PLACES)), st.fractions(-2, 2, max_denominator=50))
def test_precision_changes_nothing_but_the_radius(f: sp.Expr, shift: Fraction) -> None:
    balls = []
    for bits in (64, 192):
        with precision(bits):
            balls.append(expectation(F, [Factor(F, branches(f), sp.S.One, sp.Rational(shift))]))
    with precision(256):
        assert balls[0].contains(balls[1].mid())
        assert balls[1].rad() < balls[0].rad() or balls[0].rad() == 0


def test_results_are_data() -> None:
    found = moment(sp.tanh(x), F**2)
    again = pickle.loads(pickle.dumps(found))
    assert again == found
    assert again.certified
    with precision(256):
        assert found.ball.contains(arb(again.value)) or found.error > 0
    assert mean(sp.Integer(3)).error < 1e-16


@pytest.mark.parametrize("f", [sp.sign(x), sp.Heaviside(x)])
def test_students_that_jump(f: sp.Expr) -> None:
    with pytest.raises(NotCertifiedError, match="continuous"):
        drive(f, f, 0.5)


def test_what_is_not_resolved_keeps_its_enclosure() -> None:
    with pytest.raises(NotCertifiedError, match="not resolved") as caught:
        mean(sp.sin(sp.exp(3 * x)))
    assert caught.value.enclosure is None or caught.value.enclosure.error > 0
    with pytest.raises(NotCertifiedError, match="tail"):
        mean(sp.exp(x**2))
    with pytest.raises(NotCertifiedError):
        resolved(lambda: arb(0, 1), "nothing")


@pytest.mark.parametrize("mu", [0, -0.5, float("inf")])
def test_alignments_that_are_none(mu: float) -> None:
    with pytest.raises(ParameterError):
        drive(x, x, mu)


def test_an_interrupt_passes_through() -> None:
    def stop(z, analytic=False):
        raise KeyboardInterrupt

    with precision(64), pytest.raises(KeyboardInterrupt):
        integral(stop, arb(0), arb(1))
