"""Bifurcations of critical alignments: the family of He_1 and He_3, and others against brute force."""

import numpy as np
import pytest
from scipy.special import erf

import hermescape
from numerics.best.bifurcations import Bifurcations, bifurcations
from theory.errors import HermescapeError, InputError, ParameterError
from theory.network.derivation import derive
from theory.search.critical import critical_strengths

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(240)
WEIGHTS = WEIGHTS / np.sqrt(2 * np.pi)
ALIGNMENTS = np.linspace(5e-4, 1 - 5e-4, 1999)


def drive(sigma, slope) -> np.ndarray:
    """A = E[Z sigma'(mu Z) (sigma(Z) - sigma(mu Z))] by Gauss and Hermite, for student = teacher."""
    inside = ALIGNMENTS[:, None] * NODES
    return (NODES * slope(inside) * (sigma(NODES) - sigma(inside))) @ WEIGHTS


def number_of_roots(sigma, slope) -> int:
    signs = np.sign(drive(sigma, slope))
    return int(np.sum(signs[1:] != signs[:-1]))


@pytest.fixture(scope="module")
def cubic() -> Bifurcations:
    return bifurcations("c1*x + c3*He(3, x)", over="c1", between=(-2, 4), c3=1)


def test_linear_and_cubic_hermite(cubic: Bifurcations) -> None:
    """None for k >= 3, one for 0 <= k < 3, two for k_f < k < 0, none below, k = c1/c3."""
    (fold,), ends = cubic.folds, cubic.ends
    assert float(fold.value) == pytest.approx(-0.437120971963953, abs=1e-15)
    assert float(fold.mu) == pytest.approx(0.222229649225026, abs=1e-15)
    assert [(end.value, end.mu) for end in ends] == [(0, 0), (3, 0)]
    assert cubic.counts == (0, 2, 1, 0)
    assert cubic.exact
    family = derive("c1*x + c3*He(3, x)", parameters=["c1", "c3"])
    for value, count in (
        (-0.45, 0),
        (-0.43, 2),
        (0, 1),
        (2.9, 1),
        (3, 0),
    ):  # the borders 0 and 3 belong to what is said
        roots = critical_strengths(family.member(c1=value, c3=1))
        assert sum(bool(root.mu < 1) for root in roots) == count
        if value not in (0, 3):
            assert cubic.count(value) == count


def test_the_interval_may_be_scaled() -> None:
    """Only k = c1/c3 counts: the fold is at 2 k_f for c3 = 2."""
    wide = bifurcations("c1*x + c3*He(3, x)", over="c1", between=(-2, 7), c3=2)
    assert float(wide.folds[0].value) == pytest.approx(2 * -0.437120971963953, abs=1e-15)
    assert wide.counts == (0, 2, 1, 0)


def test_branches_are_roots_and_end_in_bifurcations(cubic: Bifurcations) -> None:
    for branch in cubic.branches:
        k, at = branch.values, branch.mu
        left = k**2 + 3 * k * (4 * at**2 + at - 1) + 9 * at * (5 * at**3 + 5 * at**2 + at - 1)
        assert np.max(abs(left)) < 1e-12
        assert np.all(np.diff(k) > 0)
    assert len(cubic.branches) == 3
    starts = [branch.mu[0] for branch in cubic.branches if branch.values[0] == float(cubic.folds[0].value)]
    assert starts == [float(cubic.folds[0].mu)] * 2


@pytest.mark.parametrize(
    ("text", "over", "between", "sigma", "slope", "known"),
    [
        (
            "erf(2*x) + a*x",
            "a",
            (-2, 1),
            lambda a: lambda z: erf(2 * z) + a * z,
            lambda a: lambda z: 4 / np.sqrt(np.pi) * np.exp(-4 * z**2) + a,
            # F(0) = sigma'(0) E sigma' vanishes at -E sigma' = -(4/sqrt(pi))/3, the larger of two zeros
            {"end": -4 / (3 * np.sqrt(np.pi))},
        ),
        ("sin(b*x)", "b", (1, 3.5), lambda b: lambda z: np.sin(b * z), lambda b: lambda z: b * np.cos(b * z), {}),
    ],
)
def test_searched_for_against_brute_force(text, over, between, sigma, slope, known) -> None:
    report = bifurcations(text, over, between)
    assert not report.exact
    values = np.linspace(*between, 41)[1:-1] + 1e-3
    counts = [number_of_roots(sigma(v), slope(v)) for v in values]
    assert [report.count(v) for v in values] == counts
    for end in report.ends:
        assert float(end.value) == pytest.approx(known["end"], abs=1e-9)
    (fold,) = report.folds
    low, high = float(fold.value) - 1e-4, float(fold.value) + 1e-4
    assert abs(number_of_roots(sigma(low), slope(low)) - number_of_roots(sigma(high), slope(high))) == 2
    least = np.argmin(abs(drive(sigma(float(fold.value)), slope(float(fold.value)))[100:-300]))
    assert ALIGNMENTS[100 + least] == pytest.approx(float(fold.mu), abs=2e-3)


