"""A job while one process works at it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

from msgspec.structs import replace

from shared.base.clock import Clock
from shared.images.job_errors import JobBusy
from shared.images.job_models import ImageJob, JobState
from shared.images.store import ImageJobStore, JobChanged, KeptJob

LEASE_MS = 60_000
"""How long after a process died the next one may begin."""
RENEWAL_S = 20.0
"""Three renewals in a lease: two may fail, or be late."""

Outcome = TypeVar("Outcome")


class Claim:
    """Writes a job over exactly what this process last wrote: whoever lost the job finds out at its next write."""

    def __init__(self, store: ImageJobStore, kept: KeptJob, clock: Clock) -> None:
        self._store = store
        self._kept = kept
        self._clock = clock
        self._writing = asyncio.Lock()

    @classmethod
    async def begin(cls, store: ImageJobStore, kept: KeptJob, clock: Clock) -> "Claim":
        """Take the job for one more run. Raise JobBusy when somebody else has it."""
        if kept.job.lease_until_ms > clock():
            raise JobBusy
        claim = cls(store, kept, clock)
        await claim.write(state=JobState.RUNNING, runs=kept.job.runs + 1)
        return claim

    @property
    def job(self) -> ImageJob:
        """As last written."""
        return self._kept.job

    async def write(self, *, keeps: bool = True, **changes: Any) -> KeptJob:
        """Change fields and renew the lease, or with `keeps=False` let it go. Raise JobBusy when the job was taken."""
        async with self._writing:
            lease_until_ms = self._clock() + LEASE_MS if keeps else 0
            job = replace(self._kept.job, lease_until_ms=lease_until_ms, **changes)
            try:
                self._kept = await self._store.replace(self._kept, job)
            except JobChanged:
                raise JobBusy from None
            return self._kept

    async def during(self, work: Coroutine[Any, Any, Outcome]) -> Outcome:
        """What the work comes to, the lease being renewed meanwhile. Work whose lease is lost is cancelled."""
        working, keeping = asyncio.ensure_future(work), asyncio.ensure_future(self._renew())
        try:
            await asyncio.wait((working, keeping), return_when=asyncio.FIRST_COMPLETED)
            return await working if working.done() else await keeping
        finally:
            for task in (working, keeping):
                task.cancel()
            await asyncio.gather(working, keeping, return_exceptions=True)

    async def _renew(self) -> NoReturn:
        while True:
            await asyncio.sleep(RENEWAL_S)
            await self.write()
