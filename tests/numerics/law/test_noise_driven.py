"""The law at a critical strength: its limits, its domain, and SGD itself."""

import math

import pytest
import sympy as sp
from scipy.integrate import quad

from hermescape import simulate
from numerics.law import LinearEscape, escape_law
from numerics.law.noise_driven import noise_driven
from numerics.simulation.comparison import ks_law
from theory.errors import InputError, ParameterError
from theory.network.derivation import derive
from theory.search.regimes import regime
from theory.symbols import C, J, M_ss, Z, d, mu

SINE = 0.3329647205324833  # of sin(3 x)
CRITICAL = sp.Poly(5 * mu**3 + 5 * mu**2 + mu - 1, mu).real_roots()[0]  # of He_3


@pytest.mark.slow
def test_as_d_grows_it_is_the_formula_of_the_regime_with_its_constant_by_quadrature() -> None:
    """C = int_0^R (g m/F - 1)/m dm + log R, F to leading order in 1/d; the spread of m's noise is in both."""
    system, kappa, top = derive("he3"), 0.05, 0.4
    formula = regime(system, CRITICAL, kappa=kappa)
    at = {mu: CRITICAL}
    trace, turn = (float(f.subs(at)) for f in (system.escape.B, sp.diff(system.escape.A, mu)))
    moments = system.loss_function.noise_moments(mu, mu**2)
    bulk, along = (float(f.subs(at)) for f in (moments[J], moments[J] + moments[M_ss]))

    def growth(m: float) -> float:
        pull = (turn - trace) * (1 - m**2) - kappa * bulk / 2
        return kappa * ((1 - m**2) * bulk + m**2 * along) / (-2 * (trace * (1 - m**2) + turn * m**2)) * pull

    rate = growth(0.0)
    constant = quad(lambda m: (rate / growth(m) - 1) / m, 1e-9, top)[0] + math.log(top)
    law = noise_driven(system, CRITICAL, dimension=10**8, threshold=top, kappa=kappa)
    assert float(formula.rate) == pytest.approx(rate, rel=1e-12)
    assert 10**8 / law.tau == pytest.approx(rate, rel=1e-6)
    assert law.constant == pytest.approx(constant, abs=1e-5)
    time = float(formula.time.subs({d: 10**8, Z: 1, C: constant}))
    assert law.tau * (law.offset + law.constant) == pytest.approx(time, rel=1e-5)


def test_beyond_the_turning_point_the_threshold_does_not_matter() -> None:
    """m_c = sqrt(B/(B - A')) = 0.5819 for He_3."""
    low, high = (noise_driven(derive("he3"), CRITICAL, dimension=10**4, threshold=R, kappa=0.02) for R in (0.59, 0.9))
    assert low.constant == high.constant


@pytest.mark.parametrize(
    ("alignment", "kappa", "words"),
    [(0.6, 0.1, "A = "), (CRITICAL, 0.0, "kappa > 0"), (1, 0.1, "A' = -"), (CRITICAL, 2.5, "drift stops m")],
)
def test_other_regimes_are_refused(alignment: object, kappa: float, words: str) -> None:
    with pytest.raises(InputError, match=words):
        noise_driven(derive("he3"), alignment, dimension=1000, threshold=0.5, kappa=kappa)


@pytest.mark.parametrize("away", [1e-3, -3e-3])
def test_without_noise_it_is_the_linear_law(away: float) -> None:
    """C of the averaged dynamics as kappa -> 0 is that of the way along the unstable manifold, up to A^2/B^2."""
    system, mu = derive("he3"), float(CRITICAL) + away
    averaged = noise_driven(system, mu, dimension=1e12, threshold=0.4, kappa=1e-9)
    linear = escape_law(system, mu=mu, dimension=1e12, threshold=0.4)
    assert isinstance(linear, LinearEscape)
    assert linear.regime == averaged.regime == "linear"
    assert averaged.tau == pytest.approx(linear.tau, rel=1e-6)
    assert averaged.constant == pytest.approx(linear.constant, abs=3 * averaged.constant_error)


