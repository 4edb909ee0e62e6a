r"""Sample paths of one-pass SGD as a stochastic differential equation, by Euler-Maruyama.

    dX = b(X) dt + S(X) dW,    S S^T = D(X) = `system.diffusion`,    t = eta * step, kappa = eta d / B,

with b the flow including its kappa drift (`system.sgd`). It is the limit of SGD for small eta at fixed kappa, with a
weak error of order dt; the exact simulation (`numerics.simulation.montecarlo`) has none, the equation costs the same
for every batch. Overlaps of a vector on the sphere are kept within their bounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sympy import Expr, Symbol

from numerics.compile.codegen import BUILDS_ON, field_source
from numerics.compile.keeping import generated, kept
from theory.calculus.expectations import is_closed
from theory.errors import InputError, ParameterError
from theory.network.derivation import takes_text
from theory.network.system import System, guard_in_states
from theory.network.vectors import Combination
from theory.symbols import MEANINGS
from theory.symbols import d as dimension_symbol

if TYPE_CHECKING:
    from numerics.labelled import Labelled

__all__ = ["bounds_of", "cholesky", "coefficients", "frozen_factor", "paths", "random_start"]


Array = NDArray[np.float64]


def random_start(
    system: System,
    dimension: float,
    replicas: int,
    *,
    seed: int,
    initial_scale: float | None = None,
    **parameters: float,
) -> dict[str, Array]:
    """Return the states of v drawn uniformly on the sphere for d >> 1, u = `initial_scale` (d^-2 by default).

    The overlaps of v with the frozen vectors are Gaussian with covariance <a, b> / d.

    >>> from theory.network.derivation import derive
    >>> start = random_start(derive("linear"), 1e4, 3, seed=1, mu=0.5)
    >>> start["u"]
    array([1.e-08, 1.e-08, 1.e-08])
    """
    network, rng = system.network, np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(0, 2))))
    values = {p: parameters[p.name] for p in system.parameters}
    network.accepts(parameters)
    factor = frozen_factor(system, values)
    drawn = factor @ rng.standard_normal((len(factor), replicas)) / math.sqrt(dimension)
    scale = float(dimension) ** -2 if initial_scale is None else initial_scale
    start = {p.name: np.full(replicas, scale) for p in network.scalars}
    return start | {state.name: drawn[i] for i, state in enumerate(network.overlaps)}


def frozen_factor(system: System, values: Mapping[Symbol, float]) -> Array:
    """Return F with F F^T = <a, b> of the vectors that the trained one overlaps with, in the order of the overlaps.

    >>> from theory.network.derivation import derive
    >>> frozen_factor(derive("linear"), {})
    array([[1.]])
    """
    network = system.network
    frozen = [Combination.of(b) for _, b in network.overlaps.values()]
    spread = [[network.gram.inner(a, b).subs(values) for b in frozen] for a in frozen]
    return np.asarray(np.linalg.cholesky(np.array(spread, float) + 1e-300 * np.eye(len(frozen))), np.float64)


@takes_text
def paths(
    system: System,
    start: Mapping[str, ArrayLike],
    times: Sequence[float],
    *,
    dimension: float,
    kappa: float,
    dt: float,
    replicas: int,
    seed: int,
    norm: bool = True,
    **parameters: float,
) -> Labelled:
    """Return sample paths at the given times, as arrays over (replica, t).

    Args:
        system: a derived system (without kappa drift: it is added here) whose loss and noise have closed forms.
        start: value of every state at t = 0, one number or one a replica.
        times: ascending times >= 0, in units of eta * step, rounded to multiples of `dt`.
        dimension: d.
        kappa: eta d / B; 0 gives the flow.
        dt: time step of Euler-Maruyama.
        replicas: number of paths.
        norm: False leaves out the fluctuation of the kappa drift (`System.covariance`), for kappa u^2 << 1; pairs such
            as erf on erf have a closed form only without it.
        seed: non-negative; path i depends on (seed, i) and the parameters only.
        parameters: mu and whatever else the system depends on.

    Raises:
        InputError: no closed form for the loss or its noise, or a function without a formula.
        ParameterError: a parameter outside its domain, or a start that does not fit the system.

    >>> from theory.network.derivation import derive
    >>> sample = paths(derive("linear"), {"u": 1e-4, "m": 0.02}, [0.0, 30.0], dimension=1e4, kappa=1.0, dt=0.01,
    ...               replicas=8, seed=0, mu=0.4)
    >>> sample.m.shape, bool((abs(sample.m[:, -1]) > 0.5).all())
    ((8, 2), True)
    """
    from numerics.labelled import Labelled

    system.network.require_formulas()
    _check(system, start, times, dimension, kappa, dt, replicas, seed)
    noisy = system.sgd()
    wanted = {p.name: float(kappa) if p.name == "kappa" else parameters.get(p.name) for p in noisy.parameters}
    unknown = set(parameters) - set(wanted)
    if None in wanted.values() or unknown:
        given = sorted(parameters)
        raise ParameterError(
            f"parameters {given} given; accepted: {[n for n in wanted if n != 'kappa']}, each by name."
        )
    system.network.accepts(parameters)
    names = [state.name for state in system.states]
    initial = np.stack([np.broadcast_to(np.asarray(start[n], float), replicas) for n in names], axis=1)
    bounds = bounds_of(system, parameters)
    steps = np.rint(np.asarray(times, float) / dt).astype(np.int64)
    outputs = coefficients(noisy, norm=norm)
    count = len(outputs)
    run = _stepper(noisy.states, (*noisy.parameters, dimension_symbol), outputs)
    constants = np.array([*(wanted[p.name] for p in noisy.parameters), float(dimension)])
    record = np.empty((replicas, len(steps), len(names)))
    for index in range(replicas):
        seeds = np.random.SeedSequence(seed, spawn_key=(index, 3))
        run(
            np.random.Generator(np.random.SFC64(seeds)),
            initial[index].copy(),
            constants,
            bounds,
            dt,
            count,
            steps,
            record[index],
        )
    return Labelled(
        {
            n: (("replica", "t"), record[:, :, i], {"long_name": MEANINGS.get(s, str(s))})
            for i, (n, s) in enumerate(zip(names, system.states, strict=True))
        },
        {
            "replica": ("replica", np.arange(replicas), {"long_name": "run"}),
            "t": ("t", steps * dt, {"long_name": "time", "units": "eta * step"}),
        },
        {
            "title": "Paths of SGD's diffusion",
            "dimension": float(dimension),
            "kappa": float(kappa),
            "dt": dt,
            "seed": seed,
            **parameters,
        },
    )


def _check(
    system: System,
    start: Mapping,
    times: Sequence[float],
    dimension: float,
    kappa: float,
    dt: float,
    replicas: int,
    seed: int,
) -> None:
    names = {state.name for state in system.states}
    if set(start) != names:
        raise ParameterError(f"start {sorted(start)} given; accepted: a value for each of {sorted(names)}.")
    if not (len(times) and all(np.diff(times) > 0) and times[0] >= 0 and math.isfinite(times[-1])):
        raise ParameterError(f"times = {list(times)!r} given; accepted: ascending finite times >= 0 (eta * step).")
    for name, value, accepted in (
        ("dimension", dimension, dimension >= 3),
        ("kappa", kappa, kappa >= 0),
        ("dt", dt, dt > 0),
        ("replicas", replicas, replicas >= 1),
        ("seed", seed, seed >= 0),
    ):
        if not (math.isfinite(value) and accepted):
            domain = {"dimension": ">= 3", "dt": "> 0", "replicas": ">= 1"}.get(name, ">= 0")
            raise ParameterError(f"{name} = {value!r} given; accepted: a finite number {domain}.")


def bounds_of(system: System, parameters: Mapping[str, float]) -> Array:
    """Return the largest modulus of every state: |v| |b| for an overlap <v, b> of v on a sphere.

    >>> from theory.network.derivation import derive
    >>> bounds_of(derive("linear"), {"mu": 0.5})
    array([inf,  1.])
    """
    values = {p: parameters[p.name] for p in system.parameters}
    lengths = []
    for state in system.states:
        v, b = system.network.overlaps.get(state, (None, None))
        if v is None or b is None or not v.is_trained or v.has_free_length:
            lengths.append(math.inf)
        else:
            inner = system.network.gram.inner
            squared = inner(Combination.of(v), Combination.of(v)) * inner(Combination.of(b), Combination.of(b))
            lengths.append(math.sqrt(float(squared.subs(values))))
    return np.array(lengths)


def coefficients(noisy: System, *, norm: bool, drift: Mapping[Symbol, Expr] | None = None) -> tuple[Expr, ...]:
    """Return drift and lower triangle of the diffusion matrix in states, parameters, kappa and d.

    `drift` in chain-rule form replaces the velocities.

    Raises `InputError` where the loss or a moment of its noise has no closed form.

    >>> from theory.network.derivation import derive
    >>> len(coefficients(derive("linear").sgd(), norm=False))  # du/dt, dm/dt, D_uu, D_mu, D_mm
    5
    """
    spread = noisy.diffusion if norm else noisy.covariance(norm=False)
    velocities = noisy.velocities if drift is None else drift
    wanted = spread.free_symbols.union(*(f.free_symbols for f in velocities.values()))
    functions = {name: f for name, f in noisy.diffusion_functions.items() if name in wanted}
    if not all(is_closed(f) for f in functions.values()):
        raise InputError(
            f"{noisy.loss_function.student.name} on {noisy.loss_function.teacher.name}: its noise has no closed form; "
            "accepted are pairs of the closed class: try norm=False, or use the exact simulation."
        )
    closed = guard_in_states(noisy, functions)
    n = range(len(noisy.states))
    moved = [velocities[s].xreplace(closed) for s in noisy.states]
    return (*moved, *(spread[i, j].xreplace(closed) for i in n for j in n if j <= i))


_LOOP = """
from numerics.flows.sde import cholesky


