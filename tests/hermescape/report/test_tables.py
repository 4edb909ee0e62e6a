"""Numbers and tables: true signs, and cells that are text until a page escapes them."""

import math

import pytest
from markupsafe import Markup

from hermescape.report.page import templates
from hermescape.report.tables import number, settings_table
from tests.hermescape.report.parsed import Page


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (math.nan, "–"),
        (-math.inf, "−∞"),
        (-1.5, "−1.5"),
        (1234567.0, "1.23457 × 10<sup>6</sup>"),
        (-2.5e-10, "−2.5 × 10<sup>−10</sup>"),
    ],
)
def test_numbers(value: float | None, shown: str) -> None:
    made = number(value)
    assert isinstance(made, Markup)
    assert made == shown


def test_a_table_escapes_text_and_keeps_markup() -> None:
    table = settings_table([("<b>", "a & b"), ("none", None), ("power", "2<sup>3</sup>")])
    parts = templates().get_template("parts.html").make_module({"figures": {}, "titles": {}})
    text = parts.table(table)  # pyright: ignore[reportAttributeAccessIssue]
    page = Page(text)
    assert not page.all("b")
    assert not page.all("sup")
    assert [word for word in page.words if word.strip()][2:] == [
        *("<b>", "a & b", "none", "–", "power", "2<sup>3</sup>"),
        "Everything that the numbers above depend on.",
    ]
    assert [cell["scope"] for cell in page.all("th")] == ["col", "col", "row", "row", "row"]
