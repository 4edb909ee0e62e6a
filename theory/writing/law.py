r"""The law of the exit time and the regimes in words, with the formulas that `theory.search.law` computes with.

`tests/theory/writing/test_law.py` puts numbers into both, which have to agree. Every block comes with the part of the
document that it belongs to: law or regimes, and tau for what comes before the law.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import reduce

import sympy as sp
from sympy import Expr, Symbol

from theory.network.equations import rate_of
from theory.network.linearisation import Escape
from theory.network.system import System
from theory.search.critical import CriticalStrength, critical_strengths, isolates_exactly
from theory.symbols import m, mu
from theory.typeset.layout import Equation
from theory.typeset.printing import latex
from theory.writing.blocks import Block, Equations, Math, Paragraph

__all__ = ["Tagged", "mode_law", "regimes", "search_law", "sphere_law", "with_free_letters"]

Tagged = tuple[str, Block]
"""The part of a document, and one of its blocks."""

DIGITS = 6  # of a critical strength

CONSTANT = Equation.of("law-constant", "C", r"\lim_{c \to 0} \left[\frac{t(c \to R)}{\tau} + \log c\right]")
WAY = (
    r"The time $t(c \to R)$ is that of the flow, at this $\kappa$, along its unstable manifold from $|m| = c$ to $|m| "
    r"= R$, so that one integration gives $C$. The median of $T$ has $|Z| = 0.674$."
)
END = (
    r" As $m$ ends at $(1 - \mu) / \sqrt{1 - 2 \mu + \rho^{2}}$ where student and teacher are the same function, a "
    "larger $R$ is not reached."
)
BATCHES = r"the noise of batches of $b$ samples enters by $\kappa = \eta d / b$, which is kept as $d$ grows"
LIMITS = (r"t(%s \to R)", "|m| = %s", "|u| = %s")  # formulas in a text with the letter c of a limit
SAMPLES = ("%s", r"\kappa = \eta d / %s")  # with that of the samples in a batch


def with_free_letters(law: Iterable[Tagged], taken: Container[str]) -> Iterator[Tagged]:
    """Yield a law whose limit is m_0, and whose batches have n samples, where parameters are called c and b."""
    samples = "n_{b}" if "n" in taken else "n"
    moves = [move for move in (("c", "m_{0}", LIMITS), ("b", samples, SAMPLES)) if move[0] in taken]
    for part, block in law:
        yield part, reduce(lambda changed, move: _renamed(changed, *move), moves, block)


def _renamed(block: Block, old: str, new: str, formulas: Sequence[str]) -> Block:
    if isinstance(block, Equations) and old == "c":
        rights = tuple(re.sub(r"(?<![\\a-z])c(?![a-z])", new, side) for side in CONSTANT.rights)
        chosen = (replace(e, rights=rights) if e.rights == CONSTANT.rights else e for e in block.equations)
        return Equations(tuple(chosen))
    if not isinstance(block, Paragraph):
        return block
    names = {Math(formula % old): Math(formula % new) for formula in formulas}
    return replace(
        block, text=tuple(names.get(piece, piece) if isinstance(piece, Math) else piece for piece in block.text)
    )


def _text(part: str, words: str) -> Tagged:
    return part, Paragraph.of(words)


def _shown(part: str, *equations: Equation) -> Tagged:
    return part, Equations(equations)


def bulk(own: bool, weight: str = "") -> str:
    """Return the second moment of a sample's gradient in a bulk direction; `own`: the student's value is in it."""
    residual = r"(\sigma(\ell) - y)" if own else "y"
    return rf"\mathbb{{E}}[{residual}^{{2}} \sigma'(\ell)^{{2}}{weight}]"


def along(own: bool) -> str:
    """Return it in the direction of w*."""
    return bulk(own, r" (\ell^{*})^{2}")


def times(factor: Expr, symbol: str) -> str:
    """Return a product with a factor that may be one."""
    return symbol if factor == 1 else f"{latex(factor)} {symbol}"


def at_start(length: str, of: str) -> str:
    """Return a moment at the start."""
    return rf"{of} \;\Big|_{{q = \mu,\, r = {length}^{{2}}}}"


# --- LoRA -------------------------------------------------------------------------------------------------------


def search_law(escape: Escape) -> Iterator[Tagged]:
    """Yield the law of LoRA whose start is linearly unstable."""
    assert escape.square is not None
    drive = "G" if escape.A is None else "A"
    yield _text(
        "law",
        rf"From a random direction $v$ and $u = u_{{0}}$, where ${drive} \neq 0$, the first time at which $|m| \geq R$ "
        r"is, as $d$ grows and with $Z \sim \mathcal{N}(0, 1)$,",
    )
    yield _shown("law", *search_equations(escape.square, aligned=escape.A is not None, own=bool(escape.loss.own)))
    yield _text(
        "law",
        r"At a step size $\eta > 0$, $\tau = \eta / \log(1 + \eta \lambda_{+})$, which tends to $1 / \lambda_{+}$ as "
        rf"$\eta \to 0$, and {BATCHES}. {WAY}",
    )


def search_equations(square: Expr, aligned: bool, *, own: bool = True) -> tuple[Equation, ...]:
    """Return T and its symbols; the square is that of the LoRA scale."""
    drive, slope, length = ("A", "|A|", r"\mu") if aligned else ("G", "|a_{m}|", r"\rho")
    ratio = rf"\frac{{\lambda_{{+}}^{{2}} + {times(square, f'{drive}^{{2}}')}}}{{{times(square, f'{slope} S')}}}"
    start = rf"\tau \left[\frac{{1}}{{2}} \log d - \log |Z + z_{{0}}| + \log {ratio} + C\right] + o(1)"
    noise = r"\frac{\kappa \lambda_{+} J_{0}}{2 + \eta \lambda_{+}}"
    return (
        Equation.of("law", "T", start),
        *([] if aligned else [Equation.of("law-slope", "a_{m}", r"L_{q} + 2 \mu L_{r}")]),
        Equation.of("law-spread", "S^{2}", rf"{drive}^{{2}} + {noise}"),
        Equation.of(
            "law-shift", "z_{0}", rf"\frac{{\lambda_{{+}} u_{{0}} \sqrt{{d}}}}{{{times(sp.sqrt(square), 'S')}}}"
        ),
        Equation.of("law-noise", "J_{0}", at_start(length, bulk(own))),
        CONSTANT,
    )


def mode_law() -> Iterator[Tagged]:
    """Yield the law of any system that leaves its start along one mode."""
    yield _text(
        "law",
        r"Where one mode alone grows, the first time at which $|m| \geq R$ is, as $d$ grows and with $Z \sim "
        r"\mathcal{N}(0, 1)$,",
    )
    start = r"\tau \left[\frac{1}{2} \log d - \log |Z + z_{0}| - \log S + C\right] + o(1)"
    spread = r"f^{\top} \Sigma_{0} f + \frac{f^{\top} M f}{\lambda_{+} (2 + \eta \lambda_{+})}"
    yield _shown("law", Equation.of("law", "T", start), Equation.of("law-spread", "S^{2}", spread), CONSTANT)
    yield _text(
        "law",
        r"Here $f$ is the left eigenvector, $\Sigma_{0} / d$ the covariance of the overlaps that are drawn, $M / d$ "
        rf"that of the states' increments per unit of $t$, and $z_{{0}}$ what is there at the start besides. {WAY}",
    )


# --- where it does not hold -------------------------------------------------------------------------------------


def regimes(system: System) -> Iterator[Tagged]:
    """Yield what happens where the law of LoRA does not hold."""
    escape = system.escape
    if escape.A is None or escape.square is None:
        yield _text(
            "regimes",
            r"Where $G = 0$, the Hessian at $w_{0}$ decides what leads out." + (END if escape.loss.own else ""),
        )
        return
    places = _places(system)
    yield _text("regimes", f"{_where(places)} Every point with $u = 0$ is then an equilibrium of the flow.")
    if places is None or any(bend > 0 for _, bend, _ in places):
        yield from _alone(escape.square)
    if places is None or any(bend < 0 < turn for _, bend, turn in places):
        yield from _driven(escape)
    if places is None or any(bend < 0 and turn <= 0 for _, bend, turn in places):
        yield _text(
            "regimes",
            r"If $B < 0$ and $A' \leq 0$ there, $w_{0}$ is a minimum of the loss along every direction, and traps: "
            r"$T = \infty$.",
        )


def _places(system: System) -> list[tuple[CriticalStrength, int, float]] | None:
    """Return the roots of A with the signs of B and A'; None where they are not isolated with certainty."""
    drive = system.escape.A
    is_open = system.network.domain or not system.loss_function.has_formula
    if drive is None or drive == 0 or is_open or not isolates_exactly(system):
        return None
    turn = sp.diff(drive, mu)
    return [(place, place.sign, float(turn.subs(mu, place.mu))) for place in critical_strengths(system)]


