"""The words of the document of `theory.writing.document`, with formulas between dollars."""

from __future__ import annotations

import re

from sympy import Symbol

from theory.calculus.undefined import letter
from theory.language.activations import Activation
from theory.network.equations import rate_of
from theory.network.loss import Loss
from theory.network.system import System
from theory.symbols import y
from theory.typeset.layout import Equation
from theory.typeset.printing import latex
from theory.writing.blocks import Code, Emphasis, Math, Paragraph, Piece, prose

__all__ = [
    "AGAIN",
    "BY_PRICE",
    "EIGENVALUE",
    "FLAT",
    "LINEARISED",
    "ON_EDGE",
    "SUMS",
    "SUMS_ON_SPHERE",
    "TITLE",
    "UNSOLVED",
    "any_function",
    "caution",
    "complete",
    "conventions",
    "cut",
    "general_sums",
    "labels",
    "meaning",
    "named",
    "price",
    "slopes",
]

LONGEST_NAME = 40
TITLE = "From the population loss to the escape time"

INTEGRAL = r"\frac{2}{\sqrt{\pi}} \int_0^x e^{-z^2} \mathrm{d} z"
ERROR_FUNCTION = rf"$\operatorname{{erf}}(x) = {INTEGRAL}$, not $\operatorname{{erf}}(x/\sqrt{{2}})$. "


def conventions(*, of_any: bool = False) -> Paragraph:
    """Return the conventions; `of_any`: of functions without a formula, among which is no error function."""
    said = (
        rf" Time is $t = \eta \times$ number of steps, with $\eta$ the step size. {'' if of_any else ERROR_FUNCTION}"
        r"$\mathrm{He}_k$ is the probabilists' Hermite polynomial, unnormalised: "
        r"$\mathrm{He}_2(x) = x^2 - 1$. $Z \sim \mathcal{N}(0, 1)$, and $\mathbb{E}_{r}[f] = \mathbb{E} "
        r"f(\sqrt{r} Z)$. Derivatives are meant in the sense of distributions."
    )
    return Paragraph((Emphasis("Conventions."), *prose(said)))


AGAIN = {
    "moments": "Moments of a Gaussian:",
    "mass": "Conditioning on a point mass:",
    "tilting": "Tilting:",
    "stein": "By Stein's lemma:",
    "one gate": "One gate:",
    "sheppard": "Two centred gates:",
    "two gates": "Two gates:",
    "odd gates": "By symmetry:",
}


BY_PRICE = "By Price's theorem [@price1958] its derivatives are kernels again:"
UNSOLVED = "Not every expectation has a closed form; those left are computed by quadrature, with an error estimate:"

ON_EDGE = (
    r"Here $\ell = \mu Z$ and $\ell^{*} = Z$ are one Gaussian variable, and Stein's lemma [@stein1981] has left no "
    r"second derivative in $A$, which is $-\mathrm{d} L(\mu, \mu^{2}) / \mathrm{d} \mu$."
)

SUMS = (
    r"Term by term, with $\frac{\mathrm{d}}{\mathrm{d} r} \left(\sigma_{k}^{[r]} / r^{k}\right) = \sigma_{k + 2}^{[r]} "
    r"/ (2 r^{k + 2})$, all of this is a sum over Hermite coefficients:"
)
SUMS_ON_SPHERE = r"At $r = 1$, with $\sigma_{k} = \sigma_{k}^{[1]}$, all of this is a sum over Hermite coefficients:"

LINEARISED = (
    "The start $(%s) = 0$ is a fixed point. Linearised there, $u$ couples to the overlaps and these to $u$ only, "
    r"so that at most one direction grows, at rate $\lambda_{+}$:"
)

EIGENVALUE = (
    "The search grows at the largest rate of the flow linearised at its start, an eigenvalue of the Jacobian of the "
    "velocities, $x$ the states:"
)

FLAT = (
    "The gradient of the loss vanishes at every such start: no direction is driven to first order, and there is no "
    "search time."
)


def any_function(names: tuple[str, ...]) -> Paragraph:
    """Return what is assumed of functions without a formula."""
    letters = [f"${letter(name)}$" for name in names]
    which, are = ("functions", "are") if len(letters) > 1 else ("function", "is")
    return Paragraph.of(
        f"The {which} {' and '.join(letters)} {are} arbitrary: as often differentiable as the formulas below require, "
        "a derivative of a slope that jumps being a distribution, and such that the expectations in them exist."
    )


def cut(order: int) -> str:
    """Say where the sums end."""
    return (
        f"With the terms $k \\leq {order}$ of every sum written out, and those of $k > {order}$ left out, which the "
        "dots stand for:"
    )


def complete(order: int) -> str:
    """Say that nothing is left out."""
    return f"Student and teacher are polynomials of degree ${order}$ at most, so that these sums are finite:"


