r"""From SymPy expressions to compiled functions: a table by node type that refuses what it does not know.

Three steps, each a function of the content alone, so that the same expressions give the same source in every
process and the source may serve as the key of a cache:

1. *rewriting* for stability by the rules of `theory.calculus.stable`, so that inf / inf never forms;
2. *common subexpressions* of all outputs together;
3. *printing* by `PRINTERS`, whose keys are exact node types (for symbols and numbers, also their subclasses).
   Text never becomes code: only what the table prints is executed, and symbols get safe identifiers.

Division by zero and overflow follow IEEE 754 (inf, NaN); nothing is raised and nothing warns.

>>> from sympy import Symbol, exp
>>> y = Symbol("y", real=True)
>>> print(source([y], [y**2, 1 / (1 + exp(-y)), 3 * y**2 + 1]))
def generated(y_0):
    c0 = y_0**2
    return (c0, logistic(y_0), (1.0 + (3.0*c0)),)
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, reduce
from pathlib import Path
from typing import Any, cast

import numpy as np
import sympy as sp
from sympy.core.numbers import NumberSymbol
from sympy.core.sorting import default_sort_key
from sympy.logic.boolalg import BooleanFalse, BooleanTrue

from numerics.compile.interpreted import HYPERBOLIC, TRIGONOMETRIC, interpreted
from numerics.compile.keeping import generated
from theory.calculus.bivariate import Phi2, Phi2Angle
from theory.calculus.stable import dawson, logistic, rise, softplus, stable
from theory.calculus.undefined import refuse_undefined
from theory.errors import ParameterError, UnsupportedExpressionError

__all__ = [
    "BUILDS_ON",
    "HEADER",
    "PRINTERS",
    "compile_field",
    "compile_function",
    "field_source",
    "native_source",
    "printed",
    "source",
]

Compiled = Callable[..., tuple[float, ...]]

LARGEST_UNROLLED_POWER = 64
EQUAL = 2.0**-50
_NAME = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII | re.IGNORECASE)


def _refuse(node: sp.Basic, remedy: str) -> UnsupportedExpressionError:
    return UnsupportedExpressionError(
        f"no code can be generated for {sp.sstr(node)!r} (node type {type(node).__name__}); "
        f"accepted node types: {', '.join(sorted(kind.__name__ for kind in PRINTERS))}; {remedy}"
    )


def _number(node: sp.Basic) -> str:
    try:
        value = float(cast(sp.Expr, node))
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise _refuse(node, "rescale the expression: this constant exceeds the range of float64")
    return repr(value) if value >= 0 else f"({value!r})"


def _ordered(node: sp.Basic) -> Iterator[sp.Basic]:
    return iter(sorted(node.args, key=default_sort_key))


def _add(node: sp.Basic) -> str:
    return f"({' + '.join(map(printed, _ordered(node)))})"


def _mul(node: sp.Basic) -> str:
    over = [arg for arg in _ordered(node) if not _is_reciprocal(arg)]
    under = [1 / cast(sp.Expr, arg) for arg in _ordered(node) if _is_reciprocal(arg)]
    text = "*".join(map(printed, over)) if over else "1.0"
    if over and over[0] is sp.S.NegativeOne and len(over) > 1:
        text = "-" + "*".join(map(printed, over[1:]))
    return f"({text}/({'*'.join(map(printed, under))}))" if under else f"({text})"


def _is_reciprocal(node: sp.Basic) -> bool:
    return isinstance(node, sp.Pow) and bool(node.exp.is_Rational) and bool(node.exp.is_negative)


def _pow(node: sp.Basic) -> str:
    """Literal integer powers, which the compiler unrolls into multiplications; half-integers use `sqrt`."""
    base, exponent = cast(tuple[sp.Expr, sp.Expr], node.args)
    if _is_reciprocal(node):
        return f"(1.0/{printed(base**-exponent)})"
    if exponent.is_Integer and int(exponent) <= LARGEST_UNROLLED_POWER:
        return f"{printed(base)}**{int(exponent)}"
    if exponent is sp.S.Half:
        return f"sqrt({printed(base)})"
    if (twice := 2 * exponent).is_Integer and int(twice) <= LARGEST_UNROLLED_POWER:
        return f"sqrt({printed(base)})**{int(twice)}"
    return f"({printed(base)}**{printed(exponent)})"


def _heaviside(node: sp.Basic) -> str:
    argument, *origin = node.args
    if origin not in ([], [sp.S.Half]):
        raise _refuse(node, "use Heaviside(x) with its value 1/2 at the origin")
    return f"heaviside({printed(argument)})"


def _piecewise(node: sp.Basic) -> str:
    text = "nan"
    for value, condition in reversed(cast(Any, node.args)):
        chosen = printed(value)
        text = chosen if condition == sp.true else f"({chosen} if {printed(condition)} else {text})"
    return text


def _call(function: str) -> Callable[[sp.Basic], str]:
    return lambda node: f"{function}({', '.join(map(printed, node.args))})"


def _fold(function: str) -> Callable[[sp.Basic], str]:
    def nest(left: str, right: str) -> str:
        return f"{function}({left}, {right})"

    return lambda node: reduce(nest, map(printed, _ordered(node)))


def _equality(node: sp.Basic) -> str:
    """Whether two numbers are equal but for the rounding of what they were computed from."""
    left, right = map(printed, node.args)
    return f"(abs({left} - {right}) <= {EQUAL!r}*abs({right}))"


def _infix(operator: str) -> Callable[[sp.Basic], str]:
    return lambda node: f"({f' {operator} '.join(map(printed, node.args))})"


def _connective(operator: str) -> Callable[[sp.Basic], str]:
    return lambda node: f"({f' {operator} '.join(map(printed, _ordered(node)))})"


def _literal(text: str) -> Callable[[sp.Basic], str]:
    return lambda _: text


PRINTERS: dict[type, Callable[[sp.Basic], str]] = {
    sp.Symbol: lambda node: cast(sp.Symbol, node).name,
    sp.Rational: _number,
    sp.Float: _number,
    NumberSymbol: _number,
    sp.CRootOf: _number,
    type(sp.S.Infinity): _literal("inf"),
    type(sp.S.NegativeInfinity): _literal("(-inf)"),
    type(sp.S.NaN): _literal("nan"),
    sp.Add: _add,
    sp.Mul: _mul,
    sp.Pow: _pow,
    sp.Heaviside: _heaviside,
    sp.Piecewise: _piecewise,
    sp.Max: _fold("maximum"),
    sp.Min: _fold("minimum"),
    sp.Abs: _call("abs"),
    Phi2Angle: _call("bivariate_normal"),
    rise: lambda node: f"erfc({printed(-cast(sp.Expr, node.args[0]))})",
    Phi2: lambda node: printed(Phi2Angle(*node.args[:2], sp.asin(node.args[2]))),
    **{
        kind: _call(kind.__name__)
        for kind in (
            *(sp.exp, sp.log, sp.erf, sp.erfc, sp.sign, logistic, softplus, dawson),
            *(sp.sin, sp.cos, sp.tan, sp.asin, sp.acos, sp.atan, sp.atan2),
            *(sp.sinh, sp.cosh, sp.tanh, sp.asinh, sp.acosh, sp.atanh),
        )
    },
    sp.StrictLessThan: _infix("<"),
    sp.LessThan: _infix("<="),
    sp.StrictGreaterThan: _infix(">"),
    sp.GreaterThan: _infix(">="),
    sp.Equality: _equality,
    sp.Unequality: _infix("!="),
    sp.And: _connective("and"),
    sp.Or: _connective("or"),
    sp.Not: lambda node: f"(not {printed(node.args[0])})",
    BooleanTrue: _literal("True"),
    BooleanFalse: _literal("False"),
}

_KINDS_WITH_SUBCLASSES = (sp.Symbol, sp.Rational, sp.Float, NumberSymbol)


def printed(node: sp.Basic) -> str:
    """Return the source of one node, by `PRINTERS`.

    >>> printed(abs(sp.Symbol("y", real=True)))
    'abs(y)'
    """
    kind = next((base for base in _KINDS_WITH_SUBCLASSES if isinstance(node, base)), type(node))
    if kind not in PRINTERS:
        refuse_undefined(node)
        raise _refuse(node, "rewrite it with these (at a kink, give the derivative almost everywhere)")
    return PRINTERS[kind](node)


HEADER = f"""\
from math import {", ".join(("log", "erfc", *TRIGONOMETRIC, *HYPERBOLIC))}

