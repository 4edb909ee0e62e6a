"""Critical strengths: counts and values from the literature and from integrals, orders from tau itself."""

import math

import mpmath
import numpy as np
import pytest
import sympy as sp

from numerics.flows.flow import Exit, Outcome, integrate
from numerics.rates.search_time import search_time
from theory.calculus import reference
from theory.errors import HermescapeError, InputError, ParameterError
from theory.language.activations import REGISTRY, activation, he
from theory.network.derivation import derive
from theory.network.system import System
from theory.search.critical import critical_strengths, isolates_exactly, stationary_mu
from theory.search.roots import isolation, scanned
from theory.symbols import alpha, mu, q, r, x

HALF = sp.Rational(1, 2)
CONTINUOUS = [name for name in REGISTRY if name not in ("sign", "step")]


def touching(student: str, change: sp.Expr = sp.S.Zero) -> System:
    """The teacher (a + change) x + b He_3; with change 0 A and A' both vanish at mu = 1/2. A is affine in it."""
    once, twice, cubic = (derive(student, teacher).escape.A for teacher in (x, 2 * x, x + he(3)))
    slope, bend, rest = twice - once, cubic - once, 2 * once - twice
    a, b = sp.symbols("a b")
    drive = a * slope + b * bend + rest
    found = sp.solve([drive.subs(mu, HALF), drive.diff(mu).subs(mu, HALF)], [a, b])
    return derive(student, (found[a] + change) * x + found[b] * he(3))


# --- where they are ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "inside"), [("he2", 0), ("he3", 1), ("he4", 0), ("he5", 1), ("he10", 2), ("relu", 0)])
def test_roots_inside_the_interval(name: str, inside: int) -> None:
    """The source paper sees one divergence of tau for He_3 and He_5 and two for He_10, besides mu = 1."""
    found = critical_strengths(derive(name))
    assert len(found) == inside + 1
    assert found[-1].mu == 1
    assert all(c.exact and c.error == 0 and c.multiplicity == 1 and c.sign == -1 and c.diverges for c in found)
    assert [float(c.mu) for c in found] == sorted(float(c.mu) for c in found)


def test_the_critical_strength_of_he3_is_a_root_of_its_cubic() -> None:
    """A = 9 mu (1 - mu) (5 mu^3 + 5 mu^2 + mu - 1), B = -9 (5 mu^4 - 4 mu^2 + 1)."""
    inner = critical_strengths(derive("he3"))[0]
    cubic = 5 * mu**3 + 5 * mu**2 + mu - 1
    assert sp.minimal_polynomial(inner.mu, mu) == cubic
    alignment = mpmath.findroot(lambda v: 5 * v**3 + 5 * v**2 + v - 1, 0.3)
    slope = 9 * alignment * (1 - alignment) * (15 * alignment**2 + 10 * alignment + 1)
    bend = 9 * (5 * alignment**4 - 4 * alignment**2 + 1)
    assert float(inner.mu) == pytest.approx(float(alignment), rel=1e-14)
    assert float(inner.constant) == pytest.approx(float(bend / slope**2), rel=1e-13)
    assert (inner.order, inner.regime, inner.below) == (2, "trapped", inner.above)


def drive_by_quadrature(sigma, slope, phi, alignment: mpmath.mpf) -> mpmath.mpf:
    """A = E[Z sigma'(mu Z) (phi(Z) - sigma(mu Z))], split at 0."""

    def integrand(z: mpmath.mpf) -> mpmath.mpf:
        return z * slope(alignment * z) * (phi(z) - sigma(alignment * z)) * mpmath.npdf(z)

    return mpmath.quad(integrand, [-12, -6, -2, 0, 2, 6, 12])