def general_sums(system: System) -> tuple[Equation, ...]:
    """Return kernel, loss, drive and bend, or the flow on the sphere, as sums over Hermite coefficients."""
    escape, given, is_squared = system.escape, system.loss_function.labels, bool(system.loss_function.own)
    own, other, overlap, power = (
        (r"\sigma_{k}", r"\varphi_{k}", latex(system.states[0]), "")
        if escape.on_sphere
        else (r"\sigma_{k}^{[r]}", r"\varphi_{k}", "q", "r^{k}")
    )
    at, below = (f"{overlap}, 1", "") if escape.on_sphere else ("q, r", r"\, r^{k}")
    square = f"{own}^{{2}}" if escape.on_sphere else f"({own})^{{2}}"
    kernel = rf"\sum_{{k \geq 0}} \frac{{{own} {other}}}{{k!{below}}} {overlap}^{{k}}"
    terms = rf"{square if is_squared else ''} - 2 {own} {other} {overlap}^{{k}} + {power} {other}^{{2}}".strip()
    rest = "" if given.noise == 0 else rf" + \frac{{{latex(given.noise)}}}{{2}}"
    known = [Equation.of("sums-kernel", f"K({at})", kernel)] if system.loss_function.has_formula else []
    if given.transform == y:
        loss = rf"\sum_{{k \geq 0}} \frac{{{terms}}}{{2\, k!{below}}}{rest}"
        known.append(Equation.of("sums-loss", f"L({at})", loss))
    if escape.A is not None:
        here, beyond = r"\sigma_{k}^{[\mu^{2}]}", r"\sigma_{k + 2}^{[\mu^{2}]}"
        apart, less = (rf"(\mu^{{k}} {other} - {here})", rf" - k \mu^{{2}} ({here})^{{2}}")
        if not is_squared:
            apart, less = rf"\mu^{{k}} {other}", ""
        drive = rf"\frac{{(k \mu^{{2}} {here} + {beyond}) {apart}}}{{k!\, \mu^{{2 k + 3}}}}"
        bend = rf"\frac{{{beyond} {apart}{less}}}{{k!\, \mu^{{2 k + 4}}}}"
        known.append(Equation.of("sums-drive", r"A(\mu)", rf"\sum_{{k \geq 0}} {drive}"))
        known.append(Equation.of("sums-bend", r"B(\mu)", rf"\sum_{{k \geq 0}} {bend}"))
    if escape.on_sphere:
        flow = rf"(1 - {overlap}^{{2}}) \sum_{{k \geq 1}} \frac{{{own} {other}}}{{(k - 1)!}} {overlap}^{{k - 1}}"
        known.append(Equation.of("sums-flow", rate_of(system.states[0]), flow))
    return tuple(known)


def price(loss: Loss) -> tuple[Equation, ...]:
    """Return the definition of the loss and, by Price's theorem, its slopes."""
    square, bend = (
        (r"\frac{1}{2} \mathbb{E}_{r}[\sigma^{2}]", r"\frac{1}{4} \mathbb{E}_{r}[(\sigma^{2})'']")
        if loss.own
        else ("", "")
    )
    return (
        Equation.of(
            "loss-definition", "L(q, r)", rf"{square} - K(q, r) + \frac{{1}}{{2}} \mathbb{{E}}[y^{{2}}]".strip()
        ),
        Equation.of("price-q", "L_{q}", r"-\mathbb{E}[\sigma'(\ell)\, \varphi'(\ell^{*})]"),
        Equation.of(
            "price-r", "L_{r}", rf"{bend} - \frac{{1}}{{2}} \mathbb{{E}}[\sigma''(\ell)\, \varphi(\ell^{{*}})]".strip()
        ),
    )


def caution(system: System) -> str:
    """Say what the correlation loss leaves out, and what of the student's sizes it does not hold."""
    network = system.network
    sizes = [latex(part) if isinstance(part, Symbol) else f"|{part.name}|" for part in network.unheld]
    said = (
        "It has no term of the student's own and may be negative; $L_{q}$ is that of the squared loss, and on the "
        "sphere, where $L_{r}$ plays no part, so is the flow [@benarous2021]."
    )
    if not sizes:
        return said
    held = "Nothing but weight decay" if set(network.unheld) & set(network.penalty) else "Nothing"
    return (
        f"{said} {held} holds ${', '.join(sizes)}$, which may grow without bound: the time until $|m|$ reaches a "
        "threshold is defined, an end of training is not."
    )


def labels(system: System, target: str) -> str:
    """Return the definition of the labels."""
    given = system.loss_function.written.labels
    noise = "" if given.noise == 0 else rf" + \sqrt{{{latex(given.noise)}}}\, \xi"
    if given.transform == y:
        return rf"$y = \varphi(\langle {target}, x \rangle){noise}$"
    return (
        rf"$y = \mathcal{{T}}(\varphi_{{0}}(\langle {target}, x \rangle){noise})$ with $\mathcal{{T}}(y) = "
        rf"{latex(given.transform)}$, $\varphi_{{0}}(x) = {latex(given.link.expr)}$ and $\varphi$ the mean of $y$ "
        rf"given $\langle {target}, x \rangle$"
    )


def named(f: Activation, symbol: str) -> Piece:
    """Return the name of an activation, or its symbol where that is too long for a title; of no formula its LaTeX."""
    if f.undefined and len(f.name) <= LONGEST_NAME:
        return Math(latex(f.unresolved))
    name = " ".join(f.name.split())
    return Code(name) if len(name) <= LONGEST_NAME else Math(symbol)


FORMULA = re.compile(r"<[^<>]*>|\|w0\||d\w/d\w|w = .*$")


def meaning(text: str) -> str:
    r"""Return a meaning of `theory.symbols` with its formulas in mathematics mode.

    >>> meaning("overlap <v, w0>")
    'overlap $\\langle v, w_{0} \\rangle$'
    """

    def formula(match: re.Match[str]) -> str:
        inside = match[0].replace("<", r"\langle ").replace(">", r" \rangle")
        inside = inside.replace("w0", "w_{0}").replace("w*", "w_{*}").replace("w_s", "w_{s}")
        inside = re.sub(r"d(\w)/d(\w)", r"\\partial \1/\\partial \2", inside)
        return f"${inside.replace('alpha', chr(92) + 'alpha')}$"

    return FORMULA.sub(formula, text)


def slopes(text: str) -> str:
    """Return words with L_q and L_r in mathematics mode.

    >>> slopes("kernels: L_q")
    'kernels: $L_{q}$'
    """
    return re.sub(r"\bL_([qr])\b", r"$L_{\1}$", text)
