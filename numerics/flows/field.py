r"""From a System to native code: its velocity and Jacobian in three stages, never expanding the loss in the states.

    (q, r, D) from the states  ->  F = (L_q, L_r, ...) from (q, r, D)  ->  velocities v from states and F
    dv_i/dx_j = v_i,j + sum_k v_i,F_k (F_k,q q_j + F_k,r r_j + F_k,D D_j)

with D = r - q^2 in its own formula (floored at 2^-500, so that quotients 0/0 at the edge have their limits). The
derivatives are SymPy's, stage by stage, so that their size stays that of the stages. Functions F without a closed form
come from the table of a `numerics.flows.surrogate`. The source is a module of its own in the cache folder, named by its
content, so that numba keeps the machine code between processes.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any

import sympy as sp
from sympy import Expr, Symbol

from numerics.compile import codegen
from numerics.compile.keeping import generated
from numerics.flows import surrogate
from numerics.flows.engines import stepping
from theory.calculus.expectations import is_closed
from theory.network.system import GAP, System
from theory.symbols import q, r, t

__all__ = ["SOURCES", "Field", "field"]

_SOURCES = (*codegen.BUILDS_ON, surrogate.__file__, stepping.__file__)
SOURCES = (__file__, *_SOURCES, *surrogate.SOURCES)
"""Files whose content decides, with that of a system, what its field is."""
_HEADER = f"""\
{codegen.HEADER}
from numba import cfunc

