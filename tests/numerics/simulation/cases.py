"""Settings that several tests share, and one p-value for equal laws."""

from typing import Any

import numpy as np
import sympy as sp
from scipy import stats

from numerics.simulation.comparison import ks_two_sample
from numerics.simulation.experiment import Experiment
from numerics.simulation.statistics import ExitSample, Status
from theory.network.derivation import network_of
from theory.symbols import x

FUNCTIONS: dict[str, sp.Expr] = {
    "linear": x,
    "relu": sp.Max(x, 0),
    "erf": sp.erf(x),
    "he2": x**2 - 1,
    "he3": x**3 - 3 * x,
}


def noisy(name: str, **changes: Any) -> Experiment:
    """Misaligned LoRA: noise, small batches, a late exit and u of order one at tiny d, where the law across matters."""
    settings: dict[str, Any] = {
        **{"mu": 0.3, "rho": 0.8, "dimension": 4, "batch": 2, "step_size": 0.3},
        **{"threshold": 0.95, "replicas": 3000, "seed": 1, "max_steps": 80, "initial_scale": 1.0, "noise": 1.0},
    }
    return made(name, settings | changes)


def made(name: str, settings: dict[str, Any]) -> Experiment:
    """The experiment of a function above, unless the settings name another student; a length of w0 means misaligned."""
    rest = {"student": FUNCTIONS[name]} | settings
    model = rest.pop("model", None)
    if model is None or (model == "lora" and rest.get("rho") is not None):
        model = "lora" if rest.get("rho") is None else "misaligned"
    network = network_of(
        rest.pop("student"),
        rest.pop("teacher", None),
        model=model,
        label=rest.pop("label", None),
        noise=rest.pop("noise", 0.0),
        alpha=rest.pop("scale", 1.0),
        objective=rest.pop("objective", None),
    )
    places = {key: rest.pop(key) for key in ("mu", "rho", "c") if key in rest}
    given = {key: value for key, value in places.items() if value is not None}
    return Experiment.of(network, **rest, **given)


OF_DIRECTIONS = ("u", "m", "s", "q_s", "q", "r", "v_across", "w_across")


def p_value(a: ExitSample, b: ExitSample) -> float:
    """Bonferroni's p-value of equal laws of the exit time and of each (signed) number of the state at the end."""
    names = [name for name in OF_DIRECTIONS if name in a.final and name in b.final]
    assert len(names) > 1
    tests = [float(stats.ks_2samp(a.final[name], b.final[name], method="asymp").pvalue) for name in names]
    return min(1.0, (1 + len(tests)) * min(ks_two_sample(a, b).p_value, *tests))


def same(a: ExitSample, b: ExitSample) -> bool:
    """Whether two samples agree in every bit."""
    return all((getattr(a, name) == getattr(b, name)).all() for name in ("exit_steps", "status", "state"))


def make(
    exits: list[int], censored: int = 0, diverged: int = 0, max_steps: int = 1000, step_size: float = 0.5
) -> ExitSample:
    """Return a sample made by hand: exit steps, then censored and diverged runs."""
    n = len(exits) + censored + diverged
    setting = Experiment.of(
        network_of("linear", noise=0.1),
        **{"mu": 0.5, "dimension": 10, "batch": 5, "step_size": step_size, "threshold": 0.5},
        **{"replicas": n, "seed": 3, "max_steps": max_steps},
    )
    status = [Status.EXITED] * len(exits) + [Status.CENSORED] * censored + [Status.DIVERGED] * diverged
    steps = np.array(exits + [-1] * (censored + diverged), np.int64)
    return ExitSample(setting, steps, np.array(status, np.int8), np.full((3, n), 0.5))
