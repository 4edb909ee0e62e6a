r"""One step of DOP853, the explicit Runge-Kutta pair of order 8 with error estimators of orders 5 and 3.

    k_i = f(y + h sum_j a_ij k_j),   y_new = y + h sum_j b_j k_j,
    error = h |e5|^2 / sqrt(n (|e5|^2 + |e3|^2 / 100)),   e = sum_j e_j k_j / scale

Hairer, Norsett & Wanner, Solving Ordinary Differential Equations I, section II.10; coefficients in `tableau`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numerics.compile.keeping import kept
from numerics.flows.engines.tableau import E3, E5, STAGES, WEIGHTS

__all__ = ["ORDER", "STAGES", "step"]

ORDER = 8
"""of the error estimate plus one: the step size follows error^(-1/ORDER)"""


@kept(error_model="numpy", nogil=True)
def step(field: Any, y: Any, h: float, p: Any, table: Any, scale: Any, k: Any, new: Any) -> float:
    """Fill `new` with the state after h, given k[0] = f(y); return the error in units of `scale`."""
    n = y.size
    for stage in range(1, STAGES):
        for i in range(n):
            slope = 0.0
            for j in range(stage):
                slope += WEIGHTS[stage, j] * k[j, i]
            new[i] = y[i] + h * slope
        field(new, p, table, k[stage])
    third = fifth = 0.0
    for i in range(n):
        low = high = 0.0
        for j in range(STAGES):
            low += E3[j] * k[j, i]
            high += E5[j] * k[j, i]
        third += (low / scale[i]) ** 2
        fifth += (high / scale[i]) ** 2
    return abs(h) * fifth / np.sqrt(n * (fifth + 0.01 * third)) if fifth > 0.0 else third * 0.0
