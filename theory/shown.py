"""Results that show themselves: what they hold, by name, with the meanings that their own documentation gives.

A class names what it shows (`shows`), as one writes it in Python after the object's dot; meanings are read from its
docstrings, so that each is written once. A text of one line stands wherever the result is part of something else, a
table of lines where it is printed or the last value of a cell. `hermescape` paints the same rows as HTML.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import math
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, ROUND_CEILING, Context, Decimal
from enum import Enum
from functools import cache
from typing import Any, ClassVar, TypeVar

from sympy import Expr

from theory.lazy import PROVIDERS
from theory.typeset.printing import as_text

__all__ = ["Row", "Several", "Shown", "beside", "decimal", "is_formula", "meanings", "short", "upwards"]

LONGEST = 72  # characters of a value
SEVERAL = 6  # entries of a list that are written out
DIGITS = 8
WIDTH = 110  # characters of a line in a terminal
NAME = re.compile(r"(?P<name>\w+)(?:\((?P<argument>[\d.]+)\))?(?: ± (?P<error>\w+))?")
ITEM = re.compile(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """What is shown of one quantity: its name, its value, a bound on the error of that if it has one, what it means."""

    name: str
    value: Any
    meaning: str = ""
    error: Any = None

    @property
    def text(self) -> str:
        """The value on one line, with its error."""
        if self.error is None or self.value is None:
            return short(self.value)
        if self.error == 0:
            return f"{short(self.value)} (exact)"
        return f"{beside(self.value, self.error)} ± {_plain(upwards(self.error, 1))}"


class Shown:
    """A result that shows itself, in a terminal and in Jupyter.

    A subclass lists in `shows` the names of attributes between commas: `quantile(0.05)` is a method at a number,
    `tau ± error` a value with its error.

    >>> class Walk(Shown):
    ...     '''A walk.
    ...
    ...     Attributes:
    ...         length: of all its steps together,
    ...             in metres.
    ...     '''
    ...
    ...     shows = "length ± error, steps"
    ...     length, error = 2.5, 0.01
    ...
    ...     @property
    ...     def steps(self):
    ...         '''The number of steps. Zero for none.'''
    ...         return 4
    >>> Walk()
    <Walk length = 2.5 ± 0.01, steps = 4>
    >>> print(Walk())
    Walk: A walk
      length  2.5 ± 0.01  of all its steps together, in metres
      steps   4           the number of steps
    """

    __slots__ = ()

    shows: ClassVar[str] = ""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__repr__" not in vars(cls):
            cls.__repr__ = Shown.__repr__  # a dataclass would write its own, with every array in it
            cls._repr_pretty_ = Shown._repr_pretty_  # IPython would take that

    @property
    def heading(self) -> str:
        """What it is, on one line."""
        return f"{type(self).__name__}: {_first(type(self).__doc__)}"

    @property
    def brief(self) -> str:
        """What it holds, on one line."""
        return _cut(
            ", ".join(f"{row.name} = {row.text}" for row in self.quantities() if row.value is not None), 2 * LONGEST
        )

    def quantities(self) -> list[Row]:
        """What it holds."""
        return [_row(self, given) for given in self.shows.split(", ") if given]

    def formulas(self) -> Mapping[str, Any]:
        """What it says in formulas, by left-hand sides as text; in HTML its `equations` stand for them."""
        return {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.brief}>"

    def __str__(self) -> str:
        said = [f"  {name} = {short(f)}" for name, f in self.formulas().items()]
        return "\n".join([self.heading, *said, *_lines(self.quantities())])

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What IPython prints: all of it, or one line inside of something else."""
        alone = len(getattr(printer, "stack", ())) <= 1
        printer.text(str(self) if alone and not cycle else repr(self))

    def _repr_html_(self) -> str | None:
        paint = PROVIDERS.get("html")
        return None if paint is None else paint(self)


S = TypeVar("S", bound=Shown)


class Several(tuple[S, ...], Shown):
    """Results in a row, one line each."""

    _repr_pretty_ = Shown._repr_pretty_

    def __repr__(self) -> str:
        return tuple.__repr__(self)

    @property
    def heading(self) -> str:
        """How many, of what."""
        kinds = ", ".join(dict.fromkeys(f"{type(each).__name__}: {_first(type(each).__doc__)}" for each in self))
        return f"{len(self)} of {kinds}" if self else "none"

    def quantities(self) -> list[Row]:
        """Each in brief, as one gets it."""
        return [Row(f"[{index}]", each.brief) for index, each in enumerate(self)]


def _row(shown: Shown, given: str) -> Row:
    parts = NAME.fullmatch(given)
    assert parts is not None, given
    value = getattr(shown, parts["name"])
    if parts["argument"] is not None:
        value = value(float(parts["argument"]))
    error = None if parts["error"] is None else getattr(shown, parts["error"])
    return Row(given.partition(" ± ")[0], value, meanings(type(shown)).get(parts["name"], ""), error)


