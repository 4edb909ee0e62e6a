"""Options that several commands share: their types, and the text that they accept."""

from __future__ import annotations

import math
import re
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import typer

from theory.errors import ParameterError

__all__ = [
    "MAX_ORDER",
    "MU_HELP",
    "Act",
    "Alpha",
    "Digits",
    "Force",
    "Json",
    "Label",
    "Lora",
    "Mix",
    "Model",
    "ModelName",
    "Noise",
    "Parametrisation",
    "RateScale",
    "Rename",
    "Rho",
    "Teacher",
    "Tolerance",
    "accuracy",
    "check_output",
    "check_without_mu",
    "parametrisation",
    "parse_dimensions",
    "parse_mu",
    "parse_names",
    "parse_point",
    "parse_variance",
    "refuse",
    "strength",
]

ACTIVATION = "a name (linear, relu, erf, tanh, gelu, he1...he20, see hermescape activations) or an expression in x"
Act = Annotated[str, typer.Argument(metavar="ACT", help=f"student activation: {ACTIVATION}")]
Teacher = Annotated[str | None, typer.Option(metavar="ACT", help="teacher link, the student's own by default")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object")]
Force = Annotated[bool, typer.Option("--force", help="overwrite an existing output file")]
MU_HELP = "one number, a LIST a,b,c, or a grid START:STOP:COUNT; in (0, 1] where w0 is aligned"

MODELS = "lora: w = mu w* + u v; misaligned: w = w0 + u v; plain: w = v on the sphere"
LoraName = Literal["lora", "misaligned"]
ModelName = Literal["lora", "misaligned", "plain", "pretrain"]
Lora = Annotated[
    LoraName | None, typer.Option(help="lora: w0 = mu w*; misaligned: any w0 (with --rho or --mix); default: lora")
]
Model = Annotated[ModelName | None, typer.Option(help=f"{MODELS}; pretrain: w free; default: lora")]
Parametrisation = Annotated[
    Literal["lora", "misaligned", "plain", "pretrain"], typer.Option(help=f"{MODELS}; pretrain: w free")
]
Label = Annotated[str | None, typer.Option(metavar="T", help='label transform, text in y such as "y**2"')]
Noise = Annotated[float, typer.Option(metavar="DELTA", help="variance of the label noise")]
Alpha = Annotated[float, typer.Option(metavar="A", help="fixed LoRA scale: w = w0 + A u v")]
Rho = Annotated[float | None, typer.Option(metavar="R", help="misaligned w0 of length R >= |mu|")]
Mix = Annotated[bool, typer.Option("--mix", help="misaligned w0 = mu w* + (1 - mu) xi, xi a random unit vector")]
RateScale = Annotated[
    Literal["raw", "paper"],
    typer.Option(
        help="paper: for students he1...he20, learning rate divided by k! k, so that tau is k! k times as long"
    ),
]
TOLERANCE = 1e-10
Digits = Annotated[int | None, typer.Option(metavar="N", help="N significant digits, in place of float64")]
Tolerance = Annotated[float | None, typer.Option(metavar="T", help=f"accepted error; default: {TOLERANCE:g}")]
Rename = Annotated[
    list[str] | None, typer.Option(metavar="A=B", help=r"print symbol A as B, such as mu=\alpha; may be repeated")
]

MAX_POINTS = 10_000
MAX_ORDER = 200
MAX_DIGITS = 500
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?(/\d+)?")


def parse_mu(text: str, *, aligned: bool = True) -> list[float]:
    """Return the numbers of a LIST or START:STOP:COUNT.

    >>> parse_mu("0.1:0.5:3"), parse_mu("0.2,0.4")
    ([0.1, 0.3, 0.5], [0.2, 0.4])
    """
    try:
        if ":" in text:
            start, stop, count = text.split(":")
            first, last, n = float(start), float(stop), int(count)
            if not 1 <= n <= MAX_POINTS:
                raise ValueError
            values = [round(first + (last - first) * i / max(n - 1, 1), 15) for i in range(n)]
        else:
            values = [float(part) for part in text.split(",")]
    except ValueError:
        raise ParameterError(
            f"--mu {text!r} given; accepted: a LIST such as 0.2,0.4 or START:STOP:COUNT such as 0.05:0.95:10 "
            f"(COUNT from 1 to {MAX_POINTS})."
        ) from None
    bad = [value for value in values if not (0 < value <= 1 if aligned else math.isfinite(value))]
    if bad:
        domain = "numbers in (0, 1]" if aligned else "finite numbers"
        raise ParameterError(f"mu = {bad[0]:g} given; accepted: {domain}; mu is the alignment <w0, w*>.")
    return values


def parse_dimensions(text: str) -> list[int]:
    """Return the whole numbers of a LIST; 1e6 is one.

    >>> parse_dimensions("1000,1e6")
    [1000, 1000000]
    """
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = [math.nan]
    if not all(math.isfinite(value) and value == int(value) and value >= 1 for value in values):
        raise ParameterError(f"--d {text!r} given; accepted: an integer, with --law a LIST such as 1e3,1e4,1e5.")
    return [int(value) for value in values]


def parametrisation(model: ModelName | None, rho: float | None, mix: bool) -> ModelName:
    """Return the model that the options ask for; a length of w0 means misaligned.

    >>> parametrisation(None, None, True), parametrisation(None, None, False)
    ('misaligned', 'lora')
    """
    if rho is not None and mix:
        raise ParameterError("--rho and --mix given; accepted: one of them, --mix sets rho^2 = mu^2 + (1 - mu)^2.")
    given = rho is not None or mix
    if given and model not in (None, "misaligned"):
        raise ParameterError(f"--rho or --mix with --model {model} given; accepted: them with --model misaligned.")
    if model == "misaligned" and not given:
        raise ParameterError("--model misaligned without the length of w0 given; accepted: --rho R or --mix with it.")
    return "misaligned" if given else model or "lora"


def strength(mu: float, rho: float | None, mix: bool) -> float | None:
    """Return rho at this mu; None where w0 is aligned.

    >>> strength(0.5, None, True), strength(0.5, 0.7, False), strength(0.5, None, False)  # 1/sqrt(2), ...
    (0.7071067811865476, 0.7, None)
    """
    return math.sqrt(mu**2 + (1 - mu) ** 2) if mix else rho


def accuracy(tolerance: float | None, digits: int | None, order: int | None = None) -> float:
    """Return the tolerance that holds; one given beside `digits` or `order`, which decide alone, is refused."""
    for name, given in (("--digits", digits), ("--order", order)):
        if given is not None and tolerance is not None:
            raise ParameterError(f"{name} and --tolerance given; accepted: one of them.")
    if tolerance is not None and not 0 < tolerance < math.inf:
        raise ParameterError(f"--tolerance {tolerance:g} given; accepted: a positive number such as {TOLERANCE:g}.")
    if digits is not None and not 1 <= digits <= MAX_DIGITS:
        raise ParameterError(f"--digits {digits} given; accepted: an integer from 1 to {MAX_DIGITS}.")
    return TOLERANCE if tolerance is None else tolerance


def check_without_mu(critical: bool, order: int | None, digits: int | None, tolerance: float | None) -> None:
    """Refuse a search without a strength, and options that only concern strengths."""
    if not critical:
        raise ParameterError("no --mu given; accepted: --mu with strengths, --critical, or both.")
    for name, given in (("--order", order), ("--digits", digits), ("--tolerance", tolerance)):
        if given is not None:
            raise ParameterError(f"{name} without --mu given; accepted: it with --mu, at whose strengths it holds.")


def parse_variance(text: str) -> str:
    """Return a positive number as text, or the symbol r.

    >>> parse_variance("1/2"), parse_variance("r")
    ('1/2', 'r')
    """
    stripped = text.strip()
    if stripped == "r" or (NUMBER.fullmatch(stripped) and not stripped.startswith("-")):
        return stripped
    raise ParameterError(f"--variance {text!r} given; accepted: a positive number, a fraction such as 1/2, or r.")


def parse_point(text: str) -> tuple[str, str]:
    """Return q and r of --at Q,R as text.

    >>> parse_point("0.3, 1/4")
    ('0.3', '1/4')
    """
    parts = tuple(part.strip() for part in text.split(","))
    if len(parts) != 2 or not all(map(NUMBER.fullmatch, parts)):
        raise ParameterError(f"--at {text!r} given; accepted: two numbers Q,R such as 0.3,0.25 or 1/3,1.")
    return parts


def parse_names(given: list[str] | None) -> dict[str, str]:
    r"""Return the renamings A=B as a mapping.

    >>> parse_names([r"mu=\alpha"])
    {'mu': '\\alpha'}
    """
    names: dict[str, str] = {}
    for text in given or []:
        symbol, equals, name = text.partition("=")
        if not equals:
            raise ParameterError(f"--rename {text!r} given; accepted: SYMBOL=LATEX such as mu={chr(92)}alpha.")
        if symbol.strip() in names:
            raise ParameterError(f"--rename {symbol.strip()} given twice; accepted: each symbol once.")
        names[symbol.strip()] = name.strip()
    return names


def refuse(where: str, **given: object) -> None:
    """Raise for options that have no meaning here, rather than ignore them.

    >>> refuse("with --law", batch=None)
    """
    for name, value in given.items():
        if value is not None:
            option = "--" + name.replace("_", "-")
            raise ParameterError(f"{option} {where} given; accepted: {option} left out (see hermescape check --help).")


def check_output(path: Path | None, suffix: str, force: bool) -> None:
    """Refuse an output that could not be written, before any work is done."""
    if path is None:
        return
    if path.suffix != suffix:
        raise ParameterError(f"output {path} given; accepted: a file name that ends in {suffix}.")
    if path.is_dir():
        raise ParameterError(
            f"output {path} is a folder; accepted: the name of a file, such as {path / ('a' + suffix)}."
        )
    if path.exists() and not force:
        raise ParameterError(f"output {path} exists; accepted: a new file name, or --force to overwrite it.")
    if not path.parent.is_dir():
        raise ParameterError(
            f"output {path} given; accepted: a file in an existing folder: create {path.parent} first."
        )
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ParameterError(
            f"output {path} cannot be written ({error.strerror or error}); accepted: a file in a writable folder."
        ) from error
