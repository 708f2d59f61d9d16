"""The end of a job: said first, then what it holds is given back, so that whoever finds it over does the same."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from shared.agents.errors import JobBusy
from shared.agents.limits import LOOK_AFTER_MS
from shared.agents.models import Failure, Job, JobState
from shared.agents.store import JobChanged, JobStore, KeptJob
from shared.agents.tenure import Note, Tenure
from shared.base.clock import Clock
from shared.base.ids import AccountId, HoldId
from shared.base.log import write_line
from shared.ledger.service import Ledger


class Ending:
    """Ends jobs."""

    def __init__(self, store: JobStore, ledger: Ledger, clock: Clock) -> None:
        self._store = store
        self._ledger = ledger
        self._clock = clock

    async def end(self, tenure: Tenure, state: JobState, changes: Mapping[str, Any], note: Note) -> None:
        """End a job that is ours. If we die between the two, its task comes again and gives back what is held; if that
        never comes either, the sweep does, LOOK_AFTER_MS later.
        """
        now_ms = self._clock()
        ended = {"state": state, "ended_at_ms": now_ms, "approval": None, "pause": None}

        def over(job: Job) -> Mapping[str, Any]:
            return {**ended, "look_due_ms": now_ms + LOOK_AFTER_MS if job.holds else None, **changes}

        await tenure.write(over, notes=[note], keeps=False)
        job = tenure.job
        write_line("INFO", "job_ended", job=job.job_id, state=state.value, spent_micros=job.spent_micros)
        await self.give_back(tenure.kept)

    async def fail(self, tenure: Tenure, failure: Failure) -> None:
        """End it without a result."""
        note: Note = ("failed", failure.message, {"code": failure.code})
        await self.end(tenure, JobState.FAILED, {"failure": failure}, note)

    async def release(self, account_id: AccountId, hold_id: HoldId) -> None:
        """Give back what one hold set aside, however often. Raise what the ledger does."""
        await self._ledger.release(account_id, hold_id)

    async def give_back(self, kept: KeptJob) -> None:
        """Release what a job that is over still holds. Raise JobBusy when somebody else does at the same time."""
        job = kept.job
        if not job.holds:
            return
        for hold_id in job.holds:
            await self.release(job.account_id, HoldId(hold_id))
        try:
            await self._store.write(kept, replace(job, holds={}, look_due_ms=None))
        except JobChanged:
            raise JobBusy from None
