"""The public names: every one imports, and the list changes only on purpose."""

import importlib
import importlib.metadata
import inspect
from typing import Any

import pytest

import hermescape
from hermescape.cli.cite import toolkit

NAMES = {
    *("Activation", "Composition", "Escape", "Estimate", "Exit", "ExitSample", "HermescapeError", "InputError", "Loss"),
    *("Progress", "Workload", "predicted_work"),
    *("Heyoka", "Native", "SciPy", "Task", "phase_diagram", "staged_law"),
    *("BestPretraining", "BestAlignment", "CriticalStrength", "best_mu", "best_pretraining"),
    *("critical_strengths", "regime", "special_places", "Special", "sources", "document", "bibliography"),
    *("BestParameter", "Bifurcations", "best_parameter", "bifurcations"),
    *("EscapeTime", "Law", "check_law", "escape_law", "escape_time"),
    *("Outcome", "ParameterError", "Report", "Stage", "Stages", "System", "Trajectory", "__version__", "activation"),
    *("StoreError", "SweepConfig", "WorkerError", "read_sweep", "register", "sweep", "sweep_status"),
    *(
        "best_stopping",
        "bibliography",
        "check",
        "coefficients",
        "compile",
        "derive",
        "exit_times",
        "experiment",
        "generative_exponent",
        "hermite_sums",
    ),
    *("information_exponent", "integrate", "integrate_stages", "kernel_series", "labels", "sde_paths", "search_time"),
    *("search_times", "Certificate", "certify"),
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


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("information_exponent", {}),
        ("coefficients", {"order": 3}),
        ("generative_exponent", {}),
        ("labels", {}),
        ("smoothing", {}),
        ("search_time", {"mu": 0.5}),
        ("search_times", {"mu": [0.2, 0.5]}),
        ("critical_strengths", {}),
        ("best_mu", {}),
        ("regime", {"mu": 0.5}),
        ("escape_time", {}),
        ("escape_law", {"mu": 0.5, "dimension": 1e6}),
        ("integrate", {"start": {"u": 1e-6, "m": 0.1}, "t_max": 1.0, "engine": "scipy", "mu": 0.5}),
    ],
)
def test_verbs_take_text(verb: str, arguments: dict[str, Any]) -> None:
    """Of an activation, or of a system, which is then derived."""
    of = getattr(hermescape, verb)
    takes_system = next(iter(inspect.signature(of).parameters)) == "system"
    prepared = hermescape.derive("he3") if takes_system else hermescape.activation("he3")
    assert str(of("he3", **arguments)) == str(of(prepared, **arguments))
