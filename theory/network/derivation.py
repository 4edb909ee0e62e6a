r"""From a student, a teacher and a model to a `System`: the Gram rule applied.

For every trainable scalar p:  dp/dt = -sum_j L_{X_j} dX_j/dp; for every overlap <v, b>:  <dv/dt, b> + <v, db/dt>,
with dv/dt from `theory.network.vectors.velocity`.
"""

from __future__ import annotations

from functools import lru_cache

import sympy as sp
from sympy import Expr, S, Symbol

from theory.calculus.nodes import exact
from theory.language.activations import Activation, activation
from theory.language.labels import Labels, labels
from theory.network.loss import Loss
from theory.network.models import Model, loss_arguments
from theory.network.models import model as find_model
from theory.network.system import System
from theory.network.vectors import Combination, gradient, velocity
from theory.symbols import Delta, L_q, L_r, q, r

__all__ = ["derive", "velocities"]

PARTIALS = {q: L_q, r: L_r}


def velocities(model: Model) -> dict[Symbol, Expr]:
    """Return d(state)/dt under gradient flow (t = eta * step), in the states, L_q and L_r.

    >>> from theory.network.models import Plain
    >>> velocities(Plain())
    {m: L_q*(m - 1)*(m + 1)}
    """
    arguments, gram = loss_arguments(model), model.gram
    found: dict[Symbol, Expr] = {}
    for p in model.scalars:
        total = sp.Add(
            *[
                PARTIALS[name] * (gram.inner(left.diff(p), right) + gram.inner(left, right.diff(p)))
                for name, (left, right) in arguments.items()
            ]
        )
        found[p] = sp.collect(sp.expand(-total), list(PARTIALS.values()), sp.factor_terms)
    for overlap, (v, b) in model.overlaps.items():
        flow = {w: velocity(gram, gradient(PARTIALS, arguments, w), w) for w in {v, b}}
        speed = gram.inner(flow[v], Combination.of(b)) + gram.inner(Combination.of(v), flow[b])
        found[overlap] = sp.factor(speed)
    return found


def derive(
    student: str | Expr | Activation,
    teacher: str | Expr | Activation | None = None,
    *,
    model: str | Model = "lora",
    label: str | Expr | None = None,
    noise: float | Expr = S.Zero,
    alpha: float | Expr = S.One,
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

    Raises:
        InputError: text that is no activation, a function that is not real or not integrable, a label transform that
            leaves the loss undefined, an unknown model.

    >>> system = derive("linear")
    >>> system.odes[system.states[0]]
    -m*mu + m - u
    >>> system.escape.A, system.escape.B
    (1 - mu, -1)
    >>> derive("linear", model="misaligned", noise=0.1).states
    (u, m, s)
    """
    sigma = activation(student)
    given = labels(sigma if teacher is None else activation(teacher), transform=label, noise=noise)
    scale = sp.nsimplify(alpha, rational=True) if isinstance(alpha, float) else exact(alpha, "alpha")
    return _derive(sigma, given, find_model(model, scale), (sigma.name, given.mean.name))


@lru_cache(maxsize=256)
def _derive(sigma: Activation, given: Labels, parametrisation: Model, _names: tuple[str, str]) -> System:
    """Assemble the system; equal activations of other names (which the system prints) are other entries."""
    arguments = {
        name: parametrisation.gram.inner(left, right) for name, (left, right) in loss_arguments(parametrisation).items()
    }
    states = (*parametrisation.scalars, *parametrisation.overlaps)
    extra = sorted(given.second_moment.free_symbols & {Delta}, key=str)
    return System(
        Loss(sigma, given),
        parametrisation,
        states,
        (*parametrisation.parameters, *extra),
        arguments,
        velocities(parametrisation),
    )
