"""`hermescape phases`: how a start is left, and when, over (mu, d), (mu, rho) or (mu, a parameter of a family)."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hermescape.cli import options, pictures
from hermescape.cli.families import place
from hermescape.cli.lists import grid_of, listed
from hermescape.cli.options import Force, Given, Json, takes, use
from hermescape.cli.pictures import LookOf, Picture, Width, plot_option
from hermescape.output import print_json, print_parts, progress_bar, save
from theory.errors import ParameterError

if TYPE_CHECKING:
    import xarray as xr
    from rich.table import Table

__all__ = ["phases"]

GRIDS = "START:STOP:COUNT or a LIST"
SHOWN = 12  # rows of the table at most
DIMENSIONS, DIMENSION = "1e2:1e8:25", "1e5"  # by default: over d, and over anything else


@takes(
    "student",
    use("mu", default="0.02:0.98:49", kind=str, metavar="MU", note=options.MU_HELP),
    use(
        "dimension",
        default=None,
        kind=str,
        metavar="D",
        note=f"{GRIDS}, evenly in log d, by default {DIMENSIONS}; one, by default {DIMENSION}, where d is no axis",
    ),
    use("rho", kind=str, metavar="RHO", note=f"{GRIDS}; draws (mu, rho) at one d"),
    use("kappa", default=0.0, note="the same at every d; 0 is the gradient flow"),
    "threshold",
    use("step_size", default=0.0, note="0 is the limit of small steps at this kappa"),
    *("teacher", "label", "noise", "scale", "objective"),
    values="grid",
)
def phases(
    given: Given,
    axes: Annotated[
        str | None,
        typer.Option(
            "--axes",
            metavar="mu,NAME",
            help="mu and d, rho, or a parameter that has a grid by --set NAME=START:STOP:COUNT, drawn at one d",
        ),
    ] = None,
    plot: Annotated[Path | None, plot_option("draw the phase diagram")] = None,
    width: Width = None,
    style: LookOf = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE.nc", help="save the grid")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Map the regimes and the median exit time over (mu, d), or at one d over (mu, rho) or (mu, a parameter).

    Times are t = lr * steps. Near a critical strength SGD's noise leads out at small d, the slope of the loss at
    large d; where neither does, the start traps. Over a parameter the critical strengths are drawn, with their folds.
    """
    picture = pictures.picture(plot, width, style, force)
    options.check_output(output, ".nc", force)
    grids = {name: given.pop(name) for name in ("mu", "dimension", "rho")}
    flow = {name: given.pop(name) for name in ("kappa", "threshold", "step_size")}
    rho = grids["rho"]
    parameters, name = _second_axis(given, axes, rho)
    alignments = options.parse_mu(grids["mu"], aligned=rho is None)
    wanted = grids["dimension"] or (DIMENSIONS if name == "d" else DIMENSION)
    dimensions = _grid("--d", wanted, logarithmic=True)
    lengths = None if rho is None else _grid("--rho", rho, logarithmic=False)
    if name != "d" and len(dimensions) > 1:
        raise ParameterError(f"--d {wanted} over {name} given; accepted: one dimension, such as --d 1e5.")
    from hermescape.task import Task
    from numerics.best.phases import phase_diagram

    system = Task(**given, model="lora" if rho is None else "misaligned").system()
    size = dimensions if name == "d" else dimensions[0]
    with progress_bar("alignments", None) as advance:
        diagram = phase_diagram(
            system, alignments, dimension=size, rho=lengths, parameters=parameters, **flow, progress=advance
        )
    if picture is not None:
        _draw(diagram, picture)
    if output is not None:
        save(output, lambda path: path.write_bytes(diagram.to_netcdf(engine="h5netcdf")))
    if as_json:
        print_json(diagram.to_dict())
    else:
        print_parts(*_lines(diagram))


