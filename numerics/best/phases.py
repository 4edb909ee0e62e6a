r"""The phase diagram of the search phase: how a start is left, and when, over (mu, d), (mu, rho), or (mu, p).

Every point is a law of `numerics.law`: its regime and the median of T (t = eta * step). Over (mu, d) one integration a
mu serves every d where the law depends on d as it says, (tau/2) log d; near a critical strength, where noise leads at
small d and the slope of the loss at large d, each point is a law of its own. Where u leaves first, B > 0 and
|alpha| G sqrt(d)/lambda small, the formula may be far off, and the median is that of SGD's diffusion (`law`). Points
without a law are *trapped* (no way out of the start under the flow, nor by noise at this kappa), *unreached* (the flow
ends before |m| = R) or *outside* (rho < |mu|). Over a parameter p of a family the flows of all its members are those of
the family, compiled once, and the curve of critical alignments comes with them (`numerics.best.bifurcations`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from numerics.accuracy import LAW_RTOL, LEAST_LEAD
from numerics.best.bifurcations import Bifurcations, bifurcations
from numerics.flows.family import OfFamily
from numerics.flows.flow import Native
from numerics.law import Law, LinearEscape, compared_laws, escape_law
from numerics.law.choose import name_of, setting_of
from numerics.law.starts import noise_beside
from numerics.rates.search_time import Search, search_time
from theory.errors import HermescapeError, InputError, ParameterError
from theory.network.derivation import takes_text
from theory.network.system import System
from theory.search.regimes import regime
from theory.symbols import rho as rho_symbol

if TYPE_CHECKING:
    from numerics.labelled import Labelled

__all__ = ["phase_diagram"]

MEANINGS = {"mu": "alignment <w0, w*>", "d": "input dimension", "rho": "length |w0|"}
MANY = 40_000
SAMPLED = 0.02  # seconds a randomisation, for a median to some percent of the spread
SLOPE = 1e-3  # of |B|: a G that nothing counts as 0
RESERVED = ("regime", "median", "law", "along", "event", "bifurcation")


@takes_text
def phase_diagram(
    system: System,
    mu: Sequence[float],
    *,
    dimension: Sequence[float] | float,
    rho: Sequence[float] | None = None,
    parameters: Mapping[str, Sequence[float]] | None = None,
    kappa: float = 0.0,
    threshold: float = 0.5,
    step_size: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
) -> Labelled:
    """Return `regime`, `median` (of T, infinite where none), `tau` and `law` over (mu, d).

    At one d they are over (mu, rho), or over mu and the parameter of a family that has an array of values; then with
    `critical_mu` over `critical_NAME`, the critical alignments as curves that NaN separates, and `bifurcation`, the
    kinds of their bifurcations, with their places.

    `law` says where the median comes from: formula, noise-driven or diffusion; empty without one. `plot()` draws it.

    Args:
        system: a derived system of model lora (over d, or a parameter), or misaligned (over rho).
        mu: ascending alignments of w0.
        dimension: ascending dimensions; one number with `rho`, or over a parameter.
        rho: ascending lengths of w0, with model misaligned.
        parameters: ascending values of one parameter of a family, by its name, which is a keyword too.
        kappa: eta d / B, the same at every d.
        threshold: R.
        step_size: eta; 0 is the limit of small steps.
        progress: called with (alignments finished, alignments in all).

    Raises:
        ParameterError: grids that are empty or not ascending, or numbers outside their domain.
        InputError: another model.

    >>> from theory.network.derivation import derive
    >>> diagram = phase_diagram(derive("linear"), [0.5, 1.0], dimension=[1e3, 1e6])
    >>> diagram.regime.values.tolist()
    [['linear', 'linear'], ['trapped', 'trapped']]
    >>> family = derive("c1*x + c3*He(3, x)", parameters=["c1", "c3"])
    >>> diagram = phase_diagram(family, [0.1, 0.3], dimension=1e5, c1=[-1, 1.0], c3=1)
    >>> diagram.sizes["c1"], diagram.bifurcation.values.tolist()
    (2, ['fold', 'end'])
    """
    from numerics.labelled import Labelled

    wanted = "lora" if rho is None else "misaligned"
    if not system.escape.is_linear or (rho is not None) != (rho_symbol in system.parameters):
        raise InputError(
            f"model {system.network.name} given; accepted: {wanted} {'over d' if rho is None else 'over rho'}."
        )
    name, other = _other(system, dimension, rho, parameters or {})
    alignments = _ascending("mu", mu)
    if len(alignments) * len(other) > MANY:
        raise ParameterError(f"{len(alignments)} x {len(other)} points given; accepted: at most {MANY} in all.")
    shared = {"kappa": kappa, "threshold": threshold, "step_size": step_size}
    if name != "d" and not isinstance(dimension, int | float):
        raise ParameterError(f"several dimensions with {name} given; accepted: one.")
    for value in np.ravel(dimension):
        setting_of(float(value), **shared)
    norms = (alignments[0] ** 2, alignments[-1] ** 2) if rho is None else (other[0] ** 2, other[-1] ** 2)
    engine = Native(norms=norms, finest=LAW_RTOL)
    options: dict[str, Any] = {**shared, "engine": engine}
    columns: list[_Column] = [(system, length, options) for length in (other if name == "rho" else [None])]
    if parameters:
        columns = [_column(system, {name: value}, options) for value in other]
    for alignment in alignments:
        for member, length, _ in columns:
            search_time(member, alignment, rho=None if length is None else max(abs(alignment), length), certify=False)
    report = _bifurcations(system, name, other) if parameters else None
    rows, size = [], float(np.ravel(dimension)[0])
    for index, alignment in enumerate(alignments):
        if name == "d":
            rows.append(_over_dimensions(system, alignment, other, options))
        else:
            rows.append([_at(member, alignment, length, size, own) for member, length, own in columns])
        if progress is not None:
            progress(index + 1, len(alignments))
    regime, median, tau, law = (np.array([[point[i] for point in row] for row in rows]) for i in range(4))
    axes, time = ("mu", name), {"units": "eta * step"}
    student, teacher = system.loss_function.student.name, system.loss_function.teacher.name
    pair = f"{student} on {teacher}{system.network.minimised.aside}"
    return Labelled(
        {
            "regime": (axes, regime, {"long_name": "how the start is left"}),
            "median": (axes, median, {"long_name": "median exit time, inf where there is none", **time}),
            "tau": (axes, tau, {"long_name": "search time, inf where nothing grows", **time}),
            "law": (axes, law, {"long_name": "where the median comes from"}),
            **_critical(report),
        },
        {
            key: (key, values, {"long_name": MEANINGS.get(key, "parameter of the functions"), "units": "1"})
            for key, values in {"mu": alignments, name: other}.items()
        },
        {
            "title": f"Phase diagram: {pair}, kappa = {kappa:g}, exit at |m| = {threshold:g}",
            "student": student,
            "teacher": teacher,
            "objective": system.network.objective,
            **shared,
            **({} if name == "d" else {"dimension": dimension}),
            **({} if report is None else {"critical_alignments": report.brief}),
        },
    )


_Point = tuple[str, float, float, str]
_Column = tuple[System, float | None, dict[str, Any]]


def _other(
    system: System,
    dimension: Sequence[float] | float,
    rho: Sequence[float] | None,
    parameters: Mapping[str, Sequence[float]],
) -> tuple[str, list[float]]:
    """Return name and values of the second axis."""
    own = [p.name for p in system.network.domain]
    if set(own) != set(parameters) or len(own) > 1 or (own and (rho is not None or own[0] in RESERVED)):
        shown = ", ".join(sorted(set(own) | set(parameters)))
        raise ParameterError(
            f"phases with the parameters {shown} given; accepted: numbers for all of them, or, without rho, for all "
            f"but one, and an array for that (its name none of {', '.join(RESERVED)})."
        )
    if own:
        return own[0], _ascending(own[0], parameters[own[0]])
    return ("d", _ascending("d", dimension)) if rho is None else ("rho", _ascending("rho", rho))


def _column(system: System, values: dict[str, float], options: dict[str, Any]) -> _Column:
    """Return a member, whose flows are those of the family."""
    engine = OfFamily(system.within(values), values, options["engine"])
    return system.member(values), None, {**options, "engine": engine}


def _bifurcations(system: System, name: str, values: list[float]) -> Bifurcations | None:
    """Return the critical alignments over a parameter, where there are some to be looked for."""
    with suppress(HermescapeError):
        return bifurcations(system, name, (values[0], values[-1])) if len(values) > 1 else None
    return None


def _critical(report: Bifurcations | None) -> dict[str, Any]:
    """Return curves and bifurcations as variables of a dataset."""
    if report is None:
        return {}
    gap, name, points = np.array([math.nan]), report.name, report.points
    values, alignments = (
        np.concatenate([gap, *(part for branch in report.branches for part in (getattr(branch, field), gap))])
        for field in ("values", "mu")
    )
    return {
        "critical_mu": ("along", alignments),
        f"critical_{name}": ("along", values),
        "bifurcation": ("event", np.array([point.kind for point in points], dtype=str)),
        "bifurcation_mu": ("event", [math.nan if point.mu is None else float(point.mu) for point in points]),
        f"bifurcation_{name}": ("event", [float(point.value) for point in points]),
    }


def _ascending(name: str, values: Sequence[float] | float) -> list[float]:
    given = [float(value) for value in np.ravel(values)]
    if not given or not all(map(math.isfinite, given)) or any(a >= b for a, b in itertools.pairwise(given)):
        raise ParameterError(f"{name} = {given} given; accepted: one or more ascending numbers.")
    return given


def _over_dimensions(system: System, mu: float, dimensions: list[float], shared: dict[str, Any]) -> list[_Point]:
    first = _law(system, mu, None, dimensions[0], shared)
    search = search_time(system, mu, certify=False)
    points = [_point(_led(system, search, first, None, dimensions[0], shared))]
    alone = isinstance(first, LinearEscape) and first.start and not first.flow_tau
    shared_law = alone and not noise_beside(system, search, mu, shared["kappa"])
    for dimension in dimensions[1:]:
        if isinstance(first, LinearEscape) and shared_law:
            law: LinearEscape | str = replace(first, dimension=dimension, shift=0.0)
        else:
            law = _law(system, mu, None, dimension, shared)
        points.append(_point(_led(system, search, law, None, dimension, shared)))
    return points


def _at(system: System, mu: float, rho: float | None, dimension: float, shared: dict[str, Any]) -> _Point:
    if rho is not None and rho < abs(mu):
        return "outside", math.nan, math.nan, ""
    law = _law(system, mu, rho, dimension, shared)
    return _point(_led(system, search_time(system, mu, rho=rho, certify=False), law, rho, dimension, shared))


def _led(
    system: System,
    search: Search,
    law: LinearEscape | str,
    rho: float | None,
    dimension: float,
    shared: dict[str, Any],
) -> Law | str:
    """Return the law that holds where u leaves before m follows, else the formula."""
    scale = math.sqrt(float(system.escape.square or 1))
    if isinstance(law, str) or not (law.regime == "linear" and float(search.B) > 0):
        return law
    if scale * float(search.G) * math.sqrt(dimension) >= LEAST_LEAD * float(search.rate):
        return law
    place = {"mu": float(search.mu), "rho": rho, "dimension": dimension}
    return compared_laws(system, by="auto", seconds=SAMPLED, **place, **shared).law


def _law(system: System, mu: float, rho: float | None, dimension: float, shared: dict[str, Any]) -> LinearEscape | str:
    try:
        law = escape_law(system, mu=mu, rho=rho, dimension=dimension, **shared)
    except ParameterError:
        raise
    except InputError:
        search = search_time(system, mu, rho=rho, certify=False)
        if SLOPE * abs(search.B) < search.G:
            return "unreached"
        name = regime(system, mu, rho, kappa=shared["kappa"]).name
        return name if name in ("trapped", "undecided") else "unreached"
    assert isinstance(law, LinearEscape)
    return law


def _point(law: Law | str) -> _Point:
    if isinstance(law, str):
        return law, math.inf, math.inf, ""
    return law.regime, max(law.median, 0.0), math.inf if law.tau is None else law.tau, name_of(law)
