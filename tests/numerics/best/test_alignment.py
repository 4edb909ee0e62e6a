"""The best alignment against dense grids, and the scale of the paper."""

import math

import numpy as np
import pytest
import sympy as sp

from numerics.best.alignment import _sampled, best_mu
from numerics.rates.search_time import search_time, slowdown
from theory.errors import InputError, ParameterError
from theory.network.derivation import derive
from theory.search.critical import critical_strengths
from theory.symbols import alpha


def on_a_grid(system, low: float, high: float) -> tuple[float, float]:
    """The least tau on 4000 points, looked for around the least on every tenth."""
    grid = np.linspace(low, high, 4001)[1:]

    def tau(index: int) -> float:
        return search_time(system, float(grid[index])).tau or math.inf

    near = min(range(9, len(grid), 10), key=tau)
    best = min(range(max(near - 10, 0), min(near + 11, len(grid))), key=tau)
    return float(grid[best]), tau(best)


@pytest.mark.parametrize(
    ("student", "teacher", "ends"),
    [
        ("he2", None, (0, 1)),
        ("he3", None, (0, 1)),
        ("he3", None, (0, "0.6")),  # the other side of the critical strength
        ("he3", "x**3", ("0.1", "0.9")),
        ("gelu", None, (0, 1)),
        ("relu", "he2", (0, 1)),
        ("he2", "erf", (0, 1)),
    ],
)
def test_best_alignment_against_a_grid(student: str, teacher: str | None, ends: tuple) -> None:
    system = derive(student, teacher)
    best = best_mu(system, *ends)
    low, high = map(float, ends)
    alignment, tau = on_a_grid(system, low, high)
    assert float(best.mu) == pytest.approx(alignment, abs=(high - low) / 2000)
    assert float(best.tau) <= tau * (1 + 1e-9)
    assert float(best.tau) == pytest.approx(tau, rel=1e-5)
    assert best.end == ("high" if alignment == high else None)
    assert best.exact == (student.startswith("he") and teacher != "he2")


def test_samples_find_what_is_exact() -> None:
    for student, ends in (("he2", (0, 1)), ("he3", (0, 0.5)), ("he5", (0, 1)), ("he4", (0.3, 1)), ("linear", (0, 1))):
        system = derive(student)
        exact = best_mu(system, *ends)
        found = _sampled(system, tuple(map(sp.nsimplify, ends)), 1e-7)
        assert found.end == exact.end
        assert float(found.mu) == pytest.approx(float(exact.mu), abs=1e-6)
        assert abs(float(found.tau - exact.tau)) <= max(1e-9 * float(exact.tau), 2 * found.error)
        assert (exact.exact, found.exact) == (True, False)


def test_tau_that_falls_towards_zero_alignment() -> None:
    """Linear: A = 1, B = -1 at mu = 0, so that tau is the golden ratio; erf: A = 4/(pi sqrt 3), B = -4/pi."""
    best = best_mu(derive("linear"))
    assert (best.mu, best.end, best.is_attained) == (0, "low", False)
    assert sp.simplify(best.tau - sp.GoldenRatio) == 0
    limit = best_mu(derive("erf"))
    drive, bend = 4 / (math.pi * math.sqrt(3)), -4 / math.pi
    truth = (-bend + math.sqrt(bend**2 + 4 * drive**2)) / (2 * drive**2)
    assert (limit.mu, limit.end, limit.exact) == (0, "low", False)
    assert abs(float(limit.tau) - truth) <= limit.error < 1e-4


def test_tau_that_falls_to_zero_is_not_negative() -> None:
    """B grows without bound as mu -> 0+: an extrapolation by a parabola passes 0 by its error."""
    best = best_mu(derive("relu", label="abs(y)", noise=0.3))
    assert best.tau == sp.Float(0)
    assert 0 < best.error < 1e-5


def test_an_interval_without_zero_has_a_lower_end() -> None:
    best = best_mu(derive("linear"), "1/4", 0.5)
    assert (best.mu, best.end, best.is_attained) == (sp.Rational(1, 4), "low", True)
    assert float(best.tau) == pytest.approx(search_time(derive("linear"), 0.25).tau, rel=1e-12)
    tanh = best_mu(derive("tanh"), 0.25, 0.5)
    assert (float(tanh.mu), tanh.end, tanh.error) == (0.25, "low", 0)


def test_a_scale_moves_the_best_alignment() -> None:
    system = derive("he2", alpha=3)
    best = best_mu(system)
    assert float(best.tau) == pytest.approx(on_a_grid(system, 0, 1)[1], rel=1e-6)
    assert abs(float(best.mu) - float(best_mu(derive("he2")).mu)) > 0.01


def test_what_has_no_best_alignment_is_refused() -> None:
    for low, high in ((0.5, 0.5), (-0.1, 0.5), (0.2, 1.1)):
        with pytest.raises(ParameterError, match="0 <= low < high <= 1"):
            best_mu(derive("he2"), low, high)
    with pytest.raises(ParameterError, match="accepted: model lora"):
        best_mu(derive("he2", model="misaligned"))
    with pytest.raises(ParameterError, match="LoRA scale"):
        best_mu(derive("he2", alpha=alpha))
    with pytest.raises(InputError, match="continuous"):
        best_mu(derive("step"))


@pytest.mark.parametrize("k", [1, 2, 3, 8])
def test_the_paper_divides_the_rate_of_hermite_students(k: int) -> None:
    system, factor = derive(f"he{k}", "erf"), math.factorial(k) * k
    raw, paper = (search_time(system, 0.3, rate_scale=scale) for scale in ("raw", "paper"))
    assert (raw.slowdown, paper.slowdown, slowdown(system, "paper")) == (1, factor, factor)
    assert paper.tau == pytest.approx(factor * raw.tau, rel=1e-14)
    assert paper.rate * paper.tau == pytest.approx(1, rel=1e-12)
    assert paper.interval == pytest.approx(tuple(factor * end for end in raw.interval), rel=1e-14)
    assert (paper.A, paper.B) == (raw.A, raw.B)
    assert critical_strengths(derive("he3"))[-1].mu == 1
    infinite = search_time(derive(f"he{k}"), 1, rate_scale="paper")
    assert infinite.tau is None


def test_the_paper_scale_is_for_hermite_students_only() -> None:
    for student in ("relu", "square", "2*x"):
        with pytest.raises(ParameterError, match=r"he1\.\.\.he20"):
            search_time(derive(student), 0.3, rate_scale="paper")
    with pytest.raises(ParameterError, match="rate_scale = 'other'"):
        search_time(derive("he3"), 0.3, rate_scale="other")
