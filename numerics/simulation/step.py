r"""One step of mini-batch SGD in summary statistics for any network: the exact law, whatever the dimension.

Coordinates: an orthonormal basis whose first vectors span the frozen ones; trained vectors are the rows of [A | L], A
their frozen coordinates and L lower triangular across them. With n = rank + vectors, nu = d - n, and all right-hand
sides at the old state:

1. *Fields.* (l, l*) = F z for z ~ N(0, I_k) a sample, H = [W; W*] = F O^T by QR, O an orthonormal n x n basis,
   k = min(units + teacher terms, n). c_ib = a_i sigma_i'(l_ib) (f - y)_b, without f of the correlation loss.
2. *Gradients of the units' weights in the basis O*: the first k columns are sum_b c_ib z_jb / B, each other one is
   S N(0, I), S S^T = c c^T / B^2.
3. *Across the span*: S T, T Bartlett's lower trapezoidal factor, T_ii = chi_{nu - i + 1}, normals below.
4. Trained vectors move by -eta times the units' gradients with the weights' coefficients, scalars by theirs;
   [L | across] = L' Q restores the triangle; constrained vectors get their lengths back.

*Proof.* The future depends on the vectors only through (A, L L^T), since the law of x is invariant under rotations that
fix the frozen span. Given a batch's fields c is fixed, and coordinates of x across the fields are iid N(0, 1),
independent of c: along any orthonormal directions sum_b c_b x_b / B has iid columns of covariance c c^T / B^2. Those
out of the span form S E with E E^T Wishart, whose Bartlett factor is T; equal Gram matrices have equal triangles up to
signs. Nothing is approximated.

`numerics.simulation.unrolled` is the same step for one unit with one trained vector, compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, Symbol

from numerics.accuracy import DEGENERATE
from numerics.compile.codegen import BUILDS_ON, HEADER, compile_function, native_source
from numerics.compile.keeping import generated
from numerics.simulation.coefficients import Coefficients, Weights
from numerics.simulation.experiment import LARGEST_SCALE, Experiment
from numerics.simulation.state import CENSORED, DIVERGED, EXITED, Layout, layout
from theory.calculus.removable import filled
from theory.network.ridges import Network
from theory.network.vectors import Constraint
from theory.symbols import x, y

__all__ = ["Step", "root"]

Array = NDArray[np.float64]


class Step:
    """The step of one experiment, and the loop over it."""

    def __init__(self, experiment: Experiment, degrees_of_freedom_shift: int = 0) -> None:
        network = experiment.network
        self.weights = Weights(experiment)
        self.place: Layout = layout(experiment)
        self.rank, count = experiment.frame.coordinates.shape[1], len(network.vectors)
        self.frozen = np.pad(experiment.frame.coordinates, ((0, 0), (0, count)))
        self.teacher = self.weights.teacher @ self.frozen
        self.eta, self.batch = float(experiment.sgd.step_size), int(experiment.sgd.batch)
        self.noise, self.own = experiment.noise**0.5, float(network.minimised.own)
        self.across = int(experiment.sgd.dimension) - self.rank - count + degrees_of_freedom_shift
        functions = [(filled(r.function.expr), filled(r.function.derivative)) for r in network.ridges]
        self.units = [_member(_vectorised((x, *_own(network)), pair), network) for pair in functions]
        self.label = _labels(experiment)
        self.lengths = [_retraction(v.constraint) for v in network.vectors]
        watched, target = network.watched
        self.watched = [network.vectors.index(v) for v in (watched, target) if v.is_trained]
        self.target = None if target.is_trained else experiment.frame.of_vector(target)

    def fields(self, rows: Array, at: Coefficients) -> Array:
        """Return the weights of units, then of teacher terms, in coordinates."""
        return np.concatenate([at.frozen @ self.frozen + at.trained @ rows, self.teacher])

    def move(self, rng: np.random.Generator, scalars: Array, rows: Array) -> tuple[Array, Array]:
        """Return scalars and trained vectors after one step."""
        at, count = self.weights.at(scalars), len(self.units)
        weights = self.fields(rows, at)
        basis, factor = np.linalg.qr(weights.T, mode="complete")
        k = min(weights.shape)
        z = rng.standard_normal((self.batch, k))
        fields = z @ factor[:k]
        residual, pulls, values = self._residuals(rng, at.amplitudes, fields)
        spread = root(pulls.T @ pulls / self.batch**2)
        along = np.hstack([pulls.T @ z / self.batch, spread @ rng.standard_normal((count, basis.shape[0] - k))])
        gradient = along @ basis.T
        out = spread @ _bartlett(rng, count, self.across)
        moved = scalars - self.eta * self._scalar_gradient(scalars, rows, gradient, residual, values)
        decayed = rows * (1.0 - self.eta * self.weights.vector_decays[:, None])
        inside = decayed - self.eta * at.trained.T @ gradient
        return moved, self._retract(inside, -self.eta * at.trained.T @ out)

    def _residuals(self, rng: np.random.Generator, amplitudes: Array, fields: Array) -> tuple[Array, Array, Array]:
        """Return the residual and c of the samples, and the units' values."""
        count = len(self.units)
        pairs = [unit(np.ascontiguousarray(fields[:, i])) for i, unit in enumerate(self.units)]
        values = np.stack([value for value, _ in pairs], axis=1)
        slopes = np.stack([slope for _, slope in pairs], axis=1)
        noise = self.noise * rng.standard_normal(self.batch) if self.noise else np.zeros(self.batch)
        residual = self.own * (values @ amplitudes) - self.label(fields[:, count:], noise)
        return residual, amplitudes * slopes * residual[:, None], values

    def _scalar_gradient(self, scalars: Array, rows: Array, gradient: Array, residual: Array, values: Array) -> Array:
        terms = []
        for slope, scalar, decay in zip(self.weights.slopes(scalars), scalars, self.weights.decays, strict=True):
            turn = slope.frozen @ self.frozen + slope.trained @ rows
            own = float(residual @ (values @ slope.amplitudes)) / self.batch
            terms.append(float(np.sum(turn * gradient)) + own + decay * scalar)
        return np.array(terms)

    def _retract(self, inside: Array, out: Array) -> Array:
        """Bring the vectors back to a triangle across the frozen span, and to their lengths."""
        rank = self.rank
        triangle = cast(Array, np.linalg.qr(np.hstack([inside[:, rank:], out]).T, mode="r")).T
        size = inside.shape[0]
        rows = np.hstack([inside[:, :rank], triangle[:, :size]])
        norms = np.linalg.norm(rows, axis=1)
        lengths = [length(norm) for length, norm in zip(self.lengths, norms, strict=True)]
        return rows * (np.array(lengths) / norms)[:, None]

    def alignment(self, rows: Array) -> float:
        """|<v, b>|/(|v| |b|) of the watched pair."""
        v = rows[self.watched[0]]
        b = self.target if self.target is not None else rows[self.watched[1]]
        return abs(float(v[: len(b)] @ b)) / float(np.linalg.norm(v) * np.linalg.norm(b))

    def run(self, rng: np.random.Generator, state: Array, threshold: float, span: tuple[int, int]) -> tuple[int, int]:
        """Advance `state` in place over a span of steps, until it exits or diverges: last step and status."""
        first, last = span
        scalars, rows = self.place.unpack(state)
        with np.errstate(all="ignore"):
            if self.alignment(rows) >= threshold:
                return first, EXITED
            for step in range(first + 1, last + 1):
                try:
                    new = self.place.pack(*self.move(rng, scalars, rows))
                except np.linalg.LinAlgError:
                    return step, DIVERGED
                if not np.all(np.abs(new) <= LARGEST_SCALE):
                    return step, DIVERGED
                state[:] = new
                scalars, rows = self.place.unpack(state)  # of what is stored: slices of a run change no bit
                if self.alignment(rows) >= threshold:
                    return step, EXITED
        return last, CENSORED


