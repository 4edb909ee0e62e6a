"""Labels and their transforms: what SGD is shown, what it may be shown, and what transforms can reach."""

import math

import pytest
import sympy as sp

from theory.errors import InputError, NotIntegrableError, NotRealError, ParameterError
from theory.language.labels import generative_exponent, labels
from theory.language.parser import parse_label
from theory.network.derivation import derive
from theory.symbols import Delta, mu, x, y


@pytest.mark.parametrize(
    ("link", "transform", "error"),
    [
        ("relu", "log(y)", InputError),
        ("erf", "sqrt(y)", NotRealError),
        ("linear", "exp(y**2)", NotIntegrableError),
        ("linear", "1/y", InputError),
    ],
)
def test_a_transform_that_leaves_the_loss_undefined_is_named(
    link: str, transform: str, error: type[InputError]
) -> None:
    with pytest.raises(error) as refused:
        labels(link, transform=transform)
    assert f"label transform {parse_label(transform)}" in str(refused.value)


def test_noise_is_a_variance() -> None:
    for noise in (-0.1, float("inf"), x):
        with pytest.raises(ParameterError, match="noise"):
            labels("linear", noise=noise)


def test_moments_of_noisy_labels() -> None:
    noisy = labels("linear", transform="y**2", noise=0.5)
    assert (noisy.mean.expr - x**2 - 0.5).expand() == 0
    assert (noisy.second_moment - (x**4 + 6 * x**2 / 2 + 3 * Delta**2)).subs(Delta, 0.5).expand() == 0


@pytest.mark.parametrize("k", range(1, 11))
def test_generative_exponents_of_polynomials(k: int) -> None:
    """Damian, Pillaud-Vivien, Lee & Bruna (2024): 2 for even polynomials and 1 for all others."""
    assert generative_exponent(f"he{k}").k == (2 if k % 2 == 0 else 1)
    assert generative_exponent(f"he{k} + he{2 * k}" if k % 2 else f"he{k} + he{k + 1}").k == 1


def test_the_search_for_a_generative_exponent_is_stated() -> None:
    found = generative_exponent("he3")
    assert (found.k, found.transform, found.searched) == (1, y**3, (y, y**2, y**3))
    only = generative_exponent("he3", ("y", "y**2"))
    assert (only.k, only.transform, only.searched) == (2, y**2, (y, y**2))
    assert generative_exponent("sign", ("y**2",)).k is None
    with pytest.raises(NotIntegrableError, match="second moment"):
        generative_exponent("linear", ("exp(y**2)",))


@pytest.mark.parametrize("transform", ["abs(y)", "abs(y)**1.3"])
def test_a_kinked_label_of_a_family_has_a_formula_on_either_side(transform: str) -> None:
    """|erf(a x)| is erf(a x) or its negative, by the sign of a x: two chambers, each once, and a wall at a = 0."""
    family = derive("erf(a*x)", parameters="a", label=transform)
    a = family.network.domain[0].symbol
    assert {chamber.conditions for chamber in family.chambers()} == {(a,), (-a,)}
    assert derive("erf(a*x)", parameters="a", label=transform, near={"a": 1}).conditions == (a,)
    assert family.within(a=0).conditions == ()
    for value in (-2, 2):
        near = family.within(a=value)
        assert near.escape.A.subs(a, value).evalf(8, subs={mu: 0.4}) == pytest.approx(-0.47355481, rel=1e-6)
        learnt = near.network.labels
        for expr, power in ((learnt.mean.expr, 1), (learnt.second_moment, 2)):
            exponent = sp.Rational(13, 10) if "1.3" in transform else 1
            for place in (-0.7, 0.4):
                ours = expr.subs({a: value, x: place})
                assert float(ours) == pytest.approx(abs(math.erf(value * place)) ** float(power * exponent))


def test_noise_whose_second_moment_is_not_elementary_is_refused() -> None:
    """E erf(z + xi)^2 is a bivariate normal probability."""
    with pytest.raises(InputError, match="no elementary form"):
        labels("relu", transform="erf(y)", noise=0.3)
    assert labels("relu", transform="max(0, y)", noise=0.3).mean.expr.has(sp.erfc)