import numpy as np
from numba import njit

from numerics.compile.primitives import *

inf, nan = np.inf, np.nan
inline = njit(error_model="numpy", nogil=True, forceinline=True, no_cpython_wrapper=True)
"""
"""How a module of generated functions begins: what `PRINTERS` prints has its meaning from here."""
BUILDS_ON = (str(Path(__file__).with_name("primitives.py")),)


def _check(args: tuple[sp.Symbol, ...], outputs: tuple[sp.Expr, ...], name: str) -> None:
    if not args or len(set(args)) != len(args) or not all(isinstance(arg, sp.Symbol) for arg in args):
        raise ParameterError(f"arguments {args} given; give one or more distinct symbols")
    if not outputs or not all(isinstance(output, sp.Expr) for output in outputs):
        raise ParameterError(f"outputs {outputs} given; give one or more SymPy expressions")
    if not _NAME.fullmatch(name):
        raise ParameterError(f"name {name!r} given; give an ASCII identifier, such as 'generated'")
    free = set().union(*(output.free_symbols for output in outputs)) - set(args)
    if free:
        names = ", ".join(sorted(map(str, free)))
        raise UnsupportedExpressionError(
            f"the outputs contain {names}, not among the arguments {', '.join(map(str, args))}; "
            "add them to the arguments or substitute their values"
        )


def _identifier(symbol: sp.Symbol, position: int) -> str:
    """Return letters and digits of the symbol's name and its position: unique, and never a keyword."""
    letters = re.sub("[^A-Za-z0-9]", "", symbol.name).lstrip("0123456789")
    return f"{letters or 'v'}_{position}"


