"""The law's constants against known values and independent integrations; its distribution against exact simulation.

A true law fails a Kolmogorov-Smirnov test here with a probability of 1e-3 a test (seeds are fixed); a law that is wrong
on purpose has to fail by 1e-6 on the same data.
"""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtri

import hermescape
from numerics.flows.flow import Exit, SciPy, integrate
from numerics.flows.starts import median_start
from numerics.law import Ballistic, Law, LinearEscape, escape_law, staged_law
from numerics.rates.search_time import search_time
from numerics.simulation.comparison import ks_law
from numerics.simulation.statistics import ExitSample
from theory.errors import InputError, ParameterError
from theory.network.derivation import derive
from theory.network.system import System
from theory.search.law import escape_time
from theory.symbols import q, r

FALSE_ALARM, CONTROL = 1e-3, 1e-6
ALONE = 0.48248236420584745  # A = 0 < B for He_3 on x^3: 5 mu^5 - 4 mu^3 - 5 mu^2 + mu + 1 = 0


def law_of(name: str, model: str = "lora", **options: Any) -> LinearEscape:
    found = escape_law(derive(name, model=model), **{"dimension": 1e5, "threshold": 0.9, **options})
    assert isinstance(found, LinearEscape)
    return found


@pytest.mark.parametrize(
    ("name", "mu", "constant"),  # THEORY, section 5: integrations made before this code
    [
        *(("linear", 0.3, 0.5776), ("linear", 0.7, 0.6682), ("he3", 0.3, -1.0701), ("he3", 0.7, 2.6575)),
        *(("relu", 0.3, 0.3366), ("relu", 0.7, 0.6176)),
    ],
)
def test_known_constants(name: str, mu: float, constant: float) -> None:
    found = law_of(name, mu=mu)
    assert found.constant == pytest.approx(constant, abs=5.1e-5)
    assert found.constant_error < 1e-8


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_constant_of_plain_he2_in_closed_form(threshold: float) -> None:
    """dm/dt = 4 m (1 - m^2), hence 4 t = log(m / sqrt(1 - m^2)) and C its value at R."""
    found = law_of("he2", "plain", threshold=threshold)
    assert found.constant == pytest.approx(math.log(threshold / math.sqrt(1 - threshold**2)), abs=1e-10)
    assert found.tau == pytest.approx(1 / 4, abs=1e-12)


def test_constant_at_finite_kappa_by_quadrature() -> None:
    """dm/dt = b(m) of one variable: C = int_0^R (lambda/b - 1/m) dm + log R."""
    kappa, system = 0.05, derive("he2", model="plain")
    speed = hermescape.compile(system.sgd(), {"kappa": kappa}, jit=False)
    rate = 4 - 24 * kappa  # J_0 = 4 E[l^2 (l^2 - z^2)^2] = 48
    way = quad(lambda m: rate / speed(np.array([m]))[0] - 1 / m, 1e-9, 0.5, epsabs=1e-12)[0]
    found = law_of("he2", "plain", threshold=0.5, kappa=kappa)
    assert found.tau == pytest.approx(1 / rate, rel=1e-12)
    assert found.constant == pytest.approx(way + math.log(0.5), abs=1e-7)


@pytest.mark.parametrize(("name", "order"), [("linear", 2), ("erf", 2), ("relu", 1)])
def test_constant_against_another_integrator_and_extrapolation(name: str, order: int) -> None:
    """SciPy's DOP853 from |m| = c and c/2; the error falls as c^2 for analytic losses, as c for ReLU."""
    mu, system = 0.5, derive(name)
    search = search_time(system, mu)
    rate, drive = float(search.rate), float(search.A or 0)

    def way(size: float) -> float:
        start = {"u": rate / drive * size, "m": size}
        path = integrate(system, start, event=Exit(0.9), t_max=1e3 / rate, rtol=1e-13, engine=SciPy(), mu=mu)
        assert path.exit_time is not None
        return path.exit_time * rate + math.log(size)

    coarse, fine, finest = (way(size) for size in (4e-4, 2e-4, 1e-4))
    assert math.log2((coarse - fine) / (fine - finest)) == pytest.approx(order, abs=0.05)
    extrapolated = finest + (finest - fine) / (2**order - 1)
    assert law_of(name, mu=mu).constant == pytest.approx(extrapolated, abs=2e-8)