GAUSS = 2 / mpmath.sqrt(mpmath.pi)
LINKS = {
    "erf": (mpmath.erf, lambda z: GAUSS * mpmath.exp(-z * z)),
    "exp(x/2)": (lambda z: mpmath.exp(z / 2), lambda z: mpmath.exp(z / 2) / 2),
    "gelu": (lambda z: z * mpmath.ncdf(z), lambda z: mpmath.ncdf(z) + z * mpmath.npdf(z)),
    "relu": (lambda z: max(z, 0), lambda z: mpmath.mpf(z > 0)),
    "sin(2*x)": (lambda z: mpmath.sin(2 * z), lambda z: 2 * mpmath.cos(2 * z)),
    "tanh": (mpmath.tanh, lambda z: mpmath.sech(z) ** 2),
    "x": (lambda z: z, lambda z: mpmath.mpf(1)),
}


@pytest.mark.parametrize(
    ("student", "teacher", "guesses"),
    [
        ("erf", "relu", [0.5]),
        ("gelu", "erf", [0.7]),
        ("relu", "tanh", [0.6]),
        ("exp(x/2)", "x", [0.9]),
        ("sin(2*x)", "sin(2*x)", [0.19, 0.28]),
    ],
)
def test_transcendental_roots_against_the_integral_of_A(student: str, teacher: str, guesses: list[float]) -> None:
    found = [c for c in critical_strengths(derive(student, teacher)) if c.mu != 1]
    (sigma, slope), (phi, _) = LINKS[student], LINKS[teacher]
    truths = [mpmath.findroot(lambda v: drive_by_quadrature(sigma, slope, phi, v), guess) for guess in guesses]
    assert [float(c.mu) for c in found] == pytest.approx([float(truth) for truth in truths], abs=1e-13)
    assert all(0 < c.error < 1e-14 and not c.exact for c in found)


def test_the_scan_finds_what_isolation_finds() -> None:
    for name in ("he3", "he5", "he9", "he10"):
        system = derive(name)
        found = sorted((root.mu, root.multiplicity) for root in scanned(system.escape))
        exact = [(c.mu, c.multiplicity) for c in critical_strengths(system)]
        assert [k for _, k in found] == [k for _, k in exact]
        assert [float(v) for v, _ in found] == pytest.approx([float(v) for v, _ in exact], abs=1e-14)


def test_a_linear_drive_has_an_exact_root() -> None:
    """ReLU on erf: A = E[Z 1(Z > 0) erf(Z)] - mu/2, and the expectation is 1/sqrt(3 pi) by parts."""
    (found,) = critical_strengths(derive("relu", "erf"))
    assert sp.simplify(found.mu - 2 / sp.sqrt(3 * sp.pi)) == 0
    assert (found.constant, found.order, found.exact) == (2, 2, True)  # |B|/A'^2 = (1/2)/(1/4)


def test_a_root_without_a_closed_form_is_one_of_the_derived_A() -> None:
    """The scan samples one integral; the derivation gives A as a sum of kernels."""
    system = derive("relu", "tanh")
    (found,) = critical_strengths(system)
    assert abs(system.escape.A.subs(mu, sp.Rational(found.mu)).evalf(20)) < 1e-16
    kinked = critical_strengths(derive("max(x,x/10)", "tanh"))[0]
    assert float(kinked.constant) == pytest.approx(1.01 / 2 / (1.01 / 2) ** 2, rel=1e-12)  # B = A' = -E[sigma'^2]


def test_pairs_without_a_critical_strength() -> None:
    for student, teacher in (("erf", "linear"), ("relu", "x+max(x,0)")):
        assert critical_strengths(derive(student, teacher)) == ()


def test_double_roots() -> None:
    """A touches zero at 1/2: order 2 * 2, and the constant |B| / (A''/2)^2 of a second-order expansion."""
    for student, exact in (("he3", True), ("erf", False)):
        system = touching(student)
        found = next(c for c in critical_strengths(system) if abs(c.mu - HALF) < 1e-9)
        assert (found.multiplicity, found.exact) == (2, exact)
        bend, curve = (float(f.subs(mu, HALF).evalf(20)) for f in (system.escape.B, system.escape.A.diff(mu, 2) / 2))
        if bend < 0:
            assert (found.order, float(found.constant)) == (4, pytest.approx(-bend / curve**2, rel=1e-9))
        else:
            assert (found.order, float(found.constant)) == (0, pytest.approx(1 / bend, rel=1e-9))


