r"""What leads out of the search phase: the local dynamics at the start, and what it makes of the exit time T(d).

*LoRA* starts at u = 0, where w = w0 whatever v is. With g = grad L(w0), H = hess L(w0) and any v,

    du/dt = -<g, v> - u <v, H v> + O(u^2).

- g != 0: *linear*. v turns towards g while u grows, both at the rate lambda of the linearisation.
- g = 0: u = 0 is a whole line (or plane) of equilibria, so that v does not move by itself and no centre manifold leads
  out: the flow stays if <v, H v> > 0. Aligned, with A = 0, the rate of u at a frozen v is

      lambda(m) = -<v, H v> = B (1 - m^2) + A'(mu) m^2.

  - B > 0: *u alone*. u grows from SGD's noise, or from u0, and then turns v.
  - B < 0: *noise-driven*. SGD keeps u^2 at kappa J_0/(2 |B| d), which turns v towards the direction of least curvature:

        dm/dt = u^2 m (1 - m^2) (A' - B) - (kappa/2) J_0 u^2 m,   on average   (g/d) m   near m = 0,
        g = (kappa J_0/(2 |B|)) (A' - B - kappa J_0/2).

    For g > 0 that takes T ~ (d/(2 g)) log d; otherwise, and under the flow, the start *traps*.

*Plain* training starts at m = 0 with dm/dt = c m^(k-1) + ..., k the information exponent of the pair, and at finite
kappa with the drift -(kappa/2) J_0 m: *ballistic*, *linear* and *power* for k = 1, 2, >= 3.

The exit time is stated in d, Z ~ N(0, 1) and the constant C of the law, kappa and J_0 as numbers where they are given.
The linear law is that of arXiv:2602.02855's linearisation with the start and the noise of SGD kept; the noise-driven
one is derived here by averaging over the fast variable u.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import mpmath
import sympy as sp
from sympy import Expr, S, Symbol

from theory.calculus.expectations import is_closed
from theory.calculus.nodes import exact
from theory.errors import InputError, ParameterError
from theory.language.hermite import is_zero
from theory.network.derivation import takes_text
from theory.network.linearisation import Escape
from theory.network.system import System
from theory.search import law
from theory.shown import Shown
from theory.symbols import C, J, M_ss, R, Z, a, d, m, mu, q, r
from theory.typeset.layout import Equation
from theory.typeset.printing import latex

__all__ = ["Regime", "regime"]

DIGITS = 30
LARGEST = sp.Integer(10) ** 300
LARGEST_SHOWN = 10**6  # denominator of a ratio that is shown as it is
LONGEST = 160  # characters of LaTeX, beyond which numbers are printed as decimals


@dataclass(frozen=True)
class Regime(Shown):
    """How a start escapes.

    Attributes:
        name: linear, u alone, noise-driven, ballistic, power, trapped or undecided.
        because: why, in words with the numbers that decided.
        rate: growth rate of the slowest unstable variable, per unit of t; per t/d where noise-driven; None if none.
        power: T grows like d^power, times log d where `logarithmic`.
        logarithmic: whether T has the factor log d.
        time: T in d, Z, C, R and a (the start u0 = d^-a); None where there is no escape or no formula.
    """

    shows = "name, because, escapes, rate, slope_log_d, power, logarithmic"

    name: str
    because: str
    rate: Expr | None = None
    power: Expr = S.Zero
    logarithmic: bool = False
    time: Expr | None = None

    def latex(self) -> str:
        """Return the formula of T as LaTeX, its numbers to six digits where they are long; "T = \\infty" if trapped."""
        if self.time is None:
            return r"T = \infty" if self.name == "trapped" else r"T = \text{undecided}"
        exact = latex(self.time)
        return f"T = {exact if len(exact) <= LONGEST else latex(self.time.evalf(6))}"

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"

    def formulas(self) -> dict[str, Expr]:
        """T, where there is a formula."""
        return {} if self.time is None else {"T": self.time}

    @property
    def equations(self) -> tuple[Equation, ...]:
        """The formula of T, or that it is infinite."""
        return (Equation("time", "T", (self.latex().removeprefix("T = "),)),)

    @property
    def slope_log_d(self) -> Expr | None:
        """dT/d(log d) where T is logarithmic in d: 1/(2 lambda), or a/lambda from u0 = d^-a with a < 1/2."""
        return d * sp.diff(self.time, d) if self.logarithmic and self.power == 0 and self.time is not None else None

    @property
    def escapes(self) -> bool | None:
        """Whether |m| grows; None where undecided."""
        return None if self.name == "undecided" else self.name != "trapped"


@takes_text
def regime(
    system: System,
    mu: Expr | float | str | None = None,
    rho: Expr | float | str | None = None,
    *,
    kappa: Expr | float = 0,
    initial_power: Expr | float | None = None,
    parameters: Mapping[str, Expr | float | str] | None = None,
) -> Regime:
    """Return the regime of a system's search phase at mu (and rho, where misaligned); for plain training without them.

    A model with `parameters` of its own takes their values by name. Where its linearised velocities are not those of
    LoRA, the rate is the largest eigenvalue of its Jacobian, and C holds the widths of its start besides.

    `kappa` = eta d / B; 0 is the gradient flow. LoRA starts at u0 = d^-a with a = `initial_power`, by default one
    beyond 1/2, where u0 is forgotten: at a = 1/2 it moves Z, below it sets out alone and T does not fluctuate. Where
    only u0 can set out (u alone, kappa = 0) the default is the symbol a. Training in stages has the law of its first
    stage and the flow's time for the others (`numerics.law.staged`).

    Raises `ParameterError` for parameters outside their domain, and `InputError` for a model without a search phase or
    a student whose gradient at the start is infinite.

    >>> from theory.network.derivation import derive
    >>> regime(derive("he3"), 0.2).name, regime(derive("he4", model="plain")).power
    ('linear', 1)
    >>> print(regime(derive("linear"), 1).because)
    A = 0, B = -1 < 0 and A' = -1: w0 is a minimum of the loss along every direction, which noise does not leave
    """
    system.network.require_formulas()
    escape, noise = system.escape, _exact("kappa", kappa)
    if noise.is_negative:
        raise ParameterError(f"kappa = {kappa} given; accepted: a number >= 0; 0 is the gradient flow.")
    if escape.on_sphere:
        if mu is not None or rho is not None:
            raise ParameterError("mu or rho with model plain given; accepted: none, since there is no w0.")
        if initial_power is not None:
            raise ParameterError("initial_power with model plain given; accepted: none, since there is no u.")
        return _plain(escape, noise)
    if escape.B is None or escape.base_gradient is None:
        raise InputError(
            f"{escape.loss.student.name} with model {escape.network.name}: no search phase with a finite gradient; "
            "accepted are the models lora, misaligned and plain, with a continuous student."
        )
    power = None if initial_power is None else _exact("initial_power", initial_power)
    if power is not None and not power > 0:
        raise ParameterError(f"initial_power = {initial_power} given; accepted: a number > 0, u0 = d^-a; try 2.")
    at = _place(escape, {"mu": mu, "rho": rho, **(parameters or {})})
    return _lora(escape, at, noise, power) if escape.square is not None else _own(escape, at)


def _exact(name: str, value: Expr | float | str) -> Expr:
    try:
        number = sp.Rational(str(value)) if isinstance(value, float | str) else exact(value, name)
    except (TypeError, ValueError):
        number = S.NaN
    if not (number.is_number and number.is_real and number.is_finite and abs(number) < LARGEST):
        raise ParameterError(f"{name} = {value!r} given; accepted: a real number, of modulus below 1e300.")
    return number


def _place(escape: Escape, given: Mapping[str, Expr | float | str | None]) -> dict[Symbol, Expr]:
    wanted = {symbol.name: symbol for symbol in escape.parameters}
    missing = [name for name in wanted if given.get(name) is None]
    if missing or any(value is not None and name not in wanted for name, value in given.items()):
        shown = ", ".join(f"{name} = {value}" for name, value in given.items())
        raise ParameterError(
            f"{shown} with model {escape.network.name} given; accepted: a value for each of {', '.join(wanted)}, for "
            "others than mu and rho in `parameters`, by name."
        )
    at = {symbol: _exact(name, given[name] or 0) for name, symbol in wanted.items()}
    escape.network.accepts({symbol.name: float(value) for symbol, value in at.items()})
    return at


def _value(expr: Expr, at: dict[Symbol, Expr]) -> Expr:
    """Return the number, exactly zero where it vanishes to twenty digits, and a Float where it has no closed form."""
    value = expr.subs(at)
    if is_zero(value):
        return S.Zero
    return value if is_closed(value) else value.evalf(DIGITS)


def _shown(value: Expr) -> str:
    return sp.sstr(value) if value.is_Rational and value.q < LARGEST_SHOWN else f"{float(value):.6g}"


# --- LoRA -------------------------------------------------------------------------------------------------------


def _lora(escape: Escape, at: dict[Symbol, Expr], kappa: Expr, power: Expr | None) -> Regime:
    drive, trace = _value(escape.G2, at), _value(escape.B, at)
    squared = _squared(escape, at)
    if law.counts_as_critical(squared * trace, squared * drive):
        if escape.A is None:
            return Regime("undecided", "grad L(w0) = 0 at a misaligned w0: its Hessian decides, which is not analysed")
        return _critical(escape, at, trace, kappa, power)
    slope, bend = cast(tuple[Expr, Expr], escape.base_gradient)
    along, rate = _value(slope + 2 * escape.at_start[q] * bend, at), law.growth(squared * trace, squared * drive)
    if along == 0:
        return Regime("trapped", "grad L(w0) is orthogonal to w*: u grows along w0 and m is not driven", rate)
    noise = squared * _noise(escape, at) if kappa else S.Zero
    width = law.spread(squared * drive, noise, kappa, rate, S.Zero)
    start = law.prefactor(rate, squared * drive, sp.sqrt(squared) * along, S.One)
    time = law.exit_time(1 / rate, _begin(power, rate, width) + start)
    because = f"G = |grad L(w0)| = {_shown(sp.sqrt(drive))} != 0, B = {_shown(trace)}"
    return Regime("linear", because, rate, logarithmic=True, time=time)


def _begin(power: Expr | None, rate: Expr, width: Expr) -> Expr:
    """-log of the growing combination at the start, width Z/sqrt(d) and rate u0 of u0 = d^-power, less log(d)/2."""
    if power is not None and power < S.Half:
        return (power - S.Half) * sp.log(d) - sp.log(rate)
    begun = S.One if power == S.Half else S.Zero
    return -sp.log(sp.Abs(Z + law.shift(rate, begun, width))) - sp.log(width)


def _squared(escape: Escape, at: dict[Symbol, Expr]) -> Expr:
    """alpha^2."""
    assert escape.square is not None  # else `_own` has it
    return escape.square.subs(at)


def _noise(escape: Escape, at: dict[Symbol, Expr]) -> Expr:
    """J_0, the gradient's variance in a bulk direction at w0."""
    return escape.loss.noise(*_edge(escape, at))


