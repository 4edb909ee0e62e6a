r"""The equations of a derived object, and how they show in Jupyter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy as sp
from sympy import Expr, Symbol

from theory.calculus.expectations import is_closed
from theory.symbols import mu, q, r, rho
from theory.typeset.layout import Equation, Page, align
from theory.typeset.lines import Names
from theory.typeset.printing import latex

if TYPE_CHECKING:
    from theory.language.activations import Activation
    from theory.network.linearisation import Escape
    from theory.network.loss import Loss
    from theory.network.system import System
    from theory.network.vectors import Combination

__all__ = [
    "activation_equations",
    "equations",
    "escape_equations",
    "loss_equations",
    "of_definitions",
    "of_escape",
    "of_flow",
    "of_loss",
    "weight",
]

SCREEN = Page(line=60.0)
LONGEST = 200  # operations; longer values of A, B and G are given by their definition only
LONGEST_RATE = 60  # the same for rates and search times, in A, B and G
VECTORS = {"w*": "w_{*}", "w_s": "w_{s}", "w0": "w_{0}"}


def equations(system: System) -> str:
    r"""Return loss, chain-rule form, ODEs and linearisation as `align*` blocks (amsmath, amssymb).

    Gaussian variables: Z ~ N(0, 1); l and l* are the projections of x on w and w*.

    >>> from theory.network.derivation import derive
    >>> print(equations(derive("linear", model="plain")))
    \begin{align*}
    \sigma(x) &= x \\
    \varphi(x) &= x \\
    w &= v \\
    q &= m \\
    r &= 1 \\
    L(q, r) &= \frac{r}{2} - q + \frac{1}{2} \\
    L_{q} &= -1 \\
    L_{r} &= \frac{1}{2} \\
    \frac{\mathrm{d} m}{\mathrm{d} t} &= L_{q} \left(m - 1\right) \left(m + 1\right) \\
    k_{*} &= 1 \\
    c_{k_*} &= 1
    \end{align*}
    """
    found = [*of_definitions(system), *of_loss(system.loss_function), *of_flow(system), *of_escape(system.escape)]
    return align(found, SCREEN, Names())


def loss_equations(loss: Loss) -> str:
    """Return the population loss and its derivatives as `align*` blocks."""
    return align([*_links(loss), *of_loss(loss)], SCREEN, Names())


def escape_equations(escape: Escape) -> str:
    """Return the linearised search phase as `align*` blocks."""
    return align([*_links(escape.loss), *of_escape(escape)], SCREEN, Names())


def activation_equations(sigma: Activation) -> str:
    """Return the activation as an `align*` block."""
    return align([Equation.of("student", r"\sigma(x)", latex(sigma.expr))], SCREEN, Names())


def of_definitions(system: System) -> list[Equation]:
    """Return sigma, phi, w, and q and r in the states."""
    return [
        *_links(system.loss_function),
        Equation.of("weight", "w", weight(system.network.weight)),
        *(_definition(name, system.entries[name]) for name in (q, r)),
    ]


def _definition(name: Symbol, value: Expr) -> Equation:
    """Define q or r in the states; where it is a state itself, as the inner product."""
    inner = r"\langle w, w \rangle" if name == r else r"\langle w, w_{*} \rangle"
    return Equation.of(f"argument-{name}", latex(name), inner if value == name else latex(value))


def _links(loss: Loss) -> list[Equation]:
    return [
        Equation.of("student", r"\sigma(x)", latex(loss.student.expr)),
        Equation.of("teacher", r"\varphi(x)", latex(loss.teacher.expr)),
    ]


def weight(combination: Combination) -> str:
    r"""Return a combination of vectors as LaTeX.

    >>> from theory.network.models import AlignedLoRA
    >>> weight(AlignedLoRA().weight)
    '\\mu w_{*} + u v'
    """
    parts = [
        VECTORS.get(v.name, v.name) if c == 1 else f"{latex(c)} {VECTORS.get(v.name, v.name)}"
        for v, c in combination.parts
    ]
    return " + ".join(parts)


def of_loss(loss: Loss) -> list[Equation]:
    """Return L, L_q and L_r in q and r."""
    slope, bend = loss.gradient()
    return [
        Equation.of("loss", "L(q, r)", latex(loss.expr)),
        Equation.of("loss-q", "L_{q}", latex(slope)),
        Equation.of("loss-r", "L_{r}", latex(bend)),
    ]


def of_flow(system: System) -> list[Equation]:
    """Return the velocities of the states in chain-rule form."""
    return [Equation.of(f"flow-{state}", rate_of(state), latex(f)) for state, f in system.velocities.items()]


def rate_of(state: Symbol) -> str:
    """Return d(state)/dt."""
    return rf"\frac{{\mathrm{{d}} {latex(state)}}}{{\mathrm{{d}} t}}"


def of_escape(escape: Escape) -> list[Equation]:
    """Return what there is of A, B, G, growth rate and search time."""
    if not escape.is_linear:
        return _of_sphere(escape)
    if escape.B is None:
        start = ", ".join(map(latex, escape.states))
        nowhere = r"\text{infinite (a jump or an infinite slope), no linearisation}"
        return [Equation.of("bend", rf"(L_{{q}}, L_{{r}}) \text{{ at }} ({start}) = 0", nowhere)]
    return [*_gradient_at_start(escape, escape.B), *([] if escape.G2 == 0 else _growth(escape))]


def _gradient_at_start(escape: Escape, curvature: Expr) -> list[Equation]:
    """Define A (aligned) or G, and B, and give their closed forms."""
    strength, at = (rho, r"\mu, \rho") if rho in escape.network.parameters else (mu, r"\mu")
    where = rf"\;\Big|_{{q = \mu,\, r = {latex(strength**2)}}}"
    bend = Equation.of("bend", f"B({at})", rf"-2 L_{{r}}{where}", *_shown(curvature))
    if escape.A is not None:
        return [Equation.of("drive", f"A({at})", rf"-L_{{q}} - 2 \mu L_{{r}}{where}", *_shown(escape.A)), bend]
    form = rf"L_{{q}}^{{2}} + 4 \mu L_{{q}} L_{{r}} + 4 {latex(strength**2)} L_{{r}}^{{2}}{where}"
    return [Equation.of("slope", f"G({at})^{{2}}", form, *_shown(escape.G2)), bend]


def _growth(escape: Escape) -> list[Equation]:
    """Return lambda_+ and tau in A (or G), B and the LoRA scale, and as closed forms where these are short."""
    if escape.square is None:
        return _of_jacobian(escape)
    scale = escape.square
    drive = ("A" if escape.A is not None else "G") + "^{2}"
    trace, square = _times(scale, "B"), _times(scale**2, "B^{2}")
    root = rf"\sqrt{{{square} + {_times(4 * scale, drive)}}}"
    ratio = rf"\frac{{-{trace} + {root}}}{{{_times(2 * scale, drive)}}}"
    return [
        Equation.of("rate", r"\lambda_{+}", rf"\frac{{{trace} + {root}}}{{2}}", *_shown(escape.rate, LONGEST_RATE)),
        Equation.of("time", r"\tau", r"\frac{1}{\lambda_{+}}", ratio, *_shown(escape.tau, LONGEST_RATE)),
    ]


def _of_jacobian(escape: Escape) -> list[Equation]:
    """Give lambda_+ and tau where the velocities are not those of LoRA."""
    shown = [] if escape.rate is None else _shown(escape.rate, LONGEST_RATE)
    found = [
        Equation.of(
            "rate", r"\lambda_{+}", r"\max \mathrm{Re}\, \mathrm{spec} \frac{\partial \dot{x}}{\partial x}", *shown
        )
    ]
    if escape.tau is not None:
        found.append(Equation.of("time", r"\tau", r"\frac{1}{\lambda_{+}}", *_shown(escape.tau, LONGEST_RATE)))
    return found


def _times(factor: Expr, symbol: str) -> str:
    return symbol if factor == 1 else f"{latex(factor)} {symbol}"


def _shown(value: Expr | None, longest: int = LONGEST) -> list[str]:
    """Return the value as LaTeX where it is closed and short enough."""
    if value is None or not is_closed(value) or sp.count_ops(value) > longest:
        return []
    return [latex(value)]


def _of_sphere(escape: Escape) -> list[Equation]:
    """Return information exponent, drift and search time of training on the sphere."""
    if escape.network.start is None or escape.exponent is None or escape.drift is None:
        return []
    found = [
        Equation.of("exponent", "k_{*}", str(escape.exponent)),
        Equation.of("drift", "c_{k_*}", latex(escape.drift)),
    ]
    return found + ([Equation.of("time", r"\tau", latex(escape.tau))] if escape.tau is not None else [])
