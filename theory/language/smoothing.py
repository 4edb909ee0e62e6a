r"""The Weierstrass transform S(a, r) = E sigma(a + sqrt(r) Z), the one primitive of single-index derivations.

d^k S/da^k at a = 0 is E_r[sigma^(k)], hence every Hermite coefficient, and S solves the heat equation
dS/dr = (1/2) d^2 S/da^2.
"""

from sympy import Expr, Symbol

from theory.calculus.expectations import Distribution, gaussian_mean
from theory.language.activations import Activation, activation
from theory.symbols import a, r

__all__ = ["smoothing"]


M = Symbol("M", real=True)


def smoothing(sigma: str | Expr | Activation, mean: Expr | None = None, variance: Expr = r) -> Expr:
    r"""Return E sigma(mean + sqrt(variance) Z): closed form, or a `GaussianMean` node where no rule closes it.

    The mean is `theory.symbols.a` if not given, and M for a family that has a parameter a.

    >>> smoothing("exp(x)")
    exp(a + r/2)
    >>> smoothing(activation("exp(a*x)", "a"))
    exp(a*(2*M + a*r)/2)
    """
    f = activation(sigma)
    centre = (M if a in f.parameters else a) if mean is None else mean
    return gaussian_mean(Distribution.of(f.expr), centre, variance)
