"""Families of functions: what declares a parameter, and where a family has one formula."""

import re

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Rational, S, Symbol

import hermescape
from numerics.rates.search_time import search_time
from theory.calculus.parity import parity
from theory.calculus.signs import OpenSignError, sign_at
from theory.errors import (
    InputError,
    NotIntegrableError,
    NotRealError,
    ParameterError,
    UnknownNameError,
    UnsupportedExpressionError,
)
from theory.language.activations import Activation, activation
from theory.language.families import conditions_in_words, holds
from theory.language.hermite import coefficients, information_exponent
from theory.language.labels import labels
from theory.language.parameters import declared, points
from theory.language.substitution import TooLargeError
from theory.network.derivation import derive
from theory.symbols import TAKEN, x

beta, a = Symbol("beta", positive=True), Symbol("a", real=True)


# --- declarations -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown", "assumption"),
    [
        ("beta", "beta real", "is_real"),
        ("beta > 0", "beta > 0", "is_positive"),
        ("0 < beta", "beta > 0", "is_positive"),
        ("beta>=0", "beta >= 0", "is_nonnegative"),
        ("beta < 0", "beta < 0", "is_negative"),
        ("beta <= 0", "beta <= 0", "is_nonpositive"),
        ("beta > 1/3", "beta > 1/3", "is_positive"),
        ("-1/3 < beta < 2.5/2", "-1/3 < beta < 5/4", "is_real"),
        *((f"beta > {end}", None, None) for end in ("0x10", "0b1", "1/0", "1/0x10", "pi", "1**2", "1_")),
        ("0.5 < beta <= 2", "1/2 < beta <= 2", "is_positive"),
        ("-1 < beta < 2", "-1 < beta < 2", "is_real"),
        ("2 > beta > 1", "1 < beta < 2", "is_positive"),
        ("beta != 0", "beta != 0", "is_nonzero"),
    ],
)
def test_a_declaration_is_read(text: str, shown: str | None, assumption: str | None) -> None:
    if shown is None or assumption is None:
        with pytest.raises(ParameterError, match="accepted: a name, or a name and its domain"):
            declared(text)
        return
    (parameter,) = declared(text)
    assert str(parameter) == shown
    assert getattr(parameter.symbol, assumption) is True


@pytest.mark.parametrize(
    "text",
    [
        *("__import__", "__import__('os')", "x > 0", "y", "mu", "relu", "erf", "max", "pi", "lambda", "b > c", "b <"),
        *(
            "b > nan",
            "1 < b < 0",
            "b < 1 < c",
            "b = 1",
            "",
            "b > 1e400",
            "b != 1",
            "b.c",
            "b_",
            "3",
            "b" * 30,
            "b" * 99,
        ),
    ],
)
def test_a_hostile_declaration_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"accepted|free"):
        activation("tanh(b*x)", [text])


def test_declarations_from_mappings_and_symbols() -> None:
    from_mapping = declared({"beta": "> 0", "a": "real", "b": "0 < b < 2"})
    assert [str(p) for p in from_mapping] == ["beta > 0", "a real", "0 < b < 2"]
    assert declared([beta])[0].symbol == beta
    assert declared([Symbol("b")])[0].symbol.is_real
    with pytest.raises(ParameterError, match="twice"):
        declared(["b > 0", "b"])
    with pytest.raises(ParameterError, match="at most 12"):
        declared([f"b{i}" for i in range(200)])
    with pytest.raises(ParameterError, match="not real"):
        declared([Symbol("b", imaginary=True)])


@pytest.mark.parametrize("name", [*sorted(TAKEN), "L_q", "L_r", "q_s", "M_ss", "sigma_1", "z_0", "mu_"])
def test_letters_of_the_theory_are_refused(name: str) -> None:
    with pytest.raises(ParameterError, match=r"letter of the theory|accepted: a name|name of a function"):
        declared(name)


