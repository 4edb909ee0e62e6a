r"""Activation: a real function of one variable with what the derivation needs to know of it, and the registry.

A new activation is one line in `_NAMED`, or just text: `activation("x*(1 + erf(x/sqrt(2)))/2")`; `register` names a
text for the running process.
Conventions: erf is erf(x) (not erf(x/sqrt(2))), He_k is the probabilists' Hermite polynomial, unnormalised.
"""

from __future__ import annotations

import keyword
import re
from collections import ChainMap
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from itertools import pairwise
from math import factorial
from types import MappingProxyType
from typing import Literal

import mpmath
import sympy as sp
from sympy import Expr, Rational, Symbol
from sympy.core.function import UndefinedFunction

from theory.calculus.nodes import check_nodes, exact
from theory.calculus.parity import parity
from theory.calculus.pieces import SWITCHES, Pieces, pieces, real_zeros
from theory.calculus.removable import evaluator, filling, holes
from theory.calculus.signs import is_beyond_a_double, is_family
from theory.calculus.terms import as_terms
from theory.calculus.undefined import undefined_in, with_undefined
from theory.errors import InputError, NotIntegrableError, NotRealError, ParameterError
from theory.language.families import Point, chamber, growth, holds, needed, shared_point
from theory.language.functions import Functions, check_function, declared_functions
from theory.language.parameters import Declarations, Parameter, check_real, declared, domain_of, parameters_of, points
from theory.language.parser import RESERVED, parse
from theory.language.substitution import with_numbers
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
    "exact_value",
    "exact_values",
    "he",
    "member",
    "real_symbols",
    "register",
    "registered_in",
    "require_finite_kernel",
]


