"""Options: those of the table of parameters, made from it, others that several commands share, and what they accept.

A command asks for parameters of `numerics.parameters` by name and gets their values under these names:

    @takes("student", "teacher", use("dimension", note="such as 1e6", kind=float))
    def command(given: Given, latex: bool = False) -> None:
        task = Task(**given)
"""

from __future__ import annotations

import inspect
import math
import re
import tempfile
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from hermescape.cli.families import SCALARS, Values, options_of, read_families
from hermescape.cli.lists import LISTS, listed
from numerics.accuracy import VALUE
from numerics.parameters import (
    MODEL_NAMES,
    MODEL_PARAMETERS,
    OBJECTIVE_NAMES,
    OTHER_NAMES,
    PARAMETERS,
    Parameter,
    model_name,
)
from theory.errors import ParameterError

__all__ = [
    "ACTIVATION",
    "DERIVED",
    "MAX_ORDER",
    "MU_HELP",
    "Digits",
    "Force",
    "Given",
    "Json",
    "RateScale",
    "Rename",
    "Threads",
    "Tolerance",
    "Use",
    "accuracy",
    "check_output",
    "check_without_mu",
    "one_form",
    "parametrisation",
    "parse_dimensions",
    "parse_mu",
    "parse_names",
    "parse_point",
    "parse_variance",
    "refuse",
    "takes",
    "use",
    "written",
    "wrong_name",
]

# --- from the table ---------------------------------------------------------------------------------------------

Given = dict[str, Any]
"""The values of parameters of the table, by their names there."""

NAMES = "linear, relu, erf, tanh, gelu, he1...he20, see hermescape activations"
ACTIVATION = f"a name ({NAMES}) or an expression in x"
_OWN: Any = object()  # stands for what the table says
_TYPES: dict[str, Any] = {
    **{"text": str, "model": Literal[MODEL_NAMES], "objective": Literal[OBJECTIVE_NAMES]},
    **{"flag": bool, "integer": int, "number": float},
}


@dataclass(frozen=True)
class Use:
    """How a command takes a parameter where it differs from the table: its default, a note, its type, its metavar."""

    parameter: Parameter
    default: Any
    note: str
    kind: Any
    metavar: str | None

    def declared(self) -> inspect.Parameter:
        """Return the parameter of a command's function, with the option that Typer reads."""
        own = self.parameter
        flag = self.kind is bool
        odd = isinstance(self.default, float) and self.default not in own.domain  # this command takes more
        meaning = own.meaning if odd else own.help
        metavar = "<int>" if self.kind is int and self.metavar is None else self.metavar
        shown = {"help": f"{meaning}; {self.note}" if self.note else meaning, "metavar": metavar}
        option = own.option.startswith("--")
        info = typer.Option(own.option, **shown) if option else typer.Argument(**shown)
        empty = None if option else inspect.Parameter.empty
        default = False if flag else empty if self.default is None else self.default
        kind = self.kind
        if kind is int:  # read as text, since 1e6 is one
            kind, default = str, default if default in (None, empty) else str(default)
        kind = kind if default is not None else kind | None
        annotation = Annotated[kind, info]
        return inspect.Parameter(own.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)

    def read(self, given: Any) -> Any:
        """Return the value of a text of an integer, and any other value as it is.

        >>> use("dimension").read("1e6"), use("seed").read("9007199254740993"), use("batch").read(None)
        (1000000, 9007199254740993, None)
        >>> use("batch").read("2.5")
        Traceback (most recent call last):
        theory.errors.ParameterError: --batch '2.5' given; accepted: an integer >= 1, of 64 bits, such as 1e6.
        """
        if self.kind is not int or not isinstance(given, str):
            return given
        try:
            return self.parameter.read(int(given) if re.fullmatch(r"\s*[+-]?\d+\s*", given) else float(given))
        except ValueError:
            own = self.parameter
            raise ParameterError(
                f"{own.option} {given!r} given; accepted: {own.accepted}, of 64 bits, such as 1e6."
            ) from None


ALIGNED = [name for name, parameters in MODEL_PARAMETERS.items() if parameters == ("mu",)]
"""The models whose w0 is mu w*, with mu in (0, 1]."""


