"""Activations: what is accepted, what is refused, and with which words."""

from pathlib import Path

import pytest
import sympy as sp
from sympy import Symbol

from theory.calculus.pieces import pieces
from theory.errors import (
    ActivationSyntaxError,
    InputError,
    NotIntegrableError,
    NotRealError,
    UnknownNameError,
    UnsupportedExpressionError,
)
from theory.language.activations import REGISTRY, Activation, activation, register, registered_in
from theory.language.hermite import information_exponent
from theory.language.parser import RESERVED
from theory.network.derivation import derive
from theory.symbols import x


def test_registry_names() -> None:
    expected = {"linear", "relu", "erf", "sigmoid", "tanh", "square", "abs", "sign", "step"}
    expected |= {"gelu", "elu", "hardtanh", "softplus", "silu", "mish"}
    assert set(REGISTRY) == expected | {f"he{k}" for k in range(1, 21)}
    assert activation("x") == activation("linear")
    assert activation("He(3, x)") == activation("he3") == activation("x**3 - 3*x")


@pytest.mark.parametrize("k", range(2, 21))
def test_hermite_polynomials_are_sympys(k: int) -> None:
    assert sp.expand(sp.hermite(k, x / sp.sqrt(2)) / 2 ** sp.Rational(k, 2) - REGISTRY[f"he{k}"]) == 0


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("__import__('os').system('echo')", ActivationSyntaxError, "Call"),
        ("x.y", ActivationSyntaxError, "Attribute"),
        ("x + y", UnknownNameError, "one variable"),
        ("rleu", UnknownNameError, "did you mean .*relu"),
        ("sqrt(x)", NotRealError, "complex"),
        ("sqrt((x - 0.5)**2 - 0.01)", NotRealError, "complex at x = 0.5"),
        ("log(x)", NotRealError, "undefined at x = 0"),
        ("1/x", NotRealError, "undefined at x = 0"),
        ("1/(x - 0.3)", NotRealError, "3/10"),
        ("tan(x)", NotRealError, "undefined"),
        ("exp(x**2)", NotIntegrableError, "grows too fast"),
        ("exp(exp(x))", NotIntegrableError, "grows too fast"),
        ("sign(sin(40*x))", UnsupportedExpressionError, "finitely many"),
        ("9**9**9", ActivationSyntaxError, "exponent"),
    ],
)
def test_bad_text_has_its_own_error(text: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words.replace("(", r"\(")):
        activation(text)


def test_bad_objects() -> None:
    with pytest.raises(InputError, match="not an activation"):
        activation(3.0)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="y is a letter of the theory"):
        Activation("two", x * Symbol("y"))


def test_a_plain_symbol_is_accepted() -> None:
    assert activation(sp.tanh(Symbol("x"))) == activation("tanh")


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("exp(x)", sp.oo),
        ("exp(x**2/8)", 2),
        ("exp(-x**2)", sp.oo),
        ("x**12", sp.oo),
        ("exp(x**2/5)", sp.Rational(5, 4)),
        ("exp(0.2499*x**2)", sp.Rational(2500, 2499)),
        ("x**3*exp(0.0005*x**2)", 500),
        ("cosh(x**2/5) + sin(x)*exp(x**2/8)", sp.Rational(5, 4)),
        ("exp(x**2/5)/(1 + exp(x**2/10))", sp.Rational(5, 2)),
        ("exp(x**2/5)/(1 + exp(x**2/5))", sp.oo),
    ],
)
def test_largest_variance(text: str, limit: float) -> None:
    assert activation(text).max_variance == limit


@pytest.mark.parametrize(
    ("text", "kinks", "jumps"),
    [
        ("relu", (0,), 0),
        ("step", (0,), 1),
        ("max(-1, min(1, x))", (-1, 1), 0),
        ("abs(abs(x) - 1)", (-1, 0, 1), 0),
        ("max(x, 0) + min(exp(x) - 1, 0)", (0,), 0),
        ("abs(x**2 - 2)", (-sp.sqrt(2), sp.sqrt(2)), 0),
    ],
)
def test_kinks(text: str, kinks: tuple, jumps: int) -> None:
    assert activation(text).kinks == kinks
    assert len(pieces(activation(text).expr).diff()[1]) == jumps


