r"""A derivation as a LaTeX document (amsmath, amssymb), or as the fragment of one.

Every equation has a number and a label (eq:loss, eq:kernel-3, ...), every rule of `theory.calculus.explain` is stated
where it is first used, and every symbol is a macro that can be renamed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import sympy as sp
from sympy import Expr

from theory.calculus.expectations import is_closed
from theory.calculus.explain import MOST_STEPS, RULES, Step
from theory.language.hermite import coefficient
from theory.symbols import MEANINGS, Delta, L_q, L_r, alpha, c, m, mu, q, q_s, r, rho, s, t, u
from theory.typeset.layout import Equation, Page, align
from theory.typeset.lines import Names
from theory.typeset.macros import BY_KEY, MACROS, Notation, check_names
from theory.typeset.printing import latex
from theory.writing import words
from theory.writing.equations import of_definitions, of_escape, of_flow, of_loss, rate_of

if TYPE_CHECKING:
    from theory.language.activations import Activation
    from theory.network.system import System

__all__ = ["document"]

ORDERS = 7  # Hermite coefficients shown
DIGITS = 10  # of coefficients without a closed form
LONGEST_ODE = 80  # operations; longer right-hand sides stay in chain-rule form
LONGEST_COEFFICIENT = 60  # operations
DOCUMENT_LINE, FRAGMENT_LINE = 41.0, 31.0  # em, of a text 16 cm wide and of the article class's 345 pt

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
    names = dict(names or {})
    check_names(names, BY_KEY)
    writer = _Writer(system, fragment)
    body = "".join(writer.sections())
    definitions = writer.notation.definitions(names, "providecommand" if fragment else "newcommand")
    return (words.FRAGMENT if fragment else words.DOCUMENT).replace("@MACROS@", definitions).replace("@BODY@", body)


class _Writer:
    """Sections of a document; remembers the names of long parts, the macros and the rules that have been used."""

    def __init__(self, system: System, fragment: bool) -> None:
        self.system, self.fragment = system, fragment
        present = {*system.states, *system.parameters, *sp.sympify(system.loss).free_symbols}
        local = set(MODEL_SYMBOLS.values()) - {MODEL_SYMBOLS[x] for x in present if x in MODEL_SYMBOLS}
        self.notation = Notation({macro.key for macro in MACROS} - local)
        self.names = Names()
        line, where = (FRAGMENT_LINE, "% where") if fragment else (DOCUMENT_LINE, "where")
        self.page = Page(line, numbered=True, write=self.notation, where=where)
        self.rules: set[str] = set()

    def sections(self) -> Iterator[str]:
        """Yield the parts of the body, in order."""
        if not self.fragment:
            yield self.title()
        for title, parts in (
            ("Definitions", self.setting()),
            ("Hermite expansion", self.expansion()),
            ("Kernel", self.kernel()),
            ("Population loss", self.loss()),
            ("Dynamics of the summary statistics", self.flow()),
            ("Search phase: linearisation", self.linearisation()),
            ("Escape time", self.escape_time()),
        ):
            content = [part for part in parts if part]
            if content:
                yield f"\n% --- {title}\n" if self.fragment else f"\n\\section{{{title}}}\n"
                yield from (f"{part}\n" if part.startswith(r"\begin{align") else f"\n{part}\n" for part in content)

    # --- what parts are made of

    def prose(self, text: str, *, universal: bool = False) -> str:
        """Return text with macros in its formulas; a comment in a fragment."""
        written = re.sub(r"\$[^$]*\$", lambda found: self.notation(found[0], universal=universal), text)
        return f"% {written}" if self.fragment else written

    def equations(self, *found: Equation) -> str:
        """Return numbered equations."""
        return align(found, self.page, self.names) if found else ""

    def of(self, label: str, left: str, *rights: str) -> str:
        """Return one numbered equation."""
        return self.equations(Equation.of(label, left, *rights))

    # --- the sections

    def title(self) -> str:
        loss = self.system.loss_function
        student, teacher = map(words.named, (loss.student, loss.labels.link), (r"$\sigma$", r"$\varphi$"))
        pair = f"student {student}" if student == teacher else f"student {student} on teacher {teacher}"
        pair = self.prose(pair)
        return rf"\title{{From the population loss to the escape time:\\ {pair}}}\author{{}}\date{{}}\maketitle"

    def setting(self) -> Iterator[str]:
        system = self.system
        target = "w_{s}" if system.network.name == "pretrain" else "w_{*}"
        yield self.prose(
            rf"Inputs are $x \sim \mathcal{{N}}(0, I_{{d}})$, labels {words.labels(system, target)}, and the student "
            rf"is $\sigma(\langle w, x \rangle)$. {words.SETTINGS.get(system.network.name, '')} One-pass SGD on the "
            "squared loss, in the limit of small steps, moves the summary statistics below."
        )
        yield self.equations(*of_definitions(system))
        yield self.symbols()
        yield self.prose(words.CONVENTIONS)

    def symbols(self) -> str:
        system = self.system
        shown = [t, *system.parameters, *system.states, q, r, L_q, L_r]
        meanings = {symbol: MEANINGS.get(symbol, str(symbol)) for symbol in shown}  # a model of one's own has its own
        rows = [f"${latex(symbol)}$ & {words.meaning(text)}" for symbol, text in meanings.items()]
        if self.fragment:
            return ""
        return words.TABLE.replace("@ROWS@", " \\\\\n".join(map(self.prose, rows)))

    def expansion(self) -> Iterator[str]:
        loss = self.system.loss_function
        yield self.prose(
            r"In $\mathrm{L}^{2}(\mathcal{N}(0, r))$, with "
            r"$\mathrm{He}_k^{[r]}(x) = r^{k/2} \mathrm{He}_k(x / \sqrt{r})$,"
        )
        yield self.equations(
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
        yield self.prose(
            r"The teacher enters at variance one, $\varphi_{k} = \mathbb{E}[\mathrm{He}_k(Z) \varphi(Z)]$."
        )
        yield from self.coefficients(loss.teacher, "teacher", r"\varphi_{%d}", sp.S.One)

    def coefficients(self, f: Activation, label: str, left: str, variance: Expr) -> Iterator[str]:
        """Give closed coefficients as equations, others as numbers at variance one."""
        vanishing = {"even": set(range(1, ORDERS, 2)), "odd": set(range(0, ORDERS, 2))}.get(f.parity or "", set())
        found = {k: coefficient(f, k, variance) for k in range(ORDERS) if k not in vanishing}
        vanishing |= {k for k, value in found.items() if value == 0}
        closed = {k: found[k] for k in found if k not in vanishing and _is_short(found[k])}
        yield self.equations(*(Equation.of(f"{label}-{k}", left % k, latex(value)) for k, value in closed.items()))
        rest = {k: _decimal(found[k].subs(r, 1)) for k in found if k not in vanishing and k not in closed}
        if rest:
            yield self.prose(
                f"Orders {_listed(rest)} have no short closed form; by quadrature, at variance one and to the digits "
                "shown,"
            )
            symbol = left.replace("[r]", "[1]")
            yield self.equations(*(Equation.of(f"{label}-{k}", symbol % k, value) for k, value in rest.items()))
        if vanishing:
            yield self.prose(
                f"Up to order {ORDERS - 1}, the coefficients of order {_listed(sorted(vanishing))} vanish."
            )

    def kernel(self) -> Iterator[str]:
        steps = self.system.loss_function.kernel_steps()
        yield self.prose(
            r"With $\ell = \langle w, x \rangle$ and $\ell^{*}$ the projection of $x$ on the teacher direction, a "
            r"centred Gaussian pair of covariance $\left(\begin{matrix} r & q \\ q & 1 \end{matrix}\right)$, the loss "
            "needs one kernel."
        )
        yield self.of("kernel", "K(q, r)", r"\mathbb{E}[\sigma(\ell)\, \varphi(\ell^{*})]")
        number, is_cut = 0, len(steps) > MOST_STEPS
        for rule, group in groupby(steps, key=lambda step: step.rule):
            if rule == "collect" and is_cut:
                yield self.prose(f"At most {MOST_STEPS} reductions are shown; the same rules reduce whatever is left.")
            yield self.statement(rule)
            together = list(group)
            yield self.equations(*_numbered(together, number))
            number += len(together)

    def statement(self, rule: str) -> str:
        """State a rule where it is first used."""
        if rule in self.rules:
            return self.prose(words.AGAIN.get(rule, RULES[rule]))
        self.rules.add(rule)
        return self.prose(RULES[rule], universal=True)

    def loss(self) -> Iterator[str]:
        loss = self.system.loss_function
        noise = "" if loss.labels.noise == 0 else ", noise included"
        yield self.prose(
            f"The population loss is half the mean squared error{noise}. By Price's theorem its derivatives are "
            "kernels again:"
        )
        yield self.equations(*words.PRICE)
        yield self.prose(
            "They evaluate to"
            if loss.is_closed
            else "Not every expectation has a closed form; those left are computed by quadrature, with an error "
            "estimate:"
        )
        yield self.equations(*of_loss(loss))

    def flow(self) -> Iterator[str]:
        system = self.system
        sphere = " and with the constraint on $v$ projected out" if system.network.name != "pretrain" else ""
        yield self.prose(f"Gradient flow, by the chain rule through $q$ and $r${sphere}:")
        yield self.equations(*of_flow(system))
        if system.is_exact and all(sp.count_ops(f) <= LONGEST_ODE for f in system.odes.values()):
            yield self.prose("With $L_{q}$ and $L_{r}$ substituted:")
            yield self.equations(
                *(Equation.of(f"ode-{state}", rate_of(state), latex(f)) for state, f in system.odes.items())
            )

    def linearisation(self) -> Iterator[str]:
        system, escape = self.system, self.system.escape
        if not escape.is_linear:
            return
        start = ", ".join(map(latex, system.states))
        if escape.B is None:
            yield self.prose(
                f"There is no linearisation: the student jumps or has an infinite slope, so that $L_{{r}}$ is infinite "
                f"at the start $({start}) = 0$."
            )
            return
        if escape.square is None:
            yield self.prose(
                r"The search grows at the largest rate of the flow linearised at its start, an eigenvalue of the "
                r"Jacobian of the velocities, $x$ the states:"
            )
        else:
            yield self.prose(
                f"The start $({start}) = 0$ is a fixed point. Linearised there, $u$ couples to the overlaps and these "
                r"to $u$ only, so that at most one direction grows, at rate $\lambda_{+}$:"
            )
        yield self.equations(*(e for e in of_escape(escape) if e.label != "time"))
        if escape.G2 == 0:
            yield self.prose(
                "The gradient of the loss vanishes at every such start: no direction is driven to first order, and "
                "there is no search time."
            )

    def escape_time(self) -> Iterator[str]:
        escape = self.system.escape
        time = [e for e in of_escape(escape) if e.label == "time"]
        if escape.is_linear and time:
            drive = "A" if escape.A is not None else "G"
            yield self.prose(r"The search lasts a multiple of the time scale")
            yield self.equations(*time)
            yield self.prose(
                rf"where ${drive} \neq 0$. From a random direction $v$, $m = O(d^{{-1/2}})$, the flow reaches a fixed "
                "overlap at"
            )
            yield self.of("law", "T", r"\frac{\tau}{2} \log d + O(1)")
        elif not escape.is_linear and self.system.network.start is not None:
            yield from self.sphere(time)

    def sphere(self, time: Sequence[Equation]) -> Iterator[str]:
        exponent = self.system.escape.exponent
        if exponent is None:
            yield self.prose(
                r"Every product $\sigma_{k} \varphi_{k}$ with $k \geq 1$ vanishes: the information exponent is "
                "infinite, and training stays at $m = 0$."
            )
            return
        yield self.prose(
            r"The information exponent $k_{*}$ is the smallest $k \geq 1$ with $\sigma_{k} \varphi_{k} \neq 0$. Near "
            r"$m = 0$,"
        )
        yield self.of("start", rate_of(m), r"c_{k_*}\, m^{k_{*} - 1} + O(m^{k_{*}})")
        yield self.equations(*(e for e in of_escape(self.system.escape) if e.label != "time"))
        yield self.prose(words.EXIT[min(exponent, 3)][0])
        yield self.of("law", "T", words.EXIT[min(exponent, 3)][1])
        if time:
            yield self.prose("with the time scale")
            yield self.equations(*time)


def _numbered(steps: Iterable[Step], start: int) -> list[Equation]:
    return [Equation.of(f"kernel-{start + i}", step.left, step.right) for i, step in enumerate(steps, start=1)]


def _is_short(coefficient: Expr) -> bool:
    return is_closed(coefficient) and sp.count_ops(coefficient) <= LONGEST_COEFFICIENT


def _listed(orders: Iterable[int]) -> str:
    return ", ".join(map(str, orders))


def _decimal(value: Expr) -> str:
    return sp.latex(value.evalf(DIGITS))
