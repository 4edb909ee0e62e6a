"""Derive the learning dynamics of any activation, and check them against exact Monte Carlo.

    >>> import hermescape
    >>> system = hermescape.derive("relu")
    >>> system.escape.B
    -1/2

Everything public is here; names are imported on first use, so that the command line starts quickly.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hermescape.shadows import refuse_shadows

refuse_shadows()

__version__ = "0.1.0"

_HOMES = {
    "Activation": "theory.language.activations",
    "activation": "theory.language.activations",
    "register": "theory.language.activations",
    "derive": "theory.network.derivation",
    "System": "theory.network.system",
    "Escape": "theory.network.linearisation",
    "CriticalStrength": "theory.search.critical",
    "Loss": "theory.network.loss",
    "labels": "theory.language.labels",
    "generative_exponent": "theory.language.labels",
    "smoothing": "theory.language.smoothing",
    "coefficients": "theory.language.hermite",
    "information_exponent": "theory.language.hermite",
    "value": "numerics.integrals.evaluate",
    "Estimate": "numerics.integrals.quadrature",
    "kernel_series": "numerics.integrals.series",
    "compile": "numerics.flows.flow:compile_flow",
    "integrate": "numerics.flows.flow",
    "Exit": "numerics.flows.flow",
    "exit_times": "numerics.flows.flow",
    "Native": "numerics.flows.flow",
    "SciPy": "numerics.flows.flow",
    "Heyoka": "numerics.flows.flow",
    "Outcome": "numerics.flows.flow",
    "Trajectory": "numerics.flows.flow",
    "Stage": "numerics.flows.stages",
    "integrate_stages": "numerics.flows.stages",
    "Composition": "numerics.best.stopping",
    "total_time": "numerics.best.stopping",
    "best_stopping": "numerics.best.stopping",
    "sde_paths": "numerics.flows.sde:paths",
    "search_time": "numerics.rates.search_time",
    "best_mu": "numerics.best.alignment",
    "best_pretraining": "numerics.best.alignment",
    "BestStrength": "numerics.best.alignment",
    "BestPretraining": "numerics.best.alignment",
    "simulate": "hermescape.api",
    "simulate_stages": "numerics.simulation.montecarlo",
    "trajectories": "numerics.simulation.montecarlo",
    "log_spaced": "numerics.simulation.montecarlo",
    "experiment": "hermescape.api",
    "explore": "hermescape.explorer",
    "sweep": "numerics.sweep",
    "read_sweep": "numerics.sweep",
    "sweep_status": "numerics.sweep",
    "SweepConfig": "numerics.sweep",
    "ExitSample": "numerics.simulation.statistics",
    "Stages": "numerics.simulation.statistics",
    "check": "hermescape.verify.at_one_dimension",
    "check_law": "hermescape.verify.judge",
    "LawReport": "hermescape.verify.judge",
    "escape_law": "numerics.law",
    "Law": "numerics.law",
    "staged_law": "numerics.law",
    "phase_diagram": "numerics.best.phases",
    "escape_time": "theory.search.law",
    "EscapeTime": "theory.search.law",
    "Report": "hermescape.verify.at_one_dimension",
    "HermescapeError": "theory.errors",
    "InputError": "theory.errors",
    "ParameterError": "theory.errors",
    "StoreError": "theory.errors",
    "WorkerError": "theory.errors",
}

__all__ = [
    "Activation",
    "BestPretraining",
    "BestStrength",
    "Composition",
    "CriticalStrength",
    "Escape",
    "EscapeTime",
    "Estimate",
    "Exit",
    "ExitSample",
    "HermescapeError",
    "Heyoka",
    "InputError",
    "Law",
    "LawReport",
    "Loss",
    "Native",
    "Outcome",
    "ParameterError",
    "Report",
    "SciPy",
    "Stage",
    "Stages",
    "StoreError",
    "SweepConfig",
    "System",
    "Trajectory",
    "WorkerError",
    "__version__",
    "activation",
    "best_mu",
    "best_pretraining",
    "best_stopping",
    "check",
    "check_law",
    "coefficients",
    "compile",
    "derive",
    "escape_law",
    "escape_time",
    "exit_times",
    "experiment",
    "explore",
    "generative_exponent",
    "information_exponent",
    "integrate",
    "integrate_stages",
    "kernel_series",
    "labels",
    "log_spaced",
    "phase_diagram",
    "read_sweep",
    "register",
    "sde_paths",
    "search_time",
    "simulate",
    "simulate_stages",
    "smoothing",
    "staged_law",
    "sweep",
    "sweep_status",
    "total_time",
    "trajectories",
    "value",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hermescape' has no attribute {name!r}")
    home, _, alias = _HOMES[name].partition(":")
    return getattr(importlib.import_module(home), alias or name)


def __dir__() -> list[str]:
    return __all__


if TYPE_CHECKING:
    from hermescape.api import experiment, simulate
    from hermescape.explorer import explore
    from hermescape.verify.at_one_dimension import Report, check
    from hermescape.verify.judge import LawReport, check_law
    from numerics.best.alignment import BestPretraining, BestStrength, best_mu, best_pretraining
    from numerics.best.phases import phase_diagram
    from numerics.best.stopping import Composition, best_stopping, total_time
    from numerics.flows.flow import Exit, Heyoka, Native, Outcome, SciPy, Trajectory, exit_times, integrate
    from numerics.flows.flow import compile_flow as compile
    from numerics.flows.sde import paths as sde_paths
    from numerics.flows.stages import Stage, integrate_stages
    from numerics.integrals.evaluate import value
    from numerics.integrals.quadrature import Estimate
    from numerics.integrals.series import kernel_series
    from numerics.law import Law, escape_law, staged_law
    from numerics.rates.search_time import search_time
    from numerics.simulation.montecarlo import log_spaced, simulate_stages, trajectories
    from numerics.simulation.statistics import ExitSample, Stages
    from numerics.sweep import SweepConfig, read_sweep, sweep, sweep_status
    from theory.errors import HermescapeError, InputError, ParameterError, StoreError, WorkerError
    from theory.language.activations import Activation, activation, register
    from theory.language.hermite import coefficients, information_exponent
    from theory.language.labels import generative_exponent, labels
    from theory.language.smoothing import smoothing
    from theory.network.derivation import derive
    from theory.network.linearisation import Escape
    from theory.network.loss import Loss
    from theory.network.system import System
    from theory.search.critical import CriticalStrength
    from theory.search.law import EscapeTime, escape_time
