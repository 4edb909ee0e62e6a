"""SymPy expressions as LaTeX in the project's notation, and as text: both write the form of `theory.typeset.normal`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

from theory.symbols import x
from theory.typeset.constants import NONE, Constants, is_long
from theory.typeset.forms import HALF, ONE, Base, Leaf, Product, Raised, Sum
from theory.typeset.metrics import width
from theory.typeset.normal import absolute, normal
from theory.typeset.ratios import shortened
from theory.typeset.tree import parse

__all__ = ["as_text", "bracketed", "latex", "latex_of_factor"]

DIGITS = 17  # significant, of a decimal that stands for a long ratio
SLASHED = 10.0  # em; inside brackets, roots and fractions a narrower fraction stands on one line
EXPONENT = 9.0  # em; wider exponents are written with \exp
TALL = re.compile(r"\\frac|\\sum|\\int|\\begin|\\left|\\middle|\\binom")
NAMED = {"asin": r"\arcsin", "acos": r"\arccos", "atan": r"\arctan", "Max": r"\max", "Min": r"\min"} | {
    name: rf"\{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "log")
}
UPRIGHT = {"erf": "erf", "erfc": "erfc", "sign": "sgn", "asinh": "arsinh", "atan2": "atan2"}


class _Latex(LatexPrinter):
    """Writes normal forms; what is neither sum, product, power nor number goes SymPy's way, its arguments ours."""

    def __init__(self, constants: Constants) -> None:
        super().__init__({"ln_notation": False, "inv_trig_style": "full", "fold_frac_powers": True})
        self.constants = constants

    def _print_Add(self, expr: sp.Expr, order: str | None = None) -> str:
        return self.form(shortened(normal(expr)))

    _print_Mul = _print_Pow = _print_Rational = _print_Integer = _print_Add
    _print_Half = _print_One = _print_Zero = _print_NegativeOne = _print_Add

    def _print_StrictGreaterThan(self, expr: sp.Basic) -> str:
        """Write c > x as x < c: SymPy turns round what compares two symbols."""
        above, below = expr.args
        return rf"{self._print(below)} < {self._print(above)}" if below == x else self._print_Relational(expr)

    def form(self, f: Product, inline: bool = False) -> str:
        """Return a product or a sum; `inline` where a small fraction is to stand on one line."""
        inner = f.as_sum
        if inner is None:
            return self.product(f, inline)
        text = self.product(inner.terms[0], inline)
        for term in inner.terms[1:]:
            text += " - " if term.number < 0 else " + "
            text += self.product(Product(abs(term.number), term.factors), inline)
        return text

    def product(self, f: Product, inline: bool) -> str:
        """Return a product, as a fraction where it has a denominator."""
        sign, (number, below) = "-" if f.number < 0 else "", _ratio(abs(f.number), self.constants)
        over = [factor for factor in f.factors if factor[1] > 0]
        under = [(base, -power) for base, power in f.factors if power < 0]
        if not under and below == "1":
            return sign + self.factors(number, over, inline, alone=False)
        bottom = self.factors(below, under, True, alone=True)
        tall = [factor for factor in over if self._is_tall(*factor)]
        low = [factor for factor in over if factor not in tall]
        top = self.factors(number, low, True, alone=True)
        is_sum = number == "1" and [(type(base), power) for base, power in low] == [(Sum, 1)]
        many = len(under) + (below != "1") > 1
        fraction = sign + self._fraction(top, bottom, inline and not tall, many=many, is_sum=is_sum)
        return " ".join([fraction, *(self.factor(base, power, False) for base, power in tall)])

    def _is_tall(self, base: Base, power: Fraction) -> bool:
        """Whether a factor is a sum that makes a numerator of several storeys."""
        return isinstance(base, Sum) and power == 1 and bool(TALL.search(self.form(_alone(base), inline=True)))

    def _fraction(self, top: str, bottom: str, inline: bool, many: bool, is_sum: bool = False) -> str:
        below = many or _has_sum(bottom)
        two_brackets = is_sum and below
        if inline and not two_brackets and not TALL.search(top + bottom) and width(parse(top + bottom)) <= SLASHED:
            return (f"({top})" if is_sum else top) + (f"/({bottom})" if below else f"/{bottom}")
        return rf"\frac{{{top}}}{{{bottom}}}"

    def factors(self, number: str, factors: Sequence[tuple[Base, Fraction]], inline: bool, *, alone: bool) -> str:
        """Return number * factors; `alone`: a single sum needs no brackets, what surrounds it holds it."""
        if alone and number == "1" and len(factors) == 1 and factors[0][1] == 1 and isinstance(factors[0][0], Sum):
            return self.form(Product(ONE, (factors[0],)), inline)
        texts = [self.factor(base, power, inline) for base, power in factors]
        if number != "1" or not texts:
            texts.insert(0, number)
        text = texts[0]
        for before, after in pairwise(texts):
            text += (r" \cdot " if before[-1].isdigit() and after[0].isdigit() else " ") + after
        return text

    def factor(self, base: Base, power: Fraction, inline: bool) -> str:
        """Return base**power, power > 0."""
        if power == HALF:
            return rf"\sqrt{{{self.form(_alone(base), inline=True)}}}"
        exponent = str(power) if power != 1 else ""
        if isinstance(base, Raised):
            bottom = self.form(base.base, inline=True)
            bottom = bottom if _is_atom(base.base) else self.bracketed(bottom)
            text = rf"{bottom}^{{{self.form(base.exponent, inline=True)}}}"
            return self.bracketed(text) + f"^{{{exponent}}}" if exponent else text
        if isinstance(base, Leaf):
            return self._raised(base.expr, exponent)
        text = self.bracketed(self.form(_alone(base), inline))
        return f"{text}^{{{exponent}}}" if exponent else text

    def _raised(self, f: sp.Basic, exponent: str) -> str:
        if isinstance(f, sp.Function) and _name(f):
            return self._function(f, exponent)
        if isinstance(f, sp.Abs):
            return self._print_Abs(f, exponent)
        if exponent and getattr(f, "takes_power", False):
            return self._print(f, exp=exponent)
        text = self._print(f)
        if not exponent:
            return text
        plain = (isinstance(f, sp.Symbol) and "^" not in text) or f.is_NumberSymbol
        return rf"{text}^{{{exponent}}}" if plain else rf"{self.bracketed(text)}^{{{exponent}}}"

    def inline(self, expr: sp.Basic) -> str:
        """Return an argument of a function, small fractions on one line."""
        return self.form(normal(expr), inline=True)

    def bracketed(self, text: str) -> str:
        """Put brackets of the right size around a formula."""
        return bracketed(text)

    # --- functions

    def _print_Function(self, expr: sp.Function, exp: str | None = None) -> str:
        if not isinstance(expr, AppliedUndef):
            return self._function(expr, exp or "") if _name(expr) else super()._print_Function(expr, exp)
        power = f"^{{{exp}}}" if exp else ""
        name, arguments = self._hprint_Function(type(expr).__name__), ", ".join(map(self.inline, expr.args))
        return f"{name}{power}{self.bracketed(arguments)}"

    def _function(self, f: sp.Function, exponent: str) -> str:
        power = f"^{{{exponent}}}" if exponent else ""
        if len(f.args) == 1 and isinstance(f.args[0], sp.Abs):
            return _name(f) + power + self._print(f.args[0])
        return _name(f) + power + self.bracketed(", ".join(self.form(normal(arg), inline=True) for arg in f.args))

    def _print_exp(self, expr: sp.Expr, exp: str | None = None) -> str:
        exponent = normal(expr.args[0])
        text = self.form(exponent, inline=True)
        if width(parse(text), 2) <= EXPONENT and not TALL.search(text):
            return f"e^{{{text}}}"
        return r"\exp" + self.bracketed(self.form(exponent))

    def _print_Max(self, expr: sp.Expr, exp: str | None = None) -> str:
        return self._function(expr, exp or "")

    _print_Min = _print_sign = _print_log = _print_erf = _print_Max

    def _print_Abs(self, expr: sp.Expr, exp: str | None = None) -> str:
        inner = absolute(normal(expr.args[0]))
        text = self.form(inner, inline=True)
        text = f"|{text}|" if _is_atom(inner) else rf"\left|{text}\right|"
        return f"{text}^{{{exp}}}" if exp else text

    def _print_Heaviside(self, expr: sp.Expr, exp: str | None = None) -> str:
        power = f"^{{{exp}}}" if exp else ""
        return rf"\Theta{power}" + self.bracketed(self.form(normal(expr.args[0]), inline=True))


