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

from numerics.accuracy import CONFIDENCE
from numerics.flows.flow import Engine, Exit, Outcome, integrate
from numerics.flows.starts import median_start
from numerics.parameters import PARAMETERS, Kind, mixed_length, model_name
from numerics.rates.search_time import search_time
from numerics.simulation.experiment import Experiment
from numerics.simulation.montecarlo import simulate
from numerics.simulation.statistics import LEVELS, ExitSample
from numerics.sweep.config import plain
from theory.errors import ParameterError, QuadratureError
from theory.language.activations import activation, register
from theory.network.derivation import blank, derive, network_of
from theory.network.models import Model
from theory.network.system import System

__all__ = ["CellResult", "cell_seed", "check_cell", "run_cell"]

BUDGET = ("replicas", "max_steps")
MODELS = ("lora", "misaligned", "plain")
HASHED = {"student": "activation", "dimension": "d", "step_size": "lr", "scale": "alpha"}
"""What a seed calls these parameters, which were once named so: seeds, and with them results, stay what they were."""
_DERIVING = Lock()

Values = Mapping[str, Any]
"""The value of each parameter: a text, flag or number, or the object of a model."""


@dataclass(frozen=True)
class CellResult:
    """Numbers and texts by name (None where there is none), and why the cell failed, None if it did not."""

    values: dict[str, Any]
    error: str | None = None


def run_cell(
    kind: Kind,
    values: Values,
    samples: bool = False,
    confidence: float = CONFIDENCE,
    activations: Mapping[str, str] = MappingProxyType({}),
    engine: Engine | str | None = None,
    parameters: Mapping[str, str] = MappingProxyType({}),
) -> CellResult:
    """Return the result of a cell, which depends on the arguments only.

    `activations` are registered first, in the process where the cell runs: one that holds the name for another
    function fails the cell. `parameters` declare those of the functions.

    >>> from numerics.sweep.config import SweepConfig
    >>> config = SweepConfig("flow", {"student": "linear", "dimension": 10**4}, {"mu": [0.3, 1.5]})
    >>> cell = run_cell("flow", config.cell(0))
    >>> cell.values["outcome"], round(cell.values["exit_time"], 3), cell.values["A"]
    ('EXITED', 12.943, 0.7)
    >>> run_cell("flow", config.cell(1)).error
    'ParameterError: mu = 1.5 given; accepted: a number in (0, 1]; mu is the alignment <w0, w*>...'
    """
    try:
        with _DERIVING:
            for name, text in activations.items():
                register(name, text)
        if kind == "flow":
            return _flow(values, engine, parameters)
        return _montecarlo(values, samples, confidence, parameters)
    except Exception as error:
        return CellResult({}, f"{type(error).__name__}: {' '.join(str(error).split())}")


def check_cell(kind: Kind, values: Values, parameters: Mapping[str, str] = MappingProxyType({})) -> None:
    """Raise `InputError` for parameters that the cell would refuse at once, before anything is derived."""
    with _DERIVING:
        if kind == "montecarlo":
            _experiment(values, parameters)
            return
        for name in ("student", "teacher"):
            if name in values or name == "student":
                activation(_text(values, name), parameters)
        _place(values)
        Exit(float(values["threshold"]))


def cell_seed(values: Values) -> int:
    """Return the seed of a cell, 63 bits that follow from its parameters other than the budget.

    >>> cell_seed({"mu": 0.3, "seed": 0, "replicas": 10}) == cell_seed({"seed": 0, "mu": 0.3, "replicas": 99})
    True
    """
    named = {HASHED.get(name, name): plain(value) for name, value in values.items() if name not in BUDGET}
    content = json.dumps(dict(sorted(named.items())))
    return int.from_bytes(hashlib.sha256(content.encode()).digest()[:8]) >> 1


def _text(values: Values, name: str) -> str:
    if name not in values:
        raise ParameterError(f"no {name} given; accepted: a name such as relu, or an expression in x.")
    return str(values[name])


