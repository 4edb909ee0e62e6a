"""The page of a family: each member's search times, medians and check, beside the derivation that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import Any

from matplotlib.axes import Axes

from hermescape.drawing import draw_search_time
from hermescape.report import tables
from hermescape.report.article import chapters
from hermescape.report.figures import Figure, svg_of
from hermescape.report.findings import Request
from hermescape.report.page import POLICY, short_name, templates
from hermescape.report.stages import Missing, Stages, Tell
from hermescape.verify.check import check
from hermescape.verify.report import Report
from theory.errors import ParameterError
from theory.language.families import conditions_in_words
from theory.network.system import System
from theory.search.special import special_places
from theory.writing.document import derivation

__all__ = ["Members", "family_page", "members_of"]

MOST = 6  # members, told apart in one figure
TITLE = "Search times of the members"


@dataclass(frozen=True)
class Members:
    """A family, and what was computed for some of its members.

    Attributes:
        system: the family.
        values: of the parameters, as they were typed, one mapping a member.
        systems: the members.
        reports: the check of each, or why there is none.
    """

    settings: Request
    system: System
    values: tuple[Mapping[str, str], ...]
    systems: tuple[System, ...]
    reports: tuple[Report | Missing, ...]

    @property
    def passed(self) -> bool:
        """Whether every member was checked and agrees."""
        return all(isinstance(report, Report) and report.passed for report in self.reports)


def members_of(
    family: Request, rows: Sequence[tuple[Mapping[str, str], Mapping[str, Any]]], tell: Tell | None = None
) -> Members:
    """Derive the family and check each member.

    Args:
        family: what the report is about, the functions with their parameters.
        rows: the values of each member, and the functions with them put in.
        tell: called with what is done now.

    Raises `ParameterError` for more than six members, or a model other than lora and misaligned.
    """
    if len(rows) > MOST:
        raise ParameterError(f"{len(rows)} members given; accepted: at most {MOST} in one report.")
    if not family.is_pretrained:
        raise ParameterError(f"model {family.model} with several values of --set given; accepted: lora, misaligned.")
    stages = Stages(family.patience, tell)
    stages.tell("derivation", None, None)
    requests = [replace(family, **functions) for _, functions in rows]
    systems = tuple(request.task.system() for request in requests)
    reports = tuple(
        stages.attempt(f"check of {_named(values)}", partial(_check, request), place=(i, len(rows)))
        for i, ((values, _), request) in enumerate(zip(rows, requests, strict=True))
    )
    return Members(family, family.task.system(), tuple(values for values, _ in rows), systems, reports)


def family_page(members: Members, command: str) -> str:
    """Return the HTML of the page; `command` makes the same report."""
    system = members.system
    loss = system.loss_function
    student, teacher = short_name(loss.student.name), short_name(loss.labels.link.name)
    pair = student if student == teacher else f"{student} on {teacher}"
    sections = chapters(derivation(system))
    count = sum(isinstance(report, Report) and report.passed for report in members.reports)
    where = " and ".join(conditions_in_words(system.conditions))
    return (
        templates()
        .get_template("family.html")
        .render(
            version=version("hermescape"),
            policy=POLICY,
            title=f"{pair}, {system.network.words.title or system.network.name}: {len(members.values)} members",
            banner={
                "kind": "agree" if members.passed else "undecided",
                "word": "Checked." if members.passed else "Not confirmed.",
                "said": f"Theory and exact simulation agree for {count} of {len(members.values)} members.",
            },
            places=list(map(str, special_places(system))),
            domain=", ".join(map(str, system.network.domain)),
            condition=where,
            numbers=_table(members),
            figure=_figure(members),
            figures={},
            titles={},
            derivation=sections,
            in_derivation={},
            command=command,
        )
    )


def _named(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in values.items())


def _check(settings: Request) -> Report:
    """Check one member at the alignments of the report."""
    return check(settings.task, mu=settings.mu, batch=settings.batch, threads=settings.threads, **settings.own)


def _table(members: Members) -> tables.Table:
    """Return search time, predicted and simulated median of each member at each alignment."""
    rows = []
    for values, report in zip(members.values, members.reports, strict=True):
        if isinstance(report, Missing):
            rows.append((_named(values), "", "not ready", "", "", ""))
            continue
        for case in report.cases:
            (row,) = case.rows
            tau = tables.INFINITE if row.tau is None else tables.number(row.tau, 5)
            interval = tables.interval(*row.sgd_interval)
            rows.append((_named(values), f"{row.mu:g}", case.verdict, tau, tables.number(row.prediction, 5), interval))
    heads = ("member", "μ", "verdict", "τ", "predicted", "SGD exit, 99 %")
    return tables.Table.of(heads, rows, "Medians of the exit time, in t = η × steps.")


def _figure(members: Members) -> Figure:
    rho = members.settings.rho

    def draw(ax: Axes) -> Axes:
        for values, system in zip(members.values, members.systems, strict=True):
            draw_search_time(system, rho=rho, label=_named(values), ax=ax)
        return ax

    svg, size = svg_of(draw, TITLE)
    alt = f"tau over mu for {'; '.join(map(_named, members.values))}"
    caption = "τ in t = η × steps over the alignment of the pre-trained weight; where it diverges A vanishes."
    return Figure("members", TITLE, alt, caption, svg, size)
