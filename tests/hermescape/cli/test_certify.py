"""`hermescape certify`, run in this process."""

import json
import sys

import pytest

from hermescape.cli.app import main


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def call(*args: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hermescape", "certify", *args])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    return call


def test_text(run) -> None:
    code, out, err = run("max(tanh(x)-1/3,0)", "--teacher", "relu", "--mu", "0.3")
    assert (code, err) == (0, "")
    for text in (
        "what is proved of max(tanh(x)-1/3,0) on relu at mu = 0.3",
        "not below",
        "kinks of the student: 1, proved to be all",
        "0.3465735902799726",  # log(2)/2
        "critical alignments: 0; undecided: [0.0009765625, ",
    ):
        assert text in out
    out = run("tanh", "--mu", "1/3")[1]
    assert "at mu = 1/3" in out
    assert "kinks of both functions: none" in out
    assert "critical alignments: 1; no other root of A in [0.0009765625, 1]" in out


def test_json(run) -> None:
    code, out, err = run("relu", "--mu", "0.25", "--json")
    proof = json.loads(out)
    assert (code, err) == (0, "")
    assert set(proof) == {"student", "teacher", "objective", "mu", "A", "B", "tau", "kinks", "critical"}
    number = {"value": 0.375, "error": 0.0, "certified": True, "low": "0.375", "high": "0.375"}
    assert proof["A"] == {**number, "expression": None, "reason": None}
    assert proof["critical"]["complete_from"] == 0
    assert proof["critical"]["certified"] is True
    assert proof["kinks"]["student"]["places"][0]["expression"] == "0"
    every = [proof["A"], proof["B"], proof["tau"], *proof["critical"]["roots"], *proof["kinks"]["student"]["places"]]
    assert all(item["certified"] and float(item["low"]) <= item["value"] <= float(item["high"]) for item in every)


def test_what_is_not_certified_says_why_and_is_no_error(run) -> None:
    code, out, err = run("max((exp(x) - 2)**2*(x - 1), 0)", "--mu", "0.3")
    assert (code, err) == (0, "")
    assert "kinks of both functions: not certified: whether" in out
    assert "changes sign near x = 0.69" in out
    code, out, err = run("1", "--mu", "0.3")
    assert (code, err) == (0, "")
    assert "tau  infinite" in out
    assert "critical alignments: 0; not certified: student 1 on 1: A = 0 for every mu" in out
    proof = json.loads(run("1", "--mu", "0.3", "--json")[1])
    assert (proof["tau"]["certified"], proof["tau"]["value"]) == (True, None)
    assert proof["critical"]["certified"] is False
    assert proof["critical"]["reason"].startswith("student 1 on 1")


def test_infinite_search_times_are_proved(run) -> None:
    assert "tau          infinite" in run("he3", "--mu", "1")[1]
    tau = json.loads(run("he3", "--mu", "1", "--json")[1])["tau"]
    assert (tau["value"], tau["certified"], tau["expression"]) == (None, True, "oo")


def test_families_labels_and_objectives(run) -> None:
    member = run("erf(b*x)", "--param", "b > 0", "--set", "b=1/2", "--mu", "0.4", "--json")[1]
    assert json.loads(member)["A"] == json.loads(run("erf(x/2)", "--mu", "0.4", "--json")[1])["A"]
    assert "no root of A in (0, 1]" in run("he3", "--mu", "0.4", "--objective", "correlation")[1]
    squared = json.loads(run("he2", "--mu", "0.4", "--label", "y**2", "--json")[1])
    assert squared["A"]["certified"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["no such"], "no --mu given"),
        (["no such", "--mu", "2"], "mu = 2 given; accepted: a number in (0, 1]"),
        (["no such", "--mu", "0.2,0.4"], "mu = '0.2,0.4' given"),
        (["sign", "--mu", "0.3"], "continuous students"),
        (["relu", "--mu", "0.3", "--model", "misaligned"], "--model"),
        (["relu", "--mu", "0.3", "--rho", "0.5"], "--rho"),
        (["erf(b*x)", "--param", "b", "--mu", "0.3"], "no value of b given"),
        (["nosuch(x)", "--mu", "0.3"], "nosuch"),
    ],
)
def test_errors_are_one_line(run, args: list[str], words: str) -> None:
    code, out, err = run(*args)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
