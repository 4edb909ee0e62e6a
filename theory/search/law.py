r"""The escape-time law in symbols: what `numerics.law` puts numbers into.

LoRA with G != 0, w = w0 + alpha u v (aligned: w0 = mu w*, a_m = -A). The growing combination of the linearised flow is

    p = lambda u - alpha (L_q m + 2 L_r s),   dp/dt = lambda p,   |m| = alpha |a_m| |p| / (lambda^2 + alpha^2 G^2),

the last one on the unstable direction. At the start L_q m0 + 2 L_r s0 ~ N(0, G^2/d), and SGD's noise in u, of variance
alpha^2 kappa J_0/d per unit of t, adds alpha^2 kappa lambda J_0/(2 d) to the variance of p. So p is Gaussian, |m| grows
as exp(t/tau), and C counts the rest of the way along the unstable manifold, t = tau (C - log c) from |m| = c << 1:

    T = tau [ (1/2) log d - log|Z + z_0| + log((lambda^2 + alpha^2 G^2) / (alpha^2 |a_m| S)) + C ] + o(1),
    S^2 = G^2 + kappa lambda J_0 / (2 + eta lambda),     z_0 = lambda u_0 sqrt(d) / (alpha S),     Z ~ N(0, 1).

One step of size eta multiplies p by 1 + eta lambda, hence 1/tau = log(1 + eta lambda)/eta, and the 2 + eta lambda.

Plain training with information exponent 2, dm/dt = (c - kappa J_0/2) m + ... from m0 = Z/sqrt(d): the noise in m has
variance kappa V_0/d with V_0 = E[(sigma(l) - y)^2 sigma'(l)^2 l*^2] at q = 0 (not J_0: m moves along w*), so that

    T = tau [ (1/2) log d - log|Z| - log S + C ] + o(1),     S^2 = 1 + kappa V_0 / (2 c h + eta c^2 - kappa J_0),
    1/tau = (1/eta) log((h + eta c) / sqrt(h^2 + eta kappa J_0)) -> c - kappa J_0/2,     h = 1 - 2 eta L_r,

h being what a step leaves of v itself. Time is t = eta * step (arXiv:2602.02855 states tau log(R/eps) alone).
docs/theory.md has the two laws as eq-law and eq-plain-two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp
from sympy import Expr, Symbol

from theory.calculus.expectations import is_closed
from theory.errors import InputError
from theory.language.activations import constants_of
from theory.network.derivation import takes_text
from theory.network.linearisation import Escape
from theory.network.system import System
from theory.shown import Shown
from theory.symbols import L_q, L_r, T, c, d, eta, kappa, mu, rho
from theory.typeset.constants import Constants
from theory.typeset.layout import Equation

__all__ = [
    "VANISHING",
    "EscapeTime",
    "counts_as_critical",
    "escape_time",
    "exit_time",
    "growth",
    "level",
    "prefactor",
    "saddle_rate",
    "saddle_spread",
    "saddle_time",
    "search_time",
    "shift",
    "spread",
    "spread_alone",
    "spread_driven",
    "turning_rate",
]

VANISHING = 1e-9  # of alpha |B|: a mu of ten digits cannot tell such a G from 0

B = Symbol("B", real=True)
C = Symbol("C", real=True)
G = Symbol("G", positive=True)
J_0 = Symbol("J_0", nonnegative=True)
S = Symbol("S", positive=True)
V_0 = Symbol("V_0", nonnegative=True)
Z = Symbol("Z", real=True)
a_m = Symbol("a_m", real=True)
h = Symbol("h", positive=True)
rate = Symbol("lambda", positive=True)
tau = Symbol("tau", positive=True)
u_0 = Symbol("u_0", real=True)
z_0 = Symbol("z_0", real=True)


# --- every formula once: of symbols, of exact numbers, and of floats through `numerics.compile.formulas` -----------
#
# The scale alpha multiplies: `drive` is alpha^2 G^2, `trace` alpha^2 B, `noise` alpha^2 J_0, `along` alpha a_m.


def growth(trace: Expr, drive: Expr) -> Expr:
    """Return lambda = (T + sqrt(T^2 + 4 D))/2."""
    return (trace + sp.sqrt(trace**2 + 4 * drive)) / 2


def search_time(rate: Expr, eta: Expr) -> Expr:
    """Return tau = eta/log(1 + eta lambda), its limit 1/lambda at eta = 0: one step multiplies by 1 + eta lambda.

    >>> search_time(sp.Integer(2), sp.S.Zero), search_time(rate, eta)
    (1/2, eta/log(eta*lambda + 1))
    """
    return sp.Piecewise((1 / rate, sp.Eq(eta, 0)), (eta / sp.log(1 + eta * rate), True))


def spread(drive: Expr, noise: Expr, kappa: Expr, rate: Expr, eta: Expr) -> Expr:
    """Return alpha S, the standard deviation of p at the start with what SGD's noise in u adds, times sqrt(d)."""
    return sp.sqrt(drive + kappa * rate * noise / (2 + eta * rate))


