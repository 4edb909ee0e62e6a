"""A table whose entries are made when they are asked for: of the many that it lists, a command wants one or two."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import TypeVar

__all__ = ["Lazy"]

V = TypeVar("V")


class Lazy(MutableMapping[str, V]):
    """Values by name, in the order of their makers; each is made once, when it is first asked for.

    Attributes:
        made: what was asked for so far.

    >>> table = Lazy({"one": lambda: 1, "two": lambda: 1 / 0})
    >>> list(table), "two" in table, table["one"], table.made
    (['one', 'two'], True, 1, {'one': 1})
    """

    def __init__(self, makers: Mapping[str, Callable[[], V]]) -> None:
        self._makers = dict(makers)
        self.made: dict[str, V] = {}

    def __getitem__(self, name: str) -> V:
        if name not in self.made:
            self.made[name] = self._makers[name]()
        return self.made[name]

    def __setitem__(self, name: str, value: V) -> None:
        self._makers[name], self.made[name] = (lambda: value), value

    def __delitem__(self, name: str) -> None:
        del self._makers[name]
        self.made.pop(name, None)

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)
