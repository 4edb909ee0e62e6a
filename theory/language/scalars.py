r"""Numbers of the setting that may be parameters of a family: the variance Delta of the label noise, the scale alpha.

Each is a number, or an expression of declared parameters: of SymPy, or text that is read as the functions are and never
evaluated. Delta >= 0 and alpha > 0 have to hold on the whole declared domain, and are proved: by the assumptions of the
symbols; for a rational function of one parameter by its zeros; else term by term and factor by factor. What is not
proved is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import sympy as sp
from sympy import Expr, Rational, S, Symbol

from theory.calculus.nodes import check_nodes, exact
from theory.errors import InputError, ParameterError
from theory.language.activations import real_symbols
from theory.language.families import zeros
from theory.language.parameters import Parameter, domain_of, parameters_of
from theory.language.parser import parse
from theory.symbols import x, y

__all__ = ["is_nonnegative_on", "scalar"]


def scalar(
    given: float | str | Expr, name: str, domain: Iterable[Parameter] = (), *, positive: bool = False, more: str = ""
) -> Expr:
    """Return a number exactly, a float as the decimal that it prints, or an expression of parameters.

    Args:
        given: a number, text of a number or of declared parameters, or an expression.
        name: what messages call it.
        domain: where parameters lie; of others their assumptions say it.
        positive: whether an expression of parameters has to be > 0 on the domain; otherwise >= 0.
        more: what else is accepted, for messages.

    Raises `ParameterError` for text that is neither, and for an expression whose sign is not proved; numbers are left
    to the caller.

    >>> from theory.language.parameters import declared
    >>> scalar(0.3, "noise"), scalar("c**2 + 1/2", "noise", declared("c"))
    (3/10, c**2 + 1/2)
    >>> scalar("2 - c", "noise", declared("0 < c < 3"))
    Traceback (most recent call last):
    theory.errors.ParameterError: noise = 2 - c given, which is not proved to be >= 0 where 0 < c < 3; accepted: ...
    """
    domain = tuple(domain)
    value = _read(given, name, domain, more)
    own = parameters_of(value)
    if not own:
        return sp.nsimplify(value, rational=True) if value.has(sp.Float) else value
    if not is_nonnegative_on(value, domain_of(value, domain), strictly=positive):
        sign, shown = (">" if positive else ">="), ", ".join(map(str, domain_of(value, domain)))
        raise ParameterError(
            f"{name} = {value} given, which is not proved to be {sign} 0 where {shown}; accepted: a number, or what is "
            f"{sign} 0 on the declared domain, such as {own[0]} with '{own[0]} {sign} 0'."
        )
    return value


def _read(given: float | str | Expr, name: str, domain: tuple[Parameter, ...], more: str) -> Expr:
    """Return the expression that a number, text or an expression is."""
    if isinstance(given, str):
        try:
            value = parse(given, parameters=[p.symbol for p in domain])
        except InputError:
            value = x
        if not value.has(x) and (value.free_symbols or value.is_number):
            return value
        raise ParameterError(
            f"{name} = {given[:60]!r} given; accepted: a number, or an expression of declared parameters, such as c "
            f"with --param 'c > 0' or in Python parameters={{'c': '> 0'}}{more}; other text is not evaluated."
        )
    value = sp.nsimplify(given, rational=True) if isinstance(given, float) else exact(given, name)
    if not value.free_symbols:
        return value
    check_nodes(value, name)
    value = real_symbols(value, domain)[0]
    if value.has(x, y):
        raise ParameterError(f"{name} = {given} given; accepted: no x and no y, a number or parameters{more}.")
    return value


def is_nonnegative_on(f: Expr, domain: Iterable[Parameter], *, strictly: bool = False) -> bool:
    """Whether an expression is proved to be finite and >= 0, or > 0, at every value of its parameters in a domain.

    >>> from theory.language.parameters import declared
    >>> b, c = declared(["0 <= b <= 2", "c > 0"])
    >>> is_nonnegative_on(2 - b.symbol, [b]), is_nonnegative_on(2 - b.symbol, [b], strictly=True)
    (True, False)
    >>> is_nonnegative_on(c.symbol * (3 - b.symbol) + 1, [b, c], strictly=True)
    True
    """
    domain = tuple(domain)
    if f.is_positive if strictly else f.is_nonnegative:
        return True
    own = [p for p in domain if p.symbol in f.free_symbols]
    if len(own) == 1 and _by_zeros(f, own[0], strictly):
        return True
    match f:
        case sp.Mul():
            return all(is_nonnegative_on(factor, domain, strictly=strictly) for factor in f.args)
        case sp.Add():
            parts = [is_nonnegative_on(term, domain) for term in f.args]
            return all(parts) and (not strictly or any(is_nonnegative_on(t, domain, strictly=True) for t in f.args))
    return False


def _by_zeros(f: Expr, parameter: Parameter, strictly: bool) -> bool:
    """Whether a rational function of one parameter is proved to be >= 0 in its domain, where it has no pole."""
    symbol = parameter.symbol
    above, below = sp.fraction(sp.together(f))
    roots, poles = zeros(above, symbol), zeros(below, symbol) if below.has(symbol) else []
    if roots is None or poles is None or any(map(parameter.contains, poles)):
        return False
    inside = [root for root in roots if parameter.contains(root)]
    if strictly and inside:
        return False
    return all(bool(f.subs(symbol, place) >= 0) for place in _between(parameter, inside))


def _between(parameter: Parameter, roots: list[Expr]) -> list[Expr]:
    """Return a number between each two neighbours of the ends of a domain, zero where it is left out, and roots."""
    cuts = sorted({*roots, *([S.Zero] if parameter.nonzero else [])})
    part = Symbol("z_part", real=True)
    edges = [parameter.low, *cuts, parameter.high]
    pairs = [(low, high) for low, high in pairwise(edges) if low < high]
    return [Parameter(part, low, high).inside(Rational(1, 2)) for low, high in pairs]