def _second_axis(given: Given, axes: str | None, rho: str | None) -> tuple[dict[str, list[float]], str]:
    """Put values of parameters into the functions; return those of the one that is an axis, and the axis' name."""
    grid: dict[str, list[str]] = given.pop("grid")
    first, _, name = (part.strip() for part in (axes or f"mu,{'d' if rho is None else 'rho'}").partition(","))
    known = ["d", "rho", *grid]
    if first != "mu" or name not in known or (name != "rho") != (rho is None):
        raise ParameterError(
            f"--axes {axes or f'mu,{name}'}{' with --rho' if rho else ''} given; accepted: mu,d; mu,rho with --rho; or "
            f"mu,NAME with a parameter that --param declares ({', '.join(grid) or 'none here'})."
        )
    several = [other for other, values in grid.items() if len(values) > 1 and other != name]
    if several:
        raise ParameterError(
            f"--set {several[0]} with {len(grid[several[0]])} values given; accepted: one value, or --axes "
            f"mu,{several[0]}."
        )
    others = {other: value for other, (value, *_) in grid.items() if other != name}
    if others:
        place(given, others)
    if name not in grid:
        return {}, name
    from theory.language.activations import exact_value

    return {name: [float(exact_value(name, value)) for value in grid[name]]}, name


def _grid(name: str, text: str, *, logarithmic: bool) -> list[float]:
    """Return the numbers of START:STOP:COUNT or a LIST.

    >>> _grid("--d", "1e2:1e4:3", logarithmic=True), _grid("--rho", "0.2,0.4", logarithmic=False)
    ([100.0, 1000.0, 10000.0], [0.2, 0.4])
    """
    import numpy as np

    try:
        grid = grid_of(text) if logarithmic else None
        values = list(map(float, listed(text))) if grid is None else [float(f"{d:.12g}") for d in np.geomspace(*grid)]
    except ValueError:
        values = []
    if not values or not all(math.isfinite(value) and value > 0 for value in values):
        raise ParameterError(f"{name} {text!r} given; accepted: positive numbers, {GRIDS}.")
    return values


def _draw(diagram: xr.Dataset, picture: Picture) -> None:
    from hermescape.drawing import draw_phases
    from numerics.plots import paired, size_of, titled
    from theory.network.objectives import objective

    ax = draw_phases(diagram, style=picture.style, width=picture.width)
    given = diagram.attrs
    pair = paired(given["student"], given["teacher"]) + objective(given["objective"]).aside
    place = "" if "d" in diagram.dims else f", $d$ = {size_of(given['dimension'])}"
    titled(ax, rf"{pair}, $\kappa$ = {given['kappa']:g}, $R$ = {given['threshold']:g}{place}")
    picture.save(ax.figure)


def _lines(diagram: xr.Dataset) -> tuple[str | Table, ...]:
    import numpy as np
    from rich.table import Table

    from theory.network.objectives import objective

    name = str(diagram["median"].dims[1])
    columns = sorted({0, diagram.sizes[name] // 2, diagram.sizes[name] - 1})
    rows = np.unique(np.linspace(0, diagram.sizes["mu"] - 1, SHOWN).round().astype(int))
    table = Table(title="median exit time, t = lr * steps, and regime", show_edge=False, box=None, title_justify="left")
    for column in ("mu", *(f"{name} = {float(diagram[name][i]):.4g}" for i in columns)):
        table.add_column(column, justify="right")
    for row in rows:
        cells = [diagram.isel({"mu": row, name: i}) for i in columns]
        shown = (f"{float(cell['median']):.5g} {cell.regime.item()}".replace("inf ", "") for cell in cells)
        table.add_row(f"{float(diagram.mu[row]):.4g}", *(text.replace("nan ", "") for text in shown))
    counted = ", ".join(f"{kind} {count}" for kind, count in Counter(diagram.regime.values.ravel().tolist()).items())
    given = diagram.attrs
    pair = f"{given['student']} on {given['teacher']}{objective(given['objective']).aside}"
    sampled = int(np.isin(diagram.law.values, ("diffusion", "chain")).sum())
    known = [f"{sampled} medians are those of SGD's diffusion, where u leaves first"] if sampled else []
    if "critical_alignments" in given:
        known.append(f"critical alignments: {given['critical_alignments']}")
        known += [_bifurcation(diagram.isel(event=i), name) for i in range(diagram.sizes["event"])]
    head = f"{pair}, kappa = {given['kappa']:g}, exit at |m| = {given['threshold']:g}"
    return head, table, f"points: {counted}", *known


def _bifurcation(event: xr.Dataset, name: str) -> str:
    """Return a line about one bifurcation."""
    alignment, value = float(event["bifurcation_mu"]), float(event[f"bifurcation_{name}"])
    place = "" if math.isnan(alignment) else f", mu = {alignment:.10g}"
    return f"{event['bifurcation'].item()} at {name} = {value:.10g}{place}"