def prefactor(rate: Expr, drive: Expr, along: Expr, width: Expr) -> Expr:
    """Return log(|p|/|m|) on the unstable manifold, less the logarithm of the width of p at the start."""
    return sp.log((rate**2 + drive) / (sp.Abs(along) * width))


def shift(rate: Expr, begun: Expr, width: Expr) -> Expr:
    """Return z_0 of u at the start, `begun` = u_0 sqrt(d)."""
    return rate * begun / width


def spread_alone(rate: Expr, noise: Expr, kappa: Expr, eta: Expr) -> Expr:
    """Return the standard deviation that SGD's noise gives to a u that grows by itself, times sqrt(d)."""
    return sp.sqrt(kappa * noise / (rate * (2 + eta * rate)))


def saddle_rate(drift: Expr, noise: Expr, kappa: Expr) -> Expr:
    """Return c - kappa J_0/2, the rate of m on the sphere as eta -> 0."""
    return drift - kappa * noise / 2


def saddle_time(drift: Expr, left: Expr, noise: Expr, kappa: Expr, eta: Expr) -> Expr:
    """Return tau on the sphere; `left` is h = 1 - 2 eta L_r."""
    step = sp.log((left + eta * drift) / sp.sqrt(left**2 + eta * kappa * noise))
    return sp.Piecewise((1 / saddle_rate(drift, noise, kappa), sp.Eq(eta, 0)), (eta / step, True))


def saddle_spread(drift: Expr, left: Expr, noise: Expr, along: Expr, kappa: Expr, eta: Expr) -> Expr:
    """Return S on the sphere; `along` is V_0."""
    return sp.sqrt(1 + kappa * along / (2 * drift * left + eta * drift**2 - kappa * noise))


def turning_rate(trace: Expr, turn: Expr, noise: Expr, kappa: Expr) -> Expr:
    """Return g, the rate per unit of t/d at which noise in a relaxing u turns v; `turn` is alpha^2 A'."""
    return kappa * noise / (-2 * trace) * (turn - trace - kappa * noise / 2)


def level(trace: Expr, noise: Expr, kappa: Expr, eta: Expr) -> Expr:
    """Return the variance of a u that relaxes at the rate -`trace`, times d."""
    return kappa * noise / (-2 * trace - eta * trace**2)


def spread_driven(noise: Expr, time: Expr) -> Expr:
    """Return the widening of m by noise of this variance (times 1/d per unit of t) during a search of this tau."""
    return sp.sqrt(1 + time * noise / 2)


def exit_time(time: Expr, log_start: Expr) -> Expr:
    """Return T = tau [(1/2) log d + log_start + C], log_start = -log|Z + z_0| and what belongs to the start."""
    return time * (sp.log(d) / 2 + log_start + C)


def counts_as_critical(trace: Expr | float, drive: Expr | float) -> bool:
    """Whether G counts as 0: alpha G <= 1e-9 alpha^2 |B|, which no mu of ten digits can tell from a critical one.

    The one meaning that a small G has here, for exact numbers and floats: u then relaxes 1e9 times as fast as m leaves.

    >>> counts_as_critical(sp.Integer(-1), sp.Rational(1, 10**20)), counts_as_critical(-1.0, 1e-4)
    (True, False)
    """
    return bool(drive <= VANISHING**2 * trace**2)


