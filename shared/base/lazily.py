"""A mapping whose names are known before its values are worth building."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

Name = TypeVar("Name")
Built = TypeVar("Built")


class BuiltLazily(Mapping[Name, Built]):
    """Builds each value when it is first asked for, once. Whoever needs one pays for no other."""

    def __init__(self, names: Sequence[Name], build: Callable[[Name], Built]) -> None:
        self._names = tuple(names)
        self._build = build
        self._built: dict[Name, Built] = {}

    def __getitem__(self, name: Name) -> Built:
        if name not in self._built:
            if name not in self._names:
                raise KeyError(name)
            self._built[name] = self._build(name)
        return self._built[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[Name]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
