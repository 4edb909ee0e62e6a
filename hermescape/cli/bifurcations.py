"""`hermescape bifurcations`: where the critical alignments of a family, or the zeros of B, appear and vanish."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hermescape.cli.best import Between, Over, ends_of, the_one
from hermescape.cli.options import Given, Json, takes
from hermescape.output import print_json

if TYPE_CHECKING:
    from numerics.best.bifurcations import Bifurcations

__all__ = ["bifurcations"]


@takes("student", "teacher", "label", "noise", "scale", "objective", values="some")
def bifurcations(
    given: Given,
    over: Over = None,
    between: Between = None,
    of: Annotated[
        Literal["A", "B"], typer.Option("--of", help="A, whose zeros are the critical alignments, or B")
    ] = "A",
    as_json: Json = False,
) -> None:
    """Find where zeros of A or of B in 0 < mu < 1 appear and vanish as a parameter of a family varies.

    Two of them meet in a fold, or one passes an end, mu = 0 or 1. Exact where A (or B) is a polynomial in mu and the
    parameter, else searched for, each with its error. A branch may then leave below or above the alignments at which
    the sign of A is known; the count is said to be that between these.
    """
    ends = ends_of(between)
    import numerics.best.bifurcations
    from hermescape.task import Task

    system = Task(**given).system()
    report = numerics.best.bifurcations.bifurcations(system, the_one(system, over), ends, of=of)
    print_json(_summary(report)) if as_json else typer.echo(str(report))


def _summary(report: Bifurcations) -> dict[str, Any]:
    """Return what --json prints."""
    from hermescape.views.numbers import above

    return {
        "over": report.name,
        "of": report.quantity,
        "exact": report.exact,
        "intervals": [
            {"low": low, "high": high, "count": count, "counted_in": [None if isnan(end) else end for end in reach]}
            for (low, high, count), reach in zip(report.intervals, report.ranges, strict=True)
        ],
        "points": [
            {
                "kind": point.kind,
                "value": float(point.value),
                "error": above(point.error, float(point.value), point.value),
                "certified": report.exact,
                "mu": None if point.mu is None else float(point.mu),
                "words": point.words,
            }
            for point in report.points
        ],
    }
