r"""The Weierstrass transform S(a, r) = E sigma(a + sqrt(r) Z), the one primitive of single-index derivations.

d^k S/da^k at a = 0 is E_r[sigma^(k)], hence every Hermite coefficient, and S solves the heat equation
dS/dr = (1/2) d^2 S/da^2.
"""

from sympy import Expr

from theory.calculus.expectations import Distribution, gaussian_mean
from theory.language.activations import Activation, activation
from theory.symbols import a, r

__all__ = ["smoothing"]


def smoothing(sigma: str | Expr | Activation, mean: Expr = a, variance: Expr = r) -> Expr:
    r"""Return E sigma(mean + sqrt(variance) Z): closed form, or a `GaussianMean` node where no rule closes it.

    >>> smoothing("exp(x)")
    exp(a + r/2)
    """
    return gaussian_mean(Distribution.of(activation(sigma).expr), mean, variance)
