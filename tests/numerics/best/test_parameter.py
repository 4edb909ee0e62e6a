"""The best value of a parameter: against a grid of tau and of laws, at ends, and as limits."""

import mpmath
import numpy as np
import pytest
import sympy as sp

from numerics.best.parameter import best_parameter
from numerics.law import escape_law
from numerics.rates.curve import search_times
from numerics.rates.search_time import search_time
from theory.errors import HermescapeError, InputError, ParameterError
from theory.network.derivation import derive

ERF = derive("erf(beta*x)", parameters="beta > 0")


@pytest.mark.parametrize(
    ("text", "domain", "mu", "between"),
    [
        ("erf(p*x)", "p > 0", 0.4, None),
        ("sin(p*x)", "p > 0", 0.3, (0.5, 3)),
        ("max(x - p, 0)", "p", 0.4, None),
        ("tanh(p*x)", "p > 0", 0.4, (0.3, 2)),
        ("p*x + He(3, x)", "p", 0.3, (-2.5, -0.6)),  # polynomial
        ("p*x + He(2, x)/2", "p", 0.9, (-1, 0.5)),
    ],
)
def test_it_is_the_lowest_of_a_grid(text: str, domain: str, mu: float, between: tuple[float, float] | None) -> None:
    family = derive(text, parameters=domain)
    best = best_parameter(family, "p", mu=mu, between=between)
    grid = np.linspace(*(between or (0.05, 4)), 41 if "tanh" in text else 801)
    times = search_times(family, mu, p=grid).tau
    place = grid[np.argmin(times)]
    assert float(best.value) == pytest.approx(place, abs=2 * (grid[1] - grid[0]))
    assert float(best.time) <= times.min() * (1 + 1e-9)
    assert float(best.time) == pytest.approx(search_time(family, mu, p=float(best.value)).tau, rel=1e-9)
    assert best.exact == ("He" in text)
    assert best.is_attained
    assert best.end == {grid[0]: "low", grid[-1]: "high"}.get(place)


def test_a_stationary_point_is_exact() -> None:
    """p x on x: A = p (1 - p mu) and B = -p^2, so that tau is a formula whose minimum mpmath finds by itself."""
    family = derive("p*x", "x", parameters="p > 0")
    best = best_parameter(family, "p", mu="2/5", between=("1/100", "3/2"))
    assert (best.exact, best.end, best.error) == (True, None, 0)
    assert best.value.is_algebraic
    assert not best.value.is_Rational

    def tau(p: mpmath.mpf) -> mpmath.mpf:
        left = 1 - 2 * p / 5
        return (p + mpmath.sqrt(p**2 + 4 * left**2)) / (2 * p * left**2)

    with mpmath.workdps(30):
        place = mpmath.findroot(lambda p: mpmath.diff(tau, p), 0.7)
        assert abs(place - mpmath.mpf(best.value.evalf(30))) < 1e-20
        assert abs(tau(place) - mpmath.mpf(best.time)) < 1e-14
    assert best_parameter(family, "p", mu="2/5").words == "tau keeps falling as p -> infinity: it falls to 0"


def test_newton_gives_the_digits_of_a_closed_form() -> None:
    best = best_parameter(ERF, "beta", mu=0.4)
    step = 1e-4
    times = [search_time(ERF, "0.4", digits=30, beta=str(best.value + side * step)).tau for side in (-1, 0, 1)]
    assert times[0] > times[1] < times[2]
    slope = (times[2] - times[0]) / (2 * step)
    bend = (times[2] - 2 * times[1] + times[0]) / step**2
    assert abs(slope / bend) < 1e-7  # the third derivative of the difference is left
    assert best.error < 1e-14


def test_a_leaky_slope_keeps_shortening_the_search() -> None:
    """tau(a) = tau(ReLU)/(1 + a^2)."""
    leaky, relu = derive("max(x, 0) + a*min(x, 0)", parameters="a"), search_time(derive("relu"), 0.4).tau
    best = best_parameter(leaky, "a", mu=0.4)
    assert (abs(best.value), best.time, best.is_attained, best.exact) == (sp.oo, 0, False, True)
    assert "it falls to 0" in best.words
    closed = best_parameter(leaky, "a", mu=0.4, between=(-1, 3))
    assert (closed.value, closed.end, closed.is_attained) == (3, "high", True)
    assert float(closed.time) == pytest.approx(relu / 10, rel=1e-12)
    open_ended = best_parameter(derive("max(x, 0) + a*min(x, 0)", parameters="-1 < a < 3"), "a", mu=0.4)
    assert (open_ended.value, open_ended.end, open_ended.is_attained) == (3, "high", False)
    assert open_ended.time == closed.time
    assert (
        open_ended.words
        == "tau keeps falling as a -> 3: its limit is " + closed.words.split("shortest, ")[1].split(", at")[0]
    )


