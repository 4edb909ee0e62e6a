r"""Compiled expressions that carry a bound on their own rounding, for many points at once.

Every operation is written out, v_k = f(v_i, v_j, ...), beside a running bound (Higham, Accuracy and Stability of
Numerical Algorithms, section 3.3)

    e_k = sum_i |df/dv_i| e_i + c u |v_k|,   u = 2^-53 and a little, for the rounding of the bounds,

with c = 1 for a sum, a product, a quotient or a root, and `FUNCTION_ROUNDING` for one of the library, whose last digits
differ from machine to machine. Arguments are decimals that a double rounds: e = u |v|. Polynomials of one argument with
rational coefficients, whose terms may cancel by many digits, go by the compensated Horner scheme (Langlois & Louvet
2007), as accurate as with twice the digits: e = |p'(x)| e_x + u |p(x)| + (4 n u)^2 sum_k |a_k x^k|. The bound is of
first order where functions are curved, and infinite or NaN where nothing is known, as at 0/0.

>>> from sympy import Symbol
>>> y = Symbol("y", real=True)
>>> sweep = compile_bounded((y,), (1 - y,))
>>> value, bound = sweep(np.array([[1.0 - 2.0**-40]]))
>>> bool(value[0] == 2.0**-40), bool(1e-16 < bound[0] < 3e-16)
(True, True)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, cast

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from sympy import Expr, S, Symbol
from sympy.core.sorting import default_sort_key

from numerics.accuracy import FUNCTION_ROUNDING, PROBABILITY_ROUNDING, UNIT_ROUNDING
from numerics.compile.codegen import BUILDS_ON, HEADER, LARGEST_UNROLLED_POWER, printed
from numerics.compile.interpreted import interpreted
from numerics.compile.keeping import generated
from theory.calculus.bivariate import Phi2, Phi2Angle
from theory.calculus.stable import stable
from theory.errors import UnsupportedExpressionError

__all__ = ["bounded_function", "compile_bounded"]

Array = NDArray[np.float64]

UNIT = float(UNIT_ROUNDING)
FUNCTION = UNIT * FUNCTION_ROUNDING
LARGEST_COEFFICIENT = 10**100
HORNER = f"""\
@inline
def horner(x, slack, high, low):
    degree, size = len(high) - 1, abs(x)
    total, rest, slope, sizes = high[0], low[0], 0.0, abs(high[0])
    part = 134217729.0*x  # 2^27 + 1 splits a double in halves (Veltkamp), whose products are exact (Dekker)
    x_high = part - (part - x)
    x_low = x - x_high
    for k in range(1, degree + 1):
        slope = slope*x + total
        product = total*x
        part = 134217729.0*total
        t_high = part - (part - total)
        t_low = total - t_high
        lost = ((t_high*x_high - product) + t_high*x_low + t_low*x_high) + t_low*x_low
        total = product + high[k]
        back = total - product
        lost += (product - (total - back)) + (high[k] - back)
        rest = rest*x + (lost + low[k])
        sizes = sizes*size + abs(high[k])
    value = total + rest
    curved = degree*slack/size if size > 0.0 else 0.0
    small = (4.0*degree*{UNIT!r})**2 + curved*curved + 4.0*degree*{UNIT!r}*curved
    return value, abs(slope)*slack + {UNIT!r}*abs(value) + small*sizes
