r"""What a sweep is: a kind of cell, values that all cells share, and a grid; read strictly, hashed, enumerated.

As TOML:

    kind = "montecarlo"        # or "flow"
    samples = false            # true keeps the exit step of every run
    engine = "native"          # of a flow: or "scipy", "heyoka"
    confidence = 0.95          # of the interval of the median

    [fixed]
    student = "relu"

    [grid]
    mu = [0.2, 0.4]
    dimension = {start = 1e3, stop = 1e6, count = 4, spacing = "log"}

    [activations]              # names of one's own, as `hermescape.register` takes them
    squareplus = "(x + sqrt(x**2 + 4))/2"

    [parameters]               # of a family such as student = "erf(beta*x)": beta then belongs into [fixed] or [grid]
    beta = "> 0"

The noise of SGD enters through kappa = eta d / batch, eta the `step_size` and d the `dimension`. A Monte Carlo cell has
`step_size` and one of `batch` and `kappa`; `kappa` gives batch = round(eta d / kappa), at least 1. Neither given means
kappa = 1, so that a sweep over d keeps it. A flow is that of infinitesimal steps, or that of finite kappa if given
`kappa`, or `step_size` and `batch`.

In Python `model` may be an object of a class of your own; its parameters are then names of the sweep like all others.
Its JSON holds the object's name alone.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, cast

import numpy as np

from numerics.accuracy import CONFIDENCE
from numerics.flows.engines.choose import chosen, name_of
from numerics.flows.engines.problem import Engine
from numerics.parameters import KINDS, PARAMETERS, Kind, Parameter, defaults_of, finite, parameters_of, unknown
from theory.errors import ParameterError
from theory.language.activations import register, registered_in
from theory.language.parameters import declared
from theory.language.scalars import scalar
from theory.network.derivation import blank
from theory.shown import Shown

__all__ = ["SweepConfig", "plain"]

MAX_CELLS = 1_000_000
KEYS = ("kind", "samples", "confidence", "fixed", "grid", "activations", "parameters", "engine")
LINKS = ("student", "teacher")
TYPED = (*LINKS, "label", "noise", "scale")
"""What may have parameters of [parameters]."""
RANGE_KEYS = {"start", "stop", "count", "spacing"}
SPACINGS = ("linear", "log")


@dataclass(frozen=True)
class SweepConfig(Shown):
    """A sweep: every parameter is in `fixed` (defaults included) or has its values in `grid`, in the given order.

    Attributes:
        kind: of its cells, "flow" or "montecarlo".
        fixed: values of the parameters that are the same in all cells.
        grid: values of the others, given as a list, an array or a table {start, stop, count, spacing}.
        samples: whether every exit step is kept.
        confidence: that of the median's interval.
        activations: registered in this process, by name; with the names that were registered before, as far as the
            sweep uses them, they belong to the config: worker processes are told them, and a store refuses another
            function under the same name.
        parameters: declarations of the parameters of the functions by name, such as {"beta": "> 0"}; their values are
            in `fixed` or `grid`. In `fixed`, `noise` and `scale` may be texts of them.
        engine: what integrates a flow, as in `integrate`.

    Raises `ParameterError` for unknown names, wrong types, empty or repeated values, or batch and kappa
    together, and `InputError` for what `register` refuses.

    >>> config = SweepConfig("flow", {"student": "relu"}, {"mu": {"start": 0.1, "stop": 0.5, "count": 3}})
    >>> config.grid, config.size, config.fixed["threshold"]
    ({'mu': (0.1, 0.3, 0.5)}, 3, 0.5)
    """

    shows = "kind, grid, size, fixed, samples, confidence"

    kind: Kind
    fixed: Mapping[str, Any]
    grid: Mapping[str, Any]
    samples: bool = False
    confidence: float = CONFIDENCE
    activations: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    engine: Engine | str | None = None

    def __post_init__(self) -> None:
        self._check_settings()
        fixed, grid = _table("fixed", self.fixed), _table("grid", self.grid)
        known = parameters_of(self.kind) | _own_parameters(fixed, grid) | self._of_functions()
        for name in (*fixed, *grid):
            if name not in known:
                raise unknown(name, known, f" for kind {self.kind}")
        both = set(fixed) & set(grid)
        if both:
            raise ParameterError(f"{min(both)} given in [fixed] and in [grid]; accepted: each parameter once.")
        if not grid:
            raise ParameterError("[grid] is empty; accepted: at least one parameter with its values, mu = [0.2, 0.4].")
        axes = {name: _axis(known[name], values) for name, values in grid.items()}
        values = {name: self._expression(name, value) or known[name].read(value) for name, value in fixed.items()}
        _check_noise(self.kind, values.keys() | axes.keys())
        defaults = defaults_of(self.kind, values.keys() | axes.keys())
        object.__setattr__(self, "fixed", dict(sorted({**defaults, **values}.items())))
        object.__setattr__(self, "grid", axes)
        object.__setattr__(self, "activations", self._names())
        self._check_functions()
        if self.size > MAX_CELLS:
            raise ParameterError(f"a grid of {self.size} cells given; accepted: at most {MAX_CELLS}; split it.")

    def _check_settings(self) -> None:
        if not isinstance(self.kind, str) or self.kind not in KINDS:
            raise ParameterError(f"kind = {self.kind!r} given; accepted: {' or '.join(map(repr, KINDS))}.")
        if not isinstance(self.samples, bool) or (self.samples and self.kind == "flow"):
            raise ParameterError(
                f"samples = {self.samples!r} given with kind {self.kind}; accepted: false, or true with montecarlo."
            )
        valid = isinstance(self.confidence, float) and 0 < self.confidence < 1
        if not valid or (self.kind == "flow" and self.confidence != CONFIDENCE):
            raise ParameterError(
                f"confidence = {self.confidence!r} given with kind {self.kind}; accepted: a number in (0, 1), with "
                f"montecarlo; try {CONFIDENCE}."
            )
        if self.engine is not None and self.kind != "flow":
            raise ParameterError(
                f"engine = {self.engine!r} given with kind {self.kind}; accepted: it with flow, which alone integrates."
            )
        chosen(self.engine)

    def _of_functions(self) -> dict[str, Parameter]:
        """Return the parameters of the functions, as the table of parameters has its own."""
        own = declared(_table("parameters", self.parameters))
        clash = next((p.name for p in own if p.name in PARAMETERS), None)
        if clash is not None:
            raise ParameterError(f"parameter {clash} declared, a name of a sweep already; accepted: another letter.")
        return {p.name: Parameter(p.name, "number", f"parameter of the functions, {p}") for p in own}

    def _expression(self, name: str, value: Any) -> str | None:
        """Return the text of a noise or scale that is an expression of declared parameters; None of any other value."""
        if name not in ("noise", "scale") or not isinstance(value, str) or not self.parameters:
            return None
        read = scalar(value, name, declared(self.parameters), positive=name == "scale")
        return value.strip() if read.free_symbols else None

    def _check_functions(self) -> None:
        """Refuse values outside the declared domains, and a declared parameter without values, or without effect."""
        texts = (text for name in TYPED for text in self.grid.get(name, (self.fixed.get(name),)))
        typed = set(re.findall(r"\w+", " ".join(map(str, texts))))
        for parameter in declared(self.parameters):
            name = parameter.name
            if name not in typed:
                raise ParameterError(
                    f"parameter {name} declared, which is in none of {', '.join(TYPED)}; accepted: it left out."
                )
            if name not in self.fixed and name not in self.grid:
                raise ParameterError(f"no {name} given; accepted: its value in [fixed], or values in [grid].")
            for value in self.grid.get(name, (self.fixed.get(name),)):
                parameter.check(float(value))

    def _names(self) -> dict[str, str]:
        """Register the given names, and return those that the sweep uses, with what they stand for."""
        for name, text in _table("activations", self.activations).items():
            register(name, text)
        texts = [self.fixed.get(link) for link in LINKS] + [text for link in LINKS for text in self.grid.get(link, ())]
        return registered_in(text for text in texts if text is not None)

    @classmethod
    def of(cls, config: SweepConfig | Mapping[str, Any] | str | Path) -> SweepConfig:
        """Return the config itself, that of a mapping in the layout of the file, or that of a TOML file.

        >>> SweepConfig.of({"kind": "flow", "fixed": {}, "grid": {"mu": [0.3, 0.3]}})
        Traceback (most recent call last):
        theory.errors.ParameterError: mu = 0.3 given twice in the grid; accepted: each value once.
        """
        if isinstance(config, SweepConfig):
            return config
        content = dict(config) if isinstance(config, Mapping) else _parse(Path(config))
        unknown = set(content) - set(KEYS)
        if unknown:
            raise ParameterError(
                f"{min(map(str, unknown))} given at the top; accepted: {', '.join(KEYS)}; "
                "parameters belong into [fixed] or [grid]."
            )
        if "kind" not in content:
            raise ParameterError('no kind given; accepted: kind = "flow" or kind = "montecarlo".')
        return cls(**{"fixed": {}, "grid": {}, **content})

    @property
    def known(self) -> dict[str, Parameter]:
        """Every parameter that this sweep takes, those of its own models included."""
        return parameters_of(self.kind) | _own_parameters(self.fixed, self.grid) | self._of_functions()

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of values of each parameter of the grid."""
        return tuple(len(values) for values in self.grid.values())

    @property
    def size(self) -> int:
        """Number of cells."""
        return math.prod(self.shape)

    def cells(self) -> Iterator[dict[str, Any]]:
        """Yield the values of each cell; the last parameter of the grid varies fastest."""
        for point in product(*self.grid.values()):
            yield {**self.fixed, **dict(zip(self.grid, point, strict=True))}

    def cell(self, index: int) -> dict[str, Any]:
        """Return the values of one cell by its place among `cells`.

        >>> SweepConfig("flow", {}, {"student": ["relu", "erf"], "mu": [0.2, 0.4]}).cell(2)["student"]
        'erf'
        """
        values = dict(self.fixed)
        for name, axis in reversed(tuple(self.grid.items())):
            index, place = divmod(index, len(axis))
            values[name] = axis[place]
        return values

    def to_json(self) -> str:
        """Return the config, defaults included, as JSON from which `of` makes it again.

        An engine that was given as an object is written by its name, which says which it was but does not make it.
        """
        content = {name: getattr(self, name) for name in KEYS} | {"engine": name_of(self.engine)}
        if not self.parameters:
            del content["parameters"]  # stores made before families keep their digests
        return json.dumps(content, default=plain)

    @property
    def digest(self) -> str:
        """SHA-256 of `to_json`, by which a store knows its config."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @property
    def caution(self) -> str | None:
        """Say that kappa = eta d / batch grows with d where d is swept at given batches; None elsewhere."""
        if len(self.grid.get("dimension", ())) < 2 or not ("batch" in self.fixed or "batch" in self.grid):
            return None
        return (
            "a grid in dimension at given batch: kappa = step_size dimension / batch varies, and with it the law of "
            "SGD; give kappa in place of batch to keep it O(1)"
        )


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise ParameterError(f"config {path} cannot be read: {reason}; accepted: a TOML file.") from error
    except tomllib.TOMLDecodeError as error:
        raise ParameterError(f"config {path} is no TOML: {error}.") from error


def plain(value: Any) -> Any:
    """Return what stands for a value in text and in arrays: of a model of your own its name."""
    return value if isinstance(value, str | bool | int | float) else str(value.name)


def _own_parameters(fixed: Mapping[str, Any], grid: Mapping[str, Any]) -> dict[str, Parameter]:
    """Return the parameters of models of your own that the table does not have."""
    listed = grid.get("model", ())
    given = [fixed.get("model"), *(listed if isinstance(listed, Sequence) else ())]
    own = [blank(model) for model in given if model is not None and not isinstance(model, str)]
    names = {str(symbol): net.name for net in own for symbol in (*net.parameters, *net.extra_parameters)}
    return {
        name: Parameter(name, "number", f"parameter {name} of model {model}")
        for name, model in names.items()
        if name not in PARAMETERS and name != "alpha"
    }


def _table(name: str, given: object) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise ParameterError(f"{name} = {given!r} given; accepted: a table [{name}] of parameters.")
    return {str(key): value for key, value in given.items()}


def _check_noise(kind: Kind, given: set[str]) -> None:
    """One way only to give kappa = eta d / batch."""
    if {"kappa", "batch"} <= given:
        raise ParameterError("kappa and batch given; accepted: one of them, since kappa = step_size dimension / batch.")
    if kind == "flow" and len({"step_size", "batch"} & given) == 1:
        raise ParameterError(
            "step_size or batch alone given; accepted for kind flow: both, or kappa, or none of them (kappa = 0)."
        )


def _axis(parameter: Parameter, given: object) -> tuple[Any, ...]:
    """Return the values of a list or of a table {start, stop, count, spacing}."""
    raw = _spaced(parameter, given) if isinstance(given, Mapping) else given
    if not isinstance(raw, Sequence | np.ndarray) or isinstance(raw, str) or not len(raw):
        raise ParameterError(
            f"{parameter.name} = {given!r} given in the grid; accepted: a list of values that is not empty, or a table "
            "{start, stop, count, spacing}; a single value belongs into [fixed]."
        )
    values = tuple(parameter.read(value) for value in raw)
    if len(set(values)) < len(values):
        twice = next(value for value, count in Counter(values).items() if count > 1)
        raise ParameterError(f"{parameter.name} = {twice!r} given twice in the grid; accepted: each value once.")
    return values


def _spaced(parameter: Parameter, given: Mapping[str, Any]) -> list[float]:
    """Return `count` values from start to stop, to 15 digits, or rounded where the parameter is an integer."""
    count, spacing = given.get("count"), given.get("spacing", "linear")
    first, last = (finite(given.get(end)) for end in ("start", "stop"))
    counted = isinstance(count, int) and not isinstance(count, bool) and 2 <= count <= MAX_CELLS
    known = set(given) <= RANGE_KEYS and spacing in SPACINGS and parameter.type in ("integer", "number")
    ends = first is not None and last is not None and first != last and (spacing == "linear" or first * last > 0)
    if not (known and counted and ends):
        raise ParameterError(
            f"{parameter.name} = {dict(given)!r} given in the grid; accepted for a number: a list, or a table with "
            f'start, stop (different; of one sign for "log"), count from 2 to {MAX_CELLS}, spacing "linear" or "log".'
        )
    low, high, last_place = cast(float, first), cast(float, last), cast(int, count) - 1
    values = [_between(low, high, i / last_place, spacing) for i in range(1, last_place)]
    return [_tidy(parameter, value) for value in (low, *values, high)]


def _between(first: float, last: float, step: float, spacing: str) -> float:
    return first * (last / first) ** step if spacing == "log" else first + (last - first) * step


def _tidy(parameter: Parameter, value: float) -> float:
    whole = parameter.type == "integer" and math.isfinite(value)
    return round(value) if whole else float(f"{value:.15g}")
