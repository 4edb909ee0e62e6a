"""The formulas that a document prints for the law are those that the law is computed with: the same numbers."""

import math
import re

import pytest
import sympy as sp

from theory.network.derivation import derive
from theory.search import law
from theory.typeset.layout import Equation
from theory.typeset.tree import Row, parse
from theory.writing.blocks import Equations, Paragraph
from theory.writing.document import derivation
from theory.writing.law import POWER, alone_equations, driven_equations, saddle_equations, search_equations

D, Z, C, KAPPA, ETA, DRIVE, BEND, TURN, BULK, ALONG, U = 1e5, -0.7, 0.4, 1.7, 0.05, 0.3, -0.9, 2.5, 0.8, 1.9, 3e-3
KNOWN = {"d": D, "Z": Z, "C": C, r"\kappa": KAPPA, r"\eta": ETA, "A": DRIVE, "G": DRIVE, "A'": TURN, "B": BEND}
KNOWN |= {"J_{0}": BULK, "J_{*}": ALONG, "V_{0}": ALONG, "u_{0}": U, "a_{m}": -0.21, "L_{r}": 0.6, "c_{k_*}": 1.9}


def _code(row: Row) -> str:
    """Return fractions, roots and brackets as Python's."""
    text = ""
    for node in row:
        inner = [_code(rows) for rows in node.rows]
        if node.text == r"\frac":
            text += f" (({inner[0]})/({inner[1]})) "
        elif node.text == r"\sqrt":
            text += f" sqrt({inner[0]}) "
        elif node.text == "^":
            text += f"**({inner[0]}) "
        elif node.kind == "fence":
            text += f" (abs({inner[0]})) " if "|" in node.text else f" ({inner[0]}) "
        else:
            text += node.text
    return text


def value(text: str, known: dict[str, float]) -> float | None:
    """Return the number of a formula; None while it has an unknown symbol."""
    text = text.replace("o(1)", "0")
    for symbol in sorted(known, key=len, reverse=True):
        end = "(?![A-Za-z])" if symbol[-1].isalpha() else ""
        text = re.sub(rf"(?<![A-Za-z\\]){re.escape(symbol)}{end}", f" ({known[symbol]!r}) ", text)
    code = re.sub(r"\|([^|]*)\|", r" (abs(\1)) ", _code(parse(text))).replace(r"\log", "log")
    code = re.sub(r"(?<=[)\d])\s*(?=[(a-z])", "*", code).replace("e*-", "e-")
    code = re.sub(r"(\d)\*e-", r"\1e-", code)
    if re.search(r"\\|(?<![a-z])(?!(?:log|abs|sqrt)\b)[A-Za-z]", re.sub(r"\de-", "", code)):
        return None
    return eval(code, {"log": math.log, "abs": abs, "sqrt": math.sqrt, "__builtins__": {}})


def solved(equations: tuple[Equation, ...], known: dict[str, float]) -> dict[str, float]:
    """Return the values of all symbols, those of squares and inverses too."""
    found = dict(known)
    for _ in equations:
        for equation in equations:
            number = value(equation.rights[-1], found) if equation.left not in known else None
            if number is None:
                continue
            if equation.left.endswith("^{2}"):
                found[equation.left.removesuffix("^{2}")] = math.sqrt(number)
            elif equation.left == r"\frac{1}{\tau}":
                found[r"\tau"] = 1 / number
            else:
                found[equation.left] = number
    return found


def expected(time: sp.Expr) -> float:
    return float(time.subs({law.C: C, law.d: D}))


def floats(*numbers: float) -> list[sp.Float]:
    return [sp.Float(number) for number in numbers]


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("scale", [1, 2])
def test_the_law_of_lora(aligned: bool, scale: int) -> None:
    bend, drive, bulk, kappa, eta = floats(scale**2 * BEND, scale**2 * DRIVE**2, scale**2 * BULK, KAPPA, ETA)
    rate = law.growth(bend, drive)
    tau, width = law.search_time(rate, eta), law.spread(drive, bulk, kappa, rate, eta)
    start = law.prefactor(rate, drive, sp.Float(scale * (DRIVE if aligned else -0.21)), width)
    shift = law.shift(rate, sp.Float(U * math.sqrt(D)), width)
    known = {**KNOWN, r"\lambda_{+}": float(rate), r"\tau": float(tau)}
    equations = tuple(e for e in search_equations(sp.Integer(scale**2), aligned) if e.label != "law-slope")
    found = solved(equations, known)
    assert found["T"] == pytest.approx(expected(law.exit_time(tau, start - sp.log(sp.Abs(Z + shift)))), rel=1e-12)


