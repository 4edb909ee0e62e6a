"""The Gram rule against the published equations (arXiv:2602.02855) and against gradients in d dimensions."""

import numpy as np
import pytest
import sympy as sp

from tests.networks import of
from theory.network.constraints import Free, Sphere
from theory.network.derivation import derive, velocities
from theory.network.models import AlignedLoRA, Plain
from theory.network.system import GAP
from theory.network.vectors import Combination, Gram, Sampling, Vector
from theory.symbols import J, L_q, L_r, kappa, m, mu, q, r, u, x


def test_aligned_equations() -> None:
    found = velocities(of(AlignedLoRA()))
    assert sp.expand(found[u] + L_q * m + 2 * L_r * (mu * m + u)) == 0
    assert sp.expand(found[m] + u * (1 - m**2) * (L_q + 2 * mu * L_r)) == 0


def test_plain_equation() -> None:
    assert sp.expand(velocities(of(Plain()))[m] + (1 - m**2) * L_q) == 0


def test_kappa_drift() -> None:
    flow, noisy = derive("relu"), derive("relu").sgd()
    assert sp.expand(noisy.velocities[m] - flow.velocities[m] + kappa / 2 * u**2 * J * m) == 0
    assert noisy.velocities[u] == flow.velocities[u]


@pytest.mark.parametrize("pair", [("erf", "erf"), ("relu", "relu"), ("erf", "relu"), ("abs", "step")])
def test_guarded_functions_equal_the_plain_ones_for_either_sign_of_q(pair: tuple[str, str]) -> None:
    system = derive(*pair).sgd()
    variance = sp.Rational(4, 5)
    for overlap in (sp.Rational(-3, 5), sp.Rational(-1, 7), sp.Rational(2, 5)):
        at = {q: overlap, r: variance, GAP: variance - overlap**2}
        for name, plain in system.functions.items():
            guarded = system.guarded_functions[name]
            assert abs((guarded - plain).subs(at).evalf(25)) < 1e-20, (name, overlap)


def test_which_lengths_move() -> None:
    """Only one that is trained and that its constraint leaves free."""
    assert not Vector("frozen").has_free_length
    assert not Vector("on the sphere", Sphere()).has_free_length
    assert Vector("free", Free()).has_free_length


@pytest.mark.parametrize("names", [("he2", "he3"), ("linear", "he2"), ("he3", "he3")])
def test_moments_of_projections_against_a_sum_that_is_exact_for_polynomials(names: tuple[str, str]) -> None:
    """E[f a.x], E[f^2 a.x b.x] and E[f^3 a.x] by Gauss and Hermite's rule in the three dimensions of w*, w, a and b."""
    teacher, weight, a, b = (Vector(name) for name in ("w*", "w", "a", "b"))
    places = {  # coordinates in an orthonormal basis whose first direction is w*
        teacher: np.array([1.0, 0.0, 0.0]),
        weight: np.array([0.3, 0.6, 0.0]),
        a: np.array([0.2, -0.5, 0.4]),
        b: np.array([-0.7, 0.1, 0.3]),
    }
    gram = Gram({(v, o): sp.Float(places[v] @ places[o]) for v in places for o in places})
    system = derive(*names)
    loss = system.loss_function
    overlap, squared = sp.Rational(3, 10), sp.Rational(45, 100)
    slopes = dict(zip(("L_q", "L_r"), loss.gradient(overlap, squared), strict=True))
    values = {**slopes, **{symbol.name: value for symbol, value in loss.noise_moments(overlap, squared).items()}}
    sampling = Sampling(gram, Combination.of(weight), Combination.of(teacher), values)

    nodes, weights = np.polynomial.hermite_e.hermegauss(16)
    grid = np.stack([axis.ravel() for axis in np.meshgrid(nodes, nodes, nodes, indexing="ij")])
    mass = np.prod([axis.ravel() for axis in np.meshgrid(weights, weights, weights, indexing="ij")], axis=0)
    mass /= mass.sum()
    sigma, slope, phi = (sp.lambdify(x, f) for f in (loss.student.expr, loss.student.derivative, loss.teacher.expr))
    l, l_star = places[weight] @ grid, places[teacher] @ grid
    f = (sigma(l) - phi(l_star)) * slope(l)
    first, second = (places[v] @ grid for v in (a, b))
    p, s = Combination.of(a), Combination.of(b)
    assert float(sampling.first(p)) == pytest.approx(float(mass @ (f * first)), rel=1e-10)
    assert float(sampling.second(p, s)) == pytest.approx(float(mass @ (f**2 * first * second)), rel=1e-10)
    assert float(sampling.third(p)) == pytest.approx(float(mass @ (f**3 * first)), rel=1e-10)
