r"""The bivariate normal distribution function, what two gates off centre integrate to.

    Phi_2(h, k; rho) = P(X <= h, Y <= k),    (X, Y) standard normal with correlation rho,

which is Phi(h) Phi(k) + 1/(2 pi) int_0^{arcsin rho} exp(-(h^2 + k^2 - 2 h k sin t) / (2 cos^2 t)) dt (Plackett 1954).
Owen's T function is its special case k = 0. At h = k = 0 it is 1/4 + arcsin(rho) / (2 pi) (Sheppard 1899).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import mpmath
import sympy as sp
from sympy import Expr, Function, Rational

from theory.calculus.tidy import is_negative

__all__ = ["Phi2", "Phi2Angle", "normal_cdf"]


def normal_cdf(h: Expr) -> Expr:
    """Return Phi(h) = erfc(-h / sqrt(2)) / 2."""
    return sp.erfc(-h / sp.sqrt(2)) / 2


def _density(h: Expr) -> Expr:
    return sp.exp(-(h**2) / 2) / sp.sqrt(2 * sp.pi)


def _is_oriented(h: Expr) -> bool:
    """Whether h rather than -h is kept: the one that is negative at a generic point, however it is written.

    Where h vanishes there, its form decides.
    """
    return is_negative(h) or (not is_negative(-h) and h.could_extract_minus_sign())


class Phi2(Function):
    r"""P(X <= h, Y <= k) for standard normals of correlation rho: `Phi2(h, k, rho)`, symmetric in h and k.

    d/dh = pdf(h) Phi((k - rho h) / sqrt(1 - rho^2)); d/drho is the bivariate density (Plackett 1954). |rho| <= 1.

    >>> Phi2(0, 0, sp.Rational(1, 2)), Phi2(1, -1, 0) == normal_cdf(sp.S(1)) * normal_cdf(sp.S(-1))
    (1/3, True)
    >>> Phi2(-1, -2, sp.Rational(1, 2)), Phi2(1, 2, sp.Rational(1, 2)).evalf(20)
    (Phi2(-2, -1, 1/2), 0.83186083113088...)
    """

    nargs = (3,)
    is_real = True

    @classmethod
    def eval(cls, h: Expr, k: Expr, rho: Expr) -> Expr | None:
        """Simplify independent, equal, opposite and centred variables; else h and k are made negative, in order.

        Where both are negative, Phi_2(-h, -k; rho) is the probability that both exceed h and k, as at two kinks.
        """
        if rho == 0:
            return normal_cdf(h) * normal_cdf(k)
        if rho == 1:
            return normal_cdf(sp.Min(h, k))
        if rho == -1:
            return sp.Max(0, normal_cdf(h) - normal_cdf(-k))
        if h == 0 and k == 0:
            return Rational(1, 4) + sp.asin(rho) / (2 * sp.pi)
        if not (h == 0 or _is_oriented(h)):
            return normal_cdf(k) - cls(-h, k, -rho)
        if not (k == 0 or _is_oriented(k)):
            return normal_cdf(h) - cls(h, -k, -rho)
        first, second = sp.ordered((h, k))
        return None if first == h else cls(first, second, rho)

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return the derivative in h, k (marginal density times a conditional probability) or rho (the density)."""
        h, k, rho = self.args
        gap = 1 - rho**2
        if argindex == 3:
            return sp.exp(-(h**2 - 2 * rho * h * k + k**2) / (2 * gap)) / (2 * sp.pi * sp.sqrt(gap))
        here, other = (h, k) if argindex == 1 else (k, h)
        return _density(here) * normal_cdf((other - rho * here) / sp.sqrt(gap))

    def _eval_evalf(self, prec: int) -> Expr:
        digits = sp.core.evalf.prec_to_dps(prec)
        numbers = [arg.evalf(digits + 10) for arg in self.args]
        if not all(number.is_Float or number.is_Rational for number in numbers):
            return self.func(*numbers) if all(number.is_number for number in numbers) else self
        with mpmath.workdps(digits + 10):
            h, k, rho = (mpmath.mpmathify(number) for number in numbers)
            return sp.Float(_distribution(h, k, mpmath.asin(rho), mpmath.mp.prec), digits)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        h, k, rho = map(getattr(printer, "inline", printer._print), self.args)
        power, arguments = "" if exp is None else f"^{{{exp}}}", rf"{h}, {k};\, {rho}"
        bracketed = getattr(printer, "bracketed", lambda text: rf"\left({text}\right)")
        return rf"\Phi_2{power}{bracketed(arguments)}"


class Phi2Angle(Function):
    """Phi2(h, k, sin(angle)): the form that compiled code evaluates, accurate as the correlation tends to 1.

    >>> h, angle = sp.symbols("h angle", real=True)
    >>> Phi2Angle(h, 0, angle).diff(angle).subs({h: 0, angle: 0})
    1/(2*pi)
    """

    nargs = (3,)
    is_real = True

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return the derivative in h, k or the angle, which is cos(angle) times that in the correlation."""
        h, k, angle = self.args
        here, other = (k, h) if argindex == 2 else (h, k)
        conditional = (other - here * sp.sin(angle)) / sp.cos(angle)
        if argindex == 3:
            return sp.exp(-(here**2 + conditional**2) / 2) / (2 * sp.pi)
        return _density(here) * normal_cdf(conditional)

    def _eval_evalf(self, prec: int) -> Expr:
        h, k, angle = self.args
        return Phi2(h, k, sp.sin(angle))._eval_evalf(prec)


@lru_cache(maxsize=256)  # the parts of a gradient ask for the same ones
def _distribution(h: mpmath.mpf, k: mpmath.mpf, angle: mpmath.mpf, precision: int) -> mpmath.mpf:
    """Plackett's integral in w = tan(s/2), s = pi/2 - |t|, cut where exp(-(h - k)^2 / (2 sin^2 s)) sets in near 0.

    Then 1/(1 + cos s) = (1 + w^2)/2 and sin s = 2 w/(1 + w^2), and a node takes one exponential. At `precision` bits.
    """
    with mpmath.workprec(precision):
        sign, quarter = (1 if angle >= 0 else -1), mpmath.pi / 2
        other, start = sign * k, quarter - abs(angle)
        across, along = (h - other) ** 2 / 8, h * other / 2

        def integrand(w: mpmath.mpf) -> mpmath.mpf:
            square = w * w
            far = 1 + square
            onset = across * far / square if across else 0
            return mpmath.exp(-far * (onset + along)) / far

        layer = min(abs(h - other), mpmath.mpf(1))
        cuts = sorted({start, quarter, *(layer * 10**j for j in range(-1, 2) if start < layer * 10**j < quarter)})
        area = 2 * mpmath.quad(integrand, [mpmath.tan(cut / 2) for cut in cuts]) if angle else mpmath.mpf(0)
        return mpmath.ncdf(h) * mpmath.ncdf(k) + sign * area / (2 * mpmath.pi)
