r"""One final class per parametrisation: which vectors there are, which are trained, and what they span.

A model gives the description of a network (`theory.network.ridges.Network`): its vectors, Gram entries, student weight
w, state variables and words. Everything else (velocities, ODEs, linearisation, diffusion, simulation, LaTeX) is derived
from that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, final

from sympy import Expr, S, Symbol

from theory.errors import ParameterError
from theory.language.activations import Activation
from theory.language.labels import Labels
from theory.network.constraints import Free, Sphere
from theory.network.ridges import Network, Words
from theory.network.vectors import Combination, Gram, Vector
from theory.symbols import alpha, c, m, mu, q, q_s, r, rho, s, u

__all__ = ["MODELS", "AlignedLoRA", "MisalignedLoRA", "Model", "Plain", "Pretraining", "model"]

TEACHER = Vector("w*")
SOURCE = Vector("w_s")
PRETRAINED = Vector("w0")
DIRECTION = Vector("v", Sphere())
WEIGHT = Vector("w", Free())

LORA = ("nwemadji2026", "hu2022")


class Model(Protocol):
    """A parametrisation: it turns a student's link and labels into a network."""

    @property
    def name(self) -> str:
        """The name on the command line."""
        ...

    def network(self, student: Activation, labels: Labels) -> Network:
        """Return the description that everything else is derived from."""
        ...


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

    def network(self, student: Activation, labels: Labels) -> Network:
        """Start (u, m) = (0, 0): no adaptation yet."""
        return Network.single(
            student,
            labels,
            weight=Combination.of({TEACHER: mu, DIRECTION: self.scale * u}),
            target=TEACHER,
            name=self.name,
            gram=Gram({(TEACHER, TEACHER): S.One, (DIRECTION, DIRECTION): S.One, (DIRECTION, TEACHER): m}),
            scalars=(u,),
            overlaps={m: (DIRECTION, TEACHER)},
            parameters=(mu, *_symbols(self.scale)),
            scale=self.scale,
            start={u: S.Zero, m: S.Zero},
            check=_check_aligned,
            words=Words(
                r"Rank-one LoRA on aligned pre-training $w_{0} = \mu w_{*}$: the scalar $u$ and the direction $v$, on "
                "the unit sphere, are trained.",
                "w = mu w* + u v",
                "LoRA",
            ),
            sources=LORA,
        )


ALIGNMENT = (
    "a number in (0, 1]; mu is the alignment <w0, w*> of w0 = mu w*: for any other w0 give rho = |w0| too (model "
    "misaligned), without pre-training take model plain"
)


def _check_aligned(values: Mapping[str, float]) -> None:
    _require(0 < values["mu"] <= 1, "mu", values["mu"], ALIGNMENT)
    _check_scale(values)


@final
@dataclass(frozen=True)
class MisalignedLoRA:
    """Rank-one LoRA on any pre-trained weight: w = w0 + alpha u v with <w0, w*> = mu, <w0, w0> = rho^2.

    States u, m = <v, w*> and s = <v, w0>; parameters mu and rho >= |mu| (arXiv:2602.02855, misaligned experiments).
    """

    name: str = "misaligned"
    scale: Expr = S.One

    def network(self, student: Activation, labels: Labels) -> Network:
        """Start (u, m, s) = (0, 0, 0): no adaptation yet."""
        return Network.single(
            student,
            labels,
            weight=Combination.of({PRETRAINED: S.One, DIRECTION: self.scale * u}),
            target=TEACHER,
            name=self.name,
            gram=Gram(
                {
                    **{(unit, unit): S.One for unit in (TEACHER, DIRECTION)},
                    (PRETRAINED, PRETRAINED): rho**2,
                    (PRETRAINED, TEACHER): mu,
                    (DIRECTION, TEACHER): m,
                    (DIRECTION, PRETRAINED): s,
                }
            ),
            scalars=(u,),
            overlaps={m: (DIRECTION, TEACHER), s: (DIRECTION, PRETRAINED)},
            parameters=(mu, rho, *_symbols(self.scale)),
            scale=self.scale,
            start={u: S.Zero, m: S.Zero, s: S.Zero},
            check=check_misaligned,
            words=Words(
                r"Rank-one LoRA on a pre-trained weight $w_{0}$ with $\langle w_{0}, w_{*} \rangle = \mu$ and "
                r"$\langle w_{0}, w_{0} \rangle = \rho^{2}$: the scalar $u$ and the direction $v$, on the unit "
                "sphere, are trained.",
                "w = w0 + u v",
                "misaligned LoRA",
            ),
            sources=LORA,
        )


