r"""Gaussian expectations as SymPy objects: closed where a rule closes them, honest unevaluated nodes where not.

`Distribution` is a function plus the point masses that its derivatives carry. Point masses are always integrated
out exactly, so that the nodes left over,

    GaussianMean(f, M, v)      = E f(M + sqrt(v) Z),
    GaussianKernel(f, g, q, r, v) = E f(l) g(l*),   (l, l*) centred with covariance [[r, q], [q, v]], v = 1 by default,

contain ordinary piecewise smooth functions only. They print as expectations, differentiate by Price's theorem,
evaluate to any precision through mpmath (`.evalf(50)`), and `numerics.integrals.quadrature` computes them with an error
estimate.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy import Expr, Lambda, S, Symbol

from theory.calculus import reference
from theory.calculus.cache import NODES, remembered
from theory.calculus.gaussian import at_mass, expectation, gaussian_pdf
from theory.calculus.nodes import exact
from theory.calculus.pieces import Pieces, pieces
from theory.calculus.terms import Term, as_terms, differentiate, multiply, place
from theory.calculus.tidy import tidy
from theory.calculus.undefined import has_undefined
from theory.errors import NoClosedFormError, NotIntegrableError
from theory.symbols import x

__all__ = [
    "Distribution",
    "GaussianKernel",
    "GaussianMean",
    "gaussian_kernel",
    "gaussian_mean",
    "is_closed",
    "unevaluated",
]

DECIMALS = 60  # of a root of a polynomial where SymPy cannot expand it
MET = sp.Float("1e-14")  # relative distance at which a place is a breakpoint known in decimals

Mass = tuple[Expr, Expr, int]  # location c, weight, order k of delta^(k)(x - c)


@dataclass(frozen=True)
class Distribution:
    """A piecewise smooth function `regular` plus sum of weight * delta^(order)(x - location)."""

    regular: Pieces
    masses: tuple[Mass, ...] = ()
    terms: tuple[Term, ...] | None = None

    @classmethod
    def of(cls, expr: Expr) -> Distribution:
        """Return the function `expr` of x, with its terms where it lies in the closed class."""
        return cls(pieces(expr), (), as_terms(expr))

    def diff(self, order: int = 1) -> Distribution:
        """Return the derivative of the given order in the sense of distributions."""
        result = self
        for _ in range(order):
            regular, jumps = result.regular.diff()
            masses = [(c, weight, k + 1) for c, weight, k in result.masses] + [(c, w, 0) for c, w in jumps]
            terms = None if result.terms is None else differentiate(result.terms)
            result = Distribution(regular, tuple(masses), terms)
        return result

    @property
    def polynomial_degree(self) -> int | None:
        """The degree where this is one polynomial on the whole line, else None."""
        if self.masses or not self.regular.is_smooth or not self.regular.branches[0].is_polynomial(x):
            return None
        return int(max(sp.Poly(self.regular.branches[0], x).degree(), 0))  # of 0, in whatever form, it is -oo

    def by_parameter(self, s: Symbol) -> Distribution:
        """Return the derivative with respect to a parameter: of the branches, and of jumps at places that it moves."""
        split = self.regular
        branches = tuple(sp.diff(branch, s) for branch in split.branches)
        masses = []
        for i, c in enumerate(split.breakpoints):
            speed = sp.diff(c, s)
            if speed != 0:
                jump = sp.simplify((split.branches[i + 1] - split.branches[i]).subs(x, c))
                masses += [(c, -jump * speed, 0)] if jump != 0 else []
        return Distribution(Pieces(split.breakpoints, branches), tuple(masses))

    def at(self, point: Expr) -> Expr:
        """Return the regular part at a point, at a jump the mean of both sides: E f(point + sqrt(v) Z) as v -> 0."""
        split = self.regular
        i = next((i for i, c in enumerate(split.breakpoints) if _is_met(point, c) == sp.true), None)
        if i is None and point.free_symbols and not split.is_smooth:
            return _along(split, point)
        whole = _numerical(split.as_expr()) if point.free_symbols else split.as_expr()
        branches = [whole] if i is None else list(split.branches[i : i + 2])
        values = [sp.limit(f, x, point) if (value := f.subs(x, point)) is sp.nan else value for f in branches]
        return sp.Add(*values) / len(values)


def _along(split: Pieces, point: Expr) -> Expr:
    """Return a function at a place that depends on symbols: where that meets a jump, the mean of both sides."""
    jumps = [(i, c) for i, c in enumerate(split.breakpoints) if _jumps(split, i)]
    middles = [(_numerical(sp.Add(*split.branches[i : i + 2]) / 2).subs(x, c), _is_met(point, c)) for i, c in jumps]
    whole = _numerical(split.as_expr()).subs(x, point)
    return whole if not middles or not isinstance(whole, sp.Piecewise) else sp.Piecewise(*middles, *whole.args)


def _jumps(split: Pieces, i: int) -> bool:
    """Whether a function jumps at a breakpoint; where it is infinite no value there is known."""
    gap = _numerical(split.branches[i + 1] - split.branches[i]).subs(x, split.breakpoints[i])
    if gap.has(sp.nan, sp.zoo, sp.oo, -sp.oo):
        return False
    return bool(sp.simplify(gap) != 0) if gap.free_symbols else abs(sp.N(gap, DECIMALS)) > MET


def _is_met(point: Expr, c: Expr) -> sp.Basic:
    """Whether a place is a breakpoint, of which one without a name is known to thirty digits only."""
    point, c = _numerical(point), _numerical(c)
    return sp.Eq(point, c) if not (point - c).has(sp.Float) else abs(point - c) <= MET * abs(c)


def _numerical(number: Expr) -> Expr:
    """Return roots of polynomials as decimals: SymPy cannot expand them, as it does where it asks for signs."""
    return number.replace(lambda f: isinstance(f, sp.CRootOf), lambda root: root.evalf(DECIMALS))


class _Unevaluated(Expr):
    is_real = True
    is_commutative = True

    def _eval_evalf(self, prec: int) -> Expr:
        args = [arg if isinstance(arg, Lambda) else arg.evalf(sp.core.evalf.prec_to_dps(prec) + 5) for arg in self.args]
        if not all(not arg.free_symbols if isinstance(arg, Lambda) else arg.is_number for arg in args):
            return self.func(*args)
        return self._by_quadrature(args, sp.core.evalf.prec_to_dps(prec))

    def size(self) -> Expr:
        """Return sqrt(E f^2) (times sqrt(E g^2)), to which the error of a value is relative; two digits of it."""
        moments = (reference.mean(f**2, centre, variance, digits=2) for f, centre, variance in self.marginals)
        return sp.sqrt(sp.Mul(*[sp.Float(moment, 5) for moment in moments]))

    @property
    @abstractmethod
    def marginals(self) -> tuple[tuple[Expr, Expr, Expr], ...]:
        """Every function with the mean and the variance of its argument."""

    @abstractmethod
    def _by_quadrature(self, args: list[Expr], digits: int) -> Expr:
        """Return the value at numerical arguments, by the mpmath oracle."""

    def _sympystr(self, printer: Any) -> str:
        shown = [arg.expr if isinstance(arg, Lambda) else arg for arg in self.args]
        return f"{type(self).__name__}({', '.join(printer._print(arg) for arg in shown)})"


def _law(f: Expr) -> Lambda:
    return f if isinstance(f, Lambda) else Lambda(x, f)


class GaussianMean(_Unevaluated):
    """E f(M + sqrt(v) Z), Z ~ N(0, 1): `GaussianMean(f, M, v)` with f an expression in x.

    >>> GaussianMean(sp.tanh(x) ** 2, 0, 1).evalf(20)
    0.394294490397841...
    """

    def __new__(cls, f: Expr, mean: Expr, variance: Expr) -> Expr:
        """Return the node, or f(M) where v = 0."""
        law, mean, variance = _law(f), exact(mean, "mean"), exact(variance, "variance")
        if variance == 0:
            return Distribution(pieces(law.expr)).at(mean) if law.expr.has(sp.Piecewise) else law(mean)
        return Expr.__new__(cls, law, mean, variance)

    @property
    def in_tails(self) -> bool:
        """Whether f begins far out in the Gaussian's tails, where digits are relative."""
        return any(reference.in_tails(*marginal) for marginal in self.marginals)

    @property
    def marginals(self) -> tuple[tuple[Expr, Expr, Expr], ...]:
        """f, M and v."""
        f, mean, variance = self.args
        return ((f.expr, mean, variance),)

    def _by_quadrature(self, args: list[Expr], digits: int) -> Expr:
        return sp.Float(reference.mean(args[0].expr, args[1], args[2], digits=digits), digits)

    def _eval_derivative(self, s: Symbol) -> Expr:
        f, mean, variance = self.args
        law = Distribution(pieces(f.expr))
        slope, bend = sp.diff(mean, s), sp.diff(variance, s)
        total = S.Zero
        if slope != 0:
            total += slope * gaussian_mean(law.diff(), mean, variance)
        if bend != 0:
            total += bend / 2 * gaussian_mean(law.diff(2), mean, variance)
        if s in f.free_symbols:
            total += gaussian_mean(law.by_parameter(s), mean, variance)
        return total

    def _latex(self, printer: Any) -> str:
        f, mean, variance = self.args
        scale = sp.sqrt(variance) * Symbol("Z")
        return rf"\mathbb{{E}}\left[{printer._print(f.expr.subs(x, mean + scale))}\right]"


