r"""The search phase: linearisation of the derived dynamics at its start, and the search time.

For LoRA the start (u, m, s) = 0 is a fixed point. With L_q, L_r taken at the pre-trained weight, (mu, rho^2), the
Jacobian couples u to the overlaps and the overlaps to u only, so that it has one growing direction, of rate

    lambda_+ = (B + sqrt(B^2 + 4 G^2)) / 2,     tau = 1/lambda_+ = (-B + sqrt(B^2 + 4 G^2)) / (2 G^2),
    B = -2 L_r,     G^2 = L_q^2 + 4 mu L_q L_r + 4 rho^2 L_r^2 = |grad L(w0)|^2,

and G = |A|, A = -(L_q + 2 mu L_r), where w0 is aligned; a LoRA scale alpha multiplies B and G^2 by alpha^2. Time is
t = eta * step. For plain spherical training dm/dt ~ c m^(k*-1), k* the information exponent: a rate only for k* = 2.
docs/theory.md derives this as eq-tau.

Every rate is an eigenvalue of the Jacobian of the system's own velocities, by the chain rule through L_q, L_r and, at
finite kappa, J. States that drive each other form blocks; without its zero eigenvalues a block has the characteristic
polynomial lambda^2 - T lambda - D (or lambda - T), so that the formula above holds with T and D in place of B and G^2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import sympy as sp
from sympy import Expr, S, Symbol
from sympy.utilities.iterables import strongly_connected_components

from theory.calculus.cache import remembered
from theory.calculus.expectations import is_closed
from theory.calculus.tidy import tidy
from theory.errors import NotIntegrableError
from theory.language.hermite import HermiteSymbol, coefficient, information_exponent, is_zero
from theory.network.equations import A as DRIVE
from theory.network.equations import G as SLOPE
from theory.network.equations import gradient_at_start, jacobian_growth, lora_growth, no_slope, on_sphere, time_in
from theory.network.loss import Loss
from theory.network.ridges import Network
from theory.shown import Row, Shown
from theory.symbols import J, L_q, L_r, mu, q, r, rho
from theory.typeset.layout import Equation, on_screen

__all__ = ["Escape"]

LAMBDA = sp.Dummy("lambda")
MAX_TIDY = 60  # operations; the radicand of longer rates stays B^2 + 4 G^2


@dataclass(frozen=True)
class Escape(Shown):
    """The linearised search phase of a derived system; None wherever the model has none.

    >>> from theory.network.derivation import derive
    >>> derive("he2").escape.A
    6*mu*(1 - mu)*(mu + 1)
    >>> derive("linear", model="misaligned").escape.G2
    -2*mu + rho**2 + 1
    """

    shows = "A, B, G2, rate, tau, exponent, is_aligned"

    loss: Loss
    states: tuple[Symbol, ...]
    velocities: Mapping[Symbol, Expr]

    @property
    def network(self) -> Network:
        """The description of what is trained."""
        return self.loss.network

    @property
    def parameters(self) -> tuple[Symbol, ...]:
        """Symbols that need a value: the model's parameters, and what its Jacobian contains besides."""
        extra = set() if self.jacobian is None else self.jacobian.free_symbols - set(self.network.parameters)
        return (*self.network.parameters, *sorted(extra, key=str))

    @property
    def is_linear(self) -> bool:
        """Whether the start is a fixed point with a linearisation in mu (LoRA), not a point m = 0 on the sphere."""
        return bool(self.network.scalars)

    @cached_property
    def on_sphere(self) -> bool:
        """Whether the weight itself is learnt on the unit sphere: no scalars, and one state m = <w, w*>, |w| = 1."""
        if self.network.start is None or self.is_linear or len(self.states) != 1:
            return False
        overlap, norm = (self.network.gram.inner(*pair) for pair in self.network.entries.values())
        return overlap == self.states[0] and norm == 1

    @cached_property
    def is_aligned(self) -> bool:
        """Whether the weight at the start is mu w*: q = mu and r = mu^2 there."""
        return self.is_linear and self.at_start[q] == mu and self.at_start[r] == mu**2

    @cached_property
    def base_gradient(self) -> tuple[Expr, Expr] | None:
        """(L_q, L_r) at the start, or None where one of them is infinite (a student that jumps)."""
        if self.network.start is None:
            return None
        try:
            slopes = self.loss.gradient(self.at_start[q], self.at_start[r])
        except NotIntegrableError:
            return None
        return None if any(g.has(sp.oo, -sp.oo, sp.zoo, sp.nan) for g in slopes) else slopes

    @cached_property
    def at_start(self) -> dict[Symbol, Expr]:
        """The loss's arguments (q, r) at the start."""
        return {
            name: sp.expand(self.network.gram.inner(*pair).subs(self.network.start or {}))
            for name, pair in self.network.entries.items()
        }

    @cached_property
    def _inner(self) -> dict[Symbol, Expr]:
        """L_q, L_r and, where the velocities contain it, J at the start."""
        assert self.base_gradient is not None
        values = dict(zip((L_q, L_r), self.base_gradient, strict=True))
        if any(f.has(J) for f in self.velocities.values()):
            values[J] = self.loss.noise(self.at_start[q], self.at_start[r])
        return values

    @cached_property
    def is_fixed(self) -> bool:
        """Whether the flow rests at the start, so that a linearisation says how it is left."""
        if self.network.start is None or self.base_gradient is None:
            return False
        speeds = [f.subs(self.network.start) for f in self.velocities.values()]
        return all(speed == 0 or _vanishes(speed.subs(self._inner)) for speed in speeds)

    @cached_property
    def _chain(self) -> sp.Matrix | None:
        """The Jacobian in L_q, L_r and J, and numbers where these themselves move with the states to first order."""
        start = self.network.start
        if start is None or self.base_gradient is None:
            return None
        speeds = sp.Matrix([self.velocities[state] for state in self.states])
        rows = speeds.jacobian(self.states).subs(start).applyfunc(sp.expand)
        for name in (L_q, L_r, J):
            pull = speeds.jacobian([name]).subs(start)  # `diff` of a matrix would load SymPy's tensors
            if not pull.is_zero_matrix:
                try:
                    rows += pull.subs(self._inner) * self._moves(name)
                except NotIntegrableError:
                    return None
        return None if rows.has(sp.oo, -sp.oo, sp.zoo, sp.nan) else rows

    def _moves(self, name: Symbol) -> sp.Matrix:
        """d(name)/d(state) at the start as a row, by Price's theorem."""
        inner = {key: self.network.gram.inner(*pair) for key, pair in self.network.entries.items()}
        total = sp.zeros(1, len(self.states))
        for argument, f in inner.items():
            slopes = sp.Matrix([[sp.diff(f, state).subs(self.network.start) for state in self.states]])
            if not slopes.is_zero_matrix:
                change = self.loss.second(name, argument, self.at_start[q], self.at_start[r])
                total += (S.Zero if not change.free_symbols and is_zero(change) else change) * slopes
        return total

    @cached_property
    def jacobian(self) -> sp.Matrix | None:
        """d(velocity)/d(state) at the start, by the chain rule; None where it is infinite.

        >>> from theory.network.derivation import derive
        >>> derive("he2", model="plain").escape.jacobian
        Matrix([[4]])
        """
        if self._chain is None:
            return None
        return self._chain.subs(self._inner).applyfunc(_tidy_if_closed)

    @cached_property
    def blocks(self) -> tuple[tuple[int, ...], ...]:
        """The states, by index, that drive each other: the eigenvalues are those of these diagonal blocks."""
        if self._chain is None:
            return ()
        size = range(len(self.states))
        driven = [(i, j) for i in size for j in size if self._chain[i, j] != 0]
        return tuple(tuple(sorted(block)) for block in strongly_connected_components((list(size), driven)))

    @cached_property
    def A(self) -> Expr | None:
        """A(mu) = -(L_q + 2 mu L_r) = -dL(mu, mu^2)/dmu; None unless the pre-trained weight is aligned."""
        if self.base_gradient is None or not self.is_aligned:
            return None
        if not self.loss.has_formula:
            return self.loss.drive(mu)
        slope, bend = self.base_gradient
        return _tidy_if_closed(-slope - 2 * mu * bend)

    @cached_property
    def B(self) -> Expr | None:
        """B = -2 L_r, minus the curvature across the bulk of directions; None for plain."""
        return _tidy_if_closed(-2 * self.base_gradient[1]) if self.is_linear and self.base_gradient else None

    @cached_property
    def G2(self) -> Expr | None:
        """G^2 = L_q^2 + 4 mu L_q L_r + 4 rho^2 L_r^2 = |grad L(w0)|^2; None for plain."""
        if not self.is_linear or self.base_gradient is None:
            return None
        if self.A is not None:
            return _product(S.One, self.A, 2)
        slope, bend = self.base_gradient
        overlap, squared = self.at_start[q], self.at_start[r]
        return _tidy_if_closed(slope**2 + 4 * overlap * slope * bend + 4 * squared * bend**2)

    @cached_property
    def exponent(self) -> int | Symbol | None:
        """The information exponent k* of the pair, a symbol where a function has no formula."""
        return information_exponent(self.loss.student, self.loss.teacher)

    @cached_property
    def drift(self) -> Expr | None:
        """c in dm/dt ~ c m^(k*-1) for plain training: sigma_{k*} phi_{k*} / (k* - 1)!; None where trapped for ever."""
        k = self.exponent
        if k is None:
            return None
        if isinstance(k, Symbol):
            return sp.Mul(*[HermiteSymbol(letter, k) for letter in self.loss.letters]) / sp.factorial(k - 1)
        return coefficient(self.loss.student, k) * coefficient(self.loss.teacher, k) / sp.factorial(k - 1)

    @cached_property
    def square(self) -> Expr | None:
        """alpha^2 where u grows as in LoRA, by alpha^2 B and alpha^2 G^2; None where the velocities are others."""
        if self._chain is None or not self.is_linear or [len(f) for f in self._polynomials] != [2]:
            return None
        trace, drive = self._polynomials[0]
        overlap, squared = self.at_start[q], self.at_start[r]
        square = trace.coeff(L_r) / -2
        gradient = L_q**2 + 4 * overlap * L_q * L_r + 4 * squared * L_r**2
        is_lora = square != 0 and sp.expand(trace + 2 * square * L_r) == 0 and sp.expand(drive - square * gradient) == 0
        return square if is_lora else None

    @cached_property
    def scale(self) -> Expr | None:
        """alpha of w = w0 + alpha u v, with the sign that it has there; None where `square` is."""
        if self.square is None:
            return None
        scales = [value for scalar in self.network.scalars for _, value in self.network.weight.diff(scalar).parts]
        return scales[0] if len(scales) == 1 and sp.expand(scales[0] ** 2 - self.square) == 0 else sp.sqrt(self.square)

    @cached_property
    def _polynomials(self) -> tuple[tuple[Expr, ...], ...]:
        """(T, D, ...) of lambda^n - T lambda^(n-1) - D lambda^(n-2) - ... for every block, without zero eigenvalues."""
        assert self._chain is not None
        factors = (_characteristic(self._chain.extract(list(block), list(block))) for block in self.blocks)
        return tuple(f for f in factors if f)

    @cached_property
    def _growth(self) -> tuple[tuple[Expr, Expr], ...] | None:
        """(T, D) of lambda^2 - T lambda - D for every block, D = 0 for a single rate; None without a formula."""
        if self._chain is None or not self.is_fixed:
            return None
        if self.square is not None:
            assert self.B is not None
            assert self.G2 is not None
            return (tuple(_product(self.square, f) for f in (self.B, self.G2)),)
        rates = []
        for coefficients in self._polynomials:
            if len(coefficients) > 2:
                return None
            trace, drive = (_tidy_if_closed(f.subs(self._inner)) for f in (*coefficients, S.Zero)[:2])
            rates.append((trace, drive))
        return tuple(rates)

    @cached_property
    def rate(self) -> Expr | None:
        """The growth rate of the search phase, per unit of t; None where growth is not exponential.

        The largest eigenvalue of the Jacobian; also None where that has no formula by square roots.

        >>> from theory.network.derivation import derive
        >>> derive("he2", model="plain").sgd().escape.rate.subs(sp.Symbol("kappa", nonnegative=True), 0)
        4
        """
        is_lora = self.square is not None
        roots = [_half_of(t, _root(t, d), S.One) if is_lora or d != 0 else t for t, d in self._growth or ()]
        return sp.Max(*roots, evaluate=False) if len(roots) > 1 else roots[0] if roots else None

    @cached_property
    def tau(self) -> Expr | None:
        """The search time 1/lambda_+, in units of t = eta * step; None where growth is not exponential."""
        if self.rate is None or self._growth is None:
            return None
        if self.square is not None or (len(self._growth) == 1 and self._growth[0][1] != 0):
            trace, drive = self._growth[0]
            if drive == 0:
                return 1 / trace if trace.is_positive else None  # u alone, or nothing
            return _half_of(-trace, _root(trace, drive), drive)
        return 1 / self.rate if len(self._growth) > 1 or self.rate.is_positive else None

    @cached_property
    def written(self) -> Escape:
        """The search phase with named constants in the place of long decimals; itself without any."""
        loss = self.loss.written
        return self if loss is self.loss else Escape(loss, self.states, self.velocities)

    @cached_property
    def equations(self) -> tuple[Equation, ...]:
        """What there is of A, B, G, growth rate and search time."""
        if self.written is not self:
            return self.written.equations
        if not self.is_linear:
            if self.network.start is None or self.exponent is None or self.drift is None:
                return ()
            return on_sphere(self.exponent, self.drift, self.tau)
        if self.B is None:
            return no_slope(self.states)
        length = rho if rho in self.network.parameters else mu
        gradient = gradient_at_start(self.A, self.B, self.G2, length)
        if self.G2 == 0:
            return gradient
        if self.square is None:
            return (*gradient, *jacobian_growth(self.rate, self.tau))
        return (*gradient, *lora_growth(self.square, self._drive, self.rate, self.tau))

    @property
    def _drive(self) -> Symbol:
        """The symbol of what drives the search: A where w0 is aligned, else G."""
        return SLOPE if self.A is None else DRIVE

    @property
    def tau_in_drive(self) -> Expr | None:
        """`tau` in the symbols A (or G), B and the LoRA scale; None where the velocities are not those of LoRA."""
        return None if self.square is None or self.tau is None else time_in(self._drive, self.square)

    def quantities(self) -> list[Row]:
        """What there is of it, as it is written, and the named constants in it."""
        if self.written is not self:
            return self.written.quantities()
        return [*super().quantities(), *(Row(c.name, c.decimal, "as typed") for c in self.loss.constants.named)]

    @property
    def heading(self) -> str:
        """Whose search phase it is."""
        return f"Escape: search phase of {self.network.brief}; None wherever there is none"

    def _repr_latex_(self) -> str:
        return on_screen([*self.loss.links, *self.equations])

    @property
    def is_closed(self) -> bool:
        """Whether rate and search time are closed forms."""
        return all(is_closed(f) for f in (self.rate, self.tau) if f is not None)


