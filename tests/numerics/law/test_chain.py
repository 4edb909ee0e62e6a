"""The chain of whole steps with normal batch sums: one step of it, and its law near the place where SGD stops."""

from typing import Any

import numpy as np
import pytest

from numerics.law import compared_laws, escape_law
from numerics.law.chain import SQUARED, sums_of, whole_step
from numerics.law.paths import STEP, mean_step
from numerics.simulation.comparison import ks_law
from numerics.simulation.experiment import Experiment
from numerics.simulation.montecarlo import simulate
from theory.errors import StalledError
from theory.network.derivation import derive
from theory.network.vectors import Combination
from theory.symbols import J, L_q, L_r, kappa, q

PLACE: dict[str, Any] = {"mu": 0.3}


@pytest.mark.parametrize(("name", "model"), [("relu", "lora"), ("he2", "misaligned"), ("he3", "plain")])
def test_a_step_with_mean_sums_is_the_mean_step(name: str, model: str) -> None:
    """S_b = <g, b> and |S|^2 = |g|^2 + kappa J / eta, which is what `mean_step` expands in nothing."""
    noisy = derive(name, model=model).sgd()
    gram, weight, target = noisy.network.gram, noisy.network.weight, noisy.network.target
    values = {s: 0.11 + 0.07 * i for i, s in enumerate((*noisy.states, *noisy.parameters, L_q, L_r, J))}
    sums = {}
    for b, symbol in sums_of(noisy).items():
        side = Combination.of(b)
        sums[symbol] = L_q * gram.inner(side, target) + 2 * L_r * gram.inner(side, weight)
    squared = (
        L_q**2 * gram.inner(target, target) + 4 * L_q * L_r * noisy.entries[q] + 4 * L_r**2 * gram.inner(weight, weight)
    )
    mean = {**sums, SQUARED: squared + kappa * J / STEP}
    step = mean_step(noisy)
    for state, moved in zip(noisy.states, whole_step(noisy), strict=True):
        change = (moved.subs(mean, simultaneous=True) - state) / STEP
        numbers = {**values, STEP: 0.13}
        assert float(change.subs(numbers)) == pytest.approx(float(step[state].subs(numbers)), rel=1e-12)


@pytest.mark.slow
def test_where_sgd_nearly_stops_the_chain_holds_and_the_diffusion_says_that_it_does_not() -> None:
    system, options = derive("relu"), {**PLACE, "dimension": 1000, "step_size": 0.1, "threshold": 0.97}
    sample = simulate(Experiment.of(system.network, **options, batch=25, replicas=600, seed=5))
    asked = {**options, "kappa": 4.0}
    with pytest.raises(StalledError, match="holds back"):
        escape_law(system, by="diffusion", **asked)
    both = compared_laws(system, by="auto", **asked)
    assert both.name == "chain"
    assert both.formula is not None
    assert ks_law(sample, both.law.cdf).p_value > 0.01
    assert ks_law(sample, both.formula.cdf).p_value < 1e-10
    assert both.distance is not None
    assert both.distance.value > 5 * both.distance.error


@pytest.mark.slow
def test_at_small_steps_chain_and_diffusion_are_one_law() -> None:
    system, asked = derive("he2"), {"mu": 0.3, "dimension": 1000, "kappa": 0.3, "step_size": 0.005}
    chain, diffusion = (escape_law(system, by=by, **asked) for by in ("chain", "diffusion"))
    levels = np.linspace(0.02, 0.98, 25)
    apart = max(abs(diffusion.cdf(chain.quantile(level)) - level) for level in levels)
    assert apart < chain.error + diffusion.error + 0.005  # type: ignore[union-attr]
    slow = max(abs(diffusion.cdf(1.05 * chain.quantile(level)) - level) for level in levels)
    assert slow > 3 * apart


def test_its_times_are_whole_steps() -> None:
    """Between steps the distribution function is a straight line, which a test on whole steps never sees."""
    law: Any = escape_law(derive("linear"), by="chain", mu=0.5, dimension=1000, kappa=1.0, step_size=0.5)
    ensemble = law.ensemble
    times = np.concatenate([ensemble.draw(law.seed, index).times for index in range(4)])
    assert np.allclose(times / 0.5, np.round(times / 0.5))
    for step in (8, 10, 14):
        assert law.cdf(0.5 * step) == pytest.approx(np.mean(times <= 0.5 * step), abs=1e-3)
        middle = (law.cdf(0.5 * step) + law.cdf(0.5 * step - 0.5)) / 2
        assert law.cdf(0.5 * step - 0.25) == pytest.approx(middle, abs=1e-3)
