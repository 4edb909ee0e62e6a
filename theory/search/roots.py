r"""The roots of A(mu) in (0, 1]: isolated with certainty where A is a polynomial, else scanned to a tolerance.

*Certain*: the factors of A over the rationals, and isolating intervals of their real roots; a quantity at such a root
is a remainder modulo its minimal polynomial, hence exactly zero or not.

*Scanned*: samples of A, divided by (1 - mu)^k where mu = 1 is a k-fold root, betray a root by a change of sign, or by a
minimum of |A| that reaches zero when followed down. `theory.search.critical` says what that may miss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, pairwise

import mpmath
import sympy as sp
from sympy import QQ, Expr, Poly, S

from theory.calculus import reference
from theory.calculus.expectations import is_closed
from theory.calculus.precision import resolved
from theory.calculus.tidy import tidy
from theory.errors import HermescapeError, InputError, ParameterError, QuadratureError
from theory.network.linearisation import Escape
from theory.symbols import mu
from theory.typeset.printing import as_text

__all__ = [
    "TOUCHING",
    "Root",
    "Samples",
    "bend_of",
    "definition",
    "drive_of",
    "is_linear",
    "isolated",
    "isolation",
    "named",
    "rational",
    "rational_roots",
    "scanned",
]

DIGITS = 30
FINE, ROUGH = 21, 6  # digits of an integral
FEW, MANY = 2000, 10_000  # points of a rule, for a rough one and for a fine one
PANELS = 64
SMALLEST = 10  # the scan starts at 2^-10
TOUCHING = sp.Float("1e-12")  # |A| over its largest value, below which a minimum of |A| is a root
FLAT = sp.Float("1e-6")  # a derivative over that value, below which it vanishes; roots so close count as one
MAX_MULTIPLICITY = 6
ERROR = sp.Float("1e-15")
STENCIL = range(-4, 5)
GOLDEN = (mpmath.sqrt(5) - 1) / 2
NARROW = 1e-11

_Function = Callable[[mpmath.mpf], mpmath.mpf]


@dataclass(frozen=True)
class Root:
    """A root of A with its multiplicity; `minimal` is its minimal polynomial where it is algebraic.

    `certified`: whether it is proved to be one, within `error`; `slope` is A' there where that is known.
    """

    mu: Expr
    multiplicity: int
    minimal: Poly | None = None
    error: Expr = S.Zero
    certified: bool = True
    slope: Expr | None = None

    @property
    def number(self) -> mpmath.mpf:
        """The root to the working precision."""
        with mpmath.workdps(DIGITS):
            return mpmath.mpf(self.mu.evalf(DIGITS))

    def at(self, f: Expr, n: int = 0) -> Expr:
        """Return the nth derivative of f there; exactly 0 where it vanishes and both are algebraic."""
        poly = None if self.minimal is None else rational(f)
        if poly is not None and self.minimal is not None:
            return named(poly.diff((mu, n)).rem(self.minimal), self.mu)
        slope = f.diff(mu, n)
        if self.error == 0 and is_closed(slope):
            return tidy(slope.subs(mu, self.mu))
        return sp.Float(_number(slope, self.number), 15)


def drive_of(escape: Escape) -> Expr:
    """Return A; raises `ParameterError`, `InputError` or `HermescapeError` where it is not defined, infinite or 0."""
    _require_aligned(escape)
    drive = escape.A
    if drive is not None and escape.square is None:
        raise ParameterError(
            "critical strengths of velocities that are not those of LoRA given; accepted: model lora as derived, whose "
            "search time is that of A and B."
        )
    if drive is None:
        raise InputError(
            f"student {escape.loss.student.name}: A is infinite (it jumps or has an infinite slope); accepted are "
            "continuous students with finite slopes."
        )
    if drive == 0:
        raise _flat(escape)
    return drive


def bend_of(escape: Escape) -> Expr:
    """Return B; raises as `drive_of` where it is not defined, infinite or 0."""
    _require_aligned(escape)
    if escape.B is None:
        raise InputError(
            f"student {escape.loss.student.name}: B is infinite (it jumps or has an infinite slope); accepted are "
            "continuous students with finite slopes."
        )
    if escape.B == 0:
        raise HermescapeError(f"student {escape.loss.student.name} on {escape.loss.teacher.name}: B = 0 for every mu.")
    return escape.B


def _require_aligned(escape: Escape) -> None:
    if not escape.is_aligned:
        raise ParameterError(
            f"critical strengths of model {escape.network.name} given; accepted: model lora, whose search time depends "
            "on mu alone."
        )


def _flat(escape: Escape) -> HermescapeError:
    return HermescapeError(
        f"student {escape.loss.student.name} on {escape.loss.teacher.name}: A = 0 for every mu, so that no alignment "
        "is critical and none drives the search; give a student that depends on its input"
        f"{'' if escape.loss.own else ', or a teacher with which it shares a Hermite order'}."
    )


# --- isolation with certainty -----------------------------------------------------------------------------------


def rational(f: Expr) -> Poly | None:
    """Return f as a polynomial in mu over the rationals, None where it is none."""
    if not f.is_polynomial(mu):
        return None
    poly = Poly(f, mu)
    return poly.set_domain(QQ) if poly.domain in (QQ, sp.ZZ) else None


def is_linear(f: Expr) -> bool:
    """Whether f is a closed form of degree one in mu, its coefficients of any kind."""
    return is_closed(f) and bool(f.is_polynomial(mu)) and Poly(f, mu).degree() == 1


def isolated(drive: Expr) -> list[Root]:
    """Return the roots in (0, 1] of a drive that is rational or linear.

    >>> [(root.mu, root.multiplicity) for root in isolated((4 * mu - 1) ** 2 * (2 - mu))]
    [(1/4, 2)]
    """
    poly = rational(drive)
    if poly is not None:
        return rational_roots(poly)
    slope, constant = Poly(drive, mu).all_coeffs()
    root = tidy(-constant / slope)
    return [Root(root, 1)] if 0 < root <= 1 else []


def rational_roots(poly: Poly) -> list[Root]:
    """Return the roots in (0, 1] of a polynomial with rational coefficients, with multiplicities."""
    if poly.is_zero:
        return []
    roots = []
    for factor, multiplicity in poly.factor_list()[1]:
        if factor.intervals(inf=0, sup=1):
            roots += [Root(root, multiplicity, factor) for root in factor.real_roots() if 0 < root <= 1]
    return roots


def named(poly: Poly, root: Expr) -> Expr:
    """Return a polynomial at an algebraic number; radicals are multiplied out."""
    value = poly.as_expr().subs(mu, root)
    return value if root.has(sp.CRootOf) else sp.expand(value)


def isolation(root: Expr) -> tuple[Poly, Expr, Expr] | None:
    """Return the polynomial in mu of which a root in (0, 1) that has no radicals is the only one in (a, b), a and b.

    (0, 1) where it is alone there, else the shortest decimals next to it that do. None for any other number.

    >>> poly, low, high = isolation(sp.CRootOf(5 * mu**3 + 5 * mu**2 + mu - 1, 0))
    >>> poly.as_expr(), low, high
    (5*mu**3 + 5*mu**2 + mu - 1, 0, 1)
    >>> isolation(sp.CRootOf(200 * mu**3 - 300 * mu**2 + 100 * mu - 3, 1))[1:]
    (2/5, 1/2)
    """
    scale, number = root.as_coeff_Mul()
    if not isinstance(number, sp.CRootOf):
        return None
    stretched = number.poly.as_expr().subs(number.poly.gen, mu / scale)
    _, poly = Poly(stretched, mu, domain=QQ).clear_denoms(convert=True)[1].primitive()
    cells = ((S(int(root.evalf(DIGITS) * 10**n)), S(10) ** n) for n in count())
    ends = ((low / size, (low + 1) / size) for low, size in cells)
    return next((poly, *pair) for pair in ends if poly.count_roots(*pair) == 1)


def definition(root: Expr) -> str:
    """Return what defines a root: itself, or the polynomial that it is the only root of in an interval.

    >>> definition(sp.sqrt(2) / 2), definition(sp.CRootOf(5 * mu**3 + 5 * mu**2 + mu - 1, 0))
    ('1/sqrt(2)', 'root of 5*mu**3 + 5*mu**2 + mu - 1 in (0, 1)')
    """
    alone = isolation(root)
    if alone is None:
        return as_text(root)
    poly, low, high = alone
    return f"root of {as_text(poly.as_expr())} in ({float(low):g}, {float(high):g})"


# --- isolation to a tolerance -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Samples:
    """Numbers of A: its closed form, or the one integral E[Z sigma'(mu Z) (phi(Z) - own(mu Z))] by the oracle.

    The derivatives of the integral are central differences of nine points, so that a student with a kink, whose A
    has no derivative that is derived, needs none.
    """

    drive: Expr
    functions: tuple[Expr, Expr, Expr] | None  # own, sigma' and phi where A has no closed form

    @classmethod
    def of(cls, escape: Escape) -> Samples:
        """Return the samples of a search."""
        drive, loss = drive_of(escape), escape.loss
        functions = None if is_closed(drive) else (loss.own, loss.student.derivative, loss.teacher.expr)
        return cls(drive, functions)

    def roughly(self, alignment: mpmath.mpf, scale: mpmath.mpf | int = 0) -> mpmath.mpf:
        """Return A to as few digits as show its sign, `scale` its largest value: the oracle's digits are dear."""
        if self.functions is None:
            return self(alignment)
        value, error = _estimate(self.functions, alignment)
        return value if abs(value) > max(scale * mpmath.mpf(10) ** (2 - ROUGH), 100 * error) else self(alignment)

    def __call__(self, alignment: mpmath.mpf, n: int = 0) -> mpmath.mpf:
        """Return the nth derivative of A."""
        if self.functions is None:
            return _number(self.drive.diff(mu, n) if n else self.drive, alignment)
        if n == 0:
            return _integral(self.functions, alignment)
        step = min(mpmath.mpf(2) ** -8, alignment / 8)
        values = [self(alignment + i * step) for i in STENCIL]
        return mpmath.fdot(_weights(n), values) / step**n


@lru_cache(maxsize=1024)
def _number(f: Expr, alignment: mpmath.mpf) -> mpmath.mpf:
    """Return f at an exact number: a Float would be squared with rounding, and r fall below q^2."""
    with mpmath.workdps(DIGITS):
        return mpmath.mpf(resolved(f.subs(mu, sp.Rational(sp.Float(alignment, DIGITS)))).evalf(DIGITS))


@lru_cache(maxsize=1024)
def _integral(functions: tuple[Expr, Expr, Expr], alignment: mpmath.mpf) -> mpmath.mpf:
    try:
        return reference.drive(*functions, alignment, digits=FINE, most=MANY)
    except QuadratureError as failure:
        if failure.best is not None and failure.best[1] < ERROR:
            return failure.best[0]
        raise HermescapeError(
            f"A at mu = {mpmath.nstr(alignment, 6)} is known to {failure.reached} digits only, too few to isolate its "
            "roots; accepted are functions whose features the oracle resolves: smooth it, or ask at single mu."
        ) from failure


@lru_cache(maxsize=1024)
def _estimate(functions: tuple[Expr, Expr, Expr], alignment: mpmath.mpf) -> tuple[mpmath.mpf, mpmath.mpf]:
    """Return the integral with an error, to few digits and by few points."""
    try:
        return reference.drive(*functions, alignment, digits=ROUGH, most=FEW), mpmath.mpf(0)
    except QuadratureError as failure:
        return failure.best or (mpmath.mpf(0), mpmath.inf)


@lru_cache(maxsize=MAX_MULTIPLICITY)
def _weights(n: int) -> list[mpmath.mpf]:
    """Return the weights of the nth derivative on the points -4, ..., 4."""
    with mpmath.workdps(DIGITS):
        return [mpmath.mpf(w.p) / w.q for w in sp.finite_diff_weights(n, list(STENCIL), 0)[n][-1]]


def scanned(escape: Escape) -> list[Root]:
    """Return the roots in (0, 1] found by sampling A."""
    sample = Samples.of(escape)
    scale = max(abs(sample.roughly(mpmath.mpf(node) / PANELS)) for node in range(1, PANELS + 1))
    if scale < mpmath.mpf(10) ** (5 - DIGITS):
        raise _flat(escape)
    end = _end(escape, sample, scale)
    rest = _deflated(sample, 0 if end is None else end.multiplicity, scale)
    roots = [_refined(sample, guess, scale) for guess in _guesses(*rest, scale)]
    return roots if end is None else [*roots, end]


def _end(escape: Escape, sample: Samples, scale: mpmath.mpf) -> Root | None:
    """Return the root at mu = 1 where there is one."""
    certain, one = escape.loss.ends_at_teacher, mpmath.mpf(1)
    if not certain and abs(sample(one)) > TOUCHING * scale:
        return None
    return Root(S.One, _multiplicity(sample, one, scale), None, S.Zero if certain else ERROR, certain)


def _multiplicity(sample: Samples, root: mpmath.mpf, scale: mpmath.mpf) -> int:
    for k in range(1, MAX_MULTIPLICITY + 1):
        if abs(sample(root, k)) > FLAT * scale:
            return k
    raise HermescapeError(f"A vanishes to a higher order than {MAX_MULTIPLICITY} at mu = {mpmath.nstr(root, 12)}.")


def _deflated(sample: Samples, k: int, scale: mpmath.mpf) -> tuple[_Function, _Function]:
    """Return A/(1 - mu)^k, at mu = 1 by its limit, and roughly."""
    limit = (-1) ** k * sample(mpmath.mpf(1), k) / mpmath.factorial(k)
    return (
        lambda alignment: limit if alignment == 1 else sample(alignment) / (1 - alignment) ** k,
        lambda alignment: limit if alignment == 1 else sample.roughly(alignment, scale) / (1 - alignment) ** k,
    )


def _guesses(f: _Function, roughly: _Function, scale: mpmath.mpf) -> Iterator[mpmath.mpf]:
    """Yield the roots of f in [2^-10, 1] that samples betray: changes of sign, and minima of |f| that reach zero."""
    halvings = [mpmath.mpf(2) ** -j for j in range(SMALLEST, 6, -1)]
    nodes = halvings + [mpmath.mpf(node) / PANELS for node in range(1, PANELS + 1)]
    values = [roughly(node) for node in nodes]
    yield from (node for node, value in zip(nodes, values, strict=True) if value == 0)
    for (a, fa), (b, fb) in pairwise(zip(nodes, values, strict=True)):
        if fa * fb < 0:
            yield _bracketed(f, a, b)
    for i in range(1, len(nodes) - 1):
        before, here, after = values[i - 1 : i + 2]
        if before * here > 0 and here * after > 0 and abs(before) >= abs(here) < abs(after):
            yield from _dip(f, nodes[i - 1], nodes[i + 1], scale)


def _dip(f: Callable, low: mpmath.mpf, high: mpmath.mpf, scale: mpmath.mpf) -> Iterator[mpmath.mpf]:
    """Follow |f| down between two points of equal sign: two roots, one that touches zero, or none."""
    a, b, side = low, high, mpmath.sign(f(low))
    while b - a > NARROW:
        left, right = b - GOLDEN * (b - a), a + GOLDEN * (b - a)
        inner = side * f(left), side * f(right)
        if min(inner) < 0:
            turn = left if inner[0] < 0 else right
            yield from (_bracketed(f, low, turn), _bracketed(f, turn, high))
            return
        a, b = (a, right) if inner[0] < inner[1] else (left, b)
    if abs(f((a + b) / 2)) < TOUCHING * scale:
        yield (a + b) / 2


def _bracketed(f: Callable, low: mpmath.mpf, high: mpmath.mpf) -> mpmath.mpf:
    with mpmath.workdps(DIGITS):
        return mpmath.findroot(f, (low, high), solver="anderson", tol=mpmath.mpf(10) ** -38, verify=False)


def _refined(sample: Samples, guess: mpmath.mpf, scale: mpmath.mpf) -> Root:
    """Return the root next to a guess; a k-fold root of A is a simple one of its (k - 1)th derivative."""
    k = _multiplicity(sample, guess, scale)
    with mpmath.workdps(DIGITS):
        if k > 1:
            start = (guess, guess + mpmath.mpf(10) ** -9)
            guess = mpmath.findroot(lambda v: sample(v, k - 1), start, solver="secant", tol=1e-34, verify=False)
        margin = mpmath.mpf(10) ** -15
        ends = [sample(guess + side * margin, k - 1) for side in (-1, 1)]
        step = abs(sample(guess, k - 1) / sample(guess, k))
    error = ERROR if ends[0] * ends[1] < 0 else sp.Float(step, 5) + ERROR
    return Root(sp.Float(guess, 18), k, None, error, certified=False)
