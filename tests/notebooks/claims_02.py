"""What notebook 2 shows is right: each function is called after the cell of its name, with the notebook's names."""

import numpy as np

from theory.symbols import mu


def after_02_05(n):
    assert all(np.all(np.diff(n.tau[name]) > 0) for name in ("linear", "relu", "erf", "tanh"))
    assert 0.15 < n.best.mu < 0.16


def after_02_08(n):
    assert set(n.measured) == set(n.systems)
    for slope, scaled, end in n.measured.values():
        assert (end.mu, end.order) == (1, 2)
        assert abs(slope + 2) < 0.01
        assert abs(scaled - 1) < 0.002


def after_02_10(n):
    assert abs(float(n.stuck.mu) - 0.320724) < 1e-6
    assert n.he3.escape.A.subs(mu, n.stuck.mu).evalf(30, chop=True) == 0


def after_02_13(n):
    names = [regime.name for regime in n.cases.values()]
    assert names == ["linear", "trapped", "noise-driven", "power", "ballistic"]


def after_02_17(n):
    assert n.path.exit_steps(0.2) == n.path.exit_time / 0.2


def after_02_19(n):
    assert all(law.constant_error < 1e-6 for law in n.row.values())


def after_02_22(n):
    assert all(sample.counts == (n.runs, 0, 0) for sample in n.samples.values())
    agreeing, quiet, slow = np.transpose(n.tests)
    assert min(agreeing) > 0.01
    assert max(min(quiet), min(slow)) < 1e-6


def after_02_26(n):
    assert n.exited == [1500] * len(n.sizes)
    assert abs(n.slope / n.half - 1) < 0.02
    assert np.allclose(n.medians, n.expected, rtol=0.03)


def after_02_28(n):
    measured = np.array(n.rows)
    at_grid = np.interp(n.grid, n.fine, n.curve)
    assert np.all((measured[:, 1] < 1.03 * at_grid) & (at_grid < 1.03 * measured[:, 2]))
    assert measured[-1, 0] > 4 * measured[0, 0]