@pytest.mark.parametrize(("name", "factor"), [("linear", 10.0), ("relu", 3.0), ("he3", 300.0)])
def test_median_of_the_flow_down_to_dimension_1e12(name: str, factor: float) -> None:
    """The flow from the median of |m0| exits at the law's median up to O(1/d), O(1/sqrt(d)) for ReLU."""
    system = derive(name)
    for dimension in (1e4, 1e6, 1e8, 1e10, 1e12):
        found = law_of(name, mu=0.6, dimension=dimension, initial_scale=0.0)
        start = median_start(system, dimension, mu=0.6) | {"u": 0.0}
        path = integrate(system, start, event=Exit(0.9), t_max=1e3 * found.tau, rtol=1e-12, mu=0.6)
        assert path.exit_time is not None
        residual = abs(path.exit_time - found.median) / found.tau
        assert residual < factor / (dimension if name != "relu" else math.sqrt(dimension)) + 1e-8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("system", "options"),
    [
        (derive("linear", alpha=-0.5), {"mu": 0.6, "kappa": 1.0, "initial_scale": 1e-4}),
        (derive("erf", model="misaligned"), {"mu": 0.3, "rho": 0.5, "kappa": 2.0, "threshold": 0.4}),
        (derive("he3"), {"mu": 0.32}),  # nearly critical: tau = 87,000
        (derive("he2", model="plain"), {"kappa": 0.05}),
    ],
)
def test_remainder_falls_as_one_over_d(system: System, options: dict[str, Any]) -> None:
    """The flow itself, from states that have the law's |Z + z_0|, for every model and start."""
    for dimension in (1e4, 1e6):
        law = escape_law(system, dimension=dimension, **options)
        assert isinstance(law, LinearEscape)
        assert abs(law.remainder) < 10 * law.tau / dimension


def test_misaligned_of_length_mu_is_aligned() -> None:
    aligned = law_of("erf", mu=0.4, kappa=2.0, threshold=0.5)
    general = law_of("erf", "misaligned", mu=0.4, rho=0.4, kappa=2.0, threshold=0.5)
    for level in (0.05, 0.5, 0.95):
        assert general.quantile(level) == pytest.approx(aligned.quantile(level), rel=1e-7)


def test_scaling_the_loss_scales_times() -> None:
    """sigma, phi -> 2 sigma, 2 phi multiplies L by 4, t by 1/4, and J_0 by 16: kappa/4 has the same noise."""
    one = law_of("relu", mu=0.4, kappa=4.0, threshold=0.5)
    four = law_of("2*relu(x)", mu=0.4, kappa=1.0, threshold=0.5)
    for level in (0.05, 0.5, 0.95):
        assert four.quantile(level) == pytest.approx(one.quantile(level) / 4, rel=1e-8)


@pytest.mark.parametrize("scale", [0.0, 1e-3, 0.01, -0.3])
def test_quantiles_cdf_and_mean_are_those_of_the_formula(scale: float) -> None:
    """With u0 != 0 as well: a folded normal. E log|Z + z| = (log 2 + E psi(1/2 + N))/2, N ~ Poisson(z^2/2)."""
    found = law_of("linear", mu=0.5, kappa=1.0, threshold=0.5, initial_scale=scale)
    for level in (1e-6, 0.05, 0.5, 0.95, 1 - 1e-6):
        assert found.cdf(found.quantile(level)) == pytest.approx(level, rel=1e-9)
    half = found.shift**2 / 2
    series = mpmath.nsum(
        lambda k: mpmath.exp(-half) * mpmath.mpf(half) ** k / mpmath.factorial(k) * mpmath.digamma(k + 0.5),
        [0, int(half + 30 * math.sqrt(half) + 60)],
    )
    expected = found.tau * (found.offset + found.constant - (math.log(2) + float(series)) / 2)
    assert found.mean == pytest.approx(expected, rel=1e-9)


def test_a_side_that_never_exits() -> None:
    """K = 2 q^2 + 6 q^3: the flow of m < 0 ends at m = -2/9, so half of the runs stay for ever."""
    found = law_of("x**3 + x**2 - 3*x", "plain", threshold=0.5)
    assert found.constant < math.inf
    assert found.constant_below == math.inf
    assert found.escaping == 0.5
    assert found.median == found.mean == math.inf
    assert found.cdf(found.quantile(0.3)) == pytest.approx(0.3)


def test_published_estimate_leaves_out_a_sixth() -> None:
    found = law_of("relu", mu=0.5, kappa=4.0, threshold=0.5)
    assert found.published_ratio == pytest.approx(math.log(0.5 * math.sqrt(1e5)) * found.tau / found.median)
    assert 0.5 < found.published_ratio < 1


