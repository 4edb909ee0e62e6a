"""The correlation loss against the squared one, against integrals written here, and in all that is made of it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

import hermescape
from numerics.best.alignment import best_mu
from numerics.best.stopping import Composition
from numerics.flows.flow import Exit, integrate
from numerics.integrals.evaluate import value
from numerics.integrals.series import aligned_series
from numerics.parameters import OBJECTIVE_NAMES
from numerics.rates.curve import search_times
from numerics.rates.search_time import gradient_noise, search_time
from numerics.sweep import sweep
from tests.hermescape.cli.running import read, run
from tests.networks import of, two_units
from theory.calculus.expectations import gaussian_mean
from theory.errors import InputError, ParameterError
from theory.language.activations import activation
from theory.network.derivation import derive, system_of
from theory.network.models import MODELS, AlignedLoRA, Plain
from theory.network.objectives import OBJECTIVES
from theory.network.system import System
from theory.search.critical import critical_strengths
from theory.search.regimes import regime
from theory.symbols import Delta, mu, q, r
from theory.writing.document import document
from theory.writing.sources import sources

Number = mpmath.mpf
DIGITS = 22
FUNCTIONS: dict[str, Callable[[Number], Number]] = {
    "erf": mpmath.erf,
    "tanh": mpmath.tanh,
    "he3": lambda z: z**3 - 3 * z,
}
SLOPES: dict[str, tuple[Callable[[Number], Number], Callable[[Number], Number]]] = {
    "erf": (
        lambda z: 2 * mpmath.exp(-z * z) / mpmath.sqrt(mpmath.pi),
        lambda z: -4 * z * mpmath.exp(-z * z) / mpmath.sqrt(mpmath.pi),
    ),
    "tanh": (lambda z: mpmath.sech(z) ** 2, lambda z: -2 * mpmath.tanh(z) * mpmath.sech(z) ** 2),
    "he3": (lambda z: 3 * z * z - 3, lambda z: 6 * z),
}
"""sigma' and sigma''"""


def correlated(*links: str, **options: Any) -> System:
    return derive(*links, objective="correlation", **options)


def mean(f: Callable[[Number], Number], step: str = "0.05") -> Number:
    """E f(Z) by the trapezoidal rule, which converges like exp(-2 pi a/h) with poles at a distance a."""
    h = mpmath.mpf(step)
    count = int(13 / h)
    return h * mpmath.fsum(f(k * h) * mpmath.npdf(k * h) for k in range(-count, count + 1))


def mean_of_two(f: Callable[[Number, Number], Number], overlap: Number, squared: Number) -> Number:
    """E f(l, l*) by the same rule, l = q Z_1 + sqrt(r - q^2) Z_2."""
    across = mpmath.sqrt(squared - overlap**2)
    return mean(lambda a: mean(lambda b: f(overlap * a + across * b, a), "0.2"), "0.2")


# --- the loss ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["relu", "erf", "he3", "gelu", "abs", "max(x - 1/2, 0)"])
@pytest.mark.parametrize("teacher", [None, "erf"])
def test_it_is_the_squared_loss_without_the_students_own_square(name: str, teacher: str | None) -> None:
    links = (name,) if teacher is None else (name, teacher)
    one, other = derive(*links).loss_function, correlated(*links).loss_function
    at = {q: sp.Rational(1, 5), r: sp.Rational(3, 5)}
    square = activation(name).expr ** 2
    for f, g, own in zip(
        (one.expr, *one.gradient()),
        (other.expr, *other.gradient()),
        (gaussian_mean(_law(square), sp.S.Zero, r) / 2, sp.S.Zero, gaussian_mean(_law(square, 2), sp.S.Zero, r) / 4),
        strict=True,
    ):
        assert abs((f - g - own).subs(at).evalf(25)) < 1e-20
    assert one.gradient()[0] == other.gradient()[0]


def _law(f: sp.Expr, order: int = 0) -> Any:
    from theory.calculus.expectations import Distribution

    return Distribution.of(f).diff(order)


