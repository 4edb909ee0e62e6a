"""Critical alignments against exact roots of polynomials, and against the sign of A computed by mpmath."""

from fractions import Fraction

import mpmath
import pytest
import sympy as sp

from numerics.integrals.certified.alignments import SMALLEST, critical_alignments
from tests.numerics.integrals.certified.test_integrals import BENT, GELU, HAT, RELU, by_hand
from theory.errors import NotCertifiedError
from theory.symbols import mu, x


def he(k: int) -> sp.Expr:
    return sp.expand(sp.hermite(k, x / sp.sqrt(2)) / sp.sqrt(2) ** k)


def exact_drive(f: sp.Expr) -> sp.Expr:
    """A = -d/dmu E (f(mu Z) - f(Z))^2/2, from the moments of Z alone."""
    square = sp.Poly(sp.expand((f.subs(x, mu * x) - f) ** 2 / 2), x)
    mean = sum(c * (sp.factorial2(n - 1) if n else 1) for (n,), c in square.terms() if n % 2 == 0)
    return sp.expand(-sp.diff(mean, mu))


@pytest.mark.parametrize("f", [he(1), he(2), he(3), he(5), he(3) + x / 3, x**4 - 4 * x**3 + x, he(8)])
def test_roots_of_polynomials(f: sp.Expr) -> None:
    known = [r for r in sp.real_roots(sp.Poly(exact_drive(f), mu)) if sp.Rational(1, 1024) <= r <= 1]
    found = critical_alignments(f, f)
    assert found.is_complete
    assert len(found.roots) == len(known)
    for root, true in zip(found.roots, known, strict=True):
        value = sp.N(true, 50)
        assert sp.Rational(root.low) <= value <= sp.Rational(root.high)
        assert abs(root.value - float(value)) <= 2e-16


@pytest.mark.parametrize("f", [RELU, GELU, sp.tanh(x), BENT, HAT, sp.log(1 + sp.exp(x))])
def test_students_that_are_their_teachers_have_the_root_at_one(f: sp.Expr) -> None:
    found = critical_alignments(f, f, low=Fraction(1, 4))
    assert found.is_complete
    assert found.roots[-1].value == 1
    assert found.roots[-1].error == 0
    with mpmath.workdps(18):
        signs = [mpmath.sign(by_hand(f, f, mpmath.mpf(k) / 16)[0]) for k in (5, 15)]
        expected = [(-1) ** sum(root.value > k / 16 for root in found.roots[:-1]) for k in (5, 15)]
    assert len({s * e for s, e in zip(signs, expected, strict=True)}) == 1


def test_another_teacher() -> None:
    """A of the student He_2 on the teacher c He_2 is 4 mu (c - mu^2): E f(mu Z)^2/2 has the mean part too."""
    f = x**2 - 1
    drive = sp.expand(-sp.diff(sp.Rational(1, 2) * (3 * mu**4 - 2 * mu**2 + 1) - (2 * mu**2) / 3, mu))
    known = [r for r in sp.real_roots(sp.Poly(drive, mu)) if r > SMALLEST]
    found = critical_alignments(f, f / 3)
    assert [root.value for root in found.roots] == pytest.approx([float(r) for r in known], abs=1e-15)
    assert found.is_complete


def test_double_roots_are_undecided_and_not_dropped() -> None:
    """The student x + x^3 on p x + q x^3, with p and q such that A(1/2) = A'(1/2) = 0.

    With m_k = E Z^k phi, A = m_1 + 3 m_3 mu^2 - mu - 12 mu^3 - 45 mu^5.
    """
    m1, m3 = sp.Rational(-167, 64), sp.Rational(385, 48)
    q = (m3 - 3 * m1) / 6
    found = critical_alignments(x + x**3, (m1 - 3 * q) * x + q * x**3)
    assert any(low < Fraction(1, 2) < high and high - low < 1e-4 for low, high in found.undecided)
    assert not any(root.low < Fraction(1, 2) < root.high for root in found.roots)


def test_a_drive_that_vanishes_is_not_certified() -> None:
    with pytest.raises(NotCertifiedError):
        critical_alignments(sp.Integer(3), x)


def test_the_correlation_loss_has_no_root_at_one() -> None:
    found = critical_alignments(he(3), he(3), own=False)
    assert found.is_complete
    assert found.roots == ()
