r"""Closed forms in balls: the digits of a formula, whatever cancels in it.

A derived expression is evaluated at exact numbers by the translator of `theory.enclosures.balls`, at 64, 128, ... bits
until a double is resolved, or the radius is below an absolute target where the value may be 0. What has no closed form
in it is enclosed as what it is: `GaussianMean` by an integral, `GaussianKernel` by Mehler's sum (that of an even and an
odd function is 0), and the bivariate normal distribution function by Plackett's integral,

    Phi_2(h, k; sin a) = Phi(h) Phi(k) + 1/(2 pi) int_0^a exp(-(h^2 + k^2 - 2 h k sin t)/(2 cos^2 t)) dt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import cast

import sympy as sp
from flint import acb, arb
from sympy import Expr, Lambda, S, Symbol

from numerics.integrals.certified.enclosure import Enclosure, Number, exact_number, resolved
from numerics.integrals.certified.integrals import Factor, expectation, integral
from numerics.integrals.certified.kernels import kernel_ball
from theory.calculus.bivariate import Phi2, Phi2Angle
from theory.calculus.expectations import GaussianKernel, GaussianMean
from theory.calculus.parity import parity
from theory.enclosures.balls import constant, function, real_part
from theory.enclosures.branches import branches
from theory.errors import NotCertifiedError
from theory.symbols import x

__all__ = ["ball_at", "value", "value_ball"]

NODES = (Phi2, Phi2Angle, GaussianMean, GaussianKernel)


def value(expr: Expr, at: Mapping[Symbol, Number] | None = None, name: str = "") -> Enclosure:
    """Return an expression at numbers, floats being the decimals that they print.

    >>> from theory.symbols import mu
    >>> value(sp.expand((mu - 1) ** 20), {mu: 0.99})
    <Enclosure value = 1e-40 ± ..., certified = True>
    >>> value(Phi2(-1, -2, sp.Rational(1, 2))).value
    0.01...

    Raises `NotCertifiedError` for what has no enclosure, or is not resolved.
    """
    exact = {symbol: exact_number(number) for symbol, number in (at or {}).items()}
    return resolved(ball_at(expr, exact), name or expr)


def ball_at(expr: Expr, at: Mapping[Symbol, Expr]) -> Callable[[], arb]:
    """Return what encloses an expression at exact numbers, at the precision that FLINT stands at.

    Raises `NotCertifiedError` for an expression without a finite value there.
    """
    met = {node: S.Zero for node in expr.atoms(sp.sign) if node.args[0].xreplace(dict(at)).is_zero}
    expr = expr.xreplace(met)  # a ball about 0 has no sign
    if not expr.has(*NODES):
        expr = expr.xreplace({node: node.xreplace(dict(at)) for node in expr.atoms(sp.Piecewise)})
        return lambda: real_part(function(expr, *at)(*(acb(constant(number)) for number in at.values())))
    exact = expr.xreplace(dict(at))
    if exact.has(sp.nan, sp.zoo, sp.oo, -sp.oo):
        raise NotCertifiedError(f"not certified: {expr} has no finite value there as it is written.")
    return lambda: value_ball(exact)


def value_ball(expr: Expr) -> arb:
    """Return a constant expression at the working precision."""

    @cache
    def enclosed(node: Expr) -> arb:
        return _node(node, *(of(cast(Expr, arg)) for arg in node.args if not isinstance(arg, Lambda)))

    def of(part: Expr) -> arb:
        inner = {node: Symbol(f"node_{i}") for i, node in enumerate(_outermost(part))}
        if not inner:
            return constant(part)
        whole = part.xreplace(inner)
        return real_part(function(whole, *inner.values())(*(acb(enclosed(node)) for node in inner)))

    return of(expr)


def _outermost(expr: Expr) -> list[Expr]:
    """Return the special nodes that are in no other."""
    if isinstance(expr, NODES):
        return [cast(Expr, expr)]
    nodes = {node: None for arg in expr.args if isinstance(arg, Expr) for node in _outermost(arg)}
    return list(nodes)


def _node(node: Expr, *numbers: arb) -> arb:
    if isinstance(node, Phi2):
        h, k, rho = numbers
        return _distribution(h, k, rho.asin())
    if isinstance(node, Phi2Angle):
        return _distribution(*numbers)
    if isinstance(node, GaussianMean):
        mean, variance = numbers
        f = Symbol("f")
        return expectation(f, [Factor(f, branches(_law(node, 0)), variance.sqrt(), mean)])
    f, g, v = _law(node, 0), _law(node, 1), node.args[4] if len(node.args) > 4 else sp.S.One
    if {parity(f), parity(g)} == {"even", "odd"}:
        return arb(0)
    return kernel_ball(branches(f), branches(g), *cast(tuple[Expr, Expr], node.args[2:4]), v)


def _law(node: Expr, i: int) -> Expr:
    return cast(Lambda, node.args[i])(x)


def _distribution(h: arb, k: arb, angle: arb) -> arb:
    square, twice = h * h + k * k, 2 * h * k

    def density(t: acb, analytic: bool = False) -> acb:
        far = t.cos()
        return (-(square - twice * t.sin()) / (2 * far * far)).exp()

    def gate(z: arb) -> arb:
        return (-z / arb(2).sqrt()).erfc() / 2

    def plackett(t: acb, analytic: bool = False) -> acb:
        return angle * density(angle * t, analytic)

    return gate(h) * gate(k) + integral(plackett, arb(0), arb(1)) / (2 * arb.pi())
