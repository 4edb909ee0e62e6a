r"""The one description: a network of ridges on labels that are ridges too, and what is trained in it.

    f(x) = sum_i a_i sigma_i(<w_i, x>),    y = sum_j b_j phi_j(<w*_j, x>) + sqrt(Delta) xi,    L = 1/2 E (f - y)^2,

each weight a combination of frozen and trained vectors whose coefficients may be trained scalars. L depends on the
weights only through *entries*, the inner products

    R_ij = <w_i, w*_j>,    Q_ik = <w_i, w_k>,

and a single-index network, one unit on one teacher with |w*| = 1 and a = b = 1, calls its two q and r. Derivation,
flow, simulation, law and LaTeX read this description; whatever differs between models is a field of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property

import sympy as sp
from sympy import Expr, S, Symbol

from theory.calculus.nodes import exact
from theory.calculus.signs import OpenSignError
from theory.calculus.undefined import refuse_undefined
from theory.errors import InputError, NotIntegrableError, NotRealError, ParameterError
from theory.language.activations import Activation, exact_values
from theory.language.families import conditions_in_words, holds
from theory.language.labels import Labels
from theory.language.parameters import Parameter, domain_of, parameters_of, points
from theory.language.substitution import check_numbers
from theory.network.objectives import Objective
from theory.network.objectives import objective as find_objective
from theory.network.vectors import Argument, Combination, Gram, Vector
from theory.shown import Shown
from theory.symbols import Delta, J, L_q, L_r, q, r
from theory.typeset.constants import Constants

__all__ = ["Network", "Ridge", "Teacher", "Words", "accept_all"]


@dataclass(frozen=True)
class Ridge:
    """One unit or one term of a teacher: coefficient * function(<weight, x>)."""

    coefficient: Expr
    function: Activation
    weight: Combination


@dataclass(frozen=True)
class Teacher:
    """What gives the labels: y = sum_j b_j phi_j(<w*_j, x>) + sqrt(noise) xi.

    A single link may be transformed, y = T(phi(<w*, x>) + sqrt(Delta) xi): `labels` then says how.
    """

    ridges: tuple[Ridge, ...]
    noise: Expr = S.Zero
    labels: Labels | None = None

    @classmethod
    def single(cls, labels: Labels, direction: Vector) -> Teacher:
        """Return the teacher of one link along one unit vector."""
        return cls((Ridge(S.One, labels.link, Combination.of(direction)),), labels.noise, labels)


@dataclass(frozen=True)
class Words:
    """How a network is spoken of: sentences, and what its own symbols mean.

    Attributes:
        setting: what is trained, a sentence with formulas between dollars, for the document.
        short: the weight in a few signs, for tables and help.
        title: the kind of training in a few words, for titles; the network's name by default.
        meanings: what the symbols mean that `theory.symbols` does not know.
    """

    setting: str = ""
    short: str = ""
    title: str = ""
    meanings: Mapping[Symbol, str] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.setting, self.short, self.title))


def accept_all(values: Mapping[str, float]) -> None:
    """Check nothing."""


@dataclass(frozen=True)
class Network(Shown):
    """A network, its labels, and what of it is trained.

    Attributes:
        name: what a command or a message calls it.
        ridges: the units of the student.
        teacher: what gives the labels.
        gram: inner products of all vectors, in states and parameters.
        overlaps: state variables that are overlaps, as pairs (trained vector, other vector).
        scalars: trained scalars, in coefficients of weights or of ridges; states too.
        parameters: constants of the dynamics.
        scale: fixed scale alpha of what is trained.
        start: the point around which a search phase begins; None where there is no search.
        penalty: weight decay by trained scalar or vector: lambda gives lambda p^2 / 2, or lambda |v|^2 / 2.
        progress: the overlap <v, b>/|v| whose modulus reaching a threshold is the exit; the first of `overlaps` if
            None.
        objective: what is minimised, a name of `theory.network.objectives.OBJECTIVES`.
        check: raises `ParameterError` for parameters outside their domain, given by name.
        values: numbers of parameters, where they have been given: `at`.
        words: how it is spoken of.
        sources: keys of the publications that it comes from.
        declared: domains of parameters in noise and scale, where they are narrower than their symbols say.
    """

    shows = "name, scalars, parameters, values, scale, start, sources"

    name: str
    ridges: tuple[Ridge, ...]
    teacher: Teacher
    gram: Gram
    overlaps: Mapping[Symbol, tuple[Vector, Vector]]
    scalars: tuple[Symbol, ...] = ()
    parameters: tuple[Symbol, ...] = ()
    scale: Expr = S.One
    start: Mapping[Symbol, Expr] | None = None
    penalty: Mapping[Symbol | Vector, Expr] = field(default_factory=dict)
    progress: tuple[Vector, Vector] | None = None
    objective: str = "squared"
    check: Callable[[Mapping[str, float]], None] = accept_all
    values: Mapping[Symbol, Expr] = field(default_factory=dict)
    words: Words = field(default_factory=Words)
    sources: tuple[str, ...] = ()
    declared: tuple[Parameter, ...] = ()

    def __post_init__(self) -> None:
        find_objective(self.objective)  # refuses other names
        shared = {s.name for s in self.parameters_of_functions} & {s.name for s in (*self.states, *self.parameters)}
        if shared:
            raise InputError(
                f"parameter {', '.join(sorted(shared))} of a function given, which is a letter of model {self.name} "
                "too; accepted: another letter, such as beta or a."
            )
        if not self.ridges or not self.teacher.ridges or not self.overlaps:
            raise InputError(
                f"network {self.name} without units, teacher or overlaps given; accepted: at least one of each."
            )
        if self.teacher.labels is not None and not self.is_single_index:
            raise InputError(f"network {self.name}: labels of one link with several ridges given; accepted: one ridge.")
        trained = {*self.scalars, *self.vectors}
        stray = [key for key in self.penalty if key not in trained]
        if stray:
            raise InputError(
                f"network {self.name}: penalty on {', '.join(map(_name, stray))} given; accepted: what is trained, "
                f"{', '.join(sorted(map(_name, trained)))}."
            )

    def __hash__(self) -> int:
        content = (self.name, self.ridges, self.teacher, self.objective, self.scalars, self.parameters, self.scale)
        return hash((*content, self.sources, self.declared))

    @classmethod
    def single(
        cls, student: Activation, labels: Labels, weight: Combination, target: Vector, **fields: object
    ) -> Network:
        """Return a single-index network: one unit sigma(<w, x>) on labels of one link along a unit vector."""
        return cls(
            ridges=(Ridge(S.One, student, weight),),
            teacher=Teacher.single(labels, target),
            **fields,  # type: ignore[arg-type]
        )

    @property
    def brief(self) -> str:
        """What learns what, and the weight."""
        shown = ", ".join(filter(None, (f"model {self.name}", self.words.short))) + self.minimised.aside
        if not self.is_single_index:
            return f"{len(self.ridges)} units on {len(self.teacher.ridges)} teacher terms, {shown}"
        return f"{self.student.name} on {self.labels.mean.name}, {shown}"

    @property
    def minimised(self) -> Objective:
        """What is minimised."""
        return find_objective(self.objective)

    @property
    def unheld(self) -> tuple[Symbol | Vector, ...]:
        """What is trained beside directions, where no term of the student's own holds it: scalars, free vectors."""
        if self.minimised.own:
            return ()
        return (*self.scalars, *(v for v in self.vectors if v.has_free_length))

    @property
    def caution(self) -> str:
        """Say what nothing of the objective holds; empty where there is no such size.

        >>> from theory.language.activations import activation
        >>> from theory.language.labels import labels
        >>> from theory.network.models import Plain
        >>> replace(Plain().network(activation("erf"), labels("erf")), objective="correlation").caution
        ''
        """
        if not self.unheld:
            return ""
        sizes = ", ".join(part.name if isinstance(part, Symbol) else f"|{part.name}|" for part in self.unheld)
        held = "nothing but weight decay" if set(self.unheld) & set(self.penalty) else "nothing"
        return (
            f"correlation loss: it has no term of the student's own, so that {held} holds {sizes}, which may grow "
            "without bound; the time until |m| reaches a threshold is defined, an end of training is not"
        )

    @property
    def is_single_index(self) -> bool:
        """Whether it is one unit of coefficient 1 on one link along a unit vector: the entries are then q and r."""
        match (*self.ridges, *self.teacher.ridges):
            case (student, target):
                is_unit = self.gram.inner(target.weight, target.weight) == 1
                return is_unit and student.coefficient == target.coefficient == 1
        return False

    @cached_property
    def decimals(self) -> Constants:
        """What the decimals of its functions are written as."""
        given = self.teacher.labels
        ridges = (*self.ridges, *(self.teacher.ridges if given is None else ()))
        return Constants.of(*(ridge.function.source for ridge in ridges), *(() if given is None else given.sources))

    @cached_property
    def written(self) -> Network:
        """The network with named constants in the place of long decimals of its functions; itself without any."""
        constants, teacher = self.decimals, self.teacher
        if not constants.named:
            return self
        units, terms = (
            tuple(replace(ridge, function=ridge.function.written(constants)) for ridge in ridges)
            for ridges in (self.ridges, teacher.ridges)
        )
        labels = None if teacher.labels is None else teacher.labels.written(constants)
        return replace(self, ridges=units, teacher=replace(teacher, ridges=terms, labels=labels))

    @property
    def weight(self) -> Combination:
        """The weight w of a single-index student."""
        return self._single().weight

    @property
    def target(self) -> Combination:
        """The direction w* of a single-index teacher."""
        self._single()
        return self.teacher.ridges[0].weight

    @property
    def student(self) -> Activation:
        """The link sigma of a single-index student."""
        return self._single().function

    @property
    def labels(self) -> Labels:
        """The labels of a single-index network."""
        self._single()
        if self.teacher.labels is not None:
            return self.teacher.labels
        return Labels(self.teacher.ridges[0].function, noise=self.teacher.noise)

    def _single(self) -> Ridge:
        if not self.is_single_index:
            raise InputError(
                f"network {self.name} of {len(self.ridges)} units and {len(self.teacher.ridges)} teacher terms given; "
                "accepted here: a single-index network, one unit of coefficient 1 on one link along a unit vector."
            )
        return self.ridges[0]

    @cached_property
    def vectors(self) -> tuple[Vector, ...]:
        """The trained vectors, in the order of the overlaps."""
        vectors = dict.fromkeys(v for pair in self.overlaps.values() for v in pair if v.is_trained)
        return tuple(vectors)

    @cached_property
    def frozen(self) -> tuple[Vector, ...]:
        """The frozen vectors: those of the teacher first, then those of the weights, then those only watched."""
        weights = [ridge.weight for ridge in (*self.teacher.ridges, *self.ridges)]
        seen = [v for weight in weights for v, _ in weight.parts] + [v for pair in self.overlaps.values() for v in pair]
        return tuple(dict.fromkeys(v for v in seen if not v.is_trained))

    @property
    def states(self) -> tuple[Symbol, ...]:
        """The state variables: trained scalars, then overlaps."""
        return (*self.scalars, *self.overlaps)

    @property
    def weights(self) -> tuple[Combination, ...]:
        """The weights of the units."""
        return tuple(ridge.weight for ridge in self.ridges)

    @cached_property
    def entries(self) -> dict[Symbol, Argument]:
        """What the loss depends on, inner products of weights as pairs: q and r, or R_ij and Q_ik."""
        if self.is_single_index:
            return {q: (self.weight, self.target), r: (self.weight, self.weight)}
        entries: dict[Symbol, Argument] = {}
        for i, w in self._numbered(self.ridges):
            for j, target in self._numbered(self.teacher.ridges):
                entries[Symbol(f"R_{i}{j}", real=True)] = (w, target)
        for i, w in self._numbered(self.ridges):
            entries[Symbol(f"Q_{i}{i}", positive=True)] = (w, w)
            for k, other in self._numbered(self.ridges[i:]):
                entries[Symbol(f"Q_{i}{i + k}", real=True)] = (w, other)
        return entries

    @staticmethod
    def _numbered(ridges: tuple[Ridge, ...]) -> Iterator[tuple[int, Combination]]:
        return ((i, ridge.weight) for i, ridge in enumerate(ridges, 1))

    @cached_property
    def slopes(self) -> dict[Symbol, Symbol]:
        """The symbol of dL/dX for every entry X: L_q and L_r, or L_R_ij and L_Q_ik."""
        if self.is_single_index:
            return {q: L_q, r: L_r}
        return {name: Symbol(f"L_{name.name}", real=True) for name in self.entries}

    @cached_property
    def coefficient_slopes(self) -> dict[int, Symbol]:
        """The symbol of dL/da_i for every unit i (from 0) whose coefficient is trained."""
        trained = set(self.scalars)
        units = enumerate(self.ridges)
        return {i: Symbol(f"L_a_{i + 1}", real=True) for i, unit in units if unit.coefficient.free_symbols & trained}

    @cached_property
    def noise_covariance(self) -> sp.MatrixBase:
        """The symbols C_ik = E[c_i c_k], c_i = a_i sigma_i'(l_i) (c f - y): J of a single-index network."""
        size = len(self.ridges)
        if self.is_single_index:
            return sp.Matrix([[J]])

        def symbol(i: int, k: int) -> Symbol:
            i, k = sorted((i + 1, k + 1))
            return Symbol(f"C_{i}{k}", nonnegative=True) if i == k else Symbol(f"C_{i}{k}", real=True)

        return sp.Matrix(size, size, symbol)

    @cached_property
    def watched(self) -> tuple[Vector, Vector]:
        """The pair (v, b) whose cosine's modulus makes the exit."""
        return self.progress or next(pair for pair in self.overlaps.values() if pair[0] != pair[1])

    @cached_property
    def alignment(self) -> Expr:
        """<v, b>/|v| of the watched pair, in the states: m for LoRA."""
        v, b = map(Combination.of, self.watched)
        return self.gram.inner(v, b) / sp.sqrt(self.gram.inner(v, v))

    @cached_property
    def functions(self) -> tuple[Activation, ...]:
        """The links of the units, then those of the teacher."""
        return tuple(dict.fromkeys(ridge.function for ridge in (*self.ridges, *self.teacher.ridges)))

    def require_formulas(self) -> None:
        """Raise `NoFormulaError` where a function has no formula, so that there are no numbers."""
        refuse_undefined(*(f.expr for f in self.functions))

    @cached_property
    def domain(self) -> tuple[Parameter, ...]:
        """The parameters of functions, label noise and scale, by name, and where they lie.

        Raises `InputError` where two of them declare one name differently.
        """
        known: dict[str, Parameter] = {}
        declared = [p for f in self.functions for p in f.domain if p.symbol in f.parameters]
        labels, noise = self.teacher.labels, self.teacher.noise
        given = [*(p for f in self.functions for p in f.domain), *self.declared, *declared]
        declared += () if labels is None else [p for p in labels.domain if p not in declared]
        declared += domain_of(sp.Tuple(noise, *self._in_scale), given)
        for parameter in declared:
            if known.setdefault(parameter.name, parameter).symbol != parameter.symbol:
                raise InputError(
                    f"parameter {parameter.name} declared as {known[parameter.name]} and as {parameter}; accepted: one "
                    "declaration, shared by student, teacher and label."
                )
        return tuple(known[name] for name in sorted(known))

    @property
    def _in_scale(self) -> tuple[Symbol, ...]:
        """The symbols of the scale that are no letters of the model."""
        return tuple(s for s in parameters_of(self.scale) if s not in (*self.parameters, *self.states))

    @property
    def parameters_of_functions(self) -> tuple[Symbol, ...]:
        """The parameters of functions, label noise and scale: the network describes a family."""
        return tuple(parameter.symbol for parameter in self.domain)

    @cached_property
    def example(self) -> dict[Symbol, Expr]:
        """A generic point of the parameters of the functions, in their chamber; empty for single functions."""
        if not self.domain:
            return {}
        place = () if self.teacher.labels is None else self.teacher.labels.place
        known = dict([*(pair for f in self.functions for pair in f.point), *place])
        return {p.symbol: known.get(p.symbol, value) for p, value in zip(self.domain, self._middle, strict=True)}

    @property
    def _middle(self) -> tuple[Expr, ...]:
        (place,) = points(self.domain, 1)
        return tuple(place[p.symbol] for p in self.domain)

    @cached_property
    def conditions(self) -> tuple[Expr, ...]:
        """What is positive in the chamber of the parameters in which the functions have these formulas."""
        learnt = ()
        if self.domain and self.teacher.labels is not None:
            with suppress(InputError):  # a simulation needs no loss
                learnt = self.teacher.labels.derived
        return tuple(dict.fromkeys(condition for f in (*self.functions, *learnt) for condition in f.conditions))

    def accepts(self, values: Mapping[str, float]) -> None:
        """Check the model's parameters and those of the functions, given by name.

        Raises `ParameterError` outside their domains, where numbers grow too large, or outside the chamber in which the
        formulas hold, and `NoFormulaError` where a function has no formula to put numbers into.
        """
        self.require_formulas()
        self.check(values)
        given = exact_values(self.domain, {p.name: float(values[p.name]) for p in self.domain if p.name in values})
        for f in self.functions:
            check_numbers(f.unresolved, given)
        if given and not holds([c for c in self.conditions if c.free_symbols <= given.keys()], given):
            shown = ", ".join(f"{symbol} = {float(number):.6g}" for symbol, number in given.items())
            raise ParameterError(
                f"{shown} given; accepted with this formula: {' and '.join(conditions_in_words(self.conditions))}; "
                "elsewhere another one holds: `system.within(...)` derives it."
            )

    def within(self, values: Mapping[str, float | Expr | str]) -> Network:
        """Return the network with its functions in the chamber of these values of their parameters.

        On a wall between two chambers, the values are put in: no formula with parameters holds there.
        """
        if not self.domain:
            return self
        given = exact_values(self.domain, values)
        if len(given) < len(self.domain) or not self.conditions or holds(self.conditions, given):
            return self
        try:
            moved = self._mapped(lambda f: f.within(given), {})
            labels = moved.teacher.labels
            if labels is None:
                return moved
            near = labels.near(given)
            with suppress(NotIntegrableError, NotRealError):  # a simulation needs no loss
                _ = near.derived
            return replace(moved, teacher=replace(moved.teacher, labels=near))
        except OpenSignError:
            return self.member(values)

    def member(self, values: Mapping[str, float | Expr | str]) -> Network:
        """Return the network with values for parameters of its functions, put into them.

        Raises `ParameterError` for a value outside the domain of its parameter.

        >>> from theory.language.activations import activation
        >>> from theory.language.labels import labels
        >>> from theory.network.models import Plain
        >>> family = activation("erf(beta*x)", {"beta": "> 0"})
        >>> Plain().network(family, labels(family)).member({"beta": 1}).student.expr
        erf(x)
        """
        given = exact_values(self.domain, values)
        texts = {symbol.name: values[symbol.name] for symbol in given}
        return self._mapped(lambda f: f.at(texts), given) if given else self

    def _mapped(self, change: Callable[[Activation], Activation], values: Mapping[Symbol, Expr]) -> Network:
        """Return the network with other functions, and values put in where parameters stand outside of them."""

        def put(ridge: Ridge) -> Ridge:
            coefficient, weight = ridge.coefficient.xreplace(values), ridge.weight.put(values)
            return Ridge(coefficient, change(ridge.function), weight)

        given = self.teacher.labels
        labels = None
        if given is not None:
            labels = replace(
                given,
                link=change(given.link),
                transform=given.transform.xreplace(values),
                noise=given.noise.xreplace(values),
                declared=tuple(p for p in given.declared if p.symbol not in values),
                place=tuple((symbol, value) for symbol, value in given.place if symbol not in values),
            )
        terms, noise = tuple(map(put, self.teacher.ridges)), self.teacher.noise.xreplace(values)
        kept = {symbol: number for symbol, number in self.values.items() if symbol not in values}
        teacher = replace(self.teacher, ridges=terms, noise=noise, labels=labels)
        units, scale = tuple(map(put, self.ridges)), self.scale.xreplace(values)
        declared = tuple(p for p in self.declared if p.symbol not in values)
        return replace(self, ridges=units, teacher=teacher, scale=scale, values=kept, declared=declared)

    @property
    def extra_parameters(self) -> tuple[Symbol, ...]:
        """Parameters of the functions, Delta where the noise is left a symbol, and symbols in the penalty."""
        held = (self.teacher.noise.free_symbols & {Delta}) | {*self.parameters_of_functions}
        held |= {symbol for decay in self.penalty.values() for symbol in sp.sympify(decay).free_symbols}
        return tuple(sorted(held - set(self.parameters), key=str))

    def at(self, **values: float | Expr) -> Network:
        """Return the network with numbers for all its parameters, by name.

        Raises `ParameterError` for a parameter that is missing, unknown or outside its domain.

        >>> from theory.language.activations import activation
        >>> from theory.language.labels import labels
        >>> from theory.network.models import Plain
        >>> Plain().network(activation("relu"), labels("relu")).at().values
        {}
        """
        known = {symbol.name: symbol for symbol in (*self.parameters, *self.extra_parameters)}
        given = {name: exact(value, name) for name, value in values.items() if value is not None}
        if set(given) != set(known):
            missing, unknown = ", ".join(sorted({*known} - {*given})), ", ".join(sorted({*given} - {*known}))
            remedy = " and ".join(filter(None, (missing and f"give {missing}", unknown and f"leave out {unknown}")))
            accepted = f"a value by name for each of {', '.join(known)}" if known else "none"
            shown = ", ".join(f"{name} = {values[name]!r}" for name in sorted(given)) or "none"
            raise ParameterError(f"parameters {shown} with model {self.name} given; accepted: {accepted}; {remedy}.")
        for name, value in given.items():
            if value.is_number is not True or value.is_extended_real is False:
                raise ParameterError(f"{name} = {values[name]!r} given; accepted: a real number; substitute symbols.")
        self.accepts({name: float(value) for name, value in given.items()})
        return replace(self, values={known[name]: value for name, value in given.items()})

    def named(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return the parameters' values as floats by name; raises as `at`."""
        return {symbol.name: float(value) for symbol, value in self.at(**values).values.items()}


def _name(key: Symbol | Vector) -> str:
    return key.name