@given(st.floats(-5, 5), st.floats(0.01, 5), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_generic_points_lie_inside(low: float, width: float, count: int) -> None:
    domain = declared([f"{low:.6f} < b < {low + width:.6f}", "c > -1", "a"])
    found = points(domain, count)
    assert len({tuple(point.items()) for point in found}) == count
    assert all(p.contains(point[p.symbol]) for point in found for p in domain)


def test_a_letter_that_is_a_word_of_python_is_refused_as_a_letter() -> None:
    for text in ("lambda", "lambda > 0", "0 < lambda < 2"):
        with pytest.raises(ParameterError, match=r"lambda is a letter of the theory; accepted: a, b"):
            declared(text)
    with pytest.raises(InputError, match="lambda is a letter of the theory; free are a, b"):
        activation("erf(lambda*x)", "lambda1")


def test_an_undeclared_name_is_answered_with_the_option() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean .*tanh.*--param tahn"):
        activation("tahn(x)")
    with pytest.raises(UnknownNameError, match=r"--param beta.*parameters=\{'beta': 'real'\}"):
        activation("erf(beta*x)")
    with pytest.raises(UnknownNameError, match="m is a letter of the theory"):
        activation("m*x")


# --- functions --------------------------------------------------------------------------------------------------


def test_symbols_of_an_expression_are_its_parameters() -> None:
    family = activation(sp.erf(beta * x))
    assert family.parameters == (beta,)
    assert str(family.domain[0]) == "beta > 0"
    plain = activation(sp.erf(Symbol("b") * Symbol("x")))
    assert plain.parameters == (Symbol("b", real=True),)
    assert plain == activation("erf(b*x)", "b")


@pytest.mark.parametrize(
    ("text", "values", "member"),
    [
        ("erf(beta*x)", {"beta": 0.7}, "erf(0.7*x)"),
        ("erf(beta*x)", {"beta": 1}, "erf"),
        ("max(x - beta, 0)", {"beta": -2}, "max(x + 2, 0)"),
        ("abs(x)**beta", {"beta": 2}, "x**2"),
        ("sin(beta*x)", {"beta": "1/3"}, "sin(x/3)"),
    ],
)
def test_a_member_is_what_typing_its_values_gives(text: str, values: dict, member: str) -> None:
    domain = "beta > 0" if text == "abs(x)**beta" else "beta"
    assert activation(text, domain).at(values) == activation(member)


def test_a_value_outside_the_domain_is_refused() -> None:
    family = activation("erf(beta*x)", "0 < beta <= 2")
    assert family.at({"beta": 2}).expr == sp.erf(2 * x)
    for bad in (0, -1, 2.1, "nan", "inf", "1e400", "x", sp.I, 10**400):
        with pytest.raises(ParameterError, match="beta = "):
            family.at({"beta": bad})


def test_what_is_no_function_anywhere_is_refused() -> None:
    with pytest.raises(NotRealError, match="looked at for b"):
        activation("log(b*x)", "b")
    with pytest.raises(NotIntegrableError):
        activation("exp(p*x**2)", "p > 1")
    assert conditions_in_words(activation("exp(p*x**2)", "p").conditions) == ("p < 1/4",)


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("sqrt(x**2 + b)", "b > 0"),
        ("log(x**2 + 2*x + b)", "b > 1"),
        ("x*sqrt(2 - b)", "b < 2"),
        ("sqrt(b)*erf(x)", "b > 0"),
    ],
)
def test_a_family_is_derived_where_it_is_real(text: str, condition: str) -> None:
    family = activation(text, "b")
    assert conditions_in_words(family.conditions) == (condition,)
    assert family.chambers() == (family,)
    with pytest.raises(NotRealError):
        family.at({"b": 3 if "<" in condition else -3})
    assert activation(text, "1.5 < b < 2").conditions == ()


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ("sqrt(x**4 + b*x**2 + 1)", ("b > -2",)),
        ("log(x**4 + b*x + 1)", ("256 - 27*b**4 > 0",)),
        ("sqrt(x**6 + b*x**2 + b*x + 1)", ("b > -0.8735775125", "b < 4.055393044")),
        ("sqrt(b + 2*tanh(x))", ("b > 2",)),
        ("log(b + sin(x))", ("b > 1",)),
        ("log(1 + b*erf(x))", ("b > -1", "b < 1")),
        ("log(cosh(x) + x**2 + b)", ("b > -1",)),
        ("asin(b*tanh(x))", ("b > -1", "b < 1")),
        ("acos(b + exp(-x**2)/2)", ("b < 1/2", "b > -1")),
        ("x/(b + exp(x))", ("b > 0",)),
        ("1/(1 + b*tanh(x))", ("b > -1", "b < 1")),
        ("abs(x)**b", ("b > 0",)),
        ("cosh(b*x**2)", ("b < 1/4", "b > -1/4")),
        ("exp(-b*x**4)", ("b > 0",)),
        ("exp(b*x**2)*cosh(x**2/8)", ("b < 1/8",)),
        ("1/(1 + exp(b*x**2))", ()),
    ],
)
def test_where_a_family_is_real_and_integrable(text: str, conditions: tuple[str, ...]) -> None:
    """Over the domain a value is accepted if and only if it lies in the chamber: members are looked at by numbers."""
    family = activation(text, "b")
    assert conditions_in_words(family.conditions) == conditions
    assert family.chambers(40) == (family,)
    (b,) = family.parameters
    for value in (Rational(n, 7) for n in (-30, -13, -6, -3, -1, 1, 2, 6, 10, 27, 40)):
        if holds(family.conditions, {b: value}):
            assert not family.at({"b": value}).is_family
        else:
            with pytest.raises((NotRealError, NotIntegrableError)):
                family.at({"b": value})


