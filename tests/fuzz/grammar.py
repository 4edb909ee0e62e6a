"""Texts that people, and people's mistakes, hand to the command line: a seeded grammar, a case for each number.

A case is one text and the commands that it goes through. `case(seed, i)` depends on its two numbers only, so that
a failing case is found again whatever the number of cases, and a case of a chunk whatever the chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

__all__ = ["FAMILIES", "Case", "case"]

Draw = Callable[[Random], str]


@dataclass(frozen=True)
class Case:
    """A text of a family and the commands, as arguments of `hermescape`, that it goes through."""

    family: str
    text: str
    commands: tuple[tuple[str, ...], ...]


def case(seed: int, index: int) -> Case:
    """Return case `index` of a seed.

    >>> case(0, 7) == case(0, 7), case(0, 7) == case(1, 7)
    (True, False)
    """
    rng = Random(f"{seed}/{index}")
    (family,) = rng.choices(list(FAMILIES), [weight for weight, _ in FAMILIES.values()])
    text = FAMILIES[family][1](rng)
    return Case(family, text, _commands(rng, text))


# --- commands ----------------------------------------------------------------------------------------------------


def _commands(rng: Random, text: str) -> tuple[tuple[str, ...], ...]:
    """Return one derive, one escape, one hermite; most with few options, since the text is what varies."""
    given = ("--", text) if text.startswith("-") and rng.random() < 0.9 else (text,)
    system = _few(rng, SYSTEM)  # of derive and of escape alike: the second finds what the first derived
    shown = () if rng.random() < 0.08 else ("--json",)  # tables evaluate what JSON leaves in symbols
    model, strength = _strength(rng)
    return (
        ("derive", *model, *system, *shown, *given),
        ("escape", *strength, *system, *_few(rng, ESCAPE), "--json", *given),
        ("hermite", *_order(rng), "--json", *given),
    )


def _few(rng: Random, options: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    return rng.choice(options) if rng.random() < 0.2 else ()


def _strength(rng: Random) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the model for derive, and the strength for escape."""
    kind = rng.random()
    if kind < 0.04:
        return (), ("--critical",)
    if kind < 0.12:
        misaligned = (("--mu", "0.5", "--rho", "1.2"), ("--mu", "-0.3", "--rho", "0.5"), ("--mu", "0.4", "--mix"))
        return ("--model", "misaligned"), rng.choice(misaligned)
    model = ("--model", "plain") if kind < 0.16 else ()
    return model, ("--mu", rng.choice(("0.5", "0.3", "0.9", "0.1", "0.02", "0.98", "1", "0.25,0.75")))


def _order(rng: Random) -> tuple[str, ...]:
    variance = ("--variance", rng.choice(("r", "1/4", "2", "1e-6"))) if rng.random() < 0.2 else ()
    return ("--order", rng.choice("33333126") if rng.random() < 0.97 else "14", *variance)


SYSTEM = (
    ("--label", "y**2"),
    ("--label", "abs(y)"),
    ("--noise", "0.5"),
    ("--alpha", "3"),
    ("--alpha", "1e-200"),
    ("--teacher", "relu"),
    ("--teacher", "he3"),
    ("--teacher", "tanh"),
)
ESCAPE = (("--order", "8"), ("--digits", "20"), ("--tolerance", "1e-6"))

# --- words -------------------------------------------------------------------------------------------------------

NAMES = (
    *("linear", "relu", "erf", "sigmoid", "tanh", "square", "abs", "sign", "step", "gelu", "elu", "hardtanh"),
    *("softplus", "silu", "mish", "he1", "he2", "he3", "he4", "he5", "he7"),
)
SMOOTH = ("sin", "cos", "tanh", "erf", "erfc", "Phi", "atan", "asinh", "exp", "softplus", "sigmoid", "gelu", "silu")
ALL = (*SMOOTH, "log", "sqrt", "tan", "asin", "acos", "sinh", "cosh", "abs", "sign", "step", "heaviside", *NAMES[:15])
TAME = ("0.5", "1", "2", "3", "-1", "1/3", "0.1", "1.5", "pi", "e", "sqrt(2)", "0.05", "7", "-2.5", "10")
EXTREME = ("1e-31", "1e-12", "1e5", "1e-300", "1e300", "1e39", "1e-40", "10**30", "100", "1000", "-1e8", "0", "1e-5")


def _number(rng: Random) -> str:
    return rng.choice(TAME) if rng.random() < 0.8 else f"{rng.uniform(-4, 4):.{rng.randint(1, 6)}g}"


