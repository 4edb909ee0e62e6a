"""What notebook 5 shows is right: each function is called after the cell of its name, with the notebook's names."""

import numpy as np

from hermescape import Outcome


def after_05_06(n):
    assert n.balance == 0
    assert all(abs(ratio - 1) < 1e-12 for ratio in n.ratios)


def after_05_08(n):
    for index, name in enumerate(("u", "p", "n")):
        assert np.max(np.abs(n.runs[:, index] - n.flow[name].values)) < 0.04


def after_05_10(n):
    assert abs(n.gaps[-1] - n.gaps[-2]) < 1e-4
    assert 0.03 < n.gaps[-1] < 0.05


def after_05_12(n):
    assert max(n.exits.values()) - min(n.exits.values()) < 1e-7


def after_05_14(n):
    assert abs(n.order - 4) < 0.3


def after_05_16(n):
    assert n.stuck.outcome is Outcome.HORIZON
    assert n.stuck.exit_time is None


def after_05_18(n):
    assert n.tally.done == 9
    assert not n.errors
    assert n.found.equals(n.again)


def after_05_19(n):
    assert n.found.exit_time.equals(n.serial.exit_time)  # to the last bit
    for place, medians in n.law.items():
        row = n.found.sel(mu=place)
        assert np.all((row.exit_time_lower < medians) & (medians < row.exit_time_upper))
