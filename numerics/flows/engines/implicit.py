r"""One step of RODAS, the L-stable, stiffly accurate Rosenbrock pair of orders 4 and 3, with the exact Jacobian J.

    (1/(gamma h) - J) U_i = f(y + sum_j a_ij U_j) + sum_j (c_ij / h) U_j,   i = 1..6,

where stages 5 and 6 start from the embedded solutions, y_new = y + sum_j a_5j U_j + U_5 + U_6, and U_6 is the error.
One factorisation a step and no iteration, so that a step never costs more where the flow is stiff: near mu = 1 the
search is a million times slower than the relaxation of the fast direction.

Hairer & Wanner, Solving Ordinary Differential Equations II, section IV.7 (code RODAS, autonomous form).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numerics.compile.keeping import kept
from numerics.flows.engines.arrays import add, copy

__all__ = ["ORDER", "STAGES", "step"]

ORDER = 4
STAGES = 6

_GAMMA = 0.25
_A = np.array(
    [
        [0.0, 0.0, 0.0, 0.0],
        [3.0, 0.0, 0.0, 0.0],
        [1.831036793486759, 0.4955183967433795, 0.0, 0.0],
        [2.304376582692669, -0.05249275245743001, -1.176798761832782, 0.0],
        [-7.170454962423024, -4.741636671481785, -16.31002631330971, -1.062004044111401],
    ]
)
_C = np.array(
    [
        [0.0, 0.0, 0.0, 0.0, 0.0],
        [-12.0, 0.0, 0.0, 0.0, 0.0],
        [-8.791795173947035, -2.207865586973518, 0.0, 0.0, 0.0],
        [10.81793056857153, 6.780270611428266, 19.53485944642410, 0.0, 0.0],
        [34.19095006749676, 15.49671153725963, 54.74760875964130, 14.16005392148534, 0.0],
        [34.62605830930532, 15.30084976114473, 56.99955578662667, 18.40807009793095, -5.714285714285717],
    ]
)


@kept(error_model="numpy", nogil=True)
def _factor(matrix: Any, pivots: Any) -> None:
    """Replace a matrix by its LU factors, rows exchanged for the largest pivot."""
    n = pivots.size
    for column in range(n):
        largest = column
        for row in range(column + 1, n):
            if abs(matrix[row, column]) > abs(matrix[largest, column]):
                largest = row
        pivots[column] = largest
        for j in range(n):
            matrix[column, j], matrix[largest, j] = matrix[largest, j], matrix[column, j]
        for row in range(column + 1, n):
            matrix[row, column] /= matrix[column, column]
            for j in range(column + 1, n):
                matrix[row, j] -= matrix[row, column] * matrix[column, j]


@kept(error_model="numpy", nogil=True)
def _solve(matrix: Any, pivots: Any, vector: Any) -> None:
    """Solve in place with the factors of `_factor`."""
    n = pivots.size
    for row in range(n):
        vector[row], vector[pivots[row]] = vector[pivots[row]], vector[row]
    for row in range(n):
        for j in range(row):
            vector[row] -= matrix[row, j] * vector[j]
    for row in range(n - 1, -1, -1):
        for j in range(row + 1, n):
            vector[row] -= matrix[row, j] * vector[j]
        vector[row] /= matrix[row, row]


@kept(error_model="numpy", nogil=True)
def step(
    field: Any,
    slopes: Any,
    y: Any,
    h: float,
    p: Any,
    table: Any,
    scale: Any,
    k: Any,
    new: Any,
    matrix: Any,
    pivots: Any,
) -> float:
    """Fill `new` with the state after h, given k[0] = f(y) and the Jacobian `slopes`; return the error.

    k[0] is kept; rows 1 to 6 take the stages.
    """
    n = y.size
    for i in range(n):
        for j in range(n):
            matrix[i, j] = -slopes[i, j]
        matrix[i, i] += 1.0 / (_GAMMA * h)
    _factor(matrix, pivots)
    for stage in range(STAGES):
        if stage == 0:
            copy(y, new)
            copy(k[0], k[1])
        else:
            if stage < STAGES - 1:
                for i in range(n):
                    new[i] = y[i]
                    for j in range(stage):
                        new[i] += _A[stage, j] * k[1 + j, i]
            else:
                add(k[stage], new)  # the embedded solution of stage 5
            field(new, p, table, k[1 + stage])
            for i in range(n):
                for j in range(stage):
                    k[1 + stage, i] += _C[stage, j] / h * k[1 + j, i]
        _solve(matrix, pivots, k[1 + stage])
    error = 0.0
    for i in range(n):
        new[i] += k[STAGES, i]
        error += (k[STAGES, i] / scale[i]) ** 2
    return np.sqrt(error / n)
