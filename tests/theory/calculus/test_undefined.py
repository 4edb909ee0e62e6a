"""Functions without a formula: they are differentiated, substituted and printed, and never run."""

import pickle

import pytest
import sympy as sp
from sympy.printing import ccode, cxxcode, fcode, julia_code, mathematica_code, octave_code, pycode, rust_code
from sympy.printing.lambdarepr import lambdarepr
from sympy.printing.numpy import NumPyPrinter, SciPyPrinter
from sympy.printing.pycode import MpmathPrinter

from theory.calculus.expectations import GaussianKernel, GaussianMean
from theory.calculus.nodes import check_nodes
from theory.calculus.undefined import Undefined, defined, refuse_undefined, undefined_in, with_undefined
from theory.errors import NoFormulaError, UnsupportedExpressionError
from theory.symbols import mu, q, r, x
from theory.typeset.printing import as_text, latex

F = Undefined("sigma", 0, x)

PRINTERS = {
    **{each.__name__: each for each in (ccode, cxxcode, fcode, julia_code, mathematica_code, octave_code)},
    **{each.__name__: each for each in (pycode, rust_code, lambdarepr)},
    **{each.__name__: each().doprint for each in (NumPyPrinter, SciPyPrinter, MpmathPrinter)},
    **{name: lambda f, name=name: sp.lambdify(x, f, name) for name in ("math", "mpmath", "numpy", "scipy")},
}


@pytest.mark.parametrize("name", PRINTERS)
@pytest.mark.parametrize("f", [F, sp.tanh(x) * F.diff(x) ** 2 + 1, Undefined("sigma", 2, sp.S.Half)])
def test_no_printer_makes_code(name: str, f: sp.Expr) -> None:
    with pytest.raises(NoFormulaError, match="sigma has no formula: give an activation"):
        PRINTERS[name](f)


@pytest.mark.parametrize(
    "number",
    [
        lambda: F.subs(x, 1).evalf(),
        lambda: float(Undefined("sigma", 1, sp.pi)),
        lambda: sp.N(GaussianMean(F**2, 0, 1)),
        lambda: GaussianKernel(F, sp.tanh(x), sp.S.Half, 1).evalf(30),
        lambda: refuse_undefined(x, sp.exp(F)),
    ],
)
def test_no_number_is_made(number) -> None:
    with pytest.raises(NoFormulaError, match="sigma has no formula"):
        number()


def test_derivatives_are_those_of_sympys_undefined_functions() -> None:
    f = sp.Function("f", real=True)
    for expr in (x * f(x), sp.exp(f(2 * x)) / (1 + f(x) ** 2), f(x**2 + f(x)), f(mu * x) * sp.sin(x)):
        for order in (1, 2, 3):
            ours = defined(sp.diff(with_undefined(expr, lambda _: None), x, order), {"f": sp.tanh(x)})
            theirs = sp.diff(expr, x, order).subs(f, sp.Lambda(x, sp.tanh(x))).doit()
            at = {x: sp.Rational(1, 3), mu: sp.Rational(2, 5)}
            assert abs((ours - theirs).subs(at).evalf(30)) < 1e-25


def test_text_and_latex() -> None:
    orders = [Undefined("phi", k, x) for k in range(5)]
    assert list(map(str, orders)) == ["phi(x)", "phi'(x)", "phi''(x)", "phi'''(x)", "phi^(4)(x)"]
    assert latex(orders[1] ** 2) == r"\varphi'(x)^{2}"
    assert latex(orders[4]) == r"\varphi^{(4)}(x)"
    assert (
        latex(GaussianKernel(F.diff(x), orders[1], q, r)) == r"\mathbb{E}\left[\sigma'(\ell) \varphi'(\ell^{*})\right]"
    )
    assert latex(GaussianKernel(F, orders[2], mu, mu**2)) == r"\mathbb{E}\left[\sigma(\mu Z) \varphi''(Z)\right]"
    assert latex(Undefined("h1", 1, x / 2)) == "h_{1}'(x/2)"


def test_exact_text_is_read_by_sympy() -> None:
    sigma = sp.Function("sigma")
    for node, meant in (
        (Undefined("sigma", 2, x), sigma(x).diff(x, 2)),
        (Undefined("sigma", 1, 2 * x), sigma(2 * x).diff(x) / 2),
    ):
        read = sp.sympify(as_text(x * node, None), {"x": x, "sigma": sigma})
        put = (read - x * meant).subs(sigma, sp.Lambda(x, x**5)).doit()
        assert sp.expand(put) == 0


def test_names() -> None:
    assert undefined_in(Undefined("phi", 1, x) + Undefined("h", 0, F)) == ("sigma", "h", "phi")
    assert pickle.loads(pickle.dumps(F.diff(x))) == F.diff(x)
    assert F.free_symbols == {x}
    check_nodes(F * sp.tanh(x))
    for name in ("__import__('os')", "a b", "lambda", ""):
        with pytest.raises(UnsupportedExpressionError):
            check_nodes(Undefined(name, 0, x))
