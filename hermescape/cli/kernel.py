"""The command `hermescape kernel`."""

from __future__ import annotations

from typing import Annotated

import typer

from hermescape.cli.families import refuse_symbols
from hermescape.cli.options import Digits, Given, Json, Tolerance, accuracy, parse_point, takes
from hermescape.output import print_json, print_parts
from theory.errors import ParameterError

__all__ = ["kernel"]


@takes("student", "teacher", values="symbols")
def kernel(
    given: Given,
    at: Annotated[str | None, typer.Option(metavar="Q,R", help="its number there, with an error; R >= Q^2")] = None,
    digits: Digits = None,
    tolerance: Tolerance = None,
    as_json: Json = False,
) -> None:
    """Give the kernel K(q, r) = E[sigma(l) phi(l*)], (l, l*) of covariance [[r, q], [q, 1]]."""
    from hermescape.views.kernel import kernel_lines, kernel_report

    if at is None and (digits is not None or tolerance is not None):
        raise ParameterError("--digits or --tolerance without --at given; accepted: them with --at Q,R.")
    point = None if at is None else parse_point(at)
    if point is not None:
        refuse_symbols(given, "--at")
    asked = given["student"], given["teacher"], point, digits, accuracy(tolerance, digits)
    report = kernel_report(*asked, written=not as_json)
    if as_json:
        print_json(report)
    else:
        print_parts(*kernel_lines(report))
