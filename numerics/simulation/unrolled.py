r"""The step of one unit with one trained vector, unrolled by code generation: O(1) beside the sums over the batch.

The network's weight w = sum_k b_k F_k + c v, with frozen vectors F_k of coordinates in an orthonormal basis e_1, ...
(e_1 the teacher's direction), and v = n (m e_1 + t e_2 + p e_3) with e_3 across the frozen span, needs two standard
normals a sample, z_1 = <e_1, x> and z_2 = <f, x>, f the unit vector along the rest of w, and one chi-square for
everything across the span. With all right-hand sides at the old state and r_i = (sigma(l_i) - y_i) sigma'(l_i), of the
correlation loss -y_i sigma'(l_i):

    l   = w_1 z1 + k z2,        k = |(w_2, w_3)|,     f = (w_2, w_3) / k
    G1  = sum_i r_i z1_i / B,   G_f = sum_i r_i z2_i / B,   R = sum_i r_i^2 / B^2
    G_h = sqrt(R) N(0, 1)       (the direction h across f in the (e_2, e_3) plane; none without e_2)
    (G2, G3) = (f_2 G_f - f_3 G_h, f_3 G_f + f_2 G_h),      X^2 = R chi^2_{d - rank - 1}
    v~  = (n m - eta c G1, n t - eta c G2, hypot(n p - eta c G3, eta c X)),     n' = length(|v~|),   v^' = v~/|v~|
    s  <- s - eta (sum_k db_k/ds <F_k, G> + dc/ds <v, G>)                       for every trained scalar s

The law of the overlaps is that of d-dimensional SGD, not an approximation: given the batch's fields its residuals are
independent of x across them. The part p of v across the span is stored itself, since sqrt(1 - m^2) would lose every
digit near m = 1; a constrained length is not stored. b, c and their derivatives are the network's own expressions,
compiled; weight decay adds its gradient.

*Linear residuals*, r_i = c1 z1_i + c2 z2_i + c3 n_i (linear student and teacher): G1, G_f and R are then inner products
of the rows z1, z2, n of a batch, which no rotation of its B samples changes. Rotated to lower triangular form, rows of
standard normals are Bartlett's (1933) factor of their Wishart matrix, at most three samples whatever B:

    z1 = (chi_B, 0, 0),   z2 = (N, chi_{B-1}, 0),   n = (N, N, chi_{B-2})      (columns beyond B left out)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, S, Symbol, diff, expand

from numerics.compile.codegen import BUILDS_ON, HEADER, native_source
from numerics.compile.keeping import contents, generated, inlined, is_kept, kept
from numerics.simulation.experiment import LARGEST_SCALE, Experiment
from numerics.simulation.state import CENSORED, DIVERGED, EXITED
from theory.calculus.removable import filled
from theory.network.vectors import Combination
from theory.symbols import eta, x, y

__all__ = [
    "Moments",
    "Scalars",
    "digest",
    "draw_batch",
    "draw_rotated",
    "is_unrolled",
    "kernel",
    "residual_is_linear",
    "scalars_of",
]

Array = NDArray[np.float64]
Z, NOISE = Symbol("z", real=True), Symbol("n", real=True)
"""The teacher's pre-activation <w*, x> and the label noise sqrt(Delta) xi, as compiled functions see them."""
LONGEST = Symbol("z_length", positive=True)
ALONG = Symbol("z_vg", real=True)
"""<v, G>, and below <F_k, G>, in the updates of scalars; names that sort after those of parameters."""
MAX_RANK = 2

Triple = tuple[Expr, Expr, Expr]
"""what of sigma(x) the residual has, sigma'(x), and the label in z = <w*, x> and n"""
Kernel = Callable[[np.random.Generator, Array, Array, "Scalars", tuple[int, int]], tuple[int, int]]


class Scalars(NamedTuple):
    """The scalars that a kernel needs."""

    numbers: Array
    """values of the parameters, then coordinates of the frozen vectors row by row, then decays"""
    eta: float
    label_noise: float
    """standard deviation sqrt(Delta)"""
    across: float
    """degrees of freedom of the directions across the span of the frozen vectors and v"""
    threshold: float
    batch: float


class Moments(NamedTuple):
    """What a step needs to know of its batch."""

    g1: float
    """sum r z1 / B"""
    g2: float
    """sum r z2 / B"""
    r2: float
    """sum r^2 / B^2"""


