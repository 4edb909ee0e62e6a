r"""Text to SymPy, by an allow-list over Python's syntax tree; the text itself is never evaluated.

    expr  :=  number | x | pi | e | name | (expr) | +expr | -expr
           |  expr + expr | expr - expr | expr * expr | expr / expr | expr ** expr | function(expr, ...)

Python only *parses* the text; `_Builder` walks the tree and builds every SymPy node itself. A short
text can stand for an enormous object (`9**9**9`), so each node carries a bound on what it may become,

    size    nodes of the expression    a + b: sum    a * b: sum    a**n: sum            s(a): |s| + #x(s) |a|
    degree  functions transparent      a + b: max    a * b: sum    a**n: |n| deg(a)     s(a): deg(s) deg(a)
    bits    |log2| of its numbers      a + b: sum    a * b: sum    a**n: |n| bits(a)    exp(c): 1.45 |c|

which is compared with the limits *before* the node is built. Numbers are exact: 0.1 is 1/10.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache
from math import ceil
from types import MappingProxyType
from typing import Any, NoReturn, cast

import sympy as sp
from sympy import Expr, Integer, Rational, S, Symbol

from theory.calculus.undefined import Undefined
from theory.errors import ActivationSyntaxError, InputError, NotRealError, UnknownNameError
from theory.symbols import FREE, TAKEN, x, y

__all__ = ["KNOWN_FUNCTIONS", "RESERVED", "parse", "parse_label"]

MAX_LENGTH = 1000  # characters of the text
MAX_NODES, MAX_DEPTH = 400, 40  # of Python's syntax tree, where a sum of n terms nests n deep
MAX_DIGITS = 40  # of a literal; its decimal exponent lies in [-40, 40]
MAX_EXPONENT = 64  # |n| in expr**n, and k in He(k, expr)
MAX_ARGUMENTS = 16  # of a max or min with those inside it, which SymPy compares pairwise
MAX_SIZE, MAX_DEGREE, MAX_BITS = 2000, 64, 4096  # of the expression: the three bounds above

_UNARY: Mapping[str, tuple[str, Callable[[Expr], Expr]]] = {
    "exp": ("exponential", sp.exp),
    "log": ("natural logarithm", sp.log),
    "sqrt": ("square root", sp.sqrt),
    "sin": ("sine", sp.sin),
    "cos": ("cosine", sp.cos),
    "tan": ("tangent", sp.tan),
    "asin": ("inverse sine", sp.asin),
    "acos": ("inverse cosine", sp.acos),
    "atan": ("inverse tangent", sp.atan),
    "sinh": ("hyperbolic sine", sp.sinh),
    "cosh": ("hyperbolic cosine", sp.cosh),
    "tanh": ("hyperbolic tangent", sp.tanh),
    "asinh": ("inverse hyperbolic sine", sp.asinh),
    "erf": ("error function, 2/sqrt(pi) times the integral of exp(-t**2) from 0 to x", sp.erf),
    "erfc": ("1 - erf(x)", sp.erfc),
    "Phi": ("standard normal distribution function", lambda a: (1 + sp.erf(a / sp.sqrt(2))) / 2),
    "softplus": ("log(1 + exp(x))", lambda a: sp.log(1 + sp.exp(a))),
    "abs": ("absolute value", sp.Abs),
    "sign": ("sign, 0 at 0", sp.sign),
    "step": ("1 for x > 0, 0 for x < 0, 1/2 at 0", sp.Heaviside),
    "heaviside": ("the same as step", sp.Heaviside),
}
_EXTREMA: Mapping[str, Callable[..., Expr]] = {"max": sp.Max, "min": sp.Min}
_GROWING = {"exp": 1, "sinh": 1, "cosh": 1, "softplus": 1, "erfc": 2}  # |log f(c)| = O(|c|**power)
_CONSTANTS: Mapping[str, Expr] = {"pi": S.Pi, "e": S.Exp1}
_PRINTED = {"Abs": "abs", "Max": "max", "Min": "min", "Heaviside": "step", "E": "e"}  # as SymPy prints them
_HABITS = {"ln": "log", "arctan": "atan", "arcsin": "asin", "arccos": "acos", "sgn": "sign"}

KNOWN_FUNCTIONS: Mapping[str, str] = MappingProxyType(
    {name: meaning for name, (meaning, _) in _UNARY.items()}
    | {
        "max": "largest of two or more arguments",
        "min": "smallest of two or more arguments",
        "He": f"He(k, x), probabilists' Hermite polynomial, 0 <= k <= {MAX_EXPONENT} a literal integer",
    }
)

RESERVED = frozenset({*KNOWN_FUNCTIONS, *_CONSTANTS, *_PRINTED})
"""Words that the language has a meaning for."""

_OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_CONSTRUCTS: Mapping[type[ast.AST], tuple[str, str]] = {  # what was found, how to fix it
    ast.Attribute: ("an attribute access (a dot after a value)", "Functions are written bare, as in exp(x)."),
    ast.Subscript: ("a subscript", "Only round brackets group."),
    ast.List: ("a list", "Only round brackets group."),
    ast.Tuple: ("a comma outside a call", "The decimal mark is a point, as in 0.5."),
    ast.Lambda: ("a lambda", "Write its body alone, as an expression."),
    ast.Compare: ("a comparison", "step(x - 1) is 1 for x > 1 and 0 below."),
    ast.IfExp: ("a conditional", "step(x)*x is x for x > 0 and 0 below."),
    ast.BoolOp: ("a logical operator", "Conditions multiply, as in step(x)*step(1 - x)."),
    ast.NamedExpr: ("an assignment", "Write the value in its place."),
    ast.Starred: ("a starred argument", "Write out the arguments."),
    ast.keyword: ("a keyword argument", "Arguments are given by position."),
    ast.JoinedStr: ("a string", "Write the expression without quotes."),
    ast.BitXor: ("the operator ^", "A power is written **, as in x**2."),
    ast.FloorDiv: ("the operator //", "A quotient is written /."),
    ast.Mod: ("the operator %", "A percentage is written as 0.01."),
    ast.MatMult: ("the operator @", "A product is written *."),
}


def parse(
    text: str,
    *,
    variable: Symbol = x,
    names: Mapping[str, Expr] | None = None,
    parameters: Iterable[Symbol] = (),
    functions: Iterable[str] = (),
) -> Expr:
    """Return the SymPy expression that `text` stands for, without ever evaluating the text.

    Args:
        text: an expression in the language of this module; `KNOWN_FUNCTIONS` lists its functions.
        variable: the one variable, written by its name.
        names: further names, each an expression in `variable`; `name` stands for it, `name(z)` for it at z.
            They win over functions and constants of the same name.
        parameters: further symbols, each written by its name: what is parsed is then a family of functions.
        functions: names of functions of one argument without a formula.

    Raises:
        UnknownNameError: a name that is neither the variable, nor a constant, a function or one of `names`.
        ActivationSyntaxError: the text is not of the language, or beyond its bounds.
        NotRealError: a part of it is infinite, undefined or not real, such as 1/0, log(0), sqrt(-1).

    >>> parse("x*Phi(x) + 0.1")
    x*(erf(sqrt(2)*x/2)/2 + 1/2) + 1/10
    >>> parse("He(3, 2*x) - bump(x - 1)", names={"bump": sp.exp(-(x**2))})
    8*x**3 - 6*x - exp(-(x - 1)**2)
    >>> parse("erf(beta*x)", parameters=[Symbol("beta", positive=True)])
    erf(beta*x)
    >>> parse("x*sigma(2*x)", functions=["sigma"])
    x*sigma(2*x)
    >>> parse("x^2")
    Traceback (most recent call last):
    theory.errors.ActivationSyntaxError: 'x^2': the operator ^ [BitXor] at column 1 is not accepted. ...
    """
    if len(text) > MAX_LENGTH:
        raise ActivationSyntaxError(f"{len(text)} characters; accepted are at most {MAX_LENGTH}. Shorten it.")
    builder = _Builder(" ".join(text.split()), variable, names or {}, {p.name: p for p in parameters}, tuple(functions))
    try:
        return builder.build(builder.tree()).expr
    except InputError:
        raise
    except (ArithmeticError, MemoryError, RecursionError, TypeError, ValueError) as error:  # from SymPy
        builder.refuse(None, f"what overwhelms SymPy ({type(error).__name__})", "Simplify it.")


def parse_label(text: str, parameters: Iterable[Symbol] = ()) -> Expr:
    """Return the label transform T(y) that `text` stands for; the language of `parse`, in the variable y.

    >>> parse_label("y**2 + abs(y)")
    y**2 + Abs(y)
    """
    return parse(text, variable=y, parameters=parameters)


@dataclass(frozen=True)
class _Bounded:
    """An expression with bounds on its size and on the bits of its numbers; its degree is read off."""

    expr: Expr
    size: int
    bits: int

    @property
    def degree(self) -> int:
        return _degree(self.expr)

    @property
    def is_constant(self) -> bool:
        return not self.expr.free_symbols

    @property
    def magnitude(self) -> int:
        """|c| of a constant, rounded up, at most 10^9; cheap, since the bits are bounded."""
        value = abs(self.expr if self.expr.is_Rational else sp.N(self.expr))
        return ceil(value) if value < 10**9 else 10**9


def _number(value: Integer | Rational) -> _Bounded:
    return _Bounded(value, 1, int(value.p).bit_length() + int(value.q).bit_length() - 1)


@lru_cache(maxsize=256)
def _measure(expr: Expr) -> _Bounded:
    """Bound an expression that the caller brought."""
    nodes = list(sp.preorder_traversal(expr))
    bits = max((_number(node).bits for node in nodes if isinstance(node, Rational)), default=2)
    return _Bounded(expr, len(nodes), bits)


@lru_cache(maxsize=4096)
def _degree(expr: sp.Basic) -> int:
    degrees = [_degree(part) for part in expr.args]
    if isinstance(expr, sp.Pow) and isinstance(expr.exp, Rational):
        return ceil(abs(expr.exp)) * degrees[0]
    return sum(degrees) if isinstance(expr, sp.Mul) else max(degrees, default=int(expr in (x, y)))


@lru_cache(maxsize=MAX_EXPONENT + 1)
def _hermite(k: int) -> tuple[int, ...]:
    """Return the coefficients of He_k from x^k down to 1, by He_{k+1} = x He_k - k He_{k-1}.

    >>> _hermite(4)
    (1, 0, -6, 0, 3)
    """
    before, ratio = (), (1,)
    for j in range(k):
        pairs = zip((*ratio, 0), (0, 0, *before), strict=True)
        before, ratio = ratio, tuple(a - j * b for a, b in pairs)
    return ratio


@dataclass(frozen=True)
class _Builder:
    text: str
    variable: Symbol
    names: Mapping[str, Expr]
    parameters: Mapping[str, Symbol]
    functions: tuple[str, ...] = ()

    def tree(self) -> ast.expr:
        """Parse with Python's grammar, and bound the tree level by level, without recursion."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what Python deprecates, as "1if x else 2", is refused below
                body = ast.parse(self.text, mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            column = f" at column {error.offset}" if isinstance(error, SyntaxError) and error.offset else ""
            remedy = "Write products with *, close all brackets."
            if re.search(r"\blambda\b", self.text):  # a word of Python's own
                remedy = f"lambda is a letter of the theory; free are {FREE}."
            self.refuse(None, f"what is no expression{column}", remedy)
        if "#" in self.text:
            self.refuse(None, f"a comment at column {self.text.index('#') + 1}", "Leave it out.")
        level, nodes, depth = [body], 0, 0
        while level:
            nodes, depth = nodes + len(level), depth + 1
            if nodes > MAX_NODES or depth > MAX_DEPTH:
                self.refuse(
                    None,
                    f"more than {MAX_NODES} parts, or nested deeper than {MAX_DEPTH}",
                    "Shorten it; brackets around groups of terms make long sums shallow.",
                )
            parts = (part for node in level for part in ast.iter_child_nodes(node))
            level = [part for part in parts if isinstance(part, ast.expr)]
        return body

    def build(self, node: ast.expr) -> _Bounded:
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                built = self.number(node, value)
            case ast.Name(id=name):
                built = self.name(node, name)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                built = self.build(operand)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                a = self.build(operand)
                built = self.make(node, lambda: -a.expr, a.size + 1, a.degree, a.bits)
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() as op, right=right):
                built = self.arithmetic(node, op, self.build(left), self.build(right))
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                built = self.power(node, self.build(left), self.build(right))
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                built = self.call(node, name, args)
            case _:
                self.refuse_kind(node)
        return built

    def number(self, node: ast.Constant, value: float) -> _Bounded:
        if isinstance(value, int):
            if value < 10**MAX_DIGITS:
                return _number(Integer(value))
        else:
            source = ast.get_source_segment(self.text, node) or ""
            mantissa, _, exponent = source.lower().partition("e")
            if len(mantissa) <= MAX_DIGITS and abs(int(exponent or 0)) <= MAX_DIGITS:
                return _number(cast(Rational, Rational(*Decimal(source).as_integer_ratio())))
        self.refuse(node, "too long a number", f"Use {MAX_DIGITS} digits, e-{MAX_DIGITS} to e{MAX_DIGITS}.")

    def name(self, node: ast.Name, name: str) -> _Bounded:
        if name == self.variable.name:
            return _Bounded(self.variable, 1, 1)
        if name in self.parameters:
            return _Bounded(self.parameters[name], 1, 1)
        if name in self.functions:
            self.refuse(node, f"{name} without an argument", f"Write {name}({self.variable}).")
        if name in self.names:
            return _measure(self.names[name])
        name = _PRINTED.get(name, name)
        if name in _CONSTANTS:
            return _Bounded(_CONSTANTS[name], 1, 2)
        if name in _UNARY:
            return self.apply(node, name, _Bounded(self.variable, 1, 1))
        if name in KNOWN_FUNCTIONS:
            self.refuse(node, f"{name} without arguments", f"Write {name}(...): {KNOWN_FUNCTIONS[name]}.")
        self.unknown(node, name)

    def arithmetic(self, node: ast.expr, op: ast.operator, a: _Bounded, b: _Bounded) -> _Bounded:
        if isinstance(op, ast.Div) and b.expr.is_zero:
            raise NotRealError(f"{self.where(node)}: division by zero. Give a denominator without zeros.")
        degree = max(a.degree, b.degree) if isinstance(op, ast.Add | ast.Sub) else a.degree + b.degree
        combine = _OPERATORS[type(op)]
        return self.make(node, lambda: combine(a.expr, b.expr), a.size + b.size + 1, degree, a.bits + b.bits)

    def power(self, node: ast.expr, base: _Bounded, exponent: _Bounded) -> _Bounded:
        size = base.size + exponent.size + 1
        if not exponent.is_constant and not exponent.expr.has(self.variable):
            return self.parametric_power(node, base, exponent, size)
        if not exponent.is_constant:
            if not (base.is_constant and base.expr.is_positive):
                self.refuse(
                    node,
                    f"{self.variable} in the exponent of a base that is not a positive number",
                    "Write exp(b*log(a)) for a**b, with a > 0.",
                )
            bits = base.bits + exponent.bits
            return self.make(node, lambda: sp.exp(exponent.expr * sp.log(base.expr)), size + 2, exponent.degree, bits)
        n = exponent.magnitude
        if n > MAX_EXPONENT:
            self.refuse(node, "too large an exponent", f"Write one from -{MAX_EXPONENT} to {MAX_EXPONENT}.")
        bits = n * base.bits + exponent.bits
        return self.make(node, lambda: sp.Pow(base.expr, exponent.expr), size, n * base.degree, bits)

    def parametric_power(self, node: ast.expr, base: _Bounded, exponent: _Bounded, size: int) -> _Bounded:
        """Return base**p for an exponent of parameters, of a base that is nowhere negative."""
        if not (base.expr.is_nonnegative or exponent.expr.is_integer):
            self.refuse(node, "a parameter in the exponent of what may be negative", "Write abs(...)**p.")
        return self.make(node, lambda: sp.Pow(base.expr, exponent.expr), size, base.degree, base.bits + exponent.bits)

    def call(self, node: ast.Call, name: str, args: list[ast.expr]) -> _Bounded:
        for arg in args:
            if isinstance(arg, ast.Starred):
                self.refuse_kind(arg)
        plain = _PRINTED.get(name, name)
        if name in self.functions or name in self.names or plain in _UNARY:
            if len(args) != 1:
                self.refuse(node, f"{name} of {len(args)} arguments", f"It takes one, as in {name}({self.variable}).")
            a = self.build(args[0])
            if name in self.functions:
                return self.make(node, lambda: Undefined(name, 0, a.expr), a.size + 1, a.degree, a.bits)
            return self.substitute(node, name, a) if name in self.names else self.apply(node, plain, a)
        if plain in _EXTREMA:
            return self.extremum(node, plain, args)
        if plain == "He":
            return self.hermite(node, args)
        if plain in (self.variable.name, *self.parameters, *_CONSTANTS):
            self.refuse(node, f"{name}(...), no function,", f"Write a product as {name}*(...).")
        self.unknown(node, name, called=True)

    def apply(self, node: ast.expr, name: str, a: _Bounded) -> _Bounded:
        bits = a.bits + (self.growth(a, _GROWING[name]) if name in _GROWING and a.is_constant else 0)
        return self.make(node, lambda: _UNARY[name][1](a.expr), a.size + 6, a.degree, bits)

    def substitute(self, node: ast.expr, name: str, a: _Bounded) -> _Bounded:
        named, grows = _measure(self.names[name]), (sp.exp, sp.sinh, sp.cosh, sp.erfc)
        bits = named.bits + max(named.degree, 1) * a.bits
        if a.is_constant and named.expr.has(*grows):
            bits += self.growth(a, 2 if named.degree > 1 or named.expr.has(sp.erfc) else 1)
        size = named.size + int(named.expr.count(self.variable)) * a.size

        def make() -> Expr:
            return cast(Expr, named.expr.xreplace({self.variable: a.expr}))

        return self.make(node, make, size, named.degree * a.degree, bits)

    @staticmethod
    def growth(a: _Bounded, power: int) -> int:
        return ceil(1.45 * a.magnitude**power) + 8

    def extremum(self, node: ast.expr, name: str, args: list[ast.expr]) -> _Bounded:
        if len(args) < 2:
            self.refuse(node, f"{name} of {len(args)} arguments", "It takes two or more.")
        parts = [self.build(arg) for arg in args]
        compared = sum(len(part.expr.args) if isinstance(part.expr, sp.Max | sp.Min) else 1 for part in parts)
        self.limit(node, "arguments of max and min", compared, MAX_ARGUMENTS)
        size, degree = 1 + sum(part.size for part in parts), max(part.degree for part in parts)

        def make() -> Expr:
            return _EXTREMA[name](*(part.expr for part in parts))

        return self.make(node, make, size, degree, sum(part.bits for part in parts))

    def hermite(self, node: ast.expr, args: list[ast.expr]) -> _Bounded:
        match args:
            case [ast.Constant(value=int(k)), argument] if not isinstance(k, bool) and k <= MAX_EXPONENT:
                a, coefficients = self.build(argument), _hermite(k)
            case _:
                self.refuse(node, "He without an order", f"Write He(k, x), k from 0 to {MAX_EXPONENT}.")

        def make() -> Expr:
            polynomial = None if a.is_constant else a.expr.as_poly(self.variable)
            if polynomial is None or not (polynomial.domain.is_ZZ or polynomial.domain.is_QQ):
                return sp.Add(*(c * a.expr ** (k - j) for j, c in enumerate(coefficients) if c))
            return sp.Poly(coefficients, self.variable).compose(polynomial).as_expr()

        size = max((k // 2 + 1) * (a.size + 4), 4 * k * a.degree)
        bits = max(map(abs, coefficients)).bit_length() + k * a.bits
        return self.make(node, make, size, k * a.degree, bits)

    def make(self, node: ast.expr, make: Callable[[], Expr], size: int, degree: int, bits: int) -> _Bounded:
        """Build a node within the limits; refuse one that is infinite, undefined or not real."""
        self.limit(node, "number of parts", size, MAX_SIZE)
        self.limit(node, "degree", degree, MAX_DEGREE)
        self.limit(node, "length of numbers in bits", bits, MAX_BITS)
        expr = make()
        self.limit(node, "degree", _degree(expr), MAX_DEGREE)  # exp(99*log(x)) becomes x**99
        if expr.has(S.NaN, S.ComplexInfinity, S.Infinity, S.NegativeInfinity):
            fault = "infinite or undefined"
        elif expr.has(S.ImaginaryUnit) or any(
            f.is_number and f.is_extended_real is False for f in sp.Mul.make_args(expr)
        ):
            fault = "not real"
        else:
            return _Bounded(expr, size, bits)
        raise NotRealError(
            f"{self.where(node)}: this part is {fault}; accepted is what has a finite real value. "
            "Check divisions, roots and logarithms."
        )

    def limit(self, node: ast.AST, what: str, value: int, most: int) -> None:
        if value > most:
            self.refuse(node, f"too large an expression ({what} {value})", f"The limit is {most}.")

    def where(self, node: ast.AST | None) -> str:
        """Quote the text, and name the column of `node`; `ast` counts columns in bytes."""
        short = repr(self.text if len(self.text) <= 80 else self.text[:77] + "...")
        if node is None:
            return short
        return f"{short}, column {len(self.text.encode()[: getattr(node, 'col_offset', 0)].decode()) + 1}"

    def refuse(self, node: ast.AST | None, culprit_words: str, remedy: str) -> NoReturn:
        names = ", ".join(dict.fromkeys([*KNOWN_FUNCTIONS, *list(self.names)[:10]]))
        accepted = f"Accepted are numbers, {self.variable}, pi, e, + - * / **, brackets and {names}."
        text, _, column = self.where(node).rpartition(", column ") if node else (self.where(None), "", "")
        culprit_words += f" at column {column}" if column else ""
        raise ActivationSyntaxError(f"{text}: {culprit_words} is not accepted. {remedy} {accepted}") from None

    def refuse_kind(self, node: ast.expr) -> NoReturn:
        culprit: ast.AST = node
        place: ast.AST = node
        match node:
            case ast.BinOp(op=op) | ast.UnaryOp(op=op):
                culprit = op
            case ast.Call(func=ast.Name(), keywords=[keyword, *_]):
                culprit = place = keyword
            case ast.Call(func=ast.Attribute() as func):
                culprit = func
            case ast.Call():
                self.refuse(node, "a bracket right after a value", "Write products with *, as in 2*(x + 1).")
            case ast.Constant(value=complex()):
                self.refuse(node, "a complex number", "Activations are real functions.")
            case ast.Constant(value=str() | bytes()):
                self.refuse(node, *_CONSTRUCTS[ast.JoinedStr])
        construct, remedy = _CONSTRUCTS.get(type(culprit), ("a construct of Python", "Write one plain formula."))
        kind = type(culprit if isinstance(culprit, ast.operator | ast.unaryop) else node).__name__
        self.refuse(place, f"{construct} [{kind}]", remedy)

    def unknown(self, node: ast.expr, name: str, *, called: bool = False) -> NoReturn:
        declared = (*self.parameters, *self.functions)
        known = [self.variable.name, *declared, *self.names, *KNOWN_FUNCTIONS, *_CONSTANTS]
        near = [_HABITS[name]] if name in _HABITS else get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(dict.fromkeys(near))}? " if near else ""
        own = name[:40] if name not in TAKEN else "beta"
        hint += (
            f"accepted is the one variable {self.variable}, and parameters that are declared, as --param {own} or in "
            f"Python parameters={{{own!r}: 'real'}}"
        )
        hint += f" ({name} is a letter of the theory; free are {FREE})" if name in TAKEN else ""
        hint += (
            f"; where nothing is computed, functions without a formula, as --function {name[:40]}. " if called else ". "
        )
        listed = ", ".join(dict.fromkeys(known))
        raise UnknownNameError(f"{self.where(node)}: unknown name {name[:40]!r}; {hint}Known are {listed}.")
