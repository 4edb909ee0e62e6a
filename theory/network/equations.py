r"""What derived objects list of themselves: equations, each with a label, from the values that they are made of.

Gaussian variables: Z ~ N(0, 1); l and l* are the projections of x on w and w*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy as sp
from sympy import Expr, Symbol

from theory.calculus.expectations import is_closed, unevaluated
from theory.calculus.undefined import has_undefined
from theory.network.vectors import Combination
from theory.symbols import q, r, rho
from theory.typeset.layout import Equation
from theory.typeset.metrics import width
from theory.typeset.printing import latex, latex_of_factor
from theory.typeset.tree import parse

__all__ = [
    "A",
    "G",
    "arguments_of",
    "flow_of",
    "gradient_at_start",
    "jacobian_growth",
    "lora_growth",
    "no_slope",
    "on_sphere",
    "rate_in",
    "rate_of",
    "time_in",
    "weight_of",
]

LONGEST = 200  # operations; longer values of A, B and G are given by their definition only
LONGEST_RATE = 60  # the same for rates and search times, in A, B and G
A, B, G = sp.symbols("A B G", positive=True)
SMALLEST = r"\min \{k \geq 1 : \sigma_{k} \varphi_{k} \neq 0\}"
VECTORS = {"w*": "w_{*}", "w_s": "w_{s}", "w0": "w_{0}"}


# --- definitions and flow ---------------------------------------------------------------------------------------


def weight_of(combination: Combination) -> str:
    r"""Return a combination of vectors as LaTeX.

    >>> from theory.network.derivation import blank
    >>> weight_of(blank("lora").weight)
    '\\mu w_{*} + u v'
    """
    parts = [
        VECTORS.get(v.name, v.name) if c == 1 else f"{latex_of_factor(c)} {VECTORS.get(v.name, v.name)}"
        for v, c in combination.parts
    ]
    return " + ".join(parts)


def arguments_of(arguments: Mapping[Symbol, Expr]) -> tuple[Equation, ...]:
    """Return q and r in the states; where one is a state itself, as the inner product."""
    inner = {q: r"\langle w, w_{*} \rangle", r: r"\langle w, w \rangle"}
    return tuple(
        Equation.of(f"argument-{name}", name, inner[name] if arguments[name] == name else arguments[name])
        for name in (q, r)
    )


def flow_of(velocities: Mapping[Symbol, Expr], label: str = "flow") -> tuple[Equation, ...]:
    """Return the velocities of the states."""
    return tuple(Equation.of(f"{label}-{state}", rate_of(state), f) for state, f in velocities.items())


def rate_of(state: Symbol) -> str:
    """Return d(state)/dt."""
    return rf"\frac{{\mathrm{{d}} {latex(state)}}}{{\mathrm{{d}} t}}"


# --- search -----------------------------------------------------------------------------------------------------


def no_slope(states: Sequence[Symbol]) -> tuple[Equation, ...]:
    """Say that the loss has no gradient at the start."""
    start = ", ".join(map(latex, states))
    nowhere = r"\text{infinite (a jump or an infinite slope), no linearisation}"
    return (Equation.of("bend", rf"(L_{{q}}, L_{{r}}) \text{{ at }} ({start}) = 0", nowhere),)


def gradient_at_start(aligned: Expr | None, bend: Expr, square: Expr | None, length: Symbol) -> tuple[Equation, ...]:
    """Define A (aligned) or G^2, and B, and give their closed forms; |w0| is mu or rho."""
    at = r"\mu, \rho" if length == rho else r"\mu"
    where = rf"\;\Big|_{{q = \mu,\, r = {latex(length**2)}}}"
    curvature = Equation.of("bend", f"B({at})", rf"-2 L_{{r}}{where}", *_shown(bend))
    if aligned is not None:
        drive = Equation.of("drive", f"A({at})", rf"-L_{{q}} - 2 \mu L_{{r}}{where}", *_shown(aligned))
        return (drive, curvature)
    form = rf"L_{{q}}^{{2}} + 4 \mu L_{{q}} L_{{r}} + 4 {latex(length**2)} L_{{r}}^{{2}}{where}"
    return (Equation.of("slope", f"G({at})^{{2}}", form, *_shown(square)), curvature)


def rate_in(drive: Symbol, scale: Expr) -> Expr:
    """Return lambda_+ in B, A (or G) and the squared LoRA scale.

    >>> rate_in(A, sp.S.One)
    B/2 + sqrt(4*A**2 + B**2)/2
    """
    return (scale * B + _root(drive, scale)) / 2


def time_in(drive: Symbol, scale: Expr) -> Expr:
    """Return tau in B, A (or G) and the squared LoRA scale."""
    return (_root(drive, scale) - scale * B) / (2 * scale * drive**2)


def _root(drive: Symbol, scale: Expr) -> Expr:
    return sp.sqrt(scale**2 * B**2 + 4 * scale * drive**2)


def lora_growth(scale: Expr, drive: Symbol, rate: Expr | None, tau: Expr | None) -> tuple[Equation, ...]:
    """Return lambda_+ and tau in A or G, B and the squared LoRA scale; as closed forms where these are no longer."""
    growth, time = (latex(f(drive, scale)) for f in (rate_in, time_in))
    return (
        Equation.of("rate", r"\lambda_{+}", growth, *_shorter(rate, growth)),
        Equation.of("time", r"\tau", r"\frac{1}{\lambda_{+}}", time, *_shorter(tau, time)),
    )


def _shorter(value: Expr | None, form: str) -> list[str]:
    """Return a value as LaTeX where it takes no more room than its formula."""
    return [text for text in _shown(value, LONGEST_RATE) if width(parse(text)) <= width(parse(form))]


def jacobian_growth(rate: Expr | None, tau: Expr | None) -> tuple[Equation, ...]:
    """Return lambda_+ and tau where the velocities are not those of LoRA."""
    spectrum = r"\max \mathrm{Re}\, \mathrm{spec} \frac{\partial \dot{x}}{\partial x}"
    largest = Equation.of("rate", r"\lambda_{+}", spectrum, *_shown(rate, LONGEST_RATE))
    if tau is None:
        return (largest,)
    return (largest, Equation.of("time", r"\tau", r"\frac{1}{\lambda_{+}}", *_shown(tau, LONGEST_RATE)))


def on_sphere(exponent: int | Symbol, drift: Expr, tau: Expr | None) -> tuple[Equation, ...]:
    """Return information exponent, drift and search time of training on the sphere."""
    order = SMALLEST if isinstance(exponent, Symbol) else str(exponent)
    equations = (Equation.of("exponent", "k_{*}", order), Equation.of("drift", "c_{k_*}", drift))
    return equations if tau is None else (*equations, Equation.of("time", r"\tau", tau))


def _shown(value: Expr | None, longest: int = LONGEST) -> list[str]:
    """Return the value as LaTeX where it is short enough, and closed or one expectation of any functions."""
    if value is None or sp.count_ops(value) > longest:
        return []
    return [latex(value)] if is_closed(value) or (has_undefined(value) and len(unevaluated(value)) == 1) else []