def _characteristic(block: sp.Matrix) -> tuple[Expr, ...]:
    """Return T, D, ... of lambda^n - T lambda^(n-1) - D lambda^(n-2) - ..., trailing zeros left out."""
    coefficients = (
        [block[0, 0]] if len(block) == 1 else [-sp.expand(c) for c in block.charpoly(LAMBDA).all_coeffs()[1:]]
    )
    while coefficients and coefficients[-1] == 0:
        coefficients.pop()
    return tuple(coefficients)


def _vanishes(value: Expr) -> bool:
    """Whether a speed is zero, as far as can be told without values for parameters."""
    return sp.simplify(value) == 0 if value.free_symbols and is_closed(value) else is_zero(value)


def _root(trace: Expr, drive: Expr) -> Expr:
    parts = _product(S.One, trace, 2), _product(sp.Integer(4), drive)
    radicand = sp.Add(*parts, evaluate=not any(map(_is_long, parts)))
    is_short = radicand.is_rational_function(*radicand.free_symbols) and not _is_long(radicand)
    return sp.sqrt(tidy(radicand)) if is_short else sp.Pow(radicand, sp.S.Half, evaluate=False)  # its sign is costly


def _is_long(f: Expr) -> bool:
    """Whether f is better not built again: SymPy asks for signs on the way, and isolates zeros for them.

    In a polynomial of degree 38 that takes minutes or nothing, by the order in which a run of Python hashes texts.
    """
    return not is_closed(f) or sp.count_ops(f) >= MAX_TIDY


