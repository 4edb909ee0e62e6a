"""Families on the command line: `--param` declares parameters of the functions, `--set` gives them values.

Commands that only derive take `--function` too, a function without a formula.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hermescape.cli.lists import LISTS, listed
from theory.errors import ParameterError

if TYPE_CHECKING:
    from sympy import Expr

    from theory.language.parameters import Parameter

__all__ = [
    "SCALARS",
    "Order",
    "Values",
    "check_order",
    "combinations",
    "members",
    "numbers",
    "options_of",
    "place",
    "read_families",
    "refuse_symbols",
    "single_put",
]

Values = Literal["put", "keep", "grid", "either", "symbols", "some"]
"""What a command does with values of parameters: put them into the functions, keep the functions and pass the values
on, take grids of values, take grids or (as it decides itself) no values, do without values where none are given, or put
those that are given."""

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
SCALARS = {"noise": "noise", "scale": "alpha"}
"""Numbers that may be expressions of parameters: Delta >= 0 and alpha > 0, by what messages call them."""

PARAM = typer.Option(
    "--param",
    metavar="DECLARATION",
    help="a parameter of the functions besides x, and its domain: beta, 'beta > 0', '0 < b < 2'; may be repeated",
)
SET = {
    grid: typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help=f"the value of a declared parameter{', a LIST a,b,c or a grid START:STOP:COUNT' if grid else ''}; may be "
        "repeated",
    )
    for grid in (False, True)
}
FUNCTION = typer.Option(
    "--function",
    metavar="NAME",
    help="a function without a formula, such as sigma or phi: sigma(x) is then any activation; may be repeated",
)
MOST_ORDERS = 40
Order = Annotated[
    int | None,
    typer.Option(
        "--order",
        metavar="K",
        help="Hermite sums besides, in symbols sigma_k and phi_k; terms of k > K are left out of every sum",
    ),
]


def check_order(order: int | None) -> None:
    """Refuse an order that no Hermite sum is given to."""
    if order is not None and not 0 <= order <= MOST_ORDERS:
        raise ParameterError(f"--order {order} given; accepted: an integer from 0 to {MOST_ORDERS}.")


def options_of(kind: Values) -> list[inspect.Parameter]:
    """Return the options of a command."""
    named = {"param": PARAM, "settings": SET[kind in ("grid", "either")]}
    if kind == "symbols":
        named["functions"] = FUNCTION
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[list[str] | None, option],
        )
        for name, option in named.items()
    ]


def read_families(
    given: dict[str, Any],
    kind: Values,
    param: list[str] | None = None,
    settings: list[str] | None = None,
    functions: list[str] | None = None,
) -> None:
    """Replace the texts of a command's functions by functions with these parameters, at these values where they are.

    What a command of kind "keep" gets besides is `parameters`, values by name; one of kind "grid" gets `grid`, lists
    of values by name.

    A parameter that was typed and cancels, as beta of sign(beta*x) with beta > 0, may have a value, without effect.

    Raises `ParameterError` for a parameter or a function that is declared and not typed, a value of no parameter, or a
    value that is missing.
    """
    many = kind in ("grid", "either")
    if kind == "keep" or many:
        given["grid" if many else "parameters"] = {}
    if not param:
        _read_scalars(given, ())
        if settings:
            raise ParameterError(
                f"--set {settings[0]} given; accepted: --set with a parameter that --param declares, such as "
                "--param 'beta > 0' --set beta=0.7."
            )
        if not functions:
            return
    from theory.language.parameters import declared

    domain = declared(param)
    typed = " ".join(str(given[name]) for name in ("student", "teacher", "label") if given.get(name) is not None)
    held = _functions(given, domain, functions)
    idle = {p.name for p in domain if p.name not in held and re.search(rf"(?<!\w){p.name}(?!\w)", typed)}
    stray = [p.name for p in domain if p.name not in held | idle]
    if stray:
        raise ParameterError(
            f"--param {stray[0]} given, which is in none of the functions, noise and alpha; accepted: it left out."
        )
    values = _settings(settings or [], domain, grid=many)
    for name in idle:  # it cancels, and its value changes nothing
        values.pop(name, None)
    domain = tuple(p for p in domain if p.name in held)
    missing = [p for p in domain if p.name not in values]
    partial = kind == "some" or (kind in ("symbols", "either") and len(missing) == len(domain))
    if missing and not partial:
        raise ParameterError(
            f"no value of {missing[0].name} given; accepted: --set {missing[0].name}=VALUE ({missing[0]})"
            f"{', or no value at all' if kind == 'symbols' else ''}."
        )
    if many:
        given["grid"] = values
    elif values:
        place(given, {name: value for name, (value,) in values.items()}, keep=kind == "keep")


def _functions(given: dict[str, Any], domain: tuple[Parameter, ...], names: list[str] | None) -> set[str]:
    """Read a command's functions, and return the names of the parameters that they have."""
    from theory.language.activations import activation
    from theory.language.labels import transform_of
    from theory.language.parameters import parameters_of

    held, used = set[str](), set[str]()
    for name in ("student", "teacher"):
        if given.get(name) is not None:
            given[name] = activation(given[name], domain, names)
            held |= {symbol.name for symbol in given[name].parameters}
            used |= {*given[name].undefined}
    for name in names or ():
        if name not in used:
            raise ParameterError(
                f"--function {name} given, which student and teacher do not use; accepted: it left out."
            )
    if given.get("label") is not None:
        given["label"] = transform_of(given["label"], domain)
        _keep(given, domain, {symbol.name for symbol in parameters_of(given["label"])}, held)
    _keep(given, domain, _read_scalars(given, domain), held)
    return held


