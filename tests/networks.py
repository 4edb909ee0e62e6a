"""Networks that the library has no model of, and vectors that realise any network's Gram matrix."""

from __future__ import annotations

import mpmath
import sympy as sp
from sympy import S

from theory.language.activations import Activation, activation
from theory.language.labels import labels
from theory.network.constraints import Sphere
from theory.network.models import Model
from theory.network.ridges import Network, Ridge, Teacher
from theory.network.system import System
from theory.network.vectors import Combination, Gram, Vector

SHARED = Vector("v", Sphere())
TEACHERS = (Vector("w*_1"), Vector("w*_2"))
BASES = (Vector("w0_1"), Vector("w0_2"))
U = sp.symbols("u_1 u_2", real=True)
OVERLAPS = sp.symbols("m_1 m_2 s_1 s_2", real=True)
ROWS = (
    (S.One, S.Zero, S.Zero, S.Zero),
    (sp.Rational(3, 5), sp.Rational(4, 5), S.Zero, S.Zero),
    (S.Half, sp.Rational(1, 5), S.Half, S.Zero),
    (sp.Rational(1, 10), sp.Rational(3, 5), sp.Rational(-3, 10), sp.Rational(2, 5)),
)
"""Teachers and pre-trained weights in an orthonormal basis."""


def of(model: Model, name: str = "erf", teacher: str | None = None) -> Network:
    """Return a model's network."""
    return model.network(activation(name), labels(activation(teacher or name)))


def two_units(name: str | Activation, noise: sp.Expr = S.Zero) -> Network:
    """Return two units of unequal amplitudes on two oblique teachers, with one adapter: w_i = w0_i + u_i v."""
    f, frozen = activation(name), (*TEACHERS, *BASES)
    entries: dict[tuple[Vector, Vector], sp.Expr] = {
        (a, b): sp.Add(*[x * y for x, y in zip(ROWS[i], ROWS[j], strict=True)])
        for i, a in enumerate(frozen)
        for j, b in enumerate(frozen[: i + 1])
    }
    overlaps = {state: (SHARED, b) for state, b in zip(OVERLAPS, frozen, strict=True)}
    entries |= {pair: state for state, pair in overlaps.items()}
    entries[SHARED, SHARED] = S.One
    amplitudes = (S.One, -S.Half)
    return Network(
        name="two units",
        ridges=tuple(
            Ridge(a, f, Combination.of({base: S.One, SHARED: u}))
            for a, base, u in zip(amplitudes, BASES, U, strict=True)
        ),
        teacher=Teacher(
            tuple(Ridge(b, f, Combination.of(w)) for b, w in zip((S.One, sp.Rational(3, 4)), TEACHERS, strict=True)),
            noise,
        ),
        gram=Gram(entries),
        overlaps=overlaps,
        scalars=U,
    )


def realise(network: Network, values: dict[sp.Symbol, sp.Expr], d: int, seed: int) -> dict[Vector, mpmath.matrix]:
    """Return vectors of R^d with the network's frozen Gram matrix, and random trained ones."""
    frozen = network.frozen
    inner = [[network.gram.inner(Combination.of(a), Combination.of(b)).subs(values) for b in frozen] for a in frozen]
    lower = mpmath.cholesky(mpmath.matrix([[mpmath.mpf(str(sp.N(x, 40))) for x in row] for row in inner]))
    found = {v: mpmath.matrix([lower[i, j] if j < len(frozen) else 0 for j in range(d)]) for i, v in enumerate(frozen)}
    state = mpmath.mpf(seed)
    for v in network.vectors:
        drawn = mpmath.matrix([mpmath.sin(1 + state + 7 * i * (i + 2)) for i in range(d)])
        unit = v.constraint is not None and v.constraint.length(sp.Symbol("n", positive=True)) == 1
        found[v] = drawn / mpmath.norm(drawn) if unit else drawn / 2
        state += 11
    return found


def dot(a: mpmath.matrix, b: mpmath.matrix) -> mpmath.mpf:
    """Return the inner product."""
    return sum((x * y for x, y in zip(a, b, strict=True)), mpmath.mpf(0))


def weight(
    combination: Combination, vectors: dict[Vector, mpmath.matrix], values: dict[sp.Symbol, mpmath.mpf]
) -> mpmath.matrix:
    """Return a combination of realised vectors."""
    total = mpmath.matrix(len(next(iter(vectors.values()))), 1)
    for v, coefficient in combination.parts:
        total += mpmath.mpf(str(sp.N(coefficient.subs(values), 40))) * vectors[v]
    return total


def loss_of(system: System, vectors: dict[Vector, mpmath.matrix], values: dict[sp.Symbol, mpmath.mpf]) -> mpmath.mpf:
    """Return the loss, penalty included, at realised vectors."""
    network = system.network
    at = {
        name: dot(weight(left, vectors, values), weight(right, vectors, values))
        for name, (left, right) in network.entries.items()
    }
    total = sp.N(system.loss.subs(values).subs(at), 40)
    for key, decay in network.penalty.items():
        square = dot(vectors[key], vectors[key]) if isinstance(key, Vector) else values[key] ** 2
        total += decay.subs(values) * square / 2
    return mpmath.mpf(str(sp.N(total, 40)))
