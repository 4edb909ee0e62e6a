"""Moments on a grid, against their closed forms and against themselves on a finer one."""

import math

import numpy as np
import pytest

from numerics.compile.codegen import compile_function
from numerics.law.moments import Moments, interpolated, moments_of, tabulated
from theory.network.derivation import derive
from theory.network.system import EDGE, GAP
from theory.symbols import J, L_q, q, r


def test_a_table_agrees_with_closed_forms_within_its_error() -> None:
    moments = moments_of(derive("relu").sgd())
    table = tabulated(moments, 0.1, 2.0)
    assert table.error < 1e-5
    assert moments.are_closed
    assert not moments.are_rational
    exact = compile_function((q, r, GAP), tuple(moments.functions.values()), jit=False)
    rng, out = np.random.default_rng(3), np.empty(9)
    scale = np.abs([exact(c * math.sqrt(2), 2.0, 2 * (1 - c**2)) for c in np.linspace(-0.99, 0.99, 21)]).max(axis=0)
    worst = 0.0
    for theta, variance in zip(rng.uniform(-np.pi / 2, np.pi / 2, 60), rng.uniform(0.1, 2.0, 60), strict=True):
        overlap, gap = math.sqrt(variance) * math.sin(theta), variance * math.cos(theta) ** 2
        interpolated(table.numbers, 9, theta, math.log(variance), out)
        worst = max(worst, float(np.max(np.abs(out - exact(overlap, variance, gap + float(EDGE))) / scale)))
    assert 0 < worst < 3e-5


def test_fewer_functions_are_the_first_ones_and_beyond_the_domain_there_are_none() -> None:
    table = tabulated(moments_of(derive("relu", model="plain").sgd()), 1.0, 1.0)
    every, few = np.empty(9), np.full(9, -1.0)
    interpolated(table.numbers, 9, 0.3, 0.0, every)
    interpolated(table.numbers, 3, 0.3, 0.0, few)
    assert (few[:3] == every[:3]).all()
    assert (few[3:] == -1).all()
    interpolated(table.numbers, 3, 0.3, 0.1, few)
    assert np.isnan(few[:3]).all()


def test_polynomials_are_not_tabulated() -> None:
    assert moments_of(derive("he3").sgd()).are_rational
    moments = moments_of(derive("tanh").sgd())
    assert not moments.are_closed
    assert not moments.are_rational


def test_what_no_table_reaches_is_refused() -> None:
    from sympy import sin

    from theory.errors import QuadratureError

    rough = Moments({L_q: sin(3000 * q), J: 1 + 0 * q}, drift=1)
    with pytest.raises(QuadratureError):
        tabulated(rough, 0.5, 1.0)
