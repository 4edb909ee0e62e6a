r"""Certified kernels where Mehler's sum does not end: an integral over conditional means.

Given l* = sqrt(v) Z, l is a Gaussian of mean q Z/sqrt(v) and variance D = r - q^2/v > 0, so that

    K = E f(l) g(l*) = E[g(sqrt(v) Z) S(q Z/sqrt(v))],    S(a) = E f(a + sqrt(D) Y),

and S is entire, whatever kinks f has. Where |f(x)| <= V(|x|) on the line, V(u) = C (1 + u)^n e^(b u) with n, b >= 0,

    |S(a)| <= exp((Im a)^2/(2 D)) C k (1 + |Re a|)^n e^(b |Re a|),    k = 2 exp((n + b)^2 D/2) >= E (1 + sqrt(D)|Y|)^n
                                                                                              e^(b sqrt(D) |Y|).

This bound is what the outer rule knows of S on a box, for its error, and beyond T; its nodes get S as an integral.
"""

from __future__ import annotations

from functools import reduce
from itertools import pairwise

import sympy as sp
from flint import acb, arb, ctx
from sympy import Expr, Symbol

from numerics.integrals.certified.integrals import Factor, expectation, integral, reach_of
from theory.enclosures.balls import constant, function
from theory.enclosures.branches import Branches
from theory.enclosures.growth import Bound, growth, reflected
from theory.enclosures.zeros import place
from theory.errors import NotCertifiedError
from theory.symbols import x

__all__ = ["nested_kernel"]

NEAR = 1  # |x| from which growth classes bound f; nearer, balls do
PARTS = 64  # of the line below
NARROW = 2.0**-30  # radius of a node, not a box
STEPS = 40
INNER, OUTER = 600, 6000  # evaluations of an integrand, that of S included
PROBES, LOST = (-2, -1, 0, 1, 2), 16  # where S is tried first, and the bits that it may have lost

_f = Symbol("f")


def nested_kernel(f: Branches, g: Branches, q: Expr, r: Expr, v: Expr = sp.S.One) -> arb:
    """Return E f(l) g(l*), |q| < sqrt(r v), at the working precision.

    >>> from theory.enclosures.balls import precision
    >>> from theory.enclosures.branches import branches
    >>> step = branches(sp.Heaviside(x))
    >>> with precision(64):
    ...     nested_kernel(step, step, sp.sqrt(3) / 2, sp.S.One) * 12
    [5.00000000000000... +/- ...]

    Raises `NotCertifiedError` where f grows faster than exp(b |x|), or g too fast.
    """
    D, slope = constant(r - q**2 / v), constant(q / sp.sqrt(v))
    deviation = D.sqrt()
    around = _bound(f)
    rate = around.n + around.a
    means = around.times(2 * (rate**2 * D / 2).exp()).above

    def smoothed(a: acb) -> acb:
        if a.imag.is_zero() and a.real.rad() < NARROW:
            return acb(expectation(_f, [Factor(_f, f, deviation, a.real)], evaluations=INNER))
        most = (means(abs(a.real).upper()) * (a.imag * a.imag / (2 * D)).exp()).abs_upper()
        return acb(arb(0, most), arb(0, most))

    if any(not smoothed(acb(a)).real.rad() < arb(2) ** (LOST - ctx.prec) * (1 + means.C) for a in PROBES):
        raise NotCertifiedError("not certified: a function of a nested kernel takes too many evaluations.")
    outer = Factor(_f, g, sp.sqrt(v))
    reach, beyond = _reach(outer, means.composed(arb(0), abs(slope)))
    scale, height = constant(sp.sqrt(v)), 1 / (2 * arb.pi()).sqrt()
    cuts = [place(cut) / scale for cut in g.cuts]
    first = sum(cut < -reach for cut in cuts)
    ends = [-reach, *(cut for cut in cuts if -reach < cut < reach), reach]
    total = arb(0, beyond)
    for part, (low, high) in zip(g.parts[first:], pairwise(ends), strict=False):
        if part == 0:
            continue
        own, width = function(part, x), high - low

        def integrand(t: acb, analytic: bool = False, low=low, width=width, own=own) -> acb:
            z = low + width * t
            known = own(scale * z, analytic=analytic)
            return known * smoothed(slope * z) * (-z * z / 2).exp() * height if known.is_finite() else known

        total += width * integral(integrand, arb(0), arb(1), arb(2) ** -ctx.prec, OUTER)
    return total


def _bound(f: Branches) -> Bound:
    """Return V."""
    sides = [growth(f.parts[-1], _start(f)), growth(reflected(f.parts[0]), _start(f))]
    bounds = [side.upper for side in sides]
    if any(not bound.b <= 0 for bound in bounds):
        raise NotCertifiedError("not certified: a function of a nested kernel grows faster than an exponential.")
    zero = arb(0)
    n, a = (reduce(arb.max, parts, zero) for parts in zip(*((bound.n, bound.a) for bound in bounds), strict=True))
    return Bound(sum((bound.C for bound in bounds), _near(f)), n, a).above


def _start(f: Branches) -> int:
    """Return a number beyond the last cut."""
    return max([NEAR, *(int(abs(float(place(cut)))) + 1 for cut in f.cuts)])


def _near(f: Branches) -> arb:
    """Return a bound on |f| between the places from which growth classes hold."""
    start = arb(_start(f))
    most = arb(0)
    for part, (low, high) in zip(f.parts, pairwise([-start, *map(place, f.cuts), start]), strict=True):
        values = function(part, x)
        for i in range(PARTS):
            piece = (low + (high - low) * i / PARTS).union(low + (high - low) * (i + 1) / PARTS)
            most = most.max(values(acb(piece)).abs_upper())
    if not most.is_finite():
        raise NotCertifiedError("not certified: a function of a nested kernel has no bound near its kinks.")
    return most.upper()


def _reach(outer: Factor, means: Bound) -> tuple[arb, arb]:
    """Return T, and a bound on what lies beyond."""
    places = (arb(8 + 2 * step) for step in range(STEPS))
    return reach_of(outer, places, lambda bound, T: (bound * means).above.tail(T), arb(2) ** -ctx.prec)
