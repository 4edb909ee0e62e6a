r"""Activation: a real function of one variable with what the derivation needs to know of it, and the registry.

A new activation is one line in `_NAMED`, or just text: `activation("x*(1 + erf(x/sqrt(2)))/2")`; `register` names a
text for the running process.
Conventions: erf is erf(x) (not erf(x/sqrt(2))), He_k is the probabilists' Hermite polynomial, unnormalised.
"""

from __future__ import annotations

import keyword
import re
from collections import ChainMap
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from itertools import pairwise
from math import factorial
from types import MappingProxyType
from typing import Literal

import mpmath
import sympy as sp
from sympy import Expr, Rational

from theory.calculus.nodes import check_nodes
from theory.calculus.parity import parity
from theory.calculus.pieces import Pieces, pieces, real_zeros
from theory.calculus.removable import evaluator, filling, holes
from theory.calculus.terms import as_terms
from theory.errors import InputError, NotIntegrableError, NotRealError
from theory.language.parser import RESERVED, parse
from theory.lazy import Lazy
from theory.shown import Shown
from theory.symbols import x
from theory.typeset.constants import DECIMAL, Constants
from theory.typeset.layout import Equation, on_screen
from theory.typeset.printing import latex

__all__ = [
    "REGISTRY",
    "Activation",
    "activation",
    "constants_of",
    "he",
    "register",
    "registered_in",
    "require_finite_kernel",
]