def _edge(escape: Escape, at: dict[Symbol, Expr]) -> tuple[Expr, Expr]:
    """q and r at the start."""
    return escape.at_start[q].subs(at), escape.at_start[r].subs(at)


def _along_teacher(escape: Escape, at: tuple[Expr, Expr]) -> Expr:
    """E[f^2 l*^2], the gradient's variance in the direction of w*."""
    moments = escape.loss.noise_moments(*at)
    return moments[J] + moments[M_ss]


def _critical(escape: Escape, at: dict[Symbol, Expr], trace: Expr, kappa: Expr, power: Expr | None) -> Regime:
    """A = 0."""
    squared, turn = _squared(escape, at), _value(sp.diff(escape.A, mu), at)
    if trace == 0:
        return Regime("undecided", "A = 0 and B = 0: the next order decides, which is not analysed")
    if trace > 0:
        return _alone(escape, at, squared * trace, (kappa, power), f"A = 0, B = {_shown(trace)} > 0")
    shown = f"A = 0, B = {_shown(trace)} < 0 and A' = {_shown(turn)}"
    if not turn > 0:
        return Regime(
            "trapped", f"{shown}: w0 is a minimum of the loss along every direction, which noise does not leave"
        )
    if kappa == 0:
        return Regime("trapped", f"{shown}: under the flow u decays and v stays, unless m^2 > B/(B - A')")
    noise = squared * _noise(escape, at)
    if not squared * (turn - trace) > kappa * noise / 2:
        return Regime("trapped", shown + ": the kappa drift outweighs the pull towards w*; lower kappa")
    rate = law.turning_rate(squared * trace, squared * turn, noise, kappa)
    level = law.level(squared * trace, noise, kappa, S.Zero)
    return _noise_driven(escape, at, rate, kappa, level, shown)


