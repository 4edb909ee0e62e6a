"""What `hermescape escape` prints: search times, critical strengths, best alignments, for JSON and for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy as sp
from rich.table import Table

from hermescape.views.numbers import plain
from numerics.best.alignment import BestAlignment, best_mu
from numerics.integrals.evaluate import as_double
from numerics.integrals.quadrature import Real
from numerics.rates.search_time import RateScale, Search, slowdown
from theory.network.system import System
from theory.search.critical import Approach, CriticalStrength, critical_strengths, isolates_exactly

__all__ = ["critical_parts", "critical_report", "escape_points", "escape_table", "plain"]

SHOWN = 8  # digits of a number in a table
LONGEST_ROOT = 50  # characters of an exact root in a table


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
    title = f"search phase of {loss.student.name} on {loss.teacher.name} ({_unit(searches[0].slowdown)})"
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


def _unit(factor: int) -> str:
    divided = f", lr divided by k! k = {factor}, the paper's scale" if factor > 1 else ""
    return f"tau in t = lr * steps{divided}"


def critical_report(system: System, rate_scale: RateScale = "raw") -> dict[str, Any]:
    """Return the critical strengths and the best one, as the JSON of `hermescape escape --critical` holds them."""
    factor, roots, best = slowdown(system, rate_scale), critical_strengths(system), best_mu(system)
    loss = system.loss_function
    return {
        "student": loss.student.name,
        "teacher": loss.teacher.name,
        "rate_scale": rate_scale,
        "slowdown": factor,
        "critical_mu": [float(c.mu) for c in roots],
        "exact": isolates_exactly(system),
        "critical": [_critical(c, factor) for c in roots],
        "best": _best(best, factor),
    }


def _critical(root: CriticalStrength, factor: int) -> dict[str, Any]:
    return {
        "mu": float(root.mu),
        "expression": sp.sstr(root.mu) if root.error == 0 else None,
        "error": float(root.error),
        "multiplicity": root.multiplicity,
        "sign_B": root.sign,
        "diverges": root.diverges,
        "order": root.order,
        "constant": float(factor * root.constant),
        "below": _side(root.below, factor),
        "above": None if root.above is None else _side(root.above, factor),
        "regime": root.regime,
    }


def _side(side: Approach, factor: int) -> dict[str, float]:
    return {"order": side.order, "constant": float(factor * side.constant)}


def _best(best: BestAlignment, factor: int) -> dict[str, Any]:
    return {
        "mu": float(best.mu),
        "tau": float(factor * best.tau),
        "error": best.error,
        "end": best.end,
        "attained": best.is_attained,
        "exact": best.exact,
    }


def critical_parts(report: dict[str, Any]) -> tuple[str | Table, ...]:
    """Return the parts that `hermescape escape --critical` prints."""
    head = f"critical strengths of {report['student']} on {report['teacher']} ({_unit(report['slowdown'])})"
    tier = "isolated with certainty" if report["exact"] else "found to a tolerance, by a scan of A in steps of 1/64"
    table = Table(show_edge=False, box=None, pad_edge=False)
    for column in ("mu_c", "root", "B", "tau below", "tau above", "at mu_c", "exactly"):
        table.add_column(column, overflow="fold")
    for c in report["critical"]:
        table.add_row(
            f"{c['mu']:.12g}",
            {1: "simple", 2: "double"}.get(c["multiplicity"], f"{c['multiplicity']}-fold"),
            {-1: "< 0", 0: "= 0", 1: "> 0"}[c["sign_B"]],
            _approach(c["below"]),
            "-" if c["above"] is None else _approach(c["above"]),
            c["regime"],
            _short_form(c),
        )
    count = f"roots of A in (0, 1]: {len(report['critical'])}, {tier}; x = |mu - mu_c|"
    return head, *([table] if report["critical"] else []), count, _best_line(report["best"])


def _approach(side: dict[str, Any]) -> str:
    power = {0: "", 1: "/x"}.get(side["order"], f"/x^{side['order']}")
    return f"{side['constant']:.6g}{power}"


def _short_form(row: dict[str, Any]) -> str:
    text = row["expression"]
    if text is None:
        return f"error {row['error']:.0e}"
    return text if len(text) < LONGEST_ROOT else "algebraic (see --json)"


def _best_line(best: dict[str, Any]) -> str:
    if not best["attained"]:
        return f"tau falls towards mu -> 0+, to {best['tau']:.8g}: it is shortest without pre-training"
    where = {"low": ", the lower end", "high": ", the upper end", None: ""}[best["end"]]
    tier = "certain" if best["exact"] else f"tolerance {best['error']:.0e}"
    return f"shortest tau = {best['tau']:.8g} at mu = {best['mu']:.8g}{where} ({tier})"


def _digits(value: Real, every: bool) -> str:
    """Return eight digits of a number; all of one of which digits were asked for."""
    if isinstance(value, sp.Float):
        return str(value if every else sp.Float(value, SHOWN))
    return f"{float(value):.{SHOWN}g}"
