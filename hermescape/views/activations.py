"""What `hermescape activations` prints: the registry, for JSON and for people."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.table import Table

from theory.language.activations import REGISTRY, Activation, activation
from theory.language.hermite import information_exponent
from theory.typeset.printing import as_text

__all__ = ["registry", "registry_table"]

FOLDED = re.compile(r"he([5-9]|1\d|20)")  # Hermite polynomials whose expressions only grow longer


def registry() -> list[dict[str, object]]:
    """Return the JSON entries of `hermescape activations`."""
    return [_entry(activation(name)) for name in REGISTRY]


def _entry(sigma: Activation) -> dict[str, object]:
    return {
        "name": sigma.name,
        "expression": as_text(sigma.expr),
        "parity": sigma.parity,
        "information_exponent": information_exponent(sigma),
        "closed_form": sigma.has_closed_class,
    }


def registry_table(entries: Sequence[dict[str, object]]) -> Table:
    """Return the table of `hermescape activations`; the higher Hermite polynomials share a row that says so."""
    table = Table(show_edge=False, box=None, pad_edge=False)
    for column in ("name", "parity", "information exponent", "kernel", "expression"):
        table.add_column(column, overflow="fold")
    folded = [str(entry["name"]) for entry in entries if FOLDED.fullmatch(str(entry["name"]))]
    for entry in entries:
        if entry["name"] in folded:
            if entry["name"] == folded[-1]:
                orders = f"{folded[0]} to {folded[-1]}"
                table.add_row(orders, "odd, even", "k", "closed form", f"He_k(x), k = {orders.replace('he', '')}")
            continue
        tier = "closed form" if entry["closed_form"] else "numerical"
        shown = (entry["name"], entry["parity"] or "-", entry["information_exponent"], tier, entry["expression"])
        table.add_row(*map(str, shown))
    return table
