"""Jobs that stand still: their process died and no task comes for them. Requeued a few times, then ended; what one that
is over still holds is given back. One whose document tells no job, or cannot be written, is put off as often, and then
put aside.
"""

from collections import Counter

from msgspec import Struct
from msgspec.structs import replace

from shared.agents.ending import Ending
from shared.agents.errors import JobBusy, JobsUnavailable, JobTaken
from shared.agents.limits import LEASE_MS, LOOK_AFTER_MS, SWEEPS_MAX, SWEPT_MAX
from shared.agents.models import AT_REST, JOB_STEP, Failure, JobState, JobTask
from shared.agents.store import DueJob, JobChanged, JobStore, JobUnwritable, KeptJob
from shared.agents.tenure import Tenure
from shared.base.clock import Clock
from shared.base.errors import CredenceError
from shared.base.log import write_line
from shared.tasks.service import Tasks

_STUCK = Failure("job_stuck", "The work stood still too often. What was charged is in the job's steps.")
_BROKEN = Failure("job_broken", "The work could not be gone on with. What was charged is in the job's steps.")
_LEFT = Failure("job_expired", "The job waited for its owner for a week.")


class SweepReport(Struct, frozen=True):
    """What one run did. `finished` is false when there were more jobs than one run looks at."""

    requeued: int
    ended: int
    given_back: int
    """Jobs that were over already, and held something still."""
    failed: int
    """Jobs that could not be looked after this time."""
    put_aside: int
    """Jobs that could not be looked after so often that nobody looks at them any more."""
    finished: bool


class JobSweep:
    """Looks after jobs whose time to be looked at has come."""

    def __init__(self, store: JobStore, tasks: Tasks, ending: Ending, clock: Clock) -> None:
        self._store = store
        self._tasks = tasks
        self._ending = ending
        self._clock = clock

    async def run(self) -> SweepReport:
        """Raise JobsUnavailable when jobs cannot be found at all. One that cannot be looked after is left to the next
        run, and keeps nobody behind it waiting.
        """
        due = await self._store.abandoned(self._clock(), count_max=SWEPT_MAX)
        done: Counter[str] = Counter()
        for one in due:
            try:
                done[await self._looked_after(one)] += 1
            except (JobChanged, JobBusy, JobTaken):
                # Somebody works at it after all.
                continue
            except (CredenceError, JobUnwritable) as error:
                done["failed"] += 1
                write_line("ERROR", "job_sweep_failed", job=one.job_id, code=_code_of(error))
        return SweepReport(
            requeued=done["requeued"],
            ended=done["ended"],
            given_back=done["given_back"],
            failed=done["failed"],
            put_aside=done["put_aside"],
            finished=len(due) < SWEPT_MAX,
        )

    async def _looked_after(self, due: DueJob) -> str:
        """Do what has to be done, and say what that was, as a report counts it."""
        if due.kept is None:
            return await self._put_back(due, "job_broken")
        if due.kept.job.is_over:
            done = self._give_back(due.kept)
        elif due.kept.job.state in AT_REST or due.kept.job.sweeps >= SWEEPS_MAX:
            done = self._end(due, due.kept)
        else:
            done = self._requeue(due.kept)
        try:
            return await done
        except (JobsUnavailable, JobUnwritable) as error:
            return await self._put_back(due, _code_of(error))

    async def _put_back(self, due: DueJob, code: str) -> str:
        """Behind the others, so that it keeps none of them waiting; or away from them for good.

        Not at once: it may be a process of another version that wrote it, or Firestore that was away.
        """
        now_ms = self._clock()
        if due.looks_failed < SWEEPS_MAX:
            await self._store.put_off(due, due_ms=now_ms + LOOK_AFTER_MS)
            write_line("ERROR", "job_sweep_failed", job=due.job_id, code=code)
            return "failed"
        # Nobody is at work who could still use them: a lease that cannot be written is renewed by nobody.
        if due.account_id is not None:
            for hold_id in due.holds:
                await self._ending.release(due.account_id, hold_id)
        # If we die here, the next look releases them again, which changes nothing.
        await self._store.put_aside(due, _BROKEN, at_ms=now_ms)
        write_line("CRITICAL", "job_put_aside", job=due.job_id, code=code)
        return "put_aside"

    async def _give_back(self, kept: KeptJob) -> str:
        """Put off first: jobs whose wallet cannot be reached come behind the others in the next run."""
        put_off = replace(kept.job, look_due_ms=self._clock() + LOOK_AFTER_MS)
        await self._ending.give_back(await self._store.write(kept, put_off))
        return "given_back"

    async def _requeue(self, kept: KeptJob) -> str:
        """If we die between the two, the next look finds the job where this one did."""
        job = kept.job
        state = JobState.STOPPING if job.cancel_asked_at_ms is not None else JobState.QUEUED
        changed = replace(
            job,
            state=state,
            sweeps=job.sweeps + 1,
            # Should somebody be at work all the same, they write nothing any more.
            lease_number=job.lease_number + 1,
            lease_until_ms=0,
            look_due_ms=self._clock() + LOOK_AFTER_MS,
        )
        await self._store.write(kept, changed)
        task = JobTask(job_id=job.job_id, leg=job.leg)
        await self._tasks.post(JOB_STEP, task, name_key=f"{job.job_id}:{job.leg}:{changed.lease_number}")
        write_line("WARNING", "job_requeued", job=job.job_id, sweeps=changed.sweeps)
        return "requeued"

    async def _end(self, due: DueJob, kept: KeptJob) -> str:
        failure = _LEFT if kept.job.state in AT_REST else _STUCK
        tenure = await Tenure.begin(self._store, kept, self._clock, lease_ms=LEASE_MS, leg=kept.job.leg)
        try:
            await self._ending.fail(tenure, failure)
        except (JobsUnavailable, JobUnwritable) as error:
            return await self._put_back(replace(due, version=tenure.kept.version), _code_of(error))
        return "ended"


def _code_of(error: CredenceError | JobUnwritable) -> str:
    return error.code if isinstance(error, CredenceError) else "job_unwritable"