@pytest.mark.slow
@pytest.mark.parametrize(("mu", "share"), [(0.3329647205324833, 1.0), (0.31, 0.27)])
def test_sgd_at_and_near_a_critical_strength_of_a_bounded_student(mu: float, share: float) -> None:
    """Both channels of escape at once: noise alone or slope alone is another law, which the data reject."""
    name, dimension, eta = "sin(3*x)", 600, 0.1
    law = escape_law(derive(name), mu=mu, dimension=dimension, threshold=0.3, kappa=1.0, step_size=eta)
    assert isinstance(law, LinearEscape)
    assert law.power == pytest.approx(share, abs=0.02)
    sample = simulate(
        name,
        mu=mu,
        dimension=dimension,
        batch=round(eta * dimension),
        step_size=eta,
        replicas=300,
        threshold=0.3,
        max_steps=math.ceil(2 * law.quantile(0.9999) / eta),
        seed=3,
    )
    assert ks_law(sample, law.cdf).p_value > 1e-3
    assert ks_law(sample, law.without_noise().cdf).p_value < 1e-12
    for factor in (0.8, 1.2):
        assert ks_law(sample, law.slower(factor).cdf).p_value < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dimension", "batch", "threshold"), [(300, 30, 0.3), (150, 8, 0.3), (300, 30, 0.8), (300, 15, 0.3)]
)
def test_the_remainder_covers_simulated_medians(dimension: int, batch: int, threshold: float) -> None:
    """kappa = 1, 1.9, 1, 2 and 400 runs: up to 40 % off where u fluctuates widely; beyond m_c = 0.501 u sets out."""
    eta = 0.1
    kappa = eta * dimension / batch
    law = escape_law(derive("sin(3*x)"), mu=SINE, dimension=dimension, threshold=threshold, kappa=kappa, step_size=eta)
    sample = simulate(
        "sin(3*x)",
        mu=SINE,
        dimension=dimension,
        batch=batch,
        step_size=eta,
        replicas=400,
        threshold=threshold,
        max_steps=math.ceil(20 * law.median / eta),
        seed=6,
    )
    assert isinstance(law, LinearEscape)
    low, high = (sample.to_time(end) or math.inf for end in sample.median_interval(0.999))
    assert low - eta - law.remainder < law.median < high + law.remainder
    assert law.remainder < law.median


def test_the_remainder_is_a_small_part_at_large_dimensions() -> None:
    """T tau S -> T/(tau |B|) with the spread of u small, S = 2 c^2 s^4/(2 |B|), 1/tau = c s^2."""
    system, trace = derive("he3"), float(derive("he3").escape.B.subs(mu, CRITICAL))
    for dimension in (10**6, 10**7):
        law = noise_driven(system, CRITICAL, dimension=dimension, threshold=0.05, kappa=0.02)
        noise = law.tau * law.gain**2 / (dimension * 0.05**2)
        leading = law.median / (law.tau * abs(trace))
        assert law.remainder - noise - law.tau * law.constant_error == pytest.approx(leading, rel=0.05)
    far = noise_driven(system, CRITICAL, dimension=10**6, threshold=0.9, kappa=1e-4)
    assert far.remainder < 0.01 * far.median


def test_where_no_drift_leads_out_the_refusal_does_not_say_that_noise_holds() -> None:
    """Half of 400 runs are out by t = 26 (2,000 runs: 25.7): what is refused is the law, not the way out."""
    with pytest.raises(InputError, match=r"points back at m = 0.*may still leave"):
        escape_law(derive("sin(3*x)"), mu=SINE, dimension=100, threshold=0.3, kappa=2.0, step_size=0.1)
    sample = simulate(
        *("sin(3*x)",), mu=SINE, dimension=100, batch=5, step_size=0.1, replicas=400, threshold=0.3, max_steps=5000
    )
    assert sample.counts.exited == 400
    assert sample.to_time(sample.median) == pytest.approx(26, rel=0.2)


def test_bad_threshold() -> None:
    with pytest.raises(ParameterError, match="threshold"):
        noise_driven(derive("he3"), CRITICAL, dimension=1000, threshold=1.5, kappa=0.1)