def _where(places: list[tuple[CriticalStrength, int, float]] | None) -> str:
    """Return where A vanishes, as far as it is known."""
    general = r"The law needs $A \neq 0$; where $A(\mu) = 0$ the gradient of the loss vanishes at $w_{0}$."
    if places is None:
        return general
    shown = [rf"$\mu = {_value(place.mu)}$ ($B {_sign(bend)}$, $A' {_sign(turn)}$)" for place, bend, turn in places]
    return f"{general} In $(0, 1]$ that is {'at ' + ', '.join(shown) if shown else 'nowhere'}."


def _value(root: Expr) -> str:
    return latex(root if root.is_Rational else root.evalf(DIGITS))


def _sign(value: float) -> str:
    return "> 0" if value > 0 else "< 0" if value < 0 else "= 0"


def _alone(square: Expr) -> Iterator[Tagged]:
    yield _text(
        "regimes",
        rf"If $B > 0$ there, $u$ grows by itself at the rate $\Lambda = {times(square, 'B')}$ while $v$ rests, from "
        r"$u_{0}$ and from the noise of SGD, and with $C$ counted from $|u| = c$",
    )
    yield _shown("regimes", *alone_equations(square))


def alone_equations(square: Expr) -> tuple[Equation, ...]:
    """Return T where u leaves by itself, and the spread that noise gives it."""
    start = r"\log \left|Z + \frac{u_{0} \sqrt{d}}{S_{u}}\right| - \log S_{u}"
    noise = times(square, r"\kappa J_{0}")
    return (
        Equation.of("law-alone", "T", rf"\frac{{1}}{{\Lambda}} \left[\frac{{1}}{{2}} \log d - {start} + C\right]"),
        Equation.of("law-alone-spread", "S_{u}^{2}", rf"\frac{{{noise}}}{{\Lambda (2 + \eta \Lambda)}}"),
    )


