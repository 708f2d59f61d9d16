"""A simulated process: production code over the network, with a clock of its own, until it dies."""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from contextvars import Context, ContextVar
from typing import Any

from msgspec import Struct

from shared.base.ids import AccountId, EntryId
from shared.ledger.administration import Administration
from shared.ledger.engine import Engine
from shared.ledger.models import Head, HoldLimits, SendLimits
from shared.ledger.operation import Operation, Step
from shared.ledger.service import Ledger
from shared.ledger.store import HeadWrite, LedgerStore
from simulation.faults import Faults
from simulation.loop import EPOCH_MS, OWNER
from simulation.model import HOLDS_OPEN_MAX, HOLDS_PER_WINDOW_MAX, SEND_REPEAT_MS, SENT_PER_DAY_MAX, WINDOW_MS
from simulation.reach import ProcessStore, Reach
from simulation.request import Attempt

LANES_MAX = 2
"""Fewer than there are accounts, so that engines forget."""
ATTEMPT: ContextVar[Attempt | None] = ContextVar("attempt", default=None)
"""Whose request a task serves; None in a timer."""


class Process:
    """One instance of the service. `work` runs inside it, and stops with it."""

    def __init__(
        self,
        name: str,
        faults: Faults,
        reach: Callable[["Process"], Reach],
        died: Callable[["Process"], None],
    ) -> None:
        self.name = name
        self.alive = True
        self.timers_running = 0
        self.lineage = Lineage()
        self.reach = reach(self)
        self.store = ProcessStore(self.reach)
        self._faults = faults
        self._died = died
        self._tasks: list[asyncio.Task[Any]] = []
        self._skew_ms = faults.skew_ms()
        self._steps_left = faults.steps_until_death()
        self._stopped = False
        jitter = random.Random(faults.chance.random())  # noqa: S311 - draws pauses, guards nothing
        self.engine = _TracedEngine(self.lineage, self.store, jitter=jitter, lanes_max=LANES_MAX)
        self.ledger = _TightLedger(self.engine, self.store, self.clock)
        self.administration = Administration(self.engine, self.store, self.clock)

    def work(self, job: Callable[..., Any], *args: object, attempt: Attempt | None = None) -> "asyncio.Task[Any]":
        """Start a task inside the process."""
        context = Context()
        context.run(OWNER.set, self)
        context.run(ATTEMPT.set, attempt)
        return asyncio.get_running_loop().create_task(job(*args), context=context)

    def clock(self) -> int:
        """The process's idea of the time: up to ten seconds off, and it jumps."""
        if self._faults.happens(self._faults.rates.jumped):
            self._skew_ms = self._faults.skew_ms()
        now_ms = EPOCH_MS + int(asyncio.get_running_loop().time() * 1000) + self._skew_ms
        if attempt := ATTEMPT.get():
            attempt.at_ms = now_ms
        return now_ms

    def owns(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.append(task)

    def may_run(self) -> bool:
        if self._stopped:
            return False
        if self._steps_left is not None and self.alive and self._faults.rates.steps_per_kill:
            self._steps_left -= 1
            if self._steps_left <= 0:
                self.die()
        return not self._stopped

    def die(self) -> None:
        """Stop at this await: cut off, or with all tasks cancelled as when an instance is shut down."""
        self.alive = False
        self._stopped = not self._faults.happens(self._faults.rates.gentle)
        if not self._stopped:
            for task in self._tasks:
                task.cancel()
        self._died(self)

    def remains(self) -> "list[asyncio.Task[Any]]":
        """What still has to be ended when the simulation is over."""
        self._stopped, self._steps_left = False, None
        return self._tasks


class _Noted(Struct, eq=False):
    """One step of one operation, on the way to a commit."""

    number: int
    attempt: Attempt | None
    before: tuple[Head | None, ...]
    step: Step[Any]
    committed: bool = False


class Lineage:
    """Which operation made which head from which: tells what is in a commit, and in which order."""

    def __init__(self) -> None:
        self._noted: dict[int, _Noted] = {}
        self._count = 0

    def note(self, attempt: Attempt | None, before: Iterable[Head | None], step: Step[Any]) -> None:
        """Remember one step. It is kept, so that no later head can bear the same identity."""
        self._count += 1
        noted = _Noted(self._count, attempt, tuple(before), step)
        for head in step.heads:
            self._noted[id(head)] = noted

    def of_commit(self, heads: Iterable[HeadWrite]) -> list[Attempt | None]:
        """The attempts whose operations lead to these heads from what was committed before."""
        found: dict[int, _Noted] = {}
        todo: list[Head | None] = [write.head for write in heads]
        while todo:
            noted = self._noted.get(id(todo.pop()))
            if noted and not noted.committed and noted.number not in found:
                found[noted.number] = noted
                todo.extend(noted.before)
        for noted in found.values():
            noted.committed = True
        return [found[number].attempt for number in sorted(found)]


class _Traced:
    """An operation as the engine sees it, each of its steps noted."""

    def __init__(self, operation: Operation[Any], lineage: Lineage) -> None:
        self._operation = operation
        self._lineage = lineage
        self._attempt = ATTEMPT.get()
        self.account_ids: tuple[AccountId, ...] = operation.account_ids
        self.entry_id: EntryId | None = operation.entry_id

    def apply(self, heads: Mapping[AccountId, Head | None]) -> Step[Any]:
        step = self._operation.apply(heads)
        self._lineage.note(self._attempt, [heads[account_id] for account_id in self.account_ids], step)
        return step

    def recall(self, heads: Mapping[AccountId, Head | None], entries: Any) -> Any:
        return self._operation.recall(heads, entries)


class _TracedEngine(Engine):
    def __init__(self, lineage: Lineage, store: LedgerStore, *, jitter: random.Random, lanes_max: int) -> None:
        super().__init__(store, jitter=jitter, lanes_max=lanes_max)
        self._lineage = lineage

    async def run(self, operation: Operation[Any]) -> Any:
        return await super().run(_Traced(operation, self._lineage))


class _TightLedger(Ledger):
    """The ledger with bounds that a few dozen requests can meet."""

    def __init__(self, engine: Engine, store: LedgerStore, clock: Callable[[], int]) -> None:
        super().__init__(engine, store, clock)
        self._limits = HoldLimits(open_max=HOLDS_OPEN_MAX, window_ms=WINDOW_MS, per_window_max=HOLDS_PER_WINDOW_MAX)
        self._send_limits = SendLimits(per_day_micros_max=SENT_PER_DAY_MAX, repeat_window_ms=SEND_REPEAT_MS)
