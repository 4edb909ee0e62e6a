r"""One final class per parametrisation: which vectors there are, which are trained, and what they span.

A model states its vectors, Gram entries, student weight w and state variables; everything else (velocities, ODEs,
linearisation, diffusion) is derived from that by `theory.network.vectors`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, final

from sympy import Expr, S, Symbol

from theory.errors import ParameterError
from theory.network.vectors import Argument, Combination, Gram, Vector
from theory.symbols import alpha, c, m, mu, q, q_s, r, rho, s, u

__all__ = ["MODELS", "AlignedLoRA", "MisalignedLoRA", "Model", "Plain", "Pretraining", "model"]

TEACHER = Vector("w*", "frozen")
SOURCE = Vector("w_s", "frozen")
PRETRAINED = Vector("w0", "frozen")
DIRECTION = Vector("v", "sphere")
WEIGHT = Vector("w", "free")


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
    def target(self) -> Vector:
        """The unit vector whose projection the labels depend on."""
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
    def start(self) -> Mapping[Symbol, Expr] | None:
        """The fixed point around which a search phase begins; None where there is no search."""
        ...

    def check(self, values: Mapping[str, float]) -> None:
        """Raise `ParameterError` for parameters outside their domain."""
        ...


def loss_arguments(model: Model) -> dict[Symbol, Argument]:
    """Return the loss's arguments, the overlap <w, target> and <w, w>, as pairs of combinations."""
    return {q: (model.weight, Combination.of(model.target)), r: (model.weight, model.weight)}


def _require(accepted: bool, name: str, value: float, domain: str) -> None:
    if not accepted:
        raise ParameterError(f"{name} = {value!r} given; accepted: {domain}.")


def _check_scale(values: Mapping[str, float]) -> None:
    scale = values.get("alpha", 1.0)
    _require(math.isfinite(scale) and scale != 0, "alpha", scale, "a finite LoRA scale other than 0")


@final
@dataclass(frozen=True)
class AlignedLoRA:
    """Rank-one LoRA on aligned pre-training: w = mu w* + alpha u v, v on the unit sphere, u a trainable scalar.

    States u and m = <v, w*>; parameter mu in (0, 1] (arXiv:2602.02855, section 2). `scale` is alpha.
    """

    name: str = "lora"
    scale: Expr = S.One
    scalars: tuple[Symbol, ...] = (u,)
    target: Vector = TEACHER

    @property
    def parameters(self) -> tuple[Symbol, ...]:
        """mu, and alpha where it is a symbol."""
        return (mu, *_symbols(self.scale))

    @property
    def gram(self) -> Gram:
        """<w*, w*> = <v, v> = 1, <v, w*> = m."""
        return Gram({(TEACHER, TEACHER): S.One, (DIRECTION, DIRECTION): S.One, (DIRECTION, TEACHER): m})

    @property
    def weight(self) -> Combination:
        """w = mu w* + alpha u v."""
        return Combination.of({TEACHER: mu, DIRECTION: self.scale * u})

    @property
    def overlaps(self) -> Mapping[Symbol, tuple[Vector, Vector]]:
        """m = <v, w*>."""
        return {m: (DIRECTION, TEACHER)}

    @property
    def start(self) -> Mapping[Symbol, Expr]:
        """(u, m) = (0, 0): no adaptation yet."""
        return {u: S.Zero, m: S.Zero}

    def check(self, values: Mapping[str, float]) -> None:
        """0 < mu <= 1."""
        _require(0 < values["mu"] <= 1, "mu", values["mu"], "a number in (0, 1]; mu is the alignment <w0, w*>")
        _check_scale(values)


