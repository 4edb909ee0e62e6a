r"""Figure of what the search phase is made of: bias, potential, drive and curvature of each link.

- the *bias* sigma_0^[r] = E sigma(sqrt(r) Z) of the student against its squared norm r;
- the *potential* V(mu) = L(mu, mu^2), the loss of the pre-trained student itself along w*;
- A = -dV/dmu, the drive of u and m, and B = -2 L_r(mu, mu^2), minus the curvature across the bulk of directions.

To second order in (u, m) the search phase is the gradient flow of -A u m - B u^2/2. For He_k everything is divided by
k! k, the paper's scale of its step (the bias and the potential by k! alone, the square of its norm).
"""

from __future__ import annotations

from math import factorial

import numpy as np
import xarray as xr
from sympy import sympify

from hermescape.paper.settings import LINKS, Advance, Settings, divisor
from numerics.integrals.evaluate import evaluator
from theory.language.activations import activation
from theory.language.hermite import coefficient
from theory.network.derivation import derive
from theory.symbols import mu as mu_symbol
from theory.symbols import q, r

__all__ = ["landscape", "norm"]

SHOWN = (*LINKS, "he2", "he3")


def norm(link: str) -> int:
    """Return E sigma(Z)^2 = k! of He_k, 1 for other links: what bias and potential are divided by.

    >>> norm("he3"), norm("relu")
    (6, 1)
    """
    return factorial(int(link[2:])) if link.startswith("he") else 1


def landscape(settings: Settings, advance: Advance) -> xr.Dataset:
    """Return bias over r, and potential, A and B over mu."""
    count = settings.pick(99, 33)
    alignments, variances = np.linspace(0.01, 0.99, count), np.linspace(0.02, 2.0, count)
    bias, potential, drive, bend = (np.empty((len(SHOWN), count)) for _ in range(4))
    for i, link in enumerate(SHOWN):
        system = derive(link)
        own = evaluator((r,), (coefficient(activation(link), 0, r),))
        loss = evaluator((mu_symbol,), (system.loss.subs({q: mu_symbol, r: mu_symbol**2}),))
        escape = evaluator((mu_symbol,), (sympify(system.escape.A), sympify(system.escape.B)))
        bias[i] = [own.values(float(v))[0] / norm(link) ** 0.5 for v in variances]
        potential[i] = [loss.values(float(v))[0] / norm(link) for v in alignments]
        pairs = np.array([escape.values(float(v)) for v in alignments]) / divisor(link)
        drive[i], bend[i] = pairs.T
        advance(i + 1, len(SHOWN))
    return xr.Dataset(
        {
            "bias": (("link", "r"), bias, {"long_name": "E sigma(sqrt(r) Z), He_k over sqrt(k!)"}),
            "potential": (("link", "mu"), potential, {"long_name": "V = L(mu, mu^2), He_k over k!"}),
            "A": (("link", "mu"), drive, {"long_name": "-dV/dmu, He_k over k! k"}),
            "B": (("link", "mu"), bend, {"long_name": "-2 L_r, He_k over k! k"}),
        },
        {"link": list(SHOWN), "mu": alignments, "r": variances},
    )
