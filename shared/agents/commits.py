"""Writes that are made all or none, as whoever decides on them says them: paths, fields, and nothing of Firestore."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct


class Put(Struct, frozen=True):
    """A document to write whole. `is_new` refuses where there is one already."""

    path: str
    fields: Mapping[str, Any]
    is_new: bool = False
    size_bytes: int = 0
    """About how many its fields have, where that may be many."""


class Delete(Struct, frozen=True):
    """A document to delete."""

    path: str


Change = Put | Delete


class Commits(Protocol):
    """Where a saver's writes go. In a job that is its lease, so that who lost the job saves nothing more."""

    async def commit(self, changes: Sequence[Change], *, step: int | None = None) -> None:
        """Make the changes, all or none; with `step`, they finish the super-step of that number. Durable once returned.
        A repeat changes nothing. Raise JobTaken or JobsUnavailable.
        """


def portions(puts: Iterable[Put], *, bytes_max: int) -> Iterator[list[Put]]:
    """The puts in order, in lists that each fit one commit."""
    portion: list[Put] = []
    size_bytes = 0
    for put in puts:
        if portion and size_bytes + put.size_bytes > bytes_max:
            yield portion
            portion, size_bytes = [], 0
        portion.append(put)
        size_bytes += put.size_bytes
    if portion:
        yield portion
