"""Regimes of the start: classification, growth rates against the Jacobian and the flow, formulas of T(d)."""

import mpmath
import pytest
import sympy as sp

from theory.errors import InputError, ParameterError
from theory.network.derivation import derive
from theory.network.models import AlignedLoRA, MisalignedLoRA
from theory.search.regimes import Regime, regime
from theory.symbols import C, R, Z, a, d, m, mu

CRITICAL = sp.Poly(5 * mu**3 + 5 * mu**2 + mu - 1, mu).real_roots()[0]  # of He_3, THEORY's 0.32072


def found(name: str, *at: object, teacher: str | None = None, model: str = "lora", kappa: float = 0) -> Regime:
    return regime(derive(name, teacher, model=model), *at, kappa=kappa)


@pytest.mark.parametrize(
    ("name", "teacher", "at", "kappa", "expected"),
    [
        ("linear", None, 0.3, 0, "linear"),
        ("he3", None, 0.32, 0, "linear"),
        ("he3", None, CRITICAL, 0, "trapped"),
        ("he3", None, CRITICAL, 0.02, "noise-driven"),
        ("he3", None, CRITICAL, 4, "trapped"),
        ("linear", None, 1, 0, "trapped"),
        ("relu", None, 1, 0.1, "trapped"),
        ("erf", None, 1, 0.1, "trapped"),
    ],
)
def test_regimes_of_lora(name: str, teacher: str | None, at: object, kappa: float, expected: str) -> None:
    assert found(name, at, teacher=teacher, kappa=kappa).name == expected


@pytest.mark.parametrize(
    ("name", "teacher", "expected", "power"),
    [
        ("linear", None, "ballistic", 0),
        ("relu", "erf", "ballistic", 0),
        ("he2", None, "linear", 0),
        ("he3", None, "power", sp.Rational(1, 2)),
        ("he4", None, "power", 1),
        ("he3 + he4", None, "power", sp.Rational(1, 2)),
        ("he2", "-he2", "trapped", 0),
        ("he4", "-he4", "trapped", 0),
        ("he3", "-he3", "power", sp.Rational(1, 2)),
        ("he2", "erf", "trapped", 0),
    ],
)
def test_regimes_of_plain_training(name: str, teacher: str | None, expected: str, power: sp.Expr) -> None:
    got = found(name, teacher=teacher, model="plain")
    assert (got.name, got.power) == (expected, power)


def test_initial_scales_are_forgotten_shift_or_lead() -> None:
    """u0 = d^-a: a > 1/2 as if 0, a = 1/2 shifts Z by lambda/G, a < 1/2 sets out alone, with slope a/lambda."""
    system = derive("linear")
    small, equal, large = (regime(system, 0.5, initial_power=power) for power in (2, sp.S.Half, sp.Rational(1, 4)))
    assert small == regime(system, 0.5)
    rate, drive = small.rate, sp.Rational(1, 2)
    assert sp.simplify(equal.time - small.time + (sp.log(sp.Abs(Z + rate / drive)) - sp.log(sp.Abs(Z))) / rate) == 0
    assert sp.simplify(large.slope_log_d - 1 / (4 * rate)) == 0
    assert not large.time.has(Z)
    assert sp.simplify(small.slope_log_d - 1 / (2 * rate)) == 0
    with pytest.raises(ParameterError, match="initial_power"):
        regime(system, 0.5, initial_power=0)
    with pytest.raises(ParameterError, match="initial_power"):
        regime(derive("he2", model="plain"), initial_power=1)


def test_regimes_print_as_latex() -> None:
    for way in (found("he3", 0.2), found("he3", CRITICAL, kappa=0.02), found("he3", model="plain")):
        text = way.latex()
        assert text.startswith("T = ")
        assert "CRootOf" not in text
        assert r"\log" in text or "d" in text
    assert found("linear", 1).latex() == r"T = \infty"
    assert found("relu", 0.5)._repr_latex_().startswith("$T = ")


def test_u_alone() -> None:
    """He_2 on a He_2: A = 2 mu (1 + 2 a - 3 mu^2), B = 2 - 6 mu^2, so B = -4 a > 0 at the root for a = -1/4."""
    system, root = derive("he2", "-he2/4"), 1 / sp.sqrt(6)
    still, noisy = regime(system, root), regime(system, root, kappa=0.01)
    assert still.name == noisy.name == "u alone"
    assert still.rate == noisy.rate == 1
    assert still.time == a * sp.log(d) + C
    assert sp.simplify(sp.diff(noisy.time, d) * d) == sp.Rational(1, 2)


