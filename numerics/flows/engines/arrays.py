"""What compiled loops do with vectors, written out: an assignment to a slice takes seconds to compile."""

from __future__ import annotations

from typing import Any

from numerics.compile.keeping import kept

__all__ = ["add", "copy"]


@kept(error_model="numpy", nogil=True)
def add(source: Any, target: Any) -> None:
    """Add a vector to another of its length."""
    for i in range(source.size):
        target[i] += source[i]


@kept(error_model="numpy", nogil=True)
def copy(source: Any, target: Any) -> None:
    """Copy a vector into another of its length."""
    for i in range(source.size):
        target[i] = source[i]
