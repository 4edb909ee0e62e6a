r"""A function of one real variable as smooth branches between breakpoints.

`Abs`, `sign`, `Heaviside`, `Max`, `Min` and `Piecewise` all say the same thing: the formula changes where some
switching function h(x) changes sign. Resolving them, innermost first, on each side of the roots of h turns any
activation into

    f(x) = f_i(x)  for  c_i < x < c_{i+1},        c_0 = -oo,  c_{n+1} = +oo,

with every f_i smooth. Where h changes sign `theory.calculus.switching` knows. Kinks, jumps, one-sided derivatives and
the point masses of distributional derivatives then follow from differences of neighbouring branches at c_i.

In a family of functions breakpoints are expressions in its parameters. In which order they lie, and which branch is the
larger between them, `theory.calculus.signs` decides.

A switch of an oscillating function, |sin x|, has infinitely many breakpoints. Those in |x| < `window` are resolved, and
whoever integrates has to check that the Gaussian leaves nothing to speak of beyond
(`numerics.integrals.quadrature.reach_of` and `theory.calculus.reference` do; no closed form is given).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cmp_to_key, lru_cache
from itertools import pairwise

import sympy as sp
from sympy import Abs, Expr, Heaviside, Max, Min, Piecewise, sign

from theory.calculus.nodes import check_nodes
from theory.calculus.signs import OpenSignError, is_family, is_noting, order_facts, sign_of, without_monotone
from theory.calculus.switching import MAX_PIECES, MAX_WAVES, Places, sign_changes
from theory.errors import NotIntegrableError, NotRealError, UnsupportedExpressionError
from theory.symbols import x

__all__ = ["Pieces", "pieces", "real_zeros"]

SWITCHES = (Abs, sign, Heaviside, Max, Min, Piecewise)
LONG = 300  # operations of a slope that is not worth factoring
SHORT = 20  # operations of a number that is worth simplifying
GENERIC = sp.Rational(169, 408)
VANISHING = (sp.tanh, sp.erf, sp.sinh, sp.asinh, sp.atan)  # vanish where their argument does, and only there
UNDONE = ((sp.atan, sp.tan), (sp.asinh, sp.sinh))


@dataclass(frozen=True)
class Pieces:
    """Smooth `branches` (expressions in x) separated by increasing `breakpoints`; one branch more than breakpoints.

    All of it holds for |x| < `window` only, infinite but for oscillating switches, where `formula` is the function on
    the whole line.

    Attributes:
        proved: whether these are known to be all; otherwise some were sought by a scan, which may miss two that lie
            close, or in |x| < 48 only.
    """

    breakpoints: tuple[Expr, ...]
    branches: tuple[Expr, ...]
    window: Expr = sp.oo
    formula: Expr | None = None
    proved: bool = True

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
            left, right = self.branches[i : i + 2]
            low, high = _limit(left, c, "-"), _limit(right, c, "+")
            gap = (high - low).replace(_is_undone, lambda node: node.args[0].args[0])
            if gap.has(sp.nan, sp.zoo, sp.oo, -sp.oo):
                raise NotIntegrableError(
                    f"{self.as_expr()} is infinite at x = {c}, so that its derivative there is no function plus point "
                    "masses; accepted are activations with finite one-sided slopes: smooth it near that point."
                )
            if gap != 0 and not _is_rounding(gap, (low, high), (left, right), c):
                jumps.append((c, sp.simplify(gap) if sp.count_ops(gap) < SHORT else gap))
        slopes = tuple(_slope(f) for f in self.branches)
        whole = replace(self, branches=slopes, formula=_plain_slope(self.formula))
        return _merged(whole), tuple(jumps)

    def as_expr(self) -> Expr:
        """Return one SymPy expression, a `Piecewise` where there are breakpoints."""
        if self.is_smooth:
            return self.branches[0]
        if self.formula is not None:
            return self.formula
        upper = [(f, x < c) for f, c in zip(self.branches, self.breakpoints, strict=False)]
        return Piecewise(*upper, (self.branches[-1], True))


def _is_undone(node: Expr) -> bool:
    """Whether a function undoes the one in it, as at a breakpoint tan(b) of |atan(x) - b|, where |b| < pi/2."""
    return any(isinstance(node, outer) and isinstance(node.args[0], inner) for outer, inner in UNDONE)


def _is_rounding(gap: Expr, values: tuple[Expr, Expr], branches: tuple[Expr, Expr], c: Expr) -> bool:
    """Whether a gap is nothing beside the values, or beside what a relative change of 1e-20 of the breakpoint makes."""
    if gap.free_symbols:
        return bool(sp.simplify(gap) == 0)
    slopes = (sp.diff(f, x).subs(x, c) for f in branches)
    sizes = [abs(sp.N(value, 30)) for value in (*values, *(slope * c for slope in slopes))]
    scale = max((size for size in sizes if size.is_Float or size.is_Rational), default=sp.S.Zero)  # slopes may be oo
    return bool(abs(sp.N(gap, 30)) <= sp.Float("1e-20") * scale)


def _plain_slope(formula: Expr | None) -> Expr | None:
    """Differentiate a formula with switches almost everywhere; None where SymPy leaves something undone."""
    if formula is None:
        return None
    slope = sp.diff(formula, x).replace(sp.DiracDelta, lambda *_: sp.S.Zero)
    return None if slope.has(sp.Derivative, sp.re, sp.im) else slope


def _limit(branch: Expr, c: Expr, side: str) -> Expr:
    value = branch.subs(x, c)
    if not value.has(sp.nan, sp.zoo):
        return value
    try:
        return sp.limit(branch, x, c, side)
    except NotImplementedError:
        raise UnsupportedExpressionError(
            f"{branch} at x = {c}: its limit depends on the parameters; accepted are values of them."
        ) from None


def _slope(f: Expr) -> Expr:
    """Differentiate; factored if shorter, but never an exponential, whose form decides where it overflows."""
    slope = sp.diff(f, x)
    if slope.is_polynomial(x):
        return sp.expand(slope)
    if slope.has(sp.exp) or sp.count_ops(slope) > LONG:
        return slope
    return min((slope, sp.factor(slope)), key=sp.count_ops)


def _merged(split: Pieces) -> Pieces:
    """Leave out breakpoints between equal branches."""
    points: list[Expr] = []
    kept = [split.branches[0]]
    for c, f in zip(split.breakpoints, split.branches[1:], strict=True):
        if f != kept[-1] and (sp.count_ops(f) > LONG or sp.expand(f - kept[-1]) != 0):
            points.append(c)
            kept.append(f)
    if not points:
        return Pieces((), tuple(kept), proved=split.proved)
    return replace(split, breakpoints=tuple(points), branches=tuple(kept))


def pieces(expr: Expr) -> Pieces:
    """Resolve every switch of `expr`.

    Raises `UnsupportedExpressionError` for more breakpoints than 32, or than 80 in |x| < 12 for switches of sines, for
    a node outside `theory.calculus.nodes`, and for a switch whose zeros have no formula in its parameters;
    `theory.calculus.signs.OpenSignError` where the parameters of a family leave an order open.

    >>> pieces(Max(x, 0))
    Pieces(breakpoints=(0,), branches=(0, x), window=oo, formula=None, proved=True)
    >>> pieces(Max(-1, Min(1, x))).breakpoints
    (-1, 1)
    >>> split = pieces(Abs(sp.sin(x)))
    >>> len(split.breakpoints), split.window
    (31, 48)
    >>> pieces(Max(x - sp.Symbol("b", real=True), 0)).breakpoints
    (b,)
    """
    if not is_noting():
        return _pieces(expr)
    return _resolved(expr)  # what is noted belongs to no cache


@lru_cache(maxsize=512)
def _pieces(expr: Expr) -> Pieces:
    with order_facts(expr):
        return _resolved(expr)


def _resolved(expr: Expr) -> Pieces:
    check_nodes(expr)
    met: list[Places] = []
    resolved = _resolve(expr, -sp.oo, sp.oo, met)
    window = _window(met)
    return _merged(
        Pieces(
            tuple(lo for lo, _ in resolved[1:]),
            tuple(f for _, f in resolved),
            window,
            None if window == sp.oo else expr,
            all(places.proved for places in met),
        )
    )


def _window(met: Iterable[Places]) -> Expr:
    return min((places.window for places in met), default=sp.oo)


def _resolve(expr: Expr, lo: Expr, hi: Expr, met: list[Places]) -> list[tuple[Expr, Expr]]:
    """Return (left end, smooth branch) pairs that cover (lo, hi); note the zeros of the switches met."""
    switches = sorted(expr.atoms(*SWITCHES), key=sp.default_sort_key)
    inner = next((n for n in switches if not any(arg.has(*SWITCHES) for arg in n.args)), None)
    if inner is None:
        return [(lo, expr)]
    met += map(_zeros, _switching_functions(inner))
    cuts = [lo, *_cuts(inner, lo, hi), hi]
    if len(cuts) > (MAX_PIECES if _window(met) == sp.oo else MAX_WAVES + 2):
        raise UnsupportedExpressionError(
            f"{inner} switches at more than {MAX_PIECES} points; accepted are functions with finitely many kinks: "
            "replace the switch of an oscillating function by a smooth one."
        )
    branches: list[tuple[Expr, Expr]] = []
    for left, right in pairwise(cuts):
        branches += _resolve(_with_branch(expr, inner, _sample(left, right)), left, right, met)
    return branches


def _with_branch(expr: Expr, switch: Expr, point: Expr) -> Expr:
    """Put the branch at `point` in place of a switch."""
    try:
        branch = expr.xreplace({switch: _branch(switch, point)})
    except OpenSignError:
        raise
    except (TypeError, ValueError):  # SymPy compares nothing with a complex infinity
        branch = sp.nan
    if branch.has(sp.nan, sp.zoo, sp.oo, -sp.oo):
        raise NotRealError(
            f"{expr} is infinite or undefined around x = {sp.N(point, 6)}; accepted are functions with a finite real "
            "value everywhere on the real line: check what it divides by."
        )
    return branch


def _switching_functions(node: Expr) -> list[Expr]:
    if isinstance(node, Max | Min):
        args = list(node.args)
        return [f - g for i, f in enumerate(args) for g in args[i + 1 :]]
    if isinstance(node, Piecewise):
        relations = set().union(*(cond.atoms(sp.core.relational.Relational) for _, cond in node.args))
        return [rel.lhs - rel.rhs for rel in relations]
    return [node.args[0]]


def _cuts(node: Expr, lo: Expr, hi: Expr) -> list[Expr]:
    points: list[Expr] = []
    for h in _switching_functions(node):
        for c in real_zeros(h):
            if _is_below(lo, c) and _is_below(c, hi) and not any(_is_same(c, other) for other in points):
                points.append(c)
    return sorted(points, key=_in_order if any(c.free_symbols for c in points) else float)


@cmp_to_key
def _in_order(a: Expr, b: Expr) -> int:
    """Order points by their differences."""
    return sign_of(a - b)


def _is_below(a: Expr, b: Expr) -> bool:
    return a == -sp.oo or b == sp.oo or (not _is_same(a, b) and sign_of(b - a) > 0)


def _is_same(a: Expr, b: Expr) -> bool:
    """Whether two points are equal, to 25 digits where one of them is a number of 30."""
    if a == b:
        return True
    if (a - b).free_symbols:
        return bool(sp.simplify(a - b) == 0)
    return bool(abs(sp.N(a - b, 30)) <= sp.Float("1e-25") * max(abs(sp.N(a)), abs(sp.N(b))))


def _sample(lo: Expr, hi: Expr) -> Expr:
    """Return a point inside, where two functions that touch half-way do not."""
    whole = not (lo.free_symbols or hi.free_symbols)
    if lo == -sp.oo:
        return GENERIC if hi == sp.oo else (sp.floor(hi) if whole else hi) - 1 - GENERIC
    return (sp.ceiling(lo) if whole else lo) + 1 + GENERIC if hi == sp.oo else lo + GENERIC * (hi - lo)


def _branch(node: Expr, point: Expr) -> Expr:
    if is_family(node) or point.free_symbols:
        return _branch_of_family(node, point)
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


def _branch_of_family(node: Expr, point: Expr) -> Expr:
    """`_branch` by signs, where a number is not to be had."""

    def side(f: Expr) -> int:
        return sign_of(f.subs(x, point))

    if isinstance(node, Max | Min):
        wanted, (best, *others) = 1 if isinstance(node, Max) else -1, sp.ordered(node.args)
        for other in others:
            best = other if side(other - best) == wanted else best
        return best
    if isinstance(node, Piecewise):
        return next((f for f, cond in node.args if _holds(cond, side)), sp.nan)
    height = side(node.args[0])
    if isinstance(node, Abs):
        return node.args[0] if height >= 0 else -node.args[0]
    if isinstance(node, Heaviside):
        return sp.S(1 if height > 0 else 0) if height else sp.Rational(1, 2)
    return sp.S(height)


def _holds(cond: sp.Basic, side: Callable[[Expr], int]) -> bool:
    """Whether a condition of a `Piecewise` holds, from the signs of lhs - rhs."""
    relations = cond.atoms(sp.core.relational.Relational)
    known = {relation: sp.S(bool(relation.func(side(relation.lhs - relation.rhs), 0))) for relation in relations}
    return cond.xreplace(known) == sp.true


def _value(f: Expr, point: Expr) -> float:
    value = sp.N(f.subs(x, point), 20)
    if value is sp.nan:  # a hole that may be filled
        value = sp.N(sp.limit(f, x, point), 20)
    if value in (sp.zoo, sp.nan) or not value.is_extended_real:
        raise NotRealError(f"{f} is not a real number at x = {point}; accepted are functions real on the whole line.")
    return float(value) if value.is_finite else float(sp.sign(value)) * 1e300


def real_zeros(h: Expr) -> tuple[Expr, ...]:
    """Return the real zeros of h(x) in increasing order, as `theory.calculus.switching` finds them.

    >>> real_zeros(x**2 - 2)
    (-sqrt(2), sqrt(2))
    >>> real_zeros(sp.exp(x) - 1)
    (0,)
    """
    return _zeros(h).points


def _zeros(h: Expr) -> Places:
    return Places(_zeros_of_family(h)) if is_family(h) and h.has(x) else sign_changes(h)


def _zeros_of_family(h: Expr) -> tuple[Expr, ...]:
    """Return the real zeros in x of a function with parameters: those of linear and quadratic factors, and of what
    vanishes with its argument.

    >>> b = sp.Symbol("b", positive=True)
    >>> _zeros_of_family(sp.tanh(b * x - 1)), _zeros_of_family(x**2 - b)
    ((1/b,), (-sqrt(b), sqrt(b)))
    """
    if h.is_polynomial(x) and sp.degree(h, x) == 1 and h.coeff(x).is_number:
        return (sp.expand(-h.subs(x, 0) / h.coeff(x)),)
    points: list[Expr] = []
    factored = sp.factor(h)
    is_whole = factored.is_Add and without_monotone(h, x) is not None  # (x - b)^3 + c, which factoring would expand
    for factor in (h,) if is_whole else sp.Mul.make_args(factored):
        for c in _zeros_of_factor(factor):
            if not any(_is_same(c, other) for other in points):
                points.append(c)
    return tuple(sorted(points, key=_in_order))


def _zeros_of_factor(f: Expr) -> tuple[Expr, ...]:
    if not f.has(x) or isinstance(f, sp.exp | sp.cosh):
        return ()
    if f.is_Pow and f.exp.is_positive:
        return _zeros_of_factor(f.base)
    if isinstance(f, VANISHING):
        return real_zeros(f.args[0])
    if not is_family(f):
        return sign_changes(f).points
    if f.is_polynomial(x) and sp.degree(f, x) <= 2:
        *_, c2, c1, c0 = (sp.S.Zero, *sp.Poly(f, x).all_coeffs())[-3:]
        if c2 == 0:
            return (sp.factor(-c0 / c1),) if sign_of(c1) else ()
        discriminant, leading = sp.factor(c1**2 - 4 * c2 * c0), sign_of(c2)
        inside = sign_of(discriminant)
        if inside < 0 or not leading:
            return ()
        ends = (sp.factor((-c1 + side * sp.sqrt(discriminant)) / (2 * c2)) for side in (-leading, leading))
        return tuple(ends) if inside else (sp.factor(-c1 / (2 * c2)),)
    shifted = without_monotone(f, x)
    if shifted is not None:
        return real_zeros(shifted) if shifted.has(x) else ()
    raise UnsupportedExpressionError(
        f"{f}: where it changes sign has no formula in its parameters; accepted with parameters in a switch (max, abs, "
        "step) are linear and quadratic functions of x, increasing functions of these (tanh, exp, log, atan, sinh, "
        "asinh, odd powers) compared with what has no x, and products: give parameters numbers."
    )
