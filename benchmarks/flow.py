"""Integrating the flow, and the search time, against what one writes by hand in an afternoon.

    python benchmarks/flow.py [--points 200] [--baseline 6] [--runs 3]

*Trajectories* to |m| = 0.9 over a grid of mu in (0.05, 0.95) from u = 1e-8, m = 0.01. The baseline is SymPy's lambdify
of the right-hand side with SciPy's DOP853 and an event at rtol 1e-10, in a loop over `--baseline` of the grid's points
(for tanh, its expectations by SciPy's `quad`, at rtol 1e-8 for both); exit times must agree. *Stiff* runs are those at
mu = 0.99 and 0.999. *Search times* are those of the twelve links of arXiv:2602.02855, on the same number of points;
the baseline is the sum of 17 Hermite modes by SciPy's `quad`. Ratios are of medians over `--runs` in this process.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
import sympy as sp
from scipy import integrate as quadrature
from scipy.integrate import solve_ivp
from scipy.special import eval_hermitenorm

from numerics.flow import Exit, exit_times
from numerics.search import search_time
from theory.activations import activation
from theory.dynamics import derive
from theory.symbols import L_q, L_r, m, mu, u, x
from theory.system import System

LINKS = ("linear", "erf", "relu", "sigmoid", "he2", "he6", "he10", "he14", "he3", "he5", "he7", "he9")
START = {"u": 1e-8, "m": 0.01}
THRESHOLD = 0.9
HORIZON = 1e12
Row = tuple[str, float, float, float]


def median_time(run: Callable[[], object], runs: int) -> float:
    """Return the median of the seconds that `run` takes."""
    found = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def by_lambdify(system: System) -> Callable[[float, np.ndarray, float], tuple[float, float]]:
    """Return the right-hand side as lambdify makes it, with q and r substituted."""
    inner = {L_q: system.functions[L_q], L_r: system.functions[L_r]}
    odes = [system.velocities[s].xreplace(inner).subs(system.arguments, simultaneous=True) for s in system.states]
    function = sp.lambdify((u, m, mu), odes, modules=["scipy", "numpy"])
    return lambda _, state, strength: function(*state, strength)


def by_quad(name: str) -> Callable[[float, np.ndarray, float], tuple[float, float]]:
    """Return the right-hand side with both expectations by SciPy's quad, nested."""
    sigma = sp.lambdify(x, activation(name).expr, "numpy")
    slope = sp.lambdify(x, activation(name).derivative, "numpy")
    bend = sp.lambdify(x, sp.diff(activation(name).derivative, x), "numpy")
    options = {"epsrel": 1e-9, "epsabs": 1e-12, "limit": 200}
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()

    def velocity(_: float, state: np.ndarray, strength: float) -> tuple[float, float]:
        scale, overlap = state
        inner, length = strength + scale * overlap, strength**2 + 2 * strength * scale * overlap + scale**2
        across = math.sqrt(max(length - inner**2, 0.0))

        def density(z: float) -> float:
            return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

        def along(z: float) -> float:
            return density(z) * slope(z) * (weights @ slope(inner * z + across * nodes))

        def teacher(z: float) -> float:
            return density(z) * sigma(z) * (weights @ bend(inner * z + across * nodes))

        def alone(z: float) -> float:
            t = math.sqrt(length) * z
            return density(z) * (slope(t) ** 2 + sigma(t) * bend(t))

        L_q_, L_r_ = (
            -quadrature.quad(along, -9, 9, **options)[0],
            (quadrature.quad(alone, -9, 9, **options)[0] - quadrature.quad(teacher, -9, 9, **options)[0]) / 2,
        )
        return (
            -(L_q_ * overlap + 2 * L_r_ * (strength * overlap + scale)),
            -scale * (1 - overlap**2) * (L_q_ + 2 * strength * L_r_),
        )

    return velocity


def baseline_exits(velocity: Callable, strengths: np.ndarray, rtol: float) -> list[float]:
    """Return exit times by SciPy's DOP853 in a loop."""

    def left(_: float, state: np.ndarray, __: float) -> float:
        return abs(state[1]) - THRESHOLD

    left.terminal = True
    found = []
    for strength in strengths:
        atol = rtol * np.array(list(START.values()))
        path = solve_ivp(
            velocity, (0, HORIZON), list(START.values()), "DOP853", args=(strength,), events=left, rtol=rtol, atol=atol
        )
        found.append(float(path.t_events[0][0]))
    return found


