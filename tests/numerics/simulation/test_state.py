"""The state: its names, what goes in and comes out of it, its law at the start, and the overlaps read from it."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from numerics.simulation import fulldim, montecarlo
from numerics.simulation.state import Layout, layout, overlaps, uniform
from tests.numerics.simulation.cases import made, noisy
from tests.numerics.simulation.networks import adapter, pair, setting
from theory.network.constraints import Free, Sphere

LAYOUTS = {
    "lora": (lambda: noisy("relu", rho=None), ("u", "v_1", "v_across")),
    "misaligned": (lambda: noisy("relu"), ("u", "v_1", "v_2", "v_across")),
    "two units": (lambda: setting(pair("erf"), 8), ("u1", "u2", "v_1", "v_2", "v_3", "v_4", "v_across")),
    "two vectors": (
        lambda: setting(adapter("erf", Sphere()), 8),
        ("u1", "u2", "v1_1", "v1_2", "v1_across_1", "v2_1", "v2_2", "v2_across_1", "v2_across_2"),
    ),
    "two free vectors": (
        lambda: setting(adapter("erf", Free()), 8),
        (
            *("u1", "u2", "v1_1", "v1_2", "v1_across_1", "v1_length"),
            *("v2_1", "v2_2", "v2_across_1", "v2_across_2", "v2_length"),
        ),
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_names_and_both_ways(name: str) -> None:
    make, names = LAYOUTS[name]
    experiment = make()
    place = layout(experiment)
    assert place.names == names
    state = uniform(experiment, np.random.default_rng(1))
    assert state.shape == (len(names),)
    scalars, rows = place.unpack(state)
    assert place.pack(scalars, rows) == pytest.approx(state, rel=1e-14)
    many = np.stack([state, 2 * state], axis=1)
    assert np.array_equal(place.unpack(many)[1][..., 0], rows)
    lengths = [1.0 if not long else experiment.initial[v] for v, long in zip(place.vectors, place.long, strict=True)]
    assert np.linalg.norm(rows, axis=1) == pytest.approx(lengths)


def test_overlaps_are_inner_products_of_the_rows() -> None:
    experiment = setting(adapter("erf", Free()), 8, start={"u1": 0.3, "u2": -0.2, "v1": 2.0, "v2": 0.5})
    state = uniform(experiment, np.random.default_rng(3))
    scalars, rows = layout(experiment).unpack(state)
    found = {name: float(values[0]) for name, values in overlaps(experiment, state[:, None]).items()}
    frozen = np.pad(experiment.frame.coordinates, ((0, 0), (0, 2)))
    (target, base), (v1, v2) = frozen, rows
    expected = {"u1": scalars[0], "u2": scalars[1], "m1": v1 @ target, "s1": v1 @ base, "m2": v2 @ target}
    expected |= {"s2": v2 @ base, "P": v1 @ v2, "n1": v1 @ v1, "n2": v2 @ v2}
    assert found == pytest.approx(expected)
    assert found["n1"] == pytest.approx(4.0)


def test_start_is_uniform_on_the_sphere() -> None:
    for dimension in (3, 10):
        aligned = made("linear", {"mu": 0.4, "dimension": dimension, "batch": 10, "step_size": 0.2, "replicas": 2000})
        start = montecarlo.trajectories(aligned, [0]).m.values[:, 0]
        # (m + 1) / 2 of a uniform unit vector is Beta((d - 1)/2, (d - 1)/2).
        law = stats.beta((dimension - 1) / 2, (dimension - 1) / 2)
        assert stats.kstest((start + 1) / 2, law.cdf).pvalue > 1e-3


def test_start_is_uniform_when_misaligned() -> None:
    start = montecarlo.trajectories(noisy("linear", dimension=6, mu=0.3, rho=0.5), [0])
    direction = (start.s - 0.3 * start.m) / 0.4  # <v, e2>, since nu = 0.4
    law = stats.beta(2.5, 2.5)  # (component + 1) / 2 of a uniform unit vector of R^6
    for component in (start.m, direction, (start.m + direction) / np.sqrt(2)):
        assert stats.kstest((component.values[:, 0] + 1) / 2, law.cdf).pvalue > 1e-3


@pytest.mark.parametrize("engine", [montecarlo, fulldim])
@pytest.mark.parametrize("dimension", [4, 5, 9])
def test_several_vectors_start_independent_and_uniform(engine: Any, dimension: int) -> None:
    """d = 4 leaves nothing across; <v1, v2> of independent unit vectors has the law of one component."""
    still = setting(adapter("erf", Sphere()), dimension, step_size=1e-30, max_steps=1, replicas=1500)
    final = engine.simulate(still).final
    law = stats.beta((dimension - 1) / 2, (dimension - 1) / 2)
    for component in (final.m1, final.m2, final.P):
        assert stats.kstest((component.values + 1) / 2, law.cdf).pvalue > 1e-3
    for one, other in ((final.m1, final.m2), (final.m1, final.P)):
        assert stats.pearsonr(one, other).pvalue > 1e-3


def test_a_layout_without_scalars() -> None:
    place = Layout((), ("w",), (True,), 1)
    scalars, rows = place.unpack(np.array([0.6, 0.8, 2.0]))
    assert place.names == ("w_1", "w_across", "w_length")
    assert scalars.size == 0
    assert rows == pytest.approx(np.array([[1.2, 1.6]]))
