r"""Critical strengths: where the search time of aligned LoRA diverges, how fast, and where it is stationary.

The rate solves lambda^2 = alpha^2 (B lambda + A^2), so that tau = 1/lambda is finite unless A = 0 >= B. At a root mu_c
of A, with A ~ a delta^k and B ~ b delta^n, delta = mu - mu_c, on the side where delta has the sign s:

    n > k, or B = 0     tau ~ 1 / (|alpha a| |delta|^k),
    n < k, b s^n < 0    tau ~ (|b| / a^2) / |delta|^(2k - n),          generic: n = 0, tau ~ |B| / A^2,
    n < k, b s^n > 0    tau ~ 1 / (alpha^2 |b| |delta|^n),             generic: n = 0, tau -> 1 / (alpha^2 B),
    n = k               tau ~ 2 / ((beta + sqrt(beta^2 + 4 alpha^2 a^2)) |delta|^k),     beta = alpha^2 b s^n.

mu = 1 is a root wherever the student can represent the label's mean: A = -dL(mu, mu^2)/dmu, so that with the student's
own link A'(1) = -E[(Z sigma'(Z))^2], and C = |B(1)| / A'(1)^2 with p = 2.

*Exactly at mu_c* every point of the line u = 0 is an equilibrium of the flow, and u grows at the rate
B (1 - m^2) + A' m^2: *u alone* escapes for B > 0, the start *traps* the flow for B < 0, and for B = 0 the next order
decides.

*Stationary points* of tau have d lambda/d mu = 0. Eliminating lambda from that and its equation leaves

    4 A A'^2 + 2 alpha^2 A' B B' - alpha^2 A B'^2 = 0,

a polynomial where A and B are; its roots contain every stationary point, and some of the other branch lambda_-.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import mpmath
import sympy as sp
from sympy import QQ, Expr, Poly, S

from theory.errors import HermescapeError, InputError, ParameterError
from theory.escape import Escape
from theory.expectations import GaussianMean, is_closed
from theory.symbols import mu, x
from theory.tidy import tidy

__all__ = ["Approach", "CriticalStrength", "critical_mu", "isolates_exactly", "stationary_mu"]

MAX_PRINTED = 4  # degree up to which a constant is reduced modulo the minimal polynomial of mu_c
MAX_DIGITS = 2000  # carried, if need be, to decide the sign of an algebraic number that is not zero
DIGITS = 30
PANELS = 64
SMALLEST = 10  # the scan starts at 2^-10
TOUCHING = sp.Float("1e-12")  # |A| over its largest value, below which a minimum of |A| is a root
FLAT = sp.Float("1e-6")  # a derivative over that value, below which it vanishes; roots so close count as one
MAX_MULTIPLICITY = 6
ERROR = sp.Float("1e-15")
GOLDEN = (mpmath.sqrt(5) - 1) / 2
NARROW = 1e-11


@dataclass(frozen=True)
class Approach:
    """tau ~ constant / |mu - mu_c|^order on one side of mu_c; with order 0 the limit of tau is the constant."""

    order: int
    constant: Expr


@dataclass(frozen=True)
class CriticalStrength:
    """A root of A in (0, 1].

    Attributes:
        mu: the root, exact (`error` 0) or a Float.
        error: bound on its absolute error.
        multiplicity: of the root.
        sign: of B there, -1, 0 or 1.
        below: tau as mu grows towards the root.
        above: tau as mu falls towards it; None at mu = 1.
        exact: whether the roots were isolated with certainty (A is a polynomial), not by a scan to a tolerance.
    """

    mu: Expr
    error: Expr
    multiplicity: int
    sign: int
    below: Approach
    above: Approach | None
    exact: bool

    @property
    def _steepest(self) -> Approach:
        sides = [side for side in (self.below, self.above) if side is not None]
        return max(sides, key=lambda side: (side.order, float(side.constant.subs(_unit(side.constant)))))

    @property
    def order(self) -> int:
        """p in tau ~ C/|mu - mu_c|^p, on the side where tau grows fastest; 0 where tau stays finite."""
        return self._steepest.order

    @property
    def constant(self) -> Expr:
        """C in tau ~ C/|mu - mu_c|^p, on that side; the limit of tau where p = 0."""
        return self._steepest.constant

    @property
    def diverges(self) -> bool:
        """Whether tau is infinite at mu_c."""
        return self.order > 0

    @property
    def regime(self) -> str:
        """What happens exactly at mu_c under the flow: u alone, trapped or undecided."""
        return {1: "u alone", -1: "trapped", 0: "undecided"}[self.sign]

    def _repr_latex_(self) -> str:
        distance = "" if self.order == 0 else rf" \,/\, |\mu - \mu_c|^{{{self.order}}}"
        shown = rf"\mu_c = {sp.latex(self.mu)},\quad \tau \sim {sp.latex(self.constant)}{distance}"
        return rf"$\displaystyle {shown}$"


def _unit(constant: Expr) -> dict[Expr, Expr]:
    """Give a symbolic LoRA scale the value 1, which compares the two sides."""
    return dict.fromkeys(constant.free_symbols, S.One)


@dataclass(frozen=True)
class _Root:
    """A root of A with its multiplicity; `minimal` is its minimal polynomial where it is algebraic."""

    mu: Expr
    multiplicity: int
    minimal: Poly | None = None
    error: Expr = S.Zero

    def at(self, f: Expr, n: int = 0) -> Expr:
        """Return the nth derivative of f there; exactly 0 where it vanishes and both are algebraic."""
        poly = None if self.minimal is None else _rational(f)
        if poly is not None and self.minimal is not None:
            return _named(poly.diff((mu, n)).rem(self.minimal), self.mu)
        slope = f.diff(mu, n)
        if self.error == 0 and is_closed(slope):
            return tidy(slope.subs(mu, self.mu))
        return sp.Float(_number(slope, mpmath.mpf(str(self.mu))), 15)


def critical_mu(escape: Escape) -> tuple[CriticalStrength, ...]:
    r"""Return the roots of A in (0, 1] in ascending order: the strengths at which tau diverges, or u escapes alone.

    *Certain* (`exact` True) where A is a polynomial with rational coefficients, by factoring it and isolating the real
    roots of its factors, the sign of B by division with remainder; and where A is linear in mu.

    *To a tolerance* elsewhere: A is evaluated to 30 digits (an unevaluated expectation by the mpmath oracle, to 20) at
    mu = 2^-10, ..., 2^-6 and at 64 equal steps, divided by (1 - mu)^k where mu = 1 is a k-fold root. A change of sign
    brackets a root; a local minimum of |A| is followed down and counts as a root below 1e-12 of the largest |A|. So
    two roots within one step are missed where |A| has no sampled minimum next to them, three within one step count as
    one, roots closer than about 1e-6 as one multiple root, and roots below 2^-10 are not looked for.

    Raises:
        ParameterError: a model other than lora.
        InputError: a student that jumps or has an infinite slope, so that A is infinite.
        HermescapeError: A = 0 for every mu, or a root of higher multiplicity than 6 (tolerance only).

    Source: section 2 of arXiv:2602.02855 for A and B; the orders by the expansion in the module's docstring.

    >>> from theory.dynamics import derive
    >>> inner, end = critical_mu(derive("he3").escape)
    >>> inner.mu, inner.constant.evalf(8), inner.regime
    (CRootOf(5*x**3 + 5*x**2 + x - 1, 0), 0.045414736, 'trapped')
    >>> end.mu, end.order, end.constant  # |B(1)| / A'(1)^2 = 18/90^2
    (1, 2, 1/450)
    >>> critical_mu(derive("relu", "erf").escape)[0].mu
    2*sqrt(3)/(3*sqrt(pi))
    """
    drive = _drive(escape)
    exact = isolates_exactly(escape)
    roots = _isolated(drive) if exact else _scanned(escape)
    return tuple(sorted((_strength(escape, root, exact) for root in roots), key=lambda found: float(found.mu)))


def isolates_exactly(escape: Escape) -> bool:
    """Whether `critical_mu` isolates the roots of A with certainty.

    >>> from theory.dynamics import derive
    >>> [isolates_exactly(derive(name).escape) for name in ("he7", "erf", "tanh")]
    [True, False, False]
    """
    drive = _drive(escape)
    return _rational(drive) is not None or _is_linear(drive)


def stationary_mu(escape: Escape) -> tuple[Expr, ...] | None:
    """Return candidates for the stationary points of tau in (0, 1), exactly; None where A or B is no polynomial.

    Every stationary point is among them; so are those of the other eigenvalue.

    Raises as `critical_mu` does, and `ParameterError` for a symbolic LoRA scale.

    >>> from theory.dynamics import derive
    >>> stationary_mu(derive("linear").escape), [float(v.evalf(6)) for v in stationary_mu(derive("he2").escape)]
    ((), [0.40128...])
    """
    drive, bend, scale = _drive(escape), escape.B, _scale(escape)
    if not scale.is_number:
        raise ParameterError(f"the LoRA scale {scale} given; accepted: a number, on which the best strength depends.")
    first, second, square = (f if f is None else _rational(f) for f in (drive, bend, scale**2))
    if first is None or second is None or square is None:
        return None
    up, bent = first.diff(), second.diff()
    condition = 4 * first * up**2 + square * (2 * up * second * bent - first * bent**2)
    return tuple(sorted((root.mu for root in _roots(condition) if root.mu != 1), key=float))


# --- what is asked ----------------------------------------------------------------------------------------------


def _drive(escape: Escape) -> Expr:
    if escape.model.name != "lora":
        raise ParameterError(
            f"critical strengths of model {escape.model.name} given; accepted: model lora, whose search time depends "
            "on mu alone."
        )
    drive = escape.A
    if drive is None:
        raise InputError(
            f"student {escape.loss.student.name}: A is infinite (it jumps or has an infinite slope); accepted are "
            "continuous students with finite slopes."
        )
    if drive == 0:
        raise _flat(escape)
    return drive


def _flat(escape: Escape) -> HermescapeError:
    return HermescapeError(
        f"student {escape.loss.student.name} on {escape.loss.teacher.name}: A = 0 for every mu, so that no strength is "
        "critical; give a student that depends on its input."
    )


def _scale(escape: Escape) -> Expr:
    """Return |alpha|, the LoRA scale."""
    return sp.Abs(getattr(escape.model, "scale", S.One))


def _strength(escape: Escape, root: _Root, exact: bool) -> CriticalStrength:
    """Expand A and B around the root."""
    drive, bend = escape.A, escape.B
    assert drive is not None  # _drive has seen it
    assert bend is not None
    a = root.at(drive, root.multiplicity) / sp.factorial(root.multiplicity)
    n, b = _leading(bend, root, a)
    sides = [_approach(root, a, n, b * side**n, _scale(escape)) for side in (-1, 1)]
    above = None if root.mu == 1 else sides[1]
    sign = _sign(b) if n == 0 else 0
    return CriticalStrength(root.mu, root.error, root.multiplicity, sign, sides[0], above, exact)


def _leading(f: Expr, root: _Root, unit: Expr) -> tuple[int, Expr]:
    """Return n and f^(n)/n! at the root, n the order of the zero of f there; n beyond every multiplicity for f = 0."""
    for n in range(2 * root.multiplicity + 1):
        there = root.at(f, n)
        if not _vanishes(there, unit):
            return n, there / sp.factorial(n)
    return 2 * root.multiplicity + 1, S.Zero


def _approach(root: _Root, a: Expr, n: int, b: Expr, scale: Expr) -> Approach:
    """Return tau on the side where B ~ b |delta|^n, by the table of the module's docstring."""
    k, sign = root.multiplicity, _sign(b)
    if n > k:
        return Approach(k, 1 / (scale * _sign(a) * a))
    if n < k and sign < 0:
        return Approach(2 * k - n, _quotient(-b, a**2, root))
    if n < k:
        return Approach(n, 1 / (scale**2 * b))
    beta = scale**2 * b
    return Approach(k, 2 / (beta + sp.sqrt(beta**2 + 4 * scale**2 * a**2)))


