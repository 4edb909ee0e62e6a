"""What a derivation says, section by section; every block with the part of the document that it belongs to.

Every rule of `theory.calculus.explain` is stated where it is first used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

import sympy as sp
from sympy import Expr

from theory.calculus.expectations import is_closed
from theory.calculus.explain import MOST_STEPS, RULES, Step
from theory.calculus.undefined import Undefined, undefined_in
from theory.language.activations import Activation
from theory.language.hermite import coefficient
from theory.language.parameters import Parameter
from theory.network.constraints import Free
from theory.network.equations import flow_of, weight_of
from theory.network.sums import hermite_sums
from theory.network.system import System
from theory.symbols import MEANINGS, L_q, L_r, q, r, t
from theory.typeset.layout import Equation
from theory.typeset.printing import latex
from theory.writing import words
from theory.writing.blocks import Block, Equations, Math, Meanings, Paragraph, prose
from theory.writing.families import said_of
from theory.writing.law import Tagged, mode_law, regimes, search_law, sphere_law, with_free_letters
from theory.writing.sources import sources

__all__ = ["PARTS", "Writer"]

PARTS = {
    "definitions": "sigma, phi, the weight, q and r",
    "coefficients": "Hermite coefficients",
    "kernel": "K(q, r)",
    "steps": "how K is derived, rule by rule",
    "slopes": "L_q and L_r as expectations, by Price's theorem",
    "loss": "L, L_q and L_r",
    "sums": "K, L, A and B as sums over Hermite coefficients, to an order that is given",
    "odes": "the flow",
    "A": "the drive A, or G",
    "B": "the bend B",
    "tau": "rate and search time",
    "law": "the law of the exit time",
    "regimes": "where it does not hold",
    "sources": "what is whose",
}
"""The parts of a document, in order, and what they hold."""

ORDERS = 7  # Hermite coefficients shown
DIGITS = 10  # of coefficients without a closed form
LONGEST_ODE = 40  # operations; longer right-hand sides stay in chain-rule form
LONGEST_COEFFICIENT = 60  # operations
LINEARISED = {"drive": "A", "slope": "A", "bend": "B"}  # parts by labels; others are tau


def _domain(parameter: Parameter) -> str:
    """Return where a parameter lies, in LaTeX."""
    if parameter.low == -sp.oo and parameter.high == sp.oo and not parameter.nonzero:
        return rf"{latex(parameter.symbol)} \in \mathbb{{R}}"
    relations = {"<=": r"\le", ">=": r"\ge", "!=": r"\ne", parameter.name: latex(parameter.symbol)}
    return " ".join(relations.get(word, word) for word in str(parameter).split())


class Writer:
    """Sections of a document, each block with its part; remembers the rules that have been used."""

    def __init__(self, system: System, order: int | None = None) -> None:
        self.system, self.order = system, order
        self.same = system.loss_function.student.expr == system.loss_function.teacher.expr
        self.rules: set[str] = set()

    def sections(self) -> Iterator[tuple[str, Iterator[Tagged]]]:
        """Yield titles and what follows them, in order."""
        yield "Definitions", self._setting()
        yield "Hermite expansion", (("coefficients", block) for block in self._expansion())
        yield "Kernel", self._kernel()
        yield "Population loss", self._loss()
        if self.order is not None:
            yield "Hermite sums", (("sums", block) for block in self._sums(self.order))
        yield "Dynamics of the summary statistics", (("odes", block) for block in self._flow())
        yield "Search phase: linearisation", self._linearisation()
        yield "Escape time", self._escape_time()
        if self.system.escape.square is not None and self.system.escape.G2 not in (None, 0):
            yield "Regimes", with_free_letters(regimes(self.system), self._taken)
        yield "Sources", self._sources()

    @property
    def _taken(self) -> set[str]:
        return {parameter.name for parameter in self.system.network.domain}

    # --- the sections

    def _setting(self) -> Iterator[Tagged]:
        system = self.system
        target = weight_of(system.network.target)
        lora = "LoRA [@hu2022]" if "hu2022" in system.network.sources else "LoRA"
        yield (
            "definitions",
            Paragraph.of(
                rf"Inputs are $x \sim \mathcal{{N}}(0, I_{{d}})$, labels {words.labels(system, target)}, and the "
                rf"student is $\sigma(\langle w, x \rangle)$. {system.network.words.setting.replace('LoRA', lora, 1)} "
                f"One-pass SGD on the {system.network.objective} loss, in the limit of small steps, moves the summary "
                "statistics below [@saad1995]."
            ),
        )
        yield "definitions", Equations(self._definitions())
        yield "definitions", self._symbols()
        for sentence in said_of(system):
            yield "definitions", Paragraph.of(sentence)
        if not system.loss_function.has_formula:
            yield "definitions", words.any_function(undefined_in(*(f.expr for f in system.network.functions)))
        yield "definitions", words.conventions(of_any=self._is_bare)

    def _definitions(self) -> tuple[Equation, ...]:
        """Define what the letters stand for; one function that is both student and teacher once."""
        if not self.same or self._is_bare:
            return self.system.definitions
        student, _, *others = self.system.definitions
        return (Equation(student.label, rf"{student.left} = \varphi(x)", student.rights), *others)

    @property
    def _is_bare(self) -> bool:
        """Whether student and teacher are functions without a formula, and nothing else."""
        loss = self.system.loss_function
        return isinstance(loss.student.expr, Undefined) and isinstance(loss.teacher.expr, Undefined)

    def _symbols(self) -> Meanings:
        """Say what the letters mean; a model of one's own may have its own."""
        system = self.system
        shown = [t, *system.parameters, *system.states, q, r, L_q, L_r]
        own = {p.symbol: f"parameter of the functions, ${_domain(p)}$" for p in system.network.domain}
        known = {**MEANINGS, **system.network.words.meanings}
        meanings = {symbol: words.meaning(known.get(symbol, str(symbol))) for symbol in shown} | own
        return Meanings(tuple((Math(latex(symbol)), prose(text)) for symbol, text in meanings.items()))

    def _expansion(self) -> Iterator[Block]:
        loss = self.system.loss_function.written
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
        yield from self._coefficients(loss.student, "student", r"\sigma_{%d}^{[r]}", r)
        if self.same:
            yield Paragraph.of("The teacher is the same function, at variance one.")
            yield _equation(
                "teacher-coefficient", r"\varphi_{k}", r"\mathbb{E}[\mathrm{He}_k(Z) \varphi(Z)]", r"\sigma_{k}^{[1]}"
            )
            return
        yield Paragraph.of(
            r"The teacher enters at variance one, $\varphi_{k} = \mathbb{E}[\mathrm{He}_k(Z) \varphi(Z)]$."
        )
        yield from self._coefficients(loss.teacher, "teacher", r"\varphi_{%d}", sp.S.One)

    def _coefficients(self, f: Activation, label: str, left: str, variance: Expr) -> Iterator[Block]:
        """Give closed coefficients as equations, others as numbers at variance one; of no formula none."""
        if f.undefined:
            return
        vanishing = {"even": set(range(1, ORDERS, 2)), "odd": set(range(0, ORDERS, 2))}.get(f.parity or "", set())
        coefficients = {k: coefficient(f, k, variance) for k in range(ORDERS) if k not in vanishing}
        vanishing |= {k for k, value in coefficients.items() if value == 0}
        closed = {k: coefficients[k] for k in coefficients if k not in vanishing and _is_short(coefficients[k])}
        yield Equations.of(*(Equation.of(f"{label}-{k}", left % k, value) for k, value in closed.items()))
        rest = {k: coefficients[k] for k in coefficients if k not in vanishing and k not in closed}
        if f.is_family:
            yield Equations.of(*(Equation.of(f"{label}-{k}", left % k, value) for k, value in rest.items()))
            rest = {}
        rest = {k: _decimal(value.subs(r, 1)) for k, value in rest.items()}
        if rest:
            yield Paragraph.of(
                f"Orders {_listed(rest)} have no short closed form; by quadrature, at variance one and to the digits "
                "shown,"
            )
            symbol = left.replace("[r]", "[1]")
            yield Equations.of(*(Equation.of(f"{label}-{k}", symbol % k, value) for k, value in rest.items()))
        if vanishing:
            yield _equation(f"{label}-none", " = ".join(left % k for k in sorted(vanishing)), "0")

    def _kernel(self) -> Iterator[Tagged]:
        steps = self.system.loss_function.kernel_steps()
        *before, last = steps
        yield (
            "kernel",
            Paragraph.of(
                r"With $\ell = \langle w, x \rangle$ and $\ell^{*}$ the projection of $x$ on the teacher direction, a "
                r"centred Gaussian pair of covariance $\left(\begin{matrix} r & q \\ q & 1 \end{matrix}\right)$, the "
                "loss needs one kernel."
            ),
        )
        yield "kernel", _equation("kernel", "K(q, r)", r"\mathbb{E}[\sigma(\ell)\, \varphi(\ell^{*})]")
        number = 0
        for rule, group in groupby(before, key=lambda step: step.rule):
            yield "steps", self._statement(rule)
            together = list(group)
            yield "steps", Equations(_numbered(together, number))
            number += len(together)
        if len(steps) > MOST_STEPS:
            cut = f"At most {MOST_STEPS} reductions are shown; the same rules reduce whatever is left."
            yield "steps", Paragraph.of(cut)
        yield "kernel", self._statement(last.rule)
        yield "kernel", Equations(_numbered([last], number))

    def _statement(self, rule: str) -> Paragraph:
        """State a rule where it is first used."""
        if rule in self.rules:
            return Paragraph.of(words.AGAIN.get(rule, RULES[rule]))
        self.rules.add(rule)
        return Paragraph.of(RULES[rule], general=True)

    def _loss(self) -> Iterator[Tagged]:
        loss = self.system.loss_function
        noise = "" if loss.labels.noise == 0 else ", noise included"
        is_squared = bool(loss.own)
        caution = "" if is_squared else f" {words.caution(self.system)}"
        yield "loss", Paragraph.of(f"The population loss is {loss.network.minimised.words}{noise}.{caution}")
        if self._is_bare:
            value, *slopes = loss.equations
            yield "loss", Equations.of(value)
            yield "slopes", Paragraph.of(words.BY_PRICE)
            yield "loss", Equations(tuple(slopes))
            return
        yield "slopes", Paragraph.of(words.BY_PRICE)
        yield "slopes", Equations(words.price(loss))
        unsolved = words.UNSOLVED if loss.has_formula else "For these functions,"
        yield "loss", Paragraph.of("In closed form," if loss.is_closed else unsolved)
        yield "loss", Equations(loss.equations)

    def _sums(self, order: int) -> Iterator[Block]:
        sums = hermite_sums(self.system, order)
        yield Paragraph.of(words.SUMS_ON_SPHERE if self.system.escape.on_sphere else words.SUMS)
        yield Equations(words.general_sums(self.system))
        yield Paragraph.of(words.complete(order) if sums.is_complete else words.cut(order))
        yield Equations(sums.equations)

    def _flow(self) -> Iterator[Block]:
        system = self.system
        bound = [v.name for v in system.network.vectors if not isinstance(v.constraint, Free)]
        projected = f" and with the constraint on ${', '.join(bound)}$ projected out" if bound else ""
        yield Paragraph.of(f"Gradient flow, by the chain rule through $q$ and $r${projected}:")
        yield Equations.of(*flow_of(system.velocities))
        written = system.written
        if system.is_exact and all(sp.count_ops(f) <= LONGEST_ODE for f in written.odes.values()):
            yield Paragraph.of("With $L_{q}$ and $L_{r}$ substituted:")
            yield Equations.of(*flow_of(written.odes, "ode"))

    def _linearisation(self) -> Iterator[Tagged]:
        system, escape = self.system, self.system.escape
        if not escape.is_linear:
            return
        start = ", ".join(map(latex, system.states))
        if escape.B is None:
            yield (
                "tau",
                Paragraph.of(
                    "There is no linearisation: the student jumps or has an infinite slope, so that $L_{r}$ is "
                    f"infinite at the start $({start}) = 0$."
                ),
            )
            return
        yield "tau", Paragraph.of(words.EIGENVALUE if escape.square is None else words.LINEARISED % start)
        for equation in escape.equations:
            if equation.label != "time":
                yield LINEARISED.get(equation.label, "tau"), Equations.of(equation)
            if equation.label == "bend" and escape.A is not None and not escape.loss.has_formula:
                yield "A", Paragraph.of(words.ON_EDGE)
        if escape.G2 == 0:
            yield "tau", Paragraph.of(words.FLAT)

    def _escape_time(self) -> Iterator[Tagged]:
        escape = self.system.escape
        time = [e for e in escape.equations if e.label == "time"]
        if escape.is_linear and time:
            yield "tau", Paragraph.of("The search lasts a multiple of the time scale")
            yield "tau", Equations.of(*time)
            yield from with_free_letters(mode_law() if escape.square is None else search_law(escape), self._taken)
        elif not escape.is_linear and self.system.network.start is not None:
            yield from with_free_letters(sphere_law(escape), self._taken)

    def _sources(self) -> Iterator[Tagged]:
        used = "; ".join(f"{source.why} [@{source.key}]" for source in sources(self.system))
        yield "sources", Paragraph.of(f"What is whose: {words.slopes(used)}.")


def _equation(label: str, left: str, *rights: str) -> Equations:
    return Equations.of(Equation.of(label, left, *rights))


def _numbered(steps: Iterable[Step], start: int) -> tuple[Equation, ...]:
    return tuple(Equation.of(f"kernel-{start + i}", step.left, step.right) for i, step in enumerate(steps, start=1))


def _is_short(coefficient: Expr) -> bool:
    return is_closed(coefficient) and sp.count_ops(coefficient) <= LONGEST_COEFFICIENT


def _listed(orders: Iterable[int]) -> str:
    return ", ".join(map(str, orders))


def _decimal(value: Expr) -> str:
    return sp.latex(value.evalf(DIGITS))
