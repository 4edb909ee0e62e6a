r"""What one cell computes: from its parameters alone to numbers, in whatever process or thread it runs.

*Monte Carlo*: `numerics.simulation.montecarlo.simulate` on one thread. The seed of a cell is the first 63 bits of the
SHA-256 of its parameters, the sweep's `seed` among them and the budget (`replicas`, `max_steps`) not: cells are
independent, and a larger budget continues the same runs.

*Flow*: `numerics.flows.flow.integrate` from the median start, with the numbers of the search phase where it has them.

A cell never raises: what went wrong is its result. SymPy and mpmath are not safe in threads (the precision of mpmath
is global), so that within a process all but the simulation itself is done by one thread at a time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from types import MappingProxyType
from typing import Any

from numerics.best.stopping import median_start
from numerics.flows.flow import Engine, Exit, Outcome, integrate
from numerics.rates.search_time import search_time
from numerics.simulation.experiment import Experiment
from numerics.simulation.montecarlo import simulate
from numerics.simulation.statistics import LEVELS, ExitSample
from numerics.sweep.parameters import Kind, Value
from theory.errors import ParameterError, QuadratureError
from theory.language.activations import activation, register
from theory.network.derivation import derive, network_of
from theory.network.system import System

__all__ = ["CellResult", "cell_seed", "check_cell", "run_cell"]

BUDGET = ("replicas", "max_steps")
MODELS = ("lora", "misaligned", "plain")
_DERIVING = Lock()

Values = Mapping[str, Value]


@dataclass(frozen=True)
class CellResult:
    """Numbers and texts by name (None where there is none), and why the cell failed, None if it did not."""

    values: dict[str, Any]
    error: str | None = None


def run_cell(
    kind: Kind,
    values: Values,
    samples: bool = False,
    confidence: float = 0.95,
    activations: Mapping[str, str] = MappingProxyType({}),
    engine: Engine | str | None = None,
) -> CellResult:
    """Return the result of a cell, which depends on the arguments only.

    `activations` are registered first, in the process where the cell runs: one that holds the name for another
    function fails the cell.

    >>> from numerics.sweep.config import SweepConfig
    >>> config = SweepConfig("flow", {"activation": "linear", "d": 10**4}, {"mu": [0.3, 1.5]})
    >>> found = run_cell("flow", config.cell(0))
    >>> found.values["outcome"], round(found.values["exit_time"], 3), found.values["A"]
    ('EXITED', 12.943, 0.7)
    >>> run_cell("flow", config.cell(1)).error
    'ParameterError: mu = 1.5 given; accepted: a number in (0, 1]; mu is the alignment <w0, w*>...'
    """
    try:
        with _DERIVING:
            for name, text in activations.items():
                register(name, text)
        return _flow(values, engine) if kind == "flow" else _montecarlo(values, samples, confidence)
    except Exception as error:
        return CellResult({}, f"{type(error).__name__}: {' '.join(str(error).split())}")


def check_cell(kind: Kind, values: Values) -> None:
    """Raise `InputError` for parameters that the cell would refuse at once, before anything is derived."""
    with _DERIVING:
        if kind == "montecarlo":
            _experiment(values)
            return
        for name in ("activation", "teacher"):
            if name in values or name == "activation":
                activation(_text(values, name))
        _weight(values)
        Exit(float(values["threshold"]))


def cell_seed(values: Values) -> int:
    """Return the seed of a cell, 63 bits that follow from its parameters other than the budget.

    >>> cell_seed({"mu": 0.3, "seed": 0, "replicas": 10}) == cell_seed({"seed": 0, "mu": 0.3, "replicas": 99})
    True
    """
    content = json.dumps({name: value for name, value in sorted(values.items()) if name not in BUDGET})
    return int.from_bytes(hashlib.sha256(content.encode()).digest()[:8]) >> 1


def _text(values: Values, name: str) -> str:
    if name not in values:
        raise ParameterError(f"no {name} given; accepted: a name such as relu, or an expression in x.")
    return str(values[name])


def _optional(values: Values, name: str) -> str | None:
    return str(values[name]) if name in values else None


def _weight(values: Values) -> tuple[str, dict[str, float]]:
    """Return the model and its parameters mu and rho; a length of w0 means misaligned."""
    mixed, lengthy = bool(values.get("mix")), "rho" in values
    if mixed and lengthy:
        raise ParameterError("rho and mix given; accepted: one of them, mix sets rho^2 = mu^2 + (1 - mu)^2.")
    model = str(values.get("model", "misaligned" if mixed or lengthy else "lora"))
    if model not in MODELS:
        raise ParameterError(f"model {model!r} given; accepted: {', '.join(MODELS)}.")
    if (mixed or lengthy) != (model == "misaligned"):
        raise ParameterError(
            f"model {model} with rho or mix {'' if mixed or lengthy else 'not '}given; accepted: "
            "rho or mix = true with model misaligned, and only there."
        )
    if model == "plain":
        if "mu" in values:
            raise ParameterError("mu with model plain given; accepted: it without mu, which the plain student lacks.")
        return model, {}
    if "mu" not in values:
        raise ParameterError(f"no mu given; accepted: a number with model {model}, in (0, 1] with model lora.")
    mu = float(values["mu"])
    if model == "lora":
        return model, {"mu": mu}
    return model, {"mu": mu, "rho": (mu**2 + (1 - mu) ** 2) ** 0.5 if mixed else float(values["rho"])}


# --- Monte Carlo ------------------------------------------------------------------------------------------------


def _batch(values: Values) -> int:
    """Return B: the one given, else round(lr d / kappa), at least 1."""
    if "batch" in values:
        return int(values["batch"])
    lr, d, kappa = (float(values[name]) for name in ("lr", "d", "kappa"))
    if not kappa > 0:
        raise ParameterError(f"kappa = {kappa:g} given; accepted: a number > 0; try 1, or give batch.")
    return max(1, round(lr * d / kappa))


def _experiment(values: Values) -> Experiment:
    model, weight = _weight(values)
    network = network_of(
        _text(values, "activation"),
        _optional(values, "teacher"),
        model=model,
        label=_optional(values, "label"),
        noise=float(values["noise"]),
        alpha=float(values["alpha"]),
    )
    return Experiment.of(
        network,
        dimension=int(values["d"]),
        batch=_batch(values),
        step_size=float(values["lr"]),
        threshold=float(values["threshold"]),
        replicas=int(values["replicas"]),
        seed=cell_seed(values),
        max_steps=int(values["max_steps"]),
        initial_scale=float(values["initial_scale"]) if "initial_scale" in values else None,
        **weight,
    )


def _montecarlo(values: Values, samples: bool, confidence: float) -> CellResult:
    with _DERIVING:
        experiment = _experiment(values)
        simulate(experiment.but(replicas=2, max_steps=1), threads=1)  # compiles what the run then finds
    sample = simulate(experiment, threads=1)
    found = _summary(sample, confidence)
    if samples:
        found |= {"sample_step": sample.exit_steps.tolist(), "sample_status": sample.status.tolist()}
    if sample.counts.diverged == experiment.replicas:
        return CellResult(found, "every run diverged; accepted: a smaller lr or initial_scale, or a larger batch.")
    return CellResult(found)


def _summary(sample: ExitSample, confidence: float) -> dict[str, Any]:
    experiment = sample.experiment
    ends = (sample.median, *sample.median_interval(confidence))
    quantiles = [sample.quantile(level) for level in LEVELS]
    names = ("", "_lower", "_upper")
    return {
        **{f"exit_step{name}": steps for name, steps in zip(names, ends, strict=True)},
        **{f"exit_time{name}": sample.to_time(steps) for name, steps in zip(names, ends, strict=True)},
        "exit_step_quantiles": quantiles,
        "exit_time_quantiles": [sample.to_time(steps) for steps in quantiles],
        **sample.counts._asdict(),
        "batch_used": experiment.sgd.batch,
        "kappa_used": experiment.sgd.kappa,
        "seed_used": experiment.runs.seed,
        "caution": experiment.caution or "",
    }


# --- flow -------------------------------------------------------------------------------------------------------


def _flow(values: Values, engine: Engine | str | None) -> CellResult:
    with _DERIVING:
        model, place = _weight(values)
        event = Exit(float(values["threshold"]))
        kappa = _kappa(values)
        texts = (_text(values, "activation"), _optional(values, "teacher"), model, _optional(values, "label"))
        system, noisy = _systems(*texts, float(values["noise"]), float(values["alpha"]))
        parameters: dict[str, Any] = {**place} if kappa == 0 else {**place, "kappa": kappa}
        path = integrate(
            system if kappa == 0 else noisy,
            _start(system, values, place),
            event=event,
            t_max=float(values["t_max"]),
            rtol=float(values["rtol"]),
            engine=engine,
            **parameters,
        )
        found = {"exit_time": path.exit_time, "outcome": path.outcome.name, "kappa_used": kappa}
        try:
            found |= _search(system, place)
        except QuadratureError as error:
            return CellResult(found, f"QuadratureError: {error}")
    broken = path.outcome in (Outcome.NOT_FINITE, Outcome.FAILED)
    return CellResult(found, path.outcome.value if broken else None)


@lru_cache(maxsize=32)
def _systems(
    student: str, teacher: str | None, model: str, label: str | None, noise: float, alpha: float
) -> tuple[System, System]:
    """Return the system of infinitesimal steps and that of finite kappa."""
    system = derive(student, teacher, model=model, label=label, noise=noise, alpha=alpha)
    return system, system.sgd()


def _kappa(values: Values) -> float:
    """Return kappa = lr d / batch, 0 where none of them is given: infinitesimal steps."""
    if "batch" in values:
        lr, d, batch = (float(values[name]) for name in ("lr", "d", "batch"))
        if not (lr > 0 and batch >= 1):
            raise ParameterError(f"lr = {lr:g}, batch = {batch:g} given; accepted: lr > 0 and batch >= 1.")
        return lr * d / batch
    kappa = float(values.get("kappa", 0.0))
    if kappa < 0:
        raise ParameterError(f"kappa = {kappa:g} given; accepted: a number >= 0.")
    return kappa


def _start(system: System, values: Values, place: Mapping[str, float]) -> dict[str, float]:
    """Return the state at the start: what is given, the rest from the median start in dimension d."""
    names = {"u": "initial_scale", "m": "m0", "s": "s0"}
    states = [state.name for state in system.states]
    given = {state: float(values[name]) for state, name in names.items() if name in values}
    strange = set(given) - set(states)
    if strange:
        raise ParameterError(f"{names[min(strange)]} given with states {states}; accepted: starts of these states.")
    if not float(values["d"]) >= 3:
        raise ParameterError(f"d = {values['d']} given; accepted: an integer >= 3.")
    if len(given) == len(states):
        return given
    median = median_start(system, float(values["d"]), **place)
    return {state: given.get(state, median[state]) for state in states}


def _search(system: System, place: Mapping[str, float]) -> dict[str, float | None]:
    """Return A, B, G, rate and tau (inf where nothing grows); nothing where the system has no linearisation."""
    if system.escape.B is None or not place:
        return {}
    found = search_time(system, place["mu"], rho=place.get("rho"))
    tau = float("inf") if found.tau is None else float(found.tau)
    drive = None if found.A is None else float(found.A)
    return {"A": drive, "B": float(found.B), "G": float(found.G), "rate": float(found.rate), "tau": tau}
