"""What `hermescape escape --critical` prints: where tau diverges, and where it is shortest."""

from __future__ import annotations

from typing import Any

import sympy as sp
from rich.table import Table

from hermescape.verdict import Alignments
from hermescape.views.certificate import isolation_report
from hermescape.views.numbers import above, error_of
from hermescape.views.search import slowed
from numerics.best.alignment import BestAlignment
from numerics.rates.search_time import RateScale, slowdown
from theory.network.objectives import objective
from theory.network.system import System
from theory.search.critical import Approach, CriticalStrength, isolates_exactly
from theory.shown import decimal

__all__ = ["critical_parts", "critical_report", "extent"]

LONGEST_ROOT = 50  # characters of an exact root in a table


def critical_report(
    system: System, rate_scale: RateScale = "raw", alignments: Alignments | None = None
) -> dict[str, Any]:
    """Return the critical strengths and the best one, as the JSON of `hermescape escape --critical` holds them.

    They are found where `alignments` are not given.
    """
    factor, (roots, best, isolation) = slowdown(system, rate_scale), alignments or Alignments.of(system)
    loss = system.loss_function
    return {
        "student": loss.student.name,
        "teacher": loss.teacher.name,
        "objective": system.network.objective,
        "rate_scale": rate_scale,
        "slowdown": factor,
        "critical_mu": [float(c.mu) for c in roots],
        "exact": isolates_exactly(system),
        **isolation_report(isolation),
        "critical": [_critical(c, factor) for c in roots],
        "best": _best(best, factor),
    }


def _critical(root: CriticalStrength, factor: int) -> dict[str, Any]:
    return {
        "mu": float(root.mu),
        "expression": sp.sstr(root.mu) if root.error == 0 else None,
        "definition": root.definition,
        "latex": root.latex,
        "error": above(root.error, float(root.mu), root.mu),
        "certified": root.certified,
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
        "error": above(best.error, float(best.mu), best.mu) if best.is_attained else best.error,
        "certified": best.exact,
        "end": best.end,
        "attained": best.is_attained,
        "exact": best.exact,
    }


def critical_parts(report: dict[str, Any]) -> tuple[str | Table, ...]:
    """Return the parts that `hermescape escape --critical` prints."""
    pair = f"{report['student']} on {report['teacher']}{objective(report['objective']).aside}"
    head = f"critical strengths of {pair} ({slowed(report['slowdown'])})"
    table = Table(show_edge=False, box=None, pad_edge=False)
    for column in ("mu_c", "root", "B", "tau below", "tau above", "at mu_c", "exactly"):
        table.add_column(column, overflow="fold")
    for c in report["critical"]:
        table.add_row(
            decimal(c["mu"]),
            {1: "simple", 2: "double"}.get(c["multiplicity"], f"{c['multiplicity']}-fold"),
            {-1: "< 0", 0: "= 0", 1: "> 0"}[c["sign_B"]],
            _approach(c["below"]),
            "-" if c["above"] is None else _approach(c["above"]),
            c["regime"],
            _short_form(c),
        )
    return head, *([table] if report["critical"] else []), _count_line(report), _best_line(report["best"])


def _count_line(report: dict[str, Any]) -> str:
    where, tier = extent(report)
    return f"roots of A in {where}: {len(report['critical'])}, {tier}; x = |mu - mu_c|"


def extent(report: dict[str, Any]) -> tuple[str, str]:
    """Return where the roots of A were looked for, and how surely they are all."""
    low, scan = report["complete_from"], "found to a tolerance, by a scan of A in steps of 1/64"
    if report["exact"]:
        return "(0, 1]", "isolated with certainty"
    if low is not None:
        return f"[{low:.10g}, 1]", "proved to be all"
    if report["reason"]:
        return "(0, 1]", f"{scan} (not certified: {report['reason'].rstrip('.')})"
    open_ends = ", ".join(f"[{a:.8g}, {b:.8g}]" for a, b in report["undecided"])
    return "(0, 1]", f"proved to be all but for {open_ends}: there undecided, and {scan}"


def _approach(side: dict[str, Any]) -> str:
    power = {0: "", 1: "/x"}.get(side["order"], f"/x^{side['order']}")
    return f"{side['constant']:.6g}{power}"


def _short_form(row: dict[str, Any]) -> str:
    if row["error"] and row["expression"] is None:
        return f"error {error_of(row['error'], certified=row['certified'])}"
    text = row["definition"]
    return text if len(text) < LONGEST_ROOT else "algebraic (see --json)"


def _best_line(best: dict[str, Any]) -> str:
    if not best["attained"]:
        return f"tau falls towards mu -> 0+, to {best['tau']:.8g}: it is shortest without pre-training"
    if best["end"] == "everywhere":
        return f"tau = {best['tau']:.8g} at every mu (certain)"
    where = {"low": ", the lower end", "high": ", the upper end", None: ""}[best["end"]]
    tier = "certain" if best["exact"] else f"tolerance {best['error']:.0e}"
    return f"shortest tau = {best['tau']:.8g} at mu = {best['mu']:.8g}{where} ({tier})"
