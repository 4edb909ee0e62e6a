r"""Numbers in the place of parameters, within the parser's bounds: what is refused when typed is refused when set.

A number in the place of a parameter can become an enormous one, as in exp(exp(a)) or a**a, so each node is built only
once its numbers are bounded: `theory.language.parser` says by how many bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import ceil

import sympy as sp
from sympy import Basic, Expr, Rational, Symbol

from theory.errors import ParameterError
from theory.language.parser import MAX_BITS, MAX_EXPONENT

__all__ = ["TooLargeError", "check_numbers", "with_numbers"]

MOST = 10**9  # of a magnitude, which is refused long before
GROWING: Mapping[type[Basic], int] = {sp.exp: 1, sp.sinh: 1, sp.cosh: 1, sp.erfc: 2}
"""Functions with |log f(c)| = O(|c|^power)."""


class TooLargeError(ParameterError):
    """A value of a parameter at which the numbers in a function grow too large."""


def with_numbers(expr: Expr, values: Mapping[Symbol, Expr]) -> Expr:
    """Return an expression with numbers in the place of parameters; raises `TooLargeError` where they grow too large.

    >>> a, x = sp.symbols("a x", real=True)
    >>> with_numbers(sp.exp(sp.exp(a)) * x, {a: sp.S(0)})
    E*x
    >>> with_numbers(sp.exp(sp.exp(a)) * x, {a: sp.S(30)})
    Traceback (most recent call last):
    theory.language.substitution.TooLargeError: a = 30 given: exp(exp(a)) is too large a number there; ...
    """
    return sp.sympify(_built(expr, dict(values))[0])


def check_numbers(expr: Expr, values: Mapping[Symbol, Expr]) -> None:
    """Raise `TooLargeError` where numbers in the place of parameters grow too large; cheap where none can.

    >>> a, x = sp.symbols("a x", real=True)
    >>> check_numbers(sp.erf(a * x), {a: sp.Float(1e200)})
    >>> check_numbers(sp.exp(a) * x, {a: sp.Float(1e200)})
    Traceback (most recent call last):
    theory.language.substitution.TooLargeError: a = 1e+200 given: exp(a) is too large a number there; ...
    """
    if _grows(expr, frozenset(values)):
        with_numbers(expr, values)


@lru_cache(maxsize=256)
def _grows(expr: Expr, symbols: frozenset[Symbol]) -> bool:
    """Whether parameters stand in an exponent without a variable beside them."""
    exponents = [node.exp for node in expr.atoms(sp.Pow)] + [node.args[0] for node in expr.atoms(*GROWING)]
    return any(exponent.free_symbols and exponent.free_symbols <= symbols for exponent in exponents)


def _built(node: Basic, values: Mapping[Symbol, Expr]) -> tuple[Basic, int]:
    """Return a node with numbers in it, and a bound on the bits of its numbers."""
    if isinstance(node, Symbol) and node in values:
        return values[node], _bits(values[node])
    if not node.free_symbols & values.keys():
        return node, _bits(node)
    parts = [_built(arg, values) for arg in node.args]
    bits = sum(size for _, size in parts)
    if isinstance(node, sp.Pow) and not parts[1][0].free_symbols:
        power = _magnitude(parts[1][0])
        if power > MAX_EXPONENT and node.exp.free_symbols:
            raise _too_large(node, values)
        bits = power * parts[0][1] + parts[1][1]
    if type(node) in GROWING and not parts[0][0].free_symbols:
        bits += ceil(1.45 * _magnitude(parts[0][0]) ** GROWING[type(node)]) + 8
    if bits > MAX_BITS:
        raise _too_large(node, values)
    return node.func(*(part for part, _ in parts)), bits


def _bits(node: Basic) -> int:
    numbers = node.atoms(Rational)
    return max((int(number.p).bit_length() + int(number.q).bit_length() - 1 for number in numbers), default=1)


def _magnitude(number: Basic) -> int:
    """Return |c| of a constant, rounded up, at most `MOST`; cheap, since its bits are bounded."""
    value = abs(number if isinstance(number, Rational) else sp.N(number))
    return ceil(value) if value.is_finite and value < MOST else MOST


def _too_large(node: Basic, values: Mapping[Symbol, Expr]) -> TooLargeError:
    given = ", ".join(f"{s} = {float(value):.6g}" for s, value in values.items() if s in node.free_symbols)
    return TooLargeError(
        f"{given} given: {node} is too large a number there; accepted: values at which numbers have at most {MAX_BITS} "
        f"bits, and exponents are at most {MAX_EXPONENT}."
    )
