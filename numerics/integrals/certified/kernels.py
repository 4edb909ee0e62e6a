r"""Certified kernels K = E f(l) g(l*), centred Gaussians with E l^2 = r, E l*^2 = v and E l l* = q, by Mehler's sum.

With rho = q/sqrt(r v) and c_k = E f(sqrt(r) Z) He_k(Z)/sqrt(k!), d_k likewise of g,

    K = sum_{k <= n} c_k d_k rho^k + R,    |R| <= |rho|^(n+1) sqrt((E f^2 - sum c_k^2) (E g^2 - sum d_k^2)),

so that the decay of the coefficients is used as it is: for smooth functions the sum ends at |rho| = 1 too. There one
integral in one variable does for all others. All c_k, and E f^2, come from one rule: N-point Gauss-Legendre on a panel
of half-width h errs (Trefethen 2008), with M >= |F| on the ellipse of semi-axes h (R + 1/R)/2 and h (R - 1/R)/2, by

    h (64/15) M R^(-2N)/(1 - R^-2),    R = 4,

and panels are halved until a box around the ellipse gives an M for which few nodes suffice. By Mehler's kernel at z and
its conjugate, for any 0 < t < 1 and z = x + i y,

    |He_k(z)|^2/k! <= t^-k (1 - t^2)^(-1/2) exp(t x^2/(1 + t) + t y^2/(1 - t)),

which bounds the polynomials on the boxes and, with y = 0, in the tails. The recurrence for He_k loses digits: the work
is done at 64 + 20 sqrt(n) bits. Where the sum does not end below order 200, `numerics.integrals.certified.nested` is
asked first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import pairwise
from math import ceil, inf, isqrt, log

import sympy as sp
from flint import acb, arb, ctx
from sympy import Expr

from numerics.integrals.certified.enclosure import Enclosure, Number, exact_number, resolved
from numerics.integrals.certified.integrals import Factor, expectation, reach_of
from numerics.integrals.certified.nested import nested_kernel
from theory.enclosures.balls import constant, function, precision
from theory.enclosures.branches import Branches, branches
from theory.enclosures.growth import Bound
from theory.enclosures.zeros import place
from theory.errors import NotCertifiedError, ParameterError
from theory.symbols import x

__all__ = ["coefficient_balls", "kernel", "kernel_ball"]

ORDERS, HIGH_ORDERS = (24, 40, 68, 116, 200), (340, 580, 1000)
RATIO = 4  # R
SETTLED, HOPE = 116, 1.5
"""From this order on a sum is given up whose last gain, kept up and half as much again, does not reach the end."""
WIDEST = 2  # half-width of a panel
NARROWEST = 2.0**-40
MEHLER = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)
"""t that are tried."""
GUARD = 8  # bits of the working precision that a remainder may take
SPARE = 100  # bits below the norms at which a kernel counts as enclosed, if it may vanish


def kernel(f: Expr, g: Expr, q: Number, r: Number, v: Number = 1) -> Enclosure:
    """Return E f(l) g(l*).

    >>> relu = sp.Max(x, 0)
    >>> kernel(relu, relu, 0, 1).value * 2 * 3.141592653589793
    1.0
    >>> kernel(sp.tanh(x), x, 0.3, 1).certified
    True

    Raises `NotCertifiedError` where neither the sum ends below order 1000 nor the nested integral is resolved.
    """
    left, right = branches(f), branches(g)
    a, b, c = (exact_number(number) for number in (q, r, v))
    if not (b.is_positive and c.is_positive and (b * c - a**2).is_nonnegative):
        raise ParameterError(f"q = {q}, r = {r}, v = {v} given; accepted: r, v > 0 and q^2 <= r v.")
    return resolved(lambda: kernel_ball(left, right, a, b, c), f"the kernel at q = {q}, r = {r}")


def kernel_ball(f: Branches, g: Branches, q: Expr, r: Expr, v: Expr = sp.S.One) -> arb:
    """Return E f(l) g(l*): to the working precision or to `SPARE` bits below sqrt(E f^2 E g^2), by Mehler's sum.

    Where that takes many orders, by a nested integral, whichever function is the inner one; then by more orders.

    Raises `NotCertifiedError`, with what was enclosed, where none of them does.
    """
    if sp.simplify(q**2 - r * v) == 0:
        return _parallel(f, g, q, r, v)
    ways = (
        partial(_mehler, f, g, q, r, v, ORDERS),
        partial(nested_kernel, f, g, q, r, v),
        partial(nested_kernel, g, f, q, v, r),
        partial(_mehler, f, g, q, r, v, HIGH_ORDERS),
    )
    failure = NotCertifiedError("not certified: the kernel.")
    for way in ways:
        try:
            ball = way()
        except NotCertifiedError as error:
            failure = error if failure.enclosure is None or error.enclosure is not None else failure
            continue
        if ball.rad() < arb(2) ** (2 * GUARD - ctx.prec) * (1 + abs(ball)):
            return ball
    raise failure


def _mehler(f: Branches, g: Branches, q: Expr, r: Expr, v: Expr, orders: Sequence[int]) -> arb:
    wanted, before, result = ctx.prec, inf, arb(0, arb.pos_inf())
    for i, n in enumerate(orders):
        with precision(wanted + 20 * (isqrt(n) + 1)):
            (c, f2), (d, g2) = _coefficients(f, r, n, ctx.prec), _coefficients(g, v, n, ctx.prec)
            rho, total = constant(q / sp.sqrt(r * v)), arb(0)
            for a, b in zip(reversed(c), reversed(d), strict=True):
                total = total * rho + a * b
            rest = [(square - sum((a * a for a in each), arb(0))).upper() for square, each in ((f2, c), (g2, d))]
            remainder = (abs(rho) ** (n + 1) * (rest[0] * rest[1]).sqrt()).upper()
            goal = (abs(total) * arb(2) ** (GUARD - wanted)).max((f2 * g2).sqrt() * arb(2) ** -(SPARE + wanted - 64))
            result = total + arb(0, remainder)
            missing = float((remainder / goal).log()) if remainder > 0 and goal > 0 else -inf
        if remainder < goal:
            return +result
        gained = (before - missing) / (n - orders[i - 1]) if i else inf
        if n >= SETTLED and missing > HOPE * gained * (HIGH_ORDERS[-1] - n):
            break
        before = missing
    raise NotCertifiedError(
        f"not certified: Mehler's sum at q = {q}, r = {r} does not end below order {orders[-1]}.",
        Enclosure.of(result) if result.is_finite() else None,
    )


def coefficient_balls(f: Branches, r: Expr, order: int) -> tuple[arb, ...]:
    """Return sigma_k^[r] = E[f(sqrt(r) Z) He_k(Z)] r^(k/2), k = 0, ..., order, by one rule for all.

    >>> with precision(64):
    ...     coefficient_balls(branches(sp.Max(x, 0)), sp.S.One, 1)[1]
    [0.50000000000000000... +/- ...]
    """
    with precision(ctx.prec + 20 * (isqrt(order) + 1)):
        normalised, _ = _coefficients(f, r, order, ctx.prec)
        return tuple(c * constant(sp.sqrt(sp.factorial(k) * r**k)) for k, c in enumerate(normalised))


def _parallel(f: Branches, g: Branches, q: Expr, r: Expr, v: Expr) -> arb:
    """|rho| = 1: l* is a multiple of l."""
    left, right = sp.symbols("left right")
    other = Factor(right, g, sp.sqrt(v))
    return expectation(left * right, [Factor(left, f, sp.sqrt(r)), other if q.is_positive else other.mirrored])


@lru_cache(maxsize=256)
def _coefficients(f: Branches, variance: Expr, n: int, bits: int) -> tuple[tuple[arb, ...], arb]:
    """Return c_0, ..., c_n and E f^2."""
    if f.is_zero:
        return (arb(0),) * (n + 1), arb(0)
    scale, goal = constant(sp.sqrt(variance)), arb(2) ** -bits
    reach, beyond = _reach(Factor(x, f, sp.sqrt(variance)), n, goal)
    cuts = [place(cut) / scale for cut in f.cuts]
    inside = [cut for cut in cuts if -reach < cut < reach]
    first = sum(cut < -reach for cut in cuts)
    sums, lost = [arb(0)] * (n + 2), beyond
    for part, (low, high) in zip(f.parts[first:], pairwise([-reach, *inside, reach]), strict=False):
        if part == 0:
            continue
        compiled = function(part, x)

        def scaled(z: acb, compiled: Callable = compiled) -> acb:
            return compiled(scale * z, analytic=True)

        count = max(1, ceil(float(high - low) / (2 * WIDEST)))
        ends = [low + (high - low) * i / count for i in range(count)] + [high]
        for a, b in pairwise(ends):
            for middle, half, nodes, error in _panels(scaled, a, b, n, goal):
                _add(scaled, middle, half, nodes, sums)
                lost += error
    *totals, square = sums
    error, share, result = arb(0, lost), arb(1), []
    for k, total in enumerate(totals):
        share /= arb(max(k, 1)).sqrt()
        result.append(total * share + error)
    return tuple(result), square + error


def _add(f: Callable[[acb], acb], middle: arb, half: arb, nodes: int, sums: list[arb]) -> None:
    """Add what a panel contributes by N nodes: to c_k sqrt(k!), k = 0, ..., n, and to E f^2, which stands last."""
    density = half / (2 * arb.pi()).sqrt()
    for node, weight in _legendre(nodes, ctx.prec):
        z = middle + half * node
        height = f(acb(z)).real
        mass = height * weight * density * (-z * z / 2).exp()
        sums[-1] += mass * height
        before, here = arb(0), mass
        sums[0] += here
        for k in range(1, len(sums) - 1):
            before, here = here, z * here - (k - 1) * before
            sums[k] += here


@lru_cache(maxsize=256)
def _legendre(count: int, bits: int) -> Sequence[tuple[arb, arb]]:
    return [arb.legendre_p_root(count, k, weight=True) for k in range(count)]


def _panels(f: Callable[[acb], acb], low: arb, high: arb, n: int, goal: arb) -> Iterator[tuple[arb, arb, int, arb]]:
    """Yield midpoint, half-width, number of nodes and error of panels that cover [low, high]."""
    middle, half = (low + high) / 2, (high - low) / 2
    across, along = half * (RATIO + 1 / arb(RATIO)) / 2, half * (RATIO - 1 / arb(RATIO)) / 2
    box = acb(middle + arb(0, 1) * across, arb(0, 1) * along)
    height = f(box).abs_upper()
    far, near, up = box.real.abs_upper(), box.real.abs_lower(), along.upper()
    if height.is_finite():
        density = ((up**2 - near**2) / 2).exp()
        most = (height * density * (_hermite(n, far, up) + height)).upper()
        size = half * most * arb(64) / 15 / (1 - arb(RATIO) ** -2)
        nodes = max(4, 4 * ceil(float((size / goal).log().upper()) / (8 * log(RATIO))))
        if nodes <= ctx.prec:
            yield middle, half, nodes, (size * arb(RATIO) ** (-2 * nodes)).upper()
            return
    if half < NARROWEST:
        raise NotCertifiedError(f"not certified: the function is not known to be analytic around z = {float(middle)}.")
    yield from _panels(f, low, middle, n, goal)
    yield from _panels(f, middle, high, n, goal)


def _hermite(n: int, far: arb, up: arb) -> arb:
    """Return a bound on |He_k(z)|/sqrt(k!), k <= n, for |Re z| <= far and |Im z| <= up."""
    a, b = float(far), float(up)
    t = min(MEHLER, key=lambda t: -n * log(t) + t * a * a / (1 + t) + t * b * b / (1 - t))
    ratio = arb(t)
    square = ratio**-n / (1 - ratio**2).sqrt() * (ratio * (far**2 / (1 + ratio) + up**2 / (1 - ratio))).exp()
    return square.sqrt().upper()


def _reach(factor: Factor, n: int, goal: arb) -> tuple[arb, arb]:
    """Return T, and a bound on what lies beyond of every f He_k/sqrt(k!), k <= n, and of f^2."""
    places = (arb(ceil(8 + 2 * n**0.5) + 4 * step) for step in range(60))
    return reach_of(factor, places, lambda bound, T: (bound * bound).above.tail(T) + _hermite_tail(bound, T, n), goal)


def _hermite_tail(bound: Bound, T: arb, n: int) -> arb:
    tails = []
    for t in map(arb, MEHLER):
        rate = Bound((t**-n / (1 - t**2).sqrt()).sqrt(), b=t / (2 * (1 + t)))
        tails.append((bound * rate).above.tail(T))
    return min(tails, key=lambda tail: float(tail) if tail.is_finite() else inf)