from numerics.flows.engines.stepping import SIGNATURE
from numerics.flows.surrogate import lookup
"""


class Field:
    """Native right-hand side of one system; parameters are run-time constants.

    Attributes:
        system: what was compiled.
        functions: the F, guarded, in q, r and D.
        is_closed: whether they have closed forms; otherwise a table has to be given to the native functions.
    """

    def __init__(self, system: System) -> None:
        self.system = system
        self.functions = system.guarded_functions
        self.is_closed = all(map(is_closed, self.functions.values()))

    @cached_property
    def velocity(self) -> Any:
        """Native f(state, constants, table, out): d(state)/dt."""
        return generated(self.source, "velocity", builds_on=_SOURCES)

    @cached_property
    def jacobian(self) -> Any:
        """Native f(state, constants, table, out): d(velocity_i)/d(state_j), row by row."""
        return generated(self._jacobian_source(), "jacobian", builds_on=_SOURCES)

    @property
    def content(self) -> tuple[Expr, ...]:
        """The functions without a closed form, which `source` looks up in a table."""
        return () if self.is_closed else tuple(f.xreplace({GAP: t}) for f in self.functions.values())

    @property
    def inputs(self) -> tuple[Symbol, ...]:
        """States, then parameters."""
        return (*self.system.states, *self.system.parameters)

    @property
    def arguments(self) -> tuple[Symbol, ...]:
        """What the functions F depend on: q, r, D, and the parameters of a family of activations."""
        return (q, r, GAP, *self.system.network.parameters_of_functions)

    def _own(self) -> str:
        """The values of the parameters of a family, in a call."""
        places = [self.system.parameters.index(p) for p in self.system.network.parameters_of_functions]
        return "".join(f", p[{i}]" for i in places)

    def _stage(self, name: str, inputs: tuple[Symbol, ...], outputs: list[Expr]) -> str:
        return "\n\n@inline\n" + codegen.source(inputs, outputs, name=name)

    def _call(self) -> str:
        n = len(self.system.states)
        return ", ".join([f"x[{i}]" for i in range(n)] + [f"p[{i}]" for i in range(len(self.inputs) - n)])

    @cached_property
    def source(self) -> str:
        """The source of `velocity`."""
        system, names = self.system, [f"F{k}" for k in range(len(self.functions))]
        arguments = [system.entries[q], system.entries[r], system.floored_gap]
        text = _HEADER + self._stage("arguments", self.inputs, arguments)
        if self.is_closed:
            text += self._stage("functions", self.arguments, list(self.functions.values()))
        velocities = [system.velocities[state] for state in system.states]
        text += self._stage("velocities", (*self.inputs, *self.functions), velocities)
        body = ["q, r, D = arguments(" + self._call() + ")"]
        if self.is_closed:
            body += [", ".join(names) + f", = functions(q, r, D{self._own()})"]
        else:
            body += [f"F = np.empty({len(names)})", f"lookup(table, {len(names)}, atan2(q, sqrt(D)), log(r), F)"]
            names = [f"F[{k}]" for k in range(len(names))]
        targets = "".join(f"out[{i}], " for i in range(len(velocities)))
        body += [f"{targets}= velocities({', '.join([self._call(), *names])})"]
        return text + _define("velocity", body)

    def _jacobian_source(self) -> str:
        system, count, n = self.system, len(self.functions), len(self.system.states)
        arguments = [system.entries[q], system.entries[r], system.floored_gap]
        values = list(self.functions.values())
        velocities = [system.velocities[state] for state in system.states]
        text = _HEADER + self._stage(
            "arguments", self.inputs, [*arguments, *(sp.diff(a, x) for x in system.states for a in arguments)]
        )
        if self.is_closed:
            slopes = [sp.diff(f, symbol) for f in values for symbol in (q, r, GAP)]
            text += self._stage("functions", self.arguments, [*values, *slopes])
        slopes = [sp.diff(v, symbol) for v in velocities for symbol in (*system.states, *self.functions)]
        text += self._stage("velocities", (*self.inputs, *self.functions), slopes)
        body = [f"a = arguments({self._call()})"]
        if self.is_closed:
            body += [f"F = functions(a[0], a[1], a[2]{self._own()})"]
        else:
            body += [
                "q, r, width = a[0], a[1], sqrt(a[2])",
                f"values = np.empty({3 * count})",
                f"lookup(table, {count}, atan2(q, width), log(r), values)",
                f"F = np.empty({4 * count})",
                f"for k in range({count}):",
                "    F[k] = values[k]",
                f"    along = values[{count} + k] / r",
                f"    F[{count} + 3 * k] = along * width",
                f"    F[{count} + 3 * k + 1] = values[{2 * count} + k] / r",
                f"    F[{count} + 3 * k + 2] = -along * q / (2.0 * width)",
            ]
        given = ", ".join([self._call(), *(f"F[{k}]" for k in range(count))])
        body += [f"v = velocities({given})"]
        for i in range(n):
            for j in range(n):
                chain = [f"v[{i * (n + count) + j}]"]
                for k in range(count):
                    inner = " + ".join(f"F[{count + 3 * k + a}]*a[{3 * (j + 1) + a}]" for a in range(3))
                    chain.append(f"v[{i * (n + count) + n + k}]*({inner})")
                body += [f"out[{i * n + j}] = " + " + ".join(chain)]
        return text + _define("jacobian", body)


def _define(name: str, body: list[str]) -> str:
    lines = "\n".join(f"    {line}" for line in body)
    return f"\n\n@cfunc(SIGNATURE, cache=CACHE, error_model='numpy')\ndef {name}(x, p, table, out):\n{lines}\n"


class _Key:
    """A system hashed by what it says, so that its field is found again."""

    def __init__(self, system: System) -> None:
        self.system = system
        loss = system.loss_function
        velocities = tuple(system.velocities[s] for s in system.states)
        seen = (loss.student.expr, loss.own, loss.teacher.expr, loss.labels.second_moment)
        self._content = (*seen, system.states, system.parameters, system.gap, velocities)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)


@lru_cache(maxsize=128)
def _field(key: _Key) -> Field:
    return Field(key.system)


def field(system: System) -> Field:
    """Return the compiled field of a system, one for each content; compiled when first used."""
    return _field(_Key(system))