def bracketed(text: str) -> str:
    r"""Put brackets around LaTeX, as tall as what they hold.

    >>> bracketed("a + b"), bracketed(r"\frac{a}{b}")
    ('(a + b)', '\\left(\\frac{a}{b}\\right)')
    """
    return rf"\left({text}\right)" if TALL.search(text) else f"({text})"


def _name(f: sp.Basic) -> str:
    name = type(f).__name__
    return NAMED.get(name) or (rf"\operatorname{{{UPRIGHT[name]}}}" if name in UPRIGHT else "")


def _has_sum(text: str) -> bool:
    return any(node.kind == "operator" for node in parse(text))


def _alone(base: Base) -> Product:
    return base if isinstance(base, Product) else Product(ONE, ((base, ONE),))


def _is_atom(f: Product) -> bool:
    if not f.factors:
        return f.number >= 0 and f.number.denominator == 1
    return f.number == 1 and len(f.factors) == 1 and f.factors[0][1] == 1 and isinstance(f.factors[0][0], Leaf)


def _ratio(number: Fraction, constants: Constants | None) -> tuple[str, str]:
    """Return numerator and denominator; a ratio that was typed as a decimal, or is long, as a decimal over 1."""
    if constants is not None and number in constants.typed:
        return constants.typed[number], "1"
    if constants is None or not is_long(number):
        return str(number.numerator), str(number.denominator)
    return str(sp.Float(sp.Rational(number.numerator, number.denominator), DIGITS)).rstrip("0"), "1"


