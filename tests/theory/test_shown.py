"""Results show themselves: meanings come from what is written beside them, long arrays by their count, nothing raw."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import sympy as sp

from theory.shown import Row, Several, Shown, meanings, short


@dataclass(frozen=True)
class Path(Shown):
    """A path; times in t.

    Attributes:
        times: when it was looked at, at so many places that the text goes on
            below.
        cause: `why` it ended.
    """

    shows = "times, cause, end ± error, at(0.5)"

    times: np.ndarray
    cause: str
    error: float = 1e-3
    """of the end"""

    @property
    def end(self) -> float:
        """Where it ends. NaN if nowhere."""
        return 2.0

    def at(self, share: float) -> float:
        """Where a share of the path has been walked."""
        return share * self.end


def test_a_result_inside_another_thing_is_one_line_without_its_arrays() -> None:
    path = Path(np.linspace(0, 9, 1000), "left")
    assert repr(path) == "<Path times = 1000 values, 0 to 9, cause = left, end = 2 ± 0.001, at(0.5) = 1>"
    assert "\n" not in repr([path] * 3)
    assert short(path) == path.brief


def test_alone_it_is_a_table_with_meanings() -> None:
    first, *rows = str(Path(np.arange(2.0), "left")).splitlines()
    assert first == "Path: A path; times in t"
    assert rows[0].endswith("when it was looked at, at so many places that the text goes on below")
    assert [row.split("  ")[1] for row in rows] == ["times", "cause", "end", "at(0.5)"]
    assert rows[1].split() == ["cause", "left", "why", "it", "ended"]


def test_ipython_prints_the_table_alone_and_a_line_inside() -> None:
    from IPython.lib.pretty import pretty

    path = Path(np.arange(2.0), "left")
    assert pretty(path) == str(path)
    assert pretty([path]) == f"[{path!r}]"


def test_meanings_are_those_of_the_docstring_the_text_below_a_field_and_the_property() -> None:
    known = meanings(Path)
    assert known["error"] == "of the end"
    assert known["end"] == "where it ends"
    assert known["cause"] == "`why` it ended"


def test_a_text_of_its_own_is_kept() -> None:
    class Named(Path):
        def __repr__(self) -> str:
            return "mine"

    assert repr(Named(np.arange(2.0), "left")) == "mine"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (0.1 + 0.2, "0.3"),
        (math.inf, "inf"),
        (np.float64(1.5), "1.5"),
        (np.arange(7), "7 values, 0 to 6"),
        (np.array([1.0, math.nan] * 5), "10 values, 1 to 1"),
        (np.zeros((3, 2)), "3 x 2 values"),
        (("a", "b"), "a, b"),
        ({"a": 1, "b": 2.5}, "a = 1, b = 2.5"),
        (dict.fromkeys(range(9), 0), "0 = 0, 1 = 0, 2 = 0, 3 = 0, 4 = 0, 5 = 0, ... (9 in all)"),
        (sp.Symbol("y") ** 2, "y**2"),
        (sp.Rational(1, 3), "1/3"),
        (sp.Float("0.1", 30), "0.100000000000000000000000000000"),
        (sp.sqrt(2), "sqrt(2) = 1.4142136"),
        (sp.Function("f")(1), "f(1)"),
        ("two\n lines", "two lines"),
    ],
)
def test_values_are_short(value: object, text: str) -> None:
    assert short(value) == text


def test_a_long_expression_is_cut() -> None:
    long = sp.Add(*sp.symbols("y:60"))
    assert len(short(long)) <= 72
    assert short(long).endswith(" ...")


def test_an_error_of_zero_is_said_to_be_none() -> None:
    assert Row("tau", 2.0, error=0.0).text == "2 (exact)"
    assert Row("tau", None, error=math.inf).text == "None"
    assert Row("tau", 2.0, error=math.inf).text == "2 ± inf"


def test_several_are_a_line_each_and_a_tuple() -> None:
    paths = Several(Path(np.arange(float(n)), "left") for n in (1, 2))
    assert paths == tuple(paths)
    assert repr(paths) == repr(tuple(paths))
    head, *rows = str(paths).splitlines()
    assert head == "2 of Path: A path; times in t"
    assert [row.split()[0] for row in rows] == ["[0]", "[1]"]
    assert str(Several(())) == "none"