"""


class _Writer:
    """Lines of code that compute nodes and their bounds, each distinct node once."""

    def __init__(self, names: dict[Symbol, str]) -> None:
        self.lines: list[str] = []
        self._known: dict[sp.Basic, tuple[str, str]] = {}
        for symbol, name in names.items():
            self._known[symbol] = name, self._put(f"{UNIT!r}*abs({name})")
        self._names = {symbol: Symbol(name, real=True) for symbol, name in names.items()}

    def __call__(self, node: Expr) -> tuple[str, str]:
        """Return the names of a node's value and bound."""
        if node not in self._known:
            self._known[node] = self._constant(node) if node.is_number else self._compound(node)
        return self._known[node]

    def _put(self, text: str) -> str:
        name = f"k{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        return name

    def _constant(self, node: Expr) -> tuple[str, str]:
        number = complex(node.evalf(25))
        if number.imag or not np.isfinite(number.real):
            raise UnsupportedExpressionError(f"no double stands for the constant {node}")
        is_exact = node.is_Rational and sp.Rational(number.real) == node
        return self._put(repr(number.real)), "0.0" if is_exact else repr(UNIT * abs(number.real))

    def _compound(self, node: Expr) -> tuple[str, str]:
        if node.is_Add:
            return self._polynomial(node) or self._sum([self(f) for f in sorted(node.args, key=default_sort_key)])
        if node.is_Mul:
            return self._quotient(node)
        if node.is_Pow:
            return self._power(*cast(tuple[Expr, Expr], node.args))
        if isinstance(node, sp.Piecewise):
            return self._choice(node)
        if isinstance(node, Phi2):
            return self(cast(Expr, Phi2Angle(*node.args[:2], sp.asin(node.args[2]))))
        return self._function(node)

    def _sum(self, terms: Sequence[tuple[str, str]]) -> tuple[str, str]:
        total, bound = terms[0]
        for value, error in terms[1:]:
            total = self._put(f"{total} + {value}")
            bound = self._put(f"{bound} + {error} + {UNIT!r}*abs({total})")
        return total, bound

    def _product(self, factors: Sequence[tuple[str, str]]) -> tuple[str, str]:
        total, bound = factors[0]
        for value, error in factors[1:]:
            before, total = total, self._put(f"{total}*{value}")
            bound = self._put(f"{bound}*(abs({value}) + {error}) + abs({before})*{error} + {UNIT!r}*abs({total})")
        return total, bound

    def _quotient(self, node: Expr) -> tuple[str, str]:
        ordered = cast(list[Expr], sorted(node.args, key=default_sort_key))
        under = [1 / f for f in ordered if _is_reciprocal(f)]
        over = [f for f in ordered if not _is_reciprocal(f)]
        top = self._product([self(f) for f in over] or [("1.0", "0.0")])
        return self._divided(top, self._product([self(f) for f in under])) if under else top

    def _divided(self, top: tuple[str, str], bottom: tuple[str, str]) -> tuple[str, str]:
        ratio = self._put(f"{top[0]}/{bottom[0]}")
        left = f"max(abs({bottom[0]}) - {bottom[1]}, 0.0)"
        return ratio, self._put(f"({top[1]} + abs({ratio})*{bottom[1]})/{left} + {UNIT!r}*abs({ratio})")

    def _power(self, base: Expr, exponent: Expr) -> tuple[str, str]:
        if exponent.is_Rational and exponent.is_negative:
            return self._divided(("1.0", "0.0"), self(base**-exponent))
        value, error = self(base)
        if exponent.is_Integer and int(exponent) <= LARGEST_UNROLLED_POWER:
            return self._whole_power(value, error, int(exponent))
        if (twice := 2 * exponent).is_Integer and int(twice) <= LARGEST_UNROLLED_POWER:
            root = self._put(f"sqrt({value})")
            near = self._put(f"max({root}, sqrt({error}))")  # |sqrt(v + e) - sqrt(v)| <= e / max(sqrt v, sqrt e)
            bound = self._put(f"({error}/{near} if {near} > 0.0 else 0.0) + {UNIT!r}*{root}")
            return (root, bound) if twice == 1 else self._whole_power(root, bound, int(twice))
        return self._real_power(value, error, *self(exponent))

    def _whole_power(self, value: str, error: str, n: int) -> tuple[str, str]:
        power = self._put(f"{value}**{n}")
        return power, self._put(f"{n}.0*((abs({value}) + {error})**{n - 1}*{error} + {UNIT!r}*abs({power}))")

    def _polynomial(self, node: Expr) -> tuple[str, str] | None:
        """By Horner's scheme, coefficients as sums of two doubles; None for any other sum."""
        symbols = node.free_symbols
        if len(symbols) != 1 or not node.is_polynomial(*symbols):
            return None
        polynomial = sp.Poly(node, *symbols)
        exact = polynomial.all_coeffs()
        if polynomial.degree() < 2 or not all(c.is_Rational and abs(c) < LARGEST_COEFFICIENT for c in exact):
            return None
        high = [float(c) for c in exact]
        low = [float(c - sp.Rational(h)) for c, h in zip(exact, high, strict=True)]
        argument, slack = self(polynomial.gen)
        both = self._put(f"horner({argument}, {slack}, {tuple(high)}, {tuple(low)})")
        return self._put(f"{both}[0]"), self._put(f"{both}[1]")

    def _real_power(self, value: str, error: str, exponent: str, slack: str) -> tuple[str, str]:
        power = self._put(f"{value}**{exponent}")
        moved = f"abs({exponent})*{error}/max(abs({value}) - {error}, 0.0) + abs(log({value}))*{slack}"
        return power, self._put(f"abs({power})*({moved} + {FUNCTION!r})")

    def _choice(self, node: sp.Piecewise) -> tuple[str, str]:
        value = bound = "nan"
        for branch, condition in reversed(cast(Any, node.args)):
            inner, error = self(branch)
            test = printed(condition.xreplace(self._names))
            value, bound = self._put(f"{inner} if {test} else {value}"), self._put(f"{error} if {test} else {bound}")
        return value, bound

    def _function(self, node: Expr) -> tuple[str, str]:
        inner = [self(cast(Expr, arg)) for arg in node.args]
        if isinstance(node, sp.Max | sp.Min):
            kind = "maximum" if isinstance(node, sp.Max) else "minimum"
            return self._fold(inner, kind)
        names = [Symbol(value, real=True) for value, _ in inner]
        if isinstance(node, sp.Heaviside | sp.sign):
            at, error = inner[0]
            extra, height = ((), 2.0) if isinstance(node, sp.sign) else ((S.Half,), 1.0)
            step = printed(node.func(names[0], *extra))
            return self._put(step), self._put(f"{height} if 0.0 < {error} and abs({at}) <= {error} else 0.0")
        value = self._put(printed(node.func(*names)))
        if isinstance(node, sp.asin | sp.acos):
            (at, error), *_ = inner
            edge = f"max(sqrt((1.0 - {at})*(1.0 + {at})), sqrt({error}))"
            moved = [f"(2.0*{error}/{edge} if {error} > 0.0 else 0.0)"]
        else:
            moved = [f"abs({slope})*{error}" for slope, (_, error) in zip(_slopes(node, names), inner, strict=True)]
        own = f"{FUNCTION!r}*abs({value})" + (
            f" + {float(PROBABILITY_ROUNDING)!r}" if isinstance(node, Phi2Angle) else ""
        )
        return value, self._put(" + ".join([*moved, own]))

    def _fold(self, inner: Sequence[tuple[str, str]], kind: str) -> tuple[str, str]:
        value, bound = inner[0]
        for other, error in inner[1:]:
            value, bound = self._put(f"{kind}({value}, {other})"), self._put(f"maximum({bound}, {error})")
        return value, bound


