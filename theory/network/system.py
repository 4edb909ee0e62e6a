r"""System: the frozen contract between the storeys.

A system holds states, parameters and velocities in *chain-rule form*: the velocities are expressions in the states
and in L_q, L_r, and the loss gives L_q, L_r as functions of (q, r), which `entries` gives in the states. Compiled
code evaluates exactly these three stages (never an expansion of L in the states). Time is t = eta * step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import sympy as sp
from sympy import Expr, Symbol

from theory.calculus.bivariate import Phi2, Phi2Angle
from theory.calculus.cache import remembered
from theory.calculus.expectations import is_closed
from theory.calculus.nodes import exact
from theory.calculus.tidy import in_lowest_terms, tidy
from theory.errors import NotIntegrableError, NotRealError, ParameterError
from theory.language.activations import exact_values
from theory.language.families import conditions_in_words, holds
from theory.language.hermite import information_exponent
from theory.language.parameters import Parameter, points
from theory.lazy import Provided
from theory.network.equations import arguments_of, flow_of, weight_of
from theory.network.linearisation import Escape
from theory.network.loss import Loss
from theory.network.ridges import Network
from theory.network.vectors import Sampling, noise_direction, noise_velocity
from theory.shown import Row, Shown
from theory.symbols import MEANINGS, N_4, J, L_q, L_r, M_ll, M_ls, M_ss, N_l, N_s, d, q, r
from theory.symbols import kappa as kappa_symbol
from theory.typeset.layout import Equation, on_screen

__all__ = ["EDGE", "GAP", "System", "guard", "guard_in_states"]

MAX_TIDY = 120  # operations; longer right-hand sides stay in chain-rule form, where expansion would only grow them
ALIGNMENT = Symbol("alignment", real=True)  # <v, b>/|v| of the watched pair, where no state is just that
MOMENTS = (L_q, L_r, J, M_ss, M_ls, M_ll, N_s, N_l, N_4)
GAP = Symbol("D", nonnegative=True)  # r - q^2, written without cancellation
EDGE = sp.Rational(1, 2**500)  # D where it vanishes, in float64: quotients 0/0 at the edge then keep their limits


@dataclass(frozen=True)
class System(Shown):
    """The derived dynamics of a network.

    Attributes:
        network: the description that it was derived from.
        states: state variables, in order.
        parameters: constants of the dynamics.
        entries: what the loss depends on, in the states: q and r of a single-index network, else R_ij and Q_ik.
        velocities: d(state)/dt in the states and the slopes of the loss, L_q and L_r.
        idle: parameters that were declared and are in none of the functions, as beta of sign(beta*x) with beta > 0.
    """

    shows = "is_exact"

    plot = Provided()
    """its plots, such as `plot.search_time()`, for a system from `hermescape.derive`"""

    network: Network
    states: tuple[Symbol, ...]
    parameters: tuple[Symbol, ...]
    entries: Mapping[Symbol, Expr]
    velocities: Mapping[Symbol, Expr]
    idle: tuple[Parameter, ...] = field(default=(), compare=False)

    @cached_property
    def loss_function(self) -> Loss:
        """The population loss in the entries, with its slopes."""
        return Loss(self.network)

    @property
    def loss(self) -> Expr:
        """The population loss in the entries, L(q, r) of a single-index network."""
        return self.loss_function.value

    @property
    def is_exact(self) -> bool:
        """Whether the loss has a closed form."""
        return is_closed(self.loss)

    @cached_property
    def functions(self) -> dict[Symbol, Expr]:
        """L_q, L_r and, at finite kappa, J as functions of (q, r): what the velocities need of the loss."""
        definitions = dict(self.loss_function.slopes)
        symbols, names = set().union(*(f.free_symbols for f in self.velocities.values())), self.network.noise_covariance
        if symbols & names.free_symbols:
            definitions |= dict(zip(names, self.loss_function.noise_covariance(), strict=True))
        return definitions

    @cached_property
    def substituted(self) -> dict[Symbol, Expr]:
        """`velocities` with L_q, L_r (and J) put in where these have closed forms, product by product."""
        if not all(is_closed(f) for f in self.functions.values()):
            return dict(self.velocities)
        inner = {name: _radicals_in(f, self.entries) for name, f in self.functions.items()}
        return {s: f.xreplace(inner) for s, f in self.velocities.items()}

    @cached_property
    def odes(self) -> dict[Symbol, Expr]:
        """d(state)/dt in states and parameters; in L_q, L_r (and J) as well where these have no closed form."""
        return {s: tidy(f) if _is_short_polynomial(f) else f for s, f in self.substituted.items()}

    def sgd(self, kappa: Expr = kappa_symbol) -> System:
        r"""Return the system at finite kappa = eta d / B: each overlap of a vector on the sphere gains its drift.

        For LoRA that is -(kappa/2) u^2 J m in dm/dt and nothing in du/dt; for a free weight, kappa J in d<w, w>/dt.

        >>> from theory.network.derivation import derive
        >>> derive("linear", model="plain").sgd().velocities
        {m: -J*kappa*m/2 + L_q*(m - 1)*(m + 1)}
        """
        given = exact(kappa, "kappa")
        return self._drifting if given == kappa_symbol else self._with_drift(given)

    @cached_property
    def _drifting(self) -> System:
        return self._with_drift(kappa_symbol)

    def _with_drift(self, kappa: Expr) -> System:
        network, drifted = self.network, dict(self.velocities)
        for overlap, pair in network.overlaps.items():
            drifted[overlap] += noise_velocity(network.gram, network.weights, pair, kappa, network.noise_covariance)
        parameters = (*self.parameters, *sorted(kappa.free_symbols - set(self.parameters), key=str))
        return replace(self, velocities=drifted, parameters=parameters)

    @property
    def conditions(self) -> tuple[Expr, ...]:
        """What is positive where these formulas hold: the chamber of a family's parameters; none of one function."""
        return self.network.conditions

    def member(self, values: Mapping[str, Any] | None = None, /, **named: float | Expr | str) -> System:
        """Return the system of one member of a family, with values put in for parameters of its functions.

        Raises `ParameterError` for a value outside the domain of its parameter.

        >>> from theory.network.derivation import derive
        >>> family = derive("erf(beta*x)", parameters={"beta": "> 0"})
        >>> family.member(beta=1).loss == derive("erf").loss
        True
        """
        given = {**(values or {}), **named}
        network = self.network.member(given)
        return self if network is self.network else self._of(network, exact_values(self.network.domain, given))

    def within(self, values: Mapping[str, Any] | None = None, /, **named: float | Expr | str) -> System:
        """Return the family in the chamber of these values; on a wall between chambers, the member.

        >>> from theory.network.derivation import derive
        >>> family = derive("max(a*x, 0)", parameters="a", near={"a": 1})
        >>> family.conditions, family.within(a=-1).conditions
        ((a,), (-a,))
        """
        given = {**(values or {}), **named}
        network = self.network.within(given)
        return self if network is self.network else self._of(network, exact_values(self.network.domain, given))

    def chambers(self, count: int = 200) -> tuple[System, ...]:
        """Return the family in each chamber that has one of `count` generic points of the domain, this one first.

        >>> from theory.network.derivation import derive
        >>> family = derive("max(x - b, 0) + max(x - c, 0)", parameters=["b", "c"])
        >>> [system.conditions for system in family.chambers()]
        [(-b + c,), (b - c,)]
        """
        return tuple(self.each_chamber(count))

    def each_chamber(self, count: int = 200) -> Iterator[System]:
        """Yield `chambers` one by one, as they are derived."""
        known: list[System] = [self]
        yield self
        for place in points(self.network.domain, count) if self.conditions else ():
            if not any(holds(system.conditions, place) for system in known):
                with suppress(NotIntegrableError, NotRealError, ParameterError):  # no function, or too large numbers
                    known.append(self.within({symbol.name: value for symbol, value in place.items()}))
                    yield known[-1]

    def grouped(self, rows: Sequence[Mapping[str, Any]], *, put: bool = False) -> list[tuple[System, list[int]]]:
        """Return the system of each chamber that values of the parameters lie in, with the places of those rows.

        Args:
            rows: values by name, those of other parameters among them.
            put: whether to put the values in: one system for each set of values.

        >>> from theory.network.derivation import derive
        >>> family = derive("max(a*x, 0)", parameters="a", near={"a": 1})
        >>> [(s.conditions, places) for s, places in family.grouped([{"a": 1}, {"a": -1}, {"a": 2}, {"a": 0.0}])]
        [((a,), [0, 2]), ((-a,), [1]), ((), [3])]
        """
        own, groups = self.network.domain, list[tuple[System, list[int], Mapping[Symbol, Expr]]]()
        if not own:
            return [(self, list(range(len(rows))))]
        for i, row in enumerate(rows):
            point = exact_values(own, row)
            for system, places, values in groups:
                if values == point if put or not system.network.domain else holds(system.conditions, point):
                    places.append(i)
                    break
            else:
                system = self.member(row) if put else self.within(row)
                groups.append((system, [i], point))
        return [(system, places) for system, places, _ in groups]

    def _of(self, network: Network, values: Mapping[Symbol, Expr]) -> System:
        """Return the same system of another network: finite kappa and observables are kept."""
        gone = {p.symbol for p in self.network.domain if p not in network.domain}
        parameters = tuple(p for p in self.parameters if p not in gone)
        put = {symbol: number for symbol, number in values.items() if symbol in gone}  # of a scale
        moved = {state: f.xreplace(put) for state, f in self.velocities.items()}
        entries = {name: f.xreplace(put) for name, f in self.entries.items()}
        return replace(self, network=network, parameters=parameters, velocities=moved, entries=entries)

    def with_observable(self, name: Symbol, value: Expr) -> System:
        r"""Return the system with a function of its states as one state more, moved by the chain rule.

        >>> from theory.network.derivation import derive
        >>> from theory.symbols import m
        >>> square = sp.Symbol("h", nonnegative=True)
        >>> derive("linear", model="plain").with_observable(square, m**2).velocities[square]
        2*L_q*m*(m - 1)*(m + 1)
        """
        speed = sp.Add(*[sp.diff(value, state) * self.velocities[state] for state in self.states])
        return replace(self, states=(*self.states, name), velocities={**self.velocities, name: speed})

    def observed(self) -> tuple[System, Symbol]:
        """Return the system with the alignment that its network watches among the states, and that state."""
        alignment = self.network.alignment
        if isinstance(alignment, Symbol) and alignment in self.states:
            return self, alignment
        return self.with_observable(ALIGNMENT, alignment), ALIGNMENT

    @cached_property
    def diffusion(self) -> sp.Matrix:
        r"""The covariance of the states' increments per unit of t, in chain-rule form; `covariance()`.

        >>> from theory.network.derivation import derive
        >>> derive("linear", model="plain").diffusion.shape
        (1, 1)
        """
        return self.covariance()

    def covariance(self, *, norm: bool = True) -> sp.Matrix:
        r"""Return (kappa/d) Cov[f g_i.x - k_i f^2, f g_j.x - k_j f^2], f = (sigma(l) - y) sigma'(l), kappa = eta d / B.

        g_i is the direction that moves state i; for LoRA g_u = v, g_m = u (w* - m v), g_s = u (w0 - s v). k_i J is the
        kappa drift of the state, which fluctuates with the batch because the squared length of the gradient does:
        k_m = -(kappa/2) u^2 m. At fixed kappa both parts are of the same order as eta -> 0.

        Args:
            norm: False leaves out the k_i, the fluctuation of the drift: right for kappa u^2 << 1, as in the search
                phase, and of fewer moments (J, M_ss, M_ls, M_ll without N_s, N_l, N_4).
        """
        network = self.network
        gram, weight = network.gram, network.weight
        directions = [weight.diff(p) for p in network.scalars]
        directions += [noise_direction(gram, weight, pair) for pair in network.overlaps.values()]
        drifts, unit = [sp.S.Zero for _ in network.scalars], sp.eye(1)
        drifts += [noise_velocity(gram, [weight], pair, kappa_symbol, unit) for pair in network.overlaps.values()]
        sampling = Sampling(gram, weight, network.target, {name.name: name for name in MOMENTS})

        def covariance(i: int, j: int) -> Expr:
            (g, k), (h, n) = ((directions[index], drifts[index] if norm else sp.S.Zero) for index in (i, j))
            total = sampling.second(g, h) - sampling.first(g) * sampling.first(h) + k * n * (N_4 - J**2)
            total -= n * (sampling.third(g) - sampling.first(g) * J) + k * (sampling.third(h) - sampling.first(h) * J)
            return kappa_symbol / d * _by_moments(total)

        size = len(directions)
        lower = {(i, j): covariance(i, j) for i in range(size) for j in range(i + 1)}
        return sp.Matrix(size, size, lambda i, j: lower[max(i, j), min(i, j)])

    @cached_property
    def diffusion_functions(self) -> dict[Symbol, Expr]:
        """What `diffusion` needs of the loss, as functions of (q, r)."""
        slope, bend = self.loss_function.gradient()
        return {L_q: slope, L_r: bend, **self.loss_function.noise_moments()}

    @cached_property
    def gap(self) -> Expr:
        """r - q^2 in the states, the squared length of w across w*, by powers of u: nothing cancels as u -> 0."""
        return sp.collect(sp.expand(self.entries[r] - self.entries[q] ** 2), self.network.scalars, sp.factor)

    @property
    def floored_gap(self) -> Expr:
        """`gap` for float64: above zero at the edge, and where a step of an integrator has left the domain."""
        return sp.Max(self.gap, 0) + EDGE

    @cached_property
    def guarded_functions(self) -> dict[Symbol, Expr]:
        """`functions` in q, r and D = r - q^2, in a form that keeps its digits as D -> 0."""
        return {name: guard(f) for name, f in self.functions.items()}

    @cached_property
    def escape(self) -> Escape:
        """The search phase: linearisation, rates, search time."""
        return Escape(self.loss_function, self.states, self.velocities)

    @cached_property
    def written(self) -> System:
        """The system with named constants c_1, c_2, ... in the place of long decimals that were typed, for equations.

        The system itself where its functions have none.

        >>> from theory.network.derivation import derive
        >>> derive("1.2345678*x + 0.5*x**3").written.escape.B
        -45*mu**4/4 - 6*c_1*mu**2 + 3*c_1*mu + 9*mu/2 - c_1**2
        """
        network = self.network.written
        return self if network is self.network else replace(self, network=network)

    @property
    def information_exponent(self) -> int | Symbol | None:
        """The smallest k >= 1 with sigma_k phi_k != 0, a symbol where a function has no formula."""
        return information_exponent(self.loss_function.student, self.loss_function.teacher)

    @property
    def definitions(self) -> tuple[Equation, ...]:
        """sigma, phi, w, and q and r in the states."""
        weight = Equation.of("weight", "w", weight_of(self.network.weight))
        return (*self.loss_function.links, weight, *arguments_of(self.entries))

    @property
    def equations(self) -> tuple[Equation, ...]:
        """Definitions, loss, velocities in chain-rule form and linearisation."""
        return (
            *self.definitions,
            *self.loss_function.equations,
            *flow_of(self.velocities),
            *self.escape.equations,
        )

    def latex(self) -> str:
        r"""Return `equations` as `align*` blocks (amsmath, amssymb); `theory.writing.document` writes the derivation.

        >>> from theory.network.derivation import derive
        >>> print(derive("linear", model="plain").latex())
        \begin{align*}
        \sigma(x) &= x \\
        \varphi(x) &= x \\
        w &= v \\
        q &= m \\
        r &= 1 \\
        L(q, r) &= \frac{r}{2} - q + \frac{1}{2} \\
        L_{q} &= -1 \\
        L_{r} &= \frac{1}{2} \\
        \frac{\mathrm{d} m}{\mathrm{d} t} &= -L_{q} (1 - m^{2}) \\
        k_{*} &= 1 \\
        c_{k_*} &= 1
        \end{align*}
        """
        return on_screen(self.equations)

    @property
    def heading(self) -> str:
        """What learns what."""
        return f"System: {self.brief}"

    @property
    def brief(self) -> str:
        """What learns what."""
        return self.network.brief

    def quantities(self) -> list[Row]:
        """Network, tier, and what every state and parameter is."""
        own = {p.symbol: f"parameter of the functions, {p}" for p in self.network.domain}
        known = {**MEANINGS, **self.network.words.meanings, **own}
        kinds = {"state": self.states, "parameter": self.parameters}
        symbols = [Row(str(s), kind, known.get(s, "")) for kind, those in kinds.items() for s in those]
        exponent = "the smallest k >= 1 with sigma_k phi_k != 0; None where there is none"
        order = [Row("information_exponent", self.information_exponent, exponent)] * self.network.is_single_index
        holds_where = conditions_in_words(self.conditions)
        chamber = [Row("conditions", " and ".join(holds_where), "where these formulas hold")] if holds_where else []
        return [*super().quantities(), *order, *chamber, *symbols]

    def formulas(self) -> dict[str, Expr]:
        """The velocities."""
        return {f"d{state}/dt": f for state, f in self.written.odes.items()}

    def _repr_latex_(self) -> str:
        return self.latex()


