"""The commands that derive: latex, activations, hermite, kernel; and the options of escape, simulate and check."""

import math
import re
import shutil
import subprocess
from pathlib import Path

import mpmath
import pytest
import sympy as sp

from tests.hermescape.cli.running import read, run
from theory.calculus import reference
from theory.language.activations import REGISTRY, activation, he
from theory.symbols import x

# --- latex


def test_latex_writes_a_file_and_keeps_an_older_one(tmp_path: Path) -> None:
    file = tmp_path / "relu.tex"
    done = run("latex", "relu", "-o", str(file))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"wrote {file}\n")
    text = file.read_text()
    assert text.startswith(r"\documentclass")
    refused = run("latex", "erf", "-o", str(file))
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert file.read_text() == text
    assert run("latex", "erf", "-o", str(file), "--force").returncode == 0
    assert file.read_text() != text
    assert [f.name for f in tmp_path.iterdir()] == ["relu.tex"]


def test_latex_goes_to_stdout_renamed_as_a_fragment() -> None:
    text = run("latex", "linear", "--fragment", "--rename", r"mu=\beta", "--rename", "q=M").stdout
    assert text.startswith("% ")
    assert r"\newcommand{\hescalignment}{{\beta}}" in text
    assert r"\newcommand{\hescoverlapq}{{M}}" in text
    assert read("latex", "linear")["latex"] == run("latex", "linear").stdout


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize(
    "args", [("gelu", "--model", "misaligned"), ("tanh", "--teacher", "he3"), ("he2", "--noise", "0.1")]
)
def test_latex_compiles(args: tuple[str, ...], tmp_path: Path) -> None:
    assert run("latex", *args, "-o", str(tmp_path / "d.tex")).returncode == 0
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "d.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout


def test_latex_writes_its_parts_for_a_column_and_the_bibliography(tmp_path: Path) -> None:
    tex, bib = tmp_path / "a.tex", tmp_path / "a.bib"
    options = ("--fragment", "--only", "A,B,tau", "--width", "3.4in", "--numbered", "last", "--prefix", "app")
    done = run("latex", "relu", *options, "-o", str(tex), "--bib", str(bib))
    assert (done.returncode, done.stdout) == (0, "")
    assert re.findall(r"\\label\{(.*?)\}", tex.read_text()) == ["app:relu:time"]
    assert "@article{hesc:stein1981," in bib.read_text()


# --- activations


def test_activations_lists_the_registry() -> None:
    entries = {entry["name"]: entry for entry in read("activations")["activations"]}
    assert list(entries) == list(REGISTRY)
    keys = {"name", "expression", "parity", "information_exponent", "closed_form"}
    assert all(set(entry) == keys for entry in entries.values())
    assert [entries[f"he{k}"]["information_exponent"] for k in range(1, 21)] == list(range(1, 21))
    assert (entries["tanh"]["parity"], entries["tanh"]["closed_form"]) == ("odd", False)
    assert (entries["abs"]["parity"], entries["abs"]["closed_form"]) == ("even", True)
    assert entries["relu"]["parity"] is None
    shown = run("activations").stdout
    names = [line.split()[0] for line in shown.splitlines()[1:]]
    assert names == [name for name in REGISTRY if name not in {f"he{k}" for k in range(6, 21)}]
    assert "he5 to he20" in shown  # left out, and said to be
    assert len(shown.splitlines()) < 25


def test_activations_closed_form_is_what_kernel_finds() -> None:
    entries = {entry["name"]: entry for entry in read("activations")["activations"]}
    for name in ("relu", "hardtanh", "elu", "silu"):
        assert read("kernel", name)["exact"] is entries[name]["closed_form"]


# --- hermite


def test_hermite_json_is_exact_where_closed() -> None:
    found = read("hermite", "relu", "--order", "8", "--variance", "r")
    assert set(found) == {"activation", "variance", "exact", "coefficients", "errors", "certified"}
    assert found["exact"] is True
    assert found["certified"] == [True] * 9
    assert found["variance"] == "r"
    r = sp.Symbol("r", positive=True)
    for k, text in enumerate(found["coefficients"]):  # by integrating the polynomial against the half-line
        value = sp.sympify(text).subs(sp.Symbol("r"), r)
        scaled = sp.expand(he(k).subs(x, x / sp.sqrt(r)) * r ** sp.Rational(k, 2))
        density = sp.exp(-(x**2) / (2 * r)) / sp.sqrt(2 * sp.pi * r)
        assert sp.simplify(sp.integrate(sp.expand(scaled * x) * density, (x, 0, sp.oo)) - value) == 0