class _Plan(NamedTuple):
    """What a kernel is made of: expressions alone, so that equal networks share one."""

    functions: Triple
    numbers: tuple[Symbol, ...]
    scalars: tuple[Symbol, ...]
    coefficient: Expr
    """of v in w"""
    base: tuple[Expr, ...]
    """w without v, in coordinates"""
    slopes: tuple[Expr, ...]
    """of every scalar: what its velocity is minus, in <v, G> (`ALONG`) and G"""
    decay: Expr
    """of v"""
    watched: tuple[Expr, ...]
    """the unit vector whose product with v/|v| is watched, in coordinates"""
    rank: int
    length: Expr | None
    """of v after a step to the norm `LONGEST`; None where it stays 1"""
    own: tuple[Symbol, ...]
    """parameters of the functions, among `numbers`"""


def is_unrolled(experiment: Experiment) -> bool:
    """Whether it is one unit with one trained vector, at most two frozen directions, and a teacher along e_1."""
    network, frame = experiment.network, experiment.frame
    if not network.is_single_index or len(network.vectors) > 1 or network.watched[1].is_trained:
        return False
    ahead = frame.of_combination(network.target, {s: float(k) for s, k in network.values.items()})[0] > 0
    return ahead and len(network.target.parts) == 1 and frame.coordinates.shape[1] <= MAX_RANK


def functions(experiment: Experiment) -> Triple:
    """Return the student in the residual, its derivative and the label as functions of the fields, holes filled."""
    network = experiment.network
    label = cast(Expr, filled(network.labels.link.expr).xreplace({x: Z})) + NOISE
    if network.labels.transform != y:
        label = cast(Expr, filled(network.labels.transform, y).xreplace({y: label}))
    own = network.minimised.own * filled(network.student.expr)
    return own, filled(network.student.derivative), label


def residual_is_linear(given: Triple) -> bool:
    """Whether the residual is a linear combination of x, z and n, without a constant."""
    own, derivative, label = given
    residual = None if derivative.free_symbols & {x, Z, NOISE} else expand(own - label).as_poly(x, Z, NOISE)
    return residual is not None and residual.is_linear and residual.is_homogeneous


def _coordinates(experiment: Experiment) -> tuple[dict[Any, list[Expr]], list[Symbol], list[float]]:
    """Return every frozen vector's coordinates, 0 and 1 as themselves and others as symbols with values."""
    rows, symbols, values = {}, [], []
    for k, vector in enumerate(experiment.frame.vectors):
        row: list[Expr] = []
        for j, value in enumerate(experiment.frame.coordinates[k]):
            if value in (0.0, 1.0):
                row.append(S.One if value else S.Zero)
                continue
            symbols.append(Symbol(f"z_frozen_{k}_{j}", real=True))
            values.append(float(value))
            row.append(symbols[-1])
        rows[vector] = row
    return rows, symbols, values


def _plan(experiment: Experiment) -> tuple[_Plan, list[float]]:
    network = experiment.network
    (v,) = network.vectors
    places, symbols, values = _coordinates(experiment)
    rank = experiment.frame.coordinates.shape[1]
    parts = [(vector, k) for vector, k in network.weight.parts if vector != v]

    def base(coefficients: list[tuple[Any, Expr]], j: int) -> Expr:
        return sum((k * places[vector][j] for vector, k in coefficients), S.Zero)

    gradient = [Symbol(f"z_g{j}", real=True) for j in range(rank)]
    coefficient = network.weight.coefficient(v)
    slopes = []
    for scalar in network.scalars:
        moved = [(vector, diff(k, scalar)) for vector, k in parts]
        own = sum((base(moved, j) * gradient[j] for j in range(rank)), S.Zero)
        slopes.append(diff(coefficient, scalar) * ALONG + own + network.penalty.get(scalar, S.Zero) * scalar)
    target = network.watched[1]
    squared = network.gram.inner(Combination.of(target), Combination.of(target))
    size = S.One if squared == 1 else Symbol("z_size", positive=True)
    if size != 1:
        symbols.append(size)
        values.append(float(np.linalg.norm(experiment.frame.of_vector(target))))
    assert v.constraint is not None
    length = v.constraint.length(LONGEST)
    parameters = [*network.values]
    numbers = [*(float(network.values[symbol]) for symbol in parameters), *values]
    plan = _Plan(
        functions(experiment),
        (*parameters, *symbols),
        network.scalars,
        coefficient,
        tuple(base(parts, j) for j in range(rank)),
        tuple(slopes),
        network.penalty.get(v, S.Zero),
        tuple(place / size for place in places[target]),
        rank,
        None if v.is_unit else length,
        network.parameters_of_functions,
    )
    return plan, numbers