def _quotient(top: Expr, bottom: Expr, root: _Root) -> Expr:
    """Return top/bottom; a polynomial in the root where its degree is small."""
    quotient, minimal = top / bottom, root.minimal
    if minimal is None:
        return tidy(quotient) if root.error == 0 and is_closed(quotient) else quotient
    if not root.mu.has(sp.CRootOf):
        return sp.radsimp(sp.expand(top) / sp.expand(bottom))
    if minimal.degree() > MAX_PRINTED:
        return quotient
    above, below = (Poly(f.subs(root.mu, mu), mu, domain=QQ) for f in (top, bottom))
    return _named((above * below.rem(minimal).invert(minimal)).rem(minimal), root.mu)


def _vanishes(value: Expr, unit: Expr) -> bool:
    """Whether a number is 0: exactly where it is algebraic, else against another of the same unit."""
    if value == 0 or value.is_algebraic:
        return value == 0
    return bool(abs(value.evalf(20)) < TOUCHING * abs(unit.evalf(20)))


def _sign(value: Expr) -> int:
    """Return the sign of a number that is not zero, with as many digits as that takes."""
    return int(sp.sign(value.evalf(5, maxn=MAX_DIGITS)))


# --- isolation with certainty -----------------------------------------------------------------------------------


def _rational(f: Expr) -> Poly | None:
    """Return f as a polynomial in mu over the rationals, None where it is none."""
    if not f.is_polynomial(mu):
        return None
    poly = Poly(f, mu)
    return poly.set_domain(QQ) if poly.domain in (QQ, sp.ZZ) else None


