"""What is made when it is asked for: entries of a table, and attributes that a higher storey provides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, TypeVar

__all__ = ["PROVIDERS", "Lazy", "Provided"]

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


PROVIDERS: dict[str, Callable[[Any], Any]] = {}
"""By the name of an attribute, or html: what returns it for an object. `hermescape` fills it on first use."""


class Provided:
    """An attribute of a result that a higher storey provides, such as `plot`: what computes does not know what draws.

    >>> class Result:
    ...     size = Provided()
    >>> hasattr(Result(), "size")
    False
    >>> PROVIDERS["size"] = lambda result: f"of a {type(result).__name__}"
    >>> Result().size, PROVIDERS.pop("size") is None
    ('of a Result', False)
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, result: object, owner: type) -> Any:
        if result is None:
            return self
        if self.name not in PROVIDERS:
            raise AttributeError(f"{owner.__name__}.{self.name} is provided by the package hermescape; import from it")
        return PROVIDERS[self.name](result)
