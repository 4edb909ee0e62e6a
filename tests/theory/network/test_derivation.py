"""Slopes and velocities of any network against differences of its loss in the vectors themselves, to 1e-9."""

from dataclasses import replace

import mpmath
import pytest
import sympy as sp

from tests.networks import SHARED, U, dot, loss_of, of, realise, two_units, weight
from theory.errors import InputError, ParameterError
from theory.language.activations import activation
from theory.language.labels import labels
from theory.network.constraints import Free, Sphere
from theory.network.derivation import derive, system_of
from theory.network.models import MODELS, TEACHER, AlignedLoRA, MisalignedLoRA
from theory.network.objectives import OBJECTIVES
from theory.network.ridges import Network, Ridge, Teacher
from theory.network.vectors import Combination, Gram, Vector
from theory.symbols import alpha

POINT = {"mu": sp.Rational(3, 10), "rho": sp.Rational(7, 10), "c": sp.Rational(3, 5), "alpha": sp.Rational(17, 10)}
STEP = mpmath.mpf(10) ** -11


def decayed() -> Network:
    """A free adapter with weight decay on both factors."""
    free = Vector("v", Free())
    p, n = sp.Symbol("p", real=True), sp.Symbol("n", positive=True)
    base = of(AlignedLoRA(), "erf", "relu")
    u = base.scalars[0]
    return replace(
        base,
        ridges=(Ridge(sp.S.One, base.student, Combination.of({TEACHER: POINT["mu"], free: u})),),
        gram=Gram({(TEACHER, TEACHER): sp.S.One, (free, TEACHER): p, (free, free): n}),
        overlaps={p: (free, TEACHER), n: (free, free)},
        parameters=(),
        penalty={u: sp.Rational(1, 5), free: sp.Rational(1, 7)},
    )


def with_amplitude() -> Network:
    """A unit whose output weight is trained, on a teacher of another length."""
    a, m = sp.symbols("a m", real=True)
    v, target = Vector("v", Sphere()), Vector("w*")
    return Network(
        name="trained amplitude",
        ridges=(Ridge(a, activation("relu"), Combination.of(v)),),
        teacher=Teacher((Ridge(sp.Integer(2), activation("erf"), Combination.of(target)),)),
        gram=Gram({(target, target): sp.Rational(5, 4), (v, target): m, (v, v): sp.S.One}),
        overlaps={m: (v, target)},
        scalars=(a,),
    )


NETWORKS = {
    **{name: of(model, "erf", "relu") for name, model in MODELS.items()},
    "scaled lora": of(AlignedLoRA(scale=alpha), "erf", "relu"),
    "scaled misaligned": of(MisalignedLoRA(scale=alpha), "relu"),
    **{f"two units, {name}": two_units(name, sp.Rational(1, 4)) for name in ("erf", "relu", "he3")},
    "decay": decayed(),
    "trained amplitude": with_amplitude(),
}
CORRELATED = (
    "lora",
    "misaligned",
    "plain",
    "pretrain",
    "two units, erf",
    "two units, relu",
    "decay",
    "trained amplitude",
)
NETWORKS |= {f"{name}, correlation loss": replace(NETWORKS[name], objective="correlation") for name in CORRELATED}