class _Text(StrPrinter):
    """Writes normal forms as text that SymPy reads; `constants` None: every ratio is exact."""

    def __init__(self, constants: Constants | None) -> None:
        super().__init__({"abbrev": False})
        self.constants = constants

    def _print_Add(self, expr: sp.Expr, order: str | None = None) -> str:
        return self.form(normal(expr) if self.constants is None else shortened(normal(expr)))

    _print_Mul = _print_Pow = _print_Rational = _print_Integer = _print_Add
    _print_Half = _print_One = _print_Zero = _print_NegativeOne = _print_Add

    def _print_StrictGreaterThan(self, expr: sp.Basic) -> str:
        """Write c > x as x < c: SymPy turns round what compares two symbols."""
        above, below = map(self._print, expr.args)
        return f"{below} < {above}" if expr.args[1] == x else f"{above} > {below}"

    def _print_Abs(self, expr: sp.Expr) -> str:
        return f"Abs({self.form(absolute(normal(expr.args[0])))})"

    def form(self, f: Product) -> str:
        """Return a product or a sum."""
        inner = f.as_sum
        if inner is None:
            return self.product(f)
        text = self.product(inner.terms[0])
        for term in inner.terms[1:]:
            text += (" - " if term.number < 0 else " + ") + self.product(Product(abs(term.number), term.factors))
        return text

    def product(self, f: Product) -> str:
        """Return a product."""
        sign, (number, below) = "-" if f.number < 0 else "", _ratio(abs(f.number), self.constants)
        over = [self.factor(base, power) for base, power in f.factors if power > 0]
        under = [self.factor(base, -power) for base, power in f.factors if power < 0]
        over = over if number == "1" and over else [number, *over]
        under = under if below == "1" else [below, *under]
        text = sign + "*".join(over)
        if not under:
            return text
        return f"{text}/({'*'.join(under)})" if len(under) > 1 else f"{text}/{under[0]}"

    def factor(self, base: Base, power: Fraction) -> str:
        """Return base**power, power > 0."""
        if power == HALF:
            return f"sqrt({self.form(_alone(base))})"
        if isinstance(base, Raised):
            bottom = self.form(base.base)
            bottom = bottom if _is_atom(base.base) else f"({bottom})"
            text = (
                f"{bottom}**{self.form(base.exponent)}"
                if _is_atom(base.exponent)
                else f"{bottom}**({self.form(base.exponent)})"
            )
            text = text if power == 1 else f"({text})"
        elif isinstance(base, Leaf):
            text = self._print(base.expr)
        else:
            text = f"({self.form(_alone(base))})"
        if power == 1:
            return text
        return f"{text}**{power}" if power.denominator == 1 else f"{text}**({power})"


_LATEX, _TEXT, _EXACT = _Latex(NONE), _Text(NONE), _Text(None)


def latex(expr: Any, constants: Constants = NONE) -> str:
    r"""Return LaTeX in mathematics mode, decimals written as the constants say.

    >>> from theory.symbols import q, r
    >>> print(latex(sp.sqrt(r - q**2) + sp.asin(q / sp.sqrt(r)) / 2))
    \sqrt{r - q^{2}} + \frac{\arcsin(q/\sqrt{r})}{2}
    """
    return (_LATEX if constants is NONE else _Latex(constants)).doprint(expr)


def latex_of_factor(expr: sp.Basic) -> str:
    r"""Return LaTeX that may stand before another factor: sums in brackets.

    >>> from theory.symbols import mu, q, r
    >>> latex_of_factor(r - q), latex_of_factor((1 - mu) / 2)
    ('(r - q)', '\\frac{1 - \\mu}{2}')
    """
    text = latex(expr)
    return _LATEX.bracketed(text) if normal(expr).as_sum is not None else text


def as_text(expr: sp.Basic, constants: Constants | None = NONE) -> str:
    """Return text of a real expression, which SymPy reads as an equal one.

    Args:
        expr: the expression.
        constants: what decimals are written as; None for ratios that are exact however long they are.

    >>> from theory.symbols import mu, q, r
    >>> as_text((1 - mu) / 2), as_text(sp.sqrt(2) * sp.sqrt(r) / (2 * sp.sqrt(sp.pi)))
    ('(1 - mu)/2', 'sqrt(r/(2*pi))')
    """
    printer = _EXACT if constants is None else _TEXT if constants is NONE else _Text(constants)
    return printer.doprint(expr)
