"""The command `hermescape reproduce`: the figures of arXiv:2602.02855, made from scratch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hermescape.cli.options import Given, Json, Threads, takes
from hermescape.output import print_json, print_parts, progress_bar
from theory.errors import ParameterError

if TYPE_CHECKING:
    from rich.table import Table

    from hermescape.paper.runner import Made

__all__ = ["reproduce"]

WORST = 8  # findings listed for people, --json has all


@takes("seed")
def reproduce(
    given: Given,
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...|all]", help="figures; none: list them")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="folder for .png, .pdf, .md and .nc of each")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="coarse: all figures in two minutes")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="compare every curve with closed forms or quadrature; exit code 1 if off")
    ] = False,
    threads: Threads = None,
    list_names: Annotated[bool, typer.Option("--list", help="list the figures; make none")] = False,
    force: Annotated[bool, typer.Option("--force", help="compute again what is there, overwrite its files")] = False,
    as_json: Json = False,
) -> None:
    """Make the figures of arXiv:2602.02855 from scratch, each with its data and caption.

    Finished figures with the same settings are kept: run it again to go on after an interruption.
    """
    from hermescape.paper.names import TITLES, chosen

    if list_names or not names:
        if names or out is not None or check or quick or force:
            raise ParameterError(
                "--list, or no figure, with other options given; accepted: NAME... or all with --out DIR; --list alone."
            )
        _show(as_json, TITLES)
        return
    wanted = chosen(names)
    if out is None:
        raise ParameterError("no --out given; accepted: --out DIR, a folder for the figures.")
    from hermescape.paper.registry import FIGURES
    from hermescape.paper.runner import reproduce as run
    from hermescape.paper.settings import Settings

    settings = Settings(quick, given["seed"], threads)
    try:
        made = run(
            [FIGURES[name] for name in wanted],
            out,
            settings,
            force=force,
            check=check,
            progress=lambda label: progress_bar(label, None),
            report=lambda line: typer.echo(line, err=True),
        )
    except KeyboardInterrupt:
        typer.echo(f"finished figures are kept in {out}; the same command goes on", err=True)
        raise
    passed = all(one.passed for one in made)
    if as_json:
        content = {"out": str(out), **settings.key, "figures": [one.as_dict(check) for one in made]}
        print_json(content | ({"passed": passed} if check else {}))
    else:
        print_parts(*_table(made, check))
    if not passed:
        raise typer.Exit(1)


def _show(as_json: bool, titles: dict[str, str]) -> None:
    if as_json:
        print_json({"figures": [{"name": name, "title": title} for name, title in titles.items()]})
        return
    width = max(map(len, titles))
    print_parts(*(f"{name:{width}}  {title}" for name, title in titles.items()))


def _table(made: list[Made], check: bool) -> tuple[str | Table, ...]:
    """Return a row a figure, and the findings that are off."""
    from rich.table import Table

    table = Table(show_edge=False, pad_edge=False, box=None)
    for column in ("figure", "", "computed in", *(("checks",) if check else ()), "files"):
        table.add_column(column, overflow="fold")
    for one in made:
        off = [finding for finding in one.findings if not finding.passed]
        verdict = (
            (f"{len(one.findings)} agree" if not off else f"{len(off)} of {len(one.findings)} off",) if check else ()
        )
        stem = Path(one.files[0]).with_suffix("")
        table.add_row(one.name, one.status, f"{one.seconds:.1f} s", *verdict, f"{stem}.nc .png .pdf .md")
    lines = [
        f"off: {one.name}: {f.curve} against {f.reference}, {f.deviation:.3g} times what is allowed"
        for one in made
        for f in sorted(one.findings, key=lambda finding: -finding.deviation)
        if not f.passed
    ]
    more = [f"{len(lines) - WORST} others (--json lists all)"] if len(lines) > WORST else []
    return table, *lines[:WORST], *more