def test_pieces_equal_the_function() -> None:
    for text in ("abs(abs(x) - 1)", "max(tanh(x), 0)", "max(x, x**3, -x)", "sign(cos(x) - x)"):
        expr = activation(text).expr
        for z in (-2.3, -0.7, 0.4, 1.9):
            assert abs(expr.subs(x, z).evalf() - pieces(expr).as_expr().subs(x, z).evalf()) < 1e-12, (text, z)


def test_an_infinite_slope_is_refused_when_its_derivative_is_needed() -> None:
    root = activation("abs(x)**0.5")
    with pytest.raises(NotIntegrableError, match="infinite at x = 0"):
        derive(root).loss_function.gradient()


def test_a_tiny_coefficient_is_no_zero() -> None:
    """E h_1(Z) sin(sin(10 Z)) is of order exp(-50), which the first quadrature cannot tell from 0 beside 1."""
    assert information_exponent(activation("sin(sin(10*x))")) == 1


# --- names of one's own -----------------------------------------------------------------------------------------

SQUAREPLUS = "(x + sqrt(x**2 + 4))/2"


def test_a_registered_name_stands_where_a_name_of_the_registry_does() -> None:
    register("squareplus", SQUAREPLUS)
    assert activation("squareplus") == activation(SQUAREPLUS)
    assert activation("squareplus").name == "squareplus"
    assert activation("2*squareplus(x - 1)") == activation(f"2*({SQUAREPLUS.replace('x', '(x - 1)')})")
    assert REGISTRY["squareplus"] == activation(SQUAREPLUS).expr
    named, written = derive("squareplus", "squareplus(2*x)"), derive(SQUAREPLUS, "(2*x + sqrt(4*x**2 + 4))/2")
    assert named.escape.A == written.escape.A
    with pytest.raises(UnknownNameError, match="did you mean squareplus"):
        activation("squareplu")


def test_registering_again_changes_nothing() -> None:
    assert register("squareplus", SQUAREPLUS) == register("squareplus", "x/2 + sqrt(x**2 + 4)/2")
    with pytest.raises(InputError, match=r"stands for x/2 \+ sqrt"):
        register("squareplus", "x")
    assert activation("squareplus") == activation(SQUAREPLUS)


def test_names_before_may_be_used_by_names_after() -> None:
    register("squareplus", SQUAREPLUS)
    register("bump", "exp(-x**2)")
    register("both", "squareplus(x)*bump(x)")
    assert list(registered_in(["both", "tanh(x)"])) == ["squareplus", "bump", "both"]
    assert registered_in(["tanh(x)", "bumps"]) == {}


@pytest.mark.parametrize("name", [*REGISTRY, *sorted(RESERVED - set(REGISTRY)), "he21"])
def test_a_name_that_is_taken_is_refused(name: str) -> None:
    before = dict(REGISTRY)
    with pytest.raises(InputError, match=f"name '{name}' given"):
        register(name, "x*tanh(x)")
    assert dict(REGISTRY) == before


@pytest.mark.parametrize(
    "name", ["", "x", "y", "a", "1st", "two words", "a-b", "a.b", "lambda", "éa", "a" * 41, "_a", 3]
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="accepted: 2 to 40 ASCII letters"):
        register(name, "x*tanh(x)")


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("own(x)", UnknownNameError, "unknown name 'own'"),
        ("log(x)", NotRealError, "undefined at x = 0"),
        ("exp(x**2)", NotIntegrableError, "grows too fast"),
        ("x + y", UnknownNameError, "one variable"),
        ("__import__('os').getcwd()", ActivationSyntaxError, "Call"),
        (3, InputError, "as text"),
        (sp.tanh(x), InputError, "as text"),
    ],
)
def test_what_is_no_activation_is_not_registered(text: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        register("own", text)
    assert "own" not in REGISTRY
    with pytest.raises(UnknownNameError):
        activation("own")


def test_a_registered_text_is_not_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ActivationSyntaxError):
        register("own", "__import__('pathlib').Path('made').touch()")
    assert not list(tmp_path.iterdir())
