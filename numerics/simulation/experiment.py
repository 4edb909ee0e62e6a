r"""What is simulated: one-pass mini-batch SGD of a network, as a frozen, validated record.

Inputs \(x \sim N(0, I_d)\), labels and student as the network says (`theory.network.ridges`). Each step takes a fresh
batch of B samples; every trained vector and scalar moves against its gradient (that of the penalty included), and a
constrained vector is brought back, all from the state before the step. Trained vectors start in directions drawn
uniformly, scalars where `start` says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, Symbol, sstr

from numerics.parameters import PARAMETERS
from numerics.simulation.frame import Frame
from theory.errors import InputError, ParameterError
from theory.network.ridges import Network
from theory.network.vectors import Combination
from theory.shown import Row, Shown
from theory.symbols import MEANINGS, x, y

__all__ = ["LARGEST_SCALE", "SGD", "Experiment", "Runs", "Stop"]

LARGEST_SCALE = 1e6
"""A run in which a scalar or a length exceeds this (or is not finite) has diverged."""

Array = NDArray[np.float64]


def _require(accepted: bool, name: str, given: object, domain: str, remedy: str) -> None:
    if not accepted:
        raise ParameterError(f"{name} = {given!r} given; accepted: {domain}; {remedy}")


def _integer(name: str, value: object, least: int, remedy: str) -> None:
    valid = isinstance(value, Integral) and not isinstance(value, bool | Expr) and int(value) >= least
    _require(valid, name, value, f"an integer >= {least}", remedy)


def _finite(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool | Expr) and math.isfinite(value)


@dataclass(frozen=True)
class SGD:
    """One-pass SGD: raises `ParameterError` for values outside their domain.

    >>> SGD(dimension=1000, batch=50, step_size=0.1).kappa
    2.0
    """

    dimension: int
    """d, above the dimension of the span of frozen and trained vectors"""
    batch: int
    """B, samples in a step"""
    step_size: float
    """eta; time is t = eta * step"""

    def __post_init__(self) -> None:
        _integer("dimension", self.dimension, 1, "it counts the inputs")
        _integer("batch", self.batch, 1, "take at least one sample a step")
        valid = _finite(self.step_size) and self.step_size > 0
        _require(valid, "step_size", self.step_size, "a finite number > 0", "try 0.1")

    @property
    def kappa(self) -> float:
        """eta d / B."""
        return self.step_size * self.dimension / self.batch


@dataclass(frozen=True)
class Stop:
    """When a run ends: raises `ParameterError` for values outside their domain."""

    threshold: float | None = 0.5
    """R in (0, 1): a run exits at the first step with |m| >= R, m the alignment <v, b>/|v| that the network watches;
    None: every run takes `max_steps` steps"""
    max_steps: int = 100_000
    """runs that have not exited after so many steps are censored"""

    def __post_init__(self) -> None:
        valid = self.threshold is None or (_finite(self.threshold) and 0 < self.threshold < 1)
        _require(valid, "threshold", self.threshold, "a number in (0, 1), or None to run max_steps", "try 0.5")
        _integer("max_steps", self.max_steps, 1, "allow at least one step")


@dataclass(frozen=True)
class Runs:
    """How many runs, and from which seed: raises `ParameterError` for values outside their domain."""

    replicas: int = 200
    """independent runs, at least 2"""
    seed: int = 0
    """non-negative; with the experiment's other fields it fixes every number of the result"""

    def __post_init__(self) -> None:
        _integer("replicas", self.replicas, 2, "statistics need at least two runs")
        _integer("seed", self.seed, 0, "use any non-negative integer")


