"""Jobs that stand still: their process died and no task comes for them. Requeued a few times, then ended."""

from msgspec import Struct
from msgspec.structs import replace

from shared.agents.ending import Ending
from shared.agents.errors import JobBusy, JobTaken
from shared.agents.limits import LEASE_MS, LOOK_AFTER_MS, SWEEPS_MAX, SWEPT_MAX
from shared.agents.models import AT_REST, JOB_STEP, Failure, JobState, JobTask
from shared.agents.store import JobChanged, JobStore, KeptJob
from shared.agents.tenure import Tenure
from shared.base.clock import Clock
from shared.base.log import write_line
from shared.tasks.service import Tasks

_STUCK = Failure("job_stuck", "The work stood still too often. What was charged is in the job's steps.")
_LEFT = Failure("job_expired", "The job waited for its owner for a week.")


class SweepReport(Struct, frozen=True):
    """What one run did. `finished` is false when there were more jobs than one run looks at."""

    requeued: int
    ended: int
    finished: bool


class JobSweep:
    """Looks after jobs whose time to be looked at has come."""

    def __init__(self, store: JobStore, tasks: Tasks, ending: Ending, clock: Clock) -> None:
        self._store = store
        self._tasks = tasks
        self._ending = ending
        self._clock = clock

    async def run(self) -> SweepReport:
        """Raise JobsUnavailable or TasksUnavailable; the next run begins with what is left."""
        due = await self._store.abandoned(self._clock(), count_max=SWEPT_MAX)
        requeued = ended = 0
        for kept in due:
            try:
                if kept.job.state in AT_REST or kept.job.sweeps >= SWEEPS_MAX:
                    await self._end(kept)
                    ended += 1
                else:
                    await self._requeue(kept)
                    requeued += 1
            except (JobChanged, JobBusy, JobTaken):
                # Somebody works at it after all.
                continue
        return SweepReport(requeued, ended, len(due) < SWEPT_MAX)

    async def _requeue(self, kept: KeptJob) -> None:
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

    async def _end(self, kept: KeptJob) -> None:
        failure = _LEFT if kept.job.state in AT_REST else _STUCK
        tenure = await Tenure.begin(self._store, kept, self._clock, lease_ms=LEASE_MS, leg=kept.job.leg)
        await self._ending.fail(tenure, failure)