@pytest.mark.parametrize("variance", ["1", "1/2", "0.3"])
def test_hermite_without_a_closed_form_has_errors(variance: str) -> None:
    found = read("hermite", "sigmoid", "--order", "6", "--variance", variance)
    assert found["exact"] is False
    r = sp.Rational(variance)
    for k, (text, error) in enumerate(zip(found["coefficients"], found["errors"], strict=True)):
        scaled = he(k).subs(x, x / sp.sqrt(r)) * r ** sp.Rational(k, 2)
        truth = reference.mean(scaled * activation("sigmoid").expr, 0, r, digits=25)
        assert abs(mpmath.mpf(text) - truth) <= error + 1e-24
        assert error <= 2.0**-52 * abs(truth) + 1e-30


def test_hermite_of_high_order() -> None:
    found = read("hermite", "tanh", "--order", "200")
    assert len(found["coefficients"]) == 201
    assert all(text == "0" for text in found["coefficients"][::2])
    norm = sum(float(t) ** 2 / math.factorial(k) for k, t in enumerate(found["coefficients"]) if k < 150)
    assert norm == pytest.approx(0.394294490397841, rel=1e-6)  # Parseval: E tanh(Z)^2
    assert [float(text) for text in read("hermite", "he14", "--order", "20")["coefficients"][13:16]] == [
        0,
        math.factorial(14),
        0,
    ]


# --- kernel


def test_kernel_json() -> None:
    found = read("kernel", "relu", "--teacher", "erf")
    assert set(found) == {"student", "teacher", "exact", "kernel"}
    assert (found["student"], found["teacher"], found["exact"]) == ("relu", "erf", True)
    q, r = 0.3, 0.7
    value = sp.sympify(found["kernel"]).subs({"q": q, "r": r}).evalf()
    truth = reference.kernel(activation("relu").expr, activation("erf").expr, sp.Float(q), sp.Float(r), digits=15)
    assert float(value) == pytest.approx(float(truth), rel=1e-10)
    infinite = run("kernel", "exp(x**2/5)", "--at", "0.5,3")
    assert infinite.returncode == 2
    assert "variance r below 2.33333" in infinite.stderr  # 1 - 2 b - 2 a r + 4 a b (r - q^2) > 0 at a = b = 1/5
    assert read("kernel", "tanh") == {"student": "tanh", "teacher": "tanh", "exact": False, "kernel": None}


def test_kernel_at_a_point() -> None:
    found = read("kernel", "tanh", "--at", "0.3,1/4", "--digits", "30")
    truth = reference.kernel(sp.tanh(x), sp.tanh(x), sp.Rational(3, 10), sp.Rational(1, 4), digits=40)
    with mpmath.workdps(45):
        assert abs(mpmath.mpf(found["value"]) - truth) < found["error"] + mpmath.mpf(10) ** -30
    assert (found["q"], found["r"]) == ("3/10", "1/4")
    rough = read("kernel", "tanh", "--at", "0.3,0.25", "--tolerance", "1e-6")
    assert abs(rough["value"] - float(truth)) <= rough["error"] + 1e-16 < 1e-6
    assert "0.1518756498656" in run("kernel", "tanh", "--at", "0.3,0.25").stdout


# --- derive, escape, simulate, check


def test_derive_with_another_model_label_and_noise() -> None:
    found = read("derive", "erf", "--model", "misaligned", "--label", "y**2", "--noise", "0.1", "--alpha", "2")
    assert (found["label"], found["noise"], found["A"]) == ("y**2", 0.1, None)
    assert set(found["odes"]) == {"u", "m", "s"}
    assert found["teacher"].startswith("y**2")
    linear = read("derive", "linear", "--model", "misaligned")
    mu, rho = sp.symbols("mu rho")
    assert sp.expand(sp.sympify(linear["G2"]) - (1 - 2 * mu + rho**2)) == 0  # |w0 - w*|^2
    assert set(read("derive", "erf", "--model", "pretrain")["odes"]) == {"q_s", "q", "r"}
    assert sp.sympify(read("derive", "linear", "--noise", "0.5")["loss"]).subs({"q": 0, "r": 0}) == sp.Rational(3, 4)