@final
@dataclass(frozen=True)
class MisalignedLoRA:
    """Rank-one LoRA on any pre-trained weight: w = w0 + alpha u v with <w0, w*> = mu, <w0, w0> = rho^2.

    States u, m = <v, w*> and s = <v, w0>; parameters mu and rho >= |mu| (arXiv:2602.02855, misaligned experiments).
    """

    name: str = "misaligned"
    scale: Expr = S.One
    scalars: tuple[Symbol, ...] = (u,)
    target: Vector = TEACHER

    @property
    def parameters(self) -> tuple[Symbol, ...]:
        """mu, rho, and alpha where it is a symbol."""
        return (mu, rho, *_symbols(self.scale))

    @property
    def gram(self) -> Gram:
        """<v, w*> = m, <v, w0> = s, <w0, w*> = mu, <w0, w0> = rho^2."""
        return Gram(
            {
                **{(unit, unit): S.One for unit in (TEACHER, DIRECTION)},
                (PRETRAINED, PRETRAINED): rho**2,
                (PRETRAINED, TEACHER): mu,
                (DIRECTION, TEACHER): m,
                (DIRECTION, PRETRAINED): s,
            }
        )

    @property
    def weight(self) -> Combination:
        """w = w0 + alpha u v."""
        return Combination.of({PRETRAINED: S.One, DIRECTION: self.scale * u})

    @property
    def overlaps(self) -> Mapping[Symbol, tuple[Vector, Vector]]:
        """m = <v, w*> and s = <v, w0>."""
        return {m: (DIRECTION, TEACHER), s: (DIRECTION, PRETRAINED)}

    @property
    def start(self) -> Mapping[Symbol, Expr]:
        """(u, m, s) = (0, 0, 0): no adaptation yet."""
        return {u: S.Zero, m: S.Zero, s: S.Zero}

    def check(self, values: Mapping[str, float]) -> None:
        """Rho >= |mu|, by the Cauchy-Schwarz inequality; rho > 0."""
        strength = values["rho"]
        domain = f"rho >= |mu| = {abs(values['mu']):g}, rho > 0; mu = <w0, w*> cannot exceed the length rho of w0"
        _require(math.isfinite(strength) and strength >= abs(values["mu"]) and strength > 0, "rho", strength, domain)
        _check_scale(values)


@final
@dataclass(frozen=True)
class Plain:
    """Plain spherical training: w = v on the unit sphere; state m = <v, w*>, so q = m and r = 1."""

    name: str = "plain"
    scalars: tuple[Symbol, ...] = ()
    parameters: tuple[Symbol, ...] = ()
    target: Vector = TEACHER

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

    def check(self, values: Mapping[str, float]) -> None:
        """Nothing to check."""


@final
@dataclass(frozen=True)
class Pretraining:
    """Full pre-training: w free, not on the sphere, learns a source teacher w_s with <w_s, w*> = c.

    States q_s = <w, w_s>, q = <w, w*>, r = <w, w>: stopped at time t it gives mu = q(t) and rho^2 = r(t).
    """

    name: str = "pretrain"
    scalars: tuple[Symbol, ...] = ()
    parameters: tuple[Symbol, ...] = (c,)
    target: Vector = SOURCE
    start: None = None

    @property
    def gram(self) -> Gram:
        """<w_s, w*> = c, <w, w_s> = q_s, <w, w*> = q, <w, w> = r."""
        return Gram(
            {
                **{(unit, unit): S.One for unit in (TEACHER, SOURCE)},
                (SOURCE, TEACHER): c,
                (WEIGHT, SOURCE): q_s,
                (WEIGHT, TEACHER): q,
                (WEIGHT, WEIGHT): r,
            }
        )

    @property
    def weight(self) -> Combination:
        """The trained vector itself."""
        return Combination.of(WEIGHT)

    @property
    def overlaps(self) -> Mapping[Symbol, tuple[Vector, Vector]]:
        """q_s, q and r."""
        return {q_s: (WEIGHT, SOURCE), q: (WEIGHT, TEACHER), r: (WEIGHT, WEIGHT)}

    def check(self, values: Mapping[str, float]) -> None:
        """|c| <= 1."""
        _require(abs(values["c"]) <= 1, "c", values["c"], "a number in [-1, 1]; c is the similarity <w_s, w*>")


def _symbols(scale: Expr) -> tuple[Symbol, ...]:
    return (alpha,) if scale.has(alpha) else ()


MODELS: Mapping[str, Model] = {kind.name: kind for kind in (AlignedLoRA(), MisalignedLoRA(), Plain(), Pretraining())}
"""Every built-in parametrisation by name."""


def model(value: str | Model, scale: Expr = S.One) -> Model:
    """Return a model by name, or the model itself; `scale` is alpha of the LoRA models.

    Raises `ParameterError` for an unknown name, or a scale other than 1 with a model that has none.

    >>> model("lora").parameters, model("misaligned").parameters
    ((mu,), (mu, rho))
    """
    if not isinstance(value, str):
        return value
    if value not in MODELS:
        raise ParameterError(f"model {value!r} is unknown; accepted are {', '.join(MODELS)}.")
    if scale == 1:
        return MODELS[value]
    kinds = {"lora": AlignedLoRA, "misaligned": MisalignedLoRA}
    if value not in kinds or not (scale == alpha or (scale.is_Rational and scale != 0)):
        raise ParameterError(
            f"alpha = {scale} with model {value!r} given; accepted: a number other than 0, or the symbol "
            "theory.symbols.alpha, with model lora or misaligned."
        )
    return kinds[value](scale=scale)
