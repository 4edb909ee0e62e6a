"""Networks beyond one unit with one trained vector, and experiments of them."""

from collections.abc import Mapping
from typing import Any

import sympy as sp
from sympy import Expr, Integer, Rational, S, Symbol

from numerics.simulation.experiment import SGD, Experiment, Runs, Stop
from theory.language.activations import activation
from theory.network.constraints import Free, Sphere
from theory.network.ridges import Network, Ridge, Teacher
from theory.network.vectors import Combination, Constraint, Gram, Vector

u1, u2, a1, a2 = sp.symbols("u1 u2 a1 a2", real=True)
TARGETS = (Vector("w*1"), Vector("w*2"))
BASES = (Vector("w01"), Vector("w02"))
COORDINATES: dict[Vector, tuple[Expr, ...]] = {
    TARGETS[0]: (S.One, S.Zero, S.Zero, S.Zero),
    TARGETS[1]: (Rational(3, 5), Rational(4, 5), S.Zero, S.Zero),
    BASES[0]: (Rational(1, 2), Rational(1, 5), Rational(1, 2), S.Zero),
    BASES[1]: (Rational(1, 10), Rational(3, 5), Rational(-3, 10), Rational(2, 5)),
}
"""Of the frozen vectors: two oblique teacher directions and two pre-trained weights, in general position."""


def gram_of(frozen: tuple[Vector, ...], states: Mapping[Symbol, tuple[Vector, Vector]]) -> Gram:
    """Products of frozen vectors as numbers, of trained ones as states; 1 for the length of one on the sphere."""
    entries = {
        (a, b): sp.Add(*[x * z for x, z in zip(COORDINATES[a], COORDINATES[b], strict=True)])
        for i, a in enumerate(frozen)
        for b in frozen[: i + 1]
    }
    trained = {v for couple in states.values() for v in couple if v.is_trained}
    units = {(v, v): S.One for v in trained if v.constraint == Sphere()}
    return Gram(entries | units | {couple: state for state, couple in states.items()})


def products(*vectors: Vector, frozen: tuple[Vector, ...]) -> dict[Symbol, tuple[Vector, Vector]]:
    """Overlaps m and s of trained vectors with teacher directions and weights, P with each other, n of free ones."""
    found: dict[Symbol, tuple[Vector, Vector]] = {}
    several = len(frozen) > 2
    for i, v in enumerate(vectors, 1):
        index = str(i) if len(vectors) > 1 else ""
        for b in frozen:
            letter = "m" if b in TARGETS else "s"
            found[Symbol(letter + index + (b.name[-1] if several else ""), real=True)] = (v, b)
        if v.constraint == Free():
            found[Symbol("n" + index, positive=True)] = (v, v)
    return found if len(vectors) == 1 else found | {Symbol("P", real=True): vectors}


def pair(
    name: str,
    *,
    constraint: Constraint | None = None,
    noise: Expr = S.Zero,
    amplitudes: tuple[Expr, Expr] = (S.One, Rational(-1, 2)),
    scalars: tuple[Symbol, ...] = (u1, u2),
    penalty: Mapping[str, Expr] | None = None,
    entries: Mapping[tuple[Vector, Vector], Expr] | None = None,
) -> Network:
    """Two units w_i = w0_i + u_i v on two oblique teacher terms, with one v for both."""
    f, v = activation(name), Vector("v", constraint or Sphere())
    frozen = (*TARGETS, *BASES)
    states = products(v, frozen=frozen)
    weights = [Combination.of({base: S.One, v: u}) for base, u in zip(BASES, (u1, u2), strict=True)]
    decays = {key.name: key for key in (*scalars, v)}
    return Network(
        name="pair",
        ridges=tuple(Ridge(a, f, w) for a, w in zip(amplitudes, weights, strict=True)),
        teacher=Teacher(
            (Ridge(S.One, f, Combination.of(TARGETS[0])), Ridge(Rational(3, 4), f, Combination.of(TARGETS[1]))), noise
        ),
        gram=Gram({**gram_of(frozen, states).entries, **(entries or {})}),
        overlaps=states,
        scalars=scalars,
        penalty={decays[key]: value for key, value in (penalty or {}).items()},
    )


def adapter(
    name: str,
    constraint: Constraint,
    *,
    noise: Expr = S.Zero,
    penalty: Mapping[str, Expr] | None = None,
    progress: tuple[Vector, Vector] | None = None,
) -> Network:
    """One unit w = w0 + u1 v1 + u2 v2 on one teacher term: an adapter of rank two."""
    f, v1, v2 = activation(name), Vector("v1", constraint), Vector("v2", constraint)
    frozen = (TARGETS[0], BASES[0])
    states = products(v1, v2, frozen=frozen)
    decays = {"u1": u1, "u2": u2, "v1": v1, "v2": v2}
    return Network(
        name="adapter",
        ridges=(Ridge(S.One, f, Combination.of({BASES[0]: S.One, v1: u1, v2: u2})),),
        teacher=Teacher((Ridge(S.One, f, Combination.of(TARGETS[0])),), noise),
        gram=gram_of(frozen, states),
        overlaps=states,
        scalars=(u1, u2),
        progress=progress,
        penalty={decays[key]: value for key, value in (penalty or {}).items()},
    )


def committee(name: str, units: int, *, noise: Expr = S.Zero, constraint: Constraint | None = None) -> Network:
    """Units w_i = v_i, free by default, of amplitudes 1, -1/2, 1/3, ... on two oblique teacher terms."""
    f = activation(name)
    vectors = [Vector(f"w{i}", constraint or Free()) for i in range(1, units + 1)]
    states = {Symbol(f"m{i}{j}", real=True): (v, b) for i, v in enumerate(vectors, 1) for j, b in enumerate(TARGETS, 1)}
    states |= {
        Symbol(f"Q{i}{k}", real=True): (v, vectors[k - 1])
        for i, v in enumerate(vectors, 1)
        for k in range(i, units + 1)
        if i != k or v.constraint == Free()
    }
    amplitudes = [Rational((-1) ** i, i + 1) for i in range(units)]
    return Network(
        name="committee",
        ridges=tuple(Ridge(a, f, Combination.of(v)) for a, v in zip(amplitudes, vectors, strict=True)),
        teacher=Teacher(
            tuple(Ridge(b, f, Combination.of(w)) for b, w in zip((S.One, Integer(2) / 3), TARGETS, strict=True)), noise
        ),
        gram=gram_of(TARGETS, states),
        overlaps=states,
    )


def setting(
    network: Network, dimension: int, *, start: Mapping[str, float] | None = None, **changes: Any
) -> Experiment:
    """Thirty steps of batches of three, from scalars and lengths of order one."""
    first = {s.name: value for s, value in zip(network.scalars, (0.8, -0.6, 0.5, 0.4), strict=False)}
    given: dict[str, Any] = {"batch": 3, "step_size": 0.3, "max_steps": 30, "threshold": None, "replicas": 2000}
    given |= {"seed": 1} | changes
    return Experiment(
        network,
        first if start is None else start,
        SGD(dimension, given["batch"], given["step_size"]),
        Stop(given["threshold"], given["max_steps"]),
        Runs(given["replicas"], given["seed"]),
    )
