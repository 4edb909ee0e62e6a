"""Documents that compile, stay on the page and say what the derivation says; renamings that stay harmless."""

import re
import shutil
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import sympy as sp

from theory.calculus.explain import RULES
from theory.errors import HermescapeError, ParameterError
from theory.network.derivation import derive
from theory.network.system import System
from theory.symbols import MEANINGS
from theory.typeset.layout import Equation, Page, align
from theory.typeset.lines import Names, fill
from theory.typeset.macros import COMMANDS, MACROS, Notation, check_names
from theory.typeset.metrics import width
from theory.typeset.printing import latex
from theory.typeset.tree import parse, render
from theory.writing.document import document
from theory.writing.words import meaning as typeset

GELU = "x*(1 + erf(x/sqrt(2)))/2"
SYSTEMS = {
    "he14": {"student": "he14"},
    "relu": {"student": "relu"},
    "erf": {"student": "erf"},
    "gelu": {"student": GELU},
    "tanh": {"student": "tanh"},
    "sine": {"student": "sin(2*x + 1)"},
    "wave": {"student": "exp(-x**2)*sin(x)"},
    "hardtanh": {"student": "hardtanh"},
    "relu on erf": {"student": "relu", "teacher": "erf"},
    "tanh on he3": {"student": "tanh", "teacher": "he3"},
    "step": {"student": "step", "teacher": "erf"},
    "sign": {"student": "sign"},
    "plain relu": {"student": "relu", "model": "plain"},
    "plain he2": {"student": "he2", "model": "plain"},
    "plain he3": {"student": "he3", "model": "plain"},
    "trapped": {"student": "he2", "teacher": "erf", "model": "plain"},
    "misaligned": {"student": GELU, "model": "misaligned", "alpha": 2, "noise": 0.1},
    "pretrain": {"student": "erf", "model": "pretrain"},
    "label": {"student": "erf", "label": "y**2"},
    "long name": {"student": "exp(-x**2)*sin(x) + exp(-x**2/3)*cos(2*x) + \n x**3/7 - exp(-x**2/5)*erf(3*x)*x"},
}
WRAPPED = (
    "\\documentclass{article}\\usepackage{amsmath,amssymb}\\allowdisplaybreaks\n"
    "\\begin{document}\n%s\n\\end{document}\n"
)
needs_latex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")


@cache
def system(name: str) -> System:
    return derive(**SYSTEMS[name])


def compiled(text: str, folder: Path) -> str:
    """Return the log of two runs of pdflatex, the second of which knows every label."""
    (folder / "d.tex").write_text(text)
    for _ in range(2):
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "d.tex"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:]
    return (folder / "d.log").read_text(errors="replace")


def overfull(log: str) -> list[float]:
    return [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)]


@needs_latex
@pytest.mark.parametrize("name", SYSTEMS)
def test_document_compiles_and_stays_on_the_page(name: str, tmp_path: Path) -> None:
    log = compiled(document(system(name)), tmp_path)
    assert overfull(log) == []
    assert "multiply defined" not in log
    assert "undefined" not in log


@needs_latex
@pytest.mark.parametrize("name", ["relu", "gelu", "tanh", "misaligned"])
def test_fragment_compiles_in_an_article(name: str, tmp_path: Path) -> None:
    text = document(system(name), fragment=True)
    assert r"\documentclass" not in text
    assert r"\section" not in text
    assert overfull(compiled(WRAPPED % text, tmp_path)) == []


@needs_latex
@pytest.mark.parametrize("name", ["relu", "tanh", "misaligned", "plain he3", "sign"])
def test_jupyter_equations_compile(name: str, tmp_path: Path) -> None:
    found = system(name)
    derived = (found, found.loss_function, found.escape, found.loss_function.student)
    shown = [each._repr_latex_() for each in derived]
    assert not any(rf"\hesc{macro.name}" in text for text in shown for macro in MACROS)
    compiled(WRAPPED % "\n".join(shown), tmp_path)


@needs_latex
def test_a_line_that_is_too_long_is_seen_by_the_test_itself(tmp_path: Path) -> None:
    long = "a" * 200
    assert max(overfull(compiled(WRAPPED % f"\\begin{{align}}{long}\\end{{align}}", tmp_path))) > 5


def labels(text: str) -> list[str]:
    return re.findall(r"\\label\{hesc:[^:}]*:([^}]*)\}", text)


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_equation_is_numbered_once(name: str) -> None:
    text = document(system(name))
    found = labels(text)
    assert len(set(found)) == len(found)
    assert {"student", "kernel", "loss", "loss-q", "loss-r"} <= set(found)
    for block in re.findall(r"\\begin\{align\}\n(.*?)\n\\end\{align\}", text, re.DOTALL):
        assert all(r"\label" in line or r"\notag" in line for line in re.split(r" \\\\\*?\n", block))