@njit(
    (npy_rng, float64[::1], float64[::1], float64[::1], float64, int64, int64[::1], float64[:, ::1]),
    error_model="numpy",
    nogil=True,
    cache=CACHE,
)
def run(rng, state, given, bounds, dt, count, steps, record):
    size, root = state.size, np.sqrt(dt)
    lower = np.zeros((size, size))
    normal, values = np.empty(size), np.empty(count)
    now = 0
    for position in range(steps.size):
        while now < steps[position]:
            field(state, given, values)
            cholesky(values, size, lower)
            for i in range(size):
                normal[i] = rng.standard_normal()
            for i in range(size):
                moved = state[i] + values[i] * dt
                for j in range(i + 1):
                    moved += root * lower[i, j] * normal[j]
                state[i] = min(max(moved, -bounds[i]), bounds[i])
            now += 1
        record[position] = state
"""


@lru_cache(maxsize=32)
def _stepper(
    states: tuple[Symbol, ...], constants: tuple[Symbol, ...], outputs: tuple[Expr, ...]
) -> Callable[..., None]:
    """Compile the loop of Euler-Maruyama for one system."""
    types = "from numba import float64, int64\nfrom numba.core.types import npy_rng\n"
    text = field_source(states, constants, outputs) + "\n" + types + _LOOP
    return generated(text, "run", builds_on=(*BUILDS_ON, __file__))


@kept(error_model="numpy", nogil=True)
def cholesky(values: Array, size: int, lower: Array) -> None:
    """Factor the packed lower triangle that follows the drift; directions without noise get a zero column."""
    offset = size
    for i in range(size):
        for j in range(i + 1):
            total = values[offset + i * (i + 1) // 2 + j]
            for k in range(j):
                total -= lower[i, k] * lower[j, k]
            if i == j:
                lower[i, i] = math.sqrt(max(total, 0.0))
            else:
                lower[i, j] = total / lower[j, j] if lower[j, j] > 0.0 else 0.0
