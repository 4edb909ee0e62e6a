"""The oracle: heyoka's adaptive Taylor series (Biscani & Izzo 2021), to the last digits where the loss is closed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from importlib import import_module
from typing import Any

import numpy as np
import sympy as sp

from numerics.flows.engines.problem import Outcome, Problem, Solution
from numerics.flows.field import Field, field
from theory.errors import ParameterError, UnsupportedExpressionError
from theory.network.system import EDGE, guard_in_states

__all__ = ["Heyoka"]

_STEPS = 10**6


@dataclass(frozen=True)
class Heyoka:
    """Taylor integration at float64 accuracy whatever rtol; needs the extra `hermescape[heyoka]`.

    Raises `UnsupportedExpressionError` for a loss without a closed form or outside of heyoka's functions.
    """

    def solve(self, problem: Problem) -> Solution:
        """Integrate one trajectory."""
        hy = _heyoka()
        compiled = field(problem.system)
        variables, velocities = _equations(compiled)
        events = []
        if problem.index >= 0:
            events = [hy.t_event(variables[problem.index] ** 2.0 - problem.threshold**2)]
        if problem.height(problem.initial) >= 0:
            return Solution(np.zeros(1), problem.initial[None], 0.0, Outcome.EXITED)
        run = hy.taylor_adaptive(
            list(zip(variables, velocities, strict=True)),
            problem.initial.tolist(),
            pars=list(problem.constants),
            t_events=events,
        )
        times, states, code = _propagate(hy, run, problem)
        outcome = _outcome(hy, code)
        hit = float(run.time) if outcome is Outcome.EXITED else None
        return Solution(np.array(times), np.reshape(states, (-1, problem.initial.size)), hit, outcome)


def _heyoka() -> Any:
    try:
        return import_module("heyoka")
    except ImportError as error:
        raise ParameterError(
            "engine Heyoka() given; accepted: an engine that is installed; pip install 'hermescape[heyoka]', or take "
            "the default."
        ) from error


def _propagate(hy: Any, run: Any, problem: Problem) -> tuple[list[float], list[np.ndarray], Any]:
    times, states = [], []

    def record() -> None:
        times.append(float(run.time))
        states.append(np.array(run.state))

    code = hy.taylor_outcome.time_limit
    if problem.times is None:
        record()
        for _ in range(_STEPS):
            code, _ = run.step(problem.t_max - run.time)
            record()
            if code != hy.taylor_outcome.success or run.time >= problem.t_max:
                break
        return times, states, code
    for time in (*problem.times, problem.t_max):
        code = run.propagate_until(time, max_steps=_STEPS)[0]
        if code != hy.taylor_outcome.time_limit:
            break
        if len(times) < len(problem.times):
            record()
    return times, states, code


def _outcome(hy: Any, code: Any) -> Outcome:
    if int(code) < 0 and int(code) >= -1:  # the first terminal event
        return Outcome.EXITED
    if code in (hy.taylor_outcome.time_limit, hy.taylor_outcome.success):
        return Outcome.HORIZON
    return Outcome.NOT_FINITE if code == hy.taylor_outcome.err_nf_state else Outcome.FAILED


@lru_cache(maxsize=32)
def _equations(system_field: Field) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    hy, system = _heyoka(), system_field.system
    if not system_field.is_closed:
        raise UnsupportedExpressionError(
            f"{system.loss_function.student.name} with engine Heyoka(): the loss has no closed form; accepted are "
            "closed forms; take the default engine."
        )
    variables = hy.make_vars(*(state.name for state in system.states))
    variables = tuple(variables) if isinstance(variables, list | tuple) else (variables,)
    names = dict(zip(system.states, variables, strict=True))
    names |= {parameter: hy.par[i] for i, parameter in enumerate(system.parameters)}
    closed = guard_in_states(system, system.functions, system.gap + EDGE)  # analytic, as a Taylor series needs it
    return variables, tuple(_convert(system.velocities[s].xreplace(closed), names, hy) for s in system.states)


def _convert(node: sp.Basic, names: Mapping[sp.Symbol, Any], hy: Any) -> Any:
    """Return heyoka's expression of a SymPy expression, by a table of node types."""
    if isinstance(node, sp.Symbol):
        return names[node]
    if node.is_number:
        return hy.expression(float(node))
    args = [_convert(arg, names, hy) for arg in node.args]
    if isinstance(node, sp.Add):
        return hy.sum(args)
    if isinstance(node, sp.Mul):
        return reduce(lambda left, right: left * right, args)
    if isinstance(node, sp.Pow):
        return _power(args[0], node.exp, hy)
    if isinstance(node, sp.erfc):
        return 1.0 - hy.erf(args[0])
    if isinstance(node, sp.Abs):
        return hy.sqrt(args[0] * args[0])
    functions: dict[type, Callable[..., Any]] = {
        getattr(sp, name): getattr(hy, name)
        for name in ("exp", "log", "erf", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh")
    }
    if type(node) not in functions:
        raise UnsupportedExpressionError(
            f"{type(node).__name__} with engine Heyoka() given; accepted: sums, products, powers, "
            f"{', '.join(kind.__name__ for kind in functions)}; take the default engine."
        )
    return functions[type(node)](*args)


def _power(base: Any, exponent: sp.Expr, hy: Any) -> Any:
    """Integer powers as products and quotients, half-integers through sqrt: exact for negative bases."""
    if exponent.is_negative:
        return 1.0 / _power(base, -exponent, hy)
    if exponent.is_Integer:
        return base ** float(exponent)
    if (2 * exponent).is_Integer:
        return hy.sqrt(base) ** float(2 * exponent)
    return base ** float(exponent)
