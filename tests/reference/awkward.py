"""Make awkward.csv: Gaussian expectations that are easily got wrong, to 40 digits, by an oracle of its own.

    python -m tests.reference.awkward [FAMILY ...]

Each function stands twice here: as the text that a user types, and by hand for `tests/reference/byhand.py`, which is
mpmath alone, with its kinks, poles and scales. Every number is found by two formulas which have to agree to 42 digits,
at more digits where they cancel; the column `check` names them:

    parts      derivatives on the student, and by parts on the teacher or the density
    exact      rational numbers of a polynomial, and the integral
    nested     l smoothed in closed form given l*, and l* given l
    series     one of the nestings, and a Hermite series, each coefficient an integral
    two rules  a Hermite series whose coefficients come from two rules on different panels

Conventions are those of docs/theory.md: coefficient is sigma_k^[r] = E_r[He_k^[r] sigma], He_k the probabilists',
unnormalised; mean square is E_r sigma^2; kernel is K(q, r); A, B and tau are of w0 = mu w* (model lora), L_q, L_r and
tau of |w0| = rho (model misaligned). Rows that awkward.csv already holds are kept; all of
them take some twenty minutes on one core.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction as F
from pathlib import Path

from mpmath import mp, mpf

from tests.reference import byhand as by
from tests.reference.byhand import Hand, Term, cos, erf, exp, logistic, pieces, sech, sin, smooth, softplus, tanh

TABLE = Path(__file__).with_name("awkward.csv")
KEY = ("family", "student", "teacher", "label", "model", "quantity", "order", "variance", "q", "r", "mu", "rho")
COLUMNS = (*KEY, "value", "check")
DIGITS, AGREED = 40, 42
LADDER = (50, 90, 150, 240)

Row = dict[str, str]
Twice = tuple[mpf, mpf, mpf]
"""a number, the same by another formula, and the error of the first"""


def decimal(number: F) -> str:
    """Return a decimal or a fraction as a user types it."""
    scaled = number * 10**12
    if scaled.denominator != 1:
        return f"{number.numerator}/{number.denominator}"
    whole, rest = divmod(abs(int(scaled)), 10**12)
    return f"{'-' * (number < 0)}{whole}" + (f".{rest:012d}".rstrip("0") if rest else "")


# --- what a row is --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """Numbers that one pass gives."""

    family: str
    student: Hand
    of: Callable[[int], dict[str, Twice]]
    quantities: tuple[str, ...]
    place: Row
    check: str
    orders: tuple[int, ...] = ()
    teacher: Hand | None = None
    label: str = ""

    def heads(self) -> list[Row]:
        """Return the rows without value and check."""
        empty = dict.fromkeys(KEY, "")
        shared = {"family": self.family, "student": self.student.text, "label": self.label, **self.place}
        if self.teacher is not None:
            shared["teacher"] = self.teacher.text
        if self.orders:
            return [{**empty, **shared, "quantity": "coefficient", "order": str(k)} for k in self.orders]
        return [{**empty, **shared, "quantity": name} for name in self.quantities]

    def rows(self) -> list[Row]:
        """Compute until both formulas agree."""
        for digits in LADDER:
            with mp.workdps(digits + 20):
                found = self.of(digits)
                if all(map(_agree, found.values())):
                    texts = [mp.nstr(value, DIGITS, strip_zeros=False) for value, _, _ in found.values()]
                    heads = zip(self.heads(), texts, strict=True)
                    return [{**head, "value": text, "check": self.check} for head, text in heads]
        raise ArithmeticError(f"{self.student.text} at {self.place}: two formulas do not agree")


def _agree(twice: Twice) -> bool:
    value, other, error = twice
    return max(abs(value - other), error) <= mpf(10) ** -AGREED * abs(value)


def coefficients(family: str, f: Hand, orders: tuple[int, ...], variance: F = F(1)) -> Job:
    def of(digits: int) -> dict[str, Twice]:
        found = by.coefficients(f, orders, variance, digits)
        if f.exact is None:
            return {str(k): twice for k, twice in zip(orders, found, strict=True)}
        exact = [by.number(by.exact_coefficient(f.exact, k, variance)) for k in orders]
        return {
            str(k): (e, v if e else mpf(0), error if e else mpf(0))
            for k, e, (v, _, error) in zip(orders, exact, found, strict=True)
        }

    place = {"variance": decimal(variance)}
    return Job(family, f, of, (), place, "parts" if f.exact is None else "exact", orders)


def mean_square(family: str, f: Hand, variance: F = F(1)) -> Job:
    square = by.squared(f)

    def of(digits: int) -> dict[str, Twice]:
        return {"": next(iter(coefficients(family, square, (0,), variance).of(digits).values()))}

    check = "parts" if f.exact is None else "exact"
    return Job(family, f, of, ("mean square",), {"variance": decimal(variance)}, check)


def _three(f: Hand, phi: Hand, q: F, r: F, digits: int) -> tuple[tuple[mpf, ...], tuple[mpf, ...], tuple[mpf, ...]]:
    """Return K, L_q and E s''phi by two ways, and the errors of both together."""
    if f.exact is not None and phi.exact is not None:
        exact = tuple(map(by.number, by.exact_pair(f.exact, phi.exact, q, r)))
        values, errors = by.nested(f, phi, q, r, digits)
        found = tuple(v if e else mpf(0) for v, e in zip(values, exact, strict=True))
        return exact, found, tuple(w if e else mpf(0) for w, e in zip(errors, exact, strict=True))
    ways = [way for way, g in ((by.nested, f), (by.swapped, phi)) if g.smoothed is not None]
    ways += [by.mehler] if len(ways) < 2 else []
    found = [way(f, phi, q, r, digits) for way in ways]
    (first, errors), (other, _) = found[0], found[-1]
    return first, other, errors


def _check(f: Hand, phi: Hand) -> str:
    if f.exact is not None and phi.exact is not None:
        return "exact"
    return {0: "two rules", 1: "series", 2: "nested"}[(f.smoothed is not None) + (phi.smoothed is not None)]


def kernel(family: str, f: Hand, q: F, r: F, phi: Hand | None = None) -> Job:
    link = phi or f
    edge = q * q == r

    def of(digits: int) -> dict[str, Twice]:
        if edge:
            return {"": by.at_edge(f, link, q, digits)}
        first, other, errors = _three(f, link, q, r, digits)
        return {"": (first[0], other[0], errors[0])}

    place = {"q": decimal(q), "r": decimal(r)}
    return Job(family, f, of, ("kernel",), place, "parts" if edge else _check(f, link), teacher=phi)


def lora(family: str, f: Hand, mu: F, phi: Hand | None = None, label: tuple[str, Hand] | None = None) -> Job:
    """`label` is a transform and the link that it makes of phi."""
    link = label[1] if label else phi or f
    exact = f.exact is not None and link.exact is not None

    def of(digits: int) -> dict[str, Twice]:
        drive, bend = by.aligned(f, link, mu, digits)
        if f.exact is not None and link.exact is not None:
            known = map(by.number, by.exact_aligned(f.exact, link.exact, mu))
            drive, bend = ((e, v, error) for e, (v, _, error) in zip(known, (drive, bend), strict=True))
        return {"A": drive, "B": bend, "tau": (by.tau_of(drive[0], bend[0]), by.tau_of(drive[1], bend[1]), mpf(0))}

    place = {"model": "lora", "mu": decimal(mu)}
    shown = label[0] if label else ""
    return Job(family, f, of, ("A", "B", "tau"), place, "exact" if exact else "parts", (), phi, shown)


def misaligned(
    family: str, f: Hand, mu: F, rho: F, phi: Hand | None = None, label: tuple[str, Hand] | None = None
) -> Job:
    link = label[1] if label else phi or f
    square = by.squared(f)

    def of(digits: int) -> dict[str, Twice]:
        first, other, errors = _three(f, link, mu, rho**2, digits)
        own = next(iter(coefficients(family, square, (2,), rho**2).of(digits).values()))
        wide = by.number(rho) ** 4
        curved = [own[i] / wide / 4 - three[2] / 2 for i, three in enumerate((first, other))]
        m, across = by.number(mu), by.number(rho**2 - mu**2)
        times = [
            by.tau_of(mp.hypot(slope + 2 * m * bend, 2 * mp.sqrt(across) * bend), -2 * bend)
            for slope, bend in zip((first[1], other[1]), curved, strict=True)
        ]
        return {
            "L_q": (first[1], other[1], errors[1]),
            "L_r": (*curved, own[2] / wide / 4 + errors[2] / 2),
            "tau": (*times, mpf(0)),
        }

    place = {"model": "misaligned", "mu": decimal(mu), "rho": decimal(rho)}
    shown = label[0] if label else ""
    return Job(family, f, of, ("L_q", "L_r", "tau"), place, _check(f, link), (), phi, shown)


# --- functions: the text, and the same by hand ----------------------------------------------------------------------


def relu(at: F | int, slope: int = 1) -> tuple[F | int, F | int]:
    """The coefficients of slope (x - at)."""
    return -slope * at, slope


def _root(f: Callable[[mpf], mpf], near: F) -> Callable[[], mpf]:
    return lambda: mp.findroot(f, by.number(near))


TANH = smooth("tanh(x)", tanh)
ERF = smooth("erf(x)", erf, (), lambda a, v: erf(a * (1 / mp.sqrt(1 + 2 * v))))
RELU = pieces("relu", (0,), ((0,), (0, 1)))
ABS = pieces("abs(x)", (0,), ((0, -1), (0, 1)))
HE2, HE3 = pieces("he2", (), (by.hermite(2),)), pieces("he3", (), (by.hermite(3),))


def gaussian(height: int, k: int, centre: F) -> Callable[[by.Jet], by.Jet]:
    return lambda a: exp((a - centre) * (a - centre) * -k) * height


def _steep_erf(a: by.Jet, variance: mpf) -> by.Jet:
    return erf((a - F(6, 5)) * 500 * (1 / mp.sqrt(1 + 500000 * variance)))


SPIKES = (
    smooth(
        "tanh(x)+5*exp(-1e6*(x-0.3)**2)",
        lambda a: tanh(a) + gaussian(5, 10**6, F(3, 10))(a),
        ((F(3, 10), F(1, 1000)),),
    ),
    smooth("1+1/cosh(1000*(x-0.3))", lambda a: sech((a - F(3, 10)) * 1000) + 1, ((F(3, 10), F(1, 1000)),)),
    smooth("tanh(1000*(x-0.3))", lambda a: tanh((a - F(3, 10)) * 1000), ((F(3, 10), F(1, 1000)),)),
    smooth(
        "x+exp(-1e8*(x-1)**2)",
        lambda a: a + gaussian(1, 10**8, F(1))(a),
        ((1, F(1, 10**4)),),
        by.smoothing_of(Term((0, 1)), Term((1,), k=10**8, c=1)),
    ),
    smooth(
        "exp(-1e4*(x-0.5)**2)",
        gaussian(1, 10**4, F(1, 2)),
        ((F(1, 2), F(1, 100)),),
        by.smoothing_of(Term((1,), k=10**4, c=F(1, 2))),
    ),
    smooth("erf(500*(x-1.2))", lambda a: erf((a - F(6, 5)) * 500), ((F(6, 5), F(1, 500)),), _steep_erf),
    smooth(
        "1/(1+1e6*(x-0.7)**2)",
        lambda a: 1 / ((a - F(7, 10)) * (a - F(7, 10)) * 10**6 + 1),
        ((F(7, 10), F(1, 1500)),),
    ),
    smooth(
        "sin(x)+1/(1+exp(-2000*(x+0.4)))",
        lambda a: sin(a) + logistic((a + F(2, 5)) * 2000),
        ((F(-2, 5), F(1, 1000)),),
    ),
    smooth("log(1+exp(500*(x-0.5)))/500", lambda a: softplus((a - F(1, 2)) * 500) / 500, ((F(1, 2), F(1, 250)),)),
    smooth(
        "x+x*exp(-1e10*(x-0.25)**2)",
        lambda a: a + a * gaussian(1, 10**10, F(1, 4))(a),
        ((F(1, 4), F(1, 10**5)),),
        by.smoothing_of(Term((0, 1)), Term((0, 1), k=10**10, c=F(1, 4))),
    ),
    smooth(
        "cos(x)+20*exp(-1e5*(x+2.5)**2)",
        lambda a: cos(a) + gaussian(20, 10**5, F(-5, 2))(a),
        ((F(-5, 2), F(1, 300)),),
        by.smoothing_of(Term((20,), k=10**5, c=F(-5, 2)), lambda a, v: cos(a) * mp.exp(-v / 2)),
    ),
)

WINDOW = pieces("step(x-0.2)*step(0.3-x)", (F(1, 5), F(3, 10)), ((0,), (1,), (0,)))
COMPACT = (
    pieces("max(0,1-x**2)", (-1, 1), ((0,), (1, 0, -1), (0,))),
    pieces(
        "max(0,0.01-abs(x-0.5))",
        (F(49, 100), F(1, 2), F(51, 100)),
        ((0,), (F(-49, 100), 1), (F(51, 100), -1), (0,)),
    ),
    pieces("x*max(0,1-abs(x))", (-1, 0, 1), ((0,), (0, 1, 1), (0, 1, -1), (0,))),
    pieces("max(0,1-x**2)**3", (-1, 1), ((0,), (1, 0, -3, 0, 3, 0, -1), (0,))),
    pieces("max(0,1-10000*(x-0.3)**2)", (F(29, 100), F(31, 100)), ((0,), (-899, 6000, -10000), (0,))),
    pieces("max(0,x-1)*max(0,1.001-x)", (1, F(1001, 1000)), ((0,), (F(-1001, 1000), F(2001, 1000), -1), (0,))),
)

DEAD = (
    pieces("max(0,x-4)", (4,), ((0,), relu(4))),
    pieces("max(0,x-6)", (6,), ((0,), relu(6))),
    pieces("max(0,-x-5)**2", (-5,), ((25, 10, 1), (0,))),
    pieces("1000*max(0,x-5)**3", (5,), ((0,), (-125000, 75000, -15000, 1000))),
    Hand("tanh(max(0,x-3))", (lambda a: a * 0, lambda a: tanh(a - 3)), (3,)),
    smooth("exp(-(x-9)**2)", gaussian(1, 1, F(9)), ((F(9), F(1)),), by.smoothing_of(Term((1,), k=1, c=9))),
)
LATE = pieces("step(x-5)", (5,), ((0,), (1,)))

TAILS = (
    pieces("max(0,x-1)", (1,), ((0,), relu(1))),
    pieces("max(0,x-2)", (2,), ((0,), relu(2))),
    pieces("x+max(0,x-3)", (3,), ((0, 1), (-3, 2))),
    pieces("max(0,x-1)**2", (1,), ((0,), (1, -2, 1))),
    smooth("exp(2*x)", lambda a: exp(a * 2), (), lambda a, v: exp(a * 2) * mp.exp(2 * v)),
)

GATES = (
    pieces(
        "max(0,x-0.1)-2*max(0,x-0.2)+max(0,x-0.3)",
        (F(1, 10), F(1, 5), F(3, 10)),
        ((0,), (F(-1, 10), 1), (F(3, 10), -1), (0,)),
    ),
    pieces(
        "max(0,x-0.3)*max(0,x+0.5)*max(0,1.2-x)",
        (F(3, 10), F(6, 5)),
        ((0,), (F(-18, 100), F(39, 100), 1, -1), (0,)),
    ),
    pieces(
        "max(0,x-1)+max(0,x+1)+max(0,-x-0.5)",
        (-1, F(-1, 2), 1),
        ((F(-1, 2), -1), (F(1, 2),), (1, 1), (0, 2)),
    ),
    pieces(
        "max(0,x-0.7)-1e-3*max(0,x+0.9)+max(0,0.3-x)",
        (F(-9, 10), F(3, 10), F(7, 10)),
        (
            (F(3, 10), -1),
            (F(2991, 10000), F(-1001, 1000)),
            (F(-9, 10000), F(-1, 1000)),
            (F(-7009, 10000), F(999, 1000)),
        ),
    ),
    pieces(
        "max(0,x-0.5)-max(0,x-0.5001)+max(0,x-2)",
        (F(1, 2), F(5001, 10000), 2),
        ((0,), (F(-1, 2), 1), (F(1, 10000),), (F(1, 10000) - 2, 1)),
    ),
)
STEPS = (
    pieces("step(x-0.3)+step(x+0.7)-2*step(x-1.1)", (F(-7, 10), F(3, 10), F(11, 10)), ((0,), (1,), (2,), (0,))),
    pieces(
        "x*step(x-0.1)-step(x-0.2)+x**2*step(x-2.5)", (F(1, 10), F(1, 5), F(5, 2)), ((0,), (0, 1), (-1, 1), (-1, 1, 1))
    ),
)


def _he(text: str, *terms: tuple[int, int]) -> Hand:
    """Return sum c He_n."""
    size = max(n for _, n in terms) + 1
    row = [F(0)] * size
    for c, n in terms:
        for i, value in enumerate(by.hermite(n)):
            row[i] += c * value
    return pieces(text, (), (row,))


def _power(n: int) -> list[F]:
    """Return the coefficients of (x - 1)^n."""
    row = [F(1)]
    for _ in range(n):
        row = [(row[i - 1] if i else F(0)) - (row[i] if i < len(row) else F(0)) for i in range(len(row) + 1)]
    return row


POLYNOMIALS = (
    _he("he20", (1, 20)),
    _he("He(30,x)", (1, 30)),
    _he("He(40,x)", (1, 40)),
    _he("He(15,x)", (1, 15)),
    _he("He(24,x)-24*He(22,x)", (1, 24), (-24, 22)),
    pieces("(x-1)**9", (), (_power(9),)),
)


def _abs_sine(side: int) -> by.Branch:
    return lambda a: a * sin(a * 3) * side


def _half_gaussian(a: by.Jet) -> by.Jet:
    return a * exp(-(a * a))


CROSSING = _root(lambda z: z - mp.tanh(2 * z), F(96, 100))
KINKS = (
    Hand("abs(x)*sin(3*x)", (_abs_sine(-1), _abs_sine(1)), (0,)),
    Hand("max(x,0)*exp(-x**2)", (lambda a: a * 0, _half_gaussian), (0,), (), by.smoothing_of(Term((0, 1), low=0, k=1))),
    Hand("abs(x-0.5)*cos(x)", (lambda a: (F(1, 2) - a) * cos(a), lambda a: (a - F(1, 2)) * cos(a)), (F(1, 2),)),
    Hand("max(0,x)*tanh(x)", (lambda a: a * 0, lambda a: a * tanh(a)), (0,)),
    pieces("abs(x**2-1)", (-1, 1), ((-1, 0, 1), (1, 0, -1), (-1, 0, 1))),
    Hand("abs(x)*exp(-abs(x))", (lambda a: -a * exp(a), lambda a: a * exp(-a)), (0,)),
    Hand(
        "max(x,tanh(2*x))",
        (lambda a: tanh(a * 2), lambda a: a, lambda a: tanh(a * 2), lambda a: a),
        (lambda: -CROSSING(), 0, CROSSING),
    ),
    Hand("exp(-5*abs(x+0.8))", (lambda a: exp((a + F(4, 5)) * 5), lambda a: exp((a + F(4, 5)) * -5)), (F(-4, 5),)),
)

SCALES = (
    smooth("1e6*tanh(x)+1e-6*x**2", lambda a: tanh(a) * 10**6 + a * a * F(1, 10**6)),
    pieces("1e-6*max(0,x-0.5)+1e6*x", (F(1, 2),), ((0, 10**6), (F(-1, 2 * 10**6), 10**6 + F(1, 10**6)))),
    smooth("1e6*He(3,x)+1e-6*tanh(x)", lambda a: by.polynomial((0, -3 * 10**6, 0, 10**6), a) + tanh(a) * F(1, 10**6)),
    smooth("1e6*tanh(1e-6*x)", lambda a: tanh(a * F(1, 10**6)) * 10**6),
    pieces("1e6*max(0,x)-999999.999999*x", (0,), ((0, -(10**6) + F(1, 10**6)), (0, F(1, 10**6)))),
    smooth(
        "1e-6*erf(x)+1e6*exp(-1e6*(x-0.6)**2)",
        lambda a: erf(a) * F(1, 10**6) + gaussian(10**6, 10**6, F(3, 5))(a),
        ((F(3, 5), F(1, 1000)),),
    ),
    smooth("1e6+1e-6*sin(5*x)", lambda a: sin(a * 5) * F(1, 10**6) + 10**6),
)


# --- links of transformed labels: (teacher, transform, link) --------------------------------------------------------


def _abs_power(power: F, inner: by.Branch) -> tuple[by.Branch, by.Branch]:
    return lambda a: (-inner(a)) ** power, lambda a: inner(a) ** power


def _he2(a: by.Jet) -> by.Jet:
    return a * a - 1


def _labelled(teacher: Hand, text: str, *branches: by.Branch, cuts: tuple[int, ...] = ()) -> tuple[Hand, str, Hand]:
    return teacher, text, Hand(f"{text} of {teacher.text}", branches, cuts)


_DOWN, _UP = _abs_power(F(5, 2), _he2)
_FALL, _RISE = _abs_power(F(7, 3), tanh)
LABELS: dict[str, tuple[Hand, str, Hand]] = {
    "square of he2": (HE2, "y**2", pieces("y**2 of he2", (), ((1, 0, -2, 0, 1),))),
    "square of relu": (RELU, "y**2", pieces("y**2 of relu", (0,), ((0,), (0, 0, 1)))),
    "cube of erf": _labelled(ERF, "y**3", lambda a: erf(a) * erf(a) * erf(a)),
    "modulus of he3": (
        HE3,
        "abs(y)",
        pieces(
            "abs(y) of he3",
            (lambda: -mp.sqrt(3), 0, lambda: mp.sqrt(3)),
            ((0, 3, 0, -1), (0, -3, 0, 1), (0, 3, 0, -1), (0, -3, 0, 1)),
        ),
    ),
    "power of he2": _labelled(HE2, "abs(y)**2.5", _UP, _DOWN, _UP, cuts=(-1, 1)),
    "power of tanh": _labelled(TANH, "abs(y)**(7/3)", _FALL, _RISE, cuts=(0,)),
    "tanh of he2": _labelled(HE2, "tanh(y)", lambda a: tanh(_he2(a))),
    "sign of he2": (HE2, "sign(y)", pieces("sign(y) of he2", (-1, 1), ((1,), (-1,), (1,)))),
    "gaussian of relu": _labelled(RELU, "exp(-10*y**2)", lambda a: a * 0 + 1, lambda a: exp(a * a * -10), cuts=(0,)),
    "top of he3": (
        HE3,
        "max(y,1.5)",
        pieces(
            "max(y,1.5) of he3",
            tuple(
                _root(lambda z: z**3 - 3 * z - mpf(3) / 2, near) for near in (F(-138, 100), F(-56, 100), F(194, 100))
            ),
            ((F(3, 2),), (0, -3, 0, 1), (F(3, 2),), (0, -3, 0, 1)),
        ),
    ),
    "power of relu": _labelled(RELU, "abs(y)**1.5", lambda a: a * 0, lambda a: a ** F(3, 2), cuts=(0,)),
}


# --- which numbers of which function --------------------------------------------------------------------------------


def _matching(f: Hand, orders: tuple[int, ...]) -> tuple[int, ...]:
    """Return orders whose coefficients do not vanish by parity."""
    with mp.workdps(30):
        places = [mpf(1) / 7, mpf(9) / 8, *(by.number(place) + mpf(10) ** -9 for place, _ in f.narrow)]
        values = [(f.branch(z)(by.variable(z)).v, f.branch(-z)(by.variable(-z)).v) for z in places]
        parity = next((n for n, sign in ((0, 1), (1, -1)) if all(abs(v - sign * w) < 1e-25 for v, w in values)), None)
    return tuple(sorted({k if parity is None or k % 2 == parity else k + 1 for k in orders}))


def _of(
    family: str,
    functions: tuple[Hand, ...],
    *,
    orders: tuple[int, ...] = (),
    variances: tuple[F, ...] = (F(1),),
    squares: tuple[F, ...] = (),
    points: tuple[tuple[F, F], ...] = (),
    mus: tuple[F, ...] = (),
) -> Iterator[Job]:
    for f in functions:
        for variance in variances if orders else ():
            yield coefficients(family, f, orders if f.exact else _matching(f, orders), variance)
        yield from (mean_square(family, f, variance) for variance in squares)
        yield from (kernel(family, f, q, r) for q, r in points)
        yield from (lora(family, f, mu) for mu in mus)


NEAR, BACK, EDGE = (F(3, 10), F(1, 2)), (F(-2, 5), F(4, 5)), (F(3, 5), F(9, 25))
ALMOST, WHOLE = (F(-49, 100), F(1, 4)), (F(1), F(1))
HALF, ONE = F(1, 2), F(1)


def _hundredths(*whole: int) -> tuple[F, ...]:
    return tuple(F(n, 100) for n in whole)


def jobs() -> Iterator[Job]:
    """All of them, in the order of the table."""
    yield from _of("spike", SPIKES, orders=(0, 2, 7), squares=(ONE,), points=(NEAR,), mus=(HALF,))
    yield from _of("spike", SPIKES[:3], orders=(25,), points=(WHOLE,), mus=_hundredths(31, 95))
    yield kernel("spike", SPIKES[3], *ALMOST)
    yield kernel("spike", SPIKES[0], *NEAR, TANH)
    yield lora("spike", TANH, HALF, SPIKES[0])
    yield lora("spike", RELU, F(4, 5), SPIKES[1])
    yield from _of("compact", COMPACT, orders=(0, 3), squares=(F(1, 4),), points=(NEAR, ALMOST), mus=(F(2, 5),))
    yield from _of("compact", (WINDOW,), orders=(0, 3), squares=(ONE,), points=(NEAR, ALMOST, EDGE))
    yield lora("compact", TANH, HALF, WINDOW)
    yield from _of("dead", DEAD, orders=(0, 2), points=(NEAR,), mus=(HALF,))
    yield from _of("dead", (LATE,), orders=(0, 2), squares=(ONE,), points=(NEAR, EDGE))
    yield lora("dead", TANH, HALF, DEAD[0])
    yield lora("dead", DEAD[0], F(9, 10), TANH)
    yield lora("dead", RELU, F(3, 10), LATE)
    yield from _of("tail", TAILS, mus=_hundredths(3, 10))
    yield from _of("tail", (*TAILS[:2], *TAILS[3:]), orders=(0, 4), variances=(F(1, 100),))
    yield from _of("tail", TAILS[2:3], orders=(0, 4), variances=(F(1, 4),))
    yield kernel("tail", TAILS[0], F(1, 20), F(1, 100))
    yield lora("tail", DEAD[0], F(1, 5))
    yield from _of("gates", GATES, orders=(0, 5), points=(BACK,), mus=(F(7, 10),))
    yield from _of("gates", STEPS, orders=(0, 5), squares=(HALF,), points=(BACK, EDGE))
    yield lora("gates", ERF, F(7, 10), STEPS[0])
    yield from _of(
        "polynomial", POLYNOMIALS, squares=(ONE, HALF), points=(NEAR, WHOLE, ALMOST), mus=_hundredths(50, 98)
    )
    for f, own in zip(POLYNOMIALS, ((0, 20), (10, 30), (20, 40), (5, 15), (22, 24), (0, 9)), strict=True):
        yield coefficients("polynomial", f, own)
        yield coefficients("polynomial", f, (own[0],), F(99, 100))
    yield lora("polynomial", POLYNOMIALS[0], F(9, 10), TANH)
    yield from _of("kink", KINKS, orders=(0, 1, 6), squares=(ONE,), points=(NEAR,), mus=(HALF,))
    yield from _of("kink", KINKS[:3], orders=(30,), points=(EDGE,), mus=(F(24, 25),))
    yield from _of("scales", SCALES, orders=(0, 1), squares=(ONE,), points=(NEAR,), mus=(F(3, 5),))
    yield lora("scales", SCALES[0], HALF, TANH)
    for name, student, mu in (
        ("square of he2", RELU, F(2, 5)),
        ("square of relu", RELU, F(2, 5)),
        ("cube of erf", TANH, F(2, 5)),
        ("modulus of he3", ABS, F(3, 10)),
        ("modulus of he3", TAILS[0], F(1, 10)),
        ("power of he2", RELU, F(2, 5)),
        ("power of tanh", RELU, F(1, 5)),
        ("tanh of he2", HE2, F(2, 5)),
        ("sign of he2", HE2, F(9, 10)),
        ("sign of he2", RELU, F(1, 4)),
        ("gaussian of relu", TANH, HALF),
        ("top of he3", RELU, HALF),
        ("power of relu", RELU, F(3, 5)),
        ("power of relu", ERF, F(1, 20)),
    ):
        teacher, text, link = LABELS[name]
        yield lora("label", student, mu, teacher, (text, link))
    for name, student, mu, rho in (
        ("square of relu", RELU, F(-3, 10), F(31, 100)),
        ("modulus of he3", ABS, F(-1, 2), F(501, 1000)),
        ("sign of he2", TAILS[0], F(-2, 5), F(41, 100)),
    ):
        teacher, text, link = LABELS[name]
        yield misaligned("label", student, mu, rho, teacher, (text, link))
    for f, mu, rho, phi in (
        (RELU, F(-3, 10), F(30001, 100000), None),
        (RELU, F(-9, 10), F(91, 100), ERF),
        (ERF, F(-1, 2), F(50001, 100000), None),
        (ABS, F(-7, 10), F(7000001, 10000000), None),
        (HE3, F(-2, 5), F(41, 100), None),
        (POLYNOMIALS[0], F(-9, 10), F(91, 100), None),
        (TAILS[0], F(-1, 2), F(51, 100), None),
        (TAILS[0], F(-1, 5), F(3, 10), RELU),
        (KINKS[1], F(-3, 5), F(601, 1000), None),
        (COMPACT[0], F(-2, 5), F(401, 1000), None),
        (COMPACT[1], F(-2, 5), F(1, 2), None),
        (GATES[0], F(-3, 10), F(301, 1000), None),
        (TANH, F(-3, 10), F(2, 5), None),
        (TANH, F(-3, 10), F(31, 100), None),
        (TANH, F(-1, 2), F(14, 25), RELU),
        (SPIKES[0], F(-3, 10), F(1, 2), None),
        (SPIKES[3], F(-3, 10), F(301, 1000), None),
        (DEAD[0], F(-7, 10), F(71, 100), RELU),
    ):
        yield misaligned("misaligned", f, mu, rho, phi)


# --- the table ------------------------------------------------------------------------------------------------------


def table() -> list[Row]:
    """Return the rows of awkward.csv."""
    if not TABLE.exists():
        return []
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _key(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in KEY)


def _write(known: dict[tuple[str, ...], Row], order: list[tuple[str, ...]]) -> None:
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*map(str, COLUMNS)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(known[key] for key in order if key in known)


def main(families: list[str]) -> None:
    """Compute what is missing; every finished job is written at once."""
    known = {_key(row): row for row in table()}
    every = list(jobs())
    order = [_key(row) for job in every for row in job.heads()]
    assert len(set(order)) == len(order)
    for job in every:
        if families and job.family not in families:
            continue
        if all(_key(row) in known for row in job.heads()):
            continue
        print(job.family, job.student.text, job.quantities or job.orders, job.place, flush=True)
        known |= {_key(row): row for row in job.rows()}
        _write(known, order)


if __name__ == "__main__":
    main(sys.argv[1:])