def _positive(rng: Random) -> str:
    return rng.choice(("0.1", "0.5", "1", "2", "3", "1/3", "1.7", "4", "0.01", "5"))


def _line(rng: Random) -> str:
    """An argument a x + b."""
    return rng.choice(
        ("x", "x", f"x - {_positive(rng)}", f"x + {_positive(rng)}", f"{_number(rng)}*x", f"-x + {_number(rng)}", "-x")
    )


# --- families ----------------------------------------------------------------------------------------------------


def _named(rng: Random) -> str:
    name = rng.choice((*NAMES, *ALL))
    return rng.choice(
        (name, f"{name}({_line(rng)})", f"{_number(rng)}*{name}({_line(rng)})", f"{name} + {rng.choice(NAMES)}")
    )


def _kink(rng: Random) -> str:
    a, b, c = _number(rng), _number(rng), _number(rng)
    return rng.choice(
        (
            f"max({a}*x + {b}, {c})",
            f"max({a}*x, {b}*x)",
            f"min(max(x, {a}), {b})",
            f"max(x - {a}, 0) - max(-x - {a}, 0)",
            f"abs(x - {a})*{b} + {c}*x",
            f"step(x - {a})*x**2",
            f"sign(x - {a})*{rng.choice(SMOOTH)}(x)",
            f"{rng.choice(SMOOTH)}(max(x - {a}, {b}*x))",
            f"max(x, {rng.choice(SMOOTH)}(x))",
            f"max(x**2 - {_positive(rng)}, {c})",
        )
    )


def _nested(rng: Random, depth: int = 3) -> str:
    """Max, min, abs, sign, step inside one another."""
    if depth == 0 or rng.random() < 0.15:
        return rng.choice((_line(rng), _number(rng), f"{rng.choice(SMOOTH)}({_line(rng)})"))
    inner = _nested(rng, depth - 1)
    return rng.choice(
        (
            f"abs({inner})",
            f"sign({inner})",
            f"step({inner})",
            f"max({inner}, {_nested(rng, depth - 1)})",
            f"min({inner}, {_nested(rng, depth - 1)})",
            f"abs({inner}) - {_positive(rng)}",
            f"max({inner}, {_number(rng)})",
        )
    )


def _tree(rng: Random, depth: int = 3) -> str:
    """Sums, products, quotients, compositions and powers of anything."""
    if depth == 0 or rng.random() < 0.12:
        return rng.choice(("x", "x", _line(rng), _number(rng), rng.choice(NAMES)))
    a = _tree(rng, depth - 1)
    kind = rng.random()
    if kind < 0.4:
        return f"({a}) {rng.choice('+-*/')} ({_tree(rng, depth - 1)})"
    if kind < 0.55:
        return f"({a})**{rng.choice(('2', '3', '-1', '-2', '0.5', '1/3', '-1/2', '4', '1.5'))}"
    if kind < 0.65:
        return f"{rng.choice(('max', 'min'))}({a}, {_tree(rng, depth - 1)})"
    if kind < 0.7:
        return f"He({rng.randint(0, 5)}, {a})"
    return f"{rng.choice(ALL)}({a})"


def _extreme(rng: Random) -> str:
    """Constants at the ends of the scale."""
    c, f = rng.choice(EXTREME), rng.choice((*SMOOTH, "relu", "abs", "tanh", "step"))
    return rng.choice(
        (
            f"{c}*{f}(x)",
            f"{f}({c}*x)",
            f"{f}(x - {c})",
            f"max({c}*x, 0)",
            f"x + {c}*{f}(x)",
            f"x + {c}",
            f"{f}(x)/{c}",
            f"x**2/({c} + x**2)",
            f"min(max(x, -{c}), {c})",
            f"exp(-{c}*x**2)",
            f"max(x - {c}, 0)",
            f"{f}({c}*x)/{c}",
            f"{c}*x**3 + x",
        )
    )


def _compact(rng: Random) -> str:
    a, b = _number(rng), _positive(rng)
    return rng.choice(
        (
            f"max(0, {b} - abs(x - {a}))",
            f"max(0, {b} - x**2)**{rng.choice(('1', '2', '3', '1/2', '3/2'))}",
            f"step(x - {a})*step({a} + {b} - x)",
            f"step(x)*step({b} - x)*{rng.choice(SMOOTH)}({_line(rng)})",
            f"x*max(0, {b} - x)*step(x)",
            f"max(0, (x - 1)*(2 - x))**{rng.randint(1, 4)}",
            f"step({b} - abs(x))*{rng.choice(('x', 'cos(pi*x)', 'sin(pi*x)', '(1 + cos(pi*x))/2', 'x**3'))}",
            f"max(0, 1 - abs(x)/{b}) + {a}*x",
        )
    )