def trajectories(name: str, points: int, sampled: int, runs: int) -> Row:
    """Return seconds a trajectory of the baseline and of ours, and the largest relative difference of exit times."""
    system, rtol = derive(name), 1e-10 if derive(name).is_exact else 1e-8
    grid = np.linspace(0.05, 0.95, points)
    picked = np.linspace(0, points - 1, sampled).round().astype(int)
    velocity = by_lambdify(system) if system.is_exact else by_quad(name)

    def ours() -> np.ndarray:
        found = exit_times(system, START, event=Exit(THRESHOLD), t_max=HORIZON, rtol=rtol, threads=1, mu=grid)
        return found.exit_time.values

    exits = ours()
    reference: list[float] = []
    slow = median_time(lambda: reference.__setitem__(slice(None), baseline_exits(velocity, grid[picked], rtol)), runs)
    error = float(np.max(np.abs(exits[picked] / np.array(reference) - 1)))
    return name, slow / sampled, median_time(ours, runs) / points, error


def stiff(name: str, strength: float, runs: int) -> tuple[str, float, float]:
    """Return milliseconds of one trajectory near mu = 1."""
    system = derive(name)
    many = np.full(20, strength)

    def ours() -> object:
        return exit_times(system, START, event=Exit(THRESHOLD), t_max=HORIZON, threads=1, mu=many)

    ours()
    return name, strength, 1e3 * median_time(ours, runs) / len(many)


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

    def tau(strength: float) -> float:
        drive = sum(
            mean(lambda z: z * slope(strength * z), k) * (target[k] - mean(lambda z: sigma(strength * z), k))
            for k in modes
        )
        overlap = sum(mean(lambda z: slope(strength * z), k) * target_slope[k] for k in modes)
        bend = (drive - overlap) / strength
        return 2 / (bend + math.hypot(bend, 2 * drive))

    return tau


def search_times(name: str, points: int, sampled: int, runs: int) -> tuple[str, float, float]:
    """Return seconds a point of the baseline (its teacher's coefficients not counted) and of ours, once derived."""
    system, grid = derive(name), np.linspace(0.005, 0.995, points)
    series = by_modes(name)
    slow = median_time(lambda: [series(float(value)) for value in grid[:: points // sampled]], 1)
    fast = median_time(lambda: [search_time(system, float(value)) for value in grid], runs)
    return name, slow / len(grid[:: points // sampled]), fast / points


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--baseline", type=int, default=6)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore", quadrature.IntegrationWarning)  # the baseline at a kink, or of a mode that vanishes
    print("trajectory to |m| = 0.9   baseline ms   ours ms    ratio   target   difference")
    for name, target in (("he3", 100), ("erf", 100), ("relu", 100), ("tanh", 20)):
        sampled = options.baseline if name != "tanh" else 2
        label, slow, fast, error = trajectories(name, options.points, sampled, options.runs if name != "tanh" else 1)
        print(f"{label:25}{1e3 * slow:12.2f}{1e3 * fast:10.3f}{slow / fast:9.0f}{target:9d}{error:13.1e}", flush=True)
    print("stiff trajectory             mu        ms   target")
    for name in ("erf", "relu", "he3"):
        for strength in (0.99, 0.999):
            print(f"{name:25}{strength:6}{stiff(name, strength, options.runs)[2]:10.2f}{5:9d}", flush=True)
    print("search time, a point      baseline ms   ours ms    ratio   target")
    total = np.zeros(2)
    for name in LINKS:
        _, slow, fast = search_times(name, options.points, 4, options.runs)
        total += (slow, fast)
        print(f"{name:25}{1e3 * slow:12.2f}{1e3 * fast:10.3f}{slow / fast:9.0f}", flush=True)
    print(f"{'all twelve':25}{1e3 * total[0]:12.2f}{1e3 * total[1]:10.3f}{total[0] / total[1]:9.0f}{200:9d}")


if __name__ == "__main__":
    main()
