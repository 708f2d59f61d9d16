"""What owners do with jobs that there are: look at one, approve, top up, cancel.

What takes them on is in `starting.py`, which needs the catalog, and what works at them in `run.py`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from shared.agents import rules
from shared.agents.desk import ArtifactRef
from shared.agents.errors import (
    ApprovalWrong,
    ArtifactAbsent,
    JobAbsent,
    JobBusy,
    JobOver,
)
from shared.agents.limits import EVENTS_PAGE_MAX, LOOK_AFTER_MS
from shared.agents.models import AT_REST, JOB_STEP, Event, Job, JobId, JobState, JobTask, Trace
from shared.agents.store import JobChanged, JobStore, KeptJob
from shared.base.clock import Clock
from shared.base.ids import UserId
from shared.tasks.service import Tasks

CHANGES_TRIED_MAX = 8
"""Whoever works at a job writes it several times a second at most."""


class Jobs:
    """The owner's side of jobs."""

    def __init__(self, store: JobStore, tasks: Tasks, clock: Clock) -> None:
        self._store = store
        self._tasks = tasks
        self._clock = clock

    async def get(self, job_id: JobId, *, account_id: str, uid: str | None) -> Job:
        """Raise JobAbsent for one of somebody else's."""
        return (await self._own(job_id, account_id, uid)).job

    async def owned_by(self, owner: UserId, *, before_ms: int | None) -> list[Job]:
        """A page of the owner's jobs, newest first."""
        return await self._store.owned_by(owner, before_ms=before_ms)

    async def events(self, job: Job, *, after: int) -> list[Event]:
        """What happened behind number `after`, at most a hundred."""
        return await self._store.events(job.job_id, after=after, count_max=EVENTS_PAGE_MAX)

    async def traces(self, job: Job) -> list[Trace]:
        """The job's steps, at most a hundred, in the order in which they were begun."""
        return await self._store.traces(job.job_id, count_max=EVENTS_PAGE_MAX)

    async def artifact(self, job: Job, artifact_id: str) -> tuple[ArtifactRef, bytes]:
        """Raise ArtifactAbsent."""
        ref = await self._store.artifact(job.job_id, artifact_id)
        data = None if ref is None else await self._store.artifact_bytes(job.job_id, ref)
        if ref is None or data is None:
            raise ArtifactAbsent
        return ref, data

    async def cancel(self, job_id: JobId, *, account_id: str, uid: str | None) -> Job:
        """Have a job end before its next paid call. It is `stopping` until whoever works at it has confirmed that."""

        def decide(job: Job) -> Mapping[str, Any] | None:
            if job.is_over or job.cancel_asked_at_ms is not None:
                return None
            return {"state": JobState.STOPPING, "cancel_asked_at_ms": self._clock(), "look_due_ms": self._look_due()}

        job = await self._change(job_id, account_id, uid, decide)
        if not job.is_over:
            await self._post(job, "cancel")
        return job

    async def approve(self, job_id: JobId, interrupt_id: str, answer: str, *, account_id: str, uid: str | None) -> Job:
        """Answer what a job asks. The same answer again changes nothing; another one raises ApprovalWrong."""

        def decide(job: Job) -> Mapping[str, Any] | None:
            if interrupt_id in job.approvals:
                if job.approvals[interrupt_id] != answer:
                    raise ApprovalWrong("This was answered otherwise before.", param="answer")
                return None
            if job.is_over or job.cancel_asked_at_ms is not None:
                raise JobOver(job.state.value)
            if job.approval is None or job.approval.interrupt_id != interrupt_id:
                raise ApprovalWrong("Nothing of this id is asked.", param="interrupt_id")
            approvals = {**job.approvals, interrupt_id: answer}
            return {**self._queued(job), "approval": None, "approvals": approvals}

        return await self._go_on(job_id, account_id, uid, decide, f"approve:{interrupt_id}")

    async def resume(self, job_id: JobId, ceiling_micros: int, *, account_id: str, uid: str | None) -> Job:
        """Go on with a job that waits for credits, under a ceiling that is no lower. Raise JobOver or CeilingTooLow."""

        def decide(job: Job) -> Mapping[str, Any] | None:
            rules.check_ceiling(job, ceiling_micros)
            rules.check_request({}, ceiling_micros)
            raised = {"ceiling_micros": ceiling_micros}
            if job.state is JobState.PAUSED_BUDGET:
                return {**self._queued(job), **raised, "pause": None}
            return raised if ceiling_micros > job.ceiling_micros else None

        return await self._go_on(job_id, account_id, uid, decide, "resume")

    async def _go_on(
        self,
        job_id: JobId,
        account_id: str,
        uid: str | None,
        decide: Callable[[Job], Mapping[str, Any] | None],
        why: str,
    ) -> Job:
        job = await self._change(job_id, account_id, uid, decide)
        # If we die here, the repeat posts it, and without one the sweep does.
        if job.state is JobState.QUEUED:
            await self._post(job, why)
        return job

    async def _change(
        self, job_id: JobId, account_id: str, uid: str | None, decide: Callable[[Job], Mapping[str, Any] | None]
    ) -> Job:
        """Change what is the owner's to change, whoever works at the job meanwhile. None changes nothing. Raise JobBusy
        when the job changed under every try.
        """
        for _ in range(CHANGES_TRIED_MAX):
            kept = await self._own(job_id, account_id, uid)
            changes = decide(kept.job)
            if changes is None:
                return kept.job
            try:
                return (await self._store.write(kept, replace(kept.job, **changes))).job
            except JobChanged:
                continue
        raise JobBusy

    async def _own(self, job_id: JobId, account_id: str, uid: str | None) -> KeptJob:
        kept = await self._store.find(job_id)
        # Firestore's own deletion may come a day late.
        if kept is None or not rules.was_asked_by(kept.job, account_id, uid) or kept.job.delete_at_ms <= self._clock():
            raise JobAbsent
        return kept

    def _queued(self, job: Job) -> Mapping[str, Any]:
        leg = job.leg + 1 if job.state in AT_REST else job.leg
        return {"state": JobState.QUEUED, "leg": leg, "look_due_ms": self._look_due()}

    def _look_due(self) -> int:
        return self._clock() + LOOK_AFTER_MS

    async def _post(self, job: Job, why: str) -> None:
        """The lease's number is in the name: no task that a worker posted has the same."""
        task = JobTask(job_id=job.job_id, leg=job.leg)
        await self._tasks.post(JOB_STEP, task, name_key=f"{job.job_id}:{job.leg}:{job.lease_number}:{why}")