@pytest.mark.parametrize("name", NETWORKS)
def test_velocities_are_projected_gradients_in_the_vectors(name: str) -> None:
    system = system_of(NETWORKS[name])
    network = system.network
    with mpmath.workdps(40):
        given = {p: POINT[p.name] for p in network.parameters}
        scalars = {s: mpmath.mpf(3 + k) / 10 for k, s in enumerate(network.scalars)}
        vectors = realise(network, given, 9, seed=5)
        values = {**{p: mpmath.mpf(str(sp.N(x, 40))) for p, x in given.items()}, **scalars}

        def slope(change) -> mpmath.mpf:
            return (loss_of(system, *change(STEP)) - loss_of(system, *change(-STEP))) / (2 * STEP)

        gradients = {}
        for v in network.vectors:
            entries = []
            for i in range(9):

                def moved(h: mpmath.mpf, v: Vector = v, i: int = i):
                    other = vectors[v].copy()
                    other[i] += h
                    return {**vectors, v: other}, values

                entries.append(slope(moved))
            gradients[v] = mpmath.matrix(entries)
            if isinstance(v.constraint, Sphere):
                gradients[v] -= dot(gradients[v], vectors[v]) * vectors[v]
        state = {key: dot(vectors[a], vectors[b]) for key, (a, b) in network.overlaps.items()}
        entries = {
            key: dot(weight(left, vectors, values), weight(right, vectors, values))
            for key, (left, right) in network.entries.items()
        }
        at = {**values, **state}
        inner = {key: sp.N(f.subs(entries).subs(at), 30) for key, f in system.loss_function.slopes.items()}

        def velocity(key: sp.Symbol) -> mpmath.mpf:
            return mpmath.mpf(str(sp.N(system.velocities[key].subs(inner).subs(at), 30)))

        for s in network.scalars:
            expected = -slope(lambda h, s=s: (vectors, {**values, s: values[s] + h}))
            assert abs(velocity(s) - expected) < 1e-9, s
        for key, (a, b) in network.overlaps.items():
            pairs = [(x, y) for x, y in ((a, b), (b, a)) if x.is_trained]
            expected = -sum(dot(gradients[x], vectors[y]) for x, y in pairs)
            assert abs(velocity(key) - expected) < 1e-9, key


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("name", ["erf", "relu", "he3"])
def test_slopes_of_two_units_are_differences_of_their_loss(name: str, objective: str) -> None:
    system = system_of(replace(two_units(name), objective=objective))
    at = dict(zip(system.states, map(sp.Rational, ("3/10", "-1/5", "1/10", "1/4", "3/20", "-1/10")), strict=True))
    entries = {key: f.subs(at) for key, f in system.entries.items()}
    for key, slope in system.network.slopes.items():
        rest = {other: value for other, value in entries.items() if other != key}
        line = system.loss.subs(rest)
        h = sp.Rational(1, 10**11)
        difference = (line.subs(key, entries[key] + h) - line.subs(key, entries[key] - h)).evalf(40) / (2 * h)
        assert abs(system.loss_function.slopes[slope].subs(entries).evalf(30) - difference) < 1e-9


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_noise_of_two_equal_units_is_that_of_one(objective: str) -> None:
    """C_ik = E[c_i c_k] with equal weights and amplitudes: J of one unit of twice the amplitude, in quarters."""
    f, target, v = activation("erf"), Vector("w*"), Vector("v", Sphere())
    m = sp.Symbol("m", real=True)
    half = Ridge(sp.S.Half, f, Combination.of(v))
    network = Network(
        name="twins",
        ridges=(half, half),
        teacher=Teacher((Ridge(sp.S.One, f, Combination.of(target)),)),
        gram=Gram({(target, target): sp.S.One, (v, target): m, (v, v): sp.S.One}),
        overlaps={m: (v, target)},
        objective=objective,
    )
    twin, one = system_of(network), derive("erf", model="plain", objective=objective)
    at = {m: sp.Rational(2, 5)}
    entries = {key: f.subs(at) for key, f in twin.entries.items()}
    known = (one.loss_function.noise() / 4).subs({key: f.subs(at) for key, f in one.entries.items()}).evalf(20)
    covariance = twin.loss_function.noise_covariance()
    for value in covariance[0, 0], covariance[1, 1]:
        assert abs(value.subs(entries).evalf(20) - known) < 1e-15
    found = []
    for system in (twin, one):
        noisy = system.sgd()
        drift = noisy.velocities[m] - system.velocities[m]
        numbers = {key: f.subs(at) for key, f in system.entries.items()}
        found.append(sp.N(drift.subs(noisy.functions).subs(numbers).subs(at), 20))
    assert sp.expand(found[0] - found[1]).subs(sp.Symbol("kappa", nonnegative=True), 1) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"penalty": {sp.Symbol("w"): sp.S.One}}, "penalty on w"),
        ({"objective": "logistic"}, "'squared', .*, or 'correlation'"),
        ({"objective": ["squared"]}, "accepted: 'squared'"),
        (
            {
                "parameters": (sp.Symbol("beta", real=True),),
                "ridges": (replace(of(AlignedLoRA()).ridges[0], function=activation("erf(beta*x)", "beta")),),
            },
            "parameter beta of a function",
        ),
        ({"ridges": ()}, "without units"),
        ({"overlaps": {}}, "without units"),
    ],
)
def test_descriptions_that_say_nothing_sensible_are_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        replace(of(AlignedLoRA()), **change)


def test_single_index_questions_to_two_units_are_refused() -> None:
    network = two_units("erf")
    with pytest.raises(InputError, match="single-index"):
        _ = network.student
    with pytest.raises(InputError, match="one ridge"):
        replace(network, teacher=replace(network.teacher, labels=labels("erf")))
    assert network.vectors == (SHARED,)
    assert network.scalars == U


def test_values_are_asked_for_by_name() -> None:
    network = of(MisalignedLoRA())
    with pytest.raises(ParameterError, match=r"mu.*rho"):
        network.at(mu=0.3)
    with pytest.raises(ParameterError, match="c"):
        network.at(mu=0.3, rho=0.5, c=1.0)
    with pytest.raises(ParameterError, match="rho >="):
        network.at(mu=0.6, rho=0.5)
