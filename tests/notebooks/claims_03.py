"""What notebook 3 shows is right: each function is called after the cell of its name, with the notebook's names."""

import numpy as np

from hermescape import derive


def after_03_04(n):
    assert derive(n.STUDENT, n.target(80)).information_exponent == 1
    assert derive(n.STUDENT, n.target(90)).information_exponent == 2


def after_03_08(n):
    assert np.all(n.found.outcome == "EXITED")


def after_03_10(n):
    """w is only ever pulled along w_s, so that mu = c q_s."""
    assert abs(n.path.q.values[-1] / (0.7 * n.path.q_s.values[-1]) - 1) < 1e-6


def after_03_12(n):
    assert all(best.time == 0 for best in n.linear.values())
    assert all(best.end is None and best.time > 0.3 for best in n.quadratic.values())


def after_03_17(n):
    assert n.quadratic[0.9].time < n.quadratic[0.7].time < n.quadratic[0.5].time
    assert n.quadratic[0.9].total > n.quadratic[0.7].total > n.quadratic[0.5].total


def after_03_19(n):
    assert n.halfway["best"] == min(n.halfway.values())
    assert all(abs(rest) < 1e-3 for rest in n.ends.values())
