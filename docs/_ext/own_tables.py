"""Directives whose content is computed from the project while the documentation is built.

`public-names` (every public name with its summary), `module-list` (the modules of one storey), `activation-table` (the
registry, each kernel against the oracle), `parameter-table` (the table of parameters),
`tolerance-table` (the table of tolerances), `law-table` (constants of the
law against another integrator),
`law-test-table` (laws against simulation at several dimensions), `law-regime-table` (at one, by every law),
`critical-table`, `test-table` (what every test file says of itself) and `source-table` (the literature).
"""

from __future__ import annotations

import ast
import csv
import importlib
import inspect
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import log
from pathlib import Path

from docutils import nodes
from own_links import modules, public_names
from plain_docstrings import inline
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from hermescape import Exit, SciPy, activation, derive, escape_law, integrate, search_time, value
from numerics import accuracy
from numerics.parameters import PARAMETERS, Parameter
from theory.calculus.reference import kernel as oracle
from theory.language.activations import REGISTRY
from theory.network.models import MODELS
from theory.search.critical import critical_strengths
from theory.symbols import MEANINGS, q, r
from theory.writing.sources import RULES

TESTS = Path(__file__).parents[2] / "tests"
MARKUP, CODE = re.compile(r"[\\*_<[$]"), re.compile(r"(`[^`]*`)")
SKIPPED = {f"he{k}" for k in range(5, 21)}
CONSTANTS = (("linear", 0.3, 2), ("erf", 0.5, 2), ("relu", 0.7, 1))
"""activation, mu, and the order of the error in the start: kinks make it 1"""
CRITICAL = ("linear", "relu", "erf", "he2", "he3", "he4", "he5", "he6", "he10")
QUESTIONS = {"theory": "Derive", "numerics": "Compute", "hermescape": "Run"}


class Generated(SphinxDirective):
    """A directive that parses Markdown of its own making."""

    optional_arguments = 1
    has_content = True

    def markdown(self) -> str:
        """Return the Markdown."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """Parse it in place."""
        return self.parse_text_to_nodes(self.markdown(), allow_section_headings=True)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def summary(obj: object) -> str:
    """Return the first sentence of a docstring, as Markdown."""
    text = inspect.cleandoc(getattr(obj, "__doc__", None) or "").partition("\n\n")[0]
    return escaped(" ".join(text.split()))


def escaped(text: str) -> str:
    """Return plain text whose asterisks and underscores stay what they are; code between backticks is left alone."""
    return "".join(part if part.startswith("`") else MARKUP.sub(r"\\\g<0>", part) for part in CODE.split(text))


class PublicNames(Generated):
    """`hermescape.__all__`, by the storey that a name comes from."""

    def markdown(self) -> str:
        """Return one table a storey."""
        rows = defaultdict(list)
        for name, (module, alias) in sorted(public_names().items(), key=lambda item: (item[1][0], item[0])):
            obj = getattr(importlib.import_module(module), alias or name)
            link = f"{{py:obj}}`hermescape.{name} <{module}.{alias or name}>`"
            rows[module.split(".")[0]].append((link, summary(obj)))
        return "\n".join(
            f"## {title}\n\n{table(('name', 'what it is'), rows[storey])}" for storey, title in QUESTIONS.items()
        )


class ModuleList(Generated):
    """The modules of one storey, a page each."""

    def markdown(self) -> str:
        """Return a table, and a hidden table of contents."""
        names = [name for name in modules() if name.split(".")[0] == self.arguments[0]]
        rows = [(f"{{py:mod}}`{name}`", summary(importlib.import_module(name))) for name in names]
        entries = "\n".join(f"modules/{name}" for name in names)
        return f"{table(('module', 'what it holds'), rows)}\n```{{toctree}}\n:hidden:\n\n{entries}\n```\n"


class NotebookList(Generated):
    """The notebooks that are there."""

    def markdown(self) -> str:
        """Return a table of contents."""
        found = sorted(path.stem for path in Path(self.env.srcdir, "notebooks").glob("*.ipynb"))
        entries = "\n".join(found)
        return f"```{{toctree}}\n:maxdepth: 1\n\n{entries}\n```\n" if found else "None in this version."


class ActivationTable(Generated):
    """The registry: parity, exponent, tier, and the difference of K from the oracle that knows no closed form."""

    def markdown(self) -> str:
        """Return the table."""
        shown = [name for name in REGISTRY if name not in SKIPPED]
        header = ("activation", "parity", "information exponent", "kernel", "$K(0.3, 0.5)$", "its error", "off by")
        return table(header, [self._row(name) for name in shown])

    @staticmethod
    def _row(name: str) -> tuple[object, ...]:
        sigma, loss = activation(name), derive(name).loss_function
        found = value(loss.kernel(), {q: "0.3", r: "0.5"})
        gap = float(abs(oracle(sigma.expr, sigma.expr, "0.3", "0.5", digits=16) - found.value))
        tier = "closed form" if loss.is_closed else "quadrature"
        exponent = derive(name, model="plain").information_exponent
        numbers = (f"{found.value:.12g}", power(float(found.error)), power(gap))
        return f"`{name}`", sigma.parity or "none", exponent, tier, *numbers


class LawTable(Generated):
    """The constant C of the law, and how far it is from SciPy's integration extrapolated in the start."""

    def markdown(self) -> str:
        """Return the table."""
        header = ("activation", "$\\mu$", "$\\tau$", "$C$", "its error", "off by", "left out at $d = 10^6$")
        return table(header, [self._row(*case) for case in CONSTANTS])

    @staticmethod
    def _row(name: str, mu: float, order: int) -> tuple[object, ...]:
        law = escape_law(derive(name), mu=mu, dimension=1e6, threshold=0.9)
        other = constant_by_scipy(name, mu, order)
        shown = power(law.constant_error), power(abs(law.constant - other)), power(abs(law.remainder) / law.tau)
        return f"`{name}`", mu, f"{law.tau:.8g}", f"{law.constant:.9f}", *shown


