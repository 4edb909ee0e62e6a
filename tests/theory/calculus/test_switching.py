"""Zeros of switching functions: none missed, none invented, and said where a scan had to do."""

import mpmath
import pytest
import sympy as sp

from theory.calculus.pieces import pieces
from theory.calculus.stable import in_mpmath
from theory.calculus.switching import sign_changes
from theory.errors import UnsupportedExpressionError
from theory.language.activations import REGISTRY
from theory.symbols import x

THIRD, MILLION = sp.Rational(1, 3), sp.Integer(10) ** 6
NEAR = THIRD + sp.Rational(1, 10**6)

PROVED = {
    "two zeros 1e-6 apart": ((sp.tanh(x) - THIRD) * (sp.tanh(x) - NEAR), (sp.atanh(THIRD), sp.atanh(NEAR))),
    "a window of width 2e-3": (
        sp.exp(-MILLION * (x - THIRD) ** 2) - sp.Rational(1, 2),
        tuple(THIRD + side * sp.sqrt(sp.log(2)) / 1000 for side in (-1, 1)),
    ),
    "a zero at 37": (sp.exp(x) - sp.exp(37), (sp.Integer(37),)),
    "a zero beyond any scan": (sp.exp(x) - sp.exp(sp.Rational(241, 4)), (sp.Rational(241, 4),)),
    "a steep crossing": (sp.tanh(50 * x) - sp.Rational(999, 1000), (sp.atanh(sp.Rational(999, 1000)) / 50,)),
    "near 0": (sp.sinh(x) - sp.Rational(1, 10**9), (sp.asinh(sp.Rational(1, 10**9)),)),
    "a cubic of decimals": (
        sp.expand((x - sp.Float(0.5)) * (x - sp.Float(0.5 + 2**-20)) * (x + 2)),  # exact in binary
        (sp.Integer(-2), sp.Rational(1, 2), sp.Rational(1, 2) + sp.Rational(1, 2**20)),
    ),
    "none": (sp.cosh(x) - sp.Rational(999, 1000), ()),
    "one that comes close": ((sp.tanh(x) - THIRD) ** 2 + sp.Rational(1, 10**9), ()),
}


@pytest.mark.parametrize("case", PROVED)
def test_all_zeros_are_proved(case: str) -> None:
    h, expected = PROVED[case]
    places = sign_changes(h)
    assert places.proved
    assert places.window == sp.oo
    assert [float(c) for c in places.points] == pytest.approx([float(c) for c in expected], rel=1e-14, abs=1e-25)


def test_a_zero_without_a_name_has_thirty_digits() -> None:
    (zero,) = sign_changes(sp.tanh(x) - THIRD).points
    assert isinstance(zero, sp.Float)
    assert abs(zero - sp.atanh(THIRD).evalf(40)) < sp.Float("1e-29")


@pytest.mark.parametrize(
    ("h", "expected"),
    [
        ((sp.exp(x) - 2) ** 2, []),  # touches zero
        (sp.cosh(x) - 1, [0.0]),  # touches zero at a place of the grid, as ever
        ((sp.tanh(x) - THIRD) ** 2 * (sp.exp(x) - 5), [float(sp.log(5))]),
        (1 / x - sp.tanh(x), [-1.1996786402577339, 0.0, 1.1996786402577339]),  # a pole
        (sp.log(x) - 1, [float(sp.E)]),  # real for x > 0 only: nothing at -e, where its real part vanishes
    ],
)
def test_what_balls_leave_open_is_scanned(h: sp.Expr, expected: list[float]) -> None:
    places = sign_changes(h)
    assert not places.proved
    assert [float(c) for c in places.points] == pytest.approx(expected)


def test_close_zeros_are_proved_beside_an_open_place() -> None:
    """The scan looks at what is open only, and misses nothing elsewhere."""
    h = (sp.tanh(x) - THIRD) * (sp.tanh(x) - NEAR) * (sp.exp(x) - 5) ** 2
    assert [float(c) for c in sign_changes(h).points] == pytest.approx([float(sp.atanh(c)) for c in (THIRD, NEAR)])


def test_waves_are_proved_in_their_window() -> None:
    places = sign_changes(sp.sin(2 * x) - sp.Rational(3, 10))
    assert (places.window, places.proved, len(places.points)) == (48, True, 61)
    f = in_mpmath(sp.sin(2 * x) - sp.Rational(3, 10))
    with mpmath.workdps(30):
        assert all(abs(f(mpmath.mpf(str(c)))) < 1e-25 for c in places.points)


def test_too_many_are_refused() -> None:
    with pytest.raises(UnsupportedExpressionError, match="more than 32 times"):
        sign_changes(sp.sin(sp.exp(x)))


def test_pieces_say_whether_their_breakpoints_are_all() -> None:
    gate = pieces(sp.Abs((sp.tanh(x) - THIRD) * (sp.tanh(x) - NEAR)))
    assert gate.proved
    assert len(gate.branches) == 3
    assert gate.branches[0] == gate.branches[2] == -gate.branches[1]
    assert gate.diff()[0].proved
    assert not pieces(sp.Abs(sp.tanh(x) - x)).proved  # a triple zero
    assert pieces(sp.Max(x - sp.Symbol("b", real=True), 0)).proved


def test_decimals_are_zeros_of_the_branches_beside_them() -> None:
    """Breakpoints belong to the very floats of an expression, so that no kink turns into a jump of a rounding."""
    split = pieces(sp.Abs(sp.tanh(50 * x) - sp.Float("0.999")))
    assert split.diff()[1] == ()


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_the_registry_is_proved(name: str) -> None:
    assert pieces(REGISTRY[name]).proved