LARGEST = Rational(10) ** 300  # value of a parameter
SAME_RATE = 1e-4  # of a rate that is read off values, far out, to the exact one
MEMBERS, DOUBTED = 3, 24  # points at which a family is looked at, more where no proof says that it is real at all


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
    r"""A real function sigma(x), square-integrable under N(0, 1), or a family of them.

    Args:
        name: what the user called it; equality and hashing ignore it.
        expr: its SymPy expression in `theory.symbols.x`; other symbols are the parameters of a family.
        domain: where the parameters lie; by default all that their assumptions allow.
        conditions: what is positive where `expr` holds, the chamber of a family; nothing where one formula holds in
            the whole domain.
        typed: the family's expression before its switches were resolved in this chamber.
        point: a point of the chamber.

    Raises:
        NotRealError: complex or undefined somewhere on the real line; of a family, at the points looked at.
        NotIntegrableError: E sigma(Z)^2 is infinite.

    >>> relu = activation("relu")
    >>> relu.kinks, relu.parity, relu.derivative
    ((0,), None, Piecewise((0, x < 0), (1, True)))
    """

    shows = "parity, kinks, is_continuous, has_closed_class, max_variance"

    name: str = field(compare=False)
    expr: Expr
    domain: tuple[Parameter, ...] = ()
    conditions: tuple[Expr, ...] = ()
    typed: Expr | None = field(default=None, compare=False)
    point: tuple[tuple[Symbol, Expr], ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        check_nodes(self.expr, self.name)
        if self.undefined and self.expr.has(*SWITCHES):
            raise InputError(
                f"{self.name}: a switch beside {self.undefined[0]}, which has no formula; accepted: smooth "
                "expressions, without max, min, abs, sign and step."
            )
        if self.is_family:
            self._look_at_members()
        elif not self.undefined:
            self._check()

    def _look_at_members(self) -> None:
        """Check the family at a few points of its chamber."""
        set_once = partial(object.__setattr__, self)
        own = domain_of(self.unresolved, self.domain)
        set_once("domain", (*own, *(p for p in self.domain if p not in own)))  # others are of a label
        if not self.point:
            set_once("point", tuple(shared_point([self.expr], self.domain).items()))
        doubted = points(self.domain, 0 if self._is_proved(dict(self.point)) else DOUBTED)
        for place in (*self.examples, *(p for p in doubted if holds(self.conditions, p))):
            member = self.unresolved.xreplace({s: place[s] for s in self.parameters})
            if any(is_beyond_a_double(power) for power in member.atoms(sp.exp)):  # which takes long to write
                continue
            try:
                Activation(self.name, member)
            except (NotRealError, NotIntegrableError) as error:
                values = ", ".join(f"{s} = {float(place[s]):.4g}" for s in self.parameters)
                raise type(error)(f"{error} (looked at for {values})") from error

    @property
    def parameters(self) -> tuple[Symbol, ...]:
        """The parameters of a family, by name; none of a single function."""
        return parameters_of(self.unresolved)

    @property
    def undefined(self) -> tuple[str, ...]:
        """The names of functions without a formula in it, of which it is assumed to be as smooth as is needed."""
        return undefined_in(self.expr)

    @property
    def is_family(self) -> bool:
        """Whether the function has parameters."""
        return is_family(self.unresolved)

    @property
    def unresolved(self) -> Expr:
        """The expression before its switches were resolved in a chamber."""
        return self.expr if self.typed is None else self.typed

    @property
    def examples(self) -> tuple[dict[Symbol, Expr], ...]:
        """Generic points of the chamber, its own first; one empty point of a single function."""
        if not self.is_family:
            return ({},)
        own = {s: v for s, v in self.point if s in self.parameters}
        near = (p for p in points(self.domain, MEMBERS) if holds(self.conditions, p) and self._is_proved(p) is not None)
        return tuple({s: p[s] for s in self.parameters} for p in ({**next(near, {}), **own}, *near))

    def _is_proved(self, place: Point) -> bool | None:
        """Whether the family is proved to be defined at a point; None where the contrary is."""
        result = needed(self.unresolved, place)
        return None if result is None else result.is_all

    def at(self, values: Mapping[str, float | Expr | str]) -> Activation:
        """Return the member of a family with these values; those of other parameters are left out of account.

        Its name has the values in the place of the parameters, so that it is what typing them would have given.

        >>> activation("erf(beta*x)", {"beta": "> 0"}).at({"beta": 0.7})
        <Activation erf(0.7*x): erf(7*x/10)>
        """
        given = exact_values((p for p in self.domain if p.symbol in self.parameters), values)
        if not given:
            return self
        name, texts = self.name, {symbol.name: _as_typed(values[symbol.name]) for symbol in given}
        name = re.sub(r"[A-Za-z]\w*", lambda match: texts.get(match[0], match[0]), name)
        rest = tuple(p for p in self.domain if p.symbol not in given)
        return member(name, with_numbers(self.unresolved, given), rest)

    def within(self, place: Point) -> Activation:
        """Return the family in the chamber of a point; raises `OpenSignError` on a wall between two chambers."""
        if not self.is_family or holds(self.conditions, place):
            return self
        return member(self.name, self.unresolved, self.domain, place)

    def chambers(self, count: int = 200) -> tuple[Activation, ...]:
        """Return the family in each chamber of its domain that has one of `count` generic points; this one first.

        >>> both = activation("max(x - b, 0) + max(x - c, 0)", ["b", "c"]).chambers()
        >>> [f.conditions for f in both]
        [(-b + c,), (b - c,)]
        """
        known: list[Activation] = [self]
        is_proved = self._is_proved(dict(self.point))
        for place in points(self.domain, count) if self.conditions else ():
            if not any(holds(f.conditions, place) for f in known) and self._is_proved(place) in (True, is_proved):
                with suppress(NotRealError, NotIntegrableError, ParameterError):
                    known.append(self.within(place))
        return tuple(known)

    def _check(self) -> None:
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
        if self.undefined:
            return sp.oo
        if self.is_family:
            fastest = sp.Max(0, *self._gaussian_rates)
            return sp.Piecewise((1 / (4 * fastest), fastest > 0), (sp.oo, True))
        rate = max(_gaussian_rate(self.pieces, side) for side in (-1, 1))
        if rate == mpmath.inf:
            return sp.S.Zero
        exact_rate = next((c for c in self._gaussian_rates if c.is_positive and abs(c - rate) < SAME_RATE * c), None)
        if exact_rate is not None:
            return 1 / (4 * exact_rate)
        return sp.oo if rate < 1e-3 else 1 / (4 * sp.nsimplify(float(rate), rational=True, tolerance=1e-3))

    @property
    def _gaussian_rates(self) -> tuple[Expr, ...]:
        """The rates c of the parts that are seen to go like exp(c x^2)."""
        return tuple(rate for n, rate in growth(self.expr) if n == 2)

    @property
    def source(self) -> str | Expr:
        """What was typed if that has decimals, with the texts of names that `register` added; else the expression."""
        text = " ".join((self.name, *registered_in([self.name]).values()))
        return text if DECIMAL.search(text) and self._is_typed else self.unresolved

    @cached_property
    def _is_typed(self) -> bool:
        """Whether the name is a text of the language that says what the function is."""
        try:
            return _from_text(self.name, self.domain, self.undefined).unresolved == self.unresolved
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
        if self.is_family:
            return member(self.name, self._with(given), self.domain, dict(self.point))
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
            names[name] = parse(replaced, names=ChainMap(meanings, names), parameters=[p.symbol for p in self.domain])
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


def activation(
    value: str | Expr | Activation, parameters: Declarations = None, functions: Functions = None
) -> Activation:
    """Return an `Activation` from a registry name, an expression as text, a SymPy expression, or itself.

    Args:
        value: the function. Symbols of a SymPy expression other than x are the parameters of a family, a symbol
            without assumptions a real one.
        parameters: declarations (`theory.language.parameters.declared`) of the parameters that a text may use.
        functions: names of functions without a formula that a text may use; undefined functions of SymPy declare
            themselves.

    >>> activation("max(x, 0)") == activation("relu")
    True
    >>> activation("x*sigma(x)", functions=["sigma"]).derivative
    x*sigma'(x) + sigma(x)
    >>> leaky = activation("max(x, 0) + a*min(x, 0)", {"a": "real"})
    >>> leaky.parameters, leaky.kinks
    ((a,), (0,))
    >>> activation("exp(x**2)")
    Traceback (most recent call last):
    theory.errors.NotIntegrableError: exp(x**2): its square grows too fast ...
    """
    if isinstance(value, Activation):
        return value
    if isinstance(value, str):
        text = value.strip()
        return _from_text(text, declared(parameters), declared_functions(functions, REGISTRY))
    if isinstance(value, Expr | UndefinedFunction):
        named = with_undefined(value, partial(check_function, taken=REGISTRY))
        expr, domain = real_symbols(named, declared(parameters))
        return member(str(named), expr, domain)
    raise InputError(
        f"{value!r} is not an activation; accepted are a name ({', '.join(list(REGISTRY)[:9])}, he1...he20), an "
        "expression in x as text, or a SymPy expression in x."
    )


@lru_cache(maxsize=256)
def _from_text(text: str, domain: tuple[Parameter, ...] = (), functions: tuple[str, ...] = ()) -> Activation:
    taken = [p.name for p in domain if p.name in REGISTRY or p.name in functions]
    if taken:
        raise ParameterError(f"parameter {taken[0]!r} given: it is the name of a function; accepted: another name.")
    expr = parse(text, names=REGISTRY, parameters=[p.symbol for p in domain], functions=functions)
    return member("linear" if text == "x" else text, expr, domain)


def member(name: str, expr: Expr, domain: tuple[Parameter, ...], place: Point | None = None) -> Activation:
    """Return a function, or the family in the chamber of a point; without one, of the first generic point.

    >>> member("ramp", sp.Max(x - Symbol("b", real=True), 0), ()).kinks
    (b,)
    """
    if not is_family(expr):
        return Activation(name, expr)
    check_nodes(expr, name)
    domain = domain_of(expr, domain)
    symbols = {p.symbol for p in domain}
    given = shared_point([expr], domain) if place is None else {s: v for s, v in place.items() if s in symbols}
    there = chamber(expr, domain, given)
    return Activation(name, there.expr, domain, there.conditions, expr, there.point)


def _as_typed(value: float | Expr | str) -> str:
    """Return a value as text that the language reads, in brackets where it would bind otherwise."""
    text = value.strip() if isinstance(value, str) else sp.sstr(value) if isinstance(value, Expr) else repr(value)
    return text if re.fullmatch(r"[0-9.]+", text) else f"({text})"


def exact_value(name: str, value: float | Expr | str) -> Expr:
    """Return the value of a parameter exactly: a float as the decimal that it prints, text as decimal or fraction."""
    text = value.strip() if isinstance(value, str) else value if isinstance(value, Expr) else repr(value)
    try:
        number = exact(text, name)
    except ParameterError:
        number = sp.nan
    if isinstance(text, str) and number is sp.nan and re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)[eE][+-]?\d{1,3}", text):
        number = Rational(text)
    if not (number.is_number and number.is_real and number.is_finite and abs(number) < LARGEST):
        raise ParameterError(f"{name} = {value!r} given; accepted: a finite number, such as 0.7 or 1/3.")
    return sp.nsimplify(number, rational=True) if number.has(sp.Float) else number