def constant_by_scipy(name: str, mu: float, order: int) -> float:
    """Return C by SciPy's DOP853 from |m| = c, c/2 and Richardson's extrapolation; the error falls as c^order."""

    system = derive(name)
    search = search_time(system, mu)
    rate, drive = float(search.rate), float(search.A or 0)

    def way(size: float) -> float:
        start = {"u": rate / drive * size, "m": size}
        path = integrate(system, start, event=Exit(0.9), t_max=1e3 / rate, rtol=1e-13, engine=SciPy(), mu=mu)
        return (path.exit_time or float("nan")) * rate + log(size)

    coarse, fine = way(2e-4), way(1e-4)
    return fine + (fine - coarse) / (2**order - 1)


LAWS = ("formula", "diffusion", "chain")


class LawRegimeTable(Generated):
    """Formula, diffusion and chain against simulation, as `tests/reference/laws.csv` has them."""

    def markdown(self) -> str:
        """Return the table."""
        with (TESTS / "reference" / "laws.csv").open(encoding="utf-8") as file:
            rows = [self._row(row) for row in csv.DictReader(file)]
        heads = ("SGD", *LAWS, *(f"$p$ {name}" for name in LAWS), "$p$ flow", "answers")
        return table(("case", "$d$", "$\\kappa$", "$\\eta$", "runs", *heads), rows)

    @staticmethod
    def _row(row: dict[str, str]) -> tuple[object, ...]:
        place = ", ".join(f"{name} = {float(row[key]):.4g}" for name, key in (("μ", "mu"), ("ρ", "rho")) if row[key])
        medians = (_short(row[name], ".4g") for name in ("median", *(f"median_{name}" for name in LAWS)))
        p = (_short(row[f"p_{name}"], ".2g") for name in (*LAWS, "flow"))
        numbers = (f"{float(row['d']):.4g}", f"{float(row['kappa']):.3g}", f"{float(row['lr']):.3g}", row["runs"])
        return (escaped(", ".join(filter(None, (row["case"], place)))), *numbers, *medians, *p, row["law"])


def _short(text: str, digits: str) -> str:
    """A number of a table, empty where there is none."""
    return f"{float(text):{digits}}" if text else ""


class LawTestTable(Generated):
    """The laws against simulation in every regime, as `tests/reference/slopes.csv` has them."""

    def markdown(self) -> str:
        """Return the table."""
        with (TESTS / "reference" / "slopes.csv").open(encoding="utf-8") as file:
            rows = [self._row(row) for row in csv.DictReader(file)]
        header = ("case", "$\\mu$", "regime", "$d$", "$\\kappa$", "runs", "$p$", "without noise", "longer", "verdict")
        return table(header, rows)

    @staticmethod
    def _row(row: dict[str, str]) -> tuple[object, ...]:
        place = f"{float(row['mu']):.4g}" if row["mu"] else ""
        p, quiet, longer = (f"{float(row[name]):.2g}" for name in ("p", "p_without_noise", "p_control"))
        numbers = (f"{float(row['d']):.4g}", f"{float(row['kappa']):.3g}", row["runs"], p, quiet)
        return (
            escaped(row["case"]),
            place,
            row["regime"],
            *numbers,
            f"{longer} ({row['control_factor']})",
            row["verdict"],
        )


