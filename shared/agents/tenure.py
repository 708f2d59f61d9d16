"""A job while one process has it: the lease, and every write that depends on it."""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from msgspec.structs import replace

from shared.agents import rules
from shared.agents.commits import Change, Put
from shared.agents.documents import event_document
from shared.agents.errors import CancelAsked, JobBusy, JobsUnavailable, JobTaken
from shared.agents.limits import (
    LEASE_MS,
    LOOK_AFTER_MS,
    NOTE_PAUSE_S,
    NOTED_MAX,
    NOTES_PENDING_MAX,
    RENEWALS_PER_LEASE,
)
from shared.agents.models import Job, JobState
from shared.agents.store import JobChanged, JobStore, KeptJob
from shared.base.clock import Clock

WRITES_TRIED_MAX = 6
"""Somebody else may write between our read and our write: an owner who cancels, approves or tops up. Few do at once."""

Outcome = TypeVar("Outcome")
Note = tuple[str, str, Mapping[str, str | int]]
Decide = Callable[[Job], Mapping[str, Any]]
"""The fields to change of a job as it is now. Asked again when somebody else has changed it meanwhile."""


class Tenure:
    """One process's time with one job.

    Each write is made over exactly what this process last saw of the job, in one commit with the job itself. When that
    fails the job is read: under our number still, what somebody else has changed is taken over and the write made
    again; under another's, we have lost it and write nothing more.
    """

    def __init__(self, store: JobStore, kept: KeptJob, clock: Clock, *, lease_ms: int) -> None:
        self._store = store
        self._kept = kept
        self._clock = clock
        self._lease_ms = lease_ms
        self._number = kept.job.lease_number
        self._writing = asyncio.Lock()
        self._notes: list[Note] = []
        self._flushing: asyncio.Task[None] | None = None

    @classmethod
    async def begin(
        cls, store: JobStore, kept: KeptJob, clock: Clock, *, leg: int, lease_ms: int = LEASE_MS
    ) -> "Tenure":
        """Take the job for a leg. Raise JobBusy when somebody else has it."""
        job, now_ms = kept.job, clock()
        if job.lease_until_ms > now_ms:
            raise JobBusy
        state = JobState.STOPPING if job.cancel_asked_at_ms is not None else JobState.RUNNING
        taken = replace(
            job,
            state=state,
            leg=max(job.leg, leg),
            lease_number=job.lease_number + 1,
            lease_until_ms=now_ms + lease_ms,
            look_due_ms=now_ms + lease_ms + LOOK_AFTER_MS,
            takes_idle=job.takes_idle + 1,
            write_id=secrets.token_hex(8),
        )
        try:
            kept = await store.write(kept, taken)
        except JobChanged:
            raise JobBusy from None
        return cls(store, kept, clock, lease_ms=lease_ms)

    @property
    def job(self) -> Job:
        """As last seen."""
        return self._kept.job

    @property
    def kept(self) -> KeptJob:
        """The same with the version that a later write must still find."""
        return self._kept

    async def commit(self, changes: Sequence[Change], *, step: int | None = None) -> None:
        """Make a saver's changes under the lease."""

        def finish(job: Job) -> Mapping[str, Any]:
            if step is None or step <= job.steps_done:
                return {}
            # Something was achieved: whatever went wrong before counts no longer.
            return {"steps_done": step, "takes_idle": 0, "failures": 0, "sweeps": 0, "noted": ()}

        await self.write(finish, changes)

    async def write(
        self, decide: Decide, changes: Sequence[Change] = (), *, notes: Sequence[Note] = (), keeps: bool = True
    ) -> Job:
        """Change the job and whatever else belongs to it, with the notes that wait. `keeps=False` lets the job go.

        Raise JobTaken, JobsUnavailable, or what `decide` does.
        """
        async with self._writing:
            pending = [*self._notes]
            self._notes.clear()
            try:
                return await self._written(decide, changes, pending, notes, keeps=keeps)
            except BaseException:
                self._notes[:0] = pending
                raise

    async def _written(
        self, decide: Decide, changes: Sequence[Change], pending: list[Note], said: Sequence[Note], *, keeps: bool
    ) -> Job:
        for _ in range(WRITES_TRIED_MAX):
            before = self._kept.job
            now_ms = self._clock()
            decided = decide(before)
            # A write that was given up in the middle may have told some of what waits.
            waiting = [note for note in pending if _digests(before, [note])[0] not in before.noted]
            notes = [*waiting, *said]
            events = rules.numbered(before, notes, now_ms)
            job = replace(
                before,
                **{
                    "lease_until_ms": now_ms + self._lease_ms if keeps else 0,
                    "look_due_ms": self._look_due(before, now_ms),
                    "seq": before.seq + len(events),
                    "noted": (*before.noted, *_digests(before, notes))[-NOTED_MAX:],
                    "write_id": secrets.token_hex(8),
                    **decided,
                },
            )
            told = [
                Put(f"jobs/{job.job_id}/events/{event.seq:08}", event_document(event), is_new=True) for event in events
            ]
            try:
                self._kept = await self._store.write(self._kept, job, [*changes, *told])
            except (JobChanged, JobsUnavailable):
                if await self._stands(job):
                    return self._kept.job
            else:
                return job
        raise JobsUnavailable

    def _look_due(self, job: Job, now_ms: int) -> int:
        """Put off now and then only: an indexed field that rises with every write caps the writes of its collection."""
        due_ms = now_ms + self._lease_ms + LOOK_AFTER_MS
        if job.look_due_ms is not None and due_ms - LOOK_AFTER_MS // 2 <= job.look_due_ms <= due_ms:
            return job.look_due_ms
        return due_ms

    async def _stands(self, job: Job) -> bool:
        """After a write whose outcome is not known: whether it was made. Raise JobTaken."""
        found = await self._store.find(job.job_id)
        if found is not None and found.job.write_id == job.write_id:
            self._kept = found
            return True
        if found is None or found.job.lease_number != self._number or found.job.is_over:
            raise JobTaken
        self._kept = found
        return False

    async def note(self, kind: str, text: str, facts: Mapping[str, str | int]) -> None:
        """Have something told before long; at once when much waits already."""
        note: Note = (kind, text, facts)
        [digest] = _digests(self.job, [note])
        if digest in self.job.noted or digest in _digests(self.job, self._notes):
            return
        self._notes.append(note)
        if len(self._notes) >= NOTES_PENDING_MAX:
            await self.flush()
        elif self._flushing is None or self._flushing.done():
            self._flushing = asyncio.ensure_future(self._flush_soon())

    async def flush(self) -> None:
        """Write the notes that wait."""
        if self._notes:
            await self.write(lambda job: {})

    async def _flush_soon(self) -> None:
        await asyncio.sleep(NOTE_PAUSE_S)
        try:
            await self.flush()
        except (JobTaken, JobsUnavailable):
            # Whoever makes the next write finds out the same, and is the one to tell.
            return

    def check_cancel(self) -> None:
        """Raise CancelAsked when the owner was seen to want the job to end."""
        if self.job.cancel_asked_at_ms is not None:
            raise CancelAsked

    async def during(self, work: Coroutine[Any, Any, Outcome]) -> Outcome:
        """What the work comes to, the lease being renewed meanwhile. Work whose lease is lost is cancelled."""
        working, keeping = asyncio.ensure_future(work), asyncio.ensure_future(self._renew())
        try:
            await asyncio.wait((working, keeping), return_when=asyncio.FIRST_COMPLETED)
            return await working if working.done() else await keeping
        finally:
            mine = [task for task in (working, keeping, self._flushing) if task is not None]
            for task in mine:
                task.cancel()
            await asyncio.gather(*mine, return_exceptions=True)

    async def _renew(self) -> NoReturn:
        while True:
            await asyncio.sleep(self._lease_ms / 1_000 / RENEWALS_PER_LEASE)
            try:
                await self.write(lambda job: {})
            except JobsUnavailable:
                # The next renewal may be made in time. If none is, somebody else takes the job and we find out.
                continue


def _digests(job: Job, notes: Sequence[Note]) -> list[str]:
    return [rules.note_hash(job.steps_done, kind, text) for kind, text, _ in notes]
