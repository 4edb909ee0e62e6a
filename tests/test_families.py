"""Numbers of families: against an independent quadrature, against each member, and what is compiled for all of them."""

import json
import re
from pathlib import Path

import mpmath
import numpy as np
import pytest
import sympy as sp
from sympy import Rational, Symbol

from hermescape import (
    Task,
    best_parameter,
    check_law,
    derive,
    escape_law,
    search_time,
    search_times,
    simulate,
    smoothing,
)
from numerics.compile import keeping
from numerics.flows.flow import Exit, SciPy, exit_times, integrate
from numerics.integrals.evaluate import value
from numerics.simulation.experiment import Experiment
from numerics.simulation.unrolled import _plan, _source
from numerics.sweep import sweep
from tests.networks import two_units
from tests.numerics.sweep_nursery import Inline
from theory.calculus.cache import dump, entry, load
from theory.calculus.expectations import GaussianMean
from theory.errors import InputError, ParameterError
from theory.language.activations import REGISTRY, activation
from theory.language.families import holds
from theory.language.parameters import declared, points
from theory.language.scalars import is_nonnegative_on, scalar
from theory.network.loss import Loss
from theory.network.system import System
from theory.symbols import mu, q, r, x

FAMILIES = {
    "erf(beta*x)": ("beta > 0", {"beta": "0.7"}),
    "x/(1 + exp(-beta*x))": ("beta", {"beta": "1.702"}),
    "max(x - beta, 0)": ("beta", {"beta": "0.3"}),
    "sin(beta*x)": ("beta", {"beta": "1.5"}),
    "tanh(beta*x)": ("beta", {"beta": "2"}),
}
# A, B, tau at mu = 0.4, by a quadrature of 30 digits that shares nothing with the code
REFERENCE = {
    "erf(beta*x)": (0.18072411577595453, -0.61518934302216512, 20.340701887243083),
    "x/(1 + exp(-beta*x))": (0.28736413613635536, -0.21278515894823487, 4.9991387632568100),
    "max(x - beta, 0)": (0.27148825589578290, 0.11215225879728676, 3.0003433647316629),
    "sin(beta*x)": (0.18577689432005997, -1.7215096471581740, 50.454230086178102),
    "tanh(beta*x)": (0.21844304186978096, -2.7990010469498849, 59.013036457092031),
}
SIX = {
    "erf(beta*x)": ["beta > 0"],
    "max(x, 0) + a*min(x, 0)": ["a"],
    "c1*x + c3*He(3, x)": ["c1", "c3"],
    "sin(beta*x)": ["beta > 0"],
    "exp(-beta*x**2)": ["beta > 0"],
    "x*(1 + erf(beta*x))/2": ["beta"],
}


def family(text: str, **options: object) -> System:
    return derive(text, parameters=[FAMILIES[text][0]] if text in FAMILIES else SIX[text], **options)  # type: ignore[arg-type]


# --- values -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", FAMILIES)
def test_values_of_an_independent_quadrature(text: str) -> None:
    _, values = FAMILIES[text]
    found = search_time(family(text), "0.4", parameters=values)
    for got, wanted in zip((found.A, found.B, found.tau), REFERENCE[text], strict=True):
        assert got == pytest.approx(wanted, rel=1e-11)


@pytest.mark.parametrize("text", ["erf(beta*x)", "tanh(beta*x)"])
def test_the_reference_itself(text: str) -> None:
    """A once more, by mpmath on its definition, with nothing of the package."""
    beta, m = mpmath.mpf(FAMILIES[text][1]["beta"]), mpmath.mpf("0.4")
    f = {"erf(beta*x)": mpmath.erf, "tanh(beta*x)": mpmath.tanh}[text]
    with mpmath.workdps(25):

        def integrand(z: mpmath.mpf) -> mpmath.mpf:
            slope = mpmath.diff(lambda w: f(beta * w), m * z)
            return z * slope * (f(beta * z) - f(beta * m * z)) * mpmath.exp(-z * z / 2)

        drive = mpmath.quad(integrand, [-14, -3, 0, 3, 14]) / mpmath.sqrt(2 * mpmath.pi)
    assert float(drive) == pytest.approx(REFERENCE[text][0], rel=1e-12)