def test_escape_from_a_misaligned_start() -> None:
    (mixed,) = read("escape", "linear", "--mu", "0.3", "--mix")["points"]
    (given,) = read("escape", "linear", "--mu", "0.3", "--rho", str(math.hypot(0.3, 0.7)))["points"]
    assert mixed == given
    drive = 1 - 2 * 0.3 + 0.3**2 + 0.7**2  # G^2 of the linear student, B = -1
    assert mixed["tau"] == pytest.approx((1 + math.sqrt(1 + 4 * drive)) / (2 * drive), rel=1e-12)
    assert mixed["A"] is None
    (aligned,) = read("escape", "linear", "--mu", "0.3")["points"]
    (same,) = read("escape", "linear", "--mu", "0.3", "--rho", "0.3")["points"]
    assert same["tau"] == pytest.approx(aligned["tau"], rel=1e-12)


def test_escape_of_a_truncated_series_and_of_many_digits() -> None:
    (cut,) = read("escape", "relu", "--mu", "0.032", "--order", "16")["points"]
    assert cut["tau"] == pytest.approx(1.286, abs=5e-4)  # the corrected sum at order 16
    low, high = cut["interval"]
    assert low < 3.3927 < high
    (exact,) = read("escape", "relu", "--mu", "0.032", "--digits", "30")["points"]
    drive = (1 - sp.Rational("0.032")) / 2
    tau = (sp.Rational(1, 2) + sp.sqrt(sp.Rational(1, 4) + 4 * drive**2)) / (2 * drive**2)
    assert exact["tau"] == str(tau.evalf(30))


def test_many_digits_are_printed_one_quantity_a_line() -> None:
    lines = run("escape", "relu", "--mu", "0.2,0.4", "--digits", "60").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["mu", "A", "B", "rate", "tau", "error"] * 2
    assert lines[2].split() == ["A", "0." + "4" + "0" * 59]
    assert all(len(line.split()[-1]) > 60 for line in lines if line.startswith("  tau"))


def test_escape_scale_and_label_change_the_search() -> None:
    (plain,) = read("escape", "relu", "--mu", "0.4")["points"]
    (scaled,) = read("escape", "relu", "--mu", "0.4", "--alpha", "2")["points"]
    assert scaled["rate"] == pytest.approx((-2 + math.sqrt(4 + 4 * 4 * 0.09)) / 2, rel=1e-12)  # alpha^2 B, alpha^2 A^2
    (squared,) = read("escape", "erf", "--mu", "0.4", "--label", "y**2")["points"]
    (same,) = read("escape", "erf", "--mu", "0.4", "--teacher", "erf(x)**2")["points"]
    assert squared["tau"] == pytest.approx(same["tau"], rel=1e-12)
    assert plain["tau"] != scaled["tau"]


FAST = ["--mu", "0.3", "--d", "200", "--batch", "50", "--lr", "0.1", "--replicas", "10", "--max-steps", "2000"]


def test_simulate_passes_its_options_on() -> None:
    settings = read("simulate", "erf", *FAST, "--mix", "--label", "y**2", "--noise", "0.2", "--alpha", "0.5")[
        "settings"
    ]
    assert settings["rho"] == pytest.approx(math.hypot(0.3, 0.7), rel=1e-15)
    assert (settings["label"], settings["noise"], settings["scale"]) == ("y**2", 0.2, 0.5)
    plain = read("simulate", "erf", *FAST)
    noisy = read("simulate", "erf", *FAST, "--noise", "0.5")
    assert plain["exit_steps"] != noisy["exit_steps"]