def test_ballistic_time_and_spread() -> None:
    """Linear: dm/dt = 1 - m^2 - kappa m (1 - m), that is (1 - m)(1 + (1 - kappa) m)."""
    found = escape_law(derive("linear", model="plain"), dimension=1e4, kappa=1.0)
    assert isinstance(found, Ballistic)
    assert found.median == pytest.approx(math.log(2), rel=1e-9)
    assert found.quantile(0.5) == found.mean
    assert found.cdf(found.quantile(0.2)) == pytest.approx(0.2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "d", "batch", "step_size", "threshold"),
    [
        *(("relu", 300, 5, 0.05, 0.5), ("relu", 1000, 17, 0.05, 0.5), ("relu", 300, 15, 0.05, 0.5)),
        *(("linear", 100, 2, 0.02, 0.5), ("linear", 100, 10, 0.02, 0.9), ("erf", 100, 2, 0.02, 0.5)),
    ],
)
def test_the_remainder_of_a_ballistic_law_covers_simulated_medians(
    name: str, d: int, batch: int, step_size: float, threshold: float
) -> None:
    """3,000 runs each. ReLU at d = 300, kappa = 3: the flow stops just beyond R, law 5.19, simulation 4.95."""
    kappa = step_size * d / batch
    law = escape_law(derive(name, model="plain"), dimension=d, threshold=threshold, kappa=kappa, step_size=step_size)
    assert isinstance(law, Ballistic)
    setting = {"dimension": d, "batch": batch, "step_size": step_size, "threshold": threshold}
    last = math.ceil(20 * law.median / step_size)
    sample = hermescape.simulate(name, model="plain", **setting, replicas=3000, seed=8, max_steps=last)
    low, high = (sample.to_time(end) or math.inf for end in sample.median_interval(0.999))
    assert low - step_size - law.remainder < law.median < high + law.remainder
    assert law.remainder < 0.25 * law.median


def test_remainder_of_a_ballistic_law() -> None:
    """Of the flow T falls with m0, so that its median is the flow's from m = 0; with noise it is O(1/d)."""
    system = derive("linear", "x + (x**2 - 1)", model="plain")
    quiet, *noisy = (
        escape_law(system, dimension=d, kappa=kappa) for d, kappa in ((100, 0.0), (1000, 0.5), (100_000, 0.5))
    )
    laws = [law for law in (quiet, *noisy) if isinstance(law, Ballistic)]
    assert len(laws) == 3
    assert laws[0].remainder == pytest.approx(0, abs=1e-12)
    assert laws[1].remainder / laws[2].remainder == pytest.approx(100, rel=0.1)
    assert laws[1].slower(2).remainder == 2 * laws[1].remainder


@pytest.mark.slow
def test_a_loss_without_a_closed_form_that_vanishes_by_parity() -> None:
    """x tanh(x) is even, so that L_q = 0 at q = 0 up to rounding; C by SciPy with quadrature, error O(c^2)."""
    system, mu = derive("x*tanh(x)"), 0.3
    law = escape_law(system, mu=mu, dimension=50, rtol=1e-8)
    assert isinstance(law, LinearEscape)
    search = search_time(system, mu)
    rate, drive, size = float(search.rate), float(search.A or 0), 1e-3
    start = {"u": rate / drive * size, "m": size}
    path = integrate(system, start, event=Exit(0.5), t_max=1e3, rtol=1e-7, engine=SciPy(), mu=mu)
    assert path.exit_time is not None
    assert law.constant == pytest.approx(path.exit_time * rate + math.log(size), abs=1e-4)
    with pytest.raises(ParameterError, match="rtol"):
        escape_law(system, mu=mu, dimension=50, rtol=1.0)