def _is_linear(f: Expr) -> bool:
    return is_closed(f) and bool(f.is_polynomial(mu)) and Poly(f, mu).degree() == 1


def _isolated(drive: Expr) -> list[_Root]:
    poly = _rational(drive)
    if poly is not None:
        return _roots(poly)
    slope, constant = Poly(drive, mu).all_coeffs()
    root = tidy(-constant / slope)
    return [_Root(root, 1)] if 0 < root <= 1 else []


def _roots(poly: Poly) -> list[_Root]:
    """Return the roots in (0, 1] of a polynomial with rational coefficients, with multiplicities."""
    if poly.is_zero:
        return []
    found = []
    for factor, multiplicity in poly.factor_list()[1]:
        if factor.intervals(inf=0, sup=1):
            found += [_Root(root, multiplicity, factor) for root in factor.real_roots() if 0 < root <= 1]
    return found


def _named(poly: Poly, root: Expr) -> Expr:
    """Return a polynomial at an algebraic number; radicals are multiplied out."""
    value = poly.as_expr().subs(mu, root)
    return value if root.has(sp.CRootOf) else sp.expand(value)


# --- isolation to a tolerance -----------------------------------------------------------------------------------


def _scanned(escape: Escape) -> list[_Root]:
    """Return the roots in (0, 1] found by sampling A."""
    drive, sample = _drive(escape), _sampler(escape)
    scale = max(abs(sample(mpmath.mpf(node) / PANELS)) for node in range(1, PANELS + 1))
    if scale < mpmath.mpf(10) ** (5 - DIGITS):
        raise _flat(escape)
    end = _end(escape, drive, sample, scale)
    rest = sample if end is None else _deflated(sample, drive, end.multiplicity)
    found = [_refined(drive, guess, scale) for guess in _guesses(rest, scale)]
    return found if end is None else [*found, end]


