"""What the commands print: plain dictionaries for JSON, tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import sympy as sp
from rich.table import Table
from sympy import Expr, Symbol

from hermescape.checking import Report
from numerics.evaluate import evaluator
from numerics.search import Search
from numerics.statistics import ExitSample
from theory.expectations import is_closed
from theory.hermite import coefficients
from theory.symbols import mu, q, r, x
from theory.system import System

if TYPE_CHECKING:
    from numerics.quadrature import Estimate

__all__ = [
    "check_lines",
    "derivation",
    "derivation_table",
    "escape_points",
    "escape_table",
    "exit_summary",
    "exit_table",
    "save_check_plot",
]

SHOWN_COEFFICIENTS = 7
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


def _text(expr: Expr | None) -> str | None:
    """Return SymPy text, or None where there is nothing closed to print."""
    return sp.sstr(expr) if expr is not None and is_closed(expr) else None


def derivation(system: System) -> dict[str, object]:
    """Return the JSON object of `hermescape derive`."""
    loss, escape = system.loss_function, system.escape
    return {
        "student": loss.student.name,
        "teacher": loss.teacher.name,
        "model": system.model.name,
        "information_exponent": system.information_exponent,
        "exact": system.is_exact,
        "loss": _text(system.loss),
        "odes": {state.name: sp.sstr(f) for state, f in system.odes.items()},
        "A": _text(escape.A),
        "B": _text(escape.B),
        "tau": _text(escape.tau),
    }


def derivation_table(system: System) -> tuple[str | Table, ...]:
    """Return the parts that `hermescape derive` prints."""
    loss, escape = system.loss_function, system.escape
    head = f"student {loss.student}    teacher {loss.teacher}    model {system.model.name}"
    exponent = system.information_exponent
    table = Table(show_edge=False, pad_edge=False, box=None)
    for column in ("quantity", "tier", "expression"):
        table.add_column(column, overflow="fold")
    for k, c in enumerate(coefficients(loss.student, SHOWN_COEFFICIENTS - 1)):
        table.add_row(f"sigma_{k}", *_coefficient(c))
    gradient = loss.gradient()
    table.add_row("L(q, r)", _tier((system.loss,), (q, r)), sp.sstr(system.loss))
    for state, f in system.odes.items():
        table.add_row(f"d{state}/dt", _tier(gradient, (q, r)), sp.sstr(f))
    if not system.is_exact:
        for name, f in zip(("L_q", "L_r"), gradient, strict=True):
            table.add_row(name, _tier((f,), (q, r)), sp.sstr(f))
    if escape.A is not None and escape.B is not None:
        table.add_row("A(mu)", _tier((escape.A,), (mu,)), sp.sstr(escape.A))
        table.add_row("B(mu)", _tier((escape.B,), (mu,)), sp.sstr(escape.B))
    if escape.tau is not None:
        closed = is_closed(escape.tau)
        text = sp.sstr(escape.tau) if closed else "(sqrt(B**2 + 4*A**2) - B)/(2*A**2)"
        table.add_row("tau", _tier((escape.tau,), (mu,)), text)
    notes = [f"information exponent {'none: trapped at m = 0' if exponent is None else exponent}"]
    notes.append("time t = lr * steps; He_k probabilists', sigma_k = E[He_k(Z) sigma(Z)], q = <w, w*>, r = <w, w>")
    if escape.A is None and system.model.name == "lora":
        notes.append(
            "no rate: the student jumps or has an infinite slope, so that L_r is infinite at the aligned start"
        )
    if not system.is_exact:
        notes.append(
            "GaussianKernel(f, g, q, r) = E f(l) g(l*), GaussianMean(f, M, v) = E f(M + sqrt(v) Z), by quadrature"
        )
    return head, notes[0], table, *notes[1:]


def _tier(expressions: tuple[Expr, ...], at: tuple[Symbol, ...]) -> str:
    """Return exact, or quadrature with the error at 1/2 (mu, or q and r)."""
    if all(map(is_closed, expressions)):
        return "exact"
    error = max(estimate.error for estimate in evaluator(at, expressions)(*[0.5] * len(at)))
    where = " = ".join(symbol.name for symbol in at)
    return f"quadrature (error {error:.0e} at {where} = 1/2)"


def _coefficient(c: Expr) -> tuple[str, str]:
    if is_closed(c):
        return "exact", sp.sstr(c)
    estimate: Estimate = evaluator((x,), (c,))(0.0)[0]
    return f"quadrature (error {estimate.error:.1g})", f"{estimate.value:.14g}"


def escape_points(found: Sequence[Search]) -> list[dict[str, float | None]]:
    """Return the JSON points of `hermescape escape`; tau is null where it is infinite."""
    return [{"mu": s.mu, "A": s.A, "B": s.B, "rate": s.rate, "tau": s.tau, "error": s.error} for s in found]


def escape_table(system: System, found: Sequence[Search]) -> Table:
    """Return the table of `hermescape escape`."""
    loss = system.loss_function
    title = f"search phase of {loss.student.name} on {loss.teacher.name} (tau in t = lr * steps)"
    table = Table(title=title, show_edge=False, box=None, title_justify="left")
    for column in ("mu", "A", "B", "rate", "tau", "error of tau"):
        table.add_column(column, justify="right")
    for s in found:
        tau = "infinite" if s.tau is None else f"{s.tau:.8g}"
        error = "exact" if s.error == 0 else f"{s.error:.1e}"
        table.add_row(f"{s.mu:g}", f"{s.A:.8g}", f"{s.B:.8g}", f"{s.rate:.8g}", tau, error)
    return table


def exit_summary(sample: ExitSample) -> dict[str, object]:
    """Return the JSON object of `hermescape simulate`; steps are null where too many runs are censored."""
    counts = sample.counts
    return {
        "exit_steps": {
            "median": sample.median,
            "mean": sample.mean,
            "interval": list(sample.median_interval(0.95)),
            "quantiles": {str(level): value for level, value in sample.quantiles(LEVELS).items()},
        },
        "replicas": len(sample.status),
        "censored": counts.censored,
        "diverged": counts.diverged,
        "settings": sample.experiment.parameters(),
    }


def exit_table(sample: ExitSample) -> Table:
    """Return the table of `hermescape simulate`."""
    counts, setting = sample.counts, sample.experiment
    table = Table(title="exit of one-pass SGD", show_edge=False, box=None, title_justify="left")
    for column in ("quantity", "steps", "t = lr * steps"):
        table.add_column(column, justify="left" if column == "quantity" else "right")
    low, high = sample.median_interval(0.95)
    rows = [("median", sample.median), ("  95 % interval, lower", low), ("  95 % interval, upper", high)]
    rows += [("mean", sample.mean)]
    rows += [(f"quantile {level:g}", value) for level, value in sample.quantiles(LEVELS).items()]
    for name, steps in rows:
        time = sample.to_time(steps)
        table.add_row(name, _number(steps), _number(time))
    table.add_row("replicas", str(len(sample.status)), "")
    table.add_row("exited, censored, diverged", f"{counts.exited}, {counts.censored}, {counts.diverged}", "")
    table.add_row("kappa = lr d / batch", f"{setting.step_size * setting.dimension / setting.batch:.4g}", "")
    return table


def _number(value: float | None) -> str:
    return "not reached" if value is None else f"{value:.6g}"


def check_lines(report: Report) -> tuple[str | Table, ...]:
    """Return the parts that `hermescape check` prints."""
    settings = report.settings
    batches = sorted(set(report.batches))
    head = (
        f"{settings['student']} on {settings['teacher']}: d = {settings['d']}, lr = {settings['lr']:.4g}, "
        f"batch = {', '.join(map(str, batches))}, {settings['replicas']} runs each, exit at |m| = "
        f"{settings['threshold']:g}, seed {settings['seed']}; times in t = lr * steps"
    )
    table = Table(show_edge=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("mu", "tau", "flow exit", "predicted", "SGD exit", "99 % interval", "tolerance", "verdict"):
        table.add_column(column, justify="left" if column == "verdict" else "right", no_wrap=True)
    notes = []
    for row in report.rows:
        low, high = row.sgd_interval
        verdict, _, reason = row.verdict.partition(": ")
        if reason:
            notes.append(f"mu = {row.mu:g}: {reason}")
        if row.censored or row.diverged:
            notes.append(f"mu = {row.mu:g}: {row.censored} runs censored, {row.diverged} diverged")
        table.add_row(
            f"{row.mu:g}",
            "infinite" if row.tau is None else f"{row.tau:.5g}",
            _short(row.flow_exit),
            _short(row.prediction),
            _short(row.sgd_exit),
            f"{_short(low)}..{_short(high)}",
            _short(row.tolerance),
            verdict,
        )
    tail = (
        "flow exit: median over m0 = Z/sqrt(d). predicted: with kappa drift, gradient noise in u and finite lr. "
        "They agree if predicted lies in the interval widened by |predicted - flow exit| + lr + predicted/sqrt(d)."
    )
    return head, table, *notes, tail, "passed" if report.passed else "FAILED: at least one row does not agree"


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def save_check_plot(report: Report, path: Path) -> None:
    """Draw prediction against measurement and save it."""
    from numerics.plots import check_figure

    settings = report.settings
    title = f"{settings['student']} on {settings['teacher']}, d = {settings['d']}, {settings['replicas']} runs each"
    figure = check_figure([row for row in report.rows if row.flow_exit is not None], title)
    figure.savefig(path, dpi=160)