@pytest.mark.parametrize(
    ("text", "domain", "end", "limit"),
    [
        ("p*erf(x)", "0 < p < 1", 1, "erf"),
        ("erf(x)*p/(1 + p)", "p > 0", sp.oo, "erf"),
        ("tanh(x)/(1 + p**2)", "p > 0", 0, "tanh"),
        ("erf(x)/p", "p > 0", 0, None),
        ("p*erf(x)", "p < -1", -sp.oo, None),
    ],
)
def test_limits_by_samples(text: str, domain: str, end: sp.Expr, limit: str | None) -> None:
    best = best_parameter(derive(text, parameters=domain), "p", mu=0.4)
    assert (best.value, best.is_attained, best.exact) == (end, False, False)
    assert best.words.startswith("tau keeps falling as p -> ")
    truth = 0.0 if limit is None else search_time(derive(limit), 0.4).tau
    assert float(best.time) == pytest.approx(truth, rel=1e-8, abs=1e-9)


def test_the_median_of_the_law() -> None:
    setting = {"dimension": 1e4, "step_size": 0.01, "threshold": 0.4}
    best = best_parameter(ERF, "beta", mu=0.4, batch=100, between=(0.4, 1.2), **setting)
    assert (best.quantity, best.end, best.exact) == ("median", None, False)

    def median(beta: float) -> float:
        return escape_law(ERF.member(beta=beta), mu=0.4, kappa=1.0, **setting).median  # 0.01 1e4/100

    value = float(best.value)
    assert float(best.time) == pytest.approx(median(value), rel=1e-8)
    assert median(value - 0.02) > median(value) < median(value + 0.02)
    assert median(value - 0.02) == pytest.approx(median(value + 0.02), rel=2e-4)  # the middle of a parabola


def test_what_has_no_best_parameter_is_refused() -> None:
    for options, words in (
        ({"mu": 0}, r"\(0, 1\]"),
        ({"mu": 0.4, "kappa": 1.0}, "kappa without a dimension"),
        ({"mu": 0.4, "dimension": 1e4, "batch": 10}, "with step_size"),
        ({"mu": 0.4, "dimension": 1e4, "batch": 10, "step_size": 0.1, "kappa": 1.0}, "without kappa"),
        ({"mu": 0.4, "dimension": 1e4, "threshold": 2.0}, "threshold"),
        ({"mu": 0.4, "between": (-2, 0)}, "beta > 0"),
    ):
        with pytest.raises(ParameterError, match=words):
            best_parameter(ERF, "beta", **options)
    with pytest.raises(ParameterError, match="model lora"):
        best_parameter(derive("erf(b*x)", parameters="b > 0", model="misaligned"), "b", mu=0.4)
    with pytest.raises(InputError, match="continuous"):
        best_parameter("step(x - b)", "b", mu=0.4)
    for text in ("b*x", "erf(b*x)"):  # w0 = w*: nothing is left to be learnt
        with pytest.raises(HermescapeError, match="tau is infinite wherever"):
            best_parameter(text, "b", mu=1, between=(1, 2))


def test_values_at_which_the_function_is_not_integrable_are_not_searched() -> None:
    best = best_parameter("exp(c*x**2)", "c", mu=0.4, between=(-1, 1))
    assert (best.value, best.end, best.domain) == (sp.Rational(1, 4), "high", "-1 <= c < 1/4")
    assert float(best.time) == pytest.approx(float(search_time(derive("exp(0.24999999*x**2)"), 0.4).tau), rel=1e-6)
    inside = best_parameter("sqrt(x**2 + b)", "b", mu=0.4, between=(-2, 1))
    assert (inside.end, inside.domain) == (None, "0 < b <= 1")


def test_numbers_that_grow_too_large_end_the_search() -> None:
    best = best_parameter("exp(a)*x", "a", mu=0.4)
    assert (best.value, float(best.time)) == (sp.oo, 0.0)
    with pytest.raises(HermescapeError, match="still falls towards a = oo where numbers grow too large"):
        best_parameter("2**a*x", "a", mu=0.4)
