"""In Jupyter every public result is a table with meanings; whatever is text stays text."""

import dataclasses
import inspect
import re
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

import hermescape
from hermescape import Exit
from hermescape.views.display import html
from theory.shown import Row, Shown
from theory.symbols import mu

RAW = re.compile(r"\b[A-Z]\w+\(\w+=|array\(\[")  # how a dataclass and NumPy print themselves


class Balanced(HTMLParser):
    """Fails on a tag that is not closed, or closed twice; keeps the text of cells."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def checked(page: str) -> set[str]:
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    return parser.seen


ONE: Any = {"executor": ThreadPoolExecutor(1)}
RELU = hermescape.derive("relu")
PLAN = {
    "pretraining": hermescape.derive("linear", model="pretrain"),
    "finetuning": hermescape.derive("linear", model="misaligned"),
    "start": {"q_s": 0.0, "q": 0.0, "r": 0.01},
    "dimension": 1e4,
    "threshold": 0.5,
    "parameters": {"c": 0.8},
}
SMALL: dict[str, Any] = {"mu": 0.3, "dimension": 100, "batch": 20, "step_size": 0.1, "replicas": 20}
RESULTS = {
    "Activation": lambda: hermescape.activation("gelu"),
    "System": lambda: RELU,
    "Escape": lambda: RELU.escape,
    "Loss": lambda: RELU.loss_function,
    "Network": lambda: RELU.network,
    "Labels": lambda: hermescape.labels("relu"),
    "GenerativeExponent": lambda: hermescape.generative_exponent("he3"),
    "EscapeTime": lambda: hermescape.escape_time(RELU),
    "Regime": lambda: hermescape.regime(RELU, 0.4),
    "CriticalStrength": lambda: hermescape.critical_strengths("he3")[0],
    "Several": lambda: hermescape.critical_strengths("he3"),
    "BestAlignment": lambda: hermescape.best_mu(RELU),
    "Search": lambda: hermescape.search_time(RELU, "1/2", digits=20),
    "SearchCurve": lambda: hermescape.search_times(RELU, np.linspace(0.1, 0.9, 50)),
    "Trajectory": lambda: hermescape.integrate(
        RELU, {"u": 1e-6, "m": 0.02}, event=Exit(0.5), t_max=1e3, engine="scipy", mu=0.4
    ),
    "Composition": lambda: hermescape.Composition(**PLAN),
    "BestPretraining": lambda: hermescape.BestPretraining(1.0, 0.5, 0.6, 3.0, None),
    "Estimate": lambda: hermescape.value(RELU.escape.A, {mu: 0.5}),
    "Task": lambda: hermescape.Task("relu", mu=0.4),
    "Experiment": lambda: hermescape.experiment("linear", **SMALL),
    "ExitSample": lambda: hermescape.simulate("linear", **SMALL),
    "Stages": lambda: hermescape.simulate_stages([hermescape.experiment("linear", **SMALL)]),
    "LinearEscape": lambda: hermescape.escape_law(hermescape.derive("linear"), mu=0.4, dimension=1e6),
    "Ballistic": lambda: hermescape.escape_law(hermescape.derive("linear", model="plain"), dimension=1e4),
    "Report": lambda: hermescape.check("linear", mu=[0.3], dimension=100, replicas=20),
    "SweepConfig": lambda: hermescape.SweepConfig("flow", {"student": "relu"}, {"mu": [0.1, 0.2]}),
}


ARRAYS: dict[str, Any] = {
    "sweep": lambda: hermescape.sweep(
        {"kind": "flow", "grid": {"student": ["linear", "relu"], "mu": [0.2, 0.4]}}, **ONE
    ),
    "samples": lambda: hermescape.sweep(
        {"kind": "montecarlo", "samples": True, "fixed": {"student": "linear", **SMALL}, "grid": {"seed": [0, 1]}},
        **ONE,
    ),
    "phases": lambda: hermescape.phase_diagram("linear", [0.2, 1.0], dimension=[1e3, 1e6]),
    "lengths": lambda: hermescape.phase_diagram(
        hermescape.derive("linear", model="misaligned"), [0.2], dimension=1e4, rho=[0.3, 0.8]
    ),
    "exits": lambda: hermescape.exit_times("linear", {"u": 1e-6, "m": 0.01}, event=Exit(0.5), t_max=100.0, mu=[0.3, 1]),
    "runs": lambda: hermescape.trajectories(hermescape.experiment("linear", **SMALL), [0, 10]),
    "final": lambda: hermescape.simulate("linear", **SMALL).final,
    "sample": lambda: hermescape.simulate("linear", **SMALL).to_dataset(),
    "states": lambda: RESULTS["Trajectory"]().states,
    "total": lambda: hermescape.total_time(hermescape.Composition(**PLAN), [0.1, 0.5]),
    "paths": lambda: hermescape.sde_paths(
        "linear", {"u": 1e-4, "m": 0.02}, [0.0, 1.0], dimension=1e4, kappa=1.0, dt=0.1, replicas=2, seed=0, mu=0.4
    ),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_labelled_arrays_say_what_each_means(kind: str) -> None:
    found = ARRAYS[kind]()
    checked(found._repr_html_().partition("<details>")[0])
    assert found.heading != "Labelled arrays"
    assert [row.name for row in found.quantities() if not row.meaning] == []
    numbers = [each for each in (*found.coords.values(), *found.data_vars.values()) if each.dtype.kind == "f"]
    assert [each.name for each in numbers if "time" in each.attrs["long_name"] and "units" not in each.attrs] == []


@pytest.mark.parametrize("kind", RESULTS)
def test_every_result_shows_itself(kind: str) -> None:
    result = RESULTS[kind]()
    assert type(result).__name__ == kind
    page = result._repr_html_()
    tags = checked(page)
    assert {"table", "th", "td"} <= tags
    assert "script" not in tags
    for text in (str(result), repr(result), page):
        assert not RAW.search(text)
    assert "\n" not in repr(result)
    rows = result.quantities()
    assert len({row.name for row in rows}) == len(rows) > 0
    assert [row.name for row in rows if not (row.meaning or row.name in INITIAL or kind == "Several")] == []


INITIAL = {"initial_u", "initial_v"}  # named after states: the meanings are theirs


def test_no_public_dataclass_prints_itself_raw() -> None:
    small = {"Exit", "Native", "SciPy", "Heyoka", "Stage", "Progress"}  # settings of a line, and what has a text
    kinds = [getattr(hermescape, name) for name in hermescape.__all__]
    raw = {k.__name__ for k in kinds if inspect.isclass(k) and dataclasses.is_dataclass(k) and not issubclass(k, Shown)}
    assert raw == small


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", '"><img src=x onerror=y>', "&lt;b&gt;", "`<b>` $x$", "$x^$"]
)
def test_text_is_never_markup(text: str) -> None:
    class Named(Shown):
        @property
        def heading(self) -> str:
            return f"Named: {text}"

        def quantities(self) -> list[Row]:
            return [Row(text, text, text)]

    assert checked(html(Named())) <= {
        "div",
        "style",
        "strong",
        "table",
        "tbody",
        "tr",
        "th",
        "td",
        "code",
        "math",
        "mi",
        "mrow",
    }


def test_formulas_are_set_by_the_browser() -> None:
    page = html(RELU)
    assert page.count('<math display="block">') >= 1
    assert r"\frac" not in page
    assert "<msqrt>" in html(RELU.escape)


def test_the_style_is_scoped_and_takes_the_colours_around() -> None:
    style = re.search(r"<style>(.*?)</style>", html(RELU), re.DOTALL)
    assert style is not None
    selectors = re.findall(r"^([^{}\n;]+)\{", style[1], re.MULTILINE)
    assert len(selectors) > 5
    assert all(part.strip().startswith(".hesc") for rule in selectors for part in rule.split(","))
    assert not re.search(r"color: *#|background: *#|http", style[1])


def test_a_path_has_its_times_in_t_and_in_steps() -> None:
    path = RESULTS["Trajectory"]()
    shown = {row.name: row.value for row in path.quantities()}
    assert shown["exit_steps(0.2)"] == pytest.approx(shown["exit_time"] / 0.2)
    assert path.exit_steps(0.1) == pytest.approx(10 * path.exit_time)


def test_a_formula_without_mathml_is_text() -> None:
    import sympy as sp

    from theory.typeset.layout import Equation

    class Odd(Shown):
        equations = (Equation("f", "f", (r"\unknowncommand{x}",)),)

        def formulas(self) -> dict[str, Any]:
            return {"f": sp.Symbol("x") ** 2}

    assert "<pre>f = x**2</pre>" in html(Odd())
