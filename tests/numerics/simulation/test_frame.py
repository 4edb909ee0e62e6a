"""The basis of the frozen vectors: their Gram matrix, dependent ones, and those that cannot be."""

import numpy as np
import pytest
import sympy as sp

from numerics.simulation.frame import Frame
from tests.numerics.simulation.networks import pair
from theory.errors import ParameterError
from theory.language.activations import activation
from theory.network.constraints import Sphere
from theory.network.derivation import network_of
from theory.network.ridges import Network, Ridge, Teacher
from theory.network.vectors import Combination, Gram, Vector
from theory.symbols import m


def of_gram(matrix: list[list[float]]) -> Network:
    """As many teacher directions as rows, and one trained unit vector."""
    v, link = Vector("v", Sphere()), activation("erf")
    targets = [Vector(f"w*{i}") for i in range(len(matrix))]
    entries = {(a, b): sp.nsimplify(matrix[i][j]) for i, a in enumerate(targets) for j, b in enumerate(targets)}
    return Network(
        name="targets",
        ridges=(Ridge(sp.S.One, link, Combination.of(v)),),
        teacher=Teacher(tuple(Ridge(sp.S.One, link, Combination.of(w)) for w in targets)),
        gram=Gram(entries),
        overlaps={m: (v, targets[0])},
    )


@pytest.mark.parametrize(
    ("matrix", "rank"),
    [
        ([[1.0]], 1),
        ([[1.0, 0.2], [0.2, 1.0]], 2),
        ([[1.0, -1.0], [-1.0, 1.0]], 1),
        ([[2.0, 0.5, 2.5], [0.5, 1.0, 1.5], [2.5, 1.5, 4.0]], 2),
        ([[1.0, 0.5, 0.1], [0.5, 1.0, 0.3], [0.1, 0.3, 0.7]], 3),
    ],
)
def test_coordinates_have_the_gram_matrix(matrix: list[list[float]], rank: int) -> None:
    frame = Frame.of(of_gram(matrix))
    assert frame.coordinates.shape == (len(matrix), rank)
    assert frame.coordinates @ frame.coordinates.T == pytest.approx(np.array(matrix), abs=1e-14)
    assert np.array_equal(frame.coordinates, np.tril(frame.coordinates))


def test_the_first_vector_is_the_teacher() -> None:
    network = network_of("relu", model="misaligned").at(mu=-0.3, rho=0.5)
    frame = Frame.of(network)
    assert [v.name for v in frame.vectors] == ["w*", "w0"]
    assert frame.coordinates == pytest.approx(np.array([[1.0, 0.0], [-0.3, 0.4]]))
    whole = Combination.of({frame.vectors[0]: sp.Integer(2), frame.vectors[1]: sp.Symbol("k")})
    assert frame.of_combination(whole, {sp.Symbol("k"): 10.0}) == pytest.approx([-1.0, 4.0])


def test_a_nearly_aligned_weight_keeps_its_digits() -> None:
    rho = float(np.nextafter(0.3, 1))
    height = Frame.of(network_of("relu", model="misaligned").at(mu=0.3, rho=rho)).coordinates[1, 1]
    assert height == pytest.approx(np.sqrt((rho - 0.3) * (rho + 0.3)), rel=1e-12)


def test_teacher_directions_come_before_pretrained_weights() -> None:
    assert [v.name for v in Frame.of(pair("erf")).vectors] == ["w*1", "w*2", "w01", "w02"]


def test_what_no_vectors_have_is_refused() -> None:
    with pytest.raises(ParameterError, match="accepted: inner products of vectors"):
        Frame.of(of_gram([[1.0, 1.2], [1.2, 1.0]]))
