"""The law in symbols against the linear recursions that it solves, step by step and at any step size."""

import math

import numpy as np
import pytest
import sympy as sp

from tests.test_own_model import LONG, FreeLoRA
from theory.errors import InputError
from theory.network.derivation import derive
from theory.search import law as room
from theory.search.law import EscapeTime, escape_time
from theory.symbols import L_q, L_r, d, eta, kappa, mu, rho

FIXED = {mu: 0.3, eta: 0.15, kappa: 1.4, d: 1e9, room.u_0: 3e-5, room.Z: 0.7, room.J_0: 0.8, room.V_0: 1.1}


def numbers(law: EscapeTime, values: dict[sp.Symbol, float]) -> dict[sp.Symbol, float]:
    """The definitions in numbers, last to first: each is in terms of later ones."""
    known = dict(values)
    for symbol, definition in reversed(law.definitions.items()):
        if symbol not in known:
            known[symbol] = float(definition.subs(known))
    return known


def steps_until(values: dict[sp.Symbol, float], matrix: np.ndarray, start: np.ndarray, reached: float) -> float:
    """t = eta n after which |m|, the last component, passes `reached`, interpolated between steps."""
    state, n = start, 0
    while abs(state[-1]) < reached:
        before, state, n = state, matrix @ state, n + 1
    share = math.log(reached / abs(before[-1])) / math.log(abs(state[-1] / before[-1]))
    return values[eta] * (n - 1 + share)


@pytest.mark.parametrize(("alpha", "kicked"), [(1, 0.0), (sp.Rational(17, 10), 0.0), (sp.Rational(-2, 3), 3e-5)])
def test_lora_law_solves_the_linear_steps(alpha: sp.Expr, kicked: float) -> None:
    """u -> u + eta alpha (A m + alpha B u), m -> m + eta alpha A u, without noise; C = log c at |m| = c.

    p = lambda u + alpha A m starts with lambda u_0 + alpha A m_0, and where A > 0, Z is m_0 sqrt(d) with alpha's sign.
    """
    system = derive("relu", alpha=alpha)
    law = escape_time(system)
    values = numbers(
        law, {**FIXED, kappa: 0.0, room.u_0: kicked, L_q: -0.5, L_r: 0.25}
    )  # ReLU: A = (1 - mu)/2, B = -1/2
    A, B, scale, h = 0.35, -0.5, float(alpha), FIXED[eta]
    assert values[room.rate] == pytest.approx(
        max(np.linalg.eigvals([[scale**2 * B, scale * A], [scale * A, 0.0]]).real), rel=1e-12
    )
    matrix = np.eye(2) + h * np.array([[scale**2 * B, scale * A], [scale * A, 0.0]])
    start = np.array([kicked, math.copysign(FIXED[room.Z] / math.sqrt(FIXED[d]), scale)])
    values[room.C] = math.log(1e3)
    expected = steps_until(values, matrix, start, 1e3)
    assert float(law.time.subs(values)) == pytest.approx(expected, rel=1e-6)


def test_spread_of_lora_is_the_variance_of_its_steps() -> None:
    """p -> (1 + eta lambda) p + noise of variance eta lambda^2 alpha^2 kappa J_0/d, from alpha^2 G^2/d."""
    law = escape_time(derive("relu"))
    values = numbers(law, {**FIXED, L_q: -0.5, L_r: 0.25})
    rate, h = values[room.rate], values[eta]
    variance, growth = values[room.G] ** 2, 1.0
    for _ in range(4000):
        variance, growth = (1 + h * rate) ** 2 * variance + h * rate**2 * 1.4 * 0.8, growth * (1 + h * rate) ** 2
        if growth > 1e40:
            break
    assert values[room.S] ** 2 == pytest.approx(variance / growth, rel=1e-10)


def test_definitions_of_a_misaligned_start() -> None:
    """G^2 = |L_q w* + 2 L_r w0|^2 and a_m = its component along w*, from vectors; J_0 stands at (mu, rho^2)."""
    law = escape_time(derive("tanh", model="misaligned"))
    at = {mu: 0.3, rho: 0.7, L_q: -0.41, L_r: 0.23}
    target, weight = np.array([1.0, 0.0]), np.array([0.3, math.sqrt(0.7**2 - 0.3**2)])
    slope = -0.41 * target + 2 * 0.23 * weight
    assert float(law.definitions[room.G].subs(at)) == pytest.approx(np.linalg.norm(slope))
    assert float(law.definitions[room.a_m].subs(at)) == pytest.approx(slope @ target)
    assert float(law.definitions[room.B].subs(at)) == pytest.approx(-2 * 0.23)
    assert law.definitions[room.J_0] == sp.Function("J")(mu, rho**2)
    assert escape_time(derive("tanh")).definitions[room.J_0] == sp.Function("J")(mu, mu**2)
    aligned = escape_time(derive("tanh")).definitions[room.G]
    assert float(aligned.subs(at)) == pytest.approx(abs(-0.41 + 2 * 0.23 * 0.3))


