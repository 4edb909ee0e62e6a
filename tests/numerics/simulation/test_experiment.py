"""What an experiment accepts, what it starts from, and what it says of itself."""

from typing import Any

import numpy as np
import pytest
import sympy as sp

from hermescape import api
from numerics.simulation import montecarlo
from numerics.simulation.experiment import SGD, Experiment, Runs, Stop
from tests.numerics.simulation.cases import made, noisy, same
from theory.errors import InputError, ParameterError
from theory.language.activations import activation
from theory.language.labels import labels
from theory.network.constraints import Sphere
from theory.network.derivation import network_of
from theory.network.models import AlignedLoRA
from theory.network.ridges import Network, Ridge, Teacher
from theory.network.vectors import Combination, Gram, Vector
from theory.symbols import Delta, m, u, x, y

ALIGNED: dict[str, Any] = {
    **{"mu": 0.4, "dimension": 5, "batch": 10, "step_size": 0.2, "threshold": 0.6, "replicas": 20, "seed": 1},
    **{"max_steps": 150, "initial_scale": 0.1},
}
PLAIN = ALIGNED | {"model": "plain", "mu": None, "initial_scale": None}
PRETRAIN = ALIGNED | {"model": "pretrain", "mu": None, "c": 0.6, "initial_scale": 0.7}


def test_default_scale() -> None:
    assert made("linear", ALIGNED | {"initial_scale": None, "dimension": 10}).initial == {"u": 0.01, "v": 1.0}
    assert made("linear", PLAIN).initial == {"v": 1.0}
    assert made("linear", PRETRAIN | {"initial_scale": None}).initial == {"w": 1.0}


@pytest.mark.parametrize(
    ("changes", "message", "remedy"),
    [
        ({"mu": 0.0}, "mu = 0.0", "for any other w0 give rho"),
        ({"mu": 1.5}, "mu = 1.5", "without pre-training take model plain"),
        ({"mu": None}, "parameters none", "give mu"),
        ({"mu": float("nan")}, "mu = nan", r"a number in \(0, 1\]"),
        ({"mu": True}, "mu = True", "a number"),
        ({"mu": sp.Symbol("k")}, "mu = k", "substitute symbols"),
        ({"dimension": 2}, "dimension = 2", ">= 3; below it"),
        ({"dimension": 3.5}, "dimension = 3.5", "an integer"),
        ({"batch": 0}, "batch = 0", "take at least one"),
        ({"step_size": 0.0}, "step_size = 0.0", "try 0.1"),
        ({"step_size": float("inf")}, "step_size = inf", "try 0.1"),
        ({"replicas": 1}, "replicas = 1", "at least two runs"),
        ({"threshold": 1.0}, "threshold = 1.0", "try 0.5"),
        ({"max_steps": 0}, "max_steps = 0", "at least one step"),
        ({"seed": -1}, "seed = -1", "any non-negative"),
        ({"seed": True}, "seed = True", "any non-negative"),
        ({"step_size": sp.Rational(1, 5)}, "step_size = 1/5", "try 0.1"),
        ({"noise": -0.1}, "noise = -0.1", "try 0.1"),
        ({"noise": float("nan")}, "noise = nan", "try 0.1"),
        ({"initial_scale": float("inf")}, "initial_scale, u at the start, = inf", "leave it out"),
        ({"model": "conv"}, "model 'conv'", "lora, misaligned, plain, pretrain"),
        ({"teacher": sp.Symbol("k") * x}, "parameter 'k'", "a, b, c, p, beta"),
        ({"c": 0.6}, "parameters c = 0.6, mu = 0.4 with model lora", "leave out c"),
        ({"scale": 0.0}, "alpha = 0", "other than 0"),
        ({"scale": float("inf")}, "alpha = oo", "a finite number"),
    ],
)
def test_bad_parameters_are_refused_before_any_work(changes: dict[str, Any], message: str, remedy: str) -> None:
    with pytest.raises(InputError, match=rf"(?s){message}.*accepted.*{remedy}"):
        made("linear", ALIGNED | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mu": 0.5}, "parameters mu = 0.5 with model plain.*leave out mu"),
        ({"rho": 0.5}, "parameters rho = 0.5 with model plain.*leave out rho"),
        ({"c": 0.6}, "parameters c = 0.6 with model plain.*leave out c"),
        ({"initial_scale": 0.1}, "initial_scale = 0.1.*plain.*leave it out"),
        ({"scale": 2.0}, "alpha = 2 with model 'plain'.*accepted"),
    ],
)
def test_plain_has_neither_alignment_nor_scale(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        made("linear", PLAIN | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rho": 0.2}, r"rho = 0\.2 .*>= \|mu\| = 0\.3"),
        ({"mu": -0.9}, r"rho = 0\.8 .*>= \|mu\| = 0\.9"),
        ({"mu": 0.0, "rho": 0.0}, "rho = 0"),
        ({"rho": float("nan")}, "rho = nan"),
        ({"rho": float("inf")}, "rho = inf"),
        ({"mu": None}, "parameters rho = 0.8 .* give mu"),
        ({"mu": float("nan")}, "mu = nan"),
        ({"mu": -0.3, "rho": None}, "mu = -0.3"),
        ({"model": "misaligned", "rho": None}, "parameters mu = 0.3 .* give rho"),
        ({"dimension": 3}, "dimension = 3 .*>= 4"),
        ({"scale": 0.0}, "alpha = 0"),
        ({"scale": float("inf")}, "alpha = oo"),
        ({"label": x}, "label transform x"),
        ({"label": "x**2"}, "unknown name 'x'"),
        ({"label": sp.Integer(1)}, "label transform 1"),
    ],
)
def test_bad_misaligned_parameters_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        noisy("linear", **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"c": None}, "parameters none with model pretrain"),
        ({"c": 1.1}, r"c = 1\.1"),
        ({"c": float("nan")}, "c = nan"),
        ({"initial_scale": 0.0}, "initial_scale, w at the start, = 0.0"),
        ({"initial_scale": -1.0}, "initial_scale, w at the start, = -1.0"),
        ({"mu": 0.3}, "mu = 0.3"),
        ({"rho": 0.3}, "rho = 0.3"),
        ({"scale": 2.0}, "alpha = 2 with model 'pretrain'"),
        ({"dimension": 3}, "dimension = 3"),
        ({"model": "plain", "initial_scale": None}, "c = 0.6 with model plain"),
        ({"model": "lora", "mu": 0.5}, "c = 0.6, mu = 0.5 with model lora"),
    ],
)
def test_bad_pretraining_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=f"{message}.*accepted"):
        made("linear", PRETRAIN | changes)