@pytest.mark.parametrize(
    ("system", "place"),
    [
        (derive("relu"), {"mu": 0.4}),
        (derive("linear", noise=0.5, alpha=0.5), {"mu": 0.4}),
        (derive("linear", model="misaligned", alpha=-2), {"mu": 0.3, "rho": 0.5}),
        (derive("he2", "x**2 - 1 + 3*x", model="plain"), {}),
    ],
)
def test_the_formula_in_symbols_gives_the_same_numbers(system: System, place: dict[str, float]) -> None:
    setting = {"dimension": 1e6, "kappa": 0.03, "step_size": 0.0005}
    law = escape_law(system, **place, **setting, threshold=0.3, **({"initial_scale": 0.0} if place else {}))
    assert isinstance(law, LinearEscape)
    formula = escape_time(system)
    values: dict[str, float] = {"C": law.constant, "Z": float(ndtri(0.85)), "u_0": 0.0, "V_0": 156.0}
    values |= {"d": setting["dimension"], "kappa": setting["kappa"], "eta": setting["step_size"], **place}
    squared = place.get("rho", place.get("mu", 1.0)) ** 2
    at = {q: place.get("mu", 0.0), r: squared}
    slope, bend = (float(f.subs(at)) for f in system.loss_function.gradient(*at.values()))
    noise = float(system.loss_function.noise(*at.values()))
    values |= {"L_q": slope, "L_r": bend, "J_0": noise}
    found = formula.time
    for name, value in formula.definitions.items():
        if name.name != "J_0":
            found = found.subs(name, value)
    found = found.subs({symbol: values[symbol.name] for symbol in found.free_symbols})
    assert float(found) == pytest.approx(law.quantile(0.3), rel=1e-9)


def run(law: Law, name: str, **options: Any) -> ExitSample:
    last = math.ceil(2 * law.quantile(0.9999) / options["step_size"]) + 100
    return hermescape.simulate(name, **options, max_steps=last)


LORA = {"threshold": 0.5, "dimension": 100_000, "replicas": 3000}
CASES: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("linear", "lora", {"mu": 0.5}, {"batch": 1250, "step_size": 0.05, **LORA}),
    ("linear", "lora", {"mu": 0.3, "initial_scale": 0.003}, {"batch": 1250, "step_size": 0.05, **LORA}),
    ("linear", "misaligned", {"mu": 0.3, "rho": 0.5}, {"batch": 1250, "step_size": 0.05, **LORA, "threshold": 0.4}),
    ("relu", "lora", {"mu": 0.3}, {"batch": 100, "step_size": 0.1, **LORA, "dimension": 10_000, "replicas": 1500}),
    ("linear", "plain", {}, {"batch": 100, "step_size": 0.001, **LORA}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "model", "place", "setting"), CASES)
def test_law_of_simulated_exits(name: str, model: Any, place: dict[str, Any], setting: dict[str, Any]) -> None:
    kappa = setting["step_size"] * setting["dimension"] / setting["batch"]
    own = {key: setting[key] for key in ("threshold", "dimension", "step_size")}
    law = escape_law(derive(name, model=model), **place, **own, kappa=kappa)
    sample = run(law, name, model=model, **place, **setting, seed=12)
    assert sample.counts.exited == setting["replicas"]
    assert ks_law(sample, law.cdf).p_value > FALSE_ALARM
    assert ks_law(sample, law.without_noise().cdf).p_value < CONTROL
    assert ks_law(sample, law.slower(1.05).cdf).p_value < CONTROL


@pytest.mark.slow
def test_u_alone_escapes_from_noise_and_from_its_start() -> None:
    """At kappa = 0 T = -log(u0)/B + C/B for every run; at kappa > 0 a law of its own, which SGD follows."""
    system = derive("he3", "x**3")
    setting = {"mu": ALONE, "dimension": 10_000, "threshold": 0.5}
    quiet = [escape_law(system, **setting, initial_scale=scale) for scale in (1e-6, 1e-9)]
    assert [law.regime for law in quiet] == ["u alone"] * 2
    assert quiet[1].median - quiet[0].median == pytest.approx(quiet[0].tau * math.log(1e3), rel=1e-6)
    assert quiet[0].quantile(0.95) == pytest.approx(quiet[0].quantile(0.05), rel=1e-6)
    path = integrate(system, {"u": 1e-6, "m": 1e-9}, event=Exit(0.5), t_max=1e3, mu=ALONE)
    assert quiet[0].median == pytest.approx(path.exit_time, rel=1e-6)
    law = escape_law(system, **setting, kappa=0.02, step_size=0.002)
    sample = run(law, "he3", teacher="x**3", **setting, batch=1000, step_size=0.002, replicas=500, seed=3)
    assert ks_law(sample, law.cdf).p_value > FALSE_ALARM
    assert ks_law(sample, law.without_noise().cdf).p_value < CONTROL
    assert ks_law(sample, law.slower(1.1).cdf).p_value < CONTROL