def test_the_search_agrees_with_what_is_exact(cubic: Bifurcations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numerics.best.bifurcations.of_polynomial", lambda *_: None)
    report = bifurcations("c1*x + c3*He(3, x)", over="c1", between=(-2, 4.1), c3=1)
    assert (report.exact, report.counts) == (False, cubic.counts)
    for ours, exact in zip(report.points, cubic.points, strict=True):
        assert ours.kind == exact.kind
        assert abs(float(ours.value - exact.value)) <= ours.error
        assert float(ours.mu) == pytest.approx(float(exact.mu), abs=1e-12)


def bend(sigma, slope, curvature) -> np.ndarray:
    """B = -E[sigma'(mu Z)^2 + sigma''(mu Z) (sigma(mu Z) - sigma(Z))], for student = teacher."""
    inside = ALIGNMENTS[:, None] * NODES
    return -(slope(inside) ** 2 + curvature(inside) * (sigma(inside) - sigma(NODES))) @ WEIGHTS


@pytest.mark.parametrize(
    ("text", "between", "functions", "exact"),
    [
        (
            "b*x + He(3, x)",
            (-1, 7),
            lambda b: (lambda z: b * z + z**3 - 3 * z, lambda z: b + 3 * z**2 - 3, lambda z: 6 * z),
            True,
        ),
        (
            "x*(1 + erf(b*x))/2",
            (0.2, 3),
            lambda b: (
                lambda z: z * (1 + erf(b * z)) / 2,
                lambda z: (1 + erf(b * z)) / 2 + b * z * np.exp(-((b * z) ** 2)) / np.sqrt(np.pi),
                lambda z: 2 * b * (1 - (b * z) ** 2) * np.exp(-((b * z) ** 2)) / np.sqrt(np.pi),
            ),
            False,
        ),
    ],
)
def test_zeros_of_b_against_brute_force(text, between, functions, exact) -> None:
    report = bifurcations(text, "b", between, of="B")
    assert (report.exact, report.quantity, {point.quantity for point in report.points}) == (exact, "B", {"B"})
    for value in np.linspace(*between, 15)[1:-1] + 0.15:
        signs = np.sign(bend(*functions(value)))
        assert report.count(value) == int(np.sum(signs[1:] != signs[:-1]))
    assert len(set(report.counts)) > 1
    for branch in report.branches:
        middle = len(branch.values) // 4
        there = np.interp(branch.mu[middle], ALIGNMENTS, bend(*functions(branch.values[middle])))
        assert there == pytest.approx(0, abs=1e-4)


def test_what_is_said_of_zeros_of_b() -> None:
    report = hermescape.bifurcations("p*x + He(2, x)", "p", (0, 4), of="B")
    (end,) = report.points  # B = 2 - p^2 - 6 mu^2
    assert (end.kind, end.value**2, end.mu) == ("end", 2, 0)
    assert "zeros of B in (0, 1)" in str(report)
    ax = report.plot()
    assert ax.lines[0].get_label() == "zero of B"
    with pytest.raises(ParameterError, match="accepted: A or B"):
        bifurcations("p*x + He(2, x)", "p", (0, 4), of="C")
    with pytest.raises(HermescapeError, match="B = 0"):
        bifurcations(derive("p*x + He(2, x)", parameters="p", objective="correlation"), "p", (1, 2), of="B")


@pytest.mark.slow
def test_of_the_correlation_loss_the_teacher_is_no_root() -> None:
    """A = d/dmu K(mu, mu^2) of sin(b x) + x/2, at mu = 1 too, where that of the squared loss is 0."""
    searched = bifurcations(derive("sin(b*x) + x/2", parameters="b", objective="correlation"), "b", (1, 4))

    def kernel(mu: np.ndarray, b: float) -> np.ndarray:
        cross = mu * b * (np.exp(-(b**2) / 2) + np.exp(-((b * mu) ** 2) / 2)) / 2
        return np.exp(-(b**2) * (mu**2 + 1) / 2) * np.sinh(b**2 * mu) + cross + mu / 4

    for b in (1.5, 2.2, 3.0, 3.8):
        signs = np.sign(kernel(ALIGNMENTS + 1e-5, b) - kernel(ALIGNMENTS - 1e-5, b))
        assert searched.count(b) == np.sum(signs[1:] != signs[:-1])
    assert searched.counts == (0, 1, 0, 2)
    assert [(point.kind, point.mu) for point in searched.ends] == [("end", 1), ("end", 1)]


def test_where_no_derivative_is_known_at_zero_there_is_none() -> None:
    """At mu = 0 the order of b/mu and 1/mu is none that SymPy knows."""
    searched = bifurcations("max(x - b, 0) - max(x - 1, 0)", "b", (-2, "1/2"))
    assert searched.counts == (0,)
    assert 0 < searched.ranges[0][0] < 0.1


def test_without_a_closed_form() -> None:
    """tanh(2 x) - a x: F(0) vanishes where a = E sigma', one derivative of one function by quadrature."""
    report = bifurcations("tanh(2*x) - a*x", "a", (0.5, 0.9))
    mean = float((2 / np.cosh(2 * NODES) ** 2) @ WEIGHTS)
    assert report.counts == (0, 2, 1)
    assert float(report.ends[0].value) == pytest.approx(mean, abs=1e-6)  # 240 nodes of a function with poles
    a = float(report.folds[0].value)
    numbers = [
        number_of_roots(lambda z, v=v: np.tanh(2 * z) - v * z, lambda z, v=v: 2 / np.cosh(2 * z) ** 2 - v)
        for v in (a - 1e-3, a + 1e-3)
    ]
    assert numbers == [0, 2]


def test_what_has_no_bifurcations_is_refused() -> None:
    family = derive("erf(b*x)", parameters="b > 0")
    with pytest.raises(ParameterError, match="no interval of b > 0"):
        bifurcations(family, "b")
    with pytest.raises(ParameterError, match="model lora"):
        bifurcations(derive("erf(b*x)", parameters="b > 0", model="misaligned"), "b", (1, 2))
    with pytest.raises(InputError, match="continuous"):
        bifurcations("step(x - b)", "b", (1, 2))
    with pytest.raises(HermescapeError, match="A = 0"):
        bifurcations(derive("b", parameters="b"), "b", (1, 2))
    with pytest.raises(ParameterError, match="no bifurcation"):
        bifurcations("b*x**2 + x**4", "b", (-10, 10)).count(-5)


def test_it_shows_and_draws_itself(cubic: Bifurcations) -> None:
    text = str(hermescape.bifurcations("c1*x + c3*He(3, x)", over="c1", between=(-2, 4), c3=1))
    assert "-0.437121 < c1 < 0" in text
    assert "-0.43712097 (exact)" in text
    ax = cubic.plot()
    assert (ax.get_xlabel(), ax.get_xlim(), ax.get_ylim()[1]) == ("$c_{1}$", (-2, 4), 1)
    marks = [line for line in ax.lines if len(line.get_xdata()) == 1]
    assert [(line.get_marker(), float(line.get_xdata()[0])) for line in marks] == [
        ("D", float(cubic.folds[0].value)),
        ("o", 0.0),
        ("o", 3.0),
    ]


@pytest.mark.parametrize("between", [(1, 10), (4, 30), (1, 100), (1, 1e9)])
def test_a_root_that_tends_to_zero_is_no_fold(between) -> None:
    """sin(b x) has no root for b < 1.980624 and two beyond, one of them at about exp(-b^2/2)."""
    report = bifurcations("sin(b*x)", "b", between)
    assert [float(point.value) for point in report.points] == pytest.approx([1.980623506373] if between[0] == 1 else [])
    assert report.counts == ((0, 2) if between[0] == 1 else (2,))
    assert set(report.ranges) == {(0, 1)}
    if between == (4, 30):
        lowest, upper = report.branches
        small = np.exp(-(lowest.values**2) / 2)
        seen = small > 1e-20
        assert lowest.mu[seen] == pytest.approx(small[seen], rel=0.05)
        assert np.all(lowest.mu[~seen] < 1e-19)
        assert upper.mu == pytest.approx(1 / 3, abs=0.05)


def test_a_branch_leaves_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """By doubles alone the sign of A at mu = 0 is lost beside its largest value."""
    monkeypatch.setattr("numerics.integrals.signed._proved", lambda *_: None)
    report = bifurcations("sin(b*x)", "b", (1, 10))
    fold, lost = report.points
    assert (fold.kind, lost.kind, float(lost.mu)) == ("fold", "below", pytest.approx(2.0**-10, rel=1e-5))
    assert lost.words == "a critical alignment enters or leaves below mu = 0.000976563, where A has no known sign"
    assert 7 < float(lost.value) < 9
    assert (report.counts, report.ranges) == ((0, 2, 1), ((0, 1), (0, 1), (2.0**-10, 1)))
    assert "critical alignments in [0.000976562, 1)" in str(report)
    assert report.plot().lines


def test_no_fold_without_a_double_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Roots that vanish where F does not touch 0 are none of what is known."""
    from numerics.best.bifurcations import _Piece

    def roots(_: object, value: float) -> list[float]:
        return [] if value < 2 else [0.2, 0.4]

    monkeypatch.setattr(_Piece, "roots", roots)
    (point,) = bifurcations("erf(b*x)", "b", (1, 4)).points
    assert (point.kind, point.mu) == ("unclear", None)
    assert float(point.value) == pytest.approx(2)


def test_kinks_are_counted_where_they_have_signs() -> None:
    """ReLU's B has no derivative at mu = 0; the root that comes from there is seen from the first alignment on."""
    report = bifurcations("max(x - b, 0)", "b", (-10, 30), of="B")
    (point,) = report.points
    assert (point.kind, set(report.ranges)) == ("below", {(2.0**-10, 1)})
    assert point.words.startswith("a zero of B enters or leaves below mu")