def _product(factor: Expr, f: Expr, power: int = 1) -> Expr:
    """Return factor * f**power, a long f as it is."""
    if not _is_long(f):
        return factor * f**power
    raised = f if power == 1 else sp.Pow(f, power, evaluate=False)
    return raised if factor == 1 else sp.Mul(factor, raised, evaluate=False)


def _half_of(first: Expr, root: Expr, divisor: Expr) -> Expr:
    """Return (first + root)/(2 divisor), a long root as it is."""
    if not (root.is_Pow and _is_long(root)):
        return (first + root) / (2 * divisor)
    if divisor.is_Rational:
        factor = 1 / (2 * divisor)
        return sp.Add(*sp.Add.make_args(factor * first), sp.Mul(factor, root, evaluate=False), evaluate=False)
    total = sp.Add(*sp.Add.make_args(first), root, evaluate=False)
    below = sp.Pow(divisor, -1, evaluate=False) if _is_long(divisor) else 1 / divisor
    return sp.Mul(S.Half, *sp.Mul.make_args(below), total, evaluate=False)


@remembered(lambda expr: (expr,))
def _tidy_if_closed(expr: Expr) -> Expr:
    return tidy(_below_one(expr)) if is_closed(expr) else expr


def _below_one(expr: Expr) -> Expr:
    """Resolve signs, minima and moduli that the domain mu < 1 decides, by mu = 1/(1 + n) with n > 0."""
    n = sp.Dummy("n", positive=True)
    decided = {}
    for node in expr.atoms(sp.sign, sp.Min, sp.Max, sp.Abs):
        there = node.func(*[sp.factor(arg.subs(mu, 1 / (1 + n))) for arg in node.args])
        if not there.has(sp.sign, sp.Min, sp.Max, sp.Abs) or not there.has(n):
            decided[node] = sp.factor(there.subs(n, 1 / mu - 1))
    return expr.xreplace(decided)
