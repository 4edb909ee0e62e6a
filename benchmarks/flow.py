"""Integrating the flow, and the search time, against what one writes by hand in an afternoon.

    python -m benchmarks.flow [--runs 3] [--only TEXT]

- *Trajectories* to |m| = 0.9 from u = 1e-8, m = 0.01 over 200 values of mu in (0.05, 0.95), on one thread. The baseline
  is a loop of SciPy's DOP853 with an event at the same rtol, on SymPy's lambdify of the right-hand side; for tanh,
  which has none, on this package's quadrature (SciPy's own takes fifty times longer). The baseline runs at eight of
  the 200 points; its exit times must agree with ours to 1e-8.
- *First call*: the same grid for tanh with nothing compiled or tabulated.
- *Stiff* trajectories at mu = 0.99 and 0.999 against SciPy's LSODA on the compiled right-hand side.
- *Search times* tau of the twelve links of arXiv:2602.02855 at 200 points, once derived. The baseline sums 17 Hermite
  modes whose coefficients are adaptive quadratures (those of the teacher are not counted), and is cut at order 16.
- *Many search times*: 10^4 of them at once, compiled or tabulated before, against one point at a time (at eight of
  them).
"""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import sympy as sp
from scipy import integrate as quadrature
from scipy.integrate import solve_ivp
from scipy.special import eval_hermitenorm

from numerics.flows.flow import Exit, SciPy, exit_times, integrate
from numerics.rates.curve import search_times
from numerics.rates.search_time import search_time
from theory.language.activations import activation
from theory.network.derivation import derive
from theory.network.system import System
from theory.symbols import L_q, L_r, m, mu, u, x

from .measure import Row, interleaved, main, median_ratio

LINKS = ("linear", "erf", "relu", "sigmoid", "he2", "he6", "he10", "he14", "he3", "he5", "he7", "he9")
START = {"u": 1e-8, "m": 0.01}
THRESHOLD = 0.9
HORIZON = 1e12
POINTS, SAMPLED, MANY = 200, 8, 10_000
TARGETS = {"he3": ">= 100", "erf": ">= 100", "relu": ">= 100", "tanh": ">= 20"}
FIRST_CALL = f"""
import time
import numpy as np
from numerics.flows.flow import Exit, SciPy, exit_times, integrate
from theory.network.derivation import derive
system = derive("tanh")
system.guarded_functions
start = time.perf_counter()
alignments = np.linspace(0.05, 0.95, {POINTS})
exit_times(system, {START}, event=Exit({THRESHOLD}), t_max={HORIZON}, rtol=1e-9, threads=1, mu=alignments)
print(time.perf_counter() - start)
"""


def by_lambdify(system: System) -> Callable[[float, np.ndarray, float], tuple[float, float]]:
    """Return the right-hand side as lambdify makes it, with q and r substituted."""
    inner = {L_q: system.functions[L_q], L_r: system.functions[L_r]}
    odes = [system.velocities[s].xreplace(inner).subs(system.entries, simultaneous=True) for s in system.states]
    function = sp.lambdify((u, m, mu), odes, modules=["scipy", "numpy"])
    return lambda _, state, alignment: function(*state, alignment)


def baseline_exits(velocity: Callable, alignments: np.ndarray, rtol: float) -> list[float]:
    """Return exit times by SciPy's DOP853 in a loop."""

    def left(_: float, state: np.ndarray, __: float) -> float:
        return abs(state[1]) - THRESHOLD

    left.terminal = True
    found = []
    for alignment in alignments:
        atol = rtol * np.array(list(START.values()))
        path = solve_ivp(
            velocity, (0, HORIZON), list(START.values()), "DOP853", args=(alignment,), events=left, rtol=rtol, atol=atol
        )
        found.append(float(path.t_events[0][0]))
    return found


def grid_of(name: str, alignments: np.ndarray, rtol: float) -> np.ndarray:
    """Return exit times over alignments, on one thread."""
    system = derive(name)
    return exit_times(
        system, START, event=Exit(THRESHOLD), t_max=HORIZON, rtol=rtol, threads=1, mu=alignments
    ).exit_time.values


def slow_exits(name: str, alignments: np.ndarray, rtol: float) -> list[float | None]:
    """Return exit times by the baseline."""
    system = derive(name)
    if system.is_exact:
        return list(baseline_exits(by_lambdify(system), alignments, rtol))
    engine = SciPy("DOP853", jit=False)
    return [
        integrate(
            system, START, event=Exit(THRESHOLD), t_max=HORIZON, rtol=rtol, engine=engine, mu=float(value)
        ).exit_time
        for value in alignments
    ]