def _sampler(escape: Escape) -> Callable[[mpmath.mpf], mpmath.mpf]:
    """Return A as a function of mu: its closed form, or E[Z sigma'(mu Z) (phi(Z) - sigma(mu Z))] by the oracle.

    That integral is one expectation where the derived A is a sum of several.
    """
    drive, loss = escape.A, escape.loss
    assert drive is not None
    if not is_closed(drive):
        student, slope = (f.subs(x, mu * x) for f in (loss.student.expr, loss.student.derivative))
        drive = GaussianMean(x * slope * (loss.teacher.expr - student), S.Zero, S.One)
    digits = DIGITS if is_closed(drive) else 20
    return lambda strength: _number(drive, strength, digits)


@lru_cache(maxsize=1024)
def _number(f: Expr, strength: mpmath.mpf, digits: int = 20) -> mpmath.mpf:
    """Return f at an exact number: a Float would be squared with rounding, and r fall below q^2."""
    with mpmath.workdps(DIGITS):
        return mpmath.mpf(f.subs(mu, sp.Rational(sp.Float(strength, DIGITS))).evalf(digits))


def _end(escape: Escape, drive: Expr, sample: Callable, scale: mpmath.mpf) -> _Root | None:
    """Return the root at mu = 1 where there is one."""
    own = escape.loss.student == escape.loss.teacher
    if not own and abs(sample(mpmath.mpf(1))) > TOUCHING * scale:
        return None
    return _Root(S.One, _multiplicity(drive, mpmath.mpf(1), scale), None, S.Zero if own else ERROR)


