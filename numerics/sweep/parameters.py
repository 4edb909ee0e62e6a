"""What a sweep can vary: one table of parameters, under the names of the commands' options.

A value is a text, a flag (true or false), an integer or a finite number. An integer may be written 1e6.
"""

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Literal

from theory.errors import ParameterError

__all__ = ["KINDS", "PARAMETERS", "Kind", "Parameter", "Value", "defaults_of", "finite", "parameters_of"]

Kind = Literal["flow", "montecarlo"]
Value = str | bool | int | float

KINDS: tuple[Kind, ...] = ("flow", "montecarlo")
LARGEST_INTEGER = 2**63 - 1
DEFAULT_KAPPA = 1.0


@dataclass(frozen=True)
class Parameter:
    """One parameter of a cell: its type, the kinds of cell that take it, and its value where none is given."""

    name: str
    type: Literal["text", "flag", "integer", "number"]
    meaning: str
    kinds: tuple[Kind, ...] = KINDS
    default: Value | None = None
    units: str = "1"

    def read(self, given: object) -> Value:
        """Return the value in this parameter's type; raises `ParameterError` for any other.

        >>> Parameter("d", "integer", "input dimension").read(1e6)
        1000000
        """
        value = _READERS[self.type](given)
        if value is None:
            raise ParameterError(f"{self.name} = {given!r} given; accepted: {_ACCEPTED[self.type]}; {self.meaning}.")
        return value


def _text(given: object) -> str | None:
    return given.strip() if isinstance(given, str) and given.strip() else None


def _flag(given: object) -> bool | None:
    return given if isinstance(given, bool) else None


def finite(given: object) -> float | None:
    """Return a finite real number as a float; None for anything else."""
    if isinstance(given, bool) or not isinstance(given, Real):
        return None
    try:
        value = float(given)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


def _integer(given: object) -> int | None:
    if isinstance(given, bool):
        return None
    if isinstance(given, Integral):
        value = int(given)
    else:
        number = finite(given)
        value = None if number is None or not number.is_integer() else int(number)
    return value if value is not None and abs(value) <= LARGEST_INTEGER else None


_READERS = {"text": _text, "flag": _flag, "integer": _integer, "number": finite}
_ACCEPTED = {
    "text": "a text that is not empty",
    "flag": "true or false",
    "integer": "an integer of 64 bits, such as 1000 or 1e6",
    "number": "a finite number",
}
_FLOW: tuple[Kind, ...] = ("flow",)
_SAMPLED: tuple[Kind, ...] = ("montecarlo",)

_TABLE = (
    Parameter("activation", "text", "student activation, a name or an expression in x"),
    Parameter("teacher", "text", "teacher link, the student's own by default"),
    Parameter("model", "text", "lora, misaligned or plain"),
    Parameter("mu", "number", "alignment <w0, w*>"),
    Parameter("rho", "number", "norm |w0| of a misaligned weight"),
    Parameter("mix", "flag", "misaligned w0 = mu w* + (1 - mu) xi"),
    Parameter("label", "text", "label transform, text in y"),
    Parameter("noise", "number", "variance of the label noise", default=0.0),
    Parameter("alpha", "number", "LoRA scale in w = w0 + alpha u v", default=1.0),
    Parameter("d", "integer", "input dimension", default=1000),
    Parameter("threshold", "number", "exit when |m| reaches it", default=0.5),
    Parameter("initial_scale", "number", "u at the start, d^-2 by default"),
    Parameter("kappa", "number", "kappa = lr d / batch"),
    Parameter("batch", "integer", "samples a step", units="samples"),
    Parameter("lr", "number", "step size eta; a flow takes it with batch only"),
    Parameter("m0", "number", "m at the start, by default that of the median drive", _FLOW),
    Parameter("s0", "number", "s at the start (misaligned), by default that of the median drive", _FLOW),
    Parameter("t_max", "number", "time limit", _FLOW, default=1e6, units="eta * step"),
    Parameter("rtol", "number", "relative tolerance of the integrator", _FLOW, default=1e-10),
    Parameter("replicas", "integer", "independent runs", _SAMPLED, default=100),
    Parameter("seed", "integer", "seed of the sweep; a cell's own follows from it and the cell", _SAMPLED, default=0),
    Parameter(
        "max_steps", "integer", "steps after which a run is censored", _SAMPLED, default=100_000, units="SGD steps"
    ),
)
PARAMETERS = {parameter.name: parameter for parameter in _TABLE}
DEFAULT_STEP = 0.2


def parameters_of(kind: Kind) -> dict[str, Parameter]:
    """Return the parameters that cells of this kind take, by name.

    >>> "seed" in parameters_of("flow"), "seed" in parameters_of("montecarlo")
    (False, True)
    """
    return {name: parameter for name, parameter in PARAMETERS.items() if kind in parameter.kinds}


def defaults_of(kind: Kind, given: set[str]) -> dict[str, Value]:
    """Return the values that hold for what is not given; Monte Carlo has kappa = 1 unless given batch or kappa.

    >>> defaults_of("montecarlo", {"batch"})["lr"], "kappa" in defaults_of("montecarlo", {"batch"})
    (0.2, False)
    """
    values = {name: p.default for name, p in parameters_of(kind).items() if p.default is not None}
    if kind == "montecarlo":
        values["lr"] = DEFAULT_STEP
        if "batch" not in given:
            values["kappa"] = DEFAULT_KAPPA
    return {name: value for name, value in values.items() if name not in given}