@dataclass(frozen=True)
class EscapeTime(Shown):
    """The exit time T as an expression, Z ~ N(0, 1), and the definitions of its symbols, each in later ones.

    Attributes:
        regime: how the start is left, "linear" or "plain-2".
        time: T; C, the constant of the way out, is a number that an integration gives.
        definitions: what its symbols stand for.
        written: the definitions in equations, with named constants for long decimals.
    """

    shows = "regime"

    regime: str
    time: Expr
    definitions: Mapping[Symbol, Expr]
    written: Mapping[Symbol, Expr]

    def formulas(self) -> dict[str, Expr]:
        """T, and the definitions."""
        return {"T": self.time, **{str(name): value for name, value in self.written.items()}}

    @property
    def equations(self) -> tuple[Equation, ...]:
        """The law and its definitions."""
        defined = (Equation.of(str(name), name, value) for name, value in {T: self.time, **self.written}.items())
        return (*defined, *constants_of(Constants.within(*self.written.values())))

    def latex(self) -> str:
        """Return the law and its definitions as an `align*` block."""
        body = " \\\\\n".join(f"{each.left} &= {each.rights[0]}" for each in self.equations)
        return f"\\begin{{align*}}\n{body}\n\\end{{align*}}"

    def _repr_latex_(self) -> str:
        return self.latex()


@takes_text
def escape_time(system: System) -> EscapeTime:
    """Return the law of the exit time where the start is linearly unstable.

    Raises `InputError` for other regimes.

    >>> from theory.network.derivation import derive
    >>> escape_time(derive("relu")).definitions[G]
    Abs(mu - 1)/2
    >>> escape_time(derive("he2", model="plain")).definitions[c]
    4
    """
    escape = system.escape
    if escape.square is not None and escape.G2 != 0:
        return EscapeTime("linear", *_lora(escape), _lora(system.written.escape)[1])
    if escape.is_linear and escape.B is not None and escape.square is None:
        raise InputError(
            f"model {system.network.name}: its linearised velocities are not those of LoRA, of which this is the law; "
            "accepted are the models lora, misaligned and plain as derived."
        )
    if escape.on_sphere and escape.exponent == 2:
        return EscapeTime("plain-2", *_plain(escape), _plain(system.written.escape)[1])
    raise InputError(
        f"{system.loss_function.student.name} with model {system.network.name}, information exponent "
        f"{escape.exponent}: the start is not linearly unstable; accepted are LoRA with G != 0, and plain training "
        "with exponent 2."
    )


def _lora(escape: Escape) -> tuple[Expr, dict[Symbol, Expr]]:
    """Return T and the definitions."""
    assert escape.square is not None  # else another law
    size, length = sp.sqrt(escape.square), mu if escape.A is not None else rho
    trace, drive = escape.square * B, escape.square * G**2
    slope = sp.sqrt(L_q**2 + 4 * mu * L_q * L_r + 4 * length**2 * L_r**2)
    start = prefactor(rate, drive, size * a_m, size * S)
    definitions = {
        tau: search_time(rate, eta),
        z_0: shift(rate, u_0 * sp.sqrt(d), size * S),
        S: spread(G**2, J_0, kappa, rate, eta),
        rate: growth(trace, drive),
        a_m: L_q + 2 * mu * L_r,
        G: slope if escape.G2 is None or not is_closed(escape.G2) else sp.sqrt(sp.factor(escape.G2)),
        B: escape.B if escape.B is not None and is_closed(escape.B) else -2 * L_r,
        J_0: sp.Function("J")(mu, length**2),
    }
    return exit_time(tau, start - sp.log(sp.Abs(Z + z_0))), definitions


def _plain(escape: Escape) -> tuple[Expr, dict[Symbol, Expr]]:
    """Return T and the definitions."""
    drift = escape.drift
    assert drift is not None
    definitions = {
        tau: saddle_time(c, h, J_0, kappa, eta),
        S: saddle_spread(c, h, J_0, V_0, kappa, eta),
        h: 1 - 2 * eta * L_r,
        c: drift,
    }
    return exit_time(tau, -sp.log(sp.Abs(Z)) - sp.log(S)), definitions