@pytest.mark.parametrize("text", SIX)
def test_symbolic_results_at_random_points_equal_the_concrete_derivation(text: str) -> None:
    system = family(text)
    at = {q: Rational(3, 10), r: Rational(1, 2), mu: Rational(2, 5)}
    for point in points(system.network.domain, 20):
        member = system.member({s.name: v for s, v in point.items()})
        pairs = [(system.loss, member.loss), (system.escape.A, member.escape.A), (system.escape.B, member.escape.B)]
        for symbolic, concrete in pairs:
            got, wanted = (sp.N(f.subs(at).subs(point), 30) for f in (symbolic, concrete))
            assert abs(got - wanted) <= sp.Float("1e-12") * max(abs(wanted), sp.Float("1e-6"))


def test_across_the_border_of_chambers_each_value_has_its_own_formula() -> None:
    system = derive("max(x - b, 0) - max(x - c, 0)", parameters=["b", "c"])
    rng = np.random.default_rng(1)
    for b, c in [*rng.uniform(-1.5, 1.5, (8, 2)).round(3).tolist(), [0.5, 0.5000001], [0.5, 0.4999999]]:
        found = search_time(system, 0.4, b=b, c=c)
        wanted = search_time(f"max(x - ({b}), 0) - max(x - ({c}), 0)", 0.4)
        assert pytest.approx(wanted.A, rel=1e-9, abs=1e-13) == found.A
        assert pytest.approx(wanted.B, rel=1e-9, abs=1e-13) == found.B
    assert search_time(system, 0.4, b=0.5, c=0.5).tau is None  # on the wall: sigma = 0


def test_a_formula_refuses_values_of_another_chamber() -> None:
    system = derive("max(x - b, 0) - max(x - c, 0)", parameters=["b", "c"], near={"b": 0, "c": 1})
    assert holds(system.conditions, dict(zip(system.network.parameters_of_functions, (0, 1), strict=True)))
    with pytest.raises(ParameterError, match=r"accepted with this formula: b < c"):
        system.network.accepts({"mu": 0.4, "b": 2.0, "c": 1.0})


# --- identities -------------------------------------------------------------------------------------------------

beta, a = Symbol("beta", positive=True), Symbol("a", real=True)


def test_leaky_relu_leaves_earlier_by_one_plus_the_square_of_its_slope() -> None:
    leaky, relu = family("max(x, 0) + a*min(x, 0)"), derive("relu")
    assert sp.factor(leaky.escape.A - (1 + a**2) * relu.escape.A) == 0
    assert sp.factor(leaky.escape.B - (1 + a**2) * relu.escape.B) == 0
    for slope in (Rational(-3, 2), Rational(1, 5), Rational(7, 3)):
        ratio = leaky.escape.tau.subs(a, slope) * (1 + slope**2) / relu.escape.tau
        assert abs(sp.N(ratio.subs(mu, Rational(2, 7)), 30) - 1) < 1e-25
    assert sp.expand(leaky.loss.subs(a, 1) - derive("linear").loss) == 0
    assert sp.simplify(leaky.loss.subs(a, -1) - derive("abs").loss) == 0


def test_erf_goes_from_linear_to_sign() -> None:
    system = family("erf(beta*x)")
    assert sp.simplify(system.loss.subs(beta, 1) - derive("erf").loss) == 0
    kernel, sign = system.loss_function.kernel(), derive("sign", model="plain").loss_function.kernel()
    at = {q: Rational(3, 10), r: Rational(1, 2)}
    assert sp.simplify(sp.limit(kernel.subs(at), beta, sp.oo) - sign.subs(at)) == 0
    linear = derive("linear").loss_function.kernel()
    assert sp.limit(kernel.subs(at) / beta**2, beta, 0) == 4 / sp.pi * linear.subs(at)
    slope = sp.limit(system.escape.B.subs(mu, Rational(1, 2)) / beta, beta, sp.oo)  # B diverges like beta
    assert slope.is_finite
    assert slope < 0


