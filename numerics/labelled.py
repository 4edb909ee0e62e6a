"""Labelled arrays that show their meanings and draw themselves: what sweeps, phase diagrams and paths return."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import xarray as xr

from theory.lazy import PROVIDERS
from theory.shown import Row, Shown, short

__all__ = ["Labelled"]


class Labelled(Shown, xr.Dataset):
    """Labelled arrays.

    An `xarray.Dataset` like any other, also printed. Beside that it is a table with meanings in Jupyter, the values
    folded below, and `plot()` draws it; `plot.scatter` and so on are xarray's. Meanings are the `long_name` and `units`
    of its variables, and the attribute `title` says what it is. What is selected, assigned or computed from it stays
    one; what xarray makes anew (`where`, `merge`, `open_dataset`) is a plain Dataset.

    >>> table = Labelled({"tau": ("mu", [3.0, 5.0], {"long_name": "search time"})}, {"mu": [0.1, 0.2]})
    >>> [(row.name, row.text, row.meaning) for row in table.sel(mu=[0.2]).quantities()]
    [('mu', '0.2', ''), ('tau', '5 over mu', 'search time')]
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return xr.Dataset.__repr__(self)

    __str__ = __repr__

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))

    def _repr_html_(self) -> str:
        table, values = Shown._repr_html_(self), xr.Dataset._repr_html_(self)
        return values if table is None else f"{table}<details><summary>values</summary>{values}</details>"

    @property
    def plot(self) -> Any:
        """Draws it, as the package hermescape provides; its attributes are xarray's own plots."""
        draw = PROVIDERS.get("plot")
        return xr.Dataset.plot(self) if draw is None else draw(self)

    @property
    def heading(self) -> str:
        """What it is, on one line."""
        return self.attrs.get("title", "Labelled arrays")

    def quantities(self) -> list[Row]:
        """Coordinates, then variables: their values in brief and along which dimensions, and what they mean."""
        return [_row(str(name), each) for part in (self.coords, self.data_vars) for name, each in part.items()]


def _row(name: str, array: xr.DataArray) -> Row:
    units = array.attrs.get("units", "1")
    meaning = array.attrs.get("long_name", "") + ("" if units == "1" else f", in {units}")
    along = f" over {', '.join(map(str, array.dims))}" if array.dims and array.dims != (name,) else ""
    known, missing = _known(array)
    text = _brief(known) + along + (f"; {missing} missing" if missing else "")
    return Row(f'["{name}"]' if hasattr(xr.Dataset, name) else name, text, meaning)


def _known(array: xr.DataArray) -> tuple[list[Any], int]:
    """Return the values that are there, and how many are not: empty texts are no values, and not missing."""
    values = array.values.ravel()
    if values.dtype.kind not in "iuf":
        return [str(value) for value in values.tolist() if value != ""], 0
    known = values[~np.isnan(values) & (values != array.attrs.get("missing"))].tolist()
    return known, len(values) - len(known)


def _brief(values: list[Any]) -> str:
    """Return the values where they are few, else from where to where they go; of texts how often each stands."""
    counts = Counter(values)
    if len(counts) == 1:
        return short(values[0])
    if values and isinstance(values[0], str) and len(counts) < len(values):
        return short([f"{count} x {text}" for text, count in counts.most_common()])
    return short(values)