def _scalar(values: Values, name: str) -> float | str:
    """Return a number, or the text of an expression of parameters."""
    return values[name] if isinstance(values[name], str) else float(values[name])


def _optional(values: Values, name: str) -> str | None:
    return str(values[name]) if name in values else None


def _model(values: Values) -> str | Model:
    """Return the model; a length of w0 means misaligned."""
    given = values.get("model")
    if given is not None and not isinstance(given, str):
        return given
    return model_name(given, lengthy="rho" in values, mixed=bool(values.get("mix")), names=MODELS)


def _place(values: Values) -> dict[str, float]:
    """Return the values of the model's parameters by name."""
    model = blank(_model(values))
    names = [str(symbol) for symbol in (*model.parameters, *model.extra_parameters)]
    given = {name: float(values[name]) for name in values if name in (*names, "mu", "rho")}
    if "alpha" in names:
        given["alpha"] = PARAMETERS["scale"].check(values["scale"])
    if values.get("mix") and "mu" in given:
        given["rho"] = mixed_length(given["mu"])
    strange, missing = sorted(given.keys() - {*names}), [name for name in names if name not in given]
    if strange:
        accepted = ", ".join(names) or "no parameters"
        raise ParameterError(f"{strange[0]} with model {model.name} given; accepted: {accepted}; leave it out.")
    if missing:
        meaning = f"; {PARAMETERS[missing[0]].meaning}" if missing[0] in PARAMETERS else ""
        raise ParameterError(f"no {missing[0]} given; accepted: a number with model {model.name}{meaning}.")
    return {name: given[name] for name in names}


# --- Monte Carlo ------------------------------------------------------------------------------------------------


def _batch(values: Values) -> int:
    """Return B: the one given, else round(eta d / kappa), at least 1."""
    if "batch" in values:
        return int(values["batch"])
    eta, d, kappa = (float(values[name]) for name in ("step_size", "dimension", "kappa"))
    if not kappa > 0:
        raise ParameterError(f"kappa = {kappa:g} given; accepted: a number > 0; try 1, or give batch.")
    return max(1, round(eta * d / kappa))


def _experiment(values: Values, parameters: Mapping[str, str]) -> Experiment:
    """Return what is simulated."""
    own = {name: float(values[name]) for name in parameters}
    network = network_of(
        _text(values, "student"),
        _optional(values, "teacher"),
        model=_model(values),
        label=_optional(values, "label"),
        noise=_scalar(values, "noise"),
        alpha=_scalar(values, "scale"),
        parameters=parameters,
        near=own,
        objective=_optional(values, "objective"),
    )
    held = {p.name for p in network.domain}
    return Experiment.of(
        network,
        dimension=int(values["dimension"]),
        batch=_batch(values),
        step_size=float(values["step_size"]),
        threshold=float(values["threshold"]),
        replicas=int(values["replicas"]),
        seed=cell_seed(values),
        max_steps=int(values["max_steps"]),
        initial_scale=float(values["initial_scale"]) if "initial_scale" in values else None,
        **_place(values),
        **{name: value for name, value in own.items() if name in held},
    )


def _montecarlo(values: Values, samples: bool, confidence: float, parameters: Mapping[str, str]) -> CellResult:
    with _DERIVING:
        experiment = _experiment(values, parameters)
        simulate(experiment.but(replicas=2, max_steps=1), threads=1)  # compiles what the run then finds
    sample = simulate(experiment, threads=1)
    summary = _summary(sample, confidence)
    if samples:
        summary |= {"sample_step": sample.exit_steps.tolist(), "sample_status": sample.status.tolist()}
    if sample.counts.diverged == experiment.replicas:
        return CellResult(
            summary, "every run diverged; accepted: a smaller step_size or initial_scale, or a larger batch."
        )
    return CellResult(summary)


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


