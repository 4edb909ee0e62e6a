"""The words of the document of `theory.writing.document`, with formulas between dollars."""

from __future__ import annotations

import re

from sympy import Symbol

from theory.language.activations import Activation
from theory.network.loss import Loss
from theory.network.system import System
from theory.symbols import y
from theory.typeset.layout import Equation
from theory.typeset.printing import latex
from theory.writing.blocks import Code, Emphasis, Math, Paragraph, Piece, prose

__all__ = [
    "AGAIN",
    "CONVENTIONS",
    "EIGENVALUE",
    "FLAT",
    "LINEARISED",
    "TITLE",
    "caution",
    "labels",
    "meaning",
    "named",
    "price",
    "slopes",
]

LONGEST_NAME = 40
TITLE = "From the population loss to the escape time"

CONVENTIONS = Paragraph(
    (
        Emphasis("Conventions."),
        *prose(
            r" Time is $t = \eta \times$ number of steps, with $\eta$ the step size. "
            r"$\operatorname{erf}(x) = \frac{2}{\sqrt{\pi}} \int_0^x e^{-z^2} \mathrm{d} z$, not "
            r"$\operatorname{erf}(x/\sqrt{2})$. $\mathrm{He}_k$ is the probabilists' Hermite polynomial, unnormalised: "
            r"$\mathrm{He}_2(x) = x^2 - 1$. $Z \sim \mathcal{N}(0, 1)$, and $\mathbb{E}_{r}[f] = \mathbb{E} "
            r"f(\sqrt{r} Z)$. Derivatives are meant in the sense of distributions."
        ),
    )
)

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
    """Return the name of an activation, or its symbol where that is too long for a title."""
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