def _multiplicity(drive: Expr, root: mpmath.mpf, scale: mpmath.mpf) -> int:
    for k in range(1, MAX_MULTIPLICITY + 1):
        drive = drive.diff(mu)
        if abs(_number(drive, root)) > FLAT * scale:
            return k
    raise HermescapeError(f"A vanishes to a higher order than {MAX_MULTIPLICITY} at mu = {mpmath.nstr(root, 12)}.")


def _deflated(sample: Callable, drive: Expr, k: int) -> Callable[[mpmath.mpf], mpmath.mpf]:
    """Return A/(1 - mu)^k, at mu = 1 by its limit."""
    limit = (-1) ** k * _number(drive.diff(mu, k), mpmath.mpf(1)) / mpmath.factorial(k)
    return lambda strength: limit if strength == 1 else sample(strength) / (1 - strength) ** k


def _guesses(f: Callable[[mpmath.mpf], mpmath.mpf], scale: mpmath.mpf) -> Iterator[mpmath.mpf]:
    """Yield the roots of f in [2^-10, 1] that samples betray: changes of sign, and minima of |f| that reach zero."""
    halvings = [mpmath.mpf(2) ** -j for j in range(SMALLEST, 6, -1)]
    nodes = halvings + [mpmath.mpf(node) / PANELS for node in range(1, PANELS + 1)]
    values = [f(node) for node in nodes]
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


def _refined(drive: Expr, guess: mpmath.mpf, scale: mpmath.mpf) -> _Root:
    """Return the root next to a guess; a k-fold root of A is a simple one of its (k - 1)th derivative."""
    k = _multiplicity(drive, guess, scale)
    f = drive.diff(mu, k - 1)
    if k > 1:
        with mpmath.workdps(DIGITS):
            start = (guess, guess + mpmath.mpf(10) ** -9)
            guess = mpmath.findroot(lambda v: _number(f, v), start, solver="secant", tol=1e-34, verify=False)
    margin = mpmath.mpf(10) ** -15
    low, high = (_number(f, guess + side * margin) for side in (-1, 1))
    error = ERROR if low * high < 0 else sp.Float(abs(_number(f, guess) / _number(f.diff(mu), guess)), 5) + ERROR
    return _Root(sp.Float(guess, 18), k, None, error)
