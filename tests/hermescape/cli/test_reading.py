"""Plain values are read as Typer reads them, and what is not plain by Typer itself."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import typer
from typer.core import TyperCommand

from hermescape.cli.reading import Command

NUMBERS = (
    "1",
    "-3",
    "007",
    "1e3",
    "0.1",
    "-2.5E-7",
    "1.",
    ".5",
    "+1",
    " 1 ",
    "1_0",
    "1e400",
    "nan",
    "-inf",
    "٣",
    "x",
    "",
)
TEXTS = ("", "relu", " two words ", "é", "-1", "\udcff")
CASES = (
    *((kind, option, text) for kind, option in ((int, "--whole"), (float, "--number")) for text in NUMBERS),
    *((str, "--text", text) for text in TEXTS),
    *((str, "--word", text) for text in ("lora", "plain", "LORA", "other", "")),
    *((Path, "--file", text) for text in ("a.nc", "é/b", "", "-", "/", "~/a")),
)


def command(
    whole: int = 3,
    number: float = 2,
    text: str | None = None,
    word: Annotated[Literal["lora", "plain"] | None, typer.Option()] = None,
    file: Path | None = None,
    names: Annotated[list[str] | None, typer.Option()] = None,
    positive: Annotated[int, typer.Option(min=1)] = 1,
    flag: bool = False,
) -> dict[str, Any]:
    """Return what was read."""
    return dict(locals())


def read(arguments: list[str], *, plainly: bool) -> Any:
    """Return what a command gets from arguments, with its type, or the words of the refusal."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(cls=Command if plainly else TyperCommand)(command)
    try:
        given = app(arguments, standalone_mode=False)
    except Exception as error:
        return type(error), str(error)
    return {name: (type(value), repr(value)) for name, value in given.items()}


@pytest.mark.parametrize(("_kind", "option", "text"), CASES)
def test_every_text_is_read_as_by_typer(_kind: type, option: str, text: str) -> None:
    assert read([option, text], plainly=True) == read([option, text], plainly=False)


@pytest.mark.parametrize(
    "arguments", [[], ["--flag", "--positive", "0"], ["--positive", "2"], ["--names", "a", "--names", "b"]]
)
def test_defaults_lists_and_bounds_are_read_as_by_typer(arguments: list[str]) -> None:
    assert read(arguments, plainly=True) == read(arguments, plainly=False)


def test_plain_values_are_read_without_typer(monkeypatch: pytest.MonkeyPatch) -> None:
    def plain(whole: int, word: Literal["a", "b"] = "a", number: float = 0.5, file: Path | None = None) -> None:
        seen.append((whole, word, number, file))

    seen: list[tuple] = []
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(cls=Command)(plain)
    monkeypatch.setitem(sys.modules, "pydantic", None)  # what Typer reads with
    monkeypatch.delitem(sys.modules, "typer._adapters", raising=False)
    app(["4", "--number", "1e-3", "--word", "b", "--file", "a.nc"], standalone_mode=False)
    assert seen == [(4, "b", 0.001, Path("a.nc"))]
    with pytest.raises(ImportError):
        app(["x"], standalone_mode=False)
