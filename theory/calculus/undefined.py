r"""Functions of which only the name is known: sigma(x), and its derivatives.

What is derived of them is the theory of every function. They are differentiated, substituted and printed, and never
evaluated: neither `evalf` nor any printer of code makes anything of one, whatever it is called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import sympy as sp
from sympy import Basic, Expr, Symbol
from sympy.core.function import AppliedUndef, UndefinedFunction
from sympy.core.symbol import Str

from theory.errors import NoFormulaError, ParameterError, UnsupportedExpressionError
from theory.symbols import x
from theory.typeset.printing import bracketed, latex

__all__ = ["Undefined", "defined", "has_undefined", "letter", "refuse_undefined", "undefined_in", "with_undefined"]

PRIMES = 3  # derivatives that are written with primes
FIRST = {"sigma": 0, "phi": 2}  # the student's function stands before the teacher's


class Undefined(Expr):
    r"""The derivative f^(k) of a real function without a formula, at an argument: `Undefined("f", k, argument)`.

    >>> f = Undefined("sigma", 0, x)
    >>> sp.diff(x * f, x), f.diff(x).subs(x, 2 * x)
    (x*sigma'(x) + sigma(x), sigma'(2*x))
    >>> print(sp.latex(f.diff(x) ** 2))
    \sigma'(x)^{2}
    """

    is_real = True
    is_commutative = True
    is_number = False
    is_comparable = False
    takes_power = True  # of a printer: `_latex` writes the exponent too

    def __new__(cls, name: str | Str, order: int | Expr, argument: Expr) -> Expr:
        """Return the node."""
        named = Str(name) if isinstance(name, str) else name
        return Expr.__new__(cls, named, sp.Integer(order), sp.sympify(argument))

    @property
    def name(self) -> str:
        """The name of the function."""
        return self.args[0].name

    @property
    def order(self) -> int:
        """How often the function is differentiated."""
        return int(self.args[1])

    @property
    def argument(self) -> Expr:
        """Where it is taken."""
        return self.args[2]

    @property
    def sort_text(self) -> str:
        """Where a product has it: the student's function first, then by argument and derivative."""
        return f"{FIRST.get(self.name, 1)} {self.argument} {self.order} {self.name}"

    def _eval_derivative(self, s: Symbol) -> Expr:
        name, order, argument = self.args
        return self.func(name, order + 1, argument) * argument.diff(s)

    def _eval_evalf(self, _prec: int) -> NoReturn:
        raise _no_formula(self.name)

    def _no_code(self, _printer: Any, **_: Any) -> NoReturn:
        raise _no_formula(self.name)

    _pythoncode = _numpycode = _scipycode = _mpmathcode = _cmathcode = _lambdacode = _numexprcode = _no_code
    _jaxcode = _cupycode = _torchcode = _tensorflowcode = _ccode = _cxxcode = _fcode = _rust_code = _no_code
    _javascript = _julia = _octave = _rcode = _glsl = _mcode = _maple = _smtlib = _aesara = _theano = _no_code

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        dashes = "'" * self.order if self.order <= PRIMES else rf"^{{({self.order})}}"
        argument = (printer.inline if hasattr(printer, "inline") else printer._print)(self.argument)
        return letter(self.name) + dashes + bracketed(argument) + (f"^{{{exp}}}" if exp else "")

    def _sympystr(self, printer: Any) -> str:
        argument, k = printer._print(self.argument), self.order
        if getattr(printer, "constants", "") is None and k:  # text that SymPy reads
            own = f"Derivative({self.name}(x), {f'(x, {k})' if k > 1 else 'x'})"
            return own if self.argument == x else f"Subs({own}, x, {argument})"
        return self.name + ("'" * k if k <= PRIMES else f"^({k})") + f"({argument})"


def letter(name: str) -> str:
    r"""Return a name as LaTeX, phi as the letter of the teacher.

    >>> letter("phi"), letter("sigmatilde"), letter("h1")
    ('\\varphi', '\\tilde{\\sigma}', 'h_{1}')
    """
    return latex(Symbol(name)).replace(r"\phi", r"\varphi")


def has_undefined(*exprs: Basic) -> bool:
    """Whether a function without a formula stands in one of these expressions."""
    return any(expr.has(Undefined) for expr in exprs)


def undefined_in(*exprs: Basic) -> tuple[str, ...]:
    """Return the names of the functions without a formula in these expressions, the student's first.

    >>> undefined_in(x * Undefined("sigma", 1, x), x)
    ('sigma',)
    """
    names = {node.name for expr in exprs for node in expr.atoms(Undefined)}
    return tuple(sorted(names, key=lambda name: (FIRST.get(name, 1), name)))


def refuse_undefined(*exprs: Basic) -> None:
    """Raise `NoFormulaError` where a function without a formula stands in one of these expressions."""
    for name in undefined_in(*exprs):
        raise _no_formula(name)


def _no_formula(name: str) -> NoFormulaError:
    return NoFormulaError(f"{name} has no formula: give an activation, such as relu, in its place for numbers.")


def with_undefined(expr: Expr | UndefinedFunction, check: Callable[[str], None]) -> Expr:
    """Return an expression with SymPy's undefined functions as nodes of this module; `check` refuses a name.

    Raises `UnsupportedExpressionError` for a name that `check` refuses by `ParameterError`, or several arguments.

    >>> with_undefined(sp.Function("sigma")(x) + x, lambda name: None)
    x + sigma(x)
    """

    def node(applied: AppliedUndef) -> Expr:
        name = type(applied).__name__
        try:
            check(name)
        except ParameterError as error:
            raise UnsupportedExpressionError(f"the undefined function {name[:40]!r} given: {error}") from error
        if len(applied.args) != 1:
            raise UnsupportedExpressionError(
                f"{name[:40]!r} of {len(applied.args)} arguments given; accepted: functions of one argument."
            )
        return Undefined(name, 0, applied.args[0])

    given = expr(x) if isinstance(expr, UndefinedFunction) else expr
    return given.replace(lambda each: isinstance(each, AppliedUndef), node)


def defined(expr: Expr, functions: Mapping[str, Expr]) -> Expr:
    """Return an expression with formulas, expressions in x, in the place of functions without one.

    >>> defined(Undefined("sigma", 1, 2 * x), {"sigma": x**3})
    12*x**2
    """

    def formula(node: Undefined) -> Expr:
        if node.name not in functions:
            return node
        return sp.diff(functions[node.name], x, node.order).subs(x, node.argument)

    return expr.replace(lambda node: isinstance(node, Undefined), formula)
