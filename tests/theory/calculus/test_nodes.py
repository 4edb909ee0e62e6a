"""Only known node types are computed with: SymPy compiles an undefined function by its name, whatever that says."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sympy as sp

from hermescape import experiment
from numerics.integrals import quadrature
from numerics.integrals.evaluate import value
from numerics.integrals.series import kernel_series
from theory.calculus import reference
from theory.calculus.expectations import GaussianKernel, GaussianMean
from theory.calculus.nodes import SPECIAL, check_nodes
from theory.errors import HermescapeError, ParameterError, UnsupportedExpressionError
from theory.language.activations import REGISTRY, activation
from theory.language.hermite import coefficients
from theory.language.labels import generative_exponent, labels
from theory.network.derivation import derive
from theory.search.regimes import regime
from theory.symbols import x, y

ENTRIES: dict[str, Callable[[sp.Expr], object]] = {
    "activation": activation,
    "student": derive,
    "teacher": lambda f: derive("relu", f),
    "link": labels,
    "label": lambda f: derive("relu", label=f.subs(x, y)),
    "noisy label": lambda f: derive("relu", label=f.subs(x, y), noise=0.5),
    "transform": lambda f: generative_exponent("he2", (f.subs(x, y),)),
    "series": lambda f: kernel_series(f, "relu", 0.1, 1.0, 4),
    "experiment": lambda f: experiment(f, mu=0.5, dimension=100, batch=5, step_size=0.1),
    "experiment's label": lambda f: experiment("relu", label=f.subs(x, y), mu=0.5, dimension=9, batch=5, step_size=0.1),
    "expectation": lambda f: value(GaussianMean(f, 0, 1)),
    "kernel": lambda f: value(GaussianKernel(f, sp.tanh(x), sp.S.Half, 1)),
    "digits": lambda f: value(GaussianMean(f, 0, 1), digits=20),
    "quadrature": lambda f: quadrature.mean(f, 0.0, 1.0),
    "oracle": lambda f: reference.mean(f, 0, 1),
}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("inside", [lambda f: f, lambda f: sp.Max(f, 0) + sp.tanh(x), lambda f: sp.exp(-(f**2))])
def test_the_name_of_a_function_is_never_run(entry: str, inside: Callable[[sp.Expr], sp.Expr], tmp_path: Path) -> None:
    written = tmp_path / "written"
    payload = f"(__import__('pathlib').Path({str(written)!r}).write_text('') or abs)"
    with pytest.raises(UnsupportedExpressionError, match="undefined function"):
        ENTRIES[entry](inside(sp.Function(payload, real=True)(x)))
    assert not written.exists()


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_name_of_a_symbol_is_never_run(entry: str, tmp_path: Path) -> None:
    written = tmp_path / "written"
    payload = f"__import__('pathlib').Path({str(written)!r}).write_text('')"
    for kind in (sp.Symbol, sp.Dummy):
        with pytest.raises(HermescapeError):
            ENTRIES[entry](x + kind(payload, real=True))
    assert not written.exists()


@pytest.mark.parametrize(
    "run",
    [
        lambda text: derive("relu", noise=text),
        lambda text: derive("relu", alpha=text),
        lambda text: derive("relu").sgd(text),
        lambda text: coefficients(activation("relu"), 2, text),
        lambda text: derive("relu").loss_function.noise(text, text),
        lambda text: GaussianMean(sp.tanh(x), text, 1),
    ],
)
def test_text_in_the_place_of_a_number_is_not_evaluated(run: Callable[[str], object], tmp_path: Path) -> None:
    written = tmp_path / "written"
    with pytest.raises(ParameterError, match="other text is not evaluated"):
        run(f"__import__('pathlib').Path({str(written)!r}).write_text('')")
    assert not written.exists()
    with pytest.raises(ParameterError):
        regime(derive("relu"), 0.5, kappa=f"open({str(written)!r}, 'w')")
    assert not written.exists()


def test_refusals_name_the_node() -> None:
    for expr, name in ((sp.floor(x), "floor"), (sp.DiracDelta(x), "DiracDelta"), (sp.Integral(x, x), "Integral")):
        with pytest.raises(UnsupportedExpressionError, match=f"a node of type '{name}'; accepted are"):
            activation(expr)
    with pytest.raises(UnsupportedExpressionError, match="undefined function 'erf'"):
        activation(sp.Function("erf")(x))
    with pytest.raises(UnsupportedExpressionError, match="symbol named 'a b'"):
        check_nodes(sp.Symbol("a b") * x)


def test_everything_known_is_accepted() -> None:
    for expr in REGISTRY.values():
        check_nodes(expr)
    for kind in SPECIAL:
        check_nodes(kind(*[sp.Integer(2)] * (min(kind.nargs) - 1), x) if kind.nargs is not sp.S.Naturals0 else kind(x))
    root = sp.CRootOf(x**5 - x - 1, 0)
    for expr in (sp.besselj(0, x), sp.sinc(x), sp.GoldenRatio * sp.sech(x), sp.LambertW(sp.exp(x)), root * x):
        check_nodes(expr)
    assert derive(sp.sech(x)).escape.B is not None