@pytest.mark.parametrize("exponent", [3, 6, 9])
def test_two_roots_or_none_where_a_double_root_is_perturbed(exponent: int) -> None:
    """Both tiers, down to roots 1e-4 apart, within one step of the scan."""
    counts = set()
    for change in (-sp.Rational(1, 10**exponent), sp.Rational(1, 10**exponent)):
        system = touching("he3", change)
        exact = [float(c.mu) for c in critical_strengths(system)]
        near = sorted(float(root.mu) for root in scanned(system.escape))
        assert near == pytest.approx(exact, abs=1e-14)
        counts.add(len(near))
    assert max(counts) - min(counts) == 2


def test_noise_labels_and_scale() -> None:
    plain = critical_strengths(derive("he3"))
    assert critical_strengths(derive("he3", noise=0.7)) == plain
    assert critical_strengths(derive("he3", alpha=3)) == plain  # |B|/A^2 has no alpha
    assert critical_strengths(derive("he2", "linear", label="y**2-1")) == critical_strengths(derive("he2"))
    assert critical_strengths(derive("erf", label="y**2")) == ()  # odd student, even labels: A < 0
    symbolic = critical_strengths(derive("he2", "erf", alpha=alpha))[0]
    numeric = critical_strengths(derive("he2", "erf", alpha=3))[0]
    assert symbolic.order == numeric.order == 1
    assert float(symbolic.constant.subs(alpha, 3)) == pytest.approx(float(numeric.constant))


def test_what_has_no_critical_strengths_is_refused() -> None:
    for model in ("misaligned", "plain"):
        with pytest.raises(ParameterError, match="accepted: model lora"):
            critical_strengths(derive("erf", model=model))
    with pytest.raises(InputError, match="continuous students"):
        critical_strengths(derive("sign"))
    with pytest.raises(HermescapeError, match="A = 0 for every mu"):
        critical_strengths(derive("1"))
    with pytest.raises(ParameterError, match="LoRA scale"):
        stationary_mu(derive("he2", alpha=alpha))


# --- how tau diverges -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("student", "teacher", "scale"),
    [
        ("he3", None, 1),
        ("he10", None, 2),
        ("he2", "erf", 1),  # A = mu B: both vanish, tau ~ 1/|mu - mu_c| with two constants
        ("he2", "erf", 3),
        ("he3", "x**3", 2),  # B > 0: u alone, tau stays finite
        ("erf", "relu", 1),
        ("relu", "he2", 1),
    ],
)
def test_tau_approaches_as_stated(student: str, teacher: str | None, scale: int) -> None:
    system = derive(student, teacher, alpha=scale)
    for c in critical_strengths(system):
        for side, approach in ((-1, c.below), (1, c.above)):
            if approach is None:
                continue
            there, step = sp.Rational(c.mu.evalf(40)), sp.Rational(1, 10**7)
            tau = search_time(system, there + side * step).tau
            assert tau * float(step) ** approach.order == pytest.approx(float(approach.constant), rel=1e-4)
        assert (c.regime == "u alone") == (c.sign > 0) == (not c.diverges)


@pytest.mark.parametrize(
    "name", [name if name != "mish" else pytest.param(name, marks=pytest.mark.slow) for name in CONTINUOUS]
)
def test_tau_diverges_at_the_optimum_with_exponent_two(name: str) -> None:
    """d^2 L(mu, mu^2)/dmu^2 at 1 is the curvature E[(Z sigma'(Z))^2], and B(1) = -E[sigma'(Z)^2]."""
    system, slope = derive(name), activation(name).derivative
    curvature = reference.mean(x**2 * slope**2, 0, 1, digits=15)
    bulk = reference.mean(slope**2, 0, 1, digits=15)
    assert curvature > 0
    end = critical_strengths(system)[-1]
    assert (end.mu, end.order, end.multiplicity, end.regime, end.above) == (1, 2, 1, "trapped", None)
    assert float(end.constant) == pytest.approx(float(bulk / curvature**2), rel=1e-11)
    near, nearer = (search_time(system, 1 - sp.Rational(1, n)).tau for n in (10**5, 2 * 10**5))
    assert math.log2(nearer / near) == pytest.approx(2, abs=0.02)
    assert nearer / (2e5) ** 2 == pytest.approx(float(end.constant), rel=0.01)


