"""The public names: every one imports, and the list changes only on purpose."""

import importlib
import importlib.metadata

import pytest

import hermescape
from hermescape.cli.cite import toolkit

NAMES = {
    *("Activation", "Composition", "Escape", "Estimate", "Exit", "ExitSample", "HermescapeError", "InputError", "Loss"),
    *("Progress", "Workload", "predicted_work"),
    *("Heyoka", "Native", "SciPy", "Task", "phase_diagram", "staged_law"),
    *("BestPretraining", "BestAlignment", "CriticalStrength", "best_mu", "best_pretraining"),
    *("critical_strengths", "regime", "sources", "document", "bibliography"),
    *("EscapeTime", "Law", "check_law", "escape_law", "escape_time"),
    *("Outcome", "ParameterError", "Report", "Stage", "Stages", "System", "Trajectory", "__version__", "activation"),
    *("StoreError", "SweepConfig", "WorkerError", "read_sweep", "register", "sweep", "sweep_status"),
    *("best_stopping", "check", "coefficients", "compile", "derive", "exit_times", "experiment", "generative_exponent"),
    *("information_exponent", "integrate", "integrate_stages", "kernel_series", "labels", "sde_paths", "search_time"),
    "search_times",
    *("explore", "log_spaced", "simulate", "simulate_stages", "smoothing", "total_time", "trajectories", "value"),
}


def test_public_names_are_these_and_import() -> None:
    assert set(hermescape.__all__) == NAMES
    for name in NAMES:
        assert getattr(hermescape, name) is not None
    assert set(dir(hermescape)) == NAMES


def test_the_stub_is_what_type_checkers_export() -> None:
    """Homes are read from the stub; names that differ there are the two that are assigned."""
    renamed = {name: inner for name, (_, inner) in hermescape._HOMES.items() if name != inner}
    assert renamed == {"compile": "compile_flow", "sde_paths": "paths"}
    assert set(hermescape._HOMES) == NAMES - {"__version__"}
    for name, (module, inner) in hermescape._HOMES.items():
        assert getattr(importlib.import_module(module), inner) is getattr(hermescape, name)


def test_unknown_names_are_no_attributes() -> None:
    with pytest.raises(AttributeError, match="'hermescape' has no attribute 'nosuch'"):
        _ = hermescape.nosuch


def test_one_version() -> None:
    """Written once, in the package; the metadata are made from it, and CITATION.cff has to agree."""
    assert importlib.metadata.version("hermescape") == hermescape.__version__
    assert toolkit()["version"] == hermescape.__version__