def test_what_several_parameters_have_to_fulfil() -> None:
    family = activation("sqrt(a + b*tanh(x))", ["a", "b"])
    assert set(conditions_in_words(family.conditions)) == {"a + b > 0", "b < a"}
    quartic = activation("sqrt(x**4 + b*x**2 + c)", ["b", "c"])
    seen = {frozenset(conditions_in_words(f.conditions)) for f in quartic.chambers()}
    assert seen == {frozenset({"b > 0", "c > 0"}), frozenset({"-b**2 + 4*c > 0", "c > 0"})}


def test_where_realness_is_not_decided_members_are_looked_at() -> None:
    family = activation("sqrt(1 + b*sin(x)*tanh(x))", "0 < b < 0.5")
    assert family.conditions == ()
    with pytest.raises(NotRealError, match="looked at for b"):
        activation("sqrt(1 + b*sin(x)*cos(2*x)*x)", "b > 1")


def test_parity_and_exponent_of_the_generic_member() -> None:
    assert [parity(f) for f in (sp.erf(beta * x), sp.exp(-beta * x**2), x + a)] == ["odd", "even", None]
    mixed = activation("c1*x + c3*He(3, x)", ["c1", "c3"])
    assert information_exponent(mixed) == 1
    assert information_exponent(mixed.at({"c1": 0})) == 3
    assert information_exponent(activation("cos(b*x)", "b > 0")) == 2
    assert information_exponent(activation("tanh(b*x)", "b > 0")) == 1
    c1, c3 = mixed.parameters
    assert coefficients(mixed, 3) == (0, c1, 0, 6 * c3)


# --- chambers ---------------------------------------------------------------------------------------------------


def test_the_order_of_kinks_makes_chambers() -> None:
    first, second = activation("max(x - b, 0) + max(x - c, 0)", ["b", "c"]).chambers()
    assert {conditions_in_words(f.conditions) for f in (first, second)} == {("b < c",), ("c < b",)}
    assert first.kinks == second.kinks[::-1]
    three = activation("max(x - b, 0) + max(x - c, 0) + max(x - p, 0)", ["b", "c", "p"]).chambers()
    assert len(three) == 6
    assert len({f.kinks for f in three}) == 6


@pytest.mark.parametrize("text", ["max(x - b, 0) - max(x + b, 0)", "max(x - b, 0) + max(-x - b, 0)"])
@pytest.mark.parametrize("b", [-0.7, 0.7])
def test_kinks_at_b_and_minus_b_are_in_order(text: str, b: float) -> None:
    """SymPy writes x < -b as b < -x."""
    family = derive(text, parameters="b")
    member = derive(text.replace("b", f"({b})"))
    assert search_time(family, 0.37, b=b).tau == pytest.approx(search_time(member, 0.37).tau, rel=1e-13)


def test_an_order_that_few_points_show_is_a_condition() -> None:
    """1/b < c where b c > 1, which of 24 generic points none has."""
    family = derive("abs(b*x - 1) - abs(x - c)", "relu", parameters=["b > 0", "c"])
    member = derive("abs(0.69*x - 1) - abs(x - 1.68)", "relu")
    assert len(family.chambers()) == 2
    assert search_time(family, 0.37, b=0.69, c=1.68).tau == pytest.approx(search_time(member, 0.37).tau, rel=1e-13)


