"""Generated code against SymPy's arbitrary-precision evaluation, which shares no line with it."""

import io
import math
import os
import subprocess
import sys
from contextlib import redirect_stdout

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from numerics.compile import primitives
from numerics.compile.codegen import compile_function, source
from theory.errors import ParameterError, UnsupportedExpressionError
from theory.symbols import x

y = sp.Symbol("y", real=True)

SMOOTH = [
    sp.exp(-(x**2)) * y,
    sp.log(1 + x**2),
    sp.erf(x) + sp.erfc(y),
    sp.sin(x) * sp.cos(y) + sp.tan(x / 3),
    sp.asin(x / 4) + sp.acos(y / 4) + sp.atan(x),
    sp.atan2(y, x),
    sp.sinh(x) + sp.cosh(y) + sp.tanh(x * y),
    sp.asinh(x) + sp.acosh(y**2 + 1) + sp.atanh(x / 4),
    x**10 - 45 * x**8 + 630 * x**6 - 3150 * x**4 + 4725 * x**2 - 945,
    x**-3 + y**-1 / (1 + x**2),
    sp.sqrt(x**2 + y**2) / (x**2 + 1) ** sp.Rational(3, 2),
    (x**2 + 1) ** sp.Rational(1, 3) * (y**2 + 1) ** sp.Float(0.7),
    (x**2 + 1) ** (-y),
    sp.pi * x + sp.E * y + sp.GoldenRatio + sp.Rational(1, 3),
    x * (1 + sp.erf(x / sp.sqrt(2))) / 2,
    sp.log(1 + sp.exp(x)) + sp.tanh(sp.log(1 + sp.exp(y))),
    x / (1 + sp.exp(-x)),
    sp.exp(2 * x) / (1 + sp.exp(x)) ** 3,
    sp.exp(-x - y) / (1 + sp.exp(-x - y)) ** 2,
]
KINKED = [
    sp.Max(x, 0) + sp.Min(y, 1, x),
    sp.Max(x, y, sp.Rational(1, 2)),
    sp.Abs(x) * sp.sign(y),
    sp.Heaviside(x) - 2 * sp.Heaviside(y),
    sp.Piecewise((x**2, x < -1), (y, (x < 1) & (y > 0)), (sp.exp(-x), sp.Or(x >= 2, sp.Eq(y, 0))), (7, True)),
    sp.Piecewise((1, sp.Ne(x, y) & ~((x > 0) & (x <= 2))), (sp.sin(x), True)),
]
POINTS = [(-2.3, 0.7), (-0.4, -1.9), (0.3, 2.2), (1.7, -0.6), (3.1, 3.3)]


def exact(expression: sp.Expr, a: float, b: float, digits: int = 40) -> float:
    return float(sp.N(expression.subs({x: sp.Float(a, digits), y: sp.Float(b, digits)}), digits - 10))


@pytest.mark.parametrize("jit", [True, False])
def test_values_agree_with_arbitrary_precision(jit: bool) -> None:
    expressions = SMOOTH + KINKED
    function = compile_function([x, y], expressions, jit=jit)
    for a, b in POINTS:
        expected = [exact(expression, a, b) for expression in expressions]
        assert function(a, b) == pytest.approx(expected, rel=2e-14, abs=1e-13)


@pytest.mark.parametrize("jit", [True, False])
def test_conventions_at_the_origin(jit: bool) -> None:
    outputs = [sp.Heaviside(x), sp.sign(x), sp.Max(x, 0), sp.Abs(x), sp.Integer(3)]
    assert compile_function([x], outputs, jit=jit)(0) == (0.5, 0.0, 0.0, 0.0, 3.0)


LOGISTIC = 1 / (1 + sp.exp(-x))


