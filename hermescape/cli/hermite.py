"""The command `hermescape hermite`."""

from __future__ import annotations

from typing import Annotated

import typer

from hermescape.cli.options import MAX_ORDER, Given, Json, parse_variance, takes
from hermescape.output import print_json, print_parts
from theory.errors import ParameterError

__all__ = ["hermite"]


@takes("student", values="symbols")
def hermite(
    given: Given,
    order: Annotated[int, typer.Option(metavar="K", help=f"highest order, 0 to {MAX_ORDER}")],
    variance: Annotated[str, typer.Option(metavar="V", help="a number, a fraction, or the symbol r")] = "1",
    as_json: Json = False,
) -> None:
    """Give the Hermite coefficients sigma_k^[r] = E_r[He_k^[r] sigma], k = 0, ..., K.

    He_k is the probabilists' polynomial, unnormalised. Exact where a rule closes them, else with their errors.
    """
    from hermescape.views.hermite import hermite_expansion, hermite_table

    if not 0 <= order <= MAX_ORDER:
        raise ParameterError(f"--order {order} given; accepted: an integer from 0 to {MAX_ORDER}.")
    expansion = hermite_expansion(given["student"], order, parse_variance(variance), written=not as_json)
    if as_json:
        print_json(expansion)
    else:
        print_parts(*hermite_table(expansion))
