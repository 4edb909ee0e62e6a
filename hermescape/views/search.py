"""What `hermescape escape` prints of search times, for JSON and for people."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp
from rich.table import Table

from hermescape.views.numbers import plain
from numerics.integrals.evaluate import as_double
from numerics.integrals.quadrature import Real
from numerics.rates.search_time import Search
from theory.network.system import System

__all__ = ["escape_points", "escape_table", "plain", "slowed"]

SHOWN = 8  # digits of a number in a table


def escape_points(searches: Sequence[Search]) -> list[dict[str, object]]:
    """Return the JSON points of `hermescape escape`; tau is null where it is infinite, A where w0 is misaligned.

    Numbers beyond the range of a double are texts.
    """
    names = ("mu", "rho", "A", "B", "G", "rate", "tau", "log_tau", "error")
    return [
        {**{name: plain(getattr(s, name)) for name in names}, "interval": [plain(end) for end in s.interval]}
        for s in searches
    ]


def escape_table(system: System, searches: Sequence[Search]) -> Table:
    """Return the table of `hermescape escape`."""
    loss = system.loss_function
    title = f"search phase of {loss.student.name} on {loss.teacher.name} ({slowed(searches[0].slowdown)})"
    table = Table(title=title, show_edge=False, box=None, title_justify="left")
    aligned = system.escape.A is not None
    beyond = any(isinstance(s.tau, sp.Float) and not _has_digits(s) for s in searches)
    columns = ("mu", *(("A",) if aligned else ("rho", "G")), "B", "rate", "tau", *(("log tau",) if beyond else ()))
    for column in (*columns, "error of tau"):
        table.add_column(column, justify="right", overflow="fold")
    for s in searches:
        error = "exact" if s.error == 0 else _error(s.error)
        numbers = (s.A,) if aligned else (s.rho, s.G)
        shown = [_digits(v, _has_digits(s)) for v in (*numbers, s.B, s.rate)]
        shown.append("infinite" if s.tau is None else _digits(s.tau, _has_digits(s)))
        if beyond:
            shown.append("infinite" if s.log_tau is None else f"{s.log_tau:.8g}")
        table.add_row(f"{float(s.mu):g}", *shown, error)
    return table


def _has_digits(search: Search) -> bool:
    """Whether digits were asked for; without them only numbers beyond a double are Floats."""
    return isinstance(search.mu, sp.Float)


def _error(error: Real) -> str:
    return f"{float(error):.1e}" if isinstance(as_double(error), float) else str(sp.Float(error, 2))


def slowed(factor: int) -> str:
    """Return in which time tau is, where the learning rate is divided by a factor."""
    divided = f", lr divided by k! k = {factor}, the paper's scale" if factor > 1 else ""
    return f"tau in t = lr * steps{divided}"


def _digits(value: Real, every: bool) -> str:
    """Return eight digits of a number; all of one of which digits were asked for."""
    if isinstance(value, sp.Float):
        return str(value if every else sp.Float(value, SHOWN))
    return f"{float(value):.{SHOWN}g}"
