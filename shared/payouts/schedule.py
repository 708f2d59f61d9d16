"""Payouts that nobody looked at in time, called by the timer `payout_schedule`: each gets a task.

That moves on what waited long enough, finishes what died, and looks again at what is on its way or was paid lately.
"""

from msgspec import Struct

from shared.base.clock import Clock
from shared.payouts import rules
from shared.payouts.models import PAYOUT_SEND, PayoutSend
from shared.payouts.ports import DUE_MAX, PayoutStore
from shared.tasks.service import Tasks


class ScheduleDone(Struct, frozen=True):
    """What a run did. Not `finished`: there were more than one run takes."""

    posted: int
    finished: bool


class PayoutSchedule:
    """Goes through payouts that are due. Raise PaymentsUnavailable or TasksUnavailable; a repeat goes on."""

    def __init__(self, store: PayoutStore, tasks: Tasks, clock: Clock) -> None:
        self._store = store
        self._tasks = tasks
        self._clock = clock

    async def run(self) -> ScheduleDone:
        """Have every payout looked at that is due."""
        now_ms = self._clock()
        due = await self._store.due(at_ms=now_ms)
        for payout_id in due:
            await self._tasks.post(PAYOUT_SEND, PayoutSend(payout_id=payout_id), name_key=f"{payout_id}:{now_ms}")
            # If we die before it, the next run posts another task: looking once more is harmless. The task itself says
            # when the next look is due; this is for one that is lost.
            await self._store.looked(payout_id, due_ms=now_ms + rules.LOOK_MS)
        return ScheduleDone(len(due), len(due) < DUE_MAX)
