"""From a derived system and its numbers to the law of its exit time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar, get_args

from numerics.accuracy import FINEST_STEP, LARGEST_LAW_RTOL, LAW_RTOL, NEVER, SMALLEST_FLOW_RTOL
from numerics.flows.engines.choose import chosen
from numerics.flows.engines.native import Native
from numerics.flows.engines.problem import Engine
from numerics.flows.flow import Exit
from numerics.law.ballistic import Ballistic, ballistic
from numerics.law.diffusion import SECONDS, Distance, SampledLaw, distance, sampled_law
from numerics.law.modes import from_mode
from numerics.law.passage import Passage, passage
from numerics.law.protocol import Law, Setting
from numerics.law.starts import from_saddle, from_weight, is_lora
from theory.errors import HermescapeError, InputError, ParameterError, QuadratureError, StalledError
from theory.network.derivation import takes_text
from theory.network.system import System
from theory.search.regimes import regime
from theory.shown import Shown

__all__ = ["By", "Compared", "compared_laws", "escape_law", "is_lora", "name_of", "setting_of"]

NEAR_CRITICAL = 2  # errors of a sample, where noise leads out
FEWEST_SAMPLES = 10  # B from which batch sums are normal enough for the chain to stand in
T = TypeVar("T")
By = Literal["formula", "diffusion", "chain", "auto"]
"""What a law comes from: the closed formula of its regime, a sample of SGD's diffusion or of its chain of whole steps,
or what holds at this d"""


@dataclass(frozen=True)
class Compared(Shown):
    """Both laws of one exit time, and how far they are apart.

    Attributes:
        law: the one that answers.
        formula: the closed formula; None where it refuses.
        sampled: the law through the diffusion, or the chain; None where it was not asked for, or refuses.
        distance: of their distribution functions, with its error; None unless there are both.
        refusal: why one of them is not there; empty otherwise.
    """

    shows = "name, law, distance, refusal"

    law: Law
    formula: Law | None
    sampled: SampledLaw | None
    distance: Distance | None
    refusal: str = ""

    @property
    def name(self) -> str:
        """What answers, `name_of` the law."""
        return name_of(self.law)


def name_of(law: Law) -> str:
    """Return diffusion, chain, or the kind of a formula: formula, noise-driven, ballistic or passage."""
    if isinstance(law, SampledLaw):
        return law.kind
    kind = {Ballistic: "ballistic", Passage: "passage"}.get(type(law), "formula")
    return "noise-driven" if law.regime == "noise-driven" else kind


@takes_text
def escape_law(
    system: System,
    *,
    mu: float | None = None,
    rho: float | None = None,
    dimension: float,
    threshold: float = 0.5,
    kappa: float = 0.0,
    step_size: float = 0.0,
    initial_scale: float | None = None,
    parameters: Mapping[str, float] | None = None,
    rtol: float = LAW_RTOL,
    engine: Engine | str | None = None,
    by: By = "formula",
) -> Law:
    """Return the law of the first time with |m| >= threshold, for d >> 1 and kappa = eta d / B fixed.

    Args:
        system: a derived system, without kappa drift (it is added here). Other models than lora, misaligned and plain
            have the law of their growing mode (`numerics.law.modes`).
        mu: alignment of w0; none with model plain.
        rho: length |w0|, with model misaligned.
        dimension: d.
        threshold: R in (0, 1).
        kappa: eta d / B; 0 gives the flow from a random start.
        step_size: eta; 0 is the limit of small steps at this kappa.
        initial_scale: u at the start, d^-2 by default; LoRA only.
        parameters: values of a model's other parameters, by name.
        rtol: relative tolerance of the integrations behind C, and of the table of a loss without a closed form.
        engine: what integrates, `Native()` by default; as for `integrate`.
        by: the closed formula of the regime; the exit times of SGD's diffusion, or of its chain of whole steps
            (`numerics.law.diffusion`: one trained direction of fixed length); or, with "auto", the formula unless it is
            further from the diffusion than that is sure.

    Raises:
        ParameterError: a parameter outside its domain.
        InputError: a start that traps, or a threshold that the flow does not reach.
        QuadratureError: a loss without a closed form whose table does not reach `rtol`.

    >>> from theory.network.derivation import derive
    >>> law = escape_law(derive("relu"), mu=0.5, dimension=1e5, kappa=4.0)
    >>> round(law.tau, 4), law.regime
    (9.6569, 'linear')
    >>> place = {"mu": 0.005, "dimension": 1000, "kappa": 0.3, "step_size": 0.01}  # u leaves before m follows
    >>> [round(escape_law(derive("he2"), **place, by=by).median, 1) for by in ("formula", "diffusion", "auto")]
    [6.8, 6.2, 6.2]
    """
    system.network.require_formulas()
    if by != "formula":
        start: dict[str, Any] = {"threshold": threshold, "initial_scale": initial_scale, "parameters": parameters}
        options = {"mu": mu, "rho": rho, "dimension": dimension, "kappa": kappa, "step_size": step_size, **start}
        return compared_laws(system, by=by, rtol=rtol, engine=engine, **options).law
    _check_integration(rtol, engine)
    setting = setting_of(dimension, threshold, kappa, step_size, initial_scale)
    setting = replace(setting, rtol=rtol, engine=Native(keeps=True) if engine is None else engine)
    network = system.network
    if network.start is not None and not system.escape.on_sphere and not is_lora(system):
        place = {"mu": mu, "rho": rho, **(parameters or {})}
        given = {name: value for name, value in place.items() if value is not None}
        first = {} if initial_scale is None else {network.scalars[0].name: initial_scale}
        return from_mode(system, setting, network.named(given), first)
    if parameters:
        raise ParameterError(f"parameters {', '.join(parameters)} with model {network.name} given; accepted: none.")
    if network.scalars:
        if mu is None:
            raise ParameterError(f"no mu given; accepted with model {system.network.name}: the alignment of w0.")
        return from_weight(system, setting, mu, rho, initial_scale)
    if not system.escape.on_sphere:
        raise InputError(f"model {system.network.name} given; accepted: lora, misaligned, plain, which have a search.")
    if mu is not None or rho is not None or initial_scale is not None:
        raise ParameterError("mu, rho or initial_scale with model plain given; accepted: none of them.")
    return _plain(system, setting)


def compared_laws(system: System, *, by: By, seconds: float = SECONDS, **options: Any) -> Compared:
    """Return what `escape_law` returns, with the law that it is compared with; arguments and errors are the same.

    `seconds` is what each of four randomisations of a sample may take, two at a time on two cores.

    The formula is not needed where a sample answers, and the other way round: the refusal of one that does not answer
    is a text. With "auto" the chain stands in where a threshold is too near the place where SGD stops for the
    diffusion, and where paths are long and few, at and near a critical strength, the law of noise-driven escape answers
    unless it is off by twice the error of the sample.

    >>> from theory.network.derivation import derive
    >>> both = compared_laws(derive("linear"), by="auto", mu=0.5, dimension=1e5, kappa=1.0)
    >>> both.name, both.distance.value < both.distance.error < 0.01
    ('formula', True)
    """
    if by not in get_args(By):
        raise ParameterError(f"by = {by!r} given; accepted: {', '.join(get_args(By))}.")
    if by == "formula":
        law = escape_law(system, **options)
        return Compared(law, law, None, None)
    _check_integration(options.get("rtol", LAW_RTOL), options.get("engine"))
    formula, refused = _unless_refused(lambda: escape_law(system, **options))
    sampled, unsampled = _unless_refused(lambda: _sampled(system, by, seconds, **options))
    if unsampled is not None and (by != "auto" or refused is not None or isinstance(unsampled, ParameterError)):
        raise refused if by == "auto" and refused is not None else unsampled
    only = sampled or formula
    assert only is not None
    if sampled is None or formula is None:
        return Compared(only, formula, sampled, None, str(refused or unsampled))
    sampled = replace(sampled, regime=formula.regime, tau=formula.tau, power=formula.power)
    apart = distance(formula, sampled)
    margin = NEAR_CRITICAL if _is_near_critical(formula) else 1
    wanted = by != "auto" or apart.value > margin * apart.error
    return Compared(sampled if wanted else formula, formula, sampled, apart)


def _check_integration(rtol: float, engine: Engine | str | None) -> None:
    if not SMALLEST_FLOW_RTOL <= rtol <= LARGEST_LAW_RTOL:
        raise ParameterError(f"rtol = {rtol!r} given; accepted: from {SMALLEST_FLOW_RTOL:g} to {LARGEST_LAW_RTOL:g}.")
    chosen(engine)


def _is_near_critical(law: Law) -> bool:
    """Whether noise leads out, or helps: a law of its own, and tested there."""
    return law.regime == "noise-driven" or getattr(law, "flow_tau", 0.0) > 0


def _unless_refused(make: Callable[[], T]) -> tuple[T | None, HermescapeError | None]:
    """Return a law, or the error that says why there is none."""
    try:
        return make(), None
    except (InputError, QuadratureError) as error:
        return None, error


def _sampled(
    system: System,
    by: By,
    seconds: float,
    *,
    dimension: float,
    mu: float | None = None,
    rho: float | None = None,
    threshold: float = 0.5,
    kappa: float = 0.0,
    step_size: float = 0.0,
    initial_scale: float | None = None,
    parameters: Mapping[str, float] | None = None,
    **_: Any,
) -> SampledLaw:
    setting = setting_of(dimension, threshold, kappa, step_size, initial_scale)
    if initial_scale is not None and not system.network.scalars:
        raise ParameterError(f"initial_scale with model {system.network.name} given; accepted: none.")
    given = {"mu": mu, "rho": rho, **(parameters or {})}
    place = {name: value for name, value in given.items() if value is not None}
    if by == "chain":
        return sampled_law(system, setting, place, initial_scale, kind="chain", seconds=seconds)
    try:
        return sampled_law(system, setting, place, initial_scale, seconds=seconds)
    except StalledError:
        if by == "diffusion" or step_size * dimension < FEWEST_SAMPLES * kappa or step_size == 0:
            raise
        return sampled_law(system, setting, place, initial_scale, kind="chain", seconds=seconds)


def setting_of(
    dimension: float,
    threshold: float,
    kappa: float = 0.0,
    step_size: float = 0.0,
    initial_scale: float | None = None,
) -> Setting:
    """Return the setting of a law; raise `ParameterError` for numbers outside their domain."""
    for name, given, accepted in (
        ("dimension", dimension, dimension >= 3),
        ("kappa", kappa, kappa >= 0),
        ("step_size", step_size, step_size >= 0),
        ("initial_scale", 0.0 if initial_scale is None else initial_scale, True),
    ):
        if not (math.isfinite(given) and accepted):
            domain = {"dimension": "number >= 3", "initial_scale": "number"}.get(name, "number >= 0")
            raise ParameterError(f"{name} = {given!r} given; accepted: a finite {domain}.")
    Exit(threshold)
    return Setting(float(dimension), threshold, float(kappa), float(step_size))


def _plain(system: System, setting: Setting) -> Law:
    exponent = system.information_exponent
    if exponent in (1, 2):
        return ballistic(system, setting) if exponent == 1 else from_saddle(system, setting)
    law = None
    if exponent is not None:
        options = {name: getattr(setting, name) for name in ("dimension", "threshold", "kappa", "rtol", "engine")}
        law = passage(system, **options)
    if (
        law is not None
        and law.escaping >= NEVER
        and setting.step_size > FINEST_STEP * law.quantile(law.escaping / 4) > 0
    ):
        raise InputError(
            f"step_size = {setting.step_size:g} given; accepted with information exponent {exponent}: 0, or at most "
            f"{FINEST_STEP * law.quantile(law.escaping / 4):.3g}, since this law is that of infinitesimal steps."
        )
    if law is None or law.escaping < NEVER:
        way = regime(system, kappa=setting.kappa)
        trapped = way.name == "trapped"
        what = "no run escapes" if trapped else "the way out is too long to follow, take a smaller d"
        name = system.loss_function.student.name
        raise InputError(f"{name} with model plain, d = {setting.dimension:g}: {what} ({way.because}).")
    return law