@pytest.mark.parametrize("name", ["erf", "he3", "relu"])
def test_two_units_lose_what_they_share(name: str) -> None:
    """The value differs by half of E f^2, which has no teacher in it; slopes across the units vanish."""
    one, other = (system_of(replace(two_units(name), objective=kind)) for kind in OBJECTIVES)
    network = replace(one.network, teacher=replace(one.network.teacher, ridges=_silent(one)))
    at = dict(zip(one.states, map(sp.Rational, ("3/10", "-1/5", "1/10", "1/4", "3/20", "-1/10")), strict=True))
    entries = {key: f.subs(at) for key, f in one.entries.items()}
    own = system_of(network).loss
    assert abs((one.loss - other.loss - own).subs(entries).evalf(20)) < 1e-15
    slopes = other.loss_function.slopes
    assert slopes[other.network.slopes[sp.Symbol("Q_12", real=True)]] == 0
    assert all(symbol.name.startswith(("R_", "Q_")) for f in slopes.values() for symbol in f.free_symbols)


def _silent(system: System) -> tuple[Any, ...]:
    """The teacher's terms with coefficients 0."""
    return tuple(replace(term, coefficient=sp.S.Zero) for term in system.network.teacher.ridges)


def test_the_noise_of_two_linear_units_is_the_labels_second_moment() -> None:
    """With sigma' = 1: C_ik = a_i a_k (E y^2 + Delta), y = n_1 + 3/4 n_2, <w*_1, w*_2> = 3/5."""
    noise = sp.Rational(1, 4)
    network = replace(two_units("linear", noise), objective="correlation")
    second = 1 + sp.Rational(9, 16) + 2 * sp.Rational(3, 4) * sp.Rational(3, 5) + noise
    amplitudes = sp.Matrix([1, -sp.S.Half])
    assert system_of(network).loss_function.noise_covariance() == second * amplitudes * amplitudes.T


@pytest.mark.parametrize(("student", "teacher"), [("erf", "he3"), ("tanh", "erf")])
def test_its_noise_is_an_integral(student: str, teacher: str) -> None:
    """J = E[y^2 sigma'(l)^2], closed for erf on He_3 and by quadrature for tanh, with label noise."""
    overlap, squared, noise = sp.Rational(3, 10), sp.Rational(3, 5), sp.Rational(1, 8)
    system = correlated(student, teacher, noise=noise)
    known = value(system.loss_function.noise(), {q: overlap, r: squared}, digits=DIGITS).value
    with mpmath.workdps(DIGITS + 8):
        phi, slope = FUNCTIONS[teacher], SLOPES[student][0]
        expected = mean_of_two(
            lambda a, b: (phi(b) ** 2 + mpmath.mpf(1) / 8) * slope(a) ** 2, mpmath.mpf(3) / 10, mpmath.mpf(3) / 5
        )
        assert abs(mpmath.mpf(str(known)) - expected) < mpmath.mpf(10) ** -(DIGITS - 1) * expected
    squared_loss = derive(student, teacher, noise=noise).loss_function.noise()
    assert squared_loss != system.loss_function.noise()


@pytest.mark.parametrize("name", ["erf", "relu"])
def test_moments_are_those_of_the_label_times_the_slope(name: str) -> None:
    """f = -y sigma', by a sample of the fields: E f^2 l*^2, E f^3 l*, E f^4."""
    rng = np.random.default_rng(7)
    z = rng.standard_normal((2, 4_000_000))
    loss = correlated(name, "he2", noise=0.5).loss_function
    at = {q: 0.3, r: 0.7}
    fields = 0.3 * z[0] + np.sqrt(0.7 - 0.09) * z[1]
    slope = 2 / np.sqrt(np.pi) * np.exp(-(fields**2)) if name == "erf" else (fields > 0).astype(float)
    f = -(z[0] ** 2 - 1 + np.sqrt(0.5) * rng.standard_normal(z.shape[1])) * slope
    moments = {str(key): float(g.subs(at).evalf()) for key, g in loss.noise_moments().items()}
    samples = {"J": f**2, "N_s": f**3 * z[0], "N_4": f**4, "M_ss": f**2 * (z[0] ** 2 - 1)}
    for key, drawn in samples.items():
        assert abs(drawn.mean() - moments[key]) < 5 * drawn.std() / np.sqrt(len(drawn)), key