@pytest.mark.parametrize("noise", [0.0, 1.4])
def test_plain_law_solves_its_steps(noise: float) -> None:
    """m -> (h + eta c) m / sqrt(h^2 + eta kappa J_0), and the variance that noise adds to m beside it."""
    law = escape_time(derive("he2", model="plain"))
    assert law.regime == "plain-2"
    values = numbers(law, {**FIXED, kappa: noise, L_r: 0.2})
    h, c, step = 1 - 2 * 0.15 * 0.2, 4.0, 0.15
    assert (values[room.h], values[room.c]) == (pytest.approx(h), c)
    factor, shrink = h + step * c, h**2 + step * noise * 0.8
    variance, growth = 1.0, 1.0
    for _ in range(400):
        variance, growth = (factor**2 * variance + step * noise * 1.1) / shrink, growth * factor**2 / shrink
    assert values[room.S] ** 2 == pytest.approx(variance / growth, rel=1e-10)
    values[room.C] = math.log(1e3)
    begun = values[room.S] * FIXED[room.Z] / math.sqrt(FIXED[d])
    expected = steps_until(values, np.array([[factor / math.sqrt(shrink)]]), np.array([begun]), 1e3)
    assert float(law.time.subs(values)) == pytest.approx(expected, rel=1e-9)


def test_it_prints() -> None:
    law = escape_time(derive("he2", model="plain"))
    block = law.latex()
    assert block == law._repr_latex_()
    lines = block.splitlines()
    assert (lines[0], lines[-1]) == (r"\begin{align*}", r"\end{align*}")
    assert len(lines) == 2 + 1 + len(law.definitions)
    assert [line.split(" &= ")[0] for line in lines[1:-1]] == ["T", r"\tau", "S", "h", "c"]


@pytest.mark.parametrize(
    ("name", "model"), [("he3", "plain"), ("linear", "plain"), ("erf", "pretrain")], ids=["he3", "linear", "pretrain"]
)
def test_other_starts_are_refused(name: str, model: str) -> None:
    with pytest.raises(InputError, match="not linearly unstable"):
        escape_time(derive(name, model=model))


def test_velocities_that_are_not_those_of_lora_are_refused() -> None:
    with pytest.raises(InputError, match="not those of LoRA"):
        escape_time(derive("erf", model=LONG))


def test_a_model_without_a_scale_has_the_law_of_scale_one() -> None:
    assert escape_time(derive("erf", model=FreeLoRA())).time == escape_time(derive("erf")).time


def test_what_is_closed_is_written_out() -> None:
    definitions = escape_time(derive("relu")).definitions
    assert (definitions[room.B], definitions[room.G]) == (-sp.S.Half, sp.Abs(mu - 1) / 2)


# --- formulas that no `EscapeTime` holds, by the step that each describes -----------------------------------------

KAPPA, NOISE, SMALL = 1.4, 0.8, 0.15


def variance_after(steps: int, factor: float, noise: float) -> float:
    """Variance of x -> factor x + N(0, noise) from 0, in units of factor^(2 steps) where that grows."""
    variance, growth = 0.0, 1.0
    for _ in range(steps):
        variance, growth = factor**2 * variance + noise, growth * factor**2
    return variance / max(growth, 1.0)


def test_spread_of_a_u_that_grows_alone() -> None:
    rate = 0.6
    grown = variance_after(400, 1 + SMALL * rate, SMALL * KAPPA * NOISE)
    assert float(room.spread_alone(rate, NOISE, KAPPA, SMALL)) ** 2 == pytest.approx(grown, rel=1e-10)


def test_level_of_a_u_that_relaxes() -> None:
    trace = -1.2
    rest = variance_after(400, 1 + SMALL * trace, SMALL * KAPPA * NOISE)
    assert float(room.level(trace, NOISE, KAPPA, SMALL)) == pytest.approx(rest, rel=1e-10)


def test_widening_of_m_that_grows() -> None:
    """1 + the variance that noise adds to m during a growth at the rate 1/tau: integral of exp(-2 t/tau)."""
    time = 7.0
    added = NOISE * sum(math.exp(-2 * t / time) for t in np.arange(0.0005, 200.0, 0.001)) * 0.001
    assert float(room.spread_driven(NOISE, time)) ** 2 == pytest.approx(1 + added, rel=1e-6)


def test_rates_without_a_step_size_are_limits() -> None:
    drift, left, tiny = 4.0, 1.0, 1e-7
    limit = float(room.saddle_time(drift, left, NOISE, KAPPA, tiny))
    assert 1 / float(room.saddle_rate(drift, NOISE, KAPPA)) == pytest.approx(limit, rel=1e-5)
    assert float(room.saddle_time(drift, left, NOISE, KAPPA, sp.S.Zero)) == pytest.approx(limit, rel=1e-5)
    assert float(room.search_time(0.7, sp.S.Zero)) == pytest.approx(float(room.search_time(0.7, tiny)), rel=1e-6)


def test_turning_rate_is_that_of_the_theory() -> None:
    """g = kappa J_0/(2 |B|) (A' - B - kappa J_0/2), docs/theory.md before eq-noise-driven, in exact fractions."""
    found = room.turning_rate(*map(sp.Rational, ("-6/5", "3", "4/5", "7/5")))
    assert found == sp.Rational(28, 25) / (2 * sp.Rational(6, 5)) * (3 + sp.Rational(6, 5) - sp.Rational(14, 25))


@pytest.mark.parametrize("trace", [-2.0, 2.0])
def test_what_counts_as_critical(trace: float) -> None:
    """alpha G <= 1e-9 alpha^2 |B|."""
    assert room.counts_as_critical(trace, 3.9e-18)
    assert not room.counts_as_critical(trace, 4.1e-18)


def test_a_start_where_nothing_moves_counts_as_critical() -> None:
    assert room.counts_as_critical(0.0, 0.0)