def exact_values(domain: Iterable[Parameter], values: Mapping[str, float | Expr | str]) -> dict[Symbol, Expr]:
    """Return the parameters of a domain that have values, with these; raises `ParameterError` for one outside of it.

    >>> exact_values(declared(["a", "b > 0"]), {"b": 0.25, "c": 1})
    {b: 1/4}
    """
    given: dict[Symbol, Expr] = {}
    for parameter in domain:
        if parameter.name in values:
            given[parameter.symbol] = exact_value(parameter.name, values[parameter.name])
            parameter.check(given[parameter.symbol])
    return given


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


def real_symbols(expr: Expr, domain: tuple[Parameter, ...]) -> tuple[Expr, tuple[Parameter, ...]]:
    """Accept a SymPy expression written with a plain Symbol('x'), and parameters that are not said to be real."""
    known = {p.name: p.symbol for p in domain} | {"x": x}
    free = [s for s in expr.free_symbols if isinstance(s, Symbol)]
    for symbol in free:
        if symbol.name not in ("x", "y", "Delta"):
            check_real(symbol)
    real = {s: known.get(s.name) or (s if s.is_extended_real else Symbol(s.name, real=True)) for s in free}
    expr = expr.xreplace({s: new for s, new in real.items() if new != s})
    return expr, domain_of(expr, domain)


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