def test_symbolic_noise_stays_a_symbol() -> None:
    assert correlated("linear", noise=Delta).loss_function.noise() == Delta + 1


# --- the search phase -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("student", "teacher"), [("erf", "erf"), ("tanh", "erf"), ("tanh", "tanh"), ("he3", "erf")])
def test_a_b_and_tau_are_integrals(student: str, teacher: str) -> None:
    """A = E[Z sigma'(mu Z) phi(Z)] and B = E[sigma''(mu Z) phi(Z)] at mu = 2/5."""
    search = search_time(correlated(student, teacher), sp.Rational(2, 5), digits=20)
    with mpmath.workdps(30):
        phi, (slope, bend), at = FUNCTIONS[teacher], SLOPES[student], mpmath.mpf(2) / 5
        drive = mean(lambda z: z * slope(at * z) * phi(z))
        curve = mean(lambda z: bend(at * z) * phi(z))
        tau = (mpmath.sqrt(curve**2 + 4 * drive**2) - curve) / (2 * drive**2)
        for found, expected in ((search.A, drive), (search.B, curve), (search.tau, tau)):
            assert abs(mpmath.mpf(str(found)) - expected) < mpmath.mpf(10) ** -19 * max(1, abs(expected))


@pytest.mark.parametrize("name", ["relu", "erf", "he4", "gelu", "x**2 + x"])
def test_a_and_b_are_those_of_the_general_definition(name: str) -> None:
    """A = -L_q - 2 mu L_r = dK(mu, mu^2)/dmu and B = -2 L_r at the edge."""
    system = correlated(name)
    slope, bend = system.loss_function.gradient(mu, mu**2)
    at = {mu: sp.Rational(7, 20)}
    assert abs((system.escape.A + slope + 2 * mu * bend).subs(at).evalf(20)) < 1e-15
    assert abs((system.escape.B + 2 * bend).subs(at).evalf(20)) < 1e-15
    along = system.loss.subs({q: mu, r: mu**2})
    h = sp.Rational(1, 10**8)
    difference = (along.subs(mu, at[mu] + h) - along.subs(mu, at[mu] - h)) / (2 * h)
    assert abs((system.escape.A.subs(at) + difference).evalf(30)) < 1e-12


@pytest.mark.parametrize("k", range(1, 7))
def test_hermite_students_have_no_bend(k: int) -> None:
    """sigma = phi = He_k: A = k! k mu^(k-1), B = 0, and tau = 1/A falls with mu where k > 1."""
    system = correlated(f"he{k}")
    expected = sp.factorial(k) * k * mu ** (k - 1)
    assert sp.expand(system.escape.A - expected) == 0
    assert system.escape.B == 0
    assert sp.simplify(system.escape.tau * expected) == 1
    assert len(critical_strengths(system)) == 0
    best = best_mu(system)
    assert (best.end, best.mu) == (("everywhere", 0) if k == 1 else ("high", 1))


@pytest.mark.parametrize("name", ["relu", "linear", "abs"])
def test_homogeneous_students_search_as_long_from_everywhere(name: str) -> None:
    """K(mu, mu^2) = mu K(1, 1) for degree one: A and tau do not depend on mu."""
    system = correlated(name)
    assert not system.escape.A.has(mu)
    best = best_mu(system)
    assert (best.end, best.is_attained, best.exact) == ("everywhere", True, True)
    assert best.tau == system.escape.tau
    assert "at every mu (certain)" in run("escape", name, "--critical", "--objective", "correlation").stdout


def test_no_shared_order_is_no_search() -> None:
    """He_2 on He_4: of the squared loss the student's own square drives u, here nothing does."""
    assert derive("he2", "he4").escape.tau is not None
    system = correlated("he2", "he4")
    assert (system.escape.A, system.escape.B, system.escape.tau) == (0, 0, None)
    done = run("derive", "he2", "--teacher", "he4", "--objective", "correlation")
    assert done.returncode == 0
    assert "no search time" in done.stdout
    assert "shares a Hermite order" in done.stdout