def _decaying(rng: Random) -> str:
    a, b = _positive(rng), _number(rng)
    return rng.choice(
        (
            f"exp(-{a}*x**2)",
            f"x*exp(-{a}*x**2)",
            f"exp(-(x - {b})**2)*sin({a}*x)",
            f"exp(-abs(x)*{a})",
            f"exp(-{a}*x**4)",
            f"1/({a} + x**2)",
            f"x/({a} + x**2)**{rng.choice(('1', '2', '1/2', '3/2'))}",
            f"1/cosh({a}*x)",
            f"1/(1 + exp({a}*x**2))",
            f"erfc({a}*x)*x",
            f"exp(-exp({b}*x))",
            f"exp(-1/({a} + x**2))",
            f"x**{rng.randint(2, 6)}*exp(-x**2/{a})",
            "log(1 + x**2)/(1 + x**2)",
        )
    )


def _dead(rng: Random) -> str:
    a = _positive(rng)
    return rng.choice(
        (
            f"max(0, x - {a})",
            f"sign(x)*max(abs(x) - {a}, 0)",
            f"max(x - {a}, 0) + min(x + {a}, 0)",
            f"step(abs(x) - {a})*x",
            f"x - max(-{a}, min({a}, x))",
            f"max(0, x - {a})**2",
            f"tanh(max(x - {a}, 0))",
            f"max(0, abs(x) - {a})",
            f"max(0, min(x - {a}, 1))",
            f"max(x - {a}, 0)**{rng.choice(('3', '1/2', '1.5'))}",
            f"gelu(x - {a})",
        )
    )


def _removable(rng: Random) -> str:
    a = rng.choice(("x", "x", "x", "2*x", "(x - 1)", "(x + 0.5)"))
    numerator, power = rng.choice(
        (
            (f"sin({a})", "1"),
            (f"(exp({a}) - 1)", "1"),
            (f"(1 - cos({a}))", rng.choice("12")),
            (f"tanh({a})", "1"),
            (f"erf({a})", "1"),
            (f"log(1 + {a}**2)", rng.choice("12")),
            (f"atan({a})", "1"),
            (f"(sin({a}) - {a})", rng.choice("123")),
            (f"sinh({a})", "1"),
            (f"({a}**2)", "1"),
            (f"asinh({a})", "1"),
            (f"(exp({a}**2/8) - 1)", "2"),
            (f"abs({a})", "1"),
        )
    )
    quotient = f"{numerator}/({a})**{power}" if power != "1" else f"{numerator}/{a if a == 'x' else f'({a})'}"
    return rng.choice(
        (
            quotient,
            quotient,
            f"x*({quotient})",
            f"({quotient})**2",
            f"{a}/(exp({a}) - 1)",
            f"{a}/sinh({a})",
            f"(x**2 - {_positive(rng)}**2)/(x - {_positive(rng)})",
            "(x**3 - 1)/(x - 1)",
            f"{a}*log({a}**2)",
            f"abs({a})*log(abs({a}))",
            f"step({a})*exp(-1/{a if a == 'x' else f'({a})'})",
            f"sin({a})/{a if a == 'x' else f'({a})'} + relu",
        )
    )


def _oscillating(rng: Random) -> str:
    a, b = rng.choice(("1", "2", "3", "10", "30", "100", "1000")), _number(rng)
    return rng.choice(
        (
            f"sin({a}*x + {b})",
            f"cos({a}*x)*{rng.choice(ALL)}(x)",
            f"sin({b}*x**2)",
            f"cos(x**{rng.randint(2, 4)})",
            f"exp(-x**2)*sin({a}*x**2)",
            f"abs(sin({a}*x))",
            f"sign(sin({a}*x))",
            f"max(sin(x), {b})",
            f"max(sin({a}*x), cos(x))",
            f"sin(exp({b}*x))",
            f"x + sin({a}*x)**2/{a}",
            "sin(1/x)",
            f"x*sin(1/({b} + x**2))",
            f"step(sin({a}*x) - {b})*x",
            f"sin(x)**{rng.randint(2, 7)}",
            f"sin(sin({a}*x))",
            f"tanh({a}*sin(x))",
            f"tan({b}*x)",
            "atan(tan(x))",
            f"asin(sin({a}*x))",
        )
    )