def _alone(escape: Escape, at: dict[Symbol, Expr], rate: Expr, start: tuple[Expr, Expr | None], shown: str) -> Regime:
    kappa, power = start
    if kappa == 0:
        time = ((a if power is None else power) * sp.log(d) + C) / rate
        return Regime("u alone", f"{shown}: u grows from u0 = d^-a", rate, logarithmic=True, time=time)
    width = law.spread_alone(rate, _squared(escape, at) * _noise(escape, at), kappa, S.Zero)
    time = law.exit_time(1 / rate, _begin(power, S.One, width))
    return Regime("u alone", f"{shown}: u grows from SGD's noise", rate, logarithmic=True, time=time)


def _noise_driven(escape: Escape, at: dict[Symbol, Expr], rate: Expr, kappa: Expr, level: Expr, shown: str) -> Regime:
    noise = kappa * _squared(escape, at) * _along_teacher(escape, _edge(escape, at)) * level
    width = law.spread_driven(noise, 1 / rate)
    time = law.exit_time(d / rate, -sp.log(sp.Abs(Z)) - sp.log(width**2) / 2)
    because = f"{shown}: the noise in u turns v towards w* at the rate {_shown(rate)}/d"
    return Regime("noise-driven", because, rate, S.One, True, time)


def _own(escape: Escape, at: dict[Symbol, Expr]) -> Regime:
    """Velocities of one's own: linear where the Jacobian at the start has an eigenvalue with a positive real part."""
    if not escape.is_fixed or escape.jacobian is None:
        return Regime("undecided", "the flow does not rest at the start of this model, or has no Jacobian there")
    growth = _eigenvalue(escape, at)
    if not growth > 0:
        because = f"the largest eigenvalue of the Jacobian at the start is {_shown(growth)}"
        return Regime("undecided" if growth == 0 else "trapped", because, growth)
    because = f"the Jacobian at the start has the eigenvalue {_shown(growth)} > 0"
    return Regime("linear", because, growth, logarithmic=True, time=law.exit_time(1 / growth, -sp.log(sp.Abs(Z))))