def test_a_line_and_a_cubic() -> None:
    c1, c3 = sp.symbols("c1 c3", real=True)
    drive = sp.cancel(family("c1*x + c3*He(3, x)").escape.A / (1 - mu))
    wanted = c1**2 + 3 * c1 * c3 * (4 * mu**2 + mu - 1) + 9 * c3**2 * mu * (5 * mu**3 + 5 * mu**2 + mu - 1)
    assert sp.expand(drive - wanted) == 0


@pytest.mark.parametrize("text", ["erf(beta*x)", "tanh(beta*x)", "max(x - beta, 0)"])
def test_a_derivative_of_tau_by_the_parameter(text: str) -> None:
    system = derive(text, parameters={"beta": "> 0"})
    there, step = {mu: Rational(2, 5), beta: Rational(7, 10)}, Rational(1, 10**5)
    tau = system.escape.tau
    ahead, behind = (value(tau, {**there, beta: there[beta] + side * step}, digits=20).value for side in (1, -1))
    got = value(tau.diff(beta), there, digits=15).value
    assert float(got) == pytest.approx(float((ahead - behind) / (2 * step)), rel=1e-8)


# --- the registry -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REGISTRY)
def test_a_scale_of_one_changes_nothing(name: str) -> None:
    scaled = derive(f"{name}(beta*x)", parameters={"beta": "> 0"})
    plain = derive(name)
    assert scaled.member(beta=1).loss_function.student.expr == plain.loss_function.student.expr
    if plain.escape.B is None:  # a jump: no search, but a loss
        at = {q: Rational(3, 10), r: Rational(1, 2)}
        assert sp.simplify(scaled.loss.subs(beta, 1).subs(at) - plain.loss.subs(at)) == 0
        return
    got, wanted = search_time(scaled, 0.4, beta=1), search_time(plain, 0.4)
    for mine, known in zip((got.A, got.B, got.tau), (wanted.A, wanted.B, wanted.tau), strict=True):
        assert f"{mine:.8g}" == f"{known:.8g}"


# --- arrays, flows and simulations ------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["erf(beta*x)", "tanh(beta*x)"])
def test_arrays_of_parameters_equal_points(text: str) -> None:
    system, scales = family(text), np.linspace(0.5, 2.0, 7)
    curve = search_times(system, 0.4, beta=scales)
    for i, scale in enumerate(scales):
        assert curve.tau[i] == pytest.approx(search_time(system, 0.4, beta=float(scale)).tau, rel=1e-9)
    with pytest.raises(ParameterError, match="gamma given as an array"):
        search_times(system, 0.4, parameters={"gamma": scales})
    with pytest.raises(ParameterError):
        search_times(system, 0.4, beta=[[1.0]])


@pytest.mark.parametrize("text", ["erf(beta*x)", "max(x - beta, 0)", "tanh(beta*x)"])
def test_a_flow_takes_the_parameter_at_run_time(text: str) -> None:
    system = family(text)
    start, stop = {"u": 1e-4, "m": 0.05}, Exit(0.5)
    for scale in (0.4, 0.9):
        got = integrate(system, start, event=stop, t_max=1e4, mu=0.3, beta=scale)
        wanted = integrate(system.member(beta=scale), start, event=stop, t_max=1e4, mu=0.3)
        assert got.exit_time == pytest.approx(wanted.exit_time, rel=1e-9)
    slow = integrate(system, start, event=stop, t_max=1e4, mu=0.3, beta=0.9, engine=SciPy())
    assert slow.exit_time == pytest.approx(got.exit_time, rel=1e-6)
    with pytest.raises(ParameterError):
        integrate(system, start, event=stop, t_max=1e4, mu=0.3)


