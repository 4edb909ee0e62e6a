"""The theory of any activation, put to the test by activations: what holds for all of them holds for each."""

from functools import cache

import pytest
import sympy as sp
from sympy import Expr, Rational

from theory.calculus.undefined import defined
from theory.errors import InputError, NoFormulaError, UnknownNameError
from theory.language.activations import REGISTRY
from theory.language.hermite import EXPONENT
from theory.network.derivation import derive
from theory.network.system import System
from theory.symbols import Delta, J, L_q, L_r, M_ll, M_ls, M_ss, N_l, N_s, mu, q, r, rho, x

BOTH = ("sigma", "phi")
PAIRS = [("erf", "erf"), ("tanh", "he3"), ("he3", "tanh"), ("he3", "he2"), ("erf", "sigmoid")]
AT = {q: Rational(3, 10), r: Rational(1, 2), mu: Rational(2, 5), rho: Rational(4, 5), Delta: Rational(1, 7)}


@cache
def general(model: str = "lora", noise: Expr = Delta) -> System:
    return derive("sigma(x)", "phi(x)", functions=BOTH, model=model, noise=noise)


@cache
def concrete(student: str, teacher: str, model: str = "lora") -> System:
    return derive(student, teacher, model=model, noise=Delta)


def put(f: Expr, student: str, teacher: str) -> Expr:
    """Return a general result for one pair, as a number."""
    return defined(f, {"sigma": REGISTRY[student], "phi": REGISTRY[teacher]}).subs(AT).evalf(20)


def agree(f: Expr, value: Expr, student: str, teacher: str) -> None:
    number = value.subs(AT).evalf(20)
    assert abs(put(f, student, teacher) - number) <= 1e-12 * max(1, abs(number))


@pytest.mark.parametrize(("student", "teacher"), PAIRS)
def test_loss_slopes_and_search_are_those_of_every_pair(student: str, teacher: str) -> None:
    any_, one = general(), concrete(student, teacher)
    agree(any_.loss, one.loss, student, teacher)
    for f, value in zip(any_.loss_function.gradient(), one.loss_function.gradient(), strict=True):
        agree(f, value, student, teacher)
    for name in ("A", "B", "tau", "rate", "G2"):
        agree(getattr(any_.escape, name), getattr(one.escape, name), student, teacher)


def test_off_the_edge() -> None:
    any_, one = (each.escape for each in (general("misaligned"), concrete("erf", "he3", "misaligned")))
    for name in ("B", "G2"):
        agree(getattr(any_, name), getattr(one, name), "erf", "he3")


@pytest.mark.parametrize(("student", "teacher"), [("erf", "erf"), ("he2", "he3")])
def test_the_noise_is_that_of_every_pair(student: str, teacher: str) -> None:
    any_, one = (each.loss_function.noise_moments() for each in (general(), concrete(student, teacher)))
    names = [J] if student == "erf" else [J, M_ss, M_ls, M_ll, N_s, N_l]
    for name in names:
        agree(any_[name], one[name], student, teacher)


def test_the_correlation_loss() -> None:
    any_, one = (
        derive(*pair, functions=BOTH, noise=Delta, objective="correlation")
        for pair in (("sigma(x)", "phi(x)"), ("erf", "he3"))
    )
    agree(any_.loss, one.loss, "erf", "he3")
    for f, value in zip(any_.loss_function.gradient(), one.loss_function.gradient(), strict=True):
        agree(f, value, "erf", "he3")
    for name in ("A", "B", "tau"):
        agree(getattr(any_.escape, name), getattr(one.escape, name), "erf", "he3")
    agree(any_.loss_function.noise(), one.loss_function.noise(), "erf", "he3")
    assert str(any_.escape.A) == "GaussianMean(x*phi(x)*sigma'(mu*x), 0, 1)"


def test_kinks_are_among_them() -> None:
    any_, one = general(), concrete("relu", "relu")
    agree(any_.loss, one.loss, "relu", "relu")
    agree(any_.loss_function.gradient()[0], one.loss_function.gradient()[0], "relu", "relu")
    agree(any_.loss_function.noise(), one.loss_function.noise(), "relu", "relu")
    agree(any_.escape.A, one.escape.A, "relu", "relu")
    slope = any_.loss_function.gradient(mu, mu**2)[0]
    bend = (put(any_.escape.A, "relu", "relu") + put(slope, "relu", "relu")) / AT[mu]  # B without a second derivative
    assert abs(bend - one.escape.B.subs(AT)) < 1e-12


