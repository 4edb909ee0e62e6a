"""The Gram rule against the published equations (arXiv:2602.02855) and against gradients in d dimensions."""

import pytest
import sympy as sp

from tests.networks import of
from theory.network.constraints import Free, Sphere
from theory.network.derivation import derive, velocities
from theory.network.models import AlignedLoRA, Plain
from theory.network.system import GAP
from theory.network.vectors import Vector
from theory.symbols import J, L_q, L_r, kappa, m, mu, q, r, u


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
