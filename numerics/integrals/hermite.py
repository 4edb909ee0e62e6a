r"""Hermite coefficients of functions that no rule closes, to any order: enclosed, or by quadrature.

By quadrature, with the orthonormal h_k = He_k / sqrt(k!), a_k = E h_k(Z) sigma(sqrt(r) Z) and
sigma_k^[r] = sqrt(k! r^k) a_k: the integral is one of numbers of order one whatever k, and the factor is applied
outside float64.
"""

from __future__ import annotations

import numpy as np
import sympy as sp
from numpy.typing import NDArray
from sympy import Expr

from numerics.accuracy import COEFFICIENT
from numerics.integrals.certified.enclosure import printed
from numerics.integrals.certified.kernels import coefficient_balls
from numerics.integrals.evaluate import within
from numerics.integrals.quadrature import Estimate, law_of, line, reach_of
from theory.calculus.nodes import exact
from theory.enclosures.branches import branches
from theory.errors import NotCertifiedError, NotIntegrableError, ParameterError
from theory.language.activations import Activation

__all__ = ["hermite_coefficients"]

Array = NDArray[np.float64]


def hermite_coefficients(
    sigma: Activation, order: int, variance: sp.Rational | float = sp.S.One, *, certify: bool = True
) -> tuple[Estimate, ...]:
    r"""Return sigma_k^[r] = E_r[He_k^[r] sigma], k = 0, ..., order, each with its absolute error.

    Errors are proved where `certify` asks for it and that can be done; other numbers are `sympy.Float`.

    Raises:
        ParameterError: a variance that is not positive.
        NotIntegrableError: E_r sigma^2 is infinite at this variance.
        QuadratureError: an integral did not reach 1e-12.

    >>> from theory.language.activations import activation
    >>> [round(float(c.value), 10) for c in hermite_coefficients(activation("relu"), 1)]  # 1/sqrt(2 pi), 1/2
    [0.3989422804, 0.5]
    """
    r = exact(variance, "variance")
    if not r.is_positive:
        raise ParameterError(f"variance {variance} given; accepted: a positive number.")
    if r >= sigma.max_variance:
        raise NotIntegrableError(
            f"{sigma.name}: its second moment is infinite at variance {variance}; accepted: a variance below "
            f"{float(sigma.max_variance):.4g}."
        )
    return tuple(_coefficient(sigma, k, r, order if certify else None) for k in range(order + 1))


def _coefficient(sigma: Activation, k: int, r: Expr, together: int | None) -> Estimate:
    """Return sigma_k^[r], exactly zero where parity says so, and enclosed with the others up to an order if wanted."""
    if sigma.parity == ("even" if k % 2 else "odd"):
        return Estimate(0.0, 0.0, certified=True)
    reached = None
    if together is not None:
        try:
            split = branches(sigma.expr)
            shown = printed(lambda: coefficient_balls(split, r, together)[k], f"sigma_{k} of {sigma.name}")
            return Estimate(shown.value, shown.error, certified=True)
        except NotCertifiedError as failure:
            reached = failure.enclosure
    normalised, factor = _normalised(sigma, k, float(sp.sqrt(r))), sp.sqrt(sp.factorial(k) * r**k).evalf(20)
    return within(Estimate(normalised.value * factor, normalised.error * factor), reached)


def _normalised(sigma: Activation, k: int, scale: float) -> Estimate:
    """Return E h_k(Z) sigma(scale Z)."""
    law = law_of(sigma.expr)
    reach = np.sqrt(2) * reach_of(law, 0.0, np.sqrt(2) * scale)  # h_k exp(-z^2/4) is bounded, h_k is not
    stretch = max(1.0, scale, np.sqrt(k + 1) / 2)
    return line(lambda z: law(scale * z) * _orthonormal(k, z), law.edges / scale, stretch, reach, COEFFICIENT)


def _orthonormal(k: int, z: Array) -> Array:
    """Return h_k(z) by sqrt(k + 1) h_{k+1} = z h_k - sqrt(k) h_{k-1}."""
    before, now = np.zeros_like(z), np.ones_like(z)
    for j in range(k):
        before, now = now, (z * now - np.sqrt(j) * before) / np.sqrt(j + 1.0)
    return now