@lru_cache(maxsize=512)
def _source(args: tuple[sp.Symbol, ...], outputs: tuple[sp.Expr, ...], name: str) -> str:
    _check(args, outputs, name)
    identifiers = [_identifier(arg, position) for position, arg in enumerate(args)]
    renamed = dict(zip(args, (sp.Symbol(identifier, real=True) for identifier in identifiers), strict=True))
    rewritten = [stable(output.xreplace(renamed)) for output in outputs]
    shared: Any = sp.cse(rewritten, symbols=sp.numbered_symbols("c", real=True))
    definitions, reduced = shared
    body = [f"    {symbol.name} = {printed(value)}" for symbol, value in definitions]
    returned = "".join(f"{printed(value)}, " for value in reduced).rstrip()
    return "\n".join([f"def {name}({', '.join(identifiers)}):", *body, f"    return ({returned})"])


@lru_cache(maxsize=512)
def _compile(args: tuple[sp.Symbol, ...], outputs: tuple[sp.Expr, ...], name: str, jit: bool) -> Compiled:
    if jit:
        return generated(f"{HEADER}\n\n{native_source(args, outputs, name=name)}\n", name, builds_on=BUILDS_ON)
    return interpreted(_source(args, outputs, name), name)


def source(args: Sequence[sp.Symbol], outputs: Sequence[sp.Expr], *, name: str = "generated") -> str:
    """Return the Python source that `compile_function` compiles; a function of the expressions alone.

    Raises `ParameterError` for arguments that are not distinct symbols, `UnsupportedExpressionError` for a
    node without a printer or a symbol that is no argument.

    >>> from theory.symbols import x
    >>> print(source([x], [abs(x)]))
    def generated(x_0):
        return (abs(x_0),)
    """
    return _source(tuple(args), tuple(outputs), name)


def native_source(args: Sequence[sp.Symbol], outputs: Sequence[sp.Expr], *, name: str) -> str:
    """Return that source with a decorator that compiles it for float64, to be inlined where it is called.

    With `HEADER` before it, it is a part of a module for `numerics.compile.keeping.generated`.
    """
    signature = f"UniTuple(float64, {len(outputs)})({', '.join(['float64'] * len(args))})"
    options = "error_model='numpy', nogil=True, forceinline=True, cache=CACHE"
    return f"@njit({signature!r}, {options})\n{source(args, outputs, name=name)}"


def compile_function(
    args: Sequence[sp.Symbol], outputs: Sequence[sp.Expr], *, name: str = "generated", jit: bool = True
) -> Compiled:
    """Compile expressions to one function of float64 scalars that returns the tuple of their values.

    With `jit` the function is native code (releases the GIL, may be called and inlined by other compiled
    functions); without, the same source runs in the interpreter. Cached by content within the process.
    Raises as `source` does.

    >>> from sympy import Max, erf
    >>> from theory.symbols import x
    >>> compile_function([x], [Max(x, 0), erf(x), x**-2])(2)
    (2.0, 0.9953222650189527, 0.25)
    """
    return _compile(tuple(args), tuple(outputs), name, jit)


def compile_field(
    states: Sequence[sp.Symbol], constants: Sequence[sp.Symbol], outputs: Sequence[sp.Expr]
) -> Callable[[np.ndarray, np.ndarray, np.ndarray], None]:
    """Compile expressions to native f(x, p, out), which reads states and constants from arrays and fills `out`.

    Raises as `source` does.

    >>> from theory.symbols import m, u
    >>> out = np.empty(2)
    >>> compile_field([u], [m], [u + m, u * m])(np.array([2.0]), np.array([3.0]), out)
    >>> out
    array([5., 6.])
    """
    return _field(tuple(states), tuple(constants), tuple(outputs))


@lru_cache(maxsize=128)
def _field(states: tuple[sp.Symbol, ...], constants: tuple[sp.Symbol, ...], outputs: tuple[sp.Expr, ...]) -> Callable:
    text = field_source(states, constants, outputs)
    wanted = "@njit('void(float64[::1], float64[::1], float64[::1])', error_model='numpy', nogil=True, cache=CACHE)\n"
    return generated(text.replace("@inline\ndef field", wanted + "def field"), "field", builds_on=BUILDS_ON)


def field_source(states: Sequence[sp.Symbol], constants: Sequence[sp.Symbol], outputs: Sequence[sp.Expr]) -> str:
    """Return a module with a native f(x, p, out), as `compile_field` compiles it, for others that build on it."""
    inputs = [f"x[{i}]" for i in range(len(states))] + [f"p[{i}]" for i in range(len(constants))]
    targets = "".join(f"out[{i}], " for i in range(len(outputs)))
    packed = native_source([*states, *constants], outputs, name="packed")
    body = f"    {targets}= packed({', '.join(inputs)})\n"
    return f"{HEADER}\n\n{packed}\n\n\n@inline\ndef field(x, p, out):\n{body}"