def test_a_domain_that_decides_leaves_one_chamber() -> None:
    clipped = activation("min(1, max(-b, x))", "b > 0")
    assert (clipped.conditions, clipped.kinks) == ((), (-clipped.parameters[0], 1))
    assert activation("max(x - b, 0) + max(x - 2, 0)", "0 < b < 2").conditions == ()
    assert len(activation("max(x - b, 0) + max(x - 2, 0)", "0 < b < 3").chambers()) == 2


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("max(x - b, 0) - max(x - c, 0)", ["b", "c"]),
        ("max(b*x, c*x)", ["b", "c"]),
        ("abs(x - b)*step(x - c) + b*x", ["b", "c"]),
        ("min(max(x, b), c)", ["b", "c"]),
        ("max(x**2 - b, 0)", ["b"]),
        ("abs(tanh(b*x - c))", ["b", "c"]),
        ("max(exp(x) - b, 0) + abs(b*x)", ["b"]),
        ("max(tanh(x), b)", ["b"]),
        ("abs(atan(x) - b) + abs(sinh(x) - b)", ["b"]),
        ("max(x**3, b)", ["b"]),
        ("abs((x - b)**5 + c)", ["b", "c"]),
        ("abs(log(1 + x**2) - b)", ["b"]),
        ("max(asinh(c*x), b) + abs(sinh(x) - c)", ["b", "c"]),
        ("max(tanh(x), tanh(b*x))", ["b"]),
        ("max(exp(x), exp(b*x))", ["b"]),
        ("abs((x - b)*(exp(x) - b))", ["b"]),
        ("max(b*x, 0) + step(x - b)*(x - b)**2", ["b"]),
        ("abs(x**2 - b) + max(c*x - b, 0)", ["b", "c"]),
    ],
)
def test_every_chamber_is_the_function_there(text: str, names: list[str]) -> None:
    """At points over the whole domain the resolved formula equals the typed one, and one chamber at most holds."""
    chambers = activation(text, names).chambers()
    for place in points(chambers[0].domain, 40):
        there = [f for f in chambers if holds(f.conditions, place)]
        assert len(there) == 1
        for z in (Rational(-7, 3), Rational(-1, 5), Rational(3, 7), Rational(5, 2)):
            values = {**place, x: z}
            assert abs(sp.N(there[0].expr.subs(values) - there[0].unresolved.subs(values))) < 1e-12


def test_a_switch_of_an_increasing_function_is_that_of_its_argument() -> None:
    assert {f.kinks for f in activation("max(tanh(x), b)", "b").chambers()} == {(sp.atanh(Symbol("b", real=True)),), ()}
    assert conditions_in_words(activation("max(tanh(x), tanh(b*x))", "b > 1").conditions) == ()
    with pytest.raises(UnsupportedExpressionError, match="increasing functions"):
        activation("abs(x + tanh(x) - b)", "b")


def test_kinks_at_inverse_functions_are_continuous_and_integrated() -> None:
    """Families with kinks at tan(b), sinh(b), a cubic root, against their members."""
    for text, value in (("abs(atan(x) - b)", 0.4), ("max(asinh(x), b)", 0.3), ("max(x**3, b)", -0.7)):
        family = derive(text, parameters="b", near={"b": value})
        member = derive(text.replace("b)", f"({value}))"))
        assert family.loss_function.student.is_continuous
        numbers = hermescape.search_time(family, 0.4, b=value), hermescape.search_time(member, 0.4)
        assert numbers[0].tau == pytest.approx(numbers[1].tau, rel=1e-12)


def test_a_limit_that_depends_on_the_parameters_is_refused() -> None:
    with pytest.raises(UnsupportedExpressionError, match="its limit depends on the parameters"):
        _ = derive("abs(x)**p", parameters="p > 0").escape.A


def test_a_wall_belongs_to_no_chamber() -> None:
    family = activation("max(x - b, 0) + max(x - c, 0)", ["b", "c"])
    b, c = family.parameters
    with pytest.raises(OpenSignError):
        family.within({b: S.One, c: S.One})
    assert family.at({"b": 1, "c": 1}) == activation("2*max(x - 1, 0)")


def test_switches_without_a_formula_for_their_zeros_are_refused() -> None:
    with pytest.raises(UnsupportedExpressionError, match="no formula in its parameters"):
        activation("max(x - b, cos(c*x))", ["b", "c"])


def test_label_transforms_have_parameters_too() -> None:
    given = labels("relu", transform="abs(y)**p", parameters=declared("p > 0"))
    assert [str(p) for p in given.domain] == ["p > 0"]
    assert given.mean.parameters[0].name == "p"
    with pytest.raises(InputError, match="may be negative"):
        labels("relu", transform="y**p", parameters=declared("p > 0"))


def test_a_function_of_one_variable_is_no_family() -> None:
    single = activation("relu")
    assert (single.parameters, single.is_family, single.conditions, single.examples) == ((), False, (), ({},))
    assert isinstance(single.at({}), Activation)