@pytest.mark.parametrize(
    ("name", "rule"), [("relu", "stein"), ("erf", "sheppard"), ("he14", "mehler"), ("tanh", "quadrature")]
)
def test_rules_are_stated_once_before_their_steps(name: str, rule: str) -> None:
    notation = Notation({macro.key for macro in MACROS})
    text, steps = document(system(name)), system(name).loss_function.kernel_steps()
    assert rule in {step.rule for step in steps}
    for step in {step.rule for step in steps}:
        statement = re.sub(r"\$[^$]*\$", lambda found: notation(found[0], universal=True), RULES[step])
        statement = re.sub(r" \[@(\w+)\]", r"~\\cite{hesc:\1}", statement)
        assert text.count(statement) == 1 or step == "collect"
    assert sum(label.startswith("kernel-") for label in labels(text)) == len(steps)


def test_what_has_no_closed_form_is_said() -> None:
    text = document(system("tanh"))
    assert "computed by quadrature" in text
    assert "0.6057055096" in text  # E[Z tanh(Z)] = 0.60570550960..., by numerical integration elsewhere
    assert "quadrature" not in document(system("relu"))


def test_steps_that_are_left_out_are_said() -> None:
    assert "At most 40 reductions are shown" in document(system("long name"), only="steps")
    assert "reductions are shown" not in document(system("gelu"))


def test_a_jump_has_no_linearisation() -> None:
    text = document(derive("sign"))
    assert "no linearisation" in derive("sign").escape._repr_latex_()
    assert "no linearisation" in text
    assert r"\hescsearchtime" not in text


# --- macros and renaming


def test_renaming_changes_the_definition_only() -> None:
    plain, renamed = (document(system("relu"), names=names) for names in ({}, {"mu": r"\beta", "E": r"\mathbf{E}"}))
    assert r"\newcommand{\hescalignment}{{\mu}}" in plain
    assert r"\newcommand{\hescalignment}{{\beta}}" in renamed
    assert r"\newcommand{\hescE}{{\mathbf{E}}}" in renamed
    assert plain.partition(r"\begin{document}")[2] == renamed.partition(r"\begin{document}")[2]


@needs_latex
def test_renamings_with_scripts_compile(tmp_path: Path) -> None:
    names = {"r": r"\hat{w}_{0}^{*}", "q": "w'", "sigma": r"\operatorname{act}", "K": r"\mathcal{K}_*", "mu": "a b"}
    compiled(document(system("gelu"), names=names), tmp_path)


def test_every_macro_is_used_and_no_symbol_is_left_plain() -> None:
    text = document(system("misaligned"))
    body = text.partition(r"\begin{document}")[2]
    for name in re.findall(r"\\newcommand\{\\(\w+)\}", text):
        assert rf"\{name}" in body
    blocks = "".join(re.findall(r"\\begin\{align\}.*?\\end\{align\}", body, re.DOTALL))
    bare = re.sub(r"\\(label|operatorname|mathcal|mathrm|begin|end)\{[^}]*\}|\\[A-Za-z]+", "", blocks)
    assert not set("qrmsu") & set(bare)


@pytest.mark.parametrize(
    "text",
    [
        *(
            r"\input{x}",
            r"\write18{x}",
            r"\def\a{b}",
            r"\csname x\endcsname",
            r"\catcode",
            r"\newcommand{a}",
            r"\include{a}",
        ),
        *(
            "#1",
            "%",
            "$x$",
            "~",
            "&",
            "\\\\",
            "a\nb",
            "\\",
            r"\^",
            "é",
            "{",
            "}",
            "a}{b",
            "w_",
            "^",
            "w_0_1",
            "w_{}",
            "w^2'",
        ),
        *("", " ", "a" * 61, r"\hat", r"w_\hat{a}", r"\newpage", r"\alphabet", "w__0"),
    ],
)
def test_renamings_that_could_do_harm_are_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="accepted"):
        check_names({"mu": text}, {"mu"})
    with pytest.raises(ParameterError):
        document(system("relu"), names={"mu": text})


@pytest.mark.parametrize(
    "text",
    [r"\alpha", r"\hat{w}_{0}^{*}", r"w'", r"\mathbf w", r"\operatorname{sgn}", "w_0^2", "a+b", r"\tilde{\mathbf{w}}"],
)
def test_ordinary_symbols_are_accepted(text: str) -> None:
    check_names({"mu": text}, {"mu"})


def test_no_command_that_may_be_used_can_define_read_or_write() -> None:
    harmful = {
        "input",
        "include",
        "write",
        "read",
        "openin",
        "openout",
        "immediate",
        "def",
        "edef",
        "gdef",
        "xdef",
        "let",
    }
    harmful |= {"csname", "catcode", "newcommand", "renewcommand", "expandafter", "special", "directlua", "jobname"}
    assert not COMMANDS & harmful


def test_a_renaming_names_a_symbol_of_the_document() -> None:
    with pytest.raises(ParameterError, match="rho is no symbol here"):
        document(system("relu"), names={"rho": "R"})
    with pytest.raises(ParameterError, match="foo is no symbol here"):
        document(system("relu"), names={"foo": "R"})