def _driven(escape: Escape) -> Iterator[Tagged]:
    assert escape.square is not None
    yield _text(
        "regimes",
        r"If $B < 0 < A'$ there, the flow stays for ever. SGD leaves by its noise alone, which keeps "
        r"$\mathbb{E} u^{2} = \nu / d$ and thereby turns $v$ at the rate $g / d$, as long as that is positive:",
    )
    yield _shown("regimes", *driven_equations(escape.square, own=bool(escape.loss.own)))


def driven_equations(square: Expr, *, own: bool = True) -> tuple[Equation, ...]:
    """Return T where noise alone leads out, and its symbols."""
    noise = times(square, r"\kappa J_{0}")
    wider = times(square, r"\kappa \nu J_{*}")
    start = rf"\frac{{1}}{{2}} \log d - \log |Z| - \frac{{1}}{{2}} \log \left(1 + \frac{{{wider}}}{{2 g}}\right) + C"
    curvature = times(square, r"\eta B^{2}")
    turning = r"\left(A' - B - \frac{\kappa J_{0}}{2}\right)"
    return (
        Equation.of("law-driven", "T", rf"\frac{{d}}{{g}} \left[{start}\right]"),
        Equation.of("law-driven-rate", "g", rf"\frac{{{noise}}}{{2 |B|}} {turning}"),
        Equation.of("law-driven-level", r"\nu", rf"\frac{{\kappa J_{{0}}}}{{2 |B| - {curvature}}}"),
        Equation.of("law-driven-noise", "J_{*}", at_start(r"\mu", along(own))),
    )


# --- the sphere -------------------------------------------------------------------------------------------------

FAST = r"\int_{0}^{R} \frac{\mathrm{d} m}{|b(m)|} + \frac{\zeta}{\sqrt{d}} Z + O(d^{-1})"
WIDTH = r"\frac{1}{b(0)^{2}} + \kappa \int_{0}^{R} \frac{D(m)}{|b(m)|^{3}} \mathrm{d} m"
POWER = r"\frac{d^{(k_{*} - 2)/2}}{|c_{k_*}| \left(k_{*} - 2\right) |Z|^{k_{*} - 2}}"


