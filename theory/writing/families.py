"""A family in words with formulas between dollars: where its formulas hold, and its special places."""

from __future__ import annotations

from collections.abc import Iterator

from theory.language.families import conditions_in_words
from theory.network.system import System
from theory.search.special import special_places, unsearched
from theory.typeset.printing import latex

__all__ = ["said_of", "where_it_holds"]


def where_it_holds(system: System) -> str:
    """Return where the formulas of a family hold, a sentence; nothing where they hold on the whole domain."""
    where = [f"${condition}$" for condition in conditions_in_words(system.conditions, latex)]
    return f"The formulas hold where {' and '.join(where)}." if where else ""


def said_of(system: System) -> Iterator[str]:
    r"""Yield sentences on the parameters of a family; none of a single function.

    >>> from theory.network.derivation import derive
    >>> for sentence in said_of(derive("max(a*x, 0)", parameters="a", near={"a": 1})): print(sentence)
    The formulas hold where $a > 0$.
    Special places: $a = 0$: ...; $a \to \infty$: $A \sim a^{2}$, $B \sim a^{2}$.
    """
    if holds := where_it_holds(system):
        yield holds
    places = special_places(system)
    if places:
        yield f"Special places: {'; '.join(place.latex for place in places)}."
    names = [f"${name}$" for name in unsearched(system)]
    if names:
        yield f"Where {' or '.join(names)} changes its sign at some $\\mu$ is not searched for here."