class GaussianKernel(_Unevaluated):
    """E f(l) g(l*) for centred (l, l*) of covariance [[r, q], [q, v]]: `GaussianKernel(f, g, q, r, v)`, v = 1 left out.

    >>> from theory.symbols import mu
    >>> GaussianKernel(sp.tanh(x), sp.tanh(x), mu, mu**2).subs(mu, 1).evalf(15)
    0.394294490397841
    """

    def __new__(cls, f: Expr, g: Expr, q: Expr, r: Expr, v: Expr = S.One) -> Expr:
        """Return the node."""
        second = exact(v, "v")
        given = (_law(f), _law(g), exact(q, "q"), exact(r, "r"))
        return Expr.__new__(cls, *given) if second == 1 else Expr.__new__(cls, *given, second)

    @property
    def second_variance(self) -> Expr:
        """The variance v of l*."""
        return self.args[4] if len(self.args) > 4 else S.One

    @property
    def in_tails(self) -> bool:
        """Whether one of f and g begins far out in its Gaussian's tails, where digits are relative."""
        tails = [reference.in_tails(*marginal) for marginal in self.marginals]
        return any(tails) and (not all(tails) or self.args[2] ** 2 == self.args[3] * self.second_variance)

    @property
    def marginals(self) -> tuple[tuple[Expr, Expr, Expr], ...]:
        """f under N(0, r) and g under N(0, v)."""
        f, g, _, variance = self.args[:4]
        return (f.expr, S.Zero, variance), (g.expr, S.Zero, self.second_variance)

    def _by_quadrature(self, args: list[Expr], digits: int) -> Expr:
        f, g, q, r, *second = args
        right = g.expr
        if second:  # in units of its standard deviation, so that the oracle meets a variance of 1
            width = sp.sqrt(second[0])
            right, q = right.subs(x, width * x), q / width
        return sp.Float(reference.kernel(f.expr, right, q, r, digits=digits), digits)

    def _eval_derivative(self, s: Symbol) -> Expr:
        f, g, q, r = self.args[:4]
        v = self.second_variance
        left, right = Distribution(pieces(f.expr)), Distribution(pieces(g.expr))
        slope, bend, other = (sp.diff(entry, s) for entry in (q, r, v))
        total = S.Zero
        if slope != 0:
            total += slope * gaussian_kernel(left.diff(), right.diff(), q, r, v)
        if bend != 0:
            total += bend / 2 * gaussian_kernel(left.diff(2), right, q, r, v)
        if other != 0:
            total += other / 2 * gaussian_kernel(left, right.diff(2), q, r, v)
        if s in f.free_symbols:
            total += gaussian_kernel(left.by_parameter(s), right, q, r, v)
        if s in g.free_symbols:
            total += gaussian_kernel(left, right.by_parameter(s), q, r, v)
        return total

    def _latex(self, printer: Any) -> str:
        f, g, q, r = self.args[:4]
        degenerate = sp.expand(r - q**2) == 0 and self.second_variance == 1
        names = (q * Symbol("Z"), Symbol("Z")) if degenerate else (Symbol(r"\ell"), Symbol(r"\ell^{*}"))
        body = sp.Mul(f.expr.subs(x, names[0]), g.expr.subs(x, names[1]), evaluate=False)
        return rf"\mathbb{{E}}\left[{printer._print(body)}\right]"