@pytest.mark.parametrize(("model", "at"), [("lora", (0.3,)), ("misaligned", (0.3, 0.7)), ("misaligned", (-0.2, 0.5))])
@pytest.mark.parametrize("name", ["linear", "he2", "he3"])
def test_the_rate_is_the_largest_eigenvalue(name: str, model: str, at: tuple[float, ...]) -> None:
    system = derive(name, model=model)
    got = regime(system, *at)
    values = dict(zip(system.parameters, map(sp.Rational, map(str, at)), strict=True))
    jacobian = system.escape.jacobian.subs(values).evalf(30)
    largest = max(complex(value).real for value in mpmath.eig(mpmath.matrix(jacobian), right=False))
    assert float(got.rate) == pytest.approx(largest, rel=1e-12)
    assert sp.simplify(got.slope_log_d - 1 / (2 * got.rate)) == 0


def test_the_law_of_the_linear_regime() -> None:
    """Linear at mu = 0.3: T = tau [log(d)/2 - log|Z| + log((lambda^2 + A^2)/A^2) + C] at kappa = 0."""
    got = found("linear", 0.3)
    A, rate = sp.Rational(7, 10), (-1 + sp.sqrt(1 + 4 * sp.Rational(49, 100))) / 2
    expected = (sp.log(d) / 2 - sp.log(sp.Abs(Z)) + sp.log((rate**2 + A**2) / A**2) + C) / rate
    assert float((got.time - expected).subs({C: 0.3, Z: 0.7, d: 10**5})) == pytest.approx(0, abs=1e-12)
    noisy = found("linear", 0.3, kappa=4)
    shift = -sp.log(1 + 4 * rate * sp.Rational(49, 100) / (2 * A**2)) / (2 * rate)  # J_0 = (1 - mu)^2
    assert float((noisy.time - expected - shift).subs({C: 0.3, Z: 0.7, d: 10**5})) == pytest.approx(0, abs=1e-12)


def test_a_lora_scale_is_a_change_of_units() -> None:
    plain = regime(derive("erf", model=AlignedLoRA()), 0.4)
    scaled = regime(derive("erf", model=AlignedLoRA(scale=sp.Integer(2))), 0.4)
    A, B = (float(f.subs(mu, 0.4)) for f in (derive("erf").escape.A, derive("erf").escape.B))
    assert float(scaled.rate) == pytest.approx((4 * B + (16 * B**2 + 16 * A**2) ** 0.5) / 2, rel=1e-9)
    assert plain.rate < scaled.rate


def test_misaligned_at_rho_equal_mu_is_aligned() -> None:
    aligned, other = found("he3", 0.5, kappa=0.01), found("he3", 0.5, 0.5, model="misaligned", kappa=0.01)
    at = {C: 0.1, Z: 1.3, d: 1000}
    assert float(aligned.time.subs(at)) == pytest.approx(float(other.time.subs(at)), rel=1e-12)


def test_what_cannot_move_m_is_said() -> None:
    got = found("he3", 0, 0.5, model="misaligned")
    assert (got.name, got.time) == ("trapped", None)
    assert "orthogonal" in got.because
    assert regime(derive("erf", model=MisalignedLoRA()), 0, 0.5).name == "linear"


def test_ballistic_time_is_an_integral() -> None:
    """Linear: dm/dt = 1 - m^2, T = artanh R."""
    got = found("linear", model="plain")
    assert float(got.time.doit().subs(R, sp.Rational(1, 2))) == pytest.approx(float(sp.atanh(sp.Rational(1, 2))))
    assert got.time.atoms(sp.Integral)
    assert m not in got.time.free_symbols


def test_finite_kappa_in_plain_training() -> None:
    """The drift -(kappa/2) J_0 m, J_0 = 48 for He_2: rate 4 - 24 kappa; beyond kappa = 1/6 noise traps."""
    assert found("he2", model="plain", kappa=0.05).rate == 4 - 24 * sp.Rational(1, 20)
    assert found("he2", model="plain", kappa=0.2).name == "trapped"
    assert "kappa ~ d^(-1/2)" in found("he3", model="plain", kappa=0.01).because


def test_bad_requests() -> None:
    with pytest.raises(ParameterError, match="rho"):
        found("linear", 0.3, model="misaligned")
    with pytest.raises(ParameterError, match="mu"):
        found("linear", 1.3)
    with pytest.raises(ParameterError, match="plain"):
        found("linear", 0.3, model="plain")
    with pytest.raises(ParameterError, match="kappa"):
        found("linear", 0.3, kappa=-1)
    with pytest.raises(ParameterError, match="real number"):
        found("linear", "one")
    with pytest.raises(InputError, match="search phase"):
        found("sign", 0.3)
