r"""Where a function without parameters changes sign.

The zeros of a polynomial are exact. Those of any other h are isolated by balls (`theory.enclosures.zeros`), on the line
or, for waves, in |x| < 48: none is missed and none invented. Intervals that balls leave open (h touches zero, or has a
pole, or is too small far out) are searched for changes of sign on a grid, which may miss two that lie close.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise

import mpmath
import sympy as sp
from flint import acb, arb
from sympy import Expr

from theory.calculus.stable import in_mpmath
from theory.enclosures.balls import function, precision
from theory.enclosures.zeros import OFFSETS, Point, Zero, Zeros, exact, place, zeros
from theory.errors import NotCertifiedError, UnsupportedExpressionError
from theory.symbols import x

__all__ = ["MAX_PIECES", "MAX_WAVES", "Places", "sign_changes"]

SCAN = 48  # where balls leave zeros of transcendental functions open they are sought in [-SCAN, SCAN]
MAX_PIECES = 32
MAX_WAVES, MIN_WINDOW = 80, 12  # breakpoints kept of an oscillating switch, and the least window that leaves
SETTLING = (30, 60, 120, 240, 480)  # digits at which a sign is asked for until two agree
DIGITS = 30  # of a zero that has no name
BITS, ACCURATE = (128, 256), 105  # at which a ball is refined until so many bits of it are known
MOST = 2000  # intervals looked at; 80 waves take a quarter as many


@dataclass(frozen=True)
class Places:
    """Increasing zeros, all of them in |x| < `window`: as a theorem where `proved`, else as far as a scan shows."""

    points: tuple[Expr, ...]
    window: Expr = sp.oo
    proved: bool = True


@lru_cache(maxsize=512)
def sign_changes(h: Expr) -> Places:
    """Return the real zeros of h(x), which has no other symbol.

    A zero of a transcendental function is exact where a small rational or multiple of pi is one, and a 30-digit
    number elsewhere.

    >>> sign_changes((sp.tanh(x) - sp.Float("0.3")) * (sp.tanh(x) - sp.Float("0.300001"))).points
    (0.309519604203111..., 0.309520703104572...)

    Raises `UnsupportedExpressionError` for more of them than 32, or than 80 in |x| < 12 for a function with sines.
    """
    if not h.has(x):
        return Places(())
    if h.is_polynomial(x):
        poly = sp.Poly(h, x)
        if all(c.is_rational for c in poly.all_coeffs()):
            return Places(tuple(sorted(set(sp.real_roots(poly)), key=float)))
        if poly.degree() <= 2:
            return Places(_of_quadratic(*poly.all_coeffs()))
    points, is_whole, is_complete = _isolated(h)
    distances = sorted(abs(float(c)) for c in points)
    if is_whole and is_complete and len(points) <= MAX_PIECES:
        return Places(points)
    if not (h.has(sp.sin, sp.cos, sp.tan) and distances and distances[-1] > 2 * SCAN / 3):
        if len(points) > MAX_PIECES:
            raise _too_many(h)
        return Places(points, proved=False)
    end = min([SCAN, *distances[MAX_WAVES : MAX_WAVES + 1]])
    if end < MIN_WINDOW:
        raise _too_many(h)
    return Places(tuple(c for c in points if abs(float(c)) < end), sp.Rational(int(32 * end), 32), is_complete)


def _of_quadratic(*coefficients: Expr) -> tuple[Expr, ...]:
    """Return the real zeros of a function of degree 1 or 2 from its coefficients, highest first.

    SymPy's `roots` would write exp(123456/7) as a power of exp(1/7) and make a dense polynomial of it.
    """
    *quadratic, c1, c0 = coefficients
    if not quadratic:
        return (-c0 / c1,)
    middle, spread = -c1 / (2 * quadratic[0]), sp.sqrt(c1**2 - 4 * quadratic[0] * c0) / (2 * quadratic[0])
    return tuple(sorted({c for c in (middle - spread, middle + spread) if c.is_real}, key=float))


def _too_many(h: Expr) -> UnsupportedExpressionError:
    return UnsupportedExpressionError(
        f"{h} changes sign more than {MAX_PIECES} times; accepted are functions with finitely many kinks, and switches "
        f"of sines with at most {MAX_WAVES} of them in |x| < {MIN_WINDOW}."
    )


# --- balls ------------------------------------------------------------------------------------------------------


def _isolated(h: Expr) -> tuple[tuple[Expr, ...], bool, bool]:
    """Return the zeros, whether they are those of the whole line, and whether balls left nothing open."""
    left, right = OFFSETS
    binary = h.xreplace({number: sp.Rational(number) for number in h.atoms(sp.Float)})
    is_whole = True
    try:
        known = zeros(binary, most=MOST)
    except NotCertifiedError:  # the sign far out
        is_whole = False
        try:
            known = zeros(binary, -SCAN - left, SCAN + right, most=MOST)
        except NotCertifiedError:
            known = Zeros((), ((Fraction(-SCAN), Fraction(SCAN)),))
    points = [_as_number(h, point) for point in known.proved if _is_real(binary, point)]
    for ends in known.undecided:
        points += [_named(h, sp.Float(z, DIGITS), within=1e-15) for z in _changes(in_mpmath(h), *ends)]
    return tuple(sorted(points, key=float)), is_whole, not known.undecided


def _is_real(h: Expr, point: Point) -> bool:
    """Whether a zero of the real part may be one of h."""
    with precision(BITS[0]):
        return bool(function(h, x)(acb(place(point))).imag.contains(0))


def _as_number(h: Expr, point: Point) -> Expr:
    if not isinstance(point, Zero) and (point.is_Rational or (point / sp.pi).is_Rational):
        return point
    bits = next((bits for bits in BITS if _ball(point, bits).rel_accuracy_bits() > ACCURATE), BITS[-1])
    middle = exact(_ball(point, bits).mid())
    return _named(h, sp.Float(sp.Rational(middle.numerator, middle.denominator), DIGITS), within=1e-25)


def _ball(point: Point, bits: int) -> arb:
    with precision(bits):
        return place(point)


def _named(h: Expr, z: sp.Float, within: float) -> Expr:
    """Return a small rational or multiple of pi near z at which h vanishes, else z."""
    for unit in (sp.S.One, sp.pi):
        guess = sp.nsimplify(z / unit.evalf(25), rational=True, tolerance=1e-15)
        if guess.q <= 360 and abs(sp.N(guess * unit, DIGITS) - z) < within and h.subs(x, guess * unit) == 0:
            return guess * unit
    return z


# --- a grid -----------------------------------------------------------------------------------------------------


def _changes(f: Callable[[mpmath.mpf], mpmath.mpf], low: Fraction, high: Fraction) -> list[mpmath.mpf]:
    """Return sign changes, zeros and poles on a grid; a sign counts where higher precision confirms it."""
    grid = (Fraction(i, 32) for i in range(-32 * SCAN, 32 * SCAN + 1))
    with mpmath.workdps(SETTLING[0]):
        nodes = [mpmath.mpf(z.numerator) / z.denominator for z in (low, *(z for z in grid if low < z < high), high)]
        signs = [mpmath.sign(_real_or_nan(f, z)) for z in nodes]
        for i in {j for k in range(1, len(nodes)) if signs[k] != signs[k - 1] for j in (k - 1, k)}:
            signs[i] = _settled_sign(f, nodes[i])
        known = [i for i, sign in enumerate(signs) if sign in (-1, 1)]
        zeros: list[mpmath.mpf] = []
        for left, right in pairwise(known):
            changes = signs[left] != signs[right]
            if right == left + 2 and (changes or signs[left + 1] == 0):
                zeros.append(nodes[left + 1])
            elif changes:
                zeros.append(_crossing(f, nodes[left], nodes[right]))
        return zeros


def _settled_sign(f: Callable[[mpmath.mpf], mpmath.mpf], z: mpmath.mpf) -> mpmath.mpf:
    """Return the sign of f(z) once two precisions agree on f(z); 0 where none do, NaN where f is not real."""
    before = mpmath.nan
    for digits in SETTLING:
        with mpmath.workdps(digits):
            value = _real_or_nan(f, z)
        if mpmath.isnan(value):
            return value
        if value and abs(value - before) < abs(value) / 2:
            return mpmath.sign(value)
        before = value
    return mpmath.mpf(0)


def _crossing(f: Callable[[mpmath.mpf], mpmath.mpf], left: mpmath.mpf, right: mpmath.mpf) -> mpmath.mpf:
    try:
        root = mpmath.findroot(f, (left, right), solver="anderson", tol=1e-40, verify=False)
    except (ValueError, ZeroDivisionError, OverflowError):
        root = mpmath.nan
    return root if left <= root <= right else _bisected(f, left, right)


def _bisected(f: Callable[[mpmath.mpf], mpmath.mpf], left: mpmath.mpf, right: mpmath.mpf) -> mpmath.mpf:
    """Return where f changes sign, a pole for instance."""
    start = mpmath.sign(_real_or_nan(f, left))
    for _ in range(mpmath.mp.prec):
        middle = (left + right) / 2
        sign = mpmath.sign(_real_or_nan(f, middle))
        if sign not in (-1, 1):
            return middle
        left, right = (middle, right) if sign == start else (left, middle)
    return (left + right) / 2


def _real_or_nan(f: Callable[[mpmath.mpf], mpmath.mpf], z: mpmath.mpf) -> mpmath.mpf:
    try:
        value = f(z)
    except (ValueError, ZeroDivisionError, OverflowError):
        return mpmath.nan
    if isinstance(value, int):
        return mpmath.mpf(value)
    return value if isinstance(value, mpmath.mpf) else mpmath.mpf(mpmath.nan)
