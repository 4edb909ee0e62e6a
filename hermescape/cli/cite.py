"""The command `hermescape cite`: BibTeX of the toolkit, from CITATION.cff, and of what a derivation uses.

The toolkit's data stand in CITATION.cff alone, those of the literature in `theory/writing/references.bib` alone.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hermescape.cli.options import ACTIVATION, Given, Json, takes, written
from hermescape.output import print_json
from numerics.parameters import PARAMETERS
from theory.errors import HermescapeError, ParameterError

if TYPE_CHECKING:
    from theory.writing.sources import Source

__all__ = ["cite", "toolkit", "toolkit_bibtex"]

PAPER = "nwemadji2026"


@takes("teacher", "model", "label", "noise", "scale", "objective")
def cite(
    given: Given,
    activation: Annotated[str | None, typer.Argument(metavar="[ACT]", help=f"student activation: {ACTIVATION}")] = None,
    as_json: Json = False,
) -> None:
    """Print BibTeX: the toolkit and the paper of its model; with ACT all that this derivation uses."""
    if activation is None:
        _refuse_alone(given)
        from theory.writing.sources import RULES, Source

        used = [Source(rule.key, rule.why) for rule in RULES if rule.key == PAPER]
    else:
        from hermescape.task import Task
        from theory.writing.sources import sources

        used = sources(Task(activation, **given).system())
    if as_json:
        own = {"key": "hermescape", **_bare(_own_fields()), "bibtex": toolkit_bibtex()}
        print_json({"toolkit": own, "sources": [_as_dict(source) for source in used]})
    else:
        parts = [f"% the toolkit\n{toolkit_bibtex()}", *(f"% {source.why}\n{source.entry.bibtex}" for source in used)]
        typer.echo("\n\n".join(parts))


def _refuse_alone(given: Given) -> None:
    for name, value in given.items():
        if value != PARAMETERS[name].default:
            option = written(name)
            raise ParameterError(f"{option} without an activation given; accepted: hermescape cite ACT {option} ...")


def _as_dict(source: Source) -> dict[str, Any]:
    entry = source.entry
    return {"key": entry.key, "kind": entry.kind, "why": source.why, **_bare(entry.fields), "bibtex": entry.bibtex}


def _bare(fields: dict[str, str]) -> dict[str, str]:
    """Leave out the braces that keep BibTeX from changing a word."""
    return {name: value.replace("{", "").replace("}", "") for name, value in fields.items()}


@lru_cache(maxsize=1)
def toolkit() -> dict[str, Any]:
    """Return the content of CITATION.cff: beside the package where it is installed, else of the source tree.

    Raises `HermescapeError` where neither is there.
    """
    import yaml

    here = Path(__file__).parents[1]
    for path in (here / "CITATION.cff", here.parent / "CITATION.cff"):
        if path.is_file():
            return yaml.safe_load(path.read_text(encoding="utf-8"))
    raise HermescapeError("no CITATION.cff found; accepted: an installation from a wheel, or the source tree.")


def _own_fields() -> dict[str, str]:
    entry = toolkit()
    authors = (f"{{{who['name']}}}" if "name" in who else _person(who) for who in entry["authors"])
    return {
        "author": " and ".join(authors),
        "title": entry["title"],
        "year": str(entry["date-released"])[:4],
        "note": f"Version {entry['version']}, {entry['license']} licence",
    }


def _person(who: dict[str, str]) -> str:
    return f"{who['family-names']}, {who['given-names']}"


def toolkit_bibtex() -> str:
    """Return the toolkit's entry.

    >>> print(toolkit_bibtex().partition(",")[0])
    @misc{hermescape
    """
    body = "".join(f"  {name} = {{{value}}},\n" for name, value in _own_fields().items())
    return f"@misc{{hermescape,\n{body}}}"