def _flow(values: Values, engine: Engine | str | None, parameters: Mapping[str, str]) -> CellResult:
    with _DERIVING:
        model, place = _model(values), _place(values)
        kappa = _kappa(values)
        texts = (_text(values, "student"), _optional(values, "teacher"), model, _optional(values, "label"))
        own = tuple((name, domain, float(values[name])) for name, domain in parameters.items())
        numbers = _scalar(values, "noise"), _scalar(values, "scale")
        system, noisy = _systems(*texts, *numbers, _optional(values, "objective"), own)
        at: dict[str, Any] = {**place} if kappa == 0 else {**place, "kappa": kappa}
        watched, alignment = (system if kappa == 0 else noisy).observed()
        start = _start(system, values, place)
        if watched.states != system.states:
            states = {state: start[state.name] for state in system.states}
            start[alignment.name] = float(system.network.alignment.subs(states))
        path = integrate(
            watched,
            start,
            event=Exit(float(values["threshold"]), alignment),
            t_max=float(values["t_max"]),
            rtol=float(values["rtol"]),
            engine=engine,
            **at,
        )
        row = {"exit_time": path.exit_time, "outcome": path.outcome.name, "kappa_used": kappa}
        try:
            row |= _search(system, place)
        except QuadratureError as error:
            return CellResult(row, f"QuadratureError: {error}")
    broken = path.outcome in (Outcome.NOT_FINITE, Outcome.FAILED)
    return CellResult(row, path.outcome.value if broken else None)


@lru_cache(maxsize=32)
def _systems(
    student: str,
    teacher: str | None,
    model: str | Model,
    label: str | None,
    noise: float | str,
    scale: float | str,
    objective: str | None,
    parameters: tuple[tuple[str, str, float], ...] = (),
) -> tuple[System, System]:
    """Return the system of infinitesimal steps and that of finite kappa, with the functions' parameters put in."""
    domains, values = {name: domain for name, domain, _ in parameters}, {name: v for name, _, v in parameters}
    options = {"model": model, "label": label, "noise": noise, "alpha": scale, "objective": objective}
    system = derive(student, teacher, parameters=domains, near=values, **options).member(values)
    return system, system.sgd()


def _kappa(values: Values) -> float:
    """Return kappa = eta d / batch, 0 where none of them is given: infinitesimal steps."""
    if "batch" in values:
        eta, batch = (PARAMETERS[name].check(values[name]) for name in ("step_size", "batch"))
        return eta * float(values["dimension"]) / batch
    return PARAMETERS["kappa"].check(values.get("kappa", 0.0))


def _start(system: System, values: Values, place: Mapping[str, float]) -> dict[str, float]:
    """Return the state at the start: what is given, the rest from the median start in dimension d."""
    names = {"u": "initial_scale", "m": "m0", "s": "s0"}
    states = [state.name for state in system.states]
    given = {state: float(values[name]) for state, name in names.items() if name in values}
    strange = set(given) - set(states)
    if strange:
        raise ParameterError(f"{names[min(strange)]} given with states {states}; accepted: starts of these states.")
    d = float(PARAMETERS["dimension"].check(values["dimension"]))
    if len(given) == len(states):
        return given
    median = median_start(system, d, **place)
    missing = [state for state in states if state not in given | median]
    if missing:
        raise ParameterError(
            f"no start of {missing[0]} known with model {system.network.name}; accepted: other models."
        )
    return {state: given.get(state, median[state]) for state in states}


def _search(system: System, place: Mapping[str, float]) -> dict[str, float | None]:
    """Return A, B, G, rate and tau (inf where nothing grows); nothing where the system has no linearisation."""
    if system.escape.B is None or "mu" not in place:
        return {}
    own = {name: value for name, value in place.items() if name not in ("mu", "rho")}
    search = search_time(system, place["mu"], rho=place.get("rho"), parameters=own, certify=False)
    tau = float("inf") if search.tau is None else float(search.tau)
    drive = None if search.A is None else float(search.A)
    return {"A": drive, "B": float(search.B), "G": float(search.G), "rate": float(search.rate), "tau": tau}