def sphere_law(escape: Escape) -> Iterator[Tagged]:
    """Yield how training on the sphere leaves m = 0, by the information exponent."""
    exponent, drift = escape.exponent, escape.drift
    if exponent is None or drift is None:
        yield _text(
            "tau",
            r"Every product $\sigma_{k} \varphi_{k}$ with $k \geq 1$ vanishes: the information exponent is infinite, "
            "and training stays at $m = 0$.",
        )
        return
    yield _text(
        "tau",
        r"The information exponent $k_{*}$ [@benarous2021] is the smallest $k \geq 1$ with $\sigma_{k} \varphi_{k} "
        r"\neq 0$. Near $m = 0$,",
    )
    near = r"c_{k_*} + O(m)" if exponent == 1 else r"c_{k_*}\, m^{k_{*} - 1} + O(m^{k_{*}})"
    yield _shown("tau", Equation.of("start", rate_of(m), near), *escape.equations)
    if isinstance(exponent, Symbol):
        yield from _by_exponent(bool(escape.loss.own))
    elif exponent % 2 == 0 and drift.is_negative:
        yield _text("law", r"As $c_{k_*} < 0$, $m = 0$ attracts, and the start traps: $T = \infty$.")
    else:
        yield from _saddle(bool(escape.loss.own)) if exponent == 2 else _ballistic() if exponent == 1 else _power()


def _by_exponent(own: bool) -> Iterator[Tagged]:
    """Yield the laws of every information exponent; `own`: the student's value is in the residual."""
    trap = r"Where $k_{*}$ is even and $c_{k_*} < 0$, $m = 0$ attracts, and the start traps: $T = \infty$. Else:"
    yield _text("law", trap)
    cases = (("ballistic", "= 1", _ballistic()), ("saddle", "= 2", _saddle(own)), ("power", r"\geq 3", _power()))
    for name, case, law in cases:
        yield _text("law", rf"Case $k_{{*}} {case}$.")
        for part, block in law:
            yield part, _relabelled(block, name)


def _relabelled(block: Block, ending: str) -> Block:
    """Give equations labels that no other case has."""
    if not isinstance(block, Equations):
        return block
    return Equations(tuple(replace(each, label=f"{each.label}-{ending}") for each in block.equations))


def _ballistic() -> Iterator[Tagged]:
    yield _text(
        "law",
        r"The drift does not vanish at the start. The first time at which $|m| \geq R$, on the side to which $m$ "
        r"drifts, does not grow with $d$; with $Z \sim \mathcal{N}(0, 1)$ and $b(m) = \mathrm{d} m / \mathrm{d} t - "
        r"\kappa J m / 2$,",
    )
    yield _shown("law", Equation.of("law", "T", FAST), Equation.of("law-spread", r"\zeta^{2}", WIDTH))
    yield _text(
        "law", rf"where $\kappa D(m) / d$ is the variance of the noise of SGD in $m$ per unit of $t$, and {BATCHES}."
    )


def saddle_equations(*, own: bool = True) -> tuple[Equation, ...]:
    """Return T where m = 0 is a saddle, and its symbols."""
    return (
        Equation.of("law", "T", r"\tau \left[\frac{1}{2} \log d - \log |Z| - \log S + C\right] + o(1)"),
        Equation.of("law-spread", "S^{2}", r"1 + \frac{\kappa V_{0}}{2 c_{k_*} h + \eta c_{k_*}^{2} - \kappa J_{0}}"),
        Equation.of(
            "law-time",
            r"\frac{1}{\tau}",
            r"\frac{1}{\eta} \log \frac{h + \eta c_{k_*}}{\sqrt{h^{2} + \eta \kappa J_{0}}}",
        ),
        Equation.of("law-left", "h", r"1 - 2 \eta L_{r}"),
        Equation.of("law-noise", "J_{0}", bulk(own)),
        Equation.of("law-along", "V_{0}", along(own)),
        CONSTANT,
    )


def _saddle(own: bool) -> Iterator[Tagged]:
    yield _text(
        "law",
        r"From a random direction the first time at which $|m| \geq R$ is, as $d$ grows and with $Z \sim "
        r"\mathcal{N}(0, 1)$,",
    )
    yield _shown("law", *saddle_equations(own=own))
    yield _text(
        "law",
        rf"all of them at $q = 0$, $r = 1$; {BATCHES}. As $\eta \to 0$, $1 / \tau \to c_{{k_*}} - \kappa J_{{0}} / 2$; "
        rf"where that is not positive the start traps. {WAY}",
    )


def _power() -> Iterator[Tagged]:
    yield _text(
        "law",
        r"From $m = Z / \sqrt{d}$, $Z \sim \mathcal{N}(0, 1)$, on the side where $c_{k_*} m^{k_{*} - 2} > 0$, the exit "
        "time of the flow is, to leading order,",
    )
    yield _shown("law", Equation.of("law", "T", POWER))
    yield _text(
        "regimes",
        r"At a fixed $\kappa = \eta d / b$, with batches of $b$ samples, the drift $- \kappa J_{0} m / 2$ outweighs it "
        r"near $m = 0$, and the start traps: $\kappa$ has to shrink like $d^{-(k_{*} - 2)/2}$.",
    )