def _border(rng: Random) -> str:
    """Growth near, at and beyond what a Gaussian integrates."""
    c = rng.choice(("0.2", "0.24", "0.249", "0.25", "0.2499999", "0.26", "0.3", "0.1", "1/5", "1/6", "0.01", "1"))
    k = rng.choice(("1", "3", "10", "30", "100", "300", "1000", "-40"))
    return rng.choice(
        (
            f"exp({c}*x**2)",
            f"exp({c}*x**2)*{rng.choice(('x', 'sin(x)', 'step(x)', 'relu', 'he3'))}",
            f"exp({c}*max(x, 0)**2)",
            f"exp({k}*x)",
            f"sinh({k}*x)",
            f"cosh({k}*x)/{k}",
            f"exp({c}*x**2)/(1 + x**2)",
            f"exp(abs(x)**{rng.choice(('1.5', '1.9', '1.99', '2', '2.01', '3', '0.5'))})",
            f"exp({c}*x**2 - {k}*x)",
            "exp(exp(x))",
            f"exp({c}*x**2) + relu",
            f"1/erfc({rng.choice(('0.3', '0.4', '0.5', '1'))}*x)",
            f"exp({c}*x*relu)",
            f"x*exp({k}*x)",
            f"log(1 + exp({k}*x))/{k}",
            f"x/(1 + exp(-{k}*x))",
            f"log(cosh({k}*x))",
            f"log(exp({k}*x) + exp(-x))",
            f"exp({k}*x)/(1 + exp({k}*x))",
            f"(exp({k}*x) - exp(-x))/(exp({k}*x) + exp(-x))",
        )
    )


def _high(rng: Random) -> str:
    k, f = rng.choice((8, 10, 13, 16, 20, 24, 32, 40, 64)), rng.choice(SMOOTH)
    name = f"he{rng.randint(8, 20)}"
    return rng.choice(
        (
            f"He({k}, x)",
            name,
            f"{name}*{rng.choice(('step(x)', 'exp(-x**2)', 'relu', 'sin(x)'))}",
            f"He({k}, x)/{rng.choice(('1e20', '1000', 'sqrt(2)'))}",
            f"He({rng.randint(2, 9)}, {f}(x))",
            f"{f}({rng.choice(('he3', 'he4', 'he5', 'He(6, x)'))})",
            f"x**{rng.randint(6, 40)}",
            f"relu**{rng.randint(2, 12)}",
            f"(x**2 - {_positive(rng)})**{rng.randint(2, 9)}",
            f"{name} - x**3",
            f"max({rng.choice(('he3', 'he4', 'he5'))}, {_number(rng)})",
            f"abs(he{rng.randint(2, 7)})",
            f"{name}({_line(rng)})",
        )
    )


def _power(rng: Random) -> str:
    p = rng.choice(("0.5", "1/3", "2/3", "1.5", "2.5", "0.1", "-0.1", "-0.25", "-0.5", "-1", "pi", "e", "3.7", "0.01"))
    a = rng.choice(
        ("abs(x)", "max(x, 0)", "(1 + x**2)", "(x**2)", "abs(x - 1)", "exp(x)", "(1 + abs(x))", "x", "step(x)")
    )
    return rng.choice(
        (
            f"{a}**{p}",
            f"x*{a}**{p}",
            f"sign(x)*{a}**{p}",
            f"sqrt({a} + {_number(rng)})",
            f"{a}**{p} - {a}",
            f"log({a})",
            f"log({a} + {_positive(rng)})",
            f"{rng.choice(('2', '10', '0.5', 'pi', '1e-9'))}**({_line(rng)})",
            f"sqrt(1 - {rng.choice(('tanh(x)**2', 'sin(x)**2', 'x**2', 'erf(x)**2'))})",
            f"asin({rng.choice(('tanh(x)', 'sin(x)', 'x/(1 + abs(x))', 'x', 'max(-1, min(1, x))'))})",
        )
    )


def _constant(rng: Random) -> str:
    return rng.choice(
        (
            *("0", "1", "pi", "1e-40", "x - x", "0*x", "sin(1)", "x/x", "step(0)", "max(1, 2)", "-x", "--x", "x**0"),
            *("step(x) + step(-x)", "sin(x)**2 + cos(x)**2", "step(x)*step(-x)", "sign(x)**2", "abs(x)/x", "0*relu"),
            *("exp(log(1 + x**2)) - x**2", "max(x, -x) - abs(x)", "step(1 + x**2)", "sign(x**2)", "He(0, x)", "1e40"),
            *("max(sin(1)**2 + cos(1)**2 - 1, x)", "relu - relu(x)", "(x + 1)**2 - x**2 - 2*x - 1", "sqrt(x**2)"),
        )
    )


