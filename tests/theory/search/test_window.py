"""One parameter over an interval: what is left of a family, its chambers, and exact roots."""

import pytest
import sympy as sp

from theory.errors import InputError, NotIntegrableError, ParameterError
from theory.language.parameters import declared
from theory.network.derivation import derive
from theory.search.window import chambers_along, family_over, middle, roots_between, window

FAMILY = derive("c1*x + c3*He(3, x)", parameters=["c1", "c3"])


def test_one_parameter_is_left() -> None:
    text = family_over("c1*x + c3*He(3, x)", "c1", None, {"c3": 1})
    assert [p.name for p in text.network.domain] == ["c1"]
    assert text.loss == family_over(FAMILY, "c1", None, {"c3": 1}).loss
    assert [str(p) for p in family_over("erf(b*x)", "b", "b > 0", {}).network.domain] == ["b > 0"]


@pytest.mark.parametrize(
    ("over", "values", "words"),
    [
        ("c2", {"c1": 1}, "accepted: one of c1, c3"),
        ("c1", {}, "no value of c3 given"),
        ("c1", {"c3": 1, "b": 2}, "b = 2 given"),
        ("c1", {"c1": 1, "c3": 2}, "c1 = 1"),
    ],
)
def test_what_is_no_family_of_one_parameter(over: str, values: dict, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        family_over(FAMILY, over, None, values)
    with pytest.raises(ParameterError, match="is no family"):
        family_over(derive("relu"), "c1", None, {})


def test_an_interval_lies_in_the_domain() -> None:
    family = derive("erf(b*x)", parameters="0 < b <= 2")
    assert [str(window(family, "b", between)) for between in (None, (-1, 5), ("1/3", 1))] == [
        "0 < b <= 2",
        "0 < b <= 2",
        "1/3 <= b <= 1",
    ]
    for between in ((1, 1), (2, 1), (3, 4), (-2, 0), (1,), "ab"):
        with pytest.raises(ParameterError, match="between"):
            window(family, "b", between)


def test_chambers_and_the_walls_between_them() -> None:
    family = derive("max(x - a, 0) + max(x - a**2, 0)", parameters="a")
    parts = chambers_along(family, window(family, "a", (-1, 3)))
    assert [(part.low, part.high) for part, _ in parts] == [(-1, 0), (0, 1), (1, 3)]
    for part, system in parts:
        value = middle(part)
        student = system.member(a=value).loss_function.student
        assert student.kinks == tuple(sorted((value, value**2)))
    smooth = derive("erf(b*x)", parameters="b")
    assert [system for _, system in chambers_along(smooth, window(smooth, "b", (-1, 1)))] == [smooth]
    rising = derive("max(x - exp(a), 0) + max(x - 2, 0)", parameters="a")
    parts = chambers_along(rising, window(rising, "a", (0, 1)))
    assert [(part.low, part.high) for part, _ in parts] == [(0, sp.log(2)), (sp.log(2), 1)]
    odd = derive("max(x - exp(a), 0) + max(x - 2*a - 2, 0)", parameters="a")
    with pytest.raises(InputError, match="polynomials"):
        chambers_along(odd, window(odd, "a", (0, 1)))
    fast = derive("exp(c*x**2)", parameters="c")
    with pytest.raises(NotIntegrableError):
        chambers_along(fast, window(fast, "c", (0, 1)))


def test_roots_inside_an_interval() -> None:
    b = declared("0 < b < 2")[0]
    poly = sp.Poly((b.symbol - 1) ** 2 * (b.symbol**3 - 2) * (b.symbol - 2) * b.symbol, b.symbol)
    assert [float(root) for root in roots_between(poly, b)] == pytest.approx([1, 2 ** (1 / 3)])
    assert [float(root) for root in roots_between(poly, b, odd=True)] == pytest.approx([2 ** (1 / 3)])
    assert roots_between(sp.Poly(3, b.symbol), b) == []
