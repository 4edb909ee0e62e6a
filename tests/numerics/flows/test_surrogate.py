"""Surrogates: of functions that vanish identically, kept between processes, and shared by many integrations."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

from numerics.flows import surrogate
from numerics.flows.engines import native
from numerics.flows.flow import Exit, Native, SciPy, integrate
from theory.errors import QuadratureError
from theory.network.derivation import derive


def test_a_gradient_that_vanishes_by_parity() -> None:
    system = derive("erf", label="y**2")  # student odd, labels even: L_q = 0 for every q
    start, event = {"u": 1e-3, "m": 0.2}, Exit(0.5)
    one, two = (
        integrate(system, start, event=event, t_max=200.0, rtol=1e-6, engine=engine, mu=0.5).exit_time
        for engine in (None, SciPy())
    )
    assert one == pytest.approx(two, rel=1e-4)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """Return the ranges of the tables that are made from here on."""
    made: list[tuple[float, float]] = []
    tabulate = surrogate.tabulate

    def noting(functions: Sequence[sp.Expr], low: float, high: float, *, tolerance: float) -> surrogate.Surrogate:
        made.append((low, high))
        return tabulate(functions, low, high, tolerance=tolerance)

    monkeypatch.setattr(surrogate, "tabulate", noting)
    native._surrogate.cache_clear()
    return made


def test_a_table_is_kept_and_made_again_where_it_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERMESCAPE_CACHE", str(tmp_path))
    functions = tuple(derive("tanh", model="plain").guarded_functions.values())
    made = counted(monkeypatch)
    first, second = (surrogate.kept_table(functions, 1.0, 1.0, tolerance=1e-4) for _ in range(2))
    assert len(made) == 1
    assert (np.array_equal(first.table, second.table), first.error) == (True, second.error)
    surrogate.kept_table(functions, 1.0, 1.0, tolerance=1e-3)
    assert len(made) == 2, "another tolerance is another table"
    (file, _) = sorted(tmp_path.glob("*.npz"), key=lambda path: path.stat().st_size, reverse=True)
    content = file.read_bytes()
    for damage in (content[:100], b"", content[:200] + b"\0\0\0\0" + content[204:]):
        file.write_bytes(damage)
        assert np.array_equal(surrogate.kept_table(functions, 1.0, 1.0, tolerance=1e-4).table, first.table)
    assert len(made) == 5
    monkeypatch.setenv("HERMESCAPE_CACHE", "off")
    surrogate.kept_table(functions, 1.0, 1.0, tolerance=1e-4)
    assert len(made) == 6


def test_integrations_share_the_table_of_their_norms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERMESCAPE_CACHE", "off")
    system, starts = derive("tanh"), {"u": 1e-3, "m": 0.1}

    def times(engine: Native) -> list[float | None]:
        options = {"event": Exit(0.3), "t_max": 1e3, "rtol": 1e-4, "engine": engine}
        return [integrate(system, starts, **options, mu=mu).exit_time for mu in (0.2, 0.6)]

    made = counted(monkeypatch)
    alone = times(Native())
    assert len(made) == 2
    native._surrogate.cache_clear()
    shared = times(Native(norms=(0.04, 0.36), finest=1e-4))
    assert len(made) == 3
    assert shared == pytest.approx(alone, rel=1e-4)


def test_functions_that_are_infinite_within_the_table_are_named() -> None:
    functions = tuple(derive("exp(0.2*x**2)").sgd().diffusion_functions.values())
    with pytest.raises(QuadratureError, match=r"infinite or undefined at q = .*over 0.5 <= r <= 2"):
        surrogate.tabulate(functions, 0.5, 2.0)