def _eigenvalue(escape: Escape, at: dict[Symbol, Expr]) -> Expr:
    """The largest real part of an eigenvalue: a formula where there is one, else to fifteen digits."""
    if escape.rate is not None:
        growth = _value(escape.rate, at)
        if growth.is_real:
            return growth
    assert escape.jacobian is not None
    with mpmath.workdps(DIGITS):
        numbers = mpmath.matrix(escape.jacobian.subs(at).evalf(DIGITS).tolist())
        largest = max(mpmath.re(v) for v in mpmath.eig(numbers, right=False))
        return S.Zero if abs(largest) < mpmath.mpf(10) ** (5 - DIGITS / 2) else sp.Float(largest, 15)


# --- plain ------------------------------------------------------------------------------------------------------


def _plain(escape: Escape, kappa: Expr) -> Regime:
    k, pull = escape.exponent, escape.drift
    if k is None or pull is None:
        return Regime("trapped", "no Hermite mode k >= 1 (up to 40) is in both links: m = 0 is no saddle of the flow")
    shown = f"information exponent {k}, dm/dt ~ {_shown(pull)}" + ("" if k == 1 else " m" if k == 2 else f" m^{k - 1}")
    noise = escape.loss.noise(S.Zero, S.One) if kappa else S.Zero
    drag = kappa * noise / 2
    if k == 1:
        slope, _ = escape.loss.gradient(m, S.One)
        speed = -(1 - m**2) * slope - (kappa * escape.loss.noise(m, S.One) * m / 2 if kappa else 0)
        side = sp.sign(pull)
        return Regime("ballistic", shown, time=sp.Integral(side / speed.subs(m, side * m), (m, 0, R)))
    if k % 2 == 0 and pull < 0:
        return Regime("trapped", f"{shown}: m = 0 is stable")
    if k == 2:
        rate = law.saddle_rate(pull, noise, kappa)
        if not rate > 0:
            return Regime("trapped", f"{shown}, but the kappa drift -{_shown(drag)} m outweighs it; lower kappa")
        along = _along_teacher(escape, (S.Zero, S.One)) if kappa else S.Zero
        width = law.saddle_spread(pull, S.One, noise, along, kappa, S.Zero)
        time = law.exit_time(1 / rate, -sp.log(sp.Abs(Z)) - sp.log(width**2) / 2)
        return Regime("linear", shown, rate, logarithmic=True, time=time)
    if drag != 0:
        scale = f"kappa ~ d^(-{sp.Rational(k - 2, 2)})"
        return Regime(
            "trapped", f"{shown}, but the kappa drift -{_shown(drag)} m outweighs it near m = 0; take {scale}"
        )
    power = sp.Rational(k - 2, 2)
    if k % 2:
        shown += "; on one side of m = 0 only"
    time = d**power / (sp.Abs(pull) * (k - 2) * sp.Abs(Z) ** (k - 2))
    return Regime("power", shown, power=power, time=time)
