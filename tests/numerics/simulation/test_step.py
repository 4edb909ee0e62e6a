"""The step of any network: its law against the unrolled one and against R^d, where it is degenerate, and its bits."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp
from scipy import stats
from sympy import Rational

from numerics.simulation import fulldim, montecarlo
from numerics.simulation.comparison import ks_two_sample
from numerics.simulation.experiment import Experiment
from numerics.simulation.state import layout, overlaps, uniform
from numerics.simulation.statistics import ExitSample, Status
from numerics.simulation.step import Step, _bartlett, root
from numerics.simulation.unrolled import is_unrolled
from tests.numerics.simulation.cases import made, noisy, same
from tests.numerics.simulation.networks import a1, a2, adapter, committee, pair, setting, u1, u2
from theory.network.constraints import Free, Sphere
from theory.network.ridges import Network

NOISE = Rational(1, 4)


def p_value(a: ExitSample, b: ExitSample) -> float:
    """Bonferroni's p-value of equal laws of all trained scalars and Gram entries, across parts', and of the exit."""
    (names, first), (others, second) = observed(a), observed(b)
    assert names == others
    tests = [float(stats.ks_2samp(*pair, method="asymp").pvalue) for pair in zip(first, second, strict=True)]
    return min(1.0, (1 + len(tests)) * min(ks_two_sample(a, b).p_value, *tests))


def observed(sample: ExitSample) -> tuple[list[str], np.ndarray]:
    """Names and values of the states, and of the inner products of what lies across the frozen vectors."""
    place = layout(sample.experiment)
    across = place.unpack(sample.state)[1][:, place.rank :]
    gram = np.einsum("ikr,jkr->ijr", across, across)[np.tril_indices(len(place.vectors))]
    names = [state.name for state in sample.experiment.network.states]
    values = np.concatenate([np.stack([sample.final[name].values for name in names]), gram])
    return [*names, *map(str, range(len(gram)))], values.round(9)  # lengths of unit vectors are 1 up to rounding


def moved(sample: ExitSample) -> bool:
    """Whether every state is where it does not start: no test below compares starts."""
    rngs = [np.random.default_rng(i) for i in range(400)]
    first = overlaps(sample.experiment, np.stack([uniform(sample.experiment, rng) for rng in rngs], axis=1))
    names = [state.name for state in sample.experiment.network.states]
    return min(stats.ks_2samp(sample.final[name], first[name]).pvalue for name in names) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(
    "experiment",
    [
        made(
            "relu",
            {"mu": 0.4, "dimension": 5, "batch": 4, "step_size": 0.3, "threshold": 0.9, "initial_scale": 0.5}
            | {"noise": 0.25, "max_steps": 40, "replicas": 4000},
        ),
        noisy("erf", dimension=20, batch=4, max_steps=40, threshold=0.6, replicas=4000),
        made(
            "erf",
            {"model": "pretrain", "c": 0.5, "dimension": 5, "batch": 3, "step_size": 0.3, "max_steps": 30}
            | {"replicas": 4000, "threshold": 0.9},
        ),
    ],
    ids=["lora", "misaligned", "pretrain"],
)
def test_one_unit_with_one_vector_has_the_unrolled_law(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    """4000 compiled runs against 270 see what 500 against 500 would: half the harmonic mean counts, and is 250."""
    assert is_unrolled(experiment)
    unrolled = montecarlo.simulate(experiment)
    monkeypatch.setattr(montecarlo, "is_unrolled", lambda _: False)
    general = montecarlo.simulate(experiment.but(seed=2, replicas=270))
    assert not np.array_equal(general.state, unrolled.state[:, :270])
    assert unrolled.counts.exited > 400
    assert p_value(unrolled, general) > 1e-3


CASES: dict[str, tuple[Network, dict[str, Any]]] = {
    "pair, erf": (pair("erf", noise=NOISE), {}),
    "pair, relu": (pair("relu", amplitudes=(Rational(1), Rational(-3, 2)), noise=NOISE), {"step_size": 0.2}),
    "pair, free": (pair("erf", constraint=Free(), noise=NOISE), {}),
    "two vectors, erf": (adapter("erf", Sphere(), noise=NOISE), {"step_size": 0.5}),
    "two vectors, relu": (adapter("relu", Sphere(), noise=NOISE), {}),
    "two free vectors": (adapter("erf", Free(), noise=NOISE), {"step_size": 0.5}),
    "committee": (committee("erf", 3, noise=NOISE), {}),
    "committee on spheres": (committee("relu", 2, constraint=Sphere()), {"step_size": 0.2}),
}
"""Two units on one vector; one unit on two, whose overlap is a state; units with vectors of their own."""


LARGER = ("pair, erf", "two vectors, relu", "committee")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "dimension"), [*((name, 7) for name in CASES), *((name, 20) for name in LARGER)])
def test_same_law_as_sgd_in_d_dimensions(name: str, dimension: int) -> None:
    """As long and as many as the planted mistakes below need to be seen: twelve steps and three hundred runs."""
    network, changes = CASES[name]
    experiment = setting(network, dimension, **({"replicas": 300, "max_steps": 12} | changes))
    assert not is_unrolled(experiment)
    reduced = montecarlo.simulate(experiment)
    full = fulldim.simulate(experiment.but(seed=2))
    assert full.counts.diverged == 0
    assert moved(full)
    assert p_value(reduced, full) > 1e-3


ONE = sp.Integer(1)
CONTROLS: dict[str, tuple[Network, dict[str, Any]]] = {
    "pair, erf": (pair("erf", noise=ONE), {"dimension": 6, "max_steps": 8, "replicas": 300}),
    "pair, relu": (
        pair("relu", amplitudes=(ONE, Rational(-3, 2)), noise=ONE),
        {"dimension": 6, "max_steps": 8, "step_size": 0.2, "replicas": 300},
    ),
    "committee": (committee("erf", 3, noise=ONE), {"dimension": 5, "replicas": 600}),
    "two vectors": (adapter("erf", Sphere(), noise=ONE), {"dimension": 4, "step_size": 0.7, "replicas": 600}),
    "two free vectors": (adapter("erf", Free(), noise=ONE), {"dimension": 4, "step_size": 0.7, "replicas": 300}),
}
"""With one direction across, or none, and noise that makes steps large: there one more is seen best, and soon."""


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTROLS)
def test_a_wrong_number_of_degrees_of_freedom_is_rejected(name: str) -> None:
    network, changes = CONTROLS[name]
    experiment = setting(network, **({"step_size": 0.5, "batch": 2, "max_steps": 12} | changes))
    full = fulldim.simulate(experiment.but(seed=2))
    assert p_value(montecarlo.simulate(experiment), full) > 1e-3
    assert p_value(montecarlo._simulate(experiment, degrees_of_freedom_shift=1), full) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "dimension", "batch"),
    [
        (committee("erf", 3), 5, 3),  # nothing across
        (committee("erf", 3), 6, 3),  # one direction across for three units
        (committee("relu", 3, constraint=Sphere()), 7, 2),
        (adapter("erf", Sphere()), 4, 3),
        (pair("relu"), 8, 1),  # c c^T of rank one, and dead units
        (committee("erf", 3), 9, 1),
    ],
    ids=["nu = 0", "nu = 1", "nu = 2", "adapter, nu = 0", "batch 1", "three units, batch 1"],
)
def test_degenerate_sizes(network: Network, dimension: int, batch: int) -> None:
    experiment = setting(network, dimension, batch=batch, step_size=0.2, replicas=300, max_steps=12)
    full = fulldim.simulate(experiment.but(seed=2))
    assert moved(full)
    assert p_value(montecarlo.simulate(experiment), full) > 1e-3


def test_dimensions_below_the_span_are_refused() -> None:
    for network, least in ((committee("erf", 3), 5), (adapter("erf", Sphere()), 4), (pair("erf"), 6)):
        with pytest.raises(ValueError, match=f"dimension = {least - 1} given; accepted: an integer >= {least}"):
            setting(network, least - 1)
        assert montecarlo.simulate(setting(network, least, replicas=2)).counts == (0, 2, 0)


DECAYED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "coefficients": ({"amplitudes": (a1, a2), "scalars": (u1, u2, a1, a2)}, {}),
    "coefficients that share a scalar": ({"amplitudes": (a1, Rational(1, 2) - a1**2), "scalars": (u1, u2, a1)}, {}),
    "decay of scalars": (
        {"amplitudes": (a1, a2), "scalars": (u1, u2, a1, a2)},
        {"penalty": {"u1": Rational(1, 2), "a2": Rational(1, 2)}},
    ),
    "decay of a vector": ({"constraint": Free()}, {"penalty": {"v": Rational(1, 2)}}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DECAYED)
def test_coefficients_and_decay_have_the_law_of_r_d(name: str) -> None:
    fields, penalty = DECAYED[name]
    experiment = setting(pair("erf", **fields, **penalty, noise=NOISE), 8, replicas=300, max_steps=15)
    full = fulldim.simulate(experiment.but(seed=2))
    assert moved(full)
    assert p_value(montecarlo.simulate(experiment), full) > 1e-3
    if penalty:
        without = setting(pair("erf", **fields, noise=NOISE), 8, replicas=300, max_steps=15)
        assert p_value(montecarlo.simulate(without), full) < 1e-6


@pytest.mark.slow
def test_the_correlation_loss_has_the_law_of_r_d() -> None:
    """Trained amplitudes, an adapter and weight decay; the squared loss has another law."""
    fields: dict[str, Any] = {"amplitudes": (a1, a2), "scalars": (u1, u2, a1, a2), "penalty": {"a2": Rational(1, 2)}}
    laws = [replace(pair("erf", **fields, noise=NOISE), objective=kind) for kind in ("correlation", "squared")]
    one, other = (setting(network, 8, replicas=300, max_steps=15) for network in laws)
    full = fulldim.simulate(one.but(seed=2))
    assert moved(full)
    assert p_value(montecarlo.simulate(one), full) > 1e-3
    assert p_value(montecarlo.simulate(other), full) < 1e-6


@pytest.mark.slow
def test_decay_of_two_free_vectors() -> None:
    decay = {"v1": Rational(1, 4), "u2": Rational(1, 4)}
    experiment = setting(
        adapter("relu", Free(), penalty=decay, noise=NOISE), 7, replicas=300, max_steps=20, step_size=0.2
    )
    full = fulldim.simulate(experiment.but(seed=2))
    assert p_value(montecarlo.simulate(experiment), full) > 1e-3
    without = setting(adapter("relu", Free(), noise=NOISE), 7, replicas=300, max_steps=20, step_size=0.2)
    assert p_value(montecarlo.simulate(without), full) < 1e-6


def test_decay_without_labels_or_noise_is_geometric() -> None:
    """The penalty may be a symbol; a step takes eta lambda s where nothing else pulls."""
    rate = sp.Symbol("lambda_1", positive=True)
    network = pair("erf", amplitudes=(sp.S.Zero, sp.S.Zero), penalty={"u1": rate}).at(lambda_1=0.5)
    for engine in (montecarlo, fulldim):
        final = engine.simulate(setting(network, 7, replicas=2, step_size=0.1)).final
        assert final.u1.values == pytest.approx(0.8 * 0.95**30)
        assert final.u2.values == pytest.approx(-0.6)


@pytest.mark.parametrize("engine", [montecarlo, fulldim])
@pytest.mark.parametrize("network", [pair("he3"), adapter("he3", Free()), committee("he3", 2)])
def test_divergence_is_a_status_and_leaves_no_nan(engine: Any, network: Network) -> None:
    sample = engine.simulate(setting(network, 8, step_size=2.0, batch=1, replicas=20, max_steps=40))
    assert sample.counts.diverged > 10
    assert np.all(np.isfinite(sample.state))
    assert np.all(sample.exit_steps == -1)
    later = engine.simulate_stages([sample.experiment, sample.experiment.but(step_size=1e-60)]).samples[1]
    gone = sample.status == Status.DIVERGED
    assert np.array_equal(later.status == Status.DIVERGED, gone)
    assert np.array_equal(later.state[:, gone], sample.state[:, gone])


@pytest.mark.slow
@pytest.mark.parametrize("watched", ["m2", "P"])
def test_exits_by_any_pair(watched: str) -> None:
    """The second vector's overlap, or that of both vectors, makes the exit."""
    network = adapter("erf", Free(), noise=NOISE)
    couple = next(couple for symbol, couple in network.overlaps.items() if symbol.name == watched)
    network = adapter("erf", Free(), noise=NOISE, progress=couple)
    experiment = setting(network, 6, threshold=0.5, replicas=400, step_size=0.5)
    reduced, full = montecarlo.simulate(experiment), fulldim.simulate(experiment.but(seed=2))
    assert min(full.counts.exited, full.counts.censored) > 100
    assert p_value(reduced, full) > 1e-3
    final = reduced.final
    sizes = np.sqrt(final.n2 * (1.0 if watched == "m2" else final.n1))
    ended = np.abs(final[watched] / sizes) >= 0.5
    assert np.array_equal(ended, reduced.status == Status.EXITED)


