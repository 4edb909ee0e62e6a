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
from theory.network.system import System
from theory.symbols import L_q, L_r, c, d, eta, kappa, mu, rho
from theory.typeset.printing import latex

__all__ = ["EscapeTime", "escape_time"]

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


@dataclass(frozen=True)
class EscapeTime:
    """The exit time T as an expression, Z ~ N(0, 1), and the definitions of its symbols, each in later ones.

    C, the constant of the way out, is a number that an integration gives.
    """

    regime: str
    time: Expr
    definitions: Mapping[Symbol, Expr]

    def latex(self) -> str:
        """Return the law and its definitions as an `align*` block."""
        lines = [("T", self.time), *((latex(name), value) for name, value in self.definitions.items())]
        body = " \\\\\n".join(f"{left} &= {latex(value)}" for left, value in lines)
        return f"\\begin{{align*}}\n{body}\n\\end{{align*}}"

    def _repr_latex_(self) -> str:
        return self.latex()


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
        return _lora(system)
    if escape.is_linear and escape.B is not None and escape.square is None:
        raise InputError(
            f"model {system.network.name}: its linearised velocities are not those of LoRA, of which this is the law; "
            "accepted are the models lora, misaligned and plain as derived."
        )
    if system.network.name == "plain" and escape.exponent == 2:
        return _plain(system)
    raise InputError(
        f"{system.loss_function.student.name} with model {system.network.name}, information exponent {escape.exponent}: "
        "the start is not linearly unstable; accepted are LoRA with G != 0, and plain training with exponent 2."
    )


def _lora(system: System) -> EscapeTime:
    escape, scale = system.escape, sp.sympify(getattr(system.network, "scale", 1))
    strength, bend = mu if escape.A is not None else rho, scale**2 * B
    size = scale**2 * G**2
    prefactor = sp.log((rate**2 + size) / (scale**2 * sp.Abs(a_m) * S))
    time = tau * (sp.log(d) / 2 - sp.log(sp.Abs(Z + z_0)) + prefactor + C)
    slope = sp.sqrt(L_q**2 + 4 * mu * L_q * L_r + 4 * strength**2 * L_r**2)
    definitions = {
        tau: eta / sp.log(1 + eta * rate),
        z_0: rate * u_0 * sp.sqrt(d) / (scale * S),
        S: sp.sqrt(G**2 + kappa * rate * J_0 / (2 + eta * rate)),
        rate: (bend + sp.sqrt(bend**2 + 4 * size)) / 2,
        a_m: L_q + 2 * mu * L_r,
        G: slope if escape.G2 is None or not is_closed(escape.G2) else sp.sqrt(sp.factor(escape.G2)),
        B: escape.B if escape.B is not None and is_closed(escape.B) else -2 * L_r,
        J_0: sp.Function("J")(mu, strength**2),
    }
    return EscapeTime("linear", time, definitions)


def _plain(system: System) -> EscapeTime:
    drift = system.escape.drift
    assert drift is not None
    time = tau * (sp.log(d) / 2 - sp.log(sp.Abs(Z)) - sp.log(S) + C)
    definitions = {
        tau: eta / sp.log((h + eta * c) / sp.sqrt(h**2 + eta * kappa * J_0)),
        S: sp.sqrt(1 + kappa * V_0 / (2 * c * h + eta * c**2 - kappa * J_0)),
        h: 1 - 2 * eta * L_r,
        c: drift,
    }
    return EscapeTime("plain-2", time, definitions)
