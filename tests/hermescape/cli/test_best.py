"""`hermescape best`, run in this process."""

import re

import pytest

from tests.hermescape.cli.running import read, run

ERF = ("best", "erf(beta*x)", "--param", "beta > 0")
CUBIC = ("best", "c1*x + c3*He(3,x)", "--param", "c1", "--param", "c3")


def test_tau() -> None:
    report = read(*ERF, "--over", "beta", "--at", "mu=0.4")
    assert report["value"] == pytest.approx(0.708832359, abs=1e-8)  # between 0.5 and 1, whose tau are 23.26 and 23.44
    assert report["time"] < 20.340701887243083  # at beta = 0.7, by quadrature at 30 digits
    assert (report["quantity"], report["end"], report["attained"], report["exact"]) == ("tau", None, True, False)
    shown = run(*ERF, "--at", "mu=0.4").stdout
    assert "tau is shortest, 20.336965, at beta = 0.708832359" in shown


def test_ends_and_what_is_exact() -> None:
    report = read("best", "max(x,0) + a*min(x,0)", "--param", "a", "--at", "mu=0.4", "--between", "0:2")
    assert (report["value"], report["expression"], report["end"], report["exact"]) == (2, "2", "high", True)
    shown = run("best", "max(x,0) + a*min(x,0)", "--param", "a >= 0", "--at", "mu=0.4").stdout
    assert "tau keeps falling as a -> infinity: it falls to 0" in shown
    assert "certain" in shown
    limit = read("best", "max(x,0) + a*min(x,0)", "--param", "a >= 0", "--at", "mu=0.4")
    assert (limit["value"], limit["time"], limit["attained"], limit["domain"]) == (None, 0, False, "a >= 0")
    assert read(*CUBIC, "--set", "c3=1", "--at", "mu=0.3", "--between", "-2:0")["over"] == "c1"


def test_the_correlation_loss() -> None:
    """Its A is 18 mu^2 + c^2 + 3 c (3 mu^2 - 1) and its B is 6 c mu, of c x + He_3."""
    command = ("best", "c*x + He(3,x)", "--param", "c", "--at", "mu=0.4", "--between", "-3:3")
    report = read(*command, "--objective", "correlation")
    assert (report["value"], report["end"], report["objective"]) == (-3, "low", "correlation")
    drive, bend = 18 * 0.4**2 + 9 - 9 * (3 * 0.4**2 - 1), 6 * -3 * 0.4
    assert report["time"] == pytest.approx(2 / (bend + (bend**2 + 4 * drive**2) ** 0.5), rel=1e-12)
    assert read(*command)["value"] == 3
    assert ", correlation loss, mu = 0.4 (t" in run(*command, "--objective", "correlation").stdout


def test_a_median_in_steps() -> None:
    place = "mu=0.4,d=1e4,lr=0.01,batch=100,threshold=0.4"
    shown = run(*ERF, "--at", place, "--between", "0.6:0.9").stdout
    said = re.search(
        r"mu = 0.4, d = 10000, lr = 0.01, batch = 100, threshold = 0.4 .*\nthe median .* shortest, ([\d.]+), at", shown
    )
    assert said
    assert f"that is {float(said[1]) / 0.01:,.4g} steps" in shown


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ((*ERF,), "--at"),
        ((*ERF, "--at", "mu=2"), "(0, 1]"),
        ((*ERF, "--at", "mu=nan"), "accepted: NAME=NUMBER"),
        ((*ERF, "--at", "d=1e4"), "accepted: mu among"),
        ((*ERF, "--at", "mu=0.4,mu=0.5"), "once"),
        ((*ERF, "--at", "mu=0.4,rho=1"), "'rho=1' given"),
        ((*ERF, "--at", "mu=0.4", "--over", "b"), "--over b given"),
        ((*ERF, "--at", "mu=0.4", "--set", "beta=1"), "none without a value"),
        ((*ERF, "--at", "mu=0.4", "--between", "1"), "LOW:HIGH"),
        ((*ERF, "--at", "mu=0.4", "--between", "a:b"), "a finite number"),
        ((*ERF, "--at", "mu=0.4", "--between", "-3:-1"), "beta > 0"),
        ((*ERF, "--at", "mu=0.4,lr=0.1"), "without a dimension"),
        ((*ERF, "--at", "mu=0.4,d=1e4,batch=10"), "batch"),
        ((*ERF, "--at", "mu=1"), "tau is infinite"),
        ((*CUBIC, "--at", "mu=0.4"), "no --over given"),
        (("best", "relu", "--at", "mu=0.4"), "a parameter that --param declares"),
    ],
)
def test_errors_are_one_line(command: tuple[str, ...], words: str) -> None:
    done = run(*command)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert words in done.stderr
