"""Functions without a formula, for people: every verb that needs numbers refuses, and no code is made on any way."""

import json
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import sympy as sp

import hermescape
from hermescape import System, Task
from hermescape.cli.app import COMMANDS
from numerics.compile.codegen import compile_function
from tests.hermescape.cli.running import read, run
from theory.calculus.undefined import has_undefined
from theory.errors import NoFormulaError
from theory.language.activations import Activation, activation
from theory.search.critical import stationary_mu
from theory.symbols import q, r, x

needs_latex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
BOTH = ["sigma", "phi"]
DECLARED = ("--function", "sigma", "--function", "phi")
PAIR = ("sigma(x)", "--teacher", "phi(x)", *DECLARED)
START = {"u": 1e-3, "m": 0.1}


@cache
def system(model: str = "lora") -> System:
    return hermescape.derive("sigma(x)", "phi(x)", functions=BOTH, model=model)


def sigma() -> Activation:
    return activation("sigma(x)", functions="sigma")


def task(**settings: float) -> Task:
    return Task(sigma(), mu=0.4, dimension=100, batch=10, step_size=0.1, **settings)


VERBS: dict[str, Callable[[], object]] = {
    "search_time": lambda: hermescape.search_time(system(), mu=0.4),
    "search_times": lambda: hermescape.search_times(system(), [0.1, 0.4]),
    "escape_law": lambda: hermescape.escape_law(system(), mu=0.4, dimension=1e4),
    "escape_law, by formula": lambda: hermescape.escape_law(system(), mu=0.4, dimension=1e4, by="formula"),
    "escape_law on the sphere": lambda: hermescape.escape_law(system("plain"), dimension=1e4),
    "integrate": lambda: hermescape.integrate(system(), START, t_max=1.0, mu=0.4),
    "integrate, kappa": lambda: hermescape.integrate(system().sgd(), START, t_max=1.0, mu=0.4, kappa=0.1),
    "compile": lambda: hermescape.compile(system(), {"mu": 0.4}),
    "exit_times": lambda: hermescape.exit_times(system(), START, event=hermescape.Exit(0.5), t_max=1.0, mu=[0.4]),
    "sde_paths": lambda: hermescape.sde_paths(
        system(), START, [0.1], dimension=100, kappa=0.1, dt=0.01, replicas=2, seed=1, mu=0.4
    ),
    "best_mu": lambda: hermescape.best_mu(system()),
    "phase_diagram": lambda: hermescape.phase_diagram(system(), [0.2, 0.4], dimension=1e4),
    "critical_strengths": lambda: hermescape.critical_strengths(system()),
    "stationary_mu": lambda: stationary_mu(system()),
    "regime": lambda: hermescape.regime(system(), 0.4),
    "regime on the sphere": lambda: hermescape.regime(system("plain")),
    "simulate": lambda: hermescape.simulate(task()),
    "experiment": lambda: hermescape.experiment(task()),
    "trajectories": lambda: hermescape.trajectories(hermescape.experiment(task()), [1, 2]),
    "predicted_work": lambda: hermescape.predicted_work(task()),
    "check": lambda: hermescape.check(task()),
    "check_law": lambda: hermescape.check_law(task()),
    "value": lambda: hermescape.value(system().loss, {q: 0.3, r: 0.5}),
    "value, digits": lambda: hermescape.value(system().loss, {q: 0.3, r: 0.5}, digits=20),
    "kernel_series": lambda: hermescape.kernel_series(sigma(), "relu", 0.3, 0.5, 4),
    "generative_exponent": lambda: hermescape.generative_exponent(sigma()),
    "explore": lambda: hermescape.explore(sigma()),
    "plot": lambda: system().plot.search_time(mu=[0.2, 0.4]),
    "compile_function": lambda: compile_function([x], [sigma().expr]),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_that_needs_numbers_refuses(verb: str) -> None:
    with pytest.raises(NoFormulaError, match=r"^(sigma|phi) has no formula: give an activation, such as relu, in its"):
        VERBS[verb]()


# --- the command line -------------------------------------------------------------------------------------------


@pytest.fixture
def no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be compiled, but for the check that a partner with a formula is real."""
    lambdify = sp.lambdify

    def of_formulas(arguments: object, f: sp.Expr, *modules: object) -> object:
        assert isinstance(f, sp.Expr)
        assert not has_undefined(f)
        return lambdify(arguments, f, *modules)

    def fail(*args: object, **options: object) -> None:
        raise AssertionError("code is made")

    monkeypatch.setattr(sp, "lambdify", of_formulas)
    for name in ("_compile", "_source"):
        monkeypatch.setattr(f"numerics.compile.codegen.{name}", fail)


@pytest.mark.usefixtures("no_code")
@pytest.mark.parametrize("model", ["lora", "misaligned", "plain", "pretrain"])
@pytest.mark.parametrize("pair", [PAIR, ("x*sigma(2*x) + sin(x)", "--teacher", "he3", "--function", "sigma")])
def test_commands_that_derive_make_no_code(model: str, pair: tuple[str, ...]) -> None:
    for command in (("derive", "--order", "3"), ("derive", "--latex"), ("latex", "--order", "2")):
        done = run(command[0], *pair, *command[1:], "--model", model)
        assert done.returncode == 0, done.stderr
        assert not done.stderr


@pytest.mark.usefixtures("no_code")
def test_kernel_and_coefficients_make_no_code() -> None:
    assert "K(q, r) = GaussianKernel(sigma(x), phi(x), q, r)" in run("kernel", *PAIR).stdout
    assert "GaussianMean((x**2 - 1)*sigma(x), 0, 1)" in run("hermite", "sigma(x)", *DECLARED[:2], "--order", "2").stdout


def test_the_table_says_what_holds_for_any() -> None:
    said = " ".join(run("derive", *PAIR, "--order", "2").stdout.split())
    for part in (
        "L_q expectation -GaussianKernel(sigma'(x), phi'(x), q, r)",
        "A(mu) expectation GaussianMean(x*sigma'(mu*x)*(phi(x) - sigma(mu*x)), 0, 1)",
        "tau expectation (sqrt(B**2 + 4*A**2) - B)/(2*A**2)",
        "the terms of k > 2 are left out of every sum",
        "K = sigma_0(r)*phi_0 + q*sigma_1(r)*phi_1/r + q**2*sigma_2(r)*phi_2/(2*r**2) + ...",
        "of any sigma, phi as smooth as they need",
        "information exponent k_*: the smallest k >= 1 with sigma_k phi_k != 0",
    ):
        assert part in said
    assert "quadrature" not in said


def test_json() -> None:
    entries = read("derive", *PAIR, "--order", "1")
    assert entries["exact"] is False
    assert entries["information_exponent"] == entries["verdict"]["exponent"] == "k_*"
    assert entries["functions"] == BOTH
    assert entries["sums"]["order"] == 1
    assert entries["sums"]["complete"] is False
    assert entries["sums"]["L_q"] == "-sigma_1(r)*phi_1/r + ..."
    for name in ("loss", "A", "B", "tau", "L_q", "L_r", "J"):
        letters = {letter: sp.Function(letter) for letter in BOTH}
        nodes = {node: sp.Function(node) for node in ("GaussianMean", "GaussianKernel")}
        assert sp.sympify(entries[name], {**letters, **nodes}).has(*letters.values()), name
    json.dumps(read("latex", *PAIR))


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("derive", "sigma(x)", "--function", "__import__"), "accepted: up to 20 ASCII letters"),
        (("derive", "sigma(x)", "--function", "x"), "has a meaning already; accepted: a name such as sigma"),
        (("derive", "sigma(x)", "--function", "exp"), "has a meaning already"),
        (("derive", "sigma(x)", "--function", "relu"), "has a meaning already"),
        (("derive", "sigma(x)", "--function", "L"), "has a meaning already"),
        (("derive", "sigma(x)", "--function", "sigma_3"), "has a meaning already"),
        (("derive", "sigma(x)", "--function", "os.system('true')"), "accepted: up to 20 ASCII letters"),
        (("derive", "sigma(x, x)", "--function", "sigma"), "sigma of 2 arguments"),
        (("derive", "sigma()", "--function", "sigma"), "sigma of 0 arguments"),
        (("derive", "sigma", "--function", "sigma"), "sigma without an argument"),
        (("derive", "sigma'(x)", "--function", "sigma"), "is no expression"),
        (("derive", "sigma(x).diff", "--function", "sigma"), "an attribute access"),
        (("derive", "sigma(x)"), "--function sigma"),
        (("derive", "sigma(x)", "--function", "sigma", "--function", "phi"), "phi given, which student and teacher do"),
        (("derive", "psi(x)", "--function", "psi", "--param", "psi"), "is the name of a function"),
        (("derive", "sigma(x)", "--function", "sigma", "--label", "y**2"), "written as the teacher"),
        (("derive", "sigma(x)", "--function", "sigma", "--order", "41"), "--order 41 given; accepted: an integer"),
        (("derive", "relu", "--order", "2", "--latex"), "--latex and --order given"),
        (("latex", "relu", "--order", "-1"), "--order -1 given"),
        (("latex", "relu", "--only", "sums"), "does not have"),
        (("derive", *PAIR, "--d", "100", "--lr", "0.1", "--batch", "5"), "sigma has no formula; accepted with --d"),
        (("kernel", *PAIR, "--at", "0.3,1"), "sigma has no formula; accepted with --at"),
        *(
            ((command, "sigma(x)", "--function", "sigma"), "numbers need a formula, give an activation")
            for command in ("escape", "simulate", "check", "law", "phases", "report")
        ),
    ],
)
def test_bad_input_is_one_line(args: tuple[str, ...], said: str) -> None:
    assert args[0] in COMMANDS
    done = run(*args)
    assert done.returncode == 2
    assert not done.stdout
    assert done.stderr.count("\n") == 1
    assert said in done.stderr, done.stderr


def compiled(text: str, folder: Path) -> str:
    """Return the last lines that pdflatex says of a text."""
    (folder / "any.tex").write_text(text)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "any.tex"]
    for _ in range(2):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


@pytest.mark.parametrize("model", ["lora", "misaligned", "plain", "pretrain"])
def test_the_document_claims_nothing_of_special_activations(model: str) -> None:
    text = hermescape.document(system(model), order=6)
    for claim in (
        "closed form",
        "quadrature",
        "erf",
        r"\arcsin",
        "The teacher is the same",
        "finite",
        "sgn",
        "no rule",
    ):
        assert claim not in text, claim
    assert "arbitrary" in text
    assert r"left out, which the dots stand for" in text
    labels = [each.split("}")[0] for each in text.split(r"\label{")[1:]]
    assert len(labels) == len(set(labels))


@needs_latex
@pytest.mark.parametrize("model", ["lora", "misaligned", "plain", "pretrain"])
def test_the_document_compiles(model: str, tmp_path: Path) -> None:
    path = tmp_path / "written.tex"
    assert run("latex", *PAIR, "--model", model, "--order", "6", "-o", str(path)).returncode == 0
    said = compiled(path.read_text(), tmp_path)
    assert "Overfull" not in said
    assert "undefined" not in said


def test_the_document_of_the_correlation_loss_has_no_square() -> None:
    text = hermescape.document(hermescape.derive("sigma(x)", functions="sigma", objective="correlation"), order=2)
    assert r"\hescstudent''" in text
    assert r"\hescstudent'(\hescalignment Z)^{2}" not in text
    assert r"^{2} - 2" not in text


@needs_latex
@pytest.mark.parametrize("student", ["sigma(x)", "x*sigma(x)"])
def test_a_fragment_fits_a_column(student: str, tmp_path: Path) -> None:
    text = hermescape.document(hermescape.derive(student, functions="sigma"), fragment=True, order=4, width="3.4in")
    head = r"\documentclass{article}\usepackage{amsmath,amssymb}\textwidth=3.4in"
    assert "Overfull" not in compiled(rf"{head}\begin{{document}}{text}\end{{document}}", tmp_path)


def test_results_show_themselves_in_jupyter() -> None:
    for shown in (system(), system().escape, system().loss_function, hermescape.hermite_sums(system(), 3), sigma()):
        page = shown._repr_html_()
        assert page is not None
        assert "<mi>σ</mi>" in page or "&#x003C3;" in page or "σ" in page
        assert "\\" not in page
