r"""What is simulated: one-pass mini-batch SGD for a single-index teacher, as a frozen, validated record.

Inputs \(x \sim N(0, I_d)\), labels \(y = T(\phi(\langle w_*, x \rangle) + \sqrt{\Delta}\,\xi)\), student
\(\sigma(\langle w, x \rangle)\) with

    lora:   w = w0 + alpha u v, both u and v (on the unit sphere) trained, u starts at `initial_scale`;
            aligned, w0 = mu w*, without `rho`; misaligned, <w0, w*> = mu and |w0| = rho, with rho != mu
    plain:  w = v, v on the unit sphere
    pretrain: w is free and starts with norm `initial_scale`; w* above is then a source w_s that gives the labels,
            and the target w* of later fine-tuning, with <w_s, w*> = c, is only watched

Each step takes a fresh batch of B samples; v moves against its gradient and is divided by its norm. The free w is
written w = u v too, with u = |w| and v on the unit sphere, so that m = <v, w_s> = <w, w_s>/|w| is the overlap that the
threshold refers to. T is the
identity unless `label` says otherwise.
"""

import math
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, sstr

from theory.calculus.nodes import check_nodes
from theory.errors import ParameterError
from theory.symbols import x, y

__all__ = ["LARGEST_SCALE", "Experiment"]

LARGEST_SCALE = 1e6
"""A run whose |u| exceeds this (or is not finite) has diverged."""

