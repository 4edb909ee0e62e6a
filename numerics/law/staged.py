r"""Training in stages: the law of the total time, when the first stage leaves its search phase and the others follow.

The first stage, on transformed labels for instance, stops at |m| = R_1 on the unstable manifold of its start, up to
o(1) as d grows. That is one point, whatever the run (one on each side where m -> -m is no symmetry), so that the stages
after it take the times t_2, t_3, ... of their flows with kappa drift, and

    T = T_1 + t_2 + t_3 + ...,    C -> C + (t_2 + t_3 + ...)/tau.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from numerics.accuracy import LAW_RTOL, LONGEST_WAY
from numerics.flows.engines.problem import Engine
from numerics.flows.flow import Exit, Outcome
from numerics.flows.stages import Stage, integrate_stages
from numerics.law.choose import escape_law
from numerics.law.linear import LinearEscape
from theory.errors import InputError, ParameterError
from theory.network.system import System

__all__ = ["staged_law"]

START = 1e-10  # a flow from so near the saddle stops on the unstable manifold, to as many digits


def staged_law(
    systems: Sequence[System],
    thresholds: Sequence[float],
    *,
    mu: float | None = None,
    rho: float | None = None,
    dimension: float,
    kappa: float = 0.0,
    step_size: float = 0.0,
    initial_scale: float | None = None,
    engine: Engine | str | None = None,
) -> LinearEscape:
    """Return the law of the time at which the last of several stages of training exits.

    Args:
        systems: one for each stage, with the same states, such as `derive("he3", label="y**2")`, `derive("he3")`.
        thresholds: stage k ends at |m| = thresholds[k], in (0, 1).
        mu: as for `escape_law`; and `rho`, `dimension`, `kappa`, `step_size`, `initial_scale`, `engine`.

    Raises:
        ParameterError: stages without a threshold each, or with different states.
        InputError: a first stage without exponential growth, or a later one that stops before its threshold.

    >>> from theory.network.derivation import derive
    >>> stages = [derive("he2", label="y**2"), derive("he2")]
    >>> one, two = (staged_law(stages[:n], (0.2, 0.9)[:n], mu=0.5, dimension=1e6) for n in (1, 2))
    >>> two.tau == one.tau, two.median > one.median
    (True, True)
    """
    if not systems or len(systems) != len(thresholds):
        raise ParameterError(
            f"{len(systems)} systems and {len(thresholds)} thresholds given; accepted: one threshold for each "
            "of one or more stages."
        )
    setting = {"dimension": dimension, "kappa": kappa, "step_size": step_size, "initial_scale": initial_scale}
    first = escape_law(systems[0], mu=mu, rho=rho, threshold=thresholds[0], **setting, engine=engine)
    if not isinstance(first, LinearEscape) or first.power:
        raise InputError(
            f"first stage with regime {first.regime} given; accepted: one that grows exponentially under the flow "
            "(linear, u alone, plain-2)."
        )
    place = {name: value for name, value in (("mu", mu), ("rho", rho)) if value is not None}
    stages = [
        Stage(system.sgd(), LONGEST_WAY * first.tau, Exit(threshold))
        for system, threshold in zip(systems, thresholds, strict=True)
    ]
    above, below = (
        constant + _later(stages, side, {**place, "kappa": kappa, "engine": engine}) / first.tau
        if constant < float("inf")
        else constant
        for side, constant in ((1.0, first.constant), (-1.0, first.constant_below))
    )
    return replace(first, threshold=thresholds[-1], constant=above, constant_below=below, remainder=float("nan"))


def _later(stages: Sequence[Stage], side: float, parameters: dict[str, Any]) -> float:
    """The time of the stages after the first."""
    begun = {state.name: side * START for state in stages[0].system.states}
    paths = integrate_stages(stages, begun, rtol=LAW_RTOL, **parameters)
    if len(paths) < len(stages) or paths[-1].outcome is not Outcome.EXITED:
        reached, event = float(abs(paths[-1].states.m).max()), stages[len(paths) - 1].event
        raise InputError(
            f"stage {len(paths)} stops at |m| = {reached:.4g}, before its end, {event}; "
            "accepted: a lower threshold, or a stage that goes on."
        )
    return sum(path.exit_time or 0.0 for path in paths[1:])
