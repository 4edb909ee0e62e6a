"""The public names: every one imports, and the list changes only on purpose."""

import hermescape

NAMES = {
    *("Activation", "Composition", "Escape", "Estimate", "Exit", "ExitSample", "HermescapeError", "InputError", "Loss"),
    *("Heyoka", "Native", "SciPy", "phase_diagram", "staged_law"),
    *("BestPretraining", "BestStrength", "CriticalStrength", "best_mu", "best_pretraining"),
    *("critical_strengths", "regime", "sources", "document"),
    *("EscapeTime", "Law", "check_law", "escape_law", "escape_time"),
    *("Outcome", "ParameterError", "Report", "Stage", "Stages", "System", "Trajectory", "__version__", "activation"),
    *("StoreError", "SweepConfig", "WorkerError", "read_sweep", "register", "sweep", "sweep_status"),
    *("best_stopping", "check", "coefficients", "compile", "derive", "exit_times", "experiment", "generative_exponent"),
    *("information_exponent", "integrate", "integrate_stages", "kernel_series", "labels", "sde_paths", "search_time"),
    *("explore", "log_spaced", "simulate", "simulate_stages", "smoothing", "total_time", "trajectories", "value"),
}


def test_public_names_are_these_and_import() -> None:
    assert set(hermescape.__all__) == NAMES
    for name in NAMES:
        assert getattr(hermescape, name) is not None
    assert set(dir(hermescape)) == NAMES
