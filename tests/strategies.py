"""Hypothesis strategies: activations and covariances that a user might think of."""

import sympy as sp
from hypothesis import strategies as st

from theory.symbols import x

SMOOTH_CLOSED = (
    x,
    x**2,
    x**3 - 3 * x,
    sp.erf(x),
    sp.erf(x / 2) + x,
    sp.sin(x),
    sp.cos(2 * x),
    sp.exp(x / 2),
    sp.exp(-(x**2)),
)
PIECEWISE = (sp.Max(x, 0), sp.Abs(x), sp.Max(x, x / 10), sp.Max(x, 0) ** 2)
NUMERICAL = (sp.tanh(x), 1 / (1 + sp.exp(-x)), sp.log(1 + sp.exp(x)), sp.sqrt(1 + x**2), sp.Max(sp.tanh(x), 0))

closed = st.sampled_from((*SMOOTH_CLOSED, *PIECEWISE))
smooth_closed = st.sampled_from(SMOOTH_CLOSED)
any_activation = st.sampled_from((*SMOOTH_CLOSED, *PIECEWISE, *NUMERICAL))


@st.composite
def _bumps(draw: st.DrawFn) -> sp.Expr:
    """A tent, a parabola or a Gaussian, its centre in [-3, 3], its half-width in [1/8, 2]."""
    centre = sp.Rational(draw(st.fractions(-3, 3, max_denominator=4)))
    z = (x - centre) / sp.Rational(draw(st.fractions("1/8", 2, max_denominator=8)))
    shape = draw(st.sampled_from([sp.Max(0, 1 - sp.Abs(z)), sp.Max(0, 1 - z**2), sp.exp(-(z**2))]))
    return draw(st.sampled_from([1, -2, x])) * shape


decaying = st.builds(lambda f, g, joined: f + g if joined else f, _bumps(), _bumps(), st.booleans())


@st.composite
def covariances(draw: st.DrawFn, *, strict: bool = True) -> tuple[sp.Rational, sp.Rational]:
    """Return (q, r) with q^2 < r (or <= r), as exact fractions."""
    r = draw(st.fractions(min_value="1/10", max_value="2", max_denominator=20))
    c = draw(st.fractions(min_value="-19/20", max_value="19/20", max_denominator=20))
    root = sp.nsimplify(sp.sqrt(sp.Rational(r)).evalf(8), rational=True)
    q = sp.Rational(c) * root
    variance = max(sp.Rational(r), q**2 + sp.Rational(1, 50)) if strict else sp.Rational(r)
    return q, variance