HOSTILE = (
    *("__import__('os').system('true')", "x.__class__", "().__class__.__bases__[0]", "eval('1')", "exec('x=1')"),
    *("lambda: x", "[x for x in x]", "{x: x}", "x if x > 0 else 0", "open('/etc/passwd')", "globals()", "x; x"),
    *("9**9**9**9", "9" * 900, "x" * 5000, "(" * 300 + "x" + ")" * 300, "sin(" * 60 + "x" + ")" * 60, "-" * 500 + "x"),
    *("", " ", "\t\n", "\0", "x\0y", "\ud800", "é", "х", "x²", "∞", "nan", "inf", "-inf", "oo", "zoo", "I", "1j*x"),
    *("None", "True", "'x'", "f'{x}'", "x = 1", "x == 1", "x >= 0", "x and 1", "not x", "~x", "x // 2", "x % 2"),
    *("x ^ 2", "x @ x", "2x", "2(x)", "(x)(x)", "x(2)", "pi(x)", "sin", "sin()", "sin(x, x)", "max()", "max(x)"),
    *("He(x, 2)", "He(-1, x)", "He(65, x)", "He(2.5, x)", "y", "mu", "z + x", "reluu", "gelu(y)", "ln(x)", "1/0"),
    *(
        "0/0",
        "0**0",
        "0**-1",
        "1/(x - x)",
        "log(0)",
        "log(-1)",
        "sqrt(-1)*x",
        "tan(pi/2)",
        "asin(2)",
        "x**x",
        "(-2)**x",
    ),
    *("x**1000", "x**-65", "x**64*x**64", "(x**64)**2", "exp(exp(exp(100)))", "1e999", "1e-999", "1e41", "0x1F*x"),
    *(
        "1_000*x",
        "0b11*x",
        "0o7*x",
        "1.*x",
        ".5*x",
        "5.e-1*x",
        "x#comment",
        "x\\",
        "x,",
        "x, y",
        "(x",
        "x)",
        "*x",
        "**x",
    ),
    *("max(*x)", "max(x=1)", "max(" + ",".join(f"sin({i}*x)" for i in range(1, 30)) + ")", "x" + "+x" * 300, "1/x"),
    *(
        "log(x)",
        "sqrt(x)",
        "1/x**2",
        "tan(x)",
        "1/sin(x)",
        "acos(x)",
        "1/step(x)",
        "1/relu",
        "1/sign(x)",
        "log(sin(x))",
    ),
    *(
        "max(x, 1/step)",
        "tanh/(Heaviside(he3/step))",
        "1/(x - 1)",
        "x/(x**2 - 2)",
        "log(abs(x))",
        "log(relu)",
        "relu**-1",
    ),
    *(
        "step(step(step(x)))",
        "sign(sign(x))",
        "abs(abs(abs(x)))",
        "max(max(x, 0), max(x, 0))",
        "He(3, He(3, He(3, x)))",
    ),
    *(
        "--help",
        "--json",
        "-x",
        "-h",
        "-1",
        "--",
        "-",
        "$(x)",
        "`x`",
        "x;ls",
        "../x",
        "%s",
        "{}",
        "{0.__class__}",
        "\\x00",
    ),
)


def _hostile(rng: Random) -> str:
    return rng.choice(HOSTILE)


def _mutated(rng: Random) -> str:
    """A sound text after a few slips of the hand."""
    text = FAMILIES[rng.choice(SOUND)][1](rng)
    for _ in range(rng.randint(1, 3)):
        at, drop = rng.randrange(len(text) + 1), rng.choice((0, 0, 1, 1, 3))
        slip = rng.choice(
            ("", "", "(", ")", "*", "/", "**", ",", ".", "e", "x", "-", "1", " ", "step", "^", "0", "'", "_")
        )
        text = text[:at] + slip + text[at + drop :]
    return text


FAMILIES: Mapping[str, tuple[float, Draw]] = {
    "named": (5, _named),
    "kink": (11, _kink),
    "nested": (8, _nested),
    "tree": (16, _tree),
    "extreme": (9, _extreme),
    "compact": (6, _compact),
    "decaying": (6, _decaying),
    "dead": (5, _dead),
    "removable": (6, _removable),
    "oscillating": (7, _oscillating),
    "border": (7, _border),
    "high": (5, _high),
    "power": (6, _power),
    "constant": (2, _constant),
    "hostile": (7, _hostile),
    "mutated": (8, _mutated),
}
"""What is drawn: its weight, and how."""

SOUND = [family for family in FAMILIES if family not in ("hostile", "mutated", "constant")]
