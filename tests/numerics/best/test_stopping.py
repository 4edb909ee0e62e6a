"""Stages, and pre-training composed with fine-tuning, against closed forms and single runs."""

import math
from dataclasses import replace

import numpy as np
import pytest

from hermescape import api
from numerics.best.stopping import Composition, best_pretraining, best_stopping, total_time
from numerics.flows.flow import Exit, Outcome, integrate
from numerics.flows.stages import Stage, integrate_stages
from numerics.flows.starts import median_start
from numerics.simulation.montecarlo import simulate
from theory.errors import InputError, ParameterError
from theory.network.derivation import derive


def plan(name: str, c: float, threshold: float = 0.4, **start: float) -> Composition:
    start = {"q_s": 0.0, "q": 0.0, "r": 0.01, **start}
    return Composition(
        derive(name, model="pretrain"), derive(name, model="misaligned"), start, 1e4, threshold, {"c": c}
    )


def test_linear_pretraining_has_its_closed_form() -> None:
    """L = (r - 2 q_s + 1)/2: q_s = 1 - e^-t, q = c q_s, r - q_s^2 = r(0) e^-2t from q_s(0) = 0."""
    composition = plan("linear", 0.8)
    for time in (0.0, 0.3, 1.0, 2.5):
        grown = 1 - math.exp(-time)
        alignment, length = composition.pretrained(time)
        assert alignment == pytest.approx(0.8 * grown, abs=1e-8)
        assert length**2 == pytest.approx(grown**2 + 0.01 * math.exp(-2 * time), abs=1e-8)


def test_a_source_equal_to_the_target_gives_aligned_pretraining() -> None:
    """c = 1 from a small weight: rho - mu -> 0, and the fine-tuning time that of the aligned model there."""
    composition = plan("erf", 1.0, r=1e-10)
    fine, outcome, alignment, length = composition.fine_tune(1.0)
    assert outcome is Outcome.EXITED
    assert length == pytest.approx(alignment, abs=1e-6)
    start = median_start(derive("erf"), 1e4, mu=alignment)
    aligned = integrate(derive("erf"), start, event=Exit(0.4), t_max=1e4, mu=alignment)
    assert fine == pytest.approx(aligned.exit_time, rel=1e-4)


def test_total_time_adds_up_and_says_what_is_not_reached() -> None:
    """Linear: |m| ends at (1 - mu)/sqrt(1 - 2 mu + rho^2), below 0.95 after long pre-training on c = 0.8."""
    found = total_time(plan("linear", 0.8, threshold=0.95), [0.0, 0.2, 3.0])
    assert np.allclose(found.total, found.time + found.fine_tuning)
    assert list(found.outcome.values) == ["EXITED", "EXITED", "HORIZON"]
    assert np.isinf(found.total[-1])
    assert list(found.reason.values[:2]) == ["", ""]
    mu, rho = (float(found[name][-1]) for name in ("mu", "rho"))
    end = (1 - mu) / math.sqrt(1 - 2 * mu + rho**2)
    assert f"below |m| = {end:.4g}" in str(found.reason.values[-1])


def test_a_checkpoint_without_a_way_out_says_so() -> None:
    """Pre-trained on the target itself to the end, w0 is a minimum of its loss."""
    found = total_time(plan("linear", 1.0, q_s=1.0, q=1.0, r=1.0), [0.0])
    assert np.isinf(found.total[0])
    assert "G = " in str(found.reason.values[0])
    assert "way out" in str(found.reason.values[0])


@pytest.mark.parametrize(
    ("grid", "end"), [([0.0, 0.1, 0.2], "high"), ([0.9, 1.0], "low"), (list(np.linspace(0.0, 1.0, 11)), None)]
)
def test_the_best_stopping_says_whether_it_is_an_end_of_the_times(grid: list[float], end: str | None) -> None:
    best = best_stopping(plan("he2", 0.9, threshold=0.3, q_s=0.01, q=0.009, r=0.01), grid)
    assert best.end == end
    assert best.time in (grid[0], grid[-1]) or end is None
    assert ("not a minimum" in best.words) == (end is not None)
    assert tuple(best) == (best.time, best.total)


@pytest.mark.slow
def test_finite_kappa_against_simulation_of_both_phases() -> None:
    """ReLU, 200 pre-trainings with 6 fine-tunings each, every one from the weight that its own pre-training left.

    The median total lies within 3.5 of its standard errors (of about 1 %, from 2,000 bootstraps over pre-trainings: a
    false alarm in 1 of 2,000 tests), and the flow, a seventh longer, beyond 6. mu and rho fluctuate as the linear noise
    says, up to the sampling error of 200 runs (5 %, allowed 15 %).
    """
    kappa, eta, d, time, R = 1.0, 0.05, 2000, 2.0, 0.4
    sizes = {"dimension": d, "batch": round(eta * d / kappa), "step_size": eta}
    before = api.experiment(
        "relu", model="pretrain", c=0.8, **sizes, threshold=None, replicas=200, seed=4, max_steps=40, initial_scale=0.1
    )
    weights = simulate(before).final
    alignment, length = weights.q.values, np.sqrt(weights.r.values)
    after = [
        simulate(
            api.experiment(
                *("relu",), mu=mu, rho=rho, model="misaligned", **sizes, threshold=R, replicas=6, seed=i, max_steps=9000
            ),
            threads=1,
        )
        for i, (mu, rho) in enumerate(zip(alignment.tolist(), length.tolist(), strict=True))
    ]
    assert all(sample.counts.exited == 6 for sample in after)
    totals = np.array([time + eta * sample.exit_steps for sample in after])
    rng = np.random.default_rng(5)
    redrawn = [np.median(totals[rng.integers(0, 200, 200)]) for _ in range(2000)]
    median, error = float(np.median(totals)), float(np.std(redrawn))

    start = {"q_s": 0.0, "q": 0.0, "r": 0.01}
    systems = derive("relu", model="pretrain"), derive("relu", model="misaligned")
    noisy, quiet = (
        total_time(Composition(*systems, start, d, R, {"c": 0.8}, kappa=value), [time]) for value in (kappa, 0.0)
    )
    assert error < 0.015 * median
    assert abs(float(noisy.total[0]) - median) < 3.5 * error + eta
    assert abs(float(quiet.total[0]) - median) > 6 * error
    assert float(noisy.mu[0]) == pytest.approx(alignment.mean(), abs=0.005)
    assert float(noisy.rho[0]) == pytest.approx(length.mean(), abs=0.005)
    assert float(noisy.mu_deviation[0]) == pytest.approx(alignment.std(), rel=0.15)
    assert float(noisy.rho_deviation[0]) == pytest.approx(length.std(), rel=0.15)
    assert float(quiet.mu_deviation[0]) == float(quiet.rho_deviation[0]) == 0.0


