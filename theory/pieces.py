r"""A function of one real variable as smooth branches between breakpoints.

`Abs`, `sign`, `Heaviside`, `Max`, `Min` and `Piecewise` all say the same thing: the formula changes where some
switching function h(x) changes sign. Resolving them, innermost first, on each side of the roots of h turns any
activation into

    f(x) = f_i(x)  for  c_i < x < c_{i+1},        c_0 = -oo,  c_{n+1} = +oo,

with every f_i smooth. Kinks, jumps, one-sided derivatives and the point masses of distributional derivatives
then follow from differences of neighbouring branches at c_i.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import mpmath
import sympy as sp
from sympy import Abs, Expr, Heaviside, Max, Min, Piecewise, sign

from theory.errors import NotIntegrableError, NotRealError, UnsupportedExpressionError
from theory.nodes import check_nodes
from theory.symbols import x

__all__ = ["Pieces", "pieces", "real_zeros"]

SWITCHES = (Abs, sign, Heaviside, Max, Min, Piecewise)
SCAN = 48  # zeros of transcendental switching functions are sought in [-SCAN, SCAN]
MAX_PIECES = 32


@dataclass(frozen=True)
class Pieces:
    """Smooth `branches` (expressions in x) separated by increasing `breakpoints`; one branch more than breakpoints."""

    breakpoints: tuple[Expr, ...]
    branches: tuple[Expr, ...]

    @property
    def is_smooth(self) -> bool:
        """Whether one formula holds on the whole line."""
        return not self.breakpoints

    def diff(self) -> tuple[Pieces, tuple[tuple[Expr, Expr], ...]]:
        """Return the derivative almost everywhere, and the point masses (location, weight) that jumps add to it.

        Raises `NotIntegrableError` where the function itself is infinite at a breakpoint.
        """
        jumps = []
        for i, c in enumerate(self.breakpoints):
            gap = sp.simplify(_limit(self.branches[i + 1], c, "+") - _limit(self.branches[i], c, "-"))
            if gap.has(sp.nan, sp.zoo, sp.oo, -sp.oo):
                raise NotIntegrableError(
                    f"{self.as_expr()} is infinite at x = {c}, so that its derivative there is no function plus point "
                    "masses; accepted are activations with finite one-sided slopes: smooth it near that point."
                )
            if not (gap == 0 or (gap.is_number and abs(sp.N(gap, 30)) < 1e-20)):
                jumps.append((c, gap))
        return _merge(self.breakpoints, tuple(_slope(f) for f in self.branches)), tuple(jumps)

    def as_expr(self) -> Expr:
        """Return one SymPy expression, a `Piecewise` where there are breakpoints."""
        if self.is_smooth:
            return self.branches[0]
        upper = [(f, x < c) for f, c in zip(self.branches, self.breakpoints, strict=False)]
        return Piecewise(*upper, (self.branches[-1], True))


def _limit(branch: Expr, c: Expr, side: str) -> Expr:
    value = branch.subs(x, c)
    return sp.limit(branch, x, c, side) if value.has(sp.nan, sp.zoo) else value


def _slope(f: Expr) -> Expr:
    """Differentiate; factored if shorter, but never an exponential, whose form decides where it overflows."""
    slope = sp.diff(f, x)
    if slope.is_polynomial(x):
        return sp.expand(slope)
    return slope if slope.has(sp.exp) else min((slope, sp.factor(slope)), key=sp.count_ops)


def _merge(breakpoints: tuple[Expr, ...], branches: tuple[Expr, ...]) -> Pieces:
    points: list[Expr] = []
    kept = [branches[0]]
    for c, f in zip(breakpoints, branches[1:], strict=True):
        if sp.expand(f - kept[-1]) != 0:
            points.append(c)
            kept.append(f)
    return Pieces(tuple(points), tuple(kept))


@lru_cache(maxsize=512)
def pieces(expr: Expr) -> Pieces:
    """Resolve every switch of `expr`.

    Raises `UnsupportedExpressionError` for more than 32 breakpoints (a switch of a periodic function, say), and for a
    node outside `theory.nodes`.

    >>> pieces(Max(x, 0))
    Pieces(breakpoints=(0,), branches=(0, x))
    >>> pieces(Max(-1, Min(1, x))).breakpoints
    (-1, 1)
    """
    check_nodes(expr)
    found = _resolve(expr, -sp.oo, sp.oo)
    return _merge(tuple(lo for lo, _ in found[1:]), tuple(f for _, f in found))


def _resolve(expr: Expr, lo: Expr, hi: Expr) -> list[tuple[Expr, Expr]]:
    """Return (left end, smooth branch) pairs that cover (lo, hi)."""
    switches = sorted(expr.atoms(*SWITCHES), key=sp.default_sort_key)
    inner = next((n for n in switches if not any(arg.has(*SWITCHES) for arg in n.args)), None)
    if inner is None:
        return [(lo, expr)]
    cuts = [lo, *_cuts(inner, lo, hi), hi]
    if len(cuts) > MAX_PIECES:
        raise UnsupportedExpressionError(
            f"{inner} switches at more than {MAX_PIECES} points; accepted are functions with finitely many kinks: "
            "replace the switch of an oscillating function by a smooth one."
        )
    found: list[tuple[Expr, Expr]] = []
    for left, right in pairwise(cuts):
        branch = expr.xreplace({inner: _branch(inner, _sample(left, right))})
        found += _resolve(branch, left, right)
    return found


def _switching_functions(node: Expr) -> list[Expr]:
    if isinstance(node, Max | Min):
        args = list(node.args)
        return [f - g for i, f in enumerate(args) for g in args[i + 1 :]]
    if isinstance(node, Piecewise):
        relations = set().union(*(cond.atoms(sp.core.relational.Relational) for _, cond in node.args))
        return [rel.lhs - rel.rhs for rel in relations]
    return [node.args[0]]


def _cuts(node: Expr, lo: Expr, hi: Expr) -> list[Expr]:
    found: list[Expr] = []
    for h in _switching_functions(node):
        for c in real_zeros(h):
            inside = (lo == -sp.oo or sp.N(c - lo) > 1e-12) and (hi == sp.oo or sp.N(hi - c) > 1e-12)
            if inside and all(abs(sp.N(c - other)) > 1e-12 for other in found):
                found.append(c)
    return sorted(found, key=float)


def _sample(lo: Expr, hi: Expr) -> Expr:
    if lo == -sp.oo:
        return sp.S.Zero if hi == sp.oo else sp.floor(hi) - 1
    return sp.ceiling(lo) + 1 if hi == sp.oo else (lo + hi) / 2


def _branch(node: Expr, point: Expr) -> Expr:
    if isinstance(node, Abs):
        return node.args[0] if _value(node.args[0], point) >= 0 else -node.args[0]
    if isinstance(node, Max | Min):
        best = max if isinstance(node, Max) else min
        return best(sp.ordered(node.args), key=lambda f: _value(f, point))
    if isinstance(node, Piecewise):
        return next((f for f, cond in node.args if cond.subs(x, point) == sp.true), sp.nan)
    height = _value(node.args[0], point)
    if isinstance(node, Heaviside):
        return sp.S(1 if height > 0 else 0) if height else sp.Rational(1, 2)
    return sp.S(int(height > 0) - int(height < 0))


def _value(f: Expr, point: Expr) -> float:
    value = sp.N(f.subs(x, point), 20)
    if not value.is_real:
        raise NotRealError(f"{f} is not a real number at x = {point}; accepted are functions real on the whole line.")
    return float(value) if value.is_finite else float(sp.sign(value)) * 1e300


@lru_cache(maxsize=512)
def real_zeros(h: Expr) -> tuple[Expr, ...]:
    """Return the real zeros of h(x) in increasing order: exact for polynomials, otherwise those in [-48, 48].

    A zero of a transcendental function is exact where a small rational or multiple of pi is one, and a 30-digit
    number elsewhere.

    >>> real_zeros(x**2 - 2)
    (-sqrt(2), sqrt(2))
    >>> real_zeros(sp.exp(x) - 1)
    (0,)
    """
    if not h.has(x):
        return ()
    if h.is_polynomial(x):
        poly = sp.Poly(h, x)
        if all(c.is_rational for c in poly.all_coeffs()):
            return tuple(sorted(set(sp.real_roots(poly)), key=float))
        if poly.degree() <= 2:
            return tuple(sorted((c for c in sp.roots(poly) if c.is_real), key=float))
    return _scanned_zeros(h)


def _scanned_zeros(h: Expr) -> tuple[Expr, ...]:
    f = sp.lambdify(x, h, "mpmath")
    with mpmath.workdps(30):
        nodes = [mpmath.mpf(i) / 32 for i in range(-32 * SCAN, 32 * SCAN + 1)]
        values = [_real_or_nan(f, z) for z in nodes]
        zeros = [z for z, v in zip(nodes, values, strict=True) if v == 0]
        for (z0, v0), (z1, v1) in zip(
            zip(nodes, values, strict=True), zip(nodes[1:], values[1:], strict=True), strict=False
        ):
            if v0 * v1 < 0:
                zeros.append(mpmath.findroot(f, (z0, z1), solver="anderson", tol=1e-40, verify=False))
        if len(zeros) > MAX_PIECES:
            raise UnsupportedExpressionError(
                f"{h} changes sign more than {MAX_PIECES} times; accepted are functions with finitely many kinks."
            )
        return tuple(_exact_zero(h, z) for z in sorted(zeros))


def _real_or_nan(f, z: mpmath.mpf) -> mpmath.mpf:
    try:
        value = f(z)
    except (ValueError, ZeroDivisionError, OverflowError):
        return mpmath.nan
    return value if isinstance(value, mpmath.mpf) else mpmath.mpf(mpmath.nan)


def _exact_zero(h: Expr, z: mpmath.mpf) -> Expr:
    for unit in (sp.S.One, sp.pi):
        guess = sp.nsimplify(sp.Float(z, 25) / unit.evalf(25), rational=True, tolerance=1e-15)
        if guess.q <= 360 and abs(sp.N(guess * unit, 30) - sp.Float(z, 30)) < 1e-15 and h.subs(x, guess * unit) == 0:
            return guess * unit
    return sp.Float(z, 30)