def root(square: Array) -> Array:
    """Return lower triangular S with S S^T = `square`; a column is zero where the pivot vanishes.

    >>> root(np.array([[4.0, 2.0], [2.0, 1.0]]))
    array([[2., 0.],
           [1., 0.]])
    """
    size = len(square)
    factor = np.zeros((size, size))
    for j in range(size):
        pivot = square[j, j] - factor[j, :j] @ factor[j, :j]
        if pivot <= DEGENERATE * square[j, j]:
            continue
        factor[j, j] = np.sqrt(pivot)
        factor[j + 1 :, j] = (square[j + 1 :, j] - factor[j + 1 :, :j] @ factor[j, :j]) / factor[j, j]
    return factor


def _bartlett(rng: np.random.Generator, size: int, degrees: int) -> Array:
    """Return a lower trapezoid T, size x min(size, degrees), with T T^T ~ Wishart(I, degrees)."""
    width = min(size, max(degrees, 0))
    factor = np.tril(rng.standard_normal((size, width)), -1)
    for i in range(width):
        factor[i, i] = np.sqrt(rng.chisquare(degrees - i))
    return factor


_FILL = """

@njit("void(float64[:, ::1], float64[:, ::1])", error_model="numpy", nogil=True, cache=CACHE)
def fill(rows, out):
"""