@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.parametrize(
    ("expression", "left", "right"),
    [
        (LOGISTIC, 0.0, 1.0),
        (sp.diff(LOGISTIC, x), 0.0, 0.0),
        (sp.diff(LOGISTIC, x, 2), 0.0, 0.0),
        (sp.log(1 + sp.exp(x)), 0.0, None),
        (sp.diff(sp.log(1 + sp.exp(x)), x), 0.0, 1.0),
        (x * LOGISTIC, 0.0, None),
        (sp.diff(x * LOGISTIC, x), 0.0, 1.0),
        (sp.tanh(x), -1.0, 1.0),
        (sp.exp(-(x**2)), 0.0, 0.0),
    ],
)
def test_both_ends_are_finite(expression: sp.Expr, left: float, right: float | None, jit: bool) -> None:
    function = compile_function([x], [expression], jit=jit)
    for size in (800.0, 1e4):
        assert function(-size) == (left,)
        assert function(size) == (size if right is None else right,)
    for a in (-600.0, -40.0, 37.0, 90.0):
        assert function(a)[0] == pytest.approx(exact(expression, a, 0.0, 320), rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("jit", [True, False])
def test_guards_absorb_rounding_but_not_nan(jit: bool) -> None:
    function = compile_function([x], [sp.sqrt(x), sp.asin(x), sp.acos(x)], jit=jit)
    assert function(-1e-17)[0] == 0.0
    assert function(1 + 1e-15)[1:] == (math.pi / 2, 0.0)
    outputs = [sp.sqrt(x), sp.asin(x), sp.Max(x, 0), sp.Min(x, 0), sp.sign(x), sp.Heaviside(x), sp.Abs(x)]
    assert all(map(math.isnan, compile_function([x], outputs, jit=jit)(math.nan)))


@pytest.mark.parametrize("jit", [True, False])
def test_ieee_arithmetic_instead_of_exceptions(jit: bool) -> None:
    assert compile_function([x], [1 / x, sp.exp(x)], jit=jit)(0.0) == (math.inf, 1.0)
    assert compile_function([x], [sp.exp(x)], jit=jit)(1e4) == (math.inf,)


def unary(child: sp.Expr) -> st.SearchStrategy[sp.Expr]:
    return st.sampled_from(
        [
            sp.tanh(child),
            sp.atan(child),
            sp.erf(child),
            sp.sqrt(1 + child**2),
            sp.Abs(child),
            1 / (1 + child**2),
        ]
    )


def binary(pair: tuple[sp.Expr, sp.Expr]) -> st.SearchStrategy[sp.Expr]:
    first, second = pair
    chosen = sp.Piecewise((first, x < y), (second, True))
    return st.sampled_from([first + second, first * second, first - 2 * second, sp.Max(first, second), chosen])


leaves = st.sampled_from([x, y, sp.Rational(2, 7), sp.Integer(-1), sp.Integer(3)])
trees = st.recursive(leaves, lambda inner: inner.flatmap(unary) | st.tuples(inner, inner).flatmap(binary), max_leaves=6)
numbers = st.floats(-3, 3, allow_subnormal=False)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(trees, trees, numbers, numbers)
def test_random_expressions(first: sp.Expr, second: sp.Expr, a: float, b: float) -> None:
    values = compile_function([x, y], [first, second], jit=False)(a, b)
    assert values == pytest.approx([exact(first, a, b), exact(second, a, b)], rel=1e-10, abs=1e-10)


def test_compiled_functions_inline_into_loops() -> None:
    function = compile_function([x], [x**2, sp.Max(x, 0)])

    @njit
    def total(n: int) -> float:
        result = 0.0
        for i in range(n):
            square, positive = function(i - 2.0)
            result += square + positive
        return result

    assert total(5) == 10 + 3


def test_cached_by_content() -> None:
    assert compile_function([x], [sp.sin(x)]) is compile_function((x,), (sp.sin(x),))
    assert compile_function([x], [sp.sin(x)]) is not compile_function([x], [sp.cos(x)])


def test_source_is_the_same_in_every_process() -> None:
    program = (
        "import sympy as sp; from theory.symbols import x, mu, q, r; from numerics.compile.codegen import source;"
        "e = sp.erf(mu*x + q)/(1 + sp.exp(-x*r)) + sp.Max(x, q, mu) + sp.sin(q*r + x)*sp.cos(mu + r*x);"
        "pieces = sp.Piecewise((e, (x > q) & (r > mu)), (q*r*x*mu, True));"
        "print(source([x, mu, q, r], [e, e.diff(x), pieces]))"
    )
    command = [sys.executable, "-c", program]
    runs = [
        subprocess.run(
            command,
            env={**os.environ, "PYTHONHASHSEED": seed, "HERMESCAPE_CACHE": "off"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    with redirect_stdout(io.StringIO()) as here:
        exec(program, {})
    runs.append(here.getvalue())  # this process has a seed of its own
    assert len(set(runs)) == 1
    assert runs[0].startswith("def generated(x_0, mu_1, q_2, r_3):")


def test_names_are_safe() -> None:
    hostile = [sp.Symbol(name) for name in ("lambda", "exp", "1); import os", "c0", "μ", "__class__")]
    text = source(hostile, [sp.exp(sum(hostile))])
    assert text.splitlines()[0] == "def generated(lambda_0, exp_1, importos_2, c0_3, v_4, class_5):"
    assert compile_function(hostile, [sp.exp(sum(hostile))], jit=False)(0, 0, 0, 0, 0, 0) == (1.0,)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (sp.DiracDelta(x), "DiracDelta"),
        (sp.gamma(x), "gamma"),
        (sp.I * x, "ImaginaryUnit"),
        (sp.Integral(sp.exp(x * y), (y, 0, 1)), "Integral"),
        (sp.Function("f")(x), "f"),
        (sp.Heaviside(x, 0), "1/2"),
        (x + sp.Integer(10) ** 400, "float64"),
        (x + y, "y, not among the arguments x"),
    ],
)
def test_refusals_name_node_and_remedy(expression: sp.Expr, message: str) -> None:
    with pytest.raises(UnsupportedExpressionError, match=message):
        compile_function([x], [expression])


@pytest.mark.parametrize(
    ("args", "outputs", "name"),
    [([], [x], "f"), ([x, x], [x], "f"), ([x], [], "f"), ([x], ["x"], "f"), ([x], [x], "f(): import os")],
)
def test_bad_requests(args: list[sp.Symbol], outputs: list[sp.Expr], name: str) -> None:
    with pytest.raises(ParameterError):
        compile_function(args, outputs, name=name)


@pytest.mark.parametrize(
    ("name", "units", "edges"),
    [
        ("exp", 2, [1e-9, 0.34, 0.36, 1.0, 30.0, 700.0]),
        ("erf", 2, [1e-9, 0.99, 1.01, 2.5, 5.9, 6.1]),
        ("tanh", 2, [1e-9, 0.54, 0.56, 3.0, 20.0]),
        ("softplus", 4, [1e-9, 1.0, 40.0, 700.0]),
    ],
)
def test_vectorised_primitives_are_within_units_in_the_last_place(name: str, units: int, edges: list[float]) -> None:
    function = getattr(primitives, name)
    exact = getattr(mpmath, name, lambda value: mpmath.log1p(mpmath.exp(value)))
    rng = np.random.default_rng(1)
    with mpmath.workdps(40):
        for value in (rng.uniform(-1, 1, (300, 1)) * edges).ravel():
            truth = exact(mpmath.mpf(float(value)))
            assert abs(function(value) - truth) < units * math.ulp(float(truth))


def test_vectorised_primitives_at_the_ends_of_float64() -> None:
    inf, nan = math.inf, math.nan
    assert [primitives.exp(value) for value in (-inf, -746.0, 0.0, 710.0, inf)] == [0.0, 0.0, 1.0, inf, inf]
    assert [primitives.exp(value) for value in (-745.0, 709.5)] == [
        pytest.approx(math.exp(value), rel=1e-15, abs=0) for value in (-745.0, 709.5)
    ]
    for odd in (primitives.erf, primitives.tanh):
        assert [odd(value) for value in (-inf, -1e300, 0.0, 1e300, inf)] == [-1.0, -1.0, 0.0, 1.0, 1.0]
        assert math.copysign(1.0, odd(-0.0)) == -1.0
    assert all(map(math.isnan, (primitives.exp(nan), primitives.erf(nan), primitives.tanh(nan))))
