"""Models that the library does not have, each one class of this file alone: everything works for them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import mpmath
import numpy as np
import pytest
import sympy as sp
from scipy import stats

import hermescape
from numerics.best.alignment import best_mu
from numerics.best.phases import phase_diagram
from numerics.flows.flow import Exit, Native, SciPy, integrate
from numerics.law import escape_law
from numerics.law.choose import setting_of
from numerics.law.modes import from_mode
from numerics.rates.search_time import search_time
from numerics.simulation import fulldim, montecarlo
from numerics.simulation.comparison import ks_law, ks_two_sample
from numerics.simulation.experiment import Experiment
from numerics.simulation.statistics import ExitSample
from numerics.sweep import sweep
from theory.errors import InputError, ParameterError
from theory.language.activations import Activation
from theory.language.labels import Labels
from theory.network.constraints import Free
from theory.network.derivation import derive, system_of
from theory.network.models import DIRECTION, PRETRAINED, TEACHER, AlignedLoRA, MisalignedLoRA, Model, Plain
from theory.network.ridges import Network, Ridge, Words
from theory.network.system import System
from theory.network.vectors import Combination, Gram, Vector
from theory.search.critical import critical_strengths
from theory.search.law import escape_time
from theory.search.regimes import regime
from theory.symbols import m, mu, rho, s, u
from theory.writing.document import document

p, n = sp.Symbol("p", real=True), sp.Symbol("n", positive=True)
nu, g = sp.Symbol("nu", positive=True), sp.Symbol("g", real=True)
FACTOR = Vector("v", Free())
ONE, ZERO = sp.S.One, sp.S.Zero


@dataclass(frozen=True)
class FreeLoRA:
    """w = mu w* + u v, both u and v free, from |v|^2 = square."""

    name: str = "free LoRA"
    square: sp.Expr = ONE

    def network(self, student: Activation, labels: Labels) -> Network:
        return Network.single(
            student,
            labels,
            Combination.of({TEACHER: mu, FACTOR: u}),
            TEACHER,
            name=self.name,
            gram=Gram({(TEACHER, TEACHER): ONE, (FACTOR, TEACHER): p, (FACTOR, FACTOR): n}),
            scalars=(u,),
            overlaps={p: (FACTOR, TEACHER), n: (FACTOR, FACTOR)},
            parameters=(mu, *sorted(self.square.free_symbols, key=str)),
            start={u: ZERO, p: ZERO, n: self.square},
            words=Words(
                "Both factors of the adapter are free.", "w = mu w* + u v, v free", meanings={p: "overlap <v, w*>"}
            ),
        )


@dataclass(frozen=True)
class DecayingLoRA:
    """Misaligned LoRA whose u decays at the rate 1/5."""

    name: str = "decaying LoRA"

    def network(self, student: Activation, labels: Labels) -> Network:
        known = MisalignedLoRA().network(student, labels)
        words = Words("The scalar $u$ of the adapter decays by itself.", "w = w0 + u v, u decays")
        return replace(known, name=self.name, penalty={u: sp.Rational(1, 5)}, words=words)


@dataclass(frozen=True)
class GainLoRA:
    """w = (1 + g) w0 + u v with a second trained scalar g, which rests where w0 is best scaled for a linear link."""

    name: str = "gain LoRA"

    def network(self, student: Activation, labels: Labels) -> Network:
        known = MisalignedLoRA().network(student, labels)
        return replace(
            known,
            name=self.name,
            ridges=(Ridge(ONE, student, Combination.of({PRETRAINED: 1 + g, DIRECTION: u})),),
            scalars=(u, g),
            start={u: ZERO, g: mu / rho**2 - 1, m: ZERO, s: ZERO},
            words=Words("The gain $g$ of the pre-trained weight is trained too.", "gain", meanings={g: "gain of w0"}),
        )


LONG, ANY = FreeLoRA("long LoRA", sp.Integer(4)), FreeLoRA("any LoRA", nu)
OWN: dict[str, tuple[Model, str, dict[str, float]]] = {
    "decay": (DecayingLoRA(), "erf", {"mu": 0.3, "rho": 0.7}),
    "free": (FreeLoRA(), "relu", {"mu": 0.4}),
    "gain": (GainLoRA(), "linear", {"mu": 0.3, "rho": 0.7}),
}
own_models = pytest.mark.parametrize("key", OWN)


def made(key: str) -> tuple[System, dict[str, float]]:
    model, link, values = OWN[key]
    return derive(link, model=model), values


# --- what every model of one's own does ------------------------------------------------------------------------------


@own_models
def test_it_prints_its_own_states_and_words(key: str) -> None:
    system, _ = made(key)
    text = document(system)
    assert system.network.words.setting.split("$")[-1] in text  # symbols are macros
    for state in system.states:
        assert rf"\frac{{\mathrm{{d}} {sp.latex(state)}}}{{\mathrm{{d}} t}}" in system.latex()


@pytest.mark.slow
@own_models
def test_its_reduced_simulation_has_the_law_of_sgd_in_r_d(key: str) -> None:
    """At d = 20 and 5, on every state and the exit; the runs at d = 5 reject d = 9: 400 of twenty steps see that."""
    system, values = made(key)
    for d in (20, 5):
        sizes = {"dimension": d, "batch": 6, "step_size": 0.2, "threshold": 0.8, "max_steps": 20}
        setting = Experiment.of(system.network, **sizes, initial_scale=0.3, replicas=400, seed=2, **values)
        full = fulldim.simulate(setting)
        reduced = montecarlo.simulate(setting.but(replicas=4000))
        assert smallest(reduced, full) > 1e-4, d
    other = montecarlo.simulate(setting.but(dimension=9, replicas=4000))
    assert smallest(other, full) < 1e-6


def smallest(reduced: ExitSample, full: ExitSample) -> float:
    names = [state.name for state in full.experiment.network.states]
    found = [stats.ks_2samp(np.abs(a.final[k]), np.abs(b.final[k])).pvalue for a, b in [(reduced, full)] for k in names]
    return min(ks_two_sample(reduced, full).p_value, *map(float, found))


@pytest.mark.slow
@own_models
def test_its_law_is_that_of_its_simulation(key: str) -> None:
    """The whole law at d = 4000, and a law of half the dimension, which the same runs reject."""
    system, values = made(key)
    threshold, d, eta = 0.3, 4000, 0.05
    other = {name: value for name, value in values.items() if name not in ("mu", "rho")}
    place = {"mu": values["mu"], "rho": values.get("rho"), "parameters": other}
    laws = [
        escape_law(system, dimension=size, threshold=threshold, kappa=1.0, step_size=eta, **place)
        for size in (d, d / 2)
    ]
    setting = Experiment.of(
        system.network, dimension=d, batch=round(eta * d), step_size=eta, threshold=threshold, replicas=1500, **values
    )
    sample = montecarlo.simulate(setting)
    assert sample.counts.exited == 1500
    p_values = [ks_law(sample, law.cdf, leeway=abs(laws[0].remainder)).p_value for law in laws]
    assert p_values[0] > 1e-3
    assert p_values[1] < 1e-6


@pytest.mark.parametrize("key", [key if key == "free" else pytest.param(key, marks=pytest.mark.slow) for key in OWN])
def test_it_runs_in_a_sweep_and_in_check(key: str, tmp_path) -> None:
    model, link, values = OWN[key]
    fixed = {"student": link, "model": model, **{k: v for k, v in values.items() if k != "mu"}, "dimension": 500}
    grid = {"mu": [values["mu"], values["mu"] / 2]}
    flows = sweep(
        {"kind": "flow", "fixed": {**fixed, "threshold": 0.3}, "grid": grid}, tmp_path / "f.sqlite", workers=1
    )
    assert np.isfinite(flows.exit_time.values).all()
    drawn = {**fixed, "threshold": 0.3, "step_size": 0.1, "replicas": 20, "seed": 1}
    runs = sweep({"kind": "montecarlo", "fixed": drawn, "grid": grid}, tmp_path / "m.sqlite", workers=1)
    assert (runs.exited.values == 20).all()
    report = hermescape.check(
        link, model=model, mu=[values["mu"]], rho=values.get("rho"), dimension=2000, threshold=0.3, replicas=100
    )
    assert report.passed, report


# --- rates ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def system() -> System:
    return derive("relu", model=FreeLoRA())


def test_factors_stay_balanced(system: System) -> None:
    """d(u^2 - n)/dt = 0, whatever the loss: both are driven by <grad L, v>."""
    assert sp.expand(2 * u * system.velocities[u] - system.velocities[n]) == 0


def test_search_time_is_that_of_the_sphere(system: System) -> None:
    """Around n = 1 the norm of v does not move to first order; no state is left in the rate."""
    assert system.escape.rate is not None
    assert system.escape.rate.free_symbols == {mu}
    assert sp.simplify(system.escape.rate - derive("relu").escape.rate) == 0
    assert search_time(system, 0.4).tau == pytest.approx(search_time(derive("relu"), 0.4).tau, rel=1e-14)


def test_prints_no_rho(system: System) -> None:
    shown, text = system.latex(), document(system)
    assert r"\rho" not in shown
    assert "$p$ & overlap" in text


def test_engines_agree_on_an_event_in_its_own_state(system: System) -> None:
    start = {"u": 1e-6, "p": 0.02, "n": 1.0}
    runs = [
        integrate(system, start, event=Exit(0.5, p), t_max=1e3, mu=0.4, engine=engine) for engine in (Native(), SciPy())
    ]
    assert runs[0].exit_time == pytest.approx(runs[1].exit_time, rel=1e-7)
    assert runs[0].states.p.attrs["long_name"] == "p"
    u_end, n_end = (float(runs[0].states[name][-1]) for name in ("u", "n"))
    assert u_end**2 - n_end == pytest.approx(-1, abs=1e-7)


A, B = mpmath.mpf("0.3"), -mpmath.mpf("0.5")  # of ReLU at mu = 0.4: A = (1 - mu)/2, B = -1/2


def decaying(student: str, decay: sp.Expr = sp.S.Half) -> System:
    """LoRA whose u also decays by itself."""
    system = derive(student)
    return replace(system, velocities={**system.velocities, u: system.velocities[u] - decay * u})


def growth(system: System, **values: float) -> float:
    """Return the log-slope of a tiny start along the leading eigenvector, on the integrated flow."""
    assert system.escape.jacobian is not None
    at = {symbol: values[symbol.name] for symbol in system.parameters if symbol.name in values}
    rates, vectors = np.linalg.eig(np.array(system.escape.jacobian.subs(at).evalf().tolist(), float))
    lead = int(np.argmax(rates.real))
    fixed = {s.name: float(v.subs(at)) for s, v in system.network.start.items()}
    tiny = dict(zip([s.name for s in system.states], 1e-9 * vectors[:, lead].real, strict=True))
    start = {name: fixed[name] + tiny[name] for name in tiny}
    lasts = float(np.log(100) / rates[lead].real)
    path = integrate(system, start, t_max=lasts, rtol=1e-11, **values)
    at_rest = [name for name in tiny if fixed[name] == 0]  # where nothing cancels
    seen = max(at_rest, key=lambda name: abs(tiny[name]))
    return float(np.log(float(path.states[seen][-1]) / tiny[seen]) / lasts)


@pytest.mark.parametrize("kappa", [0, sp.Rational(1, 50)])
@pytest.mark.parametrize(
    ("make", "values"),
    [
        (lambda: derive("relu"), {"mu": 0.4}),
        (lambda: derive("he3"), {"mu": 0.2}),
        (lambda: derive("erf", "relu", alpha=2), {"mu": 0.4}),
        (lambda: derive("he2", model="misaligned"), {"mu": 0.3, "rho": 0.7}),
        (lambda: derive("he2", model="plain"), {}),
        (lambda: derive("relu", model=FreeLoRA()), {"mu": 0.4}),
        (lambda: derive("relu", model=LONG), {"mu": 0.4}),
        (lambda: derive("erf", model=ANY), {"mu": 0.4, "nu": 2.5}),
        (lambda: derive("erf", model=DecayingLoRA()), {"mu": 0.3, "rho": 0.7}),
        (lambda: derive("linear", model=GainLoRA()), {"mu": 0.3, "rho": 0.7}),
        (lambda: decaying("relu"), {"mu": 0.4}),
        (lambda: decaying("he2", -sp.S.One), {"mu": 0.4}),
    ],
)
def test_the_rate_is_the_growth_of_the_integrated_flow(make, values: dict[str, float], kappa: sp.Expr) -> None:
    system = make().sgd(kappa)
    rate = float(system.escape.rate.subs({s: sp.Float(values[s.name]) for s in system.parameters}))
    assert growth(system, **values) == pytest.approx(rate, rel=1e-6)


def test_longer_factors_and_a_decay_have_the_rates_of_their_jacobians() -> None:
    """[[4 B, A], [A, 0]] and [[B - 1/2, A], [A, 0]]: lambda^2 - T lambda - A^2 = 0."""
    for system, trace in ((derive("relu", model=LONG), 4 * B), (decaying("relu"), B - mpmath.mpf("0.5"))):
        with mpmath.workdps(40):
            truth = (trace + mpmath.sqrt(trace**2 + 4 * mpmath.mpf("0.3") ** 2)) / 2
        found, fine = search_time(system, 0.4), search_time(system, "0.4", digits=30)
        assert found.rate == pytest.approx(float(truth), rel=1e-14)
        assert found.interval[0] <= float(1 / truth) <= found.interval[1]
        assert abs(fine.rate - sp.Float(truth, 40)) < sp.Float("1e-30")
        assert float(system.escape.rate.subs(mu, sp.Rational(2, 5))) == pytest.approx(float(truth), rel=1e-14)
        assert float(system.escape.tau.subs(mu, sp.Rational(2, 5))) == pytest.approx(float(1 / truth), rel=1e-13)
        assert float(regime(system, 0.4).rate) == pytest.approx(float(truth), rel=1e-14)
        assert pytest.approx(0.3) == found.G
        assert pytest.approx(-0.5) == found.B


def test_the_drift_of_sgd_is_in_the_jacobian() -> None:
    """He_2 on the sphere: J_0 = 4 E[l^2 (l^2 - l*^2)^2] = 48, so dm/dt = (4 - 24 kappa) m."""
    escape = derive("he2", model="plain").escape
    assert escape.jacobian == sp.Matrix([[4]])
    assert derive("he2", model="plain").sgd(sp.Rational(1, 48)).escape.jacobian == sp.Matrix([[sp.Rational(7, 2)]])
    assert derive("he3", model="plain").escape.rate is None
    assert derive("relu", model="plain").escape.rate is None  # it leaves at once: m = 0 is no fixed point


def test_a_parameter_of_its_own_is_asked_for_by_name() -> None:
    system = derive("relu", model=ANY)
    with pytest.raises(ParameterError, match="nu"):
        regime(system, 0.4)
    with pytest.raises(ParameterError, match="nu"):
        search_time(system, 0.4)
    with pytest.raises(ParameterError, match="nu"):
        escape_law(system, mu=0.4, dimension=1e4)
    four = search_time(derive("relu", model=LONG), 0.4)
    assert search_time(system, 0.4, parameters={"nu": 4}).tau == pytest.approx(four.tau, rel=1e-14)
    assert float(regime(system, 0.4, parameters={"nu": 4}).rate) == pytest.approx(four.rate, rel=1e-14)
    known, given = (
        escape_law(derive("relu", model=LONG), mu=0.4, dimension=1e4),
        escape_law(system, mu=0.4, dimension=1e4, parameters={"nu": 4.0}),
    )
    assert given.median == pytest.approx(known.median, rel=1e-9)


def test_the_law_of_a_mode_is_that_of_lora_where_both_are_known() -> None:
    """Of the constants of LoRA's law only C has another error; kappa and eta are in the spread of both."""

    for model, values in (("lora", {"mu": 0.4}), ("misaligned", {"mu": 0.3, "rho": 0.7})):
        system = derive("erf", model=model)
        options = {"dimension": 1e5, "threshold": 0.4, "kappa": 1.0, "step_size": 0.1}
        known = escape_law(system, **options, **values)
        own = from_mode(system, setting_of(**options), values)
        assert own.quantile(0.2) == pytest.approx(known.quantile(0.2), rel=1e-6)
        assert (own.tau, own.gain) == pytest.approx((known.tau, known.gain), rel=1e-9)


