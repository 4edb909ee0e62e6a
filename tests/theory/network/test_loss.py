"""The loss of units and teachers of different functions, against Gauss and Hermite's rule over all their fields."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from scipy.special import erf

from tests.networks import two_units
from theory.errors import NotIntegrableError
from theory.language.activations import activation
from theory.language.labels import labels
from theory.network.derivation import system_of
from theory.network.loss import Loss
from theory.network.system import System
from theory.symbols import Delta, J, L_q, L_r, q, r

NOISE = sp.Rational(1, 4)
FUNCTIONS = {
    "erf": erf,
    "linear": lambda z: z,
    "he2": lambda z: z**2 - 1,
    "he3": lambda z: z**3 - 3 * z,
}
MIXED = [("erf", "he2", "he3", "linear"), ("he3", "erf", "erf", "he2"), ("linear", "he3", "he2", "erf")]
"""Functions of the two units, then of the two teacher terms."""
AT = ("3/10", "-1/5", "1/10", "1/4", "3/20", "-1/10")


def mixed(names: tuple[str, ...]) -> System:
    """Two units on two oblique teachers with one adapter, every function another."""
    network = two_units("erf", NOISE)
    units = (replace(r, function=activation(n)) for r, n in zip(network.ridges, names[:2], strict=True))
    terms = (replace(r, function=activation(n)) for r, n in zip(network.teacher.ridges, names[2:], strict=True))
    return system_of(replace(network, ridges=tuple(units), teacher=replace(network.teacher, ridges=tuple(terms))))


@pytest.mark.parametrize("names", MIXED)
def test_the_loss_is_half_the_mean_square_of_the_residual(names: tuple[str, ...]) -> None:
    system = mixed(names)
    network = system.network
    at = dict(zip(system.states, map(sp.Rational, AT), strict=True))
    ridges = (*network.ridges, *network.teacher.ridges)
    square = [[float(network.gram.inner(a.weight, b.weight).subs(at)) for b in ridges] for a in ridges]
    nodes, weights = np.polynomial.hermite_e.hermegauss(30)
    grid = np.stack([axis.ravel() for axis in np.meshgrid(*[nodes] * 4, indexing="ij")])
    mass = np.prod([axis.ravel() for axis in np.meshgrid(*[weights / weights.sum()] * 4, indexing="ij")], axis=0)
    fields = np.linalg.cholesky(np.array(square)) @ grid
    signs = (1, 1, -1, -1)
    terms = zip(signs, ridges, names, fields, strict=True)
    residual = sum(sign * float(ridge.coefficient) * FUNCTIONS[name](field) for sign, ridge, name, field in terms)
    expected = float(mass @ residual**2) / 2 + float(NOISE) / 2
    entries = {key: f.subs(at) for key, f in system.entries.items()}
    assert float(system.loss_function.value.subs(entries).evalf(20)) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("names", MIXED)
def test_its_slopes_are_its_differences(names: tuple[str, ...]) -> None:
    system = mixed(names)
    at = dict(zip(system.states, map(sp.Rational, AT), strict=True))
    entries = {key: f.subs(at) for key, f in system.entries.items()}
    step = sp.Rational(1, 10**11)
    for key, slope in system.network.slopes.items():
        line = system.loss_function.value.subs({other: value for other, value in entries.items() if other != key})
        difference = (line.subs(key, entries[key] + step) - line.subs(key, entries[key] - step)).evalf(40) / (2 * step)
        assert abs(system.loss_function.slopes[slope].subs(entries).evalf(30) - difference) < 1e-9, key


@pytest.mark.parametrize("pair", [("erf", "he3"), ("he3", "erf"), ("he2", "he2"), ("relu", "erf")])
@pytest.mark.parametrize(("name", "argument"), [(L_q, q), (L_q, r), (L_r, q), (L_r, r), (J, q), (J, r)])
def test_second_derivatives_are_those_of_the_closed_forms(
    pair: tuple[str, str], name: sp.Symbol, argument: sp.Symbol
) -> None:
    """By Price's theorem at a point, against SymPy's derivative of the expression, at two points off the edge."""
    loss = Loss.of(activation(pair[0]), labels(pair[1]))
    whole = {L_q: loss.gradient()[0], L_r: loss.gradient()[1], J: loss.noise()}[name]
    for at in ({q: sp.Rational(1, 5), r: sp.Rational(3, 4)}, {q: sp.Rational(-2, 5), r: sp.Rational(5, 4)}):
        found = loss.second(name, argument, at[q], at[r]).evalf(25)
        assert abs(found - sp.diff(whole, argument).subs(at).evalf(25)) < 1e-18 * max(1, abs(found))


@pytest.mark.parametrize("argument", [q, r])
def test_where_the_noise_has_no_slope_is_said(argument: sp.Symbol) -> None:
    """J of a student with a kink has a vertical tangent at the aligned edge, and none inside."""
    loss = Loss.of(activation("relu"), labels("relu"))
    with pytest.raises(NotIntegrableError, match=f"dJ/d{argument} is infinite"):
        loss.second(J, argument, sp.S.One, sp.S.One)
    assert loss.second(J, argument, sp.S.Zero, sp.S.One).is_finite


def test_noise_of_the_labels_adds_half_its_variance() -> None:
    """As a number and as the symbol Delta; under a transform of an odd link it adds what E y^4 has of it."""
    erf_, target = activation("erf"), labels("erf")
    plain = Loss.of(erf_, target).expr
    assert sp.simplify(Loss.of(erf_, labels("erf", noise=sp.Rational(1, 4))).expr - plain) == sp.Rational(1, 8)
    assert sp.simplify(Loss.of(erf_, labels("erf", noise=Delta)).expr - plain - Delta / 2) == 0
    quarter = sp.Rational(1, 4)
    squared = Loss.of(erf_, labels("erf", transform="y**2", noise=quarter)).expr
    quiet = Loss.of(erf_, labels("erf", transform="y**2")).expr
    mean_square = 2 / sp.pi * sp.asin(sp.Rational(2, 3))  # E phi^2; E y^4 = E (phi^4 + 6 phi^2 Delta + 3 Delta^2)
    assert abs((squared - quiet).evalf(25) - (3 * quarter * mean_square + 3 * quarter**2 / 2).evalf(25)) < 1e-20
