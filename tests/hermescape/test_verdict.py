"""What a derivation means: numbers that are known otherwise, words that follow from them."""

import json
import math
from pathlib import Path

import pytest
import sympy as sp

from hermescape import verdict as views
from hermescape.report.findings import Request, gather
from hermescape.verdict import durations, search_of, verdict, verdict_lines
from hermescape.views.critical import critical_report
from numerics.law import compared_laws
from tests.hermescape.cli.running import run
from theory.errors import ParameterError
from theory.network.derivation import derive
from theory.symbols import mu


def relu_tau(alignment: float) -> float:
    """A = (1 - mu)/2 and B = -1/2, from the paper."""
    A, B = (1 - alignment) / 2, -0.5
    return 2 / (B + math.sqrt(B * B + 4 * A * A))


def test_search_times_of_relu() -> None:
    search = search_of(derive("relu"))
    assert search.weak == pytest.approx(relu_tau(0.2), rel=1e-12)
    assert search.strong == pytest.approx(relu_tau(0.8), rel=1e-12)
    assert (search.critical, search.best) == ((1.0,), 0.0)
    assert search.shortest == pytest.approx(relu_tau(0.0), rel=1e-12)


def test_the_best_alignment_is_below_its_neighbours() -> None:
    search, escape = search_of(derive("he2")), derive("he2").escape

    def tau(alignment: float) -> float:
        a, b = (float(sp.sympify(f).subs(mu, alignment)) for f in (escape.A, escape.B))
        return 2 / (b + math.sqrt(b * b + 4 * a * a))

    assert search.shortest == pytest.approx(tau(search.best), rel=1e-9)
    assert search.shortest < min(tau(search.best - 0.02), tau(search.best + 0.02))


def test_a_second_look_computes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    system = derive("gelu")
    first = search_of(system)
    monkeypatch.setattr(views, "_computed", lambda *_: pytest.fail("computed again"))
    assert search_of(system) == first


def test_a_report_finds_its_alignments_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HERMESCAPE_CACHE", str(tmp_path))
    system, calls = derive("relu"), []
    find = views.Alignments.of
    monkeypatch.setattr(views.Alignments, "of", lambda system: calls.append(system) or find(system))
    gather(Request("relu", mu=(0.4,), replicas=20, quick=True))
    assert len(calls) == 1
    given = find(system)
    assert verdict(system, alignments=given) == verdict(system)
    assert critical_report(system, alignments=given) == critical_report(system)


@pytest.mark.parametrize("damage", ["", "{}", '{"weak": []}', "[1"])
def test_a_damaged_entry_is_made_again(damage: str) -> None:
    system = derive("relu")
    place = views._kept(system)
    if place is None:
        pytest.skip("the cache is off")
    first = search_of(system)
    place.write_text(damage)
    assert search_of(system) == first
    assert json.loads(place.read_text())["strong"] == first.strong


@pytest.mark.parametrize(
    ("student", "teacher", "held"), [("he2", "he2", False), ("he2", "1 - x**2", True), ("he3", "-x**3 + 3*x", False)]
)
def test_opposite_signs_of_even_order_hold_training(student: str, teacher: str, held: bool) -> None:
    found = verdict(derive(student, teacher, model="plain"))
    assert found.is_held is held
    assert ("held" in verdict_lines(found)[0]) is held
    assert found.search is None


@pytest.mark.parametrize(
    ("student", "said"),
    [("relu", "t = O(1)"), ("he2", "(tau/2) log d"), ("he3", "d^(1/2)"), ("he4", "t ~ d,"), ("he6", "d^2")],
)
def test_exponents_in_words(student: str, said: str) -> None:
    assert said in verdict_lines(verdict(derive(student, model="plain")))[0]


def test_nothing_shared_and_no_search() -> None:
    assert "never leaves" in verdict_lines(verdict(derive("he3", "x", model="plain")))[0]
    lines = verdict_lines(verdict(derive("step")))
    assert lines[1].startswith("fine-tuning has no search time: student step")


def test_durations_are_those_of_the_law_in_steps() -> None:
    system, eta, batch, d = derive("linear"), 0.1, 100, 1000
    low, high = durations(system, d, eta, batch)
    law = compared_laws(system, by="formula", mu=0.8, dimension=d, kappa=eta * d / batch, step_size=eta).law
    assert (low.mu, high.mu) == (0.2, 0.8)
    assert high.median * eta == pytest.approx(law.quantile(0.5), rel=0.05)  # a sample of some thousand paths
    assert high.low < high.median < high.high
    with pytest.raises(ParameterError, match="hermescape law takes the others"):
        durations(derive("linear", model="misaligned"), d, eta, batch)


def test_the_command_ends_with_it() -> None:
    lines = run("derive", "relu").stdout.splitlines()
    assert lines[-1].endswith("it diverges at mu = 1")
    known = json.loads(run("derive", "relu", "--json").stdout)["verdict"]
    assert known["search"]["weak"] == pytest.approx(relu_tau(0.2))
    steps = run("derive", "linear", "--d", "1000", "--lr", "0.1", "--batch", "100").stdout.splitlines()
    assert all("SGD reaches |m| = 0.5 after" in line for line in steps[-2:])


def test_sizes_come_together() -> None:
    refused = run("derive", "relu", "--d", "1000")
    assert refused.returncode == 2
    assert "no --lr and no --batch given; accepted: --d, --lr and --batch together" in refused.stderr