NODES.update({kind.__name__: kind for kind in (GaussianMean, GaussianKernel)})


def unevaluated(expr: Expr) -> set[Any]:
    """Return the unevaluated expectations in `expr`."""
    return expr.atoms(_Unevaluated)


def is_closed(expr: Expr) -> bool:
    """Whether `expr` contains no unevaluated expectation."""
    return not expr.has(_Unevaluated)


# --- the two verbs ----------------------------------------------------------------------------------------------


def _content(*args: Any) -> tuple[sp.Basic, ...]:
    """Return what a mean or a kernel depends on, as expressions."""
    terms: list[sp.Basic] = []
    for arg in args:
        if isinstance(arg, Distribution):
            masses = (sp.Tuple(location, weight, sp.Integer(order)) for location, weight, order in arg.masses)
            terms += [sp.Tuple(*arg.regular.breakpoints), sp.Tuple(*arg.regular.branches), sp.Tuple(*masses)]
        else:
            terms.append(sp.sympify(arg))
    return tuple(terms)


@remembered(_content)
def gaussian_mean(f: Distribution, mean: Expr, variance: Expr) -> Expr:
    r"""Return E f(M + sqrt(v) Z): the Weierstrass transform S(M, v) of f.

    >>> from theory.symbols import a, r
    >>> gaussian_mean(Distribution.of(sp.erf(x)), a, r)
    erf(a/sqrt(2*r + 1))
    """
    mean, variance = exact(mean, "mean"), exact(variance, "variance")
    if variance == 0 and all(location != mean for location, _, _ in f.masses):
        return f.at(mean)
    if f.terms is not None:
        try:
            return tidy(expectation(f.terms, (mean,), ((variance,),)))
        except NoClosedFormError:
            pass
    total = sp.Add(*[_mass(mass, mean, variance, lambda _: S.One) for mass in f.masses])
    regular = f.regular.as_expr()
    number, rest = _apart(regular)
    return total if regular == 0 else total + number * GaussianMean(rest, mean, variance)


