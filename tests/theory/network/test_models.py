"""Every parametrisation against the published equations, and its limits."""

import numpy as np
import pytest
import sympy as sp

from tests.networks import of
from theory.errors import ParameterError
from theory.network.derivation import derive, velocities
from theory.network.models import MODELS, AlignedLoRA, MisalignedLoRA, Pretraining, model
from theory.network.vectors import Combination
from theory.symbols import Delta, J, L_q, L_r, alpha, c, d, kappa, m, mu, q, q_s, r, rho, s, u


def test_misaligned_equations() -> None:
    """The three equations of Nwemadji, Loureiro & Barbier (arXiv:2602.02855) for any pre-trained weight."""
    found = velocities(of(MisalignedLoRA()))
    assert sp.expand(found[u] + L_q * m + 2 * L_r * (s + u)) == 0
    assert sp.expand(found[m] + u * (L_q * (1 - m**2) + 2 * L_r * (mu - s * m))) == 0
    assert sp.expand(found[s] + u * (L_q * (mu - s * m) + 2 * L_r * (rho**2 - s**2))) == 0


def test_misaligned_at_rho_equal_mu_is_the_aligned_flow() -> None:
    """s = mu m is preserved there, and u and m move as in the aligned model."""
    wide, narrow = velocities(of(MisalignedLoRA())), velocities(of(AlignedLoRA()))
    at = {rho: mu, s: mu * m}
    assert sp.expand(wide[u].subs(at) - narrow[u]) == 0
    assert sp.expand(wide[m].subs(at) - narrow[m]) == 0
    assert sp.expand(wide[s].subs(at) - mu * narrow[m]) == 0


def test_pretraining_equations() -> None:
    found = derive("erf", model="pretrain").sgd().velocities
    assert sp.expand(found[q_s] + L_q + 2 * L_r * q_s) == 0
    assert sp.expand(found[q] + L_q * c + 2 * L_r * q) == 0
    assert sp.expand(found[r] + 2 * (L_q * q_s + 2 * L_r * r) - kappa * J) == 0


def test_a_lora_scale_is_a_change_of_units_of_u() -> None:
    """With U = alpha u, alpha only speeds u up by alpha^2: dU/dt = alpha^2 (...)."""
    scaled, plain = velocities(of(AlignedLoRA(scale=alpha))), velocities(of(AlignedLoRA()))
    assert sp.expand((alpha * scaled[u]).subs(u, u / alpha) - alpha**2 * plain[u]) == 0
    assert sp.expand(scaled[m].subs(u, u / alpha) - plain[m]) == 0


def test_label_noise_adds_its_variance_to_loss_and_gradient_noise_only() -> None:
    clean, noisy = derive("relu", "erf"), derive("relu", "erf", noise=Delta)
    assert sp.simplify(noisy.loss - clean.loss - Delta / 2) == 0
    assert noisy.odes == clean.odes
    added = noisy.loss_function.noise() - clean.loss_function.noise()
    assert sp.simplify(added - Delta / 2) == 0  # E_r[relu'^2] = 1/2


def test_escape_of_the_misaligned_model() -> None:
    """G^2 is the squared gradient at w0, and its eigenvalues those of the Jacobian, one of them zero."""
    escape = derive("linear", model="misaligned").escape
    assert sp.expand(escape.G2 - (1 - 2 * mu + rho**2)) == 0
    assert escape.jacobian is not None
    at = {mu: sp.Rational(3, 10), rho: sp.Rational(1, 2)}
    eigenvalues = sorted(float(value) for value in escape.jacobian.subs(at).eigenvals(multiple=True))
    assert eigenvalues[1] == pytest.approx(0, abs=1e-12)
    assert eigenvalues[2] == pytest.approx(float(escape.rate.subs(at)))
    assert escape.A is None


@pytest.mark.parametrize("name", ["relu", "erf", "he3"])
def test_the_misaligned_search_at_rho_equal_mu_is_the_aligned_one(name: str) -> None:
    wide, narrow = derive(name, model="misaligned").escape, derive(name).escape
    for value in (sp.Rational(1, 5), sp.Rational(4, 5)):
        left = wide.tau.subs({rho: value, mu: value}).evalf(20)
        assert abs(left - narrow.tau.subs(mu, value).evalf(20)) < 1e-15


def test_noise_of_a_free_weight() -> None:
    """Pre-training of a linear weight: f = l - l_s, and Cov[f w_s.x, f w*.x] by Isserlis' theorem."""
    system = derive("linear", model="pretrain")
    values = {q_s: 0.2, q: 0.1, r: 0.5, c: 0.6}
    inner = {name: f.subs({q: 0.2, r: 0.5}) for name, f in system.diffusion_functions.items()}
    matrix = np.array(system.covariance(norm=False).subs(inner).subs({**values, kappa: 1, d: 1}), float)
    gram = np.array([[0.5, 0.2, 0.1], [0.2, 1.0, 0.6], [0.1, 0.6, 1.0]])  # of (w, w_s, w*)
    f, directions = np.array([1.0, -1.0, 0.0]), np.array([[0, 1, 0], [0, 0, 1], [2, 0, 0]], float)
    ff, fg, gg = f @ gram @ f, directions @ gram @ f, directions @ gram @ directions.T
    assert np.allclose(matrix, ff * gg + np.outer(fg, fg), atol=1e-12)


def test_parameters_outside_their_domain_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"rho >= \|mu\|"):
        of(MisalignedLoRA()).check({"mu": 0.5, "rho": 0.4})
    of(MisalignedLoRA()).check({"mu": -0.5, "rho": 0.5})
    with pytest.raises(ParameterError, match="mu"):
        of(AlignedLoRA()).check({"mu": 1.5})
    with pytest.raises(ParameterError, match="similarity"):
        of(Pretraining()).check({"c": 2.0})
    with pytest.raises(ParameterError, match="alpha"):
        model("plain", sp.Integer(2))
    with pytest.raises(ParameterError, match="alpha"):
        model("lora", sp.Integer(0))
    with pytest.raises(ParameterError, match="unknown"):
        model("nothing")


def test_every_model_closes() -> None:
    """Velocities and arguments contain states, parameters, L_q and L_r only."""
    for kind in MODELS.values():
        system = derive("he2", model=kind)
        known = {*system.states, *system.parameters, L_q, L_r}
        assert set().union(*(f.free_symbols for f in system.velocities.values())) <= known
        assert set().union(*(f.free_symbols for f in system.entries.values())) <= known
        assert isinstance(system.network.weight, Combination)
