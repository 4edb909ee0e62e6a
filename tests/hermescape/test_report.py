"""The report is one file: parts in place, equations as MathML, figures with texts, nothing loaded, exit codes."""

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hermescape.cli.app import app
from hermescape.cli.report import command_line
from hermescape.report import findings, tables
from hermescape.report.article import sections
from hermescape.report.findings import Request
from hermescape.report.mathml import align_block, formula
from theory.errors import ParameterError, UnsupportedExpressionError
from theory.network.derivation import derive
from theory.writing.document import document

VOID = {"meta", "img", "br", "hr", "link", "input"}
CHAPTERS = ["derivation", "numbers", "law", "dynamics", "check", "origin"]
FIGURES = ["spectrum", "kernel", "tau", "histogram", "distribution", "portrait", "trajectories", "comparison"]


class Page(HTMLParser):
    """The elements of a page; fails where tags do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert "math" in self.open, f"<{tag}/> outside of MathML stays open in HTML"
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "code"} & set(self.open):
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


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
    labels = re.findall(r"\\label\{eq:([^{}]*)\}", document(derive("relu")))
    page = Page(relu)
    assert [row["id"] for row in page.all("mtr") if "id" in row] == [f"eq-{label}" for label in labels]
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
    assert [f["id"] for f in page.all("figure")] == ["figure-spectrum", "figure-trajectories"]


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


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["relu", "-o", "FOLDER/no/page.html"], "existing folder"),
        (["relu", "-o", "FOLDER/page.txt"], "ends in .html"),
        (["relu", "-o", "FOLDER/folder.html"], "is a folder"),
        (["relu", "-o", "FOLDER/folder.html", "--force"], "is a folder"),
        (["relu", "-o", "FOLDER/old.html"], "--force"),
        (["relu", "-o", "/proc/page.html"], "cannot be written"),
        (["relu", "-o", "FOLDER/page.html", "--model", "plain", "--mu", "0.2"], "--mu with --model plain"),
        (["relu", "-o", "FOLDER/page.html", "--mu", "2"], "numbers in (0, 1]"),
        (["relu", "-o", "FOLDER/page.html", "--model", "misaligned"], "--rho"),
    ],
)
def test_bad_paths_and_options_are_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], message: str
) -> None:
    def work(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(findings, "gather", work)
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "old.html").write_text("old")
    result = CliRunner().invoke(app, ["report", *(arg.replace("FOLDER", str(tmp_path)) for arg in args)])
    assert isinstance(result.exception, ParameterError)
    assert message in str(result.exception)
    assert {p.name for p in tmp_path.iterdir()} == {"folder.html", "old.html"}


def test_an_older_page_survives_what_cannot_be_done(tmp_path: Path) -> None:
    old = tmp_path / "old.html"
    old.write_text("old")
    for bad in (["step"], ["linear", "--d", "2"], ["linear", "--model", "plain", "--d", "3"], ["no such"]):
        result = CliRunner().invoke(app, ["report", *bad, "--force", "-o", str(old)])
        assert isinstance(result.exception, ValueError)
        assert old.read_text() == "old"


@pytest.mark.parametrize(
    ("student", "options"),
    [
        ("tanh", {}),
        ("gelu", {"teacher": "relu"}),
        ("he4", {"model": "plain"}),
        ("erf", {"model": "misaligned", "alpha": 2}),
        ("exp(x/2)*sin(x)", {}),
        ("relu", {"label": "y**2", "noise": 0.5}),
        ("sign", {}),
        ("softplus", {"model": "pretrain"}),
    ],
)
def test_every_derivation_has_html(student: str, options: dict[str, Any]) -> None:
    text = document(derive(student, **options))
    made = sections(text)
    assert [s.title for s in made] == re.findall(r"\\section\{([^}]*)\}", text)
    page = Page("".join(s.content for s in made))
    numbers = [word for word in page.words if re.fullmatch(r"\(\d+\)", word)]
    assert numbers == [f"({i})" for i in range(1, text.count(r"\label") + 1)]
    assert "\\" not in page.text


def test_formulas_keep_what_latex_says() -> None:
    assert '<mi mathvariant="normal">He</mi>' in formula(r"\mathrm{He}_{k}")
    assert "<mo>∼</mo>" in formula(r"x \sim y")
    assert 'stretchy="false"' in formula(r"\left(a + b\right)")
    assert 'stretchy="true"' in formula(r"\left(\frac{a}{b}\right)")
    assert formula(r"\log d").count('rspace="0.167em"') == 1
    assert formula(r"\log{\left(d\right)}").count('rspace="0"') == 1
    assert formula(r"\left(\begin{matrix} r & q \\ q & 1 \end{matrix}\right)").count("<mtd>") == 4


def test_macros_leave_matrices_whole() -> None:
    text = (
        "\\newcommand{\\normr}{{r}}\n"
        r"\begin{document}\section{A}"
        r"$\begin{matrix} \normr & q \\ q & 1 \end{matrix}$\end{document}"
    )
    assert sections(text)[0].content.count("<mi>r</mi>") == 1


@pytest.mark.parametrize("tex", [r"\unknown{x}", r"\left( \unknown \right)"])
def test_latex_without_mathml_is_an_error(tex: str) -> None:
    with pytest.raises(UnsupportedExpressionError, match="accepted"):
        formula(tex)


def test_text_commands_without_html_are_an_error() -> None:
    with pytest.raises(UnsupportedExpressionError, match="accepted"):
        sections(r"\begin{document}\section{A} \input{secret} \end{document}")


def test_rows_that_go_on_have_no_number() -> None:
    text, following = align_block("a &= b \\label{eq:one} \\\\\n&\\quad + c \\notag \\\\\nd &= e \\label{eq:two}", 1)
    assert re.findall(r"\(\d\)", text) == ["(1)", "(2)"]
    assert following == 3
    assert text.count("<mtr") == 3


def test_what_a_user_writes_is_never_markup() -> None:
    assert "<b>" not in tables.settings_table([("label", "<b>y</b>")])
    assert "&lt;b&gt;" in tables.missing(findings.Missing("<b>"))


def test_the_command_repeats_every_option() -> None:
    settings = Request("relu", "erf", "misaligned", (0.1, 0.2), rho=0.5, step_size=0.1, scale=2.0, threads=1)
    command = "hermescape report relu -o a.html --teacher erf --mu 0.1,0.2 --rho 0.5 --alpha 2.0 --lr 0.1 --threads 1"
    assert command_line(settings, "a.html") == command
