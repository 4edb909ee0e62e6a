r"""Text to SymPy by a whitelist over Python's syntax tree; user text is never evaluated as code.

The text is parsed by `ast`, and each node is rebuilt as a SymPy object by a table. Bounds are checked before a node
is built: length, nesting, number of nodes, digits, and a *weight* of every subexpression (its polynomial degree, or
the logarithm of its size if it is a number), so that 9**9**9 and ((x**64)**64)**64 are refused at once.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Mapping

import sympy as sp
from sympy import Expr, Integer, Rational, Symbol

from theory.errors import ActivationSyntaxError, NotRealError, UnknownNameError
from theory.symbols import x

__all__ = ["KNOWN_FUNCTIONS", "parse"]

MAX_LENGTH, MAX_DEPTH, MAX_NODES, MAX_DIGITS = 1000, 40, 400, 40
MAX_EXPONENT, MAX_DEGREE, MAX_HERMITE = 64, 128, 64

_UNARY: dict[str, Callable[[Expr], Expr]] = {
    "exp": sp.exp,
    "log": sp.log,
    "sqrt": sp.sqrt,
    "sin": sp.sin,
    "cos": sp.cos,
    "tan": sp.tan,
    "sinh": sp.sinh,
    "cosh": sp.cosh,
    "asin": sp.asin,
    "acos": sp.acos,
    "atan": sp.atan,
    "asinh": sp.asinh,
    "tanh": sp.tanh,
    "erf": sp.erf,
    "erfc": sp.erfc,
    "abs": sp.Abs,
    "sign": sp.sign,
    "step": sp.Heaviside,
    "heaviside": sp.Heaviside,
    "Phi": lambda z: (1 + sp.erf(z / sp.sqrt(2))) / 2,
    "softplus": lambda z: sp.log(1 + sp.exp(z)),
}

KNOWN_FUNCTIONS: Mapping[str, str] = {
    **dict.fromkeys(_UNARY, "function of one argument"),
    "Phi": "standard normal distribution function",
    "softplus": "log(1 + exp(x))",
    "step": "1 for x > 0, 0 for x < 0, 1/2 at 0",
    "max": "largest of two or more arguments",
    "min": "smallest of two or more arguments",
    "He": "He(k, x), probabilists' Hermite polynomial, 0 <= k <= 64",
}
_CONSTANTS = {"pi": sp.pi, "e": sp.E}
_ACCEPTED = "numbers, x, + - * / **, parentheses, pi, e and known functions such as exp, erf, tanh, max, He(k, x)"


def parse(text: str, *, variable: Symbol = x, names: Mapping[str, Expr] | None = None) -> Expr:
    """Return the expression that `text` says, in `variable`.

    Args:
        text: for instance "x**3 - 3*x" or "max(x, 0)"; decimal numbers become exact fractions.
        variable: the one variable.
        names: further names, each an expression in `variable`; `name` stands for it and `name(z)` for it at z.

    Raises:
        ActivationSyntaxError: not an expression of the language, or beyond its bounds.
        UnknownNameError: a name that is neither the variable nor known.
        NotRealError: undefined or complex for every x, such as 1/0 or log(-1).

    >>> parse("0.5*x + max(x, 0)")
    x/2 + Max(0, x)
    >>> parse("9**9**9")
    Traceback (most recent call last):
    theory.errors.ActivationSyntaxError: '9**9**9': the exponent ... is too large; ...
    """
    expr = _Builder(text, variable, names or {}).build()
    if expr.has(sp.nan, sp.zoo, sp.oo, -sp.oo) or expr.has(sp.I):
        raise NotRealError(
            f"{_quote(text)} is undefined or complex; accepted are functions with a real value everywhere on the real "
            "line: remove divisions by zero and roots or logarithms of negative numbers."
        )
    return expr


def _quote(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


class _Builder:
    def __init__(self, text: str, variable: Symbol, names: Mapping[str, Expr]) -> None:
        self.text, self.variable, self.names, self.nodes = text, variable, names, 0

    def refuse(self, what: str, remedy: str = f"accepted are {_ACCEPTED}.") -> ActivationSyntaxError:
        return ActivationSyntaxError(f"{_quote(self.text)}: {what}; {remedy}")

    def build(self) -> Expr:
        if len(self.text) > MAX_LENGTH:
            raise self.refuse(f"{len(self.text)} characters", f"accepted are at most {MAX_LENGTH}: shorten it.")
        if not self.text.isascii():
            raise self.refuse("a character outside ASCII")
        try:
            tree = ast.parse(self.text.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            column = getattr(error, "offset", None)
            where = f" at column {column}" if column else ""
            raise self.refuse(f"not an expression{where}") from None
        return self.visit(tree.body, 0)

    def visit(self, node: ast.expr, depth: int) -> Expr:
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise self.refuse("nested too deeply or too long", f"accepted are {MAX_DEPTH} levels, {MAX_NODES} nodes.")
        match node:
            case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
                return self.number(node)
            case ast.Name(id=name):
                return self.name(name)
            case ast.UnaryOp(op=ast.UAdd() | ast.USub() as sign, operand=operand):
                value = self.visit(operand, depth + 1)
                return -value if isinstance(sign, ast.USub) else value
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return self.power(self.visit(left, depth + 1), self.visit(right, depth + 1))
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() as operator, right=right):
                return self.combine(operator, self.visit(left, depth + 1), self.visit(right, depth + 1))
            case ast.BinOp(op=ast.BitXor()):
                raise self.refuse("^ is not a power", "write ** for powers, as in x**2.")
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self.call(name, args, depth)
            case _:
                kind = type(node).__name__
                raise self.refuse(f"{kind} at column {node.col_offset + 1} is not accepted")

    def number(self, node: ast.Constant) -> Expr:
        digits = ast.get_source_segment(self.text.strip(), node) or repr(node.value)
        if len(digits) > MAX_DIGITS or (isinstance(node.value, float) and not 1e-30 < abs(node.value or 1) < 1e30):
            raise self.refuse(f"the number {digits[:20]}... is too long or too large", "accepted are 40 digits.")
        return Integer(node.value) if isinstance(node.value, int) else Rational(digits.replace("_", ""))

    def name(self, name: str) -> Expr:
        if name == self.variable.name:
            return self.variable
        for table in (_CONSTANTS, self.names):
            if name in table:
                return table[name]
        if name in KNOWN_FUNCTIONS:
            if name in _UNARY:
                return _UNARY[name](self.variable)
            raise self.refuse(f"{name} needs its arguments", f"write {name}(...): {KNOWN_FUNCTIONS[name]}.")
        raise self.unknown(name)

    def unknown(self, name: str) -> UnknownNameError:
        known = [self.variable.name, *self.names, *KNOWN_FUNCTIONS, *_CONSTANTS]
        nearest = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(nearest)}?" if nearest else f"known are {', '.join(known[:12])}, ..."
        if len(name) == 1:
            hint = f"only the one variable {self.variable.name} is accepted: give {name} a value."
        return UnknownNameError(f"{_quote(self.text)}: unknown name {name!r}; {hint}")

    def combine(self, operator: ast.operator, left: Expr, right: Expr) -> Expr:
        if isinstance(operator, ast.Add):
            return left + right
        if isinstance(operator, ast.Sub):
            return left - right
        if isinstance(operator, ast.Div):
            if right == 0:
                raise NotRealError(f"{_quote(self.text)}: division by zero; give a denominator without zeros.")
            return left / right
        self.bound(_degree(left) + _degree(right))
        return left * right

    def bound(self, degree: float) -> None:
        if degree > MAX_DEGREE:
            raise self.refuse("the degree or size is too large", f"accepted is a degree of at most {MAX_DEGREE}.")

    def power(self, base: Expr, exponent: Expr) -> Expr:
        if exponent.is_Rational:
            if abs(exponent) > MAX_EXPONENT or exponent.q > MAX_EXPONENT:
                raise self.refuse(
                    f"the exponent {str(exponent)[:20]} is too large", f"accepted is |n| <= {MAX_EXPONENT}."
                )
            self.bound(_degree(base) * abs(float(exponent)))
            return base**exponent
        if not base.is_number or not base.is_positive:
            raise self.refuse("a base that is not a positive number under a variable exponent", "write exp(x*log(b)).")
        self.bound(_degree(exponent))
        return sp.exp(exponent * sp.log(base))

    def call(self, name: str, args: list[ast.expr], depth: int) -> Expr:
        if name not in KNOWN_FUNCTIONS and name not in self.names:
            raise self.unknown(name)
        values = [self.visit(arg, depth + 1) for arg in args]
        if name in ("max", "min"):
            if len(values) < 2:
                raise self.refuse(f"{name} of {len(values)} arguments", "it takes two or more.")
            return (sp.Max if name == "max" else sp.Min)(*values)
        if name == "He":
            return self.hermite(values)
        if len(values) != 1:
            raise self.refuse(f"{name} of {len(values)} arguments", "it takes one.")
        if name in self.names:
            self.bound(_degree(self.names[name]) * _degree(values[0]))
            return self.names[name].xreplace({self.variable: values[0]})
        return _UNARY[name](values[0])

    def hermite(self, values: list[Expr]) -> Expr:
        if len(values) != 2 or not values[0].is_Integer or not 0 <= values[0] <= MAX_HERMITE:
            raise self.refuse("He takes an integer order and an argument", f"write He(k, x), 0 <= k <= {MAX_HERMITE}.")
        order, z = int(values[0]), values[1]
        self.bound(order * _degree(z))
        before, found = Integer(0), Integer(1)
        for k in range(order):
            before, found = found, sp.expand(z * found - k * before)
        return found


def _degree(expr: Expr) -> float:
    """Return a bound on the polynomial degree; for numbers, their decimal digits over four."""
    if expr.is_Rational:
        return max(len(str(abs(expr.p))), len(str(expr.q))) / 4
    if not expr.args:
        return 1.0
    if expr.is_Pow and expr.exp.is_Rational:
        return _degree(expr.base) * abs(float(expr.exp))
    if expr.is_Add or isinstance(expr, sp.Max | sp.Min):
        return max(map(_degree, expr.args))
    if expr.is_Mul:
        return sum(map(_degree, expr.args))
    return max(1.0, *map(_degree, expr.args))