@pytest.mark.parametrize("name", CASES)
def test_threads_and_slices_change_no_bit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network, changes = CASES[name]
    experiment = setting(network, 8, replicas=4, max_steps=12, **changes)
    one = montecarlo.simulate(experiment, threads=1)
    monkeypatch.setattr(montecarlo, "SAMPLES_PER_SLICE", 1)
    assert same(one, montecarlo.simulate(experiment, threads=2))
    assert np.array_equal(montecarlo.simulate(experiment.but(replicas=2)).state, one.state[:, :2])


def test_paths_and_stages_continue() -> None:
    experiment = setting(adapter("relu", Free()), 8, replicas=5, max_steps=12)
    sample = montecarlo.simulate(experiment)
    paths = montecarlo.trajectories(experiment, [0, 5, 12])
    for state in experiment.network.states:
        assert np.array_equal(paths[state.name].values[:, 2], sample.final[state.name])
        assert paths[state.name].attrs["long_name"]
    after = montecarlo.trajectories(experiment, [0], start=sample)
    assert np.array_equal(after.P.values[:, 0], sample.final.P)
    data = sample.to_dataset()
    assert (data.attrs["model"], data.attrs["student"], data.attrs["teacher"]) == (
        "adapter",
        "Max(0, x)",
        "Max(0, x)",
    )
    assert {"student_1", "student_2", "teacher_2"} <= set(setting(pair("erf"), 8).parameters())
    assert (data.attrs["initial_u2"], data.attrs["initial_v1"]) == (-0.6, 1.0)


