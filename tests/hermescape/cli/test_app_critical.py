"""`hermescape escape --critical` and `--rate-scale`, run in this process."""

import json
import math
import sys

import pytest

from hermescape.cli.app import main


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def call(*args: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hermescape", "escape", *args])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    return call


def test_json(run) -> None:
    code, out, err = run("he3", "--critical", "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert set(found) == {
        *("points", "rate_scale", "slowdown", "student", "teacher", "objective"),
        *("critical_mu", "exact", "critical", "best"),
        *("certified", "complete_from", "undecided", "reason"),
    }
    assert (found["certified"], found["complete_from"], found["undecided"], found["reason"]) == (True, 0, [], None)
    assert [root["certified"] for root in found["critical"]] == [True, True]
    assert found["critical_mu"] == pytest.approx([0.32072, 1], abs=5e-6)
    assert (found["exact"], found["points"], found["rate_scale"], found["slowdown"]) == (True, [], "raw", 1)
    inner, end = found["critical"]
    assert inner["expression"] == "CRootOf(5*x**3 + 5*x**2 + x - 1, 0)"
    assert inner["definition"] == "root of 5*mu**3 + 5*mu**2 + mu - 1 in (0, 1)"
    assert (end["expression"], end["definition"], end["latex"]) == ("1", "1", "1")
    assert end["constant"] == pytest.approx(1 / 450)
    assert (end["order"], end["multiplicity"], end["sign_B"], end["diverges"], end["above"]) == (2, 1, -1, True, None)
    assert inner["below"] == inner["above"] == {"order": 2, "constant": inner["constant"]}
    assert found["best"]["mu"] == pytest.approx(0.744199, abs=1e-6)
    assert (found["best"]["exact"], found["best"]["attained"], found["best"]["end"]) == (True, True, None)


def test_json_of_a_proof(run) -> None:
    found = json.loads(run("erf", "--teacher", "relu", "--critical", "--json")[1])
    assert (found["exact"], found["certified"], found["complete_from"]) == (False, True, 2**-10)
    (only,) = found["critical"]
    assert only["expression"] is None
    assert only["certified"]
    assert 0 < only["error"] < 1e-16
    assert found["best"]["attained"] is False


def test_json_of_a_scan(run) -> None:
    """A double root at mu = 1/2 (tests/numerics/rates/test_isolation.py) is no theorem, and the scan sees it."""
    found = json.loads(run("sin(x)", "--teacher", "exp(-3/8)*(201*x/164 - 11*x**3/41)", "--critical", "--json")[1])
    assert (found["exact"], found["certified"], found["complete_from"]) == (False, False, None)
    ((low, high),) = found["undecided"]
    assert low < 0.5 < high < low + 1e-3
    (touching,) = (root for root in found["critical"] if root["multiplicity"] == 2)
    assert touching["certified"] is False
    assert abs(touching["mu"] - 0.5) <= touching["error"] < 1e-9


def test_tables(run) -> None:
    out = run("he3", "--critical", "--mu", "0.2")[1]
    for text in (
        "search phase",
        "0.320724347323",
        "root of 5*mu**3",
        "isolated with certainty",
        "trapped",
        "shortest tau",
    ):
        assert text in out
    out = run("he3", "--teacher", "x**3", "--critical")[1]
    assert "u alone" in out
    out = run("erf", "--teacher", "linear", "--critical")[1]
    assert "roots of A in [0.0009765625, 1]: 0, proved to be all" in out
    out = run("max(x-1,0)", "--critical")[1]
    assert "roots of A in (0, 1]: 1, proved to be all but for [0.0009765625, " in out
    assert "there undecided, and found to a tolerance, by a scan of A in steps of 1/64" in out
    assert "shortest without pre-training" in run("linear", "--critical")[1]


def test_the_scale_of_the_paper_is_seen(run) -> None:
    raw, paper = (
        json.loads(run("he3", "--mu", "0.2", "--critical", "--rate-scale", scale, "--json")[1])
        for scale in ("raw", "paper")
    )
    assert (paper["rate_scale"], paper["slowdown"]) == ("paper", 18)  # 3! 3
    assert paper["points"][0]["tau"] == pytest.approx(18 * raw["points"][0]["tau"])
    assert paper["best"]["tau"] == pytest.approx(18 * raw["best"]["tau"])
    assert paper["best"]["mu"] == raw["best"]["mu"]
    for left, right in zip(raw["critical"], paper["critical"], strict=True):
        assert right["constant"] == pytest.approx(18 * left["constant"])
    for args in (("--mu", "0.2"), ("--critical",)):
        assert "k! k = 18" in " ".join(run("he3", *args, "--rate-scale", "paper")[1].split())


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["he3"], "no --mu given"),
        (["he3", "--critical", "--digits", "20"], "--digits without --mu"),
        (["he3", "--critical", "--order", "9"], "--order without --mu"),
        (["he3", "--critical", "--tolerance", "1e-3"], "--tolerance without --mu"),
        (["he3", "--critical", "--mix"], "accepted: model lora"),
        (["he3", "--critical", "--mu", "0.3", "--rho", "0.5"], "accepted: model lora"),
        (["sign", "--critical"], "continuous students"),
        (["1", "--critical"], "A = 0 for every mu"),
        (["relu", "--critical", "--rate-scale", "paper"], "he1...he20"),
        (["relu", "--mu", "0.2", "--rate-scale", "paper"], "he1...he20"),
        (["he3", "--mu", "0.2", "--rate-scale", "other"], "rate-scale"),
    ],
)
def test_errors_are_one_line(run, args: list[str], words: str) -> None:
    code, out, err = run(*args)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_search_times_beyond_a_double(run) -> None:
    """max(x - 1/2, 0) at mu = 0.002: log tau = 31239.84..., from erfc(250/sqrt(2)) in test_search_time_beyond."""
    code, out, _ = run("max(x-0.5,0)", "--mu", "0.002,0.5")
    assert code == 0
    assert "log tau" in out
    assert "nan" not in out
    point = json.loads(run("max(x-0.5,0)", "--mu", "0.002", "--json")[1])["points"][0]
    assert point["tau"].endswith("e+13567")
    assert point["log_tau"] == pytest.approx(13567 * math.log(10) + math.log(1.01299460686914), rel=1e-12)
    assert json.loads(run("relu", "--mu", "0.5", "--json")[1])["points"][0]["log_tau"] == pytest.approx(
        math.log(9.65685424949238), rel=1e-14
    )


