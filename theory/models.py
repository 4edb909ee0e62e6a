r"""One final class per parametrisation: which vectors there are, which are trained, and what they span.

A model states its vectors, Gram entries, student weight w and state variables; everything else (velocities, ODEs,
linearisation) is derived from that by `theory.gram`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, final

from sympy import Expr, S, Symbol

from theory.errors import ParameterError
from theory.gram import Argument, Combination, Gram, Vector
from theory.symbols import m, mu, q, r, u

__all__ = ["MODELS", "AlignedLoRA", "Model", "Plain", "model"]

TEACHER = Vector("w*", "frozen")
DIRECTION = Vector("v", "sphere")


class Model(Protocol):
    """What a parametrisation has to say."""

    @property
    def name(self) -> str:
        """The name on the command line."""
        ...

    @property
    def gram(self) -> Gram:
        """Inner products of all vectors, in states and parameters."""
        ...

    @property
    def weight(self) -> Combination:
        """The student's weight w as a combination of the vectors."""
        ...

    @property
    def scalars(self) -> tuple[Symbol, ...]:
        """Trainable scalars."""
        ...

    @property
    def overlaps(self) -> Mapping[Symbol, tuple[Vector, Vector]]:
        """State variables that are overlaps, as pairs (trainable vector, other vector)."""
        ...

    @property
    def parameters(self) -> tuple[Symbol, ...]:
        """Constants of the dynamics."""
        ...

    @property
    def start(self) -> Mapping[Symbol, Expr]:
        """The fixed point around which the search phase begins."""
        ...


def loss_arguments(model: Model) -> dict[Symbol, Argument]:
    """Return q = <w, w*> and r = <w, w> as pairs of combinations."""
    return {q: (model.weight, Combination.of(TEACHER)), r: (model.weight, model.weight)}


@final
@dataclass(frozen=True)
class AlignedLoRA:
    """Rank-one LoRA on aligned pre-training: w = mu w* + u v, v on the unit sphere, u a trainable scalar.

    States u and m = <v, w*>; parameter mu in (0, 1] (arXiv:2602.02855, section 2).
    """

    name: str = "lora"
    scalars: tuple[Symbol, ...] = (u,)
    parameters: tuple[Symbol, ...] = (mu,)

    @property
    def gram(self) -> Gram:
        """<w*, w*> = <v, v> = 1, <v, w*> = m."""
        return Gram({(TEACHER, TEACHER): S.One, (DIRECTION, DIRECTION): S.One, (DIRECTION, TEACHER): m})

    @property
    def weight(self) -> Combination:
        """w = mu w* + u v."""
        return Combination.of({TEACHER: mu, DIRECTION: u})

    @property
    def overlaps(self) -> Mapping[Symbol, tuple[Vector, Vector]]:
        """m = <v, w*>."""
        return {m: (DIRECTION, TEACHER)}

    @property
    def start(self) -> Mapping[Symbol, Expr]:
        """(u, m) = (0, 0): no adaptation yet."""
        return {u: S.Zero, m: S.Zero}


@final
@dataclass(frozen=True)
class Plain:
    """Plain spherical training: w = v on the unit sphere; state m = <v, w*>, so q = m and r = 1."""

    name: str = "plain"
    scalars: tuple[Symbol, ...] = ()
    parameters: tuple[Symbol, ...] = ()

    @property
    def gram(self) -> Gram:
        """<w*, w*> = <v, v> = 1, <v, w*> = m."""
        return Gram({(TEACHER, TEACHER): S.One, (DIRECTION, DIRECTION): S.One, (DIRECTION, TEACHER): m})

    @property
    def weight(self) -> Combination:
        """w = v."""
        return Combination.of(DIRECTION)

    @property
    def overlaps(self) -> Mapping[Symbol, tuple[Vector, Vector]]:
        """m = <v, w*>."""
        return {m: (DIRECTION, TEACHER)}

    @property
    def start(self) -> Mapping[Symbol, Expr]:
        """m = 0: a direction drawn at random in high dimension."""
        return {m: S.Zero}


MODELS: Mapping[str, Model] = {"lora": AlignedLoRA(), "plain": Plain()}


def model(value: str | Model) -> Model:
    """Return a model by name, or the model itself.

    >>> model("lora").parameters
    (mu,)
    """
    if not isinstance(value, str):
        return value
    if value not in MODELS:
        raise ParameterError(f"model {value!r} is unknown; accepted are {', '.join(MODELS)}.")
    return MODELS[value]