def test_an_integral_that_does_not_settle_may_still_be_seen_not_to_vanish() -> None:
    """x^0.7 for x > 0 has an infinite slope at 0, where no rule reaches 25 digits."""
    assert information_exponent("max(x, 0)**0.7") == 1
    assert information_exponent(activation("max(x, 0)**p", "p > 0")) == 1


def test_the_domain_of_a_parameter_of_the_label_alone_is_kept() -> None:
    system = derive("erf", teacher="relu", label="abs(y)**p", parameters={"p": "2 < p < 3"})
    assert [str(p) for p in system.network.domain] == ["2 < p < 3"]
    assert system.member(p="5/2").loss_function.teacher.expr == activation("max(x, 0)**2.5").expr
    with pytest.raises(ParameterError, match="2 < p < 3"):
        system.member(p=4)


def test_what_no_proof_says_is_real_is_looked_at_far_out() -> None:
    """1 + b x exp(-x^2) is positive for b < sqrt(2 e) = 2.33 alone, of which no rule knows."""
    with pytest.raises(NotRealError, match=r"looked at for b = [3-9]"):
        activation("sqrt(1+b*x*exp(-x**2))", {"b": "> 0"})
    assert activation("sqrt(1+b*x*exp(-x**2))", {"b": "0 < b < 2"}).is_family


@pytest.mark.parametrize(("rate", "largest"), [("1/5", sp.Rational(5, 4)), ("-1/5", sp.oo), ("0", sp.oo)])
def test_the_largest_variance_of_a_family_is_its_members(rate: str, largest: sp.Expr) -> None:
    family = activation("exp(c*x**2) + exp(c*x**2/2)", "c")
    at = {family.parameters[0]: sp.Rational(rate)}
    assert family.max_variance.subs(at) == family.at({"c": rate}).max_variance == largest


@pytest.mark.parametrize(
    ("text", "value", "larger"),
    [
        ("exp(a)*x", 2800, 2900),
        ("2**a*x", 64, 65),
        ("a**4*x", "1e40", "1e309"),
        ("erfc(a)*x", 50, 60),
        ("a**a*x", 64, 65),
        ("cosh(a**2)*x", 50, 60),
    ],
)
def test_what_is_refused_when_typed_is_refused_when_set(text: str, value: str, larger: str) -> None:
    family, typed = activation(text, "a > 0"), re.sub(r"\ba\b", "({})", text)
    assert family.at({"a": value}).expr == activation(typed.replace("{}", str(value))).expr
    for refused in (lambda: family.at({"a": larger}), lambda: activation(typed.replace("{}", str(larger)))):
        with pytest.raises(InputError):
            refused()


def test_numbers_too_large_for_a_family_are_refused_by_what_takes_them() -> None:
    family = derive("exp(exp(a))*x", parameters="a")
    assert search_time(family, mu=0.4, a=1).tau == pytest.approx(0.0154947827)
    for refused in (lambda: search_time(family, mu=0.4, a=30), lambda: family.member({"a": 30})):
        with pytest.raises(TooLargeError, match=r"a = 30 given: exp\(exp\(a\)\) is too large a number there; accepted"):
            refused()


@pytest.mark.parametrize(
    ("assumption", "said"),
    [
        ({"imaginary": True}, "not real"),
        ({"real": False}, "not real"),
        ({"integer": True}, "no interval of real numbers"),
        ({"even": True}, "no interval of real numbers"),
        ({"rational": True}, "no interval of real numbers"),
    ],
)
def test_symbols_that_fill_no_interval_are_refused(assumption: dict[str, bool], said: str) -> None:
    b = Symbol("b", **assumption)
    for refused in (lambda: declared([b]), lambda: activation(sp.tanh(b * x)), lambda: activation(b * x, ["b"])):
        with pytest.raises(ParameterError, match=said):
            refused()


def test_numbers_that_fit_nowhere_are_not_written() -> None:
    """exp(exp(exp(a))) has 10^7600 digits where a is far out, where members are looked at."""
    family = derive("max(x - exp(exp(exp(a))), 0) - max(x - b, 0)", parameters=["a", "b"])
    assert len(family.chambers(20)) == 2
    assert sign_at(sp.exp(sp.exp(sp.exp(sp.Integer(100)))) - 1) is None
    assert sign_at(sp.exp(sp.Integer(10) ** 6) - 1) == 1
