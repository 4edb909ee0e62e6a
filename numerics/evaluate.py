r"""Numbers from derived expressions: closed forms directly, unevaluated expectations by quadrature.

An `Evaluator` is made once for an expression and its arguments and called many times. Every
`GaussianMean` or `GaussianKernel` node becomes an input of the remaining closed expression f, so that the error of a
value is sum_j |df/dn_j| e_j, e_j the error estimates of the nodes; it is zero where there is no node.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import sympy as sp
from sympy import Dummy, Expr, Lambda, Symbol

from numerics import quadrature
from numerics.codegen import compile_function
from numerics.quadrature import Estimate
from theory.expectations import GaussianKernel, GaussianMean

__all__ = ["Evaluator", "evaluator"]


@dataclass(frozen=True)
class _Node:
    kind: type
    laws: tuple[Expr, ...]
    numbers: Callable[..., tuple[float, ...]]

    def __call__(self, values: Sequence[float], gap: float | None, tolerance: float) -> Estimate:
        numbers = self.numbers(*values)
        if self.kind is GaussianMean:
            return quadrature.mean(self.laws[0], *numbers, tolerance=tolerance)
        return quadrature.kernel(*self.laws, *numbers, gap=gap, tolerance=tolerance)


class Evaluator:
    """Numerical values of several expressions of the same arguments, with errors.

    >>> from theory.symbols import mu
    >>> evaluator((mu,), (mu**2,))(3.0)
    (Estimate(value=9.0, error=0.0),)
    """

    def __init__(self, args: tuple[Symbol, ...], outputs: tuple[Expr, ...], *, jit: bool = False) -> None:
        found = set().union(*(output.atoms(GaussianMean, GaussianKernel) for output in outputs))
        nodes = sorted(found, key=sp.default_sort_key)
        names = {node: Dummy(f"n{i}", real=True) for i, node in enumerate(nodes)}
        closed = tuple(output.xreplace(names) for output in outputs)
        inputs = (*args, *names.values())
        self.nodes = tuple(_node(node, args) for node in nodes)
        self._function = compile_function(inputs, closed, jit=jit)
        slopes = tuple(sp.diff(output, name) for output in closed for name in names.values())
        self._slopes = compile_function(inputs, slopes, jit=jit) if slopes else None
        self._count = len(outputs)

    def __call__(self, *values: float, gap: float | None = None, tolerance: float = 1e-12) -> tuple[Estimate, ...]:
        """Return one `Estimate` an output. `gap` is r - q^2 without cancellation, for kernels in (q, r)."""
        if not self.nodes:
            return tuple(Estimate(value, 0.0) for value in self._function(*values))
        estimates = [node(values, gap, tolerance) for node in self.nodes]
        inputs = (*values, *(estimate.value for estimate in estimates))
        errors = np.array([estimate.error for estimate in estimates])
        assert self._slopes is not None
        slopes = np.abs(np.reshape(self._slopes(*inputs), (self._count, len(estimates))))
        return tuple(
            Estimate(value, float(error)) for value, error in zip(self._function(*inputs), slopes @ errors, strict=True)
        )

    def values(self, *values: float, gap: float | None = None, tolerance: float = 1e-12) -> tuple[float, ...]:
        """Return the values alone, for inner loops."""
        if not self.nodes:
            return self._function(*values)
        return self._function(*values, *(node(values, gap, tolerance).value for node in self.nodes))


def _node(node: Expr, args: tuple[Symbol, ...]) -> _Node:
    laws = tuple(arg.expr for arg in node.args if isinstance(arg, Lambda))
    numbers = tuple(arg for arg in node.args if not isinstance(arg, Lambda))
    return _Node(type(node), laws, compile_function(args, numbers, jit=False))


@lru_cache(maxsize=256)
def evaluator(args: tuple[Symbol, ...], outputs: tuple[Expr, ...]) -> Evaluator:
    """Return the cached `Evaluator` of these arguments and expressions."""
    return Evaluator(args, outputs)