def scalars_of(experiment: Experiment, threshold: float, degrees_of_freedom_shift: int = 0) -> Scalars:
    """Return the numbers of a kernel's experiment."""
    _, numbers = _plan(experiment)
    spanned = experiment.frame.coordinates.shape[1] + 1
    return Scalars(
        numbers=np.array([*numbers, 0.0]),
        eta=float(experiment.sgd.step_size),
        label_noise=experiment.noise**0.5,
        across=float(experiment.sgd.dimension - spanned + degrees_of_freedom_shift),
        threshold=threshold,
        batch=float(experiment.sgd.batch),
    )


def kernel(experiment: Experiment, *, rotated: bool) -> Kernel:
    """Return the compiled loop over steps; `rotated` draws batches in triangular form, for linear residuals only."""
    plan, _ = _plan(experiment)
    return _kernel(plan, noisy=experiment.noise > 0, rotated=rotated)


def has_kernel(experiment: Experiment, *, rotated: bool) -> bool:
    """Whether that loop is compiled already, by this process or by an earlier one."""
    plan, _ = _plan(experiment)
    return is_kept(_source(plan, noisy=experiment.noise > 0, rotated=rotated), _BUILDS_ON)


def digest(experiment: Experiment, threshold: float, *, rotated: bool) -> str:
    """Return a digest of what a step of it is: code and numbers."""
    plan, _ = _plan(experiment)
    numbers, *scalars = scalars_of(experiment, threshold)
    code = _source(plan, noisy=experiment.noise > 0, rotated=rotated) + contents(_BUILDS_ON)
    return hashlib.sha256(code.encode() + np.array([*numbers, *scalars]).tobytes()).hexdigest()


_kept = kept(error_model="numpy", nogil=True)
_inlined = inlined(error_model="numpy", nogil=True)


def _chi_square(rng: np.random.Generator, degrees: float) -> float:
    """Draw a chi-square, by NumPy's algorithm."""
    return rng.chisquare(degrees)


chi_square, inlined_chi_square = _kept(_chi_square), _inlined(_chi_square)
"""The same, compiled once for all kernels, or anew into a step that takes no longer than calling it."""


@_kept
def draw_batch(rng: np.random.Generator, rows: Array, width: int, batch: float) -> None:
    """Fill the first `width` samples of z1, z2 (and the noise) with standard normals."""
    for row in range(rows.shape[0]):
        for i in range(width):
            rows[row, i] = rng.standard_normal()


@_inlined
def draw_rotated(rng: np.random.Generator, rows: Array, width: int, batch: float) -> None:
    """Fill them with a batch of `batch` >= `width` samples, rotated to lower triangular form."""
    for row in range(rows.shape[0]):
        for i in range(width):
            if i == row:
                rows[row, i] = np.sqrt(inlined_chi_square(rng, batch - row))
            else:
                rows[row, i] = rng.standard_normal() if i < row else 0.0


def _inputs(symbols: tuple[Symbol, ...], array: str) -> str:
    return ", ".join(f"{array}[{i}]" for i in range(len(symbols)))