@lru_cache(maxsize=256)
def _vectorised(arguments: tuple[Symbol, ...], outputs: tuple[Expr, ...]) -> Callable[..., tuple[Array, ...]]:
    """Return a compiled function of arrays."""
    count = len(outputs)
    inputs = ", ".join(f"rows[{i}, i]" for i in range(len(arguments)))
    targets = "".join(f"out[{k}, i], " for k in range(count))
    text = f"{HEADER}\n\n{native_source(arguments, outputs, name='scalar')}\n{_FILL}"
    text += f"    for i in range(rows.shape[1]):\n        {targets}= scalar({inputs})\n"
    fill = generated(text, "fill", builds_on=BUILDS_ON)

    def call(*columns: Array) -> tuple[Array, ...]:
        rows = np.stack(columns)
        out = np.empty((count, rows.shape[1]))
        fill(rows, out)
        return tuple(out)

    return call


def _own(network: Network) -> tuple[Symbol, ...]:
    return network.parameters_of_functions


def _member(function: Callable[..., tuple[Array, ...]], network: Network) -> Callable[..., tuple[Array, ...]]:
    """Return a function of arrays and of the parameters of a family, with the parameters' values."""
    numbers = [float(network.values[symbol]) for symbol in _own(network)]
    if not numbers:
        return function
    return lambda *columns: function(*columns, *(np.full(columns[0].shape, number) for number in numbers))


def _labels(experiment: Experiment) -> Callable[[Array, Array], Array]:
    """Return the labels as a function of the teacher's fields (samples, terms) and the noise."""
    network = experiment.network
    if network.is_single_index:
        noise = Symbol("n", real=True)
        rule = filled(network.labels.transform, y) if network.labels.transform != y else y
        mean = rule.xreplace({y: filled(network.labels.link.expr) + noise})
        label = _member(_vectorised((x, noise, *_own(network)), (mean,)), network)
        return lambda fields, draws: label(fields[:, 0], draws)[0]
    terms = network.teacher.ridges
    amplitudes = [float(term.coefficient.subs(network.values)) for term in terms]
    links = [_member(_vectorised((x, *_own(network)), (filled(term.function.expr),)), network) for term in terms]

    def total(fields: Array, draws: Array) -> Array:
        sums = draws.copy()
        for j, (amplitude, link) in enumerate(zip(amplitudes, links, strict=True)):
            sums += amplitude * link(np.ascontiguousarray(fields[:, j]))[0]
        return sums

    return total


def _retraction(constraint: Constraint | None) -> Callable[[float], float]:
    """Return the length of a trained vector as a function of its norm after a step."""
    norm = Symbol("norm", positive=True)
    assert constraint is not None
    compiled = compile_function((norm,), (constraint.length(norm),), jit=False)
    return lambda value: compiled(value)[0]
