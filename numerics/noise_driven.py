r"""The exit time at a critical strength, where only SGD's noise leads out: A = 0 > B, A' > 0 (`theory.regimes`).

There the flow leaves v where it is. SGD keeps u at a fast, small equilibrium, whose variance given m is, with
f = (sigma(l) - y) sigma'(l) at w0, J_0 = E f^2, J_* = E[f^2 l*^2], and at step size eta,

    E[u^2 | m] = (kappa/d) V(m) / (-2 lambda(m) - eta lambda(m)^2),
    V = (1 - m^2) J_0 + m^2 J_*,    lambda(m) = B (1 - m^2) + A' m^2 < 0,

and u^2 drives m. Averaged over u, m is slow, in the time t/d:

    dm/dt = E[u^2 | m] m [(A' - B)(1 - m^2) - kappa J_0/2] + noise,    noise variance (kappa/d) E[u^2 | m] J_* per t.

Near m = 0 that is an unstable Ornstein-Uhlenbeck process of rate g/d, so that with Z ~ N(0, 1)

    T = (d/g) [ (1/2) log d - log|Z| - (1/2) log(1 + kappa J_* E[u^2 | 0] d / (2 g)) + C ],
    C = lim [ int_c0^top g/F(m) dm + log c0 ],   F(m) = d dm/dt,   top = min(R, m_c),

where at m_c, lambda(m_c) = 0, u sets out by itself, in a time O(log d) that does not count against d. So T grows like
(d/(2 g)) log d: slower than any linear search, faster than the Kramers time of a barrier
(eq-noise-driven in docs/theory.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import sympy as sp
from scipy.integrate import quad
from sympy import Expr

from theory.errors import InputError, ParameterError
from theory.symbols import J, M_ss, mu
from theory.system import System

__all__ = ["NoiseDriven", "noise_driven"]


@dataclass(frozen=True)
class NoiseDriven:
    """The law T = scale (log(d)/2 - log|Z| + constant), in t = eta * step.

    Attributes:
        rate: g, growth of m per unit of t/d.
        scale: d/g.
        constant: C, the noise in m included.
        error: estimate of the error of `constant`'s integral.
        turning: m_c, where u sets out by itself; the threshold if that is smaller.
    """

    rate: float
    scale: float
    constant: float
    error: float
    turning: float


def noise_driven(
    system: System,
    strength: Expr | float,
    *,
    dimension: float,
    threshold: float,
    kappa: float,
    step_size: float = 0.0,
) -> NoiseDriven:
    """Return the law of the exit time at a critical strength of an aligned LoRA system.

    Args:
        system: a derived system of model lora.
        strength: mu with A(mu) = 0, best as the exact root.
        dimension: d.
        threshold: R, exit at |m| = R.
        kappa: eta d / B > 0.
        step_size: eta, 0 for infinitesimal steps.

    Raises:
        InputError: the regime at mu and kappa is another one; the message says which and why.
        ParameterError: a threshold outside (0, 1).

    >>> from theory.dynamics import derive
    >>> critical = sp.Poly(5 * mu**3 + 5 * mu**2 + mu - 1, mu).real_roots()[0]
    >>> law = noise_driven(derive("he3"), critical, dimension=1000, threshold=0.5, kappa=0.02)
    >>> round(law.rate, 6), round(law.turning, 6)
    (0.365635, 0.5)
    """
    if not 0 < threshold < 1:
        raise ParameterError(f"threshold = {threshold!r} given; accepted: a number in (0, 1); try 0.5.")
    found = system.escape.regime(strength, kappa=kappa)
    if found.name != "noise-driven":
        raise InputError(
            f"mu = {strength}, kappa = {kappa} given, where the regime is {found.name} ({found.because}); accepted: a "
            "critical strength with A = 0 > B, A' > 0 and kappa > 0."
        )
    trace, turn, bulk, along = _numbers(system, strength)

    def growth(m: float) -> float:
        return trace * (1 - m * m) + turn * m * m

    def level(m: float) -> float:
        relax = -growth(m)
        return kappa * ((1 - m * m) * bulk + m * m * along) / (2 * relax - step_size * relax * relax)

    def pull(m: float) -> float:
        return (turn - trace) * (1 - m * m) - kappa * bulk / 2

    turning = math.sqrt(-trace / (turn - trace))
    top = min(threshold, turning)
    if pull(top) <= 0:
        stop = math.sqrt(1 - kappa * bulk / 2 / (turn - trace))
        raise InputError(
            f"kappa = {kappa}: its drift stops m at {stop:.3g}, below {top:.3g}; accepted: a smaller kappa."
        )
    rate = level(0.0) * pull(0.0)
    # 1/level vanishes linearly at the turning point, so that the integrand is smooth.
    integral, error = quad(lambda m: (rate / (level(m) * pull(m)) - 1) / m if m < turning else -1 / m, 0, top)
    spread = kappa * along * level(0.0) / (2 * rate)
    constant = integral + math.log(top) - math.log1p(spread) / 2
    return NoiseDriven(rate, dimension / rate, constant, error, top)


def _numbers(system: System, strength: Expr | float) -> tuple[float, float, float, float]:
    """B, A', J_0 and J_* at mu, with the LoRA scale."""
    squared = sp.sympify(getattr(system.model, "scale", 1)) ** 2
    moments = system.loss_function.noise_moments(mu, mu**2)
    wanted = (squared * system.escape.B, squared * sp.diff(system.escape.A, mu))
    wanted += (squared * moments[J], squared * (moments[J] + moments[M_ss]))
    trace, turn, bulk, along = (float(f.subs(mu, strength).evalf(20)) for f in wanted)
    return trace, turn, bulk, along
