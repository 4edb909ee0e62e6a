"""Several values in one text: a LIST a,b,c or a grid START:STOP:COUNT."""

from __future__ import annotations

__all__ = ["LISTS", "grid_of", "listed"]

MOST = 10_000  # values of a grid
LISTS = f"a number, a LIST such as 0.2,0.4 or START:STOP:COUNT such as 0.1:0.9:9 (COUNT from 1 to {MOST})"


def grid_of(text: str) -> tuple[float, float, int] | None:
    """Return START, STOP and COUNT, or None where the text is no grid; raises `ValueError` for one that is none.

    >>> grid_of("0.1:2:20"), grid_of("0.1,2")
    ((0.1, 2.0, 20), None)
    """
    if ":" not in text:
        return None
    start, stop, count = text.split(":")
    if not 1 <= int(count) <= MOST:
        raise ValueError
    return float(start), float(stop), int(count)


def listed(text: str) -> list[str]:
    """Return the values of one, a LIST as it was typed, or an evenly spaced grid; raises `ValueError` as `grid_of`.

    >>> listed("0.1:0.5:3"), listed("1/3, 2")
    (['0.1', '0.3', '0.5'], ['1/3', '2'])
    """
    grid = grid_of(text)
    if grid is None:
        return [part.strip() for part in text.split(",")]
    start, stop, n = grid
    return [f"{round(start + (stop - start) * i / max(n - 1, 1), 15):.15g}" for i in range(n)]