def test_one_expectation_each_at_the_aligned_edge() -> None:
    escape = general(noise=sp.S.Zero).escape
    assert str(escape.A) == "GaussianMean(x*(phi(x) - sigma(mu*x))*sigma'(mu*x), 0, 1)"
    value, slope, bend = (sp.Symbol(name) for name in ("value", "slope", "bend"))
    inner = (-escape.B).args[0].expr
    names = {str(node): node for node in inner.atoms(sp.Expr) if str(node).startswith("sigma")}
    plain = inner.xreplace({names["sigma(mu*x)"]: value, names["sigma'(mu*x)"]: slope, names["sigma''(mu*x)"]: bend})
    phi = next(node for node in plain.atoms(sp.Expr) if str(node) == "phi(x)")
    assert sp.expand(plain - (slope**2 + bend * (value - phi))) == 0


def test_the_drive_is_minus_the_slope_of_the_loss_along_the_edge() -> None:
    loss = concrete("tanh", "he3").loss_function.expr
    edge = loss.subs({q: mu, r: mu**2})
    step = Rational(1, 10**8)
    apart = [edge.subs({mu: AT[mu] + side * step, Delta: AT[Delta]}).evalf(30) for side in (-1, 1)]
    assert abs(put(general().escape.A, "tanh", "he3") + (apart[1] - apart[0]) / (2 * step)) < 1e-10


def test_the_velocities_are_those_of_every_activation() -> None:
    for model in ("lora", "misaligned", "plain", "pretrain"):
        assert general(model).velocities == concrete("erf", "erf", model).velocities
        assert not general(model).is_exact


def test_what_a_polynomial_partner_closes_is_closed() -> None:
    system = derive("sigma(x)", "he3", functions="sigma")
    assert str(system.loss_function.kernel()) == "q**3*GaussianMean(sigma'''(x), 0, r)"
    agree(system.loss, derive("erf", "he3").loss, "erf", "he3")


def test_expressions_and_families() -> None:
    swish = derive("x*sigma(x)", functions="sigma")
    assert str(swish.loss_function.student.expr) == "x*sigmatilde(x)"
    value = defined(swish.escape.A, {"sigmatilde": REGISTRY["sigmoid"]}).subs(AT).evalf(20)
    assert abs(value - derive("silu").escape.A.subs(AT).evalf(20)) < 1e-12
    family = derive("sigma(x) + a*x", "phi(x)", functions=BOTH, parameters="a")
    assert [s.name for s in family.parameters] == ["mu", "a"]
    member = defined(family.member(a=2).escape.A, {"sigmatilde": REGISTRY["tanh"], "phi": REGISTRY["erf"]})
    assert abs(member.subs(AT).evalf(20) - derive("tanh(x) + 2*x", "erf").escape.A.subs(AT).evalf(20)) < 1e-12


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [
        ("sigma(x)", None, ("sigma(x)", "sigma(x)")),
        ("sigma(x)", "x*sigma(x)", ("sigma(x)", "x*sigma(x)")),
        ("x*sigma(x)", "sigma(x)", ("x*sigmatilde(x)", "sigmatilde(x)")),
        ("phi(x)", "sigma(x)", ("phitilde(x)", "sigmatilde(x)")),
        ("phi(x)", None, ("phi(x)", "phi(x)")),
        ("erf", "phi(x)**2", ("erf(x)", "phitilde(x)**2")),
        ("h(2*x)", "psi(x)", ("h(2*x)", "psi(x)")),
    ],
)
def test_sigma_and_phi_stand_for_whole_functions(student: str, teacher: str | None, expected: tuple[str, str]) -> None:
    loss = derive(student, teacher, functions=["sigma", "phi", "h", "psi"]).loss_function
    assert (str(loss.student.expr), str(loss.teacher.expr)) == expected


def test_sympys_functions_declare_themselves() -> None:
    sigma, plain = sp.Function("sigma"), sp.Symbol("x")
    assert derive(sigma(plain)).loss == derive("sigma(x)", functions="sigma").loss
    assert derive(sigma).loss == derive("sigma(x)", functions="sigma").loss


def test_exponent() -> None:
    assert general().information_exponent == EXPONENT
    assert str(general("plain").escape.drift) == "phi_k_**sigma_k_*/factorial(k_* - 1)"
    assert derive("x*sigma(x**2)", "he2", functions="sigma").information_exponent is None  # odd on even


def test_label_noise_and_transforms() -> None:
    assert general().loss.coeff(Delta) == Rational(1, 2)
    for label in ("y**2", "abs(y)"):
        with pytest.raises(NoFormulaError, match="written as the teacher"):
            derive("sigma(x)", functions="sigma", label=label)
    assert derive("sigma(x)", "erf", functions="sigma", label="y**2").loss_function.teacher.expr == sp.erf(x) ** 2


@pytest.mark.parametrize("text", ["abs(sigma(x))", "max(x, 0)*sigma(x)", "step(sigma(x) - 1)"])
def test_switches_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="a switch beside sigma, which has no formula"):
        derive(text, functions="sigma")


def test_an_undeclared_function_is_named() -> None:
    with pytest.raises(UnknownNameError, match="--function psi"):
        derive("psi(x)")


def test_slopes_have_the_symbols_of_the_velocities() -> None:
    assert set(general().functions) == {L_q, L_r}
