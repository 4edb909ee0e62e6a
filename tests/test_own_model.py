"""A parametrisation that the library does not have, with states of its own: derived, printed and integrated."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import mpmath
import numpy as np
import pytest
import sympy as sp

from numerics.best.alignment import best_mu
from numerics.best.phases import phase_diagram
from numerics.flows.flow import Exit, Native, SciPy, integrate
from numerics.law import escape_law
from numerics.rates.search_time import search_time
from theory.errors import InputError, ParameterError
from theory.network.derivation import derive
from theory.network.models import TEACHER, AlignedLoRA, MisalignedLoRA, Model, Plain
from theory.network.system import System
from theory.network.vectors import Combination, Gram, Vector
from theory.search.critical import critical_strengths
from theory.search.law import escape_time
from theory.search.regimes import regime
from theory.symbols import mu, u
from theory.writing.document import document

p, n = sp.Symbol("p", real=True), sp.Symbol("n", positive=True)
nu = sp.Symbol("nu", positive=True)
FACTOR = Vector("v", "free")


@dataclass(frozen=True)
class FreeLoRA:
    """w = mu w* + u v, both u and v free."""

    name: str = "free LoRA"
    scalars: tuple[sp.Symbol, ...] = (u,)
    parameters: tuple[sp.Symbol, ...] = (mu,)
    target: Vector = TEACHER

    @property
    def gram(self) -> Gram:
        return Gram({(TEACHER, TEACHER): sp.S.One, (FACTOR, TEACHER): p, (FACTOR, FACTOR): n})

    @property
    def weight(self) -> Combination:
        return Combination.of({TEACHER: mu, FACTOR: u})

    @property
    def overlaps(self) -> Mapping[sp.Symbol, tuple[Vector, Vector]]:
        return {p: (FACTOR, TEACHER), n: (FACTOR, FACTOR)}

    @property
    def start(self) -> Mapping[sp.Symbol, sp.Expr]:
        return {u: sp.S.Zero, p: sp.S.Zero, n: sp.S.One}

    def check(self, values: Mapping[str, float]) -> None:
        assert 0 < values["mu"] <= 1


@dataclass(frozen=True)
class LongLoRA(FreeLoRA):
    """The same from |v|^2 = 4, at which u relaxes four times as fast."""

    @property
    def start(self) -> Mapping[sp.Symbol, sp.Expr]:
        return {u: sp.S.Zero, p: sp.S.Zero, n: sp.Integer(4)}


@dataclass(frozen=True)
class AnyLoRA(FreeLoRA):
    """The same from |v|^2 = nu, a parameter of its own."""

    parameters: tuple[sp.Symbol, ...] = (mu, nu)

    @property
    def start(self) -> Mapping[sp.Symbol, sp.Expr]:
        return {u: sp.S.Zero, p: sp.S.Zero, n: nu}


def decaying(student: str, decay: sp.Expr = sp.S.Half) -> System:
    """LoRA whose u also decays by itself."""
    system = derive(student)
    return replace(system, velocities={**system.velocities, u: system.velocities[u] - decay * u})


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


def test_prints_its_own_states_and_no_rho(system: System) -> None:
    shown, text = system.latex(), document(system)
    assert r"\frac{\mathrm{d} n}{\mathrm{d} t}" in shown
    assert r"\rho" not in shown
    assert "$p$ & p" in text


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


def growth(system: System, **values: float) -> float:
    """Return the log-slope of a tiny start along the leading eigenvector, on the integrated flow."""
    assert system.escape.jacobian is not None
    at = {symbol: values[symbol.name] for symbol in system.parameters if symbol.name in values}
    rates, vectors = np.linalg.eig(np.array(system.escape.jacobian.subs(at).evalf().tolist(), float))
    lead = int(np.argmax(rates.real))
    fixed = {s.name: float(v.subs(at)) for s, v in system.network.start.items()}
    tiny = dict(zip(fixed, 1e-9 * vectors[:, lead].real, strict=True))
    start = {name: fixed[name] + tiny[name] for name in fixed}
    lasts = float(np.log(100) / rates[lead].real)
    path = integrate(system, start, t_max=lasts, rtol=1e-11, **values)
    seen = max(tiny, key=lambda name: abs(tiny[name]))
    return float(np.log((float(path.states[seen][-1]) - fixed[seen]) / tiny[seen]) / lasts)


@pytest.mark.parametrize("kappa", [0, sp.Rational(1, 50)])
@pytest.mark.parametrize(
    ("made", "values"),
    [
        (lambda: derive("relu"), {"mu": 0.4}),
        (lambda: derive("he3"), {"mu": 0.2}),
        (lambda: derive("erf", "relu", alpha=2), {"mu": 0.4}),
        (lambda: derive("he2", model="misaligned"), {"mu": 0.3, "rho": 0.7}),
        (lambda: derive("he2", model="plain"), {}),
        (lambda: derive("relu", model=FreeLoRA()), {"mu": 0.4}),
        (lambda: derive("relu", model=LongLoRA()), {"mu": 0.4}),
        (lambda: derive("erf", model=AnyLoRA()), {"mu": 0.4, "nu": 2.5}),
        (lambda: decaying("relu"), {"mu": 0.4}),
        (lambda: decaying("he2", -sp.S.One), {"mu": 0.4}),
    ],
)
def test_the_rate_is_the_growth_of_the_integrated_flow(made, values: dict[str, float], kappa: sp.Expr) -> None:
    system = made().sgd(kappa)
    rate = float(system.escape.rate.subs({s: sp.Float(values[s.name]) for s in system.parameters}))
    assert growth(system, **values) == pytest.approx(rate, rel=1e-6)


def test_longer_factors_and_a_decay_have_the_rates_of_their_jacobians() -> None:
    """[[4 B, A], [A, 0]] and [[B - 1/2, A], [A, 0]]: lambda^2 - T lambda - A^2 = 0."""
    for system, trace in ((derive("relu", model=LongLoRA()), 4 * B), (decaying("relu"), B - mpmath.mpf("0.5"))):
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
    system = derive("relu", model=AnyLoRA())
    with pytest.raises(ParameterError, match="nu"):
        regime(system, 0.4)
    with pytest.raises(ParameterError, match="nu"):
        search_time(system, 0.4)
    four = search_time(derive("relu", model=LongLoRA()), 0.4)
    assert search_time(system, 0.4, parameters={"nu": 4}).tau == pytest.approx(four.tau, rel=1e-14)
    assert float(regime(system, 0.4, parameters={"nu": 4}).rate) == pytest.approx(four.rate, rel=1e-14)


def test_the_law_says_what_it_is_not_derived_for() -> None:
    for system in (derive("relu", model=LongLoRA()), decaying("relu")):
        with pytest.raises(InputError, match=r"search time of (22\.71|12\.03).*velocities of models lora"):
            escape_law(system, mu=0.4, dimension=1e4)


def test_prints_the_rate_of_its_jacobian() -> None:
    assert r"\mathrm{spec}" in document(derive("relu", model=LongLoRA()))


@dataclass(frozen=True)
class Renamed:
    """A model of the library's under another name: nothing may depend on what it is called."""

    of: Model
    name: str = "mine"

    def __getattr__(self, field: str) -> object:
        return getattr(self.of, field)


@pytest.mark.parametrize(
    ("kind", "place"), [(AlignedLoRA(), {"mu": 0.4}), (MisalignedLoRA(), {"mu": 0.3, "rho": 0.6}), (Plain(), {})]
)
def test_laws_and_regimes_do_not_depend_on_the_name(kind: Model, place: dict[str, float]) -> None:
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
    own, known = (
        derive("relu", model=made) for made in (Renamed(AlignedLoRA(scale=sp.S(-3))), AlignedLoRA(scale=sp.S(-3)))
    )
    assert (own.escape.scale, own.escape.square) == (-3, 9)
    assert escape_law(own, mu=0.4, dimension=1e5, kappa=0.1) == escape_law(known, mu=0.4, dimension=1e5, kappa=0.1)
