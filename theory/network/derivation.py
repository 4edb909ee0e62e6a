r"""From a student, a teacher and a model to a `System`: the Gram rule applied.

For every trainable scalar p:  dp/dt = -sum_j L_{X_j} dX_j/dp; for every overlap <v, b>:  <dv/dt, b> + <v, db/dt>,
with dv/dt from `theory.network.vectors.velocity`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache, wraps
from inspect import Parameter as Kind
from inspect import signature
from typing import Any, Concatenate, ParamSpec, TypeVar

import sympy as sp
from sympy import Expr, S, Symbol

from theory.calculus.undefined import Undefined, defined, refuse_undefined
from theory.errors import NoFormulaError, ParameterError
from theory.language.activations import Activation, activation, exact_values, member
from theory.language.families import shared_point
from theory.language.functions import Functions
from theory.language.labels import Labels, labels, shown_labels
from theory.language.parameters import Declarations, Parameter, declared, domain_of
from theory.language.scalars import scalar
from theory.network.models import Model
from theory.network.models import model as find_model
from theory.network.objectives import objective as find_objective
from theory.network.ridges import Network
from theory.network.system import System
from theory.network.vectors import Combination, Vector, gradient, velocity
from theory.symbols import alpha as alpha_symbol
from theory.symbols import x, y

__all__ = ["blank", "derive", "network_of", "system_of", "takes_families", "takes_text", "velocities"]

Given = str | Expr | Activation | System
P = ParamSpec("P")
R = TypeVar("R")


def velocities(network: Network) -> dict[Symbol, Expr]:
    """Return d(state)/dt under gradient flow (t = eta * step), in the states and the slopes of the loss.

    >>> from theory.language.activations import activation
    >>> from theory.language.labels import labels
    >>> from theory.network.models import Plain
    >>> velocities(Plain().network(activation("erf"), labels("erf")))
    {m: L_q*(m - 1)*(m + 1)}
    """
    arguments, gram = network.entries, network.gram
    partials = network.slopes
    speeds: dict[Symbol, Expr] = {}
    for p in network.scalars:
        total = sp.Add(
            *[
                partials[name] * (gram.inner(left.diff(p), right) + gram.inner(left, right.diff(p)))
                for name, (left, right) in arguments.items()
            ],
            *[slope * sp.diff(network.ridges[i].coefficient, p) for i, slope in network.coefficient_slopes.items()],
            network.penalty.get(p, S.Zero) * p,
        )
        names = [*partials.values(), *network.coefficient_slopes.values()]
        speeds[p] = sp.collect(sp.expand(-total), names, sp.factor_terms)
    for overlap, (v, b) in network.overlaps.items():
        flow = {w: velocity(gram, _descent(network, w), w) for w in {v, b}}
        speed = gram.inner(flow[v], Combination.of(b)) + gram.inner(Combination.of(v), flow[b])
        speeds[overlap] = sp.factor(speed)
    return speeds


def _descent(network: Network, v: Vector) -> Combination:
    """Return grad_v of the loss and of the penalty."""
    decay = Combination.of({v: network.penalty.get(v, S.Zero)})
    return gradient(network.slopes, network.entries, v) + decay


def derive(
    student: str | Expr | Activation,
    teacher: str | Expr | Activation | None = None,
    *,
    model: str | Model = "lora",
    label: str | Expr | None = None,
    noise: float | str | Expr = S.Zero,
    alpha: float | str | Expr = S.One,
    objective: str | None = None,
    parameters: Declarations = None,
    functions: Functions = None,
    near: Mapping[str, float | Expr | str] | None = None,
) -> System:
    """Derive the dynamics of `student` learning y = T(phi(<w*, x>) + noise) by one-pass SGD, for small steps.

    Args:
        student: activation sigma, as text, SymPy expression or `Activation`.
        teacher: link phi; the student's own activation by default.
        model: "lora" (w = mu w* + alpha u v), "misaligned" (w = w0 + alpha u v), "plain" (w = v on the sphere) or
            "pretrain" (w free, on a source teacher), or a model of your own.
        label: label transform T, text or expression in y such as "y**2"; the identity by default.
        noise: variance Delta of the label noise: a number, `theory.symbols.Delta`, or an expression of parameters, as
            text too, that is proved to be >= 0 on their domain.
        alpha: fixed LoRA scale: a number, `theory.symbols.alpha`, or an expression of parameters that is > 0.
        objective: what is minimised, "squared" or "correlation" (L = -K(q, r) + E y^2/2); by default what the model
            says, the squared loss for those of the library.
        parameters: what student, teacher, label, noise and alpha have besides x and y: declarations such as
            {"beta": "> 0"} or ["a", "0 < b < 2"]. Symbols of SymPy expressions declare themselves. A name is shared.
        functions: names of functions of one argument without a formula, which student and teacher may use: what is
            derived holds for all of them, expectations are left as they are.
        near: values of the parameters, in whose chamber a family is derived; of a generic point by default.

    Raises:
        InputError: text that is no activation, a function that is not real or not integrable, a label transform that
            leaves the loss undefined or is one of a function without a formula, an unknown model or objective.

    >>> system = derive("linear")
    >>> system.odes[system.states[0]]
    -m*mu + m - u
    >>> system.escape.A, system.escape.B
    (1 - mu, -1)
    >>> derive("linear", model="misaligned", noise=0.1).states
    (u, m, s)
    >>> derive("he3", objective="correlation").escape.tau  # nothing of the student's own: B = 0
    1/(18*mu**2)
    >>> leaky = derive("max(x, 0) + a*min(x, 0)", parameters={"a": "real"})
    >>> sp.factor(leaky.escape.A), leaky.parameters
    (-(a**2 + 1)*(mu - 1)/2, (mu, a))
    >>> noisy = derive("linear", model="misaligned", noise="c", alpha="a", parameters=["a > 0", "c >= 0"])
    >>> noisy.loss, noisy.odes[noisy.states[0]], noisy.parameters
    (c/2 - q + r/2 + 1/2, -a**2*u + a*m - a*s, (mu, rho, a, c))
    >>> derive("sigma(x)", teacher="phi(x)", functions=["sigma", "phi"]).loss_function.gradient()[0]
    -GaussianKernel(sigma'(x), phi'(x), q, r)
    """
    sigma, phi, domain = _links(student, teacher, parameters, functions, near)
    if phi.undefined and label is not None and label != y:
        raise NoFormulaError(
            f"label {label} of {phi.name}, which has no formula, given; accepted: the label as it is, and T(phi(x)) "
            "written as the teacher, such as teacher 'phi(x)**2'."
        )
    given = _near(labels(phi, transform=label, noise=noise, parameters=domain), near)
    wanted = None if objective is None else find_objective(objective).name
    posed, own = _parametrisation(model, alpha, (*domain, *phi.domain))
    system = _derive(posed, sigma, given, (sigma.name, given.mean.name), wanted, own)
    idle = tuple(p for p in domain if p.symbol not in system.network.parameters_of_functions)
    return replace(system, idle=idle) if idle else system


def takes_text(verb: Callable[Concatenate[System, P], R]) -> Callable[Concatenate[Given, P], R]:
    """Let a verb of a system also take an activation, as text or otherwise, and values of a family's parameters.

    The system is then `derive` of the activation. The values are keywords, as `beta=0.7`, or stand in `parameters`;
    they are put into the functions before anything is computed.

    >>> @takes_text
    ... def parameters(system):
    ...     return system.parameters
    >>> parameters("relu"), parameters(derive("relu", model="plain"))
    ((mu,), ())
    >>> family = derive("erf(beta*x)", parameters={"beta": "> 0"})
    >>> parameters(family), parameters(family, beta=0.7)
    ((mu, beta), (mu,))
    """
    return _given(verb, put=True)


def takes_families(verb: Callable[Concatenate[System, P], R]) -> Callable[Concatenate[Given, P], R]:
    """Do as `takes_text` for a verb whose `parameters` may hold those of a family.

    What is compiled for a family then serves all its members. The family is in the chamber of the values, or, on a
    wall between two chambers, has them put in.

    >>> @takes_families
    ... def conditions(system, *, parameters=None):
    ...     return system.network.conditions, parameters
    >>> conditions(derive("max(a*x, 0)", parameters="a"), a=2)
    ((a,), {'a': 2})
    """
    return _given(verb, put=False)


def _given(verb: Callable[Concatenate[System, P], R], *, put: bool) -> Callable[Concatenate[Given, P], R]:
    own = signature(verb).parameters
    gathers = "parameters" in own and own["parameters"].kind is not Kind.VAR_KEYWORD
    flat = any(p.kind is Kind.VAR_KEYWORD for p in own.values())

    @wraps(verb)
    def of(system: Given, *args: Any, **options: Any) -> R:
        whole = system if isinstance(system, System) else derive(system)
        names = [p.name for p in whole.network.domain]
        _without(whole, options, gathers=gathers, taken=set(own))
        if not names:
            return verb(whole, *args, **options)
        given = dict(options.get("parameters") or {}) if gathers else {}
        given |= {name: options.pop(name) for name in names if name in options and name not in set(own) - {"system"}}
        values = {name: given[name] for name in names if name in given and not _is_array(given[name])}
        arrays = [name for name in given if name in names and name not in values]
        if arrays and not (gathers or flat):
            raise ParameterError(f"{arrays[0]} given as an array; accepted here: one value; search_times takes arrays.")
        member = whole.member(values) if put else whole.within(values) if len(values) == len(names) else whole
        still = {p.name for p in member.network.domain}
        left = {name: value for name, value in given.items() if name not in names or name in still}
        if gathers and (left or "parameters" in options):
            options["parameters"] = left
        elif flat:
            options.update(left)
        return verb(member, *args, **options)

    return of


def _without(whole: System, options: dict[str, Any], *, gathers: bool, taken: set[str]) -> None:
    """Check values of parameters that are in none of the functions, and take them out: they change nothing."""
    idle = {p.name: p for p in whole.idle}
    values = [(name, options.pop(name)) for name in idle if name in options and name not in taken]
    if gathers and idle.keys() & (options.get("parameters") or {}).keys():
        values += [(name, value) for name, value in options["parameters"].items() if name in idle]
        options["parameters"] = {name: value for name, value in options["parameters"].items() if name not in idle}
    for name, value in values:
        for one in map(float, value) if _is_array(value) else (value,):
            exact_values((idle[name],), {name: one})


def _is_array(value: object) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, str)


def network_of(
    student: str | Expr | Activation,
    teacher: str | Expr | Activation | None = None,
    *,
    model: str | Model = "lora",
    label: str | Expr | None = None,
    noise: float | str | Expr = S.Zero,
    alpha: float | str | Expr = S.One,
    objective: str | None = None,
    parameters: Declarations = None,
    near: Mapping[str, float | Expr | str] | None = None,
) -> Network:
    """Return the description alone, for a simulation; arguments as `derive`, but the loss need not be defined.

    Raises `NoFormulaError` for a function without a formula.

    >>> network_of("relu", label="y/(1 + y**2)", noise=0.1).name
    'lora'
    """
    sigma, phi, domain = _links(student, teacher, parameters, None, near)
    refuse_undefined(sigma.expr, phi.expr)
    given = _near(shown_labels(phi, transform=label, noise=noise, parameters=domain), near)
    posed, own = _parametrisation(model, alpha, (*domain, *phi.domain))
    return _posed(posed, sigma, given, objective, own)


def _links(
    student: str | Expr | Activation,
    teacher: str | Expr | Activation | None,
    parameters: Declarations,
    functions: Functions,
    near: Mapping[str, float | Expr | str] | None,
) -> tuple[Activation, Activation, tuple[Parameter, ...]]:
    """Return student and teacher, families in the chamber of one point, and the parameters that were declared."""
    domain = declared(parameters)
    sigma = activation(student, domain, functions)
    phi = sigma if teacher is None else activation(teacher, domain, functions)
    sigma, phi = lettered(sigma, phi)
    if not (sigma.is_family or phi.is_family):
        return sigma, phi, domain
    shared = {p.name: p for f in (sigma, phi) for p in f.domain} | {p.name: p for p in domain}
    place = exact_values(shared.values(), near or {})
    if len(place) < len(shared) and (sigma.conditions or phi.conditions or place):
        generic = shared_point([f.unresolved for f in (sigma, phi)], tuple(shared[name] for name in sorted(shared)))
        place = {**generic, **place}
    if place:
        sigma, phi = sigma.within(place), phi.within(place)
    return sigma, phi, tuple(shared.values())


def _near(given: Labels, near: Mapping[str, float | Expr | str] | None) -> Labels:
    """Return labels with what is learnt in the chamber of values that were asked for."""
    own = [p for p in given.domain if p.name in (near or {})]
    return given.near(exact_values(own, {p.name: (near or {})[p.name] for p in own})) if own else given


def lettered(sigma: Activation, phi: Activation) -> tuple[Activation, Activation]:
    r"""Rename functions without a formula where a letter of the theory would have two meanings.

    `sigma` is the whole student and `phi` the whole teacher in all that is printed; inside of more, as in x sigma(x),
    they become sigmatilde and phitilde.

    >>> student = activation("x*sigma(x)", functions=["sigma"])
    >>> lettered(student, student)[0].expr
    x*sigmatilde(x)
    """
    names = {name for f in (sigma, phi) for name in f.undefined}
    whole = (("sigma", sigma), ("phi", phi))
    taken = {name for name, f in whole if name in names and f.expr != Undefined(name, 0, x)}
    if not taken:
        return sigma, phi

    def renamed(f: Activation) -> Activation:
        new = {name: Undefined(f"{name}tilde", 0, x) for name in taken}
        return member(f.name, defined(f.unresolved, new), f.domain) if set(f.undefined) & taken else f

    return renamed(sigma), renamed(phi)


@lru_cache(maxsize=64)
def blank(model: str | Model) -> Network:
    """Return a model's network with linear links: its vectors, states and parameters do not depend on them.

    >>> blank("misaligned").parameters
    (mu, rho)
    """
    return network_of("linear", model=model)


def _parametrisation(
    model: str | Model, alpha: float | str | Expr, domain: tuple[Parameter, ...]
) -> tuple[Model, tuple[Parameter, ...]]:
    """Return the model of a scale, and the parameters of the scale."""
    scale = alpha_symbol if alpha == alpha_symbol else scalar(alpha, "alpha", domain, positive=True)
    own = () if scale == alpha_symbol else domain_of(scale, domain)
    return find_model(model, scale), own


@lru_cache(maxsize=256)
def _derive(
    parametrisation: Model,
    sigma: Activation,
    given: Labels,
    _names: tuple[str, str],
    objective: str | None,
    declared: tuple[Parameter, ...],
) -> System:
    """Derive a system; equal activations of other names (which the system prints) are other entries."""
    return system_of(_posed(parametrisation, sigma, given, objective, declared))


def _posed(
    parametrisation: Model, sigma: Activation, given: Labels, objective: str | None, declared: tuple[Parameter, ...]
) -> Network:
    """Return a model's network with an objective, its own if None, and the parameters of its scale."""
    network = parametrisation.network(sigma, given)
    if declared:
        network = replace(network, declared=declared)
    return network if objective is None else replace(network, objective=objective)


def system_of(network: Network) -> System:
    """Derive the dynamics of a network of any number of units.

    >>> from theory.language.activations import activation
    >>> from theory.language.labels import labels
    >>> from theory.network.models import Plain
    >>> system_of(Plain().network(activation("linear"), labels("linear"))).velocities
    {m: L_q*(m - 1)*(m + 1)}
    """
    entries = {name: network.gram.inner(left, right) for name, (left, right) in network.entries.items()}
    parameters = (*network.parameters, *network.extra_parameters)
    _ = network.conditions  # labels that leave the loss undefined, and names that two declare differently, are refused
    return System(network, network.states, parameters, entries, velocities(network))
