"""The report is one file: parts in place, equations as MathML, figures with texts, nothing loaded, exit codes."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape
from typer.testing import CliRunner

from hermescape.cli.app import app
from hermescape.report.figures import Figure
from hermescape.report.findings import Findings, Request, gather
from hermescape.report.page import page as page_of
from hermescape.report.page import templates
from hermescape.report.stages import Missing
from tests.hermescape.report.parsed import Page
from theory.language.activations import Activation
from theory.network.derivation import derive
from theory.symbols import x
from theory.writing.document import document

pytestmark = pytest.mark.slow
CHAPTERS = ["numbers", "law", "dynamics", "check", "derivation", "origin"]
FIGURES = ["tau", "histogram", "distribution", "portrait", "trajectories", "comparison", "spectrum", "kernel"]


def make(folder: Path, *args: str) -> tuple[int, str]:
    path = folder / "page.html"
    result = CliRunner().invoke(app, ["report", *args, "-o", str(path)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, path.read_text("utf-8")


@pytest.fixture(scope="module")
def relu(tmp_path_factory: pytest.TempPathFactory) -> str:
    code, text = make(tmp_path_factory.mktemp("relu"), "relu", "--mu", "0.2,0.5", "--quick", "--seed", "3")
    assert code == 0
    return text


def test_everything_is_in_the_file_and_nothing_is_loaded(relu: str) -> None:
    page = Page(relu)
    assert "http:" not in relu
    assert "https:" not in relu
    assert "url(" not in relu
    for tag, attributes in page.elements:
        assert tag not in ("script", "link", "iframe", "object")
        for name in ("src", "href", "srcset", "poster"):
            target = attributes.get(name)
            assert target is None or target.startswith(("#", "data:image/svg+xml;base64,"))
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_chapters_and_figures_are_there_once(relu: str) -> None:
    page = Page(relu)
    assert [s["id"] for s in page.all("section")] == CHAPTERS
    assert [f["id"] for f in page.all("figure")] == [f"figure-{name}" for name in FIGURES]
    ids = Counter(attributes["id"] for _, attributes in page.elements if "id" in attributes)
    assert max(ids.values()) == 1
    assert all((link["href"] or "")[1:] in ids for link in page.all("a"))


def test_every_figure_says_what_is_seen(relu: str) -> None:
    texts = [img["alt"] or "" for img in Page(relu).all("img")]
    assert len(texts) == len(FIGURES)
    assert len(set(texts)) == len(texts)
    for text in texts:
        assert re.search(r"\d", text)
        assert text.endswith(".")


def test_every_equation_of_the_derivation_is_mathml(relu: str) -> None:
    labels = re.findall(r"\\label\{hesc:relu:([^{}]*)\}", document(derive("relu")))
    page = Page(relu)
    rows = [row["id"] for row in page.all("mtr") if "id" in row]
    assert sorted(map(str, rows)) == sorted(f"eq-{label}" for label in labels)
    assert rows[0] == "eq-time", "the law is read first"
    assert re.findall(r"<mtext>\((\d+)\)</mtext>", relu) == [str(n) for n in range(1, len(labels) + 1)]
    cited = [link["href"] for link in page.all("a") if str(link["href"]).startswith("#eq-")]
    assert cited == ["#eq-drive", "#eq-bend", "#eq-rate", "#eq-time"]
    assert "\\" not in page.text
    assert "$" not in page.text


def test_the_numbers_are_those_of_the_theory(relu: str) -> None:
    text = Page(relu).text
    assert "9.6568542" in text  # tau(1/2) = 4 (1 + sqrt(2)), from A = 1/4 and B = -1/2
    assert "information exponent: 1" in text
    assert "agree at 2 of 2" in text
    for word in ("seed 3", "quick True", "mu 0.2, 0.5", "computed in", "numpy"):
        assert word in text


def test_the_same_options_make_the_same_page(tmp_path: Path) -> None:
    args = ["linear", "--mu", "0.4", "--quick", "--replicas", "60"]
    first, second = (
        re.sub(r"<td>[0-9.]+ s</td>", "", make(folder, *args)[1])
        for folder in (tmp_path, tmp_path)
        for _ in [(folder / "page.html").unlink(missing_ok=True)]
    )
    assert first == second
    command = re.search(r"<code>(.*)</code>", first)
    assert command is not None
    assert command[1] == "hermescape report linear -o page.html --mu 0.4 --replicas 60 --quick"


def test_what_plain_training_lacks_is_said(tmp_path: Path) -> None:
    code, text = make(tmp_path, "he3", "--teacher", "he2", "--model", "plain", "--quick")
    page = Page(text)
    assert code == 1  # nothing was confirmed
    assert "Not checked." in page.text
    assert "Does not apply: Plain training has no pre-trained weight" in page.text
    assert "Phase portrait. Does not apply: Model plain has one state" in page.text
    assert "Regime of the flow: trapped" in page.text
    assert "Kernel. Does not apply: K(q, r) is the same everywhere" in page.text
    assert [f["id"] for f in page.all("figure")] == ["figure-trajectories", "figure-spectrum"]


def test_plain_training_is_checked_by_its_law(tmp_path: Path) -> None:
    code, text = make(tmp_path, "linear", "--model", "plain", "--quick", "--replicas", "600", "--seed", "2")
    page = Page(text)
    assert code == 0
    assert "Regime ballistic: agree" in page.text
    assert "figure-histogram" in [f["id"] for f in page.all("figure")]


def test_misaligned_pretraining_and_labels(tmp_path: Path) -> None:
    args = ["linear", "--rho", "0.5", "--mu", "0.3", "--noise", "0.1", "--alpha", "2", "--quick", "--threshold", "0.4"]
    code, text = make(tmp_path, *args)
    page = Page(text)
    assert code == 0
    assert "three states, u, m and s" in page.text
    assert {"figure-histogram", "figure-trajectories", "figure-tau"} <= {f["id"] for f in page.all("figure")}


def test_a_page_is_written_where_nothing_agrees(tmp_path: Path) -> None:
    code, text = make(tmp_path, "he2", "--teacher", "erf", "--mu", "0.4", "--quick")
    assert code == 1
    assert "The check did not pass." in text
    assert "the flow stays inside" in text
    assert "share no Hermite order" in text


# --- what a user writes


HOSTILE = """<img src=x onerror=alert(1)>"'&{{ 7 * 7 }}{% raw %}</style></title><script>"""


