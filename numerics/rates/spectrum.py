r"""The largest growth rate of a Jacobian whose entries are known to so many digits, with a bound on its error.

States that drive each other form diagonal blocks, whose eigenvalues are those of the whole. With an error E of a block
M = X Lambda X^-1, every eigenvalue moves by at most |X| |X^-1| |E| (Bauer & Fike 1960), and by at most
(|M| + |M + E|)^(1 - 1/n) |E|^(1/n) where eigenvectors nearly coincide (Elsner 1985); norms of Frobenius.
"""

from __future__ import annotations

from collections.abc import Sequence

import mpmath
import sympy as sp

from numerics.integrals.evaluate import value
from numerics.integrals.quadrature import Estimate

__all__ = ["largest"]

EXTRA = 15  # digits of the eigenvalue problem beyond those of its entries


def largest(jacobian: sp.Matrix, blocks: Sequence[Sequence[int]], digits: int) -> Estimate:
    """Return the largest real part of an eigenvalue, a `sympy.Float` with its error.

    >>> largest(sp.Matrix([[-2, sp.Rational(3, 10)], [sp.Rational(3, 10), 0]]), [(0, 1)], 20).value
    0.04403065089105501...
    """
    rates = [_of_block(jacobian.extract(list(block), list(block)), digits) for block in blocks]
    return Estimate(sp.Max(*[f.value for f in rates]), sp.Max(*[f.error for f in rates]))


def _of_block(block: sp.Matrix, digits: int) -> Estimate:
    entries = [value(entry, digits=digits) for entry in block]
    if len(entries) == 1:
        return entries[0]
    with mpmath.workdps(digits + EXTRA):
        n = block.rows
        matrix = mpmath.matrix(n, n)
        for i, entry in enumerate(entries):
            matrix[i // n, i % n] = mpmath.mpf(entry.value)
        off = mpmath.sqrt(sum(mpmath.mpf(entry.error) ** 2 for entry in entries))
        eigenvalues, vectors = mpmath.eig(matrix)
        rate = max(mpmath.re(v) for v in eigenvalues)
        return Estimate(sp.Float(rate, digits + EXTRA), sp.Float(_bound(matrix, vectors, off), 10))


def _bound(matrix: mpmath.matrix, vectors: mpmath.matrix, off: mpmath.mpf) -> mpmath.mpf:
    size, n = _norm(matrix), matrix.rows
    off += size * mpmath.mpf(10) ** (2 - mpmath.mp.dps)
    elsner = (2 * size + off) ** (1 - mpmath.mpf(1) / n) * off ** (mpmath.mpf(1) / n)
    try:
        return min(elsner, _norm(vectors) * _norm(vectors**-1) * off)
    except ZeroDivisionError:
        return elsner


def _norm(matrix: mpmath.matrix) -> mpmath.mpf:
    return mpmath.sqrt(sum(abs(v) ** 2 for v in matrix))
