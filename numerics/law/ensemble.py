r"""Exit times of SGD's diffusion, or of its chain of whole steps, from the true start: the sample behind a law.

    dX = b(X) dt + S(X) dW,    S S^T = D(X),    T = inf { t : |m(t)| >= R },    t = eta * step,

with the drift b of `system.sgd()`, or at a finite step eta the logarithm of its mean map, and D = `system.covariance()`
at this kappa and d (`numerics.law.paths`); or whole steps with normal batch sums (`numerics.law.chain`). v is uniform
on its sphere in R^d: its overlaps with the frozen vectors are those of a vector of normals divided by its length. Start
and first kicks are a scrambled Sobol sequence, the rest pseudo-random, so that each randomisation is a sample of its
own, whose differences say what the numbers are worth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np
import scipy
import sympy as sp
from numpy.typing import NDArray
from sympy import Symbol

from numerics.compile import codegen
from numerics.compile.codegen import compile_function
from numerics.compile.keeping import contents, generated
from numerics.flows import sde, surrogate
from numerics.law import chain, moments, paths
from numerics.law.moments import Grid, Moments, moments_of
from numerics.recall import number, recalled
from theory.errors import InputError
from theory.network.system import GAP, System
from theory.network.vectors import Combination, Vector
from theory.symbols import r, t

__all__ = ["BUILDS_ON", "PATHS", "Ensemble", "Kind", "Motion", "Sample", "motion_of", "starts"]

Array = NDArray[np.float64]
Kind = Literal["diffusion", "chain"]

BUILDS_ON = (*codegen.BUILDS_ON, sde.__file__, moments.__file__)
_SOURCES = (__file__, *BUILDS_ON, *surrogate.SOURCES)
PATHS = 2**14
SOBOL = 40
"""dimensions of the low-discrepancy sequence: the start and the first kicks"""
STATES = 200
"""at which a share of the drift is measured"""
MOST_STEPS: Mapping[Kind, int] = {"diffusion": 50_000, "chain": 400_000}
"""of a path, which then counts as one that stays"""


@dataclass(frozen=True, eq=False)
class Sample:
    """Exit times in units of t, infinite for paths that stay, the state in which each path leaves, and its steps.

    A time is NaN where a path is lost: it left the table of moments, or diverged. The generator is where the last path
    left it.
    """

    times: Array
    ends: Array
    steps: NDArray[np.int64]
    generator: np.random.Generator


@dataclass(frozen=True, eq=False)
class Motion:
    """Native code of one system, compiled when first used: its paths until they leave, and the drift of the diffusion.

    Attributes:
        kind: diffusion or chain.
        moments: what they ask for at every step.
        looked_up: whether by a table.
        source: of the module that is compiled.
    """

    kind: Kind
    moments: Moments
    looked_up: bool
    source: str

    @cached_property
    def leave(self) -> Callable[..., None]:
        """The loop over paths."""
        return generated(self.source, "leave", builds_on=BUILDS_ON)

    @cached_property
    def drift(self) -> Callable[..., None]:
        """Native drift(x, p, table, F, out) of a diffusion."""
        return generated(self.source, "drift", builds_on=BUILDS_ON)


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Paths of a system, and how they are drawn.

    Attributes:
        system: a derived system, without kappa drift, of one trained vector of fixed length and scalars.
        motion: what moves its paths, `motion_of` the system.
        parameters: mu and whatever else it depends on.
        dimension: d, larger than the number of frozen vectors.
        threshold: R.
        kappa: eta d / B.
        scale: what every trained scalar that rests at 0 starts from.
        step_size: eta; positive for a chain.
        table: where the moments are looked up.
        paths: number of paths of a randomisation, a power of 2.
        noise: factor of the kicks; 0 leaves the flow from a random start.

    >>> from theory.network.derivation import derive
    >>> linear = derive("linear")
    >>> ensemble = Ensemble(linear, motion_of(linear, "diffusion"), {"mu": 0.5}, 1e4, 0.5, 1.0, 1e-8, paths=64)
    >>> sample = ensemble.draw(seed=1)
    >>> sample.times.shape, bool((sample.times > 0).all())
    ((64,), True)
    """

    system: System
    motion: Motion
    parameters: Mapping[str, float]
    dimension: float
    threshold: float
    kappa: float
    scale: float
    step_size: float = 0.0
    table: Grid | None = None
    paths: int = PATHS
    noise: float = 1.0

    def draw(self, seed: int, randomisation: int = 0, begun: Sample | None = None) -> Sample:
        """Return a randomisation: a function of (seed, randomisation) and the fields alone.

        Args:
            seed: of all random numbers.
            randomisation: which of the samples that this seed gives.
            begun: its first paths, where they are drawn already: the others follow.

        >>> from dataclasses import replace
        >>> from theory.network.derivation import derive
        >>> linear = derive("linear")
        >>> few = Ensemble(linear, motion_of(linear, "diffusion"), {"mu": 0.5}, 1e4, 0.5, 1.0, 1e-8, paths=32)
        >>> many = replace(few, paths=64)
        >>> bool((many.draw(1).times == many.draw(1, begun=few.draw(1)).times).all())
        True
        """
        places = np.random.SeedSequence(seed, spawn_key=(randomisation, 4))
        scramble, later = places.spawn(2)
        done = 0 if begun is None else len(begun.times)
        normals, start = (numbers[done:] for numbers in starts(self, scramble))
        generator = np.random.Generator(np.random.SFC64(later)) if begun is None else deepcopy(begun.generator)
        times, ends, steps = np.empty(len(start)), np.empty_like(start), np.empty(len(start), np.int64)
        watched, length = _watched(self.system, self.parameters)
        self.motion.leave(
            generator,
            start,
            normals,
            self._given(self.kappa),
            self._grid,
            sde.bounds_of(self.system, self.parameters),
            np.array([self.threshold * length, self.noise]),
            np.array([watched, MOST_STEPS[self.motion.kind]]),
            times,
            ends,
            steps,
        )
        if begun is not None:
            times, steps = np.append(begun.times, times), np.append(begun.steps, steps)
            ends = np.concatenate([begun.ends, ends])
        return Sample(times, ends, steps, generator)

    def recalled(self, name: str, numbers: tuple[float, ...], make: Callable[[], Mapping[str, Array]]) -> Any:
        """Return arrays that follow from the paths and these numbers, from disk where they have been made before."""
        system, constants = self.system, {p: self.parameters[p.name] for p in self.system.parameters}
        watched, length = _watched(system, self.parameters)
        own = (self.dimension, self.threshold, self.kappa, self.scale, self.step_size, self.paths, self.noise)
        begun = (*sde.frozen_factor(system, constants).ravel(), *_rests(system, constants), watched, length)
        given = (*own, *begun, *self._given(self.kappa), *sde.bounds_of(system, self.parameters), *self._grid, *numbers)
        functions = self.motion.moments.functions.values() if self.motion.looked_up else ()
        content = (*map(number, map(float, given)), *(f.xreplace({GAP: t}) for f in functions))
        return recalled(f"{name} {self.motion.source} {contents(_SOURCES)}", content, make)

    @property
    def _grid(self) -> Array:
        return moments.NONE if self.table is None else self.table.numbers

    def alignments(self, states: Array) -> Array:
        """Return |m| in these states."""
        watched, length = _watched(self.system, self.parameters)
        return np.abs(states[:, watched]) / length

    def norms(self, states: Array) -> Array:
        """Return r = |w|^2 in these states."""
        system = self.system
        value = compile_function((*system.states, *system.parameters), (system.entries[r],), jit=False)
        constants = [self.parameters[p.name] for p in system.parameters]
        return np.array([value(*state, *constants)[0] for state in states])

    def _given(self, kappa: float) -> Array:
        values = {**self.parameters, "kappa": kappa}
        numbers = [values[p.name] for p in self.system.sgd().parameters]
        return np.array([*numbers, self.dimension, self.step_size], float)

    def stall(self, states: Array) -> float:
        """Return the median share of the drift of m that the kappa drift takes away in these states."""
        watched, _ = _watched(self.system, self.parameters)
        shares, speeds = [], np.empty((2, len(self.system.states)))
        work, given = np.empty(len(self.motion.moments.functions)), (self._given(self.kappa), self._given(0.0))
        for state in states[:: max(len(states) // STATES, 1)]:
            for numbers, out in zip(given, speeds, strict=True):
                self.motion.drift(state, numbers, self._grid, work, out)
            with np.errstate(divide="ignore", invalid="ignore"):
                shares.append(1 - speeds[0, watched] / speeds[1, watched])
        return float(np.nanmedian(shares))


def trained_vector(system: System) -> Vector:
    """Return the one trained vector of a single-index system, of fixed length; raise `InputError` for other systems."""
    network = system.network
    alone = network.is_single_index and len(network.vectors) == 1 and network.start is not None
    if not alone or network.vectors[0].has_free_length or network.watched[0] != network.vectors[0]:
        raise InputError(
            f"the law through the diffusion for model {network.name} given; accepted: single-index models with a "
            "search phase and one trained direction of fixed length, such as lora, misaligned and plain."
        )
    return network.vectors[0]


def _length(system: System, values: Mapping[Symbol, float]) -> float:
    v = Combination.of(trained_vector(system))
    return math.sqrt(float(system.network.gram.inner(v, v).subs(values)))


def _watched(system: System, parameters: Mapping[str, float]) -> tuple[int, float]:
    """Return the position of <v, b> among the states, and what it is divided by: |v|."""
    network = system.network
    overlap = next(state for state, pair in network.overlaps.items() if pair == network.watched)
    return [*system.states].index(overlap), _length(system, {p: parameters[p.name] for p in system.parameters})


def _rests(system: System, values: Mapping[Symbol, float]) -> list[float]:
    """Return where the search phase of each trained scalar begins."""
    network = system.network
    return [float(sp.sympify((network.start or {})[scalar]).subs(values)) for scalar in network.scalars]


def starts(ensemble: Ensemble, seeds: np.random.SeedSequence) -> tuple[Array, Array]:
    """Return the normals of the first kicks, and the states at the start."""
    system, count = ensemble.system, ensemble.paths
    sobol = scipy.stats.qmc.Sobol(SOBOL, scramble=True, rng=np.random.default_rng(seeds))
    uniform = np.clip(sobol.random_base2(round(math.log2(count))), 1e-12, 1 - 1e-12)
    network = system.network
    values = {p: ensemble.parameters[p.name] for p in system.parameters}
    factor = sde.frozen_factor(system, values)
    size = len(factor)
    normals = scipy.special.ndtri(uniform)
    across = scipy.special.chdtri(ensemble.dimension - size, uniform[:, size])
    within = normals[:, :size]
    unit = within / np.sqrt((within**2).sum(axis=1) + across)[:, None]
    start = np.empty((count, len(system.states)))
    for i, rest in enumerate(_rests(system, values)):
        start[:, i] = rest or ensemble.scale
    start[:, len(network.scalars) :] = _length(system, values) * unit @ factor.T
    return np.ascontiguousarray(normals[:, size + 1 :]), start


def motion_of(system: System, kind: Kind, *, looked_up: bool | None = None) -> Motion:
    """Return the compiled paths of a system, kept for the process; moments by a table unless they are rational.

    Raises `InputError` for a system without one trained direction of fixed length.

    >>> from theory.network.derivation import derive
    >>> motion_of(derive("he3"), "chain").looked_up
    False
    """
    trained_vector(system)
    content = _Content(system.sgd())
    return _motion(content, kind, not _moments(content).are_rational if looked_up is None else looked_up)


class _Content:
    """A system hashed by what it says, so that its code is found again."""

    def __init__(self, noisy: System) -> None:
        self.noisy = noisy
        self._key = (noisy.network, *noisy.velocities.items(), noisy.loss_function.labels)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Content) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


@lru_cache(maxsize=64)
def _moments(content: _Content) -> Moments:
    return moments_of(content.noisy)


@lru_cache(maxsize=64)
def _motion(content: _Content, kind: Kind, looked_up: bool) -> Motion:
    noisy, named = content.noisy, _moments(content)
    source: Any = {"diffusion": paths.diffusion_source, "chain": chain.chain_source}[kind]
    return Motion(kind, named, looked_up, source(noisy, named, looked_up=looked_up))
