"""What a derivation means: how long the search lasts, from scratch and from a weak or a strong pre-trained weight.

The numbers are kept on disk beside the derivation, so that a second look at an activation computes nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sympy import S

from theory.calculus.cache import edition, entry, put
from theory.errors import HermescapeError, ParameterError
from theory.language.hermite import coefficient
from theory.network.system import System

if TYPE_CHECKING:
    from numerics.best.alignment import BestAlignment
    from numerics.law import Law
    from numerics.rates.isolation import Isolation
    from theory.search.critical import CriticalStrength

__all__ = [
    "SECONDS",
    "STRONG",
    "WEAK",
    "Alignments",
    "Duration",
    "Verdict",
    "durations",
    "search_of",
    "verdict",
    "verdict_lines",
]

NUMERICS = Path(__file__).parents[1] / "numerics"
WEAK, STRONG = 0.2, 0.8
LEVELS = (0.05, 0.5, 0.95)
THRESHOLD = 0.5
SAME = 1e-9  # of search times at different alignments: no law of theirs depends on mu
SECONDS = 0.1  # a randomisation of a law through the diffusion
FROM_SCRATCH = {
    1: "student and teacher share He_1: from a random start the loss slopes towards w*, and training from scratch "
    "leaves in t = O(1)",
    2: "He_2 is the first term that student and teacher share: from a random start training from scratch searches for "
    "t ~ (tau/2) log d",
    3: "He_{k} is the first term that student and teacher share: from a random start training from scratch needs "
    "t ~ d{power}, and SGD's noise holds it there unless kappa shrinks with d",
}
HELD = (
    "He_{k} is the first term that student and teacher share, with opposite signs: from a random start training from "
    "scratch is held at m = 0"
)
NONE_SHARED = (
    "student and teacher share no Hermite term of order >= 1: from a random start training from scratch never leaves"
)


class Alignments(NamedTuple):
    """The alignments that tell searches apart: those at which tau may diverge, and the one at which it is shortest."""

    critical: tuple[CriticalStrength, ...]
    best: BestAlignment
    isolation: Isolation

    @classmethod
    def of(cls, system: System) -> Alignments:
        """Find them, and what is proved of the first; raises as `critical_strengths` and `best_mu`."""
        from numerics.best.alignment import best_mu
        from numerics.rates.isolation import alignments_of

        critical, isolation = alignments_of(system)
        return cls(critical, best_mu(system), isolation)


@dataclass(frozen=True)
class Search:
    """Where aligned fine-tuning is fast and where it is slow; times in t = eta * step.

    Attributes:
        weak: tau at mu = 0.2; None where it is infinite.
        strong: tau at mu = 0.8.
        critical: the alignments at which tau diverges.
        best: where tau is shortest; 0 stands for mu -> 0+.
        shortest: tau there.
    """

    weak: float | None
    strong: float | None
    critical: tuple[float, ...]
    best: float
    shortest: float


@dataclass(frozen=True)
class Duration:
    """Steps of SGD until |m| >= threshold at one alignment (None: plain training): median, and 5 to 95 % of runs."""

    mu: float | None
    threshold: float
    low: float
    median: float
    high: float

    @classmethod
    def of(cls, law: Law, mu: float | None, threshold: float, step_size: float) -> Duration:
        """Return that of a law, whose times are in t."""
        return cls(mu, threshold, *(law.quantile(level) / step_size for level in LEVELS))


@dataclass(frozen=True)
class Verdict:
    """What a derivation means.

    Attributes:
        exponent: the information exponent k of the pair, a symbol of functions without a formula; None where there is
            none.
        is_held: whether plain training is driven back to m = 0: k is even, and sigma_k phi_k < 0.
        search: of aligned LoRA; None for other models, and where the linearised flow has no growing direction.
        obstacle: why a LoRA model has no search time; empty where it has one.
        durations: in steps, where d, the step size and the batch are known.
        caution: what nothing of the objective holds, in words (`Network.caution`); empty where there is no such size.
    """

    exponent: int | str | None
    search: Search | None
    is_held: bool = False
    obstacle: str = ""
    durations: tuple[Duration, ...] = ()
    caution: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def verdict(system: System, durations: Sequence[Duration] = (), alignments: Alignments | None = None) -> Verdict:
    """Return what a derived system means; its alignments are found, or taken from disk, where they are not given.

    >>> from theory.network.derivation import derive
    >>> he3 = verdict(derive("he3"))
    >>> he3.exponent, round(he3.search.weak, 3), [round(mu, 4) for mu in he3.search.critical]
    (3, 11.866, [0.3207, 1.0])
    """
    if not system.loss_function.has_formula:
        return Verdict(str(system.information_exponent), None)
    search, obstacle = None, ""
    if _alignments(system) == (WEAK, STRONG) and system.escape.is_linear:
        try:
            search = search_of(system, alignments)
        except HermescapeError as error:
            obstacle = str(error)
    held, caution = _is_held(system), system.network.caution
    return Verdict(system.information_exponent, search, held, obstacle, tuple(durations), caution)


def _is_held(system: System) -> bool:
    loss, k = system.loss_function, system.information_exponent
    if k is None or k % 2 or loss.student == loss.teacher:
        return False
    sizes = [float(coefficient(f, k, S.One).evalf()) for f in (loss.student, loss.teacher)]
    return sizes[0] * sizes[1] < 0


def search_of(system: System, alignments: Alignments | None = None) -> Search:
    """Return where the search of an aligned LoRA system is fast and slow, from disk where it is known."""
    place = None if system.escape.A is None or system.escape.B is None else _kept(system)
    if place is not None:
        with suppress(OSError, ValueError, TypeError, KeyError):
            return _read(json.loads(place.read_text()))
    made = _computed(system, alignments)
    if place is not None:
        with suppress(OSError):
            put(place, json.dumps(asdict(made)).encode())
    return made


def _kept(system: System) -> Any:
    escape = system.escape
    assert escape.A is not None
    assert escape.B is not None
    return entry(f"verdict {edition(NUMERICS)}", escape.A, escape.B)


def _read(stored: Mapping[str, Any]) -> Search:
    times = [None if stored[name] is None else float(stored[name]) for name in ("weak", "strong")]
    critical = tuple(float(place) for place in stored["critical"])
    return Search(times[0], times[1], critical, float(stored["best"]), float(stored["shortest"]))


def _computed(system: System, alignments: Alignments | None) -> Search:
    from numerics.rates.search_time import search_time

    roots, best, _ = alignments or Alignments.of(system)
    taus = [search_time(system, mu, certify=False).tau for mu in (WEAK, STRONG)]
    weak, strong = (None if tau is None or not math.isfinite(tau) else float(tau) for tau in taus)
    critical = tuple(float(root.mu) for root in roots if root.diverges)
    return Search(weak, strong, critical, float(best.mu), float(best.tau))


def durations(system: System, dimension: float, step_size: float, batch: float) -> tuple[Duration, ...]:
    """Return the exit times in steps, from a weak and a strong pre-trained weight, or of plain training.

    Raises:
        ParameterError: a model with further parameters, or numbers outside their domains.
        HermescapeError: a start that traps.
    """
    from numerics.law import compared_laws

    places = _alignments(system)
    if not places:
        name = system.network.name
        raise ParameterError(f"--d with --model {name} given; accepted: lora, plain; hermescape law takes the others.")
    made = []
    for mu in places:
        sizes = {"dimension": dimension, "kappa": step_size * dimension / batch, "step_size": step_size}
        law = compared_laws(system, by="auto", seconds=SECONDS, mu=mu, threshold=THRESHOLD, **sizes).law
        made.append(Duration.of(law, mu, THRESHOLD, step_size))
    return tuple(made)


def _alignments(system: System) -> tuple[float | None, ...]:
    """The alignments that are compared: none for plain training; empty where a start has more to it than mu."""
    if not system.parameters:
        return (None,) if system.escape.on_sphere else ()
    return (WEAK, STRONG) if [p.name for p in system.parameters] == ["mu"] else ()


def verdict_lines(meaning: Verdict) -> list[str]:
    """Return a verdict in words, a sentence a line.

    >>> for line in verdict_lines(Verdict(3, Search(11.87, 0.1638, (0.3207, 1.0), 0.4013, 0.153))): print(line)
    information exponent 3: He_3 is the first term that student and teacher share: from a random start training from \