def check_misaligned(values: Mapping[str, float]) -> None:
    """Rho >= |mu|, by the Cauchy-Schwarz inequality; rho > 0."""
    length = values["rho"]
    _require(math.isfinite(values["mu"]), "mu", values["mu"], "a finite number with |mu| <= rho; it is <w0, w*>")
    domain = f"rho >= |mu| = {abs(values['mu']):g}, rho > 0; mu = <w0, w*> cannot exceed the length rho of w0"
    _require(math.isfinite(length) and length >= abs(values["mu"]) and length > 0, "rho", length, domain)
    _check_scale(values)


@final
@dataclass(frozen=True)
class Plain:
    """Plain spherical training: w = v on the unit sphere; state m = <v, w*>, so q = m and r = 1."""

    name: str = "plain"

    def network(self, student: Activation, labels: Labels) -> Network:
        """Start m = 0: a direction drawn at random in high dimension."""
        return Network.single(
            student,
            labels,
            weight=Combination.of(DIRECTION),
            target=TEACHER,
            name=self.name,
            gram=Gram({(TEACHER, TEACHER): S.One, (DIRECTION, DIRECTION): S.One, (DIRECTION, TEACHER): m}),
            overlaps={m: (DIRECTION, TEACHER)},
            start={m: S.Zero},
            words=Words(
                "Plain training on the unit sphere: the direction $v$ is trained.",
                "w = v on the sphere",
                "plain training",
            ),
            sources=("benarous2021", "arnaboldi2023"),
        )


@final
@dataclass(frozen=True)
class Pretraining:
    """Full pre-training: w free, not on the sphere, learns a source teacher w_s with <w_s, w*> = c.

    States q_s = <w, w_s>, q = <w, w*>, r = <w, w>: stopped at time t it gives mu = q(t) and rho^2 = r(t).
    """

    name: str = "pretrain"

    def network(self, student: Activation, labels: Labels) -> Network:
        """No search phase: w starts small and grows at once."""
        return Network.single(
            student,
            labels,
            weight=Combination.of(WEIGHT),
            target=SOURCE,
            name=self.name,
            gram=Gram(
                {
                    **{(unit, unit): S.One for unit in (TEACHER, SOURCE)},
                    (SOURCE, TEACHER): c,
                    (WEIGHT, SOURCE): q_s,
                    (WEIGHT, TEACHER): q,
                    (WEIGHT, WEIGHT): r,
                }
            ),
            overlaps={q_s: (WEIGHT, SOURCE), q: (WEIGHT, TEACHER), r: (WEIGHT, WEIGHT)},
            parameters=(c,),
            check=_check_similarity,
            words=Words(
                r"Full pre-training: the free weight $w$ learns a source teacher $w_{s}$ with $\langle w_{s}, w_{*} "
                r"\rangle = c$, so that the loss is $L(q_{s}, r)$.",
                "w free",
                "pre-training",
            ),
        )


def _check_similarity(values: Mapping[str, float]) -> None:
    _require(abs(values["c"]) <= 1, "c", values["c"], "a number in [-1, 1]; c is the similarity <w_s, w*>")


def _symbols(scale: Expr) -> tuple[Symbol, ...]:
    return (alpha,) if scale.has(alpha) else ()


MODELS: Mapping[str, Model] = {kind.name: kind for kind in (AlignedLoRA(), MisalignedLoRA(), Plain(), Pretraining())}
"""Every built-in parametrisation by name."""


def model(value: str | Model, scale: Expr = S.One) -> Model:
    """Return a model by name, or the model itself; `scale` is alpha of the LoRA models.

    A scale of other symbols than `theory.symbols.alpha` is one of a family, of parameters.

    Raises `ParameterError` for an unknown name, or a scale other than 1 with a model that has none.

    >>> model("lora"), model("misaligned", S(2)).scale
    (AlignedLoRA(name='lora', scale=1), 2)
    """
    if not isinstance(value, str):
        return value
    if value not in MODELS:
        raise ParameterError(f"model {value!r} is unknown; accepted are {', '.join(MODELS)}.")
    if scale == 1:
        return MODELS[value]
    kinds = {"lora": AlignedLoRA, "misaligned": MisalignedLoRA}
    is_family = bool(scale.free_symbols) and not scale.has(alpha)
    if value not in kinds or not (scale == alpha or is_family or (scale.is_Rational and scale != 0)):
        raise ParameterError(
            f"alpha = {scale} with model {value!r} given; accepted: a finite number other than 0, the symbol "
            "theory.symbols.alpha, or an expression of declared parameters, with model lora or misaligned."
        )
    return kinds[value](scale=scale)