@pytest.mark.slow
def test_stages_add_the_flow_of_the_later_ones() -> None:
    """First squared labels, then the true ones: SGD of both stages, and the law of the total time."""
    setting = {"mu": 0.4, "dimension": 30_000, "step_size": 0.0005}
    systems = [derive("he2", label="y**2"), derive("he2")]
    law = staged_law(systems, (0.2, 0.6), **setting, kappa=0.02)
    first = escape_law(systems[0], **setting, threshold=0.2, kappa=0.02)
    assert law.tau == first.tau
    both = [
        hermescape.experiment(
            "he2", **setting, label=label, threshold=R, batch=750, replicas=600, seed=8, max_steps=20_000
        )
        for label, R in (("y**2", 0.2), (None, 0.6))
    ]
    total = hermescape.simulate_stages(both).total
    assert total.counts.exited == 600
    assert ks_law(total, law.cdf).p_value > FALSE_ALARM
    assert ks_law(total, first.cdf).p_value < CONTROL
    assert ks_law(total, law.without_noise().cdf).p_value < CONTROL
    with pytest.raises(ParameterError, match="one threshold"):
        staged_law(systems, (0.2,), **setting)
    with pytest.raises(InputError, match="before its end"):
        staged_law([systems[0], derive("he2", noise=5.0)], (0.2, 0.9999), **setting, kappa=0.02)
    with pytest.raises(InputError, match="ballistic"):
        staged_law([derive("linear", model="plain")] * 2, (0.1, 0.2), dimension=1e4)


@pytest.mark.slow
def test_noise_of_plain_training_is_that_along_the_teacher() -> None:
    """V_0 = E[f^2 l*^2] = 156 and J_0 = E f^2 = 84 here: the law with J_0 in place of V_0 fails on the same data."""
    system, setting = derive("he2", "x**2 - 1 + 3*x", model="plain"), {"dimension": 3_000, "threshold": 0.5}
    law = escape_law(system, **setting, kappa=0.03, step_size=0.005)
    assert isinstance(law, LinearEscape)
    left, c = 1 - 0.005 * 4, 4.0  # 1 - 2 eta L_r, L_r = 2 - 0 at (0, 1)
    spread = 2 * c * left + 0.005 * c**2 - 0.03 * 84
    assert law.gain == pytest.approx(math.sqrt(1 + 0.03 * 156 / spread), rel=1e-9)
    sample = run(
        law,
        "he2",
        teacher="x**2 - 1 + 3*x",
        model="plain",
        **setting,
        batch=500,
        step_size=0.005,
        replicas=5000,
        seed=4,
    )
    assert ks_law(sample, law.cdf).p_value > FALSE_ALARM
    wrong = LinearEscape(**{**law.__dict__, "gain": math.sqrt(1 + 0.03 * 84 / spread)})
    assert ks_law(sample, wrong.cdf).p_value < CONTROL


def test_what_has_no_such_law_is_refused() -> None:
    for call, message in (
        (lambda: law_of("linear", mu=1.0), "G = .* = 0"),
        (lambda: law_of("he3", "plain", kappa=0.05), "no run escapes .* kappa drift"),
        (lambda: escape_law(derive("he4", "-he4(x)", model="plain"), dimension=1e5), "no run escapes .* stable"),
        (lambda: escape_law(derive("he3", "x**3"), mu=ALONE, dimension=1e5, initial_scale=0.0), "nothing sets out"),
        (lambda: escape_law(derive("he3"), mu=0.3207243473230675, dimension=1e5), "u decays and v stays"),
        (lambda: law_of("linear", "pretrain"), "model pretrain"),
        (lambda: law_of("he2", "plain", kappa=0.2), "traps m at 0"),
        (lambda: law_of("linear", "misaligned", mu=0.3, rho=0.5, threshold=0.95), r"below \|m\| = 0.868"),
        (lambda: escape_law(derive("linear", model="plain"), dimension=1e4, threshold=0.999, kappa=2.5), "stops"),
    ):
        with pytest.raises(InputError, match=message):
            call()
    for options in ({"dimension": 2}, {"kappa": -1.0}, {"step_size": math.nan}, {"initial_scale": math.inf}):
        with pytest.raises(ParameterError, match=next(iter(options))):
            law_of("linear", mu=0.3, **options)
    with pytest.raises(ParameterError, match="no mu"):
        law_of("linear")
    with pytest.raises(ParameterError, match="model plain"):
        law_of("he2", "plain", mu=0.3)
    with pytest.raises(ParameterError, match="level"):
        law_of("linear", mu=0.3).quantile(1.0)