@remembered(_content)
def gaussian_kernel(f: Distribution, g: Distribution, q: Expr, r: Expr, v: Expr = S.One) -> Expr:
    r"""Return E f(l) g(l*), (l, l*) ~ N(0, [[r, q], [q, v]]), exactly where a rule closes it.

    In this order: the finite Hermite (Mehler) sum sum_k E_r[f^(k)] E_v[g^(k)] q^k / k! when f or g is a polynomial;
    the rules of `theory.calculus.gaussian` when both lie in the class of `theory.calculus.terms`; otherwise point
    masses integrated out and one `GaussianKernel` node for the regular parts. At the edges r = q^2 and r = 0 substitute
    before deriving: shifted kinks leave quotients 0/0 in the general form.

    >>> from theory.symbols import q, r
    >>> gaussian_kernel(Distribution.of(sp.erf(x)), Distribution.of(sp.erf(x)), q, r)
    2*asin(2*sqrt(3)*q/(3*sqrt(2*r + 1)))/pi
    """
    if q == 0:  # independent
        return gaussian_mean(f, S.Zero, r) * gaussian_mean(g, S.Zero, v)
    degrees = [n for n in (f.polynomial_degree, g.polynomial_degree) if n is not None]
    if len(degrees) == 2:
        return tidy(_polynomial_kernel(f.regular.branches[0], g.regular.branches[0], q, r, v))
    if degrees:
        return tidy(_finite_hermite_sum(f, g, (q, r, v), degrees[0]))
    if f.terms is not None and g.terms is not None:
        try:
            both = multiply(place(f.terms, 0, 2), place(g.terms, 1, 2))
            return tidy(expectation(both, (S.Zero, S.Zero), ((r, q), (q, v))))
        except NoClosedFormError:
            pass
    return _split_masses(f, g, q, r, v)


