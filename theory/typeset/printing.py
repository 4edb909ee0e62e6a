r"""SymPy expressions as LaTeX in the project's notation, everywhere the same, and as text."""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.printing.latex import LatexPrinter

__all__ = ["as_text", "latex"]


class _Printer(LatexPrinter):
    """Sums begin with a positive term where they have one; inverse functions are written out, as arcsin."""

    def _as_ordered_terms(self, expr: sp.Expr, order: str | None = None) -> list[sp.Expr]:
        terms = list(super()._as_ordered_terms(expr, order))
        first = next((i for i, term in enumerate(terms) if not term.could_extract_minus_sign()), 0)
        return [terms[first], *terms[:first], *terms[first + 1 :]]

    def _print_Heaviside(self, expr: sp.Expr, exp: str | None = None) -> str:
        return self._function(r"\Theta", expr, exp)

    def _print_sign(self, expr: sp.Expr, exp: str | None = None) -> str:
        return self._function(r"\operatorname{sgn}", expr, exp)

    def _function(self, name: str, expr: sp.Expr, exp: str | None) -> str:
        power = "" if exp is None else f"^{{{exp}}}"
        return rf"{name}{power}\left({self._print(expr.args[0])}\right)"


_PRINTER = _Printer({"ln_notation": False, "inv_trig_style": "full", "fold_frac_powers": True})


def latex(expr: Any) -> str:
    r"""Return LaTeX in mathematics mode.

    >>> from theory.symbols import q, r
    >>> print(latex(sp.sqrt(r - q**2) + sp.asin(q)))
    \sqrt{r - q^{2}} + \arcsin{\left(q \right)}
    """
    return _PRINTER.doprint(expr)


def as_text(expr: sp.Expr) -> str:
    """Return SymPy's text of a real expression.

    SymPy orders terms as it prints, rebuilds powers on the way, and asks for the sign of their bases; in a symbol that
    is known to be positive it isolates the roots of their derivatives for that. Symbols of no known sign spare it this.

    >>> from theory.symbols import r, rho
    >>> as_text(rho * (r + 1) ** 2)
    'rho*(r + 1)**2'
    """
    return sp.sstr(_without_signs(expr, {}))


def _without_signs(f: Any, known: dict[Any, Any]) -> Any:
    """Return f in symbols of the same names that are only real, nothing evaluated, so that it prints the same."""
    if f not in known:
        if isinstance(f, sp.Symbol):
            known[f] = sp.Symbol(f.name, real=True)
        elif not f.args or not isinstance(f, sp.Expr):
            known[f] = f
        else:
            args = [_without_signs(arg, known) for arg in f.args]
            plain = isinstance(f, sp.Add | sp.Mul | sp.Pow)
            known[f] = f.func(*args, evaluate=False) if plain else f.func(*args)
    return known[f]