def guard_in_states(system: System, functions: Mapping[Symbol, Expr], gap: Expr | None = None) -> dict[Symbol, Expr]:
    """Return functions of (q, r), guarded and written in states and parameters; D is `floored_gap` if not given."""
    inner = {GAP: system.floored_gap if gap is None else gap, **system.entries}
    return {name: guard(f).xreplace(inner) for name, f in functions.items()}


def _radicals_in(gradient: Expr, arguments: Mapping[Symbol, Expr]) -> Expr:
    """Substitute q and r, with every radicand multiplied out and factored."""
    substituted = gradient.subs(arguments, simultaneous=True)
    return substituted.replace(_is_radical, lambda p: sp.expand_power_base(sp.factor(sp.expand(p.base)) ** p.exp))


def _is_radical(e: Expr) -> bool:
    return bool(e.is_Pow and e.exp.is_Rational and not e.exp.is_Integer)


def _is_short_polynomial(f: Expr) -> bool:
    return bool(f.is_polynomial(*f.free_symbols)) and sp.count_ops(f) < MAX_TIDY


def guard(expr: Expr) -> Expr:
    r"""Rewrite what becomes singular at r = q^2 in terms of D = r - q^2.

    arcsin(n / sqrt(v)) = atan2(n, sqrt(v - n^2)), the same for the correlation of a Phi_2, and every sum that vanishes
    at the edge is written with D, so that no difference of nearly equal numbers is left (with
    r - q^2 = u^2 (1 - m^2) this is good down to u = 1e-12 and below).

    >>> guard(sp.asin(q / sp.sqrt(r)) + sp.sqrt(r - q**2))
    sqrt(D) + atan2(q, sqrt(D))
    """
    expr = expr.replace(_is_hyperbolic, _exponentials).replace(sp.asin, _angle)
    expr = expr.replace(Phi2, lambda h, k, rho: Phi2Angle(h, k, _angle(rho)))
    expr = expr.replace(_vanishes_at_the_edge, lambda f: sp.factor(sp.expand(f.subs(r, q**2 + GAP))))
    return expr.replace(_is_steep, lambda f: f.func(f.args[0].replace(_mixes, _by_gap)))


