"""A parametrisation that the library does not have, with states of its own: derived, printed and integrated."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
import sympy as sp

from numerics.flow import Exit, Native, SciPy, integrate
from numerics.search import search_time
from theory.dynamics import derive
from theory.gram import Combination, Gram, Vector
from theory.models import TEACHER
from theory.symbols import mu, u
from theory.system import System

p, n = sp.Symbol("p", real=True), sp.Symbol("n", positive=True)
FACTOR = Vector("v", "free")


@dataclass(frozen=True)
class FreeLoRA:
    """w = mu w* + u v, both u and v free."""

    name: str = "free LoRA"
    scalars: tuple[sp.Symbol, ...] = (u,)
    parameters: tuple[sp.Symbol, ...] = (mu,)
    target: Vector = TEACHER

    @property
    def gram(self) -> Gram:
        return Gram({(TEACHER, TEACHER): sp.S.One, (FACTOR, TEACHER): p, (FACTOR, FACTOR): n})

    @property
    def weight(self) -> Combination:
        return Combination.of({TEACHER: mu, FACTOR: u})

    @property
    def overlaps(self) -> Mapping[sp.Symbol, tuple[Vector, Vector]]:
        return {p: (FACTOR, TEACHER), n: (FACTOR, FACTOR)}

    @property
    def start(self) -> Mapping[sp.Symbol, sp.Expr]:
        return {u: sp.S.Zero, p: sp.S.Zero, n: sp.S.One}

    def check(self, values: Mapping[str, float]) -> None:
        assert 0 < values["mu"] <= 1


@pytest.fixture(scope="module")
def system() -> System:
    return derive("relu", model=FreeLoRA())


def test_factors_stay_balanced(system: System) -> None:
    """d(u^2 - n)/dt = 0, whatever the loss: both are driven by <grad L, v>."""
    assert sp.expand(2 * u * system.velocities[u] - system.velocities[n]) == 0


def test_search_time_is_that_of_the_sphere(system: System) -> None:
    """Around n = 1 the norm of v does not move to first order; no state is left in the rate."""
    assert system.escape.rate is not None
    assert system.escape.rate.free_symbols == {mu}
    assert sp.simplify(system.escape.rate - derive("relu").escape.rate) == 0
    assert search_time(system, 0.4).tau == pytest.approx(search_time(derive("relu"), 0.4).tau, rel=1e-14)


def test_prints_its_own_states_and_no_rho(system: System) -> None:
    shown, document = system.latex(), system.latex(document=True)
    assert r"\frac{\mathrm{d} n}{\mathrm{d} t}" in shown
    assert r"\rho" not in shown
    assert "$p$ & p" in document


def test_engines_agree_on_an_event_in_its_own_state(system: System) -> None:
    start = {"u": 1e-6, "p": 0.02, "n": 1.0}
    runs = [
        integrate(system, start, event=Exit(0.5, p), t_max=1e3, mu=0.4, engine=engine) for engine in (Native(), SciPy())
    ]
    assert runs[0].exit_time == pytest.approx(runs[1].exit_time, rel=1e-7)
    assert runs[0].states.p.attrs["long_name"] == "p"
    u_end, n_end = (float(runs[0].states[name][-1]) for name in ("u", "n"))
    assert u_end**2 - n_end == pytest.approx(-1, abs=1e-7)
