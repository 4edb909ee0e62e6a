"""What `certify` says is proved contains values of formulas and of mpmath's own quadrature, at 40 digits."""

from collections.abc import Callable

import mpmath
import pytest
from mpmath import mpf

import hermescape
from numerics.integrals.certified.claims import Claim
from numerics.rates.certificate import Certificate, certify
from theory.errors import InputError, ParameterError

DIGITS = 40


def contains(claim: Claim, true: mpf) -> bool:
    """Whether both of its enclosures do, and are narrow."""
    low, high = mpf(claim.low), mpf(claim.high)
    is_narrow = high - low <= abs(true) * mpf(10) ** -15
    return bool(low <= true <= high and abs(mpf(claim.value) - true) <= mpf(claim.error) and is_narrow)


def check(proof: Certificate, drive: mpf, bend: mpf) -> None:
    tau = 2 / (bend + mpmath.sqrt(bend**2 + 4 * drive**2))
    assert contains(proof.A, drive)
    assert contains(proof.B, bend)
    assert contains(proof.tau, tau)


def mean(f: Callable[[mpf], mpf], *ends: mpf) -> mpf:
    places = ends or [-16, -4, -1, 0, 1, 4, 16]
    return mpmath.quad(lambda z: f(z) * mpmath.npdf(z), places)


@pytest.mark.parametrize("text", ["0.032", "2/5", "0.99"])
def test_tanh(text: str) -> None:
    proof = certify("tanh", text)
    with mpmath.workdps(DIGITS):
        a, th = mpf(2) / 5 if text == "2/5" else mpf(text), mpmath.tanh

        def slope(z: mpf) -> mpf:
            return 1 - th(a * z) ** 2

        drive = mean(lambda z: z * slope(z) * (th(z) - th(a * z)))
        bend = mean(lambda z: -(slope(z) ** 2) - 2 * th(a * z) * slope(z) * (th(z) - th(a * z)))
        check(proof, drive, bend)
    assert proof.student_kinks.places == proof.teacher_kinks.places == ()
    assert proof.student_kinks.certified


def test_a_dead_zone() -> None:
    """A = (1 - mu) E[Z^2; Z > 1/mu], B = (1/mu - 1) pdf(1/mu)/mu - P(Z > 1/mu)."""
    proof = certify("max(x - 1, 0)", "1/10")
    with mpmath.workdps(DIGITS):
        far = mpf(10)
        tail = mpmath.erfc(far / mpmath.sqrt(2)) / 2
        check(proof, (far * mpmath.npdf(far) + tail) * 9 / 10, 9 * mpmath.npdf(far) * 10 - tail)
    assert [kink.expression for kink in proof.student_kinks.places] == [1]
    assert not proof.critical.certified


def test_a_kink_without_a_name() -> None:
    """tanh x = 1/3 at x = log(2)/2; the slope jumps there by 8/9."""
    proof = certify(
        "max(tanh(x) - 1/3, 0)",
        "0.3",
    )
    with mpmath.workdps(DIGITS):
        kink, a = mpmath.log(2) / 2, mpf("0.3")
        (place,) = proof.student_kinks.places
        assert contains(place, kink)
        start = kink / a

        def gap(z: mpf) -> mpf:
            return mpmath.tanh(z) - mpmath.tanh(a * z)

        def slope(z: mpf) -> mpf:
            return mpmath.sech(a * z) ** 2

        ends = (start, start + 2, start + 6, mpf(20))
        drive = mean(lambda z: z * slope(z) * gap(z), *ends)
        bend = mean(lambda z: -(slope(z) ** 2) - 2 * mpmath.tanh(a * z) * slope(z) * gap(z), *ends)
        bend += mpf(8) / 9 * (mpmath.tanh(start) - mpf(1) / 3) * mpmath.npdf(start) / a
        check(proof, drive, bend)


def test_at_the_teacher_tau_is_infinite_and_that_is_proved() -> None:
    proof = certify("he3", 1)
    assert proof.tau.is_infinite
    assert proof.tau.certified
    assert (proof.A.value, proof.A.error, proof.B.low, proof.B.high) == (0, 0, "-18", "-18")


def test_what_is_open_says_why() -> None:
    nothing = certify("1", "0.3")
    assert nothing.tau.certified
    assert nothing.tau.is_infinite
    assert "A = 0 for every mu" in nothing.critical.reason
    assert not nothing.critical.certified
    touching = certify("max((exp(x) - 2)**2*(x - 1), 0)", "0.3")
    assert not touching.student_kinks.certified
    assert "changes sign near x = 0.69" in touching.student_kinks.reason


def test_what_is_refused() -> None:
    with pytest.raises(ParameterError, match="model lora"):
        certify(hermescape.derive("erf", model="misaligned"), "0.3")
    with pytest.raises(ParameterError, match="mu = 2 given"):
        certify("erf", 2)
    with pytest.raises(InputError, match="continuous"):
        certify("sign", "0.3")


def test_it_shows_itself() -> None:
    shown = str(hermescape.certify("relu", "1/4"))
    assert "in [0.37" not in shown  # A = 3/8 is exact
    assert "no other root of A in (0, 1]" in shown
    assert repr(hermescape.certify("relu", "1/4").A) == "<Claim 0.375 (exact)>"


def test_a_member_of_a_family_is_itself() -> None:
    family = hermescape.derive("erf(b*x)", parameters={"b": "> 0"})
    assert certify(family.member(b="1/2"), "0.4").A == certify("erf(x/2)", "0.4").A
