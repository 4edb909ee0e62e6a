"""What `hermescape escape` prints of search times, for JSON and for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy as sp
from rich.table import Table

from hermescape.views.numbers import error_of, known, plain
from numerics.rates.search_time import Search
from theory.network.system import System

__all__ = ["escape_parts", "escape_points", "plain", "slowed"]

SHOWN = 8  # digits of a number that its own error does not stand beside


def escape_points(searches: Sequence[Search], values: Sequence[Mapping[str, float]] = ()) -> list[dict[str, object]]:
    """Return the JSON points of `hermescape escape`; tau is null where it is infinite, A where w0 is misaligned.

    `values` are those of a family's parameters, one mapping a point. Numbers beyond the range of a double are texts.
    """
    names = ("mu", "rho", "A", "B", "G", "rate", "tau", "log_tau", "error")
    points = [
        {
            **{name: plain(getattr(s, name)) for name in names},
            "errors": {name: plain(error) for name, error in s.errors.items()},
            "certified": s.certified,
            "interval": [plain(end) for end in s.interval],
        }
        for s in searches
    ]
    return [{"parameters": row, **p} for row, p in zip(values, points, strict=True)] if values else points


def escape_parts(
    system: System, searches: Sequence[Search], values: Sequence[Mapping[str, str]] = ()
) -> tuple[str | Table, ...]:
    """Return what `hermescape escape` prints: a table, and where digits were asked for one quantity a line."""
    loss = system.loss_function
    pair = f"{loss.student.name} on {loss.teacher.name}{system.network.minimised.aside}"
    title = f"search phase of {pair} ({slowed(searches[0].slowdown)})"
    beyond = any(isinstance(s.tau, sp.Float) and not _has_digits(s) for s in searches)
    rows = [_quantities(s, system.escape.A is not None, beyond) for s in searches]
    if values:
        rows = [{**given, **row} for given, row in zip(values, rows, strict=True)]
    if any(map(_has_digits, searches)):
        return title, *(line for row in rows for line in _lines(row))
    table = Table(show_edge=False, box=None)
    for column in rows[0]:
        table.add_column(column, justify="right", overflow="fold")
    for row in rows:
        table.add_row(*row.values())
    return title, table


def _lines(row: dict[str, str]) -> list[str]:
    """One quantity a line, below its alignment: numbers of many digits are not to be broken."""
    place = list(row).index("mu") + 1
    head, others = list(row.items())[:place], list(row.items())[place:]
    return [", ".join(f"{name} = {value}" for name, value in head), *(f"  {n:12}  {value}" for n, value in others)]


def _quantities(s: Search, aligned: bool, beyond: bool) -> dict[str, str]:
    """What is known of one search phase, by name; the logarithm of tau where some tau is beyond a double."""
    every = _has_digits(s)
    start = {"A": s.A} if aligned else {"rho": s.rho, "G": s.G}
    numbers = {
        name: str(v) if every else known(v, s.errors.get(name, 0.0), SHOWN)
        for name, v in (*start.items(), ("B", s.B), ("rate", s.rate))
    }
    tau = "infinite" if s.tau is None else str(plain(s.tau))
    logarithm = {"log tau": "infinite" if s.log_tau is None else f"{s.log_tau:.8g}"} if beyond else {}
    error = {"error of tau": "-" if s.tau is None else error_of(s.error, certified=s.certified)}
    return {"mu": f"{float(s.mu):g}", **numbers, "tau": tau, **logarithm, **error}


def _has_digits(search: Search) -> bool:
    """Whether digits were asked for; without them only numbers beyond a double are Floats."""
    return isinstance(search.mu, sp.Float)


def slowed(factor: int) -> str:
    """Return in which time tau is, where the learning rate is divided by a factor."""
    divided = f", lr divided by k! k = {factor}, the paper's scale" if factor > 1 else ""
    return f"tau in t = lr * steps{divided}"
