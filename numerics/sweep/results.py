"""From the cells of a store to labelled arrays, and to a table of text."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from numerics.labelled import Labelled
from numerics.parameters import Kind
from numerics.simulation.statistics import LEVELS
from numerics.sweep.cells import CellResult
from numerics.sweep.config import SweepConfig, plain
from numerics.sweep.store import SCHEMA
from theory.shown import short

__all__ = ["to_dataset", "write_csv"]

STEPS, TIME = "SGD steps", "eta * step"
NAMES: dict[Kind, str] = {"flow": "flows", "montecarlo": "runs of SGD"}


@dataclass(frozen=True)
class Variable:
    """One number or text of every cell; `along` is a dimension beside those of the grid."""

    name: str
    long_name: str
    units: str = "1"
    type: Literal["number", "integer", "text"] = "number"
    along: str | None = None

    @property
    def fill(self) -> Any:
        """What stands where a cell has no value: NaN, -1, or the empty text."""
        return {"number": math.nan, "integer": -1, "text": ""}[self.type]

    @property
    def attributes(self) -> dict[str, Any]:
        """Labels of the array."""
        missing = {"missing": -1} if self.type == "integer" else {}
        units = {} if self.type == "text" else {"units": self.units}
        return {"long_name": self.long_name, **units, **missing}


_KAPPA = Variable("kappa_used", "kappa = step_size dimension / batch with the batch used")
_FLOW = (
    Variable("exit_time", "first time with |m| >= threshold", TIME),
    Variable("outcome", "how the integration ended", type="text"),
    _KAPPA,
    Variable("A", "drive: dm/dt = A u at the start"),
    Variable("B", "minus the curvature of the loss across w*"),
    Variable("G", "length of the loss's gradient at the pre-trained weight"),
    Variable("rate", "growth rate of the search phase", f"1 / ({TIME})"),
    Variable("tau", "search time 1 / rate, inf where nothing grows", TIME),
)
_MONTECARLO = (
    *(
        Variable(f"exit_{what}{end}", f"{meaning} exit {what}", units)
        for what, units in (("step", STEPS), ("time", TIME))
        for end, meaning in (
            ("", "median"),
            ("_lower", "lower confidence limit of the median"),
            ("_upper", "upper confidence limit of the median"),
        )
    ),
    Variable("exit_step_quantiles", "quantiles of the exit step", STEPS, along="quantile"),
    Variable("exit_time_quantiles", "quantiles of the exit time", TIME, along="quantile"),
    Variable("exited", "runs that reached the threshold", type="integer"),
    Variable("censored", "runs that did not within max_steps", type="integer"),
    Variable("diverged", "runs that left the finite range", type="integer"),
    Variable("batch_used", "batch size", "samples", type="integer"),
    _KAPPA,
    Variable("seed_used", "seed of the cell", type="integer"),
    Variable("caution", "why exits may say nothing of learning", type="text"),
)
_SAMPLES = (
    Variable("sample_step", "first step with |m| >= threshold of a run", STEPS, "integer", "replica"),
    Variable("sample_status", "0 exited, 1 censored, 2 diverged", type="integer", along="replica"),
)


def _variables(kind: Kind, samples: bool = False) -> tuple[Variable, ...]:
    return _FLOW if kind == "flow" else (*_MONTECARLO, *(_SAMPLES if samples else ()))


def to_dataset(config: SweepConfig, results: Iterable[tuple[int, CellResult]]) -> Labelled:
    """Return the results on the grid, by the places of their cells; a cell without one has status "missing"."""
    lengths = _lengths(config)
    variables = _variables(config.kind, config.samples)
    arrays = {v.name: _empty(v, config.size, lengths) for v in variables}
    status, error = np.full(config.size, "missing", object), np.full(config.size, "", object)
    for place, result in results:
        status[place] = "ok" if result.error is None else "failed"
        error[place] = result.error or ""
        for name, value in result.values.items():
            _assign(arrays[name], place, value)
    dims = tuple(config.grid)
    data: dict[str, Any] = {
        "status": (dims, _grid(config, status), {"long_name": "ok, failed or missing"}),
        "error": (dims, _grid(config, error), {"long_name": "why the cell failed"}),
    }
    for v in variables:
        along = () if v.along is None else (v.along,)
        data[v.name] = ((*dims, *along), _grid(config, arrays[v.name]), v.attributes)
    return Labelled(data, _coordinates(config, lengths), _attributes(config))


def write_csv(dataset: xr.Dataset, path: Path) -> None:
    """Write one line a cell: the grid, status, error and numbers, in digits that read back as the same float.

    The exit steps of single runs (dimension replica) are left out; a missing number is an empty field.
    """
    dims = dataset["status"].dims
    columns: dict[str, Any] = {}
    for name, variable in dataset.data_vars.items():
        if variable.dims == dims:
            columns[str(name)] = variable.values.ravel()
        elif variable.dims == (*dims, "quantile"):
            for place, level in enumerate(dataset["quantile"].values.tolist()):
                columns[f"{name}[{level}]"] = variable.values[..., place].ravel()
    grids = np.meshgrid(*(dataset[dim].values for dim in dims), indexing="ij")
    table = {str(dim): grid.ravel() for dim, grid in zip(dims, grids, strict=True)} | columns
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        lists = ([_field(value) for value in values.tolist()] for values in table.values())
        writer.writerows(zip(*lists, strict=True))


def _field(value: Any) -> Any:
    return "" if isinstance(value, float) and math.isnan(value) else value


def _lengths(config: SweepConfig) -> dict[str, int]:
    if config.kind == "flow":
        return {}
    lengths = {"quantile": len(LEVELS)}
    if config.samples:
        lengths["replica"] = max(config.grid.get("replicas", (config.fixed.get("replicas", 0),)))
    return lengths


def _empty(variable: Variable, size: int, lengths: dict[str, int]) -> NDArray[Any]:
    shape = (size,) if variable.along is None else (size, lengths[variable.along])
    dtype = {"number": np.float64, "integer": np.int64, "text": object}[variable.type]
    return np.full(shape, variable.fill, dtype)


def _assign(array: NDArray[Any], place: int, value: Any) -> None:
    if isinstance(value, list):
        array[place, : len(value)] = [math.nan if entry is None else entry for entry in value]
    elif value is not None:
        array[place] = value


def _grid(config: SweepConfig, flat: NDArray[Any]) -> NDArray[Any]:
    array = flat.reshape((*config.shape, *flat.shape[1:]))
    return array.astype(str) if array.dtype == object else array


def _coordinates(config: SweepConfig, lengths: dict[str, int]) -> dict[str, Any]:
    coordinates: dict[str, Any] = {}
    for name, values in config.grid.items():
        parameter = config.known[name]
        units = {"units": parameter.units} if parameter.type in ("integer", "number") else {}
        coordinates[name] = (
            name,
            np.array([plain(value) for value in values]),
            {"long_name": parameter.meaning, **units},
        )
    if "quantile" in lengths:
        coordinates["quantile"] = ("quantile", np.array(LEVELS), {"long_name": "level of the quantile", "units": "1"})
    if "replica" in lengths:
        coordinates["replica"] = ("replica", np.arange(lengths["replica"]), {"long_name": "run", "units": "1"})
    return coordinates


def _attributes(config: SweepConfig) -> dict[str, Any]:
    fixed = ", ".join(f"{name} = {short(plain(value))}" for name, value in config.fixed.items())
    return {
        "title": f"Sweep: {NAMES[config.kind]} with {fixed}",
        "config": config.to_json(),
        "config_digest": config.digest,
        "kind": config.kind,
        "hermescape_version": version("hermescape"),
        "schema": SCHEMA,
        "time": "t = step_size * steps",
    }
