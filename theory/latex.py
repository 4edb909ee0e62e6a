r"""Equations as LaTeX: one align block for a derived system. No algebra here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy as sp
from sympy import Expr, Symbol

from theory.expectations import is_closed
from theory.symbols import J, L_q, L_r, mu, q, r, t

if TYPE_CHECKING:
    from theory.system import System

__all__ = ["equations"]

NAMES = {L_q: "L_q", L_r: "L_r", J: "J"}


def _latex(expr: Expr) -> str:
    return sp.latex(expr, symbol_names=NAMES, ln_notation=False, inv_trig_style="full")


def _line(left: str, right: str) -> str:
    return rf"{left} &= {right}"


def equations(system: System) -> str:
    r"""Return loss, chain-rule form, ODEs and linearisation as one `align*` block (amsmath, amssymb).

    Gaussian variables: Z ~ N(0, 1); l and l* are the projections of x on w and w*.

    >>> from theory.dynamics import derive
    >>> print(equations(derive("linear", model="plain")))
    \begin{align*}
    \sigma(x) &= x, \qquad \varphi(x) = x \\
    q &= m, \qquad r = 1 \\
    L(q, r) &= - q + \frac{r}{2} + \frac{1}{2} \\
    L_q &= -1, \qquad L_r = \frac{1}{2} \\
    \frac{\mathrm{d} m}{\mathrm{d} t} &= L_q \left(m - 1\right) \left(m + 1\right)
    \end{align*}
    """
    loss, escape = system.loss_function, system.escape
    slope, bend = loss.gradient()
    lines = [
        _line(r"\sigma(x)", rf"{_latex(loss.student.expr)}, \qquad \varphi(x) = {_latex(loss.teacher.expr)}"),
        _line("q", rf"{_latex(system.arguments[q])}, \qquad r = {_latex(system.arguments[r])}"),
        _line("L(q, r)", _latex(loss.expr)),
        *_pair("L_q", slope, "L_r", bend),
        *(_line(_rate(state), _latex(system.velocities[state])) for state in system.states),
    ]
    if escape.A is not None and escape.B is not None:
        closed = is_closed(escape.A) and is_closed(escape.B)
        start = rf"\right|_{{q = {_latex(mu)},\, r = {_latex(mu**2)}}}"
        forms = (escape.A, escape.B) if closed else (-(L_q + 2 * mu * L_r), -2 * L_r)
        for name, form in zip("AB", forms, strict=True):
            lines.append(_line(f"{name}({_latex(mu)})", _latex(form) if closed else rf"\left. {_latex(form)} {start}"))
        lines.append(_line(r"\lambda_+", r"\frac{B + \sqrt{B^2 + 4 A^2}}{2}"))
        shown = escape.tau is not None and is_closed(escape.tau) and sp.count_ops(escape.tau) < 60
        lines.append(_line(r"\tau", _latex(escape.tau) if shown and escape.tau is not None else r"1 / \lambda_+"))
    body = " \\\\\n".join(lines)
    return "\\begin{align*}\n" + body + "\n\\end{align*}"


def _pair(left: str, f: Expr, right: str, g: Expr) -> list[str]:
    if sp.count_ops(f) + sp.count_ops(g) < 20:
        return [_line(left, rf"{_latex(f)}, \qquad {right} = {_latex(g)}")]
    return [_line(left, _latex(f)), _line(right, _latex(g))]


def _rate(state: Symbol) -> str:
    return rf"\frac{{\mathrm{{d}} {_latex(state)}}}{{\mathrm{{d}} {_latex(t)}}}"
