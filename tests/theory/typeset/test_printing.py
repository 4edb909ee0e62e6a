"""SymPy text of what is derived: as SymPy itself prints it, without isolating roots to put terms in order."""

import os
import subprocess
import sys
import time

import pytest
import sympy as sp

from theory.language.activations import REGISTRY
from theory.network.derivation import derive
from theory.typeset.printing import as_text


@pytest.mark.parametrize("model", ["lora", "misaligned"])
@pytest.mark.parametrize("name", [*list(REGISTRY)[:18], "max(x - 1, 0)", "sin(3*x)", "exp(-x**2)*cos(x)"])
def test_prints_as_sympy_does(name: str, model: str) -> None:
    system = derive(name, model=model)
    escape = system.escape
    for f in (system.loss, *system.odes.values(), escape.A, escape.B, escape.G2, escape.tau):
        assert f is None or as_text(f) == sp.sstr(f)


def test_no_root_is_isolated_for_the_order_of_terms() -> None:
    """In SymPy's own text of this tau the sign of a polynomial of degree 38 in mu > 0 is asked for: minutes."""
    tau = derive("he20 - x**3", alpha=3).escape.tau
    start = time.process_time()
    text = as_text(tau)
    assert time.process_time() - start < 60
    alignment = sp.Rational(3, 10)
    (mu,) = tau.free_symbols
    read = sp.sympify(text).subs(sp.Symbol("mu"), alignment)
    assert sp.N(read - tau.subs(mu, alignment), 20) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("seed", ["0", "1"])
def test_no_root_is_isolated_in_any_order_of_questions(seed: str) -> None:
    """SymPy asks for assumptions in the order of a set of texts: at these seeds building this tau took minutes."""
    code = "from theory.network.derivation import derive; e = derive('he20 - x**3', alpha=3).escape; e.rate, e.tau"
    environment = {**os.environ, "PYTHONHASHSEED": seed, "HERMESCAPE_CACHE": "off"}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environment)