def _lines(rows: Sequence[Row]) -> list[str]:
    """Set rows in columns; meanings go on below themselves."""
    left, middle = (max((len(getattr(row, part)) for row in rows), default=0) for part in ("name", "text"))
    room = max(WIDTH - left - middle - 6, WIDTH // 3)
    lines = []
    for row in rows:
        first, *others = textwrap.wrap(re.sub("[`$]", "", row.meaning), room) or [""]
        lines.append(f"  {row.name:{left}}  {row.text:{middle}}  {first}".rstrip())
        lines += [" " * (left + middle + 6) + line for line in others]
    return lines


# --- meanings -------------------------------------------------------------------------------------------------------


@cache
def meanings(kind: type) -> dict[str, str]:
    """Return what the attributes of a class mean: from its docstring, theirs, and the text below a field.

    >>> meanings(Row)["text"]
    'the value on one line, with its error'
    """
    known: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        known |= {name: _clean(text) for name, text in ITEM.findall(inspect.cleandoc(base.__doc__ or ""))}
        known |= {name: _first(text) for name, text in _below_fields(base).items()}
        for name, member in vars(base).items():
            text = getattr(member, "__doc__", None)
            if callable(member) or hasattr(member, "__get__"):
                known |= {name: _lower(_first(text))} if text and name not in known else {}
    return known


def _below_fields(kind: type) -> dict[str, str]:
    """Return the texts that stand below fields, where there is a source to read."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError, SyntaxError):
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    return {
        field.target.id: below.value.value
        for field, below in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
    }


def _first(text: str | None) -> str:
    """Return the first sentence of a docstring, or its first line."""
    line = _clean((text or "").strip().partition("\n\n")[0])
    return re.split(r"(?<=[a-z)0-9])\. (?=[A-Z])", line)[0].rstrip(".") if "\n" not in line else line


def _clean(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


def _lower(text: str) -> str:
    """Begin with a small letter, unless that is a symbol or a name."""
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


# --- values ---------------------------------------------------------------------------------------------------------


def upwards(error: Any, digits: int = 2) -> str:
    """Return a bound to so many digits, rounded up.

    >>> upwards(1.2301e-17), upwards(1.2301e-17, 1), upwards(0.0)
    ('1.3e-17', '2e-17', '0')
    """
    context = Context(prec=digits, rounding=ROUND_CEILING, Emin=MIN_EMIN, Emax=MAX_EMAX)
    return f"{context.create_decimal(Decimal(str(error))):.{digits - 1}e}" if error else "0"


def _plain(bound: str) -> str:
    """Return a bound without an exponent where it needs none."""
    return f"{float(bound):.1g}" if float(bound) else bound


def decimal(value: float) -> str:
    """Return all digits of a double, what stands beside its error.

    >>> decimal(0.1), decimal(1.0)
    ('0.1', '1')
    """
    return str(value).removesuffix(".0")


def beside(value: Any, error: Any) -> str:
    """Return a number to eight digits, or to all of a double where its error is below a unit in the eighth.

    >>> beside(2 / 3, 1e-16), beside(2 / 3, 0.01)
    ('0.6666666666666666', '0.66666667')
    """
    if not isinstance(value, float) or float(error) > abs(value) * 10.0**-DIGITS:
        return short(value)
    return decimal(value)


def short(value: Any) -> str:
    """Return a value on one line: numbers to eight digits, long arrays by their count and range.

    >>> short(2 / 3), short([1.0, 2.0]), short({"u": 0.5}), short(range(99))
    ('0.66666667', '1, 2', 'u = 0.5', '99 values, 0 to 98')
    """
    match value:
        case str():
            return _cut(" ".join(value.split()))
        case Enum():
            return value.name
        case Expr():
            return _expression(value)
        case float():
            return f"{value:.{DIGITS}g}"
        case Mapping():
            return _listed([f"{key} = {short(inner)}" for key, inner in value.items()])
        case tuple() if names := getattr(value, "_fields", ()):
            return _listed([f"{name} {short(inner)}" for name, inner in zip(names, value, strict=True)])
        case Shown():
            return value.brief
        case tuple() | list() | range():
            return _sequence(value)
        case _:
            return _array(value) if hasattr(value, "dtype") else _cut(str(value))


def is_formula(value: Any) -> bool:
    """Whether a value is an expression in symbols, or an exact number: no decimal."""
    return isinstance(value, Expr) and not value.is_Float


def _expression(value: Expr) -> str:
    """Return the text of an expression; of a number that has a long one or none that is read easily, also decimals.

    >>> from sympy import CRootOf, sqrt
    >>> from sympy.abc import x
    >>> _expression(1 + sqrt(5)), _expression(CRootOf(x**3 + x - 1, 0))
    ('1 + sqrt(5) = 3.236068', '0.6823278')
    """
    if value.free_symbols or value.is_Float or value.is_Rational or value.is_infinite:
        return _cut(as_text(value))
    text, number = as_text(value), short(float(value)) if value.is_comparable else ""
    is_plain = len(text) <= LONGEST / 2 and "CRootOf" not in text
    return " = ".join(filter(None, (text if is_plain else "", number))) or _cut(text)


def _array(value: Any) -> str:
    if not value.shape:
        return short(value.item())
    count = " x ".join(map(str, value.shape))
    if len(value.shape) > 1 or value.dtype.kind not in "iuf":
        return f"{count} values"
    return _sequence(value.tolist())


def _sequence(values: Iterable[Any]) -> str:
    """Return the entries where they are few, else their count, and from where to where they go if they are numbers."""
    known = list(values)
    if len(known) <= SEVERAL:
        return _listed(list(map(short, known))) if known else "none"
    if not all(isinstance(each, int | float) for each in known):
        return f"{len(known)} values"
    numbers = [each for each in known if not math.isnan(each)]
    return f"{len(known)} values" + (f", {short(min(numbers))} to {short(max(numbers))}" if numbers else "")


def _listed(parts: Sequence[str]) -> str:
    shown = ", ".join(parts[:SEVERAL])
    return shown if len(parts) <= SEVERAL else f"{shown}, ... ({len(parts)} in all)"


def _cut(text: str, longest: int = LONGEST) -> str:
    return text if len(text) <= longest else f"{text[: longest - 4]} ..."