def _finite_hermite_sum(f: Distribution, g: Distribution, entries: tuple[Expr, Expr, Expr], degree: int) -> Expr:
    (q, r, v), total = entries, S.Zero
    for k in range(degree + 1):
        right = gaussian_mean(g, S.Zero, v)
        if right != 0:
            total += gaussian_mean(f, S.Zero, r) * right * q**k / sp.factorial(k)
        f, g = f.diff(), g.diff()
    return total


def _polynomial_kernel(f: Expr, g: Expr, q: Expr, r: Expr, v: Expr) -> Expr:
    """Return E f(l) g(l*) = sum_k q^k/k! E_r[f^(k)] E_v[g^(k)], the moments summed as polynomials in (q, r, v)."""
    left, right = (sp.Poly(h, x).terms() for h in (f, g))
    total: dict[tuple[int, int, int], Expr] = {}
    for (n,), a in left:
        for (m,), b in right:
            for k in range(n % 2, min(n, m) + 1, 2) if (n + m) % 2 == 0 else ():
                ways = sp.binomial(n, k) * sp.binomial(m, k) * sp.factorial(k)
                moments = sp.factorial2(n - k - 1) * sp.factorial2(m - k - 1)
                key = (k, (n - k) // 2, (m - k) // 2)
                total[key] = total.get(key, S.Zero) + a * b * ways * moments
    return sp.Add(*[c * q**k * r**j * v**i for (k, j, i), c in total.items()])


def _split_masses(f: Distribution, g: Distribution, q: Expr, r: Expr, v: Expr) -> Expr:
    if f.masses and g.masses:
        raise NotIntegrableError(
            "the kernel of two functions that both jump, one of them outside the closed class, is not derived; "
            "accepted are pairs of which one is continuous"
        )
    rest = sp.factor(v - q**2 / r)
    total = sp.Add(
        *[_mass(mass, S.Zero, r, lambda c: gaussian_mean(g, q * c / r, rest)) for mass in f.masses],
        *[_mass(mass, S.Zero, v, lambda c: gaussian_mean(f, q * c / v, sp.expand(r - q**2 / v))) for mass in g.masses],
    )
    left, right = f.regular.as_expr(), g.regular.as_expr()
    (number, left), (factor, right) = _apart(left), _apart(right)
    return total if S.Zero in (left, right) else total + number * factor * GaussianKernel(left, right, q, r, v)


def _apart(f: Expr) -> tuple[Expr, Expr]:
    """Return the whole number that stands before a function, taken out where a person reads the expectation itself."""
    number, rest = sp.expand(f).as_content_primitive() if has_undefined(f) else (S.One, f)
    return (number, rest) if number.is_Integer else (S.One, f)


def _mass(mass: Mass, mean: Expr, variance: Expr, rest) -> Expr:
    """Integrate weight * delta^(k)(l - c) against the Gaussian times `rest(c)`: (-d/dc)^k at c."""
    (location, weight), k = map(_numerical, mass[:2]), mass[2]
    if k == 0:
        return weight * gaussian_pdf(location, mean, variance) * rest(location)
    return weight * at_mass(k, location, mean, variance, rest)