@pytest.fixture(scope="module")
def linear() -> Findings:
    return gather(Request("linear", mu=(0.4,), replicas=60, quick=True))


def test_no_name_of_a_user_is_markup(linear: Findings) -> None:
    system = derive(Activation(HOSTILE, x), Activation(f"{HOSTILE}2", x), label="y")
    found = replace(linear, system=system, settings=replace(linear.settings, label=HOSTILE))
    text = page_of(found, 1.0, HOSTILE)
    plain = replace(linear, settings=replace(linear.settings, label="y"))
    page, plain = Page(text), Page(page_of(plain, 1.0, ""))
    assert Counter(tag for tag, _ in page.elements) == Counter(tag for tag, _ in plain.elements)
    assert not any("onerror" in attributes for _, attributes in page.elements)
    assert page.text.count(HOSTILE[:50]) == 7  # student and teacher in <title>, <h1> and settings, and the label
    assert f"<code>{escape(HOSTILE)}</code>" in text


def test_no_reason_of_an_error_is_markup(linear: Findings) -> None:
    reason = Missing(HOSTILE)
    found = replace(linear, critical=reason, table=reason, curve=reason, verdict=reason, paths=reason, regime=reason)
    text = page_of(found, 1.0, "")
    assert not Page(text).all("script")
    assert HOSTILE not in text
    assert Page(text).text.count(HOSTILE) >= 5


def test_no_text_of_a_figure_is_markup() -> None:
    drawing = Figure("key", HOSTILE, HOSTILE, HOSTILE, b"")
    parts: Any = templates().get_template("parts.html").make_module({"figures": {"key": drawing}, "titles": {}})
    page = Page(parts.figure("key"))
    assert [tag for tag, _ in page.elements] == ["figure", "img", "figcaption", "strong"]
    assert page.all("img")[0]["alt"] == HOSTILE


def test_markup_of_our_own_is_not_escaped(relu: str) -> None:
    text = Page(relu).text
    assert "&lt;" not in relu.replace("&lt; 0", "").replace("<mo>&lt;</mo>", "")
    assert "<" not in text.replace("< 0", "")
    assert not re.search("&[a-z]+;", text)
