r"""One step of mini-batch SGD in summary statistics: the exact law, in O(1) beside the sums over the batch.

The residuals depend on a sample x only through its projections on the span of w*, w0 and v. With
\(v = m e_1 + p e_2\), \(e_1 = w_*\), a step needs two standard normals a sample,
\(z_1 = \langle e_1, x\rangle\) and \(z_2 = \langle e_2, x\rangle\), and one chi-square for everything across
the span. With all right-hand sides at the old state, \(a = \alpha u\) and
\(r_i = (\sigma(l_i) - y_i)\,\sigma'(l_i)\):

    l   = a1 z1 + a2 z2         (a1, a2) = (mu + a m, a p) for lora, (m, p) for plain
    Gj  = sum_i r_i zj_i / B,   X^2 = (sum_i r_i^2 / B^2) chi^2_{d-2}
    m~  = m - c G1,   p~ = hypot(p - c G2, c X)       c = eta a for lora, eta for plain
    (m, p) <- (m~, p~) / hypot(m~, p~)
    u   <- u - eta alpha (m G1 + p G2)                lora only

*Misaligned*: w0 = mu e1 + nu e2 and v = m e1 + t e2 + p e3, hence w = (mu + a m) e1 + a2 e2 + a3 e3 with
(a2, a3) = (nu + a t, a p) = k (f2, f3), f a unit vector (any, where k = 0). Two normals a sample are still
enough: z2 is now the projection on f2 e2 + f3 e3, and the direction h across it in the (e2, e3) plane meets
residuals that are independent of it, so that given the batch G_h is one Gaussian draw:

    l   = (mu + a m) z1 + k z2,   G_f = sum_i r_i z2_i / B,   G_h = sqrt(sum_i r_i^2 / B^2) N(0, 1)
    (G2, G3) = (f2 G_f - f3 G_h, f3 G_f + f2 G_h),            X^2 = (sum_i r_i^2 / B^2) chi^2_{d-3}
    (m, t, p) <- (m - c G1, t - c G2, hypot(p - c G3, c X)) / norm
    u   <- u - eta alpha (m G1 + t G2 + p G3)

The law of (m, u) and s = <v, w0> = mu m + nu t is that of d-dimensional SGD, not an approximation. The part
p of v across the span is stored itself: sqrt(1 - m^2) would lose every digit near m = 1.

*Pre-training*: w = u v is free, with u = |w| and v = m e1 + t e2 + p e3, e1 = w_s and w* = c e1 + sqrt(1 - c^2) e2. The
projections and the gradient are those above with w0 = 0 and alpha = 1, and w itself moves:

    (u m, u t, u p) <- (u m - eta G1, u t - eta G2, hypot(u p - eta G3, eta X))
    q_s = <w, w_s> = u m,   q = <w, w*> = u (c m + sqrt(1 - c^2) t),   r = <w, w> = u^2

*Linear residuals*, r_i = c1 z1_i + c2 z2_i + c3 n_i (linear student and teacher): G1, G2 and R2 are then inner products
of the rows z1, z2, n of a batch, which no rotation of its B samples changes. Rotated to lower triangular form, rows of
standard normals are Bartlett's (1933) factor of their Wishart matrix, at most three samples whatever B:

    z1 = (chi_B, 0, 0),   z2 = (N, chi_{B-1}, 0),   n = (N, N, chi_{B-2})      (columns beyond B left out)

A parametrisation is a pair of compiled functions, `project` (a1, a2 from the state) and `update` (the new state
from the batch); `draw_batch` and `draw_rotated` are the two ways to draw a batch.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["PARAMETRISATIONS", "Law", "M", "Moments", "P", "Parametrisation", "T", "U", "draw_batch", "draw_rotated"]

Array = NDArray[np.float64]

M, U, P, T = 0, 1, 2, 3
"""Positions in the state array; T, the part of v along e2, where two vectors are frozen."""


class Law(NamedTuple):
    """The scalars that a kernel needs."""

    mu: float
    nu: float
    """|w0 across w*|"""
    alpha: float
    eta: float
    label_noise: float
    """standard deviation sqrt(Delta)"""
    across: float
    """degrees of freedom of the directions across the span of w*, w0 and v"""
    threshold: float
    batch: float


class Moments(NamedTuple):
    """What a step needs to know of its batch."""

    g1: float
    """sum r z1 / B"""
    g2: float
    """sum r z2 / B"""
    r2: float
    """sum r^2 / B^2"""


_compiled = njit(error_model="numpy", nogil=True)


@_compiled
def draw_batch(rng: np.random.Generator, rows: Array, width: int, batch: float) -> None:
    """Fill the first `width` samples of z1, z2 (and the noise) with standard normals."""
    for row in range(rows.shape[0]):
        for i in range(width):
            rows[row, i] = rng.standard_normal()


@_compiled
def draw_rotated(rng: np.random.Generator, rows: Array, width: int, batch: float) -> None:
    """Fill them with a batch of `batch` >= `width` samples, rotated to lower triangular form."""
    for row in range(rows.shape[0]):
        for i in range(width):
            if i == row:
                rows[row, i] = np.sqrt(rng.chisquare(batch - row))
            else:
                rows[row, i] = rng.standard_normal() if i < row else 0.0


@_compiled
def _project_lora(state: Array, law: Law) -> tuple[float, float]:
    a = law.alpha * state[U]
    return law.mu + a * state[M], a * state[P]


@_compiled
def _project_plain(state: Array, law: Law) -> tuple[float, float]:
    return state[M], state[P]


@_compiled
def _project_misaligned(state: Array, law: Law) -> tuple[float, float]:
    a = law.alpha * state[U]
    return law.mu + a * state[M], np.hypot(law.nu + a * state[T], a * state[P])


@_compiled
def _turn(rng: np.random.Generator, state: Array, batch: Moments, c: float, across: float) -> tuple[float, float]:
    """Gradient step of v with rate c, then back to the sphere: the new (m, p)."""
    m = state[M] - c * batch.g1
    p = np.hypot(state[P] - c * batch.g2, c * np.sqrt(batch.r2 * rng.chisquare(across)))
    norm = np.hypot(m, p)
    return m / norm, p / norm


@_compiled
def _update_lora(rng: np.random.Generator, state: Array, new: Array, law: Law, batch: Moments) -> None:
    rate = law.eta * law.alpha
    new[M], new[P] = _turn(rng, state, batch, rate * state[U], law.across)
    new[U] = state[U] - rate * (state[M] * batch.g1 + state[P] * batch.g2)


@_compiled
def _update_plain(rng: np.random.Generator, state: Array, new: Array, law: Law, batch: Moments) -> None:
    new[M], new[P] = _turn(rng, state, batch, law.eta, law.across)
    new[U] = state[U]


@_compiled
def _gradient(rng: np.random.Generator, state: Array, law: Law, batch: Moments) -> tuple[float, float]:
    """(G2, G3) from G_f, drawing the direction across f."""
    a = law.alpha * state[U]
    a2, a3 = law.nu + a * state[T], a * state[P]
    k = np.hypot(a2, a3)
    f2, f3 = (a2 / k, a3 / k) if k > 0.0 else (0.0, 1.0)
    gh = np.sqrt(batch.r2) * rng.standard_normal()
    return f2 * batch.g2 - f3 * gh, f3 * batch.g2 + f2 * gh


@_compiled
def _update_misaligned(rng: np.random.Generator, state: Array, new: Array, law: Law, batch: Moments) -> None:
    rate = law.eta * law.alpha
    g2, g3 = _gradient(rng, state, law, batch)
    c = rate * state[U]
    m, t = state[M] - c * batch.g1, state[T] - c * g2
    p = np.hypot(state[P] - c * g3, c * np.sqrt(batch.r2 * rng.chisquare(law.across)))
    norm = np.hypot(np.hypot(m, t), p)
    new[M], new[T], new[P] = m / norm, t / norm, p / norm
    new[U] = state[U] - rate * (state[M] * batch.g1 + state[T] * g2 + state[P] * g3)


@_compiled
def _update_pretrain(rng: np.random.Generator, state: Array, new: Array, law: Law, batch: Moments) -> None:
    u, eta = state[U], law.eta
    g2, g3 = _gradient(rng, state, law, batch)
    m, t = u * state[M] - eta * batch.g1, u * state[T] - eta * g2
    p = np.hypot(u * state[P] - eta * g3, eta * np.sqrt(batch.r2 * rng.chisquare(law.across)))
    norm = np.hypot(np.hypot(m, t), p)
    new[M], new[T], new[P], new[U] = m / norm, t / norm, p / norm, norm


class Parametrisation(NamedTuple):
    """How v and w lie in the span of the frozen vectors and v."""

    frozen: int
    """dimension of the span of the frozen vectors: w* and w0, or w_s and w*"""
    project: Any
    """(state, law) -> (a1, a2): l = a1 z1 + a2 z2"""
    update: Any
    """(rng, state, new, law, batch): fill `new`"""


PARAMETRISATIONS = {
    "lora": Parametrisation(1, _project_lora, _update_lora),
    "plain": Parametrisation(1, _project_plain, _update_plain),
    "misaligned": Parametrisation(2, _project_misaligned, _update_misaligned),
    "pretrain": Parametrisation(2, _project_misaligned, _update_pretrain),
}
