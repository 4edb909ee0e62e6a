"""Search times with proved errors: what is printed depends on the numbers alone."""

from concurrent.futures import ThreadPoolExecutor

import flint
import mpmath
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from numerics.rates.certificate import certify
from numerics.rates.curve import search_times
from numerics.rates.search import Search
from numerics.rates.search_time import search_time
from tests.reference.awkward import table
from theory.language.activations import REGISTRY
from theory.network.derivation import derive

CONTINUOUS = sorted(name for name in REGISTRY if name not in ("step", "sign"))
PLACES = [0.1 * k for k in range(1, 10)]


@pytest.mark.parametrize("name", CONTINUOUS)
def test_every_activation_is_proved(name: str) -> None:
    """A double contains as many digits as it has, and 40 digits lie within its error and its interval."""
    system = derive(name)
    search, fine = search_time(system, "0.3"), search_time(system, "0.3", digits=40)
    assert search.certified
    assert fine.certified
    assert search.tau is not None
    assert search.error <= 2.0**-51 * search.tau
    low, high = search.interval
    assert low <= fine.tau <= high
    for quantity in ("A", "B", "G", "rate", "tau"):
        close, exact = getattr(search, quantity), getattr(fine, quantity)
        assert abs(sp.Float(close, 60) - exact) <= 2.0**-51 * abs(exact) + sp.Float("1e-39")
        if quantity != "tau":
            assert abs(sp.Float(close, 60) - exact) <= search.errors[quantity] <= 2.0**-51 * abs(exact)
    assert abs(sp.Float(search.tau, 60) - fine.tau) <= search.error


@given(mu=st.floats(0.01, 1), digits=st.sampled_from([5, 17, 30, 60]))
@settings(max_examples=30, deadline=None)
def test_digits_agree_with_each_other(mu: float, digits: int) -> None:
    system = derive("gelu")
    some, more = (search_time(system, mu, digits=n) for n in (digits, 80))
    if some.tau is None or more.tau is None:
        assert some.tau is more.tau is None
        return
    assert abs(some.tau - more.tau) <= some.error
    assert some.interval[0] <= more.tau <= some.interval[1]


def _printed(search: Search) -> str:
    return repr((search.A, search.B, search.G, search.rate, search.tau, search.error, search.interval))


@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_neither_threads_nor_precisions_change_a_digit(name: str) -> None:
    system = derive(name)
    alone = [_printed(search_time(system, mu)) for mu in PLACES]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda mu: _printed(search_time(system, mu)), PLACES))
    assert together == alone
    before = flint.ctx.prec
    try:
        flint.ctx.prec = 20
        with mpmath.workdps(5):
            assert [_printed(search_time(system, mu)) for mu in PLACES] == alone
        assert flint.ctx.prec == 20
    finally:
        flint.ctx.prec = before


def test_a_slowed_search_is_proved_too() -> None:
    raw, paper = (search_time(derive("he3"), 0.2, rate_scale=scale) for scale in ("raw", "paper"))
    exact = search_time(derive("he3"), 0.2, digits=40)
    assert raw.certified
    assert paper.certified
    assert abs(sp.Float(paper.tau, 60) - 18 * exact.tau) <= paper.error <= 2.0**-51 * paper.tau


PAIRS = [
    ("max(x-0.2,0)", "step(x-0.4)"),
    ("max(x-0.2,0)*tanh(x)", "step(x-0.4)"),
    ("tanh(x)", "step(x-0.4)"),
    ("relu", "he3"),
]


@pytest.mark.parametrize("mu", ["0.4", "0.5"])
@pytest.mark.parametrize("pair", PAIRS)
def test_a_weight_that_happens_to_be_aligned_is_as_one_that_is(pair: tuple[str, str], mu: str) -> None:
    """On either side; at mu = 0.5 a jump of the teacher meets a kink of the student."""
    aligned, general = derive(*pair), derive(*pair, model="misaligned")
    across, along = search_time(general, mu, rho=mu), search_time(aligned, mu)
    assert across.certified
    assert along.certified
    assert (across.B, across.G, across.rate, across.tau) == (along.B, along.G, along.rate, along.tau)
    near = search_time(general, mu, rho=sp.Rational(mu) + sp.Rational(1, 10**12))
    assert near.tau == pytest.approx(along.tau, rel=2e-4)  # the gap enters by its square root
    mirrored = derive(pair[0], f"({pair[1]})".replace("x", "(-x)") if "x" in pair[1] else "-(x**3-3*x)")
    back = search_time(mirrored, mu)
    opposite = search_time(general, f"-{mu}", rho=mu)
    assert (opposite.B, opposite.G, opposite.tau) == (back.B, back.G, back.tau)