def count(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count the modules that are compiled, each by its source."""
    compiled: list[str] = []
    original = keeping._generated.__wrapped__

    def noted(*args: object, **options: object) -> object:
        compiled.append(str(args[0]))
        return original(*args, **options)

    monkeypatch.setattr(keeping, "_generated", noted)
    return compiled


def test_a_thousand_values_compile_once(monkeypatch: pytest.MonkeyPatch) -> None:
    system, start = family("erf(beta*x)"), {"u": 1e-4, "m": 0.05}
    scales = np.linspace(0.4, 2.0, 1000)
    exits = exit_times(system, start, event=Exit(0.5), t_max=1e4, mu=0.3, beta=scales)
    assert exits.exit_time.notnull().all()
    compiled = count(monkeypatch)
    again = exit_times(system, start, event=Exit(0.5), t_max=1e4, mu=0.3, beta=scales + 0.01)
    assert again.exit_time.notnull().all()
    assert len(set(compiled)) <= 2  # velocity and Jacobian
    one = integrate(system, start, event=Exit(0.5), t_max=1e4, mu=0.3, beta=float(scales[500]))
    assert exits.exit_time.values[500] == pytest.approx(one.exit_time, rel=1e-9)


@pytest.mark.parametrize("text", ["erf(beta*x)", "max(x - beta, 0)", "tanh(beta*x)"])
def test_simulations_of_a_thousand_members_have_one_kernel(text: str) -> None:
    network = family(text).network
    settings = {"mu": 0.4, "dimension": 200, "batch": 50, "step_size": 0.2}
    plans = {_plan(Experiment.of(network, beta=scale, **settings))[0] for scale in np.linspace(0.4, 2, 1000).tolist()}
    assert len({_source(plan, noisy=False, rotated=False) for plan in plans}) == 1


@pytest.mark.slow
@pytest.mark.parametrize("text", ["erf(beta*x)", "max(x, 0) + beta*min(x, 0)", "sin(beta*x)"])
@pytest.mark.parametrize("scale", [0.4, 0.8])
def test_the_law_of_a_member_is_that_of_exact_simulation(text: str, scale: float) -> None:
    task = Task(text, parameters={"beta": scale})
    report = check_law(task, mu=[0.4], dimensions=[10**3, 10**5], replicas=500, seed=1)
    assert report.passed


@pytest.mark.parametrize("text", ["erf(beta*x)", "max(x - beta, 0)", "tanh(beta*x)"])
def test_a_simulation_of_a_family_is_that_of_its_member(text: str) -> None:
    setting = {"mu": 0.4, "dimension": 200, "batch": 50, "step_size": 0.2, "replicas": 8, "seed": 3, "max_steps": 3000}
    for scale in (0.5, 1.1):
        kept = simulate(activation(text, "beta"), parameters={"beta": scale}, **setting)
        put = simulate(activation(text, "beta").at({"beta": scale}), **setting)
        assert np.allclose(kept.exit_steps, put.exit_steps, rtol=0, atol=1)  # the last bit of an exponent may differ


def test_text_with_values_declares_its_own_parameters() -> None:
    sample = simulate("erf(beta*x)", parameters={"beta": 0.7}, mu=0.4, dimension=100, replicas=4, max_steps=2000)
    assert sample.counts.exited + sample.counts.censored == 4
    assert Task("erf(beta*x)", parameters={"beta": 0.7}).system().network.student == activation("erf(0.7*x)")
    with pytest.raises(ParameterError, match="no beta given"):
        simulate(activation("erf(beta*x)", "beta"), mu=0.4, dimension=100)
    with pytest.raises(ParameterError, match="gamma"):
        Task("erf", parameters={"gamma": 0.7})


def test_a_function_and_its_network_do_not_share_a_letter() -> None:
    with pytest.raises(Exception, match="parameter c of a function given"):
        derive("tanh(c*x)", parameters="c", model="pretrain")
    assert x not in derive("tanh(c*x)", parameters="c").parameters


# --- sweeps -----------------------------------------------------------------------------------------------------


def test_a_sweep_has_the_parameter_as_an_axis() -> None:
    scales = [0.5, 1.0, 1.5]
    config = {
        "kind": "flow",
        "fixed": {"student": "erf(beta*x)", "dimension": 1e4},
        "grid": {"mu": [0.2, 0.4], "beta": scales},
        "parameters": {"beta": "> 0"},
    }
    table = sweep(config, executor=Inline())
    assert (table.status == "ok").all()
    for scale in scales:
        wanted = search_time(family("erf(beta*x)"), 0.4, beta=scale).tau
        assert table.tau.sel(mu=0.4, beta=scale).item() == pytest.approx(wanted, rel=1e-12)
    sampled = {
        "kind": "montecarlo",
        "samples": True,
        "fixed": {"student": "max(x - b, 0) - max(x - c, 0)", "mu": 0.3, "c": 0.5, "dimension": 100, "replicas": 4},
        "grid": {"b": [-0.5, 0.5, 1.0]},  # two chambers, and the wall where the function vanishes
        "parameters": {"b": "real", "c": "real"},
    }
    with pytest.raises(ParameterError, match="parameter c declared, a name of a sweep already"):
        sweep(sampled | {"fixed": {**sampled["fixed"], "max_steps": 500}}, executor=Inline())
    renamed = json.loads(json.dumps(sampled).replace('"c"', '"b2"').replace("x - c", "x - b2"))
    status = sweep(renamed | {"fixed": {**renamed["fixed"], "max_steps": 500}}, executor=Inline()).status
    assert status.values.tolist() == ["ok", "failed", "ok"]


@pytest.mark.parametrize("kind", ["flow", "montecarlo"])
def test_a_sweep_of_noise_and_scale(kind: str) -> None:
    fixed = {"student": "erf(b*x)", "mu": 0.4, "dimension": 200, "batch": 50, "step_size": 0.2}
    fixed |= {"replicas": 4, "max_steps": 500} if kind == "montecarlo" else {}
    config = {
        "kind": kind,
        "fixed": {**fixed, "noise": "b**2", "scale": "b + 1/2"},
        "grid": {"b": [0.5, 1.0]},
        "parameters": {"b": "> 0"},
    }
    table = sweep(config, executor=Inline())
    assert (table.status == "ok").all()
    one = {"kind": kind, "grid": {"scale": [1.0]}, "fixed": {**fixed, "student": "erf(0.5*x)", "noise": 0.25}}
    if kind == "flow":
        typed = sweep(one, executor=Inline())
        assert table.exit_time.values[0] == pytest.approx(typed.exit_time.values[0], rel=1e-9)
    with pytest.raises(ParameterError, match="not proved to be >= 0"):
        sweep(config | {"fixed": {**fixed, "noise": "b - 1"}}, executor=Inline())
    with pytest.raises(ParameterError, match="noise = 'b'"):
        sweep(one | {"fixed": {**fixed, "student": "erf", "noise": "b"}}, executor=Inline())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"parameters": {"beta": "> 0"}, "grid": {"mu": [0.2]}}, "no beta given"),
        ({"parameters": {"beta": "> 0"}, "grid": {"beta": [-1.0]}}, "beta = -1"),
        ({"parameters": {"x": "> 0"}, "grid": {"x": [1.0]}}, "letter of the theory"),
        ({"grid": {"beta": [1.0]}}, "parameter beta given"),
        ({"parameters": {"beta": "", "b": ""}, "grid": {"beta": [1.0], "b": [1.0]}}, "b declared, which is in none"),
    ],
)
def test_a_sweep_refuses_parameters_without_sense(change: dict, said: str) -> None:
    config = {"kind": "flow", "fixed": {"student": "erf(beta*x)", "dimension": 1e4}, **change}
    with pytest.raises(ParameterError, match=said):
        sweep(config, executor=Inline())


# --- label noise and scale --------------------------------------------------------------------------------------

SETTING = {"noise": "c", "alpha": "b", "parameters": ["c >= 0", "b > 0"]}
PLACES = [{"c": 0.3, "b": 0.5}, {"c": 1.5, "b": 2.0}]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("text", ["erf", "relu"])
def test_noise_and_scale_of_a_family_equal_numbers(text: str, place: dict[str, float]) -> None:
    system, typed = derive(text, **SETTING), derive(text, noise=place["c"], alpha=place["b"])
    assert [s.name for s in system.parameters] == ["mu", "b", "c"]
    member = system.member(place)
    assert (member, member.network, member.loss) == (typed, typed.network, typed.loss)
    symbols = {p.symbol: Rational(str(place[p.name])) for p in system.network.domain}
    at = {**symbols, q: Rational(3, 10), r: Rational(1, 2), mu: Rational(2, 5)}
    for name, wanted in typed.diffusion_functions.items():  # J among them, and all that the noise matrix is made of
        got, known = (float(value(f, at, digits=20).value) for f in (system.diffusion_functions[name], wanted))
        assert got == pytest.approx(known, rel=1e-12)
    for got, known in zip(system.diffusion.subs(symbols), typed.diffusion, strict=True):
        assert sp.expand(got - known) == 0
    assert search_time(system, 0.4, **place).tau == pytest.approx(search_time(typed, 0.4).tau, rel=1e-12)
    setting = {"mu": 0.4, "dimension": 1e5, "kappa": 1, "by": "formula"}
    law, wanted, quiet = (
        escape_law(system, **setting, **place),
        escape_law(typed, **setting),
        escape_law(text, **setting),
    )
    assert law.median == pytest.approx(wanted.median, rel=1e-12)
    assert law.median != pytest.approx(quiet.median)


@pytest.mark.parametrize("place", PLACES)
def test_noise_and_scale_without_a_closed_form(place: dict[str, float]) -> None:
    system, typed = derive("tanh", **SETTING), derive("tanh", noise=place["c"], alpha=place["b"])
    at = {mu: Rational(2, 5), **{p.symbol: Rational(str(place[p.name])) for p in system.network.domain}}
    got, wanted = (f.loss_function.noise(mu, mu**2) for f in (system, typed))
    assert float(value(got, at).value) == pytest.approx(float(value(wanted, at).value), rel=1e-12)
    assert not any(c in f.args[0].free_symbols for c in at for f in got.atoms(GaussianMean))  # integrals without noise
    assert search_time(system, 0.4, **place).tau == pytest.approx(search_time(typed, 0.4).tau, rel=1e-12)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("label", [None, "y**2"])
def test_simulations_with_noise_and_scale_of_a_family(label: str | None, place: dict[str, float]) -> None:
    setting = {"mu": 0.4, "dimension": 200, "batch": 50, "step_size": 0.1, "replicas": 6, "seed": 3, "max_steps": 2000}
    kept = simulate("erf", noise="c", scale="b", parameters=place, label=label, **setting)
    typed = simulate("erf", noise=place["c"], scale=place["b"], label=label, **setting)
    assert kept.exit_steps.tolist() == typed.exit_steps.tolist()
    assert kept.experiment.parameters()["noise"] == place["c"]
    plain = simulate("erf", label=label, **setting)
    assert kept.exit_steps.tolist() != plain.exit_steps.tolist()


def test_simulations_and_flows_of_noise_and_scale_compile_once(monkeypatch: pytest.MonkeyPatch) -> None:
    system, setting = derive("erf", **SETTING), {"mu": 0.4, "dimension": 200, "batch": 50, "step_size": 0.2}
    values = np.linspace(0.2, 2, 200).tolist()
    plans = {_plan(Experiment.of(system.network, b=v, c=v / 2, **setting))[0] for v in values}
    assert len({_source(plan, noisy=True, rotated=False) for plan in plans}) == 1
    noisy, start, stop = system.sgd(), {"u": 1e-4, "m": 0.05}, Exit(0.5)
    options = {"event": stop, "t_max": 1e4, "mu": 0.3, "kappa": 0.1}
    compiled = count(monkeypatch)
    exits = exit_times(noisy, start, b=np.array(values), c=np.array(values) / 2, **options)
    assert len(set(compiled)) <= 2  # velocity and Jacobian
    assert exits.exit_time.notnull().all()
    one = derive("erf", noise=values[50] / 2, alpha=values[50]).sgd()
    wanted = integrate(one, start, **options).exit_time
    assert exits.exit_time.values[50] == pytest.approx(wanted, rel=1e-9)


def test_curves_over_the_scale() -> None:
    system = derive("erf", alpha="b", parameters="b > 0")
    curve = search_times(system, 0.4, b=[0.5, 2.0])
    assert curve.tau == pytest.approx([search_time(derive("erf", alpha=s), 0.4).tau for s in (0.5, 2.0)], rel=1e-9)
    best = best_parameter(derive("relu", alpha="b", parameters="b > 0"), "b", mu="2/5")
    assert (best.value, best.time, best.exact) == (sp.oo, Rational(50, 9), True)  # |B|/A^2
    assert best_parameter(system, "b", mu=0.4, between=(1, 2)).end == "high"
    with pytest.raises(ParameterError, match="tau does not depend on"):
        best_parameter(derive("erf", noise="c", parameters="c > 0"), "c", mu=0.4)


def test_functions_noise_and_scale_share_a_parameter() -> None:
    scale = Symbol("b", positive=True)
    system = derive(sp.erf(scale * x), noise=scale**2, alpha=scale + 1)
    assert system.parameters == (mu, scale)
    typed = derive("erf(x/2)", noise=0.25, alpha=1.5)
    assert search_time(system, 0.4, b=0.5).tau == pytest.approx(search_time(typed, 0.4).tau, rel=1e-12)
    assert system.member(b=0.5).loss == typed.loss
    assert Task(sp.erf(scale * x), noise=scale, parameters={"b": 0.5}, mu=0.4).member == Task(
        "erf(0.5*x)", noise=0.5, mu=0.4
    )


def test_derivations_that_differ_in_a_domain_alone_are_two() -> None:
    for options in ({"noise": "c"}, {"alpha": "c"}, {"label": "abs(y)**c"}):
        domains = [derive("erf", parameters=f"0 < c < {end}", **options).network.domain for end in (2, 3)]
        assert [str(domain[0]) for domain in domains] == ["0 < c < 2", "0 < c < 3"]


def test_a_smoothed_label_keeps_its_noise() -> None:
    system = derive("erf", label="y**3", noise="c", parameters="c >= 0")
    typed = derive("erf", label="y**3", noise=0.3)
    assert search_time(system, 0.4, c=0.3).tau == pytest.approx(search_time(typed, 0.4).tau, rel=1e-12)
    assert search_time(system, 0.4, c=0).tau == pytest.approx(search_time(derive("erf", label="y**3"), 0.4).tau)
    with pytest.raises(ParameterError, match="> 0 where c >= 0"):
        derive("erf", label="sin(y)", noise="c", parameters="c >= 0")


@pytest.mark.parametrize(
    ("given", "domain", "positive", "holds_there"),
    [
        ("c", "c >= 0", False, True),
        ("c", "c >= 0", True, False),
        ("c", "c", False, False),
        ("c**2", "c", False, True),
        ("c**2", "c != 0", True, True),
        ("2 - c", "0 < c <= 2", False, True),
        ("2 - c", "0 < c <= 2", True, False),
        ("2 - c", "0 < c < 2", True, True),
        ("(c - 1)**2", "c", False, True),
        ("(c - 1)**2", "c", True, False),
        ("c - 1", "c > 0", False, False),
        ("c**3", "c", False, False),
        ("1/c", "c >= 0", False, False),
        ("1/c", "c > 0", True, True),
        ("1/(c - 1)**2", "c > 0", False, False),
        ("c*(3 - c) + 1", "0 <= c <= 3", True, True),
        ("exp(c)", "c", True, True),
        ("log(c)", "c > 1", False, False),
    ],
)
def test_signs_of_noise_and_scale_are_proved(given: str, domain: str, positive: bool, holds_there: bool) -> None:
    own = declared(domain)
    if holds_there:
        assert is_nonnegative_on(scalar(given, "noise", own, positive=positive), own, strictly=positive)
        return
    with pytest.raises(ParameterError, match="not proved to be"):
        scalar(given, "noise", own, positive=positive)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"noise": "c"}, "noise = 'c' given; accepted: a number, or an expression of declared parameters"),
        ({"noise": Symbol("mu")}, "mu is a letter of the theory"),
        ({"noise": "c", "parameters": "c"}, "not proved to be >= 0 where c real"),
        ({"alpha": "c", "parameters": "c >= 0"}, "not proved to be > 0 where c >= 0"),
        ({"alpha": "c", "parameters": "c > 0", "model": "plain"}, "model 'plain'"),
        ({"noise": "c", "parameters": "c > 0", "model": "pretrain"}, "parameter c"),
        ({"noise": "__import__('os')"}, "accepted: a number"),
        ({"noise": "x", "parameters": "c"}, "accepted: a number"),
        ({"noise": -1}, "accepted: a finite variance"),
        ({"noise": "-1"}, "accepted: a finite variance"),
    ],
)
def test_noise_and_scale_without_sense_are_refused(options: dict, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        derive("erf", **options)


# --- letters ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "b", "c", "p", "gamma", "np", "a1", "rows", "state", "m0"])
def test_any_free_letter_gives_the_same_numbers(name: str) -> None:
    setting = {"mu": 0.4, "dimension": 100, "replicas": 4, "max_steps": 300, "seed": 1}
    got = simulate(f"erf({name}*x)", parameters={name: 0.7}, **setting).exit_steps
    assert got.tolist() == simulate("erf(0.7*x)", **setting).exit_steps.tolist()
    assert search_time(derive(f"erf({name}*x)", parameters=name), 0.4, parameters={name: 0.7}).tau == pytest.approx(
        REFERENCE["erf(beta*x)"][2], rel=1e-12
    )


def test_letters_that_are_used_inside_do_not_meet_those_of_a_function() -> None:
    smoothed = smoothing(activation("max(x, 0) + a*min(x, 0)", "a"))
    at = {Symbol("M", real=True): Rational(1, 2), r: Rational(1, 3), a: Rational(1, 5)}
    single = smoothing("max(x, 0) + min(x, 0)/5", Rational(1, 2), Rational(1, 3))
    assert abs(sp.N(smoothed.subs(at) - single, 20)) < 1e-15
    two = two_units(activation("erf(c*x)", "c > 0"))
    c = two.parameters_of_functions[0]
    whole, member = Loss(two), Loss(two.member({"c": 2}))
    place = {s: Rational(k + 1, 9) for k, s in enumerate(sorted(member.value.free_symbols, key=str))}
    assert abs(sp.N(whole.value.subs(c, 2).subs(place) - member.value.subs(place), 20)) < 1e-12


def test_a_derivation_of_a_family_is_kept_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERMESCAPE_CACHE", str(tmp_path))
    for symbol in (beta, a, Symbol("b", nonnegative=True), Symbol("b", real=True, nonzero=True)):
        assert load(json.loads(json.dumps(dump(sp.erf(symbol * x))))) == sp.erf(symbol * x)
    for stranger in (sp.Dummy("b"), Symbol("b", integer=True), Symbol("b.c", real=True)):
        assert entry("name", stranger) is None
    with pytest.raises(ValueError, match="no name of a symbol"):
        load(["S", "__import__('os')", "real"])


def test_a_parameter_that_cancels_has_no_effect() -> None:
    family = derive("sign(beta*x)*tanh(x) + x", parameters={"beta": "> 0"})
    assert [p.name for p in family.idle] == ["beta"]
    plain = search_time(family, mu=0.4)
    assert search_time(family, mu=0.4, beta=1) == plain
    assert search_times(family, [0.4], beta=[1, 2]).tau == pytest.approx(plain.tau)
    with pytest.raises(ParameterError, match="beta"):
        search_time(family, mu=0.4, beta=-1)
