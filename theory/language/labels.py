r"""Labels: y = T(phi(l*) + sqrt(Delta) xi), xi ~ N(0, 1), as what a quadratic loss needs to know of them.

That is only the conditional mean and second moment given l* = <w*, x>,

    M_1(l*) = E_xi T(phi(l*) + sqrt(Delta) xi),    M_2(l*) = E_xi T(phi(l*) + sqrt(Delta) xi)^2,

each the Weierstrass transform of T or T^2 at mean phi(l*) and variance Delta. The mean is the link that the student
learns; the second moment enters the constant of the loss and the noise of SGD. Without a transform they are phi and
phi^2 + Delta.

The *generative exponent* (Damian, Pillaud-Vivien, Lee & Bruna 2024) is the smallest k >= 1 such that some transform of
the label correlates with He_k(l*); it governs how hard the direction is to find once labels may be transformed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import sympy as sp
from sympy import Expr, S, Symbol

from theory.calculus.bivariate import Phi2
from theory.calculus.expectations import Distribution, gaussian_mean, is_closed
from theory.calculus.nodes import check_nodes
from theory.calculus.undefined import refuse_undefined
from theory.errors import InputError, NotIntegrableError, NotRealError, ParameterError
from theory.language.activations import Activation, activation, member, real_symbols
from theory.language.families import Point, chamber, shared_point
from theory.language.hermite import MAX_EXPONENT, leading_order
from theory.language.parameters import Parameter, declared, domain_of
from theory.language.parser import parse_label
from theory.language.scalars import scalar
from theory.shown import Shown
from theory.symbols import Delta, x, y
from theory.typeset.constants import Constants

__all__ = ["GenerativeExponent", "Labels", "generative_exponent", "labels", "shown_labels", "transform_of"]


@dataclass(frozen=True)
class Labels(Shown):
    """What SGD is shown.

    Attributes:
        link: phi.
        transform: T, an expression in y.
        noise: Delta, a number, `theory.symbols.Delta`, or an expression of parameters.
        declared: domains of parameters of transform and noise, where they are narrower than their symbols say.
        place: values of parameters in whose chamber the conditional mean is, where they are not the link's own point.
    """

    shows = "link, transform, noise"

    link: Activation
    transform: Expr = y
    noise: Expr = S.Zero
    declared: tuple[Parameter, ...] = ()
    place: tuple[tuple[Symbol, Expr], ...] = ()

    @cached_property
    def mean(self) -> Activation:
        """The conditional mean M_1, the link that is learnt; raises as `labels` where the loss is undefined."""
        if self.transform == y:
            return self.link
        try:
            mean = _conditional(self.transform, self.link, self.noise)
            if mean.has(Delta):
                raise InputError(
                    f"label transform {self.transform} with symbolic noise: the link would depend on Delta; give noise "
                    "a number."
                )
            self._check_smoothed()
            link = member(f"{sp.sstr(self.transform)} of y = {self.link.name}", mean, self.domain, self.point)
            member("M_2", self.second_moment if self.noise != 0 else mean, self.domain, self.point)
        except (NotRealError, NotIntegrableError) as error:
            message = f"label transform {self.transform}: the loss is undefined, since {error}"
            raise type(error)(message) from error
        return link

    def _check_smoothed(self) -> None:
        """Refuse a noise that may vanish where the mean has a limit there and no value."""
        if self.noise.free_symbols and not self.transform.is_polynomial(y):
            scalar(self.noise, f"noise of labels {self.transform}", self.domain, positive=True)

    @property
    def domain(self) -> tuple[Parameter, ...]:
        """Where the parameters of link, transform and noise lie."""
        return domain_of(sp.Tuple(self.link.expr, self.transform, self.noise), (*self.link.domain, *self.declared))

    @property
    def point(self) -> dict[Symbol, Expr]:
        """A point of the chamber of the parameters."""
        generic = shared_point([], self.domain) if self.domain else {}
        own = {**dict(self.link.point), **dict(self.place)}
        return {symbol: own.get(symbol, value) for symbol, value in generic.items()}

    def near(self, point: Point) -> Labels:
        """Return the labels with what is learnt in the chamber of a point."""
        return self if self.transform == y else replace(self, place=tuple(point.items()))

    @property
    def derived(self) -> tuple[Activation, ...]:
        """What is learnt in place of the link, where the label is transformed."""
        return () if self.transform == y else (self.mean,)

    @property
    def sources(self) -> tuple[str | Expr, ...]:
        """What was typed: the link, and a transform."""
        return (self.link.source, *([] if self.transform == y else [self.transform]))

    def written(self, constants: Constants) -> Labels:
        """Return the labels with constants in the place of their long decimals."""
        return replace(self, link=self.link.written(constants), transform=constants.in_expression(self.transform))

    @property
    def second_moment(self) -> Expr:
        """M_2, an expression in x (and Delta)."""
        return self.moment(2)

    def moment(self, k: int) -> Expr:
        """Return M_k(x) = E_xi T(phi(x) + sqrt(Delta) xi)^k, an expression in x (and Delta)."""
        moment = _conditional(self.transform**k, self.link, self.noise)
        return chamber(moment, self.domain, self.point).expr if self.domain and self.transform != y else moment

    def moments_in_noise(self, k: int) -> Expr:
        """Return M_k as a polynomial in the symbol Delta where the noise is no number and the labels are as they are.

        Nothing but coefficients then depends on the noise. Other labels: M_k itself.

        >>> labels("relu", noise=Symbol("c", positive=True)).moments_in_noise(2)
        Delta + Max(0, x)**2
        """
        return (replace(self, noise=Delta) if self.is_split else self).moment(k)

    @property
    def is_split(self) -> bool:
        """Whether the moments are polynomials in a noise that is no number."""
        return bool(self.noise.free_symbols) and self.transform == y


def labels(
    link: str | Expr | Activation,
    *,
    transform: str | Expr | None = None,
    noise: float | str | Expr = S.Zero,
    parameters: Iterable[Parameter] = (),
) -> Labels:
    """Return the labels of a teacher with this link, label noise and label transform.

    Args:
        link: phi.
        transform: T, text or expression in y; the identity by default.
        noise: Delta >= 0, a number, the symbol `theory.symbols.Delta`, or an expression of parameters, as text too.
        parameters: those that transform and noise may have besides the link's own.

    Raises:
        NotRealError, NotIntegrableError: T(phi) is undefined somewhere, or T(phi)^2 has no mean.
        InputError: noise together with a transform whose conditional mean has no closed form.

    >>> labels("he2", transform="y**2").mean.expr
    (x**2 - 1)**2
    >>> labels("relu", noise=Delta).second_moment
    Delta + Max(0, x)**2
    """
    shown = shown_labels(link, transform=transform, noise=noise, parameters=parameters)
    _ = shown.mean
    return shown


def shown_labels(
    link: str | Expr | Activation,
    *,
    transform: str | Expr | None = None,
    noise: float | str | Expr = S.Zero,
    parameters: Iterable[Parameter] = (),
) -> Labels:
    """Return `labels` for a simulation, which needs no conditional mean: nothing is derived of it yet.

    >>> shown_labels("relu", transform="y/(1 + y**2)", noise=0.1).noise
    1/10
    """
    phi, own = activation(link), declared(parameters)
    known = (*phi.domain, *own)
    variance = _variance(noise, known)
    rule = y if transform is None or transform == y else transform_of(transform, known)
    held = rule.free_symbols | variance.free_symbols
    return Labels(phi, rule, variance, tuple(p for p in own if p.symbol in held))


def _variance(noise: float | str | Expr, domain: tuple[Parameter, ...]) -> Expr:
    value = scalar(noise, "noise", domain)
    if value.free_symbols <= {Delta} and not (value.is_nonnegative and value.is_finite is not False):
        raise ParameterError(
            f"noise = {noise!r} given; accepted: a finite variance Delta >= 0, or an expression of declared parameters "
            "that is >= 0 on their domain; try 0.1."
        )
    return value


def transform_of(transform: str | Expr, domain: tuple[Parameter, ...] = ()) -> Expr:
    """Return a label transform, an expression in y and in parameters, of text or of an expression.

    >>> from theory.language.parameters import declared
    >>> transform_of("abs(y)**p", declared("p > 0"))
    Abs(y)**p
    """
    rule = parse_label(transform, [p.symbol for p in domain]) if isinstance(transform, str) else transform
    rule = rule.xreplace({symbol: y for symbol in rule.free_symbols if symbol.name == "y"})
    rule, _ = real_symbols(rule, domain)
    if y not in rule.free_symbols:
        raise InputError(f"label transform {transform} given; accepted: a function of the label y, such as y**2.")
    check_nodes(rule, "the label transform")
    return rule


def _conditional(rule: Expr, phi: Activation, variance: Expr) -> Expr:
    """Return E_xi rule(phi(x) + sqrt(Delta) xi)."""
    if variance == 0:
        return rule.subs(y, phi.expr)
    smoothed = gaussian_mean(Distribution.of(rule.subs(y, x)), y, variance)
    if not is_closed(smoothed) or smoothed.has(Phi2):
        raise InputError(
            f"{rule} of noisy labels y: its conditional mean has no elementary form; accepted are transforms T such as "
            "polynomials, exponentials and max(0, y), for which those of T and T**2 have, or noise 0."
        )
    return smoothed.subs(y, phi.expr)


@dataclass(frozen=True)
class GenerativeExponent(Shown):
    """The generative exponent of a teacher.

    Attributes:
        k: the exponent; None where no searched transform correlates.
        transform: the label transform that reaches it.
        searched: the transforms that were looked at.
    """

    shows = "k, transform, searched"

    k: int | None
    transform: Expr | None
    searched: tuple[Expr, ...]


def generative_exponent(
    link: str | Expr | Activation,
    transforms: tuple[str | Expr, ...] = ("y", "y**2", "y**3", "y**4"),
    *,
    noise: float | str | Expr = S.Zero,
    parameters: Iterable[Parameter] = (),
) -> GenerativeExponent:
    r"""Return the smallest k >= 1 with E[T(y) He_k(l*)] != 0 for some T in the span of `transforms`.

    E[T He_k] is linear in T, so the span is searched by its generators, until k is 1, or 2 for an even link, below
    which no transform reaches. `searched` lists those looked at; one whose label has no second moment is left out.
    The default is all polynomials of degree up to four. For polynomial links k is 1 or 2, and 2 exactly when the
    link is even (Damian et al. 2024).

    >>> [generative_exponent(f"he{k}").k for k in (1, 2, 3, 4)]
    [1, 2, 1, 2]
    """
    phi, own = activation(link), tuple(parameters)
    refuse_undefined(phi.expr)
    least = 2 if phi.parity == "even" else 1
    best: tuple[int, Expr] | None = None
    searched: list[Expr] = []
    for given in transforms:
        if best is not None and best[0] == least:
            break
        rule = transform_of(given)
        try:
            seen = labels(phi, transform=rule, noise=noise, parameters=own).mean
        except NotIntegrableError:
            continue
        searched.append(rule)
        k = leading_order((seen,), MAX_EXPONENT if best is None else best[0] - 1)
        if k is not None:
            best = (k, rule)
    if not searched:
        raise NotIntegrableError(f"{phi.name}: none of the transforms {transforms} has a second moment.")
    return GenerativeExponent(*(best or (None, None)), tuple(searched))