def test_a_start_with_other_frozen_vectors_is_refused() -> None:
    """Networks whose Gram matrix holds numbers have no parameters that would tell them apart."""
    first = montecarlo.simulate(setting(pair("erf"), 8, replicas=2, max_steps=1))
    network = pair("erf")
    key = next(key for key in network.gram.entries if [v.name for v in key] == ["w02", "w02"])
    longer = pair("erf", entries={key: sp.Integer(2)})
    with pytest.raises(ValueError, match=r"start with frozen vectors = .* given; accepted"):
        montecarlo.simulate(setting(longer, 8, replicas=2, max_steps=1), start=first)


@pytest.mark.parametrize(
    ("square", "expected"),
    [
        ([[4.0, 2.0], [2.0, 5.0]], [[2.0, 0.0], [1.0, 2.0]]),
        ([[4.0, 2.0], [2.0, 1.0]], [[2.0, 0.0], [1.0, 0.0]]),
        ([[0.0, 0.0], [0.0, 9.0]], [[0.0, 0.0], [0.0, 3.0]]),
        ([[0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]),
    ],
)
def test_root_of_singular_matrices(square: list[list[float]], expected: list[list[float]]) -> None:
    assert np.array_equal(root(np.array(square)), expected)


@pytest.mark.parametrize("samples", [1, 2, 3, 8])
def test_root_of_few_samples(samples: int) -> None:
    columns = np.random.default_rng(1).standard_normal((4, samples))
    found = root(columns @ columns.T)
    assert found @ found.T == pytest.approx(columns @ columns.T, abs=1e-13)
    assert np.count_nonzero(np.diag(found)) == min(4, samples)


@pytest.mark.parametrize("degrees", [0, 1, 2, 3, 7])
def test_the_factor_is_that_of_a_wishart_matrix(degrees: int) -> None:
    rng, size, count = np.random.default_rng(4), 3, 3000
    drawn = np.array([t @ t.T for t in (_bartlett(rng, size, degrees) for _ in range(count))])
    normals = rng.standard_normal((count, size, degrees))
    expected = normals @ normals.transpose(0, 2, 1)
    assert _bartlett(rng, size, degrees).shape == (size, min(size, degrees))
    if degrees == 0:
        assert not drawn.any()
        return
    for i in range(size):
        for j in range(i + 1):
            assert stats.ks_2samp(drawn[:, i, j], expected[:, i, j], method="asymp").pvalue > 1e-3
    ones = np.ones(size)
    assert stats.ks_2samp(drawn @ ones @ ones, expected @ ones @ ones, method="asymp").pvalue > 1e-3


def test_fields_have_the_gram_matrix_of_the_weights() -> None:
    experiment = setting(pair("erf"), 8)
    step = Step(experiment)
    scalars, rows = step.place.unpack(uniform(experiment, np.random.default_rng(2)))
    weights = step.fields(rows, step.weights.at(scalars))
    frozen = np.pad(experiment.frame.coordinates, ((0, 0), (0, 1)))
    expected = [frozen[2] + scalars[0] * rows[0], frozen[3] + scalars[1] * rows[0], frozen[0], frozen[1]]
    assert weights == pytest.approx(np.array(expected))


def test_vectors_come_back_to_the_lengths_that_their_constraints_say() -> None:
    """Also to one that is neither fixed nor free; the direction is that of the whole vector, across part included."""
    step = Step(setting(pair("erf", constraint=Free()), 8))
    step.lengths = [lambda norm: norm / 2]
    inside, out = np.array([[0.3, -0.2, 0.5, 0.1, 0.7]]), np.array([[0.4]])
    rows = step._retract(inside, out)
    assert np.linalg.norm(rows) == pytest.approx(np.hypot(np.linalg.norm(inside), 0.4) / 2)
    assert rows[0, : step.rank] == pytest.approx(inside[0, : step.rank] / 2)
