"""Kernels where the covariance degenerates: r = q^2, q = 0 and r = 0, derived there and evaluated by compiled code."""

import mpmath
import numpy as np
import pytest
import sympy as sp

import hermescape
from hermescape import Exit, Outcome, SciPy
from hermescape.views.kernel import kernel_report
from numerics.integrals.evaluate import on_covariance
from theory.calculus import reference
from theory.calculus.expectations import Distribution, gaussian_kernel
from theory.language.activations import REGISTRY, activation
from theory.symbols import q, r

SHIFTED = [
    *("max(0, x - 1)", "max(x - 0.3, 0)", "sign(x)*max(abs(x) - 1, 0)", "erf(2*x + 1)", "step(x - 1)"),
    *("max(0, 1 - abs(x))", "exp(-abs(x))", "min(x**2/2, abs(x) - 1/2)", "max(0, x) - max(0, x - 1)"),
]
MIXED = [
    *(("hardtanh", "relu"), ("relu", "step(x - 1)"), ("erf", "step(x - 1)"), ("max(0, x - 1)", "hardtanh")),
    *(("max(0, x - 1)", "max(0, 1/2 - x)"), ("exp(-x**2)", "hardtanh"), ("step(x - 1)", "step(x - 2)")),
]
NAMES = [name for name in REGISTRY if name not in {f"he{k}" for k in range(5, 21)}]  # polynomials have no edge
PAIRS = [(name, name) for name in (*NAMES, *SHIFTED)] + MIXED
HALF = sp.Rational(1, 2)
EDGES = [
    (sp.S(1), sp.S(1)),
    (sp.S(-1), sp.S(1)),
    (HALF, HALF**2),
    (-HALF, HALF**2),
    (sp.S(2), sp.S(4)),
    (sp.S(0), HALF),
]


@pytest.mark.parametrize("pair", PAIRS, ids=" on ".join)
def test_kernel_at_every_edge(pair: tuple[str, str]) -> None:
    """Derived at the edge, and compiled from the general form, against quadrature that knows no closed form."""
    f, g = (Distribution.of(activation(name).expr) for name in pair)
    general = on_covariance((gaussian_kernel(f, g, q, r),))
    for overlap, variance in EDGES:
        oracle = reference.kernel(f.regular.as_expr(), g.regular.as_expr(), overlap, variance, digits=14)
        derived = gaussian_kernel(f, g, overlap, variance).evalf(20)
        assert abs(derived - sp.Float(oracle, 20)) < 1e-13 * (1 + abs(oracle)), (overlap, variance)
        compiled = general.values(float(overlap), float(variance))[0]
        assert compiled == pytest.approx(float(oracle), rel=1e-11, abs=1e-11), (overlap, variance)


@pytest.mark.parametrize("pair", PAIRS, ids=" on ".join)
def test_a_student_of_length_zero_sees_its_value_at_the_origin(pair: tuple[str, str]) -> None:
    """K(0, r) tends to (f(0-) + f(0+))/2 E phi as r -> 0."""
    f, g = (Distribution.of(activation(name).expr) for name in pair)
    origin = gaussian_kernel(f, g, sp.S.Zero, sp.S.Zero).evalf(20)
    tiny = mpmath.mpf(10) ** -40
    sides = [
        activation(pair[0]).expr.subs(activation(pair[0]).expr.free_symbols.pop(), side * tiny) for side in (1, -1)
    ]
    expected = sum(map(float, sides)) / 2 * float(reference.mean(g.regular.as_expr(), 0, 1, digits=16))
    assert float(origin) == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize(
    ("name", "at", "value"),
    [
        ("hardtanh", ("1", "1"), 0.5160585509617133),  # E min(1, Z^2)
        ("hardtanh", ("-1", "1"), -0.5160585509617133),
        ("min(x**2/2, abs(x) - 1/2)", ("1", "1"), None),
        ("max(-abs(x) - 0.5, -1/2)", ("1", "1"), None),
        ("max(0, x - 1)", ("1", "1"), 0.0753397833437708),  # E (Z - 1)_+^2 = 2 Phi(-1) - pdf(1)
    ],
)
@pytest.mark.parametrize("digits", [None, 15])
def test_the_command_at_the_edge(name: str, at: tuple[str, str], value: float | None, digits: int | None) -> None:
    expected = value if value is not None else float(reference.mean(activation(name).expr ** 2, 0, 1, digits=18))
    found = kernel_report(name, None, at, digits, 1e-10)
    assert float(str(found["value"])) == pytest.approx(expected, rel=1e-14)


def test_huber_kernel_at_one() -> None:
    """Huber's function: x^2/2 for |x| < 1, else |x| - 1/2."""
    huber = "max(abs(x) - 1/2, min(x**2/2, 1/2))"
    assert float(str(kernel_report(huber, None, ("1", "1"), None, 1e-10)["value"])) == pytest.approx(
        0.4247138048931704, rel=1e-13
    )


@pytest.mark.parametrize("engine", [None, SciPy()], ids=["native", "SciPy"])
@pytest.mark.parametrize("name", ["hardtanh", "max(0, x - 1)", "relu"])
def test_a_flow_may_start_on_the_edge(name: str, engine: SciPy | None) -> None:
    """m = 1 stays 1, and u goes on to the teacher's length, 1 - mu."""
    path = hermescape.integrate(
        hermescape.derive(name), {"u": 0.1, "m": 1.0}, t_max=400.0, rtol=1e-9, engine=engine, mu=0.5
    )
    assert path.outcome is Outcome.HORIZON
    assert np.all(path.states.m.values == 1.0)
    assert path.states.u.values[-1] == pytest.approx(0.5, abs=1e-6)


def test_stiff_flow_of_an_off_centre_gate() -> None:
    """The Jacobian needs derivatives of Phi_2; SciPy's exit time of the same flow is 4586.0268674."""
    path = hermescape.integrate(
        hermescape.derive("hardtanh"), {"u": 1e-6, "m": 0.02}, event=Exit(0.5), t_max=1e8, mu=0.9
    )
    assert path.exit_time == pytest.approx(4586.0268674, rel=3e-9)


@pytest.mark.parametrize("name", ["elu", "hardtanh", "max(0, x - 1)"])
def test_a_grid_reaches_into_the_stiff_end(name: str) -> None:
    """Near mu = 1 the search is a thousand times slower than what relaxes beside it; nothing of a grid is lost."""
    grid = hermescape.exit_times(
        hermescape.derive(name), {"u": 1e-6, "m": 0.02}, event=Exit(0.5), t_max=1e8, mu=[0.5, 0.9, 0.98]
    )
    assert grid.outcome.values.tolist() == ["EXITED"] * 3
    assert np.all(np.diff(grid.exit_time.values) > 0)