def test_the_best_moment_to_stop_is_inside_for_an_even_link() -> None:
    """He_2 hardly moves from w0 = 0 (A = 6 mu (1 - mu^2)): some pre-training pays, too much does not."""
    composition = plan("he2", 0.9, threshold=0.3, q_s=0.01, q=0.009, r=0.01)
    grid = np.linspace(0.0, 1.0, 11)
    totals = total_time(composition, grid).total.values
    time, total = best_stopping(composition, grid)
    assert 0.4 < time < 0.9
    assert total <= np.min(totals) + 1e-9


def test_stages_hand_over_the_state() -> None:
    first, second = derive("he3", label="y**2"), derive("he3")
    start = {"u": 1e-4, "m": 0.05}
    stages = integrate_stages([Stage(first, 50.0), Stage(second, 100.0)], start, mu=0.6)
    handed = {name: float(stages[0].states[name][-1]) for name in start}
    alone = integrate(second, handed, t_max=100.0, mu=0.6)
    assert float(stages[1].states.m[-1]) == pytest.approx(float(alone.states.m[-1]), rel=1e-9)


def test_a_stage_that_does_not_reach_its_event_ends_the_protocol() -> None:
    plain = derive("he3", model="plain")
    (path,) = integrate_stages([Stage(plain, 1.0, Exit(0.9)), Stage(plain, 1.0)], {"m": 0.01})
    assert path.outcome is Outcome.HORIZON


def test_squared_labels_first_speeds_up_a_hard_link() -> None:
    """He_4 plain has information exponent 4; y^2 contains He_2 (generative exponent 2), so that stage one is fast."""
    hard, easy = derive("he4", model="plain"), derive("he2", "he4", model="plain", label="y**2")
    direct = integrate(hard, {"m": 0.02}, event=Exit(0.5), t_max=1e6)
    staged = integrate_stages([Stage(easy, 1e6, Exit(0.3)), Stage(hard, 1e6, Exit(0.5))], {"m": 0.02})
    assert sum(path.exit_time for path in staged) < 0.2 * direct.exit_time


def test_bad_input() -> None:
    with pytest.raises(ParameterError, match="models"):
        Composition(derive("erf"), derive("erf"), {}, 1e4, 0.5, {"c": 0.5})
    with pytest.raises(ParameterError, match="similarity"):
        plan("erf", 1.5)
    with pytest.raises(ParameterError, match="threshold"):
        plan("erf", 0.5, threshold=1.5)
    with pytest.raises(ParameterError, match="different states"):
        integrate_stages([Stage(derive("erf"), 1.0), Stage(derive("erf", model="plain"), 1.0)], {"m": 0.1})
    with pytest.raises(ParameterError, match="times"):
        total_time(plan("erf", 0.5), [-1.0])
    with pytest.raises(ParameterError, match="the field kappa"):
        replace(plan("erf", 0.5), pretraining=derive("erf", model="pretrain").sgd())
    with pytest.raises(ParameterError, match="the field kappa"):
        replace(plan("erf", 0.5), parameters={"c": 0.5, "kappa": 0.1})
    with pytest.raises(ParameterError, match="kappa = -1"):
        replace(plan("erf", 0.5), kappa=-1.0)
    with pytest.raises(InputError, match="none of"):
        best_stopping(plan("linear", 0.3, threshold=0.99), [2.0, 3.0])


def test_best_pretraining_is_the_best_stopping_with_its_weight() -> None:
    composition = Composition(
        derive("he2", model="pretrain"), derive("he2", model="misaligned"), {"q_s": 0.2, "q": 0.16, "r": 0.2}, 1e4, 0.4,
        {"c": 0.8},
    )  # fmt: skip
    times = [0.0, 0.02, 0.05, 0.1, 0.2, 0.4]
    best = best_pretraining(composition, times)
    assert (best.time, best.total) == best_stopping(composition, times)
    assert best.total <= float(total_time(composition, times).total.min())
    assert best.fine_tuning == pytest.approx(composition.fine_tune(best.time)[0])
    assert (best.mu, best.rho) == pytest.approx(composition.pretrained(best.time))
    assert best.end in ("low", "high", None)
    assert (best.end is None) == (times[0] < best.time < times[-1])