def _is_hyperbolic(f: Expr) -> bool:
    return bool(f.is_Mul and f.has(sp.cosh, sp.sinh) and any(isinstance(g, sp.exp) for g in f.args))


def _exponentials(f: Expr) -> Expr:
    """Write exp(a) cosh(b) as (exp(a + b) + exp(a - b)) / 2, the exponents in lowest terms; the same for sinh."""
    decay = next(g for g in f.args if isinstance(g, sp.exp))
    wave = next((g for g in f.args if isinstance(g, sp.cosh | sp.sinh)), None)
    if wave is None:
        return f
    sign = 1 if isinstance(wave, sp.cosh) else -1
    up, down = (sp.exp(in_lowest_terms(decay.args[0] + side * wave.args[0])) for side in (1, -1))
    return sp.Mul(*[g for g in f.args if g not in (decay, wave)], (up + sign * down) / 2)


def _angle(correlation: Expr) -> Expr:
    """Return arcsin(n/d) as atan2(n, sqrt(d^2 - n^2)); d is a product of standard deviations, hence positive."""
    n, d = sp.fraction(sp.together(correlation))
    return sp.atan2(n, sp.sqrt(sp.factor(sp.expand(d**2 - n**2))))


def _is_steep(f: Expr) -> bool:
    """Whether an exponential or error function has D in a denominator, so that its numerator needs every digit."""
    return isinstance(f, sp.exp | sp.erf | sp.erfc) and f.has(GAP)


def _mixes(f: Expr) -> bool:
    return bool(f.is_Add and f.has(q) and f.has(r) and f.is_polynomial(q, r))


def _by_gap(f: Expr) -> Expr:
    """Write 1 - 2 q + r as (1 - q)^2 + D."""
    return sp.collect(sp.expand(f.subs(r, q**2 + GAP)), GAP, sp.factor)


def _vanishes_at_the_edge(f: Expr) -> bool:
    return bool(f.is_Add and f.has(q) and f.is_polynomial(q, r) and sp.expand(f.subs(r, q**2)) == 0)


@remembered(lambda total: (total,))
def _by_moments(total: Expr) -> Expr:
    """Return a polynomial in the moments as a sum over them, each times one factor."""
    parts: dict[Expr, Expr] = {}
    for powers, part in sp.Poly(total, *MOMENTS).terms():
        product = sp.Mul(*map(sp.Pow, MOMENTS, powers))
        shared = J if product.coeff(J) != 0 else product  # J with L_q and L_r in one bracket
        parts[shared] = parts.get(shared, sp.S.Zero) + part * product / shared
    return sp.Add(*[sp.factor(part) * shared for shared, part in parts.items()])