def _update_source(plan: _Plan) -> str:
    """Return the source of project(state, scalars) and update(rng, state, new, scalars, batch)."""
    names = [*("m", "t")[: plan.rank], "p"]
    start = len(plan.scalars)
    given = ", ".join(filter(None, (_inputs(plan.scalars, "state"), _inputs(plan.numbers, "scalars.numbers"))))
    read = [f"{name} = state[{start + j}]" for j, name in enumerate(names)]
    read += [f"n = state[{start + len(names)}]"] if plan.length is not None else []
    times = "n*" if plan.length is not None else ""
    inside = ", ".join(filter(None, (given, "n" if plan.length is not None else "")))
    weights = [f"a, c, {', '.join(f'b{j}' for j in range(plan.rank))} = weights({_join(inside, 'scalars.eta')})"]
    lines = ["@native", "def project(state, scalars):", *_indent(read + weights)]
    if plan.rank == 1:
        lines += _indent(["return b0 + a*m, a*p"])
    else:
        lines += _indent(["return b0 + a*m, np.hypot(b1 + a*t, a*p)"])
    lines += [
        "",
        "",
        "@native",
        "def update(rng, state, new, scalars, batch):",
        *_indent(read + weights),
        *_indent(_gradient(plan)),
    ]
    products = " + ".join(f"{name}*g{j}" for j, name in enumerate(names))
    lines += _indent([f"along = {times}({products})" if times else f"along = {products}"])
    shrink = "" if plan.decay == 0 else "shrink*"
    if plan.decay != 0:
        lines += _indent([f"shrink = 1.0 - scalars.eta*decay({_join(given, 'scalars.eta')})[0]"])
    moved = [f"{shrink}{times}{name} - c*g{j}" for j, name in enumerate(names)]
    chi = "c*np.sqrt(batch.r2*chi_square(rng, scalars.across))"
    lines += _indent([f"{name}1 = {value}" for name, value in zip(names[:-1], moved[:-1], strict=True)])
    lines += _indent([f"p1 = np.hypot({moved[-1]}, {chi})"])
    norm = "np.hypot(m1, p1)" if plan.rank == 1 else "np.hypot(np.hypot(m1, t1), p1)"
    lines += _indent([f"norm = {norm}"])
    lines += _indent([f"new[{start + j}] = {name}1/norm" for j, name in enumerate(names)])
    if plan.length is not None:
        lines += _indent([f"new[{start + len(names)}], = length(norm)"])
    if plan.scalars:
        gradient = ", ".join(f"g{j}" for j in range(plan.rank))
        targets = "".join(f"new[{i}], " for i in range(len(plan.scalars)))
        lines += _indent([f"{targets}= moved({_join(inside, 'scalars.eta', 'along', gradient)})"])
    lines += ["", "", "@native", "def watch(state, scalars):", *_indent(read)]
    if _is_first(plan.watched):
        lines += _indent(["return abs(m)"])
    else:
        lines += _indent([f"{', '.join(f'w{j}' for j in range(plan.rank))}, = watched({_join(given, 'scalars.eta')})"])
        lines += _indent(["return abs(" + " + ".join(f"w{j}*{name}" for j, name in enumerate(names[:-1])) + ")"])
    return "\n".join(lines) + "\n"


def _gradient(plan: _Plan) -> list[str]:
    """Lines that give g0, ..., the gradient in coordinates, from the moments of a batch."""
    if plan.rank == 1:
        return ["g0, g1 = batch.g1, batch.g2"]
    return [
        "w2, w3 = b1 + a*t, a*p",
        "k = np.hypot(w2, w3)",
        "f2, f3 = (w2/k, w3/k) if k > 0.0 else (0.0, 1.0)",
        "gh = np.sqrt(batch.r2)*rng.standard_normal()",
        "g0, g1, g2 = batch.g1, f2*batch.g2 - f3*gh, f3*batch.g2 + f2*gh",
    ]


def _is_first(direction: tuple[Expr, ...]) -> bool:
    return direction[0] == 1 and not any(direction[1:])


