"""The parser: what it accepts, what it refuses, how fast, and that it never evaluates text."""

import ast
import contextlib
import time
from pathlib import Path

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import theory.language.parser
from theory.errors import ActivationSyntaxError, InputError, NotRealError, UnknownNameError
from theory.language.activations import REGISTRY
from theory.language.parser import parse
from theory.symbols import x

GOOD = {
    "x": x,
    " x ": x,
    "x**3 - 3*x": x**3 - 3 * x,
    "-x + +2": 2 - x,
    "0.1*x": x / 10,
    "1e-3*x": x / 1000,
    "max(x, 0)": sp.Max(x, 0),
    "min(x, 1, x**2)": sp.Min(x, 1, x**2),
    "erf(x/sqrt(2))": sp.erf(x / sp.sqrt(2)),
    "x*(1 + erf(x/sqrt(2)))/2": x * (1 + sp.erf(x / sp.sqrt(2))) / 2,
    "x*Phi(x)": x * (1 + sp.erf(x / sp.sqrt(2))) / 2,
    "He(3, x)": x**3 - 3 * x,
    "He(2, 2*x)": 4 * x**2 - 1,
    "2**x": sp.exp(x * sp.log(2)),
    "e**x": sp.exp(x),
    "relu(x - 1)": sp.Max(x - 1, 0),
    "relu": sp.Max(x, 0),
    "sigmoid(2*x)": 1 / (1 + sp.exp(-2 * x)),
    "pi*abs(x)": sp.pi * sp.Abs(x),
    "tanh(x)**2": sp.tanh(x) ** 2,
}

BAD = {
    "": ActivationSyntaxError,
    "x +": ActivationSyntaxError,
    "__import__('os').system('echo')": ActivationSyntaxError,
    "x.y": ActivationSyntaxError,
    "x[0]": ActivationSyntaxError,
    "'x'": ActivationSyntaxError,
    "lambda: x": ActivationSyntaxError,
    "x if x else 1": ActivationSyntaxError,
    "x < 1": ActivationSyntaxError,
    "(y := x)": ActivationSyntaxError,
    "exp(x=1)": ActivationSyntaxError,
    "exp(*x)": ActivationSyntaxError,
    "exp(x, x)": ActivationSyntaxError,
    "max(x)": ActivationSyntaxError,
    "He(x, 2)": ActivationSyntaxError,
    "He(65, x)": ActivationSyntaxError,
    "1j*x": ActivationSyntaxError,
    "True": ActivationSyntaxError,
    "x^2": ActivationSyntaxError,
    "x**x": ActivationSyntaxError,
    "x // 2": ActivationSyntaxError,
    "\x00": ActivationSyntaxError,
    "x + é": ActivationSyntaxError,
    "x + y": UnknownNameError,
    "tahn(x)": UnknownNameError,
    "eval(x)": UnknownNameError,
    "1/0": NotRealError,
    "log(0)": NotRealError,
    "sqrt(-1)*x": NotRealError,
}

HOSTILE = [
    "9**9**9",
    "9**9**9**9**9",
    "((x**64)**64)**64",
    "((10**60)**60)**60",
    "x**1000",
    "x**-99999",
    "(" * 1_000_000,
    "-" * 999,
    "x" + "+x" * 490,
    "(" * 450 + "x" + ")" * 450,
    "exp(" * 200 + "x" + ")" * 200,
    "1" * 900,
    "1e999999",
    "He(64, He(64, x))",
    "*".join(["x**60"] * 30),
]


@pytest.mark.parametrize("text", GOOD)
def test_good_text(text: str) -> None:
    assert sp.expand(parse(text, names=REGISTRY) - GOOD[text]) == 0


@pytest.mark.parametrize("text", BAD)
def test_bad_text(text: str) -> None:
    with pytest.raises(BAD[text]) as caught:
        parse(text, names=REGISTRY)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_refused_at_once(text: str) -> None:
    start = time.process_time()
    with pytest.raises(ActivationSyntaxError):
        parse(text, names=REGISTRY)
    assert time.process_time() - start < 60  # taken up, it would need hours


def test_suggestions() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean .*tanh"):
        parse("tahn(x)", names=REGISTRY)
    with pytest.raises(UnknownNameError, match="the one variable x"):
        parse("x + y", names=REGISTRY)
    with pytest.raises(ActivationSyntaxError, match=r"\*\*"):
        parse("x^2")


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_parses_or_raises_an_input_error(text: str) -> None:
    with contextlib.suppress(InputError):
        assert isinstance(parse(text, names=REGISTRY), sp.Expr)


leaves = st.one_of(
    st.just(x), st.integers(-9, 9).map(sp.Integer), st.fractions(-3, 3, max_denominator=9).map(sp.Rational)
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: pair[0] + pair[1]),
        st.tuples(inner, inner).map(lambda pair: pair[0] * pair[1]),
        st.tuples(inner, st.integers(0, 3)).map(lambda pair: pair[0] ** pair[1]),
        st.tuples(st.sampled_from([sp.tanh, sp.erf, sp.cos, sp.Abs]), inner).map(lambda pair: pair[0](pair[1])),
    ),
    max_leaves=6,
)


@given(trees)
@settings(max_examples=60, deadline=None)
def test_printed_expressions_parse_back(tree: sp.Expr) -> None:
    try:
        found = parse(sp.sstr(tree).replace("Abs", "abs"))
    except ActivationSyntaxError:
        return  # beyond the bounds
    for z in (sp.Rational(-7, 5), sp.Rational(3, 8)):
        left, right = (complex(f.subs(x, z).evalf(20)) for f in (tree, found))
        assert abs(left - right) <= 1e-12 * max(1, abs(left))


def test_the_parser_calls_nothing_that_evaluates_text() -> None:
    forbidden = {"eval", "exec", "sympify", "S", "parse_expr", "lambdify", "compile", "Symbol", "Function"}
    tree = ast.parse(Path(theory.language.parser.__file__).read_text())
    calls = {
        getattr(node.func, "id", getattr(node.func, "attr", ""))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    }
    assert not calls & forbidden
