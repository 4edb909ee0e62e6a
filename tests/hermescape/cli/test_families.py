"""Families on the command line: what --param declares, what --set gives, and what is refused in one line."""

import json
import sys

import pytest

from hermescape.cli.app import main

BETA = ("--param", "beta > 0")
PAIR = ("max(x - b, 0) - max(x - b2, 0)", "--param", "b", "--param", "b2")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Run a command in this process: exit code, stdout, stderr."""

    def run(*args: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hermescape", *args])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return run


def test_derive_shows_parameters_and_special_places(call) -> None:
    code, out, err = call("derive", "max(x, 0) + a*min(x, 0)", "--param", "a")
    assert (code, err) == (0, "")
    assert "parameters a real" in out
    assert "a = -1: information exponent 2 in place of 1" in out
    assert "a = 1: no kink at x = 0" in out
    assert "holds where" not in out


def test_derive_names_where_signs_change_at_some_mu(call) -> None:
    cubic = ("derive", "c1*x + He(3, x)", "--param", "c1")
    line = "c1 = 3: a critical alignment enters or leaves at mu = 0: 1 below, 0 above"
    assert line in call(*cubic)[1].splitlines()
    found = json.loads(call(*cubic, "--json")[1])
    assert {"place": "c1 = 3", "what": line.partition(": ")[2]}.items() <= found["special"][3].items()
    assert found["unsearched"] == []
    for command in ((*cubic, "--latex"), ("latex", *cubic[1:])):
        assert r"$c_{1} = 3$: a critical alignment enters or leaves at" in call(*command)[1].replace("\n", " ")
    out = call("derive", "sin(b*x)", "--param", "b > 0")[1]
    assert "hermescape bifurcations ACT --over b --between LOW:HIGH (--of B)" in out
    assert json.loads(call("derive", "sin(b*x)", "--param", "b > 0", "--json")[1])["unsearched"] == ["A", "B"]


def test_derive_in_latex_says_where_each_chamber_holds(call) -> None:
    out = call("derive", *PAIR, "--latex")[1]
    assert out.count("The formulas hold where") == 2


def test_bifurcations(call) -> None:
    cubic = ("bifurcations", "c1*x + c3*He(3, x)", "--param", "c1", "--param", "c3", "--set", "c3=1")
    found = json.loads(call(*cubic, "--between", "-2:4", "--json")[1])
    assert [one["count"] for one in found["intervals"]] == [0, 2, 1, 0]
    assert found["points"][0]["value"] == pytest.approx(-0.437120971963953, abs=1e-15)
    of_b = json.loads(call(*cubic, "--between", "-2:7", "--of", "B", "--json")[1])
    assert ([one["count"] for one in of_b["intervals"]], of_b["of"]) == ([0, 2, 0], "B")
    assert "two zeros of B meet" in call(*cubic, "--between", "-2:7", "--of", "B")[1]
    alone = json.loads(call(*cubic, "--between", "-2:4", "--objective", "correlation", "--json")[1])
    assert [one["count"] for one in alone["intervals"]] == [0, 1, 0]  # A = c1^2 - 3 c1 + 9 (c1 + 2) mu^2
    assert "no interval of c1 real given; accepted: two numbers, as --between LOW:HIGH" in call(*cubic)[2]
    assert "accepted: --over with a parameter" in call(*cubic[:-2])[2]


def test_derive_gives_every_chamber(call) -> None:
    code, out, _ = call("derive", *PAIR)
    assert code == 0
    assert {line for line in out.splitlines() if line.startswith("holds where")} == {
        "holds where b < b2",
        "holds where b2 < b",
    }
    found = json.loads(call("derive", *PAIR, "--json")[1])
    assert found["parameters"] == {"b": "b real", "b2": "b2 real"}
    assert [found["conditions"], found["chambers"][0]["conditions"]] in (
        [["b < b2"], ["b2 < b"]],
        [["b2 < b"], ["b < b2"]],
    )


def test_derive_of_a_family_without_closed_form(call) -> None:
    code, out, _ = call("derive", "tanh(beta*x)", *BETA)
    assert code == 0
    assert "GaussianMean(x*tanh(beta*x), 0, 1)" in out
    assert "beta = 0.707" in out


@pytest.mark.parametrize("name", ["relu", "erf", "tanh", "gelu", "he3", "softplus"])
@pytest.mark.parametrize("command", [("escape", "--mu", "0.3,0.6"), ("hermite", "--order", "4"), ("kernel",)])
def test_a_scale_of_one_prints_what_the_function_prints(call, name: str, command: tuple[str, ...]) -> None:
    verb, *options = command
    code, out, err = call(verb, f"{name}(beta*x)", *BETA, "--set", "beta=1", *options)
    assert (code, err) == (0, "")
    wanted = call(verb, name, *options)[1]
    assert out.replace(f"{name}(1*x)", name) == wanted


def test_escape_over_a_grid(call) -> None:
    code, out, _ = call("escape", "erf(beta*x)", *BETA, "--set", "beta=0.5:1.5:3", "--mu", "0.2,0.4", "--json")
    points = json.loads(out)["points"]
    assert code == 0
    assert [(p["parameters"]["beta"], p["mu"]) for p in points] == [(b, m) for b in (0.5, 1, 1.5) for m in (0.2, 0.4)]
    one = json.loads(call("escape", "erf(x)", "--mu", "0.4", "--json")[1])["points"][0]
    assert points[3]["tau"] == pytest.approx(one["tau"], rel=1e-12)
    table = call("escape", *PAIR, "--set", "b=0,0.5", "--set", "b2=1/2", "--mu", "0.4")[1]
    assert "infinite" in table  # on the wall the function vanishes


def test_escape_of_functions_that_grow_like_a_gaussian(call) -> None:
    code, out, _ = call("escape", "exp(c*x**2)", "--param", "c", "--set", "c=0.2,0.01", "--mu", "0.4")
    assert code == 0
    assert call("escape", "exp(0.2*x**2)", "--mu", "0.4")[1].split()[-6:] == out.splitlines()[2].split()[-6:]
    assert call("escape", "exp(0.2499*x**2)", "--mu", "0.4")[0] == 0


def test_law_over_a_grid(call) -> None:
    options = ("--mu", "0.4", "--d", "1e5", "--by", "formula")
    found = json.loads(call("law", "erf(beta*x)", *BETA, "--set", "beta=0.5,1", *options, "--json")[1])["laws"]
    one = json.loads(call("law", "erf", *options, "--json")[1])
    assert [entry["parameters"]["beta"] for entry in found] == [0.5, 1.0]
    assert found[1]["median"] == pytest.approx(one["median"], rel=1e-9)


@pytest.mark.parametrize("text", ["erf(beta*x)", "max(x, 0) + beta*min(x, 0)", "tanh(beta*x)"])
@pytest.mark.parametrize("value", ["0.6", "1.4"])
def test_check_agrees_for_members(call, text: str, value: str) -> None:
    given = (text, *BETA, "--set", f"beta={value}", "--mu", "0.4")
    code, out, _ = call("check", *given, "--replicas", "100", "--json")
    assert code == 0
    assert json.loads(out)["passed"]


def test_simulate_keeps_the_value(call) -> None:
    options = ("--mu", "0.4", "--d", "200", "--replicas", "6", "--json")
    kept = json.loads(call("simulate", "erf(beta*x)", *BETA, "--set", "beta=0.7", *options)[1])
    put = json.loads(call("simulate", "erf(0.7*x)", *options)[1])
    assert kept["exit_steps"]["median"] == put["exit_steps"]["median"]


def test_latex_of_a_family_says_where_it_holds(call) -> None:
    out = call("latex", *PAIR)[1]
    assert "The formulas hold where" in out
    assert r"b_{2}" in out
    leaky = call("latex", "max(x, 0) + a*min(x, 0)", "--param", "a", "--fragment", "--only", "tau,A,B")[1]
    assert "a^{2}" in leaky


def test_a_fragment_says_where_it_holds(call) -> None:
    said = [call("latex", *args, "--fragment")[1].split("\n") for args in (PAIR, ("exp(c*x**2)", "--param", "c"))]
    assert r"\noindent The formulas hold where $b < b_{2}$." in said[0]
    assert r"% The formulas hold where $b < b_{2}$." in said[0]
    assert r"% The formulas hold where $c < \frac{1}{4}$." in said[1]
    assert not any("hold where" in line for line in call("latex", "c1*x", "--param", "c1", "--fragment")[1].split("\n"))


@pytest.mark.parametrize("model", ["lora", "plain"])
def test_the_limit_of_the_law_has_a_letter_of_its_own(call, model: str) -> None:
    taken, free = (
        call("latex", f"exp({name}*x**2)", "--param", name, "--model", model)[1].replace("\n", " ") for name in "cb"
    )
    for said in (r"\lim_{c \to 0}", r"(c \to \hescthreshold)$", r"\log c\right]", "| = c$"):
        other = said.replace("= c", r"= \hescoverlapm_{0}").replace("{c ", r"{\hescoverlapm_{0} ")
        other = other.replace("(c ", r"(\hescoverlapm_{0} ").replace(r"\log c", r"\log \hescoverlapm_{0}")
        assert (said in taken, other in taken, said in free, other in free) == (False, True, True, False)


@pytest.mark.parametrize("model", ["lora", "plain"])
def test_samples_of_a_batch_have_a_letter_of_their_own(call, model: str) -> None:
    taken, free = (
        call("latex", f"erf({name}*x)", "--param", f"{name} > 0", "--model", model)[1].replace("\n", " ")
        for name in "bc"
    )
    for said in ("batches of $%s$ samples", r"\hescstepsize \hescinputdim / %s$"):
        assert (said % "n" in taken, said % "b" in taken, said % "b" in free) == (True, False, True)


def test_what_a_parameter_does_not_move_is_said(call) -> None:
    told = call("derive", "exp(b*x) + c", "--param", "b", "--param", "c")[1]
    assert "A and B do not depend on c" in told
    assert "bifurcations ACT --over b" in told


def test_a_real_parameter_is_in_the_reals(call) -> None:
    assert r"$b \in \mathbb{R}$" in call("latex", "max(x, 0) + b*min(x, 0)", "--param", "b")[1]


def test_a_parameter_of_the_label_alone_keeps_its_bounds(call) -> None:
    given = ("erf", "--label", "abs(y)**p", "--param", "2 < p < 3")
    assert "parameters 2 < p < 3" in call("derive", *given)[1]
    code, out, _ = call("escape", *given, "--set", "p=5/2", "--mu", "0.4")
    assert code == 0
    assert out.splitlines()[-1].split()[0] == "0.4"
    code, _, err = call("law", *given, "--mu", "0.4")
    assert (code, "no value of p given; accepted: --set p=VALUE (2 < p < 3)" in err) == (2, True)
    assert call("escape", *given, "--set", "p=4", "--mu", "0.4")[0] == 2


NOISY = ("--noise", "c", "--alpha", "b", "--param", "c >= 0", "--param", "b > 0")


def test_derive_shows_noise_and_scale(call) -> None:
    out = call("derive", "erf", *NOISY)[1]
    assert "parameters b > 0, c >= 0" in out
    assert "c/2 + (asin(" in out
    found = json.loads(call("derive", "erf", *NOISY, "--json")[1])
    assert found["parameters"] == {"b": "b > 0", "c": "c >= 0"}
    assert found["noise"] == "c"
    assert r"w &= \mu w_{*} + b u v" in call("derive", "relu", *NOISY, "--latex")[1]
    assert r"\sqrt{c}\, \xi" in call("latex", "relu", *NOISY)[1]


@pytest.mark.parametrize(("noise", "scale"), [("0.3", "0.5"), ("1.5", "2")])
def test_values_of_noise_and_scale_print_what_numbers_print(call, noise: str, scale: str) -> None:
    kept, typed = ("--set", f"c={noise}", "--set", f"b={scale}"), ("--noise", noise, "--alpha", scale)
    for command in (
        ("derive", "erf"),
        ("escape", "tanh", "--mu", "0.3,0.6"),
        ("law", "erf", "--mu", "0.4", "--d", "1e5", "--kappa", "1", "--by", "formula"),
        ("simulate", "erf", "--mu", "0.4", "--d", "200", "--replicas", "6"),
    ):
        got, wanted = call(*command, *NOISY, *kept), call(*command, *typed)
        assert got == wanted
        assert got[0] == 0


def test_grids_of_noise_and_scale(call) -> None:
    escape = ("escape", "erf", *NOISY, "--set", "c=0.1", "--set", "b=0.5,2", "--mu", "0.4", "--json")
    points = json.loads(call(*escape)[1])["points"]
    typed = [json.loads(call("escape", "erf", "--alpha", b, "--mu", "0.4", "--json")[1]) for b in ("0.5", "2")]
    assert [p["tau"] for p in points] == pytest.approx([one["points"][0]["tau"] for one in typed], rel=1e-12)
    options = ("--mu", "0.4", "--d", "1e5", "--kappa", "1", "--by", "formula")
    given = ("law", "erf", "--noise", "c", "--param", "c > 0", "--set", "c=0.3,0.5", *options)
    laws = json.loads(call(*given, "--json")[1])["laws"]
    one = json.loads(call("law", "erf", "--noise", "0.5", *options, "--json")[1])
    assert laws[1]["median"] == pytest.approx(one["median"], rel=1e-12)
    assert "noise = c" in call(*given)[1]
    assert (
        "c = 2, the upper end"
        in call(*("best", "erf", "--alpha", "c", "--param", "c > 0", "--at", "mu=0.4", "--between", "0.1:2"))[1]
    )


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("escape", "erf", "--noise", "c", "--mu", "0.4"), "--param 'c > 0'"),
        (("escape", "erf", "--noise", "c", "--param", "c", "--set", "c=1", "--mu", "0.4"), "not proved to be >= 0"),
        (("escape", "erf", "--alpha", "c", "--param", "c >= 0", "--set", "c=1", "--mu", "0.4"), "not proved to be > 0"),
        (("escape", "erf", "--noise", "c", "--param", "c > 0", "--mu", "0.4"), "no value of c given"),
        (
            ("derive", "erf", "--noise", "c", "--param", "c > 0", "--d", "9", "--lr", "1", "--batch", "1"),
            "no value of c",
        ),
        (("simulate", "erf", "--noise", "c", "--param", "c > 0", "--mu", "0.4"), "no value of c given"),
        (("escape", "erf", "--noise", "c", "--param", "c > 0", "--set", "c=-1", "--mu", "0.4"), "c > 0"),
        (("derive", "erf", "--model", "plain", "--alpha", "c", "--param", "c > 0"), "model plain"),
        (("escape", "erf", "--noise", "__import__('os')", "--mu", "0.4"), "accepted: a number"),
        (("escape", "erf", "--noise", "1e999", "--mu", "0.4"), "finite number >= 0"),
        (("escape", "erf", "--noise", "9**9**9**9", "--mu", "0.4"), "accepted: a number"),
        (("escape", "erf", "--alpha", "0", "--mu", "0.4"), "other than 0"),
        (("best", "erf", "--noise", "c", "--param", "c > 0", "--at", "mu=0.4"), "tau does not depend on"),
        (("derive", "erf", "--label", "sin(y)", "--noise", "c", "--param", "c >= 0"), "> 0 where c >= 0"),
    ],
)
def test_noise_and_scale_without_sense_are_one_line(call, args: tuple[str, ...], said: str) -> None:
    code, out, err = call(*args)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert said in err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("escape", "erf(beta*x)", "--mu", "0.4"), "--param beta"),
        (("escape", "erf(beta*x)", *BETA, "--mu", "0.4"), "no value of beta given; accepted: --set beta=VALUE"),
        (("escape", "erf(beta*x)", *BETA, "--set", "beta=nan", "--mu", "0.4"), "beta = 'nan'"),
        (("escape", "erf(beta*x)", *BETA, "--set", "beta=1e400", "--mu", "0.4"), "beta = '1e400'"),
        (("escape", "erf(beta*x)", *BETA, "--set", "beta=-1", "--mu", "0.4"), "beta > 0"),
        (("escape", "erf(beta*x)", *BETA, "--set", "beta", "--mu", "0.4"), "NAME=VALUE"),
        (("escape", "erf(beta*x)", *BETA, "--set", "beta=1:2", "--mu", "0.4"), "START:STOP:COUNT"),
        (("escape", "erf(beta*x)", *BETA, "--set", "beta=1:2:99999999", "--mu", "0.4"), "COUNT"),
        (("escape", "erf(beta*x)", *BETA, "--set", "gamma=1", "--mu", "0.4"), "values of beta"),
        (("escape", "erf(beta*x)", *BETA, "--set", "beta=1", "--set", "beta=2", "--mu", "0.4"), "twice"),
        (("escape", "erf(x)", "--set", "beta=1", "--mu", "0.4"), "--param declares"),
        (("escape", "erf(x)", *BETA, "--mu", "0.4"), "none of the functions"),
        (("check", "erf(beta*x)", *BETA, "--set", "beta=1,2", "--mu", "0.4"), "one value"),
        (("derive", "erf(beta*x)", "--param", "__import__"), "parameter '__import__'"),
        (("derive", "erf(beta*x)", "--param", "__import__('os').getcwd()"), "accepted: a name"),
        (("derive", "erf(x)", "--param", "x > 0"), "letter of the theory"),
        (("derive", "erf(beta*x)", *(a for i in range(200) for a in ("--param", f"b{i}"))), "at most 12"),
        (("derive", "erf(b*x)", "--param", "b", "--d", "100", "--lr", "0.1", "--batch", "10"), "no value of b given"),
        (("derive", "erf(a*x + b)", "--param", "a", "--param", "b", "--set", "a=1"), "no value of b given"),
        (("kernel", "erf(b*x)", "--param", "b", "--at", "0.3,0.5"), "no value of b given; accepted with --at"),
        (("escape", "erf(beta*x)", *BETA, "--set", "beta=1,2", "--critical"), "one value each"),
        (("derive", "exp(p*x**2)", "--param", "p > 1/2"), "E sigma(Z)^2 is infinite"),
        *(
            (("escape", text, "--param", "a > 0", "--set", f"a={value}", "--mu", "0.4"), "too large a number there")
            for text, value in (
                ("exp(exp(a))*x", "30"),
                ("exp(exp(a))*x", "1e50"),
                ("exp(exp(a))*x", "1:30:3"),
                ("a**a*x", "1e9"),
                ("2**a*x", "1e9"),
                ("abs(x)**a", "65"),
            )
        ),
        (("derive", "a*x", "--param", "a > 0x10"), "ends are decimals or fractions"),
        (("derive", "exp(p*x**2)", "--param", "p > 0.5"), "E sigma(Z)^2 is infinite"),
        (("escape", "exp(p*x**2)", "--param", "p", "--set", "p=0.3", "--mu", "0.4"), "grows too fast"),
    ],
)
def test_hostile_input_is_one_line(call, args: tuple[str, ...], said: str) -> None:
    code, out, err = call(*args)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert said in err


def test_a_parameter_that_cancels_may_have_a_value(call) -> None:
    function = "sign(beta*x)*tanh(x) + x"
    code, plain, _ = call("escape", function.replace("beta*", ""), "--mu", "0.4")
    assert code == 0
    given = ("escape", function, "--param", "beta > 0", "--mu", "0.4")
    for values in ((), ("--set", "beta=1"), ("--set", "beta=1,2")):
        code, out, _ = call(*given, *values)
        assert (code, out.splitlines()[1:]) == (0, plain.splitlines()[1:])
    assert "beta = -1 given" in call(*given, "--set", "beta=-1")[2]
    assert "in none of the functions" in call(*given, "--param", "gamma")[2]
