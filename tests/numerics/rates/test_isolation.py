"""The isolation of critical alignments against formulas of A by hand, at 40 digits."""

from fractions import Fraction

import mpmath
import pytest
import sympy as sp

from numerics.rates.isolation import alignments_of, isolate
from theory.errors import HermescapeError, ParameterError
from theory.network.derivation import derive
from theory.search.critical import critical_strengths

TOUCHING = derive("sin(x)", "exp(-3/8)*(201*x/164 - 11*x**3/41)")
"""A = e^(-mu^2/2) (p (1 - mu^2) + q (mu^4 - 6 mu^2 + 3)) - mu e^(-2 mu^2), with A(1/2) = A'(1/2) = 0."""


def drive_of_sine(alignment: mpmath.mpf) -> mpmath.mpf:
    """A of sin(3 x) on itself, from E[Z cos(aZ) sin(bZ)] = sum of (b +- a) exp(-(b +- a)^2/2)/2."""

    def mean(a: mpmath.mpf, b: mpmath.mpf) -> mpmath.mpf:
        return sum((b + s * a) * mpmath.exp(-((b + s * a) ** 2) / 2) for s in (1, -1)) / 2

    return 3 * (mean(3 * alignment, mpmath.mpf(3)) - mean(3 * alignment, 3 * alignment))


def test_proved_roots_contain_those_of_a_formula() -> None:
    inside = isolate(derive("sin(3*x)"))
    with mpmath.workdps(40):
        true = [mpmath.findroot(drive_of_sine, guess) for guess in (0.011, 0.333)]
        ends = [(mpmath.mpf(root.low), mpmath.mpf(root.high)) for root in inside.roots]
        for root, (low, high) in zip(true, ends, strict=False):
            assert low <= root <= high < low + mpmath.mpf(10) ** -18
    assert [root.value for root in inside.roots[2:]] == [1]
    assert inside.certified
    assert inside.low == Fraction(1, 1024)


def test_alignments_of_proved_roots_are_those_of_the_scan() -> None:
    """Which go through the integrals at 30 digits, and not through balls."""
    for pair in (("sin(3*x)",), ("tanh",), ("erf", "relu")):
        system = derive(*pair)
        (proved, isolation), scanned = alignments_of(system), critical_strengths(system)
        assert isolation.certified
        assert len(proved) == len(scanned) > 0
        for one, other in zip(proved, scanned, strict=True):
            assert (one.certified, one.multiplicity, one.sign, one.order) == (True, 1, other.sign, other.order)
            assert abs(float(one.mu) - float(other.mu)) <= float(one.error + other.error) + 2**-53
            assert float(one.constant) == pytest.approx(float(other.constant), rel=1e-12)


def test_no_root_is_proved_where_the_sign_never_changes() -> None:
    nowhere = isolate(derive("tanh", "erf"))
    assert (nowhere.roots, nowhere.undecided, nowhere.certified) == ((), (), True)
    assert nowhere.words == "no root of A in [0.0009765625, 1]"


def test_a_double_root_is_undecided_and_left_to_the_scan() -> None:
    isolation = isolate(TOUCHING)
    assert not isolation.certified
    ((low, high),) = isolation.undecided
    assert low < Fraction(1, 2) < high < low + Fraction(1, 1000)
    strengths, quick = alignments_of(TOUCHING)
    assert not quick.certified
    (touching,) = (root for root in strengths if root.multiplicity == 2)
    assert not touching.certified
    assert abs(float(touching.mu) - 0.5) < 1e-9


def test_polynomials_are_exact_on_all_of_the_range() -> None:
    he3 = isolate(derive("he3"))
    assert (he3.low, he3.certified, he3.roots[1].expression) == (0, True, sp.S.One)
    with mpmath.workdps(40):
        true = mpmath.findroot(lambda v: 5 * v**3 + 5 * v**2 + v - 1, 0.32)
        assert mpmath.mpf(he3.roots[0].low) <= true <= mpmath.mpf(he3.roots[0].high)
    assert he3.words == "no other root of A in (0, 1]"


def test_a_scanned_root_is_not_certified_and_an_exact_one_is() -> None:
    assert [root.certified for root in critical_strengths(derive("erf", "relu"))] == [False]
    assert [root.certified for root in critical_strengths(derive("he3"))] == [True, True]


def test_a_search_that_leads_nowhere_ends_soon_and_says_what_is_open() -> None:
    """Spikes of width 1e-3 at every mu: nothing is told from 0 but mu = 1."""
    spiky = isolate(derive("tanh(x) + 5*exp(-1e6*(x-0.3)**2)"), patient=False)
    assert [root.value for root in spiky.roots] == [1]
    assert sum(high - low for low, high in spiky.undecided) > Fraction(1, 2)


def test_what_has_no_critical_alignments_is_refused() -> None:
    with pytest.raises(HermescapeError, match="A = 0 for every mu"):
        isolate(derive("1"))
    with pytest.raises(ParameterError, match="model lora"):
        isolate(derive("erf", model="misaligned"))
