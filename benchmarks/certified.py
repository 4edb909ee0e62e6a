"""What a proof costs: numbers with proved errors against the same numbers with estimated ones.

    python -m benchmarks.certified [--runs 3] [--only TEXT]

Expressions are derived and functions compiled before anything is measured. Rows of the registry take A, B and tau of
every continuous activation at mu = 0.3, those of grids 200 alignments one by one, those of kernels one number.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator

import numpy as np
import sympy as sp
from sympy import Expr

from numerics.integrals import quadrature
from numerics.integrals.certified.kernels import kernel
from numerics.rates.search_time import search_time
from theory.language.activations import REGISTRY, activation
from theory.network.derivation import derive
from theory.network.system import System
from theory.symbols import x

from .measure import Row, Work, interleaved, main, median_ratio

MU = 0.3
GRID = np.linspace(0.005, 0.995, 200).round(6).tolist()
COSINES = {"0.4": sp.Rational(2, 5), "0.95": sp.Rational(19, 20), "1": sp.S.One}


def rows(runs: int, only: str) -> Iterator[Row]:
    """Yield the rows whose names contain `only`: seconds with proofs, and how many times as long that is."""
    for name, work in _works().items():
        if only in name:
            proved, estimated = interleaved([lambda work=work: work(True), lambda work=work: work(False)], runs)
            ratio = median_ratio(proved, estimated)
            yield Row(name, statistics.median(proved), "s", ratio, "times that of an estimate", "")


def _works() -> dict[str, Callable[[bool], object]]:
    names = [name for name in REGISTRY if activation(name).derivative != 0 and derive(name).escape.B is not None]
    works: dict[str, Callable[[bool], object]] = {
        "A, B and tau of the registry": lambda certify: _times([derive(name) for name in names], [MU], certify)
    }
    for name in ("tanh", "gelu"):
        works[f"tau of {name} at 200 mu"] = lambda certify, name=name: _times([derive(name)], GRID, certify)
    for cosine, q in COSINES.items():
        for name, f in (("tanh", sp.tanh(x)), ("relu", sp.Max(x, 0))):
            works[f"kernel of {name}, rho = {cosine}"] = lambda certify, f=f, q=q: _kernel(f, q, certify)()
    return works


def _times(systems: list[System], places: list[float], certify: bool) -> None:
    for system in systems:
        for mu in places:
            search_time(system, mu, certify=certify)


def _kernel(f: Expr, q: sp.Rational, certify: bool) -> Work:
    return (lambda: kernel(f, f, q, sp.S.One)) if certify else (lambda: quadrature.kernel(f, f, float(q), 1.0))


if __name__ == "__main__":
    main(__doc__, rows, 3)
