"""Surrogates of functions that vanish identically: a parity may make L_q = 0."""

import pytest

from numerics.flows.flow import Exit, SciPy, integrate
from theory.network.derivation import derive


def test_a_gradient_that_vanishes_by_parity() -> None:
    system = derive("erf", label="y**2")  # student odd, labels even: L_q = 0 for every q
    start, event = {"u": 1e-3, "m": 0.2}, Exit(0.5)
    one, two = (
        integrate(system, start, event=event, t_max=200.0, rtol=1e-6, engine=engine, mu=0.5).exit_time
        for engine in (None, SciPy())
    )
    assert one == pytest.approx(two, rel=1e-4)