def _indent(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _join(*parts: str) -> str:
    return ", ".join(filter(None, parts))


def _functions_source(plan: _Plan) -> str:
    """Return the source of the network's own expressions: evaluate, weights, and what else the updates call."""
    held = (*plan.scalars, *plan.numbers)
    length = () if plan.length is None else (LONGEST,)
    whole = plan.coefficient * (LONGEST if length else S.One)
    gradient = tuple(Symbol(f"z_g{j}", real=True) for j in range(plan.rank))
    parts: dict[str, tuple[tuple[Symbol, ...], tuple[Expr, ...]]] = {
        "evaluate": ((x, Z, NOISE, *plan.own), plan.functions),
        "weights": ((*held, *length, eta), (whole, eta * plan.coefficient, *plan.base)),
    }
    if plan.scalars:
        moved = tuple(s - expand(eta * slope) for s, slope in zip(plan.scalars, plan.slopes, strict=True))
        parts["moved"] = ((*held, *length, eta, ALONG, *gradient), moved)
    if plan.decay != 0:
        parts["decay"] = ((*held, eta), (plan.decay,))
    if plan.length is not None:
        parts["length"] = ((LONGEST,), (plan.length,))
    if not _is_first(plan.watched):
        parts["watched"] = ((*held, eta), plan.watched)
    return "".join(f"{native_source(*part, name=name)}\n\n\n" for name, part in parts.items())


_IMPORTS = """
from numerics.simulation.unrolled import Moments, {chi_square}, {draw} as draw

native = njit(error_model="numpy", nogil=True, no_cpython_wrapper=True)  # called from machine code alone
"""

_LOOP = '''
# "reassoc" lets the three sums use vector registers; NaN and inf keep the meaning that divergence needs.
@njit(error_model="numpy", nogil=True, no_cpython_wrapper=True, fastmath={"reassoc", "contract"})
def sums(rows, width, a1, a2, label_noise<, own>):
    g1 = g2 = r2 = 0.0
    for i in range(width):
        z1, z2 = rows[0, i], rows[1, i]
        noise = label_noise * rows[2, i] if NOISY else 0.0
        value, slope, target = evaluate(a1 * z1 + a2 * z2, z1, noise<, own>)
        residual = (value - target) * slope
        g1 += residual * z1
        g2 += residual * z2
        r2 += residual * residual
    return Moments(g1, g2, r2)


@native
def moments(rng, rows, scalars, a1, a2):
    """Draw a batch, block by block, and sum over it."""
    left = int(min(scalars.batch, rows.shape[0])) if ROTATED else int(scalars.batch)
    g1 = g2 = r2 = 0.0
    while left > 0:
        width = min(left, rows.shape[1])
        draw(rng, rows, width, scalars.batch)
        block = sums(rows, width, a1, a2, scalars.label_noise<, given>)
        g1, g2, r2 = g1 + block.g1, g2 + block.g2, r2 + block.r2
        left -= width
    return Moments(g1 / scalars.batch, g2 / scalars.batch, r2 / scalars.batch / scalars.batch)


@njit(error_model="numpy", nogil=True, cache=CACHE)
def run(rng, state, rows, scalars, span):
    """Advance `state` in place over a span of steps, until it exits or diverges: last step and status."""
    first, last = span
    new = np.empty_like(state)
    if watch(state, scalars) >= scalars.threshold:
        return first, EXITED
    for step in range(first + 1, last + 1):
        a1, a2 = project(state, scalars)
        update(rng, state, new, scalars, moments(rng, rows, scalars, a1, a2))
        for i in range(state.size):
            if not abs(new[i]) <= LARGEST_SCALE:
                return step, DIVERGED
        for i in range(state.size):  # one slice compiles for seconds
            state[i] = new[i]
        if watch(state, scalars) >= scalars.threshold:
            return step, EXITED
    return last, CENSORED
'''


@lru_cache(maxsize=64)
def _source(plan: _Plan, *, noisy: bool, rotated: bool) -> str:
    """Return the source of a module with the loop over steps; a function of the expressions alone."""
    chosen = f"CENSORED, DIVERGED, EXITED, LARGEST_SCALE = {CENSORED}, {DIVERGED}, {EXITED}, {LARGEST_SCALE}\n"
    chosen += f"NOISY, ROTATED = {noisy}, {rotated}\n\n\n"
    chi_square = "inlined_chi_square as chi_square" if rotated else "chi_square"
    imports = _IMPORTS.format(chi_square=chi_square, draw="draw_rotated" if rotated else "draw_batch")
    own = "".join(f", p{i}" for i in range(len(plan.own)))
    given = "".join(f", scalars.numbers[{plan.numbers.index(p)}]" for p in plan.own)
    loop = _LOOP.replace("<, own>", own).replace("<, given>", given)
    return HEADER + imports + chosen + _functions_source(plan) + _update_source(plan) + loop


def _example() -> tuple[Any, ...]:
    """What a kernel is called with."""
    numbers = Scalars(np.zeros(1), 0.0, 0.0, 0.0, 0.0, 0.0)
    return np.random.Generator(np.random.SFC64(0)), np.zeros(1), np.zeros((1, 1)), numbers, (0, 0)


_BUILDS_ON = (*BUILDS_ON, __file__)


@lru_cache(maxsize=64)
def _kernel(plan: _Plan, *, noisy: bool, rotated: bool) -> Kernel:
    text = _source(plan, noisy=noisy, rotated=rotated)
    return cast(Kernel, generated(text, "run", builds_on=_BUILDS_ON, example=_example))