def trajectory_row(name: str, runs: int) -> Row:
    """Time a trajectory of the grid and of the baseline."""
    rtol = 1e-10 if derive(name).is_exact else 1e-9
    grid = np.linspace(0.05, 0.95, POINTS)
    picked = grid[POINTS // SAMPLED // 2 :: POINTS // SAMPLED]
    reference = np.array(slow_exits(name, picked, rtol), dtype=float)
    difference = float(np.max(np.abs(grid_of(name, picked, rtol) / reference - 1)))
    if difference > 1e-8:
        raise SystemExit(f"{name}: exit times differ by {difference:.1e}")
    slow, fast = interleaved([lambda: slow_exits(name, picked, rtol), lambda: grid_of(name, grid, rtol)], runs)
    ratio = median_ratio(slow, fast) * POINTS / len(picked)
    against = "SciPy loop / compiled"
    return Row(f"{name}, trajectory", 1e3 * statistics.median(fast) / POINTS, "ms", ratio, against, TARGETS[name])


def first_call_row() -> Row:
    """Time the first grid of tanh in a new process without a cache, imports and derivation excluded."""
    command = [sys.executable, "-c", FIRST_CALL]
    found = subprocess.run(
        command, env={**os.environ, "HERMESCAPE_CACHE": "off"}, capture_output=True, text=True, check=True
    )
    return Row(f"tanh, first call with {POINTS} points", float(found.stdout), "s", None, "", "")


def stiff_row(name: str, alignment: float, runs: int) -> Row:
    """Time one trajectory near mu = 1."""
    many = np.full(20, alignment)
    options = {"event": Exit(THRESHOLD), "t_max": HORIZON, "engine": SciPy(), "mu": alignment}
    slow, fast = interleaved(
        [lambda: integrate(derive(name), START, **options), lambda: grid_of(name, many, 1e-10)], runs
    )
    ratio = median_ratio(slow, fast) * len(many)
    value = 1e3 * statistics.median(fast) / len(many)
    return Row(f"{name}, mu = {alignment}", value, "ms", ratio, "LSODA / compiled", "< 5 ms")


def by_modes(name: str, order: int = 16) -> Callable[[float], float]:
    """Return mu -> tau with every Hermite coefficient by quad, those of the teacher once: the sum of 17 modes.

    A = E[Z sigma'(mu Z) (phi(Z) - sigma(mu Z))] and B = (A - E[sigma'(mu Z) phi'(Z)])/mu (Stein), mode by mode.
    """
    sigma = sp.lambdify(x, activation(name).expr, ["scipy", "numpy"])
    slope = sp.lambdify(x, activation(name).derivative, ["scipy", "numpy"])

    def mean(f: Callable[[float], float], k: int) -> float:
        def integrand(z: float) -> float:
            return math.exp(-z * z / 2) * float(eval_hermitenorm(k, z)) * float(f(z))

        return quadrature.quad(integrand, -12, 12, limit=200)[0] / math.sqrt(2 * math.pi * math.factorial(k))

    modes = range(order + 1)
    target, target_slope = [mean(sigma, k) for k in modes], [mean(slope, k) for k in modes]

    def tau(alignment: float) -> float:
        drive = sum(
            mean(lambda z: z * slope(alignment * z), k) * (target[k] - mean(lambda z: sigma(alignment * z), k))
            for k in modes
        )
        overlap = sum(mean(lambda z: slope(alignment * z), k) * target_slope[k] for k in modes)
        bend = (drive - overlap) / alignment
        return 2 / (bend + math.hypot(bend, 2 * drive))

    return tau


def search_rows(runs: int) -> Iterator[Row]:
    """Time tau at a point, for each link and for all."""
    grid = np.linspace(0.005, 0.995, POINTS)
    picked = grid[POINTS // SAMPLED // 2 :: POINTS // SAMPLED]
    totals = np.zeros(2)
    for name in LINKS:
        system, series = derive(name), by_modes(name)
        slow, fast = interleaved(
            [
                lambda series=series: [series(float(value)) for value in picked],
                lambda system=system: [search_time(system, float(value)) for value in grid],
            ],
            runs,
        )
        ratio = median_ratio(slow, fast) * POINTS / len(picked)
        totals += (statistics.median(slow) / len(picked), statistics.median(fast) / POINTS)
        yield Row(f"{name}, tau", 1e3 * statistics.median(fast) / POINTS, "ms", ratio, "17 modes / exact", "")
    yield Row("twelve links, tau", 1e3 * totals[1], "ms", totals[0] / totals[1], "17 modes / exact", ">= 200")


def many_rows(runs: int, only: str) -> Iterator[Row]:
    """Time tau at each of many points together, and check it against each by itself."""
    grid = np.linspace(0.1, 0.9, MANY).round(6)
    picked = np.arange(MANY // SAMPLED // 2, MANY, MANY // SAMPLED)
    for name in ("relu", "erf", "he10", "tanh"):
        what = f"{name}, tau at 10^4 mu"
        if only not in what:
            continue
        system = derive(name)
        curve, alone = search_times(system, grid), [search_time(system, float(grid[i])) for i in picked]
        apart = max(abs(curve.tau[i] / s.tau - 1) for i, s in zip(picked, alone, strict=True))
        if apart > 1e-10 or curve.alone:
            raise SystemExit(f"{name}: search times differ by {apart:.1e}, {len(curve.alone)} of them left alone")
        slow, fast = interleaved(
            [
                lambda system=system: [search_time(system, float(grid[i])) for i in picked],
                lambda system=system: search_times(system, grid),
            ],
            runs,
        )
        ratio = median_ratio(slow, fast) * MANY / len(picked)
        target = "<= 1 us" if system.is_exact else ""
        yield Row(what, 1e6 * statistics.median(fast) / MANY, "us", ratio, "one by one / together", target)


def rows(runs: int = 3, only: str = "") -> Iterator[Row]:
    """Measure; `only` keeps the rows whose names contain it."""
    warnings.simplefilter("ignore", quadrature.IntegrationWarning)  # the baseline at a kink, or of a mode that vanishes
    for name in TARGETS:
        if only in f"{name}, trajectory":
            yield trajectory_row(name, runs)
    if only in "tanh, first call":
        yield first_call_row()
    for name in ("erf", "relu", "he3"):
        for alignment in (0.99, 0.999):
            if only in f"{name}, mu = {alignment}":
                yield stiff_row(name, alignment, runs)
    if only in "tau":
        yield from search_rows(runs)
    yield from many_rows(runs, only)


if __name__ == "__main__":
    main(__doc__, rows, 3)