class CriticalTable(Generated):
    """Every strength at which tau diverges."""

    def markdown(self) -> str:
        """Return the table."""
        header = ("activation", "critical $\\mu$", "$\\tau$ diverges as", "found by")
        return table(header, [row for name in CRITICAL for row in self._rows(name)])

    @staticmethod
    def _rows(name: str) -> list[tuple[object, ...]]:
        found = critical_strengths(derive(name))
        how = {True: "isolation of the roots of a polynomial", False: "a scan, to a tolerance"}
        return [
            (f"`{name}`", f"{float(c.mu):.10g}", f"$\\lvert\\mu - \\mu_c\\rvert^{{-{c.order}}}$", how[c.exact])
            for c in found
        ]


class TestTable(Generated):
    """What every test file of a folder says of itself, and how many tests it has."""

    def markdown(self) -> str:
        """Return the table."""
        header = ("file", "what it holds the code against", "tests")
        return table(header, [self._row(path) for path in sorted((TESTS / self.arguments[0]).glob("**/test_*.py"))])

    @staticmethod
    def _row(path: Path) -> tuple[object, ...]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        count = sum(isinstance(node, ast.FunctionDef) and node.name.startswith("test_") for node in tree.body)
        first = " ".join((ast.get_docstring(tree) or "").partition("\n\n")[0].split())
        return f"`{path.relative_to(TESTS.parent)}`", escaped(first), count


class SourceTable(Generated):
    """The literature, and for which derivations `hermescape cite` names it."""

    def markdown(self) -> str:
        """Return the table."""
        return table(("source", "cited for"), [(f"{{cite:t}}`{rule.key}`", escaped(rule.why)) for rule in RULES])


class ModelTable(Generated):
    """The parametrisations, from their own docstrings."""

    def markdown(self) -> str:
        """Return the table."""
        rows = [
            (f"`{name}`", summary(type(model)), names(system.states), names(system.parameters))
            for name, model in MODELS.items()
            for system in (derive("linear", model=model),)
        ]
        return table(("model", "what it is", "states", "parameters"), rows)


class ParameterTable(Generated):
    """Every parameter of a task or a sweep, from the one table that all of them read."""

    def markdown(self) -> str:
        """Return the table."""
        header = ("Python, JSON, TOML", "command line", "what it is", "accepted", "default", "unit", "sweeps")
        return table(header, [self._row(one) for one in PARAMETERS.values()])

    @staticmethod
    def _row(one: Parameter) -> tuple[object, ...]:
        default = "" if one.default is None else f"`{one.default}`"
        units = one.units if one.type in ("integer", "number") else ""
        words = (escaped(one.meaning), escaped(one.accepted))
        return f"`{one.name}`", f"`{one.option}`", *words, default, escaped(units), ", ".join(one.kinds)


class ToleranceTable(Generated):
    """Every tolerance that decides a result."""

    def markdown(self) -> str:
        """Return the table."""
        rows = [
            (f"`{name}`", f"{float(one):.3g}", escaped(one.unit), escaped(one.why))
            for name, one in accuracy.table().items()
        ]
        return table(("name", "value", "unit", "why"), rows)


class SymbolTable(Generated):
    """Every symbol with its meaning; on a page in reST."""

    def markdown(self) -> str:
        """Return a field list, which reads the same in both languages."""
        return "\n".join(f":``{symbol}``: {inline([meaning])[0]}" for symbol, meaning in MEANINGS.items())


def names(*groups: Iterable[object]) -> str:
    """Return symbols as code."""
    return ", ".join(f"`{symbol}`" for group in groups for symbol in group) or "none"


def power(error: float) -> str:
    """Return an error as a power of ten."""
    return "0" if error == 0 else f"{error:.0e}".replace("e-0", "e-")


DIRECTIVES = (
    *(PublicNames, ModuleList, ModelTable, ParameterTable, ToleranceTable, SymbolTable, NotebookList),
    *(ActivationTable, LawTable, LawRegimeTable, LawTestTable, CriticalTable, TestTable, SourceTable),
)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    for kind in DIRECTIVES:
        app.add_directive(re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower(), kind)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