def test_where_nothing_moves_tau_is_infinite_and_that_is_proved() -> None:
    search = search_time(derive("1"), 0.5)
    assert search.certified
    assert (search.tau, search.A, search.B, search.rate) == (None, 0.0, 0.0, 0.0)


def test_a_sign_at_its_jump_is_the_mean_of_both_sides() -> None:
    """A of the pair contains sign(5 mu - 2): a ball about 2/5 does not tell it."""
    search = search_time(derive("max(x-0.2,0)", "step(x-0.5)"), "0.4")
    below, above = (search_time(derive("max(x-0.2,0)", "step(x-0.5)"), mu) for mu in ("0.3999999999", "0.4000000001"))
    assert search.certified
    assert pytest.approx((below.B + above.B) / 2, rel=1e-8) == search.B


def test_a_misaligned_search_is_proved() -> None:
    search = search_time(derive("tanh", model="misaligned"), "-0.3", rho="0.4")
    (row,) = (
        row for row in table() if row["student"] == "tanh(x)" and row["rho"] == "0.4" and row["quantity"] == "tau"
    )
    assert search.certified
    assert abs(sp.Float(search.tau, 60) - sp.Float(row["value"], 60)) <= search.error <= 2.0**-50 * search.tau


def drive(student, slope, teacher, cuts: list[str], mu: str) -> mpmath.mpf:
    """A = E[Z sigma'(mu Z) (phi(Z) - sigma(mu Z))], aligned: an integral of functions, without point masses."""
    places = sorted({mpmath.mpf(c) for c in cuts} | {mpmath.mpf(k) for k in range(-9, 10)})
    w = mpmath.mpf(mu)
    return mpmath.quad(lambda z: mpmath.npdf(z) * z * slope(w * z) * (teacher(z) - student(w * z)), places)


def test_a_jump_of_the_teacher_meets_a_kink_of_the_student() -> None:
    """Each alone is a jump of what is integrated out at the other: there the mean of both sides holds."""
    with mpmath.workdps(30):
        cut = mpmath.mpf("0.2")
        student = lambda y: (y - cut) * mpmath.tanh(y) if y > cut else 0  # noqa: E731
        slope = lambda y: mpmath.tanh(y) + (y - cut) * mpmath.sech(y) ** 2 if y > cut else 0  # noqa: E731
        true = drive(student, slope, lambda z: z > mpmath.mpf("0.5"), ["0.5"], "0.4")
    system = derive("max(x-0.2,0)*tanh(x)", "step(x-0.5)")
    there, before, after = (search_time(system, mu) for mu in ("0.4", "0.3999999999", "0.4000000001"))
    assert there.certified
    assert abs(there.A - true) < 1e-12
    assert there.A == pytest.approx(before.A, rel=1e-8) == pytest.approx(after.A, rel=1e-8)
    assert pytest.approx((before.B + after.B) / 2, rel=1e-8) == there.B
    assert search_time(system, 0.4, certify=False).tau == pytest.approx(there.tau, rel=1e-12)


@pytest.mark.parametrize(
    ("student", "teacher", "mu"),
    [("abs(tanh(x))", "sign(x)", 0.5), ("max(tanh(x),0)", "step(x)", 0.5), ("max(x,0)*tanh(x)", "step(x)", 0.3)],
)
def test_at_the_edge_a_misaligned_weight_is_an_aligned_one(student: str, teacher: str, mu: float) -> None:
    aligned = search_time(derive(student, teacher), mu)
    edge = search_time(derive(student, teacher, model="misaligned"), mu, rho=mu)
    assert edge.certified
    assert (edge.tau, edge.G) == pytest.approx((aligned.tau, abs(aligned.A)), rel=1e-14)


GATE = "step(x-0.2)*tanh(x)"