def test_macros_do_not_touch_words_or_longer_commands() -> None:
    notation = Notation({macro.key for macro in MACROS})
    assert notation(r"\muon \operatorname{mu} \label{eq:q} \text{for} m") == (
        r"\muon \operatorname{mu} \label{eq:q} \text{for} \hescoverlapm"
    )
    assert notation(r"L_{q} w_{*} \ell^{*} \ell q u") == (
        r"\hescLq \hescteacher \hescfieldteacher \hescfield \hescoverlapq \hesclorau"
    )
    assert notation("mx") == r"\hescoverlapm x"


# --- lines


@cache
def formulas() -> list[str]:
    """Losses and both sides of their reductions, made when a test first asks and not when tests are collected."""
    steps = [step for name in SYSTEMS for step in system(name).loss_function.kernel_steps()]
    return [latex(system(name).loss) for name in SYSTEMS] + [side for step in steps for side in (step.left, step.right)]


def test_parsing_gives_the_text_back() -> None:
    assert len(formulas()) > 100
    for formula in formulas():
        assert render(parse(formula)) == formula


def tokens(formula: str) -> Counter[str]:
    """Count what is printed, without brackets, and without the 1 above a denominator whose numerator is broken."""
    bare = re.sub(r"\\(left|right|[bB]igg?[lr]|quad|times)(?![a-z])|\\,|[()\[\]\s]", "", formula)
    return Counter(token for token in re.findall(r"\\[A-Za-z]+|[0-9]+|.", bare) if token not in ("1", "{", "}"))


@pytest.mark.parametrize("limit", [15.0, 31.0, 41.0])
def test_broken_formulas_lose_nothing(limit: float) -> None:
    for formula in formulas():
        names = Names()
        text = " ".join(fill(formula, limit, names))
        for name, content in reversed(names.since(0)):
            text = text.replace(name, content)
        assert tokens(text) == tokens(formula)


def test_lines_are_no_wider_than_asked() -> None:
    polynomial = latex(sum(sp.Symbol(f"a_{k}") ** k for k in range(40)))
    lines = fill(polynomial, 20.0, Names())
    assert len(lines) > 2
    assert all(width(parse(line)) <= 20 for line in lines)
    assert all(line[0] in "+-" for line in lines[1:])


def test_brackets_stay_around_arguments_and_go_around_factors() -> None:
    long = " + ".join("abcdghkmn" * 3)
    for text, line in (
        (rf"2 \left({long}\right)^{{2}}", "2 X_{1}^{2}"),
        (rf"2 ({long})^{{2}}", "2 X_{1}^{2}"),
        (rf"\sin({long})", r"\sin(X_{1})"),
        (rf"\sin{{\left({long} \right)}}", r"\sin{\left(X_{1}\right)}"),
        (rf"\operatorname{{erf}}\left({long}\right)", r"\operatorname{erf}\left(X_{1}\right)"),
    ):
        assert fill(text, 9.0, Names()) == [line]


def test_a_bracket_is_broken_before_it_gets_a_name() -> None:
    long, names = " + ".join("abcdghkmn"), Names()
    lines = fill(rf"2 \left({long}\right)^{{2}}", 10.0, names)
    assert lines == [r"2 \bigl(a + b + c + d + g", r"+ h + k + m + n\bigr)^{2}"]
    assert fill(rf"\frac{{{long}}}{{2}} + x", 10.0, names)[0].startswith(r"\frac{1}{2} \bigl(a + b")
    assert names.since(0) == []


def test_a_law_is_broken_at_its_relation_and_not_as_a_product() -> None:
    law = r"\quad \mathbb{E}_{1}: (\ell, \ell^{*}) \sim \mathcal{N}\left(0, a b c d e f g h k\right)"
    lines = fill(rf"\mathbb{{E}}_{{1}}[\ell], {law}", 11.0, Names())
    assert [line.split()[0] for line in lines[1:]] == [r"\quad", r"\quad"]
    assert r"\times" not in " ".join(lines)


def test_equal_sums_share_a_name() -> None:
    sum_ = "a + b + c + d + f + g + h + k"
    names = Names()
    fill(rf"\frac{{{sum_}}}{{x + \sqrt{{{sum_}}}}}", 9.0, names)
    assert [content for _, content in names.since(0)].count(sum_) == 1


def test_names_are_defined_after_the_equation() -> None:
    root = Equation.of("one", "f", rf"\sqrt{{{' + '.join('abcdghkmn')}}}")
    text = align([root], Page(9.5, "all", label="hesc::"), Names())
    assert labels(text) == ["one", "part-1"]
    assert text.index(r"\sqrt{X_{1}}") < text.index("X_{1} &=")


def test_unbalanced_latex_is_refused() -> None:
    for text in (r"\frac{1", r"\left(x", "{"):
        with pytest.raises(HermescapeError, match="unbalanced"):
            parse(text)


def test_meanings_are_typeset() -> None:
    for meaning in MEANINGS.values():
        text = re.sub(r"\$[^$]*\$", "", typeset(meaning))
        assert not set("<>|") & set(text) or "E[" in text


def test_sums_begin_with_a_positive_term() -> None:
    x, y = sp.symbols("x y")
    assert latex(y - x**2) == "y - x^{2}"
    assert latex(-x - y) == "-x - y"