@pytest.mark.parametrize("name", ["max(0,x-1)", "max(x-0.5,0)", "sign(x)*max(abs(x)-1,0)"])
def test_dead_zones_have_their_critical_strengths(run, name: str) -> None:
    """A = (1 - mu) E[Z^2; mu |Z| > c] has the one root mu = 1; both tails or one only change tau by their factor."""
    found = json.loads(run(name, "--critical", "--json")[1])
    assert found["critical_mu"] == [1]
    assert found["critical"][0]["order"] == 2
    assert 0.2 < found["best"]["mu"] < 0.7


@pytest.mark.parametrize("digits", ["0", "-3", "501"])
def test_digits_are_refused_before_any_work(run, digits: str) -> None:
    code, _, err = run("no such activation", "--mu", "0.5", f"--digits={digits}")
    assert (code, err) == (2, f"error: --digits {digits} given; accepted: an integer from 1 to 500.\n")


def test_a_tolerance_is_passed_on(run) -> None:
    given = ("relu", "--teacher", "sqrt(abs(x))", "--mu", "0.4")
    found = json.loads(run(*given, "--tolerance", "1e-6", "--json")[1])["points"][0]
    assert found["tau"] == pytest.approx(11.1458748, rel=1e-6)
    code, _, err = run(*given)
    assert code == 2
    assert "ask for a tolerance of 1e-0" in err


def test_infinite_losses_are_one_line(run) -> None:
    code, _, err = run("exp(x**2/5)", "--mu", "0.5", "--rho", "1.2")
    assert code == 2
    assert "variance below 1.25" in err
    assert err.count("\n") == 1
