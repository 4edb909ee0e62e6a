"""The state of a simulation by name: scalars, then each trained vector's coordinates, across part and length.

A trained vector is v = n (sum_j x_j e_j + p e), e_j the basis of the frozen vectors and e across their span; a length n
that its constraint fixes is not stored. Several trained vectors share a lower triangular frame across the span.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from numerics.simulation.experiment import Experiment
from theory.network.vectors import Vector

if TYPE_CHECKING:
    from numerics.labelled import Labelled

__all__ = ["CENSORED", "DIVERGED", "EXITED", "Layout", "Status", "entries", "layout", "overlaps", "uniform"]

Array = NDArray[np.float64]


class Status(IntEnum):
    """How a run ended."""

    EXITED = 0
    """|m| reached the threshold."""
    CENSORED = 1
    """No exit within `max_steps`: raise `max_steps` if the quantiles are missing."""
    DIVERGED = 2
    """The state left the finite range: lower the step size."""


EXITED, CENSORED, DIVERGED = (int(status) for status in Status)


@dataclass(frozen=True)
class Layout:
    """Names of the state's numbers, in order.

    A vector `v` has `v_1`, ..., one for each frozen direction, `v_across_1`, ... (`v_across` where it is the only one)
    and, unless its length is 1, `v_length`; coordinates are those of v/|v|.
    """

    scalars: tuple[str, ...]
    vectors: tuple[str, ...]
    long: tuple[bool, ...]
    rank: int

    @property
    def names(self) -> tuple[str, ...]:
        """One name for every number of the state."""
        return tuple(name for name, _ in self._described)

    @property
    def meanings(self) -> tuple[str, ...]:
        """What every number is, in words."""
        return tuple(meaning for _, meaning in self._described)

    @cached_property
    def _described(self) -> list[tuple[str, str]]:
        names = [(name, f"trained scalar {name}") for name in self.scalars]
        for i, v in enumerate(self.vectors):
            single = len(self.vectors) == 1
            names += [(f"{v}_{j + 1}", f"coordinate {j + 1} of {v}/|{v}| in the frozen span") for j in range(self.rank)]
            for j in range(i + 1):
                index = "" if single else f" {j + 1}"
                names.append(
                    (f"{v}_across{index.replace(' ', '_')}", f"part{index} of {v}/|{v}| across the frozen span")
                )
            names += [(f"{v}_length", f"length |{v}|")] if self.long[i] else []
        return names

    def unpack(self, state: Array) -> tuple[Array, Array]:
        """Return (scalars, trained vectors as rows of frozen coordinates and a lower triangle) of states.

        `state` has shape (numbers, ...); the results (scalars, ...) and (vectors, rank + vectors, ...).
        """
        count, position = len(self.vectors), len(self.scalars)
        rows = np.zeros((count, self.rank + count, *state.shape[1:]))
        for i in range(count):
            width = self.rank + i + 1
            rows[i, :width] = state[position : position + width]
            position += width
            if self.long[i]:
                rows[i] = rows[i] * state[position]
                position += 1
        return state[: len(self.scalars)], rows

    def pack(self, scalars: Array, rows: Array) -> Array:
        """Return the state of scalars and vectors: the inverse of `unpack`."""
        names = list(scalars)
        for i, row in enumerate(rows):
            norm = np.linalg.norm(row)
            names += list(row[: self.rank + i + 1] / norm)
            names += [norm] if self.long[i] else []
        return np.array(names, float)


def layout(experiment: Experiment) -> Layout:
    """Return the layout of an experiment's state."""
    network = experiment.network
    return Layout(
        tuple(s.name for s in network.scalars),
        tuple(v.name for v in network.vectors),
        tuple(not v.is_unit for v in network.vectors),
        experiment.frame.coordinates.shape[1],
    )


def uniform(experiment: Experiment, rng: np.random.Generator) -> Array:
    """Draw the first state: directions uniform on the sphere, scalars and lengths as the experiment says.

    Frozen coordinates are normals; across them the vectors' triangle is Bartlett's factor, a chi on the diagonal.
    """
    place, initial = layout(experiment), experiment.initial
    numbers = [initial[name] for name in place.scalars]
    for i, name in enumerate(place.vectors):
        drawn = rng.standard_normal(place.rank + i)
        parts = np.append(drawn, np.sqrt(rng.chisquare(experiment.sgd.dimension - place.rank - i)))
        numbers += list(parts / np.hypot.reduce(parts))
        numbers += [initial[name]] if place.long[i] else []
    return np.array(numbers)


def overlaps(experiment: Experiment, state: Array) -> Labelled:
    """Return the order parameters at states of shape (numbers, ...): trained scalars and overlaps, by name.

    >>> from theory.network.derivation import derive
    >>> free = Experiment.of(derive("relu", model="pretrain").network, c=0.6, dimension=9, batch=5, step_size=0.1)
    >>> w = np.array([3.0, 4.0, 12.0])  # its parts along w_s, along the rest of w*, and across both
    >>> entries = overlaps(free, np.append(w / 13, 13.0)[:, None])
    >>> {name: entries[name].values.round(9).tolist() for name in entries}
    {'q_s': [3.0], 'q': [5.0], 'r': [169.0]}
    """
    from numerics.labelled import Labelled

    dims, network = ("replica", "step")[: state.ndim - 1], experiment.network
    meanings = {name.name: experiment.meaning(name) for name in (*network.scalars, *network.overlaps)}
    values = entries(experiment, state)
    return Labelled({name: (dims, values[name], {"long_name": meanings[name], "units": "1"}) for name in values})


def entries(experiment: Experiment, state: Array) -> dict[str, Array]:
    """Return what `overlaps` labels: the order parameters by name, as plain arrays."""
    place, network = layout(experiment), experiment.network
    scalars = {scalar.name: state[i] for i, scalar in enumerate(network.scalars)}
    pairs = network.overlaps.items()
    return scalars | {name.name: _inner(experiment, place, state, v, b) for name, (v, b) in pairs}


def _inner(experiment: Experiment, place: Layout, state: Array, v: Vector, b: Vector) -> Array:
    """Return <v, b> for a trained v."""
    direction, length = _direction(place, state, v)
    if v == b:
        return length * length
    if b.is_trained:
        other, width = _direction(place, state, b)
        return length * width * sum(x * z for x, z in zip(direction, other, strict=True))
    coordinates = experiment.frame.of_vector(b)
    products = [c * x for c, x in zip(coordinates, direction, strict=False) if c != 0]
    return length * sum(products[1:], products[0]) if products else np.zeros(state.shape[1:])


def _direction(place: Layout, state: Array, v: Vector) -> tuple[list[Array], Array]:
    """Return the coordinates of v/|v|, and |v|."""
    index, position = place.vectors.index(v.name), len(place.scalars)
    for i in range(index):
        position += place.rank + i + 1 + place.long[i]
    width, count = place.rank + index + 1, place.rank + len(place.vectors)
    rows = [state[position + j] for j in range(width)]
    rows += [np.zeros(state.shape[1:])] * (count - width)
    length = state[position + width] if place.long[index] else np.ones(state.shape[1:])
    return rows, length
