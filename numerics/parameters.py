"""The one table of parameters: names, types, domains, defaults, units and words of everything that a task may vary.

The command line, the API (`hermescape.Task`), JSON, the configuration of a sweep and the page of parameters in the
documentation read it. A parameter has one name in Python, JSON and TOML (`step_size`) and one on the command line
(`--lr`), by default the same with dashes; `unknown` names the right one to who gives the other. This module imports
nothing heavy, so that the help of a command needs nothing heavy either.

A value is a text, a flag (true or false), an integer or a finite number. An integer may be written 1e6.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal

from numerics.accuracy import FLOW_RTOL
from theory.errors import ParameterError

__all__ = [
    "KINDS",
    "MODEL_NAMES",
    "MODEL_PARAMETERS",
    "OBJECTIVE_NAMES",
    "PARAMETERS",
    "Domain",
    "Kind",
    "Parameter",
    "Value",
    "defaults_of",
    "finite",
    "mixed_length",
    "model_name",
    "parameters_of",
    "unknown",
]

Kind = Literal["flow", "montecarlo"]
Type = Literal["text", "model", "objective", "flag", "integer", "number"]
Value = str | bool | int | float

KINDS: tuple[Kind, ...] = ("flow", "montecarlo")
MODEL_PARAMETERS = {"lora": ("mu",), "misaligned": ("mu", "rho"), "plain": (), "pretrain": ("c",)}
"""The parameters of the models by name: those of `theory.network.models`, which --help cannot wait for."""
MODEL_NAMES = tuple(MODEL_PARAMETERS)
OBJECTIVE_NAMES = ("squared", "correlation")
"""Those of `theory.network.objectives`, likewise."""
LARGEST_INTEGER = 2**63 - 1
DEFAULT_KAPPA = 1.0


@dataclass(frozen=True)
class Domain:
    """An interval of numbers, with or without its ends, and at most one number left out of it.

    >>> Domain(0.0, 1.0, ends=False).words, Domain(3.0).words, Domain(0.0, ends=False).words, Domain().words
    ('in (0, 1)', '>= 3', '> 0', '')
    >>> 0.5 in Domain(0.0, 1.0, ends=False), 1 in Domain(0.0, 1.0, ends=False), 0 in Domain(without=0.0)
    (True, False, False)
    """

    low: float = -math.inf
    high: float = math.inf
    ends: bool = True
    without: float | None = None

    def __contains__(self, value: float) -> bool:
        inside = self.low <= value <= self.high if self.ends else self.low < value < self.high
        return inside and value != self.without

    @property
    def words(self) -> str:
        """The domain in words, empty where every finite number lies in it."""
        if math.isfinite(self.low) and math.isfinite(self.high):
            left, right = "[]" if self.ends else "()"
            return f"in {left}{self.low:g}, {self.high:g}{right}"
        if math.isfinite(self.low):
            return f">{'=' if self.ends else ''} {self.low:g}"
        return "" if self.without is None else f"other than {self.without:g}"


EVERYTHING = Domain()
POSITIVE, UNIT = Domain(0.0, ends=False), Domain(0.0, 1.0, ends=False)


@dataclass(frozen=True)
class Parameter:
    """One parameter: what it is, what it may be, and its value where none is given.

    Attributes:
        name: its name in Python, JSON and TOML.
        type: what `read` accepts; a model is a name, or an object of a class of your own.
        meaning: one line for help, documentation and errors.
        kinds: the kinds of a sweep's cells that take it.
        default: None where there is none, or where it follows from others.
        units: of the number.
        domain: where the number lies.
        option: its name on the command line, dashes included.
        metavar: what its value is called in help; by default its type.
    """

    name: str
    type: Type
    meaning: str
    kinds: tuple[Kind, ...] = KINDS
    default: Any = None
    units: str = "1"
    domain: Domain = EVERYTHING
    option: str = ""
    metavar: str | None = None

    def __post_init__(self) -> None:
        if not self.option:
            object.__setattr__(self, "option", "--" + self.name.replace("_", "-"))

    @property
    def accepted(self) -> str:
        """The values accepted, in words.

        >>> PARAMETERS["threshold"].accepted, PARAMETERS["replicas"].accepted
        ('a finite number in (0, 1)', 'an integer >= 2')
        """
        if self.domain == EVERYTHING:
            return _ACCEPTED[self.type]
        return f"{'an integer' if self.type == 'integer' else 'a finite number'} {self.domain.words}"

    @property
    def help(self) -> str:
        """Meaning and domain."""
        return self.meaning if self.domain == EVERYTHING else f"{self.meaning}, {self.domain.words}"

    def read(self, given: object) -> Any:
        """Return the value in this parameter's type, inside its domain or not; raises `ParameterError` for any other.

        >>> Parameter("dimension", "integer", "input dimension").read(1e6)
        1000000
        """
        value = _READERS[self.type](given)
        if value is None:
            raise ParameterError(f"{self.name} = {given!r} given; accepted: {_ACCEPTED[self.type]}; {self.meaning}.")
        return value

    def check(self, given: object) -> Any:
        """Return the value as `read` does; raises `ParameterError` outside the domain too.

        >>> PARAMETERS["step_size"].check(0)
        Traceback (most recent call last):
        theory.errors.ParameterError: step_size = 0 given; accepted: a finite number > 0; step size eta; try 0.2.
        """
        value = _READERS[self.type](given)
        if value is None or (self.domain != EVERYTHING and value not in self.domain):
            remedy = "" if self.default is None else f"; try {self.default:g}"
            raise ParameterError(f"{self.name} = {given!r} given; accepted: {self.accepted}; {self.meaning}{remedy}.")
        return value


def _text(given: object) -> str | None:
    return given.strip() if isinstance(given, str) and given.strip() else None


def _model(given: object) -> object | None:
    """A name, or an object that makes a network (`theory.network.models.Model`)."""
    return given if all(hasattr(given, part) for part in ("name", "network")) else _text(given)


def _objective(given: object) -> str | None:
    return given if isinstance(given, str) and given in OBJECTIVE_NAMES else None


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


_READERS: dict[Type, Callable[[object], Any]] = {
    **{"text": _text, "model": _model, "objective": _objective},
    **{"flag": _flag, "integer": _integer, "number": finite},
}
_ACCEPTED: dict[Type, str] = {
    "text": "a text that is not empty",
    "model": f"{', '.join(MODEL_NAMES)}, or a model of your own",
    "objective": " or ".join(OBJECTIVE_NAMES),
    "flag": "true or false",
    "integer": "an integer of 64 bits, such as 1000 or 1e6",
    "number": "a finite number",
}
_FLOW: tuple[Kind, ...] = ("flow",)
_SAMPLED: tuple[Kind, ...] = ("montecarlo",)

WEIGHTS = "lora: w = mu w* + u v; misaligned: w = w0 + u v; plain: w = v on the sphere; pretrain: w free"

_TABLE = (
    Parameter("student", "text", "student activation, a name or an expression in x", option="ACT", metavar="ACT"),
    Parameter("teacher", "text", "teacher link, the student's own by default", metavar="ACT"),
    Parameter("model", "model", f"{WEIGHTS}; default: lora, or misaligned where rho or mix is given"),
    Parameter("mu", "number", "alignment <w0, w*>; in (0, 1] where w0 is aligned"),
    Parameter("rho", "number", "length of a misaligned w0, at least |mu|", domain=POSITIVE, metavar="R"),
    Parameter("mix", "flag", "misaligned w0 = mu w* + (1 - mu) xi, xi a random unit vector"),
    Parameter("c", "number", "pretrain: similarity <w_s, w*>", kinds=(), domain=Domain(-1.0, 1.0)),
    Parameter("label", "text", 'label transform, text in y such as "y**2"', metavar="T"),
    Parameter("noise", "number", "variance of the label noise", default=0.0, domain=Domain(0.0), metavar="DELTA"),
    Parameter(
        *("scale", "number", "fixed LoRA scale A: w = w0 + A u v"),
        **{"default": 1.0, "domain": Domain(without=0.0), "option": "--alpha", "metavar": "A"},
    ),
    Parameter("objective", "objective", "what is minimised; correlation: L = -E[f y] + E[y^2]/2; default: squared"),
    Parameter("dimension", "integer", "input dimension d", default=1000, domain=Domain(3.0), option="--d"),
    Parameter("batch", "integer", "samples a step", default=500, units="samples", domain=Domain(1.0)),
    Parameter("step_size", "number", "step size eta", default=0.2, domain=POSITIVE, option="--lr"),
    Parameter("kappa", "number", "kappa = step_size dimension / batch", domain=Domain(0.0)),
    Parameter("threshold", "number", "exit when |m| reaches it", default=0.5, domain=UNIT),
    Parameter(
        "max_steps", "integer", "steps after which a run is censored", _SAMPLED, 100_000, "SGD steps", Domain(1.0)
    ),
    Parameter("initial_scale", "number", "u at the start, d^-2 by default; pretrain: |w|, 1 by default"),
    Parameter("m0", "number", "m at the start, by default that of the median drive", _FLOW),
    Parameter("s0", "number", "s at the start (misaligned), by default that of the median drive", _FLOW),
    Parameter("t_max", "number", "time limit", _FLOW, 1e6, "eta * step", POSITIVE),
    Parameter("rtol", "number", "relative tolerance of the integrator", _FLOW, float(FLOW_RTOL), domain=POSITIVE),
    Parameter("replicas", "integer", "independent runs", _SAMPLED, 100, domain=Domain(2.0)),
    Parameter(
        *("seed", "integer", "results depend on it and the other parameters only; that of a sweep on its cell too"),
        **{"kinds": _SAMPLED, "default": 0, "domain": Domain(0.0)},
    ),
    Parameter("threads", "integer", "worker threads; no effect on the result", kinds=(), domain=Domain(1.0)),
)
PARAMETERS = {parameter.name: parameter for parameter in _TABLE}
OTHER_NAMES = {
    **{p.option.removeprefix("--"): p.name for p in _TABLE if p.option != "ACT"},
    **{"activation": "student", "d": "dimension", "alpha": "scale", "eta": "step_size", "learning_rate": "step_size"},
}


def parameters_of(kind: Kind) -> dict[str, Parameter]:
    """Return the parameters that cells of this kind take, by name.

    >>> "seed" in parameters_of("flow"), "seed" in parameters_of("montecarlo")
    (False, True)
    """
    return {name: parameter for name, parameter in PARAMETERS.items() if kind in parameter.kinds}


def defaults_of(kind: Kind, given: set[str]) -> dict[str, Value]:
    """Return the values that hold in a sweep for what is not given.

    Monte Carlo has kappa = 1 unless given batch or kappa; a flow is that of infinitesimal steps unless given them.

    >>> defaults_of("montecarlo", {"batch"})["step_size"], "kappa" in defaults_of("montecarlo", {"batch"})
    (0.2, False)
    >>> sorted(defaults_of("flow", {"dimension", "threshold"}))
    ['noise', 'rtol', 'scale', 't_max']
    """
    values = {name: p.default for name, p in parameters_of(kind).items() if p.default is not None}
    del values["batch"]
    if kind == "flow":
        del values["step_size"]
    elif "batch" not in given:
        values["kappa"] = DEFAULT_KAPPA
    return {name: value for name, value in values.items() if name not in given}


def unknown(name: str, known: Iterable[str], where: str = "") -> ParameterError:
    """Return the error for a name that is none, which says the right one for a name of the command line.

    >>> str(unknown("lr", PARAMETERS))
    'parameter lr given; accepted: step_size (--lr is its name on the command line).'
    """
    names = list(known)
    meant = OTHER_NAMES.get(name)
    if meant is None or meant == name or meant not in names:
        return ParameterError(f"parameter {name} given; accepted{where}: {', '.join(names)}.")
    option = PARAMETERS[meant].option
    reason = f" ({option} is its name on the command line)" if option == f"--{name}" else ""
    return ParameterError(f"parameter {name} given; accepted{where}: {meant}{reason}.")


def model_name(
    model: str | None, *, lengthy: bool, mixed: bool, written: Callable[[str], str] = str, names: tuple[str, ...] = ()
) -> str:
    """Return the model's name that is meant; a length of w0 (`rho` or `mix` given) means misaligned.

    `written` spells a parameter's name as the caller gave it, `names` are the models accepted, by default all.

    >>> model_name(None, lengthy=False, mixed=True), model_name(None, lengthy=False, mixed=False)
    ('misaligned', 'lora')
    """
    accepted, (rho, mix, kind) = names or MODEL_NAMES, map(written, ("rho", "mix", "model"))
    if lengthy and mixed:
        raise ParameterError(f"{rho} and {mix} given; accepted: one of them, {mix} sets rho^2 = mu^2 + (1 - mu)^2.")
    if model is not None and model not in accepted:
        raise ParameterError(f"{kind} {model!r} given; accepted: {', '.join(accepted)}.")
    given = lengthy or mixed
    if given and model is not None and "rho" not in MODEL_PARAMETERS[model]:
        raise ParameterError(f"{rho} or {mix} with {kind} {model} given; accepted: them with {kind} misaligned.")
    if model is not None and "rho" in MODEL_PARAMETERS[model] and not given:
        raise ParameterError(
            f"{kind} misaligned with {rho} or {mix} not given; accepted: {rho} or {mix} with it, the length of w0."
        )
    return "misaligned" if given else model or "lora"


def mixed_length(mu: float) -> float:
    """Return |w0| of w0 = mu w* + (1 - mu) xi, xi a unit vector across w*: sqrt(mu^2 + (1 - mu)^2).

    >>> mixed_length(0.5)
    0.7071067811865476
    """
    return math.sqrt(mu**2 + (1 - mu) ** 2)
