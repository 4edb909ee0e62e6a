"""Every node that a derivation can return: derivatives, compiled and interpreted code, numbers to any precision."""

import random

import mpmath
import numpy as np
import pytest
import sympy as sp

from numerics.compile.codegen import compile_function
from theory.calculus.bivariate import Phi2, Phi2Angle
from theory.calculus.cache import NODES
from theory.calculus.expectations import GaussianKernel, GaussianMean, is_closed
from theory.calculus.nodes import CONDITIONS
from theory.language.activations import REGISTRY, activation
from theory.language.labels import labels
from theory.network.loss import Loss
from theory.network.system import GAP, guard
from theory.symbols import q, r, x

H, K, W = sp.symbols("h k w", real=True)
POINTS = {H: sp.Rational(3, 10), K: sp.Rational(-7, 10), W: sp.Rational(2, 5)}
SHIFTED = [
    "max(0, x - 1)",
    "sign(x)*max(abs(x) - 1, 0)",
    "erf(2*x + 1)",
    "x*erf(x + 1)",
    "exp(-abs(x))",
    "sin(2*x + 1)",
]
OPEN = ("sigmoid", "tanh", "softplus", "silu", "mish")
CLOSED = [name for name in REGISTRY if name not in OPEN]

CLOSED_NODES = [
    *(sp.exp(H), sp.log(2 + H), sp.sqrt(1 + H**2), sp.erf(H), sp.erfc(H), sp.erfi(H)),
    *(sp.sin(H), sp.cos(H), sp.tan(H), sp.sinh(H), sp.cosh(H), sp.tanh(H)),
    *(sp.asin(H), sp.acos(H), sp.atan(H), sp.atan2(H, K), sp.asinh(H), sp.acosh(2 + H), sp.atanh(H)),
    *(sp.Max(H, K), sp.Min(H, K), sp.Abs(K), sp.sign(K), sp.Heaviside(H)),
    *(Phi2(H, K, W), Phi2Angle(H, K, W), Phi2Angle(H, H, W), Phi2(H, -2 * H, -W)),
]
SMOOTH = [node for node in CLOSED_NODES if not node.has(sp.sign, sp.Heaviside)]


def at(expr: sp.Expr, shift: dict[sp.Symbol, sp.Expr] | None = None, digits: int = 40) -> sp.Expr:
    return expr.subs({s: value + (shift or {}).get(s, 0) for s, value in POINTS.items()}).evalf(digits)


@pytest.mark.parametrize("node", SMOOTH, ids=str)
def test_derivatives_are_those_of_the_numbers(node: sp.Expr) -> None:
    step = sp.Rational(1, 10**8)
    for symbol in node.free_symbols:
        difference = (at(node, {symbol: step}) - at(node, {symbol: -step})) / (2 * step)
        assert abs(at(node.diff(symbol)) - difference) < 1e-13, symbol


@pytest.mark.parametrize("node", CLOSED_NODES, ids=str)
@pytest.mark.parametrize("jit", [True, False], ids=["compiled", "interpreted"])
def test_node_and_derivatives_in_code(node: sp.Expr, jit: bool) -> None:
    outputs = [node, *(node.diff(symbol) for symbol in (H, K, W))] if node in SMOOTH else [node]
    values = compile_function((H, K, W), outputs, jit=jit)(*(float(POINTS[s]) for s in (H, K, W)))
    for value, output in zip(values, outputs, strict=True):
        assert value == pytest.approx(float(at(output, digits=20)), rel=4e-15, abs=2e-15)


def test_every_stored_node_was_looked_at() -> None:
    """The vocabulary of the cache is what a derivation may return; structure and relations aside, it is above."""
    structure = {"Add", "Mul", "Pow", "Piecewise", "Tuple", "Lambda"}
    relations = {kind.__name__ for kind in CONDITIONS}
    expectations = {GaussianMean.__name__, GaussianKernel.__name__}
    seen = {type(part).__name__ for node in CLOSED_NODES for part in sp.preorder_traversal(node)}
    assert set(NODES) - structure - relations - expectations <= seen