def test_the_law_says_what_it_is_not_derived_for() -> None:
    moved = replace(derive("relu", model=GainLoRA()).network, start={u: ZERO, g: ZERO, m: ZERO, s: ZERO})

    with pytest.raises(InputError, match="rest"):
        escape_law(system_of(moved), mu=0.3, rho=0.7, dimension=1e4)


def test_prints_the_rate_of_its_jacobian() -> None:
    assert r"\mathrm{spec}" in document(derive("relu", model=LONG))


# --- names ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Renamed:
    """A model of the library's under another name: nothing may depend on what it is called."""

    of: Model
    name: str = "mine"

    def network(self, student: Activation, labels: Labels) -> Network:
        return replace(self.of.network(student, labels), name=self.name)


@pytest.mark.parametrize(
    ("kind", "place"), [(AlignedLoRA(), {"mu": 0.4}), (MisalignedLoRA(), {"mu": 0.3, "rho": 0.6}), (Plain(), {})]
)
def test_laws_and_regimes_do_not_depend_on_the_name(kind: Model, place: Mapping[str, float]) -> None:
    own, known = (derive("he2", model=made) for made in (Renamed(kind), kind))
    options = {"dimension": 1e5, "kappa": 0.02, **place}
    assert escape_law(own, **options) == escape_law(known, **options)
    assert regime(own, *place.values(), kappa=0.02) == regime(known, *place.values(), kappa=0.02)
    assert escape_time(own).latex() == escape_time(known).latex()


def test_searches_do_not_depend_on_the_name() -> None:
    """Critical strengths, the best one, and the phase diagram of He_3."""
    own, known = (derive("he3", model=made) for made in (Renamed(AlignedLoRA()), AlignedLoRA()))
    assert critical_strengths(own) == critical_strengths(known)
    assert best_mu(own, "1/2") == best_mu(known, "1/2")
    assert phase_diagram(own, [0.2, 0.6], dimension=[1e3]).identical(phase_diagram(known, [0.2, 0.6], dimension=[1e3]))
    assert critical_strengths(derive("he3", model=FreeLoRA())) == critical_strengths(known)


def test_the_scale_of_a_model_of_ones_own_is_read_off_its_weight() -> None:
    scaled = AlignedLoRA(scale=sp.S(-3))
    own, known = (derive("relu", model=model) for model in (Renamed(scaled), scaled))
    assert (own.escape.scale, own.escape.square) == (-3, 9)
    assert escape_law(own, mu=0.4, dimension=1e5, kappa=0.1) == escape_law(known, mu=0.4, dimension=1e5, kappa=0.1)