def test_the_flow_exactly_at_a_critical_strength() -> None:
    """B < 0: u decays and m stays, however long; B > 0: u grows by itself and turns m."""
    for teacher, outcome in (("he3", Outcome.HORIZON), ("x**3", Outcome.EXITED)):
        system = derive("he3", teacher)
        found = critical_strengths(system)[0]
        path = integrate(system, {"u": 1e-4, "m": 0.05}, event=Exit(0.5), t_max=1e4, mu=float(found.mu))
        assert path.outcome is outcome
        assert found.regime == {Outcome.HORIZON: "trapped", Outcome.EXITED: "u alone"}[outcome]
        if outcome is Outcome.HORIZON:
            assert abs(path.states["u"][-1]) < 1e-9
            assert path.states["m"][-1] == pytest.approx(0.05, abs=1e-3)


def test_it_prints_as_mathematics() -> None:
    shown = critical_strengths(derive("he2"))[0]._repr_latex_()
    assert r"\mu_c = 1" in shown
    assert r"\frac{1}{36}" in shown
    inner, end = critical_strengths(derive("he3"))
    assert inner._repr_latex_() == (
        r"$\displaystyle \mu_c = 0.320724\ldots\ (\text{the root of } 5 \mu^{3} + 5 \mu^{2} + \mu - 1"
        r" \text{ in } (0, 1)),"
        r"\quad \tau \sim \frac{455 \mu_{c}^{2} + 735 \mu_{c} + 351}{13950} \,/\, |\mu - \mu_c|^{2}$"
    )
    place = float(inner.mu)
    assert (455 * place**2 + 735 * place + 351) / 13950 == pytest.approx(float(inner.constant), rel=1e-12)
    assert inner.definition == "root of 5*mu**3 + 5*mu**2 + mu - 1 in (0, 1)"
    assert inner.definition in str(inner)
    assert "definition" not in str(end)
    long = critical_strengths(derive("he5"))[0]._repr_latex_()
    assert long.endswith(r"\tau \sim 0.000581051 \,/\, |\mu - \mu_c|^{2}$")
    assert all("RootOf" not in text for text in (str(inner), inner._repr_latex_(), long))


@pytest.mark.parametrize("scale", [1, sp.Rational(1, 3)])
def test_a_root_is_told_from_the_others_of_its_polynomial(scale: sp.Expr) -> None:
    """x (1 - 2 x) (1 - 3 x) = 1/100 has three real roots, none of them rational."""
    poly = sp.Poly(100 * mu * (1 - 2 * mu) * (1 - 3 * mu) - 1, mu)
    roots = [scale * root for root in sp.real_roots(poly)]
    assert all(isinstance(root.as_coeff_Mul()[1], sp.CRootOf) for root in roots)
    for root in roots:
        named, low, high = isolation(root)
        assert named.is_irreducible
        assert abs(named.as_expr().subs(mu, root).evalf(20)) < 1e-15
        assert low < root < high
        assert named.count_roots(low, high) == 1
    assert isolation(sp.sqrt(2) / 2) is None


def test_stationary_points_are_those_of_tau() -> None:
    """tau falls and rises through them; one belongs to the other eigenvalue where it does not."""
    system = derive("he3")
    points = [float(v) for v in stationary_mu(system)]
    grid = np.arange(1, 4000) / 4000
    tau = np.array([search_time(system, float(v)).tau for v in grid])
    turns = grid[1:-1][(np.diff(tau)[:-1] < 0) & (np.diff(tau)[1:] > 0)]
    assert len(turns) == 2
    for turn in turns:
        assert min(abs(turn - point) for point in points) < 1 / 2000
    assert stationary_mu(derive("erf")) is None
    assert not isolates_exactly(derive("erf"))