def test_check_of_a_misaligned_start() -> None:
    found = read("check", "linear", "--mu", "0.3", "--rho", "0.5", "--threshold", "0.4", "--replicas", "100")
    assert found["settings"]["rho"] == 0.5
    assert found["rows"][0]["tau"] == pytest.approx((1 + math.sqrt(1 + 4 * 0.65)) / (2 * 0.65), rel=1e-12)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["latex", "relu", "-o", "relu.txt"], ".tex"),
        (["latex", "relu", "-o", "no/such/folder/relu.tex"], "existing folder"),
        (["latex", "relu", "--rename", "mu"], "SYMBOL=LATEX"),
        (["latex", "relu", "--rename", r"mu=\input{x}"], "Greek letters"),
        (["latex", "relu", "--rename", "foo=x"], "foo is no symbol here"),
        (["latex", "relu", "--rename", "rho=x"], "rho is no symbol here"),
        (["latex", "relu", "--rename", "mu=a", "--rename", "mu=b"], "twice"),
        (["latex", "relu", "--model", "deep"], "model"),
        (
            ["latex", "relu", "--only", "loss,proof"],
            "--only 'proof' given; accepted: some of definitions",
        ),
        (["latex", "relu", "--only", ""], "--only '' given"),
        (["latex", "relu", "--only", "A", "--model", "plain"], "--only 'A' given, which this derivation"),
        (["latex", "relu", "--width", "3.4"], "in, mm, pt"),
        (["latex", "relu", "--width", "1in"], "200pt to 2000pt"),
        (["latex", "relu", "--numbered", "first"], "none"),
        (["latex", "relu", "--prefix", "a_1"], "--prefix 'a_1' given; accepted: 2 to 20 letters"),
        (["latex", "relu", "--label-prefix", "a}b"], "--label-prefix 'a}b' given"),
        (["latex", "relu", "--bib", "relu.txt"], ".bib"),
        (["hermite", "relu"], "--order"),
        (["hermite", "relu", "--order", "-1"], "0 to 200"),
        (["hermite", "relu", "--order", "201"], "0 to 200"),
        (["hermite", "relu", "--order", "2", "--variance", "0"], "positive"),
        (["hermite", "relu", "--order", "2", "--variance", "-1"], "positive"),
        (["hermite", "relu", "--order", "2", "--variance", "1/0"], "variance"),
        (["hermite", "relu", "--order", "2", "--variance", "__import__('os')"], "positive"),
        (["hermite", "tanh", "--order", "2", "--variance", "r"], "with a number"),
        (["hermite", "exp(x**2/5)*tanh(x)", "--order", "2", "--variance", "2"], "variance"),
        (["kernel", "relu", "--digits", "10"], "--at"),
        (["kernel", "relu", "--at", "0.3"], "Q,R"),
        (["kernel", "relu", "--at", "q,r"], "Q,R"),
        (["kernel", "relu", "--at", "0.6,0.25"], "covariance"),
        (["kernel", "relu", "--at", "0,-1"], "covariance"),
        (["kernel", "relu", "--at", "0.3,0.25", "--digits", "10", "--tolerance", "1e-3"], "one of them"),
        (["kernel", "relu", "--at", "0.3,0.25", "--digits", "0"], "digits"),
        (["kernel", "tanh", "--at", "0.3,0.25", "--tolerance", "0"], "positive"),
        (["derive", "relu", "--noise", "-1"], "noise"),
        (["derive", "relu", "--latex", "--d", "1e4", "--lr", "0.1", "--batch", "5"], "--latex and --d, --lr, --batch"),
        (["derive", "relu", "--latex", "--batch", "5"], "--latex and --batch given"),
        (["derive", "relu", "--d", "1e4"], "no --lr and no --batch given"),
        (["simulate", "erf", "--mu", "0.5", "--d", "1000.5"], "--d '1000.5' given; accepted: an integer >= 3"),
        (["simulate", "erf", "--mu", "0.5", "--seed", "1e30"], "--seed '1e30' given"),
        (["simulate", "erf", "--mu", "0.5", "--replicas", "inf"], "--replicas 'inf' given"),
        (["latex", "erf", "--rho", "0.5"], "--model misaligned"),
        (["derive", "erf", "--mu", "0.5"], "no --mu"),
        (["hermite", "erf", "--order", "3", "--rho", "0.5"], "No such option"),
        (["derive", "relu", "--label", "y**"], "y**"),
        (["derive", "relu", "--alpha", "0"], "alpha"),
        (["derive", "relu", "--objective", "L2"], "'squared', 'correlation'"),
        (["simulate", "erf", *FAST, "--objective", ""], "'squared', 'correlation'"),
        (["check", "erf", "--objective", "Correlation"], "'squared', 'correlation'"),
        (["cite", "--objective", "correlation"], "without an activation"),
        (["kernel", "erf", "--objective", "correlation"], "No such option"),
        (["derive", "relu", "--model", "plain", "--alpha", "2"], "alpha"),
        (["escape", "erf", "--mu", "0.5", "--rho", "0.3"], "rho"),
        (["escape", "erf", "--mu", "0.5", "--rho", "0.6", "--mix"], "one of them"),
        (["escape", "erf", "--mu", "0.5", "--rho", "0.6", "--model", "lora"], "misaligned"),
        (["escape", "erf", "--mu", "0.5", "--model", "misaligned"], "--rho"),
        (["escape", "erf", "--mu", "0.5", "--mix", "--digits", "20"], "--rho"),
        (["escape", "erf", "--mu", "0.5", "--mix", "--order", "20"], "order"),
        (["escape", "erf", "--mu", "0.5", "--order", "20", "--tolerance", "1e-3"], "one of them"),
        (["escape", "erf", "--mu", "nan", "--mix"], "finite"),
        (["escape", "erf", "--mu", "0.5", "--order", "-1"], "order"),
        (["escape", "erf", "--mu", "0.5", "--digits", "9999"], "digits"),
        (["simulate", "erf", *FAST, "--rho", "0.2"], "rho"),
        (["simulate", "erf", *FAST[2:], "--mix"], "--mu"),
        (["simulate", "erf", *FAST, "--model", "plain", "--mix"], "misaligned"),
        (["simulate", "erf", *FAST, "--noise", "-1"], "noise"),
        (["simulate", "erf", *FAST, "--alpha", "0"], "scale"),
        (["check", "erf", "--mu", "0.5", "--rho", "0.3"], "rho"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_options_are_one_line_and_exit_code_2(args: list[str], words: str) -> None:
    done = run(*args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


def test_output_is_refused_before_any_work() -> None:
    refused = run("latex", "no such activation", "-o", "relu.txt")
    assert ".tex" in refused.stderr


def test_tables_are_ones_that_people_read() -> None:
    assert re.search(r"sigma_k *\n0 +exact +1/sqrt\(2\*pi\)", run("hermite", "relu", "--order", "1").stdout)
    assert "proved (error <=" in run("hermite", "tanh", "--order", "1").stdout
    assert "no closed form" in run("kernel", "tanh").stdout
    assert "rho" in run("escape", "linear", "--mu", "0.3", "--mix").stdout
    assert "G^2(mu, rho)" in run("derive", "linear", "--model", "misaligned").stdout


# --- derive as a table

SELU = "1.0507009873554805*(max(x,0)+1.6732632423543772*min(0,exp(x)-1))"


def test_long_odes_stand_in_the_slopes_and_tau_in_a_and_b() -> None:
    text = run("derive", "gelu").stdout
    rows = {line.split()[0]: line.split(maxsplit=2)[2] for line in text.splitlines() if " exact " in line}
    assert rows["du/dt"] == "-L_q*m - 2*L_r*(mu*m + u)"
    assert rows["dm/dt"] == "-u*(1 - m**2)*(L_q + 2*mu*L_r)"
    assert rows["tau"] == "(sqrt(B**2 + 4*A**2) - B)/(2*A**2)"
    assert {"L_q", "L_r", "A(mu)", "B(mu)"} <= set(rows)
    assert "at q = mu + u*m, r = mu**2 + 2*mu*u*m + u**2" in text
    assert max(map(len, rows.values())) < 300


def test_short_odes_stand_in_the_states() -> None:
    text = run("derive", "relu", "--model", "plain").stdout
    assert re.search(r"dm/dt +exact +\(1 - m\*\*2\)\*\(1/4 \+ asin\(m\)/\(2\*pi\)\)\n", text)
    assert "L_q" not in text


def test_expanded_nothing_is_left_to_be_put_in() -> None:
    text = run("derive", "erf", "--expand").stdout
    rows = {line.split()[0]: line.split(maxsplit=2)[2] for line in text.splitlines() if " exact " in line}
    assert "L_q" not in text
    assert {str(s) for s in sp.sympify(rows["dm/dt"]).free_symbols} == {"u", "m", "mu"}
    assert {str(s) for s in sp.sympify(rows["tau"]).free_symbols} == {"mu"}


def test_expanding_is_for_the_table() -> None:
    refused = run("derive", "relu", "--expand", "--json")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: --expand given with --latex or --json; accepted:")


def test_a_table_that_is_piped_has_one_line_for_every_row() -> None:
    lines = run("derive", SELU).stdout.splitlines()
    assert all(not line.startswith(" ") and line == line.rstrip() for line in lines)
    assert not re.search(r"\d{19}", "".join(lines))
    assert re.search(r"^c_2 +as typed +1.6732632423543772$", "\n".join(lines), re.MULTILINE)


def test_json_holds_exact_ratios_that_sympy_reads() -> None:
    found = read("derive", SELU)
    drive = sp.sympify(found["A"])
    assert not drive.atoms(sp.Float)
    assert drive.subs("mu", 1).simplify() == 0