@pytest.mark.parametrize("scale", [1, 2])
def test_the_law_where_u_leaves_alone(scale: int) -> None:
    rate, bulk, kappa, eta = floats(scale**2 * 0.9, scale**2 * BULK, KAPPA, ETA)
    width = law.spread_alone(rate, bulk, kappa, eta)
    start = -sp.log(sp.Abs(Z + U * math.sqrt(D) / width)) - sp.log(width)
    found = solved(alone_equations(sp.Integer(scale**2)), {**KNOWN, r"\Lambda": float(rate)})
    assert found["T"] == pytest.approx(expected(law.exit_time(1 / rate, start)), rel=1e-12)


@pytest.mark.parametrize("scale", [1, 2])
def test_the_law_where_noise_alone_leads_out(scale: int) -> None:
    square = scale**2
    bend, turn, bulk, along = floats(square * BEND, square * TURN, square * BULK, square * ALONG)
    kappa, eta = floats(KAPPA, ETA)
    rate = law.turning_rate(bend, turn, bulk, kappa)
    width = law.spread_driven(kappa * along * law.level(bend, bulk, kappa, eta), 1 / rate)
    start = -sp.log(sp.Abs(Z)) - sp.log(width)
    found = solved(driven_equations(sp.Integer(square)), KNOWN)
    assert found["T"] == pytest.approx(expected(law.exit_time(D / rate, start)), rel=1e-12)


def test_the_law_on_the_sphere() -> None:
    drift, bulk, along, kappa, eta = floats(1.9, BULK, ALONG, KAPPA, ETA)
    left = 1 - 2 * eta * 0.6
    tau = law.saddle_time(drift, left, bulk, kappa, eta)
    width = law.saddle_spread(drift, left, bulk, along, kappa, eta)
    found = solved(saddle_equations(), KNOWN)
    assert found["T"] == pytest.approx(expected(law.exit_time(tau, -sp.log(sp.Abs(Z)) - sp.log(width))), rel=1e-12)
    assert value(POWER.replace("(k_{*} - 2)/2", "1").replace("k_{*}", "4"), KNOWN) == pytest.approx(
        D / (1.9 * 2 * Z**2), rel=1e-12
    )


def said(student: str, part: str, **options: object) -> str:
    """Return the words of one part."""
    blocks = [
        block for section in derivation(derive(student, **options), only=part).sections for block in section.blocks
    ]
    pieces = [piece for block in blocks if isinstance(block, Paragraph) for piece in block.text]
    labels = [e.label for block in blocks if isinstance(block, Equations) for e in block.equations]
    return " ".join(piece if isinstance(piece, str) else getattr(piece, "tex", "") for piece in pieces) + str(labels)


def test_regimes_are_those_of_the_roots_of_the_drive() -> None:
    he3, relu, gelu = (said(name, "regimes") for name in ("he3", "relu", "gelu"))
    assert r"\mu = 0.320724" in he3
    assert "law-driven" in he3
    assert "law-alone" not in he3
    assert "traps" in relu
    assert "law-" not in relu
    assert "law-driven" in gelu
    assert "law-alone" in gelu
    assert "Hessian" in said("relu", "regimes", model="misaligned")


@pytest.mark.parametrize(
    ("student", "options", "words"),
    [
        ("he1", {}, "does not vanish at the start"),
        ("he2", {}, "law-left"),
        ("he3", {}, "to leading order"),
        ("he2", {"teacher": "-x**2"}, "attracts"),
    ],
)
def test_the_law_of_plain_training(student: str, options: dict[str, str], words: str) -> None:
    assert words in said(student, "law", model="plain", **options)
