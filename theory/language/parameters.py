r"""Parameters of a family of functions: their names, and the open domain on which the family is considered.

A declaration is text, read by an allow-list as the functions themselves are, and never evaluated:

    declaration  :=  name  |  name relation number  |  number relation name  |  number relation name relation number
    relation     :=  <  |  <=  |  >  |  >=  |  !=
    number       :=  decimal  |  decimal / decimal  |  -number

`beta` alone is a real number. What SymPy can know of a domain, a sign, becomes an assumption of the symbol; both ends
are kept beside it. Letters that the theory prints keep their one meaning and are refused.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

import sympy as sp
from sympy import Expr, Rational, S, Symbol

from theory.errors import ParameterError
from theory.language.parser import RESERVED
from theory.symbols import FREE, TAKEN, Delta, x, y

__all__ = ["Declarations", "Parameter", "check_real", "declared", "domain_of", "parameters_of", "points"]

MOST = 12
LONGEST = 80
GENERIC = (Rational(169, 408), Rational(610, 987), Rational(571, 780), Rational(305, 1292))
"""Irrational-looking steps of a low-discrepancy sequence, one for each parameter in turn."""
_RELATIONS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.NotEq: "!="}


@dataclass(frozen=True)
class Parameter:
    """A real parameter and the ends of its domain.

    Attributes:
        symbol: as expressions hold it; its assumptions are the sign that the domain gives.
        low: the lower end, -oo where there is none.
        high: the upper end.
        closed: which of the two ends belong to the domain.

    >>> beta = declared({"beta": "> 0"})[0]
    >>> beta.symbol.is_positive, beta.contains(S(0)), str(beta)
    (True, False, 'beta > 0')
    """

    symbol: Symbol
    low: Expr = S.NegativeInfinity
    high: Expr = S.Infinity
    closed: tuple[bool, bool] = (False, False)
    nonzero: bool = False

    @property
    def name(self) -> str:
        """The name."""
        return self.symbol.name

    def contains(self, value: Expr) -> bool:
        """Whether a number lies in the domain."""
        above = value > self.low or (self.closed[0] and value == self.low)
        below = value < self.high or (self.closed[1] and value == self.high)
        return bool(above and below and value.is_finite and not (self.nonzero and value == 0))

    def inside(self, share: Rational) -> Rational:
        """Return a number inside, by a share from 0 to 1: around 1 where the domain has no end of its own."""
        centred = 2 * share - 1
        if self.low == -sp.oo and self.high == sp.oo:
            return centred * 3 / (1 - centred**2)
        if self.high == sp.oo:
            return self.low + share / (1 - share)
        if self.low == -sp.oo:
            return self.high - (1 - share) / share
        return self.low + share * (self.high - self.low)

    def check(self, value: float | Expr) -> None:
        """Raise `ParameterError` for a value outside the domain."""
        if not self.contains(sp.sympify(value)):
            raise ParameterError(f"{self.name} = {value!r} given; accepted: a finite number with {self}.")

    def __str__(self) -> str:
        low, high = ("<=" if closed else "<" for closed in self.closed)
        if self.low == -sp.oo and self.high == sp.oo:
            return f"{self.name} != 0" if self.nonzero else f"{self.name} real"
        if self.high == sp.oo:
            return f"{self.name} {low.replace('<', '>')} {self.low}"
        if self.low == -sp.oo:
            return f"{self.name} {high} {self.high}"
        return f"{self.low} {low} {self.name} {high} {self.high}"


Declarations = Mapping[str, str] | Iterable["str | Parameter | Symbol"] | str | None
"""What `declared` reads."""


def declared(given: Declarations) -> tuple[Parameter, ...]:
    """Return the parameters that texts declare: `{"beta": "> 0"}`, `["beta > 0", "a"]`, or one text.

    Raises `ParameterError` for text that declares nothing, a name that is taken, or one declared twice.

    >>> [str(p) for p in declared(["a", "0 < b < 2", "beta >= 0"])]
    ['a real', '0 < b < 2', 'beta >= 0']
    >>> declared("x > 0")
    Traceback (most recent call last):
    theory.errors.ParameterError: parameter 'x' given: x is a letter of the theory; accepted: ...
    """
    if given is None:
        return ()
    if isinstance(given, str):
        given = [given]
    elif isinstance(given, Mapping):
        given = [_joined(name, domain) for name, domain in given.items()]
    parameters = [_one(item) for item in given]
    if len(parameters) > MOST:
        raise ParameterError(f"{len(parameters)} parameters given; accepted: at most {MOST}; give the others numbers.")
    twice = sorted({p.name for p in parameters if [other.name for other in parameters].count(p.name) > 1})
    if twice:
        raise ParameterError(f"{', '.join(twice)} declared twice; accepted: each parameter once.")
    return tuple(parameters)


def _joined(name: object, domain: object) -> str:
    """Return one declaration of a name and its domain: "> 0", "real", or a whole one such as "0 < b < 2"."""
    if not isinstance(name, str) or not isinstance(domain, str):
        raise ParameterError(
            f"parameters {{{name!r}: {domain!r}}} given; accepted: names with domains as text, such as "
            "{'beta': '> 0'} or {'a': 'real'}."
        )
    text = domain.strip()
    if text in ("", "real"):
        return name
    return text if re.search(rf"\b{re.escape(name)}\b", text) else f"{name} {text}"


def _one(item: str | Parameter | Symbol) -> Parameter:
    if isinstance(item, Parameter):
        return item
    if isinstance(item, Symbol):
        return _of_symbol(item)
    if not isinstance(item, str):
        raise _undeclared(repr(item))
    return _read(item)


def _read(text: str) -> Parameter:
    """Read one declaration."""
    if len(text) > LONGEST:
        raise _undeclared(f"{text[:LONGEST]!r}...")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        for word in filter(keyword.iskeyword, re.findall(r"\w+", text)):  # lambda, which Python reads as its own
            check_name(word)
        raise _undeclared(repr(text)) from None
    match tree:
        case ast.Name(id=name):
            return _named(name)
        case ast.Compare(left=left, ops=ops, comparators=right) if len(ops) <= 2:
            parts = [left, *right]
            names = [i for i, part in enumerate(parts) if isinstance(part, ast.Name)]
            relations = [_RELATIONS.get(type(op)) for op in ops]
            numbers = {i: _number(part, text) for i, part in enumerate(parts) if i not in names}
            if len(names) == 1 and None not in relations and (len(ops) == 1 or names == [1]):
                place = names[0]
                name = parts[place].id  # type: ignore[attr-defined]
                return _bounded(name, [(relations[min(i, place)], numbers[i], i < place) for i in numbers], text)
    raise _undeclared(repr(text))


def _number(node: ast.expr, text: str) -> Rational:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            source = ast.get_source_segment(text.strip(), node) or ""
            if len(source) <= 40 and re.fullmatch(r"[0-9_.]+([eE][+-]?[0-9_]+)?", source):  # no 0x10
                number = Decimal(source)
                if abs(number.adjusted()) <= 40:
                    return Rational(*number.as_integer_ratio())
        case ast.BinOp(left=left, op=ast.Div(), right=ast.Constant() as right):
            if (divisor := _number(right, text)) != 0:
                return _number(left, text) / divisor
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(operand, text)
    raise _undeclared(repr(text))


def _bounded(name: str, bounds: list[tuple[str | None, Rational, bool]], text: str) -> Parameter:
    """Return the parameter between bounds (relation, number, whether the number stands on the left)."""
    low, high, closed, nonzero = -sp.oo, sp.oo, [False, False], False
    for relation, number, left in bounds:
        if relation == "!=":
            if number != 0 or len(bounds) > 1:
                raise _undeclared(repr(text))
            nonzero = True
        elif (relation in ("<", "<=")) is left:
            low, closed[0] = number, relation in ("<=", ">=")
        else:
            high, closed[1] = number, relation in ("<=", ">=")
    if not low < high or (len(bounds) == 2 and -sp.oo in (low, -high)):
        raise ParameterError(f"{text!r} declares no interval; accepted: a lower end below the upper one, as 0 < b < 2.")
    return _named(name, low, high, (closed[0], closed[1]), nonzero)


def _named(
    name: str, low: Expr = -sp.oo, high: Expr = sp.oo, closed: tuple[bool, bool] = (False, False), nonzero: bool = False
) -> Parameter:
    check_name(name)
    return Parameter(Symbol(name, **_assumptions(low, high, closed, nonzero)), low, high, closed, nonzero)


def _assumptions(low: Expr, high: Expr, closed: tuple[bool, bool], nonzero: bool) -> dict[str, bool]:
    """Return what SymPy can know of an interval."""
    if low > 0 or (low == 0 and not closed[0]):
        return {"positive": True}
    if high < 0 or (high == 0 and not closed[1]):
        return {"negative": True}
    if low == 0:
        return {"nonnegative": True}
    if high == 0:
        return {"nonpositive": True}
    return {"real": True, "nonzero": True} if nonzero else {"real": True}


def check_name(name: str) -> None:
    """Raise `ParameterError` for a name that is none, or a letter that the theory prints, with an index or without."""
    if name in TAKEN or ("_" in name and name.partition("_")[0] in {*TAKEN, "z"}):
        raise ParameterError(f"parameter {name!r} given: {name} is a letter of the theory; accepted: {FREE}.")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,19}", name) or keyword.iskeyword(name) or name.endswith("_"):
        raise ParameterError(
            f"parameter {name[:40]!r} given; accepted: up to 20 ASCII letters, digits and underscores, the first a "
            f"letter: {FREE}."
        )
    if name in RESERVED:
        raise ParameterError(f"parameter {name!r} given: {name} is the name of a function; accepted: {FREE}.")


def _of_symbol(symbol: Symbol) -> Parameter:
    """Return the parameter that a SymPy symbol is, with the domain of its assumptions."""
    check_name(symbol.name)
    check_real(symbol)
    if symbol.is_extended_real is None:
        symbol = Symbol(symbol.name, real=True)
    low = S.Zero if symbol.is_nonnegative else -sp.oo
    high = S.Zero if symbol.is_nonpositive else sp.oo
    strict = symbol.is_nonzero is True
    closed = (low == 0 and not strict, high == 0 and not strict)
    return Parameter(symbol, low, high, closed, strict and low == -sp.oo and high == sp.oo)


def check_real(symbol: Symbol) -> None:
    """Raise `ParameterError` for a symbol that is not real, or of integers or other numbers that fill no interval."""
    if symbol.is_real is False:
        raise ParameterError(f"parameter {symbol.name} that is not real given; accepted: real symbols.")
    if symbol.is_rational is not None or symbol.is_algebraic is not None:
        raise ParameterError(
            f"parameter {symbol.name} given, a symbol whose assumptions allow no interval of real numbers, such as "
            f"integer=True; accepted: Symbol({symbol.name!r}, real=True), or positive or negative in place of real."
        )


def _undeclared(shown: str) -> ParameterError:
    return ParameterError(
        f"parameter {shown} given; accepted: a name, or a name and its domain, as in 'beta', 'beta > 0', "
        "'-1/3 < b < 2.5', 'a != 0'; ends are decimals or fractions."
    )


def parameters_of(*exprs: sp.Basic) -> tuple[Symbol, ...]:
    """Return the symbols in functions of x and y that are parameters, by name.

    >>> parameters_of(sp.erf(Symbol("beta", positive=True) * Symbol("x", real=True)))
    (beta,)
    """
    free = set().union(*(expr.free_symbols for expr in exprs)) - {x, y, Delta}
    return tuple(sorted((s for s in free if isinstance(s, Symbol)), key=lambda s: s.name))


def domain_of(expr: Expr, given: Iterable[Parameter]) -> tuple[Parameter, ...]:
    """Return the domains of an expression's parameters: those declared, and what the assumptions of others say."""
    known = {parameter.symbol: parameter for parameter in given}
    return tuple(known.get(symbol) or _of_symbol(symbol) for symbol in parameters_of(expr))


def points(domain: Iterable[Parameter], count: int) -> list[dict[Symbol, Rational]]:
    """Return `count` generic points of a domain, the same ones in every run, the middle first.

    >>> points(declared("0 < b < 2"), 2)
    [{b: 169/204}, {b: 169/102}]
    """
    places = []
    for n in range(1, count + 1):
        shares = (n * GENERIC[i % len(GENERIC)] * (1 + i // len(GENERIC)) % 1 for i, _ in enumerate(domain))
        places.append({p.symbol: p.inside(share) for p, share in zip(domain, shares, strict=True)})
    return places
