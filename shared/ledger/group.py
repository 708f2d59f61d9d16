"""A group of operations on its way to one commit: pure planning, and handing each caller its outcome."""

import asyncio
from collections import deque
from collections.abc import Container, Iterable, Mapping
from typing import Any

from msgspec import Struct

from shared.base.errors import CredenceError
from shared.base.ids import AccountId
from shared.ledger.errors import LedgerUnavailable
from shared.ledger.models import Entry, Head
from shared.ledger.operation import Operation, Step
from shared.ledger.store import EntryRef, KnownHead, Version

GROUP_OPERATIONS_MAX = 100
"""Operations folded into one commit: with entries of at most a few kilobytes, far below the 10 MiB of a request."""

Heads = Mapping[AccountId, Head | None]


class Waiting(Struct, eq=False):
    """An operation and whoever waits for its outcome."""

    operation: Operation[Any]
    ref: EntryRef | None
    """The entry that proves it was done."""
    outcome: asyncio.Future[Any]

    def succeed(self, result: object) -> None:
        if not self.outcome.done():
            self.outcome.set_result(result)

    def fail(self, error: BaseException) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(error)


class Plan(Struct):
    """A group applied, in memory, on top of the heads it was given."""

    heads: dict[AccountId, Head | None]
    entries: list[Entry]
    accepted: list[tuple[Waiting, object]]
    refused: list[Waiting]


class Doubt(Struct, frozen=True):
    """A commit whose answer is out. It may take effect as long as the heads stand at the versions it expects."""

    versions: Mapping[AccountId, Version | None]
    operations: frozenset[Waiting]
    entries: frozenset[EntryRef]
    """What it creates. Any of them in the store means that all of it is done: it is done whole or not at all."""

    def may_land(self, known: Mapping[AccountId, KnownHead], found: Container[EntryRef]) -> bool:
        """Judge by a reread of heads and entries. A hold leaves no entry, so none of its like proves anything."""
        unchanged = all(known[account_id].version == version for account_id, version in self.versions.items())
        return unchanged and not any(ref in found for ref in self.entries)


def waiting_for(operation: Operation[Any]) -> Waiting:
    """The operation with a place for its outcome. Its id is computed here, where a bad key is its own caller's."""
    ref = (operation.account_ids[0], operation.entry_id) if operation.entry_id else None
    return Waiting(operation, ref, asyncio.get_running_loop().create_future())


def next_group(queue: deque[Waiting]) -> list[Waiting]:
    """Take a group off the queue, no entry twice in it: the repeat waits and then finds the first one's entry."""
    group: list[Waiting] = []
    seen: set[EntryRef] = set()
    while queue and len(group) < GROUP_OPERATIONS_MAX:
        ref = queue[0].ref
        if ref in seen:
            break
        if ref:
            seen.add(ref)
        group.append(queue.popleft())
    return group


def plan_group(heads: Heads, group: Iterable[Waiting]) -> Plan:
    """Apply the group in order, each on top of the last; a refused operation leaves no trace."""
    plan = Plan(heads=dict(heads), entries=[], accepted=[], refused=[])
    for waiting in group:
        step = _step(waiting, plan.heads)
        if isinstance(step, CredenceError):
            plan.refused.append(waiting)
        elif step is not None:
            plan.heads.update({head.account_id: head for head in step.heads})
            plan.entries.extend(step.entries)
            plan.accepted.append((waiting, step.result))
    return plan


def refuse_finally(heads: Heads, group: Iterable[Waiting], *, in_doubt: frozenset[Waiting]) -> list[Waiting]:
    """Answer those refused by the heads as they stand, each by itself; return the others.

    Only a refusal against what is durable is final: one that rests on a commit still to come may yet be lifted, and
    an operation that is part of a commit in doubt may yet be posted.
    """
    left = []
    for waiting in group:
        step = None if waiting in in_doubt else _step(waiting, heads)
        if isinstance(step, CredenceError):
            waiting.fail(step)
        else:
            left.append(waiting)
    return left


def fail_all(group: Iterable[Waiting]) -> None:
    """Tell all of them that the outcome is unknown."""
    for waiting in group:
        waiting.fail(LedgerUnavailable())


def _step(waiting: Waiting, heads: Heads) -> Step[Any] | CredenceError | None:
    try:
        return waiting.operation.apply(heads)
    except CredenceError as refusal:
        # An answer like any other: frames it came through would keep heads and plans alive until a collection.
        return refusal.with_traceback(None)
    except Exception as error:  # noqa: BLE001 - a broken operation is handed to its own caller, and to no other
        waiting.fail(error)
        return None