@pytest.mark.parametrize(
    "node", [GaussianMean(sp.tanh(x), H, 1 + H**2), GaussianKernel(sp.tanh(x), sp.sqrt(1 + x**2), H, 1 + W)], ids=str
)
def test_unevaluated_nodes_differentiate(node: sp.Expr) -> None:
    step = sp.Rational(1, 10**6)
    for symbol in node.free_symbols:
        difference = (at(node, {symbol: step}, 25) - at(node, {symbol: -step}, 25)) / (2 * step)
        assert abs(at(node.diff(symbol), digits=25) - difference) < 1e-10, symbol


@pytest.mark.parametrize("name", REGISTRY)
def test_what_is_closed_is_known(name: str) -> None:
    """So that collecting the tests below derives nothing."""
    assert is_closed(Loss.of(activation(name), labels(activation(name))).expr) == (name in CLOSED)


@pytest.mark.parametrize("name", [*CLOSED, *SHIFTED])
def test_the_jacobian_of_every_closed_form_compiles(name: str) -> None:
    """Derivatives of the guarded L_q, L_r in q, r and D against central differences of their own code."""
    link = activation(name)
    functions = [guard(f) for f in Loss.of(link, labels(link)).gradient()]
    symbols = (q, r, GAP)
    code = compile_function(symbols, functions, jit=False)
    slopes = compile_function(symbols, [f.diff(s) for f in functions for s in symbols], jit=False)
    drawn = random.Random(name)
    overlap, gap = drawn.uniform(-0.7, 0.7), drawn.uniform(0.1, 0.6)
    point, step = np.array([overlap, overlap**2 + gap, gap]), 1e-5
    found = np.reshape(slopes(*point), (len(functions), 3))
    for j in range(3):
        ahead, behind = point.copy(), point.copy()
        ahead[j], behind[j] = point[j] + step, point[j] - step
        difference = (np.array(code(*ahead)) - np.array(code(*behind))) / (2 * step)
        assert found[:, j] == pytest.approx(difference, rel=1e-4, abs=1e-8)  # he20 cancels


def test_compiled_tails_keep_their_digits() -> None:
    """erfc and Phi_2 far out, where 1 - erf is zero."""
    found = compile_function((H,), [sp.erfc(H)], jit=True)(20.0)[0]
    assert found == pytest.approx(float(sp.erfc(20).evalf(20)), rel=1e-13, abs=0)
    for h, k, rho in (
        (-9, -8, 0.5),
        (-10, -1, 0.1),
        (-7, -6, -0.3),
        (-10, -10.5, 0.99),
        (-20, -20, 0.9),
        (-20, 5, -0.4),
        (-15, -12, -0.6),
    ):
        found = compile_function((H, K, W), [Phi2Angle(H, K, sp.asin(W))], jit=True)(h, k, rho)[0]
        assert found == pytest.approx(upper_orthant(-h, -k, rho), rel=1e-8, abs=0)


def upper_orthant(h: float, k: float, rho: float) -> float:
    """P(X > h, Y > k) = int_h^oo pdf(x) Q((k - rho x) / sqrt(1 - rho^2)) dx, every factor positive."""
    with mpmath.workdps(30):
        width = mpmath.sqrt(2 * (1 - mpmath.mpf(rho) ** 2))
        size = mpmath.npdf(max(h, k))  # mpmath judges convergence absolutely
        ends = [h, *(h + mpmath.mpf(j) / 10 for j in (1, 2, 3, 5, 7, 10, 15, 20, 40, 200))]
        tail = mpmath.quad(lambda x: mpmath.npdf(x) / size * mpmath.erfc((k - rho * x) / width) / 2, ends)
        return float(size * tail)