@pytest.mark.parametrize(
    ("mu", "B", "tau"),
    [
        ("0.5", "-0.06473054311400831279463570934921514536416", "10.57890695172505856275664500810675100611"),
        ("1", "-0.3821492020883896057563772288974836099851", "29.42066554634167360523126792675925370077"),
    ],
)
def test_a_teacher_that_is_known_by_branches_at_a_kink_of_the_student(mu: str, B: str, tau: str) -> None:
    """B is a closed form, a value of the teacher by its branches; by an independent quadrature in mpmath."""
    search = search_time(derive("max(x-0.2,0)", GATE), mu)
    assert search.certified
    assert abs(sp.Float(search.B, 40) - sp.Float(B, 40)) <= search.errors["B"] <= 1e-15
    assert abs(sp.Float(search.tau, 40) - sp.Float(tau, 40)) <= search.error <= 1e-14


@pytest.mark.parametrize("pair", [("abs(x-1)", "step(x-1)"), ("abs(x-1)", "sign(x-1)"), ("max(x-0.2,0)", GATE)])
def test_at_the_teacher_a_jump_that_meets_a_kink_counts_half(pair: tuple[str, str]) -> None:
    """Formulas hold for mu < 1, where c/mu > c; a misaligned weight and both verbs for many say the same as one."""
    aligned, general = derive(*pair), derive(*pair, model="misaligned")
    search, across = search_time(aligned, 1), search_time(general, 1, rho=1)
    assert (search.B, search.G, search.tau) == (across.B, across.G, across.tau)
    assert certify(aligned, 1).B.value == search.B == search_times(aligned, [0.5, 1]).B[1]
    assert abs(search_time(aligned, 1 - 1e-12).B - search.B) > 0.01


def test_the_kink_of_a_modulus_at_a_step_of_the_teacher() -> None:
    """B = -1 + 2 pdf(1)/2."""
    search = search_time(derive("abs(x-1)", "step(x-1)"), 1)
    assert abs(search.B + 1 - sp.exp(-sp.Rational(1, 2)) / sp.sqrt(2 * sp.pi)) < 1e-15


@pytest.mark.parametrize("digits", [5, 8, 12])
def test_estimated_digits_are_rounded_within_their_error(digits: int) -> None:
    """As text: 18.021 of 18.02125 is off by more than 1e-5 of it."""
    system = derive("max(sin(x),0)", "x")
    for mu in ("0.3", "0.5", "0.7"):
        short, long = (search_time(system, mu, digits=n) for n in (digits, 24))
        assert not short.certified
        for name, error in {**short.errors, "tau": short.error}.items():
            gap = abs(sp.Rational(str(getattr(short, name))) - sp.Rational(str(getattr(long, name))))
            assert gap <= sp.Rational(str(error)) <= 8 * sp.Rational(1, 10**digits) * abs(getattr(short, name))


def test_a_kink_without_a_name_is_met_within_its_decimals() -> None:
    """Of max(tanh x - 1/5, 0) on step(tanh(2x/5) - 1/5) at mu = 2/5, by an independent quadrature."""
    search = search_time(derive("max(tanh(x)-0.2,0)", "step(tanh(0.4*x)-0.2)"), 0.4)
    with mpmath.workdps(30):
        cut = mpmath.atanh(mpmath.mpf("0.2"))
        true = drive(
            lambda y: max(mpmath.tanh(y) - mpmath.mpf("0.2"), 0),
            lambda y: mpmath.sech(y) ** 2 if y > cut else 0,
            lambda z: z > cut / mpmath.mpf("0.4"),
            [str(cut / mpmath.mpf("0.4"))],
            "0.4",
        )
    assert abs(search.A - true) < 1e-12


def test_the_rate_waits_until_tau_is_known() -> None:
    """A of max(exp(x) - 3, 0) is far below what the first precisions tell from 0."""
    search, fine = (search_time(derive("max(exp(x)-3,0)"), "0.07", digits=digits) for digits in (None, 30))
    assert search.certified
    assert abs(sp.Float(search.tau, 40) - fine.tau) <= search.error < 1e-15 * search.tau


def test_without_a_proof_errors_are_estimates() -> None:
    system = derive("abs(sin(x))")
    search = search_time(system, 0.3, tolerance=1e-6)
    assert not search.certified
    assert 0 < search.error <= 1e-6 * search.tau
    assert not search_time(derive("tanh"), 0.3, certify=False).certified
