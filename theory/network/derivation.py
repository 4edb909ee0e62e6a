r"""From a student, a teacher and a model to a `System`: the Gram rule applied.

For every trainable scalar p:  dp/dt = -sum_j L_{X_j} dX_j/dp; for every overlap <v, b>:  <dv/dt, b> + <v, db/dt>,
with dv/dt from `theory.network.vectors.velocity`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, wraps
from typing import Concatenate, ParamSpec, TypeVar

import sympy as sp
from sympy import Expr, S, Symbol

from theory.calculus.nodes import exact
from theory.language.activations import Activation, activation
from theory.language.labels import Labels, labels, shown_labels
from theory.network.models import Model
from theory.network.models import model as find_model
from theory.network.objectives import objective as find_objective
from theory.network.ridges import Network
from theory.network.system import System
from theory.network.vectors import Combination, Vector, gradient, velocity

__all__ = ["blank", "derive", "network_of", "system_of", "takes_text", "velocities"]

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
    noise: float | Expr = S.Zero,
    alpha: float | Expr = S.One,
    objective: str | None = None,
) -> System:
    """Derive the dynamics of `student` learning y = T(phi(<w*, x>) + noise) by one-pass SGD, for small steps.

    Args:
        student: activation sigma, as text, SymPy expression or `Activation`.
        teacher: link phi; the student's own activation by default.
        model: "lora" (w = mu w* + alpha u v), "misaligned" (w = w0 + alpha u v), "plain" (w = v on the sphere) or
            "pretrain" (w free, on a source teacher), or a model of your own.
        label: label transform T, text or expression in y such as "y**2"; the identity by default.
        noise: variance Delta of the label noise, a number or `theory.symbols.Delta`.
        alpha: fixed LoRA scale, a number or `theory.symbols.alpha`.
        objective: what is minimised, "squared" or "correlation" (L = -K(q, r) + E y^2/2); by default what the model
            says, the squared loss for those of the library.

    Raises:
        InputError: text that is no activation, a function that is not real or not integrable, a label transform that
            leaves the loss undefined, an unknown model or objective.

    >>> system = derive("linear")
    >>> system.odes[system.states[0]]
    -m*mu + m - u
    >>> system.escape.A, system.escape.B
    (1 - mu, -1)
    >>> derive("linear", model="misaligned", noise=0.1).states
    (u, m, s)
    >>> derive("he3", objective="correlation").escape.tau  # nothing of the student's own: B = 0
    1/(18*mu**2)
    """
    sigma = activation(student)
    given = labels(sigma if teacher is None else activation(teacher), transform=label, noise=noise)
    wanted = None if objective is None else find_objective(objective).name
    return _derive(_parametrisation(model, alpha), sigma, given, (sigma.name, given.mean.name), wanted)


def takes_text(verb: Callable[Concatenate[System, P], R]) -> Callable[Concatenate[Given, P], R]:
    """Let a verb of a system also take an activation, as text or otherwise: the system is then `derive` of it.

    >>> @takes_text
    ... def parameters(system):
    ...     return system.parameters
    >>> parameters("relu"), parameters(derive("relu", model="plain"))
    ((mu,), ())
    """

    @wraps(verb)
    def of(system: Given, *args: P.args, **options: P.kwargs) -> R:
        return verb(system if isinstance(system, System) else derive(system), *args, **options)

    return of


def network_of(
    student: str | Expr | Activation,
    teacher: str | Expr | Activation | None = None,
    *,
    model: str | Model = "lora",
    label: str | Expr | None = None,
    noise: float | Expr = S.Zero,
    alpha: float | Expr = S.One,
    objective: str | None = None,
) -> Network:
    """Return the description alone, for a simulation; arguments as `derive`, but the loss need not be defined.

    >>> network_of("relu", label="y/(1 + y**2)", noise=0.1).name
    'lora'
    """
    sigma = activation(student)
    given = shown_labels(sigma if teacher is None else activation(teacher), transform=label, noise=noise)
    return _posed(_parametrisation(model, alpha), sigma, given, objective)


@lru_cache(maxsize=64)
def blank(model: str | Model) -> Network:
    """Return a model's network with linear links: its vectors, states and parameters do not depend on them.

    >>> blank("misaligned").parameters
    (mu, rho)
    """
    return network_of("linear", model=model)


def _parametrisation(model: str | Model, alpha: float | Expr) -> Model:
    scale = sp.nsimplify(alpha, rational=True) if isinstance(alpha, float) else exact(alpha, "alpha")
    return find_model(model, scale)


@lru_cache(maxsize=256)
def _derive(
    parametrisation: Model, sigma: Activation, given: Labels, _names: tuple[str, str], objective: str | None
) -> System:
    """Derive a system; equal activations of other names (which the system prints) are other entries."""
    return system_of(_posed(parametrisation, sigma, given, objective))


def _posed(parametrisation: Model, sigma: Activation, given: Labels, objective: str | None) -> Network:
    """Return a model's network with an objective, its own if None."""
    network = parametrisation.network(sigma, given)
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
    return System(network, network.states, parameters, entries, velocities(network))