scratch needs t ~ d^(1/2), and SGD's noise holds it there unless kappa shrinks with d
    fine-tuning searches for tau = 11.87 at mu = 0.2 and 0.1638 at mu = 0.8: the stronger pre-training is 72.5 times \
faster
    tau is shortest, 0.153, at mu = 0.4013; it diverges at mu = 0.3207, 1
    """
    lines = [_from_scratch(meaning)]
    if meaning.search is not None:
        lines += [_compared(meaning.search), _places(meaning.search)]
    elif meaning.obstacle:
        lines.append(f"fine-tuning has no search time: {meaning.obstacle}")
    lines += [_in_steps(duration) for duration in meaning.durations]
    return [*lines, meaning.caution] if meaning.caution else lines


def _from_scratch(meaning: Verdict) -> str:
    k = meaning.exponent
    if k is None:
        return f"information exponent infinite: {NONE_SHARED}"
    if isinstance(k, str):
        return f"information exponent {k}: the smallest k >= 1 with sigma_k phi_k != 0"
    power = f"^({k - 2}/2)" if k % 2 else f"^{(k - 2) // 2}" if k > 4 else ""
    said = HELD if meaning.is_held else FROM_SCRATCH[min(k, 3)]
    return f"information exponent {k}: {said.format(k=k, power=power)}"


def _compared(search: Search) -> str:
    times = [f"tau = {_shown(search.weak)} at mu = {WEAK:g}", f"{_shown(search.strong)} at mu = {STRONG:g}"]
    said = f"fine-tuning searches for {times[0]} and {times[1]}"
    if search.weak is None or search.strong is None:
        return said
    ratio = search.strong / search.weak
    if _is_flat(search.weak, search.strong):
        return f"{said}: pre-training makes no difference"
    factor, word = (ratio, "slower") if ratio >= 1 else (1 / ratio, "faster")
    return f"{said}: the stronger pre-training is {factor:.3g} times {word}"


def _places(search: Search) -> str:
    if search.weak is not None and search.strong is not None and _is_flat(search.weak, search.strong, search.shortest):
        best = f"tau is {search.shortest:.4g} at every mu"
    elif search.best == 0:
        best = f"tau is shortest, {search.shortest:.4g}, as mu -> 0: pre-training only lengthens it"
    else:
        best = f"tau is shortest, {search.shortest:.4g}, at mu = {search.best:.4g}"
    if not search.critical:
        return f"{best}; it diverges nowhere"
    return f"{best}; it diverges at mu = {', '.join(f'{place:.4g}' for place in search.critical)}"


def _is_flat(*times: float) -> bool:
    return max(times) <= (1 + SAME) * min(times)


def _in_steps(duration: Duration) -> str:
    start = "from scratch" if duration.mu is None else f"from mu = {duration.mu:g}"
    median, low, high = (_count(value) for value in (duration.median, duration.low, duration.high))
    reached = f"{start} SGD reaches |m| = {duration.threshold:g}"
    return f"{reached} after {median} steps (median; 5 to 95 % of runs: {low} to {high})"


def _shown(tau: float | None) -> str:
    return "infinite" if tau is None else f"{tau:.4g}"


def _count(steps: float) -> str:
    """Three significant digits with thousands separated; a power of ten where that is shorter."""
    if not math.isfinite(steps):
        return "never"
    rounded = float(f"{steps:.3g}")
    return f"{rounded:,.0f}" if rounded < 1e9 else f"{steps:.3g}"