def use(name: str, *, default: Any = _OWN, note: str = "", kind: Any = None, metavar: str | None = None) -> Use:
    """Return a parameter of the table with what is particular to one command."""
    own = PARAMETERS[name]
    shown = own.default if default is _OWN else default
    return Use(own, shown, note, kind or _TYPES[own.type], metavar or own.metavar)


def takes(*names: str | Use, values: Values = "put") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command options for parameters of the table; its function gets their values as its first argument.

    A command that takes a student takes families too: `values` says what becomes of the values of their parameters.
    """
    uses = [(use(name, note=NAMES if name == "student" else "") if isinstance(name, str) else name) for name in names]

    families = options_of(values) if any(one.parameter.name == "student" for one in uses) else []
    if families:
        uses = [_of_parameters(one) if one.parameter.name in SCALARS else one for one in uses]

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        _, *own = inspect.signature(function, eval_str=True).parameters.values()
        declared = [
            *(one.declared() for one in uses),
            *families,
            *(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own),
        ]

        @wraps(function)
        def command(**options: Any) -> None:
            given = {one.parameter.name: one.read(options.pop(one.parameter.name)) for one in uses}
            try:
                if families:
                    read_families(given, values, **{one.name: options.pop(one.name) for one in families})
                function(given, **options)
            except ParameterError as error:
                raise ParameterError(_on_command_line(str(error), given)) from error

        command.__annotations__ = {one.name: one.annotation for one in declared}
        command.__signature__ = inspect.Signature(declared)  # pyright: ignore[reportAttributeAccessIssue]
        return command

    return decorate


def _of_parameters(number: Use) -> Use:
    """Return a number as a command takes it that reads expressions of declared parameters too."""
    return replace(number, kind=str, default=str(number.default), note=number.note or "or of parameters, such as c")


DERIVED = ("student", "teacher", use("model", default="lora"), "label", "noise", "scale", "objective")
"""What a derivation depends on."""


def _on_command_line(message: str, names: Iterable[str]) -> str:
    """Say the option, where a message is about a parameter of another name.

    >>> _on_command_line("step_size = 0 given; accepted: ...", ["step_size"])
    '--lr: step_size = 0 given; accepted: ...'
    """
    name = message.partition(" = ")[0]
    renamed = name in names and written(name) != "--" + name.replace("_", "-")
    return f"{written(name)}: {message}" if renamed else message


def written(name: str) -> str:
    """Return a parameter's name on the command line.

    >>> written("step_size"), written("max_steps")
    ('--lr', '--max-steps')
    """
    return PARAMETERS[name].option if name in PARAMETERS else "--" + name.replace("_", "-")


def wrong_name(option: str, taken: Collection[str] = ()) -> str | None:
    """Return what to say to an option that is a parameter's name elsewhere; None for any other.

    A command that takes a model but not this parameter of some models (`taken` are its options) keeps it as a symbol.

    >>> wrong_name("--step-size")
    '--step-size given; accepted: --lr (step size eta).'
    >>> wrong_name("--rho", {"--model"})
    '--rho given; accepted: no --rho, a symbol of --model misaligned.'
    """
    if option == "--function":
        return (
            "--function given; accepted by derive, latex, hermite, kernel: numbers need a formula, give an activation."
        )
    name = option.lstrip("-").replace("-", "_")
    own = PARAMETERS.get(OTHER_NAMES.get(name, name))
    if own is None or not own.option.startswith("--"):
        return None
    models = [model for model, parameters in MODEL_PARAMETERS.items() if own.name in parameters]
    if models and own.option == option and PARAMETERS["model"].option in taken:
        return f"{option} given; accepted: no {option}, a symbol of --model {' and '.join(models)}."
    if own.option == option:
        return None
    return f"{option} given; accepted: {own.option} ({own.meaning})."


# --- others -----------------------------------------------------------------------------------------------------

Json = Annotated[bool, typer.Option("--json", help="print one JSON object")]
Force = Annotated[bool, typer.Option("--force", help="overwrite an existing output file")]
Threads = Annotated[int | None, typer.Option(PARAMETERS["threads"].option, help=PARAMETERS["threads"].meaning)]
MU_HELP = "one number, a LIST a,b,c, or a grid START:STOP:COUNT"
RateScale = Annotated[
    Literal["raw", "paper"],
    typer.Option(
        help="paper: for students he1...he20, learning rate divided by k! k, so that tau is k! k times as long"
    ),
]
Digits = Annotated[int | None, typer.Option(metavar="N", help="N significant digits, in place of float64")]
Tolerance = Annotated[float | None, typer.Option(metavar="T", help=f"accepted error; default: {VALUE:g}")]
Rename = Annotated[
    list[str] | None, typer.Option(metavar="A=B", help=r"print symbol A as B, such as mu=\alpha; may be repeated")
]

MAX_ORDER = 200
MAX_DIGITS = 500
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?(/\d+)?")


def parse_mu(text: str, *, aligned: bool = True) -> list[float]:
    """Return the numbers of a LIST or START:STOP:COUNT.

    >>> parse_mu("0.1:0.5:3"), parse_mu("0.2,0.4")
    ([0.1, 0.3, 0.5], [0.2, 0.4])
    """
    try:
        values = list(map(float, listed(text)))
    except ValueError:
        raise ParameterError(f"--mu {text!r} given; accepted: {LISTS}.") from None
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


def parametrisation(given: Given, accepted: Iterable[str] = MODEL_NAMES, command: str = "") -> str:
    """Return the model that the options ask for; a length of w0 means misaligned.

    >>> parametrisation({"model": None, "rho": None, "mix": True}), parametrisation({"model": None})
    ('misaligned', 'lora')
    """
    lengthy, mixed = given.get("rho") is not None, bool(given.get("mix"))
    name = model_name(given["model"], lengthy=lengthy, mixed=mixed, written=written)
    if name not in accepted:
        raise ParameterError(f"{command}--model {name} given; accepted: {', '.join(accepted)}.")
    if not MODEL_PARAMETERS[name] and given.get("mu") is not None:
        raise ParameterError("--mu with --model plain given; accepted: no --mu, it has no pre-trained weight.")
    return name


def one_form(latex: bool, as_json: bool) -> None:
    """Refuse two forms of output at once."""
    if latex and as_json:
        raise ParameterError("--latex and --json given; accepted: one of them.")


def accuracy(tolerance: float | None, digits: int | None, order: int | None = None) -> float:
    """Return the tolerance that holds; one given beside `digits` or `order`, which decide alone, is refused."""
    for name, given in (("--digits", digits), ("--order", order)):
        if given is not None and tolerance is not None:
            raise ParameterError(f"{name} and --tolerance given; accepted: one of them.")
    if tolerance is not None and not 0 < tolerance < math.inf:
        raise ParameterError(f"--tolerance {tolerance:g} given; accepted: a positive number such as {VALUE:g}.")
    if digits is not None and not 1 <= digits <= MAX_DIGITS:
        raise ParameterError(f"--digits {digits} given; accepted: an integer from 1 to {MAX_DIGITS}.")
    return VALUE if tolerance is None else tolerance


def check_without_mu(critical: bool, order: int | None, digits: int | None, tolerance: float | None) -> None:
    """Refuse a search without an alignment, and options that only concern alignments."""
    if not critical:
        raise ParameterError("no --mu given; accepted: --mu with alignments, --critical, or both.")
    for name, given in (("--order", order), ("--digits", digits), ("--tolerance", tolerance)):
        if given is not None:
            raise ParameterError(f"{name} without --mu given; accepted: it with --mu, at whose alignments it holds.")


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
            option = written(name)
            raise ParameterError(f"{option} {where} given; accepted: {option} left out (see hermescape check --help).")


def check_output(path: Path | None, suffix: str, force: bool, *others: str) -> None:
    """Refuse an output that could not be written, before any work is done; `others` are endings that will do too."""
    if path is None:
        return
    if path.suffix.lower() not in (suffix, *others):
        endings = f"one of {', '.join((suffix, *others))}" if others else suffix
        raise ParameterError(f"output {path} given; accepted: a file name that ends in {endings}.")
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
