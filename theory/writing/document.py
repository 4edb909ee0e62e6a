r"""The derivation of a system as a document: which words and which equations, in which order.

Every rule of `theory.calculus.explain` is stated where it is first used. How a document looks is for renderers:
`theory.writing.tex`, and `hermescape.report` for HTML.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

import sympy as sp
from sympy import Expr

from theory.calculus.expectations import is_closed
from theory.calculus.explain import MOST_STEPS, RULES, Step
from theory.language.activations import Activation
from theory.language.hermite import coefficient
from theory.network.constraints import Free
from theory.network.equations import flow_of, rate_of, weight_of
from theory.network.system import System
from theory.symbols import MEANINGS, Delta, L_q, L_r, alpha, c, m, mu, q, q_s, r, rho, s, t, u
from theory.typeset.layout import Equation
from theory.typeset.macros import BY_KEY, check_names
from theory.typeset.printing import latex
from theory.writing import words
from theory.writing.blocks import Block, Document, Equations, Math, Meanings, Paragraph, Section, Text, prose
from theory.writing.tex import to_latex

__all__ = ["derivation", "document"]

ORDERS = 7  # Hermite coefficients shown
DIGITS = 10  # of coefficients without a closed form
LONGEST_ODE = 80  # operations; longer right-hand sides stay in chain-rule form
LONGEST_COEFFICIENT = 60  # operations

MODEL_SYMBOLS = {mu: "mu", rho: "rho", m: "m", s: "s", u: "u", alpha: "alpha", c: "c", q_s: "q_s", Delta: "Delta"}


def document(system: System, names: Mapping[str, str] | None = None, fragment: bool = False) -> str:
    r"""Return the derivation of a system as LaTeX that pdflatex compiles.

    Args:
        system: a derived system.
        names: LaTeX for symbols, such as {"mu": r"\alpha"}; the keys are those of `theory.typeset.macros.MACROS`.
        fragment: macros and numbered equations only, the text as comments, for a paper with amsmath and amssymb.

    Raises:
        ParameterError: a name for a symbol that does not occur, or LaTeX that is more than symbols and accents.

    >>> from theory.network.derivation import derive
    >>> text = document(derive("linear"), names={"mu": r"\beta"}, fragment=True)
    >>> r"\providecommand{\alignment}{{\beta}}" in text, r"\label{eq:loss}" in text
    (True, True)
    """
    check_names(names or {}, BY_KEY)  # before the work
    return to_latex(derivation(system), names, fragment)


def derivation(system: System) -> Document:
    """Return the derivation of a system, from its loss to its escape time.

    >>> from theory.network.derivation import derive
    >>> [section.title for section in derivation(derive("linear")).sections][2:4]
    ['Kernel', 'Population loss']
    """
    present = {*system.states, *system.parameters, *sp.sympify(system.loss).free_symbols}
    local = set(MODEL_SYMBOLS.values()) - {MODEL_SYMBOLS[x] for x in present if x in MODEL_SYMBOLS}
    return Document(words.TITLE, _pair(system), tuple(_Writer(system).sections()), frozenset(BY_KEY) - local)


def _pair(system: System) -> Text:
    """Return the names of student and teacher."""
    loss = system.loss_function
    student, teacher = map(words.named, (loss.student, loss.labels.link), (r"\sigma", r"\varphi"))
    return ("student ", student) if student == teacher else ("student ", student, " on teacher ", teacher)


class _Writer:
    """Sections of a document; remembers the rules that have been used."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.rules: set[str] = set()

    def sections(self) -> Iterator[Section]:
        """Yield the sections that have something to say, in order."""
        for title, blocks in (
            ("Definitions", self.setting()),
            ("Hermite expansion", self.expansion()),
            ("Kernel", self.kernel()),
            ("Population loss", self.loss()),
            ("Dynamics of the summary statistics", self.flow()),
            ("Search phase: linearisation", self.linearisation()),
            ("Escape time", self.escape_time()),
        ):
            content = tuple(block for block in blocks if block != Equations.of())
            if content:
                yield Section(title, content)

    # --- the sections

    def setting(self) -> Iterator[Block]:
        system = self.system
        target = weight_of(system.network.target)
        yield Paragraph.of(
            rf"Inputs are $x \sim \mathcal{{N}}(0, I_{{d}})$, labels {words.labels(system, target)}, and the student "
            rf"is $\sigma(\langle w, x \rangle)$. {system.network.words.setting} One-pass SGD on the "
            "squared loss, in the limit of small steps, moves the summary statistics below."
        )
        yield Equations.of(*system.definitions)
        yield self.symbols()
        yield words.CONVENTIONS

    def symbols(self) -> Meanings:
        """Say what the letters mean; a model of one's own may have its own."""
        system = self.system
        shown = [t, *system.parameters, *system.states, q, r, L_q, L_r]
        known = {**MEANINGS, **system.network.words.meanings}
        meanings = {symbol: known.get(symbol, str(symbol)) for symbol in shown}
        return Meanings(tuple((Math(latex(symbol)), prose(words.meaning(text))) for symbol, text in meanings.items()))

    def expansion(self) -> Iterator[Block]:
        loss = self.system.loss_function
        yield Paragraph.of(
            r"In $\mathrm{L}^{2}(\mathcal{N}(0, r))$, with "
            r"$\mathrm{He}_k^{[r]}(x) = r^{k/2} \mathrm{He}_k(x / \sqrt{r})$,"
        )
        yield Equations.of(
            Equation.of(
                "expansion", r"\sigma(x)", r"\sum_{k \geq 0} \frac{\sigma_{k}^{[r]}}{k!\, r^{k}} \mathrm{He}_k^{[r]}(x)"
            ),
            Equation.of(
                "coefficient",
                r"\sigma_{k}^{[r]}",
                r"\mathbb{E}_{r}[\mathrm{He}_k^{[r]} \sigma]",
                r"r^{k}\, \mathbb{E}_{r}[\sigma^{(k)}]",
            ),
        )
        yield from self.coefficients(loss.student, "student", r"\sigma_{%d}^{[r]}", r)
        yield Paragraph.of(
            r"The teacher enters at variance one, $\varphi_{k} = \mathbb{E}[\mathrm{He}_k(Z) \varphi(Z)]$."
        )
        yield from self.coefficients(loss.teacher, "teacher", r"\varphi_{%d}", sp.S.One)

    def coefficients(self, f: Activation, label: str, left: str, variance: Expr) -> Iterator[Block]:
        """Give closed coefficients as equations, others as numbers at variance one."""
        vanishing = {"even": set(range(1, ORDERS, 2)), "odd": set(range(0, ORDERS, 2))}.get(f.parity or "", set())
        coefficients = {k: coefficient(f, k, variance) for k in range(ORDERS) if k not in vanishing}
        vanishing |= {k for k, value in coefficients.items() if value == 0}
        closed = {k: coefficients[k] for k in coefficients if k not in vanishing and _is_short(coefficients[k])}
        yield Equations.of(*(Equation.of(f"{label}-{k}", left % k, latex(value)) for k, value in closed.items()))
        rest = {k: _decimal(coefficients[k].subs(r, 1)) for k in coefficients if k not in vanishing and k not in closed}
        if rest:
            yield Paragraph.of(
                f"Orders {_listed(rest)} have no short closed form; by quadrature, at variance one and to the digits "
                "shown,"
            )
            symbol = left.replace("[r]", "[1]")
            yield Equations.of(*(Equation.of(f"{label}-{k}", symbol % k, value) for k, value in rest.items()))
        if vanishing:
            yield Paragraph.of(
                f"Up to order {ORDERS - 1}, the coefficients of order {_listed(sorted(vanishing))} vanish."
            )

    def kernel(self) -> Iterator[Block]:
        steps = self.system.loss_function.kernel_steps()
        yield Paragraph.of(
            r"With $\ell = \langle w, x \rangle$ and $\ell^{*}$ the projection of $x$ on the teacher direction, a "
            r"centred Gaussian pair of covariance $\left(\begin{matrix} r & q \\ q & 1 \end{matrix}\right)$, the loss "
            "needs one kernel."
        )
        yield _equation("kernel", "K(q, r)", r"\mathbb{E}[\sigma(\ell)\, \varphi(\ell^{*})]")
        number, is_cut = 0, len(steps) > MOST_STEPS
        for rule, group in groupby(steps, key=lambda step: step.rule):
            if rule == "collect" and is_cut:
                yield Paragraph.of(
                    f"At most {MOST_STEPS} reductions are shown; the same rules reduce whatever is left."
                )
            yield self.statement(rule)
            together = list(group)
            yield Equations.of(*_numbered(together, number))
            number += len(together)

    def statement(self, rule: str) -> Paragraph:
        """State a rule where it is first used."""
        if rule in self.rules:
            return Paragraph.of(words.AGAIN.get(rule, RULES[rule]))
        self.rules.add(rule)
        return Paragraph.of(RULES[rule], general=True)

    def loss(self) -> Iterator[Block]:
        loss = self.system.loss_function
        noise = "" if loss.labels.noise == 0 else ", noise included"
        yield Paragraph.of(
            f"The population loss is half the mean squared error{noise}. By Price's theorem its derivatives are "
            "kernels again:"
        )
        yield Equations.of(*words.PRICE)
        yield Paragraph.of(
            "They evaluate to"
            if loss.is_closed
            else "Not every expectation has a closed form; those left are computed by quadrature, with an error "
            "estimate:"
        )
        yield Equations.of(*loss.equations)

    def flow(self) -> Iterator[Block]:
        system = self.system
        bound = [v.name for v in system.network.vectors if not isinstance(v.constraint, Free)]
        projected = f" and with the constraint on ${', '.join(bound)}$ projected out" if bound else ""
        yield Paragraph.of(f"Gradient flow, by the chain rule through $q$ and $r${projected}:")
        yield Equations.of(*flow_of(system.velocities))
        if system.is_exact and all(sp.count_ops(f) <= LONGEST_ODE for f in system.odes.values()):
            yield Paragraph.of("With $L_{q}$ and $L_{r}$ substituted:")
            yield Equations.of(*flow_of(system.odes, "ode"))

    def linearisation(self) -> Iterator[Block]:
        system, escape = self.system, self.system.escape
        if not escape.is_linear:
            return
        start = ", ".join(map(latex, system.states))
        if escape.B is None:
            yield Paragraph.of(
                f"There is no linearisation: the student jumps or has an infinite slope, so that $L_{{r}}$ is infinite "
                f"at the start $({start}) = 0$."
            )
            return
        if escape.square is None:
            yield Paragraph.of(
                r"The search grows at the largest rate of the flow linearised at its start, an eigenvalue of the "
                r"Jacobian of the velocities, $x$ the states:"
            )
        else:
            yield Paragraph.of(
                f"The start $({start}) = 0$ is a fixed point. Linearised there, $u$ couples to the overlaps and these "
                r"to $u$ only, so that at most one direction grows, at rate $\lambda_{+}$:"
            )
        yield Equations.of(*(e for e in escape.equations if e.label != "time"))
        if escape.G2 == 0:
            yield Paragraph.of(
                "The gradient of the loss vanishes at every such start: no direction is driven to first order, and "
                "there is no search time."
            )

    def escape_time(self) -> Iterator[Block]:
        escape = self.system.escape
        time = [e for e in escape.equations if e.label == "time"]
        if escape.is_linear and time:
            drive = "A" if escape.A is not None else "G"
            yield Paragraph.of(r"The search lasts a multiple of the time scale")
            yield Equations.of(*time)
            yield Paragraph.of(
                rf"where ${drive} \neq 0$. From a random direction $v$, $m = O(d^{{-1/2}})$, the flow reaches a fixed "
                "overlap at"
            )
            yield _equation("law", "T", r"\frac{\tau}{2} \log d + O(1)")
        elif not escape.is_linear and self.system.network.start is not None:
            yield from self.sphere(time)

    def sphere(self, time: Sequence[Equation]) -> Iterator[Block]:
        exponent = self.system.escape.exponent
        if exponent is None:
            yield Paragraph.of(
                r"Every product $\sigma_{k} \varphi_{k}$ with $k \geq 1$ vanishes: the information exponent is "
                "infinite, and training stays at $m = 0$."
            )
            return
        yield Paragraph.of(
            r"The information exponent $k_{*}$ is the smallest $k \geq 1$ with $\sigma_{k} \varphi_{k} \neq 0$. Near "
            r"$m = 0$,"
        )
        yield _equation("start", rate_of(m), r"c_{k_*}\, m^{k_{*} - 1} + O(m^{k_{*}})")
        yield Equations.of(*(e for e in self.system.escape.equations if e.label != "time"))
        yield Paragraph.of(words.EXIT[min(exponent, 3)][0])
        yield _equation("law", "T", words.EXIT[min(exponent, 3)][1])
        if time:
            yield Paragraph.of("with the time scale")
            yield Equations.of(*time)


def _equation(label: str, left: str, *rights: str) -> Equations:
    return Equations.of(Equation.of(label, left, *rights))


def _numbered(steps: Iterable[Step], start: int) -> list[Equation]:
    return [Equation.of(f"kernel-{start + i}", step.left, step.right) for i, step in enumerate(steps, start=1)]


def _is_short(coefficient: Expr) -> bool:
    return is_closed(coefficient) and sp.count_ops(coefficient) <= LONGEST_COEFFICIENT


def _listed(orders: Iterable[int]) -> str:
    return ", ".join(map(str, orders))


def _decimal(value: Expr) -> str:
    return sp.latex(value.evalf(DIGITS))