def _is_reciprocal(f: Expr) -> bool:
    return bool(f.is_Pow and f.exp.is_Rational and f.exp.is_negative)


def _slopes(node: Expr, names: Sequence[Symbol]) -> list[str]:
    """Return the derivative in each argument as code."""
    if isinstance(node, sp.Abs):
        return ["1.0"]
    marks = [Symbol(f"x{i}", real=True) for i in range(len(names))]
    whole = node.func(*marks)
    back = dict(zip(marks, names, strict=True))
    return [printed(stable(sp.diff(whole, mark)).xreplace(back)) for mark in marks]


def bounded_source(args: Sequence[Symbol], outputs: Sequence[Expr], *, name: str) -> str:
    """Return the source of a function of scalars that returns the outputs and then their bounds.

    Raises `UnsupportedExpressionError` for a node without a printer.

    >>> from theory.symbols import x
    >>> print(bounded_source((x,), (abs(x),), name="f"))
    def f(x0):
        k0 = 1.1113332476497816e-16*abs(x0)
        k1 = abs(x0)
        k2 = abs(1.0)*k0 + 1.7781331962396505e-15*abs(k1)
        return (k1, k2,)
    """
    names = {arg: f"x{i}" for i, arg in enumerate(args)}
    writer = _Writer(names)
    pairs = [writer(stable(output)) for output in outputs]
    returned = ", ".join([*(value for value, _ in pairs), *(error for _, error in pairs)])
    body = "".join(f"    {line}\n" for line in writer.lines)
    return f"def {name}({', '.join(names.values())}):\n{body}    return ({returned},)"


@lru_cache(maxsize=512)
def bounded_function(args: tuple[Symbol, ...], outputs: tuple[Expr, ...]) -> Callable[..., tuple[float, ...]]:
    """Return the same function of scalars, run by the interpreter: the values, and then their bounds.

    >>> from theory.symbols import x
    >>> value, bound = bounded_function((x,), (1 - x,))(0.75)
    >>> value, bound < 2e-16
    (0.25, True)

    Raises `UnsupportedExpressionError` for a node without a printer, or a constant beyond a double.
    """
    text = f"{HORNER.removeprefix('@inline')}\n{bounded_source(args, outputs, name='bounded')}"
    return interpreted(text, "bounded")


def compile_bounded(args: tuple[Symbol, ...], outputs: tuple[Expr, ...]) -> Callable[[Array], Array]:
    """Compile expressions to native code that takes an array (argument, point) and returns one of (result, point).

    Args:
        args: distinct real symbols.
        outputs: expressions, whose values are followed by as many bounds on their rounding.

    Raises:
        UnsupportedExpressionError: a node without a printer, or a constant beyond a double.
    """
    return _compiled(args, outputs)


@lru_cache(maxsize=256)
def _compiled(args: tuple[Symbol, ...], outputs: tuple[Expr, ...]) -> Callable[[Array], Array]:
    count = 2 * len(outputs)
    packed = bounded_source(args, outputs, name="packed")
    results = "".join(f"out[{k}, i], " for k in range(count))
    given = ", ".join(f"columns[{k}, i]" for k in range(len(args)))
    text = (
        f"{HEADER}\n\n{HORNER}\n\n@inline\n{packed}\n\n\n"
        "@njit('void(float64[:, ::1], float64[:, ::1])', error_model='numpy', nogil=True, cache=CACHE)\n"
        f"def sweep(columns, out):\n    for i in range(columns.shape[1]):\n        {results}= packed({given})\n"
    )
    native = generated(text, "sweep", builds_on=BUILDS_ON)

    def sweep(columns: Array) -> Array:
        out = np.empty((count, columns.shape[1]))
        native(np.ascontiguousarray(columns, np.float64), out)
        return out

    return sweep
