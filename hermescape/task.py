r"""The record of a task: who learns what, from which weight, by which SGD, until when; validated once, when it is made.

    task = Task("relu", mu=0.4, dimension=10**6, batch=10**5, step_size=0.1)
    task.system()                       # its derivation
    hermescape.simulate(task)           # its simulation

Names, types, domains and defaults are those of `numerics.parameters`. `model` is a name, or an object of a class of
your own (`theory.network.models.Model`); the values of its parameters are the fields `mu`, `rho`, `c` and `scale` (for
a parameter alpha) where it has them, and those of `parameters` for all others:

    Task("relu", model=Gain(), mu=0.4, parameters={"gamma": 0.1})
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, fields, replace
from typing import Any, TypedDict, Unpack, cast

from sympy import Expr, Symbol

from numerics.parameters import PARAMETERS, mixed_length, model_name
from theory.errors import ParameterError
from theory.language.activations import Activation, activation, exact_value
from theory.language.labels import transform_of
from theory.language.parameters import Parameter, declared, domain_of, parameters_of
from theory.language.scalars import scalar
from theory.network.derivation import blank, derive
from theory.network.models import Model
from theory.network.models import model as find_model
from theory.network.system import System
from theory.shown import Row, Shown, meanings, short

__all__ = ["Fields", "Function", "Task"]

Function = str | Expr | Activation
"""An activation or link: a registered name or an expression in x as text, a SymPy expression, or an `Activation`."""

KNOWN = {"mu": "mu", "rho": "rho", "c": "c", "alpha": "scale"}
"""The parameters of models that are fields of a task."""
SCALED = ("lora", "misaligned")
IMPLIED = {"noise": ">= 0", "scale": "> 0"}
"""Where a parameter lies that is all of one of these fields."""


def _default(name: str) -> Any:
    return PARAMETERS[name].default


class Problem(TypedDict, total=False):
    """The fields of a `Task`, as keywords, that say what is learnt; not where from and by how much work."""

    label: str | Expr | None
    noise: float | str | Expr
    objective: str | None
    model: str | Model | None
    rho: float | None
    mix: bool
    c: float | None
    scale: float | str | Expr
    parameters: Mapping[str, float]
    initial_scale: float | None
    dimension: int
    threshold: float | None
    seed: int


class Fields(Problem, total=False):
    """The fields of a `Task` but its two links, as keywords."""

    mu: float | None
    batch: int
    step_size: float
    max_steps: int
    replicas: int


@dataclass(frozen=True)
class Task(Shown):
    """What is learnt, by what and how; every number is checked against its domain when the record is made.

    Raises `ParameterError` for a value of another type or outside its domain, a parameter that the model does not
    have, or a model that is unknown; `InputError` for text that is no activation or label. What only some verbs need
    (such as `mu` to simulate) is asked for by them.

    >>> task = Task("erf", mu=0.3, rho=0.5, step_size=0.1)
    >>> task.parametrisation.name, task.place, task.dimension
    ('misaligned', {'mu': 0.3, 'rho': 0.5}, 1000)
    >>> Task("erf", mu=0.3, batch=0)
    Traceback (most recent call last):
    theory.errors.ParameterError: batch = 0 given; accepted: an integer >= 1; samples a step; try 500.
    """

    student: Function
    """activation sigma"""
    teacher: Function | None = None
    """link phi, the student's own by default"""
    _: KW_ONLY
    label: str | Expr | None = None
    """T(y), text or expression in y: SGD sees T of the noisy label; None is the identity"""
    noise: float | str | Expr = cast(float, _default("noise"))  # noqa: RUF009
    """Delta, variance of the label noise; a number, or text or an expression of parameters"""
    objective: str | None = None
    """what is minimised, "squared" or "correlation"; None is what the model says, squared for those of the library"""
    model: str | Model | None = None
    """parametrisation of the weight; None is misaligned where `rho` or `mix` is given, and lora elsewhere"""
    mu: float | None = None
    """alignment <w0, w*>"""
    rho: float | None = None
    """length |w0|"""
    mix: bool = False
    """whether w0 = mu w* + (1 - mu) xi, which sets the length"""
    c: float | None = None
    """similarity <w_s, w*> of source and target"""
    scale: float | str | Expr = cast(float, _default("scale"))  # noqa: RUF009
    """alpha in w = w0 + alpha u v; a number, or text or an expression of parameters"""
    parameters: Mapping[str, float] = field(default_factory=dict, hash=False)
    """values of the model's other parameters, by name"""
    initial_scale: float | None = None
    """u at the start, None means d^-2; of a free weight its norm, None means 1"""
    dimension: int = _default("dimension")
    """d"""
    batch: int = _default("batch")
    """B, samples a step"""
    step_size: float = _default("step_size")
    """eta; time is t = eta * step"""
    threshold: float | None = _default("threshold")
    """R: a run exits at the first step with |m| >= R; None: every run takes `max_steps` steps"""
    max_steps: int = _default("max_steps")
    """runs that have not exited after so many steps are censored"""
    replicas: int = _default("replicas")
    """independent runs"""
    seed: int = _default("seed")
    """with the other fields it fixes every number of the result"""

    def __post_init__(self) -> None:
        for name, parameter in PARAMETERS.items():
            value = getattr(self, name, None)
            if name in IMPLIED and isinstance(value, str | Expr):
                continue
            if value is not None and parameter.type in ("number", "integer", "flag", "objective"):
                object.__setattr__(self, name, parameter.check(value))
        domain = self._declared()
        object.__setattr__(self, "student", activation(self.student, domain))
        object.__setattr__(self, "teacher", None if self.teacher is None else activation(self.teacher, domain))
        object.__setattr__(self, "label", _label(self.label, domain))
        for name in IMPLIED:
            object.__setattr__(self, name, _scalar(getattr(self, name), name, domain))
        self._read_parameters()
        self._check_model()

    @classmethod
    def of(cls, task: Task | Function, teacher: Function | None = None, **settings: Unpack[Fields]) -> Task:
        """Return the task of a student and the fields given; of a task itself, with these fields changed.

        >>> Task.of(Task("relu", mu=0.3), seed=2) == Task.of("relu", mu=0.3, seed=2)
        True
        """
        if not isinstance(task, Task):
            return cls(task, teacher, **settings)
        return replace(task, **settings) if teacher is None else replace(task, teacher=teacher, **settings)

    @property
    def brief(self) -> str:
        """What is given, where it is not the default."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return ", ".join(f"{name} = {short(value)}" for name, value in given.items() if value not in (None, {}, False))

    def quantities(self) -> list[Row]:
        """Every field."""
        return [Row(f.name, getattr(self, f.name), meanings(Task).get(f.name, "")) for f in fields(self)]

    @property
    def links(self) -> tuple[Activation, Activation]:
        """The student's activation sigma and the teacher's link phi."""
        sigma = activation(self.student)
        return sigma, sigma if self.teacher is None else activation(self.teacher)

    @property
    def parametrisation(self) -> Model:
        """The model itself, of scale 1."""
        if self.model is not None and not isinstance(self.model, str):
            return self.model
        lengthy = self.rho is not None
        if isinstance(self.model, str) and not (lengthy or self.mix):  # a derivation needs no length
            return find_model(self.model)
        return find_model(model_name(self.model, lengthy=lengthy, mixed=self.mix))

    @property
    def named_model(self) -> str | Model:
        """The model as a derivation takes it: by name, so that it takes the scale, or the object."""
        by_name = self.model is None or isinstance(self.model, str)
        return self.parametrisation.name if by_name else self.parametrisation

    @property
    def named_scale(self) -> float | Expr:
        """The scale that goes with a model by name; an object has its own, or the parameter alpha."""
        return cast("float | Expr", self.scale) if isinstance(self.named_model, str) else 1.0

    @property
    def posed(self) -> dict[str, Any]:
        """What a derivation takes besides the two links."""
        given = {"label": self.label, "noise": self.noise, "objective": self.objective}
        return {"model": self.named_model, "alpha": self.named_scale, **given}

    @property
    def length(self) -> float | None:
        """|w0|: `rho`, or what `mix` makes of mu; None where w0 is aligned."""
        return mixed_length(self.mu) if self.mix and self.mu is not None else self.rho

    @property
    def place(self) -> dict[str, float]:
        """The values of the model's parameters by name; raises `ParameterError` where one is missing."""
        names, given = self._names(), self._given()
        for name in names:
            if name not in given:
                meaning = f"; {PARAMETERS[name].meaning}" if name in PARAMETERS else ""
                raise ParameterError(
                    f"no {name} given; accepted: a number with model {self.parametrisation.name}{meaning}."
                )
        return {name: given[name] for name in names}

    def system(self) -> System:
        """Derive the dynamics, with the parameters of the model as symbols, and those of a family without values."""
        sigma, phi = self.links
        own = {symbol.name for symbol in self._of_functions()}
        values = {name: value for name, value in self.parameters.items() if name in own}
        family = derive(sigma, phi, **self.posed)
        return family.member(values) if values else family

    @property
    def member(self) -> Task:
        """The task with the values of a family's parameters put into functions, noise and scale; itself without any.

        >>> Task("erf(beta*x)", parameters={"beta": 0.7}, mu=0.4).member == Task("erf(0.7*x)", mu=0.4)
        True
        """
        own = {
            symbol: self.parameters[symbol.name] for symbol in self._of_functions() if symbol.name in self.parameters
        }
        if not own:
            return self
        names = {symbol.name: number for symbol, number in own.items()}
        exact = {symbol: exact_value(symbol.name, number) for symbol, number in own.items()}
        label = None if self.label is None else cast(Expr, self.label).xreplace(exact)
        put = {name: f.xreplace(exact) for name in IMPLIED if isinstance(f := getattr(self, name), Expr)}
        return replace(
            self,
            student=activation(self.student).at(names),
            teacher=None if self.teacher is None else activation(self.teacher).at(names),
            label=label,
            parameters={name: value for name, value in self.parameters.items() if name not in names},
            **put,
        )

    def _declared(self) -> tuple[Parameter, ...]:
        """Return the parameters of functions, noise and scale that values are given of, and the model does not have."""
        if not isinstance(self.parameters, Mapping):
            return ()
        known = {"mu", "rho", "alpha", *(str(s) for s in _symbols(self.parametrisation))}
        symbols = [s for f in (self.student, self.teacher) if isinstance(f, Activation) for s in f.domain]
        for f in (self.noise, self.scale):
            symbols += domain_of(f, symbols) if isinstance(f, Expr) else ()
        named = {p.name for p in symbols}
        whole = {str(getattr(self, name)).strip(): where for name, where in IMPLIED.items()}
        new = {n: whole.get(n, "real") for n in self.parameters if n not in known and n not in named}
        return (*dict.fromkeys(symbols), *declared(new))

    def _of_functions(self) -> tuple[Symbol, ...]:
        """Return the parameters of links, label, noise and scale."""
        others = (f for f in (self.label, self.noise, self.scale) if isinstance(f, Expr))
        return parameters_of(*(f.unresolved for f in self.links), *others)

    def _names(self) -> list[str]:
        return [str(symbol) for symbol in (*_symbols(self.parametrisation), *self._of_functions())]

    def _given(self) -> dict[str, float]:
        known = {"mu": self.mu, "rho": self.length, "c": self.c}
        if "alpha" in self._names():
            known["alpha"] = cast(float, self.scale)
        return {name: value for name, value in known.items() if value is not None} | dict(self.parameters)

    def _read_parameters(self) -> None:
        """Move the parameters that are fields into their fields, and read the numbers of all others."""
        if not isinstance(self.parameters, Mapping):
            raise ParameterError(f"parameters = {self.parameters!r} given; accepted: numbers by name.")
        own, functions = dict(self.parameters), {s.name for s in self._of_functions()}
        for name, place in KNOWN.items():
            if name not in own or name in functions:
                continue
            if getattr(self, place) != PARAMETERS[place].default:
                raise ParameterError(f"{place} given, and {name} in parameters; accepted: one of them.")
            object.__setattr__(self, place, PARAMETERS[place].check(own.pop(name)))
        number = PARAMETERS["mu"]
        read = {name: replace(number, name=name, meaning="a parameter of the model").read(v) for name, v in own.items()}
        object.__setattr__(self, "parameters", read)

    def _check_model(self) -> None:
        """Refuse parameters that the model does not have, and values that it refuses."""
        model, names = blank(self.parametrisation), self._names()
        if self.scale != 1 and model.name not in SCALED and "alpha" not in names:
            raise ParameterError(
                f"scale = {short(self.scale)} with model {model.name} given; accepted: 1; leave it out."
            )
        given = self._given()
        for name, value in given.items():
            if name not in names:
                accepted = ", ".join(names) or "no parameters"
                raise ParameterError(
                    f"{name} = {value:g} with model {model.name} given; accepted: {accepted}; leave it out."
                )
        if given.keys() >= {*names}:
            model.check(given)


def _symbols(model: Model) -> tuple[Symbol, ...]:
    """Return the parameters of a model."""
    network = blank(model)
    return (*network.parameters, *network.extra_parameters)


def _scalar(given: float | str | Expr, name: str, domain: tuple[Parameter, ...]) -> float | Expr:
    """Return the number, or the expression of parameters, that a field is."""
    if not isinstance(given, str | Expr):
        return given
    value = scalar(given, "alpha" if name == "scale" else name, domain, positive=name == "scale")
    return value if value.free_symbols else PARAMETERS[name].check(float(value))


def _label(label: Any, domain: tuple[Parameter, ...]) -> Expr | None:
    """Return the transform that text or an expression gives."""
    if label is None:
        return None
    if not isinstance(label, str | Expr):
        raise ParameterError(f"label = {label!r} given; accepted: text or a SymPy expression in y, such as y**2.")
    return transform_of(label, domain)