def _keep(given: dict[str, Any], domain: tuple[Parameter, ...], names: set[str], held: set[str]) -> None:
    """Let the link that is learnt hold the bounds of parameters that it does not have itself."""
    link = "student" if given.get("teacher") is None else "teacher"
    others = tuple(p for p in domain if p.name in names - {q.name for q in given[link].domain})
    if others:
        given[link] = replace(given[link], domain=(*given[link].domain, *others))
    held |= names


def _read_scalars(given: dict[str, Any], domain: tuple[Parameter, ...]) -> set[str]:
    """Read noise and scale, which are numbers or expressions of parameters, and return the names of these."""
    held = set[str]()
    for name, called in SCALARS.items():
        text = given.get(name)
        if not isinstance(text, str):
            continue
        try:
            given[name] = float(text)
        except ValueError:
            from theory.language.scalars import scalar

            value = scalar(text, called, domain, positive=name == "scale")
            held |= {symbol.name for symbol in value.free_symbols}
            given[name] = _float_if_number(value)
    return held


def place(given: dict[str, Any], values: Mapping[str, str], *, keep: bool = False) -> None:
    """Put values into the functions of a command, or pass them on as `parameters`."""
    if keep:
        given["parameters"] = {name: float(_exact(name, value)) for name, value in values.items()}
        return
    for name in ("student", "teacher"):
        if given.get(name) is not None:
            given[name] = given[name].at(values)
    if given.get("label") is not None:
        from theory.language.substitution import with_numbers

        exact = {s: _exact(s.name, values[s.name]) for s in given["label"].free_symbols if s.name in values}
        given["label"] = with_numbers(given["label"], exact)
    for name in SCALARS:
        free = getattr(given.get(name), "free_symbols", ())
        if free:
            exact = {s: _exact(s.name, values[s.name]) for s in free if s.name in values}
            given[name] = _float_if_number(given[name].xreplace(exact))


def _float_if_number(value: Expr) -> Expr | float:
    return value if value.free_symbols else float(value)


def refuse_symbols(given: Mapping[str, Any], option: str = "") -> None:
    """Refuse what asks for numbers where the functions have parameters without values: an option, or the command."""
    functions = [given[name] for name in ("student", "teacher") if given.get(name) is not None]
    here = f" with {option}" if option else ""
    for f in functions:
        if not isinstance(f, str) and f.undefined:
            raise ParameterError(f"{f.undefined[0]} has no formula; accepted{here}: an activation, such as relu.")
    declared = [p for f in functions if not isinstance(f, str) for p in f.domain]
    left = [p for p in declared if any(p.symbol in f.parameters for f in functions if not isinstance(f, str))]
    label = given.get("label")
    others = [f for f in (label, *(given.get(name) for name in SCALARS)) if getattr(f, "free_symbols", ())]
    for f in others if not left else ():
        from theory.language.parameters import domain_of

        left += domain_of(f, declared)
    if left:
        name = left[0].name
        raise ParameterError(f"no value of {name} given; accepted{here}: --set {name}=VALUE ({left[0]}).")


def single_put(given: dict[str, Any]) -> dict[str, list[str]]:
    """Take the grid from a command's values; where it has one point, put that into the functions and return none."""
    grid: dict[str, list[str]] = given.pop("grid")
    if any(len(values) > 1 for values in grid.values()):
        return grid
    if grid:
        place(given, {name: value for name, (value,) in grid.items()})
    return {}


def combinations(grid: Mapping[str, list[str]]) -> list[dict[str, str]]:
    """Return each combination of a grid's values by name; one empty one of no grid.

    >>> combinations({"a": ["1", "2"], "b": ["3"]}), combinations({})
    ([{'a': '1', 'b': '3'}, {'a': '2', 'b': '3'}], [{}])
    """
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def numbers(values: Mapping[str, str]) -> dict[str, float]:
    """Return values by name as floats, for JSON.

    >>> numbers({"beta": "1/4"})
    {'beta': 0.25}
    """
    return {name: float(Fraction(text)) for name, text in values.items()}


def members(given: Mapping[str, Any], grid: Mapping[str, list[str]]) -> list[tuple[dict[str, str], dict[str, Any]]]:
    """Return each combination of a grid's values, with a command's functions at it."""
    rows = []
    for values in combinations(grid):
        own = dict(given)
        if values:
            place(own, values)
        rows.append((values, own))
    return rows


def _exact(name: str, value: str) -> Any:
    from theory.language.activations import exact_value

    return exact_value(name, value)


def _settings(texts: list[str], domain: tuple[Parameter, ...], *, grid: bool) -> dict[str, list[str]]:
    """Return the values of --set NAME=VALUE, decimals as they were typed."""
    own = {p.name: p for p in domain}
    given: dict[str, list[str]] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not NAME.fullmatch(name):
            raise ParameterError(f"--set {text[:80]!r} given; accepted: NAME=VALUE such as beta=0.7.")
        if name not in own:
            raise ParameterError(f"--set {text[:80]} given; accepted: values of {', '.join(own)}.")
        if name in given:
            raise ParameterError(f"--set {name} given twice; accepted: each parameter once.")
        try:
            values = listed(value)
        except ValueError:
            raise ParameterError(f"--set {text[:80]} given; accepted: {LISTS}.") from None
        if len(values) > 1 and not grid:
            raise ParameterError(f"--set {text[:80]} given; accepted here: one value, such as {name}={values[0]}.")
        for one in values:
            own[name].check(_exact(name, one))
        given[name] = values
    return given
