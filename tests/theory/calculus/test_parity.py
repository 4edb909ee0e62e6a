"""Parity: claimed where it holds on the whole line, by comparing f(x) and f(-x), and nowhere else."""

from functools import lru_cache

import mpmath
import pytest
import sympy as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from numerics.integrals.hermite import hermite_coefficients
from theory.calculus.parity import parity
from theory.calculus.pieces import pieces
from theory.errors import UnsupportedExpressionError
from theory.language.activations import REGISTRY, activation
from theory.language.hermite import information_exponent, is_zero
from theory.symbols import x

points = st.floats(-40, 40, allow_nan=False).filter(lambda z: abs(z) > 1e-6)


@lru_cache(maxsize=512)
def function(f: sp.Expr):
    return sp.lambdify(x, f, "mpmath")


def check(f: sp.Expr, z: float) -> None:
    """Compare f(z) and f(-z) at 1,000 digits, so that no tail of an error function is lost."""
    claimed = parity(f)
    if claimed is None:
        return
    with mpmath.workdps(1000):
        right, left = (function(f)(mpmath.mpf(side * z)) for side in (1, -1))
        sign = 1 if claimed == "even" else -1
        assert abs(left - sign * right) <= mpmath.mpf(10) ** -20 * (abs(left) + abs(right))


@settings(deadline=None, max_examples=150, derandomize=True)
@given(st.sampled_from(sorted(REGISTRY)), points)
def test_parity_of_the_registry_holds_at_any_point(name: str, z: float) -> None:
    check(REGISTRY[name], z)


c = st.sampled_from([sp.S.Zero, sp.S.One, -sp.S.One, sp.Integer(2), sp.Rational(-7, 2), sp.Integer(11)])
smooth = st.sampled_from(
    [x, x**2, x**3 - x, sp.tanh(x), sp.sin(x), sp.cos(2 * x), sp.erf(x), sp.exp(-(x**2)), 1 / (1 + x**2)]
)


def kinked(shift: sp.Expr) -> st.SearchStrategy[sp.Expr]:
    return st.sampled_from(
        [
            sp.Max(x - shift, 0),
            sp.Abs(x - shift),
            sp.Heaviside(x - shift),
            sp.Max(-2, sp.Min(x, shift)),
            sp.sign(x - shift),
        ]
    )


parts = smooth | c.flatmap(kinked)
symmetrised = parts.flatmap(
    lambda f: st.sampled_from([f, f + f.subs(x, -x), f - f.subs(x, -x), f.subs(x, sp.Abs(x)), sp.sign(x) * f])
)
functions = st.tuples(symmetrised, symmetrised, st.sampled_from(["+", "*", "of"])).map(
    lambda p: p[0] + p[1] if p[2] == "+" else p[0] * p[1] if p[2] == "*" else sp.tanh(p[0])
)


@settings(deadline=None, max_examples=200, derandomize=True)
@given(functions, st.lists(points, min_size=4, max_size=4))
def test_parity_of_generated_functions_holds_at_any_point(f: sp.Expr, at: list[float]) -> None:
    assume(f.has(x))
    for z in at:
        check(f, z)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(parts, st.sampled_from(["even", "odd"]))
def test_parity_is_found_where_it_was_put(f: sp.Expr, name: str) -> None:
    sign = 1 if name == "even" else -1
    both = f + sign * f.subs(x, -x)
    assume(any(branch != 0 for branch in pieces(both).branches))
    assert parity(both) == name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max(x-2, 0)", None),
        ("step(x-2)", None),
        ("tanh(max(x-2, 0))", None),
        ("max(-2, min(3, x))", None),
        ("1e-31*max(x, 0)", None),
        ("x**2 + exp(-10**6*(x - 20)**2)", None),
        ("max(x-2, 0) - max(-x-2, 0)", "odd"),
        ("1e-31*tanh(x)", "odd"),
        ("1/(1 + exp(x)) - 1/2", "odd"),
        ("log(1 + exp(x)) - x/2", "even"),
        ("(exp(x) - 1)/(exp(x) + 1)", "odd"),
        ("silu - x/2", "even"),
        ("max(tanh(x) - 1/2, 0) + max(-tanh(x) - 1/2, 0)", "even"),
        ("abs(sin(x))", "even"),
        ("sin(x)/x", "even"),
    ],
)
def test_parity_far_from_the_origin(text: str, expected: str | None) -> None:
    assert activation(text).parity == expected


@pytest.mark.parametrize(
    "text",
    [
        *("max(x-2, 0)", "step(x-2)", "tanh(max(x-2, 0))", "max(x-2, 0) - max(-x-2, 0)", "max(-2, min(3, x))"),
        *("1e-31*max(x, 0)", "1e-31*tanh(x)", "max(x-30, 0)", "tanh(x) + max(x-2, 0)"),
    ],
)
def test_information_exponents_are_relative_and_see_the_whole_line(text: str) -> None:
    assert information_exponent(activation(text)) == 1


def test_small_functions_keep_their_exponent() -> None:
    assert [information_exponent(activation(f"1e-31*{f}")) for f in ("he2", "tanh(x)**2", "he3")] == [2, 2, 3]


def test_coefficients_of_a_kink_beyond_the_centre() -> None:
    """tanh adds E[Z tanh Z] to the first; max(Z - 2, 0) has pdf(2) - 2 P(Z > 2), P(Z > 2) and pdf(2)."""
    found = [c.value for c in hermite_coefficients(activation("tanh(x) + max(x-2, 0)"), 2)]
    tail, height = mpmath.ncdf(-2), mpmath.npdf(2)
    slope = mpmath.quad(lambda z: z * mpmath.tanh(z) * mpmath.npdf(z), [-20, -5, 0, 5, 20])
    assert [float(v) for v in found] == pytest.approx([height - 2 * tail, slope + tail, height], abs=1e-12)


def test_zero_is_decided_beside_what_a_number_is_made_of() -> None:
    assert not is_zero(1 - sp.erf(sp.Integer(30)))
    assert not is_zero(sp.Rational(1, 10**80) * sp.sqrt(2))
    assert is_zero(sp.cos(sp.pi / 5) - (1 + sp.sqrt(5)) / 4)


def test_a_small_jump_is_a_jump() -> None:
    assert pieces(activation("1e-31*step(x)").expr).diff()[1] == ((0, sp.Rational(1, 10**31)),)
    assert pieces(activation("max(0, min(x, 1e-13))").expr).breakpoints == (0, sp.Rational(1, 10**13))
    assert not pieces(activation("max(tanh(x) - 1/2, 0)").expr).diff()[1]


def test_functions_that_touch_are_told_apart_between() -> None:
    """sin x = cos 2x at pi/6, 5 pi/6 and, touching, half-way to the next crossing."""
    split = pieces(sp.Max(sp.sin(x), sp.cos(2 * x)))
    assert {sp.pi / 6, 5 * sp.pi / 6, 13 * sp.pi / 6} < set(split.breakpoints)


def test_too_many_kinks_are_refused() -> None:
    with pytest.raises(UnsupportedExpressionError, match="finitely many"):
        activation("abs(sin(40*x))")
