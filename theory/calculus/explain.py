r"""How a kernel was derived: the steps of `theory.calculus.gaussian`, each with the rule that was used, as LaTeX.

The recursion that evaluates an expectation is walked once more, breadth first, and every distinct reduction becomes one
equation. Laws other than the first get an index, and the equation that introduces one states its mean and covariance.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import sympy as sp
from sympy import Expr, S, Symbol

from theory.calculus.expectations import Distribution, gaussian_kernel, gaussian_mean, is_closed
from theory.calculus.gaussian import Problem, problems, reduce
from theory.calculus.terms import Gate, Term, multiply, place
from theory.calculus.tidy import tidy
from theory.calculus.undefined import has_undefined
from theory.shown import Shown, short
from theory.symbols import q, r
from theory.typeset.layout import Equation
from theory.typeset.printing import bracketed, latex, latex_of_factor

__all__ = ["RULES", "Step", "explain", "kernel_steps"]

MOST_STEPS = 40
SERIES = r"\sum_{k \geq 0} \frac{\sigma_{k}^{[r]} \varphi_{k}}{k!\, r^{k}} q^{k}"

RULES: dict[str, str] = {
    "class": r"Every switch is resolved into signs: both functions are sums of powers, exponentials and gates "
    r"$\operatorname{sgn}$, $\operatorname{erf}$.",
    "moments": r"Moments of a Gaussian: $\mathbb{E}\,\ell^n = \sum_j \binom{n}{2j} (2j-1)!!\, C^j M^{n-2j}$.",
    "mass": r"A point mass conditions: $\mathbb{E}[\delta(\ell_i - c)\, F] = p_i(c)\, \mathbb{E}[F \mid \ell_i = c]$.",
    "tilting": r"An exponential tilts the Gaussian: $\mathbb{E}[e^{\alpha \ell_i + \beta \ell_i^2} F] = D^{-1/2} "
    r"e^{(\alpha M_i + \beta M_i^2 + \alpha^2 C_{ii}/2)/D}\, \mathbb{E}'[F]$ with $D = 1 - 2 \beta C_{ii}$.",
    "stein": r"Stein's lemma [@stein1981]: $\mathbb{E}[\ell_i F] = M_i\, \mathbb{E}[F] + \sum_j C_{ij}\, "
    r"\mathbb{E}[\partial_j F]$, derivatives in the sense of distributions.",
    "one gate": r"One gate: $\mathbb{E}\operatorname{sgn}(X) = \operatorname{erf}\big(\mathbb{E}X / \sqrt{2 "
    r"\operatorname{Var} X}\big)$, and $\operatorname{erf}(y) = \mathbb{E} \operatorname{sgn}(y + N/\sqrt{2})$.",
    "sheppard": r"Two centred gates [@sheppard1899]: $\mathbb{E}\operatorname{sgn}(X)\operatorname{sgn}(Y) = "
    r"\frac{2}{\pi} \arcsin \operatorname{corr}(X, Y)$.",
    "two gates": r"Two gates [@plackett1954]: $\mathbb{E}\operatorname{sgn}(X)\operatorname{sgn}(Y) = 4 \Phi_2(h, k; "
    r"\rho) - 1 - \operatorname{erf}(h/\sqrt 2) - \operatorname{erf}(k/\sqrt 2)$, $\Phi_2$ the bivariate normal "
    r"distribution function.",
    "odd gates": r"An odd number of centred gates has mean zero, by symmetry.",
    "mehler": r"Mehler's formula [@mehler1866]: $K(q, r) = \sum_k \mathbb{E}_r[\sigma^{(k)}]\, "
    r"\mathbb{E}_1[\varphi^{(k)}]\, q^k / k!$, finite as soon as one function is a polynomial.",
    "series": r"For functions without a formula the kernel is the sum over their Hermite coefficients "
    r"[@mehler1866]:",
    "collect": r"Terms collected.",
    "quadrature": r"No rule closes this expectation; it is computed by quadrature [@trefethen2014], split at "
    r"kinks, with an error.",
}
"""The rules by which kernels close, as sentences with formulas between dollars and sources as [@key]."""


@dataclass(frozen=True)
class Step(Shown):
    """One equation of a derivation, both sides in LaTeX; `rule` is a key of `RULES`."""

    rule: str
    left: str
    right: str

    @property
    def heading(self) -> str:
        """By which rule."""
        return f"Step: by the rule {self.rule}"

    def formulas(self) -> dict[str, str]:
        """The equation, in LaTeX."""
        return {self.left: self.right}

    @property
    def brief(self) -> str:
        """Rule and equation."""
        return f"{self.rule}: {short(f'{self.left} = {self.right}')}"

    @property
    def equations(self) -> tuple[Equation, ...]:
        """The equation."""
        return (Equation(self.rule, self.left, (self.right,)),)

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.left} = {self.right}$"


def kernel_steps(sigma: Distribution, phi: Distribution) -> tuple[Step, ...]:
    r"""Return the derivation of K(q, r) = E[sigma(l) phi(l*)], ending with the kernel itself.

    >>> import sympy as sp
    >>> from theory.symbols import x
    >>> [step.rule for step in kernel_steps(Distribution.of(sp.erf(x)), Distribution.of(sp.erf(x)))]
    ['class', 'sheppard', 'collect']
    """
    left, kernel = "K(q, r)", gaussian_kernel(sigma, phi, q, r)
    law = S.Zero, ((r, q), (q, S.One))
    is_finite = sigma.polynomial_degree is not None or phi.polynomial_degree is not None
    if has_undefined(kernel) and not is_finite:
        return (Step("series", left, SERIES),)
    if not is_closed(kernel) and not has_undefined(kernel):
        return (Step("quadrature", left, latex(kernel)),)
    if is_finite:
        return (Step("mehler", left, _mehler(sigma, phi)), Step("collect", left, latex(kernel)))
    both = multiply(place(sigma.terms or (), 0, 2), place(phi.terms or (), 1, 2))
    steps = explain(both, (law[0], law[0]), law[1])
    return (Step("class", left, steps[0].right), *steps[1:], Step("collect", left, latex(kernel)))


def _mehler(sigma: Distribution, phi: Distribution) -> str:
    """Return the non-zero terms of the finite sum, as products of numbers and coefficients."""
    degree = min(n for n in (sigma.polynomial_degree, phi.polynomial_degree) if n is not None)
    parts = []
    for k in range(degree + 1):
        own, other = gaussian_mean(sigma, S.Zero, r), gaussian_mean(phi, S.Zero, S.One)
        if own != 0 and other != 0:
            power = "" if k == 0 else rf"\, \frac{{{latex(q**k)}}}{{{k}!}}"
            parts.append(rf"{latex_of_factor(own)} \cdot {latex_of_factor(other)}{power}")
        sigma, phi = sigma.diff(), phi.diff()
    return " + ".join(parts) or "0"


def explain(
    terms: Sequence[Term],
    mean: Sequence[Expr],
    covariance: Sequence[Sequence[Expr]],
    names: Sequence[str] = (r"\ell", r"\ell^{*}"),
) -> tuple[Step, ...]:
    """Return the reductions of E[sum of terms], the first step being the sum itself.

    Raises `NoClosedFormError` as `theory.calculus.gaussian.expectation` does.
    """
    law = tuple(mean), tuple(map(tuple, covariance))
    writer = _Writer()
    start = [(factor, (problem, tuple(names))) for factor, problem in problems(terms, *law)]
    steps = [Step("class", "", writer.sum(S.Zero, start))]
    waiting, seen = deque(named for _, named in start), set()
    while waiting:
        named = waiting.popleft()
        if named in seen or _is_one(named[0]):
            continue
        seen.add(named)
        if len(steps) > MOST_STEPS:
            continue
        problem, variables = named
        reduction = reduce(problem)
        left_over = variables
        if reduction.rule == "mass":
            gone = problem.term.masses[0].i
            left_over = tuple(name for i, name in enumerate(variables) if i != gone)
        parts = [(factor, (smaller, left_over)) for factor, smaller in reduction.parts]
        steps.append(Step(reduction.rule, writer.expectation(named), writer.sum(reduction.constant, parts)))
        waiting.extend(part for _, part in parts)
    return tuple(steps)


Named = tuple[Problem, tuple[str, ...]]


def _is_one(problem: Problem) -> bool:
    term = problem.term
    return term.is_polynomial and not any(term.powers)


class _Writer:
    """LaTeX of expectations; remembers the laws that have appeared."""

    def __init__(self) -> None:
        self.laws: list[tuple] = []

    def sum(self, constant: Expr, parts: Sequence[tuple[Expr, Named]]) -> str:
        shown = [] if constant == 0 and parts else [latex(_shown(constant))]
        before = len(self.laws)
        for factor, named in parts:
            if factor == 0:
                continue
            number = _shown(factor)
            expectation = "" if _is_one(named[0]) else self.expectation(named)
            shown.append(_product(number, expectation))
        text = shown[0] if shown else "0"
        for more in shown[1:]:
            text += f" - {more[1:].lstrip()}" if more.startswith("-") else f" + {more}"
        new = self.laws[before:] if before else self.laws[1:]
        return text + "".join(rf", \quad {self._law(law)}" for law in new)

    def expectation(self, named: Named) -> str:
        """Return E_j[term], j the index of the law."""
        problem, names = named
        law = (problem.mean, problem.covariance, names)
        if law not in self.laws:
            self.laws.append(law)
        return rf"{self._symbol(law)}\left[{_term(problem.term, names)}\right]"

    def _symbol(self, law: tuple) -> str:
        index = self.laws.index(law)
        return r"\mathbb{E}" + (f"_{{{index}}}" if index else "")

    def _law(self, law: tuple) -> str:
        mean, covariance, names = law
        vector = ", ".join(names)
        if len(names) == 1:
            centre, spread = latex(mean[0]), latex(covariance[0][0])
            return rf"{self._symbol(law)}: {vector} \sim \mathcal{{N}}{bracketed(f'{centre}, {spread}')}"
        centre = latex(sp.Matrix(mean)) if any(mean) else "0"
        spread = latex(sp.Matrix(covariance))
        return rf"{self._symbol(law)}: ({vector}) \sim \mathcal{{N}}\left({centre}, {spread}\right)"


def _shown(f: Expr) -> Expr:
    return f if f.has(sp.I) else tidy(f)


def _product(factor: Expr, expectation: str) -> str:
    if not expectation:
        return latex(factor)
    if factor in (1, -1):
        return ("-" if factor == -1 else "") + expectation
    return latex_of_factor(factor) + r"\, " + expectation


def _term(term: Term, names: Sequence[str]) -> str:
    shown = [
        name if n == 1 else f"{name.replace('^{*}', '')}^{{{'*' if '*' in name else ''}{n}}}"
        for name, n in zip(names, term.powers, strict=True)
        if n
    ]
    letters = [Symbol(name, real=True) for name in names]
    exponent = sp.Add(*[al * z + be * z**2 for al, be, z in zip(term.alpha, term.beta, letters, strict=True)])
    if exponent != 0:
        shown.append(latex(sp.exp(exponent, evaluate=False)))
    shown += [_gate(gate, letters[gate.i]) for gate in term.gates]
    for mass in term.masses:
        order = f"^{{({mass.k})}}" if mass.k else ""
        shown.append(rf"\delta{order}{bracketed(latex(letters[mass.i] - mass.c))}")
    return r" \, ".join(shown) or "1"


def _gate(gate: Gate, letter: Symbol) -> str:
    argument = gate.b * letter + gate.c
    if gate.nu == 0:
        return latex(sp.sign(argument, evaluate=False))
    return latex(sp.erf(argument / sp.sqrt(2 * gate.nu), evaluate=False))