def test_the_start_is_of_what_is_trained() -> None:
    network = network_of("erf", model="misaligned").at(mu=0.3, rho=0.5)
    assert Experiment(network, {"u": -2.0}, SGD(10, 2, 0.1)).initial == {"u": -2.0, "v": 1.0}
    for name, value, message in (
        ("v", 2.0, "start of v given; accepted: of u"),
        ("u", 1e7, "u at the start, = 10000000.0"),
    ):
        with pytest.raises(ParameterError, match=message):
            Experiment(network, {name: value}, SGD(10, 2, 0.1))


@pytest.mark.parametrize(("noise", "missing"), [(0.0, "mu, rho"), (Delta, "Delta, mu, rho")])
def test_a_network_without_numbers_is_refused(noise: Any, missing: str) -> None:
    network = network_of("erf", model="misaligned", noise=noise)
    with pytest.raises(ParameterError, match=rf"without values for {missing} given; accepted.*network\.at"):
        Experiment(network, {}, SGD(10, 2, 0.1))


def test_parameters_given_again_are_not_ignored() -> None:
    known = network_of("erf").at(mu=0.3)
    sizes: dict[str, Any] = {"dimension": 10, "batch": 2, "step_size": 0.1}
    assert Experiment.of(known, **sizes) == Experiment.of(network_of("erf"), **sizes, mu=0.3)
    assert float(Experiment.of(known, **sizes, mu=0.5).network.values[network_of("erf").parameters[0]]) == 0.5
    with pytest.raises(ParameterError, match="leave out rho"):
        Experiment.of(known, **sizes, mu=0.3, rho=0.5)


def test_a_trained_vector_outside_the_overlaps_is_refused() -> None:
    first, other, w = Vector("v1", Sphere()), Vector("v2", Sphere()), Vector("w*")
    erf = activation("erf")
    network = Network(
        name="stray",
        ridges=(Ridge(sp.S.One, erf, Combination.of({first: sp.S.One, other: sp.S.One})),),
        teacher=Teacher((Ridge(sp.S.One, erf, Combination.of(w)),)),
        gram=Gram({(w, w): sp.S.One}),
        overlaps={m: (first, w)},
    )
    with pytest.raises(InputError, match="with v2 trained, but in no overlap given; accepted"):
        Experiment(network, {}, SGD(10, 2, 0.1))


def test_changes_by_name_reach_every_record() -> None:
    setting = made("linear", ALIGNED)
    other = setting.but(replicas=4, batch=3, max_steps=7, threshold=None, start={})
    assert (other.runs, other.stop, other.start) == (Runs(4, 1), Stop(None, 7), {})
    assert (other.sgd, other.sgd.kappa) == (SGD(5, 3, 0.2), pytest.approx(0.2 * 5 / 3))
    assert setting == made("linear", ALIGNED), "the first stays as it was"
    with pytest.raises(ParameterError, match="replicas = 0"):
        setting.but(replicas=0)