@lru_cache(maxsize=128)
def he(k: int) -> Expr:
    """Return the probabilists' Hermite polynomial He_k(x) = sum_m (-1/2)^m k! / (m! (k - 2m)!) x^(k - 2m).

    >>> he(3)
    x**3 - 3*x
    """
    terms = range(k // 2 + 1)
    sizes = [Rational(factorial(k), (-2) ** m * factorial(m) * factorial(k - 2 * m)) for m in terms]
    return sp.Add(*[sizes[m] * x ** (k - 2 * m) for m in terms])


_NAMED: Lazy[Expr] = Lazy(
    {
        "linear": lambda: x,
        "relu": lambda: sp.Max(x, 0),
        "erf": lambda: sp.erf(x),
        "sigmoid": lambda: 1 / (1 + sp.exp(-x)),
        "tanh": lambda: sp.tanh(x),
        "square": lambda: x**2,
        "abs": lambda: sp.Abs(x),
        "sign": lambda: sp.sign(x),
        "step": lambda: sp.Heaviside(x),
        "gelu": lambda: x * (1 + sp.erf(x / sp.sqrt(2))) / 2,
        "elu": lambda: sp.Max(x, 0) + sp.Min(0, sp.exp(x) - 1),
        "hardtanh": lambda: sp.Max(-1, sp.Min(1, x)),
        "softplus": lambda: sp.log(1 + sp.exp(x)),
        "silu": lambda: x / (1 + sp.exp(-x)),
        "mish": lambda: x * sp.tanh(sp.log(1 + sp.exp(x))),
        **{f"he{k}": partial(he, k) for k in range(1, 21)},
    }
)
REGISTRY: MappingProxyType[str, Expr] = MappingProxyType(_NAMED)
"""Every named activation, as an expression in x that is made when it is asked for; `register` adds to it."""

_TEXTS: dict[str, str] = {}  # of the names that `register` added, in order: a text may use the names before it


@dataclass(frozen=True)
class Activation(Shown):
    r"""A real function sigma(x), square-integrable under N(0, 1).

    Args:
        name: what the user called it; equality and hashing ignore it.
        expr: its SymPy expression in `theory.symbols.x`.

    Raises:
        NotRealError: complex or undefined somewhere on the real line.
        NotIntegrableError: E sigma(Z)^2 is infinite.

    >>> relu = activation("relu")
    >>> relu.kinks, relu.parity, relu.derivative
    ((0,), None, Piecewise((0, x < 0), (1, True)))
    """

    shows = "parity, kinks, is_continuous, has_closed_class, max_variance"

    name: str = field(compare=False)
    expr: Expr

    def __post_init__(self) -> None:
        stray = self.expr.free_symbols - {x}
        if stray:
            raise InputError(
                f"{self.name}: the expression contains {', '.join(sorted(map(str, stray)))}; accepted is a function "
                "of the one variable x (theory.symbols.x): give every other parameter a value."
            )
        check_nodes(self.expr, self.name)
        if any(branch.has(sp.zoo, sp.nan, sp.oo, -sp.oo) for branch in self.pieces.branches):
            raise _not_real(self.name, "is infinite or undefined on part of the line")
        _check_real(self.name, self.pieces)
        if self.max_variance <= 1:
            raise NotIntegrableError(
                f"{self.name}: its square grows too fast to be integrated against a Gaussian (finite only for "
                f"variance below {float(self.max_variance):.4g}); accepted are functions with E sigma(Z)^2 finite, "
                "Z ~ N(0, 1): use a slower growth such as exp(x) or a polynomial."
            )

    @cached_property
    def pieces(self) -> Pieces:
        """Smooth branches and breakpoints."""
        return pieces(self.expr)

    @property
    def kinks(self) -> tuple[Expr, ...]:
        """Points where the formula changes, in increasing order."""
        return self.pieces.breakpoints

    @cached_property
    def derivative(self) -> Expr:
        """The derivative almost everywhere, as SGD evaluates it (point masses left out)."""
        return self.pieces.diff()[0].as_expr()  # of an oscillating switch its formula, right on the whole line

    @cached_property
    def is_continuous(self) -> bool:
        """Whether the function has no jump."""
        return not self.pieces.diff()[1]

    @property
    def is_polynomial(self) -> bool:
        """Whether the function is one polynomial on the whole line."""
        return self.pieces.is_smooth and bool(self.pieces.branches[0].is_polynomial(x))

    @property
    def has_closed_class(self) -> bool:
        """Whether the function lies in the class of `theory.calculus.terms`."""
        return as_terms(self.expr) is not None

    @cached_property
    def parity(self) -> Literal["even", "odd"] | None:
        """Even or odd almost everywhere, where that is proved, else None: `theory.calculus.parity`."""
        return parity(self.expr)

    @cached_property
    def max_variance(self) -> Expr:
        """The supremum of r for which E sigma(sqrt(r) Z)^2 is finite; oo for sub-Gaussian growth."""
        rate = max(_gaussian_rate(self.pieces, side) for side in (-1, 1))
        if rate == mpmath.inf:
            return sp.S.Zero
        return sp.oo if rate < 1e-3 else 1 / (4 * sp.nsimplify(float(rate), rational=True, tolerance=1e-3))

    @property
    def source(self) -> str | Expr:
        """What was typed if that has decimals, with the texts of names that `register` added; else the expression."""
        text = " ".join((self.name, *registered_in([self.name]).values()))
        return text if DECIMAL.search(text) and self._is_typed else self.expr

    @cached_property
    def _is_typed(self) -> bool:
        """Whether the name is a text of the language that says what the function is."""
        try:
            return _from_text(self.name).expr == self.expr
        except InputError:
            return False

    def written(self, constants: Constants | None = None) -> Activation:
        """Return the function with constants, by default its own, in the place of its long decimals.

        What cannot be derived with them stays as it is: a kink at a root of a cubic polynomial is known to SymPy only
        where the coefficients are ratios.

        >>> activation("1.0507009873554805*(max(x, 0) + 0.1*x)").written().expr
        c_1*(x/10 + Max(0, x))
        """
        given = Constants.of(self.source) if constants is None else constants
        if not given.named:
            return self
        try:
            named = Activation(self.name, self._with(given))
        except (InputError, TypeError):  # what SymPy cannot compare
            return self
        return named if named.has_closed_class == self.has_closed_class else self

    def _with(self, constants: Constants) -> Expr:
        source = self.source
        if isinstance(source, Expr):
            return constants.in_expression(source)
        names: ChainMap[str, Expr] = ChainMap({}, _NAMED)
        for name, text in [*registered_in([self.name]).items(), ("", self.name)]:
            replaced, meanings = constants.in_text(text)
            names[name] = parse(replaced, names=ChainMap(meanings, names))
        return names[""]

    @property
    def equations(self) -> tuple[Equation, ...]:
        """sigma(x), and the constants in it that have names."""
        typed, written = Constants.of(self.source).typed, self.written().expr
        constants = Constants.within(written, typed=typed)
        return (Equation.of("student", r"\sigma(x)", latex(written, constants)), *constants_of(constants))

    @property
    def heading(self) -> str:
        """What it is, on one line."""
        return f"Activation {self.name}"

    @property
    def brief(self) -> str:
        """Name and expression."""
        return str(self)

    def formulas(self) -> dict[str, Expr]:
        """sigma(x)."""
        return {"sigma(x)": self.written().expr}

    def _repr_latex_(self) -> str:
        return on_screen(self.equations)

    def __str__(self) -> str:
        return f"{self.name}: {self.written().expr}"


def constants_of(constants: Constants) -> tuple[Equation, ...]:
    """Return c_1, c_2, ... with the decimals that were typed."""
    return tuple(Equation.of(f"constant-{c.index}", latex(c), c.decimal) for c in constants.named)


def activation(value: str | Expr | Activation) -> Activation:
    """Return an `Activation` from a registry name, an expression as text, a SymPy expression, or itself.

    >>> activation("max(x, 0)") == activation("relu")
    True
    >>> activation("exp(x**2)")
    Traceback (most recent call last):
    theory.errors.NotIntegrableError: exp(x**2): its square grows too fast ...
    """
    if isinstance(value, Activation):
        return value
    if isinstance(value, str):
        text = value.strip()
        return _from_text(text)
    if isinstance(value, Expr):
        return Activation(str(value), _real_variable(value))
    raise InputError(
        f"{value!r} is not an activation; accepted are a name ({', '.join(list(REGISTRY)[:9])}, he1...he20), an "
        "expression in x as text, or a SymPy expression in x."
    )


@lru_cache(maxsize=256)
def _from_text(text: str) -> Activation:
    return Activation("linear" if text == "x" else text, parse(text, names=REGISTRY))


def register(name: str, text: str) -> Activation:
    """Give an activation a name for the running process, and return it.

    The name then stands wherever one of `REGISTRY` does, in texts too: `squareplus(2*x)`. Other processes do not know
    it, but for the workers of a sweep, which are told. The text is parsed and never evaluated. The same name with the
    same function is accepted again.

    Args:
        name: ASCII letters, digits and underscores, two or more, the first a letter.
        text: an expression in x, as `activation` reads it; it may use the names that are registered already.

    Raises:
        InputError: a name that is taken, by an activation or by a function of the language, or is no identifier; a
            text that is no activation. Nothing is registered then.

    >>> register("sine_bump", "exp(-x**2)*sin(x)").parity
    'odd'
    >>> activation("sine_bump(2*x)").expr
    exp(-4*x**2)*sin(2*x)
    >>> register("erf", "erf(x/sqrt(2))")
    Traceback (most recent call last):
    theory.errors.InputError: name 'erf' given, which stands for erf(x); accepted: a name that is free, such as my_erf.
    """
    _check_name(name)
    if not isinstance(text, str):
        raise InputError(f"{text!r} given for {name}; accepted: an expression in x as text, such as 'x*tanh(x)'.")
    expr = activation(text).expr
    if name in REGISTRY:
        if name in _TEXTS and REGISTRY[name] == expr:
            return activation(name)
        raise _taken(name, str(REGISTRY[name]))
    _NAMED[name], _TEXTS[name] = expr, text
    return activation(name)


def registered_in(texts: Iterable[str]) -> dict[str, str]:
    """Return the names that these texts use and `register` added, with their texts, in the order of registration.

    >>> _ = register("sine_bump", "exp(-x**2)*sin(x)")
    >>> registered_in(["relu", "2*sine_bump(x) + 1"])
    {'sine_bump': 'exp(-x**2)*sin(x)'}
    """
    waiting, names = list(texts), set()
    while waiting:
        used = {name for name in re.findall(r"\w+", waiting.pop()) if name in _TEXTS} - names
        waiting += [_TEXTS[name] for name in used]
        names |= used
    return {name: text for name, text in _TEXTS.items() if name in names}


def _check_name(name: str) -> None:
    """Refuse a name that the language could not read, or reads as something else."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{1,39}", name) or keyword.iskeyword(name):
        raise InputError(
            f"name {name!r} given; accepted: 2 to 40 ASCII letters, digits and underscores, the first a letter, and no "
            "keyword of Python, such as squareplus."
        )
    if name in RESERVED and name not in REGISTRY:
        raise _taken(name, "a word of the language")
    if re.fullmatch(r"he\d+", name) and name not in REGISTRY:
        raise _taken(name, f"a Hermite polynomial, written He({name[2:]}, x)")


def _taken(name: str, meaning: str) -> InputError:
    return InputError(
        f"name {name!r} given, which stands for {meaning}; accepted: a name that is free, such as my_{name}."
    )


def _real_variable(expr: Expr) -> Expr:
    """Accept a SymPy expression written with a plain Symbol('x')."""
    return expr.xreplace({s: x for s in expr.free_symbols if s.name == "x"})


# --- what must hold on the whole line ---------------------------------------------------------------------------


def _check_real(name: str, split: Pieces) -> None:
    edges = [-sp.oo, *split.breakpoints, sp.oo]
    for lo, hi, branch in zip(edges, edges[1:], split.branches, strict=False):
        inside = [c for c in holes(branch) if (lo == -sp.oo or c >= lo) and (hi == sp.oo or c <= hi)]
        for hole in inside:
            if filling(branch, hole) is None:
                raise _not_real(name, f"is undefined at x = {hole}")
        f = evaluator(branch)
        for z in [*_samples(lo, hi), *_between(_borders(branch), lo, hi)]:
            try:
                value = mpmath.mpmathify(f(mpmath.mpf(z)))
            except (ValueError, ZeroDivisionError):
                raise _not_real(name, f"is undefined at x = {z:.6g}") from None
            except OverflowError:
                continue
            if isinstance(value, mpmath.mpc) and abs(value.imag) > 1e-12 * abs(value):
                raise _not_real(name, f"is complex at x = {z:.6g}")
            if mpmath.isnan(value):
                raise _not_real(name, f"is undefined at x = {z:.6g}")


def _not_real(name: str, what: str) -> NotRealError:
    return NotRealError(
        f"{name} {what}; accepted are functions with a real value everywhere on the real line: restrict or regularise "
        "it, for instance log(1 + x**2) for log(x)."
    )


def _borders(branch: Expr) -> list[Expr]:
    """Return the points at which a root, a logarithm or an inverse function may start or stop being real."""
    radicands = [p.base for p in branch.atoms(sp.Pow) if not p.exp.is_integer]
    inverse = [sign + node.args[0] for node in branch.atoms(sp.asin, sp.acos) for sign in (1, -1)]
    return sorted({zero for h in (*radicands, *inverse) for zero in real_zeros(h)}, key=float)


def _between(borders: list[Expr], lo: Expr, hi: Expr) -> list[float]:
    points = [(float(left) + float(right)) / 2 for left, right in pairwise(borders)]
    return [z for z in points if (lo == -sp.oo or z > lo) and (hi == sp.oo or z < hi)]


def _samples(lo: Expr, hi: Expr) -> list[float]:
    left = float(lo) if lo != -sp.oo else (float(hi) if hi != sp.oo else 0.0) - 30.0
    right = float(hi) if hi != sp.oo else (float(lo) if lo != -sp.oo else 0.0) + 30.0
    return [left + (right - left) * (i + 0.5) / 61 for i in range(61)]


def _gaussian_rate(split: Pieces, side: int) -> mpmath.mpf:
    """Return b with log|f(x)| ~ b x^2 as x -> side * oo: the second difference of log|f| at X, 2X, 3X, X = 1e4.

    Powers of x contribute O(log X / X^2) to it, and exp(c x) nothing.
    """
    branch = split.branches[-1] if side > 0 else split.branches[0]
    if branch.is_polynomial(x):
        return mpmath.mpf(0)
    near, middle, far = (
        max(_log_magnitude(branch, side * (n * mpmath.mpf(10) ** 4 + mpmath.mpf(k) / 7)) for k in range(5))
        for n in (1, 2, 3)
    )
    if mpmath.inf in (near, middle, far):
        return mpmath.inf
    return (
        mpmath.mpf(0) if -mpmath.inf in (near, middle, far) else (far - 2 * middle + near) / (2 * mpmath.mpf(10) ** 8)
    )


def _log_magnitude(f: Expr, z: mpmath.mpf) -> mpmath.mpf:
    """Return log|f(z)|; +oo once an exponent passes 1e10, which no Gaussian integrates."""

    def exp(y: mpmath.mpf) -> mpmath.mpf:
        if y.real > 1e10:
            raise OverflowError
        return mpmath.exp(y) if y.real > -1e10 else mpmath.mpf(0)

    bounded = {"exp": exp, "cosh": lambda y: (exp(y) + exp(-y)) / 2, "sinh": lambda y: (exp(y) - exp(-y)) / 2}
    try:
        value = abs(sp.lambdify(x, f, [bounded, "mpmath"])(z))
    except (OverflowError, ZeroDivisionError):
        return mpmath.inf
    return mpmath.log(value) if value else -mpmath.inf


def require_finite_kernel(sigma: Activation, phi: Activation, overlap: Expr, variance: Expr) -> None:
    """Raise `NotIntegrableError` where E sigma(l) phi(l*) is infinite, E l l* = overlap, E l^2 = variance, E l*^2 = 1.

    sigma ~ exp(a x^2) and phi ~ exp(b x^2), a = 1/(4 max_variance) of sigma and b likewise: the Gaussian integral of
    their product converges for r < (1 - 4 a b q^2/(1 - 2 b))/(2 a).

    >>> fast = activation("exp(x**2/6)")
    >>> require_finite_kernel(fast, activation("linear"), sp.S.Zero, sp.Integer(2))
    >>> require_finite_kernel(fast, activation("linear"), sp.S.Zero, sp.Integer(3))
    Traceback (most recent call last):
    theory.errors.NotIntegrableError: q = 0, r = 3 given: E sigma(l) phi(l*) of exp(x**2/6) and linear is infinite...
    """
    first, second = (1 / (4 * f.max_variance) for f in (sigma, phi))
    if first == 0:
        return
    largest = (1 - 4 * first * second * overlap**2 / (1 - 2 * second)) / (2 * first)
    if variance >= largest:
        raise NotIntegrableError(
            f"q = {overlap}, r = {variance} given: E sigma(l) phi(l*) of {sigma.name} and {phi.name} is infinite "
            f"there; accepted: a variance r below {float(largest):.6g} at this q."
        )