def test_the_end_is_critical_only_where_the_students_square_counts() -> None:
    assert [float(c.mu) for c in critical_strengths(derive("tanh"))] == [1.0]
    assert list(critical_strengths(correlated("tanh"))) == []
    assert regime(derive("erf"), 1).name == "trapped"
    assert regime(correlated("erf"), 1).name == "linear"
    assert search_time(correlated("relu"), 1).tau == 2


def test_series_and_curve_agree_with_single_searches() -> None:
    system, tanh = correlated("tanh"), activation("tanh").expr
    cut = aligned_series(tanh, tanh, 0.4, 64, own=False)
    single = search_time(system, 0.4)
    for part, known in zip(cut, (single.A, single.B), strict=True):
        assert abs(part.value - known) <= part.error < 1e-5
    assert abs(search_time(system, 0.4, order=64).tau - single.tau) < 1e-5
    grid = np.linspace(0.02, 1, 120)
    curve = search_times(system, grid)
    for i in (0, 40, 119):
        alone = search_time(system, float(grid[i]))
        assert abs(curve.tau[i] - alone.tau) <= curve.error[i] + alone.error


# --- dynamics ---------------------------------------------------------------------------------------------------


def test_flows_of_both_objectives_are_compiled_apart() -> None:
    """Systems that differ by the objective alone: `lora` has the same states, velocities and gap."""
    times = []
    for kind in OBJECTIVES:
        system = derive("tanh", objective=kind)
        path = integrate(system, {"u": 1e-4, "m": 0.02}, event=Exit(0.5), t_max=200.0, mu=0.5)
        assert path.exit_time is not None
        times.append(path.exit_time)
    assert times[1] < 0.8 * times[0]


def test_on_the_sphere_both_have_one_flow_and_other_noise() -> None:
    one, other = (derive("erf", model="plain", objective=kind) for kind in OBJECTIVES)
    assert one.odes == other.odes
    assert one.loss_function.noise() != other.loss_function.noise()
    assert one.network.caution == other.network.caution == ""


def test_the_noise_at_the_start_has_no_student() -> None:
    assert gradient_noise(correlated("linear"), 0.4) == 1  # E y^2
    assert gradient_noise(derive("linear"), 0.4) == pytest.approx(0.6**2)


# --- in words ---------------------------------------------------------------------------------------------------


def test_names_in_the_table_are_those_of_the_theory() -> None:
    assert tuple(OBJECTIVES) == OBJECTIVE_NAMES


def test_what_nothing_holds_is_named() -> None:
    said = {name: replace(of(model), objective="correlation").caution for name, model in MODELS.items()}
    assert said["plain"] == ""
    assert "nothing holds u," in said["lora"]
    assert "nothing holds u," in said["misaligned"]
    assert "nothing holds |w|," in said["pretrain"]
    lora = of(AlignedLoRA())
    (u,) = lora.scalars
    assert "nothing but weight decay holds u," in replace(lora, objective="correlation", penalty={u: sp.S.One}).caution
    assert replace(lora, penalty={u: sp.S.One}).caution == ""


def test_words_of_the_commands() -> None:
    text = run("derive", "erf", "--objective", "correlation").stdout
    assert "model lora, correlation loss" in text
    assert text.splitlines()[-1].startswith("correlation loss: it has no term of the student's own, so that nothing")
    assert "correlation loss" not in run("derive", "erf").stdout
    assert "correlation loss" in run("escape", "erf", "--mu", "0.3", "--objective", "correlation").stdout
    derived = read("derive", "erf", "--objective", "correlation")
    assert (derived["objective"], read("derive", "erf")["objective"]) == ("correlation", "squared")
    assert derived["verdict"]["caution"].startswith("correlation loss")
    fast = ["--mu", "0.3", "--d", "100", "--batch", "20", "--replicas", "20"]
    simulated = read("simulate", "relu", *fast, "--objective", "correlation")
    assert simulated["settings"]["objective"] == "correlation"
    assert "holds u" in simulated["caution"]
    law = read("law", "linear", "--mu", "0.3", "--d", "1e6", "--objective", "correlation")
    assert law["settings"]["objective"] == "correlation"
    assert law["tau"] == 1