Model = Literal["lora", "plain", "pretrain"]
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
    """alignment <w0, w*> of the pre-trained weight: in (0, 1], or |mu| <= rho with `rho`; None for the plain model"""
    dimension: int
    """d >= 3; misaligned d >= 4"""
    batch: int
    """B, samples in a step"""
    step_size: float
    """eta; time is t = eta * step"""
    threshold: float | None
    """R in (0, 1): a run exits at the first step with |m| >= R; None: every run takes `max_steps` steps"""
    replicas: int
    """independent runs, at least 2"""
    seed: int
    """non-negative; with the other fields it fixes every number of the result"""
    max_steps: int
    """runs that have not exited after so many steps are censored"""
    model: Model = "lora"
    """parametrisation of the student weight"""
    initial_scale: float | None = None
    """u at the start, None means d^-2 (lora); norm |w| > 0 at the start, None means 1 (pretrain)"""
    noise: float = 0.0
    """Delta, variance of the label noise"""
    rho: float | None = None
    """norm |w0| > 0 of the pre-trained weight, at least |mu|; None means rho = mu, aligned (lora only)"""
    scale: float = 1.0
    """alpha in w = w0 + alpha u v, finite and nonzero (lora only)"""
    label: Expr | None = None
    """T(y), a function of theory.symbols.y: SGD sees T of the noisy label; None is the identity"""
    c: float | None = None
    """similarity <w_s, w*> of source and target, in [-1, 1] (pretrain only)"""

    def __post_init__(self) -> None:
        self._check_functions()
        domain = "'lora', 'plain' or 'pretrain'"
        _require(self.model in ("lora", "plain", "pretrain"), "model", self.model, domain, "choose one")
        if self.model == "lora":
            self._check_pretrained()
            self._check_scales()
            self._check_absent("c", remedy="it is the similarity of source and target: use model='pretrain'")
        elif self.model == "plain":
            self._check_absent("mu", "rho", "initial_scale", "scale", "c", remedy="its weight is v alone")
        else:
            self._check_absent("mu", "rho", "scale", remedy="its weight w is free")
            self._check_free()
        self._check_sizes()
        self._check_rates()

    def _check_functions(self) -> None:
        for name in ("student", "derivative", "teacher"):
            expression = getattr(self, name)
            valid = isinstance(expression, Expr) and expression.free_symbols <= {x}
            _require(valid, name, expression, "a SymPy expression in theory.symbols.x", "substitute the others")
            check_nodes(expression, name)
        valid = self.label is None or (isinstance(self.label, Expr) and self.label.free_symbols == {y})
        domain = "None or a SymPy expression in theory.symbols.y, such as y**2"
        _require(valid, "label", self.label, domain, "write the label as y, and substitute other symbols")
        check_nodes(y if self.label is None else self.label, "label")

    def _check_pretrained(self) -> None:
        if self.rho is None:
            valid = _finite(self.mu) and 0 < float(self.mu or 0) <= 1
            remedy = "for any other w0 give rho = |w0| too; without pre-training, use model='plain'"
            _require(valid, "mu", self.mu, "a number in (0, 1]", remedy)
            return
        _require(_finite(self.mu), "mu", self.mu, "a finite number with |mu| <= rho", "it is <w0, w*>")
        least = abs(float(self.mu or 0))
        valid = _finite(self.rho) and self.rho > 0 and self.rho >= least
        remedy = "rho is the length of w0, which its component mu = <w0, w*> cannot exceed"
        _require(valid, "rho", self.rho, f"a finite number > 0 and >= |mu| = {least:g}", remedy)

    def _check_scales(self) -> None:
        start = 0.0 if self.initial_scale is None else self.initial_scale
        valid = _finite(start) and abs(start) <= LARGEST_SCALE
        _require(valid, "initial_scale", start, f"|u0| <= {LARGEST_SCALE:g}", "leave it out for d^-2")
        valid = _finite(self.scale) and self.scale != 0
        _require(valid, "scale", self.scale, "a finite number other than 0", "leave it out for alpha = 1")

    def _check_absent(self, *names: str, remedy: str) -> None:
        for name in names:
            value, neutral = getattr(self, name), 1.0 if name == "scale" else None
            _require(value == neutral, name, value, f"{neutral} for the {self.model} model", f"leave it out: {remedy}")

    def _check_free(self) -> None:
        valid = _finite(self.c) and abs(float(self.c or 0)) <= 1
        _require(valid, "c", self.c, "a number in [-1, 1]", "it is the similarity <w_s, w*>")
        norm = 1.0 if self.initial_scale is None else self.initial_scale
        valid = _finite(norm) and 0 < norm <= LARGEST_SCALE
        _require(valid, "initial_scale", norm, f"a norm in (0, {LARGEST_SCALE:g}]", "leave it out for |w| = 1")

    def _check_sizes(self) -> None:
        reduced = "below it the reduction to overlaps is empty"
        _integer("dimension", self.dimension, 4 if self.parametrisation in ("misaligned", "pretrain") else 3, reduced)
        _integer("batch", self.batch, 1, "take at least one sample a step")
        _integer("replicas", self.replicas, 2, "statistics need at least two runs")
        _integer("max_steps", self.max_steps, 1, "allow at least one step")
        _integer("seed", self.seed, 0, "use any non-negative integer")

    def _check_rates(self) -> None:
        valid = _finite(self.step_size) and self.step_size > 0
        _require(valid, "step_size", self.step_size, "a finite number > 0", "try 0.1")
        valid = self.threshold is None or (_finite(self.threshold) and 0 < self.threshold < 1)
        _require(valid, "threshold", self.threshold, "a number in (0, 1), or None to run max_steps", "try 0.5")
        valid = _finite(self.noise) and self.noise >= 0
        _require(valid, "noise", self.noise, "a finite variance >= 0", "try 0")

    @property
    def parametrisation(self) -> Literal["lora", "misaligned", "plain", "pretrain"]:
        """The student's weight: w = mu w* + alpha u v, w = w0 + alpha u v with rho != mu, w = v, or w free."""
        return "misaligned" if self.model == "lora" and self.rho not in (None, self.mu) else self.model

    @property
    def start_scale(self) -> float:
        """The scale u at step 0: `initial_scale`, by default d^-2 for lora and 1 otherwise."""
        if self.initial_scale is None:
            return float(self.dimension) ** -2 if self.model == "lora" else 1.0
        return float(self.initial_scale)

    @property
    def pretrained(self) -> tuple[float, float]:
        """(mu, nu), nu = sqrt(rho^2 - mu^2): the components of w0 along and across w*; (0, 0) without w0."""
        along = float(self.mu or 0.0)
        rho = along if self.rho is None else float(self.rho)
        return along, math.sqrt((rho - along) * (rho + along))

    def overlaps(self, m: Array, u: Array, t: Array | None = None) -> dict[str, tuple[Array, str]]:
        """Return the order parameters at states (m, u, t), each with what it is, by name.

        m and u, and s = mu m + nu t if misaligned; q_s, q and r for pretrain; without t, only those that it does not
        enter.

        >>> free = Experiment(x, x / x, x, mu=None, model="pretrain", c=0.6, dimension=9, batch=5, step_size=0.1,
        ...                   threshold=0.5, replicas=2, seed=1, max_steps=10)
        >>> w = np.array([[3.0, 4.0, 12.0]])  # its parts along w_s, along the rest of w*, and across both
        >>> u = np.linalg.norm(w, axis=1)
        >>> {name: value.round(9) for name, (value, _) in free.overlaps(w[:, 0] / u, u, w[:, 1] / u).items()}
        {'q_s': array([3.]), 'q': array([5.]), 'r': array([169.])}
        """
        if self.c is not None:
            found = {"q_s": (u * m, "overlap <w, w_s>")}
            if t is not None:
                across = math.sqrt((1 - self.c) * (1 + self.c))
                found["q"] = (u * (self.c * m + across * t), "overlap <w, w*>")
            return found | {"r": (u * u, "squared norm <w, w>")}
        found = {"m": (m, "overlap <v, w*>"), "u": (u, "LoRA scale u")}
        if t is not None and self.parametrisation == "misaligned":
            mu, nu = self.pretrained
            found["s"] = (mu * m + nu * t, "overlap <v, w0>")
        return found

    @property
    def recovered_overlap(self) -> float:
        r"""|m| of a student that has recovered the teacher, w = w*.

        There v lies along w* - w0, so |m| = |1 - mu| / sqrt(1 - 2 mu + rho^2) < 1 when misaligned and 1
        otherwise. If both functions are even, w = -w* is a solution too and the larger |m| is returned.

        >>> from sympy import Integer
        >>> away = Experiment(x, Integer(1), x, mu=0.4, rho=1.0, dimension=100, batch=50, step_size=0.2,
        ...                   threshold=0.5, replicas=8, seed=1, max_steps=1000)
        >>> round(away.recovered_overlap, 6), round(0.6 / 1.2**0.5, 6)
        (0.547723, 0.547723)
        """
        mu, nu = self.pretrained
        if nu == 0:
            return 1.0
        even = all(f.xreplace({x: -x}) == f for f in (self.student, self.teacher))
        return max(abs(1 - sign * mu) / math.hypot(1 - sign * mu, nu) for sign in ((1, -1) if even else (1,)))

    @property
    def caution(self) -> str | None:
        """Say that a run that learns the teacher perfectly ends below the threshold; None where it does not.

        Such a threshold is no error. The search phase turns v towards the gradient -(L_q w* + 2 L_r w0), not
        towards w* - w0, so |m| may rise above `recovered_overlap` (towards 1 where L_r is small) before it falls
        back to it: exits are overshoots, and censored runs may have learnt everything. Students that cannot
        represent the labels (teacher != student, or a transform) end elsewhere, and nothing is said of them.
        """
        bound = self.recovered_overlap
        learnable = self.teacher == self.student and self.label is None
        if self.threshold is None or self.threshold <= bound or not learnable:
            return None
        return (
            f"threshold {self.threshold:g} exceeds |m| = {bound:.4g} of the perfect student w = w*: a run exits only "
            f"if it overshoots; take a threshold below {bound:.4g} for the time to learn"
        )

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