# --- properties of the search time ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("student", "teacher", "model"),
    [("relu", "erf", "lora"), ("he3", "he3", "lora"), ("tanh", "tanh", "lora"), ("erf", "he3", "misaligned")],
)
def test_tau_goes_like_one_over_the_loss(student: str, teacher: str, model: str) -> None:
    """sigma and phi times c: the loss, B and A times c^2."""
    rho = 0.8 if model == "misaligned" else None
    sigma, phi = activation(student).expr, activation(teacher).expr
    for c in (sp.Rational(1, 7), sp.Integer(5)):
        system, scaled = derive(sigma, phi, model=model), derive(c * sigma, c * phi, model=model)
        assert sp.simplify(scaled.loss - c**2 * system.loss) == 0 or not system.is_exact
        for alignment in (0.1, 0.6):
            left, right = (search_time(s, alignment, rho=rho).tau for s in (system, scaled))
            assert right * float(c) ** 2 == pytest.approx(left, rel=1e-9)


@pytest.mark.parametrize(("student", "teacher"), [("erf", "erf"), ("he3", "relu"), ("relu", "erf"), ("gelu", "he2")])
def test_G_is_the_gradient_of_the_loss_in_six_dimensions(student: str, teacher: str) -> None:
    """|grad L(w0)| by central differences of the exact L(q, r), w0 aligned and not."""
    aligned, misaligned = (derive(student, teacher, model=model) for model in ("lora", "misaligned"))
    loss = sp.lambdify((q, r), aligned.loss, "mpmath")
    rng = np.random.default_rng(11)
    target, other = np.linalg.qr(rng.standard_normal((6, 2)))[0].T
    for along, across in ((0.3, 0.0), (0.8, 0.0), (0.3, 0.5), (-0.4, 0.9)):
        with mpmath.workdps(40):
            start = [mpmath.mpf(along * a + across * b) for a, b in zip(target, other, strict=True)]
            unit = [mpmath.mpf(a) for a in target]
            length = mpmath.sqrt(sum(a * a for a in unit))
            unit, h = [a / length for a in unit], mpmath.mpf(10) ** -8
            if across == 0:
                start = [along * a for a in unit]

            def value(k: int, side: int, start=start, unit=unit, h=h) -> mpmath.mpf:
                w = [entry + (side * h if i == k else 0) for i, entry in enumerate(start)]
                overlap = sum(a * b for a, b in zip(w, unit, strict=True))
                return mpmath.re(loss(overlap, sum(a * a for a in w)))

            gradient = [(value(k, 1) - value(k, -1)) / (2 * h) for k in range(6)]
            length = float(mpmath.sqrt(sum(g * g for g in gradient)))
            overlap = float(sum(a * b for a, b in zip(start, unit, strict=True)))
            rho = float(mpmath.sqrt(sum(a * a for a in start)))
        derived = (search_time(misaligned, overlap, rho=rho) if across else search_time(aligned, along)).G
        assert derived == pytest.approx(length, rel=1e-6)


@pytest.mark.parametrize(
    ("student", "teacher", "label"), [("tanh", None, None), ("gelu", "erf", None), ("he2", "erf", "y**2")]
)
def test_the_misaligned_search_time_at_rho_equal_mu(student: str, teacher: str | None, label: str | None) -> None:
    wide, narrow = (derive(student, teacher, model=model, label=label) for model in ("misaligned", "lora"))
    for alignment in (0.2, 0.7):
        expected = search_time(narrow, alignment).tau
        assert search_time(wide, alignment, rho=alignment).tau == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("text", ["max(-0.865721, x)", "max(x - 1.2875, 0) - max(-x - 1.2875, 0)", "max(x, erfc(x))"])
def test_kinks_at_decimals(text: str) -> None:
    """The constant of tau ~ C/(1 - mu)^2 is |B(1)|/A'(1)^2; numbers such as exp(0.8657) are no long powers."""
    (end,) = critical_strengths(derive(text))
    near = 1e-3
    found = [search_time(derive(text), 1 - scale * near).tau * (scale * near) ** 2 for scale in (1, 2)]
    assert end.mu == 1
    assert float(end.constant) == pytest.approx(2 * found[0] - found[1], rel=1e-3)