def test_overlap_of_the_recovered_teacher() -> None:
    # w* - w0 = (1 - mu, -nu) in the plane of w* and w0, with nu = 1.2 here; v lies along it.
    assert noisy("relu", mu=0.5, rho=1.3).recovered_alignment == pytest.approx(0.5 / 1.3)
    assert noisy("he2", mu=0.5, rho=1.3).recovered_alignment == pytest.approx(1.5 / np.hypot(1.5, 1.2))
    for aligned in (noisy("relu", rho=None), noisy("relu", mu=-0.5, rho=0.5), noisy("he2", mu=-1.0, rho=1.0)):
        assert aligned.recovered_alignment == 1.0
    pretraining = made("relu", PRETRAIN | {"initial_scale": None})
    assert (pretraining.recovered_alignment, pretraining.caution) == (1.0, None)


def test_a_threshold_above_the_end_of_learning_is_said() -> None:
    high = noisy("linear", threshold=0.75)  # the linear student ends at 0.7 / sqrt(0.49 + 0.55) = 0.686
    assert "0.6864" in str(high.caution)
    assert "0.6864" in montecarlo.simulate(high.but(replicas=2)).to_dataset().attrs["caution"]
    for silent in ({"threshold": 0.65}, {"threshold": None}, {"teacher": 3 * x}, {"label": y**2}, {"rho": None}):
        assert noisy("linear", **({"threshold": 0.75} | silent)).caution is None
    assert "caution" not in montecarlo.simulate(high.but(threshold=0.65, replicas=2)).to_dataset().attrs


def test_overshoot_above_the_end_of_learning_is_real() -> None:
    """Why such a threshold is no error: erf turns v towards the gradient at w0 before it learns w* - w0."""
    setting = noisy(
        *("erf",),
        **{"mu": 0.0, "rho": 2.0, "dimension": 100, "batch": 1000, "noise": 0.0, "threshold": None},
        **{"initial_scale": 1e-4, "replicas": 4, "max_steps": 2000},
    )
    largest = np.abs(montecarlo.trajectories(setting, range(0, 2001, 20)).m).max("step")
    assert float(largest.min()) > setting.recovered_alignment + 0.1


def test_what_is_written_down() -> None:
    setting = noisy("relu", label=y**2)
    found = setting.parameters()
    assert found["label"] == "y**2"
    assert (found["model"], found["student"], found["teacher"]) == ("misaligned", "Max(0, x)", "Max(0, x)")
    assert (found["noise"], found["scale"], found["mu"], found["rho"]) == (1.0, 1.0, 0.3, 0.8)
    assert (found["initial_u"], found["initial_v"], found["dimension"], found["threshold"]) == (1.0, 1.0, 4, 0.95)
    assert setting.but(threshold=None, seed=2**70).parameters()["threshold"] == "none"
    assert setting.but(seed=2**70).parameters()["seed"] == str(2**70)
    assert setting.meaning(m) == "overlap <v, w*>"
    assert "scale of the LoRA update" in setting.meaning(u)


def test_public_verbs_take_the_whole_model() -> None:
    sizes: dict[str, Any] = {"dimension": 4, "batch": 2, "step_size": 0.3, "replicas": 20, "max_steps": 80}
    rest: dict[str, Any] = {"mu": 0.3, "rho": 0.8, "scale": 2.0, "noise": 1.0, "threshold": 0.95, "initial_scale": 1.0}
    given = api.simulate("relu", **sizes, **rest, seed=1, label="y**2")
    assert same(given, montecarlo.simulate(noisy("relu", scale=2.0, label=y**2, replicas=20)))
    assert api.experiment("relu", **sizes, **rest, label=sp.Symbol("y") ** 2).network.labels.transform == y**2
    assert api.experiment("relu", **sizes, mu=0.3, rho=0.8, model="misaligned").network.name == "misaligned"
    with pytest.raises(ParameterError, match="rho"):
        api.experiment("relu", **sizes, mu=0.3, model="misaligned")
    with pytest.raises(InputError, match="y"):
        api.experiment("relu", **sizes, mu=0.3, label="x**2")


def test_a_teacher_of_opposite_sign_is_not_unrolled_with_the_wrong_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The teacher along -F and a weight that starts at -F/2: the linear student has residual 1/2 <w*, x>."""
    v, frozen, link = Vector("v", Sphere()), Vector("F"), activation("linear")
    network = AlignedLoRA().network(link, labels("linear"))
    network = Network(
        name="opposite",
        ridges=(Ridge(sp.S.One, link, Combination.of({frozen: -sp.S.Half, v: u})),),
        teacher=Teacher((Ridge(sp.S.One, link, Combination.of({frozen: -sp.S.One})),)),
        gram=Gram({(v, v): sp.S.One, (frozen, frozen): sp.S.One, (v, frozen): m}),
        overlaps={m: (v, frozen)},
        scalars=network.scalars,
    )
    setting = Experiment(network, {"u": 0.5}, SGD(50, 500, 0.1), Stop(None, 300), Runs(4))
    end = montecarlo.simulate(setting).final
    assert np.all((-end.u * end.m).values > 0.45)  # <w, -F> = 1/2 - u m grows to 1
    monkeypatch.setattr(montecarlo, "is_unrolled", lambda experiment: True)
    end = montecarlo.simulate(setting).final
    assert np.all((-end.u * end.m).values < 0)
