r"""What is simulated: one-pass mini-batch SGD for a single-index teacher, as a frozen, validated record.

Inputs \(x \sim N(0, I_d)\), labels \(y = \phi(\langle w_*, x \rangle) + \sqrt{\Delta}\,\xi\), student
\(\sigma(\langle w, x \rangle)\) with

    lora:   w = mu w* + u v, both u and v (on the unit sphere) trained, u starts at `initial_scale`
    plain:  w = v, v on the unit sphere

Each step takes a fresh batch of B samples; v moves against its gradient and is divided by its norm.
"""

import math
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Literal

from sympy import Expr, sstr

from theory.errors import ParameterError
from theory.symbols import x

__all__ = ["LARGEST_SCALE", "Experiment"]

LARGEST_SCALE = 1e6
"""A run whose |u| exceeds this (or is not finite) has diverged."""


def _require(accepted: bool, name: str, given: object, domain: str, remedy: str) -> None:
    if not accepted:
        raise ParameterError(f"{name} = {given!r} given; accepted: {domain}; {remedy}")


def _integer(name: str, value: object, least: int, remedy: str) -> None:
    valid = isinstance(value, Integral) and not isinstance(value, bool | Expr) and int(value) >= least
    _require(valid, name, value, f"an integer >= {least}", remedy)


def _finite(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool | Expr) and math.isfinite(value)


@dataclass(frozen=True)
class Experiment:
    """Every parameter of a Monte Carlo experiment; dimensionless unless said.

    Raises `ParameterError` when made with a value outside its domain.

    >>> from sympy import Integer
    >>> Experiment(x, Integer(1), x, mu=0.5, dimension=100, batch=50, step_size=0.2,
    ...            threshold=0.5, replicas=8, seed=1, max_steps=1000).start_scale
    0.0001
    """

    student: Expr
    """sigma(x)"""
    derivative: Expr
    """sigma'(x), almost everywhere"""
    teacher: Expr
    """phi(x)"""
    mu: float | None
    """alignment of the pre-trained weight w0 = mu w*, in (0, 1]; None for the plain model"""
    dimension: int
    """d >= 3"""
    batch: int
    """B, samples in a step"""
    step_size: float
    """eta; time is t = eta * step"""
    threshold: float
    """R in (0, 1): a run exits at the first step with |m| >= R"""
    replicas: int
    """independent runs, at least 2"""
    seed: int
    """non-negative; with the other fields it fixes every number of the result"""
    max_steps: int
    """runs that have not exited after so many steps are censored"""
    model: Literal["lora", "plain"] = "lora"
    """parametrisation of the student weight"""
    initial_scale: float | None = None
    """u at the start; None means d^-2 (lora only)"""
    noise: float = 0.0
    """Delta, variance of the label noise"""

    def __post_init__(self) -> None:
        for name in ("student", "derivative", "teacher"):
            expression = getattr(self, name)
            valid = isinstance(expression, Expr) and expression.free_symbols <= {x}
            _require(valid, name, expression, "a SymPy expression in theory.symbols.x", "substitute the others")
        _require(self.model in ("lora", "plain"), "model", self.model, "'lora' or 'plain'", "choose either")
        if self.model == "lora":
            valid = _finite(self.mu) and 0 < float(self.mu or 0) <= 1
            _require(valid, "mu", self.mu, "a number in (0, 1]", "without pre-training, use model='plain'")
            scale = 0.0 if self.initial_scale is None else self.initial_scale
            valid = _finite(scale) and abs(scale) <= LARGEST_SCALE
            _require(valid, "initial_scale", scale, f"|u0| <= {LARGEST_SCALE:g}", "leave it out for d^-2")
        else:
            remedy = "leave it out: the plain student has neither w0 nor u"
            _require(self.mu is None, "mu", self.mu, "None for the plain model", remedy)
            scale = self.initial_scale
            _require(scale is None, "initial_scale", scale, "None for the plain model", remedy)
        _integer("dimension", self.dimension, 3, "below three the reduction to overlaps is empty")
        _integer("batch", self.batch, 1, "take at least one sample a step")
        _integer("replicas", self.replicas, 2, "statistics need at least two runs")
        _integer("max_steps", self.max_steps, 1, "allow at least one step")
        _integer("seed", self.seed, 0, "use any non-negative integer")
        valid = _finite(self.step_size) and self.step_size > 0
        _require(valid, "step_size", self.step_size, "a finite number > 0", "try 0.1")
        valid = _finite(self.threshold) and 0 < self.threshold < 1
        _require(valid, "threshold", self.threshold, "a number in (0, 1)", "try 0.5")
        valid = _finite(self.noise) and self.noise >= 0
        _require(valid, "noise", self.noise, "a finite variance >= 0", "try 0")

    @property
    def start_scale(self) -> float:
        """The scale u at step 0: `initial_scale`, by default d^-2; 1 for the plain model."""
        if self.model == "plain":
            return 1.0
        return float(self.dimension) ** -2 if self.initial_scale is None else float(self.initial_scale)

    def parameters(self) -> dict[str, str | int | float]:
        """Return every field as text or number ("none" where unset), as attributes of labelled arrays."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


def _plain(value: object) -> str | int | float:
    """Return text for expressions, None and integers beyond 64 bits; Python numbers otherwise."""
    if isinstance(value, Expr):
        return sstr(value)
    if isinstance(value, Integral):
        return int(value) if int(value) < 2**63 else str(int(value))
    if isinstance(value, Real):
        return float(value)
    return "none" if value is None else str(value)
