"""Special places: where zeros of A and B appear and vanish, against roots by NumPy, and how all are written."""

import re

import numpy as np
import pytest
import sympy as sp

from theory.network.derivation import derive
from theory.search.special import special_places, unsearched
from theory.symbols import mu


def zeros(f: sp.Expr, values: dict[str, float]) -> int:
    """Return the number of zeros in (0, 1) of a polynomial in mu."""
    poly = sp.Poly(f.subs({symbol: values[symbol.name] for symbol in f.free_symbols - {mu}}), mu)
    roots = np.roots([float(c) for c in poly.all_coeffs()])
    return int(np.sum((abs(roots.imag) < 1e-9) & (roots.real > 1e-9) & (roots.real < 1 - 1e-9)))


@pytest.mark.parametrize("text", ["p*x + He(3, x)", "p*x + He(2, x)", "p*x + He(2, x) + He(4, x)", "x + p*He(2, x)"])
def test_every_change_of_zeros_is_named_and_nothing_else(text: str) -> None:
    system = derive(text, parameters="p")
    for name, f in (("A", system.escape.A), ("B", system.escape.B)):
        word = "critical alignment" if name == "A" else "of B"
        said = [
            re.fullmatch(r"p = (\S+): .*: (\d) below, (\d) above", str(s))
            for s in special_places(system)
            if word in s.what
        ]
        named = {float(match[1]): (int(match[2]), int(match[3])) for match in said}
        for value, counts in named.items():
            assert tuple(zeros(f, {"p": value + side}) for side in (-1e-4, 1e-4)) == counts
        grid = np.linspace(-7.003, 7.001, 701)
        counts = [zeros(f, {"p": value}) for value in grid]
        changes = [(a, b) for a, b, m, n in zip(grid, grid[1:], counts, counts[1:], strict=False) if m != n]
        assert len(changes) == sum(-7 < value < 7 and below != above for value, (below, above) in named.items())
        assert all(any(a <= value <= b for value in named) for a, b in changes)


def test_linear_and_cubic_hermite() -> None:
    """k_f = -0.437120971963953 of the issue of families, and the zeros of B = -c1^2 + ... by NumPy."""
    places = {(p.place, p.what) for p in special_places(derive("c1*x + c3*He(3, x)", parameters=["c1", "c3"]))}
    assert ("c1 = -0.43712097*c3", "two critical alignments meet at mu = 0.22222965") in places
    assert ("c1 = 3*c3", "a critical alignment enters or leaves at mu = 0") in places
    assert ("c1 = 0.38117567*c3", "two zeros of B meet at mu = 0.60832811") in places
    one = derive("c1*x + He(3, x)", parameters="c1").escape.B
    assert [zeros(one, {"c1": c}) for c in (0.38, 0.382, 5.718, 5.719)] == [0, 2, 2, 0]


def test_places_of_several_parameters() -> None:
    """F(0) of A is a (a - 3 c): the ends are zeros of polynomials, the folds stand on lines."""
    places = [
        str(place) for place in special_places(derive("a*x + b*He(2, x) + c*He(3, x)", parameters=["a", "b", "c"]))
    ]
    assert "a - 3*c = 0: a critical alignment enters or leaves at mu = 0" in places
    assert "a**2 - 6*a*c - 2*b**2 + 9*c**2 = 0: a zero of B enters or leaves at mu = 0" in places
    assert any(re.match(r"a = -0\.5934\d+ \(at b = 3/4, c = 16/9\): two critical", place) for place in places)


def test_in_latex() -> None:
    places = {place.place: place.latex for place in special_places(derive("c1*x + He(3, x)", parameters="c1"))}
    assert places["c1 = 3"].startswith("$c_{1} = 3$: a critical alignment enters or leaves at $\\mu = 0$: 1 below")
    assert places["c1 -> infinity"] == r"$c_{1} \to \infty$: $A \sim c_{1}^{2}$, $B \sim c_{1}^{2}$"


def test_a_place_outside_of_the_domain_or_the_chamber_is_not_named() -> None:
    assert not any("alignment" in str(p) for p in special_places(derive("c1*x + He(3, x)", parameters="c1 > 4")))
    positive = [p.place for p in special_places(derive("c1*x + He(3, x)", parameters="0 < c1 < 4")) if "meet" in p.what]
    assert positive == ["c1 = 0.38117567"]


def test_what_is_not_searched_is_said() -> None:
    assert unsearched(derive("sin(b*x)", parameters="b > 0")) == ("A", "B")
    assert unsearched(derive("p*x + He(3, x)", parameters="p")) == ()
    assert unsearched(derive("erf(b*x)", parameters="b > 0", objective="correlation")) == ()  # 4 b^2 over roots
    assert unsearched(derive("erf")) == unsearched(derive("erf(b*x)", parameters="b", model="plain")) == ()


def test_a_family_of_a_function_without_a_formula_has_no_special_places() -> None:
    system = derive("sigma(x + b)", functions=["sigma"], parameters="b")
    assert special_places(system) == ()
    assert unsearched(system) == ()


@pytest.mark.parametrize(
    "text", ["max(x - exp(a), 0)", "sin(exp(a)*x)", "exp(exp(a))*x", "exp(exp(exp(a)))*x", "max(x - exp(exp(a)), 0)"]
)
def test_what_grows_faster_than_every_power_has_none(text: str) -> None:
    assert [place.place for place in special_places(derive(text, parameters="a"))] == []


@pytest.mark.parametrize("text", ["a**a*x", "erf(a**a*x)", "a**a*x + a*He(3, x)"])
def test_what_is_no_polynomial_has_no_factors(text: str) -> None:
    assert special_places(derive(text, parameters="a > 0")) == ()


@pytest.mark.parametrize(
    ("text", "teacher", "parameters", "place", "turns"),
    [
        ("exp(c*x**2)", "exp(c*x**2)", ["c"], "c = 0", False),  # A = 6 c^2 mu (1 - mu^2) + O(c^3)
        ("c**3*erf(x)", "erf", ["c"], "c = 0", True),
        ("c*x", "x", ["c"], "c = 0", True),
        ("c*x", "x", ["c >= 0"], "c = 0", False),  # an end of the domain
        ("(a - b)*x", "x", ["a", "b"], "a - b = 0", True),
        ("(a - b)**2*x", "x", ["a", "b"], "a - b = 0", False),
    ],
)
def test_a_sign_changes_where_the_whole_order_is_odd(
    text: str, teacher: str, parameters: list[str], place: str, turns: bool
) -> None:
    said = [p.what for p in special_places(derive(text, teacher, parameters=parameters)) if p.place == place]
    assert ("A changes its sign" in said, "A = 0 for every mu" in said) == (turns, not turns)