@dataclass(frozen=True)
class Experiment(Shown):
    """Every parameter of a Monte Carlo experiment; dimensionless unless said.

    Raises `ParameterError` when made with a value outside its domain, `InputError` for a student that SGD never moves.

    >>> from theory.network.derivation import derive
    >>> relu = derive("relu").network.at(mu=0.5)
    >>> Experiment(relu, {}, SGD(100, 50, 0.2), Stop(0.5, 1000), Runs(8, seed=1)).initial
    {'u': 0.0001, 'v': 1.0}
    """

    network: Network
    """with numbers for its parameters: `Network.at`"""
    start: Mapping[str, float]
    """trained scalars and lengths of free vectors at step 0, by name; what is left out is where the search begins, or
    d^-2 for what rests at 0 there, and 1 for a length without a search"""
    sgd: SGD
    stop: Stop = field(default_factory=Stop)
    runs: Runs = field(default_factory=Runs)

    @classmethod
    def of(
        cls,
        network: Network,
        *,
        dimension: int,
        batch: int,
        step_size: float,
        threshold: float | None = 0.5,
        max_steps: int = 100_000,
        replicas: int = 200,
        seed: int = 0,
        initial_scale: float | None = None,
        **parameters: Any,
    ) -> Experiment:
        """Return the experiment of flat arguments; `initial_scale` starts the first trained scalar, or length.

        >>> from theory.network.derivation import derive
        >>> Experiment.of(derive("relu").network, dimension=100, batch=50, step_size=0.2, mu=0.5).sgd
        SGD(dimension=100, batch=50, step_size=0.2)
        """
        known = network.at(**parameters) if parameters or not network.values else network
        first = next(iter([s.name for s in known.scalars] + [v.name for v in known.vectors if v.has_free_length]), None)
        if initial_scale is not None and first is None:
            raise ParameterError(
                f"initial_scale = {initial_scale!r} given; accepted: None for model {network.name}; leave it out: it "
                "has no trained scalar and no free vector"
            )
        start = {} if initial_scale is None or first is None else {first: initial_scale}
        return cls(known, start, SGD(dimension, batch, step_size), Stop(threshold, max_steps), Runs(replicas, seed))

    def but(self, **changes: Any) -> Experiment:
        """Return the same experiment with other fields, those of its records included, by name.

        >>> from theory.network.derivation import derive
        >>> first = Experiment.of(derive("relu").network, dimension=100, batch=50, step_size=0.2, mu=0.5)
        >>> first.but(batch=10, seed=3).runs
        Runs(replicas=200, seed=3)
        """
        changed = self
        for name in ("sgd", "stop", "runs"):
            record = getattr(changed, name)
            own = {key: changes.pop(key) for key in tuple(changes) if key in record.__dataclass_fields__}
            changed = replace(changed, **{name: replace(record, **own)}) if own else changed
        return replace(changed, **changes) if changes else changed

    def __post_init__(self) -> None:
        network = self.network
        missing = {*network.parameters, *network.extra_parameters} - set(network.values)
        if missing:
            raise ParameterError(
                f"network {network.name} without values for {', '.join(sorted(map(str, missing)))} given; accepted: "
                "one with numbers for all parameters: network.at(...)"
            )
        for ridge in network.ridges:
            if ridge.function.derivative == 0:
                raise InputError(
                    f"{ridge.function.name}: its derivative is zero almost everywhere, so SGD never moves it; accepted "
                    "are students with a slope: use it as --teacher, or give a continuous student."
                )
        stray = {v for w in network.weights for v, _ in w.parts if v.is_trained} - set(network.vectors)
        if stray:
            raise InputError(
                f"network {network.name} with {', '.join(sorted(v.name for v in stray))} trained, but in no overlap "
                "given; accepted: every trained vector in an overlap; add one to `overlaps`, its norm for example."
            )
        single = len(network.vectors) == 1  # its part across is a chi, drawn with one degree of freedom at least
        least = self.frame.coordinates.shape[1] + len(network.vectors) + single
        _integer("dimension", self.sgd.dimension, least, "below it the reduction to overlaps is empty")
        lengths = {v.name for v in network.vectors if v.has_free_length}
        allowed = {s.name for s in network.scalars} | lengths
        for name, value in self.start.items():
            if name not in allowed:
                raise ParameterError(
                    f"start of {name} given; accepted: of {', '.join(sorted(allowed)) or 'nothing'}, what model "
                    f"{network.name} trains beside directions; leave it out"
                )
            valid = _finite(value) and abs(value) <= LARGEST_SCALE and (name not in lengths or value > 0)
            domain = f"a length in (0, {LARGEST_SCALE:g}]" if name in lengths else f"|{name}| <= {LARGEST_SCALE:g}"
            _require(valid, f"initial_scale, {name} at the start,", value, domain, "leave it out for the default")

    @property
    def replicas(self) -> int:
        """The number of independent runs."""
        return self.runs.replicas

    @cached_property
    def frame(self) -> Frame:
        """The orthonormal basis of the frozen vectors, and their coordinates."""
        return Frame.of(self.network)

    @cached_property
    def initial(self) -> dict[str, float]:
        """Trained scalars and the lengths of trained vectors at step 0, by name."""
        network, start = self.network, {}
        for scalar in network.scalars:
            rest = self._at_rest(scalar)
            start[scalar.name] = float(self.start.get(scalar.name, rest or float(self.sgd.dimension) ** -2))
        for v in network.vectors:
            own = Combination.of(v)
            length = 1.0 if network.start is None else math.sqrt(self._number(network.gram.inner(own, own)))
            start[v.name] = float(self.start.get(v.name, length or float(self.sgd.dimension) ** -2))
        return start

    def _at_rest(self, state: Symbol) -> float:
        start = self.network.start
        return 0.0 if start is None else self._number(start[state])

    def _number(self, value: Expr) -> float:
        return float(value.subs(self.network.start or {}).subs(self.network.values))

    @cached_property
    def recovered_alignment(self) -> float:
        r"""The largest |m| of a student that has recovered the teacher, w = w* (or -w* if both functions are even).

        There v lies along w* - w0, so |m| = |1 - mu| / sqrt(1 - 2 mu + rho^2) < 1 when misaligned; 1 without frozen
        vectors in w, or where no single vector is known to lead there.

        >>> from theory.network.derivation import derive
        >>> away = derive("relu", model="misaligned").network.at(mu=0.4, rho=1.0)
        >>> setting = Experiment.of(away, dimension=100, batch=50, step_size=0.2)
        >>> round(setting.recovered_alignment, 6), round(0.6 / 1.2**0.5, 6)
        (0.547723, 0.547723)
        """
        network = self.network
        if not network.is_single_index or len(network.vectors) != 1:
            return 1.0
        (v,) = network.vectors
        base = self.frame.of_combination(Combination.of({b: k for b, k in network.weight.parts if b != v}), self._fixed)
        target = self.frame.of_combination(network.target, self._fixed)
        watched = self.frame.of_combination(Combination.of(network.watched[1]), self._fixed)
        even = all(f.xreplace({x: -x}) == f for f in (network.student.expr, network.labels.link.expr))
        events = []
        for side in (1.0, -1.0) if even else (1.0,):
            gap = side * target - base
            norm = float(np.linalg.norm(gap) * np.linalg.norm(watched))
            events.append(abs(float(gap @ watched)) / norm if norm else 1.0)
        return min(1.0, max(events))

    @cached_property
    def _fixed(self) -> dict[Symbol, float]:
        """Parameters, and scalars where they rest."""
        values = {symbol: float(value) for symbol, value in self.network.values.items()}
        return values | {s: self._at_rest(s) for s in self.network.scalars}

    @property
    def caution(self) -> str | None:
        """Say that a run that learns the teacher perfectly ends below the threshold; None where it does not.

        Such a threshold is no error. The search phase turns v towards the gradient -(L_q w* + 2 L_r w0), not
        towards w* - w0, so |m| may rise above `recovered_alignment` (towards 1 where L_r is small) before it falls
        back to it: exits are overshoots, and censored runs may have learnt everything. Students that cannot
        represent the labels (teacher != student, or a transform) end elsewhere, and nothing is said of them.
        """
        network, threshold, bound = self.network, self.stop.threshold, self.recovered_alignment
        if not network.minimised.own:
            return None  # no student is perfect
        if threshold is None or threshold <= bound or not network.is_single_index:
            return None
        if network.labels.link != network.student or network.labels.transform != y:
            return None
        return (
            f"threshold {threshold:g} exceeds |m| = {bound:.4g} of the perfect student w = w*: a run exits only "
            f"if it overshoots; take a threshold below {bound:.4g} for the time to learn"
        )

    def meaning(self, state: Symbol) -> str:
        """Return what a state variable is."""
        network = self.network
        if state in network.words.meanings:
            return network.words.meanings[state]
        if state in network.overlaps:
            v, b = network.overlaps[state]
            return f"overlap <{v.name}, {b.name}>" if v != b else f"squared norm <{v.name}, {v.name}>"
        return MEANINGS.get(state, f"trained scalar {state}")

    def parameters(self) -> dict[str, str | int | float]:
        """Return every setting as text or number ("none" where unset), as attributes of labelled arrays."""
        network = self.network
        settings: dict[str, object] = {"model": network.name, "objective": network.objective}
        if network.is_single_index:
            labels = network.labels
            transform = None if labels.transform == y else labels.transform
            settings |= {"student": network.student.expr, "teacher": labels.link.expr, "label": transform}
        else:
            units, terms = network.ridges, network.teacher.ridges
            settings |= {f"student_{i}": ridge.function.expr for i, ridge in enumerate(units, 1)}
            settings |= {f"teacher_{j}": ridge.function.expr for j, ridge in enumerate(terms, 1)}
        settings |= {"noise": float(self.noise), "scale": float(network.scale.subs(network.values))}
        settings |= {symbol.name: float(value) for symbol, value in network.values.items()}
        settings |= {f"initial_{name}": value for name, value in self.initial.items()}
        for record in (self.sgd, self.stop, self.runs):
            settings |= vars(record)
        return {name: _plain(value) for name, value in settings.items()}

    @property
    def brief(self) -> str:
        """What learns what, and how."""
        return f"{self.network.brief}; d = {self.sgd.dimension}, batch = {self.sgd.batch}, eta = {self.sgd.step_size:g}"

    def quantities(self) -> list[Row]:
        """Every setting."""
        known = {name: parameter.meaning for name, parameter in PARAMETERS.items()}
        kappa = Row("sgd.kappa", self.sgd.kappa, "eta d / batch, the size of SGD's noise")
        return [*(Row(name, value, known.get(name, "")) for name, value in self.parameters().items()), kappa]

    @cached_property
    def noise(self) -> float:
        """Delta, the variance of the label noise."""
        return float(self.network.teacher.noise.subs(self.network.values))


def _plain(value: object) -> str | int | float:
    """Return text for expressions, None and integers beyond 64 bits; Python numbers otherwise."""
    if isinstance(value, Expr):
        return sstr(value)
    if isinstance(value, Integral):
        return int(value) if int(value) < 2**63 else str(int(value))
    if isinstance(value, Real):
        return float(value)
    return "none" if value is None else str(value)