def test_documents_define_the_loss_that_they_are_of() -> None:
    one, other = (document(derive("relu", objective=kind)) for kind in OBJECTIVES)
    assert "half the mean squared error" in one
    assert r"(\hescstudent^{2})''" in one
    for text in ("half the mean squared error", r"(\hescstudent^{2})''", r"\hescE_{\hescnormr}[\hescstudent^{2}]"):
        assert text not in other
    for text in (
        "SGD on the correlation loss",
        r"- \hesckernel(\hescoverlapq, \hescnormr) + \frac{1}{2} \hescE[y^{2}]",
        r"\hescE[y^{2} \hescstudent'(\hescfield)^{2}]",
        r"Nothing holds $\hesclorau$",
        r"\label{hesc:relu-correlation:loss}",
    ):
        assert text in other
    keys = [[source.key for source in sources(derive("erf", objective=kind))] for kind in OBJECTIVES]
    assert ["benarous2021" in each for each in keys] == [False, True]
    sphere = document(correlated("he2", model="plain"))
    assert "Nothing holds" not in sphere
    assert r"\hescE[y^{2} \hescstudent'(\hescfield)^{2} (\hescfieldteacher)^{2}]" in sphere


# --- doors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["L2", "", "Squared", 1, 0.0, ["correlation"], {"correlation"}])
def test_other_objectives_are_refused(given: Any) -> None:
    for door in (
        lambda: derive("erf", objective=given),
        lambda: hermescape.Task("erf", mu=0.3, objective=given),
        lambda: hermescape.simulate("erf", mu=0.3, objective=given),
        lambda: hermescape.check("erf", mu=[0.3], objective=given),
        lambda: sweep({"kind": "flow", "fixed": {"student": "erf", "objective": given}, "grid": {"mu": [0.3, 0.4]}}),
    ):
        with pytest.raises(InputError, match=r"objective = .*accepted"):
            door()


def test_a_model_of_ones_own_may_say_its_objective() -> None:
    class Correlated:
        name = "correlated"

        def network(self, student: Any, labels: Any) -> Any:
            return replace(Plain().network(student, labels), name=self.name, objective="correlation")

    own = Correlated()
    assert derive("erf", model=own).network.objective == "correlation"
    assert derive("erf", model=own, objective="squared").network.objective == "squared"
    assert hermescape.Task("erf", model=own).system().network.objective == "correlation"


def test_a_sweep_takes_it_as_an_axis_and_other_cells_stay_what_they_were() -> None:
    content = {"kind": "flow", "fixed": {"student": "linear", "dimension": 1e4, "mu": 0.3}}
    both = sweep(content | {"grid": {"objective": ["squared", "correlation"]}})
    alone = sweep({"kind": "flow", "fixed": {"student": "linear", "dimension": 1e4}, "grid": {"mu": [0.3, 0.4]}})
    assert both.exit_time.sel(objective="squared").item() == alone.exit_time.sel(mu=0.3).item()
    assert both.tau.sel(objective="correlation").item() == 1


def test_pre_training_whose_norm_runs_away_is_not_composed() -> None:
    start, place = {"q_s": 0.0, "q": 0.0, "r": 0.01}, {"c": 0.8}
    fine = correlated("linear", model="misaligned")
    with pytest.raises(ParameterError, match="objective correlation given; accepted: squared"):
        Composition(correlated("linear", model="pretrain"), fine, start, 1e4, 0.5, place)
    composed = Composition(derive("linear", model="pretrain"), fine, start, 1e4, 0.5, place)
    assert np.isfinite(composed.fine_tune(0.2)[0])


def test_a_family_has_it_too() -> None:
    """tau(a) = tau(ReLU) of the squared loss over 1 + a^2; of this one K(mu, mu^2) = (1 + a^2) mu/2, so that A is."""
    leaky = correlated("max(x, 0) + a*min(x, 0)", parameters={"a": "real"})
    (a,) = (p for p in leaky.parameters if p != mu)
    assert sp.simplify(leaky.escape.A - (1 + a**2) / 2) == 0
    assert leaky.escape.B == 0
    assert leaky.member(a=0).escape.tau == 2
    assert leaky.member(a=0).network.objective == "correlation"
    written = run("derive", "erf(beta*x)", "--param", "beta > 0", "--objective", "correlation")
    assert written.returncode == 0
    assert "correlation loss" in written.stdout
